//! Why Azure did not do what it was asked for.
//!
//! Maps the errors of vaults and of Microsoft's identities to what they mean and what would help. Their own words are
//! quoted, shortened and in one line; they name callers and keys, and no credential.

use serde::Deserialize;

use super::key::Key;
use crate::keys::web::{Cause, Operation, Problem, Refused, oauth};

/// An answer that is an error: of a vault, or of a token server (OAuth).
#[derive(Default, Deserialize)]
struct Said {
    error: Option<OfError>,
    error_description: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OfError {
    Vault {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
        innererror: Option<Inner>,
    },
    OAuth(String),
}

#[derive(Deserialize)]
struct Inner {
    code: Option<String>,
}

/// What an answer means that is no success.
pub(super) fn refusal(refused: &Refused<'_>) -> Problem {
    let said: Said = serde_json::from_slice(refused.body).unwrap_or_default();
    let status = refused.status;
    match said.error {
        Some(OfError::OAuth(code)) => {
            oauth::refused(status, &code, &said.error_description.unwrap_or_default())
        }
        Some(OfError::Vault { code, message, innererror }) => {
            let inner = innererror.and_then(|inner| inner.code).unwrap_or_default();
            of_vault(status, &code, &inner, &message)
        }
        None => of_vault(status, "", "", ""),
    }
}

fn of_vault(status: u16, code: &str, inner: &str, words: &str) -> Problem {
    let (cause, meaning) = match (status, inner) {
        (401, _) => (Cause::Expired, "the vault rejects the access token: it has expired or is invalid"),
        (_, "KeyDisabled") => (Cause::Unusable, "the key is disabled"),
        (_, "KeyExpired" | "KeyNotYetValid") => (Cause::Unusable, "the key is outside its validity period"),
        (_, "ForbiddenByFirewall") => (Cause::Denied, "the vault's firewall blocks this machine"),
        (403, _) => (Cause::Denied, "permission denied"),
        (404, _) => (Cause::Missing, "there is no such key"),
        (409, _) => (Cause::Unusable, "the key cannot be used"),
        (429, _) => (Cause::Throttled, "Azure limits the rate of requests"),
        (500.., _) => (Cause::Busy, "Azure failed"),
        // A vault tells no other way that it has not encrypted this.
        (400, _) if code == "BadParameter" => (Cause::NotOpened, "the key does not fit"),
        _ => (Cause::Other, "refused"),
    };
    Problem::said(cause, meaning, status, if inner.is_empty() { code } else { inner }, words)
}

/// What a key that does not fit means.
pub(super) fn about(problem: Problem, operation: Operation) -> Problem {
    match (problem.cause, operation) {
        (Cause::NotOpened, Operation::Decrypt) => problem.after("it was encrypted by another key").advise(
            "The entry in the file was changed: restore its `vault_url`, `name`, `version` and `enc` from Git.",
        ),
        (Cause::NotOpened, Operation::Encrypt) => problem
            .after("the key cannot encrypt")
            .advise("It has to be an RSA key that may encrypt: `az keyvault key create --kty RSA`."),
        _ => problem,
    }
}

/// What helps.
pub(super) fn advice(cause: Cause, key: &Key, operation: Operation) -> Option<String> {
    let (vault, name) = (key.vault(), key.name());
    Some(match cause {
        Cause::Credentials | Cause::Expired => {
            "Log in again (`az login`), or check that AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET are \
             right."
                .to_owned()
        }
        Cause::Denied => format!(
            "Ask the owner of the vault for the role `Key Vault Crypto User`: `az role assignment create --role 'Key \
             Vault Crypto User' --assignee YOU --scope ID`; with access policies, the permission {}: `az keyvault \
             set-policy --name {vault} --upn YOU --key-permissions get encrypt decrypt`.",
            format!("{operation:?}").to_lowercase(),
        ),
        Cause::Missing => format!(
            "Check that the key exists: `az keyvault key list-versions --vault-name {vault} --name {name}`; \
             `az keyvault key recover` restores a deleted one."
        ),
        Cause::Unusable => format!(
            "`az keyvault key show --vault-name {vault} --name {name}` shows its state; \
             `az keyvault key set-attributes --enabled true` enables it, `az keyvault key recover` restores it."
        ),
        Cause::Throttled | Cause::Busy => "Try again later.".to_owned(),
        Cause::Down => format!("Check whether {} can be reached from here.", key.vault_url()),
        Cause::NotOpened | Cause::Unnamed | Cause::Other => return None,
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
    fn an_error_is_known_by_its_status_and_code() {
        let vault = |status: u16, code: &str, inner: &str| {
            let inner = if inner.is_empty() {
                String::new()
            } else {
                format!(r#","innererror":{{"code":"{inner}"}}"#)
            };
            refused(status, &format!(r#"{{"error":{{"code":"{code}","message":"a\r\nb"{inner}}}}}"#))
        };
        for (problem, cause) in [
            (vault(401, "Unauthorized", ""), Cause::Expired),
            (vault(403, "Forbidden", "ForbiddenByRbac"), Cause::Denied),
            (vault(403, "Forbidden", "ForbiddenByPolicy"), Cause::Denied),
            (vault(403, "Forbidden", "KeyDisabled"), Cause::Unusable),
            (vault(404, "KeyNotFound", ""), Cause::Missing),
            (vault(409, "Conflict", "ObjectIsDeletedButRecoverable"), Cause::Unusable),
            (vault(400, "BadParameter", ""), Cause::NotOpened),
            (vault(400, "Other", ""), Cause::Other),
            (vault(429, "Throttled", ""), Cause::Throttled),
            (refused(503, "<html>"), Cause::Busy),
            (
                refused(401, r#"{"error":"invalid_client","error_description":"AADSTS7000215: x"}"#),
                Cause::Credentials,
            ),
        ] {
            assert_eq!(problem.cause, cause, "{problem:?}");
        }
        assert_eq!(vault(403, "Forbidden", "").message, "permission denied (Forbidden): a b");
    }
}
