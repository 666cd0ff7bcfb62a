//! Files of commits beside those that HEAD leads to, and of earlier times, that somebody puts where other people read: a branch
//! of an environment, a pull request, what was retired before they came. Mallory reads none of it, by no command and no merge;
//! and everyday work with branches is let be.

use super::repo::{Repo, new_identity};

const SECRET: &str = "a: planted-one\nb: planted-two\n";
const TEAM: &str = "a: team\nb: team\n";

struct World {
    repo: Repo,
    mallory: String,
}

impl World {
    fn new() -> Self {
        let repo = Repo::empty("");
        let mallory = new_identity(&repo.test, &repo.test.home("mallory.txt"));
        Self { repo, mallory }
    }

    /// A rule for us alone, for paths that a pattern matches, and one for all others, for Mallory, too.
    fn narrow(&self, pattern: &str) {
        let (ours, mallory) = (&self.repo.recipient, &self.mallory);
        let rules = format!(
            "creation_rules:\n  - path_regex: {pattern}\n    age: {ours}\n  - age: {ours},{mallory}\n"
        );
        self.repo.test.write(".sops.yaml", rules);
    }

    fn for_us(&self) {
        self.repo.rule(&self.repo.recipient, "");
    }

    fn for_all(&self) {
        self.repo.rule(&format!("{},{}", self.repo.recipient, self.mallory), "");
    }

    fn checkout(&self, args: &[&str]) {
        let _ = self.repo.ok(&[&["checkout", "-q"], args].concat());
    }

    /// What a commit has at a path, at another one.
    fn brings(&self, from: &str, to: &str) {
        let text = self.repo.ok(&["show", from]).text().to_owned();
        self.repo.test.write(to, text);
    }

    /// With Mallory in the list of the file, by an entry that was made for somebody else.
    fn forges(&self, file: &str) {
        let text = self.repo.test.read_text(file);
        if !text.contains(&self.mallory) {
            let start = text.find("        - enc: |").expect("an entry");
            let end = start + text[start..].find("    lastmodified").expect("its end");
            let entry = text[start..end].replace(&self.repo.recipient, &self.mallory);
            self.repo.test.write(file, format!("{}{entry}{}", &text[..end], &text[end..]));
        }
    }

    #[track_caller]
    fn reads_nothing(&self, file: &str, what: &str) {
        let test = &self.repo.test;
        if test.path(file).exists() {
            let run = test.sops(&["decrypt", "--ignore-mac", file]);
            let run = run.env("SOPS_AGE_KEY_FILE", test.home("mallory.txt"));
            let output = run.env("XDG_CONFIG_HOME", test.tmp()).run();
            assert!(!output.text().contains("planted-"), "{what}: {file}: {output}");
        }
    }

    /// `check` tells that it has moved, and no command lets anybody in.
    #[track_caller]
    fn is_told(&self, file: &str, what: &str) {
        let test = &self.repo.test;
        let output = test.sealant(&["check"]).run().code(1);
        let is_it = |line: &str| line.starts_with(&format!("{file}:")) && line.ends_with("[moved]");
        assert!(output.text().lines().any(is_it), "{what}: {output}");
        for args in [
            &["updatekeys", "--yes", file][..],
            &["updatekeys", "--rotate", "--yes", "."],
            &["rotate", "-i", file],
        ] {
            let output = test.sealant(args).run();
            let is_refused = output.stderr.contains("whose creation rule does not name");
            let is_listed = output.stderr.contains("already up to date");
            assert!(is_refused || is_listed, "{what}: {args:?}: {output}");
            self.reads_nothing(file, what);
        }
    }

    #[track_caller]
    fn is_quiet(&self, what: &str) {
        // Whom a rule names that a file does not list is told, and is no move.
        let output = self.repo.test.sealant(&["check"]).run();
        assert!(!output.text().contains("moved"), "{what}: {output}");
        self.repo.sealant(&["updatekeys", "--yes", "."]);
        self.repo.sealant(&["rotate", "-i", "."]);
        self.repo.commit("rotated");
    }
}

/// A branch that has, or had, secrets for us alone, and what Mallory takes of it.
type Branch = (&'static str, fn(&World), &'static str);

