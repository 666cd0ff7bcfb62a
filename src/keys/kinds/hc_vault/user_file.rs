//! The user's own settings: `$XDG_CONFIG_HOME/sealant/config.yaml`.
//!
//! Owns the form of this file, and the one thing that we write into it: a server that the user wants to be known from
//! now on. All else in it stays as it is, byte for byte; where that cannot be, the file is left alone.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::TransitKey;
use super::connection::socket_of;
use super::settings::{Auth, checked_namespace};
use super::tls::Names;
use crate::error::{Error, Kind, Result};
use crate::host::Host;

/// A server in the user's own settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerEntry {
    /// As it appears in files.
    pub address: String,
    /// Where it is reached from here, if that is another address.
    pub reach: Option<String>,
    pub namespace: Option<String>,
    pub ca_cert: Option<PathBuf>,
    /// What it is called in its certificate, if that is another name.
    pub server_name: Option<ServerName>,
    #[serde(default)]
    pub auth: Auth,
}

/// A name that was checked when it was read.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ServerName(pub Names);

impl TryFrom<String> for ServerName {
    type Error = String;

    fn try_from(name: String) -> std::result::Result<Self, String> {
        Names::given("server_name", &name).map(Self).map_err(|error| error.message().to_owned())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserFile {
    #[serde(default)]
    pub vault: UserVault,
    audit: Option<UserAudit>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserAudit {
    log: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserVault {
    pub allow: Option<Vec<String>>,
    #[serde(default)]
    pub servers: Vec<ServerEntry>,
}

/// Whether the user's own settings ask for an audit log, and where they want it. Settings that are wrong elsewhere keep
/// nobody from opening files, which may take none of them.
pub fn user_audit_log(host: &dyn Host) -> Result<Option<Option<PathBuf>>> {
    const AUDIT: &[u8] = b"audit";
    let may_ask = || {
        let text = settings_file(host).map(|path| host.read_secret(&path));
        text.is_some_and(|text| {
            !text.is_ok_and(|text| !text.windows(AUDIT.len()).any(|found| found == AUDIT))
        })
    };
    match read(host) {
        Ok(file) => Ok(file.audit.map(|audit| audit.log)),
        Err(error) if may_ask() => Err(error),
        Err(_) => Ok(None),
    }
}

/// Where the user's own settings are.
pub fn settings_file(host: &dyn Host) -> Option<PathBuf> {
    host.config_dir().map(|folder| folder.join("sealant/config.yaml"))
}

/// The text of the file, and where it is; the text is empty where there is none.
fn text_of(host: &dyn Host) -> Result<Option<(PathBuf, String)>> {
    use std::io::ErrorKind::{NotFound, Unsupported};
    let Some(path) = settings_file(host) else { return Ok(None) };
    let failed = |message: &str| Error::new(Kind::Config, message).in_file(&path);
    let bytes = match host.read_secret(&path) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), NotFound | Unsupported) => {
            return Ok(Some((path, String::new())));
        }
        Err(error) => return Err(failed(&error.to_string())),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| failed("it is not UTF-8"))?.to_owned();
    Ok(Some((path, text)))
}

pub(super) fn read(host: &dyn Host) -> Result<UserFile> {
    let Some((path, text)) = text_of(host)?.filter(|(_, text)| !text.trim().is_empty()) else {
        return Ok(UserFile::default());
    };
    let failed = |error: Error| error.in_file(&path);
    let file: UserFile = serde_yaml::from_str(&text).map_err(|error| {
        let line = error.location().map(|location| location.line() as usize);
        let message = error.to_string().lines().next().unwrap_or_default().to_owned();
        let error = failed(Error::new(Kind::Config, message))
            .advise("These are your own settings for Sealant; `docs/vault.md` says what they can hold.");
        match line {
            Some(line) => error.on_line(line),
            None => error,
        }
    })?;
    for server in &file.vault.servers {
        if let Some(namespace) = &server.namespace {
            checked_namespace("namespace", namespace.clone()).map_err(failed)?;
        }
        let reach = server.reach.iter().filter(|reach| socket_of(reach).is_none());
        for address in reach.chain([&server.address]) {
            TransitKey::new(address, None, "transit", "key").map_err(failed)?;
        }
    }
    Ok(file)
}

/// Writes a server into the file, as one that the user knows. Gives where that is.
pub(super) fn keep(host: &dyn Host, address: &str) -> Result<PathBuf> {
    let nowhere = || Error::new(Kind::Write, "there is no folder for your own settings: HOME is not set");
    let (path, text) = text_of(host)?.ok_or_else(nowhere)?;
    let text = with_server(&text, address).ok_or_else(|| {
        Error::new(Kind::Write, "Sealant cannot add a server to it without changing something else")
            .in_file(&path)
            .advise(format!("Add {address} to `servers` under `vault` yourself."))
    })?;
    host.write_private(&path, text.as_bytes())?;
    Ok(path)
}

/// The text with one more server, the first of its list. `None` where adding lines does not make it so.
fn with_server(text: &str, address: &str) -> Option<String> {
    let wanted = {
        let mut file = parsed(text)?;
        let vault = file.entry("vault").or_insert(Value::Null);
        let servers = as_mapping(vault)?.entry("servers").or_insert(Value::Null);
        let entry = json!({ "address": address });
        match servers {
            Value::Null => *servers = json!([entry]),
            Value::Array(servers) => servers.insert(0, entry),
            _ => return None,
        }
        file
    };
    // The first guess that is right. What is not of the usual form (flow style, anchors) is never guessed at.
    candidates(text, address).into_iter().find(|text| parsed(text).as_ref() == Some(&wanted))
}

fn parsed(text: &str) -> Option<Map<String, Value>> {
    let mut file: Value = serde_yaml::from_str(text).ok()?;
    as_mapping(&mut file).cloned()
}

/// A mapping, or nothing, which becomes an empty one.
fn as_mapping(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

/// The text with lines for a server after `servers:`, after `vault:`, and at its end.
fn candidates(text: &str, address: &str) -> Vec<String> {
    let eol = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let opens = |line: &str, key: &str| {
        let rest = line.trim_start().strip_prefix(key).and_then(|rest| rest.strip_prefix(':'));
        rest.is_some_and(|rest| rest.trim().is_empty() || rest.trim_start().starts_with('#'))
    };
    let indentation = |line: &str| line[..line.len() - line.trim_start_matches(' ').len()].to_owned();
    // Of the first line below that says something.
    let below = |at: usize| {
        let says = |line: &&&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        lines[at + 1..].iter().find(says).map(|line| indentation(line)).unwrap_or_default()
    };
    let with = |at: usize, new: String| {
        let mut before = lines[..at].concat();
        if !before.is_empty() && !before.ends_with('\n') {
            before += eol;
        }
        before + &new + &lines[at..].concat()
    };
    let after = |key: &'static str, new: &dyn Fn(&str) -> String| -> Vec<String> {
        let found = (0..lines.len()).filter(|&at| opens(lines[at], key));
        found
            .flat_map(|at| {
                let deeper = indentation(lines[at]) + "  ";
                [below(at), deeper].map(|indent| with(at + 1, new(&indent)))
            })
            .collect()
    };
    let mut all = after("servers", &|indent| format!("{indent}- address: {address}{eol}"));
    all.extend(after("vault", &|indent| format!("{indent}servers:{eol}{indent}  - address: {address}{eol}")));
    all.push(with(lines.len(), format!("vault:{eol}  servers:{eol}    - address: {address}{eol}")));
    all
}

#[cfg(test)]
mod tests {
    use super::super::allow::Target;
    use super::super::settings::{Settings, Trust};
    use super::*;
    use crate::keys::StartedBy;
    use crate::keys::fake_host::FakeHost;

