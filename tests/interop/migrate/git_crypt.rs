//! What the real git-crypt encrypts becomes files that the real sops opens to the same.

use sealant_test_support::{Output, Run, Sandbox};

use super::{commit, git, own, repository, stranger};

fn git_crypt(test: &Sandbox, words: &[&str]) -> Output {
    test.program("git-crypt", words).run().ok()
}

const FILE: &str = "# of the shop\ndb:\n    password:   hunter2   # stays\n    port: 5432\n";

/// A repository in which git-crypt encrypts `apps/`, with its key beside it, and with these files in a commit.
fn with_files(files: &[(&str, &[u8])]) -> Sandbox {
    let test = repository();
    git_crypt(&test, &["init"]);
    git_crypt(&test, &["export-key", &key(&test)]);
    test.write(".gitattributes", "# secrets\napps/** filter=git-crypt diff=git-crypt\n*.png binary\n");
    files.iter().for_each(|(name, content)| test.write(name, content));
    commit(&test);
    test
}

fn key(test: &Sandbox) -> String {
    test.tmp().join("git-crypt.key").display().to_string()
}

/// No value is ever said.
fn migrate(test: &Sandbox, words: &[&str]) -> Output {
    let output = test.sealant(&["migrate", "git-crypt"]).args(words).run();
    let said = format!("{}{}", output.stderr, String::from_utf8_lossy(&output.stdout));
    assert!(!said.contains("hunter2"), "{said}");
    output
}

fn with_identity(test: &Sandbox, run: Run) -> Run {
    run.env("SOPS_AGE_KEY_FILE", test.home(".config/sops/age/keys.txt"))
}

#[test]
fn files_become_files_of_sops_and_a_new_clone_needs_no_git_crypt() {
    let all_bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let files: [(&str, &[u8]); 6] = [
        ("apps/db.yaml", FILE.as_bytes()),
        ("apps/app.json", b"{\n  \"password\": \"hunter2\"\n}\n"),
        ("apps/app.env", b"# one\nPASSWORD=hunter2\n"),
        ("apps/tls.key", &all_bytes),
        ("apps/empty.yaml", b""),
        ("public.yaml", b"a: 1\n"),
    ];
    let test = with_files(&files);
    let stored = test.program("git", &["cat-file", "blob", "HEAD:apps/db.yaml"]).run().ok().stdout;
    assert!(stored.starts_with(b"\0GITCRYPT\0"));

    let dry = migrate(&test, &["--dry-run", "."]).ok();
    assert!(dry.text().contains("would write ./apps/db.yaml"), "{dry}");
    assert_eq!(test.read_text("apps/db.yaml"), FILE);
    let done = migrate(&test, &["."]).ok();
    for said in [
        "4 migrated",
        "take git-crypt out of these lines",
        "  .gitattributes:2: apps/** filter=git-crypt diff=git-crypt",
    ] {
        assert!(done.stderr.contains(said), "{said}: {done}");
    }
    let again = migrate(&test, &["."]).ok();
    assert!(again.stderr.contains("0 migrated, 4 encrypted already"), "{again}");

    test.write(".gitattributes", "# secrets\n*.png binary\n");
    commit(&test);
    git(&test, &["clone", "-q", ".", "clone"]);
    for (name, content) in &files[..4] {
        let cloned = format!("clone/{name}");
        assert!(!test.read_text(&cloned).contains("hunter2"), "{name}");
        let opened = with_identity(&test, test.sops(&["decrypt", &cloned])).run().ok().stdout;
        assert!(opened == *content || name.ends_with("yaml") || name.ends_with("json"), "{name}");
        assert_eq!(test.sealant(&["decrypt", &cloned]).run().ok().stdout, *content, "{name}");
    }
    let value = with_identity(
        &test,
        test.sops(&["decrypt", "--extract", "[\"db\"][\"password\"]", "clone/apps/db.yaml"]),
    );
    assert_eq!(value.run().ok().text(), "hunter2");
    assert_eq!(test.read_text("clone/public.yaml"), "a: 1\n");
}

