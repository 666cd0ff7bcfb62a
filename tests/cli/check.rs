use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::time::Duration;

use sealant_test_support::{Output, Sandbox};
use serde_json::{Value, json};

use super::{IDENTITY, RECIPIENT, STRANGER, at_home, encrypt, encrypted, sandbox};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  a: hunter2\n";

/// A repository whose folder `secrets` is encrypted.
fn repository() -> Sandbox {
    let test = sandbox();
    test.write(
        ".sops.yaml",
        format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {RECIPIENT}\n  - age: {RECIPIENT}\n"),
    );
    encrypted(&test, "secrets/good.yaml", "password: hunter2\n", &[RECIPIENT]);
    test.write("README.md", "hello\n");
    test.write("deploy/app.yaml", "kind: Deployment\n");
    test
}

#[test]
fn a_clean_repository_is_told_to_be_clean() {
    let test = repository();
    let output = test.sealant(&["check"]).run().ok();
    assert_eq!((output.text(), output.stderr.as_str()), ("", "4 files checked, nothing found\n"));
    assert_eq!(test.sealant(&["check", "--format", "json"]).run().ok().text(), "[]\n");
}

#[test]
fn each_finding_is_told_with_its_line_and_without_the_value() {
    let cases: &[(&str, String, &str)] = &[
        (
            "secrets/a.yaml",
            "# x\na: hunter2\n".into(),
            "2: a value is in plaintext, but .sops.yaml:2 says to encrypt it [plaintext]",
        ),
        (
            "secrets/a b.bin",
            "hunter2".into(),
            "1: is in plaintext, but .sops.yaml:2 says to encrypt it [plaintext]",
        ),
        ("secrets/a.json", "{".into(), "[broken]"),
        (
            "deploy/a.yaml",
            format!("a: 1\n---\n{SECRET}"),
            "7: a Kubernetes Secret has a value in plaintext [kubernetes-secret]",
        ),
        (
            "src/main.rs",
            format!("// \n{IDENTITY}\n"),
            "2: an age identity, which is a private key [private-key]",
        ),
    ];
    for (file, text, expected) in cases {
        let test = repository();
        test.write(file, text);
        for args in [&["check"][..], &["check", "."], &["check", file]] {
            let output = test.sealant(args).run().code(1);
            assert!(output.text().starts_with(&format!("{file}:")), "{output}");
            assert!(output.text().trim_end().ends_with(expected), "{output}");
            assert_eq!(output.text().lines().count(), 1, "{output}");
            let all = format!("{}{}", output.text(), output.stderr);
            assert!(!all.contains("hunter2") && !all.contains(IDENTITY), "{all}");
        }
    }
}

#[test]
fn a_value_that_was_put_into_an_encrypted_file_and_a_stranger_are_found() {
    let test = repository();
    let good = test.read_text("secrets/good.yaml");
    test.write("secrets/more.yaml", format!("added: hunter2\n{good}"));
    encrypted(&test, "stranger.yaml", "a: 1\n", &[RECIPIENT, STRANGER]);
    let output = test.sealant(&["check"]).run().code(1);
    let lines: Vec<_> = output.text().lines().collect();
    assert_eq!(
        lines[0],
        "secrets/more.yaml:1: added is in plaintext, but the file's metadata says to encrypt it [plaintext]"
    );
    let line = 1 + test.read_text("stranger.yaml").lines().position(|line| line == "sops:").unwrap();
    assert_eq!(
        lines[1..],
        [format!(
            "stranger.yaml:{line}: has other recipients than .sops.yaml:4 says: it has {STRANGER}, whom the rule does not name [recipients]"
        )]
    );
    // What `check` finds, `updatekeys` mends.
    test.sealant(&["updatekeys", "--yes", "stranger.yaml"]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
    test.sealant(&["check", "stranger.yaml"]).run().ok();
}

#[test]
fn the_recipients_of_a_sealed_secret_are_those_of_its_rule() {
    let test = repository();
    test.write("secret.yaml", SECRET.replace("name: a", "name: a, namespace: b"));
    let seal = |recipients: &[&str]| {
        let args = ["seal", "secret.yaml", "--age", &recipients.join(",")];
        let sealed = test.sealant(&args).run().ok();
        test.write("secrets/sealed.yaml", format!("# sealed\n{}", sealed.text()));
        test.sealant(&["check", "secrets"]).run()
    };
    seal(&[RECIPIENT]).ok();
    let output = seal(&[STRANGER]).code(1);
    assert_eq!(
        output.text(),
        format!(
            "secrets/sealed.yaml:2: the SealedSecret has other recipients than .sops.yaml:2 says: it lacks \
             {RECIPIENT}; it has {STRANGER}, whom the rule does not name [recipients]\n"
        )
    );
}

#[test]
fn programs_read_json_and_sarif() {
    let test = repository();
    test.write("deploy/a b.yaml", SECRET);
    let json_of = |format| -> Value {
        let output = test.sealant(&["check", "--format", format]).run().code(1);
        serde_json::from_str(output.text()).unwrap()
    };
    let found = json_of("json");
    assert_eq!(found[0]["file"], "deploy/a b.yaml");
    assert_eq!((&found[0]["line"], &found[0]["rule"]), (&json!(5), &json!("kubernetes-secret")));
    assert!(found[0]["advice"].as_str().unwrap().starts_with("Encrypt it"));
    let sarif = json_of("sarif");
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let result = &run["results"][0];
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "deploy/a%20b.yaml");
    assert_eq!(place["region"]["startLine"], 5);
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
}

