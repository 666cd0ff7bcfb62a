//! Files, flags, configs and namespaces beside the real sops, both ways.

use regex::Regex;
use sealant_test_support::Sandbox;

use super::place::{BAO, PLAIN, Place, ask, key, secret, uri, wrapped};

/// The metadata of a file, with what differs from run to run replaced by what it is.
fn metadata(text: &str) -> String {
    let start = ["\nsops:", "\t\"sops\":", "sops_", "[sops]"].iter().find_map(|start| text.find(start));
    let mut block = text[start.expect("metadata")..].to_owned();
    for (pattern, what) in [
        (r"vault:v\d+:[A-Za-z0-9+/=]+", "CIPHERTEXT"),
        (r"ENC\[[^\]]*\]", "VALUE"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
        (r"(?s)-----BEGIN AGE.*?-----END AGE ENCRYPTED FILE-----", "AGE"),
        // sops writes a list of no recipients into a group, and reads as well what has none.
        (r"age: \[\]\n +", ""),
        // Nor does it write into a binary file what it writes into all others.
        (r"\t\t.unencrypted_suffix.: ._unencrypted.,\n", ""),
    ] {
        block = Regex::new(pattern).expect("a pattern").replace_all(&block, what).into_owned();
    }
    block
}

/// An age identity by the real age, and its recipient.
fn age(test: &Sandbox) -> (String, String) {
    let identity = test.age_keygen(&[]).run().ok().text().to_owned();
    let recipient = test.age_keygen(&["-y"]).stdin(identity.as_bytes()).run().ok().text().trim().to_owned();
    (secret(identity.lines().last().unwrap_or_default()), recipient)
}

#[test]
fn each_opens_what_the_other_encrypted_and_writes_the_same_metadata() {
    let test = Place::new();
    let keys = [key("sops/a/transit", "shop-1.x"), key("transit", "sops_both")].join(",");
    for (file, plaintext) in [
        ("a.yaml", PLAIN),
        ("a.json", "{\n\t\"a\": 1,\n\t\"b\": [\n\t\t\"x\"\n\t]\n}\n"),
        ("a.env", "A=1\n# note\nB=x y\n"),
        ("a.ini", "[s]\na = 1\n"),
        ("a.txt", "any bytes\n"),
    ] {
        test.write(file, plaintext);
        let (ours, theirs) = (format!("ours.{file}"), format!("theirs.{file}"));
        let args = ["encrypt", "--hc-vault-transit", &keys, file];
        test.write(&ours, test.sealant(&args).run().ok().stdout);
        test.write(&theirs, test.sops(&args).run().ok().stdout);
        assert_eq!(metadata(&test.read_text(&ours)), metadata(&test.read_text(&theirs)), "{file}");
        for file in [&ours, &theirs] {
            let here = test.sealant(&["decrypt", file]).run().ok();
            let there = test.sops(&["decrypt", file]).run().ok();
            let old = test.sops_3_11(&["decrypt", file]).env("VAULT_TOKEN", BAO.root_token()).run().ok();
            for output in [here, there, old] {
                assert_eq!(output.text().trim_end(), plaintext.trim_end(), "{file}\n{output}");
            }
        }
    }
}

#[test]
fn both_take_turns_on_one_file() {
    let test = Place::new();
    let [a, b] = ["turns-a", "turns-b"].map(|name| key("transit", name));
    let file = "f.yaml";
    let names = || {
        let text = test.read_text(file);
        ["turns-a", "turns-b"].map(|name| text.contains(&format!("key_name: {name}\n")))
    };
    test.write(file, PLAIN);
    test.sops(&["encrypt", "-i", "--hc-vault-transit", &a, file]).run().ok();
    test.sealant(&["set", file, "[\"name\"]", "\"one\""]).run().ok();
    test.sops(&["set", file, "[\"name\"]", "\"two\""]).run().ok();
    let before = wrapped(&test.read_text(file)).concat();
    let editor = |change: &str| test.editor(&format!("sed -i 's/{change}/' \"$1\""));
    test.sealant(&["edit", file]).env("EDITOR", editor("name: two/name: three")).run().ok();
    test.sops(&["edit", file]).env("EDITOR", editor("name: three/name: shop")).run().ok();
    assert_eq!(wrapped(&test.read_text(file)).concat(), before, "the wrapped data key stays");
    test.opens(file);

    test.sealant(&["rotate", "-i", "--add-hc-vault-transit", &b, file]).run().ok();
    assert_eq!(names(), [true, true]);
    test.opens(file);
    test.sops(&["rotate", "-i", "--rm-hc-vault-transit", &a, file]).run().ok();
    assert_eq!(names(), [false, true]);
    test.opens(file);
    test.sops(&["rotate", "-i", "--add-hc-vault-transit", &a, file]).run().ok();
    test.sealant(&["rotate", "-i", "--rm-hc-vault-transit", &b, file]).run().ok();
    assert_eq!(names(), [true, false]);
    test.opens(file);

    test.rule(&format!("hc_vault_transit_uri: {a},{b}"));
    let kept = wrapped(&test.read_text(file)).concat();
    test.sealant(&["updatekeys", "-y", file]).run().ok();
    assert_eq!(names(), [true, true]);
    assert!(test.read_text(file).contains(&kept), "what was wrapped for a key that stays is kept");
    test.opens(file);
    let up_to_date = test.sops(&["updatekeys", "-y", file]).run().ok();
    assert!(up_to_date.stderr.contains("already up to date"), "{up_to_date}");
    test.rule(&format!("hc_vault_transit_uri: {b}"));
    test.sops(&["updatekeys", "-y", file]).run().ok();
    assert_eq!(names(), [false, true]);
    let up_to_date = test.sealant(&["updatekeys", "-y", file]).run().ok();
    assert!(up_to_date.stderr.contains("already up to date"), "{up_to_date}");
    test.opens(file);
}

#[test]
fn configs_name_keys_as_for_sops() {
    let test = Place::new();
    let [a, b, c] = ["config-a", "config-b", "config-c"].map(|name| key("sops/config", name));
    let (_, recipient) = age(&test);
    test.write("plain.yaml", PLAIN);
    for rule in [
        format!("hc_vault_transit_uri: \"{a}, {b}\"\nage: {recipient}"),
        format!("key_groups:\n  - hc_vault: [\"{a}\", \"{b}\"]\n    age: [{recipient}]"),
        format!(
            "shamir_threshold: 2\nkey_groups:\n  - hc_vault: [\"{a}\"]\n  - hc_vault: [\"{b}\", \"{c}\"]"
        ),
    ] {
        test.rule(&rule);
        for (file, run) in [
            ("ours.yaml", test.sealant(&["encrypt", "plain.yaml"]).run()),
            ("theirs.yaml", test.sops(&["encrypt", "plain.yaml"]).run()),
        ] {
            test.write(file, run.ok().stdout);
            test.opens(file);
        }
        assert_eq!(
            metadata(&test.read_text("ours.yaml")),
            metadata(&test.read_text("theirs.yaml")),
            "{rule}"
        );
        for up_to_date in [
            test.sealant(&["updatekeys", "-y", "theirs.yaml"]).run().ok(),
            test.sops(&["updatekeys", "-y", "ours.yaml"]).run().ok(),
        ] {
            assert!(up_to_date.stderr.contains("already up to date"), "{up_to_date}");
        }
    }
}

#[test]
fn namespaces_stand_beside_the_path_or_in_it() {
    let test = Place::new();
    BAO.bao(&["namespace", "create", "team"]).run().ok();
    BAO.bao(&["secrets", "enable", "-path=crypt", "transit"]).env("BAO_NAMESPACE", "team").run().ok();
    BAO.bao(&["write", "-f", "crypt/keys/shop"]).env("BAO_NAMESPACE", "team").run().ok();
    // Another key of the same name, in the root namespace.
    let beside = key("crypt", "shop");
    let within = uri(&BAO, "team/crypt", "shop");
    test.write("plain.yaml", PLAIN);
    for (name, uri, namespace) in
        [("beside", &beside, Some("team")), ("within", &within, None), ("root", &beside, None)]
    {
        let (ours, theirs) = (format!("ours-{name}.yaml"), format!("theirs-{name}.yaml"));
        let args = ["encrypt", "--hc-vault-transit", uri, "plain.yaml"];
        let variables: Vec<_> =
            namespace.map(|namespace| ("VAULT_NAMESPACE", namespace)).into_iter().collect();
        test.write(&ours, test.sealant(&args).envs(&variables).run().ok().stdout);
        let run = variables.iter().fold(test.sops(&args), |run, (name, value)| run.env(name, value));
        test.write(&theirs, run.run().ok().stdout);
        for file in [&ours, &theirs] {
            let output = test.sealant(&["decrypt", file]).envs(&variables).run().ok();
            assert_eq!(output.text(), PLAIN, "{file}");
            let run = test.sops(&["decrypt", file]);
            let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
            assert_eq!(run.run().ok().text(), PLAIN, "{file}");
        }
    }
    // The namespace counts: the root's key of the same name opens nothing of the team's.
    let _ = test.sealant(&["decrypt", "ours-beside.yaml"]).fails(128, &[&beside]);
    let of_openbao = test.sealant(&["decrypt", "theirs-beside.yaml"]).env("BAO_NAMESPACE", "team").run().ok();
    assert_eq!(of_openbao.text(), PLAIN);
    let requests = BAO.requests_to("crypt/decrypt/shop");
    assert!(requests.iter().any(|request| request.namespace == "team" && request.error.is_empty()));
    for namespace in ["nowhere", "team\nX-Other: 1", "t\u{e9}am", "../root", "team/../.."] {
        let output = test.sealant(&["encrypt", "--hc-vault-transit", &beside, "plain.yaml"]);
        let output = output.env("VAULT_NAMESPACE", namespace).run();
        assert!(output.status == 1 || output.status == 5, "{namespace}\n{output}");
        assert!(output.stderr.contains("namespace") || output.stderr.contains("VAULT_NAMESPACE"), "{output}");
    }
}

#[test]
fn keys_come_from_the_environment_and_the_command_line_of_sops() {
    let test = Place::new();
    let uri = key("transit", "environment");
    test.write("f.yaml", PLAIN);
    test.sealant(&["encrypt", "-i", "f.yaml"]).env("SOPS_VAULT_URIS", &uri).run().ok();
    test.opens("f.yaml");
    test.write("g.yaml", PLAIN);
    test.sealant(&["sops", "-e", "-i", "--hc-vault-transit", &uri, "g.yaml"]).run().ok();
    test.opens("g.yaml");
    assert_eq!(test.sealant(&["sops", "-d", "f.yaml"]).run().ok().text(), PLAIN);
    assert_eq!(test.sealant(&["get", "f.yaml", "[\"name\"]"]).run().ok().text(), "shop");
}

#[test]
fn a_new_version_of_a_key_wraps_and_the_old_one_still_opens() {
    let test = Place::new();
    let uri = key("transit", "versions");
    test.encrypted("old.yaml", &[&uri]);
    ask(&BAO, "POST", "transit/keys/versions/rotate", serde_json::json!({}));
    test.encrypted("new.yaml", &[&uri]);
    for (file, version) in [("old.yaml", "vault:v1:"), ("new.yaml", "vault:v2:")] {
        assert!(wrapped(&test.read_text(file))[0].starts_with(version), "{file}");
        test.opens(file);
    }
}
