//! Which kind has room in a Secret of somebody else: one at a time. The API server knows all of us by one name, and would take
//! away what the first has put there when the second comes, and the other way round, for ever.
//!
//! It is known while this replica leads: after that, whoever comes first has the room.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::object::Key;

/// The rooms that are taken, each by the kind of this name.
#[derive(Debug, Default)]
pub struct Rooms(Mutex<HashMap<Key, &'static str>>);

impl Rooms {
    /// Takes the room in a Secret; returns who has it, if that is another kind.
    pub fn enter(&self, key: &Key, kind: &'static str) -> Option<&'static str> {
        let holder = *self.lock().entry(key.clone()).or_insert(kind);
        (holder != kind).then_some(holder)
    }

    /// The object of this kind is gone, or needs no room any more.
    pub fn leave(&self, key: &Key, kind: &'static str) {
        let mut rooms = self.lock();
        if rooms.get(key) == Some(&kind) {
            rooms.remove(key);
        }
    }

    pub fn leave_all(&self, kind: &'static str) {
        self.lock().retain(|_, holder| *holder != kind);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, &'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
