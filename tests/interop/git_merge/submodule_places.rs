//! Submodules that our branch has elsewhere, or not at all, than they lie on the disk: what they have is for nobody else.

use super::submodules::{OUTER, Outer};

/// The rules of a request to the submodule, which name Mallory.
fn request(outer: &Outer) -> String {
    format!("creation_rules:\n  - age: {},{}\n", outer.repo.recipient, outer.mallory)
}

/// Somebody looked at a branch that has it; ours has not.
#[test]
fn a_submodule_that_our_branch_does_not_have_names_nobody() {
    for way in [&["sec"][..], &["mid", "sec"]] {
        let outer = Outer::new();
        let (test, sec) = (&outer.repo.test, format!("../around/{}", way.join("/")));
        outer.init("../mid");
        outer.commit("../mid");
        outer.init("../around");
        outer.commit("../around");
        if way.len() > 1 {
            outer.adds("../around", "../mid", "mid");
        }
        let folder = format!("../around/{}", way[..way.len() - 1].join("/"));
        outer.git(&folder, &["checkout", "-q", "-b", "dev"]);
        outer.adds(&folder, ".", "sec");
        test.write(format!("{sec}/.sops.yaml"), request(&outer));
        outer.commit(&sec);
        outer.commit(&folder);
        outer.git(&folder, &["checkout", "-q", "main"]);
        assert!(test.path(format!("{sec}/s.yaml")).exists(), "Git leaves it there");
        outer.lets_nobody_in("../around", "b/new.yaml", &sec);
        let refused = test.sealant(&["updatekeys", "--yes", "b/new.yaml"]).cwd("../around").run().code(8);
        assert!(refused.stderr.contains("of a submodule that this branch does not have"), "{refused}");
    }
}

/// What Git keeps of a submodule that is not checked out, or gone, counts.
#[test]
fn a_submodule_without_a_working_tree_is_for_nobody_else() {
    for how in [
        "deinit",
        "rm",
        "rm, and its rule",
        "rm, and another one is there",
        "another commit",
        "a commit without it",
    ] {
        for outer in [Outer::new(), Outer::vendored()] {
            let (test, sec) = (&outer.repo.test, format!("{OUTER}/sec"));
            if how == "another commit" {
                test.write(format!("{sec}/.sops.yaml"), request(&outer));
                outer.commit(&sec);
            }
            if how == "a commit without it" {
                outer.git(&sec, &["checkout", "-q", "--orphan", "strange"]);
                outer.git(&sec, &["rm", "-q", "-f", "s.yaml"]);
                test.write(format!("{sec}/note.txt"), "1");
                outer.commit(&sec);
                outer.commit(OUTER);
            }
            match how {
                "deinit" | "another commit" | "a commit without it" => {
                    outer.git(OUTER, &["submodule", "deinit", "-q", "-f", "sec"])
                }
                _ => {
                    outer.git(OUTER, &["rm", "-q", "-f", "sec"]);
                    if how == "rm, and its rule" {
                        outer.rules(OUTER, "^nothing/", false);
                    }
                    outer.commit(OUTER);
                    if how == "rm, and another one is there" {
                        outer.init("../strange");
                        outer.commit("../strange");
                        outer.rules(OUTER, "^(b|sec)/", true);
                        let url =
                            test.path("../strange").canonicalize().expect("a folder").display().to_string();
                        outer.git(OUTER, &["submodule", "add", "-q", "--name", "other", &url, "sec"]);
                        outer.commit(OUTER);
                    }
                }
            }
            outer.lets_nobody_in(OUTER, "b/new.yaml", how);
            if how != "a commit without it" {
                let check = test.sealant(&["check"]).cwd(OUTER).run().code(1);
                assert!(check.text().contains("[moved]"), "{how}: {check}");
            }
        }
    }
    // Where all read all, it is of no account.
    let outer = Outer::new();
    let everywhere = request(&outer);
    for file in ["sec/.sops.yaml", ".sops.yaml"] {
        outer.repo.test.write(format!("{OUTER}/{file}"), &everywhere);
    }
    outer.commit(&format!("{OUTER}/sec"));
    outer.commit(OUTER);
    outer.git(OUTER, &["submodule", "deinit", "-q", "-f", "sec"]);
    outer.repo.test.write("../outer/b/new.yaml", outer.secret());
    let _ = outer.repo.test.sealant(&["updatekeys", "--yes", "b/new.yaml"]).cwd(OUTER).run().ok();
}

