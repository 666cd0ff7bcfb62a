//! Opens data keys, those of many SealedSecrets in one request, and remembers them for a while.
//!
//! Lives on a thread of its own: work on age keys blocks it, and nothing else. What was opened before, or opens with age
//! keys, waits for no server. SealedSecrets that need the same Vault servers are opened together, and wait for no others.
//! Remembers data keys by namespace and by all that wraps them, never by an id or a commitment, which anybody can write.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sealant::error::{Error, Kind, Result};
use sealant::keys::{KeyService, MasterKey, WrappedDataKey};
use sealant::sealed_secret::{DataKeyEntry, OpenedKeys, used_data_keys};
use sealant::secret::DataKey;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::source::sealed::resource::SealedSecret;

/// How long an opened data key is remembered, and thereby how long a revocation in Vault may take.
const MEMORY: Duration = Duration::from_secs(600);

/// How many data keys are remembered.
const MOST_REMEMBERED: usize = 20_000;

/// How many SealedSecrets are opened in one request.
const BATCH: usize = 256;

/// How long a request waits for others that could go with it.
const LINGER: Duration = Duration::from_millis(5);

/// How long one waits for the answer of a server. What comes later is remembered, and is there when it is tried again:
/// so a server that does not answer keeps no worker from what needs none.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many groups of servers are asked side by side. Whoever writes SealedSecrets can name any number of them.
const MOST_LANES: usize = 1000;

/// Makes the key service, on the thread that it stays on.
pub type MakeService = Box<dyn FnOnce() -> KeyService<'static> + Send>;

/// Opens SealedSecrets.
#[derive(Clone)]
pub struct Opener {
    requests: mpsc::UnboundedSender<Request>,
}

enum Request {
    Open(Arc<SealedSecret>, oneshot::Sender<Result<OpenedKeys>>),
    Use(MakeService),
}

impl Opener {
    /// An opener that has no identities yet.
    pub fn start() -> std::io::Result<Self> {
        let (requests, inbox) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || runtime.block_on(tokio::task::LocalSet::new().run_until(serve(inbox)));
        std::thread::Builder::new().name("opening".to_owned()).spawn(run)?;
        Ok(Self { requests })
    }

    /// Opens the data keys of a SealedSecret.
    pub async fn open(&self, sealed: Arc<SealedSecret>) -> Result<OpenedKeys> {
        let (reply, answer) = oneshot::channel();
        let asks_nobody = servers(&sealed).next().is_none();
        // Without a receiver the answer fails as well.
        let _ = self.requests.send(Request::Open(sealed, reply));
        let answer = match asks_nobody {
            true => Ok(answer.await),
            false => timeout(PATIENCE, answer).await,
        };
        match answer {
            Ok(Ok(opened)) => opened,
            Ok(Err(_)) | Err(_) => Err(gone()),
        }
    }

    /// Waits until nothing can be opened any more, which should never be.
    pub async fn has_ended(&self) {
        self.requests.closed().await;
    }

    /// Uses other identities from now on, and forgets what was opened with the old ones.
    pub fn replace(&self, service: MakeService) {
        let _ = self.requests.send(Request::Use(service));
    }
}

fn gone() -> Error {
    Error::new(Kind::NoDataKey, "the key service gave no answer").passing(true)
}

/// The key service and what it has opened.
struct Keys {
    service: KeyService<'static>,
    memory: RefCell<Memory>,
}

/// A SealedSecret to open, with the keys that were at hand when it came.
type Job = (Rc<Keys>, Open);

type Open = (Arc<SealedSecret>, oneshot::Sender<Result<OpenedKeys>>);

/// The servers that a SealedSecret may need.
type Lane = BTreeSet<String>;

async fn serve(mut inbox: mpsc::UnboundedReceiver<Request>) {
    let mut keys: Option<Rc<Keys>> = None;
    let (remaining, for_servers) = mpsc::unbounded_channel();
    let first = start_lane(Stage::WithoutServers(remaining));
    tokio::task::spawn_local(ask_servers(for_servers));
    while let Some(request) = inbox.recv().await {
        match (request, &keys) {
            (Request::Use(make), _) => {
                keys = Some(Rc::new(Keys { service: make(), memory: RefCell::default() }));
            }
            (Request::Open(_, reply), None) => drop(reply.send(Err(gone()))),
            // Who gets no answer learns that there is none.
            (Request::Open(sealed, reply), Some(keys)) => {
                drop(first.send((Rc::clone(keys), (sealed, reply))));
            }
        }
    }
}

