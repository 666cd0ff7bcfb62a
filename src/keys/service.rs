//! The key service: wraps data keys for master keys and unwraps them again, many at a time.
//!
//! Every access to a master key goes through here, so that a hundred files cost one reading of each identity source
//! and each wrapped key is opened once. Owns key groups and the errors that say why a data key did not open. What it
//! unwrapped it remembers by the SHA-256 of the ciphertext, for as long as it lives: one that outlives a command, or
//! serves several tenants, has to be thrown away in time by its owner.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::identities::Wanted;
use super::{Identities, KeyKind, KeySet, MasterKey, WrappedDataKey, WrappedKey, shamir};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::{DataKey, SecretBytes};

/// A share is as long as a data key and has its number behind it.
const SHARE_LENGTH: usize = DataKey::LEN + 1;

/// Wraps and unwraps data keys.
pub struct KeyService<'h> {
    host: &'h dyn Host,
    identities: Identities,
    order: Vec<KeyKind>,
    opened: Mutex<HashMap<[u8; 32], SecretBytes>>,
}

impl<'h> KeyService<'h> {
    pub fn new(host: &'h dyn Host, identities: Identities) -> Self {
        Self {
            host,
            identities,
            order: KeyKind::DEFAULT_ORDER.to_vec(),
            opened: Mutex::default(),
        }
    }

    /// The same service with another order in which the kinds of keys in a group are tried ([`KeyKind::parse_order`]).
    #[must_use]
    pub fn with_decryption_order(mut self, order: Vec<KeyKind>) -> Self {
        self.order = order;
        self
    }

    /// Wraps each data key for every master key of its set. With two groups or more each group gets a Shamir share of
    /// its own. The results stand in the order of the requests, their groups and keys in the order of the set.
    pub async fn wrap_many(&self, requests: &[(&DataKey, &KeySet)]) -> Vec<Result<Vec<Vec<WrappedKey>>>> {
        requests
            .par_iter()
            .map(|(data_key, keys)| self.wrap(data_key, keys))
            .collect()
    }

    fn wrap(&self, data_key: &DataKey, keys: &KeySet) -> Result<Vec<Vec<WrappedKey>>> {
        if keys.groups.is_empty() || keys.groups.iter().any(Vec::is_empty) {
            return Err(Error::new(
                Kind::Other,
                "empty key group provided: nobody could open the data key",
            )
            .advise("name who shall: give a recipient with --age, or add a creation rule to .sops.yaml"));
        }
        let payloads = match keys.groups.len() {
            1 => vec![Zeroizing::new(data_key.as_bytes().to_vec())],
            groups => shamir::split(data_key.as_bytes(), groups, keys.required())?,
        };
        let wrap_group = |(group, payload): (&Vec<MasterKey>, &SecretBytes)| {
            group
                .par_iter()
                .map(|key| self.wrap_for(key, payload))
                .collect::<Result<Vec<_>>>()
        };
        keys.groups.iter().zip(&payloads).map(wrap_group).collect()
    }

    fn wrap_for(&self, key: &MasterKey, payload: &[u8]) -> Result<WrappedKey> {
        let enc = match key {
            MasterKey::Age(recipient) => recipient.wrap(self.host, payload)?,
            MasterKey::Foreign { kind, .. } => {
                return Err(
                    Error::new(Kind::Other, format!("cannot wrap a data key for {key}")).advise(format!(
                        "Sealant does not speak {kind}: use age recipients, or sops for this file"
                    )),
                );
            }
        };
        Ok(WrappedKey {
            key: key.clone(),
            enc,
            entry: serde_json::Map::new(),
        })
    }

