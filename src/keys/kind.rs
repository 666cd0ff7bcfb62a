//! The kinds of master keys: the one list of them, and what each has to know and to do.
//!
//! What a kind knows is in its room in `kinds`, and nowhere else. A new kind is a folder there, its lines in the lists
//! here and in `kinds/mod.rs`, and how a config names it. Nothing else decides by kind: it asks a [`Room`] or a
//! [`MasterKey`] what it can do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::entry::Fields;
use super::kinds::{age, aws_kms, azure_kv, gcp_kms, hc_vault, hckms, pgp};
use super::unopened::Failure;
use super::{Fingerprint, Recipient, TransitKey, WrappedKey};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::SecretBytes;

/// The kinds of master keys that a SOPS file can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    Age,
    HcVault,
    Pgp,
    Kms,
    GcpKms,
    AzureKv,
    HcKms,
}

/// What a kind is called.
#[derive(Debug)]
pub struct Names {
    /// sops's identifier (`KeyTypeIdentifier` of its key sources), which is also the name of the list in the metadata.
    pub name: &'static str,
    /// As sops's flags have it: `--KIND`, `--add-KIND`, `--rm-KIND`.
    pub flag: &'static str,
    /// The variable that names keys where no flag does.
    pub variable: &'static str,
    /// One of them in a sentence: `a PGP key`.
    pub a_key: &'static str,
    /// The fields of an entry in the metadata, `enc` and `created_at` included.
    pub fields: &'static [&'static str],
    /// Whether Sealant uses such keys, and does not only keep their entries.
    pub is_supported: bool,
}

/// What is wrong with a name that cannot be a key's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Complaint {
    /// The end of a sentence, where there is more to say than that.
    pub why: Option<&'static str>,
    /// What such a name looks like, and how to find one.
    pub form: &'static str,
}

/// What a kind knows of itself, before any key is used.
pub(crate) trait Room: Sync {
    fn names(&self) -> &'static Names;

    /// What an entry of a file says. One that names no key is [`MasterKey::Foreign`] and stays as it is: others may open
    /// the file.
    fn read(&self, entry: &Fields) -> Result<WrappedKey>;

    /// The entry for a file: what it was read from, with what changed.
    fn write(&self, wrapped: &WrappedKey) -> Fields;

    /// What is wrong with this name of a key, if the kind can tell.
    fn complaint(&self, _id: &str) -> Option<Complaint> {
        None
    }

    /// Whether the keys of a group are tried all together, and not one after the other.
    fn is_tried_together(&self) -> bool {
        false
    }

    /// Whether an entry says when the data key was wrapped.
    fn is_dated(&self) -> bool {
        true
    }

    /// How a list names its keys of which ones may be used, if they are in a cloud.
    fn resources(&self) -> Option<&'static Resources> {
        None
    }

    /// The credentials that the user has for its servers, if these are those of a cloud.
    fn credentials(&self, _host: &dyn Host) -> Option<Credentials> {
        None
    }
}

/// A kind whose keys are in a cloud, as a list names them of those that may be used.
pub(crate) struct Resources {
    /// How the names of its keys begin, and those of no other kind's.
    pub begins: &'static str,
    /// What divides such a name into parts.
    pub dividers: &'static [char],
    /// Whether this is the name of a key, or the beginning of one that says whose key it is; else what is wrong with it.
    pub check: fn(&str) -> Result<(), &'static str>,
    /// How the variables begin that say where its servers are, and which credentials there are for them.
    pub variables: &'static [&'static str],
}

/// Credentials for the servers of a cloud, looked for without asking anybody.
#[derive(Debug)]
pub struct Credentials {
    /// Whose servers: `aws`.
    pub cloud: &'static str,
    /// Whose they are and where they are, if there are some for certain.
    pub found: Result<Option<String>>,
    /// What is to be said where there are none.
    pub none: String,
    /// How to get some.
    pub advice: &'static str,
}

/// What has come of wrapping.
pub(crate) struct Wrapped {
    pub enc: String,
    /// The key, if the name that it was asked for by leaves out what a file has to say.
    pub key: Option<MasterKey>,
}

