//! Copies of encrypted files in places that other people read: found by `check`, and nobody is let into them.

use sealant_test_support::{Output, Sandbox};

use super::{RECIPIENT, STRANGER, encrypted, identity};

/// Production is for one recipient, development for a second, too; both have a file.
fn two_places() -> (Sandbox, String) {
    let test = super::at_home();
    let developer = identity(&test, "developer.txt");
    let rules = format!(
        "creation_rules:\n  - path_regex: ^prod/\n    age: {RECIPIENT}\n  - path_regex: ^dev/\n    age: {RECIPIENT},{developer}\n"
    );
    encrypted(&test, "prod/a.yaml", "password: prod-secret\nuser: admin\n", &[RECIPIENT]);
    encrypted(&test, "dev/b.yaml", "password: dev-secret\n", &[RECIPIENT, &developer]);
    test.write(".sops.yaml", rules);
    (test, developer)
}

/// What `check` says of copies.
fn copied(test: &Sandbox) -> Vec<String> {
    let found = test.sealant(&["check"]).run();
    found.text().lines().filter(|line| line.contains("[copied]")).map(str::to_owned).collect()
}

fn opens(test: &Sandbox, file: &str) -> bool {
    let args = ["decrypt", "--identity", "developer.txt", file];
    test.sealant(&args).env("XDG_CONFIG_HOME", "/nowhere").run().status == 0
}

#[test]
fn nobody_is_let_into_a_copy_until_the_two_are_parted() {
    let (test, developer) = two_places();
    assert_eq!(copied(&test), [""; 0]);
    test.write("dev/copy.yaml", test.read("prod/a.yaml"));
    let found = copied(&test);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|line| line.starts_with("dev/copy.yaml:") && line.contains("prod/a.yaml")));

    let before = test.read_text("dev/copy.yaml");
    for args in [
        &["updatekeys", "--yes", "dev"][..],
        &["updatekeys", "--rotate", "--yes", "dev/copy.yaml"],
        // It names nobody else, and nobody would see any more where it came from.
        &["rotate", "-i", "dev/copy.yaml"],
    ] {
        let output = test.sealant(args).run().code(8);
        for part in
            ["shares its data key and 2 values with prod/a.yaml", &developer, "password", "--allow-copied"]
        {
            assert!(output.stderr.contains(part), "{part}: {output}");
        }
        assert_eq!(test.read_text("dev/copy.yaml"), before);
    }
    test.sealant(&["rotate", "-i", "--allow-copied", "dev/copy.yaml"]).run().ok();
    assert_eq!(copied(&test), [""; 0]);
    test.sealant(&["updatekeys", "--yes", "dev/copy.yaml"]).run().ok();
    assert!(opens(&test, "dev/copy.yaml") && !opens(&test, "prod/a.yaml"));
}

/// The entry of the one recipient, once more, under the name of the other.
fn with_entry(text: &str, developer: &str) -> String {
    let from = text.find("        - recipient:").or_else(|| text.find("        - enc:")).expect("an entry");
    let to = text[from..].find("    lastmodified").map(|at| from + at).expect("its end");
    let entry = text[from..to].replace(RECIPIENT, developer);
    format!("{}{entry}{}", &text[..to], &text[to..])
}

#[test]
fn who_is_listed_where_no_rule_is_is_no_reader_of_what_a_rule_is_for() {
    for (original, config) in [
        ("old/a.yaml", None),
        // A config without rules hides those that are above it.
        ("prod/old/a.yaml", Some(("prod/old/.sops.yaml", "stores: {yaml: {indent: 4}}\n"))),
    ] {
        let (test, developer) = two_places();
        if let Some((config, text)) = config {
            test.write(config, text);
        }
        test.write(original, test.read("prod/a.yaml"));
        std::fs::remove_file(test.path("prod/a.yaml")).expect("it to go");
        let forged = with_entry(&test.read_text(original), &developer);
        test.write(original, &forged);
        test.write("dev/copy.yaml", &forged);
        let found = copied(&test);
        let expected = format!("has the data key of {original}, for which no rule names readers");
        assert!(
            found.iter().any(|line| line.starts_with("dev/copy") && line.contains(&expected)),
            "{found:?}"
        );
        for args in
            [&["rotate", "-i", "dev/copy.yaml"][..], &["updatekeys", "--rotate", "--yes", "dev/copy.yaml"]]
        {
            let output = test.sealant(args).run().code(8);
            assert!(
                output.stderr.contains(original) && output.stderr.contains("has no creation rule"),
                "{output}"
            );
            assert_eq!(test.read_text("dev/copy.yaml"), forged);
        }
        test.sealant(&["rotate", "-i", "--allow-copied", "dev/copy.yaml"]).run().ok();
        assert_eq!(copied(&test), [""; 0]);
    }
}

#[test]
fn a_file_that_was_moved_out_of_its_rule_is_rotated_by_its_name_alone() {
    let (test, developer) = two_places();
    let forged = with_entry(&test.read_text("prod/a.yaml"), &developer);
    std::fs::remove_file(test.path("prod/a.yaml")).expect("it to go");
    test.write("old/a.yaml", &forged);
    for folder in [".", "old", "old/*.yaml"] {
        let output = test.sealant(&["rotate", "-i", folder]).run().code(8);
        assert!(
            output.stderr.contains(&developer) && output.stderr.contains("`sealant rotate -i "),
            "{output}"
        );
        assert_eq!(test.read_text("old/a.yaml"), forged);
    }
    test.sealant(&["rotate", "-i", "old/a.yaml"]).run().ok();
    // Without a config nobody else says it.
    std::fs::remove_file(test.path(".sops.yaml")).expect("it to go");
    test.sealant(&["rotate", "-i", "old"]).run().ok();
}

