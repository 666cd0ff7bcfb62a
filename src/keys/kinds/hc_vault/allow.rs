//! Servers and keys as a list of addresses names them.
//!
//! Owns the comparison: the same server under two spellings (case, default port, slashes) is one server, and a path is
//! compared segment by segment, with the namespace in front. Reads nothing, and decides nothing: see [`super::settings`].

use super::TransitKey;
use crate::error::{Error, Kind, Result};

/// sops's variable: `all`, `none`, or addresses with commas between them.
pub(super) const ALLOW_LIST: &str = "SOPS_HC_VAULT_ALLOWLIST";

/// Scheme, host and port of a server, in the one spelling that is compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin(String);

impl Origin {
    pub fn of(address: &str) -> Self {
        match reqwest::Url::parse(address) {
            Ok(url) if url.has_host() => Self::of_url(&url),
            // No request is made to what is no address; here it is equal to itself alone.
            _ => Self(address.to_owned()),
        }
    }

    pub fn of_url(url: &reqwest::Url) -> Self {
        Self(url.origin().ascii_serialization())
    }
}

/// What a request is about, as far as a list can name it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'a> {
    /// A server, for requests that concern none of its keys: a login, who we are.
    Server(&'a str),
    Key(&'a TransitKey),
}

impl<'a> Target<'a> {
    /// As it appears in files.
    pub fn address(self) -> &'a str {
        match self {
            Self::Server(address) => address,
            Self::Key(key) => key.address(),
        }
    }
}

/// Where tokens may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Allow {
    All,
    /// These and no others; when there are none, nowhere.
    Places(Vec<Place>),
}

/// A server, or the part of one below a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    origin: Origin,
    path: Vec<String>,
}

impl Allow {
    /// The value of [`ALLOW_LIST`].
    pub fn parse(list: &str) -> Result<Self> {
        match list.trim() {
            "all" => Ok(Self::All),
            "none" => Ok(Self::Places(Vec::new())),
            list => Self::of(list.split(',').map(str::trim)).map_err(|error| error.in_file(ALLOW_LIST)),
        }
    }

    pub fn of<'a>(entries: impl Iterator<Item = &'a str>) -> Result<Self> {
        entries.map(Place::parse).collect::<Result<_>>().map(Self::Places)
    }
}

impl Place {
    fn parse(entry: &str) -> Result<Self> {
        if entry.is_empty() {
            let message = "an entry of the allow-list of Vault addresses is empty";
            return Err(Error::new(Kind::Config, message));
        }
        let is_bare = |url: &reqwest::Url| {
            matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        };
        let url = reqwest::Url::parse(entry).ok().filter(|_| entry.contains("://")).filter(is_bare);
        let url = url.ok_or_else(|| {
            let message = format!("`{entry}` in the allow-list of Vault addresses is not an address");
            Error::new(Kind::Config, message)
                .advise("It has to begin with https://, as in https://vault.example.com:8200.")
        })?;
        Ok(Self { origin: Origin::of_url(&url), path: segments(url.path()).map(str::to_owned).collect() })
    }

    /// Whether it is this server, or a part of it.
    pub fn is_on(&self, origin: &Origin) -> bool {
        self.origin == *origin
    }

    /// Whether this path of the server is at or below the place.
    pub fn holds(&self, origin: &Origin, path: &str) -> bool {
        let mut path = segments(path);
        self.is_on(origin) && self.path.iter().all(|segment| path.next() == Some(segment))
    }

    /// Whether this key is at or below the place, for somebody who works in the namespace `own`.
    ///
    /// A namespace is a part of the path, and so is that of a key. A place may leave out the namespace that the user
    /// has chosen, never one that a file chooses.
    pub fn holds_key(&self, key: &TransitKey, own: Option<&str>) -> bool {
        let own = own.map(|namespace| namespace.trim_matches('/')).filter(|namespace| !namespace.is_empty());
        let namespace = key.namespace().or(own);
        let origin = Origin::of(key.address());
        let full = match namespace {
            Some(namespace) => format!("v1/{namespace}/{}", key.path()),
            None => format!("v1/{}", key.path()),
        };
        self.holds(&origin, &full) || (namespace == own && self.holds(&origin, &format!("v1/{}", key.path())))
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_matches('/');
    path.split('/').filter(move |_| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(place: &str, namespace: Option<&str>, engine: &str, own: Option<&str>) -> bool {
        let key = TransitKey::new("https://vault:8200", namespace, engine, "shop").unwrap();
        Place::parse(place).unwrap().holds_key(&key, own)
    }

    #[test]
    fn a_place_binds_the_namespace_the_engine_and_the_key() {
        for (place, namespace, engine, own, expected) in [
            ("https://vault:8200", Some("other"), "transit", None, true),
            ("https://vault:8200/v1/team/transit/", None, "team/transit", None, true),
            ("https://vault:8200/v1/team/transit/", Some("team"), "transit", None, true),
            ("https://vault:8200/v1/team/transit/", Some("team/"), "transit", None, true),
            // The finding: the namespace in front was not looked at.
            ("https://vault:8200/v1/team/transit/", Some("other"), "team/transit", None, false),
            ("https://vault:8200/v1/team/transit/", Some("other/team"), "transit", None, false),
            ("https://vault:8200/v1/team/transit/", Some("root"), "team/transit", None, false),
            ("https://vault:8200/v1/org/team/transit", Some("org/team"), "transit", None, true),
            ("https://vault:8200/v1/org/team/transit", Some("org"), "team/transit", None, true),
            ("https://vault:8200/v1/team", Some("team"), "transit", None, true),
            ("https://vault:8200/v1/team", Some("team-b"), "transit", None, false),
            // What the user has chosen may be left out; what a file chooses may not.
            ("https://vault:8200/v1/transit", None, "transit", Some("/team/"), true),
            ("https://vault:8200/v1/team/transit", None, "transit", Some("team"), true),
            ("https://vault:8200/v1/transit", Some("other"), "transit", Some("team"), false),
            ("https://vault:8200/v1/transit", Some("other"), "transit", None, false),
            ("https://vault:8200/v1/transit", Some(""), "transit", Some(""), true),
            ("https://vault:8200/v1/transit/keys/shop/", None, "transit", None, true),
            ("https://vault:8200/v1/transit/keys/sho", None, "transit", None, false),
            ("https://vault:8200/v1/tran", None, "transit", None, false),
            ("https://vault:8200/v1/%74ransit", None, "transit", None, false),
        ] {
            assert_eq!(
                names(place, namespace, engine, own),
                expected,
                "{place} {namespace:?} {engine} {own:?}"
            );
        }
    }

    #[test]
    fn a_server_is_itself_however_it_is_spelt() {
        let same = |a: &str, b: &str| Origin::of(a) == Origin::of(b);
        assert!(same("https://Vault.Example.com", "https://vault.example.com:443/"));
        assert!(same("http://vault", "http://vault:80"));
        assert!(same("https://[::1]:8200", "https://[0:0:0:0:0:0:0:1]:08200"));
        for other in [
            "http://vault.example.com",
            "https://vault.example.com:8200",
            "https://vault.example.com.evil",
            "https://evil",
            "vault.example.com",
            "",
        ] {
            assert!(!same("https://vault.example.com", other), "{other}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_in_a_list() {
        for entry in [
            "vault:8200",
            "vault",
            "",
            "https://",
            "https:vault",
            "https://user@vault",
            "https://vault?x",
            "https://vault#x",
            "unix:///run/vault",
        ] {
            assert!(Place::parse(entry).is_err(), "{entry}");
        }
    }
}
