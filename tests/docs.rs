//! The commands in the documentation do what it says: every block marked `sh` of a page runs, in order, in one sandbox.
//! Blocks marked `sh no-run` are for a fresh machine and are run by CI itself.

// A test may ask for the PATH.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};

use sealant_test_support::Sandbox;

fn blocks(page: &str) -> String {
    let mut script = String::new();
    let mut runs = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(language) => runs = language == "sh",
            None if runs => script.extend([line, "\n"]),
            None => {}
        }
    }
    script
}

fn run_page(path: &Path) {
    let page = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let script = blocks(&page);
    if script.is_empty() {
        return;
    }
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let folder = Path::new(env!("CARGO_BIN_EXE_sealant")).parent().expect("the binary stands in a folder");
    let path_variable = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let output = test.program("bash", &["-euxo", "pipefail", "-c", &script]).env("PATH", path_variable).run();
    assert_eq!(output.status, 0, "{}: {}", path.display(), output.stderr);
}

#[test]
fn the_readme_runs() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    assert!(blocks(&std::fs::read_to_string(&readme).unwrap()).contains("sealant init"));
    run_page(&readme);
}

#[test]
fn every_page_under_docs_runs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    assert!(!pages.is_empty());
    pages
        .iter()
        .filter(|page| page.extension().is_some_and(|ext| ext == "md"))
        .for_each(|page| run_page(page));
}

#[test]
fn the_demo_ends_with_the_bytes_that_it_began_with() {
    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let output = test.sealant(&["demo", "--keep", "tour"]).run().ok();
    let lines = output.text();
    for step in ["sealant init", "sealant encrypt -i", "sealant edit", "sealant decrypt"] {
        assert!(lines.contains(step), "{step} is missing:\n{lines}");
    }
    let manifest = include_str!("../fixtures/demo/database.yaml");
    assert_eq!(test.read_text("tour/plain.yaml"), manifest.replace("correct-horse", "battery-staple"));
    assert!(test.read_text("tour/secrets/database.yaml").contains("ENC[AES256_GCM,"));
}
