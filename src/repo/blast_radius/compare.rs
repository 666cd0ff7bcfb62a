//! Whether a value that was encrypted anew is still the same one: for those who have a key.
//!
//! No value leaves this file: what is compared are hashes with a salt that is thrown away.

use std::collections::HashMap;

use rand::RngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

use super::Search;
use crate::batch::{Opened, Source};
use crate::encrypted_file::OpenedFile;
use crate::error::Result;
use crate::fs::Snapshot;
use crate::repo::git::Git;
use crate::repo::git::history::Content;
use crate::repo::values::{Mark, mark};
use crate::sealed_secret::Binding;

/// Opens as many files as can be; the answers stand in their order.
pub type Open<'o> = dyn FnMut(Vec<Source>) -> Vec<Result<Opened>> + 'o;

/// How many versions are opened in one request.
const AT_ONCE: usize = 256;

/// What values are, without saying it: by the marks of their ciphertexts.
#[derive(Default)]
pub(super) struct Compared {
    salt: [u8; 32],
    digests: HashMap<Mark, [u8; 32]>,
    /// Versions that could not be opened.
    pub(super) closed: usize,
}

impl Compared {
    /// Whether two ciphertexts are of one value; `None` when one of them was not opened.
    pub(super) fn are_same(&self, one: &Mark, other: &Mark) -> Option<bool> {
        Some(self.digests.get(one)? == self.digests.get(other)?)
    }

    fn digest(&self, value: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(self.salt).chain_update(value).finalize().into()
    }

    fn add(&mut self, opened: &Opened) -> Result<()> {
        match &opened.file {
            OpenedFile::Document(file, key) => {
                let (tree, source) = (file.document().tree(), file.document().source());
                file.for_each_value(key, &mut |leaf, value| {
                    let text = tree[leaf.node].text.get(source).trim_end();
                    self.digests.insert(mark(text), self.digest(&value.to_plaintext()));
                })
            }
            OpenedFile::Sealed(file, keys) => {
                for ((_, sealed), keys) in file.objects.iter().zip(keys) {
                    for (item, value) in keys.items(&sealed.spec, &Binding::of(sealed)?)? {
                        let text = sealed.spec.encrypted_data.get(&item).map_or("", String::as_str);
                        self.digests.insert(mark(text), self.digest(&value));
                    }
                }
                Ok(())
            }
        }
    }
}

impl Search<'_> {
    /// Opens the versions of which values may have been encrypted anew, and what HEAD has of these.
    pub(super) fn compare(&mut self, git: &Git<'_>, open: &mut Open<'_>) -> Result<()> {
        OsRng.fill_bytes(&mut self.compared.salt);
        let in_head: HashMap<usize, usize> =
            self.head.iter().flat_map(|(blob, paths)| paths.iter().map(|path| (*path, *blob))).collect();
        let mut wanted: Vec<usize> = Vec::new();
        let tokens: Vec<_> =
            self.tokens.values().map(|token| (token.class, token.place, token.newest)).collect();
        for (class, place, newest) in tokens {
            let now = self.follow(place);
            if self.classes.share(class).is_some() && self.head_values.contains_key(&now) {
                wanted.push(newest);
                wanted.extend(in_head.get(&now.0));
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let history = self.history;
        let (mut sources, mut compared) = (Vec::new(), std::mem::take(&mut self.compared));
        let mut take = |sources: Vec<Source>| {
            for opened in open(sources) {
                if opened.and_then(|opened| compared.add(&opened)).is_err() {
                    compared.closed += 1;
                }
            }
        };
        history.read_blobs(
            git,
            &wanted,
            |_, content| content,
            |blob, content| {
                let Content::Bytes(bytes) = content else { return };
                let (path, format) = (self.path_of(blob).to_path_buf(), history.blobs[blob].format);
                let snapshot = Snapshot::of(&bytes);
                sources.push(Source { path, format, bytes, snapshot });
                if sources.len() == AT_ONCE {
                    take(std::mem::take(&mut sources));
                }
            },
        )?;
        take(sources);
        self.compared = compared;
        Ok(())
    }
}
