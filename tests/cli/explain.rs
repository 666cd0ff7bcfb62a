use insta::assert_snapshot;

use super::{RECIPIENT, STRANGER, encrypted, sandbox, shown};

fn config() -> String {
    format!(
        "\
creation_rules:
  - path_regex: prod/
    shamir_threshold: 2
    key_groups:
      - age: [{RECIPIENT}]
      - age: [{STRANGER}]
      - pgp: [85D7 7543]
  - path_regex: secrets/
    encrypted_regex: ^data$
    age: {RECIPIENT}
"
    )
}

#[test]
fn each_file_has_its_rule() {
    let test = sandbox();
    test.write(".sops.yaml", config());
    let output = test.sealant(&["explain", "prod/a.yaml", "secrets/b.yaml", "README.md"]).run().ok();
    assert_snapshot!(shown(&test, output.text()));
}

#[test]
fn programs_read_json() {
    let test = sandbox();
    test.write(".sops.yaml", config());
    let output = test.sealant(&["explain", "--format", "json", "secrets/b.yaml"]).run().ok();
    let text: String = shown(&test, output.text())
        .lines()
        .filter(|line| !line.contains("\"/"))
        .collect::<Vec<_>>()
        .join("\n");
    assert_snapshot!(text);
}

#[test]
fn the_environment_overrides_the_rule() {
    let test = sandbox();
    test.write(".sops.yaml", config());
    let output = test.sealant(&["explain", "prod/a.yaml"]).env("SOPS_AGE_RECIPIENTS", STRANGER).run().ok();
    let expected =
        format!("any of these can decrypt (from the environment, which overrides the rule):\n  {STRANGER}\n");
    assert!(output.text().contains(&expected), "{output}");
}

#[test]
fn a_config_that_was_asked_for_has_to_be_there() {
    let test = sandbox();
    for run in [
        test.sealant(&["explain", "--config", "nowhere.yaml", "a"]),
        test.sealant(&["explain", "a"]).env("SOPS_CONFIG", "nowhere.yaml"),
    ] {
        let output = run.run().code(61);
        let expected = "error: WORK/nowhere.yaml: this config does not exist\n  help: ";
        assert!(shown(&test, &output.stderr).starts_with(expected), "{output}");
    }
}

#[test]
fn each_value_of_a_plain_file_has_a_reason() {
    let test = sandbox();
    test.write(
        ".sops.yaml",
        format!("creation_rules:\n  - encrypted_regex: ^(pass|token)\n    age: {RECIPIENT}\n"),
    );
    test.write(
        "a.yaml",
        "user: root\n# mind the key\npassword: hunter2\ntokens:\n  # first\n  - hunter3\n  - null\n",
    );
    let output = test.sealant(&["explain", "a.yaml"]).run().ok();
    assert!(!output.text().contains("hunter") && !output.text().contains("mind"), "{output}");
    assert_snapshot!(shown(&test, output.text()));
}

#[test]
fn of_a_kubernetes_secret_the_data_is_encrypted() {
    let test = sandbox();
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
    test.write(
        "s.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData:\n  password: hunter2\n",
    );
    let output = test.sealant(&["explain", "s.yaml"]).run().ok();
    assert_snapshot!(shown(&test, output.text()));
}

#[test]
fn an_encrypted_file_is_held_against_its_rule() {
    let test = sandbox();
    encrypted(&test, "a.yaml", "a: hunter2\nb_enc: 1\n", &[STRANGER]);
    test.write(".sops.yaml", format!("creation_rules:\n  - encrypted_suffix: _enc\n    age: {RECIPIENT}\n"));
    let output = test.sealant(&["explain", "a.yaml"]).run().ok();
    assert_snapshot!(shown(&test, output.text()));
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {STRANGER}\n"));
    let output = test.sealant(&["explain", "a.yaml"]).run().ok();
    assert!(output.text().contains("the file is encrypted for exactly these\n"), "{output}");
    let output = test.sealant(&["explain", "--format", "json", "a.yaml"]).run().ok();
    assert!(
        output.text().contains("\"why\": \"the default: no key matches unencrypted_suffix: _unencrypted\"")
    );
}

#[test]
fn a_broken_file_holds_up_no_other() {
    let test = sandbox();
    test.write("broken.yaml", "a: [");
    let output = test.sealant(&["explain", "broken.yaml", "b.yaml"]).run().code(2);
    assert!(
        output.text().contains("\nb.yaml:\n")
            && output.text().contains("this is what applies to its path")
            && output.stderr.contains("error: broken.yaml:"),
        "{output}"
    );
}
