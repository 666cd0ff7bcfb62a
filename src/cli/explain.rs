use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::Context;
use crate::cli::args::{KeyArgs, ReportArgs};
use crate::config::{Configs, Explanation, Policy, Selection, SelectionKind, Verdict};
use crate::error::Result;
use crate::keys::KeySet;
use crate::policy;

/// Say which creation rule a file has and why, who can decrypt it, and which values are encrypted
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sealant explain secrets/db.yaml
  sealant explain --format json secrets/*.yaml | jq '.[].key_groups'

The file need not exist: `sealant explain secrets/new.yaml` says what would be.")]
pub struct Args {
    /// Files, also such as do not exist yet
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    report: ReportArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let configs = context.configs()?;
    let from_environment = KeyArgs::default().key_set(context.host)?;
    let mut found = Vec::new();
    for file in &args.files {
        found.push(Found::of(file, &configs, from_environment.clone())?);
    }
    if args.report.is_json() {
        context.ui.json(&found.iter().map(Found::to_json).collect::<Vec<_>>())?;
    } else {
        let texts: Vec<_> = found.iter().map(|found| found.to_text(args.files.len() > 1)).collect();
        context.ui.out(texts.join("\n").as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What applies to a file.
struct Found<'a> {
    file: &'a Path,
    explanation: Explanation,
    policy: Option<Policy>,
    keys: Option<KeySet>,
    keys_are_from_environment: bool,
}

impl<'a> Found<'a> {
    fn of(file: &'a Path, configs: &Configs, from_environment: Option<KeySet>) -> Result<Self> {
        let explanation = configs.explain(file)?;
        let matches = explanation.trials.iter().any(|trial| trial.verdict == Verdict::Matches);
        let policy = if matches { configs.policy_for(file)? } else { None };
        let keys_are_from_environment = from_environment.is_some();
        let keys = match (from_environment, &policy) {
            (Some(keys), _) => Some(keys),
            (None, Some(policy)) => policy::key_set(policy)?,
            (None, None) => None,
        };
        Ok(Self { file, explanation, policy, keys, keys_are_from_environment })
    }

    fn to_text(&self, with_name: bool) -> String {
        let mut text = String::new();
        if with_name {
            text += &format!("{}:\n", self.file.display());
        }
        text += &self.explanation.to_string();
        if self.policy.is_none() && !self.explanation.trials.is_empty() {
            text += "no rule matches\n";
        }
        text += &self.keys_to_text();
        if let Some(selection) = self.selection() {
            text += &format!("encrypted: {} ({selection})\n", in_words(&selection));
        }
        text + &leaves(self.file, self.selection())
    }

    fn keys_to_text(&self) -> String {
        let Some(keys) = &self.keys else {
            return "nobody is named who can decrypt: `sealant encrypt` needs --age or another flag\n"
                .to_owned();
        };
        let from = match self.keys_are_from_environment {
            true => " (from the environment, which overrides the rule)",
            false => "",
        };
        let required = keys.required();
        let mut text = match keys.groups.len() {
            1 => format!("any of these can decrypt{from}:\n"),
            groups => format!("it takes keys from {required} of these {groups} groups to decrypt{from}:\n"),
        };
        for (number, group) in keys.groups.iter().enumerate() {
            if keys.groups.len() > 1 {
                text += &format!("  group {}:\n", number + 1);
            }
            let indent = if keys.groups.len() > 1 { "    " } else { "  " };
            group.iter().for_each(|key| text += &format!("{indent}{key}\n"));
        }
        text
    }

    /// What the rule says, or what sops implies; `None` when there is no rule.
    fn selection(&self) -> Option<Selection> {
        self.policy.as_ref().map(|policy| policy.selection.clone().unwrap_or_default())
    }

    fn to_json(&self) -> Value {
        let trial = |trial: &crate::config::Trial| {
            json!({
                "line": trial.rule.line,
                "path_regex": trial.rule.path_regex,
                "verdict": match trial.verdict {
                    Verdict::Matches => "matches",
                    Verdict::DoesNotMatch => "does not match",
                    Verdict::NotTried => "not tried",
                },
            })
        };
        let names = |group: &Vec<_>| group.iter().map(ToString::to_string).collect::<Vec<_>>();
        json!({
            "file": self.file,
            "config": self.explanation.search.found,
            "folders": self.explanation.search.folders,
            "path": self.explanation.path,
            "rules": self.explanation.trials.iter().map(trial).collect::<Vec<_>>(),
            "key_groups": self.keys.iter().flat_map(|keys| &keys.groups).map(names).collect::<Vec<_>>(),
            "required_groups": self.keys.as_ref().map(KeySet::required),
            "keys_are_from_environment": self.keys_are_from_environment,
            "selection": self.selection().map(|selection| json!({selection.field_name(): selection.pattern()})),
        })
    }
}

/// What a selection means.
fn in_words(selection: &Selection) -> String {
    let whose = match selection.kind() {
        SelectionKind::UnencryptedSuffix | SelectionKind::EncryptedSuffix => "the values of keys that end in",
        SelectionKind::UnencryptedRegex | SelectionKind::EncryptedRegex => "the values of keys that match",
        SelectionKind::UnencryptedCommentRegex | SelectionKind::EncryptedCommentRegex => {
            "what stands below a comment that matches"
        }
    };
    let which = if selection.encrypts_matches() { "only" } else { "all but" };
    format!("{which} {whose} `{}`", selection.pattern())
}

/// Which leaves of the file are encrypted: stands here until it is asked of `sops`.
fn leaves(_file: &Path, _selection: Option<Selection>) -> String {
    String::new()
}
