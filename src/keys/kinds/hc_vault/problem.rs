//! Why a server did not do what it was asked for.
//!
//! Maps the errors of the HTTP client, whose `Debug` can hold decrypted data, to what may be said. The server's own
//! words are quoted, shortened and without our secrets, if it should send those back.

use rustify::errors::ClientError;
use rustls::pki_types::UnixTime;
use serde::Deserialize;
use vaultrs::api::EndpointError;

use super::connection::{Elsewhere, TooLong};
use super::tls::is_of_an_authority;
use crate::error::{Error, Kind};

/// Longer words of a server are cut.
const MOST_WORDS: usize = 300;

/// What appears in the place of what is not repeated.
const HIDDEN: &str = "***";

/// A request that failed. It can stand for many data keys, and so be said many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub cause: Cause,
    pub message: String,
    /// What would help, where the cause alone does not say it.
    hint: Option<Hint>,
    /// Of a batch in which every item failed: why each did. The answer to such a one is an error as a whole.
    pub each: Vec<String>,
}

/// What a failure means for what we do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The token is not valid, or may not do this.
    Denied,
    /// There is no such key, engine or role.
    Missing,
    /// The server refuses the request, whoever asks.
    Refused,
    /// The server knows no such request, or answers in a form that is not Vault's.
    NotUnderstood,
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

/// What would help.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hint {
    /// To unseal the server.
    Unseal,
    /// To show a certificate of our own.
    ClientCertificate,
    /// To name who has signed the server's certificate.
    Authority,
    /// To name the certificate itself, which is an authority's.
    ItsOwnAuthority,
    /// To renew the server's certificate, or to set the clock.
    Dates,
    /// To say that the server is called like this in its certificate; without a name it has none.
    Name(Option<String>),
}

