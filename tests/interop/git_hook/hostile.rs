//! Looking at a repository that somebody else wrote: no program of it runs, and nothing of it is hidden.

use std::os::unix::fs::symlink;

use super::*;

/// What a program of the repository leaves behind.
const CANARY: &str = "canary";

fn sealant(test: &Sandbox, args: &[&str]) -> Run {
    program(test, env!("CARGO_BIN_EXE_sealant"), args).env("SOPS_AGE_KEY", IDENTITY)
}

/// A program that runs whenever Git takes the config for that of a repository.
fn trap(test: &Sandbox) -> String {
    test.path(CANARY).display().to_string()
}

/// Makes a folder of ordinary files that Git takes for a bare repository, whose config names programs and whose excludes
/// hide everything.
fn embed(test: &Sandbox, folder: &str) {
    let trap = trap(test);
    test.write(format!("{folder}/HEAD"), "ref: refs/heads/main\n");
    test.write(format!("{folder}/refs/k"), "");
    test.write(format!("{folder}/objects/k"), "");
    test.write(format!("{folder}/info/exclude"), "*\n");
    test.write(
        format!("{folder}/config"),
        format!(
            "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n\tfsmonitor = \"touch {trap}; false\"\n\
             \tsshCommand = \"touch {trap}\"\n[filter \"a=b\"]\n\tclean = \"touch {trap}; cat\"\n\tprocess = \"touch {trap}\"\n\
             [diff \"x\"]\n\tcommand = \"touch {trap}\"\n\ttextconv = \"touch {trap}\"\n"
        ),
    );
}

/// A clone of a repository with such folders, and plaintext that a rule says is secret, within them and beside.
fn clone() -> Sandbox {
    let test = unborn();
    embed(&test, "secrets");
    embed(&test, "secrets/deep/er");
    for file in ["secrets/x.yaml", "secrets/prod/x.yaml", "secrets/deep/er/x.yaml"] {
        test.write(file, "a: hunter2\n");
    }
    test.write("secrets/.gitattributes", "* filter=a=b diff=x\n");
    git(&test, &["add", "-f", "."]).run().ok();
    git(&test, &["commit", "-qm", "x"]).run().ok();
    let clone = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let url = test.path("").display().to_string();
    git(&clone, &["clone", "-q", &url, "."]).run().ok();
    // The trap is where the clone is: what was written names the place of the other.
    for folder in ["secrets", "secrets/deep/er"] {
        embed(&clone, folder);
    }
    git(&clone, &["add", "-f", "."]).run().ok();
    clone
}

#[test]
fn looking_at_a_folder_that_looks_like_a_repository_runs_nothing_and_hides_nothing() {
    let test = clone();
    let secrets = ["secrets/deep/er/x.yaml:1", "secrets/prod/x.yaml:1", "secrets/x.yaml:1"];
    let names = |output: &sealant_test_support::Output| {
        let found = lines(output).into_iter().filter(|line| line.contains(".yaml:1"));
        let mut found: Vec<_> = found.map(|line| line.split(": ").next().unwrap().to_owned()).collect();
        found.sort();
        found
    };
    for args in
        [&["check"][..], &["check", "secrets"], &["check", "--verify", "secrets"], &["check", "./secrets/"]]
    {
        let output = sealant(&test, args).run().code(1);
        let found: Vec<_> =
            names(&output).iter().map(|name| name.trim_start_matches("./").to_owned()).collect();
        assert_eq!(found, secrets, "{args:?} {output}");
    }
    assert_eq!(names(&sealant(&test, &["check"]).cwd("secrets").run().code(1)).len(), 3);
    assert_eq!(names(&sealant(&test, &["check", "secrets/prod"]).run().code(1)), ["secrets/prod/x.yaml:1"]);
    assert_eq!(names(&sealant(&test, &["check"]).cwd("secrets/deep/er").run().code(1)), ["x.yaml:1"]);
    symlink("secrets/deep", test.path("link")).unwrap();
    for args in [
        &["check", "link"][..],
        &["check", "--base", "HEAD", "secrets"],
        &["status", "secrets"],
        &["status", "--values", "secrets/deep/er"],
        &["who-can-decrypt", "secrets"],
        &["resolve", "secrets/x.yaml"],
        &["resolve", "secrets/deep/er/x.yaml"],
        &["diff", "secrets/x.yaml"],
        &["diff", "--from", "HEAD"],
        &["blast-radius", "--recipient", RECIPIENT, "secrets"],
        &["hook", "pre-commit", "secrets/x.yaml"],
        &["explain", "secrets/x.yaml"],
        &["doctor"],
        &["inspect", "secrets/x.yaml"],
    ] {
        for folder in ["", "secrets", "secrets/deep/er"] {
            let _ = sealant(&test, args).cwd(folder).run();
            assert!(!test.path(CANARY).exists(), "{args:?} in {folder:?}");
        }
    }
    let output = sealant(&test, &["check", "--fix", "secrets"]).run().code(1);
    assert!(test.read_text("secrets/prod/x.yaml").contains("ENC["), "{output}");
    assert!(!test.path(CANARY).exists());
}

/// Git does not let `.git` into a commit, but an archive may hold one. It is believed; what it names does not run.
#[test]
fn a_file_that_leads_to_a_repository_runs_nothing() {
    let test = clone();
    git(&test, &["init", "-q", "--bare", "elsewhere/evil"]).run().ok();
    let config = test.read_text("secrets/config").replace("worktree = .", "worktree = ../../sub");
    test.write("elsewhere/evil/config", config.replace("info/exclude", ""));
    let hook = format!("#!/bin/sh\ntouch {}\n", trap(&test));
    for name in ["pre-commit", "reference-transaction", "post-index-change"] {
        test.write(format!("elsewhere/evil/hooks/{name}"), &hook);
        program(&test, "chmod", &["+x", &format!("elsewhere/evil/hooks/{name}")]).run().ok();
    }
    test.write("sub/.git", "gitdir: ../elsewhere/evil\n");
    test.write("sub/.gitattributes", "* filter=a=b diff=x\n");
    test.write("sub/x.yaml", "a: hunter2\n");
    let id = git(&test, &["hash-object", "-w", "x.yaml"])
        .env("GIT_DIR", test.path("elsewhere/evil"))
        .cwd("sub")
        .run();
    let index = format!("100644,{},x.yaml", id.text().trim());
    let evil = |args: &[&str]| {
        git(&test, &["-c", "core.fsmonitor=false"])
            .args(args)
            .env("GIT_DIR", test.path("elsewhere/evil"))
            .run()
    };
    evil(&["update-index", "--add", "--cacheinfo", &index]);
    let tree = evil(&["write-tree"]).ok().text().trim().to_owned();
    let commit = evil(&["commit-tree", "-m", "x", &tree]).ok().text().trim().to_owned();
    // Not by `update-ref`, which would run the hook.
    test.write("elsewhere/evil/refs/heads/main", format!("{commit}\n"));
    let _ = std::fs::remove_file(test.path(CANARY));
    test.write("sub/x.yaml", "a: hunter3\n");
    for args in [
        &["check"][..],
        &["check", "--base", "HEAD"],
        &["diff"],
        &["diff", "x.yaml"],
        &["status"],
        &["hook", "pre-commit"],
        &["hook", "pre-commit", "--fix"],
        &["blast-radius", "--recipient", RECIPIENT],
        &["doctor"],
        &["git", "install"],
    ] {
        let _ = sealant(&test, args).cwd("sub").run();
        assert!(!test.path(CANARY).exists(), "{args:?}");
    }
}

