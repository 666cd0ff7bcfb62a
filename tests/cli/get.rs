use super::{encrypt, with_secret};

const TEXT: &str =
    "# all of it\ndb: {password: \"hunter2\", port: 5432}\nhosts:\n  - a # first\n  - b\nempty:\n";

#[test]
fn a_text_is_printed_as_it_is() {
    let test = with_secret(TEXT);
    let get = |path: &str| test.sealant(&["get", "secret.yaml", path]).run().ok().text().to_owned();
    assert_eq!(get("[\"db\"][\"password\"]"), "hunter2");
    assert_eq!(get("[\"hosts\"][1]"), "b");
    assert_eq!(get("[\"db\"][\"port\"]"), "5432");
    assert_eq!(
        (get("db.password"), get("hosts[1]"), get("hosts.0")),
        ("hunter2".to_owned(), "b".to_owned(), "a".to_owned())
    );
    assert_eq!(get("[\"hosts\"]"), "# first\n- a\n- b\n");
}

#[test]
fn on_a_terminal_the_line_ends() {
    let test = with_secret(TEXT);
    let terminal = test.sealant(&["get", "secret.yaml", "[\"db\"][\"password\"]"]).on_terminal();
    assert_eq!(terminal.finish().ok().text().replace('\r', ""), "hunter2\n");
}

#[test]
fn json_is_printed_for_programs() {
    let test = with_secret(TEXT);
    let get = |path: &str| {
        let output = test.sealant(&["get", "--format", "json", "secret.yaml", path]).run().ok();
        output.text().to_owned()
    };
    assert_eq!(get("[\"db\"][\"password\"]"), "\"hunter2\"\n");
    assert_eq!(get("[\"db\"]"), "{\n  \"password\": \"hunter2\",\n  \"port\": 5432\n}\n");
    assert_eq!(get("[\"empty\"]"), "null\n");
}

#[test]
fn other_formats_and_standard_input_are_read() {
    let test = with_secret(TEXT);
    encrypt(&test, "a.env", "A=x y\n");
    assert_eq!(test.sealant(&["get", "a.env", "[\"A\"]"]).run().ok().text(), "x y");
    let run = test.sealant(&["get", "--input-type", "yaml", "-", "[\"hosts\"][0]"]);
    assert_eq!(run.stdin(test.read("secret.yaml")).run().ok().text(), "a");
}

#[test]
fn what_is_not_there_has_the_codes_of_sops() {
    let test = with_secret(TEXT);
    test.write("plain.yaml", "a: 1\n");
    let cases = [
        ("secret.yaml", "[\"db\"][\"user\"]", 91, "error: secret.yaml: [\"user\"] of"),
        ("secret.yaml", "db.user", 91, "error: secret.yaml: [\"user\"] of [\"db\"][\"user\"] not found"),
        (
            "secret.yaml",
            "port",
            91,
            "error: secret.yaml: [\"port\"] not found\n  help: Did you mean [\"db\"][\"port\"]?",
        ),
        ("secret.yaml", "db..user", 91, "Write keys separated by dots"),
        ("secret.yaml", "/db/port", 91, "help: Keys are separated by dots: 'db.port'"),
        ("plain.yaml", "[\"a\"]", 1, "error: plain.yaml: the file is not encrypted"),
        ("nowhere.yaml", "[\"a\"]", 100, "error: nowhere.yaml: no such file"),
    ];
    for (file, path, code, message) in cases {
        let output = test.sealant(&["get", file, path]).run().code(code);
        assert!(output.stderr.contains(message) && !output.stderr.contains("hunter2"), "{output}");
    }
}

#[test]
fn a_file_that_was_changed_is_read_on_request_only() {
    let test = with_secret(TEXT);
    let text = test.read_text("secret.yaml");
    let second = text.lines().filter(|line| line.starts_with("  - ENC[")).nth(1).expect("the second host");
    test.write("secret.yaml", text.replacen(&format!("{second}\n"), "", 1));
    let get =
        |flags: &[&str]| test.sealant(&[&["get"], flags, &["secret.yaml", "[\"hosts\"][0]"]].concat()).run();
    assert!(get(&[]).code(51).stderr.contains("MAC mismatch"));
    assert_eq!(get(&["--ignore-mac"]).ok().text(), "a");
}
