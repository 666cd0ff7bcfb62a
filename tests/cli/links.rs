//! What is in the place of a file: links that lead elsewhere, pipes, devices.

use std::os::unix::fs::symlink;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use sealant_test_support::{Run, Sandbox};

use super::{RECIPIENT, STRANGER, at_home, encrypted, program, sandbox};

/// Nothing here takes so long, unless it waits for somebody to write into a pipe.
const SOON: Duration = Duration::from_secs(20);

fn pipe(test: &Sandbox, name: &str) {
    let path = test.path(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).unwrap();
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// Rules by which prod is for us and dev for a stranger, too; and a file of prod that dev links to.
fn two_places() -> Sandbox {
    let test = at_home();
    encrypted(&test, "prod/a.yaml", "password: prod-secret\n", &[RECIPIENT]);
    test.write("prod/plain.yaml", "password: new\n");
    test.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - path_regex: ^prod/\n    age: {RECIPIENT}\n  - path_regex: ^dev/\n    age: {RECIPIENT},{STRANGER}\n"
        ),
    );
    test.write("dev/own.yaml", "a: 1\n");
    symlink("../prod/a.yaml", test.path("dev/b.yaml")).unwrap();
    symlink("../prod", test.path("dev/p")).unwrap();
    test
}

#[test]
fn a_link_gives_no_file_to_the_readers_of_another_rule() {
    let test = two_places();
    test.write(
        "secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\nstringData: {p: x}\n",
    );
    symlink("../secret.yaml", test.path("dev/secret.yaml")).unwrap();
    let before = test.read_text("prod/a.yaml");
    let commands: [&[&str]; 10] = [
        &["updatekeys", "--yes", "dev/b.yaml"],
        &["updatekeys", "--yes", "--rotate", "dev/b.yaml"],
        &["updatekeys", "--yes", "dev/p"],
        &["updatekeys", "--yes", "dev/p/a.yaml"],
        &["rotate", "-i", "dev/b.yaml"],
        &["encrypt", "-i", "dev/p/plain.yaml"],
        &["encrypt", "--filename-override", "dev/p/new.yaml", "prod/plain.yaml"],
        &["explain", "dev/b.yaml"],
        &["check", "--fix", "dev/p/plain.yaml"],
        &["seal", "-i", "dev/secret.yaml"],
    ];
    for command in commands {
        let output = test.sealant(command).run();
        assert!(output.stderr.contains("leads to ") || command[0] == "check", "{command:?}\n{output}");
        if command[0] != "check" {
            let output = output.code(8);
            assert!(output.stderr.contains("rule 2"), "{command:?}\n{output}");
        }
        assert_eq!(test.read_text("prod/a.yaml"), before, "{command:?}");
        assert_eq!(test.read_text("prod/plain.yaml"), "password: new\n", "{command:?}");
    }
    // Where they are, all is as ever; and what only reads needs no rule.
    test.sealant(&["updatekeys", "--yes", "prod/a.yaml"]).run().ok();
    assert_eq!(test.sealant(&["decrypt", "dev/b.yaml"]).run().ok().text(), "password: prod-secret\n");
    test.sealant(&["encrypt", "-i", "dev/own.yaml"]).run().ok();
}

#[test]
fn a_link_to_a_folder_above_is_one_to_all_that_is_there() {
    for (target, folder) in [(".", ""), ("../apps", "apps/")] {
        let test = at_home();
        let rules = format!(
            "creation_rules:\n  - path_regex: ^{folder}prod/\n    age: {RECIPIENT}\n  - age: {RECIPIENT},{STRANGER}\n"
        );
        test.write(".sops.yaml", rules);
        let file = format!("{folder}db.yaml");
        encrypted(&test, &file, "password: x\n", &[RECIPIENT, STRANGER]);
        symlink(target, test.path(format!("{folder}prod"))).unwrap();
        let found = test.sealant(&["check"]).run().code(1);
        let is_told = |line: &str| line.starts_with(&format!("{folder}prod:")) && line.ends_with("[link]");
        assert!(found.text().lines().any(is_told), "{found}");
        test.sealant(&["rotate", "-i", &format!("{folder}prod/db.yaml")]).run().code(8);
        test.sealant(&["rotate", "-i", &file]).run().ok();
    }
}

