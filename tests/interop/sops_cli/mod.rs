//! The same command lines run by the real sops and by ours under its name, on the same files: what they end with, what
//! they print, what they leave behind and what kind of thing they say is the same, or a difference that is listed with
//! its reason. `docs/sops-compatibility.md` is made of that list.
//!
//! To look at some lines only: `SOPS_LINES='^sops -d' cargo test --test interop sops_cli`.

mod clients;
mod deliberate;
mod editors;
mod lines;
mod messages;
mod outcome;
mod page;
mod world;

use std::fmt::Write;

use self::deliberate::KNOWN;
use self::lines::{Line, lines};
use self::outcome::{Outcome, differences, shown};
use self::page::Compared;
use self::world::Which;
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use regex::Regex;

#[test]
fn the_same_command_line_does_the_same() {
    let only = std::env::var("SOPS_LINES").ok().map(|only| Regex::new(&only).expect("a regular expression"));
    let mut lines = lines();
    lines.retain(|line| only.as_ref().is_none_or(|only| only.is_match(&line.words)));
    let compared = compare_all(lines);
    let problems: Vec<_> = compared.iter().filter_map(unexplained).collect();
    assert!(
        problems.is_empty(),
        "{} of {} command lines differ without a reason:\n\n{}",
        problems.len(),
        compared.len(),
        problems.join("\n")
    );
    if only.is_some() {
        return;
    }
    let unneeded: Vec<_> = KNOWN
        .iter()
        .filter(|known| !compared.iter().any(|one| page::is_needed(known, one)))
        .map(|known| known.what)
        .collect();
    assert!(unneeded.is_empty(), "no line differs in this any more, take it out of the list: {unneeded:#?}");
    page::check(&compared);
}

/// Runs every line twice. Both programs mostly wait for the disk and for one another.
fn compare_all(lines: Vec<Line>) -> Vec<Compared> {
    let threads = 3 * std::thread::available_parallelism().map_or(1, |count| count.get());
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    pool.install(|| lines.into_par_iter().map(compared).collect())
}

fn compared(line: Line) -> Compared {
    let [theirs, ours] = [Which::Real, Which::Ours].map(|which| Outcome::of(&line.words, which));
    assert!(!ours.tells_secrets(), "a plaintext is on standard error: {}", line.words);
    let differences = differences(&theirs, &ours);
    let shown = if differences.is_empty() { String::new() } else { shown(&theirs, &ours) };
    Compared { line, differences, shown }
}

/// A report of a line that differs in what nobody has listed.
fn unexplained(Compared { line, differences, shown }: &Compared) -> Option<String> {
    let is_known = |difference| KNOWN.iter().any(|known| known.covers(&line.words, difference));
    let unknown: Vec<_> = differences.iter().filter(|difference| !is_known(difference)).collect();
    if unknown.is_empty() {
        return None;
    }
    let mut report = format!("### {} | {}\n", line.topic.name(), line.words);
    for difference in unknown {
        writeln!(report, "- {difference}").expect("a text");
    }
    Some(report + shown)
}

/// What is about master keys that Sealant does not support, or needs a network that tests have not.
const NOT_COMPARED: [&str; 3] = ["check-for-updates", "aws-profile", "encryption-context"];

/// The key services of others, of which a flag has one each: `--kms`, `--add-kms`, `--rm-kms`.
const NOT_SPOKEN: [&str; 5] = ["kms", "gcp-kms", "hckms", "azure-kv", "pgp"];

#[test]
fn every_flag_of_sops_is_in_a_line() {
    let lines = lines();
    let mut missing = Vec::new();
    for command in COMMANDS {
        for (letter, name) in flags_of_sops(command) {
            let service = name.strip_prefix("add-").or(name.strip_prefix("rm-")).unwrap_or(&name);
            if NOT_COMPARED.contains(&service) || NOT_SPOKEN.contains(&service) {
                continue;
            }
            let spellings = Regex::new(&format!("--?({name}|{letter})\\b")).expect("a regular expression");
            let is_of_command =
                |line: &&Line| command.is_empty() || line.words.contains(&format!("sops {command}"));
            if !lines.iter().filter(is_of_command).any(|line| spellings.is_match(&line.words)) {
                missing.push(format!("sops {command} --{name}"));
            }
        }
    }
    assert!(missing.is_empty(), "no line has these: {missing:#?}");
}

/// Those of sops; the empty one is what it takes without one.
const COMMANDS: [&str; 14] = [
    "",
    "encrypt",
    "decrypt",
    "rotate",
    "edit",
    "set",
    "unset",
    "updatekeys",
    "exec-env",
    "exec-file",
    "filestatus",
    "groups add",
    "groups delete",
    "publish",
];

/// The flags that the help of the real sops lists, each with its letter or again its name.
fn flags_of_sops(command: &str) -> Vec<(String, String)> {
    let test = sealant_test_support::Sandbox::new(env!("CARGO_BIN_EXE_sealant"));
    let args: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
    let help = test.sops(&args).run().ok();
    let options = help.text().lines().filter_map(|line| line.strip_prefix("   --"));
    let names = options.map(|line| {
        let names: Vec<_> = line.split("  ").next().unwrap_or_default().split(", ").collect();
        let bare = |name: &str| name.trim_start_matches('-').split(' ').next().unwrap_or_default().to_owned();
        (bare(names.last().unwrap_or(&"")), bare(names[0]))
    });
    names
        .filter(|(_, name)| !["help", "version", "generate-bash-completion"].contains(&name.as_str()))
        .collect()
}
