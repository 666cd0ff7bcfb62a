//! The token of another identity provider, which Google exchanges for one of its own: a cluster's, a CI system's, AWS's.
//!
//! Owns what Google's client does for each source of such a token. A program runs only if the user has allowed it, and outside
//! of the repository, so that it loads nothing from there.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use reqwest::{Client, Method, Url};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::host::{Command, Host};
use crate::keys::web::{
    AccessKey, Cause, Problem, Requests, Secret, ToSign, address, authority, escaped, token_in,
};
use crate::secret::{SecretBytes, SecretString};

/// Whoever sets it to `1` lets a file of credentials name a program.
const MAY_RUN: &str = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES";

/// What proves to Google who somebody is to AWS: what AWS answers to this request.
const WHO_AM_I: &str = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";

/// Runs a program outside of the repository.
const OUTSIDE: &str = r#"cd / && exec "$0" "$@""#;

/// Where the token comes from.
pub(super) enum Subject {
    File(String, Format),
    Url(Url, BTreeMap<String, Secret>, Format),
    Program(Program),
    Aws(Box<Aws>),
}

/// The field of a JSON document that holds the token, if it is in one.
pub(super) type Format = Option<String>;

/// A program that prints the token, or leaves it in a file.
#[derive(Deserialize)]
pub(super) struct Program {
    command: String,
    output_file: Option<String>,
}

/// A machine or container of AWS, or whoever has an access key in the environment.
pub(super) struct Aws {
    /// Of the metadata service: its session, the role's credentials, the region.
    pub session: Option<Url>,
    pub credentials: Option<Url>,
    pub region: Option<Url>,
    /// What AWS is asked, with `{region}` in it.
    pub asked: Option<String>,
}

/// For whom a token is.
pub(super) struct Wish<'w> {
    pub audience: &'w str,
    pub kind: &'w str,
    /// The service account that it is for in the end.
    pub account: Option<&'w str>,
}

pub(super) struct Asking<'a> {
    pub host: &'a dyn Host,
    pub requests: &'a Requests,
}

