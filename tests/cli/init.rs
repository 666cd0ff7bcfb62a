use super::{IDENTITY, KEYS_TXT, RECIPIENT, STRANGER, sandbox, shown};

#[test]
fn a_newcomer_gets_an_identity_and_a_config() {
    let test = sandbox();
    let output = test.sealant(&["init"]).run().ok();
    let recipient = test.sealant(&["keygen", "-y"]).arg(test.home(KEYS_TXT)).run().ok();
    let recipient = recipient.text().trim();
    assert_eq!(
        shown(&test, &output.stderr),
        format!(
            "Identity: HOME/{KEYS_TXT} is new: keep a copy in a safe place\n\
             Config:   WORK/.sops.yaml is new, for {recipient}\n\
             Next:\n  \
             sealant edit secrets/app.yaml        # make a secret; `sealant encrypt -i secrets` encrypts files\n"
        )
    );
    assert!(test.read_text(".sops.yaml").contains(recipient));
}

#[test]
fn the_founder_of_a_repository_has_a_name_in_its_config() {
    let test = sandbox();
    test.program("git", &["init", "-q", "one"]).run().ok();
    test.sealant(&["init"]).cwd("one").run().ok();
    assert!(!test.read_text("one/.sops.yaml").contains("sealant:\n"), "Git knows no name");
    test.write(test.home(".gitconfig"), "[user]\nname = Anna Ek\n");
    test.program("git", &["init", "-q", "two"]).run().ok();
    let output = test.sealant(&["init"]).cwd("two").run().ok();
    let recipient = test.sealant(&["keygen", "-y"]).arg(test.home(KEYS_TXT)).run().ok();
    let recipient = recipient.text().trim();
    assert!(output.stderr.contains(&format!("is new, for {recipient} (Anna Ek)\n")), "{output}");
    let config = test.read_text("two/.sops.yaml");
    assert!(config.ends_with(&format!("    {recipient}: \"Anna Ek\"\n")), "{config}");
    assert!(output.stderr.contains("  git add .sops.yaml "), "{output}");

    // Whoever finds no way in hears whom to ask, and how.
    test.write("two/secrets/a.yaml", "a: hunter2\n");
    test.sealant(&["encrypt", "-i", "secrets/a.yaml"]).cwd("two").run().ok();
    let closed = test.sealant(&["decrypt", "secrets/a.yaml"]).cwd("two");
    let closed = closed.env("SOPS_AGE_KEY", IDENTITY).env("XDG_CONFIG_HOME", "/nowhere").run().code(128);
    let command = format!("`sealant recipient add {RECIPIENT} --for secrets/a.yaml`");
    assert!(closed.stderr.contains(&command), "{closed}");
    assert!(closed.stderr.contains("Whoever has one of these keys can let you in: Anna Ek (..."), "{closed}");
    let asks = ["recipient", "add", RECIPIENT, "--for", "secrets/a.yaml", "--yes"];
    let asked =
        test.sealant(&asks).cwd("two").env("SOPS_AGE_KEY", IDENTITY).env("XDG_CONFIG_HOME", "/nowhere").run();
    let finish = format!("sealant updatekeys --add {RECIPIENT} secrets/a.yaml");
    assert!(asked.code(128).stderr.contains(&finish));
    test.sealant(&["updatekeys", "--yes", "--add", RECIPIENT, "secrets/a.yaml"]).cwd("two").run().ok();
    let open = test.sealant(&["decrypt", "secrets/a.yaml"]).cwd("two").env("XDG_CONFIG_HOME", "/nowhere");
    assert_eq!(open.env("SOPS_AGE_KEY", IDENTITY).run().ok().text(), "a: hunter2\n");
}

#[test]
fn a_second_run_changes_nothing() {
    let test = sandbox();
    test.sealant(&["init"]).run().ok();
    let before = (test.read(".sops.yaml"), test.read(test.home(KEYS_TXT)));
    let output = test.sealant(&["init"]).run().ok();
    assert_eq!(
        shown(&test, &output.stderr),
        format!(
            "Identity: HOME/{KEYS_TXT}, unchanged\n\
             Config:   WORK/.sops.yaml, unchanged\n\
             Next:     nothing; `sealant doctor` checks your set-up\n"
        )
    );
    assert_eq!((test.read(".sops.yaml"), test.read(test.home(KEYS_TXT))), before);
}

