//! Files that a branch moves, or carries, to a place that other people read. The readers of that place are in the list of
//! the file, with an entry that opens nothing: a merge that makes a new data key would make it for them.

use std::os::unix::fs::symlink;

use sealant_test_support::Output;

use super::repo::{Repo, new_identity};

const SECRET: &str = "a: one\nb: two\nc: planted-prod\nd: four\ne: five\n";
const OTHER: &str = "a: one\nb: two\nc: three\nd: four\ne: five\n";

struct Moved {
    repo: Repo,
    mallory: String,
}

impl Moved {
    /// `prod/` is for us, `dev/` for Mallory, too; each has a file.
    fn new() -> Self {
        let repo = Repo::empty("");
        let mallory = new_identity(&repo.test, &repo.test.home("mallory.txt"));
        let ours = &repo.recipient;
        let rules = format!(
            "creation_rules:\n  - path_regex: ^dev/\n    age: {ours},{mallory}\n  - path_regex: ^prod/\n    age: {ours}\n"
        );
        repo.test.write(".sops.yaml", rules);
        // Most of it is in plaintext, so that Git finds it again when it moves.
        let clear: String =
            (0..300).map(|line| format!("line{line}_unencrypted: this is no secret\n")).collect();
        repo.encrypted("prod/s.yaml", &format!("{SECRET}{clear}"));
        repo.encrypted("dev/app.yaml", OTHER);
        repo.commit("base");
        Self { repo, mallory }
    }

    /// The file with Mallory in its list, by an entry that was made for somebody else.
    fn listed(&self, file: &str) -> String {
        let ours = &self.repo.recipient;
        let start = file.find("        - enc: |").expect("an entry");
        let end = start + file[start..].find("    lastmodified").expect("its end");
        let entry = file[start..end].replace(ours, &self.mallory);
        format!("{}{entry}{}", &file[..end], &file[end..])
    }

    /// A branch of Mallory's, and commits of ours on `main`, which is checked out.
    fn branches(&self, theirs: impl FnOnce(), ours: impl FnOnce()) {
        self.repo.branches(ours, theirs);
    }

    /// Asserts that Mallory reads nothing of what is for us alone, in any file that there is.
    #[track_caller]
    fn reads_nothing(&self, what: &str) {
        let test = &self.repo.test;
        for file in ["dev/s.yaml", "dev/app.yaml", "s.yaml", "open/s.yaml"]
            .into_iter()
            .filter(|file| test.path(file).exists())
        {
            let run = test.sops(&["decrypt", "--ignore-mac", file]);
            let run = run.env("SOPS_AGE_KEY_FILE", test.home("mallory.txt"));
            let output = run.env("XDG_CONFIG_HOME", test.tmp()).run();
            assert!(!output.text().contains("planted-"), "{what}: {file}: {output}");
        }
    }

    /// The same of what is new, in any commit that is left.
    #[track_caller]
    fn reads_no_new_value_in_a_commit(&self, what: &str) {
        let (repo, test) = (&self.repo, &self.repo.test);
        for commit in repo.ok(&["rev-list", "--all", "HEAD"]).text().lines() {
            let shown = repo.git(&["show", &format!("{commit}:prod/s.yaml")]).run();
            test.write("prod-then.yaml", shown.text());
            let run = test.sops(&["decrypt", "--ignore-mac", "prod-then.yaml"]);
            let run = run.env("SOPS_AGE_KEY_FILE", test.home("mallory.txt"));
            let read = run.env("XDG_CONFIG_HOME", test.tmp()).run();
            assert!(!read.text().contains("planted-new"), "{what} {commit}: {read}");
        }
    }

    fn moves(&self) {
        let test = &self.repo.test;
        let listed = self.listed(&test.read_text("prod/s.yaml"));
        self.repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
        test.write("dev/s.yaml", listed);
    }
}

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

/// Of a place that is gone from the config along with its last file, the commit before says for whom it was.
#[test]
fn a_move_that_takes_its_rule_along_is_told() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let theirs = || {
        moved.moves();
        let config = test.read_text(".sops.yaml");
        test.write(".sops.yaml", config.split_once("  - path_regex: ^prod/").expect("a rule").0);
    };
    moved.branches(theirs, || test.write("other.md", "ours\n"));
    repo.ok(&["checkout", "-q", "theirs"]);
    let output = test.sealant(&["check", "--base", "main"]).run().code(1);
    assert!(output.text().contains("dev/s.yaml:") && output.text().contains("[moved]"), "{output}");
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

/// Ways in which a branch takes the rule along with a file, or makes it one for others.
const WITH_THE_RULE: [&str; 4] = ["nested", "renamed", "dropped", "narrowed"];

impl Moved {
    /// `prod/` is for us, everything else for Mallory, too.
    fn beside_all(how: &str) -> Self {
        let repo = Repo::empty("");
        let mallory = new_identity(&repo.test, &repo.test.home("mallory.txt"));
        let (ours, test) = (&repo.recipient, &repo.test);
        let all = format!("  - age: {ours},{mallory}\n");
        let prod = match how {
            "nested" => {
                test.write("prod/.sops.yaml", format!("creation_rules:\n  - age: {ours}\n"));
                String::new()
            }
            _ => format!("  - path_regex: ^prod/\n    age: {ours}\n"),
        };
        test.write(".sops.yaml", format!("creation_rules:\n{prod}{all}"));
        let clear: String =
            (0..300).map(|line| format!("line{line}_unencrypted: this is no secret\n")).collect();
        repo.encrypted("prod/s.yaml", &format!("{SECRET}{clear}"));
        repo.encrypted("prod/a.yaml", OTHER);
        repo.encrypted("app.yaml", OTHER);
        repo.commit("base");
        Self { repo, mallory }
    }

    fn moves_with_the_rule(&self, how: &str) {
        let (repo, test) = (&self.repo, &self.repo.test);
        let (listed, config) = (self.listed(&test.read_text("prod/s.yaml")), test.read_text(".sops.yaml"));
        match how {
            "nested" | "renamed" => {
                repo.ok(&["mv", "prod", "live"]);
                repo.ok(&["mv", "live/s.yaml", "s.yaml"]);
                test.write(".sops.yaml", config.replace("^prod/", "^live/"));
            }
            "dropped" => {
                repo.ok(&["mv", "prod/s.yaml", "s.yaml"]);
                repo.ok(&["rm", "-q", "prod/a.yaml"]);
                let all = config.rfind("  - age:").expect("a rule");
                test.write(".sops.yaml", format!("creation_rules:\n{}", &config[all..]));
            }
            _ => {
                repo.ok(&["mv", "prod/s.yaml", "s.yaml"]);
                test.write(".sops.yaml", config.replace("^prod/", "^prod/[^s]"));
            }
        }
        test.write("s.yaml", listed);
    }
}

/// The place that the file has left is for others by the rules of today; it was not when the file was there.
#[test]
fn a_rule_that_goes_along_with_a_move_lets_nobody_in() {
    for how in WITH_THE_RULE {
        let moved = Moved::beside_all(how);
        let (repo, test) = (&moved.repo, &moved.repo.test);
        moved.branches(|| moved.moves_with_the_rule(how), || test.write("other.md", "ours\n"));
        let told = |args: &[&str]| {
            let output = test.sealant(args).run().code(1);
            let told = |line: &str| line.starts_with("s.yaml:") && line.ends_with("[moved]");
            assert!(output.text().lines().any(told), "{how}: {args:?}: {output}");
        };
        repo.ok(&["checkout", "-q", "theirs"]);
        told(&["check", "--base", "main"]);
        told(&["check"]);
        repo.ok(&["checkout", "-q", "main"]);
        let _ = repo.ok(&["merge", "--no-commit", "theirs"]);
        told(&["hook", "pre-commit"]);
        told(&["check"]);
        repo.commit("merged");
        told(&["check"]);
        told(&["check", "s.yaml"]);
        for args in [
            &["rotate", "-i", "s.yaml"][..],
            &["rotate", "-i", "."],
            &["updatekeys", "--yes", "s.yaml"],
            &["updatekeys", "--rotate", "--yes", "."],
        ] {
            let output = test.sealant(args).run();
            moved.reads_nothing(how);
            let is_named =
                output.stderr.contains("prod/s.yaml of commit") && output.stderr.contains(&moved.mallory);
            // Mallory is in the list, so that there is nothing to update.
            let is_as_listed = output.stderr.contains("s.yaml: already up to date");
            assert!(is_named || is_as_listed, "{how}: {args:?}: {output}");
        }
        repo.sealant(&["rotate", "-i", "--allow-copied", "s.yaml"]);
        repo.sealant(&["check"]);
    }
}

