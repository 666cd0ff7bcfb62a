//! What the real ansible-vault has encrypted becomes a file that the real sops opens to the same.

use std::os::unix::fs::PermissionsExt;

use sealant_test_support::{Output, Peers, Sandbox};
use serde_json::{Value, json};

use super::{commit, own, repository, stranger};

const FILE: &str = "# of the shop\ndb:\n    password:   hunter2   # stays\n    port: 5432\n";

/// A repository with the passwords `pw` and `other` beside it.
fn with_passwords() -> Sandbox {
    let test = repository();
    test.write(test.tmp().join("pw"), "  long password\n");
    test.write(test.tmp().join("other"), "another\n");
    test
}

fn password(test: &Sandbox, name: &str) -> String {
    test.tmp().join(name).display().to_string()
}

fn ansible_vault(test: &Sandbox, words: &[&str]) -> Output {
    let folders = ["ansible", "pre-commit", "moto"].map(|name| Peers::get().directory().join(name));
    let run = test.program("python3", &["-m", "ansible", "vault"]).args(words);
    let run = run.env("PYTHONPATH", std::env::join_paths(folders).expect("folders"));
    run.env("PYTHONDONTWRITEBYTECODE", "1").env("ANSIBLE_HOME", test.home("ansible")).run()
}

/// Encrypts files in their places, with this password.
fn encrypt(test: &Sandbox, name: &str, files: &[&str]) {
    let words = ["encrypt", "--vault-password-file", &password(test, name)];
    ansible_vault(test, &[&words[..], files].concat()).ok();
}

/// A value with its tag, as it is pasted into a file.
fn inline(test: &Sandbox, name: &str, value: &str) -> String {
    let words = ["encrypt_string", "--vault-password-file", &password(test, name), "--name", "x", value];
    let output = ansible_vault(test, &words).ok();
    output.text().trim_end().strip_prefix("x: ").expect("a value").to_owned()
}

/// No value is ever said.
fn migrate(test: &Sandbox, words: &[&str]) -> Output {
    let output = test.sealant(&["migrate", "ansible-vault"]).args(words).run();
    let said = format!("{}{}", output.stderr, String::from_utf8_lossy(&output.stdout));
    assert!(!said.contains("hunter2") && !said.contains("long password"), "{said}");
    output
}

/// What the real sops makes of a file.
fn opened(test: &Sandbox, file: &str, words: &[&str]) -> Vec<u8> {
    let run = test.sops(&["decrypt", file]).args(words);
    run.env("SOPS_AGE_KEY_FILE", test.home(".config/sops/age/keys.txt")).run().ok().stdout
}

#[test]
fn whole_files_become_files_of_sops() {
    let test = with_passwords();
    let all_bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let files: [(&str, &[u8]); 4] = [
        ("apps/vault.yml", FILE.as_bytes()),
        ("apps/app.json", b"{\n  \"password\": \"hunter2\"\n}\n"),
        ("apps/app.env", b"# one\nPASSWORD=hunter2\n"),
        ("apps/tls.key", &all_bytes),
    ];
    files.iter().for_each(|(name, content)| test.write(name, content));
    encrypt(&test, "pw", &files.map(|(name, _)| name));
    // Of another vault ID, whose label is in the header.
    test.write("apps/other.yml", FILE);
    let id = format!("dev@{}", password(&test, "other"));
    ansible_vault(&test, &["encrypt", "--encrypt-vault-id", "dev", "--vault-id", &id, "apps/other.yml"]).ok();
    assert!(test.read_text("apps/other.yml").starts_with("$ANSIBLE_VAULT;1.2;AES256;dev\n"));
    test.write("apps/public.yml", "a: 1\n");
    let mut before: Vec<_> = files.iter().map(|(name, content)| (*name, content.to_vec())).collect();
    before.push(("apps/other.yml", FILE.into()));

    let flags = ["--vault-password-file", &password(&test, "pw"), "--vault-id", &id];
    let encrypted = test.read_text("apps/vault.yml");
    let dry = migrate(&test, &[&flags[..], &["--dry-run", "."]].concat()).ok();
    assert!(dry.text().contains("would write ./apps/vault.yml"), "{dry}");
    assert_eq!(test.read_text("apps/vault.yml"), encrypted);

    let done = migrate(&test, &[&flags[..], &["."]].concat()).ok();
    assert!(done.stderr.contains("5 migrated"), "{done}");
    assert!(done.stderr.contains("the history of Git keeps the old files"), "{done}");
    for (name, content) in before {
        assert!(!test.read_text(name).contains("hunter2"), "{name}");
        assert!(
            opened(&test, name, &[]) == content || name.ends_with("yml") || name.ends_with("json"),
            "{name}"
        );
        assert_eq!(test.sealant(&["decrypt", name]).run().ok().stdout, content, "{name}");
    }
    let value: Value =
        serde_json::from_slice(&opened(&test, "apps/vault.yml", &["--output-type", "json"])).expect("JSON");
    assert_eq!(value, json!({"db": {"password": "hunter2", "port": 5432}}));
    assert_eq!(test.read_text("apps/public.yml"), "a: 1\n");

    let again = migrate(&test, &[&flags[..], &["."]].concat()).ok();
    assert!(again.stderr.contains("0 migrated, 5 encrypted already"), "{again}");
}