#[test]
fn a_link_to_a_folder_with_a_config_of_its_own_is_no_way_around_a_rule() {
    for own in [&*format!("creation_rules:\n  - age: {RECIPIENT},{STRANGER}\n"), "stores: {}\n"] {
        let test = at_home();
        test.write(
            ".sops.yaml",
            format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {RECIPIENT}\n"),
        );
        test.write("store/.sops.yaml", own);
        test.write("store/a.txt", "no secret\n");
        symlink("store", test.path("secrets")).unwrap();
        let found = test.sealant(&["check"]).run().code(1);
        let is_told = |line: &str| line.starts_with("secrets:") && line.ends_with("[link]");
        assert!(found.text().lines().any(is_told), "{found}");
        test.write("store/new.yaml", "password: new\n");
        for args in [
            &["encrypt", "-i", "secrets/new.yaml"][..],
            &["encrypt", "--filename-override", "secrets/new.yaml", "store/new.yaml"],
            &["edit", "secrets/other.yaml"],
            &["explain", "secrets/new.yaml"],
        ] {
            let output = test.sealant(args).run().code(8);
            assert!(output.stderr.contains("leads to store/"), "{args:?}: {output}");
        }
        assert_eq!(test.read_text("store/new.yaml"), "password: new\n");
    }
    // A rule for all paths says nothing of this one.
    let test = at_home();
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
    test.write("store/.sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT},{STRANGER}\n"));
    test.write("store/new.yaml", "password: new\n");
    symlink("store", test.path("secrets")).unwrap();
    test.sealant(&["encrypt", "-i", "secrets/new.yaml"]).run().ok();
}

#[test]
fn a_repository_in_the_place_of_a_folder_takes_no_rule_over_unseen() {
    let test = at_home();
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {RECIPIENT}\n"));
    for repository in ["secrets", "other"] {
        test.write(format!("{repository}/.git"), "gitdir: ../.git/modules/x\n");
        test.write(format!("{repository}/.sops.yaml"), format!("creation_rules:\n  - age: {STRANGER}\n"));
    }
    let found = test.sealant(&["check"]).run().ok();
    let told: Vec<&str> = found.text().lines().filter(|line| line.ends_with("[hidden-rule]")).collect();
    assert!(
        matches!(told[..], [line] if line.starts_with("secrets:") && line.contains("rule 1 of .sops.yaml")),
        "{found}"
    );
}

/// By whatever pattern a rule is for the place of a repository within.
#[test]
fn a_rule_that_a_repository_takes_over_is_told_whatever_its_pattern() {
    let test = at_home();
    test.write("secrets/.git", "gitdir: ../.git/modules/x\n");
    test.write("secrets/.sops.yaml", format!("creation_rules:\n  - age: {STRANGER}\n"));
    let told = |pattern: &str| {
        test.write(
            ".sops.yaml",
            format!("creation_rules:\n  - path_regex: {pattern}\n    age: {RECIPIENT}\n"),
        );
        test.sealant(&["check"]).run().text().contains("[hidden-rule]")
    };
    let patterns = [
        r"^secrets/",
        r"^secrets/.*\.yaml$",
        r"^secrets/[^/]+\.yaml$",
        r"^secrets/[^/]+\.env$",
        r"^secrets/prod/",
        r"^secrets/prod/[^/]*\.ya?ml$",
        r"^secrets/prod/db\.yaml$",
        r"secrets/db\.json$",
        r"\.ya?ml$",
        r"(^|/)secrets/|\.enc\.(ya?ml|json|env|ini)$",
    ];
    for pattern in patterns {
        assert!(told(pattern), "{pattern}");
    }
    let others = [r"\.enc\.(ya?ml|json|env|ini)$", r"^other/.*", r"^secrets-of-mine/", r"_x$"];
    for pattern in others {
        assert!(!told(pattern), "{pattern}");
    }
    // What is there is held against rules, too.
    test.write("secrets/a/b.enc.yaml", "");
    test.write("secrets/of_x", "");
    assert!(told(others[0]) && told(others[3]) && !told(others[1]));
}

#[test]
fn a_link_from_outside_has_the_rule_of_the_file() {
    let test = two_places();
    symlink(test.path("prod"), test.home("secrets")).unwrap();
    symlink(test.path(""), test.home("repository")).unwrap();
    for file in ["secrets/plain.yaml", "repository/prod/plain.yaml"] {
        let file = test.home(file);
        let output = test.sealant(&["encrypt"]).arg(&file).run().ok();
        assert!(output.text().contains(RECIPIENT) && !output.text().contains(STRANGER), "{output}");
    }
}

