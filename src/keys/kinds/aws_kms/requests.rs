//! Requests: how often, how long, and through which proxy.
//!
//! Owns the HTTP clients, the limits in time, and the tries after a failure that may pass. Knows no key.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::Rng;
use reqwest::{Client, Method, Proxy, RequestBuilder, Url};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::credentials::Credentials;
use super::problem::{Cause, Problem};
use super::signature;
use super::sts::Xml;
use crate::host::Host;
use crate::keys::web::{Proxies, install_cryptography};
use crate::secret::{SecretBytes, SecretString};

/// How long AWS may take to answer a request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection that nobody takes up is given up earlier.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What gives credentials on this machine answers at once, or is not there.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(5);
const LOCAL_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a request is made in all, unless `AWS_MAX_ATTEMPTS` says otherwise.
const ATTEMPTS: u32 = 5;

/// No request is tried again after this time.
const LIMIT: Duration = Duration::from_secs(60);

/// The pause before the second try; each further one is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long a host is left alone that did not answer.
const LEFT_ALONE: Duration = Duration::from_secs(20);

/// What is longer is no answer to a request of ours.
const LONGEST_ANSWER: usize = 1 << 20;

/// The clients of a run.
pub(super) struct Requests {
    /// For AWS.
    client: Client,
    /// For what is on this machine or beside it: through no proxy.
    local: Client,
    attempts: u32,
    /// Hosts that did not answer, since when, and why.
    down: Mutex<HashMap<String, (Instant, Problem)>>,
}

/// A request that is signed, if somebody signs it.
pub(super) struct Signed<'r> {
    pub endpoint: &'r Url,
    pub region: &'r str,
    pub service: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: SecretBytes,
}

/// A text of an answer that is a secret.
pub(super) struct Secret(pub SecretString);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(Zeroizing::new(text)))
    }
}

