//! Other credentials in exchange for some: STS, whose answers are XML.

use reqwest::{Method, Url};
use zeroize::Zeroizing;

use super::credentials::Credentials;
use super::key::Place;
use super::requests::{Requests, Signed};
use crate::host::Host;
use crate::keys::web::{self, Cause, Problem};
use crate::secret::SecretString;

/// A role to assume.
pub(super) struct Role<'r> {
    pub arn: &'r str,
    /// By default as sops has it: `sops@HOST`.
    pub session_name: Option<&'r str>,
    pub external_id: Option<&'r str>,
    /// In seconds; by default STS's own.
    pub duration: Option<&'r str>,
}

impl Role<'_> {
    /// Credentials for the role, by those of the caller.
    pub async fn assume(
        &self,
        requests: &Requests,
        host: &dyn Host,
        place: Place<'_>,
        endpoint: &Url,
        by: &Credentials,
    ) -> Result<Credentials, Problem> {
        let mut form = self.form(host, "AssumeRole");
        for (name, value) in [("ExternalId", self.external_id), ("DurationSeconds", self.duration)] {
            form.extend(value.map(|value| (name, SecretString::new(value.to_owned()))));
        }
        self.ask(requests, host, place, endpoint, Some(by), &form).await
    }

    /// Credentials for the role, by a signed token of somebody whom AWS trusts: a cluster, a CI system.
    pub async fn assume_by_token(
        &self,
        requests: &Requests,
        host: &dyn Host,
        place: Place<'_>,
        endpoint: &Url,
        token: SecretString,
    ) -> Result<Credentials, Problem> {
        let mut form = self.form(host, "AssumeRoleWithWebIdentity");
        form.push(("WebIdentityToken", token));
        self.ask(requests, host, place, endpoint, None, &form).await
    }

    fn form(&self, host: &dyn Host, action: &str) -> Vec<(&'static str, SecretString)> {
        let name = self.session_name.map_or_else(|| default_session(host), str::to_owned);
        [
            ("Action", action.to_owned()),
            ("Version", "2011-06-15".to_owned()),
            ("RoleArn", self.arn.to_owned()),
            ("RoleSessionName", name),
        ]
        .map(|(name, value)| (name, SecretString::new(value)))
        .into()
    }

    async fn ask(
        &self,
        requests: &Requests,
        host: &dyn Host,
        place: Place<'_>,
        endpoint: &Url,
        by: Option<&Credentials>,
        form: &[(&str, SecretString)],
    ) -> Result<Credentials, Problem> {
        let doing = format!("cannot assume the role {}", self.arn);
        let request = Signed {
            method: Method::POST,
            endpoint,
            region: place.region,
            service: "sts",
            headers: vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())],
            body: web::form(form),
        };
        let answer = requests.send(host, &request, by).await.map_err(|problem| match problem.cause {
            Cause::Denied => problem.after(&doing).advise(format!(
                "The caller's policy must allow sts:AssumeRole on {}, and the role must trust the caller.",
                self.arn
            )),
            _ => problem.after(&doing),
        })?;
        let text = Xml(answer.text());
        let found = (text.get("AccessKeyId"), text.get("SecretAccessKey"), text.get("SessionToken"));
        let (Some(id), Some(secret), Some(token)) = found else {
            return Err(Problem::not_understood("STS").after(&doing));
        };
        Ok(Credentials {
            access_key_id: id.to_string(),
            secret_access_key: secret,
            session_token: Some(token),
            ends: text.get("Expiration").and_then(|time| time.parse().ok()),
        })
    }
}

/// `sops@HOST`, of what may be in such a name.
fn default_session(host: &dyn Host) -> String {
    let name = host.env_text("HOSTNAME").ok().flatten().or_else(|| {
        let name = host.read_secret("/etc/hostname".as_ref()).ok()?;
        Some(std::str::from_utf8(&name).ok()?.trim().to_owned())
    });
    let allowed = |char: &char| char.is_ascii_alphanumeric() || "=,.@-_".contains(*char);
    let name: String = name.unwrap_or_default().chars().filter(allowed).collect();
    format!("sops@{name}").chars().take(64).collect()
}

/// An answer of STS, of which each element that we want is there once.
pub(super) struct Xml<'a>(pub &'a str);

impl Xml<'_> {
    pub fn get(&self, name: &str) -> Option<SecretString> {
        let (_, rest) = self.0.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once(&format!("</{name}>"))?;
        let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
            .into_iter()
            .fold(text.trim().to_owned(), |text, (escape, plain)| text.replace(escape, plain));
        Some(Zeroizing::new(plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::FakeHost;

    #[test]
    fn a_session_is_named_as_sops_names_it() {
        assert_eq!(default_session(&FakeHost::default().env("HOSTNAME", "my host!")), "sops@myhost");
        assert_eq!(default_session(&FakeHost::default().file("/etc/hostname", "box\n")), "sops@box");
        assert_eq!(default_session(&FakeHost::default().env("HOSTNAME", "x".repeat(90))).len(), 64);
    }

    #[test]
    fn an_answer_is_read() {
        let xml = Xml("<R><Credentials><AccessKeyId> A&amp;&lt; </AccessKeyId></Credentials></R>");
        assert_eq!(xml.get("AccessKeyId").unwrap().as_str(), "A&<");
        assert!(xml.get("SessionToken").is_none());
    }
}