impl From<String> for Wrapped {
    fn from(enc: String) -> Self {
        Self { enc, key: None }
    }
}

/// Answers to many requests, in their order.
pub(crate) type Answers<'a, T> = Pin<Box<dyn Future<Output = Vec<T>> + 'a>>;

/// What wraps and unwraps for one kind of master key, many at a time.
pub(crate) trait Worker: Send + Sync {
    /// A master key of this kind.
    type Key: 'static;

    /// This key, if it is of this kind.
    fn own(key: &MasterKey) -> Option<&Self::Key>;

    /// Takes what these keys name (roles, servers) for something that the user has named.
    fn name(&mut self, _keys: &[&Self::Key]) {}

    /// Wraps each payload for its key.
    fn wrap_many<'a>(
        &'a self,
        host: &'a dyn Host,
        tasks: &'a [(&'a Self::Key, &'a [u8])],
    ) -> Answers<'a, Result<Wrapped>>;

    /// Opens any one of each try's wrapped keys, and says which.
    fn open_many<'a>(
        &'a self,
        host: &'a dyn Host,
        tries: &'a [Try<'a, Self::Key>],
    ) -> Answers<'a, Result<(usize, SecretBytes), Vec<Failure>>>;

    /// Moves what older versions of a key have wrapped to the newest one, without learning it; `None` for what stays.
    /// Kinds without versions leave everything as it is.
    fn rewrap_many<'a>(
        &'a self,
        host: &'a dyn Host,
        tasks: &'a [(&'a Self::Key, &'a str)],
    ) -> Answers<'a, Result<Option<String>>> {
        let _ = host;
        Box::pin(async { tasks.iter().map(|_| Ok(None)).collect() })
    }
}

/// Wrapped keys of one kind, any of which opens what is wanted.
pub(crate) struct Try<'a, K> {
    /// Each key with the ciphertext that it has made.
    pub keys: Vec<(&'a K, &'a WrappedKey)>,
    /// Of what is wanted, in bytes.
    pub length: usize,
}

impl KeyKind {
    pub const ALL: [Self; 7] =
        [Self::Age, Self::HcVault, Self::Pgp, Self::Kms, Self::GcpKms, Self::AzureKv, Self::HcKms];

    /// The order in which sops lists the keys of a group (`internalGroupFrom`).
    pub(crate) const LISTED: [Self; 7] =
        [Self::Kms, Self::GcpKms, Self::HcKms, Self::AzureKv, Self::HcVault, Self::Pgp, Self::Age];

    /// The order in which sops tries the keys of a group (`DefaultDecryptionOrder`); kinds that are not named come
    /// after it, in the file's order.
    pub const DEFAULT_ORDER: [Self; 2] = [Self::Age, Self::Pgp];