#[test]
fn an_answer_for_another_place_is_an_error() {
    let test = repository();
    test.write("sub/x.yaml", SECRET);
    git(&test, &["config", "core.worktree", test.path("sub").to_str().unwrap()]).run().ok();
    for args in [&["check"][..], &["status"], &["git", "install"], &["hook", "pre-commit"]] {
        let output = sealant(&test, args).run().code(2);
        assert!(output.stderr.contains("Git answers for another working tree"), "{output}");
    }
    // A `.git` that is none does not make the repository above answer.
    let test = repository();
    test.write(".gitignore", "*\n");
    test.write("sub/x.yaml", SECRET);
    test.write("sub/.git/x", "");
    let output = sealant(&test, &["check", "sub"]).run().code(1);
    assert!(output.stderr.contains("is neither a Git repository") && lines(&output).len() == 1, "{output}");
    sealant(&test, &["check", "--fix", "sub"]).run().code(2);
}

/// As in a container where the clone belongs to another user.
#[test]
fn where_git_fails_looking_ignores_nothing_and_writing_stops() {
    let test = repository();
    test.write(".gitignore", "ignored\n");
    test.write("ignored/secrets/x.yaml", SECRET);
    test.write("secrets/x.yaml", "a: hunter2\n");
    let strange = |args: &[&str]| sealant(&test, args).env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1").run();
    let line = format!("git config --global --add safe.directory {}", test.path("").display());
    let line = line.trim_end_matches('/');
    let output = strange(&["check"]).code(1);
    assert!(lines(&output).len() == 2 && output.stderr.contains(line), "{output}");
    for args in [
        &["check", "--fix"][..],
        &["check", "--base", "HEAD"],
        &["git", "install"],
        &["init", "--git"],
        &["hook", "pre-commit"],
        &["diff"],
        &["resolve", "secrets/x.yaml"],
        &["blast-radius", "--recipient", RECIPIENT],
    ] {
        let output = strange(args).code(2);
        assert!(output.stderr.contains(line), "{args:?} {output}");
    }
    assert!(strange(&["doctor"]).text().contains(line));
    assert_eq!(test.read_text("secrets/x.yaml"), "a: hunter2\n");
    // As it says.
    git(&test, &["config", "--global", "--add", "safe.directory", test.path("").to_str().unwrap()])
        .run()
        .ok();
    let trusted = test.path("").display().to_string();
    git(&test, &["config", "--global", "--add", "safe.directory", trusted.trim_end_matches('/')]).run().ok();
    assert_eq!(lines(&strange(&["check"]).code(1)).len(), 1);
}

#[test]
fn submodules_worktrees_and_what_the_environment_says_go_on() {
    let test = repository();
    let other = unborn();
    git(&other, &["commit", "-qm", "x"]).run().ok();
    let url = other.path("").display().to_string();
    git(&test, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "sub"]).run().ok();
    git(&test, &["commit", "-qm", "sub"]).run().ok();
    test.write("sub/.gitignore", "ignored\n");
    test.write("sub/ignored/secrets/x.yaml", SECRET);
    test.write("sub/secrets/x.yaml", "a: hunter2\n");
    let found = |run: Run| lines(&run.run().code(1)).len();
    assert_eq!(found(sealant(&test, &["check", "sub"])), 1);
    assert_eq!(found(sealant(&test, &["check"]).cwd("sub")), 1);
    // A worktree of a bare repository.
    git(&test, &["clone", "-q", "--bare", &url, "../bare.git"]).run().ok();
    git(&test, &["worktree", "add", "-q", "../tree"]).cwd("../bare.git").run().ok();
    test.write("../tree/.gitignore", "ignored\n");
    test.write("../tree/ignored/secrets/x.yaml", SECRET);
    add_in(&test, "../tree", "secrets/x.yaml", "a: hunter2\n");
    assert_eq!(found(sealant(&test, &["check"]).cwd("../tree")), 1);
    assert_eq!(found(sealant(&test, &["hook", "pre-commit"]).cwd("../tree")), 1);
    sealant(&test, &["git", "install"]).cwd("../tree").run().ok();
    let output = git(&test, &["commit", "-qm", "x"]).cwd("../tree").run();
    assert!(output.status != 0 && output.stderr.contains("secrets/x.yaml:1: "), "{output}");
    // A repository whose working tree has no `.git`.
    let git_dir = test.path("../bare.git/worktrees/tree");
    let told = |args: &[&str]| {
        sealant(&test, args)
            .env("GIT_DIR", &git_dir)
            .env("GIT_WORK_TREE", test.path("../tree"))
            .cwd("../tree")
    };
    assert_eq!(found(told(&["check"])), 1);
    assert_eq!(found(told(&["check"]).cwd("../tree/secrets")), 1);
    // What is said about one repository says nothing about another.
    test.write(".gitignore", "ignored\n");
    test.write("ignored/secrets/x.yaml", SECRET);
    test.write("secrets/x.yaml", "a: hunter2\n");
    let here = test.path("").display().to_string();
    // What is ignored within the submodule is the submodule's.
    assert_eq!(found(told(&["check", &here])), 3);
    let bare = |args: &[&str]| sealant(&test, args).env("GIT_DIR", ".").cwd("../bare.git");
    assert_eq!(found(bare(&["check", &here])), 3);
    bare(&["hook", "pre-commit"]).run().code(2);
    git(&test, &["add", "secrets"]).run().ok();
    let index = test.path(".git/nothing");
    assert_eq!(found(sealant(&test, &["hook", "pre-commit"])), 1);
    // By this one all that there is would be deleted, the config, too.
    let output = sealant(&test, &["hook", "pre-commit"]).env("GIT_INDEX_FILE", &index).run().code(1);
    assert!(lines(&output).iter().all(|line| line.starts_with(".sops.yaml:1: ")), "{output}");
}

