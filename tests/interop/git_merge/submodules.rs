//! Submodules where a repository has several working trees, or where another commit of one is checked out than was chosen: what they
//! have is for nobody else.

use super::repo::{Repo, new_identity};

/// A submodule `sec` with a secret of ours, and a repository around it, in which `b/` is for Mallory, too.
pub(super) struct Outer {
    /// What the submodule was cloned from.
    pub repo: Repo,
    pub mallory: String,
}

pub(super) const OUTER: &str = "../outer";
const FILES: &[(&str, &str)] = &[("s.yaml", "a: planted-one\nb: planted-two\n")];

impl Outer {
    pub fn new() -> Self {
        Self::of(Repo::new(FILES), ("^b/", true))
    }

    /// The same, with rules for the submodule only around it.
    pub fn vendored() -> Self {
        let repo = Repo::new(FILES);
        repo.ok(&["rm", "-q", ".sops.yaml"]);
        repo.ok(&["commit", "-q", "--amend", "-m", "base"]);
        Self::of(repo, ("^sec/", false))
    }

    pub fn of(repo: Repo, (paths, shared): (&str, bool)) -> Self {
        let mallory = new_identity(&repo.test, &repo.test.home("mallory.txt"));
        let outer = Self { repo, mallory };
        outer.init(OUTER);
        outer.rules(OUTER, paths, shared);
        outer.commit(OUTER);
        outer.adds(OUTER, ".", "sec");
        outer
    }

    /// A repository with a rule of its own for `b/`.
    pub fn init(&self, folder: &str) {
        self.git(".", &["init", "-q", "-b", "main", folder]);
        self.rules(folder, "^b/", true);
    }

    /// Those at these paths are for us, and for Mallory if it is `shared`; all others the other way round.
    pub fn rules(&self, folder: &str, paths: &str, shared: bool) {
        let ours = &self.repo.recipient;
        let both = format!("{ours},{}", self.mallory);
        let (there, elsewhere) = if shared { (&both, ours) } else { (ours, &both) };
        let rules =
            format!("creation_rules:\n  - path_regex: {paths}\n    age: {there}\n  - age: {elsewhere}\n");
        self.repo.test.write(format!("{folder}/.sops.yaml"), rules);
    }

    #[track_caller]
    pub fn git(&self, folder: &str, args: &[&str]) {
        let settings = [
            "protocol.file.allow=always",
            "user.name=Test",
            "user.email=t@example.com",
            "core.hooksPath=/dev/null",
            "receive.denyCurrentBranch=ignore",
        ];
        let settings = settings.iter().flat_map(|setting| ["-c", setting]);
        let args: Vec<&str> = settings.chain(["-C", folder]).chain(args.iter().copied()).collect();
        let _ = self.repo.git(&args).run().ok();
    }

    #[track_caller]
    pub fn commit(&self, folder: &str) {
        self.git(folder, &["add", "-A"]);
        self.git(folder, &["commit", "-q", "-m", "more"]);
    }

    /// Adds a submodule, and commits it.
    #[track_caller]
    pub fn adds(&self, folder: &str, from: &str, name: &str) {
        let from = self.repo.test.path(from).canonicalize().expect("a folder").display().to_string();
        self.git(folder, &["submodule", "add", "-q", &from, name]);
        self.git(folder, &["submodule", "update", "-q", "--init", "--recursive"]);
        self.commit(folder);
    }

    /// Another working tree.
    pub fn links(&self, folder: &str, tree: &str) {
        self.git(
            folder,
            &["worktree", "add", "-q", "--detach", &self.repo.test.path(tree).display().to_string()],
        );
    }

    pub fn secret(&self) -> String {
        self.repo.test.read_text("s.yaml")
    }

