//! Whoever came by the rule of a place, after something had come there, reads it. That is no excuse for those whom only a branch
//! leaves out while it moves a file, by whatever rules, merges and configs.

use super::{Moved, OTHER, SECRET};
use crate::git_merge::repo::{Repo, new_identity};

impl Moved {
    #[track_caller]
    fn lets_nobody_in(&self, place: &str, how: &str) {
        self.lets_nobody_in_from("prod/s.yaml", place, how);
    }

    /// Takes over their branch, where the file is at `place`, and asserts that this lets nobody in.
    #[track_caller]
    fn lets_nobody_in_from(&self, from: &str, place: &str, how: &str) {
        let (repo, test) = (&self.repo, &self.repo.test);
        let from = format!("{from} of commit");
        repo.ok(&["checkout", "-q", "main"]);
        repo.ok(&["merge", "-q", "--ff", "--no-edit", "theirs"]);
        let check = test.sealant(&["check"]).run().code(1);
        let is_told = |line: &str| line.starts_with(place) && line.contains(&from);
        assert!(check.text().lines().any(is_told), "{how}: {check}");
        for words in [&["updatekeys", "--yes", "--rotate"][..], &["rotate", "-i"]] {
            let output = test.sealant(&[words, &[place]].concat()).run();
            let is_refused = output.status == 8 && output.stderr.contains(&from);
            // What no rule is for has no keys to update.
            assert!(
                is_refused || (words[0] == "updatekeys" && place.starts_with("misc/")),
                "{how}: {output}"
            );
        }
        self.reads_nothing(how);
    }
}

/// The other parent has the same, where their branch lets Mallory read it just then.
#[test]
fn what_the_other_side_of_their_merge_has_lets_nobody_in() {
    for how in ["a copy", "a wide rule", "a wide rule for one of two"] {
        let repo = Repo::empty("");
        let mallory = new_identity(&repo.test, &repo.test.home("mallory.txt"));
        let moved = Moved { repo, mallory };
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let (ours, both) = (repo.recipient.as_str(), moved.both());
        let anna = new_identity(test, &test.home("anna.txt"));
        let with_anna = format!("{ours},{anna}");
        moved.say(ours, ours);
        repo.encrypted("dev/app.yaml", OTHER);
        repo.commit("start");
        moved.say(&both, ours);
        repo.sealant(&["updatekeys", "--yes", "dev"]);
        repo.commit("Mallory reads dev");
        repo.encrypted("prod/s.yaml", SECRET);
        repo.commit("base");
        let listed = moved.listed(&test.read_text("prod/s.yaml"));
        repo.ok(&["checkout", "-q", "-b", "side", "main~2"]);
        test.write("dev/s.yaml", listed);
        moved.say(ours, &moved.mallory);
        repo.commit("to dev, which is ours");
        moved.say(ours, ours);
        repo.commit("prod is ours");
        repo.ok(&["checkout", "-q", "-b", "theirs", "main"]);
        match how {
            "a copy" => {
                std::fs::copy(test.path("prod/s.yaml"), test.path("dev/copy.yaml")).map(drop).expect("a copy")
            }
            "a wide rule" => moved.say(&both, &both),
            _ => moved.say(&both, &with_anna),
        }
        repo.commit("here as well");
        let config = test.read_text(".sops.yaml");
        let _ = repo.git(&["merge", "-q", "--no-commit", "side"]).run();
        test.write(".sops.yaml", config);
        repo.commit("merged");
        moved.say(ours, ours);
        repo.commit("dev is ours");
        repo.ok(&["rm", "-q", "prod/s.yaml"]);
        let _ = repo.git(&["rm", "-q", "dev/copy.yaml"]).run();
        repo.commit("moved");
        moved.say(&both, ours);
        repo.commit("rules back");
        moved.lets_nobody_in("dev/s.yaml", how);
    }
}

/// A place that no rule is for is given one, for fewer, while the file comes there.
#[test]
fn a_rule_that_is_there_for_the_move_alone_lets_nobody_in() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let rules = test.read_text(".sops.yaml");
    repo.ok(&["checkout", "-q", "-b", "theirs"]);
    moved.say(&moved.both(), &moved.mallory);
    repo.commit("for fewer");
    test.write(".sops.yaml", format!("{rules}  - path_regex: ^misc/\n    age: {}\n", repo.recipient));
    repo.commit("a rule for misc");
    moved.moves_to("misc");
    repo.commit("moved");
    test.write(".sops.yaml", &rules);
    repo.commit("rules back");
    moved.lets_nobody_in("misc/s.yaml", "no rule");
}

