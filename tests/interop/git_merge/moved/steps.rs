//! Rules of single commits: what a config says between the two ends of a rebase and the like.

use std::os::unix::fs::symlink;

use super::Moved;
use crate::git_merge::repo::new_identity;

/// A rule that is narrow in one commit alone makes it the first place of nothing, and no data key one that was made for all.
#[test]
fn what_came_under_a_rule_of_one_commit_is_for_nobody_else() {
    for how in ["narrow", "one file", "removed and added"] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let wide = test.read_text(".sops.yaml");
        let narrow = match how {
            "one file" => wide.replacen(
                "creation_rules:\n",
                &format!("creation_rules:\n  - path_regex: ^dev/s\\.yaml$\n    age: {}\n", repo.recipient),
                1,
            ),
            _ => wide.replacen(&format!("{},{}", repo.recipient, moved.mallory), &repo.recipient, 1),
        };
        let older = test.read_text("prod/s.yaml");
        repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
        repo.commit("rotated");
        if how == "removed and added" {
            repo.sealant(&["recipient", "rm", &moved.mallory, "--for", "dev/app.yaml", "--yes"]);
            repo.commit("removed");
            repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
            repo.commit("moved");
            repo.sealant(&["rotate", "-i", "dev/s.yaml"]);
            repo.commit("rotated");
            let add = ["recipient", "add", &moved.mallory, "--for", "dev/app.yaml", "--yes"];
            let output = test.sealant(&add).run();
            assert!(output.status != 0 && output.stderr.contains("prod/s.yaml of commit"), "{how}: {output}");
            moved.reads_nothing(how);
            continue;
        }
        repo.ok(&["checkout", "-q", "-b", "theirs"]);
        test.write(".sops.yaml", narrow);
        repo.commit("narrow");
        repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
        repo.commit("moved");
        test.write("dev/s.yaml", older);
        repo.commit("older");
        test.write(".sops.yaml", wide);
        repo.commit("rules back");
        repo.ok(&["checkout", "-q", "main"]);
        repo.set("prod/s.yaml", "b", "planted-new");
        repo.commit("new value");
        repo.ok(&["checkout", "-q", "theirs"]);
        let _ = repo.git(&["rebase", "-q", "main"]).env("GIT_EDITOR", "true").run();
        assert!(test.path("dev/s.yaml").exists(), "{how}");
        for is_listed in [false, true] {
            if is_listed {
                test.write("dev/s.yaml", moved.listed(&test.read_text("dev/s.yaml")));
                repo.commit("fix recipients");
            }
            for args in [&["updatekeys", "--yes", "dev"][..], &["rotate", "-i", "dev/s.yaml"]] {
                let output = test.sealant(args).run();
                assert!(is_listed || args[0] == "rotate" || output.status != 0, "{how} {args:?}: {output}");
                moved.reads_nothing(how);
            }
        }
    }
}

/// Each step of a rebase, or of several cherry-picks, is merged under the config of its own commit.
#[test]
fn a_rule_between_two_commits_lets_nobody_in() {
    for how in ["rebase", "cherry-pick", "revert"] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let rules = test.read_text(".sops.yaml");
        let wide = rules.replacen(
            &format!("^prod/\n    age: {}", repo.recipient),
            &format!("^prod/\n    age: {},{}", repo.recipient, moved.mallory),
            1,
        );
        assert_ne!(rules, wide);
        let text = test.read_text("prod/s.yaml");
        if how != "revert" {
            repo.ok(&["checkout", "-q", "-b", "theirs"]);
        }
        test.write("README", "hello\n");
        repo.commit("a README");
        test.write(".sops.yaml", &wide);
        repo.commit("wide");
        test.write("prod/s.yaml", moved.listed(&text));
        repo.commit("listed");
        test.write("prod/s.yaml", &text);
        repo.commit("list back");
        test.write(".sops.yaml", &rules);
        repo.commit("rules back");
        if how != "revert" {
            repo.ok(&["checkout", "-q", "main"]);
        }
        repo.ok(&["tag", "before"]);
        repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
        repo.set("prod/s.yaml", "b", "planted-new");
        repo.commit("new value");
        let args: &[&str] = match how {
            "rebase" => &["rebase", "-q", "main", "theirs"],
            "cherry-pick" => &["cherry-pick", "main..theirs"],
            _ => &["revert", "--no-edit", "before~4..before"],
        };
        let output = repo.git(args).env("GIT_EDITOR", "true").run();
        assert!(output.status != 0 && output.stderr.contains(&moved.mallory), "{how}: {output}");
        moved.reads_no_new_value_in_a_commit(how);
    }
}

