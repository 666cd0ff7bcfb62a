//! What servers are asked for, and what they have answered. No worker waits for a server: an object whose answer takes
//! longer than a moment is put aside, and looked at again when the answer is there.
//!
//! What is put aside is bounded, in all and for each namespace; where there is no room in all, the namespace with the most
//! gives up some of it. Of each object there is one request at a time: a newer one
//! takes the place of an older one, which is then given up.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sealant::error::Result;
use sealant::secret::DataKey;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::engine::object::Ref;
use crate::engine::queue::Tenant;
use crate::keys::opening::{again, gone};
use crate::keys::wanted::{Print, Wanted};

/// How long a worker waits for a server: most answer within this.
const MOMENT: Duration = Duration::from_millis(100);

/// After an answer that took longer than a moment, nobody waits for one at all for so long.
const SLOW_FOR: Duration = Duration::from_secs(5);

/// After how long it is said of an object that there is no answer. It is still taken when it comes.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer is kept for somebody who does not come for it.
const KEPT: Duration = Duration::from_secs(600);

/// How many bytes of requests there may be, and how many of one namespace.
const MOST: usize = 16 << 20;
const MOST_OF_ONE: usize = MOST / 4;

/// The data keys that were wanted, in their order.
pub type Answer = Result<Vec<DataKey>>;

/// Where an answer will be. Without one at the end, the key service is gone.
pub type Awaited = watch::Receiver<Option<Answer>>;

/// What comes of a request.
pub enum Opening {
    Answered(Answer),
    /// A server has not answered for long. What it says is still taken when it comes.
    Unanswered,
    /// A server has not answered yet. When this ends, there is more to say.
    Later(BoxFuture<'static, ()>),
    /// Too much waits for servers already: nothing was asked.
    Full,
}

/// The requests to servers.
#[derive(Default)]
pub struct Asked(Mutex<State>);

#[derive(Default)]
struct State {
    requests: HashMap<Ref, Request>,
    weight: usize,
    weight_of: HashMap<String, usize>,
    /// When an answer was last not there after a moment.
    slow: Option<Instant>,
}

struct Request {
    prints: Vec<Print>,
    awaited: Awaited,
    since: Instant,
    weight: usize,
}

impl Asked {
    /// Asks for what is wanted, unless that was done before. Gives it back where there is no room.
    pub async fn ask(
        &self,
        wanted: Wanted,
        ask: impl FnOnce(Wanted) -> Awaited,
    ) -> Result<Opening, Box<Wanted>> {
        let object = wanted.object.clone();
        let (mut awaited, moment) = self.lock().begin(wanted, ask)?;
        if let Some(moment) = moment
            && timeout(moment, is_there(&mut awaited)).await.is_err()
        {
            self.lock().slow = Some(Instant::now());
        }
        Ok(self.lock().outcome(&object))
    }

    /// Forgets the request for an object that is gone.
    pub fn forget(&self, object: &Ref) {
        self.lock().remove(object);
    }

    /// Forgets all requests: the keys have changed.
    pub fn clear(&self) {
        *self.lock() = State::default();
    }

    /// Forgets answers that nobody has come for.
    pub fn sweep(&self) {
        let mut state = self.lock();
        let is_left = |request: &Request| request.answer().is_some() && request.since.elapsed() >= KEPT;
        let left = state.requests.iter().filter(|(_, request)| is_left(request));
        let left: Vec<Ref> = left.map(|(object, _)| object.clone()).collect();
        left.iter().for_each(|object| drop(state.remove(object)));
    }

