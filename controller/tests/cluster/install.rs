//! What `deploy/` installs, and how the program presents itself.

#![allow(clippy::disallowed_methods, reason = "its files are those of a test")]

use std::collections::BTreeSet;
use std::process::{Command, Output};

use super::*;

fn controller(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sealant-controller")).args(args).env_clear().output().unwrap()
}

pub fn stdout(args: &[&str]) -> String {
    let output = controller(args);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// C26, and that help names each flag with its variable.
#[test]
fn it_tells_its_version_and_its_flags() {
    assert_eq!(stdout(&["--version"]), format!("sealant-controller {}\n", env!("CARGO_PKG_VERSION")));
    let help = stdout(&["--help"]);
    let flags: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--")?.split([' ', '[', '\n']).next())
        .collect();
    assert!(flags.len() > 15, "{help}");
    for flag in flags {
        let variable = format!("[env: SEALANT_{}=", flag.to_uppercase().replace('-', "_"));
        assert!(help.contains(&variable), "{variable} in\n{help}");
    }
    let wrong = controller(&["--concurrency=0"]);
    assert!(
        wrong.status.code() == Some(2) && String::from_utf8_lossy(&wrong.stderr).contains("1..=1024"),
        "{wrong:?}"
    );
    // Nothing to talk to is said at once.
    let alone = controller(&[]);
    assert!(!alone.status.success());
    assert!(
        String::from_utf8_lossy(&alone.stderr).contains("neither a cluster around us nor a kubeconfig"),
        "{alone:?}"
    );
}

#[test]
fn the_crd_in_the_cluster_is_the_one_that_the_program_prints() {
    let cluster = &WORLD.cluster;
    let args = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-o", "json", "-f", "-"];
    let printed = cluster.kubectl(&args).stdin(stdout(&["crd"])).run().ok();
    let printed: Value = serde_json::from_str(printed.text()).unwrap();
    let installed = cluster.get("crd", "default", "sealedsecrets.sealant.dev").unwrap();
    assert_eq!(printed["spec"], installed["spec"]);
    assert_eq!(printed["metadata"]["generation"], installed["metadata"]["generation"]);
    // Server-side defaults would be drift to GitOps tools, which look at everything but the status.
    let version = &installed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    assert!(!version["spec"].to_string().contains("\"default\":"));
    assert_eq!(version["status"]["default"], json!({"observedGeneration": -1}));
}

/// The API server itself checks pods against the pod security that the namespace asks for.
#[test]
fn the_deployment_is_as_its_namespace_demands_and_says_nothing_unknown_to_the_program() {
    let cluster = &WORLD.cluster;
    let deployment = cluster.get("deployment", "sealant-system", "sealant-controller").unwrap();
    assert_eq!(deployment["spec"]["replicas"], 2);
    let template = &deployment["spec"]["template"];
    let create = |template: &Value| {
        let pod = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "x", "namespace": "sealant-system"}, "spec": template["spec"]});
        cluster.kubectl(&["create", "--dry-run=server", "-f", "-"]).stdin(pod.to_string()).run()
    };
    create(template).ok();
    let mut privileged = template.clone();
    privileged["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = true.into();
    let refused = create(&privileged).code(1);
    assert!(refused.stderr.contains("violates PodSecurity"), "{refused}");

    let container = &template["spec"]["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    let help = stdout(&["--help"]);
    for variable in container["env"].as_array().unwrap() {
        let name = format!("[env: {}=", variable["name"].as_str().unwrap());
        assert!(help.contains(&name), "{name}");
    }
    for (port, address) in [("metrics", ":8080"), ("health", ":8081")] {
        let found =
            container["ports"].as_array().unwrap().iter().find(|found| found["name"] == port).unwrap();
        assert_eq!(format!(":{}", found["containerPort"]), address);
        assert!(help.contains(&format!("[default: 0.0.0.0{address}]")), "{help}");
    }
}

/// The rights in single namespaces are those of the whole cluster, and nothing for the whole cluster is left.
#[test]
fn the_namespaced_installation_has_no_rights_beyond_its_namespaces() {
    let cluster = &WORLD.cluster;
    let folder = deploy().join("namespaced");
    let manifests = cluster.kubectl(&["kustomize"]).arg(&folder).run().ok().text().to_owned();
    assert!(!manifests.contains("kind: ClusterRole"), "{manifests}");
    assert!(manifests.contains("SEALANT_WATCH_NAMESPACES"), "{manifests}");
    cluster
        .kubectl(&["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k"])
        .arg(&folder)
        .run()
        .ok();
    let rules = |file: &str| {
        let text = std::fs::read_to_string(deploy().join(file)).unwrap();
        let rules = text.split_once("rules:\n").unwrap().1.split("---").next().unwrap().to_owned();
        assert!(rules.contains("sealedsecrets"), "{rules}");
        rules
    };
    assert_eq!(rules("namespaced/role.yaml"), rules("base/rbac.yaml"));
}

/// Whoever may log in may read the recipients, and nothing else of the controller's namespace.
#[test]
fn recipients_are_for_everybody_and_nothing_else_is() {
    let cluster = &WORLD.cluster;
    let may = |verb: &str, what: &str| {
        let args = [
            "auth",
            "can-i",
            verb,
            what,
            "-n",
            "sealant-system",
            "--as=somebody",
            "--as-group=system:authenticated",
        ];
        cluster.kubectl(&args).run().text().trim() == "yes"
    };
    assert!(may("get", "configmaps/sealant-recipients"));
    let others = [
        ("list", "configmaps"),
        ("get", "configmaps/other"),
        ("get", "secrets"),
        ("list", "secrets"),
        ("update", "configmaps/sealant-recipients"),
    ];
    let allowed: BTreeSet<_> = others.into_iter().filter(|(verb, what)| may(verb, what)).collect();
    assert!(allowed.is_empty(), "{allowed:?}");
}

/// The objects of a kustomization, as the real kustomize renders it.
fn rendered(folder: &std::path::Path) -> Vec<Value> {
    let text = WORLD.cluster.kubectl(&["kustomize"]).arg(folder).run().ok().text().to_owned();
    let documents: Vec<Value> =
        text.split("\n---\n").map(|document| serde_yaml::from_str(document).unwrap()).collect();
    assert!(!documents.is_empty());
    documents
}

fn of_kind<'d>(documents: &'d [Value], kind: &str) -> &'d Value {
    documents.iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

