//! What opens a SealedSecret: which keys we have (`identities`, `vault`), and the opening of data keys with them
//! (`opening`).

pub mod identities;
pub mod opening;
pub mod vault;
