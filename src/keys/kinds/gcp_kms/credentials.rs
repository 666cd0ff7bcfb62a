//! Whose credentials requests are made with: where they are looked for, and what is in their files.
//!
//! Owns the order of sops and of Google's client in it: `GOOGLE_CREDENTIALS`, `GOOGLE_OAUTH_ACCESS_TOKEN`, then the
//! application default credentials: `GOOGLE_APPLICATION_CREDENTIALS`, what `gcloud` has left, and the machine. Asks nobody:
//! tokens are got by `tokens`.

use std::collections::BTreeMap;

use reqwest::Url;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::subject::{Aws, Program, Subject};
use crate::error::Result;
use crate::host::Host;
use crate::keys::web::{Cause, Problem, Secret, address, is_here};
use crate::os;
use crate::secret::{SecretBytes, SecretString};

const CREDENTIALS: &str = "GOOGLE_CREDENTIALS";
const ACCESS_TOKEN: &str = "GOOGLE_OAUTH_ACCESS_TOKEN";
const DEFAULT_CREDENTIALS: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const QUOTA_PROJECT: &str = "GOOGLE_CLOUD_QUOTA_PROJECT";
const METADATA_HOST: &str = "GCE_METADATA_HOST";

/// Where `gcloud auth application-default login` leaves what it was given.
const OF_GCLOUD: &str = "application_default_credentials.json";

/// Where Google hands out tokens, if a file does not say otherwise.
const TOKEN_SERVER: &str = "https://oauth2.googleapis.com/token";

/// The metadata service of a machine of Google.
const METADATA: &str = "169.254.169.254";

/// The universe of Google itself.
pub(super) const GOOGLE: &str = "googleapis.com";

/// Credentials that were found.
pub(super) struct Found {
    /// The variable or the file.
    pub place: String,
    pub source: Source,
    /// Whom they are for, if they say so.
    pub universe: Option<String>,
    /// The project that requests are counted for.
    pub quota_project: Option<String>,
}

/// What tokens are got by.
pub(super) enum Source {
    /// A token as it is.
    Token(SecretString),
    ServiceAccount {
        email: String,
        private_key: SecretString,
        key_id: Option<String>,
        server: Url,
    },
    User {
        client_id: String,
        client_secret: SecretString,
        refresh_token: SecretString,
        server: Url,
    },
    /// A service account, as which somebody else may act.
    Impersonated {
        by: Box<Source>,
        url: Url,
        delegates: Vec<String>,
    },
    /// Somebody whom another identity provider knows: a cluster, a CI system.
    External {
        subject: Subject,
        kind: String,
        audience: String,
        server: Url,
        /// The service account that this is for in the end.
        account: Option<String>,
    },
    /// The machine that we run on.
    Machine {
        service: Url,
    },
}

impl Found {
    /// Credentials of the user; an error if there are none for certain. Whether the machine has some is known when it is
    /// asked.
    pub fn of_user(host: &dyn Host) -> Result<Self, Problem> {
        let var = |name: &str| host.env_text(name);
        let mut found = if let Some(given) = var(CREDENTIALS)? {
            of_text_or_file(host, given)?
        } else if let Some(token) = var(ACCESS_TOKEN)? {
            Self::new(ACCESS_TOKEN, Source::Token(Zeroizing::new(token)))
        } else if let Some(path) = var(DEFAULT_CREDENTIALS)? {
            let content = host.read_secret(path.as_ref());
            let content = content.map_err(|error| wrong(DEFAULT_CREDENTIALS, &format!("{path}: {error}")))?;
            of_file(&format!("{DEFAULT_CREDENTIALS} ({path})"), &content)?
        } else if let Some((path, content)) = left_by_gcloud(host) {
            of_file(&path, &content)?
        } else {
            Self::new("this machine", Source::Machine { service: metadata(var(METADATA_HOST)?)? })
        };
        if let Some(project) = var(QUOTA_PROJECT)? {
            found.quota_project = Some(project);
        }
        Ok(found)
    }

