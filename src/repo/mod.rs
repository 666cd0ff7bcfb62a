//! A whole repository: what can be said about its files and their history together, without opening any.

pub mod ages;
pub mod altered;
pub mod before;
pub mod blast_radius;
pub mod check;
pub mod copies;
pub mod git;
pub mod outside;
pub mod states;
#[cfg(feature = "vault")]
pub mod status;
pub mod values;
mod weakened;
pub mod who_can_decrypt;
