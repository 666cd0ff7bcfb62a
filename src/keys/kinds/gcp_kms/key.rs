//! The name of a key of Google Cloud KMS: its resource ID.
//!
//! Owns the one constructor that checks it. Resource IDs come from files of a repository, and become the path that a
//! plaintext data key is sent to.

use std::fmt;

use crate::error::{Error, Kind, Result};
use crate::keys::kind::Complaint;

/// What a resource ID is made of, each followed by a name.
const PARTS: [&str; 4] = ["projects", "locations", "keyRings", "cryptoKeys"];

const FORM: &str = "It has the form projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY: \
                    `gcloud kms keys list --keyring RING --location LOCATION` lists them.";

/// A key of Google Cloud KMS, as a file or a rule names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    resource_id: String,
}

impl Key {
    /// A key by its resource ID; an error for anything else.
    pub fn parse(resource_id: &str) -> Result<Self> {
        let not_a_key = |why| {
            let message = format!("`{resource_id}` is not the resource ID of a Cloud KMS key: {why}");
            Error::new(Kind::Other, message).advise(FORM)
        };
        check(resource_id).map_err(not_a_key)?;
        Ok(Self { resource_id: resource_id.to_owned() })
    }

    /// `projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY`.
    pub fn resource_id(&self) -> &str {
        &self.resource_id
    }

    /// The project that it is in.
    #[cfg(feature = "gcp")]
    pub(super) fn project(&self) -> &str {
        self.resource_id.split('/').nth(1).unwrap_or_default()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gcp_kms {}", self.resource_id)
    }
}

/// What is wrong with a malformed resource ID.
pub(super) fn complaint(resource_id: &str) -> Option<Complaint> {
    check(resource_id).err().map(|why| Complaint { why: Some(why), form: FORM })
}

/// Whether this is the ID of a key, or the beginning of one with its project; else what is wrong with it.
pub(super) fn check_beginning(text: &str) -> Result<(), &'static str> {
    let mut parts: Vec<&str> = text.split('/').collect();
    let begun = parts.len();
    for part in PARTS.iter().flat_map(|part| [*part, "x"]).skip(begun.max(2)) {
        parts.push(part);
    }
    check(&parts.join("/"))
}

/// Whether it is the ID of a key; else what is wrong with it.
fn check(resource_id: &str) -> Result<(), &'static str> {
    let parts: Vec<&str> = resource_id.split('/').collect();
    if parts.len() > 8 && parts[8] == "cryptoKeyVersions" {
        return Err("it names a version, but KMS itself chooses the version");
    }
    let is_named = parts.len() == 8 && parts.iter().step_by(2).zip(PARTS).all(|(part, name)| *part == name);
    if !is_named {
        return Err("it does not consist of project, location, key ring and key");
    }
    // Projects of a domain have a colon: `example.com:project`.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    let is_name =
        |name: &&str| name.bytes().all(is_plain) && name.bytes().any(|byte| byte.is_ascii_alphanumeric());
    match parts.iter().skip(1).step_by(2).all(is_name) {
        true => Ok(()),
        false => Err("one of its parts is not a valid name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_a_key_of_a_ring() {
        for id in [
            "projects/p/locations/global/keyRings/r/cryptoKeys/k",
            "projects/example.com:p-1/locations/europe-west1/keyRings/R_1/cryptoKeys/k-2",
        ] {
            assert_eq!(Key::parse(id).unwrap().to_string(), format!("gcp_kms {id}"));
        }
    }

    #[test]
    fn what_could_lead_a_data_key_elsewhere_is_refused() {
        for id in [
            "",
            "k",
            "projects/p/locations/l/keyRings/r/cryptoKeys/",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
            "/projects/p/locations/l/keyRings/r/cryptoKeys/k",
            "projects/p/locations/l/keyRings/r/secrets/k",
            "projects/../locations/l/keyRings/r/cryptoKeys/k",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k?x",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k#x",
            "projects/p/locations/l/keyRings/r/cryptoKeys/%2e%2e",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k\\..",
            "projects/p/locations/l/keyRings/r/cryptoKeys/a b",
            "projects/p/locations/l/keyRings/r/cryptoKeys/a\nb",
            "projects/p@evil/locations/l/keyRings/r/cryptoKeys/k",
        ] {
            assert!(Key::parse(id).is_err(), "{id}");
        }
    }
}
