//! What merges, rebases, cherry-picks and stashes make of files that were moved, or carried into others.

use std::os::unix::fs::symlink;

use super::{Moved, OTHER, SECRET, moved_along};
use crate::git_merge::repo::{Repo, new_identity};

#[test]
fn a_file_that_was_moved_is_for_its_new_readers_in_no_merge() {
    for how in ["rebase", "pick", "merge", "back"] {
        let moved = Moved::new();
        let repo = &moved.repo;
        moved.branches(|| moved.moves(), || drop(repo.sealant(&["rotate", "-i", "prod/s.yaml"])));
        match how {
            "rebase" => drop(repo.git(&["rebase", "-q", "theirs"]).run()),
            "pick" => {
                repo.ok(&["checkout", "-q", "theirs"]);
                drop(repo.git(&["cherry-pick", "main"]).run());
            }
            "merge" => drop(repo.merge()),
            _ => {
                repo.ok(&["checkout", "-q", "theirs"]);
                drop(repo.git(&["merge", "-m", "m", "main"]).run());
            }
        }
        moved.reads_nothing(how);
        drop(repo.test.sealant(&["resolve", "dev/s.yaml"]).run());
        moved.reads_nothing(how);
    }
}

#[test]
fn what_a_move_takes_along_of_ours_is_for_nobody_else() {
    for how in ["rebase", "merge"] {
        let moved = Moved::new();
        let repo = &moved.repo;
        let forge = || {
            // Of Mallory's own making, and so like ours that Git takes it for the same file.
            let text = repo.plain("prod/s.yaml").replace("planted-prod", "three");
            repo.ok(&["rm", "-q", "prod/s.yaml"]);
            repo.encrypted("dev/s.yaml", &text);
        };
        moved.branches(forge, || repo.set("prod/s.yaml", "new", "planted-new"));
        match how {
            "rebase" => drop(repo.git(&["rebase", "-q", "theirs"]).run()),
            _ => drop(repo.merge()),
        }
        moved.reads_nothing(how);
        drop(repo.test.sealant(&["resolve", "dev/s.yaml"]).run());
        moved.reads_nothing(how);
    }
}

#[test]
fn what_was_carried_into_another_file_is_for_nobody_else() {
    for (how, is_gone) in [("rebase", true), ("rebase", false), ("merge", true), ("merge", false)] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let carry = || {
            test.write("dev/app.yaml", moved.listed(&test.read_text("prod/s.yaml")));
            if is_gone {
                repo.ok(&["rm", "-q", "prod/s.yaml"]);
            }
        };
        let ours = || {
            repo.set("dev/app.yaml", "e", "5");
            if !is_gone {
                repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
            }
        };
        moved.branches(carry, ours);
        match how {
            "rebase" => drop(repo.git(&["rebase", "-q", "theirs"]).run()),
            _ => drop(repo.merge()),
        }
        moved.reads_nothing(how);
        drop(test.sealant(&["resolve", "dev/app.yaml"]).run());
        moved.reads_nothing(how);
    }
}

/// Ways in which a value of ours comes to a file that Mallory has put in the place of the one that it was in. No branch
/// leads to the commit with the value, or too many others do.
const ROUTES: [&str; 10] =
    ["revert", "stash", "cherry-pick", "lost", "unknown", "tag", "worktree", "am", "flood", "resolve"];

/// A change of ours that Mallory's move meets, and what brings the two together afterwards.
struct Route<'m> {
    moved: &'m Moved,
    how: &'m str,
    /// The commit with the change.
    commit: String,
}