/// A repository with links out of it to files of ours, for which no rule says anything.
#[allow(clippy::disallowed_methods, reason = "tests are outside of the doors that the library has")]
fn with_links_out() -> Sandbox {
    let test = at_home();
    test.program("git", &["init", "-q"]).run().ok();
    test.write("home.yaml", "password: mine\n");
    encrypted(&test, "enc.yaml", "password: mine\n", &[RECIPIENT]);
    std::fs::create_dir_all(test.home("notes")).unwrap();
    std::fs::rename(test.path("home.yaml"), test.home("notes/plain.yaml")).unwrap();
    std::fs::rename(test.path("enc.yaml"), test.home("notes/enc.yaml")).unwrap();
    symlink(test.home("notes/plain.yaml"), test.path("plain.yaml")).unwrap();
    symlink(test.home("notes/enc.yaml"), test.path("enc.yaml")).unwrap();
    symlink(test.home("notes/new.yaml"), test.path("new.yaml")).unwrap();
    symlink(test.home("notes"), test.path("folder")).unwrap();
    test.write("in.yaml", "password: here\n");
    encrypted(&test, "real.yaml", "password: here\n", &[RECIPIENT]);
    symlink("real.yaml", test.path("within.yaml")).unwrap();
    test
}

#[test]
fn nothing_is_written_through_a_link_that_leads_out_of_its_repository() {
    let test = with_links_out();
    let notes = |name: &str| std::fs::read(test.home("notes").join(name)).ok();
    let before = ["plain.yaml", "enc.yaml", "new.yaml"].map(notes);
    let editor = test.editor("echo 'new: 1' >> \"$1\"");
    let recipient = ["--age", RECIPIENT];
    let mut lines: Vec<Vec<&str>> = Vec::new();
    for enc in ["enc.yaml", "folder/enc.yaml", "../work/enc.yaml"] {
        lines.push(vec!["set", "--plaintext", enc, "[\"a\"]", "1"]);
        lines.push(vec!["unset", enc, "[\"password\"]"]);
        lines.push(vec!["rotate", "-i", enc]);
        lines.push(vec!["edit", enc]);
        lines.push(vec!["decrypt", "-i", enc]);
        lines.push(vec!["decrypt", "--output", enc, "real.yaml"]);
    }
    for plain in ["plain.yaml", "folder/plain.yaml"] {
        lines.push([&["encrypt", "-i"][..], &recipient, &[plain]].concat());
    }
    lines.push([&["encrypt", "--output", "new.yaml"][..], &recipient, &["in.yaml"]].concat());
    lines.push([&["edit"][..], &recipient, &["new.yaml"]].concat());
    lines.push([&["encrypt", "--output-dir", "folder"][..], &recipient, &["in.yaml"]].concat());
    lines.push(vec!["decrypt", "--output-dir", "folder", "real.yaml"]);
    lines.push(vec!["man", "--dir", "folder"]);
    lines.push(vec!["link", "sops", "folder"]);
    lines.push(vec!["keygen", "-o", "new.yaml"]);
    test.write("cert.pem", include_str!("../../fixtures/bitnami/keys/rsa2048-c.cert.pem"));
    test.write("secret.yaml", "metadata: {name: a, namespace: b}\nstringData: {a: b}\n");
    let kubeseal = ["kubeseal", "--cert", "cert.pem", "-o", "yaml", "-f", "secret.yaml"];
    lines.push([&kubeseal[..], &["-w", "new.yaml"]].concat());
    lines.push([&kubeseal[..], &["--merge-into", "plain.yaml"]].concat());
    lines.push(vec!["keygen", "-o", "folder/new.yaml"]);
    for line in &lines {
        // kubeseal has one code for all that goes wrong.
        let code = if line[0] == "kubeseal" { 1 } else { 8 };
        let output = test.sealant(line).env("EDITOR", &editor).run().code(code);
        assert!(output.stderr.contains("and Sealant does not write there"), "{output}");
        assert!(output.stderr.contains("/notes"), "the target is named: {output}");
    }
    assert_eq!(["plain.yaml", "enc.yaml", "new.yaml"].map(notes), before);

    // Whoever names the file means it, and a link of their own is not one of the repository's.
    let enc = test.home("notes/enc.yaml");
    symlink(&enc, test.home("mine.yaml")).unwrap();
    for path in [&enc, &test.home("mine.yaml")] {
        test.sealant(&["rotate", "-i"]).arg(path).run().ok();
    }
    assert!(test.home("mine.yaml").is_symlink());
    assert_ne!(notes("enc.yaml"), before[1]);
    test.sealant(&["rotate", "-i", "within.yaml"]).run().ok();
    assert!(test.path("within.yaml").is_symlink());
    // What only reads is where it is.
    assert_eq!(test.sealant(&["decrypt", "enc.yaml"]).run().ok().text(), "password: mine\n");

    let as_sops = test.sealant(&["rotate", "-i", "enc.yaml"]).called_as("sops").run().ok();
    assert!(as_sops.stderr.contains("warning: enc.yaml: leads out of its repository"), "{as_sops}");
}

