use std::fs;
use std::path::Path;

use serde_json::json;

use crate::server::{Server, folder, on_free_port};
use crate::{Cluster, Peers, Run};

/// Flux's real kustomize-controller on a [`Cluster`], and a real HTTP server in the place of its source-controller:
/// what is [published](Self::publish) is what it would have found in Git.
///
/// ```no_run
/// use sealant_test_support::{Cluster, Flux};
///
/// # let folder = std::path::Path::new("");
/// let cluster = Cluster::start();
/// let flux = Flux::start(&cluster);
/// cluster.kubectl(&["apply", "-f", "kustomization.yaml"]).run().ok(); // of GitRepository `app`
/// flux.publish(&cluster, "app", folder);
/// ```
///
/// It stops when it is dropped.
pub struct Flux {
    controller: Server,
    files: Server,
    address: String,
}

/// What the controller asks the API server for. Only the names count here, so every field is let through.
const KINDS: [(&str, &str, &str, &str); 4] = [
    ("kustomize.toolkit.fluxcd.io", "Kustomization", "kustomizations", "v1"),
    ("source.toolkit.fluxcd.io", "GitRepository", "gitrepositories", "v1"),
    ("source.toolkit.fluxcd.io", "OCIRepository", "ocirepositories", "v1"),
    ("source.toolkit.fluxcd.io", "Bucket", "buckets", "v1"),
];

impl Flux {
    /// Starts the controller, with the rights of one who may do everything.
    #[track_caller]
    pub fn start(cluster: &Cluster) -> Self {
        for (group, kind, plural, version) in KINDS {
            let crd = json!({
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": format!("{plural}.{group}")},
                "spec": {
                    "group": group,
                    "scope": "Namespaced",
                    "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
                    "versions": [{
                        "name": version,
                        "served": true,
                        "storage": true,
                        "subresources": {"status": {}},
                        "schema": {"openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                            },
                        }},
                    }],
                },
            });
            apply(cluster, &crd.to_string()).run().ok();
            let name = format!("crd/{plural}.{group}");
            cluster.kubectl(&["wait", "--for=condition=Established", &name, "--timeout=60s"]).run().ok();
        }
        let (files, port) = on_free_port(|port| {
            let args = ["-u", "-m", "http.server", &port.to_string(), "--bind", "127.0.0.1"];
            let server = Server::start(folder("artifacts"), Path::new("python3"), &args.map(str::to_owned));
            Ok((server.wait_for("Serving HTTP on")?, port))
        });
        let args = [
            format!("KUBECONFIG={}", cluster.kubeconfig().display()),
            "RUNTIME_NAMESPACE=default".to_owned(),
            Peers::get().program("kustomize-controller").display().to_string(),
            // No ports of its own.
            "--metrics-addr=0".to_owned(),
            "--health-addr=0".to_owned(),
        ];
        let controller = Server::start(folder("flux"), Path::new("env"), &args)
            .wait_for("Starting workers")
            .unwrap_or_else(|error| panic!("{error}"));
        Self { controller, files, address: format!("http://127.0.0.1:{port}") }
    }

    /// Makes a folder the content of a GitRepository in the namespace `default`.
    #[track_caller]
    pub fn publish(&self, cluster: &Cluster, name: &str, content: &Path) {
        let repository = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"interval": "1h", "url": "https://git.example.com/app"},
        });
        apply(cluster, &repository.to_string()).run().ok();
        self.store(cluster, "default", name, content);
    }

    /// Makes a folder the content of a GitRepository that is there.
    #[track_caller]
    pub fn store(&self, cluster: &Cluster, namespace: &str, name: &str, content: &Path) {
        let archive = self.files.folder().join(format!("{name}.tar.gz"));
        let tar = std::process::Command::new("tar")
            .arg("-C")
            .arg(content)
            .arg("-czf")
            .arg(&archive)
            .arg(".")
            .status();
        assert!(tar.is_ok_and(|status| status.success()), "tar packs {}", content.display());
        let sum = std::process::Command::new("sha256sum").arg(&archive).output().expect("sha256sum runs");
        let sum = String::from_utf8(sum.stdout).expect("sha256sum prints text");
        let digest = sum.split_whitespace().next().expect("sha256sum prints the sum first");
        let size = fs::metadata(&archive).expect("the archive is there").len();
        let status = json!({"status": {
            "observedGeneration": 1,
            "artifact": {
                "url": format!("{}/{name}.tar.gz", self.address),
                "path": format!("{name}.tar.gz"),
                "digest": format!("sha256:{digest}"),
                "revision": format!("main@sha1:{}", &digest[..40]),
                "lastUpdateTime": "2026-01-01T00:00:00Z",
                "size": size,
            },
            "conditions": [{
                "type": "Ready",
                "status": "True",
                "reason": "Succeeded",
                "message": "stored",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        }});
        let resource = format!("gitrepositories.source.toolkit.fluxcd.io/{name}");
        let patch = ["patch", &resource, "-n", namespace, "--subresource=status", "--type=merge", "-p"];
        cluster.kubectl(&patch).arg(status.to_string()).run().ok();
    }

    /// All that the controller has logged so far.
    pub fn log(&self) -> String {
        self.controller.output()
    }
}

fn apply(cluster: &Cluster, manifest: &str) -> Run {
    cluster.kubectl(&["apply", "--server-side", "-f", "-"]).stdin(manifest)
}
