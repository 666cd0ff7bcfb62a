//! Why a server did not do what it was asked for.
//!
//! Maps the errors of the HTTP client, whose `Debug` can hold decrypted data, to what may be said. The server's own
//! words are quoted, shortened and without our token, if it should send that back.

use vaultrs::error::ClientError;

use crate::error::{Error, Kind};

/// Longer words of a server are cut.
const MOST_WORDS: usize = 300;

/// A request that failed. It can stand for many data keys, and so be said many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub cause: Cause,
    pub message: String,
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
    /// Nobody answers there, or nobody whom we trust, or it is sealed: asking again costs time and gains nothing.
    Down,
    /// Anything else.
    Other,
}

impl Problem {
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into() }
    }

    /// What an error of the client may say.
    pub fn of(error: &ClientError, token: &str) -> Self {
        match error {
            ClientError::APIError { code, errors } => Self::answered(*code, &errors.join("; "), token),
            ClientError::RestClientError { source } => Self::of_request(source, token),
            ClientError::ResponseEmptyError | ClientError::ResponseDataEmptyError => {
                Self::new(Cause::Other, "the server's answer is empty: is it a Vault server?")
            }
            _ => Self::new(Cause::Other, "the request could not be made"),
        }
    }

    fn of_request(error: &rustify::errors::ClientError, token: &str) -> Self {
        use rustify::errors::ClientError as Rest;
        match error {
            Rest::ServerResponseError { code, .. } => Self::answered(*code, "", token),
            Rest::RequestError { source, .. } | Rest::ResponseError { source } => {
                match source.downcast_ref::<reqwest::Error>() {
                    Some(error) => Self::on_the_way(error),
                    None => Self::new(Cause::Down, "the request could not be sent"),
                }
            }
            Rest::ResponseParseError { .. } | Rest::ResponseConversionError { .. } => {
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
        let words = plain(&deepest.to_string(), "");
        match (error.is_redirect(), error.is_builder()) {
            (true, _) => Self::new(Cause::Down, format!("the server sends us elsewhere: {words}")),
            (_, true) => Self::new(Cause::Other, format!("the request could not be made: {words}")),
            _ => Self::new(Cause::Down, format!("cannot be reached: {words}")),
        }
    }

    /// The server's answer was an error.
    fn answered(code: u16, words: &str, token: &str) -> Self {
        let words = plain(words, token);
        let sealed = code == 503 && words.to_ascii_lowercase().contains("seal");
        let (cause, meaning) = match code {
            403 => (Cause::Denied, "permission denied"),
            404 => (Cause::Missing, "there is no such thing"),
            _ if sealed => (Cause::Down, "the server is sealed"),
            412 | 429 => (Cause::Busy, "the server asks to slow down"),
            500 | 502..=599 => (Cause::Busy, "the server failed"),
            300..=399 => (Cause::Down, "the server sends us elsewhere"),
            _ => (Cause::Other, "refused"),
        };
        let repeats = words.is_empty() || words.eq_ignore_ascii_case(meaning);
        let said = if repeats { String::new() } else { format!(": {words}") };
        Self::new(cause, format!("{meaning} ({code}){said}"))
    }

    /// As an error of the library, about `what`, with what to do about it.
    pub fn error(&self, what: impl std::fmt::Display, advice: Option<String>) -> Error {
        let error = Error::new(Kind::NoDataKey, format!("{what}: {}", self.message))
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
            Cause::Down if self.message.contains("certificate") => {
                "Name the certificate of the authority that signed the server's with VAULT_CACERT."
            }
            Cause::Down => "Check the address, and whether it can be reached from here.",
            Cause::Busy => "Try again later.",
            Cause::Denied => "Log in: `sealant vault login`.",
            Cause::Missing | Cause::Other => return None,
        };
        Some(advice.to_owned())
    }
}

/// Words of somebody else, in one line, not too long, without the token.
pub(super) fn plain(words: &str, token: &str) -> String {
    let words: Vec<&str> =
        words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let mut words = words.join(" ");
    // How Go's `multierror` begins a list of one.
    if let Some(rest) = words.strip_prefix("1 error occurred: * ") {
        words = rest.to_owned();
    }
    if !token.is_empty() {
        words = words.replace(token, "***");
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
        assert_eq!(plain("1 error occurred:\n\t* permission denied\n\n", "hvs.x"), "permission denied");
        assert_eq!(plain("bad token hvs.x\u{1b}[31m", "hvs.x"), "bad token *** [31m");
        assert_eq!(plain(&"x ".repeat(500), "").len(), MOST_WORDS + 3);
    }

    #[test]
    fn answers_are_told_apart() {
        let of = |code, words| Problem::answered(code, words, "");
        assert_eq!(of(403, "permission denied").message, "permission denied (403)");
        assert_eq!(of(503, "Vault is sealed").cause, Cause::Down);
        assert_eq!(of(503, "").cause, Cause::Busy);
        assert_eq!(of(429, "").cause, Cause::Busy);
        assert_eq!(of(400, "x").message, "refused (400): x");
        assert_eq!(of(501, "").cause, Cause::Other);
    }
}