/// Git runs programs by its settings and hooks, and takes a link to them for a file like any other.
#[test]
#[allow(clippy::disallowed_methods, reason = "tests are outside of the doors that the library has")]
fn nothing_is_written_through_a_link_into_what_git_keeps() {
    let test = at_home();
    test.program("git", &["init", "-q"]).run().ok();
    encrypted(&test, "real.yaml", "password: here\n", &[RECIPIENT]);
    test.write("plain.yaml", "password: here\n");
    for (target, link) in [
        (".git/config", "config.yaml"),
        (".git/config", "config.ini"),
        (".git/hooks/pre-commit", "run"),
        (".git", "gitdir"),
        ("gitdir/config", "twice.yaml"),
    ] {
        symlink(target, test.path(link)).unwrap();
    }
    std::fs::create_dir_all(test.path(".git/hooks")).unwrap();
    test.write(".git/hooks/pre-commit", "mine\n");
    let state = || ["config", "hooks/pre-commit"].map(|name| test.read_text(format!(".git/{name}")));
    let before = state();
    let age = ["--age", RECIPIENT];
    let lines = [
        &["decrypt", "--output", "config.yaml", "real.yaml"][..],
        &["decrypt", "--output", "twice.yaml", "real.yaml"],
        &["decrypt", "--output", "run", "real.yaml"],
        &["decrypt", "--output", "gitdir/config", "real.yaml"],
        &["decrypt", "--output-dir", "gitdir", "real.yaml"],
        &["decrypt", "--output-dir", "gitdir/hooks", "real.yaml"],
        &[&["encrypt", "-i"][..], &age, &["config.ini"]].concat(),
        &[&["encrypt", "--output", "run"][..], &age, &["plain.yaml"]].concat(),
        &["keygen", "-o", "gitdir/new.txt"],
        &["man", "--dir", "gitdir"],
    ];
    for line in lines {
        let output = test.sealant(line).run().code(8);
        assert!(output.stderr.contains("leads into what Git keeps for itself"), "{output}");
    }
    // Not even by the name of sops, which does.
    let output = test.sealant(&["decrypt", "--output", "config.yaml", "real.yaml"]).called_as("sops").run();
    assert!(output.status != 0 && output.stderr.contains("leads into what Git keeps"), "{output}");
    assert_eq!(state(), before);
    assert!(!test.path(".git/real.yaml").exists() && !test.path(".git/hooks/real.yaml").exists());
    // Somebody is told before they write anything.
    let told = test.sealant(&["check"]).run().code(1);
    for link in ["config.yaml", "run", "gitdir"] {
        assert!(told.text().contains(&format!("{link}:1: leads into what Git keeps for itself")), "{told}");
    }
    // A folder of Git's that has another name, and a working tree that only the environment names.
    std::fs::rename(test.path(".git"), test.path("own")).unwrap();
    symlink("own/config", test.path("other.yaml")).unwrap();
    symlink(test.home("notes.yaml"), test.path("out.yaml")).unwrap();
    for file in ["other.yaml", "out.yaml"] {
        let run = test.sealant(&["decrypt", "--output", file, "real.yaml"]);
        let output = run.env("GIT_DIR", test.path("own")).env("GIT_WORK_TREE", test.path("")).run().code(8);
        assert!(output.stderr.contains("and Sealant does not write there"), "{output}");
    }
    assert!(!test.home("notes.yaml").exists());
}

