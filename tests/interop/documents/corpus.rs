//! Variants of every construct of the four formats, made by putting each into every place that can hold it, beside the real
//! sops: what it takes we take, and all leaves are the same to both, whoever encrypted. What we refuse all the same is on
//! the list in `docs/sops.md`, with a reason: each refusal is of one row, and each row has a text that only we refuse.

use std::path::PathBuf;

use rayon::prelude::*;
use sealant_test_support::{Output, Sandbox};

use super::texts::texts;
use super::{IDENTITY, RECIPIENT, sandbox};

/// A file, by the extension of its format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    extension: &'static str,
    bytes: Vec<u8>,
}

impl Text {
    pub fn of(extension: &'static str, bytes: impl AsRef<[u8]>) -> Self {
        Self { extension, bytes: bytes.as_ref().to_vec() }
    }

    fn shown(&self) -> String {
        format!("{}: {:?}", self.extension, String::from_utf8_lossy(&self.bytes))
    }
}

/// A row of the table in `docs/sops.md`: a format, a part of what we say, and an example.
struct Refusal {
    says: String,
    example: Text,
}

impl Refusal {
    fn explains(&self, text: &Text, said: &str) -> bool {
        text.extension == self.example.extension && said.replace('`', "").contains(&self.says)
    }
}

fn refusals() -> Vec<Refusal> {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/sops.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let table = page.split("| in | Sealant says | such as | why |").nth(1).expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let extension = match cells[0] {
            "YAML" => "yaml",
            "JSON" => "json",
            "dotenv" => "env",
            "INI" => "ini",
            other => panic!("{other} is no format"),
        };
        let mut text = cells[2]
            .trim_matches('`')
            .replace("\\n", "\n")
            .replace("\\t", "\t")
            .replace("\\u2028", "\u{2028}")
            .replace("\\u10ff80", "\u{10ff80}");
        // JSON has its own.
        if extension != "json" || !text.contains("\\u") {
            text.push('\n');
        }
        // A byte that is not UTF-8 is written as in a text of Rust.
        let parts: Vec<_> = text.split("\\xff").map(str::as_bytes).collect();
        Refusal { says: cells[1].replace('`', ""), example: Text::of(extension, parts.join(&b"\xff"[..])) }
    })
    .collect()
}

/// What becomes of one text by both programs.
struct Compared {
    text: Text,
    sops_takes: bool,
    /// What we say when we refuse it.
    we_say: Option<String>,
    problem: Option<String>,
}

/// One text in the hands of both programs.
struct Case<'t> {
    test: &'t Sandbox,
    plain: String,
    ours: String,
    theirs: String,
}

/// What sops prints when it decrypts a file of its own, where we print something better.
const BETTER: &[(&str, &str)] = &[
    ("-0.0", "sops prints -0, which is an integer when it is read again"),
    ("\n[DEFAULT]\na=1", "to sops this is a second section of the name, and it prints both"),
];

const AS_JSON: [&str; 3] = ["decrypt", "--output-type", "json"];