    /// What the kind knows of itself.
    pub(crate) fn room(self) -> &'static dyn Room {
        match self {
            Self::Age => &age::Room,
            Self::HcVault => &hc_vault::Room,
            Self::Pgp => &pgp::Room,
            Self::Kms => &aws_kms::Room,
            Self::GcpKms => &gcp_kms::Room,
            Self::AzureKv => &azure_kv::Room,
            Self::HcKms => &hckms::Room,
        }
    }

    /// What it is called.
    pub(crate) fn names(self) -> &'static Names {
        self.room().names()
    }

    /// sops's identifier, which is also the name of the list in the metadata.
    pub fn name(self) -> &'static str {
        self.names().name
    }

    /// How sops's flags name it: `--KIND`, `--add-KIND`, `--rm-KIND`.
    pub fn flag(self) -> &'static str {
        self.names().flag
    }

    /// The variable that names keys of this kind where no flag does.
    pub fn variable(self) -> &'static str {
        self.names().variable
    }

    /// The credentials that the user has for its servers, if these are those of a cloud. Nobody is asked.
    pub fn credentials(self, host: &dyn Host) -> Option<Credentials> {
        self.room().credentials(host)
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// A decryption order without the names that mean nothing, which sops passes over.
    pub fn known_of_order(order: &str) -> String {
        order.split(',').filter(|name| Self::from_name(name.trim()).is_some()).collect::<Vec<_>>().join(",")
    }

    /// Parses a decryption order as `--decryption-order` and `SOPS_DECRYPTION_ORDER` have it: names with commas.
    pub fn parse_order(order: &str) -> Result<Vec<Self>> {
        let mut kinds = Vec::new();
        for name in order.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let kind = Self::from_name(name).ok_or_else(|| {
                let known = Self::ALL.map(Self::name).join(", ");
                Error::new(Kind::Other, format!("unknown key type `{name}` in the decryption order"))
                    .advise(format!("the key types are {known}"))
            })?;
            if kinds.contains(&kind) {
                return Err(Error::new(
                    Kind::DuplicateOrder,
                    format!("the key type {kind} appears twice in the decryption order"),
                ));
            }
            kinds.push(kind);
        }
        Ok(kinds)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that wraps a data key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MasterKey {
    Age(Recipient),
    /// A transit key of Vault or OpenBao.
    Vault(TransitKey),
    Pgp(Fingerprint),
    /// A key of AWS KMS.
    Kms(aws_kms::Key),
    /// A key of Google Cloud KMS.
    GcpKms(gcp_kms::Key),
    /// A key of Azure Key Vault.
    AzureKv(azure_kv::Key),
    /// A key of Huawei Cloud KMS.
    HcKms(hckms::Key),
    /// A key of a kind that Sealant does not support, or an entry of a file that names no key: named in messages, and
    /// kept verbatim in files.
    Foreign {
        kind: KeyKind,
        id: String,
    },
}

impl MasterKey {
    pub fn kind(&self) -> KeyKind {
        match self {
            Self::Age(_) => KeyKind::Age,
            Self::Vault(_) => KeyKind::HcVault,
            Self::Pgp(_) => KeyKind::Pgp,
            Self::Kms(_) => KeyKind::Kms,
            Self::GcpKms(_) => KeyKind::GcpKms,
            Self::AzureKv(_) => KeyKind::AzureKv,
            Self::HcKms(_) => KeyKind::HcKms,
            Self::Foreign { kind, .. } => *kind,
        }
    }

    /// Its name as flags and configs have it, without the kind.
    pub fn id(&self) -> &str {
        match self {
            Self::Age(recipient) => recipient.as_str(),
            Self::Vault(key) => key.uri(),
            Self::Pgp(key) => key.as_str(),
            Self::Kms(key) => key.id(),
            Self::GcpKms(key) => key.resource_id(),
            Self::AzureKv(key) => key.id(),
            Self::HcKms(key) => key.id(),
            Self::Foreign { id, .. } => id,
        }
    }

    /// How it is named where somebody is told who could open a data key.
    pub(crate) fn wanted(&self) -> String {
        match self {
            Self::Age(recipient) => recipient.short(),
            Self::Vault(key) => format!("{} {key}", KeyKind::HcVault),
            key => match key.why_unsupported() {
                Some(why) => format!("{key} ({why})"),
                None => key.to_string(),
            },
        }
    }

    /// What tells the server from all others that is asked to use it; `None` for a key that takes none.
    pub fn server(&self) -> Option<&str> {
        match self {
            Self::Age(_) | Self::Pgp(_) | Self::Foreign { .. } => None,
            Self::Vault(key) => Some(key.address()),
            Self::Kms(key) => Some(key.region()),
            Self::GcpKms(_) => Some(KeyKind::GcpKms.name()),
            Self::AzureKv(key) => Some(key.vault_url()),
            Self::HcKms(key) => Some(key.region()),
        }
    }

    /// Whether data keys can be wrapped for it and unwrapped with it at all.
    pub fn is_supported(&self) -> bool {
        match self {
            Self::Foreign { .. } => false,
            key => key.kind().names().is_supported,
        }
    }

    /// Whether this key of a file is the one that `name` means.
    pub fn is_meant_by(&self, name: &Self) -> bool {
        match (self, name) {
            (Self::Kms(key), Self::Kms(name)) => key.is_meant_by(name),
            _ => self.is_named_by(name),
        }
    }

    /// Whether a rule that names `name` names this key of a file. A rule may leave out what only the server knows.
    pub fn is_named_by(&self, name: &Self) -> bool {
        match (self, name) {
            (Self::AzureKv(key), Self::AzureKv(name)) => key.is_meant_by(name),
            _ => self == name,
        }
    }

    /// Whether one of these names of a rule names this key of a file.
    pub fn is_among(&self, names: &[Self]) -> bool {
        names.iter().any(|name| self.is_named_by(name))
    }

    /// Who can use it: the same for two keys that the same people can use.
    pub fn holders(&self) -> String {
        match self {
            Self::AzureKv(key) => format!("{} {}", KeyKind::AzureKv, key.of_any_version()),
            // Behind the type and the key of SSH is a comment.
            Self::Age(recipient) if recipient.as_str().starts_with("ssh-") => {
                recipient.as_str().split_whitespace().take(2).collect::<Vec<_>>().join(" ")
            }
            key => key.to_string(),
        }
    }

    /// Why nothing can be wrapped for it: the beginning of a sentence. `None` for a key that is supported.
    pub(crate) fn why_unsupported(&self) -> Option<String> {
        let names = self.kind().names();
        (!self.is_supported()).then(|| match names.is_supported {
            true => {
                let why = self.complaint().and_then(|complaint| complaint.why);
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                format!("`{}` is not the name of {}{why}", self.id(), names.a_key)
            }
            false => format!("{}, which this program was built without", names.a_key),
        })
    }

    /// What to do about a key that is not supported.
    pub(crate) fn instead(&self) -> &'static str {
        self.complaint().map_or("Name another key, or use sops for this file.", |complaint| complaint.form)
    }

    fn complaint(&self) -> Option<Complaint> {
        match self {
            Self::Foreign { kind, id } => kind.room().complaint(id),
            _ => None,
        }
    }

    /// It as an age recipient, if it is one.
    pub fn recipient(&self) -> Option<&Recipient> {
        if let Self::Age(recipient) = self { Some(recipient) } else { None }
    }

    /// It as a PGP key, if it is one.
    pub fn pgp(&self) -> Option<&Fingerprint> {
        if let Self::Pgp(key) = self { Some(key) } else { None }
    }

    /// It as a transit key, if it is one.
    pub fn transit(&self) -> Option<&TransitKey> {
        if let Self::Vault(key) = self { Some(key) } else { None }
    }
}