#[test]
fn who_joins_a_team_hears_whom_to_ask() {
    let test = sandbox();
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {STRANGER}\n"));
    let output = test.sealant(&["init"]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
    assert_eq!(
        shown(&test, &output.stderr),
        format!(
            "Identity: SOPS_AGE_KEY, unchanged\n\
             Config:   WORK/.sops.yaml, unchanged\n\
             Next:     ask for access: `sealant recipient add {RECIPIENT}` (with your name before the key, if you like), commit \
             .sops.yaml, and open a pull request. `sealant check` tells whoever can decrypt how to let you in\n"
        )
    );
    assert!(!test.home(KEYS_TXT).exists());
}

#[test]
fn recipients_that_are_given_are_used_and_no_identity_is_made() {
    let test = sandbox();
    let vault = "https://vault:8200/v1/transit/keys/shop";
    let args = ["init", "--preset", "kubernetes", "--recipient", RECIPIENT, "--recipient", vault];
    test.sealant(&args).run().ok();
    let config = test.read_text(".sops.yaml");
    for part in [RECIPIENT, vault, "encrypted_regex: ^(data|stringData)$"] {
        assert!(config.contains(part), "{config}");
    }
    assert!(!test.home(KEYS_TXT).exists());
    let output = test.sealant(&["init", "--recipient", "nonsense"]).run().code(1);
    assert!(output.stderr.starts_with("error: --recipient: `nonsense` is not an age recipient"), "{output}");
}

#[test]
fn the_real_sops_takes_the_config() {
    let test = sandbox();
    test.sealant(&["init"]).run().ok();
    test.write("secrets/db.yaml", "password: hunter2\n");
    test.sops(&["encrypt", "-i", "secrets/db.yaml"]).run().ok();
    let output = test.sops(&["decrypt", "secrets/db.yaml"]).run().ok();
    assert_eq!(output.text(), "password: hunter2\n");
}

/// Plaintext would be committed by somebody to whom everything said that all is well.
#[test]
fn a_config_above_the_repository_is_told_of_and_copied_into_it() {
    let test = sandbox();
    test.sealant(&["init"]).run().ok();
    test.program("git", &["init", "-q", "repo"]).run().ok();
    let copy = format!("`cp {0} .sops.yaml && git add .sops.yaml`", test.path(".sops.yaml").display());
    let init = || test.sealant(&["init", "--git"]).cwd("repo").run().ok();
    let first = init();
    assert!(first.stderr.contains("outside of the repository") && first.stderr.contains(&copy), "{first}");
    test.write("repo/secrets/x.yaml", "password: hunter2\n");
    test.program("git", &["-C", "repo", "add", "secrets"]).run().ok();
    let hook = test.sealant(&["hook", "pre-commit"]).cwd("repo").run().ok();
    assert!(hook.stderr.contains("the hook does not use it") && hook.stderr.contains(&copy), "{hook}");
    let doctor = test.sealant(&["doctor"]).cwd("repo").run();
    assert!(doctor.text().contains("warning  config") && doctor.text().contains(&copy), "{doctor}");

    test.program("sh", &["-ec", &format!("cd repo && {}", copy.trim_matches('`'))]).run().ok();
    assert!(init().stderr.contains("Next:     nothing"));
    assert!(!test.sealant(&["doctor"]).cwd("repo").run().text().contains("warning  config"));
    test.sealant(&["hook", "pre-commit"]).cwd("repo").run().code(1);
}

/// What a lost key opens, a new one does not.
#[test]
fn no_identity_is_made_beside_one_that_was_damaged() {
    let test = sandbox();
    test.sealant(&["init"]).run().ok();
    test.write("secrets/a.yaml", "a: 1\n");
    test.sealant(&["encrypt", "-i", "secrets/a.yaml"]).run().ok();
    let keys = test.home(KEYS_TXT);
    let whole = test.read_text(&keys);
    let at = whole.find("KEY-1").unwrap() + "KEY-1".len();
    let damaged = format!("{}QQQQ{}", &whole[..at], &whole[at + 4..]);
    test.write(&keys, &damaged);
    let shown = keys.display();

    let closed = test.sealant(&["decrypt", "secrets/a.yaml"]).run().code(128);
    assert!(
        closed.stderr.contains("bring your identity back") && !closed.stderr.contains("sealant init"),
        "{closed}"
    );
    let doctor = test.sealant(&["doctor"]).run().code(1);
    assert!(doctor.text().contains("from a backup") && !doctor.text().contains("sealant init"), "{doctor}");
    let refused = test.sealant(&["init"]).run().code(8);
    let command = format!("`mv {shown} {shown}.damaged`, then `sealant init`");
    assert!(refused.stderr.contains("damaged identity") && refused.stderr.contains(&command), "{refused}");
    assert_eq!(test.read_text(&keys), damaged);
    // What is there and no identity of ours is no reason to say that the file is new.
    test.write(&keys, "# none yet\n");
    let output = test.sealant(&["init"]).run().ok();
    assert!(output.stderr.contains("has a new identity, beside what was in it"), "{output}");
}