fn add_in(test: &Sandbox, folder: &str, file: &str, text: &str) {
    test.write(format!("{folder}/{file}"), text);
    git(test, &["add", "-f", "--", file]).cwd(folder).run().ok();
}

#[test]
fn a_partial_commit_is_looked_at_as_it_is() {
    let test = repository();
    sealant(&test, &["git", "install"]).run().ok();
    add(&test, "a.yaml", "a: 1\n");
    add(&test, "secrets/x.yaml", "a: hunter2\n");
    git(&test, &["commit", "-qm", "x", "--", "a.yaml"]).run().ok();
    let output = git(&test, &["commit", "-qm", "x", "--", "secrets/x.yaml"]).run();
    assert!(output.status != 0 && output.stderr.contains("secrets/x.yaml:1: "), "{output}");
}

/// In a clone that lacks contents nothing is fetched, by whatever program the config names.
#[test]
fn nothing_is_fetched() {
    let test = repository();
    add(&test, "x.yaml", "a: 1\n");
    git(&test, &["commit", "-qm", "x"]).run().ok();
    let id = git(&test, &["rev-parse", "HEAD:x.yaml"]).run().ok().text().trim().to_owned();
    std::fs::remove_file(test.path(format!(".git/objects/{}/{}", &id[..2], &id[2..]))).unwrap();
    let url = format!("ext::touch {}", trap(&test));
    for (name, value) in [
        ("extensions.partialClone", "origin"),
        ("core.repositoryFormatVersion", "1"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", &url),
        ("protocol.ext.allow", "always"),
    ] {
        git(&test, &["config", name, value]).run().ok();
    }
    std::fs::remove_file(test.path("x.yaml")).unwrap();
    let _ = git(&test, &["show", ":x.yaml"]).run();
    assert!(test.path(CANARY).exists(), "Git itself fetches");
    std::fs::remove_file(test.path(CANARY)).unwrap();
    let output = sealant(&test, &["blast-radius", "--recipient", RECIPIENT]).run();
    assert!(output.stderr.contains("Git does not have the content"), "{output}");
    let _ = sealant(&test, &["diff", "x.yaml"]).run();
    let _ = sealant(&test, &["diff"]).run();
    assert!(!test.path(CANARY).exists());
}

#[test]
fn the_hook_finds_links_by_which_a_path_is_under_another_rule() {
    let test = repository();
    add(&test, "secrets/other/a.yaml", "");
    add(
        &test,
        ".sops.yaml",
        format!(
            "creation_rules:\n  - path_regex: ^secrets/other/\n    age: {RECIPIENT}\n  - path_regex: ^secrets/\n    age: {RECIPIENT}\n"
        ),
    );
    git(&test, &["commit", "-qnm", "x"]).run().ok();
    std::fs::create_dir_all(test.path("secrets")).unwrap();
    for (link, target) in [
        ("secrets/file.yaml", "other/a.yaml"),
        ("secrets/folder", "other"),
        ("secrets/through.yaml", "folder/a.yaml"),
        ("secrets/out.yaml", "../../elsewhere.yaml"),
        ("secrets/absolute", "/etc"),
        ("secrets/other/same-rule.yaml", "a.yaml"),
        ("apps-link", "secrets/other"),
        ("circle", "circle"),
    ] {
        symlink(target, test.path(link)).unwrap();
        git(&test, &["add", link]).run().ok();
        // What is staged counts, whatever is there now.
        std::fs::remove_file(test.path(link)).unwrap();
    }
    let output = hook(&test, &[]).run().code(1);
    let found: Vec<&str> = output.text().lines().filter_map(|line| line.strip_suffix(" [link]")).collect();
    let files: Vec<&str> = found.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(
        files,
        [
            "secrets/absolute",
            "secrets/file.yaml",
            "secrets/folder",
            "secrets/out.yaml",
            "secrets/through.yaml"
        ],
        "{output}"
    );
    assert!(found[1].contains("leads to secrets/other/a.yaml") && found[1].contains("(rule 1)"), "{output}");
}

/// A folder may come to where a link leads, or a file into one that is empty, and these are under no rule. Of what is in the
/// folder of another repository nothing is seen here.
#[test]
fn links_of_folders_are_found_by_the_hook_and_by_check_whatever_is_there() {
    let outside = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    outside.write("there/.git/x", "");
    let outside = |folder: &str| outside.path(folder).to_str().unwrap().to_owned();
    let targets = ["nowhere", "./deep/nowhere", "gone", "empty", "store", ".", "empty/.."].map(str::to_owned);
    for target in targets.into_iter().chain([outside("nowhere"), outside("there")]) {
        let test = repository();
        git(&test, &["rm", "-rqf", "--ignore-unmatch", "secrets"]).run().ok();
        git(&test, &["checkout", "-qb", "branch"]).run().ok();
        std::fs::create_dir(test.path("empty")).unwrap();
        test.write("store/.git/x", "");
        symlink("nowhere/gone", test.path("gone")).unwrap();
        symlink(&target, test.path("secrets")).unwrap();
        git(&test, &["add", "secrets", "gone"]).run().ok();
        let told = |output: &sealant_test_support::Output| {
            let found = lines(output).into_iter();
            found.filter(|line| line.starts_with("secrets:1: leads to ") && line.ends_with(" [link]")).count()
        };
        let output = hook(&test, &[]).run().code(1);
        assert_eq!(told(&output), 1, "{target} {output}");
        for args in [&["check"][..], &["check", "--base", "main"]] {
            let output = program(&test, env!("CARGO_BIN_EXE_sealant"), args).run().code(1);
            assert_eq!(told(&output), 1, "{target} {output}");
        }
    }
}

/// Without the index everything is untracked to Git, and so can be ignored.
#[test]
fn no_file_of_the_last_commit_is_ignored() {
    let test = repository();
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    add(&test, "secrets/deep/b.yaml", "a: hunter2\n");
    add(&test, "secrets/c.yaml", "a: hunter2\n");
    git(&test, &["commit", "-qnm", "x"]).run().ok();
    add(&test, "secrets/staged.yaml", "a: hunter2\n");
    test.write("secrets/ignored.yaml", "a: hunter2\n");
    symlink("/nowhere", test.path("secrets/ignored-link.yaml")).unwrap();
    let found = |folder: &str, args: &[&str], names: &[&str]| {
        let output = sealant(&test, &["check"]).args(args).cwd(folder).run().code(1);
        let found = lines(&output);
        for name in names {
            assert!(found.iter().any(|line| line.starts_with(&format!("{name}:1: "))), "{name}: {output}");
        }
        found.len()
    };
    let committed = ["secrets/a.yaml", "secrets/c.yaml", "secrets/deep/b.yaml"];
    for rules in ["*\n", "/secrets/\n", "secrets\n!x\n"] {
        test.write(".git/info/exclude", rules);
        git(&test, &["reset", "-q"]).run().ok();
        git(&test, &["add", "-f", "secrets/staged.yaml"]).run().ok();
        for args in [&[][..], &["secrets"]] {
            let names = [&committed[..], &["secrets/staged.yaml"]].concat();
            assert_eq!(found(".", args, &names), 4, "{rules}");
        }
        std::fs::remove_file(test.path(".git/index")).unwrap();
        for args in [&[][..], &["secrets"]] {
            found(".", args, &committed);
        }
        found("secrets", &["deep", "c.yaml"], &["deep/b.yaml", "c.yaml"]);
        // Where Git cannot read it, nothing is ignored.
        test.write(".git/index", "nonsense");
        assert!(found(".", &[], &committed) > 4, "{rules}");
        std::fs::remove_file(test.path(".git/index")).unwrap();
    }
}

/// Git has UTF-8 of them, whatever is in the working tree.
#[test]
fn no_encoding_of_the_working_tree_hides_plaintext() {
    let origin = repository();
    let text = format!("{SECRET}# größe\n");
    for file in ["secrets/a.yaml", "secrets/b.bin", "apps/unruled.yaml", "apps/text.txt"] {
        add(&origin, file, &text);
    }
    git(&origin, &["commit", "-qnm", "x"]).run().ok();
    let url = origin.path("").display().to_string();
    for encoding in [
        "UTF-16LE",
        "UTF-16BE",
        "UTF-16",
        "UTF-16LE-BOM",
        "UTF-7",
        "IBM037",
        "SHIFT_JISX0213",
        "UTF-32",
        "ISO-8859-1",
    ] {
        for place in [".gitattributes", ".git/info/attributes"] {
            let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
            git(&test, &["clone", "-qn", &url, "."]).run().ok();
            // By a macro, so that the file is not named beside it.
            test.write(
                place,
                format!("[attr]odd working-tree-encoding={encoding}\nsecrets/* odd\napps/* odd\n"),
            );
            git(&test, &["checkout", "-q", "main"]).run().ok();
            let file = test.read("secrets/a.yaml");
            assert_ne!(file, text.as_bytes(), "{encoding}");
            git(&test, &["status", "--porcelain", "-uno"]).run().ok();
            for args in [
                &["check"][..],
                &["check", "secrets/a.yaml", "secrets/b.bin", "apps"],
                &["check", "secrets", "apps"],
            ] {
                let output = sealant(&test, args).run().code(1);
                let found = lines(&output);
                for name in ["secrets/a.yaml", "secrets/b.bin", "apps/unruled.yaml"] {
                    assert!(
                        found.iter().any(|line| line.starts_with(&format!("{name}:"))),
                        "{encoding} {name}: {output}"
                    );
                }
                assert!(!output.text().contains("apps/text.txt"), "{output}");
            }
            let output = sealant(&test, &["check"]).cwd("secrets").run().code(1);
            assert!(lines(&output).iter().any(|line| line.starts_with("a.yaml:")), "{output}");
        }
    }
}

/// Stages a text as it is, whatever attributes say of its file.
fn add_raw(test: &Sandbox, file: &str, text: &str) {
    test.write("raw", text);
    let blob = git(test, &["hash-object", "-w", "--no-filters", "raw"]).run().ok().text().trim().to_owned();
    git(test, &["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{file}")]).run().ok();
}

