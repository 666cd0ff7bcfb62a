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
        for args in [&["check", "--verify"][..], &["explain", file], &["argocd", "discover", "secrets"]] {
            let told = run(args);
            assert!(
                told.text().contains(name) && !told.text().contains("plaintext"),
                "{name}: {args:?}: {told}"
            );
        }
        test.write(file, &before);
        if format != "binary" {
            merges(&test, file, text);
        }
        let editor = test.editor("sed -i 's/hunter2/edited/' \"$1\"");
        unlocked(test.sealant(&["edit", file])).env("EDITOR", editor).run().ok();
        assert!(ok(&["decrypt", file]).contains("edited"), "{name}");
        test.write(
            "g.yaml",
            format!("apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {{name: g}}\nsecretFrom: [{{metadata: {{name: a}}, binaryFiles: [{file}]}}]\n"),
        );
        // "edited" in base64, wherever in a group of three bytes it begins.
        let object = ok(&["ksops", "g.yaml"]);
        assert!(
            ["ZWRpdGVk", "VkaXRlZ", "lZGl0ZW"].iter().any(|text| object.contains(text)),
            "{name}: {object}"
        );
        std::fs::remove_file(test.path("g.yaml")).expect("removed");
        ok(&["updatekeys", "--rotate", "--yes", "."]);
        ok(&["rotate", "-i", file]);
        assert!(!test.read_text(file).contains(LEAVER), "{name}");
        let theirs = ["decrypt", "--input-type", format, "--output-type", format, file];
        unlocked(test.sops(&theirs)).run().ok();
    }
}

/// Each side changes the same value: the conflict is one of plaintext, and `resolve` finishes it.
fn merges(test: &Sandbox, file: &str, text: &str) {
    let edit = |value: &str| {
        let editor = test.editor(&format!("sed -i 's/hunter2/{value}/' \"$1\""));
        unlocked(test.sealant(&["edit", file])).env("EDITOR", editor).run().ok();
    };
    let before = test.read_text(file);
    git(test, &["checkout", "-q", "-b", "theirs"]);
    edit("theirs");
    git(test, &["commit", "-qam", "theirs"]);
    git(test, &["checkout", "-q", "-"]);
    edit("ours");
    git(test, &["commit", "-qam", "ours"]);
    let versions = ["HEAD~:", "HEAD:", "theirs:"].map(|commit| {
        let name = format!("version-{}", commit.trim_end_matches([':', '~']));
        let name = name + if commit.contains('~') { "-base" } else { "" };
        let blob = test.program("git", &["show", &format!("{commit}{file}")]).run().ok();
        test.write(&name, blob.stdout);
        name
    });
    let [base, ours, theirs] = &versions;
    let args = ["git", "merge", base, ours, theirs, "--marker-size", "7", "--path", file];
    unlocked(test.sealant(&args)).run().code(1);
    let merged = test.read_text(ours);
    assert!(merged.contains("<<<<<<<") && merged.contains("ENC["), "{file}: {merged}");
    versions.iter().for_each(|name| std::fs::remove_file(test.path(name)).expect("removed"));

    git(test, &["config", "merge.sealant.driver", "false"]);
    let merge = ["-c", "user.email=a@example.com", "-c", "user.name=a", "merge", "-q", "theirs"];
    test.program("git", &merge).run().code(1);
    unlocked(test.sealant(&["resolve", "--theirs", file])).run().ok();
    let plain = unlocked(test.sealant(&["decrypt", file])).run().ok();
    assert_eq!(plain.text(), text.replace("hunter2", "theirs"), "{file}");
    git(test, &["merge", "--abort"]);
    git(test, &["branch", "-qD", "theirs"]);
    test.write(file, before);
    git(test, &["commit", "-qam", "back"]);
}

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop}\nstringData: {password: hunter2}\n";

