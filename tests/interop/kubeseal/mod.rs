//! The command line of kubeseal, ours beside the real one: the same lines in the same folders end alike, and what one of the
//! two seals the other opens.

mod lines;

use std::path::Path;
use std::sync::LazyLock;

use sealant_test_support::{Output, Run, Sandbox};
use serde_json::Value;

/// Keys that are made once: some take a second.
static KEYS: LazyLock<Sandbox> = LazyLock::new(|| {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let openssl = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let _ = sandbox.program("openssl", &words).run().ok();
    };
    for name in ["key", "other"] {
        openssl(&format!(
            "req -x509 -nodes -newkey rsa:2048 -days 30 -subj /CN=t -keyout {name}.key -out {name}.crt"
        ));
    }
    openssl("ecparam -name prime256v1 -genkey -noout -out ec.key");
    openssl("req -x509 -key ec.key -days 30 -subj /CN=t -out ec.crt");
    sandbox.write("ca/index.txt", "");
    sandbox.write("ca/serial", "01");
    sandbox.write("ca.cnf", CA);
    openssl("req -new -key key.key -subj /CN=t -out expired.csr");
    openssl(
        "ca -batch -config ca.cnf -selfsign -keyfile key.key -in expired.csr -out expired.crt -notext \
         -startdate 20200101000000Z -enddate 20200203000000Z",
    );
    sandbox
});

const CA: &str = "\
[ca]
default_ca = own
[own]
database = ca/index.txt
serial = ca/serial
new_certs_dir = ca
default_md = sha256
policy = any
[any]
commonName = supplied
";

/// A folder with keys, certificates, and a few files, in which `kubeseal` is the real one or ours.
struct World(Sandbox);

impl World {
    fn new() -> Self {
        let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        for name in ["key.key", "key.crt", "other.key", "other.crt", "ec.crt", "expired.crt"] {
            sandbox.write(name, KEYS.read(name));
        }
        for (name, text) in lines::FILES {
            sandbox.write(name, text);
        }
        let key = |name: &str| {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.encode(KEYS.read(name))
        };
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: k}}\ntype: kubernetes.io/tls\ndata:\n  tls.key: {}\n  tls.crt: {}\n",
            key("key.key"),
            key("key.crt")
        );
        sandbox.write(
            "list.yaml",
            format!("apiVersion: v1\nkind: List\nitems:\n- {}", secret.trim_end().replace('\n', "\n  ")),
        );
        sandbox.write("key.yaml", secret);
        Self(sandbox)
    }

    fn kubeseal(&self, is_ours: bool, words: &[&str]) -> Run {
        match is_ours {
            true => self.0.sealant(words).called_as("kubeseal"),
            false => self.0.kubeseal(words),
        }
    }
}

/// What a line ends with and prints, without what is another each time.
#[derive(Debug, PartialEq)]
struct Outcome {
    code: i32,
    printed: Vec<Value>,
    said: String,
}

impl Outcome {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stdout);
        let printed = match text.trim_start() {
            yaml if yaml.starts_with("---") => yaml
                .split("---\n")
                .filter(|text| !text.is_empty())
                .map(|text| serde_yaml::from_str(text).expect("YAML"))
                .collect(),
            json if json.starts_with('{') => serde_json::Deserializer::from_str(json)
                .into_iter()
                .map(|value| value.expect("JSON"))
                .collect(),
            other => vec![Value::from(without_program(other))],
        };
        let printed = printed.into_iter().map(without_items).collect();
        // Advice is ours alone.
        let said = &output.stderr;
        let said: Vec<&str> = said.lines().filter(|line| !line.starts_with("  help: ")).collect();
        Self { code: output.status, printed, said: without_program(&said.join("\n")) }
    }
}

