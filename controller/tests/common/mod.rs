//! A real cluster with what `deploy/` installs, and the controller as a process with exactly the rights of its service
//! account.
#![allow(dead_code, clippy::disallowed_methods)]

pub mod client;
pub mod peer;
pub mod tenant;
pub mod vault;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sealant::document::Format;
use sealant::host::Closed;
use sealant::keys::{Identities, KeyService, KeySet, MasterKey, NewIdentity, generate_identity};
use sealant::sealed_secret::{self, NewDataKey, Options, SealedSecret, Secret, manifest};
use sealant::secret::SecretBytes;
use sealant_test_support::{Cluster, Output};
use serde_json::{Value, json};

/// How long anything may take before a test fails: nothing takes more than a second or two on an idle machine.
pub const LIMIT: Duration = Duration::from_secs(300);

/// Starts a cluster with what `deploy/` installs.
pub fn cluster() -> Cluster {
    let cluster = Cluster::start_with_controllers();
    install(&cluster);
    cluster
}

/// Installs what `deploy/` has, or brings it back.
pub fn install(cluster: &Cluster) {
    for folder in ["crd", ""] {
        let apply = ["apply", "--server-side", "--force-conflicts", "-k"];
        cluster.kubectl(&apply).arg(deploy().join(folder)).run().ok();
    }
    let crd = "customresourcedefinition/sealedsecrets.sealant.dev";
    cluster.kubectl(&["wait", "--for=condition=Established", crd, "--timeout=60s"]).run().ok();
}

/// What ships for clusters.
pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// Waits until something is so.
#[track_caller]
pub fn wait_until(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LIMIT, "it does not come to that");
        sleep(Duration::from_millis(50));
    }
}

/// What tests do to a cluster.
pub trait Client {
    fn kubectl_ok(&self, args: &[&str]) -> String;
    fn apply(&self, manifest: &str) -> Output;
    fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value>;
    fn new_namespace(&self, prefix: &str) -> String;

