//! The SealedSecret.

pub mod resource;
