//! What the tests of this module share: people with keys, and what they seal.

use jiff::Timestamp;
use pollster::block_on;

use super::*;
use crate::Result;
use crate::document::{self, Document, Format};
use crate::host::Closed;
use crate::keys::{Identities, KeyService, KeySet, MasterKey, NewIdentity, generate_identity};
use crate::secret::SecretBytes;

/// Somebody with an age identity.
pub struct Person(NewIdentity);

impl Person {
    pub fn new() -> Self {
        Self(generate_identity(false, Timestamp::UNIX_EPOCH))
    }

    pub fn key(&self) -> MasterKey {
        MasterKey::Age(self.0.recipient.clone())
    }
}

/// A key service with the identities of these people.
pub fn service(people: &[&Person]) -> KeyService<'static> {
    let add = |identities: Identities, person: &&Person| {
        identities.with_text("test", SecretBytes::new(person.0.file.as_bytes().to_vec()))
    };
    KeyService::new(&Closed, people.iter().fold(Identities::none(), add))
}

pub fn any_of(people: &[&Person]) -> KeySet {
    KeySet::any_of(people.iter().map(|person| person.key()).collect())
}

pub fn new_key(keys: &KeySet) -> NewDataKey {
    block_on(NewDataKey::make(&service(&[]), &[keys])).remove(0).unwrap()
}

pub fn open(sealed: &SealedSecret, people: &[&Person]) -> Result<OpenedKeys> {
    block_on(OpenedKeys::open(&service(people), &[&sealed.spec])).remove(0)
}

pub fn unsealed(sealed: &SealedSecret, person: &Person) -> Result<Secret> {
    unseal(sealed, &open(sealed, &[person])?)
}

pub fn bytes(text: &str) -> SecretBytes {
    SecretBytes::new(text.as_bytes().to_vec())
}

/// The Secret `shop/db` with these items.
pub fn secret(items: &[(&str, &str)]) -> Secret {
    Secret {
        name: "db".to_owned(),
        namespace: Some("shop".to_owned()),
        items: items.iter().map(|(item, value)| ((*item).to_owned(), bytes(value))).collect(),
        ..Secret::default()
    }
}

/// The SealedSecret of [`secret`] for these people.
pub fn sealed(items: &[(&str, &str)], people: &[&Person]) -> SealedSecret {
    seal(&secret(items), &Options::default(), new_key(&any_of(people))).unwrap()
}

pub fn set(sealed: &SealedSecret, item: &str, value: &str, people: &[&Person]) -> SealedSecret {
    change(sealed, &changes(&[(item, Some(value))]), new_key(&any_of(people))).unwrap()
}

pub fn changes(changes: &[(&str, Option<&str>)]) -> Changes {
    changes.iter().map(|(item, value)| ((*item).to_owned(), value.map(bytes))).collect()
}

/// The items of a Secret, `ITEM=VALUE` each.
pub fn texts(secret: &Secret) -> Vec<String> {
    let text = |value: &SecretBytes| std::str::from_utf8(value).unwrap().to_owned();
    secret.items.iter().map(|(item, value)| format!("{item}={}", text(value))).collect()
}

pub fn yaml(text: &str) -> Box<dyn Document> {
    document::parse(Format::Yaml, bytes(text), false).unwrap()
}

/// The message of an error, with its line.
pub fn refusal<T>(result: Result<T>) -> String {
    result.err().map_or_else(|| "not refused".to_owned(), |error| error.to_string())
}
