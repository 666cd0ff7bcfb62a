//! The keys of a run, and the many requests to KMS: a few at a time, each wrapped key once.
//!
//! Owns the one place that decides whose credentials a key is used with: a role or a profile that only a file names is
//! not used unasked, and a controller uses all as itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::credentials::{Credentials, Sources};
use super::key::{Key, Place};
use super::problem;
use super::profiles::{DEFAULT, Files};
use super::requests::{Requests, Signed};
use crate::error::Result;
use crate::host::Host;
use crate::keys::decoded::LENIENT;
use crate::keys::kind::{MasterKey, Wrapped};
use crate::keys::web::{Answer, Cause, Cloud, Consent, Kept, Made, Operation, Problem, Secret};
use crate::keys::{KeyKind, StartedBy};
use crate::secret::SecretBytes;

/// The keys of AWS KMS, with the user's own credentials.
pub struct Kms {
    started_by: StartedBy,
    /// About roles and profiles.
    consent: Consent<Chosen>,
    setup: Made<Setup>,
    logins: Mutex<HashMap<Login, Arc<Kept<Credentials>>>>,
}

/// Whose credentials a key asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Chosen {
    Role(String),
    Profile(String),
}

/// What credentials depend on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Login {
    profile: Option<String>,
    role: Option<String>,
    region: String,
    domain: &'static str,
}

/// What is read and made once.
pub(super) struct Setup {
    pub requests: Requests,
    pub files: Files,
}

impl Kms {
    /// As the user of this host has settled it.
    pub fn of_user(started_by: StartedBy) -> Self {
        let (consent, setup) = (Consent::new(started_by), Made::default());
        Self { started_by, consent, setup, logins: Mutex::default() }
    }

    pub(super) fn setup(&self, host: &dyn Host) -> Result<&Setup, Problem> {
        let make =
            || Ok(Setup { requests: Requests::new(host, self.started_by)?, files: Files::read(host)? });
        self.setup.get(make)
    }

    async fn ask(
        &self,
        host: &dyn Host,
        key: &Key,
        operation: &str,
        body: Body<'_>,
    ) -> Result<Answer, Problem> {
        let (profile, role) = self.identity(host, key)?;
        let setup = self.setup(host)?;
        let endpoint = setup.endpoint(host, profile, "kms", key.place())?;
        // With room for all of it no copy stays behind in a buffer that was outgrown.
        let mut json = Zeroizing::new(Vec::with_capacity(16 << 10));
        serde_json::to_writer(&mut *json, &body)
            .map_err(|_| Problem::new(Cause::Other, "it cannot be asked for"))?;
        let request = Signed {
            method: Method::POST,
            endpoint: &endpoint,
            region: key.region(),
            service: "kms",
            headers: vec![
                ("content-type", "application/x-amz-json-1.1".to_owned()),
                ("x-amz-target", format!("TrentService.{operation}")),
            ],
            body: json,
        };
        let sent = async |by: &Credentials| setup.requests.send(host, &request, Some(by)).await;
        self.signed_by(host, setup, profile, role, key.place(), sent).await
    }

    /// Makes a request with the credentials for it, which are looked for once.
    pub(super) async fn signed_by(
        &self,
        host: &dyn Host,
        setup: &Setup,
        profile: Option<&str>,
        role: Option<&str>,
        place: Place<'_>,
        send: impl AsyncFn(&Credentials) -> Result<Answer, Problem>,
    ) -> Result<Answer, Problem> {
        let sts = setup.endpoint(host, profile, "sts", place)?;
        let sources = Sources { host, setup, place, sts: &sts };
        let find = async || sources.find(profile, role).await;
        self.login(profile, role, place).with(host, find, send).await
    }

    fn login(&self, profile: Option<&str>, role: Option<&str>, place: Place<'_>) -> Arc<Kept<Credentials>> {
        let Place { region, domain } = place;
        let login = Login {
            profile: profile.map(str::to_owned),
            role: role.map(str::to_owned),
            region: region.to_owned(),
            domain,
        };
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(logins.entry(login).or_default())
    }

    /// The profile and the role to use a key with. One that only a file or a rule names is refused, unless the person says yes.
    fn identity<'k>(
        &self,
        host: &dyn Host,
        key: &'k Key,
    ) -> Result<(Option<&'k str>, Option<&'k str>), Problem> {
        if self.started_by == StartedBy::Controller {
            return Ok((None, None));
        }
        let own = || host.env_text("AWS_PROFILE").ok().flatten().unwrap_or_else(|| DEFAULT.to_owned());
        let is_own = |chosen: &Chosen| matches!(chosen, Chosen::Profile(profile) if *profile == own());
        let is_used =
            |chosen: &Chosen| is_own(chosen) || self.consent.allows(host, chosen, &chosen.question());
        match chosen(key).find(|chosen| !is_used(chosen)) {
            Some(chosen) => Err(chosen.unnamed(key)),
            None => Ok((key.profile(), key.role())),
        }
    }
}

/// The roles and profiles that a key names.
fn chosen(key: &Key) -> impl Iterator<Item = Chosen> {
    let role = key.role().map(|role| Chosen::Role(role.to_owned()));
    let profile = key.profile().map(|profile| Chosen::Profile(profile.to_owned()));
    role.into_iter().chain(profile)
}

