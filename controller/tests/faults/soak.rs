//! Random work and random faults, one after another, on a real API server with a real OpenBao: whatever happens, in the
//! end every Secret is what its SealedSecret says, nothing is left over, memory is flat, and nothing planted is in any log.
//!
//! `make soak` runs it for half an hour, the tests for a minute. It prints its seed; `SEALANT_SOAK_SEED` runs the same
//! choices again, though not the same race.
// Its files and its environment are those of a test.
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::common::client::{Asked, Bare, sealed_at, secrets_at};
use crate::common::*;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use sealant::keys::{MasterKey, NewIdentity};
use sealant_test_support::{Bao, Cluster};
use serde_json::{Value, json};

const OWN: &str = "sealant-system";
const NAMESPACES: usize = 3;
const OBJECTS: usize = 30;
const IDENTITIES: usize = 3;

/// How many steps there are between two looks at everything.
const STEPS: usize = 120;

/// How much memory a replica may gain after the first look at everything, and how much it may have.
const FLAT_MB: u64 = 24;
const MOST_MB: u64 = 128;

#[test]
fn whatever_happens_every_secret_becomes_what_its_sealed_secret_says() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seconds = number("SEALANT_SOAK_SECONDS").unwrap_or(60);
    let seed = number("SEALANT_SOAK_SEED").unwrap_or_else(rand::random);
    eprintln!("soak: {seconds} seconds, SEALANT_SOAK_SEED={seed}");
    let mut soak = Soak::start(seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut rounds = 0;
    while rounds == 0 || Instant::now() < end {
        for _ in 0..STEPS {
            soak.step();
            if Instant::now() >= end {
                break;
            }
        }
        soak.heal_all();
        soak.check();
        rounds += 1;
    }
    eprintln!("soak: {rounds} times everything was right; {:?}", soak.done);
    eprintln!("soak: memory in MB: {:?}", soak.memory);
}

/// What a SealedSecret says.
type Items = BTreeMap<String, String>;

struct Soak {
    random: StdRng,
    replicas: [Replica; 2],
    client: Bare,
    namespaces: Vec<String>,
    /// Those that the controller has, with their names; new ones are sealed for the last.
    identities: Vec<(String, NewIdentity)>,
    wanted: BTreeMap<(usize, usize), Wanted>,
    bao: Bao,
    vault_sealed_until: Option<Instant>,
    flags: Vec<String>,
    /// How often each thing was done.
    done: BTreeMap<&'static str, usize>,
    count: u64,
    memory: Vec<[u64; 2]>,
    // Ends last.
    cluster: Cluster,
}

struct Wanted {
    items: Items,
    /// The identity that opens it; none for Vault.
    identity: Option<String>,
}

/// A controller behind a proxy of its own.
struct Replica {
    name: &'static str,
    proxy: Proxy,
    kubeconfig: PathBuf,
    controller: Option<Controller>,
    /// Until when it is stopped.
    stopped: Option<Instant>,
    /// Until when its network is gone.
    apart: Option<Instant>,
}

impl Replica {
    fn start(&mut self, flags: &[String]) {
        let name = format!("--pod-name={}", self.name);
        let mut all = vec!["--namespace=sealant-system", "--log-level=debug", &name];
        all.extend(flags.iter().map(String::as_str));
        self.controller = Some(Controller::start(&self.kubeconfig, &all));
    }

    fn running(&self) -> &Controller {
        self.controller.as_ref().expect("it was started")
    }

    fn is_well(&self) -> bool {
        self.stopped.is_none() && self.apart.is_none()
    }

    /// Ends what has lasted long enough.
    fn heal(&mut self, now: Instant) {
        if self.stopped.take_if(|until| *until <= now).is_some() {
            self.running().signal("CONT");
        }
        if self.apart.take_if(|until| *until <= now).is_some() {
            self.proxy.is_silent.store(false, Ordering::SeqCst);
        }
    }
}

