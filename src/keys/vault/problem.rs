//! Why a server did not do what it was asked for.
//!
//! Maps the errors of the HTTP client, whose `Debug` can hold decrypted data, to what may be said. The server's own
//! words are quoted, shortened and without our secrets, if it should send those back.

use rustify::errors::ClientError;
use serde::Deserialize;
use vaultrs::api::EndpointError;

use super::connection::{Elsewhere, TooLong};
use crate::error::{Error, Kind};

/// Longer words of a server are cut.
const MOST_WORDS: usize = 300;

/// A request that failed. It can stand for many data keys, and so be said many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub cause: Cause,
    pub message: String,
    /// Of a batch in which every item failed: why each did. The answer to such a one is an error as a whole.
    pub each: Vec<String>,
}

/// What a failure means for what we do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The token is none, or may not do this.
    Denied,
    /// There is no such key, engine or role.
    Missing,
    /// Another try may succeed.
    Busy,
    /// The connection ended before the answer did: another try may succeed, and if none does, nobody is there.
    Broken,
    /// The user's settings do not allow that we go there.
    NotAllowed,
    /// Only a file or a rule names the server.
    Unnamed,
    /// Nobody answers there, or nobody whom we trust, or it is sealed: asking again costs time and gains nothing.
    Down,
    /// Anything else.
    Other,
}

impl Problem {
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), each: Vec::new() }
    }

    /// The answer lacks what it is there for.
    pub fn no_data() -> Self {
        Self::new(Cause::Other, "the server's answer is empty: is it a Vault server?")
    }

    /// What an error of the client may say. `secrets` are what we have told the server.
    pub fn of(error: &ClientError, secrets: &[&str]) -> Self {
        match error {
            ClientError::ServerResponseError { code, content } => {
                Self::answered(*code, content.as_deref().unwrap_or_default(), secrets)
            }
            ClientError::RequestError { source, .. } | ClientError::ResponseError { source } => {
                match source.downcast_ref::<reqwest::Error>() {
                    Some(error) => Self::on_the_way(error),
                    None if source.is::<TooLong>() => Self::new(Cause::Other, TooLong.to_string()),
                    None if source.is::<Elsewhere>() => {
                        Self::new(Cause::Down, plain(&source.to_string(), secrets))
                    }
                    None => Self::new(Cause::Down, "the request could not be sent"),
                }
            }
            ClientError::ResponseParseError { .. } | ClientError::ResponseConversionError { .. } => {
                Self::new(Cause::Other, "the server's answer cannot be read: is it a Vault server?")
            }
            _ => Self::new(Cause::Other, "the request could not be made"),
        }
    }

    /// A failure of the connection.
    pub fn on_the_way(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::new(Cause::Down, "no answer in time");
        }
        let mut deepest: &dyn std::error::Error = error;
        while let Some(source) = deepest.source() {
            deepest = source;
        }
        let words = plain(&deepest.to_string(), &[]);
        if words.contains("InvalidContentType") {
            let message = "the server does not speak HTTPS: its address has to begin with http://";
            return Self::new(Cause::Down, message);
        }
        // What the two sides of TLS think of each other does not change.
        let is_final = error.is_connect() || words.contains("fatal alert");
        if error.is_builder() {
            return Self::new(Cause::Other, format!("the request could not be made: {words}"));
        }
        let cause = if is_final { Cause::Down } else { Cause::Broken };
        Self::new(cause, format!("cannot be reached: {words}"))
    }

    /// The server's answer was an error.
    fn answered(code: u16, body: &str, secrets: &[&str]) -> Self {
        let words = match serde_json::from_str::<EndpointError>(body) {
            Ok(said) => said.errors.join("; "),
            // Not Vault's own: a page is for browsers, and a line may be for us.
            Err(_) if body.trim_start().starts_with(['<', '{', '[']) => String::new(),
            Err(_) => body.lines().next().unwrap_or_default().to_owned(),
        };
        let words = plain(&words, secrets);
        if words.contains("HTTP request to an HTTPS server") {
            let message = "the server speaks HTTPS: its address has to begin with https://";
            return Self::new(Cause::Down, message);
        }
        let sealed = code == 503 && words.to_ascii_lowercase().contains("seal");
        let (cause, meaning) = match code {
            403 => (Cause::Denied, "permission denied"),
            404 => (Cause::Missing, "there is no such thing"),
            _ if sealed => (Cause::Down, "the server is sealed"),
            412 | 429 => (Cause::Busy, "the server asks to slow down"),
            500 | 502..=599 => (Cause::Busy, "the server failed"),
            _ => (Cause::Other, "refused"),
        };
        let repeats = words.is_empty() || words.eq_ignore_ascii_case(meaning);
        let said = if repeats { String::new() } else { format!(": {words}") };
        let each = failed_items(body, secrets).unwrap_or_default();
        Self { each, ..Self::new(cause, format!("{meaning} ({code}){said}")) }
    }

    /// As an error of the library, about `what`, with what to do about it.
    pub fn error(&self, what: impl std::fmt::Display, advice: Option<String>) -> Error {
        self.error_of(Kind::NoDataKey, what, advice)
    }

    /// The same, as an error of another kind.
    pub fn error_of(&self, kind: Kind, what: impl std::fmt::Display, advice: Option<String>) -> Error {
        let error = Error::new(kind, format!("{what}: {}", self.message))
            .passing(matches!(self.cause, Cause::Busy | Cause::Down));
        match advice.or_else(|| self.advice()) {
            Some(advice) => error.advise(advice),
            None => error,
        }
    }

    /// Whether the server knows who we are, and says no.
    pub fn is_forbidden(&self) -> bool {
        self.cause == Cause::Denied && self.message.starts_with("permission")
    }

    fn advice(&self) -> Option<String> {
        let advice = match self.cause {
            Cause::Down if self.message.contains("sealed") => {
                "Somebody has to unseal it: `vault operator unseal`."
            }
            Cause::Down if self.message.contains("CertificateRequired") => {
                "Name a certificate that the server trusts, and its key, with VAULT_CLIENT_CERT and VAULT_CLIENT_KEY."
            }
            Cause::Down if self.message.contains("certificate") => {
                "Name the certificate of the authority that signed the server's with VAULT_CACERT."
            }
            Cause::Down | Cause::Broken => "Check the address, and whether it can be reached from here.",
            Cause::NotAllowed => {
                "If you trust this server, add it to SOPS_HC_VAULT_ALLOWLIST, or to `allow` under `vault` in your own \
                 settings (sealant/config.yaml)."
            }
            Cause::Unnamed => {
                "If you trust this server, name it in VAULT_ADDR or SOPS_HC_VAULT_ALLOWLIST, or among `servers` under \
                 `vault` in your own settings (sealant/config.yaml)."
            }
            Cause::Busy => "Try again later.",
            Cause::Denied => "Log in: `sealant vault login`.",
            Cause::Missing | Cause::Other => return None,
        };
        Some(advice.to_owned())
    }
}

