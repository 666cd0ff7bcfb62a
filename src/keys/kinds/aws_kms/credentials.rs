//! The credentials that requests are signed with.
//!
//! Owns the order in which they are looked for, that of the AWS SDK in sops: a profile that the key names; else the
//! environment, a web identity, and the profile of the user: of another profile, in the files, by SSO, by a program; else
//! those of the container and of the machine. Who may choose a role or a profile is decided elsewhere (`worker`).

use jiff::Timestamp;
use reqwest::{Method, Url};
use serde::Deserialize;
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use super::key::Place;
use super::profiles::{DEFAULT, Profile};
use super::sts::Role;
use super::worker::Setup;
use crate::host::{Command, Host};
pub(super) use crate::keys::web::AccessKey as Credentials;
use crate::keys::web::{Cause, Problem, Secret, address, hex, token_in};

/// No chain of source profiles is longer.
const MOST_PROFILES: usize = 10;

/// Where credentials are looked for.
pub(super) struct Sources<'s> {
    pub host: &'s dyn Host,
    pub setup: &'s Setup,
    /// Of the key that they are for: STS is asked there.
    pub place: Place<'s>,
    /// The endpoint of STS.
    pub sts: &'s Url,
}

impl Sources<'_> {
    /// The credentials for a key that names this profile and this role, or none.
    pub async fn find(&self, profile: Option<&str>, role: Option<&str>) -> Result<Credentials, Problem> {
        let found = match profile {
            Some(profile) => self.of_profile(profile, true).await?,
            None => self.of_user().await?,
        };
        match role {
            Some(arn) => {
                self.assume(&Role { arn, session_name: None, external_id: None, duration: None }, &found)
                    .await
            }
            None => Ok(found),
        }
    }

    async fn of_user(&self) -> Result<Credentials, Problem> {
        if let Some(found) = self.of_environment()? {
            return Ok(found);
        }
        if let Some(file) = self.var("AWS_WEB_IDENTITY_TOKEN_FILE")? {
            let (role, session) = (self.var("AWS_ROLE_ARN")?, self.var("AWS_ROLE_SESSION_NAME")?);
            return self.by_web_identity(&file, role.as_deref(), session.as_deref()).await;
        }
        match self.var("AWS_PROFILE")? {
            Some(profile) => self.of_profile(&profile, true).await,
            None => match self.var("AWS_DEFAULT_PROFILE")? {
                Some(profile) => self.of_profile(&profile, true).await,
                None => self.of_profile(DEFAULT, false).await,
            },
        }
    }

    fn of_environment(&self) -> Result<Option<Credentials>, Problem> {
        let either = |first: &str, second: &str| Ok::<_, Problem>(self.var(first)?.or(self.var(second)?));
        let id = either("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY")?;
        let secret = either("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY")?;
        let (Some(access_key_id), Some(secret)) = (id, secret) else { return Ok(None) };
        Ok(Some(Credentials {
            access_key_id,
            secret_access_key: Zeroizing::new(secret),
            session_token: self.var("AWS_SESSION_TOKEN")?.map(Zeroizing::new),
            ends: None,
        }))
    }

    /// The credentials of a profile: those of the last of its source profiles, with which one role after the other is
    /// assumed.
    async fn of_profile(&self, name: &str, is_named: bool) -> Result<Credentials, Problem> {
        let mut chain: Vec<(&str, Profile<'_>)> = Vec::new();
        let mut name = name;
        while let Some(profile) = self.setup.files.profile(name) {
            let source = profile.get("source_profile").filter(|_| profile.get("role_arn").is_some());
            let is_again = chain.iter().any(|(known, _)| *known == name);
            if is_again || chain.len() > MOST_PROFILES {
                // A profile that is its own source has the credentials, too.
                return match chain.last() {
                    Some((last, _)) if *last == name => {
                        self.with_roles(&chain, self.own(name, profile).await?).await
                    }
                    _ => Err(wrong(name, "its source profiles form a loop")),
                };
            }
            chain.push((name, profile));
            let has_keys = profile.get("aws_access_key_id").is_some();
            match source {
                // Further profiles are asked for credentials alone, if they have some.
                Some(source) if chain.len() == 1 || !has_keys => name = source,
                _ => {
                    let own = self.own(name, profile).await?;
                    return self.with_roles(&chain, own).await;
                }
            }
        }
        if is_named || !chain.is_empty() {
            return Err(Problem::new(Cause::Credentials, format!("there is no AWS profile `{name}`"))
                .advise("List them: `aws configure list-profiles`."));
        }
        self.of_machine().await
    }

    /// Assumes the roles of a chain of profiles, that of the last one first.
    async fn with_roles(
        &self,
        chain: &[(&str, Profile<'_>)],
        mut found: Credentials,
    ) -> Result<Credentials, Problem> {
        for (at, (name, profile)) in chain.iter().enumerate().rev() {
            let by_token =
                profile.get("web_identity_token_file").is_some() && profile.get("source_profile").is_none();
            // Behind the first, one with an access key is not asked for its role.
            let has_keys = at > 0 && profile.get("aws_access_key_id").is_some();
            let Some(arn) = profile.get("role_arn").filter(|_| !by_token && !has_keys) else { continue };
            if profile.get("mfa_serial").is_some() {
                return Err(wrong(name, "it needs a code from an MFA device, and Sealant does not ask for one")
                    .advise("Get a session with the code (`aws sts assume-role --token-code`), and set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN to it."));
            }
            let role = Role {
                arn,
                session_name: profile.get("role_session_name"),
                external_id: profile.get("external_id"),
                duration: profile.get("duration_seconds"),
            };
            found = self.assume(&role, &found).await?;
        }
        Ok(found)
    }

    /// What a profile itself has, apart from its role.
    async fn own(&self, name: &str, profile: Profile<'_>) -> Result<Credentials, Problem> {
        let field = |field: &str| profile.get(field);
        if let (Some(id), Some(secret)) = (field("aws_access_key_id"), field("aws_secret_access_key")) {
            let secret_access_key = Zeroizing::new(secret.to_owned());
            let session_token = field("aws_session_token").map(|token| Zeroizing::new(token.to_owned()));
            return Ok(Credentials {
                access_key_id: id.to_owned(),
                secret_access_key,
                session_token,
                ends: None,
            });
        }
        match field("credential_source") {
            Some("Environment") => {
                return self
                    .of_environment()?
                    .ok_or_else(|| wrong(name, "the environment has no access key"));
            }
            Some("Ec2InstanceMetadata") => return self.of_instance().await,
            Some("EcsContainer") => {
                return self.of_container().await?.ok_or_else(|| wrong(name, "this is not an ECS container"));
            }
            Some(other) => return Err(wrong(name, &format!("there is no credential_source `{other}`"))),
            None => {}
        }
        if let Some(file) = field("web_identity_token_file") {
            return self.by_web_identity(file, field("role_arn"), field("role_session_name")).await;
        }
        if field("sso_account_id").is_some() || field("sso_session").is_some() {
            return self.by_sso(name, profile).await;
        }
        if let Some(command) = field("credential_process") {
            return self.by_program(name, command);
        }
        self.of_machine().await
    }

    async fn assume(&self, role: &Role<'_>, by: &Credentials) -> Result<Credentials, Problem> {
        role.assume(&self.setup.requests, self.host, self.place, self.sts, by).await
    }

    async fn by_web_identity(
        &self,
        file: &str,
        role: Option<&str>,
        session_name: Option<&str>,
    ) -> Result<Credentials, Problem> {
        let arn = role.ok_or_else(|| {
            Problem::new(
                Cause::Credentials,
                "there is a web identity but no role for it: AWS_ROLE_ARN is not set",
            )
        })?;
        let token = token_in(self.host, file)?;
        let role = Role { arn, session_name, external_id: None, duration: None };
        role.assume_by_token(&self.setup.requests, self.host, self.place, self.sts, token).await
    }

    /// By the token that `aws sso login` has left.
    async fn by_sso(&self, name: &str, profile: Profile<'_>) -> Result<Credentials, Problem> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Token {
            access_token: Secret,
            expires_at: Timestamp,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Granted {
            role_credentials: OfSso,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct OfSso {
            access_key_id: String,
            secret_access_key: Secret,
            session_token: Secret,
            expiration: i64,
        }
        let session = match profile.get("sso_session") {
            Some(session) => Some((
                session,
                self.setup
                    .files
                    .sso_session(session)
                    .ok_or_else(|| wrong(name, &format!("there is no sso-session `{session}`")))?,
            )),
            None => None,
        };
        let field = |field: &str| {
            let of_session = session.and_then(|(_, section)| section.get(field));
            of_session
                .or_else(|| profile.get(field))
                .ok_or_else(|| wrong(name, &format!("it has no `{field}`")))
        };
        let (account, role, region) =
            (field("sso_account_id")?, field("sso_role_name")?, field("sso_region")?);
        // The name of the file is a hash of what was logged in to.
        let of = match session {
            Some((session, _)) => session,
            None => field("sso_start_url")?,
        };
        let login = || {
            Problem::new(
                Cause::Credentials,
                format!("you are not logged in to the AWS profile `{name}`, or the login has expired"),
            )
            .advise(format!("Log in: `aws sso login --profile {name}`."))
        };
        let home = self.host.home().ok_or_else(login)?;
        let path = home.join(".aws/sso/cache").join(format!("{}.json", hex(&Sha1::digest(of))));
        let token = self.host.read_secret(&path).map_err(|_| login())?;
        let token: Token = serde_json::from_slice(&token).map_err(|_| login())?;
        if token.expires_at <= self.host.now() {
            return Err(login());
        }
        let place = Place { region, domain: self.place.domain };
        let mut url = self.setup.endpoint(self.host, Some(name), "sso", place)?;
        url.set_path(&format!("{}/federation/credentials", url.path().trim_end_matches('/')));
        url.query_pairs_mut().append_pair("role_name", role).append_pair("account_id", account);
        let header = ("x-amz-sso_bearer_token", token.access_token.0.to_string());
        let answer =
            self.setup.requests.ask_aws(&url, &[header]).await.map_err(|problem| match problem.cause {
                Cause::Denied => login(),
                _ => problem.after("cannot get credentials by SSO"),
            })?;
        let Granted { role_credentials: found } = answer.json("SSO")?;
        Ok(Credentials {
            access_key_id: found.access_key_id,
            secret_access_key: found.secret_access_key.0,
            session_token: Some(found.session_token.0),
            ends: Timestamp::from_millisecond(found.expiration).ok(),
        })
    }

    /// By the program that a profile names, as a shell runs it.
    fn by_program(&self, name: &str, command: &str) -> Result<Credentials, Problem> {
        let failed = |why: &str| wrong(name, &format!("its credential_process {why}"));
        let shell = Command {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), command.into()],
            ..Command::default()
        };
        let said =
            self.host.output_of(&shell).map_err(|error| failed(&format!("failed: {}", error.message())))?;
        serde_json::from_slice(&said).map_err(|_| failed("does not print what AWS expects"))
    }

    /// Of the container that we run in, else of the machine.
    async fn of_machine(&self) -> Result<Credentials, Problem> {
        match self.of_container().await? {
            Some(found) => Ok(found),
            None => self.of_instance().await,
        }
    }

    async fn of_container(&self) -> Result<Option<Credentials>, Problem> {
        let (relative, full) = (
            self.var("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")?,
            self.var("AWS_CONTAINER_CREDENTIALS_FULL_URI")?,
        );
        let url = match (relative, full) {
            (Some(path), _) => {
                address(&format!("http://169.254.170.2{path}"), "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")?
            }
            (None, Some(url)) => address(&url, "AWS_CONTAINER_CREDENTIALS_FULL_URI")?,
            (None, None) => return Ok(None),
        };
        if url.scheme() != "https" && !is_beside(&url) {
            let message =
                format!("AWS_CONTAINER_CREDENTIALS_FULL_URI: {url} is neither https nor on this machine");
            return Err(Problem::new(Cause::Credentials, message));
        }
        let token = match self.var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")? {
            Some(file) => Some(token_in(self.host, &file)?),
            None => self.var("AWS_CONTAINER_AUTHORIZATION_TOKEN")?.map(Zeroizing::new),
        };
        let headers: Vec<_> = token.iter().map(|token| ("authorization", token.to_string())).collect();
        let answer = self.setup.requests.ask_local(Method::GET, &url, &headers).await;
        let answer =
            answer.map_err(|problem| problem.after("cannot get the credentials of the container"))?;
        answer.json("the container's agent").map(Some)
    }

    async fn of_instance(&self) -> Result<Credentials, Problem> {
        if self.var("AWS_EC2_METADATA_DISABLED")?.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(none_found());
        }
        let is_v6 = self
            .var("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")?
            .is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
        let usual = if is_v6 { "http://[fd00:ec2::254]" } else { "http://169.254.169.254" };
        let variable = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
        let base = self.var(variable)?.unwrap_or_else(|| usual.to_owned());
        let path = |path: &str| address(&format!("{}/latest/{path}", base.trim_end_matches('/')), variable);
        let ttl = ("x-aws-ec2-metadata-token-ttl-seconds", "300".to_owned());
        // Where nobody answers there is no such service, and this is no machine of AWS.
        let token = self.setup.requests.ask_local(Method::PUT, &path("api/token")?, &[ttl]).await;
        let token = token.map_err(|_| none_found())?;
        let headers = [("x-aws-ec2-metadata-token", token.text().to_owned())];
        let of_role = "meta-data/iam/security-credentials/";
        let role = self.setup.requests.ask_local(Method::GET, &path(of_role)?, &headers).await;
        let role = role.map_err(|_| none_found().after("this machine has no role"))?;
        let name = role.text().lines().next().unwrap_or_default().trim().to_owned();
        let answer =
            self.setup.requests.ask_local(Method::GET, &path(&format!("{of_role}{name}"))?, &headers).await;
        let answer = answer.map_err(|problem| problem.after("cannot get the credentials of this machine"))?;
        answer.json("the instance's metadata service")
    }

    fn var(&self, name: &str) -> Result<Option<String>, Problem> {
        self.host.env_text(name).map_err(|error| Problem::new(Cause::Credentials, error.message()))
    }
}

/// Whether an address is this machine's, or that of the agents of ECS and EKS.
fn is_beside(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    is_loopback || matches!(host, "localhost" | "169.254.170.2" | "169.254.170.23" | "fd00:ec2::23")
}

fn wrong(profile: &str, why: &str) -> Problem {
    Problem::new(Cause::Credentials, format!("the AWS profile `{profile}` cannot be used: {why}"))
}

fn none_found() -> Problem {
    Problem::new(Cause::Credentials, "there are no AWS credentials").advise(
        "Log in (`aws sso login`, `aws configure`), or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    )
}
