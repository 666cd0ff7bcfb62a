//! A cluster of its own for each figure, and who works in it.

use std::time::{Duration, Instant};

use sealant::keys::{MasterKey, NewIdentity};
use sealant::sealed_secret::Options;
use sealant_test_support::{ApiRequest, Cluster};
use serde_json::{Value, json};

use crate::common::client::{Asked, Bare, sealed_at, secrets_at};
use crate::common::peer::Peer;
use crate::common::{
    Client, Controller, deploy, identity, identity_secret, install, json, seal_for, secret, wait_until,
};

pub const OWN: &str = "sealant-system";
pub const SPACE: &str = "bench";

/// How many requests the bare client has in flight, as the controller has.
pub const AT_ONCE: usize = 64;

/// An API server with nothing else to do.
pub struct World {
    pub client: Bare,
    pub identity: NewIdentity,
    pub cluster: Cluster,
}

/// What is measured of one program.
pub trait Program {
    fn pid(&self) -> u32;
    fn requests(&self, world: &World) -> Vec<ApiRequest>;
}

impl Program for Controller {
    fn pid(&self) -> u32 {
        self.pid().parse().expect("a number")
    }

    fn requests(&self, world: &World) -> Vec<ApiRequest> {
        world.cluster.requests_of(OWN, "sealant-controller")
    }
}

impl World {
    pub fn new() -> Self {
        let cluster = Cluster::start();
        install(&cluster);
        cluster.kubectl_ok(&["create", "namespace", SPACE]);
        let client = Bare::new(&cluster.kubeconfig());
        let world = Self { client, identity: identity(), cluster };
        world.give("team", &world.identity);
        world
    }

    pub fn give(&self, name: &str, identity: &NewIdentity) {
        let secret = identity_secret(name, identity).to_string();
        self.client.ask(Asked::create(secrets_at(OWN), secret)).expect("an identity");
    }

    /// Our controller.
    pub fn start(&self, flags: &[String]) -> Controller {
        let kubeconfig = self.cluster.kubeconfig_of(OWN, "sealant-controller");
        let own = ["--namespace=sealant-system".to_owned(), "--pod-name=one".to_owned()];
        let all: Vec<&str> = own.iter().chain(flags).map(String::as_str).collect();
        Controller::start(&kubeconfig, &all)
    }

    /// Lets our controller look after the objects of bitnami.com, with the keys of theirs.
    pub fn let_look_after_bitnami(&self) {
        for component in ["bitnami", "bitnami-keys"] {
            let rights = deploy().join("components").join(component).join("rbac.yaml");
            self.cluster.kubectl(&["apply", "-f"]).arg(rights).run().ok();
        }
    }

    /// SealedSecrets of three items.
    pub fn seal(&self, count: usize) {
        let keys = || vec![MasterKey::Age(self.identity.recipient.clone())];
        self.fill(sealed_at(SPACE), count, |name| {
            json(&seal_for(&secret(SPACE, name, &items()), &Options::default(), keys()))
        });
    }

    /// Secrets of others.
    pub fn add_foreign(&self, count: usize) {
        self.cluster.kubectl_ok(&["create", "namespace", "foreign"]);
        let data = json!({"a": "x".repeat(200), "b": "x".repeat(200)});
        self.fill(secrets_at("foreign"), count, |name| {
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
                .to_string()
        });
    }

    pub fn fill(&self, at: String, count: usize, make: impl Fn(&str) -> String) {
        let create = |index| Asked::create(at.clone(), make(&format!("s{index}")));
        let answers = self.client.ask_all(16, (0..count).map(create));
        assert!(answers.iter().all(Result::is_ok), "something was not made");
    }

    /// How many objects there are, without reading them.
    pub fn count(&self, at: &str) -> usize {
        let Ok(list) = self.client.ask(Asked::get(format!("{at}?limit=1"))) else { return 0 };
        let first = list["items"].as_array().map_or(0, Vec::len);
        let more = list["metadata"]["remainingItemCount"].as_u64().unwrap_or_default();
        first + usize::try_from(more).unwrap_or_default()
    }

