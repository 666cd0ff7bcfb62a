//! `kubeseal`, the real one and ours, before the real controller of sealed-secrets and before ours, which the API server reaches at
//! their Services.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sealant_test_support::{Cluster, Peers};
use serde_json::{Value, json};

use crate::common::peer::{OWN, Peer};
use crate::common::*;

const SERVICE: &str = "sealed-secrets-controller";
const OURS: &str = "sealant-system";
const PLACE: &str = "shop";

/// The machine's own address: the API server refuses to proxy to loopback. Nothing is sent.
fn address() -> String {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
    socket.connect(("192.0.2.1", 9)).expect("a route: the machine needs a network interface");
    socket.local_addr().expect("an address").ip().to_string()
}

/// A place at that address that nobody else has.
fn place(address: &str) -> u16 {
    TcpListener::bind((address, 0)).expect("a port").local_addr().expect("an address").port()
}

/// Says that a pod at this place is behind the Service, which has one port, `http`.
fn publish(cluster: &Cluster, namespace: &str, address: &str, port: u16) {
    let apply = |object: Value| {
        cluster.kubectl(&["apply", "-f", "-"]).stdin(object.to_string()).run().ok();
    };
    let metadata =
        json!({"name": SERVICE, "namespace": namespace, "labels": {"kubernetes.io/service-name": SERVICE}});
    let restricted = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    apply(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "c", "image": "none", "securityContext": restricted}]}}));
    let status = json!({"status": {"podIP": address, "podIPs": [{"ip": address}]}}).to_string();
    let patch =
        ["patch", "pod", SERVICE, "--subresource=status", "--type=merge", "-p", &status, "-n", namespace];
    cluster.kubectl_ok(&patch);
    let pod = json!({"kind": "Pod", "name": SERVICE, "namespace": namespace});
    apply(
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}, "targetRef": pod}]}),
    );
    let subset =
        json!({"addresses": [{"ip": address, "targetRef": pod}], "ports": [{"name": "http", "port": port}]});
    apply(json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": [subset]}));
    wait_until(|| {
        let path = format!("/api/v1/namespaces/{namespace}/services/http:{SERVICE}:http/proxy/v1/cert.pem");
        cluster.kubectl(&["get", "--raw", &path]).run().status == 0
    });
}

/// Runs a command line of it as somebody.
fn kubeseal(program: &Path, kubeconfig: &Path, words: &[&str], input: &str) -> Output {
    let ours = if program.ends_with("sealant") { &["kubeseal"][..] } else { &[] };
    let mut child = Command::new(program)
        .args(ours)
        .args(words)
        .env_clear()
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubeseal starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

#[track_caller]
fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn programs() -> [PathBuf; 2] {
    [Peers::get().program("kubeseal"), sealant()]
}

fn secret(name: &str) -> String {
    json!({"metadata": {"name": name, "namespace": PLACE}, "stringData": {"password": "hunter2"}}).to_string()
}

/// Both programs get the certificate of the controller at this Service, seal for it, and let it say whether that opens. Returns
/// what they have sealed.
fn both_ask(kubeconfig: &Path, namespace: &str, certificate: &str) -> Vec<String> {
    let programs = programs();
    let flag = format!("--controller-namespace={namespace}");
    let ask = |program: &Path, words: &[&str], input: &str| {
        kubeseal(program, kubeconfig, &[words, &[flag.as_str()]].concat(), input)
    };
    programs
        .iter()
        .map(|sealing| {
            assert_eq!(text(&ask(sealing, &["--fetch-cert"], "")), certificate);
            let sealed = text(&ask(sealing, &[], &secret("db")));
            for asking in &programs {
                let _ = text(&ask(asking, &["--validate"], &sealed));
                let renamed = sealed.replace("\"name\": \"db\"", "\"name\": \"other\"");
                let refused = ask(asking, &["--validate"], &renamed);
                assert_eq!(refused.status.code(), Some(1));
                let said = String::from_utf8_lossy(&refused.stderr);
                assert!(said.starts_with("error: unable to decrypt sealed secret: other"), "{said}");
                // The limit of requests is two in a second.
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
            sealed
        })
        .collect()
}

#[test]
fn both_command_lines_ask_the_controller_alike() {
    let cluster = Cluster::start();
    Peer::install(&cluster);
    let address = address();
    let port = place(&address);
    let listen = format!("--listen-addr={address}:{port}");
    let _theirs =
        Peer::start(&cluster, &[&listen, "--listen-metrics-addr=127.0.0.1:0", "--kubeclient-qps=-1"]);
    let certificate = std::fs::read_to_string(Peer::certificate(&cluster)).expect("a file");
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": OWN},
        "spec": {"ports": [{"name": "http", "port": 8080, "targetPort": port}]}});
    cluster.apply(&service.to_string()).ok();
    publish(&cluster, OWN, &address, port);
    let kubeconfig = cluster.kubeconfig();
    for sealed in both_ask(&kubeconfig, OWN, &certificate) {
        let again = text(&kubeseal(&sealant(), &kubeconfig, &["--re-encrypt"], &sealed));
        let [before, after] =
            [&sealed, &again].map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
        assert_eq!(before["spec"]["template"], after["spec"]["template"]);
        assert_ne!(before["spec"]["encryptedData"], after["spec"]["encryptedData"]);
        std::thread::sleep(std::time::Duration::from_secs(1));
        let _ = text(&kubeseal(&programs()[0], &kubeconfig, &["--validate"], &again));
    }
    let elsewhere = kubeseal(&sealant(), &kubeconfig, &["--fetch-cert", "--controller-name=nope"], "");
    let said = String::from_utf8_lossy(&elsewhere.stderr);
    assert!(said.contains("cannot get sealed secret service: services \"nope\" not found"), "{said}");
}

