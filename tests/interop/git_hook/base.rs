//! `check --base`, and `check --fix`.

use super::weakened::OTHER;
use super::*;

fn check(test: &Sandbox, args: &[&str]) -> Run {
    program(test, env!("CARGO_BIN_EXE_sealant"), &["check"]).args(args)
}

fn files(output: &sealant_test_support::Output) -> Vec<String> {
    lines(output).iter().map(|line| line.split(':').next().unwrap().to_owned()).collect()
}

/// Two branches: what was bad before they parted, what `main` did since, and what the branch does.
fn branches() -> Sandbox {
    let test = repository();
    add(&test, "secrets/old.yaml", "a: hunter2\n");
    add(&test, "secrets/same.yaml", "b: hunter2\n");
    git(&test, &["commit", "-qm", "old"]).run().ok();
    git(&test, &["checkout", "-qb", "branch"]).run().ok();
    add(&test, "secrets/a b.yaml", "a: hunter2\n");
    git(&test, &["mv", "secrets/old.yaml", "secrets/moved.yaml"]).run().ok();
    git(&test, &["commit", "-qm", "branch"]).run().ok();
    git(&test, &["checkout", "-q", "main"]).run().ok();
    add(&test, "secrets/main.yaml", "a: hunter2\n");
    git(&test, &["commit", "-qm", "main"]).run().ok();
    git(&test, &["checkout", "-q", "branch"]).run().ok();
    test
}

#[test]
fn base_is_what_a_branch_has_changed() {
    let test = branches();
    assert_eq!(files(&check(&test, &[]).run().code(1)).len(), 3);
    let branch = ["secrets/a b.yaml", "secrets/moved.yaml"];
    assert_eq!(files(&check(&test, &["--base", "main"]).run().code(1)), branch);
    assert_eq!(files(&check(&test, &["--base", "main", "secrets/a b.yaml"]).run().code(1)), branch[..1]);
    check(&test, &["--base", "main", "secrets/same.yaml"]).run().ok();
    // In a subfolder it is what is there.
    let output = check(&test, &["--base", "main"]).cwd("secrets").run().code(1);
    assert_eq!(files(&output), ["a b.yaml", "moved.yaml"]);
    // What is in the working tree belongs to it, but for what Git ignores.
    test.write("secrets/new.yaml", "a: hunter2\n");
    test.write("ignored.yaml", SECRET);
    test.write(".gitignore", "ignored.yaml\n");
    test.write("secrets/same.yaml", "c: hunter2\n");
    let output = check(&test, &["--base", "main"]).run().code(1);
    assert_eq!(
        files(&output),
        ["secrets/a b.yaml", "secrets/moved.yaml", "secrets/new.yaml", "secrets/same.yaml"]
    );
    git(&test, &["checkout", "-q", "secrets/same.yaml"]).run().ok();
    // What Git is told not to look at is looked at.
    for mark in ["assume-unchanged", "skip-worktree"] {
        git(&test, &["update-index", &format!("--{mark}"), "secrets/same.yaml"]).run().ok();
        test.write("secrets/same.yaml", "c: hunter2\n");
        let output = check(&test, &["--base", "main"]).run().code(1);
        assert!(files(&output).contains(&"secrets/same.yaml".to_owned()), "{mark}: {output}");
        git(&test, &["update-index", &format!("--no-{mark}"), "secrets/same.yaml"]).run().ok();
        git(&test, &["checkout", "-q", "secrets/same.yaml"]).run().ok();
    }
    // A rule that changes is about files that do not.
    test.write(".sops.yaml", format!("# changed\n{}", rule()));
    let output = check(&test, &["--base", "main"]).run().code(1);
    assert!(files(&output).contains(&"secrets/same.yaml".to_owned()), "{output}");
}

