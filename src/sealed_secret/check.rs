//! What is refused in a SealedSecret, whoever wrote it: all that is wrong with it and can be seen without a key.

use std::collections::BTreeSet;

use super::cipher::{Commitment, Token};
use super::types::{DataKeyEntry, GroupEntry, MAX_DATA, MAX_DATA_KEYS, MAX_ITEMS, MAX_WRAPS, Spec, Template};
use crate::error::{Error, Kind, Result};
use crate::keys;
use crate::template::{self, NotRendered, Templates};

/// How many stanzas a wrapped data key may have. It is for one recipient, for which it takes one, or a few with some
/// plugins, and one that means nothing.
const MAX_STANZAS: usize = 16;

/// A part of a SealedSecret that an error is about, for those who know on which line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    DataKeys,
    DataKey(usize),
    Items,
    Item(&'a str),
}

impl Spec {
    /// Refuses what no SealedSecret may be.
    pub fn check(&self) -> Result<()> {
        self.check_parts(&|_| None)
    }

    /// As [`Spec::check`]; an error names the line that `line_of` knows.
    pub(super) fn check_parts(&self, line_of: &dyn Fn(Part<'_>) -> Option<usize>) -> Result<()> {
        let at = |part: Part<'_>, error: Error| match line_of(part) {
            Some(line) => error.on_line(line),
            None => error,
        };
        if self.data_keys.len() > MAX_DATA_KEYS {
            let found = self.data_keys.len();
            return Err(at(Part::DataKeys, too_many("data keys", found, MAX_DATA_KEYS)));
        }
        let wraps = self.data_keys.iter().map(DataKeyEntry::count).sum();
        if wraps > MAX_WRAPS {
            return Err(at(Part::DataKeys, too_many("wrapped data keys", wraps, MAX_WRAPS)));
        }
        let mut ids = BTreeSet::new();
        for (index, entry) in self.data_keys.iter().enumerate() {
            check_data_key(entry).map_err(|error| at(Part::DataKey(index), error))?;
            if !ids.insert(entry.id.as_str()) {
                let message = format!("two data keys have the id {}", entry.id);
                return Err(at(Part::DataKey(index), refused(message)));
            }
        }
        self.check_items(&ids, &at)
    }

