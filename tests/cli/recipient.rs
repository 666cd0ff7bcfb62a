use sealant_test_support::Sandbox;

use super::{IDENTITY, RECIPIENT, STRANGER, at_home, encrypted, identity};

const PLAIN: &str = "pw: hunter2\n";

/// Two rules that share a list by an anchor, and one of its own; a file of each.
fn world(test: &Sandbox) {
    test.write(
        ".sops.yaml",
        format!(
            "# who reads what\nkeys:\n  - &team {RECIPIENT}  # all of us\ncreation_rules:\n  - path_regex: ^a/ # first\n    age: \
             *team\n  - path_regex: ^b/\n    age: *team\n\n  - path_regex: ^c/\n    age: >-\n      {RECIPIENT}\n"
        ),
    );
    for file in ["a/x.yaml", "b/x.yaml", "c/x.yaml"] {
        encrypted(test, file, PLAIN, &[RECIPIENT]);
    }
}

fn opens(test: &Sandbox, identity: &str, file: &str) -> bool {
    let run =
        test.sealant(&["decrypt", "--identity", identity, file]).env("HOME", "/").env("XDG_CONFIG_HOME", "/");
    run.run().text() == PLAIN
}

#[test]
fn somebody_comes_in_and_goes_and_the_config_keeps_its_layout() {
    let test = at_home();
    world(&test);
    let nina = identity(&test, "nina.txt");
    let before = test.read_text(".sops.yaml");
    let output =
        test.sealant(&["recipient", "add", "Nina", &nina, "--for", "c/new.yaml", "--yes"]).run().ok();
    assert!(output.text().contains(&format!("c/x.yaml\n  + {nina}")), "{output}");
    let added =
        before.replace(&format!("      {RECIPIENT}\n"), &format!("      {RECIPIENT},\n      {nina}\n"));
    assert_eq!(
        test.read_text(".sops.yaml"),
        format!("{added}sealant:\n    recipients:\n        {nina}: Nina\n")
    );
    assert!(opens(&test, "nina.txt", "c/x.yaml") && !opens(&test, "nina.txt", "a/x.yaml"));
    let output = test.sealant(&["recipient", "list", "c/x.yaml"]).run().ok();
    assert!(output.text().ends_with(&format!(":\n  {RECIPIENT}\n  {nina} (Nina)\n")), "{output}");
    test.sealant(&["check", "a", "b", "c"]).run().ok();

    let old = test.read_text("c/x.yaml");
    let output = test.sealant(&["recipient", "rm", "nina", "--yes"]).run().ok();
    assert!(output.stderr.contains("change these values where they come from"), "{output}");
    assert_eq!(test.read_text(".sops.yaml"), before);
    assert!(!opens(&test, "nina.txt", "c/x.yaml"));
    // With a new data key, so that nothing of the old file opens what comes.
    assert_ne!(test.read_text("c/x.yaml").lines().next(), old.lines().next());
    test.sealant(&["check", "a", "b", "c"]).run().ok();
}

#[test]
fn it_says_which_rules_there_are_and_what_an_anchor_reaches() {
    let test = at_home();
    world(&test);
    let nina = identity(&test, "nina.txt");
    let before = test.read_text(".sops.yaml");
    let output = test.sealant(&["recipient", "add", &nina]).run().code(64);
    for rule in ["--rule 1", "--rule 2", "--rule 3", "--all-rules"] {
        assert!(output.stderr.contains(rule), "{output}");
    }
    // Without a terminal it wants to be told, and says what it would do.
    let output = test.sealant(&["recipient", "add", &nina, "--rule", "1"]).run().code(1);
    assert!(output.text().contains("rule 1") && output.text().contains("rule 2"), "{output}");
    assert!(output.text().contains("a/x.yaml") && output.text().contains("b/x.yaml"), "{output}");
    assert!(output.stderr.contains("1 of these rules change too"), "{output}");
    assert_eq!(test.read_text(".sops.yaml"), before);
    // Nobody is asked with --yes, so only what was named changes.
    let refused = test.sealant(&["recipient", "add", &nina, "--rule", "1", "--yes"]).run().code(8);
    assert!(refused.stderr.contains("rule 2") && refused.stderr.contains("--all-rules"), "{refused}");
    assert_eq!(test.read_text(".sops.yaml"), before);
    assert!(!opens(&test, "nina.txt", "b/x.yaml"));
    let asked = |verb: &str| {
        let mut terminal = test.sealant(&["recipient", verb, &nina, "--rule", "1"]).on_terminal();
        terminal.wait_for("?");
        terminal.send_line("y");
        terminal.finish().ok();
    };
    asked("add");
    let expected = before.replace(&format!("&team {RECIPIENT}"), &format!("&team {RECIPIENT},{nina}"));
    assert_eq!(test.read_text(".sops.yaml"), expected);
    assert!(opens(&test, "nina.txt", "b/x.yaml") && !opens(&test, "nina.txt", "c/x.yaml"));
    test.sealant(&["recipient", "rm", &nina, "--rule", "2", "--yes"]).run().code(8);
    assert!(opens(&test, "nina.txt", "a/x.yaml"));
    asked("rm");
    assert_eq!(test.read_text(".sops.yaml"), before);
    assert!(!opens(&test, "nina.txt", "a/x.yaml"));
    test.sealant(&["recipient", "add", &nina, "--all-rules", "--yes"]).run().ok();
    assert!(["a", "b", "c"].iter().all(|folder| opens(&test, "nina.txt", &format!("{folder}/x.yaml"))));
}

