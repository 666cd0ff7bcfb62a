//! Opens data keys, those of many objects in one request, and remembers them for a while. Knows no kind of object.
//!
//! Lives on a thread of its own: work on age keys blocks it, and nothing else. What was opened before, or opens with age
//! keys, waits for no server. Objects that need the same Vault servers are opened together, and wait for no others; nor
//! does a worker wait for them (see [`asked`](crate::keys::asked)).
//!
//! Whoever writes an object decides what there is to try, and so how much is tried has a bound; what did not open is not
//! tried again before the keys change; namespaces take turns; and a panic is one object's.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use sealant::error::{Error, Kind, Result};
use sealant::keys::{KeyService, WrappedDataKey};
use sealant::secret::DataKey;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::engine::health::Pulse;
use crate::engine::object::Ref;
use crate::engine::queue::{Line, Tenant};
use crate::keys::asked::{Answer, Asked, Awaited, Opening, answer_of, is_there};
use crate::keys::metrics::{ByOrigin, ByOutcome, KeyMetrics};
use crate::keys::wanted::{LONGEST_TRIED, Print, Wanted};

/// How long an opened data key is remembered, and thereby how long a revocation in Vault may take.
const MEMORY: Duration = Duration::from_secs(600);

/// How many data keys are remembered.
const MOST_REMEMBERED: usize = 20_000;

/// How many failures are remembered.
const MOST_FAILURES: usize = 2_000;

/// How often what is remembered is looked through.
const SWEEP: Duration = Duration::from_secs(10);

/// How many wraps of a data key are tried for recipients whose identity we have, and for others: a recipient that is
/// written beside a wrap is a hint, no more.
const MOST_OURS: usize = 64;
const MOST_OTHERS: usize = 32;

/// How long all that is tried in one request may be, unless it is one object's.
const LONGEST_BATCH: usize = 256 << 10;

/// How many objects are opened in one request.
const BATCH: usize = 256;

/// How long a request waits for others that could go with it.
const LINGER: Duration = Duration::from_millis(5);

/// How many groups of servers are asked side by side. Whoever writes objects can name any number of them.
const MOST_LANES: usize = 1000;

/// Makes the key service, on the thread that it stays on.
pub type MakeService = Box<dyn FnOnce() -> KeyService<'static> + Send>;

/// The keys that we have.
pub struct Keyring {
    pub make: MakeService,
    /// Whose identities they are.
    pub recipients: BTreeSet<String>,
}

/// Opens data keys.
#[derive(Clone)]
pub struct Opener {
    requests: mpsc::UnboundedSender<Request>,
    asked: Arc<Asked>,
}

/// What may be asked to open something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// What is remembered, and the identities here.
    Here,
    Servers,
}

enum Request {
    Open(Wanted, Reach, watch::Sender<Option<Answer>>),
    Use(Keyring),
}

impl Opener {
    /// An opener that has no identities yet.
    pub fn start(metrics: KeyMetrics, pulse: Pulse) -> std::io::Result<Self> {
        let (requests, inbox) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asked = Arc::<Asked>::default();
        let shared = Arc::clone(&asked);
        let run = move || {
            let served = serve(inbox, metrics, pulse, shared);
            runtime.block_on(tokio::task::LocalSet::new().run_until(served));
        };
        std::thread::Builder::new().name("opening".to_owned()).spawn(run)?;
        Ok(Self { requests, asked })
    }

    /// Opens the data keys of an object. Waits for what takes no server, and for servers no longer than a moment.
    pub async fn open(&self, wanted: Wanted) -> Opening {
        if wanted.servers().is_empty() {
            let answer = self.open_here(wanted).await;
            return Opening::Answered(answer.unwrap_or_else(|| Err(gone())));
        }
        match self.asked.ask(wanted, |wanted| self.send(wanted, Reach::Servers)).await {
            Ok(opening) => opening,
            // What was opened before, or opens with age keys, needs no room.
            Err(wanted) => self.open_here(*wanted).await.map_or(Opening::Full, Opening::Answered),
        }
    }

