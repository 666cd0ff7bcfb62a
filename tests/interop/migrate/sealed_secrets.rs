//! What the real kubeseal has sealed becomes ours, and opens to the same: for us, and for Python with the real age.

use std::path::Path;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sealant_test_support::{Output, Sandbox};
use serde_json::{Value, json};

use super::{commit, objects, opened_by_age, own, sandbox, stranger, unsealed};

/// Keys of two controllers, made once.
static KEYS: LazyLock<Sandbox> = LazyLock::new(|| {
    let sandbox = sandbox();
    for name in ["key", "other"] {
        let line = format!(
            "req -x509 -nodes -newkey rsa:2048 -days 30 -subj /CN=t -keyout {name}.key -out {name}.crt"
        );
        let _ = sandbox.program("openssl", &line.split_whitespace().collect::<Vec<_>>()).run().ok();
    }
    sandbox
});

/// A repository with an identity, a rule for `apps/`, and the keys of a controller beside it.
fn repository() -> Sandbox {
    let test = super::repository();
    for name in ["key", "other"] {
        for kind in ["key", "crt"] {
            test.write(test.tmp().join(format!("{name}.{kind}")), KEYS.read(format!("{name}.{kind}")));
        }
    }
    test
}

fn secret(name: &str, items: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "shop"}, "stringData": items})
}

/// What the real kubeseal makes of a Secret.
fn kubeseal(test: &Sandbox, key: &str, words: &[&str], secret: &Value) -> String {
    let certificate = test.tmp().join(format!("{key}.crt")).display().to_string();
    let run = test.kubeseal(&["--cert", &certificate]).args(words).stdin(secret.to_string());
    run.run().ok().text().to_owned()
}

fn yaml(test: &Sandbox, secret: &Value) -> String {
    kubeseal(test, "key", &["-o", "yaml"], secret)
}

/// Migrates, with the key of the first controller. No value is ever said.
fn migrate(test: &Sandbox, words: &[&str]) -> Output {
    let key = test.tmp().join("key.key").display().to_string();
    let output = test.sealant(&["migrate", "sealed-secrets", "--key", &key]).args(words).run();
    let said = format!("{}{}", output.stderr, String::from_utf8_lossy(&output.stdout));
    assert!(!said.contains("hunter2") && !said.contains("PRIVATE"), "{said}");
    output
}

