//! What servers are asked for, and what they have answered. No worker waits for a server: an object whose answer takes
//! longer than a moment is put aside, and looked at again when the answer is there.
//!
//! What is put aside is bounded, in all and for each namespace. Of each object there is one request at a time: a newer one
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
    /// Asks for what is wanted, unless that was done before.
    pub async fn ask(&self, wanted: Wanted, ask: impl FnOnce(Wanted) -> Awaited) -> Opening {
        let object = wanted.object.clone();
        let (mut awaited, moment) = match self.lock().begin(wanted, ask) {
            Ok(begun) => begun,
            Err(opening) => return opening,
        };
        if let Some(moment) = moment
            && timeout(moment, is_there(&mut awaited)).await.is_err()
        {
            self.lock().slow = Some(Instant::now());
        }
        self.lock().outcome(&object)
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
    /// The request for what is wanted, and how long a worker may wait for it; or what can be said at once.
    fn begin(
        &mut self,
        wanted: Wanted,
        ask: impl FnOnce(Wanted) -> Awaited,
    ) -> Result<(Awaited, Option<Duration>), Opening> {
        let prints = wanted.prints();
        if let Some(known) = self.requests.get(&wanted.object).filter(|known| known.prints == prints) {
            return Ok((known.awaited.clone(), None));
        }
        self.remove(&wanted.object);
        let (weight, tenant) = (wanted.weight(), wanted.tenant().to_owned());
        let of_tenant = self.weight_of.get(&tenant).copied().unwrap_or_default();
        // What is alone has room, however large it is.
        if self.weight > 0 && (self.weight + weight > MOST || of_tenant + weight > MOST_OF_ONE) {
            return Err(Opening::Full);
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

    fn remove(&mut self, object: &Ref) -> Option<Request> {
        let request = self.requests.remove(object)?;
        self.weight -= request.weight;
        if let Some(weight) = self.weight_of.get_mut(object.tenant()) {
            *weight -= request.weight;
            if *weight == 0 {
                self.weight_of.remove(object.tenant());
            }
        }
        Some(request)
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
    use std::sync::Arc;
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
        let opening = asked.ask(wanted("shop", "a", "1"), |_| awaited).await;
        assert!(matches!(opening, Opening::Answered(Ok(keys)) if keys.len() == 1));

        let start = Instant::now();
        let (slow, awaited) = server();
        let Opening::Later(later) = asked.ask(wanted("shop", "a", "2"), |_| awaited).await else { panic!() };
        assert_eq!((start.elapsed(), asked.count()), (MOMENT, 1));
        // Now that one is slow, others do not wait at all.
        let (_other, awaited) = server();
        let opening = asked.ask(wanted("shop", "b", "1"), |_| awaited).await;
        assert!(matches!(opening, Opening::Later(_)) && start.elapsed() == MOMENT);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            slow.send_replace(Some(Err(gone())));
        });
        later.await;
        assert_eq!(start.elapsed(), MOMENT + Duration::from_secs(2));
        // The answer is given once, to whom it was for.
        let not_asked = |_: Wanted| -> Awaited { panic!("asked twice") };
        let opening = asked.ask(wanted("shop", "a", "2"), not_asked).await;
        assert!(matches!(opening, Opening::Answered(Err(_))) && asked.count() == 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_said_and_taken_all_the_same_when_it_comes() {
        let asked = Asked::default();
        let (server, awaited) = server();
        let Opening::Later(later) = asked.ask(wanted("shop", "a", "1"), |_| awaited).await else { panic!() };
        later.await;
        let not_asked = |_: Wanted| -> Awaited { panic!("asked twice") };
        for _ in 0..2 {
            let opening = asked.ask(wanted("shop", "a", "1"), not_asked).await;
            assert!(matches!(opening, Opening::Unanswered));
        }
        server.send_replace(Some(Ok(Vec::new())));
        let opening = asked.ask(wanted("shop", "a", "1"), not_asked).await;
        assert!(matches!(opening, Opening::Answered(Ok(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_newer_request_gives_up_the_older_one() {
        let asked = Asked::default();
        let (old, awaited) = server();
        let opening = asked.ask(wanted("shop", "a", "1"), |_| awaited).await;
        drop(opening);
        assert!(!old.is_closed());
        let (new, awaited) = server();
        new.send_replace(Some(Ok(Vec::new())));
        let opening = asked.ask(wanted("shop", "a", "2"), |_| awaited).await;
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
                if matches!(opening.await, Opening::Full) {
                    return index;
                }
            }
            panic!("no bound");
        };
        let first = fill("a", &mut servers).await;
        let second = fill("b", &mut servers).await;
        assert!(first > 100 && first == second, "{first} {second}");
        assert_eq!(asks.load(Ordering::SeqCst), first + second);
        // What nobody has come for is forgotten after a while, and what is not answered is not.
        for server in &servers[..first] {
            server.send_replace(Some(Ok(Vec::new())));
        }
        tokio::time::advance(KEPT).await;
        asked.sweep();
        let asked = Arc::new(asked);
        let state = asked.lock();
        assert!(state.requests.len() == second && state.weight == state.weight_of["b"]);
        assert_eq!(state.weight_of.len(), 1);
    }
}