/// The tip of a branch from before they were taken out of the rule says nothing for them, nor does a tag by the name of a commit.
#[test]
fn a_branch_of_before_lets_nobody_in() {
    for how in ["rebase", "rebase --apply", "pull", "cherry-pick", "tag"] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let (ours, mallory) = (&repo.recipient, &moved.mallory);
        let rules = test.read_text(".sops.yaml");
        if how != "tag" {
            test.write(".sops.yaml", format!("creation_rules:\n  - age: {ours},{mallory}\n"));
            repo.sealant(&["rotate", "-i", "--add-age", mallory, "prod/s.yaml"]);
            repo.commit("everybody reads all");
        }
        let (before, text) = (test.read_text(".sops.yaml"), test.read_text("prod/s.yaml"));
        repo.ok(&["checkout", "-q", "-b", "theirs"]);
        let wide = before.replacen(
            "creation_rules:\n",
            &format!("creation_rules:\n  - path_regex: ^prod/\n    age: {ours},{mallory}\n"),
            1,
        );
        // A config of its own is in the way of none of ours.
        match how {
            "tag" => test.write(".sops.yaml", &wide),
            _ => test.write("prod/.sops.yaml", &before),
        }
        repo.commit("wide");
        let wide = repo.ok(&["rev-parse", "HEAD"]).text().trim().to_owned();
        // Out of the list, and in again: that adds them.
        let lists: [&dyn Fn(); 2] = match how {
            "tag" => {
                [&|| test.write("prod/s.yaml", moved.listed(&text)), &|| test.write("prod/s.yaml", &text)]
            }
            _ => [
                &|| drop(test.sops(&["rotate", "-i", "--rm-age", mallory, "prod/s.yaml"]).run().ok()),
                &|| test.write("prod/s.yaml", &text),
            ],
        };
        for (number, change) in lists.iter().enumerate() {
            change();
            test.write("README", format!("{number}\n"));
            repo.commit("list");
        }
        match how {
            "tag" => test.write(".sops.yaml", &before),
            _ => std::fs::remove_file(test.path("prod/.sops.yaml")).expect("a config"),
        }
        test.write("README", "hello\n");
        repo.commit("a README");
        if how == "tag" {
            let short = repo.ok(&["rev-parse", "--short", "HEAD"]).text().trim().to_owned();
            repo.ok(&["tag", &short, &wide]);
        }
        repo.ok(&["checkout", "-q", "main"]);
        if how == "tag" {
            repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
        } else {
            test.write(".sops.yaml", &rules);
            repo.sealant(&["updatekeys", "--rotate", "--yes", "prod"]);
        }
        repo.commit("prod is ours alone");
        repo.set("prod/s.yaml", "b", "planted-new");
        repo.commit("new value");
        let args: &[&str] = match how {
            "rebase" => &["rebase", "-q", "main", "theirs"],
            "rebase --apply" => &["rebase", "-q", "--apply", "main", "theirs"],
            "pull" => &["-c", "rebase.backend=apply", "pull", "-q", "--rebase", ".", "main"],
            _ => &["cherry-pick", "main..theirs"],
        };
        if how == "pull" {
            repo.ok(&["checkout", "-q", "theirs"]);
        }
        let _ = repo.git(args).env("GIT_EDITOR", "true").run();
        moved.reads_no_new_value_in_a_commit(how);
    }
}