/// What a branch may leave at the place of a file that it moves along with its rule.
const AT_THE_OLD_PLACE: [&str; 11] = [
    "another",
    "another in plaintext",
    "another later",
    "another for one commit",
    "one that has a value of it",
    "a copy for one commit",
    "a link",
    "a folder",
    "another on a side",
    "an evil merge",
    "not committed",
];

impl Moved {
    /// Moves the file along with its rule to where Mallory reads, and leaves something in its place.
    fn moves_and_leaves(&self, how: &str) {
        let (repo, test) = (&self.repo, &self.repo.test);
        let text = test.read_text("prod/s.yaml");
        let config = test.read_text(".sops.yaml").replace("^prod/", "^live/");
        let moves = || {
            repo.ok(&["mv", "prod/s.yaml", "s.yaml"]);
            test.write(".sops.yaml", &config);
            test.write("s.yaml", self.listed(&text));
        };
        let (another, plain) = (|| repo.encrypted("prod/s.yaml", OTHER), "a_unencrypted: nothing\n");
        match how {
            "a copy for one commit" => {
                moves();
                repo.commit("moves");
                test.write("prod/s.yaml", &text);
                repo.commit("back");
                repo.ok(&["rm", "-q", "prod/s.yaml"]);
            }
            "another on a side" | "an evil merge" => {
                repo.ok(&["checkout", "-q", "-b", "side"]);
                moves();
                repo.commit("moves");
                if how == "another on a side" {
                    another();
                    repo.commit("another");
                }
                repo.ok(&["checkout", "-q", "theirs"]);
                test.write("side.md", "theirs\n");
                repo.commit("beside");
                let _ = repo.git(&["merge", "-q", "--no-ff", "--no-commit", "side"]).run();
                if how == "an evil merge" {
                    another();
                }
            }
            _ => {
                moves();
                if how.starts_with("another ") && !how.ends_with("plaintext") {
                    repo.commit("moves");
                }
                match how {
                    "another in plaintext" => test.write("prod/s.yaml", plain),
                    "one that has a value of it" => {
                        another();
                        let taken = text.lines().find(|line| line.starts_with("c: ")).expect("a value");
                        let decoy = test.read_text("prod/s.yaml");
                        test.write("prod/s.yaml", format!("{taken}\n{}", decoy.replace("\nc: ", "\nx: ")));
                    }
                    "a link" => symlink("../app.yaml", test.path("prod/s.yaml")).expect("a link"),
                    "a folder" => test.write("prod/s.yaml/x.yaml", plain),
                    _ => another(),
                }
                if how == "another for one commit" {
                    repo.commit("another");
                    repo.ok(&["rm", "-q", "prod/s.yaml"]);
                }
            }
        }
    }
}

/// Whatever is or was in the place afterwards: the file that was there was for those whom its rule named then.
#[test]
fn what_is_put_into_the_old_place_hides_no_move() {
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let started = AT_THE_OLD_PLACE.map(|how| (how, scope.spawn(move || move_and_leave(how))));
        started.into_iter().filter_map(|(how, route)| route.join().is_err().then_some(how)).collect()
    });
    assert!(failed.is_empty(), "{failed:?}");
}

#[track_caller]
fn move_and_leave(how: &str) {
    let moved = Moved::beside_all("renamed");
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let told = |args: &[&str]| {
        let output = test.sealant(args).run().code(1);
        let told = |line: &str| line.starts_with("s.yaml:") && line.ends_with("[moved]");
        assert!(output.text().lines().any(told), "{how}: {args:?}: {output}");
    };
    repo.ok(&["checkout", "-q", "-b", "theirs"]);
    moved.moves_and_leaves(how);
    repo.ok(&["add", "-A"]);
    told(&["check"]);
    if how != "not committed" {
        repo.commit("theirs");
        told(&["check"]);
        told(&["check", "--base", "main"]);
        repo.ok(&["checkout", "-q", "main"]);
        test.write("other.md", "ours\n");
        repo.commit("ours");
        let _ = repo.ok(&["merge", "--no-commit", "theirs"]);
        told(&["hook", "pre-commit"]);
        repo.commit("merged");
        told(&["check"]);
    }
    for args in [
        &["rotate", "-i", "s.yaml"][..],
        &["rotate", "-i", "."],
        &["updatekeys", "--yes", "s.yaml"],
        &["updatekeys", "--rotate", "--yes", "."],
    ] {
        let output = test.sealant(args).run();
        moved.reads_nothing(how);
        let is_named =
            output.stderr.contains("prod/s.yaml of commit") && output.stderr.contains(&moved.mallory);
        let is_as_listed = output.stderr.contains("s.yaml: already up to date");
        assert!(is_named || is_as_listed, "{how}: {args:?}: {output}");
    }
    repo.sealant(&["rotate", "-i", "--allow-copied", "s.yaml"]);
    if how == "another in plaintext" {
        repo.ok(&["rm", "-qf", "prod/s.yaml"]);
    }
    let _ = std::fs::remove_file(test.path("prod/s.yaml"));
    let output = test.sealant(&["check"]).run();
    assert!(!output.text().contains("[moved]"), "{how}: {output}");
}

/// A file that stays, and one that was made of it, for the same people as ever: whoever joins reads both, whatever else is done
/// in the same commit.
#[test]
fn everyday_work_is_no_move() {
    for how in ["together", "merged", "rebased", "not committed"] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        test.write("prod/t.yaml", test.read("prod/s.yaml"));
        repo.set("prod/t.yaml", "d", "another");
        repo.commit("copied");
        let is_quiet = |commits: usize| {
            repo.sealant(&["check"]);
            let base = format!("HEAD~{commits}");
            repo.sealant(&["check", "--base", &base]);
            repo.ok(&["add", "-A"]);
            repo.sealant(&["hook", "pre-commit"]);
        };
        let joins = || {
            let config = test.read_text(".sops.yaml");
            let (before, prod) = config.split_once("^prod/\n    age: ").expect("a rule");
            test.write(".sops.yaml", format!("{before}^prod/\n    age: {},{prod}", moved.mallory));
            repo.sealant(&["updatekeys", "--yes", "prod"]);
        };
        let edits = || {
            repo.set("prod/s.yaml", "a", "1");
            repo.edit("prod/s.yaml", &repo.plain("prod/s.yaml").replace("two", "2"));
        };
        match how {
            "together" | "not committed" => {
                joins();
                edits();
                if how == "not committed" {
                    is_quiet(0);
                    for args in [&["rotate", "-i", "prod/s.yaml"][..], &["rotate", "-i", "prod/t.yaml"]] {
                        repo.sealant(args);
                        is_quiet(0);
                    }
                }
                repo.commit("joined");
            }
            _ => {
                let theirs = || {
                    joins();
                    repo.commit("joined");
                    edits();
                };
                moved.branches(theirs, || test.write("other.md", "ours\n"));
                match how {
                    "merged" => drop(repo.merge().ok()),
                    _ => drop(repo.ok(&["rebase", "-q", "theirs"])),
                }
            }
        }
        is_quiet(1);
        repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
        repo.commit("rotated");
        is_quiet(1);
        repo.ok(&["mv", "prod/t.yaml", "prod/u.yaml"]);
        repo.encrypted("prod/t.yaml", OTHER);
        repo.commit("renamed, and another");
        is_quiet(1);
        repo.sealant(&["rotate", "-i", "prod"]);
        is_quiet(1);
    }
}

