//! What a line leaves behind, and how what the two programs leave differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sealant_test_support::Output;
use serde_json::Value;

use crate::sops_cli::messages::Said;
use crate::sops_cli::world::{File, Files, Which, World};

/// One way in which ours did not do what sops did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    ExitCode {
        theirs: i32,
        ours: i32,
    },
    /// Standard output says something else.
    Output,
    /// Standard output has the same values, written in another way.
    OutputForm,
    /// These files are there after the one and not after the other.
    Names(Vec<String>),
    /// A file has other values.
    Content(String),
    /// A file has the same values, written in another way.
    ContentForm(String),
    /// The metadata of an encrypted file or output differ in this entry.
    Metadata(String),
    /// Not the same values are encrypted.
    Selection,
    Mode {
        file: String,
        theirs: u32,
        ours: u32,
    },
    /// Both failed, or both did not, and said another kind of thing.
    Message {
        theirs: Said,
        ours: Said,
    },
}

/// The same without what it is about: what a deliberate difference is named by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    ExitCode,
    Output,
    OutputForm,
    Names,
    Content,
    ContentForm,
    Metadata,
    Selection,
    Mode,
    /// Ours said nothing where sops said something.
    SaysLess,
    /// Ours warned where sops said nothing.
    SaysMore,
    /// The message is about another thing.
    Message,
}

impl Difference {
    pub fn kind(&self) -> Kind {
        match self {
            Self::ExitCode { .. } => Kind::ExitCode,
            Self::Output => Kind::Output,
            Self::OutputForm => Kind::OutputForm,
            Self::Names(_) => Kind::Names,
            Self::Content(_) => Kind::Content,
            Self::ContentForm(_) => Kind::ContentForm,
            Self::Metadata(_) => Kind::Metadata,
            Self::Selection => Kind::Selection,
            Self::Mode { .. } => Kind::Mode,
            Self::Message { ours: Said::Nothing, .. } => Kind::SaysLess,
            Self::Message { theirs: Said::Nothing, ours: Said::Notice } => Kind::SaysMore,
            Self::Message { .. } => Kind::Message,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExitCode { theirs, ours } => write!(f, "exit code {ours} instead of {theirs}"),
            Self::Output => write!(f, "standard output is another"),
            Self::OutputForm => write!(f, "standard output is written in another way"),
            Self::Names(names) => write!(f, "files that only one of them left: {names:?}"),
            Self::Content(file) => write!(f, "{file} is another"),
            Self::ContentForm(file) => write!(f, "{file} is written in another way"),
            Self::Metadata(entry) => write!(f, "the metadata differ in `{entry}`"),
            Self::Selection => write!(f, "not the same values are encrypted"),
            Self::Mode { file, theirs, ours } => write!(f, "{file} has mode {ours:o} instead of {theirs:o}"),
            Self::Message { theirs, ours } => write!(f, "the message is {ours:?} instead of {theirs:?}"),
        }
    }
}

/// A line, done by one program.
pub struct Outcome {
    world: World,
    before: Files,
    pub output: Output,
    after: Files,
}

impl Outcome {
    pub fn of(line: &str, which: Which) -> Self {
        let world = World::new(which, line);
        let before = world.files();
        let output = world.run(line);
        let after = world.files();
        Self { world, before, output, after }
    }

    /// Whether a secret of the lines' files is in what was said.
    pub fn tells_secrets(&self) -> bool {
        self.output.stderr.contains("swordfish")
    }

    /// The files that were written.
    fn written(&self) -> impl Iterator<Item = (&String, &File)> {
        self.after.iter().filter(|(name, file)| self.before.get(*name) != Some(file))
    }
}

