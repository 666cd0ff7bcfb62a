//! What the person who runs a command has settled about Vault: where a token may go, how a server is reached, how to
//! log in there.
//!
//! Read from the environment (as the clients of Vault and OpenBao read it) and from the user's own
//! `$XDG_CONFIG_HOME/sealant/config.yaml`, never from a file of a repository: whoever can write to a repository must
//! not decide who gets our token. Makes no request, and reads no credentials: those are read when they are used.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::TransitKey;
use super::problem::{Cause, Problem};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::SecretString;

/// sops's variable: `all`, `none`, or addresses with commas between them.
const ALLOW_LIST: &str = "SOPS_HC_VAULT_ALLOWLIST";

/// How long a server may take to answer a request, unless `VAULT_CLIENT_TIMEOUT` says otherwise (Vault's own is 60 s).
const TIMEOUT: Duration = Duration::from_secs(30);

/// How often a request is repeated that a server could not answer, unless `VAULT_MAX_RETRIES` says otherwise.
const RETRIES: u32 = 2;

/// Who has started the command, and so whether the address in a file is enough to go there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartedBy {
    /// Somebody who typed it: any address, as for sops, unless an allow-list says otherwise.
    Person,
    /// Another program, such as git or Argo CD: only addresses that are allowed explicitly.
    Program,
}

/// Everything that is settled about Vault before a file is read. It can hold a token: it is never printed.
#[derive(Clone)]
pub struct Settings {
    started_by: StartedBy,
    allow: Option<Allow>,
    /// `VAULT_ADDR`: the server that the user works with.
    pub address: Option<String>,
    /// `VAULT_AGENT_ADDR`: takes the requests for every server.
    agent: Option<String>,
    /// `VAULT_NAMESPACE`.
    namespace: Option<String>,
    servers: Vec<ServerEntry>,
    pub(super) tls: Tls,
    pub(super) proxy: Option<String>,
    pub(super) timeout: Duration,
    pub(super) retries: u32,
    auth: Auth,
    /// Instead of any other.
    pub(super) token: Option<SecretString>,
}

/// Certificates.
#[derive(Debug, Clone, Default)]
pub(super) struct Tls {
    /// When there are any, they replace those of the operating system.
    pub ca_files: Vec<PathBuf>,
    pub ca_dir: Option<PathBuf>,
    pub ca_pem: Option<String>,
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub skip_verify: bool,
}

/// How to log in when there is no token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub method: Option<Method>,
    /// Where the method is mounted, by default under its own name.
    pub mount: Option<String>,
    pub role: Option<String>,
    /// Of the method `userpass`.
    pub username: Option<String>,
}

impl Auth {
    /// What another says where this one says nothing.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        let same_method = self.method.is_none() || self.method == other.method;
        let other = if same_method { other.clone() } else { Self::default() };
        Self {
            method: self.method.or(other.method),
            mount: self.mount.or(other.mount),
            role: self.role.or(other.role),
            username: self.username.or(other.username),
        }
    }
}

/// The ways to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    Token,
    AppRole,
    Kubernetes,
    /// With a signed token of a CI system: GitLab's `id_tokens`, GitHub's OIDC.
    Jwt,
    UserPass,
}

impl Method {
    pub const ALL: [Self; 5] = [Self::Token, Self::AppRole, Self::Kubernetes, Self::Jwt, Self::UserPass];

    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::AppRole => "approle",
            Self::Kubernetes => "kubernetes",
            Self::Jwt => "jwt",
            Self::UserPass => "userpass",
        }
    }

    fn from_name(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::new(Kind::Other, format!("VAULT_AUTH_METHOD: there is no method `{name}`"))
                .advise(format!("The methods are {known}."))
        })
    }
}

/// Where tokens may go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Allow {
    All,
    /// What an address, or an address with a path, has to begin with.
    Prefixes(Vec<String>),
}

impl Allow {
    fn parse(list: &str) -> Result<Self> {
        match list.trim() {
            "all" => Ok(Self::All),
            "none" => Ok(Self::Prefixes(Vec::new())),
            list => Self::of(list.split(',').map(str::trim)).map_err(|error| error.in_file(ALLOW_LIST)),
        }
    }

