//! The Helm chart in `deploy/chart`, by the real Helm: it makes what the kustomizations make, and a release comes and goes without
//! anybody losing a Secret.

mod variants;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sealant_test_support::{Peers, Run, Sandbox};

use super::install::stdout;
use super::*;
use variants::Variant;

fn chart() -> PathBuf {
    deploy().join("chart")
}

fn helm(test: &Sandbox, args: &[&str]) -> Run {
    test.program(Peers::get().program("helm"), args)
}

/// Helm has no file from outside of a chart: these are copies, and nothing else is in the folder.
#[test]
fn files_of_the_chart_are_those_of_the_kustomizations() {
    const RENEW: &str = "RENEW=1 cargo test -p sealant-controller --test cluster files_of_the_chart";
    let files = chart().join("files");
    let mut copies = Vec::new();
    let mut folders = vec![files.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { copies.push(path) }
        }
    }
    assert!(copies.len() > 12, "{copies:?}");
    for copy in copies {
        let original = std::fs::read_to_string(deploy().join(copy.strip_prefix(&files).unwrap())).unwrap();
        if std::env::var_os("RENEW").is_some() {
            std::fs::write(&copy, &original).unwrap();
        }
        assert!(
            std::fs::read_to_string(&copy).unwrap() == original,
            "{} is out of date: {RENEW}",
            copy.display()
        );
    }
}

/// Objects by kind, namespace and name, without what only Helm puts on them.
fn objects(manifests: &str) -> BTreeMap<String, Value> {
    let documents = manifests.split("\n---\n").map(|text| serde_yaml::from_str::<Value>(text).unwrap());
    let mut objects = BTreeMap::new();
    for mut object in documents.filter(|object| !object.is_null()) {
        if let Some(labels) = object.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
            for name in ["instance", "version", "managed-by"] {
                labels.remove(&format!("app.kubernetes.io/{name}"));
            }
            labels.remove("helm.sh/chart");
        }
        // In which order variables come means nothing.
        if let Some(variables) = object.pointer_mut("/spec/template/spec/containers/0/env") {
            variables.as_array_mut().unwrap().sort_by_key(|variable| variable["name"].to_string());
        }
        let name =
            format!("{} {}/{}", object["kind"], object["metadata"]["namespace"], object["metadata"]["name"]);
        assert!(objects.insert(name.clone(), object).is_none(), "{name} twice");
    }
    objects
}

/// A folder with `deploy/`, `cluster/` and `values.yaml`.
fn sandbox(variant: &Variant) -> Sandbox {
    let test = Sandbox::new("");
    variants::write(variant, &test, &deploy());
    test
}

fn by_kustomize(variant: &Variant, test: &Sandbox) -> BTreeMap<String, Value> {
    let build = test.program(Peers::get().program("kustomize"), &["build", "cluster"]);
    let mut objects = objects(build.run().ok().text());
    // It has to be there before Helm keeps a release in it.
    objects.retain(|_, object| object["kind"] != "Namespace");
    assert!(objects.len() > 8, "{}", variant.name);
    objects
}

fn by_helm(variant: &Variant, test: &Sandbox) -> BTreeMap<String, Value> {
    let template = ["template", "sealant", "deploy/chart", "--namespace", variant.namespace];
    objects(helm(test, &template).args(&["--values", "values.yaml"]).run().ok().text())
}