    fn new(place: &str, source: Source) -> Self {
        Self { place: place.to_owned(), source, universe: None, quota_project: None }
    }

    /// Whom they are of, for people.
    pub fn described(&self) -> String {
        format!("{}: {}", self.place, self.source.described())
    }
}

impl Source {
    fn described(&self) -> String {
        match self {
            Self::Token(_) => "an access token".to_owned(),
            Self::ServiceAccount { email, .. } => format!("the service account {email}"),
            Self::User { .. } => "a user's login".to_owned(),
            Self::Impersonated { by, url, .. } => {
                format!("{}, as {}", by.described(), account_in(url.path()))
            }
            Self::External { audience, .. } => format!("a workload identity of {audience}"),
            Self::Machine { .. } => "its service account".to_owned(),
        }
    }
}

/// Which credentials the user has, without a request to anybody; `None` if only the machine may have some.
pub(super) fn described(host: &dyn Host) -> Result<Option<String>> {
    let found = Found::of_user(host).map_err(Problem::of_settings)?;
    let is_known = !matches!(found.source, Source::Machine { .. });
    Ok(is_known.then(|| found.described()))
}

/// `GOOGLE_CREDENTIALS` is the path of a file, or its content.
fn of_text_or_file(host: &dyn Host, given: String) -> Result<Found, Problem> {
    let given = Zeroizing::new(given);
    match host.read_secret(given.as_str().as_ref()) {
        Ok(content) => of_file(&format!("{CREDENTIALS} ({})", *given), &content),
        Err(_) if given.trim_start().starts_with('{') => of_file(CREDENTIALS, given.as_bytes()),
        // It may be a secret, and is not quoted.
        Err(_) => Err(wrong(CREDENTIALS, "it is neither a readable file nor JSON")),
    }
}

fn left_by_gcloud(host: &dyn Host) -> Option<(String, SecretBytes)> {
    let path = host.home()?.join(os::GCLOUD).join(OF_GCLOUD);
    let content = host.read_secret(&path).ok()?;
    Some((path.display().to_string(), content))
}

fn metadata(host: Option<String>) -> Result<Url, Problem> {
    let host = host.unwrap_or_else(|| METADATA.to_owned());
    address(&format!("http://{host}"), METADATA_HOST)
}

/// A file of credentials, as far as we read it. Only what is a secret is kept as one.
#[derive(Deserialize)]
struct Document {
    #[serde(rename = "type", default)]
    kind: String,
    universe_domain: Option<String>,
    quota_project_id: Option<String>,
    client_email: Option<String>,
    private_key: Option<Secret>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    refresh_token: Option<Secret>,
    audience: Option<String>,
    subject_token_type: Option<String>,
    token_url: Option<String>,
    credential_source: Option<CredentialSource>,
    service_account_impersonation_url: Option<String>,
    #[serde(default)]
    delegates: Vec<String>,
    source_credentials: Option<Box<Document>>,
}

#[derive(Deserialize)]
struct CredentialSource {
    file: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    format: Option<Format>,
    executable: Option<Program>,
    /// `aws1` for AWS.
    environment_id: Option<String>,
    region_url: Option<String>,
    regional_cred_verification_url: Option<String>,
    imdsv2_session_token_url: Option<String>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: Option<String>,
    subject_token_field_name: Option<String>,
}

fn of_file(place: &str, content: &[u8]) -> Result<Found, Problem> {
    // What the parser says may quote a secret.
    let document: Document =
        serde_json::from_slice(content).map_err(|_| wrong(place, "it is not a JSON file of credentials"))?;
    let (universe, quota_project) = (document.universe_domain.clone(), document.quota_project_id.clone());
    let source = document.source().map_err(|why| wrong(place, &why))?;
    Ok(Found { universe, quota_project, ..Found::new(place, source) })
}

impl Document {
    fn source(self) -> Result<Source, String> {
        let kind = self.kind.clone();
        match kind.as_str() {
            "service_account" => self.service_account(),
            "authorized_user" => self.user(),
            "impersonated_service_account" => self.impersonated(),
            "external_account" => self.external(),
            "" => Err("it has no `type`".to_owned()),
            kind => Err(format!("Sealant does not know credentials of the type `{kind}`")),
        }
    }