/// Hands out what needs a server, to a lane for each group of servers.
async fn ask_servers(mut inbox: mpsc::UnboundedReceiver<Job>) {
    let mut lanes: HashMap<Lane, mpsc::UnboundedSender<Job>> = HashMap::new();
    while let Some(job) = inbox.recv().await {
        let (_, (sealed, _)) = &job;
        let lane: Lane = servers(sealed).map(str::to_owned).collect();
        if lanes.len() >= MOST_LANES && !lanes.contains_key(&lane) {
            // Each ends when it has done what it was given.
            lanes.clear();
        }
        let sender = lanes.entry(lane).or_insert_with(|| start_lane(Stage::WithServers));
        if sender.is_closed() {
            *sender = start_lane(Stage::WithServers);
        }
        let _ = sender.send(job);
    }
}

/// The servers that a SealedSecret names.
fn servers(sealed: &SealedSecret) -> impl Iterator<Item = &str> {
    let entries = sealed.spec().data_keys.iter().flat_map(|entry| {
        entry.hc_vault.iter().chain(entry.key_groups.iter().flat_map(|group| &group.hc_vault))
    });
    entries.map(|entry| entry.address.as_str())
}

/// What a lane does.
enum Stage {
    /// Opens what takes no server, and passes on what is left.
    WithoutServers(mpsc::UnboundedSender<Job>),
    WithServers,
}

fn start_lane(stage: Stage) -> mpsc::UnboundedSender<Job> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::task::spawn_local(serve_lane(receiver, stage));
    sender
}

async fn serve_lane(mut inbox: mpsc::UnboundedReceiver<Job>, stage: Stage) {
    while let Some((keys, first)) = inbox.recv().await {
        tokio::time::sleep(LINGER).await;
        let mut batches: Vec<(Rc<Keys>, Vec<Open>)> = vec![(keys, vec![first])];
        while batches.iter().map(|(_, batch)| batch.len()).sum::<usize>() < BATCH {
            let Ok((keys, open)) = inbox.try_recv() else { break };
            match batches.iter_mut().find(|(known, _)| Rc::ptr_eq(known, &keys)) {
                Some((_, batch)) => batch.push(open),
                None => batches.push((keys, vec![open])),
            }
        }
        for (keys, mut batch) in batches {
            // Who has given up asks again.
            batch.retain(|(_, reply)| !reply.is_closed());
            if let Stage::WithoutServers(remaining) = &stage {
                let left;
                (left, batch) = batch.into_iter().partition(|(sealed, _)| servers(sealed).next().is_some());
                keys.open_without_servers(&left).await;
                for open in left {
                    match keys.remembers(&open.0) {
                        true => batch.push(open),
                        false => drop(remaining.send((Rc::clone(&keys), open))),
                    }
                }
            }
            keys.open(batch).await;
        }
    }
}

/// The data keys that a SealedSecret uses, and what each was remembered under.
type Used<'s> = Vec<(&'s DataKeyEntry, WrappedDataKey, [u8; 32])>;

impl Keys {
    /// Whether nothing has to be opened for a SealedSecret any more.
    fn remembers(&self, sealed: &SealedSecret) -> bool {
        let mut memory = self.memory.borrow_mut();
        used(sealed).is_ok_and(|used| used.iter().all(|(_, _, print)| memory.get(print).is_some()))
    }

    /// Opens with age keys alone what others wrap, too, and remembers it.
    async fn open_without_servers(&self, batch: &[Open]) {
        let used = batch.iter().filter_map(|(sealed, _)| used(sealed).ok()).flatten();
        let missing = used.filter(|(_, _, print)| self.memory.borrow_mut().get(print).is_none());
        let requests: Vec<_> =
            missing.filter_map(|(_, wrapped, print)| Some((without_servers(wrapped)?, print))).collect();
        if requests.is_empty() {
            return;
        }
        let wrapped: Vec<&WrappedDataKey> = requests.iter().map(|(wrapped, _)| wrapped).collect();
        let answers = self.service.unwrap_many(&wrapped).await;
        self.service.forget();
        for ((_, print), answer) in requests.iter().zip(answers) {
            if let Ok(key) = answer {
                self.memory.borrow_mut().put(*print, key);
            }
        }
    }

    async fn open(&self, batch: Vec<Open>) {
        let used: Vec<Result<Used<'_>>> = batch.iter().map(|(sealed, _)| used(sealed)).collect();
        let known = |print: &[u8; 32]| self.memory.borrow_mut().get(print);
        let wanted = used.iter().flatten().flatten();
        let missing: Vec<_> = wanted.filter(|(_, _, print)| known(print).is_none()).collect();
        let requests: Vec<&WrappedDataKey> = missing.iter().map(|(_, wrapped, _)| wrapped).collect();
        let answers = match requests.is_empty() {
            true => Vec::new(),
            false => self.service.unwrap_many(&requests).await,
        };
        // What a namespace may see is remembered here, and not by the service, which knows no namespaces.
        self.service.forget();
        let mut answered: HashMap<[u8; 32], Result<DataKey>> = HashMap::new();
        for ((_, _, print), answer) in missing.into_iter().zip(answers) {
            if let Ok(key) = &answer {
                self.memory.borrow_mut().put(*print, key.clone());
            }
            answered.insert(*print, answer);
        }
        let opened = used.into_iter().map(|used| self.opened(used?, &answered)).collect::<Vec<_>>();
        for ((_, reply), opened) in batch.into_iter().zip(opened) {
            let _ = reply.send(opened);
        }
    }