#[test]
fn a_stream_keeps_all_that_is_not_a_value() {
    let test = repository();
    let mut first = secret("db", json!({"password": "hunter2", "user": "planted"}));
    first["metadata"]["labels"] = json!({"app": "shop"});
    first["metadata"]["annotations"] = json!({"note": "x"});
    first["type"] = json!("kubernetes.io/basic-auth");
    first["immutable"] = json!(true);
    let first = yaml(&test, &first)
        .replace("metadata:\n  name: db\n", "metadata: # which one\n  labels: {own: yes-it-is}\n  name: db\n")
        .replace("spec:\n", "# all of it\nspec:\n")
        .replace("    password: ", "    # for the shop\n    password: ");
    let pod = "# between\nkind: Pod\nmetadata:\n    name:   odd   # stays\n";
    let wide = kubeseal(
        &test,
        "key",
        &["-o", "yaml", "--scope", "cluster-wide"],
        &secret("wide", json!({"a": "hunter2-a"})),
    );
    let middle = kubeseal(
        &test,
        "key",
        &["-o", "yaml", "--scope", "namespace-wide"],
        &secret("middle", json!({"a": "hunter2-b"})),
    )
    .replace("  template:\n", "  template:\n    data:\n      url: 'db://{{ .a }}'\n");
    let text = format!("# at the top\n{first}---\n{pod}{wide}{middle}");
    test.write("apps/all.yaml", &text);

    let dry = migrate(&test, &["--dry-run", "apps"]).ok();
    assert!(dry.text().contains("would write apps/all.yaml"), "{dry}");
    assert_eq!(test.read_text("apps/all.yaml"), text);

    let done = migrate(&test, &["apps"]).ok();
    assert!(done.stderr.contains("apps/all.yaml: 2 values of shop/db, strict"), "{done}");
    let after = test.read_text("apps/all.yaml");
    assert!(!after.contains("hunter2") && !after.contains("bitnami.com"), "{after}");
    for kept in [
        "# at the top\n",
        "metadata: # which one\n",
        "# all of it\nspec:\n",
        "    # for the shop\n    password: ",
    ] {
        assert!(after.contains(kept), "{kept}: {after}");
    }
    assert!(after.contains(&format!("---\n{pod}---\n")), "{after}");
    let objects = objects(&after);
    let scopes: Vec<_> = objects.iter().map(|object| &object["spec"]["scope"]).collect();
    assert_eq!(scopes, [&json!("strict"), &Value::Null, &json!("cluster"), &json!("namespace")]);
    assert_eq!(objects[0]["metadata"]["labels"], json!({"own": "yes-it-is"}));
    assert_eq!(objects[0]["metadata"]["annotations"], Value::Null);

    let secrets = unsealed(&test, "apps/all.yaml");
    assert_eq!(secrets[0]["stringData"], json!({"password": "hunter2", "user": "planted"}));
    assert_eq!(secrets[0]["metadata"]["labels"], json!({"app": "shop"}));
    assert_eq!(secrets[0]["metadata"]["annotations"], json!({"note": "x"}));
    assert_eq!(secrets[0]["type"], "kubernetes.io/basic-auth");
    assert_eq!(secrets[0]["immutable"], true);
    assert_eq!(secrets[1]["stringData"], json!({"a": "hunter2-a"}));
    assert_eq!(secrets[2]["stringData"], json!({"a": "hunter2-b", "url": "db://hunter2-b"}));
    assert_eq!(opened_by_age(&test, &objects[0])["password"], BASE64.encode("hunter2"));
    assert_eq!(opened_by_age(&test, &objects[2])["a"], BASE64.encode("hunter2-a"));

    // A second run finds nothing to do.
    let again = migrate(&test, &["apps"]).ok();
    assert!(again.stderr.contains("0 migrated, 1 migrated already"), "{again}");
    assert_eq!(test.read_text("apps/all.yaml"), after);
}