const BRANCHES: &[Branch] = &[
    (
        "a rule of its own",
        |world| {
            world.checkout(&["-b", "other"]);
            world.narrow("^ops/");
            world.repo.encrypted("ops/s.yaml", SECRET);
            world.repo.commit("ops");
            world.checkout(&["main"]);
        },
        "other:ops/s.yaml",
    ),
    (
        "the same place for fewer",
        |world| {
            world.checkout(&["-b", "other"]);
            world.for_us();
            world.repo.encrypted("s.yaml", SECRET);
            world.repo.commit("other");
            world.checkout(&["main"]);
        },
        "other:s.yaml",
    ),
    (
        "no commit in common",
        |world| {
            world.checkout(&["--orphan", "other"]);
            world.for_us();
            world.repo.encrypted("s.yaml", SECRET);
            world.repo.commit("other");
            world.checkout(&["main"]);
        },
        "other:s.yaml",
    ),
    (
        "replaced there",
        |world| {
            world.checkout(&["-b", "other"]);
            world.narrow("^ops/");
            world.repo.encrypted("ops/s.yaml", SECRET);
            world.repo.commit("ops");
            world.repo.encrypted("ops/s.yaml", TEAM);
            world.repo.commit("others");
            world.checkout(&["main"]);
        },
        "other~1:ops/s.yaml",
    ),
    (
        "retired before anybody came",
        |world| {
            world.for_us();
            world.repo.encrypted("old.yaml", SECRET);
            world.repo.commit("old");
            world.repo.ok(&["rm", "-q", "old.yaml"]);
            world.repo.commit("retired");
            world.for_all();
            world.repo.commit("joined");
        },
        "HEAD~2:old.yaml",
    ),
    (
        "replaced before anybody came",
        |world| {
            world.for_us();
            world.repo.encrypted("s.yaml", SECRET);
            world.repo.commit("old");
            world.repo.encrypted("s.yaml", TEAM);
            world.repo.commit("replaced");
            world.for_all();
            world.repo.sealant(&["updatekeys", "--yes", "s.yaml"]);
            world.repo.commit("joined");
        },
        "HEAD~2:s.yaml",
    ),
    (
        "only in what a branch was before",
        |world| {
            world.checkout(&["-b", "other"]);
            world.narrow("^ops/");
            world.repo.encrypted("ops/s.yaml", SECRET);
            world.repo.commit("ops");
            world.checkout(&["main"]);
            world.repo.ok(&["branch", "-q", "-D", "other"]);
        },
        "HEAD@{1}:ops/s.yaml",
    ),
];

#[test]
fn what_another_branch_or_time_had_is_for_nobody_else() {
    for (what, begins, secret) in BRANCHES {
        for place in ["app.yaml", "s.yaml", "new/x.yaml"] {
            let world = World::new();
            world.for_all();
            world.repo.encrypted("team.yaml", TEAM);
            if place == "s.yaml" {
                world.repo.encrypted("s.yaml", TEAM);
            }
            world.repo.commit("base");
            begins(&world);
            world.brings(secret, place);
            let what = format!("{what}: {place}");
            world.is_told(place, &what);
            world.forges(place);
            world.repo.commit("brought");
            world.is_told(place, &what);
        }
    }
}

#[test]
fn what_another_branch_or_time_had_is_merged_for_nobody_else() {
    for (what, begins, secret) in BRANCHES {
        for route in ["merge", "pick", "rebase", "mail"] {
            let world = World::new();
            let repo = &world.repo;
            world.for_all();
            repo.encrypted("team.yaml", TEAM);
            repo.encrypted("s.yaml", TEAM);
            repo.commit("base");
            begins(&world);
            let commit = repo.ok(&["rev-parse", secret.split(':').next().unwrap_or_default()]);
            let secret = format!("{}:{}", commit.text().trim(), secret.split(':').nth(1).unwrap_or_default());
            world.checkout(&["-b", "theirs"]);
            world.brings(&secret, "team.yaml");
            world.forges("team.yaml");
            repo.commit("theirs");
            let patch = repo.ok(&["format-patch", "-1", "--stdout", "--full-index", "--binary"]);
            repo.test.write("../mail", patch.text());
            world.checkout(&["main"]);
            repo.set("team.yaml", "extra", "x");
            repo.commit("ours");
            match route {
                "merge" => drop(repo.merge()),
                "pick" => drop(repo.git(&["cherry-pick", "theirs"]).run()),
                "mail" => {
                    repo.ok(&["branch", "-q", "-D", "theirs"]);
                    drop(repo.git(&["am", "-3", "../mail"]).run());
                }
                _ => {
                    world.checkout(&["theirs"]);
                    drop(repo.git(&["rebase", "-q", "main"]).run());
                }
            }
            world.reads_nothing("team.yaml", &format!("{what}: {route}"));
        }
    }
}

