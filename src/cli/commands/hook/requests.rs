//! Commits that ask for access: they add a key to a config, and their authors cannot give themselves access.
//!
//! Owns when such a commit goes through. A file that lacks a reader reveals nothing, and nothing is wrapped here;
//! people with access decide.

use std::path::{Path, PathBuf};

use crate::cli::args::IdentityArgs;
use crate::cli::commands::check::report::Found;
use crate::cli::context::{Context, block_on};
use crate::config::{Configs, is_config};
use crate::document::Format;
use crate::encrypted_file::{EncryptedFile, format_in};
use crate::error::Result;
use crate::keys::{KeyService, StartedBy};
use crate::policy;
use crate::repo::check::{Finding, Pending, Rule};
use crate::repo::git::Git;
use crate::repo::git::blobs::Blobs;
use crate::repo::git::tree::{Entry, Tree};
use crate::shown::typed;

/// The keys that were added to configs since the last commit, by config and rule number.
pub struct Requests(Vec<(PathBuf, Vec<Vec<String>>)>);

impl Requests {
    /// `None` if configs differ in anything else.
    pub fn of(before: &Configs, today: &Configs, git: &Git, changed: &[PathBuf]) -> Result<Option<Self>> {
        let mut added = Vec::new();
        for config in changed.iter().filter(|path| is_config(path)).map(|path| git.top().join(path)) {
            // Files that cannot be read have been reported already.
            let Ok(Some(rules)) = today.additions(before, &config) else { return Ok(None) };
            let named = rules.iter().map(|keys| {
                let keys = keys.iter().filter_map(|key| policy::master_key(&key.spec).ok());
                keys.map(|key| key.to_string()).collect()
            });
            added.push((config, named.collect()));
        }
        Ok(Some(Self(added)))
    }

    /// Turns findings into warnings for files that lack only these readers, and that no identity here opens.
    pub fn let_by(&self, found: &mut [Found], tree: &Tree, git: &Git, context: &Context) -> Result<()> {
        let asks = |found: &Found| {
            let pending = found.finding.pending.as_ref()?;
            (found.finding.rule == Rule::Recipients && self.names_all(pending)).then(|| found.file.clone())
        };
        let asked: Vec<(usize, PathBuf)> =
            found.iter().enumerate().filter_map(|(at, found)| Some((at, asks(found)?))).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let host = context.host.asking_nobody();
        let service = IdentityArgs::default().key_service_of(&host, StartedBy::Program)?;
        let mut blobs = Blobs::open(git)?;
        for (at, file) in asked {
            if !opens(&file, tree, &mut blobs, &service) {
                found[at] = as_request(&found[at]);
            }
        }
        Ok(())
    }

    /// Whether this commit added everybody who is waiting.
    fn names_all(&self, pending: &Pending) -> bool {
        let Some((_, rules)) = self.0.iter().find(|(config, _)| *config == pending.rule.file) else {
            return false;
        };
        let Some(added) = rules.get(pending.rule.index) else { return false };
        pending.keys.iter().all(|(key, _)| added.contains(&key.to_string()))
    }
}

/// Whether an identity here opens any part of a file. A file that cannot be read can be opened by whoever repairs it.
fn opens(file: &Path, tree: &Tree, blobs: &mut Blobs, service: &KeyService<'_>) -> bool {
    let mut data_keys = || {
        let Some(Entry::File(id)) = tree.get(file) else { return Ok(None) };
        let by_name = Format::of_path(file);
        let bytes = blobs.read(id, by_name.most_bytes() as u64)?;
        EncryptedFile::parse(format_in(by_name, &bytes), bytes)?.data_keys().map(Some)
    };
    let Ok(Some(data_keys)) = data_keys() as Result<Option<Vec<_>>> else { return true };
    block_on(service.unwrap_many(&data_keys.iter().collect::<Vec<_>>())).iter().any(Result::is_ok)
}

fn as_request(found: &Found) -> Found {
    let Found { file, finding, .. } = found;
    let Some(pending) = &finding.pending else { return Found::new(file, finding.clone()) };
    let keys: Vec<String> =
        pending.keys.iter().map(|(key, _)| pending.names.beside(key.id(), key.to_string())).collect();
    let adds: Vec<String> = pending
        .keys
        .iter()
        .map(|(key, _)| format!("`sealant updatekeys --add {} {}`", typed(key.id().as_ref()), typed(file)))
        .collect();
    let message = format!(
        "this commit asks for access for {}; one of these has to finish it, with {}: {}",
        keys.join(", "),
        adds.join(" and "),
        pending.helpers()
    );
    Found::new(
        file,
        Finding {
            pending: finding.pending.clone(),
            ..Finding::new(finding.line, Rule::AccessRequest, message)
        },
    )
}
