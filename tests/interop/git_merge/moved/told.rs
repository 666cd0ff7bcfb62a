//! What commands tell where a rebase has stopped: the config of somebody's commit is in the working tree then.

use std::fs;
use std::os::unix::fs::symlink;

use sealant_test_support::Output;

use super::Moved;
use crate::git_merge::repo::new_identity;

const TOLD: &str = "its rule did not name these before";
const NOT_SENT: &str = "say where files are sent";
const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\nstringData: {a: planted}\n";

impl Moved {
    /// Git in a folder, with a name for commits, and without hooks and editors.
    fn git_in(&self, folder: &str, args: &[&str]) -> Output {
        let settings =
            ["-c", "user.name=Test", "-c", "user.email=t@example.com", "-c", "core.hooksPath=/dev/null"];
        let files = ["-c", "protocol.file.allow=always", "-C", folder];
        self.repo.git(&[&settings[..], &files, args].concat()).env("GIT_EDITOR", "true").run()
    }

    fn commit_in(&self, folder: &str) {
        let _ = self.git_in(folder, &["add", "-A"]).ok();
        let _ = self.git_in(folder, &["commit", "-q", "-m", "more"]).ok();
    }

    /// A config for files whose names are of letters alone, which sends them to a server that nobody runs.
    fn rules(&self, with_mallory: bool) -> String {
        let more = if with_mallory { format!(",{}", self.mallory) } else { String::new() };
        format!(
            "creation_rules:\n  - path_regex: ^[a-z/]+\\.yaml$\n    age: {}{more}\ndestination_rules:\n  - vault_path: shop\n    vault_address: http://127.0.0.1:1\n",
            self.repo.recipient
        )
    }

    /// A repository with a config and these files, and with a branch `theirs` that lets Mallory in; nothing is under way.
    fn repository(&self, folder: &str, files: &[&str]) {
        self.repository_with(folder, files, &self.rules(true));
    }

    /// With this config on the branch.
    fn repository_with(&self, folder: &str, files: &[&str], theirs: &str) {
        let test = &self.repo.test;
        test.write(format!("{folder}/.sops.yaml"), self.rules(false));
        let _ = self.git_in(folder, &["init", "-q", "-b", "main"]).ok();
        for file in files {
            test.write(format!("{folder}/{file}"), "a: one\n");
            let _ = test.sealant(&["encrypt", "-i", file]).cwd(folder).run().ok();
        }
        self.commit_in(folder);
        let _ = self.git_in(folder, &["checkout", "-q", "-b", "theirs"]).ok();
        test.write(format!("{folder}/.sops.yaml"), theirs);
        self.commit_in(folder);
        test.write(format!("{folder}/README"), "theirs\n");
        self.commit_in(folder);
        let _ = self.git_in(folder, &["checkout", "-q", "main"]).ok();
        test.write(format!("{folder}/README"), "ours\n");
        self.commit_in(folder);
    }

    /// Rebases the branch, which stops under its config.
    fn stop(&self, folder: &str) {
        let output = self.git_in(folder, &["rebase", "-q", "main", "theirs"]);
        let config = self.repo.test.read_text(format!("{folder}/.sops.yaml"));
        assert!(output.status != 0 && config != self.rules(false), "{folder}: {output}");
    }

    #[track_caller]
    fn is_told(&self, output: &Output, what: &str) {
        let times = output.stderr.matches(TOLD).count();
        assert!(times == 1 && output.stderr.contains(&self.mallory), "{what}: {output}");
    }
}