#[test]
fn the_chart_makes_the_objects_of_the_kustomizations() {
    let mut tried = BTreeSet::new();
    for variant in variants::all() {
        let test = sandbox(&variant);
        let (expected, found) = (by_kustomize(&variant, &test), by_helm(&variant, &test));
        let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&expected), "{}", variant.name);
        for (name, object) in &found {
            assert_eq!(object, &expected[name], "{name}, {}", variant.name);
        }
        helm(&test, &["lint", "--strict", "deploy/chart", "--values", "values.yaml"]).run().ok();
        tried.extend(
            variant
                .kustomization
                .split("deploy/components/")
                .skip(1)
                .map(|rest| rest.split(['\n', ']', ',']).next().unwrap().to_owned()),
        );
    }
    let components: BTreeSet<String> = std::fs::read_dir(deploy().join("components"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(tried, components);
}

#[test]
fn a_second_release_has_no_object_of_the_first() {
    let variants = variants::all();
    let names = |variant: &Variant| by_helm(variant, &sandbox(variant)).into_keys().collect::<BTreeSet<_>>();
    let second = variants.iter().find(|variant| variant.namespace != NAMESPACE).unwrap();
    let (first, second) = (names(&variants[0]), names(second));
    assert!(first.len() > 8 && first.is_disjoint(&second), "{first:?} {second:?}");
}

fn read(file: &str) -> Value {
    serde_yaml::from_str(&std::fs::read_to_string(chart().join(file)).unwrap()).unwrap()
}

#[test]
fn the_chart_has_the_version_of_the_controller() {
    let about = read("Chart.yaml");
    assert_eq!(
        (&about["version"], &about["appVersion"]),
        (&json!(env!("CARGO_PKG_VERSION")), &json!(env!("CARGO_PKG_VERSION")))
    );
}

/// Misspelt values are refused, those that are not have a default, and each flag that the chart does not set by itself is a setting.
#[test]
fn the_schema_knows_all_values_and_no_others() {
    let schema = read("values.schema.json");
    assert_same_keys("", &schema, &read("values.yaml"));

    let by_itself = [
        "namespace",
        "pod-name",
        "watch-namespaces",
        "metrics-address",
        "health-address",
        "bitnami",
        "bitnami-address",
        "bitnami-key-namespace",
        "bitnami-key-renew-period",
    ];
    let help = stdout(&["--help"]);
    let flags =
        help.lines().filter_map(|line| line.trim_start().strip_prefix("--")?.split([' ', '[']).next());
    let settings: BTreeSet<String> = flags.filter(|flag| !by_itself.contains(flag)).map(camel_case).collect();
    let known = schema.pointer("/properties/settings/properties").unwrap().as_object().unwrap();
    assert_eq!(known.keys().cloned().collect::<BTreeSet<_>>(), settings);

    let test = Sandbox::new("");
    let chart = chart().display().to_string();
    let wrong = [
        ("imagee.tag=1", "'imagee' not allowed"),
        ("image.tags=1", "'tags' not allowed"),
        ("settings.logLvl=debug", "'logLvl' not allowed"),
        ("settings.logLevel=loud", "must be one of 'error'"),
        ("settings.concurrency=0", "minimum"),
        ("settings.vaultAllow=http://vault", "want array"),
        ("replicaCount=two", "want null or integer"),
        ("image.digest=latest", "does not match pattern"),
        ("bitnami.key.enabled=true", "'key' not allowed"),
        // Nor is anything taken that would have no effect, or a bad one.
        ("bitnami.http.enabled=true", "bitnami.enabled=true"),
        ("networkPolicy.clouds=true", "networkPolicy.enabled=true"),
        ("watchNamespaces={sealant-system}", "namespace of the controller itself"),
        ("vault.tokenAudience=vault,settings.vaultTokenFile=/token", "use one of them"),
    ];
    for (value, words) in wrong {
        let template = ["template", "sealant", &chart, "--namespace=sealant-system", "--set", value];
        let refused = helm(&test, &template).run().code(1);
        assert!(refused.stderr.contains(words), "{value}: {refused}");
    }
    // What a chart around this one passes to it.
    helm(&test, &["template", &chart, "--set", "global.x=1,enabled=true"]).run().ok();
}

#[track_caller]
fn assert_same_keys(path: &str, schema: &Value, values: &Value) {
    let Some(known) = schema["properties"].as_object().filter(|_| path != "/settings") else { return };
    assert_eq!(schema["additionalProperties"], false, "{path}");
    let foreign = |name: &&String| path.is_empty() && ["global", "enabled"].contains(&name.as_str());
    let known: BTreeMap<_, _> = known.iter().filter(|(name, _)| !foreign(name)).collect();
    let values = values.as_object().unwrap();
    assert_eq!(
        known.keys().copied().collect::<BTreeSet<_>>(),
        values.keys().collect::<BTreeSet<_>>(),
        "{path}"
    );
    for (name, schema) in known {
        assert_same_keys(&format!("{path}/{name}"), schema, &values[name]);
    }
}

fn camel_case(flag: &str) -> String {
    let words = flag.split('-').enumerate().map(|(index, word)| match index {
        0 => word.to_owned(),
        _ => word[..1].to_uppercase() + &word[1..],
    });
    words.collect()
}

/// The API server takes the pods of each variant in a namespace with the restricted pod security.
#[test]
fn the_pods_of_the_chart_are_allowed_where_pod_security_is_restricted() {
    let cluster = &WORLD.cluster;
    let namespace = cluster.new_namespace("restricted");
    cluster.kubectl_ok(&["label", "namespace", &namespace, "pod-security.kubernetes.io/enforce=restricted"]);
    for variant in variants::all() {
        let test = sandbox(&variant);
        let objects = by_helm(&variant, &test);
        let deployment = objects.values().find(|object| object["kind"] == "Deployment").unwrap();
        // That one is not there yet.
        let mut spec = deployment["spec"]["template"]["spec"].clone();
        if spec["priorityClassName"] == "sealant-controller" {
            spec.as_object_mut().unwrap().remove("priorityClassName");
        }
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": namespace}, "spec": spec});
        cluster.kubectl(&["create", "--dry-run=server", "-f", "-"]).stdin(pod.to_string()).run().ok();
    }
}

const NAMESPACE: &str = "sealant-system";
const CRD: &str = "sealedsecrets.sealant.dev";

/// Helm on a cluster, where the administrator has made the namespace.
struct Release<'c> {
    cluster: &'c Cluster,
    test: Sandbox,
}

