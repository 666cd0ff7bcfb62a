//! Encrypting what was found in plaintext: `--fix` of `check` and of the hook. No identity is used.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::batch::{self, Plain};
use crate::cli::args::{Destination, Formats, IdentityArgs, Input, Inputs};
use crate::cli::commands::check::report::Found;
use crate::cli::context::{Context, block_on};
use crate::cli::encryption::Encrypt;
use crate::cli::failures::Failures;
use crate::cli::pipeline::{Item, Pipeline, in_two_steps, read};
use crate::encrypted_file::meant;
use crate::error::Result;
use crate::fs::Mode;
use crate::host::Host;
use crate::keys::{self, StartedBy};
use crate::repo::check::Rule;

/// The files with values in plaintext that encrypting them would mend.
pub fn plaintext_files(found: &[Found]) -> BTreeSet<PathBuf> {
    let of_rules = |rules: &'static [Rule]| {
        let found = found.iter().filter(move |found| rules.contains(&found.finding.rule));
        found.map(|found| found.file.clone()).collect::<BTreeSet<_>>()
    };
    let broken = of_rules(&[Rule::Broken]);
    of_rules(&[Rule::Plaintext, Rule::Comment, Rule::Secret])
        .into_iter()
        .filter(|file| !broken.contains(file))
        .collect()
}

/// Encrypts files in place, and says what became of each.
pub fn encrypt(inputs: Vec<Input>, formats: Formats, encrypt: &Encrypt, context: &Context) -> Result<()> {
    let is_encrypted = |input: &Input| {
        read(input, formats).is_ok_and(|source| meant(source.format, &source.bytes).is_some())
    };
    // Without them nobody could decrypt it again.
    let is_of_identities =
        |input: &Input| read(input, formats).is_ok_and(|source| keys::holds_only_identities(&source.bytes));
    // For the others there is something to do by hand first, which is told with the findings that are left.
    let is_due = |input: &Input| {
        let rule = input.path.as_deref().map(|path| encrypt.configs().matching_policy(path));
        !is_encrypted(input) && !is_of_identities(input) && !matches!(rule, Some(Ok(None)))
    };
    let clear: Vec<Input> = inputs.into_iter().filter(is_due).collect();
    // As for all that other programs start: nobody is asked, and only servers that the person has named.
    let host = context.host.asking_nobody();
    let service = IdentityArgs::default().key_service_of(&host, StartedBy::Program)?;
    let named = clear.iter().cloned().map(|input| Input { named: true, ..input }).collect();
    let pipeline = Pipeline {
        context,
        inputs: Inputs { inputs: named, many: true, ..Inputs::default() },
        formats,
        destination: Destination::InPlace,
        dry_run: false,
        mode: Mode::Public,
        doing: "encrypting",
        summary: None,
    };
    // What fails is told, and was a finding before.
    pipeline.run_among(&mut Failures::default(), |items| {
        in_two_steps(
            items,
            |item: Item| encrypt.plain(item).map(Some),
            |files: Vec<Plain>| {
                encrypt.all(files, |files| block_on(batch::encrypt(&service, files, context.host.now())))
            },
        )
    });
    for input in clear.iter().filter(|input| is_encrypted(input)) {
        context.ui.say(format!("encrypted {}: look at it, and stage it", input.shown().display()));
    }
    Ok(())
}
