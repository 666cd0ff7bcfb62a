//! Variants of every construct of YAML, made by putting each into every place that can hold it, beside the real sops: what
//! it takes we take, and all leaves are the same to both, whoever encrypted. What we refuse all the same is on the list in
//! `docs/sops.md`, with a reason.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rayon::prelude::*;
use sealant_test_support::Sandbox;

use super::{IDENTITY, RECIPIENT, sandbox};

/// Values, each as it is behind `key: `; lines below the first are indented by two.
const VALUES: &[&str] = &[
    "plain",
    "plain # comment",
    "two\n  lines",
    "'single'",
    "'it''s\n\n  two'",
    "\"double\\t\\u263a\\x41\\\n  folded\"",
    "\"\"",
    "",
    "~",
    "|\n  literal\n   more\n\n  end",
    "|-\n  strip",
    "|+\n  keep\n",
    "|2\n    indented",
    ">\n  folded\n  text\n\n   more\n  end",
    ">- # comment\n  folded",
    "|\n",
    "!!str 12",
    "!!binary aGVsbG8=",
    "!!float 3",
    "!own tagged",
    "! bare",
    "!<tag:yaml.org,2002:str> 12",
    "&x anchored",
    "&x !!str both",
    "&x",
    "!!str",
    "!!null",
    "0o17",
    "0777",
    "0x1F",
    "1_000",
    "-1.50e3",
    ".inf",
    "-.INF",
    ".nan",
    "1e21",
    "yes",
    "True",
    "2001-12-14t21:59:43.10-05:00",
    "2001-12-14",
    "1:30",
    "a:b",
    "a#b",
    "-x",
    "?x",
    ":x",
    "[]",
    "{}",
    "[a, 'b', \"c\"]",
    "[a, [b], {c: d}, e: f]",
    "[\n  a, # comment\n  b\n  ]",
    "{a: 1, b: , c}",
    "{a: 1, \"b\":2, 'c':}",
    "{a: 1,\n  b: 2,}",
    "{? a : 1, ? b}",
    "{a:}",
    "{&k a: 1, !!str b: 2}",
    "\n  - a\n  - b",
    "\n  a: 1\n  b: 2",
    "\n  # comment\n  - a",
    "\n  ? a\n  : 1",
];

/// Where a value can be. `{}` is its place, `{{` and `}}` are braces.
const PLACES: &[(&str, &str, &str)] = &[
    ("in a map", "key: ", "\nz: 1\n"),
    ("at the end", "z: 1\nkey: ", ""),
    ("behind an explicit key", "? key\n: ", "\n? z\n"),
    ("in a list", "key:\n- ", "\n- z\n"),
];

/// Where a value of one line can be that holds no comment.
const FLOW_PLACES: &[(&str, &str)] =
    &[("key: {a: ", ", z: 1}\n"), ("key: [", " , z]\n"), ("{key: ", ", z: 1}\n"), ("{z: 1, key: ", " }")];

/// Keys, each as it is before `: value`.
const KEYS: &[&str] = &[
    "plain",
    "with blanks",
    "\"double\\u263a\"",
    "'single'",
    "\"\"",
    "&k anchored",
    "!!str tagged",
    "!!str 12",
    "&k !!str both",
    "!!str &k both",
    "!own own",
    "! bare",
    "? explicit\n",
    "? \"quoted\" # comment\n",
    "? &k anchored\n",
    "? |\n  block\n",
    "? >-\n  folded\n  key\n",
    "?\n  below\n",
    "?x",
    "-x",
    ":x",
    "a#b",
    "a:b",
    "'<<'",
    "yes",
    "true",
    "12",
    "~",
    "2001-01-01",
];