/// The config is above the repository, or Git ignores it: commits show nothing of whom it named.
#[test]
fn a_config_that_git_does_not_have_excuses_nobody() {
    for how in ["above", "ignored"] {
        let repo = Repo::empty("");
        let mallory = new_identity(&repo.test, &repo.test.home("mallory.txt"));
        let moved = Moved { repo, mallory };
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let (ours, both) = (repo.recipient.as_str(), moved.both());
        moved.say(&both, ours);
        match how {
            "above" => {
                let rules = test.read_text(".sops.yaml").replace("path_regex: ^", "path_regex: ^[^/]+/");
                test.write("../.sops.yaml", rules);
                std::fs::remove_file(test.path(".sops.yaml")).expect("a config");
            }
            _ => test.write(".git/info/exclude", "/.sops.yaml\n"),
        }
        repo.encrypted("prod/s.yaml", SECRET);
        repo.encrypted("dev/app.yaml", OTHER);
        repo.commit("base");
        repo.ok(&["checkout", "-q", "-b", "theirs"]);
        let say = |folder: &str, readers: &str| {
            test.write(format!("{folder}/.sops.yaml"), format!("creation_rules:\n  - age: {readers}\n"));
        };
        say("dev", ours);
        say("prod", &moved.mallory);
        repo.commit("for fewer");
        say("prod", &both);
        repo.commit("wide");
        moved.moves();
        repo.commit("moved");
        repo.ok(&["rm", "-q", "dev/.sops.yaml", "prod/.sops.yaml"]);
        repo.commit("no configs");
        moved.lets_nobody_in("dev/s.yaml", how);
    }
}

/// Mallory has left `prod/`, and was in a rule for one commit more than in the list of the file.
#[test]
fn a_rule_that_names_more_than_the_list_excuses_nobody() {
    let moved = Moved::new();
    let repo = &moved.repo;
    let (ours, both) = (repo.recipient.as_str(), moved.both());
    moved.say(&both, &both);
    repo.sealant(&["updatekeys", "--yes", "prod"]);
    repo.commit("Mallory reads all");
    moved.say(&both, ours);
    repo.sealant(&["updatekeys", "--yes", "--rotate", "prod"]);
    repo.set("prod/s.yaml", "c", "planted-new");
    repo.ok(&["commit", "-q", "-m", "a new data key", "prod"]);
    repo.commit("Mallory has left prod");
    repo.ok(&["checkout", "-q", "-b", "theirs"]);
    moved.say(&both, &moved.mallory);
    repo.commit("for fewer");
    moved.say(&both, &both);
    repo.commit("wide");
    moved.moves();
    repo.commit("moved");
    moved.say(&both, ours);
    repo.commit("rules back");
    moved.lets_nobody_in("dev/s.yaml", "the list");
}

/// `dev/` is for us alone at first, and so are others; then Mallory joins it.
fn before_mallory(folders: &[&str]) -> Moved {
    let repo = Repo::empty("");
    let mallory = new_identity(&repo.test, &repo.test.home("mallory.txt"));
    let moved = Moved { repo, mallory };
    let ours = moved.repo.recipient.clone();
    let all: Vec<(&str, &str)> = folders.iter().map(|folder| (*folder, ours.as_str())).collect();
    moved.names(&all);
    moved.repo.encrypted("dev/app.yaml", OTHER);
    moved
}