/// The answer to a request that was done.
pub(super) struct Answer {
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

impl Requests {
    pub fn new(host: &dyn Host) -> Result<Self, Problem> {
        install_cryptography();
        let wrong = |error: crate::Error| Problem::new(Cause::Other, error.message());
        let proxies = Proxies::of_environment(host).map_err(wrong)?;
        let mut builder = base()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .proxy(Proxy::custom(move |url| proxies.of(url)));
        if let Some(path) = host.env_text("AWS_CA_BUNDLE").map_err(wrong)? {
            builder = builder.tls_certs_only(certificates(host, &path)?);
        }
        let local = base().connect_timeout(LOCAL_CONNECT_TIMEOUT).timeout(LOCAL_TIMEOUT);
        let built = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|error| Problem::on_the_way("the network", &error))
        };
        let attempts = match host.env_text("AWS_MAX_ATTEMPTS").map_err(wrong)? {
            Some(text) => text.parse().ok().filter(|attempts| *attempts > 0).ok_or_else(|| {
                Problem::new(Cause::Other, format!("AWS_MAX_ATTEMPTS: `{text}` is not a number above 0"))
            })?,
            None => ATTEMPTS,
        };
        Ok(Self { client: built(builder)?, local: built(local)?, attempts, down: Mutex::default() })
    }

    /// Makes a request to AWS until it is done, but not too often.
    pub async fn send(
        &self,
        host: &dyn Host,
        request: &Signed<'_>,
        by: Option<&Credentials>,
    ) -> Result<Answer, Problem> {
        let name = authority(request.endpoint);
        let since = Instant::now();
        let mut pause = PAUSE;
        let mut tries_left = self.attempts;
        loop {
            if let Some(problem) = self.known_down(&name) {
                return Err(problem);
            }
            let (problem, wished) = match self.once(host, &name, request, by).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            tries_left -= 1;
            // Who had no answer for so long would wait as long again.
            let may_pass = matches!(problem.cause, Cause::Busy | Cause::Throttled);
            let wait = wished.unwrap_or_else(|| pause.mul_f64(rand::thread_rng().gen_range(0.5..1.5)));
            if !may_pass || tries_left == 0 || since.elapsed() + wait > LIMIT {
                self.remember(&name, &problem);
                return Err(problem);
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Makes a request once; a failure comes with the pause that AWS wishes for.
    async fn once(
        &self,
        host: &dyn Host,
        name: &str,
        request: &Signed<'_>,
        by: Option<&Credentials>,
    ) -> Result<Answer, (Problem, Option<Duration>)> {
        let mut headers = request.headers.clone();
        if let Some(by) = by {
            let to_sign = signature::Request {
                host: name,
                path: request.endpoint.path(),
                headers: &request.headers,
                body: &request.body,
                region: request.region,
                service: request.service,
            };
            headers.extend(to_sign.sign(by, host.now()));
        }
        let sent =
            with_headers(self.client.post(request.endpoint.clone()), &headers).body(request.body.to_vec());
        let on_the_way = |error: reqwest::Error| (Problem::on_the_way(name, &error), None);
        let answer = sent.send().await.map_err(on_the_way)?;
        let status = answer.status().as_u16();
        let header = |name: &str| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let (code, wished) = (header("x-amzn-errortype"), header("retry-after"));
        let body = read(answer, name).await.map_err(|problem| (problem, None))?;
        if status == 200 {
            return Ok(Answer { body });
        }
        let wished = wished.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        Err((refusal(status, code, &body), wished))
    }

    /// Asks what is on this machine or beside it.
    pub async fn ask_local(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&'static str, String)],
    ) -> Result<Answer, Problem> {
        Self::ask(with_headers(self.local.request(method, url.clone()), headers), &authority(url)).await
    }

    /// Asks AWS without a signature.
    pub async fn ask_aws(&self, url: &Url, headers: &[(&'static str, String)]) -> Result<Answer, Problem> {
        Self::ask(with_headers(self.client.get(url.clone()), headers), &authority(url)).await
    }

    async fn ask(request: RequestBuilder, name: &str) -> Result<Answer, Problem> {
        let answer = request.send().await.map_err(|error| Problem::on_the_way(name, &error))?;
        let status = answer.status().as_u16();
        let body = read(answer, name).await?;
        match status {
            200 => Ok(Answer { body }),
            _ => Err(refusal(status, None, &body)),
        }
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

/// What counts for every client. Nobody leads us elsewhere, and its proxies are ours to choose.
fn base() -> reqwest::ClientBuilder {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("sealant/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
}

fn certificates(host: &dyn Host, path: &str) -> Result<Vec<reqwest::Certificate>, Problem> {
    let failed =
        |why: String| Problem::new(Cause::Other, format!("AWS_CA_BUNDLE: {path} cannot be used: {why}"));
    let pem = host.read_secret(path.as_ref()).map_err(|error| failed(error.to_string()))?;
    let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))?;
    if found.is_empty() { Err(failed("it holds no certificate".to_owned())) } else { Ok(found) }
}

fn with_headers(request: RequestBuilder, headers: &[(&'static str, String)]) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
}

/// Host and port, as the header `Host` has them.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
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

/// An answer that is an error, in JSON as of KMS or in XML as of STS.
fn refusal(status: u16, code: Option<String>, body: &[u8]) -> Problem {
    #[derive(Default, Deserialize)]
    struct Said {
        #[serde(rename = "__type")]
        kind: Option<String>,
        #[serde(alias = "Message")]
        message: Option<String>,
    }
    let said: Said = serde_json::from_slice(body).unwrap_or_default();
    let text = std::str::from_utf8(body).unwrap_or_default();
    let of_xml = |name: &str| Xml(text).get(name).map(|text| text.to_string());
    let code = code.or(said.kind).or_else(|| of_xml("Code")).unwrap_or_default();
    // `com.amazonaws.kms#NotFoundException:http://...`
    let code = code.split(':').next().unwrap_or_default().rsplit('#').next().unwrap_or_default();
    let words = said.message.or_else(|| of_xml("Message")).unwrap_or_default();
    Problem::answered(status, code, &words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_known_by_its_code() {
        let json = br#"{"__type":"com.amazonaws.kms#DisabledException","message":"arn:x is\ndisabled."}"#;
        let problem = refusal(400, None, json);
        assert_eq!(problem.cause, Cause::Unusable);
        assert_eq!(problem.message, "the key is disabled (DisabledException): arn:x is disabled.");
        let header = Some("ThrottlingException:http://internal.amazon.com/".to_owned());
        assert_eq!(refusal(400, header, b"{}").cause, Cause::Throttled);
        let xml =
            b"<ErrorResponse><Error><Code>ExpiredToken</Code><Message>x</Message></Error></ErrorResponse>";
        assert_eq!(refusal(403, None, xml).cause, Cause::Expired);
        assert_eq!(refusal(502, None, b"<html>").message, "AWS failed (502)");
    }
}