#[test]
fn where_no_rule_names_anybody_files_are_copied_as_ever() {
    let (test, _) = two_places();
    std::fs::remove_file(test.path(".sops.yaml")).expect("it to go");
    for config in [None, Some("creation_rules:\n  - path_regex: ^other/\n    age: x\n"), Some("stores: {}\n")]
    {
        if let Some(config) = config {
            test.write(".sops.yaml", config);
        }
        test.write("staging/a.yaml", test.read("prod/a.yaml"));
        assert_eq!(copied(&test), [""; 0]);
        test.sealant(&["rotate", "-i", "staging/a.yaml"]).run().ok();
    }
}

#[test]
fn who_is_listed_in_a_copy_already_is_no_reader_of_the_other_file() {
    let (test, developer) = two_places();
    let forged = with_entry(&test.read_text("prod/a.yaml"), &developer);
    test.write("dev/forged.yaml", &forged);
    let found = test.sealant(&["check"]).run();
    assert!(
        found.text().lines().any(|line| line.starts_with("dev/forged.yaml:") && line.contains("[copied]")),
        "{found}\n{forged}"
    );
    for args in
        [&["rotate", "-i", "dev/forged.yaml"][..], &["updatekeys", "--rotate", "--yes", "dev/forged.yaml"]]
    {
        test.sealant(args).run().code(8);
        assert_eq!(test.read_text("dev/forged.yaml"), forged);
    }
}

#[test]
fn another_spelling_of_a_copied_value_hides_nothing() {
    let (test, _) = two_places();
    let prod = test.read_text("prod/a.yaml");
    let value = prod.lines().next().and_then(|line| line.split_once(": ")).expect("a value").1;
    let respelled = value.replace("type:str", "type:bytes").replace("==,", "=,").replace("=,iv", ",iv");
    assert_ne!(respelled, value);
    let dev = test.read_text("dev/b.yaml");
    test.write("dev/b.yaml", format!("x: {respelled}\n{dev}"));
    let found = copied(&test);
    assert!(
        found.iter().any(|line| line.starts_with("dev/b.yaml:") && line.contains("prod/a.yaml")),
        "{found:?}"
    );
}

#[test]
fn copies_for_the_same_readers_and_going_readers_are_in_nobodys_way() {
    let (test, developer) = two_places();
    test.write("prod/b.yaml", test.read("prod/a.yaml"));
    assert_eq!(copied(&test), [""; 0]);
    test.sealant(&["rotate", "-i", "prod"]).run().ok();

    encrypted(&test, "dev/c.yaml", "a: 1\n", &[RECIPIENT, &developer, STRANGER]);
    test.write("prod/c.yaml", test.read("dev/c.yaml"));
    test.sealant(&["updatekeys", "--yes", "dev/c.yaml"]).run().ok();
    assert!(!test.read_text("dev/c.yaml").contains(STRANGER));
}

/// A rule for a folder: whose keys open its files alone, or of how many groups it takes one.
fn rule(folder: &str, groups: &[&str], threshold: usize) -> String {
    let group = |group: &&str| format!("      - age: [{group}]\n");
    let groups: String = groups.iter().map(group).collect();
    format!("  - path_regex: ^{folder}/\n    shamir_threshold: {threshold}\n    key_groups:\n{groups}")
}

/// Who is named in both places, and needs the key of somebody else in one of them, is no reader of that one alone.
#[test]
fn who_needs_others_to_read_a_file_reads_no_copy_alone() {
    let test = super::at_home();
    let [developer, other] = ["developer.txt", "other.txt"].map(|file| identity(&test, file));
    let (we, either) = (RECIPIENT, format!("{other},{developer}"));
    let with_us = format!("{we},{developer}");
    let sent = format!(
        "destination_rules:\n  - path_regex: ^prod/\n    gcs_bucket: prod\n    recreation_rule: {{shamir_threshold: 2, \
         key_groups: [{{age: [{other}]}}, {{age: [{developer}]}}]}}\n"
    );
    for (prod, dev, more) in [
        (rule("prod", &[we, &either], 2), rule("dev", &[we, &either, &either], 2), String::new()),
        (rule("prod", &[we, &either], 2), rule("dev", &[&with_us], 1), String::new()),
        (
            rule("prod", &[we, &other, &developer], 3),
            rule("dev", &[we, &other, &developer], 2),
            String::new(),
        ),
        (rule("prod", &[we], 1), rule("dev", &[&with_us], 1), sent),
    ] {
        test.write(".sops.yaml", format!("creation_rules:\n{prod}{dev}{more}"));
        for (file, text) in
            [("prod/a.yaml", "password: prod-secret\n"), ("dev/b.yaml", "password: dev-secret\n")]
        {
            test.write(file, text);
            test.sealant(&["encrypt", "-i", file]).run().ok();
        }
        assert_eq!(copied(&test), [""; 0], "{prod}{dev}");
        test.write("dev/copy.yaml", test.read("prod/a.yaml"));
        assert_eq!(copied(&test).len(), 2, "{prod}{dev}{more}");
        let before = test.read_text("dev/copy.yaml");
        for args in [&["updatekeys", "--yes", "dev"][..], &["decrypt", "-i", "dev/copy.yaml"]] {
            let all = ["--identity", "developer.txt", "--identity", "other.txt"];
            let output = test.sealant(&[args, &all].concat()).run();
            assert_eq!(output.status, 8, "{prod}{dev}{more}: {args:?} {output}");
            assert!(
                output.stderr.contains("prod/a.yaml, whose creation rule asks for more keys than those of:"),
                "{output}"
            );
            assert_eq!(test.read_text("dev/copy.yaml"), before);
        }
        std::fs::remove_dir_all(test.path("dev")).expect("a folder");
    }
    // What is shared out in another way, for the same people, is no copy for others.
    for (prod, dev) in [
        (rule("prod", &[we, &either], 2), rule("dev", &[&either, we], 2)),
        (rule("prod", &[&format!("{we},{other}")], 1), rule("dev", &[&format!("{other},{we}")], 1)),
    ] {
        test.write(".sops.yaml", format!("creation_rules:\n{prod}{dev}"));
        test.write("prod/a.yaml", "password: prod-secret\n");
        test.sealant(&["encrypt", "-i", "prod/a.yaml"]).run().ok();
        test.write("dev/copy.yaml", test.read("prod/a.yaml"));
        assert_eq!(copied(&test), [""; 0], "{prod}{dev}");
        test.sealant(&["updatekeys", "--rotate", "--yes", "dev/copy.yaml", "--identity", "other.txt"])
            .run()
            .ok();
    }
}

