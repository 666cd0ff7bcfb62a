//! Tokens that end while there is work left: renewed, replaced, or missed in a way that says so.

use std::time::{Duration, Instant};

use serde_json::json;

use super::logins::app_role;
use super::place::{BAO, PLAIN, Place, ask, count, key, token};
use super::relay::{Relay, Reply};

/// Two chunks of files, each with a data key of its own, all at this address.
const FILES: usize = 258;
const CHUNK: usize = 256;

fn many(test: &Place, folder: &str, uri: &str) {
    for number in 0..FILES {
        test.write(format!("{folder}/{number:03}.yaml"), PLAIN);
    }
    test.sealant(&["encrypt", "-i", "--hc-vault-transit", uri, folder]).run().ok();
}

/// Makes what is encrypted at the shared server be at another address.
fn move_to(test: &Place, folder: &str, address: &str) {
    for number in 0..FILES {
        test.replace(&format!("{folder}/{number:03}.yaml"), BAO.address(), address);
    }
}

/// Each answer of the engine comes so late.
fn slow(pause: Duration) -> Relay {
    Relay::before(&BAO, move |_, request| match request.line.contains("/transit/") {
        true => Reply::Late(pause),
        false => Reply::Forward,
    })
}

#[test]
fn a_token_is_renewed_while_work_lasts() {
    let test = Place::new();
    let (uri, relay) = (key("transit", "renewed"), slow(Duration::from_secs(2)));
    many(&test, "d", &uri);
    move_to(&test, "d", relay.address());
    BAO.policy("renewed", "path \"transit/+/renewed\" { capabilities = [\"update\"] }");
    let mine = token(&BAO, &["-policy=renewed", "-period=6s", "-display-name=renewed"]);
    let started = Instant::now();
    let run = test.stranger(&["rotate", "-i", "d"]).env("VAULT_TOKEN", &mine);
    run.run().ok();
    assert!(started.elapsed() > Duration::from_secs(7), "the work was too short to show anything");
    assert_eq!(relay.count("/transit/"), 4);
    let mine = |path| BAO.requests_to(path).into_iter().filter(|r| r.display_name == "token-renewed").count();
    assert!(mine("auth/token/renew-self") >= 1);
    test.sealant(&["decrypt", "--output-dir", "out", "d"]).run().ok();
    assert_eq!(test.read_text("out/d/257.yaml"), PLAIN);
}

#[test]
fn a_login_that_ends_is_replaced() {
    let test = Place::new();
    let (uri, relay) = (key("transit", "replaced"), slow(Duration::from_secs(1)));
    many(&test, "d", &uri);
    move_to(&test, "d", relay.address());
    BAO.policy("replaced", "path \"transit/+/replaced\" { capabilities = [\"update\"] }");
    ask(&BAO, "POST", "sys/auth/replaced", json!({ "type": "approle" }));
    for (name, settings) in [
        ("ends", json!({ "token_policies": "replaced", "token_ttl": "2s", "token_max_ttl": "2s" })),
        ("batch", json!({ "token_policies": "replaced", "token_ttl": "2s", "token_type": "batch" })),
    ] {
        let (role, secret_id) = app_role("replaced", name, settings);
        let logins = || relay.count("auth/replaced/login");
        let (before, work) = (logins(), relay.count("/transit/"));
        let own = [("VAULT_ADDR", relay.address()), ("VAULT_AUTH_PATH", "replaced")];
        let run = test.stranger(&["rotate", "-i", "d"]).envs(&own);
        run.env("VAULT_ROLE_ID", role).env("VAULT_SECRET_ID", secret_id).run().ok();
        let logins = logins() - before;
        assert!((2..=4).contains(&logins), "{name}: {logins} logins");
        assert!(relay.count("/transit/") - work <= 6, "{name}");
    }
    test.sealant(&["decrypt", "--output-dir", "out", "d"]).run().ok();
    assert_eq!(test.read_text("out/d/257.yaml"), PLAIN);
}

#[test]
fn a_login_that_is_used_up_is_replaced() {
    let test = Place::new();
    let [a, b] = ["used-up-a", "used-up-b"].map(|name| key("transit", name));
    BAO.policy("used-up", "path \"transit/+/used-up-*\" { capabilities = [\"update\"] }");
    ask(&BAO, "POST", "sys/auth/used-up", json!({ "type": "approle" }));
    let once = json!({ "token_policies": "used-up", "token_num_uses": 1 });
    let (role, secret_id) = app_role("used-up", "once", once);
    test.write("f.yaml", PLAIN);
    let own = [("VAULT_ADDR", BAO.address()), ("VAULT_AUTH_PATH", "used-up")];
    let run = |args: &[&str]| {
        let run = test.stranger(args).envs(&own);
        run.env("VAULT_ROLE_ID", &role).env("VAULT_SECRET_ID", &secret_id)
    };
    run(&["encrypt", "-i", "--hc-vault-transit", &format!("{a},{b}"), "f.yaml"]).run().ok();
    run(&["rotate", "-i", "f.yaml"]).run().ok();
    assert_eq!(run(&["decrypt", "f.yaml"]).run().ok().text(), PLAIN);
}

#[test]
fn a_token_that_is_revoked_leaves_whole_files() {
    let test = Place::new();
    let uri = key("transit", "revoked");
    many(&test, "d", &uri);
    BAO.policy("revoked", "path \"transit/+/revoked\" { capabilities = [\"update\"] }");
    let before: Vec<String> =
        (0..FILES).map(|number| test.read_text(format!("d/{number:03}.yaml"))).collect();
    let mine = token(&BAO, &["-policy=revoked"]);
    let revoke = mine.clone();
    // The third request is the first of the second chunk.
    let relay = Relay::before(&BAO, move |number, _| {
        if number == 2 {
            ask(&BAO, "POST", "auth/token/revoke", json!({ "token": revoke }));
        }
        Reply::Forward
    });
    move_to(&test, "d", relay.address());
    let output = test.stranger(&["rotate", "-i", "d"]).env("VAULT_TOKEN", &mine).run().code(128);
    assert_eq!(output.stderr.matches("permission denied").count(), 1, "told in full once\n{output}");
    let text = |number| test.read_text(format!("d/{number:03}.yaml"));
    let moved = |number: usize| before[number].replace(BAO.address(), relay.address());
    for number in 0..FILES {
        let name = format!("d/{number:03}.yaml: no identity at hand");
        assert_eq!(output.stderr.contains(&name), number >= CHUNK, "{name}\n{output}");
        assert_eq!(text(number) == moved(number), number >= CHUNK, "{name}");
    }
    test.sealant(&["decrypt", "--output-dir", "out", "d"]).run().ok();
    assert_eq!(count(&BAO, "transit/rewrap/revoked"), 0);
    for number in [0, CHUNK - 1, CHUNK, FILES - 1] {
        assert_eq!(test.read_text(format!("out/d/{number:03}.yaml")), PLAIN);
    }
}
