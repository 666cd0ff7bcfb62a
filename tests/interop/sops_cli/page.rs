//! `docs/sops-compatibility.md`, made of what the lines have shown.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use crate::sops_cli::deliberate::{KNOWN, Known};
use crate::sops_cli::lines::{Line, Topic};
use crate::sops_cli::outcome::Difference;

/// What makes the page again.
const RENEW: &str = "RENEW=1 cargo test --test interop sops_cli";

/// A line, and in what ours differs.
pub struct Compared {
    pub line: Line,
    pub differences: Vec<Difference>,
    /// Both outputs, for a person.
    pub shown: String,
}

/// Asserts that the page says what was found; writes it instead when `RENEW` is set.
pub fn check(compared: &[Compared]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/sops-compatibility.md");
    let page = page(compared);
    if std::env::var_os("RENEW").is_some() {
        return fs::write(&path, page).expect("the page can be written");
    }
    let old = fs::read_to_string(&path).unwrap_or_default();
    if let Some((old, new)) = old.lines().zip(page.lines()).find(|(old, new)| old != new) {
        panic!("docs/sops-compatibility.md is out of date: {RENEW}\n- {old}\n+ {new}");
    }
    assert!(old == page, "docs/sops-compatibility.md is out of date: {RENEW}");
}

fn page(compared: &[Compared]) -> String {
    let mut page = format!(
        "# Sealant under the name `sops`

<!-- Made by `tests/interop/sops_cli`; to make it again: {RENEW} -->

A test runs {} command lines twice, each in a folder of its own: by the real sops 3.13.3, and by Sealant under the name \
             `sops`. It compares the exit code, standard output, every file that is left with its mode, and what kind of thing is said \
             on standard error. What is encrypted is compared by its metadata, by which values are encrypted as what type, and by what \
             the real sops decrypts it to. In {} lines nothing at all differs, and in each of the others nothing but what is listed \
             below. A new difference fails the test, and so does one on this list that no longer exists.

",
        compared.len(),
        compared.iter().filter(|one| one.differences.is_empty()).count(),
    );
    equal(compared, &mut page);
    let listed = |is_deliberate| KNOWN.iter().filter(move |known| known.is_deliberate == is_deliberate);
    page += "## What is different on purpose\n\n";
    listed(true).for_each(|known| entry(known, compared, &mut page));
    if listed(false).next().is_some() {
        page += "## What is still to be fixed\n\n";
        listed(false).for_each(|known| entry(known, compared, &mut page));
    }
    page += "## What is not compared\n\n";
    page += "Keys of PGP and clouds, and `publish` to a server, which have tests of their own ([keys.md](keys.md)); what a \
             terminal shows; and the words of messages.\n";
    wrapped(&page)
}

fn equal(compared: &[Compared], page: &mut String) {
    page.push_str(
        "## What was compared\n\nEach command line is in one row. Those with broken files, wrong flags or files of another \
         type have rows of their own, whatever their command is.\n\n| | lines | equal in everything | with |\n|---|---|---|---|\n",
    );
    for topic in Topic::ALL {
        let of_topic: Vec<_> = compared.iter().filter(|one| one.line.topic == topic).collect();
        let equal: Vec<_> = of_topic.iter().filter(|one| one.differences.is_empty()).collect();
        let flags: BTreeSet<_> = equal.iter().flat_map(|one| flags(&one.line.words)).collect();
        let flags: Vec<_> = flags.iter().map(|flag| format!("`{flag}`")).collect();
        let (name, lines, equal) = (topic.name(), of_topic.len(), equal.len());
        writeln!(page, "| {name} | {lines} | {equal} | {} |", flags.join(" ")).expect("a text");
    }
    page.push('\n');
}

/// The flags and variables of sops in a line.
fn flags(words: &str) -> impl Iterator<Item = String> {
    let words = words.split([' ', ';', '\'', '"']);
    words.filter_map(|word| {
        let name = word.split('=').next().unwrap_or_default();
        let is_flag = name.starts_with("--") && name.len() > 3 && name != "--nonsense" && name != "--yes";
        let is_letter = name.len() == 2 && name.starts_with('-') && "adeiprsy".contains(&name[1..]);
        let is_variable = word.contains('=')
            && ["SOPS_", "VAULT_", "EDITOR", "XDG_"].iter().any(|start| name.starts_with(start));
        (is_flag || is_letter || is_variable).then(|| name.to_owned())
    })
}

fn entry(known: &Known, compared: &[Compared], page: &mut String) {
    let covered: Vec<_> = compared.iter().filter(|one| is_needed(known, one)).collect();
    let example = covered.iter().map(|one| one.line.words.as_str()).min_by_key(|words| words.len());
    let example = example.unwrap_or_default().replace('\n', "\\n");
    let count = covered.len();
    let lines = if count == 1 { "line" } else { "lines" };
    writeln!(page, "**{}.** {} ({count} {lines}, such as `` {example} ``)\n", known.what, known.why)
        .expect("a text");
}

/// Whether a line differs in something of which this is the first entry to cover it.
pub fn is_needed(known: &Known, one: &Compared) -> bool {
    let words = &one.line.words;
    one.differences.iter().any(|difference| {
        KNOWN
            .iter()
            .find(|known| known.covers(words, difference))
            .is_some_and(|first| std::ptr::eq(first, known))
    })
}

/// Paragraphs in lines of at most 120 characters; tables and examples stay whole.
fn wrapped(page: &str) -> String {
    let mut wrapped = String::new();
    for line in page.lines() {
        if line.starts_with(['|', '<']) {
            writeln!(wrapped, "{line}").expect("a text");
            continue;
        }
        let mut width = 0;
        for word in line.split(' ') {
            let length = word.chars().count();
            if width > 0 && width + 1 + length > 120 {
                wrapped.push('\n');
                width = 0;
            } else if width > 0 {
                wrapped.push(' ');
                width += 1;
            }
            wrapped.push_str(word);
            width += length;
        }
        wrapped.push('\n');
    }
    wrapped
}
