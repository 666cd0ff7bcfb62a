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
             Next:     put a file into the folder `secrets`, then run `sealant encrypt -i secrets`\n"
        )
    );
    assert!(test.read_text(".sops.yaml").contains(recipient));
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
