//! What [`super::corpus`] is about: variants of every construct of the four formats.

use std::collections::BTreeSet;

use super::corpus::Text;

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
    "12e45678",
    "-1e400",
    "1e-400",
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
    "# c\u{2028}a: 1\nb: 2\n",
    "b: 1\na: >\n \n  \n   \n # c\n",
    "a: &x b\nb_unencrypted: *x\n",
    "a_unencrypted: &x {b: 1}\nc: *x\n",
];

fn yaml() -> BTreeSet<String> {
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
    texts
}

/// What JSON has, strange numbers and escapes included, and what it has not.
const JSON_VALUES: &[&str] = &[
    "null",
    "true",
    "1",
    "-0",
    "-0.0",
    "1.0",
    "1e2",
    "0.1e-7",
    "5e-324",
    "1e-400",
    "1.7976931348623157e308",
    "1e400",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "01",
    "+1",
    ".5",
    "NaN",
    "\"\"",
    "\"text\"",
    "\"<a href='x'>&</a>\"",
    "\"\\/\\b\\f\\n\\r\\t\\u0000\\u00e9\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "\"\\x41\"",
    "\"\t\"",
    "\"\u{7f}\u{85}\u{2028}\"",
    "'x'",
    "{}",
    "[]",
    "[{\"b\": [1, \"x\", null]}]",
    "{\"b\": 1, \"b\": 2}",
    "{\"sops\": {\"mac\": 1}}",
    "{\"\": 1}",
    "[1,]",
    "/* c */ 1",
];

/// `{}` is the place of a value.
const JSON_PLACES: &[(&str, &str)] = &[
    ("{\"key\": ", "}"),
    ("{\n\t\"z\": 1,\n\t\"key\" : [ ", " ]\n}\n"),
    ("{\"key_unencrypted\":", ",\"z\":1}\n"),
];

const JSON_FILES: &[&str] = &[
    "",
    "{}",
    "{} {}",
    "{\"a\":",
    "{\"a\": [1",
    "{\"a\": {\"b\":",
    "{\"a\": 1} // c",
    "{\"a\": 1} x",
    " \t\r\n{\"a\": 1}\r\n",
    "\u{feff}{}",
    "[1]",
    "\"x\"",
    "{\"a\": 1,}",
    "{\"a\": 1, \"a\": 2}",
    "{\"sops\": 1}",
    "{\"sops_x\": 1}",
];

/// Lines of dotenv files, each of which comes between others.
const DOTENV_LINES: &[&str] = &[
    "",
    "A=1",
    "A=",
    "A= 1 ",
    " A=1",
    "A =1",
    "export A=1",
    "A=x # c",
    "A=\"x y\"",
    "A='x y'",
    "A='x",
    "A=x\\ny",
    "A=x=y",
    "A=\0",
    "A\tB=1",
    "=1",
    "A",
    "# c",
    "#",
    " # c",
    "A=1\r",
    "A=1\nA=2",
    "A=Gr\u{e4}z",
    "A=\u{10ff80}",
    "sops_a=1",
    "A=${B}",
    "A=`x`",
];

/// Lines of a section of an INI file.
const INI_LINES: &[&str] = &[
    "",
    "a=1",
    "a = 1",
    "a: 1",
    "a:=1",
    "a==1",
    "a=",
    "a",
    "=1",
    "\"a\"=1",
    "`a`=1",
    "\"a=1",
    "a=x y",
    "a=\"x\"",
    "a=\"x\" y",
    "a='x' # c",
    "a=`x`",
    "a=`x",
    "a=\"x",
    "a=\"\"\"x\ny\"\"\"",
    "a=\"\"\"x",
    "a=x\\\ny",
    "a=x;c",
    "a=x # c",
    "# c",
    "; c",
    "#",
    "; c\n; d",
    "# c\na=1 # d",
    "a=1\na=2",
    "- = 1\n- = 2",
    "a=%(b)s",
    "a=\\x41",
    "  a=1\n b=2",
    "a=1\r",
    "a=Gr\u{e4}z",
    "[a]b=1",
    "[a] c\nb=1",
    "[a] ; c\nb=1",
    "[a",
    "[]\nb=1",
    "[ a ]\nb=1",
    "[s.t]\na=1",
    "[s]\na=1",
    "[sops]\na=1",
    "[DEFAULT]\na=1",
];

/// Of every format, what only sops would take for plaintext, and bytes that are not UTF-8.
const CIPHERTEXT: &str = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]";

pub fn texts() -> Vec<Text> {
    let mut texts: Vec<Text> = yaml().into_iter().map(|text| Text::of("yaml", text)).collect();
    for value in JSON_VALUES {
        texts.extend(
            JSON_PLACES.iter().map(|(before, behind)| Text::of("json", format!("{before}{value}{behind}"))),
        );
    }
    texts.extend(JSON_FILES.iter().map(|&text| Text::of("json", text)));
    for line in DOTENV_LINES {
        texts.push(Text::of("env", *line));
        texts.push(Text::of("env", format!("# first\nX=1\n{line}\nY=2\n")));
    }
    for line in INI_LINES {
        texts.push(Text::of("ini", *line));
        texts.push(Text::of("ini", format!("z = 1\n\n[s]\nx = 1\n{line}\ny = 2\n\n[t]\n")));
    }
    for (extension, text) in [
        ("yaml", format!("a: {CIPHERTEXT}\n")),
        ("json", format!("{{\"a\": \"{CIPHERTEXT}\"}}")),
        ("env", format!("A={CIPHERTEXT}\n")),
        ("ini", format!("[s]\na = {CIPHERTEXT}\n")),
    ] {
        texts.push(Text::of(extension, text));
    }
    for (extension, bytes) in [
        ("yaml", &b"a: \xff\n"[..]),
        ("json", b"{\"a\": \"\xff\"}"),
        ("env", b"A=\xff\n"),
        ("env", b"\xff=1\n"),
        ("ini", b"[s]\na = \xff\n"),
        ("ini", b"[s]\n\xff = 1\n"),
    ] {
        texts.push(Text::of(extension, bytes));
    }
    texts
}
