//! Many files, few requests: counted in the server's own audit log.

use sealant_test_support::Bao;
use serde_json::json;

use super::place::{BAO, PLAIN, Place, ask, count, key, token, token_of_both, uri, wrapped};

const FILES: usize = 300;

/// One request for each chunk of 256 files.
const CHUNKS: usize = 2;

fn plain(test: &Place, folder: &str, files: usize) {
    for number in 0..files {
        test.write(format!("{folder}/{number:03}.yaml"), PLAIN);
    }
}

/// How many data keys each request to the engine carried.
fn sizes(path: &str) -> Vec<usize> {
    let requests = BAO.requests_to(path);
    requests.iter().map(|request| request.data["batch_input"].as_array().map_or(0, Vec::len)).collect()
}

#[test]
fn three_hundred_files_take_two_requests() {
    let test = Place::new();
    let (old, new) = (key("batch/whole", "old"), key("batch/whole", "new"));
    test.rule(&format!("hc_vault_transit_uri: {old}"));
    plain(&test, "d", FILES);
    test.sealant(&["encrypt", "-i", "--yes", "d"]).run().ok();
    assert_eq!(sizes("batch/whole/encrypt/old"), [256, 44]);
    let text = test.read_text("d/000.yaml");
    assert_ne!(wrapped(&text), wrapped(&test.read_text("d/001.yaml")), "each file has a data key of its own");

    test.sealant(&["decrypt", "--output-dir", "out", "d"]).run().ok();
    assert_eq!(sizes("batch/whole/decrypt/old"), [256, 44]);
    for number in 0..FILES {
        assert_eq!(test.read_text(format!("out/d/{number:03}.yaml")), PLAIN);
    }

    test.rule(&format!("hc_vault_transit_uri: {new}"));
    test.sealant(&["updatekeys", "-y", "d"]).run().ok();
    assert_eq!(count(&BAO, "batch/whole/decrypt/old"), 2 * CHUNKS);
    assert_eq!(sizes("batch/whole/encrypt/new"), [256, 44]);
    test.sealant(&["rotate", "-i", "d"]).run().ok();
    assert_eq!(sizes("batch/whole/decrypt/new"), [256, 44]);
    assert_eq!(count(&BAO, "batch/whole/encrypt/new"), 2 * CHUNKS);

    test.sealant(&["decrypt", "-i", "d"]).run().ok();
    for number in 0..FILES {
        assert_eq!(test.read_text(format!("d/{number:03}.yaml")), PLAIN);
    }
    // Nothing was asked of the server but this.
    let operations = ["encrypt", "decrypt", "keys"].map(|name| count(&BAO, &format!("batch/whole/{name}/")));
    assert_eq!(operations.iter().sum::<usize>(), count(&BAO, "batch/whole/"));
}

#[test]
fn one_file_that_does_not_open_fails_alone() {
    let test = Place::new();
    let (mine, other) = (key("batch/some", "mine"), key("batch/some", "other"));
    plain(&test, "d", FILES);
    test.sealant(&["encrypt", "-i", "--yes", "--hc-vault-transit", &mine, "d"]).run().ok();
    test.encrypted("other.yaml", &[&other]);
    let change = |file: &str, new: &str| {
        let text = test.read_text(file);
        test.replace(file, wrapped(&text)[0], new);
    };
    let text = test.read_text("d/017.yaml");
    let damaged = wrapped(&text)[0].replace("vault:v1:", "vault:v1:AAAA");
    change("d/017.yaml", &damaged);
    // What one key has wrapped, under the name of another.
    let foreign = test.read_text("other.yaml");
    change("d/100.yaml", wrapped(&foreign)[0]);
    change("d/299.yaml", "vault:v7:AAAA");
    change("d/256.yaml", "no ciphertext at all");
    let bad = [17, 100, 256, 299];
    let before = count(&BAO, "batch/some/decrypt/mine");
    let output = test.sealant(&["decrypt", "--output-dir", "out", "d"]).run().code(128);
    assert_eq!(count(&BAO, "batch/some/decrypt/mine") - before, CHUNKS);
    for number in 0..FILES {
        let file = format!("d/{number:03}.yaml");
        let decrypted = test.path("out").join(&file);
        assert_eq!(decrypted.exists(), !bad.contains(&number), "{file}\n{output}");
        let told = format!("error: {file}");
        assert_eq!(output.stderr.contains(&told), bad.contains(&number), "{file}\n{output}");
    }
    assert!(output.stderr.contains(&mine), "{output}");
    assert_eq!(test.read_text("out/d/000.yaml"), PLAIN);

    // In place as well: what fails stays as it is.
    let kept = bad.map(|number| test.read_text(format!("d/{number:03}.yaml")));
    test.rule(&format!("hc_vault_transit_uri: {other}"));
    let output = test.sealant(&["updatekeys", "-y", "d"]).run().code(128);
    assert_eq!(bad.map(|number| test.read_text(format!("d/{number:03}.yaml"))), kept, "{output}");
    for number in (0..FILES).filter(|number| !bad.contains(number)) {
        assert!(test.read_text(format!("d/{number:03}.yaml")).contains("key_name: other\n"), "{number}");
    }
}

