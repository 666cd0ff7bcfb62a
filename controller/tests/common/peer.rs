//! The real sealed-secrets controller, and what kubeseal makes for it.
//!
//! It knows no kubeconfig, and finds the API server as in a pod: its files are where a pod has them, in a mount namespace of
//! its own. That takes the right to make one, which root and most systems' users have.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sealant_test_support::{Cluster, Peers};
use serde_json::Value;

use super::Client;

pub const OWN: &str = "kube-system";
pub const ACCOUNT: &str = "sealed-secrets-controller";

const AS_IN_A_POD: &str = r#"
    mount -t tmpfs tmpfs /run
    mkdir -p /run/secrets/kubernetes.io/serviceaccount
    cp "$1" /run/secrets/kubernetes.io/serviceaccount/token
    cp "$2" /run/secrets/kubernetes.io/serviceaccount/ca.crt
    shift 2
    exec "$@"
"#;

pub struct Peer {
    child: Child,
}

impl Peer {
    /// Makes what it needs in a cluster.
    pub fn install(cluster: &Cluster) {
        install_crd(cluster);
        cluster.kubectl_ok(&["create", "serviceaccount", ACCOUNT, "-n", OWN]);
        let account = format!("--serviceaccount={OWN}:{ACCOUNT}");
        let role = "--clusterrole=cluster-admin";
        cluster.kubectl_ok(&["create", "clusterrolebinding", "peer", role, &account]);
    }

    pub fn start(cluster: &Cluster, flags: &[&str]) -> Self {
        let token = cluster.ca_file().with_file_name("peer-token");
        std::fs::write(&token, cluster.service_account_token(OWN, ACCOUNT, None)).expect("a file");
        let (host, port) = cluster.address().trim_start_matches("https://").split_once(':').expect("a port");
        let child = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-euc", AS_IN_A_POD, "sh"])
            .args([&token, &cluster.ca_file()])
            .arg(Peers::get().program("sealed-secrets-controller"))
            .args(flags)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
            .envs([
                ("KUBERNETES_SERVICE_HOST", host),
                ("KUBERNETES_SERVICE_PORT", port),
                ("POD_NAMESPACE", OWN),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("unshare of util-linux");
        Self { child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has made its key, and returns the file with the certificate.
    pub fn certificate(cluster: &Cluster) -> PathBuf {
        let start = Instant::now();
        let pem = loop {
            let keys = cluster.list("secrets", OWN);
            let key = keys.iter().find(|secret| secret["type"] == "kubernetes.io/tls");
            let mut items = key.map(super::items_of).unwrap_or_default();
            items.retain(|(name, _)| name == "tls.crt");
            match items.pop() {
                Some((_, pem)) => break pem,
                None => assert!(start.elapsed() < super::LIMIT, "it makes no key"),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let path = cluster.ca_file().with_file_name("peer.pem");
        std::fs::write(&path, pem).expect("a file");
        path
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the real kubeseal makes of a Secret for a certificate.
pub fn kubeseal(cluster: &Cluster, certificate: &Path, scope: &str, secret: &Value) -> Value {
    kubeseal_all(cluster, certificate, scope, std::slice::from_ref(secret)).remove(0)
}

/// What the real kubeseal makes of Secrets for a certificate.
pub fn kubeseal_all(cluster: &Cluster, certificate: &Path, scope: &str, secrets: &[Value]) -> Vec<Value> {
    let mut child = Command::new(Peers::get().program("kubeseal"))
        .args([&format!("--scope={scope}"), "--format=json", "--cert"])
        .arg(certificate)
        // It looks for a cluster otherwise.
        .env("KUBECONFIG", cluster.kubeconfig())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kubeseal");
    let input: String = secrets.iter().map(|secret| format!("---\n{secret}\n")).collect();
    let mut stdin = child.stdin.take().expect("a pipe");
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let sealed = child.wait_with_output().expect("it ends");
    writing.join().expect("no panic").expect("it reads");
    let all: Vec<Value> = serde_json::Deserializer::from_slice(&sealed.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("JSON");
    assert_eq!(all.len(), secrets.len());
    all
}

/// Makes its resource known, as it ships for a cluster that never had it.
pub fn install_crd(cluster: &Cluster) {
    cluster.kubectl(&["apply", "--server-side", "-k"]).arg(super::deploy().join("crd-bitnami")).run().ok();
    let crd = "customresourcedefinition/sealedsecrets.bitnami.com";
    cluster.kubectl(&["wait", "--for=condition=Established", crd, "--timeout=60s"]).run().ok();
}
