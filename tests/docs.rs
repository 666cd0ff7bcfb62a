//! The commands in the documentation do what it says: each page is run, as [`Page`] says.
//!
//! | in a page here | is |
//! |---|---|
//! | `kubectl` | a real cluster, if it occurs |
//! | `https://gitlab.example.com` | a server that issues tokens, if it occurs, and `$JOB_TOKEN` is one of these; for GitHub's, too |
//! | the jobs of a page about CI | run where it says so |
//! | `pre-commit` | the real one, which finds our hooks in a repository of their own |

#[path = "docs/issuer.rs"]
mod issuer;
#[path = "docs/jobs.rs"]
mod jobs;

use std::path::{Path, PathBuf};

use issuer::Issuer;
use sealant_test_support::{Cluster, Page, Peers, Sandbox};

/// Run by `controller/tests/docs.rs`, beside a controller.
const WITH_A_CONTROLLER: &str = "controller.md";

fn run_page(path: &Path) {
    let page = Page::read(path);
    if !page.runs() {
        return;
    }
    let cluster = page.calls("kubectl").then(Cluster::start);
    let issuer = page.text().contains(issuer::STANDS_FOR).then(|| Issuer::start("https://vault.example.com"));
    let page = match &cluster {
        Some(cluster) => page.on(cluster),
        None => page,
    };
    let page = match &issuer {
        Some(issuer) => {
            let script = page.text().contains(jobs::RUN_HERE).then(|| jobs::script(page.text(), "main"));
            let page = page.with(issuer::STANDS_FOR, issuer.address());
            let page = page.with(issuer::STANDS_FOR_GITHUB, issuer.address());
            let page = page.env("JOB_TOKEN", issuer.token()).env("JOB_TOKEN_URL", &issuer.token_url());
            page.with(jobs::RUN_HERE, &script.unwrap_or_default())
        }
        None => page,
    };
    let hooks = Sandbox::new("");
    let page = if page.calls("git") { committing(page, &hooks) } else { page };
    page.run(Path::new(env!("CARGO_BIN_EXE_sealant")));
}

/// Lets Git know who commits, and `pre-commit` find our hooks.
fn committing(page: Page, hooks: &Sandbox) -> Page {
    hooks.write(".pre-commit-hooks.yaml", include_str!("../.pre-commit-hooks.yaml"));
    let commit = "git init -q && git add . && git -c user.name=a -c user.email=a@example.com commit -qm a && git tag v0.1.0";
    hooks.program("sh", &["-ec", commit]).run().ok();
    let framework = Peers::get().directory().join("pre-commit").display().to_string();
    let page =
        page.with(env!("CARGO_PKG_REPOSITORY"), hooks.path("").display().to_string().trim_end_matches('/'));
    ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"]
        .into_iter()
        .fold(page, |page, name| page.env(name, "anna@example.com"))
        .env("PYTHONPATH", &framework)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // A function that bash finds in its environment.
        .env("BASH_FUNC_pre-commit%%", "() { python3 -m pre_commit \"$@\"; }")
}

#[test]
fn the_readme_runs() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    assert!(Page::read(&readme).runs());
    run_page(&readme);
}

#[test]
fn every_page_under_docs_runs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|ext| ext == "md")).collect();
    pages.sort();
    let count = pages.len();
    pages.retain(|path| !path.ends_with(WITH_A_CONTROLLER));
    assert!(!pages.is_empty() && pages.len() + 1 == count);
    pages.iter().for_each(|page| run_page(page));
}

#[test]
fn the_demo_ends_with_the_bytes_that_it_began_with() {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let output = test.sealant(&["demo", "--keep", "tour"]).run().ok();
    let lines = output.text();
    for step in [
        "sealant init",
        "sealant encrypt -i",
        "sealant edit",
        "sealant decrypt",
        "sealant seal",
        "sealant unseal",
    ] {
        assert!(lines.contains(step), "{step} is missing:\n{lines}");
    }
    let manifest = include_str!("../fixtures/demo/database.yaml");
    assert_eq!(test.read_text("tour/plain.yaml"), manifest.replace("correct-horse", "battery-staple"));
    assert!(test.read_text("tour/secrets/database.yaml").contains("ENC[AES256_GCM,"));
    assert!(lines.contains("    -----END CERTIFICATE-----\n  username: shop\n"), "{lines}");
    assert!(
        output.stderr.contains("plain.yaml:12: a Kubernetes Secret has 4 values in plaintext"),
        "{output}"
    );
    assert!(lines.contains("Merge made by the 'ort' strategy."), "{lines}");
    assert!(lines.ends_with(
        "Both values are there, every other byte is as it was, and nothing had to be resolved.\n"
    ));
}

/// A table of attacks is worth as much as the tests that it names.
#[test]
fn tests_that_the_page_on_security_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/security.md")).expect("the page");
    let attacks = page.split_once("## Attacks that were tried").expect("the table").1;
    let attacks = attacks.split_once("\n## ").map_or(attacks, |(table, _)| table);
    let mut sources = String::new();
    for folder in ["src", "tests", "controller"] {
        add_sources(&root.join(folder), &mut sources);
    }
    let rows = attacks.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| tests |"));
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit_once(" | ").expect("two columns").1;
        for test in tests.split(", ") {
            let name = test.strip_prefix('`').and_then(|test| test.strip_suffix('`'));
            let name = name.unwrap_or_else(|| panic!("{test} is no name of a test"));
            assert!(sources.contains(&format!("#[test]\nfn {name}(")), "there is no test {name}");
        }
    }
}

/// The sources below a folder, without the indents and attributes between `#[test]` and its function.
fn add_sources(folder: &Path, sources: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            add_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            for line in
                text.lines().map(str::trim_start).filter(|line| *line == "#[test]" || line.starts_with("fn "))
            {
                sources.push_str(line);
                sources.push('\n');
            }
        }
    }
}
