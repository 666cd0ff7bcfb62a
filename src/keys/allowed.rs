//! Which keys in clouds may be used, by a list of the operator's: what a controller goes by, whose objects anybody may write.
//!
//! Owns the comparison: an entry is the name of a key, or the beginning of one, and is compared part by part, so that `key/ab`
//! is no beginning of `key/abc`. How the names of a kind look is the kind's to say ([`Resources`]).

use super::KeyKind;
use super::kind::Resources;
use crate::error::{Error, Kind, Result};

/// Keys in clouds that may be used, and no others; when there are none, no cloud is asked for anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allowed(Vec<Place>);

/// A key, or all keys below a part of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    kind: KeyKind,
    name: String,
}

impl Allowed {
    /// Of these entries: ARNs, resource IDs and URLs of keys, or what they begin with. An error for one that is neither, and
    /// for one of a kind that this program was built without.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        entries.into_iter().map(Place::parse).collect::<Result<_>>().map(Self)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this key may be used.
    #[cfg(feature = "cloud")]
    pub(crate) fn holds(&self, kind: KeyKind, name: &str) -> bool {
        self.0.iter().any(|place| place.kind == kind && place.holds(name))
    }

    /// Whether a variable of this name says where the servers of its kinds are, or which credentials there are for them.
    pub fn is_about(&self, variable: &str) -> bool {
        let beginnings =
            self.0.iter().filter_map(|place| resources(place.kind)).flat_map(|known| known.variables);
        beginnings.into_iter().any(|beginning| variable.starts_with(beginning))
    }
}

fn resources(kind: KeyKind) -> Option<&'static Resources> {
    kind.room().resources()
}

impl Place {
    fn parse(entry: &str) -> Result<Self> {
        let wrong = |why: String| Error::new(Kind::Config, format!("`{entry}`: {why}"));
        let is_its = |kind: &KeyKind| resources(*kind).is_some_and(|known| entry.starts_with(known.begins));
        let found = KeyKind::ALL.into_iter().find(is_its);
        let Some((kind, known)) = found.and_then(|kind| Some((kind, resources(kind)?))) else {
            return Err(wrong("it does not name a key in a cloud".to_owned()).advise(FORM));
        };
        let names = kind.names();
        if !names.is_supported {
            return Err(wrong(format!("{}, which this program was built without", names.a_key)));
        }
        let name = entry.trim_end_matches(known.dividers);
        (known.check)(name).map_err(|why| wrong(why.to_owned()).advise(FORM))?;
        Ok(Self { kind, name: name.to_owned() })
    }

    #[cfg(feature = "cloud")]
    fn holds(&self, name: &str) -> bool {
        let dividers = resources(self.kind).map_or(&[][..], |known| known.dividers);
        let rest = name.strip_prefix(&self.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(dividers))
    }
}

const FORM: &str = "An entry is the name of a key, or what it begins with: arn:aws:kms:eu-west-1:123456789012:key/ID, \
                    projects/PROJECT/locations/LOCATION/keyRings/RING, https://VAULT.vault.azure.net.";

#[cfg(all(test, feature = "aws", feature = "azure", feature = "gcp"))]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:kms:eu-west-1:123456789012:key/ab";
    const ID: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k";
    const URL: &str = "https://v.vault.azure.net/keys/k/1";

    fn holds(entry: &str, kind: KeyKind, name: &str) -> bool {
        Allowed::parse([entry]).unwrap().holds(kind, name)
    }

    #[test]
    fn an_entry_is_a_key_or_the_parts_before_it() {
        for (entry, kind, name) in [
            (ARN, KeyKind::Kms, ARN),
            ("arn:aws:kms:eu-west-1:123456789012", KeyKind::Kms, ARN),
            ("arn:aws:kms:eu-west-1:123456789012:", KeyKind::Kms, ARN),
            ("arn:aws:kms:eu-west-1:123456789012:key", KeyKind::Kms, ARN),
            (ID, KeyKind::GcpKms, ID),
            ("projects/p", KeyKind::GcpKms, ID),
            ("projects/p/locations/l/keyRings/r/", KeyKind::GcpKms, ID),
            (URL, KeyKind::AzureKv, URL),
            ("https://v.vault.azure.net", KeyKind::AzureKv, URL),
            ("https://v.vault.azure.net/", KeyKind::AzureKv, URL),
            ("https://v.vault.azure.net/keys/k", KeyKind::AzureKv, URL),
        ] {
            assert!(holds(entry, kind, name), "{entry}");
        }
        for (entry, kind, name) in [
            (ARN, KeyKind::Kms, "arn:aws:kms:eu-west-1:123456789012:key/abc"),
            (ARN, KeyKind::Kms, "arn:aws:kms:eu-west-1:123456789012:alias/ab"),
            (
                "arn:aws:kms:eu-west-1:123456789012",
                KeyKind::Kms,
                "arn:aws:kms:eu-west-1:1234567890123:key/ab",
            ),
            ("arn:aws:kms:eu-west-1:123456789012", KeyKind::Kms, "arn:aws:kms:eu-west-2:123456789012:key/ab"),
            ("arn:aws:kms:eu-west-1:123456789012", KeyKind::GcpKms, ARN),
            ("projects/p", KeyKind::GcpKms, "projects/pp/locations/l/keyRings/r/cryptoKeys/k"),
            ("https://v.vault.azure.net", KeyKind::AzureKv, "https://v.vault.azure.net:8443/keys/k/1"),
            ("https://v.vault.azure.net", KeyKind::AzureKv, "https://v.vault.azure.net.evil.test/keys/k/1"),
            ("https://v.vault.azure.net/keys/k", KeyKind::AzureKv, "https://v.vault.azure.net/keys/kk/1"),
        ] {
            assert!(!holds(entry, kind, name), "{entry} {name}");
        }
        assert!(!Allowed::default().holds(KeyKind::Kms, ARN));
    }

    #[test]
    fn an_entry_says_at_least_whose_keys_it_means() {
        for entry in [
            "",
            "*",
            "arn:",
            "arn:aws:kms",
            "arn:aws:kms:eu-west-1",
            "arn:aws:kms:eu-west-1:*",
            "arn:aws:kms:*:123456789012",
            "arn:aws:s3:eu-west-1:123456789012",
            "arn:none:kms:eu-west-1:123456789012",
            "arn:aws:kms:eu-west-1:123456789012:grant/x",
            "projects/",
            "projects/*",
            "projects/p/zones/l",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
            "https://",
            "https://v.vault.azure.net/secrets/k",
            "https://v.vault.azure.net/keys/k/1/2",
            "http://v.vault.azure.net",
            "tr-west-1:k",
        ] {
            let error = Allowed::parse([entry]).err();
            assert!(error.is_some_and(|error| error.message().starts_with(&format!("`{entry}`"))), "{entry}");
        }
    }

    #[test]
    fn it_says_which_variables_are_about_its_kinds() {
        let allowed = Allowed::parse([ARN]).unwrap();
        assert!(allowed.is_about("AWS_ROLE_ARN") && !allowed.is_about("AZURE_CLIENT_ID"));
        assert!(!allowed.is_about("VAULT_TOKEN") && !Allowed::default().is_about("AWS_ROLE_ARN"));
    }
}

#[cfg(all(test, not(feature = "aws")))]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_is_not_built_is_named() {
        let error = Allowed::parse(["arn:aws:kms:eu-west-1:1"]).unwrap_err();
        let expected = "`arn:aws:kms:eu-west-1:1`: a key of AWS KMS, which this program was built without";
        assert_eq!(error.message(), expected);
    }
}