#[test]
fn a_folder_of_the_repository_is_compared_with_the_rest_of_it() {
    let (test, _) = two_places();
    test.program("git", &["init", "-q"]).run().ok();
    test.write("dev/copy.yaml", test.read("prod/a.yaml"));
    let found = test.sealant(&["check"]).cwd("dev").run().code(1);
    assert!(
        found.text().lines().any(|line| line.starts_with("copy.yaml:") && line.contains("prod/a.yaml")),
        "{found}"
    );
}

#[test]
fn onto_a_copy_makes_a_new_data_key() {
    let (test, developer) = two_places();
    test.write("dev/copy.yaml", test.read_text("prod/a.yaml"));
    test.write("plain.yaml", "password: prod-secret\nuser: admin\n");
    // The list that the copy has is whatever its author wrote.
    let listed = [RECIPIENT, &developer].join(",");
    encrypted(&test, "dev/listed.yaml", "password: prod-secret\nuser: admin\n", &[RECIPIENT, &developer]);
    let keys = test.read_text("dev/listed.yaml");
    test.write("prod/listed.yaml", keys);
    for old in ["dev/copy.yaml", "prod/listed.yaml"] {
        let args = ["encrypt", "--age", &listed, "--onto", old, "plain.yaml"];
        let output = test.sealant(&args).run().ok();
        assert!(output.stderr.contains("a new data key"), "{output}");
        let value = |text: &str| text.lines().next().expect("a line").to_owned();
        assert_ne!(value(output.text()), value(&test.read_text(old)), "{output}");
    }
}

#[test]
fn a_copy_is_no_less_one_after_the_original_was_rotated() {
    let (test, _) = two_places();
    test.write("dev/copy.yaml", test.read("prod/a.yaml"));
    let prod = test.read_text("prod/a.yaml");
    for args in [&["updatekeys", "--rotate", "--yes", "."][..], &["rotate", "-i", "prod/a.yaml"]] {
        for _ in 0..2 {
            test.sealant(args).run().code(8);
            assert_eq!(test.read_text("prod/a.yaml"), prod);
        }
    }
    test.sealant(&["updatekeys", "--yes", "dev/copy.yaml"]).run().code(8);
    test.sealant(&["rotate", "-i", "--allow-copied", "prod/a.yaml"]).run().ok();
}

#[test]
fn where_a_command_is_started_makes_nothing_an_original() {
    let (test, _) = two_places();
    std::fs::create_dir(test.path(".git")).unwrap();
    test.write("dev/copy.yaml", test.read("prod/a.yaml"));
    let copy = test.path("dev/copy.yaml");
    let args = ["updatekeys", "--yes", copy.to_str().unwrap()];
    test.sealant(&args).run().code(8);
    std::fs::create_dir(test.path("elsewhere")).unwrap();
    std::fs::create_dir(test.path("elsewhere/.git")).unwrap();
    for folder in ["elsewhere", "dev", "/tmp"] {
        test.sealant(&args).cwd(folder).run().code(8);
        test.sealant(&args).cwd(folder).env("PATH", "/nonexistent").run().code(8);
    }
    // A folder of its own repository is still in the one around it.
    std::fs::create_dir(test.path("dev/.git")).unwrap();
    test.sealant(&args).cwd("dev").run().code(8);
}

#[test]
fn an_original_that_was_broken_is_still_one() {
    type Break = fn(&Sandbox);
    let ways: [(&str, Break); 9] = [
        ("its YAML", |test| test.write("prod/a.yaml", test.read_text("prod/a.yaml") + "a: b: c\n")),
        ("its YAML, at its start", |test| {
            test.write("prod/a.yaml", "<<<<<<< ours\n".to_owned() + &test.read_text("prod/a.yaml"))
        }),
        ("its name", |test| {
            test.write("prod/a.yaml.gotmpl", test.read("prod/a.yaml"));
            std::fs::remove_file(test.path("prod/a.yaml")).unwrap();
        }),
        ("its config", |test| test.write("prod/.sops.yaml", "creation_rules: [")),
        ("its encoding", |test| {
            test.write("prod/a.yaml", [&b"# \xff\n"[..], &test.read("prod/a.yaml")].concat());
        }),
        ("its encoding, for another one", |test| {
            let text = test.read_text("prod/a.yaml");
            let units = text.encode_utf16().flat_map(u16::to_le_bytes);
            test.write("prod/a.yaml", [0xff, 0xfe].into_iter().chain(units).collect::<Vec<u8>>());
        }),
        ("its metadata", |test| {
            let text = test.read_text("prod/a.yaml");
            test.write("prod/a.yaml", text.split_once("sops:").expect("metadata").0);
        }),
        ("its ciphertexts", |test| {
            let text = test.read_text("prod/a.yaml").replace("ENC[", "ENC[ ").replace(",iv:", ",\n  iv:");
            test.write("prod/a.yaml", text.split_once("sops:").expect("metadata").0.to_owned() + "a: [}\n");
        }),
        ("all but its keys", |test| {
            let text = test.read_text("prod/a.yaml");
            test.write("prod/a.yaml", text.split_once("sops:").expect("metadata").1.replace("ENC[", "ENC("));
        }),
    ];
    for (what, break_it) in ways {
        let (test, developer) = two_places();
        test.write("dev/copy.yaml", test.read("prod/a.yaml"));
        break_it(&test);
        let output = test.sealant(&["updatekeys", "--yes", "dev/copy.yaml"]).run();
        assert_eq!(output.status, 8, "{what}: {output}");
        assert!(output.stderr.contains(&developer), "{what}: {output}");
    }
}