    /// Waits until an object is as it should be.
    #[track_caller]
    fn wait(&self, kind: &str, namespace: &str, name: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let found = self.get(kind, namespace, name);
            match found {
                Some(found) if is_right(&found) => return found,
                found => assert!(start.elapsed() < LIMIT, "{kind} {namespace}/{name} is {found:#?}"),
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// Waits until each of these SealedSecrets has its reason, for its newest generation and with an event that says
    /// so, and returns them by their names.
    #[track_caller]
    fn wait_for_reasons(&self, namespace: &str, expected: &[(String, &str)]) -> BTreeMap<String, Value> {
        let start = Instant::now();
        loop {
            let events = self.events(namespace);
            let found: BTreeMap<String, Value> =
                self.list(SEALED, namespace).into_iter().map(|sealed| (name_of(&sealed), sealed)).collect();
            let wrong = |(name, reason): &&(String, &str)| {
                found.get(name).is_none_or(|sealed| {
                    condition(sealed, "Ready")["reason"] != *reason
                        || sealed["status"]["observedGeneration"] != sealed["metadata"]["generation"]
                }) || !events.iter().any(|event| event.name == *name && event.reason == *reason)
            };
            let wrong: Vec<_> = expected.iter().filter(wrong).collect();
            if wrong.is_empty() {
                return found;
            }
            let shown = wrong.iter().map(|(name, _)| found.get(name).map(|sealed| &sealed["status"]));
            assert!(start.elapsed() < LIMIT, "{wrong:?} are {:#?}\n{events:#?}", shown.collect::<Vec<_>>());
            sleep(Duration::from_millis(200));
        }
    }

    /// All objects of a kind in a namespace.
    #[track_caller]
    fn list(&self, kind: &str, namespace: &str) -> Vec<Value> {
        let text = self.kubectl_ok(&["get", kind, "-n", namespace, "-o", "json"]);
        let list: Value = serde_json::from_str(&text).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    #[track_caller]
    fn events(&self, namespace: &str) -> Vec<Told> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let events = self.list("events", namespace).into_iter().map(|event| Told {
            name: text(&event["involvedObject"]["name"]),
            kind: text(&event["type"]),
            reason: text(&event["reason"]),
            message: text(&event["message"]),
        });
        events.collect()
    }

    /// Waits until a Secret holds exactly these values.
    #[track_caller]
    fn wait_for_items(&self, namespace: &str, name: &str, items: &[(&str, &str)]) -> Value {
        self.wait("secret", namespace, name, |secret| items_of(secret) == expected(items))
    }

    /// Waits until a SealedSecret has this reason, as [`wait_for_reasons`](Self::wait_for_reasons) does.
    #[track_caller]
    fn wait_for_reason(&self, namespace: &str, name: &str, reason: &str) -> Value {
        let mut found = self.wait_for_reasons(namespace, &[(name.to_owned(), reason)]);
        found.remove(name).unwrap()
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    pub name: String,
    pub kind: String,
    pub reason: String,
    pub message: String,
}

/// How each value begins that must not be found anywhere but in a Secret.
pub const PLANTED: &str = "planted-7f3a9c41-";

/// Asserts that no planted value is where people look who may not read Secrets.
#[track_caller]
pub fn assert_nothing_leaked(cluster: &Cluster, controllers: &[&Controller]) {
    let kubectl = |kind: &str| cluster.kubectl_ok(&["get", kind, "-A", "-o", "yaml"]);
    let mut everything = vec![kubectl("events"), outcomes(cluster), kubectl("configmaps")];
    for controller in controllers {
        everything.extend([controller.log(), get(controller.metrics, "/metrics").unwrap_or_default()]);
    }
    for text in everything {
        // In base64, too.
        for planted in [PLANTED, "cGxhbnRlZC03ZjNhOWM0"] {
            if let Some(at) = text.find(planted) {
                let from = text[..at].rfind('\n').unwrap_or_default();
                panic!("{}", &text[from..(at + 100).min(text.len())]);
            }
        }
    }
}

/// All of the SealedSecrets but their specs: those are what people write, and some tests write plaintext there.
#[track_caller]
fn outcomes(cluster: &Cluster) -> String {
    let text = cluster.kubectl_ok(&["get", SEALED, "-A", "-o", "json"]);
    let mut list: Value = serde_json::from_str(&text).unwrap();
    for sealed in list["items"].as_array_mut().unwrap() {
        sealed.as_object_mut().unwrap().remove("spec");
    }
    serde_json::to_string_pretty(&list).unwrap()
}

pub fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

pub const SEALED: &str = "sealedsecrets.sealant.dev";

impl Client for Cluster {
    #[track_caller]
    fn kubectl_ok(&self, args: &[&str]) -> String {
        self.kubectl(args).run().ok().text().to_owned()
    }

    fn apply(&self, manifest: &str) -> Output {
        let args = ["apply", "--server-side", "--force-conflicts", "--field-manager=test", "-f", "-"];
        self.kubectl(&args).stdin(manifest).limit(LIMIT).run()
    }

    fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let args =
            ["get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found", "--show-managed-fields"];
        serde_json::from_str(&self.kubectl_ok(&args)).ok()
    }

    fn new_namespace(&self, prefix: &str) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{prefix}-{}", COUNT.fetch_add(1, Ordering::SeqCst));
        self.kubectl_ok(&["create", "namespace", &name]);
        name
    }
}

/// The values of a Secret, as text.
pub fn items_of(secret: &Value) -> Vec<(String, String)> {
    use base64::Engine;
    let decode = |value: &Value| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let data = secret["data"].as_object();
    let mut items: Vec<_> =
        data.into_iter().flatten().map(|(key, value)| (key.clone(), decode(value))).collect();
    items.sort();
    items
}

fn expected(items: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut items: Vec<_> =
        items.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    items.sort();
    items
}

pub fn condition(sealed: &Value, name: &str) -> Value {
    let conditions = sealed["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|condition| condition["type"] == name).cloned().unwrap_or_default()
}

/// Somebody with an age identity.
pub fn identity() -> NewIdentity {
    generate_identity(false, "2026-11-22T00:00:00Z".parse().unwrap())
}

/// A Secret with an identity, for the controller.
pub fn identity_secret(name: &str, identity: &NewIdentity) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "labels": {"sealant.dev/identity": "active"}},
        "stringData": {"key.agekey": &*identity.file},
    })
}

/// A Secret before it is sealed.
pub fn secret(namespace: &str, name: &str, items: &[(&str, &str)]) -> Secret {
    let item = |(key, value): &(&str, &str)| ((*key).to_owned(), SecretBytes::new(value.as_bytes().to_vec()));
    Secret {
        name: name.to_owned(),
        namespace: Some(namespace.to_owned()),
        items: items.iter().map(item).collect(),
        ..Secret::default()
    }
}

/// Seals a Secret for somebody.
pub fn seal(secret: &Secret, identity: &NewIdentity) -> SealedSecret {
    seal_for(secret, &Options::default(), vec![MasterKey::Age(identity.recipient.clone())])
}

pub fn seal_for(secret: &Secret, options: &Options, keys: Vec<MasterKey>) -> SealedSecret {
    sealed_secret::seal(secret, options, new_key(keys)).unwrap()
}

/// Seals a Secret under this data key.
pub fn seal_with(secret: &Secret, key: NewDataKey) -> SealedSecret {
    sealed_secret::seal(secret, &Options::default(), key).unwrap()
}

/// A data key that any of these master keys opens.
pub fn new_key(keys: Vec<MasterKey>) -> NewDataKey {
    new_key_by(&KeyService::new(&Closed, Identities::none()), &KeySet::any_of(keys))
}