/// Whoever is named by all of these rules, and needs another person by those of both ends, needs them in every step.
#[test]
fn key_groups_of_one_step_let_nobody_in() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let (ours, mallory) = (&repo.recipient, &moved.mallory);
    let second = new_identity(test, &test.home("second.txt"));
    let flat = format!("creation_rules:\n  - path_regex: ^prod/\n    age: {ours},{second},{mallory}\n");
    let groups = format!(
        "creation_rules:\n  - path_regex: ^prod/\n    shamir_threshold: 2\n    key_groups:\n      - age: [{ours}]\n      - age: [{second}, {mallory}]\n"
    );
    let both = test.home("both.txt");
    let mine = std::fs::read_to_string(test.home("second.txt")).expect("an identity");
    test.write(&both, mine);
    test.write(".sops.yaml", &flat);
    repo.sealant(&["updatekeys", "--yes", "prod/s.yaml"]);
    repo.commit("flat");
    let full = test.read("prod/s.yaml");
    repo.ok(&["checkout", "-q", "-b", "theirs"]);
    for (config, name) in [(&groups, "groups"), (&flat, "flat again")] {
        test.write(".sops.yaml", config);
        repo.commit(name);
    }
    test.write(".sops.yaml", &groups);
    repo.sealant(&["updatekeys", "--yes", "prod/s.yaml"]);
    test.write(".sops.yaml", &flat);
    repo.commit("the file");
    test.write("prod/s.yaml", &full);
    repo.set("prod/s.yaml", "a", "of a branch");
    repo.commit("the file as before");
    test.write(".sops.yaml", &groups);
    repo.commit("groups at last");
    repo.ok(&["checkout", "-q", "main"]);
    test.write(".sops.yaml", &groups);
    test.sealant(&["updatekeys", "--yes", "--rotate", "prod/s.yaml"]).run().ok();
    repo.commit("groups");
    let with_both = |words: &[&str]| test.sealant(words).env("SOPS_AGE_KEY_FILE", &both).run();
    let _ = with_both(&["set", "prod/s.yaml", "[\"b\"]", "\"planted-new\""]).ok();
    repo.commit("new value");
    let rebased = repo.git(&["rebase", "-q", "main", "theirs"]).env("GIT_EDITOR", "true");
    let _ = rebased.env("SOPS_AGE_KEY_FILE", &both).run();
    moved.reads_no_new_value_in_a_commit("groups");
}

/// Whoever is in the rule where it begins, or in the list of a file without one, is let in as ever. Whom the branch adds comes in
/// after the advice.
#[test]
fn readers_of_both_ends_are_in_no_way_of_a_sequence() {
    for (how, config) in [
        ("--merge", "known"),
        ("--apply", "known"),
        ("--merge", "unknown"),
        ("--merge", "added"),
        ("--apply", "added"),
    ] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        if config == "unknown" {
            repo.ok(&["rm", "-q", "--cached", ".sops.yaml"]);
            test.write(".git/info/exclude", ".sops.yaml\n");
            repo.commit("no config");
        }
        repo.ok(&["checkout", "-q", "-b", "theirs"]);
        let nina = new_identity(test, &test.home("nina.txt"));
        if config == "added" {
            let rules = test.read_text(".sops.yaml");
            let prod = format!("^prod/\n    age: {}", repo.recipient);
            test.write(".sops.yaml", rules.replacen(&prod, &format!("{prod},{nina}"), 1));
            repo.commit("a rule for Nina");
            repo.sealant(&["updatekeys", "--yes", "prod"]);
            repo.commit("Nina reads it");
        }
        repo.set("prod/s.yaml", "a", "one more");
        repo.commit("theirs");
        repo.set("prod/s.yaml", "c", "three more");
        repo.commit("theirs, too");
        repo.ok(&["checkout", "-q", "main"]);
        repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
        repo.set("prod/s.yaml", "d", "four more");
        repo.commit("ours");
        let mut rebased = repo.git(&["rebase", "-q", how, "main", "theirs"]).env("GIT_EDITOR", "true").run();
        // One step of the branch after the other needs it.
        while config == "added" && rebased.status != 0 {
            let advice = format!("`sealant resolve --allow-recipient {nina} prod/s.yaml`");
            assert!(rebased.to_string().contains(&advice), "{how}: {rebased}");
            repo.sealant(&["resolve", "--allow-recipient", &nina, "prod/s.yaml"]);
            repo.ok(&["add", "prod/s.yaml"]);
            rebased = repo.git(&["rebase", "--continue"]).env("GIT_EDITOR", "true").run();
        }
        assert_eq!(rebased.status, 0, "{how} {config}: {rebased}");
        let plain = repo.plain("prod/s.yaml");
        assert!(plain.contains("a: one more") && plain.contains("d: four more"), "{how} {config}: {plain}");
        assert_eq!(test.read_text("prod/s.yaml").contains(&nina), config == "added", "{how} {config}");
    }
}

