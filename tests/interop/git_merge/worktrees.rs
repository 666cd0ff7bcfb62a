//! Working trees of one repository within one another, or beside one another below a bare one: the files of one are no copies of
//! those of another. What is no such working tree hides nothing.

use std::fs;

use sealant_test_support::Output;

use super::repo::{Repo, new_identity};

const SECRET: &str = "a: planted-one\nb: planted-two\n";

/// A repository with two working trees: of `main`, and of the branch `other`.
struct Trees {
    repo: Repo,
    ben: String,
    main: &'static str,
    other: &'static str,
}

impl Trees {
    fn new(main: &'static str, other: &'static str) -> Self {
        let repo = Repo::empty("");
        let ben = new_identity(&repo.test, &repo.test.home("ben.txt"));
        repo.encrypted("s.yaml", SECRET);
        repo.commit("base");
        repo.ok(&["branch", "other"]);
        Self { repo, ben, main, other }
    }

    fn inside() -> Self {
        let trees = Self::new(".", ".worktrees/f");
        trees.repo.ok(&["worktree", "add", "-q", trees.other, "other"]);
        trees
    }

    fn below_a_bare_one() -> Self {
        let trees = Self::new("../proj/main", "../proj/other");
        let repo = &trees.repo;
        repo.ok(&["clone", "-q", "--bare", ".", "../proj/.bare"]);
        repo.test.write("../proj/.git", "gitdir: ./.bare\n");
        repo.ok(&["-C", "../proj", "worktree", "add", "-q", "main", "main"]);
        repo.ok(&["-C", "../proj", "worktree", "add", "-q", "other", "other"]);
        let _ = repo.test.sealant(&["git", "install"]).cwd(trees.main).run().ok();
        trees
    }

    fn git_in(&self, tree: &str, args: &[&str]) -> Output {
        let settings =
            ["-c", "user.name=Test", "-c", "user.email=t@example.com", "-c", "core.hooksPath=/dev/null"];
        self.repo.git(&[&settings[..], &["-C", tree], args].concat()).run()
    }

    #[track_caller]
    fn commit_in(&self, tree: &str) {
        let _ = self.git_in(tree, &["commit", "-q", "-a", "-m", "more"]).ok();
    }

    #[track_caller]
    fn sealant_in(&self, tree: &str, args: &[&str]) -> Output {
        self.repo.test.sealant(args).cwd(tree).run().ok()
    }

    fn with_ben(&self, tree: &str, is_with: bool) {
        let more = if is_with { format!(",{}", self.ben) } else { String::new() };
        let rules = format!("creation_rules:\n  - age: {}{more}\n", self.repo.recipient);
        self.repo.test.write(format!("{tree}/.sops.yaml"), rules);
    }

    fn ben_reads(&self, tree: &str) -> bool {
        let run = self.repo.test.sealant(&["decrypt", "s.yaml"]).cwd(tree);
        let run = run.env("SOPS_AGE_KEY_FILE", self.repo.test.home("ben.txt"));
        run.env("XDG_CONFIG_HOME", self.repo.test.tmp()).run().status == 0
    }

    /// Somebody comes by a merge, and goes, in one working tree; the other one has the rules from before.
    #[track_caller]
    fn lets_in_and_out(&self, tree: &str, branch: &str) {
        let _ = self.git_in(tree, &["checkout", "-q", "-b", "theirs"]).ok();
        self.with_ben(tree, true);
        self.sealant_in(tree, &["updatekeys", "--rotate", "--yes", "s.yaml"]);
        self.sealant_in(tree, &["set", "s.yaml", "a", "theirs"]);
        self.commit_in(tree);
        let _ = self.git_in(tree, &["checkout", "-q", branch]).ok();
        self.sealant_in(tree, &["set", "s.yaml", "b", "ours"]);
        self.commit_in(tree);
        let _ = self.git_in(tree, &["merge", "-q", "theirs"]).code(1);
        self.sealant_in(tree, &["resolve", "--allow-recipient", &self.ben, "s.yaml"]);
        self.commit_in(tree);
        let _ = self.git_in(tree, &["branch", "-q", "-D", "theirs"]).ok();
        assert!(self.ben_reads(tree));

        // The other one is for fewer.
        self.sealant_in(tree, &["rotate", "-i", "s.yaml"]);
        self.sealant_in(tree, &["decrypt", "-i", "s.yaml"]);
        let _ = self.git_in(tree, &["checkout", "-q", "s.yaml"]).ok();
        self.sealant_in(tree, &["rotate", "-i", "s.yaml"]);
        self.commit_in(tree);
        assert!(self.ben_reads(tree));

        self.with_ben(tree, false);
        self.sealant_in(tree, &["updatekeys", "--rotate", "--yes", "s.yaml"]);
        self.commit_in(tree);
        assert!(!self.ben_reads(tree));
    }