/// Whoever commits it knows the name under which a job in CI writes its report.
#[test]
fn a_report_is_not_written_through_a_link() {
    let test = at_home();
    test.program("git", &["init", "-q"]).run().ok();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {password: hunter2}\n";
    test.write("app.yaml", secret);
    for (target, link) in [
        (test.home(".profile"), "a.sarif"),
        ("app.yaml".into(), "b.sarif"),
        (".git/config".into(), "c.sarif"),
        (test.home(""), "folder"),
    ] {
        symlink(target, test.path(link)).unwrap();
    }
    let config = test.read_text(".git/config");
    for file in ["a.sarif", "b.sarif", "c.sarif", "folder/a.sarif"] {
        let output = test.sealant(&["check", "--sarif", file]).run().code(8);
        assert!(output.stderr.contains("is a link of this repository"), "{output}");
    }
    assert_eq!((test.read_text("app.yaml"), test.read_text(".git/config")), (secret.to_owned(), config));
    assert!(!test.home(".profile").exists() && !test.home("a.sarif").exists());
    // What people read is the same, and the report is that of --format.
    let output = test.sealant(&["check", "--sarif", "report.sarif", "app.yaml"]).run().code(1);
    assert!(output.text().contains("app.yaml:4: "), "{output}");
    let sarif = test.sealant(&["check", "--format", "sarif", "app.yaml"]).run().code(1);
    assert_eq!(test.read_text("report.sarif"), sarif.text());
    // A link of the person's own is not one of the repository's.
    symlink(test.home("real.sarif"), test.home("mine.sarif")).unwrap();
    test.sealant(&["check", "app.yaml", "--sarif"]).arg(test.home("mine.sarif")).run().code(1);
    assert!(test.home("mine.sarif").is_symlink() && test.home("real.sarif").exists());
}

#[test]
fn no_link_below_an_output_folder_is_followed_or_replaced() {
    let test = at_home();
    for name in ["secrets/notes.txt", "secrets/deep/a.yaml"] {
        encrypted(&test, name, "text: from the repository\n", &[RECIPIENT]);
    }
    test.write(test.home(".bashrc"), "mine\n");
    let all_out = ["decrypt", "--output-dir", "out", "secrets"];
    test.sealant(&all_out).run().ok();
    assert_eq!(test.read_text("out/secrets/notes.txt"), "text: from the repository\n");

    // In place of a file, of one that is not there, and of a folder.
    std::fs::remove_file(test.path("out/secrets/notes.txt")).unwrap();
    for target in [".bashrc", ".profile"] {
        symlink(test.home(target), test.path("out/secrets/notes.txt")).unwrap();
        let output = test.sealant(&all_out).run().code(3);
        assert!(output.stderr.contains("secrets/notes.txt: is a link to "), "{output}");
        assert_eq!(test.read_text("out/secrets/deep/a.yaml"), "text: from the repository\n");
        assert!(test.path("out/secrets/notes.txt").is_symlink());
        std::fs::remove_file(test.path("out/secrets/notes.txt")).unwrap();
    }
    std::fs::remove_dir_all(test.path("out/secrets/deep")).unwrap();
    symlink(test.home(""), test.path("out/secrets/deep")).unwrap();
    let output = test.sealant(&all_out).run().code(3);
    assert!(output.stderr.contains("out/secrets/deep: is a link to "), "{output}");
    assert_eq!(test.read_text(test.home(".bashrc")), "mine\n");
    assert!(!test.home(".profile").exists() && !test.home("a.yaml").exists());

    // The folder itself was named, and may be a link.
    symlink(test.home(""), test.path("named")).unwrap();
    test.sealant(&["decrypt", "--output-dir", "named", "secrets/notes.txt"]).run().ok();
    assert_eq!(test.read_text(test.home("secrets/notes.txt")), "text: from the repository\n");
}

#[test]
fn a_config_is_not_made_through_a_link() {
    let test = sandbox();
    symlink(test.home(".profile"), test.path(".sops.yaml")).unwrap();
    let output = test.sealant(&["init", "--no-git", "--recipient", RECIPIENT]).run().code(3);
    assert!(output.stderr.contains("Sealant does not write through it"), "{output}");
    assert!(!test.home(".profile").exists());
}

/// A FIFO where a repository should have a file.
#[track_caller]
fn refused(run: Run, name: &str) {
    let output = run.limit(SOON).run();
    assert!(output.status != 0 && output.to_string().contains(name), "{output}");
    assert!(output.to_string().contains("is a named pipe, not a file"), "{output}");
}