/// Whole files: streams, markers, directives, comments, tabs, indentation, nulls, aliases.
const FILES: &[&str] = &[
    "a: 1",
    "a: 1\r\nb: 2\r\n",
    "\u{feff}a: 1\n",
    "# comment\n\na: 1\n\n# end\n",
    "---\na: 1\n",
    "--- # comment\na: 1\n",
    "--- {a: 1}\n",
    "--- !!map\na: 1\n",
    "--- &root\na: 1\n",
    "---\n",
    "--- null\n",
    "null\n",
    "~ # comment\n",
    "!!null\n",
    "--- &x ~\n",
    "null\n---\na: 1\n",
    "a: 1\n---\n",
    "a: 1\n---\nnull\n---\nb: 2\n",
    "a: 1\n---\n# only a comment\n---\nb: 2\n",
    "---\n---\na: 1\n",
    "a: 1\n---\na: 2\n--- \nb: {c: d}\n",
    "a: 1\n...\n",
    "a: 1\n...\n---\nb: 2\n",
    "a: 1\n... # comment\n",
    "a: |\n  x\n...\n",
    "a: |+\n  x\n\n...\n---\nb: >\n  y\n",
    "%YAML 1.1\n---\na: 1\n",
    "%YAML 1.2\n---\na: 1\n",
    "%TAG ! tag:e.org,2000:\n---\na: !x 1\n",
    "%TAG !e! tag:e.org,2000:\n---\na: !e!x 1\n",
    "%FOO bar\n---\na: 1\n",
    "# comment\n%YAML 1.1 # comment\n# comment\n---\na: 1\n",
    "a: 1\n...\n%YAML 1.1\n---\nb: 2\n",
    "a: x\n \t\n",
    "a: x\n\t\n",
    "a: 'x'\n \t\n",
    "a: x\n \t\nb: y\n",
    "a:\n  b: x\n   \t\n  c: y\n",
    "a:\n  b: x\n \t\n",
    "a: x\n  # comment\n \t\n",
    "a: x \t\nb:\t y\nc\t: z\n",
    "a: x\t# comment\n",
    "a: [x,\n\ty]\n",
    "a:\n-\tx\n",
    " a: 1\n b: 2\n",
    "a:\n      b: 1\n      c:\n         - d\n",
    "a:\n- b\n-   c: 1\n    d: 2\n- - e\n  - f\n-\n  g\n",
    "a: # comment\n  # another\n  b: 1 # behind\n  # below\n# outer\nc: 1\n",
    "a: &x 1\nb: *x\nc: [*x, *x]\n",
    "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2\n",
    "a: &x [1, 2]\nb: [*x, 3]\n",
    "&k a: 1\nb: *k\nc: {d: *k}\n",
    "a: &x b\n*x : c\n",
    "a: &x 1\nb: &x 2\nc: *x\n",
    "a: {b\n  : c}\n",
    "a: {\"b\" # comment\n  : c}\n",
    "a: {b\n  c: d}\n",
    "a: [b:]\n",
    "a: {b:{c: d}}\n",
    "a: [?b, c]\n",
    "a: {?b: c}\n",
    "a: [b ? c]\n",
    "a: [:b]\n",
    "a: &an:chor b\n",
    "a: \"x\\'y\"\n",
    "a: \"x\\/y\"\n",
    "a: |# comment\n  x\n",
    "a: \"x\"#comment\n",
    "a: |\n   \n  x\n",
    "a: \"x\ny\"\n",
    "a: 'x\n y'\n",
    "a: - b\n",
    "a: b: c\n",
    "a: @b\n",
    "a: `b`\n",
    "a: 1\na: 2\n",
    "x: 1\n---\na: 1\na: 2\n",
    "<<: {a: 1}\nb: 2\n",
    "<<: x\n",
    "? [a]\n: 1\n",
    "? {a: b}\n: 1\n",
    "- a\n",
    "text\n",
    "a: 18446744073709551616\n",
    "a: 9223372036854775808\n",
    "a: !!int x\n",
    "a: !!binary '?'\n",
    "a: !!set {b, c}\n",
    "a: !!omap [b: 1]\n",
    "a: !!timestamp 2001-01-01\n",
    "a: x\u{a0}y\n",
    "a: \"\\N\\_\\L\\P\\e\\0\\a\\b\\v\\f\\r\"\n",
    "a: \u{1f600}\n\u{e9}: \"\\U0001f600\"\n",
    "a: x\u{2028}y\n",
    "a: x\u{85}y\n",
];

fn texts() -> Vec<String> {
    let mut texts: BTreeSet<String> = FILES.iter().map(|&file| file.to_owned()).collect();
    for value in VALUES {
        for (_, before, behind) in PLACES {
            texts.insert(format!("{before}{value}{behind}"));
        }
        let in_one_line = !value.contains(['\n', '#', '|', '>']);
        for (before, behind) in FLOW_PLACES.iter().filter(|_| in_one_line) {
            texts.insert(format!("{before}{value}{behind}"));
        }
    }
    for key in KEYS {
        texts.insert(format!("{key}: v\nz: 1\n"));
        texts.insert(format!("x:\n- {}: v\n  z: 1\n", key.replace('\n', "\n  ").trim_end_matches(' ')));
        if !key.contains(['\n', '#']) {
            texts.insert(format!("x: {{{key}: v, z: 1}}\n"));
            texts.insert(format!("x: [{key}: v, z]\n"));
        }
    }
    texts.into_iter().collect()
}