#[test]
fn a_name_without_a_key_is_answered_and_other_words_mean_the_same() {
    let test = at_home();
    world(&test);
    let nina = identity(&test, "nina.txt");
    let output = test.sealant(&["recipient", "add", "Nina", "--rule", "3"]).run().code(64);
    assert!(output.stderr.contains("`sealant recipient add Nina KEY`"), "{output}");
    let secret = test.read_text("nina.txt");
    let secret = secret.lines().find(|line| line.starts_with("AGE-SECRET-KEY")).unwrap();
    for verb in ["add", "rm"] {
        let output = test.sealant(&["recipient", verb, secret, "--rule", "3"]).run();
        assert!(output.status != 0 && output.stderr.contains("an age secret key was given"), "{output}");
        assert!(!output.stderr.contains(secret), "{output}");
    }
    let added = test.sealant(&["recipient", "add", "Nina", &nina, "--rule", "3", "--yes"]).run().ok();
    assert!(added.text().contains(&format!("    + {nina} (Nina)\n")), "{added}");
    // Her name is there, too, where the config has it no more.
    let removed = test.sealant(&["recipient", "remove", "Nina", "--rule", "3", "--yes"]).run().ok();
    assert!(removed.text().contains(&format!("c/x.yaml\n  - {nina} (Nina)\n")), "{removed}");
    assert!(removed.stderr.contains("whoever has this key may have kept what it decrypted"), "{removed}");
    let listed = test.sealant(&["recipient", "ls", "c/x.yaml"]).run().ok();
    assert!(listed.text().ends_with(&format!(":\n  {RECIPIENT}\n")), "{listed}");
    // A question names only what there is to change.
    std::fs::remove_file(test.path("c/x.yaml")).unwrap();
    let mut terminal = test.sealant(&["recipient", "add", &nina, "--rule", "3"]).on_terminal();
    terminal.wait_for(&format!("Add {nina} to 1 rule of .sops.yaml? [y/N]"));
    terminal.send_line("y");
    terminal.finish().ok();
}

#[test]
fn nobody_else_comes_in_and_nothing_is_written_where_something_is_wrong() {
    let test = at_home();
    let nina = identity(&test, "nina.txt");
    test.write(".sops.yaml", format!("creation_rules:\n  - age: [{RECIPIENT}, {STRANGER}]\n"));
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT]);
    // Somebody waits, and goes on waiting.
    test.sealant(&["recipient", "add", &nina, "--yes"]).run().ok();
    assert!(opens(&test, "nina.txt", "a.yaml") && !test.read_text("a.yaml").contains(STRANGER));
    test.sealant(&["recipient", "rm", &nina, "--yes"]).run().ok();
    assert!(!test.read_text("a.yaml").contains(STRANGER));
    // A file that was changed by hand lets nobody in, and the config stays.
    let config = test.read_text(".sops.yaml");
    test.write("a.yaml", format!("more: plain\n{}", test.read_text("a.yaml")));
    let output = test.sealant(&["recipient", "add", &nina, "--yes"]).run();
    assert!(output.stderr.contains("Nothing was changed."), "{output}");
    assert_eq!(test.read_text(".sops.yaml"), config);
    // The last one of a rule stays.
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT}\n"));
    let output = test.sealant(&["recipient", "rm", RECIPIENT, "--yes"]).run().code(8);
    assert!(output.stderr.contains("rule 1 would have no recipients left"), "{output}");
    // A private key is no name, nor shown.
    let secret = test.read_text("nina.txt").lines().last().unwrap().to_owned();
    for words in [&[secret.as_str()][..], &[&secret, &nina]] {
        let output = test.sealant(&["recipient", "add"]).args(words).arg("--yes").run();
        assert!(!output.stderr.contains(&secret[20..]), "{output}");
        assert!(!test.read_text(".sops.yaml").contains(&secret));
    }
}