/// Git checks out by the attributes that it has itself, not by those that are in the working tree.
#[test]
fn attributes_that_nobody_can_read_hide_no_plaintext() {
    for encoding in ["IBM037", "UTF-16LE", "UTF-32LE"] {
        let origin = repository();
        let attribute = format!("working-tree-encoding={encoding}");
        let attributes =
            format!("*.yaml {attribute}\n.sops.yaml !working-tree-encoding\n.gitattributes {attribute}\n");
        add_raw(&origin, "apps/unruled.yaml", SECRET);
        add_raw(&origin, "secrets/a.yaml", "a: hunter2\n");
        add_raw(&origin, ".gitattributes", &attributes);
        git(&origin, &["commit", "-qnm", "x"]).run().ok();
        let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        git(&test, &["clone", "-q", &origin.path("").display().to_string(), "."]).run().ok();
        assert_ne!(test.read(".gitattributes"), attributes.as_bytes(), "{encoding}");
        let output = sealant(&test, &["check"]).run().code(1);
        for name in [
            "secrets/a.yaml:",
            "apps/unruled.yaml:",
            ".gitattributes:1: has one encoding here and another in Git",
        ] {
            assert!(lines(&output).iter().any(|line| line.starts_with(name)), "{encoding} {name}: {output}");
        }
    }
}

/// Git puts an id in the place of what it has between `$Id:` and `$`.
#[test]
fn no_text_is_hidden_by_ident() {
    let origin = repository();
    add_raw(&origin, ".gitattributes", "* ident\n");
    let hidden = "{\"y_unencrypted\":\"$Id:\",\"password\":\"hunter2\",\"z_unencrypted\":\"$\"}\n";
    add_raw(&origin, "secrets/a.json", hidden);
    let secret = "{\"a\":\"$Id:\",\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"stringData\":{\"p\":\"hunter2\"},\"b\":\"$\"}\n";
    add_raw(&origin, "apps/s.json", secret);
    add_raw(&origin, "apps/none.json", "{\"a\": \"Id\"}\n");
    git(&origin, &["commit", "-qnm", "x"]).run().ok();
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    git(&test, &["clone", "-q", &origin.path("").display().to_string(), "."]).run().ok();
    assert!(!test.read_text("secrets/a.json").contains(PLANTED));
    let output = sealant(&test, &["check"]).run().code(1);
    for name in ["secrets/a.json:1: ", "apps/s.json:1: "] {
        let is_told = |line: &String| line.starts_with(name) && line.contains("ident");
        assert!(lines(&output).iter().any(is_told), "{name}: {output}");
    }
    assert!(!output.text().contains("none.json"), "{output}");
}