#[test]
fn a_sealed_secret_of_an_odd_name_is_one_to_every_command() {
    for (name, format) in
        [("credentials", "yaml"), ("app.yaml.enc", "yaml"), ("app.json.enc", "json"), ("x.env", "yaml")]
    {
        let test = sandbox();
        git(&test, &["init", "-q"]);
        test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^d/\n    age: {RECIPIENT}\n"));
        let both = format!("{RECIPIENT},{LEAVER}");
        let seal = ["seal", "--age", &both, "--format", format];
        let sealed = test.sealant(&seal).stdin(SECRET).run().ok().text().to_owned();
        let file = format!("d/{name}");
        let file = file.as_str();
        test.write(file, &sealed);
        git(&test, &["add", "-A"]);
        git(&test, &["commit", "-qm", "a"]);
        let run = |args: &[&str]| unlocked(test.sealant(args)).run();

        run(&["encrypt", "-i", file]).code(203);
        for args in [&["encrypt", "-i", "d"][..], &["seal", "-i", "d"]] {
            let told = run(args).ok();
            assert!(told.stderr.contains(" already\n"), "{name}: {told}");
        }
        let found = run(&["check", "--fix"]).code(1);
        assert!(
            found.text().contains("[recipients]") && !found.text().contains("plaintext"),
            "{name}: {found}"
        );
        assert_eq!(test.read_text(file), sealed, "{name}");
        assert_eq!(run(&["filestatus", file]).ok().text(), "{\"encrypted\":true}\n", "{name}");
        for args in [
            &["who-can-decrypt"][..],
            &["status", "d"],
            &["inspect", file],
            &["blast-radius", "--recipient", LEAVER],
            &["argocd", "discover", "d"],
        ] {
            let told = run(args).ok();
            assert!(told.text().contains(name), "{name}: {args:?}: {told}");
        }
        for args in [&["unseal", file][..], &["git", "textconv", file], &["get", file, "password"]] {
            assert!(run(args).ok().text().contains("hunter2"), "{name}: {args:?}");
        }
        run(&["unseal", "--output-dir", "out", "d"]).ok();
        assert!(test.read_text(format!("out/{file}")).contains("hunter2"), "{name}");
        run(&["updatekeys", "--rotate", "--yes", "."]).ok();
        assert!(!test.read_text(file).contains(LEAVER), "{name}");
        run(&["rotate", "-i", "d"]).ok();
        assert_ne!(test.read_text(file), sealed, "{name}");
    }
}

/// A text as PowerShell writes it, or with its bytes the other way round.
fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    format!("\u{feff}{text}").encode_utf16().flat_map(to_bytes).collect()
}

#[test]
fn yaml_in_utf16_is_read_as_sops_reads_it_and_written_in_utf8() {
    let text = "password: hunter2 # \u{1f511}\ncity_unencrypted: Gr\u{e4}z\n";
    for (name, to_bytes) in [
        ("a.yaml", u16::to_le_bytes as fn(u16) -> [u8; 2]),
        ("b.yaml", u16::to_be_bytes),
        ("credentials", u16::to_le_bytes),
        (".env.production", u16::to_be_bytes),
    ] {
        let (test, encrypted) = repository("plain.yaml", text, "yaml");
        let wide = utf16(&test.read_text(&encrypted), to_bytes);
        std::fs::remove_file(test.path(&encrypted)).expect("removed");
        let file = &*format!("secrets/{name}");
        test.write(file, &wide);
        git(&test, &["add", "-A"]);
        git(&test, &["commit", "-qm", "wide"]);
        let run = |args: &[&str]| unlocked(test.sealant(args)).run();
        let types = ["--input-type", "yaml", "--output-type", "yaml"];
        let theirs = || unlocked(test.sops(&[&["-d"], &types[..], &[file]].concat())).run().ok();

        run(&["encrypt", "-i", file]).code(203);
        let folder = run(&["encrypt", "-i", "secrets"]).ok();
        assert!(folder.stderr.contains("0 encrypted, 1 encrypted already"), "{name}: {folder}");
        assert_eq!(std::fs::read(test.path(file)).expect("read"), wide, "{name}");
        for args in [&["who-can-decrypt"][..], &["status", "secrets"], &["check"], &["inspect", file]] {
            assert!(run(args).text().contains(LEAVER), "{name}: {args:?}: {}", run(args));
        }
        let found = run(&["blast-radius", "--recipient", LEAVER]).ok();
        assert!(found.text().contains(name) && found.text().contains("[\"password\"]"), "{name}: {found}");
        let named = unlocked(test.sealant(&["sops", "-d"])).args(&types).arg(file).run().ok();
        assert_eq!(named.text(), run(&["decrypt", file]).ok().text(), "{name}");
        assert_eq!(run(&["decrypt", file]).ok().text(), text, "{name}");
        assert!(theirs().text().contains("hunter2"), "{name}");

        run(&["updatekeys", "--rotate", "--yes", "secrets"]).ok();
        assert!(!test.read_text(file).contains(LEAVER), "{name}");
        run(&["set", file, "[\"password\"]", "\"swordfish\""]).ok();
        assert!(theirs().text().contains("swordfish"), "{name}");
    }
}