/// In a sparse checkout the original is not there to be seen.
#[test]
fn nobody_is_let_into_a_copy_of_what_is_not_checked_out() {
    let (test, _) = two_places();
    test.write("dev/copy.yaml", test.read("prod/a.yaml"));
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
        test.program("git", &who).args(args).run().ok()
    };
    git(&["init", "-q"]);
    git(&["add", ".sops.yaml", "dev", "prod"]);
    git(&["commit", "-qm", "first"]);
    git(&["sparse-checkout", "set", "--cone", "dev"]);
    assert!(!test.path("prod").exists());
    let before = test.read_text("dev/copy.yaml");
    for args in [&["updatekeys", "--yes", "dev"][..], &["updatekeys", "--rotate", "--yes", "dev/copy.yaml"]] {
        let output = test.sealant(args).run().code(8);
        assert!(output.stderr.contains("with prod/a.yaml"), "{output}");
        assert_eq!(test.read_text("dev/copy.yaml"), before);
    }
    for args in [&["check", "dev"][..], &["check"]] {
        let found = test.sealant(args).run().code(1);
        assert!(found.text().contains("[copied]") && found.text().contains("prod/a.yaml"), "{found}");
    }
    // A file that was moved by hand is none that is left out, but it was there.
    git(&["sparse-checkout", "disable"]);
    test.program("mv", &["prod/a.yaml", "dev/copy.yaml"]).run().ok();
    let output = test.sealant(&["updatekeys", "--yes", "dev/copy.yaml"]).run().code(8);
    assert!(output.stderr.contains("with prod/a.yaml of commit"), "{output}");
    test.sealant(&["rotate", "-i", "--allow-copied", "dev/copy.yaml"]).run().ok();
    test.sealant(&["updatekeys", "--yes", "dev/copy.yaml"]).run().ok();
}

/// Git's variables name a working tree that has no `.git`.
#[test]
fn a_working_tree_that_the_environment_names_has_a_history() {
    let (test, developer) = two_places();
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
        test.program("git", &who).args(args).run().ok()
    };
    git(&["init", "-q"]);
    git(&["add", ".sops.yaml", "dev", "prod"]);
    git(&["commit", "-qm", "first"]);
    git(&["mv", "prod/a.yaml", "dev/a.yaml"]);
    git(&["commit", "-qm", "moved"]);
    test.program("mv", &[".git", "../elsewhere.git"]).run().ok();
    let sealant = |args: &[&str]| {
        let run = test.sealant(args).env("GIT_DIR", test.path("../elsewhere.git"));
        run.env("GIT_WORK_TREE", test.path(".")).run()
    };
    assert!(sealant(&["check"]).code(1).text().contains("[moved]"));
    assert!(sealant(&["updatekeys", "--yes", "dev"]).code(8).stderr.contains(&developer));
}

/// In a partial clone the original is nowhere on this machine: that is no reason to say that there is none.
#[test]
fn what_git_does_not_give_may_be_an_original() {
    let (test, developer) = two_places();
    let copy = test.read_text("prod/a.yaml");
    // Another content than that of the original, which the clone does not get along with this one.
    test.write("dev/copy.yaml", with_entry(&copy, &developer));
    test.write("other/readme.txt", "hi\n");
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
        test.program("git", &who).args(args).run().ok()
    };
    git(&["init", "-q"]);
    git(&["config", "uploadpack.allowFilter", "true"]);
    git(&["add", ".sops.yaml", "dev", "prod", "other"]);
    git(&["commit", "-qm", "first"]);
    let url = format!("file://{}", test.path(".").display());
    git(&["clone", "-q", "--filter=blob:none", "--sparse", &url, "clone"]);
    git(&["-C", "clone", "sparse-checkout", "set", "dev"]);
    assert!(!test.path("clone/prod").exists());
    let sealant = |args: &[&str]| test.sealant(args).cwd(test.path("clone")).run();
    let before = test.read_text("clone/dev/copy.yaml");
    for args in [
        &["updatekeys", "--rotate", "--yes", "dev/copy.yaml"][..],
        &["rotate", "-i", "dev/copy.yaml"],
        &["check"],
    ] {
        let output = sealant(args);
        assert!(output.status != 0, "{output}");
    }
    let told = sealant(&["check"]);
    for part in ["so copies of them cannot be recognized", "/clone fetch --refetch --no-filter`"] {
        assert!(told.stderr.contains(part), "{told}");
    }
    assert_eq!(test.read_text("clone/dev/copy.yaml"), before);
    // What no rule is for holds up nobody: only what fewer may read could be an original.
    git(&["-C", "clone", "sparse-checkout", "set", "dev", "prod"]);
    let found = sealant(&["check"]).code(1);
    assert!(found.text().contains("[copied]"), "{found}");
}

