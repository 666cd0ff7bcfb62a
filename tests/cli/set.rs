use std::thread;

use super::{RECIPIENT, at_home, decrypted, encrypt, encrypted, new_lines, with_secret};

const TEXT: &str = "# all of it\ndb:\n  password: 'hunter2' # old\n  port: 5432\n\nhosts: [a, b]\n";

#[test]
fn one_value_changes_and_nothing_else() {
    let test = with_secret(TEXT);
    let before = test.read_text("secret.yaml");
    let output = test.sealant(&["set", "secret.yaml", "[\"db\"][\"password\"]", "\"correct\""]).run().ok();
    assert_eq!((output.text(), output.stderr.as_str()), ("", ""));
    let after = test.read_text("secret.yaml");
    let changed = new_lines(&before, &after);
    assert!(changed.iter().any(|line| line.starts_with("password: 'ENC[")), "{changed:?}");
    assert!(
        changed.iter().all(|line| !line.starts_with("port") && !line.starts_with("recipient")),
        "{changed:?}"
    );
    assert_eq!(decrypted(&test, "secret.yaml"), TEXT.replace("hunter2", "correct"));
}

#[test]
fn a_value_takes_the_place_of_many_only_once_they_are_removed() {
    let test = with_secret(TEXT);
    let before = test.read("secret.yaml");
    let output = test.sealant(&["set", "secret.yaml", "db", "hunter3"]).run().code(7);
    assert!(output.stderr.contains("[\"db\"] holds 2 values, and one value would replace it"), "{output}");
    assert!(output.stderr.contains("`sealant unset secret.yaml '[\"db\"]'`"), "{output}");
    assert!(!output.stderr.contains("hunter3") && test.read("secret.yaml") == before, "{output}");
    test.sealant(&["unset", "secret.yaml", "[\"db\"]"]).run().ok();
    for (path, value) in [("db", "hunter4"), ("hosts", "[\"c\"]")] {
        test.sealant(&["set", "secret.yaml", path, value]).run().ok();
    }
    // What was a list stays one.
    let hosts = test.sealant(&["get", "--format", "json", "secret.yaml", "hosts"]).run().ok();
    assert_eq!(hosts.text().split_whitespace().collect::<String>(), "[\"c\"]");
    // Whoever says that it is JSON has seen what is there.
    test.sealant(&["set", "--json", "secret.yaml", "hosts", "1"]).run().ok();
}

#[test]
fn a_position_that_has_none_before_it_is_refused() {
    let test = with_secret("hosts:\n  - a\n");
    let output = test.sealant(&["set", "secret.yaml", "hosts[5]", "b"]).run().code(7);
    assert!(output.stderr.contains("has 1 item, so the next one is [1]"), "{output}");
    assert!(output.stderr.contains("`sealant set secret.yaml '[\"hosts\"][1]'`"), "{output}");
    test.sealant(&["set", "secret.yaml", "[\"hosts\"][1]", "b"]).run().ok();
    assert_eq!(decrypted(&test, "secret.yaml"), "hosts:\n  - a\n  - b\n");
    // Nor does a list that is not there yet begin with a gap.
    for path in ["ports[3]", "more.ports[1]", "hosts[2][1]", "ports[0][1]"] {
        let output = test.sealant(&["set", "secret.yaml", path, "b"]).run().code(7);
        assert!(output.stderr.contains("so the next one is ["), "{output}");
    }
    test.sealant(&["set", "secret.yaml", "ports[0]", "b"]).run().ok();
}

/// Which values are encrypted was changed without a key, and somebody goes on all the same.
#[test]
fn a_ciphertext_that_a_file_calls_plaintext_gets_no_plaintext_in_its_place() {
    let test = with_secret(TEXT);
    let file = test.read_text("secret.yaml");
    let forged: String =
        file.lines().filter(|line| !line.contains("unencrypted_suffix")).fold(String::new(), |all, line| {
            let more = if line == "sops:" { "\n    unencrypted_regex: .*" } else { "" };
            all + line + more + "\n"
        });
    test.write("secret.yaml", &forged);
    let set = |more: &[&str]| {
        test.sealant(&["set", "--ignore-mac"])
            .args(more)
            .args(&["secret.yaml", "db.password", "planted"])
            .run()
    };
    let output = set(&[]).code(8);
    assert!(output.stderr.contains("--plaintext"), "{output}");
    assert_eq!(test.read_text("secret.yaml"), forged);
    set(&["--plaintext"]).ok();
}