/// A colleague's branch has a new folder for us alone. Theirs has it as well, and widens its rule before it takes the file away.
#[test]
fn what_a_branch_has_in_a_folder_of_its_own_is_for_nobody_else() {
    for how in ["a copy", "merged", "nested"] {
        let moved = before_mallory(&["dev"]);
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let (ours, both) = (repo.recipient.as_str(), moved.both());
        moved.names(&[("dev", &both)]);
        repo.sealant(&["updatekeys", "--yes", "dev"]);
        repo.commit("base");
        let rules = test.read_text(".sops.yaml");
        repo.ok(&["checkout", "-q", "-b", "feature"]);
        moved.names(&[("dev", &both), ("vault", ours)]);
        repo.encrypted("vault/s.yaml", SECRET);
        repo.commit("a vault");
        let file = test.read_text("vault/s.yaml");
        repo.ok(&["checkout", "-q", "-b", "theirs", "main"]);
        match how {
            "merged" => drop(repo.ok(&["merge", "-q", "feature"])),
            "nested" => {
                test.write("vault/s.yaml", &file);
                test.write("vault/.sops.yaml", format!("creation_rules:\n  - age: {ours}\n"));
                repo.commit("a vault");
            }
            _ => {
                test.write("vault/s.yaml", &file);
                moved.names(&[("dev", &both), ("vault", ours)]);
                repo.commit("a vault");
            }
        }
        match how {
            "nested" => test.write("vault/.sops.yaml", format!("creation_rules:\n  - age: {both}\n")),
            _ => moved.names(&[("dev", &both), ("vault", &both)]),
        }
        repo.commit("wide");
        repo.ok(&["rm", "-q", "-r", "vault"]);
        test.write("dev/s.yaml", moved.listed(&file));
        test.write(".sops.yaml", &rules);
        repo.commit("moved");
        moved.lets_nobody_in_from("vault/s.yaml", "dev/s.yaml", how);
    }
}

/// A value has left its file for another place before Mallory came, and a branch of before brings it back to the same path.
#[test]
fn what_was_gone_when_somebody_came_comes_back_for_nobody_else() {
    for how in ["merge", "cherry-pick", "revert"] {
        let moved = before_mallory(&["dev", "prod"]);
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let (ours, both) = (repo.recipient.as_str(), moved.both());
        repo.encrypted("dev/s.yaml", "a: one\n");
        repo.commit("start");
        repo.set("dev/s.yaml", "c", "planted-prod");
        repo.commit("a secret");
        repo.encrypted("prod/s.yaml", "c: planted-prod\n");
        repo.encrypted("dev/s.yaml", "a: one\n");
        repo.commit("moved to prod");
        moved.names(&[("dev", &both), ("prod", ours)]);
        repo.sealant(&["updatekeys", "--yes", "."]);
        repo.commit("Mallory reads dev");
        repo.ok(&["checkout", "-q", "-b", "theirs", "main~3"]);
        repo.ok(&["checkout", "-q", "main~2", "--", "dev/s.yaml"]);
        repo.commit("as it was");
        repo.ok(&["checkout", "-q", "main"]);
        repo.set("dev/s.yaml", "b", "two");
        repo.commit("ours");
        let _ = match how {
            "revert" => repo.git(&["revert", "--no-edit", "main~2"]).run(),
            "merge" => repo.git(&["merge", "-m", "merged", "theirs"]).run(),
            _ => repo.git(&["cherry-pick", "theirs"]).run(),
        };
        moved.reads_nothing(how);
        for words in
            [&["resolve", "dev/s.yaml"][..], &["updatekeys", "--yes", "dev"], &["rotate", "-i", "dev/s.yaml"]]
        {
            let _ = test.sealant(words).run();
            moved.reads_nothing(how);
        }
    }
}

/// It was replaced before Mallory came to both places, and their own branch puts it back for one commit.
#[test]
fn what_is_put_back_for_one_commit_excuses_nobody() {
    for how in ["--ff-only", "--no-ff"] {
        let moved = before_mallory(&["dev", "prod"]);
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let both = moved.both();
        repo.encrypted("prod/s.yaml", SECRET);
        repo.commit("start");
        let listed = moved.listed(&test.read_text("prod/s.yaml"));
        repo.encrypted("prod/s.yaml", OTHER);
        repo.commit("replaced");
        moved.names(&[("dev", &both), ("prod", &both)]);
        repo.sealant(&["updatekeys", "--yes", "."]);
        repo.commit("Mallory reads both");
        repo.ok(&["checkout", "-q", "-b", "side", "main~2"]);
        test.write("dev/s.yaml", &listed);
        repo.commit("a copy");
        repo.ok(&["checkout", "-q", "-b", "theirs", "main"]);
        test.write("prod/s.yaml", &listed);
        repo.commit("as it was");
        repo.ok(&["merge", "-q", "-m", "merged", "side"]);
        repo.ok(&["checkout", "-q", "main", "--", "prod/s.yaml"]);
        repo.commit("as it is");
        repo.ok(&["checkout", "-q", "main"]);
        repo.ok(&["merge", "-q", how, "-m", "merged", "theirs"]);
        moved.lets_nobody_in_from("prod/s.yaml", "dev/s.yaml", how);
    }
}