    /// Opens what takes no server; `None` if it takes one.
    async fn open_here(&self, wanted: Wanted) -> Option<Answer> {
        let mut awaited = self.send(wanted, Reach::Here);
        is_there(&mut awaited).await;
        answer_of(&awaited)
    }

    /// Forgets what was asked for an object that is gone.
    pub fn forget(&self, object: &Ref) {
        self.asked.forget(object);
    }

    fn send(&self, wanted: Wanted, reach: Reach) -> Awaited {
        let (reply, awaited) = watch::channel(None);
        // Without a receiver the reply goes as well.
        let _ = self.requests.send(Request::Open(wanted, reach, reply));
        awaited
    }

    /// Waits until nothing can be opened any more, which should never be.
    pub async fn has_ended(&self) {
        self.requests.closed().await;
    }

    /// Uses other identities from now on, and forgets what was opened with the old ones.
    pub fn replace(&self, keyring: Keyring) {
        let _ = self.requests.send(Request::Use(keyring));
        self.asked.clear();
    }
}

/// There is no answer.
pub fn gone() -> Error {
    Error::new(Kind::NoDataKey, "the key service gave no answer").passing(true)
}

fn panicked() -> Error {
    Error::new(Kind::Decrypt, "the controller fails on it: this is a bug in the controller")
}

/// The key service and what it has opened.
struct Keys {
    service: KeyService<'static>,
    recipients: BTreeSet<String>,
    memory: RefCell<Memory>,
    metrics: KeyMetrics,
}

/// An object whose data keys are to be opened, with the keys that we had when it came.
#[derive(Clone)]
struct Job {
    keys: Rc<Keys>,
    wanted: Rc<Wanted>,
    reach: Reach,
    reply: Reply,
}

impl Tenant for Job {
    fn tenant(&self) -> &str {
        self.wanted.tenant()
    }
}

/// Who waits for it, until they have an answer.
#[derive(Clone)]
struct Reply(Rc<watch::Sender<Option<Answer>>>);

impl Reply {
    fn send(&self, answer: Answer) {
        self.0.send_replace(Some(answer));
    }

    fn is_wanted(&self) -> bool {
        !self.0.is_closed() && self.0.borrow().is_none()
    }
}

/// The servers that an object may need.
type Servers = BTreeSet<String>;

async fn serve(
    mut inbox: mpsc::UnboundedReceiver<Request>,
    metrics: KeyMetrics,
    pulse: Pulse,
    asked: Arc<Asked>,
) {
    let mut keys: Option<Rc<Keys>> = None;
    let (remaining, for_servers) = mpsc::unbounded_channel();
    let first = start_lane(Stage::WithoutServers(remaining), &metrics);
    tokio::task::spawn_local(ask_servers(for_servers, metrics.clone()));
    let mut sweeps = tokio::time::interval(SWEEP);
    while !first.is_closed() {
        pulse.beat();
        let request = tokio::select! {
            request = inbox.recv() => request,
            _ = sweeps.tick() => {
                keys.iter().for_each(|keys| keys.memory.borrow_mut().sweep());
                asked.sweep();
                metrics.waiting_for_vault.set(i64::try_from(asked.count()).unwrap_or(i64::MAX));
                continue;
            }
        };
        match (request, &keys) {
            (None, _) => return,
            (Some(Request::Use(Keyring { make, recipients })), _) => {
                let metrics = metrics.clone();
                keys =
                    Some(Rc::new(Keys { service: make(), recipients, memory: RefCell::default(), metrics }));
            }
            // The reply goes unanswered, and the caller sees that.
            (Some(Request::Open(..)), None) => {}
            // If the thread is gone, the reply goes with the job.
            (Some(Request::Open(wanted, reach, reply)), Some(keys)) => {
                let (wanted, reply) = (Rc::new(wanted), Reply(Rc::new(reply)));
                drop(first.send(Job { keys: Rc::clone(keys), wanted, reach, reply }));
            }
        }
    }
}

