//! One server: its connections, our login there, and how often a request is tried.
//!
//! Owns tokens, from the first request to the last: where they come from, when they are renewed, and what happens when
//! one ends in the middle of the work. Decides by [`Settings`] where a token may go, also when a server sends us to
//! another. Knows no transit engine: see `transit.rs`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::Rng;
use rustify::clients::reqwest::Client as HttpClient;
use rustify::endpoint::Endpoint;
use serde::de::DeserializeOwned;
use vaultrs::api::{self, AuthInfo, EndpointMiddleware};
use vaultrs::client::{Client, VaultClientSettings, VaultClientSettingsBuilder};

use super::login::{self, Token};
use super::problem::{Cause, Problem};
use super::settings::{Auth, Route, Settings};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::secret::{SecretBytes, SecretString};

/// A connection that nobody takes up is given up earlier than an answer that takes its time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server that was down is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(10);

/// The first pause before another try; it doubles, and is never longer than [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Work that is done within this time needs no look at how long a token lives.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// A server, as it stands in files with one address.
pub(super) struct Server {
    address: String,
    route: Route,
    auth: Auth,
    /// Instead of any other.
    token: Option<SecretString>,
    http: HttpClient,
    client_settings: VaultClientSettings,
    retries: u32,
    session: tokio::sync::Mutex<Option<Session>>,
    down: Mutex<Option<(Instant, Problem)>>,
}

/// A token in use.
struct Session {
    token: SecretString,
    is_ours: bool,
    since: Instant,
    life: Life,
}

/// How long a token lives.
#[derive(Clone, Copy)]
enum Life {
    Unknown,
    Endless,
    RenewAt(Instant),
}

impl Life {
    fn of(auth: &AuthInfo) -> Self {
        match auth.lease_duration {
            0 => Self::Endless,
            seconds => Self::RenewAt(Instant::now() + Duration::from_secs(seconds) * 2 / 3),
        }
    }
}

/// One request's view of a server: its connections, with a token and a namespace.
struct Call<'a> {
    server: &'a Server,
    middle: EndpointMiddleware,
}

impl Client for Call<'_> {
    fn http(&self) -> &HttpClient {
        &self.server.http
    }
    fn middle(&self) -> &EndpointMiddleware {
        &self.middle
    }
    fn settings(&self) -> &VaultClientSettings {
        &self.server.client_settings
    }
    fn set_token(&mut self, token: &str) {
        token.clone_into(&mut self.middle.token);
    }
}

impl Server {
    /// Makes no connection yet.
    pub fn new(host: &dyn Host, address: &str, route: Route, settings: &Settings) -> Result<Self> {
        let failed = |problem: Problem| problem.error(address, None);
        let client = http_client(host, &route, settings).map_err(failed)?;
        // Everything is named, so that nothing is read from the environment here.
        let client_settings = VaultClientSettingsBuilder::default()
            .address(checked_url(&route.url).map_err(failed)?)
            .ca_certs(Vec::new())
            .identity(None)
            .timeout(None)
            .token("")
            .verify(true)
            .build()
            .map_err(|_| failed(Problem::new(Cause::Other, "it is not an address")))?;
        Ok(Self {
            address: address.to_owned(),
            auth: settings.auth_for(address),
            token: settings.token.clone(),
            http: HttpClient::new(&route.url, client),
            client_settings,
            retries: settings.retries,
            session: tokio::sync::Mutex::default(),
            down: Mutex::default(),
            route,
        })
    }

    /// As it stands in files.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The token that was settled on, if any.
    pub fn settled_token(&self) -> Option<&SecretString> {
        self.token.as_ref()
    }

    /// Whether credentials may go there, and not only a token.
    pub fn is_trusted(&self) -> bool {
        self.route.is_trusted
    }

    /// Makes a request with our token, tried again while the server is busy, and once with a new login when ours has
    /// come to its end.
    pub async fn ask<E>(
        &self,
        host: &dyn Host,
        namespace: Option<&str>,
        request: impl Fn() -> E,
    ) -> Result<E::Response, Problem>
    where
        E: Endpoint,
        E::Response: DeserializeOwned,
    {
        let mut logged_in_again = false;
        loop {
            let (token, is_ours) = self.token(host).await?;
            let answer = self.try_often(namespace, &token, |call| {
                let endpoint = request();
                async move { api::exec_with_result(&call, endpoint).await }
            });
            match answer.await {
                Err(problem) if problem.cause == Cause::Denied && is_ours && !logged_in_again => {
                    logged_in_again = true;
                    self.forget(&token).await;
                }
                result => return result,
            }
        }
    }

