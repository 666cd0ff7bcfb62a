//! Requests to the servers of a kind: how often, how long, and through which proxy.
//!
//! Owns the HTTP clients, the limits in time, and the tries after a failure that may pass. Knows no key and no token;
//! what a refusal means the kind says.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::Rng;
use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, Proxy, RequestBuilder, Url};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::problem::{Cause, Problem};
use super::{Proxies, install_cryptography};
use crate::host::Host;
use crate::keys::StartedBy;
use crate::secret::{SecretBytes, SecretString};

/// A connection that nobody takes up is given up earlier.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What gives credentials on this machine answers at once, or is not there.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(5);
const LOCAL_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long one waits for a server.
struct Patience {
    /// For the answer to a request.
    timeout: Duration,
    /// How often a request is made in all, unless the user says otherwise.
    attempts: u32,
    /// No request is tried again after this time.
    limit: Duration,
}

/// That of somebody who waits for one answer.
const OF_USERS: Patience =
    Patience { timeout: Duration::from_secs(30), attempts: 5, limit: Duration::from_secs(60) };

/// That of somebody for whom many others wait, and who tries again by themselves.
const OF_CONTROLLERS: Patience =
    Patience { timeout: Duration::from_secs(10), attempts: 2, limit: Duration::from_secs(15) };

/// The pause before the second try; each further one is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long a host is left alone that did not answer.
const LEFT_ALONE: Duration = Duration::from_secs(20);

/// What is longer is no answer to a request of ours.
const LONGEST_ANSWER: usize = 1 << 20;

/// How a kind asks.
pub(crate) struct Manner {
    pub started_by: StartedBy,
    /// Whose certificates count, instead of those of this machine.
    pub certificates: Option<Vec<Certificate>>,
    /// How often in all, if the user says so.
    pub attempts: Option<u32>,
    /// What an answer means that is no success.
    pub refusal: fn(&Refused<'_>) -> Problem,
}

/// An answer that is no success.
pub(crate) struct Refused<'a> {
    pub status: u16,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

/// The clients of a run.
pub(crate) struct Requests {
    /// For servers of others.
    client: Client,
    /// For what is on this machine or beside it: through no proxy.
    local: Client,
    attempts: u32,
    limit: Duration,
    refusal: fn(&Refused<'_>) -> Problem,
    /// Hosts that did not answer, since when, and why.
    down: Mutex<HashMap<String, (Instant, Problem)>>,
}

/// A text of an answer that is a secret.
pub(crate) struct Secret(pub SecretString);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(Zeroizing::new(text)))
    }
}

/// The answer to a request that was done.
pub(crate) struct Answer {
    pub headers: HeaderMap,
    pub body: SecretBytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// It as what JSON says.
    pub fn json<T: serde::de::DeserializeOwned>(&self, of: &str) -> Result<T, Problem> {
        serde_json::from_slice(&self.body).map_err(|_| Problem::not_understood(of))
    }
}

