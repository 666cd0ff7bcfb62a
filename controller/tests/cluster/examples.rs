//! `examples/` does what its README says: from an empty cluster to a Secret, with kubectl, with Argo CD and with Flux.
//!
//! Pods do not run there, as in `docs.rs`. Beside the controller runs what the two other installations ask for: Argo CD's
//! real plugin server with the plugin that is in the cluster, and Flux's real kustomize-controller. What Argo CD's
//! application controller and Flux's source-controller would do is done here: clone, ask, apply, and tell.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use crate::common::{Client, SEALED, deploy, sealant};
use crate::docs::{OnDrop, with_what_is_deployed};
use sealant_test_support::{Cluster, Flux, Forge, Page, Peers, PluginServer, argocd_health};
use serde_json::{Value, json};

/// The address in the README.
const REPOSITORY: &str = "https://git.example.com/shop/my-secrets.git";

const WAYS: [&str; 3] = ["With kubectl", "With Argo CD", "With Flux"];

#[test]
fn the_example_runs_with_kubectl() {
    World::start().run("With kubectl", |_| {});
}

#[test]
fn the_example_runs_with_argo_cd() {
    let world = World::start();
    world.run("With Argo CD", |ended| run_argo_cd(&world, ended));
}

#[test]
fn the_example_runs_with_flux() {
    let world = World::start();
    // As `flux install` does.
    world.cluster.kubectl_ok(&["create", "namespace", "flux-system"]);
    let flux = Flux::start(&world.cluster);
    world.run("With Flux", |ended| run_source_controller(&world, &flux, ended));
}

/// An empty cluster, and the repositories that are needed.
struct World {
    cluster: Cluster,
    forge: Forge,
}

impl World {
    fn start() -> Self {
        let forge = Forge::new();
        forge.add_empty(REPOSITORY);
        bring_argo_cd(&forge);
        Self { cluster: Cluster::start_with_controllers(), forge }
    }

    /// Runs the README with one of its ways, while others do their part until it has ended.
    fn run(&self, way: &str, others: impl Fn(&AtomicBool) + Send + Sync) {
        let page = Page::read(&deploy().join("../examples/README.md")).with_forge(&self.forge);
        assert!(page.text().contains(&format!("\nrepository={REPOSITORY}\n")));
        let page = WAYS.into_iter().filter(|other| *other != way).fold(page, Page::without);
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| others(&ended));
            let _end = OnDrop(&ended);
            with_what_is_deployed(&self.cluster, || page.on(&self.cluster).run(&sealant()));
        });
    }
}

/// Lets the real manifests of Argo CD be in the repository, since nothing is fetched from the web.
fn bring_argo_cd(forge: &Forge) {
    let file = "examples/argocd/kustomization.yaml";
    let kustomization = fs::read_to_string(deploy().join("..").join(file)).unwrap();
    let address = "https://raw.githubusercontent.com/argoproj/argo-cd/v3.2.6/manifests/install.yaml";
    assert!(kustomization.contains(address), "{kustomization}");
    forge.commit(file, kustomization.replace(address, "install.yaml").as_bytes());
    let manifests = Peers::get().directory().join("argocd-manifests/install.yaml");
    forge.commit("examples/argocd/install.yaml", &fs::read(manifests).unwrap());
}