#[test]
fn a_dot_beside_keys_with_dots_is_asked_about() {
    let test = with_secret("data:\n  tls.crt: a\n");
    let output = test.sealant(&["set", "secret.yaml", "data.tls.key", "b"]).run().code(7);
    assert!(output.stderr.contains("`sealant set secret.yaml '[\"data\"][\"tls.key\"]'`"), "{output}");
    test.sealant(&["set", "secret.yaml", "[\"data\"][\"tls.key\"]", "b"]).run().ok();
    test.sealant(&["set", "secret.yaml", "[\"data\"][\"tls\"][\"ca\"]", "c"]).run().ok();
    let expected = "data:\n  tls.crt: a\n  tls.key: b\n  tls:\n    ca: c\n";
    assert_eq!(decrypted(&test, "secret.yaml"), expected);
}

#[test]
fn a_name_that_no_shell_takes_is_told_of() {
    let test = at_home();
    encrypt(&test, "a.env", "A=1\n");
    let output = test.sealant(&["set", "a.env", "B.C", "x"]).run().ok();
    assert!(output.stderr.contains("`B.C` is not a valid variable name"), "{output}");
    assert_eq!(test.sealant(&["set", "a.env", "B", "x"]).run().ok().stderr, "");
    test.sealant(&["export", "a.env"]).run().code(8);
}

#[test]
fn a_path_and_its_value_in_one_word_are_refused_and_not_repeated() {
    let test = with_secret(TEXT);
    let before = test.read("secret.yaml");
    let output = test.sealant(&["set", "secret.yaml", "db.password=hunter3"]).run().code(64);
    assert!(output.stderr.contains("`sealant set secret.yaml db.password`"), "{output}");
    assert!(!output.stderr.contains("hunter3") && test.read("secret.yaml") == before, "{output}");
    test.sealant(&["set", "secret.yaml", "[\"a=b\"]", "1"]).run().ok();
    test.sealant(&["set", "secret.yaml", "c=d", "1"]).run().ok();
    assert!(decrypted(&test, "secret.yaml").ends_with("a=b: 1\nc=d: 1\n"));
}

#[test]
fn json_says_the_type() {
    let test = with_secret("a: 1\n");
    let cases = [
        ("[\"int\"]", "9007199254740993", "int: 9007199254740993"),
        ("[\"float\"]", "1.5e-7", "float: 1.5e-07"),
        ("[\"text\"]", "\"5432\"", "text: \"5432\""),
        ("[\"yes\"]", "\"yes\"", "\"yes\": \"yes\""),
        ("[\"bool\"]", "true", "bool: true"),
        ("[\"null\"]", "null", "\"null\": null"),
        ("[\"list\"][0]", "{\"x\": [1, \"2\"]}", "list:\n    - x:\n        - 1\n        - \"2\""),
        ("[\"list\"][1]", "\"end\"", "    - end"),
        ("[\"lines\"]", "\"a\\nb\\n\"", "lines: |\n    a\n    b"),
    ];
    for (path, value, _) in cases {
        test.sealant(&["set", "secret.yaml", path, value]).run().ok();
    }
    let text = decrypted(&test, "secret.yaml");
    for (path, _, line) in cases {
        assert!(text.contains(line), "{path} in:\n{text}");
    }
}

#[test]
fn a_value_comes_from_a_file_or_standard_input() {
    let test = with_secret("a: 1\n");
    test.write("value.json", "{\"x\": 1}\n");
    test.write("key.pem", "BEGIN\nEND\n");
    test.sealant(&["set", "--json", "--value-file", "secret.yaml", "[\"json\"]", "value.json"]).run().ok();
    test.sealant(&["set", "secret.yaml", "pem", "key.pem", "--value-file"]).run().ok();
    let run = test.sealant(&["set", "--json", "--value-stdin", "secret.yaml", "stdin"]);
    run.stdin("\"from a pipe\"\n").run().ok();
    let run = test.sealant(&["set", "--value-stdin", "secret.yaml", "text"]);
    run.stdin("12 \"quotes\"").run().ok();
    let run = test.sealant(&["set", "--value-stdin", "secret.yaml", "number"]);
    run.stdin("12").run().ok();
    assert_eq!(
        decrypted(&test, "secret.yaml"),
        "a: 1\njson:\n    x: 1\npem: |\n    BEGIN\n    END\nstdin: from a pipe\ntext: 12 \"quotes\"\nnumber: \"12\"\n"
    );
}

