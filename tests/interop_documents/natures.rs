//! Files whose names do not give their types, encrypted by the real sops: each command takes them for what they are.

use sealant_test_support::{Run, Sandbox};
use serde_json::Value;

use super::{IDENTITY, RECIPIENT, sandbox};

/// The name, what is encrypted, and as what.
const ODD: &[(&str, &str, &str)] = &[
    (".env.production", "password=hunter2\n", "dotenv"),
    ("app.yaml.enc", "password: hunter2\n", "yaml"),
    ("key.json.enc", "{\n\t\"password\": \"hunter2\"\n}\n", "json"),
    ("key.json.bak", "{\n\t\"data\": \"x\",\n\t\"password\": \"hunter2\"\n}\n", "json"),
    ("credentials", "[default]\npassword = hunter2\n", "ini"),
    ("prod.tfvars", "password: hunter2\n", "yaml"),
    ("settings.toml", "password: hunter2\n", "yaml"),
    ("blob", "password is hunter2\n", "binary"),
    ("wrong.yaml", "password=hunter2\n", "dotenv"),
    ("wrong.json", "[default]\npassword = hunter2\n", "ini"),
    ("wrong.env", "password: hunter2\n", "yaml"),
];

/// A recipient who is in the files, and not in the rule.
const LEAVER: &str = "age1y7vjqnlnw64gvpkcpjawve7el6gesg7f6wvyjanexwqke20yssss4yshtd";

fn unlocked(run: Run) -> Run {
    run.env("SOPS_AGE_KEY", IDENTITY)
}

fn git(test: &Sandbox, args: &[&str]) {
    let author = ["-c", "user.email=a@example.com", "-c", "user.name=a"];
    test.program("git", &author).args(args).run().ok();
}

/// A repository with a file, encrypted by sops for two.
fn repository(name: &str, text: &str, format: &str) -> (Sandbox, String) {
    let test = sandbox();
    git(&test, &["init", "-q"]);
    test.write("secrets/plain", text);
    let both = format!("{RECIPIENT},{LEAVER}");
    let args =
        ["--config", "/dev/null", "-e", "--age", &both, "--input-type", format, "--output-type", format];
    let encrypted = test.sops(&args).arg("secrets/plain").run().ok().text().to_owned();
    std::fs::remove_file(test.path("secrets/plain")).expect("removed");
    let file = format!("secrets/{name}");
    test.write(&file, &encrypted);
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {RECIPIENT}\n"));
    git(&test, &["add", "-A"]);
    git(&test, &["commit", "-qm", "a"]);
    (test, file)
}

#[test]
fn a_file_of_an_odd_name_is_what_is_in_it_to_every_command() {
    for &(name, text, format) in ODD {
        let (test, file) = repository(name, text, format);
        let file = file.as_str();
        let before = test.read_text(file);
        let run = |args: &[&str]| unlocked(test.sealant(args)).run();
        let ok = |args: &[&str]| run(args).ok().text().to_owned();

        run(&["encrypt", "-i", file]).code(203);
        let folder = run(&["encrypt", "-i", "secrets"]).ok();
        assert!(folder.stderr.contains("0 encrypted, 1 encrypted already"), "{name}: {}", folder.stderr);
        for args in [&["check", "--fix"][..], &["check"], &["hook", "pre-commit"]] {
            let found = run(args);
            assert!(!found.text().contains("plaintext"), "{name}: {}", found.text());
        }
        let found = run(&["check"]);
        assert!(found.text().contains("[recipients]"), "{name}: {}", found.text());
        assert_eq!(test.read_text(file), before, "{name}");

        assert_eq!(ok(&["filestatus", file]), "{\"encrypted\":true}\n", "{name}");
        for args in [
            &["who-can-decrypt"][..],
            &["who-can-decrypt", "--recipient", LEAVER],
            &["status", "secrets"],
            &["inspect", file],
            &["blast-radius", "--recipient", LEAVER],
        ] {
            let told = ok(args);
            assert!(told.contains(name), "{name}: {args:?}: {told}");
        }
        assert_eq!(ok(&["decrypt", file]), text, "{name}");
        assert_eq!(ok(&["git", "textconv", file]), text, "{name}");
        assert_eq!(
            unlocked(test.sealant(&["decrypt"])).stdin(before.clone()).run().ok().text(),
            text,
            "{name}"
        );
        assert_eq!(ok(&["exec-file", "--no-fifo", file, "cat {}"]), text, "{name}");
        let as_json: Value =
            serde_json::from_str(&ok(&["decrypt", "--output-type", "json", file])).unwrap_or_default();
        if format == "yaml" || format == "dotenv" {
            assert_eq!(ok(&["get", file, "[\"password\"]"]).trim_end(), "hunter2", "{name}");
            assert_eq!(as_json["password"], "hunter2", "{name}");
            ok(&["set", file, "[\"password\"]", "\"other\""]);
            assert_eq!(ok(&["get", file, "[\"password\"]"]).trim_end(), "other", "{name}");
            assert!(run(&["diff", file]).code(1).text().contains("password"), "{name}");
            ok(&["exec-env", "--", file, "true"]);
        }
        ok(&["updatekeys", "--rotate", "--yes", "."]);
        ok(&["rotate", "-i", file]);
        assert!(!test.read_text(file).contains(LEAVER), "{name}");
        let theirs = ["decrypt", "--input-type", format, "--output-type", format, file];
        unlocked(test.sops(&theirs)).run().ok();
    }
}

#[test]
fn a_file_of_an_odd_name_is_found_in_old_commits() {
    for &(name, text, format) in ODD {
        let (test, file) = repository(name, text, format);
        git(&test, &["rm", "-q", &file]);
        git(&test, &["commit", "-qm", "b"]);
        let told = test.sealant(&["blast-radius", "--recipient", LEAVER]).run().ok();
        assert!(told.text().contains(name), "{name}: {}", told.text());
    }
}
