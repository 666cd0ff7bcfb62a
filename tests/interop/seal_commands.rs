//! `seal`, `unseal` and `fetch-recipient` beside the real kubectl and a real API server.

#![allow(clippy::disallowed_methods, reason = "tests are outside of the doors that the library has")]

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use sealant_test_support::{Bao, Cluster, Output, Run, Sandbox};

/// A cluster that knows SealedSecrets, in which a controller has published its recipients.
struct Shop {
    cluster: Cluster,
    test: Sandbox,
    recipients: [String; 2],
}

impl Shop {
    fn new() -> Self {
        let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        let recipients = ["new.txt", "old.txt"].map(|file| {
            test.sealant(&["keygen", "-o", file]).run().ok();
            test.sealant(&["keygen", "-y", file]).run().ok().text().trim().to_owned()
        });
        let shop = Self { cluster: Cluster::start(), test, recipients };
        for part in ["deploy/crd", "deploy"] {
            let part = Path::new(env!("CARGO_MANIFEST_DIR")).join(part);
            shop.cluster.kubectl(&["apply", "--server-side", "-k"]).arg(part).run().ok();
        }
        shop.cluster
            .kubectl(&[
                "wait",
                "--for=condition=Established",
                "crd/sealedsecrets.sealant.dev",
                "--timeout=60s",
            ])
            .run()
            .ok();
        shop
    }

    fn publish(&self, recipients: &str) {
        let map = format!("--from-literal=recipients={recipients}");
        let name = ["create", "configmap", "sealant-recipients", "-n", "sealant-system", &map];
        self.cluster.kubectl(&name).run().ok();
    }

    /// Our program with the kubeconfig of an administrator.
    fn sealant(&self, args: &[&str]) -> Run {
        self.test.sealant(args).env("KUBECONFIG", self.cluster.kubeconfig())
    }

    fn apply(&self, manifest: &Output) {
        self.cluster.kubectl(&["apply", "--server-side", "-f", "-"]).stdin(manifest.text()).run().ok();
    }
}

#[test]
fn a_secret_goes_from_kubectl_into_the_cluster_and_back() {
    let shop = Shop::new();
    let missing = shop.sealant(&["fetch-recipient"]).run().code(1);
    let place = "the ConfigMap sealant-recipients in namespace sealant-system does not exist";
    assert!(missing.stderr.contains(place), "{missing}");
    let [new, old] = &shop.recipients;
    shop.publish(&format!("{new}\n{old}\n"));
    let fetched = shop.sealant(&["fetch-recipient"]).run().ok();
    assert_eq!(fetched.text(), format!("{new}\n{old}\n"));

    for (name, format) in [("in-yaml", "yaml"), ("in-json", "json")] {
        let literal = "--from-literal=password=hunter2";
        let create =
            ["create", "secret", "generic", name, "-n", "default", literal, "--dry-run=client", "-o", format];
        let plain = shop.cluster.kubectl(&create).run().ok();
        let sealed = shop.test.sealant(&["seal", "--age", fetched.text()]).stdin(plain.text()).run().ok();
        assert_eq!(sealed.text().starts_with('{'), format == "json");
        shop.apply(&sealed);

        // What the server made of it opens with either identity.
        let get = ["get", "sealedsecrets.sealant.dev", name, "-n", "default", "-o", format];
        let live = shop.cluster.kubectl(&get).run().ok();
        let kubectl = live.text();
        for identity in ["new.txt", "old.txt"] {
            let unseal = ["unseal", "--identity", identity, "--item", "password"];
            assert_eq!(shop.test.sealant(&unseal).stdin(kubectl).run().ok().text(), "hunter2");
        }
        let unsealed = shop.test.sealant(&["unseal", "--identity", "new.txt"]).stdin(kubectl).run().ok();
        shop.apply(&unsealed);
        let value =
            ["get", "secret", name, "-n", "default", "-o", "go-template={{.data.password | base64decode}}"];
        assert_eq!(shop.cluster.kubectl(&value).run().ok().text(), "hunter2");
    }

    // All that there are, as kubectl prints them: a List.
    let all = shop.cluster.kubectl(&["get", "sealedsecrets.sealant.dev", "-A", "-o", "json"]).run().ok();
    let inspected = shop.test.sealant(&["inspect"]).stdin(all.text()).run().ok();
    for name in ["default/in-yaml", "default/in-json"] {
        assert!(inspected.text().contains(&format!("SealedSecret {name}\n")), "{inspected}");
    }
    // And sealed as a List, they can be applied, too.
    let secrets = shop.cluster.kubectl(&["get", "secrets", "-n", "default", "-o", "json"]).run().ok();
    let list = shop.test.sealant(&["seal", "--age", fetched.text()]).stdin(secrets.text()).run().ok();
    assert!(list.text().contains("\"kind\": \"List\""), "{list}");
    shop.apply(&list);
}