#[test]
fn tagged_values_become_values_of_sops() {
    let test = with_passwords();
    let values = ["hunter2", "12345", "two hunter2\nlines\n", " 'ä' \"x\": #"];
    let [a, b, c, d] = values.map(|value| inline(&test, "pw", value));
    let deeper = c.replace('\n', "\n        ");
    let text = format!(
        "---\n# at the top\nuser: shop   # stays\na: {a}\n\nb:   {b}\nlist:\n    - name: x\n      value: {deeper}\n    - {}\nlast: 2\n",
        d.replace('\n', "\n      ")
    );
    test.write("apps/main.yml", &text);
    let done = migrate(&test, &["--vault-password-file", &password(&test, "pw"), "apps/main.yml"]).ok();
    assert!(!test.read_text("apps/main.yml").contains("ANSIBLE_VAULT"), "{done}");
    let value: Value =
        serde_json::from_slice(&opened(&test, "apps/main.yml", &["--output-type", "json"])).expect("JSON");
    let expected = json!({"user": "shop", "a": values[0], "b": values[1],
        "list": [{"name": "x", "value": values[2]}, values[3]], "last": 2});
    assert_eq!(value, expected);
    let plain = test.sealant(&["decrypt", "apps/main.yml"]).run().ok().text().to_owned();
    assert!(plain.starts_with("---\n# at the top\nuser: shop   # stays\na: hunter2\n\nb:   "), "{plain}");

    // One that does not open leaves all of the file as it is: its ciphertext would be encrypted once more.
    let both = format!("a: {a}\nb: {}\n", inline(&test, "other", "hunter2"));
    test.write("apps/both.yml", &both);
    let flags = ["--vault-password-file", &password(&test, "pw")];
    let refused = migrate(&test, &[&flags[..], &["apps/both.yml"]].concat()).code(25);
    let line = a.lines().count() + 1;
    assert!(refused.stderr.contains(&format!("apps/both.yml:{line}: no password opens it")), "{refused}");
    assert_eq!(test.read_text("apps/both.yml"), both);
    // With the other password beside it, by Ansible's own variable.
    let run =
        test.sealant(&["migrate", "ansible-vault", "--vault-id", &format!("x@{}", password(&test, "other"))]);
    run.args(&flags).args(&["apps/both.yml"]).run().ok();
    let value: Value =
        serde_json::from_slice(&opened(&test, "apps/both.yml", &["--output-type", "json"])).expect("JSON");
    assert_eq!(value, json!({"a": "hunter2", "b": "hunter2"}));
}