    #[track_caller]
    fn lives_on(&self) {
        self.lets_in_and_out(self.main, "main");
        self.lets_in_and_out(self.other, "other");
        // From a folder around both, or from the other one.
        self.with_ben(self.main, true);
        let file = self.repo.test.path(self.main).join("s.yaml");
        let file = file.to_str().expect("a path in UTF-8");
        self.sealant_in(self.other, &["updatekeys", "--yes", file]);
        self.sealant_in(&format!("{}/..", self.other), &["rotate", "-i", file]);
        self.commit_in(self.main);
        for tree in [self.main, self.other, &format!("{}/..", self.other)] {
            let output = self.repo.test.sealant(&["check"]).cwd(tree).run();
            assert!(
                !output.text().contains("copied") && !output.text().contains("moved"),
                "{tree}: {output}"
            );
        }
    }
}

#[test]
fn a_working_tree_within_another_one_is_no_other_place() {
    Trees::inside().lives_on();
}

#[test]
fn working_trees_below_a_bare_repository_are_no_other_places() {
    Trees::below_a_bare_one().lives_on();
}

/// Git shows such a working tree as a new folder, where nobody told it to ignore it.
#[test]
fn a_folder_is_taken_without_the_working_trees_within_it() {
    let trees = Trees::inside();
    let test = &trees.repo.test;
    trees.with_ben(trees.main, true);
    let before = test.read_text(format!("{}/s.yaml", trees.other));
    let updated = trees.sealant_in(trees.main, &["updatekeys", "--yes", "."]);
    assert!(updated.stderr.contains(".worktrees/f: another working tree of this repository"), "{updated}");
    assert!(trees.ben_reads(trees.main));
    assert_eq!(test.read_text(format!("{}/s.yaml", trees.other)), before);
    let _ = test.sealant(&["updatekeys", "--yes", ".worktrees/f"]).run().ok();
    // It hides no rule, as another repository would.
    let rule =
        format!("creation_rules:\n  - path_regex: .*\n    age: {},{}\n", trees.repo.recipient, trees.ben);
    test.write(".sops.yaml", rule);
    let checked = test.sealant(&["check"]).run().ok();
    assert!(!checked.text().contains("hidden-rule"), "{checked}");
}

/// A repository with a working tree within it. `dev/` is for Mallory, too, and all else for us.
fn shared() -> (Repo, String) {
    let repo = Repo::empty("");
    let mallory = new_identity(&repo.test, &repo.test.home("mallory.txt"));
    let ours = &repo.recipient;
    repo.test.write(
        ".sops.yaml",
        format!("creation_rules:\n  - path_regex: ^dev/\n    age: {ours},{mallory}\n  - age: {ours}\n"),
    );
    repo.test.write(".gitignore", ".worktrees\n");
    repo.commit("base");
    repo.ok(&["worktree", "add", "-q", "--detach", ".worktrees/f"]);
    repo.ok(&["worktree", "add", "-q", "--detach", "../linked"]);
    (repo, mallory)
}

/// A file with Mallory in its list, by an entry that was made for us.
fn listed(repo: &Repo, mallory: &str, text: &str) -> String {
    let start = text.find("        - enc: |").expect("an entry");
    let end = start + text[start..].find("    lastmodified").expect("its end");
    let entry = text[start..end].replace(&repo.recipient, mallory);
    format!("{}{entry}{}", &text[..end], &text[end..])
}

/// Asserts that Mallory is let into no copy of a file at `dev/s.yaml`, and that `check` tells of it.
#[track_caller]
fn is_seen(repo: &Repo, mallory: &str, text: &str, rule: &str, what: &str) {
    let test = &repo.test;
    let listed = listed(repo, mallory, text);
    for (text, args) in [
        (text, &["updatekeys", "--yes", "dev/s.yaml"][..]),
        (&listed, &["updatekeys", "--rotate", "--yes", "dev/s.yaml"]),
        (&listed, &["rotate", "-i", "dev/s.yaml"]),
    ] {
        test.write("dev/s.yaml", text);
        let output = test.sealant(args).run();
        assert!(output.status != 0 && test.read_text("dev/s.yaml") == text, "{what}: {args:?}: {output}");
    }
    let output = test.sealant(&["check", "dev"]).run().code(1);
    assert!(output.text().contains(rule), "{what}: {output}");
    fs::remove_file(test.path("dev/s.yaml")).expect("it is there");
}

