//! A namespace that controllers with rights in it alone look after.

use super::*;

/// A namespace that is looked after by controllers in it, which have no rights elsewhere.
pub struct Tenant {
    pub namespace: String,
    cluster: &'static Cluster,
    kubeconfig: PathBuf,
}

impl Tenant {
    pub fn new(cluster: &'static Cluster, name: &str) -> Self {
        let namespace = cluster.new_namespace(name);
        for file in ["base/own-namespace.yaml", "namespaced/role.yaml"] {
            let manifest =
                fs::read_to_string(deploy().join(file)).unwrap().replace("sealant-system", &namespace);
            let manifest = manifest.replace("namespace: default", &format!("namespace: {namespace}"));
            // Two roles of one name, in what is one namespace here.
            let manifest = match file.starts_with("namespaced") {
                true => manifest
                    .replace("name: sealant-controller\n", "name: sealant-namespaced\n")
                    .replace("kind: Role, name: sealant-controller", "kind: Role, name: sealant-namespaced"),
                false => manifest,
            };
            cluster.kubectl(&["apply", "-f", "-"]).stdin(manifest).run().ok();
        }
        let kubeconfig = cluster.kubeconfig_of(&namespace, "sealant-controller");
        Self { namespace, cluster, kubeconfig }
    }

    pub fn start(&self, name: &str) -> Controller {
        self.start_with(name, &[])
    }

    pub fn start_with(&self, name: &str, flags: &[&str]) -> Controller {
        let namespace = format!("--namespace={}", self.namespace);
        let watch = format!("--watch-namespaces={}", self.namespace);
        let name = format!("--pod-name={name}");
        let flags = [&[namespace.as_str(), watch.as_str(), name.as_str()], flags].concat();
        Controller::start(&self.kubeconfig, &flags)
    }

    pub fn give(&self, identity: &NewIdentity) {
        let secret = identity_secret("team", identity).to_string();
        self.cluster.kubectl(&["apply", "-n", &self.namespace, "-f", "-"]).stdin(secret).run().ok();
    }

    /// Applies this many SealedSecrets.
    pub fn apply_many(&self, identity: &NewIdentity, count: usize) {
        let one = |index: usize| {
            json(&seal(&secret(&self.namespace, &format!("s{index}"), &[("a", "1")]), identity))
        };
        self.cluster.apply(&(0..count).map(one).collect::<String>()).ok();
    }

    pub fn names_and_versions(&self, kind: &str) -> Vec<(String, String)> {
        let list: Value = serde_json::from_str(&self.cluster.kubectl_ok(&[
            "get",
            kind,
            "-n",
            &self.namespace,
            "-o",
            "json",
        ]))
        .unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|item| (text(&item["metadata"]["name"]), text(&item["metadata"]["resourceVersion"])))
            .collect()
    }

    #[track_caller]
    pub fn wait_for_all(&self, count: usize) {
        let all = [
            "wait",
            "--for=condition=Ready",
            "sealedsecrets.sealant.dev",
            "--all",
            "--timeout=120s",
            "-n",
            &self.namespace,
        ];
        self.cluster.kubectl_ok(&all);
        let made = self.names_and_versions("secret").into_iter().filter(|(name, _)| name.starts_with('s'));
        assert_eq!(made.filter(|(name, _)| name[1..].parse::<usize>().is_ok()).count(), count);
    }

    pub fn holder(&self) -> String {
        let args = [
            "get",
            "lease",
            "sealant-controller",
            "-n",
            &self.namespace,
            "-o",
            "jsonpath={.spec.holderIdentity}",
        ];
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