    #[test]
    fn a_server_is_added_and_all_else_keeps_its_bytes() {
        let new = "https://new:8200";
        for (before, after) in [
            ("", "vault:\n  servers:\n    - address: https://new:8200\n"),
            ("# mine\n", "# mine\nvault:\n  servers:\n    - address: https://new:8200\n"),
            (
                "audit: {log: /x}  # kept",
                "audit: {log: /x}  # kept\nvault:\n  servers:\n    - address: https://new:8200\n",
            ),
            ("vault:\n", "vault:\n  servers:\n    - address: https://new:8200\n"),
            (
                "vault:  # servers\n\n    # none else\n    allow: [https://a]\naudit: {}\n",
                "vault:  # servers\n    servers:\n      - address: https://new:8200\n\n    # none else\n    allow: \
                 [https://a]\naudit: {}\n",
            ),
            (
                "vault:\r\n  servers:\r\n  - address: https://old   # old\r\n    reach: \"https://x\"\r\n",
                "vault:\r\n  servers:\r\n  - address: https://new:8200\r\n  - address: https://old   # old\r\n    \
                 reach: \"https://x\"\r\n",
            ),
        ] {
            assert_eq!(with_server(before, new).as_deref(), Some(after), "{before}");
            assert!(serde_yaml::from_str::<UserFile>(after).is_ok(), "{after}");
        }
        for before in ["vault: {servers: []}\n", "vault: {}\n", "[]\n", "a: b: c\n", "vault:\n  servers: x\n"]
        {
            assert_eq!(with_server(before, new), None, "{before}");
        }
    }

    #[test]
    fn an_odd_address_is_kept_as_what_it_is() {
        let text = with_server("", "http://[::1]:8200").unwrap();
        let file: UserFile = serde_yaml::from_str(&text).unwrap();
        assert_eq!(file.vault.servers[0].address, "http://[::1]:8200");
    }

    #[test]
    fn what_is_kept_is_known_from_then_on() {
        let host = FakeHost::default();
        let path = keep(&host, "https://new").unwrap();
        assert_eq!(path, PathBuf::from("/home/u/.config/sealant/config.yaml"));
        let settings = Settings::of_user(&host, StartedBy::Program).unwrap();
        assert_eq!(settings.verdict(Target::Server("https://new")), Trust::Named);
    }
}
