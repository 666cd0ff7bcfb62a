//! What Sealant has encrypted, decrypted by Flux's real kustomize-controller: every format, age and transit keys, and
//! the manifest that `docs/flux.md` shows.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sealant_test_support::{Bao, Cluster, Flux, Sandbox};
use serde_json::Value;

const SECRET: &str = "planted-correct-horse";

/// The manifest of the page.
fn kustomization() -> &'static str {
    let page = include_str!("../../../docs/flux.md");
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    rest.split_once("```").unwrap().0
}

/// A folder as Flux's users have it, encrypted file by file as the config says.
fn write_app(test: &Sandbox, bao: &Bao) {
    test.sealant(&["keygen", "-o", "flux.agekey"]).run().ok();
    let age = test.sealant(&["keygen", "-y", "flux.agekey"]).run().ok();
    let [age, address] = [age.text().trim(), bao.address()];
    let config = format!(
        "creation_rules:
  - path_regex: vault\\.yaml$
    encrypted_regex: ^(data|stringData)$
    hc_vault_transit_uri: {address}/v1/transit/keys/team
  - path_regex: mac-only\\.yaml$
    encrypted_regex: ^(data|stringData)$
    mac_only_encrypted: true
    age: {age}
  - path_regex: \\.yaml$
    encrypted_regex: ^(data|stringData)$
    age: {age}
  - age: {age}
"
    );
    test.write(".sops.yaml", config);
    let secret = |name: &str| {
        format!(
            "# Kept.\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n  \
             password: \"{SECRET}\"   # of the database\n  text: |\n    two\n    lines\n"
        )
    };
    for name in ["plain", "vault", "mac-only"] {
        test.write(format!("app/{name}.yaml"), secret(name));
    }
    test.write("app/stream.yaml", format!("{}---\n{}", secret("first"), secret("second")));
    test.write(
        "app/in-json.json",
        format!(r#"{{"apiVersion": "v1", "kind": "Secret", "metadata": {{"name": "in-json"}}, "stringData": {{"password": "{SECRET}"}}}}"#),
    );
    test.write("app/app.env", format!("# Kept.\nPASSWORD={SECRET}\n"));
    test.write("app/settings.ini", format!("[database]\npassword = {SECRET}\n"));
    test.write("app/settings.json", format!("{{\"password\": \"{SECRET}\"}}\n"));
    test.write("app/key.bin", [&[0, 255, 1], SECRET.as_bytes()].concat());
    let selection = ["encrypt", "-i", "--encrypted-regex", "^(data|stringData)$", "app/in-json.json"];
    test.sealant(&selection).run().ok();
    let files = ["plain.yaml", "vault.yaml", "mac-only.yaml", "stream.yaml"];
    let values = ["app.env", "settings.ini", "settings.json", "key.bin"];
    for file in files.iter().chain(&values) {
        let encrypt = test.sealant(&["encrypt", "-i", &format!("app/{file}")]);
        encrypt.env("VAULT_ADDR", address).env("VAULT_TOKEN", "root").run().ok();
        let bytes = test.read(format!("app/{file}"));
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "{file}");
    }
    let kustomization = "\
resources: [plain.yaml, vault.yaml, mac-only.yaml, stream.yaml, in-json.json]
generatorOptions: {disableNameSuffixHash: true}
secretGenerator:
  - {name: from-env, envs: [app.env]}
  - {name: from-files, files: [settings.ini, settings.json, key.bin]}
";
    test.write("app/kustomization.yaml", kustomization);
}

fn data(cluster: &Cluster, secret: &str) -> Value {
    let output = cluster.kubectl(&["get", "secret", secret, "-n", "default", "-o", "json"]).run().ok();
    let object: Value = serde_json::from_str(output.text()).unwrap();
    object["data"].clone()
}

fn decoded(data: &Value, key: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(data[key].as_str().unwrap_or_default()).unwrap()
}