/// Whatever a branch says of readers between its two ends, or in a commit that is left out: nobody gets what is ours.
#[test]
fn no_step_of_a_sequence_lets_anybody_in() {
    let every_way = ["rebase", "cherry-pick", "rebase --apply", "rebase -s recursive", "am", "--onto"];
    let few_ways = ["rebase", "cherry-pick"];
    let cases: [(&str, &[&str]); 6] = [
        ("wide", &every_way),
        ("nested", &["rebase -s recursive", "am"]),
        ("no config", &every_way[..4]),
        ("of another path", &few_ways[..1]),
        ("for nobody", &few_ways),
        ("both together", &few_ways[..1]),
    ];
    for (what, how) in cases.into_iter().flat_map(|(what, ways)| ways.iter().map(move |how| (what, *how))) {
        let case = format!("{what}, {how}");
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let (ours, mallory) = (&repo.recipient, &moved.mallory);
        let both = format!("{ours},{mallory}");
        let plain: String =
            (0..300).map(|line| format!("line{line}_unencrypted: this is no secret\n")).collect();
        let rules = test.read_text(".sops.yaml");
        let prod = format!("^prod/\n    age: {ours}\n");
        repo.ok(&["checkout", "-q", "-b", "theirs"]);
        if how == "--onto" {
            test.write(".sops.yaml", rules.replacen(&prod, &format!("^prod/\n    age: {both}\n"), 1));
            repo.commit("this one is left out");
        }
        let at_both_ends = test.read_text(".sops.yaml");
        let first =
            |rule: &str| at_both_ends.replacen("creation_rules:\n", &format!("creation_rules:\n{rule}"), 1);
        match what {
            "wide" | "both together" => {
                test.write(".sops.yaml", first(&format!("  - path_regex: ^prod/\n    age: {both}\n")));
            }
            "nested" => test.write("prod/.sops.yaml", format!("creation_rules:\n  - age: {both}\n")),
            "no config" => std::fs::remove_file(test.path(".sops.yaml")).expect("a config"),
            "of another path" => test.write(".sops.yaml", rules.replacen("^prod/", "^production/", 1)),
            _ => test.write(".sops.yaml", rules.replacen(&prod, "^prod/\n", 1)),
        }
        // As Git notes where a rebase begins.
        repo.commit("fix (start): checkout something");
        test.write("prod/s.yaml", moved.listed(&test.read_text("prod/s.yaml")));
        repo.commit("in the list");
        test.write("prod/s.yaml", format!("a: one\nb: two\nc: x\nd: four\ne: six\n{plain}"));
        repo.sealant(&["encrypt", "-i", "--age", &both, "prod/s.yaml"]);
        repo.commit("under a data key of their own");
        let _ = std::fs::remove_file(test.path("prod/.sops.yaml"));
        let groups = format!(
            "^prod/\n    shamir_threshold: 2\n    key_groups:\n      - age: [{ours}]\n      - age: [{mallory}]\n"
        );
        match what {
            "both together" => test.write(".sops.yaml", rules.replacen(&prod, &groups, 1)),
            _ => test.write(".sops.yaml", &at_both_ends),
        }
        test.write("README", "hello\n");
        repo.commit("a README");
        repo.ok(&["checkout", "-q", "main"]);
        repo.set("prod/s.yaml", "b", "planted-new");
        repo.commit("ours");
        let patches = repo.ok(&["format-patch", "--stdout", "--full-index", "main..theirs"]).stdout;
        test.write("../patches", patches);
        let patches = test.path("../patches");
        let patches = patches.to_str().expect("a path");
        let args: &[&str] = match how {
            "rebase" => &["rebase", "main", "theirs"],
            "rebase --apply" => &["rebase", "--apply", "main", "theirs"],
            "rebase -s recursive" => &["rebase", "-s", "recursive", "main", "theirs"],
            "am" => &["am", "-3", patches],
            "--onto" => &["rebase", "--onto", "main", "theirs~4", "theirs"],
            _ => &["cherry-pick", "main..theirs"],
        };
        let args = [&["-c", "core.hooksPath=/dev/null"], args].concat();
        let output = repo.git(&args).env("GIT_EDITOR", "true").run();
        assert!(output.status != 0 && output.to_string().contains(mallory), "{case}: {output}");
        moved.reads_no_new_value_in_a_commit(&case);
    }
}

