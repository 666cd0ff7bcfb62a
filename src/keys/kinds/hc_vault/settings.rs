//! What the person who runs a command has settled about Vault: where a token may go, how a server is reached, how to
//! log in there.
//!
//! Read from the environment (as the clients of Vault and OpenBao read it) and from the user's own
//! `$XDG_CONFIG_HOME/sealant/config.yaml`, never from a file of a repository: whoever can write to a repository must
//! not decide who gets our token. Makes no request, and reads no credentials: those are read when they are used.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::allow::{ALLOW_LIST, Allow, Origin, Place, Target};
use super::tls::Names;
use super::user_file::{self, ServerEntry};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::StartedBy;
use crate::keys::web::Proxies;
use crate::secret::SecretString;

/// How long a server may take to answer a request, unless `VAULT_CLIENT_TIMEOUT` says otherwise (Vault's own is 60 s).
const TIMEOUT: Duration = Duration::from_secs(30);

/// No limit is this one: to nobody does it make a difference, and no wait is without an end.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a request is repeated that a server could not answer, unless `VAULT_MAX_RETRIES` says otherwise.
const RETRIES: u32 = 2;

/// Whether a token may go to a server, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The user has named it: by a flag, the environment, the allow-list or their own settings. Credentials may go
    /// there, too: a password, a secret id.
    Named,
    /// The user lets tokens go anywhere, and nothing else.
    Anywhere,
    /// Nothing of the user's names it: they can be asked.
    Unnamed,
    /// An allow-list does not name it, or nobody can be asked.
    Refused,
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
    /// The servers that the user has named for this run, `address` among them.
    named: Vec<Origin>,
    servers: Vec<ServerEntry>,
    pub(super) tls: Tls,
    /// The proxy that is named for Vault alone.
    pub(super) proxy: Option<String>,
    pub(super) proxies: Proxies,
    pub(super) timeout: Duration,
    pub(super) retries: u32,
    /// `VAULT_HEADERS`: they go wherever a token goes.
    pub(super) headers: HeaderMap,
    /// `VAULT_DISABLE_REDIRECTS`: no server leads us to another.
    pub(super) stays: bool,
    auth: Auth,
    /// Instead of any other.
    pub(super) token: Option<SecretString>,
}

/// Certificates.
#[derive(Clone, Default)]
pub(super) struct Tls {
    /// When there are any, they replace those of the operating system.
    pub authorities: Option<Pem>,
    pub client_cert: Option<Pem>,
    pub client_key: Option<Pem>,
    pub skip_verify: bool,
    /// `VAULT_TLS_SERVER_NAME`.
    pub names: Names,
}