/// Git answers nobody about a repository of another user, and has checked it out for them all the same.
#[test]
fn encodings_that_git_does_not_tell_hide_nothing() {
    let test = repository();
    add(&test, ".gitattributes", "secrets/* working-tree-encoding=IBM037\n");
    add_raw(&test, "secrets/a.yaml", "a: hunter2\n");
    git(&test, &["commit", "-qnm", "x"]).run().ok();
    git(&test, &["checkout", "-q", "HEAD", "--", "secrets/a.yaml"]).run().ok();
    let strange = |args: &[&str]| sealant(&test, args).env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1").run();
    for args in [&["check"][..], &["check", "secrets/a.yaml"]] {
        let output = strange(args).code(1);
        let is_told =
            |line: &String| line.starts_with("secrets/a.yaml:1: ") && line.contains("gives no answer");
        assert!(lines(&output).iter().any(is_told), "{output}");
    }
    std::fs::remove_file(test.path(".gitattributes")).expect("it was written");
    assert!(!strange(&["check"]).to_string().contains("gives no answer"));
}

/// Git, which goes there from the top, has its files in another encoding all the same.
#[test]
fn an_encoding_in_a_folder_whose_path_is_too_long_is_told() {
    const LONGEST: usize = 4096;
    let test = repository();
    let mut file = format!("secrets/{}", vec!["a".repeat(200); 19].join("/"));
    file = format!("{file}/{}/a.yaml", "b".repeat(LONGEST - 10 - "//a.yaml".len() - file.len()));
    add(&test, ".gitattributes", "secrets/** working-tree-encoding=IBM037\n");
    add_raw(&test, &file, "a: hunter2\n");
    git(&test, &["commit", "-qnm", "x"]).run().ok();
    git(&test, &["checkout", "-q", "HEAD", "--", &file]).run().ok();
    let output = sealant(&test, &["check"]).run();
    assert!(output.status > 0 && !output.stderr.contains("nothing found"), "{output}");
    assert!(output.to_string().contains("/a.yaml"), "{output}");
}

/// Each of them is some ten thousand steps to whoever follows it.
#[test]
fn links_that_lead_through_thousands_of_folders_are_told_and_not_followed() {
    let test = repository();
    test.write("d/x", "x\n");
    for number in 0..39 {
        let target = format!("{}c{}", "d/../".repeat(700), number + 1);
        symlink(target, test.path(format!("c{number}"))).expect("a link");
    }
    symlink("c0", test.path("first")).expect("a link");
    symlink("d", test.path("c39")).expect("a link");
    git(&test, &["add", "-A"]).run().ok();
    for output in [hook(&test, &[]).run(), sealant(&test, &["check"]).run()] {
        assert!(output.status > 1, "{output}");
        for link in ["first", "c0", "c38"] {
            let told = format!("{link}: leads through more than 500 folders");
            assert!(output.stderr.contains(&told), "{told} {output}");
        }
        assert!(!output.stderr.contains("c39: "), "{output}");
    }
}

/// Each name of them leads through a hundred folders, and each of these was resolved for each name.
#[test]
fn links_to_deep_folders_take_no_longer_than_there_are_files() {
    let test = repository();
    let mut folder = "deep".to_owned();
    for number in 0..80 {
        folder += &format!("/d{number}");
        for sub in ["e", "f", "g"] {
            test.write(format!("{folder}/{sub}/a.yaml"), "a: b\n");
        }
    }
    let mut before = "a.yaml".to_owned();
    for number in 0..38 {
        let link = format!("c{number}");
        symlink(&before, test.path(format!("{folder}/e/{link}"))).expect("a link");
        before = link;
    }
    for number in 0..400 {
        symlink(&before, test.path(format!("{folder}/e/l{number}"))).expect("a link");
        symlink("deep", test.path(format!("to{number}"))).expect("a link");
    }
    git(&test, &["add", "-A"]).run().ok();
    for output in [hook(&test, &[]), sealant(&test, &["check"])] {
        let start = std::time::Instant::now();
        let output = output.run();
        // So many files lead through links that not all are looked at, and `check` says so.
        assert!(output.status > 1 && output.stderr.contains("more than 100000 files"), "{output}");
        assert!(!output.stderr.contains("/c0: "), "{output}");
        assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    }
}

/// Whoever reads JSON takes any space before a colon.
#[test]
fn no_space_before_a_colon_hides_a_secret() {
    let test = repository();
    let secret = |breaks: usize| {
        let breaks = "\n".repeat(breaks);
        format!("{{\"k\\u0069nd\"{breaks}:\"\\u0053ecret\",\"string\\u0044ata\":{{\"p\":\"hunter2\"}}}}\n")
    };
    add(&test, "a.yaml", secret(70_000));
    add(&test, "b.yaml", secret(2_000_000));
    for output in [hook(&test, &[]).run(), sealant(&test, &["check"]).run()] {
        assert!(output.status > 1, "{output}");
        let found = lines(&output).into_iter().filter(|line| line.ends_with("[kubernetes-secret]"));
        assert_eq!(found.count(), 1, "{output}");
        assert!(output.stderr.contains("b.yaml: a key may have more than 1048576 characters"), "{output}");
    }
}

/// Git reads them at the top alone.
#[test]
fn what_git_does_not_read_below_the_top_is_looked_at() {
    let test = repository();
    for (file, told) in
        [("secrets/.mailmap", true), ("secrets/.gitmodules", true), ("secrets/.gitignore", false)]
    {
        add(&test, file, "hunter2\n");
        for output in [hook(&test, &[]).run(), sealant(&test, &["check"]).run()] {
            let is_told = lines(&output).iter().any(|line| line.contains(file));
            assert_eq!(is_told, told, "{file} {output}");
        }
    }
}

/// Git would wait a minute in each of them, twice.
#[test]
fn nobody_waits_for_the_pipes_of_many_repositories() {
    let test = repository();
    let pipes = [
        ".git/config",
        ".git/info/exclude",
        ".git/info/attributes",
        ".git/index",
        ".gitattributes",
        ".gitignore",
    ];
    for (number, pipe) in pipes.iter().enumerate() {
        let folder = format!("many/{number}");
        git(&test, &["init", "-q", &folder]).run().ok();
        test.write(format!("{folder}/a.yaml"), SECRET);
        let pipe = test.path(format!("{folder}/{pipe}"));
        let _ = std::fs::remove_file(&pipe);
        std::fs::create_dir_all(pipe.parent().unwrap()).unwrap();
        program(&test, "mkfifo", &[pipe.to_str().unwrap()]).run().ok();
    }
    let start = std::time::Instant::now();
    let output = sealant(&test, &["check"]).run().code(1);
    let secrets = lines(&output).into_iter().filter(|line| line.ends_with("[kubernetes-secret]"));
    assert_eq!(secrets.count(), pipes.len(), "{output}");
    for (number, pipe) in pipes.iter().enumerate() {
        let folder = format!("many/{number}");
        let output = sealant(&test, &["check", &folder]).run().code(1);
        assert!(output.stderr.contains(&format!("{folder}/{pipe}: is a named pipe")), "{output}");
    }
    assert!(start.elapsed().as_secs() < 50, "{:?}", start.elapsed());
}