/// A config that a sparse checkout leaves out is that of its folder all the same.
#[test]
fn a_config_that_is_not_checked_out_is_one() {
    let (test, developer) = two_places();
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT},{developer}\n"));
    test.write("prod/.sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
    test.write("dev/copy.yaml", test.read("prod/a.yaml"));
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
        test.program("git", &who).args(args).run().ok()
    };
    git(&["init", "-q"]);
    git(&["add", ".sops.yaml", "dev", "prod"]);
    git(&["commit", "-qm", "first"]);
    git(&["sparse-checkout", "set", "--cone", "dev"]);
    assert!(!test.path("prod").exists());
    let before = test.read_text("dev/copy.yaml");
    let output = test.sealant(&["updatekeys", "--yes", "dev/copy.yaml"]).run().code(8);
    assert!(output.stderr.contains("with prod/a.yaml"), "{output}");
    assert_eq!(test.read_text("dev/copy.yaml"), before);
    test.write("new.yaml", "password: new\n");
    let output = test.sealant(&["encrypt", "--filename-override", "prod/new.yaml", "new.yaml"]).run().ok();
    assert!(output.text().contains(RECIPIENT) && !output.text().contains(&developer), "{output}");
}

/// Runs with an identity that the recipient of production had before, beside the one of today.
fn with_old(test: &Sandbox, args: &[&str]) -> Output {
    test.sealant(args).env("SOPS_AGE_KEY_FILE", test.path("old.txt")).run()
}

/// A copy of what was in a file of production when it was for the old identity. Since then the file has been wrapped for today's,
/// and nothing else of the copy is in it.
fn older(test: &Sandbox, file: &str, seal: &[&str], since: &[&[&str]]) -> (String, String) {
    let old = identity(test, "old.txt");
    test.sealant(seal).args(&["-i", "--age", &old, file]).run().ok();
    let copy = test.read_text(file);
    with_old(test, &["updatekeys", "--yes", file]).ok();
    since.iter().for_each(|args| drop(test.sealant(args).run().ok()));
    (copy, old)
}

#[test]
fn a_data_key_is_known_however_it_is_wrapped() {
    let (test, developer) = two_places();
    test.write("prod/a.yaml", "password: old\n");
    let set = ["set", "--string", "prod/a.yaml", "['password']", "prod-secret"];
    let (copy, old) = older(&test, "prod/a.yaml", &["encrypt"], &[&set]);
    test.write("dev/copy.yaml", &copy);
    // Without a key nobody can tell.
    assert_eq!(copied(&test), [""; 0]);
    for args in [
        &["updatekeys", "--yes", "dev"][..],
        &["updatekeys", "--rotate", "--yes", "dev/copy.yaml"],
        &["rotate", "-i", "--allow-recipient", &old, "--add-age", &developer, "dev/copy.yaml"],
    ] {
        let output = with_old(&test, args).code(8);
        for part in ["shares its data key with prod/a.yaml", &developer, "--allow-copied dev/copy.yaml"] {
            assert!(output.stderr.contains(part), "{part}: {output}");
        }
        assert_eq!(test.read_text("dev/copy.yaml"), copy);
    }
    test.write("plain.yaml", "password: old\n");
    let onto =
        ["encrypt", "--age", &format!("{RECIPIENT},{developer}"), "--onto", "dev/copy.yaml", "plain.yaml"];
    let output = with_old(&test, &onto).ok();
    assert!(output.stderr.contains("a new data key"), "{output}");

    with_old(&test, &["rotate", "-i", "--allow-copied", "--allow-recipient", &old, "dev/copy.yaml"]).ok();
    with_old(&test, &["updatekeys", "--yes", "dev/copy.yaml"]).ok();
    assert!(opens(&test, "dev/copy.yaml") && !opens(&test, "prod/a.yaml"));
}

/// Whoever writes the original can spoil its MAC, and the values are still under its data key.
#[test]
fn a_data_key_is_known_though_the_mac_of_the_original_was_spoiled() {
    for (file, plain, spoiled) in [
        ("prod/a.yaml", "password: old\n", ("    mac: ", "    mac: \"\"")),
        (
            "prod/a.yaml",
            "password: old\n",
            ("    lastmodified: ", "    lastmodified: \"2020-01-01T00:00:00Z\""),
        ),
        ("prod/a.ini", "[db]\npassword = old\n", ("lastmodified ", "lastmodified = 2020-01-01T00:00:00Z")),
    ] {
        let (test, developer) = two_places();
        test.write(file, plain);
        let key = if file.ends_with("ini") { "['db']['password']" } else { "['password']" };
        let set = ["set", "--string", file, key, "prod-secret"];
        let (copy, _) = older(&test, file, &["encrypt"], &[&set]);
        let lines = test.read_text(file);
        let lines = lines.lines().map(|line| if line.starts_with(spoiled.0) { spoiled.1 } else { line });
        test.write(file, lines.map(|line| format!("{line}\n")).collect::<String>());
        let copied = file.replace("prod", "dev");
        test.write(&copied, &copy);
        let output = with_old(&test, &["updatekeys", "--yes", &copied]).code(8);
        for part in [&format!("shares its data key with {file}"), &developer] {
            assert!(output.stderr.contains(part), "{part}: {output}");
        }
        assert_eq!(test.read_text(&copied), copy);
    }
}

