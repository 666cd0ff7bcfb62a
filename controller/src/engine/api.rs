//! Requests to the API server, where an answer may hold what nobody else may see.
//!
//! Answers are read here, into memory that wipes itself, and up to a bound. No text of one is ever in an error: the API
//! server and admission webhooks quote values, and what does not decode is quoted by those who decode it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::{Request, Response};
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::engine::metrics::{ByCode, Metrics};

/// What an object takes at most, with room to spare: the API server takes 3 MB from anybody.
pub const LARGEST: usize = 16 << 20;

/// Why there is no answer that can be used.
#[derive(Debug)]
pub enum Failure {
    /// The API server does not do it.
    Refused(Box<Refusal>),
    /// There is no answer, or no whole one.
    Silent,
    /// It is longer than it may be.
    TooLong,
    /// It is not what was asked for.
    Unreadable,
}

/// What the API server says of something that it does not do, without its words.
#[derive(Debug, Default)]
pub struct Refusal {
    pub code: u16,
    pub reason: String,
    /// The fields that it does not like.
    pub fields: Vec<String>,
    /// What it calls the causes.
    pub causes: Vec<String>,
    /// Who refuses it, if that is known: a quota, a policy, a webhook.
    pub by: Option<String>,
    pub retry_after: Option<Duration>,
}

impl Failure {
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }

    /// How long the API server wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => {
                write!(f, "the API server refuses it ({} {})", refusal.code, refusal.reason)?;
                refusal.by.iter().try_for_each(|by| write!(f, ": {by}"))
            }
            Self::Silent => f.write_str("the API server gave no answer"),
            Self::TooLong => f.write_str("the answer of the API server is too long"),
            Self::Unreadable => f.write_str("the answer of the API server cannot be read"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused(Box::new(refusal(&status, status.code, None))),
            kube::Error::SerdeError(_) => Self::Unreadable,
            _ => Self::Silent,
        }
    }
}

/// Where the API server has objects; those of all namespaces if none is named.
pub fn path(version: &str, namespace: &str, plural: &str) -> String {
    match namespace {
        "" => format!("/{version}/{plural}"),
        _ => format!("/{version}/namespaces/{namespace}/{plural}"),
    }
}

/// The API server.
#[derive(Clone)]
pub struct ApiServer {
    client: Client,
    metrics: Arc<Metrics>,
    /// What its watches share.
    pub watches: Arc<Watches>,
}

/// All watches of an API server: there can be two for each of hundreds of namespaces.
pub struct Watches {
    /// How many there are.
    pub count: AtomicU32,
    may_list: Mutex<HashMap<&'static str, Arc<Semaphore>>>,
}

/// How many watches of a kind list at once: each may hold a page in memory.
pub const LISTS_AT_ONCE: usize = 4;

impl Watches {
    /// Those of a kind that may list: lists that hang hold up no other kind.
    pub fn may_list(&self, kind: &'static str) -> Arc<Semaphore> {
        let mut all = self.may_list.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(kind).or_insert_with(|| Arc::new(Semaphore::new(LISTS_AT_ONCE))))
    }
}

impl ApiServer {
    pub fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        let watches = Watches { count: AtomicU32::new(0), may_list: Mutex::default() };
        Self { client, metrics, watches: Arc::new(watches) }
    }

    /// Asks for one thing.
    pub async fn ask<T: DeserializeOwned>(&self, request: Asked) -> Result<T, Failure> {
        let mut answer = self.begin(request).await?;
        let mut text = Zeroizing::new(Vec::new());
        while let Some(part) = answer.next().await? {
            append(&mut text, &part, LARGEST)?;
        }
        serde_json::from_slice(&text).map_err(|_| Failure::Unreadable)
    }

    /// Asks for one thing that may not be there.
    pub async fn find<T: DeserializeOwned>(&self, request: Asked) -> Result<Option<T>, Failure> {
        match self.ask(request).await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.code() == Some(404) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Begins to read an answer.
    pub async fn begin(&self, request: Asked) -> Result<Answer, Failure> {
        let request = request.map_err(|_| Failure::Silent)?.map(Body::from);
        let method = request.method().to_string();
        let response = self.client.send(request).await;
        let code = response.as_ref().map_or(0, |response| response.status().as_u16());
        self.metrics.api_requests.get_or_create(&ByCode { method, code }).inc();
        let response = response?;
        match response.status() {
            status if status.is_success() => Ok(Answer(response.into_body())),
            _ => Err(refused(response).await),
        }
    }
}

/// A request as kube makes them.
pub type Asked = Result<Request<Vec<u8>>, kube::core::request::Error>;

/// An answer that is still coming.
pub struct Answer(Body);

