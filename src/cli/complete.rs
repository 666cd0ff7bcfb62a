//! What a shell offers that only a look into files tells: keys of documents, names of recipients, topics of help.
//!
//! The scripts of `sealant completion` ask for it with all words of a line so far, the last of which is being typed. No key is
//! used and no server asked, and what cannot be read offers nothing: people are in the middle of a line.

use std::path::Path;

use clap::ValueEnum;
use clap_complete::Shell;

use crate::cli::args::{Formats, Input};
use crate::cli::commands::help;
use crate::cli::context::Context;
use crate::cli::pipeline;
use crate::document::{self, NodeKind};
use crate::encrypted_file::EncryptedFile;
use crate::error::Result;

/// How the scripts call it; nobody types it.
pub const COMMAND: &str = "__complete";

/// What stands for all programs that the shell knows.
pub const PROGRAMS: &str = "<programs>";

/// The options that take what the config calls a recipient.
const NAMED: [&str; 6] = ["recipient", "age", "add-age", "rm-age", "allow-recipient", "add"];

/// More keys nobody reads.
const MOST: usize = 2000;

/// What may come in the place of the last word.
pub fn candidates(words: &[String], context: &Context) -> Vec<String> {
    let Some((current, before)) = words.split_last() else { return Vec::new() };
    let line = Line::of(before);
    let mut found = line.candidates(context);
    found.retain(|candidate| candidate == PROGRAMS || candidate.starts_with(current.as_str()));
    found.truncate(MOST);
    found
}

/// The words before the one that is being typed.
struct Line {
    /// The command, such as `git install`.
    command: Vec<String>,
    positionals: Vec<String>,
    /// The option whose value comes.
    option: Option<String>,
}

impl Line {
    fn of(words: &[String]) -> Self {
        let root = help::command();
        let mut at = &root;
        let mut line = Self { command: Vec::new(), positionals: Vec::new(), option: None };
        for word in words {
            if line.option.take().is_some() {
                continue;
            }
            if word.len() > 1 && word.starts_with('-') {
                line.option = valued(at, word);
            } else if let Some(found) = at.find_subcommand(word).filter(|_| line.positionals.is_empty()) {
                line.command.push(found.get_name().to_owned());
                at = found;
            } else {
                line.positionals.push(word.clone());
            }
        }
        line
    }

    fn candidates(&self, context: &Context) -> Vec<String> {
        if let Some(option) = &self.option {
            return if NAMED.contains(&option.as_str()) { names(context) } else { Vec::new() };
        }
        let command: Vec<&str> = self.command.iter().map(String::as_str).collect();
        match (&command[..], &self.positionals[..]) {
            (["get" | "set" | "unset"], [file]) => keys(Path::new(file)).unwrap_or_default(),
            (["recipient", "rm"], []) => names(context),
            (["completion"], []) => shells(),
            (["help" | "man"], topic) => topics(topic, command == ["help"]),
            (["exec-env"], [_]) => vec![PROGRAMS.to_owned()],
            _ => Vec::new(),
        }
    }
}

/// The name of an option whose value is the next word.
fn valued(command: &clap::Command, word: &str) -> Option<String> {
    let is_it = |arg: &&clap::Arg| {
        let long = word.strip_prefix("--");
        let short = word.strip_prefix('-').and_then(|rest| rest.chars().next());
        arg.get_long().is_some_and(|name| long == Some(name)) || (long.is_none() && arg.get_short() == short)
    };
    let arg = command.get_arguments().find(is_it).filter(|arg| arg.get_action().takes_values())?;
    Some(arg.get_long().unwrap_or_default().to_owned())
}

/// What the config calls its recipients.
fn names(context: &Context) -> Vec<String> {
    let mut names: Vec<String> = context.names().iter().map(|(_, name)| name.to_owned()).collect();
    names.sort();
    names
}

/// What `completion` writes a script for.
fn shells() -> Vec<String> {
    let names = Shell::value_variants()
        .iter()
        .filter_map(|shell| Some(shell.to_possible_value()?.get_name().to_owned()));
    names.collect()
}

/// Commands below these words.
fn topics(words: &[String], is_help: bool) -> Vec<String> {
    let root = help::command();
    let Some(command) = help::subcommand(&root, words) else { return Vec::new() };
    let names = command.get_subcommands().map(|command| command.get_name().to_owned());
    let others = [help::TOPIC_EXIT_CODES, help::TOPIC_CONFIG_SCHEMA].map(str::to_owned);
    names.chain(others.into_iter().filter(|_| is_help && words.is_empty())).collect()
}

/// The paths of the values of a file, which are in plaintext in it.
fn keys(file: &Path) -> Result<Vec<String>> {
    let source = pipeline::read(&Input::found(file), Formats::default())?;
    if let Ok(EncryptedFile::Sealed(file)) = EncryptedFile::parse(source.format, source.bytes.clone()) {
        let items = file.objects.iter().flat_map(|(_, sealed)| sealed.spec.encrypted_data.keys().cloned());
        return Ok(items.collect());
    }
    let document = document::parse(source.format, source.bytes, true)?;
    let tree = document.tree();
    let roots = tree.documents().iter().take(1);
    let entries = roots.flat_map(|&root| tree.entries(root)).filter(|&entry| !document.is_metadata(entry));
    let values = entries.flat_map(|entry| std::iter::once(entry).chain(tree.descendants(entry)));
    let values = values.filter(|&node| tree[node].kind == NodeKind::Scalar).take(MOST);
    Ok(values.map(|node| tree.path_of(document.source(), node)).collect())
}
