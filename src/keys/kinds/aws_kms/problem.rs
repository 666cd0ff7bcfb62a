//! Why AWS did not do what it was asked for.
//!
//! Maps the errors of KMS and STS, by their codes, to what they mean and what would help. AWS's own words are quoted,
//! shortened and in one line; they name callers and keys, and no credential.

use super::key::Key;
use crate::error::{Error, Kind};

/// Longer words of AWS are cut.
const MOST_WORDS: usize = 600;

/// A request that failed. It can stand for many keys, and so be said many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub cause: Cause,
    pub message: String,
    pub advice: Option<String>,
}

/// What a failure means for what we do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// There are no credentials, or none that can be used.
    Credentials,
    /// The credentials have ended: others may have taken their place.
    Expired,
    /// The caller may not do this.
    Denied,
    /// There is no such key.
    Missing,
    /// The key is switched off, or about to be deleted.
    Unusable,
    /// It is not this key that has encrypted this, or not with this context.
    NotOpened,
    /// Asked too often.
    Throttled,
    /// Another try may succeed.
    Busy,
    /// Nobody answers there, or nobody whom we trust.
    Down,
    /// Only a file names the role or the profile.
    Unnamed,
    /// Anything else.
    Other,
}

impl Problem {
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), advice: None }
    }

    pub fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    /// The same, about what we were at.
    pub fn after(self, doing: &str) -> Self {
        Self { message: format!("{doing}: {}", self.message), ..self }
    }

    /// An answer that is none of AWS.
    pub fn not_understood(host: &str) -> Self {
        Self::new(Cause::Other, format!("the answer of {host} cannot be read: is it AWS?"))
    }

    /// An answer that says with a code what is wrong, or with its status alone.
    pub fn answered(status: u16, code: &str, words: &str) -> Self {
        let (cause, meaning) = match code {
            "AccessDeniedException" | "AccessDenied" => (Cause::Denied, "permission denied"),
            "NotFoundException" => (Cause::Missing, "there is no such key"),
            "DisabledException" => (Cause::Unusable, "the key is disabled"),
            "KMSInvalidStateException" => (Cause::Unusable, "the key cannot be used"),
            "InvalidKeyUsageException" => (Cause::Unusable, "the key is not for encryption"),
            "InvalidCiphertextException" => (
                Cause::NotOpened,
                "KMS does not open it: it was encrypted by another key or with another context",
            ),
            "IncorrectKeyException" => (Cause::NotOpened, "it was encrypted by another key"),
            "ExpiredTokenException" | "ExpiredToken" => (Cause::Expired, "the credentials have expired"),
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "AuthFailure"
            | "InvalidIdentityToken" => (Cause::Credentials, "AWS does not take the credentials"),
            "RequestExpired" | "RequestTimeTooSkewed" => {
                (Cause::Credentials, "the clock of this machine is wrong")
            }
            "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "RequestThrottled"
            | "SlowDown" => (Cause::Throttled, "AWS asks to slow down"),
            "KMSInternalException"
            | "DependencyTimeoutException"
            | "KeyUnavailableException"
            | "InternalFailure"
            | "ServiceUnavailable"
            | "IDPCommunicationError" => (Cause::Busy, "AWS failed"),
            _ if status == 429 => (Cause::Throttled, "AWS asks to slow down"),
            _ if status >= 500 => (Cause::Busy, "AWS failed"),
            _ if matches!(status, 401 | 403) => (Cause::Denied, "permission denied"),
            _ => (Cause::Other, "refused"),
        };
        let words = plain(words);
        let code = if code.is_empty() { status.to_string() } else { plain(code) };
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        Self::new(cause, format!("{meaning} ({code}){said}"))
    }

    /// A failure of the connection to a host.
    pub fn on_the_way(host: &str, error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::new(Cause::Down, format!("{host} gave no answer in time"));
        }
        let mut deepest: &dyn std::error::Error = error;
        while let Some(source) = deepest.source() {
            deepest = source;
        }
        let cause = if error.is_connect() || error.is_builder() { Cause::Down } else { Cause::Busy };
        Self::new(cause, format!("{host} cannot be reached: {}", plain(&deepest.to_string())))
    }

    /// Whether asking again may help.
    pub fn may_pass(&self) -> bool {
        matches!(self.cause, Cause::Throttled | Cause::Busy | Cause::Down)
    }

    /// As an error of the library, about a key and what it was asked for (`Encrypt` or `Decrypt`).
    pub fn error(&self, key: &Key, operation: &str) -> Error {
        // Only what cannot be opened lacks a key, to sops as to us.
        let kind = if operation == "Encrypt" { Kind::Other } else { Kind::NoDataKey };
        let error = Error::new(kind, format!("{key}: {}", self.message))
            .passing(self.may_pass())
            .refused(self.cause == Cause::Unnamed);
        match self.advice.clone().or_else(|| self.advice(key, operation)) {
            Some(advice) => error.advise(advice),
            None => error,
        }
    }

    fn advice(&self, key: &Key, operation: &str) -> Option<String> {
        let (arn, region) = (key.arn(), key.region());
        Some(match self.cause {
            Cause::Credentials => {
                "See which credentials AWS takes: `aws sts get-caller-identity`.".to_owned()
            }
            Cause::Expired => match key.profile() {
                Some(profile) => format!("Log in again: `aws sso login --profile {profile}`."),
                None => "Log in again: `aws sso login`.".to_owned(),
            },
            Cause::Denied => {
                format!("The caller's policy, and that of the key, have to allow kms:{operation} on {arn}.")
            }
            Cause::Missing => {
                format!("See that the key is there: `aws kms describe-key --key-id {arn} --region {region}`.")
            }
            Cause::Unusable => format!(
                "`aws kms describe-key --key-id {arn} --region {region}` shows its state; `aws kms enable-key` and \
                 `aws kms cancel-key-deletion` bring it back."
            ),
            Cause::NotOpened => {
                "The entry in the file was changed: restore its `arn`, `context` and `enc` from Git."
                    .to_owned()
            }
            Cause::Throttled | Cause::Busy => "Try again later.".to_owned(),
            Cause::Down => {
                "Check whether AWS can be reached from here, and AWS_ENDPOINT_URL if it is set.".to_owned()
            }
            Cause::Unnamed | Cause::Other => return None,
        })
    }
}

/// Words of somebody else, in one line, not too long.
pub(super) fn plain(words: &str) -> String {
    let words = words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST_WORDS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}
