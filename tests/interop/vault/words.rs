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
        // The last request can be one for a server that knows no batches.
        let item = if body["plaintext"].is_null() { &body["batch_input"][0] } else { &body };
        let data_key = item["plaintext"].as_str().expect("a data key").to_owned();
        assert!(!output.stderr.contains(&data_key), "{output}");
    }
}

/// What commands a terminal, hides or turns text, or fakes a line of a log.
const COMMANDS: &str = "\u{1b}]0;planted\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\u{200b}\r\n::set-output name=x::y\u{85}\u{0}planted";

/// Nothing of it is in what we say, on either output.
fn is_tame(output: &sealant_test_support::Output) {
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), output.stderr);
    let wild = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2066}\u{200b}".contains(c);
    assert!(!all.contains(wild), "{output}");
    assert!(!all.lines().any(|line| line.starts_with("::")), "{output}");
    assert!(all.len() < 4000, "{} bytes", all.len());
}

#[test]
fn no_words_of_a_server_command_a_terminal_or_fill_a_log() {
    let test = Place::new();
    let uri = key("transit", "commands");
    test.encrypted("f.yaml", &[&uri]);
    test.rule(&format!("hc_vault_transit_uri: {uri}"));
    let (original, rule) = (test.read_text("f.yaml"), test.read_text(".sops.yaml"));
    let huge = || format!("{COMMANDS} {}", "word ".repeat(3 << 20));
    let answers: [fn(&str) -> Reply; 8] = [
        |words| Reply::error(400, words),
        |words| Reply::error(403, words),
        |words| Reply::error(503, words),
        |words| Reply::data(json!({ "batch_results": [{ "error": words }] })),
        |words| Reply::Answer(400, String::new(), words.to_owned()),
        |words| {
            Reply::data(json!({ "display_name": words, "policies": [words], "ttl": 5, "batch_results": [{
            "ciphertext": format!("vault:v1:{words}"), "plaintext": words }] }))
        },
        |words| {
            Reply::Answer(
                307,
                format!("Location: https://{}/\r\n", &words[..4.min(words.len())]),
                words.to_owned(),
            )
        },
        |words| Reply::data(json!({ "latest_version": words, "min_decryption_version": 1 })),
    ];
    for answer in answers {
        for words in [COMMANDS.to_owned(), huge()] {
            let server = Relay::before(&BAO, move |_, _| answer(&words));
            test.write("f.yaml", original.replace(BAO.address(), server.address()));
            test.write(".sops.yaml", rule.replace(BAO.address(), server.address()));
            test.write("g.yaml", PLAIN);
            for args in [
                &["decrypt", "f.yaml"][..],
                &["encrypt", "g.yaml"],
                &["rewrap", "f.yaml"],
                &["status", "f.yaml"],
                &["doctor"],
            ] {
                let run =
                    test.sealant(args).env("VAULT_ADDR", server.address()).env("VAULT_MAX_RETRIES", "0");
                is_tame(&run.within(30).run());
            }
        }
    }
}

#[test]
fn what_only_a_server_and_we_know_is_not_repeated() {
    let test = Place::new();
    let uri = key("transit", "told");
    test.encrypted("f.yaml", &[&uri]);
    let decrypted = |request: &Request| {
        let body: serde_json::Value = serde_json::from_str(&request.body).expect("JSON");
        let ciphertext = &body["batch_input"][0]["ciphertext"];
        let answer =
            super::place::ask(&BAO, "POST", "transit/decrypt/told", json!({ "ciphertext": ciphertext }));
        answer["data"]["plaintext"].as_str().unwrap_or_default().to_owned()
    };
    // The data key was declared as a secret, for which every output is searched.
    for server in [
        Relay::before(&BAO, move |_, request| Reply::error(403, &format!("key={}", decrypted(request)))),
        Relay::before(&BAO, move |_, request| {
            Reply::data(json!({ "batch_results": [{ "error": format!("not {}!", decrypted(request)) }] }))
        }),
    ] {
        test.replace("f.yaml", BAO.address(), server.address());
        let _ = test.sealant(&["decrypt", "f.yaml"]).fails(128, &["***"]);
        test.replace("f.yaml", server.address(), BAO.address());
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