/// Of two that were in one file, one came to `dev/` before Mallory did. The other one comes later, to the same file.
#[test]
fn what_came_before_excuses_nothing_that_comes_after() {
    let moved = before_mallory(&["dev", "prod"]);
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let both = moved.both();
    let secret = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: shop}}\nstringData: {{password: planted-{name}}}\n"
        )
    };
    for name in ["db", "api"] {
        test.write(format!("prod/{name}.yaml"), secret(name));
        repo.sealant(&["seal", "-i", &format!("prod/{name}.yaml")]);
    }
    let [db, api] = ["db", "api"].map(|name| test.read_text(format!("prod/{name}.yaml")));
    for name in ["db", "api"] {
        std::fs::remove_file(test.path(format!("prod/{name}.yaml"))).expect("a file");
    }
    test.write("prod/s.yaml", format!("{db}---\n{api}"));
    repo.commit("start");
    repo.ok(&["rm", "-q", "prod/s.yaml"]);
    test.write("dev/s.yaml", &db);
    moved.names(&[("dev", &repo.recipient)]);
    repo.commit("db to dev, api is retired");
    moved.names(&[("dev", &both)]);
    repo.sealant(&["updatekeys", "--yes", "dev"]);
    repo.commit("Mallory reads dev");
    let now = test.read_text("dev/s.yaml");
    repo.ok(&["checkout", "-q", "-b", "theirs"]);
    test.write("dev/s.yaml", format!("{now}---\n{api}"));
    repo.commit("one more");
    moved.lets_nobody_in_from("prod/s.yaml", "dev/s.yaml", "a second one");
}

/// `main` has dropped the rule of a place, and a branch puts a wide one there for one commit.
#[test]
fn a_rule_that_is_wide_after_it_was_dropped_lets_nobody_in() {
    let moved = before_mallory(&["dev", "prod"]);
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let (ours, both) = (repo.recipient.as_str(), moved.both());
    moved.names(&[("dev", &both), ("prod", ours)]);
    repo.sealant(&["updatekeys", "--yes", "dev"]);
    repo.encrypted("prod/s.yaml", SECRET);
    repo.commit("start");
    moved.names(&[("dev", &both)]);
    repo.commit("no rule for prod");
    let rules = test.read_text(".sops.yaml");
    repo.ok(&["checkout", "-q", "-b", "theirs"]);
    moved.names(&[("dev", &both), ("prod", &both)]);
    repo.commit("wide");
    moved.moves();
    test.write(".sops.yaml", &rules);
    repo.commit("moved");
    moved.lets_nobody_in("dev/s.yaml", "dropped");
}

/// Folders are renamed with their rules, and people join before and after.
#[test]
fn whoever_joins_reads_what_is_renamed_with_its_rule() {
    let moved = before_mallory(&["dev"]);
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let (ours, both) = (repo.recipient.as_str(), moved.both());
    let anna = new_identity(test, &test.home("anna.txt"));
    let all = format!("{both},{anna}");
    let is_quiet = |paths: &str| {
        repo.sealant(&["updatekeys", "--yes", paths]);
        repo.sealant(&["check"]);
        repo.sealant(&["rotate", "-i", paths]);
        repo.sealant(&["check"]);
    };
    moved.names(&[("dev", ours), ("web", ours)]);
    repo.encrypted("web/s.yaml", SECRET);
    repo.commit("web");
    moved.names(&[("dev", ours), ("web", &both)]);
    repo.sealant(&["updatekeys", "--yes", "web"]);
    repo.commit("Mallory joins");
    repo.ok(&["mv", "web", "site"]);
    moved.names(&[("dev", ours), ("site", &both)]);
    repo.commit("renamed");
    repo.sealant(&["check"]);
    moved.names(&[("dev", ours), ("site", &all)]);
    is_quiet("site");
    repo.commit("Anna joins");
    // While a branch renames it, somebody else comes.
    let nina = new_identity(test, &test.home("nina.txt"));
    let with_nina = format!("{all},{nina}");
    let renames = || drop(repo.ok(&["mv", "site/s.yaml", "site/t.yaml"]));
    let joins = || {
        moved.names(&[("dev", ours), ("site", &with_nina)]);
        repo.sealant(&["updatekeys", "--yes", "site"]);
    };
    repo.branches(joins, renames);
    repo.ok(&["merge", "-q", "-m", "merged", "theirs"]);
    is_quiet("site");
}

