//! PGP keys of a real GnuPG, beside the real sops: what one wraps the other unwraps, and what gpg's answers become.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sealant_test_support::{Output, Run, Sandbox};

const PLAIN: &str = "a: 1\nb:\n    - hunter2\n    - \"3\"\n";

/// A person's own GnuPG, whose agent ends with the test.
struct Gnupg(Sandbox);

impl Gnupg {
    fn new() -> Self {
        let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        let gnupg = test.home(".gnupg");
        fs::create_dir_all(&gnupg).unwrap();
        fs::set_permissions(&gnupg, fs::Permissions::from_mode(0o700)).unwrap();
        Self(test)
    }

    fn gpg(&self, args: &[&str]) -> Run {
        let batch = ["--batch", "--quiet", "--pinentry-mode", "loopback"];
        self.0.program("gpg", &[&batch, args].concat())
    }

    /// Makes a key, and says its fingerprint.
    fn key(&self, name: &str, passphrase: &str, lasts: &str) -> String {
        self.gpg(&["--passphrase", passphrase, "--quick-gen-key", name, "default", "default", lasts])
            .run()
            .ok();
        let listed = self.gpg(&["--with-colons", "--list-keys", &format!("={name}")]).run().ok();
        let line = listed.text().lines().find(|line| line.starts_with("fpr:")).unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }

    fn with_keys<const N: usize>(names: [&str; N]) -> (Self, [String; N]) {
        let gnupg = Self::new();
        let keys = names.map(|name| gnupg.key(name, "", "never"));
        (gnupg, keys)
    }

    /// Forgets the secret half of a key.
    fn forget(&self, key: &str) {
        self.gpg(&["--yes", "--delete-secret-keys", key]).run().ok();
    }

    fn decrypt(&self, file: &str) -> Output {
        self.0.sealant(&["decrypt", file]).run()
    }

    fn opens(&self, file: &str, plain: &str) {
        for run in [self.0.sealant(&["decrypt", file]), self.0.sops(&["decrypt", file])] {
            assert_eq!(run.run().ok().text(), plain, "{file}");
        }
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        let _ = self.0.program("gpgconf", &["--kill", "all"]).run();
    }
}

#[test]
fn what_one_wraps_the_other_unwraps() {
    let (gnupg, [ann, bob]) = Gnupg::with_keys(["Ann", "Bob"]);
    let test = &gnupg.0;
    test.write("a.yaml", PLAIN);
    let ours = test.sealant(&["encrypt", "--pgp", &ann, "a.yaml"]).run().ok();
    test.write("ours.yaml", &ours.stdout);
    let theirs = test.sops(&["encrypt", "--pgp", &ann, "a.yaml"]).run().ok();
    test.write("theirs.yaml", &theirs.stdout);
    for (file, text) in [("ours.yaml", ours.text()), ("theirs.yaml", theirs.text())] {
        gnupg.opens(file, PLAIN);
        for field in
            ["    pgp:\n", "created_at: \"20", "-----BEGIN PGP MESSAGE-----", &format!("fp: {ann}\n")]
        {
            assert!(text.contains(field), "{file}: {field}\n{text}");
        }
        // A new data key, another reader, a value, fewer readers.
        let add = ["rotate", "-i", "--add-pgp", &bob, file];
        test.sealant(&add).run().ok();
        gnupg.opens(file, PLAIN);
        test.sops(&["set", file, "[\"a\"]", "2"]).run().ok();
        test.sealant(&["set", file, "[\"a\"]", "3"]).run().ok();
        gnupg.opens(file, &PLAIN.replace('1', "3"));
        test.sealant(&["rotate", "-i", "--rm-pgp", &ann.to_lowercase(), file]).run().ok();
        assert!(!test.read_text(file).contains(&ann));
        gnupg.opens(file, &PLAIN.replace('1', "3"));
    }
    gnupg.forget(&bob);
    for file in ["ours.yaml", "theirs.yaml"] {
        let shut = gnupg.decrypt(file).code(128);
        assert!(
            shut.stderr.contains(&format!("pgp {bob}: gpg has no secret key that can decrypt it")),
            "{shut}"
        );
        test.sops(&["decrypt", file]).run().code(128);
    }
}