impl<'c> Release<'c> {
    fn on(cluster: &'c Cluster) -> Self {
        cluster.kubectl_ok(&["create", "namespace", NAMESPACE]);
        let label = "pod-security.kubernetes.io/enforce=restricted";
        cluster.kubectl_ok(&["label", "namespace", NAMESPACE, label]);
        Self { cluster, test: Sandbox::new("") }
    }

    fn helm(&self, args: &[&str]) -> Run {
        helm(&self.test, args).env("KUBECONFIG", self.cluster.kubeconfig()).limit(LIMIT)
    }

    /// `install` or `upgrade`.
    fn apply(&self, verb: &str, chart: &Path, more: &[&str]) -> Run {
        self.helm(&[verb, "sealant"]).arg(chart).args(&["--namespace", NAMESPACE]).args(more)
    }

    fn uninstall(&self) {
        self.helm(&["uninstall", "sealant", "--namespace", NAMESPACE, "--wait"]).run().ok();
    }

    fn definition(&self) -> Value {
        self.cluster.get("customresourcedefinition", "default", CRD).unwrap()
    }

    fn variable(&self, name: &str) -> Option<Value> {
        let deployment = self.cluster.get("deployment", NAMESPACE, "sealant-controller").unwrap();
        let variables =
            deployment.pointer("/spec/template/spec/containers/0/env").unwrap().as_array().unwrap().clone();
        variables
            .into_iter()
            .find(|variable| variable["name"] == name)
            .map(|variable| variable["value"].clone())
    }
}

