//! What commands that write take of a folder, and what they say of the rest.

use sealant_test_support::Sandbox;

use super::{IDENTITY, RECIPIENT, STRANGER, at_home};

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop}\nstringData: {password: hunter2}\n";

fn git(test: &Sandbox, args: &[&str]) {
    let author = ["-c", "user.email=a@example.com", "-c", "user.name=a"];
    test.program("git", &author).args(args).run().ok();
}

/// A repository as people have them, with these creation rules.
fn repository(rules: &str) -> Sandbox {
    let test = at_home();
    git(&test, &["init", "-q"]);
    test.write(".sops.yaml", format!("creation_rules:\n{}", rules.replace("AGE", RECIPIENT)));
    for (file, text) in [
        ("secrets/a.yaml", "password: hunter2\n"),
        ("secrets/.env", "PASSWORD=hunter2\n"),
        ("secrets/.gitignore", "*.plain.yaml\n.env\nbuild/\n"),
        ("secrets/.gitattributes", "*.yaml diff=sealant\n"),
        ("secrets/.gitkeep", ""),
        ("secrets/a.plain.yaml", "password: hunter2\n"),
        ("secrets/build/out.json", "{\"password\": \"hunter2\"}\n"),
        ("package.json", "{\"name\": \"shop\"}\n"),
        ("README.md", "# Shop\n"),
    ] {
        test.write(file, text);
    }
    test
}

const NAMED: &str = "  - path_regex: ^secrets/\n    age: AGE\n";
const ALL: &str = "  - age: AGE\n";

/// The files of the sandbox that hold a ciphertext.
fn encrypted(test: &Sandbox) -> Vec<&'static str> {
    let files = [
        ".sops.yaml",
        "README.md",
        "package.json",
        "secrets/.env",
        "secrets/.gitattributes",
        "secrets/.gitignore",
        "secrets/.gitkeep",
        "secrets/a.plain.yaml",
        "secrets/a.yaml",
        "secrets/build/out.json",
    ];
    files.into_iter().filter(|file| test.read_text(file).contains("ENC[")).collect()
}

#[test]
fn of_a_folder_what_a_rule_names_is_encrypted_and_the_rest_is_told() {
    let test = repository(NAMED);
    let output = test.sealant(&["encrypt", "-i", "."]).run().ok();
    assert_eq!(encrypted(&test), ["secrets/a.yaml"]);
    assert_eq!(
        output.stderr,
        "encrypted:\n  secrets/a.yaml\n\
         no creation rule matches these, which stay in plaintext:\n  README.md\n  package.json\n\
         1 encrypted, 2 in plaintext, 1 left alone (secrets/.gitkeep), 3 ignored by Git\n"
    );
    // What the hook asks for is what encrypting a folder does.
    git(&test, &["add", "-A"]);
    test.sealant(&["check"]).run().ok();
    test.sealant(&["hook", "pre-commit"]).run().ok();
    let again = test.sealant(&["encrypt", "-i", "secrets"]).run().ok();
    assert_eq!(
        again.stderr,
        "0 encrypted, 1 encrypted already, 1 left alone (secrets/.gitkeep), 3 ignored by Git\n"
    );
    let dry = test.sealant(&["encrypt", "-i", "--dry-run", "."]).run().ok();
    assert!(dry.stderr.contains("0 would be encrypted, 1 encrypted already, 2 in plaintext"), "{dry}");
}

#[test]
fn what_git_has_in_its_index_is_not_ignored() {
    let test = repository(NAMED);
    git(&test, &["add", "-f", "secrets/.env"]);
    test.sealant(&["encrypt", "-i", "secrets"]).run().ok();
    assert_eq!(encrypted(&test), ["secrets/.env", "secrets/a.yaml"]);
}

