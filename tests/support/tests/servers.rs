//! The real servers: that each works, and that nothing of it stays.

// Tests are the outside: one asks its environment what it is to do.
#![allow(clippy::disallowed_methods)]

use std::env;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use sealant_test_support::{Bao, Cluster};

#[test]
fn bao_encrypts_and_tells_who_asked_for_what() {
    let bao = Bao::start();
    bao.transit_key("transit", "team");
    bao.transit_key("transit", "other");
    bao.policy("encrypt", r#"path "transit/encrypt/team" { capabilities = ["update"] }"#);
    let token = bao.token(&["-policy=encrypt", "-ttl=5m", "-display-name=tester"]);
    let encrypt = |key: &str| {
        bao.bao(&["write", "-field=ciphertext", &format!("transit/encrypt/{key}"), "plaintext=aGVsbG8="])
            .env("BAO_TOKEN", &token)
            .run()
    };
    let ciphertext = encrypt("team").ok();
    assert!(ciphertext.text().starts_with("vault:v1:"), "{ciphertext}");
    let decrypt = [
        "write",
        "-field=plaintext",
        "transit/decrypt/team",
        &format!("ciphertext={}", ciphertext.text().trim()),
    ];
    assert_eq!(bao.bao(&decrypt).run().ok().text().trim(), "aGVsbG8=");
    assert!(encrypt("other").code(2).stderr.contains("permission denied"));
    bao.bao(&["write", "transit/encrypt/team", "plaintext=!"]).run().code(2);

    let requests = bao.requests_to("transit/encrypt/");
    let seen: Vec<_> = requests
        .iter()
        .map(|request| (&*request.path, &*request.display_name, request.error.is_empty()))
        .collect();
    assert_eq!(
        seen,
        [
            ("transit/encrypt/team", "token-tester", true),
            ("transit/encrypt/other", "token-tester", false),
            ("transit/encrypt/team", "token", false),
        ]
    );
    assert!(requests[1].error.contains("permission denied"), "{requests:?}");
}

#[test]
fn bao_with_tls_is_verified_by_its_own_authority() {
    let bao = Bao::start_tls();
    bao.transit_key("transit", "team");
    let stranger = bao.bao(&["status"]).env("BAO_CACERT", "/etc/ssl/certs/ca-certificates.crt").run();
    assert!(stranger.stderr.contains("certificate signed by unknown authority"), "{stranger}");
}

#[test]
fn bao_with_mutual_tls_wants_a_certificate() {
    let bao = Bao::start_mutual_tls();
    bao.transit_key("transit", "team");
    bao.bao(&["status"]).run().ok();
    // With TLS 1.3 it is a matter of luck how much of the refusal the client sees.
    bao.bao(&["status"]).env("BAO_CLIENT_CERT", "").env("BAO_CLIENT_KEY", "").run().code(1);
}

#[test]
fn a_sealed_bao_refuses_until_it_is_unsealed() {
    let bao = Bao::start();
    bao.seal();
    let sealed = bao.bao(&["token", "lookup"]).run().code(2);
    assert!(sealed.stderr.contains("sealed"), "{sealed}");
    bao.unseal();
    bao.bao(&["token", "lookup"]).run().ok();
}

#[test]
fn a_dropped_bao_is_gone() {
    let bao = Bao::start();
    let address = bao.address().trim_start_matches("http://").to_owned();
    assert!(TcpStream::connect(&address).is_ok());
    drop(bao);
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn a_shared_bao_is_gone_when_its_tests_are_killed() {
    const TO_BE_KILLED: &str = "SEALANT_TEST_TO_BE_KILLED";
    static SHARED: LazyLock<Bao> = LazyLock::new(Bao::start);
    if env::var_os(TO_BE_KILLED).is_some() {
        println!("{}", SHARED.address());
        thread::sleep(Duration::from_secs(60));
        panic!("nobody has killed it");
    }

    // This test once more, in a process of its own.
    let mut tests = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_shared_bao_is_gone_when_its_tests_are_killed", "--nocapture"])
        .env(TO_BE_KILLED, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tests.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.find_map(|line| line.split_once("http://").map(|(_, rest)| rest.to_owned())).unwrap();
    assert!(TcpStream::connect(&address).is_ok());
    tests.kill().unwrap();
    tests.wait().unwrap();
    let began = Instant::now();
    while TcpStream::connect(&address).is_ok() {
        assert!(began.elapsed() < Duration::from_secs(20), "the server is still there");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_cluster_knows_service_accounts_and_bao_logs_them_in() {
    let cluster = Cluster::start();
    for args in [
        &["create", "namespace", "team"][..],
        &["create", "serviceaccount", "app", "--namespace=team"],
        &["create", "serviceaccount", "reviewer", "--namespace=team"],
        &[
            "create",
            "clusterrolebinding",
            "reviewer",
            "--clusterrole=system:auth-delegator",
            "--serviceaccount=team:reviewer",
        ],
    ] {
        cluster.kubectl(args).run().ok();
    }
    let whoami = ["auth", "whoami", "-o=jsonpath={.status.userInfo.username}"];
    let app = cluster.kubectl(&whoami).env("KUBECONFIG", cluster.kubeconfig_of("team", "app")).run().ok();
    assert_eq!(app.text(), "system:serviceaccount:team:app");

    let bao = Bao::start();
    for args in [
        vec!["auth", "enable", "kubernetes"],
        vec![
            "write",
            "auth/kubernetes/config",
            &format!("kubernetes_host={}", cluster.address()),
            &format!("kubernetes_ca_cert=@{}", cluster.ca_file().display()),
            &format!("token_reviewer_jwt={}", cluster.service_account_token("team", "reviewer", None)),
        ],
        vec![
            "write",
            "auth/kubernetes/role/app",
            "bound_service_account_names=app",
            "bound_service_account_namespaces=team",
            "audience=bao",
            "token_policies=app",
        ],
    ] {
        bao.bao(&args).run().ok();
    }
    let login = |audience| {
        let jwt = format!("jwt={}", cluster.service_account_token("team", "app", audience));
        bao.bao(&["write", "-field=token_policies", "auth/kubernetes/login", "role=app", &jwt])
            .env("BAO_TOKEN", "")
            .run()
    };
    login(None).code(2);
    assert!(login(Some("bao")).ok().text().contains("app"));
    let names: Vec<_> =
        bao.requests_to("auth/kubernetes/login").into_iter().map(|request| request.display_name).collect();
    assert_eq!(names, ["", "kubernetes-team-app"]);
}

#[test]
fn a_cluster_with_controllers_removes_what_a_namespace_held() {
    let cluster = Cluster::start_with_controllers();
    for args in [
        &["create", "namespace", "team"][..],
        &["create", "configmap", "kept", "--namespace=team"],
        &["delete", "namespace", "team", "--timeout=50s"],
    ] {
        cluster.kubectl(args).run().ok();
    }
    cluster.kubectl(&["get", "configmap", "kept", "--namespace=team"]).run().code(1);
}

#[test]
fn a_cluster_stops_forgets_and_tells_who_asked_for_what() {
    let cluster = Cluster::start();
    for args in [
        &["create", "namespace", "team"][..],
        &["create", "serviceaccount", "app", "--namespace=team"],
        &["create", "configmap", "kept", "--namespace=team"],
    ] {
        cluster.kubectl(args).run().ok();
    }
    let app = cluster.kubeconfig_of("team", "app");
    let get = ["get", "configmap", "kept", "--namespace=team"];
    cluster.kubectl(&get).env("KUBECONFIG", app).run().code(1);
    let requests = cluster.requests_of("team", "app");
    let refused = requests.iter().find(|request| request.resource == "configmaps").unwrap();
    assert_eq!((refused.verb.as_str(), refused.name.as_str(), refused.code), ("get", "kept", 403));
    assert!(!refused.is_write());

    let version = "--output=jsonpath={.metadata.resourceVersion}";
    let old = cluster.kubectl(&[&get[..], &[version]].concat()).run().ok().text().to_owned();
    cluster.kubectl(&["label", "configmap", "kept", "x=y", "--namespace=team"]).run().ok();
    cluster.stop();
    cluster.kubectl(&get).run().code(1);
    cluster.compact();
    cluster.start_again();
    cluster.kubectl(&get).run().ok();
    let watch =
        format!("--raw=/api/v1/namespaces/team/configmaps?watch=true&timeoutSeconds=5&resourceVersion={old}");
    let watched = cluster.kubectl(&["get", &watch]).run();
    assert!(watched.to_string().contains("too old resource version"), "{watched}");
}