#[test]
fn whom_a_rule_names_in_one_step_only_is_told() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    moved.repository("../shop", &["s.yaml"]);
    let run = |words: &[&str]| test.sealant(words).cwd("../shop");
    let new = |name: &str, text: &str| test.write(format!("../shop/{name}"), text);
    new("sealed.yaml", SECRET);
    let _ = run(&["seal", "-i", "sealed.yaml"]).run().ok();
    moved.stop("../shop");
    for (file, text) in [
        ("new", "a: planted\n"),
        ("out", "a: planted\n"),
        ("fix", "a: planted\n"),
        ("staged", "a: planted\n"),
        ("seal", SECRET),
        ("migrate", SECRET),
        ("copied", SECRET),
        ("../outside", SECRET),
    ] {
        new(&format!("{file}.yaml"), text);
    }
    new("../value", "planted");
    let _ = moved.git_in("../shop", &["add", "staged.yaml"]).ok();
    let from_file = ["seal", "--name", "a", "--namespace", "b", "--from-file", "a=../value"];
    let with = |words: &[&'static str]| [&from_file, words].concat();
    let (values, raw) =
        (with(&["--output", "values.yaml"]), with(&["--raw", "--filename-override", "raw.yaml"]));
    for words in [
        &["check", "--fix", "fix.yaml"][..],
        &["hook", "pre-commit", "--fix"],
        &["seal", "-i", "seal.yaml"],
        &["seal", "--output", "file.yaml", "../outside.yaml"],
        &["seal", "--onto", "sealed.yaml", "--output", "sealed.yaml", "../outside.yaml"],
        &["seal", "--merge-into", "sealed.yaml", "--name", "a", "--from-file", "b=../value"],
        &values,
        &raw,
        &["migrate", "secrets", "migrate.yaml"],
        &["rotate", "-i", "s.yaml"],
        &["updatekeys", "--yes", "s.yaml"],
        &["encrypt", "-i", "new.yaml"],
        &["encrypt", "--output", "other.yaml", "out.yaml"],
        &["set", "s.yaml", "[\"a\"]", "\"x\""],
    ] {
        moved.is_told(&run(words).run(), &words.join(" "));
    }
    let piped = run(&["seal", "--output", "piped.yaml"]).stdin(SECRET).run();
    moved.is_told(&piped, "seal of standard input");
    // Whom the person names has nothing of the step.
    new("named.yaml", "a: planted\n");
    let output = run(&["encrypt", "-i", "--age", &repo.recipient, "named.yaml"]).run().ok();
    assert!(!output.stderr.contains("under way"), "{output}");
    let publish = || run(&["publish", "--yes", "s.yaml"]).run();
    let output = publish();
    assert!(output.status == 8 && output.stderr.contains(NOT_SENT), "{output}");
    let _ = moved.git_in("../shop", &["rebase", "--abort"]).ok();
    let output = publish();
    assert!(output.status != 8 && output.stderr.contains("127.0.0.1:1"), "{output}");
    let output = run(&["rotate", "-i", "s.yaml"]).run();
    assert!(!output.stderr.contains("under way"), "{output}");
}

/// What is under way in any repository that says something about a file counts, wherever a command is started.
#[test]
fn whom_a_step_in_another_repository_names_is_told() {
    for case in [
        "a link into a submodule",
        "a link into another working tree",
        "a link into a folder without a repository of its own",
        "a config of the repository around",
        "a config behind a link",
        "a repository that the environment names",
    ] {
        let moved = Moved::new();
        let test = &moved.repo.test;
        // Where it is started, the encrypted file, and a new one.
        let (cwd, file, new) = match case {
            "a link into a submodule" => {
                moved.repository("../inner", &["s.yaml"]);
                moved.repository("../outer", &[]);
                let _ = moved.git_in("../outer", &["submodule", "--quiet", "add", "../inner", "sub"]).ok();
                let _ = moved.git_in("../outer/sub", &["branch", "-q", "theirs", "origin/theirs"]).ok();
                for name in ["s.yaml", "new.yaml"] {
                    let link = test.path(format!("../outer/link-{name}"));
                    symlink(format!("sub/{name}"), link).expect("a link");
                }
                moved.commit_in("../outer");
                moved.stop("../outer/sub");
                ("../outer", "link-s.yaml", "link-new.yaml")
            }
            "a link into another working tree" => {
                moved.repository("../main", &["s.yaml"]);
                let _ = moved.git_in("../main", &["worktree", "add", "-q", "../tree", "theirs"]).ok();
                for name in ["s.yaml", "new.yaml"] {
                    let link = test.path(format!("../main/link-{name}"));
                    symlink(format!("../tree/{name}"), link).expect("a link");
                }
                moved.stop("../tree");
                ("../main", "link-s.yaml", "link-new.yaml")
            }
            "a link into a folder without a repository of its own" => {
                moved.repository("../inner", &["in/s.yaml"]);
                symlink("inner/in", test.path("../folder")).expect("a link");
                moved.stop("../inner");
                ("..", "folder/s.yaml", "folder/new.yaml")
            }
            "a config of the repository around" => {
                moved.repository("../outer", &[]);
                let _ = moved.git_in("../outer", &["init", "-q", "within"]).ok();
                test.write("../outer/within/s.yaml", "a: one\n");
                let _ = test.sealant(&["encrypt", "-i", "within/s.yaml"]).cwd("../outer").run().ok();
                moved.commit_in("../outer/within");
                moved.stop("../outer");
                ("../outer/within", "s.yaml", "new.yaml")
            }
            "a config behind a link" => {
                moved.repository("../rules", &[]);
                moved.repository("../outer", &["s.yaml"]);
                test.write("../outer/in/s.yaml", test.read("../outer/s.yaml"));
                symlink("../../rules/.sops.yaml", test.path("../outer/in/.sops.yaml")).expect("a link");
                moved.stop("../rules");
                ("../outer", "in/s.yaml", "in/new.yaml")
            }
            _ => {
                let _ = moved.git_in("..", &["init", "-q"]).ok();
                moved.repository("../tree", &["s.yaml"]);
                moved.stop("../tree");
                fs::rename(test.path("../tree/.git"), test.path("../dot.git")).expect("a repository");
                ("../tree", "s.yaml", "new.yaml")
            }
        };
        let run = |words: &[&str]| {
            let run = test.sealant(words).cwd(cwd);
            match case {
                "a repository that the environment names" => {
                    run.env("GIT_DIR", test.path("../dot.git")).env("GIT_WORK_TREE", test.path("../tree"))
                }
                _ => run,
            }
        };
        let output = run(&["publish", "--yes", file]).run();
        assert!(output.status == 8 && output.stderr.contains(NOT_SENT), "{case}: {output}");
        test.write(format!("{cwd}/{new}"), "a: planted\n");
        // The first of them is of the repository where it is started.
        test.write(format!("{cwd}/first.yaml"), "a: planted\n");
        let output = run(&["encrypt", "-i", "first.yaml", new]).run();
        let of_file = format!("{new}: a merge, rebase");
        assert!(
            output.stderr.contains(&of_file) && output.stderr.contains(&moved.mallory),
            "{case}: {output}"
        );
    }
}