/// What a value is says the place, then its own looks.
#[test]
fn a_text_stays_a_text() {
    let test = with_secret("text: old\nnumber: 1\nnested: {key: v}\n");
    let set = |path: &str, value: &str| test.sealant(&["set", "secret.yaml", path, value]).run().ok();
    assert!(set("text", "12345").stderr.contains("[\"text\"] is a string, and stays one; --json takes"));
    set("number", "2");
    set("new", "correct horse");
    set("nested.key", "true");
    set("nested.deep.er", "null");
    set("nested.quoted", "\"null\"");
    assert_eq!(
        decrypted(&test, "secret.yaml"),
        "text: \"12345\"\nnumber: 2\nnested: {key: \"true\", deep: {er: null}, quoted: \"null\"}\nnew: correct horse\n"
    );
    encrypt(&test, "a.env", "A=1\n");
    test.sealant(&["set", "a.env", "B.C", "2"]).run().ok();
    test.sealant(&["set", "a.env", "D", "\"x\""]).run().ok();
    assert_eq!(decrypted(&test, "a.env"), "A=1\nB.C=2\nD=x\n");
}

/// Nothing new nests in a Secret, and `data` is in base64.
#[test]
fn a_secret_takes_texts_under_flat_keys() {
    let test = at_home();
    test.write(
        "db.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata:\n  a: YQ==\nstringData:\n  b: b\n",
    );
    test.sealant(&["encrypt", "-i", "--age", RECIPIENT, "db.yaml"]).run().ok();
    let set = |args: &[&str]| test.sealant(&["set", "db.yaml"]).args(args).run().ok();
    let told = set(&["data.tls.crt", "5"]);
    assert!(told.stderr.contains("was encoded as base64"), "{told}");
    set(&["--string", "data.raw", "eA=="]);
    set(&["stringData.x.y", "true"]);
    assert_eq!(
        decrypted(&test, "db.yaml"),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata:\n  a: YQ==\n  tls.crt: NQ==\n  raw: eA==\nstringData:\n  b: b\n  \
         x.y: \"true\"\n"
    );
    assert_eq!(test.sealant(&["get", "db.yaml", "data.tls.crt"]).run().ok().text(), "NQ==");
}

/// A value that nobody else is to see is typed, twice.
#[test]
fn a_value_that_was_left_out_is_asked_for() {
    let test = with_secret("a: old\n");
    let set = || test.sealant(&["set", "secret.yaml", "a"]);
    let refused = set().run().code(64);
    assert!(
        refused.stderr.contains("no value was given") && refused.stderr.contains("--value-stdin"),
        "{refused}"
    );
    let mut terminal = set().on_terminal();
    terminal.wait_for("New value of a in secret.yaml: ");
    terminal.send_hidden_line("planted 12");
    terminal.wait_for("Repeat it: ");
    terminal.send_hidden_line("planted 12");
    assert!(!terminal.finish().ok().text().contains("planted"));
    assert_eq!(decrypted(&test, "secret.yaml"), "a: planted 12\n");
    let mut terminal = set().on_terminal();
    terminal.wait_for("New value");
    terminal.send_hidden_line("one");
    terminal.wait_for("Repeat it: ");
    terminal.send_hidden_line("two");
    let output = terminal.finish().code(7);
    assert!(output.text().contains("the two values differ"), "{output}");
    assert_eq!(decrypted(&test, "secret.yaml"), "a: planted 12\n");
}