    /// The same, of which `check` tells.
    #[track_caller]
    pub fn is_refused(&self, tree: &str, path: &str, what: &str) {
        self.lets_nobody_in(tree, path, what);
        let check = self.repo.test.sealant(&["check"]).cwd(tree).run().code(1);
        assert!(check.text().contains("[copied]") || check.text().contains("[moved]"), "{what}: {check}");
    }

    /// Asserts that nobody is let into a copy at a path of a working tree.
    #[track_caller]
    pub fn lets_nobody_in(&self, tree: &str, path: &str, what: &str) {
        let test = &self.repo.test;
        test.write(format!("{tree}/{path}"), self.secret());
        for words in [&["updatekeys", "--yes"][..], &["rotate", "-i"]] {
            let refused = test.sealant(&[words, &[path]].concat()).cwd(tree).run().code(8);
            assert!(refused.stderr.contains("s.yaml"), "{what}: {refused}");
        }
    }
}

/// Each working tree has a checkout of a submodule, with Git's files of it.
#[test]
fn what_a_submodule_has_in_another_working_tree_is_no_other_place() {
    let outer = Outer::new();
    let test = &outer.repo.test;
    outer.links(OUTER, "../outer/.worktrees/f");
    outer.git("../outer/.worktrees/f", &["submodule", "update", "-q", "--init"]);
    let rules = format!("creation_rules:\n  - age: {},{}\n", outer.repo.recipient, outer.mallory);
    test.write("../outer/sec/.sops.yaml", rules);
    let _ = test.sealant(&["updatekeys", "--yes", "s.yaml"]).cwd("../outer/sec").run().ok();
    assert!(test.read_text("../outer/sec/s.yaml").contains(&outer.mallory));
    let checked = test.sealant(&["check"]).cwd("../outer/sec").run().ok();
    assert!(!checked.text().contains('['), "{checked}");
    // Where the other one is behind, our history tells what was renamed, and who joined.
    let third = new_identity(test, &test.home("third.txt"));
    outer.git("../outer/sec", &["mv", "s.yaml", "renamed.yaml"]);
    outer.commit("../outer/sec");
    test.write(
        "../outer/sec/.sops.yaml",
        format!("creation_rules:\n  - age: {},{third}\n", outer.repo.recipient),
    );
    let _ = test.sealant(&["updatekeys", "--rotate", "--yes", "renamed.yaml"]).cwd("../outer/sec").run().ok();
    assert!(test.read_text("../outer/sec/renamed.yaml").contains(&third));
}

/// A working tree has not the submodules that another one has, whatever branch and rules are there: a copy of what is in them is one.
#[test]
fn a_submodule_of_another_working_tree_is_for_nobody_else() {
    let outer = Outer::new();
    for tree in ["../outer/.worktrees/g", "../beside"] {
        outer.links(OUTER, tree);
        outer.is_refused(tree, "b/new.yaml", tree);
    }

    let outer = Outer::vendored();
    outer.links(OUTER, "../linked");
    outer.git(OUTER, &["checkout", "-q", "-b", "old", "HEAD~1"]);
    outer.is_refused("../linked", "b/new.yaml", "main has another branch");

    // Those around a submodule are for it, where it has none: ours.
    let outer = Outer::vendored();
    outer.links(OUTER, "../linked");
    outer.rules(OUTER, "^nothing/", true);
    outer.repo.test.write(
        "../outer/.sops.yaml",
        format!("creation_rules:\n  - age: {},{}\n", outer.repo.recipient, outer.mallory),
    );
    outer.is_refused("../linked", "b/new.yaml", "main has a stranger's rules");

    let outer = Outer::new();
    outer.git(OUTER, &["clone", "-q", "--bare", ".", "../proj/.git"]);
    outer.git("../proj", &["worktree", "add", "-q", "main", "main"]);
    outer.git("../proj/main", &["submodule", "update", "-q", "--init"]);
    outer.links("../proj", "../proj/linked");
    outer.is_refused("../proj/linked", "b/new.yaml", "below a bare one");
}

