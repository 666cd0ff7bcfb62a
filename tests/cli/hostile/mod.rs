//! One hostile repository, and every command of the program in it: nothing of it runs, nobody is called, nothing is
//! given away, nothing outside is changed, and all of it ends.
//!
//! The commands come from the program's own help, so a new one is covered by itself. `arguments.rs` has what they are
//! run with, and what they are asked for.

mod arguments;
mod canaries;
mod drivers;
mod repository;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use sealant_test_support::{Output, Run, Sandbox};

use super::{RECIPIENT, program, sandbox};
use arguments::{FILE, SERVING, TABLE};
use canaries::{May, Server, Trap};
use repository::{FILES, NEW, Repository, SILENT, TOKEN};

/// Longer than any command needs here, on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(20);

/// At most as many complaints are shown.
const SHOWN: usize = 60;

/// Runs that share a copy of the repository.
struct Case {
    command: Vec<String>,
    /// Each with the folder that it runs in.
    runs: Vec<(&'static str, Vec<String>)>,
    may: Vec<May>,
}

/// A copy of the repository, and what each of its files is while nobody has touched it.
struct Copy {
    copy: Sandbox,
    files: canaries::Fingerprint,
}

struct Hostile {
    trap: Trap,
    server: Server,
    repository: Repository,
}

#[test]
fn nothing_moves_in_a_hostile_repository() {
    let hostile = Hostile::new();
    let commands = commands(&hostile.repository.test);
    let mut cases: Vec<Case> = commands.iter().flat_map(|command| cases_of(command)).collect();
    cases.extend(drivers::LINES.iter().map(|(line, may)| Case::of_git(line, may)));
    cases.extend(drivers::COMMITS.iter().map(|line| Case::of_git(line, &[])));
    let mut complaints = hostile.judge(&cases);
    complaints.extend(hostile.trap.traces().into_iter().map(|trace| format!("it ran: {trace}")));
    complaints.dedup();
    assert!(
        complaints.is_empty(),
        "{} complaints:\n{}",
        complaints.len(),
        complaints[..complaints.len().min(SHOWN)].join("\n")
    );
}

/// What has no name in the table any more would never be tried again.
#[test]
fn the_table_has_commands_that_are_there() {
    let commands: BTreeSet<_> = commands(&sandbox()).iter().map(|command| command.join(" ")).collect();
    assert!(commands.len() > 50, "{commands:?}");
    for entry in TABLE {
        assert!(commands.contains(entry.command), "there is no command `{}`", entry.command);
    }
}

/// A canary that cannot move proves nothing.
#[test]
fn canaries_move_when_something_is_wrong() {
    let hostile = Hostile::new();
    let copy = hostile.repository.copy();
    let ls_files = ["-C", "secrets", "ls-files", "--others"];
    let _ = copy.program("git", &ls_files).run();
    let _ = copy.program(copy.path("age-plugin-evil"), &[]).run();
    let traces = hostile.trap.traces_in(&copy.path("")).join("\n");
    assert!(traces.contains("fsmonitor of bare secrets") && traces.contains("age-plugin-evil"), "{traces}");

    let loud = ["sops", "decrypt", "vault/a.yaml"];
    let _ = hostile.prepared(&copy, copy.sealant(&loud), "loud", &[]).run();
    assert!(!hostile.server.requests_with("loud").is_empty());

    let add = ["rotate", "-i", "--add-age", &hostile.repository.attacker.recipient, "secrets/a.yaml"];
    let _ = copy.sealant(&add).run().ok();
    copy.write("out/secrets/notes.txt", "pwned");
    copy.write("dev/note.txt", NEW);
    copy.write("apps/forged-scope.yaml", copy.read("apps/db.yaml"));
    let wrong = canaries::changed(&hostile.repository, &copy, &[]).join("\n");
    for expected in [
        "home/.bashrc has changed",
        "is in plaintext in dev/note.txt",
        "the attacker reads planted-encrypted",
    ] {
        assert!(wrong.contains(expected), "{expected}\n{wrong}");
    }

    let shown = copy.program("printf", &[r"\033[2J planted-plaintext-51 planted-forged-54"]).run().ok();
    assert_eq!(canaries::printed(&shown, &[]).len(), 3);
    assert_eq!(canaries::printed(&shown, &[May::Print]).len(), 1);
}

impl Hostile {
    fn new() -> Self {
        let (trap, server) = (Trap::new(), Server::start());
        let repository = Repository::new(&trap, &server);
        assert_eq!(trap.traces(), [""; 0], "something ran while the repository was made");
        Self { trap, server, repository }
    }

