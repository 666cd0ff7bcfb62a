//! Tokens that end while there is work left: renewed, replaced, or missed in a way that says so.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

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
    test.sealant(&["encrypt", "-i", "--yes", "--hc-vault-transit", uri, folder]).run().ok();
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

/// Most of their time these wait, and there are no more tests at once than cores: so they wait together.
#[test]
fn tokens_that_end_in_the_middle_of_work() {
    let ends = json!({ "token_policies": "replaced", "token_ttl": "2s", "token_max_ttl": "2s" });
    let batch = json!({ "token_policies": "replaced", "token_ttl": "2s", "token_type": "batch" });
    BAO.policy("replaced", "path \"transit/+/replaced-*\" { capabilities = [\"update\"] }");
    ask(&BAO, "POST", "sys/auth/replaced", json!({ "type": "approle" }));
    thread::scope(|scope| {
        scope.spawn(a_token_is_renewed);
        scope.spawn(|| a_login_is_replaced("ends", ends));
        scope.spawn(|| a_login_is_replaced("batch", batch));
    });
}

/// Files whose requests are slow, and what rotates them: two requests for each of two chunks.
struct Work {
    test: Place,
    relay: Relay,
}

impl Work {
    fn new(name: &str, pause: Duration) -> Self {
        let (test, relay) = (Place::new(), slow(pause));
        many(&test, "d", &key("transit", name));
        move_to(&test, "d", relay.address());
        Self { test, relay }
    }

    fn finish(&self) {
        assert_eq!(self.test.sealant(&["decrypt", "d/000.yaml"]).run().ok().text(), PLAIN);
        assert_eq!(self.test.sealant(&["decrypt", "d/257.yaml"]).run().ok().text(), PLAIN);
    }
}

fn a_token_is_renewed() {
    let work = Work::new("renewed", Duration::from_secs(2));
    BAO.policy("renewed", "path \"transit/+/renewed\" { capabilities = [\"update\"] }");
    let mine = token(&BAO, &["-policy=renewed", "-period=6s", "-display-name=renewed"]);
    let started = Instant::now();
    work.test.stranger(&["rotate", "-i", "d"]).env("VAULT_TOKEN", &mine).run().ok();
    assert!(started.elapsed() > Duration::from_secs(7), "the work was too short to show anything");
    assert_eq!(work.relay.count("/transit/"), 4);
    let renewed = BAO.requests_to("auth/token/renew-self");
    assert!(renewed.iter().any(|request| request.display_name == "token-renewed"), "{renewed:?}");
    work.finish();
}

fn a_login_is_replaced(name: &str, settings: Value) {
    let work = Work::new(&format!("replaced-{name}"), Duration::from_secs(1));
    let (role, secret_id) = app_role("replaced", name, settings);
    let run = work.test.stranger(&["rotate", "-i", "d"]).env("VAULT_ADDR", work.relay.address());
    let run = run.env("VAULT_AUTH_PATH", "replaced").env("VAULT_ROLE_ID", role);
    run.env("VAULT_SECRET_ID", secret_id).run().ok();
    let logins = work.relay.count("auth/replaced/login");
    assert!((2..=4).contains(&logins), "{name}: {logins} logins");
    assert!(work.relay.count("/transit/") <= 6, "{name}");
    work.finish();
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
    // The second of these requests is the first of the second chunk.
    let chunks = AtomicUsize::new(0);
    let relay = Relay::before(&BAO, move |_, request| {
        if request.line.contains("/decrypt/") && chunks.fetch_add(1, Ordering::Relaxed) == 1 {
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
        let name = format!("d/{number:03}.yaml: no identity");
        assert_eq!(output.stderr.contains(&name), number >= CHUNK, "{name}\n{output}");
        assert_eq!(text(number) == moved(number), number >= CHUNK, "{name}");
    }
    test.sealant(&["decrypt", "--output-dir", "out", "d"]).run().ok();
    assert_eq!(count(&BAO, "transit/rewrap/revoked"), 0);
    for number in [0, CHUNK - 1, CHUNK, FILES - 1] {
        assert_eq!(test.read_text(format!("out/d/{number:03}.yaml")), PLAIN);
    }
}