/// The name of a folder that became a link is all that differs in it.
#[test]
fn a_folder_that_became_a_link_hides_nothing() {
    let test = repository();
    add(&test, "other/a.yaml", "a: hunter2\n");
    std::os::unix::fs::symlink("secrets", test.path("link")).unwrap();
    git(&test, &["add", "link"]).run().ok();
    git(&test, &["commit", "-qm", "main"]).run().ok();
    git(&test, &["checkout", "-qb", "branch"]).run().ok();
    add(&test, "secrets/new.yaml", "a: hunter2\n");
    git(&test, &["commit", "-qm", "new"]).run().ok();
    // One that was there before leads to what is new.
    let output = check(&test, &["--base", "main", "link"]).run().code(1);
    assert!(output.text().contains("link/new.yaml:1:"), "{output}");
    let output = check(&test, &["--base", "main", "link/new.yaml"]).run().code(1);
    assert!(output.text().contains("link/new.yaml:1:"), "{output}");
    git(&test, &["rm", "-rq", "secrets"]).run().ok();
    std::os::unix::fs::symlink("other", test.path("secrets")).unwrap();
    git(&test, &["add", "secrets"]).run().ok();
    git(&test, &["commit", "-qm", "link"]).run().ok();
    let all = check(&test, &["secrets"]).run();
    let base = check(&test, &["--base", "main", "secrets"]).run();
    assert_eq!((base.status, base.text()), (all.status, all.text()));
    assert!(all.text().contains("[link]"), "{all}");
}

#[test]
fn what_a_clone_does_not_have_is_said() {
    let test = branches();
    let origin = format!("file://{}", test.path("").display());
    let clone =
        |args: &[&str]| git(&test, &["clone", "-q"]).args(args).arg(&origin).arg("../clone").run().ok();
    clone(&["--depth", "1", "--branch", "branch"]);
    let check = |base: &str| check(&test, &["--base", base]).cwd("../clone").run();
    let output = check("origin/main").code(2);
    assert!(
        output.stderr.contains("git fetch origin main") && output.stderr.contains("fetch-depth: 0"),
        "{output}"
    );
    let fetch = |args: &[&str]| git(&test, &["fetch", "-q"]).args(args).cwd("../clone").run().ok();
    fetch(&["--depth", "1", "origin", "main:refs/remotes/origin/main"]);
    let output = check("origin/main").code(2);
    assert!(
        output.stderr.contains("this shallow clone") && output.stderr.contains("--unshallow"),
        "{output}"
    );
    fetch(&["--unshallow"]);
    assert_eq!(files(&check("origin/main").code(1)).len(), 2);
    for nonsense in ["", "--output=x", "none"] {
        assert!(is_error(&check(nonsense)), "{nonsense}");
    }
}

/// A branch that goes on for longer than the clone is deep, and merges a commit from before the rule: by that short way it
/// would have parted from `main` where nothing was secret yet.
#[test]
fn a_shallow_clone_takes_no_older_fork_for_the_one_that_it_does_not_have() {
    for how in ["a rule that goes", "a reader who comes back"] {
        let test = Sandbox::new("");
        let commit = |message: &str| git(&test, &["commit", "-qm", message, "--allow-empty"]).run().ok();
        git(&test, &["init", "-q", "-b", "main"]).run().ok();
        match how {
            "a rule that goes" => add(&test, "secrets/a.yaml", "a: hunter2\n"),
            _ => add(&test, ".sops.yaml", rule().replace(RECIPIENT, &format!("{RECIPIENT},{OTHER}"))),
        }
        commit("old");
        git(&test, &["tag", "old"]).run().ok();
        git(&test, &["rm", "-rqf", "."]).run().ok();
        add(&test, ".sops.yaml", rule());
        commit("stricter");
        git(&test, &["checkout", "-qb", "branch"]).run().ok();
        for number in 0..9 {
            commit(&number.to_string());
        }
        git(&test, &["checkout", "-q", "main"]).run().ok();
        add(&test, "main.txt", "x\n");
        commit("main goes on");
        git(&test, &["checkout", "-q", "branch"]).run().ok();
        git(&test, &["rm", "-rqf", "."]).run().ok();
        git(&test, &["checkout", "-q", "old", "--", "."]).run().ok();
        let tree = git(&test, &["write-tree"]).run().ok();
        let merged = ["commit-tree", "-p", "HEAD", "-p", "old", "-m", "merge", tree.text().trim()];
        let merged = git(&test, &merged).run().ok();
        git(&test, &["reset", "-q", "--hard", merged.text().trim()]).run().ok();

        let origin = format!("file://{}", test.path("").display());
        let clone = |depth: &str, to: &str| {
            let args = ["clone", "-q", "--depth", depth, "--no-single-branch", "-b", "branch", &origin, to];
            git(&test, &args).run().ok();
        };
        let both = |clone: &str| {
            let range = program(&test, env!("CARGO_BIN_EXE_sealant"), &["hook", "pre-commit"]);
            let range = range.env("PRE_COMMIT_FROM_REF", "origin/main").env("PRE_COMMIT_TO_REF", "HEAD");
            let base = check(&test, &["--base", "origin/main"]).cwd(clone).run();
            [base, range.cwd(clone).run()]
        };
        clone("5", "../cut");
        let bases = git(&test, &["merge-base", "--all", "origin/main", "HEAD"]).cwd("../cut").run().ok();
        let old = git(&test, &["rev-parse", "old"]).run().ok();
        assert_eq!(bases.text(), old.text(), "{how}");
        for output in both("../cut") {
            assert!(is_error(&output) && output.stderr.contains("this shallow clone"), "{how} {output}");
            assert!(output.stderr.contains("git fetch --unshallow"), "{how} {output}");
        }
        // Whoever has all between the two and where they parted need not have what was before.
        clone("15", "../whole");
        for output in both("../whole") {
            let told = output.text();
            assert!(told.contains("[weakened-config]") || told.contains("[config-change]"), "{how} {output}");
        }
    }
}

