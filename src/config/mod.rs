//! Creation rules: the config that says, by path, which master keys and which leaves.

pub(crate) mod re2;
mod selection;

pub use selection::{Selection, SelectionKind};