impl Soak {
    fn start(seed: u64) -> Self {
        let cluster = cluster();
        let bao = crate::common::vault::set_up(&cluster, Bao::start(), OWN, "soak");
        let flags = crate::common::vault::flags(&cluster, &bao, OWN);
        let namespaces = (0..NAMESPACES).map(|_| cluster.new_namespace("soak")).collect();
        let kubeconfig = cluster.kubeconfig_of(OWN, "sealant-controller");
        let replica = |name| {
            let proxy = Proxy::before(cluster.address().trim_start_matches("https://"));
            let text = std::fs::read_to_string(&kubeconfig).unwrap();
            let text = text.replace(cluster.address(), &format!("https://{}", proxy.address));
            let own = kubeconfig.with_file_name(format!("{name}.kubeconfig"));
            std::fs::write(&own, text).unwrap();
            Replica { name, proxy, kubeconfig: own, controller: None, stopped: None, apart: None }
        };
        let mut soak = Self {
            random: StdRng::seed_from_u64(seed),
            replicas: [replica("a"), replica("b")],
            client: Bare::new(&cluster.kubeconfig()),
            namespaces,
            identities: Vec::new(),
            wanted: BTreeMap::new(),
            bao,
            vault_sealed_until: None,
            flags,
            done: BTreeMap::new(),
            count: 0,
            memory: Vec::new(),
            cluster,
        };
        (0..IDENTITIES).for_each(|_| soak.add_identity());
        let flags = soak.flags.clone();
        soak.replicas.iter_mut().for_each(|replica| replica.start(&flags));
        soak
    }

    fn step(&mut self) {
        let now = Instant::now();
        self.replicas.iter_mut().for_each(|replica| replica.heal(now));
        if self.vault_sealed_until.take_if(|until| *until <= now).is_some() {
            self.bao.unseal();
        }
        let what = match self.random.gen_range(0..1000) {
            0..500 => self.write(),
            500..600 => self.rotate(),
            600..720 => self.delete(),
            720..850 => self.drift(),
            850..870 => self.retire(),
            870..895 => self.kill(),
            895..925 => self.pause(),
            925..955 => self.part(),
            955..965 => self.restart_api_server(),
            965..985 => self.lose_vault(),
            _ => {
                sleep(Duration::from_millis(self.random.gen_range(0..2000)));
                "wait"
            }
        };
        *self.done.entry(what).or_default() += 1;
    }

    fn ask(&self, asked: &Asked) -> Option<Value> {
        let start = Instant::now();
        loop {
            match self.client.ask(asked.clone()) {
                Ok(answer) => return Some(answer),
                Err(404 | 409) => return None,
                // It has just been restarted.
                Err(code) => assert!(start.elapsed() < Duration::from_secs(60), "{code} for {asked:?}"),
            }
            sleep(Duration::from_millis(50));
        }
    }

    fn any(&mut self) -> (usize, usize) {
        (self.random.gen_range(0..NAMESPACES), self.random.gen_range(0..OBJECTS))
    }

    fn existing(&mut self) -> Option<(usize, usize)> {
        let keys: Vec<_> = self.wanted.keys().copied().collect();
        keys.choose(&mut self.random).copied()
    }

