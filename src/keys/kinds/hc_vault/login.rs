//! How we become somebody to a server: a token that is there, or credentials that are exchanged for one.
//!
//! Owns the sources of tokens and credentials and their order. Credentials go only to servers that the user has named
//! (see [`Settings`](super::Settings)): a file of a repository can name any server, and a password is worth more than
//! a token. Stores nothing.

use std::path::{Path, PathBuf};

use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use vaultrs::api::AuthInfo;
use vaultrs::api::auth::approle::requests::LoginWithApproleRequest;
use vaultrs::api::auth::kubernetes::requests::LoginWithKubernetesRequest;
use vaultrs::api::auth::oidc::requests::JWTLoginRequest;
use vaultrs::api::auth::userpass::requests::LoginRequest;
use zeroize::Zeroizing;

use super::connection::Connection;
use super::problem::{Cause, Problem};
use super::server::Server;
use super::settings::{Auth, Method, secret_variable, variable};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::secret::SecretString;

/// Where `vault login` and `bao login` keep a token, in the home folder.
pub const TOKEN_FILE: &str = ".vault-token";

/// Where Kubernetes puts the token of a pod's service account.
const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A token, or what gets us one.
pub(super) enum Token {
    Given(SecretString),
    By(Credentials),
}

/// What is exchanged for a token.
pub(super) struct Credentials {
    mount: String,
    proof: Proof,
}

enum Proof {
    AppRole { role_id: SecretString, secret_id: SecretString },
    Kubernetes { role: String, jwt: SecretString },
    Jwt { role: Option<String>, jwt: SecretString },
    UserPass { username: String, password: SecretString },
}

impl Credentials {
    pub fn method(&self) -> &'static str {
        match self.proof {
            Proof::AppRole { .. } => "approle",
            Proof::Kubernetes { .. } => "kubernetes",
            Proof::Jwt { .. } => "jwt",
            Proof::UserPass { .. } => "userpass",
        }
    }

    /// Exchanges them for a token.
    pub async fn send(&self, server: &Server) -> Result<AuthInfo, Problem> {
        let mount = || self.mount.clone();
        let text = |secret: &SecretString| secret.as_str().to_owned();
        match &self.proof {
            Proof::AppRole { role_id, secret_id } => {
                let request = || LoginWithApproleRequest {
                    mount: mount(),
                    role_id: text(role_id),
                    secret_id: text(secret_id),
                };
                server.exchange(&[role_id, secret_id], request).await
            }
            Proof::Kubernetes { role, jwt } => {
                let request =
                    || LoginWithKubernetesRequest { mount: mount(), role: role.clone(), jwt: text(jwt) };
                server.exchange(&[jwt], request).await
            }
            Proof::Jwt { role, jwt } => {
                let request = || JWTLoginRequest { mount: mount(), jwt: text(jwt), role: role.clone() };
                server.exchange(&[jwt], request).await
            }
            Proof::UserPass { username, password } => {
                let request =
                    || LoginRequest { mount: mount(), username: username.clone(), password: text(password) };
                server.exchange(&[password], request).await
            }
        }
    }
}

/// The token to use at a server, or what to log in with. An error when there is neither.
pub(super) async fn token(host: &dyn Host, auth: &Auth, server: &Server) -> Result<Token, Problem> {
    if let Some(token) = server.settled_token() {
        return usable("the token", token).map(Token::Given);
    }
    let method = match auth.method {
        Some(method) => method,
        None => {
            if let Some(token) = given(host)? {
                return Ok(Token::Given(token));
            }
            match inferred(host, auth)? {
                Some(method) => method,
                None => Method::Token,
            }
        }
    };
    if method == Method::Token {
        return match given(host)? {
            Some(token) => Ok(Token::Given(token)),
            None => match token_file(host)? {
                Some(token) => Ok(Token::Given(token)),
                None if server.has_agent() => Ok(Token::Given(SecretString::default())),
                None => Err(nothing(host)),
            },
        };
    }
    if !server.is_trusted() {
        return Err(Problem::new(
            Cause::Denied,
            format!(
                "Sealant sends no {} login to an address that only a file names: set VAULT_ADDR to it, or allow it \
                 in your own settings",
                method.name()
            ),
        ));
    }
    let mount = auth.mount.as_deref().unwrap_or(method.name()).trim_matches('/').to_owned();
    if !mount.split('/').all(super::transit_key::is_plain) {
        return Err(denied(format!("`{mount}` is not a path where a login method can be mounted")));
    }
    Ok(Token::By(Credentials { mount, proof: proof(host, auth, method, server).await? }))
}

