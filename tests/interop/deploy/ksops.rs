//! `sealant ksops` in builds of the real kustomize, with files of the real sops.

use std::os::unix::fs::PermissionsExt;

use sealant_test_support::{Output, Run, Sandbox};

use super::*;

const FUNCTION: &str = "      exec:\n        path: sealant\n        args: [ksops]\n";

/// A generator that kustomize calls as a function.
fn generator(function: &str, body: &str) -> String {
    format!(
        "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: secrets\n  annotations:\n    \
         config.kubernetes.io/function: |\n{function}{body}"
    )
}

/// A repository with files of every kind, and a kustomization in `app` with this generator.
fn app(body: &str) -> Sandbox {
    let test = repository();
    sops_secret(&test, "app/db.enc.yaml", "db");
    test.write("app/generator.yaml", generator(FUNCTION, body));
    test.write("app/kustomization.yaml", "generators: [generator.yaml]\nnamespace: shop\n");
    test
}

fn kustomize(test: &Sandbox, args: &[&str]) -> Run {
    let run = test.program(sealant_test_support::Peers::get().program("kustomize"), &["build"]);
    on_path(run).args(args).env("SOPS_AGE_KEY", IDENTITY)
}

/// A build in which programs may be started.
fn build(test: &Sandbox) -> Output {
    kustomize(test, &["--enable-alpha-plugins", "--enable-exec", "app"]).run()
}

#[test]
fn a_function_makes_what_ksops_makes() {
    let test = app(
        "files: [./db.enc.yaml, sealed.yaml]\nsecretFrom:\n- metadata:\n    name: env\n    labels: {a: b}\n    annotations:\n      \
         kustomize.config.k8s.io/needs-hash: \"true\"\n  type: Opaque\n  files: [note.txt, again=note.txt]\n  binaryFiles: [bin.dat, note.dat=note.txt]\n  \
         envs: [app.env]\n",
    );
    let sealed = sealed(&test, "app/sealed.yaml", "sealed", "strict");
    sops_encrypted(&test, "app/note.txt", "a note\n", &[]);
    sops_encrypted(&test, "app/bin.dat", b"\x00\xff\x01", &[]);
    sops_encrypted(&test, "app/app.env", "# c\nTOKEN=abc\nQUOTED=\"two words\"\nDOLLAR='a$HOME'\n", &[]);
    let output = build(&test).ok();
    let text = output.text();
    for part in [
        "  password: planted-hunter2-db\n",
        "  a: |\n    b\n\n    c\n",
        "data:\n  bin.dat: AP8B\n  note.dat: YSBub3RlCg==\n",
        "  QUOTED: two words\n",
        "  DOLLAR: a$HOME\n",
        "  TOKEN: abc\n",
        "  again: |\n    a note\n",
        "  labels:\n    a: b\n  name: env-",
        "  name: sealed\n  namespace: shop\n",
    ] {
        assert!(text.contains(part), "{part:?} is missing\n{text}");
    }
    // It passes as it is: an item of it is in the output to the letter.
    let item = sealed.lines().find(|line| line.contains("password: ")).unwrap().trim();
    assert!(text.contains(item), "{text}");
    assert!(!text.contains("config.kubernetes.io") && !text.contains("kind: ksops"), "{text}");
}

/// What the real KSOPS made of `fixtures/ksops`: see its README.
#[test]
fn builds_are_those_of_the_real_ksops() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ksops");
    let cases = ["files", "from-files", "from-yaml"];
    for case in cases {
        let test = repository();
        for file in std::fs::read_dir(fixtures.join(case)).unwrap().flatten() {
            let name = file.file_name().into_string().unwrap();
            test.write(format!("app/{name}"), std::fs::read(file.path()).unwrap());
        }
        link(&test, "app/ksops", sealant());
        assert_eq!(build(&test).ok().text(), test.read_text("app/expected.yaml"), "{case}");
    }
}

