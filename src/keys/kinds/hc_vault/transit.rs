//! The requests to a transit engine: many data keys in one.
//!
//! Owns the batch form of `encrypt`, `decrypt` and `rewrap`, which `vaultrs` lacks (Vault's API documentation, "Transit
//! secrets engine", `batch_input`), the form of sops (PUT, one item) for what stands in for Vault and knows no other, and
//! the reading of a key's versions. One item that fails does not fail the others.
//! The engine is given no context and no associated data, as sops gives none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::stream::{self, StreamExt};
use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::TransitKey;
use super::problem::{Cause, Problem};
use super::server::Server;
use crate::host::Host;
use crate::secret::{SecretBytes, SecretString};

/// How many data keys one request carries.
pub(super) const BATCH: usize = 1000;

/// How many requests are on their way at once.
pub(super) const AT_ONCE: usize = 8;

/// What is asked of a transit engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Encrypt,
    Decrypt,
    Rewrap,
}

impl Operation {
    pub fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Rewrap => "rewrap",
        }
    }
}

/// What is sent: base64 of a data key, or a ciphertext.
#[derive(Serialize)]
struct Item<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext: Option<&'a str>,
}

#[derive(Serialize)]
struct Body<'a> {
    batch_input: &'a [Item<'a>],
    /// Else the answer to a batch with one bad item is an error, which holds the plaintexts of the good ones.
    partial_failure_response_code: u16,
}

struct Batch<'a> {
    path: String,
    items: &'a [Item<'a>],
}

#[derive(Deserialize)]
struct Answers {
    batch_results: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    plaintext: Option<String>,
    #[serde(default)]
    ciphertext: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

impl Endpoint for Batch<'_> {
    type Response = Answers;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::POST
    }

    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        let body = Body { batch_input: self.items, partial_failure_response_code: 200 };
        serde_json::to_vec(&body)
            .map(Some)
            .map_err(|error| ClientError::DataParseError { source: error.into() })
    }
}

/// A request for one item, as sops sends it.
struct Single<'a> {
    path: String,
    item: &'a Item<'a>,
}

impl Endpoint for Single<'_> {
    type Response = Answer;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::PUT
    }

    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        serde_json::to_vec(self.item)
            .map(Some)
            .map_err(|error| ClientError::DataParseError { source: error.into() })
    }
}

/// What is asked of one key of a server.
struct Asking<'a> {
    server: &'a Server,
    host: &'a dyn Host,
    key: &'a TransitKey,
    operation: Operation,
    items: &'a [Item<'a>],
}

/// An answer to one item: a ciphertext, or base64 of a data key.
type Answered = Result<SecretString, Problem>;

impl Asking<'_> {
    /// Sends the items, as many in one request as the server takes, and gives the answers in their order.
    async fn send(&self) -> Result<Vec<Answered>, Problem> {
        if !self.server.takes_batches() {
            return Ok(self.one_by_one(self.items).await);
        }
        match self.batch().await {
            Err(problem) if matches!(problem.cause, Cause::NotUnderstood | Cause::Refused) => {
                self.without_batches(problem).await
            }
            answers => answers,
        }
    }

    /// Looks whether a server that has refused a batch takes its first item by itself.
    async fn without_batches(&self, refused: Problem) -> Result<Vec<Answered>, Problem> {
        let Some((first, others)) = self.items.split_first() else { return Err(refused) };
        let first = self.single(first).await;
        let is_understood = match &first {
            Ok(_) => true,
            Err(problem) => refused.cause == Cause::NotUnderstood && problem.cause != Cause::NotUnderstood,
        };
        if !is_understood {
            return Err(refused);
        }
        self.server.takes_no_batches();
        let others = self.one_by_one(others).await;
        Ok([first].into_iter().chain(others).collect())
    }

    async fn one_by_one(&self, items: &[Item<'_>]) -> Vec<Answered> {
        stream::iter(items.iter().map(|item| self.single(item))).buffered(AT_ONCE).collect().await
    }

    async fn single(&self, item: &Item<'_>) -> Answered {
        let path = self.path();
        let request = || Single { path: path.clone(), item };
        let secrets = item.plaintext.as_slice();
        let answer = self.server.ask(self.host, self.key.namespace(), secrets, request).await?;
        self.outcome(answer, secrets)
    }

    async fn batch(&self) -> Result<Vec<Answered>, Problem> {
        let (path, items) = (self.path(), self.items);
        let secrets: Vec<&str> = items.iter().filter_map(|item| item.plaintext).collect();
        let request = || Batch { path: path.clone(), items };
        let asked = self.server.ask(self.host, self.key.namespace(), &secrets, request).await;
        let answers: Answers = match asked {
            Err(problem) if problem.each.len() == items.len() => {
                let errors = problem.each.into_iter();
                return Ok(errors.map(|error| Err(Problem::new(Cause::Other, error))).collect());
            }
            answer => answer?,
        };
        if answers.batch_results.len() != items.len() {
            return Err(Problem::new(
                Cause::Other,
                "the server answered something other than what was asked",
            ));
        }
        Ok(answers.batch_results.into_iter().map(|answer| self.outcome(answer, &secrets)).collect())
    }

    fn outcome(&self, answer: Answer, secrets: &[&str]) -> Answered {
        if let Some(error) = answer.error.filter(|error| !error.is_empty()) {
            return Err(Problem::new(Cause::Other, self.server.plain(&error, secrets)));
        }
        let text = if self.operation == Operation::Decrypt { answer.plaintext } else { answer.ciphertext };
        text.map(Zeroizing::new)
            .ok_or_else(|| Problem::new(Cause::Other, "the server's answer lacks the result"))
    }

    fn path(&self) -> String {
        format!("{}/{}/{}", self.key.engine(), self.operation.name(), self.key.name())
    }
}

