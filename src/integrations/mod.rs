//! Other programs that deploy what is encrypted: one file per contract, above what they share.
//!
//! Nothing here decides for whom something is encrypted, and nothing leaves it with a ciphertext in the place of a value.

pub mod argocd;
pub mod ksops;
mod objects;
mod place;

pub use objects::{Objects, joined};
pub use place::Place;
