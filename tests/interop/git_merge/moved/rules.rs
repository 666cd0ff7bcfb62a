//! Rules that go along with a move, before it, or without any.

use std::os::unix::fs::symlink;

use super::{Moved, OTHER, SECRET};
use crate::git_merge::repo::{Repo, new_identity};

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

/// Ways in which a branch takes the rule along with a file, or makes it one for others.
const WITH_THE_RULE: [&str; 4] = ["nested", "renamed", "dropped", "narrowed"];

impl Moved {
    /// `prod/` is for us, everything else for Mallory, too.
    pub(super) fn beside_all(how: &str) -> Self {
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

    pub(super) fn moves_with_the_rule(&self, how: &str) {
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

/// A branch says of both ends the same, and its rule is wide while it moves the file.
#[test]
fn a_rule_that_is_wide_while_a_file_moves_lets_nobody_in() {
    for how in ["wide", "wide, by another path", "sealed"] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let anna = new_identity(test, &test.home("anna.txt"));
        let prod = format!("^prod/\n    age: {}", repo.recipient);
        let rules = test.read_text(".sops.yaml").replacen(&prod, &format!("{prod},{anna}"), 1);
        test.write(".sops.yaml", &rules);
        std::fs::remove_file(test.path("prod/s.yaml")).expect("a file");
        repo.commit("Anna reads prod");
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\nstringData: {a: planted-prod}\n";
        test.write("prod/s.yaml", secret);
        repo.sealant(&[if how == "sealed" { "seal" } else { "encrypt" }, "-i", "prod/s.yaml"]);
        repo.commit("a file");
        repo.ok(&["checkout", "-q", "-b", "theirs"]);
        let path = if how == "wide, by another path" { "^prod/s" } else { "^prod/" };
        let wide = format!("{path}\n    age: {},{anna},{}", repo.recipient, moved.mallory);
        test.write(".sops.yaml", rules.replacen(&format!("{prod},{anna}"), &wide, 1));
        repo.commit("wide");
        repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
        repo.commit("moved");
        test.write(".sops.yaml", &rules);
        repo.commit("rules back");
        repo.ok(&["checkout", "-q", "main"]);
        repo.ok(&["merge", "-q", "--ff-only", "theirs"]);
        let check = test.sealant(&["check", "dev"]).run();
        assert!(check.text().contains("prod/s.yaml of commit"), "{how}: {check}");
        let commands = [&["updatekeys", "--yes", "dev"][..], &["updatekeys", "--yes", "--rotate", "dev"]];
        for words in commands {
            let output = test.sealant(words).run();
            assert!(output.status == 8 && output.stderr.contains("prod/s.yaml of commit"), "{how}: {output}");
        }
        moved.reads_nothing(how);
    }
}

/// The two ends say the same of readers. In between a rule is for fewer, one is wide while its file moves, and the other place is for
/// fewer. Before, our own commits have written the rule in another way, for the same people.
#[test]
fn whatever_rules_say_on_the_way_of_a_move_lets_nobody_in() {
    for how in ["as ever", "written otherwise", "in another file", "by a merge"] {
        let moved = Moved::new();
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let (ours, mallory) = (&repo.recipient, &moved.mallory);
        let mut path = "^prod/";
        let mut config = ".sops.yaml";
        let say = |config: &str, path: &str, dev: &str, prod: &str| {
            let rules = format!(
                "creation_rules:\n  - path_regex: ^dev/\n    age: {dev}\n  - path_regex: {path}\n    age: {prod}\n"
            );
            test.write(config, rules);
        };
        let both = format!("{ours},{mallory}");
        match how {
            "written otherwise" => {
                path = "^prod/.*\\.yaml$";
                say(config, path, &both, ours);
                repo.commit("another pattern");
            }
            "in another file" => {
                config = ".sealant.yaml";
                repo.ok(&["mv", ".sops.yaml", config]);
                repo.commit("another name");
            }
            "by a merge" => {
                say(config, path, ours, ours);
                test.write("dev/.sops.yaml", format!("creation_rules:\n  - age: {ours}\n"));
                repo.sealant(&["updatekeys", "--yes", "--rotate", "dev"]);
                repo.commit("dev is ours");
                repo.ok(&["checkout", "-q", "-b", "simpler"]);
                repo.ok(&["rm", "-q", "dev/.sops.yaml"]);
                repo.commit("needed no more");
                repo.ok(&["checkout", "-q", "main"]);
                say(config, path, &both, ours);
                repo.commit("Mallory reads dev");
                repo.ok(&["merge", "-q", "--no-verify", "-m", "merged", "simpler"]);
                repo.sealant(&["updatekeys", "--yes", "dev"]);
                repo.commit("so she does");
            }
            _ => {}
        }
        let rules = test.read_text(config);
        repo.ok(&["checkout", "-q", "-b", "theirs"]);
        say(config, path, &both, mallory);
        repo.commit("for fewer");
        say(config, path, ours, if how == "by a merge" { ours } else { &both });
        repo.commit("wide, and narrow there");
        moved.moves();
        repo.commit("moved");
        test.write(config, &rules);
        test.write("README", "hello\n");
        repo.commit("a README");
        repo.ok(&["checkout", "-q", "main"]);
        repo.ok(&["merge", "-q", "--ff-only", "theirs"]);
        let check = test.sealant(&["check", "dev"]).run();
        assert!(check.text().contains("prod/s.yaml of commit"), "{how}: {check}");
        for words in [&["updatekeys", "--yes", "--rotate", "dev"][..], &["rotate", "-i", "dev/s.yaml"]] {
            let output = test.sealant(words).run();
            assert!(output.status == 8 && output.stderr.contains("prod/s.yaml of commit"), "{how}: {output}");
        }
        moved.reads_nothing(how);
    }
}

/// Where only `publish` has a rule, the list of the file says who reads it: that is no place for fewer.
#[test]
fn a_rule_that_only_sends_makes_no_place_for_fewer() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let rules = format!(
        "{}destination_rules:\n  - path_regex: ^open/\n    s3_bucket: b\n    recreation_rule:\n      age: {}\n",
        test.read_text(".sops.yaml"),
        repo.recipient
    );
    test.write(".sops.yaml", &rules);
    repo.commit("publish");
    repo.ok(&["checkout", "-q", "-b", "theirs"]);
    let prod = format!("^prod/\n    age: {}\n", repo.recipient);
    test.write(".sops.yaml", rules.replacen(&prod, &format!("^prod/\n    age: {}\n", moved.mallory), 1));
    repo.commit("for fewer");
    test.write(".sops.yaml", &rules);
    repo.commit("rules back");
    moved.moves_to("open");
    repo.commit("moved");
    repo.ok(&["checkout", "-q", "main"]);
    repo.ok(&["merge", "-q", "--ff-only", "theirs"]);
    let check = test.sealant(&["check", "open"]).run();
    assert!(check.text().contains("prod/s.yaml of commit"), "{check}");
    let output = test.sealant(&["rotate", "-i", "open/s.yaml"]).run();
    assert!(output.status == 8 && output.stderr.contains("prod/s.yaml of commit"), "{output}");
    moved.reads_nothing("open");
}