#[test]
fn what_nobody_here_opens_is_finished_by_somebody_else() {
    let test = at_home();
    let nina = identity(&test, "nina.txt");
    test.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - age: {RECIPIENT},{STRANGER}\nsealant: {{recipients: {{{STRANGER}: Ben}}}}\n"
        ),
    );
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT]);
    encrypted(&test, "b.yaml", PLAIN, &[STRANGER]);
    let output = test.sealant(&["recipient", "add", &nina, "--yes"]).run().code(128);
    assert!(opens(&test, "nina.txt", "a.yaml"), "{output}");
    let command = format!("sealant updatekeys --add {nina} b.yaml");
    assert!(
        output.stderr.contains("Ben (...qke20yssss4yshtd)") && output.stderr.contains(&command),
        "{output}"
    );
    assert!(test.read_text(".sops.yaml").contains(&nina));
}

#[test]
fn key_groups_are_named() {
    let test = at_home();
    let nina = identity(&test, "nina.txt");
    test.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - age: [{RECIPIENT}]\n      - age:\n          - {STRANGER} # Ben\n"
        ),
    );
    let output = test.sealant(&["recipient", "add", &nina, "--yes"]).run().code(64);
    assert!(output.stderr.contains("--group N, from 1 to 2"), "{output}");
    test.sealant(&["recipient", "add", &nina, "--group", "2", "--yes"]).run().ok();
    assert!(
        test.read_text(".sops.yaml")
            .ends_with(&format!("          - {STRANGER} # Ben\n          - {nina}\n"))
    );
    let output = test.sealant(&["recipient", "rm", RECIPIENT, "--yes"]).run().code(8);
    assert!(output.stderr.contains("key group 1 of rule 1 would have no recipients left"), "{output}");
    let output = test.sealant(&["recipient", "list", "--format", "json"]).run();
    assert!(output.text().contains("\"required_groups\": 2"), "{output}");
}

/// A config that is there by a link may be that of another project, whose files nobody would look at.
#[test]
fn no_config_outside_of_the_repository_gets_a_recipient() {
    let test = at_home();
    test.write("../own/.sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT},{STRANGER}\n"));
    let nina = identity(&test, "nina.txt");
    test.program("git", &["init", "-q"]).run().ok();
    std::os::unix::fs::symlink("../own/.sops.yaml", test.path(".sops.yaml")).unwrap();
    let before = test.read_text("../own/.sops.yaml");
    for args in [&["add", &nina][..], &["rm", STRANGER]] {
        let output = test.sealant(&["recipient"]).args(args).args(&["--rule", "1", "--yes"]).run().code(8);
        assert!(output.stderr.contains("leads out of its repository"), "{output}");
        assert_eq!(test.read_text("../own/.sops.yaml"), before);
    }
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_told_of() {
    let test = at_home();
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT},{STRANGER}\n"));
    for file in ["here/a.yaml", "away/b.yaml"] {
        test.write(file, "password: hunter2\n");
        test.sealant(&["encrypt", "-i", file]).run().ok();
    }
    for args in [
        &["init", "-q"][..],
        &["add", "."],
        &["-c", "user.name=Test", "-c", "user.email=test@example.org", "commit", "-qm", "all"],
        &["sparse-checkout", "set", "--cone", "here"],
    ] {
        test.program("git", args).run().ok();
    }
    let output = test.sealant(&["recipient", "rm", STRANGER, "--all-rules", "--yes"]).run().ok();
    assert!(
        output.stderr.contains("sparse checkout leaves these out") && output.stderr.contains("  away/b.yaml"),
        "{output}"
    );
    assert!(!test.read_text("here/a.yaml").contains(STRANGER));
    test.program("git", &["sparse-checkout", "disable"]).run().ok();
    assert!(test.read_text("away/b.yaml").contains(STRANGER));
    test.sealant(&["updatekeys", "--rotate", "--yes", "."]).run().ok();
    assert!(!test.read_text("away/b.yaml").contains(STRANGER));
}