/// A clone of one branch has no commit of the other, and a mail may bring what was there.
#[test]
fn what_a_mail_brings_from_a_branch_that_is_not_here_is_merged_for_nobody_else() {
    for rules in ["^ops/", "^(prod|ops)/"] {
        let world = World::new();
        let repo = &world.repo;
        if rules == "^ops/" {
            world.for_all()
        } else {
            world.narrow("^prod/")
        }
        repo.encrypted("team.yaml", TEAM);
        repo.commit("base");
        world.checkout(&["-b", "other"]);
        world.narrow(rules);
        repo.encrypted("ops/s.yaml", SECRET);
        repo.commit("ops");
        world.checkout(&["-b", "theirs", "main"]);
        world.brings("other:ops/s.yaml", "team.yaml");
        world.forges("team.yaml");
        repo.commit("theirs");
        let patch = repo.ok(&["format-patch", "-1", "--stdout", "--full-index", "--binary"]);
        repo.test.write("../mail", patch.text());
        world.checkout(&["main"]);
        repo.set("team.yaml", "extra", "x");
        repo.commit("ours");
        for args in [
            &["branch", "-q", "-D", "other", "theirs"][..],
            &["reflog", "expire", "--expire=now", "--all"],
            &["gc", "-q", "--prune=now"],
        ] {
            repo.ok(args);
        }
        drop(repo.git(&["am", "-3", "../mail"]).run());
        world.reads_nothing("team.yaml", rules);
    }
}

/// Whoever writes the commits that move a file chooses its rules, too, one commit after another.
#[test]
fn a_rule_that_is_narrow_for_the_move_alone_lets_nobody_in() {
    for how in ["narrow", "narrow before", "broken", "a wrong pattern"] {
        let world = World::new();
        let repo = &world.repo;
        let rules = |dev: &str, prod: &str| {
            repo.test.write(
                ".sops.yaml",
                format!("creation_rules:\n{prod}  - path_regex: ^dev/\n    age: {dev}\n"),
            );
        };
        let (ours, all) = (repo.recipient.clone(), format!("{},{}", repo.recipient, world.mallory));
        let prod = format!("  - path_regex: ^prod/\n    age: {ours}\n");
        rules(&all, &prod);
        repo.encrypted("prod/s.yaml", SECRET);
        repo.encrypted("dev/a.yaml", TEAM);
        repo.commit("base");
        if how == "narrow before" {
            rules(&ours, &prod);
            repo.commit("narrow");
        }
        match how {
            "broken" => repo.test.write(".sops.yaml", "creation_rules: [\n"),
            "a wrong pattern" => rules(&ours, "  - path_regex: (\n    age: x\n"),
            _ => rules(&ours, ""),
        }
        repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
        repo.commit("moved");
        rules(&all, "");
        repo.commit("widened");
        world.is_told("dev/s.yaml", how);
    }
}

/// A merge brings what one of its parents has, and the parent is anybody's to choose.
#[test]
fn what_a_merge_brings_back_is_for_nobody_else() {
    for how in ["an evil merge", "a branch from before", "merged once"] {
        let world = World::new();
        let repo = &world.repo;
        let place = if how == "a branch from before" { "new/x.yaml" } else { "s.yaml" };
        world.for_us();
        repo.encrypted("s.yaml", SECRET);
        repo.encrypted("team.yaml", TEAM);
        repo.commit("old");
        repo.ok(&["tag", "old"]);
        match how {
            "merged once" => {
                world.for_all();
                repo.encrypted("s.yaml", TEAM);
                repo.commit("all");
                world.checkout(&["-b", "other"]);
                world.for_us();
                repo.commit("narrow");
                world.checkout(&["main"]);
                repo.ok(&["merge", "-q", "-s", "ours", "--no-edit", "other"]);
                world.checkout(&["other"]);
                repo.encrypted("s.yaml", SECRET);
                repo.commit("other");
                world.checkout(&["main"]);
                world.brings("other:s.yaml", "s.yaml");
                repo.commit("brought");
            }
            _ => {
                repo.encrypted("s.yaml", TEAM);
                repo.commit("replaced");
                repo.ok(&["tag", "replaced"]);
                world.for_all();
                repo.sealant(&["updatekeys", "--yes", "."]);
                repo.commit("joined");
                if how == "an evil merge" {
                    world.brings("old:s.yaml", "s.yaml");
                    repo.ok(&["add", "-A"]);
                    let tree = repo.ok(&["write-tree"]).text().trim().to_owned();
                    let args = ["commit-tree", &tree, "-p", "HEAD", "-p", "old", "-m", "evil"];
                    let merge = repo.ok(&args).text().trim().to_owned();
                    repo.ok(&["reset", "-q", "--hard", &merge]);
                } else {
                    world.checkout(&["-b", "theirs", "replaced"]);
                    world.brings("old:s.yaml", place);
                    repo.commit("theirs");
                    world.checkout(&["main"]);
                    repo.ok(&["merge", "-q", "--no-edit", "theirs"]);
                }
            }
        }
        world.is_told(place, how);
    }
}