#[test]
fn a_config_names_keys_and_the_files_follow() {
    let (gnupg, [ann, bob]) = Gnupg::with_keys(["Ann", "Bob"]);
    let test = &gnupg.0;
    let spaced = format!("{} {}", &ann[..20], &ann[20..]);
    test.write(".sops.yaml", format!("creation_rules:\n  - pgp: '{spaced}'\n"));
    test.write("a.yaml", PLAIN);
    test.sealant(&["encrypt", "-i", "a.yaml"]).run().ok();
    gnupg.opens("a.yaml", PLAIN);
    test.write(".sops.yaml", format!("creation_rules:\n  - pgp: {ann},{bob}\n"));
    test.sealant(&["updatekeys", "-y", "a.yaml"]).run().ok();
    let text = test.read_text("a.yaml");
    assert!(text.contains(&format!("fp: {bob}")), "{text}");
    gnupg.forget(&ann);
    gnupg.opens("a.yaml", PLAIN);
    // sops finds nothing that it would do otherwise.
    let update = test.sops(&["updatekeys", "-y", "a.yaml"]).run().ok();
    assert!(update.stderr.contains("already up to date"), "{update}");
}

#[test]
fn groups_may_mix_kinds() {
    let (gnupg, [ann, bob]) = Gnupg::with_keys(["Ann", "Bob"]);
    let test = &gnupg.0;
    let secret = test.age_keygen(&[]).run().ok().text().to_owned();
    let recipient = test.age_keygen(&["-y"]).stdin(secret.as_bytes()).run().ok().text().trim().to_owned();
    let rule = format!(
        "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - pgp: [{ann}]\n      - pgp: [{bob}]\n      - age: [{recipient}]\n"
    );
    test.write(".sops.yaml", rule);
    test.write("a.yaml", PLAIN);
    test.sealant(&["encrypt", "-i", "a.yaml"]).run().ok();
    gnupg.opens("a.yaml", PLAIN);
    gnupg.forget(&bob);
    let few = gnupg.decrypt("a.yaml").code(128);
    assert!(few.stderr.contains("1 of 3 key groups could be opened, and 2 are needed"), "{few}");
    for run in [test.sealant(&["decrypt", "a.yaml"]), test.sops(&["decrypt", "a.yaml"])] {
        assert_eq!(run.env("SOPS_AGE_KEY", &secret).run().ok().text(), PLAIN);
    }
}

/// Each file is one process: no more than four at a time, and none for a data key that was opened already.
#[test]
fn gpg_runs_once_for_each_file() {
    let (gnupg, [ann]) = Gnupg::with_keys(["Ann"]);
    let test = &gnupg.0;
    test.write(".sops.yaml", format!("creation_rules:\n  - pgp: {ann}\n"));
    for number in 0..10 {
        test.write(format!("d/{number}.yaml"), PLAIN);
    }
    test.sealant(&["encrypt", "-i", "--yes", "d"]).run().ok();
    fs::copy(test.path("d/1.yaml"), test.path("d/1-copy.yaml")).unwrap();
    test.write("counted", "#!/bin/sh\necho run >> \"$COUNT\"\nexec gpg \"$@\"\n");
    fs::set_permissions(test.path("counted"), fs::Permissions::from_mode(0o755)).unwrap();
    let decrypt = test.sealant(&["decrypt", "--output-dir", "out", "d"]);
    decrypt.env("SOPS_GPG_EXEC", test.path("counted")).env("COUNT", test.path("runs")).run().ok();
    assert_eq!(test.read_text("out/d/1-copy.yaml"), PLAIN);
    assert_eq!(test.read_text("runs").lines().count(), 10);
}