/// A branch has made the config of one folder a link to that of another one.
#[test]
fn a_config_of_another_folder_gets_no_recipient_by_a_link() {
    let test = at_home();
    test.write("prod/.sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT},{STRANGER}\n"));
    let nina = identity(&test, "nina.txt");
    std::fs::create_dir(test.path("dev")).unwrap();
    std::os::unix::fs::symlink("../prod/.sops.yaml", test.path("dev/.sops.yaml")).unwrap();
    let before = test.read_text("prod/.sops.yaml");
    for args in [&["add", &nina][..], &["rm", STRANGER]] {
        let args = [&["recipient"][..], args, &["--for", "dev/a.yaml", "--yes"]].concat();
        let output = test.sealant(&args).run().code(8);
        for part in ["dev/.sops.yaml", "is a link to prod/.sops.yaml", "`--config prod/.sops.yaml`"] {
            assert!(output.stderr.contains(part), "{part}: {output}");
        }
        assert_eq!(test.read_text("prod/.sops.yaml"), before);
        test.sealant(&args).args(&["--config", "prod/.sops.yaml", "--dry-run"]).run().ok();
    }
}

/// Somebody who is to go has called another key by theirs.
#[test]
fn what_is_a_key_is_no_name() {
    let test = at_home();
    let nina = identity(&test, "nina.txt");
    test.write(
        ".sops.yaml",
        format!(
            "creation_rules:\n  - age: {RECIPIENT},{STRANGER},{nina}\nsealant:\n  recipients:\n    {STRANGER}: '{nina}'\n"
        ),
    );
    encrypted(&test, "a.yaml", PLAIN, &[RECIPIENT, STRANGER, &nina]);
    let output = test.sealant(&["recipient", "list"]).run().ok();
    assert!(!output.text().contains(&format!("({nina})")), "{output}");
    test.sealant(&["recipient", "rm", &nina, "--rule", "1", "--yes"]).run().ok();
    assert!(!opens(&test, "nina.txt", "a.yaml"));
    assert!(test.read_text(".sops.yaml").contains(&format!("age: {RECIPIENT},{STRANGER}\n")));
}

#[test]
fn whoever_has_asked_is_told_to_wait_and_for_whom() {
    let test = at_home();
    encrypted(&test, "secrets/a.yaml", PLAIN, &[STRANGER]);
    let config = |keys: &str| {
        format!(
            "creation_rules:\n  - path_regex: ^secrets/\n    age: {keys}\n  - path_regex: ^mine/\n    age: {RECIPIENT}\nsealant:\n  recipients:\n    {STRANGER}: Anna\n"
        )
    };
    test.write(".sops.yaml", config(STRANGER));
    let decrypt = || test.sealant(&["decrypt", "secrets/a.yaml"]).run().code(128);
    let ask = decrypt();
    assert!(
        ask.stderr.contains(&format!("`sealant recipient add {RECIPIENT} --for secrets/a.yaml`")),
        "{ask}"
    );

    // Only the rule of the file counts.
    test.write(".sops.yaml", config(&format!("{STRANGER},{RECIPIENT}")));
    let wait = decrypt();
    let finish = format!("`sealant updatekeys --add {RECIPIENT} secrets/a.yaml`");
    assert!(wait.stderr.contains("you have asked for access") && wait.stderr.contains(&finish), "{wait}");
    assert!(
        wait.stderr.contains("Whoever has one of these keys (Anna (...")
            && !wait.stderr.contains("recipient add"),
        "{wait}"
    );
    // Whoever asks once more is asked nothing, since nothing would be written.
    let again = test.sealant(&["recipient", "add", RECIPIENT, "--for", "secrets/a.yaml"]).run().code(128);
    assert!(again.stderr.contains(&finish) && !again.stderr.contains("0 rules"), "{again}");
}

