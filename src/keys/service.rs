//! The key service: wraps data keys for master keys and unwraps them again, many at a time.
//!
//! Every access to a master key goes through here, so that a hundred files cost one reading of each identity source
//! and each wrapped key is opened once. Owns key groups and the errors that say why a data key did not open. What it
//! unwrapped it remembers by the SHA-256 of the ciphertext, for as long as it lives: one that outlives a command, or
//! serves several tenants, has to be thrown away in time by its owner. Work on age keys blocks the thread that polls
//! it, up to a plugin's or a person's answer: inside a runtime it belongs on a thread for blocking work.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use serde_json::Map;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::identities::Wanted;
use super::vault::{TransitKey, Vault, version_of};
use super::{Identities, KeyKind, KeySet, MasterKey, WrappedDataKey, WrappedKey, shamir};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::{DataKey, SecretBytes};

/// A share is as long as a data key and has its number behind it.
const SHARE_LENGTH: usize = DataKey::LEN + 1;

/// What is encrypted under a data key, as a whole.
pub trait Content: Sync {
    /// Opens all of it: an error when something is not what was encrypted, or when nobody can tell.
    fn verify(&self, data_key: &DataKey) -> Result<()>;
}

/// A data key that was opened, what it encrypts, what held it, and for whom it is to be wrapped.
#[derive(Clone, Copy)]
pub struct Rekey<'a> {
    pub data_key: &'a DataKey,
    pub content: &'a dyn Content,
    pub wrapped: &'a WrappedDataKey,
    pub keys: &'a KeySet,
}

/// Wraps and unwraps data keys.
pub struct KeyService<'h> {
    host: &'h dyn Host,
    identities: Identities,
    vault: Option<Vault>,
    order: Vec<KeyKind>,
    opened: Mutex<HashMap<[u8; 32], SecretBytes>>,
}

impl<'h> KeyService<'h> {
    /// A service that asks no Vault server.
    pub fn new(host: &'h dyn Host, identities: Identities) -> Self {
        let order = KeyKind::DEFAULT_ORDER.to_vec();
        Self { host, identities, vault: None, order, opened: Mutex::default() }
    }

    /// The same service with another order in which the kinds of keys in a group are tried ([`KeyKind::parse_order`]).
    #[must_use]
    pub fn with_decryption_order(mut self, order: Vec<KeyKind>) -> Self {
        self.order = order;
        self
    }

    /// The same service with transit keys of Vault and OpenBao.
    #[must_use]
    pub fn with_vault(mut self, vault: Vault) -> Self {
        self.vault = Some(vault);
        self
    }

