//! The key service: wraps data keys for master keys and unwraps them again, many at a time.
//!
//! Every access to a master key goes through here, so that a hundred files cost one reading of each identity source
//! and each wrapped key is opened once. Owns key groups and the errors that say why a data key did not open. What it
//! unwrapped it remembers by the SHA-256 of the ciphertext, for as long as it lives: one that outlives a command, or
//! serves several tenants, has to be thrown away in time by its owner. Work on age keys blocks the thread that polls
//! it, up to a plugin's or a person's answer: inside a runtime it belongs on a thread for blocking work.

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

/// A data key that was opened, what held it, and for whom it is to be wrapped.
#[derive(Clone, Copy)]
pub struct Rewrap<'a> {
    pub data_key: &'a DataKey,
    pub wrapped: &'a WrappedDataKey,
    pub keys: &'a KeySet,
}

/// Wraps and unwraps data keys.
pub struct KeyService<'h> {
    host: &'h dyn Host,
    identities: Identities,
    order: Vec<KeyKind>,
    opened: Mutex<HashMap<[u8; 32], SecretBytes>>,
}

impl<'h> KeyService<'h> {
    pub fn new(host: &'h dyn Host, identities: Identities) -> Self {
        Self { host, identities, order: KeyKind::DEFAULT_ORDER.to_vec(), opened: Mutex::default() }
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
        requests.par_iter().map(|(data_key, keys)| self.wrap(data_key, keys)).collect()
    }

    fn wrap(&self, data_key: &DataKey, keys: &KeySet) -> Result<Vec<Vec<WrappedKey>>> {
        if keys.groups.is_empty() || keys.groups.iter().any(Vec::is_empty) {
            return Err(Error::new(Kind::Other, "empty key group provided: nobody could open the data key")
                .advise(
                    "name who shall: give a recipient with --age, or add a creation rule to .sops.yaml",
                ));
        }
        let payloads = match keys.groups.len() {
            1 => vec![Zeroizing::new(data_key.as_bytes().to_vec())],
            groups => shamir::split(data_key.as_bytes(), groups, keys.required())?,
        };
        let wrap_group = |(group, payload): (&Vec<MasterKey>, &SecretBytes)| {
            group.par_iter().map(|key| self.wrap_for(key, payload)).collect::<Result<Vec<_>>>()
        };
        keys.groups.iter().zip(&payloads).map(wrap_group).collect()
    }

    fn wrap_for(&self, key: &MasterKey, payload: &[u8]) -> Result<WrappedKey> {
        let enc = match key {
            MasterKey::Age(recipient) => recipient.wrap(self.host, payload)?,
            MasterKey::Foreign { kind, .. } => {
                return Err(Error::new(Kind::Other, format!("cannot wrap a data key for {key}")).advise(
                    format!("Sealant does not speak {kind}: use age recipients, or sops for this file"),
                ));
            }
        };
        Ok(WrappedKey { key: key.clone(), enc, entry: serde_json::Map::new() })
    }

