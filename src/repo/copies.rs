//! Files that share a data key or a ciphertext: one is a copy of the other, or of part of it.
//!
//! Anybody with access to the copy reads the content of the other, so two copies for different readers are a finding
//! ([`Copies::found`]), and nobody gets access whom the other place does not name ([`Copies::refuse`]). We compare
//! decoded bytes, so that a different spelling hides nothing. Pure, and linear in the files, which the caller lists.
//! Opens nothing, and quotes no value.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::bytes::Regex;
use sha2::{Digest, Sha256};

#[cfg(feature = "bitnami")]
use crate::bitnami;
use crate::document;
use crate::document::Format;
#[cfg(feature = "bitnami")]
use crate::document::{Document, NodeId};
use crate::encrypted_file::{EncryptedFile, KeyedPart};
use crate::error::{Error, Kind, Result};
use crate::foreign::{ansible_vault, dotenvx, git_crypt};
use crate::keys::{self, KeySet, MasterKey, Shares, TooMany, WrappedDataKey};
use crate::rekey::names;
use crate::repo::check::{Finding, Rule};
use crate::secret::{DataKey, SecretBytes};
use crate::sops::{Sample, Trial};
use crate::{sealed_secret, sops};

/// Anything shorter is not a wrapped data key, but may be the same mistake in several files.
const SHORTEST_KEY: usize = 16;

/// How many shared values are named.
const SHOWN: usize = 20;

/// A digest of something random, which is nowhere else by chance.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Print([u8; 16]);

impl Print {
    fn of(kind: &str, bytes: &[u8]) -> Self {
        let digest = Sha256::new().chain_update(kind).chain_update(bytes).finalize();
        let mut print = [0; 16];
        print.copy_from_slice(&digest[..16]);
        Self(print)
    }
}

/// Who can read something: whoever has enough keys for one of its data keys, or for what `publish` makes of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Readers {
    own: BTreeSet<Shares<String>>,
    /// To whom else `publish` gives it.
    sent_to: Option<Shares<String>>,
}

impl Readers {
    fn of(keys: &KeySet) -> Self {
        let own = Some(keys.shares()).filter(|_| !keys.groups.is_empty());
        Self::new(own.into_iter().collect(), keys.sent_to.as_ref())
    }

    fn new(own: BTreeSet<Shares<String>>, sent_to: Option<&Shares<String>>) -> Self {
        let own = Self { own, sent_to: None };
        let sent = sent_to.map(|to| Self { own: BTreeSet::from([to.clone()]), sent_to: None });
        let is_more = sent.is_some_and(|sent| is_wider(&sent, &own));
        Self { sent_to: sent_to.filter(|_| is_more).cloned(), ..own }
    }

    /// Those that a file lists, of all its data keys.
    fn listed(data_keys: &[WrappedDataKey]) -> Self {
        Self {
            own: data_keys.iter().flat_map(|wrapped| Self::of(&listed_in(wrapped)).own).collect(),
            sent_to: None,
        }
    }

    /// Those of a place, and whether a rule names them; else they are those that are `listed`.
    fn of_place(rule: Option<&KeySet>, listed: impl FnOnce() -> Self) -> (Self, bool) {
        match rule {
            None => (listed(), false),
            Some(rule) if rule.is_only_sent() => (Self::new(listed().own, rule.sent_to.as_ref()), false),
            Some(rule) => (Self::of(rule), true),
        }
    }

    /// All ways to read it.
    fn ways(&self) -> impl Iterator<Item = &Shares<String>> {
        self.own.iter().chain(&self.sent_to)
    }

    /// Those that are not among others.
    fn strangers_to(&self, others: &Self) -> BTreeSet<&str> {
        let known: BTreeSet<&str> = others.ways().flat_map(Shares::keys).map(String::as_str).collect();
        self.ways().flat_map(Shares::keys).map(String::as_str).filter(|name| !known.contains(name)).collect()
    }

    /// The fewest who can read it together, and could not there, though both name them. Where that is too much to tell, nobody is
    /// named.
    fn enough_beyond(&self, others: &Self) -> Option<BTreeSet<&str>> {
        let others: Vec<&Shares<String>> = others.ways().collect();
        self.ways().find_map(|way| match way.enough_beyond(&others) {
            Ok(who) => who.map(|who| who.into_iter().map(String::as_str).collect()),
            Err(TooMany) => Some(BTreeSet::new()),
        })
    }

    /// Nobody.
    fn nobody() -> Self {
        Self { own: BTreeSet::new(), sent_to: None }
    }

    /// Whether these are all among those to whom it is sent.
    fn are_sent_to(&self, some: &BTreeSet<&str>) -> bool {
        let is_sent = |name: &&str| self.sent_to.iter().flat_map(Shares::keys).any(|to| to == name);
        !some.is_empty() && some.iter().all(is_sent)
    }
}

/// Whom a file lists, of one data key.
fn listed_in(wrapped: &WrappedDataKey) -> KeySet {
    KeySet::of_groups(names(wrapped), (wrapped.groups.len() > 1).then(|| wrapped.required()))
}

/// Who reads a document, or any encrypted file of a place with a creation rule: whom `rule` names, else its own list.
pub fn readers(file: &EncryptedFile, rule: &KeySet) -> KeySet {
    let listed = || file.data_keys().ok()?.first().map(listed_in);
    match listed().filter(|_| rule.is_only_sent()) {
        Some(listed) => KeySet { sent_to: rule.sent_to.clone(), ..listed },
        None => rule.clone(),
    }
}

