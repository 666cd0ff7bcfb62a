//! What the real KSOPS made of its generators (`fixtures/ksops`) is what the SealedSecrets make that come in their place, in a build of
//! the real kustomize.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sealant_test_support::{Output, Peers, Run, Sandbox};
use serde_json::{Map, Value, json};

use super::{commit, git, objects, sandbox, stranger};

/// For whom the files of the fixtures are.
const IDENTITY: &str = "AGE-SECRET-KEY-1HH3WRGUCZXCVP9K8YU02L8FPZVSW77S3CPH6S4VA0EGEX2VRPAJQ6CFT2G";
const RECIPIENT: &str = "age1yh642fmrn40k5e2xj8kfk9v0zctt8xx9ft2pwjltqr6uxd3x4euskwqtdy";

/// A repository with one of the fixtures in `app`.
fn with(case: &str) -> Sandbox {
    let test = sandbox();
    git(&test, &["init", "-q", "-b", "main"]);
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^app/\n    age: {RECIPIENT}\n"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ksops").join(case);
    for file in std::fs::read_dir(folder).expect("a folder").flatten() {
        let name = file.file_name().into_string().expect("a name");
        if name != "expected.yaml" {
            test.write(format!("app/{name}"), std::fs::read(file.path()).expect("a file"));
        }
    }
    test
}

fn expected(case: &str) -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/ksops/{case}/expected.yaml"));
    objects(&std::fs::read_to_string(file).expect("a file"))
}

fn with_identity(run: Run) -> Run {
    run.env("SOPS_AGE_KEY", IDENTITY)
}

/// No value is ever said.
fn migrate(test: &Sandbox, words: &[&str]) -> Output {
    let output = with_identity(test.sealant(&["migrate", "ksops"]).args(words)).run();
    let said = format!("{}{}", output.stderr, String::from_utf8_lossy(&output.stdout));
    assert!(!said.contains("hunter2"), "{said}");
    output
}

/// What the real kustomize builds, which starts no program and has no key.
fn build(test: &Sandbox) -> String {
    test.program(Peers::get().program("kustomize"), &["build", "app"]).run().ok().text().to_owned()
}

/// Name, namespace, type, labels and values of a Secret.
fn said(secret: &Value, namespace: &str) -> Value {
    let mut values = Map::new();
    for (key, value) in secret["data"].as_object().into_iter().flatten() {
        values.insert(key.clone(), value.clone());
    }
    for (key, value) in secret["stringData"].as_object().into_iter().flatten() {
        values.insert(key.clone(), BASE64.encode(value.as_str().expect("a text")).into());
    }
    values.sort_keys();
    let metadata = &secret["metadata"];
    json!([
        metadata["name"],
        metadata["namespace"].as_str().unwrap_or(namespace),
        secret["type"],
        metadata["labels"],
        metadata["annotations"],
        values
    ])
}

#[test]
fn a_generator_becomes_what_ksops_made_of_it() {
    for case in ["from-files", "from-yaml"] {
        let test = with(case);
        let before = test.read_text("app/generator.yaml");
        let nowhere = migrate(&test, &["."]);
        assert!(nowhere.status != 0 && nowhere.stderr.contains("names a namespace"), "{case}: {nowhere}");
        assert!(
            nowhere.stderr.contains("`sealant migrate ksops --namespace NAME app/generator.yaml`"),
            "{nowhere}"
        );
        let dry = migrate(&test, &["--namespace", "shop", "--dry-run", "."]).ok();
        assert!(dry.text().contains("would write ./app/generator.yaml"), "{dry}");
        assert!(dry.text().contains("as a resource in"), "{dry}");
        assert_eq!(test.read_text("app/generator.yaml"), before);

        let done = migrate(&test, &["--namespace", "shop", "."]).ok();
        assert!(
            done.stderr.contains("1 migrated") && done.stderr.contains("no longer read these files"),
            "{done}"
        );
        assert_eq!(test.read_text("app/kustomization.yaml"), "resources: [generator.yaml]\n");
        test.write("built.yaml", build(&test));
        let made = with_identity(test.sealant(&["unseal", "built.yaml"])).run().ok();
        let sort = |mut all: Vec<Value>| {
            all.sort_by_key(ToString::to_string);
            all
        };
        let made = objects(made.text()).iter().map(|secret| said(secret, "-")).collect();
        let meant = expected(case).iter().map(|secret| said(secret, "shop")).collect();
        assert_eq!(sort(made), sort(meant), "{case}");

        let again = migrate(&test, &["--namespace", "shop", "app"]).ok();
        assert!(again.stderr.contains("0 migrated, 1 migrated already"), "{again}");
        assert_eq!(test.read_text("app/kustomization.yaml"), "resources: [generator.yaml]\n");
    }
}

#[test]
fn the_kustomization_decides_the_namespace_and_a_run_that_was_cut_off_is_finished() {
    let test = with("from-yaml");
    test.write(
        "app/kustomization.yaml",
        "# ours\nnamespace: prod\nresources:\n  - pod.yaml   # first\ngenerators:\n  - ./generator.yaml\n",
    );
    test.write("app/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n");
    let generator = test.read_text("app/generator.yaml").replace(
        "- metadata: {name: made}\n",
        "- metadata: {name: made, namespace: dev, annotations: {kustomize.config.k8s.io/needs-hash: \"true\"}}\n",
    );
    test.write("app/generator.yaml", generator);
    let kustomization = test.read_text("app/kustomization.yaml");
    let done = migrate(&test, &["app"]).ok();
    assert!(done.stderr.contains("made: the hash at the end of its name is left out"), "{done}");
    let moved = "# ours\nnamespace: prod\nresources:\n  - pod.yaml   # first\n  - ./generator.yaml\n";
    assert_eq!(test.read_text("app/kustomization.yaml"), moved);
    for object in objects(&test.read_text("app/generator.yaml")) {
        assert_eq!(object["metadata"]["namespace"], "prod");
    }
    test.write("built.yaml", build(&test));
    let made = with_identity(test.sealant(&["unseal", "built.yaml"])).run().ok();
    assert!(made.text().contains("name: made\n") && made.text().contains("planted-hunter2"), "{made}");

    // Between the two files.
    test.write("app/kustomization.yaml", &kustomization);
    let finished = migrate(&test, &["app"]).ok();
    assert!(finished.stderr.contains("0 migrated"), "{finished}");
    assert_eq!(test.read_text("app/kustomization.yaml"), moved);
}

