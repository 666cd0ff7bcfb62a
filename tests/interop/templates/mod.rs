//! Templates beside the real `text/template` and sprig, as the controller of sealed-secrets has them.

mod grammar;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sealant::secret::SecretBytes;
use sealant::template::{ErrorKind, Items, Template, functions, is_refused};
use sealant_test_support::Peers;
use serde_json::{Value, json};

/// The result of a template.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Text(Vec<u8>),
    /// It is not a template.
    Unread,
    /// It fails with these items.
    Failed,
    /// Only ours: it is left out on purpose, or goes too far.
    Refused(ErrorKind),
}

/// The program that has the real packages.
struct Real {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Real {
    fn start() -> Self {
        let mut child = Command::new(Peers::get().program("render-templates"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the real packages");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, input, output }
    }

    fn render(&mut self, text: &str, items: &Items) -> Outcome {
        let data: BTreeMap<_, _> =
            items.iter().map(|(key, value)| (key, BASE64.encode(value.as_slice()))).collect();
        let asked = json!({"name": "k", "text": BASE64.encode(text), "data": data});
        writeln!(self.input, "{asked}").expect("the real packages");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the real packages");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no answer to {text}"));
        match answer["stage"].as_str() {
            None => {
                Outcome::Text(BASE64.decode(answer["output"].as_str().unwrap_or_default()).expect("base64"))
            }
            Some("parse") => Outcome::Unread,
            Some(_) => Outcome::Failed,
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ours(text: &str, items: &Items) -> Outcome {
    let rendered = Template::parse("k", text).and_then(|template| template.render(items));
    match rendered {
        Ok(text) => Outcome::Text(text.to_vec()),
        Err(error) => match error.kind() {
            ErrorKind::Syntax | ErrorKind::UnknownFunction => Outcome::Unread,
            ErrorKind::Value | ErrorKind::Failed => Outcome::Failed,
            kind => Outcome::Refused(kind),
        },
    }
}

fn vectors() -> (Items, Vec<Value>) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bitnami/templates.json");
    let all: Value = serde_json::from_slice(&std::fs::read(path).expect("vectors")).expect("JSON");
    let decoded =
        |value: &Value| SecretBytes::new(BASE64.decode(value.as_str().expect("base64")).expect("base64"));
    let data = all["data_b64"].as_object().expect("items");
    let items = data.iter().map(|(key, value)| (key.clone(), decoded(value))).collect();
    (items, all["cases"].as_array().expect("cases").clone())
}

/// Compares, and says of each template that differs what both sides made of it.
fn compare(templates: impl IntoIterator<Item = String>, items: &Items) -> usize {
    let mut real = Real::start();
    let mut differences = Vec::new();
    let mut texts = 0;
    for text in templates {
        let (theirs, ours) = (real.render(&text, items), ours(&text, items));
        texts += usize::from(matches!(ours, Outcome::Text(_)));
        // What goes too deep there goes too deep here, earlier.
        let both_fail = (&theirs, &ours) == (&Outcome::Failed, &Outcome::Refused(ErrorKind::Bound));
        if theirs != ours && !both_fail {
            let shown = |outcome: &Outcome| match outcome {
                Outcome::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
                other => format!("{other:?}"),
            };
            differences.push(format!("{text}\n    theirs {}\n    ours   {}", shown(&theirs), shown(&ours)));
        }
    }
    let some: Vec<_> = differences.iter().take(60).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), some.join("\n"));
    texts
}

/// `date` and its like: left out on purpose, so their outcome is another one.
const LEFT_OUT: [&str; 4] = ["t120", "t132", "t137", "t140"];

#[test]
fn every_vector_comes_out_as_it_should() {
    let (items, cases) = vectors();
    assert_eq!(cases.len(), 147);
    let mut real = Real::start();
    for case in &cases {
        let id = case["id"].as_str().expect("an id");
        let text = case["template"].as_str().expect("a template");
        let ours = ours(text, &items);
        if LEFT_OUT.contains(&id) {
            assert_eq!(ours, Outcome::Refused(ErrorKind::RefusedFunction), "{id}");
            continue;
        }
        let ours = match ours {
            // Not there, in one program as in the other.
            Outcome::Refused(ErrorKind::RefusedFunction) => Outcome::Unread,
            ours => ours,
        };
        assert_eq!(ours, real.render(text, &items), "{id}: {text}");
        if case["version_dependent"].is_null() {
            let expected = match case["error_stage"].as_str() {
                Some("parse") => Outcome::Unread,
                Some(_) => Outcome::Failed,
                None => match case["output_b64"].as_str() {
                    Some(base64) => Outcome::Text(BASE64.decode(base64).expect("base64")),
                    None => Outcome::Text(case["output"].as_str().expect("a text").into()),
                },
            };
            assert_eq!(ours, expected, "{id}: {text}");
        }
    }
}

#[test]
fn there_is_every_function_or_a_reason_why_not() {
    let real = Command::new(Peers::get().program("render-templates")).arg("functions").output();
    let real = String::from_utf8(real.expect("the real packages").stdout).expect("names");
    let mut theirs: Vec<&str> = real.lines().collect();
    theirs.extend([
        "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or",
        "print", "printf", "println", "urlquery",
    ]);
    let ours = functions();
    let missing: Vec<_> = theirs.iter().filter(|name| !ours.contains(name) && !is_refused(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let invented: Vec<_> = ours.iter().filter(|name| !theirs.contains(name)).collect();
    assert!(invented.is_empty(), "{invented:?}");
    assert!(ours.iter().all(|name| !is_refused(name)));
}

/// One a line, by what they are about.
#[test]
fn templates_of_every_kind_come_out_alike() {
    let (items, _) = vectors();
    let lines = include_str!("lines.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let templates: Vec<String> = lines.map(|line| line.replace('␤', "\n")).collect();
    assert!(templates.len() > 300);
    compare(templates, &items);
}

/// Made by a grammar that knows what each function takes, and now and then gives it something else.
#[test]
fn generated_templates_come_out_alike() {
    let (mut items, _) = vectors();
    grammar::add_items(&mut items);
    let texts = compare((0..6000).map(grammar::template), &items);
    assert!(texts > 3000, "{texts} of them are texts, so most show nothing");
}
