//! The connections to one server: how it is reached, where it may lead us, and how much of an answer is read.
//!
//! Knows no token and no request. What a server's certificate has to be is decided in `tls`, and nothing of it counts for
//! anybody else ([`Connection::to_others`]).

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use http::{Request, Response};
use rustify::errors::ClientError;

use super::problem::{Cause, Problem, plain};
use super::settings::{Route, Settings};
use super::tls;
use crate::host::Host;
use crate::keys::web::install_cryptography;
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
        let socket = socket_of(&route.url);
        let base = checked_url(if socket.is_some() { "http://localhost" } else { &route.url })?;
        let builder = builder(settings).default_headers(settings.headers.clone());
        let builder = match tls::config(host, route, &settings.tls)? {
            Some(config) => builder.tls_backend_preconfigured(config),
            None => builder.tls_certs_only([]),
        };
        let builder = match (socket, &settings.proxy) {
            #[cfg(unix)]
            (Some(socket), _) => builder.unix_socket(socket),
            #[cfg(not(unix))]
            (Some(_), _) => {
                return Err(Problem::new(Cause::Other, "sockets of the file system are for Unix alone"));
            }
            (None, None) => with_proxies(builder, settings),
            (None, Some(proxy)) => {
                builder.proxy(reqwest::Proxy::all(proxy).map_err(|error| Problem::on_the_way(&error))?)
            }
        };
        let client = builder.build().map_err(|error| Problem::on_the_way(&error))?;
        Ok(Self { client, base: base.into(), settings: settings.clone() })
    }

    /// A client for somebody else than a Vault server, at this address: a CI system. It is trusted as the operating
    /// system says, and leads nowhere else.
    pub fn to_others(settings: &Settings, url: &reqwest::Url) -> Result<Self, Problem> {
        let client =
            with_proxies(builder(settings), settings).build().map_err(|error| Problem::on_the_way(&error))?;
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
                    return Err(Elsewhere::Nowhere("in a circle".to_owned()).into());
                }
                let mut request = request.clone();
                *request.uri_mut() =
                    to.as_str().parse().map_err(|_| Elsewhere::Nowhere("to no address".to_owned()))?;
                answer = self.send_once(request).await?;
            }
            let status = answer.status();
            let mut body = read_answer(answer).await?.to_vec();
            if body.is_empty() && status == reqwest::StatusCode::NO_CONTENT {
                // Done, and there is nothing to say.
                body.extend_from_slice(b"{}");
            }
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
            return Err(Elsewhere::Nowhere("to no address".to_owned()));
        };
        let shown = to.origin().ascii_serialization();
        if self.settings.stays {
            return Err(Elsewhere::Nowhere(format!("to {shown}, which VAULT_DISABLE_REDIRECTS forbids")));
        }
        if answer.url().scheme() == "https" && to.scheme() != "https" {
            return Err(Elsewhere::Nowhere(format!("to {shown}, without encryption")));
        }
        if !self.settings.allows_redirect(answer.url(), &to) {
            return Err(Elsewhere::NotAllowed(shown));
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
pub(super) enum Elsewhere {
    #[error("the server sends us elsewhere: {0}")]
    Nowhere(String),
    /// To an address that the user's settings do not name.
    #[error("the server sends us elsewhere: to {0}, which is not allowed")]
    NotAllowed(String),
}

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

/// What counts for every client. Its proxies are ours to choose: reqwest reads the environment in another way.
fn builder(settings: &Settings) -> reqwest::ClientBuilder {
    install_cryptography();
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
        .timeout(settings.timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("sealant/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
}

/// The proxies of the environment.
fn with_proxies(builder: reqwest::ClientBuilder, settings: &Settings) -> reqwest::ClientBuilder {
    let proxies = settings.proxies.clone();
    builder.proxy(reqwest::Proxy::custom(move |url| proxies.of(url)))
}

/// The socket that an address names: `unix:///run/agent.sock`.
pub(super) fn socket_of(address: &str) -> Option<&Path> {
    address.strip_prefix("unix://").map(Path::new).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_a_server_or_a_socket() {
        for url in ["vault:8200", "unix:///run/vault.sock", "file:///etc/passwd", ""] {
            assert!(checked_url(url).is_err(), "{url}");
        }
        assert_eq!(socket_of("unix:///run/vault.sock"), Some(Path::new("/run/vault.sock")));
        for address in ["unix://run/vault.sock", "unix:", "unix://", "/run/vault.sock", "https://vault"] {
            assert_eq!(socket_of(address), None, "{address}");
        }
    }
}