    /// How many objects wait for servers.
    pub fn count(&self) -> usize {
        self.lock().requests.values().filter(|request| request.answer().is_none()).count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The request for what is wanted, and how long a worker may wait for it.
    fn begin(
        &mut self,
        wanted: Wanted,
        ask: impl FnOnce(Wanted) -> Awaited,
    ) -> Result<(Awaited, Option<Duration>), Box<Wanted>> {
        let prints = wanted.prints();
        if let Some(known) = self.requests.get(&wanted.object).filter(|known| known.prints == prints) {
            return Ok((known.awaited.clone(), None));
        }
        self.remove(&wanted.object);
        let (weight, tenant) = (wanted.weight(), wanted.tenant().to_owned());
        if !self.make_room(&tenant, weight) {
            return Err(Box::new(wanted));
        }
        self.weight += weight;
        *self.weight_of.entry(tenant).or_default() += weight;
        let object = wanted.object.clone();
        let awaited = ask(wanted);
        let request = Request { prints, awaited: awaited.clone(), since: Instant::now(), weight };
        self.requests.insert(object, request);
        let is_slow = self.slow.is_some_and(|since| since.elapsed() < SLOW_FOR);
        Ok((awaited, (!is_slow).then_some(MOMENT)))
    }

    /// What can be said now of the request for an object.
    fn outcome(&mut self, object: &Ref) -> Opening {
        let Some(request) = self.requests.get(object) else {
            // The keys have changed meanwhile.
            return Opening::Later(std::future::ready(()).boxed());
        };
        if let Some(answer) = request.answer() {
            self.remove(object);
            return Opening::Answered(answer);
        }
        let left = PATIENCE.saturating_sub(request.since.elapsed());
        if left.is_zero() {
            return Opening::Unanswered;
        }
        let mut awaited = request.awaited.clone();
        Opening::Later(async move { drop(timeout(left, is_there(&mut awaited)).await) }.boxed())
    }

    /// Whether there is room for so many bytes of a tenant. When all room is taken, the tenant with the most gives some up.
    fn make_room(&mut self, tenant: &str, weight: usize) -> bool {
        if !self.has_room(weight, MOST) || self.of(tenant) + weight > MOST_OF_ONE {
            self.unload_answered();
        }
        // What is alone has room, however large it is.
        if self.weight > 0 && self.of(tenant) + weight > MOST_OF_ONE {
            return false;
        }
        while !self.has_room(weight, MOST) {
            let largest = self.weight_of.iter().max_by_key(|(_, weight)| **weight);
            let Some((largest, _)) = largest.filter(|(_, most)| **most > self.of(tenant) + weight) else {
                return false;
            };
            let of_largest = self
                .requests
                .iter()
                .filter(|(object, request)| request.weight > 0 && object.tenant() == largest);
            // The newest has waited least.
            let newest = of_largest.max_by_key(|(_, request)| request.since);
            let Some(newest) = newest.map(|(object, _)| object.clone()) else { return false };
            self.remove(&newest);
        }
        true
    }

    fn has_room(&self, weight: usize, most: usize) -> bool {
        self.weight == 0 || self.weight + weight <= most
    }

    fn of(&self, tenant: &str) -> usize {
        self.weight_of.get(tenant).copied().unwrap_or_default()
    }

    /// What is answered is no request any more.
    fn unload_answered(&mut self) {
        let mut unloaded = Vec::new();
        for (object, request) in &mut self.requests {
            if request.weight > 0 && request.answer().is_some() {
                unloaded.push((object.clone(), std::mem::take(&mut request.weight)));
            }
        }
        unloaded.iter().for_each(|(object, weight)| self.unload(object.tenant(), *weight));
    }

    fn remove(&mut self, object: &Ref) -> Option<Request> {
        let request = self.requests.remove(object)?;
        self.unload(object.tenant(), request.weight);
        Some(request)
    }

    fn unload(&mut self, tenant: &str, less: usize) {
        self.weight -= less;
        if let Some(weight) = self.weight_of.get_mut(tenant) {
            *weight -= less;
            if *weight == 0 {
                self.weight_of.remove(tenant);
            }
        }
    }
}

impl Request {
    fn answer(&self) -> Option<Answer> {
        let will_be_none = self.awaited.has_changed().is_err();
        let answer = answer_of(&self.awaited);
        answer.or_else(|| will_be_none.then(|| Err(gone())))
    }
}

/// The answer, if it is there.
pub fn answer_of(awaited: &Awaited) -> Option<Answer> {
    match &*awaited.borrow() {
        Some(Ok(keys)) => Some(Ok(keys.clone())),
        Some(Err(error)) => Some(Err(again(error))),
        None => None,
    }
}

/// Waits until there is an answer, or will be none.
pub async fn is_there(awaited: &mut Awaited) {
    drop(awaited.wait_for(Option::is_some).await);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sealant::keys::{MasterKey, TransitKey, WrappedDataKey, WrappedKey};

    use super::*;
    use crate::engine::object::Key;

    fn wanted(namespace: &str, name: &str, enc: &str) -> Wanted {
        let key = MasterKey::Vault(TransitKey::new("https://vault", None, "transit", "shop").unwrap());
        let wrap = WrappedKey { key, enc: enc.to_owned(), entry: serde_json::Map::new() };
        let object = Ref { kind: "x", key: Key::new(namespace, name) };
        Wanted::new(object, vec![WrappedDataKey { groups: vec![vec![wrap]], threshold: 0 }])
    }

    fn ok(opening: Result<Opening, Box<Wanted>>) -> Opening {
        opening.unwrap_or(Opening::Full)
    }

    fn server() -> (watch::Sender<Option<Answer>>, Awaited) {
        watch::channel(None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_answer_is_waited_for_and_a_slow_one_is_not() {
        let asked = Asked::default();
        let (quick, awaited) = server();
        tokio::spawn(async move {
            tokio::time::sleep(MOMENT / 2).await;
            quick.send_replace(Some(Ok(vec![DataKey::generate()])));
        });
        let opening = ok(asked.ask(wanted("shop", "a", "1"), |_| awaited).await);
        assert!(matches!(opening, Opening::Answered(Ok(keys)) if keys.len() == 1));

        let start = Instant::now();
        let (slow, awaited) = server();
        let Ok(Opening::Later(later)) = asked.ask(wanted("shop", "a", "2"), |_| awaited).await else {
            panic!()
        };
        assert_eq!((start.elapsed(), asked.count()), (MOMENT, 1));
        // Now that one is slow, others do not wait at all.
        let (_other, awaited) = server();
        let opening = ok(asked.ask(wanted("shop", "b", "1"), |_| awaited).await);
        assert!(matches!(opening, Opening::Later(_)) && start.elapsed() == MOMENT);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            slow.send_replace(Some(Err(gone())));
        });
        later.await;
        assert_eq!(start.elapsed(), MOMENT + Duration::from_secs(2));
        // The answer is given once, to whom it was for.
        let not_asked = |_: Wanted| -> Awaited { panic!("asked twice") };
        let opening = ok(asked.ask(wanted("shop", "a", "2"), not_asked).await);
        assert!(matches!(opening, Opening::Answered(Err(_))) && asked.count() == 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_said_and_taken_all_the_same_when_it_comes() {
        let asked = Asked::default();
        let (server, awaited) = server();
        let Ok(Opening::Later(later)) = asked.ask(wanted("shop", "a", "1"), |_| awaited).await else {
            panic!()
        };
        later.await;
        let not_asked = |_: Wanted| -> Awaited { panic!("asked twice") };
        for _ in 0..2 {
            let opening = ok(asked.ask(wanted("shop", "a", "1"), not_asked).await);
            assert!(matches!(opening, Opening::Unanswered));
        }
        server.send_replace(Some(Ok(Vec::new())));
        let opening = ok(asked.ask(wanted("shop", "a", "1"), not_asked).await);
        assert!(matches!(opening, Opening::Answered(Ok(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_newer_request_gives_up_the_older_one() {
        let asked = Asked::default();
        let (old, awaited) = server();
        let opening = ok(asked.ask(wanted("shop", "a", "1"), |_| awaited).await);
        drop(opening);
        assert!(!old.is_closed());
        let (new, awaited) = server();
        new.send_replace(Some(Ok(Vec::new())));
        let opening = ok(asked.ask(wanted("shop", "a", "2"), |_| awaited).await);
        assert!(matches!(opening, Opening::Answered(Ok(_))) && old.is_closed());
        let (third, awaited) = server();
        drop(asked.ask(wanted("shop", "a", "3"), |_| awaited).await);
        asked.clear();
        assert!(third.is_closed() && asked.count() == 0);
    }

    /// However much one namespace has to ask: what waits is bounded, and another has room.
    #[tokio::test(start_paused = true)]
    async fn what_waits_is_bounded() {
        let asked = Asked::default();
        let asks = AtomicUsize::new(0);
        let mut servers = Vec::new();
        let fill = async |namespace: &str, servers: &mut Vec<_>| {
            for index in 0..100_000 {
                let opening = asked.ask(wanted(namespace, &index.to_string(), &"x".repeat(4096)), |_| {
                    let (server, awaited) = server();
                    servers.push(server);
                    asks.fetch_add(1, Ordering::SeqCst);
                    awaited
                });
                if opening.await.is_err() {
                    return index;
                }
            }
            panic!("no bound");
        };
        let first = fill("a", &mut servers).await;
        let second = fill("b", &mut servers).await;
        assert!(first > 100 && first == second, "{first} {second}");
        assert_eq!(asks.load(Ordering::SeqCst), first + second);
        // Where four have all, a fifth takes from them until it has as much as each.
        let mut more = Vec::new();
        for namespace in ["c", "d", "e"] {
            fill(namespace, &mut more).await;
        }
        let of = |namespace: &str| asked.lock().of(namespace);
        assert!(asked.lock().weight <= MOST && of("e") > MOST / 6 && of("a") > MOST / 6);
        for namespace in ["c", "d", "e"] {
            (0..first).for_each(|index| asked.forget(&wanted(namespace, &index.to_string(), "").object));
        }
        assert!(of("e") == 0 && more.iter().all(watch::Sender::is_closed));
        let [first, second] = ["a", "b"].map(|namespace| {
            asked.lock().requests.keys().filter(|object| object.tenant() == namespace).count()
        });
        servers.retain(|server| !server.is_closed());
        // What nobody has come for takes no room, is forgotten after a while, and what is not answered is not.
        for server in &servers[..first] {
            server.send_replace(Some(Ok(Vec::new())));
        }
        let before = asked.lock().of("a");
        asked.lock().unload_answered();
        assert!(before > 0 && of("a") == 0);
        tokio::time::advance(KEPT).await;
        asked.sweep();
        let state = asked.lock();
        assert!(state.requests.len() == second && state.weight == state.weight_of["b"]);
        assert_eq!(state.weight_of.len(), 1);
    }
}