/// A data key of a file, as it is wrapped.
pub struct Wrapped {
    wraps: Prints,
    listed: KeySet,
}

impl Wrapped {
    /// All of a file.
    pub fn all_of(file: &EncryptedFile) -> Vec<Self> {
        let of = |wrapped: &WrappedDataKey| {
            let wraps = wrapped.groups.iter().flatten().map(|key| key.decoded());
            Self { wraps: Prints(prints_of_keys(wraps).into_iter().collect()), listed: listed_in(wrapped) }
        };
        file.data_keys().map(|all| all.iter().map(of).collect()).unwrap_or_default()
    }

    /// Whether both have a wrap in common: whoever adds others to a list, or takes some out, cannot make new ones.
    pub fn is_same(&self, other: &Self) -> bool {
        !self.wraps.in_common(&other.wraps).is_empty()
    }

    /// Whether its list has everybody whom a rule names.
    pub fn is_for_all_of(&self, rule: &KeySet) -> bool {
        !lets_others_in(&alone(rule), &self.listed)
    }

    /// Its list, which anybody can have changed.
    pub fn listed(&self) -> &KeySet {
        &self.listed
    }
}

/// These readers without those to whom `publish` sends something.
pub fn alone(keys: &KeySet) -> KeySet {
    KeySet { sent_to: None, ..keys.clone() }
}

/// Whether some of these readers are not among the others, or need fewer keys.
pub fn lets_others_in(here: &KeySet, there: &KeySet) -> bool {
    is_wider(&Readers::of(here), &Readers::of(there))
}

/// Somebody who reads a place, or all who do, where several of them have to open it.
pub struct Person(KeySet);

impl Person {
    /// All who read a place.
    pub fn all_of(readers: &KeySet) -> Vec<Self> {
        let [keys] = &readers.groups[..] else { return vec![Self(readers.clone())] };
        let alone = |key: &MasterKey| Self(KeySet::any_of(vec![key.clone()]));
        let sent = readers.sent_to.as_ref().map(|_| KeySet { groups: Vec::new(), ..readers.clone() });
        keys.iter().map(alone).chain(sent.map(Self)).collect()
    }

    pub fn is_among(&self, readers: &KeySet) -> bool {
        !lets_others_in(&self.0, readers)
    }

    /// The same for all who can use the same keys.
    pub fn holders(&self) -> String {
        Readers::of(&self.0).ways().flat_map(Shares::keys).cloned().collect::<Vec<_>>().join("\n")
    }

    fn is_alone(&self) -> bool {
        self.0.groups.len() < 2
    }

    /// Whether readers have them, or some of them, and those of before have not.
    pub fn is_new(&self, readers: &KeySet, before: Option<&KeySet>) -> bool {
        match self.is_alone() {
            true => self.is_among(readers) && !before.is_some_and(|before| self.is_among(before)),
            false => {
                let nobody = KeySet::of_groups(Vec::new(), None);
                let_same_others_in(readers, Some(&self.0), before.unwrap_or(&nobody))
            }
        }
    }

    /// Whether they can read what is for others, as far as they can what is for `readers`.
    pub fn could_read(&self, readers: &KeySet, others: &KeySet) -> bool {
        match self.is_alone() {
            true => self.is_among(others),
            false => !lets_others_in(readers, others),
        }
    }
}

/// Whether some who read here today, or with fewer keys, could do so then, and not there. `today` is `None` where that is unknown.
pub fn let_same_others_in(then: &KeySet, today: Option<&KeySet>, there: &KeySet) -> bool {
    let (then, there) = (Readers::of(then), Readers::of(there));
    let Some(today) = today.map(Readers::of) else { return is_wider(&then, &there) };
    let strangers = then.strangers_to(&there);
    today.strangers_to(&there).iter().any(|name| strangers.contains(name))
        || then.enough_beyond(&there).is_some()
}

/// Whether two sets of master keys mean the same readers.
pub fn is_for_same(one: &KeySet, other: &KeySet) -> bool {
    are_same(&Readers::of(one), &Readers::of(other))
}

/// What of a document or a SealedSecret may be elsewhere, too, and who may read it where it is.
pub struct Held {
    readers: Readers,
    /// A creation rule names the readers; otherwise they come from the file's own list.
    by_rule: bool,
    keys: Vec<Print>,
    /// Those of the keys that nobody makes without the data key: the MAC, and commitments.
    proofs: Vec<Print>,
    values: Values,
    /// Shows, once a data key is open, whether it belongs to this document: the MAC, and a few values.
    samples: Vec<Sample>,
    /// It has none of our formats.
    is_foreign: bool,
}

/// What of an encrypted file may be elsewhere, too: of a document, or of each SealedSecret, with the line that it begins on.
/// `rule` is whom the creation rule of its place names.
pub fn held(file: &EncryptedFile, rule: Option<&KeySet>) -> Vec<(usize, Held)> {
    let lines = match file {
        EncryptedFile::Document(_) => vec![1],
        EncryptedFile::Sealed(file) => {
            file.objects.iter().map(|(node, _)| file.document.line(*node)).collect()
        }
    };
    lines.into_iter().zip(file.holders()).map(|(line, holder)| (line, Held::of(file, holder, rule))).collect()
}

/// The same for an encrypted file that cannot be parsed: breaking a file does not hide copies of it.
pub fn held_in_broken(text: &str, rule: Option<&KeySet>) -> Held {
    let mut values = Vec::new();
    sops::for_each_ciphertext_in(text, &mut |bytes| {
        values.push((Print::of("value", bytes), "a value".into()))
    });
    sealed_secret::for_each_ciphertext_in(text, &mut |bytes| {
        values.push((Print::of("value", bytes), "a value".into()))
    });
    let (readers, by_rule) = Readers::of_place(rule, Readers::nobody);
    Held {
        readers,
        by_rule,
        keys: prints_of_keys(keys::decoded_in(text)),
        proofs: Vec::new(),
        values,
        samples: Vec::new(),
        is_foreign: false,
    }
}