#[test]
fn what_gpg_cannot_do_is_said_with_what_helps() {
    let (gnupg, [ann]) = Gnupg::with_keys(["Ann"]);
    let test = &gnupg.0;
    test.write("a.yaml", PLAIN);
    let encrypt = |key: &str| test.sealant(&["encrypt", "--pgp", key, "a.yaml"]);
    let fails = |output: Output, code: i32, words: &[&str]| {
        let output = output.code(code);
        for word in words {
            assert!(output.stderr.contains(word), "{word}: {output}");
        }
        assert!(!output.stderr.contains("hunter2"), "{output}");
        output
    };
    let nobody = "0123456789ABCDEF0123456789ABCDEF01234567";
    fails(encrypt(nobody).run(), 1, &[nobody, "gpg has no such public key", "gpg --import"]);
    fails(encrypt("ann@example.org").run(), 1, &["`ann@example.org` is not the name of a PGP key"]);
    let old = gnupg.0.program(
        "gpg",
        &[
            "--batch",
            "--quiet",
            "--passphrase",
            "",
            "--faked-system-time",
            "20200101T000000",
            "--quick-gen-key",
            "Old",
            "default",
            "default",
            "1d",
        ],
    );
    old.run().ok();
    let listed = gnupg.gpg(&["--with-colons", "--list-keys", "=Old"]).run().ok();
    let old = listed.text().lines().find(|line| line.starts_with("fpr:")).unwrap().split(':').nth(9).unwrap();
    fails(encrypt(old).run(), 1, &[old, "has expired", "gpg --import"]);
    fails(encrypt(&ann).env("SOPS_GPG_EXEC", "/nowhere/gpg").run(), 1, &["/nowhere/gpg", "Install GnuPG"]);

    let encrypted = encrypt(&ann).run().ok();
    test.write("e.yaml", &encrypted.stdout);
    let text = encrypted.text();
    let decrypt = |file: &str| test.sealant(&["decrypt", file]);
    fails(
        decrypt("e.yaml").env("SOPS_GPG_EXEC", "/nowhere/gpg").run(),
        128,
        &["/nowhere/gpg", "Install GnuPG"],
    );
    let begin = text.find("-----BEGIN PGP").unwrap();
    let end = text.find("-----END PGP").unwrap();
    test.write(
        "garbage.yaml",
        text.replace(&text[begin..end], "-----BEGIN PGP MESSAGE-----\n\n                "),
    );
    fails(decrypt("garbage.yaml").run(), 128, &["is not a PGP message"]);
    // A gpg that ends well and gives nothing, as old ones do.
    fails(decrypt("e.yaml").env("SOPS_GPG_EXEC", "true").run(), 128, &["could not decrypt"]);

    let locked = gnupg.key("Locked", "correct horse", "never");
    test.write("l.yaml", &encrypt(&locked).run().ok().stdout);
    let _ = test.program("gpgconf", &["--kill", "gpg-agent"]).run();
    test.write(".git/HEAD", "ref: refs/heads/main\n");
    let shown = test.sealant(&["git", "textconv", "l.yaml"]).run();
    assert!(!shown.text().contains("hunter2"), "{shown}");
    gnupg.forget(&ann);
    fails(decrypt("e.yaml").run(), 128, &["gpg has no secret key"]);
}

