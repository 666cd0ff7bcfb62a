//! `edit`, `set`, `unset` and `get` beside the real sops: each works on what the other has written, in turn.

use sealant_test_support::{Run, Sandbox};

mod mounts;

const TEXT: &str =
    "# all of it\ndb:\n  password: 'hunter2' # old\n  port: 5432\n\nhosts: [a, b]\nratio: 1.10\n";

/// A sandbox with an identity for both programs, and `secret.yaml` encrypted by Sealant.
fn sandbox(flags: &[&str]) -> Sandbox {
    sandbox_with(TEXT, flags)
}

fn sandbox_with(text: &str, flags: &[&str]) -> Sandbox {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    std::fs::create_dir_all(test.home(".config/sops/age")).expect("a folder");
    let keys = test.home(".config/sops/age/keys.txt");
    let made = test.age_keygen(&["-o"]).arg(keys).run().ok();
    let recipient = made.stderr.trim().strip_prefix("Public key: ").expect("a recipient").to_owned();
    test.write("secret.yaml", text);
    test.sealant(&["encrypt", "-i", "--age", &recipient, "secret.yaml"]).args(flags).run().ok();
    test
}

/// Both programs read the file alike; returns what it says as JSON.
#[track_caller]
fn read_by_both(test: &Sandbox, file: &str) -> String {
    let json = ["decrypt", "--output-type", "json", file];
    let theirs = test.sops(&json).run().ok();
    let ours = test.sealant(&json).run().ok();
    // Go writes `<` in a key as an escape.
    assert_eq!(ours.text().replace("\"<<\"", "\"\\u003c\\u003c\""), theirs.text());
    theirs.text().split_whitespace().collect()
}

fn with_editor(test: &Sandbox, run: Run, commands: &str) -> Run {
    run.env("EDITOR", test.editor(commands))
}

#[test]
fn both_change_one_file_in_turn() {
    for flags in [&[][..], &["--encrypted-regex", "^(db|new|list)$"], &["--mac-only-encrypted"]] {
        let test = sandbox(flags);
        let step = |run: Run| {
            let _ = run.run().ok();
            read_by_both(&test, "secret.yaml")
        };
        let json = step(test.sealant(&["set", "secret.yaml", "[\"db\"][\"password\"]", "\"ours\""]));
        assert!(json.contains("\"password\":\"ours\""), "{json}");
        let json =
            step(test.sops(&["set", "secret.yaml", "[\"new\"]", "{\"a\": [1, 2.5, true, null, \"x\"]}"]));
        assert!(json.contains("\"new\":{\"a\":[1,2.5,true,null,\"x\"]}"), "{json}");
        let json = step(test.sealant(&["set", "secret.yaml", "[\"new\"][\"a\"][5]", "{\"k\": -3}"]));
        assert!(json.contains("\"x\",{\"k\":-3}]"), "{json}");
        let json =
            step(with_editor(&test, test.sops(&["edit", "secret.yaml"]), "sed -i s/ours/theirs/ \"$1\""));
        assert!(json.contains("\"password\":\"theirs\""), "{json}");
        let json = step(test.sealant(&["unset", "secret.yaml", "[\"new\"][\"a\"][0]"]));
        assert!(json.contains("\"a\":[2.5,"), "{json}");
        let editor = "sed -i 's/theirs/ours/; $ a list:\\n- 0777\\n- 2001-01-01\\n- |\\n  a\\n  b' \"$1\"";
        let json = step(with_editor(&test, test.sealant(&["edit", "secret.yaml"]), editor));
        assert!(json.contains("\"password\":\"ours\"") && json.contains("\"list\":[511,"), "{json}");
        let json = step(test.sops(&["unset", "secret.yaml", "[\"hosts\"]"]));
        assert!(!json.contains("hosts"), "{json}");
        // sops itself drops what was changed under `edit -s`.
        let shown = test.sealant(&["edit", "-s", "secret.yaml"]);
        let json = step(with_editor(&test, shown, "sed -i s/ours/third/ \"$1\""));
        assert!(json.contains("\"password\":\"third\""), "{json}");
        let json =
            step(with_editor(&test, test.sops(&["edit", "secret.yaml"]), "sed -i s/third/fourth/ \"$1\""));
        assert!(json.contains("\"password\":\"fourth\""), "{json}");
    }
}