/// Hands out what needs a server, to a lane for each group of servers.
async fn ask_servers(mut inbox: mpsc::UnboundedReceiver<Job>, metrics: KeyMetrics) {
    let mut lanes: HashMap<Servers, mpsc::UnboundedSender<Job>> = HashMap::new();
    while let Some(job) = inbox.recv().await {
        let asked: Servers = job.wanted.servers().into_iter().map(str::to_owned).collect();
        if lanes.len() >= MOST_LANES && !lanes.contains_key(&asked) {
            // Each ends when it has done what it was given.
            lanes.clear();
        }
        let sender = lanes.entry(asked).or_insert_with(|| start_lane(Stage::WithServers, &metrics));
        if sender.is_closed() {
            *sender = start_lane(Stage::WithServers, &metrics);
        }
        let _ = sender.send(job);
    }
}

/// What a lane does.
enum Stage {
    /// Opens what takes no server, and passes on what is left.
    WithoutServers(mpsc::UnboundedSender<Job>),
    WithServers,
}

fn start_lane(stage: Stage, metrics: &KeyMetrics) -> mpsc::UnboundedSender<Job> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::task::spawn_local(serve_lane(receiver, stage, metrics.clone()));
    sender
}

async fn serve_lane(mut inbox: mpsc::UnboundedReceiver<Job>, stage: Stage, metrics: KeyMetrics) {
    let mut line = Line::new();
    while let Some(job) = inbox.recv().await {
        line.push(job);
        tokio::time::sleep(LINGER).await;
        loop {
            while let Ok(job) = inbox.try_recv() {
                line.push(job);
            }
            let batch = next_batch(&mut line);
            if batch.is_empty() {
                break;
            }
            if AssertUnwindSafe(serve_batch(&batch, &stage)).catch_unwind().await.is_ok() {
                continue;
            }
            // One of them does it; the others have nothing to do with that.
            for job in batch.into_iter().filter(|job| job.reply.is_wanted()) {
                let alone = [job];
                if AssertUnwindSafe(serve_batch(&alone, &stage)).catch_unwind().await.is_err() {
                    metrics.panics.inc();
                    alone[0].reply.send(Err(panicked()));
                }
            }
        }
    }
}

/// Those that are opened together: one of each namespace in turn, and not too much to try.
fn next_batch(line: &mut Line<Job>) -> Vec<Job> {
    let (mut batch, mut length) = (Vec::new(), 0);
    while batch.len() < BATCH && length < LONGEST_BATCH {
        let Some(job) = line.pop() else { break };
        if job.reply.is_wanted() {
            length += job.wanted.length_tried();
            batch.push(job);
        }
    }
    batch
}

/// An object of this name makes tests panic.
#[cfg(test)]
const PANICS: &str = "this panics";

async fn serve_batch(batch: &[Job], stage: &Stage) {
    #[cfg(test)]
    assert!(batch.iter().all(|job| job.wanted.object.key.name() != PANICS));
    let mut by_keys: Vec<(Rc<Keys>, Vec<Job>)> = Vec::new();
    for job in batch {
        match by_keys.iter_mut().find(|(keys, _)| Rc::ptr_eq(keys, &job.keys)) {
            Some((_, jobs)) => jobs.push(job.clone()),
            None => by_keys.push((Rc::clone(&job.keys), vec![job.clone()])),
        }
    }
    for (keys, mut jobs) in by_keys {
        let mut just_opened = 0;
        if let Stage::WithoutServers(remaining) = stage {
            let left;
            (left, jobs) = jobs.into_iter().partition(|job| !job.wanted.servers().is_empty());
            just_opened = keys.open_without_servers(&left).await;
            for job in left {
                match keys.remembers(&job.wanted) {
                    true => jobs.push(job),
                    false if job.reach == Reach::Here => {}
                    false => drop(remaining.send(job)),
                }
            }
        }
        keys.open(&jobs, just_opened).await;
    }
}

