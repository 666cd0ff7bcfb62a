//! Data keys of SealedSecrets: made and wrapped for master keys, or opened and held against their commitments.
//!
//! A data key encrypts only items that are written by the command that made it, since whoever made an older one may
//! have kept it. That is why there are two types: a [`NewDataKey`] encrypts, is never made of an old one, and is used
//! up by the one change that it was made for; [`OpenedKeys`] only decrypt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::binding::Binding;
use super::cipher::{COMMITMENT_LEN, Commitment, ItemKey, Token};
use super::types::{DataKeyEntry, SealedSecret, Spec};
use super::wraps;
use crate::error::{Error, Kind, Result};
use crate::keys::{Content, KeyService, KeySet, Rekey, WrappedDataKey};
use crate::secret::{DataKey, SecretBytes};

/// A data key for the items that one change of one SealedSecret writes.
#[derive(Debug)]
pub struct NewDataKey {
    pub(super) entry: DataKeyEntry,
    pub(super) key: ItemKey,
    data_key: DataKey,
}

impl NewDataKey {
    /// A new data key for each of these sets of master keys, in one request. Results are in the order of the sets.
    pub async fn make(service: &KeyService<'_>, sets: &[&KeySet]) -> Vec<Result<Self>> {
        let new_keys = service.data_keys_made_by(generate, sets).await;
        let finish = |(set, new_key): (&&KeySet, Result<(DataKey, WrappedDataKey)>)| {
            wraps::refuse_foreign(set)?;
            let (key, wrapped) = new_key?;
            let item_key = ItemKey::derive(&key);
            let entry = DataKeyEntry::new(&item_key.commitment, &wrapped)?;
            Ok(Self { entry, key: item_key, data_key: key })
        };
        sets.iter().zip(new_keys).map(finish).collect()
    }

    /// What opens the items that are going to be encrypted with it, for whoever proves that they do.
    pub fn opened(&self) -> OpenedKeys {
        let keys = (self.data_key.clone(), ItemKey::derive(&self.data_key));
        OpenedKeys(BTreeMap::from([(self.entry.id.clone(), keys)]))
    }
}

/// A random data key whose id begins with a letter: some programs that read YAML take `9e066607` for a number.
fn generate() -> DataKey {
    loop {
        let data_key = DataKey::generate();
        if ItemKey::derive(&data_key).commitment.id().starts_with(|digit: char| digit.is_ascii_alphabetic()) {
            return data_key;
        }
    }
}

/// The data keys of one SealedSecret that its items use, opened.
pub struct OpenedKeys(BTreeMap<String, (DataKey, ItemKey)>);

impl OpenedKeys {
    /// Opens the data keys that the items of each SealedSecret use, in one request. Results are in the order of the
    /// specs; each spec is checked first.
    pub async fn open(service: &KeyService<'_>, specs: &[&Spec]) -> Vec<Result<Self>> {
        let wanted: Vec<_> = specs.iter().map(|spec| (*spec, None)).collect();
        Self::open_for(service, &wanted).await
    }

    /// Opens the data key of one item.
    pub async fn open_item(service: &KeyService<'_>, spec: &Spec, item: &str) -> Result<Self> {
        let no_answer = || Err(Error::new(Kind::NoDataKey, "the key service gave no answer"));
        Self::open_for(service, &[(spec, Some(item))]).await.pop().unwrap_or_else(no_answer)
    }

    /// Opens the data keys of one item each, or of all.
    pub(crate) async fn open_for(
        service: &KeyService<'_>,
        wanted: &[(&Spec, Option<&str>)],
    ) -> Vec<Result<Self>> {
        let requests: Vec<Result<Vec<(&DataKeyEntry, WrappedDataKey)>>> =
            wanted.iter().map(|(spec, item)| wrapped_keys(spec, *item)).collect();
        let all: Vec<&WrappedDataKey> =
            requests.iter().flatten().flatten().map(|(_, wrapped)| wrapped).collect();
        let mut answers = service.unwrap_many(&all).await.into_iter();
        let open = |entries: Result<Vec<(&DataKeyEntry, WrappedDataKey)>>| {
            // All answers of a SealedSecret are taken, whether one of them is an error or not.
            let entries = entries?;
            let opened: Vec<_> =
                entries.iter().zip(answers.by_ref()).map(|((entry, _), key)| (entry, key)).collect();
            let verified = opened.into_iter().map(|(entry, key)| verified(entry, key?));
            verified.collect::<Result<_>>().map(Self)
        };
        requests.into_iter().map(open).collect()
    }