/// Where certificates or a key are, in PEM.
#[derive(Clone)]
pub(super) enum Pem {
    File(PathBuf),
    /// A folder of such files, or one of them.
    Folder(PathBuf),
    /// In the variable of this name.
    Given(&'static str, SecretString),
}

impl Pem {
    /// A file counts more than a text beside it, as to the clients of Vault and OpenBao.
    fn of(file: Option<PathBuf>, (name, text): (&'static str, Option<String>)) -> Option<Self> {
        file.map(Self::File).or_else(|| text.map(|text| Self::Given(name, SecretString::new(text))))
    }
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
            Error::new(Kind::Other, format!("VAULT_AUTH_METHOD: unknown method `{name}`"))
                .advise(format!("The methods are {known}."))
        })
    }
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
    /// What it has to be called in its certificate.
    pub names: Names,
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
            named: Vec::new(),
            servers: Vec::new(),
            tls: Tls::default(),
            proxy: None,
            proxies: Proxies::default(),
            timeout: TIMEOUT,
            retries: RETRIES,
            headers: HeaderMap::new(),
            stays: false,
            auth: Auth::default(),
            token: None,
        }
    }

    /// What the environment and the user's file say.
    pub fn of_user(host: &dyn Host, started_by: StartedBy) -> Result<Self> {
        let user = user_file::read(host)?.vault;
        let allow = match host.env_text(ALLOW_LIST)? {
            Some(list) => Some(Allow::parse(&list)?),
            None => user.allow.map(|list| Allow::of(list.iter().map(String::as_str))).transpose()?,
        };
        let var = |name: &str| variable(host, name);
        let path = |name: &str| var(name).map(|value| value.map(PathBuf::from));
        let authorities = Pem::of(path("CACERT")?, ("VAULT_CACERT_BYTES", var("CACERT_BYTES")?));
        let certificate = ("VAULT_CLIENT_CERT_BYTES", var("CLIENT_CERT_BYTES")?);
        let key = ("VAULT_CLIENT_KEY_BYTES", var("CLIENT_KEY_BYTES")?);
        let tls = Tls {
            authorities: authorities.or(path("CAPATH")?.map(Pem::Folder)),
            client_cert: Pem::of(path("CLIENT_CERT")?, certificate),
            client_key: Pem::of(path("CLIENT_KEY")?, key),
            skip_verify: is_true("SKIP_VERIFY", var("SKIP_VERIFY")?)?,
            names: match var("TLS_SERVER_NAME")? {
                Some(name) => Names::given("VAULT_TLS_SERVER_NAME", &name)?,
                None => Names::default(),
            },
        };
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
        let address = var("ADDR")?.map(|address| address.trim_end_matches('/').to_owned());
        Ok(Self {
            started_by,
            allow,
            named: address.iter().map(|address| Origin::of(address)).collect(),
            address,
            agent: var("AGENT_ADDR")?.map(|address| address.trim_end_matches('/').to_owned()),
            namespace: var("NAMESPACE")?
                .map(|path| checked_namespace("VAULT_NAMESPACE", path))
                .transpose()?,
            servers: user.servers,
            tls,
            proxy,
            proxies: Proxies::of_environment(host)?,
            timeout: var("CLIENT_TIMEOUT")?.map(|text| duration(&text)).transpose()?.unwrap_or(TIMEOUT),
            retries: match var("MAX_RETRIES")? {
                Some(text) => text.parse().map_err(|_| not_a("MAX_RETRIES", &text, "number"))?,
                None => RETRIES,
            },
            headers: var("HEADERS")?.map(|text| headers(&text)).transpose()?.unwrap_or_default(),
            stays: is_true("DISABLE_REDIRECTS", var("DISABLE_REDIRECTS")?)?,
            auth,
            token: None,
        })
    }

    /// The same settings with this server as the one that the user works with: `vault login ADDRESS`, for instance.
    #[must_use]
    pub fn with_address(self, address: &str) -> Self {
        Self { address: Some(address.trim_end_matches('/').to_owned()), ..self }
            .naming(&[Origin::of(address)])
    }

    /// The same settings with these servers as ones that the user has named for this run.
    #[must_use]
    pub(super) fn naming(mut self, servers: &[Origin]) -> Self {
        self.named.extend_from_slice(servers);
        self
    }

    /// The same settings with another way to log in.
    #[must_use]
    pub fn with_auth(self, auth: Auth) -> Self {
        let auth = auth.or(&self.auth);
        Self { auth, ..self }
    }

    /// The same settings with this token, whatever else there is.
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

    /// How to log in at the server that is in files with this address.
    pub(super) fn auth_for(&self, address: &str) -> Auth {
        let of_server =
            self.entry(&Origin::of(address)).map(|server| server.auth.clone()).unwrap_or_default();
        // What is set for this one command counts more than what is settled for all.
        self.auth.clone().or(&of_server)
    }

    /// Whether a token may go to a server, for requests about this target.
    pub(super) fn verdict(&self, target: Target) -> Trust {
        let origin = Origin::of(target.address());
        let entry = self.entry(&origin);
        let is_own = entry.is_some() || self.named.contains(&origin);
        let names = |place: &Place| match target {
            Target::Server(_) => place.is_on(&origin),
            Target::Key(key) => place.holds_key(key, self.namespace_for(entry)),
        };
        match (&self.allow, self.started_by) {
            (Some(Allow::Places(places)), started_by) => {
                // An entry with a path is narrower than any other word about its server. Who has said `none` means it.
                let is_silent = !places.is_empty() && !places.iter().any(|place| place.is_on(&origin));
                let is_named = is_own && is_silent && started_by == StartedBy::Program;
                if is_named || places.iter().any(names) { Trust::Named } else { Trust::Refused }
            }
            _ if is_own => Trust::Named,
            (Some(Allow::All), _) | (None, StartedBy::Sops) => Trust::Anywhere,
            (None, StartedBy::Person) => Trust::Unnamed,
            (None, StartedBy::Program | StartedBy::Controller) => Trust::Refused,
        }
    }

    /// How the server with this address is reached. `is_trusted`: the user has named it.
    pub(super) fn route(&self, address: &str, is_trusted: bool) -> Route {
        let entry = self.entry(&Origin::of(address));
        let reach = entry.and_then(|server| server.reach.clone()).filter(|_| self.agent.is_none());
        let given = entry.and_then(|server| server.server_name.clone()).filter(|_| self.agent.is_none());
        let names = match (&self.tls.names, given, &reach) {
            // What is set for this one command counts more than what is settled for all.
            (Names::Reached, Some(name), _) => name.0,
            (Names::Reached, None, Some(reach)) => Names::either(reach, address),
            (names, _, _) => names.clone(),
        };
        Route {
            by_agent: self.agent.is_some(),
            url: self.agent.clone().or(reach).unwrap_or_else(|| address.to_owned()),
            namespace: self.namespace_for(entry).map(str::to_owned),
            ca_cert: entry.and_then(|server| server.ca_cert.clone()),
            names,
            is_trusted,
        }
    }

    /// What the user's own settings say about a server.
    fn entry(&self, origin: &Origin) -> Option<&ServerEntry> {
        self.servers.iter().find(|server| Origin::of(&server.address) == *origin)
    }

    /// The namespace of our login there and, where a key names none, of the key.
    fn namespace_for<'s>(&'s self, entry: Option<&'s ServerEntry>) -> Option<&'s str> {
        entry.and_then(|server| server.namespace.as_deref()).or(self.namespace.as_deref())
    }

    /// Whether a server that we were sent to by another may be sent a token. Without a list of those that may, none leaves
    /// the host that sends us, but for a server that the user's settings name.
    pub(super) fn allows_redirect(&self, from: &reqwest::Url, url: &reqwest::Url) -> bool {
        let origin = Origin::of_url(url);
        match (&self.allow, self.started_by) {
            (Some(Allow::All), _) | (None, StartedBy::Sops) => true,
            (None, StartedBy::Person) => {
                let is_own = self.address.as_ref().is_some_and(|own| Origin::of(own) == origin);
                from.host() == url.host() || is_own || self.entry(&origin).is_some()
            }
            (Some(Allow::Places(places)), _) => places.iter().any(|place| place.holds(&origin, url.path())),
            (None, StartedBy::Program | StartedBy::Controller) => {
                self.address.as_ref().is_some_and(|own| Origin::of(own) == origin)
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

/// A namespace goes into a header, which not everything can.
pub(super) fn checked_namespace(from: &str, path: String) -> Result<String> {
    match path.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(path),
        false => Err(Error::new(Kind::Config, format!("{from}: {path:?} cannot be a namespace"))),
    }
}

/// As Go's `ParseBool` reads it, which Vault's clients use.
fn is_true(variable: &str, value: Option<String>) -> Result<bool> {
    match value.as_deref() {
        None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some(text) => {
            Err(Error::new(Kind::Other, format!("VAULT_{variable}: `{text}` is neither true nor false")))
        }
    }
}

/// A JSON object with the values of headers, as Vault's client reads it. They can be credentials: no error repeats them.
fn headers(text: &str) -> Result<HeaderMap> {
    let wrong = |why: &str| {
        Error::new(Kind::Other, format!("VAULT_HEADERS: {why}"))
            .advise("It is a JSON object of strings: {\"X-Name\": \"value\"}.")
    };
    let pairs: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|_| wrong("this is not a JSON object of strings"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let Ok(name) = HeaderName::try_from(name) else {
            return Err(wrong("one of its names is not a valid header name"));
        };
        let Ok(mut value) = HeaderValue::try_from(SecretString::new(value).as_str()) else {
            return Err(wrong(&format!("the value of {name} is not a valid header value")));
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Seconds, or a number with a unit: `30`, `30s`, `2m`. `0` is no limit, as to Vault's own client.
fn duration(text: &str) -> Result<Duration> {
    let seconds = text.parse::<u64>().ok().map(Duration::from_secs);
    let parsed = seconds.or_else(|| {
        let span: jiff::SignedDuration = text.parse().ok()?;
        Duration::try_from(span).ok()
    });
    let limit = parsed.ok_or_else(|| not_a("CLIENT_TIMEOUT", text, "time, such as 30 or 2m"))?;
    Ok(if limit.is_zero() { LONGEST } else { limit.min(LONGEST) })
}

fn not_a(variable: &str, text: &str, what: &str) -> Error {
    Error::new(Kind::Other, format!("VAULT_{variable}: `{text}` is not a {what}"))
}

#[cfg(test)]
mod tests {
    use super::super::TransitKey;
    use super::*;
    use crate::keys::fake_host::FakeHost;

    const FILE: &str = "/home/u/.config/sealant/config.yaml";

    use StartedBy::{Person, Program, Sops};
    use Trust::{Anywhere, Named, Refused, Unnamed};

    fn verdict(settings: &Settings, address: &str) -> Trust {
        settings.verdict(Target::Key(&TransitKey::new(address, None, "transit", "shop").unwrap()))
    }

    fn verdicts(host: &FakeHost, address: &str) -> [Trust; 3] {
        [Person, Sops, Program].map(|by| verdict(&Settings::of_user(host, by).unwrap(), address))
    }

    #[test]
    fn who_has_started_a_command_decides_about_servers_that_only_files_name() {
        let host = FakeHost::default().env("VAULT_ADDR", "https://mine:8200/");
        assert_eq!(verdicts(&host, "https://MINE:8200"), [Named; 3]);
        assert_eq!(verdicts(&host, "https://evil"), [Unnamed, Anywhere, Refused]);
        assert_eq!(verdict(&Settings::none(), "https://mine:8200"), Refused);
        let file = "vault: {servers: [{address: \"https://mine\"}]}\n";
        let host = FakeHost::default().file(FILE, file);
        assert_eq!(verdicts(&host, "https://mine:443"), [Named; 3]);
        let typed = Settings::of_user(&host, Person).unwrap().naming(&[Origin::of("https://typed/")]);
        assert_eq!(verdict(&typed, "https://typed"), Named);
    }

    #[test]
    fn where_the_list_speaks_of_a_server_it_says_which_keys() {
        let host = FakeHost::default().env("VAULT_ADDR", "https://mine");
        let listing = |list: &str| {
            let host = FakeHost::default().env("VAULT_ADDR", "https://mine").env(ALLOW_LIST, list);
            verdicts(&host, "https://mine")
        };
        assert_eq!(verdicts(&host, "https://mine"), [Named; 3]);
        assert_eq!(listing("https://mine/v1/transit/"), [Named; 3]);
        assert_eq!(listing("https://mine/v1/team/transit"), [Refused; 3]);
        assert_eq!(listing("https://other"), [Refused, Refused, Named]);
        assert_eq!(listing("none"), [Refused; 3]);
        assert_eq!(listing("all"), [Named; 3]);
        let host = FakeHost::default().env(ALLOW_LIST, "https://mine/v1/transit/");
        let settings = Settings::of_user(&host, Program).unwrap();
        assert_eq!(settings.verdict(Target::Server("https://mine")), Named);
        assert_eq!(settings.verdict(Target::Server("https://other")), Refused);
    }

    #[test]
    fn the_namespace_of_the_user_may_be_left_out_of_the_list_and_that_of_a_file_may_not() {
        let file = "vault: {servers: [{address: \"https://mine\", namespace: team}]}\n";
        let host = FakeHost::default().file(FILE, file).env(ALLOW_LIST, "https://mine/v1/transit");
        let settings = Settings::of_user(&host, Program).unwrap();
        let of = |namespace| {
            let key = TransitKey::new("https://mine", namespace, "transit", "shop").unwrap();
            settings.verdict(Target::Key(&key))
        };
        assert_eq!([of(None), of(Some("team")), of(Some("other"))], [Named, Named, Refused]);
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
            for started_by in [Person, Sops, Program] {
                let settings = Settings::of_user(&host, started_by).unwrap();
                let verdicts = addresses.map(|address| verdict(&settings, address));
                assert_eq!(verdicts.map(|verdict| verdict != Refused), allowed, "{list}");
                assert!(!verdicts.contains(&Unnamed), "{list}");
            }
        }
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
        let route = settings.route("https://vault.svc:8200", true);
        assert_eq!(
            (route.url.as_str(), route.namespace.as_deref()),
            ("https://vault.example.com", Some("team"))
        );
        let auth = settings.auth_for("https://vault.svc:8200");
        assert_eq!((auth.method, auth.role.as_deref()), (Some(Method::Jwt), Some("other")));
        assert_eq!(verdict(&settings, "https://vault.example.com"), Refused);
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
        for (name, value) in [
            ("VAULT_CLIENT_TIMEOUT", "soon"),
            ("VAULT_MAX_RETRIES", "x"),
            ("VAULT_AUTH_METHOD", "ldap"),
            ("VAULT_SKIP_VERIFY", "yes"),
            ("BAO_DISABLE_REDIRECTS", "2"),
            ("VAULT_HEADERS", "X-Edge: hunter2"),
            ("VAULT_HEADERS", "{\"X-Edge\": 1}"),
            ("VAULT_HEADERS", "{\"X Edge\": \"hunter2\"}"),
            ("VAULT_HEADERS", "{\"X-Edge\": \"hunter2\\n\"}"),
        ] {
            let error = Settings::of_user(&FakeHost::default().env(name, value), StartedBy::Person).err();
            let error = error.unwrap_or_else(|| panic!("{name}={value}"));
            assert!(error.message().contains(&name["BAO_".len()..]), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