impl Keys {
    /// Whether nothing has to be opened for an object any more.
    fn remembers(&self, wanted: &Wanted) -> bool {
        let memory = self.memory.borrow();
        wanted.keys().all(|(_, print)| memory.get(print).is_some())
    }

    /// Opens with age keys alone what others wrap, too, and remembers it. Returns how many data keys that were.
    async fn open_without_servers(&self, batch: &[Job]) -> usize {
        let wanted = batch.iter().flat_map(|job| job.wanted.keys());
        let missing = wanted.filter(|(_, print)| self.memory.borrow_mut().is_first_try(print));
        let requests: Vec<_> = missing
            .filter_map(|(wrapped, print)| {
                Some((self.within_bounds(without_servers(wrapped.clone())?), *print))
            })
            .collect();
        if requests.is_empty() {
            return 0;
        }
        let wrapped: Vec<&WrappedDataKey> = requests.iter().map(|(wrapped, _)| wrapped).collect();
        let answers = self.service.unwrap_many(&wrapped).await;
        self.service.forget();
        let mut opened = 0;
        for ((_, print), answer) in requests.iter().zip(answers) {
            if let Ok(key) = answer {
                opened += 1;
                self.memory.borrow_mut().put(*print, key);
            }
        }
        self.count("age", opened);
        opened
    }

    async fn open(&self, batch: &[Job], just_opened: usize) {
        let is_known = |print: &Print| self.memory.borrow().knows(print);
        let wanted: Vec<_> = batch.iter().flat_map(|job| job.wanted.keys()).collect();
        let missing: Vec<_> = wanted.iter().copied().filter(|(_, print)| !is_known(print)).collect();
        self.count("memory", (wanted.len() - missing.len()).saturating_sub(just_opened));
        let requests: Vec<WrappedDataKey> =
            missing.iter().map(|(wrapped, _)| self.within_bounds((*wrapped).clone())).collect();
        let begun = Instant::now();
        let answers = match requests.is_empty() {
            true => Vec::new(),
            false => self.service.unwrap_many(&requests.iter().collect::<Vec<_>>()).await,
        };
        if requests.iter().any(has_servers) {
            self.observe_servers(begun.elapsed(), &answers);
        }
        for (request, _) in requests.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()) {
            self.count(opened_by(request), 1);
        }
        // What a namespace may see is remembered here, and not by the service, which knows no namespaces.
        self.service.forget();
        let mut answered: HashMap<Print, Result<DataKey>> = HashMap::new();
        for ((wrapped, print), answer) in missing.into_iter().zip(answers) {
            match &answer {
                Ok(key) => self.memory.borrow_mut().put(*print, key.clone()),
                // What a server says may be otherwise in a moment.
                Err(error) if error.may_pass() || has_servers(wrapped) => {}
                Err(error) => self.memory.borrow_mut().put_failure(*print, again(error)),
            }
            answered.insert(*print, answer);
        }
        for job in batch {
            job.reply.send(self.opened(&job.wanted, &answered));
        }
    }

    fn count(&self, from: &'static str, count: usize) {
        self.metrics.data_keys.get_or_create(&ByOrigin { from }).inc_by(count as u64);
    }

    /// How long servers took, by the worst that they have said.
    fn observe_servers(&self, took: Duration, answers: &[Result<DataKey>]) {
        let errors = || answers.iter().filter_map(|answer| answer.as_ref().err());
        let outcome = match errors().count() {
            0 => "opened",
            _ if errors().any(Error::may_pass) => "unavailable",
            _ => "refused",
        };
        self.metrics.vault_seconds.get_or_create(&ByOutcome { outcome }).observe(took.as_secs_f64());
    }

    fn opened(&self, wanted: &Wanted, answered: &HashMap<Print, Result<DataKey>>) -> Answer {
        let open = |(_, print)| match answered.get(print) {
            Some(Ok(key)) => Ok(key.clone()),
            Some(Err(error)) => Err(again(error)),
            None => self.memory.borrow().answer(print).unwrap_or_else(|| Err(gone())),
        };
        wanted.keys().map(open).collect()
    }

    /// A data key with as many of its wraps as are tried: those for recipients whose identity we have come first.
    fn within_bounds(&self, mut wrapped: WrappedDataKey) -> WrappedDataKey {
        let (mut ours, mut others, mut length) = (MOST_OURS, MOST_OTHERS, LONGEST_TRIED);
        for own in [true, false] {
            let left = if own { &mut ours } else { &mut others };
            for group in &mut wrapped.groups {
                group.retain(|wrap| {
                    let is_age = wrap.key.recipient().is_some();
                    if !is_age || self.recipients.contains(wrap.key.id()) != own {
                        return true;
                    }
                    let fits = *left > 0 && wrap.enc.len() <= length;
                    if fits {
                        *left -= 1;
                        length -= wrap.enc.len();
                    }
                    fits
                });
            }
        }
        wrapped
    }
}

