//! Keys beside the real sops and age: what one rotates, shares out or hands over, the other opens.

mod azure;
mod cloud;
mod gcp;
mod huawei;
mod keyservice;
mod kms;
mod pgp;
mod publish;
mod sealed;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sealant_test_support::{AGE_PLUGIN_TOY, Run, Sandbox};

/// As sops would write it: whoever wrote the file last, its plaintext is this.
const PLAIN: &str = "# note\na: 1\nb:\n    - hunter2\n    - \"3\"\nc_unencrypted: d\n";

struct Identity {
    secret: String,
    recipient: String,
}

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_sealant"))
}

/// An identity that the real age made.
fn age_identity(test: &Sandbox, flags: &[&str]) -> Identity {
    let secret = test.age_keygen(flags).run().ok().text().to_owned();
    let recipient = test.age_keygen(&["-y"]).stdin(secret.as_bytes()).run().ok().text().trim().to_owned();
    Identity { secret, recipient }
}

fn x25519<const N: usize>(test: &Sandbox) -> [Identity; N] {
    [(); N].map(|()| age_identity(test, &[]))
}

/// A run with these identities.
fn with(run: Run, identities: &[&Identity]) -> Run {
    let secrets: Vec<&str> = identities.iter().map(|identity| identity.secret.as_str()).collect();
    run.env("SOPS_AGE_KEY", secrets.join("\n"))
}

/// The three programs that have to open a file, and what each makes of it.
fn opens(test: &Sandbox, file: &str, identities: &[&Identity]) {
    for run in
        [test.sealant(&["decrypt", file]), test.sops(&["decrypt", file]), test.sops_3_11(&["decrypt", file])]
    {
        assert_eq!(with(run, identities).run().ok().text(), PLAIN, "{file}");
    }
}

fn stays_shut(test: &Sandbox, file: &str, identities: &[&Identity]) {
    for run in [test.sealant(&["decrypt", file]), test.sops(&["decrypt", file])] {
        with(run, identities).run().code(128);
    }
}

fn config(test: &Sandbox, threshold: usize, groups: &[&[&Identity]]) {
    let mut text = "creation_rules:\n  - key_groups:\n".to_owned();
    if threshold > 0 {
        text = format!("creation_rules:\n  - shamir_threshold: {threshold}\n    key_groups:\n");
    }
    for group in groups {
        let recipients: Vec<&str> = group.iter().map(|identity| identity.recipient.as_str()).collect();
        text += &format!("      - age: [\"{}\"]\n", recipients.join("\", \""));
    }
    test.write(".sops.yaml", text);
}