/// With the definition go all SealedSecrets and their Secrets, and with the namespace the identities: nothing that deletes
/// the controller has the first in it, and nothing prunes either.
#[test]
fn who_deletes_or_prunes_the_controller_deletes_no_sealed_secret() {
    for folder in ["", "base", "namespaced"] {
        let documents = rendered(&deploy().join(folder));
        assert!(documents.iter().all(|document| document["kind"] != "CustomResourceDefinition"), "{folder}");
        assert_left_alone(of_kind(&documents, "Namespace"));
    }
    rendered(&deploy().join("crd-bitnami")).iter().for_each(assert_left_alone);
    let crd = rendered(&deploy().join("crd"));
    // Those that the program prints, whatever kinds they are of.
    assert_eq!(crd.len(), stdout(&["crd"]).split("\n---\n").count());
    for crd in &crd {
        assert_eq!(crd["kind"], "CustomResourceDefinition");
        assert_left_alone(crd);
    }
    let answer = WORLD.cluster.kubectl(&["delete", "--dry-run=server", "-k"]).arg(deploy()).run().ok();
    assert!(answer.text().contains("deployment"), "{answer}");
    assert!(!answer.text().contains("customresourcedefinition"), "{answer}");
}

/// As Argo CD, Helm and Flux are told to prune nothing.
fn assert_left_alone(object: &Value) {
    let annotations = &object["metadata"]["annotations"];
    assert_eq!(annotations["argocd.argoproj.io/sync-options"], "Prune=false");
    assert_eq!(annotations["helm.sh/resource-policy"], "keep");
    assert_eq!(annotations["kustomize.toolkit.fluxcd.io/prune"], "disabled");
}

/// Kinds of the Prometheus operator, without its schemas: whether its own would take what ships is not tried here, but its
/// fields are looked at below.
fn make_kinds_of_the_prometheus_operator(cluster: &Cluster) {
    for (kind, plural) in [("PodMonitor", "podmonitors"), ("PrometheusRule", "prometheusrules")] {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let crd = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.monitoring.coreos.com")},
            "spec": {
                "group": "monitoring.coreos.com",
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
            },
        });
        cluster.apply(&crd.to_string()).ok();
        let name = format!("crd/{plural}.monitoring.coreos.com");
        cluster.kubectl_ok(&["wait", "--for=condition=Established", &name, "--timeout=60s"]);
    }
}