    /// Those that were opened elsewhere, if each is the one that its entry commits to.
    pub fn of(keys: Vec<(&DataKeyEntry, DataKey)>) -> Result<Self> {
        keys.into_iter().map(|(entry, key)| verified(entry, key)).collect::<Result<_>>().map(Self)
    }

    /// The value of an item.
    pub fn item(&self, spec: &Spec, binding: &Binding, item: &str) -> Result<SecretBytes> {
        let Some(text) = spec.encrypted_data.get(item) else {
            let error = Error::new(Kind::TreePath, format!("there is no item `{item}`"));
            let names: Vec<&str> = spec.encrypted_data.keys().map(String::as_str).collect();
            return Err(error.advise(match &names[..] {
                [] => "The SealedSecret has no items.".to_owned(),
                names => format!("The items are {}.", names.join(", ")),
            }));
        };
        let token = Token::parse(item, text)?;
        let (_, key) = self.0.get(token.id).ok_or_else(|| {
            Error::new(Kind::Decrypt, format!("the data key {} of item `{item}` was not opened", token.id))
        })?;
        key.open(binding, item, &token)
    }

    /// The values of all items.
    pub fn items(&self, spec: &Spec, binding: &Binding) -> Result<BTreeMap<String, SecretBytes>> {
        let open = |item: &String| Ok((item.clone(), self.item(spec, binding, item)?));
        spec.encrypted_data.keys().map(open).collect()
    }

    /// Wraps the data keys of SealedSecrets for other master keys, in one request, and changes nothing else. What is
    /// wrapped for somebody who stays is kept, byte for byte; data keys that no item uses go. Where something has to be
    /// wrapped, all items are opened first. Results are in the order of the requests.
    pub(super) async fn rekey(
        service: &KeyService<'_>,
        requests: &[(&SealedSecret, &Self, &KeySet)],
    ) -> Vec<Result<Vec<DataKeyEntry>>> {
        let items: Vec<Items> = requests.iter().map(|(sealed, opened, _)| Items { sealed, opened }).collect();
        let prepared: Vec<Result<Vec<_>>> = requests
            .iter()
            .zip(&items)
            .map(|((sealed, opened, keys), items)| {
                wraps::refuse_foreign(keys)?;
                wrapped_keys(&sealed.spec, None)?
                    .into_iter()
                    .map(|(entry, wrapped)| {
                        let (data_key, item_key) = opened.0.get(&entry.id).ok_or_else(|| {
                            Error::new(Kind::Decrypt, format!("the data key {} was not opened", entry.id))
                        })?;
                        Ok(Ready { item_key, data_key, items, wrapped, keys })
                    })
                    .collect()
            })
            .collect();
        let all: Vec<Rekey> = prepared
            .iter()
            .flatten()
            .flatten()
            .map(|Ready { data_key, items, wrapped, keys, .. }| Rekey {
                data_key,
                content: *items,
                wrapped,
                keys,
            })
            .collect();
        let mut answers = service.rekey_many(&all).await.into_iter();
        let finish = |entries: Result<Vec<Ready<'_>>>| {
            let entries = entries?;
            let answered: Vec<_> = entries.iter().zip(answers.by_ref()).collect();
            answered
                .into_iter()
                .map(|(ready, wrapped)| DataKeyEntry::new(&ready.item_key.commitment, &wrapped?))
                .collect()
        };
        prepared.into_iter().map(finish).collect()
    }
}

/// A data key of a SealedSecret that is to be wrapped for others.
struct Ready<'r> {
    item_key: &'r ItemKey,
    data_key: &'r DataKey,
    items: &'r Items<'r>,
    wrapped: WrappedDataKey,
    keys: &'r KeySet,
}

/// All items of a SealedSecret: a data key that was carried here from elsewhere opens none of them.
struct Items<'s> {
    sealed: &'s SealedSecret,
    opened: &'s OpenedKeys,
}

impl Content for Items<'_> {
    fn verify(&self, _: &DataKey) -> Result<()> {
        self.opened.items(&self.sealed.spec, &Binding::of(self.sealed)?).map(drop)
    }
}