/// The method for which credentials lie in the environment.
fn inferred(host: &dyn Host, auth: &Auth) -> Result<Option<Method>, Problem> {
    let is_set = |name: &str| {
        let value = |name: &str| variable(host, name).map_err(|error| of_host(&error));
        Ok::<_, Problem>(value(name)?.is_some() || value(&format!("{name}_FILE"))?.is_some())
    };
    if is_set("ROLE_ID")? {
        return Ok(Some(Method::AppRole));
    }
    if is_set("ID_TOKEN")? || (auth.role.is_some() && host.env(GITHUB_URL).is_some()) {
        return Ok(Some(Method::Jwt));
    }
    Ok(None)
}

async fn proof(host: &dyn Host, auth: &Auth, method: Method, server: &Server) -> Result<Proof, Problem> {
    Ok(match method {
        Method::AppRole => Proof::AppRole {
            role_id: needed(host, "ROLE_ID", "of an AppRole")?,
            // A role can be bound by addresses alone.
            secret_id: match optional(host, "SECRET_ID")? {
                Some(wrapped) if is_token(&wrapped) => unwrapped(server, &wrapped).await?,
                secret_id => secret_id.unwrap_or_default(),
            },
        },
        Method::Kubernetes => Proof::Kubernetes {
            role: auth
                .role
                .clone()
                .ok_or_else(|| denied("set VAULT_AUTH_ROLE to the role to log in with"))?,
            jwt: match optional(host, "ID_TOKEN")? {
                Some(jwt) => jwt,
                None => read(host, Path::new(SERVICE_ACCOUNT_TOKEN))?,
            },
        },
        Method::Jwt => Proof::Jwt {
            role: auth.role.clone(),
            jwt: match optional(host, "ID_TOKEN")? {
                Some(jwt) => jwt,
                None => github_token(host, server).await?,
            },
        },
        Method::UserPass | Method::Token => {
            let username =
                auth.username.clone().ok_or_else(|| denied("set VAULT_USERNAME to the user to log in as"))?;
            if !super::transit_key::is_plain(&username) {
                return Err(denied(
                    "VAULT_USERNAME contains something other than letters, digits, `_`, `.` and `-`",
                ));
            }
            let prompt = format!("Password of {username} at {}", server.address());
            let password = host.ask_passphrase(&prompt).map_err(|_| {
                let way =
                    "for a program, log in with VAULT_TOKEN or an AppRole (VAULT_ROLE_ID, VAULT_SECRET_ID)";
                denied(format!("the password of {username} is needed, and nobody can be asked for it: {way}"))
            })?;
            Proof::UserPass { username, password }
        }
    })
}

/// Whether a secret id is a token, in which the server has wrapped one: others are UUIDs, or what somebody has chosen.
fn is_token(secret_id: &str) -> bool {
    ["hvs.", "s."].iter().any(|kind| secret_id.strip_prefix(kind).is_some_and(|rest| rest.len() >= 24))
}

/// The secret id in a wrapping token, which is good for this once.
async fn unwrapped(server: &Server, token: &SecretString) -> Result<SecretString, Problem> {
    #[derive(serde::Deserialize)]
    struct Wrapped {
        secret_id: String,
    }
    struct Unwrap;
    impl Endpoint for Unwrap {
        type Response = Wrapped;
        const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
        const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

        fn path(&self) -> String {
            "sys/wrapping/unwrap".to_owned()
        }

        fn method(&self) -> RequestMethod {
            RequestMethod::POST
        }
    }
    let answer = server.ask_with(token, || Unwrap).await;
    let wrapped =
        answer.map_err(|problem| problem.after("the secret id is wrapped, and cannot be unwrapped"))?;
    Ok(Zeroizing::new(wrapped.secret_id))
}

/// `BAO_TOKEN` or `VAULT_TOKEN`.
fn given(host: &dyn Host) -> Result<Option<SecretString>, Problem> {
    match secret_variable(host, "TOKEN").map_err(|error| of_host(&error))? {
        Some(token) => usable("VAULT_TOKEN", &token).map(Some),
        None => Ok(None),
    }
}

