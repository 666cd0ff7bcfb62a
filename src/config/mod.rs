//! Creation rules.