#[test]
fn a_submodule_within_another_one_is_for_nobody_else() {
    let outer = Outer::new();
    outer.init("../mid");
    outer.adds("../mid", ".", "inner");
    outer.init("../around");
    outer.adds("../around", "../mid", "mid");
    outer.links("../around", "../linked");
    outer.git("../linked", &["submodule", "update", "-q", "--init"]);
    outer.is_refused("../linked", "b/new.yaml", "only the outer one is here");
    // A working tree of the submodule itself has not what is in it, nor what is around it.
    outer.links("../around/mid", "../of-mid");
    outer.is_refused("../of-mid", "b/new.yaml", "it is linked to a submodule");
    let test = &outer.repo.test;
    test.write("../around/own.yaml", "a: planted-three\n");
    let _ = test.sealant(&["encrypt", "-i", "own.yaml"]).cwd("../around").run().ok();
    test.write("../of-mid/b/own.yaml", test.read_text("../around/own.yaml"));
    let refused = test.sealant(&["updatekeys", "--yes", "b/own.yaml"]).cwd("../of-mid").run().code(8);
    assert!(refused.stderr.contains("own.yaml"), "{refused}");
}

/// Somebody looks at a request to a submodule.
#[test]
fn whom_another_commit_of_a_submodule_names_is_not_let_in() {
    for (outer, name) in [(Outer::new(), "b/new.yaml"), (Outer::vendored(), "new.yaml")] {
        let (test, sec) = (&outer.repo.test, format!("{OUTER}/sec"));
        let both = format!("{},{}", outer.repo.recipient, outer.mallory);
        outer.git(&sec, &["checkout", "-q", "-b", "review"]);
        test.write(format!("{sec}/.sops.yaml"), format!("creation_rules:\n  - age: {both}\n"));
        outer.commit(&sec);
        outer.lets_nobody_in(OUTER, name, "in the same working tree");
        outer.links(OUTER, "../linked");
        outer.is_refused("../linked", name, "in another one");
        // What has left its place in that commit.
        outer.git(&sec, &["rm", "-q", "s.yaml"]);
        outer.commit(&sec);
        outer.lets_nobody_in(OUTER, name, "it is only in the history");
        // Whoever stages the commit has chosen it.
        outer.git(&sec, &["checkout", "-q", "HEAD~1"]);
        outer.git(OUTER, &["add", "sec"]);
        let _ = test.sealant(&["updatekeys", "--yes", name]).cwd(OUTER).run().ok();
    }
}

/// `git commit -a` takes along what somebody has checked out to look at it.
#[test]
fn whom_a_new_commit_of_a_submodule_names_is_told() {
    for outer in [Outer::new(), Outer::vendored()] {
        outer.init("../around");
        outer.commit("../around");
        outer.adds("../around", OUTER, "o");
        let test = &outer.repo.test;
        let both = format!("{},{}", outer.repo.recipient, outer.mallory);
        let told = format!("have these new recipients: {}", outer.mallory);
        for (top, way) in [(OUTER, &["sec"][..]), ("../around", &["o", "sec"])] {
            let hook = || test.sealant(&["hook", "pre-commit"]).cwd(top).run();
            // What is changed there is committed all the way up, and staged at the top.
            let changes = |file: &str, text: &str| {
                test.write(format!("{top}/{}/{file}", way.join("/")), text);
                for depth in (1..=way.len()).rev() {
                    outer.commit(&format!("{top}/{}", way[..depth].join("/")));
                }
                outer.git(top, &["add", "-A"]);
            };
            changes("note.txt", "nothing about rules");
            let quiet = hook().ok();
            assert!(!quiet.text().contains("[config-change]"), "{top}: {quiet}");
            outer.commit(top);
            changes(".sops.yaml", &format!("creation_rules:\n  - age: {both}\n"));
            let staged = hook();
            assert!(staged.text().contains(&told), "{top}: {staged}");
            outer.commit(top);
            let committed = test.sealant(&["check", "--base", "HEAD~1"]).cwd(top).run();
            assert!(committed.text().contains(&told), "{top}: {committed}");
        }
    }
}

