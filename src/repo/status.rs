//! Who can decrypt a file, and whether the transit keys that wrap its data key are up to date.
//!
//! Works without any key: recipients and versions appear in the metadata, and which version is the newest is asked of
//! the server, once per transit key.

use std::collections::HashMap;

use serde::Serialize;

use crate::error::Result;
use crate::keys::vault::KeyVersions;
use crate::keys::{KeyKind, TransitKey, WrappedDataKey, version_of};

/// What the servers say of transit keys.
pub type Versions = HashMap<TransitKey, Option<KeyVersions>>;

/// The state of a wrapped data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WrapState {
    /// Nothing is to be done, as far as anybody can tell from here.
    Current,
    /// The server did not say which version of the transit key is the newest.
    Unknown,
    /// Wrapped by an older version of the transit key.
    Old,
    /// By a version that decrypts nothing any more.
    Expired,
}

/// One master key of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyStatus {
    /// The group, from 1.
    pub group: usize,
    #[serde(serialize_with = "as_name")]
    pub kind: KeyKind,
    pub id: String,
    /// What people here call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of the transit key, when the data key was wrapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub versions: Option<KeyVersions>,
    pub state: WrapState,
}

fn as_name<S: serde::Serializer>(kind: &KeyKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

/// The transit keys of a file.
pub fn transit_keys(wrapped: &WrappedDataKey) -> impl Iterator<Item = &TransitKey> {
    wrapped.groups.iter().flatten().filter_map(|wrapped| wrapped.key.transit())
}

/// The state of each master key of a file; one that wraps several of its data keys, as the worst of them.
pub fn of_file(data_keys: &[WrappedDataKey], versions: &Versions) -> Vec<KeyStatus> {
    let mut found: Vec<KeyStatus> = Vec::new();
    for status in data_keys.iter().flat_map(|wrapped| of_data_key(wrapped, versions)) {
        let is_same = |known: &&mut KeyStatus| {
            (known.group, known.kind, &known.id) == (status.group, status.kind, &status.id)
        };
        match found.iter_mut().find(is_same) {
            Some(known) if known.state < status.state => *known = status,
            Some(_) => {}
            None => found.push(status),
        }
    }
    found
}

fn of_data_key(wrapped: &WrappedDataKey, versions: &Versions) -> Vec<KeyStatus> {
    let groups = wrapped.groups.iter().enumerate();
    let keys = groups.flat_map(|(index, group)| group.iter().map(move |wrapped| (index + 1, wrapped)));
    keys.map(|(group, wrapped)| {
        let transit = wrapped.key.transit();
        let versions = transit.and_then(|key| versions.get(key).copied().flatten());
        let version = version_of(&wrapped.enc);
        let state = match (transit, version, versions) {
            (Some(_), Some(version), Some(versions)) => state(version, versions),
            (Some(_), ..) => WrapState::Unknown,
            (None, ..) => WrapState::Current,
        };
        let id = wrapped.key.id().to_owned();
        KeyStatus { group, kind: wrapped.key.kind(), id, name: None, version, versions, state }
    })
    .collect()
}

fn state(version: u32, versions: KeyVersions) -> WrapState {
    match version {
        version if version < versions.min_decryption_version => WrapState::Expired,
        version if version < versions.latest_version => WrapState::Old,
        _ => WrapState::Current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_held_against_what_the_server_says() {
        let versions = KeyVersions { latest_version: 4, min_decryption_version: 2 };
        let states = [1, 2, 3, 4, 5].map(|version| state(version, versions));
        assert_eq!(
            states,
            [WrapState::Expired, WrapState::Old, WrapState::Old, WrapState::Current, WrapState::Current]
        );
    }
}
