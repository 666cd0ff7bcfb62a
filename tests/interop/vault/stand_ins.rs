//! What stands in for Vault and knows what sops sends alone: PUT, one item, an answer of nothing but `data`.

use serde_json::{Value, json};

use super::place::{BAO, PLAIN, Place, ask, key};
use super::relay::{Relay, Reply, Request};

/// Which requests it does not know, and how it says so.
#[derive(Clone, Copy)]
enum Refusal {
    /// `405 Method Not Allowed`, as Go's server says it.
    Method,
    /// `501`, as that of Python.
    Unsupported,
    /// It takes POST, too, and finds no item in a batch.
    NoItem,
    /// It takes POST, too, and encrypts the plaintext that is not there.
    Nothing,
}

fn stand_in(refusal: Refusal) -> Relay {
    Relay::before(&BAO, move |_, Request { line, body, .. }| {
        let body: Value = serde_json::from_str(body).expect("JSON");
        let is_batch = body.get("batch_input").is_some();
        match refusal {
            Refusal::Method if line.starts_with("POST") => {
                Reply::Answer(405, "Allow: PUT\r\n".to_owned(), "Method Not Allowed\n".to_owned())
            }
            Refusal::Unsupported if line.starts_with("POST") => {
                let page = "<!DOCTYPE HTML>\n<p>Unsupported method ('POST').</p>\n";
                Reply::Answer(501, String::new(), page.to_owned())
            }
            Refusal::NoItem if is_batch => Reply::error(400, "missing plaintext"),
            Refusal::Nothing if is_batch => {
                let data = json!({ "ciphertext": "vault:v1:bm90aGluZw==", "plaintext": "" });
                Reply::Answer(200, String::new(), json!({ "data": data }).to_string())
            }
            _ => {
                let path = line.split_once("/v1/").expect("a path").1;
                let answer = json!({ "data": ask(&BAO, "PUT", path, body)["data"] });
                Reply::Answer(200, String::new(), answer.to_string())
            }
        }
    })
}

#[test]
fn one_item_is_sent_at_a_time_where_no_batch_is_known() {
    let test = Place::new();
    key("transit", "stand-in");
    for refusal in [Refusal::Method, Refusal::Unsupported, Refusal::NoItem, Refusal::Nothing] {
        let server = stand_in(refusal);
        let uri = server.uri("transit", "stand-in");
        let files = ["a.yaml", "b.yaml", "c.yaml"];
        files.iter().for_each(|file| test.write(file, PLAIN));
        test.sealant(&["encrypt", "-i", "--hc-vault-transit", &uri, "a.yaml", "b.yaml", "c.yaml"]).run().ok();
        let lines: Vec<String> = server.requests().into_iter().map(|request| request.line).collect();
        let alone = lines.iter().filter(|line| line.starts_with("PUT /v1/transit/encrypt/stand-in"));
        assert_eq!((lines.len(), alone.count()), (4, 3), "what is not known is found out once: {lines:?}");
        for file in files {
            test.opens(file);
        }
        test.sealant(&["decrypt", "-i", "a.yaml", "b.yaml", "c.yaml"]).run().ok();
        assert_eq!(test.read_text("c.yaml"), PLAIN);
        // What sops has encrypted there.
        test.sops(&["encrypt", "-i", "--hc-vault-transit", &uri, "a.yaml"]).run().ok();
        test.opens("a.yaml");
    }
}

#[test]
fn one_item_that_fails_does_not_fail_the_others() {
    let test = Place::new();
    key("transit", "stand-in-fault");
    let server = Relay::before(&BAO, |_, Request { line, body, .. }| match line.split_once("/v1/") {
        Some((method, path)) if method.starts_with("PUT") => {
            let body: Value = serde_json::from_str(body).expect("JSON");
            match body["ciphertext"].as_str() {
                Some("vault:v1:broken") => Reply::error(400, "invalid ciphertext format"),
                _ => {
                    let answer = json!({ "data": ask(&BAO, "PUT", path, body)["data"] });
                    Reply::Answer(200, String::new(), answer.to_string())
                }
            }
        }
        _ => Reply::Answer(405, String::new(), "Method Not Allowed\n".to_owned()),
    });
    let uri = server.uri("transit", "stand-in-fault");
    ["bad.yaml", "good.yaml"].iter().for_each(|file| test.write(file, PLAIN));
    test.sealant(&["encrypt", "-i", "--hc-vault-transit", &uri, "bad.yaml", "good.yaml"]).run().ok();
    let text = test.read_text("bad.yaml");
    let ciphertext = super::place::wrapped(&text)[0].to_owned();
    test.replace("bad.yaml", &ciphertext, "vault:v1:broken");
    let run = test.sealant(&["decrypt", "--output-dir", "out", "bad.yaml", "good.yaml"]);
    let _ = run.fails(128, &["bad.yaml", "invalid ciphertext format"]);
    assert_eq!(test.read_text("out/good.yaml"), PLAIN);
}

#[test]
fn a_key_is_named_as_others_name_it() {
    let test = Place::new();
    let uri = key("transit", "spelled");
    let spelled = [
        uri.replace("/keys/", "/encrypt/"),
        uri.replace("/keys/", "/decrypt/"),
        uri.replace("http://", "HTTP://"),
        format!("{uri}/"),
    ];
    test.write("f.yaml", PLAIN);
    let place = |text: &str| -> Vec<String> {
        let is_place = |line: &&str| {
            ["vault_address:", "engine_path:", "key_name:"].iter().any(|key| line.contains(key))
        };
        text.lines().filter(is_place).map(|line| line.trim_start_matches([' ', '-']).to_owned()).collect()
    };
    for uri in &spelled {
        let args = ["encrypt", "--hc-vault-transit", uri, "f.yaml"];
        let (ours, theirs) = (test.sealant(&args).run().ok(), test.sops(&args).run().ok());
        assert_eq!(place(ours.text()), place(theirs.text()), "{uri}");
        test.write("e.yaml", ours.stdout);
        test.opens("e.yaml");
        test.rule(&format!("hc_vault_transit_uri: {uri}"));
        test.write("g.yaml", test.sealant(&["encrypt", "f.yaml"]).run().ok().stdout);
        test.opens("g.yaml");
        test.write(
            "h.yaml",
            test.sealant(&["encrypt", "f.yaml"]).env("SOPS_VAULT_URIS", uri).run().ok().stdout,
        );
        test.opens("h.yaml");
    }
    // To sops these are another engine, which is not there, or no key at all.
    for uri in [uri.replace("/v1/", "//v1/"), uri.replace("/transit/", "//transit//")] {
        let output = test.sealant(&["encrypt", "--hc-vault-transit", &uri, "f.yaml"]).run().ok();
        test.write("e.yaml", output.stdout);
        test.opens("e.yaml");
    }
}
