//! Access tokens for the credentials that were found.
//!
//! A secret of a file of credentials goes to the server that this file names, or to Google; what the machine tells comes
//! from its metadata service, through no proxy.

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;

use super::credentials::{Found, GOOGLE, Source, none_found};
use super::subject::{self, Wish};
use crate::host::Host;
use crate::keys::web::oauth::plain;
use crate::keys::web::{Algorithm, Cause, Problem, Requests, Secret, Token, oauth, signed};
use crate::secret::SecretString;

/// What Google's client asks for.
const SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/cloudkms"];

/// How long a statement of a service account counts, in seconds.
const HOUR: i64 = 3600;

/// A token for credentials that were found.
pub(super) async fn token(host: &dyn Host, requests: &Requests, found: &Found) -> Result<Token, Problem> {
    // Other universes hand out no tokens: they take the statements of service accounts.
    if let Source::ServiceAccount { email, private_key, key_id, .. } = &found.source
        && found.universe.as_ref().is_some_and(|universe| universe != GOOGLE)
    {
        let text = statement(host, email, private_key, key_id.as_deref(), None)?;
        return Ok(Token { text, ends: Some(host.now() + SignedDuration::from_secs(HOUR)) });
    }
    let got = Asking { host, requests }.token_of(&found.source).await;
    got.map_err(|problem| match problem.cause {
        Cause::Down | Cause::Busy | Cause::Throttled => problem
            .after("cannot get an access token")
            .advise("Check whether Google can be reached from here."),
        _ => problem,
    })
}

struct Asking<'a> {
    host: &'a dyn Host,
    requests: &'a Requests,
}

impl Asking<'_> {
    async fn token_of(&self, source: &Source) -> Result<Token, Problem> {
        match source {
            Source::Impersonated { by, url, delegates } => {
                let by = self.token_of_own(by).await?;
                self.impersonated(&by, url, delegates).await
            }
            own => self.token_of_own(own).await,
        }
    }

    /// A token of credentials by themselves.
    async fn token_of_own(&self, source: &Source) -> Result<Token, Problem> {
        match source {
            Source::Token(text) => Ok(Token { text: text.clone(), ends: None }),
            Source::ServiceAccount { email, private_key, key_id, server } => {
                let statement = statement(self.host, email, private_key, key_id.as_deref(), Some(server))?;
                let fields = [
                    plain("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", statement),
                ];
                self.exchange(server, &fields).await
            }
            Source::User { client_id, client_secret, refresh_token, server } => {
                let fields = [
                    plain("grant_type", "refresh_token"),
                    plain("client_id", client_id),
                    ("client_secret", client_secret.clone()),
                    ("refresh_token", refresh_token.clone()),
                ];
                self.exchange(server, &fields).await
            }
            Source::External { subject, kind, audience, server, account } => {
                let wish = Wish { audience, kind, account: account.as_deref() };
                let asking = subject::Asking { host: self.host, requests: self.requests };
                let fields = [
                    plain("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                    plain("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
                    plain("audience", audience),
                    plain("scope", SCOPES[0]),
                    plain("subject_token_type", kind),
                    ("subject_token", asking.token(subject, &wish).await?),
                ];
                self.exchange(server, &fields).await
            }
            Source::Machine { service } => self.of_machine(service).await,
            // Its file allows one on top of another only.
            Source::Impersonated { .. } => Err(none_found()),
        }
    }

    async fn exchange(&self, server: &Url, fields: &[(&str, SecretString)]) -> Result<Token, Problem> {
        oauth::exchange(self.requests, self.host, server, fields).await
    }

    /// A token of a service account, as which this one may act.
    async fn impersonated(&self, by: &Token, url: &Url, delegates: &[String]) -> Result<Token, Problem> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Granted {
            access_token: Secret,
            expire_time: Option<Timestamp>,
        }
        let wish =
            json!({"scope": SCOPES, "lifetime": format!("{HOUR}s"), "delegates": delegates}).to_string();
        let answer = self.requests.send(url, |client| {
            let request = client.post(url.clone()).bearer_auth(by.text.as_str());
            request.header("content-type", "application/json").body(wish.clone())
        });
        let answer = answer.await.map_err(|problem| match problem.cause {
            Cause::Denied => problem.after("cannot act as the service account").advise(
                "Ask the owner of the service account for roles/iam.serviceAccountTokenCreator on it.",
            ),
            _ => problem.after("cannot act as the service account"),
        })?;
        let Granted { access_token, expire_time } = answer.json("IAM")?;
        Ok(Token { text: access_token.0, ends: Some(expire_time.unwrap_or_else(|| self.host.now())) })
    }

    async fn of_machine(&self, service: &Url) -> Result<Token, Problem> {
        let mut url = service.clone();
        url.set_path("/computeMetadata/v1/instance/service-accounts/default/token");
        url.set_query(Some(&format!("scopes={}", SCOPES.join(","))));
        let request = |client: &reqwest::Client| client.get(url.clone()).header("metadata-flavor", "Google");
        // Where nobody answers there is no such service, and this is no machine of Google.
        let answer = self.requests.ask_local(&url, request).await.map_err(|problem| match problem.cause {
            Cause::Down | Cause::Busy => none_found(),
            _ => none_found().after("this machine has no service account"),
        })?;
        let is_google = answer.headers.get("metadata-flavor").is_some_and(|flavor| flavor == "Google");
        if !is_google {
            return Err(none_found());
        }
        oauth::granted(&answer, self.host.now())
    }
}

/// What a service account says about itself: to a token server, or with scopes alone to Google's services.
fn statement(
    host: &dyn Host,
    email: &str,
    private_key: &str,
    key_id: Option<&str>,
    audience: Option<&Url>,
) -> Result<SecretString, Problem> {
    let now = host.now().as_second();
    let mut claims = json!({"iss": email, "scope": SCOPES.join(" "), "iat": now, "exp": now + HOUR});
    match audience {
        Some(audience) => claims["aud"] = audience.as_str().into(),
        None => claims["sub"] = email.into(),
    }
    let key = key_id.map(|id| ("kid", id));
    signed(Algorithm::Rs256, key, &claims, private_key.as_bytes()).ok_or_else(|| {
        Problem::new(Cause::Credentials, format!("the private key of {email} is not an RSA key in PEM"))
    })
}