/// A setting can name a file of other names for people, which Git reads whenever it lists commits or says who wrote a line.
#[test]
fn nobody_waits_for_a_pipe_that_git_is_told_of() {
    let test = repository();
    let rules = format!("{}  - path_regex: ^others/\n    age: {STRANGER}\n", rule());
    add(&test, ".sops.yaml", rules);
    for file in ["secrets/a.yaml", "others/a.yaml"] {
        test.write(file, format!("a: {}\n", file.len()));
        sealant(&test, &["encrypt", "-i", file]).run().ok();
    }
    git(&test, &["add", "."]).run().ok();
    git(&test, &["commit", "-qnm", "a"]).run().ok();
    let pipe = test.path("pipe").display().to_string();
    program(&test, "mkfifo", &[&pipe]).run().ok();
    git(&test, &["config", "mailmap.file", &pipe]).run().ok();
    let start = std::time::Instant::now();
    sealant(&test, &["check", "secrets", "others"]).run().ok();
    assert!(start.elapsed().as_secs() < 50, "{:?}", start.elapsed());
}

/// A rule that is right in a review, and matches nothing in the working tree.
#[test]
fn no_encoding_of_the_working_tree_hides_a_rule() {
    for (encoding, expected) in
        [("UTF-7", ".sops.yaml:1: unknown key `creation"), ("UTF-16LE", ".sops.yaml:1: broken YAML")]
    {
        let origin = repository();
        add(&origin, ".gitattributes", format!("/.sops.yaml working-tree-encoding={encoding}\n"));
        add(&origin, "secrets/a.yaml", "a: hunter2\n");
        git(&origin, &["commit", "-qnm", "x"]).run().ok();
        let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        git(&test, &["clone", "-q", &origin.path("").display().to_string(), "."]).run().ok();
        assert_ne!(test.read(".sops.yaml"), rule().as_bytes(), "{encoding}");
        let output = sealant(&test, &["check"]).run();
        assert!(output.status != 0 && output.to_string().contains(expected), "{output}");
    }
}

/// What is a line break to readers of YAML in Git is a single byte in the working tree, or a quote is none.
#[test]
fn no_encoding_of_one_byte_hides_plaintext() {
    let lines_of_git = "# x\u{85}apiVersion: v1\u{85}kind: Secret\u{85}stringData: {password: hunter2}\n";
    let quoted =
        "\u{ff02}a: 1\napiVersion: v1\nkind: Secret\nstringData: {password: hunter2}\nz: 1\u{ff02}\n";
    for (encoding, text) in [("ISO-8859-1", lines_of_git), ("ASCII//TRANSLIT", quoted)] {
        let origin = repository();
        add_raw(&origin, ".gitattributes", &format!("apps/*.yaml working-tree-encoding={encoding}\n"));
        add_raw(&origin, "apps/a.yaml", text);
        git(&origin, &["commit", "-qnm", "x"]).run().ok();
        let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
        git(&test, &["clone", "-q", &origin.path("").display().to_string(), "."]).run().ok();
        assert_ne!(test.read("apps/a.yaml"), text.as_bytes(), "{encoding}");
        let output = sealant(&test, &["check"]).run().code(1);
        assert!(output.text().contains("apps/a.yaml:"), "{encoding} {output}");
    }
}

/// Then nobody knows what its rules say.
#[test]
fn a_config_that_is_too_far_up_to_be_found_is_no_config_that_is_not_there() {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    git(&test, &["init", "-q", "-b", "main"]).run().ok();
    add(&test, "team/.sops.yaml", rule());
    git(&test, &["commit", "-qm", "first"]).run().ok();
    let file = format!("team/secrets/{}a.yaml", "a/".repeat(105));
    add(&test, &file, "password: hunter2\n");
    for output in [hook(&test, &[]).run(), sealant(&test, &["check"]).run()] {
        assert!(output.status > 1 && output.stderr.contains("folders deep"), "{output}");
    }
}

/// A program of the repository's own settings, which an archive of it has along, and one of a submodule's.
#[test]
fn no_filter_runs_for_who_wrote_a_line_nor_in_a_submodule() {
    let test = unborn();
    let trap = test.path("../trap");
    let clean = format!("touch '{}'; cat", trap.display());
    let recipient = RECIPIENT;
    let rule =
        |more: &str| test.write(".sops.yaml", format!("creation_rules:\n  - age: {recipient}{more}\n"));
    rule("");
    test.write("w.yaml", "v: 1\n");
    sealant(&test, &["encrypt", "-i", "w.yaml"]).run().ok();
    test.write(".gitattributes", "*.yaml filter=evil\n");
    let within = test.path("../within");
    std::fs::create_dir(&within).unwrap();
    let at = within.display().to_string();
    git(&test, &["init", "-q", &at]).run().ok();
    std::fs::write(within.join("f.yaml"), "1\n").unwrap();
    std::fs::write(within.join(".gitattributes"), "*.yaml filter=evil\n").unwrap();
    git(&test, &["-C", &at, "add", "."]).run().ok();
    git(&test, &["-C", &at, "commit", "-qm", "x"]).run().ok();
    git(&test, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &at, "sub"]).run().ok();
    git(&test, &["add", "."]).run().ok();
    git(&test, &["commit", "-qm", "x"]).run().ok();
    for folder in [".", "sub"] {
        git(&test, &["-C", folder, "config", "filter.evil.clean", &clean]).run().ok();
    }
    // Git looks at what is of another time than it remembers.
    test.write("sub/f.yaml", "2, and more\n");
    rule(&format!(",{STRANGER}"));
    for args in [
        &["check"][..],
        &["check", "--base", "HEAD"],
        &["rotate", "-i", "w.yaml"],
        &["updatekeys", "--yes", "w.yaml"],
        &["decrypt", "-i", "w.yaml"],
        &["encrypt", "-i", "w.yaml"],
    ] {
        let _ = sealant(&test, args).run();
        assert!(!trap.exists(), "{args:?}");
    }
}

