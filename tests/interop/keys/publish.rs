//! What `publish` sends, beside the real sops: to OpenBao, to a server that stands in for S3, and to one for Google's storage.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use sealant_test_support::{Bao, Moto, Run, Sandbox};
use serde_json::Value;

use super::{sandbox, with, x25519};

const YAML: &str = "a: 1\nb: hunter2\nc:\n    d: [x, 2.5, true, null]\n    e: 2020-01-02\n# note\n";

/// Both programs, by name.
fn both(test: &Sandbox, args: &[&str]) -> [(&'static str, Run); 2] {
    [("ours", test.sealant(args)), ("theirs", test.sops(args))]
}

#[test]
fn vault_gets_the_values() {
    let (test, bao) = (sandbox(), Bao::start());
    let [me, other] = x25519(&test);
    for version in ["1", "2"] {
        let enable = ["secrets", "enable", "-path", &format!("kv{version}"), "-version", version, "kv"];
        bao.bao(&enable).run().ok();
    }
    for (file, plain) in [
        ("a.yaml", YAML),
        ("a.json", "{\"a\": 1, \"b\": {\"c\": [1.5, \"x\"]}}"),
        ("a.env", "A=1\nB=x y\n"),
        ("a.ini", "[s]\na = 1\n"),
        ("a.bin", "any text\n"),
    ] {
        test.write(file, plain);
        test.sops(&["encrypt", "-i", "--age", &me.recipient, file]).run().ok();
        for version in ["1", "2"] {
            let published = both(&test, &["publish", "--yes", file]).map(|(who, run)| {
                let address = bao.address();
                test.write(
                    ".sops.yaml",
                    format!(
                        "destination_rules:\n  - path_regex: nothing\n    s3_bucket: x\n  - vault_path: {who}/x/\n    \
                         vault_address: {address}/\n    vault_kv_mount_name: kv{version}/\n    vault_kv_version: {version}\n    \
                         omit_extensions: true\n"
                    ),
                );
                let run = with(run, &[&me]).env("VAULT_TOKEN", bao.root_token()).env("VAULT_ADDR", address);
                run.run().ok();
                let read = ["kv", "get", "-format", "json", "-mount", &format!("kv{version}"), &format!("{who}/x/a")];
                let found: Value = serde_json::from_slice(&bao.bao(&read).run().ok().stdout).expect("JSON");
                let mut data = if version == "1" { found["data"].clone() } else { found["data"]["data"].clone() };
                // sops has this section in every INI file.
                data.as_object_mut().expect("an object").retain(|name, value| name != "DEFAULT" || *value != serde_json::json!({}));
                data
            });
            assert_eq!(published[0], published[1], "{file}");
            assert!(published[0].as_object().is_some_and(|values| !values.is_empty()), "{file}");
        }
    }

    let publish = |token: &str| {
        with(test.sealant(&["publish", "-y", "a.yaml"]), &[&me])
            .env("VAULT_TOKEN", token)
            .env("VAULT_ADDR", bao.address())
    };
    let config = test.read_text(".sops.yaml").replace("theirs/x/", "ours/x/");
    test.write(".sops.yaml", config);
    publish(bao.root_token()).run().ok();
    let again = publish(bao.root_token()).run().ok();
    assert!(again.stderr.contains("already"), "{again}");
    bao.policy("nothing", "path \"x\" { capabilities = [\"read\"] }");
    let denied = publish(&bao.token(&["-policy=nothing"])).run().code(1);
    assert!(denied.stderr.contains("kv2/data/ours/x/a") && denied.stderr.contains("create"), "{denied}");
    assert!(!denied.stderr.contains("hunter2"), "{denied}");

    // A server that only the rule names gets no token.
    let unnamed = publish(bao.root_token()).env("VAULT_ADDR", "https://vault.example.com").run().code(1);
    assert!(unnamed.stderr.contains("you have not named this server"), "{unnamed}");

    // What cannot be verified, or is a copy of what fewer may read, stays here.
    let text = test.read_text("a.yaml");
    test.write("b.yaml", text.replace("b: ENC", "z: ENC"));
    let changed = with(test.sealant(&["publish", "-y", "b.yaml"]), &[&me])
        .env("VAULT_TOKEN", bao.root_token())
        .env("VAULT_ADDR", bao.address());
    assert!([25, 51].contains(&changed.run().status));
    let rules = format!(
        "creation_rules:\n  - path_regex: ^dev/\n    age: {},{}\n  - age: {}\n",
        me.recipient, other.recipient, me.recipient
    );
    test.write(".sops.yaml", format!("{}{rules}", test.read_text(".sops.yaml")));
    test.write("dev/a.yaml", text);
    let copy = with(test.sealant(&["publish", "-y", "dev/a.yaml"]), &[&me])
        .env("VAULT_TOKEN", bao.root_token())
        .env("VAULT_ADDR", bao.address());
    let copy = copy.run().code(8);
    assert!(copy.stderr.contains("shares its data key"), "{copy}");
}

fn git(test: &Sandbox, words: &[&str]) {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@t"];
    let _ = test.program("git", &identity).args(words).run().ok();
}

fn commit(test: &Sandbox) {
    git(test, &["add", "-A"]);
    git(test, &["commit", "-q", "-m", "x"]);
}

/// Whoever reads where a file is sent to reads the file: so a copy is not sent where its original is not.
#[test]
fn a_copy_is_not_sent_where_its_original_is_not() {
    let (test, bao) = (sandbox(), Bao::start());
    let [me] = x25519(&test);
    bao.bao(&["secrets", "enable", "-path", "kv", "-version", "2", "kv"]).run().ok();
    let rule = |folder: &str, path: &str| {
        let address = bao.address();
        format!(
            "  - path_regex: ^{folder}/\n    vault_path: {path}\n    vault_address: {address}\n    vault_kv_mount_name: kv\n"
        )
    };
    let destinations = [rule("dev", "team/dev"), rule("prod", "ops/prod"), rule("pub", "team/pub")].concat();
    let age = &me.recipient;
    test.write(
        ".sops.yaml",
        format!("creation_rules:\n  - path_regex: ^(dev|prod|new)/\n    age: {age}\ndestination_rules:\n{destinations}"),
    );
    let run = |args: &[&str]| {
        let run = with(test.sealant(args), &[&me]);
        run.env("VAULT_TOKEN", bao.root_token()).env("VAULT_ADDR", bao.address()).run()
    };
    let publish = |file: &str| run(&["publish", "--yes", "--recursive", file]);
    let has = |path: &str| bao.bao(&["kv", "get", "-mount", "kv", path]).run().status == 0;
    let found = |rule: &str| {
        let told = run(&["check"]);
        told.text().lines().filter(|line| line.contains(rule)).map(str::to_owned).collect::<Vec<_>>()
    };
    git(&test, &["init", "-q", "-b", "main"]);
    test.write("prod/db.yaml", YAML);
    test.write("dev/own.yaml", YAML);
    for file in ["prod/db.yaml", "dev/own.yaml"] {
        run(&["encrypt", "-i", file]).ok();
    }
    commit(&test);
    publish("prod").ok();

    for (copy, sent, path) in [
        ("dev/cache.yaml", "team/dev", "team/dev/cache.yaml"),
        ("pub/cache.yaml", "team/pub", "team/pub/cache.yaml"),
    ] {
        // Beside the original, and instead of it.
        test.write(copy, test.read("prod/db.yaml"));
        let refused = publish(copy).code(8);
        for part in ["shares its data key", "prod/db.yaml", "does not", sent, "--allow-copied"] {
            assert!(refused.stderr.contains(part), "{part}: {refused}");
        }
        let told = found("[copied]");
        assert!(told.iter().any(|line| line.starts_with(copy) && line.contains("prod/db.yaml")), "{told:?}");
        std::fs::remove_file(test.path(copy)).expect("a file");
        git(&test, &["mv", "-k", "prod/db.yaml", copy]);
        commit(&test);
        let refused = publish(copy).code(8);
        // At the second turn it was in `dev` as well.
        let is_from = |place| refused.stderr.contains(&format!("{place} of commit"));
        assert!(is_from("prod/db.yaml") || (sent == "team/pub" && is_from("dev/cache.yaml")), "{refused}");
        assert!(refused.stderr.contains(sent), "{refused}");
        let told = found("[moved]");
        assert!(told.iter().any(|line| line.starts_with(copy)), "{told:?}");
        assert!(!has(path), "{path}");
        // A new data key would hide where it is from, as long as nobody says that it may.
        if copy.starts_with("dev") {
            assert!(run(&["rotate", "-i", copy]).code(8).stderr.contains("prod/db.yaml"));
        }
        git(&test, &["mv", copy, "prod/db.yaml"]);
        commit(&test);
    }
    test.write("dev/cache.yaml", test.read("prod/db.yaml"));
    run(&["rotate", "-i", "--allow-copied", "dev/cache.yaml"]).ok();
    assert_eq!(found("[copied]"), [""; 0]);
    publish("dev/cache.yaml").ok();
    assert!(has("team/dev/cache.yaml"));
    // Once it is parted, it is a file like others.
    commit(&test);
    run(&["rotate", "-i", "dev/cache.yaml"]).ok();
    publish("dev/cache.yaml").ok();

    // What stays among those for whom it is goes on: a new name, and two of a kind.
    git(&test, &["mv", "dev/own.yaml", "dev/renamed.yaml"]);
    commit(&test);
    test.write("dev/twin.yaml", test.read("dev/renamed.yaml"));
    test.write("pub/a.yaml", YAML);
    run(&["encrypt", "-i", "--age", age, "pub/a.yaml"]).ok();
    test.write("pub/b.yaml", test.read("pub/a.yaml"));
    for folder in ["dev", "pub"] {
        publish(folder).ok();
    }
    assert!(has("team/dev/twin.yaml") && has("team/dev/renamed.yaml") && has("team/pub/b.yaml"));
}

/// A recreation rule is for others than the creation rule: that is what it is for.
#[test]
fn what_is_encrypted_for_others_where_it_is_sent_is_no_copy_of_its_like() {
    let test = sandbox();
    let [me, other] = x25519(&test);
    let (port, uploads) = storage();
    let (age, to) = (&me.recipient, &other.recipient);
    test.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - age: {age}\ndestination_rules:\n  - path_regex: ^dev/\n    gcs_bucket: shop\n    \
             recreation_rule:\n      age: {to}\n"
        ),
    );
    let run = |args: &[&str]| {
        with(test.sealant(args), &[&me]).env("STORAGE_EMULATOR_HOST", format!("127.0.0.1:{port}")).run()
    };
    git(&test, &["init", "-q", "-b", "main"]);
    for file in ["dev/a.yaml", "prod/db.yaml"] {
        test.write(file, YAML);
        run(&["encrypt", "-i", file]).ok();
    }
    commit(&test);
    git(&test, &["mv", "dev/a.yaml", "dev/b.yaml"]);
    commit(&test);
    test.write("dev/c.yaml", test.read("dev/b.yaml"));
    // What another branch has is not sent along.
    git(&test, &["worktree", "add", "-q", "--detach", "dev/.worktree"]);
    run(&["publish", "--yes", "--recursive", "dev"]).ok();
    for _ in ["b", "c"] {
        assert!(uploads.recv().expect("an upload").1.contains(to.as_str()));
    }
    assert!(uploads.try_recv().is_err());
    let told = run(&["check"]);
    assert!(!told.text().contains("[copied]") && !told.text().contains("[moved]"), "{told}");
    test.write("dev/db.yaml", test.read("prod/db.yaml"));
    let refused = run(&["publish", "--yes", "dev/db.yaml"]).code(8);
    assert!(refused.stderr.contains("prod/db.yaml") && refused.stderr.contains(to.as_str()), "{refused}");
    assert!(uploads.try_recv().is_err());
}