    /// Unwraps each data key with whatever identities open it. The results stand in the order of the requests.
    pub async fn unwrap_many(&self, requests: &[&WrappedDataKey]) -> Vec<Result<DataKey>> {
        // The second of two equal requests waits for the first, and then finds what it needs in the cache.
        let mut seen = HashSet::new();
        let (first, again): (Vec<_>, Vec<_>) = requests
            .iter()
            .enumerate()
            .partition(|(_, request)| seen.insert(fingerprint(request)));
        let open = |(index, request): (usize, &&WrappedDataKey)| (index, self.unwrap(request));
        let mut results: Vec<_> = first.into_par_iter().map(open).collect();
        results.par_extend(again.into_par_iter().map(open));
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    fn unwrap(&self, wrapped: &WrappedDataKey) -> Result<DataKey> {
        let (length, needed) = match wrapped.groups.len() {
            1 => (DataKey::LEN, 1),
            _ => (SHARE_LENGTH, wrapped.required()),
        };
        let mut payloads = Vec::new();
        let mut failures = Vec::new();
        for (index, group) in wrapped.groups.iter().enumerate() {
            match self.open_group(group, length) {
                Ok(payload) => payloads.push(payload),
                Err(problems) => failures.push((index, problems)),
            }
            if payloads.len() == needed {
                break;
            }
        }
        if payloads.len() < needed {
            return Err(self.no_data_key(wrapped, payloads.len(), needed, &failures));
        }
        let bytes = match &payloads[..] {
            [whole] if needed == 1 => whole.clone(),
            shares => shamir::combine(shares)?,
        };
        DataKey::from_slice(&bytes).ok_or_else(|| {
            let found = bytes.len();
            Error::new(
                Kind::NoDataKey,
                format!("the data key has {found} bytes instead of {}", DataKey::LEN),
            )
        })
    }

    /// Opens what the keys of a group have wrapped, with the first key that can; else what went wrong on the way.
    fn open_group(&self, group: &[WrappedKey], length: usize) -> Result<SecretBytes, Vec<String>> {
        if let Some(payload) = self.remembered(group, length) {
            return Ok(payload);
        }
        let mut kinds: Vec<KeyKind> = Vec::new();
        for wrapped in group {
            if !kinds.contains(&wrapped.key.kind()) {
                kinds.push(wrapped.key.kind());
            }
        }
        kinds.sort_by_key(|kind| {
            self.order
                .iter()
                .position(|named| named == kind)
                .unwrap_or(self.order.len())
        });

        let mut problems = Vec::new();
        for kind in kinds {
            let opened = match kind {
                KeyKind::Age => self.open_age(group, length),
                // Vault transit keys come here.
                _ => Err(Vec::new()),
            };
            match opened {
                Ok(payload) => return Ok(payload),
                Err(more) => problems.extend(more),
            }
        }
        Err(problems)
    }

    fn open_age(&self, group: &[WrappedKey], length: usize) -> Result<SecretBytes, Vec<String>> {
        let wanted: Vec<Wanted> = group
            .iter()
            .filter_map(|wrapped| match &wrapped.key {
                MasterKey::Age(recipient) => Some(Wanted {
                    recipient,
                    enc: &wrapped.enc,
                }),
                MasterKey::Foreign { .. } => None,
            })
            .collect();
        let (index, payload) = self.identities.open(self.host, &wanted, length)?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(Sha256::digest(wanted[index].enc).into(), payload.clone());
        Ok(payload)
    }

    fn remembered(&self, group: &[WrappedKey], length: usize) -> Option<SecretBytes> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        group
            .iter()
            .filter_map(|wrapped| opened.get(&<[u8; 32]>::from(Sha256::digest(&wrapped.enc))))
            .find(|payload| payload.len() == length)
            .cloned()
    }

    /// Says what would have opened the data key, where identities were looked for, and what was found there.
    fn no_data_key(
        &self,
        wrapped: &WrappedDataKey,
        opened: usize,
        needed: usize,
        failures: &[(usize, Vec<String>)],
    ) -> Error {
        if wrapped.groups.iter().all(Vec::is_empty) {
            return Error::new(
                Kind::NoDataKey,
                "no master key is named that could open the data key",
            );
        }
        let shared = wrapped.groups.len() > 1;
        let mut message = if shared {
            format!(
                "{opened} of {} key groups could be opened, and it takes {needed}",
                wrapped.groups.len()
            )
        } else {
            "no identity at hand opens the data key".to_owned()
        };
        let mut add = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                message.extend(["\n", title].into_iter().map(str::to_owned));
                message.extend(lines.iter().map(|line| format!("\n  {line}")));
            }
        };
        for (index, _) in failures {
            let keys = wrapped.groups[*index].iter().map(|wrapped| match &wrapped.key {
                MasterKey::Age(recipient) => recipient.short(),
                MasterKey::Foreign { kind, .. } => format!("{} (Sealant does not speak {kind})", wrapped.key),
            });
            let title = if shared {
                format!("group {} wants any of:", index + 1)
            } else {
                "wanted, any of:".into()
            };
            add(&title, keys.collect());
        }
        let mut problems: Vec<String> = Vec::new();
        for problem in failures.iter().flat_map(|(_, problems)| problems) {
            if !problems.contains(problem) {
                problems.push(problem.clone());
            }
        }
        add("what went wrong:", problems);
        add("looked for identities in:", self.identities.report());

        let speaks_age = |wrapped: &&WrappedKey| matches!(wrapped.key, MasterKey::Age(_));
        let advice = if wrapped.groups.iter().flatten().find(speaks_age).is_none() {
            "use sops for this file, or have sops add an age recipient to it with `sops updatekeys`"
        } else if self.identities.found_any() {
            "use an identity of one of the recipients, or have somebody who can open the file add your recipient and \
             run `sealant updatekeys`"
        } else {
            "name your identity file with --identity or SOPS_AGE_KEY_FILE; `sealant keygen` makes one"
        };
        Error::new(Kind::NoDataKey, message).advise(advice)
    }
}

/// Equal for requests that hold the same ciphertexts in the same groups.
fn fingerprint(wrapped: &WrappedDataKey) -> [u8; 32] {
    let mut hash = Sha256::new().chain_update(wrapped.threshold.to_be_bytes());
    for group in &wrapped.groups {
        hash.update(group.len().to_be_bytes());
        for wrapped in group {
            hash.update(Sha256::digest(&wrapped.enc));
        }
    }
    hash.finalize().into()
}
