//! A server that does not do what it was asked for. Each time: what failed and where, within bounds, other files of
//! the same run as if nothing had been, nothing written half.

use std::thread;
use std::time::{Duration, Instant};

use sealant_test_support::{Bao, Output};
use serde_json::json;

use super::place::{BAO, PLAIN, Place, ask, key, nobody, secret, token, token_of_both, uri, wrapped};
use super::relay::{Relay, Reply};

/// A directory with a file that concerns the fault and one that does not.
struct Fault {
    test: Place,
    /// The key that works.
    good: String,
}

impl Fault {
    /// The key has to exist on the shared server.
    fn new(name: &str) -> Self {
        let test = Place::new();
        let good = key("faults", name);
        test.encrypted("bad.yaml", &[&good]);
        test.encrypted("good.yaml", &[&good]);
        Self { test, good }
    }

    /// The faulty file is at this address from now on.
    fn at(&self, address: &str) -> String {
        let text = self.test.read_text("bad.yaml");
        let old = text.lines().find_map(|line| line.split_once("vault_address: ")).expect("an address").1;
        self.test.write("bad.yaml", text.replace(old, address));
        self.good.replace(BAO.address(), address)
    }

    /// Both files are decrypted in one run, and then two are encrypted, one of them for a key with this URI. `words`
    /// are in the message both times.
    fn shows(&self, uri: &str, env: &[(&str, &str)], seconds: u64, words: &[&str]) -> [Output; 2] {
        let decrypt = self.decrypt_fails(uri, env, seconds, words);
        [decrypt, self.encrypt_fails(uri, env, seconds, words)]
    }

    fn decrypt_fails(&self, uri: &str, env: &[(&str, &str)], seconds: u64, words: &[&str]) -> Output {
        let test = &self.test;
        let before = test.read_text("bad.yaml");
        let run = test.sealant(&["decrypt", "--output-dir", "out", "bad.yaml", "good.yaml"]);
        let output = run.envs(env).within(seconds).fails(128, &[uri, "bad.yaml"]);
        has(&output, words);
        assert!(!output.stderr.contains("good.yaml"), "{output}");
        assert_eq!(test.read_text("out/good.yaml"), PLAIN);
        assert!(!test.path("out/bad.yaml").exists(), "{output}");
        assert_eq!(test.read_text("bad.yaml"), before);
        std::fs::remove_dir_all(test.path("out")).expect("a folder that was written");
        output
    }

    fn encrypt_fails(&self, uri: &str, env: &[(&str, &str)], seconds: u64, words: &[&str]) -> Output {
        let test = &self.test;
        test.write(
            "new/.sops.yaml",
            format!(
                "creation_rules:\n  - {{path_regex: bad, hc_vault_transit_uri: \"{uri}\"}}\n  - \
                 {{hc_vault_transit_uri: \"{}\"}}\n",
                self.good
            ),
        );
        test.write("new/bad.yaml", PLAIN);
        test.write("new/good.yaml", PLAIN);
        let run = test.sealant(&["encrypt", "-i", "new/bad.yaml", "new/good.yaml"]);
        let output = run.envs(env).within(seconds).fails(1, &[uri, "new/bad.yaml"]);
        has(&output, words);
        assert!(!output.stderr.contains("new/good.yaml"), "{output}");
        assert_eq!(test.read_text("new/bad.yaml"), PLAIN);
        test.opens("new/good.yaml");
        output
    }
}

#[track_caller]
fn has(output: &Output, words: &[&str]) {
    for word in words {
        assert!(output.stderr.contains(word), "`{word}` is not in what it said\n{output}");
    }
}

#[test]
fn nobody_listens() {
    let fault = Fault::new("refused");
    let uri = fault.at(&nobody());
    let started = Instant::now();
    let _ = fault.shows(&uri, &[], 20, &["cannot be reached", "refused", "Check the address"]);
    assert!(started.elapsed() < Duration::from_secs(15));
    let uri = fault.at("http://there-is-no-such-host.invalid:8200");
    let _ = fault.shows(&uri, &[], 60, &["cannot be reached"]);
}