/// What is around it is what was chosen of the outer submodule, not what is checked out of that.
#[test]
fn what_is_around_a_kept_submodule_is_what_was_chosen() {
    for how in ["deinit", "a request", "deinit of both"] {
        let outer = Outer::vendored();
        outer.init("../mid");
        outer.rules("../mid", "^inner/", false);
        outer.adds("../mid", ".", "inner");
        outer.init("../around");
        outer.rules("../around", "^nothing/", false);
        outer.adds("../around", "../mid", "mid");
        outer.git("../around/mid", &["submodule", "deinit", "-q", "-f", "inner"]);
        if how == "a request" {
            outer.git("../around/mid", &["checkout", "-q", "-b", "review"]);
            outer.rules("../around/mid", "^nothing/", false);
            outer.commit("../around/mid");
        }
        if how == "deinit of both" {
            outer.git("../around", &["submodule", "deinit", "-q", "-f", "mid"]);
        }
        outer.lets_nobody_in("../around", "b/new.yaml", how);
    }
}

/// It may be called anything, and have other working trees; and a branch may invent as much as it likes.
#[test]
fn nothing_that_a_branch_invents_pushes_out_what_it_has() {
    for how in [
        "a deep name",
        "names as in a repository",
        "a working tree elsewhere",
        "many commits of its own",
        "many other commits",
        "many other places",
    ] {
        let outer = Outer::vendored();
        let (repo, test, sec) = (&outer.repo, &outer.repo.test, format!("{OUTER}/sec"));
        let url = test.path("").display().to_string();
        outer.rules(OUTER, "^(b|0)/", true);
        outer.commit(OUTER);
        let deep = "d/".repeat(40) + "sec";
        let again = |name: &str| {
            outer.git(OUTER, &["rm", "-q", "-f", "sec"]);
            std::fs::remove_dir_all(test.path("../outer/.git/modules/sec")).expect("it is there");
            outer.git(OUTER, &["submodule", "add", "-q", "--name", name, &url, "sec"]);
            outer.commit(OUTER);
        };
        match how {
            "a deep name" => again(&deep),
            "names as in a repository" => {
                again("libs/sec");
                outer.init("../strange");
                outer.commit("../strange");
                let strange = test.path("../strange").canonicalize().expect("a folder").display().to_string();
                for name in ["libs/HEAD", "libs/objects"] {
                    outer.git(OUTER, &["submodule", "add", "-q", "--name", name, &strange, name]);
                }
                outer.commit(OUTER);
            }
            "a working tree elsewhere" => outer.links(&sec, "../linked"),
            "many commits of its own" => {
                for at in 0..70 {
                    test.write(format!("{sec}/note.txt"), at.to_string());
                    outer.commit(&sec);
                    outer.commit(OUTER);
                }
            }
            "many other commits" => {
                for at in 0..70 {
                    let gitlink = format!("160000,{:040x},sec", at + 4096);
                    outer.git(OUTER, &["update-index", "--cacheinfo", &gitlink]);
                    outer.git(OUTER, &["commit", "-q", "-m", "invented"]);
                }
                outer.commit(OUTER);
            }
            _ => {
                let commit = repo.git(&["rev-parse", "HEAD"]).run().ok().text().to_owned();
                let gitlink = |at: usize| format!("160000,{},0/{at}", commit.trim());
                let all: Vec<String> = (0..300).map(gitlink).collect();
                let all: Vec<&str> = all.iter().flat_map(|one| ["--cacheinfo", one]).collect();
                outer.git(OUTER, &[&["update-index", "--add"][..], &all].concat());
                outer.git(OUTER, &["commit", "-q", "-m", "many"]);
                outer.git(OUTER, &["rm", "-q", "-r", "--cached", "0"]);
                std::fs::create_dir(test.path("../outer/b")).expect("it is not there");
                outer.git(OUTER, &["mv", "sec", "b/moved"]);
                outer.git(OUTER, &["commit", "-q", "-m", "moved"]);
            }
        }
        match how {
            "many other places" => {
                let own = test.sealant(&["updatekeys", "--yes", "b/moved/s.yaml"]).cwd(OUTER).run().code(8);
                assert!(own.stderr.contains("too many places"), "{how}: {own}");
            }
            _ => outer.git(OUTER, &["submodule", "deinit", "-q", "-f", "sec"]),
        }
        outer.lets_nobody_in(OUTER, "b/new.yaml", how);
    }
}