/// And the other way round: what a repository within one had once is for nobody else in that one.
#[test]
fn nobody_is_let_into_what_a_repository_within_had() {
    let (test, _) = two_places();
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
        test.program("git", &who).args(args).run().ok()
    };
    git(&["init", "-q"]);
    test.write("prod/lib/.sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
    encrypted(&test, "prod/lib/s.yaml", "password: sub-secret\n", &[RECIPIENT]);
    let text = test.read("prod/lib/s.yaml");
    git(&["init", "-q", "prod/lib"]);
    git(&["-C", "prod/lib", "add", "."]);
    git(&["-C", "prod/lib", "commit", "-qm", "first"]);
    test.sealant(&["rotate", "-i", "prod/lib/s.yaml"]).run().ok();
    git(&["-C", "prod/lib", "commit", "-qam", "second"]);
    test.write("dev/x.yaml", &text);
    let found = test.sealant(&["check"]).run().code(1);
    assert!(found.text().contains("[moved]"), "{found}");
    for args in [&["updatekeys", "--yes", "dev/x.yaml"][..], &["rotate", "-i", "dev/x.yaml"]] {
        let output = test.sealant(args).run().code(8);
        assert!(output.stderr.contains("s.yaml of commit"), "{output}");
        assert_eq!(test.read("dev/x.yaml"), text);
    }
}

/// What was in the repository around one is no less copied for being in another repository within it.
#[test]
fn nobody_is_let_into_what_was_moved_into_a_repository_within() {
    let (test, _) = two_places();
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
        test.program("git", &who).args(args).run().ok()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    test.write("dev/lib/x.yaml", test.read("prod/a.yaml"));
    git(&["rm", "-q", "prod/a.yaml"]);
    git(&["commit", "-qm", "second"]);
    git(&["init", "-q", "dev/lib"]);
    git(&["-C", "dev/lib", "add", "."]);
    git(&["-C", "dev/lib", "commit", "-qm", "first"]);
    let before = test.read_text("dev/lib/x.yaml");
    for args in [&["updatekeys", "--yes", "dev/lib/x.yaml"][..], &["rotate", "-i", "dev/lib/x.yaml"]] {
        let output = test.sealant(args).run().code(8);
        assert!(output.stderr.contains("prod/a.yaml of commit"), "{output}");
        assert_eq!(test.read_text("dev/lib/x.yaml"), before);
    }
    let found = test.sealant(&["check", "dev/lib/x.yaml"]).run().code(1);
    assert!(found.text().contains("[moved]"), "{found}");
}

#[test]
fn a_mac_of_another_place_is_no_less_a_copy_than_a_value() {
    let (test, _) = two_places();
    encrypted(&test, "prod/a.yaml", "a_unencrypted: 1\n", &[RECIPIENT]);
    let entries = |text: &str| {
        let from = text.find("    age:").expect("entries");
        (
            text[..from].to_owned(),
            text[from..from + text[from..].find("    lastmodified").expect("an end")].to_owned(),
        )
    };
    // The entries are of another file, and so it does not open; what it is a copy of can be seen all the same.
    let (prod, dev) = (test.read_text("prod/a.yaml"), test.read_text("dev/b.yaml"));
    test.write("dev/copy.yaml", prod.replace(&entries(&prod).1, &entries(&dev).1));
    assert!(
        copied(&test).iter().any(|line| line.starts_with("dev/copy.yaml:") && line.contains("prod/a.yaml"))
    );
}

#[test]
fn a_data_key_of_a_sealed_secret_is_known_by_its_commitment() {
    let (test, _) = two_places();
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\nstringData: {gone: x, kept: y}\n";
    test.write("prod/s.yaml", secret);
    let (copy, _) = older(&test, "prod/s.yaml", &["seal"], &[&["unset", "prod/s.yaml", "gone"]]);
    let kept = copy.lines().find(|line| line.contains("kept:")).expect("an item");
    test.write("dev/s.yaml", copy.replace(&format!("{kept}\n"), ""));
    assert!(copied(&test).iter().any(|line| line.starts_with("dev/s.yaml:") && line.contains("prod/s.yaml")));
    with_old(&test, &["updatekeys", "--yes", "dev/s.yaml"]).code(8);
}

fn git(test: &Sandbox, args: &[&str]) -> Output {
    let who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
    test.program("git", &who).args(args).run()
}

/// An encrypted file in the last commit: in whatever it was wrapped there, it is an original.
#[test]
fn what_was_wrapped_in_something_else_in_git_is_an_original() {
    type Wrap = fn(&str) -> String;
    let wrappings: [(&str, Wrap); 5] = [
        ("prod/x.yaml.tmpl", |file| format!("{{{{ if .x }}}}\n{file}{{{{ end }}}}\n")),
        ("prod/notes.md", |file| format!("# Notes\n\n```yaml\n{file}```\n")),
        ("prod/deploy.sh", |file| format!("cat > x.yaml <<'END'\n{file}END\n")),
        ("prod/map.yaml", |file| {
            let lines: String = file.lines().map(|line| format!("    {line}\n")).collect();
            format!("kind: ConfigMap\napiVersion: v1\nmetadata: {{name: a}}\ndata:\n  x.yaml: |\n{lines}")
        }),
        ("prod/conflict.yaml", |file| format!("<<<<<<< a\n{file}=======\nx: 1\n>>>>>>> b\n")),
    ];
    for (original, wrapped) in wrappings {
        let (test, developer) = two_places();
        let file = test.read_text("prod/a.yaml");
        test.write(original, wrapped(&file));
        std::fs::remove_file(test.path("prod/a.yaml")).expect("it was there");
        git(&test, &["init", "-q", "-b", "main"]).ok();
        git(&test, &["add", "."]).ok();
        git(&test, &["commit", "-qm", "first"]).ok();
        git(&test, &["rm", "-q", original]).ok();
        test.write("dev/x.yaml", with_entry(&file, &developer));
        git(&test, &["add", "dev"]).ok();
        git(&test, &["commit", "-qm", "second"]).ok();
        let output = test.sealant(&["check", "--base", "HEAD~"]).run().code(1);
        assert!(output.text().contains("dev/x.yaml:"), "{original}: {output}");
        let output = test.sealant(&["rotate", "-i", "dev/x.yaml"]).run();
        assert!(output.status != 0 && !opens(&test, "dev/x.yaml"), "{original}: {output}");
    }
}