    fn of<'a>(entries: impl Iterator<Item = &'a str>) -> Result<Self> {
        let prefix = |entry: &str| match entry {
            "" => Err(Error::new(Kind::Config, "an entry of the allow-list of Vault addresses is empty")),
            entry if entry.starts_with("https://") || entry.starts_with("http://") => {
                Ok(format!("{}/", entry.trim_end_matches('/')))
            }
            entry => Err(Error::new(
                Kind::Config,
                format!("`{entry}` in the allow-list of Vault addresses is not an address"),
            )
            .advise("It has to begin with https://, as in https://vault.example.com:8200.")),
        };
        entries.map(prefix).collect::<Result<_>>().map(Self::Prefixes)
    }

    fn names(&self, url: &str) -> bool {
        match self {
            Self::All => true,
            // With the slash at its end a prefix is never a part of a longer host name or path.
            Self::Prefixes(prefixes) => prefixes.iter().any(|prefix| format!("{url}/").starts_with(prefix)),
        }
    }
}

/// A server in the user's own settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerEntry {
    /// As it stands in files.
    address: String,
    /// Where it is reached from here, if that is another address.
    reach: Option<String>,
    namespace: Option<String>,
    ca_cert: Option<PathBuf>,
    #[serde(default)]
    auth: Auth,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserFile {
    #[serde(default)]
    vault: UserVault,
    audit: Option<UserAudit>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserAudit {
    log: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserVault {
    allow: Option<Vec<String>>,
    #[serde(default)]
    servers: Vec<ServerEntry>,
}

/// How a server is reached and what it may be sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Route {
    pub url: String,
    /// Whether that is an agent of the user's.
    pub by_agent: bool,
    /// The namespace of our login and, where a key names none, of the key.
    pub namespace: Option<String>,
    pub ca_cert: Option<PathBuf>,
    /// Whether credentials may go there, such as a password or a secret id, and not only a token.
    pub is_trusted: bool,
}

impl Settings {
    /// Nothing is settled: no address is allowed, nobody logs in. What a controller starts from.
    pub fn none() -> Self {
        Self {
            started_by: StartedBy::Program,
            allow: None,
            address: None,
            agent: None,
            namespace: None,
            servers: Vec::new(),
            tls: Tls::default(),
            proxy: None,
            timeout: TIMEOUT,
            retries: RETRIES,
            auth: Auth::default(),
            token: None,
        }
    }

    /// What the environment and the user's file say.
    pub fn of_user(host: &dyn Host, started_by: StartedBy) -> Result<Self> {
        let user = read_user_file(host)?.vault;
        let allow = match host.env_text(ALLOW_LIST)? {
            Some(list) => Some(Allow::parse(&list)?),
            None => user.allow.map(|list| Allow::of(list.iter().map(String::as_str))).transpose()?,
        };
        let var = |name: &str| variable(host, name);
        let path = |name: &str| var(name).map(|value| value.map(PathBuf::from));
        let tls = Tls {
            ca_files: path("CACERT")?.into_iter().collect(),
            ca_dir: path("CAPATH")?,
            ca_pem: var("CACERT_BYTES")?,
            client_cert: path("CLIENT_CERT")?,
            client_key: path("CLIENT_KEY")?,
            skip_verify: var("SKIP_VERIFY")?.is_some_and(|value| is_true(&value)),
        };
        if var("TLS_SERVER_NAME")?.is_some() {
            return Err(Error::new(Kind::Other, "VAULT_TLS_SERVER_NAME is set, and Sealant cannot do that")
                .advise("Name the server as its certificate does, by `reach` in the user's settings for instance."));
        }
        let auth = Auth {
            method: var("AUTH_METHOD")?.map(|name| Method::from_name(&name)).transpose()?,
            mount: var("AUTH_PATH")?,
            role: var("AUTH_ROLE")?,
            username: var("USERNAME")?,
        };
        let proxy = match var("PROXY_ADDR")? {
            Some(proxy) => Some(proxy),
            None => var("HTTP_PROXY")?,
        };
        Ok(Self {
            started_by,
            allow,
            address: var("ADDR")?.map(|address| address.trim_end_matches('/').to_owned()),
            agent: var("AGENT_ADDR")?.map(|address| address.trim_end_matches('/').to_owned()),
            namespace: var("NAMESPACE")?
                .map(|path| checked_namespace("VAULT_NAMESPACE", path))
                .transpose()?,
            servers: user.servers,
            tls,
            proxy,
            timeout: var("CLIENT_TIMEOUT")?.map(|text| duration(&text)).transpose()?.unwrap_or(TIMEOUT),
            retries: match var("MAX_RETRIES")? {
                Some(text) => text.parse().map_err(|_| not_a("MAX_RETRIES", &text, "number"))?,
                None => RETRIES,
            },
            auth,
            token: None,
        })
    }

    /// The same settings with this server as the one that the user works with: `vault login ADDRESS`, for instance.
    #[must_use]
    pub fn with_address(self, address: &str) -> Self {
        Self { address: Some(address.trim_end_matches('/').to_owned()), ..self }
    }

    /// The same settings with another way to log in.
    #[must_use]
    pub fn with_auth(self, auth: Auth) -> Self {
        let auth = auth.or(&self.auth);
        Self { auth, ..self }
    }

    /// The same settings with this token, whatever else is at hand.
    #[must_use]
    pub fn with_token(self, token: SecretString) -> Self {
        let auth = Auth { method: Some(Method::Token), ..Auth::default() };
        Self { token: Some(token), auth, ..self }
    }

    /// How somebody logs in who is asked to.
    pub fn method(&self) -> Method {
        self.auth_for(self.address.as_deref().unwrap_or_default()).method.unwrap_or(Method::Token)
    }

    /// Whether it is known whose password is asked for.
    pub fn names_user(&self) -> bool {
        self.auth_for(self.address.as_deref().unwrap_or_default()).username.is_some()
    }

    /// The same settings with these addresses allowed, and no others.
    pub fn allowing(self, addresses: &[String]) -> Result<Self> {
        Ok(Self { allow: Some(Allow::of(addresses.iter().map(String::as_str))?), ..self })
    }

    /// How to log in at the server that stands in files with this address.
    pub(super) fn auth_for(&self, address: &str) -> Auth {
        let entry = self.servers.iter().find(|server| server.address.trim_end_matches('/') == address);
        let of_server = entry.map(|server| server.auth.clone()).unwrap_or_default();
        // What is set for this one command counts more than what is settled for all.
        self.auth.clone().or(&of_server)
    }

    /// How the server with this address is reached, for requests whose URL begins with `url`. An error when nobody has
    /// allowed that a token goes there.
    pub(super) fn route(&self, address: &str, url: &str) -> Result<Route, Problem> {
        let entry = self.servers.iter().find(|server| server.address.trim_end_matches('/') == address);
        let listed = self.allow.as_ref().is_some_and(|allow| *allow != Allow::All && allow.names(url));
        let is_own = self.address.as_deref() == Some(address) || entry.is_some();
        let allowed = match (&self.allow, self.started_by) {
            (Some(Allow::All), _) | (None, StartedBy::Person) => true,
            (Some(Allow::Prefixes(_)), StartedBy::Person) => listed,
            // Who has said `none` means it.
            (Some(Allow::Prefixes(prefixes)), _) if prefixes.is_empty() => false,
            (_, StartedBy::Program) => listed || is_own,
        };
        if !allowed {
            let message = "this address is not allowed: no token is sent there";
            return Err(Problem::new(Cause::NotAllowed, message));
        }
        let reach = entry.and_then(|server| server.reach.clone());
        Ok(Route {
            by_agent: self.agent.is_some(),
            url: self.agent.clone().or(reach).unwrap_or_else(|| address.to_owned()),
            namespace: entry.and_then(|server| server.namespace.clone()).or_else(|| self.namespace.clone()),
            ca_cert: entry.and_then(|server| server.ca_cert.clone()),
            is_trusted: listed || is_own,
        })
    }

    /// Whether a server that we were sent to by another may be sent a token.
    pub(super) fn allows_redirect(&self, url: &str) -> bool {
        match (&self.allow, self.started_by) {
            (Some(allow), _) => allow.names(url),
            (None, StartedBy::Person) => true,
            (None, StartedBy::Program) => {
                self.address.as_ref().is_some_and(|own| Allow::Prefixes(vec![format!("{own}/")]).names(url))
            }
        }
    }
}

/// A variable of the clients of OpenBao and Vault: `BAO_x`, else `VAULT_x`.
pub(super) fn variable(host: &dyn Host, name: &str) -> Result<Option<String>> {
    match host.env_text(&format!("BAO_{name}"))? {
        Some(value) => Ok(Some(value)),
        None => host.env_text(&format!("VAULT_{name}")),
    }
}

/// As [`variable`], for what must not stay in memory.
pub(super) fn secret_variable(host: &dyn Host, name: &str) -> Result<Option<SecretString>> {
    Ok(variable(host, name)?.map(SecretString::new))
}

/// Whether the user's own settings ask for an audit log, and where they want it. Settings that are wrong elsewhere keep
/// nobody from opening files, which may take none of them.
pub fn user_audit_log(host: &dyn Host) -> Result<Option<Option<PathBuf>>> {
    const AUDIT: &[u8] = b"audit";
    let may_ask = || {
        let text = user_file(host).map(|path| host.read_secret(&path));
        text.is_some_and(|text| {
            !text.is_ok_and(|text| !text.windows(AUDIT.len()).any(|found| found == AUDIT))
        })
    };
    match read_user_file(host) {
        Ok(file) => Ok(file.audit.map(|audit| audit.log)),
        Err(error) if may_ask() => Err(error),
        Err(_) => Ok(None),
    }
}

fn user_file(host: &dyn Host) -> Option<PathBuf> {
    host.config_dir().map(|folder| folder.join("sealant/config.yaml"))
}

fn read_user_file(host: &dyn Host) -> Result<UserFile> {
    let Some(path) = user_file(host) else {
        return Ok(UserFile::default());
    };
    let failed = |error: Error| error.in_file(&path);
    let text = match host.read_secret(&path) {
        Ok(text) => text,
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::Unsupported) =>
        {
            return Ok(UserFile::default());
        }
        Err(error) => return Err(failed(Error::new(Kind::Config, error.to_string()))),
    };
    let text = std::str::from_utf8(&text).map_err(|_| failed(Error::new(Kind::Config, "it is not UTF-8")))?;
    if text.trim().is_empty() {
        return Ok(UserFile::default());
    }
    let file: UserFile = serde_yaml::from_str(text).map_err(|error| {
        let line = error.location().map(|location| location.line() as usize);
        let message = error.to_string().lines().next().unwrap_or_default().to_owned();
        let error = failed(Error::new(Kind::Config, message))
            .advise("These are your own settings for Sealant; `docs/vault.md` says what can stand there.");
        match line {
            Some(line) => error.on_line(line),
            None => error,
        }
    })?;
    for server in &file.vault.servers {
        if let Some(namespace) = &server.namespace {
            checked_namespace("namespace", namespace.clone()).map_err(failed)?;
        }
        for address in [Some(&server.address), server.reach.as_ref()].into_iter().flatten() {
            TransitKey::new(address, None, "transit", "key").map_err(failed)?;
        }
    }
    Ok(file)
}