    /// All complaints, in the order of the cases.
    fn judge(&self, cases: &[Case]) -> Vec<String> {
        let next = AtomicUsize::new(0);
        let complaints = Mutex::new(Vec::new());
        let workers = thread::available_parallelism().map_or(2, |cores| cores.get().min(8));
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    let mut copy = None;
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(case) = cases.get(number) else { break };
                        let found = self.judge_one(number, case, &mut copy);
                        complaints.lock().expect("nobody panics with it").push((number, found));
                    }
                });
            }
        });
        let mut complaints = complaints.into_inner().expect("nobody panics with it");
        complaints.sort();
        complaints.into_iter().flat_map(|(_, found)| found).collect()
    }

    /// Takes a copy that nobody has touched, or makes one, and leaves it there if it is still untouched.
    fn judge_one(&self, number: usize, case: &Case, untouched: &mut Option<Copy>) -> Vec<String> {
        let Copy { copy, files } = untouched.take().unwrap_or_else(|| Copy::of(&self.repository));
        let mut complaints = Vec::new();
        for (index, (folder, args)) in case.runs.iter().enumerate() {
            let name = format!("$ {} {}   (in {folder})", case.command.join(" "), args.join(" "));
            let token = format!("{TOKEN}-{number}-{index}-");
            let (run, limited) = (self.prepared(&copy, case.program(&copy, args), &token, &case.may), LIMIT);
            let ended = catch_unwind(AssertUnwindSafe(|| run.cwd(folder).limit(limited).run()));
            let mut wrong = match &ended {
                Ok(output) => canaries::printed(output, &case.may),
                Err(why) => vec![why.downcast_ref::<String>().cloned().unwrap_or_default()],
            };
            wrong.extend(ended.iter().flat_map(|output| case.problems(folder, args, output)));
            wrong.extend(
                self.trap.traces_in(&copy.path("..")).into_iter().map(|trace| format!("it ran: {trace}")),
            );
            if !case.may.contains(&May::Call) {
                let calls = self.server.requests_with(&token);
                wrong.extend(calls.into_iter().map(|call| format!("a server was called: {call}")));
            }
            complaints.extend(wrong.into_iter().map(|what| format!("{name}\n    {what}")));
        }
        let last = case.runs.last().map(|(_, args)| args.join(" ")).unwrap_or_default();
        let name = format!("$ {} {last}", case.command.join(" "));
        let wrong = canaries::changed(&self.repository, &copy, &case.may);
        complaints.extend(wrong.into_iter().map(|what| format!("{name}\n    {what}")));
        if complaints.is_empty() && canaries::fingerprint(&copy) == files {
            *untouched = Some(Copy { copy, files });
        }
        complaints
    }

    /// A program with the environment of somebody who has a token and an editor.
    fn prepared(&self, copy: &Sandbox, run: Run, token: &str, may: &[May]) -> Run {
        let mut path = OsString::new();
        if !may.contains(&May::StartPlugins) {
            path.push(self.trap.plugins());
            path.push(":");
        }
        path.push(program().parent().expect("a program is in a folder"));
        path.push(":/usr/local/bin:/usr/bin:/bin");
        let editor = copy.editor(&format!("echo 'token: {NEW}' >> \"$1\""));
        run.env("PATH", path)
            .env("VAULT_TOKEN", token)
            .env("EDITOR", editor)
            .env("GIT_EDITOR", "true")
            .stdin(NEW)
    }
}

impl Copy {
    fn of(repository: &Repository) -> Self {
        let copy = repository.copy();
        let files = canaries::fingerprint(&copy);
        Self { copy, files }
    }
}

impl Case {
    fn of_git(line: &str, may: &[May]) -> Self {
        Self {
            command: vec!["sh".into(), "-c".into()],
            runs: vec![(".", vec![line.to_owned()])],
            may: may.to_vec(),
        }
    }