/// What other programs encrypted in a file, SealedSecrets of sealed-secrets and ciphertexts of ansible-vault, git-crypt and dotenvx:
/// each with the line that it begins on, and its ciphertexts with their items. Turning one into ours gives its values to the readers of
/// its place.
#[derive(Default)]
pub struct Foreign {
    found: Vec<(usize, Values)>,
    /// Which program has encrypted it, of several one.
    program: Option<&'static str>,
}

#[cfg(feature = "bitnami")]
const SEALED_SECRETS: &str = "sealed-secrets";

/// Ciphertexts, and where each is.
type Values = Vec<(Print, Box<str>)>;

impl Foreign {
    /// Those of a file of this type; none where it cannot be read.
    pub fn of(format: Format, bytes: &SecretBytes) -> Self {
        let utf8 = document::of_utf16(bytes);
        let text = without_escapes(utf8.as_ref().unwrap_or(bytes));
        let mut found = Self::of_sealed_secrets(format, bytes, &text);
        let vaulted =
            ansible_vault::found_in(&text).into_iter().map(|(line, vaulted)| (line, vaulted.content()));
        let whole = git_crypt::content(bytes).map(|content| (1, content.to_vec()));
        let others = [
            Self::of_program("ansible-vault", vaulted),
            Self::of_program("git-crypt", whole),
            Self::of_program("dotenvx", dotenvx::found_in(&text)),
        ];
        for other in others {
            found.program = found.program.or(other.program);
            found.found.extend(other.found);
        }
        found
    }

    /// What a program wrote: the bytes of each ciphertext, however it was spelled, and its line.
    pub fn of_program(program: &'static str, found: impl IntoIterator<Item = (usize, Vec<u8>)>) -> Self {
        let values = |bytes: Vec<u8>| vec![(Print::of(program, &bytes), "a value".into())];
        Self::found_of(program, found.into_iter().map(|(line, bytes)| (line, values(bytes))).collect())
    }

    fn found_of(program: &'static str, found: Vec<(usize, Values)>) -> Self {
        let program = Some(program).filter(|_| !found.is_empty());
        Self { found, program }
    }

    /// The program that has encrypted it, as `sealant migrate` calls it.
    pub fn program(&self) -> Option<&'static str> {
        self.program
    }

    /// Those of a document, or of a text that does not parse, such as a template.
    #[cfg(feature = "bitnami")]
    fn of_sealed_secrets(format: Format, bytes: &SecretBytes, text: &[u8]) -> Self {
        let found = match memchr::memmem::find(text, bitnami::GROUP.as_bytes()) {
            Some(_) => document::parse(format, bytes.clone(), true).ok(),
            None => None,
        };
        let found = found.map(|document| Self::in_document(&*document)).unwrap_or_default();
        let known: HashSet<Print> =
            found.found.iter().flat_map(|(_, values)| values).map(|(print, _)| *print).collect();
        let prints = bitnami::starts_in(text).into_iter().map(|start| Print::of(SEALED_SECRETS, &start));
        let others: Values =
            prints.filter(|print| !known.contains(print)).map(|print| (print, "a value".into())).collect();
        let others = (!others.is_empty()).then_some((1, others));
        Self::found_of(SEALED_SECRETS, found.found.into_iter().chain(others).collect())
    }

    #[cfg(not(feature = "bitnami"))]
    fn of_sealed_secrets(_: Format, _: &SecretBytes, _: &[u8]) -> Self {
        Self::default()
    }

    /// Those of a document.
    #[cfg(feature = "bitnami")]
    pub fn in_document(document: &dyn Document) -> Self {
        let (tree, source) = (document.tree(), document.source());
        let below = |node: NodeId, key: &str| tree.entry(source, tree.resolve(node), key);
        let of_object = |node: NodeId| {
            let field = |field: &str| below(node, "spec").and_then(|spec| below(spec, field));
            let items =
                field("encryptedData").into_iter().flat_map(|items| tree.entries(tree.resolve(items)));
            // In the first versions all values were one, under `data`.
            let ciphertexts = items.chain(field("data")).filter_map(|item| {
                let bytes = bitnami::decode_base64(tree[tree.resolve(item)].text.get(source)).ok()?;
                let print = Print::of(SEALED_SECRETS, bitnami::start_of(&bytes).unwrap_or(&bytes));
                (bytes.len() >= SHORTEST_KEY).then(|| (print, tree[item].key.get(source).into()))
            });
            (document.line(node), ciphertexts.collect())
        };
        let found = sealed_secret::objects_where(document, &bitnami::is_theirs);
        Self::found_of(SEALED_SECRETS, found.into_iter().map(of_object).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// What of them may be elsewhere, too. `rule` is whom the creation rule of the place names; they name nobody themselves.
    pub fn held(&self, rule: Option<&KeySet>) -> Vec<(usize, Held)> {
        let held = |(line, values): &(usize, Values)| {
            let (readers, by_rule) = Readers::of_place(rule, Readers::nobody);
            let held = Held {
                readers,
                by_rule,
                keys: Vec::new(),
                proofs: Vec::new(),
                values: values.clone(),
                samples: Vec::new(),
                is_foreign: true,
            };
            (*line, held)
        };
        self.found.iter().map(held).collect()
    }
}

/// A text without what a string of YAML or JSON in double quotes writes otherwise.
fn without_escapes(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let (mut plain, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (before, escape) = rest.split_at(at);
        let code = |digits: usize| {
            let digits = std::str::from_utf8(escape.get(2..2 + digits)?).ok()?;
            u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii)
        };
        let (byte, length) = match escape.get(1) {
            Some(b'n') => (b'\n', 2),
            Some(b'r') => (b'\r', 2),
            Some(b't') => (b'\t', 2),
            Some(plain @ (b'\n' | b'/' | b'"' | b'\\')) => (*plain, 2),
            Some(b'x') if code(2).is_some() => (code(2).unwrap_or_default(), 4),
            Some(b'u') if code(4).is_some() => (code(4).unwrap_or_default(), 6),
            _ => (b'\\', 1),
        };
        plain.extend_from_slice(before);
        plain.push(byte);
        rest = &escape[length..];
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}

/// Whether something of an encrypted file may be in these bytes.
pub fn may_hold_remains(bytes: &[u8]) -> bool {
    static SIGNS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"ENC\[|-----BEGIN AGE ENCRYPTED|vault:v[0-9]|sealant\.dev/").ok());
    SIGNS.as_ref().is_none_or(|signs| signs.is_match(bytes))
}

