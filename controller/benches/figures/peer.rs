//! The real sealed-secrets controller, as a program that is measured.

use sealant_test_support::ApiRequest;
use serde_json::{Value, json};

use crate::common::peer::{self, ACCOUNT, OWN, Peer};
use crate::world::{Program, SPACE, World, items};

/// What it does for the most in a second; it has one worker, and no flag for more.
pub const AT_ITS_BEST: [&str; 1] = ["--kubeclient-qps=-1"];

impl Program for Peer {
    fn pid(&self) -> u32 {
        self.pid()
    }

    fn requests(&self, world: &World) -> Vec<ApiRequest> {
        world.cluster.requests_of(OWN, ACCOUNT)
    }
}

/// Starts it once, so that it makes its key, which takes seconds that are not those of the objects.
pub fn make_key(world: &World) {
    let first = Peer::start(&world.cluster, &[]);
    Peer::certificate(&world.cluster);
    drop(first);
}

/// Seals as many as are asked for. They have the same ciphertext, for any name: it opens each all the same.
pub fn seal(world: &World, count: usize) {
    let template = template(world);
    world.fill(at(), count, |name| named(&template, name));
}

pub fn template(world: &World) -> Value {
    let values: serde_json::Map<String, Value> =
        items().iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": values,
        "metadata": {"name": "x", "namespace": SPACE}});
    peer::kubeseal(&world.cluster, &Peer::certificate(&world.cluster), "cluster-wide", &secret)
}

pub fn named(template: &Value, name: &str) -> String {
    let mut object = template.clone();
    object["metadata"]["name"] = name.into();
    object.to_string()
}

pub fn at() -> String {
    format!("/apis/bitnami.com/v1alpha1/namespaces/{SPACE}/sealedsecrets")
}