/// Where all rules name one readership, nothing was ever for fewer: but not for whom a flag lets in.
#[test]
fn whom_a_flag_names_reads_nothing_that_was_elsewhere() {
    let test = super::at_home();
    let developer = identity(&test, "developer.txt");
    encrypted(&test, "prod/a.yaml", "password: prod-secret\n", &[RECIPIENT]);
    encrypted(&test, "dev/b.yaml", "password: dev-secret\n", &[RECIPIENT]);
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
    git(&test, &["init", "-q", "-b", "main"]).ok();
    git(&test, &["add", "."]).ok();
    git(&test, &["commit", "-qm", "first"]).ok();
    git(&test, &["mv", "prod/a.yaml", "dev/a.yaml"]).ok();
    git(&test, &["commit", "-qm", "second"]).ok();
    let rotate = ["rotate", "-i", "--add-age", &developer];
    let output = test.sealant(&rotate).arg("dev/a.yaml").run();
    assert!(output.status != 0 && !opens(&test, "dev/a.yaml"), "{output}");
    // What was always there is for whom they say, as ever.
    test.sealant(&rotate).arg("dev/b.yaml").run().ok();
    assert!(opens(&test, "dev/b.yaml"));
}

/// What Git LFS does: Git has pointers, and the clone the contents, until they are deleted.
fn with_lfs(test: &Sandbox) {
    let clean = "o=.git/lfs/objects; f=$(mktemp); cat > $f; id=$(sha256sum < $f | cut -c1-64); \
                 d=$o/$(echo $id | cut -c1-2)/$(echo $id | cut -c3-4); mkdir -p $d; cp $f $d/$id; \
                 printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize %s\\n' $id $(wc -c < $f)";
    let smudge = "id=$(grep oid | cut -d: -f2); cat .git/lfs/objects/$(echo $id | cut -c1-2)/$(echo $id | cut -c3-4)/$id";
    git(test, &["init", "-q", "-b", "main"]).ok();
    for (name, program) in [("clean", clean), ("smudge", smudge)] {
        git(test, &["config", &format!("filter.lfs.{name}"), program]).ok();
    }
    test.write(".gitattributes", "*.yaml filter=lfs -text\n.sops.yaml -filter\n");
}

#[test]
fn what_git_lfs_keeps_is_an_original() {
    for has_contents in [true, false] {
        let (test, developer) = two_places();
        with_lfs(&test);
        git(&test, &["add", "."]).ok();
        git(&test, &["commit", "-qm", "first"]).ok();
        assert!(git(&test, &["show", "HEAD:prod/a.yaml"]).ok().text().starts_with("version https://git-lfs"));
        let found = test.sealant(&["check"]).run().code(1);
        for file in ["prod/a.yaml", "dev/b.yaml"] {
            assert!(found.text().contains(&format!("{file}:1: has `filter=lfs`")), "{found}");
        }
        let file = test.read_text("prod/a.yaml");
        git(&test, &["rm", "-q", "prod/a.yaml"]).ok();
        test.write("dev/x.yaml", with_entry(&file, &developer));
        test.write(".gitattributes", "");
        git(&test, &["add", "--renormalize", "."]).ok();
        git(&test, &["add", "dev"]).ok();
        git(&test, &["commit", "-qm", "second"]).ok();
        assert!(!test.sealant(&["check"]).run().text().contains("filter"));
        if !has_contents {
            std::fs::remove_dir_all(test.path(".git/lfs")).expect("contents");
        }
        let output = test.sealant(&["rotate", "-i", "dev/x.yaml"]).run();
        assert!(output.status != 0 && !opens(&test, "dev/x.yaml"), "{output}");
        let why = if has_contents { "--allow-copied dev/x.yaml" } else { "in Git LFS and not here" };
        assert!(output.stderr.contains(why), "{output}");
    }
}

/// An older state of a file that Git LFS keeps, and the clone does not have, may be the original, whatever its type: if a rule names
/// files there by their paths. Of pictures that only a rule for all files matches nobody has all states.
#[test]
fn what_git_lfs_keeps_where_a_rule_names_files_is_an_original_of_any_type() {
    for (original, counts) in
        [("prod/tls.key", true), ("prod/.env.production", true), ("docs/logo.png", false)]
    {
        let (test, _) = two_places();
        let rules = test.read_text(".sops.yaml") + &format!("  - age: {RECIPIENT}\n");
        test.write(".sops.yaml", rules);
        encrypted(&test, original, "prod-secret\n", &[RECIPIENT]);
        let old = test.read_text(original);
        git(&test, &["init", "-q", "-b", "main"]).ok();
        for state in ["first", "second"] {
            // As Git LFS has them.
            let pointer = "f=$1; id=$(sha256sum < $f | cut -c1-64); size=$(wc -c < $f); \
                           printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize %s\\n' $id $size > $f";
            test.program("bash", &["-c", pointer, "-", original]).run().ok();
            git(&test, &["add", "."]).ok();
            git(&test, &["commit", "-qm", state]).ok();
            test.write(original, &old);
            test.sealant(&["rotate", "-i", "--allow-copied", original]).run().ok();
        }
        match counts {
            true => test.write("dev/copy.key", &old),
            false => encrypted(&test, "dev/copy.key", "dev-secret\n", &[RECIPIENT]),
        }
        assert!(!opens(&test, "dev/copy.key"));
        let output = test.sealant(&["updatekeys", "--yes", "dev/copy.key"]).run();
        let is_refused = output.stderr.contains("/work lfs fetch --all`");
        assert_eq!((output.status != 0, is_refused), (counts, counts), "{original}: {output}");
        assert_eq!(opens(&test, "dev/copy.key"), !counts, "{original}");
    }
}

