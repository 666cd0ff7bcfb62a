//! What somebody without a key can change in an encrypted file so that its MAC still matches, for sops and for us, and
//! what they cannot. `docs/security.md` says it in words.

use sealant_test_support::Sandbox;

use super::{IDENTITY, RECIPIENT, sandbox};

/// What sops exits with when the MAC does not match.
const MAC_MISMATCH: i32 = 51;

/// A file and its encryption.
struct File {
    test: Sandbox,
    text: String,
}

impl File {
    fn of(plaintext: &str) -> Self {
        let test = sandbox();
        test.write("a.yaml", plaintext);
        let _ = test.sealant(&["encrypt", "-i", "--age", RECIPIENT, "a.yaml"]).run().ok();
        let text = test.read_text("a.yaml");
        Self { test, text }
    }

    /// The ciphertext of a key at the top.
    fn token(&self, key: &str) -> &str {
        let line = self.text.lines().find_map(|line| line.trim_start().strip_prefix(&format!("{key}: ")));
        line.expect("the key is there")
    }

    /// Asserts that both programs take the file with this text in place of that for what it is not.
    #[track_caller]
    fn reads(&self, old: &str, new: &str, expected: &str) {
        self.forge(old, new);
        let ours = self.test.sealant(&["decrypt", "a.yaml"]).env("SOPS_AGE_KEY", IDENTITY).run().ok();
        assert_eq!(ours.text(), expected);
        let json = ["decrypt", "--output-type", "json", "a.yaml"];
        let ours = self.test.sealant(&json).env("SOPS_AGE_KEY", IDENTITY).run().ok();
        let theirs = self.test.sops(&json).env("SOPS_AGE_KEY", IDENTITY).run().ok();
        let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON");
        assert_eq!(json(&ours.stdout), json(&theirs.stdout));
    }

    /// Asserts that both programs refuse the file with this text in place of that, and show nothing of it.
    #[track_caller]
    fn is_refused(&self, old: &str, new: &str) {
        self.forge(old, new);
        let decrypt = ["decrypt", "a.yaml"];
        let ours = self.test.sealant(&decrypt).env("SOPS_AGE_KEY", IDENTITY).run().code(MAC_MISMATCH);
        assert_eq!(ours.text(), "");
        let _ = self.test.sops(&decrypt).env("SOPS_AGE_KEY", IDENTITY).run().code(MAC_MISMATCH);
    }

    #[track_caller]
    fn forge(&self, old: &str, new: &str) {
        assert!(self.text.contains(old), "{old} is not in\n{}", self.text);
        self.test.write("a.yaml", self.text.replacen(old, new, 1));
    }
}

#[test]
fn a_value_is_not_taken_out_put_in_or_changed() {
    let file = File::of("a: one\nb: two\nc_unencrypted: three\n");
    let (a, b) = (file.token("a"), file.token("b"));
    file.is_refused(&format!("a: {a}\n"), "");
    file.is_refused("c_unencrypted: three\n", "");
    file.is_refused("c_unencrypted: three", "c_unencrypted: four");
    file.is_refused("a: ", "new_unencrypted: x\na: ");
    file.is_refused(&format!("a: {a}\nb: {b}\n"), &format!("b: {b}\na: {a}\n"));
}

#[test]
fn a_ciphertext_does_not_open_under_another_path() {
    let file = File::of("a: one\nb: two\n");
    let (a, b) = (file.token("a"), file.token("b"));
    file.forge(&format!("a: {a}\nb: {b}"), &format!("a: {b}\nb: {a}"));
    let ours = file.test.sealant(&["decrypt", "a.yaml"]).env("SOPS_AGE_KEY", IDENTITY).run();
    assert!(ours.status != 0 && ours.text().is_empty(), "{ours}");
}

/// The MAC is a hash over the texts one behind the other: where one ends and the next begins is not in it.
#[test]
fn neighbours_in_plaintext_can_share_out_their_text() {
    let file = File::of("max_unencrypted: \"12\"\nmin_unencrypted: \"34\"\npassword: x\n");
    let forged = "max_unencrypted: \"1\"\nmin_unencrypted: \"234\"\n";
    let old = "max_unencrypted: \"12\"\nmin_unencrypted: \"34\"\n";
    file.reads(old, forged, &format!("{forged}password: x\n"));
}