impl Asking<'_> {
    pub async fn token(&self, subject: &Subject, wish: &Wish<'_>) -> Result<SecretString, Problem> {
        match subject {
            Subject::File(path, format) => in_format(token_in(self.host, path)?, format),
            Subject::Url(url, headers, format) => {
                let answer = self.requests.send(url, |client| {
                    let request = client.get(url.clone());
                    headers
                        .iter()
                        .fold(request, |request, (name, value)| request.header(name, value.0.as_str()))
                });
                let answer = answer.await.map_err(|problem| {
                    let cause = if problem.may_pass() { problem.cause } else { Cause::Credentials };
                    Problem { cause, ..problem.after("cannot get the token of the workload") }
                })?;
                in_format(Zeroizing::new(text_of(&answer.body)?.to_owned()), format)
            }
            Subject::Program(program) => self.of_program(program, wish),
            Subject::Aws(aws) => self.of_aws(aws, wish.audience).await,
        }
    }

    fn of_program(&self, program: &Program, wish: &Wish<'_>) -> Result<SecretString, Problem> {
        if let Some(token) = program.output_file.as_deref().and_then(|file| self.left_in(file)) {
            return Ok(token);
        }
        if self.host.env_text(MAY_RUN)?.as_deref() != Some("1") {
            let message =
                format!("the credentials name a program (`{}`), which may not run", program.command);
            return Err(Problem::new(Cause::Credentials, message)
                .advise(format!("If you trust it, set {MAY_RUN}=1.")));
        }
        let words: Vec<&str> = program.command.split_whitespace().collect();
        let failed = |why: &str| wrong(&format!("`{}` {why}", words.first().unwrap_or(&"")));
        if words.first().is_none_or(|word| word.contains('/') && Path::new(word).is_relative()) {
            return Err(failed("is named by a relative path: write it from the root"));
        }
        let named = [
            ("AUDIENCE", Some(wish.audience)),
            ("TOKEN_TYPE", Some(wish.kind)),
            ("INTERACTIVE", Some("0")),
            ("IMPERSONATED_EMAIL", wish.account),
            ("OUTPUT_FILE", program.output_file.as_deref()),
        ];
        let env = named.iter().filter_map(|(name, value)| Some((name, (*value)?)));
        let command = Command {
            program: "/bin/sh".into(),
            args: ["-c", OUTSIDE].iter().chain(&words).map(Into::into).collect(),
            env: env
                .map(|(name, value)| (format!("GOOGLE_EXTERNAL_ACCOUNT_{name}").into(), value.into()))
                .collect(),
            ..Command::default()
        };
        let ran = self.host.run(&command, &[]).map_err(|error| failed(error.message()))?;
        if !ran.success {
            return Err(failed("failed"));
        }
        let said = if ran.stdout.trim_ascii().is_empty() { &ran.stderr } else { &*ran.stdout };
        Answer::read(said, self.host)?.map_err(|why| failed(&why))
    }

    /// A token that an earlier run has left, if it is still good.
    fn left_in(&self, file: &str) -> Option<SecretString> {
        let path = Path::new(file);
        let content = path.is_absolute().then(|| self.host.read_secret(path).ok())??;
        Answer::read(&content, self.host).ok()?.ok()
    }

    /// A signed request about whose credentials these are: Google makes it, and hears it from AWS.
    async fn of_aws(&self, aws: &Aws, audience: &str) -> Result<SecretString, Problem> {
        let var = |name: &str| self.host.env_text(name);
        let key = match (var("AWS_ACCESS_KEY_ID")?, var("AWS_SECRET_ACCESS_KEY")?) {
            (Some(access_key_id), Some(secret)) => Some(AccessKey {
                access_key_id,
                secret_access_key: Zeroizing::new(secret),
                session_token: var("AWS_SESSION_TOKEN")?.map(Zeroizing::new),
                ends: None,
            }),
            _ => None,
        };
        let region = var("AWS_REGION")?.or(var("AWS_DEFAULT_REGION")?);
        let session = match &aws.session {
            Some(url) if key.is_none() || region.is_none() => Some(self.session(url).await?),
            _ => None,
        };
        let key = match key {
            Some(key) => key,
            None => self.key_of_machine(aws.credentials.as_ref(), session.as_ref()).await?,
        };
        let region = match region {
            Some(region) => region,
            None => {
                let url = aws.region.as_ref().ok_or_else(|| wrong("AWS_REGION is not set"))?;
                let zone = self.ask_machine(url, session.as_ref()).await?;
                // A zone is a region with a letter behind it.
                let zone = text_of(&zone)?;
                zone.get(..zone.len().saturating_sub(1)).unwrap_or_default().to_owned()
            }
        };
        let asked = aws.asked.as_deref().unwrap_or(WHO_AM_I).replace("{region}", &region);
        let url = address(&asked, "regional_cred_verification_url")?;
        if url.scheme() != "https" || !authority(&url).starts_with("sts.") {
            return Err(wrong(&format!("{asked} is not the address of AWS STS")));
        }
        let host = authority(&url);
        let to_sign = ToSign {
            method: "POST",
            host: &host,
            path: url.path(),
            query: url.query().unwrap_or_default(),
            headers: &[("x-goog-cloud-target-resource", audience.to_owned())],
            body: b"",
            region: &region,
            service: "sts",
        };
        let added = to_sign.sign(&key, self.host.now());
        let headers = to_sign.headers.iter().chain(&added).map(|(name, value)| (*name, value.as_str()));
        let headers = headers.chain([("host", host.as_str())]);
        let headers: Vec<_> = headers.map(|(name, value)| json!({"key": name, "value": value})).collect();
        // Google wants the request as a text in a form, within the form.
        let request = json!({"url": asked, "method": "POST", "headers": headers}).to_string();
        Ok(escaped(&Zeroizing::new(request)))
    }

    async fn session(&self, url: &Url) -> Result<SecretString, Problem> {
        let request = |client: &Client| {
            client.request(Method::PUT, url.clone()).header("x-aws-ec2-metadata-token-ttl-seconds", "300")
        };
        let answer = self.requests.ask_local(url, request).await.map_err(not_on_aws)?;
        Ok(Zeroizing::new(text_of(&answer.body)?.to_owned()))
    }

    async fn key_of_machine(
        &self,
        url: Option<&Url>,
        session: Option<&SecretString>,
    ) -> Result<AccessKey, Problem> {
        let url = url.ok_or_else(|| wrong("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"))?;
        let role = self.ask_machine(url, session).await?;
        let of_role = format!("{}/{}", url.as_str().trim_end_matches('/'), text_of(&role)?);
        let said = self.ask_machine(&address(&of_role, "credential_source")?, session).await?;
        serde_json::from_slice(&said).map_err(|_| Problem::not_understood("the metadata service of AWS"))
    }

    async fn ask_machine(&self, url: &Url, session: Option<&SecretString>) -> Result<SecretBytes, Problem> {
        let request = |client: &Client| {
            let request = client.get(url.clone());
            match session {
                Some(session) => request.header("x-aws-ec2-metadata-token", session.as_str()),
                None => request,
            }
        };
        Ok(self.requests.ask_local(url, request).await.map_err(not_on_aws)?.body)
    }
}