#[test]
fn flux_decrypts_every_format_and_kind_of_key() {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let bao = Bao::start();
    bao.transit_key("transit", "team");
    bao.policy("flux", r#"path "transit/decrypt/team" { capabilities = ["update"] }"#);
    let token = bao.token(&["-policy=flux", "-ttl=1h"]);
    write_app(&test, &bao);
    let cluster = Cluster::start();
    let flux = Flux::start(&cluster);

    let keys = format!("--from-literal=sops.vault-token={token}");
    let create = ["create", "secret", "generic", "sops-keys", "-n", "default", &keys];
    let identity = format!("--from-file=flux.agekey={}", test.path("flux.agekey").display());
    cluster.kubectl(&create).arg(identity).run().ok();
    cluster.kubectl(&["apply", "--server-side", "-f", "-"]).stdin(kustomization()).run().ok();
    flux.publish(&cluster, "app", &test.path(""));
    let ready = ["wait", "--for=condition=Ready", "kustomizations.kustomize.toolkit.fluxcd.io/app"];
    let ready = cluster.kubectl(&ready).args(&["-n", "default", "--timeout=50s"]).run();
    assert_eq!(ready.status, 0, "{ready}\n{}", flux.log());

    for secret in ["plain", "vault", "mac-only", "first", "second", "in-json"] {
        assert_eq!(decoded(&data(&cluster, secret), "password"), SECRET.as_bytes(), "{secret}");
    }
    assert_eq!(decoded(&data(&cluster, "plain"), "text"), b"two\nlines\n");
    assert_eq!(decoded(&data(&cluster, "from-env"), "PASSWORD"), SECRET.as_bytes());
    let files = data(&cluster, "from-files");
    let settings: Value = serde_json::from_slice(&decoded(&files, "settings.json")).unwrap();
    assert_eq!(settings["password"], SECRET);
    assert!(String::from_utf8(decoded(&files, "settings.ini")).unwrap().contains(SECRET));
    assert_eq!(decoded(&files, "key.bin"), [&[0, 255, 1], SECRET.as_bytes()].concat());
}

/// A SealedSecret that no controller has looked at yet is not taken for done: what depends on it waits.
#[test]
fn flux_waits_until_the_controller_has_said_something() {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let cluster = Cluster::start();
    let crd = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/crd/sealedsecrets.yaml");
    cluster.kubectl(&["apply", "--server-side", "-f"]).arg(crd).run().ok();
    let name = "crd/sealedsecrets.sealant.dev";
    cluster.kubectl(&["wait", "--for=condition=Established", name, "--timeout=60s"]).run().ok();
    test.sealant(&["keygen", "-o", "flux.agekey"]).run().ok();
    let age = test.sealant(&["keygen", "-y", "flux.agekey"]).run().ok();
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: default}\nstringData: {a: x}\n";
    let seal = ["seal", "--age", age.text().trim(), "--output", "app/db.yaml"];
    test.write("app/kustomization.yaml", "resources: [db.yaml]\n");
    test.sealant(&seal).stdin(secret).run().ok();

    let flux = Flux::start(&cluster);
    let app = serde_json::json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "app", "namespace": "default"},
        "spec": {"interval": "1h", "retryInterval": "1s", "timeout": "4s", "wait": true, "prune": true,
                 "path": "./app", "sourceRef": {"kind": "GitRepository", "name": "app"}}});
    cluster.kubectl(&["apply", "--server-side", "-f", "-"]).stdin(app.to_string()).run().ok();
    flux.publish(&cluster, "app", &test.path(""));
    let ready = |status: &str| {
        let condition = format!("--for=condition=Ready={status}");
        let wait = ["wait", &condition, "kustomizations.kustomize.toolkit.fluxcd.io/app", "-n", "default"];
        cluster.kubectl(&wait).arg("--timeout=50s").run()
    };
    let waited = ready("False");
    assert_eq!(waited.status, 0, "{waited}\n{}", flux.log());
    let said = ["get", "kustomizations.kustomize.toolkit.fluxcd.io/app", "-n", "default", "-o", "json"];
    let said = cluster.kubectl(&said).run().ok();
    assert!(said.text().contains("InProgress"), "{said}");

    let condition = |name: &str| {
        serde_json::json!({"type": name, "status": "True", "reason": "Unsealed", "message": "x",
            "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let status = serde_json::json!({"status": {"observedGeneration": 1, "conditions": [condition("Ready"), condition("Synced")]}});
    let patch = ["patch", "sls", "db", "-n", "default", "--subresource=status", "--type=merge", "-p"];
    cluster.kubectl(&patch).arg(status.to_string()).run().ok();
    let waited = ready("True");
    assert_eq!(waited.status, 0, "{waited}\n{}", flux.log());
}