#[test]
fn nobody_answers() {
    let fault = Fault::new("silent");
    let env = [("VAULT_CLIENT_TIMEOUT", "1")];
    let silent = Relay::silent();
    let uri = fault.at(silent.address());
    let _ = fault.shows(&uri, &env, 10, &["no answer in time"]);
    let (full, _kept) = Relay::full();
    let uri_of_full = fault.at(&full);
    let _ = fault.shows(&uri_of_full, &env, 10, &["no answer in time"]);
    fault.at(silent.address());
    // Many files, and many keys there, wait together and not one after another.
    let before = silent.requests().len();
    let test = &fault.test;
    let text = test.read_text("bad.yaml");
    for number in 0..20 {
        let name = format!("key_name: silent-{number}");
        test.write(format!("d/{number}.yaml"), text.replace("key_name: silent", &name));
    }
    let run = test.sealant(&["decrypt", "--output-dir", "out", "d"]).envs(&env).within(10);
    let output = run.run().code(128);
    assert_eq!(output.stderr.matches("no answer in time").count(), 20, "{output}");
    let asked = silent.requests().len() - before;
    // Eight wait at the same time, and each asks a second time before it gives up.
    assert!(asked <= 16, "a server that is down is left alone, and was asked {asked} times");
    let drip = Relay::before(&BAO, |_, _| Reply::Drip);
    let uri = fault.at(drip.address());
    let _ = fault.shows(&uri, &env, 10, &["no answer in time"]);
}

#[test]
fn a_slow_server_is_waited_for() {
    let fault = Fault::new("slow");
    let slow = Relay::before(&BAO, |_, _| Reply::Late(Duration::from_millis(1200)));
    fault.at(slow.address());
    assert_eq!(fault.test.sealant(&["decrypt", "bad.yaml"]).run().ok().text(), PLAIN);
    let run = fault.test.sealant(&["decrypt", "bad.yaml"]).env("VAULT_CLIENT_TIMEOUT", "500ms");
    let _ = run.fails(128, &[slow.address(), "no answer in time"]);
    let run = fault.test.sealant(&["decrypt", "bad.yaml"]).env("BAO_CLIENT_TIMEOUT", "1m");
    assert_eq!(run.run().ok().text(), PLAIN);
}

#[test]
fn the_server_is_sealed() {
    let fault = Fault::new("sealed");
    let bao = Bao::start();
    bao.transit_key("faults", "sealed");
    let mine = token_of_both(&BAO, &bao);
    let there = uri(&bao, "faults", "sealed");
    let test = &fault.test;
    test.write("bad.yaml", PLAIN);
    let env = [("VAULT_TOKEN", mine.as_str())];
    test.sealant(&["encrypt", "-i", "--hc-vault-transit", &there, "bad.yaml"]).envs(&env).run().ok();
    bao.seal();
    let _ = fault.shows(&there, &env, 20, &["sealed", "unseal it"]);
    bao.unseal();
    assert_eq!(test.sealant(&["decrypt", "bad.yaml"]).envs(&env).run().ok().text(), PLAIN);
}

#[test]
fn the_token_may_not() {
    let fault = Fault::new("denied");
    let others = key("faults", "denied-others");
    fault.test.encrypted("bad.yaml", &[&others]);
    BAO.policy("faults-denied", "path \"faults/+/denied\" { capabilities = [\"update\"] }");
    let mine = token(&BAO, &["-policy=faults-denied"]);
    let env = [("VAULT_TOKEN", mine.as_str())];
    let [decrypt, encrypt] = fault.shows(&others, &env, 20, &["permission denied (403)"]);
    for (output, operation) in [(decrypt, "decrypt"), (encrypt, "encrypt")] {
        has(
            &output,
            &[&format!("path \"faults/{operation}/denied-others\" {{ capabilities = [\"update\"] }}")],
        );
    }
    let bad = secret("hvs.nobodyhasgivenusthistoken");
    let run = fault.test.stranger(&["decrypt", "good.yaml"]).env("VAULT_TOKEN", bad);
    let _ = run.fails(128, &[&fault.good, "permission denied (403)"]);
}