/// The objects of a kind in all namespaces; none while the kind is unknown.
fn all(cluster: &Cluster, kind: &str) -> Vec<Value> {
    let answer = cluster.kubectl(&["get", kind, "--all-namespaces", "-o", "json"]).run();
    let list: Value = serde_json::from_slice(&answer.stdout).unwrap_or_default();
    list["items"].as_array().cloned().unwrap_or_default()
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no {path} in {object:#}"))
}

/// Hands to Flux what is in the repositories that it asks for.
fn run_source_controller(World { cluster, forge }: &World, flux: &Flux, ended: &AtomicBool) {
    let mut stored = Vec::new();
    while !ended.load(Ordering::SeqCst) {
        for repository in all(cluster, "gitrepositories.source.toolkit.fluxcd.io") {
            let uid = repository["metadata"]["uid"].clone();
            if stored.contains(&uid) {
                continue;
            }
            let content =
                forge.checkout(text(&repository, "/spec/url"), text(&repository, "/spec/ref/branch"));
            let name = text(&repository, "/metadata/name");
            flux.store(cluster, text(&repository, "/metadata/namespace"), name, &content);
            stored.push(uid);
        }
        sleep(Duration::from_millis(200));
    }
}

/// Syncs each Application once, by the plugin, and says how healthy it is.
fn run_argo_cd(world: &World, ended: &AtomicBool) {
    let cluster = &world.cluster;
    let mut synced: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut plugin = None;
    while !ended.load(Ordering::SeqCst) {
        for application in all(cluster, "applications.argoproj.io") {
            let name = text(&application, "/metadata/name");
            let plugin = plugin.get_or_insert_with(|| start_plugin(cluster));
            let objects = synced.entry(name.to_owned()).or_insert_with(|| sync(world, plugin, &application));
            let health = json!({"status": {"sync": {"status": "Synced"}, "health": {"status": health(cluster, objects)}}});
            let patch =
                ["patch", "applications.argoproj.io", name, "--type=merge", "-p", &health.to_string()];
            cluster.kubectl_ok(
                &[&patch[..], &["--namespace", text(&application, "/metadata/namespace")]].concat(),
            );
        }
        sleep(Duration::from_millis(200));
    }
}

/// Runs the plugin as the repo-server's Deployment in the cluster asks for.
fn start_plugin(cluster: &Cluster) -> PluginServer {
    let deployment = cluster.get("deployment", "argocd", "argocd-repo-server").expect("the repo-server");
    let pod = &deployment["spec"]["template"]["spec"];
    let named = |list: &str, name: &str| {
        let found = pod[list].as_array().into_iter().flatten().find(|found| found["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} among the {list}")).clone()
    };
    let sidecar = named("containers", "sealant");
    assert_eq!(sidecar["command"], json!(["/var/run/argocd/argocd-cmp-server"]));
    // Each of its mounts is a volume of the real Deployment.
    for mount in sidecar["volumeMounts"].as_array().unwrap() {
        named("volumes", text(mount, "/name"));
    }
    let map = named("volumes", "sealant-plugin");
    let map = cluster.get("configmap", "argocd", text(&map, "/configMap/name")).expect("the plugin");
    PluginServer::start(text(&map, "/data/plugin.yaml"), &sealant(), &[])
}

/// Applies what the plugin makes of an Application, and returns it.
fn sync(World { cluster, forge }: &World, plugin: &PluginServer, application: &Value) -> Vec<Value> {
    let spec = &application["spec"];
    let repository = forge.checkout(text(spec, "/source/repoURL"), text(spec, "/source/targetRevision"));
    let ask = |question: &str| {
        let name = format!("ARGOCD_APP_NAME={}", text(application, "/metadata/name"));
        let answer = plugin.ask(question, &repository, text(spec, "/source/path"), &[&name]).run().ok();
        serde_json::from_slice::<Value>(&answer.stdout).unwrap()
    };
    // It names no plugin, so each is asked.
    assert_eq!(ask("match")["isSupported"], true);
    let answer = ask("generate");
    let manifests = answer["manifests"].as_array().expect("manifests").iter();
    let objects: Vec<Value> =
        manifests.map(|object| serde_json::from_str(object.as_str().unwrap()).unwrap()).collect();
    for object in &objects {
        cluster.apply(&object.to_string()).ok();
    }
    objects
}

/// As Argo CD's own interpreter sees the SealedSecrets by the check that is in the cluster.
fn health(cluster: &Cluster, objects: &[Value]) -> &'static str {
    let settings = cluster.get("configmap", "argocd", "argocd-cm").expect("Argo CD's settings");
    let check = fs::read_to_string(deploy().join("argocd/health.lua")).unwrap();
    assert_eq!(settings["data"]["resource.customizations.health.sealant.dev_SealedSecret"], check);
    let mut sealed = objects.iter().filter(|object| object["kind"] == "SealedSecret").peekable();
    assert!(sealed.peek().is_some(), "{objects:#?}");
    let is_healthy = |object: &Value| {
        let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
        let found = cluster.get(SEALED, namespace, name).expect("it was applied");
        argocd_health(&found.to_string()).0 == "Healthy"
    };
    if sealed.all(is_healthy) { "Healthy" } else { "Progressing" }
}