#[test]
fn json_and_lists_are_migrated_in_their_form() {
    let test = repository();
    let one = secret("one", json!({"a": "hunter2"}));
    test.write("apps/one.json", kubeseal(&test, "key", &[], &one));
    let items: Vec<Value> = ["two", "three"]
        .map(|name| {
            let sealed = kubeseal(&test, "key", &[], &secret(name, json!({"a": name})));
            serde_json::from_str(&sealed).expect("JSON")
        })
        .into();
    test.write("apps/list.json", json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
    let mut list = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
    for name in ["four", "five"] {
        let sealed = yaml(&test, &secret(name, json!({"a": name})));
        list +=
            &format!("# {name}\n- {}\n", sealed.trim_start_matches("---\n").trim_end().replace('\n', "\n  "));
    }
    test.write("apps/list.yaml", &list);
    migrate(&test, &[]).ok();
    let secrets = unsealed(&test, "apps/list.yaml");
    let values: Vec<_> = secrets.iter().map(|secret| secret["stringData"]["a"].as_str()).collect();
    assert_eq!(values, [Some("four"), Some("five")]);
    assert!(test.read_text("apps/list.yaml").contains("# five\n- "));
    assert_eq!(unsealed(&test, "apps/one.json")[0]["stringData"]["a"], "hunter2");
    let list: Value = serde_json::from_slice(&test.read("apps/list.json")).expect("JSON");
    assert_eq!(list["items"][1]["apiVersion"], "sealant.dev/v1alpha1");
    assert_eq!(opened_by_age(&test, &list["items"][1])["a"], BASE64.encode("three"));

    // kubeseal writes several one after the other.
    let several = format!("{}{}", kubeseal(&test, "key", &[], &one), kubeseal(&test, "key", &[], &one));
    test.write("apps/several.json", several);
    let refused = migrate(&test, &["apps/several.json"]).code(2);
    assert!(refused.stderr.contains("several JSON objects one after the other"), "{refused}");
}

/// A backup in the three forms that `kubeseal --recovery-private-key` takes.
#[test]
fn keys_come_in_every_form_that_kubeseal_takes() {
    let test = repository();
    let secret_of = |name: &str| {
        let data = |kind: &str| BASE64.encode(KEYS.read(format!("{name}.{kind}")));
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/tls",
            "data": {"tls.key": data("key"), "tls.crt": data("crt")}})
    };
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [secret_of("other"), secret_of("key")]});
    test.write(test.tmp().join("key.json"), secret_of("key").to_string());
    test.write(test.tmp().join("list.json"), list.to_string());
    let tmp = test.tmp().display().to_string();
    for key in
        [format!("{tmp}/other.key,{tmp}/key.key"), format!("{tmp}/key.json"), format!("{tmp}/list.json")]
    {
        test.write("apps/db.yaml", yaml(&test, &secret("db", json!({"a": "hunter2"}))));
        let refused = test.sealant(&["unseal", "apps/db.yaml"]).run().code(1);
        assert!(
            refused.stderr.contains("sealant migrate sealed-secrets --key KEYS.yaml apps/db.yaml"),
            "{refused}"
        );
        test.sealant(&["migrate", "sealed-secrets", "--key", &key, "apps/db.yaml"]).run().ok();
        assert_eq!(unsealed(&test, "apps/db.yaml")[0]["stringData"]["a"], "hunter2");
    }
    let none = test.sealant(&["migrate", "sealed-secrets", "apps"]).run().code(64);
    assert!(none.stderr.contains("kubectl get secrets -n kube-system -l"), "{none}");
}

#[test]
fn what_cannot_be_migrated_is_named_and_the_others_go_on() {
    let test = repository();
    let good = yaml(&test, &secret("good", json!({"a": "hunter2"})));
    let foreign = kubeseal(&test, "other", &["-o", "yaml"], &secret("foreign", json!({"a": "hunter2"})));
    let nowhere =
        yaml(&test, &secret("nowhere", json!({"a": "hunter2"}))).replacen("  namespace: shop\n", "", 1);
    let nameless = good.replacen("  name: good\n", "", 1);
    let with = |name: &str, from: &str, to: &str| {
        let sealed = yaml(&test, &secret(name, json!({"a": "hunter2"})));
        assert!(sealed.contains(from), "{sealed}");
        sealed.replacen(from, to, 1)
    };
    let null = with("null", "  template:\n", "  template:\n    data: {a: null, b: 'x{{ .a }}'}\n");
    let hidden = "{{ range $k, $v := . }}{{ $v }}{{ end }}";
    let hidden =
        with("hidden", "  template:\n", &format!("  template:\n    data: {{a: null, b: '{hidden}'}}\n"));
    let random = with("random", "  template:\n", "  template:\n    data: {b: '{{ randAlpha 5 }}'}\n");
    let patch = with(
        "patch",
        "  template:\n    metadata:\n",
        "  template:\n    metadata:\n      annotations: {sealedsecrets.bitnami.com/patch: \"true\"}\n",
    );
    let renamed = with("renamed", "metadata:\n  name: renamed\n", "metadata:\n  name: moved\n");
    let blob = with("blob", "spec:\n", "spec:\n  data: AgB4\n");
    let bad = [&foreign, &nowhere, &nameless, &null, &hidden, &random, &patch, &renamed, &blob]
        .map(String::as_str)
        .concat();
    test.write("apps/all.yaml", format!("{bad}{good}"));
    test.write("apps/only.yaml", &foreign);
    let elsewhere = yaml(&test, &secret("elsewhere", json!({"a": "hunter2"})));
    test.write("elsewhere/db.yaml", &elsewhere);
    let done = migrate(&test, &["."]).code(1);
    for why in [
        "apps/all.yaml:2: SealedSecret shop/foreign: no key could decrypt secret (a)",
        "SealedSecret nowhere: it has no namespace, and its values are bound to one",
        "SealedSecret without a name: it has no name",
        "SealedSecret shop/null: template.data.a is null",
        "SealedSecret shop/hidden: template.data.a is null",
        "SealedSecret shop/random: template.data: ",
        "the function `randAlpha` is refused",
        "SealedSecret shop/patch: its template has the annotation sealedsecrets.bitnami.com/patch",
        "SealedSecret shop/moved: no key could decrypt secret (a)",
        "SealedSecret shop/blob: it has the old field `data` beside `encryptedData`",
        "apps/only.yaml:2: SealedSecret shop/foreign: no key could decrypt secret (a)",
        "elsewhere/db.yaml: no recipients are named",
    ] {
        assert!(done.stderr.contains(why), "{why}: {done}");
    }
    let after = test.read_text("apps/all.yaml");
    assert!(after.starts_with(&bad), "{after}");
    assert_eq!(test.read_text("apps/only.yaml"), foreign);
    assert_eq!(test.read_text("elsewhere/db.yaml"), elsewhere);
    assert_eq!(unsealed(&test, "apps/all.yaml")[0]["stringData"]["a"], "hunter2");

    // The command that a message advises.
    assert!(done.stderr.contains("--namespace NAME apps/all.yaml"), "{done}");
    test.write("apps/nowhere.yaml", &nowhere);
    migrate(&test, &["--namespace", "shop", "apps/nowhere.yaml"]).ok();
    let secret = &unsealed(&test, "apps/nowhere.yaml")[0];
    assert_eq!(
        (&secret["metadata"]["namespace"], &secret["stringData"]["a"]),
        (&json!("shop"), &json!("hunter2"))
    );
}