#[test]
fn flat_formats_are_changed_in_turn() {
    for (file, text, path) in [
        ("a.env", "# c\nPASSWORD=hunter2\nB=1\n", "[\"PASSWORD\"]"),
        ("a.ini", "[db]\npassword = hunter2\nb = 1\n", "[\"db\"][\"password\"]"),
        ("a.json", "{\"password\": \"hunter2\", \"b\": 1}\n", "[\"password\"]"),
    ] {
        let test = sandbox(&[]);
        test.write(".sops.yaml", {
            let recipient = test.age_keygen(&["-y"]).arg(test.home(".config/sops/age/keys.txt")).run().ok();
            format!("creation_rules: [{{age: {}}}]", recipient.text().trim())
        });
        test.write(file, text);
        test.sealant(&["encrypt", "-i", file]).run().ok();
        let both_say = |value: &str| {
            for read in [test.sops(&["decrypt", file]), test.sealant(&["decrypt", file])] {
                let output = read.run().ok();
                assert!(output.text().contains(value), "no {value}\n{output}");
            }
        };
        test.sealant(&["set", file, path, "\"one\""]).run().ok();
        both_say("one");
        test.sops(&["set", file, path, "\"two\""]).run().ok();
        both_say("two");
        with_editor(&test, test.sealant(&["edit", file]), "sed -i s/two/three/ \"$1\"").run().ok();
        both_say("three");
        with_editor(&test, test.sops(&["edit", file]), "sed -i s/three/four/ \"$1\"").run().ok();
        both_say("four");
        assert_eq!(test.sealant(&["get", file, path]).run().ok().text(), "four");
        test.sealant(&["unset", file, path]).run().ok();
        assert!(!test.sops(&["decrypt", file]).run().ok().text().contains("four"));
    }
}

#[test]
fn exit_codes_are_those_of_sops() {
    let test = sandbox(&[]);
    test.write("plain.yaml", "a: 1\n");
    let cases: [&[&str]; 7] = [
        &["set", "plain.yaml", "[\"a\"]", "1"],
        &["set", "secret.yaml", "[\"a\"]", "1"],
        &["set", "--idempotent", "secret.yaml", "[\"a\"]", "1"],
        &["unset", "secret.yaml", "[\"b\"]"],
        &["unset", "--idempotent", "secret.yaml", "[\"b\"]"],
        &["unset", "secret.yaml", "[\"a\"]"],
        &["edit", "plain.yaml"],
    ];
    for args in cases {
        let theirs = test.sops(args).env("EDITOR", "true").run();
        let ours = test.sealant(args).env("EDITOR", "true").run();
        // A value that sops has removed is not there for us to remove.
        let expected = if args == ["unset", "secret.yaml", "[\"a\"]"] { 1 } else { theirs.status };
        assert_eq!(ours.status, expected, "{ours}\n{theirs}");
    }
    // To us a text is a value and dots make a path, but for sops by name.
    for args in [&["set", "secret.yaml", "[\"a\"]", "broken"][..], &["set", "secret.yaml", "a", "1"]] {
        let (theirs, ours) = (test.sops(args).run(), test.sealant(args).called_as("sops").run());
        assert_eq!((theirs.status, ours.status), (7, 7), "{ours}\n{theirs}");
    }
    test.sealant(&["set", "secret.yaml", "[\"a\"]"]).run().code(64);
    for (editor, code) in [("true", 200), ("false", 201)] {
        let theirs = test.sops(&["edit", "secret.yaml"]).env("EDITOR", editor).run();
        let ours = test.sealant(&["edit", "secret.yaml"]).env("EDITOR", editor).run();
        assert_eq!((theirs.status, ours.status), (code, code), "{ours}\n{theirs}");
    }
}

#[test]
fn values_that_sops_has_written_keep_their_ciphertexts() {
    let test = sandbox(&[]);
    let _ = test.sops(&["set", "secret.yaml", "[\"x\"]", "1"]).run().ok();
    let before = test.read_text("secret.yaml");
    let _ = test.sealant(&["set", "secret.yaml", "[\"db\"][\"password\"]", "\"new\""]).run().ok();
    let after = test.read_text("secret.yaml");
    let changed: Vec<_> = after.lines().filter(|line| !before.contains(line)).collect();
    let expected =
        |line: &&str| ["password:", "mac:", "lastmodified:"].iter().any(|key| line.trim().starts_with(key));
    assert!(changed.iter().all(expected), "{changed:#?}");
}

/// What a ciphertext is made with: the same pair for two texts gives both away.
fn iv_of(test: &Sandbox, file: &str, key: &str) -> String {
    let text = test.read_text(file);
    let line =
        text.lines().find(|line| line.trim().trim_start_matches('"').starts_with(key)).expect("the key");
    line.split("iv:").nth(1).expect("a ciphertext").split(',').next().expect("an IV").to_owned()
}