/// A repository that Git does not open may have anything.
#[test]
fn a_broken_repository_that_git_keeps_is_named() {
    let outer = Outer::new();
    let test = &outer.repo.test;
    outer.git(OUTER, &["submodule", "deinit", "-q", "-f", "sec"]);
    test.write("../outer/.git/modules/sec/HEAD", "");
    test.write("../outer/b/new.yaml", outer.secret());
    let told = test.sealant(&["updatekeys", "--yes", "b/new.yaml"]).cwd(OUTER).run().code(2);
    for part in
        [".git/modules/sec: Git keeps the repository of a submodule here", "`git submodule update --init`"]
    {
        assert!(told.stderr.contains(part), "{told}");
    }
    std::fs::rename(test.path("../outer/.git/modules/sec"), test.path("../away")).expect("it is there");
    outer.git(OUTER, &["submodule", "update", "-q", "--init"]);
    outer.lets_nobody_in(OUTER, "b/new.yaml", "it is back");
}

/// What is under way in a submodule, or hidden from Git, is not what was chosen.
#[test]
fn what_is_only_checked_out_in_a_submodule_names_nobody() {
    for how in ["merge", "checkout", "orphan", "skip-worktree", "conflict"] {
        let outer = Outer::new();
        let (test, sec) = (&outer.repo.test, format!("{OUTER}/sec"));
        outer.git(&sec, &["checkout", "-q", "-b", "review"]);
        test.write(format!("{sec}/.sops.yaml"), request(&outer));
        outer.commit(&sec);
        match how {
            "skip-worktree" => outer.git(OUTER, &["update-index", "--skip-worktree", "sec"]),
            "conflict" => {
                outer.git(OUTER, &["checkout", "-q", "-b", "request"]);
                outer.commit(OUTER);
                outer.git(&sec, &["checkout", "-q", "-b", "ours", "HEAD~1"]);
                test.write(format!("{sec}/note.txt"), "ours");
                outer.commit(&sec);
                outer.git(OUTER, &["checkout", "-q", "main"]);
                outer.commit(OUTER);
                let who = ["-c", "user.name=Test", "-c", "user.email=t@example.com"];
                let merge = [&who[..], &["-C", OUTER, "merge", "-q", "--no-edit", "request"]].concat();
                let _ = outer.repo.git(&merge).run().code(1);
                outer.git(&sec, &["checkout", "-q", "review"]);
            }
            _ => {
                outer.git(&sec, &["checkout", "-q", "-b", "ours", "HEAD~1"]);
                match how {
                    "merge" => outer.git(&sec, &["merge", "-q", "--no-ff", "--no-commit", "review"]),
                    "checkout" => outer.git(&sec, &["checkout", "-q", "review", "--", "."]),
                    _ => outer.git(&sec, &["checkout", "-q", "--orphan", "strange", "review"]),
                }
            }
        }
        assert!(test.read_text(format!("{sec}/.sops.yaml")).contains(&outer.mallory), "{how}");
        outer.lets_nobody_in(OUTER, "b/new.yaml", how);
    }
}

/// It was in another submodule, or now is in one; or both have moved.
#[test]
fn where_a_submodule_was_counts_across_repositories() {
    for how in ["out of one", "into one", "both move"] {
        let outer = Outer::vendored();
        let test = &outer.repo.test;
        let around = "../around";
        for folder in ["../mid", around] {
            outer.init(folder);
            outer.rules(folder, "^(b|mid/x)/", true);
            outer.commit(folder);
        }
        std::fs::remove_file(test.path("../mid/.sops.yaml")).expect("it is there");
        outer.commit("../mid");
        if how != "into one" {
            outer.adds("../mid", ".", "inner");
        }
        outer.adds(around, "../mid", "mid");
        if how == "into one" {
            outer.adds(around, ".", "sec");
            outer.git(around, &["rm", "-q", "-f", "sec"]);
            outer.adds("../around/mid", ".", "x");
        }
        if how == "out of one" {
            outer.git("../around/mid", &["rm", "-q", "-f", "inner"]);
            outer.commit("../around/mid");
            outer.adds(around, ".", "b/x");
        }
        if how == "both move" {
            outer.git("../around/mid", &["mv", "inner", "moved"]);
            outer.commit("../around/mid");
            std::fs::create_dir(test.path("../around/b")).expect("it is not there");
            outer.git(around, &["mv", "mid", "b/mid"]);
        }
        outer.git(around, &["commit", "-q", "--allow-empty", "-a", "-m", "more"]);
        outer.is_refused(around, "b/new.yaml", how);
    }
}