/// In one commit Mallory comes to `dev/`, and what is not for her moves to `prod/`; or a file was in `dev/` before that had a rule.
#[test]
fn what_was_taken_away_as_somebody_came_is_for_nobody_else() {
    for how in ["live", "live, with a blank", "retired", "without a rule"] {
        let moved = before_mallory(&["dev", "prod"]);
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let (ours, both) = (repo.recipient.as_str(), moved.both());
        let anna = new_identity(test, &test.home("anna.txt"));
        if how == "without a rule" {
            moved.names(&[("prod", ours)]);
            test.write("dev/s.yaml", SECRET);
            repo.sealant(&["encrypt", "-i", "--age", ours, "dev/s.yaml"]);
        } else {
            repo.encrypted("dev/s.yaml", SECRET);
        }
        repo.encrypted("prod/app.yaml", OTHER);
        let file = test.read_text("dev/s.yaml");
        repo.commit("start");
        repo.ok(&["mv", "dev/s.yaml", "prod/s.yaml"]);
        let dev = if how == "without a rule" { ours } else { both.as_str() };
        moved.names(&[("dev", dev), ("prod", ours)]);
        repo.sealant(&["updatekeys", "--yes", "dev"]);
        repo.commit("Mallory reads dev, but not this");
        if !how.starts_with("live") {
            repo.ok(&["rm", "-q", "prod/s.yaml"]);
        }
        moved.names(&[("dev", &both), ("prod", &format!("{ours},{anna}"))]);
        repo.sealant(&["updatekeys", "--yes", "."]);
        repo.commit("Anna reads prod");
        repo.ok(&["checkout", "-q", "-b", "theirs"]);
        if how.starts_with("live") {
            repo.ok(&["rm", "-q", "prod/s.yaml"]);
        }
        test.write("dev/s.yaml", if how.ends_with("blank") { file.replacen(": ", ":  ", 1) } else { file });
        repo.commit("back");
        repo.ok(&["checkout", "-q", "main"]);
        repo.ok(&["merge", "-q", "--ff-only", "theirs"]);
        let check = test.sealant(&["check"]).run().code(1);
        let is_told = |line: &str| line.starts_with("dev/s.yaml:") && line.ends_with("[moved]");
        assert!(check.text().lines().any(is_told), "{how}: {check}");
        for words in [&["updatekeys", "--yes", "dev"][..], &["rotate", "-i", "dev/s.yaml"]] {
            let output = test.sealant(words).run().code(8);
            assert!(output.stderr.contains("s.yaml of commit"), "{how}: {output}");
            moved.reads_nothing(how);
        }
    }
}

/// A value was replaced and its data key as well before Mallory came; her branch puts the whole file back as it was.
#[test]
fn what_was_replaced_when_somebody_came_is_merged_for_nobody_else() {
    for how in ["merge", "cherry-pick", "rebase"] {
        let moved = before_mallory(&["dev"]);
        let (repo, test) = (&moved.repo, &moved.repo.test);
        repo.encrypted("dev/s.yaml", "a: planted-old\nb: two\nc: three\nd: four\n");
        repo.commit("start");
        let file = test.read_text("dev/s.yaml");
        repo.set("dev/s.yaml", "a", "new");
        repo.sealant(&["rotate", "-i", "dev/s.yaml"]);
        repo.commit("a new value, and a new data key");
        moved.names(&[("dev", &moved.both())]);
        repo.sealant(&["updatekeys", "--yes", "dev"]);
        repo.commit("Mallory reads dev");
        let theirs = || test.write("dev/s.yaml", &file);
        repo.branches(|| repo.set("dev/s.yaml", "d", "more"), theirs);
        match how {
            "merge" => drop(repo.git(&["merge", "-m", "merged", "theirs"]).run()),
            "cherry-pick" => drop(repo.git(&["cherry-pick", "theirs"]).run()),
            _ => drop(repo.git(&["rebase", "-q", "main", "theirs"]).run()),
        }
        for words in
            [&["resolve", "dev/s.yaml"][..], &["updatekeys", "--yes", "dev"], &["rotate", "-i", "dev/s.yaml"]]
        {
            let _ = test.sealant(words).run();
            moved.reads_nothing(how);
        }
    }
}