#[test]
fn patterns_and_repositories_in_a_repository_leave_alone_what_git_ignores() {
    let test = repository("  - path_regex: (^|/)secrets/\n    age: AGE\n");
    test.sealant(&["encrypt", "-i", "secrets/*.yaml"]).run().ok();
    assert_eq!(encrypted(&test), ["secrets/a.yaml"]);
    test.sealant(&["decrypt", "-i", "**/*.yaml"]).run().ok();
    test.sealant(&["encrypt", "-i", "**/*.yaml"]).run().ok();
    assert_eq!(encrypted(&test), ["secrets/a.yaml"]);

    git(&test, &["init", "-q", "inner"]);
    test.write("inner/.gitignore", "*.plain.yaml\n");
    test.write("inner/secrets/a.plain.yaml", "password: hunter2\n");
    test.write("inner/secrets/a.yaml", "password: hunter2\n");
    test.sealant(&["encrypt", "-i", "."]).run().ok();
    assert!(test.read_text("inner/secrets/a.yaml").contains("ENC["));
    assert_eq!(test.read_text("inner/secrets/a.plain.yaml"), "password: hunter2\n");
}

#[test]
fn named_files_are_taken_whatever_they_are() {
    let test = repository(ALL);
    let files = ["secrets/.env", "secrets/.gitignore", "secrets/a.plain.yaml", "README.md"];
    let args: Vec<&str> = ["encrypt", "-i"].into_iter().chain(files).collect();
    let output = test.sealant(&args).run().ok();
    assert_eq!(output.stderr, "");
    assert_eq!(encrypted(&test), ["README.md", "secrets/.env", "secrets/.gitignore", "secrets/a.plain.yaml"]);
}

#[test]
fn where_nobody_can_be_asked_what_no_rule_names_stays_and_that_is_an_error() {
    for (rules, flags) in [(ALL, &[][..]), ("  []\n", &["--age", RECIPIENT])] {
        let test = repository(rules);
        let run = |more: &[&str]| test.sealant(&["encrypt", "-i"]).args(flags).args(more).run();
        let output = run(&["secrets"]).code(1);
        assert_eq!(
            output.stderr,
            "no creation rule matches these, which stay in plaintext:\n  secrets/a.yaml\n\
             0 encrypted, 1 in plaintext, 1 left alone (secrets/.gitkeep), 3 ignored by Git\n\
             error: secrets: 1 file stayed in plaintext: no path_regex of a creation rule matches it, and there is no terminal to ask\n  \
             help: Name the files, or give their rule a path_regex; or include all that are in plaintext there: \
             `sealant encrypt -i --yes secrets`.\n"
        );
        assert_eq!(encrypted(&test), [""; 0]);
        run(&["--yes", "secrets"]).ok();
        assert_eq!(encrypted(&test), ["secrets/a.yaml"]);
    }
}

#[test]
fn a_rule_for_all_beside_one_that_names_files_makes_no_error_of_the_rest() {
    let test = repository(&format!("{NAMED}{ALL}"));
    let output = test.sealant(&["encrypt", "-i", "."]).run().ok();
    assert!(output.stderr.contains("stay in plaintext:\n  README.md\n  package.json\n"), "{output}");
    assert_eq!(encrypted(&test), ["secrets/a.yaml"]);
}

#[test]
fn on_a_terminal_somebody_is_asked_about_what_no_rule_names() {
    let test = repository(ALL);
    for (answer, expected) in
        [("n", &[][..]), ("", &[]), ("y", &["README.md", "package.json", "secrets/a.yaml"])]
    {
        let mut terminal = test.sealant(&["encrypt", "-i", "."]).on_terminal();
        terminal.wait_for("README.md\r\n  package.json\r\n  secrets/a.yaml\r\nEncrypt them, too? [y/N] ");
        terminal.send_line(answer);
        let output = terminal.finish().ok();
        assert_eq!(encrypted(&test), expected, "{output}");
        let counted = if answer == "y" { "3 encrypted, " } else { "0 encrypted, 3 in plaintext, " };
        assert!(output.text().contains(counted), "{output}");
    }
    // With nothing to ask nobody is asked.
    let output = test.sealant(&["encrypt", "-i", "."]).on_terminal().finish().ok();
    assert!(output.text().contains("0 encrypted, 3 encrypted already"), "{output}");
}