/// All components at once, on the real API server: what selects pods selects those of the Deployment, ports are its ports,
/// and its pods get the priority.
#[test]
fn every_component_is_taken_by_the_api_server_and_is_about_our_pods() {
    let cluster = &WORLD.cluster;
    make_kinds_of_the_prometheus_operator(cluster);
    let components: Vec<String> = std::fs::read_dir(deploy().join("components"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let overlay = cluster.ca_file().with_file_name("overlay");
    std::fs::create_dir_all(overlay.join("all")).unwrap();
    std::os::unix::fs::symlink(deploy(), overlay.join("deploy")).unwrap();
    let components: Vec<_> = components.iter().map(|name| format!("../deploy/components/{name}")).collect();
    let kustomization = json!({"resources": ["../deploy"], "components": components});
    std::fs::write(overlay.join("all/kustomization.yaml"), kustomization.to_string()).unwrap();
    let folder = overlay.join("all");
    let apply = ["apply", "--server-side", "--force-conflicts", "-k"];
    // To try it for the Deployment, which other tests look at, and then in earnest for what is new.
    cluster.kubectl(&apply).arg(&folder).args(&["--dry-run=server"]).run().ok();
    let documents = rendered(&folder);
    let kinds =
        ["NetworkPolicy", "PriorityClass", "PodMonitor", "PrometheusRule", "PodDisruptionBudget", "Service"];
    for document in documents.iter().filter(|document| kinds.iter().any(|kind| document["kind"] == *kind)) {
        cluster.apply(&document.to_string()).ok();
    }

    let template = &of_kind(&documents, "Deployment")["spec"]["template"];
    let labels = template["metadata"]["labels"].as_object().unwrap();
    let selectors = [
        ("Deployment", "/spec/selector"),
        ("PodDisruptionBudget", "/spec/selector"),
        ("NetworkPolicy", "/spec/podSelector"),
        ("PodMonitor", "/spec/selector"),
    ];
    let all = selectors.into_iter().flat_map(|(kind, path)| {
        let of_kind = documents.iter().filter(move |document| document["kind"] == kind);
        of_kind.map(move |document| (kind, document.pointer(path).unwrap()))
    });
    for (kind, selector) in all {
        let wanted = selector["matchLabels"].as_object().unwrap();
        assert!(wanted.iter().all(|(key, value)| labels.get(key) == Some(value)), "{kind}");
        // Without it, it would be about whatever else of ours runs there one day.
        assert!(wanted.contains_key("app.kubernetes.io/component"), "{kind}");
    }
    let container = &template["spec"]["containers"][0];
    let ports: Vec<&Value> =
        container["ports"].as_array().unwrap().iter().map(|port| &port["name"]).collect();
    let monitor = of_kind(&documents, "PodMonitor");
    let metrics = monitor.pointer("/spec/podMetricsEndpoints/0/port").unwrap();
    let policies: Vec<_> = documents.iter().filter(|document| document["kind"] == "NetworkPolicy").collect();
    let allowed = policies.iter().find_map(|policy| policy.pointer("/spec/ingress/0/ports/0/port")).unwrap();
    assert!(ports.contains(&metrics) && metrics == allowed);
    // Policies add up: that for clouds lets out to the metadata service, and the other one to everything else.
    let let_out = |text: &str| {
        policies.iter().filter(|policy| policy["spec"]["egress"].to_string().contains(text)).count()
    };
    assert_eq!((policies.len(), let_out("169.254.169.254/32"), let_out("6443")), (2, 1, 1));
    // What kubeseal finds by itself, but for the namespace.
    let service = of_kind(&documents, "Service");
    assert_eq!(
        (&service["metadata"]["name"], &service["spec"]["ports"][0]["name"]),
        (&json!("sealed-secrets-controller"), &json!("http"))
    );
    let selector = service["spec"]["selector"].as_object().unwrap();
    assert!(selector.iter().all(|(key, value)| labels.get(key) == Some(value)) && selector.len() == 2);
    assert!(ports.contains(&&service["spec"]["ports"][0]["targetPort"]));
    let is_let_in = |policy: &&Value| policy["spec"]["ingress"].to_string().contains("\"bitnami\"");
    assert_eq!(policies.iter().copied().filter(is_let_in).count(), 1);
    let variables = container["env"].as_array().unwrap();
    let names = [
        "SEALANT_SELECTOR",
        "SEALANT_BITNAMI",
        "SEALANT_BITNAMI_ADDRESS",
        "SEALANT_BITNAMI_KEY_RENEW_PERIOD",
    ];
    let help = stdout(&["--help"]);
    for name in names {
        assert!(variables.iter().any(|variable| variable["name"] == name), "{name}");
        assert!(help.contains(&format!("[env: {name}=")), "{name}");
    }
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "x", "namespace": "sealant-system"}, "spec": template["spec"]});
    let create = ["create", "--dry-run=server", "-o", "jsonpath={.spec.priority}", "-f", "-"];
    assert_eq!(cluster.kubectl(&create).stdin(pod.to_string()).run().ok().text(), "1000000");
}

