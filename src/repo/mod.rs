//! A whole repository: what can be said about its files together, without opening any.

pub mod check;
pub mod status;
pub mod who_can_decrypt;