    /// Logs in, or takes the token at hand.
    pub async fn token(&self, host: &dyn Host) -> Result<(SecretString, bool), Problem> {
        let mut session = self.session.lock().await;
        if let Some(known) = &mut *session {
            self.keep_alive(known).await;
            if known.is_alive() {
                return Ok((known.token.clone(), known.is_ours));
            }
        }
        let new = match login::token(host, &self.auth, self).await? {
            Token::Given(token) => {
                Session { token, is_ours: false, since: Instant::now(), life: Life::Unknown }
            }
            Token::By(credentials) => {
                let auth = self.log_in(credentials).await?;
                let life = Life::of(&auth);
                let token = SecretString::new(auth.client_token);
                Session { token, is_ours: true, since: Instant::now(), life }
            }
        };
        let token = new.token.clone();
        let is_ours = new.is_ours;
        *session = Some(new);
        Ok((token, is_ours))
    }

    /// Logs in, whatever token is at hand.
    pub async fn fresh_login(&self, host: &dyn Host) -> Result<SecretString, Problem> {
        match login::token(host, &self.auth, self).await? {
            Token::By(credentials) => Ok(SecretString::new(self.log_in(credentials).await?.client_token)),
            Token::Given(token) => Ok(token),
        }
    }

    async fn log_in(&self, credentials: login::Credentials) -> Result<AuthInfo, Problem> {
        let method = credentials.method();
        let credentials = &credentials;
        let answer = self.try_often(None, "", |call| async move { credentials.send(&call).await }).await;
        answer.map_err(|problem| Problem {
            message: format!("cannot log in by {method}: {}", problem.message),
            ..problem
        })
    }

    async fn forget(&self, token: &SecretString) {
        let mut session = self.session.lock().await;
        if session.as_ref().is_some_and(|known| known.token == *token) {
            *session = None;
        }
    }

    /// Renews a token when two thirds of its life are over. A failure is not told: the next request will be.
    async fn keep_alive(&self, session: &mut Session) {
        if matches!(session.life, Life::Unknown) && session.since.elapsed() > LOOK_AFTER {
            session.life = Life::Endless;
            let call = self.call(None, &session.token);
            if let Ok(found) = vaultrs::token::lookup_self(&call).await
                && found.renewable == Some(true)
                && found.ttl > 0
            {
                let spare = found.ttl.saturating_sub(found.creation_ttl / 3);
                session.life = Life::RenewAt(Instant::now() + Duration::from_secs(spare));
            }
        }
        let Life::RenewAt(at) = session.life else { return };
        if Instant::now() >= at {
            let call = self.call(None, &session.token);
            session.life = match vaultrs::token::renew_self(&call, None).await {
                Ok(auth) => Life::of(&auth),
                // Not ours to end: whoever gave it may see it fail.
                Err(_) if !session.is_ours => Life::Endless,
                Err(_) => session.life,
            };
        }
    }

