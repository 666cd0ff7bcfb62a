//! Room for what is large: so many bytes are in work at once, and namespaces take turns.
//!
//! Who finds no room waits in a line, without a worker, and is called when it is their turn and there is room. Nobody passes
//! them meanwhile: whoever has many large objects waits for themselves. One that is called and does not come is passed over.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::object::Key;
use crate::engine::queue::Line;

/// How long one that is called may keep others waiting.
const PATIENCE: Duration = Duration::from_secs(2);

/// Room for large objects of one kind.
pub struct Bulk {
    state: Mutex<State>,
    most: u32,
    call: Box<dyn Fn(Key) + Send + Sync>,
}

struct State {
    left: u32,
    line: Line<Key>,
    /// Those that wait, in the line or called, and what they weigh.
    waiting: HashMap<Key, u32>,
    /// Whose turn it is, and since when they know.
    next: Option<(Key, Option<Instant>)>,
}

/// Room that one has, until this is dropped.
pub struct Seat<'b> {
    bulk: &'b Bulk,
    weight: u32,
}

impl Bulk {
    /// Room for so many bytes; `call` brings an object back whose turn it is.
    pub fn new(most: u32, call: impl Fn(Key) + Send + Sync + 'static) -> Self {
        let state = State { left: most, line: Line::new(), waiting: HashMap::new(), next: None };
        Self { state: Mutex::new(state), most, call: Box::new(call) }
    }

    /// Takes room; `None` where it has to wait, until it is called.
    pub fn enter(&self, key: &Key, weight: u32) -> Option<Seat<'_>> {
        let weight = weight.min(self.most);
        let mut state = self.lock();
        state.pass_over_who_does_not_come(Instant::now());
        let seat = match state.may_enter(key, weight) {
            true => {
                state.left -= weight;
                state.forget(key);
                Some(Seat { bulk: self, weight })
            }
            false => {
                state.wait(key, weight);
                None
            }
        };
        self.call_next(state);
        seat
    }

    /// It wants no room any more.
    pub fn leave(&self, key: &Key) {
        let mut state = self.lock();
        if state.waiting.contains_key(key) {
            state.forget(key);
            self.call_next(state);
        }
    }

    /// Nobody waits any more.
    pub fn clear(&self) {
        let mut state = self.lock();
        (state.line, state.next) = (Line::new(), None);
        state.waiting.clear();
    }

    fn call_next(&self, mut state: MutexGuard<'_, State>) {
        let called = state.call(Instant::now());
        drop(state);
        called.into_iter().for_each(&self.call);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = self.bulk.lock();
        state.left += self.weight;
        self.bulk.call_next(state);
    }
}

impl State {
    fn may_enter(&self, key: &Key, weight: u32) -> bool {
        let is_next = self.next.as_ref().map_or(self.waiting.is_empty(), |(next, _)| next == key);
        is_next && weight <= self.left
    }

    fn wait(&mut self, key: &Key, weight: u32) {
        if self.waiting.insert(key.clone(), weight).is_none() {
            self.line.push(key.clone());
        } else if let Some((next, since)) = &mut self.next
            && next == key
        {
            // It has grown, and is called again when there is room.
            *since = None;
        }
    }

    fn forget(&mut self, key: &Key) {
        self.waiting.remove(key);
        self.next.take_if(|(next, _)| *next == *key);
    }

    fn pass_over_who_does_not_come(&mut self, now: Instant) {
        let is_late = |since: Instant| now.saturating_duration_since(since) > PATIENCE;
        if let Some((late, _)) = self.next.take_if(|(_, since)| since.is_some_and(is_late)) {
            self.waiting.remove(&late);
        }
    }

    /// Who is to be called now.
    fn call(&mut self, now: Instant) -> Option<Key> {
        while self.next.is_none() {
            let key = self.line.pop()?;
            if self.waiting.contains_key(&key) {
                self.next = Some((key, None));
            }
        }
        let (key, since) = self.next.as_mut()?;
        let has_room = self.waiting.get(key).is_some_and(|weight| *weight <= self.left);
        (has_room && since.is_none()).then(|| {
            *since = Some(now);
            key.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn bulk() -> (Bulk, Arc<Mutex<Vec<String>>>) {
        let called = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&called);
        (Bulk::new(8, move |key| heard.lock().unwrap().push(key.to_string())), called)
    }

    fn key(text: &str) -> Key {
        let (namespace, name) = text.split_once('/').unwrap();
        Key::new(namespace, name)
    }

    /// One with a hundred large objects takes every second turn, and nobody who comes meanwhile takes the room of one that waits.
    #[tokio::test]
    async fn namespaces_take_turns_and_nobody_passes() {
        let (bulk, called) = bulk();
        let mut seat = bulk.enter(&key("hostile/0"), 8);
        assert!(seat.is_some());
        for name in 1..100 {
            assert!(bulk.enter(&key(&format!("hostile/{name}")), 8).is_none());
        }
        for name in ["shop/a", "shop/b"] {
            assert!(bulk.enter(&key(name), 5).is_none());
        }
        let mut order = Vec::new();
        for _ in 0..5 {
            drop(seat.take());
            let next = called.lock().unwrap().pop().unwrap();
            // There is room for this one, and it is not its turn.
            assert!(bulk.enter(&key("hostile/new"), 1).is_none());
            seat = bulk.enter(&key(&next), if next.starts_with("shop") { 5 } else { 8 });
            assert!(seat.is_some() && called.lock().unwrap().is_empty(), "{next}");
            order.push(next);
        }
        assert_eq!(order, ["hostile/1", "hostile/2", "shop/a", "hostile/3", "shop/b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_called_and_goes_or_does_not_come_keeps_nobody_waiting() {
        let (bulk, called) = bulk();
        let seat = bulk.enter(&key("a/1"), 8);
        for name in ["b/gone", "c/late", "d/x"] {
            assert!(bulk.enter(&key(name), 8).is_none());
        }
        drop(seat);
        bulk.leave(&key("b/gone"));
        tokio::time::advance(PATIENCE * 2).await;
        // Who looks again finds that out.
        assert!(bulk.enter(&key("d/x"), 8).is_none());
        assert_eq!(*called.lock().unwrap(), ["b/gone", "c/late", "d/x"]);
        assert!(bulk.enter(&key("d/x"), 99).is_some());
    }
}
