//! The managed Secret, whatever kind of object asks for it.
//!
//! What to do about it (`decide`, without a cluster), doing it (`write`, the only place that writes), and saying what came of
//! it (`reason`, `status`, which is `kstatus` where a kind has no other form). `reconcile` puts them together for one object; [`Reconcile`] is what `run` sees of a kind.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use tokio::sync::watch;

use crate::engine::object::Key;
use crate::engine::queue::Lane;
use crate::engine::store::Listed;
use crate::managed::slim::Keys;

pub mod decide;
pub mod kstatus;
pub mod memory;
pub mod reason;
pub mod reconcile;
pub mod rooms;
pub mod secret;
pub mod slim;
pub mod status;
pub mod write;

/// When to look at an object again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// When something changes.
    Wait,
    /// Soon: nothing is wrong with it.
    Soon(Duration),
    /// Later, even if nothing changes, within the quota of what is wrong.
    Retry(Duration),
}

/// Which objects of a kind are watched.
#[derive(Debug, Clone)]
pub struct Place {
    /// Of this watch, among those of its kind.
    pub index: u32,
    /// Empty for all namespaces.
    pub namespace: String,
    pub selector: Option<String>,
}

/// Takes objects that are to be looked at.
pub type Tell = Box<dyn Fn(Key, Lane) + Send + Sync>;

/// A kind of object that is looked after.
pub trait Reconcile: Send + Sync {
    /// As metrics and logs call it.
    fn kind(&self) -> &'static str;

    /// Watches its objects, and tells which are to be looked at while this replica leads.
    fn watch(self: Arc<Self>, place: Place, tell: Tell) -> BoxFuture<'static, ()>;

    /// Looks at one object.
    fn reconcile<'r>(&'r self, key: &'r Key) -> BoxFuture<'r, Next>;

    /// The Secret of this key has another version now, or none: after how long its object is to be looked at, if it is one
    /// of ours.
    fn saw_secret(&self, key: &Key, version: Option<&str>) -> Option<Duration>;

    /// Whether the Secrets that are made carry the label by which they are watched.
    fn is_labelled(&self) -> bool;

    /// How far its objects, and the keys that they are opened with, are known.
    fn listed(&self) -> Listed;

    /// What goes on beside its objects, on each replica. Where it ends, the controller does.
    fn run(self: Arc<Self>) -> BoxFuture<'static, ()>;

    /// Whether that goes on.
    fn is_alive(&self) -> bool;

    /// Does what only the replica that leads does beside its objects. Returns after how long it is to be done again, though
    /// nothing has changed.
    fn lead(&self) -> BoxFuture<'_, anyhow::Result<Option<Duration>>>;

    /// All that are known.
    fn objects(&self) -> Vec<Key>;

    /// Whether all that is to be done for an object is not urgent: its Secret is as an older release has made it.
    fn is_outdated(&self, key: &Key) -> bool;

    /// The keys that its objects are opened with, if they take any: when they change, everything is looked at again.
    fn keys(&self) -> Option<watch::Receiver<Keys>>;

    /// Forgets what it knows: another replica may have changed everything.
    fn forget_all(&self);

    /// Counts objects by what is said of them; one that does not lead says nothing.
    fn count(&self, leads: bool);
}