#[test]
fn a_link_named_ksops_is_one_and_so_is_a_legacy_plugin() {
    let test = app("files: [db.enc.yaml]\n");
    let expected = build(&test).ok().text().to_owned();
    // As KSOPS is installed: by a name of its own.
    let nowhere = test.sealant(&["ksops", "install", "bin"]).run().code(3);
    assert!(nowhere.stderr.contains("the folder bin does not exist"), "{nowhere}");
    std::fs::create_dir(test.path("bin")).unwrap();
    let output = test.sealant(&["ksops", "install", "bin"]).run().ok();
    assert_eq!(output.stderr, "installed bin/ksops\n");
    let mode = std::fs::metadata(test.path("bin/ksops")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    link(&test, "app/ksops", sealant());
    for path in ["./ksops".to_owned(), test.path("bin/ksops").display().to_string()] {
        test.write(
            "app/generator.yaml",
            generator(&format!("      exec:\n        path: {path}\n"), "files: [db.enc.yaml]\n"),
        );
        assert_eq!(build(&test).ok().text(), expected, "{path}");
    }
    let usage = test.sealant(&["--nonsense"]).called_as("ksops").run().code(64);
    assert!(usage.stderr.contains("Usage: sealant ksops"), "{usage}");
    test.sealant(&["--version"]).called_as("/usr/bin/ksops").run().ok();
    // As a plugin in the user's folder, for a generator that names no function.
    let plugin = test.home(".config/kustomize/plugin/viaduct.ai/v1/ksops");
    std::fs::create_dir_all(&plugin).unwrap();
    test.sealant(&["ksops", "install", plugin.to_str().unwrap()]).run().ok();
    test.write(
        "app/generator.yaml",
        "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: x}\nfiles: [db.enc.yaml]\n",
    );
    let output = kustomize(&test, &["--enable-alpha-plugins", "app"]).run().ok();
    assert_eq!(output.text(), expected);
    // By hand, from where the generator stands.
    let output =
        test.sealant(&["ksops", "generator.yaml"]).cwd("app").env("SOPS_AGE_KEY", IDENTITY).run().ok();
    assert!(output.text().starts_with("apiVersion: v1\n") && output.text().contains("planted-hunter2-db"));
}

#[test]
fn sealed_secrets_need_no_key_and_nothing_else_passes() {
    let test = app("output: sealedsecret\nfiles: [sealed.yaml]\n");
    sealed(&test, "app/sealed.yaml", "sealed", "strict");
    let keyless = |test: &Sandbox| {
        kustomize(test, &["--enable-alpha-plugins", "--enable-exec", "app"]).env("SOPS_AGE_KEY", "").run()
    };
    let first = keyless(&test).ok();
    assert!(first.text().contains("kind: SealedSecret"));
    assert_eq!(keyless(&test).ok().text(), first.text(), "each build has to be the same");

    test.write(
        "app/generator.yaml",
        generator(FUNCTION, "output: sealedsecret\nfiles: [sealed.yaml, db.enc.yaml]\n"),
    );
    refused(build(&test), "`output: sealedsecret` decrypts nothing");
    let body = "output: sealedsecret\nsecretFrom: [{metadata: {name: x}, envs: [a.env]}]\n";
    test.write("app/generator.yaml", generator(FUNCTION, body));
    refused(build(&test), "`secretFrom` makes plaintext Secrets");
}

#[test]
fn what_cannot_be_opened_stops_the_build() {
    let test = app("files: [db.enc.yaml]\n");
    // Nobody has a key.
    let output =
        kustomize(&test, &["--enable-alpha-plugins", "--enable-exec", "app"]).env("SOPS_AGE_KEY", "").run();
    refused(output, RECIPIENT);
    // The values were exchanged for older ones, or the clear part was changed: the MAC says so.
    let text = test.read_text("app/db.enc.yaml");
    test.write("app/db.enc.yaml", text.replace("name: db", "name: other"));
    refused(build(&test), "MAC");
    // A ciphertext that was encrypted twice is no password.
    let twice = secret("db").replace(PLANTED, "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]");
    test.write("app/db.enc.yaml", &twice);
    let regex = ["--encrypted-regex", "^nothing$"];
    sops_encrypted(&test, "app/db.enc.yaml", twice, &regex);
    let output = build(&test);
    assert!(
        output.status != 0 && output.stdout.is_empty() && output.stderr.contains("has a sops ciphertext"),
        "{output}"
    );
    // What is in plaintext is not one of its business.
    test.write("app/db.enc.yaml", secret("db"));
    refused(build(&test), "not encrypted");
}

#[test]
fn paths_stay_in_the_repository() {
    let test = app("files: [../shared/db.enc.yaml]\n");
    sops_secret(&test, "shared/db.enc.yaml", "shared");
    assert!(build(&test).ok().text().contains("planted-hunter2-shared"));
    // Somebody else's file, for which we have a key.
    sops_secret(&test, "../outside.yaml", "outside");
    link(&test, "app/link.yaml", test.path("../outside.yaml"));
    let absolute = test.path("../outside.yaml").display().to_string();
    for (path, said) in [
        ("../../outside.yaml", "leads out of the repository"),
        ("link.yaml", "leads out of the repository"),
        (absolute.as_str(), "absolute paths are not allowed"),
        ("https://example.com/db.yaml", "nothing is downloaded"),
        ("nowhere.yaml", "no such file"),
    ] {
        test.write("app/generator.yaml", generator(FUNCTION, &format!("files: ['{path}']\n")));
        refused(build(&test), said);
    }
}

#[test]
fn an_answer_tells_what_failed_as_functions_do() {
    let test = repository();
    let list = |config: &str| {
        format!(
            "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: [{config}]\nfunctionConfig: {config}\n"
        )
    };
    let ask = |list: String| test.sealant(&["ksops"]).stdin(list).env("KSOPS_CONCURRENCY_LIMIT", "20").run();
    let output = ask(list("{kind: ksops, metadata: {name: x}, files: [gone.yaml]}"));
    let answer = output.clone().code(1);
    let text = answer.text();
    for part in
        ["kind: ResourceList\n", "items: []\n", "severity: error\n", "no such file", "path: gone.yaml\n"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(output.stderr.contains("gone.yaml"), "{output}");
    ask("kind: Pod\n".to_owned()).code(1);
    // Objects of others pass, with what kustomize knows them by.
    sops_secret(&test, "db.enc.yaml", "db");
    let config = "{kind: ksops, metadata: {name: x}, files: [db.enc.yaml]}";
    let other = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, annotations: {internal.config.kubernetes.io/index: '3', internal.config.kubernetes.io/path: c.yaml}}}";
    let list = format!(
        "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: [{other}, {config}]\nfunctionConfig: {config}\n"
    );
    let output = test.sealant(&["ksops"]).stdin(list).env("SOPS_AGE_KEY", IDENTITY).run().ok();
    let text = output.text();
    assert!(text.contains("internal.config.kubernetes.io/index: \"3\"") && text.contains(PLANTED), "{text}");
    assert!(!text.contains("kind: ksops"), "{text}");
}

