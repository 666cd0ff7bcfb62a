//! Files that a branch moves, or carries, to a place that other people read. The readers of that place are in the list of
//! the file, with an entry that opens nothing: a merge that makes a new data key would make it for them.

mod along;
mod arrivals;
mod commands;
mod merges;
mod rules;
mod shallow;
mod steps;
mod told;

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

    /// Rules for `dev/` and `prod/`.
    fn say(&self, dev: &str, prod: &str) {
        self.names(&[("dev", dev), ("prod", prod)]);
    }

    fn both(&self) -> String {
        format!("{},{}", self.repo.recipient, self.mallory)
    }

    /// A rule for each of these folders.
    fn names(&self, folders: &[(&str, &str)]) {
        let rule =
            |(folder, readers): &(&str, &str)| format!("  - path_regex: ^{folder}/\n    age: {readers}\n");
        let rules: String = folders.iter().map(rule).collect();
        self.repo.test.write(".sops.yaml", format!("creation_rules:\n{rules}"));
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
        for file in ["dev/s.yaml", "dev/app.yaml", "prod/s.yaml", "s.yaml", "open/s.yaml", "misc/s.yaml"]
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
        self.moves_to("dev");
    }

    fn moves_to(&self, folder: &str) {
        let test = &self.repo.test;
        let (listed, place) = (self.listed(&test.read_text("prod/s.yaml")), format!("{folder}/s.yaml"));
        std::fs::create_dir_all(test.path(folder)).expect("a folder");
        self.repo.ok(&["mv", "prod/s.yaml", &place]);
        test.write(&place, listed);
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