/// Who reads SARIF makes links of `[text](address)`.
#[test]
fn no_message_of_sarif_has_a_link_in_it() {
    let test = repository();
    test.write(r"other/[fix](https:\evil)", "a: b\n");
    symlink(r"../other/[fix](https:\evil)", test.path("secrets/link.yaml")).unwrap();
    let report = |format| -> Value {
        let output = test.sealant(&["check", "--format", format]).run().code(1);
        serde_json::from_str(output.text()).unwrap()
    };
    let (json, sarif) = (report("json"), report("sarif"));
    let message = |value: &Value| value.as_str().unwrap().to_owned();
    let quoted = message(&json[0]["message"]);
    assert!(quoted.contains("[fix](https:"), "{quoted}");
    let text = message(&sarif["runs"][0]["results"][0]["message"]["text"]);
    assert_eq!(text, quoted.replace('\\', r"\\").replace('[', r"\[").replace(']', r"\]"));
}

/// The nearest config counts, though it has no rules.
#[test]
fn a_config_without_rules_that_hides_some_is_told() {
    let test = repository();
    test.write("secrets/app/.sops.yaml", "stores: {}\n");
    test.write("secrets/app/deep/.sops.yaml", "creation_rules: []\n");
    test.write("other/.sops.yaml", "stores: {}\n");
    test.write("other/a.yaml", "a: b\n");
    test.sealant(&["check"]).run().ok();
    for file in ["secrets/app/a.yaml", "secrets/app/deep/b.yaml"] {
        test.write(file, "a: b\n");
    }
    let output = test.sealant(&["check"]).run().ok();
    let told = |config: &str, rule: &str, file: &str| {
        format!(
            "{config}:1: warning: has no creation rules, and keeps {rule}:2 from applying to files such as `{file}` [hidden-rule]\n"
        )
    };
    let expected = told("secrets/app/.sops.yaml", "../../.sops.yaml", "a.yaml")
        + &told("secrets/app/deep/.sops.yaml", "../../../.sops.yaml", "b.yaml");
    assert_eq!(output.text(), expected);
    // A rule for all says for whom an encrypted file is.
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
    assert_eq!(test.sealant(&["check"]).run().ok().text(), "");
    test.sealant(&["encrypt", "-i", "--age", RECIPIENT, "secrets/app/a.yaml"]).run().ok();
    assert_eq!(
        test.sealant(&["check"]).run().ok().text(),
        told("secrets/app/.sops.yaml", "../../.sops.yaml", "a.yaml")
    );
}

/// So does one with rules for other files, whatever is between.
#[test]
fn a_config_without_a_rule_for_files_that_one_above_is_for_is_told() {
    let test = repository();
    test.write("secrets/deep/.sops.yaml", "stores: {}\n");
    test.write(
        "secrets/deep/app/.sops.yaml",
        format!("creation_rules:\n  - path_regex: none\n    age: {RECIPIENT}\n"),
    );
    test.write("secrets/deep/app/a.yaml", "a: b\n");
    assert_eq!(
        test.sealant(&["check"]).run().ok().text(),
        "secrets/deep/app/.sops.yaml:1: warning: has no creation rule for files such as `a.yaml`, and keeps ../../../.sops.yaml:2 from applying to them [hidden-rule]\n"
    );
}

#[test]
fn what_cannot_be_looked_at_is_not_said_to_be_clean() {
    let test = repository();
    test.sealant(&["check", "none.yaml"]).run().code(100);
    test.write("deploy/a.yaml", SECRET);
    test.sealant(&["check", "none.yaml", "deploy/a.yaml"]).run().code(100);
    // A config that makes no sense is told once, for all files that it is about.
    test.write(".sops.yaml", "creation_rules: 1\n");
    let output = test.sealant(&["check"]).run().code(5);
    assert_eq!(output.stderr.matches("error:").count(), 1, "{output}");
}