const SIGNED: &str = "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x";

/// A request with a signature of somebody's, which nobody checks here, and the body of its answer.
fn http(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: 127.0.0.1\r\n{SIGNED}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

/// Who needs the key of somebody else in one place, also where it is sent, gets nothing from there alone.
#[test]
fn what_takes_keys_of_several_is_not_sent_to_one_of_them() {
    let (test, moto) = (sandbox(), Moto::start());
    let [me, other, third] = x25519(&test);
    http(moto.port(), "PUT /shop");
    let all = [&me, &other, &third].map(|one| one.recipient.as_str());
    let shared = |indent: &str, groups: &[&str]| {
        let groups: String = groups.iter().map(|group| format!("{indent}  - age: [{group}]\n")).collect();
        format!("{indent}shamir_threshold: 2\n{indent}key_groups:\n{groups}")
    };
    let to = |folder: &str, rule: &str| {
        format!(
            "  - path_regex: ^{folder}/\n    s3_bucket: shop\n    s3_prefix: {folder}/\n    recreation_rule:\n{rule}"
        )
    };
    let both = format!("{},{}", all[1], all[2]);
    let to_one = |one: &str| format!("      age: {one}\n");
    for (name, config) in [
        (
            "by its own rule",
            format!(
                "creation_rules:\n  -\n{}destination_rules:\n{}",
                shared("    ", &[all[0], &both]),
                to("dev", &to_one(&format!("{},{}", all[0], all[2])))
            ),
        ),
        (
            "where it is sent",
            format!(
                "creation_rules:\n  - age: {}\ndestination_rules:\n{}{}",
                all[0],
                to("prod", &shared("      ", &all[1..])),
                to("dev", &to_one(&both)),
            ),
        ),
    ] {
        let _ = std::fs::remove_dir_all(test.path(".git"));
        let _ = std::fs::remove_dir_all(test.path("dev"));
        test.write(".sops.yaml", config);
        git(&test, &["init", "-q", "-b", "main"]);
        for file in ["prod/db.yaml", "dev/own.yaml"] {
            test.write(file, YAML);
            test.sealant(&["encrypt", "-i", file]).run().ok();
        }
        commit(&test);
        let publish = |file: &str| {
            let run = with(moto.serve(test.sealant(&["publish", "--yes", file])), &[&me, &other, &third]);
            run.env("AWS_REGION", "eu-west-1").run()
        };
        publish("dev/own.yaml").ok();
        assert!(http(moto.port(), "GET /shop/dev/own.yaml").contains("ENC["), "{name}");
        git(&test, &["mv", "prod/db.yaml", "dev/db.yaml"]);
        commit(&test);
        let refused = publish("dev/db.yaml").code(8);
        for part in ["prod/db.yaml of commit", "asks for more keys than those of:"] {
            assert!(refused.stderr.contains(part), "{name} {part}: {refused}");
        }
        assert!(!http(moto.port(), "GET /shop/dev/db.yaml").contains("ENC["), "{name}");
    }
}

#[test]
fn s3_gets_the_encrypted_files() {
    let (test, moto) = (sandbox(), Moto::start());
    let [me, other] = x25519(&test);
    http(moto.port(), "PUT /shop");
    let rule = |who: &str, more: &str| {
        let rules = format!("destination_rules:\n  - s3_bucket: shop\n    s3_prefix: {who} x/\n{more}");
        test.write(".sops.yaml", rules);
    };
    for file in ["s/a.yaml", "s/t/b.yaml"] {
        test.write(file, YAML);
        test.sops(&["encrypt", "-i", "--age", &me.recipient, file]).run().ok();
    }
    for (who, run) in both(&test, &["publish", "--yes", "--recursive", "--omit-extensions", "s"]) {
        rule(who, "");
        with(moto.serve(run), &[&me]).env("AWS_REGION", "eu-west-1").run().ok();
        for (name, file) in [("a", "s/a.yaml"), ("t/b", "s/t/b.yaml")] {
            assert_eq!(
                http(moto.port(), &format!("GET /shop/{who}%20x/{name}")),
                test.read_text(file),
                "{who}"
            );
        }
    }
    for (who, run) in both(&test, &["publish", "--yes", "s/a.yaml"]) {
        rule(who, &format!("    recreation_rule:\n      age: {}\n", other.recipient));
        with(moto.serve(run), &[&me]).env("AWS_REGION", "eu-west-1").run().ok();
        let sent = http(moto.port(), &format!("GET /shop/{who}%20x/a.yaml"));
        assert!(sent.contains(&other.recipient) && !sent.contains(&me.recipient), "{who}: {sent}");
        test.write("sent.yaml", sent);
        for open in [test.sops(&["decrypt", "sent.yaml"]), test.sealant(&["decrypt", "sent.yaml"])] {
            assert!(with(open, &[&other]).run().ok().text().contains("hunter2"), "{who}");
        }
    }
    // What the rule would send in plaintext is sent by sops, and by us to whoever asks for it.
    let shown =
        format!("    recreation_rule:\n      age: {}\n      unencrypted_suffix: b\n", other.recipient);
    let ours = |more: &[&str]| {
        rule("shown", &shown);
        let run = with(moto.serve(test.sealant(&["publish", "--yes", "s/a.yaml"])), &[&me]);
        run.args(more).env("AWS_REGION", "eu-west-1").run()
    };
    let sent = |who: &str| http(moto.port(), &format!("GET /shop/{who}%20x/a.yaml"));
    let refused = ours(&[]).code(8);
    assert!(
        refused.stderr.contains("b would be sent in plaintext") && refused.stderr.contains("--plaintext"),
        "{refused}"
    );
    assert!(!sent("shown").contains("ENC["), "{}", sent("shown"));
    ours(&["--plaintext"]).ok();
    rule("by sops", &shown);
    let theirs = with(moto.serve(test.sops(&["publish", "--yes", "s/a.yaml"])), &[&me]);
    theirs.env("AWS_REGION", "eu-west-1").run().ok();
    for who in ["shown", "by%20sops"] {
        assert!(sent(who).contains("b: hunter2") && sent(who).contains("a: ENC["), "{}", sent(who));
    }
    test.write(".sops.yaml", "destination_rules:\n  - s3_bucket: nowhere\n");
    let run = with(moto.serve(test.sealant(&["publish", "-y", "s/a.yaml"])), &[&me]);
    let missing = run.env("AWS_REGION", "eu-west-1").run().code(1);
    assert!(
        missing.stderr.contains("s3://nowhere/a.yaml") && missing.stderr.contains("NoSuchBucket"),
        "{missing}"
    );
}

/// A server that takes uploads as Google's storage does, and tells each.
fn storage() -> (u16, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, uploads) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let (mut bytes, mut buffer) = (Vec::new(), [0; 1 << 16]);
            let is_whole = |bytes: &[u8]| {
                let text = String::from_utf8_lossy(bytes);
                let (head, body) = text.split_once("\r\n\r\n")?;
                let length = head
                    .lines()
                    .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                let whole =
                    length.map_or_else(|| body.ends_with("0\r\n\r\n"), |length: usize| body.len() >= length);
                whole.then(|| (head.lines().next().unwrap_or_default().to_owned(), body.to_owned()))
            };
            let upload = loop {
                let read = stream.read(&mut buffer).unwrap_or_default();
                bytes.extend_from_slice(&buffer[..read]);
                match is_whole(&bytes) {
                    None if read > 0 => {}
                    whole => break whole,
                }
            };
            let answer = "{\"kind\": \"storage#object\", \"name\": \"x\", \"bucket\": \"shop\"}";
            let length = answer.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
            );
            upload.into_iter().for_each(|upload| drop(sender.send(upload)));
        }
    });
    (port, uploads)
}

#[test]
fn google_storage_gets_the_encrypted_files() {
    let test = sandbox();
    let [me] = x25519(&test);
    let (port, uploads) = storage();
    test.write("a.yaml", YAML);
    test.sops(&["encrypt", "-i", "--age", &me.recipient, "a.yaml"]).run().ok();
    test.write(".sops.yaml", "destination_rules:\n  - gcs_bucket: shop\n    gcs_prefix: x/\n");
    for (who, run) in both(&test, &["publish", "--yes", "a.yaml"]) {
        with(run, &[&me]).env("STORAGE_EMULATOR_HOST", format!("127.0.0.1:{port}")).run().ok();
        let (line, body) = uploads.recv().expect("an upload");
        assert!(line.starts_with("POST /upload/storage/v1/b/shop/o?"), "{who}: {line}");
        assert!(line.contains("name=x%2Fa.yaml"), "{who}: {line}");
        assert!(body.contains(test.read_text("a.yaml").trim()), "{who}: {body}");
    }
}