/// What came before two branches parted is not needed, however little of it there is.
#[test]
fn a_shallow_clone_that_has_the_fork_is_enough() {
    let test = repository();
    for number in 0..9 {
        git(&test, &["commit", "-qm", &number.to_string(), "--allow-empty"]).run().ok();
    }
    git(&test, &["checkout", "-qb", "branch"]).run().ok();
    add(&test, "secrets/new.yaml", "a: hunter2\n");
    git(&test, &["commit", "-qm", "branch"]).run().ok();
    git(&test, &["checkout", "-q", "main"]).run().ok();
    add(&test, "main.txt", "x\n");
    git(&test, &["commit", "-qm", "main"]).run().ok();
    let origin = format!("file://{}", test.path("").display());
    for depth in ["2", "3", "50"] {
        let clone = format!("../clone{depth}");
        let args = ["clone", "-q", "--depth", depth, "--no-single-branch", "-b", "branch", &origin, &clone];
        git(&test, &args).run().ok();
        let output = check(&test, &["--base", "origin/main"]).cwd(&clone).run().code(1);
        assert_eq!(files(&output), ["secrets/new.yaml"], "{depth}");
        let range = program(&test, env!("CARGO_BIN_EXE_sealant"), &["hook", "pre-commit"]);
        let range = range.env("PRE_COMMIT_FROM_REF", "origin/main").env("PRE_COMMIT_TO_REF", "HEAD");
        assert_eq!(files(&range.cwd(&clone).run().code(1)), ["secrets/new.yaml"], "{depth}");
    }
}

fn is_error(output: &sealant_test_support::Output) -> bool {
    output.status != 0 && output.stderr.starts_with("error:") && output.text().is_empty()
}

#[test]
fn there_has_to_be_something_to_compare_with() {
    let test = unborn();
    assert!(is_error(&check(&test, &["--base", "main"]).run()));
    let elsewhere = Sandbox::new("");
    assert!(is_error(&check(&elsewhere, &["--base", "main"]).run()));
    let test = repository();
    git(&test, &["checkout", "-q", "--orphan", "other"]).run().ok();
    git(&test, &["commit", "-qm", "x"]).run().ok();
    let output = check(&test, &["--base", "main"]).run().code(2);
    assert!(output.stderr.contains("have no commit in common"), "{output}");
}

#[test]
fn fix_encrypts_what_is_found_in_clear() {
    let test = repository();
    test.write("secrets/a b.yaml", "a: hunter2\n");
    test.write("secrets/key.bin", [0, 159, 146, 150]);
    test.write("secrets/broken.yaml", "a: [");
    test.write("apps/unruly.yaml", SECRET);
    let output = check(&test, &["--fix"]).run().code(1);
    assert_eq!(lines(&output).len(), 4);
    for file in ["secrets/a b.yaml", "secrets/key.bin"] {
        assert!(output.stderr.contains(&format!("encrypted {file}: look at it, and stage it")), "{output}");
        assert!(String::from_utf8_lossy(&test.read(file)).contains("ENC[AES256_GCM,"));
    }
    assert!(
        output
            .stderr
            .contains("mv apps/unruly.yaml secrets/unruly.yaml && sealant encrypt -i secrets/unruly.yaml"),
        "{output}"
    );
    assert_eq!(test.read_text("apps/unruly.yaml"), SECRET);
    assert_eq!(test.read_text("secrets/broken.yaml"), "a: [");
    // Only what the rule does not say is left; nothing is changed twice.
    let encrypted = test.read("secrets/a b.yaml");
    assert_eq!(files(&check(&test, &["--fix"]).run().code(1)), ["apps/unruly.yaml", "secrets/broken.yaml"]);
    assert_eq!(test.read("secrets/a b.yaml"), encrypted);
    check(&test, &["--fix", "-"]).stdin("a: 1\n").run().code(8);
}

