//! The commands around transit keys, beside a real OpenBao: `rewrap`, `status`, `vault login`, `init --vault`, `doctor`.

#![allow(clippy::disallowed_methods, reason = "tests are outside of the doors that the library has")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sealant_test_support::{Bao, Run, Sandbox};
use serde_json::Value;

const PLAIN: &str = "# note\npassword: hunter2\nport: 1.10\n";

/// A server with the key `transit/keys/shop`, and files that it wraps.
struct Shop {
    bao: Bao,
    test: Sandbox,
}

impl Shop {
    fn new() -> Self {
        let shop = Self { bao: Bao::start(), test: Sandbox::new(env!("CARGO_BIN_EXE_sealant")) };
        shop.bao.transit_key("transit", "shop");
        shop
    }

    fn uri(&self) -> String {
        format!("{}/v1/transit/keys/shop", self.bao.address())
    }

    /// As somebody with this token.
    fn with(&self, token: &str, args: &[&str]) -> Run {
        self.test.sealant(args).env("VAULT_ADDR", self.bao.address()).env("VAULT_TOKEN", token)
    }

    fn root(&self, args: &[&str]) -> Run {
        self.with(self.bao.root_token(), args)
    }

    /// A token that may do these operations with the key, and nothing else.
    fn token(&self, name: &str, operations: &[&str]) -> String {
        let capability = |operation: &&str| if *operation == "keys" { "read" } else { "update" };
        let rule = |operation: &&str| {
            let capability = capability(operation);
            format!("path \"transit/{operation}/shop\" {{ capabilities = [\"{capability}\"] }}\n")
        };
        self.bao.policy(name, &operations.iter().map(rule).collect::<String>());
        self.bao.token(&[&format!("-policy={name}"), "-ttl=1h"])
    }

    fn encrypted(&self, files: &[&str]) {
        for file in files {
            self.test.write(file, PLAIN);
            let uri = self.uri();
            self.root(&["encrypt", "-i", "--hc-vault-transit", &uri, file]).run().ok();
        }
    }

    fn rotate_transit_key(&self) {
        self.bao.bao(&["write", "-f", "transit/keys/shop/rotate"]).run().ok();
    }

    fn states(&self, token: &str, paths: &[&str]) -> Vec<(String, String)> {
        let args: Vec<&str> = ["status", "--format", "json"].iter().chain(paths).copied().collect();
        let output = self.with(token, &args).run().ok();
        let rows: Vec<Value> = serde_json::from_str(output.text()).expect("JSON");
        let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
        rows.iter().map(|row| (text(row, "file"), text(row, "state"))).collect()
    }
}

#[test]
fn a_rotated_key_is_followed_without_seeing_a_data_key() {
    let shop = Shop::new();
    let names: Vec<String> = (0..300).map(|number| format!("secrets/{number:03}.yaml")).collect();
    let uri = shop.uri();
    names.iter().for_each(|name| shop.test.write(name, PLAIN));
    shop.root(&["encrypt", "-i", "--yes", "--hc-vault-transit", &uri, "secrets"]).run().ok();
    let before = shop.test.read_text("secrets/000.yaml");
    shop.rotate_transit_key();

    let reader = shop.token("reader", &["keys"]);
    let asked = shop.bao.requests_to("transit/keys/shop").len();
    let states = shop.states(&reader, &["secrets"]);
    assert_eq!(states.len(), 300);
    assert!(states.iter().all(|(_, state)| state == "old"), "{states:?}");
    assert_eq!(shop.bao.requests_to("transit/keys/shop").len() - asked, 1, "one question per transit key");

    let rewrapper = shop.token("rewrapper", &["rewrap"]);
    let output = shop.with(&rewrapper, &["rewrap", "--dry-run", "secrets"]).run().ok();
    assert!(output.stderr.contains("300 of 300 files would be rewrapped"), "{}", output.stderr);
    assert_eq!(shop.test.read_text("secrets/000.yaml"), before);

    let asked = shop.bao.requests_to("transit/rewrap/").len();
    let output = shop.with(&rewrapper, &["rewrap", "secrets"]).run().ok();
    assert!(output.stderr.contains("300 of 300 files rewrapped"), "{}", output.stderr);
    assert_eq!(shop.bao.requests_to("transit/rewrap/").len() - asked, 2, "256 files are in memory at once");
    assert!(shop.states(&reader, &["secrets"]).iter().all(|(_, state)| state == "current"));

    let after = shop.test.read_text("secrets/000.yaml");
    let differing: Vec<_> = before.lines().zip(after.lines()).filter(|(old, new)| old != new).collect();
    assert!(
        differing.iter().all(|(old, _)| old.contains("enc: vault:v1:") || old.contains("created_at")),
        "{differing:?}"
    );
    assert!(after.contains("enc: vault:v2:"));
    assert_eq!(shop.root(&["decrypt", "secrets/299.yaml"]).run().ok().text(), PLAIN);
    let sops = shop.test.sops(&["decrypt", "secrets/299.yaml"]).env("VAULT_TOKEN", shop.bao.root_token());
    assert_eq!(sops.run().ok().text(), "# note\npassword: hunter2\nport: 1.1\n");

    let output = shop.with(&rewrapper, &["rewrap", "secrets", "--format", "json"]).run().ok();
    let done: Vec<Value> = serde_json::from_str(output.text()).expect("JSON");
    assert!(done.len() == 300 && done.iter().all(|done| done["rewrapped"] == false));
    assert_eq!(shop.test.read_text("secrets/000.yaml"), after, "nothing is written that is up to date");
}

