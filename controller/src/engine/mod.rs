//! What any controller needs, whatever it looks after: what there is (`store`), what is to be done (`queue`), which
//! replica does it (`lease`), and what is said of the controller itself (`metrics`, `endpoints`).
//!
//! Nothing here knows a SealedSecret, a Secret or a key.

pub mod endpoints;
pub mod lease;
pub mod metrics;
pub mod queue;
pub mod store;