    /// Waits until there are so many Secrets, and says when: no more than a moment later.
    pub fn wait_for_secrets(&self, count: usize, limit: Duration) -> Option<Instant> {
        let start = Instant::now();
        while self.count(&secrets_at(SPACE)) < count {
            if start.elapsed() > limit {
                return None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Instant::now())
    }

    /// The least that the same writes take: a client that knows all and makes nothing but them.
    pub fn floor(&self, count: usize) -> Duration {
        self.seal(count);
        let start = Instant::now();
        let writes = (0..count).flat_map(|index| self.writes(&format!("s{index}")));
        let answers = self.client.ask_all(AT_ONCE, writes);
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        start.elapsed()
    }

    /// The three writes of one object: its Secret, its status, and an event.
    fn writes(&self, name: &str) -> [Asked; 3] {
        let value = "dmFsdWUtb2YtYW4taXRlbQ==";
        let owner = json!([{"apiVersion": "sealant.dev/v1alpha1", "kind": "SealedSecret", "name": name, "uid": "u", "controller": true}]);
        let made = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": name, "labels": {"sealant.dev/managed": "true"},
                         "annotations": {"sealant.dev/sealed-secret": name}, "ownerReferences": owner},
            "data": {"username": value, "password": value, "url": value}});
        let now = "2026-11-28T00:00:00Z";
        let condition = |kind: &str| {
            json!({"type": kind, "status": "True", "reason": "Unsealed", "message": "the Secret is as it should be",
            "observedGeneration": 1, "lastTransitionTime": now})
        };
        let status = json!({"status": {"observedGeneration": 1, "secretResourceVersion": "1",
            "conditions": [condition("Ready"), condition("Synced")]}});
        let event = json!({"apiVersion": "v1", "kind": "Event", "type": "Normal", "reason": "Unsealed", "message": "made the Secret",
            "metadata": {"name": format!("{name}.1")}, "involvedObject": {"kind": "SealedSecret", "name": name, "namespace": SPACE}});
        [
            Asked::apply(&format!("{}/{name}", secrets_at(SPACE)), "bench", made.to_string()),
            Asked::patch(format!("{}/{name}/status", sealed_at(SPACE)), &status),
            Asked::create(format!("/api/v1/namespaces/{SPACE}/events"), event.to_string()),
        ]
    }

    /// The peer, at its defaults or with these flags.
    pub fn start_peer(&self, flags: &[&str]) -> Peer {
        Peer::start(&self.cluster, flags)
    }

    /// Waits until a SealedSecret of ours has all that is said of it.
    pub fn wait_for_statuses(&self, controller: &Controller, count: usize) {
        wait_until(|| controller.metric("sealant_writes_total", "verb=\"status\"") >= count as f64);
    }

    /// How long a new object takes until its Secret is there.
    pub fn time_to_secret(&self, at: String, body: String, name: &str) -> Duration {
        let start = Instant::now();
        self.client.ask(Asked::create(at, body)).expect("it is made");
        let path = format!("{}/{name}", secrets_at(SPACE));
        while self.client.ask(Asked::get(&path)).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        start.elapsed()
    }

    /// Deletes the first so many Secrets, all at once, and says how long it takes until they are there again.
    pub fn drift(&self, count: usize) -> Duration {
        let all = self.client.list(&secrets_at(SPACE));
        let old: Vec<(String, Value)> = all
            .into_iter()
            .take(count)
            .map(|secret| (crate::common::name_of(&secret), secret["metadata"]["uid"].clone()))
            .collect();
        let path = |name: &str| format!("{}/{name}", secrets_at(SPACE));
        let start = Instant::now();
        let answers = self.client.ask_all(AT_ONCE, old.iter().map(|(name, _)| Asked::delete(path(name))));
        assert!(answers.iter().all(Result::is_ok), "something was not deleted");
        for (name, uid) in &old {
            loop {
                let found = self.client.ask(Asked::get(path(name)));
                if found.is_ok_and(|found| found["metadata"]["uid"] != *uid) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        start.elapsed()
    }
}

/// Three items.
pub fn items() -> [(&'static str, &'static str); 3] {
    [
        ("username", "app-user"),
        ("password", "correct horse battery staple"),
        ("url", "postgres://db.shop.svc:5432/app"),
    ]
}

/// What a process has used.
pub struct Usage {
    pub cpu: Duration,
    pub peak_mb: u64,
    pub now_mb: u64,
}

pub fn usage(pid: u32) -> Usage {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let stat = read("stat");
    // Fields 14 and 15 of proc(5), in hundredths of a second.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    let status = read("status");
    let megabytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
        kib / 1024
    };
    Usage {
        cpu: Duration::from_millis(ticks * 10),
        peak_mb: megabytes("VmHWM:"),
        now_mb: megabytes("VmRSS:"),
    }
}

/// Waits until a process has nothing to do any more, and says since when.
pub fn wait_until_idle(pid: u32) -> Instant {
    const QUIET: Duration = Duration::from_secs(4);
    let (mut since, mut used) = (Instant::now(), usage(pid).cpu);
    while since.elapsed() < QUIET {
        std::thread::sleep(Duration::from_millis(200));
        let now = usage(pid).cpu;
        // What goes round always costs a little.
        if now - used > Duration::from_millis(20) {
            since = Instant::now();
        }
        used = now;
    }
    since
}
