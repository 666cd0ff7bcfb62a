//! The commands in the documentation do what it says: every block marked `sh` of a page runs, in order, in one shell of
//! one sandbox, with the real programs on its `PATH`.
//!
//! | in a page | is |
//! |---|---|
//! | a block marked `sh` | run; it must not fail |
//! | a line of it that ends in `# fails`, and maybe why | run; it must fail |
//! | a block marked `console` | its lines behind `$ ` are run, and the others have to be shown; `answer=X` is what is typed at the prompt that it shows last before a line |
//! | a block marked `sh no-run` | for a fresh machine: run by CI itself |
//! | `127.0.0.1:8200` | a free port: a server that the page starts there is a real one |
//! | `kubectl` | a real cluster, if it occurs |
//! | `https://gitlab.example.com` | a server that issues tokens, if it occurs, and `$JOB_TOKEN` is one of these |

// A test may ask for the PATH.
#![allow(clippy::disallowed_methods)]

#[path = "docs/issuer.rs"]
mod issuer;

use std::fmt::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use issuer::Issuer;
use sealant_test_support::{Cluster, Sandbox};

/// A page that starts servers has some work to do.
const LIMIT: Duration = Duration::from_secs(180);

/// What a page has to be run, and what has to be seen on the terminal meanwhile.
#[derive(Default)]
struct Page {
    script: String,
    dialogue: Vec<Step>,
}

enum Step {
    /// The terminal shows this.
    Shows(String),
    /// It is typed without being shown.
    Type(String),
}

impl Page {
    fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut block: Option<(&str, &str)> = None;
        for line in text.lines() {
            if let Some(info) = line.strip_prefix("```") {
                block = if block.is_some() { None } else { Some(info.split_once(' ').unwrap_or((info, ""))) };
                continue;
            }
            match block {
                Some(("sh", "")) => page.run(line),
                Some(("console", option)) => page.show(line, option.strip_prefix("answer=")),
                _ => {}
            }
        }
        page
    }

    fn run(&mut self, line: &str) {
        match line.split_once("# fails") {
            Some((command, _)) => {
                let _ = writeln!(self.script, "if {command}; then echo 'this had to fail'; exit 99; fi");
            }
            None => self.script.extend([line, "\n"]),
        }
    }

    fn show(&mut self, line: &str, answer: Option<&str>) {
        match (line.strip_prefix("$ "), answer) {
            (Some(command), _) => self.script.extend([command, "\n"]),
            (None, Some(answer)) if line.ends_with(':') => {
                self.dialogue.push(Step::Shows(line.to_owned()));
                self.dialogue.push(Step::Type(answer.to_owned()));
            }
            (None, _) => self.dialogue.push(Step::Shows(line.to_owned())),
        }
    }
}

fn run_page(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let port = free_port();
    let mut text = text.replace("127.0.0.1:8200", &format!("127.0.0.1:{port}"));
    let cluster = text.contains("\nkubectl ").then(Cluster::start);
    let issuer = text.contains(issuer::STANDS_FOR).then(|| Issuer::start("https://vault.example.com"));
    if let Some(issuer) = &issuer {
        text = text.replace(issuer::STANDS_FOR, issuer.address());
    }
    let page = Page::parse(&text);
    if page.script.is_empty() {
        return;
    }

    let test = Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let folder = Path::new(env!("CARGO_BIN_EXE_sealant")).parent().expect("the binary stands in a folder");
    let path_variable = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    // What a page has started in the background ends with it.
    let script = format!("trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{}", page.script);
    let mut run = test
        .program("bash", &["-euxo", "pipefail", "-c", &script])
        .env("PATH", path_variable)
        .with_peers()
        .limit(LIMIT);
    if let Some(cluster) = &cluster {
        run = run.env("KUBECONFIG", cluster.kubeconfig());
    }
    if let Some(issuer) = &issuer {
        run = run.env("JOB_TOKEN", issuer.token());
    }
    let mut terminal = run.on_terminal();
    for step in &page.dialogue {
        match step {
            Step::Shows(line) => drop(terminal.wait_for(line)),
            Step::Type(answer) => terminal.send_hidden_line(answer),
        }
    }
    let output = terminal.finish();
    assert_eq!(output.status, 0, "{}\n{}", path.display(), output.text());
}

/// Somebody else could take it before the page does, which has not happened yet.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a listener has an address").port()
}

#[test]
fn the_readme_runs() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    assert!(Page::parse(&std::fs::read_to_string(&readme).unwrap()).script.contains("sealant init"));
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
fn a_page_says_what_is_run_and_what_has_to_be_seen() {
    let page = Page::parse(
        "```sh\ntrue\nfalse   # fails: it is false\n```\n```sh no-run\nrm x\n```\n```yaml\na: b\n```\n\
         ```console answer=horse\n$ log in\nPassword:\nLogged in\n```\n",
    );
    let script = "true\nif false   ; then echo 'this had to fail'; exit 99; fi\nlog in\n";
    assert_eq!(page.script, script);
    let shown = page.dialogue.iter().map(|step| match step {
        Step::Shows(line) => format!("shows {line}"),
        Step::Type(answer) => format!("type {answer}"),
    });
    assert_eq!(shown.collect::<Vec<_>>(), ["shows Password:", "type horse", "shows Logged in"]);
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
    assert!(lines.ends_with("    -----END CERTIFICATE-----\n  username: shop\n"), "{lines}");
}