#[test]
fn each_kind_of_recipient_opens_what_the_other_rotated() {
    let test = sandbox();
    let [x] = x25519(&test);
    let pq = age_identity(&test, &["-pq"]);
    for kind in ["ed25519", "rsa"] {
        let file = test.path(format!("id_{kind}"));
        test.program("ssh-keygen", &["-q", "-t", kind, "-N", "", "-C", "me@host", "-f"]).arg(file).run().ok();
    }
    let [ed25519, rsa] = ["id_ed25519.pub", "id_rsa.pub"].map(|file| test.read_text(file).trim().to_owned());
    let recipients = [x.recipient.as_str(), &pq.recipient, &ed25519, &rsa].join(",");

    let all_open = |file: &str| {
        for (variable, value) in [
            ("SOPS_AGE_KEY", x.secret.as_str()),
            ("SOPS_AGE_KEY", pq.secret.as_str()),
            ("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "id_ed25519"),
            ("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "id_rsa"),
        ] {
            for run in [test.sealant(&["decrypt", file]), test.sops(&["decrypt", file])] {
                assert_eq!(run.env(variable, value).run().ok().text(), PLAIN, "{file} with {variable}");
            }
        }
    };
    test.write("plain.yaml", PLAIN);
    let ours = test.sealant(&["encrypt", "--age", &recipients, "plain.yaml"]).run().ok();
    let theirs = test.sops(&["encrypt", "--age", &recipients, "plain.yaml"]).run().ok();
    test.write("ours.yaml", ours.stdout);
    test.write("theirs.yaml", theirs.stdout);
    for file in ["ours.yaml", "theirs.yaml"] {
        all_open(file);
        with(test.sealant(&["rotate", "-i", file]), &[&x]).run().ok();
        all_open(file);
        test.sops(&["rotate", "-i", file]).env("SOPS_AGE_KEY", &pq.secret).run().ok();
        all_open(file);
        test.sealant(&["rotate", "-i", file]).env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "id_rsa").run().ok();
        all_open(file);
    }
}

#[test]
fn rotated_files_of_every_format_are_read_by_sops() {
    let test = sandbox();
    let [a, b] = x25519(&test);
    for (file, plaintext) in [
        ("a.json", "{\n\t\"a\": 1,\n\t\"b\": [\n\t\t\"x\"\n\t]\n}\n"),
        ("a.env", "A=1\n# note\nB=x y\n"),
        ("a.ini", "[s]\na = 1\n"),
        ("a.txt", "any bytes\n"),
    ] {
        test.write(file, plaintext);
        test.sops(&["encrypt", "-i", "--age", &a.recipient, file]).run().ok();
        let added = ["rotate", "-i", "--add-age", &b.recipient, "--rm-age", &a.recipient, file];
        with(test.sealant(&added), &[&a]).run().ok();
        for run in [
            test.sops(&["decrypt", file]),
            test.sealant(&["decrypt", file]),
            test.sops_3_11(&["decrypt", file]),
        ] {
            let output = with(run, &[&b]).run().ok();
            assert_eq!(output.text().trim_end(), plaintext.trim_end(), "{file}");
        }
        with(test.sops(&["decrypt", file]), &[&a]).run().code(128);
        with(test.sops(&["rotate", "-i", "--add-age", &a.recipient, file]), &[&b]).run().ok();
        with(test.sealant(&["decrypt", file]), &[&a]).run().ok();
    }
}

#[test]
fn any_two_of_three_groups_open_what_either_shared_out() {
    let test = sandbox();
    let [a, b, c, d] = x25519(&test);
    config(&test, 2, &[&[&a], &[&b], &[&c]]);
    test.write("plain.yaml", PLAIN);
    let pairs = |file: &str, third: &Identity| {
        for pair in [[&a, &b], [&a, third], [&b, third]] {
            opens(&test, file, &pair);
        }
        for alone in [&a, &b, third] {
            stays_shut(&test, file, &[alone]);
        }
    };
    for (file, run) in [
        ("ours.yaml", test.sealant(&["encrypt", "plain.yaml"])),
        ("theirs.yaml", test.sops(&["encrypt", "plain.yaml"])),
    ] {
        test.write(file, run.run().ok().stdout);
        pairs(file, &c);
        with(test.sealant(&["rotate", "-i", file]), &[&a, &b]).run().ok();
        pairs(file, &c);
        with(test.sops(&["rotate", "-i", file]), &[&b, &c]).run().ok();
        pairs(file, &c);
    }
    config(&test, 2, &[&[&a], &[&b], &[&c, &d]]);
    for file in ["ours.yaml", "theirs.yaml"] {
        with(test.sealant(&["updatekeys", "-y", file]), &[&a, &b]).run().ok();
        pairs(file, &c);
        pairs(file, &d);
        stays_shut(&test, file, &[&c, &d]);
    }
    config(&test, 2, &[&[&a], &[&b], &[&d]]);
    for file in ["ours.yaml", "theirs.yaml"] {
        with(test.sops(&["updatekeys", "-y", file]), &[&a, &d]).run().ok();
        pairs(file, &d);
        with(test.sealant(&["updatekeys", "-y", "--rotate", file]), &[&b, &d]).run().ok();
        pairs(file, &d);
        stays_shut(&test, file, &[&b, &c]);
    }
}

#[test]
fn both_take_turns_on_one_file() {
    let test = sandbox();
    let [a, b, c, d] = x25519(&test);
    let file = "f.yaml";
    test.write(file, PLAIN);
    test.sops_3_11(&["encrypt", "-i", "--age", &a.recipient, file]).run().ok();

    config(&test, 0, &[&[&a, &b]]);
    with(test.sealant(&["updatekeys", "-y", file]), &[&a]).run().ok();
    opens(&test, file, &[&b]);
    config(&test, 0, &[&[&b, &c]]);
    with(test.sops(&["updatekeys", "-y", file]), &[&b]).run().ok();
    let up_to_date = with(test.sealant(&["updatekeys", file]), &[&b]).run().ok();
    assert!(up_to_date.stderr.contains("already up to date"), "{up_to_date}");
    with(test.sealant(&["rotate", "-i", file]), &[&c]).run().ok();
    opens(&test, file, &[&b]);
    stays_shut(&test, file, &[&a]);

    with(test.sops(&["groups", "add", "-i", "-f", file, "--age", &d.recipient]), &[&c]).run().ok();
    opens(&test, file, &[&b, &d]);
    stays_shut(&test, file, &[&b, &c]);
    config(&test, 2, &[&[&b, &c], &[&d], &[&a]]);
    with(test.sealant(&["updatekeys", "-y", file]), &[&b, &d]).run().ok();
    opens(&test, file, &[&a, &c]);
    with(test.sops(&["groups", "delete", "-i", "-f", file, "2"]), &[&a, &c]).run().ok();
    opens(&test, file, &[&c, &d]);
    config(&test, 2, &[&[&b, &c], &[&d]]);
    with(test.sealant(&["rotate", "-i", file]), &[&b, &d]).run().ok();
    opens(&test, file, &[&c, &d]);
    stays_shut(&test, file, &[&a, &c]);

    config(&test, 0, &[&[&a]]);
    with(test.sealant(&["updatekeys", "-y", "--rotate", file]), &[&b, &d]).run().ok();
    opens(&test, file, &[&a]);
    with(test.sops(&["rotate", "-i", "--add-age", &d.recipient, file]), &[&a]).run().ok();
    with(test.sealant(&["rotate", "-i", file]), &[&a]).run().code(8);
    with(test.sealant(&["rotate", "-i", "--allow-recipient", &d.recipient, file]), &[&a]).run().ok();
    opens(&test, file, &[&d]);
}

#[test]
fn updatekeys_leaves_all_but_the_recipients_of_either_layout() {
    let test = sandbox();
    let [a, b] = x25519(&test);
    test.write("plain.yaml", PLAIN);
    config(&test, 0, &[&[&a, &b]]);
    for (file, run) in [
        ("new.yaml", test.sops(&["encrypt", "--age", &a.recipient, "plain.yaml"])),
        ("old.yaml", test.sops_3_11(&["encrypt", "--age", &a.recipient, "plain.yaml"])),
    ] {
        let before = run.run().ok().text().to_owned();
        test.write(file, &before);
        with(test.sealant(&["updatekeys", "-y", file]), &[&a]).run().ok();
        let after = test.read_text(file);
        let mut rest = after.lines();
        assert!(
            before.lines().all(|line| rest.any(|other| other == line)),
            "{file}: a line went or moved\n{after}"
        );
        opens(&test, file, &[&b]);
    }
}

#[test]
fn a_passphrase_is_asked_for_once_for_many_files() {
    let test = sandbox();
    let [a, b] = x25519(&test);
    test.write("key.txt", &a.secret);
    let lock = ["-e", "-j", "batchpass", "-o", "key.age", "key.txt"];
    test.age(&lock).env("AGE_PASSPHRASE", "correct horse").with_peers().run().ok();
    for file in ["d/a.yaml", "d/b.yaml", "d/c.yaml"] {
        test.write(file, PLAIN);
        test.sops(&["encrypt", "-i", "--age", &a.recipient, file]).run().ok();
    }
    let run =
        test.sealant(&["rotate", "-i", "--add-age", &b.recipient, "d"]).env("SOPS_AGE_KEY_FILE", "key.age");
    let mut terminal = run.on_terminal();
    terminal.wait_for("Enter passphrase for identity file key.age: ");
    terminal.send_hidden_line("correct horse");
    let output = terminal.finish().ok();
    assert_eq!(output.text().matches("Enter passphrase").count(), 1, "{output}");
    assert!(!output.text().contains("correct horse"), "{output}");
    opens(&test, "d/c.yaml", &[&b]);
}

/// Private SSH keys as OpenSSL and old OpenSSH wrote them: each opens what is for its public half, as with sops.
#[test]
fn ssh_keys_in_pem_and_pkcs8_open_what_sops_opens() {
    let test = sandbox();
    test.write("plain.yaml", PLAIN);
    let keygen = |args: &[&str], file: &str| {
        let run = test.program("ssh-keygen", &["-q", "-C", "me@host", "-t", "rsa"]).args(args);
        run.args(&["-f", file]).run().ok();
    };
    keygen(&["-m", "PKCS8", "-N", "", "-b", "3072"], "pkcs8");
    keygen(&["-m", "PEM", "-N", ""], "pem");
    keygen(&["-m", "PEM", "-N", "correct horse", "-b", "2048"], "locked");
    let openssl = |args: &[&str]| test.program("openssl", args).run().ok();
    // Windows, or an editor, has changed the ends of lines.
    test.write("crlf", test.read_text("pem").replace('\n', "\r\n"));
    test.write("crlf.pub", test.read_text("pem.pub"));
    for (cipher, file) in [("-des3", "des3"), ("-aes192", "aes192"), ("-aes256", "aes256"), ("-des", "des")] {
        let legacy = ["-provider", "legacy", "-provider", "default"];
        let args =
            ["rsa", "-traditional", cipher, "-in", "pem", "-passout", "pass:correct horse", "-out", file];
        openssl(&[&args[..], &legacy].concat());
        test.write(format!("{file}.pub"), test.read_text("pem.pub"));
    }
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", "ed25519"]);
    let public = openssl(&["pkey", "-in", "ed25519", "-pubout", "-outform", "DER"]).stdout;
    let blob = [&[0, 0, 0, 11][..], b"ssh-ed25519", &[0, 0, 0, 32], &public[public.len() - 32..]].concat();
    let blob = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, blob);
    test.write("ed25519.pub", format!("ssh-ed25519 {blob} me\n"));

    for file in ["pkcs8", "pem", "crlf", "ed25519", "locked", "des3", "aes192", "aes256", "des"] {
        let recipient = test.read_text(format!("{file}.pub")).trim().to_owned();
        let is_locked = test.read_text(file).contains("ENCRYPTED");
        for encrypted in [
            test.sealant(&["encrypt", "--age", &recipient, "plain.yaml"]).run().ok(),
            test.sops(&["encrypt", "--age", &recipient, "plain.yaml"]).run().ok(),
        ] {
            test.write("e.yaml", encrypted.stdout);
            for run in [test.sealant(&["decrypt", "e.yaml"]), test.sops(&["decrypt", "e.yaml"])] {
                let run = run.env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", file);
                if !is_locked {
                    assert_eq!(run.run().ok().text(), PLAIN, "{file}");
                    continue;
                }
                let mut terminal = run.on_terminal();
                terminal.wait_for("assphrase");
                terminal.send_hidden_line("correct horse");
                assert!(terminal.finish().ok().text().contains("hunter2"), "{file}");
            }
        }
    }

    let decrypt = || test.sealant(&["decrypt", "e.yaml"]);
    let locked = || decrypt().env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "des");
    let answered = |answers: &[&str], words: &str| {
        let mut terminal = locked().on_terminal();
        for (answer, prompt) in
            answers.iter().zip(["Enter passphrase for SSH key des", "(2 tries left)", "(1 try left)"])
        {
            terminal.wait_for(prompt);
            terminal.send_hidden_line(answer);
        }
        let output = terminal.finish().code(128);
        assert!(output.text().contains(words), "{output}");
    };
    answered(&["wrong"; 3], "wrong passphrase");
    test.write("des.pub", test.read_text("locked.pub"));
    test.sealant(&["encrypt", "--age", test.read_text("des.pub").trim(), "--output", "e.yaml", "plain.yaml"])
        .run()
        .ok();
    answered(&["correct horse"], "des.pub is of another key");
    fs::remove_file(test.path("des.pub")).expect("the public half goes");
    let output = locked().run().code(128);
    assert!(output.stderr.contains("`ssh-keygen -y -f des > des.pub` writes it"), "{output}");
    // What sops cannot read, either.
    keygen(&["-m", "PKCS8", "-N", "correct horse"], "pkcs8-locked");
    let public = test.read_text("pkcs8-locked.pub");
    test.sealant(&["encrypt", "--age", public.trim(), "--output", "e.yaml", "plain.yaml"]).run().ok();
    let run = |run: Run| run.env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", "pkcs8-locked").run().code(128);
    run(test.sops(&["decrypt", "e.yaml"]));
    assert!(run(decrypt()).stderr.contains("`ssh-keygen -p -f FILE` changes the format"));
}

