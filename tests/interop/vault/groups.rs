//! Age and Vault side by side in one group, and shares in several.

use sealant_test_support::Run;

use super::place::{BAO, PLAIN, Place, count, key, nobody, secret, token};

struct Identity {
    secret: String,
    recipient: String,
}

fn age(test: &Place) -> Identity {
    let identity = test.age_keygen(&[]).run().ok().text().to_owned();
    let recipient = test.age_keygen(&["-y"]).stdin(identity.as_bytes()).run().ok().text().trim().to_owned();
    Identity { secret: secret(identity.lines().last().unwrap_or_default()), recipient }
}

#[test]
fn age_opens_without_a_request() {
    let test = Place::new();
    let uri = key("groups/mixed", "shop");
    let me = age(&test);
    test.write("f.yaml", PLAIN);
    test.sealant(&["encrypt", "-i", "--age", &me.recipient, "--hc-vault-transit", &uri, "f.yaml"]).run().ok();
    test.opens("f.yaml");
    let asked = || count(&BAO, "groups/mixed/decrypt/");
    let before = asked();
    let with_age = |args: &[&str]| test.sealant(args).env("SOPS_AGE_KEY", &me.secret);
    assert_eq!(with_age(&["decrypt", "f.yaml"]).run().ok().text(), PLAIN);
    assert_eq!(asked(), before);
    let first = with_age(&["decrypt", "--decryption-order", "hc_vault,age", "f.yaml"]).run().ok();
    assert_eq!(first.text(), PLAIN);
    assert_eq!(asked(), before + 1);
    let first = with_age(&["decrypt", "f.yaml"]).env("SOPS_DECRYPTION_ORDER", "hc_vault").run().ok();
    assert_eq!((first.text(), asked()), (PLAIN, before + 2));

    // Break-glass: nobody answers, and whoever has the age identity needs nobody.
    let down = nobody();
    test.write("down.yaml", test.read_text("f.yaml").replace(BAO.address(), &down));
    let run = test.stranger(&["decrypt", "down.yaml"]).env("SOPS_AGE_KEY", &me.secret);
    assert_eq!(run.run().ok().text(), PLAIN);
    for order in ["age,hc_vault", "hc_vault,age"] {
        let run = with_age(&["decrypt", "--decryption-order", order, "down.yaml"]).within(20);
        assert_eq!(run.run().ok().text(), PLAIN);
        let run = with_age(&["set", "down.yaml", "[\"name\"]", "\"shop\""]);
        run.env("SOPS_DECRYPTION_ORDER", order).run().ok();
    }
    assert_eq!(test.sops(&["decrypt", "down.yaml"]).env("SOPS_AGE_KEY", &me.secret).run().ok().text(), PLAIN);
    // What cannot be wrapped again is left: the file stays.
    let before = test.read_text("down.yaml");
    let _ = with_age(&["rotate", "-i", "--allow-copied", "down.yaml"]).fails(1, &[&down]);
    assert_eq!(test.read_text("down.yaml"), before);
    // Both are named when neither opens it.
    let output = test.stranger(&["decrypt", "f.yaml"]).fails(128, &[&uri, "no token"]);
    assert!(output.stderr.contains(&me.recipient[..12]), "{output}");
}

#[test]
fn a_key_of_a_group_that_fails_makes_room_for_the_next() {
    let test = Place::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| key("groups/next", name));
    test.encrypted("f.yaml", &[&a, &b, &c]);
    BAO.policy("groups-next", "path \"groups/next/decrypt/c\" { capabilities = [\"update\"] }");
    let mine = token(&BAO, &["-policy=groups-next"]);
    let run = test.stranger(&["decrypt", "f.yaml"]).env("VAULT_TOKEN", mine);
    assert_eq!(run.run().ok().text(), PLAIN);
    let none = token(&BAO, &["-policy=default"]);
    let output = test.stranger(&["decrypt", "f.yaml"]).env("VAULT_TOKEN", none);
    let _ = output.fails(128, &[&a, &b, &c, "permission denied"]);
}

/// Who can use one transit key alone.
fn only(name: &str) -> String {
    let policy = format!("groups-{name}");
    BAO.policy(&policy, &format!("path \"groups/shares/+/{name}\" {{ capabilities = [\"update\"] }}"));
    token(&BAO, &[&format!("-policy={policy}")])
}