    /// The same with the servers of these keys as ones that the user has named, by a flag or a variable.
    #[cfg(feature = "vault")]
    #[must_use]
    pub fn naming<'k>(mut self, keys: impl IntoIterator<Item = &'k MasterKey>) -> Self {
        let transit = keys.into_iter().filter_map(|key| match key {
            MasterKey::Vault(key) => Some(key),
            _ => None,
        });
        self.vault = self.vault.map(|vault| vault.naming(transit));
        self
    }

    /// Forgets what it has unwrapped.
    pub fn forget(&self) {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The transit keys of this service, if it has any.
    pub fn vault(&self) -> Option<&Vault> {
        self.vault.as_ref()
    }

    /// A new data key for each of these sets of master keys, wrapped for every key of the set. With two groups or more
    /// each group gets a Shamir share of its own. The results are in the order of the sets, their groups and keys in
    /// that of the set. An old data key is wrapped by [`KeyService::rekey_many`] alone.
    pub async fn new_data_keys(&self, sets: &[&KeySet]) -> Vec<Result<(DataKey, WrappedDataKey)>> {
        let data_keys: Vec<DataKey> = sets.iter().map(|_| DataKey::generate()).collect();
        let requests: Vec<_> = data_keys.iter().zip(sets.iter().copied()).collect();
        let wrapped = self.wrap_many(&requests).await;
        let pair = |((data_key, keys), groups): ((DataKey, &&KeySet), Result<_>)| {
            let threshold = if keys.groups.len() > 1 { keys.required() } else { 0 };
            Ok((data_key, WrappedDataKey { groups: groups?, threshold }))
        };
        data_keys.into_iter().zip(sets).zip(wrapped).map(pair).collect()
    }

    async fn wrap_many(&self, requests: &[(&DataKey, &KeySet)]) -> Vec<Result<Vec<Vec<WrappedKey>>>> {
        let payloads: Vec<_> =
            requests.par_iter().map(|(data_key, keys)| new_payloads(data_key, keys)).collect();
        let ready = requests.iter().zip(&payloads).filter_map(|((_, keys), payloads)| {
            payloads.as_ref().ok().map(|payloads| keys.groups.iter().zip(payloads))
        });
        let tasks: Vec<(&MasterKey, &[u8])> = ready
            .flatten()
            .flat_map(|(group, payload)| group.iter().map(|key| (key, payload.as_slice())))
            .collect();
        let mut wrapped = self.wrap_payloads(&tasks).await.into_iter();
        let mut take = |group: &Vec<MasterKey>| -> Vec<Result<WrappedKey>> {
            wrapped.by_ref().take(group.len()).collect()
        };
        let assemble = |((_, keys), payloads): (&(&DataKey, &KeySet), Result<_>)| {
            payloads?;
            // All of them are taken before the first error counts: what is left belongs to the next request.
            let groups: Vec<_> = keys.groups.iter().map(&mut take).collect();
            groups.into_iter().map(|group| group.into_iter().collect()).collect()
        };
        requests.iter().zip(payloads).map(assemble).collect()
    }

    /// Wraps each payload for its master key: age keys here, transit keys in as few requests as can be.
    async fn wrap_payloads(&self, tasks: &[(&MasterKey, &[u8])]) -> Vec<Result<WrappedKey>> {
        let in_vault: Vec<(&TransitKey, &[u8])> = tasks
            .iter()
            .filter_map(|(key, payload)| match key {
                MasterKey::Vault(key) => Some((key, *payload)),
                _ => None,
            })
            .collect();
        let here: Vec<Option<Result<String>>> =
            tasks.par_iter().map(|(key, payload)| self.wrap_here(key, payload)).collect();
        let mut from_vault = match &self.vault {
            Some(vault) if !in_vault.is_empty() => vault.encrypt_many(self.host, &in_vault).await,
            _ => in_vault.iter().map(|(key, _)| Err(no_vault(key))).collect(),
        }
        .into_iter();
        let mut answer =
            |enc: Option<_>| enc.or_else(|| from_vault.next()).unwrap_or_else(|| Err(no_answer()));
        let wrapped = |((key, _), enc): (&(&MasterKey, _), Option<_>)| {
            let enc = answer(enc)?;
            let mut entry = Map::new();
            if matches!(key, MasterKey::Vault(_)) {
                entry.insert("created_at".to_owned(), self.now().into());
            }
            Ok(WrappedKey { key: (*key).clone(), enc, entry })
        };
        tasks.iter().zip(here).map(wrapped).collect()
    }

    /// Wraps for a key that takes no server; `None` for one that does.
    fn wrap_here(&self, key: &MasterKey, payload: &[u8]) -> Option<Result<String>> {
        match key {
            MasterKey::Age(recipient) => Some(recipient.wrap(self.host, payload)),
            MasterKey::Vault(_) => None,
            MasterKey::Foreign { kind, .. } => {
                let error = Error::new(Kind::Other, format!("cannot wrap a data key for {key}"));
                Some(Err(error.advise(format!(
                    "Sealant does not speak {kind}: use age recipients, or sops for this file"
                ))))
            }
        }
    }

    /// The time as files have it.
    fn now(&self) -> String {
        self.host.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Wraps data keys that [`KeyService::unwrap_many`] has opened for other master keys. Where groups and threshold
    /// stay, what was wrapped for a master key that stays in its group is kept as it is, byte for byte, foreign ones
    /// included. The results are in the order of the requests.
    ///
    /// Before anything is wrapped, all that the data key encrypts is verified: a file can hold the data key of another
    /// one, and whoever gets it reads that one, too. Where master keys only go, nothing is wrapped, and nothing verified.
    pub async fn rekey_many(&self, requests: &[Rekey<'_>]) -> Vec<Result<WrappedDataKey>> {
        let plans: Vec<Result<Plan>> = requests.par_iter().map(|request| self.plan(request)).collect();
        let tasks: Vec<(&MasterKey, &[u8])> = plans
            .iter()
            .flatten()
            .flat_map(|plan| plan.missing.iter().map(|(_, key, payload)| (*key, &payload[..])))
            .collect();
        let mut wrapped = self.wrap_payloads(&tasks).await.into_iter();
        let carry_out = |plan: Result<Plan>| {
            let Plan { mut groups, threshold, missing } = plan?;
            let new: Vec<_> = wrapped.by_ref().take(missing.len()).collect();
            for ((index, ..), wrapped) in missing.iter().zip(new) {
                groups[*index].push(wrapped?);
            }
            Ok(WrappedDataKey { groups, threshold })
        };
        plans.into_iter().map(carry_out).collect()
    }

    /// What of a data key's wrappings stays, and which are missing.
    fn plan<'a>(&self, &Rekey { data_key, content, wrapped, keys }: &Rekey<'a>) -> Result<Plan<'a>> {
        let (kept, payloads, threshold) = match self.payloads(data_key, wrapped, keys)? {
            // A number that nothing is shared out by is put right; none at all means every group.
            Some(payloads) if wrapped.groups.len() > 1 && wrapped.threshold > 0 => {
                (&wrapped.groups[..], payloads, wrapped.required())
            }
            Some(payloads) => (&wrapped.groups[..], payloads, wrapped.threshold),
            None => {
                let threshold = if keys.groups.len() > 1 { keys.required() } else { 0 };
                (&[][..], new_payloads(data_key, keys)?, threshold)
            }
        };
        let mut plan = Plan { groups: Vec::new(), threshold, missing: Vec::new() };
        for (index, (new, payload)) in keys.groups.iter().zip(payloads).enumerate() {
            let mut group: Vec<WrappedKey> = Vec::new();
            for kept in kept.get(index).into_iter().flatten().filter(|kept| new.contains(&kept.key)) {
                if !group.iter().any(|known| known.key == kept.key) {
                    group.push(kept.clone());
                }
            }
            let mut missing: Vec<&MasterKey> = Vec::new();
            for key in new {
                if !missing.contains(&key) && !group.iter().any(|known| known.key == *key) {
                    missing.push(key);
                }
            }
            plan.missing.extend(missing.into_iter().map(|key| (index, key, payload.clone())));
            plan.groups.push(group);
        }
        if !plan.missing.is_empty() {
            content.verify(data_key)?;
        }
        Ok(plan)
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

    /// Moves what transit keys have wrapped to the newest versions of these keys, without learning any data key; what
    /// other keys have wrapped stays. `None` for a data key of which nothing changes. The results stand in the order
    /// of the requests.
    pub async fn rewrap_many(&self, requests: &[&WrappedDataKey]) -> Vec<Result<Option<WrappedDataKey>>> {
        let in_vault: Vec<(&TransitKey, &str)> =
            requests.iter().flat_map(|wrapped| wrapped.groups.iter().flatten()).filter_map(transit).collect();
        let mut answers = match &self.vault {
            Some(vault) if !in_vault.is_empty() => vault.rewrap_many(self.host, &in_vault).await,
            _ => in_vault.iter().map(|(key, _)| Err(no_vault(key))).collect(),
        }
        .into_iter();
        let rewrapped = |wrapped: &&WrappedDataKey| {
            let mut wrapped = (*wrapped).clone();
            let (mut changed, mut failed) = (false, None);
            for key in
                wrapped.groups.iter_mut().flatten().filter(|key| matches!(key.key, MasterKey::Vault(_)))
            {
                match answers.next().unwrap_or_else(|| Err(no_answer())) {
                    Ok(enc) if version_of(&enc) > version_of(&key.enc) => {
                        changed = true;
                        key.enc = enc;
                        key.entry.insert("created_at".to_owned(), self.now().into());
                    }
                    Ok(_) => {}
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            match failed {
                Some(error) => Err(error),
                None => Ok(changed.then_some(wrapped)),
            }
        };
        requests.iter().map(rewrapped).collect()
    }

    /// Unwraps each data key with whatever opens it. The results stand in the order of the requests.
    pub async fn unwrap_many(&self, requests: &[&WrappedDataKey]) -> Vec<Result<DataKey>> {
        // The second of two equal requests waits for the first, and then finds what it needs in the cache.
        let mut seen = HashSet::new();
        let (first, again): (Vec<_>, Vec<_>) =
            requests.iter().enumerate().partition(|(_, request)| seen.insert(fingerprint(request)));
        let mut results = Vec::new();
        for part in [first, again] {
            let wrapped: Vec<&WrappedDataKey> = part.iter().map(|(_, wrapped)| **wrapped).collect();
            results.extend(part.iter().map(|(index, _)| *index).zip(self.open_many(&wrapped).await));
        }
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Opens data keys in rounds: in each, every data key that is not open yet tries what comes next for as many of
    /// its groups as it still needs, all of them together.
    async fn open_many(&self, wrapped: &[&WrappedDataKey]) -> Vec<Result<DataKey>> {
        let mut openings: Vec<Opening> =
            wrapped.iter().map(|wrapped| Opening::new(wrapped, &self.order)).collect();
        loop {
            let mut steps = Vec::new();
            for (index, opening) in openings.iter_mut().enumerate() {
                steps.extend(opening.next_steps().into_iter().map(|(group, step)| (index, group, step)));
            }
            if steps.is_empty() {
                break;
            }
            let answers = self.take_steps(&steps).await;
            for ((index, group, _), answer) in steps.iter().zip(answers) {
                openings[*index].groups[*group].record(answer);
            }
        }
        openings.iter().map(|opening| self.data_key_of(opening)).collect()
    }

    async fn take_steps(&self, steps: &[(usize, usize, Step<'_>)]) -> Vec<Result<SecretBytes, Vec<Failure>>> {
        let mut in_vault = Vec::new();
        let here: Vec<Option<_>> = steps
            .par_iter()
            .map(|(_, _, step)| match self.remembered(step.group, step.length) {
                Some(payload) => Some(Ok(payload)),
                None if step.transit.is_none() => Some(self.open_age(step.group, step.length)),
                None => None,
            })
            .collect();
        for ((_, _, step), _) in steps.iter().zip(&here).filter(|(_, here)| here.is_none()) {
            in_vault.extend(step.transit.map(|(key, enc)| (key, enc, step.length)));
        }
        let mut from_vault = self.open_in_vault(&in_vault).await.into_iter();
        let answer = |here: Option<_>| here.or_else(|| from_vault.next()).unwrap_or_else(|| Err(Vec::new()));
        here.into_iter().map(answer).collect()
    }

    fn open_age(&self, group: &[WrappedKey], length: usize) -> Result<SecretBytes, Vec<Failure>> {
        let wanted: Vec<Wanted> = group
            .iter()
            .filter_map(|wrapped| match &wrapped.key {
                MasterKey::Age(recipient) => Some(Wanted { recipient, enc: &wrapped.enc }),
                _ => None,
            })
            .collect();
        let opened = self.identities.open(self.host, &wanted, length);
        let (index, payload) =
            opened.map_err(|problems| problems.into_iter().map(Failure::from).collect::<Vec<_>>())?;
        self.remember(wanted[index].enc, &payload);
        Ok(payload)
    }

    async fn open_in_vault(
        &self,
        wanted: &[(&TransitKey, &str, usize)],
    ) -> Vec<Result<SecretBytes, Vec<Failure>>> {
        let requests: Vec<_> = wanted.iter().map(|(key, enc, _)| (*key, *enc)).collect();
        let answers = match &self.vault {
            Some(vault) if !requests.is_empty() => vault.decrypt_many(self.host, &requests).await,
            _ => requests.iter().map(|(key, _)| Err(no_vault(key))).collect(),
        };
        let open = |(&(key, enc, length), answer): (&(&TransitKey, &str, usize), Result<SecretBytes>)| {
            let payload = answer.map_err(|error| vec![Failure::from(&error)])?;
            if payload.len() != length {
                let found = payload.len();
                return Err(vec![Failure::from(format!(
                    "{key}: what it wrapped has {found} bytes instead of {length}"
                ))]);
            }
            self.remember(enc, &payload);
            Ok(payload)
        };
        wanted.iter().zip(answers).map(open).collect()
    }

    fn remember(&self, enc: &str, payload: &SecretBytes) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(Sha256::digest(enc).into(), payload.clone());
    }

    fn data_key_of(&self, opening: &Opening) -> Result<DataKey> {
        let payloads: Vec<&SecretBytes> =
            opening.groups.iter().filter_map(|group| group.payload.as_ref()).collect();
        if payloads.len() < opening.needed {
            return Err(self.no_data_key(opening, payloads.len()));
        }
        let bytes = match &payloads[..] {
            [whole] if opening.needed == 1 => (*whole).clone(),
            shares => shamir::combine(&shares.iter().map(|share| (*share).clone()).collect::<Vec<_>>())?,
        };
        DataKey::from_slice(&bytes).ok_or_else(|| {
            let found = bytes.len();
            Error::new(Kind::NoDataKey, format!("the data key has {found} bytes instead of {}", DataKey::LEN))
        })
    }

    fn remembered(&self, group: &[WrappedKey], length: usize) -> Option<SecretBytes> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        group
            .iter()
            .filter_map(|wrapped| opened.get(&<[u8; 32]>::from(Sha256::digest(&wrapped.enc))))
            .find(|payload| payload.len() == length)
            .cloned()
    }

    /// The master keys of these data keys that this service has opened something with.
    pub fn used<'w>(&self, wrapped: impl IntoIterator<Item = &'w WrappedDataKey>) -> Vec<String> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> = Vec::new();
        for key in wrapped.into_iter().flat_map(|wrapped| wrapped.groups.iter().flatten()) {
            let is_open = opened.contains_key(&<[u8; 32]>::from(Sha256::digest(&key.enc)));
            if is_open && !names.contains(&key.key.to_string()) {
                names.push(key.key.to_string());
            }
        }
        names
    }

    /// The outside as this service sees it.
    pub fn host(&self) -> &dyn Host {
        self.host
    }

    /// Says what would have opened the data key, where identities were looked for, and what was found there.
    fn no_data_key(&self, opening: &Opening, opened: usize) -> Error {
        let wrapped = opening.wrapped;
        if wrapped.groups.iter().all(Vec::is_empty) {
            return Error::new(Kind::NoDataKey, "no master key is named that could open the data key");
        }
        let shared = wrapped.groups.len() > 1;
        let message = if shared {
            let (groups, needed) = (wrapped.groups.len(), opening.needed);
            format!("{opened} of {groups} key groups could be opened, and it takes {needed}")
        } else {
            "no identity at hand opens the data key".to_owned()
        };
        let (mut wanted, mut details) = (Vec::new(), Vec::new());
        let add = |to: &mut Vec<String>, title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                to.push(title.to_owned());
                to.extend(lines.iter().map(|line| format!("  {line}")));
            }
        };
        let closed: Vec<(usize, &Group)> =
            opening.groups.iter().enumerate().filter(|(_, group)| group.payload.is_none()).collect();
        for (index, _) in &closed {
            let title =
                if shared { format!("group {} wants any of:", index + 1) } else { "wanted, any of:".into() };
            add(&mut wanted, &title, wrapped.groups[*index].iter().map(|wrapped| wrapped.wanted()).collect());
        }
        let mut failures: Vec<&Failure> = Vec::new();
        for failure in closed.iter().flat_map(|(_, group)| &group.failures) {
            if !failures.contains(&failure) {
                failures.push(failure);
            }
        }
        let problems = failures.iter().map(|failure| failure.problem.clone()).collect();
        add(&mut details, "what went wrong:", problems);
        let has =
            |test: fn(&MasterKey) -> bool| wrapped.groups.iter().flatten().any(|wrapped| test(&wrapped.key));
        let speaks_age = has(|key| matches!(key, MasterKey::Age(_)));
        let speaks_vault = has(|key| matches!(key, MasterKey::Vault(_)));
        if speaks_age {
            add(&mut details, "looked for identities in:", self.identities.report());
        }

        let of_vault = failures.iter().find_map(|failure| failure.advice.clone());
        let advice = match of_vault {
            Some(advice) => advice,
            None if !speaks_age && speaks_vault => "put right what is said above".to_owned(),
            None if !speaks_age => {
                "use sops for this file, or have sops add an age recipient to it with `sops updatekeys`"
                    .to_owned()
            }
            None if self.identities.found_any() => {
                "use an identity of one of the recipients, or have somebody who can open the file add your \
                 recipient and run `sealant updatekeys`"
                    .to_owned()
            }
            None if self.identities.any_failed() => {
                "put right what is said about the sources above".to_owned()
            }
            None => {
                "name your identity file with --identity or SOPS_AGE_KEY_FILE; `sealant keygen` makes one"
                    .to_owned()
            }
        };
        let passing = failures.iter().any(|failure| failure.passing);
        let error = Error::new(Kind::NoDataKey, message).listing(wanted).detailing(details);
        error.advise(advice).passing(passing)
    }
}