#[test]
fn the_identity_may_come_from_a_command() {
    let test = sandbox();
    let [a, b] = x25519(&test);
    test.write("key.txt", &a.secret);
    for file in ["d/a.yaml", "d/b.yaml"] {
        test.write(file, PLAIN);
        test.sops(&["encrypt", "-i", "--age", &a.recipient, file]).run().ok();
    }
    config(&test, 0, &[&[&b]]);
    let command = "sh -c 'echo $SOPS_AGE_RECIPIENT >> asked; cat key.txt'";
    test.sealant(&["updatekeys", "-y", "d"]).env("SOPS_AGE_KEY_CMD", command).run().ok();
    assert_eq!(test.read_text("asked"), format!("{}\n", a.recipient), "asked once for all files");
    opens(&test, "d/b.yaml", &[&b]);
    stays_shut(&test, "d/b.yaml", &[&a]);
}

#[test]
fn an_age_plugin_wraps_and_unwraps_for_both() {
    const RECIPIENT: &str = "age1toy1w3hhjuepg65rsf";
    const IDENTITY: &str = "AGE-PLUGIN-TOY-1W3HHJUEP2JSC72";
    // It "wraps" a file key by writing it down.
    let test = sandbox();
    let [a] = x25519(&test);
    test.write("bin/age-plugin-toy", AGE_PLUGIN_TOY);
    fs::set_permissions(test.path("bin/age-plugin-toy"), fs::Permissions::from_mode(0o755))
        .expect("a script");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", test.path("bin").display());

    test.write("a.yaml", PLAIN);
    test.sealant(&["encrypt", "-i", "--age", &a.recipient, "a.yaml"]).run().ok();
    let added = test.sealant(&["rotate", "-i", "--add-age", RECIPIENT, "--rm-age", &a.recipient, "a.yaml"]);
    with(added.env("PATH", &path), &[&a]).run().ok();
    for run in [test.sealant(&["decrypt", "a.yaml"]), test.sops(&["decrypt", "a.yaml"])] {
        let output = run.env("PATH", &path).env("SOPS_AGE_KEY", IDENTITY).run().ok();
        assert_eq!(output.text(), PLAIN);
    }
    test.sops(&["rotate", "-i", "a.yaml"]).env("PATH", &path).env("SOPS_AGE_KEY", IDENTITY).run().ok();
    config(&test, 0, &[&[&a]]);
    let update = test.sealant(&["updatekeys", "-y", "--rotate", "a.yaml"]);
    update.env("PATH", &path).env("SOPS_AGE_KEY", IDENTITY).run().ok();
    opens(&test, "a.yaml", &[&a]);
}
