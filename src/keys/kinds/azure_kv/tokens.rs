//! Access tokens for the credentials that were found, of the first that give one.
//!
//! A secret goes to Microsoft, or to the authority of the user's settings; what a machine tells comes from where its own
//! environment says, through no proxy. Programs run outside of the repository: what they load is not to come from it.

use jiff::{SignedDuration, Timestamp};
use rand::RngCore;
use reqwest::{Client, RequestBuilder, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

use super::arc;
use super::challenge::Challenge;
use super::credentials::{Found, Machine, Place, Program, Proof, Source};
use crate::host::{Command, Host};
use crate::keys::web::oauth::{self, Token, plain};
use crate::keys::web::{Algorithm, Cause, Problem, Requests, Secret, signed, token_in};
use crate::secret::{SecretBytes, SecretString};
use crate::shown::typed;

/// How long a statement of an application counts.
const STATEMENT: SignedDuration = SignedDuration::from_mins(10);

/// How long a token of an old `az` lasts at least, which says when it ends in the time of its place alone.
const OF_OLD_AZ: SignedDuration = SignedDuration::from_mins(5);

/// Runs a program outside of the repository; no output where there is no such program.
const OUTSIDE: &str = r#"cd /bin && command -v "$0" >/dev/null || exit 0; exec "$0" "$@""#;

/// What PowerShell runs. What it is asked for comes in variables, since a vault says it.
const POWERSHELL: &str = r"
$ErrorActionPreference = 'Stop'
$module = Import-Module Az.Accounts -MinimumVersion 2.2.0 -PassThru
$wish = @{ ResourceUrl = $env:WISH_RESOURCE; TenantId = $env:WISH_TENANT; WarningAction = 'Ignore' }
# Older and newer versions need not be told, or know no such parameter.
if ($module.Version -ge [version]'2.17.0' -and $module.Version -lt [version]'5.0.0') { $wish['AsSecureString'] = $true }
$token = Get-AzAccessToken @wish
$text = $token.Token
if ($text -is [System.Security.SecureString]) { $text = [System.Net.NetworkCredential]::new('', $text).Password }
@{ Token = $text; ExpiresOn = $token.ExpiresOn.ToUnixTimeSeconds() } | ConvertTo-Json
";

/// Why credentials gave no token.
enum NoToken {
    /// They are not there; the next may be.
    NotThere(String),
    /// They are, and the next are not asked.
    Refused(Problem),
}

impl From<Problem> for NoToken {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

/// A token for what a vault wants.
pub(super) async fn token(
    host: &dyn Host,
    requests: &Requests,
    found: &Found,
    challenge: &Challenge,
) -> Result<Token, Problem> {
    let asking = Asking { host, requests, found, challenge };
    let mut tried = Vec::new();
    for source in &found.sources {
        match asking.token_of(source).await {
            Ok(token) => return Ok(token),
            Err(NoToken::NotThere(why)) => tried.push(why),
            Err(NoToken::Refused(problem)) if problem.may_pass() => {
                return Err(problem
                    .after("cannot get an access token")
                    .advise("Check whether Microsoft's login servers can be reached from here."));
            }
            Err(NoToken::Refused(problem)) => return Err(problem),
        }
    }
    let tried = if tried.is_empty() { String::new() } else { format!(" ({})", tried.join("; ")) };
    Err(Problem::new(Cause::Credentials, format!("there are no Azure credentials{tried}"))
        .advise("Log in (`az login`), or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET."))
}

struct Asking<'a> {
    host: &'a dyn Host,
    requests: &'a Requests,
    found: &'a Found,
    challenge: &'a Challenge,
}

impl Asking<'_> {
    async fn token_of(&self, source: &Source) -> Result<Token, NoToken> {
        match source {
            Source::Application { tenant, client, proof } => {
                Ok(self.of_application(tenant, client, proof).await?)
            }
            Source::Machine(machine) => self.of_machine(machine).await,
            Source::Program(program) => self.of_program(*program),
        }
    }

    async fn of_application(&self, own: &str, client: &str, proof: &Proof) -> Result<Token, Problem> {
        let tenant = self.found.tenant(Some(own), &self.challenge.tenant)?;
        let mut server = self.found.authority.clone();
        let base = server.path().trim_end_matches('/').to_owned();
        server.set_path(&format!("{base}/{tenant}/oauth2/v2.0/token"));
        let mut fields = vec![
            plain("grant_type", "client_credentials"),
            plain("client_id", client),
            plain("scope", &format!("{}/.default", self.challenge.resource)),
        ];
        let assertion = match proof {
            Proof::Secret(secret) => {
                fields.push(("client_secret", secret.clone()));
                None
            }
            Proof::Certificate(path) => Some(self.statement(&server, client, path)?),
            Proof::Token(path) => Some(token_in(self.host, path)?),
        };
        if let Some(assertion) = assertion {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            fields.extend([plain("client_assertion_type", kind), ("client_assertion", assertion)]);
        }
        oauth::exchange(self.requests, self.host, &server, &fields).await
    }

    /// What an application says about itself, signed with the private key of its certificate.
    fn statement(&self, server: &Url, client: &str, path: &str) -> Result<SecretString, Problem> {
        let wrong = |why: &str| {
            let message = format!("AZURE_CLIENT_CERTIFICATE_PATH: {path} cannot be used: {why}");
            Problem::new(Cause::Credentials, message)
        };
        let pem = self.host.read_secret(path.as_ref()).map_err(|error| wrong(&error.to_string()))?;
        let certificate = CertificateDer::from_pem_slice(&pem).map_err(|_| {
            wrong("it is not a PEM file with a certificate").advise(format!(
                "Convert one in PKCS#12 (.pfx): `openssl pkcs12 -nodes -in {0} -out {0}.pem`.",
                typed(path.as_ref())
            ))
        })?;
        let thumbprint = BASE64URL.encode(Sha256::digest(&certificate));
        let mut id = [0; 16];
        rand::thread_rng().fill_bytes(&mut id);
        let now = self.host.now();
        let claims = json!({
            "aud": server.as_str(), "iss": client, "sub": client, "jti": BASE64URL.encode(id),
            "nbf": now.as_second(), "exp": (now + STATEMENT).as_second(),
        });
        signed(Algorithm::Ps256, Some(("x5t#S256", &thumbprint)), &claims, &pem)
            .ok_or_else(|| wrong("it has no RSA key without a passphrase"))
    }

    async fn of_machine(&self, Machine { place, client }: &Machine) -> Result<Token, NoToken> {
        let mut query = vec![("resource", self.challenge.resource.as_str())];
        let client = client.as_deref();
        let with_query = |endpoint: &Url, query: &[(&str, &str)]| {
            let mut url = endpoint.clone();
            url.query_pairs_mut().extend_pairs(query);
            url
        };
        match place {
            Place::AppService { endpoint, header } => {
                query.push(("api-version", "2019-08-01"));
                query.extend(client.map(|client| ("client_id", client)));
                let url = with_query(endpoint, &query);
                self.ask_machine(&url, |client| {
                    client.get(url.clone()).header("x-identity-header", header.as_str())
                })
                .await
                .map_err(NoToken::Refused)
            }
            Place::MachineLearning { endpoint, secret } => {
                query.push(("api-version", "2017-09-01"));
                let default = self.host.env_text("DEFAULT_IDENTITY_CLIENT_ID").map_err(Problem::from)?;
                query.push(("clientid", client.or(default.as_deref()).unwrap_or_default()));
                let url = with_query(endpoint, &query);
                self.ask_machine(&url, |client| client.get(url.clone()).header("secret", secret.as_str()))
                    .await
                    .map_err(NoToken::Refused)
            }
            Place::CloudShell { endpoint } => {
                let form = with_query(endpoint, &query).query().unwrap_or_default().to_owned();
                let request = |client: &Client| {
                    let request = client.post(endpoint.clone()).header("metadata", "true");
                    request.header("content-type", "application/x-www-form-urlencoded").body(form.clone())
                };
                self.ask_machine(endpoint, request).await.map_err(NoToken::Refused)
            }
            Place::Arc { endpoint } if client.is_none() => {
                self.of_arc(endpoint).await.map_err(NoToken::Refused)
            }
            Place::Arc { .. } => {
                Err(NoToken::NotThere("Azure Arc has no identity for AZURE_CLIENT_ID".to_owned()))
            }
            Place::Metadata { endpoint } => {
                query.push(("api-version", "2018-02-01"));
                query.extend(client.map(|client| ("client_id", client)));
                let mut url = endpoint.clone();
                url.set_path("/metadata/identity/oauth2/token");
                let url = with_query(&url, &query);
                let asked =
                    self.ask_machine(&url, |client| client.get(url.clone()).header("metadata", "true")).await;
                asked.map_err(|problem| match problem.cause {
                    // Where nobody answers there is no such service, and this is no machine of Azure.
                    Cause::Down | Cause::Busy => {
                        NoToken::NotThere("this machine has no managed identity".to_owned())
                    }
                    _ if client.is_some() => problem.after("the managed identity of AZURE_CLIENT_ID").into(),
                    _ => NoToken::NotThere(format!("the managed identity: {}", problem.message)),
                })
            }
            Place::NotKnown(which) => {
                Err(NoToken::NotThere(format!("Sealant does not get tokens from {which}")))
            }
        }
    }

    /// Of a machine that Azure Arc manages. Its agent first says in which file there is a secret for it.
    async fn of_arc(&self, endpoint: &Url) -> Result<Token, Problem> {
        let mut url = endpoint.clone();
        url.query_pairs_mut()
            .extend_pairs([("resource", self.challenge.resource.as_str()), ("api-version", "2020-06-01")]);
        let request = |client: &Client| client.get(url.clone()).header("metadata", "true");
        let first = self.requests.ask_local_for(&url, &[401], request).await?;
        let challenge = first.headers.get("www-authenticate").and_then(|value| value.to_str().ok());
        let secret = arc::secret(self.host, challenge.unwrap_or_default())?;
        let answer = self
            .requests
            .ask_local(&url, |client| request(client).header("authorization", format!("Basic {}", *secret)));
        oauth::granted(&answer.await?, self.host.now())
    }

    async fn ask_machine(
        &self,
        url: &Url,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Token, Problem> {
        let answer = self.requests.ask_local(url, request).await?;
        oauth::granted(&answer, self.host.now())
    }

    /// A token of whoever is logged in to a program.
    fn of_program(&self, program: Program) -> Result<Token, NoToken> {
        let Challenge { tenant, resource } = self.challenge;
        let tenant = self.found.tenant(None, tenant)?;
        let scope = format!("{resource}/.default");
        let said = match program {
            Program::Az => {
                let args =
                    ["account", "get-access-token", "-o", "json", "--resource", resource, "--tenant", tenant];
                self.run(program, &args, &[])?
            }
            Program::PowerShell => {
                let wish = [("WISH_RESOURCE", resource.as_str()), ("WISH_TENANT", tenant)];
                self.run(program, &["-NoProfile", "-NonInteractive", "-Command", POWERSHELL], &wish)?
            }
            Program::Azd => {
                let args =
                    ["auth", "token", "-o", "json", "--no-prompt", "--scope", &scope, "--tenant-id", tenant];
                self.run(program, &args, &[])?
            }
        };
        let not_read = || NoToken::NotThere(format!("the output of `{}` cannot be read", program.name()));
        let OfProgram { token, expires_on, expires_at } =
            serde_json::from_slice(&said).map_err(|_| not_read())?;
        let ends = expires_on.and_then(|seconds| Timestamp::from_second(seconds).ok());
        let ends = ends.or_else(|| expires_at?.parse().ok()).unwrap_or_else(|| self.host.now() + OF_OLD_AZ);
        Ok(Token { text: token.0, ends: Some(ends) })
    }

    fn run(&self, program: Program, args: &[&str], env: &[(&str, &str)]) -> Result<SecretBytes, NoToken> {
        let name = program.name();
        let shell = ["-c", OUTSIDE, name].into_iter().chain(args.iter().copied());
        let command = Command {
            program: "/bin/sh".into(),
            args: shell.map(Into::into).collect(),
            env: env.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            ..Command::default()
        };
        let not_there = |why: &str| NoToken::NotThere(format!("`{name}`: {why}"));
        let ran = self.host.run(&command, &[]).map_err(|error| not_there(error.message()))?;
        if !ran.success {
            let words = String::from_utf8_lossy(&ran.stderr);
            let line = words.lines().find(|line| !line.trim().is_empty()).unwrap_or("it failed");
            return Err(not_there(&line.trim().chars().take(200).collect::<String>()));
        }
        match ran.stdout.is_empty() {
            true => Err(not_there("it is not installed")),
            false => Ok(ran.stdout),
        }
    }
}

/// What `az account get-access-token`, `azd auth token` and [`POWERSHELL`] print.
#[derive(Deserialize)]
struct OfProgram {
    #[serde(alias = "accessToken", alias = "Token")]
    token: Secret,
    /// Seconds since 1970: `az` and PowerShell.
    #[serde(alias = "ExpiresOn")]
    expires_on: Option<i64>,
    /// A time: `azd`; with `az`, one of this place.
    #[serde(rename = "expiresOn")]
    expires_at: Option<String>,
}