impl Problem {
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), hint: None, each: Vec::new() }
    }

    /// The same, about what we were at.
    pub fn after(self, doing: &str) -> Self {
        Self { message: format!("{doing}: {}", self.message), ..self }
    }

    fn with_hint(self, hint: Hint) -> Self {
        Self { hint: Some(hint), ..self }
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
                        let is_refused = matches!(source.downcast_ref(), Some(Elsewhere::NotAllowed(_)));
                        let cause = if is_refused { Cause::NotAllowed } else { Cause::Down };
                        Self::new(cause, plain(&source.to_string(), secrets))
                    }
                    None => Self::new(Cause::Down, "the request could not be sent"),
                }
            }
            ClientError::ResponseParseError { .. } | ClientError::ResponseConversionError { .. } => {
                Self::new(Cause::NotUnderstood, "the server's answer cannot be read: is it a Vault server?")
            }
            _ => Self::new(Cause::Other, "the request could not be made"),
        }
    }

    /// A failure of the connection.
    pub fn on_the_way(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::new(Cause::Down, "no answer in time");
        }
        if let Some(error) = Errors::of(error).find_map(|error| error.downcast_ref::<rustls::Error>()) {
            return Self::of_tls(error);
        }
        let deepest = Errors::of(error).last().map(ToString::to_string).unwrap_or_default();
        let words = plain(&deepest, &[]);
        if error.is_builder() {
            return Self::new(Cause::Other, format!("the request could not be made: {words}"));
        }
        let cause = if error.is_connect() { Cause::Down } else { Cause::Broken };
        Self::new(cause, format!("cannot be reached: {words}"))
    }

    /// TLS has not come about. What the two sides think of each other does not change.
    fn of_tls(error: &rustls::Error) -> Self {
        use rustls::{AlertDescription, CertificateError as Certificate, InvalidMessage};
        let down = |message: String| Self::new(Cause::Down, message);
        let of_certificate = |words: &str| down(format!("cannot be reached: its certificate {words}"));
        match error {
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                down("the server does not speak HTTPS: its address has to begin with http://".to_owned())
            }
            rustls::Error::InvalidCertificate(error) if is_of_an_authority(error) => {
                of_certificate("belongs to a certificate authority (CA:TRUE), not to a server")
                    .with_hint(Hint::ItsOwnAuthority)
            }
            rustls::Error::InvalidCertificate(Certificate::ExpiredContext { not_after, .. }) => {
                of_certificate(&format!("has expired, on {}", date(*not_after))).with_hint(Hint::Dates)
            }
            rustls::Error::InvalidCertificate(Certificate::NotValidYetContext { not_before, .. }) => {
                of_certificate(&format!("is not valid before {}", date(*not_before))).with_hint(Hint::Dates)
            }
            rustls::Error::InvalidCertificate(Certificate::NotValidForNameContext {
                expected,
                presented,
            }) => {
                let names: Vec<String> = presented.iter().map(|name| bare_name(name)).collect();
                let of = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
                let expected = plain(&expected.to_str(), &[]);
                of_certificate(&plain(&format!("is not for {expected}, but for {of}"), &[]))
                    .with_hint(Hint::Name(names.into_iter().next()))
            }
            rustls::Error::InvalidCertificate(error) => {
                let message = format!("cannot be reached: invalid peer certificate: {error}");
                down(plain(&message, &[])).with_hint(Hint::Authority)
            }
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
                down(format!("cannot be reached: {error}")).with_hint(Hint::ClientCertificate)
            }
            error => down(plain(&format!("cannot be reached: {error}"), &[])),
        }
    }

    /// The server's answer was an error.
    fn answered(code: u16, body: &str, secrets: &[&str]) -> Self {
        let said = serde_json::from_str::<EndpointError>(body);
        let is_vaults = said.is_ok();
        let words = match said {
            Ok(said) => said.errors.join("; "),
            // A page is for browsers, and a line may be for us.
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
            400 | 404 | 405 | 415 | 422 | 501 if !is_vaults => (Cause::NotUnderstood, "refused"),
            404 => (Cause::Missing, "not found on the server"),
            _ if sealed => (Cause::Down, "the server is sealed"),
            412 | 429 => (Cause::Busy, "the server limits the rate of requests"),
            500 | 502..=599 => (Cause::Busy, "the server failed"),
            _ => (Cause::Refused, "refused"),
        };
        let repeats = words.is_empty() || words.eq_ignore_ascii_case(meaning);
        let said = if repeats { String::new() } else { format!(": {words}") };
        let each = failed_items(body, secrets).unwrap_or_default();
        let hint = sealed.then_some(Hint::Unseal);
        Self { each, hint, ..Self::new(cause, format!("{meaning} ({code}){said}")) }
    }

    /// As an error of the library, about `what`, with what to do about it.
    pub fn error(&self, what: impl std::fmt::Display, advice: Option<String>) -> Error {
        self.error_of(Kind::NoDataKey, what, advice)
    }

    /// The same, as an error of another kind.
    pub fn error_of(&self, kind: Kind, what: impl std::fmt::Display, advice: Option<String>) -> Error {
        let error = Error::new(kind, format!("{what}: {}", self.message))
            .passing(matches!(self.cause, Cause::Busy | Cause::Down))
            .refused(self.cause == Cause::NotAllowed);
        match advice.or_else(|| self.advice()) {
            Some(advice) => error.advise(advice),
            None => error,
        }
    }

    /// Whether the server knows who we are, and says no.
    pub fn is_forbidden(&self) -> bool {
        self.cause == Cause::Denied && self.message.starts_with("permission")
    }

    /// Whether the server has said what helps.
    pub fn has_hint(&self) -> bool {
        self.hint.is_some()
    }

    fn advice(&self) -> Option<String> {
        if let Some(hint) = &self.hint {
            return Some(hint.advice());
        }
        let advice = match self.cause {
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
            Cause::Missing | Cause::Refused | Cause::NotUnderstood | Cause::Other => return None,
        };
        Some(advice.to_owned())
    }
}

impl Hint {
    fn advice(&self) -> String {
        let advice = match self {
            Self::Unseal => "Somebody has to unseal it: `vault operator unseal`.",
            Self::ClientCertificate => {
                "Name a certificate that the server trusts, and its key, with VAULT_CLIENT_CERT and VAULT_CLIENT_KEY."
            }
            Self::Authority => {
                "Name the certificate of the authority that signed the server's with VAULT_CACERT."
            }
            Self::ItsOwnAuthority => {
                "Name this certificate itself with VAULT_CACERT, or give the server one with CA:FALSE."
            }
            Self::Dates => {
                "The server needs a new certificate; also check that this machine's clock is right (`date`)."
            }
            Self::Name(Some(name)) => {
                return format!(
                    "If that is your server, give the name in its certificate: VAULT_TLS_SERVER_NAME={name}, or \
                     `server_name` in your own settings (sealant/config.yaml)."
                );
            }
            Self::Name(None) => "The server needs a certificate with its own name in it.",
        };
        advice.to_owned()
    }
}