/// What opens a data key, as metrics have it: where servers have keys for it, they do.
fn opened_by(wrapped: &WrappedDataKey) -> &'static str {
    let keys = || wrapped.groups.iter().flatten().map(|wrap| &wrap.key);
    match (keys().any(|key| key.transit().is_some()), keys().any(|key| key.server().is_some())) {
        (true, _) => "vault",
        (false, true) => "kms",
        (false, false) => "age",
    }
}

fn has_servers(wrapped: &WrappedDataKey) -> bool {
    wrapped.groups.iter().flatten().any(|wrap| wrap.key.server().is_some())
}

/// What can be opened of a data key without asking a server, if it can.
fn without_servers(mut wrapped: WrappedDataKey) -> Option<WrappedDataKey> {
    for group in &mut wrapped.groups {
        group.retain(|wrap| wrap.key.server().is_none());
    }
    let open = wrapped.groups.iter().filter(|group| !group.is_empty()).count();
    (open > 0 && open >= wrapped.required()).then_some(wrapped)
}

/// An error said once more, for another object.
pub fn again(error: &Error) -> Error {
    let again = Error::new(error.kind(), error.message()).passing(error.may_pass());
    again
        .listing(error.lines().iter().cloned())
        .detailing(error.details().iter().cloned())
        .refused(error.is_refused())
}

/// Data keys that were opened not long ago, and those that these keys do not open.
#[derive(Default)]
struct Memory {
    opened: HashMap<Print, (DataKey, Instant)>,
    failed: HashMap<Print, Error>,
    /// Tried without their servers.
    tried: HashSet<Print>,
}

impl Memory {
    fn get(&self, print: &Print) -> Option<DataKey> {
        let recent = self.opened.get(print).filter(|(_, since)| since.elapsed() < MEMORY);
        recent.map(|(key, _)| key.clone())
    }

    fn answer(&self, print: &Print) -> Option<Result<DataKey>> {
        self.get(print).map(Ok).or_else(|| self.failed.get(print).map(|error| Err(again(error))))
    }

    fn knows(&self, print: &Print) -> bool {
        self.failed.contains_key(print) || self.get(print).is_some()
    }

    fn is_first_try(&mut self, print: &Print) -> bool {
        if self.tried.len() >= MOST_REMEMBERED {
            self.tried.clear();
        }
        self.get(print).is_none() && self.tried.insert(*print)
    }