/// In what ours differs.
pub fn differences(theirs: &Outcome, ours: &Outcome) -> Vec<Difference> {
    let mut found = Vec::new();
    if theirs.output.status != ours.output.status {
        let (theirs, ours) = (theirs.output.status, ours.output.status);
        found.push(Difference::ExitCode { theirs, ours });
    }
    found.extend(compare(
        &theirs.world,
        &theirs.output.stdout,
        &ours.output.stdout,
        Difference::OutputForm,
        Difference::Output,
    ));
    found.extend(compare_files(theirs, ours));
    let said = |outcome: &Outcome| Said::of(outcome.output.status, &outcome.output.stderr);
    let (theirs, ours) = (said(theirs), said(ours));
    if theirs != ours {
        found.push(Difference::Message { theirs, ours });
    }
    found
}

fn compare_files(theirs: &Outcome, ours: &Outcome) -> Vec<Difference> {
    let names = |files: &Files| files.keys().cloned().collect::<BTreeSet<_>>();
    let only: Vec<_> = names(&theirs.after).symmetric_difference(&names(&ours.after)).cloned().collect();
    let mut found = Vec::new();
    if !only.is_empty() {
        found.push(Difference::Names(only));
    }
    let written: BTreeSet<_> = theirs.written().chain(ours.written()).map(|(name, _)| name).collect();
    for name in written {
        let (Some(their), Some(our)) = (theirs.after.get(name), ours.after.get(name)) else { continue };
        if their.mode != our.mode {
            let (theirs, ours) = (their.mode, our.mode);
            found.push(Difference::Mode { file: name.clone(), theirs, ours });
        }
        found.extend(compare(
            &theirs.world,
            &their.bytes,
            &our.bytes,
            Difference::ContentForm(name.clone()),
            Difference::Content(name.clone()),
        ));
    }
    found
}

/// How two texts differ: in `form` when both mean the same.
fn compare(world: &World, their: &[u8], our: &[u8], form: Difference, other: Difference) -> Vec<Difference> {
    if their == our {
        return Vec::new();
    }
    let shapes = (Shape::of(their), Shape::of(our));
    let (Some(their_shape), Some(our_shape)) = shapes else {
        let equal = shapes == (None, None) && Values::of(their) == Values::of(our);
        return vec![if equal { form } else { other }];
    };
    if their_shape != our_shape {
        return vec![other];
    }
    let (their_entries, our_entries) = (their_shape.metadata(their), our_shape.metadata(our));
    let entries: BTreeSet<_> = their_entries.keys().chain(our_entries.keys()).collect();
    let differing = entries.into_iter().filter(|entry| their_entries.get(*entry) != our_entries.get(*entry));
    let mut found: Vec<_> = differing.cloned().map(Difference::Metadata).collect();
    if selected(their) != selected(our) {
        found.push(Difference::Selection);
    }
    let [their, our] = [their, our].map(|bytes| world.decrypted(bytes, their_shape.name()));
    if their.status != our.status || Values::of(&their.stdout) != Values::of(&our.stdout) {
        found.push(other);
    } else if their.stdout != our.stdout {
        found.push(form);
    }
    found
}

/// What an encrypted text is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Json,
    Yaml,
    Dotenv,
    Ini,
}

impl Shape {
    /// `None` for what is not encrypted.
    fn of(bytes: &[u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?;
        if text.starts_with('{') && text.contains("\"sops\"") {
            return Some(Self::Json);
        }
        let starts = |start: &str| text.lines().any(|line| line.starts_with(start));
        [(Self::Ini, "[sops]"), (Self::Dotenv, "sops_version="), (Self::Yaml, "sops:")]
            .into_iter()
            .find_map(|(shape, start)| starts(start).then_some(shape))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Dotenv => "dotenv",
            Self::Ini => "ini",
        }
    }

