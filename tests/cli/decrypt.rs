use std::fs;
use std::os::unix::fs::PermissionsExt;

use sealant_test_support::Sandbox;

use super::{IDENTITY, RECIPIENT, sandbox};

const PLAIN: &str = "# note\ndb:\n  password: hunter2\n  ports: [1, 2]\n  on: true\nlast: 1.50\n";

/// A sandbox with `a.yaml`, encrypted.
fn encrypted() -> Sandbox {
    let test = sandbox();
    test.write("a.yaml", PLAIN);
    test.sealant(&["encrypt", "-i", "--age", RECIPIENT, "a.yaml"]).run().ok();
    test
}

fn decrypt(test: &Sandbox, args: &[&str]) -> sealant_test_support::Output {
    let args = [&["decrypt"], args].concat();
    test.sealant(&args).env("SOPS_AGE_KEY", IDENTITY).run()
}

#[test]
fn a_value_is_extracted_as_it_is() {
    let test = encrypted();
    for (path, value) in [
        ("[\"db\"][\"password\"]", "hunter2"),
        ("['db']['ports'][1]", "2\n"),
        ("[\"db\"][\"on\"]", "true\n"),
        ("[\"db\"][\"ports\"]", "- 1\n- 2\n"),
    ] {
        assert_eq!(decrypt(&test, &["--extract", path, "a.yaml"]).ok().text(), value, "{path}");
    }
    let missing = decrypt(&test, &["--extract", "[\"db\"][\"user\"]", "a.yaml"]).code(91);
    assert!(missing.stderr.contains("[\"user\"]"), "{}", missing.stderr);
}

#[test]
fn another_format_is_written_as_sops_writes_it() {
    let test = encrypted();
    let json = decrypt(&test, &["--output-type", "json", "a.yaml"]).ok();
    assert_eq!(
        json.text(),
        "{\n\t\"db\": {\n\t\t\"password\": \"hunter2\",\n\t\t\"ports\": [\n\t\t\t1,\n\t\t\t2\n\t\t],\n\t\t\"on\": true\n\t},\n\t\"last\": 1.5\n}\n"
    );
    decrypt(&test, &["--output-type", "dotenv", "a.yaml"]).code(4);
}

#[test]
fn a_key_that_appears_twice_is_read_and_one_of_the_two_can_be_taken_out() {
    let test = sandbox();
    let key = |args: &[&str]| test.sealant(args).env("SOPS_AGE_KEY", IDENTITY);
    for (file, plain, path, edit, left) in [
        ("d.json", "{\"a\":1,\"b\":2,\"a\":3}\n", "[\"a\"]", "s/\"a\":1,//", "{\"b\":2,\"a\":3}\n"),
        ("d.env", "A=1\nB=2\nA=3\n", "[\"A\"]", "/A=1/d", "B=2\nA=3\n"),
        ("d.yaml", "x: 1\n---\na: 1\nb: 2\na: 3\n", "", "/a: 1/d", "x: 1\n---\nb: 2\na: 3\n"),
    ] {
        test.write(file, plain);
        let asked = test.sealant(&["encrypt", "-i", "--age", RECIPIENT, file]).run();
        assert_eq!(asked.status, if file == "d.env" { 0 } else { 2 }, "{}", asked.stderr);
        assert!(asked.stderr.contains("appears twice"), "{}", asked.stderr);
        test.write(file, plain);
        test.sealant(&["sops", "encrypt", "-i", "--age", RECIPIENT, file]).run().ok();
        let read = key(&["decrypt", file]).run().ok();
        assert_eq!(read.text(), plain);
        assert!(read.stderr.contains("appears twice, on lines"), "{}", read.stderr);
        key(&["rotate", "-i", file]).run().ok();
        if !path.is_empty() {
            let refused = key(&["set", file, path, "\"x\""]).run().code(7);
            assert!(refused.stderr.contains("appears more than once"), "{}", refused.stderr);
            let other = if file == "d.env" { "[\"B\"]" } else { "[\"b\"]" };
            key(&["set", file, other, "5"]).run().ok();
            key(&["set", file, other, "2"]).run().ok();
        }
        key(&["edit", file]).env("SOPS_EDITOR", format!("sed -i '{edit}'")).run().ok();
        assert_eq!(key(&["decrypt", file]).run().ok().text(), left);
    }
    let run = key(&["exec-env", "d.env", "echo $A"]).run().ok();
    assert_eq!(run.text(), "3\n");
}