#[test]
fn zeros_of_both_signs_never_share_an_iv() {
    for (file, text) in [
        ("zero.yaml", "f: -0.0\ng: -0e0\nh: [-0.0, 0.0]\n"),
        ("zero.json", "{\n  \"f\": -0.0,\n  \"g\": -0e0,\n  \"h\": [-0.0, 0.0]\n}\n"),
    ] {
        let test = sandbox(&[]);
        let recipient =
            test.sealant(&["keygen", "-y"]).arg(test.home(".config/sops/age/keys.txt")).run().ok();
        let recipient = recipient.text().trim().to_owned();
        test.write(file, text);
        test.sealant(&["encrypt", "-i", "--age", &recipient, file]).run().ok();
        assert_eq!(test.sealant(&["decrypt", file]).run().ok().text(), text);
        let shown = read_by_both_but_for_signs(&test, file);
        assert!(!shown.contains('-'), "sops reads no sign that it would lose: {shown}");

        // An unchanged value keeps its ciphertext, whoever spells it.
        let before = iv_of(&test, file, "f");
        test.sealant(&["set", file, "[\"new\"]", "1"]).run().ok();
        assert_eq!(iv_of(&test, file, "f"), before);
        assert!(test.sealant(&["decrypt", file]).run().ok().text().contains("-0.0"));

        // sops keeps the IV, and the text under it is the same as before.
        test.sops(&["set", file, "[\"f\"]", "0.0"]).run().ok();
        read_by_both_but_for_signs(&test, file);

        // A ciphertext of -0 that sops has made stays while the value does, and gets another IV with another one.
        test.sops(&["set", file, "[\"theirs\"]", "-0.0"]).run().ok();
        let theirs = iv_of(&test, file, "theirs");
        test.sealant(&["set", file, "[\"new\"]", "2"]).run().ok();
        test.sops(&["decrypt", file]).run().ok();
        with_editor(&test, test.sealant(&["edit", file]), "sed -i '/theirs/s/-0\\(\\.0\\)*/0.0/' \"$1\"")
            .run()
            .ok();
        assert_ne!(iv_of(&test, file, "theirs"), theirs);
        test.sops(&["decrypt", file]).run().ok();
    }
}

fn read_by_both_but_for_signs(test: &Sandbox, file: &str) -> String {
    let json = ["decrypt", "--output-type", "json", file];
    let plain = |text: &str| {
        text.split_whitespace()
            .collect::<String>()
            .replace("-0.0", "0")
            .replace("0.0", "0")
            .replace("-0e0", "0")
    };
    let theirs = test.sops(&json).run().ok();
    assert_eq!(plain(test.sealant(&json).run().ok().text()), plain(theirs.text()));
    theirs.text().to_owned()
}

#[test]
fn sops_reads_what_updatekeys_has_brought_in_line_with_a_rule() {
    let cases = [
        ("a.yaml", "# why\npassword: x\n# where\nhost: h\nl: [1, 2.50]\n", "[\"host\"]"),
        ("a.json", "{\n  \"password\": \"x\",\n  \"host\": \"h\",\n  \"l\": [1, true]\n}\n", "[\"host\"]"),
        ("a.env", "# why\npassword=x\nhost=h\n", "[\"host\"]"),
        ("a.ini", "[db]\npassword = x\nhost = h\n", "[\"db\"][\"host\"]"),
    ];
    for (file, plain, path) in cases {
        let test = sandbox(&[]);
        let keys = std::fs::read_to_string(test.home(".config/sops/age/keys.txt")).expect("the identity");
        let recipient =
            keys.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("a recipient");
        test.write(".sops.yaml", format!("creation_rules:\n  - age: {recipient}\n    unencrypted_suffix: _plain\n    sealant: {{scope: strict}}\n"));
        test.write(file, plain);
        test.sealant(&["encrypt", "-i", "--encrypted-regex", "^password$", file]).run().ok();
        let decrypt = ["decrypt", file];
        let before = test.sops(&decrypt).run().ok().text().to_owned();
        test.sealant(&["updatekeys", "--settings", "--yes", file]).run().ok();
        let extracted = ["decrypt", "--extract", path, file];
        assert_eq!(test.sops(&extracted).run().ok().text(), "h");
        assert_eq!(test.sops(&decrypt).run().ok().text(), before, "{file}");
        assert_eq!(test.sops_3_11(&decrypt).run().ok().text(), before, "{file}");
        assert_eq!(test.sealant(&decrypt).run().ok().text(), plain);
        // sops keeps the settings, and encrypts by them.
        test.sops(&["set", file, &path.replace("host", "token"), "\"t\""]).run().ok();
        let text = test.read_text(file);
        let token = text.lines().find(|line| line.contains("token")).unwrap_or_default();
        assert!(token.contains("ENC["), "{text}");
    }
}