impl<'m> Route<'m> {
    /// Changes the file of ours, and leaves the change where the route finds it.
    fn new(moved: &'m Moved, how: &'m str) -> Self {
        let repo = &moved.repo;
        if how == "revert" {
            repo.set("prod/s.yaml", "new", "planted-new");
            repo.commit("new");
            repo.sealant(&["unset", "prod/s.yaml", "[\"new\"]"]);
            repo.commit("no longer new");
            return Self { moved, how, commit: head(repo, "HEAD") };
        }
        if how == "stash" {
            repo.set("prod/s.yaml", "new", "planted-new");
            repo.ok(&["stash"]);
            return Self { moved, how, commit: String::new() };
        }
        let place = if how == "worktree" { "../linked" } else { "." };
        match how {
            "worktree" => repo.ok(&["worktree", "add", "-q", "--detach", place]),
            _ => repo.ok(&["checkout", "-q", "-b", "feature"]),
        };
        let file = format!("{place}/prod/s.yaml");
        if how == "unknown" {
            repo.sealant(&["rotate", "-i", &file]);
            repo.commit("rotated");
        }
        repo.sealant(&["set", &file, "[\"new\"]", "\"planted-new\""]);
        if how == "resolve" {
            repo.set(&file, "a", "ours");
        }
        repo.ok(&["-C", place, "commit", "-q", "-a", "-m", "new"]);
        let commit = repo.ok(&["-C", place, "rev-parse", "HEAD"]).text().trim().to_owned();
        match how {
            "tag" | "resolve" => drop(repo.ok(&["tag", "v1"])),
            "am" => drop(repo.ok(&["format-patch", "-q", "-1", "-o", "../mail"])),
            _ => {}
        }
        if how != "worktree" {
            repo.ok(&["checkout", "-q", "main"]);
        }
        if !matches!(how, "worktree" | "flood") {
            repo.ok(&["branch", "-q", "-D", "feature"]);
        }
        Self { moved, how, commit }
    }

    /// Mallory's branch, which is merged, and other work by which Git forgets what it was before.
    fn merge_the_move(&self) {
        let repo = &self.moved.repo;
        repo.ok(&["checkout", "-q", "-b", "theirs"]);
        let text = repo.plain("prod/s.yaml").replace("planted-prod", "three");
        let text = if self.how == "resolve" { text.replace("a: one", "a: theirs") } else { text };
        repo.ok(&["rm", "-q", "prod/s.yaml"]);
        repo.encrypted("dev/s.yaml", &text);
        repo.commit("tidy");
        repo.ok(&["checkout", "-q", "main"]);
        repo.ok(&["merge", "-q", "--ff-only", "theirs"]);
        repo.ok(&["branch", "-q", "-D", "theirs"]);
        repo.ok(&["reset", "-q", "--soft", "HEAD"]);
        if self.how == "stash" {
            repo.test.write("other.md", "later\n");
            repo.ok(&["add", "other.md"]);
            repo.ok(&["stash"]);
        }
        if matches!(self.how, "lost" | "unknown") {
            repo.ok(&["reflog", "expire", "--expire=now", "--all"]);
        }
        for number in 0..if self.how == "flood" { 60 } else { 0 } {
            let made = repo.git(&["commit-tree", "-m", "x", "-p", "HEAD", "HEAD^{tree}"]);
            let made = made.env("GIT_COMMITTER_DATE", format!("2037-01-01T00:00:{number:02}Z")).run().ok();
            repo.ok(&["update-ref", &format!("refs/remotes/origin/m{number}"), made.text().trim()]);
        }
    }

    fn bring_together(&self) {
        let (repo, commit) = (&self.moved.repo, self.commit.as_str());
        let args: &[&str] = match self.how {
            "revert" => &["revert", "--no-edit", commit],
            "stash" => &["stash", "apply", "stash@{1}"],
            "cherry-pick" | "lost" | "unknown" => &["cherry-pick", commit],
            "tag" | "resolve" => &["merge", "--no-edit", "v1"],
            "worktree" => &["merge", "--no-edit", commit],
            "am" => &["am", "-3", "../mail/0001-new.patch"],
            _ => &["merge", "--no-edit", "feature"],
        };
        drop(repo.git(args).run());
    }
}

fn head(repo: &Repo, name: &str) -> String {
    repo.ok(&["rev-parse", name]).text().trim().to_owned()
}

#[test]
fn what_comes_to_a_file_that_was_moved_before_is_for_nobody_else() {
    // Each by itself, to name all that fail.
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let started = ROUTES.map(|how| (how, scope.spawn(move || come_together(how))));
        started.into_iter().filter_map(|(how, route)| route.join().is_err().then_some(how)).collect()
    });
    assert!(failed.is_empty(), "{failed:?}");
}

#[track_caller]
fn come_together(how: &str) {
    let moved = Moved::new();
    let route = Route::new(&moved, how);
    route.merge_the_move();
    route.bring_together();
    moved.reads_nothing(how);
    let states = moved.repo.ok(&["status", "--short"]);
    assert!(states.text().contains("dev/s.yaml"), "{how}: Git merges the two: {states}");
    for args in [&["resolve", "dev/s.yaml"][..], &["resolve", "--theirs", "dev/s.yaml"]] {
        drop(moved.repo.test.sealant(args).run());
        moved.reads_nothing(how);
    }
}

