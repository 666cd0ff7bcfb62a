use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::args::{KeyArgs, ReportArgs};
use crate::cli::context::Context;
use crate::cli::failures::Failures;
use crate::cli::unnamed::elsewhere;
use crate::config::{Configs, Explanation, Policy, Selection, SelectionKind, TrialResult};
use crate::document::{self, Format};
use crate::encrypted_file::{Meant, format_in, meant};
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::keys::{KeySet, MasterKey};
use crate::names::Names;
use crate::policy;
use crate::rekey::Change;
use crate::sealed_secret::{self, SealedFile};
use crate::shown::shown;
use crate::sops::{self, Encrypted, Reason};

/// Show which rule applies to a file, why, and what it encrypts
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant explain secrets/db.yaml
  sealant explain --format json secrets/*.yaml | jq '.[].key_groups'

The file need not exist: `sealant explain secrets/new.yaml` says what would happen.
Of an encrypted file it also says what `sealant updatekeys` would change.
No key is needed, and no value is shown.")]
pub struct Args {
    /// Files, which need not exist yet
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    report: ReportArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let configs = context.configs()?;
    let from_environment = KeyArgs::default().key_set(context.host)?;
    let (mut found, mut failures) = (Vec::new(), Failures::default());
    for file in &args.files {
        match Found::of(file, &configs, from_environment.clone(), context) {
            Ok(this) => {
                // Its rule depends on its path alone.
                this.unread.iter().for_each(|error| failures.add(context.ui, error));
                found.push(this);
            }
            Err(error) => failures.add(context.ui, &error),
        }
    }
    if args.report.is_json() {
        context.ui.json(&found.iter().map(Found::to_json).collect::<Vec<_>>())?;
    } else {
        for (index, found) in found.iter().enumerate() {
            let gap = (index > 0).then(String::new);
            context.ui.lines(gap.into_iter().chain(found.to_lines(args.files.len() > 1)))?;
        }
    }
    Ok(failures.finish(context.ui))
}

/// What applies to a file.
struct Found<'a> {
    file: &'a Path,
    explanation: Explanation,
    policy: Option<Policy>,
    keys: Option<KeySet>,
    keys_are_from_environment: bool,
    /// What the rule says, else what is implied; `None` when there is no rule.
    selection: Option<Selection>,
    /// What is in the file, if it exists and can be read.
    content: Option<Content>,
    /// Why it cannot be read.
    unread: Option<Error>,
    /// How a rule comes to match it, where none does.
    to_match: Vec<String>,
}

/// What a rule means for a file that exists.
struct Content {
    /// As what it was read.
    format: Format,
    is_preset: bool,
    leaves: Vec<Reason>,
    encrypted: Option<IsEncrypted>,
}

/// What an encrypted file says of itself.
struct IsEncrypted {
    /// `None` for SealedSecrets, of which all values are encrypted.
    selection: Option<Selection>,
    /// What would change if it were brought in line with the rule; `None` when no rule names recipients.
    change: Option<Change>,
}

impl<'a> Found<'a> {
    fn of(
        file: &'a Path,
        configs: &Configs,
        from_environment: Option<KeySet>,
        context: &Context,
    ) -> Result<Self> {
        let explanation = configs.explain(file)?;
        let matches = explanation.trials.iter().any(|trial| trial.verdict == TrialResult::Matches);
        let policy = if matches { configs.policy_for(file)? } else { None };
        let keys_are_from_environment = from_environment.is_some();
        let of_rule = policy.as_ref().map(policy::key_set).transpose()?.flatten();
        let asked = policy.as_ref().and_then(|policy| policy.selection.clone());
        let (content, unread) = match Content::of(file, asked.clone(), of_rule.as_ref()) {
            Ok(content) => (content, None),
            Err(error) => (None, Some(error.in_file(file))),
        };
        let selection = match &content {
            Some(Content { is_preset: true, .. }) => Some(Selection::kubernetes()),
            Some(Content { encrypted: Some(IsEncrypted { selection: None, .. }), .. }) => None,
            _ => policy.as_ref().map(|_| asked.unwrap_or_default()),
        };
        let keys = from_environment.or(of_rule);
        let to_match = match policy {
            None => {
                let is_encrypted = content.as_ref().is_some_and(|content| content.encrypted.is_some());
                let command = if is_encrypted { "updatekeys" } else { "encrypt -i" };
                to_match(&explanation, elsewhere(configs, file, command, context))
            }
            Some(_) => Vec::new(),
        };
        Ok(Self {
            file,
            explanation,
            policy,
            keys,
            keys_are_from_environment,
            selection,
            content,
            unread,
            to_match,
        })
    }

    fn to_lines(&self, with_name: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if with_name {
            lines.push(format!("{}:", self.file.display()));
        }
        lines.extend(self.explanation.lines());
        if self.policy.is_none() && !self.explanation.trials.is_empty() {
            lines.push("no rule matches".to_owned());
            lines.extend(self.to_match.iter().map(|way| format!("  {way}")));
        }
        lines.extend(self.keys_to_lines());
        if self.selection.is_some()
            && self.content.as_ref().map_or_else(|| Format::of_path(self.file), |content| content.format)
                == Format::Binary
        {
            lines.push("encrypted: the whole file, because it is binary".to_owned());
        } else if let Some(selection) = &self.selection {
            let because = match &self.content {
                Some(Content { is_preset: true, .. }) => {
                    "; this is a Kubernetes Secret, and the rule does not say otherwise"
                }
                _ => "",
            };
            lines.push(format!("encrypted: {} ({selection}{because})", in_words(selection)));
        }
        match &self.content {
            Some(content) => {
                lines.extend(content.to_lines(self.file, self.selection.as_ref(), &self.names()))
            }
            None if self.unread.is_some() => {
                lines.push("the file cannot be read: this is what applies to its path".to_owned());
            }
            None => lines.push("the file does not exist: this is what would apply".to_owned()),
        }
        lines
    }

    /// What the config calls keys.
    fn names(&self) -> Names {
        self.policy.as_ref().map(|policy| policy.names.clone()).unwrap_or_default()
    }

    fn keys_to_lines(&self) -> Vec<String> {
        let Some(keys) = &self.keys else {
            let nobody = "no recipients are named: `sealant encrypt` needs --age or another flag";
            return vec![nobody.to_owned()];
        };
        let from = match self.keys_are_from_environment {
            true => " (from the environment, which overrides the rule)",
            false => "",
        };
        let required = keys.required();
        let mut lines = vec![match keys.groups.len() {
            1 => format!("any of these can decrypt{from}:"),
            groups => format!("keys from {required} of these {groups} groups are needed to decrypt{from}:"),
        }];
        for (number, group) in keys.groups.iter().enumerate() {
            if keys.groups.len() > 1 {
                lines.push(format!("  group {}:", number + 1));
            }
            let indent = if keys.groups.len() > 1 { "    " } else { "  " };
            let named = |key: &MasterKey| self.names().beside(key.id(), key.to_string());
            lines.extend(group.iter().map(|key| format!("{indent}{}", named(key))));
        }
        lines
    }

    fn to_json(&self) -> Value {
        let trial = |trial: &crate::config::RuleTrial| {
            json!({
                "line": trial.rule.line,
                "path_regex": trial.rule.path_regex,
                "verdict": match trial.verdict {
                    TrialResult::Matches => "matches",
                    TrialResult::DoesNotMatch => "does not match",
                    TrialResult::NotTried => "not tried",
                },
            })
        };
        let names = |group: &Vec<_>| group.iter().map(ToString::to_string).collect::<Vec<_>>();
        json!({
            "file": self.file,
            "exists": self.content.is_some() || self.unread.is_some(),
            "config": self.explanation.search.found,
            "folders": self.explanation.search.folders,
            "path": self.explanation.path,
            "rules": self.explanation.trials.iter().map(trial).collect::<Vec<_>>(),
            "key_groups": self.keys.iter().flat_map(|keys| &keys.groups).map(names).collect::<Vec<_>>(),
            "required_groups": self.keys.as_ref().map(KeySet::required),
            "keys_are_from_environment": self.keys_are_from_environment,
            "selection": self.selection.as_ref().map(selection_to_json),
            "is_kubernetes_preset": self.content.as_ref().is_some_and(|content| content.is_preset),
            "leaves": self.content.as_ref().map(|content| &content.leaves),
            "encrypted_file": self.content.as_ref().and_then(|content| content.encrypted.as_ref()).map(|file| json!({
                "selection": file.selection.as_ref().map(selection_to_json),
                "change": file.change,
            })),
        })
    }
}

/// What to do so that a rule matches a file: another rule, or another place.
fn to_match(explanation: &Explanation, place: Option<String>) -> Vec<String> {
    // What is outside of the config's folder is matched by all of its path.
    if explanation.trials.is_empty() || Path::new(&explanation.path).is_absolute() {
        return Vec::new();
    }
    let pattern = regex::escape(&explanation.path);
    let rule = format!(
        "to match it, add `|^{pattern}$` to a path_regex, or make a rule with `path_regex: ^{pattern}$`"
    );
    [rule].into_iter().chain(place.map(|way| format!("or: {way}"))).collect()
}

fn selection_to_json(selection: &Selection) -> Value {
    json!({selection.field_name(): selection.pattern()})
}

impl Content {
    /// What is in a file; `None` when there is none.
    fn of(file: &Path, asked: Option<Selection>, keys: Option<&KeySet>) -> Result<Option<Self>> {
        let by_name = Format::of_path(file);
        let bytes = match fs::read(file, by_name.most_bytes() as u64) {
            Err(error) if error.kind() == Kind::NoFile => return Ok(None),
            bytes => bytes?,
        };
        let format = format_in(by_name, &bytes);
        if meant(format, &bytes) == Some(Meant::Sealed) {
            let file = SealedFile::parse(format, bytes)?;
            let objects = file.objects.iter().map(|(_, sealed)| sealed);
            let data_keys = objects.map(|sealed| sealed_secret::wrapped_data_keys(&sealed.spec));
            let data_keys = data_keys.collect::<Result<Vec<_>>>()?.concat();
            let change = keys.map(|keys| Change::between(&data_keys, keys));
            let encrypted = Some(IsEncrypted { selection: None, change });
            return Ok(Some(Self { format, is_preset: false, leaves: Vec::new(), encrypted }));
        }
        if sops::status(format, bytes.clone())? {
            let file = Encrypted::parse(format, bytes)?;
            let selection = file.metadata.selection.clone();
            let leaves = sops::reasons(file.document(), &selection)?;
            let change = keys.map(|keys| Change::between(std::slice::from_ref(&file.metadata.keys), keys));
            let encrypted = Some(IsEncrypted { selection: Some(selection), change });
            return Ok(Some(Self { format, is_preset: false, leaves, encrypted }));
        }
        let document = document::parse_any(format, bytes, false)?;
        let (selection, is_preset) = policy::selection(&*document, asked);
        let leaves = sops::reasons(&*document, &selection)?;
        Ok(Some(Self { format, is_preset, leaves, encrypted: None }))
    }

    fn to_lines(&self, file: &Path, asked: Option<&Selection>, names: &Names) -> Vec<String> {
        let mut lines = match &self.encrypted {
            None => vec!["the file is not encrypted; this is how it would be encrypted:".to_owned()],
            Some(encrypted) => encrypted.to_lines(file, asked, names),
        };
        let places: Vec<String> = self.leaves.iter().map(|leaf| shown(&place(leaf)).into_owned()).collect();
        let width = places.iter().map(|place| place.chars().count()).max().unwrap_or_default().min(40);
        let digits = self.leaves.iter().map(|leaf| leaf.line.to_string().len()).max().unwrap_or_default();
        for (leaf, place) in self.leaves.iter().zip(&places) {
            let state = if leaf.encrypted { "encrypted" } else { "clear" };
            lines.push(format!("  line {:>digits$}  {state:<9}  {place:<width$}  {}", leaf.line, leaf.why));
        }
        lines
    }
}

fn place(leaf: &Reason) -> String {
    match (leaf.is_comment, leaf.path.as_str()) {
        (false, path) => path.to_owned(),
        (true, "") => "(comment)".to_owned(),
        (true, path) => format!("{path} (comment)"),
    }
}

impl IsEncrypted {
    fn to_lines(&self, file: &Path, asked: Option<&Selection>, names: &Names) -> Vec<String> {
        let mut lines = vec![match &self.change {
            None => "the file is encrypted; no rule says who should be able to decrypt it".to_owned(),
            Some(change) if change.is_empty() => "the file is encrypted for exactly these".to_owned(),
            Some(_) => format!(
                "the file's recipients differ from these; `sealant updatekeys {}` would change:",
                file.display()
            ),
        }];
        lines.extend(self.change.iter().flat_map(|change| change.lines(names)));
        match (asked, &self.selection) {
            (Some(asked), Some(selection)) if asked != selection => {
                lines.push(format!(
                    "what it encrypts was decided when it was encrypted, and differs: {selection}"
                ));
            }
            _ => {}
        }
        lines
    }
}

/// What a selection means.
fn in_words(selection: &Selection) -> String {
    let whose = match selection.kind() {
        SelectionKind::UnencryptedSuffix | SelectionKind::EncryptedSuffix => "the values of keys that end in",
        SelectionKind::UnencryptedRegex | SelectionKind::EncryptedRegex => "the values of keys that match",
        SelectionKind::UnencryptedCommentRegex | SelectionKind::EncryptedCommentRegex => {
            "what is below a comment that matches"
        }
    };
    let which = if selection.encrypts_matches() { "only" } else { "all but" };
    format!("{which} {whose} `{}`", selection.pattern())
}
