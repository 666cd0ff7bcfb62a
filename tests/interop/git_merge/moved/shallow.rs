//! What a clone without the whole history can tell of moves.

use super::{Moved, SECRET};
use crate::git_merge::repo::Repo;

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