#[test]
fn any_two_of_three_groups_open_what_either_shared_out() {
    let test = Place::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| key("groups/shares", name));
    let (only_a, only_b, only_c) = (only("a"), only("b"), only("c"));
    let me = age(&test);
    let rule = |a: &str, b: &str| {
        test.rule(&format!(
            "shamir_threshold: 2\nkey_groups:\n  - age: [{}]\n  - hc_vault: [\"{a}\"]\n  - hc_vault: [\"{b}\"]",
            me.recipient
        ));
    };
    rule(&a, &b);
    test.write("plain.yaml", PLAIN);
    let ours = |args: &[&str]| test.stranger(args);
    let both: String = token(&BAO, &["-policy=groups-a", "-policy=groups-b", "-policy=groups-c"]);
    let opens = |file: &str, second: &str| {
        for (identity, token, enough) in
            [(true, &*only_a, true), (true, second, true), (false, &*both, true), (false, second, false)]
        {
            let code = if enough { 0 } else { 128 };
            let identity = if identity { me.secret.as_str() } else { "" };
            let run = ours(&["decrypt", file]).env("SOPS_AGE_KEY", identity).env("VAULT_TOKEN", token);
            let output = run.run().code(code);
            assert_eq!(output.text() == PLAIN, enough, "{file}");
            let run: Run = test.sops(&["decrypt", file]).env("SOPS_AGE_KEY", identity);
            let theirs = run.env("VAULT_TOKEN", token).run().code(code);
            assert_eq!(theirs.text() == PLAIN, enough, "{file}");
        }
    };
    for (file, run) in [
        ("ours.yaml", ours(&["encrypt", "plain.yaml"]).env("VAULT_TOKEN", &both).run()),
        ("theirs.yaml", test.sops(&["encrypt", "plain.yaml"]).run()),
    ] {
        test.write(file, run.ok().stdout);
        opens(file, &only_b);
        let again = ours(&["rotate", "-i", file]).env("VAULT_TOKEN", &both);
        again.env("SOPS_AGE_KEY", &me.secret).run().ok();
        opens(file, &only_b);
        test.sops(&["rotate", "-i", file]).env("SOPS_AGE_KEY", &me.secret).run().ok();
        opens(file, &only_b);
    }
    // Another key for the third group: the shares of the others stay as they are.
    rule(&a, &c);
    for file in ["ours.yaml", "theirs.yaml"] {
        let kept = test.read_text(file);
        let run = ours(&["updatekeys", "-y", file]).env("SOPS_AGE_KEY", &me.secret);
        run.env("VAULT_TOKEN", &both).run().ok();
        let first = super::place::wrapped(&kept)[0].to_owned();
        assert!(test.read_text(file).contains(&first), "{file}");
        opens(file, &only_c);
    }
    // A threshold of three from now on.
    test.replace(".sops.yaml", "shamir_threshold: 2", "shamir_threshold: 3");
    for file in ["ours.yaml", "theirs.yaml"] {
        let run = ours(&["updatekeys", "-y", file]).env("SOPS_AGE_KEY", &me.secret).env("VAULT_TOKEN", &both);
        run.run().ok();
        for (identity, code) in [(me.secret.as_str(), 0), ("", 128)] {
            let run = ours(&["decrypt", file]).env("SOPS_AGE_KEY", identity).env("VAULT_TOKEN", &both);
            let output = run.run().code(code);
            let run = test.sops(&["decrypt", file]).env("SOPS_AGE_KEY", identity);
            let _ = run.run().code(code);
            assert!(code == 0 || output.stderr.contains("2 of 3 key groups could be opened"), "{output}");
        }
    }
}

#[test]
fn a_server_that_is_down_does_not_hold_up_groups_that_suffice() {
    let test = Place::new();
    let [a, b] = ["a", "b"].map(|name| key("groups/down", name));
    let me = age(&test);
    test.rule(&format!(
        "shamir_threshold: 2\nkey_groups:\n  - hc_vault: [\"{a}\"]\n  - age: [{}]\n  - hc_vault: [\"{b}\"]",
        me.recipient
    ));
    test.write("f.yaml", PLAIN);
    test.sealant(&["encrypt", "-i", "f.yaml"]).run().ok();
    let down = nobody();
    let text = test.read_text("f.yaml");
    // The first group's server alone.
    test.write("f.yaml", text.replacen(BAO.address(), &down, 1));
    let run = test.sealant(&["decrypt", "f.yaml"]).env("SOPS_AGE_KEY", &me.secret).within(20);
    assert_eq!(run.run().ok().text(), PLAIN);
    test.write("g.yaml", text.replace(BAO.address(), &down));
    let run = test.sealant(&["decrypt", "g.yaml"]).env("SOPS_AGE_KEY", &me.secret).within(20);
    let output = run.fails(128, &["1 of 3 key groups could be opened", &down, "cannot be reached"]);
    assert!(output.stderr.contains("groups/down/keys/a") && output.stderr.contains("groups/down/keys/b"));
}