#[test]
fn files_that_cannot_be_rewrapped_do_not_hold_up_others() {
    let shop = Shop::new();
    shop.encrypted(&["good.yaml", "bad.yaml"]);
    let damaged = shop.test.read_text("bad.yaml").replace("enc: vault:v1:", "enc: vault:v1:AAAA");
    shop.test.write("bad.yaml", &damaged);
    shop.test.write("plain.yaml", PLAIN);
    shop.rotate_transit_key();
    let output = shop.root(&["rewrap", "."]).run().code(128);
    assert!(output.stderr.contains("bad.yaml") && output.stderr.contains(&shop.uri()), "{}", output.stderr);
    assert!(output.stderr.contains("1 of 1 file rewrapped"), "{}", output.stderr);
    assert!(shop.test.read_text("good.yaml").contains("vault:v2:"));
    assert_eq!(shop.test.read_text("bad.yaml"), damaged);
    assert_eq!(shop.test.read_text("plain.yaml"), PLAIN);
}

#[test]
fn status_tells_what_decrypts_nothing_any_more_and_what_it_cannot_know() {
    let shop = Shop::new();
    shop.encrypted(&["a.yaml"]);
    shop.rotate_transit_key();
    shop.bao.bao(&["write", "transit/keys/shop/config", "min_decryption_version=2"]).run().ok();
    assert_eq!(
        shop.states(shop.bao.root_token(), &["a.yaml"]),
        [("a.yaml".to_owned(), "expired".to_owned())]
    );
    let output = shop.root(&["status", "a.yaml"]).run().ok();
    assert!(
        output.text().contains("v1 of v2") && output.stderr.contains("min_decryption_version"),
        "{output:?}"
    );
    let output = shop.root(&["decrypt", "a.yaml"]).run().code(128);
    assert!(output.stderr.contains("too old") && output.stderr.contains(&shop.uri()), "{}", output.stderr);

    let blind = shop.token("blind", &["encrypt"]);
    let output = shop.with(&blind, &["status", "a.yaml"]).run().code(128);
    assert!(output.text().contains("unknown"), "{}", output.text());
    assert!(
        output.stderr.contains("path \"transit/keys/shop\" { capabilities = [\"read\"] }"),
        "{}",
        output.stderr
    );

    // A tool may have started it: it asks nobody whom only a file names.
    let asked = shop.bao.requests().len();
    let output =
        shop.test.sealant(&["status", "a.yaml"]).env("VAULT_TOKEN", shop.bao.root_token()).run().code(128);
    assert!(output.stderr.contains("is not allowed"), "{}", output.stderr);
    assert_eq!(shop.bao.requests().len(), asked);
}