/// Why each item of a batch failed, when all did.
fn failed_items(body: &str, secrets: &[&str]) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Body {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        batch_results: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        error: String,
    }
    let body: Body = serde_json::from_str(body).ok()?;
    Some(body.data.batch_results.into_iter().map(|item| plain(&item.error, secrets)).collect())
}

/// Words of somebody else, in one line, not too long, without what must not be repeated.
pub(super) fn plain(words: &str, secrets: &[&str]) -> String {
    let words: Vec<&str> =
        words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let mut words = words.join(" ");
    // How Go's `multierror` begins a list of one.
    if let Some(rest) = words.strip_prefix("1 error occurred: * ") {
        words = rest.to_owned();
    }
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        words = words.replace(secret, "***");
    }
    match words.char_indices().nth(MOST_WORDS) {
        Some((at, _)) => format!("{}...", &words[..at]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_server_are_one_short_line_without_our_token() {
        assert_eq!(
            plain("1 error occurred:\n\t* permission denied\n\n", &["hvs.x", ""]),
            "permission denied"
        );
        assert_eq!(plain("bad token hvs.x\u{1b}[31m", &["hvs.x"]), "bad token *** [31m");
        assert_eq!(plain(&"x ".repeat(500), &[]).len(), MOST_WORDS + 3);
    }

    #[test]
    fn answers_are_told_apart() {
        let of = |code, words| Problem::answered(code, words, &[]);
        assert_eq!(of(403, "permission denied").message, "permission denied (403)");
        assert_eq!(of(503, "Vault is sealed").cause, Cause::Down);
        assert_eq!(of(503, "").cause, Cause::Busy);
        assert_eq!(of(429, "").cause, Cause::Busy);
        assert_eq!(of(400, "x").message, "refused (400): x");
        assert_eq!(of(501, "").cause, Cause::Other);
        assert_eq!(of(502, "<html>Bad gateway</html>").message, "the server failed (502)");
        let mixed_up = of(400, "Client sent an HTTP request to an HTTPS server.\n");
        assert!(mixed_up.message.contains("https://") && mixed_up.cause == Cause::Down);
    }

    #[test]
    fn secrets_are_not_repeated_in_any_form_of_an_answer() {
        for body in [
            r#"{"errors": ["hvs.x is none"]}"#,
            "hvs.x is none",
            r#"{"data": {"batch_results": [{"error": "hvs.x is none"}]}}"#,
        ] {
            let problem = Problem::answered(400, body, &["hvs.x"]);
            let all = problem.each.concat() + &problem.message;
            assert!(all.contains("*** is none") && !all.contains("hvs"), "{all}");
        }
    }
}