fn prints_of_keys(decoded: impl Iterator<Item = Vec<u8>>) -> Vec<Print> {
    decoded.filter(|bytes| bytes.len() >= SHORTEST_KEY).map(|bytes| Print::of("key", &bytes)).collect()
}

/// How many bytes the paths of one file's values may have together. A key may be above many of them.
const MOST_PATHS: usize = 64 << 10;

/// Calls values by their paths, as long as these are not too long.
struct Names {
    left: usize,
}

impl Names {
    /// A comment has no path.
    fn name(&mut self, path: &dyn Fn() -> String) -> Box<str> {
        let path = if self.left == 0 { None } else { Some(path()) };
        self.left = path.as_ref().and_then(|path| self.left.checked_sub(path.len())).unwrap_or(0);
        match path {
            Some(path) if path.is_empty() => "a comment".into(),
            Some(path) if self.left > 0 => path.into(),
            _ => "a value".into(),
        }
    }
}

impl Held {
    fn of(file: &EncryptedFile, holder: KeyedPart<'_>, rule: Option<&KeySet>) -> Self {
        // A key that cannot be read is wrapped for nobody.
        let data_keys = holder.data_keys().unwrap_or_default();
        let wrapped = data_keys.iter().flat_map(|wrapped| wrapped.groups.iter().flatten());
        let mut keys = prints_of_keys(wrapped.map(|key| key.decoded()));
        let (mut values, mut samples, mut proofs) = (Vec::new(), Vec::new(), Vec::new());
        let mut names = Names { left: MOST_PATHS };
        let mut add = |path: &dyn Fn() -> String, bytes: &[u8]| {
            values.push((Print::of("value", bytes), names.name(path)));
        };
        match (file, holder) {
            (EncryptedFile::Document(file), _) => {
                file.for_each_ciphertext(&mut add);
                let mac = file.sealed_mac();
                proofs.extend(mac.as_ref().and_then(Sample::decoded).map(|bytes| Print::of("value", &bytes)));
                samples = file.samples();
                samples.extend(mac);
            }
            (_, KeyedPart::Sealed(sealed)) => {
                sealed_secret::for_each_ciphertext(&sealed.spec, &mut |item, bytes| {
                    add(&|| item.to_owned(), bytes);
                });
                let commitments = sealed_secret::commitments(&sealed.spec);
                proofs.extend(commitments.map(|bytes| Print::of("commitment", &bytes)));
            }
            (EncryptedFile::Sealed(_), KeyedPart::Document(_)) => {}
        }
        keys.extend(&proofs);
        let (readers, by_rule) = Readers::of_place(rule, || Readers::listed(&data_keys));
        Self { readers, by_rule, keys, proofs, values, samples, is_foreign: false }
    }

    /// Leaves out what has stayed where this was, its data keys among it.
    #[must_use]
    pub fn without(mut self, stayed: &Prints) -> Self {
        if self.keys.iter().any(|print| stayed.0.contains(print)) {
            self.samples.clear();
        }
        self.keys.retain(|print| !stayed.0.contains(print));
        self.values.retain(|(print, _)| !stayed.0.contains(print));
        self
    }

    /// Whether this data key opens its MAC, or one of its first values.
    pub fn is_of(&self, trial: &Trial) -> bool {
        self.samples.iter().any(|sample| trial.opens(sample))
    }

    fn prints(&self) -> impl Iterator<Item = Print> + '_ {
        self.keys.iter().copied().chain(self.values.iter().map(|(print, _)| *print))
    }
}

/// Whether two files are of one of these data keys. Ciphertexts in common prove nothing, since anybody can put one where nobody
/// decrypts it; of SealedSecrets the commitment says which key it is.
pub fn are_of_one_key(one: &EncryptedFile, other: &EncryptedFile, keys: &[&DataKey]) -> bool {
    let (one, other) = (held(one, None), held(other, None));
    let proofs: HashSet<Print> = one.iter().flat_map(|(_, held)| held.proofs.iter().copied()).collect();
    let is_of = |trial: &Trial, file: &[(usize, Held)]| file.iter().any(|(_, held)| held.is_of(trial));
    other.iter().flat_map(|(_, held)| &held.proofs).any(|print| proofs.contains(print))
        || keys.iter().map(|key| Trial::of(key)).any(|trial| is_of(&trial, &one) && is_of(&trial, &other))
}

