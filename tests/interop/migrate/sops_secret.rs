//! SopsSecrets that the real sops encrypted, as the operator's pages say, become SealedSecrets that Python with the real age opens.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sealant_test_support::{Output, Sandbox};
use serde_json::{Value, json};

use super::{commit, objects, opened_by_age, own, repository, stranger, unsealed};

const OBJECT: &str = "# of the shop
apiVersion: isindir.github.com/v1alpha3
kind: SopsSecret
metadata:
  name: all
  namespace: shop
spec:
  suspend: true
  secretTemplates:
    - name: db
      labels: {app: shop}
      annotations: {note: hunter2-note}
      stringData:
        password: hunter2-text
        both: hunter2-lost
      data:
        both: aHVudGVyMi13b24=
        blob: /wA=
    - name: registry
      type: kubernetes.io/dockerconfigjson
      stringData:
        .dockerconfigjson: '{\"auths\": {}}'
";

/// Writes one that the real sops has encrypted.
fn encrypted(test: &Sandbox, path: &str, text: &str) -> String {
    test.write(path, text);
    test.sops(&["encrypt", "-i", "--encrypted-suffix", "Templates", "--age", &own(test), path]).run().ok();
    test.read_text(path)
}

/// No value is ever said.
fn migrate(test: &Sandbox, words: &[&str]) -> Output {
    let output = test.sealant(&["migrate", "sops-secret"]).args(words).run();
    let said = format!("{}{}", output.stderr, String::from_utf8_lossy(&output.stdout));
    assert!(!said.contains("hunter2"), "{said}");
    output
}

#[test]
fn each_secret_of_a_list_becomes_a_sealed_secret() {
    let test = repository();
    let before = encrypted(&test, "apps/all.yaml", OBJECT);
    assert!(before.contains("name: ENC[") && before.contains("namespace: shop"), "{before}");
    let json = json!({"apiVersion": "isindir.github.com/v1alpha3", "kind": "SopsSecret",
        "metadata": {"name": "one", "namespace": "shop"},
        "spec": {"secretTemplates": [{"name": "one", "stringData": {"a": "hunter2-one"}}, {"name": "two", "data": {}}]}});
    encrypted(&test, "apps/one.json", &json.to_string());
    test.write("apps/pod.yaml", "# isindir.github.com\nkind: Pod\n");

    let dry = migrate(&test, &["--dry-run", "."]).ok();
    assert!(dry.text().contains("would write ./apps/all.yaml"), "{dry}");
    assert_eq!(test.read_text("apps/all.yaml"), before);

    let done = migrate(&test, &["."]).ok();
    for said in [
        "apps/all.yaml: 3 values of shop/db, strict",
        "apps/all.yaml: 1 value of shop/registry, strict",
        "db: spec.suspend of the SopsSecret is left out",
        "db: what comments of the SopsSecret say is left out",
        "2 migrated",
        "--cascade=orphan",
    ] {
        assert!(done.stderr.contains(said), "{said}: {done}");
    }
    let all = objects(&test.read_text("apps/all.yaml"));
    assert_eq!(all.len(), 2);
    let value = |text: &str| json!(BASE64.encode(text));
    assert_eq!(
        opened_by_age(&test, &all[0]),
        json!({"password": value("hunter2-text"), "both": value("hunter2-won"), "blob": "/wA="})
    );
    assert_eq!(opened_by_age(&test, &all[1]), json!({".dockerconfigjson": value("{\"auths\": {}}")}));
    let made = &unsealed(&test, "apps/all.yaml");
    assert_eq!(made[0]["metadata"]["labels"], json!({"app": "shop"}));
    assert_eq!(made[0]["metadata"]["annotations"], json!({"note": "hunter2-note"}));
    assert_eq!(made[1]["type"], "kubernetes.io/dockerconfigjson");
    let list: Value = serde_json::from_slice(&test.read("apps/one.json")).expect("JSON");
    assert_eq!((&list["kind"], list["items"].as_array().map(Vec::len)), (&json!("List"), Some(2)));
    assert_eq!(opened_by_age(&test, &list["items"][0]), json!({"a": value("hunter2-one")}));
    test.sealant(&["check", "apps/all.yaml"]).run().ok();

    let again = migrate(&test, &["apps"]).ok();
    assert!(again.stderr.contains("0 migrated, 2 migrated already"), "{again}");
}