    /// Creates or edits one.
    fn write(&mut self) -> &'static str {
        let at = self.any();
        self.count += 1;
        let value = |item: &&str| format!("{PLANTED}{}-{item}", self.count);
        let keys = ["a", "b", "tls.crt", "long-name_of.an-item"];
        let items: Items = keys
            .iter()
            .filter(|_| self.random.gen_bool(0.5))
            .map(|key| ((*key).to_owned(), value(key)))
            .collect();
        let items = if items.is_empty() { [("a".to_owned(), value(&"a"))].into() } else { items };
        self.seal(at, items);
        "write"
    }

    /// The same values, under another data key and for somebody else.
    fn rotate(&mut self) -> &'static str {
        if let Some(at) = self.existing() {
            let items = self.wanted[&at].items.clone();
            self.seal(at, items);
        }
        "rotate"
    }

    fn seal(&mut self, (place, index): (usize, usize), items: Items) {
        let (namespace, name) = (&self.namespaces[place], format!("s{index}"));
        let pairs: Vec<_> = items.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let plain = secret(namespace, &name, &pairs);
        let by_vault = self.vault_sealed_until.is_none() && self.random.gen_bool(0.25);
        let (identity, sealed) = if by_vault {
            (None, seal_with(&plain, crate::common::vault::new_key(&self.bao)))
        } else {
            let (known_as, identity) = self.identities.choose(&mut self.random).unwrap();
            (
                Some(known_as.clone()),
                seal_for(&plain, &Default::default(), vec![MasterKey::Age(identity.recipient.clone())]),
            )
        };
        let path = format!("{}/{name}", sealed_at(namespace));
        self.ask(&Asked::apply(&path, "soak", json(&sealed))).expect("it is applied");
        self.wanted.insert((place, index), Wanted { items, identity });
    }

    fn delete(&mut self) -> &'static str {
        if let Some((place, index)) = self.existing() {
            let path = format!("{}/s{index}", sealed_at(&self.namespaces[place]));
            self.ask(&Asked::delete(path));
            self.wanted.remove(&(place, index));
        }
        "delete"
    }

    /// Somebody edits or deletes a Secret. Not its owner: who takes that away and then the SealedSecret keeps the Secret.
    fn drift(&mut self) -> &'static str {
        if let Some((place, index)) = self.existing() {
            let path = format!("{}/s{index}", secrets_at(&self.namespaces[place]));
            let patches = [
                json!({"stringData": {"a": "by hand"}}),
                json!({"stringData": {"theirs": "by hand"}}),
                json!({"data": null}),
                json!({"metadata": {"labels": null}}),
                json!({"metadata": {"annotations": null}}),
            ];
            match patches.get(self.random.gen_range(0..=patches.len())) {
                Some(patch) => self.ask(&Asked::patch(path, patch)),
                None => self.ask(&Asked::delete(path)),
            };
        }
        "drift"
    }

    fn add_identity(&mut self) {
        self.count += 1;
        let (name, identity) = (format!("identity-{}", self.count), identity());
        let path = secrets_at(OWN);
        self.ask(&Asked::create(path, identity_secret(&name, &identity).to_string())).expect("it is made");
        self.identities.push((name, identity));
    }

    /// The oldest identity opens what there is, and in the end nothing is sealed for it any more, and it goes.
    fn retire(&mut self) -> &'static str {
        self.add_identity();
        let oldest = self.identities.remove(0).0;
        let path = format!("{}/{oldest}", secrets_at(OWN));
        self.ask(&Asked::patch(&path, &json!({"metadata": {"labels": {"sealant.dev/identity": "retired"}}})));
        let is_for_it = |wanted: &Wanted| wanted.identity.as_ref() == Some(&oldest);
        let left: Vec<_> =
            self.wanted.iter().filter(|(_, wanted)| is_for_it(wanted)).map(|(at, _)| *at).collect();
        for at in left {
            let items = self.wanted[&at].items.clone();
            self.seal(at, items);
        }
        self.ask(&Asked::delete(path));
        "retire"
    }

    /// A replica that is well; faults of one at a time are enough, for in the end both had them all.
    fn replica(&mut self) -> Option<usize> {
        let well: Vec<_> = (0..2).filter(|index| self.replicas[*index].is_well()).collect();
        well.choose(&mut self.random).copied()
    }

    fn kill(&mut self) -> &'static str {
        if let Some(index) = self.replica() {
            assert_nothing_leaked_in(self.replicas[index].running());
            self.replicas[index].controller = None;
            let flags = self.flags.clone();
            self.replicas[index].start(&flags);
        }
        "kill"
    }

    /// Some are longer than the Lease is good for.
    fn some_time(&mut self) -> Instant {
        Instant::now() + Duration::from_millis(self.random.gen_range(100..20_000))
    }

    fn pause(&mut self) -> &'static str {
        if let Some(index) = self.replica() {
            self.replicas[index].running().signal("STOP");
            self.replicas[index].stopped = Some(self.some_time());
        }
        "pause"
    }

    fn part(&mut self) -> &'static str {
        if let Some(index) = self.replica() {
            self.replicas[index].proxy.is_silent.store(true, Ordering::SeqCst);
            self.replicas[index].apart = Some(self.some_time());
        }
        "part"
    }

    fn restart_api_server(&mut self) -> &'static str {
        self.cluster.stop();
        sleep(Duration::from_millis(self.random.gen_range(0..3000)));
        let forgets = self.random.gen_bool(0.5);
        if forgets {
            self.cluster.compact();
        }
        self.cluster.start_again();
        // It knows its own resources first, and a moment later those of others.
        wait_until(|| self.client.ask(Asked::get(sealed_at(&self.namespaces[0]))).is_ok());
        if forgets { "restart of the API server, which has forgotten" } else { "restart of the API server" }
    }

    fn lose_vault(&mut self) -> &'static str {
        if self.vault_sealed_until.is_none() {
            self.bao.seal();
            self.vault_sealed_until = Some(self.some_time());
        }
        "outage of Vault"
    }

    fn heal_all(&mut self) {
        let end = Instant::now() + Duration::from_secs(3600);
        self.replicas.iter_mut().for_each(|replica| replica.heal(end));
        if self.vault_sealed_until.take().is_some() {
            self.bao.unseal();
        }
    }

    /// Waits until everything is as it should be, and looks at what must never be.
    fn check(&mut self) {
        let start = Instant::now();
        let mut wrong = self.wrong();
        while !wrong.is_empty() {
            // What fails for a while, or is fought over, is tried again after a minute at most.
            assert!(start.elapsed() < Duration::from_secs(180), "{wrong:#?}\n{:?}", self.done);
            sleep(Duration::from_millis(500));
            wrong = self.wrong();
        }
        let controllers = [0, 1].map(|index| self.replicas[index].running());
        assert_nothing_leaked(&self.cluster, &controllers);
        controllers.into_iter().for_each(assert_nothing_leaked_in);
        for controller in controllers {
            assert_eq!(controller.metric("sealant_panics_total", ""), 0.0);
        }
        let memory = controllers.map(|controller| controller.memory() >> 10);
        let first = *self.memory.first().unwrap_or(&memory).iter().max().unwrap();
        self.memory.push(memory);
        assert!(memory.iter().all(|now| *now < first + FLAT_MB && *now < MOST_MB), "{:?}", self.memory);
        eprintln!("soak: right after {:.1?}, {memory:?} MB", start.elapsed());
    }

    /// What is not as it should be.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (place, namespace) in self.namespaces.iter().enumerate() {
            let by_name = |path: &str| -> BTreeMap<String, Value> {
                self.client.list(path).into_iter().map(|object| (name_of(&object), object)).collect()
            };
            let (mut secrets, sealed) = (by_name(&secrets_at(namespace)), by_name(&sealed_at(namespace)));
            for ((_, index), wanted) in self.wanted.range((place, 0)..(place + 1, 0)) {
                let name = format!("s{index}");
                let made = secrets.remove(&name);
                let items: Items = made.iter().flat_map(items_of).collect();
                if items != wanted.items {
                    let state = sealed.get(&name).map(|sealed| &sealed["status"]);
                    wrong.push(format!("{namespace}/{name} is not what its SealedSecret says: {state:?}"));
                }
                let is_told = sealed.get(&name).is_some_and(|sealed| {
                    let is_current =
                        sealed["status"]["observedGeneration"] == sealed["metadata"]["generation"];
                    condition(sealed, "Ready")["status"] == "True" && is_current
                });
                if !is_told {
                    let state = sealed.get(&name).map(|sealed| &sealed["status"]);
                    wrong.push(format!("{namespace}/{name} does not say that it is ready: {state:?}"));
                }
            }
            wrong.extend(secrets.keys().map(|name| format!("{namespace}/{name} is left over")));
        }
        wrong
    }
}

/// In its log, and no key either.
#[track_caller]
fn assert_nothing_leaked_in(controller: &Controller) {
    let log = controller.log();
    for planted in [PLANTED, "cGxhbnRlZC03ZjNhOWM0", "AGE-SECRET-KEY", "by hand"] {
        let line = log.lines().find(|line| line.contains(planted));
        assert!(line.is_none(), "{line:?}");
    }
}

/// Passes bytes on, unless it is told to be silent: then nothing comes through, and nobody is told so.
struct Proxy {
    address: String,
    is_silent: Arc<AtomicBool>,
}

impl Proxy {
    fn before(server: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (server, is_silent) = (server.to_owned(), Arc::<AtomicBool>::default());
        let silent = Arc::clone(&is_silent);
        thread::spawn(move || {
            for client in listener.incoming() {
                // While the server is down, a connection ends as soon as it has begun.
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(&server)) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to, silent) =
                        (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(&silent));
                    thread::spawn(move || pass_on(from, to, &silent));
                }
            }
        });
        Self { address, is_silent }
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, is_silent: &AtomicBool) {
    let mut room = [0; 1 << 14];
    while let Ok(length @ 1..) = from.read(&mut room) {
        while is_silent.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(20));
        }
        if to.write_all(&room[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}
