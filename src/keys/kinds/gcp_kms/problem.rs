//! Why Google did not do what it was asked for.
//!
//! Maps the errors of KMS, of token servers and of IAM to what they mean and what would help. Google's own words are
//! quoted, shortened and in one line; they name callers and keys, and no credential.

use serde::Deserialize;

use super::key::Key;
use crate::keys::web::{Cause, Operation, Problem, Refused, oauth};

/// An answer that is an error: of Google's APIs, or of a token server (OAuth).
#[derive(Default, Deserialize)]
struct Said {
    error: Option<OfError>,
    error_description: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OfError {
    Api {
        #[serde(default)]
        status: String,
        #[serde(default)]
        message: String,
        #[serde(default)]
        details: Vec<Detail>,
    },
    OAuth(String),
}

#[derive(Deserialize)]
struct Detail {
    reason: Option<String>,
}

/// What an answer means that is no success.
pub(super) fn refusal(refused: &Refused<'_>) -> Problem {
    let said: Said = serde_json::from_slice(refused.body).unwrap_or_default();
    let status = refused.status;
    match said.error {
        Some(OfError::OAuth(code)) => {
            oauth::refused(status, &code, &said.error_description.unwrap_or_default())
        }
        Some(OfError::Api { status: code, message, details }) => {
            let reason = details.into_iter().find_map(|detail| detail.reason);
            of_api(status, &code, reason.as_deref().unwrap_or_default(), &message)
        }
        None => of_api(status, "", "", ""),
    }
}

fn of_api(status: u16, code: &str, reason: &str, words: &str) -> Problem {
    let (cause, meaning) = match (code, status) {
        ("UNAUTHENTICATED", _) | ("", 401) => {
            (Cause::Expired, "Google rejects the access token: it has expired or is invalid")
        }
        ("PERMISSION_DENIED", _) | ("", 403) => (Cause::Denied, "permission denied"),
        ("NOT_FOUND", _) | ("", 404) => (Cause::Missing, "there is no such key"),
        ("FAILED_PRECONDITION", _) => (Cause::Unusable, "the key cannot be used"),
        // KMS tells no other way that it has not encrypted this.
        ("INVALID_ARGUMENT", _) if words.contains("ecryption failed") => {
            (Cause::NotOpened, "it was encrypted by another key")
        }
        ("RESOURCE_EXHAUSTED", _) | (_, 429) => (Cause::Throttled, "Google limits the rate of requests"),
        (_, 500..) => (Cause::Busy, "Google failed"),
        _ => (Cause::Other, "refused"),
    };
    let problem = Problem::said(cause, meaning, status, code, words);
    match reason {
        "SERVICE_DISABLED" => {
            problem.advise("Enable it in the project: `gcloud services enable cloudkms.googleapis.com`.")
        }
        "USER_PROJECT_DENIED" | "CONSUMER_INVALID" => problem.advise(
            "Say which project pays: `gcloud auth application-default set-quota-project PROJECT`, or \
             GOOGLE_CLOUD_QUOTA_PROJECT.",
        ),
        _ => problem,
    }
}

/// What helps.
pub(super) fn advice(cause: Cause, key: &Key, operation: Operation) -> Option<String> {
    let id = key.resource_id();
    Some(match cause {
        Cause::Credentials | Cause::Expired => {
            "Log in again: `gcloud auth application-default login`; or get another GOOGLE_OAUTH_ACCESS_TOKEN, if you \
             have set that: `gcloud auth print-access-token`."
                .to_owned()
        }
        Cause::Denied => {
            let role = match operation {
                Operation::Encrypt => "roles/cloudkms.cryptoKeyEncrypter",
                Operation::Decrypt => "roles/cloudkms.cryptoKeyDecrypter",
            };
            format!(
                "Ask the owner of the key for access: `gcloud kms keys add-iam-policy-binding {id} --role {role} \
                 --member user:YOU`. `gcloud services list --project {} --enabled` shows whether KMS is enabled.",
                key.project()
            )
        }
        Cause::Missing => format!("Check that the key exists: `gcloud kms keys describe {id}`."),
        Cause::Unusable => format!(
            "`gcloud kms keys versions list --key {id}` shows the state of its versions; `gcloud kms keys versions \
             enable` and `restore` bring them back."
        ),
        Cause::NotOpened => {
            "The entry in the file was changed: restore its `resource_id` and `enc` from Git.".to_owned()
        }
        Cause::Throttled | Cause::Busy => "Try again later.".to_owned(),
        Cause::Down => {
            "Check whether Google can be reached from here, and SOPS_GCP_KMS_ENDPOINT if it is set.".to_owned()
        }
        Cause::Unnamed | Cause::Other => return None,
    })
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    fn refused(status: u16, body: &str) -> Problem {
        refusal(&Refused { status, headers: &HeaderMap::new(), body: body.as_bytes() })
    }

    #[test]
    fn an_error_is_known_by_its_code() {
        let api = |code: u16, status: &str, words: &str| {
            let body = format!(
                r#"{{"error":{{"code":{code},"message":"{words}","status":"{status}","details":[]}}}}"#
            );
            refused(code, &body)
        };
        for (problem, cause) in [
            (api(401, "UNAUTHENTICATED", "x"), Cause::Expired),
            (api(403, "PERMISSION_DENIED", "x"), Cause::Denied),
            (api(404, "NOT_FOUND", "x"), Cause::Missing),
            (api(400, "FAILED_PRECONDITION", "x is not enabled"), Cause::Unusable),
            (
                api(400, "INVALID_ARGUMENT", "Decryption failed: verify that 'name' refers to"),
                Cause::NotOpened,
            ),
            (api(400, "INVALID_ARGUMENT", "x"), Cause::Other),
            (api(429, "RESOURCE_EXHAUSTED", "x"), Cause::Throttled),
            (api(503, "UNAVAILABLE", "x"), Cause::Busy),
            (refused(429, ""), Cause::Throttled),
            (refused(502, "<html>"), Cause::Busy),
            (refused(404, "<html>"), Cause::Missing),
            (
                refused(400, r#"{"error":"invalid_grant","error_description":"Bad Request"}"#),
                Cause::Credentials,
            ),
            (refused(503, r#"{"error":"unavailable"}"#), Cause::Busy),
        ] {
            assert_eq!(problem.cause, cause, "{problem:?}");
        }
        let said = refused(403, r#"{"error":{"status":"PERMISSION_DENIED","message":"a\nb"}}"#);
        assert_eq!(said.message, "permission denied (PERMISSION_DENIED): a b");
    }

    #[test]
    fn a_service_that_is_switched_off_has_its_own_advice() {
        let body = r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"x","details":
            [{"@type":"type.googleapis.com/google.rpc.Help"},{"reason":"SERVICE_DISABLED"}]}}"#;
        assert!(refused(403, body).advice.unwrap().contains("gcloud services enable"));
    }
}