#[test]
fn a_rule_that_goes_along_with_a_move_lets_nobody_into_a_merge() {
    for (how, route) in [
        ("nested", "rebase"),
        ("nested", "pick"),
        ("renamed", "rebase"),
        ("dropped", "pick"),
        ("nested", "back"),
    ] {
        let moved = Moved::beside_all(how);
        let repo = &moved.repo;
        // Of Mallory's own making, and so like ours that Git takes it for the same file.
        let forge = || {
            let text = repo.plain("prod/s.yaml").replace("planted-prod", "three");
            moved.moves_with_the_rule(how);
            repo.ok(&["rm", "-qf", "--cached", "s.yaml"]);
            repo.encrypted("s.yaml", &text);
        };
        moved.branches(forge, || repo.set("prod/s.yaml", "new", "planted-new"));
        match route {
            "rebase" => drop(repo.git(&["rebase", "-q", "theirs"]).run()),
            "pick" => {
                repo.ok(&["checkout", "-q", "theirs"]);
                drop(repo.git(&["cherry-pick", "main"]).run());
            }
            _ => {
                repo.ok(&["checkout", "-q", "theirs"]);
                drop(repo.git(&["merge", "-m", "m", "main"]).run());
            }
        }
        moved.reads_nothing(route);
        drop(repo.test.sealant(&["resolve", "s.yaml"]).run());
        moved.reads_nothing(route);
    }
}

/// People join, and files get other names within a rule, before that, after it and beside it.
#[test]
fn whoever_joins_a_rule_reads_what_was_renamed_under_it() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let joins = |person: &str| {
        let config = test.read_text(".sops.yaml");
        let (before, prod) = config.split_once("^prod/\n    age: ").expect("a rule");
        test.write(".sops.yaml", format!("{before}^prod/\n    age: {person},{prod}"));
        repo.sealant(&["updatekeys", "--yes", "prod"]);
    };
    let renames = |from: &str, to: &str| drop(repo.ok(&["mv", from, to]));
    let is_quiet = || {
        repo.sealant(&["check"]);
        repo.sealant(&["hook", "pre-commit"]);
        repo.sealant(&["rotate", "-i", "prod"]);
        repo.commit("rotated");
    };
    renames("prod/s.yaml", "prod/t.yaml");
    repo.commit("renamed");
    joins(&moved.mallory);
    repo.commit("joined");
    is_quiet();
    renames("prod/t.yaml", "prod/u.yaml");
    repo.commit("renamed again");
    is_quiet();
    // Beside a branch with another name, in either direction.
    for (name, into, from) in [("v", "main", "theirs"), ("w", "theirs", "main")] {
        let old = if name == "v" { "prod/u.yaml" } else { "prod/v.yaml" };
        let person = new_identity(test, &test.home(format!("{name}.txt")));
        repo.branches(|| joins(&person), || renames(old, &format!("prod/{name}.yaml")));
        repo.ok(&["checkout", "-q", into]);
        repo.ok(&["merge", "-m", "merged", from]);
        is_quiet();
        repo.ok(&["checkout", "-q", "main"]);
        repo.ok(&["merge", "-q", "--ff-only", into]);
        repo.ok(&["branch", "-q", "-D", "theirs"]);
    }
}

/// Whoever decrypts a file in its place, and encrypts it there again, lets in whoever may read there.
#[test]
fn what_was_moved_is_not_decrypted_in_its_place_and_encrypted_for_others() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
    repo.commit("moved");
    let encrypted = test.read("dev/s.yaml");
    for file in ["dev/s.yaml", "dev"] {
        let output = test.sealant(&["decrypt", "-i", file]).run().code(8);
        for part in ["its data key", "prod/s.yaml of commit", &moved.mallory, "--allow-copied dev/s.yaml"] {
            assert!(output.stderr.contains(part), "{part}: {output}");
        }
        assert_eq!(test.read("dev/s.yaml"), encrypted);
    }
    // Others are decrypted and encrypted as ever, and whoever can read may print.
    test.sealant(&["encrypt", "-i", "dev/app.yaml"]).run().ok();
    let plain = repo.plain("dev/s.yaml");
    test.write(test.home("old.yaml"), &encrypted);
    let old = test.home("old.yaml").display().to_string();
    let ways: [&[&str]; 6] = [
        &["encrypt", "-i", "dev/s.yaml"],
        &["encrypt", "-i", "dev"],
        &["encrypt", "dev/s.yaml"],
        &["encrypt", "--filename-override", "dev/s.yaml", "-"],
        &["encrypt", "--onto", &old, "--output", "dev/s.yaml", "dev/s.yaml"],
        &["check", "--fix", "dev"],
    ];
    for staged in [false, true] {
        test.write("dev/s.yaml", &plain);
        if staged {
            repo.ok(&["rm", "-q", "--cached", "dev/s.yaml"]);
        }
        for args in ways {
            let output = test.sealant(args).stdin(plain.as_bytes()).run();
            assert_eq!(output.status, if args[0] == "check" { 1 } else { 8 }, "{args:?} {output}");
            for part in ["prod/s.yaml of commit", &moved.mallory, "git checkout HEAD -- dev/s.yaml"] {
                assert!(output.stderr.contains(part), "{args:?} {part}: {output}");
            }
            assert_eq!(test.read_text("dev/s.yaml"), plain, "{args:?}");
        }
    }
    // Nor is it once the plaintext has another name, and the result goes where it came from.
    for name in ["dev/s.dec.yaml", "dev/out/dev/s.yaml"] {
        test.write(name, &plain);
    }
    let ways: [&[&str]; 5] = [
        &["encrypt", "--output", "dev/s.yaml", "dev/s.dec.yaml"],
        &["encrypt", "--filename-override", "dev/new.yaml", "--output", "dev/s.yaml", "dev/out/dev/s.yaml"],
        &["encrypt", "--filename-override", "dev/new.yaml", "-i", "dev/s.yaml"],
        &["encrypt", "--output-dir", "../..", "dev/s.yaml"],
        &["encrypt", "--filename-override", "dev/new.yaml", "--output", "dev/s.yaml", "-"],
    ];
    for args in ways {
        let within = if args.contains(&"--output-dir") { "dev/out" } else { "" };
        let output = test.sealant(args).cwd(test.path(within)).stdin(plain.as_bytes()).run().code(8);
        assert!(output.stderr.contains("prod/s.yaml of commit"), "{args:?} {output}");
        assert_eq!(test.read_text("dev/s.yaml"), plain, "{args:?}");
    }
    test.sealant(&["encrypt", "--output", "dev/other.yaml", "dev/s.dec.yaml"]).run().ok();
    // The way out.
    repo.ok(&["checkout", "HEAD", "--", "dev/s.yaml"]);
    repo.sealant(&["rotate", "-i", "--allow-copied", "dev/s.yaml"]);
    repo.commit("parted");
    for args in [["decrypt", "-i", "dev/s.yaml"], ["encrypt", "-i", "dev/s.yaml"]] {
        test.sealant(&args).run().ok();
    }
}

