//! Access tokens of OAuth servers (RFC 6749), and what else hands them out in that form.

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::kept::Lasting;
use super::problem::{Cause, Problem};
use super::requests::{Answer, Requests, Secret, form};
use crate::host::Host;
use crate::secret::SecretString;

/// How long a token lasts of which nobody says so, in seconds.
const HOUR: i64 = 3600;

/// No token lasts longer, whatever its server says.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// An access token.
pub(crate) struct Token {
    pub text: SecretString,
    /// `None` for one that we cannot replace.
    pub ends: Option<Timestamp>,
}

impl Lasting for Token {
    fn ends(&self) -> Option<Timestamp> {
        self.ends
    }
}

/// Gets a token for what these fields of a form say.
pub(crate) async fn exchange(
    requests: &Requests,
    host: &dyn Host,
    server: &Url,
    fields: &[(&str, SecretString)],
) -> Result<Token, Problem> {
    let body = form(fields);
    let answer = requests.send(server, |client| {
        let request = client.post(server.clone());
        request.header("content-type", "application/x-www-form-urlencoded").body(body.to_vec())
    });
    granted(&answer.await?, host.now())
}

/// The token in an answer.
pub(crate) fn granted(answer: &Answer, now: Timestamp) -> Result<Token, Problem> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: Secret,
        #[serde(default)]
        expires_in: Seconds,
        /// Since 1970.
        #[serde(default)]
        expires_on: Seconds,
    }
    let Granted { access_token, expires_in, expires_on } = answer.json("a token server")?;
    let lasts = match (expires_in.0, expires_on.0) {
        (Some(seconds), _) if seconds > 0 => seconds,
        (_, Some(end)) => end.saturating_sub(now.as_second()),
        _ => HOUR,
    };
    let lasts = SignedDuration::from_secs(lasts).min(LONGEST);
    Ok(Token { text: access_token.0, ends: Some(now + lasts) })
}

/// A number, or a text that is one.
#[derive(Default)]
struct Seconds(Option<i64>);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        Ok(Self(value.as_i64().or_else(|| value.as_str()?.parse().ok())))
    }
}

/// What a token server means that hands out nothing (5.2 there).
pub(crate) fn refused(status: u16, code: &str, words: &str) -> Problem {
    let (cause, meaning) = match code {
        _ if status == 429 => (Cause::Throttled, "the token server limits the rate of requests"),
        _ if status >= 500 => (Cause::Busy, "the token server failed"),
        "invalid_grant" => (Cause::Credentials, "the credentials have expired or were revoked"),
        _ => (Cause::Credentials, "the token server rejects the credentials"),
    };
    Problem::said(cause, meaning, status, code, words)
}

/// A field of a form that is no secret.
pub(crate) fn plain<'a>(name: &'a str, value: &str) -> (&'a str, SecretString) {
    (name, Zeroizing::new(value.to_owned()))
}
