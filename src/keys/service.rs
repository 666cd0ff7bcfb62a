//! The key service: wraps data keys for master keys and unwraps them again, many at a time.
//!
//! Every access to a master key goes through here, so that a hundred files cost one reading of each identity source
//! and each wrapped key is opened once. Owns the rounds in which keys are tried; names no kind of master key. What it
//! unwrapped it remembers by the SHA-256 of the key and the ciphertext, for as long as it lives: one that outlives a
//! command, or serves several tenants, has to be thrown away in time by its owner. Work on age keys blocks the thread
//! that polls it, up to a plugin's or a person's answer: inside a runtime it belongs on a thread for blocking work.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::entry::{Fields, set};
use super::groups::{Opening, Plan, SHARE_LENGTH, Step, new_payloads, threshold};
use super::kind::Wrapped;
use super::kinds::{Opened, Slots, Workers};
use super::unopened::{Failure, NotOpened};
#[cfg(feature = "vault")]
use super::vault::Vault;
use super::{Allowed, Identities, KeyKind, KeySet, MasterKey, StartedBy, WrappedDataKey, WrappedKey};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::names::Names;
use crate::secret::{DataKey, SecretBytes};

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
    workers: Workers,
    order: Vec<KeyKind>,
    names: Names,
    #[cfg(feature = "keyservice")]
    others: super::remote::Others,
    opened: Mutex<HashMap<[u8; 32], SecretBytes>>,
}

impl<'h> KeyService<'h> {
    /// A service that asks no server.
    pub fn new(host: &'h dyn Host, identities: Identities) -> Self {
        let order = KeyKind::DEFAULT_ORDER.to_vec();
        Self {
            host,
            workers: Workers::new(identities),
            order,
            names: Names::default(),
            #[cfg(feature = "keyservice")]
            others: super::remote::Others::default(),
            opened: Mutex::default(),
        }
    }

    /// The same service, which says what people call those who could open what is not opened.
    #[must_use]
    pub fn with_names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    /// The same service with other key services, which are asked where the keys of this machine do not help.
    #[cfg(feature = "keyservice")]
    #[must_use]
    pub fn with_others(mut self, others: super::remote::Others) -> Self {
        self.others = others;
        self
    }

    /// Wraps some bytes for one key, as it is asked of a key service.
    #[cfg(feature = "keyservice")]
    pub(super) async fn wrap_one(&self, key: &MasterKey, payload: &[u8]) -> Result<String> {
        let wrapped = self.wrap_payloads(&[(key, payload)]).await.pop();
        wrapped.unwrap_or_else(|| Err(nobody_asks(key))).map(|wrapped| wrapped.enc)
    }

    /// Unwraps what one key has wrapped, a data key or a share of one.
    #[cfg(feature = "keyservice")]
    pub(super) async fn unwrap_one(&self, wrapped: &WrappedKey) -> Result<SecretBytes> {
        let mut failed = None;
        for length in [DataKey::LEN, SHARE_LENGTH] {
            let step = Step { keys: vec![wrapped], group: std::slice::from_ref(wrapped), length };
            match self.take_steps(&[&step]).await.pop() {
                Some(Ok(payload)) => return Ok(payload),
                Some(Err(failures)) => failed = failures.into_iter().next().or(failed),
                None => {}
            }
        }
        let problem = failed.map_or_else(|| "no key opens it".to_owned(), |failure: Failure| failure.problem);
        Err(Error::new(Kind::NoDataKey, problem))
    }

    /// The same service with another order in which the kinds of keys in a group are tried ([`KeyKind::parse_order`]).
    #[must_use]
    pub fn with_decryption_order(mut self, order: Vec<KeyKind>) -> Self {
        self.order = order;
        self
    }

    /// The same service with transit keys of Vault and OpenBao.
    #[cfg(feature = "vault")]
    #[must_use]
    pub fn with_vault(mut self, vault: Vault) -> Self {
        self.workers.vault = Some(vault);
        self
    }

    /// The same service with keys in clouds and the user's own credentials for them. Who started the command decides
    /// what is done where only a file or a rule asks for it.
    #[must_use]
    pub fn with_clouds(mut self, started_by: StartedBy) -> Self {
        self.workers = self.workers.with_clouds(started_by, None);
        self
    }

    /// The same service with these keys in clouds and no others, used as the program itself: for a controller.
    #[must_use]
    pub fn with_allowed_clouds(mut self, allowed: &Allowed) -> Self {
        self.workers = self.workers.with_clouds(StartedBy::Controller, Some(allowed));
        self
    }