    fn put(&mut self, print: Print, key: DataKey) {
        if self.opened.len() >= MOST_REMEMBERED {
            self.sweep();
        }
        if self.opened.len() >= MOST_REMEMBERED {
            self.opened.clear();
        }
        self.opened.insert(print, (key, Instant::now()));
        // It opens without servers: when it is forgotten, it may be tried so again.
        self.tried.remove(&print);
    }

    fn put_failure(&mut self, print: Print, error: Error) {
        if self.failed.len() >= MOST_FAILURES {
            self.failed.clear();
        }
        self.failed.insert(print, error);
    }

    /// Forgets what has been remembered for long enough.
    fn sweep(&mut self) {
        self.opened.retain(|_, (_, since)| since.elapsed() < MEMORY);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use futures_util::stream::FuturesUnordered;
    use sealant::host::Closed;
    use sealant::keys::{
        Identities, KeySet, MasterKey, NewIdentity, TransitKey, WrappedKey, generate_identity,
    };
    use sealant::sealed_secret::{NewDataKey, OpenedKeys, Options, Secret, seal, unseal, used_data_keys};
    use sealant::secret::SecretBytes;

    use super::*;
    use crate::engine::metrics::Metrics;
    use crate::engine::object::{Key, Meta};
    use crate::source::sealed::resource::SealedSecret;

    fn identity() -> NewIdentity {
        generate_identity(false, jiff::Timestamp::UNIX_EPOCH)
    }

    fn age(identity: &NewIdentity) -> MasterKey {
        MasterKey::Age(identity.recipient.clone())
    }

    /// A SealedSecret of this namespace, for these.
    async fn sealed(namespace: &str, keys: Vec<MasterKey>) -> SealedSecret {
        let service = KeyService::new(&Closed, Identities::none());
        let key = NewDataKey::make(&service, &[&KeySet::any_of(keys)]).await.remove(0).unwrap();
        let secret = Secret {
            name: "db".to_owned(),
            namespace: Some(namespace.to_owned()),
            items: [("a".to_owned(), SecretBytes::new(b"1".to_vec()))].into(),
            ..Secret::default()
        };
        let spec = seal(&secret, &Options::default(), key).unwrap().spec;
        let meta = Meta { name: "db".to_owned(), namespace: namespace.to_owned(), ..Meta::default() };
        SealedSecret::new(meta, spec)
    }

    /// An opener with one identity, and its metrics.
    fn opener(own: &NewIdentity) -> (Opener, KeyMetrics) {
        opener_that_begins(own, || ())
    }

    /// One that opens nothing before this returns.
    fn opener_that_begins(own: &NewIdentity, wait: impl FnOnce() + Send + 'static) -> (Opener, KeyMetrics) {
        let metrics = KeyMetrics::new(&Metrics::new());
        let opener = Opener::start(metrics.clone(), Pulse::new()).unwrap();
        let text = SecretBytes::new(own.file.as_bytes().to_vec());
        let make = Box::new(move || {
            wait();
            KeyService::new(&Closed, Identities::none().with_text("own", text))
        });
        opener.replace(Keyring { make, recipients: [own.recipient.as_str().to_owned()].into() });
        (opener, metrics)
    }

    fn wanted(sealed: &SealedSecret) -> Wanted {
        let used = used_data_keys(sealed.spec()).unwrap().into_iter();
        let object = Ref { kind: "x", key: Key::new(sealed.namespace(), sealed.name()) };
        Wanted::new(object, used.map(|(_, wrapped)| wrapped).collect())
    }

    async fn open(opener: &Opener, wanted: Wanted) -> Answer {
        let Opening::Answered(answer) = opener.open(wanted).await else { panic!("no server is asked") };
        answer
    }

    fn is_open(sealed: &SealedSecret, opened: &Answer) -> bool {
        let entries = used_data_keys(sealed.spec()).unwrap().into_iter().map(|(entry, _)| entry);
        let keys = opened.as_ref().map(|keys| OpenedKeys::of(entries.zip(keys.iter().cloned()).collect()));
        keys.is_ok_and(|keys| unseal(&sealed.sealed, &keys.unwrap()).is_ok())
    }

    #[tokio::test]
    async fn ours_is_found_among_many_and_what_there_is_to_try_has_a_bound() {
        let own = identity();
        let mut keys: Vec<MasterKey> = (0..200).map(|_| age(&identity())).collect();
        keys.push(age(&own));
        let sealed = sealed("shop", keys).await;
        let (opener, _) = opener(&own);
        assert!(is_open(&sealed, &open(&opener, wanted(&sealed)).await));

        let service = KeyService::new(&Closed, Identities::none());
        let recipients = BTreeSet::from([own.recipient.as_str().to_owned()]);
        let metrics = KeyMetrics::new(&Metrics::new());
        let keys = Keys { service, recipients, memory: RefCell::default(), metrics };
        let all = used_data_keys(sealed.spec()).unwrap().remove(0).1;
        let bounded = keys.within_bounds(all.clone());
        assert_eq!(bounded.groups[0].len(), MOST_OTHERS + 1);
        assert!(bounded.groups[0].iter().any(|wrap| recipients_is(wrap, &own)));
        // Whoever writes our recipient beside each of them makes us try no more.
        let mut forged = all;
        for wrap in &mut forged.groups[0] {
            wrap.key = age(&own);
            wrap.enc = "x".repeat(4096);
        }
        let bounded = keys.within_bounds(forged);
        assert_eq!(bounded.groups[0].len(), LONGEST_TRIED / 4096);
    }

    /// However much waits for servers: what opens without them is opened.
    #[tokio::test]
    async fn what_opens_with_age_keys_needs_no_room_among_the_requests_to_servers() {
        let own = identity();
        let (opener, _) = opener(&own);
        let sealed = sealed("shop", vec![age(&own)]).await;
        let vault = |enc: &str| WrappedKey {
            key: MasterKey::Vault(TransitKey::new("https://vault", None, "transit", "shop").unwrap()),
            enc: enc.to_owned(),
            entry: serde_json::Map::new(),
        };
        let with_vault = |name: String, enc: &str| {
            let mut wrapped = used_data_keys(sealed.spec()).unwrap().remove(0).1;
            wrapped.groups[0].push(vault(enc));
            Wanted::new(Ref { kind: "x", key: Key::new("shop", &name) }, vec![wrapped])
        };
        let (_silent, awaited) = watch::channel(None);
        let large = "x".repeat(1 << 20);
        for index in 0.. {
            let wanted = with_vault(index.to_string(), &large);
            if opener.asked.ask(wanted, |_| awaited.clone()).await.is_err() {
                break;
            }
        }
        let opened = open(&opener, with_vault("large".to_owned(), &large)).await;
        assert!(is_open(&sealed, &opened));
    }

    fn recipients_is(wrap: &WrappedKey, own: &NewIdentity) -> bool {
        wrap.key.id() == own.recipient.as_str()
    }

    /// Many that cannot be opened, and take long to try, keep nobody else waiting, and are tried once.
    #[tokio::test]
    async fn a_namespace_with_much_to_try_keeps_no_other_waiting() {
        let own = identity();
        let strangers: Vec<MasterKey> = (0..MOST_OTHERS).map(|_| age(&identity())).collect();
        let mut hostile = Vec::new();
        for _ in 0..300 {
            hostile.push(sealed("hostile", strangers.clone()).await);
        }
        let good = sealed("shop", vec![age(&own)]).await;
        let (begin, all_are_there) = std::sync::mpsc::channel();
        let (opener, metrics) = opener_that_begins(&own, move || all_are_there.recv().unwrap());
        // In the order of the answers, whenever this thread comes to look at them.
        let mut answers: FuturesUnordered<_> = hostile
            .iter()
            .chain([&good])
            .map(async |sealed| {
                (sealed.namespace().to_owned(), is_open(sealed, &open(&opener, wanted(sealed)).await))
            })
            .collect();
        let in_order = async {
            let mut order = Vec::new();
            while let Some(answer) = answers.next().await {
                order.push(answer);
            }
            order
        };
        let (order, ()) = tokio::join!(in_order, async { begin.send(()).unwrap() });
        let opened: Vec<usize> = (0..order.len()).filter(|index| order[*index].1).collect();
        assert!(opened.len() == 1 && order[opened[0]].0 == "shop");
        // Two batches of three may be begun before it is in line; in one line it would be the last.
        assert!(opened[0] * 4 <= hostile.len() * 3, "{} of {} before it", opened[0], hostile.len());
        let remembered = || metrics.data_keys.get_or_create(&ByOrigin { from: "memory" }).get();
        let before = remembered();
        let again =
            futures_util::future::join_all(hostile.iter().map(|sealed| open(&opener, wanted(sealed))));
        assert!(again.await.iter().all(Result::is_err));
        assert_eq!(remembered() - before, hostile.len() as u64);
    }

    #[tokio::test]
    async fn a_panic_is_one_objects() {
        let own = identity();
        let (metrics, job) = (KeyMetrics::new(&Metrics::new()), |sealed: SealedSecret, keys: &Rc<Keys>| {
            let (reply, answer) = watch::channel(None);
            let reply = Reply(Rc::new(reply));
            (
                Job { keys: Rc::clone(keys), wanted: Rc::new(wanted(&sealed)), reach: Reach::Servers, reply },
                answer,
            )
        });
        let text = SecretBytes::new(own.file.as_bytes().to_vec());
        let service = KeyService::new(&Closed, Identities::none().with_text("own", text));
        let (recipients, memory) = (BTreeSet::new(), RefCell::default());
        let keys = Rc::new(Keys { service, recipients, memory, metrics: metrics.clone() });
        let good = sealed("shop", vec![age(&own)]).await;
        let mut bad = good.clone();
        bad.meta.name = PANICS.to_owned();
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let (remaining, _left) = mpsc::unbounded_channel();
                let lane = start_lane(Stage::WithoutServers(remaining), &metrics);
                for _ in 0..2 {
                    let jobs = [job(good.clone(), &keys), job(bad.clone(), &keys), job(good.clone(), &keys)];
                    let mut answers = Vec::new();
                    for (job, answer) in jobs {
                        assert!(lane.send(job).is_ok());
                        answers.push(answer);
                    }
                    let mut opened = Vec::new();
                    for mut answer in answers {
                        is_there(&mut answer).await;
                        opened.push(is_open(&good, answer.borrow().as_ref().unwrap()));
                    }
                    assert_eq!(opened, [true, false, true]);
                }
            })
            .await;
        assert_eq!(metrics.panics.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_opened_is_remembered_for_a_while_and_not_without_end() {
        let mut memory = Memory::default();
        let print = |number: usize| {
            let mut print = [0; 32];
            print[..8].copy_from_slice(&number.to_be_bytes());
            print
        };
        memory.put(print(0), DataKey::generate());
        tokio::time::advance(MEMORY - Duration::from_secs(1)).await;
        assert!(memory.get(&print(0)).is_some() && memory.get(&print(1)).is_none());
        // Looking at it does not keep it.
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(memory.get(&print(0)).is_none());
        // And it is gone, not only out of sight.
        memory.sweep();
        assert!(memory.opened.is_empty());
        for number in 0..MOST_REMEMBERED * 2 + 5 {
            memory.put(print(number), DataKey::generate());
            memory.put_failure(print(number), gone());
            assert!(memory.failed.len() <= MOST_FAILURES);
            assert!(memory.opened.len() <= MOST_REMEMBERED && memory.get(&print(number)).is_some());
        }
    }
}