/// The data keys that the items of a SealedSecret use, for whoever opens them alone; the spec is checked first.
pub fn used_data_keys(spec: &Spec) -> Result<Vec<(&DataKeyEntry, WrappedDataKey)>> {
    wrapped_keys(spec, None)
}

/// What tells each data key of a SealedSecret from all others, however it is wrapped: 32 bytes. No key is needed.
pub fn commitments(spec: &Spec) -> impl Iterator<Item = [u8; COMMITMENT_LEN]> + '_ {
    spec.data_keys.iter().filter_map(|entry| Commitment::parse(&entry.commitment).map(Commitment::bytes))
}

/// Calls `visit` with the name of each item and the bytes of its ciphertext. No key is needed.
pub fn for_each_ciphertext(spec: &Spec, visit: &mut dyn FnMut(&str, &[u8])) {
    for (item, text) in &spec.encrypted_data {
        if let Ok(token) = Token::parse(item, text) {
            visit(item, &token.decoded());
        }
    }
}

/// The same for what looks like an item in a text that is no SealedSecret, or none that can be read.
pub fn for_each_ciphertext_in(text: &str, visit: &mut dyn FnMut(&[u8])) {
    static ITEMS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\b[0-9a-f]{8}:[A-Za-z0-9+/]{38,}={0,2}").ok());
    for item in ITEMS.iter().flat_map(|items| items.find_iter(text)) {
        if let Ok(token) = Token::parse("an item", item.as_str()) {
            visit(&token.decoded());
        }
    }
}

/// The data keys that one item uses, or any.
fn wrapped_keys<'s>(spec: &'s Spec, item: Option<&str>) -> Result<Vec<(&'s DataKeyEntry, WrappedDataKey)>> {
    spec.check()?;
    let items = spec.encrypted_data.iter().filter(|(name, _)| item.is_none_or(|item| item == *name));
    let used = items.map(|(item, text)| Ok(Token::parse(item, text)?.id)).collect::<Result<BTreeSet<_>>>()?;
    let used = spec.data_keys.iter().filter(|entry| used.contains(entry.id.as_str()));
    used.map(|entry| Ok((entry, entry.wrapped()?))).collect()
}