#[test]
fn what_cannot_be_migrated_is_named_and_nothing_is_written() {
    // A ConfigMap is among the files.
    let test = with("files");
    let refuse = |why: &str| {
        let [generator, kustomization] =
            ["app/generator.yaml", "app/kustomization.yaml"].map(|name| test.read_text(name));
        let refused = migrate(&test, &["--namespace", "shop", "app"]);
        assert!(refused.status != 0 && refused.stderr.contains("generator.yaml"), "{refused}");
        assert!(refused.stderr.contains(why), "{why}: {refused}");
        assert_eq!(test.read_text("app/generator.yaml"), generator);
        assert_eq!(test.read_text("app/kustomization.yaml"), kustomization);
    };
    refuse("it makes an object that is no Secret");
    let head = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: x}\n";
    let generate = |body: &str| test.write("app/generator.yaml", format!("{head}{body}"));
    generate("files: [secret.yaml]\nfilse: [a]\n");
    refuse("unknown field `filse`");
    generate("files: [../../outside.yaml]\n");
    std::fs::write(test.path("").parent().expect("a folder").join("outside.yaml"), "a: 1\n").expect("a file");
    refuse("this leads out of the repository");
    generate("files: [missing.yaml]\n");
    refuse("no such file");
    let broken = test.read_text("app/secret.yaml").replacen("name: db", "name: moved", 1);
    test.write("app/broken.yaml", broken);
    generate("files: [broken.yaml]\n");
    refuse("broken.yaml");
    test.write(
        "app/sealed.yaml",
        with_identity(test.sealant(&["seal", "-n", "shop", "--age", RECIPIENT]))
            .stdin("kind: Secret\napiVersion: v1\nmetadata: {name: s}\nstringData: {a: hunter2}\n")
            .run()
            .ok()
            .stdout,
    );
    generate("files: [sealed.yaml]\n");
    refuse("it lists SealedSecrets already: sealed.yaml");
    generate(
        "secretFrom:\n- metadata: {name: m, annotations: {kustomize.config.k8s.io/behavior: merge}}\n  files: [secret.yaml]\n",
    );
    refuse("Secret m: it has the behavior `merge`");
    generate("files: [secret.yaml]\n");
    test.write("app/kustomization.yaml", "namePrefix: prod-\ngenerators: [generator.yaml]\n");
    refuse("has namePrefix, which changes the name of a SealedSecret");
    test.write("app/kustomization.yaml", "resources: [pod.yaml]\n");
    refuse("no kustomization lists it under `generators`");
}

/// A generator where more people read would give them what its files hold.
#[test]
fn what_is_for_fewer_readers_is_not_migrated() {
    let test = with("from-yaml");
    let stranger = stranger(&test);
    let rules = format!(
        "creation_rules:\n  - {{path_regex: secret.yaml$, age: {RECIPIENT}}}\n  - {{path_regex: ^app/, age: '{RECIPIENT},{stranger}'}}\n"
    );
    test.write(".sops.yaml", rules);
    commit(&test);
    let refused = migrate(&test, &["--namespace", "shop", "app"]).code(8);
    assert!(refused.stderr.contains("app/secret.yaml") && refused.stderr.contains(&stranger), "{refused}");
    assert!(refused.stderr.contains("sealant migrate ksops --allow-copied app/generator.yaml"), "{refused}");
    migrate(&test, &["--namespace", "shop", "--allow-copied", "app"]).ok();
}

/// Under a data key that the other place never had.
#[test]
fn what_was_moved_along_is_not_migrated() {
    let test = with("from-yaml");
    let stranger = stranger(&test);
    let rules = format!(
        "creation_rules:\n  - {{path_regex: ^prod/, age: {RECIPIENT}}}\n  - {{path_regex: ^app/, age: '{RECIPIENT},{stranger}'}}\n"
    );
    test.write(".sops.yaml", rules);
    let file = |folder: &str| test.path(format!("{folder}/secret.yaml"));
    std::fs::create_dir(test.path("prod")).expect("a folder");
    std::fs::rename(file("app"), file("prod")).expect("a file");
    commit(&test);
    with_identity(test.sealant(&["rotate", "-i", "prod/secret.yaml"])).run().ok();
    let rotated = test.read("prod/secret.yaml");
    std::fs::write(file("app"), test.program("git", &["show", "HEAD:prod/secret.yaml"]).run().ok().stdout)
        .expect("written");
    std::fs::remove_file(file("prod")).expect("a file");
    commit(&test);
    test.write("app/secret.yaml", rotated);
    commit(&test);
    let refused = migrate(&test, &["--namespace", "shop", "app"]).code(8);
    assert!(
        refused.stderr.contains("prod/secret.yaml of commit") && refused.stderr.contains(&stranger),
        "{refused}"
    );
}
