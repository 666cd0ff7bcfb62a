//! The SealedSecret.

pub mod ask;
pub mod resource;