/// Ours needs no value that the Secret does not get.
#[test]
fn an_item_that_is_null_and_read_by_no_template_is_left_out() {
    let test = repository();
    let sealed = yaml(&test, &secret("db", json!({"a": "hunter2", "b": "kept"})));
    let data = "  template:\n    data: {a: null, url: 'db://{{ .b }}'}\n";
    test.write("apps/db.yaml", sealed.replacen("  template:\n", data, 1));
    let done = migrate(&test, &["apps/db.yaml"]).ok();
    assert!(done.stderr.contains("db: the item a, which is null in template.data, is left out"), "{done}");
    assert_eq!(unsealed(&test, "apps/db.yaml")[0]["stringData"], json!({"b": "kept", "url": "db://kept"}));
    assert_eq!(
        opened_by_age(&test, &objects(&test.read_text("apps/db.yaml"))[0]),
        json!({"b": BASE64.encode("kept")})
    );
}

/// The first versions sealed a Secret as a whole. A copy of such a value counts as one of any other.
#[test]
fn a_secret_of_the_first_versions_opens_with_its_key_alone() {
    let test = repository();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bitnami");
    let object = std::fs::read_to_string(fixtures.join("manifests/v1-data-blob.yaml")).expect("a file");
    let keys = fixtures.join("keys/rsa4096-a.key.pem").display().to_string();
    let own_only = test.read_text(".sops.yaml");
    test.write(
        ".sops.yaml",
        format!("{own_only}  - path_regex: ^dev/\n    age: '{},{}'\n", own(&test), stranger(&test)),
    );
    test.write("apps/old.yaml", &object);
    test.write("dev/copy.yaml", object.replace("name: mysecret", "name: other"));
    commit(&test);
    let run = |test: &Sandbox, file: &str| {
        let all = ["rsa4096-a", "rsa4096-b", "rsa2048-c"];
        let all =
            all.map(|name| fixtures.join(format!("keys/{name}.key.pem")).display().to_string()).join(",");
        test.sealant(&["migrate", "sealed-secrets", "--key", &all, file]).run()
    };
    let refused = run(&test, "dev/copy.yaml").code(8);
    assert!(refused.stderr.contains("shares a value with apps/old.yaml"), "{refused}");
    let test = repository();
    test.write("apps/old.yaml", &object);
    test.write("apps/moved.yaml", object.replace("name: mysecret", "name: other"));
    let moved = run(&test, "apps/moved.yaml").code(25);
    assert!(moved.stderr.contains("no key could decrypt secret (data)"), "{moved}");
    let wrong = test.sealant(&["migrate", "sealed-secrets", "--key", &keys, "apps/moved.yaml"]).run();
    assert!(wrong.status != 0, "{wrong}");
    run(&test, "apps/old.yaml").ok();
    assert_eq!(unsealed(&test, "apps/old.yaml")[0]["stringData"], json!({"foo": "bar"}));
}