/// A merge that takes the files of one side and the rules of the other.
#[test]
fn what_a_merge_takes_without_its_rule_is_for_nobody_else() {
    for how in ["ours", "theirs", "unrelated", "later", "behind a link", "another fork", "three parents"] {
        let world = World::new();
        let repo = &world.repo;
        world.for_all();
        if how == "behind a link" {
            std::fs::rename(repo.test.path(".sops.yaml"), repo.test.path("rules.yaml")).expect("a move");
            std::os::unix::fs::symlink("rules.yaml", repo.test.path(".sops.yaml")).expect("a link");
        }
        repo.encrypted("team.yaml", TEAM);
        repo.commit("base");
        world.checkout(&[if how == "unrelated" { "--orphan" } else { "-b" }, "other"]);
        world.for_us();
        repo.commit("narrow");
        repo.encrypted("s.yaml", SECRET);
        repo.commit("other");
        world.checkout(&["main"]);
        repo.set("team.yaml", "a", "other");
        repo.commit("ours");
        if how == "another fork" {
            // Where the two have parted is now where the rule was narrow already.
            repo.ok(&["merge", "-q", "-s", "ours", "--no-edit", "other~1"]);
        }
        if how == "three parents" {
            world.brings("other:s.yaml", "s.yaml");
            repo.ok(&["add", "-A"]);
            let tree = repo.ok(&["write-tree"]).text().trim().to_owned();
            let parents = ["-p", "main", "-p", "other", "-p", "other~1", "-m", "three"];
            let merge = repo.ok(&[&["commit-tree", &tree], &parents[..]].concat()).text().trim().to_owned();
            repo.ok(&["reset", "-q", "--hard", &merge]);
            world.is_told("s.yaml", how);
            continue;
        }
        if how == "theirs" {
            world.checkout(&["other"]);
        }
        let side = if how == "theirs" { "main" } else { "other" };
        drop(repo.git(&["merge", "-q", "--no-commit", "--no-ff", "--allow-unrelated-histories", side]).run());
        let rules = if how == "behind a link" { "rules.yaml" } else { ".sops.yaml" };
        repo.ok(&["checkout", "-q", "main", "--", rules, "team.yaml"]);
        // Until it is committed, the other way around is a rule that is changed in the working tree.
        if how != "theirs" {
            world.is_told("s.yaml", &format!("{how}, not committed"));
        }
        world.forges("s.yaml");
        repo.commit("merged");
        world.is_told("s.yaml", how);
        if how == "later" {
            repo.set("team.yaml", "a", "another");
            repo.commit("later");
            repo.ok(&["mv", "s.yaml", "new.yaml"]);
            repo.commit("moved");
            world.is_told("new.yaml", how);
        }
    }
}