#[test]
fn an_empty_file_of_flat_lines_is_a_file_as_any_other() {
    let test = sandbox();
    for file in ["z.env", "z.ini"] {
        test.write(file, "");
        test.sealant(&["encrypt", "-i", "--age", RECIPIENT, file]).run().ok();
        assert!(test.read_text(file).contains("lastmodified"), "{file}");
        assert_eq!(decrypt(&test, &[file]).ok().text(), "");
    }
}

#[test]
fn a_stream_becomes_its_first_document_to_sops_alone() {
    let test = sandbox();
    for (plain, code) in [("a: x\n---\nb: y\n", 4), ("a: x\n---\n", 0)] {
        test.write("s.yaml", plain);
        test.sealant(&["encrypt", "-i", "--age", RECIPIENT, "s.yaml"]).run().ok();
        decrypt(&test, &["--output-type", "json", "s.yaml"]).code(code);
        let by_name = test.sealant(&["sops", "decrypt", "--output-type", "dotenv", "s.yaml"]);
        assert_eq!(by_name.env("SOPS_AGE_KEY", IDENTITY).run().ok().text(), "a=x\n");
    }
}

#[test]
fn plaintext_is_written_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let test = encrypted();
    decrypt(&test, &["--output", "plain.yaml", "a.yaml"]).ok();
    assert_eq!(test.read_text("plain.yaml"), PLAIN);
    let mode = std::fs::metadata(test.path("plain.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn plaintext_in_place_of_ciphertext_is_not_for_everybody() {
    for (name, expected) in [("sealant", 0o640), ("sops", 0o644)] {
        let test = encrypted();
        for file in ["a.yaml", "out.yaml", "folder/a.yaml"] {
            test.write(file, test.read("a.yaml"));
            fs::set_permissions(test.path(file), fs::Permissions::from_mode(0o644)).unwrap();
        }
        let decrypt = |args: &[&str]| {
            let args = [&["decrypt"], args].concat();
            test.sealant(&args).called_as(name).env("SOPS_AGE_KEY", IDENTITY).run().ok()
        };
        decrypt(&["--output", "out.yaml", "a.yaml"]);
        if name == "sealant" {
            decrypt(&["--output-dir", "folder", "a.yaml"]);
        } else {
            decrypt(&["-i", "folder/a.yaml"]);
        }
        decrypt(&["-i", "a.yaml"]);
        for file in ["a.yaml", "out.yaml", "folder/a.yaml"] {
            let mode = fs::metadata(test.path(file)).unwrap().permissions().mode() & 0o777;
            assert_eq!((file, mode), (file, expected), "{name}");
        }
    }
}

#[test]
fn a_file_that_was_changed_is_refused_and_can_be_looked_at() {
    let test = encrypted();
    let file = test.read_text("a.yaml").replace("\n  ports", "\n  extra_unencrypted: 1\n  ports");
    test.write("a.yaml", file);
    let output = decrypt(&test, &["a.yaml"]).code(51);
    assert!(output.stderr.contains("--ignore-mac"), "{}", output.stderr);
    assert!(output.stdout.is_empty());
    let looked_at = decrypt(&test, &["--ignore-mac", "a.yaml"]).ok();
    assert!(looked_at.text().contains("extra_unencrypted: 1\n"), "{}", looked_at.text());
    // Whoever saves it as it is means that.
    let edit = |args: &[&str]| {
        let args = [&["edit"], args, &["a.yaml"]].concat();
        test.sealant(&args).env("SOPS_AGE_KEY", IDENTITY).env("EDITOR", "true").run()
    };
    edit(&["--ignore-mac"]).ok();
    assert_eq!(decrypt(&test, &["a.yaml"]).ok().text(), looked_at.text());
    assert_ne!(edit(&["--ignore-mac"]).status, 0, "nothing is left to write");
}

#[test]
fn a_value_that_was_moved_or_cut_is_refused_with_its_line() {
    let test = encrypted();
    let file = test.read_text("a.yaml");
    let moved = file.replace("  password:", "  passwort:");
    test.write("a.yaml", moved);
    let output = decrypt(&test, &["a.yaml"]).code(25);
    assert!(output.stderr.contains("a.yaml:3: db.passwort"), "{}", output.stderr);
    test.write("a.yaml", file.replacen(",iv:", ",", 1));
    // A comment stays as it is, the next value is refused by the MAC or by itself.
    assert_ne!(decrypt(&test, &["a.yaml"]).status, 101);
}

#[test]
fn who_has_no_identity_hears_where_it_was_looked_for() {
    let test = encrypted();
    let output = test.sealant(&["decrypt", "a.yaml"]).run().code(128);
    for expected in [RECIPIENT, "SOPS_AGE_KEY_FILE", "keys.txt", "--identity"] {
        assert!(output.stderr.contains(expected), "{expected} is missing: {}", output.stderr);
    }
}

#[test]
fn a_plain_file_is_named_as_such() {
    let test = sandbox();
    test.write("a.yaml", PLAIN);
    let output = decrypt(&test, &["a.yaml"]).code(1);
    assert!(output.stderr.contains("not encrypted"), "{}", output.stderr);
    assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
}

#[test]
fn what_many_files_lack_alike_is_explained_once() {
    let test = encrypted();
    test.write("b.yaml", test.read("a.yaml"));
    let output = test.sealant(&["decrypt", "--output-dir", "out", "a.yaml", "b.yaml"]).run().code(128);
    assert_eq!(output.stderr.matches("looked for identities in:").count(), 1, "{output}");
    assert!(output.stderr.ends_with("error: b.yaml: no identity opens the data key, as above\n"), "{output}");
}

#[test]
fn a_merge_conflict_is_named_as_such() {
    let test = encrypted();
    let text = test.read_text("a.yaml");
    let (first, rest) = text.split_once('\n').expect("several lines");
    test.write("a.yaml", format!("{first}\n<<<<<<< HEAD\n=======\n>>>>>>> theirs\n{rest}"));
    let output = decrypt(&test, &["a.yaml"]).code(2);
    assert!(output.stderr.starts_with("error: a.yaml:2: a merge conflict of Git begins here\n"), "{output}");
}

/// What somebody without a key can write into a list, for it to be taken for an encrypted comment.
const LOOKS_LIKE_A_COMMENT: &str = "ENC[AES256_GCM,data:a,iv:b,tag:c,type:comment]";

#[test]
fn an_item_that_looks_like_a_comment_does_not_pass_by_the_mac() {
    let test = sandbox();
    test.write("a.yaml", "args_unencrypted:\n  - run\nl:\n  - x\n");
    test.sealant(&["encrypt", "-i", "--age", RECIPIENT, "a.yaml"]).run().ok();
    let encrypted = test.read_text("a.yaml");
    for (list, code) in [("args_unencrypted:\n", 51), ("l:\n", 25)] {
        let item = format!("{list}  - '{LOOKS_LIKE_A_COMMENT}; rm -rf /'\n");
        test.write("a.yaml", encrypted.replacen(list, &item, 1));
        let output = decrypt(&test, &["a.yaml"]).code(code);
        assert_eq!(output.text(), "");
    }
}

#[test]
fn an_item_of_a_plaintext_that_looks_like_a_comment_is_a_value() {
    let test = sandbox();
    let plain = format!(
        "l:\n  - x\n  - {LOOKS_LIKE_A_COMMENT}\n# {LOOKS_LIKE_A_COMMENT}\nm:\n  - {LOOKS_LIKE_A_COMMENT}\n"
    );
    test.write("a.yaml", &plain);
    // What looks like ciphertexts is encrypted by the name `sops` alone.
    test.sealant(&["encrypt", "-i", "--age", RECIPIENT, "a.yaml"]).run().code(203);
    let output = test.sealant(&["sops", "encrypt", "-i", "--age", RECIPIENT, "a.yaml"]).run().ok();
    assert_eq!(output.stderr, "");
    assert_eq!(decrypt(&test, &["a.yaml"]).ok().text(), plain);
}

#[test]
fn an_alias_of_encrypted_values_is_refused() {
    let test = sandbox();
    test.write("a.yaml", "a:\n  - [x, y]\n  - [x, y]\n");
    test.sealant(&["encrypt", "-i", "--age", RECIPIENT, "a.yaml"]).run().ok();
    let encrypted = test.read_text("a.yaml");
    let mut lines: Vec<String> = encrypted.lines().map(str::to_owned).collect();
    lines[1] = lines[1].replacen("- [", "- &same [", 1);
    lines[2] = "  - *same".to_owned();
    test.write("a.yaml", lines.join("\n") + "\n");
    let output = decrypt(&test, &["a.yaml"]).code(25);
    assert!(output.stderr.contains("an alias of a collection"), "{}", output.stderr);
}

#[test]
fn a_value_that_was_copied_into_a_comment_cannot_become_lines_of_the_file() {
    let test = sandbox();
    test.write("a.yaml", "l:\n  # c\n  - \"a\\n  - evil\"\n");
    test.sealant(&["encrypt", "-i", "--age", RECIPIENT, "a.yaml"]).run().ok();
    let encrypted = test.read_text("a.yaml");
    let token = |line: usize| {
        let line = encrypted.lines().nth(line).expect("a line");
        line.trim_matches([' ', '#', '-', '"'])
    };
    test.write("a.yaml", encrypted.replacen(token(1), token(2), 1));
    assert_eq!(decrypt(&test, &["a.yaml"]).code(4).text(), "");
}

#[test]
fn of_many_comments_in_clear_a_few_are_named() {
    let test = encrypted();
    test.write("a.yaml", "# clear\n".repeat(1000) + &test.read_text("a.yaml"));
    let output = decrypt(&test, &["a.yaml"]).ok();
    assert!(output.stderr.lines().count() < 20, "{}", output.stderr);
    assert!(output.stderr.contains("990 more comments"), "{}", output.stderr);
}

#[test]
fn in_a_folder_what_is_broken_is_told_of_and_what_is_plain_is_counted() {
    let test = encrypted();
    let text = test.read_text("a.yaml");
    let (values, _) = text.split_once("\nsops:").expect("metadata");
    for (name, text) in [
        ("d/good.yaml", text.clone()),
        ("d/without.yaml", format!("{values}\n")),
        ("d/cut.yaml", format!("{text}    x: [\n")),
        ("d/no-map.yaml", format!("{values}\nsops: gone\n")),
        ("d/plain.yaml", PLAIN.to_owned()),
        ("d/README.md", "sops writes ENC[AES256_GCM,data:...]\n".to_owned()),
    ] {
        test.write(name, text);
    }
    let output = decrypt(&test, &["--dry-run", "--output-dir", "out", "d"]).code(1);
    assert_eq!(output.text(), "would write out/d/good.yaml\n");
    assert!(output.stderr.ends_with("\n1 would be decrypted, 2 not encrypted, 3 failed\n"), "{output}");
    for name in ["without", "cut", "no-map"] {
        assert!(output.stderr.contains(&format!("error: d/{name}.yaml:")), "{output}");
    }
    assert!(output.stderr.contains("sops metadata not found, without which"), "{output}");
    let output = decrypt(&test, &["-i", "d/good.yaml", "a.yaml"]).ok();
    assert_eq!(output.stderr, "", "named files need no summary");
    let output = decrypt(&test, &["--quiet", "-i", "d/plain.*"]).ok();
    assert_eq!(output.stderr, "");
}

/// A file in another's folder may have been made for its reader to become its owner, which is us once it is replaced.
#[test]
fn what_is_replaced_does_not_run_as_its_owner() {
    let test = sandbox();
    test.write("a.yaml", "a: 1\n");
    let mode = || fs::metadata(test.path("a.yaml")).unwrap().permissions().mode() & 0o7777;
    for args in [&["encrypt", "-i", "--age", RECIPIENT, "a.yaml"][..], &["decrypt", "-i", "a.yaml"]] {
        fs::set_permissions(test.path("a.yaml"), fs::Permissions::from_mode(0o6755)).unwrap();
        test.sealant(args).env("SOPS_AGE_KEY", IDENTITY).run().ok();
        assert_eq!(mode() & 0o7000, 0, "{args:?}");
    }
}