/// A Secret that stays when its SealedSecret goes does so with ours; annotations of theirs that say nothing to ours go, and so does
/// what a cluster or kubectl has put there.
#[test]
fn what_belongs_to_their_controller_does_not_come_along() {
    let test = repository();
    let sealed = yaml(&test, &secret("db", json!({"a": "hunter2"})));
    let last = "kubectl.kubernetes.io/last-applied-configuration: '{\"a\": \"hunter2\"}'";
    let sealed = sealed
        .replacen(
            "metadata:\n  name: db\n",
            &format!("metadata:\n  uid: 5-5\n  creationTimestamp: null\n  finalizers: [x/y]\n  annotations:\n    {last}\n    \
                argocd.argoproj.io/sync-wave: '2'\n  name: db\n"),
            1,
        )
        .replacen(
            "  template:\n    metadata:\n",
            &format!("  template:\n    stringData: {{b: planted}}\n    metadata:\n      annotations:\n        {last}\n        \
                sealedsecrets.bitnami.com/managed: \"true\"\n        \
                sealedsecrets.bitnami.com/skip-set-owner-references: \"true\"\n        kept: x\n"),
            1,
        );
    test.write("apps/db.yaml", sealed + "status: {conditions: []}\n");
    let done = migrate(&test, &["apps/db.yaml"]).ok();
    for left in ["db: metadata.finalizers is left out", "db: spec.template.stringData is left out"] {
        assert!(done.stderr.contains(left), "{done}");
    }
    let object = &objects(&test.read_text("apps/db.yaml"))[0];
    assert_eq!(
        object["metadata"],
        json!({"annotations": {"argocd.argoproj.io/sync-wave": "2"}, "name": "db", "namespace": "shop"})
    );
    assert_eq!(object["spec"]["template"], json!({"metadata": {"annotations": {"kept": "x"}}}));
    assert_eq!(object["spec"]["deletionPolicy"], "Retain");
    assert_eq!(object.get("status"), None);
    assert!(!test.read_text("apps/db.yaml").contains("hunter2"));
}