impl Case<'_> {
    fn sops(&self, args: &[&str]) -> Output {
        self.test.sops(args).env("SOPS_AGE_KEY", IDENTITY).run()
    }

    fn sealant(&self, args: &[&str]) -> Output {
        self.test.sealant(args).env("SOPS_AGE_KEY", IDENTITY).run()
    }

    /// What of the texts that were encrypted does not come back, or not as the same.
    fn problem(&self, text: &Text, by_sops: &Output, by_us: &Output) -> Result<(), String> {
        let [sops_takes, we_take] = [by_sops, by_us].map(|run| run.status == 0);
        let read = |file: &str| self.sops(&[&AS_JSON[..], &[file]].concat());
        if we_take {
            let back = self.sealant(&["decrypt", &self.ours]);
            let is_same = back.stdout == text.bytes || by_us.stderr.contains("only its values");
            if back.status != 0 || !is_same {
                return Err(format!(
                    "we do not give it back: {:?}{}",
                    String::from_utf8_lossy(&back.stdout),
                    back.stderr
                ));
            }
        }
        // sops panics at some of what it writes itself.
        let expected = sops_takes.then(|| read(&self.theirs));
        if expected.as_ref().is_some_and(|expected| expected.status != 0) {
            return Ok(());
        }
        let of_ours = we_take.then(|| read(&self.ours));
        if let Some(read) = of_ours.as_ref().filter(|read| read.status != 0) {
            return Err(format!("sops does not read what we wrote: {}", read.stderr));
        }
        let Some(expected) = expected else { return Ok(()) };
        let read_by_us = self.sealant(&[&["sops"], &AS_JSON[..], &[&self.theirs]].concat());
        // An object that holds nothing but metadata keeps their lines.
        let shown = |read: &Output| String::from_utf8_lossy(&read.stdout).replace("{\n}", "{}");
        let differs = |read: &Output| shown(read) != shown(&expected);
        let is_better = || {
            let text = format!("\n{}", String::from_utf8_lossy(&text.bytes));
            BETTER.iter().any(|(what, _)| text.contains(what))
        };
        if differs(&read_by_us) && !is_better() {
            let (found, said) = (shown(&read_by_us), read_by_us.stderr);
            return Err(format!("we read {found:?} {said} for {:?}", shown(&expected)));
        }
        match of_ours.filter(|read| differs(read) && !is_better()) {
            Some(read) => Err(format!("of ours sops reads {:?} for {:?}", shown(&read), shown(&expected))),
            None => Ok(()),
        }
    }
}

fn compared(test: &Sandbox, number: usize, text: Text) -> Compared {
    let file = |kind: &str| format!("{kind}/{number}.{}", text.extension);
    let case = Case { test, plain: file("plain"), ours: file("ours"), theirs: file("theirs") };
    let encrypt = |output| {
        [
            "encrypt",
            "--age",
            RECIPIENT,
            "--unencrypted-suffix",
            "_unencrypted",
            "--output",
            output,
            &case.plain,
        ]
    };
    test.write(&case.plain, &text.bytes);
    let by_sops = case.sops(&encrypt(&case.theirs));
    let by_us = case.sealant(&encrypt(&case.ours));
    let problem = case.problem(&text, &by_sops, &by_us).err();
    let we_say = (by_us.status != 0).then_some(by_us.stderr);
    Compared { text, sops_takes: by_sops.status == 0, we_say, problem }
}

#[test]
fn what_sops_takes_is_taken_and_means_the_same_or_is_on_the_list() {
    let test = sandbox();
    // sops makes no folders.
    for folder in ["ours", "theirs"] {
        std::fs::create_dir(test.path(folder)).expect("a folder");
    }
    let refusals = refusals();
    let mut texts = texts();
    texts.extend(refusals.iter().map(|refusal| refusal.example.clone()));
    let compared: Vec<_> =
        texts.into_par_iter().enumerate().map(|(number, text)| compared(&test, number, text)).collect();
    let mut problems = Vec::new();
    for Compared { text, sops_takes, we_say, problem } in &compared {
        let mut tell = |what: String| problems.push(format!("{}: {what}", text.shown()));
        // What is refused is not read when sops has encrypted it, either.
        let is_listed = |said: &String| refusals.iter().any(|refusal| refusal.explains(text, said));
        problem.iter().filter(|problem| !is_listed(problem)).for_each(|problem| tell(problem.clone()));
        let Some(said) = we_say else { continue };
        if said.contains("report this") {
            tell(said.clone());
        }
        let rows = refusals.iter().filter(|refusal| refusal.explains(text, said)).count();
        if *sops_takes && rows != 1 {
            tell(format!("sops takes it, {rows} rows explain it, and we say {said}"));
        }
    }
    for refusal in &refusals {
        let is_shown = |one: &&Compared| {
            one.sops_takes && one.we_say.as_ref().is_some_and(|said| refusal.explains(&one.text, said))
        };
        if !compared.iter().filter(is_shown).any(|one| one.text == refusal.example) {
            problems.push(format!(
                "{} is on the list, and we take it, or sops does not",
                refusal.example.shown()
            ));
        }
        if compared.iter().filter(is_shown).count() < 2 {
            problems.push(format!("no variant shows what {} is an example of", refusal.example.shown()));
        }
    }
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), compared.len(), problems.join("\n"));
}