/// What files hold, without the files.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Prints(HashSet<Print>);

impl Prints {
    pub fn of(held: &[(usize, Held)]) -> Self {
        Self(held.iter().flat_map(|(_, held)| held.prints()).collect())
    }

    /// Those of its data keys alone, as they are wrapped.
    pub fn of_keys(file: &EncryptedFile) -> Self {
        Self(Wrapped::all_of(file).into_iter().flat_map(|wrapped| wrapped.wraps.0).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn add(&mut self, others: &Self) {
        self.0.extend(&others.0);
    }

    /// Parts of this, of each of which all or nothing is in each of these.
    pub fn parts<'p>(&self, of: impl Iterator<Item = &'p Self>) -> Vec<Self> {
        let mut parts = vec![self.clone()];
        for other in of {
            let split = |part: &Self| [part.in_common(other), part.without(other)];
            parts = parts.iter().flat_map(split).filter(|part| !part.is_empty()).collect();
        }
        parts
    }

    /// The part of this that others have, too.
    #[must_use]
    pub fn in_common(&self, others: &Self) -> Self {
        Self(self.0.intersection(&others.0).copied().collect())
    }

    /// The part that others do not have.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        Self(self.0.difference(&others.0).copied().collect())
    }
}

/// What all files that are there hold, by their paths.
#[derive(Default)]
pub struct Places<'c>(HashMap<Print, BTreeSet<&'c Path>>);

impl<'c> Places<'c> {
    /// Adds what is in a file, or will be.
    pub fn add(&mut self, path: &'c Path, prints: &Prints) {
        for print in &prints.0 {
            self.0.entry(*print).or_default().insert(path);
        }
    }

    /// The files that have something of this, each with what it has.
    pub fn of(&self, prints: &Prints) -> BTreeMap<&'c Path, Prints> {
        let mut found: BTreeMap<&Path, Prints> = BTreeMap::new();
        for print in &prints.0 {
            for path in self.0.get(print).into_iter().flatten() {
                found.entry(path).or_default().0.insert(*print);
            }
        }
        found
    }
}

/// A file, by its name on the disk and as it is shown.
pub struct Named {
    pub path: PathBuf,
    pub shown: PathBuf,
}

/// Whether some may read here who may not read there, or with fewer keys.
fn is_wider(here: &Readers, there: &Readers) -> bool {
    !here.strangers_to(there).is_empty() || here.enough_beyond(there).is_some()
}

fn are_same(one: &Readers, other: &Readers) -> bool {
    one == other || !(is_wider(one, other) || is_wider(other, one))
}

/// Where something of the past counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leaving(usize);

/// Places where what was elsewhere is for all who read there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Excused {
    pub places: BTreeSet<PathBuf>,
    /// Those where that is so only of what was there once, and is not any more.
    pub earlier: BTreeSet<PathBuf>,
}

/// The same.
pub enum Since {
    /// In all places but these.
    Elsewhere(Excused),
    /// In this one.
    At(PathBuf),
}

/// A holder in one of the files.
struct Unit {
    file: usize,
    held: Held,
    /// The readers, and whether a rule names them, as a number.
    readers: usize,
    /// Where it begins in a file that was looked at.
    line: Option<usize>,
    age: Age,
}

/// When something was in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Age {
    Present,
    /// It was there in another commit.
    Past,
    /// As well, and its readers are those before a change. What another file had then as well it has not from there.
    Before,
    /// As well, and its readers are those that the place had last. Whoever has come since to a place that was for no others
    /// has come by its rule, not by the move.
    Left(Leaving),
}

impl Unit {
    fn is_past(&self) -> bool {
        self.age != Age::Present
    }
}

impl Unit {
    /// Who may read this, as far as it counts for something that is elsewhere. Where a rule names the readers of that, whom
    /// this file alone names does not count: anybody can have written themselves into its list. Of the past
    /// every state is there, that before such a change as well.
    fn readers_beside(&self, by_rule: bool) -> Cow<'_, Readers> {
        match by_rule && !self.held.by_rule && !self.is_past() {
            true => Cow::Owned(Readers::nobody()),
            false => Cow::Borrowed(&self.held.readers),
        }
    }
}

/// Of those who hold the same and have the same readers the first two in different places: one of them is in another one than a
/// third.
struct Same {
    readers: usize,
    first: usize,
    second: Option<usize>,
}

/// Who should be able to read a file, and where it is.
struct Asking<'a> {
    path: &'a Path,
    wanted: &'a Readers,
    /// Those of the place, by its rule or else the file's list.
    here: &'a Readers,
    by_rule: bool,
    /// It is about what was in the place once.
    is_earlier: bool,
}

/// What two files have in common.
struct Shared<'h> {
    has_key: bool,
    /// The paths of values, in the file that is asked about.
    values: Vec<&'h str>,
}

impl<'h> Shared<'h> {
    fn between(held: &'h Held, other: &Held) -> Self {
        let there: HashSet<Print> = other.prints().collect();
        let values = held.values.iter().filter(|(print, _)| there.contains(print)).map(|(_, path)| &**path);
        Self { has_key: held.keys.iter().any(|print| there.contains(print)), values: values.collect() }
    }
}

/// The readers of files, each set of them once.
pub struct Audiences<'c>(Vec<&'c Readers>);

impl Audiences<'_> {
    /// Whether something has readers other than these.
    pub fn reach_others_than(&self, keys: &KeySet) -> bool {
        let readers = Readers::of(keys);
        self.0.iter().any(|audience| is_wider(audience, &readers))
    }
}