#[test]
fn identities_are_not_encrypted_with_the_folder_that_they_are_in() {
    let test = repository(NAMED);
    let identities = format!("# created: today\n# public key: {RECIPIENT}\n{IDENTITY}\n");
    test.write("keys.txt", &identities);
    test.sealant(&["encrypt", "-i", "--age", STRANGER, "--yes", "."]).run().ok();
    assert_eq!(test.read_text("keys.txt"), identities);
    test.write("secrets/keys.txt", &identities);
    let output = test.sealant(&["encrypt", "-i", "secrets"]).run().code(8);
    assert!(output.stderr.contains("error: secrets/keys.txt: it holds identities"), "{output}");
    assert!(output.stderr.contains("`sealant encrypt -i secrets/keys.txt`"), "{output}");
    assert_eq!(test.read_text("secrets/keys.txt"), identities);
    test.sealant(&["check", "--fix", "secrets"]).run().code(1);
    assert_eq!(test.read_text("secrets/keys.txt"), identities);
    test.sealant(&["encrypt", "-i", "secrets/keys.txt"]).run().ok();
    assert_ne!(test.read_text("secrets/keys.txt"), identities);
}

#[test]
fn what_git_ignores_is_changed_by_no_command() {
    let test = repository(NAMED);
    test.sealant(&["encrypt", "-i", "secrets/a.yaml", "secrets/a.plain.yaml"]).run().ok();
    let ignored = test.read_text("secrets/a.plain.yaml");
    let kept = |args: &[&str]| {
        test.sealant(args).run().ok();
        assert_eq!(test.read_text("secrets/a.plain.yaml"), ignored, "{args:?}");
    };
    let before = test.read_text("secrets/a.yaml");
    kept(&["rotate", "-i", "secrets"]);
    assert_ne!(test.read_text("secrets/a.yaml"), before);
    kept(&["updatekeys", "--rotate", "--yes", "secrets"]);
    kept(&["rewrap", "secrets"]);
    kept(&["decrypt", "-i", "secrets"]);
    assert_eq!(test.read_text("secrets/a.yaml"), "password: hunter2\n");
    test.write("secrets/b.plain.yaml", SECRET);
    test.write("secrets/b.yaml", SECRET);
    kept(&["seal", "-i", "secrets"]);
    assert_eq!(test.read_text("secrets/b.plain.yaml"), SECRET);
    assert_ne!(test.read_text("secrets/b.yaml"), SECRET);
}

#[test]
fn secrets_that_no_rule_names_are_asked_for_before_they_are_sealed() {
    let test = repository(ALL);
    test.write("apps/db.yaml", SECRET);
    let output = test.sealant(&["seal", "-i", "apps"]).run().code(1);
    assert!(
        output.stderr.contains("stay in plaintext:\n  apps/db.yaml\n0 sealed, 1 in plaintext\n"),
        "{output}"
    );
    assert!(output.stderr.contains("`sealant seal -i --yes apps`"), "{output}");
    let mut terminal = test.sealant(&["seal", "-i", "."]).on_terminal();
    terminal.wait_for("  apps/db.yaml\r\nSeal them, too? [y/N] ");
    terminal.send_line("y");
    terminal.finish().ok();
    assert!(test.read_text("apps/db.yaml").contains("sealant.dev/v1alpha1"));
    test.write("apps/db.yaml", SECRET);
    test.sealant(&["seal", "-i", "--yes", "apps"]).run().ok();
    assert!(test.read_text("apps/db.yaml").contains("sealant.dev/v1alpha1"));
}

#[test]
fn where_git_fails_nothing_is_written() {
    let test = repository(NAMED);
    test.write(".git/config", "[core\n");
    for args in
        [&["encrypt", "-i", "."][..], &["rotate", "-i", "."], &["seal", "-i", "."], &["decrypt", "-i", "."]]
    {
        assert!(!test.sealant(args).run().stderr.is_empty());
        assert_eq!(encrypted(&test), [""; 0]);
    }
    test.sealant(&["encrypt", "-i", "secrets/a.yaml"]).run().ok();
}