/// A branch names Mallory while it has a file, which is gone at its tip; another one brings that file.
#[test]
fn what_only_the_commit_that_names_somebody_has_is_for_nobody_else() {
    let moved = before_mallory(&["dev", "prod"]);
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let (ours, both) = (repo.recipient.as_str(), moved.both());
    repo.encrypted("prod/s.yaml", SECRET);
    repo.commit("start");
    let file = test.read_text("prod/s.yaml");
    repo.ok(&["rm", "-q", "prod/s.yaml"]);
    repo.commit("retired");
    let joins = || {
        test.write("dev/z.yaml", &file);
        repo.commit("z");
        moved.names(&[("dev", &both), ("prod", ours)]);
        repo.commit("Mallory reads dev");
        std::fs::remove_file(test.path("dev/z.yaml")).expect("a file");
    };
    repo.branches(|| test.write("ours", ""), joins);
    repo.ok(&["merge", "-q", "--no-ff", "-m", "Mallory reads dev", "theirs"]);
    repo.ok(&["branch", "-q", "-D", "theirs"]);
    repo.sealant(&["updatekeys", "--yes", "dev"]);
    repo.commit("so she does");
    repo.ok(&["checkout", "-q", "-b", "theirs"]);
    test.write("dev/s.yaml", &file);
    repo.commit("one more");
    moved.lets_nobody_in("dev/s.yaml", "in between");
}

/// A branch puts back what was retired, where today's rule names Mallory; or puts it, or something that looks like it, where she
/// reads or will read. Another one brings it to `dev/`.
#[test]
fn what_lies_somewhere_else_excuses_nobody() {
    for how in ["in its place", "in docs", "quoted", "a link"] {
        let moved = before_mallory(&["dev", "prod"]);
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let (ours, both) = (repo.recipient.clone(), moved.both());
        let anna = new_identity(test, &test.home("anna.txt"));
        let is_back = how == "in its place";
        let dev = if is_back { &both } else { &ours };
        let says =
            |dev: &str, prod: &str, docs: &str| moved.names(&[("dev", dev), ("prod", prod), ("docs", docs)]);
        says(dev, &ours, &both);
        repo.sealant(&["updatekeys", "--yes", "dev"]);
        repo.encrypted("prod/s.yaml", SECRET);
        repo.commit("start");
        let file = test.read_text("prod/s.yaml");
        let listed = moved.listed(&file);
        repo.ok(&["rm", "-q", "prod/s.yaml"]);
        repo.commit("retired");
        let prod = if is_back { both.clone() } else { format!("{ours},{anna}") };
        says(dev, &prod, &both);
        repo.commit("somebody joins prod");
        repo.ok(&["checkout", "-q", "-b", "first"]);
        match how {
            "in its place" => test.write("prod/s.yaml", &file),
            "in docs" => test.write("docs/z.yaml", &listed),
            "quoted" => test.write("docs/z.yaml", listed.replace('\n', "\n# ")),
            _ => std::os::unix::fs::symlink(&listed, test.path("dev/s.yaml")).expect("a link"),
        }
        repo.commit("first");
        says(dev, &prod, &ours);
        repo.commit("narrow");
        says(dev, &prod, &both);
        repo.commit("as before");
        repo.ok(&["checkout", "-q", "main"]);
        repo.ok(&["merge", "-q", "--ff-only", "first"]);
        if !is_back {
            says(&both, &prod, &both);
            repo.sealant(&["updatekeys", "--yes", "dev/app.yaml"]);
            repo.commit("Mallory reads dev");
        }
        repo.ok(&["checkout", "-q", "-b", "theirs"]);
        let _ = std::fs::remove_file(test.path("dev/s.yaml"));
        test.write("dev/s.yaml", &listed);
        repo.commit("second");
        moved.lets_nobody_in_from("yaml", "dev/s.yaml", how);
    }
}