fn without_program(text: &str) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix("Usage of ") {
        Some(_) => "Usage of kubeseal:",
        // A value alone is in base64, and another one each time.
        None if line.len() > 300 && !line.contains(' ') => "ITEM",
        None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Items are others each time.
fn without_items(mut value: Value) -> Value {
    if let Some(items) = value.pointer_mut("/spec/encryptedData").and_then(Value::as_object_mut) {
        items.values_mut().for_each(|item| {
            assert!(item.as_str().is_some_and(|text| text.starts_with('A')), "{item}");
            *item = "ITEM".into();
        });
    }
    value
}

#[test]
fn the_same_command_line_does_the_same() {
    let mut problems = Vec::new();
    let mut needed = vec![false; lines::KNOWN.len()];
    for (line, input, environment) in lines::LINES {
        let [theirs, ours] = [false, true].map(|is_ours| {
            let world = World::new();
            let words: Vec<&str> = line.split_whitespace().collect();
            let mut run = world.kubeseal(is_ours, &words).stdin(*input);
            for (key, value) in *environment {
                run = run.env(key, value);
            }
            let output = run.run();
            let written = ["out.json", "out.yaml", "sealed.json"].map(|name| {
                let path = world.0.path(name);
                path.exists().then(|| without_items_of_file(&path)).flatten()
            });
            (Outcome::of(&output), written)
        });
        if ours == theirs {
            continue;
        }
        match lines::KNOWN.iter().position(|(known, given, _)| known == line && given == input) {
            Some(at) => needed[at] = true,
            None => problems.push(format!("kubeseal {line}\n  theirs: {theirs:?}\n  ours:   {ours:?}")),
        }
    }
    assert!(problems.is_empty(), "{} lines differ:\n{}", problems.len(), problems.join("\n"));
    let unneeded: Vec<_> =
        lines::KNOWN.iter().zip(needed).filter(|(_, needed)| !needed).map(|(known, _)| known.0).collect();
    assert!(unneeded.is_empty(), "these lines do not differ any more: {unneeded:?}");
}

fn without_items_of_file(path: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    serde_yaml::from_str(text.trim_start_matches("---\n")).ok().map(without_items)
}

#[test]
fn each_opens_what_the_other_has_sealed() {
    let world = World::new();
    for scope in ["strict", "namespace-wide", "cluster-wide"] {
        for is_ours in [false, true] {
            let sealed =
                world.kubeseal(is_ours, &["--cert", "key.crt", "--scope", scope, "-f", "secret.yaml"]);
            world.0.write("sealed.json", sealed.run().ok().stdout);
            let opened = ["key.key", "key.yaml", "list.yaml"].map(|key| {
                let words = ["--recovery-unseal", "--recovery-private-key", key, "-f", "sealed.json"];
                [false, true].map(|opens| Outcome::of(&world.kubeseal(opens, &words).run().ok()))
            });
            let expected = opened[0][0].printed[0]["data"].clone();
            assert_eq!(expected["password"], "aHVudGVyMg==");
            assert!(opened.iter().flatten().all(|outcome| *outcome == opened[0][0]), "{opened:#?}");
            // A value alone, put into it by hand.
            let raw = ["--raw", "--cert", "key.crt", "--scope", scope, "-n", "shop", "--name", "db"];
            let item = world.kubeseal(is_ours, &raw).stdin("one more").run().ok();
            let mut object: Value = serde_json::from_slice(&world.0.read("sealed.json")).expect("JSON");
            object["spec"]["encryptedData"]["more"] = item.text().into();
            world.0.write("sealed.json", object.to_string());
            for opens in [false, true] {
                let words = ["--recovery-unseal", "--recovery-private-key", "key.key", "-f", "sealed.json"];
                let secret = &Outcome::of(&world.kubeseal(opens, &words).run().ok()).printed[0];
                assert_eq!(secret["data"]["more"], "b25lIG1vcmU=", "{scope} {is_ours} {opens}");
            }
        }
    }
}

#[test]
fn what_is_merged_into_a_file_keeps_its_form_and_scope() {
    let world = World::new();
    let seal = ["--cert", "key.crt", "-o", "yaml", "--scope", "cluster-wide", "-f", "secret.yaml"];
    let sealed = world.kubeseal(false, &seal).run().ok();
    let dressed = sealed.text().replace("spec:\n", "# ours\nspec: # the rest\n");
    world.0.write("mine.yaml", &dressed);
    let merge =
        ["--cert", "key.crt", "--merge-into", "mine.yaml", "--scope", "cluster-wide", "-f", "more.yaml"];
    let _ = world.kubeseal(true, &merge).run().ok();
    let after = world.0.read_text("mine.yaml");
    assert!(after.starts_with("---\n") && after.contains("# ours\nspec: # the rest\n"), "{after}");
    let secret = open(&world, "mine.yaml", "key.key");
    assert_eq!(secret["data"]["password"], "aHVudGVyMg==");
    assert_eq!(secret["data"]["token"], "dG9rZW4=");
    assert_eq!(secret["metadata"]["name"], "db");
    assert_eq!(secret["metadata"]["labels"]["more"], "yes");
    let strict = world.kubeseal(true, &merge).args(&["--scope", "namespace-wide"]).run().code(1);
    assert!(strict.stderr.contains("its scope is cluster-wide"), "{strict}");
    assert_eq!(world.0.read_text("mine.yaml"), after);
}

/// Whoever wrote the file says where its items open: that is nobody else's Secret.
#[test]
fn nothing_is_merged_into_a_file_for_another_place() {
    let world = World::new();
    let sealed = |flags: &[&str], file: &str| {
        let seal = ["--cert", "key.crt", "-o", "yaml", "-f", file];
        world.kubeseal(false, &seal).args(flags).run().ok().text().to_owned()
    };
    let eve = "metadata: {name: eve, namespace: evil}\nstringData: {a: b}\n";
    world.0.write("eve.yaml", eve);
    world.0.write("db-of-evil.yaml", eve.replace("eve", "db"));
    for (file, flags, wanted) in [
        ("eve.yaml", &[][..], "its name is \"eve\""),
        ("db-of-evil.yaml", &[], "its namespace is \"evil\""),
        ("eve.yaml", &["--scope", "namespace-wide"], "its namespace is \"evil\""),
        ("eve.yaml", &["--scope", "cluster-wide"], "its scope is cluster-wide"),
    ] {
        let text = sealed(flags, file);
        world.0.write("mine.yaml", &text);
        for more in [&[][..], &["--scope", "strict"], &["--scope", "namespace-wide"]] {
            let merge = ["--cert", "key.crt", "--merge-into", "mine.yaml", "-f", "secret.yaml"];
            let output = world.kubeseal(true, &merge).args(more).run().code(1);
            // Where its scope is narrower than the flag, that is what is wrong first, or the place is.
            let is_told = output.stderr.contains(wanted) || output.stderr.contains("its scope is");
            assert!(is_told && output.stderr.contains("help:"), "{file} {flags:?} {more:?}: {output}");
            assert_eq!(world.0.read_text("mine.yaml"), text);
        }
    }
}

#[test]
fn what_is_encrypted_again_changes_in_its_items_alone() {
    let world = World::new();
    let sealed =
        world.kubeseal(false, &["--cert", "other.crt", "-o", "yaml", "-f", "secret.yaml"]).run().ok();
    let old = sealed.text().replace("spec:\n", "# ours\nspec:\n");
    world.0.write("mine.yaml", &old);
    let again =
        ["--re-encrypt", "--recovery-private-key", "other.key", "--cert", "key.crt", "-f", "mine.yaml"];
    let _ = world.kubeseal(true, &again).run().ok();
    let new = world.0.read_text("mine.yaml");
    let others = |text: &str| {
        let lines = text
            .lines()
            .filter(|line| !line.starts_with("    password: ") && !line.starts_with("    user: "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(others(&old), others(&new));
    assert_ne!(old, new);
    assert_eq!(open(&world, "mine.yaml", "key.key")["data"]["password"], "aHVudGVyMg==");
    let with_none = ["--re-encrypt", "--recovery-private-key", "key.key", "-f", "mine.yaml"];
    let refused = world.kubeseal(true, &with_none).run().code(1);
    assert!(refused.stderr.contains("no certificate is beside the private keys"), "{refused}");
    let _ = world
        .kubeseal(true, &["--re-encrypt", "--recovery-private-key", "list.yaml", "-f", "mine.yaml"])
        .run()
        .ok();
    assert_eq!(open(&world, "mine.yaml", "key.key")["data"]["password"], "aHVudGVyMg==");
}

#[test]
fn templates_are_rendered_alike() {
    let world = World::new();
    let sealed = world.kubeseal(false, &["--cert", "key.crt", "-f", "secret.yaml"]).run().ok();
    let mut object: Value = serde_json::from_str(sealed.text()).expect("JSON");
    object["spec"]["template"]["data"] = serde_json::json!({
        "url": "db://{{ .user }}:{{ .password | b64enc }}@db{{ if .missing }}!{{ end }}",
        "password": "shadowed",
        "plain": "as it is",
        "list": "{{ range $key, $_ := . }}{{ $key }} {{ end }}",
        "user": null,
    });
    world.0.write("sealed.json", object.to_string());
    let words = ["--recovery-unseal", "--recovery-private-key", "key.key", "-f", "sealed.json"];
    let [theirs, ours] =
        [false, true].map(|is_ours| Outcome::of(&world.kubeseal(is_ours, &words).run().ok()));
    assert_eq!(theirs, ours);
    assert_eq!(ours.printed[0]["data"]["url"], "ZGI6Ly9tZTphSFZ1ZEdWeU1nPT1AZGI=");
}

/// The Secret in a file, by the real kubeseal.
fn open(world: &World, file: &str, key: &str) -> Value {
    let words = ["--recovery-unseal", "--recovery-private-key", key, "-f", file];
    let opened = world.kubeseal(false, &words).run().ok();
    serde_json::from_str(opened.text()).expect("JSON")
}

/// What a document holds that cannot be read is not dropped in silence, and no value is ever said.
#[test]
fn nothing_is_dropped_in_silence_and_no_value_is_said() {
    let world = World::new();
    let stream = "a: [hunter2\n---\nmetadata: {name: b, namespace: x}\nstringData: {a: hunter2}\n";
    let sealed = world.kubeseal(true, &["--cert", "key.crt"]).stdin(stream).run().ok();
    let said = &sealed.stderr;
    assert!(said.contains("warning: ") && !said.contains("hunter2"), "{said}");
    assert!(!sealed.text().contains("hunter2"));
    let merged = "x: &x {a: hunter2}\nmetadata: {name: b, namespace: x}\nstringData: {<<: *x}\n";
    let refused = world.kubeseal(true, &["--cert", "key.crt"]).stdin(merged).run().code(1);
    assert!(refused.stderr.contains("merge keys are not read here"), "{refused}");
}
