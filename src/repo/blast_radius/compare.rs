//! Whether a value that was encrypted again is still the same one, and whether that was done under the same data key:
//! for those who have a key.
//!
//! No value and no data key leaves this file: what is compared are hashes with a salt that is thrown away.

use std::collections::{BTreeSet, HashMap, HashSet};

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

/// Opens as many files as possible; the answers are in their order.
pub type Open<'o> = dyn FnMut(Vec<Source>) -> Vec<Result<Opened>> + 'o;

/// How many versions are opened in one request.
const AT_ONCE: usize = 256;

/// What values are, without saying it: by the marks of their ciphertexts.
#[derive(Default)]
pub(super) struct Compared {
    salt: [u8; 32],
    digests: HashMap<Mark, [u8; 32]>,
    /// The ciphertexts, each with what stands for its data key. SealedSecrets say that by themselves.
    data_keys: Vec<(Mark, Mark)>,
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
                let mut data_key = Mark::default();
                data_key.iter_mut().zip(self.digest(key.as_bytes())).for_each(|(to, from)| *to = from);
                let (tree, source) = (file.document().tree(), file.document().source());
                file.for_each_value(key, &mut |leaf, value| {
                    let text = tree[leaf.node].text.get(source).trim_end();
                    self.digests.insert(mark(text), self.digest(&value.to_plaintext()));
                    self.data_keys.push((mark(text), data_key));
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
    /// Opens the versions of which values may have been encrypted again, and what HEAD has of these. More may become
    /// readable by what is found, and is looked at in turn.
    pub(super) fn compare(&mut self, git: &Git<'_>, open: &mut Open<'_>) -> Result<()> {
        OsRng.fill_bytes(&mut self.compared.salt);
        let mut opened = HashSet::new();
        loop {
            let wanted: Vec<usize> = self.wanted().into_iter().filter(|blob| opened.insert(*blob)).collect();
            if wanted.is_empty() {
                return Ok(());
            }
            self.open(git, &wanted, open)?;
            for (mark, data_key) in std::mem::take(&mut self.compared.data_keys) {
                if let Some(token) = self.tokens.get(&mark) {
                    self.classes.join(token.class, data_key);
                }
            }
        }
    }

    /// The versions with values that could be read and that HEAD has something in the place of, and what that is. Besides
    /// one version for each data key of these files: it may be one that is known, under ciphertexts that are not.
    fn wanted(&mut self) -> BTreeSet<usize> {
        let in_head: HashMap<usize, usize> =
            self.head.iter().flat_map(|(blob, paths)| paths.iter().map(|path| (*path, *blob))).collect();
        let (mut wanted, mut files, mut by_class) = (BTreeSet::new(), HashSet::new(), HashMap::new());
        let tokens: Vec<_> =
            self.tokens.values().map(|token| (token.class, token.place, token.newest)).collect();
        for (class, place, newest) in tokens {
            let now = self.follow(place);
            let is_readable = self.classes.share(class).is_some();
            if is_readable && self.head_values.contains_key(&now) {
                wanted.insert(newest);
                wanted.extend(in_head.get(&now.0));
            }
            for file in [place.0, now.0] {
                let of_class = by_class.entry((self.classes.root(class), file)).or_insert(newest);
                *of_class = newest.min(*of_class);
                files.extend(is_readable.then_some(file));
            }
        }
        let of_files = by_class.into_iter().filter(|((_, file), _)| files.contains(file));
        wanted.extend(of_files.map(|(_, newest)| newest));
        wanted
    }

    fn open(&mut self, git: &Git<'_>, wanted: &[usize], open: &mut Open<'_>) -> Result<()> {
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
            wanted,
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
