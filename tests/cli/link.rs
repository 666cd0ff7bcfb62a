//! `link`, by whose links the program is kubeseal, sops or ksops.

use std::os::unix::fs::symlink;
use std::path::Path;

use sealant_test_support::{Output, Sandbox};

use super::sandbox;

fn link(test: &Sandbox, name: &str, folder: &str) -> Output {
    test.sealant(&["link", name, folder]).run()
}

#[test]
fn the_program_answers_by_the_name_of_a_link() {
    let test = sandbox();
    for name in ["kubeseal", "sops", "ksops"] {
        let made = link(&test, name, ".").ok();
        let program = env!("CARGO_BIN_EXE_sealant");
        assert!(made.stderr.contains(&format!("./{name} is now a link to {program}")), "{made}");
        assert!(
            made.stderr.contains(&format!("is not in your PATH, so a shell does not find {name} there")),
            "{made}"
        );
        let by_link = test.program(format!("./{name}"), &["--help"]).run().ok();
        assert_eq!(by_link.text(), test.sealant(&[name, "--help"]).run().ok().text(), "{name}");
        let again = link(&test, name, ".").ok();
        assert!(again.stderr.contains(&format!("./{name} is there already")), "{again}");
    }
    // What the warning advises.
    let command =
        format!("export PATH={}:$PATH; kubeseal --help && sealant link kubeseal .", test.path(".").display());
    let bin = Path::new(env!("CARGO_BIN_EXE_sealant")).parent().expect("a folder");
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let found = test.program("bash", &["-ec", &command]).env("PATH", path).run().ok();
    assert!(!found.stderr.contains("warning"), "{found}");
}

#[test]
fn what_is_no_such_link_stays() {
    let test = sandbox();
    test.write("bin/kubeseal", "#!/bin/sh\necho theirs\n");
    symlink("/bin/true", test.path("bin/sops")).expect("a link");
    std::fs::create_dir(test.path("bin/ksops")).expect("a folder");
    for name in ["kubeseal", "sops", "ksops"] {
        let refused = link(&test, name, "bin").code(8);
        assert!(refused.stderr.contains(&format!("bin/{name}: this is not a link to sealant")), "{refused}");
        assert!(refused.stderr.contains(&format!("`mv bin/{name} bin/{name}.before`")), "{refused}");
    }
    assert_eq!(test.read_text("bin/kubeseal"), "#!/bin/sh\necho theirs\n");
    assert_eq!(std::fs::read_link(test.path("bin/sops")).expect("a link"), Path::new("/bin/true"));

    // One of ours that was removed, and one to another file of this program.
    std::fs::remove_file(test.path("bin/sops")).expect("a link");
    symlink("/opt/sealant-1.0/bin/sealant", test.path("bin/sops")).expect("a link");
    link(&test, "sops", "bin").ok();
    assert_eq!(
        std::fs::read_link(test.path("bin/sops")).expect("a link"),
        Path::new(env!("CARGO_BIN_EXE_sealant"))
    );
    let names: Vec<_> = std::fs::read_dir(test.path("bin")).expect("a folder").collect();
    assert_eq!(names.len(), 3, "{names:?}");

    let nowhere = link(&test, "sops", "no/such").code(100);
    assert!(nowhere.stderr.contains("`mkdir -p no/such`"), "{nowhere}");
    assert!(link(&test, "age", "bin").status == 64);
}

/// Of two programs of a name a shell takes the first.
#[test]
fn another_program_that_comes_first_is_named() {
    let test = sandbox();
    test.write("first/sops", "#!/bin/sh\n");
    std::fs::create_dir(test.path("second")).expect("a folder");
    // The name by which the program is updated, not the file behind it.
    symlink(env!("CARGO_BIN_EXE_sealant"), test.path("second/sealant")).expect("a link");
    let path = format!("{}:{}", test.path("first").display(), test.path("second").display());
    let made = test.sealant(&["link", "sops", "second"]).env("PATH", path).run().ok();
    assert!(made.stderr.contains("first/sops first, which is another program"), "{made}");
    assert_eq!(std::fs::read_link(test.path("second/sops")).expect("a link"), test.path("second/sealant"));
}