/// Who is let into a place by one step alone reads nothing that the step takes from there.
#[test]
fn no_step_of_a_sequence_opens_another_place() {
    for how in ["rebase", "cherry-pick", "revert"] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        repo.ok(&["checkout", "-q", "-b", "theirs"]);
        let (rules, app) = (test.read_text(".sops.yaml"), test.read_text("dev/app.yaml"));
        let prod = format!("^prod/\n    age: {}", repo.recipient);
        let wide =
            || test.write(".sops.yaml", rules.replacen(&prod, &format!("{prod},{}", moved.mallory), 1));
        let copied = || test.write("dev/app.yaml", moved.listed(&test.read_text("prod/s.yaml")));
        let back = || {
            test.write(".sops.yaml", &rules);
            test.write("dev/app.yaml", &app);
        };
        test.write("README", "hello\n");
        wide();
        repo.commit("wide");
        copied();
        repo.commit("copied");
        back();
        repo.commit("back");
        repo.ok(&["checkout", "-q", "main"]);
        if how == "revert" {
            repo.ok(&["merge", "-q", "theirs"]);
        }
        repo.set("dev/app.yaml", "e", "harmless");
        repo.commit("ours");
        let args: &[&str] = match how {
            "rebase" => &["rebase", "main", "theirs"],
            "revert" => &["revert", "--no-edit", "theirs~3..theirs"],
            _ => &["cherry-pick", "main..theirs"],
        };
        let output = repo.git(args).env("GIT_EDITOR", "true").run();
        assert!(output.status != 0 && output.stderr.contains("shares its data key"), "{how}: {output}");
        for commit in repo.ok(&["rev-list", "--all", "HEAD"]).text().lines() {
            let shown = repo.git(&["show", &format!("{commit}:dev/app.yaml")]).run();
            test.write("dev/s.yaml", shown.text());
            moved.reads_nothing(how);
        }
        std::fs::remove_file(test.path("dev/s.yaml")).expect("a file");
        // The step's config is in the working tree where it stops.
        let output = test.sealant(&["updatekeys", "--yes", "dev"]).run();
        assert!(output.status != 0 || !output.text().contains(&moved.mallory), "{how}: {output}");
        moved.reads_nothing(how);
    }
}