#[test]
fn a_pipe_in_place_of_a_config_is_not_opened() {
    let test = at_home();
    pipe(&test, ".sops.yaml");
    test.write("a.yaml", "a: 1\n");
    for command in [&["encrypt", "a.yaml"][..], &["explain", "a.yaml"], &["check", "a.yaml"], &["doctor"]] {
        refused(test.sealant(command), ".sops.yaml");
    }
}

#[test]
fn a_pipe_that_a_generator_names_is_not_opened() {
    let test = at_home();
    let generator = |file: &str| {
        format!("apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {{name: a}}\nfiles: [{file}]\n")
    };
    test.write("generator.yaml", generator("pipe.yaml"));
    pipe(&test, "pipe.yaml");
    refused(test.sealant(&["ksops", "generator.yaml"]), "pipe.yaml");
    refused(test.sealant(&["ksops", "pipe.yaml"]), "pipe.yaml");
    refused(test.sealant(&["git", "textconv", "pipe.yaml"]), "pipe.yaml");
    refused(
        test.sealant(&["git", "merge", "--path", "a.yaml", "pipe.yaml", "pipe.yaml", "pipe.yaml"]),
        "pipe.yaml",
    );
}

#[test]
fn what_only_looks_opens_no_pipe_and_no_device() {
    let test = at_home();
    pipe(&test, "pipe.yaml");
    symlink("pipe.yaml", test.path("link.yaml")).unwrap();
    for file in ["pipe.yaml", "link.yaml"] {
        for command in
            [&["check"][..], &["check", "--verify"], &["check", "--fix"], &["status"], &["who-can-decrypt"]]
        {
            refused(test.sealant(command).arg(file), file);
        }
    }
    symlink("/dev/zero", test.path("zero.yaml")).unwrap();
    for command in ["check", "status", "encrypt", "decrypt", "inspect"] {
        for file in ["zero.yaml", "/dev/zero"] {
            let output = test.sealant(&[command, file]).limit(SOON).run().code(2);
            assert!(output.to_string().contains("is a device, not a file"), "{output}");
        }
    }
    // The config of those who want none.
    test.write("a.yaml", "a: 1\n");
    test.sealant(&["--config", "/dev/null", "encrypt", "--age", RECIPIENT, "a.yaml"]).run().ok();
}

/// Whoever names a pipe may have a program at its other end, which is waited for; and not for ever.
#[test]
fn nobody_waits_for_ever_for_the_other_end_of_a_pipe() {
    let test = at_home();
    pipe(&test, "pipe.yaml");
    pipe(&test, "out.yaml");
    test.write("plain.yaml", "a: 1\n");
    encrypted(&test, "a.yaml", "a: 1\n", &[RECIPIENT]);
    let reading: [&[&str]; 19] = [
        &["encrypt", "pipe.yaml"],
        &["encrypt", "-i", "pipe.yaml"],
        &["encrypt", "--age", RECIPIENT, "--onto", "pipe.yaml", "plain.yaml"],
        &["decrypt", "pipe.yaml"],
        &["keygen", "-y", "pipe.yaml"],
        &["get", "pipe.yaml", "[\"a\"]"],
        &["set", "pipe.yaml", "[\"a\"]", "1"],
        &["set", "--value-file", "a.yaml", "[\"a\"]", "pipe.yaml"],
        &["unset", "pipe.yaml", "[\"a\"]"],
        &["rotate", "-i", "pipe.yaml"],
        &["updatekeys", "--yes", "pipe.yaml"],
        &["exec-env", "pipe.yaml", "true"],
        &["exec-file", "pipe.yaml", "true"],
        &["filestatus", "pipe.yaml"],
        &["inspect", "pipe.yaml"],
        &["diff", "a.yaml", "pipe.yaml"],
        &["seal", "--name", "a", "--namespace", "a", "--from-file", "pipe.yaml"],
        &["unseal", "pipe.yaml"],
        &["--config", "pipe.yaml", "encrypt", "plain.yaml"],
    ];
    let writing: [&[&str]; 2] = [
        &["decrypt", "--output", "out.yaml", "a.yaml"],
        &["encrypt", "--age", RECIPIENT, "--output", "out.yaml", "plain.yaml"],
    ];
    let as_sops: [&[&str]; 3] = [
        &["decrypt", "pipe.yaml"],
        &["-e", "pipe.yaml"],
        &["--config", "pipe.yaml", "encrypt", "plain.yaml"],
    ];
    let own =
        reading.iter().map(|args| ("sealant", *args)).chain(writing.iter().map(|args| ("sealant", *args)));
    let all: Vec<_> = own.chain(as_sops.iter().map(|args| ("sops", *args))).collect();
    std::thread::scope(|scope| {
        for (name, args) in all {
            let run = test.sealant(args).called_as(name).limit(SOON);
            scope.spawn(move || {
                let output = run.run();
                assert!(output.status != 0, "{output}");
                assert!(output.stderr.contains("it is a named pipe, and after "), "{output}");
            });
        }
    });
    let sealant = program().display().to_string();
    let line = format!("(sleep 1; cat a.yaml > pipe.yaml) & {sealant} decrypt pipe.yaml");
    let output = test.program("bash", &["-c", &line]).limit(SOON).run().ok();
    assert_eq!(output.text(), "a: 1\n");
}