/// Where the plaintext goes is a link to what was moved, or was one when it was committed.
#[test]
fn what_is_behind_a_link_is_not_encrypted_for_others() {
    for (link, target) in [
        ("dev/db.yaml", "current.yaml"),
        ("dev/far.yaml", "far/../../dev/./current.yaml"),
        ("top.yaml", "dev/current.yaml"),
        ("live/current.yaml", "dev"),
    ] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        repo.ok(&["mv", "prod/s.yaml", "dev/current.yaml"]);
        test.write("dev/far/app.yaml", test.read("dev/app.yaml"));
        let at = link.strip_suffix("/current.yaml").unwrap_or(link);
        symlink(target, test.path(at)).expect("a link");
        repo.commit("moved");
        let (encrypted, plain) = (test.read("dev/current.yaml"), repo.plain("dev/current.yaml"));
        let refused = |args: &[&str]| {
            let output = test.sealant(args).stdin(plain.as_bytes()).run().code(8);
            for part in ["prod/s.yaml of commit", &moved.mallory, "git checkout HEAD -- dev/current.yaml"] {
                assert!(output.stderr.contains(part), "{link} {args:?} {part}: {output}");
            }
        };
        refused(&["encrypt", "--output", link, "-"]);
        refused(&["encrypt", "--onto", link, "--output", link, "-"]);
        assert_eq!(test.read("dev/current.yaml"), encrypted, "{link}");
        test.write("dev/current.yaml", &plain);
        refused(&["encrypt", "-i", link]);
        assert_eq!(test.read_text("dev/current.yaml"), plain, "{link}");
        // Whoever puts the plaintext in the place of the link has it from there, too.
        for staged in [false, true] {
            std::fs::remove_file(test.path(at))
                .or_else(|_| std::fs::remove_dir_all(test.path(at)))
                .expect("a link");
            test.write(link, &plain);
            if staged {
                repo.ok(&["add", "-A"]);
            }
            let keys = format!("{},{}", repo.recipient, moved.mallory);
            refused(&["encrypt", "-i", "--age", &keys, link]);
            assert_eq!(test.read_text(link), plain, "{link}");
        }
        // What was never elsewhere is encrypted behind a link as ever.
        symlink("app.yaml", test.path("dev/own.yaml")).expect("a link");
        repo.ok(&["add", "dev/own.yaml"]);
        for args in [["decrypt", "-i", "dev/own.yaml"], ["encrypt", "-i", "dev/own.yaml"]] {
            test.sealant(&args).run().ok();
        }
    }
}

/// The index has nothing of it but the sides of its conflict.
#[test]
fn what_is_in_conflict_is_not_encrypted_for_others() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let theirs = || {
        repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
        // So that our driver merges nothing.
        let text = test.read_text("dev/s.yaml").replacen("data:", "data:AAAA", 1);
        test.write("dev/s.yaml", text);
    };
    moved.branches(theirs, || repo.set("prod/s.yaml", "b", "planted-new"));
    let _ = repo.merge().code(1);
    repo.ok(&["checkout", "--ours", "dev/s.yaml"]);
    let plain = repo.plain("dev/s.yaml");
    test.write("dev/s.yaml", &plain);
    for staged in [false, true] {
        if staged {
            repo.ok(&["add", "dev/s.yaml"]);
        }
        for args in [&["encrypt", "-i", "dev/s.yaml"][..], &["encrypt", "--output", "dev/s.yaml", "-"]] {
            let output = test.sealant(args).stdin(plain.as_bytes()).run().code(8);
            for part in ["prod/s.yaml", &moved.mallory] {
                assert!(output.stderr.contains(part), "{staged} {args:?} {part}: {output}");
            }
            assert_eq!(test.read_text("dev/s.yaml"), plain, "{args:?}");
        }
    }
}

/// It has a new data key, and is in no commit yet: Git moves it along by itself when a branch moves what was there before.
#[test]
fn what_is_in_no_commit_and_is_moved_along_is_for_nobody_else() {
    for how in [
        "stash",
        "checkout",
        "staged",
        "committed",
        "squashed",
        "added in the merge",
        "amended",
        "listed",
        "beside",
    ] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let moves = || drop(repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]));
        moved.branches(moves, || test.write("ours", ""));
        repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
        repo.set("prod/s.yaml", "b", "planted-new");
        match how {
            "checkout" => drop(repo.ok(&["checkout", "-q", "-m", "theirs"])),
            _ => {
                repo.ok(&["stash", "-q"]);
                let _ = match how {
                    "squashed" => repo.ok(&["merge", "-q", "--squash", "theirs"]),
                    "added in the merge" => repo.ok(&["merge", "-q", "--no-ff", "--no-commit", "theirs"]),
                    _ => repo.merge().ok(),
                };
                repo.ok(&["stash", "pop", "-q"]);
            }
        }
        assert!(test.path("dev/s.yaml").exists(), "{how}");
        match how {
            "staged" | "added in the merge" => drop(repo.ok(&["add", "-A"])),
            "committed" | "squashed" => repo.commit("next"),
            "amended" => drop(repo.ok(&["commit", "-qna", "--amend", "-m", "next"])),
            "listed" => {
                repo.commit("next");
                let text = test.read_text("dev/s.yaml");
                test.write("dev/s.yaml", moved.listed(&text));
                repo.commit("listed");
                test.write("dev/s.yaml", text);
                repo.commit("as before");
            }
            "beside" => {
                repo.commit("next");
                let text = test.read_text("dev/s.yaml");
                test.write("dev/s.yaml", test.read("dev/app.yaml"));
                repo.commit("another file");
                test.write("dev/s.yaml", text);
                repo.commit("as before");
            }
            _ => {}
        }
        let ways = [
            &["updatekeys", "--yes", "dev/s.yaml"][..],
            &["updatekeys", "--yes", "dev"],
            &["rotate", "-i", "--add-age", &moved.mallory, "dev/s.yaml"],
            &["updatekeys", "--rotate", "--yes", "dev/s.yaml"],
            &["decrypt", "-i", "dev/s.yaml"],
        ];
        for args in ways {
            let output = test.sealant(args).run();
            for part in ["prod/s.yaml of commit", &moved.mallory, "--allow-copied dev/s.yaml"] {
                assert!(
                    output.status != 0 && output.stderr.contains(part),
                    "{how} {args:?} {part}: {output}"
                );
            }
        }
        moved.reads_nothing(how);
        // Nor by its plaintext, wherever that comes from.
        let (text, plain) = (test.read_text("dev/s.yaml"), repo.plain("dev/s.yaml"));
        if repo.git(&["cat-file", "-e", "HEAD:dev/s.yaml"]).run().status == 0 && how != "stash" {
            test.write("dev/s.yaml", plain);
            let output = test.sealant(&["encrypt", "-i", "dev/s.yaml"]).run().code(8);
            assert!(output.stderr.contains("prod/s.yaml of commit"), "{how}: {output}");
            test.write("dev/s.yaml", text);
        }
        // The way out.
        let output = repo.sealant(&["rotate", "-i", "--allow-copied", "dev/s.yaml"]);
        assert!(output.stderr.contains(&moved.mallory), "{output}");
        for commits in [false, true] {
            if commits {
                repo.commit("parted");
            }
            repo.sealant(&["updatekeys", "--yes", "dev/s.yaml"]);
            repo.sealant(&["rotate", "-i", "dev/s.yaml"]);
        }
        // Whoever joins later is let in as ever.
        let config = test.read_text(".sops.yaml");
        let nina = new_identity(test, &test.home("nina.txt"));
        test.write(".sops.yaml", config.replacen(&moved.mallory, &format!("{},{nina}", moved.mallory), 1));
        repo.commit("joined");
        repo.sealant(&["updatekeys", "--yes", "dev/s.yaml"]);
        assert!(test.read_text("dev/s.yaml").contains(&nina), "{how}");
    }
}