#[test]
fn two_servers_and_two_keys_in_one_run() {
    let test = Place::new();
    let second = Bao::start();
    let [a, b] = ["a", "b"].map(|name| key("batch/two", name));
    second.transit_key("batch/two", "a");
    let there = uri(&second, "batch/two", "a");
    // One token for both, as in an organisation with two servers and one person's token on each.
    let mine = token_of_both(&BAO, &second);
    test.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - {{path_regex: ^d/0, hc_vault_transit_uri: \"{a}\"}}\n  - {{path_regex: ^d/1, \
             hc_vault_transit_uri: \"{b}\"}}\n  - {{path_regex: ^d/2, hc_vault_transit_uri: \"{there}\"}}\n"
        ),
    );
    plain(&test, "d", 250);
    for args in [["encrypt", "-i", "d"], ["decrypt", "-i", "d"]] {
        test.stranger(&args).env("VAULT_TOKEN", &mine).run().ok();
        let path = |name: &str| format!("batch/two/{}/{name}", args[0]);
        assert_eq!([count(&BAO, &path("a")), count(&BAO, &path("b")), count(&second, &path("a"))], [1; 3]);
    }
    assert_eq!(test.read_text("d/249.yaml"), PLAIN);
}

#[test]
fn files_with_the_same_data_key_are_asked_for_once() {
    let test = Place::new();
    let uri = key("batch/same", "shop");
    test.encrypted("d/000.yaml", &[&uri]);
    let text = test.read_text("d/000.yaml");
    for number in 1..FILES {
        test.write(format!("d/{number:03}.yaml"), &text);
    }
    test.sealant(&["decrypt", "--output-dir", "out", "d"]).run().ok();
    assert_eq!(sizes("batch/same/decrypt/shop"), [0, 1], "one by the test and one of one data key");
    assert_eq!(test.read_text("out/d/299.yaml"), PLAIN);
    // The same file, named twice.
    let output = test.sealant(&["decrypt", "--output-dir", "twice", "d/000.yaml", "d/000.yaml"]).run();
    assert!(output.status == 0 || output.stderr.contains("000.yaml"), "{output}");
    assert_eq!(count(&BAO, "batch/same/decrypt/shop"), 3);
}

#[test]
fn who_may_only_encrypt_encrypts_and_who_may_only_decrypt_decrypts() {
    let test = Place::new();
    let uri = key("batch/duties", "shop");
    let mut tokens = ["encrypt", "decrypt"].iter().map(|operation| {
        let name = format!("batch-{operation}");
        BAO.policy(
            &name,
            &format!("path \"batch/duties/{operation}/shop\" {{ capabilities = [\"update\"] }}"),
        );
        token(&BAO, &[&format!("-policy={name}")])
    });
    let (developer, operator) = (tokens.next().expect("a token"), tokens.next().expect("a token"));
    plain(&test, "d", 20);
    let run = |args: &[&str], token: &str| test.stranger(args).env("VAULT_TOKEN", token);
    run(&["encrypt", "-i", "--yes", "--hc-vault-transit", &uri, "d"], &developer).run().ok();
    let words = [uri.as_str(), "permission denied", "path \"batch/duties/decrypt/shop\""];
    let _ = run(&["decrypt", "-i", "d"], &developer).fails(128, &words);
    run(&["decrypt", "-i", "d"], &operator).run().ok();
    let words = [uri.as_str(), "permission denied", "path \"batch/duties/encrypt/shop\""];
    let _ = run(&["encrypt", "-i", "--yes", "--hc-vault-transit", &uri, "d"], &operator).fails(1, &words);
    assert_eq!(test.read_text("d/019.yaml"), PLAIN);
    // A key that is not there is not made by the way by one who may not.
    let _ = ask(&BAO, "GET", "batch/duties/keys/shop", json!({}));
    let missing = uri.replace("/keys/shop", "/keys/none");
    let _ = run(&["encrypt", "--hc-vault-transit", &missing, "d/000.yaml"], &developer).fails(1, &[&missing]);
    let names = ask(&BAO, "LIST", "batch/duties/keys", json!({}));
    assert_eq!(names["data"]["keys"], json!(["shop"]));
}