#[test]
fn what_cannot_be_set_has_the_codes_of_sops_and_leaves_the_file() {
    let test = with_secret(TEXT);
    encrypt(&test, "a.env", "A=1\n");
    test.write("plain.yaml", "a: 1\n");
    test.write("a.bin", "x");
    test.sealant(&["set", "a.env", "[\"sops_new\"]", "\"hunter3\""]).run().code(7);
    let before = test.read("secret.yaml");
    let cases: [(&[&str], i32, &str); 13] = [
        (&["--json", "secret.yaml", "[\"a\"]", "hunter3"], 7, "the value is not JSON"),
        (&["--json", "secret.yaml", "[\"a\"]", "\"hunter3"], 7, "the value is not JSON"),
        (&["secret.yaml", "[\"a\"]", "{\"x\": 1, \"x\": 2}"], 7, "appears twice"),
        (&["secret.yaml", "[\"a\"]", "9223372036854775808"], 7, "does not fit in 64 bits"),
        (&["secret.yaml", "db..password", "1"], 7, "is not a path"),
        (&["secret.yaml", "", "1"], 7, "the root of a document"),
        (&["secret.yaml", "[\"db\"][0]", "1"], 7, "does not fit"),
        (&["secret.yaml", "[\"sops\"][\"mac\"]", "1"], 7, "is metadata"),
        (&["secret.yaml", "[\"a\"]", "1", "2"], 64, "unexpected argument"),
        (&["plain.yaml", "[\"a\"]", "1"], 1, "plain.yaml: the file is not encrypted"),
        (&["nowhere/x.yaml", "[\"a\"]", "1"], 100, "nowhere/x.yaml: no such file"),
        (&["-", "[\"a\"]", "1"], 8, "standard input"),
        (&["--output-type", "json", "secret.yaml", "[\"a\"]", "1"], 8, "--output-type json"),
    ];
    for (args, code, message) in cases {
        let output = test.sealant(&["set"]).args(args).run().code(code);
        assert!(output.stderr.contains(message) && !output.stderr.contains("hunter"), "{output}");
    }
    assert_eq!(test.read("secret.yaml"), before);
    assert_eq!(decrypted(&test, "a.env"), "A=1\n");
}

#[test]
fn equal_values_are_encrypted_again_unless_idempotent() {
    let test = with_secret(TEXT);
    let before = test.read_text("secret.yaml");
    let set = |flags: &[&str]| {
        let args = ["secret.yaml", "[\"db\"][\"port\"]", "5432"];
        test.sealant(&["set"]).args(flags).args(&args).run().ok().text().to_owned()
    };
    set(&["--idempotent"]);
    assert_eq!(test.read_text("secret.yaml"), before);
    assert_eq!(set(&["--dry-run"]), "would write secret.yaml\n");
    assert_eq!(set(&["--dry-run", "--idempotent"]), "");
    assert_eq!(test.read_text("secret.yaml"), before);
    set(&[]);
    let changed = new_lines(&before, &test.read_text("secret.yaml"));
    assert!(
        changed.iter().all(|line| line.starts_with("mac:") || line.starts_with("lastmodified:")),
        "{changed:?}"
    );
    assert!(changed.iter().any(|line| line.starts_with("mac:")), "{changed:?}");
}

#[test]
fn runs_at_the_same_time_build_on_each_other() {
    let test = with_secret("a: 1\n");
    thread::scope(|scope| {
        for key in 0..8 {
            let test = &test;
            scope.spawn(move || {
                test.sealant(&["set", "secret.yaml", &format!("[\"k{key}\"]"), "true"]).run().ok();
            });
        }
    });
    let text = decrypted(&test, "secret.yaml");
    assert!((0..8).all(|key| text.contains(&format!("k{key}: true\n"))), "{text}");
}

#[test]
fn what_somebody_wrote_behind_a_ciphertext_goes() {
    let test = with_secret("a: '# x'\nb: 1\n");
    let encrypted = test.read_text("secret.yaml");
    let line = encrypted.lines().next().expect("a line");
    let longer = format!("{}''\n\n  evil: {{}}\n\n  #'", line.trim_end_matches('\''));
    test.write("secret.yaml", encrypted.replacen(line, &longer, 1));
    assert_eq!(decrypted(&test, "secret.yaml"), "a: '# x'\nb: 1\n");
    test.sealant(&["set", "secret.yaml", "[\"b\"]", "2"]).run().ok();
    assert_eq!(test.read_text("secret.yaml").lines().next(), Some(line));
    assert_eq!(decrypted(&test, "secret.yaml"), "a: '# x'\nb: 2\n");
}