impl fmt::Display for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age(recipient) => recipient.fmt(f),
            Self::Vault(key) => key.fmt(f),
            Self::Pgp(key) => key.fmt(f),
            Self::Kms(key) => key.fmt(f),
            Self::GcpKms(key) => key.fmt(f),
            Self::AzureKv(key) => key.fmt(f),
            Self::HcKms(key) => key.fmt(f),
            Self::Foreign { kind, id } => write!(f, "{kind} {id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decryption_order_names_each_kind_once() {
        assert_eq!(KeyKind::parse_order("pgp, age").unwrap(), [KeyKind::Pgp, KeyKind::Age]);
        assert_eq!(KeyKind::parse_order("").unwrap(), []);
        assert_eq!(KeyKind::parse_order("age,pgp,age").unwrap_err().kind(), Kind::DuplicateOrder);
        assert_eq!(KeyKind::known_of_order("age,vault, pgp,"), "age, pgp");
        let unknown = KeyKind::parse_order("age,vault").unwrap_err();
        assert_eq!(unknown.to_string(), "unknown key type `vault` in the decryption order");
        assert!(unknown.advice().unwrap().contains("hc_vault"));
    }

    #[test]
    fn every_kind_is_in_each_list_once() {
        let sorted = |mut kinds: [KeyKind; 7]| {
            kinds.sort();
            kinds
        };
        assert_eq!(sorted(KeyKind::ALL), sorted(KeyKind::LISTED));
        let names: std::collections::BTreeSet<_> = KeyKind::ALL.map(KeyKind::name).into();
        assert_eq!(names.len(), KeyKind::ALL.len());
        for kind in KeyKind::ALL {
            assert!(kind.names().fields.contains(&"enc"), "{kind}");
        }
    }
}