/// Files and what they hold.
#[derive(Default)]
pub struct Copies {
    files: Vec<Named>,
    units: Vec<Unit>,
    leavings: Vec<Since>,
    /// What files that were looked at held before a change.
    before: HashMap<PathBuf, Vec<Held>>,
    readers: HashMap<(Readers, bool, Age), usize>,
    by_print: HashMap<Print, Vec<Same>>,
}

impl Copies {
    /// Adds a file that is only compared with.
    pub fn add(&mut self, file: Named, held: Vec<(usize, Held)>) {
        self.add_units(file, held.into_iter().map(|(_, held)| (None, held)), Age::Present);
    }

    /// The same for a file of another commit. Its readers may be more: what has moved has moved.
    pub fn add_past(&mut self, file: Named, held: Vec<(usize, Held)>) {
        self.add_units(file, held.into_iter().map(|(_, held)| (None, held)), Age::Past);
    }

    /// As [`Copies::add_past`], by the rule of its place before a change.
    pub fn add_before(&mut self, file: Named, held: Vec<(usize, Held)>) {
        self.add_units(file, held.into_iter().map(|(_, held)| (None, held)), Age::Before);
    }

    /// What a file that was looked at held before a change.
    pub fn add_state_before(&mut self, path: PathBuf, held: Vec<(usize, Held)>) {
        self.before.entry(path).or_default().extend(held.into_iter().map(|(_, held)| held));
    }

    /// Adds how it is known of files who has come since.
    pub fn add_leaving(&mut self, since: Since) -> Leaving {
        self.leavings.push(since);
        Leaving(self.leavings.len() - 1)
    }

    /// As [`Copies::add_past`], for a file that has left its place. It was for the readers that the place had last.
    pub fn add_left(&mut self, file: Named, held: Vec<(usize, Held)>, leaving: Leaving) {
        self.add_units(file, held.into_iter().map(|(_, held)| (None, held)), Age::Left(leaving));
    }

    /// Whether each of these is of a data key of what was added, which is one of `keys` or says so itself. Without anything of the
    /// past all is known.
    pub fn knows(&self, held: &[(usize, Held)], keys: &[&DataKey]) -> bool {
        let trials: Vec<Trial> = keys.iter().map(|key| Trial::of(key)).collect();
        let is_known = |held: &Held| {
            let mut its = trials.iter().filter(|trial| held.is_of(trial));
            held.proofs.iter().any(|print| self.by_print.contains_key(print))
                || its.any(|trial| self.units.iter().any(|unit| unit.held.is_of(trial)))
        };
        let is_known_past = |unit: &Unit| unit.is_past() && !unit.held.is_foreign;
        !self.units.iter().any(is_known_past) || held.iter().all(|(_, held)| is_known(held))
    }