    /// The same with what these keys name (servers, roles, profiles) as named by the user, with a flag or a variable.
    #[must_use]
    pub fn naming<'k>(mut self, keys: impl IntoIterator<Item = &'k MasterKey>) -> Self {
        self.workers = self.workers.naming(&keys.into_iter().collect::<Vec<_>>());
        self
    }

    /// Forgets what it has unwrapped.
    pub fn forget(&self) {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The transit keys of this service, if it has any.
    #[cfg(feature = "vault")]
    pub fn vault(&self) -> Option<&Vault> {
        self.workers.vault.as_ref()
    }

    /// The outside as this service sees it.
    pub fn host(&self) -> &dyn Host {
        self.host
    }

    /// A new data key for each of these sets of master keys, wrapped for every key of the set. With two groups or more
    /// each group gets a Shamir share of its own. The results are in the order of the sets, their groups and keys in
    /// that of the set. An old data key is wrapped by [`KeyService::rekey_many`] alone.
    pub async fn new_data_keys(&self, sets: &[&KeySet]) -> Vec<Result<(DataKey, WrappedDataKey)>> {
        self.data_keys_made_by(DataKey::generate, sets).await
    }

    /// The same with data keys that `make` generates.
    pub(crate) async fn data_keys_made_by(
        &self,
        make: fn() -> DataKey,
        sets: &[&KeySet],
    ) -> Vec<Result<(DataKey, WrappedDataKey)>> {
        let data_keys: Vec<DataKey> = sets.iter().map(|_| make()).collect();
        let requests: Vec<_> = data_keys.iter().zip(sets.iter().copied()).collect();
        let wrapped = self.wrap_many(&requests).await;
        let pair = |((data_key, keys), groups): ((DataKey, &&KeySet), Result<_>)| {
            Ok((data_key, WrappedDataKey { groups: groups?, threshold: threshold(keys) }))
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

    /// Wraps each payload for its master key, in as few requests as each kind allows.
    async fn wrap_payloads(&self, tasks: &[(&MasterKey, &[u8])]) -> Vec<Result<WrappedKey>> {
        let answers = self.wrap_anywhere(tasks).await;
        let wrapped = |((key, _), answer): (&(&MasterKey, _), Option<Result<Wrapped>>)| {
            let Wrapped { enc, key: settled } = answer.unwrap_or_else(|| Err(cannot_wrap(key)))?;
            let mut entry = Fields::new();
            if key.kind().room().is_dated() {
                set(&mut entry, CREATED_AT, Some(self.now().into()));
            }
            Ok(WrappedKey { key: settled.unwrap_or_else(|| (*key).clone()), enc, entry })
        };
        tasks.iter().zip(answers).map(wrapped).collect()
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

    fn plan<'a>(&self, &Rekey { data_key, content, wrapped, keys }: &Rekey<'a>) -> Result<Plan<'a>> {
        let shares: Vec<_> =
            wrapped.groups.iter().map(|group| self.remembered(group, SHARE_LENGTH)).collect();
        let plan = Plan::new(data_key, wrapped, keys, &shares)?;
        if !plan.missing.is_empty() {
            content.verify(data_key)?;
        }
        Ok(plan)
    }

    /// Moves what older versions of master keys have wrapped to their newest versions, without learning any data key;
    /// what is wrapped by keys without versions stays. `None` for a data key of which nothing changes. The results are in
    /// the order of the requests.
    pub async fn rewrap_many(&self, requests: &[&WrappedDataKey]) -> Vec<Result<Option<WrappedDataKey>>> {
        let keys: Vec<&WrappedKey> =
            requests.iter().flat_map(|wrapped| wrapped.groups.iter().flatten()).collect();
        let mut answers = self.workers.rewrap(self.host, &keys).await.into_iter();
        let rewrapped = |wrapped: &&WrappedDataKey| {
            let mut wrapped = (*wrapped).clone();
            let (mut changed, mut failed) = (false, None);
            for (key, answer) in wrapped.groups.iter_mut().flatten().zip(answers.by_ref()) {
                match answer {
                    Some(Ok(Some(enc))) => {
                        changed = true;
                        key.enc = enc;
                        set(&mut key.entry, CREATED_AT, Some(self.now().into()));
                    }
                    Some(Err(error)) => failed = failed.or(Some(error)),
                    None if key.key.is_supported() => failed = failed.or(Some(nobody_asks(&key.key))),
                    Some(Ok(None)) | None => {}
                }
            }
            match failed {
                Some(error) => Err(error),
                None => Ok(changed.then_some(wrapped)),
            }
        };
        requests.iter().map(rewrapped).collect()
    }

    /// Unwraps each data key with whatever opens it. The results are in the order of the requests.
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
            let answers = self.take_steps(&steps.iter().map(|(.., step)| step).collect::<Vec<_>>()).await;
            for ((index, group, _), answer) in steps.iter().zip(answers) {
                openings[*index].record(*group, answer);
            }
        }
        openings.iter().map(|opening| self.data_key_of(opening)).collect()
    }

    async fn take_steps(&self, steps: &[&Step<'_>]) -> Vec<Result<SecretBytes, Vec<Failure>>> {
        let known: Vec<_> = steps.par_iter().map(|step| self.remembered(step.group, step.length)).collect();
        let mut results: Vec<_> = known.into_iter().map(|known| known.ok_or_else(Vec::new)).collect();
        let closed: Vec<usize> = (0..steps.len()).filter(|at| results[*at].is_err()).collect();
        let open: Vec<&Step> = closed.iter().map(|at| steps[*at]).collect();
        let answers = self.open_anywhere(&open).await;
        for ((at, step), answer) in closed.into_iter().zip(open).zip(answers) {
            let nobody = || Err(step.keys.iter().map(|key| Failure::from(&nobody_asks(&key.key))).collect());
            results[at] = answer.unwrap_or_else(nobody).and_then(|opened| self.checked(step, opened));
        }
        results
    }

    #[cfg(not(feature = "keyservice"))]
    async fn wrap_anywhere(&self, tasks: &[(&MasterKey, &[u8])]) -> Slots<Result<Wrapped>> {
        self.workers.wrap(self.host, tasks).await
    }

    #[cfg(not(feature = "keyservice"))]
    async fn open_anywhere(&self, steps: &[&Step<'_>]) -> Slots<Opened> {
        self.workers.open(self.host, steps).await
    }

    /// By the keys of this machine, else by those of other key services.
    #[cfg(feature = "keyservice")]
    async fn wrap_anywhere(&self, tasks: &[(&MasterKey, &[u8])]) -> Slots<Result<Wrapped>> {
        let slots = match self.others.uses_local {
            true => self.workers.wrap(self.host, tasks).await,
            false => tasks.iter().map(|_| None).collect(),
        };
        self.others.wrap(tasks, slots).await
    }

    /// The same for what is to be opened.
    #[cfg(feature = "keyservice")]
    async fn open_anywhere(&self, steps: &[&Step<'_>]) -> Slots<Opened> {
        let slots = match self.others.uses_local {
            true => self.workers.open(self.host, steps).await,
            false => steps.iter().map(|_| None).collect(),
        };
        self.others.open(steps, slots).await
    }

    /// What a key of a step has opened, if it is as long as it has to be.
    fn checked(
        &self,
        step: &Step,
        (index, payload): (usize, SecretBytes),
    ) -> Result<SecretBytes, Vec<Failure>> {
        let wrapped = step.keys[index];
        if payload.len() != step.length {
            let (key, found, length) = (&wrapped.key, payload.len(), step.length);
            let problem = format!("{key}: what it wrapped has {found} bytes instead of {length}");
            return Err(vec![Failure::from(problem)]);
        }
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(print(wrapped), payload.clone());
        Ok(payload)
    }

    fn data_key_of(&self, opening: &Opening) -> Result<DataKey> {
        let wrapped = opening.wrapped;
        if wrapped.groups.iter().all(Vec::is_empty) {
            return Err(Error::new(Kind::NoDataKey, "no master key is named that could open the data key"));
        }
        if opening.opened() >= opening.needed {
            return opening.data_key();
        }
        let has = |kind| wrapped.groups.iter().flatten().any(|wrapped| wrapped.key.kind() == kind);
        let not_opened = NotOpened {
            wrapped,
            opened: opening.opened(),
            needed: opening.needed,
            closed: opening.closed(),
            searched: self.workers.searched(has),
            names: &self.names,
        };
        Err(not_opened.into_error())
    }

    fn remembered(&self, group: &[WrappedKey], length: usize) -> Option<SecretBytes> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = group.iter().filter_map(|wrapped| opened.get(&print(wrapped)));
        known.find(|payload| payload.len() == length).cloned()
    }

    /// Whether an identity that was found on the way is this key's.
    pub fn holds(&self, key: &MasterKey) -> bool {
        key.recipient().is_some_and(|recipient| self.workers.age.has_one_for(recipient))
    }

    /// The master keys of these data keys that this service has opened something with.
    pub fn used<'w>(&self, wrapped: impl IntoIterator<Item = &'w WrappedDataKey>) -> Vec<String> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> = Vec::new();
        for key in wrapped.into_iter().flat_map(|wrapped| wrapped.groups.iter().flatten()) {
            if opened.contains_key(&print(key)) && !names.contains(&key.key.to_string()) {
                names.push(key.key.to_string());
            }
        }
        names
    }
}

