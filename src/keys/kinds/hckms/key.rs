//! The name of a key of Huawei Cloud KMS: its region and its ID.
//!
//! Owns the one constructor that checks it. Names come from files of a repository, and become the host and the body that a
//! plaintext data key is sent in.

use std::fmt;

use crate::error::{Error, Kind, Result};
use crate::keys::kind::Complaint;

const FORM: &str = "It has the form REGION:KEY, such as tr-west-1:0d0466b0-e727-4d9c-b35d-f84bb474a37f: the DEW \
                    console shows the IDs of keys.";

/// A key of Huawei Cloud KMS, as a file or a rule names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    id: String,
}

impl Key {
    /// A key by `REGION:KEY`; an error for anything else.
    pub fn parse(id: &str) -> Result<Self> {
        let id = id.trim();
        match check(id) {
            Ok(()) => Ok(Self { id: id.to_owned() }),
            Err(why) => {
                let message = format!("`{id}` is not the ID of a key of Huawei Cloud KMS: {why}");
                Err(Error::new(Kind::Other, message).advise(FORM))
            }
        }
    }

    /// `REGION:KEY`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The region that it is in.
    pub fn region(&self) -> &str {
        self.id.split(':').next().unwrap_or_default()
    }

    /// Its ID in that region.
    #[cfg(feature = "huawei")]
    pub(super) fn uuid(&self) -> &str {
        self.id.split(':').nth(1).unwrap_or_default()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hckms {}", self.id)
    }
}

/// What is wrong with what is no key.
pub(super) fn complaint(id: &str) -> Option<Complaint> {
    check(id.trim()).err().map(|why| Complaint { why: Some(why), form: FORM })
}

fn check(id: &str) -> Result<(), &'static str> {
    let (region, uuid) = id.split_once(':').ok_or("it names no region")?;
    let is_plain = |text: &str, letters: fn(&u8) -> bool| {
        !text.is_empty()
            && text.bytes().all(|byte| letters(&byte) || byte.is_ascii_digit() || byte == b'-')
            && !text.starts_with('-')
    };
    if !is_plain(region, u8::is_ascii_lowercase) {
        return Err("its region has characters other than lower-case letters, digits and dashes");
    }
    match is_plain(uuid, u8::is_ascii_alphabetic) {
        true => Ok(()),
        false => Err("the ID of a key has only letters, digits and dashes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_region_and_an_id() {
        let id = "tr-west-1:0d0466b0-e727-4d9c-b35d-f84bb474a37f";
        assert_eq!(Key::parse(&format!(" {id}\n")).unwrap().to_string(), format!("hckms {id}"));
    }

    #[test]
    fn what_could_lead_a_data_key_elsewhere_is_refused() {
        for id in [
            "",
            "k",
            ":k",
            "tr-west-1:",
            "evil.test/:k",
            "a.b:k",
            "tr_west:k",
            "TR:k",
            "-:k",
            "a:k/..",
            "a:k:l",
            "a: k",
        ] {
            assert!(Key::parse(id).is_err() && complaint(id).is_some(), "{id}");
        }
    }
}