#[test]
fn the_key_of_a_plaintext_value_can_be_renamed() {
    let file = File::of("role_unencrypted: admin\npassword: x\n");
    file.reads(
        "role_unencrypted",
        "former_role_unencrypted",
        "former_role_unencrypted: admin\npassword: x\n",
    );
}

#[test]
fn empty_texts_and_nulls_can_be_added() {
    let file = File::of("password: x\n");
    file.reads("password", "token: \"\"\nuser: null\npassword", "token: \"\"\nuser: null\npassword: x\n");
}

#[test]
fn the_type_of_a_value_can_be_changed() {
    let file = File::of("port: \"5432\"\ntls: \"True\"\n");
    let (port, tls) = (file.token("port").to_owned(), file.token("tls").to_owned());
    let plain = |token: &str, kind: &str| token.replace("type:str", kind).trim_matches('"').to_owned();
    let old = format!("port: {port}\ntls: {tls}\n");
    let new = format!("port: {}\ntls: {}\n", plain(&port, "type:int"), plain(&tls, "type:bool"));
    file.forge(&old, &new);
    let json = ["decrypt", "--output-type", "json", "a.yaml"];
    for program in [file.test.sealant(&json), file.test.sops(&json)] {
        let read = program.env("SOPS_AGE_KEY", IDENTITY).run().ok();
        let read: serde_json::Value = serde_json::from_slice(&read.stdout).expect("JSON");
        assert_eq!(read, serde_json::json!({"port": 5432, "tls": true}));
    }
}

/// A path is bound as its keys with a colon behind each.
#[test]
fn keys_can_be_joined_by_colons() {
    let file = File::of("database:\n    password: x\n");
    file.reads("database:\n    password:", "\"database:password\":", "\"database:password\": x\n");
}

#[test]
fn comments_are_under_no_mac() {
    let file = File::of("# of Anna\n# of Ben\npassword: x\n");
    let comments: Vec<&str> = file.text.lines().filter(|line| line.starts_with("#ENC[")).collect();
    let [anna, ben] = comments[..] else { panic!("two comments are encrypted:\n{}", file.text) };
    let both = format!("{anna}\n{ben}\n");
    file.reads(&both, &format!("{ben}\n{anna}\n"), "# of Ben\n# of Anna\npassword: x\n");
    file.reads(&both, "", "password: x\n");
    file.reads(&both, "# of Carol\n", "# of Carol\npassword: x\n");
}

/// They are held against what a rule says explicitly, and against nothing else.
#[test]
fn settings_are_under_no_mac() {
    let file = File::of("password: x\nnote_unencrypted: y\n");
    let forged = "encrypted_regex: ^password$";
    file.reads("unencrypted_suffix: _unencrypted", forged, "password: x\nnote_unencrypted: y\n");
    let rule = format!("creation_rules:\n  - age: {RECIPIENT}\n");
    file.test.write(".sops.yaml", &rule);
    let _ = file.test.sealant(&["check"]).run().ok();
    file.test.write(".sops.yaml", format!("{rule}    encrypted_regex: ^(password|note_unencrypted)$\n"));
    let found = file.test.sealant(&["check"]).run();
    assert!(found.status != 0 && found.text().contains("[settings]"), "{found}");
}

/// Whether there is anything behind a ciphertext, and whose it is, takes the data key.
#[test]
fn check_without_a_key_does_not_see_into_ciphertexts() {
    let file = File::of("password: x\n");
    file.test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
    let foreign = File::of("password: y\n");
    let wrapped = "ENC[AES256_GCM,data:aHVudGVyMg==,iv:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,\
                   tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]";
    for token in [wrapped, foreign.token("password")] {
        file.forge(file.token("password"), token);
        let _ = file.test.sealant(&["check"]).run().ok();
        let with_key = file.test.sealant(&["check", "--verify"]).env("SOPS_AGE_KEY", IDENTITY).run();
        assert!(with_key.status != 0 && with_key.text().contains("a.yaml"), "{with_key}");
    }
}