/// Groups that mix kinds, each made by one and opened, added to and taken from by the other.
#[test]
fn groups_go_both_ways() {
    let (gnupg, [ann, bob]) = Gnupg::with_keys(["Ann", "Bob"]);
    let test = &gnupg.0;
    let keys = test.home(".config/sops/age/keys.txt").display().to_string();
    fs::create_dir_all(test.home(".config/sops/age")).unwrap();
    test.sealant(&["keygen", "-o", &keys]).run().ok();
    let age = test.sealant(&["keygen", "-y", &keys]).run().ok().text().trim().to_owned();
    test.write("a.yaml", PLAIN);
    let encrypted = test.sealant(&["encrypt", "--pgp", &ann, "a.yaml"]).run().ok();
    let run = |sops: bool, args: &[&str]| match sops {
        true => test.sops(args).run().ok(),
        false => test.sealant(args).run().ok(),
    };
    for (first, second) in [(false, true), (true, false), (false, false)] {
        test.write("e.yaml", &encrypted.stdout);
        run(first, &["groups", "add", "-f", "e.yaml", "-i", "--age", &age]);
        gnupg.opens("e.yaml", PLAIN);
        let third = ["groups", "add", "-f", "e.yaml", "-i", "--pgp", &bob, "--pgp", &ann];
        run(second, &[&third[..], &["--shamir-secret-sharing-threshold", "3"]].concat());
        gnupg.opens("e.yaml", PLAIN);
        let text = test.read_text("e.yaml");
        assert!(text.contains("shamir_threshold: 3\n") && text.contains(&bob), "{text}");
        let last = ["groups", "delete", "-f", "e.yaml", "-i", "--shamir-secret-sharing-threshold", "2", "0"];
        run(first, &last);
        gnupg.opens("e.yaml", PLAIN);
        run(second, &["groups", "add", "-f", "e.yaml", "-i", "--age", &age]);
        gnupg.opens("e.yaml", PLAIN);
    }
}

#[test]
fn doctor_says_which_halves_there_are() {
    let (gnupg, [ann, bob]) = Gnupg::with_keys(["Ann", "Bob"]);
    let test = &gnupg.0;
    gnupg.forget(&bob);
    let nobody = "0123456789ABCDEF0123456789ABCDEF01234567";
    test.write(".sops.yaml", format!("creation_rules:\n  - pgp: {ann},{bob},{nobody}\n"));
    let doctor = test.sealant(&["doctor"]).run();
    for line in [
        format!("pgp {ann}: gpg has its secret key"),
        format!("pgp {bob}: gpg has its public key"),
        format!("pgp {nobody}: gpg does not have this key"),
        "you can decrypt what it encrypts".to_owned(),
    ] {
        assert!(doctor.text().contains(&line), "{line}: {doctor}");
    }
    assert!(!doctor.text().contains("no identities were found: nothing can be decrypted"), "{doctor}");
}

#[test]
fn a_message_that_was_never_encrypted_opens_nothing() {
    let (gnupg, [ann]) = Gnupg::with_keys(["Ann"]);
    let test = &gnupg.0;
    test.write("a.yaml", PLAIN);
    let encrypted = test.sealant(&["encrypt", "--pgp", &ann, "a.yaml"]).run().ok();
    let text = encrypted.text();
    let forged = gnupg.gpg(&["--armor", "--store"]).stdin([7; 32]).run().ok();
    let forged = forged.text().trim().replace('\n', "\n            ");
    let (begin, end) =
        (text.find("-----BEGIN PGP").unwrap(), text.find("-----END PGP MESSAGE-----").unwrap());
    let end = end + "-----END PGP MESSAGE-----".len();
    test.write("forged.yaml", text.replace(&text[begin..end], &forged));
    let output = gnupg.decrypt("forged.yaml").code(128);
    assert!(output.stderr.contains("was never encrypted"), "{output}");
}

/// To encrypt for somebody is not to vouch for them, nor for whomever they vouch for.
#[test]
fn nobody_is_trusted_because_something_was_encrypted_for_them() {
    let (theirs, [mallory]) = Gnupg::with_keys(["Mallory"]);
    let exported = theirs.gpg(&["--armor", "--export", &mallory]).run().ok();
    let (mine, [_]) = Gnupg::with_keys(["Ann"]);
    let test = &mine.0;
    mine.gpg(&["--import"]).stdin(exported.stdout).run().ok();
    test.write("a.yaml", PLAIN);
    test.sealant(&["encrypt", "--pgp", &mallory, "a.yaml"]).run().ok();
    let listed = mine.gpg(&["--with-colons", "--list-keys", &mallory]).run().ok();
    let line = listed.text().lines().find(|line| line.starts_with("pub:")).unwrap();
    assert!(!matches!(line.split(':').nth(1), Some("u" | "f")), "{line}");
}