/// A chart like ours of an older release, whose definition had no short name.
fn older_chart(release: &Release<'_>) -> PathBuf {
    let older = release.test.path("older");
    let copy = release.test.program("cp", &["-r"]).arg(chart()).arg(&older);
    copy.run().ok();
    let file = older.join("files/crd/sealedsecrets.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let without = text.replace("    shortNames:\n    - sls\n", "");
    assert_ne!(text, without);
    std::fs::write(file, without).unwrap();
    older
}

/// What must outlive each release, by kind and name with its UID.
fn kept(cluster: &Cluster) -> Vec<Value> {
    let uid = |kind: &str, namespace: &str, name: &str| {
        let object = cluster.get(kind, namespace, name).unwrap_or_else(|| panic!("{kind} {name} is gone"));
        json!([kind, name, object["metadata"]["uid"]])
    };
    vec![
        uid("customresourcedefinition", "default", CRD),
        uid(SEALED, "default", "db"),
        uid("secret", "default", "db"),
        uid("secret", NAMESPACE, "team"),
        uid("namespace", NAMESPACE, NAMESPACE),
    ]
}

/// Helm and kustomize, one after the other, while the controller runs as the Deployment in the cluster asks for and with the rights
/// that are there.
#[test]
fn a_release_comes_and_goes_and_nobody_loses_a_secret() {
    let cluster = Cluster::start_with_controllers();
    let release = Release::on(&cluster);
    let identity = identity();
    let secret_with_it = identity_secret("team", &identity).to_string();
    cluster.kubectl(&["apply", "-n", NAMESPACE, "-f", "-"]).stdin(secret_with_it).run().ok();
    let make = |value: &str| {
        cluster.apply(&json(&seal(&secret("default", "db", &[("a", value)]), &identity))).ok();
        cluster.wait_for_items("default", "db", &[("a", value)]);
    };
    super::docs::with_what_is_deployed(&cluster, || {
        let notes = release.apply("install", &older_chart(&release), &[]).run().ok();
        assert!(notes.text().contains("sealant fetch-recipient"), "{notes}");
        cluster.kubectl_ok(&["wait", "--for=condition=Established", &format!("crd/{CRD}"), "--timeout=60s"]);
        make("1");
        let before = kept(&cluster);

        // The definition is the newer one afterwards.
        assert_eq!(release.definition()["spec"]["names"]["shortNames"], Value::Null);
        release.apply("upgrade", &chart(), &["--set", "settings.logLevel=debug"]).run().ok();
        assert_eq!(release.definition()["spec"]["names"]["shortNames"], json!(["sls"]));
        assert_eq!(release.variable("SEALANT_LOG_LEVEL"), Some(json!("debug")));
        make("2");

        release.helm(&["rollback", "sealant", "1", "--namespace", NAMESPACE]).run().ok();
        assert_eq!(release.variable("SEALANT_LOG_LEVEL"), None);
        make("3");
        release.apply("upgrade", &chart(), &[]).run().ok();

        release.uninstall();
        assert!(cluster.get("deployment", NAMESPACE, "sealant-controller").is_none());
        assert!(cluster.get("clusterrole", "default", "sealant-controller").is_none());
        assert_eq!(kept(&cluster), before);
        release.apply("install", &chart(), &[]).run().ok();
        make("4");

        // From the chart to kustomize.
        release.uninstall();
        install(&cluster);
        make("5");

        // And back: what is there is not Helm's, and is taken only when asked.
        let refused = release.apply("install", &chart(), &[]).run().code(1);
        assert!(refused.stderr.contains("cannot be imported into the current release"), "{refused}");
        cluster.kubectl_ok(&["delete", "deployment", "sealant-controller", "-n", NAMESPACE]);
        release.apply("install", &chart(), &["--take-ownership", "--force-conflicts"]).run().ok();
        make("6");
        release.apply("upgrade", &chart(), &["--set", "settings.logLevel=debug"]).run().ok();
        assert_eq!(release.variable("SEALANT_LOG_LEVEL"), Some(json!("debug")));
        make("7");

        // What somebody changes by hand is not overwritten unless asked, either.
        let by_hand =
            ["set", "env", "deployment/sealant-controller", "SEALANT_LOG_LEVEL=trace", "-n", NAMESPACE];
        cluster.kubectl_ok(&by_hand);
        let debug = ["--set", "settings.logLevel=debug", "--force-conflicts"];
        let refused = release.apply("upgrade", &chart(), &debug[..2]).run().code(1);
        assert!(refused.stderr.contains("conflict with \"kubectl-set\""), "{refused}");
        release.apply("upgrade", &chart(), &debug).run().ok();
        assert_eq!(release.variable("SEALANT_LOG_LEVEL"), Some(json!("debug")));
        assert_eq!(kept(&cluster), before);
    });
}

/// With `bitnami.installCRD`: where somebody else has theirs, nothing touches it; ours is upgraded, and kept.
#[test]
fn the_chart_installs_the_definition_of_sealed_secrets_only_where_there_is_none() {
    const THEIRS: &str = "sealedsecrets.bitnami.com";
    let cluster = Cluster::start();
    let release = Release::on(&cluster);
    let definition = || cluster.get("customresourcedefinition", "default", THEIRS);
    cluster.kubectl(&["create", "-k"]).arg(deploy().join("crd-bitnami")).run().ok();
    let before = definition().unwrap();
    let values = ["--set", "bitnami.enabled=true,bitnami.installCRD=true"];
    release.apply("install", &chart(), &values).run().ok();
    release.apply("upgrade", &chart(), &values).run().ok();
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    assert_eq!(version(&definition().unwrap()), version(&before));
    release.uninstall();
    assert_eq!(version(&definition().unwrap()), version(&before));

    cluster.kubectl_ok(&["delete", "customresourcedefinition", THEIRS]);
    release.apply("install", &chart(), &values).run().ok();
    let ours = definition().unwrap();
    assert_eq!(ours["metadata"]["annotations"]["meta.helm.sh/release-name"], "sealant");
    release.apply("upgrade", &chart(), &values).run().ok();
    let manifest = release.helm(&["get", "manifest", "sealant", "--namespace", NAMESPACE]).run().ok();
    assert!(manifest.text().contains(&format!("name: {THEIRS}")), "{manifest}");
    release.uninstall();
    assert_eq!(definition().unwrap()["metadata"]["uid"], ours["metadata"]["uid"]);
    // One that is still there from an earlier release of this name is that release's.
    release.apply("install", &chart(), &values).run().ok();
    assert_eq!(definition().unwrap()["metadata"]["uid"], ours["metadata"]["uid"]);
}