#[test]
fn a_tag_is_not_taken_for_the_branch_of_that_name() {
    let test = branches();
    git(&test, &["checkout", "-q", "--detach"]).run().ok();
    git(&test, &["tag", "main"]).run().ok();
    let output = check(&test, &["--base", "main"]).run();
    assert!(is_error(&output), "{output}");
    for part in ["refs/tags/main", "refs/heads/main", "full name"] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
    let base = check(&test, &["--base", "refs/heads/main"]).run();
    assert!(!is_error(&base), "{base}");
    for name in ["main~0", "main^0", "main^{commit}", "main@{0}"] {
        let output = check(&test, &["--base", name]).run();
        assert!(is_error(&output) && output.stderr.contains("refs/tags/main"), "{name}: {output}");
    }
    let id = git(&test, &["rev-parse", "--short=8", "refs/heads/main"]).run().ok().text().trim().to_owned();
    assert!(!is_error(&check(&test, &["--base", &id]).run()));
    git(&test, &["tag", &id, "HEAD"]).run().ok();
    let output = check(&test, &["--base", &id]).run();
    assert!(is_error(&output) && output.stderr.contains(&format!("refs/tags/{id}")), "{output}");
    git(&test, &["update-ref", "refs/remotes/origin/main", "refs/heads/main"]).run().ok();
    git(&test, &["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"]).run().ok();
    assert!(!is_error(&check(&test, &["--base", "origin"]).run()));
    git(&test, &["tag", "origin", "HEAD"]).run().ok();
    assert!(is_error(&check(&test, &["--base", "origin"]).run()));
}

/// A file that stays where it is has not moved, whoever its rule lets in.
#[test]
fn a_reader_who_is_added_to_a_rule_is_a_warning() {
    let test = repository();
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    let sealant = |args: &[&str]| {
        program(&test, env!("CARGO_BIN_EXE_sealant"), args).env("SOPS_AGE_KEY", IDENTITY).run().ok()
    };
    sealant(&["encrypt", "-i", "secrets/a.yaml"]);
    git(&test, &["add", "."]).run().ok();
    git(&test, &["commit", "-qm", "a"]).run().ok();

    git(&test, &["checkout", "-qb", "branch"]).run().ok();
    let ben = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";
    test.write(".sops.yaml", rule().replace(RECIPIENT, &format!("{RECIPIENT},{ben}")));
    sealant(&["updatekeys", "--yes", "."]);
    git(&test, &["add", "."]).run().ok();
    let told = hook(&test, &[]).run().ok();
    assert!(lines(&told)[0].ends_with("[config-change]"), "{told}");
    git(&test, &["commit", "-qm", "Ben", "--no-verify"]).run().ok();
    check(&test, &["--base", "main"]).run().ok();
}