impl Chosen {
    fn question(&self) -> String {
        match self {
            Self::Role(role) => format!("a file or a rule names the role {role}, but you have not"),
            Self::Profile(profile) => {
                format!("a file or a rule names the AWS profile `{profile}`, but you have not")
            }
        }
    }

    fn unnamed(&self, key: &Key) -> Problem {
        let advice = match self {
            Self::Role(role) => {
                format!("If it is yours, name it for this command: SOPS_KMS_ARN='{}+{role}'", key.arn())
            }
            Self::Profile(profile) => {
                format!("If you want to use it, name it for this command: AWS_PROFILE='{profile}'")
            }
        };
        Problem::new(Cause::Unnamed, self.question()).advise(advice)
    }
}

impl Setup {
    /// Where a service is asked: where the user's settings say, else at AWS itself.
    pub(super) fn endpoint(
        &self,
        host: &dyn Host,
        profile: Option<&str>,
        service: &str,
        place: Place<'_>,
    ) -> Result<Url, Problem> {
        let wrong = |error: crate::Error| Problem::new(Cause::Other, error.message());
        let var = |name: &str| host.env_text(name).map_err(wrong);
        let own = var("AWS_PROFILE")?;
        let section = self.files.profile(profile.or(own.as_deref()).unwrap_or(DEFAULT));
        let field = |name: &str| section.and_then(|section| section.get(name));
        let is_true = |value: &str| value.eq_ignore_ascii_case("true");
        let ignored = match var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")? {
            Some(value) => is_true(&value),
            None => field("ignore_configured_endpoint_urls").is_some_and(is_true),
        };
        let named = || {
            let of_service = format!("AWS_ENDPOINT_URL_{}", service.to_uppercase());
            for variable in [of_service.as_str(), "AWS_ENDPOINT_URL"] {
                if let Some(url) = var(variable)? {
                    return Ok::<_, Problem>(Some((variable.to_owned(), url)));
                }
            }
            let services = field("services").and_then(|name| self.files.services(name));
            let url = services.and_then(|services| services.get(&format!("{service}.endpoint_url")));
            Ok(url.or_else(|| field("endpoint_url")).map(|url| ("endpoint_url".to_owned(), url.to_owned())))
        };
        let named = if ignored { None } else { named()? };
        let (setting, url) = match named {
            Some(named) => named,
            None => {
                let uses = |variable: &str, name: &str| {
                    let given = var(variable)?;
                    Ok::<_, Problem>(given.as_deref().or_else(|| field(name)).is_some_and(is_true))
                };
                let fips = if uses("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")? { "-fips" } else { "" };
                let Place { region, domain } = place;
                let name = if service == "sso" { "portal.sso" } else { service };
                (String::new(), format!("https://{name}{fips}.{region}.{domain}/"))
            }
        };
        let parsed =
            Url::parse(&url).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        parsed.ok_or_else(|| Problem::new(Cause::Other, format!("{setting}: `{url}` is not an address")))
    }
}

/// What KMS is asked.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'b> {
    key_id: &'b str,
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<&'b str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext_blob: Option<&'b str>,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    encryption_context: &'b std::collections::BTreeMap<String, String>,
}

impl<'b> Body<'b> {
    fn of(key: &'b Key) -> Self {
        Self { key_id: key.arn(), plaintext: None, ciphertext_blob: None, encryption_context: key.context() }
    }
}

impl Cloud for Kms {
    type Key = Key;

    const KIND: KeyKind = KeyKind::Kms;

    fn own(key: &MasterKey) -> Option<&Key> {
        match key {
            MasterKey::Kms(key) => Some(key),
            _ => None,
        }
    }

    fn name_of(key: &Key) -> &str {
        key.arn()
    }

    fn name(&mut self, keys: &[&Key]) {
        self.consent.name(keys.iter().flat_map(|key| chosen(key)));
    }

    async fn encrypt(&self, host: &dyn Host, key: &Key, payload: &[u8]) -> Result<Wrapped, Problem> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Encrypted {
            ciphertext_blob: String,
        }
        let plaintext = Zeroizing::new(BASE64.encode(payload));
        let answer =
            self.ask(host, key, "Encrypt", Body { plaintext: Some(&plaintext), ..Body::of(key) }).await?;
        let Encrypted { ciphertext_blob } = answer.json("KMS")?;
        Ok(Wrapped::from(ciphertext_blob))
    }

    async fn decrypt(&self, host: &dyn Host, key: &Key, enc: &str) -> Result<SecretBytes, Problem> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Decrypted {
            plaintext: Secret,
        }
        let not_base64 = || Problem::new(Cause::NotOpened, "its `enc` is not base64");
        let blob = LENIENT.decode(enc.split_whitespace().collect::<String>()).map_err(|_| not_base64())?;
        let blob = BASE64.encode(blob);
        let answer =
            self.ask(host, key, "Decrypt", Body { ciphertext_blob: Some(&blob), ..Body::of(key) }).await?;
        let Decrypted { plaintext } = answer.json("KMS")?;
        BASE64.decode(plaintext.0.as_bytes()).map(Zeroizing::new).map_err(|_| Problem::not_understood("KMS"))
    }

    fn advice(cause: Cause, key: &Key, operation: Operation) -> Option<String> {
        problem::advice(cause, key, operation)
    }
}