/// Aliases of collections in every place that they can have: what is before each text is `i`, and `b`, which holds it.
const SHAPES: &[&str] = &[
    "y: *b\n",
    "m: {<<: *b}\n",
    "m:\n  <<: *b\n  own: 1\n",
    "m:\n  <<: [*i, *b]\n",
    "m:\n  <<: [*i, {own: 2}]\n",
    "c:\n  <<:\n    <<: *i\n    own: 3\n",
    "l: [*i,*b]\n",
    "l:\n  - *b\n  -   *i\n  - - *i\n",
    "f: {k: *b, \"j\": *i}\n",
    "? e\n: *b\n",
    "n:\n  *b\n",
    "n: *b # a comment\n",
    "i: &i [x, y]\nn: *i\n",
    "n: &n {in: *b}\no: *n\np: {<<: *n}\n",
];

#[test]
fn sops_reads_and_edits_each_shape_of_an_alias() {
    for shape in SHAPES {
        let own = if shape.starts_with("i:") { "" } else { "i: &i {q: 0x1F, t: 2001-01-01}\n" };
        let text = format!(
            "{own}b: &b\n  pw: \"a, b\"\n  # note\n  n: 1.10\n  deep: {{l: [null, true, '']}}\n{shape}z: 1\n"
        );
        let test = sandbox_with(&text, &[]);
        let plain = |file: &str| test.sealant(&["decrypt", file]).run().ok().text().to_owned();
        assert_eq!(plain("secret.yaml"), text);
        let values = read_by_both(&test, "secret.yaml");
        for sealant in [false, true] {
            let run = |args: &[&str]| if sealant { test.sealant(args) } else { test.sops(args) };
            let encrypted = test.read_text("secret.yaml");
            test.write("set.yaml", &encrypted);
            let _ = run(&["set", "set.yaml", "[\"z\"]", "2"]).run().ok();
            assert_eq!(read_by_both(&test, "set.yaml"), values.replace("\"z\":1", "\"z\":2"), "{text}");
            test.write("rotate.yaml", &encrypted);
            let _ = run(&["rotate", "-i", "rotate.yaml"]).run().ok();
            assert_eq!(read_by_both(&test, "rotate.yaml"), values, "{text}");
            if sealant {
                assert_eq!(plain("set.yaml"), text.replace("z: 1", "z: 2"));
                assert_eq!(plain("rotate.yaml"), text);
            }
            // No ciphertexts of two values have one IV.
            let both = encrypted + &test.read_text("set.yaml");
            let of_iv = |iv: &str| {
                let parts = both.split("data:").skip(1).filter(|part| part.contains(iv));
                parts
                    .filter_map(|part| part.split(',').next())
                    .collect::<std::collections::BTreeSet<_>>()
                    .len()
            };
            for iv in both.split(",iv:").skip(1).filter_map(|part| part.split(',').next()) {
                assert_eq!(of_iv(iv), 1, "{text}");
            }
        }
    }
}

#[test]
fn a_copy_that_sops_has_changed_stays_a_copy() {
    let test = sandbox_with("x: &x {pw: old, n: 1}\nc:\n  <<: *x\nd: *x\n", &[]);
    test.sops(&["set", "secret.yaml", "[\"d\"][\"pw\"]", "\"new\""]).run().ok();
    let values = read_by_both(&test, "secret.yaml");
    assert_eq!(
        values.replace("\\u003c", "<"),
        "{\"x\":{\"pw\":\"old\",\"n\":1},\"c\":{\"<<\":{\"pw\":\"old\",\"n\":1}},\"d\":{\"pw\":\"new\",\"n\":1}}"
    );
    // What has come to be a copy is changed alone, with no other.
    test.sealant(&["set", "secret.yaml", "[\"x\"][\"pw\"]", "\"third\""]).run().ok();
    let values = read_by_both(&test, "secret.yaml");
    assert_eq!((values.matches("old").count(), values.matches("third").count()), (1, 1), "{values}");
    let text = test.sealant(&["decrypt", "secret.yaml"]).run().ok();
    assert!(!text.text().contains('*'), "{text}");
}