#[test]
fn what_looks_like_a_working_tree_hides_nothing() {
    let (repo, mallory) = shared();
    let test = &repo.test;
    let encrypted = |folder: &str| encrypted_in(&repo, folder);
    for git in ["gitdir: ../.git\n", "gitdir: ../.git/worktrees/f\n", "gitdir: ../.worktrees/f/.git\n", ""] {
        let text = encrypted("forged");
        test.write("forged/.git", git);
        is_seen(&repo, &mallory, &text, "[copied]", git);
        fs::remove_dir_all(test.path("forged")).expect("it is there");
    }
    // A clone is another repository, also within a working tree.
    for (folder, rule) in [("clone", "[copied]"), (".worktrees/f/clone", "[moved]")] {
        repo.ok(&["clone", "-q", ".", folder]);
        let text = encrypted(folder);
        is_seen(&repo, &mallory, &text, rule, folder);
        fs::remove_dir_all(test.path(folder)).expect("it is there");
    }
    // Somebody works in a folder that names our repository.
    let text = encrypted("prod");
    let both = format!("{},{mallory}", repo.recipient);
    for git in ["gitdir: ../.git\n", "gitdir: ../.git/worktrees/f\n"] {
        test.write("dev/s.yaml", &text);
        test.write("dev/.git", git);
        test.write("dev/.sops.yaml", format!("creation_rules:\n  - age: {both}\n"));
        let output = test.sealant(&["updatekeys", "--yes", "dev/s.yaml"]).run();
        assert!(output.status != 0 && test.read_text("dev/s.yaml") == text, "{git}: {output}");
        fs::remove_dir_all(test.path("dev")).expect("it is there");
    }
}

#[test]
fn what_another_working_tree_knows_is_in_the_history() {
    let (repo, mallory) = shared();
    for tree in [".worktrees/f", "../linked"] {
        for is_fetched in [false, true] {
            let text = encrypted_in(&repo, &format!("{tree}/prod"));
            repo.ok(&["-C", tree, "add", "prod"]);
            repo.ok(&["-C", tree, "commit", "-q", "-m", "detached"]);
            if is_fetched {
                // Nothing else leads to the commit.
                repo.ok(&["-C", tree, "fetch", "-q", ".", "HEAD"]);
                repo.ok(&["-C", tree, "reset", "-q", "--hard", "main"]);
                repo.ok(&["reflog", "expire", "--expire=now", "--all"]);
                repo.ok(&["-C", tree, "reflog", "expire", "--expire=now", "--all"]);
                fs::remove_file(repo_file(&repo, tree, "ORIG_HEAD")).expect("it is there");
            }
            is_seen(&repo, &mallory, &text, "[moved]", &format!("{tree} {is_fetched}"));
            repo.ok(&["-C", tree, "reset", "-q", "--hard", "main"]);
        }
    }
}

/// `git clone --mirror` makes a folder of Git's own files.
#[test]
fn a_repository_without_a_working_tree_is_not_clean() {
    let repo = Repo::new(&[("s.yaml", SECRET)]);
    repo.ok(&["clone", "-q", "--mirror", ".", "../mirror"]);
    for args in [&["check"][..], &["check", "."]] {
        let refused = repo.test.sealant(args).cwd("../mirror").run();
        assert!(refused.status != 0 && refused.stderr.contains("without a working tree"), "{refused}");
    }
}

#[test]
fn each_working_tree_is_looked_at_by_itself() {
    let (repo, mallory) = shared();
    let test = &repo.test;
    fs::remove_file(test.path(".gitignore")).expect("it is there");
    for tree in [".", ".worktrees/f"] {
        let text = encrypted_in(&repo, &format!("{tree}/prod"));
        let name = format!("{tree}/dev/s.yaml");
        test.write(&name, listed(&repo, &mallory, &text));
        let file = test.path(&name);
        let named = ["check", file.to_str().expect("a path in UTF-8")];
        for (from, args) in [
            (".", &["check"][..]),
            ("..", &["check"]),
            (".", &named),
            (".worktrees/f", &named),
            ("../linked", &named),
        ] {
            let output = test.sealant(args).cwd(from).run().code(1);
            let is_it = |line: &&str| line.contains("dev/s.yaml:1:") && line.ends_with("[copied]");
            assert_eq!(output.text().lines().filter(is_it).count(), 1, "{tree}, from {from}: {output}");
        }
        fs::remove_file(file).expect("it is there");
    }
    // The same file in each is no copy, though its rules differ.
    repo.ok(&["add", "prod"]);
    repo.ok(&["commit", "-q", "-m", "more"]);
    fs::remove_dir_all(test.path(".worktrees/f/prod")).expect("it is there");
    for tree in [".worktrees/f", "../linked"] {
        repo.ok(&["-C", tree, "checkout", "-q", "--detach", "main"]);
        test.write(
            format!("{tree}/.sops.yaml"),
            format!("creation_rules:\n  - age: {},{mallory}\n", repo.recipient),
        );
    }
    for from in [".", "..", ".worktrees"] {
        let output = test.sealant(&["check"]).cwd(from).run();
        assert!(!output.text().contains("[copied]"), "from {from}: {output}");
    }
}

/// The secret, encrypted by the rules of a folder.
fn encrypted_in(repo: &Repo, folder: &str) -> String {
    repo.test.write(format!("{folder}/s.yaml"), SECRET);
    let _ = repo.test.sealant(&["encrypt", "-i", "s.yaml"]).cwd(folder).run().ok();
    repo.test.read_text(format!("{folder}/s.yaml"))
}

/// A file of Git's own for a working tree.
fn repo_file(repo: &Repo, tree: &str, name: &str) -> std::path::PathBuf {
    repo.test.path(tree).join(repo.ok(&["-C", tree, "rev-parse", "--git-path", name]).text().trim())
}
