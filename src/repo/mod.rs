//! A whole repository: what can be said about its files together, without opening any.

pub mod check;
pub mod git;
pub mod status;