/// Whoever puts a copy of a file where they read what is sealed would get its values.
#[test]
fn a_copy_for_other_readers_is_not_migrated() {
    let test = repository();
    let (own, stranger) = (own(&test), stranger(&test));
    let rules = format!(
        "creation_rules:\n  - {{path_regex: ^apps/, age: {own}}}\n  - {{path_regex: ^dev/, age: '{own},{stranger}'}}\n"
    );
    test.write(".sops.yaml", rules);
    let sealed = yaml(&test, &secret("db", json!({"a": "hunter2"})));
    let item =
        sealed.lines().find(|line| line.starts_with("    a: ")).expect("an item").trim()[3..].to_owned();
    // The ciphertext in another spelling, beside one of their own.
    let other = yaml(&test, &secret("db", json!({"own": "theirs"})));
    let copy = other.replacen(
        "  encryptedData:\n",
        &format!("  encryptedData:\n    b: \"{}\\n{}\"\n", &item[..40], &item[40..]),
        1,
    );
    test.write("apps/db.yaml", &sealed);
    commit(&test);
    test.write("dev/copy.yaml", &copy);
    let refused = migrate(&test, &["."]).code(8);
    assert!(
        refused.stderr.contains("shares a value with apps/db.yaml, whose creation rule does not name:"),
        "{refused}"
    );
    assert!(refused.stderr.contains(&stranger), "{refused}");
    assert_eq!(test.read_text("dev/copy.yaml"), copy);
    assert_eq!(test.read_text("apps/db.yaml"), sealed);

    // Once the original is migrated it is in the history alone.
    std::fs::remove_file(test.path("dev/copy.yaml")).expect("a file");
    migrate(&test, &["apps/db.yaml"]).ok();
    commit(&test);
    test.write("dev/copy.yaml", &copy);
    let refused = migrate(&test, &["dev/copy.yaml"]).code(8);
    assert!(refused.stderr.contains("shares a value with apps/db.yaml of commit"), "{refused}");
    assert_eq!(test.read_text("dev/copy.yaml"), copy);

    // Who says that it may be so gets it.
    let cluster_wide = kubeseal(
        &test,
        "key",
        &["-o", "yaml", "--scope", "cluster-wide"],
        &secret("wide", json!({"a": "hunter2"})),
    );
    test.write("apps/wide.yaml", &cluster_wide);
    test.write("dev/wide.yaml", &cluster_wide);
    let refused = migrate(&test, &["dev/wide.yaml"]).code(8);
    assert!(refused.stderr.contains("--allow-copied dev/wide.yaml"), "{refused}");
    migrate(&test, &["--allow-copied", "dev/wide.yaml"]).ok();
    assert_eq!(unsealed(&test, "dev/wide.yaml")[0]["stringData"]["a"], "hunter2");
}

/// The rule has the last word on what place a file is for, and a link is not written through.
/// An original may be in a file that is no YAML, such as a template of Helm, or one of values.
#[test]
fn a_copy_of_what_is_in_a_template_is_not_migrated() {
    for in_history in [false, true] {
        let test = repository();
        let (own, stranger) = (own(&test), stranger(&test));
        test.write(".sops.yaml", format!(
            "creation_rules:\n  - {{path_regex: ^chart/, age: {own}}}\n  - {{path_regex: ^dev/, age: '{own},{stranger}'}}\n"
        ));
        let sealed = |name: &str| yaml(&test, &secret(name, json!({"a": "hunter2"})));
        let item = |text: &str| {
            let line = text.lines().find(|line| line.starts_with("    a: ")).expect("an item");
            line.trim()[3..].to_owned()
        };
        let [template, values, stream, lines] = ["template", "values", "stream", "lines"].map(sealed);
        test.write(
            "chart/templates/a.yaml",
            format!("{{{{- if .Values.sealed }}}}\n{template}{{{{- end }}}}\n")
                .replace("name: template", "name: {{ .Values.name }}"),
        );
        test.write("chart/values.yaml", format!("sealed:\n  a: '{}'\n", item(&values)));
        let one = serde_yaml::from_str::<Value>(&stream).expect("YAML");
        test.write(
            "chart/all.json",
            format!("{{\"kind\": \"List\", \"items\": []}}\n{one}\n").replace('/', "\\/"),
        );
        let long = item(&lines);
        let folded = long.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).expect("base64"));
        let folded = folded.collect::<Vec<_>>().join("\n      ");
        test.write(
            "chart/b.tpl",
            format!("{{{{ define \"x\" }}}}\n    a: >-\n      {folded}\n{{{{ end }}}}\n"),
        );
        commit(&test);
        let copies = [
            ("dev/template.yaml", &template, "chart/templates/a.yaml"),
            ("dev/values.yaml", &values, "chart/values.yaml"),
            ("dev/stream.yaml", &stream, "chart/all.json"),
            ("dev/lines.yaml", &lines, "chart/b.tpl"),
        ];
        if in_history {
            std::fs::remove_dir_all(test.path("chart")).expect("a folder");
            commit(&test);
        }
        for (copy, text, original) in copies {
            test.write(copy, text);
            let refused = migrate(&test, &[copy]).code(8);
            assert!(refused.stderr.contains(original) && refused.stderr.contains(&stranger), "{refused}");
            assert_eq!(&test.read_text(copy), text);
        }
    }
}