/// Where a merge, a cherry-pick or a revert has stopped, what it brings is in the working tree, and so is what Git makes of two configs.
#[test]
fn what_a_stopped_merge_brings_lets_nobody_in() {
    let ways: [(&str, &[&str]); 7] = [
        ("merge", &["merge", "-m", "merged", "theirs"]),
        ("quit", &["merge", "-m", "merged", "theirs"]),
        ("squash", &["merge", "--squash", "theirs"]),
        ("cherry-pick", &["cherry-pick", "theirs"]),
        ("not committed", &["cherry-pick", "-n", "theirs"]),
        ("of both", &["merge", "-m", "merged", "theirs"]),
        ("revert", &["revert", "--no-edit", "HEAD~1"]),
    ];
    for (how, args) in ways {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let (mine, mallory) = (&repo.recipient, &moved.mallory);
        let of_both = |dev: &str, prod: &str| {
            let rules = format!(
                "creation_rules:\n  - path_regex: ^dev/\n    age: &dev\n{dev}  # production\n  - path_regex: ^prod/\n    # who reads\n    age: {prod}\n"
            );
            test.write(".sops.yaml", rules);
        };
        let (one, two) = (format!("      - {mine}\n"), format!("      - {mine}\n      - {mallory}\n"));
        if how == "of both" {
            of_both(&one, &format!("[{mine}]"));
            repo.commit("a name for those of dev");
        }
        let rules = test.read_text(".sops.yaml");
        let prod = format!("^prod/\n    age: {mine}");
        let wide = || test.write(".sops.yaml", rules.replacen(&prod, &format!("{prod},{mallory}"), 1));
        let theirs = || {
            if how == "of both" {
                of_both(&one, "*dev")
            } else {
                wide()
            }
            let text = repo.plain("prod/s.yaml");
            test.write("prod/s.yaml", text.replacen("e: five", "e: six", 1));
            repo.sealant(&["encrypt", "-i", "--age", &format!("{mine},{mallory}"), "prod/s.yaml"]);
        };
        let ours = || {
            if how == "of both" {
                of_both(&two, &format!("[{mine}]"));
            }
            repo.set("prod/s.yaml", "b", "planted-new");
        };
        if how == "revert" {
            theirs();
            repo.commit("wide");
            test.write(".sops.yaml", &rules);
            repo.sealant(&["updatekeys", "--yes", "--rotate", "prod"]);
            repo.set("prod/s.yaml", "e", "seven");
            repo.commit("narrow");
            ours();
            repo.commit("ours");
        } else {
            moved.branches(theirs, ours);
        }
        repo.without_key();
        let stopped = repo.git(args).run();
        assert!(stopped.status != 0, "{how}: {stopped}");
        repo.with_key();
        if how == "quit" {
            repo.ok(&["merge", "--quit"]);
        }
        let output = test.sealant(&["resolve", "prod/s.yaml"]).run();
        assert!(output.status != 0 && output.stderr.contains(mallory), "{how}: {output}");
        let decrypt = ["decrypt", "prod/s.yaml"];
        let read = || test.sealant(&decrypt).env("SOPS_AGE_KEY_FILE", test.home("mallory.txt"));
        let output = read().env("XDG_CONFIG_HOME", test.tmp()).run();
        assert!(!output.text().contains("planted-new"), "{how}: {output}");
        if how == "merge" {
            repo.sealant(&["resolve", "--allow-recipient", mallory, "prod/s.yaml"]);
            let output = read().env("XDG_CONFIG_HOME", test.tmp()).run();
            assert!(output.text().contains("planted-new"), "{how}: {output}");
        }
    }
}

/// It writes what a branch brings into the working tree before it asks for a file.
#[test]
fn the_older_merge_of_git_lets_nobody_in() {
    for args in [
        &["merge", "-s", "recursive", "-m", "merged", "theirs"][..],
        &["cherry-pick", "--strategy=recursive", "theirs"],
    ] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let both = format!("{},{}", repo.recipient, moved.mallory);
        let theirs = || {
            test.write(".sops.yaml", format!("creation_rules:\n  - age: {both}\n"));
            let text = repo.plain("prod/s.yaml");
            test.write("prod/s.yaml", text.replacen("e: five", "e: six", 1));
            repo.sealant(&["encrypt", "-i", "prod/s.yaml"]);
        };
        moved.branches(theirs, || repo.set("prod/s.yaml", "b", "planted-new"));
        let output = repo.git(args).run();
        assert!(output.status != 0 && output.stderr.contains(&moved.mallory), "{args:?}: {output}");
        moved.reads_no_new_value_in_a_commit("recursive");
    }
}

