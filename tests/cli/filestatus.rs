use super::{RECIPIENT, encrypted, sandbox};

#[test]
fn one_file_is_told_as_sops_tells_it() {
    let test = sandbox();
    test.write("plain.yaml", "a: 1\n");
    test.write("empty.yaml", "");
    test.write("plain.bin", "not JSON\n");
    encrypted(&test, "secret.yaml", "a: 1\n", &[RECIPIENT]);
    let secret = test.read_text("secret.yaml");
    let without_mac: Vec<_> = secret.lines().filter(|line| !line.starts_with("    mac:")).collect();
    test.write("no-mac.yaml", without_mac.join("\n"));
    for (file, status) in [
        ("secret.yaml", "{\"encrypted\":true}\n"),
        ("plain.yaml", "{\"encrypted\":false}\n"),
        ("empty.yaml", "{\"encrypted\":false}\n"),
        ("plain.bin", "{\"encrypted\":false}\n"),
        ("no-mac.yaml", "{\"encrypted\":false}\n"),
    ] {
        assert_eq!(test.sealant(&["filestatus", file]).run().ok().text(), status, "{file}");
        if file != "plain.bin" {
            assert_eq!(test.sops(&["filestatus", file]).run().ok().text(), status, "{file}");
        }
    }
}

#[test]
fn of_several_files_each_has_a_line() {
    let test = sandbox();
    test.write("d/a.yaml", "a: 1\n");
    encrypted(&test, "d/b.env", "A=1\n", &[RECIPIENT]);
    let both = "{\"file\":\"d/a.yaml\",\"encrypted\":false}\n{\"file\":\"d/b.env\",\"encrypted\":true}\n";
    assert_eq!(test.sealant(&["filestatus", "d"]).run().ok().text(), both);
    let output = test.sealant(&["filestatus", "d/a.yaml", "d/b.env", "d/none.yaml"]).run().code(100);
    assert_eq!(output.text(), both);
}

#[test]
fn what_cannot_be_read_has_no_status() {
    let test = sandbox();
    test.write("broken.yaml", "a: [");
    test.write("odd.yaml", "a: 1\nsops: 3\n");
    test.sealant(&["filestatus", "broken.yaml"]).run().code(2);
    let output = test.sealant(&["filestatus", "odd.yaml"]).run().code(2);
    assert!(output.stderr.contains("odd.yaml:2: the entry \"sops\" is not a map"), "{output}");
}
