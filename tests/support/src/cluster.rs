use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::authority::{make_authority, make_certificate, openssl};
use crate::capture::Deadline;
use crate::server::{LIMIT, NotStarted, Server, folder, on_free_port};
use crate::{Peers, Run};

/// A real Kubernetes API server on a port of its own, with etcd behind it, and the controllers that one asks for. It has
/// no nodes: nothing runs in it. It is ready after three seconds, and needs 300 MB.
///
/// ```no_run
/// use sealant_test_support::Cluster;
///
/// let cluster = Cluster::start();
/// cluster.kubectl(&["create", "serviceaccount", "app"]).run().ok();
/// let token = cluster.service_account_token("default", "app", Some("vault"));
/// ```
///
/// It stops when it is dropped. One that many tests share may be in a `LazyLock`: it stops when the tests end.
pub struct Cluster {
    // In the order in which they stop.
    _controllers: Option<Server>,
    server: Server,
    etcd: Server,
    address: String,
}

/// A request of a service account that the API server has answered, from its audit log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiRequest {
    /// `get`, `list`, `watch`, `create`, `update`, `patch` (an apply, too), `delete`.
    pub verb: String,
    /// Empty for the core group.
    pub group: String,
    /// With its subresource: `secrets`, `sealedsecrets/status`.
    pub resource: String,
    pub namespace: String,
    /// Empty for a list or a watch.
    pub name: String,
    /// The status of the answer.
    pub code: u64,
}

impl ApiRequest {
    /// Whether it could have changed anything.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}

impl Cluster {
    /// Starts the API server. Namespaces that are deleted stay, and so does what a deleted object owned.
    #[track_caller]
    pub fn start() -> Self {
        let etcd = start_etcd();
        let (server, address) = on_free_port(|port| start_server(&etcd, port));
        let cluster = Self { _controllers: None, server, etcd, address };
        cluster.wait_until_ready();
        cluster
    }

    /// Starts the API server and the controllers that delete the content of namespaces, collect garbage, and make the
    /// service account `default` of each namespace and the tokens of Secrets of type
    /// `kubernetes.io/service-account-token`.
    #[track_caller]
    pub fn start_with_controllers() -> Self {
        let mut cluster = Self::start();
        cluster._controllers = Some(start_controllers(cluster.server.folder()));
        let _ =
            cluster.kubectl(&["wait", "--for=create", "serviceaccount/default", "--timeout=60s"]).run().ok();
        cluster
    }

    /// `https://127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The authority of the API server's certificate, in PEM.
    pub fn ca_file(&self) -> PathBuf {
        self.server.folder().join("ca.crt")
    }

    /// A kubeconfig of one who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.server.folder().join("admin.kubeconfig")
    }

    /// A kubeconfig of a service account, for a program that runs with its rights.
    #[track_caller]
    pub fn kubeconfig_of(&self, namespace: &str, name: &str) -> PathBuf {
        let token = self.service_account_token(namespace, name, None);
        self.kubeconfig_with(namespace, name, &token)
    }

    /// As [`kubeconfig_of`](Self::kubeconfig_of), where the account may be gone at any moment.
    #[track_caller]
    pub fn kubeconfig_of_any(&self, namespace: &str, name: &str) -> Option<PathBuf> {
        let answer = self.kubectl(&["create", "token", name, "--namespace", namespace]).run();
        (answer.status == 0).then(|| self.kubeconfig_with(namespace, name, answer.text().trim()))
    }

    fn kubeconfig_with(&self, namespace: &str, name: &str, token: &str) -> PathBuf {
        let path = self.server.folder().join(format!("{namespace}-{name}.kubeconfig"));
        write_kubeconfig(&path, &self.address, namespace, token);
        path
    }

