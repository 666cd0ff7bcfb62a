//! Threads that open: RSA takes milliseconds for each item, and nothing else waits for that. Namespaces take turns.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use sealant::bitnami::{NotOpened, Print, SealedSecret, SealingKey, open};
use sealant::template::{self, NotRendered};
use tokio::sync::oneshot;

use crate::engine::health::Pulse;
use crate::engine::object::Key;
use crate::engine::queue::{Line, Tenant};
use crate::managed::secret::Items;
use crate::source::bitnami::keyring::Keyring;

/// How many threads there are at most.
const MOST_THREADS: usize = 4;

/// How often a thread that has nothing to do says that it is there.
const BEAT: Duration = Duration::from_secs(10);

/// Why an object was not opened.
#[derive(Debug)]
pub enum Failed {
    NotOpened(NotOpened),
    /// Its templates cannot be rendered.
    NotRendered(NotRendered),
    /// That is a bug, and this object's.
    Panicked,
}

/// Opens objects.
pub struct Pool(Arc<Shared>);

struct Shared {
    line: Mutex<Waiting>,
    changed: Condvar,
    /// Which key has opened an object: it is tried first.
    openers: Mutex<HashMap<Key, Print>>,
    panics: Counter,
    pulse: Pulse,
}

struct Waiting {
    line: Line<Job>,
    is_over: bool,
}

struct Job {
    key: Key,
    sealed: Arc<SealedSecret>,
    ring: Keyring,
    reply: oneshot::Sender<Result<Items, Failed>>,
}

impl Tenant for Job {
    fn tenant(&self) -> &str {
        self.key.namespace()
    }
}

impl Pool {
    pub fn start(panics: Counter) -> std::io::Result<Self> {
        let line = Mutex::new(Waiting { line: Line::new(), is_over: false });
        let (changed, openers, pulse) = (Condvar::new(), Mutex::default(), Pulse::new());
        let shared = Arc::new(Shared { line, changed, openers, panics, pulse });
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS));
        for _ in 0..threads {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name("opening".to_owned()).spawn(move || shared.work())?;
        }
        Ok(Self(shared))
    }

    /// Opens all items of an object, and makes those of its templates. Who waits no longer has it opened by nobody.
    pub async fn open(&self, key: Key, sealed: Arc<SealedSecret>, ring: Keyring) -> Result<Items, Failed> {
        let (reply, answer) = oneshot::channel();
        self.0.waiting().line.push(Job { key, sealed, ring, reply });
        self.0.changed.notify_one();
        answer.await.unwrap_or(Err(Failed::Panicked))
    }

    /// An object is gone.
    pub fn forget(&self, key: &Key) {
        self.0.openers().remove(key);
    }

    /// Whether any of its threads goes on.
    pub fn is_alive(&self) -> bool {
        self.0.pulse.is_alive()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.waiting().is_over = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn work(&self) {
        while let Some(job) = self.next() {
            if job.reply.is_closed() {
                continue;
            }
            let opened = catch_unwind(AssertUnwindSafe(|| self.open(&job)));
            let opened = opened.unwrap_or_else(|_| {
                self.panics.inc();
                Err(Failed::Panicked)
            });
            // Who has asked may have gone.
            let _ = job.reply.send(opened);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut waiting = self.waiting();
        loop {
            self.pulse.beat();
            if waiting.is_over {
                return None;
            }
            if let Some(job) = waiting.line.pop() {
                return Some(job);
            }
            waiting = self.changed.wait_timeout(waiting, BEAT).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn open(&self, Job { key, sealed, ring, .. }: &Job) -> Result<Items, Failed> {
        let templates = &sealed.template.data;
        template::check(templates).map_err(Failed::NotRendered)?;
        let keys: Vec<&SealingKey> = ring.keys.iter().map(|key| &**key).collect();
        let known = self.openers().get(key).copied();
        let first = keys.iter().position(|key| Some(*key.print()) == known).unwrap_or_default();
        let (items, last) = open(sealed, &keys, first).map_err(Failed::NotOpened)?;
        if let Some(opener) = keys.get(last) {
            self.openers().insert(key.clone(), *opener.print());
        }
        template::render_all(templates, items).map_err(Failed::NotRendered)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn openers(&self) -> MutexGuard<'_, HashMap<Key, Print>> {
        self.openers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::Path;

    use sealant::bitnami::Scope;
    use serde_json::Value;

    use super::*;

    fn file(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/bitnami").join(name);
        std::io::read_to_string(std::fs::File::open(path).unwrap()).unwrap()
    }

    fn ring(names: &[&str]) -> Keyring {
        let key = |name: &&str| {
            let [key, certificate] = ["key", "cert"].map(|what| file(&format!("keys/{name}.{what}.pem")));
            Arc::new(SealingKey::read(key.as_bytes(), certificate.as_bytes()).unwrap())
        };
        Keyring { keys: names.iter().map(key).collect(), current: None }
    }

    /// A cluster-wide object whose items open with a key, or with none.
    fn sealed(items: usize, opens: bool) -> Arc<SealedSecret> {
        let cases: Vec<Value> = serde_json::from_str(&file("raw.json")).unwrap();
        let case =
            cases.iter().find(|case| case["scope"] == "cluster-wide" && case["key"] == "rsa4096-a").unwrap();
        let text = case["sealed_b64"].as_str().unwrap();
        let items = (0..items).map(|index| (format!("{index:04}"), text.to_owned())).collect();
        let scope = if opens { Scope::Cluster } else { Scope::Namespace };
        Arc::new(SealedSecret { scope, items, namespace: "x".to_owned(), ..SealedSecret::default() })
    }

    /// Whoever writes many objects with many items that do not open keeps nobody else waiting for all of them.
    #[tokio::test]
    async fn namespaces_take_turns() {
        let pool = Pool::start(Counter::default()).unwrap();
        let ring = ring(&["rsa4096-b", "rsa4096-a"]);
        let open = |namespace: &str, name: usize, sealed: Arc<SealedSecret>| {
            pool.open(Key::new(namespace, &name.to_string()), sealed, ring.clone())
        };
        let tried = Cell::new(0);
        let hostile = (0..30).map(async |name| {
            let opened = open("hostile", name, sealed(40, false)).await;
            tried.set(tried.get() + 1);
            opened
        });
        let hostile = futures_util::future::join_all(hostile);
        let good = async {
            let items = open("shop", 0, sealed(3, true)).await;
            (items.map(|items| items.len()).ok(), tried.get())
        };
        let (failed, (opened, before)) = tokio::join!(hostile, good);
        assert!(opened == Some(3) && failed.iter().all(|failed| matches!(failed, Err(Failed::NotOpened(_)))));
        assert!(before < 15, "{before} of 30 before it");
        assert!(pool.is_alive());
    }

    #[tokio::test]
    async fn which_key_has_opened_an_object_is_known_as_long_as_it_is_there() {
        let pool = Pool::start(Counter::default()).unwrap();
        let (key, ring) = (Key::new("shop", "db"), ring(&["rsa4096-b", "rsa4096-a"]));
        let known = || pool.0.openers().get(&key).copied();
        pool.open(key.clone(), sealed(1, false), ring.clone()).await.unwrap_err();
        assert_eq!(known(), None);
        pool.open(key.clone(), sealed(1, true), ring.clone()).await.unwrap();
        assert_eq!(known().as_ref(), Some(ring.keys[1].print()));
        pool.forget(&key);
        assert_eq!(known(), None);
    }
}
