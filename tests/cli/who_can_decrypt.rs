use sealant_test_support::Sandbox;
use serde_json::{Value, json};

use super::{RECIPIENT, STRANGER, at_home, encrypted, sandbox};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData:\n";

/// A repository with a file for one, a file for two, and one that takes both.
fn repository() -> Sandbox {
    let test = sandbox();
    test.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - path_regex: both\n    key_groups: [{{age: [{RECIPIENT}]}}, {{age: [{STRANGER}]}}]\n\
             sealant:\n  recipients:\n    {STRANGER}: Anna's laptop\n"
        ),
    );
    encrypted(&test, "one.yaml", "a: hunter2\n", &[RECIPIENT]);
    encrypted(&test, "two.yaml", "a: hunter2\n", &[RECIPIENT, STRANGER]);
    test.write("both.yaml", "a: hunter2\n");
    test.sealant(&["encrypt", "-i", "both.yaml"]).run().ok();
    test.write("clear.yaml", "a: 1\n");
    test
}

#[test]
fn each_file_names_those_who_can_decrypt_it() {
    let test = repository();
    let output = test.sealant(&["who-can-decrypt"]).run().ok();
    assert_eq!(
        output.text(),
        format!(
            "file       who can decrypt it\n\
             both.yaml  2 of these together: {RECIPIENT} | Anna's laptop (...qke20yssss4yshtd)\n\
             one.yaml   {RECIPIENT}\n\
             two.yaml   {RECIPIENT}, Anna's laptop (...qke20yssss4yshtd)\n"
        )
    );
    assert_eq!(output.stderr, "");
}

#[test]
fn a_recipient_is_asked_about_by_its_name_too() {
    let test = repository();
    for recipient in [STRANGER, "Anna's laptop"] {
        let output = test.sealant(&["who-can-decrypt", "--recipient", recipient]).run().ok();
        assert_eq!(
            output.text(),
            "file       can decrypt it\nboth.yaml  with 1 other\ntwo.yaml   alone\n",
            "{recipient}"
        );
    }
    let nobody = "age1vdthnpxzlgwn3rea3gun7uhl2375m0g8qcfgh4f7svpgc5c7zgdsczpt8e";
    let output = test.sealant(&["who-can-decrypt", "--recipient", nobody]).run().ok();
    assert_eq!(
        (output.text(), output.stderr.as_str()),
        ("", "nothing here is encrypted for this recipient\n")
    );
}

#[test]
fn somebody_that_nobody_can_be_is_an_error() {
    let test = repository();
    for asked in ["Anna laptp", "anna's laptop"] {
        for format in ["table", "json", "csv"] {
            let run =
                test.sealant(&["who-can-decrypt", "--format", format, "--recipient", asked]).run().code(1);
            assert!(run.stdout.is_empty(), "{run}");
            assert!(
                run.stderr.contains(&format!("`{asked}` is neither a recipient nor a Vault key")),
                "{run}"
            );
            assert!(run.stderr.contains("Did you mean `Anna's laptop`?"), "{run}");
        }
    }
    let cut = test.sealant(&["who-can-decrypt", "--recipient", &STRANGER[..20]]).run().code(1);
    assert!(cut.stdout.is_empty(), "{cut}");
    // A name that the config of some file has, and one in capital letters.
    std::fs::remove_file(test.path("two.yaml")).unwrap();
    std::fs::remove_file(test.path("both.yaml")).unwrap();
    let output = test.sealant(&["who-can-decrypt", "--recipient", "Anna's laptop"]).run().ok();
    assert_eq!(output.stderr, "nothing here is encrypted for this recipient\n");
    let output = test.sealant(&["who-can-decrypt", "--recipient", &RECIPIENT.to_uppercase()]).run().ok();
    assert!(output.text().contains("one.yaml  alone"), "{output}");
}

#[test]
fn a_vault_key_is_asked_about_whatever_slashes_a_file_has() {
    let test = repository();
    let text = test.read_text("one.yaml");
    let at = text.find("sops:\n").unwrap() + "sops:\n".len();
    let entry = "    hc_vault:\n        - vault_address: https://vault:8200/\n          engine_path: transit/\n          \
                 key_name: shop\n          created_at: '2026-01-01T00:00:00Z'\n          enc: vault:v1:AA\n";
    test.write("one.yaml", format!("{}{entry}{}", &text[..at], &text[at..]));
    let asked = "https://vault:8200/v1/transit/keys/shop";
    let output = test.sealant(&["who-can-decrypt", "--recipient", asked]).run().ok();
    assert!(output.text().contains("one.yaml  alone"), "{output}");
}