    /// The real kubectl, as one who may do everything. As somebody else with `--as=...` or `.env("KUBECONFIG", ..)`.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> Run {
        Run::new(&Peers::get().program("kubectl"), args, self.server.folder().to_owned())
            .env("HOME", self.server.folder())
            .env("KUBECONFIG", self.kubeconfig())
    }

    /// A token of a service account, which must exist, for an hour. For an audience other than the API server if one is
    /// given.
    #[track_caller]
    pub fn service_account_token(&self, namespace: &str, name: &str, audience: Option<&str>) -> String {
        let mut run = self.kubectl(&["create", "token", name, "--namespace", namespace]);
        if let Some(audience) = audience {
            run = run.args(&["--audience", audience]);
        }
        run.run().ok().text().trim().to_owned()
    }

    /// All requests of a service account that the API server has answered, oldest first. A watch is among them when it
    /// has begun, and once more when it has ended.
    #[track_caller]
    pub fn requests_of(&self, namespace: &str, name: &str) -> Vec<ApiRequest> {
        let user = format!("system:serviceaccount:{namespace}:{name}");
        let log = fs::read_to_string(self.server.folder().join("audit.log")).expect("the audit log");
        // What comes after the last line break is still being written.
        let complete = log.rfind('\n').map_or("", |end| &log[..end]);
        let entries = complete
            .lines()
            .filter(|line| line.contains(&user))
            .map(|line| serde_json::from_str::<Value>(line).expect("a line of the audit log is JSON"));
        entries
            .filter(|entry| entry.pointer("/user/username").and_then(Value::as_str) == Some(&user))
            .map(|entry| {
                let text =
                    |path: &str| entry.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
                let part = text("/objectRef/subresource");
                let resource = text("/objectRef/resource");
                ApiRequest {
                    verb: text("/verb"),
                    group: text("/objectRef/apiGroup"),
                    resource: if part.is_empty() { resource } else { format!("{resource}/{part}") },
                    namespace: text("/objectRef/namespace"),
                    name: text("/objectRef/name"),
                    code: entry.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default(),
                }
            })
            .collect()
    }

    /// Kills the API server. What it has stored stays.
    #[track_caller]
    pub fn stop(&self) {
        self.server.stop();
        let deadline = Deadline::new(LIMIT);
        while TcpStream::connect(self.address.trim_start_matches("https://")).is_ok() {
            assert!(!deadline.left().is_zero(), "the API server goes on");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the API server again after [`stop`](Self::stop), and waits until it is ready.
    #[track_caller]
    pub fn start_again(&self) {
        self.server.start_again();
        self.wait_until_ready();
    }

    /// Makes etcd forget all that was before now: whoever asks for changes since then is told to list again.
    #[track_caller]
    pub fn compact(&self) {
        let found = self.ask_etcd("kv/range", &json!({"key": "AA==", "limit": "1"}));
        let revision = found.pointer("/header/revision").expect("etcd says its revision").clone();
        self.ask_etcd("kv/compaction", &json!({"revision": revision, "physical": true}));
    }

    #[track_caller]
    fn ask_etcd(&self, method: &str, request: &Value) -> Value {
        let body = request.to_string();
        let mut stream = UnixStream::connect(self.etcd.folder().join("clients:0")).expect("etcd listens");
        let head = format!("POST /v3/{method} HTTP/1.0\r\nHost: etcd\r\nContent-Length: {}\r\n", body.len());
        write!(stream, "{head}Content-Type: application/json\r\n\r\n{body}").expect("etcd listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("etcd answers in text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("etcd answers in HTTP");
        assert!(head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).expect("etcd answers in JSON")
    }

    #[track_caller]
    fn wait_until_ready(&self) {
        let deadline = Deadline::new(LIMIT);
        loop {
            let output = self.kubectl(&["get", "--raw=/readyz"]).run();
            if output.status == 0 {
                break;
            }
            assert!(!deadline.left().is_zero(), "{output}\n{}", self.server.output());
            thread::sleep(Duration::from_millis(50));
        }
        // The API server makes its namespaces itself, a moment later.
        self.kubectl(&["wait", "--for=create", "namespace/default", "--timeout=60s"]).run().ok();
    }
}

/// etcd, on sockets in its folder. It insists on addresses with a port, and makes the socket's name out of them.
#[track_caller]
fn start_etcd() -> Server {
    const PEERS: &str = "unix://peers:0";
    const CLIENTS: &str = "unix://clients:0";
    let args = [
        "--data-dir=data".to_owned(),
        format!("--listen-client-urls={CLIENTS}"),
        format!("--advertise-client-urls={CLIENTS}"),
        format!("--listen-peer-urls={PEERS}"),
        format!("--initial-advertise-peer-urls={PEERS}"),
        format!("--initial-cluster=default={PEERS}"),
        "--unsafe-no-fsync".to_owned(),
    ];
    Server::start(folder("etcd"), &Peers::get().program("etcd"), &args)
        .wait_for("ready to serve client requests")
        .unwrap_or_else(|error| panic!("{error}"))
}

/// What service accounts ask for, without what they send and get.
const AUDIT_POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: Metadata, userGroups: ["system:serviceaccounts"]}
  - {level: None}
"#;

fn start_server(etcd: &Server, port: u16) -> Result<(Server, String), NotStarted> {
    const ADMIN_TOKEN: &str = "admin";
    let folder = folder("kubernetes");
    let path = folder.path();
    make_authority(path);
    make_certificate(path, "server");
    openssl(path, &["genrsa", "-out", "service-accounts.key", "2048"]);
    fs::write(path.join("audit.yaml"), AUDIT_POLICY).expect("a file in the temporary directory");
    fs::write(path.join("tokens.csv"), format!("{ADMIN_TOKEN},admin,admin,system:masters\n"))
        .expect("a file in the temporary directory");
    let address = format!("https://127.0.0.1:{port}");
    write_kubeconfig(&path.join("admin.kubeconfig"), &address, "default", ADMIN_TOKEN);
    let args = [
        format!("--etcd-servers=unix://{}/clients:0", etcd.folder().display()),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        "--tls-cert-file=server.crt".to_owned(),
        "--tls-private-key-file=server.key".to_owned(),
        "--client-ca-file=ca.crt".to_owned(),
        "--token-auth-file=tokens.csv".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--service-account-key-file=service-accounts.key".to_owned(),
        "--service-account-signing-key-file=service-accounts.key".to_owned(),
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--audit-policy-file=audit.yaml".to_owned(),
        "--audit-log-path=audit.log".to_owned(),
        // It would publish its address in the cluster, and complain that it is a loopback one.
        "--endpoint-reconciler-type=none".to_owned(),
    ];
    let server = Server::start(folder, &Peers::get().program("kube-apiserver"), &args);
    Ok((server.wait_for("Serving securely on")?, address))
}

#[track_caller]
fn start_controllers(server: &Path) -> Server {
    let file = |name: &str| server.join(name).display().to_string();
    let args = [
        format!("--kubeconfig={}", file("admin.kubeconfig")),
        "--controllers=garbage-collector-controller,namespace-controller,\
         serviceaccount-controller,serviceaccount-token-controller"
            .to_owned(),
        format!("--service-account-private-key-file={}", file("service-accounts.key")),
        "--leader-elect=false".to_owned(),
        // No port of its own.
        "--secure-port=0".to_owned(),
    ];
    Server::start(folder("controllers"), &Peers::get().program("kube-controller-manager"), &args)
}

/// The kubeconfig is beside the authority's certificate.
fn write_kubeconfig(path: &Path, address: &str, namespace: &str, token: &str) {
    let text = format!(
        "apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: test, namespace: {namespace}}}}}]
clusters: [{{name: test, cluster: {{server: {address:?}, certificate-authority: ca.crt}}}}]
users: [{{name: test, user: {{token: {token:?}}}}}]
"
    );
    fs::write(path, text).expect("a file in the temporary directory");
}