    /// The metadata, without what is another each time.
    fn metadata(self, bytes: &[u8]) -> BTreeMap<String, String> {
        let text = String::from_utf8_lossy(bytes);
        let mut entries = BTreeMap::new();
        match self {
            Self::Json | Self::Yaml => {
                let document = Values::of(bytes).documents.unwrap_or_default().into_iter().next();
                let metadata = document.and_then(|mut document| document.get_mut("sops").map(Value::take));
                flatten("", &metadata.unwrap_or_default(), &mut entries);
            }
            Self::Dotenv | Self::Ini => {
                let lines = text.lines().skip_while(|line| self == Self::Ini && *line != "[sops]");
                let pairs = lines.filter_map(|line| line.split_once('='));
                for (key, value) in pairs {
                    let key = key.trim().replace("__list_", ".").replace("__map_", ".");
                    let key = if self == Self::Ini { Some(&*key) } else { key.strip_prefix("sops_") };
                    entries.extend(key.map(|key| (key.to_owned(), value.trim().to_owned())));
                }
            }
        }
        let changes = |key: &str| {
            let last = key.rsplit('.').next().unwrap_or_default();
            ["enc", "mac", "lastmodified", "created_at"].contains(&last)
        };
        entries.retain(|key, _| !changes(key));
        for (key, value) in &mut entries {
            if key.starts_with("sealant_") {
                value.clear();
            }
        }
        entries
    }
}

fn flatten(path: &str, value: &Value, entries: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(&below(key), value, entries)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| flatten(&below(&at.to_string()), value, entries));
        }
        Value::String(text) => drop(entries.insert(path.to_owned(), text.clone())),
        other => drop(entries.insert(path.to_owned(), other.to_string())),
    }
}

/// How many ciphertexts of each type there are.
fn selected(bytes: &[u8]) -> BTreeMap<String, usize> {
    let text = String::from_utf8_lossy(bytes);
    let mut types = BTreeMap::new();
    let is_spelling = |line: &&str| !line.contains("sealant_");
    for part in text.lines().filter(is_spelling).flat_map(|line| line.split("ENC[").skip(1)) {
        let kind =
            part.split_once(",type:").map_or("", |(_, kind)| kind.split(']').next().unwrap_or_default());
        *types.entry(kind.to_owned()).or_default() += 1;
    }
    types
}

/// What a plain text means: its documents when it is JSON or YAML, else its lines without comments and blanks.
#[derive(Debug, PartialEq)]
struct Values {
    documents: Option<Vec<Value>>,
    lines: Vec<String>,
}

impl Values {
    fn of(bytes: &[u8]) -> Self {
        let Ok(text) = str::from_utf8(bytes) else {
            return Self { documents: None, lines: vec![format!("{bytes:?}")] };
        };
        let is_tree =
            |documents: &Vec<Value>| documents.iter().all(|value| value.is_object() || value.is_array());
        let json = serde_json::from_str(text).ok().map(|value| vec![value]);
        let documents = json.or_else(|| serde_yaml::from_multiple(text).ok()).filter(is_tree);
        let lines = match documents {
            Some(_) => Vec::new(),
            None => text.lines().map(line).filter(|line| !line.is_empty()).collect(),
        };
        Self { documents, lines }
    }
}

/// A line of dotenv or INI without blanks about the sign between key and value.
fn line(line: &str) -> String {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return String::new();
    }
    match line.split_once('=') {
        Some((key, value)) => format!("{}={}", key.trim(), value.trim()),
        None => line.to_owned(),
    }
}

/// For the report: the output of both.
pub fn shown(theirs: &Outcome, ours: &Outcome) -> String {
    let short = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<_> =
            text.lines().take(30).map(|line| line.chars().take(160).collect::<String>()).collect();
        lines.join("\n    ")
    };
    let one = |outcome: &Outcome| {
        let mut text = format!("  exit code {}\n", outcome.output.status);
        text += &format!("    {}\n", short(&outcome.output.stdout));
        text += &format!("  standard error\n    {}\n", short(outcome.output.stderr.as_bytes()));
        for (name, file) in outcome.written() {
            text += &format!("  {name}\n    {}\n", short(&file.bytes));
        }
        text
    };
    format!("sops:\n{}ours:\n{}", one(theirs), one(ours))
}
