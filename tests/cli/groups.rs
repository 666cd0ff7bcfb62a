//! Key groups that come and go, and who gets no share by it.

use sealant_test_support::{Output, Sandbox};

use super::{RECIPIENT, STRANGER, at_home, encrypted, identity};

const PLAIN: &str = "# note\na: 1.10\n\nb: [x, \"y\"]   # end\n";

fn groups(test: &Sandbox, args: &[&str]) -> Output {
    test.sealant(&[&["groups"], args].concat()).run()
}

/// What the file decrypts to with these identities alone.
fn decrypt(test: &Sandbox, identities: &[&str]) -> Output {
    let flags = identities.iter().flat_map(|file| ["--identity", file]);
    let args: Vec<&str> = ["decrypt"].into_iter().chain(flags).chain(["a.yaml"]).collect();
    test.sealant(&args).env("XDG_CONFIG_HOME", "/nowhere").run()
}

#[test]
fn groups_come_and_go_and_every_value_stays_as_it_is() {
    let test = at_home();
    let [me, bob, eve] = ["me.txt", "bob.txt", "eve.txt"].map(|file| identity(&test, file));
    encrypted(&test, "a.yaml", PLAIN, &[&me]);
    let before = test.read_text("a.yaml");
    let identity = ["--identity", "me.txt", "-f", "a.yaml"];

    let output = groups(&test, &[&["add", "--age", &bob], &identity[..]].concat()).ok();
    assert!(output.text().contains("shamir_threshold: 2"), "{output}");
    assert_eq!(test.read_text("a.yaml"), before);
    let output = groups(&test, &[&["add", "-i", "--age", &bob], &identity[..]].concat()).ok();
    assert!(output.stderr.contains("keys from 2 of 2 groups are needed, instead of 1 of 1"), "{output}");
    let block = before.find("\nsops:").expect("metadata");
    assert_eq!(test.read_text("a.yaml")[..block], before[..block]);
    decrypt(&test, &["me.txt"]).code(128);
    assert_eq!(decrypt(&test, &["me.txt", "bob.txt"]).ok().text(), PLAIN);

    let both = [&["--identity", "bob.txt"][..], &identity].concat();
    groups(&test, &[&["add", "-i", "--age", &eve], &both[..]].concat()).ok();
    assert_eq!(decrypt(&test, &["eve.txt", "bob.txt"]).ok().text(), PLAIN);
    let output = groups(&test, &[&["delete", "-i", "3"], &both[..]].concat()).code(8);
    assert!(output.stderr.contains("there is no group 3: the file has 3, counted from 0"), "{output}");
    groups(&test, &[&["delete", "-i", "1"], &both[..]].concat()).ok();
    decrypt(&test, &["eve.txt", "bob.txt"]).code(128);
    assert_eq!(decrypt(&test, &["eve.txt", "me.txt"]).ok().text(), PLAIN);

    let last = ["delete", "-i", "0", "--identity", "eve.txt", "-f", "a.yaml", "--identity", "me.txt"];
    let output = groups(&test, &last).code(8);
    assert!(
        output.stderr.contains("Say how many are needed: --shamir-secret-sharing-threshold 1"),
        "{output}"
    );
    groups(&test, &[&last[..], &["--shamir-secret-sharing-threshold", "1"]].concat()).ok();
    assert_eq!(decrypt(&test, &["eve.txt"]).ok().text(), PLAIN);
    assert!(!test.read_text("a.yaml").contains("key_groups"));
}

#[test]
fn whom_only_the_file_names_gets_no_share() {
    let test = at_home();
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT, STRANGER]);
    let before = test.read_text("a.yaml");
    let newcomer = identity(&test, "newcomer.txt");
    let add = ["add", "-i", "-f", "a.yaml", "--age", &newcomer];
    let output = groups(&test, &add).code(8);
    assert!(output.stderr.contains(STRANGER) && output.stderr.contains("--allow-recipient"), "{output}");
    assert_eq!(test.read_text("a.yaml"), before);
    let output = groups(&test, &[&add[..], &["--allow-recipient", STRANGER]].concat()).ok();
    assert!(output.stderr.contains("its creation rule differs"), "{output}");
    let sops = [&["groups"], &add[..]].concat();
    test.write("a.yaml", before);
    let output = test.sealant(&sops).called_as("sops").run().ok();
    assert!(output.stderr.contains(STRANGER), "as sops does, but told: {output}");
}

#[test]
fn nobody_comes_into_a_copy_or_a_file_that_was_changed() {
    let test = at_home();
    let newcomer = identity(&test, "newcomer.txt");
    let rule = |place| format!("  - path_regex: ^{place}/\n    age: {RECIPIENT}\n");
    test.write(".sops.yaml", format!("creation_rules:\n{}{}", rule("prod"), rule("dev")));
    encrypted(&test, "prod/a.yaml", PLAIN, &[RECIPIENT]);
    test.write("dev/b.yaml", test.read("prod/a.yaml"));
    let add = |file| groups(&test, &["add", "-i", "-f", file, "--age", &newcomer]);
    let output = add("dev/b.yaml").code(8);
    assert!(output.stderr.contains("shares its data key"), "{output}");
    let text = test.read_text("prod/a.yaml").replace("a: ENC", "c: ENC");
    test.write("dev/b.yaml", "");
    test.write("prod/a.yaml", &text);
    add("prod/a.yaml").code(51);
    assert_eq!(test.read_text("prod/a.yaml"), text);
}
