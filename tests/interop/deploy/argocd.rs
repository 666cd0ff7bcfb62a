//! `sealant argocd` by hand: the real kustomize and helm make what it is to check.

use sealant_test_support::{Run, Sandbox};

use super::*;

/// In the application's folder, as Argo CD starts it.
fn argocd(test: &Sandbox, command: &str, app: &str) -> Run {
    on_path(test.sealant(&["argocd", command])).cwd(app).env("ARGOCD_APP_SOURCE_PATH", app)
}

fn generate(test: &Sandbox, app: &str) -> Run {
    argocd(test, "generate", app)
}

fn decrypt(test: &Sandbox, app: &str) -> Run {
    generate(test, app).args(&["--decrypt"]).env("SOPS_AGE_KEY", IDENTITY)
}

fn parameters(run: Run, parameters: &str) -> Run {
    run.env("ARGOCD_APP_PARAMETERS", parameters)
}

fn value_files(files: &[&str]) -> String {
    format!("[{{\"name\":\"value-files\",\"array\":{files:?}}}]")
}

/// A chart that shows all that it is told.
fn chart(test: &Sandbox) {
    test.write("chart/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n");
    test.write("chart/values.yaml", "a: from-chart\nb: from-chart\n");
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n  namespace: {{ .Release.Namespace }}\n\
                    data:\n  a: {{ .Values.a | quote }}\n  b: {{ .Values.b | quote }}\n  kube: {{ .Capabilities.KubeVersion }}\n  \
                    has: {{ .Capabilities.APIVersions.Has \"example.com/v7\" | quote }}\n  files: {{ .Files.Get \"extra.txt\" | quote }}\n";
    test.write("chart/templates/map.yaml", manifest);
}

#[test]
fn a_plain_folder_comes_out_byte_for_byte() {
    let test = repository();
    let sealed = sealed(&test, "app/sealed.yaml", "db", "strict");
    let stream = format!("# two\n---\n{}---\n{}", config_map("one"), config_map("two"));
    test.write("app/maps.yaml", &stream);
    test.write("app/no-newline.yml", config_map("three").trim_end());
    test.write("app/object.json", "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"ConfigMap\",\n\t\"metadata\": {\"name\": \"four\\/4\"}\n}\n");
    test.write("app/values.yaml", "replicas: 1\n");
    test.write("app/.hidden.yaml", "kind: Nonsense\n");
    test.write("app/README.md", "# no manifest\n");
    test.write("app/below/five.yaml", config_map("five"));
    let output = generate(&test, "app").run().ok();
    assert!(output.text().contains(&sealed) && output.text().starts_with(&stream), "{output}");
    assert!(
        output.text().contains("  a: b\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n    name: four/4\n"),
        "{output}"
    );
    assert!(!output.text().contains("five") && !output.text().contains("replicas"), "{output}");
    assert_eq!(output.stderr, "note: values.yaml: not a manifest, skipped\n");
    let recurse = r#"[{"name":"recurse","string":"true"}]"#;
    let output = parameters(generate(&test, "app"), recurse).run().ok();
    assert!(output.text().contains(&config_map("five")), "{output}");
    // By hand, from elsewhere.
    let by_hand = on_path(test.sealant(&["argocd", "generate", "app"])).run().ok();
    assert!(by_hand.text().contains(&sealed));
}

#[test]
fn what_is_encrypted_is_refused_with_the_way_out() {
    let test = repository();
    sealed(&test, "app/sealed.yaml", "db", "strict");
    sops_secret(&test, "app/db.enc.yaml", "db");
    let said = "Seal it, and commit the result in its place: `sealant decrypt db.enc.yaml | sealant seal --output sealed.yaml`";
    refused(generate(&test, "app").run(), said);
    refused(generate(&test, "app").env("SOPS_AGE_KEY", IDENTITY).run(), "Secret db is encrypted with sops");
    // The advice leads out.
    test.write("app/.sops.yaml", format!("creation_rules: [{{age: {RECIPIENT}}}]\n"));
    let plain = test.sealant(&["decrypt", "db.enc.yaml"]).cwd("app").env("SOPS_AGE_KEY", IDENTITY).run().ok();
    let seal =
        test.sealant(&["seal", "-n", "shop", "--output", "sealed.yaml"]).cwd("app").stdin(plain.stdout);
    seal.run().ok();
    std::fs::remove_file(test.path("app/db.enc.yaml")).unwrap();
    let output = generate(&test, "app").run().ok();
    assert!(!output.text().contains("ENC[") && !output.text().contains(PLANTED));

    // Wherever a ciphertext is left.
    let token = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]";
    test.write("app/map.yaml", config_map("x").replace("a: b", &format!("a: \"user=x;{token}\"")));
    refused(generate(&test, "app").run(), "ConfigMap x has a sops ciphertext instead of a value, at data.a");
    // base64 of {"auths":{"x":{"auth":"dTpFTkNbQUVTMjU2X0dDTSxkYXRhOkFBPT1d"}}}, and that of a ciphertext.
    test.write("app/map.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: z}\ntype: kubernetes.io/dockerconfigjson\ndata:\n  .dockerconfigjson: eyJhdXRocyI6eyJ4Ijp7ImF1dGgiOiJkVHBGVGtOYlFVVlRNalUyWDBkRFRTeGtZWFJoT2tGQlBUMWQifX19\n");
    refused(generate(&test, "app").run(), "Secret z has a sops ciphertext instead of a value");
    test.write("app/map.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: y}\ndata:\n  p: RU5DW0FFUzI1Nl9HQ00sZGF0YTpBQT09XQ==\n");
    refused(generate(&test, "app").run(), "Secret y has a sops ciphertext instead of a value, at data.p");
    // Any kind with metadata of sops.
    test.write("app/map.yaml", format!("{}sops: {{mac: x}}\n", config_map("z")));
    refused(generate(&test, "app").run(), "ConfigMap z is encrypted with sops");
    // A list of objects that do not say what they are is no file of values.
    test.write("app/map.yaml", "apiVersion: v1\nkind: SecretList\nitems:\n- metadata: {name: x}\n");
    refused(generate(&test, "app").run(), "it has no `apiVersion`");
    test.write("app/map.yaml", "kind: ConfigMap\nmetadata: {name: x}\n");
    refused(generate(&test, "app").run(), "it has no `apiVersion`");
    test.write("app/map.yaml", "a: [\n");
    refused(generate(&test, "app").run(), "map.yaml:");
}

#[test]
fn no_objects_are_an_error_unless_the_plugin_allows_it() {
    let test = repository();
    for (file, text) in
        [("a/x.txt", ""), ("b/x.yaml", "---\n# nothing\n"), ("c/kustomization.yaml", "resources: []\n")]
    {
        test.write(file, text);
        let app = file.split('/').next().unwrap();
        refused(
            parameters(generate(&test, app), r#"[{"name":"source","string":"directory"}]"#).run(),
            "no Kubernetes objects",
        );
        let allowed = generate(&test, app).args(&["--allow-empty"]);
        let output = parameters(allowed, r#"[{"name":"source","string":"directory"}]"#).run().ok();
        assert_eq!(output.text(), "");
    }
    let list = "apiVersion: v1\nkind: List\nitems: []\n";
    refused(test.sealant(&["argocd", "generate", "-"]).stdin(list).run(), "no Kubernetes objects");
}

#[test]
fn a_kustomization_is_built() {
    let test = repository();
    let sealed = sealed(&test, "base/sealed.yaml", "db", "strict");
    test.write("base/kustomization.yaml", "resources: [sealed.yaml]\n");
    test.write("base/map.yaml", config_map("m"));
    test.write("app/Kustomization", "resources: [../base, map.yaml]\nlabels: [{pairs: {env: prod}}]\n");
    test.write("app/map.yaml", config_map("m"));
    let output = generate(&test, "app").run().ok();
    let item = sealed.lines().find(|line| line.contains("password: ")).unwrap().trim();
    assert!(output.text().contains(item) && output.text().contains("env: prod"), "{output}");
    let built = on_path(test.program("kustomize", &["build", "app"])).run().ok();
    assert_eq!(output.text(), built.text());
    // The same by a pipe.
    let piped = test.sealant(&["argocd", "generate", "-"]).stdin(built.stdout).run().ok();
    assert_eq!(piped.text(), output.text());

    sops_secret(&test, "app/db.enc.yaml", "enc");
    test.write("app/Kustomization", "resources: [db.enc.yaml]\n");
    refused(generate(&test, "app").run(), "Secret enc is encrypted with sops");
    test.write("app/Kustomization", "resources: [nowhere.yaml]\n");
    refused(generate(&test, "app").run(), "`kustomize` exited with 1");
    // Flags of the plugin reach it.
    test.write("app/Kustomization", "resources: [../base/map.yaml]\n");
    refused(generate(&test, "app").run(), "`kustomize` exited with 1");
    let flag = "--kustomize-arg=--load-restrictor=LoadRestrictionsNone";
    assert!(generate(&test, "app").args(&[flag]).run().ok().text().contains("name: m"));
}

#[test]
fn a_chart_is_rendered_as_argo_cd_does() {
    let test = repository();
    chart(&test);
    test.write("chart/prod.yaml", "b: from-prod\n");
    test.write("chart/extra.txt", "text");
    test.write("shared/values.yaml", "a: from-shared\n");
    let run = generate(&test, "chart")
        .env("ARGOCD_APP_NAME", "team_shop-prod")
        .env("ARGOCD_APP_NAMESPACE", "shop")
        .env("KUBE_VERSION", "1.31.2")
        .env("KUBE_API_VERSIONS", "v1,example.com/v7");
    let output = parameters(run, &value_files(&["prod.yaml", "../shared/values.yaml"])).run().ok();
    for line in [
        "name: shop-prod",
        "namespace: shop",
        "a: \"from-shared\"",
        "b: \"from-prod\"",
        "kube: v1.31.2",
        "has: \"true\"",
        "files: \"text\"",
    ] {
        assert!(output.text().contains(&format!("  {line}\n")), "{line}\n{output}");
    }
    let named = r#"[{"name":"release-name","string":"other"}]"#;
    assert!(parameters(generate(&test, "chart"), named).run().ok().text().contains("  name: other\n"));
    test.write("chart/templates/broken.yaml", "{{ fail \"because\" }}\n");
    refused(generate(&test, "chart").run(), "because");
}

#[test]
fn values_that_are_encrypted_are_opened_in_memory_alone() {
    let test = repository();
    chart(&test);
    sops_encrypted(&test, "chart/secret.yaml", format!("a: {PLANTED}\n"), &[]);
    let secret = value_files(&["secret.yaml"]);
    refused(
        parameters(generate(&test, "chart"), &secret).run(),
        "secret.yaml: these values are encrypted with sops",
    );
    let before = private_folders();
    let output = parameters(decrypt(&test, "chart"), &secret).run().ok();
    assert!(output.text().contains(&format!("a: \"{PLANTED}\"")), "{output}");
    assert!(output.stderr.contains("warning: --decrypt: Argo CD gets plaintext"), "{output}");
    assert!(test.tmp().read_dir().unwrap().next().is_none(), "nothing is left among the temporary files");
    assert!(private_folders().is_subset(&before));

    // helm quotes values in its errors: these are not shown.
    test.write("chart/templates/broken.yaml", "{{ fail .Values.a }}\n");
    refused(parameters(decrypt(&test, "chart"), &secret).run(), "may quote decrypted values");
    std::fs::remove_file(test.path("chart/templates/broken.yaml")).unwrap();
    // The chart's own values.
    sops_encrypted(&test, "chart/values.yaml", format!("a: {PLANTED}\nb: c\n"), &[]);
    refused(generate(&test, "chart").run(), "values.yaml: these values are encrypted with sops");
    assert!(decrypt(&test, "chart").run().ok().text().contains(PLANTED));
    sops_encrypted(&test, "chart/secret.yaml", "b: of-the-second-file\n", &[]);
    let both = parameters(decrypt(&test, "chart"), &secret).run().ok();
    assert!(both.text().contains(PLANTED) && both.text().contains("of-the-second-file"), "{both}");
    // Of a chart that it depends on, which nothing decrypts.
    test.write("chart/values.yaml", "a: 1\nb: 2\n");
    test.write("chart/charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 1.0.0\n");
    sops_encrypted(&test, "chart/charts/sub/values.yaml", "c: d\n", &[]);
    let said = "charts/sub/values.yaml: these values are encrypted with sops";
    refused(generate(&test, "chart").run(), said);
    refused(decrypt(&test, "chart").run(), said);
    std::fs::remove_dir_all(test.path("chart/charts")).unwrap();
    // A ciphertext that a template takes out of a file.
    test.write("chart/values.yaml", "a: 1\nb: 2\n");
    std::fs::copy(test.path("chart/secret.yaml"), test.path("chart/extra.txt")).unwrap();
    refused(generate(&test, "chart").run(), "has a sops ciphertext instead of a value, at data.files");
}

/// Our folders in memory.
fn private_folders() -> std::collections::BTreeSet<PathBuf> {
    let entries = std::fs::read_dir("/dev/shm").into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains("/sealant-")).collect()
}

#[test]
fn decrypting_is_asked_for_and_verifies_the_mac() {
    let test = repository();
    sops_secret(&test, "app/db.enc.yaml", "db");
    let sealed = sealed(&test, "app/sealed.yaml", "sealed", "strict");
    let output = decrypt(&test, "app").run().ok();
    assert!(output.text().contains("planted-hunter2-db") && output.text().contains(&sealed), "{output}");
    assert!(output.stderr.contains("warning: --decrypt"), "{output}");
    refused(generate(&test, "app").args(&["--decrypt"]).run(), RECIPIENT);
    let text = test.read_text("app/db.enc.yaml");
    test.write("app/db.enc.yaml", text.replace("name: db", "name: other"));
    refused(decrypt(&test, "app").run(), "MAC mismatch");
    // Encrypted twice.
    let token = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]";
    sops_encrypted(
        &test,
        "app/db.enc.yaml",
        secret("db").replace(PLANTED, token),
        &["--encrypted-regex", "^nothing$"],
    );
    let output = decrypt(&test, "app").run().code(203);
    assert!(output.stdout.is_empty() && output.stderr.contains("has a sops ciphertext"), "{output}");
}

#[test]
fn what_kustomize_has_rearranged_is_verified_by_the_file_that_it_comes_from() {
    let test = repository();
    sops_secret(&test, "base/db.enc.yaml", "db");
    sops_secret(&test, "base/mail.enc.yaml", "mail");
    test.write("base/kustomization.yaml", "resources: [db.enc.yaml, mail.enc.yaml]\n");
    let overlay =
        "resources: [../base]\nnamespace: shop\nnamePrefix: prod-\nlabels: [{pairs: {env: prod}}]\n";
    test.write("app/kustomization.yaml", overlay);
    let output = decrypt(&test, "app").run().ok();
    for part in [
        "name: prod-db\n",
        "namespace: shop\n",
        "env: prod\n",
        "planted-hunter2-db",
        "planted-hunter2-mail",
        "  a: |\n",
    ] {
        assert!(output.text().contains(part), "{part:?} is missing\n{output}");
    }
    assert!(!output.text().contains("sops"), "{output}");
    refused(generate(&test, "app").run(), "is encrypted with sops");
    refused(generate(&test, "app").args(&["--decrypt"]).run(), RECIPIENT);

    // Values of elsewhere, put there by a patch: of another path, of another file, and of yesterday.
    let token = |file: &str| {
        let text = test.read_text(file);
        let line = text.lines().find(|line| line.trim_start().starts_with("password:")).unwrap();
        let start = line.find("ENC[").unwrap();
        line[start..=start + line[start..].find(']').unwrap()].to_owned()
    };
    let of_yesterday = token("base/db.enc.yaml");
    let set =
        ["set", "base/db.enc.yaml", "[\"stringData\"][\"password\"]", &format!("\"{PLANTED}-db-of-today\"")];
    test.sops(&set).env("SOPS_AGE_KEY", IDENTITY).run().ok();
    assert!(decrypt(&test, "app").run().ok().text().contains("of-today"));
    for (key, token, said) in [
        ("a", token("base/db.enc.yaml"), "the ciphertext cannot be decrypted"),
        ("password", token("base/mail.enc.yaml"), "the ciphertext cannot be decrypted"),
        ("password", of_yesterday, "a value in it differs from the one in base/db.enc.yaml"),
    ] {
        let patch = format!(
            "patches:\n- target: {{kind: Secret, name: db}}\n  patch: |-\n    - op: replace\n      path: /stringData/{key}\n      value: {token}\n"
        );
        test.write("app/kustomization.yaml", format!("{overlay}{patch}"));
        refused(decrypt(&test, "app").run(), said);
    }
    let text = test.read_text("base/db.enc.yaml");
    // The file itself was tampered with.
    test.write("app/kustomization.yaml", overlay);
    test.write("base/db.enc.yaml", text.replace("name: db", "name: bd"));
    refused(decrypt(&test, "app").run(), "MAC mismatch");
    // The file is not there.
    let built = on_path(test.program("kustomize", &["build", "base"])).run().ok();
    std::fs::remove_dir_all(test.path("base")).unwrap();
    let run = test.sealant(&["argocd", "generate", "--decrypt", "-"]).stdin(built.stdout);
    refused(run.env("SOPS_AGE_KEY", IDENTITY).run(), "MAC mismatch");
}

#[test]
fn a_generator_in_a_base_stays_in_the_repository_too() {
    // Argo CD hands on no `.git`.
    let test = Sandbox::new(sealant());
    sops_secret(&test, "other/s.yaml", "other");
    sops_secret(&test, "repo/base/db.yaml", "base");
    sops_secret(&test, "repo/shared/s.yaml", "shared");
    test.write("repo/app/kustomization.yaml", "resources: [../base]\n");
    test.write("repo/base/kustomization.yaml", "generators: [g.yaml]\n");
    let files = |files: &str| {
        let generator = "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata:\n  name: s\n  annotations:\n    \
                         config.kubernetes.io/function: |\n      exec: {path: sealant, args: [ksops]}\n";
        test.write("repo/base/g.yaml", format!("{generator}files: [{files}]\n"));
    };
    let run = |root: Option<&str>| {
        let flags = ["--pass-env=SOPS_AGE_KEY", "--kustomize-arg=--enable-alpha-plugins"];
        let run =
            on_path(test.sealant(&["argocd", "generate", "--decrypt", "--kustomize-arg=--enable-exec"]));
        let run = run
            .args(&flags)
            .cwd("repo/app")
            .env("ARGOCD_APP_SOURCE_PATH", "app")
            .env("SOPS_AGE_KEY", IDENTITY);
        root.iter().fold(run, |run, root| run.env("SEALANT_REPOSITORY_ROOT", root)).run()
    };
    files("db.yaml, ../shared/s.yaml");
    let output = run(None).ok();
    assert!(output.text().contains("name: base") && output.text().contains("name: shared"), "{output}");
    files("../../other/s.yaml");
    // Whatever somebody says of the root, it gets no wider.
    for root in [None, Some("/")] {
        refused(run(root), "this leads out of the repository");
    }
    // Another plugin starts kustomize: nothing says where the repository ends.
    let by_hand = |name: &str, value: &str| {
        let run = test.sealant(&["ksops", "g.yaml"]).cwd("repo/base").env("SOPS_AGE_KEY", IDENTITY);
        run.env(name, value).run()
    };
    for name in ["ARGOCD_APP_NAME", "ARGOCD_APP_SOURCE_PATH", "SEALANT_REPOSITORY_ROOT"] {
        refused(by_hand(name, "app"), "this leads out of the repository");
    }
    files("db.yaml");
    assert!(by_hand("ARGOCD_APP_NAME", "app").ok().text().contains("name: base"));
}

#[test]
fn an_application_can_say_nothing_that_matters() {
    let test = repository();
    sops_secret(&test, "app/db.enc.yaml", "db");
    let hostile = |run: Run| {
        [
            "PARAM_DECRYPT",
            "ARGOCD_ENV_DECRYPT",
            "ARGOCD_ENV_SEALANT_DECRYPT",
            "ARGOCD_ENV_ARGS",
            "PARAM_ALLOW_EMPTY",
        ]
        .into_iter()
        .fold(run, |run, name| run.env(name, "--decrypt"))
        .env("SOPS_AGE_KEY", IDENTITY)
    };
    refused(hostile(generate(&test, "app")).run(), "Secret db is encrypted with sops");
    for name in ["decrypt", "allow-empty", "kustomize-arg", "helm-arg", "pass-env", "identity"] {
        let list = format!("[{{\"name\":\"{name}\",\"string\":\"true\"}}]");
        refused(parameters(hostile(generate(&test, "app")), &list).run(), "there is no parameter");
    }
    // An empty folder stays an error.
    test.write("empty/x", "");
    refused(hostile(generate(&test, "empty")).run(), "no Kubernetes objects");

    // No programs that a kustomization names.
    test.write("exec/run", "#!/bin/sh\ntouch ran\nexit 1\n");
    test.write(
        "exec/generator.yaml",
        "apiVersion: x/v1\nkind: X\nmetadata:\n  name: x\n  annotations:\n    config.kubernetes.io/function: |\n      exec: {path: ./run}\n",
    );
    test.write("exec/kustomization.yaml", "generators: [generator.yaml]\n");
    refused(hostile(generate(&test, "exec")).run(), "`kustomize` exited with 1");
    assert!(!test.path("exec/ran").exists());

    // Where the plugin allows them, they see of the sidecar's environment what is harmless.
    test.write("exec/run", "#!/bin/sh\nenv >&2\nexit 1\n");
    std::fs::set_permissions(test.path("exec/run"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let flags = ["--kustomize-arg=--enable-alpha-plugins", "--kustomize-arg=--enable-exec"];
    let with_variables = || hostile(generate(&test, "exec")).args(&flags).env("VAULT_TOKEN", PLANTED);
    let output = with_variables().run();
    assert!(output.stderr.contains("HOME=") && !output.stderr.contains(IDENTITY), "{output}");
    refused(output, "`kustomize` exited with 1");
    let passed = with_variables().env("REGION", "eu-1").args(&["--pass-env=REGION"]).run();
    assert!(passed.stderr.contains("REGION=eu-1"), "{passed}");
}

#[test]
fn paths_of_an_application_stay_in_its_repository() {
    let test = repository();
    chart(&test);
    test.write("../outside.yaml", format!("a: {PLANTED}\n"));
    let absolute = test.path("../outside.yaml").canonicalize().unwrap().display().to_string();
    test.write("chart/a,b.yaml", "a: 1\n");
    for (file, said) in [
        ("../../outside.yaml", "leads out of the repository"),
        (absolute.as_str(), "absolute paths are not allowed"),
        ("secrets://secret.yaml", "nothing is downloaded"),
        ("https://example.com/values.yaml", "nothing is downloaded"),
        ("a,b.yaml", "cannot have this name"),
        ("--post-renderer=/bin/sh", "no such file"),
        ("", "is a folder"),
    ] {
        refused(parameters(generate(&test, "chart"), &value_files(&[file])).run(), said);
    }
    for name in ["--post-renderer=/bin/sh", "-x", "A B"] {
        let list = format!("[{{\"name\":\"release-name\",\"string\":\"{name}\"}}]");
        refused(parameters(generate(&test, "chart"), &list).run(), "not a valid Helm release name");
    }
    // helm would follow it.
    link(&test, "chart/extra.txt", test.path("../outside.yaml"));
    refused(generate(&test, "chart").run(), "extra.txt: this link leads out of the repository");
    std::fs::remove_file(test.path("chart/extra.txt")).unwrap();
    // One that stays inside is nobody's harm.
    link(&test, "chart/extra.txt", "values.yaml");
    assert!(generate(&test, "chart").run().ok().text().contains("from-chart"));

    link(&test, "link.yaml", test.path("../outside.yaml"));
    test.write("app/a.yaml", config_map("a"));
    link(&test, "app/b.yaml", test.path("../outside.yaml"));
    refused(generate(&test, "app").run(), "leads out of the repository");
    std::fs::remove_file(test.path("app/b.yaml")).unwrap();
    link(&test, "app/b.yaml", "../shared.yaml");
    test.write("shared.yaml", config_map("shared"));
    assert!(generate(&test, "app").run().ok().text().contains("name: shared"));
    // Not even walked into.
    link(&test, "app/everything", "/");
    let recurse = r#"[{"name":"recurse","string":"true"}]"#;
    refused(
        parameters(generate(&test, "app"), recurse).run(),
        "everything: this link leads out of the repository",
    );
}

#[test]
fn folders_that_are_ours_are_discovered() {
    let test = repository();
    sealed(&test, "sealed/below/db.yaml", "db", "strict");
    sops_encrypted(&test, "sops/values.yaml", "a: b\n", &[]);
    test.write("none/a.yaml", config_map("a"));
    test.write(
        "none/bitnami.yaml",
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: a}\n",
    );
    let discovered = |app: &str| argocd(&test, "discover", app).run().ok().text().to_owned();
    assert_eq!(["sealed", "sops", "none"].map(discovered), ["below/db.yaml\n", "values.yaml\n", ""]);
    chart(&test);
    let names = |app: &str| {
        let output = argocd(&test, "parameters", app).run().ok();
        let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
        list.iter().map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("chart"), ["source", "release-name", "value-files"]);
    assert_eq!(names("none"), ["source", "recurse"]);
}
