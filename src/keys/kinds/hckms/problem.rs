//! Why Huawei Cloud did not do what it was asked for.
//!
//! Its own words are quoted, shortened and in one line; they name callers and keys, and no credential.

use serde::Deserialize;

use super::key::Key;
use crate::keys::web::{Cause, Operation, Problem, Refused};

/// An answer that is an error: of KMS, of the gateway before it, or of IAM.
#[derive(Default, Deserialize)]
struct Said {
    #[serde(flatten)]
    own: Words,
    error: Option<Words>,
}

#[derive(Default, Deserialize)]
struct Words {
    #[serde(alias = "code")]
    error_code: Option<serde_json::Value>,
    #[serde(alias = "message")]
    error_msg: Option<String>,
}

/// What an answer means that is no success.
pub(super) fn refusal(refused: &Refused<'_>) -> Problem {
    let said: Said = serde_json::from_slice(refused.body).unwrap_or_default();
    let Words { error_code, error_msg } = said.error.unwrap_or(said.own);
    let code = error_code.map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
    let code = code.unwrap_or_default();
    let (cause, meaning) = match (refused.status, code.as_str()) {
        (_, "KMS.0205" | "KMS.0207") | (404, _) => (Cause::Missing, "there is no such key"),
        (_, "KMS.0209") => (Cause::Unusable, "the key is disabled"),
        (_, "KMS.0210") => (Cause::Unusable, "the key is about to be deleted"),
        (_, "APIGW.0308" | "APIG.0308") | (429, _) => {
            (Cause::Throttled, "Huawei Cloud limits the rate of requests")
        }
        (401, _) => (Cause::Credentials, "Huawei Cloud rejects the access key"),
        (403, _) => (Cause::Denied, "permission denied"),
        (500.., _) => (Cause::Busy, "Huawei Cloud failed"),
        (400, _) => (Cause::NotOpened, "refused"),
        _ => (Cause::Other, "refused"),
    };
    Problem::said(cause, meaning, refused.status, &code, &error_msg.unwrap_or_default())
}

/// What it means that something is not opened.
pub(super) fn about(problem: Problem, operation: Operation) -> Problem {
    match (problem.cause, operation) {
        (Cause::NotOpened, Operation::Decrypt) => problem.after("KMS cannot decrypt it"),
        _ => problem,
    }
}

/// What helps.
pub(super) fn advice(cause: Cause, key: &Key, operation: Operation) -> Option<String> {
    Some(match (cause, operation) {
        (Cause::Credentials | Cause::Expired, _) => {
            "Check that HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, and HUAWEICLOUD_SDK_SECURITY_TOKEN with a \
             temporary key, are right."
                .to_owned()
        }
        (Cause::Denied, Operation::Encrypt) => "Ask the owner of the key for the IAM action kms:cmk:encrypt.".to_owned(),
        (Cause::Denied, Operation::Decrypt) => "Ask the owner of the key for the IAM action kms:cmk:decrypt.".to_owned(),
        (Cause::Missing | Cause::Unusable, _) => {
            format!("The DEW console shows the state of the key in {}, and can enable or restore it.", key.region())
        }
        (Cause::NotOpened, Operation::Decrypt) => {
            "The entry in the file was changed, or is of a key of another account: compare its `key_id` and `enc` with Git.".to_owned()
        }
        (Cause::Throttled | Cause::Busy, _) => "Try again later.".to_owned(),
        (Cause::Down, _) => format!(
            "Check whether Huawei Cloud can be reached from here, and whether there is a region {}.",
            key.region()
        ),
        _ => return None,
    })
}
