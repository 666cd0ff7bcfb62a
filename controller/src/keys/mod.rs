//! What opens data keys: which keys we have (`identities`, `vault`), the opening with them of what is `wanted` (`opening`),
//! and what servers are `asked` for meanwhile.

pub mod asked;
pub mod identities;
pub mod metrics;
pub mod opening;
pub mod vault;
pub mod wanted;