#[test]
fn items_of_a_sealed_secret_that_are_not_open_to_the_same_are_told_apart() {
    let test = repository();
    test.write("secret.yaml", format!("{SECRET}  a: hunter2\n  b: hunter2\n"));
    let sealed = test.sealant(&["seal", "secret.yaml", "--age", RECIPIENT]).run().ok();
    test.write("sealed/db.yaml", sealed.text());
    test.write("more.yaml", format!("{SECRET}  c: hunter2\n"));
    let list = || test.sealant(&["who-can-decrypt", "sealed"]).run().ok().text().to_owned();
    assert_eq!(
        list(),
        format!("file            what     who can decrypt it\nsealed/db.yaml  shop/db  {RECIPIENT}\n")
    );
    test.sealant(&["seal", "more.yaml", "--age", STRANGER, "--merge-into", "sealed/db.yaml"]).run().ok();
    let rows = list();
    let rows: Vec<&str> = rows.lines().skip(1).collect();
    assert_eq!(
        rows,
        [
            format!("sealed/db.yaml  shop/db: a, b  {RECIPIENT}"),
            "sealed/db.yaml  shop/db: c     Anna's laptop (...qke20yssss4yshtd)".to_owned()
        ]
    );
}

#[test]
fn programs_read_json_and_spreadsheets_csv() {
    let test = repository();
    let output = test.sealant(&["who-can-decrypt", "two.yaml", "--format", "json", "--recipient", STRANGER]);
    let found: Value = serde_json::from_slice(&output.run().ok().stdout).unwrap();
    let expected = json!([{
        "file": "two.yaml",
        "required": 1,
        "groups": [[
            {"kind": "age", "id": RECIPIENT},
            {"kind": "age", "id": STRANGER, "name": "Anna's laptop"},
        ]],
        "opens": "alone",
    }]);
    assert_eq!(found, expected);
    let output = test.sealant(&["who-can-decrypt", "both.yaml", "--format", "csv"]).run().ok();
    assert_eq!(
        output.text(),
        format!(
            "file,object,items,required,groups,group,kind,recipient,name,opens\r\n\
             both.yaml,,,2,2,1,age,{RECIPIENT},,\r\n\
             both.yaml,,,2,2,2,age,{STRANGER},Anna's laptop,\r\n"
        )
    );
}

#[test]
fn what_is_broken_is_an_error_and_what_git_ignores_is_left_out() {
    let test = repository();
    test.program("git", &["init", "-q"]).run().ok();
    test.write(".gitignore", "/build/\n");
    test.write("build/two.yaml", test.read("two.yaml"));
    assert!(!test.sealant(&["who-can-decrypt"]).run().ok().text().contains("build/"));
    let broken = test.read_text("two.yaml").replace("age:\n", "age: 7\n");
    test.write("broken.yaml", broken);
    let output = test.sealant(&["who-can-decrypt"]).run();
    assert_ne!(output.status, 0);
    assert!(output.stderr.contains("broken.yaml"), "{output}");
    assert!(output.text().contains("two.yaml") && !output.text().contains("broken.yaml"), "{output}");
    test.write(".sops.yaml", "sealant: {recipient: {}}\n");
    let output = test.sealant(&["who-can-decrypt", "one.yaml"]).run().code(5);
    assert!(output.stderr.contains("did you mean `recipients`?"), "{output}");
}

#[test]
fn a_name_is_that_of_one_key_and_an_error_says_whom_to_ask() {
    let test = at_home();
    encrypted(&test, "a.yaml", "a: 1\n", &[STRANGER]);
    let config =
        |names: &str| format!("creation_rules:\n  - age: {STRANGER}\nsealant: {{recipients: {{{names}}}}}\n");
    test.write(".sops.yaml", config(&format!("{STRANGER}: Anna, {RECIPIENT}: ' anna'")));
    let output = test.sealant(&["who-can-decrypt"]).run().code(5);
    assert!(output.stderr.contains("two keys have the name"), "{output}");
    // Nobody reads a name for a key of somebody else.
    test.write(".sops.yaml", config(&format!("{STRANGER}: Anna, {RECIPIENT}: Ben")));
    let output = test.sealant(&["decrypt", "a.yaml"]).run().code(128);
    for expected in [
        &format!("{STRANGER} (Anna)")[..],
        "`sealant recipient add ",
        "Whoever has one of these keys can let you in: Anna (...qke20yssss4yshtd)",
    ] {
        assert!(output.stderr.contains(expected), "{expected}: {output}");
    }
    assert!(!output.stderr.contains("Ben"), "{output}");
}