/// What has come to `dev/` with a new data key, and is committed there.
fn moved_along() -> Moved {
    let moved = moved_along_to("dev/s.yaml");
    let _ = moved.repo.test.sealant(&["updatekeys", "--yes", "dev/s.yaml"]).run().code(8);
    moved
}

/// The same, to any path.
fn moved_along_to(path: &str) -> Moved {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let moves = || {
        std::fs::create_dir_all(test.path(path).parent().expect("a folder")).expect("a folder");
        repo.ok(&["mv", "prod/s.yaml", path]);
    };
    moved.branches(moves, || test.write("ours", ""));
    repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
    repo.set("prod/s.yaml", "b", "planted-new");
    repo.ok(&["stash", "-q"]);
    let _ = repo.merge().ok();
    repo.ok(&["stash", "pop", "-q"]);
    repo.commit("next");
    moved
}

/// Where it goes on to, its data key was for everybody in the list; not so where it was first.
#[test]
fn what_was_moved_along_and_then_on_is_for_nobody_else() {
    let ways = ["moved", "listed", "uncommitted", "copied", "removed in between", "over another file"];
    for (first, ways) in [("dev/s.yaml", &ways[..]), ("no-rule/s.yaml", &ways[..2])] {
        for how in ways.iter().copied() {
            let case = format!("{first}, {how}");
            let moved = moved_along_to(first);
            let (repo, test) = (&moved.repo, &moved.repo.test);
            let config = test.read_text(".sops.yaml");
            test.write(
                ".sops.yaml",
                format!("{config}  - path_regex: ^open/\n    age: {},{}\n", repo.recipient, moved.mallory),
            );
            repo.commit("a rule");
            let text = test.read_text(first);
            std::fs::create_dir_all(test.path("open")).expect("a folder");
            match how {
                "copied" => test.write("open/s.yaml", &text),
                "listed" => {
                    repo.ok(&["mv", first, "open/s.yaml"]);
                    test.write("open/s.yaml", moved.listed(&text));
                    repo.commit("listed");
                    test.write("open/s.yaml", &text);
                }
                "removed in between" => {
                    repo.ok(&["rm", "-q", first]);
                    repo.commit("removed");
                    test.write("open/s.yaml", &text);
                }
                "over another file" => {
                    repo.encrypted("open/s.yaml", "a: another\n");
                    repo.commit("another file");
                    test.write("open/s.yaml", &text);
                    repo.ok(&["rm", "-q", first]);
                }
                _ => drop(repo.ok(&["mv", first, "open/s.yaml"])),
            }
            if how != "uncommitted" {
                repo.commit("on");
            }
            let ways = [
                &["updatekeys", "--yes", "open/s.yaml"][..],
                &["updatekeys", "--yes", "open"],
                &["rotate", "-i", "--add-age", &moved.mallory, "open/s.yaml"],
                &["decrypt", "-i", "open/s.yaml"],
            ];
            for args in ways {
                let output = test.sealant(args).run();
                for part in ["prod/s.yaml of commit", &moved.mallory, "--allow-copied open/s.yaml"] {
                    assert!(
                        output.status != 0 && output.stderr.contains(part),
                        "{case} {args:?} {part}: {output}"
                    );
                }
            }
            if how != "uncommitted" {
                let plain = repo.plain("open/s.yaml");
                test.write("open/s.yaml", plain);
                test.sealant(&["encrypt", "-i", "open/s.yaml"]).run().code(8);
                test.write("open/s.yaml", &text);
            }
            moved.reads_nothing(&case);
            // The way out.
            repo.sealant(&["rotate", "-i", "--allow-copied", "open/s.yaml"]);
            repo.commit("parted");
            repo.sealant(&["updatekeys", "--yes", "open/s.yaml"]);
        }
    }
}

/// Where somebody has made a repository of a folder, what the outer one had there counts as well.
#[test]
fn what_was_moved_along_into_a_nested_repository_is_for_nobody_else() {
    let moved = moved_along();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    repo.ok(&["init", "-q", "dev"]);
    for is_committed in [false, true] {
        if is_committed {
            repo.ok(&["-C", "dev", "add", "-A"]);
            let author = ["-c", "user.name=Mallory", "-c", "user.email=m@example.com"];
            repo.ok(&[&["-C", "dev"], &author[..], &["commit", "-qnm", "by Mallory"]].concat());
        }
        for args in [&["updatekeys", "--yes", "s.yaml"][..], &["decrypt", "-i", "s.yaml"]] {
            let output = test.sealant(args).cwd("dev").run().code(8);
            for part in ["prod/s.yaml of commit", &moved.mallory] {
                assert!(output.stderr.contains(part), "{is_committed} {args:?}: {output}");
            }
        }
    }
    moved.reads_nothing("nested");
}

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

/// Whoever is in the rule on both ends, or by a config that Git does not know, is let in as ever.
#[test]
fn readers_of_both_ends_are_in_no_way_of_a_sequence() {
    for (how, config) in
        [("--merge", "known"), ("--apply", "known"), ("--merge", "unknown"), ("--merge", "added")]
    {
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
        let rebased = repo.git(&["rebase", "-q", how, "main", "theirs"]).env("GIT_EDITOR", "true").run();
        assert_eq!(rebased.status, 0, "{how} {config}: {rebased}");
        let plain = repo.plain("prod/s.yaml");
        assert!(plain.contains("a: one more") && plain.contains("d: four more"), "{how} {config}: {plain}");
        assert_eq!(test.read_text("prod/s.yaml").contains(&nina), config == "added", "{how} {config}");
    }
}

/// Where a rebase stops, the config of somebody's commit is in the working tree.
#[test]
fn whom_a_rule_names_in_one_step_only_is_told() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let rules = test.read_text(".sops.yaml");
    let prod = format!("^prod/\n    age: {}", repo.recipient);
    test.write("README", "hello\n");
    repo.commit("a README");
    repo.ok(&["checkout", "-q", "-b", "theirs"]);
    test.write(".sops.yaml", rules.replacen(&prod, &format!("{prod},{}", moved.mallory), 1));
    repo.commit("wide");
    test.write("README", "theirs\n");
    repo.commit("stops here");
    test.write(".sops.yaml", &rules);
    repo.commit("rules back");
    repo.ok(&["checkout", "-q", "main"]);
    test.write("README", "ours\n");
    repo.commit("ours");
    let output = repo.git(&["rebase", "-q", "main", "theirs"]).env("GIT_EDITOR", "true").run();
    assert!(output.status != 0 && test.read_text(".sops.yaml") != rules, "{output}");
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\nstringData: {a: planted}\n";
    for (file, text) in
        [("new", "a: planted\n"), ("fix", "a: planted\n"), ("seal", secret), ("migrate", secret)]
    {
        test.write(format!("prod/{file}.yaml"), text);
    }
    for words in [
        &["check", "--fix", "prod/fix.yaml"][..],
        &["seal", "-i", "prod/seal.yaml"],
        &["migrate", "secrets", "prod/migrate.yaml"],
        &["rotate", "-i", "prod/s.yaml"],
        &["updatekeys", "--yes", "prod"],
        &["encrypt", "-i", "prod/new.yaml"],
        &["set", "prod/s.yaml", "[\"a\"]", "\"x\""],
    ] {
        let output = test.sealant(words).run();
        let (told, names) = (output.stderr.contains("only the config of this step names"), &moved.mallory);
        assert!(told && output.stderr.contains(names), "{words:?}: {output}");
    }
    repo.ok(&["rebase", "--abort"]);
    let output = test.sealant(&["rotate", "-i", "prod/s.yaml"]).run();
    assert!(!output.stderr.contains("under way"), "{output}");
}