/// A merge that has stopped in the outer repository has its config in the working tree, and that is the one of the inner repository.
#[test]
fn a_merge_of_the_repository_around_lets_nobody_in() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let both = format!("{},{}", repo.recipient, moved.mallory);
    test.write("sub/s.yaml", "a: one\nb: two\nc: three\n");
    let config = |readers: &str| format!("creation_rules:\n  - path_regex: ^sub/\n    age: {readers}\n");
    test.write(".sops.yaml", config(&repo.recipient));
    test.write("notes", "a\n");
    repo.ok(&["init", "-q", "-b", "main", "sub"]);
    let inner = |args: &[&str]| repo.git(&[&["-C", "sub"], args].concat()).env("GIT_EDITOR", "true").run();
    for (key, value) in [("user.name", "Test"), ("user.email", "test@example.com")] {
        let _ = inner(&["config", key, value]).ok();
    }
    let _ = test.sealant(&["git", "install"]).cwd("sub").run().ok();
    repo.sealant(&["encrypt", "-i", "sub/s.yaml"]);
    let _ = inner(&["add", "-A"]).ok();
    let _ = inner(&["commit", "-q", "--no-verify", "-m", "base"]).ok();
    test.write(".git/info/exclude", "sub/\n");
    repo.commit("outer");
    moved.branches(
        || {
            test.write(".sops.yaml", config(&both));
            test.write("notes", "b\n");
        },
        || test.write("notes", "c\n"),
    );
    let _ = inner(&["checkout", "-q", "-b", "theirs"]).ok();
    test.write("sub/s.yaml", "a: one\nb: two\nc: theirs\n");
    repo.sealant(&["encrypt", "-i", "--age", &both, "sub/s.yaml"]);
    let _ = inner(&["commit", "-q", "--no-verify", "-am", "theirs"]).ok();
    let _ = inner(&["checkout", "-q", "main"]).ok();
    repo.set("sub/s.yaml", "b", "planted-new");
    let _ = inner(&["commit", "-q", "--no-verify", "-am", "ours"]).ok();
    assert!(repo.merge().status != 0 && test.read_text(".sops.yaml") == config(&both));
    let output = inner(&["merge", "-m", "merged", "theirs"]);
    assert!(output.status != 0 && output.stderr.contains(&moved.mallory), "{output}");
    let output = test.sealant(&["resolve", "sub/s.yaml"]).run();
    assert!(output.status != 0 && output.stderr.contains(&moved.mallory), "{output}");
}

/// A reset between two patches moves what Git remembers of the commit before.
#[test]
fn a_reset_between_patches_lets_nobody_in() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let both = format!("{},{}", repo.recipient, moved.mallory);
    test.write("notes", "a\n");
    repo.commit("notes");
    repo.ok(&["checkout", "-q", "-b", "theirs"]);
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {both}\n"));
    repo.commit("wide");
    test.write("notes", "b\n");
    repo.commit("never applies");
    let text = repo.plain("prod/s.yaml");
    test.write("prod/s.yaml", text.replacen("e: five", "e: six", 1));
    repo.sealant(&["encrypt", "-i", "prod/s.yaml"]);
    repo.commit("theirs");
    repo.ok(&["checkout", "-q", "main"]);
    test.write("notes", "c\n");
    repo.set("prod/s.yaml", "b", "planted-new");
    repo.commit("ours");
    let patches = repo.ok(&["format-patch", "--stdout", "--full-index", "main..theirs"]).stdout;
    test.write("../patches", patches);
    let patches = test.path("../patches");
    let stopped = repo.git(&["am", "-3", patches.to_str().expect("a path")]).run();
    assert!(stopped.status != 0, "{stopped}");
    repo.ok(&["reset", "-q", "--hard"]);
    let output = repo.git(&["am", "--skip"]).run();
    assert!(output.status != 0 && output.stderr.contains(&moved.mallory), "{output}");
    moved.reads_no_new_value_in_a_commit("am");
}

/// A link that the step before has left in place of a folder leads into another repository.
#[test]
fn a_link_into_another_repository_ends_no_sequence() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let both = format!("{},{}", repo.recipient, moved.mallory);
    let clear: String = (0..300).map(|line| format!("line{line}_unencrypted: this is no secret\n")).collect();
    test.write("vendor/README", "hello\n");
    repo.ok(&["init", "-q", "vendor"]);
    test.write(".git/info/exclude", "vendor/\n");
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^dev/\n    age: {both}\n"));
    test.write("lib/db.yaml", format!("a: one\nb: two\nc: x\n{clear}"));
    repo.sealant(&["encrypt", "-i", "--age", &repo.recipient, "lib/db.yaml"]);
    repo.commit("lib");
    let rules = test.read_text(".sops.yaml");
    repo.ok(&["checkout", "-q", "-b", "theirs"]);
    test.write(".sops.yaml", format!("creation_rules:\n  - age: {both}\n"));
    repo.ok(&["mv", "lib/db.yaml", "db.yaml"]);
    let _ = std::fs::remove_dir(test.path("lib"));
    symlink("vendor", test.path("lib")).expect("a link");
    repo.commit("a link");
    std::fs::remove_file(test.path("lib")).expect("a link");
    test.write("lib/db.yaml", format!("a: one\nb: two\nc: theirs\n{clear}"));
    repo.sealant(&["encrypt", "-i", "--age", &both, "lib/db.yaml"]);
    repo.ok(&["rm", "-q", "-f", "db.yaml"]);
    repo.commit("a file");
    test.write(".sops.yaml", &rules);
    repo.commit("rules back");
    repo.ok(&["checkout", "-q", "main"]);
    repo.set("lib/db.yaml", "b", "planted-new");
    repo.commit("ours");
    let output = repo.git(&["rebase", "main", "theirs"]).env("GIT_EDITOR", "true").run();
    assert!(output.status != 0 && output.stderr.contains("would have to be wrapped for"), "{output}");
}