/// What of a data key's wrappings stays, and what is missing: for which group, for whom, of what.
struct Plan<'a> {
    groups: Vec<Vec<WrappedKey>>,
    threshold: usize,
    missing: Vec<(usize, &'a MasterKey, SecretBytes)>,
}

/// A data key that is being opened.
struct Opening<'a> {
    wrapped: &'a WrappedDataKey,
    /// How many groups have to be opened.
    needed: usize,
    groups: Vec<Group<'a>>,
}

/// A group of which one key has to open its payload.
struct Group<'a> {
    steps: VecDeque<Step<'a>>,
    payload: Option<SecretBytes>,
    failures: Vec<Failure>,
}

/// One try: with the age identities at hand, or with one transit key.
struct Step<'a> {
    group: &'a [WrappedKey],
    /// Of the payload, in bytes.
    length: usize,
    transit: Option<(&'a TransitKey, &'a str)>,
}

/// Why a try failed, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    problem: String,
    advice: Option<String>,
    passing: bool,
}

impl From<String> for Failure {
    fn from(problem: String) -> Self {
        Self { problem, advice: None, passing: false }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            problem: error.message().to_owned(),
            advice: error.advice().map(str::to_owned),
            passing: error.may_pass(),
        }
    }
}

impl<'a> Opening<'a> {
    fn new(wrapped: &'a WrappedDataKey, order: &[KeyKind]) -> Self {
        let (length, needed) = match wrapped.groups.len() {
            1 => (DataKey::LEN, 1),
            _ => (SHARE_LENGTH, wrapped.required()),
        };
        let groups = wrapped.groups.iter().map(|group| Group::new(group, length, order)).collect();
        Self { wrapped, needed, groups }
    }