#[test]
fn a_config_that_git_lfs_keeps_is_told() {
    let (test, _) = two_places();
    with_lfs(&test);
    test.write(".gitattributes", ".sops.yaml filter=lfs -text\n");
    git(&test, &["add", "."]).ok();
    git(&test, &["commit", "-qm", "first"]).ok();
    let found = test.sealant(&["check"]).run().code(1);
    assert!(found.text().contains(".sops.yaml:1: has `filter=lfs`"), "{found}");
    // Pictures may be there.
    test.write(".gitattributes", "*.png filter=lfs -text\n");
    test.write("logo.png", "png");
    git(&test, &["add", "."]).ok();
    let found = test.sealant(&["check"]).run();
    assert!(!found.text().contains("filter"), "{found}");
}

/// Groups whose shares are not what they say are shared out again: for nobody who is only listed.
#[test]
fn who_is_only_listed_in_a_group_gets_no_new_share() {
    let test = super::at_home();
    let [developer, other] = ["developer.txt", "other.txt"].map(|name| identity(&test, name));
    test.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - age: [{RECIPIENT}, {STRANGER}]\n      - age: [{RECIPIENT}]\n"
        ),
    );
    test.write("a.json", "{\"password\": \"prod-secret\"}\n");
    test.sealant(&["encrypt", "-i", "a.json"]).run().ok();
    let mut file: serde_json::Value = serde_json::from_str(&test.read_text("a.json")).expect("JSON");
    let groups = file["sops"]["key_groups"].as_array_mut().expect("groups");
    groups.reverse();
    for group in groups {
        let entries = group["age"].as_array_mut().expect("entries");
        let mut entry = entries[0].clone();
        entry["recipient"] = developer.clone().into();
        entries.push(entry);
    }
    test.write("a.json", file.to_string());
    for args in [
        &["recipient", "add", "Carol", &other, "--group", "1", "--yes"][..],
        &["updatekeys", "--add", STRANGER, "--yes", "a.json"],
    ] {
        let output = test.sealant(args).run();
        assert!(!opens(&test, "a.json"), "{output}");
        assert!(output.status != 0, "{output}");
    }
}

/// Git believes a commit-graph about who the parents of a commit are, and a clone by path takes it over.
#[test]
fn a_forged_commit_graph_hides_no_history() {
    use sha1::{Digest, Sha1};
    let (test, _) = two_places();
    git(&test, &["init", "-q", "-b", "main"]).ok();
    git(&test, &["add", "."]).ok();
    git(&test, &["commit", "-qm", "first"]).ok();
    git(&test, &["mv", "prod/a.yaml", "dev/a.yaml"]).ok();
    git(&test, &["commit", "-qm", "second"]).ok();
    git(&test, &["commit-graph", "write", "--reachable"]).ok();
    let path = test.path(".git/objects/info/commit-graph");
    let mut graph = std::fs::read(&path).expect("a commit-graph");
    // `gitformat-commit-graph(5)`: eight bytes, then a table of chunks with twelve each; a commit has its tree, two parents
    // (0x70000000 means no parent) and eight bytes more; a SHA-1 of it all is at the end.
    let number = |bytes: &[u8]| bytes.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
    let chunk = (8..).step_by(12).find(|at| &graph[*at..at + 4] == b"CDAT").expect("commits");
    let [from, to] = [chunk + 4, chunk + 16].map(|at| number(&graph[at..at + 8]));
    for commit in graph[from..to].chunks_exact_mut(36) {
        commit[20..28].copy_from_slice(&[0x70, 0, 0, 0, 0x70, 0, 0, 0]);
    }
    let end = graph.len() - 20;
    let digest = Sha1::digest(&graph[..end]);
    graph[end..].copy_from_slice(&digest);
    std::fs::remove_file(&path).expect("it is there");
    test.write(&path, graph);
    assert_eq!(git(&test, &["log", "--oneline"]).ok().text().lines().count(), 1, "Git believes it");
    let output = test.sealant(&["rotate", "-i", "dev/a.yaml"]).run();
    assert!(output.status != 0 && !opens(&test, "dev/a.yaml"), "{output}");
}

/// Whoever types all that is advised must not part with the original.
#[test]
fn only_the_copy_is_to_be_changed_or_removed() {
    let (test, _) = two_places();
    let git = |args: &[&str]| {
        test.program("git", &["-c", "user.name=a", "-c", "user.email=a@b"]).args(args).run().ok();
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    test.write("dev/copy.yaml", test.read("prod/a.yaml"));
    let output = test.sealant(&["check"]).run().code(1);
    assert!(
        output.stderr.contains("--allow-copied dev/copy.yaml    # if both are meant; else remove it\n"),
        "{output}"
    );
    assert!(!output.stderr.contains("--allow-copied prod/a.yaml"), "{output}");
    // Where both are committed, nothing says which one it is.
    git(&["add", "."]);
    git(&["commit", "-qm", "second"]);
    let output = test.sealant(&["check"]).run().code(1);
    for file in ["dev/copy.yaml", "prod/a.yaml"] {
        let line =
            format!("--allow-copied {file}    # if both are meant; else remove the one that is a copy\n");
        assert!(output.stderr.contains(&line), "{output}");
    }
}