/// A repository within, at rest and with a config of its own, is asked nothing of what is under way around it.
#[test]
fn a_step_of_the_repository_around_is_told_of_no_file_of_another_config() {
    let moved = Moved::new();
    let test = &moved.repo.test;
    moved.repository("../outer", &[]);
    moved.repository("../outer/within", &["s.yaml"]);
    moved.stop("../outer");
    for (cwd, file) in [("../outer", "within/s.yaml"), ("../outer/within", "s.yaml")] {
        let output = test.sealant(&["rotate", "-i", file]).cwd(cwd).run().ok();
        assert!(!output.stderr.contains("under way"), "{cwd}: {output}");
        let output = test.sealant(&["publish", "--yes", file]).cwd(cwd).run();
        assert!(output.stderr.contains("127.0.0.1:1"), "{cwd}: {output}");
    }
}

#[test]
fn values_that_one_step_alone_leaves_in_plaintext_are_told() {
    let moved = Moved::new();
    let test = &moved.repo.test;
    let rules = moved.rules(false);
    for (selection, is_told) in [("encrypted_regex: ^nothing$", true), ("encrypted_regex: .*", false)] {
        let folder = format!("../{is_told}");
        let theirs = rules.replacen("    age:", &format!("    {selection}\n    age:"), 1);
        moved.repository_with(&folder, &[], &theirs);
        moved.stop(&folder);
        test.write(format!("{folder}/new.yaml"), "a: planted\n");
        let editor = test.editor("echo 'a: planted' > \"$1\"");
        for words in [["encrypt", "new.yaml"], ["edit", "edited.yaml"]] {
            let output = test.sealant(&words).cwd(&folder).env("EDITOR", &editor).run().ok();
            let told = format!(
                "its rule encrypted more before (`unencrypted_suffix: _unencrypted`, and now `{selection}`)"
            );
            assert_eq!(output.stderr.contains(&told), is_told, "{words:?}: {output}");
            assert_eq!(output.stderr.contains("under way"), is_told, "{words:?}: {output}");
        }
    }
}

/// What a branch moves to where somebody else reads is merged for them once the person who merges it says so.
#[test]
fn who_may_have_what_is_merged_is_let_in_by_name() {
    let moved = Moved::new();
    let (repo, test) = (&moved.repo, &moved.repo.test);
    let mallory = moved.mallory.as_str();
    let theirs = || {
        moved.moves();
        repo.set("dev/s.yaml", "d", "theirs");
    };
    let ours = || {
        repo.sealant(&["rotate", "-i", "prod/s.yaml"]);
        repo.set("prod/s.yaml", "b", "planted-new");
    };
    moved.branches(theirs, ours);
    let _ = repo.merge().code(1);
    let advice = format!("`sealant resolve --allow-recipient {mallory} dev/s.yaml`");
    let refused = test.sealant(&["resolve", "dev/s.yaml"]).run().code(1);
    assert!(refused.stderr.contains(&advice), "{refused}");
    let other = new_identity(test, &test.home("other.txt"));
    let refused = test.sealant(&["resolve", "--allow-recipient", &other, "dev/s.yaml"]).run().code(1);
    let advice =
        format!("`sealant resolve --allow-recipient {other} --allow-recipient {mallory} dev/s.yaml`");
    assert!(refused.stderr.contains(&advice), "{refused}");
    moved.reads_nothing("before that");
    repo.sealant(&["resolve", "--allow-recipient", mallory, "dev/s.yaml"]);
    repo.commit("merged");
    assert!(repo.plain("dev/s.yaml").contains("b: planted-new"));
    assert!(test.read_text("dev/s.yaml").contains(mallory));
    repo.sealant(&["check"]);
}