/// The same where another working tree has the whole request, and ours chooses.
#[test]
fn whom_a_submodule_of_another_branch_names_is_not_let_in() {
    for what in
        ["another commit", "a commit that is not there", "it is gone there", "another path", "another name"]
    {
        let outer = Outer::vendored();
        let (test, sec) = (&outer.repo.test, format!("{OUTER}/sec"));
        let url = test.path("").display().to_string();
        outer.rules(OUTER, "^(b|moved)/", true);
        outer.commit(OUTER);
        outer.links(OUTER, "../linked");
        if what == "another path" {
            outer.git(OUTER, &["mv", "sec", "moved"]);
        } else if what == "another name" {
            outer.git(OUTER, &["rm", "-q", "-f", "sec"]);
            outer.git(OUTER, &["submodule", "add", "-q", "--name", "other", &url, "moved"]);
        } else {
            let both = format!("{},{}", outer.repo.recipient, outer.mallory);
            test.write(format!("{sec}/.sops.yaml"), format!("creation_rules:\n  - age: {both}\n"));
            if what == "a commit that is not there" {
                outer.git(&sec, &["checkout", "-q", "--orphan", "strange"]);
            }
            if what == "it is gone there" {
                outer.git(&sec, &["rm", "-q", "s.yaml"]);
            }
            outer.commit(&sec);
        }
        outer.commit(OUTER);
        if what == "a commit that is not there" {
            outer.git(&sec, &["push", "-q", "origin", "HEAD:strange"]);
            outer.git(OUTER, &["submodule", "deinit", "-q", "-f", "sec"]);
            std::fs::remove_dir_all(test.path("../outer/.git/modules/sec")).expect("it is there");
            outer.git(
                OUTER,
                &["clone", "-q", "--single-branch", "-b", "strange", &format!("file://{url}"), "sec"],
            );
        }
        outer.lets_nobody_in("../linked", "b/new.yaml", what);
    }
}

/// What is only in the history of a submodule is for whom our rules name, not those of the branch that has it.
#[test]
fn the_history_of_a_submodule_of_another_branch_is_for_nobody_else() {
    for is_moved in [false, true] {
        let outer = Outer::vendored();
        let sec = format!("{OUTER}/sec");
        outer.git(&sec, &["rm", "-q", "s.yaml"]);
        outer.commit(&sec);
        outer.commit(OUTER);
        outer.rules(OUTER, "^(b|moved)/", true);
        outer.commit(OUTER);
        outer.links(OUTER, "../linked");
        if is_moved {
            outer.git(OUTER, &["mv", "sec", "moved"]);
        } else {
            outer.rules(OUTER, "^nothing/", false);
        }
        outer.commit(OUTER);
        outer.lets_nobody_in("../linked", "b/new.yaml", &format!("{is_moved}"));
    }
}