#[test]
fn references_follow_the_name_of_a_sealed_secret() {
    let test = repository();
    sealed(&test, "app/sealed.yaml", "db", "namespace");
    let pod = "containers:\n      - name: x\n        envFrom: [{secretRef: {name: db}}]\n        env: [{name: A, valueFrom: {secretKeyRef: {name: db, key: a}}}]\n      imagePullSecrets: [{name: db}]\n      volumes: [{name: v, secret: {secretName: db}}, {name: p, projected: {sources: [{secret: {name: db}}]}}]\n";
    test.write(
        "app/deployment.yaml",
        format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  template:\n    spec:\n      {pod}"),
    );
    let configuration = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/kustomize/sealed-secrets.yaml");
    test.write("app/sealed-secrets.yaml", std::fs::read(configuration).unwrap());
    let kustomization = "resources: [sealed.yaml, deployment.yaml]\nnamespace: shop\nnamePrefix: prod-\n";
    test.write("app/kustomization.yaml", kustomization);
    let without = kustomize(&test, &["app"]).run().ok();
    assert_eq!(without.text().matches("ame: db\n").count(), 5, "kustomize knows nothing of it\n{without}");
    test.write("app/kustomization.yaml", format!("{kustomization}configurations: [sealed-secrets.yaml]\n"));
    let with = kustomize(&test, &["app"]).run().ok();
    assert_eq!(with.text().matches("ame: prod-db\n").count(), 6, "{with}");
    assert!(!with.text().contains("ame: db\n"), "{with}");
    // What was sealed for a name still opens under the new one: that takes this scope.
    let only: String = with.text().split("\n---\n").filter(|text| text.contains("SealedSecret")).collect();
    test.write("built.yaml", only);
    let opened = test.sealant(&["unseal", "built.yaml"]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
    assert!(opened.text().contains("planted-hunter2-db"));
}

/// Where kustomize lets the name of a Secret be followed, by its own table (api 0.21, `namereference.go`): below a pod,
/// and elsewhere. `*` is in a list.
const BELOW_A_POD: [&str; 7] = [
    "volumes.*.secret.secretName",
    "volumes.*.projected.sources.*.secret.name",
    "containers.*.env.*.valueFrom.secretKeyRef.name",
    "containers.*.envFrom.*.secretRef.name",
    "initContainers.*.env.*.valueFrom.secretKeyRef.name",
    "initContainers.*.envFrom.*.secretRef.name",
    "imagePullSecrets.*.name",
];
const PODS: [(&str, &str, &str); 9] = [
    ("v1", "Pod", "spec"),
    ("v1", "PodTemplate", "template.spec"),
    ("apps/v1", "Deployment", "spec.template.spec"),
    ("apps/v1", "StatefulSet", "spec.template.spec"),
    ("apps/v1", "DaemonSet", "spec.template.spec"),
    ("apps/v1", "ReplicaSet", "spec.template.spec"),
    ("batch/v1", "Job", "spec.template.spec"),
    ("batch/v1", "CronJob", "spec.jobTemplate.spec.template.spec"),
    ("serving.knative.dev/v1", "Service", "spec.template.spec"),
];
const ELSEWHERE: [(&str, &str, &str); 12] = [
    ("v1", "ServiceAccount", "imagePullSecrets.*.name"),
    ("networking.k8s.io/v1", "Ingress", "spec.tls.*.secretName"),
    ("networking.k8s.io/v1", "Ingress", "metadata.annotations.ingress|kubernetes|io/auth-secret"),
    ("networking.k8s.io/v1", "Ingress", "metadata.annotations.nginx|ingress|kubernetes|io/auth-secret"),
    ("networking.k8s.io/v1", "Ingress", "metadata.annotations.nginx|ingress|kubernetes|io/auth-tls-secret"),
    ("storage.k8s.io/v1", "StorageClass", "parameters.secretName"),
    ("storage.k8s.io/v1", "StorageClass", "parameters.adminSecretName"),
    ("storage.k8s.io/v1", "StorageClass", "parameters.userSecretName"),
    ("storage.k8s.io/v1", "StorageClass", "parameters.secretRef"),
    ("rbac.authorization.k8s.io/v1", "Role", "rules.*.resourceNames.*"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "rules.*.resourceNames.*"),
    ("v1", "PersistentVolume", "spec.azureFile.secretName"),
];

/// An object that names `db` at this place.
fn referrer(version: &str, kind: &str, path: &str, name: usize) -> String {
    let mut value = serde_json::json!("db");
    for step in path.rsplit('.') {
        value = match step {
            "*" => serde_json::json!([value]),
            // Objects in a list have a name of their own; kustomize looks for none.
            _ => serde_json::json!({step.replace('|', "."): value}),
        };
    }
    value["apiVersion"] = version.into();
    value["kind"] = kind.into();
    value["metadata"]["name"] = format!("r{name}").into();
    value.to_string()
}

#[test]
fn references_follow_a_sealed_secret_wherever_they_follow_a_secret() {
    let test = repository();
    let below = PODS.iter().flat_map(|(version, kind, pod)| {
        BELOW_A_POD.iter().map(move |path| (*version, *kind, format!("{pod}.{path}")))
    });
    let elsewhere = ELSEWHERE.iter().map(|(version, kind, path)| (*version, *kind, (*path).to_owned()));
    let all: Vec<_> = below.chain(elsewhere).collect();
    let referrers: Vec<String> = all
        .iter()
        .enumerate()
        .map(|(index, (version, kind, path))| referrer(version, kind, path, index))
        .collect();
    let configuration = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/kustomize/sealed-secrets.yaml");
    let built = |folder: &str, extra: &str| {
        test.write(format!("{folder}/referrers.yaml"), referrers.join("\n---\n"));
        let kustomization =
            format!("resources: [db.yaml, referrers.yaml]\nnamespace: shop\nnamePrefix: prod-\n{extra}");
        test.write(format!("{folder}/kustomization.yaml"), kustomization);
        let built = kustomize(&test, &[folder]).run().ok();
        let mut names = std::collections::BTreeMap::new();
        for object in built.text().split("\n---\n").filter(|object| object.contains("name: prod-r")) {
            let name = object.split("name: prod-r").nth(1).unwrap().lines().next().unwrap().to_owned();
            names.insert(name.parse::<usize>().unwrap(), object.contains("prod-db"));
        }
        assert_eq!(names.len(), all.len(), "{built}");
        names
    };
    test.write("plain/db.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {a: x}\n");
    let with_secret = built("plain", "");
    sealed(&test, "ours/db.yaml", "db", "cluster");
    test.write("ours/sealed-secrets.yaml", std::fs::read(configuration).unwrap());
    let with_ours = built("ours", "configurations: [sealed-secrets.yaml]\n");
    let missing: Vec<_> = with_secret
        .iter()
        .filter(|(index, follows)| **follows && !with_ours[*index])
        .map(|(index, _)| &all[*index])
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(with_secret.values().filter(|follows| **follows).count() > 60, "{with_secret:?}");
}