/// The move comes with a merge that is under way.
#[test]
fn where_a_submodule_was_counts_while_a_merge_is_under_way() {
    let outer = Outer::vendored();
    let test = &outer.repo.test;
    outer.init("../around");
    outer.commit("../around");
    outer.git("../around", &["checkout", "-q", "-b", "dev"]);
    outer.adds("../around", ".", "sec");
    std::fs::create_dir(test.path("../around/b")).expect("it is not there");
    outer.git("../around", &["mv", "sec", "b/x"]);
    outer.commit("../around");
    outer.git("../around", &["checkout", "-q", "main"]);
    std::fs::remove_dir_all(test.path("../around/b")).expect("it is there");
    outer.git("../around", &["merge", "-q", "--no-ff", "--no-commit", "dev"]);
    outer.git("../around", &["submodule", "update", "-q", "--init"]);
    outer.lets_nobody_in("../around", "b/new.yaml", "a merge");
}

/// On another branch a folder of ours is a submodule, whose config Git leaves there.
#[test]
fn a_config_that_a_submodule_has_left_names_nobody_for_our_files() {
    let outer = Outer::new();
    let test = &outer.repo.test;
    outer.init("../strange");
    test.write("../strange/.sops.yaml", request(&outer));
    outer.commit("../strange");
    outer.init("../around");
    test.write("../around/sec/s.yaml", outer.secret());
    outer.commit("../around");
    outer.git("../around", &["checkout", "-q", "-b", "request"]);
    outer.git("../around", &["rm", "-q", "-r", "sec"]);
    outer.adds("../around", "../strange", "sec");
    outer.git("../around", &["checkout", "-q", "main"]);
    assert!(test.path("../around/sec/.sops.yaml").exists(), "Git leaves it there");
    for words in [&["updatekeys", "--yes"][..], &["rotate", "-i"], &["encrypt", "-i"]] {
        if words[0] == "encrypt" {
            test.write("../around/sec/s.yaml", "a: planted-three\n");
        }
        let refused = test.sealant(&[words, &["sec/s.yaml"]].concat()).cwd("../around").run().code(5);
        for part in ["sec/.sops.yaml: its creation rules would be for files that Git has", "`rm "] {
            assert!(refused.stderr.contains(part), "{refused}");
        }
    }
    assert!(!test.read_text("../around/sec/s.yaml").contains(&outer.mallory));
    // The command that the message names helps.
    for left in ["sec/.git", "sec/.sops.yaml"] {
        std::fs::remove_file(test.path(format!("../around/{left}"))).expect("it is there");
    }
    let _ = test.sealant(&["encrypt", "-i", "sec/s.yaml"]).cwd("../around").run().ok();
    assert!(!test.read_text("../around/sec/s.yaml").contains(&outer.mallory));
}

/// A change takes a submodule to another commit, and moves it.
#[test]
fn whom_a_submodule_newly_names_that_has_moved_is_told() {
    let outer = Outer::new();
    let (test, sec) = (&outer.repo.test, format!("{OUTER}/sec"));
    test.write(format!("{sec}/.sops.yaml"), request(&outer));
    outer.commit(&sec);
    outer.git(OUTER, &["add", "sec"]);
    outer.git(OUTER, &["mv", "sec", "moved"]);
    let told = format!("have these new recipients: {}", outer.mallory);
    let staged = test.sealant(&["hook", "pre-commit"]).cwd(OUTER).run();
    assert!(staged.text().contains(&told), "{staged}");
    outer.commit(OUTER);
    let committed = test.sealant(&["check", "--base", "HEAD~1"]).cwd(OUTER).run();
    assert!(committed.text().contains(&told), "{committed}");
}