    /// What to try next for the first groups of which an answer is still needed.
    fn next_steps(&mut self) -> Vec<(usize, Step<'a>)> {
        let opened = self.groups.iter().filter(|group| group.payload.is_some()).count();
        let closed = self.groups.iter_mut().enumerate().filter(|(_, group)| group.payload.is_none());
        let next = closed.filter_map(|(index, group)| Some((index, group.steps.pop_front()?)));
        next.take(self.needed.saturating_sub(opened)).collect()
    }
}

impl<'a> Group<'a> {
    fn new(group: &'a [WrappedKey], length: usize, order: &[KeyKind]) -> Self {
        let mut kinds: Vec<KeyKind> = Vec::new();
        for wrapped in group {
            if !kinds.contains(&wrapped.key.kind()) {
                kinds.push(wrapped.key.kind());
            }
        }
        kinds.sort_by_key(|kind| order.iter().position(|named| named == kind).unwrap_or(order.len()));
        let mut steps = VecDeque::new();
        for kind in kinds {
            match kind {
                KeyKind::Age => steps.push_back(Step { group, length, transit: None }),
                KeyKind::HcVault => {
                    let keys = group.iter().filter_map(transit);
                    steps.extend(keys.map(|transit| Step { group, length, transit: Some(transit) }));
                }
                _ => {}
            }
        }
        Self { steps, payload: None, failures: Vec::new() }
    }