/// Git stores where a link leads, and no file: a secret may be all that it says.
#[test]
fn the_target_of_a_link_may_be_the_secret() {
    let test = repository();
    std::fs::create_dir(test.path("secrets")).unwrap();
    add(&test, "secrets/real.yaml", "");
    for (target, link) in [
        (PLANTED, "secrets/password"),
        ("password: hunter2", "secrets/db.yaml"),
        (IDENTITY, "key"),
        ("real.yaml", "secrets/alias.yaml"),
        (PLANTED, "nowhere"),
    ] {
        symlink(target, test.path(link)).unwrap();
    }
    git(&test, &["add", "-A"]).run().ok();
    for run in [sealant(&test, &["check"]), hook(&test, &[])] {
        let output = run.run().code(1);
        let found: Vec<String> = lines(&output)
            .iter()
            .filter_map(|line| Some(format!("{} {}", line.split_once(':')?.0, line.rsplit_once(' ')?.1)))
            .collect();
        let expected = ["key [private-key]", "secrets/db.yaml [link]", "secrets/password [link]"];
        assert_eq!(found, expected, "{output}");
        assert!(!output.to_string().contains(IDENTITY), "{output}");
    }
    // It leads to what is staged, wherever that is in the working tree.
    std::fs::remove_file(test.path("secrets/real.yaml")).unwrap();
    assert_eq!(lines(&hook(&test, &[]).run().code(1)).len(), 3);
}

/// As on a system without links: Git keeps the mode of a link, and takes the content of the file for its target.
#[test]
fn a_file_in_the_place_of_a_link_is_looked_at() {
    let test = repository();
    for (file, text) in
        [("secrets/db.yaml", "a: hunter2\n"), ("apps/a.yaml", SECRET), ("secrets/b", "hunter2\n")]
    {
        test.write(file, text);
        let id = git(&test, &["hash-object", "-w", file]).run().ok().text().trim().to_owned();
        git(&test, &["update-index", "--add", "--cacheinfo", &format!("120000,{id},{file}")]).run().ok();
    }
    git(&test, &["config", "core.symlinks", "false"]).run().ok();
    for _ in 0..2 {
        let output = hook(&test, &[]).run().code(1);
        let found = lines(&output);
        for file in ["secrets/db.yaml", "apps/a.yaml", "secrets/b"] {
            assert!(found.iter().any(|line| line.starts_with(&format!("{file}:"))), "{file}: {output}");
        }
        // What is staged counts.
        for file in ["secrets/db.yaml", "apps/a.yaml", "secrets/b"] {
            test.write(file, "");
        }
    }
}

/// Whoever writes plaintext into a file of which Git believes that it is in UTF-16 has something else in the commit, and
/// everybody who checks it out has the plaintext.
#[test]
fn the_hook_sees_what_git_checks_out_in_another_encoding() {
    for encoding in ["UTF-16LE", "UTF-16BE", "IBM037"] {
        let test = repository();
        add(&test, ".gitattributes", format!("apps/* working-tree-encoding={encoding}\n"));
        git(&test, &["commit", "-qnm", "x"]).run().ok();
        let even = if SECRET.len().is_multiple_of(2) { "" } else { "\n" };
        add(&test, "apps/a.yaml", format!("{SECRET}{even}"));
        let stored = git(&test, &["show", ":apps/a.yaml"]).run().ok();
        assert!(!stored.text().contains("kind"), "{encoding}");
        let output = hook(&test, &[]).run().code(1);
        assert!(lines(&output).iter().any(|line| line.starts_with("apps/a.yaml:")), "{encoding}: {output}");
    }
}

/// What a sparse checkout leaves out is in the commits all the same.
#[test]
fn what_is_not_checked_out_is_looked_at() {
    let test = repository();
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    add(&test, "apps/a.yaml", SECRET);
    add(&test, "keep/a.txt", "a");
    git(&test, &["commit", "-qnm", "x"]).run().ok();
    git(&test, &["sparse-checkout", "set", "keep"]).run().ok();
    assert!(!test.path("secrets").exists() && !test.path("apps").exists());
    let found = |args: &[&str], folder: &str| lines(&sealant(&test, args).cwd(folder).run().code(1));
    let all = ["apps/a.yaml:5: ", "secrets/a.yaml:1: "];
    for args in [&["check"][..], &["check", "."], &["check", "--base", "HEAD~1"]] {
        let mut found = found(args, ".");
        found.sort();
        assert!(
            found.iter().zip(all).all(|(line, name)| line.starts_with(name)) && found.len() == 2,
            "{found:?}"
        );
    }
    sealant(&test, &["check"]).cwd("keep").run().ok();
    sealant(&test, &["check", "--base", "HEAD"]).run().ok();
}

/// `git cat-file` ends at what is no file.
#[test]
fn nothing_hides_behind_what_ends_git() {
    let test = repository();
    add(&test, "keep/a.txt", "a");
    git(&test, &["commit", "-qnm", "base"]).run().ok();
    add(&test, "secrets/p.yaml", "a: hunter2\n");
    let tree = git(&test, &["rev-parse", "HEAD^{tree}"]).run().ok().text().trim().to_owned();
    let entry = format!("100644,{tree},secrets/a.yaml");
    git(&test, &["update-index", "--add", "--cacheinfo", &entry]).run().ok();
    let tree = git(&test, &["write-tree"]).run().ok().text().trim().to_owned();
    let commit =
        git(&test, &["commit-tree", "-p", "HEAD", "-m", "x", &tree]).run().ok().text().trim().to_owned();
    git(&test, &["update-ref", "HEAD", &commit]).run().ok();
    std::fs::remove_file(test.path("secrets/p.yaml")).unwrap();
    let output = sealant(&test, &["check", "--base", "HEAD~1"]).run();
    assert!(output.status != 0 && output.stderr.contains("git cat-file"), "{output}");
    let _ = git(&test, &["sparse-checkout", "set", "keep"]).run();
    git(&test, &["update-index", "--skip-worktree", "secrets/p.yaml", "secrets/a.yaml"]).run().ok();
    let output = sealant(&test, &["check"]).run();
    assert!(output.status != 0 && output.stderr.contains("git cat-file"), "{output}");
}

/// What a partial clone has is looked at, whatever it lacks before that.
#[test]
fn nothing_hides_behind_what_a_partial_clone_lacks() {
    let test = repository();
    add(&test, "secrets/a.yaml", "a: hunter2\n");
    add(&test, "keep/a.txt", "a");
    git(&test, &["commit", "-qnm", "x"]).run().ok();
    git(&test, &["config", "uploadpack.allowFilter", "true"]).run().ok();
    let origin = format!("file://{}", test.path("").display());
    git(&test, &["clone", "-q", "--filter=blob:none", "--sparse", &origin, "../partial"]).run().ok();
    let here = |args: &[&str]| git(&test, args).cwd("../partial").run().ok();
    here(&["sparse-checkout", "set", "keep", "mine"]);
    test.write("../partial/secrets/z.yaml", "z: hunter2\n");
    here(&["add", "--sparse", "secrets/z.yaml"]);
    here(&["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qnm", "mine"]);
    here(&["sparse-checkout", "reapply"]);
    std::fs::remove_dir_all(test.path("../partial/secrets")).ok();
    here(&["update-index", "--skip-worktree", "secrets/z.yaml"]);
    for args in [&["check"][..], &["check", "--base", "origin/main"]] {
        let output = sealant(&test, args).cwd("../partial").run().code(1);
        assert!(
            lines(&output).iter().any(|line| line.starts_with("secrets/z.yaml:1: ")),
            "{args:?}: {output}"
        );
    }
}