#[test]
fn a_clone_that_is_locked_needs_the_key() {
    let test = with_files(&[("apps/db.yaml", FILE.as_bytes())]);
    git_crypt(&test, &["lock"]);
    let locked = test.read("apps/db.yaml");
    let none = migrate(&test, &["apps"]).code(64);
    assert!(none.stderr.contains("this clone has no key of git-crypt"), "{none}");

    // Another key, and content that somebody has changed.
    let other = with_files(&[]);
    let wrong = migrate(&test, &["--key", &key(&other), "apps"]).code(25);
    assert!(wrong.stderr.contains("apps/db.yaml: no key of git-crypt opens it"), "{wrong}");
    let mut changed = locked.clone();
    *changed.last_mut().expect("a byte") ^= 1;
    test.write("apps/changed.yaml", &changed);
    let refused = migrate(&test, &["--key", &key(&test), "apps/changed.yaml"]).code(25);
    assert!(refused.stderr.contains("somebody has changed it"), "{refused}");
    assert_eq!(test.read("apps/changed.yaml"), changed);
    let no_key = migrate(&test, &["--key", "apps/changed.yaml", "apps"]).code(2);
    assert!(no_key.stderr.contains("apps/changed.yaml: this is no key of git-crypt"), "{no_key}");

    // A rule that would publish some of it.
    let rules = test.read_text(".sops.yaml");
    test.write(".sops.yaml", format!("{rules}    encrypted_regex: ^port$\n"));
    let public = migrate(&test, &["--key", &key(&test), "apps/db.yaml"]).code(8);
    assert!(public.stderr.contains("would be in plaintext by the rule, and is encrypted now"), "{public}");
    test.write(".sops.yaml", rules);
    migrate(&test, &["--key", &key(&test), "apps/db.yaml"]).ok();
    assert_eq!(test.sealant(&["decrypt", "apps/db.yaml"]).run().ok().text(), FILE);
}

/// Whoever puts what git-crypt stored where they read would get what is in it, though they have no key.
#[test]
fn a_copy_for_other_readers_is_not_migrated() {
    let test = with_files(&[("apps/db.yaml", FILE.as_bytes())]);
    let (own, stranger) = (own(&test), stranger(&test));
    test.write(".sops.yaml", format!(
        "creation_rules:\n  - {{path_regex: ^apps/, age: {own}}}\n  - {{path_regex: ^dev/, age: '{own},{stranger}'}}\n"
    ));
    commit(&test);
    let stored = test.program("git", &["cat-file", "blob", "HEAD:apps/db.yaml"]).run().ok().stdout;
    test.write("dev/copy.yaml", &stored);
    let refused = migrate(&test, &["dev"]).code(8);
    assert!(refused.stderr.contains("apps/db.yaml") && refused.stderr.contains(&stranger), "{refused}");
    assert_eq!(test.read("dev/copy.yaml"), stored);
    // The same, where Git checks it out in plaintext.
    test.write(".gitattributes", "*.yaml filter=git-crypt diff=git-crypt\n.sops.yaml !filter !diff\n");
    test.write("dev/copy.yaml", FILE);
    let refused = migrate(&test, &["dev"]).code(8);
    assert!(refused.stderr.contains("--allow-copied dev/copy.yaml"), "{refused}");
    migrate(&test, &["--allow-copied", "dev/copy.yaml"]).ok();
}

