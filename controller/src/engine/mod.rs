//! What any controller needs, whatever it looks after: what there is (`store`), what is to be done (`queue`), which
//! replica does it (`lease`), and what is said of the controller itself (`metrics`, `endpoints`).
//!
//! Nothing here knows a SealedSecret, a Secret or a key.

pub mod api;
pub mod bulk;
pub mod endpoints;
pub mod events;
pub mod health;
pub mod lease;
pub mod metrics;
#[cfg(test)]
pub mod mock;
pub mod object;
pub mod pieces;
pub mod queue;
pub mod retry;
pub mod store;
pub mod watch;