#[test]
fn whoever_takes_their_own_access_away_is_warned() {
    let test = at_home();
    world(&test);
    test.sealant(&["recipient", "add", "Nina", STRANGER, "--all-rules", "--yes"]).run().ok();
    let warning = "this is your own key";
    let output = test.sealant(&["recipient", "rm", "Nina", "--all-rules", "--dry-run"]).run().ok();
    assert!(!output.stderr.contains(warning), "{output}");
    let output = test.sealant(&["recipient", "rm", RECIPIENT, "--all-rules", "--dry-run"]).run().ok();
    assert!(output.stderr.contains(warning), "{output}");
}

#[test]
fn a_key_needs_no_quotes_and_may_come_first() {
    let test = at_home();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";
    let words: Vec<&str> = key.split(' ').collect();
    for (args, name) in [
        (vec!["Ben", words[0], words[1], "ben@laptop"], "Ben"),
        (vec!["Ben", "of", "the", "team", words[0], words[1]], "Ben of the team"),
        (vec![STRANGER, "Ben"], "Ben"),
        (vec!["Ben", "Ek", STRANGER], "Ben Ek"),
    ] {
        world(&test);
        let all = [&["recipient", "add", "--rule", "3", "--yes"], &args[..]].concat();
        test.sealant(&all).run().ok();
        let config = test.read_text(".sops.yaml");
        assert!(config.ends_with(&format!(": {name}\n")), "{args:?}\n{config}");
    }
    test.write("ben.pub", format!("{key}\n"));
    let file = test.sealant(&["recipient", "add", "Ben", "ben.pub", "--rule", "3"]).run().code(64);
    assert!(file.stderr.contains("`sealant recipient add Ben \"$(cat ben.pub)\"`"), "{file}");
}

#[test]
fn nobody_is_told_to_type_a_private_key() {
    let test = at_home();
    world(&test);
    let public = |file: &str| {
        let output = test.sealant(&["recipient", "add", "Ben", file, "--rule", "3"]).run().code(64);
        let (_, rest) = output.stderr.split_once("\"$(").expect("a command");
        rest.split_once(")\"").expect("its end").0.to_owned()
    };
    test.write("ben.txt", format!("# created: today\n{IDENTITY}"));
    assert_eq!(public("ben.txt"), "sealant keygen -y ben.txt");
    assert_eq!(test.sealant(&["keygen", "-y", "ben.txt"]).run().ok().text().trim(), RECIPIENT);
    test.program("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "id"]).run().ok();
    assert_eq!(public("id"), "ssh-keygen -y -f id");
    let key = test.program("ssh-keygen", &["-y", "-f", "id"]).run().ok().text().to_owned();
    test.sealant(&["recipient", "add", "Ben", key.trim(), "--rule", "3", "--yes"]).run().ok();
}

#[test]
fn two_who_ask_for_access_at_once_leave_a_conflict_with_a_way_out() {
    let test = at_home();
    let git = |args: &[&str]| test.program("git", args).run();
    git(&["init", "-q", "-b", "main"]).ok();
    let config = |keys: &str| format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {keys}\n");
    let commit = |keys: &str| {
        test.write(".sops.yaml", config(keys));
        git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", keys]).ok();
    };
    test.write(".sops.yaml", "");
    git(&["add", ".sops.yaml"]).ok();
    commit(RECIPIENT);
    commit(&format!("{RECIPIENT},{STRANGER}"));
    git(&["checkout", "-qb", "other", "HEAD~1"]).ok();
    let key = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
    commit(&format!("{RECIPIENT},{key}"));
    git(&["-c", "user.name=a", "-c", "user.email=a@b", "merge", "main"]);
    for command in [&["recipient", "list"][..], &["check"], &["doctor"]] {
        let output = test.sealant(command).run();
        let said = output.to_string();
        assert!(said.contains(".sops.yaml:3: a merge conflict of Git begins here"), "{output}");
        assert!(said.contains("git checkout --ours"), "{output}");
    }
    git(&["checkout", "--ours", ".sops.yaml"]).ok();
    test.sealant(&["recipient", "add", "--yes", STRANGER]).run().ok();
    git(&["add", ".sops.yaml"]).ok();
    assert_eq!(test.read_text(".sops.yaml"), config(&format!("{RECIPIENT},{key},{STRANGER}")));
}