#[test]
fn everybody_who_is_logged_in_may_fetch_recipients_and_nobody_else() {
    let shop = Shop::new();
    let [new, _] = &shop.recipients;
    shop.publish(new);
    shop.cluster.kubectl(&["create", "serviceaccount", "someone", "-n", "default"]).run().ok();
    let someone = shop.cluster.kubeconfig_of("default", "someone");
    let fetch = ["fetch-recipient", "--kubeconfig", someone.to_str().expect("a path")];
    assert_eq!(shop.test.sealant(&fetch).run().ok().text(), format!("{new}\n"));
    let elsewhere = ["--controller-namespace", "default"];
    let output = shop.test.sealant(&fetch).args(&elsewhere).run().code(1);
    assert!(output.stderr.contains("you may not read the ConfigMap"), "{output}");

    let kubeconfig = std::fs::read_to_string(&someone).expect("a kubeconfig");
    let (before, token) = kubeconfig.split_once("token: ").expect("a token");
    assert!(token.ends_with("}}]\n"));
    let authority = shop.cluster.ca_file();
    let before = before.replace("ca.crt", authority.to_str().expect("a path"));
    shop.test.write("stranger", format!("{before}token: nobody}}}}]\n"));
    let output = shop.test.sealant(&["fetch-recipient", "--kubeconfig", "stranger"]).run().code(1);
    assert!(output.stderr.contains("you may not read"), "{output}");
    // A proxy has nothing to do with what is on this machine, unless the kubeconfig says so.
    let proxied = shop.sealant(&["fetch-recipient"]).env("HTTPS_PROXY", "http://127.0.0.1:1").run().ok();
    assert_eq!(proxied.text(), format!("{new}\n"));
    let output = shop.sealant(&["fetch-recipient", "--context", "nowhere"]).run().code(5);
    assert!(output.stderr.contains("kubectl config get-contexts"), "{output}");

    // A list of kubeconfigs, of which some are missing, is taken as kubectl takes it.
    let list = format!("gone.yaml:{}:also-gone.yaml", shop.cluster.kubeconfig().display());
    let listed = shop.test.sealant(&["fetch-recipient"]).env("KUBECONFIG", &list).run().ok();
    assert_eq!(listed.text(), format!("{new}\n"));
    shop.cluster.kubectl(&["get", "namespaces"]).env("KUBECONFIG", &list).run().ok();
    let output = shop.test.sealant(&["fetch-recipient"]).env("KUBECONFIG", "gone.yaml").run();
    assert!(output.status != 0 && output.stderr.contains("there is no kubeconfig"), "{output}");

    // A client certificate of X.509 version 1, as MicroK8s makes them.
    let request = "openssl req -new -newkey rsa:2048 -nodes -keyout v1.key -subj /CN=a -out v1.csr 2>&1 && \
                   openssl x509 -req -in v1.csr -signkey v1.key -out v1.crt 2>&1 && openssl x509 -in v1.crt -noout -text";
    let made = shop.test.program("sh", &["-c", request]).run().ok();
    assert!(made.text().contains("Version: 1"), "{made}");
    let user = "client-certificate: v1.crt, client-key: v1.key}}]\n";
    shop.test.write("microk8s", format!("{before}{user}"));
    let output = shop.test.sealant(&["fetch-recipient", "--kubeconfig", "microk8s"]).run();
    assert!(output.status != 0, "{output}");
    let way_round = "kubectl get configmap sealant-recipients -n sealant-system -o yaml | sealant fetch-recipient --file -";
    assert!(output.stderr.contains(way_round), "{output}");
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    // It takes connections, and never says anything.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster:\n    server: http://{address}\n\
         users:\n- name: c\n  user: {{}}\ncontexts:\n- name: c\n  context: {{cluster: c, user: c}}\n"
    );
    test.write("kubeconfig", kubeconfig);
    let url = format!("http://{address}/");
    for args in [["--kubeconfig", "kubeconfig"], ["--url", &url]] {
        let started = Instant::now();
        let output =
            test.sealant(&["fetch-recipient"]).args(&args).limit(Duration::from_secs(60)).run().code(1);
        assert!(output.stderr.contains("no answer within 10 seconds"), "{output}");
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn a_transit_key_unseals_and_its_versions_are_seen() {
    let bao = Bao::start();
    bao.transit_key("transit", "shop");
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let uri = format!("{}/v1/transit/keys/shop", bao.address());
    let as_root = |args: &[&str]| {
        test.sealant(args).env("VAULT_ADDR", bao.address()).env("VAULT_TOKEN", bao.root_token())
    };
    let seal = [
        "seal",
        "--hc-vault-transit",
        &uri,
        "--name",
        "db",
        "-n",
        "shop",
        "--from-file",
        "a=-",
        "-o",
        "x.yaml",
    ];
    as_root(&seal).stdin("hunter2").run().ok();
    bao.bao(&["write", "-f", "transit/keys/shop/rotate"]).run().ok();
    as_root(&["seal", "--merge-into", "x.yaml", "--from-file", "b=-"]).stdin("planted").run().ok();
    let inspected = test.sealant(&["inspect", "x.yaml"]).run().ok();
    assert!(inspected.text().contains(&format!("  readers     {uri} (key version 1, 2)\n")), "{inspected}");
    let plain = as_root(&["unseal", "x.yaml"]).run().ok();
    assert!(plain.text().ends_with("stringData:\n  a: hunter2\n  b: planted\n"), "{plain}");
    test.sealant(&["unseal", "x.yaml"]).run().code(128);

    // Nothing but the wrapped data keys changes, and a token that may only rewrap is enough.
    bao.policy("rewrapper", "path \"transit/rewrap/shop\" { capabilities = [\"update\"] }");
    let rewrapper = bao.token(&["-policy=rewrapper"]);
    let before = test.read_text("x.yaml");
    as_root(&["rewrap", "x.yaml"]).env("VAULT_TOKEN", &rewrapper).run().ok();
    let after = test.read_text("x.yaml");
    let changed =
        |(old, new): (&str, &str)| (old != new).then(|| old.trim_start().starts_with("enc: vault:v1:"));
    let changed: Vec<bool> = before.lines().zip(after.lines()).filter_map(changed).collect();
    assert_eq!(changed, [true], "{after}");
    let inspected = test.sealant(&["inspect", "x.yaml"]).run().ok();
    assert!(inspected.text().contains(&format!("  readers     {uri} (key version 2)\n")), "{inspected}");
    assert_eq!(as_root(&["unseal", "x.yaml"]).run().ok().text(), plain.text());
}