/// A rule that has gone with the folder that it was for.
#[test]
fn what_was_moved_along_is_for_nobody_else_where_one_rule_is_left() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let (ours, mallory) = (&repo.recipient, &moved.mallory);
    let rest = format!("  - age: {ours},{mallory}\n");
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^prod/\n    age: {ours}\n{rest}"));
    repo.commit("rules");
    let moves = || {
        repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
        test.write(".sops.yaml", format!("creation_rules:\n{rest}"));
    };
    moved.branches(moves, || test.write("ours", ""));
    repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
    repo.set("prod/s.yaml", "b", "planted-new");
    repo.ok(&["stash", "-q"]);
    let _ = repo.merge().ok();
    repo.ok(&["stash", "pop", "-q"]);
    repo.commit("next");
    for args in [&["updatekeys", "--yes", "dev"][..], &["decrypt", "-i", "dev/s.yaml"]] {
        let output = test.sealant(args).run();
        assert!(output.status != 0 && output.stderr.contains("prod/s.yaml of commit"), "{output}");
    }
    moved.reads_nothing("one rule");
}

/// A part of it under the same data key, in another file: who gets the wrap of one opens both. And by standard input.
#[test]
fn what_was_moved_along_gives_its_data_key_to_no_other_file() {
    let moved = moved_along();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let plain = repo.plain("dev/s.yaml");
    let public = plain.split_inclusive('\n').filter(|line| !line.contains("planted"));
    test.write("dev/public.yaml", public.collect::<String>());
    let output = repo.sealant(&["encrypt", "--onto", "dev/s.yaml", "-i", "dev/public.yaml"]);
    assert!(output.stderr.contains("with a file that is for other readers"), "{output}");
    let secret = test.read_text("dev/s.yaml");
    let listed = moved.listed(&secret);
    let run = test.sealant(&["rotate", "--filename-override", "dev/s.yaml"]).stdin(listed.as_bytes()).run();
    assert!(run.status != 0 && run.stderr.contains("prod/s.yaml of commit"), "{run}");
    // What is honest passes.
    repo.ok(&["checkout", "-q", "--", "dev/app.yaml"]);
    let app = test.read("dev/app.yaml");
    test.sealant(&["rotate", "--filename-override", "dev/app.yaml"]).stdin(app).run().ok();
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

/// Mallory can put a wrap of theirs into two files, and say that it is for anybody.
#[test]
fn a_wrap_that_two_files_have_says_nothing_of_their_data_keys() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let junk = "a: junk\n";
    test.write("dev/junk.yaml", junk);
    repo.sealant(&["encrypt", "-i", "--age", &moved.mallory, "dev/junk.yaml"]);
    let junk = test.read_text("dev/junk.yaml");
    std::fs::remove_file(test.path("dev/junk.yaml")).expect("a file");
    let start = junk.find("        - enc: |").expect("an entry");
    let entry = &junk[start..junk.find("    lastmodified").expect("its end")];
    let with = |text: &str, entry: &str| {
        let at = text.find("    lastmodified").expect("the time");
        format!("{}{entry}{}", &text[..at], &text[at..])
    };
    let moves = || {
        let listed = with(&test.read_text("prod/s.yaml"), entry);
        repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
        test.write("dev/s.yaml", listed);
    };
    moved.branches(moves, || drop(repo.sealant(&["rotate", "-i", "prod/s.yaml"])));
    let new = test.read_text("prod/s.yaml");
    drop(repo.merge());
    test.write("dev/s.yaml", &new);
    repo.ok(&["rm", "-q", "--cached", "--ignore-unmatch", "prod/s.yaml"]);
    repo.ok(&["add", "-A"]);
    repo.ok(&["commit", "-qnm", "by hand"]);
    test.write("dev/s.yaml", with(&new, &entry.replace(&moved.mallory, &repo.recipient)));
    repo.ok(&["commit", "-qnam", "by Mallory"]);
    let output = test.sealant(&["updatekeys", "--yes", "dev/s.yaml"]).run();
    assert!(output.status != 0, "{output}");
    moved.reads_nothing("updatekeys");
}

/// Of a branch that was squashed, no commit shows any more that it was there first.
#[test]
fn a_copy_that_came_before_what_it_was_copied_from_is_for_nobody_else() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    repo.ok(&["checkout", "-q", "-b", "feature"]);
    repo.encrypted("prod/new.yaml", "a: planted-new\n");
    repo.commit("feature");
    let new = test.read("prod/new.yaml");
    repo.ok(&["checkout", "-q", "main"]);
    test.write("dev/s.yaml", new);
    repo.commit("copied by Mallory");
    repo.ok(&["merge", "-q", "--squash", "feature"]);
    repo.commit("feature (#1)");
    repo.ok(&["branch", "-q", "-D", "feature"]);
    let origin = format!("file://{}", test.path("").display());
    repo.ok(&["clone", "-q", &origin, "../clone"]);
    for is_gone in [false, true] {
        if is_gone {
            repo.ok(&["-C", "../clone", "rm", "-q", "prod/new.yaml"]);
            let author = ["-c", "user.name=Mallory", "-c", "user.email=m@example.com"];
            repo.ok(&[&["-C", "../clone"], &author[..], &["commit", "-qnm", "removed by Mallory"]].concat());
        }
        let output = test.sealant(&["updatekeys", "--yes", "dev/s.yaml"]).cwd("../clone").run().code(8);
        assert!(output.stderr.contains("prod/new.yaml"), "{is_gone}: {output}");
    }
    let told = test.sealant(&["check"]).cwd("../clone").run().code(1);
    assert!(told.text().contains("dev/s.yaml:1: ") && told.text().contains("[moved]"), "{told}");
}

/// What the advice says ends it.
#[test]
fn who_is_added_where_a_file_was_moved_is_let_in_after_the_advice() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let nina = new_identity(test, &test.home("nina.txt"));
    let rules = test.read_text(".sops.yaml");
    test.write(
        ".sops.yaml",
        format!("{rules}  - path_regex: ^qa/\n    age: {},{}\n", repo.recipient, moved.mallory),
    );
    std::fs::create_dir_all(test.path("qa")).expect("a folder");
    repo.ok(&["mv", "dev/app.yaml", "qa/app.yaml"]);
    repo.commit("moved among the same readers");
    let add = ["recipient", "add", &nina, "--for", "qa/app.yaml", "--yes"];
    let output = test.sealant(&add).run().code(8);
    assert!(output.stderr.contains("sealant rotate -i --allow-copied ./qa/app.yaml"), "{output}");
    repo.sealant(&["rotate", "-i", "--allow-copied", "qa/app.yaml"]);
    repo.commit("parted");
    repo.sealant(&add);
    assert!(test.read_text("qa/app.yaml").contains(&nina));
}