/// What a commit has in plaintext comes to others, whatever its author has in the working tree.
#[test]
fn what_is_committed_or_staged_is_looked_at_whatever_is_here() {
    let clear = "a: hunter2\n";
    type Change<'c> = &'c dyn Fn(&Sandbox);
    let changes: [(&str, Change); 9] = [
        ("encrypted here", &|test| {
            program(test, env!("CARGO_BIN_EXE_sealant"), &["encrypt", "-i", "secrets/new.yaml"]).run().ok();
        }),
        ("by --fix", &|test| {
            check(test, &["--fix"]).run().code(1);
        }),
        ("deleted here", &|test| std::fs::remove_file(test.path("secrets/new.yaml")).unwrap()),
        ("deleted and staged", &|test| drop(git(test, &["rm", "-q", "secrets/new.yaml"]).run().ok())),
        ("not in the index", &|test| {
            git(test, &["rm", "-q", "--cached", "secrets/new.yaml"]).run().ok();
            test.write("secrets/new.yaml", "a: ''\n");
        }),
        ("assumed to be unchanged", &|test| {
            git(test, &["update-index", "--assume-unchanged", "secrets/new.yaml"]).run().ok();
            test.write("secrets/new.yaml", "a: ''\n");
        }),
        ("skipped", &|test| {
            git(test, &["update-index", "--skip-worktree", "secrets/new.yaml"]).run().ok();
            test.write("secrets/new.yaml", "a: ''\n");
        }),
        ("staged", &|test| {
            add(test, "secrets/new.yaml", "a: ''\n");
            git(test, &["commit", "-qm", "clean"]).run().ok();
            add(test, "secrets/new.yaml", "a: hunter2\n");
            test.write("secrets/new.yaml", "a: ''\n");
        }),
        ("replaced", &|test| {
            let id = |name: &str| git(test, &["rev-parse", name]).run().ok().text().trim().to_owned();
            let (clear, clean) = (id("HEAD:secrets/new.yaml"), id("HEAD:.gitattributes"));
            git(test, &["replace", &clear, &clean]).run().ok();
            std::fs::remove_file(test.path("secrets/new.yaml")).unwrap();
            git(test, &["checkout", "-q", "--", "secrets/new.yaml"]).run().ok();
            assert_ne!(test.read_text("secrets/new.yaml"), "a: hunter2\n");
        }),
    ];
    for (name, change) in changes {
        let test = repository();
        add(&test, ".gitattributes", "");
        git(&test, &["commit", "-qm", "empty"]).run().ok();
        git(&test, &["checkout", "-qb", "branch"]).run().ok();
        add(&test, "secrets/new.yaml", clear);
        git(&test, &["commit", "-qnm", "new"]).run().ok();
        assert_eq!(lines(&check(&test, &["--base", "main"]).run().code(1)).len(), 1);
        change(&test);
        let place = if name == "staged" { "staged" } else { "in the last commit" };
        let output = check(&test, &["--base", "main"]).run().code(1);
        let told = lines(&output);
        assert!(
            told.len() == 1 && told[0].starts_with(&format!("secrets/new.yaml:1: {place}: ")),
            "{name}: {output}"
        );
        let command = if name == "staged" { "add" } else { "commit" };
        assert!(output.stderr.contains(&format!("git {command} -- secrets/new.yaml ")), "{name}: {output}");
        check(&test, &["--base", "main", ".sops.yaml"]).run().ok();
        // The command that is told works, but where Git is told not to look at the file.
        if !["replaced", "skipped"].contains(&name) {
            let args = if command == "add" { &[][..] } else { &["-qnm", "right"] };
            git(&test, &[&[command], args, &["--", "secrets/new.yaml"]].concat()).run().ok();
            check(&test, &["--base", "main"]).run().ok();
        }
    }
}

/// A config is what it is in the commit, too.
#[test]
fn a_config_that_is_weakened_in_the_last_commit_is_told_whatever_is_here() {
    let test = repository();
    add(&test, "secrets/a.yaml", "a: ''\n");
    git(&test, &["commit", "-qm", "a"]).run().ok();
    git(&test, &["checkout", "-qb", "branch"]).run().ok();
    add(&test, ".sops.yaml", rule().replace("secrets", "elsewhere"));
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    git(&test, &["commit", "-qnm", "weaker"]).run().ok();
    test.write(".sops.yaml", rule());
    test.write("secrets/a.yaml", "a: ''\n");
    let told = lines(&check(&test, &["--base", "main"]).run().code(1));
    let is_told = |file: &str| {
        told.iter().any(|line| {
            line.starts_with(&format!("{file}:"))
                && line.contains("in the last commit: ")
                && line.ends_with("[weakened-config]")
        })
    };
    assert!(is_told(".sops.yaml") && is_told("secrets/a.yaml"), "{told:?}");
    // What was put right in a commit is right.
    git(&test, &["add", "."]).run().ok();
    git(&test, &["commit", "-qm", "right"]).run().ok();
    check(&test, &["--base", "main"]).run().ok();
}

/// Where only the readers differ, the next commit has them right.
#[test]
fn what_shows_no_value_counts_as_it_is_here() {
    let test = repository();
    git(&test, &["checkout", "-qb", "branch"]).run().ok();
    let encrypted = |to: &str| {
        test.write("secrets/a.yaml", "a: hunter2\n");
        let args = ["encrypt", "-i", "--age", to, "secrets/a.yaml"];
        program(&test, env!("CARGO_BIN_EXE_sealant"), &args).run().ok();
    };
    encrypted(OTHER);
    git(&test, &["add", "."]).run().ok();
    git(&test, &["commit", "-qnm", "a"]).run().ok();
    check(&test, &["--base", "main"]).run().code(1);
    encrypted(RECIPIENT);
    check(&test, &["--base", "main"]).run().ok();
}