#[test]
fn plaintext_yaml_in_utf16_is_encrypted_as_by_sops_and_we_say_that_it_changes() {
    let text = "password: Gr\u{e4}z\n";
    for to_bytes in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
        let test = sandbox();
        test.write("a.yaml", utf16(text, to_bytes));
        let ours =
            test.sealant(&["encrypt", "--age", RECIPIENT, "--output", "ours.yaml", "a.yaml"]).run().ok();
        assert!(ours.stderr.contains("a.yaml: is in UTF-16"), "{ours}");
        let named = ["sops", "encrypt", "--age", RECIPIENT, "--output", "named.yaml", "a.yaml"];
        assert_eq!(test.sealant(&named).run().ok().stderr, "");
        test.sops(&["encrypt", "--age", RECIPIENT, "--output", "theirs.yaml", "a.yaml"]).run().ok();
        for file in ["ours.yaml", "named.yaml", "theirs.yaml"] {
            assert_eq!(unlocked(test.sealant(&["decrypt", file])).run().ok().text(), text, "{file}");
            assert_eq!(unlocked(test.sops(&["decrypt", file])).run().ok().text(), text, "{file}");
        }
    }
    let test = sandbox();
    test.write("broken.yaml", b"\xff\xfea\0:\0 \0\x00\xd8\n\0");
    let args = ["encrypt", "--age", RECIPIENT, "broken.yaml"];
    assert_ne!(test.sops(&args).run().status, 0);
    assert_ne!(test.sealant(&args).run().status, 0);
}

#[test]
fn what_sops_does_not_read_in_utf16_is_passed_by_in_no_audit() {
    for name in ["a.json", "credentials", ".env.production"] {
        let (test, file) = repository("plain.json", "{\"password\": \"hunter2\"}", "json");
        let wide = utf16(&test.read_text(&file), u16::to_le_bytes);
        std::fs::remove_file(test.path(&file)).expect("removed");
        let file = format!("secrets/{name}");
        test.write(&file, &wide);
        git(&test, &["add", "-A"]);
        assert_ne!(unlocked(test.sops(&["-d", &file])).run().status, 0, "{name}");
        for args in [
            &["encrypt", "-i", "secrets"][..],
            &["encrypt", "-i", &file],
            &["check"],
            &["who-can-decrypt"],
            &["status", "secrets"],
            &["updatekeys", "--yes", "secrets"],
            &["rotate", "-i", "secrets"],
            &["decrypt", &file],
            &["inspect", &file],
        ] {
            let run = unlocked(test.sealant(args)).run();
            let told = format!("{}{}", run.text(), run.stderr);
            assert!(told.contains(name) && told.contains("UTF-16"), "{name}: {args:?}: {run}");
        }
        assert_eq!(std::fs::read(test.path(&file)).expect("read"), wide, "{name}");
    }
}

#[test]
fn a_plaintext_file_whose_name_gives_no_type_hears_of_the_flag() {
    let test = sandbox();
    for (name, text, format) in [
        (".env.production", "A=1\n", "dotenv"),
        ("app.yaml.tpl", "a: 1\n", "yaml"),
        ("key.json.bak", "{\"a\": 1}\n", "json"),
    ] {
        test.write(name, text);
        let output = test.sealant(&["encrypt", "-i", "--age", RECIPIENT, name]).run().ok();
        let encrypt = format!("encrypt -i --input-type {format} {name}");
        let command = format!("`sealant decrypt -i {name} && sealant {encrypt}`");
        assert!(output.stderr.contains(&command), "{command}: {output}");
        unlocked(test.sealant(&["decrypt", "-i", name])).run().ok();
        let args: Vec<&str> = encrypt.split(' ').chain(["--age", RECIPIENT]).collect();
        assert_eq!(test.sealant(&args).run().ok().stderr, "");
        assert_eq!(unlocked(test.sealant(&["decrypt", name])).run().ok().text(), text);
    }
    for (name, text) in [("README.md", "# Shop\n"), ("a.json.gz", "\u{1f}x"), ("tls.key", "-----BEGIN\n")] {
        test.write(name, text);
        assert_eq!(test.sealant(&["encrypt", "-i", "--age", RECIPIENT, name]).run().ok().stderr, "");
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
