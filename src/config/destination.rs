//! Where `publish` sends files: what a destination rule says.

use std::fmt;

use regex::Regex;

use super::Policy;
use super::schema::Rule;

/// What a destination rule says of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    pub target: Target,
    /// Whether names are without their extensions there.
    pub omit_extensions: bool,
    /// For whom what is sent is encrypted again; as it is, when the rule does not say.
    pub recreation: Option<Policy>,
    /// Of the rule.
    pub line: usize,
}

/// A place that files are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A bucket of AWS S3, and what names begin with there. Encrypted files go there.
    S3 { bucket: String, prefix: String },
    /// A bucket of Google Cloud Storage.
    Gcs { bucket: String, prefix: String },
    /// A key-value engine of Vault or OpenBao. Values go there, decrypted.
    Vault(KvPlace),
}

/// A folder of a key-value engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvPlace {
    /// The server, if the rule names one; else it is the user's own.
    pub address: Option<String>,
    /// Of the engine, without slashes at its ends.
    pub mount: String,
    /// Without slashes at its ends.
    pub path: String,
    pub version: KvVersion,
}

/// The two kinds of key-value engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvVersion {
    One,
    Two,
}

impl Target {
    /// Whether what goes there is decrypted first.
    pub fn takes_plaintext(&self) -> bool {
        matches!(self, Self::Vault(_))
    }
}

impl fmt::Display for Target {
    /// Where files go, without their names. Which server a rule without an address means is the user's to say.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } => write!(formatter, "s3://{bucket}/{prefix}"),
            Self::Gcs { bucket, prefix } => write!(formatter, "gcs://{bucket}/{prefix}"),
            Self::Vault(place) => {
                let server = place.address.as_deref().unwrap_or("Vault");
                write!(formatter, "{server}/v1/{}", place.secret(""))
            }
        }
    }
}

impl KvPlace {
    /// What a secret of this name is called in requests.
    pub fn secret(&self, name: &str) -> String {
        let data = match self.version {
            KvVersion::One => "",
            KvVersion::Two => "data/",
        };
        format!("{}/{data}{}/{name}", self.mount, self.path)
    }
}

/// One entry of `destination_rules`.
#[derive(Debug)]
pub(super) struct DestinationRule {
    pub line: usize,
    /// `None` matches every path.
    pub path_regex: Option<Regex>,
    /// The same as it is written.
    pub pattern: Option<String>,
    /// More or less than one is an error as soon as the rule is used.
    pub targets: Vec<Target>,
    pub omit_extensions: bool,
    pub recreation: Option<Rule>,
}
