//! What the real dotenvx encrypts becomes files that the real sops opens to what dotenvx gives programs.

use std::collections::BTreeMap;

use sealant_test_support::{Output, Peers, Run, Sandbox};

use super::{commit, own, repository, stranger};

const FILE: &str = "# of the shop\nHELLO=hunter2\n\nexport PASSWORD=\"hunter2 #x\"   # why\nMULTI=\"hunter2\nb\"\nEMPTY=\n\
                    SINGLE='a$HOME'\nTABS=\"a\\tb\"\nBACK=`x \"y\"`\nPLAIN=un quoted # c\n";

fn dotenvx(test: &Sandbox, words: &[&str]) -> Output {
    test.program(Peers::get().program("dotenvx"), words).run().ok()
}

/// Writes a file that dotenvx has encrypted, all but the name `PLAIN`.
fn encrypted(test: &Sandbox, path: &str, text: &str) -> String {
    test.write(path, text);
    dotenvx(test, &["encrypt", "-f", path, "-fk", "apps/.env.keys", "-ek", "PLAIN"]);
    let written = test.read_text(path);
    assert!(written.contains("encrypted:") && !written.contains("hunter2"), "{written}");
    written
}

/// What dotenvx gives programs, and what the real sops does.
fn given(test: &Sandbox, path: &str) -> BTreeMap<String, String> {
    let output = dotenvx(test, &["get", "-f", path, "-fk", "apps/.env.keys"]);
    let mut values: BTreeMap<String, String> = serde_json::from_str(output.text()).expect("JSON");
    values.retain(|name, _| !name.starts_with("DOTENV_PUBLIC_KEY"));
    values
}

fn with_identity(test: &Sandbox, run: Run) -> Run {
    run.env("SOPS_AGE_KEY_FILE", test.home(".config/sops/age/keys.txt"))
}

fn given_by_sops(test: &Sandbox, path: &str) -> BTreeMap<String, String> {
    let output = with_identity(test, test.sops(&["decrypt", "--output-type", "json", path])).run().ok();
    serde_json::from_str(output.text()).expect("JSON")
}

/// No value is ever said.
fn migrate(test: &Sandbox, words: &[&str]) -> Output {
    let output = test.sealant(&["migrate", "dotenvx"]).args(words).run();
    let said = format!("{}{}", output.stderr, String::from_utf8_lossy(&output.stdout));
    assert!(!said.contains("hunter2"), "{said}");
    output
}

#[test]
fn programs_get_from_sops_what_they_got_from_dotenvx() {
    let test = repository();
    encrypted(&test, "apps/.env", FILE);
    encrypted(&test, "apps/more.env", "A=hunter2\n");
    test.write("apps/plain.env", "A=1\n");
    let [meant, more] = ["apps/.env", "apps/more.env"].map(|file| given(&test, file));
    assert_eq!((meant["PASSWORD"].as_str(), meant.len()), ("hunter2 #x", 8));

    let before = test.read_text("apps/.env");
    let dry = migrate(&test, &["--dry-run", "."]).ok();
    assert!(dry.text().contains("would write ./apps/.env"), "{dry}");
    assert_eq!(test.read_text("apps/.env"), before);
    let done = migrate(&test, &["."]).ok();
    assert!(done.stderr.contains("2 migrated"), "{done}");
    assert_eq!(given_by_sops(&test, "apps/.env"), meant);
    assert_eq!(given_by_sops(&test, "apps/more.env"), more);
    let plain = test.sealant(&["decrypt", "apps/.env"]).run().ok().text().to_owned();
    let expected = "# .env\n# of the shop\nHELLO=hunter2\n\n# why\nPASSWORD=hunter2 #x\nMULTI=hunter2\\nb\nEMPTY=\nSINGLE=a$HOME\n\
                    TABS=a\tb\nBACK=x \"y\"\n# c\nPLAIN=un quoted\n";
    assert_eq!(plain, expected);
    assert_eq!(test.read_text("apps/plain.env"), "A=1\n");
    let again = migrate(&test, &["."]).ok();
    assert!(again.stderr.contains("0 migrated, 2 encrypted already"), "{again}");
}