    fn check_items(&self, ids: &BTreeSet<&str>, at: &dyn Fn(Part<'_>, Error) -> Error) -> Result<()> {
        if self.encrypted_data.len() > MAX_ITEMS {
            return Err(at(Part::Items, too_many("items", self.encrypted_data.len(), MAX_ITEMS)));
        }
        let mut total = 0;
        for (item, text) in &self.encrypted_data {
            let length = || {
                check_item_name(item)?;
                let token = Token::parse(item, text)?;
                if !ids.contains(token.id) {
                    return Err(refused(format!(
                        "item `{item}` names the data key {}, which is missing",
                        token.id
                    )));
                }
                token.plaintext_len(item)
            };
            total += length().map_err(|error| at(Part::Item(item), error))?;
        }
        check_size(total).map_err(|error| at(Part::Items, error))
    }
}

fn refused(message: String) -> Error {
    Error::new(Kind::Read, message).advise("Get the object again from where it came from, or seal it again.")
}

fn too_many(what: &str, found: usize, allowed: usize) -> Error {
    Error::new(Kind::Read, format!("it has {found} {what}; at most {allowed} are allowed"))
        .advise("`sealant rotate` encrypts everything under one new data key.")
}

fn check_data_key(entry: &DataKeyEntry) -> Result<()> {
    let id = &entry.id;
    let commitment = Commitment::parse(&entry.commitment).ok_or_else(|| {
        refused("the commitment of a data key is not canonical base64 of 32 bytes".to_owned())
    })?;
    if commitment.id() != *id {
        let message =
            format!("a data key's id does not match its commitment, whose id is {}", commitment.id());
        return Err(refused(message));
    }
    let is_one_group = !entry.wraps.is_empty();
    let why = match entry.key_groups.len() {
        0 if entry.shamir_threshold.is_some() => Some("has a shamirThreshold and no keyGroups"),
        1.. if is_one_group => Some("has keyGroups, and recipients beside them"),
        1 => Some("has only one key group, so nothing is shared"),
        _ if entry.groups().iter().any(GroupEntry::is_empty) => {
            Some("is wrapped for nobody, or one of its groups is")
        }
        _ => None,
    };
    if let Some(why) = why {
        return Err(refused(format!("the data key {id} {why}")));
    }
    let groups = entry.key_groups.len();
    if let Some(threshold) = entry.shamir_threshold
        && !(2..=groups).contains(&(threshold as usize))
    {
        return Err(refused(format!("the data key {id} asks for {threshold} of {groups} key groups")));
    }
    for age in entry.groups().iter().flat_map(|group| &group.age) {
        if keys::takes_passphrase(&age.enc) {
            return Err(refused(format!("the data key {id} is wrapped with a passphrase")));
        }
        if keys::stanzas(&age.enc) > MAX_STANZAS {
            return Err(refused(format!("an entry of the data key {id} is for more than one recipient")));
        }
    }
    // Names of keys that servers have are checked where they are made into master keys.
    entry.wrapped().map(|_| ())
}

/// What Kubernetes takes for a key of a Secret.
pub fn check_item_name(item: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !item.is_empty()
        && item.len() <= 253
        && item.bytes().all(fits)
        && item != "."
        && !item.starts_with("..")
    {
        return Ok(());
    }
    let shown: String = item.chars().take(60).collect();
    Err(Error::new(Kind::Other, format!("{shown:?} cannot be a key of a Secret"))
        .advise("Use letters, digits, `-`, `_` and `.`, at most 253 characters."))
}

/// An error when the values of a Secret have more bytes together than Kubernetes takes.
pub(super) fn check_size(total: usize) -> Result<()> {
    if total <= MAX_DATA {
        return Ok(());
    }
    let message = format!(
        "the values have {total} bytes together, and Kubernetes allows at most {MAX_DATA} in a Secret"
    );
    Err(Error::new(Kind::Other, message).advise("Split them among several Secrets."))
}

/// Types of Secrets with which somebody who may not make tokens would get one: only whoever runs the controller can
/// allow them.
pub const FORBIDDEN_TYPES: [&str; 2] =
    ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"];

/// How labels and annotations begin that a template may not set, for they mean something to those who find them. A controller
/// that looks after other kinds of objects, too, knows more of them.
pub const FORBIDDEN_PREFIXES: [&str; 4] = [
    "sealant.dev/",
    "sealedsecrets.bitnami.com/",
    "kubernetes.io/service-account.",
    "kubectl.kubernetes.io/",
];

/// Whether a template may not set this label or annotation.
pub fn is_forbidden(key: &str) -> bool {
    FORBIDDEN_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// What is wrong with the templates of items.
pub(super) fn not_rendered(why: &NotRendered) -> Error {
    Error::new(Kind::Emit, format!("template.data: {why}"))
        .advise("docs/controller.md says which functions a template may call, and how far it may go.")
}

impl Template {
    /// The items that are made of others.
    pub(super) fn templates(&self) -> Templates {
        self.data.iter().map(|(item, text)| (item.clone(), Some(text.clone()))).collect()
    }

    /// Refuses what no template may set. The types of [`FORBIDDEN_TYPES`] are for the controller to refuse.
    pub fn check(&self) -> Result<()> {
        self.data.keys().try_for_each(|item| check_item_name(item))?;
        template::check(&self.templates()).map_err(|why| not_rendered(&why))?;
        let Some(metadata) = &self.metadata else { return Ok(()) };
        match metadata.labels.keys().chain(metadata.annotations.keys()).find(|key| is_forbidden(key)) {
            None => Ok(()),
            Some(key) => Err(Error::new(Kind::Read, format!("a template may not set {key}"))
                .advise("Remove it: the controller would refuse it.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::keys::KeySet;
    use crate::sealed_secret::{AgeEntry, TemplateMetadata};

    fn shared_out() -> Spec {
        let [a, b, c] = [(); 3].map(|()| Person::new().key());
        let keys = KeySet::of_groups(vec![vec![a], vec![b], vec![c]], Some(2));
        Spec { data_keys: vec![new_key(&keys).entry], ..Spec::default() }
    }

    fn refused(mut spec: Spec, spoil: impl FnOnce(&mut Spec)) -> String {
        spec.check().unwrap();
        spoil(&mut spec);
        refusal(spec.check())
    }

    #[test]
    fn what_can_be_seen_to_be_wrong_without_a_key_is_refused() {
        let alice = Person::new();
        let good = || sealed(&[("a", "1"), ("b", "2")], &[&alice]).spec;
        let other = new_key(&any_of(&[&alice])).entry;
        type Spoil = Box<dyn FnOnce(&mut Spec)>;
        let cases: [(&str, Spoil); 12] = [
            ("two data keys have the id", Box::new(|s| s.data_keys.push(s.data_keys[0].clone()))),
            ("id does not match its commitment", Box::new(|s| s.data_keys[0].commitment = other.commitment)),
            (
                "the commitment of a data key is not canonical base64 of 32 bytes",
                Box::new(|s| s.data_keys[0].commitment.truncate(40)),
            ),
            (
                "item `a` names the data key 00000000",
                Box::new(|s| {
                    let text = s.encrypted_data["a"].split_once(':').unwrap().1.to_owned();
                    s.encrypted_data.insert("a".to_owned(), format!("00000000:{text}"));
                }),
            ),
            (
                "item `b` is not a ciphertext",
                Box::new(|s| _ = s.encrypted_data.insert("b".to_owned(), "x".to_owned())),
            ),
            (
                "\"..a\" cannot be a key of a Secret",
                Box::new(|s| {
                    let text = s.encrypted_data["a"].clone();
                    s.encrypted_data.insert("..a".to_owned(), text);
                }),
            ),
            ("is wrapped for nobody", Box::new(|s| s.data_keys[0].wraps.age.clear())),
            (
                "has a shamirThreshold and no keyGroups",
                Box::new(|s| s.data_keys[0].shamir_threshold = Some(2)),
            ),
            (
                "has only one key group",
                Box::new(|s| {
                    let age = std::mem::take(&mut s.data_keys[0].wraps.age);
                    s.data_keys[0].key_groups = vec![GroupEntry { age, ..GroupEntry::default() }];
                }),
            ),
            (
                "it has 33 data keys; at most 32 are allowed",
                Box::new(|s| {
                    s.data_keys.extend((0..32).map(|_| s.data_keys[0].clone()).collect::<Vec<_>>());
                }),
            ),
            (
                "it has 2001 wrapped data keys; at most 2000",
                Box::new(|s| {
                    let wrap = s.data_keys[0].wraps.age[0].clone();
                    s.data_keys[0].wraps.age.extend(vec![wrap; 2000]);
                }),
            ),
            (
                "it has 4097 items; at most 4096",
                Box::new(|s| {
                    let text = s.encrypted_data["a"].clone();
                    s.encrypted_data = (0..=MAX_ITEMS).map(|n| (n.to_string(), text.clone())).collect();
                }),
            ),
        ];
        for (message, spoil) in cases {
            let found = refused(good(), spoil);
            assert!(found.contains(message), "{found:?} instead of {message:?}");
        }
    }

    #[test]
    fn key_groups_have_to_share() {
        type Spoil = fn(&mut DataKeyEntry);
        let cases: [(&str, Spoil); 4] = [
            ("or one of its groups is", |key| key.key_groups[1].age.clear()),
            ("asks for 1 of 3 key groups", |key| key.shamir_threshold = Some(1)),
            ("asks for 4 of 3 key groups", |key| key.shamir_threshold = Some(4)),
            ("has keyGroups, and recipients beside them", |key| {
                key.wraps.age = key.key_groups[0].age.clone()
            }),
        ];
        for (message, spoil) in cases {
            let found = refused(shared_out(), |spec| spoil(&mut spec.data_keys[0]));
            assert!(found.contains(message), "{found:?} instead of {message:?}");
        }
        // Absent, it is all of them.
        let mut all = shared_out();
        all.data_keys[0].shamir_threshold = None;
        assert_eq!(all.data_keys[0].wrapped().unwrap().required(), 3);
    }

    #[test]
    fn a_data_key_is_never_wrapped_with_a_passphrase() {
        let mut recipient = ::age::scrypt::Recipient::new(::age::secrecy::SecretString::from("hunter2"));
        recipient.set_work_factor(1);
        let file = ::age::encrypt_and_armor(&recipient, &[7; 32]).unwrap();
        let found = refused(sealed(&[("a", "1")], &[&Person::new()]).spec, |spec| {
            spec.data_keys[0].wraps.age.push(AgeEntry { recipient: "age1x".to_owned(), enc: file });
        });
        assert!(found.ends_with("is wrapped with a passphrase"), "{found}");
    }

    #[test]
    fn a_wrapped_data_key_is_for_one_recipient() {
        let wrapped_for = |count: usize| {
            let recipients: Vec<::age::x25519::Recipient> =
                (0..count).map(|_| ::age::x25519::Identity::generate().to_public()).collect();
            let all = recipients.iter().map(|recipient| recipient as &dyn ::age::Recipient);
            let encryptor = ::age::Encryptor::with_recipients(all).unwrap();
            let mut file = Vec::new();
            let armored =
                ::age::armor::ArmoredWriter::wrap_output(&mut file, ::age::armor::Format::AsciiArmor);
            let mut writer = encryptor.wrap_output(armored.unwrap()).unwrap();
            std::io::Write::write_all(&mut writer, &[7; 32]).unwrap();
            writer.finish().and_then(|armored| armored.finish()).unwrap();
            AgeEntry { recipient: "age1x".to_owned(), enc: String::from_utf8(file).unwrap() }
        };
        let check = |count: usize| {
            let mut spec = sealed(&[("a", "1")], &[&Person::new()]).spec;
            spec.data_keys[0].wraps.age.push(wrapped_for(count));
            spec.check().map_err(|error| error.message().to_owned())
        };
        assert_eq!(check(3), Ok(()));
        assert!(check(20).unwrap_err().ends_with("is for more than one recipient"));
    }

    #[test]
    fn a_template_has_no_values_and_nothing_that_others_act_on() {
        let data = |item: &str, text: &str| Template {
            data: [(item.to_owned(), text.to_owned())].into(),
            ..Template::default()
        };
        assert!(data("a", "{{ .b }}").check().is_ok());
        let refused = refusal(data("a", "{{ randAlphaNum 20 }}").check());
        assert!(refused.starts_with(
            "template.data: template, line 1, column 4: the function `randAlphaNum` is refused"
        ));
        assert!(refusal(data("a/b", "x").check()).contains("cannot be a key of a Secret"));
        for key in [
            "sealant.dev/managed",
            "sealedsecrets.bitnami.com/managed",
            "kubernetes.io/service-account.name",
            "kubectl.kubernetes.io/last-applied-configuration",
        ] {
            let map = || [(key.to_owned(), "x".to_owned())].into_iter().collect();
            for metadata in [
                TemplateMetadata { labels: map(), ..TemplateMetadata::default() },
                TemplateMetadata { annotations: map(), ..TemplateMetadata::default() },
            ] {
                let template = Template { metadata: Some(metadata), ..Template::default() };
                assert_eq!(refusal(template.check()), format!("a template may not set {key}"));
            }
        }
        assert!(Template::default().check().is_ok());
        assert!(!is_forbidden("app.kubernetes.io/name"));
    }

    #[test]
    fn a_secret_has_a_bound() {
        assert!(check_size(MAX_DATA).is_ok());
        assert!(refusal(check_size(MAX_DATA + 1)).contains("1048577 bytes"));
    }
}