/// How Git shows merges and orders files is a setting, of the repository or of the person: it hides nothing, and runs nothing.
#[test]
fn no_setting_of_git_hides_what_a_merge_has_taken() {
    let world = World::new();
    let repo = &world.repo;
    let canary = repo.test.path("../canary");
    world.for_all();
    repo.encrypted("team.yaml", TEAM);
    repo.test.write("f.txt", "base\n");
    repo.test.write(".gitattributes", "*.txt merge=canary\n");
    repo.commit("base");
    world.checkout(&["-b", "other"]);
    world.for_us();
    repo.encrypted("s.yaml", SECRET);
    repo.test.write("f.txt", "other\n");
    repo.commit("other");
    world.checkout(&["main"]);
    repo.test.write("f.txt", "ours\n");
    repo.commit("ours");
    drop(repo.git(&["merge", "-q", "--no-commit", "--no-ff", "other"]).run());
    repo.ok(&["checkout", "-q", "main", "--", ".sops.yaml", "team.yaml", "f.txt"]);
    repo.commit("merged");
    repo.ok(&["config", "merge.canary.driver", &format!("touch {}", canary.display())]);
    for (setting, value) in [
        ("log.diffMerges", "remerge"),
        ("log.diffMerges", "first-parent"),
        ("log.diffMerges", "off"),
        ("log.diffMerges", "combined"),
        ("log.follow", "true"),
        ("log.showRoot", "false"),
        ("diff.orderFile", "nowhere"),
        ("diff.renames", "copies"),
    ] {
        repo.ok(&["config", setting, value]);
        world.is_told("s.yaml", setting);
        repo.ok(&["config", "--unset", setting]);
        assert!(!canary.exists(), "{setting}={value}");
    }
}

/// A config that was asked for by its name may have any.
#[test]
fn what_a_merge_takes_without_a_rule_of_another_name_is_for_nobody_else() {
    let world = World::new();
    let repo = &world.repo;
    let named = |rules: fn(&World)| {
        rules(&world);
        std::fs::rename(repo.test.path(".sops.yaml"), repo.test.path("conf.yaml")).expect("a move");
    };
    named(World::for_all);
    repo.test.write("f", "base");
    repo.commit("base");
    world.checkout(&["-b", "other"]);
    named(World::for_us);
    repo.test.write("s.yaml", SECRET);
    repo.sealant(&["--config", "conf.yaml", "encrypt", "-i", "s.yaml"]);
    repo.commit("other");
    world.checkout(&["main"]);
    repo.test.write("f", "ours");
    repo.commit("ours");
    drop(repo.git(&["merge", "-q", "--no-commit", "--no-ff", "other"]).run());
    repo.ok(&["checkout", "-q", "main", "--", "conf.yaml"]);
    repo.commit("merged");
    let output = repo.test.sealant(&["updatekeys", "--yes", "s.yaml"]).env("SOPS_CONFIG", "conf.yaml").run();
    assert!(output.stderr.contains("whose creation rule does not name"), "{output}");
    world.reads_nothing("s.yaml", "named");
}

/// Nobody knows for whom files were in a repository that Git does not open.
#[test]
fn where_git_does_not_open_the_repository_nobody_is_let_in() {
    let world = World::new();
    let repo = &world.repo;
    world.narrow("^ops/");
    repo.encrypted("ops/s.yaml", SECRET);
    repo.commit("ops");
    repo.ok(&["mv", "ops/s.yaml", "s.yaml"]);
    repo.ok(&["config", "core.bare", "true"]);
    for args in [&["updatekeys", "--yes", "s.yaml"][..], &["rotate", "-i", "s.yaml"]] {
        let output = repo.test.sealant(args).run();
        assert!(output.status != 0 && output.stderr.contains("Git does not answer"), "{output}");
        world.reads_nothing("s.yaml", "bare");
    }
    // Plaintext is not kept from being encrypted, but it is said what nobody has looked at.
    for args in [["decrypt", "-i", "s.yaml"], ["encrypt", "-i", "s.yaml"]] {
        let output = repo.test.sealant(&args).run().ok();
        assert!(
            output.stderr.contains("warning:") && output.stderr.contains("Git does not answer"),
            "{output}"
        );
    }
}

/// What is there and in no commit of ours comes just now.
#[test]
fn what_comes_back_uncommitted_is_for_nobody_else() {
    let world = World::new();
    let repo = &world.repo;
    world.for_us();
    repo.encrypted("s.yaml", SECRET);
    repo.commit("old");
    repo.ok(&["rm", "-q", "s.yaml"]);
    repo.commit("retired");
    world.for_all();
    repo.commit("joined");
    world.brings("HEAD~2:s.yaml", "s.yaml");
    world.is_told("s.yaml", "not added");
    repo.ok(&["add", "-A"]);
    world.is_told("s.yaml", "added");
}

