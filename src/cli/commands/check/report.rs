//! How findings are told: to people, as JSON, as SARIF, and by the exit code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use percent_encoding::percent_encode;
use serde::{Serialize, Serializer};
use serde_json::{Value as Data, json};

use crate::cli::context::Context;
use crate::cli::failures::Failures;
use crate::cli::redact::WITH_SLASHES;
use crate::cli::ui::counted;
use crate::error::{Kind, Result};
use crate::os;
use crate::repo::check::{Finding, Level, Rule};

/// A finding and where it is.
#[derive(Serialize)]
pub struct Found {
    #[serde(serialize_with = "as_text")]
    pub file: PathBuf,
    #[serde(flatten)]
    pub finding: Finding,
    pub level: &'static str,
    pub advice: &'static str,
}

impl Found {
    pub fn new(file: &Path, finding: Finding) -> Self {
        let (level, advice) = (finding.rule.level().name(), finding.rule.advice());
        Self { file: file.to_path_buf(), finding, level, advice }
    }

    fn is_error(&self) -> bool {
        self.finding.rule.level() == Level::Error
    }
}

/// A path need not be valid UTF-8, and JSON has to be.
fn as_text<S: Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// What came of looking at files.
#[derive(Default)]
pub struct Looked {
    pub found: Vec<Found>,
    /// What could not be looked at.
    pub failures: Failures,
    /// Encrypted files that were opened and verified, where that was asked for.
    pub verified: Option<usize>,
    told: BTreeSet<String>,
}

impl Looked {
    pub fn add(&mut self, file: &Path, findings: Result<Vec<Finding>>, context: &Context) {
        match findings {
            Ok(findings) => self.found.extend(findings.into_iter().map(|finding| Found::new(file, finding))),
            // What is wrong with a config is told once, not for each of its files.
            Err(error) => {
                let error = error.in_file(file);
                if self.told.insert(error.to_string()) {
                    self.failures.add(context.ui, &error);
                }
            }
        }
    }

    /// Adds what is wrong with configs, by their absolute paths, which are shown as from `folder`.
    pub fn add_configs(&mut self, found: Vec<(PathBuf, Result<Finding>)>, folder: &Path, context: &Context) {
        for (config, finding) in found {
            let shown = config.strip_prefix(folder).unwrap_or(&config);
            self.add(shown, finding.map(|finding| vec![finding]), context);
        }
    }

    /// Tells how much was found, in how many of the files that were looked at.
    pub fn tell_count(&mut self, files: usize, context: &Context) {
        self.failures.tell_rest(context.ui);
        let verified = self.verified.map(|count| match count {
            0 => ", no encrypted file verified".to_owned(),
            1 => ", 1 encrypted file verified".to_owned(),
            count => format!(", {count} encrypted files verified"),
        });
        let files = counted(files, "file") + " checked" + verified.as_deref().unwrap_or_default();
        let in_files = self.found.iter().map(|found| &found.file).collect::<BTreeSet<_>>().len();
        context.ui.say(match self.found.len() {
            0 if !self.failures.is_empty() => {
                format!("{files}; some could not be checked, see above")
            }
            0 => format!("{files}, nothing found"),
            count => format!(
                "{files}, {} in {}{}",
                match self.found.iter().filter(|found| found.is_error()).count() {
                    0 => counted(count, "warning"),
                    errors if errors == count => counted(count, "finding"),
                    errors =>
                        format!("{} and {}", counted(errors, "finding"), counted(count - errors, "warning")),
                },
                counted(in_files, "file"),
                if self.failures.is_empty() { "" } else { "; some could not be checked, see above" }
            ),
        });
    }

    /// 0 when nothing was found, or warnings alone, 1 when something was, and another code when something could not be looked
    /// at.
    pub fn exit_code(&self) -> ExitCode {
        match (self.failures.is_empty(), !self.found.iter().any(Found::is_error)) {
            (true, true) => ExitCode::SUCCESS,
            (true, false) => Kind::Other.exit_code().into(),
            // Not the code that says that something was found.
            (false, _) if self.failures.code() == Kind::Other.exit_code() => Kind::Read.exit_code().into(),
            (false, _) => self.failures.code().into(),
        }
    }
}

/// Tells people what was found.
pub fn print(found: &[Found], context: &Context) -> Result<()> {
    for Found { file, finding: Finding { line, rule, message, .. }, .. } in found {
        let level = if rule.level() == Level::Warning { "warning: " } else { "" };
        context.ui.line(format!("{}:{line}: {level}{message} [{}]", file.display(), rule.id()))?;
    }
    Ok(())
}

/// The findings as SARIF 2.1.0, as GitHub and GitLab read it.
pub fn sarif(found: &[Found]) -> Data {
    let about = |rule: &Rule| {
        json!({
            "id": rule.id(),
            "shortDescription": {"text": rule.description()},
            "help": {"text": rule.advice()},
            "defaultConfiguration": {"level": rule.level().name()},
        })
    };
    let rules: Vec<Data> = Rule::ALL.iter().map(about).collect();
    let results: Vec<Data> = found
        .iter()
        .map(|Found { file, finding: Finding { line, rule, message, .. }, level, .. }| {
            json!({
                "ruleId": rule.id(),
                "ruleIndex": Rule::ALL.iter().position(|known| known == rule),
                "level": level,
                "message": {"text": without_links(message)},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": uri(file)},
                    "region": {"startLine": line},
                }}],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "sealant",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "results": results,
        }],
    })
}

/// A message in which nothing is a link, whoever wrote what it quotes (SARIF 2.1.0, 3.11.6).
fn without_links(message: &str) -> String {
    let mut escaped = String::with_capacity(message.len());
    for char in message.chars() {
        if matches!(char, '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

/// A path as a reference of RFC 3986, whatever bytes it has.
fn uri(path: &Path) -> String {
    let bytes = os::slashed(path);
    let uri = percent_encode(&bytes, &WITH_SLASHES);
    // A drive of Windows is the first folder.
    let root = if bytes.starts_with(b"/") { "" } else { "/" };
    if path.is_absolute() { format!("file://{root}{uri}") } else { uri.to_string() }
}