/// Encrypts data keys, or shares of them. Answers are in the order of `payloads`.
pub(super) async fn encrypt(
    server: &Server,
    host: &dyn Host,
    key: &TransitKey,
    payloads: &[&[u8]],
) -> Result<Vec<Result<String, Problem>>, Problem> {
    let encoded: Vec<SecretString> =
        payloads.iter().map(|payload| Zeroizing::new(BASE64.encode(payload))).collect();
    let items: Vec<_> =
        encoded.iter().map(|text| Item { plaintext: Some(text.as_str()), ciphertext: None }).collect();
    let asking = Asking { server, host, key, operation: Operation::Encrypt, items: &items };
    let answers = asking.send().await?;
    Ok(answers.into_iter().map(|answer| answer.and_then(|text| ciphertext(&text))).collect())
}

/// Encrypts ciphertexts again with the newest version of their key, without showing them to us. Answers are in the
/// order of `ciphertexts`.
pub(super) async fn rewrap(
    server: &Server,
    host: &dyn Host,
    key: &TransitKey,
    ciphertexts: &[&str],
) -> Result<Vec<Result<String, Problem>>, Problem> {
    let items = of(ciphertexts);
    let asking = Asking { server, host, key, operation: Operation::Rewrap, items: &items };
    let answers = asking.send().await?;
    Ok(answers.into_iter().map(|answer| answer.and_then(|text| ciphertext(&text))).collect())
}

/// Decrypts data keys, or shares of them. Answers are in the order of `ciphertexts`.
pub(super) async fn decrypt(
    server: &Server,
    host: &dyn Host,
    key: &TransitKey,
    ciphertexts: &[&str],
) -> Result<Vec<Result<SecretBytes, Problem>>, Problem> {
    let items = of(ciphertexts);
    let asking = Asking { server, host, key, operation: Operation::Decrypt, items: &items };
    let answers = asking.send().await?;
    let decode = |text: SecretString| {
        let bytes = BASE64.decode(text.as_bytes()).map(Zeroizing::new);
        bytes.map_err(|_| Problem::new(Cause::Other, "what was decrypted is not a data key"))
    };
    Ok(answers.into_iter().map(|answer| answer.and_then(decode)).collect())
}

fn of<'a>(ciphertexts: &[&'a str]) -> Vec<Item<'a>> {
    ciphertexts.iter().map(|text| Item { plaintext: None, ciphertext: Some(*text) }).collect()
}

fn ciphertext(text: &str) -> Result<String, Problem> {
    match super::version_of(text) {
        Some(_) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(text.to_owned()),
        _ => Err(Problem::new(Cause::Other, "the server's answer is not a ciphertext of a transit engine")),
    }
}

/// The versions of a transit key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyVersions {
    /// The newest, with which new data keys are encrypted.
    pub latest_version: u32,
    /// Older ones decrypt nothing any more.
    pub min_decryption_version: u32,
}

struct ReadKey {
    path: String,
}

impl Endpoint for ReadKey {
    type Response = KeyVersions;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::GET
    }
}

/// Reads the versions of a key.
pub(super) async fn versions(
    server: &Server,
    host: &dyn Host,
    key: &TransitKey,
) -> Result<KeyVersions, Problem> {
    server.ask(host, key.namespace(), &[], || ReadKey { path: key.path() }).await
}