#[test]
fn what_does_not_open_or_would_be_public_stays_as_it_is() {
    let test = with_passwords();
    test.write("apps/vault.yml", FILE);
    encrypt(&test, "pw", &["apps/vault.yml"]);
    let good = test.read_text("apps/vault.yml");
    let pw = password(&test, "pw");
    // Hex of a hex digit, and still one.
    let (rest, last) = good.trim_end().split_at(good.trim_end().len() - 1);
    let flipped = format!("{rest}{}\n", if last == "1" { "2" } else { "1" });
    let lines: Vec<&str> = good.lines().collect();
    for (name, content, code, why) in [
        ("wrong", good.clone(), 25, "no password opens it"),
        ("flipped", flipped, 25, "no password opens it"),
        ("cut", lines[..3].join("\n"), 2, "a ciphertext of ansible-vault is cut off or broken"),
        ("header", "$ANSIBLE_VAULT;1.1;AES256\n".to_owned(), 2, "is cut off or broken"),
        ("old", good.replace(";1.1;AES256", ";1.0;AES"), 2, "of a version of ansible-vault other than"),
        ("text", "a: '$ANSIBLE_VAULT;'\n".to_owned(), 1, "there is no ciphertext of ansible-vault in it"),
        ("broken", "a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\n".to_owned(), 2, "cut off or broken"),
        ("huge", format!("{}{}", good, "3".repeat(8 << 20)), 25, "no password opens it"),
    ] {
        let file = format!("apps/{name}.yml");
        test.write(&file, &content);
        let key = if name == "wrong" { password(&test, "other") } else { pw.clone() };
        let refused = migrate(&test, &["--vault-password-file", &key, &file]);
        assert_eq!(refused.status, code, "{name}: {refused}");
        assert!(refused.stderr.contains(&file) && refused.stderr.contains(why), "{name}: {refused}");
        assert_eq!(test.read_text(&file), content, "{name}");
    }

    let flags = ["--vault-password-file", &pw];
    let nobody = migrate(&test, &["apps/vault.yml"]).code(64);
    assert!(nobody.stderr.contains("no password of ansible-vault is given"), "{nobody}");
    let by_variable = test.sealant(&["migrate", "ansible-vault", "--dry-run", "apps/vault.yml"]);
    by_variable.env("ANSIBLE_VAULT_PASSWORD_FILE", &pw).run().ok();
    let script = test.tmp().join("script");
    test.write(&script, "#!/bin/sh\necho long password\n");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("a file");
    let program =
        migrate(&test, &["--vault-password-file", &script.display().to_string(), "apps/vault.yml"]).code(8);
    assert!(program.stderr.contains("this is a program, and it is not run"), "{program}");
    assert!(program.stderr.contains(&format!("`chmod a-x {}`", script.display())), "{program}");

    // A rule that would publish some of it, and a place of which no rule speaks.
    let rule = format!(
        "creation_rules:\n  - path_regex: ^apps/\n    age: {}\n    encrypted_regex: ^port$\n",
        own(&test)
    );
    let rules = test.read_text(".sops.yaml");
    test.write(".sops.yaml", rule);
    let public = migrate(&test, &[&flags[..], &["apps/vault.yml"]].concat()).code(8);
    assert!(public.stderr.contains("would be in plaintext by the rule, and is encrypted now"), "{public}");
    assert!(public.stderr.contains("Let the rule at .sops.yaml:2 encrypt it, too"), "{public}");
    test.write(".sops.yaml", rules);
    test.write("elsewhere/vault.yml", &good);
    let nowhere = migrate(&test, &[&flags[..], &["elsewhere"]].concat());
    assert!(nowhere.status != 0 && nowhere.stderr.contains("elsewhere/vault.yml"), "{nowhere}");
    assert_eq!(test.read_text("elsewhere/vault.yml"), good);

    // A link out of the repository is not written through.
    let outside = test.tmp().join("outside.yml");
    test.write(&outside, &good);
    std::os::unix::fs::symlink(&outside, test.path("apps/link.yml")).expect("a link");
    let refused = migrate(&test, &[&flags[..], &["apps/link.yml"]].concat());
    assert!(refused.status != 0 && refused.stderr.contains("apps/link.yml"), "{refused}");
    assert_eq!(std::fs::read_to_string(&outside).expect("a file"), good);
    assert_eq!(test.read_text("apps/vault.yml"), good);
}

/// The same text, as YAML and JSON write strings.
#[test]
fn a_copy_of_a_ciphertext_in_another_form_is_not_migrated() {
    let test = with_passwords();
    let (own, stranger) = (own(&test), stranger(&test));
    test.write(".sops.yaml", format!(
        "creation_rules:\n  - {{path_regex: ^apps/, age: {own}}}\n  - {{path_regex: ^dev/, age: '{own},{stranger}'}}\n"
    ));
    let lines = |value: &str| {
        let lines: Vec<String> = value.lines().skip(1).map(|line| line.trim().to_owned()).collect();
        lines
    };
    let values = ["hunter2", "hunter22", "hunter222"].map(|value| lines(&inline(&test, "pw", value)));
    let [quoted, json, folded] = values.clone();
    test.write("apps/a.yml", format!("a: !vault \"{}\\n\"\n", quoted.join("\\n")));
    test.write("apps/b.json", format!("{{\"a\": {{\"__ansible_vault\": \"{}\"}}}}\n", json.join("\\n")));
    test.write("apps/c.yml", format!("a: !vault >\n  {}\n", folded.join("\n\n  ")));
    commit(&test);
    let flags = ["--vault-password-file", &password(&test, "pw")];
    for (value, original) in values.iter().zip(["apps/a.yml", "apps/b.json", "apps/c.yml"]) {
        test.write("dev/copy.txt", value.join("\n") + "\n");
        let refused = migrate(&test, &[&flags[..], &["dev/copy.txt"]].concat()).code(8);
        assert!(refused.stderr.contains(original) && refused.stderr.contains(&stranger), "{refused}");
    }
}