    /// Wraps data keys that [`KeyService::unwrap_many`] has opened for other master keys. Where groups and threshold
    /// stay, what was wrapped for a master key that stays in its group is kept as it is, byte for byte, foreign ones
    /// included. The results stand in the order of the requests.
    pub async fn rewrap_many(&self, requests: &[Rewrap<'_>]) -> Vec<Result<WrappedDataKey>> {
        requests.par_iter().map(|request| self.rewrap(request)).collect()
    }

    fn rewrap(&self, &Rewrap { data_key, wrapped, keys }: &Rewrap<'_>) -> Result<WrappedDataKey> {
        let Some(payloads) = self.payloads(data_key, wrapped, keys)? else {
            let threshold = if keys.groups.len() > 1 { keys.required() } else { 0 };
            return Ok(WrappedDataKey { groups: self.wrap(data_key, keys)?, threshold });
        };
        let rewrap_group = |((old, new), payload): ((&Vec<WrappedKey>, &Vec<MasterKey>), &SecretBytes)| {
            let mut group: Vec<WrappedKey> = Vec::new();
            for kept in old.iter().filter(|kept| new.contains(&kept.key)) {
                if !group.iter().any(|known| known.key == kept.key) {
                    group.push(kept.clone());
                }
            }
            for key in new {
                if !group.iter().any(|known| known.key == *key) {
                    group.push(self.wrap_for(key, payload)?);
                }
            }
            Ok(group)
        };
        let groups = wrapped.groups.iter().zip(&keys.groups).zip(&payloads).map(rewrap_group);
        Ok(WrappedDataKey { groups: groups.collect::<Result<_>>()?, threshold: wrapped.threshold })
    }

    /// What each group's keys have wrapped; `None` when it has to be split anew.
    fn payloads(
        &self,
        data_key: &DataKey,
        wrapped: &WrappedDataKey,
        keys: &KeySet,
    ) -> Result<Option<Vec<SecretBytes>>> {
        if !wrapped.is_shared_as(keys) {
            return Ok(None);
        }
        if wrapped.groups.len() == 1 {
            return Ok(Some(vec![Zeroizing::new(data_key.as_bytes().to_vec())]));
        }
        let opened = wrapped.groups.iter().map(|group| self.remembered(group, SHARE_LENGTH));
        let known: Vec<(usize, SecretBytes)> =
            opened.enumerate().filter_map(|(index, share)| Some((index, share?))).collect();
        // Others may number their shares otherwise than by the groups; then nobody can tell what the others are.
        let is_numbered = |(index, share): &(usize, SecretBytes)| {
            share.last().is_some_and(|x| usize::from(*x) == index + 1)
        };
        if known.len() < wrapped.required() || !known.iter().all(is_numbered) {
            return Ok(None);
        }
        let shares: Vec<_> = known.into_iter().map(|(_, share)| share).take(wrapped.required()).collect();
        let last_x = u8::try_from(wrapped.groups.len()).unwrap_or(u8::MAX);
        (1..=last_x).map(|x| shamir::share_at(&shares, x)).collect::<Result<_>>().map(Some)
    }

    /// Unwraps each data key with whatever identities open it. The results stand in the order of the requests.
    pub async fn unwrap_many(&self, requests: &[&WrappedDataKey]) -> Vec<Result<DataKey>> {
        // The second of two equal requests waits for the first, and then finds what it needs in the cache.
        let mut seen = HashSet::new();
        let (first, again): (Vec<_>, Vec<_>) =
            requests.iter().enumerate().partition(|(_, request)| seen.insert(fingerprint(request)));
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
            Error::new(Kind::NoDataKey, format!("the data key has {found} bytes instead of {}", DataKey::LEN))
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
            self.order.iter().position(|named| named == kind).unwrap_or(self.order.len())
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
                MasterKey::Age(recipient) => Some(Wanted { recipient, enc: &wrapped.enc }),
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
            return Error::new(Kind::NoDataKey, "no master key is named that could open the data key");
        }
        let shared = wrapped.groups.len() > 1;
        let mut message = if shared {
            format!("{opened} of {} key groups could be opened, and it takes {needed}", wrapped.groups.len())
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
            let title =
                if shared { format!("group {} wants any of:", index + 1) } else { "wanted, any of:".into() };
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
        } else if self.identities.any_failed() {
            "put right what is said about the sources above"
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

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::super::fake_host::FakeHost;
    use super::super::{KeyKind, Recipient};
    use super::*;

    const PGP: &str = "85D77543B3D624B63CEA9E6DBC17301B491B3F21";

    fn pair() -> (String, MasterKey) {
        let pair = super::super::fake_host::pair();
        (pair.secret, MasterKey::Age(pair.recipient))
    }

    fn pgp() -> WrappedKey {
        let entry = serde_json::json!({"fp": PGP, "enc": "-----BEGIN PGP MESSAGE-----"});
        WrappedKey::foreign(KeyKind::Pgp, entry.as_object().cloned().unwrap())
    }

    fn service<'h>(host: &'h FakeHost) -> KeyService<'h> {
        KeyService::new(host, Identities::none().with_user_sources(host))
    }

    fn wrap(
        data_key: &DataKey,
        groups: &[&[&MasterKey]],
        threshold: Option<usize>,
    ) -> Result<WrappedDataKey> {
        let groups = groups.iter().map(|group| group.iter().map(|key| (*key).clone()).collect()).collect();
        let keys = KeySet { groups, threshold };
        let host = FakeHost::default();
        let groups = block_on(service(&host).wrap_many(&[(data_key, &keys)])).remove(0)?;
        Ok(WrappedDataKey { groups, threshold: keys.required() })
    }

