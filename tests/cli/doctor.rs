use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use sealant_test_support::{Output, Sandbox};

use super::{IDENTITY, KEYS_TXT, RECIPIENT, STRANGER, sandbox, shown};

/// The checks' lines about config, identities and rules: the others depend on the machine.
fn findings(test: &Sandbox, output: &Output) -> Vec<String> {
    let text = shown(test, output.text());
    let ours = |line: &&str| {
        ["config", "identities", "rule"].contains(&line.split_whitespace().nth(1).unwrap_or(""))
    };
    text.lines().filter(ours).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_fresh_machine_is_told_to_begin() {
    let test = sandbox();
    let output = test.sealant(&["doctor"]).run().code(1);
    let expected = [
        "warning config there is no config here or above",
        "broken identities no identities were found: nothing can be decrypted",
    ];
    assert_eq!(findings(&test, &output), expected);
    assert!(output.text().contains("Run `sealant init`"));
}

#[test]
fn a_config_without_rules_is_one_to_mend() {
    let test = sandbox();
    test.write(test.home(KEYS_TXT), IDENTITY);
    test.write(".sops.yaml", "creation_rules: []\n");
    let output = test.sealant(&["doctor"]).run().ok();
    assert!(output.text().contains(".sops.yaml: it has no creation rules"), "{output}");
}

#[test]
fn all_is_well_after_init() {
    let test = sandbox();
    test.sealant(&["init"]).run().ok();
    let output = test.sealant(&["doctor"]).run().ok();
    assert!(findings(&test, &output).iter().all(|line| line.starts_with("ok")), "{output}");
}

#[test]
fn what_is_wrong_is_named() {
    let test = sandbox();
    test.write(test.home(KEYS_TXT), format!("{IDENTITY}\nnonsense\n"));
    fs::set_permissions(test.home(KEYS_TXT), Permissions::from_mode(0o644)).unwrap();
    test.write(
        ".sops.yaml",
        format!("creation_rules:\n  - path_regex: a\n    age: {RECIPIENT}\n  - age: {STRANGER}\n"),
    );
    let output = test.sealant(&["doctor"]).env("SOPS_AGE_KEY_FILE", "nowhere.txt").run().ok();
    let expected = [
        "ok config WORK/.sops.yaml, 2 rules".to_owned(),
        "warning identities SOPS_AGE_KEY_FILE (nowhere.txt): no such file".to_owned(),
        format!("ok identities HOME/{KEYS_TXT}: {RECIPIENT}"),
        format!("warning identities HOME/{KEYS_TXT}: line 2 is not an age identity"),
        format!("warning identities HOME/{KEYS_TXT}: others on this machine can read it"),
        "ok rule WORK/.sops.yaml:2 (rule 1): you can decrypt what it encrypts".to_owned(),
        "warning rule WORK/.sops.yaml:4 (rule 2): none of your keys can decrypt what it encrypts".to_owned(),
    ];
    assert_eq!(findings(&test, &output), expected);
    assert!(!output.text().contains("AGE-SECRET-KEY"));
}

#[test]
fn when_no_rule_can_be_opened_something_is_broken() {
    let test = sandbox();
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {STRANGER}\n"));
    let output = test.sealant(&["doctor"]).env("SOPS_AGE_KEY", IDENTITY).run().code(1);
    assert!(output.text().contains("broken   rule"), "{output}");
}

#[test]
fn a_config_that_does_not_parse_is_broken() {
    let test = sandbox();
    test.write(".sops.yaml", "creation_rules:\n  - aeg: x\n");
    let output = test.sealant(&["doctor", "--format", "json"]).env("SOPS_AGE_KEY", IDENTITY).run().code(1);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let config = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "config").unwrap();
    assert_eq!(config["status"], "broken");
    assert!(config["detail"].as_str().unwrap().contains(".sops.yaml:2"), "{config}");
}

#[test]
fn an_editor_that_is_not_there_is_named() {
    let test = sandbox();
    test.write(test.home(KEYS_TXT), IDENTITY);
    let output = test.sealant(&["doctor"]).env("EDITOR", "no-such-editor --wait").run();
    assert!(output.text().contains("EDITOR: there is no program `no-such-editor`"), "{output}");
}

#[test]
fn names_of_the_config_are_beside_the_keys() {
    let test = super::at_home();
    super::encrypt(&test, "a.yaml", "a: 1\n");
    let names = format!("sealant: {{recipients: {{'{RECIPIENT}': Anna}}}}");
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n{names}\n"));
    for args in [&["doctor"][..], &["inspect", "a.yaml"]] {
        let output = test.sealant(args).run();
        assert!(output.text().contains(&format!("{RECIPIENT} (Anna)")), "{output}");
    }
}
