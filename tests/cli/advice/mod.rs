//! Advice ends: what a finding or an error tells people to type is typed here, and then all is well or the next advice leads on.
//!
//! [`WALKS`] are the ways through it, each in a repository of its own. [`ADVICES`](table::ADVICES) has every command that the
//! sources advise, and the walk that follows it: a new one without a row fails.

mod table;
mod walks;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use regex::Regex;
use sealant_test_support::{Output, Sandbox};

use super::{IDENTITY, KEYS_TXT, RECIPIENT, STRANGER, encrypted, sandbox};
use table::{ADVICES, How};
use walks::WALKS;

/// How somebody comes to an advice, and what they type then.
struct Walk {
    name: &'static str,
    /// Shell commands that make what is wrong.
    state: &'static str,
    /// The command that says so.
    asks: &'static str,
    /// What is typed one after the other: each is advised by the command before, or by what `asks` says then. Behind `! ` is
    /// what is done by hand.
    steps: &'static [&'static str],
    ends: Ends,
}

enum Ends {
    /// What was wrong is gone.
    Gone,
    /// The last step shows something that helps.
    Shown,
}

#[test]
fn each_advice_leads_to_an_end() {
    let next = AtomicUsize::new(0);
    let failed: Vec<String> = thread::scope(|scope| {
        let work = || {
            let walks = std::iter::from_fn(|| WALKS.get(next.fetch_add(1, Ordering::Relaxed)));
            walks
                .filter_map(|walk| follow(walk).err().map(|why| format!("== {}\n{why}", walk.name)))
                .collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no walk panics")).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

fn follow(walk: &Walk) -> Result<(), String> {
    let test = repository();
    let shell = |command: &str| {
        let env = "export EDITOR=\"$HOME/editor\" PATH=\"$BIN:$PATH\"; ";
        let bin = Path::new(env!("CARGO_BIN_EXE_sealant")).parent().expect("a folder");
        let run = test.program("bash", &["-ec", &format!("{env}{command}")]).env("BIN", bin);
        ["RECIPIENT", "STRANGER"]
            .into_iter()
            .zip([RECIPIENT, STRANGER])
            .fold(run, |run, (name, key)| run.env(name, key))
    };
    let made = shell(walk.state).run();
    let fail = |what: &str, output: &Output| Err(format!("{what}\n{output}"));
    if made.status != 0 {
        return fail("its state cannot be made", &made);
    }
    let mut last = shell(walk.asks).run();
    let mut advised = advised_by(&last);
    let mut done = BTreeSet::new();
    for step in walk.steps {
        if let Some(by_hand) = step.strip_prefix("! ") {
            let output = shell(by_hand).run();
            if output.status != 0 {
                return fail("what is done by hand fails", &output);
            }
            continue;
        }
        if !advised.contains(*step) {
            return fail(&format!("`{step}` is not advised, but {advised:#?}"), &last);
        }
        if !done.insert(*step) {
            return fail(&format!("`{step}` is advised a second time: a circle"), &last);
        }
        let asks = ["sealant updatekeys", "sealant recipient"].iter().any(|asks| step.starts_with(asks));
        last = match asks {
            true => answered(shell(step)),
            false => shell(step).run(),
        };
        advised = advised_by(&last);
        let is_well = last.status == 0;
        if !is_well && matches!(walk.ends, Ends::Shown) && Some(step) == walk.steps.last() {
            return fail("the last step shows nothing", &last);
        }
        if is_well && matches!(walk.ends, Ends::Gone) {
            last = shell(walk.asks).run();
            advised.extend(advised_by(&last));
        }
    }
    match walk.ends {
        Ends::Gone if last.status != 0 => fail("what was wrong is still there", &last),
        _ => Ok(()),
    }
}

/// What somebody in front of a terminal gets who answers yes.
fn answered(run: sealant_test_support::Run) -> Output {
    let mut terminal = run.on_terminal();
    terminal.send_line("y");
    terminal.finish()
}

/// The commands that somebody reads in what a program says.
fn advised_by(output: &Output) -> BTreeSet<String> {
    static QUOTED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("`((?:sealant|git|mkdir|mv|cp) [^`]+)`").expect("a pattern"));
    let said = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), output.stderr);
    let own_lines = said.lines().filter_map(|line| {
        let line = line.trim();
        let is_command =
            ["sealant ", "git ", "mv ", "mkdir "].iter().any(|program| line.starts_with(program));
        is_command.then(|| line.split("    # ").next().unwrap_or(line).trim_end().to_owned())
    });
    let quoted = QUOTED.captures_iter(&said).map(|found| found[1].to_owned());
    own_lines.chain(quoted).collect()
}

/// A repository with a rule for `secrets/`, an encrypted file in it, and a commit.
fn repository() -> Sandbox {
    let test = sandbox();
    test.write(test.home(KEYS_TXT), IDENTITY);
    test.write(
        test.home(".gitconfig"),
        "[user]\nname = Anna\nemail = anna@example.com\n[init]\ndefaultBranch = main\n",
    );
    test.write(test.home("editor"), "#!/bin/sh\nsed -i '1i changed: by hand' \"$1\"\n");
    test.program("chmod", &["+x"]).arg(test.home("editor")).run().ok();
    encrypted(&test, "secrets/db.yaml", "password: hunter2\n", &[RECIPIENT]);
    test.write(".sops.yaml", format!("creation_rules:\n  - path_regex: ^secrets/\n    age: {RECIPIENT}\n"));
    let commit = "git init -q && git add . && git commit -qm first";
    test.program("bash", &["-ec", commit]).run().ok();
    test
}

#[test]
fn each_advice_of_the_sources_has_a_row() {
    let mut found: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (file, command) in advices() {
        *found.entry((file, command)).or_default() += 1;
    }
    let mut rows: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (file, command, count, _) in ADVICES {
        *rows.entry(((*file).to_owned(), (*command).to_owned())).or_default() += count;
    }
    let missing: Vec<String> = found
        .iter()
        .filter(|(advice, count)| rows.get(*advice) != Some(*count))
        .map(|((file, command), count)| format!("    (\"{file}\", \"{command}\", {count}, How::),"))
        .collect();
    let stale: Vec<_> = rows.keys().filter(|advice| !found.contains_key(*advice)).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "without a row:\n{}\nno advice:\n{stale:#?}",
        missing.join("\n")
    );

    let names: BTreeSet<&str> = WALKS.iter().map(|walk| walk.name).collect();
    assert_eq!(names.len(), WALKS.len());
    let followed =
        ADVICES.iter().filter_map(|(.., how)| if let How::By(name) = how { Some(*name) } else { None });
    let unknown: Vec<&str> = followed.filter(|name| !names.contains(name)).collect();
    assert!(unknown.is_empty(), "no walks: {unknown:?}");
    for (_, command, _, how) in ADVICES {
        let file = match how {
            How::In(file) => file,
            How::Not(why) => {
                assert!(!why.is_empty());
                continue;
            }
            How::By(_) => continue,
        };
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file));
        let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
        let is_named = |word: &&str| word.contains(['{', '|']) || word.chars().any(char::is_uppercase);
        let missing: Vec<&str> =
            command.split(' ').skip(1).filter(|word| !is_named(word) && !text.contains(word)).collect();
        assert!(missing.is_empty(), "{file} does not type `{command}`: no {missing:?}");
    }
}