/// What a program prints.
#[derive(Deserialize)]
struct Answer {
    version: Option<u32>,
    success: Option<bool>,
    expiration_time: Option<i64>,
    id_token: Option<Secret>,
    saml_response: Option<Secret>,
    code: Option<String>,
    message: Option<String>,
}

impl Answer {
    /// The token; the inner error is what is wrong with it.
    fn read(said: &[u8], host: &dyn Host) -> Result<Result<SecretString, String>, Problem> {
        // What the parser says may quote a secret.
        let not_read = |_| Problem::not_understood("the program of the credentials");
        let Self { version, success, expiration_time, id_token, saml_response, code, message } =
            serde_json::from_slice(said).map_err(not_read)?;
        Ok(match (version, success) {
            (Some(1), Some(true)) if expiration_time.is_some_and(|end| end < host.now().as_second()) => {
                Err("printed a token that has expired".to_owned())
            }
            (Some(1), Some(true)) => {
                let token = id_token.or(saml_response).map(|token| token.0);
                token.ok_or_else(|| "printed no token".to_owned())
            }
            (Some(_), Some(false)) => {
                let words = [code.as_deref(), message.as_deref()].into_iter().flatten();
                Err(format!("failed: {}", words.collect::<Vec<_>>().join(": ")))
            }
            _ => Err("printed an answer of a version that Sealant does not know".to_owned()),
        })
    }
}

fn in_format(text: SecretString, format: &Format) -> Result<SecretString, Problem> {
    let Some(field) = format else { return Ok(text) };
    let not_understood = || Problem::not_understood("an identity provider");
    let mut fields: HashMap<String, Secret> = serde_json::from_str(&text).map_err(|_| not_understood())?;
    Ok(fields.remove(field).ok_or_else(not_understood)?.0)
}

fn text_of(bytes: &[u8]) -> Result<&str, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::not_understood("an identity provider"))?;
    Ok(text.trim())
}

fn not_on_aws(problem: Problem) -> Problem {
    wrong(&format!("the metadata service of AWS gives no credentials ({})", problem.message))
}

fn wrong(why: &str) -> Problem {
    Problem::new(Cause::Credentials, format!("cannot get the token of the workload: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::FakeHost;

    #[test]
    fn an_answer_of_a_program_is_read() {
        let read = |said: &str| match Answer::read(said.as_bytes(), &FakeHost::default()) {
            Ok(Ok(token)) => token.to_string(),
            Ok(Err(why)) => why,
            Err(problem) => problem.message,
        };
        assert_eq!(read(r#"{"version": 1, "success": true, "id_token": "T"}"#), "T");
        assert_eq!(
            read(r#"{"version": 1, "success": true, "saml_response": "T", "expiration_time": 9}"#),
            "T"
        );
        for (said, why) in [
            (r#"{"version": 1, "success": true, "id_token": "T", "expiration_time": -1}"#, "has expired"),
            (r#"{"version": 1, "success": true}"#, "no token"),
            (r#"{"version": 1, "success": false, "code": "401", "message": "no"}"#, "failed: 401: no"),
            (r#"{"version": 2, "success": true, "id_token": "PLANTED"}"#, "of a version"),
            (r#"{"success": true, "id_token": "PLANTED"}"#, "of a version"),
            ("PLANTED", "cannot be read"),
        ] {
            let told = read(said);
            assert!(told.contains(why) && !told.contains("PLANTED"), "{told}");
        }
    }
}