/// A branch renames a folder along with its rule, and ours rotates: those who read it before the merge are let in.
#[test]
fn a_folder_that_is_renamed_with_its_rule_is_merged() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let nina = new_identity(test, &test.home("nina.txt"));
    let prod = format!("^prod/\n    age: {}", repo.recipient);
    let rules = test.read_text(".sops.yaml").replacen(&prod, &format!("{prod},{nina}"), 1);
    test.write(".sops.yaml", &rules);
    let plain = repo.plain("prod/s.yaml");
    repo.encrypted("prod/s.yaml", &plain);
    repo.commit("Nina reads prod");
    moved.branches(
        || {
            repo.ok(&["mv", "prod", "live"]);
            test.write(".sops.yaml", rules.replacen("^prod/", "^live/", 1));
            repo.set("live/s.yaml", "a", "one more");
        },
        || {
            repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
            repo.set("prod/s.yaml", "d", "four more");
        },
    );
    let _ = repo.merge();
    repo.sealant(&["resolve", "live/s.yaml"]);
    let (plain, text) = (repo.plain("live/s.yaml"), test.read_text("live/s.yaml"));
    assert!(plain.contains("a: one more") && plain.contains("d: four more"), "{plain}");
    assert!(text.contains(&nina) && !text.contains(&moved.mallory), "{text}");
}

/// Git keeps its notes of cherry-picks that were given up by `git reset --hard`.
#[test]
fn what_was_given_up_lets_nobody_in_and_is_in_nobodys_way() {
    for how in ["left", "pruned"] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let (ours, both) = (repo.recipient.as_str(), moved.both());
        moved.say(&both, &both);
        repo.sealant(&["updatekeys", "--yes", "prod"]);
        test.write("x", "1");
        repo.commit("Mallory reads all");
        let writes = || {
            test.write("x", "2");
            repo.commit("two");
            test.write("x", "3");
        };
        repo.branches(|| test.write("x", "9"), writes);
        let _ = repo.git(&["cherry-pick", "theirs~1", "theirs"]).run().code(1);
        repo.ok(&["reset", "-q", "--hard"]);
        assert!(test.path(".git/sequencer/head").exists(), "Git has cleared up");
        if how == "pruned" {
            test.write(".git/sequencer/head", format!("{}\n", "12".repeat(20)));
        }
        moved.say(&both, ours);
        repo.sealant(&["updatekeys", "--yes", "--rotate", "prod"]);
        repo.commit("Mallory has left prod");
        repo.ok(&["checkout", "-q", "-b", "back"]);
        moved.say(&both, &both);
        test.write("prod/s.yaml", super::SECRET.replace("five", "six"));
        repo.sealant(&["encrypt", "-i", "prod/s.yaml"]);
        repo.commit("Mallory reads prod");
        repo.ok(&["checkout", "-q", "main"]);
        repo.set("prod/s.yaml", "c", "planted-new");
        repo.commit("a new value");
        let merged = repo.git(&["merge", "-m", "merged", "back"]).run();
        assert!(merged.status != 0, "{how}: {merged}");
        let output = test.sealant(&["resolve", "prod/s.yaml"]).run();
        assert!(output.status != 0 && output.stderr.contains(&moved.mallory), "{how}: {output}");
        assert!(!test.read_text("prod/s.yaml").contains(&moved.mallory), "{how}");
        test.write("prod/new.yaml", "a: planted-new\n");
        let output = test.sealant(&["encrypt", "-i", "prod/new.yaml"]).run().ok();
        assert!(output.stderr.contains(&moved.mallory), "{how}: {output}");
        repo.ok(&["checkout", "-q", "-f", "main"]);
        repo.set("prod/s.yaml", "d", "more");
    }
}