/// What advice begins with. Those of others than Sealant and Git are in the table for what they need, and are not typed.
const PROGRAMS: &str = "sealant|git|age|gpg|sops|ssh-keygen|openssl|chmod|iconv|mkdir|mv|cp|rm|ulimit|export|kubectl|kubeseal|vault|\
                        aws|gcloud|az";

/// Each command in a text of the sources, and its file.
fn advices() -> Vec<(String, String)> {
    let quoted = Regex::new(&format!("`((?:[A-Z_]+=\\S+ )*(?:{PROGRAMS}) [^`\\n]+)`")).expect("a pattern");
    let bare = Regex::new(
        r#""(sealant [a-z{][^"\n]*?(?:\\"[^"\n]*?)*)"|: ((?:sealant [a-z{]|(?:rm|mkdir|cat|gpg) [-{~/])[^"\n]*?(?:\\"[^"\n]*?)*)""#,
    )
    .expect("a pattern");
    let steps = Regex::new("(?:plain\\((?:&format!\\()?\"([^\"]+)\"|\"((?:sealant|git) [^\"]+)\")")
        .expect("a pattern");
    // What each operating system calls it.
    let whole = Regex::new(&format!("\"((?:{PROGRAMS}) [^\"\\n]+)\"")).expect("a pattern");
    let comment = Regex::new("(?m)^\\s*//.*$").expect("a pattern");
    let continued = Regex::new("\\\\\\n\\s*").expect("a pattern");
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut advices = Vec::new();
    for file in sources(&src) {
        let name = file.strip_prefix(&src).expect("a source").display().to_string();
        let text = fs::read_to_string(&file).expect("a source");
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let text = comment.replace_all(text, "");
        let text = continued.replace_all(&text, "");
        advices.extend(quoted.captures_iter(&text).map(|found| (name.clone(), found[1].to_owned())));
        let is_help = |command: &str| command.contains("%O") || command.ends_with(" --");
        let bare = bare.captures_iter(&text).filter_map(|found| found.get(1).or(found.get(2)));
        let bare = bare.map(|found| found.as_str().replace("\\\"", "\"")).filter(|command| !is_help(command));
        if name.starts_with("os/") {
            advices.extend(whole.captures_iter(&text).map(|found| (name.clone(), found[1].to_owned())));
        }
        if !name.ends_with("check/mend.rs") {
            advices.extend(bare.map(|command| (name.clone(), command)));
        }
        if name.ends_with("check/mend.rs") {
            let command = |found: regex::Captures<'_>| {
                found.get(1).or(found.get(2)).map(|found| found.as_str().to_owned())
            };
            advices.extend(
                steps.captures_iter(&text).filter_map(command).map(|command| (name.clone(), command)),
            );
        }
    }
    advices
}

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        match path.file_name().and_then(|name| name.to_str()) {
            Some("tests" | "tests.rs" | "testing.rs") => {}
            _ if path.is_dir() => found.extend(sources(&path)),
            Some(name) if name.ends_with(".rs") => found.push(path),
            _ => {}
        }
    }
    found
}