/// What people do with branches every day: nobody has moved anything to other readers.
#[test]
fn everyday_work_with_branches_is_let_be() {
    for how in [
        "squashed",
        "amended",
        "rebased",
        "merged",
        "left behind",
        "new meanwhile",
        "taken out",
        "renamed",
        "reverted",
        "forgotten",
        "grown",
        "released",
        "with its rule",
    ] {
        let world = World::new();
        let repo = &world.repo;
        world.narrow("^prod/");
        repo.encrypted("team.yaml", TEAM);
        repo.encrypted("prod/s.yaml", SECRET);
        repo.commit("base");
        // A folder of its own, for us alone, to which somebody comes later.
        let new = |age: &str| {
            let config = repo.test.read_text(".sops.yaml");
            let (_, rest) = config.split_once("creation_rules:\n").expect("rules");
            let rest = rest
                .split_once("^new/\n")
                .and_then(|(_, rest)| rest.split_once('\n'))
                .map_or(rest, |(_, rest)| rest);
            let rule = format!("creation_rules:\n  - path_regex: ^new/\n    age: {age}\n");
            repo.test.write(".sops.yaml", rule + rest);
        };
        let (ours, all) = (repo.recipient.clone(), format!("{},{}", repo.recipient, world.mallory));
        let joins = || {
            new(&all);
            repo.sealant(&["updatekeys", "--yes", "new"]);
        };
        match how {
            "squashed" => {
                world.checkout(&["-b", "feature"]);
                new(&ours);
                repo.encrypted("new/x.yaml", SECRET);
                repo.commit("new");
                repo.set("new/x.yaml", "a", "planted-other");
                repo.commit("set");
                world.checkout(&["main"]);
                repo.ok(&["merge", "-q", "--squash", "feature"]);
                repo.commit("squashed");
            }
            "amended" | "rebased" | "merged" => {
                if how != "amended" {
                    world.checkout(&["-b", "feature"]);
                }
                new(&ours);
                repo.encrypted("new/x.yaml", SECRET);
                repo.commit("new");
                repo.set("new/x.yaml", "a", "planted-other");
                if how == "amended" {
                    repo.ok(&["commit", "-q", "-a", "--amend", "-m", "new"]);
                } else {
                    repo.commit("set");
                    world.checkout(&["main"]);
                    repo.set("team.yaml", "a", "other");
                    repo.commit("ours");
                    if how == "rebased" {
                        world.checkout(&["feature"]);
                        repo.ok(&["rebase", "-q", "main"]);
                        world.checkout(&["main"]);
                    }
                    repo.ok(&["merge", "-q", "-m", "merged", "feature"]);
                }
            }
            "left behind" => {
                // A branch from before people came, with work of its own.
                new(&ours);
                repo.encrypted("new/x.yaml", SECRET);
                repo.commit("new");
                world.checkout(&["-b", "feature"]);
                repo.set("new/x.yaml", "b", "planted-other");
                repo.commit("theirs");
                world.checkout(&["main"]);
                joins();
                repo.commit("joined");
                repo.ok(&["merge", "-q", "-m", "merged", "feature"]);
            }
            "new meanwhile" => {
                // People come on main while a branch makes a file for those who were there.
                new(&ours);
                repo.commit("new");
                world.checkout(&["-b", "feature"]);
                repo.encrypted("new/x.yaml", SECRET);
                repo.commit("theirs");
                world.checkout(&["main"]);
                new(&all);
                repo.commit("joined");
                repo.ok(&["merge", "-q", "-m", "merged", "feature"]);
            }
            "taken out" => {
                // Somebody left on main, and a branch is from before that.
                new(&all);
                repo.encrypted("new/x.yaml", SECRET);
                repo.commit("new");
                world.checkout(&["-b", "feature"]);
                repo.set("team.yaml", "a", "other");
                repo.commit("theirs");
                world.checkout(&["main"]);
                new(&ours);
                repo.sealant(&["updatekeys", "--yes", "new"]);
                repo.commit("left");
                world.checkout(&["feature"]);
            }
            "renamed" => {
                new(&ours);
                repo.encrypted("new/y.yaml", SECRET);
                repo.commit("new");
                world.checkout(&["-b", "feature"]);
                repo.ok(&["mv", "new/y.yaml", "new/x.yaml"]);
                repo.commit("renamed");
                world.checkout(&["main"]);
                repo.ok(&["merge", "-q", "--squash", "feature"]);
                repo.commit("squashed");
            }
            "forgotten" => {
                new(&ours);
                repo.encrypted("new/x.yaml", SECRET);
                repo.commit("new");
                new(&all);
                repo.ok(&["commit", "-q", "-a", "--amend", "-m", "new"]);
            }
            "grown" => {
                let other = new_identity(&repo.test, &repo.test.home("other.txt"));
                world.checkout(&["-b", "feature"]);
                new(&ours);
                repo.encrypted("new/x.yaml", SECRET);
                repo.commit("new");
                new(&format!("{ours},{other}"));
                repo.sealant(&["updatekeys", "--yes", "new"]);
                repo.commit("grown");
                world.checkout(&["main"]);
                repo.ok(&["merge", "-q", "--squash", "feature"]);
                repo.commit("squashed");
            }
            "released" => {
                let other = new_identity(&repo.test, &repo.test.home("other.txt"));
                new(&all);
                repo.encrypted("new/x.yaml", SECRET);
                repo.commit("new");
                repo.ok(&["branch", "-q", "release"]);
                new(&format!("{ours},{other}"));
                repo.sealant(&["updatekeys", "--rotate", "--yes", "new"]);
                repo.commit("one left, another came");
                world.checkout(&["release"]);
                new(&ours);
                repo.sealant(&["updatekeys", "--rotate", "--yes", "new"]);
                repo.commit("left");
                repo.set("new/x.yaml", "b", "planted-other");
                repo.commit("fixed");
                world.checkout(&["main"]);
                repo.ok(&["cherry-pick", "release"]);
            }
            "with its rule" => {
                new(&ours);
                repo.encrypted("new/x.yaml", SECRET);
                repo.commit("new");
                repo.ok(&["mv", "new", "other"]);
                let config = repo.test.read_text(".sops.yaml");
                repo.test.write(".sops.yaml", config.replace("^new/", "^other/"));
                repo.commit("renamed");
                let config = repo.test.read_text(".sops.yaml");
                let other = new_identity(&repo.test, &repo.test.home("other.txt"));
                let grown = config.replacen(&format!("age: {ours}\n"), &format!("age: {ours},{other}\n"), 1);
                repo.test.write(".sops.yaml", grown);
                repo.commit("joined");
            }
            _ => {
                new(&ours);
                repo.encrypted("new/x.yaml", SECRET);
                repo.commit("new");
                joins();
                repo.commit("joined");
                repo.set("new/x.yaml", "a", "planted-other");
                repo.commit("set");
                repo.ok(&["revert", "--no-edit", "HEAD"]);
            }
        }
        world.is_quiet(how);
        if matches!(how, "squashed" | "amended" | "rebased" | "merged" | "renamed") {
            joins();
            repo.commit("joined");
            world.is_quiet(how);
        }
    }
}