/// A data key that was opened, if it is the one that the entry commits to.
fn verified(entry: &DataKeyEntry, key: DataKey) -> Result<(String, (DataKey, ItemKey))> {
    let item_key = ItemKey::derive(&key);
    let is_it = Commitment::parse(&entry.commitment).is_some_and(|commitment| commitment.is_of(&item_key));
    if !is_it {
        let message =
            format!("what was opened as the data key {} is not the one that its commitment names", entry.id);
        return Err(Error::new(Kind::Decrypt, message).advise(
            "Somebody wrapped a different key for you than for others, or changed the commitment: get the file again \
             from where it came from, and ask who changed it.",
        ));
    }
    Ok((entry.id.clone(), (key, item_key)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::sealed_secret::AgeEntry;

    /// An age file with this payload for a person.
    fn wrap(person: &Person, payload: &[u8]) -> AgeEntry {
        let recipient = person.key().id().to_owned();
        let parsed: ::age::x25519::Recipient = recipient.parse().unwrap();
        AgeEntry { recipient, enc: ::age::encrypt_and_armor(&parsed, payload).unwrap() }
    }

    #[test]
    fn no_id_looks_like_a_number() {
        let ids = (0..100).map(|_| ItemKey::derive(&generate()).commitment.id());
        assert!(ids.into_iter().all(|id| id.starts_with(char::is_alphabetic)));
    }

    #[test]
    fn another_data_key_for_one_of_the_recipients_is_refused() {
        let [alice, bob] = [(); 2].map(|()| Person::new());
        let mut sealed = sealed(&[("a", "1")], &[&alice, &bob]);
        sealed.spec.data_keys[0].wraps.age[1] = wrap(&bob, &[7; 32]);
        assert_eq!(texts(&unsealed(&sealed, &alice).unwrap()), ["a=1"]);
        let error = unsealed(&sealed, &bob).unwrap_err();
        assert_eq!(error.kind(), Kind::Decrypt);
        assert!(error.message().ends_with("is not the one that its commitment names"), "{error}");
        // The commitment that goes with it does not open the item, and its id is another one.
        let key = ItemKey::derive(&DataKey::from_slice(&[7; 32]).unwrap());
        sealed.spec.data_keys[0].commitment = key.commitment.to_base64();
        assert!(refusal(unsealed(&sealed, &bob)).contains("does not match its commitment"));
    }

    #[test]
    fn a_payload_of_another_length_is_no_data_key() {
        let alice = Person::new();
        for length in [0, 16, 31, 33, 64] {
            let mut sealed = sealed(&[("a", "1")], &[&alice]);
            sealed.spec.data_keys[0].wraps.age[0] = wrap(&alice, &vec![7; length]);
            let error = unsealed(&sealed, &alice).unwrap_err();
            assert_eq!(error.kind(), Kind::NoDataKey);
            assert!(error.to_string().contains(&format!("has {length} bytes instead of 32")), "{error}");
        }
    }

    #[test]
    fn shares_make_the_data_key_or_nothing() {
        let people = [(); 3].map(|()| Person::new());
        let [a, b, c] = &people;
        let keys = KeySet::of_groups(people.iter().map(|p| vec![p.key()]).collect(), Some(2));
        let good = seal(&keys);
        for pair in [[a, b], [b, c], [a, c]] {
            let opened = open(&good, &pair).unwrap();
            assert_eq!(texts(&super::super::unseal(&good, &opened).unwrap()), ["a=1"]);
        }
        assert!(refusal(open(&good, &[a])).contains("1 of 3 key groups could be opened, and 2 are needed"));

        // A share of another key combines to a key that nobody committed to.
        let mut mixed = good.clone();
        mixed.spec.data_keys[0].key_groups[1] = seal(&keys).spec.data_keys[0].key_groups[1].clone();
        assert!(refusal(open(&mixed, &[a, b])).contains("not the one that its commitment names"));
        assert!(open(&mixed, &[a, c]).is_ok());
        // And a share is 33 bytes.
        mixed.spec.data_keys[0].key_groups[1].age[0] = wrap(b, &[7; 32]);
        assert!(refusal(open(&mixed, &[a, b])).contains("has 32 bytes instead of 33"));
    }

    fn seal(keys: &KeySet) -> SealedSecret {
        super::super::seal(&secret(&[("a", "1")]), &Default::default(), new_key(keys)).unwrap()
    }

    #[test]
    fn only_what_an_item_needs_is_opened() {
        let [alice, bob] = [(); 2].map(|()| Person::new());
        let sealed = sealed(&[("a", "1")], &[&alice]);
        let both = set(&sealed, "b", "2", &[&bob]);
        let value = |person: &Person, item: &str| -> Result<SecretBytes> {
            let service = service(&[person]);
            let keys = pollster::block_on(OpenedKeys::open_item(&service, &both.spec, item))?;
            keys.item(&both.spec, &Binding::of(&both)?, item)
        };
        assert_eq!(*value(&alice, "a").unwrap(), b"1");
        assert_eq!(*value(&bob, "b").unwrap(), b"2");
        assert_eq!(value(&alice, "b").unwrap_err().kind(), Kind::NoDataKey);
        let missing = value(&alice, "c").unwrap_err();
        assert_eq!((missing.kind(), missing.advice()), (Kind::TreePath, Some("The items are a, b.")));
        assert!(open(&both, &[&alice]).is_err());
        assert!(open(&both, &[&alice, &bob]).is_ok());
    }

    #[test]
    fn many_are_opened_in_one_request_and_one_that_fails_holds_up_no_other() {
        let [alice, bob] = [(); 2].map(|()| Person::new());
        let mut broken = sealed(&[("x", "0")], &[&alice]);
        broken.spec.encrypted_data.insert("y".to_owned(), "nonsense".to_owned());
        let all = [
            set(&sealed(&[("a", "1")], &[&alice]), "b", "2", &[&alice]),
            broken,
            sealed(&[("c", "3")], &[&bob]),
            sealed(&[("d", "4"), ("e", "5")], &[&alice]),
        ];
        let specs: Vec<_> = all.iter().map(|sealed| &sealed.spec).collect();
        let opened = pollster::block_on(OpenedKeys::open(&service(&[&alice]), &specs));
        let found: Vec<_> = all
            .iter()
            .zip(opened)
            .map(|(sealed, keys)| {
                keys.and_then(|keys| super::super::unseal(sealed, &keys)).map(|secret| texts(&secret)).ok()
            })
            .collect();
        let some = |texts: &[&str]| Some(texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(found, [some(&["a=1", "b=2"]), None, None, some(&["d=4", "e=5"])]);
    }
}