#[test]
fn with_a_key_at_hand_the_mac_is_verified() {
    let test = repository();
    encrypted(&test, "secrets/other.yaml", "a: 1\n", &[RECIPIENT]);
    test.sealant(&["check", "--verify"]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
    // One value in the place of another: nothing that could be seen without a key.
    encrypted(&test, "secrets/two.yaml", "a_unencrypted: 1\nb: 2\n", &[RECIPIENT]);
    let changed = test.read_text("secrets/two.yaml").replace("a_unencrypted: 1", "a_unencrypted: 2");
    test.write("secrets/two.yaml", changed);
    test.sealant(&["check"]).run().ok();
    let output = test.sealant(&["check", "--verify"]).env("SOPS_AGE_KEY", IDENTITY).run().code(1);
    assert!(output.text().starts_with("secrets/two.yaml:"), "{output}");
    assert!(output.text().contains("MAC") && output.text().ends_with(" [broken]\n"), "{output}");
    // What is seen without a key is not told once more.
    test.write("secrets/three.yaml", format!("added: 1\n{}", test.read_text("secrets/good.yaml")));
    let output = test.sealant(&["check", "--verify"]).env("SOPS_AGE_KEY", IDENTITY).run().code(1);
    assert_eq!(output.text().lines().count(), 2, "{output}");
    let output = test.sealant(&["check", "--verify", "secrets/two.yaml", "secrets/good.yaml"]).run().ok();
    assert!(output.stderr.contains("2 encrypted files were not verified"), "{output}");
}

#[test]
fn what_git_ignores_is_left_out_unless_it_is_tracked_or_named() {
    let test = repository();
    test.write(".gitignore", "*.agekey\n/build/\ntracked.yaml\n");
    test.write("my.agekey", IDENTITY);
    test.write("build/deep/a.yaml", SECRET);
    test.write("deploy/tracked.yaml", SECRET);
    test.write("deploy/new.yaml", SECRET);
    let files = |args: &[&str]| {
        let output = test.sealant(args).run().code(1);
        let files = output.text().lines().map(|line| line.split(':').next().unwrap_or_default().to_owned());
        files.collect::<Vec<_>>()
    };
    assert_eq!(files(&["check"]).len(), 4);
    test.program("git", &["init", "-q"]).run().ok();
    test.program("git", &["add", "-f", "deploy/tracked.yaml"]).run().ok();
    assert_eq!(files(&["check"]), ["deploy/new.yaml", "deploy/tracked.yaml"]);
    assert_eq!(files(&["check", "deploy"]), ["deploy/new.yaml", "deploy/tracked.yaml"]);
    assert_eq!(files(&["check", "my.agekey"]), ["my.agekey"]);
    assert_eq!(files(&["check", "build"]), ["build/deep/a.yaml"]);
}

#[test]
fn odd_files_do_not_stop_it() {
    let test = repository();
    test.write("outside/a.yaml", SECRET);
    test.write("tree/binary.dat", [0, 159, 146, 150].repeat(1000));
    test.write("tree/latin1.yaml", b"a: \xe9 sops\n");
    test.write("tree/line\nbreak.yaml", SECRET);
    test.write(std::path::Path::new("tree").join(OsStr::from_bytes(b"\xff.yaml")), SECRET);
    symlink(test.path("outside"), test.path("tree/folder")).unwrap();
    symlink(test.path("outside/a.yaml"), test.path("tree/file.yaml")).unwrap();
    symlink(test.path("nowhere"), test.path("tree/dangling.yaml")).unwrap();
    let output = test.sealant(&["check", "tree"]).run().code(1);
    let lines: Vec<_> = output.text().lines().collect();
    assert_eq!(lines.len(), 2, "{output}");
    assert!(lines[0].starts_with("tree/line\\nbreak.yaml:5: "), "{output}");
    assert!(lines[1].starts_with("tree/\u{fffd}.yaml:5: "), "{output}");
    let json = test.sealant(&["check", "tree", "--format", "json"]).run().code(1);
    assert!(json.text().contains("tree/\u{fffd}.yaml"), "{json}");
    let sarif = test.sealant(&["check", "tree", "--format", "sarif"]).run().code(1);
    assert!(sarif.text().contains("tree/%FF.yaml"), "{sarif}");
    assert!(sarif.text().contains("tree/line%0Abreak.yaml"), "{sarif}");
}

#[test]
fn what_the_config_excludes_is_passed_by() {
    let test = sandbox();
    let secret = "apiVersion: v1\nkind: Secret\nstringData: {a: hunter2}\n";
    for file in ["tests/deep/a.yaml", "tests.yaml", "apps/b.yaml"] {
        test.write(file, secret);
    }
    test.write(".sops.yaml", "sealant: {check: {exclude: ['tests/**', '*.yaml']}}\n");
    let output = test.sealant(&["check"]).run().code(1);
    assert!(output.text().starts_with("apps/b.yaml:3: "), "{output}");
    assert_eq!(output.text().lines().count(), 1, "{output}");
    test.write(".sops.yaml", "sealant: {check: {exclude: ['tests/[']}}\n");
    let output = test.sealant(&["check"]).run();
    assert!(
        output.status > 1 && output.stderr.contains(".sops.yaml:1: `tests/[` is not a pattern"),
        "{output}"
    );
    let nested = |depth: usize| format!("{}a{}", "{".repeat(depth), "}".repeat(depth));
    for (pattern, says) in [
        (nested(2000), "{{...` is not a pattern: exceed the maximum number of nested parentheses"),
        (nested(20_000), ".sops.yaml:2: a pattern of `exclude` is longer than 4096 bytes"),
        (nested(1_000_000), ".sops.yaml:2: a pattern of `exclude` is longer than 4096 bytes"),
    ] {
        test.write(".sops.yaml", format!("sealant:\n  check: {{exclude: ['{pattern}']}}\n"));
        let output = test.sealant(&["check"]).run();
        assert!(output.status == 5 && output.stderr.contains(says), "{output}");
    }
}

#[test]
fn this_repository_is_clean() {
    let test = sandbox();
    let checked = test.sealant(&["check"]).cwd(env!("CARGO_MANIFEST_DIR")).run().ok();
    assert_eq!(checked.text(), "");
}

#[test]
fn an_extension_in_capitals_hides_no_secret() {
    let test = repository();
    for file in ["deploy/a.YAML", "deploy/a.Yml"] {
        test.write(file, SECRET);
    }
    test.write("deploy/a.JSON", r#"{"apiVersion":"v1","kind":"Secret","data":{"a":"hunter2"}}"#);
    // To sops, and to us, such a file is binary.
    test.write("secrets/a.YAML", SECRET);
    let output = test.sealant(&["check"]).run().code(1);
    let found: Vec<_> = output.text().lines().filter(|line| line.ends_with(']')).collect();
    assert_eq!(
        found,
        [
            "deploy/a.JSON:1: a Kubernetes Secret has a value in plaintext [kubernetes-secret]",
            "deploy/a.YAML:5: a Kubernetes Secret has a value in plaintext [kubernetes-secret]",
            "deploy/a.Yml:5: a Kubernetes Secret has a value in plaintext [kubernetes-secret]",
            "secrets/a.YAML:1: is in plaintext, but .sops.yaml:2 says to encrypt it [plaintext]",
        ]
    );
    let files = ["deploy/a.YAML", "deploy/a.Yml", "deploy/a.JSON", "secrets/a.YAML"];
    test.sealant(&["encrypt", "-i"]).args(&files).run().ok();
    test.sealant(&["check"]).run().ok();
}

/// What is long under a name that means nothing is skipped; this one means something to Kubernetes.
#[test]
fn a_long_manifest_of_a_name_in_capitals_is_looked_at() {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    test.write("a.YAML", format!("{SECRET}{}", "\n".repeat(33 << 20)));
    let output = test.sealant(&["check"]).run().code(1);
    assert!(output.text().contains("a.YAML:5: a Kubernetes Secret"), "{output}");
}

#[test]
fn spellings_that_do_not_belong_to_the_file_are_told() {
    let test = at_home();
    encrypt(&test, "a.yaml", "hex: 0x1F\n");
    let text = test.read_text("a.yaml");
    let entry = text.lines().find(|line| line.trim().starts_with("sealant_spelling")).expect("an entry");
    test.write("broken.yaml", text.replace(entry, &entry.replace("data:", "data:AAAA")));
    test.write("gone.yaml", text.replace(&format!("{entry}\n"), ""));
    let output = test.sealant(&["check", "--verify", "a.yaml", "broken.yaml", "gone.yaml"]).run().code(1);
    assert!(output.text().starts_with("broken.yaml:1: sealant_spelling does not match"), "{output}");
    assert_eq!(output.text().lines().count(), 1, "{output}");
    let output = test.sealant(&["decrypt", "broken.yaml"]).run().ok();
    assert_eq!(output.text(), "hex: 31\n");
    assert!(output.stderr.starts_with("warning: broken.yaml: sealant_spelling does not match"), "{output}");
}

/// Anybody can call a file as what a killed run of ours leaves behind.
#[test]
fn the_name_of_a_leftover_hides_nothing() {
    let test = sandbox();
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^a/\n    age: {RECIPIENT}\n"));
    test.write("a/.b.yaml.sealant-Ab3dEf9x.tmp", "password: hunter2\n");
    for args in [&["check"][..], &["check", "a"]] {
        let output = test.sealant(args).run().code(1);
        assert!(output.text().contains("a/.b.yaml.sealant-Ab3dEf9x.tmp:1: "), "{output}");
    }
}

/// What a program may take for a file of a few MB. It has five times as much room here as any other test needs.
const MEMORY: &str = "1500000";

/// Runs `check` with that much memory.
fn check_in_little_memory(test: &Sandbox) -> Output {
    let sealant = env!("CARGO_BIN_EXE_sealant");
    let script = format!("ulimit -v {MEMORY} && exec \"$0\" check");
    test.program("sh", &["-c", &script, sealant]).limit(Duration::from_secs(300)).run()
}

#[test]
fn a_long_key_above_many_values_takes_no_memory_for_each() {
    let test = sandbox();
    let rule = format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {RECIPIENT}\n");
    let key = "k".repeat(300_000);
    let entries = |value: &str| {
        let entries: Vec<String> = (0..3000).map(|number| format!("\"a{number}\":{value}")).collect();
        format!("\"{key}\":{{{}}},", entries.join(","))
    };
    encrypted(&test, "secrets/plain.json", "{\"a\": 1}\n", &[RECIPIENT]);
    test.write(".sops.yaml", rule);
    let file = test.read_text("secrets/plain.json");
    let token = &file[file.find("\"ENC[").expect("a value")..];
    let token = &token[..=1 + token[1..].find('"').expect("its end")];
    let begin = file.find('{').expect("a map") + 1;
    let with = |value: &str| format!("{}{}{}", &file[..begin], entries(value), &file[begin..]);
    test.write("secrets/plain.json", with("\"x\""));
    test.write("secrets/same.json", with(token));
    let output = check_in_little_memory(&test).code(1);
    let told = output.text();
    assert!(told.len() < 100_000, "{}", told.len());
    assert!(
        told.contains("secrets/plain.json:") && told.contains("2900 more values are in plaintext"),
        "{told}"
    );
    assert!(told.contains("k...k"), "{told}");
}

#[test]
fn what_goes_deeper_than_anybody_looks_is_told_and_takes_no_memory() {
    let test = sandbox();
    for (name, text) in [("a.json", "["), ("b.json", "{\"a\":"), ("c.yaml", "[")] {
        test.write(name, format!("{}\"Secret\"", text.repeat(2_000_000)));
    }
    test.write(
        "d.yaml",
        format!(
            "kind: Secret\nx: {}1{}\nstringData: {{p: hunter2}}\n",
            "[".repeat(20_000),
            "]".repeat(20_000)
        ),
    );
    let output = check_in_little_memory(&test);
    assert!(output.status > 1, "{output}");
    for name in ["a.json", "b.json", "c.yaml"] {
        assert!(
            output.stderr.contains(&format!("{name}: collections are nested more than")),
            "{name} {output}"
        );
    }
    assert!(output.to_string().contains("d.yaml"), "{output}");
}

#[test]
fn what_is_advised_fits_what_was_found() {
    let test = super::at_home();
    let rule = |keys: &str| format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {keys}\n");
    encrypted(&test, "secrets/a.yaml", "a: 1\n", &[RECIPIENT]);
    test.write(".sops.yaml", rule(&format!("{RECIPIENT},{STRANGER}")));
    // Nobody was removed, and whoever is asked for gets a command of their own.
    let asked = test.sealant(&["check"]).run().code(1);
    assert!(asked.stderr.starts_with(&format!("{STRANGER} asks for access")), "{asked}");
    test.write(".sops.yaml", rule(STRANGER));
    let removed = test.sealant(&["check"]).run().code(1);
    assert!(removed.stderr.contains("no longer names somebody, add `--rotate`"), "{removed}");
    test.write(".sops.yaml", rule(RECIPIENT));
    test.write("secrets/README.md", "how to\n");
    let other = test.sealant(&["check"]).run().code(1);
    let line = "  sealant encrypt -i secrets/README.md    # if it is no secret: move it, or add it to `check.exclude` of the config\n";
    assert!(other.stderr.contains(line), "{other}");
}