    fn service_account(self) -> Result<Source, String> {
        Ok(Source::ServiceAccount {
            email: given("client_email", self.client_email)?,
            private_key: given("private_key", self.private_key)?.0,
            key_id: self.private_key_id,
            server: server("token_uri", self.token_uri.as_deref().unwrap_or(TOKEN_SERVER))?,
        })
    }

    fn user(self) -> Result<Source, String> {
        Ok(Source::User {
            client_id: given("client_id", self.client_id)?,
            client_secret: given("client_secret", self.client_secret)?.0,
            refresh_token: given("refresh_token", self.refresh_token)?.0,
            server: server("token_uri", self.token_uri.as_deref().unwrap_or(TOKEN_SERVER))?,
        })
    }

    fn impersonated(self) -> Result<Source, String> {
        let by = given("source_credentials", self.source_credentials)?;
        if by.kind == "impersonated_service_account" {
            return Err("its `source_credentials` are impersonated themselves".to_owned());
        }
        let by = Box::new(by.source()?);
        let field = "service_account_impersonation_url";
        let url = server(field, &given(field, self.service_account_impersonation_url)?)?;
        Ok(Source::Impersonated { by, url, delegates: self.delegates })
    }

    fn external(self) -> Result<Source, String> {
        let subject = given("credential_source", self.credential_source)?.subject()?;
        let external = Source::External {
            subject,
            account: self.service_account_impersonation_url.as_deref().map(account_in).map(str::to_owned),
            kind: given("subject_token_type", self.subject_token_type)?,
            audience: given("audience", self.audience)?,
            server: server("token_url", &given("token_url", self.token_url)?)?,
        };
        Ok(match self.service_account_impersonation_url {
            None => external,
            Some(url) => Source::Impersonated {
                by: Box::new(external),
                url: server("service_account_impersonation_url", &url)?,
                delegates: Vec::new(),
            },
        })
    }
}

impl CredentialSource {
    fn subject(self) -> Result<Subject, String> {
        let of = |url: &str| address(url, "credential_source").map_err(|problem| problem.message);
        let optional = |url: Option<String>| url.as_deref().map(of).transpose();
        match self.environment_id.as_deref() {
            Some("aws1") => {
                return Ok(Subject::Aws(Box::new(Aws {
                    session: optional(self.imdsv2_session_token_url)?,
                    credentials: optional(self.url)?,
                    region: optional(self.region_url)?,
                    asked: self.regional_cred_verification_url,
                })));
            }
            Some(other) if other.starts_with("aws") => {
                return Err(format!("Sealant does not know the `environment_id` {other}"));
            }
            _ => {}
        }
        let field = match self.format {
            Some(format) if format.kind.as_deref() == Some("json") => {
                Some(given("subject_token_field_name", format.subject_token_field_name)?)
            }
            _ => None,
        };
        match (self.file, self.url, self.executable) {
            (Some(path), _, _) => Ok(Subject::File(path, field)),
            (None, Some(url), _) => Ok(Subject::Url(of(&url)?, self.headers, field)),
            (None, None, Some(program)) => Ok(Subject::Program(program)),
            (None, None, None) => {
                Err("Sealant takes the token of a `credential_source` from its `file`, `url` or \
                                       `executable`, or from AWS, and has no certificates for it"
                    .to_owned())
            }
        }
    }
}

/// The service account in the address by which one acts as it.
fn account_in(url: &str) -> &str {
    let last = url.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

fn given<T>(field: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("it has no `{field}`"))
}

/// A server that is told a secret: by TLS, or on this machine.
fn server(field: &str, url: &str) -> Result<Url, String> {
    let url = address(url, field).map_err(|problem| problem.message)?;
    match url.scheme() == "https" || is_here(&url) {
        true => Ok(url),
        false => Err(format!("{field}: {url} is neither https nor on this machine")),
    }
}