#[test]
fn a_file_that_claims_another_place_or_leads_elsewhere_is_left_alone() {
    let test = repository();
    let rule = format!(
        "creation_rules:\n  - path_regex: ^apps/\n    age: {}\n    sealant: {{namespace: dev}}\n",
        own(&test)
    );
    test.write(".sops.yaml", rule);
    let sealed = yaml(&test, &secret("db", json!({"a": "hunter2"})));
    test.write("apps/db.yaml", &sealed);
    let refused = migrate(&test, &["apps/db.yaml"]).code(8);
    assert!(refused.stderr.contains(".sops.yaml:2"), "{refused}");
    assert_eq!(test.read_text("apps/db.yaml"), sealed);

    let outside = test.tmp().join("outside.yaml");
    test.write(&outside, sealed.replace("namespace: shop", "namespace: dev"));
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {}\n", own(&test)));
    test.write(&outside, &sealed);
    std::os::unix::fs::symlink(&outside, test.path("apps/link.yaml")).expect("a link");
    let refused = migrate(&test, &["apps/link.yaml"]);
    assert!(refused.status != 0 && refused.stderr.contains("apps/link.yaml"), "{refused}");
    assert_eq!(std::fs::read_to_string(&outside).expect("a file"), sealed);
}

/// The vectors that others agree on: what opens there makes the same Secret here.
#[test]
fn the_vectors_make_what_their_controller_makes() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bitnami");
    let cases: Vec<Value> =
        serde_json::from_slice(&std::fs::read(fixtures.join("unseal-cases.json")).expect("a file"))
            .expect("JSON");
    let test = repository();
    let mut migrated = 0;
    for case in cases {
        let newest = case["variants"].as_array().and_then(|all| all.last()).unwrap_or(&case);
        let file = fixtures.join(case["file"].as_str().expect("a file"));
        test.write("apps/case.yaml", std::fs::read(&file).expect("a file"));
        let before = test.read_text("apps/case.yaml");
        let keys = case["keys"].as_array().expect("keys").iter().map(|key| {
            fixtures.join(format!("keys/{}.key.pem", key.as_str().expect("a name"))).display().to_string()
        });
        let keys = keys.collect::<Vec<_>>().join(",");
        let done = test.sealant(&["migrate", "sealed-secrets", "--key", &keys, "apps/case.yaml"]).run();
        let expected = &newest["expect_secret"];
        if done.status != 0 {
            // What ours has no equal for.
            let is_other = case["id"] == "template-data-null-omits";
            assert!(is_other || newest["expect_error"].is_object(), "{}: {done}", case["id"]);
            assert_eq!(test.read_text("apps/case.yaml"), before, "{}", case["id"]);
            continue;
        }
        migrated += 1;
        let secret = &unsealed(&test, "apps/case.yaml")[0];
        let mut data = serde_json::Map::new();
        for (key, value) in secret["data"].as_object().into_iter().flatten() {
            data.insert(key.clone(), value.clone());
        }
        for (key, value) in secret["stringData"].as_object().into_iter().flatten() {
            data.insert(key.clone(), BASE64.encode(value.as_str().expect("a text")).into());
        }
        let expected_data = expected["data"].as_object().cloned().unwrap_or_default();
        assert_eq!(data, expected_data, "{}", case["id"]);
        assert_eq!(
            secret["type"].as_str().unwrap_or_default(),
            expected["type"].as_str().unwrap_or_default()
        );
    }
    assert!(migrated > 12, "{migrated}");
}