impl Answer {
    /// The next part of it; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<hyper::body::Bytes>, Failure> {
        while let Some(frame) = self.0.frame().await {
            if let Ok(data) = frame.map_err(|_| Failure::Silent)?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

/// Adds to a text that wipes itself: when it needs more room, the old one is wiped, too.
pub fn append(text: &mut Zeroizing<Vec<u8>>, part: &[u8], most: usize) -> Result<(), Failure> {
    let length = text.len() + part.len();
    if length > most {
        return Err(Failure::TooLong);
    }
    if length > text.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(length.max(text.capacity() * 2)));
        larger.extend_from_slice(text);
        *text = larger;
    }
    text.extend_from_slice(part);
    Ok(())
}

async fn refused(response: Response<Body>) -> Failure {
    let code = response.status().as_u16();
    let retry_after = response.headers().get(hyper::header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
    let (mut answer, mut text) = (Answer(response.into_body()), Zeroizing::new(Vec::new()));
    while let Ok(Some(part)) = answer.next().await {
        if append(&mut text, &part, 1 << 20).is_err() {
            break;
        }
    }
    let status: Status = serde_json::from_slice(&text).unwrap_or_default();
    Failure::Refused(Box::new(refusal(&status, code, retry_after)))
}

/// What a status says, without its message.
pub fn refusal(status: &Status, code: u16, retry_after: Option<u64>) -> Refusal {
    let causes = || status.details.iter().flat_map(|details| &details.causes);
    let fields = causes().map(|cause| cause.field.clone()).filter(|field| !field.is_empty());
    let in_body = status.details.as_ref().map(|details| u64::from(details.retry_after_seconds));
    Refusal {
        code,
        reason: status.reason.clone(),
        fields: fields.collect(),
        causes: causes().map(|cause| cause.reason.clone()).collect(),
        by: refused_by(&status.message),
        retry_after: retry_after.or(in_body).filter(|seconds| *seconds > 0).map(Duration::from_secs),
    }
}

/// Who refuses it, from the words of the API server: only names are taken out of them, and only from where it writes
/// names, for the rest may quote values.
fn refused_by(message: &str) -> Option<String> {
    // `secrets "db" is forbidden: exceeded quota: small, requested: ...`
    let said = message.split_once("\" is forbidden: ").map_or(message, |(_, said)| said);
    let until = |start: &str, end: char| {
        let name = said.strip_prefix(start)?.split(end).next()?;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        (name.len() <= 253 && !name.is_empty() && name.bytes().all(is_name)).then_some(name)
    };
    let quota = until("exceeded quota: ", ',').map(|name| format!("it would exceed the quota {name}"));
    let must = || until("failed quota: ", ':').map(|name| format!("the quota {name} asks for more"));
    let policy =
        || until("ValidatingAdmissionPolicy '", '\'').map(|name| format!("the policy {name} denies it"));
    let webhook = || until("admission webhook \"", '"').map(|name| format!("the webhook {name} denies it"));
    quota.or_else(must).or_else(policy).or_else(webhook)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_refuses_it_is_named_and_nothing_else_is_quoted() {
        let cases = [
            (
                "secrets \"db\" is forbidden: exceeded quota: small, requested: secrets=1, used: 1",
                Some("it would exceed the quota small"),
            ),
            (
                "secrets \"db\" is forbidden: ValidatingAdmissionPolicy 'no-db' with binding 'b' denied request: hunter2",
                Some("the policy no-db denies it"),
            ),
            (
                "admission webhook \"w.example.com\" denied the request: hunter2",
                Some("the webhook w.example.com denies it"),
            ),
            ("Secret \"db\" is invalid: data[a]: Invalid value: \"exceeded quota: hunter2, \"", None),
            ("secrets \"db\" is forbidden: exceeded quota: Hunter 2, x", None),
            ("hunter2", None),
        ];
        for (message, expected) in cases {
            assert_eq!(refused_by(message).as_deref(), expected, "{message}");
        }
    }

    #[test]
    fn a_text_that_grows_has_a_bound() {
        let mut text = Zeroizing::new(Vec::new());
        for _ in 0..10 {
            append(&mut text, b"0123456789", 100).unwrap();
        }
        assert!(text.len() == 100 && matches!(append(&mut text, b"x", 100), Err(Failure::TooLong)));
    }

    #[test]
    fn a_refusal_has_no_words_of_the_api_server() {
        let status: Status = serde_json::from_value(serde_json::json!({
            "code": 422, "reason": "Invalid", "message": "Invalid value: \"hunter2\"",
            "details": {"causes": [{"reason": "FieldValueInvalid", "message": "hunter2", "field": "data[a]"}],
                        "retryAfterSeconds": 3},
        }))
        .unwrap();
        let refusal = refusal(&status, 422, None);
        assert_eq!((refusal.code, refusal.retry_after), (422, Some(Duration::from_secs(3))));
        let failure = Failure::Refused(Box::new(refusal));
        assert!(!format!("{failure} {failure:?}").contains("hunter2"));
    }
}