#[test]
fn a_login_leaves_a_token_where_vault_would() {
    let shop = Shop::new();
    shop.bao.policy("shop", "path \"transit/encrypt/shop\" { capabilities = [\"update\"] }");
    shop.bao.bao(&["auth", "enable", "userpass"]).run().ok();
    shop.bao.bao(&["write", "auth/userpass/users/alice", "password=hunter2", "policies=shop"]).run().ok();
    let address = shop.bao.address();

    let login = |args: &[&str]| shop.test.sealant(args);
    let mut terminal = login(&["vault", "login", address, "--method", "userpass"]).on_terminal();
    terminal.wait_for("User at");
    terminal.send_line("alice");
    terminal.wait_for("Password of alice");
    terminal.send_hidden_line("wrong");
    let output = terminal.finish();
    assert_ne!(output.status, 0, "{output:?}");
    assert!(!shop.test.home(".vault-token").exists());

    let args = ["vault", "login", address, "--method", "userpass", "--username", "alice"];
    let mut terminal = login(&args).on_terminal();
    terminal.wait_for("Password of alice");
    terminal.send_hidden_line("hunter2");
    terminal.wait_for("Logged in");
    let output = terminal.finish().ok();
    assert!(!format!("{output:?}").contains("hunter2"));
    let file = shop.test.home(".vault-token");
    assert_eq!(fs::metadata(&file).expect("a token").permissions().mode() & 0o777, 0o600);
    let token = fs::read_to_string(&file).expect("a token");
    assert!(!format!("{output:?}").contains(&token));

    shop.test.write("a.yaml", PLAIN);
    let uri = shop.uri();
    shop.test.sealant(&["encrypt", "-i", "--hc-vault-transit", &uri, "a.yaml"]).run().ok();

    let mut terminal = login(&["vault", "login", address, "--method", "token"]).on_terminal();
    terminal.wait_for("Token for");
    terminal.send_hidden_line(shop.bao.root_token());
    terminal.wait_for("policies: root");
    terminal.finish().ok();
    let decrypt = shop.test.sealant(&["decrypt", "a.yaml"]).env("VAULT_ADDR", address);
    assert_eq!(decrypt.run().ok().text(), PLAIN);

    let output = shop.test.sealant(&["vault", "login"]).run().code(64);
    assert!(output.stderr.contains("VAULT_ADDR"), "{}", output.stderr);
}

#[test]
fn a_repository_starts_on_vault_with_a_break_glass_key() {
    let shop = Shop::new();
    let secret = shop.test.age_keygen(&[]).run().ok().text().to_owned();
    let recipient =
        shop.test.age_keygen(&["-y"]).stdin(secret.as_bytes()).run().ok().text().trim().to_owned();
    let short = format!("{}/transit/shop", shop.bao.address());
    let output = shop.root(&["init", "--vault", &short, "--recipient", &recipient]).run().ok();
    assert!(output.stderr.contains("you may encrypt, decrypt and rewrap with it"), "{}", output.stderr);
    assert!(!shop.test.home(".config/sops/age/keys.txt").exists(), "no identity is made");

    shop.test.write("secrets/a.yaml", PLAIN);
    shop.root(&["encrypt", "-i", "secrets"]).run().ok();
    let broken_glass = shop.test.sealant(&["decrypt", "secrets/a.yaml"]).env("SOPS_AGE_KEY", &secret);
    assert_eq!(broken_glass.run().ok().text(), PLAIN);
    assert_eq!(shop.root(&["decrypt", "secrets/a.yaml"]).run().ok().text(), PLAIN);

    for wrong in ["https://vault", "https://vault/../shop", "vault/transit/shop"] {
        let output = shop.root(&["init", "--vault", wrong]).run().code(1);
        assert!(output.stderr.contains("--vault"), "{}", output.stderr);
    }
    // Nobody answers there: that is said, and the config is made.
    let elsewhere = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let output = elsewhere.sealant(&["init", "--vault", "http://127.0.0.1:1/transit/shop"]).run().ok();
    assert!(output.stderr.contains("cannot be reached now"), "{}", output.stderr);
    assert!(elsewhere.read_text(".sops.yaml").contains("http://127.0.0.1:1/v1/transit/keys/shop"));
}