    /// Tries a request until it is answered, but not too often, and not at all at a server that is down.
    async fn try_often<'a, T, F>(
        &'a self,
        namespace: Option<&str>,
        token: &str,
        request: impl Fn(Call<'a>) -> F,
    ) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, vaultrs::error::ClientError>>,
    {
        if let Some(problem) = self.known_down() {
            return Err(problem);
        }
        let mut pause = PAUSE;
        for tries_left in (0..=self.retries).rev() {
            let error = match request(self.call(namespace, token)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let problem = Problem::of(&error, token);
            match problem.cause {
                Cause::Busy if tries_left > 0 => {
                    tokio::time::sleep(pause.mul_f64(rand::thread_rng().gen_range(0.75..1.25))).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Cause::Down => {
                    let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
                    *down = Some((Instant::now(), problem.clone()));
                    return Err(problem);
                }
                _ => return Err(problem),
            }
        }
        Err(Problem::new(Cause::Busy, "the server failed"))
    }

    fn known_down(&self) -> Option<Problem> {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        down.as_ref().filter(|(since, _)| since.elapsed() < LEFT_ALONE).map(|(_, problem)| problem.clone())
    }

    fn call(&self, namespace: Option<&str>, token: &str) -> Call<'_> {
        let namespace = namespace.map(str::to_owned).or_else(|| self.route.namespace.clone());
        let middle =
            EndpointMiddleware { token: token.to_owned(), version: "v1".to_owned(), wrap: None, namespace };
        Call { server: self, middle }
    }

    /// An error about this server rather than one of its keys.
    pub fn error(&self, problem: &Problem, advice: Option<String>) -> Error {
        problem.error(&self.address, advice)
    }

    /// A request to somebody else than the server, through the same connections: a CI system for its token.
    pub fn plain_http(&self) -> &reqwest::Client {
        &self.http.http
    }
}

impl Session {
    /// One of ours that could not be renewed is replaced shortly before it ends.
    fn is_alive(&self) -> bool {
        !self.is_ours || !matches!(self.life, Life::RenewAt(at) if Instant::now() >= at)
    }
}

fn checked_url(url: &str) -> Result<String, Problem> {
    match reqwest::Url::parse(url) {
        Ok(parsed) if parsed.has_host() && matches!(parsed.scheme(), "http" | "https") => Ok(url.to_owned()),
        _ => {
            Err(Problem::new(Cause::Other, format!("`{}` is not an address", super::problem::plain(url, ""))))
        }
    }
}

fn http_client(host: &dyn Host, route: &Route, settings: &Settings) -> Result<reqwest::Client, Problem> {
    // reqwest is built without a cryptography of its own, so that there is one in the program, and takes the process's.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
        .timeout(settings.timeout)
        .redirect(redirects(settings.clone()))
        .user_agent(concat!("sealant/", env!("CARGO_PKG_VERSION")));
    builder = if route.url.starts_with("http://") {
        // Loading the system's certificates takes longer than the request.
        builder.tls_certs_only(Vec::new())
    } else {
        with_certificates(host, builder, route, settings)?
    };
    if let Some(proxy) = &settings.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(|error| Problem::on_the_way(&error))?);
    }
    builder.build().map_err(|error| Problem::on_the_way(&error))
}

/// A standby sends us to the active server: with our token, so only where a token may go, and never from https to http.
fn redirects(settings: Settings) -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(move |attempt| {
        let (from, to) = (attempt.previous().last(), attempt.url());
        let downgrade = from.is_some_and(|from| from.scheme() == "https") && to.scheme() != "https";
        let shown = to.origin().ascii_serialization();
        let url = format!("{shown}{}", to.path());
        if attempt.previous().len() > 2 {
            attempt.error("too many redirects")
        } else if downgrade {
            attempt.error(format!("to {shown}, without encryption"))
        } else if !settings.allows_redirect(&url) {
            attempt.error(format!("to {shown}, which is not allowed"))
        } else {
            attempt.follow()
        }
    })
}

fn with_certificates(
    host: &dyn Host,
    builder: reqwest::ClientBuilder,
    route: &Route,
    settings: &Settings,
) -> Result<reqwest::ClientBuilder, Problem> {
    let tls = &settings.tls;
    let mut pems = Vec::new();
    let files = route.ca_cert.iter().chain(&tls.ca_files);
    for file in files.cloned().chain(tls.ca_dir.iter().flat_map(|folder| files_of(folder))) {
        pems.push((file.display().to_string(), read(host, &file)?));
    }
    let given = tls.ca_pem.iter();
    pems.extend(given.map(|pem| ("VAULT_CACERT_BYTES".to_owned(), pem.clone().into_bytes().into())));
    let mut builder = builder.tls_danger_accept_invalid_certs(tls.skip_verify);
    if !pems.is_empty() {
        let mut certificates = Vec::new();
        for (name, pem) in pems {
            let found = reqwest::Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if found.is_empty() {
                return Err(Problem::new(Cause::Other, format!("{name}: there is no certificate in it")));
            }
            certificates.extend(found);
        }
        builder = builder.tls_certs_only(certificates);
    }
    if let (Some(certificate), Some(key)) = (&tls.client_cert, &tls.client_key) {
        let pem = [read(host, certificate)?, read(host, key)?].map(|file| file.to_vec()).join(&b'\n');
        let identity = reqwest::Identity::from_pem(&zeroize::Zeroizing::new(pem)).map_err(|_| {
            let shown = certificate.display();
            Problem::new(
                Cause::Other,
                format!("{shown}: not a certificate with its key (VAULT_CLIENT_CERT, _KEY)"),
            )
        })?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}

fn read(host: &dyn Host, path: &Path) -> Result<SecretBytes, Problem> {
    host.read_secret(path)
        .map_err(|error| Problem::new(Cause::Other, format!("{}: cannot be read: {error}", path.display())))
}