/// After such a branch was merged there is no other place left in the working tree.
#[test]
fn what_a_merged_branch_has_moved_is_rotated_for_nobody_else() {
    for how in ["listed", "plain", "rolled back", "linked", "linked to above"] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
        repo.commit("rotated");
        let theirs = || match how {
            "listed" => moved.moves(),
            "plain" => drop(repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"])),
            // What leads to the new place today is not where the file was.
            "linked" => {
                moved.moves();
                let _ = std::fs::remove_dir(test.path("prod"));
                symlink("dev", test.path("prod")).expect("a link");
                repo.ok(&["add", "-A"]);
            }
            "linked to above" => {
                test.write("dev/s.yaml", moved.listed(&test.read_text("prod/s.yaml")));
                repo.ok(&["rm", "-q", "prod/s.yaml"]);
                let _ = std::fs::remove_dir(test.path("prod"));
                symlink("./dev/.", test.path("prod")).expect("a link");
                repo.ok(&["add", "-A"]);
            }
            _ => {
                test.write("dev/s.yaml", moved.listed(&test.read_text("prod/s.yaml")));
                repo.ok(&["checkout", "HEAD~1", "--", "prod/s.yaml"]);
            }
        };
        moved.branches(theirs, || test.write("other.md", "ours\n"));
        // What brings it in is seen before it is committed, and after, and by whoever looks at what a branch changes.
        let _ = repo.ok(&["merge", "--no-commit", "theirs"]);
        let told = |args: &[&str]| {
            let output = test.sealant(args).run().code(1);
            let told = |line: &str| {
                line.starts_with("dev/s.yaml:")
                    && line.ends_with("[moved]")
                    && line.contains("prod/s.yaml of ")
            };
            assert!(output.text().lines().any(told), "{how}: {output}");
        };
        told(&["hook", "pre-commit"]);
        repo.commit("merged");
        told(&["check"]);
        told(&["check", "dev"]);
        told(&["check", "--base", "HEAD~1"]);
        for args in [
            &["rotate", "-i", "dev/s.yaml"][..],
            &["rotate", "-i", "dev"],
            &["updatekeys", "--yes", "dev/s.yaml"],
            &["updatekeys", "--rotate", "--yes", "dev"],
        ] {
            let output = test.sealant(args).run();
            moved.reads_nothing(how);
            let is_named =
                output.stderr.contains("prod/s.yaml of commit") && output.stderr.contains(&moved.mallory);
            assert!(is_named || output.status == 0, "{how}: {output}");
        }
        // If it is meant. The link is a finding of its own.
        if how.starts_with("linked") {
            repo.ok(&["rm", "-q", "prod"]);
            repo.commit("without the link");
        }
        repo.sealant(&["rotate", "-i", "--allow-copied", "dev/s.yaml"]);
        repo.sealant(&["updatekeys", "--yes", "dev/s.yaml"]);
        repo.sealant(&["rotate", "-i", "dev/s.yaml"]);
        for args in [&["check"][..], &["check", "--base", "HEAD~1"], &["hook", "pre-commit"]] {
            repo.sealant(args);
            repo.ok(&["add", "-A"]);
        }
    }
}

/// Where both places are for the same people, moving is in nobody's way.
#[test]
fn a_move_among_the_same_readers_comes_together() {
    let moved = Moved::new();
    let repo = &moved.repo;
    let moves = || drop(repo.ok(&["mv", "prod/s.yaml", "prod/t.yaml"]));
    moved.branches(moves, || repo.set("prod/s.yaml", "a", "1"));
    let _ = repo.merge().ok();
    repo.sealant(&["check"]);
    assert!(repo.plain("prod/t.yaml").starts_with(&SECRET.replace("a: one", "a: \"1\"")));
}

