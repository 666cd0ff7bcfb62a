use insta::assert_snapshot;

use super::{RECIPIENT, STRANGER, sandbox, shown};

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