#[test]
fn keys_come_from_where_dotenvx_takes_them_and_what_does_not_open_stays() {
    let test = repository();
    let text = encrypted(&test, "apps/app.env", "A=hunter2\n");
    let keys = test.read_text("apps/.env.keys");
    let mut lines = keys.lines().filter(|line| line.starts_with("DOTENV_PRIVATE_KEY"));
    let (name, key) = lines.find_map(|line| line.split_once('=')).expect("a key");
    std::fs::remove_file(test.path("apps/.env.keys")).expect("a file");
    let none = migrate(&test, &["apps/app.env"]).code(64);
    assert!(none.stderr.contains("there is no private key of dotenvx"), "{none}");
    test.sealant(&["migrate", "dotenvx", "apps/app.env"]).env(name, key).run().ok();
    // As dotenvx writes it unless it is told where.
    test.write("apps/app.env", &text);
    test.write(".env.keys", &keys);
    migrate(&test, &["apps"]).ok();
    std::fs::remove_file(test.path(".env.keys")).expect("a file");
    test.write("apps/app.env", &text);
    test.write(test.tmp().join("keys"), &keys);
    let file = test.tmp().join("keys").display().to_string();
    migrate(&test, &["--env-keys-file", &file, "apps/app.env"]).ok();
    assert_eq!(given_by_sops(&test, "apps/app.env")["A"], "hunter2");

    let other = "2a0cf795f2a2eb61a71a6f42c3cb9c145b6d4b9d42773b90abeffeacf5aededd";
    test.write(test.tmp().join("other"), format!("DOTENV_PRIVATE_KEY=\"{other}\"\n"));
    let value = text.lines().find_map(|line| line.strip_prefix("A=")).expect("a value");
    let run = format!("{text}B=\"x$(id)\"\n");
    for (name, content, key, code, why) in [
        ("wrong", text.clone(), "other", 25, "no private key opens the value of A"),
        ("cut", text.replace(value, &value[..60]), "keys", 1, "there is no value that dotenvx encrypted"),
        (
            "half",
            format!("{text}B={}\n", &value[..60]),
            "keys",
            4,
            "the value of B is a ciphertext that is cut off",
        ),
        ("garbage", format!("{text}hunter2\n"), "keys", 2, "this is no KEY=VALUE"),
        ("run", run, "keys", 4, "the value of B has a `$`"),
    ] {
        let file = format!("apps/{name}.env");
        test.write(&file, &content);
        let key = test.tmp().join(key).display().to_string();
        let refused = migrate(&test, &["--env-keys-file", &key, &file]);
        assert_eq!(refused.status, code, "{name}: {refused}");
        assert!(refused.stderr.contains(&file) && refused.stderr.contains(why), "{name}: {refused}");
        assert_eq!(test.read_text(&file), content, "{name}");
    }
    test.write(test.tmp().join("none"), "A=1\n");
    let none = test.tmp().join("none").display().to_string();
    migrate(&test, &["--env-keys-file", &none, "apps"]).code(64);
}

/// A value opens under any name, and in any file.
#[test]
fn a_copy_for_other_readers_is_not_migrated() {
    let test = repository();
    let (own, stranger) = (own(&test), stranger(&test));
    test.write(".sops.yaml", format!(
        "creation_rules:\n  - {{path_regex: ^apps/, age: {own}}}\n  - {{path_regex: ^dev/, age: '{own},{stranger}'}}\n"
    ));
    let text = encrypted(&test, "apps/app.env", "A=hunter2\n");
    commit(&test);
    let value = text.lines().find_map(|line| line.strip_prefix("A=")).expect("a value");
    test.write("dev/app.env", format!("OTHER='{value}'\n"));
    let keys = test.path("apps/.env.keys").display().to_string();
    let refused = migrate(&test, &["--env-keys-file", &keys, "dev"]).code(8);
    assert!(refused.stderr.contains("apps/app.env") && refused.stderr.contains(&stranger), "{refused}");
    assert!(refused.stderr.contains("--allow-copied dev/app.env"), "{refused}");
    migrate(&test, &["--env-keys-file", &keys, "--allow-copied", "dev"]).ok();
}