#[test]
fn doctor_says_who_one_is_and_what_policy_is_missing() {
    let shop = Shop::new();
    shop.root(&["init", "--vault", &format!("{}/transit/shop", shop.bao.address())]).run().ok();
    let output = shop.root(&["doctor"]).run().ok();
    assert!(output.text().contains("you are token (policies: root"), "{}", output.text());
    assert!(output.text().contains("you can decrypt what it encrypts"), "{}", output.text());

    let writer = shop.token("writer", &["encrypt"]);
    let output = shop.with(&writer, &["doctor"]).run().ok();
    assert!(output.text().contains("you may encrypt with it"), "{}", output.text());
    assert!(output.text().contains("you can encrypt, but not decrypt"), "{}", output.text());
    let line = "path \"transit/decrypt/shop\" { capabilities = [\"update\"] }";
    assert!(output.text().contains(line), "{}", output.text());
    assert!(!output.text().contains(&writer));

    let output = shop.with("nonsense", &["doctor"]).run();
    assert!(
        output.text().contains("warning  vault") && output.text().contains("vault login"),
        "{}",
        output.text()
    );
    assert!(!output.text().contains("nonsense"));

    // The first thing to be done in a clone of somebody's repository: their servers get no token of ours.
    let asked = shop.bao.requests().len();
    let output = shop.test.sealant(&["doctor"]).env("VAULT_TOKEN", shop.bao.root_token()).run();
    let text = output.text();
    assert!(text.contains("warning  vault") && text.contains("was not asked"), "{output}");
    assert!(text.contains(&format!("VAULT_ADDR={} sealant doctor", shop.bao.address())), "{output}");
    assert_eq!(shop.bao.requests().len(), asked);
}

#[test]
fn doctor_asks_about_the_keys_of_files_where_no_rule_names_one() {
    let shop = Shop::new();
    shop.root(&["init", "--vault", &format!("{}/transit/shop", shop.bao.address())]).run().ok();
    shop.test.write("secrets/f.yaml", "a: b\n");
    shop.root(&["encrypt", "-i", "secrets/f.yaml"]).run().ok();
    std::fs::remove_file(shop.test.path(".sops.yaml")).expect("the config goes");
    shop.test.program("git", &["init", "-q"]).run().ok();
    for rules in ["", "creation_rules:\n  - pgp: 85D77543B3D624B63CEA9E6DBC17301B491B3F21\n"] {
        if !rules.is_empty() {
            shop.test.write(".sops.yaml", rules);
        }
        let output = shop.root(&["doctor"]).run();
        let text = output.text();
        assert_eq!(output.status, i32::from(!rules.is_empty()), "a rule for others alone is broken: {text}");
        assert!(text.contains("you are token (policies: root") && text.contains("you may encrypt"), "{text}");
        assert!(!text.contains("nothing can be decrypted"), "{text}");
    }
    let asked = shop.bao.requests().len();
    let output = shop.test.sealant(&["doctor"]).env("VAULT_TOKEN", shop.bao.root_token()).run();
    assert!(output.text().contains("was not asked: a rule or a file names it"), "{output}");
    assert_eq!(shop.bao.requests().len(), asked);
}

#[test]
fn auditors_see_the_transit_key_and_no_server_is_asked_for_it() {
    let shop = Shop::new();
    shop.encrypted(&["a.yaml"]);
    let (uri, asked) = (shop.uri(), shop.bao.requests().len());
    let output = shop.test.sealant(&["who-can-decrypt"]).run().ok();
    assert_eq!(output.text(), format!("file    who can decrypt it\na.yaml  {uri}\n"));
    let output = shop.test.sealant(&["who-can-decrypt", "--recipient", &uri]).run().ok();
    assert_eq!(output.text(), "file    can decrypt it\na.yaml  alone\n");
    assert_eq!(shop.bao.requests().len(), asked);

    let test = &shop.test;
    test.write(test.home(".config/sealant/config.yaml"), "audit: {}\n");
    shop.root(&["decrypt", "a.yaml"]).run().ok();
    let log = test.read_text(test.home(".local/state/sealant/audit.jsonl"));
    let line: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(line["keys"], serde_json::json!([uri]));
    assert!(!log.contains(shop.bao.root_token()), "{log}");
}