/// Their request brings something and, in its own commits, names its reader; or takes it away again, for another request.
#[test]
fn what_comes_with_its_reader_lets_nobody_in() {
    for how in
        ["merged at once", "gone for a while", "quoted for a while", "gone for a while, in another place"]
    {
        let moved = before_mallory(&["dev", "prod"]);
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let (ours, both) = (repo.recipient.as_str(), moved.both());
        let anna = new_identity(test, &test.home("anna.txt"));
        let with_anna = format!("{ours},{anna}");
        repo.encrypted("prod/s.yaml", SECRET);
        repo.commit("start");
        let file = moved.listed(&test.read_text("prod/s.yaml"));
        moved.say(ours, &with_anna);
        repo.ok(&["mv", "prod/s.yaml", "prod/t.yaml"]);
        repo.sealant(&["updatekeys", "--yes", "--rotate", "prod"]);
        repo.commit("Anna reads prod, renamed");
        repo.ok(&["checkout", "-q", "-b", "theirs"]);
        let place = if how.ends_with("place") { "dev/z.yaml" } else { "dev/s.yaml" };
        test.write(place, &file);
        repo.commit("to dev, which is ours");
        moved.say(&both, &with_anna);
        repo.commit("Mallory reads dev");
        if how == "merged at once" {
            repo.ok(&["checkout", "-q", "main"]);
            test.write("ours", "");
            repo.commit("ours");
        } else {
            match how.starts_with("quoted") {
                true => test.write(place, quoted(&file)),
                false => drop(repo.ok(&["rm", "-q", place])),
            }
            repo.commit("not there any more");
            repo.ok(&["checkout", "-q", "main"]);
            repo.ok(&["merge", "-q", "--ff-only", "theirs"]);
            repo.sealant(&["updatekeys", "--yes", "dev/app.yaml"]);
            repo.commit("so she does");
            repo.ok(&["checkout", "-q", "-B", "theirs"]);
            test.write("dev/s.yaml", &file);
            repo.commit("there again");
        }
        moved.lets_nobody_in("dev/s.yaml", how);
    }
}

/// Somebody joins by a request that is merged while others work: what was added or changed meanwhile is theirs, wherever it goes.
#[test]
fn who_joins_by_a_merge_has_what_came_meanwhile() {
    for how in ["added", "changed"] {
        let repo = Repo::empty("");
        let (ours, test) = (repo.recipient.as_str(), &repo.test);
        let anna = new_identity(test, &test.home("anna.txt"));
        let with_anna = format!("{ours},{anna}");
        let file = if how == "added" { "d.yaml" } else { "c.yaml" };
        let renamed = format!("eu/{file}");
        repo.encrypted("c.yaml", OTHER);
        repo.commit("base");
        repo.branches(
            || match how {
                "added" => repo.encrypted("d.yaml", OTHER),
                _ => repo.set("c.yaml", "a", "changed"),
            },
            || {
                repo.rule(&with_anna, "");
                repo.sealant(&["updatekeys", "--yes", "c.yaml"]);
            },
        );
        let _ = repo.merge().ok();
        repo.sealant(&["updatekeys", "--yes", "."]);
        repo.commit("Anna reads it");
        repo.ok(&["checkout", "-q", "-b", "renames"]);
        std::fs::create_dir(test.path("eu")).expect("a folder");
        repo.ok(&["mv", file, &renamed]);
        repo.set(&renamed, "b", "theirs");
        repo.commit("renamed");
        repo.sealant(&["check"]);
        repo.ok(&["checkout", "-q", "main"]);
        repo.set(file, "d", "ours");
        repo.sealant(&["rotate", "-i", file]);
        repo.commit("a new data key");
        repo.ok(&["merge", "-q", "-m", "merged", "renames"]);
        let plain = repo.plain(&renamed);
        assert!(plain.contains("b: theirs") && plain.contains("d: ours"), "{how}: {plain}");
        repo.sealant(&["check"]);
        repo.ok(&["rm", "-q", &renamed]);
        repo.commit("removed by mistake");
        repo.ok(&["revert", "--no-edit", "HEAD"]);
        repo.sealant(&["check"]);
        repo.sealant(&["rotate", "-i", &renamed]);
    }
}

fn quoted(file: &str) -> String {
    format!("quoted: true\n# {}\n", file.replace('\n', "\n# "))
}

/// What was gone when Mallory came is brought back for as long as it takes to name her, in its own place or along with another one. Or
/// it only looks as if it were still there.
#[test]
fn what_is_back_for_a_while_lets_nobody_in() {
    for how in ["in its place", "in both places", "quoted"] {
        let moved = before_mallory(&["dev", "prod"]);
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let (ours, both) = (repo.recipient.as_str(), moved.both());
        repo.encrypted("prod/s.yaml", SECRET);
        repo.commit("start");
        let file = moved.listed(&test.read_text("prod/s.yaml"));
        let place = if how == "in both places" { "dev/s.yaml" } else { "prod/s.yaml" };
        match how {
            "quoted" => test.write("prod/s.yaml", quoted(&file)),
            _ => drop(repo.ok(&["rm", "-q", "prod/s.yaml"])),
        }
        repo.commit("retired");
        if how != "in its place" {
            moved.say(ours, &both);
            repo.commit("Mallory reads prod");
        }
        repo.ok(&["checkout", "-q", "-b", "theirs"]);
        if how != "quoted" {
            test.write("prod/s.yaml", &file);
            test.write(place, &file);
            repo.commit("back");
            moved.say(if place.starts_with("dev") { &both } else { ours }, &both);
            repo.commit("Mallory reads it");
            repo.ok(&["rm", "-q", "-r", "prod"]);
            let _ = repo.git(&["rm", "-q", "dev/s.yaml"]).run();
            repo.commit("gone");
            repo.ok(&["checkout", "-q", "main"]);
            repo.ok(&["merge", "-q", "--ff-only", "theirs"]);
            repo.sealant(&["updatekeys", "--yes", "dev"]);
            repo.commit("so she does");
            repo.ok(&["checkout", "-q", "-B", "theirs"]);
        }
        test.write(place, &file);
        repo.commit("back again");
        moved.lets_nobody_in(place, how);
    }
}

