//! A clone that came out of somebody's archive: nothing is written through a link in its `.git`.

use std::os::unix::fs::symlink;

use sealant_test_support::Output;

use super::*;

/// Every command that writes into `.git`.
const WRITES: [&[&str]; 4] = [
    &["git", "install"],
    &["git", "install", "--attributes", "info"],
    &["git", "install", "--uninstall"],
    &["init", "--git", "--recipient", RECIPIENT],
];

fn sealant(test: &Sandbox, args: &[&str]) -> Output {
    program(test, env!("CARGO_BIN_EXE_sealant"), args).run()
}

/// A repository of which a part is outside, with a link in its place.
fn with_link(part: &str) -> Sandbox {
    let test = repository();
    sealant(&test, &["git", "install", "--attributes", "info"]).ok();
    git(&test, &["config", "--unset-all", "merge.sealant.driver"]).run().ok();
    let outside = test.path("../outside");
    std::fs::rename(test.path(part), &outside).unwrap();
    symlink("../../outside".replacen("../", &"../".repeat(part.split('/').count() - 1), 1), test.path(part))
        .unwrap();
    assert!(test.path(part).canonicalize().unwrap().ends_with("outside"));
    test
}

/// All that is in a file or folder.
fn content(path: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    if path.is_file() {
        return vec![(path.to_path_buf(), std::fs::read(path).unwrap())];
    }
    let mut entries: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.iter().flat_map(|entry| content(entry)).collect()
}

#[test]
fn nothing_is_written_through_a_link_in_the_folder_of_git() {
    for part in [".git/config", ".git/info", ".git/info/attributes"] {
        for args in WRITES {
            let test = with_link(part);
            let before = content(&test.path("../outside"));
            let output = sealant(&test, args);
            assert!(output.status != 0, "{part} {args:?}: {output}");
            let named = format!(".git/{}", part.trim_start_matches(".git/"));
            assert!(
                output.stderr.contains(&named) && output.stderr.contains("outside this repository"),
                "{output}"
            );
            assert_eq!(content(&test.path("../outside")), before, "{part} {args:?}: {output}");
        }
    }
}

#[test]
fn no_hook_is_written_through_a_link() {
    let former = "#!/bin/sh\n# Written by `sealant git install`; `sealant git install --uninstall` takes it away.\nif ! \
                  command -v sealant > /dev/null; then\n    echo 'sealant is not on the PATH, so nobody can tell whether a \
                  secret would be committed in clear' >&2\n    exit 1\nfi\nexec sealant hook pre-commit\n";
    for part in [".git/hooks", ".git/hooks/pre-commit"] {
        for args in WRITES {
            let test = with_link(part);
            let hook = if part == ".git/hooks" { "../outside/pre-commit" } else { "../outside" };
            test.write(hook, former);
            let _ = std::fs::remove_file(test.path("../outside/pre-merge-commit"));
            let before = content(&test.path("../outside"));
            let output = sealant(&test, args).ok();
            assert_eq!(content(&test.path("../outside")), before, "{part} {args:?}: {output}");
            assert!(output.stderr.contains("outside this repository"), "{output}");
        }
    }
}

#[test]
fn the_config_of_another_repository_is_not_written() {
    for args in WRITES {
        let (test, other) = (repository(), repository());
        let theirs = other.path(".git").display().to_string();
        test.write(".git/commondir", format!("{theirs}\n"));
        let before = content(Path::new(&theirs));
        let output = sealant(&test, args);
        assert!(output.status != 0 && output.stderr.contains(".git/commondir"), "{args:?}: {output}");
        assert!(output.stderr.contains("another repository"), "{output}");
        assert_eq!(content(Path::new(&theirs)), before, "{args:?}");
    }
}

/// What Git itself makes so goes on working.
#[test]
fn where_git_keeps_a_repository_elsewhere_it_is_written() {
    let test = repository();
    git(&test, &["worktree", "add", "-q", "../worktree"]).run().ok();
    git(&test, &["-c", "protocol.file.allow=always", "submodule", "add", "-q", "../worktree", "module"])
        .run()
        .ok();
    git(&test, &["clone", "-q", "--separate-git-dir", "../kept", ".", "../separate"]).run().ok();
    git(&test, &["clone", "-q", ".", "../linked"]).run().ok();
    std::fs::rename(test.path("../linked/.git"), test.path("../linked.git")).unwrap();
    symlink("../linked.git", test.path("../linked/.git")).unwrap();
    for folder in ["../worktree", "module", "../separate", "../linked"] {
        let run = |args: &[&str]| program(&test, env!("CARGO_BIN_EXE_sealant"), args).cwd(folder).run().ok();
        let setting = || git(&test, &["config", "merge.sealant.driver"]).cwd(folder).run();
        for place in ["committed", "info"] {
            let output = run(&["git", "install", "--attributes", place]);
            assert!(output.stderr.contains("hooks/pre-merge-commit"), "{folder}: {output}");
            assert!(!output.stderr.contains("warning"), "{folder}: {output}");
            setting().ok();
            run(&["git", "install", "--uninstall"]);
            setting().code(1);
        }
    }
}

/// What Git would change of refs goes through links in `.git`, and names of people get into its logs.
#[test]
fn no_ref_and_no_log_of_one_is_changed() {
    let test = repository();
    git(&test, &["config", "user.name", "x; touch PWNED; #"]).run().ok();
    git(&test, &["commit", "-q", "--allow-empty", "-m", "x"]).run().ok();
    git(&test, &["config", "diff.sealant.cachetextconv", "true"]).run().ok();
    test.write("outside", "mine\n");
    test.write(".git/refs/notes/textconv/sealant", "ref: refs/heads/main\n");
    std::fs::remove_file(test.path(".git/logs/HEAD")).unwrap();
    symlink(test.path("outside"), test.path(".git/logs/HEAD")).unwrap();
    let before = git(&test, &["rev-parse", "HEAD"]).run().ok().text().to_owned();
    sealant(&test, &["git", "install"]).ok();
    assert_eq!(test.read_text("outside"), "mine\n");
    assert_eq!(git(&test, &["rev-parse", "HEAD"]).run().ok().text(), before);
}