#[test]
fn there_is_no_such_key_or_engine() {
    let fault = Fault::new("missing");
    let test = &fault.test;
    test.replace("bad.yaml", "key_name: missing", "key_name: gone");
    let gone = fault.good.replace("/keys/missing", "/keys/gone");
    let _ = fault.decrypt_fails(&gone, &[], 20, &["encryption key not found"]);
    test.replace("bad.yaml", "engine_path: faults", "engine_path: nowhere");
    let nowhere = gone.replace("/v1/faults/", "/v1/nowhere/");
    let _ = fault.shows(&nowhere, &[], 20, &["no handler for route", "not be mounted"]);
    // What is there is no transit engine.
    test.replace("bad.yaml", "engine_path: nowhere", "engine_path: cubbyhole");
    let wrong = gone.replace("/v1/faults/", "/v1/cubbyhole/");
    let _ = fault.shows(&wrong, &[], 20, &[]);
    assert_eq!(ask(&BAO, "LIST", "faults/keys", json!({}))["data"]["keys"].to_string().find("gone"), None);
}

#[test]
fn what_was_wrapped_is_not_what_the_key_opens() {
    let fault = Fault::new("ciphertext");
    let test = &fault.test;
    let original = test.read_text("bad.yaml");
    let with = |ciphertext: &str| test.write("bad.yaml", original.replace(wrapped(&original)[0], ciphertext));
    key("faults", "ciphertext-other");
    let encrypt = |name: &str, plaintext: &str| {
        let body = json!({ "plaintext": plaintext });
        let answer = ask(&BAO, "POST", &format!("faults/encrypt/{name}"), body);
        answer["data"]["ciphertext"].as_str().expect("a ciphertext").to_owned()
    };
    // 32 bytes, 31 bytes and 33 bytes.
    let [right, short, long] = [
        "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MA==",
        "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEy",
    ]
    .map(secret);
    for (ciphertext, words) in [
        (encrypt("ciphertext-other", &right), "message authentication failed"),
        (encrypt("ciphertext", &short), "has 31 bytes instead of 32"),
        (encrypt("ciphertext", &long), "has 33 bytes instead of 32"),
        (encrypt("ciphertext", ""), "has 0 bytes instead of 32"),
        ("vault:v1:AAAA".to_owned(), "invalid ciphertext"),
        ("vault:v1:%%%%".to_owned(), "invalid ciphertext"),
        ("vault:v0:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(), ""),
        ("vault:v9:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(), ""),
        ("nonsense".to_owned(), ""),
        ("\"\"".to_owned(), ""),
    ] {
        with(&ciphertext);
        let _ = fault.decrypt_fails(&fault.good, &[], 20, &[words]);
    }
    // A data key, but not this file's.
    with(&encrypt("ciphertext", &right));
    let run = test.sealant(&["decrypt", "--output-dir", "out", "bad.yaml", "good.yaml"]);
    let _ = run.fails(25, &["bad.yaml"]);
    assert!(!test.path("out/bad.yaml").exists());
}

#[test]
fn the_version_is_no_longer_decrypted() {
    let fault = Fault::new("too-old");
    let test = &fault.test;
    let path = "faults/keys/too-old";
    ask(&BAO, "POST", &format!("{path}/rotate"), json!({}));
    ask(&BAO, "POST", &format!("{path}/config"), json!({ "min_decryption_version": 2 }));
    test.encrypted("good.yaml", &[&fault.good]);
    let _ = fault.decrypt_fails(&fault.good, &[], 20, &["too old"]);
}

/// Most of their time these wait, and there are no more tests at once than cores: so they wait together.
#[test]
fn a_busy_server_is_asked_again_a_few_times() {
    thread::scope(|scope| {
        for status in [429, 503, 502, 500, 412] {
            scope.spawn(move || is_asked_again(status));
        }
        for (status, words) in [
            (429, "limits the rate of requests (429): not now"),
            (500, "failed (500): not now"),
            (503, "failed (503): not now"),
        ] {
            scope.spawn(move || is_given_up(status, words));
        }
        for (name, value, tries) in
            [("VAULT_MAX_RETRIES", "0", 1), ("VAULT_MAX_RETRIES", "1", 2), ("BAO_MAX_RETRIES", "3", 4)]
        {
            scope.spawn(move || is_asked_as_often_as_we_say(name, value, tries));
        }
    });
}

/// Twice busy, then as usual.
fn is_asked_again(status: u16) {
    let fault = Fault::new("busy");
    let busy = Relay::before(&BAO, move |number, _| match number {
        0 | 1 => Reply::error(status, "not now"),
        _ => Reply::Forward,
    });
    fault.at(busy.address());
    let output = fault.test.sealant(&["decrypt", "bad.yaml"]).within(30).run().ok();
    assert_eq!((output.text(), output.stderr.as_str(), busy.requests().len()), (PLAIN, "", 3), "{status}");
}

fn is_given_up(status: u16, words: &str) {
    let fault = Fault::new("busy");
    let busy = Relay::before(&BAO, move |_, _| Reply::error(status, "not now"));
    let uri = fault.at(busy.address());
    let _ = fault.shows(&uri, &[], 30, &[words, "Try again later"]);
    assert_eq!(busy.requests().len(), 6, "three times each, {status}");
}

fn is_asked_as_often_as_we_say(name: &str, value: &str, tries: usize) {
    let fault = Fault::new("busy");
    let busy = Relay::before(&BAO, |_, _| Reply::error(500, "not now"));
    let uri = fault.at(busy.address());
    let _ = fault.test.sealant(&["decrypt", "bad.yaml"]).env(name, value).fails(128, &[&uri, "not now"]);
    assert_eq!(busy.requests().len(), tries, "{name}={value}");
}

#[test]
fn what_another_try_does_not_change_is_not_tried_again() {
    let fault = Fault::new("firm");
    for status in [400, 403, 404, 405, 501] {
        let firm = Relay::before(&BAO, move |_, _| Reply::error(status, "never"));
        let uri = fault.at(firm.address());
        let words = [uri.as_str(), "never", &status.to_string()];
        let _ = fault.test.sealant(&["decrypt", "bad.yaml"]).fails(128, &words);
        // What a server says that knows no batches: there the item is sent by itself.
        let tries = if [400, 405, 501].contains(&status) { 2 } else { 1 };
        assert_eq!(firm.requests().len(), tries, "{status}");
    }
}

#[test]
fn a_connection_that_breaks_is_tried_again() {
    let fault = Fault::new("broken");
    let restarted = Relay::before(&BAO, |number, _| match number {
        0 | 1 => Reply::Close,
        _ => Reply::Forward,
    });
    fault.at(restarted.address());
    assert_eq!(fault.test.sealant(&["decrypt", "bad.yaml"]).within(20).run().ok().text(), PLAIN);
    let never = Relay::before(&BAO, |_, _| Reply::Close);
    let uri = fault.at(never.address());
    let _ = fault.shows(&uri, &[], 20, &["cannot be reached"]);
    assert!(never.requests().len() <= 6, "{}", never.requests().len());
}

#[test]
fn http_and_https_are_mixed_up() {
    let fault = Fault::new("mixed");
    let bao = Bao::start_tls();
    let uri = fault.at(&bao.address().replace("https://", "http://"));
    let _ = fault.shows(&uri, &[], 20, &["speaks HTTPS", "https://"]);
    let uri = fault.at(&BAO.address().replace("http://", "https://"));
    let _ = fault.shows(&uri, &[], 20, &["does not speak HTTPS", "http://"]);
}

#[test]
fn the_answer_is_none() {
    let fault = Fault::new("garbage");
    let one = |item| json!({ "batch_results": [item] });
    type Answer = Box<dyn Fn() -> Reply + Send + Sync>;
    let body = |status, body: &'static str| -> Answer {
        Box::new(move || Reply::Answer(status, "Content-Type: text/html\r\n".to_owned(), body.to_owned()))
    };
    let data = |data: serde_json::Value| -> Answer { Box::new(move || Reply::data(data.clone())) };
    let answers: Vec<Answer> = vec![
        body(200, "<html>Welcome to nginx!</html>"),
        body(200, ""),
        body(204, ""),
        body(200, "{}"),
        body(200, "null"),
        body(200, "[1, 2"),
        body(404, "<html>Not found</html>"),
        body(418, ""),
        body(200, "\u{0}\u{1}\u{2}"),
        Box::new(|| Reply::Bytes(b"SSH-2.0-OpenSSH_9.6\r\n")),
        Box::new(|| Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{\"data\":")),
        Box::new(|| Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}")),
        Box::new(|| Reply::Bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}")),
        data(json!(null)),
        data(json!({})),
        data(json!({ "batch_results": [] })),
        data(json!({ "batch_results": "x" })),
        data(json!({ "batch_results": [{}, {}] })),
        data(one(json!({}))),
        data(one(json!(null))),
        data(one(json!({ "plaintext": 1, "ciphertext": 1 }))),
        data(one(json!({ "plaintext": "not base64!", "ciphertext": "no ciphertext" }))),
        data(one(json!({ "plaintext": "", "ciphertext": "" }))),
        data(one(json!({ "error": "we are\nclosed \u{1b}[31m today" }))),
    ];
    // All of them at once, each behind a path of its own: the number of the key is that of the answer.
    let count = answers.len();
    let server = Relay::before(&BAO, move |_, request| {
        let number: Option<usize> = request.line.rsplit_once('-').and_then(|(_, n)| n.parse().ok());
        number.and_then(|number| answers.get(number)).map_or(Reply::Close, |answer| answer())
    });
    let test = &fault.test;
    fault.at(server.address());
    let bad = test.read_text("bad.yaml");
    let mut rules = "creation_rules:\n".to_owned();
    for number in 0..count {
        let name = format!("garbage-{number}");
        let text = bad.replace("key_name: garbage", &format!("key_name: {name}"));
        test.write(format!("d/{name}.yaml"), text);
        test.write(format!("new/{name}.yaml"), PLAIN);
        let uri = server.uri("faults", &name);
        rules += &format!("  - {{path_regex: '{name}\\.yaml', hc_vault_transit_uri: '{uri}'}}\n");
    }
    test.write("new/.sops.yaml", rules);
    test.write("d/good.yaml", test.read_text("good.yaml"));
    for number in 0..count {
        let (name, uri) = (format!("garbage-{number}"), server.uri("faults", &format!("garbage-{number}")));
        let run = test.sealant(&["decrypt", "--output-dir", "out", &format!("d/{name}.yaml"), "d/good.yaml"]);
        let output = run.env("VAULT_CLIENT_TIMEOUT", "2").env("VAULT_MAX_RETRIES", "0").within(20);
        let output = output.fails(128, &[&uri, &name]);
        assert!(!output.stderr.contains('\u{1b}'), "{output}");
        assert_eq!(test.read_text("out/d/good.yaml"), PLAIN);
        assert!(!test.path(format!("out/d/{name}.yaml")).exists(), "{output}");
    }
    let run = test.sealant(&["encrypt", "-i", "new"]).env("VAULT_CLIENT_TIMEOUT", "2");
    let output = run.env("VAULT_MAX_RETRIES", "0").within(20).run().code(1);
    for number in 0..count {
        let name = format!("garbage-{number}");
        assert!(output.stderr.contains(&server.uri("faults", &name)), "{name}\n{output}");
        assert_eq!(test.read_text(format!("new/{name}.yaml")), PLAIN, "{name}");
    }
}

#[test]
fn the_answer_is_endless() {
    let fault = Fault::new("flood");
    let flood = Relay::before(&BAO, |_, _| Reply::Flood);
    let uri = fault.at(flood.address());
    let _ = fault.shows(&uri, &[], 20, &["too long"]);
    assert!(flood.flooded() < 128 << 20, "{} MiB were read", flood.flooded() >> 20);
}

#[test]
fn names_that_lead_elsewhere_are_never_asked_for() {
    let test = Place::new();
    let spy = Relay::before(&BAO, |_, _| Reply::Forward);
    let identity = secret(test.age_keygen(&[]).run().ok().text().lines().last().unwrap_or_default());
    let recipient = test.age_keygen(&["-y"]).stdin(identity.as_bytes()).run().ok().text().trim().to_owned();
    let uri = key("faults", "names");
    test.write("f.yaml", PLAIN);
    test.sealant(&["encrypt", "-i", "--hc-vault-transit", &uri, "--age", &recipient, "f.yaml"]).run().ok();
    test.encrypted("good.yaml", &[&uri]);
    test.replace("f.yaml", BAO.address(), spy.address());
    test.write("plain.yaml", PLAIN);
    let original = test.read_text("f.yaml");
    let address = spy.address();
    for (field, value) in [
        ("engine_path", "faults/decrypt/.."),
        ("engine_path", "faults/.."),
        ("engine_path", "\"%2e%2e/faults\""),
        ("engine_path", "."),
        ("engine_path", "\"faults?x=\""),
        ("engine_path", "\"\""),
        ("key_name", "../../auth/token/revoke-self"),
        ("key_name", ".."),
        ("key_name", "\"%2e%2e\""),
        ("key_name", "\"%2e%2e%2fauth\""),
        ("key_name", "names/x"),
        ("key_name", "\"names#\""),
        ("key_name", "\"na mes\""),
        ("key_name", "\"names\\r\\nX-Vault-Namespace: x\""),
        ("key_name", "\"\""),
        ("vault_address", &format!("{address}/v1/sys")),
        ("vault_address", &format!("{address}?")),
        ("vault_address", &format!("\"{address}#\"")),
        ("vault_address", "file:///etc/passwd"),
        ("vault_address", &address.replace("http://", "http://user:word@")),
    ] {
        let line = original.lines().find(|line| line.contains(&format!("{field}: "))).expect("a line");
        let start = line.find(':').expect("a colon") + 1;
        test.write("f.yaml", original.replace(line, &format!("{} {value}", &line[..start])));
        let run = test.sealant(&["decrypt", "--output-dir", "out", "f.yaml", "good.yaml"]);
        let output = run.fails(128, &["f.yaml", "not the name of a transit key"]);
        assert_eq!(test.read_text("out/good.yaml"), PLAIN, "{output}");
        let output = test.sealant(&["decrypt", "f.yaml"]).env("SOPS_AGE_KEY", &identity).run().ok();
        assert_eq!(output.text(), PLAIN, "{field}: {value}");
        // In a URI, `names` is a word in the place of `keys`, as with sops.
        if field == "key_name" && !value.contains('\\') && value != "names/x" {
            let odd = format!("{address}/v1/faults/keys/{}", value.trim_matches('"'));
            let run = test.sealant(&["encrypt", "--hc-vault-transit", &odd, "plain.yaml"]);
            let _ = run.fails(1, &["transit key"]);
        }
    }
    assert_eq!(spy.requests().len(), 0);
}

#[test]
fn a_hostile_address_gets_nothing_when_there_is_a_list() {
    let fault = Fault::new("hostile");
    let hostile = Relay::before(&BAO, |_, _| Reply::Forward);
    let uri = fault.at(hostile.address());
    let env = [("SOPS_HC_VAULT_ALLOWLIST", BAO.address())];
    let _ = fault.shows(&uri, &env, 20, &["not allowed", "SOPS_HC_VAULT_ALLOWLIST"]);
    assert_eq!(hostile.requests().len(), 0);
}

#[test]
fn two_servers_fail_each_in_its_own_way() {
    let fault = Fault::new("two");
    let test = &fault.test;
    let (silent, down) = (Relay::silent(), nobody());
    let text = test.read_text("bad.yaml");
    test.write("silent.yaml", text.replace(BAO.address(), silent.address()));
    test.write("down.yaml", text.replace(BAO.address(), &down));
    test.write("both.yaml", text.replace("key_name: two", "key_name: none"));
    let run = test.sealant(&["decrypt", "--output-dir", "out"]).env("VAULT_CLIENT_TIMEOUT", "1").within(20);
    let run =
        ["silent.yaml", "down.yaml", "both.yaml", "good.yaml"].iter().fold(run, |run, file| run.arg(file));
    let words = ["no answer in time", "refused", "encryption key not found", silent.address(), &down];
    let _ = run.fails(128, &words);
    assert_eq!(test.read_text("out/good.yaml"), PLAIN);
    // Failures of different kinds end with 1, as in every command.
    test.write("broken.yaml", text.replace("mac: ENC[AES256_GCM,data:", "mac: ENC[AES256_GCM,data:AAAA"));
    let run = test.sealant(&["decrypt", "--output-dir", "out2", "down.yaml", "broken.yaml", "good.yaml"]);
    let _ = run.fails(1, &["broken.yaml", "down.yaml"]);
    assert_eq!(test.read_text("out2/good.yaml"), PLAIN);
}
