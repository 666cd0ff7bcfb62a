//! What asks for a Secret: a folder for each kind of resource.

pub mod sealed;
