//! Words of a server that holds up a mirror: it says our own secrets, and we do not repeat them.

use serde_json::json;

use super::place::{BAO, PLAIN, Place, key, search, token};
use super::relay::{Relay, Reply, Request};

/// All that a request said, as its server may repeat it.
fn all_of(Request { line, head, body }: &Request) -> String {
    format!("{line} {head} {body}")
}

#[test]
fn what_we_said_is_not_repeated() {
    let test = Place::new();
    let uri = key("transit", "mirror");
    test.encrypted("f.yaml", &[&uri]);
    let original = test.read_text("f.yaml");
    let mine = token(&BAO, &["-policy=root"]);
    let as_error = |status| move |_, request: &Request| Reply::error(status, &all_of(request));
    let as_item =
        |_, request: &Request| Reply::data(json!({ "batch_results": [{ "error": all_of(request) }] }));
    let as_page = |_, request: &Request| Reply::Answer(400, String::new(), all_of(request));
    let as_warning = |_, request: &Request| {
        let body = json!({ "data": null, "warnings": [all_of(request)], "errors": [] });
        Reply::Answer(200, String::new(), body.to_string())
    };
    let as_address = |_, request: &Request| {
        let token = request.head.lines().find_map(|line| line.strip_prefix("x-vault-token: "));
        let host = token.unwrap_or_default().to_lowercase();
        Reply::Answer(307, format!("Location: ftp://{host}/{}\r\n", token.unwrap_or_default()), String::new())
    };
    for mirror in [
        Relay::before(&BAO, as_error(400)),
        Relay::before(&BAO, as_error(403)),
        Relay::before(&BAO, as_error(500)),
        Relay::before(&BAO, as_error(503)),
        Relay::before(&BAO, as_item),
        Relay::before(&BAO, as_page),
        Relay::before(&BAO, as_warning),
        Relay::before(&BAO, as_address),
    ] {
        let there = mirror.uri("transit", "mirror");
        test.write("f.yaml", original.replace(BAO.address(), mirror.address()));
        let run = |args: &[&str]| {
            let run = test.stranger(args).env("VAULT_TOKEN", &mine).env("VAULT_MAX_RETRIES", "0");
            run.within(20)
        };
        let _ = run(&["decrypt", "f.yaml"]).fails(128, &[&there]);
        // The data key that is to be wrapped is known to nobody yet: it is what the mirror saw.
        test.write("g.yaml", PLAIN);
        let output = run(&["encrypt", "--hc-vault-transit", &there, "g.yaml"]).fails(1, &[&there]);
        let seen = mirror.requests().pop().expect("a request");
        let body: serde_json::Value = serde_json::from_str(&seen.body).expect("JSON");
        let data_key = body["batch_input"][0]["plaintext"].as_str().expect("a data key").to_owned();
        assert!(!output.stderr.contains(&data_key), "{output}");
    }
}

#[test]
fn reports_for_programs_hold_no_secrets() {
    let test = Place::new();
    let uri = key("transit", "reports");
    test.encrypted("f.yaml", &[&uri]);
    test.rule(&format!("hc_vault_transit_uri: {uri}"));
    for args in [
        &["filestatus", "f.yaml"][..],
        &["explain", "--format", "json", "f.yaml"],
        &["diff", "--format", "json", "f.yaml", "f.yaml"],
        &["doctor", "--format", "json"],
        &["doctor"],
        &["status", "--format", "json", "."],
        &["status", "."],
        &["rewrap", "f.yaml"],
        &["updatekeys", "-y", "f.yaml"],
    ] {
        let output = test.sealant(args).env("VAULT_ADDR", BAO.address()).run();
        assert!(output.status == 0, "{output}");
    }
    let mut terminal = test.sealant(&["decrypt", "f.yaml"]).on_terminal();
    terminal.wait_for("shop");
    let output = terminal.finish().ok();
    search(&output);
}