/// What a server says: the code, the headers by their names, and the text.
struct Said {
    code: u16,
    headers: Vec<(String, String)>,
    text: String,
}

fn ask_at(place: (&str, u16), request: &str, asker: &str, body: &str) -> Said {
    let mut stream = TcpStream::connect(place).expect("it listens");
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: {asker}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    let (head, text) = answer.split_once("\r\n\r\n").expect("HTTP");
    let code = head.split(' ').nth(1).expect("a code").parse().expect("a number");
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Said { code, headers, text: text.to_owned() }
}

/// Beside the real controller, with its keys: the same answers to kubeseal, and to whoever asks by hand.
#[test]
fn our_controller_answers_as_theirs() {
    let cluster = &cluster();
    Peer::install(cluster);
    cluster.kubectl_ok(&["create", "namespace", PLACE]);
    for file in ["bitnami/rbac.yaml", "bitnami-http/rbac.yaml", "bitnami-http/service.yaml"] {
        cluster.kubectl(&["apply", "-f"]).arg(deploy().join("components").join(file)).run().ok();
    }
    let address = address();
    let [at_theirs, at_ours] = [(&*address, place(&address)), (&*address, place(&address))];
    let listen = format!("--listen-addr={address}:{}", at_theirs.1);
    let theirs = Peer::start(cluster, &[&listen, "--listen-metrics-addr=127.0.0.1:0", "--kubeclient-qps=-1"]);
    let certificate = std::fs::read_to_string(Peer::certificate(cluster)).expect("a file");
    let served = format!("--bitnami-address={address}:{}", at_ours.1);
    let ours = Controller::start(
        &cluster.kubeconfig_of(OURS, "sealant-controller"),
        &[&format!("--namespace={OURS}"), "--bitnami", &served],
    );
    publish(cluster, OURS, &address, at_ours.1);

    // By hand, of each as somebody who has asked nothing yet.
    let secrets: Value = serde_json::from_str(&secret("db")).expect("JSON");
    let sealed = crate::common::peer::kubeseal(cluster, &Peer::certificate(cluster), "strict", &secrets);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut object = sealed.clone();
        change(&mut object);
        object.to_string()
    };
    let yaml = serde_yaml::to_string(&sealed).expect("YAML");
    let bodies = [
        (sealed.to_string(), 200),
        (yaml.clone(), 200),
        (format!("---\n{yaml}"), 200),
        (changed(&|object| object["metadata"]["name"] = "other".into()), 409),
        (
            changed(&|object| {
                object["metadata"]["annotations"]["sealedsecrets.bitnami.com/cluster-wide"] = "true".into()
            }),
            409,
        ),
        (changed(&|object| object["spec"]["encryptedData"]["a"] = "%".into()), 409),
        (changed(&|object| object["spec"]["encryptedData"]["a"] = "AAAA".into()), 409),
        (changed(&|object| object["spec"]["encryptedData"]["a"] = 1.into()), 409),
        (changed(&|object| object["spec"]["encryptedData"] = json!({})), 200),
        (changed(&|object| object["spec"]["data"] = "AAAA".into()), 409),
        (changed(&|object| object["spec"]["template"]["data"] = json!({"x": "{{ fail .password }}"})), 200),
        (changed(&|object| object["kind"] = "Other".into()), 500),
        (changed(&|object| object["apiVersion"] = "bitnami.com/v1".into()), 500),
        (format!("{yaml}\n---\n{yaml}"), 500),
        ("garbage".to_owned(), 500),
        (String::new(), 500),
    ];
    for (index, (body, expected)) in bodies.iter().enumerate() {
        for place in [at_theirs, at_ours] {
            let said = ask_at(place, "POST /v1/verify", &format!("10.0.0.{index}"), body);
            assert_eq!((said.code, &*said.text), (*expected, ""), "{place:?}: {body}");
        }
    }
    let of_certificate = |place| {
        let Said { code, headers, text } = ask_at(place, "GET /v1/cert.pem", "x", "");
        (code, headers.into_iter().find(|(name, _)| name == "content-type"), text)
    };
    assert_eq!(of_certificate(at_theirs), of_certificate(at_ours));
    let about_limits = |place| {
        let all: Vec<Said> = (0..20).map(|_| ask_at(place, "POST /v1/verify", "10.1.1.1", "")).collect();
        assert!(all.iter().take(3).all(|said| said.code == 500), "{place:?}");
        let refused =
            all.into_iter().find(|said| said.code == 429).expect("somebody who asks so often waits");
        let is_said = |name: &String| name.starts_with("x-ratelimit") || name == "retry-after";
        let mut limits: Vec<_> = refused.headers.into_iter().map(|(name, _)| name).filter(is_said).collect();
        limits.sort();
        (limits, refused.text.trim().to_owned())
    };
    assert_eq!(about_limits(at_theirs), about_limits(at_ours));
    // Theirs opens it for anybody, and encrypts it again.
    let rotated =
        [at_theirs, at_ours].map(|place| ask_at(place, "POST /v1/rotate", "10.2.2.2", &sealed.to_string()));
    assert_eq!(rotated.map(|said| said.code), [200, 501]);
    drop(theirs);

    // By the API server, as somebody who may do nothing but log in.
    let somebody = cluster.kubeconfig_of("default", "default");
    let all = both_ask(&somebody, OURS, &certificate);
    for program in programs() {
        let flag = format!("--controller-namespace={OURS}");
        let refused = kubeseal(&program, &somebody, &["--re-encrypt", &flag], &all[0]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(
            said.contains(
                "kubectl get secrets -n kube-system -l sealedsecrets.bitnami.com/sealed-secrets-key"
            ),
            "{said}"
        );
        assert!(said.contains("sealant kubeseal --re-encrypt --recovery-private-key keys.yaml"), "{said}");
    }
    // And what it says is done.
    let args =
        ["get", "secrets", "-n", OWN, "-l", "sealedsecrets.bitnami.com/sealed-secrets-key", "-o", "yaml"];
    let keys = cluster.ca_file().with_file_name("keys.yaml");
    std::fs::write(&keys, cluster.kubectl_ok(&args)).expect("a file");
    let words = ["--re-encrypt", "--recovery-private-key", keys.to_str().expect("a name")];
    let again = text(&kubeseal(&sealant(), &somebody, &words, &all[0]));
    assert_ne!(again, all[0]);
    for (sealed, value) in [(&all[0], "hunter2"), (&all[1], "hunter2"), (&again, "hunter2")] {
        cluster.apply(sealed).ok();
        cluster.wait_for_items(PLACE, "db", &[("password", value)]);
        cluster.kubectl_ok(&["delete", "sealedsecrets.bitnami.com", "db", "-n", PLACE]);
        wait_until(|| cluster.get("secret", PLACE, "db").is_none());
    }
    assert!(
        ours.metric("sealed_secrets_controller_http_requests_total", "path=\"/v1/verify\",code=\"200\"")
            > 1.0
    );
    // Whoever may log in may ask this Service, and read no Secret by that.
    let may = |what: &[&str]| {
        let args =
            [&["auth", "can-i"], what, &["-n", OURS, "--as=somebody", "--as-group=system:authenticated"]]
                .concat();
        cluster.kubectl(&args).run().text().trim() == "yes"
    };
    assert!(may(&["get", "services/sealed-secrets-controller"]) && !may(&["get", "services/other"]));
    assert!(!may(&["get", "services/proxy"]) && !may(&["list", "secrets"]));
    ours.stop();
}