/// What `vault login` has stored.
fn token_file(host: &dyn Host) -> Result<Option<SecretString>, Problem> {
    let Some(path) = token_path(host) else { return Ok(None) };
    match host.read_secret(&path) {
        Ok(content) => {
            let text = text(&content, &path)?;
            if text.is_empty() { Ok(None) } else { usable(&path.display().to_string(), &text).map(Some) }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(denied(format!("{}: cannot be read: {error}", path.display()))),
    }
}

/// Where the token is that `vault login` and `bao login` store: `BAO_TOKEN_PATH`, else `~/.vault-token`.
pub fn token_path(host: &dyn Host) -> Option<PathBuf> {
    let named = variable(host, "TOKEN_PATH").ok().flatten().map(PathBuf::from);
    named.or_else(|| Some(host.home()?.join(TOKEN_FILE)))
}

/// A token goes into a header, which not everything can.
fn usable(source: &str, token: &str) -> Result<SecretString, Problem> {
    let token = token.trim();
    match !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Zeroizing::new(token.to_owned())),
        false => Err(denied(format!("{source}: this cannot be a token"))),
    }
}

/// A variable, or the content of the file that `..._FILE` names.
fn optional(host: &dyn Host, name: &str) -> Result<Option<SecretString>, Problem> {
    if let Some(value) = secret_variable(host, name).map_err(|error| of_host(&error))? {
        return Ok(Some(Zeroizing::new(value.trim().to_owned())));
    }
    match variable(host, &format!("{name}_FILE")).map_err(|error| of_host(&error))? {
        Some(file) => read(host, Path::new(&file)).map(Some),
        None => Ok(None),
    }
}

fn needed(host: &dyn Host, name: &str, what: &str) -> Result<SecretString, Problem> {
    optional(host, name)?
        .ok_or_else(|| denied(format!("VAULT_{name} {what} is not set, nor VAULT_{name}_FILE")))
}

fn read(host: &dyn Host, path: &Path) -> Result<SecretString, Problem> {
    let content = host
        .read_secret(path)
        .map_err(|error| denied(format!("{}: cannot be read: {error}", path.display())))?;
    text(&content, path)
}

fn text(content: &[u8], path: &Path) -> Result<SecretString, Problem> {
    let text =
        std::str::from_utf8(content).map_err(|_| denied(format!("{}: is not text", path.display())))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

const GITHUB_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const GITHUB_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// The signed token of a GitHub Actions job, which GitHub gives for the asking
/// (docs.github.com, "OpenID Connect reference": a GET with a bearer token, answered by `{"value": "..."}`).
async fn github_token(host: &dyn Host, server: &Server) -> Result<SecretString, Problem> {
    let var = |name: &str| host.env_text(name).map_err(|error| of_host(&error));
    let bearer = var(GITHUB_TOKEN)?.map(SecretString::new);
    let (Some(url), Some(bearer)) = (var(GITHUB_URL)?, bearer) else {
        return Err(denied(
            "there is no signed token to log in with: set VAULT_ID_TOKEN or VAULT_ID_TOKEN_FILE, or give the GitHub \
             job the permission `id-token: write`",
        ));
    };
    let mut url = reqwest::Url::parse(&url).map_err(|_| denied(format!("{GITHUB_URL} is not an address")))?;
    let audience = variable(host, "AUTH_AUDIENCE").map_err(|error| of_host(&error))?;
    url.query_pairs_mut().append_pair("audience", audience.as_deref().unwrap_or(server.address()));
    let answer = match Connection::to_others(server.settings(), &url) {
        Ok(github) => github.get(&bearer).await,
        Err(problem) => Err(problem),
    };
    // What helps with a Vault server helps nobody here.
    let (status, body) = answer.map_err(|problem| {
        Problem::new(problem.cause, format!("GitHub gave no token: {}", problem.message))
    })?;
    if status != 200 {
        return Err(denied(format!("GitHub gave no token: it answered with {status}")));
    }
    #[derive(serde::Deserialize)]
    struct Answer {
        value: String,
    }
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|_| denied("GitHub's answer contains no token"))?;
    Ok(Zeroizing::new(answer.value))
}

fn nothing(host: &dyn Host) -> Problem {
    let file =
        token_path(host).map_or_else(|| "~/.vault-token".to_owned(), |path| path.display().to_string());
    denied(format!("no token: VAULT_TOKEN and BAO_TOKEN are not set, and there is no {file}"))
}

fn denied(message: impl Into<String>) -> Problem {
    Problem::new(Cause::Denied, message)
}

fn of_host(error: &Error) -> Problem {
    denied(error.message())
}
