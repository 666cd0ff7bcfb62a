//! The name of a transit key: which server, which engine, which key.
//!
//! Owns the one constructor that checks these names. They come from files of a repository, and parts of them become
//! the path of a request that carries a token: `transit/decrypt/../../auth/token/revoke-self` must never get that far.
//! Asks no server, and reads no settings.

use std::fmt;

use crate::error::{Error, Kind, Result};

/// A key of a transit engine of Vault or OpenBao.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransitKey {
    address: String,
    namespace: Option<String>,
    engine: String,
    name: String,
    /// As sops shows it, which is also how flags and configs name it.
    uri: String,
}

impl TransitKey {
    /// A key by its parts: `address` as in `https://vault:8200`, the path of the engine, `transit` or
    /// `team/transit`, and the key's name in it. An error when an address is not `http(s)://HOST[:PORT]`, or when a
    /// segment is anything but letters, digits, `_`, `.` and `-`.
    pub fn new(address: &str, namespace: Option<&str>, engine: &str, name: &str) -> Result<Self> {
        let address = checked_address(address)?;
        let namespace = namespace.map(|path| plain_path("namespace", path)).transpose()?;
        let engine = plain_path("engine path", engine)?;
        if engine.is_empty() {
            return Err(invalid("a transit key needs the path of its engine".to_owned()));
        }
        if !is_plain(name) {
            return Err(invalid(format!("`{name}` cannot be the name of a transit key")));
        }
        let uri = format!("{address}/v1/{engine}/keys/{name}");
        let namespace = namespace.filter(|path| !path.is_empty());
        Ok(Self { address, namespace, engine, name: name.to_owned(), uri })
    }

    /// A key as flags, configs and sops name it: `https://HOST[:PORT]/v1/ENGINE/keys/NAME`. As with sops, an operation, or
    /// any other word, can take the place of `keys`; no request is made of it.
    pub fn parse(uri: &str) -> Result<Self> {
        let not_a_key = || invalid(format!("`{uri}` is not the URI of a transit key"));
        let (address, path) = split(uri).ok_or_else(not_a_key)?;
        match segments(path).collect::<Vec<_>>().as_slice() {
            ["v1", engine @ .., word, name] if is_plain(word) && !engine.is_empty() => {
                Self::new(address, None, &engine.join("/"), name)
            }
            _ => Err(not_a_key()),
        }
    }

    /// A key in short: `https://HOST[:PORT]/ENGINE/NAME`. The whole of it, as [`TransitKey::parse`] takes it, is as good.
    pub fn from_short(name: &str) -> Result<Self> {
        let Some((address, path)) = split(name) else { return Self::parse(name) };
        match segments(path).collect::<Vec<_>>().as_slice() {
            ["v1", ..] => Self::parse(name),
            [engine @ .., key] => Self::new(address, None, &engine.join("/"), key),
            [] => Self::parse(name),
        }
    }

    /// `https://vault:8200`: scheme, host and port, without a slash at the end.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The namespace that is beside the engine's path (SealedSecrets have it; in a URI it is part of the path).
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The path of the engine, without slashes at its ends.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// The key's name in its engine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole of it, as sops shows it. A namespace that is beside the path is not in it.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// `transit/keys/shop`: what policies name, apart from the operation.
    pub fn path(&self) -> String {
        format!("{}/keys/{}", self.engine, self.name)
    }
}

impl fmt::Display for TransitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)?;
        self.namespace.iter().try_for_each(|namespace| write!(f, " (namespace {namespace})"))
    }
}

/// The version of the transit key that made a ciphertext: the 3 of `vault:v3:...`. `None` for what is no ciphertext of
/// a transit engine.
pub fn version_of(ciphertext: &str) -> Option<u32> {
    let (version, rest) = ciphertext.strip_prefix("vault:v")?.split_once(':')?;
    (!rest.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit())).then(|| version.parse().ok())?
}

/// The address of a URI, and its path.
fn split(uri: &str) -> Option<(&str, &str)> {
    let host = uri.find("://")? + 3;
    Some(uri.split_at(host + uri[host..].find('/')?))
}

/// The parts of a path. To a server, several slashes are one.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// A path of plain segments, with one slash between two of them.
fn plain_path(what: &str, path: &str) -> Result<String> {
    match segments(path).find(|segment| !is_plain(segment)) {
        Some(bad) => Err(invalid(format!("`{bad}` cannot appear in the {what} of a transit key"))),
        None => Ok(segments(path).collect::<Vec<_>>().join("/")),
    }
}

/// Whether this can be in a path without meaning anything else.
pub(super) fn is_plain(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed)
}