/// Anybody can push a branch that moves a file, or commit a copy and take it back.
#[test]
fn a_copy_elsewhere_takes_nothing_from_where_it_was_first() {
    for how in
        ["moved on a branch", "copied on a branch", "copied and removed", "copied, changed and removed"]
    {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let copies = || test.write("dev/s.yaml", test.read("prod/s.yaml"));
        match how {
            "moved on a branch" => {
                moved.branches(
                    || drop(repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"])),
                    || test.write("ours", ""),
                );
            }
            "copied on a branch" => moved.branches(copies, || test.write("ours", "")),
            _ => {
                copies();
                repo.commit("copied");
                repo.ok(&["rm", "-q", "dev/s.yaml"]);
                repo.commit("removed");
            }
        }
        if how == "copied, changed and removed" {
            repo.set("prod/s.yaml", "b", "planted-next");
            repo.commit("next");
        }
        repo.sealant(&["check"]);
        for args in [
            &["decrypt", "-i", "prod/s.yaml"][..],
            &["rotate", "-i", "prod/s.yaml"],
            &["updatekeys", "--rotate", "--yes", "prod"],
        ] {
            repo.sealant(args);
            repo.ok(&["checkout", "-q", "."]);
        }
        // Where it came later it is as ever.
        if how.ends_with("branch") {
            let _ = repo.merge().ok();
            let output = test.sealant(&["updatekeys", "--yes", "dev/s.yaml"]).run().code(8);
            assert!(output.stderr.contains("prod/s.yaml"), "{how}: {output}");
        }
    }
}

/// The readers that its own list names would be all that is left to say where it comes from.
#[test]
fn a_place_without_a_rule_hides_no_origin() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let older = test.read("prod/s.yaml");
    repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
    repo.commit("rotated");
    let moves = || {
        std::fs::create_dir(test.path("misc")).expect("a folder");
        repo.ok(&["mv", "prod/s.yaml", "misc/s.yaml"]);
        test.write("misc/s.yaml", &older);
    };
    moved.branches(moves, || repo.set("prod/s.yaml", "b", "planted-new"));
    let is_told = |output: Output| {
        assert!(
            output.status != 0 && output.to_string().contains("as no rule does for this path"),
            "{output}"
        );
    };
    is_told(repo.merge());
    is_told(test.sealant(&["resolve", "misc/s.yaml"]).run());
    is_told(test.sealant(&["rotate", "-i", "misc/s.yaml"]).run());
    let config = test.read_text(".sops.yaml");
    test.write(".sops.yaml", format!("{config}  - path_regex: ^misc/\n    age: {}\n", repo.recipient));
    repo.sealant(&["resolve", "misc/s.yaml"]);
    repo.commit("merged");
    assert!(repo.plain("misc/s.yaml").contains("planted-new"));
    repo.ok(&["mv", "misc/s.yaml", "dev/s.yaml"]);
    repo.commit("moved");
    let output = test.sealant(&["updatekeys", "--yes", "dev/s.yaml"]).run().code(8);
    assert!(output.stderr.contains("misc/s.yaml of commit"), "{output}");
}

#[test]
fn what_was_moved_is_not_unsealed_and_sealed_for_others() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let place = ["--namespace", "shop", "--name", "db"];
    let from = ["seal", "--from-file", "password=-", "--output"];
    let seal =
        |file: &str| test.sealant(&[&from[..], &[file], &place].concat()).stdin(b"planted-sealed").run();
    seal("prod/db.yaml").ok();
    repo.commit("sealed");
    repo.ok(&["mv", "prod/db.yaml", "dev/db.yaml"]);
    repo.commit("moved");
    let (sealed, plain) =
        (test.read_text("dev/db.yaml"), repo.sealant(&["unseal", "dev/db.yaml"]).text().to_owned());
    let refused = |output: Output, args: &[&str], now: &str| {
        let output = output.code(8);
        for part in ["prod/db.yaml of commit", &moved.mallory, "git checkout HEAD -- dev/db.yaml"] {
            assert!(output.stderr.contains(part), "{args:?} {part}: {output}");
        }
        assert_eq!(test.read_text("dev/db.yaml"), now, "{args:?}");
    };
    refused(seal("dev/db.yaml"), &[], &sealed);
    for args in [
        &["seal", "--output", "dev/db.yaml"][..],
        &["seal", "--onto", "dev/db.yaml", "--output", "dev/db.yaml"],
        &["seal", "--filename-override", "dev/db.yaml"],
        &["seal", "--filename-override", "dev/new.yaml", "--output", "dev/db.yaml"],
    ] {
        refused(test.sealant(args).stdin(plain.as_bytes()).run(), args, &sealed);
    }
    // What is in it gets another name, and so a new data key.
    let editor = test.editor("sed -i 's/password/renamed/' \"$1\"");
    let output = test.sealant(&["edit", "dev/db.yaml"]).env("EDITOR", &editor).run().code(8);
    for part in ["prod/db.yaml of commit", &moved.mallory, "--allow-copied dev/db.yaml"] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
    assert_eq!(test.read_text("dev/db.yaml"), sealed);
    for staged in [false, true] {
        test.write("dev/db.yaml", &plain);
        if staged {
            repo.ok(&["add", "-A"]);
        }
        for args in
            [&["seal", "-i", "dev/db.yaml"][..], &["seal", "-i", "dev"], &["migrate", "secrets", "dev"]]
        {
            refused(test.sealant(args).run(), args, &plain);
        }
    }
    // What has never been there is sealed as ever, and so is this, once it may be.
    test.sealant(&["seal", "--output", "dev/new.yaml"]).stdin(plain.as_bytes()).run().ok();
    repo.ok(&["checkout", "HEAD", "--", "dev/db.yaml"]);
    repo.sealant(&["rotate", "-i", "--allow-copied", "dev/db.yaml"]);
    repo.commit("parted");
    test.sealant(&["seal", "--output", "dev/db.yaml"]).stdin(plain.as_bytes()).run().ok();
}

/// Ways in which the rule of a place goes some commits before its file.
const BEFORE_THE_FILE: [&str; 7] = [
    "dropped",
    "dropped by a merge",
    "nested",
    "deleted",
    "dropped and edited",
    "dropped, then by a third place",
    "kept where it is sent",
];

impl Moved {
    fn drops_the_rule(&self, how: &str) {
        let (repo, test) = (&self.repo, &self.repo.test);
        let config = test.read_text(".sops.yaml");
        let (dev, _) = config.split_once("  - path_regex: ^prod/").expect("a rule");
        if how == "dropped by a merge" {
            let drops = || test.write(".sops.yaml", dev);
            self.branches(drops, || drop(repo.sealant(&["rotate", "-i", "prod/s.yaml"])));
            let _ = repo.merge().ok();
            return;
        }
        match how {
            "nested" => {
                test.write(
                    "prod/.sops.yaml",
                    format!("creation_rules:\n  - path_regex: ^other/\n    age: {}\n", repo.recipient),
                );
            }
            "deleted" => {
                repo.ok(&["rm", "-q", ".sops.yaml"]);
                test.write("dev/.sops.yaml", dev.replace("path_regex: ^dev/\n    ", ""));
            }
            "kept where it is sent" => {
                let sent = "destination_rules:\n  - path_regex: ^prod/\n    vault_path: prod\n";
                test.write(".sops.yaml", format!("{dev}{sent}"));
            }
            _ => test.write(".sops.yaml", dev),
        }
        repo.commit("tidy rules");
    }
}

/// Whoever drops the rule in a commit of its own would have the file count as one that was for nobody.
#[test]
fn a_rule_that_goes_before_its_file_lets_nobody_in() {
    for how in BEFORE_THE_FILE {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        moved.drops_the_rule(how);
        match how {
            "dropped and edited" => {
                repo.set("prod/s.yaml", "a", "1");
                repo.commit("edited");
            }
            "dropped, then by a third place" => {
                repo.ok(&["mv", "prod/s.yaml", "third.yaml"]);
                repo.commit("third");
                repo.ok(&["mv", "third.yaml", "prod/s.yaml"]);
            }
            _ => {}
        }
        repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
        repo.commit("tidy files");
        let found = test.sealant(&["check"]).run();
        let is_told = |line: &str| line.starts_with("dev/s.yaml:") && line.ends_with("[moved]");
        assert!(found.text().lines().any(is_told), "{how}: {found}");
        for args in [
            &["updatekeys", "--yes", "dev"][..],
            &["updatekeys", "--yes", "--rotate", "dev"],
            &["rotate", "-i", "--add-age", &moved.mallory, "dev/s.yaml"],
            &["decrypt", "-i", "dev/s.yaml"],
        ] {
            let output = test.sealant(args).run();
            assert!(
                output.status != 0 && output.stderr.contains("prod/s.yaml of commit"),
                "{how} {args:?} {output}"
            );
            moved.reads_nothing(how);
        }
        repo.sealant(&["rotate", "-i", "--allow-copied", "dev/s.yaml"]);
        repo.sealant(&["updatekeys", "--yes", "dev/s.yaml"]);
    }
}