/// The second of two controllers, as docs/controller.md has it: its rights are its own.
#[test]
fn a_second_controller_is_one_kustomization() {
    let page = std::fs::read_to_string(deploy().join("../docs/controller.md")).unwrap();
    let (_, section) = page.split_once("## Two controllers").unwrap();
    let kustomization = section.split("```").nth(1).unwrap().strip_prefix("yaml\n").unwrap();
    let overlay = WORLD.cluster.ca_file().with_file_name("second");
    std::fs::create_dir_all(overlay.join("cluster")).unwrap();
    std::os::unix::fs::symlink(deploy(), overlay.join("deploy")).unwrap();
    std::fs::write(overlay.join("cluster/kustomization.yaml"), kustomization).unwrap();
    let documents = rendered(&overlay.join("cluster"));
    WORLD.cluster.kubectl_ok(&["create", "namespace", "sealant-payments"]);
    for document in &documents {
        let apply = ["apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-"];
        WORLD.cluster.kubectl(&apply).stdin(document.to_string()).run().ok();
    }
    let binding = of_kind(&documents, "ClusterRoleBinding");
    assert_eq!(binding["metadata"]["name"], "sealant-payments");
    assert_eq!(binding["subjects"][0]["namespace"], "sealant-payments");
    let deployment = of_kind(&documents, "Deployment");
    assert_eq!(deployment["metadata"]["namespace"], "sealant-payments");
    let variables = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let selector = variables.as_array().unwrap().iter().find(|one| one["name"] == "SEALANT_SELECTOR");
    assert_eq!(selector.unwrap()["value"], "sealant.dev/class=payments");
}

/// `kubectl create` installs the CRD of sealed-secrets only if the cluster has none, and our CRD keeps fields of a template that
/// it does not know.
#[test]
fn the_definition_of_sealed_secrets_is_never_put_over_that_of_somebody_else() {
    let cluster = Cluster::start();
    let create = || cluster.kubectl(&["create", "-k"]).arg(deploy().join("crd-bitnami")).run();
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let theirs = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "sealedsecrets.bitnami.com"},
        "spec": {"group": "bitnami.com", "scope": "Namespaced",
            "names": {"kind": "SealedSecret", "plural": "sealedsecrets", "singular": "sealedsecret"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}});
    cluster.apply(&theirs.to_string()).ok();
    let name = "customresourcedefinition/sealedsecrets.bitnami.com";
    cluster.kubectl_ok(&["wait", "--for=condition=Established", name, "--timeout=60s"]);
    let version = || cluster.kubectl_ok(&["get", name, "-o", "jsonpath={.metadata.resourceVersion}"]);
    let before = version();
    let refused = create();
    assert!(refused.status != 0 && refused.stderr.contains("AlreadyExists"), "{refused}");
    assert_eq!(version(), before);
    cluster.kubectl_ok(&["delete", name, "--wait"]);
    create().ok();
    cluster.kubectl_ok(&["wait", "--for=condition=Established", name, "--timeout=60s"]);

    let object = json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "db"},
        "spec": {"encryptedData": {"a": "AAAA"}, "template": {"data": {"a": null, "b": "{{ .a }}"}, "metadata": null}}});
    cluster.kubectl(&["create", "-n", "default", "-f", "-"]).stdin(object.to_string()).run().ok();
    let found = cluster.get("sealedsecrets.bitnami.com", "default", "db").unwrap();
    assert_eq!(found["spec"]["template"]["data"], json!({"a": null, "b": "{{ .a }}"}));
    assert_eq!(found["spec"]["encryptedData"], object["spec"]["encryptedData"]);
    let columns = cluster.kubectl_ok(&["get", "sealedsecrets.bitnami.com", "-n", "default"]);
    assert!(["STATUS", "SYNCED", "AGE"].iter().all(|column| columns.contains(column)), "{columns}");
}