/// Git takes a file of Mallory's own for the one that was moved, and a person takes a side of it.
#[test]
fn a_side_that_comes_from_another_path_is_told() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let clear: String = (0..300).map(|line| format!("line{line}_unencrypted: this is no secret\n")).collect();
    repo.ok(&["checkout", "-q", "-b", "feature"]);
    repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
    repo.set("prod/s.yaml", "b", "planted-new");
    repo.commit("feature");
    repo.ok(&["checkout", "-q", "main"]);
    repo.ok(&["rm", "-q", "prod/s.yaml"]);
    repo.encrypted("dev/s.yaml", &format!("a: mine\nb: mine\nc: mine\nd: mine\ne: mine\n{clear}"));
    repo.commit("by Mallory");
    repo.ok(&["checkout", "-q", "feature"]);
    let output = repo.git(&["rebase", "-q", "main"]).env("GIT_EDITOR", "true").run();
    assert!(output.status != 0, "{output}");
    let taken = test.sealant(&["resolve", "--theirs", "dev/s.yaml"]).run();
    assert!(
        taken.stderr.contains("prod/s.yaml of commit") && taken.stderr.contains(&moved.mallory),
        "{taken}"
    );
    moved.reads_nothing("a side");
}

/// A merge makes a new data key for all whom the rule names.
#[test]
fn what_was_moved_along_is_merged_with_nothing_of_others() {
    for how in ["merge", "cherry-pick", "rebase"] {
        let moved = moved_along();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let text = test.read("dev/s.yaml");
        repo.ok(&["rm", "-q", "dev/s.yaml"]);
        repo.ok(&["commit", "-qnm", "removed by Mallory"]);
        repo.ok(&["checkout", "-q", "-b", "own"]);
        repo.encrypted("dev/s.yaml", "other: junk\n");
        repo.commit("Mallory's own");
        repo.ok(&["checkout", "-q", "main"]);
        test.write("dev/s.yaml", &text);
        repo.ok(&["add", "-A"]);
        repo.ok(&["commit", "-qnm", "back"]);
        let args: &[&str] = match how {
            "merge" => &["merge", "-q", "-m", "x", "own"],
            "cherry-pick" => &["cherry-pick", "own"],
            _ => &["rebase", "-q", "own"],
        };
        let output = repo.git(args).env("GIT_EDITOR", "true").run();
        assert!(output.status != 0 && output.stderr.contains("prod/s.yaml of commit"), "{how}: {output}");
        moved.reads_nothing(how);
    }
}

/// A branch of before somebody was let into a place brings there what was, or is, somewhere else.
#[test]
fn what_a_branch_of_before_brings_to_another_place_is_for_nobody_else() {
    for how in ["moved on", "gone", "of another branch"] {
        let repo = Repo::empty("");
        let mallory = new_identity(&repo.test, &repo.test.home("mallory.txt"));
        let moved = Moved { repo, mallory };
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let (ours, mallory) = (&repo.recipient, &moved.mallory);
        let anna = new_identity(test, &test.home("anna.txt"));
        let both = format!("{ours},{mallory}");
        let say = |rules: &[(&str, &str)]| {
            let rules = rules.iter().map(|(path, who)| format!("  - path_regex: ^{path}/\n    age: {who}\n"));
            test.write(".sops.yaml", format!("creation_rules:\n{}", rules.collect::<String>()));
        };
        say(&[("dev", ours), ("prod", ours)]);
        repo.encrypted("dev/app.yaml", OTHER);
        if how != "of another branch" {
            repo.encrypted("prod/s.yaml", SECRET);
        }
        repo.commit("start");
        repo.ok(&["tag", "start"]);
        if how == "of another branch" {
            repo.ok(&["checkout", "-q", "-b", "feature"]);
            repo.encrypted("prod/s.yaml", SECRET);
            repo.commit("feature");
            repo.ok(&["checkout", "-q", "main"]);
        }
        match how {
            "moved on" => {
                say(&[("dev", ours), ("live", ours)]);
                repo.ok(&["mv", "prod", "live"]);
                repo.sealant(&["rotate", "-i", "live/s.yaml"]);
            }
            "gone" => {
                say(&[("dev", ours)]);
                repo.ok(&["rm", "-q", "prod/s.yaml"]);
            }
            _ => say(&[("dev", ours), ("prod", &format!("{ours},{anna}"))]),
        }
        repo.commit("prod");
        let rules = test.read_text(".sops.yaml");
        let dev = format!("^dev/\n    age: {ours}\n");
        test.write(".sops.yaml", rules.replacen(&dev, &format!("^dev/\n    age: {both}\n"), 1));
        repo.sealant(&["updatekeys", "--yes", "dev"]);
        repo.set("dev/app.yaml", "e", "harmless");
        repo.commit("Mallory reads dev");
        repo.ok(&["checkout", "-q", "-b", "theirs", "start"]);
        let from = if how == "of another branch" { "feature:prod/s.yaml" } else { "start:prod/s.yaml" };
        test.write("dev/app.yaml", repo.ok(&["show", from]).stdout);
        repo.commit("theirs");
        repo.ok(&["checkout", "-q", "main"]);
        let output = repo.merge();
        assert!(output.status != 0 && output.stderr.contains("prod/s.yaml of commit"), "{how}: {output}");
        moved.reads_nothing(how);
    }
}

