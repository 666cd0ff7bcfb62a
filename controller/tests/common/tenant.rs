//! A namespace that controllers with rights in it alone look after.

use std::collections::BTreeSet;
use std::ops::Range;

use sealant_test_support::ApiRequest;

use super::*;

/// A namespace that is looked after by controllers which have no rights elsewhere.
pub struct Tenant {
    pub namespace: String,
    /// Where the controllers and their identities are.
    pub own: String,
    /// What is looked after beside it.
    others: Vec<String>,
    cluster: &'static Cluster,
    kubeconfig: PathBuf,
}

impl Tenant {
    /// With the controllers in the namespace itself.
    pub fn new(cluster: &'static Cluster, name: &str) -> Self {
        let namespace = cluster.new_namespace(name);
        Self::with(cluster, namespace.clone(), namespace)
    }

    /// With the controllers in a namespace of their own, as `deploy/namespaced` has it.
    pub fn apart(cluster: &'static Cluster, name: &str) -> Self {
        let own = cluster.new_namespace(&format!("{name}-own"));
        Self::with(cluster, cluster.new_namespace(name), own)
    }

    /// With other controllers, in a namespace of their own, for the namespace of another.
    pub fn beside(other: &Self, name: &str) -> Self {
        let own = other.cluster.new_namespace(&format!("{name}-own"));
        let manifest = namespaced_role(&own, &other.namespace);
        // Each has its binding.
        let manifest = manifest.replace("sealant-namespaced", &own);
        other.cluster.kubectl(&["apply", "-f", "-"]).stdin(manifest).run().ok();
        Self::account(other.cluster, other.namespace.clone(), own)
    }

    fn with(cluster: &'static Cluster, namespace: String, own: String) -> Self {
        let tenant = Self::account(cluster, namespace, own);
        tenant.open(&tenant.namespace);
        tenant
    }

    fn account(cluster: &'static Cluster, namespace: String, own: String) -> Self {
        let manifest = fs::read_to_string(deploy().join("base/own-namespace.yaml")).unwrap();
        let manifest = manifest.replace("sealant-system", &own);
        cluster.kubectl(&["apply", "-f", "-"]).stdin(manifest).run().ok();
        let kubeconfig = cluster.kubeconfig_of(&own, "sealant-controller");
        Self { namespace, own, others: Vec::new(), cluster, kubeconfig }
    }

    /// Gives the controllers their rights in a namespace.
    pub fn open(&self, namespace: &str) {
        let manifest = namespaced_role(&self.own, namespace);
        self.cluster.kubectl(&["apply", "-f", "-"]).stdin(manifest).run().ok();
    }

    /// With another namespace beside it, which has to be [open](Self::open).
    pub fn watching(mut self, namespace: &str) -> Self {
        self.others.push(namespace.to_owned());
        self
    }

    pub fn start(&self, name: &str) -> Controller {
        self.start_with(name, &[])
    }

    pub fn start_with(&self, name: &str, flags: &[&str]) -> Controller {
        self.start_in(name, flags, &[])
    }

    /// With these variables in its environment.
    pub fn start_in(&self, name: &str, flags: &[&str], variables: &[(String, String)]) -> Controller {
        let namespace = format!("--namespace={}", self.own);
        let watched = [std::slice::from_ref(&self.namespace), &self.others].concat().join(",");
        let watch = format!("--watch-namespaces={watched}");
        let name = format!("--pod-name={name}");
        let flags = [&[namespace.as_str(), watch.as_str(), name.as_str()], flags].concat();
        Controller::start_with(&self.kubeconfig, &flags, variables)
    }

    pub fn give(&self, identity: &NewIdentity) {
        let secret = identity_secret("team", identity).to_string();
        self.cluster.kubectl(&["apply", "-n", &self.own, "-f", "-"]).stdin(secret).run().ok();
    }

    /// Applies SealedSecrets of these numbers.
    pub fn apply_many(&self, identity: &NewIdentity, numbers: Range<usize>) {
        let one = |index: usize| {
            json(&seal(&secret(&self.namespace, &format!("s{index}"), &[("a", "1")]), identity))
        };
        self.cluster.apply(&numbers.map(one).collect::<String>()).ok();
    }

    pub fn names_and_versions(&self, kind: &str) -> BTreeSet<(String, String)> {
        let version = |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        let objects = self.cluster.list(kind, &self.namespace);
        objects.iter().map(|object| (name_of(object), version(object))).collect()
    }

    /// All that the controllers have asked of the API server.
    pub fn requests(&self) -> Vec<ApiRequest> {
        self.cluster.requests_of(&self.own, "sealant-controller")
    }

    /// How often each Secret was written.
    pub fn writes_of_secrets(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.requests() {
            if request.resource == "secrets" && request.is_write() && request.code < 300 {
                *counts.entry(request.name).or_default() += 1;
            }
        }
        counts
    }

    /// Waits until this many SealedSecrets are well. `kubectl wait` looks at one after another, ten in a second.
    #[track_caller]
    pub fn wait_for_all(&self, count: usize) {
        let is_ready = |sealed: &&Value| condition(sealed, "Ready")["status"] == "True";
        wait_until(|| self.cluster.list(SEALED, &self.namespace).iter().filter(is_ready).count() >= count);
        let made = self.names_and_versions("secret").into_iter();
        let made = made.filter(|(name, _)| name.starts_with('s') && name[1..].parse::<usize>().is_ok());
        assert_eq!(made.count(), count);
    }

    pub fn holder(&self) -> String {
        let args =
            ["get", "lease", "sealant-controller", "-n", &self.own, "-o", "jsonpath={.spec.holderIdentity}"];
        self.cluster.kubectl(&args).run().text().trim().to_owned()
    }

    #[track_caller]
    pub fn wait_for_holder(&self, name: &str, limit: Duration) {
        let start = Instant::now();
        while self.holder() != name {
            assert!(start.elapsed() < limit, "{name} does not lead after {limit:?}, but {}", self.holder());
            sleep(Duration::from_millis(50));
        }
    }
}

/// What gives controllers of the namespace `own` their rights in another.
fn namespaced_role(own: &str, namespace: &str) -> String {
    let manifest = fs::read_to_string(deploy().join("namespaced/role.yaml")).unwrap();
    manifest
        .replace("sealant-system", own)
        .replace("namespace: default", &format!("namespace: {namespace}"))
        // Two roles of one name, in what can be one namespace here.
        .replace("name: sealant-controller\n", "name: sealant-namespaced\n")
        .replace("kind: Role, name: sealant-controller", "kind: Role, name: sealant-namespaced")
}
