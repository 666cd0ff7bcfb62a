use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::Repo;

#[test]
fn odd_names_links_and_submodules_are_no_obstacle() {
    let repo = Repo::new();
    repo.rule(&[&repo.me, &repo.anna]);
    repo.encrypt("app.yaml", "a: hunter2\n");
    let text = repo.test.read("app.yaml");
    for name in [&b"a b.yaml"[..], b":c\nd.yaml", b"\x01e.yaml", b"\xff\xfe.yaml"] {
        repo.test.write(OsStr::from_bytes(name), &text);
    }
    symlink("app.yaml", repo.test.path("link.yaml")).unwrap();
    symlink("/etc/passwd", repo.test.path("out.yaml")).unwrap();
    repo.git(&["init", "-q", "other"]);
    repo.test.write("other/x.yaml", &text);
    let git = |args: &[&str]| {
        repo.git(&[&["-C", "other", "-c", "user.name=A", "-c", "user.email=a@b"], args].concat())
    };
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "x"]);
    repo.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "./other", "sub"]);
    repo.commit(7);
    let found = repo.radius(&[]);
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(
        found.iter().all(|row| row.starts_with("live ") && row.ends_with(r#"["a"]: alone"#)),
        "{found:?}"
    );
    let output = repo.sealant(&["status", "--values", "."]).run().ok();
    assert_eq!(output.text().matches("7 days").count(), 5, "{output}");
}

#[test]
fn what_cannot_be_looked_at_is_told_and_is_no_success() {
    let repo = Repo::new();
    repo.rule(&[&repo.me, &repo.anna]);
    repo.encrypt("app.yaml", "a: hunter2\n");
    let whole = repo.test.read_text("app.yaml");
    repo.commit(9);
    repo.test.write("app.yaml", format!("<<<<<<< ours\n{whole}>>>>>>> theirs\n"));
    repo.commit(8);
    repo.test.write("app.yaml", &whole);
    repo.commit(7);
    let args = ["blast-radius", "--recipient", &repo.anna];
    let output = repo.sealant(&args).run().code(2);
    let broken = repo.git(&["rev-parse", "HEAD~"]);
    assert!(output.stderr.contains("app.yaml") && output.stderr.contains(&broken.text()[..10]), "{output}");
    assert!(output.text().contains("live   app.yaml  [\"a\"]"), "{output}");
    // A clone without all of the history.
    let url = format!("file://{}", repo.test.path("").display());
    repo.git(&["clone", "-q", "--depth", "1", &url, "clone"]);
    let output = repo.sealant(&args).cwd(repo.test.path("clone")).run().code(2);
    assert!(output.stderr.contains("this clone is shallow"), "{output}");
    assert!(output.text().contains("live   app.yaml  [\"a\"]"), "{output}");
}

#[test]
fn a_repository_without_a_commit_has_nothing_to_tell() {
    let repo = Repo::new();
    assert!(repo.radius(&[]).is_empty());
    assert!(repo.radius(&["--since", "2026-01-31"]).is_empty());
    std::fs::remove_dir_all(repo.test.path(".git")).unwrap();
    let output = repo.sealant(&["blast-radius", "--recipient", &repo.anna]).run().code(2);
    assert!(output.stderr.contains("is not in a Git repository"), "{output}");
}

#[test]
fn settings_of_people_change_nothing() {
    let repo = Repo::new();
    repo.rule(&[&repo.me, &repo.anna]);
    repo.encrypt("app.yaml", "a: hunter2\n");
    repo.commit(3);
    for (name, value) in [
        ("log.showRoot", "false"),
        ("log.showSignature", "true"),
        ("log.decorate", "full"),
        ("log.diffMerges", "off"),
        ("diff.renames", "copies"),
        ("diff.external", "false"),
        ("diff.noprefix", "true"),
        ("core.abbrev", "5"),
        ("core.quotePath", "true"),
        ("color.ui", "always"),
        ("format.pretty", "oneline"),
        ("log.follow", "true"),
        ("log.mailmap", "true"),
    ] {
        repo.git(&["config", name, value]);
    }
    assert_eq!(repo.radius(&[]), [r#"live app.yaml ["a"]: alone"#]);
    assert_eq!(repo.radius(&["app.yaml"]).len(), 1);
    assert_eq!(repo.ages("app.yaml")[0].1, 3);
}

/// A few objects make a history that Git lists without an end: a folder that holds one twice, which holds one twice.
#[test]
fn a_history_without_an_end_is_refused() {
    let repo = Repo::new();
    repo.rule(&[&repo.me, &repo.anna]);
    repo.encrypt("app.yaml", "a: hunter2\n");
    repo.commit(1);
    let blob =
        repo.test.program("git", &["hash-object", "-w", "app.yaml"]).run().ok().text().trim().to_owned();
    let mut tree = format!("100644 blob {blob}\ta.yaml\n");
    for _ in 0..24 {
        let made = repo.test.program("git", &["mktree"]).stdin(tree).run().ok().text().trim().to_owned();
        tree = ["a", "b"].map(|name| format!("040000 tree {made}\t{}\n", name.repeat(240))).concat();
    }
    let made = repo.test.program("git", &["mktree"]).stdin(tree).run().ok().text().trim().to_owned();
    let commit = repo.git(&["commit-tree", "-m", "x", &made]).text().trim().to_owned();
    repo.git(&["branch", "bomb", &commit]);
    let output =
        repo.sealant(&["blast-radius", "--recipient", &repo.anna]).limit(Duration::from_secs(120)).run();
    assert!(output.status != 0, "{output}");
    assert!(output.stderr.contains("endlessly nested folders"), "{output}");
}
