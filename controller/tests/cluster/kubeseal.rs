//! `kubeseal`, the real one and ours, before the real controller of sealed-secrets, which the API server reaches at its Service.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use sealant_test_support::{Cluster, Peers};
use serde_json::{Value, json};

use crate::common::peer::{OWN, Peer};
use crate::common::*;

const SERVICE: &str = "sealed-secrets-controller";
const PLACE: &str = "shop";

/// The machine's own address: the API server refuses to proxy to loopback. Nothing is sent.
fn address() -> String {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
    socket.connect(("192.0.2.1", 9)).expect("a route: the machine needs a network interface");
    socket.local_addr().expect("an address").ip().to_string()
}

/// Makes the Service, and says that a pod at this place is behind it.
fn publish(cluster: &Cluster, address: &str, port: u16) {
    let apply = |object: Value| {
        cluster.kubectl(&["apply", "-f", "-"]).stdin(object.to_string()).run().ok();
    };
    let metadata =
        json!({"name": SERVICE, "namespace": OWN, "labels": {"kubernetes.io/service-name": SERVICE}});
    apply(json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {"ports": [{"name": "http", "port": 8080, "targetPort": port}]}}));
    apply(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
        "spec": {"containers": [{"name": "c", "image": "none"}]}}));
    let status = json!({"status": {"podIP": address, "podIPs": [{"ip": address}]}}).to_string();
    cluster.kubectl_ok(&[
        "patch",
        "pod",
        SERVICE,
        "-n",
        OWN,
        "--subresource=status",
        "--type=merge",
        "-p",
        &status,
    ]);
    let pod = json!({"kind": "Pod", "name": SERVICE, "namespace": OWN});
    apply(
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}, "targetRef": pod}]}),
    );
    let subset =
        json!({"addresses": [{"ip": address, "targetRef": pod}], "ports": [{"name": "http", "port": port}]});
    apply(json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": [subset]}));
}

fn kubeseal(program: &Path, cluster: &Cluster, words: &[&str], input: &str) -> Output {
    let ours = if program.ends_with("sealant") { &["kubeseal"][..] } else { &[] };
    let mut child = Command::new(program)
        .args(ours)
        .args(words)
        .env_clear()
        .env("KUBECONFIG", cluster.kubeconfig())
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

#[test]
fn both_command_lines_ask_the_controller_alike() {
    let cluster = Cluster::start();
    Peer::install(&cluster);
    let address = address();
    let port =
        TcpListener::bind((address.as_str(), 0)).expect("a port").local_addr().expect("an address").port();
    let listen = format!("--listen-addr={address}:{port}");
    let _theirs =
        Peer::start(&cluster, &[&listen, "--listen-metrics-addr=127.0.0.1:0", "--kubeclient-qps=-1"]);
    let certificate = std::fs::read_to_string(Peer::certificate(&cluster)).expect("a file");
    publish(&cluster, &address, port);
    wait_until(|| {
        let path = format!("/api/v1/namespaces/{OWN}/services/http:{SERVICE}:http/proxy/healthz");
        cluster.kubectl(&["get", "--raw", &path]).run().status == 0
    });

    let programs = [Peers::get().program("kubeseal"), sealant()];
    let secret =
        json!({"metadata": {"name": "db", "namespace": PLACE}, "stringData": {"password": "hunter2"}})
            .to_string();
    for sealing in &programs {
        assert_eq!(text(&kubeseal(sealing, &cluster, &["--fetch-cert"], "")), certificate);
        let sealed = text(&kubeseal(sealing, &cluster, &[], &secret));
        for asking in &programs {
            let _ = text(&kubeseal(asking, &cluster, &["--validate"], &sealed));
            let renamed = sealed.replace("\"name\": \"db\"", "\"name\": \"other\"");
            let refused = kubeseal(asking, &cluster, &["--validate"], &renamed);
            assert_eq!(refused.status.code(), Some(1));
            let said = String::from_utf8_lossy(&refused.stderr);
            assert!(said.starts_with("error: unable to decrypt sealed secret: other"), "{said}");
            // The limit of requests is two in a second.
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        let again = text(&kubeseal(&sealant(), &cluster, &["--re-encrypt"], &sealed));
        let [before, after] =
            [&sealed, &again].map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
        assert_eq!(before["spec"]["template"], after["spec"]["template"]);
        assert_ne!(before["spec"]["encryptedData"], after["spec"]["encryptedData"]);
        std::thread::sleep(std::time::Duration::from_secs(1));
        let _ = text(&kubeseal(&programs[0], &cluster, &["--validate"], &again));
    }
    let elsewhere = kubeseal(&sealant(), &cluster, &["--fetch-cert", "--controller-name=nope"], "");
    let said = String::from_utf8_lossy(&elsewhere.stderr);
    assert!(said.contains("cannot get sealed secret service: services \"nope\" not found"), "{said}");
}