/// What git-crypt keeps from those who have no key comes to none of them, whoever puts it where they read: an unlocked clone has it in
/// plaintext there.
#[test]
fn what_git_crypt_keeps_is_not_encrypted_for_others() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: shop\nstringData:\n  password: hunter2\n";
    let files = [("apps/prod/db.yaml", FILE.as_bytes()), ("apps/prod/secret.yaml", secret.as_bytes())];
    let test = with_files(&files);
    let (own, stranger) = (own(&test), stranger(&test));
    let prod = format!("  - {{path_regex: ^apps/prod/, age: {own}}}\n");
    let rules = |prod: &str| {
        format!("creation_rules:\n{prod}  - {{path_regex: ^apps/dev/, age: '{own},{stranger}'}}\n")
    };
    test.write(".sops.yaml", rules(&prod));
    test.write("apps/dev/own.yaml", "db: {password: hunter2-own}\n");
    commit(&test);
    for file in ["db.yaml", "secret.yaml"] {
        let id = test.program("git", &["rev-parse", &format!("HEAD:apps/prod/{file}")]).run().ok();
        let entry = format!("100644,{},apps/dev/{file}", id.text().trim());
        git(&test, &["update-index", "--add", "--cacheinfo", &entry]);
    }
    git(&test, &["commit", "-q", "-m", "copied"]);
    git(&test, &["checkout", "-q", "--", "apps/dev"]);
    assert_eq!(test.read_text("apps/dev/db.yaml"), FILE);
    let refused = |args: &[&str], file: &str| {
        let before = test.read_text(file);
        let output = test.sealant(args).stdin(before.as_bytes()).run();
        assert_eq!(output.status, if args[0] == "check" { 1 } else { 8 }, "{args:?} {output}");
        let way_out = format!("sealant migrate git-crypt --allow-copied {file}");
        for part in ["apps/prod/", &stranger, &way_out] {
            assert!(output.stderr.contains(part), "{args:?} {part}: {output}");
        }
        assert_eq!(test.read_text(file), before, "{args:?}");
    };
    let (db, manifest) = ("apps/dev/db.yaml", "apps/dev/secret.yaml");
    refused(&["encrypt", "-i", db], db);
    refused(&["encrypt", "--output", db, "-"], db);
    refused(&["encrypt", "-i", manifest], manifest);
    refused(&["check", "--fix", db], db);
    refused(&["seal", "-i", manifest], manifest);
    refused(&["migrate", "secrets", "apps/dev"], manifest);
    refused(&["migrate", "git-crypt", db], db);
    // With a rule that goes along, and another file in the old place.
    test.write(".sops.yaml", rules(""));
    git(&test, &["commit", "-q", "-a", "-m", "rules"]);
    refused(&["migrate", "git-crypt", db], db);
    test.write("apps/prod/db.yaml", "other: 1\n");
    git(&test, &["commit", "-q", "-a", "-m", "another"]);
    refused(&["encrypt", "-i", db], db);
    refused(&["migrate", "git-crypt", db], db);
    // What is only here is for whom the rule names, and so is this for whoever says so.
    test.sealant(&["encrypt", "-i", "apps/dev/own.yaml"]).run().ok();
    migrate(&test, &["--allow-copied", db]).ok();
    test.sealant(&["migrate", "secrets", "--allow-copied", manifest]).run().ok();
}

/// A key that does not belong to a file does not make it plaintext.
#[test]
fn what_another_key_of_git_crypt_opened_is_not_migrated_for_others() {
    let test = with_files(&[("dev/own.yaml", FILE.as_bytes())]);
    let (own, stranger) = (own(&test), stranger(&test));
    git_crypt(&test, &["init", "-k", "prod"]);
    test.write(".sops.yaml", format!(
        "creation_rules:\n  - {{path_regex: ^apps/, age: {own}}}\n  - {{path_regex: ^dev/, age: '{own},{stranger}'}}\n"
    ));
    let filter = |name: &str| format!("filter={name} diff={name}\n");
    let attributes = format!("apps/** {}dev/** {}", filter("git-crypt-prod"), filter("git-crypt"));
    test.write(".gitattributes", attributes);
    test.write("apps/db.yaml", FILE);
    commit(&test);
    let id = test.program("git", &["rev-parse", "HEAD:apps/db.yaml"]).run().ok();
    git(
        &test,
        &["update-index", "--add", "--cacheinfo", &format!("100644,{},dev/db.yaml", id.text().trim())],
    );
    let attributes = test.read_text(".gitattributes") + "dev/db.yaml " + &filter("git-crypt-prod");
    test.write(".gitattributes", attributes);
    git(&test, &["add", ".gitattributes"]);
    git(&test, &["commit", "-q", "-m", "copied"]);
    git(&test, &["checkout", "-q", "--", "dev/db.yaml"]);
    assert_eq!(test.read_text("dev/db.yaml"), FILE);
    let refused = migrate(&test, &["--key", &key(&test), "dev/db.yaml"]).code(8);
    assert!(refused.stderr.contains("apps/db.yaml") && refused.stderr.contains(&stranger), "{refused}");
    assert_eq!(test.read_text("dev/db.yaml"), FILE);
}