    fn unwrap(service: &KeyService, wrapped: &WrappedDataKey) -> Result<DataKey> {
        block_on(service.unwrap_many(&[wrapped])).remove(0)
    }

    #[test]
    fn data_keys_come_back_in_the_order_of_the_requests() {
        let ((secret, mine), (_, other)) = (pair(), pair());
        let host = FakeHost::default().env("SOPS_AGE_KEY", secret);
        let data_keys: Vec<_> = (0..20).map(|_| DataKey::generate()).collect();
        let mut wrapped: Vec<_> =
            data_keys.iter().map(|data_key| wrap(data_key, &[&[&other, &mine]], None).unwrap()).collect();
        wrapped[7] = wrap(&data_keys[7], &[&[&other]], None).unwrap();
        wrapped[9] = wrapped[3].clone();

        let requests: Vec<_> = wrapped.iter().collect();
        let results = block_on(service(&host).unwrap_many(&requests));
        for (index, result) in results.into_iter().enumerate() {
            match index {
                7 => assert_eq!(result.unwrap_err().kind(), Kind::NoDataKey),
                9 => assert_eq!(result.unwrap(), data_keys[3]),
                _ => assert_eq!(result.unwrap(), data_keys[index]),
            }
        }
        let ssh = ["read /home/u/.ssh/id_ed25519", "read /home/u/.ssh/id_rsa"];
        assert_eq!(host.calls(), [ssh[0], ssh[1], "read /home/u/.config/sops/age/keys.txt"]);
    }

    #[test]
    fn a_wrapped_key_is_opened_once() {
        let (secret, mine) = pair();
        let data_key = DataKey::generate();
        let wrapped = wrap(&data_key, &[&[&mine]], None).unwrap();
        let host = FakeHost::default().env("SOPS_AGE_KEY", secret);
        let mut service = service(&host);
        assert_eq!(unwrap(&service, &wrapped).unwrap(), data_key);
        service.identities = Identities::none();
        assert_eq!(unwrap(&service, &wrapped).unwrap(), data_key);
    }

    #[test]
    fn any_threshold_groups_make_the_data_key() {
        let ((s1, k1), (s2, k2), (s3, k3), (_, other)) = (pair(), pair(), pair(), pair());
        let data_key = DataKey::generate();
        let wrapped = wrap(&data_key, &[&[&k1], &[&other, &k2], &[&k3]], Some(2)).unwrap();
        for secrets in [[&s1, &s2], [&s1, &s3], [&s3, &s2]] {
            let host = FakeHost::default().env("SOPS_AGE_KEY", format!("{} {}", secrets[0], secrets[1]));
            assert_eq!(unwrap(&service(&host), &wrapped).unwrap(), data_key);
        }
        let host = FakeHost::default().env("SOPS_AGE_KEY", format!("{s1} {s3}"));
        let every = wrap(&data_key, &[&[&k1], &[&k3]], None).unwrap();
        assert_eq!(unwrap(&service(&host), &WrappedDataKey { threshold: 0, ..every }).unwrap(), data_key);
    }