/// An error and what it came of. What an [`io::Error`](std::io::Error) was made of is not among its sources.
struct Errors<'e>(Option<&'e (dyn std::error::Error + 'static)>);

impl<'e> Errors<'e> {
    fn of(error: &'e (dyn std::error::Error + 'static)) -> Self {
        Self(Some(error))
    }
}

impl<'e> Iterator for Errors<'e> {
    type Item = &'e (dyn std::error::Error + 'static);

    fn next(&mut self) -> Option<Self::Item> {
        let error = self.0?;
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        self.0 = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
        Some(error)
    }
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "an unknown date".to_owned(), |time| time.to_string())
}

/// The name in `DnsName("vault.internal")`, as webpki tells it.
fn bare_name(presented: &str) -> String {
    let inner = presented.split_once('(').map_or(presented, |(_, rest)| rest.trim_end_matches(')'));
    plain(inner.trim_matches('"'), &[])
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

/// Words of somebody else, in one line, not too long, without what must not be repeated: what we have told them, and what
/// looks like a key or a token.
pub(super) fn plain(words: &str, secrets: &[&str]) -> String {
    let secrets = secrets.iter().filter(|secret| !secret.is_empty());
    let words = secrets.fold(words.to_owned(), |words, secret| words.replace(secret, HIDDEN));
    let words = words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty());
    let words: Vec<_> = words.take(MOST_WORDS).map(without_keys).collect();
    let words = words.join(" ");
    // How Go's `multierror` begins a list of one.
    let words = words.strip_prefix("1 error occurred: * ").unwrap_or(&words);
    match words.char_indices().nth(MOST_WORDS) {
        Some((at, _)) => format!("{}...", &words[..at]),
        None => words.to_owned(),
    }
}

/// A word without what in it could be a data key of 32 bytes in Base64, or a token: long, and with digits and letters of
/// both cases. Whoever reads a log should not be given what only a server and we know.
fn without_keys(word: &str) -> String {
    /// The shortest one is a token of Vault's, which has 24 random characters.
    const LENGTH: usize = 24;
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '_' | '-');
    let is_key = |part: &str| {
        let has = |is: fn(&char) -> bool| part.chars().any(|c| is(&c));
        part.len() >= LENGTH
            && has(char::is_ascii_digit)
            && has(char::is_ascii_lowercase)
            && has(char::is_ascii_uppercase)
    };
    let mut rest = word;
    let mut plain = String::new();
    while !rest.is_empty() {
        let end = rest.find(|c| !is_of_key(c)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        plain += if is_key(part) { HIDDEN } else { part };
        let other = after.chars().take_while(|c| !is_of_key(*c)).map(char::len_utf8).sum();
        plain += &after[..other];
        rest = &after[other..];
    }
    plain
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
        assert_eq!(plain("a secret\nwith blanks", &["secret\nwith"]), "a *** blanks");
    }

    #[test]
    fn what_looks_like_a_key_is_not_repeated() {
        for (words, expected) in [
            ("key=MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=!", "key=***=!"),
            (concat!("hvs", ".CAESIJlk9aBc1dEfGh2iJkLmNoPq"), "hvs.***"),
            ("no handler for route \"team-a/transit-production/encrypt/shop\"", ""),
            ("2026-11-28T10:00:00Z: a very long request to https://vault.example.com:8200/v1/transit", ""),
            ("ünïcödé MDEyMzQ1Njc4OTAxMjM0NTY3OD€", "ünïcödé ***€"),
        ] {
            let expected = if expected.is_empty() { words } else { expected };
            assert_eq!(plain(words, &[]), expected);
        }
    }

    #[test]
    fn answers_are_told_apart() {
        let of = |code, words| Problem::answered(code, words, &[]);
        assert_eq!(of(403, "permission denied").message, "permission denied (403)");
        assert_eq!(of(503, "Vault is sealed").cause, Cause::Down);
        assert_eq!(of(503, "").cause, Cause::Busy);
        assert_eq!(of(429, "").cause, Cause::Busy);
        assert_eq!(of(400, "x").message, "refused (400): x");
        assert_eq!(of(501, "").cause, Cause::NotUnderstood);
        assert_eq!(of(404, "404 page not found\n").cause, Cause::NotUnderstood);
        assert_eq!(of(404, r#"{"errors": []}"#).cause, Cause::Missing);
        assert_eq!(of(400, r#"{"errors": ["no"]}"#).cause, Cause::Refused);
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