#[test]
fn the_content_of_a_binary_file_is_its_one_value() {
    let test = at_home();
    encrypt(&test, "a.bin", "hunter2\n");
    let set = |args: &[&str]| test.sealant(&["set", "a.bin"]).args(args).run();
    set(&["[\"data\"]", "\"a\\nb\""]).ok();
    assert_eq!(decrypted(&test, "a.bin"), "a\nb");
    set(&["--string", "[\"data\"]", "x"]).ok();
    assert_eq!(decrypted(&test, "a.bin"), "x");
    let before = test.read("a.bin");
    set(&["--idempotent", "--string", "[\"data\"]", "x"]).ok();
    for path in ["[\"data\"]", "[\"other\"]", "[\"data\"][\"a\"]"] {
        let output = set(&["--json", path, "5"]).code(7);
        assert!(output.stderr.contains("a binary file has one value"), "{output}");
    }
    let unset = |args: &[&str]| test.sealant(&["unset", "a.bin"]).args(args).run();
    let output = unset(&["[\"data\"]"]).code(7);
    assert!(output.stderr.contains("a binary file has one value"), "{output}");
    let _ = unset(&["[\"other\"]"]).code(1);
    let _ = unset(&["--idempotent", "[\"other\"]"]).ok();
    assert_eq!(test.read("a.bin"), before);
}

#[test]
fn a_value_may_begin_with_a_dash() {
    let test = with_secret("a: x\nn: 1\n");
    for (value, text) in [("--hunter2", "--hunter2"), ("-x", "-x"), ("--string-2", "--string-2")] {
        test.sealant(&["set", "--string", "secret.yaml", "[\"a\"]", value]).run().ok();
        assert_eq!(decrypted(&test, "secret.yaml"), format!("a: {text}\nn: 1\n"));
    }
    test.sealant(&["set", "secret.yaml", "[\"n\"]", "-5"]).run().ok();
    assert_eq!(decrypted(&test, "secret.yaml"), "a: --string-2\nn: -5\n");
}

const ANCHOR: &str = "x: &x\n  password: hunter2\nm:\n  <<: *x\nl: [*x]\n";

#[test]
fn a_value_at_an_anchor_is_changed_with_its_copies_or_not_at_all() {
    let test = with_secret(ANCHOR);
    let before = test.read_text("secret.yaml");
    let (path, copies) = ("[\"x\"][\"password\"]", "[\"l\"][0][\"password\"], [\"m\"][\"<<\"][\"password\"]");
    let refused = test.sealant(&["set", "secret.yaml", path, "\"new\""]).run().code(7);
    assert!(
        refused.stderr.contains(copies) && refused.stderr.contains("--with-copies"),
        "{}",
        refused.stderr
    );
    assert_eq!(test.read_text("secret.yaml"), before);
    let told = test.sealant(&["set", "--with-copies", "secret.yaml", path, "\"new\""]).run().ok();
    assert_eq!(told.stderr.matches("changes with it").count(), 2, "{}", told.stderr);
    assert_eq!(decrypted(&test, "secret.yaml"), ANCHOR.replace("hunter2", "new"));
}

#[test]
fn a_value_in_a_copy_makes_it_one_of_its_own() {
    let test = with_secret(ANCHOR);
    let path = "[\"m\"][\"<<\"][\"password\"]";
    let told = test.sealant(&["set", "secret.yaml", path, "\"new\""]).run().ok();
    assert!(told.stderr.contains("[\"m\"][\"<<\"] was an alias"), "{}", told.stderr);
    let text = decrypted(&test, "secret.yaml");
    assert_eq!(text, ANCHOR.replace("<<: *x", "<<: {\"password\": new}"));
    let hint = test.sealant(&["get", "secret.yaml", "[\"m\"][\"password\"]"]).run();
    assert!(hint.stderr.contains(path), "{}", hint.stderr);
}

#[test]
fn what_a_path_makes_of_other_values_is_said() {
    let test = at_home();
    encrypted(&test, "a.yaml", "password: hunter2\ndb:\n  user: a\n", &[RECIPIENT]);
    let output = test.sealant(&["set", "a.yaml", "password.foo", "foo"]).run().code(7);
    assert!(
        output.stderr.contains("[\"password\"] holds a value, and a map with")
            && output.stderr.contains("`sealant unset a.yaml '[\"password\"]'`"),
        "{output}"
    );
    let output = test.sealant(&["set", "a.yaml", "db/user", "x"]).run().ok();
    assert!(output.stderr.contains("separated by dots, and db.user existed already"), "{output}");
}