    #[test]
    fn too_few_groups_are_an_error_that_names_the_closed_ones() {
        let ((s1, k1), (_, k2)) = (pair(), pair());
        let mut wrapped = wrap(&DataKey::generate(), &[&[&k1], &[&k2], &[&k2]], Some(2)).unwrap();
        wrapped.groups[2] = vec![pgp()];
        let host = FakeHost::default().env("SOPS_AGE_KEY", s1);
        let error = unwrap(&service(&host), &wrapped).unwrap_err();
        let expected = format!(
            "1 of 3 key groups could be opened, and it takes 2\n\
             group 2 wants any of:\n  {k2}\n\
             group 3 wants any of:\n  pgp {PGP} (Sealant does not speak pgp)\n\
             looked for identities in:\n  \
             /home/u/.ssh/id_ed25519: no such file\n  \
             /home/u/.ssh/id_rsa: no such file\n  \
             SOPS_AGE_KEY: 1 identity ({k1})\n  \
             /home/u/.config/sops/age/keys.txt: no such file\n  \
             not set: SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, SOPS_AGE_KEY_FILE, \
             SOPS_AGE_KEY_CMD"
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_share_is_no_data_key_and_a_data_key_no_share() {
        let (secret, mine) = pair();
        let host = FakeHost::default().env("SOPS_AGE_KEY", secret);
        let whole = wrap(&DataKey::generate(), &[&[&mine]], None).unwrap();
        let mut shares = wrap(&DataKey::generate(), &[&[&mine], &[&mine]], None).unwrap();
        let service = service(&host);

        let single = WrappedDataKey { groups: vec![shares.groups[0].clone()], threshold: 0 };
        let error = unwrap(&service, &single).unwrap_err();
        assert!(error.to_string().contains("has 33 bytes instead of 32"), "{error}");

        shares.groups[1] = whole.groups[0].clone();
        let error = unwrap(&service, &shares).unwrap_err();
        assert!(error.to_string().contains("has 32 bytes instead of 33"), "{error}");

        shares.groups[1] = shares.groups[0].clone();
        let error = unwrap(&service, &shares).unwrap_err();
        assert_eq!(error.to_string(), "the Shamir shares do not fit: two groups hold the same share");
    }

    #[test]
    fn foreign_keys_do_not_stand_in_the_way() {
        let (secret, mine) = pair();
        let data_key = DataKey::generate();
        let mut wrapped = wrap(&data_key, &[&[&mine]], None).unwrap();
        wrapped.groups[0].insert(0, pgp());
        let host = FakeHost::default().env("SOPS_AGE_KEY", secret);
        let order = KeyKind::parse_order("pgp,age").unwrap();
        assert_eq!(unwrap(&service(&host).with_decryption_order(order), &wrapped).unwrap(), data_key);

        wrapped.groups[0].truncate(1);
        let error = unwrap(&service(&host), &wrapped).unwrap_err();
        assert!(error.to_string().contains(&format!("wanted, any of:\n  pgp {PGP}")), "{error}");
        assert!(error.advice().unwrap().contains("sops updatekeys"));
    }

    #[test]
    fn what_cannot_be_wrapped_is_refused() {
        let (_, mine) = pair();
        let data_key = DataKey::generate();
        let foreign = pgp().key;
        let refused = |groups: &[&[&MasterKey]], threshold, message: &str| {
            let error = wrap(&data_key, groups, threshold).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
            assert_eq!(error.kind(), Kind::Other);
        };
        refused(&[], None, "empty key group provided");
        refused(&[&[]], None, "empty key group provided");
        refused(&[&[&mine], &[]], None, "empty key group provided");
        refused(&[&[&mine], &[&mine]], Some(3), "the Shamir threshold is 3, but there are only 2 key groups");
        refused(&[&[&mine, &foreign]], None, "cannot wrap a data key for pgp 85D7");
    }

    #[test]
    fn a_file_without_master_keys_says_so() {
        let host = FakeHost::default();
        for groups in [vec![], vec![vec![]]] {
            let error = unwrap(&service(&host), &WrappedDataKey { groups, threshold: 0 }).unwrap_err();
            assert_eq!(error.to_string(), "no master key is named that could open the data key");
        }
    }

    #[test]
    fn errors_hold_no_key_material() {
        let ((secret, _), (_, wanted)) = (pair(), pair());
        let planted = "PLANTEDSECRET";
        let damaged = format!("{}{planted}", &secret[..40]);
        let host = FakeHost::default()
            .env("SOPS_AGE_KEY", format!("{secret}\n{damaged}\n{planted}"))
            .env("SOPS_AGE_KEY_FILE", "/k")
            .file("/k", format!("AGE-SECRET-KEY-PQ-1{planted} AGE-PLUGIN-X-1{planted}\n{planted}"))
            .env("SOPS_AGE_KEY_CMD", format!("echo {planted} '"))
            .env("SOPS_AGE_SSH_PRIVATE_KEY_CMD", "get")
            .program("get", "*", format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{planted}\n"))
            .file("/home/u/.ssh/id_ed25519", include_str!("../../fixtures/age/ssh/locked"))
            .passphrase("PLANTEDSECRET");
        let locked: Recipient = include_str!("../../fixtures/age/ssh/locked.pub").parse().unwrap();
        let wrapped = wrap(&DataKey::generate(), &[&[&wanted, &MasterKey::Age(locked)]], None).unwrap();
        let error = unwrap(&service(&host), &wrapped).unwrap_err();
        let text = format!("{error}{error:?}{}", error.advice().unwrap());
        assert!(text.contains("wrong passphrase") && text.contains("SOPS_AGE_KEY: 1 identity"), "{text}");
        assert!(!text.contains(planted) && !text.contains(&secret[20..40]), "{text}");
    }
}