    fn opened(&self, used: Used<'_>, answered: &HashMap<[u8; 32], Result<DataKey>>) -> Result<OpenedKeys> {
        let open = |(entry, _, print): (_, _, [u8; 32])| match answered.get(&print) {
            Some(Ok(key)) => Ok((entry, key.clone())),
            Some(Err(error)) => Err(again(error)),
            None => self.memory.borrow_mut().get(&print).map(|key| (entry, key)).ok_or_else(gone),
        };
        OpenedKeys::of(used.into_iter().map(open).collect::<Result<_>>()?)
    }
}

/// What age keys alone can open of a data key, if they can.
fn without_servers(mut wrapped: WrappedDataKey) -> Option<WrappedDataKey> {
    for group in &mut wrapped.groups {
        group.retain(|key| !matches!(key.key, MasterKey::Vault(_)));
    }
    let open = wrapped.groups.iter().filter(|group| !group.is_empty()).count();
    (open > 0 && open >= wrapped.required()).then_some(wrapped)
}

/// An error said once more, for another SealedSecret.
fn again(error: &Error) -> Error {
    let again = Error::new(error.kind(), error.message()).passing(error.may_pass());
    again.listing(error.lines().iter().cloned()).detailing(error.details().iter().cloned())
}

fn used(sealed: &SealedSecret) -> Result<Used<'_>> {
    let namespace = sealed.namespace();
    let used = used_data_keys(sealed.spec())?.into_iter();
    Ok(used
        .map(|(entry, wrapped)| {
            let print = fingerprint(namespace, &wrapped);
            (entry, wrapped, print)
        })
        .collect())
}

/// Namespace, threshold, and each master key with what it has wrapped.
fn fingerprint(namespace: &str, wrapped: &WrappedDataKey) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    add(namespace);
    add(&wrapped.threshold.to_string());
    for group in &wrapped.groups {
        add("group");
        for key in group {
            add(key.key.kind().name());
            add(key.key.id());
            if let MasterKey::Vault(key) = &key.key {
                add(key.namespace().unwrap_or_default());
            }
            add(&key.enc);
        }
    }
    hash.finalize().into()
}

/// Data keys that were opened not long ago.
#[derive(Default)]
struct Memory(HashMap<[u8; 32], (DataKey, Instant)>);

impl Memory {
    fn get(&mut self, print: &[u8; 32]) -> Option<DataKey> {
        self.0.get(print).filter(|(_, since)| since.elapsed() < MEMORY).map(|(key, _)| key.clone())
    }

    fn put(&mut self, print: [u8; 32], key: DataKey) {
        if self.0.len() >= MOST_REMEMBERED {
            self.0.retain(|_, (_, since)| since.elapsed() < MEMORY);
        }
        if self.0.len() >= MOST_REMEMBERED {
            self.0.clear();
        }
        self.0.insert(print, (key, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use sealant::keys::{WrappedDataKey, WrappedKey};

    use super::*;

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
        for number in 0..MOST_REMEMBERED * 2 + 5 {
            memory.put(print(number), DataKey::generate());
            assert!(memory.0.len() <= MOST_REMEMBERED && memory.get(&print(number)).is_some());
        }
    }

    #[test]
    fn a_data_key_is_remembered_by_all_that_opens_it_and_by_its_namespace() {
        let key = |enc: &str| WrappedKey {
            key: MasterKey::Age(
                sealant::keys::generate_identity(false, jiff::Timestamp::UNIX_EPOCH).recipient,
            ),
            enc: enc.to_owned(),
            entry: serde_json::Map::new(),
        };
        let (a, b) = (key("a"), key("b"));
        let wrapped = |groups: Vec<Vec<&WrappedKey>>, threshold| WrappedDataKey {
            groups: groups.into_iter().map(|group| group.into_iter().cloned().collect()).collect(),
            threshold,
        };
        let same_key = WrappedKey { enc: "c".to_owned(), ..a.clone() };
        let prints: BTreeSet<[u8; 32]> = [
            fingerprint("x", &wrapped(vec![vec![&a]], 0)),
            fingerprint("y", &wrapped(vec![vec![&a]], 0)),
            fingerprint("x", &wrapped(vec![vec![&same_key]], 0)),
            fingerprint("x", &wrapped(vec![vec![&a, &b]], 0)),
            fingerprint("x", &wrapped(vec![vec![&a], vec![&b]], 2)),
            fingerprint("x", &wrapped(vec![vec![&a], vec![&b]], 1)),
        ]
        .into();
        assert_eq!(prints.len(), 6);
        assert!(prints.contains(&fingerprint("x", &wrapped(vec![vec![&a]], 0))));
    }
}