    /// Who may read what was looked at.
    pub fn audiences(&self) -> Audiences<'_> {
        let mut seen = HashSet::new();
        let new = self.looked_at().filter(|unit| seen.insert(unit.readers));
        Audiences(new.map(|unit| &unit.held.readers).collect())
    }

    /// Whether one of these holds something that is in what was added.
    pub fn share(&self, held: &[(usize, Held)]) -> bool {
        held.iter().flat_map(|(_, held)| held.prints()).any(|print| self.by_print.contains_key(&print))
    }

    /// The same of what files hold.
    pub fn share_prints(&self, prints: &Prints) -> bool {
        prints.0.iter().any(|print| self.by_print.contains_key(print))
    }

    /// Where something of this is, of the files that are there.
    pub fn places<'p>(&self, of: impl Iterator<Item = &'p Prints>) -> Places<'_> {
        let wanted: HashSet<Print> = of.flat_map(|prints| &prints.0).copied().collect();
        let mut places: HashMap<Print, BTreeSet<&Path>> = HashMap::new();
        for unit in self.units.iter().filter(|unit| !wanted.is_empty() && !unit.is_past()) {
            for print in unit.held.prints().filter(|print| wanted.contains(print)) {
                places.entry(print).or_default().insert(self.path_of(unit));
            }
        }
        Places(places)
    }

    fn path_of(&self, unit: &Unit) -> &Path {
        &self.files[unit.file].path
    }

    /// The files that were looked at.
    pub fn paths_looked_at(&self) -> impl Iterator<Item = &Path> {
        self.looked_at().map(|unit| self.files[unit.file].path.as_path())
    }

    fn looked_at(&self) -> impl Iterator<Item = &Unit> {
        self.units.iter().filter(|unit| unit.line.is_some())
    }

    /// Whether nothing was added that holds anything.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Adds a file whose copies are findings; each of what it holds with the line that it begins on.
    pub fn add_looked_at(&mut self, file: Named, held: Vec<(usize, Held)>) {
        self.add_units(file, held.into_iter().map(|(line, held)| (Some(line), held)), Age::Present);
    }

    fn add_units(&mut self, file: Named, units: impl Iterator<Item = (Option<usize>, Held)>, age: Age) {
        let at = self.files.len();
        self.files.push(file);
        for (line, held) in units {
            let next = self.readers.len();
            let readers = *self.readers.entry((held.readers.clone(), held.by_rule, age)).or_insert(next);
            let number = self.units.len();
            for print in held.prints() {
                let places = self.by_print.entry(print).or_default();
                match places.iter_mut().find(|same| same.readers == readers) {
                    // One that holds a thing twice is not listed yet itself, and versions of one file are one.
                    Some(same)
                        if self.units.get(same.first).is_some_and(|unit| {
                            unit.file != at && self.files[unit.file].path != self.files[at].path
                        }) =>
                    {
                        same.second.get_or_insert(number);
                    }
                    Some(_) => {}
                    None => places.push(Same { readers, first: number, second: None }),
                }
            }
            self.units.push(Unit { file: at, held, readers, line, age });
        }
    }

    /// What was looked at and holds the same as something that is for others, or was where fewer may read.
    pub fn found(&self) -> Vec<(&Path, Finding)> {
        let found = |unit: &Unit| {
            let line = unit.line?;
            let (rule, message, other) = self.copied(unit).or_else(|| self.moved(unit))?;
            let other = Some(self.files[other.file].shown.clone());
            let finding = Finding { other, ..Finding::new(line, rule, message) };
            Some((self.files[unit.file].shown.as_path(), finding))
        };
        self.looked_at().filter_map(found).collect()
    }

    fn copied(&self, unit: &Unit) -> Option<(Rule, String, &Unit)> {
        let is_other = |other: &Unit| {
            unit.held.by_rule != other.held.by_rule || !are_same(&unit.held.readers, &other.held.readers)
        };
        let (what, other) = self.shared(unit, |other, _| !other.is_past() && is_other(other))?;
        let whose = match (unit.held.by_rule, other.held.by_rule) {
            (true, false) => "for which no rule names readers",
            (false, true) if unit.held.readers == other.held.readers => {
                "for which a rule names readers, and for this file none does"
            }
            _ if unit.held.readers.own == other.held.readers.own => "which `publish` sends elsewhere",
            _ => "which has other readers",
        };
        Some((Rule::Copied, format!("{what} {}, {whose}", self.shown(other)), other))
    }

    /// What has left a place for one of more readers. What was there for more people is for fewer now.
    fn moved(&self, unit: &Unit) -> Option<(Rule, String, &Unit)> {
        let here = &self.files[unit.file].path;
        let is_narrower = |other: &Unit, print: Print| {
            other.is_past()
                && is_wider(&unit.held.readers, &other.held.readers)
                && self.is_of_move(other, here, false)
                && !(other.age == Age::Before && self.had_before(here, print, &other.held.readers))
        };
        let (what, other) = self.shared(unit, is_narrower)?;
        let (here, there) = (&unit.held.readers, &other.held.readers);
        let place = match here.are_sent_to(&here.strangers_to(there)) {
            true => "a path that `publish` sends elsewhere, or not at all",
            false => "a path with other readers",
        };
        Some((Rule::Moved, format!("{what} {}, {place}", self.shown(other)), other))
    }

    /// Whether some may read at `here` who could not where something of the past was: by its having moved there. A place that no
    /// rule was for at that time is judged as it is now.
    fn is_of_move(&self, past: &Unit, here: &Path, is_earlier: bool) -> bool {
        // Content that stays in place has not moved: `config-change` reports readers that a rule adds there.
        let is_elsewhere = self.files[past.file].path != here;
        let Age::Left(Leaving(leaving)) = past.age else { return is_elsewhere };
        match &self.leavings[leaving] {
            Since::Elsewhere(excused) => {
                let is_excused = excused.places.contains(here);
                !(is_excused || (is_earlier && excused.earlier.contains(here)))
            }
            Since::At(place) => here == place,
        }
    }

    /// Whether a file held this before a change, and was for no others than these.
    fn had_before(&self, path: &Path, print: Print, readers: &Readers) -> bool {
        let mut held = self.before.get(path).into_iter().flatten();
        held.any(|held| held.prints().any(|had| had == print) && !is_wider(&held.readers, readers))
    }

    /// What a unit has in common with another one of other readers of which `counts` says that it counts: its data key
    /// before its values.
    fn shared(&self, unit: &Unit, counts: impl Fn(&Unit, Print) -> bool) -> Option<(String, &Unit)> {
        let other = |print: &Print| {
            let places = self.by_print.get(print)?.iter().filter(|same| same.readers != unit.readers);
            let units = places.flat_map(|same| [Some(same.first), same.second]).flatten();
            units.map(|unit| &self.units[unit]).find(|other| counts(other, *print))
        };
        let of_key = || Some(("has the data key of".to_owned(), unit.held.keys.iter().find_map(&other)?));
        let of_value = |(print, path): &(Print, Box<str>)| {
            Some((format!("{path} has the ciphertext of a value in"), other(print)?))
        };
        of_key().or_else(|| unit.held.values.iter().find_map(of_value))
    }

    fn shown(&self, unit: &Unit) -> impl std::fmt::Display {
        self.files[unit.file].shown.display()
    }

    /// Refuses to wrap for `keys` where a file holds the same as another one that is for others: more of them could come to
    /// read it, or, where the other one is for more, a new data key would hide that it is a copy. An error of kind
    /// [`Kind::Conflict`] with what is shared; what to do about it is the caller's to say.
    pub fn refuse(&self, path: &Path, held: &[(usize, Held)], keys: &KeySet) -> Result<()> {
        self.refuse_among(path, held, keys, false)
    }

    /// The same for what this place held earlier, as far as it came from elsewhere.
    pub fn refuse_earlier(&self, path: &Path, held: &[(usize, Held)], keys: &KeySet) -> Result<()> {
        self.refuse_among(path, held, keys, true)
    }

    fn refuse_among(
        &self,
        path: &Path,
        held: &[(usize, Held)],
        keys: &KeySet,
        is_earlier: bool,
    ) -> Result<()> {
        let counts = |unit: &Unit| !is_earlier || self.files[unit.file].path != path;
        let wanted = Readers::of(keys);
        let ways: [fn(&Self, &Asking<'_>, &Unit) -> bool; 2] = [Self::is_denied, Self::is_ruled_there_alone];
        for is_refused in ways {
            for (_, held) in held {
                let asking =
                    Asking { path, wanted: &wanted, here: &held.readers, by_rule: held.by_rule, is_earlier };
                let places = held.prints().filter_map(|print| self.by_print.get(&print)).flatten();
                let units = places.flat_map(|same| [Some(same.first), same.second]).flatten();
                let mut units = units.map(|unit| &self.units[unit]);
                if let Some(unit) = units.find(|unit| is_refused(self, &asking, unit) && counts(unit)) {
                    return Err(self.refusal(&asking, unit, &Shared::between(held, &unit.held)));
                }
            }
        }
        Ok(())
    }

    /// The same for a document by its data key, once that is open: however it is wrapped here, it is that of another document
    /// if it opens the MAC of that one, or a value. `rule` is whom the creation rule of its place names.
    pub fn refuse_key(
        &self,
        path: &Path,
        data_key: &DataKey,
        rule: Option<&KeySet>,
        keys: &KeySet,
    ) -> Result<()> {
        let (wanted, trial) = (Readers::of(keys), Trial::of(data_key));
        let (here, by_rule) = Readers::of_place(rule, || wanted.clone());
        let asking = Asking { path, wanted: &wanted, here: &here, by_rule, is_earlier: false };
        let shared = Shared { has_key: true, values: Vec::new() };
        let is_refused = |unit: &&Unit| {
            (self.is_denied(&asking, unit) || self.is_ruled_there_alone(&asking, unit))
                && unit.held.samples.iter().any(|sample| trial.opens(sample))
        };
        let refused = self.units.iter().find(is_refused);
        refused.map_or(Ok(()), |unit| Err(self.refusal(&asking, unit, &shared)))
    }

    fn is_denied(&self, asking: &Asking<'_>, unit: &Unit) -> bool {
        self.denied(asking, unit).is_some()
    }

    /// Whether a rule names the readers of another place, and none those of this one: with a new data key, nobody would see any
    /// more under whose rule it was.
    fn is_ruled_there_alone(&self, asking: &Asking<'_>, unit: &Unit) -> bool {
        unit.held.by_rule
            && !asking.by_rule
            && self.files[unit.file].path != asking.path
            && (!unit.is_past() || self.is_of_move(unit, asking.path, asking.is_earlier))
    }

    /// Whom nothing of another place may be given that is asked for; `None` where all may have it.
    fn denied<'r>(&self, asking: &Asking<'r>, unit: &Unit) -> Option<&'r Readers> {
        if !unit.is_past() && self.files[unit.file].path == asking.path {
            return None;
        }
        let there = unit.readers_beside(asking.by_rule);
        // With a new data key, nobody would see any more that the two places have different readers.
        match unit.is_past() {
            true => [asking.wanted, asking.here].into_iter().find(|asked| {
                is_wider(asked, &there) && self.is_of_move(unit, asking.path, asking.is_earlier)
            }),
            false => (is_wider(asking.wanted, &there) || is_wider(&unit.held.readers, asking.wanted))
                .then_some(asking.wanted),
        }
    }

    fn refusal(&self, asking: &Asking<'_>, unit: &Unit, shared: &Shared<'_>) -> Error {
        let wanted = self.denied(asking, unit).unwrap_or(asking.wanted);
        let what = match (shared.has_key, shared.values.len()) {
            (true, 0) => "its data key".to_owned(),
            (true, 1) => "its data key and a value".to_owned(),
            (true, count) => format!("its data key and {count} values"),
            (false, 1) => "a value".to_owned(),
            (false, count) => format!("{count} values"),
        };
        let other = self.files[unit.file].shown.display();
        let readers = unit.readers_beside(asking.by_rule);
        let (strangers, more) = (wanted.strangers_to(&readers), unit.held.readers.strangers_to(wanted));
        let is_sent = wanted.are_sent_to(&strangers);
        let enough = wanted.enough_beyond(&readers).filter(|who| strangers.is_empty() && !who.is_empty());
        let sends_more = strangers.is_empty() && enough.is_none() && unit.held.readers.are_sent_to(&more);
        let place = match unit.held.by_rule {
            _ if is_sent || sends_more => "which `publish`",
            true => "whose creation rule",
            false if asking.by_rule && !unit.is_past() => {
                "which has no creation rule that names its readers, and so"
            }
            false => "which",
        };
        let (what_is_wrong, list): (_, BTreeSet<&str>) = match enough {
            Some(enough) => ("asks for more keys than those of:", enough),
            None if is_sent => ("does not send to:", strangers),
            None if sends_more => ("also sends to:", more),
            None if !strangers.is_empty() => ("does not name:", strangers),
            None if !more.is_empty() => ("also names:", more),
            None if unit.held.by_rule && !asking.by_rule => {
                ("names its readers, as no rule does for this path", BTreeSet::new())
            }
            None => ("needs keys from a different number of groups", BTreeSet::new()),
        };
        let mut lines: Vec<String> = list.iter().map(|name| format!("  {name}")).collect();
        if !shared.values.is_empty() {
            lines.push("shared values:".to_owned());
            lines.extend(shared.values.iter().take(SHOWN).map(|path| format!("  {path}")));
        }
        if shared.values.len() > SHOWN {
            lines.push(format!("  and {} more", shared.values.len() - SHOWN));
        }
        let message = format!("shares {what} with {other}, {place} {what_is_wrong}");
        Error::new(Kind::Conflict, message).listing(lines)
    }
}