#[test]
fn what_cannot_be_migrated_stays_as_it_is() {
    let test = repository();
    let with = |from: &str, to: &str| {
        assert!(OBJECT.contains(from), "{from}");
        OBJECT.replacen(from, to, 1)
    };
    let pod = format!("{OBJECT}---\nkind: Pod\napiVersion: v1\n");
    for (name, text, why) in [
        ("nowhere", with("  namespace: shop\n", ""), "Secret db: its SopsSecret has no namespace"),
        ("nameless", with("- name: db\n      labels", "- labels"), "an entry of secretTemplates has no name"),
        ("old", with("v1alpha3", "v1alpha2"), "only v1alpha3 of SopsSecrets is migrated"),
        ("pod", pod, "a SopsSecret is in one file with other objects"),
        ("base64", with("/wA=", "'*'"), "data.blob is not base64"),
        ("number", with("hunter2-text", "12345678"), "stringData.password is not a string"),
        ("field", with("      type:", "      kind: x\n      type:"), "an entry has no field `kind`"),
        ("empty", with("secretTemplates:", "otherTemplates:"), "it has no list spec.secretTemplates"),
    ] {
        let file = format!("apps/{name}.yaml");
        let before = encrypted(&test, &file, &text);
        let refused = migrate(&test, &[&file]);
        assert!(refused.status != 0 && refused.stderr.contains(&file), "{name}: {refused}");
        assert!(refused.stderr.contains(why), "{name}: {refused}");
        assert_eq!(test.read_text(&file), before, "{name}");
    }
    migrate(&test, &["--namespace", "shop", "apps/nowhere.yaml"]).ok();
    assert_eq!(unsealed(&test, "apps/nowhere.yaml")[0]["metadata"]["namespace"], "shop");

    test.write("apps/plain.yaml", OBJECT);
    let plain = migrate(&test, &["apps/plain.yaml"]).code(1);
    assert!(plain.stderr.contains("this SopsSecret is not encrypted"), "{plain}");
    test.sealant(&["encrypt", "-i", "apps/plain.yaml"]).run().ok();
    test.sealant(&["decrypt", "-i", "apps/pod.yaml"]).run().ok();
    // Somebody has moved a value, or changed what is in plaintext.
    let good = encrypted(&test, "apps/good.yaml", OBJECT);
    test.write("apps/bad.yaml", good.replace("namespace: shop", "namespace: prod"));
    let changed = migrate(&test, &["apps/bad.yaml"]);
    assert!(changed.status != 0 && changed.stderr.contains("apps/bad.yaml"), "{changed}");
    // Nobody here opens it.
    test.write("apps/good.yaml", OBJECT);
    test.sops(&[
        "encrypt",
        "-i",
        "--encrypted-suffix",
        "Templates",
        "--age",
        &stranger(&test),
        "apps/good.yaml",
    ])
    .run()
    .ok();
    let closed = test.read_text("apps/good.yaml");
    let nobody = migrate(&test, &["apps/good.yaml"]);
    assert!(nobody.status != 0 && nobody.stderr.contains("apps/good.yaml"), "{nobody}");
    assert_eq!(test.read_text("apps/good.yaml"), closed);
}

/// Whoever puts a copy of a file where they read would get what is in it.
#[test]
fn a_copy_for_other_readers_is_not_migrated() {
    let test = repository();
    let (own, stranger) = (own(&test), stranger(&test));
    let rules = format!(
        "creation_rules:\n  - {{path_regex: ^apps/, age: {own}}}\n  - {{path_regex: ^dev/, age: '{own},{stranger}'}}\n"
    );
    test.write(".sops.yaml", rules);
    let text = encrypted(&test, "apps/all.yaml", OBJECT);
    commit(&test);
    test.write("dev/copy.yaml", &text);
    let refused = migrate(&test, &["dev"]).code(8);
    assert!(refused.stderr.contains("apps/all.yaml") && refused.stderr.contains(&stranger), "{refused}");
    assert!(refused.stderr.contains("sealant migrate sops-secret --allow-copied dev/copy.yaml"), "{refused}");
    assert_eq!(test.read_text("dev/copy.yaml"), text);
    migrate(&test, &["--allow-copied", "dev/copy.yaml"]).ok();
}

/// A data key is that of another file, however it is wrapped there, and whatever values came since.
#[test]
fn a_data_key_of_another_file_is_not_migrated_for_others() {
    let test = repository();
    let (own, stranger) = (own(&test), stranger(&test));
    let third = test.tmp().join("third.txt").display().to_string();
    test.sealant(&["keygen", "-o", &third]).run().ok();
    let third = test.sealant(&["keygen", "-y", &third]).run().ok().text().trim().to_owned();
    let text = "apiVersion: isindir.github.com/v1alpha3\nkind: SopsSecret\nmetadata: {name: db, namespace: shop}\nspec:\n  \
                secretTemplates:\n  - name: db\n    stringData: {password: hunter2-old}\n";
    test.write("apps/ss.yaml", text);
    test.sops(&["encrypt", "-i", "--encrypted-regex", "^stringData$", "--age", &own, "apps/ss.yaml"])
        .run()
        .ok();
    let copy = test.read_text("apps/ss.yaml");
    let path = "[\"spec\"][\"secretTemplates\"][0][\"stringData\"][\"password\"]";
    test.sealant(&["set", "apps/ss.yaml", path, "\"hunter2-new\""]).run().ok();
    test.write(".sops.yaml", format!(
        "creation_rules:\n  - {{path_regex: ^apps/, age: '{own},{third}'}}\n  - {{path_regex: ^dev/, age: '{own},{stranger}'}}\n"
    ));
    let keys = test.home(".config/sops/age/keys.txt");
    test.sops(&["updatekeys", "-y", "apps/ss.yaml"]).env("SOPS_AGE_KEY_FILE", keys).run().ok();
    let is_random = |line: &&str| line.trim().len() >= 60 && !line.contains("recipient");
    let now = test.read_text("apps/ss.yaml");
    assert!(
        copy.lines().filter(is_random).count() > 1
            && !copy.lines().filter(is_random).any(|line| now.contains(line))
    );
    commit(&test);
    test.write("dev/copy.yaml", &copy);
    let refused = migrate(&test, &["dev"]).code(8);
    for part in [
        "shares its data key with apps/ss.yaml",
        &stranger,
        "migrate sops-secret --allow-copied dev/copy.yaml",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {refused}");
    }
    assert_eq!(test.read_text("dev/copy.yaml"), copy);
    migrate(&test, &["--allow-copied", "dev/copy.yaml"]).ok();
}