#[test]
fn what_a_person_names_may_be_a_pipe() {
    let test = at_home();
    encrypted(&test, "a.yaml", "a: 1\n", &[RECIPIENT]);
    let sealant = program().display().to_string();
    let lines = [
        "decrypt --input-type yaml --output-type yaml <(cat a.yaml)",
        "--config <(echo 'creation_rules: []') decrypt a.yaml",
        "decrypt --identity <(cat ~/.config/sops/age/keys.txt) a.yaml",
    ];
    for line in lines {
        let output = test.program("bash", &["-c", &format!("{sealant} {line}")]).limit(SOON).run().ok();
        assert_eq!(output.text(), "a: 1\n", "{line}");
    }
    let line = format!(
        "{sealant} set --string --value-file a.yaml '[\"b\"]' <(printf x) && {sealant} decrypt a.yaml"
    );
    let output = test.program("bash", &["-c", &line]).limit(SOON).run().ok();
    assert_eq!(output.text(), "a: 1\nb: x\n");
    let line = format!("SOPS_AGE_KEY_FILE=<(cat ~/.config/sops/age/keys.txt) {sealant} get a.yaml '[\"b\"]'");
    test.program("bash", &["-c", &line]).limit(SOON).run().ok();
}

#[test]
fn as_sops_a_path_counts_as_it_is_spelled_and_that_is_said() {
    let test = two_places();
    let output = test.sealant(&["encrypt", "dev/p/plain.yaml"]).called_as("sops").run().ok();
    assert!(output.text().contains(STRANGER), "{output}");
    assert!(output.stderr.contains("warning: dev/p/plain.yaml: leads to prod/plain.yaml"), "{output}");
}

#[test]
fn check_finds_links_by_which_a_path_is_under_another_rule() {
    let test = two_places();
    symlink("own.yaml", test.path("dev/same-rule.yaml")).unwrap();
    symlink("../dev", test.path("dev/self")).unwrap();
    test.write("misc/a.txt", "");
    symlink("../prod/a.yaml", test.path("misc/follows.yaml")).unwrap();
    symlink(test.home("mine.yaml"), test.path("dev/out.yaml")).unwrap();
    symlink("/usr/share", test.path("misc/share")).unwrap();
    test.write("dev/own.yaml", "");
    std::fs::remove_file(test.path("prod/plain.yaml")).unwrap();
    let output = test.sealant(&["check"]).run().code(1);
    let rules = "which is under .sops.yaml:2 (rule 1), and this path is under .sops.yaml:4 (rule 2) [link]";
    let mut lines: Vec<&str> = output.text().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 3, "{output}");
    assert_eq!(lines[0], format!("dev/b.yaml:1: leads to prod/a.yaml, {rules}"));
    assert!(
        lines[1].starts_with("dev/out.yaml:1: leads to ") && lines[1].contains("no creation rule"),
        "{output}"
    );
    assert_eq!(lines[2], format!("dev/p:1: leads to prod/a.yaml, {rules}"));

    // Named, in a folder that is not the working directory, and by whoever wants them.
    let output = test.sealant(&["check", "dev/b.yaml"]).run().code(1);
    assert!(output.text().contains("dev/b.yaml:1: leads to prod/a.yaml"), "{output}");
    let config = test.read_text(".sops.yaml");
    test.write(".sops.yaml", config + "sealant: {check: {exclude: ['dev/**']}}\n");
    test.sealant(&["check"]).run().ok();
}