/// Whoever puts a copy of a file where they read would get what is in it.
#[test]
fn a_copy_of_a_ciphertext_for_other_readers_is_not_migrated() {
    let test = with_passwords();
    let (own, stranger) = (own(&test), stranger(&test));
    test.write(".sops.yaml", format!(
        "creation_rules:\n  - {{path_regex: ^apps/, age: {own}}}\n  - {{path_regex: ^dev/, age: '{own},{stranger}'}}\n"
    ));
    let value = inline(&test, "pw", "hunter2");
    test.write("apps/main.yml", format!("a: {value}\n"));
    commit(&test);
    // The same ciphertext, as a file of its own and with another header.
    let copy: Vec<&str> = value.lines().skip(1).map(str::trim).collect();
    let copy = copy.join("\n").replace("1.1;AES256", "1.2;AES256;dev") + "\n";
    test.write("dev/copy.txt", &copy);
    let flags = ["--vault-password-file", &password(&test, "pw")];
    let refused = migrate(&test, &[&flags[..], &["dev"]].concat()).code(8);
    assert!(refused.stderr.contains("apps/main.yml") && refused.stderr.contains(&stranger), "{refused}");
    assert_eq!(test.read_text("dev/copy.txt"), copy);

    // Once the original is migrated it is in the history alone.
    std::fs::remove_file(test.path("dev/copy.txt")).expect("a file");
    migrate(&test, &[&flags[..], &["apps"]].concat()).ok();
    commit(&test);
    test.write("dev/copy.txt", &copy);
    let refused = migrate(&test, &[&flags[..], &["dev"]].concat()).code(8);
    assert!(refused.stderr.contains("--allow-copied dev/copy.txt"), "{refused}");
    migrate(&test, &[&flags[..], &["--allow-copied", "dev/copy.txt"]].concat()).ok();
    assert_eq!(opened(&test, "dev/copy.txt", &[]), b"hunter2");
}

/// Whoever opens a file in its place with ansible-vault, and encrypts it there, lets in whoever reads there.
#[test]
fn what_was_moved_and_opened_in_its_place_is_not_encrypted_for_others() {
    let test = with_passwords();
    let (own, stranger) = (own(&test), stranger(&test));
    test.write(".sops.yaml", format!(
        "creation_rules:\n  - {{path_regex: ^apps/, age: {own}}}\n  - {{path_regex: ^dev/, age: '{own},{stranger}'}}\n"
    ));
    for file in ["apps/main.yml", "dev/own.yml"] {
        test.write(file, FILE);
        encrypt(&test, "pw", &[file]);
    }
    commit(&test);
    std::fs::rename(test.path("apps/main.yml"), test.path("dev/main.yml")).expect("a file");
    commit(&test);
    let flags = ["--vault-password-file", &password(&test, "pw")];
    for file in ["dev/main.yml", "dev/own.yml"] {
        ansible_vault(&test, &[&["decrypt"], &flags[..], &[file]].concat());
    }
    for args in [&["encrypt", "-i", "dev/main.yml"][..], &["check", "--fix", "dev/main.yml"]] {
        let refused = test.sealant(args).run();
        let way_out = "sealant migrate ansible-vault --allow-copied dev/main.yml";
        for part in ["apps/main.yml of commit", &stranger, way_out] {
            assert!(refused.status != 0 && refused.stderr.contains(part), "{part}: {refused}");
        }
        assert_eq!(test.read_text("dev/main.yml"), FILE);
    }
    test.sealant(&["encrypt", "-i", "dev/own.yml"]).run().ok();
    // With another ciphertext than where it comes from, as of a rekey that a branch moved along.
    encrypt(&test, "pw", &["dev/main.yml"]);
    commit(&test);
    let refused = migrate(&test, &[&flags[..], &["dev/main.yml"]].concat()).code(8);
    assert!(refused.stderr.contains("apps/main.yml of commit"), "{refused}");
    // The way out.
    migrate(&test, &[&flags[..], &["--allow-copied", "dev/main.yml"]].concat()).ok();
}
