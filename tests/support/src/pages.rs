use std::fmt::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Cluster, Forge, Sandbox};

/// A page that starts servers has some work to do.
const LIMIT: Duration = Duration::from_secs(300);

/// A page of the documentation, to be run: every block marked `sh`, in order, in one shell of one sandbox, with the real
/// programs on its `PATH`.
///
/// | in a page | is |
/// |---|---|
/// | a block marked `sh` | run; it must not fail |
/// | a line of it that ends in `# fails`, and maybe why | run; it must fail |
/// | a block marked `console` | its lines behind `$ ` are run, and the others have to be shown, where `...` stands for anything; `answer=X` is what is typed at the prompt that it shows last before a line, and what follows `[y/N]` is typed there |
/// | `as=NAME` behind `sh` or `console` | from here on it is this person, with a home of their own, who goes on where they were |
/// | a block marked `sh no-run` | not run: it installs Sealant, has placeholders, or is for an account or a cluster of somebody else |
/// | `127.0.0.1:8200` | a free port: a server that the page starts there is a real one |
/// | `deploy/` | that of the project |
/// | `https://...`, for Git | a repository on this machine, [if one is asked for](Self::with_forge) |
pub struct Page {
    path: PathBuf,
    text: String,
    env: Vec<(String, String)>,
}

impl Page {
    /// Reads a page.
    #[track_caller]
    pub fn read(path: &Path) -> Self {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path: path.to_owned(), text, env: Vec::new() }
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether there is anything to run in it.
    pub fn runs(&self) -> bool {
        !Parsed::of(&self.text).script.is_empty()
    }

    /// Whether it runs this program.
    pub fn calls(&self, program: &str) -> bool {
        let script = Parsed::of(&self.text).script;
        script.lines().any(|line| line.split_whitespace().next() == Some(program))
    }

    /// Leaves out a section of the second level, by its heading: one of several ways.
    #[track_caller]
    pub fn without(mut self, heading: &str) -> Self {
        let line = format!("\n## {heading}\n");
        let from = self.text.find(&line).unwrap_or_else(|| panic!("no section is called {heading}"));
        let length = self.text[from + 1..].find("\n## ").map_or(self.text.len() - from, |length| length + 1);
        self.text.replace_range(from..from + length, "");
        self
    }

    /// Lets something real stand for what the page names.
    pub fn with(mut self, named: &str, real: &str) -> Self {
        self.text = self.text.replace(named, real);
        self
    }

    /// Sets a variable of the shell's environment.
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Lets `kubectl` and `sealant` work on a cluster.
    pub fn on(self, cluster: &Cluster) -> Self {
        let kubeconfig = cluster.kubeconfig().display().to_string();
        self.env("KUBECONFIG", &kubeconfig)
    }

    /// Lets Git, and what starts Git, find the repositories of a forge.
    pub fn with_forge(mut self, forge: &Forge) -> Self {
        self.env.extend(forge.env());
        self
    }

    /// Runs it with the program under test.
    #[track_caller]
    pub fn run(self, sealant: &Path) {
        let port = free_port();
        let page = Parsed::of(&self.text.replace("127.0.0.1:8200", &format!("127.0.0.1:{port}")));
        let test = Sandbox::new(sealant);
        if self.text.contains("deploy/") {
            let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
            std::os::unix::fs::symlink(deploy, test.path("deploy")).expect("a link in the working directory");
        }
        let folder = sealant.parent().expect("the binary stands in a folder");
        let path_variable = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
        // What a page has started in the background ends with it.
        let script = format!("trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{PEOPLE}{}", page.script);
        let mut run = test
            .program("bash", &["-euxo", "pipefail", "-c", &script])
            .env("PATH", path_variable)
            .with_peers()
            .limit(LIMIT);
        for (key, value) in &self.env {
            run = run.env(key, value);
        }
        let mut terminal = run.on_terminal();
        for step in &page.dialogue {
            match step {
                Step::Shows(line) => drop(terminal.wait_for(line)),
                Step::Type(answer) => terminal.send_hidden_line(answer),
                Step::Answer(answer) => terminal.send_line(answer),
            }
        }
        let output = terminal.finish();
        assert_eq!(output.status, 0, "{}\n{}", self.path.display(), output.text());
    }
}

/// What has to be run, and what has to be seen on the terminal meanwhile.
#[derive(Default)]
struct Parsed {
    script: String,
    dialogue: Vec<Step>,
}

enum Step {
    /// The terminal shows this.
    Shows(String),
    /// It is typed without being shown.
    Type(String),
    /// It is typed as the answer to a question.
    Answer(String),
}

/// What ends a question that the keyboard answers.
const QUESTION: &str = "[y/N]";

/// Lets the rest of a script be run by another person: `be NAME`.
const PEOPLE: &str = r#"
homes=$HOME person=
be() {
    eval "folder_$person=\$PWD"
    person=$1
    export HOME=$homes/$1 XDG_CONFIG_HOME=$homes/$1/.config
    export GIT_AUTHOR_NAME=$1 GIT_AUTHOR_EMAIL=$1@example.com GIT_COMMITTER_NAME=$1 GIT_COMMITTER_EMAIL=$1@example.com
    mkdir -p "$HOME"
    local folder=folder_$1
    cd "${!folder:-$HOME}"
}
"#;

impl Parsed {
    fn of(text: &str) -> Self {
        let mut page = Self::default();
        let mut block: Option<(&str, &str)> = None;
        for line in text.lines() {
            if let Some(info) = line.strip_prefix("```") {
                block = if block.is_some() { None } else { Some(info.split_once(' ').unwrap_or((info, ""))) };
                if let Some(("sh" | "console", option)) = block
                    && let Some(name) = option.strip_prefix("as=")
                {
                    page.run(&format!("be {name}"));
                }
                continue;
            }
            match block {
                Some(("sh", option)) if option != "no-run" => page.run(line),
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
            (None, _) if line.contains(QUESTION) => {
                let (question, answer) = line.split_at(line.find(QUESTION).unwrap_or(0) + QUESTION.len());
                self.dialogue.push(Step::Shows(question.to_owned()));
                self.dialogue.push(Step::Answer(answer.trim().to_owned()));
            }
            (None, _) => {
                let shown = line.split("...").filter(|part| !part.is_empty());
                self.dialogue.extend(shown.map(|part| Step::Shows(part.to_owned())));
            }
        }
    }
}

/// Somebody else could take it before the page does, which has not happened yet.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a listener has an address").port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_is_run_and_what_has_to_be_seen() {
        let page = Parsed::of(
            "```sh\ntrue\nfalse   # fails: it is false\n```\n```sh no-run\nrm x\n```\n```yaml\na: b\n```\n\
             ```console answer=horse\n$ log in\nPassword:\nLogged in for ... (Ben)\n```\n\
             ```console as=ben\n$ rm x\nRemove x? [y/N] y\n```\n",
        );
        let script = "true\nif false   ; then echo 'this had to fail'; exit 99; fi\nlog in\nbe ben\nrm x\n";
        assert_eq!(page.script, script);
        let shown = page.dialogue.iter().map(|step| match step {
            Step::Shows(line) => format!("shows {line}"),
            Step::Type(answer) => format!("type {answer}"),
            Step::Answer(answer) => format!("answer {answer}"),
        });
        let expected = [
            "shows Password:",
            "type horse",
            "shows Logged in for ",
            "shows  (Ben)",
            "shows Remove x? [y/N]",
            "answer y",
        ];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    }
}
