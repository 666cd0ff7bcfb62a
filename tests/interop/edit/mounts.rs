//! Files that nothing can be renamed to, as containers have them (`docker run -v FILE:FILE`, `subPath` of Kubernetes), and
//! files with several names: as the real sops leaves them, which writes over them.

use sealant_test_support::{Output, Run, Sandbox};

use super::{read_by_both, sandbox};

/// A command that runs where `mounts` was done, which nobody else sees. This takes Linux, and user namespaces or root.
#[track_caller]
fn where_mounted(test: &Sandbox, mounts: &str, command: &[&str]) -> Run {
    let script = format!("set -e\n{mounts}\nexec \"$@\"");
    let probe = test.program("unshare", &["--mount", "--map-root-user", "true"]).run();
    assert_eq!(
        probe.status, 0,
        "nothing can be mounted here, which this test is about: is `unshare` allowed?\n{probe}"
    );
    let args = ["--mount", "--map-root-user", "sh", "-c", &script, "sh"];
    test.program("unshare", &args).args(command)
}

const SEALANT: &str = env!("CARGO_BIN_EXE_sealant");

const BIND: &str = "touch mounted.yaml\nmount --bind secret.yaml mounted.yaml";

/// No copy of a file is left in a folder.
fn nothing_is_left(test: &Sandbox, folder: &str) {
    let names = std::fs::read_dir(test.path(folder)).expect("a folder").flatten();
    let left: Vec<_> = names.map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(".sealant-")), "{left:?}");
}

#[test]
fn a_mount_point_is_written_over() {
    let test = sandbox(&[]);
    let run = |command: &[&str]| where_mounted(&test, BIND, command);
    run(&[SEALANT, "set", "mounted.yaml", "[\"db\"][\"password\"]", "\"two\""]).run().ok();
    assert!(read_by_both(&test, "secret.yaml").contains("\"password\":\"two\""));
    let before = test.read_text("secret.yaml");
    run(&[SEALANT, "rotate", "-i", "mounted.yaml"]).run().ok();
    assert!(read_by_both(&test, "secret.yaml").contains("\"password\":\"two\""));
    assert_ne!(before, test.read_text("secret.yaml"));
    let editor = test.editor("sed -i s/two/three/ \"$1\"");
    run(&[SEALANT, "edit", "mounted.yaml"]).env("EDITOR", editor).run().ok();
    assert!(read_by_both(&test, "secret.yaml").contains("\"password\":\"three\""));
    // Shorter than what was there.
    run(&[SEALANT, "decrypt", "-i", "mounted.yaml"]).run().ok();
    assert_eq!(test.read_text("secret.yaml"), super::TEXT.replace("hunter2", "three"));
    assert!(!test.path("mounted.edited.yaml").exists());
    nothing_is_left(&test, ".");
}

#[test]
fn a_mount_point_below_an_output_folder_is_written_over() {
    let test = sandbox(&[]);
    test.write("out/secret.yaml", "");
    test.write("target.yaml", "long ".repeat(1000));
    let mounts = "mount --bind target.yaml out/secret.yaml";
    where_mounted(&test, mounts, &[SEALANT, "decrypt", "--output-dir", "out", "secret.yaml"]).run().ok();
    assert_eq!(test.read_text("target.yaml"), super::TEXT);
    nothing_is_left(&test, "out");
}

#[test]
fn the_copy_is_among_the_temporary_files_where_the_folder_takes_none() {
    let test = sandbox(&[]);
    test.write("ro/mounted.yaml", "");
    test.write("tmp/keep", "");
    let mounts = "mount --bind ro ro\nmount --bind secret.yaml ro/mounted.yaml\nmount -o remount,ro,bind ro";
    let run = |command: &[&str]| where_mounted(&test, mounts, command).env("TMPDIR", test.path("tmp"));
    run(&[SEALANT, "set", "ro/mounted.yaml", "[\"db\"][\"password\"]", "\"two\""]).run().ok();
    let editor = test.editor("sed -i s/two/three/ \"$1\"");
    run(&[SEALANT, "edit", "ro/mounted.yaml"]).env("EDITOR", editor).run().ok();
    assert!(read_by_both(&test, "secret.yaml").contains("\"password\":\"three\""));
    nothing_is_left(&test, "tmp");
    // What is no mount point is refused as ever.
    test.write("ro/other.yaml", test.read_text("secret.yaml"));
    let output = run(&[SEALANT, "unset", "ro/other.yaml", "[\"db\"]"]).run().code(3);
    assert!(output.stderr.contains("read-only"), "{output}");
}

#[test]
fn where_writing_over_fails_the_error_names_the_whole_copy() {
    let test = sandbox(&[]);
    let mounts = "mkdir -p small\nmount -t tmpfs -o size=8k none small\ncp secret.yaml small/f.yaml\n\
                  touch mounted.yaml\nmount --bind small/f.yaml mounted.yaml";
    let big = format!("\"{}\"", "x".repeat(20_000));
    let output: Output =
        where_mounted(&test, mounts, &[SEALANT, "set", "mounted.yaml", "[\"big\"]", &big]).run().code(3);
    for words in ["mounted.yaml", "is a mount point", "No space left", "cat "] {
        assert!(output.stderr.contains(words), "`{words}`\n{output}");
    }
    let copy =
        output.stderr.split("cat ").nth(1).and_then(|rest| rest.split(" > ").next()).expect("its name");
    test.write("copy.yaml", test.read_text(copy));
    assert!(read_by_both(&test, "copy.yaml").contains("\"big\":\"xxxx"));
}

#[test]
fn hard_links_that_part_are_named() {
    let test = sandbox(&[]);
    let links = |names: &[&str]| {
        for name in names {
            let _ = std::fs::remove_file(test.path(name));
            std::fs::hard_link(test.path("secret.yaml"), test.path(name)).expect("a hard link");
        }
    };
    links(&["b.yaml"]);
    let old = test.read_text("b.yaml");
    let set = ["set", "secret.yaml", "[\"db\"][\"password\"]", "\"two\""];
    let output = test.sealant(&set).run().ok();
    let note = "note: secret.yaml had 1 other name, which keeps the old content (hard links): `find . -inum ";
    assert!(output.stderr.contains(note), "{output}");
    let found = output.stderr.split('`').nth(1).expect("a command").to_owned();
    assert_eq!(test.program("sh", &["-c", &found]).run().ok().text(), "./b.yaml\n");
    assert_eq!(test.read_text("b.yaml"), old);
    links(&["b.yaml", "c.yaml"]);
    let output = test.sealant(&["rotate", "-i", "secret.yaml"]).run().ok();
    assert!(output.stderr.contains("had 2 other names, which keep the old content"), "{output}");
    assert!(!test.sealant(&set).run().ok().stderr.contains("hard links"));
    // To sops it is one file with several names.
    links(&["b.yaml"]);
    test.sops(&["set", "secret.yaml", "[\"db\"][\"password\"]", "\"three\""]).run().ok();
    assert_eq!(test.read_text("b.yaml"), test.read_text("secret.yaml"));
}
