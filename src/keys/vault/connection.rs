//! The connections to one server: whom we trust there, where it may lead us, and how much of an answer is read.
//!
//! Knows no token and no request. What a server's name or certificate has to be is decided here, and nothing of it
//! counts for anybody else ([`Connection::to_others`]).

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use http::{Request, Response};
use rustify::errors::ClientError;
use zeroize::Zeroizing;

use super::problem::{Cause, Problem, plain};
use super::settings::{Route, Settings};
use crate::host::Host;
use crate::secret::SecretBytes;

/// A connection that nobody takes up is given up earlier than an answer that takes its time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is longer is no answer to a batch of ours, which has a hundred bytes for each data key.
const LONGEST_ANSWER: usize = 16 << 20;

/// A standby leads to the active server, and that is all.
const MOST_REDIRECTS: usize = 2;

/// A client of one server.
pub(super) struct Connection {
    client: reqwest::Client,
    base: String,
    settings: Settings,
}

impl Connection {
    /// Makes no connection yet.
    pub fn new(host: &dyn Host, route: &Route, settings: &Settings) -> Result<Self, Problem> {
        let base = checked_url(&route.url)?;
        let mut builder = with_certificates(host, builder(settings, &base), route, settings)?;
        if let Some(proxy) = &settings.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(|error| Problem::on_the_way(&error))?);
        }
        let client = builder.build().map_err(|error| Problem::on_the_way(&error))?;
        Ok(Self { client, base: base.into(), settings: settings.clone() })
    }

    /// A client for somebody else than a Vault server, at this address: a CI system. It is trusted as the operating
    /// system says, and leads nowhere else.
    pub fn to_others(settings: &Settings, url: &reqwest::Url) -> Result<Self, Problem> {
        let client = builder(settings, url).build().map_err(|error| Problem::on_the_way(&error))?;
        Ok(Self { client, base: url.to_string(), settings: settings.clone() })
    }

    /// Sends a request without a body, with a bearer token. Gives the status and the answer.
    pub async fn get(&self, bearer: &str) -> Result<(u16, SecretBytes), Problem> {
        let request = self.client.get(&self.base).bearer_auth(bearer).send();
        let answer = request.await.map_err(|error| Problem::on_the_way(&error))?;
        let status = answer.status().as_u16();
        Ok((status, read_answer(answer).await.map_err(|error| Problem::of(&error, &[]))?))
    }
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, ClientError>> + Send + 'a>>;

/// As rustify's own client sends requests, but for the length of answers, which that one does not bound.
impl rustify::client::Client for Connection {
    fn base(&self) -> &str {
        &self.base
    }

    fn send<'me, 'a>(&'me self, request: Request<Vec<u8>>) -> Sending<'a>
    where
        'me: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            let mut answer = self.send_once(request.clone()).await?;
            let mut led = 0;
            while let Some(to) = self.leads_to(&answer)? {
                led += 1;
                if led > MOST_REDIRECTS {
                    return Err(Elsewhere("in a circle".to_owned()).into());
                }
                let mut request = request.clone();
                *request.uri_mut() =
                    to.as_str().parse().map_err(|_| Elsewhere("to no address".to_owned()))?;
                answer = self.send_once(request).await?;
            }
            let status = answer.status();
            let body = read_answer(answer).await?.to_vec();
            let response = Response::builder().status(status).body(body);
            response.map_err(|error| ClientError::ResponseError { source: error.into() })
        })
    }
}

impl Connection {
    async fn send_once(&self, request: Request<Vec<u8>>) -> Result<reqwest::Response, ClientError> {
        let (url, method) = (request.uri().to_string(), request.method().to_string());
        let request = request.try_into().map_err(|source| ClientError::ReqwestBuildError { source })?;
        let sent = self.client.execute(request).await;
        sent.map_err(|error| ClientError::RequestError { source: error.into(), url, method })
    }

    /// Where an answer sends us. A standby sends us to the active server: with our token, so only where a token may
    /// go, and never from https to http. To Vault's own client every status means the same request again; a browser,
    /// and reqwest, would make another one of it.
    fn leads_to(&self, answer: &reqwest::Response) -> Result<Option<reqwest::Url>, Elsewhere> {
        if !matches!(answer.status().as_u16(), 301 | 302 | 307 | 308) {
            return Ok(None);
        }
        let location = answer.headers().get(reqwest::header::LOCATION).and_then(|value| value.to_str().ok());
        let to = location.filter(|location| !location.is_empty()).and_then(|to| answer.url().join(to).ok());
        let Some(to) = to.filter(|to| to.has_host() && matches!(to.scheme(), "http" | "https")) else {
            return Err(Elsewhere("to no address".to_owned()));
        };
        let shown = to.origin().ascii_serialization();
        if answer.url().scheme() == "https" && to.scheme() != "https" {
            return Err(Elsewhere(format!("to {shown}, without encryption")));
        }
        if !self.settings.allows_redirect(&to) {
            return Err(Elsewhere(format!("to {shown}, which is not allowed")));
        }
        Ok(Some(to))
    }
}