/// A data key that takes so many of these groups.
pub fn new_key_of(groups: Vec<Vec<MasterKey>>, threshold: usize) -> NewDataKey {
    let keys = KeySet::of_groups(groups, Some(threshold));
    new_key_by(&KeyService::new(&Closed, Identities::none()), &keys)
}

/// A data key by a key service of the test's own.
pub fn new_key_by(service: &KeyService<'_>, keys: &KeySet) -> NewDataKey {
    wait_for(NewDataKey::make(service, &[keys])).remove(0).unwrap()
}

/// What the library does while others wait for it.
pub fn wait_for<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

pub fn json(sealed: &SealedSecret) -> String {
    manifest(sealed, Format::Json).unwrap()
}

/// Keeps the controller as `Server` of the support crate keeps its servers: it ends when the tests do. Says in the log
/// how it has ended.
const KEEPER: &str = r#"
    exec 3<&0
    log=$1
    shift
    "$@" </dev/null >>"$log" 2>&1 3<&- &
    controller=$!
    echo $controller
    exec >/dev/null 2>&1
    { cat; kill -KILL $controller; } <&3 &
    wait $controller
    echo "this was the end: $?" >>"$log"
    kill $!
"#;

/// A running controller.
pub struct Controller {
    keeper: Child,
    lifeline: Option<ChildStdin>,
    pid: String,
    log: PathBuf,
    pub metrics: u16,
    pub health: u16,
}

impl Controller {
    /// Starts a controller as a service account, with these flags.
    #[track_caller]
    pub fn start(kubeconfig: &Path, flags: &[&str]) -> Self {
        Self::start_with(kubeconfig, flags, &[])
    }

    /// Starts a controller as a service account, with these flags, and these variables in its environment.
    #[track_caller]
    pub fn start_with(kubeconfig: &Path, flags: &[&str], variables: &[(String, String)]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let log =
            kubeconfig.with_file_name(format!("controller-{}.log", COUNT.fetch_add(1, Ordering::SeqCst)));
        let (metrics, health) = (free_port(), free_port());
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "keeper"]).arg(&log).arg(program());
        command.arg(format!("--metrics-address=127.0.0.1:{metrics}"));
        command.arg(format!("--health-address=127.0.0.1:{health}"));
        command.args(flags).env_clear().env("KUBECONFIG", kubeconfig).env("PATH", "/usr/bin:/bin");
        command.envs(variables.iter().cloned());
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut pid = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let lifeline = keeper.stdin.take();
        let controller = Self { keeper, lifeline, pid: pid.trim().to_owned(), log, metrics, health };
        let start = Instant::now();
        while get(health, "/readyz").is_none_or(|answer| !answer.starts_with("HTTP/1.1 200")) {
            assert!(start.elapsed() < LIMIT, "{}", controller.log());
            sleep(Duration::from_millis(20));
        }
        controller
    }

    pub fn pid(&self) -> &str {
        &self.pid
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        let start = Instant::now();
        while !self.log().contains(text) {
            assert!(start.elapsed() < LIMIT, "no {text:?} in\n{}", self.log());
            sleep(Duration::from_millis(20));
        }
    }

    /// Tells it to stop, and waits until it has ended, and well.
    #[track_caller]
    pub fn stop(&self) {
        self.signal("TERM");
        self.wait_for_log("this was the end: 0");
    }

    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.pid]).status().unwrap().success());
    }

    /// The most memory that it has had, in kB.
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// The memory that it has now, in kB.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// The sum of a metric's samples with this text in their labels; 0 where there is none.
    pub fn metric(&self, name: &str, labels: &str) -> f64 {
        let answer = get(self.metrics, "/metrics").unwrap_or_default();
        let samples = answer.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.lifeline = None;
        self.keeper.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- log of the controller\n{}", self.log());
        }
    }
}

/// A GET request, and the whole answer.
pub fn get(port: u16, path: &str) -> Option<String> {
    ask(port, "GET", path, "")
}

/// A request, and the whole answer.
pub fn ask(port: u16, method: &str, path: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The controller under test: the one that Cargo has built, or the one of a release (`release/test-cluster`).
fn program() -> PathBuf {
    let released = std::env::var_os("SEALANT_TEST_CONTROLLER").map(PathBuf::from);
    released.unwrap_or_else(|| env!("CARGO_BIN_EXE_sealant-controller").into())
}

/// The program `sealant`, which Cargo tells only the tests of its own package about, or the one of a release.
pub fn sealant() -> PathBuf {
    if let Some(released) = std::env::var_os("SEALANT_TEST_SEALANT") {
        return released.into();
    }
    let path = Path::new(env!("CARGO_BIN_EXE_sealant-controller")).with_file_name("sealant");
    assert!(path.exists(), "{} is not there: cargo build --bin sealant", path.display());
    path
}
