//! The commands of docs/controller.md and docs/install.md do what they say, on a real cluster.
//!
//! Pods do not run there. What its Deployment asks for is run beside it: the real program, with the variables and the
//! tokens that the Deployment gives it, and with the rights of its service account.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use crate::common::{Client, Controller, get, sealant, wait_until};
use sealant_test_support::{Cluster, Page};
use serde_json::Value;

const NAMESPACE: &str = "sealant-system";
const NAME: &str = "sealant-controller";

#[test]
fn the_page_about_the_controller_runs() {
    run("controller.md");
}

#[test]
fn the_page_about_installing_runs() {
    run("install.md");
}

fn run(page: &str) {
    let page = Page::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page));
    let cluster = Cluster::start_with_controllers();
    with_what_is_deployed(&cluster, || page.on(&cluster).run(&sealant()));
}

/// Runs the controller as its Deployment asks for while something is done.
pub fn with_what_is_deployed(cluster: &Cluster, act: impl FnOnce()) {
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| run_deployment(cluster, &ended));
        let end = OnDrop(&ended);
        act();
        drop(end);
    });
}

/// Sets this when something has ended, however it has.
pub struct OnDrop<'a>(pub &'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs what the Deployment asks for, as long as it asks for it.
fn run_deployment(cluster: &Cluster, ended: &AtomicBool) {
    let mut running: Vec<Controller> = Vec::new();
    let mut known = None;
    while !ended.load(Ordering::SeqCst) {
        let deployment = cluster.get("deployment", NAMESPACE, NAME);
        let wanted = deployment.map(|found| (found["metadata"]["uid"].clone(), found["spec"].clone()));
        if wanted != known {
            running.drain(..).for_each(stop);
            let started = wanted.as_ref().and_then(|(_, spec)| start_replicas(cluster, spec));
            known = wanted.filter(|_| started.is_some());
            running = started.unwrap_or_default();
        }
        sleep(Duration::from_millis(200));
    }
}

/// As a cluster stops pods.
fn stop(controller: Controller) {
    controller.signal("TERM");
    wait_until(|| get(controller.health, "/healthz").is_none());
}

/// None while there is no service account: whoever uninstalls deletes both.
fn start_replicas(cluster: &Cluster, spec: &Value) -> Option<Vec<Controller>> {
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], NAME);
    let kubeconfig = cluster.kubeconfig_of_any(NAMESPACE, NAME)?;
    let mounted = mount(cluster, pod);
    let replicas = spec["replicas"].as_u64().unwrap_or(1);
    let start = |index| {
        let variables = variables(&pod["containers"][0], &format!("{NAME}-{index}"), &mounted);
        Controller::start_with(&kubeconfig, &[], &variables)
    };
    Some((0..replicas).map(start).collect())
}

/// Paths in the container, and where their content is here: tokens of the service account.
fn mount(cluster: &Cluster, pod: &Value) -> Vec<(String, String)> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut mounted = Vec::new();
    for mount in list(&pod["containers"][0]["volumeMounts"]) {
        let volume = list(&pod["volumes"]).into_iter().find(|volume| volume["name"] == mount["name"]);
        for source in list(&volume.expect("a volume for each mount")["projected"]["sources"]) {
            let token = &source["serviceAccountToken"];
            let audience = text(&token["audience"]);
            let file = cluster.ca_file().with_file_name(format!("token-{audience}"));
            fs::write(&file, cluster.service_account_token(NAMESPACE, NAME, Some(&audience))).unwrap();
            let inside = format!("{}/{}", text(&mount["mountPath"]), text(&token["path"]));
            mounted.push((inside, file.display().to_string()));
        }
    }
    mounted
}

fn variables(container: &Value, pod: &str, mounted: &[(String, String)]) -> Vec<(String, String)> {
    let variables = container["env"].as_array().into_iter().flatten();
    let value = |variable: &Value| match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
        Some("metadata.name") => pod.to_owned(),
        Some("metadata.namespace") => NAMESPACE.to_owned(),
        Some(other) => panic!("no pod has its {other} here"),
        None => {
            let text = variable["value"].as_str().unwrap_or_default();
            mounted.iter().fold(text.to_owned(), |text, (inside, here)| text.replace(inside, here))
        }
    };
    variables
        .map(|variable| (variable["name"].as_str().unwrap_or_default().to_owned(), value(variable)))
        .collect()
}