/// A request moves a submodule to where more may read.
#[test]
fn where_a_submodule_was_counts_for_what_it_has() {
    for how in [
        "by git mv",
        "as a new one",
        "another one is there",
        "with a path out of the repository",
        "the old entry stays",
        "both paths are in one entry",
        "with a comment",
        "with other letters",
        "with a long file",
        "Git is to ignore it",
        "another working tree has it there",
    ] {
        let outer = Outer::vendored();
        let test = &outer.repo.test;
        outer.rules(OUTER, "^b/", true);
        let name = "../outer/.gitmodules";
        let entry = test.read_text(name);
        test.write(
            name,
            match how {
                "with a comment" => entry.replace("path = sec", "path = sec # ours"),
                "with other letters" => entry.replace("path = sec", "Path = sec"),
                "with a long file" => format!("{}{entry}", format!("# {}\n", "x".repeat(98)).repeat(11_000)),
                _ => entry.clone(),
            },
        );
        outer.commit(OUTER);
        if how == "another working tree has it there" {
            outer.links(OUTER, "../linked");
            outer.git("../linked", &["submodule", "update", "-q", "--init"]);
        }
        if how == "as a new one" {
            let url = test.path("").display().to_string();
            outer.git(OUTER, &["rm", "-q", "-f", "sec"]);
            outer.git(OUTER, &["submodule", "add", "-q", "--name", "other", &url, "b/moved"]);
        } else {
            std::fs::create_dir(test.path("../outer/b")).expect("it is not there");
            outer.git(OUTER, &["mv", "sec", "b/moved"]);
        }
        if how == "another one is there" {
            outer.init("../strange");
            outer.commit("../strange");
            let url = test.path("../strange").canonicalize().expect("a folder").display().to_string();
            outer.git(OUTER, &["submodule", "add", "-q", "--name", "other", &url, "sec"]);
        }
        if how == "with a path out of the repository" {
            let good = test.read_text("../outer/.gitmodules");
            let many: String =
                (0..300).map(|at| format!("[submodule \"{at}\"]\n\tpath = many/{at}\n")).collect();
            let odd = "\tpath = ../x\n[submodule \"x\"]\n\tpath =\n";
            test.write("../outer/.gitmodules", format!("{good}{odd}{many}"));
            outer.commit(OUTER);
            test.write("../outer/.gitmodules", good);
        }
        let moved = test.read_text(name);
        match how {
            "the old entry stays" => test.write(name, format!("{entry}{moved}")),
            "both paths are in one entry" => {
                test.write(name, moved.replace("\tpath = ", "\tpath = sec\n\tpath = "));
            }
            "Git is to ignore it" => {
                test.write(name, format!("{moved}[submodule \"z\"]\n\tpath = sec\n\tignore = all\n"));
            }
            _ => {}
        }
        outer.commit(OUTER);
        outer.is_refused(OUTER, "b/new.yaml", how);
        std::fs::remove_file(test.path("../outer/b/new.yaml")).expect("it is there");
        for words in [&["updatekeys", "--yes"][..], &["rotate", "-i"]] {
            let refused = test.sealant(&[words, &["b/moved/s.yaml"]].concat()).cwd(OUTER).run().code(8);
            assert!(refused.stderr.contains(" sec/s.yaml"), "{how}: {refused}");
        }
    }
}

/// Its own rules have moved along.
#[test]
fn a_submodule_with_rules_of_its_own_lives_on_where_it_is() {
    let outer = Outer::new();
    let test = &outer.repo.test;
    outer.git(OUTER, &["mv", "sec", "moved"]);
    outer.commit(OUTER);
    let both = format!("{},{}", outer.repo.recipient, outer.mallory);
    test.write("../outer/moved/.sops.yaml", format!("creation_rules:\n  - age: {both}\n"));
    let _ = test.sealant(&["updatekeys", "--yes", "s.yaml"]).cwd("../outer/moved").run().ok();
    assert!(test.read_text("../outer/moved/s.yaml").contains(&outer.mallory));
    let _ = test.sealant(&["rotate", "-i", "moved/s.yaml"]).cwd(OUTER).run().ok();
}

