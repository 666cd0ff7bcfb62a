//! The managed Secret, whatever kind of object asks for it.
//!
//! What to do about it (`decide`, without a cluster), doing it (`write`, the only place that writes), and saying what came of
//! it (`reason`, `status`). `reconcile` puts them together for one object.

pub mod decide;
pub mod memory;
pub mod reason;
pub mod reconcile;
pub mod secret;
pub mod slim;
pub mod status;
pub mod write;