impl Manner {
    /// That of most: this machine says whose certificates count, and nobody how often to ask.
    pub fn of(started_by: StartedBy, refusal: fn(&Refused<'_>) -> Problem) -> Self {
        Self { started_by, certificates: None, attempts: None, refusal }
    }
}

impl Requests {
    pub fn new(host: &dyn Host, manner: Manner) -> Result<Self, Problem> {
        install_cryptography();
        let proxies = Proxies::of_environment(host)?;
        let patience = match manner.started_by {
            StartedBy::Controller => OF_CONTROLLERS,
            StartedBy::Person | StartedBy::Sops | StartedBy::Program => OF_USERS,
        };
        let mut builder = base()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(patience.timeout)
            .proxy(Proxy::custom(move |url| proxies.of(url)));
        if let Some(certificates) = manner.certificates {
            builder = builder.tls_certs_only(certificates);
        }
        let local = base().connect_timeout(LOCAL_CONNECT_TIMEOUT).timeout(LOCAL_TIMEOUT);
        let built = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|error| Problem::on_the_way("the network", &error))
        };
        Ok(Self {
            client: built(builder)?,
            local: built(local)?,
            attempts: manner.attempts.unwrap_or(patience.attempts),
            limit: patience.limit,
            refusal: manner.refusal,
            down: Mutex::default(),
        })
    }

    /// Makes a request until it is done, but not too often. Each try makes a new one.
    pub async fn send(
        &self,
        url: &Url,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Answer, Problem> {
        self.send_for(url, &[200], request).await
    }

    /// As [`Requests::send`], for an answer with one of these statuses.
    pub async fn send_for(
        &self,
        url: &Url,
        wanted: &[u16],
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Answer, Problem> {
        let name = authority(url);
        let since = Instant::now();
        let mut pause = PAUSE;
        let mut tries_left = self.attempts;
        loop {
            if let Some(problem) = self.known_down(&name) {
                return Err(problem);
            }
            let (problem, wished) = match self.once(&name, wanted, request(&self.client)).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            tries_left -= 1;
            // Who had no answer for so long would wait as long again.
            let may_pass = matches!(problem.cause, Cause::Busy | Cause::Throttled);
            let wait = wished.unwrap_or_else(|| pause.mul_f64(rand::thread_rng().gen_range(0.5..1.5)));
            if !may_pass || tries_left == 0 || since.elapsed() + wait > self.limit {
                self.remember(&name, &problem);
                return Err(problem);
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Makes a request once.
    pub async fn ask(
        &self,
        url: &Url,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Answer, Problem> {
        self.once(&authority(url), &[200], request(&self.client)).await.map_err(|(problem, _)| problem)
    }

    /// Asks what is on this machine or beside it, once.
    pub async fn ask_local(
        &self,
        url: &Url,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Answer, Problem> {
        self.ask_local_for(url, &[200], request).await
    }

    /// As [`Requests::ask_local`], for an answer with one of these statuses.
    pub async fn ask_local_for(
        &self,
        url: &Url,
        wanted: &[u16],
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Answer, Problem> {
        self.once(&authority(url), wanted, request(&self.local)).await.map_err(|(problem, _)| problem)
    }

    /// A failure comes with the pause that the server wishes for.
    async fn once(
        &self,
        name: &str,
        wanted: &[u16],
        request: RequestBuilder,
    ) -> Result<Answer, (Problem, Option<Duration>)> {
        let on_the_way = |error: reqwest::Error| (Problem::on_the_way(name, &error), None);
        let mut answer = request.send().await.map_err(on_the_way)?;
        let status = answer.status().as_u16();
        let headers = std::mem::take(answer.headers_mut());
        let body = read(answer, name).await.map_err(|problem| (problem, None))?;
        if wanted.contains(&status) {
            return Ok(Answer { headers, body });
        }
        let refused = Refused { status, headers: &headers, body: &body };
        let wished = refused.header("retry-after").and_then(|seconds| seconds.parse().ok());
        Err(((self.refusal)(&refused), wished.map(Duration::from_secs)))
    }

    fn known_down(&self, name: &str) -> Option<Problem> {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        down.get(name).filter(|(since, _)| since.elapsed() < LEFT_ALONE).map(|(_, problem)| problem.clone())
    }

    /// Remembers a host that is not there: asking again costs time and gains nothing.
    fn remember(&self, name: &str, problem: &Problem) {
        if problem.cause == Cause::Down {
            let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
            down.insert(name.to_owned(), (Instant::now(), problem.clone()));
        }
    }
}

impl Refused<'_> {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What counts for every client. Nobody leads us elsewhere, and its proxies are ours to choose.
fn base() -> reqwest::ClientBuilder {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("sealant/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
}

/// Host and port, as the header `Host` has them.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// An address as a setting has it.
pub(crate) fn address(text: &str, setting: &str) -> Result<Url, Problem> {
    let parsed =
        Url::parse(text).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
    parsed.ok_or_else(|| Problem::new(Cause::Credentials, format!("{setting}: `{text}` is not an address")))
}

/// The content of a file that holds a token.
pub(crate) fn token_in(host: &dyn Host, path: &str) -> Result<SecretString, Problem> {
    let failed = |why: &str| Problem::new(Cause::Credentials, format!("{path} cannot be read: {why}"));
    let bytes = host.read_token(path.as_ref()).map_err(|error| failed(&error.to_string()))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| failed("it is not UTF-8"))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// A form as browsers send it.
pub(crate) fn form(fields: &[(&str, SecretString)]) -> SecretBytes {
    // With room for all of it no copy stays behind in a buffer that was outgrown.
    let room = fields.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
    let mut body = Zeroizing::new(String::with_capacity(room));
    for (name, value) in fields {
        if !body.is_empty() {
            body.push('&');
        }
        body.push_str(name);
        body.push('=');
        escape(value, &mut body);
    }
    Zeroizing::new(body.as_bytes().to_vec())
}

/// A text as a form has it.
pub(crate) fn escaped(text: &str) -> SecretString {
    let mut escaped = Zeroizing::new(String::with_capacity(3 * text.len()));
    escape(text, &mut escaped);
    escaped
}

fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => into.push(byte.into()),
            byte => into.push_str(&format!("%{byte:02X}")),
        }
    }
}

async fn read(mut answer: reqwest::Response, name: &str) -> Result<SecretBytes, Problem> {
    // With room for all of it no copy stays behind in a buffer that was outgrown.
    let room = answer.content_length().map_or(0, |length| length.min(LONGEST_ANSWER as u64) as usize);
    let mut body = SecretBytes::new(Vec::with_capacity(room));
    while let Some(chunk) = answer.chunk().await.map_err(|error| Problem::on_the_way(name, &error))? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(Problem::new(Cause::Other, format!("the answer of {name} is too long")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded() {
        let fields = [("A", SecretString::new("a b&=+/~".to_owned())), ("B", SecretString::default())];
        assert_eq!(*form(&fields), b"A=a%20b%26%3D%2B%2F~&B=");
    }
}