/// Wherever somebody stands who looks at it.
#[test]
fn what_is_not_checked_out_of_another_repository_is_looked_at() {
    let outer = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let git = |args: &[&str]| git(&outer, args).cwd("repo").run().ok();
    outer.write("repo/.sops.yaml", rule());
    outer.write("repo/secrets/a.yaml", "a: hunter2\n");
    outer.write("repo/own/.sops.yaml", rule().replace("^secrets/", "x"));
    outer.write("repo/own/x.yaml", "a: hunter2\n");
    outer.write("repo/keep/a.txt", "a");
    symlink(format!("hvs.{}", "6j4cuewowBGit65rheNoceI7"), outer.path("repo/own/token")).unwrap();
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "-A"]);
    git(&["commit", "-qnm", "x"]);
    git(&["sparse-checkout", "set", "keep"]);
    assert!(!outer.path("repo/secrets").exists() && !outer.path("repo/own").exists());
    symlink("repo", outer.path("link")).unwrap();
    let all = |prefix: &str| {
        ["own/token:1: ", "own/x.yaml:1: ", "secrets/a.yaml:1: "].map(|name| format!("{prefix}{name}"))
    };
    let absolute = outer.path("repo").display().to_string();
    let is_found = |args: &[&str], folder: &str, prefix: &str| {
        let output = sealant(&outer, args).cwd(folder).run().code(1);
        let mut found = lines(&output);
        found.sort();
        let expected = all(prefix);
        assert!(
            found.len() == 3 && found.iter().zip(&expected).all(|(line, name)| line.starts_with(name)),
            "{args:?}: {output}"
        );
    };
    is_found(&["check"], "repo", "");
    is_found(&["check", "repo"], ".", "repo/");
    is_found(&["check", "."], ".", "repo/");
    is_found(&["check", "link"], ".", "link/");
    is_found(&["check", &absolute], "/", &format!("{absolute}/"));
    is_found(&["check", "../keep", ".."], "repo/keep", "../");
    // A config that is left out is that of its folder in any repository.
    outer.write("new.yaml", "a: hunter2\n");
    for name in ["repo/own/x.yaml", "link/own/x.yaml"] {
        let explained = sealant(&outer, &["encrypt", "--filename-override", name, "new.yaml"]).run().ok();
        assert!(explained.text().contains(RECIPIENT), "{name}: {explained}");
    }
    // Git keeps the bits if its patterns are gone.
    std::fs::remove_file(outer.path("repo/.git/info/sparse-checkout")).unwrap();
    is_found(&["check"], "repo", "");
    git(&["update-index", "--split-index"]);
    is_found(&["check"], "repo", "");
}

/// A config that a branch adds is about what is left out, too.
#[test]
fn a_new_config_is_about_what_is_not_checked_out() {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    git(&test, &["init", "-q", "-b", "main"]).run().ok();
    add(&test, "secrets/db.yaml", "a: hunter2\n");
    add(&test, "keep/a.txt", "a");
    git(&test, &["commit", "-qm", "x"]).run().ok();
    git(&test, &["checkout", "-qb", "branch"]).run().ok();
    add(&test, ".sops.yaml", rule());
    git(&test, &["commit", "-qnm", "rules"]).run().ok();
    let found = || lines(&sealant(&test, &["check", "--base", "main"]).run().code(1));
    let before = found();
    assert!(before.len() == 1 && before[0].starts_with("secrets/db.yaml:1: "), "{before:?}");
    git(&test, &["sparse-checkout", "set", "keep"]).run().ok();
    assert!(!test.path("secrets").exists());
    assert_eq!(found(), before);
}

/// A file that a sparse checkout leaves out is checked out by others as its attributes say.
#[test]
fn what_is_not_checked_out_is_looked_at_in_its_encoding() {
    let test = repository();
    add(&test, ".gitattributes", "apps/* working-tree-encoding=UTF-16LE\n");
    let even = if SECRET.len().is_multiple_of(2) { "" } else { "\n" };
    add(&test, "apps/a.yaml", format!("{SECRET}{even}"));
    add(&test, "keep/a.txt", "a");
    git(&test, &["commit", "-qnm", "x"]).run().ok();
    git(&test, &["sparse-checkout", "set", "keep"]).run().ok();
    assert!(!test.path("apps").exists());
    let found = lines(&sealant(&test, &["check"]).run().code(1));
    assert!(found.iter().any(|line| line.starts_with("apps/a.yaml:")), "{found:?}");
}

/// `PATH` may end in a colon, or have `node_modules/.bin`: what it leads to then is whatever a repository has there.
#[test]
fn no_relative_entry_of_path_leads_to_a_program() {
    use std::os::unix::fs::PermissionsExt;

    let test = unborn();
    let (trap, plugin) = (trap(&test), "age1foo1rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr883fhk");
    // What is needed, and no `gpg`.
    let needed = test.path("../needed");
    std::fs::create_dir(&needed).unwrap();
    for name in ["git", "sh", "touch"] {
        let found = std::env::var("PATH").unwrap();
        let at = found.split(':').map(|folder| Path::new(folder).join(name)).find(|at| at.is_file());
        symlink(at.expect("it is installed"), needed.join(name)).unwrap();
    }
    for (folder, entry) in [("", ""), ("node_modules/.bin/", "node_modules/.bin")] {
        for name in ["gpg", "age-plugin-foo", "git"] {
            let at = format!("{folder}{name}");
            test.write(&at, format!("#!/bin/sh\ntouch '{trap}'\nexit 1\n"));
            std::fs::set_permissions(test.path(&at), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (key, value) in [("pgp", "85D77543B3D624B63CEA9E6DBC17301B491B3F21"), ("age", plugin)] {
            test.write(".sops.yaml", format!("creation_rules:\n  - {key}: {value}\n"));
            test.write("new.yaml", "a: 1\n");
            for path in [format!("{}:{entry}", needed.display()), format!("{entry}:{}", needed.display())] {
                for args in [&["encrypt", "-i", "new.yaml"][..], &["check"], &["doctor"]] {
                    let output = sealant(&test, args).env("PATH", &path).run();
                    assert!(!test.path(CANARY).exists(), "{path}: {output}");
                    if args == ["doctor"] {
                        assert!(output.text().contains("PATH has relative entries"), "{output}");
                    }
                }
            }
        }
    }
}