/// A file that was renamed, and changed after that, is for whoever joins its readers.
#[test]
fn who_joins_has_what_was_renamed_and_changed() {
    for how in ["a value", "a new value", "a new data key", "a folder with its rule"] {
        let moved = before_mallory(&["dev"]);
        let (repo, test) = (&moved.repo, &moved.repo.test);
        let is_folder = how.ends_with("rule");
        let (folder, file) = if is_folder { ("open", "open/app.yaml") } else { ("dev", "dev/new.yaml") };
        repo.commit("start");
        repo.ok(&[
            "mv",
            if is_folder { "dev" } else { "dev/app.yaml" },
            if is_folder { "open" } else { file },
        ]);
        moved.names(&[(folder, &repo.recipient)]);
        repo.commit("renamed");
        match how {
            "a new data key" => drop(repo.sealant(&["rotate", "-i", file])),
            "a new value" => repo.set(file, "z", "new"),
            _ => repo.set(file, "a", "new"),
        }
        repo.commit("changed");
        moved.names(&[(folder, &moved.both())]);
        repo.sealant(&["updatekeys", "--yes", file]);
        repo.commit("Mallory reads it");
        repo.sealant(&["check"]);
        assert!(test.read_text(file).contains(&moved.mallory), "{how}");
        repo.sealant(&["rotate", "-i", file]);
    }
}

/// What somebody could read who has left, and what has a new data key since, is in nobody's way where its folder has another name.
#[test]
fn who_joins_has_what_somebody_left_before_it_was_renamed() {
    let moved = before_mallory(&["dev"]);
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let ours = repo.recipient.as_str();
    moved.names(&[("dev", &moved.both())]);
    repo.sealant(&["updatekeys", "--yes", "dev"]);
    repo.commit("Mallory reads it");
    moved.names(&[("dev", ours)]);
    repo.sealant(&["updatekeys", "--yes", "--rotate", "dev"]);
    repo.commit("Mallory leaves");
    repo.ok(&["mv", "dev", "team"]);
    moved.names(&[("team", ours)]);
    repo.commit("renamed");
    let anna = new_identity(test, &test.home("anna.txt"));
    moved.names(&[("team", &format!("{ours},{anna}"))]);
    repo.sealant(&["updatekeys", "--yes", "team"]);
    repo.commit("Anna reads it");
    assert!(test.read_text("team/app.yaml").contains(&anna));
    repo.sealant(&["check"]);
}

/// The same where it would be merged by a fast-forward: `check --base` says so before.
#[test]
fn what_comes_with_its_reader_is_told_of_the_change() {
    let moved = before_mallory(&["dev", "prod"]);
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let (ours, both) = (repo.recipient.as_str(), moved.both());
    repo.encrypted("prod/s.yaml", SECRET);
    repo.encrypted("dev/old.yaml", OTHER);
    repo.commit("start");
    repo.ok(&["mv", "dev/old.yaml", "dev/new.yaml"]);
    repo.commit("renamed");
    repo.ok(&["checkout", "-q", "-b", "theirs"]);
    repo.ok(&["mv", "prod/s.yaml", "dev/s.yaml"]);
    repo.commit("to dev, which is ours");
    moved.say(&both, ours);
    repo.commit("Mallory reads dev");
    let check = test.sealant(&["check", "--base", "main"]).run().code(1);
    let is_told = |line: &&str| line.ends_with("[moved]");
    let told: Vec<&str> = check.text().lines().filter(is_told).collect();
    assert!(
        matches!(told[..], [line] if line.starts_with("dev/s.yaml:1: has the data key of prod/s.yaml")),
        "{check}"
    );
}