    fn record(&mut self, answer: Result<SecretBytes, Vec<Failure>>) {
        match answer {
            Ok(payload) => self.payload = Some(payload),
            Err(failures) => self.failures.extend(failures),
        }
    }
}

/// A new data key's share for each group, or the whole of it for the only one.
fn new_payloads(data_key: &DataKey, keys: &KeySet) -> Result<Vec<SecretBytes>> {
    if keys.groups.is_empty() || keys.groups.iter().any(Vec::is_empty) {
        return Err(Error::new(Kind::Other, "empty key group provided: nobody could open the data key")
            .advise("name who shall: give a recipient with --age, or add a creation rule to .sops.yaml"));
    }
    match keys.groups.len() {
        1 => Ok(vec![Zeroizing::new(data_key.as_bytes().to_vec())]),
        groups => shamir::split(data_key.as_bytes(), groups, keys.required()),
    }
}

fn transit(wrapped: &WrappedKey) -> Option<(&TransitKey, &str)> {
    match &wrapped.key {
        MasterKey::Vault(key) => Some((key, &wrapped.enc)),
        _ => None,
    }
}

fn no_vault(key: &TransitKey) -> Error {
    Error::new(Kind::NoDataKey, format!("{key}: no Vault server is asked here"))
}

fn no_answer() -> Error {
    Error::new(Kind::NoDataKey, "the key service gave no answer")
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