    fn program(&self, copy: &Sandbox, args: &[String]) -> Run {
        let command: Vec<&str> = self.command.iter().chain(args).map(String::as_str).collect();
        match &command[..] {
            ["sh", rest @ ..] => copy.program("sh", rest),
            [name @ ("sops" | "ksops"), rest @ ..] => copy.sealant(rest).called_as(name),
            rest => copy.sealant(rest),
        }
    }

    /// What this run should have done, and has not.
    fn problems(&self, folder: &str, args: &[String], output: &Output) -> Vec<String> {
        let mut problems = Vec::new();
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        match (&self.command[..], &words[..]) {
            ([sh, ..], [drivers::OPTION_NAMES]) if sh == "sh" => {
                let shown = String::from_utf8_lossy(&output.stdout).matches("+x: changed").count();
                if shown != drivers::COUNT || output.status != 0 {
                    problems.push(format!("{shown} changes are shown: {output}"));
                }
            }
            ([edit], [file])
                if edit == "edit" && file.ends_with(SILENT) && !output.stderr.contains("token") =>
            {
                problems.push(format!("a value that stays in plaintext is not named: {output}"));
            }
            ([sh, ..], [line]) if sh == "sh" && drivers::COMMITS.contains(line) && output.status == 0 => {
                problems.push(format!("plaintext is committed: {output}"));
            }
            ([check], [] | ["."]) if check == "check" && folder == "." => {
                problems.extend(canaries::not_named(output, ""))
            }
            ([check], ["secrets"]) if check == "check" => {
                problems.extend(canaries::not_named(output, "secrets/"))
            }
            _ => {}
        }
        problems
    }
}

/// What a command is tried with: without arguments and with folders, and what the table has, each in a copy of its own.
fn cases_of(command: &[String]) -> Vec<Case> {
    let name = command.join(" ");
    let entries: Vec<_> = TABLE.iter().filter(|entry| entry.command == name).collect();
    let may: Vec<May> = entries.iter().flat_map(|entry| entry.may).copied().collect();
    let places =
        [(".", ""), (".", "."), (".", "secrets"), (".", "secrets/prod"), ("secrets", ""), ("vendor", ".")];
    let plain = places.map(|(folder, args)| (folder, words(args)));
    let plain = if SERVING.contains(&name.as_str()) { Vec::new() } else { plain.to_vec() };
    let lines = entries.iter().flat_map(|entry| entry.lines);
    let runs = lines.map(|line| match line.contains(FILE) {
        true => FILES.iter().map(|file| (".", words(&line.replace(FILE, &format!("./{file}"))))).collect(),
        false => vec![(".", words(line))],
    });
    let runs = [plain].into_iter().chain(runs);
    runs.map(|runs| Case { command: command.to_vec(), runs, may: may.clone() }).collect()
}

fn words(line: &str) -> Vec<String> {
    let word = |word: &str| if word == "R" { RECIPIENT.to_owned() } else { word.to_owned() };
    line.split_whitespace().map(word).collect()
}

/// All commands that the program has, those below others as well, as its help lists them.
fn commands(test: &Sandbox) -> Vec<Vec<String>> {
    let help = test.sealant(&["--help"]).run().ok();
    let lines = help.text().lines().skip_while(|line| *line != "Start:");
    let names = lines.take_while(|line| *line != "Global options:").filter_map(listed);
    names.flat_map(|name| with_those_below(vec![name.to_owned()], test)).collect()
}

/// A command, and all that are below it.
fn with_those_below(command: Vec<String>, test: &Sandbox) -> Vec<Vec<String>> {
    let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
    let help = test.sealant(&words).run().ok();
    let lines = help.text().lines().skip_while(|line| *line != "Commands:").skip(1);
    let below = lines.take_while(|line| !line.is_empty()).filter_map(listed).filter(|name| *name != "help");
    let below = below.map(|name| [&command[..], &[name.to_owned()]].concat());
    let below: Vec<_> = below.flat_map(|command| with_those_below(command, test)).collect();
    [vec![command], below].concat()
}

/// The command that a line of a list begins with.
fn listed(line: &str) -> Option<&str> {
    let name = line.strip_prefix("  ")?.split(' ').next()?;
    name.starts_with(|first: char| first.is_ascii_lowercase()).then_some(name)
}
