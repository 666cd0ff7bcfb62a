//! What `deploy/` installs, and how the program presents itself.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use super::*;

fn controller(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sealant-controller")).args(args).env_clear().output().unwrap()
}

fn stdout(args: &[&str]) -> String {
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
        .filter_map(|line| line.trim_start().strip_prefix("--")?.split([' ', '\n']).next())
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