/// The rules around a submodule within another one are those of the commit of that one which was chosen.
#[test]
fn what_is_chosen_of_a_submodule_is_so_for_those_within_it() {
    let outer = Outer::vendored();
    outer.init("../mid");
    outer.rules("../mid", "^inner/", false);
    outer.adds("../mid", ".", "inner");
    outer.init("../around");
    outer.adds("../around", "../mid", "mid");
    outer.lets_nobody_in("../around", "b/new.yaml", "the rules that were chosen");
    outer.git("../around/mid", &["checkout", "-q", "-b", "review"]);
    outer.rules("../around/mid", "^nothing/", false);
    outer.commit("../around/mid");
    outer.lets_nobody_in("../around", "b/new.yaml", "those of a request");
    // The request takes the inner one to another commit, which is not checked out.
    outer.repo.test.write("../around/mid/inner/note.txt", "1");
    outer.commit("../around/mid/inner");
    outer.commit("../around/mid");
    outer.git("../around/mid/inner", &["checkout", "-q", "HEAD~1"]);
    outer.lets_nobody_in("../around", "b/new.yaml", "with another commit within it");

    // It moves the inner one to a place that our commit has not; then that is chosen.
    outer.git("../around", &["submodule", "update", "-q", "--recursive"]);
    outer.repo.test.write("../around/mid/x/note.txt", "1");
    outer.git("../around/mid", &["mv", "inner", "x/inner"]);
    outer.commit("../around/mid");
    outer.lets_nobody_in("../around", "b/new.yaml", "the inner one is elsewhere");
    std::fs::remove_file(outer.repo.test.path("../around/b/new.yaml")).expect("it is there");
    outer.commit("../around");
    outer.lets_nobody_in("../around", "b/new.yaml", "the inner one was elsewhere");
}

/// Files of a submodule are its own business, and others that a command is about are not.
#[test]
fn in_one_command_with_its_own_files_a_submodule_names_nobody_new() {
    let outer = Outer::new();
    let (test, sec) = (&outer.repo.test, format!("{OUTER}/sec"));
    let both = format!("{},{}", outer.repo.recipient, outer.mallory);
    test.write(format!("{sec}/.sops.yaml"), format!("creation_rules:\n  - age: {both}\n"));
    outer.commit(&sec);
    test.write("../outer/b/new.yaml", outer.secret());
    let refused = test.sealant(&["updatekeys", "--yes", "."]).cwd(OUTER).run().code(8);
    assert!(refused.stderr.contains("b/new.yaml: shares its data key"), "{refused}");
    assert!(!test.read_text("../outer/b/new.yaml").contains(&outer.mallory));
}

/// The commit that was chosen is not fetched yet.
#[test]
fn a_commit_that_is_not_here_names_nobody() {
    for outer in [Outer::vendored(), Outer::new()] {
        let (test, sec) = (&outer.repo.test, format!("{OUTER}/sec"));
        let both = format!("{},{}", outer.repo.recipient, outer.mallory);
        // What is around it may be for more than what it has.
        outer.rules(OUTER, "^nothing/", false);
        test.write(format!("{sec}/.sops.yaml"), format!("creation_rules:\n  - age: {both}\n"));
        outer.commit(&sec);
        let gone = "160000,0123456789abcdef0123456789abcdef01234567,sec";
        outer.git(OUTER, &["update-index", "--cacheinfo", gone]);
        outer.lets_nobody_in(OUTER, "new.yaml", "not here");
    }
}

/// A folder above may have any name.
#[test]
fn a_submodule_is_known_by_its_name_in_a_folder_of_that_of_gits() {
    let outer = Outer::vendored();
    outer.git(".", &["clone", "-q", "--recurse-submodules", OUTER, "../modules/outer"]);
    let clone = "../modules/outer";
    outer.rules(clone, "^(b|moved)/", true);
    outer.commit(clone);
    outer.links(clone, "../modules/modules");
    outer.git(clone, &["mv", "sec", "moved"]);
    outer.commit(clone);
    outer.lets_nobody_in("../modules/modules", "b/new.yaml", "in `modules`");
}