/// A namespace goes into a header, which not everything can.
fn checked_namespace(from: &str, path: String) -> Result<String> {
    match path.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(path),
        false => Err(Error::new(Kind::Config, format!("{from}: {path:?} cannot be a namespace"))),
    }
}

/// As Go's `ParseBool` reads it, which Vault's clients use.
fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// Seconds, or a number with a unit: `30`, `30s`, `2m`.
fn duration(text: &str) -> Result<Duration> {
    let seconds = text.parse::<u64>().ok().map(Duration::from_secs);
    let parsed = seconds.or_else(|| {
        let span: jiff::SignedDuration = text.parse().ok()?;
        Duration::try_from(span).ok()
    });
    parsed
        .filter(|limit| !limit.is_zero())
        .ok_or_else(|| not_a("CLIENT_TIMEOUT", text, "time, such as 30 or 2m"))
}

fn not_a(variable: &str, text: &str, what: &str) -> Error {
    Error::new(Kind::Other, format!("VAULT_{variable}: `{text}` is not a {what}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::fake_host::FakeHost;
    use super::*;

    const FILE: &str = "/home/u/.config/sealant/config.yaml";

    fn route(settings: &Settings, address: &str) -> Result<Route, Problem> {
        settings.route(address, &format!("{address}/v1/transit/keys/shop"))
    }

    fn routes(settings: &Settings, address: &str) -> bool {
        route(settings, address).is_ok()
    }

    #[test]
    fn a_person_goes_where_the_file_says_and_a_program_does_not() {
        let host = FakeHost::default().env("VAULT_ADDR", "https://mine:8200/");
        let person = Settings::of_user(&host, StartedBy::Person).unwrap();
        assert!(routes(&person, "https://mine:8200") && routes(&person, "https://evil"));
        assert!(!route(&person, "https://evil").unwrap().is_trusted);
        let program = Settings::of_user(&host, StartedBy::Program).unwrap();
        assert!(routes(&program, "https://mine:8200") && !routes(&program, "https://evil"));
        assert!(!routes(&Settings::none(), "https://mine:8200"));
    }

    #[test]
    fn an_allow_list_counts_for_both() {
        for (list, allowed) in [
            ("none", [false, false, false]),
            ("all", [true, true, true]),
            ("https://vault.example.com", [true, false, false]),
            ("https://other, https://vault.example.com/v1/transit/keys/", [true, false, false]),
            ("https://vault.example.com/v1/transit/keys/sho", [false, false, false]),
        ] {
            let host = FakeHost::default().env(ALLOW_LIST, list);
            let addresses =
                ["https://vault.example.com", "https://vault.example.com.evil", "http://vault.example.com"];
            for started_by in [StartedBy::Person, StartedBy::Program] {
                let settings = Settings::of_user(&host, started_by).unwrap();
                assert_eq!(addresses.map(|address| routes(&settings, address)), allowed, "{list}");
            }
        }
        let none = FakeHost::default().env(ALLOW_LIST, "none").env("VAULT_ADDR", "https://mine");
        assert!(!routes(&Settings::of_user(&none, StartedBy::Program).unwrap(), "https://mine"));
        let host = FakeHost::default().env(ALLOW_LIST, "vault.example.com");
        assert!(
            Settings::of_user(&host, StartedBy::Person)
                .err()
                .unwrap()
                .message()
                .contains("is not an address")
        );
    }

    #[test]
    fn the_users_file_says_how_a_server_is_reached() {
        let text = "vault:\n  allow: [https://vault.svc:8200]\n  servers:\n    - address: https://vault.svc:8200\n      \
                    reach: https://vault.example.com\n      namespace: team\n      auth: {method: jwt, role: ci}\n";
        let host = FakeHost::default().file(FILE, text).env("VAULT_AUTH_ROLE", "other");
        let settings = Settings::of_user(&host, StartedBy::Program).unwrap();
        let route = route(&settings, "https://vault.svc:8200").unwrap();
        assert_eq!(
            (route.url.as_str(), route.namespace.as_deref()),
            ("https://vault.example.com", Some("team"))
        );
        let auth = settings.auth_for("https://vault.svc:8200");
        assert_eq!((auth.method, auth.role.as_deref()), (Some(Method::Jwt), Some("other")));
        assert!(!routes(&settings, "https://vault.example.com"));
    }

    #[test]
    fn what_is_wrong_in_the_users_file_is_named() {
        for (text, message) in [
            ("vault:\n  alow: []\n", "alow"),
            ("vault:\n  servers: [{address: vault}]\n", "is not the address"),
            ("vault:\n  allow: [vault]\n", "is not an address"),
        ] {
            let host = FakeHost::default().file(FILE, text);
            let error = Settings::of_user(&host, StartedBy::Person).err().unwrap();
            assert!(error.to_string().contains(message), "{error}");
            assert_eq!(error.kind() == Kind::Config, message != "is not the address", "{error}");
        }
    }

    #[test]
    fn openbaos_variables_come_first() {
        let host = FakeHost::default()
            .env("BAO_ADDR", "https://bao")
            .env("VAULT_ADDR", "https://vault")
            .env("VAULT_CLIENT_TIMEOUT", "2m")
            .env("VAULT_SKIP_VERIFY", "true");
        let settings = Settings::of_user(&host, StartedBy::Person).unwrap();
        assert_eq!(settings.address.as_deref(), Some("https://bao"));
        assert_eq!((settings.timeout, settings.tls.skip_verify), (Duration::from_secs(120), true));
        for (name, value) in
            [("VAULT_CLIENT_TIMEOUT", "soon"), ("VAULT_MAX_RETRIES", "x"), ("VAULT_AUTH_METHOD", "ldap")]
        {
            assert!(
                Settings::of_user(&FakeHost::default().env(name, value), StartedBy::Person).is_err(),
                "{name}"
            );
        }
    }
}