async fn read_answer(mut answer: reqwest::Response) -> Result<SecretBytes, ClientError> {
    let failed = |error: reqwest::Error| ClientError::ResponseError { source: error.into() };
    // With room for all of it no copy stays behind in a buffer that was outgrown.
    let room = answer.content_length().map_or(0, |length| length.min(LONGEST_ANSWER as u64) as usize);
    let mut body = SecretBytes::new(Vec::with_capacity(room));
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(ClientError::ResponseError { source: TooLong.into() });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An answer had no end.
#[derive(Debug, thiserror::Error)]
#[error("the server's answer is too long")]
pub(super) struct TooLong;

/// A server has sent us to where we do not go.
#[derive(Debug, thiserror::Error)]
#[error("the server sends us elsewhere: {0}")]
pub(super) struct Elsewhere(String);

impl From<Elsewhere> for ClientError {
    fn from(elsewhere: Elsewhere) -> Self {
        Self::ResponseError { source: elsewhere.into() }
    }
}

fn checked_url(url: &str) -> Result<reqwest::Url, Problem> {
    match reqwest::Url::parse(url) {
        Ok(parsed) if parsed.has_host() && matches!(parsed.scheme(), "http" | "https") => Ok(parsed),
        _ => Err(Problem::new(Cause::Other, format!("`{}` is not an address", plain(url, &[])))),
    }
}

/// Gives TLS its cryptography: clients are built without one of their own, so that there is one in the program, and
/// take the process's.
pub fn install_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// What counts for every client.
fn builder(settings: &Settings, url: &reqwest::Url) -> reqwest::ClientBuilder {
    install_cryptography();
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
        .timeout(settings.timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("sealant/", env!("CARGO_PKG_VERSION")));
    // As Go does: the proxy of an organisation cannot reach this machine, and should not see what stays on it.
    if is_here(url) { builder.no_proxy() } else { builder }
}

/// Whether an address is this machine's own.
pub fn is_here(url: &reqwest::Url) -> bool {
    let name = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The certificates of the user's settings: those to trust, and our own.
fn with_certificates(
    host: &dyn Host,
    builder: reqwest::ClientBuilder,
    route: &Route,
    settings: &Settings,
) -> Result<reqwest::ClientBuilder, Problem> {
    let tls = &settings.tls;
    let mut pems = Vec::new();
    let mut files: Vec<PathBuf> = route.ca_cert.iter().chain(&tls.ca_files).cloned().collect();
    if let Some(folder) = &tls.ca_dir {
        files.extend(files_of(folder)?);
    }
    for file in files {
        pems.push((file.display().to_string(), read(host, &file)?));
    }
    let given = tls.ca_pem.iter();
    pems.extend(given.map(|pem| ("VAULT_CACERT_BYTES".to_owned(), pem.clone().into_bytes().into())));
    let mut certificates = Vec::new();
    for (name, pem) in &pems {
        let found = reqwest::Certificate::from_pem_bundle(pem).unwrap_or_default();
        if found.is_empty() {
            return Err(Problem::new(Cause::Other, format!("{name}: there is no certificate in it")));
        }
        certificates.extend(found);
    }
    let mut builder = builder.tls_danger_accept_invalid_certs(tls.skip_verify);
    // Loading those of the operating system takes longer than a request, which needs none without encryption.
    if !pems.is_empty() || route.url.starts_with("http://") {
        builder = builder.tls_certs_only(certificates);
    }
    let (certificate, key) = match (&tls.client_cert, &tls.client_key) {
        (None, None) => return Ok(builder),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => {
            let message = "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY go together, and one of them is not set";
            return Err(Problem::new(Cause::Other, message));
        }
    };
    let pem = Zeroizing::new([read(host, certificate)?.as_slice(), &read(host, key)?].join(&b'\n'));
    let identity = reqwest::Identity::from_pem(&pem).map_err(|_| {
        let shown = certificate.display();
        let message = format!("{shown}: not a certificate with its key (VAULT_CLIENT_CERT, _KEY)");
        Problem::new(Cause::Other, message)
    })?;
    Ok(builder.identity(identity))
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect())
}

fn read(host: &dyn Host, path: &Path) -> Result<SecretBytes, Problem> {
    host.read_secret(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Cause::Other, format!("{}: cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_many_names() {
        for (url, here) in [
            ("http://127.0.0.1:8200", true),
            ("http://127.1.2.3", true),
            ("https://[::1]:8200", true),
            ("http://localhost:8100", true),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
            ("https://vault.example.com", false),
        ] {
            assert_eq!(is_here(&checked_url(url).unwrap()), here, "{url}");
        }
        for url in ["vault:8200", "unix:///run/vault.sock", "file:///etc/passwd", ""] {
            assert!(checked_url(url).is_err(), "{url}");
        }
    }
}
