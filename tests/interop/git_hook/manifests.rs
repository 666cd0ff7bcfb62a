//! Manifests that the real kubectl reads as a Secret with a value in plaintext: `check` and the hook find each of them,
//! however odd its YAML is, and though no rule is about it.

use std::collections::BTreeSet;

use sealant_test_support::Peers;

use super::*;

/// Lines that YAML readers take differently, or that only some take.
const ODD: &[&str] = &[
    "",
    "1: a",
    "a: [-]",
    "a: {-: b}",
    "a: [-,b]",
    "a: \"x\ny\"",
    "a: 'x\ny'",
    "a: \"x\n\ty\"",
    "a: \"x\"#c",
    "a: [x]#c",
    "a: |#c\n b",
    "a: [x,#c\n b]",
    "a: [\nx,\ny\n]",
    "a: {\n}",
    "a: {\"x\":b}",
    "a: [x: y]",
    "a: [? x : y]",
    "a: {x, y: z}",
    "a: \"x\u{2028}y\"",
    "a: x\u{85}b: c",
    "# a\u{2029}b: c",
    "-x: a",
    "? a",
    "a: !<x> b",
    "a: !local b",
    "a: &a\nb: *a",
    "a: <<",
    "!!str : x",
    "a:\tb",
    "a: x\r\n b\r",
    "a: |1-\n  b",
    "a:\n- b\n -c",
    "a: x\u{feff}y",
    "---\u{a0}",
    "---#",
    "--- # a",
    "---\u{b}",
    "---\u{2003}#a",
];

const KINDS: &[&str] = &[
    "kind: Secret",
    "kind: \"S\\x65cret\"",
    "kind: \"Sec\\\u{85}ret\"",
    "\"k\\u0069nd\":\u{85}!!binary U2VjcmV0",
    "k: &k Secret\nkind: *k",
    "kind: ConfigMap\n<<: {kind: Secret}",
    "? kind\n: Secret",
];

const VALUES: &[&str] = &[
    "stringData: {password: hunter2}",
    "x: &x {password: hunter2}\nstringData: *x",
    "\"string\\x44ata\":\n  password: hunter2",
    "data: {}\n<<: {data: {password: aHVudGVyMg==}}",
    "<<: [{<<: {stringData: {password: hunter2}}}]",
];

/// What of the Secrets that kubectl prints is one to a cluster: it finds the version of one that has none.
const KINDS_OF_CORE: [&str; 4] = [" Secret [v1] ", " Secret [/v1] ", " Secret [] ", " Secret [/] "];

/// Every odd line with a kind and values, and every kind with every values.
fn documents() -> Vec<String> {
    let part = |odd: &str, kind: &str, values: &str| {
        // What separates documents comes first, behind something to separate.
        let before = if odd.starts_with("---") { "# a\n" } else { "" };
        format!("{before}{odd}\napiVersion: v1\nmetadata: {{name: NAME}}\n{kind}\n{values}\n")
    };
    let mut documents = Vec::new();
    for (at, odd) in ODD.iter().enumerate() {
        for step in [0, 1] {
            let values = VALUES[(at / KINDS.len() + step) % VALUES.len()];
            documents.push(part(odd, KINDS[(at + 3 * step) % KINDS.len()], values));
        }
    }
    documents.extend(KINDS.iter().flat_map(|kind| VALUES.iter().map(move |values| part("", kind, values))));
    documents
}

/// Maps and what merges bring into them, before and behind, each of which may say what it is and hold the values.
fn merges() -> Vec<String> {
    let says = ["", "kind: ConfigMap", "kind: Secret"];
    let versions = ["", "apiVersion: v1", "apiVersion: v2", "apiVersion: /v1", "apiVersion:"];
    let mut documents = Vec::new();
    for (at, (own, of_base)) in says.iter().flat_map(|own| says.map(|base| (own, base))).enumerate() {
        for (step, version) in versions.iter().enumerate() {
            let base_version = versions[(at + step) % versions.len()];
            let flow = |parts: &[&str]| {
                let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
                parts.join(", ").replace("apiVersion:,", "apiVersion: ,")
            };
            let base = flow(&[of_base, base_version, "stringData: {password: hunter2}"]);
            let base =
                if step % 2 == 0 { format!("<<: {{{base}}}") } else { format!("<<: [{{a: b}}, {{{base}}}]") };
            let own = format!("{own}\n{version}\nmetadata: {{name: NAME}}\n");
            documents.push(if at % 2 == 0 { format!("{own}{base}\n") } else { format!("{base}\n{own}") });
        }
    }
    documents
}

/// Lists, what their items inherit, and JSON that is no YAML.
fn lists() -> Vec<String> {
    let values = "metadata: {name: NAME}, stringData: {password: hunter2}";
    let json = |member: &str| {
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"\\u0053ecret\",\"metadata\":{{\"name\":\"NAME\",\"annotations\":{{\"a\":\"{member}\"}}}},\
             \"stringData\":{{\"password\":\"hunter2\"}}}}"
        )
    };
    let mut documents: Vec<String> =
        ["\\ud800", "\\udc00x", "\u{7f}", "\u{9f}", "\u{fffe}", "\u{2028}", "\\ud83d\\ude00"]
            .map(json)
            .into();
    for list in
        ["v1\nkind: List", "v1\nkind: SecretList", "v1\nkind: Secret", "/v1\nkind: Secret", "x/v1\nkind: Foo"]
    {
        for item in
            ["", "kind: Secret, ", "apiVersion: v1, kind: Secret, ", "apiVersion: /v1, kind: Secret, "]
        {
            for before in ["items:", "items: []\n<<:\n  items:"] {
                documents.push(format!("apiVersion: {list}\n{before}\n  - {{{item}{values}}}\n"));
            }
        }
    }
    documents
}

#[test]
fn what_kubectl_reads_as_a_secret_is_found() {
    let test = repository();
    let documents = [documents(), merges(), lists()].concat();
    for (at, document) in documents.iter().enumerate() {
        let ending = if document.starts_with('{') { "json" } else { "yaml" };
        test.write(format!("apps/n{at}-.{ending}"), document.replace("NAME", &format!("n{at}-")));
    }
    let told = "jsonpath={.metadata.name} {.kind} [{.apiVersion}] {.stringData}{.data}{'\\n'}";
    // It goes on behind files that it cannot read, and fails in the end.
    let seen = program(
        &test,
        Peers::get().program("kubectl"),
        &["label", "--local", "-f", "apps", "a=b", "-o", told],
    )
    .run();
    let secrets: BTreeSet<&str> = seen
        .text()
        .lines()
        .filter(|line| {
            KINDS_OF_CORE.iter().any(|kind| line.contains(kind))
                && (line.contains("hunter2") || line.contains("aHVudGVyMg=="))
        })
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(secrets.len() > documents.len() / 2, "{}: {seen}", secrets.len());
    git(&test, &["add", "apps"]).run().ok();
    for run in [program(&test, env!("CARGO_BIN_EXE_sealant"), &["check"]), hook(&test, &[])] {
        let output = run.run().code(1);
        let found: BTreeSet<String> = lines(&output)
            .iter()
            .filter_map(|line| line.strip_prefix("apps/")?.split_once('.').map(|(name, _)| name.to_owned()))
            .collect();
        let missed: Vec<&str> = secrets
            .iter()
            .filter(|name| !found.contains(**name))
            .map(|name| &*documents[name[1..name.len() - 1].parse::<usize>().unwrap()])
            .collect();
        assert!(missed.is_empty(), "{} of {}: {missed:#?}", missed.len(), secrets.len());
    }
}
