//! Whoever came by the rule of a place, after something had come there, reads it. That is no excuse for those whom only a branch
//! leaves out while it moves a file, by whatever rules, merges and configs.

use super::{Moved, OTHER, SECRET};
use crate::git_merge::repo::{Repo, new_identity};

impl Moved {
    /// Rules for `dev/` and `prod/`.
    fn say(&self, dev: &str, prod: &str) {
        let rules = format!(
            "creation_rules:\n  - path_regex: ^dev/\n    age: {dev}\n  - path_regex: ^prod/\n    age: {prod}\n"
        );
        self.repo.test.write(".sops.yaml", rules);
    }

    fn both(&self) -> String {
        format!("{},{}", self.repo.recipient, self.mallory)
    }

    /// Takes over their branch, where the file is at `place`, and asserts that this lets nobody in.
    #[track_caller]
    fn lets_nobody_in(&self, place: &str, how: &str) {
        let (repo, test) = (&self.repo, &self.repo.test);
        repo.ok(&["checkout", "-q", "main"]);
        repo.ok(&["merge", "-q", "--ff-only", "theirs"]);
        let check = test.sealant(&["check"]).run().code(1);
        let is_told = |line: &str| line.starts_with(place) && line.contains("prod/s.yaml of commit");
        assert!(check.text().lines().any(is_told), "{how}: {check}");
        for words in [&["updatekeys", "--yes", "--rotate"][..], &["rotate", "-i"]] {
            let output = test.sealant(&[words, &[place]].concat()).run();
            let is_refused = output.status == 8 && output.stderr.contains("prod/s.yaml of commit");
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