fn wrong(place: &str, why: &str) -> Problem {
    Problem::new(Cause::Credentials, format!("the credentials of {place} cannot be used: {why}"))
}

pub(super) fn none_found() -> Problem {
    Problem::new(Cause::Credentials, "there are no Google credentials").advise(
        "Log in (`gcloud auth application-default login`), or set GOOGLE_APPLICATION_CREDENTIALS to the path of a file \
         of credentials.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::FakeHost;

    const USER: &str =
        r#"{"type":"authorized_user","client_id":"i","client_secret":"PLANTED","refresh_token":"PLANTED"}"#;
    const ACCOUNT: &str = r#"{"type":"service_account","client_email":"a@p.test","private_key":"PLANTED"}"#;
    const GCLOUD: &str = "/home/u/.config/gcloud/application_default_credentials.json";

    #[test]
    fn they_are_found_where_sops_finds_them() {
        let described = |host: FakeHost| described(&host).unwrap().unwrap();
        let host = || {
            let host = FakeHost::default().file(GCLOUD, USER).file("/sa.json", ACCOUNT);
            host.env("GOOGLE_APPLICATION_CREDENTIALS", "/sa.json")
        };
        let account = "the service account a@p.test";
        let token = || host().env("GOOGLE_OAUTH_ACCESS_TOKEN", "PLANTED");
        assert_eq!(
            described(token().env("GOOGLE_CREDENTIALS", ACCOUNT)),
            format!("GOOGLE_CREDENTIALS: {account}")
        );
        let by_path = described(token().env("GOOGLE_CREDENTIALS", "/sa.json"));
        assert_eq!(by_path, format!("GOOGLE_CREDENTIALS (/sa.json): {account}"));
        assert_eq!(described(token()), "GOOGLE_OAUTH_ACCESS_TOKEN: an access token");
        assert_eq!(described(host()), format!("GOOGLE_APPLICATION_CREDENTIALS (/sa.json): {account}"));
        assert_eq!(described(FakeHost::default().file(GCLOUD, USER)), format!("{GCLOUD}: a user's login"));
        assert_eq!(super::described(&FakeHost::default()).unwrap(), None);
    }

    #[test]
    fn somebody_acts_as_a_service_account() {
        let url = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@p.test:generateAccessToken";
        let file = format!(
            r#"{{"type":"impersonated_service_account","source_credentials":{USER},
                "service_account_impersonation_url":"{url}"}}"#
        );
        let host = FakeHost::default().env("GOOGLE_CREDENTIALS", file);
        assert_eq!(described(&host).unwrap().unwrap(), "GOOGLE_CREDENTIALS: a user's login, as a@p.test");
    }

    #[test]
    fn what_cannot_be_used_is_told_without_its_secrets() {
        for (file, why) in [
            ("PLANTED", "neither a readable file nor JSON"),
            ("{\"PLANTED\": ", "not a JSON file of credentials"),
            (r#"{"private_key":"PLANTED"}"#, "no `type`"),
            (r#"{"type":"gdch_service_account","private_key":"PLANTED"}"#, "`gdch_service_account`"),
            (r#"{"type":"service_account","private_key":"PLANTED"}"#, "no `client_email`"),
            (
                r#"{"type":"service_account","client_email":"a","private_key":"PLANTED","token_uri":"http://a.test"}"#,
                "neither https nor on this machine",
            ),
            (
                r#"{"type":"external_account","credential_source":{"certificate":{"trust_chain_path":"PLANTED"}}}"#,
                "has no certificates for it",
            ),
            (
                r#"{"type":"external_account","credential_source":{"environment_id":"aws2","url":"http://PLANTED"}}"#,
                "does not know the `environment_id` aws2",
            ),
            (r#"{"type":"authorized_user","client_id":["PLANTED"]}"#, "not a JSON file of credentials"),
        ] {
            let error = described(&FakeHost::default().env("GOOGLE_CREDENTIALS", file)).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
            assert!(!format!("{error:?}").contains("PLANTED"), "{error}");
        }
    }
}