/// A row of the table in `docs/sops.md`: a part of what we say, and an example.
struct Refusal {
    says: String,
    example: String,
}

fn refusals() -> Vec<Refusal> {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/sops.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let table = page.split("| Sealant says | such as | why |").nth(1).expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
        let says = cells.next().unwrap_or_default().replace('`', "");
        let example = cells.next().unwrap_or_default().trim_matches('`');
        let example = example.replace("\\n", "\n").replace("\\t", "\t").replace("&#124;", "|");
        Refusal { says, example: format!("{example}\n") }
    })
    .collect()
}

/// What becomes of one text by both programs.
struct Compared {
    text: String,
    /// What sops says when it refuses the text.
    sops_says: Option<String>,
    /// What we say when we do.
    we_say: Option<String>,
    problem: Option<String>,
}

fn compared(test: &Sandbox, number: usize, text: &str) -> Compared {
    let file = |kind: &str| format!("{kind}/{number}.yaml");
    let [plain, ours, theirs] = ["plain", "ours", "theirs"].map(file);
    let sops = |args: &[&str]| test.sops(args).env("SOPS_AGE_KEY", IDENTITY).run();
    let sealant = |args: &[&str]| test.sealant(args).env("SOPS_AGE_KEY", IDENTITY).run();
    let rule = ["--age", RECIPIENT, "--unencrypted-suffix", "_unencrypted"];
    test.write(&plain, text);
    let by_sops = sops(&[&["encrypt"], &rule[..], &["--output", &theirs, &plain]].concat());
    let by_us = sealant(&[&["encrypt"], &rule[..], &["--output", &ours, &plain]].concat());
    let problem = || -> Result<(), String> {
        let json = ["decrypt", "--output-type", "json"];
        let by_us_is_read = if by_us.status == 0 {
            let back = sealant(&["decrypt", &ours]);
            let differs = back.stdout != text.as_bytes();
            if back.status != 0 || (differs && !by_us.stderr.contains("only its values")) {
                return Err(format!("we do not give it back: {:?}{}", back.text(), back.stderr));
            }
            let read = sops(&[&json[..], &[&ours]].concat());
            if read.status != 0 {
                return Err(format!("sops does not read what we wrote: {}", read.stderr));
            }
            Some(read.stdout)
        } else {
            None
        };
        if by_sops.status == 0 {
            let expected = sops(&[&json[..], &[&theirs]].concat());
            if expected.status != 0 {
                return Ok(());
            }
            let read = sealant(&[&["sops"], &json[..], &[&theirs]].concat());
            if read.stdout != expected.stdout {
                let (found, expected) = (read.text(), expected.text());
                return Err(format!("we read {found:?} {} for {expected:?}", read.stderr));
            }
            if let Some(read) = by_us_is_read.filter(|read| *read != expected.stdout) {
                let (found, expected) = (String::from_utf8_lossy(&read), expected.text());
                return Err(format!("of ours sops reads {found:?} for {expected:?}"));
            }
        }
        Ok(())
    };
    let says = |run: &sealant_test_support::Output| (run.status != 0).then(|| run.stderr.clone());
    Compared {
        text: text.to_owned(),
        problem: problem().err(),
        sops_says: says(&by_sops),
        we_say: says(&by_us),
    }
}

#[test]
fn what_sops_takes_is_taken_and_means_the_same_or_is_on_the_list() {
    let test = sandbox();
    let refusals = refusals();
    let mut texts = texts();
    texts.extend(refusals.iter().map(|refusal| refusal.example.clone()));
    let compared: Vec<_> =
        texts.into_par_iter().enumerate().map(|(number, text)| compared(&test, number, &text)).collect();
    let mut problems = Vec::new();
    for Compared { text, sops_says, we_say, problem } in &compared {
        let mut tell = |what: &str| problems.push(format!("{text:?}: {what}"));
        if let Some(problem) = problem {
            tell(problem);
        }
        let Some(said) = we_say else { continue };
        if said.contains("report this") {
            tell(said);
        }
        let is_listed = refusals.iter().any(|refusal| said.replace('`', "").contains(&refusal.says));
        if sops_says.is_none() && !is_listed {
            tell(&format!("sops takes it, and we say {said}"));
        }
    }
    for refusal in &refusals {
        let said =
            compared.iter().find(|one| one.text == refusal.example).and_then(|one| one.we_say.as_ref());
        if !said.is_some_and(|said| said.replace('`', "").contains(&refusal.says)) {
            problems.push(format!("{:?} is on the list, and we say {said:?}", refusal.example));
        }
    }
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), compared.len(), problems.join("\n"));
}