/// Scheme, host and port, and nothing else.
fn checked_address(address: &str) -> Result<String> {
    let address = address.trim_end_matches('/');
    let bad = |why| invalid(format!("`{address}` is not the address of a Vault server: {why}"));
    let (scheme, host) = address.split_once("://").unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "https" | "http") {
        return Err(bad("it has to begin with https://"));
    }
    // Brackets hold an IPv6 address; else one colon may be before a port.
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((ip, port)) if ip.parse::<std::net::Ipv6Addr>().is_ok() => {
            ("ip", port.strip_prefix(':').or(Some(port)))
        }
        Some(_) => return Err(bad("its host or port is wrong")),
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if !is_plain(name) || !port.is_none_or(|port| (port.is_empty() && name == "ip") || is_port(port)) {
        return Err(bad("its host or port is wrong"));
    }
    Ok(format!("{scheme}://{host}"))
}

fn invalid(message: String) -> Error {
    Error::new(Kind::Other, message)
        .advise("A transit key is named as https://HOST:PORT/v1/ENGINE/keys/NAME; its parts hold letters, digits, `_`, `.` and `-`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_server_engine_and_key() {
        let cases = [
            ("https://vault:8200/v1/transit/keys/shop", "https://vault:8200", "transit", "shop"),
            (
                "http://[::1]:8200/v1/team/a/transit/keys/db.prod",
                "http://[::1]:8200",
                "team/a/transit",
                "db.prod",
            ),
            ("https://vault.example.com/v1/keys/keys/keys", "https://vault.example.com", "keys", "keys"),
        ];
        for (uri, address, engine, name) in cases {
            let key = TransitKey::parse(uri).unwrap();
            assert_eq!((key.address(), key.engine(), key.name(), key.uri()), (address, engine, name, uri));
        }
    }

    #[test]
    fn a_uri_is_taken_as_others_write_it() {
        for uri in [
            "https://v/v1/transit/keys/k",
            "https://v/v1/transit/keys/k/",
            "HTTPS://v/v1/transit/encrypt/k",
            "https://v/v1/transit/decrypt/k",
            "Https://v//v1///transit//keys//k//",
        ] {
            assert_eq!(TransitKey::parse(uri).unwrap().uri(), "https://v/v1/transit/keys/k", "{uri}");
        }
        assert_eq!(TransitKey::parse("https://V/v1/a/b/x/k").unwrap().uri(), "https://V/v1/a/b/keys/k");
        let written_elsewhere = TransitKey::new("https://v/", Some("/team/"), "/a//b/", "k").unwrap();
        assert_eq!((written_elsewhere.engine(), written_elsewhere.namespace()), ("a/b", Some("team")));
    }

    #[test]
    fn a_key_has_a_short_name() {
        for name in ["https://vault:8200/team/transit/shop", "https://vault:8200/v1/team/transit/keys/shop"] {
            assert_eq!(
                TransitKey::from_short(name).unwrap().uri(),
                "https://vault:8200/v1/team/transit/keys/shop"
            );
        }
        for name in
            ["https://vault:8200", "https://vault:8200/", "https://vault:8200/shop", "vault/transit/shop"]
        {
            assert!(TransitKey::from_short(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_could_lead_a_request_elsewhere_is_refused() {
        for uri in [
            "https://vault/v1/transit/keys/..",
            "https://vault/v1/transit/../sys/keys/k",
            "https://vault/v1/transit/keys/%2e%2e",
            "https://vault/v1/transit/../keys/k",
            "https://vault/v1/transit/k%65ys/k",
            "https://vault/v2/transit/keys/k",
            "https://vault/v1/tran sit/keys/k",
            "https://vault/v1/transit/keys/k?x=1",
            "https://vault/v1/transit/keys/k#x",
            "https://vault/v1/keys/k",
            "https://vault/prefix/v1/transit/keys/k",
            "https://user:pw@vault/v1/transit/keys/k",
            "https://vault\\@evil/v1/transit/keys/k",
            "https://vault:99999999/v1/transit/keys/k",
            "https:///v1/transit/keys/k",
            "file:///v1/transit/keys/k",
            "vault/v1/transit/keys/k",
            "",
        ] {
            assert!(TransitKey::parse(uri).is_err(), "{uri}");
        }
        for (namespace, engine, name) in [
            (Some("../root"), "transit", "k"),
            (Some("team"), "transit/../sys", "k"),
            (None, "transit", "a/b"),
            (None, "transit", ""),
            (None, "", "k"),
            (None, "//", "k"),
            (None, "a//..//b", "k"),
            (Some("te am"), "transit", "k"),
        ] {
            assert!(
                TransitKey::new("https://vault", namespace, engine, name).is_err(),
                "{namespace:?} {engine} {name}"
            );
        }
    }

    #[test]
    fn the_version_is_read_from_the_ciphertext() {
        assert_eq!(version_of("vault:v12:abc="), Some(12));
        for other in ["vault:v:abc", "vault:vx:abc", "vault:v1:", "vault:v1", "vault:v+1:x", "", "x"] {
            assert_eq!(version_of(other), None, "{other}");
        }
    }
}