/// A rule goes, or gets another name, and no file comes to others by it.
#[test]
fn a_rule_that_goes_without_its_file_is_in_nobodys_way() {
    for how in BEFORE_THE_FILE.into_iter().filter(|how| !how.contains("third")).chain(["renamed"]) {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let config = test.read_text(".sops.yaml");
        let is_quiet = |what: &str| {
            let found = test.sealant(&["check"]).run();
            assert!(
                !found.text().contains("[moved]") && !found.text().contains("[copied]"),
                "{how} {what}: {found}"
            );
        };
        let file = match how {
            "renamed" => {
                test.write(".sops.yaml", config.replace("^prod/", "^live/"));
                repo.commit("rules first");
                repo.ok(&["mv", "prod", "live"]);
                repo.commit("then files");
                "live/s.yaml"
            }
            _ => {
                moved.drops_the_rule(how);
                "prod/s.yaml"
            }
        };
        is_quiet("gone");
        repo.set(file, "a", "1");
        repo.commit("edited");
        is_quiet("edited");
        for args in [
            ["rotate", "-i", file],
            ["rotate", "-i", "dev"],
            ["decrypt", "-i", "dev/app.yaml"],
            ["encrypt", "-i", "dev/app.yaml"],
        ] {
            repo.sealant(&args);
        }
        repo.commit("rotated");
        // Somebody has a rule for it again, and for more.
        if how != "nested" && how != "deleted" {
            let rules = test.read_text(".sops.yaml");
            let both = format!("{},{}", repo.recipient, moved.mallory);
            let folder = file.split('/').next().expect("a folder");
            let rule = format!("creation_rules:\n  - path_regex: ^{folder}/\n    age: {both}\n");
            test.write(".sops.yaml", rules.replace("creation_rules:\n", &rule));
            repo.sealant(&["updatekeys", "--yes", file]);
            repo.sealant(&["updatekeys", "--rotate", "--yes", "."]);
            is_quiet("joined");
        }
    }
}

/// Where a file was before, a clone without its history cannot tell.
#[test]
fn in_a_shallow_clone_nobody_is_let_in() {
    for how in ["clone", "submodule"] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        moved.moves();
        repo.commit("moved");
        let url = format!("file://{}", test.path("").display());
        let (folder, files) = (test.home("clones"), ["-c", "protocol.file.allow=always"]);
        std::fs::create_dir(&folder).expect("a folder");
        let git = |within: &str, args: &[&str]| {
            let _ = repo.git(&[&files[..], args].concat()).cwd(folder.join(within)).run().ok();
        };
        let clone = match how {
            "clone" => {
                git("", &["clone", "-q", "--depth", "1", &url, "clone"]);
                folder.join("clone")
            }
            _ => {
                git("", &["init", "-q", "super"]);
                git("super", &["submodule", "--quiet", "add", &url, "sub"]);
                git("super", &["config", "-f", ".gitmodules", "submodule.sub.shallow", "true"]);
                git("super", &["add", "-A"]);
                git("super", &["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"]);
                git("", &["clone", "-q", "super", "clone"]);
                git("clone", &["submodule", "--quiet", "update", "--init"]);
                folder.join("clone/sub")
            }
        };
        let run = |args: &[&str]| test.sealant(args).cwd(&clone).run();
        let before = std::fs::read(clone.join("dev/s.yaml")).expect("a file");
        let checked = run(&["check"]).ok();
        assert!(checked.stderr.contains("fetch --unshallow"), "{how} {checked}");
        assert_eq!(checked.stderr.matches("is shallow").count(), 1, "{how} {checked}");
        for args in [&["rotate", "-i", "dev"][..], &["updatekeys", "--rotate", "--yes", "dev/s.yaml"]] {
            let output = run(args);
            assert!(output.status > 1 && output.stderr.contains("fetch --unshallow"), "{how} {output}");
            assert_eq!(std::fs::read(clone.join("dev/s.yaml")).expect("a file"), before);
        }
        // Nothing is in the way of a job that decrypts, and what it leaves does not come to others.
        let decrypted = run(&["decrypt", "-i", "dev/s.yaml"]).ok();
        assert!(decrypted.stderr.contains("fetch --unshallow"), "{how} {decrypted}");
        assert!(run(&["encrypt", "-i", "dev/s.yaml"]).status > 1);
        std::fs::write(clone.join("dev/s.yaml"), &before).expect("a file");
        let _ = repo.git(&["fetch", "-q", "--unshallow"]).cwd(&clone).run().ok();
        let told = run(&["check"]).code(1);
        assert!(told.text().contains("[moved]") && !told.stderr.contains("is shallow"), "{how} {told}");
        let refused = run(&["rotate", "-i", "dev/s.yaml"]).code(8);
        assert!(refused.stderr.contains("prod/s.yaml of commit"), "{how} {refused}");
    }
}

/// Where all rules are for the same people, and nothing was ever different in what the clone has, jobs are not told. What is
/// below, nobody knows: a file may have come from others there.
#[test]
fn where_all_read_all_a_shallow_clone_says_nothing_and_lets_nobody_in() {
    let repo = Repo::new(&[("a.yaml", SECRET)]);
    let test = &repo.test;
    let clone = test.home("clone");
    let url = format!("file://{}", test.path("").display());
    repo.ok(&["clone", "-q", "--depth", "1", &url, &clone.display().to_string()]);
    let run = |args: &[&str]| test.sealant(args).cwd(&clone).run();
    let before = std::fs::read(clone.join("a.yaml")).expect("a file");
    for args in [&["check"][..], &["decrypt", "a.yaml"], &["decrypt", "-i", "a.yaml"]] {
        let output = run(args).ok();
        assert!(!output.stderr.contains("shallow"), "{output}");
    }
    let refused = |args: &[&str]| {
        let output = run(args);
        assert!(output.status > 1 && output.stderr.contains("fetch --unshallow"), "{output}");
    };
    refused(&["encrypt", "-i", "a.yaml"]);
    std::fs::write(clone.join("a.yaml"), &before).expect("a file");
    refused(&["rotate", "-i", "a.yaml"]);
    assert_eq!(std::fs::read(clone.join("a.yaml")).expect("a file"), before);
    let _ = run(&["set", "a.yaml", "[\"a\"]", "\"1\""]).ok();
    let _ = repo.git(&["fetch", "-q", "--unshallow"]).cwd(&clone).run().ok();
    let _ = run(&["rotate", "-i", "a.yaml"]).ok();
}

/// A file came from a place for others, and its rule went along, before what the clone has: nobody is let in by that.
#[test]
fn a_move_below_what_a_shallow_clone_has_lets_nobody_in() {
    let moved = Moved::beside_all("dropped");
    let (repo, test) = (&moved.repo, &moved.repo.test);
    moved.moves_with_the_rule("dropped");
    repo.commit("moved");
    test.write("other.md", "later\n");
    repo.commit("later");
    let url = format!("file://{}", test.path("").display());
    let clone = |name: &str, depth: &str| {
        let folder = test.home(name);
        repo.ok(&["clone", "-q", "--depth", depth, &url, &folder.display().to_string()]);
        folder
    };
    for (name, depth) in [("one", "1"), ("two", "2")] {
        let folder = clone(name, depth);
        let output = test.sealant(&["rotate", "-i", "s.yaml"]).cwd(&folder).run();
        assert!(output.status > 1 && output.stderr.contains("fetch --unshallow"), "{depth} {output}");
    }
    // Where a config has changed in what is there, that is a reason to say it.
    let told = test.sealant(&["check"]).cwd(clone("three", "3")).run();
    assert!(told.text().contains("[moved]") || told.stderr.contains("fetch --unshallow"), "{told}");
}
