//! The real sealed-secrets controller.
//!
//! It knows no kubeconfig, and finds the API server as in a pod: its files are where a pod has them, in a mount namespace of
//! its own. That takes the right to make one, which root and most systems' users have.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sealant_test_support::{ApiRequest, Cluster, Peers};
use serde_json::{Value, json};

use crate::common::Client;
use crate::common::client::secrets_at;
use crate::world::{Program, SPACE, World, items};

const OWN: &str = "kube-system";
const ACCOUNT: &str = "sealed-secrets-controller";

/// What it does for the most in a second; it has one worker, and no flag for more.
pub const AT_ITS_BEST: [&str; 1] = ["--kubeclient-qps=-1"];

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

impl Program for Peer {
    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn requests(&self, world: &World) -> Vec<ApiRequest> {
        world.cluster.requests_of(OWN, ACCOUNT)
    }
}

impl Peer {
    /// Makes what it needs in a cluster.
    pub fn install(world: &World) {
        let cluster = &world.cluster;
        cluster.kubectl(&["apply", "--server-side", "-f", "-"]).stdin(crd().to_string()).run().ok();
        let crd = "customresourcedefinition/sealedsecrets.bitnami.com";
        cluster.kubectl(&["wait", "--for=condition=Established", crd, "--timeout=60s"]).run().ok();
        cluster.kubectl_ok(&["create", "serviceaccount", ACCOUNT, "-n", OWN]);
        let account = format!("--serviceaccount={OWN}:{ACCOUNT}");
        cluster.kubectl_ok(&[
            "create",
            "clusterrolebinding",
            "peer",
            "--clusterrole=cluster-admin",
            &account,
        ]);
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

    /// Starts it once, so that it makes its key, which takes seconds that are not those of the objects.
    pub fn make_key(world: &World) {
        let first = Self::start(&world.cluster, &[]);
        let start = Instant::now();
        while world.client.list(&secrets_at(OWN)).iter().all(|secret| secret["type"] != "kubernetes.io/tls") {
            assert!(start.elapsed() < Duration::from_secs(60), "it makes no key");
            std::thread::sleep(Duration::from_millis(100));
        }
        drop(first);
    }

    /// Seals as many as are asked for. They have the same ciphertext, for any name: it opens each all the same.
    pub fn seal(world: &World, count: usize) {
        let template = Self::template(world);
        world.fill(at(), count, |name| named(&template, name));
    }

    pub fn template(world: &World) -> Value {
        let keys = world.client.list(&secrets_at(OWN));
        let key =
            keys.iter().find(|secret| secret["type"] == "kubernetes.io/tls").expect("it has made a key");
        let pem = crate::common::items_of(key)
            .into_iter()
            .find(|(name, _)| name == "tls.crt")
            .expect("a certificate")
            .1;
        let path = world.cluster.ca_file().with_file_name("peer.pem");
        std::fs::write(&path, pem).expect("a file");
        kubeseal(world, &path)
    }
}

fn kubeseal(world: &World, certificate: &Path) -> Value {
    let values: serde_json::Map<String, Value> =
        items().iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": values,
        "metadata": {"name": "x", "namespace": SPACE}});
    let mut child = Command::new(Peers::get().program("kubeseal"))
        .args(["--scope=cluster-wide", "--format=json", "--cert"])
        .arg(certificate)
        // It looks for a cluster otherwise.
        .env("KUBECONFIG", world.cluster.kubeconfig())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kubeseal");
    write!(child.stdin.take().expect("a pipe"), "{secret}").expect("it reads");
    let sealed = child.wait_with_output().expect("it ends");
    serde_json::from_slice(&sealed.stdout).expect("JSON")
}

pub fn named(template: &Value, name: &str) -> String {
    let mut object = template.clone();
    object["metadata"]["name"] = name.into();
    object.to_string()
}

pub fn at() -> String {
    format!("/apis/bitnami.com/v1alpha1/namespaces/{SPACE}/sealedsecrets")
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its resource, without its schema: that the API server checks less is for its good.
fn crd() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "sealedsecrets.bitnami.com"},
        "spec": {"group": "bitnami.com", "scope": "Namespaced",
            "names": {"kind": "SealedSecret", "listKind": "SealedSecretList", "plural": "sealedsecrets", "singular": "sealedsecret"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}})
}
