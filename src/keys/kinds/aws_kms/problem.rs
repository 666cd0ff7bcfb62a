//! Why AWS did not do what it was asked for.
//!
//! Maps the errors of KMS and STS, by their codes, to what they mean and what would help. AWS's own words are quoted,
//! shortened and in one line; they name callers and keys, and no credential.

use super::key::Key;
use crate::keys::web::{Cause, Operation, Problem};

/// An answer that says with a code what is wrong, or with its status alone.
pub(super) fn answered(status: u16, code: &str, words: &str) -> Problem {
    let (cause, meaning) = match code {
        "AccessDeniedException" | "AccessDenied" => (Cause::Denied, "permission denied"),
        "NotFoundException" => (Cause::Missing, "there is no such key"),
        "DisabledException" => (Cause::Unusable, "the key is disabled"),
        "KMSInvalidStateException" => (Cause::Unusable, "the key cannot be used"),
        "InvalidKeyUsageException" => (Cause::Unusable, "the key is not for encryption"),
        "InvalidCiphertextException" => (
            Cause::NotOpened,
            "KMS cannot decrypt it: it was encrypted by another key or with another context",
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
        | "InvalidIdentityToken" => (Cause::Credentials, "AWS rejects the credentials"),
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
        | "SlowDown" => (Cause::Throttled, "AWS limits the rate of requests"),
        "KMSInternalException"
        | "DependencyTimeoutException"
        | "KeyUnavailableException"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "IDPCommunicationError" => (Cause::Busy, "AWS failed"),
        _ if status == 429 => (Cause::Throttled, "AWS limits the rate of requests"),
        _ if status >= 500 => (Cause::Busy, "AWS failed"),
        _ if matches!(status, 401 | 403) => (Cause::Denied, "permission denied"),
        _ => (Cause::Other, "refused"),
    };
    Problem::said(cause, meaning, status, code, words)
}

/// What helps.
pub(super) fn advice(cause: Cause, key: &Key, operation: Operation) -> Option<String> {
    let (arn, region) = (key.arn(), key.region());
    Some(match cause {
        Cause::Credentials => "Check the credentials: `aws sts get-caller-identity`.".to_owned(),
        Cause::Expired => match key.profile() {
            Some(profile) => format!("Log in again: `aws sso login --profile {profile}`."),
            None => "Log in again: `aws sso login`.".to_owned(),
        },
        Cause::Denied => {
            format!("The policies of the caller and of the key must allow kms:{operation:?} on {arn}.")
        }
        Cause::Missing => {
            format!("Check that the key exists: `aws kms describe-key --key-id {arn} --region {region}`.")
        }
        Cause::Unusable => format!(
            "`aws kms describe-key --key-id {arn} --region {region}` shows its state; `aws kms enable-key` and \
             `aws kms cancel-key-deletion` bring it back."
        ),
        Cause::NotOpened => {
            "The entry in the file was changed: restore its `arn`, `context` and `enc` from Git.".to_owned()
        }
        Cause::Throttled | Cause::Busy => "Try again later.".to_owned(),
        Cause::Down => {
            "Check whether AWS can be reached from here, and AWS_ENDPOINT_URL if it is set.".to_owned()
        }
        Cause::Unnamed | Cause::Other => return None,
    })
}