/// When a data key was wrapped.
const CREATED_AT: &str = "created_at";

/// What a wrapped key is remembered by.
fn print(wrapped: &WrappedKey) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in [wrapped.key.kind().name(), &wrapped.key.to_string(), &wrapped.enc] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

fn cannot_wrap(key: &MasterKey) -> Error {
    match key.why_unsupported() {
        None => nobody_asks(key),
        Some(why) => {
            Error::new(Kind::Other, format!("cannot wrap a data key for {key}: {why}")).advise(key.instead())
        }
    }
}

/// An error for a key of a kind that this service was made without.
fn nobody_asks(key: &MasterKey) -> Error {
    Error::new(Kind::NoDataKey, format!("{key}: no server may be asked here"))
}

/// Equal for requests that hold the same wrapped keys in the same groups.
fn fingerprint(wrapped: &WrappedDataKey) -> [u8; 32] {
    let mut hash = Sha256::new().chain_update(wrapped.threshold.to_be_bytes());
    for group in &wrapped.groups {
        hash.update(group.len().to_be_bytes());
        group.iter().for_each(|wrapped| hash.update(print(wrapped)));
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::super::{KeyKind, Recipient};
    use super::*;
    use crate::keys::fake_host::FakeHost;

    fn pair() -> (String, MasterKey) {
        let pair = crate::keys::fake_host::pair();
        (pair.secret, MasterKey::Age(pair.recipient))
    }

    /// An entry that names no key.
    fn foreign() -> WrappedKey {
        let entry = serde_json::json!({"key_id": "eu", "enc": "AQ=="});
        WrappedKey::read(KeyKind::HcKms, entry.as_object().unwrap()).unwrap()
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
        let keys = KeySet::of_groups(groups, threshold);
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
        service.workers.age = Identities::none();
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
        wrapped.groups[2] = vec![foreign()];
        let host = FakeHost::default().env("SOPS_AGE_KEY", s1);
        let error = unwrap(&service(&host), &wrapped).unwrap_err();
        let expected = format!(
            "1 of 3 key groups could be opened, and 2 are needed\n\
             group 2 wants any of:\n  {k2}\n\
             group 3 wants any of:\n  hckms eu (`eu` is not the name of a key of Huawei Cloud KMS: it names no region)\n\
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
        wrapped.groups[0].insert(0, foreign());
        let host = FakeHost::default().env("SOPS_AGE_KEY", secret);
        let order = KeyKind::parse_order("hckms,age").unwrap();
        assert_eq!(unwrap(&service(&host).with_decryption_order(order), &wrapped).unwrap(), data_key);

        wrapped.groups[0].truncate(1);
        let error = unwrap(&service(&host), &wrapped).unwrap_err();
        assert!(error.to_string().contains("wanted, any of:\n  hckms eu"), "{error}");
        assert!(error.advice().unwrap().contains("sops updatekeys"));
    }

    #[test]
    fn what_cannot_be_wrapped_is_refused() {
        let (_, mine) = pair();
        let data_key = DataKey::generate();
        let foreign = foreign().key;
        let refused = |groups: &[&[&MasterKey]], threshold, message: &str| {
            let error = wrap(&data_key, groups, threshold).unwrap_err();
            assert!(error.to_string().starts_with(message), "{error}");
            assert_eq!(error.kind(), Kind::Other);
        };
        refused(&[], None, "empty key group provided");
        refused(&[&[]], None, "empty key group provided");
        refused(&[&[&mine], &[]], None, "empty key group provided");
        refused(&[&[&mine], &[&mine]], Some(3), "the Shamir threshold is 3, but there are only 2 key groups");
        refused(&[&[&mine, &foreign]], None, "cannot wrap a data key for hckms eu");
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