/// A commit may name a parent any number of times, and a file may change as often as somebody likes.
#[test]
fn a_commit_that_names_its_parent_often_takes_no_longer() {
    let world = World::new();
    let repo = &world.repo;
    world.narrow("^ops/");
    repo.encrypted("ops/s.yaml", SECRET);
    repo.commit("base");
    let base = repo.ok(&["rev-parse", "HEAD"]).text().trim().to_owned();
    repo.test.write("app.yaml", repo.test.read("ops/s.yaml"));
    repo.ok(&["rm", "-q", "ops/s.yaml"]);
    world.for_all();
    repo.ok(&["add", "-A"]);
    let tree = repo.ok(&["write-tree"]).text().trim().to_owned();
    let mut last = base.clone();
    for _ in 0..5 {
        let parents: String = std::iter::repeat_n(format!("parent {base}\n"), 2000).collect();
        let person = "A <a@example.com> 1700000000 +0000";
        let commit =
            format!("tree {tree}\nparent {last}\n{parents}author {person}\ncommitter {person}\n\nmany\n");
        let made = repo
            .git(&["hash-object", "-t", "commit", "-w", "--literally", "--stdin"])
            .stdin(commit)
            .run()
            .ok();
        last = made.text().trim().to_owned();
    }
    repo.ok(&["update-ref", "refs/heads/main", &last]);
    repo.ok(&["reset", "-q", "--hard", "main"]);
    let start = std::time::Instant::now();
    world.is_told("app.yaml", "many parents");
    // Git was asked for each of them once: that took minutes.
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