/// Git does not take away what it does not know, so the `.git` of a submodule may stay where that was.
#[test]
fn what_is_left_where_a_submodule_was_is_no_obstacle() {
    let outer = Outer::new();
    let test = &outer.repo.test;
    test.write("../outer/b/own.yaml", "a: planted-three\n");
    let _ = test.sealant(&["encrypt", "-i", "b/own.yaml"]).cwd(OUTER).run().ok();
    outer.commit(OUTER);
    outer.git(OUTER, &["mv", "sec", "moved"]);
    test.write("../outer/moved/note.txt", "mine");
    outer.git(OUTER, &["commit", "-q", "-m", "moved"]);
    outer.git(OUTER, &["checkout", "-q", "HEAD~1"]);
    outer.git(OUTER, &["submodule", "update", "-q", "--init"]);
    assert!(test.path("../outer/moved/.git").exists(), "this Git takes it away");
    let _ = test.sealant(&["rotate", "-i", "b/own.yaml"]).cwd(OUTER).run().ok();
    outer.lets_nobody_in(OUTER, "b/new.yaml", "the submodule is still looked at");
}

/// A branch has a submodule of the same name from somewhere else.
#[test]
fn a_submodule_of_the_same_name_hides_no_other() {
    let outer = Outer::new();
    outer.init("../strange");
    outer.commit("../strange");
    let url = outer.repo.test.path("../strange").canonicalize().expect("a folder").display().to_string();
    outer.git(OUTER, &["branch", "request"]);
    outer.links(OUTER, "../linked");
    outer.git("../linked", &["config", "-f", ".gitmodules", "submodule.sec.url", &url]);
    outer.git("../linked", &["clone", "-q", &url, "sec"]);
    outer.is_refused("../linked", "b/new.yaml", "of the same name");
}

/// By what `.gitmodules` says, or by the path, another submodule is in the place of one that only another working tree has checked out.
#[test]
fn another_submodule_in_its_place_hides_no_history() {
    for how in ["by its name", "by its path"] {
        let outer = Outer::vendored();
        let (repo, test) = (&outer.repo, &outer.repo.test);
        outer.rules(OUTER, "^b/", true);
        outer.commit(OUTER);
        let secret = outer.secret();
        repo.ok(&["rm", "-q", "s.yaml"]);
        repo.ok(&["commit", "-q", "-m", "gone"]);
        outer.git("../outer/sec", &["pull", "-q"]);
        outer.commit(OUTER);
        outer.init("../strange");
        outer.commit("../strange");
        outer.links(OUTER, "../linked");
        let strange = test.path("../strange").canonicalize().expect("a folder").display().to_string();
        if how == "by its path" {
            outer.git("../linked", &["rm", "-q", "-f", "sec"]);
            outer.git("../linked", &["submodule", "add", "-q", "--name", "other", &strange, "sec"]);
        } else {
            outer.git("../linked", &["submodule", "add", "-q", "--name", "other", &strange, "b/x"]);
            outer.git("../linked", &["config", "-f", ".gitmodules", "submodule.sec.path", "b/x"]);
        }
        outer.commit("../linked");
        test.write("s.yaml", &secret);
        outer.lets_nobody_in("../linked", "b/new.yaml", how);
    }
}

/// One working tree lies within another, and a clone within that.
#[test]
fn a_repository_within_a_working_tree_counts_where_it_is() {
    let outer = Outer::vendored();
    let tree = "../outer/.worktrees/f";
    outer.rules(OUTER, "^(sec|clone|dev)/", true);
    outer.commit(OUTER);
    outer.links(OUTER, tree);
    let url = outer.repo.test.path("").display().to_string();
    outer.git(tree, &["clone", "-q", &url, "clone"]);
    outer.git(OUTER, &["submodule", "deinit", "-q", "-f", "sec"]);
    let test = &outer.repo.test;
    for folder in ["clone", "dev"] {
        test.write(format!("{tree}/{folder}/s.yaml"), outer.secret());
        let name = format!("{folder}/s.yaml");
        let _ = test.sealant(&["updatekeys", "--yes", &name]).cwd(tree).run();
    }
    let _ = test.sealant(&["updatekeys", "--yes", "clone/s.yaml", "dev/s.yaml"]).cwd(tree).run().ok();
    assert!(test.read_text(format!("{tree}/dev/s.yaml")).contains(&outer.mallory));
}