/// Whoever is let in needs keys of as many others as the rule says, whatever the list of their own version has.
#[test]
fn who_is_let_in_comes_into_the_key_groups_of_the_rule_alone() {
    for (case, listed, named) in [
        ("in all groups of the list", &[true, true], &[false, true]),
        ("in one group of both", &[false, true], &[false, true]),
        ("in no group of the rule", &[false, true], &[false, false]),
    ] {
        let repo = Repo::empty("");
        let test = &repo.test;
        let mallory = &new_identity(test, &test.home("mallory.txt"));
        let second = new_identity(test, &test.home("second.txt"));
        let rules = |with: &[bool; 2]| {
            let group = |at: usize, key: &str| {
                let more = if with[at] { format!(", {mallory}") } else { String::new() };
                format!("      - age: [{key}{more}]\n")
            };
            let groups = group(0, &repo.recipient) + &group(1, &second);
            test.write(
                ".sops.yaml",
                format!("creation_rules:\n  - path_regex: ^prod/\n    shamir_threshold: 2\n    key_groups:\n{groups}"),
            );
        };
        let identities = |name: &str| std::fs::read_to_string(test.home(name)).expect("an identity");
        test.write("../both.txt", identities("second.txt") + &identities(".config/sops/age/keys.txt"));
        let as_both = |words: &[&str]| test.sealant(words).env("SOPS_AGE_KEY_FILE", test.path("../both.txt"));
        rules(&[false, false]);
        repo.encrypted("prod/s.yaml", "a: one\nb: two\nc: three\n");
        repo.commit("groups");
        repo.branches(
            || _ = as_both(&["set", "prod/s.yaml", "[\"b\"]", "\"planted-new\""]).run().ok(),
            || {
                rules(listed);
                repo.encrypted("prod/s.yaml", "a: one\nb: two\nc: theirs\n");
                rules(named);
            },
        );
        let merge = repo.git(&["merge", "-m", "merged", "theirs"]);
        let merge = merge.env("SOPS_AGE_KEY_FILE", test.path("../both.txt")).run();
        assert!(merge.status != 0 && merge.stderr.contains(mallory), "{case}: {merge}");
        // As the advice says: who can open it together is let in, or is not, as a whole.
        let let_in = |keys: &[&String]| {
            let allowed = keys.iter().flat_map(|key| ["--allow-recipient", key.as_str()]);
            as_both(&[&["resolve"], &allowed.collect::<Vec<_>>()[..], &["prod/s.yaml"]].concat()).run()
        };
        let resolved = match case {
            "in no group of the rule" => let_in(&[mallory]),
            _ => let_in(&[&repo.recipient, &second, mallory]),
        };
        let is_told = |why: &str| resolved.status != 0 && resolved.stderr.contains(why);
        match case {
            "in one group of both" => {
                assert!(
                    resolved.status == 0 && test.read_text("prod/s.yaml").matches(mallory).count() == 1,
                    "{case}: {resolved}"
                );
            }
            "in no group of the rule" => {
                assert!(is_told(&format!("its creation rule has {mallory} in none")), "{case}: {resolved}");
            }
            _ => assert!(is_told("whom its creation rule has in another key group"), "{case}: {resolved}"),
        }
        let run = test.sops(&["decrypt", "--ignore-mac", "prod/s.yaml"]);
        let run = run.env("SOPS_AGE_KEY_FILE", test.home("mallory.txt"));
        let read = run.env("XDG_CONFIG_HOME", test.tmp()).run();
        assert!(read.status != 0 && !read.text().contains("planted-new"), "{case}: {read}");
    }
}
