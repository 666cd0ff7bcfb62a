use super::{RECIPIENT, encrypted, sandbox};

#[test]
fn without_a_file_it_is_the_folder_that_one_is_in() {
    let test = sandbox();
    encrypted(&test, "a.yaml", "a: hunter2\n", &[RECIPIENT]);
    encrypted(&test, "build/b.yaml", "a: hunter2\n", &[RECIPIENT]);
    let files = |args: &[&str], input: &[u8]| {
        let output = test.sealant(&["status"]).args(args).stdin(input).run().ok();
        let names = output.text().lines().skip(1).filter_map(|line| line.split("  ").next());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    // Nobody sits at a terminal, and nothing is piped in.
    assert_eq!(files(&[], b""), ["a.yaml", "build/b.yaml"]);
    assert_eq!(files(&["."], b""), ["a.yaml", "build/b.yaml"]);
    let text = test.read("a.yaml");
    let piped = files(&["-", "--filename-override", "a.yaml"], &text);
    assert_eq!(piped.len(), 1);
    // What Git ignores is a result of something else.
    test.program("git", &["init", "-q"]).run().ok();
    test.write(".gitignore", "build\n");
    assert_eq!(files(&[], b""), ["a.yaml"]);
    assert_eq!(files(&["build"], b""), ["build/b.yaml"]);
}

/// A picture of a disk, say: it is not read to find out that it is not encrypted.
#[test]
fn a_large_file_that_is_no_text_is_not_read() {
    let test = sandbox();
    encrypted(&test, "a.yaml", "a: hunter2\n", &[RECIPIENT]);
    test.write("disk.img", "");
    let disk = std::fs::File::options().write(true).open(test.path("disk.img")).expect("a file");
    disk.set_len(64 << 30).expect("a file with a hole");
    for command in ["status", "who-can-decrypt"] {
        let output = test.sealant(&[command]).run().ok();
        assert!(output.text().contains("a.yaml") && !output.text().contains("disk.img"), "{output}");
    }
}
