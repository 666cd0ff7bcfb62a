//! One server: our login there, and how often a request is tried.
//!
//! Owns tokens, from the first request to the last: where they come from, when they are renewed, and what happens when
//! one ends in the middle of the work. Nothing that a server says goes into a message before our secrets are out of
//! it. Knows no transit engine: see `transit.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::Rng;
use rustify::endpoint::{Endpoint, Wrapper};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use vaultrs::api::token::requests::{LookupTokenSelfRequest, RenewTokenSelfRequest};
use vaultrs::api::{AuthInfo, EndpointMiddleware};

use super::connection::Connection;
use super::login::{self, Token};
use super::problem::{Cause, Problem, plain};
use super::settings::{Auth, Route, Settings};
use crate::error::Error;
use crate::host::Host;
use crate::secret::SecretString;

/// How long a server that was down is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(10);

/// How many tokens are kept out of what a server says: the last ones, for a controller logs in again and again.
const MOST_USED: usize = 16;

/// How long nobody tries to log in again who was refused: a server may lock out whoever is wrong too often.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// How many logins one request may take: others can use up a token that is good for a few uses alone.
const MOST_LOGINS: usize = 3;

/// The first pause before another try; it doubles, and is never longer than [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Work that is done within this time needs no look at how long a token lives.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// A server, as it is in files with one address.
pub(super) struct Server {
    address: String,
    route: Route,
    auth: Auth,
    /// Instead of any other.
    token: Option<SecretString>,
    connection: Connection,
    settings: Settings,
    session: tokio::sync::Mutex<Login>,
    /// Every token that went there: none of them is repeated when the server repeats it.
    used: Mutex<Vec<SecretString>>,
    down: Mutex<Option<(Instant, Problem)>>,
    takes_batches: AtomicBool,
}

/// What we take of an answer in the form of Vault's. What stands in for Vault may leave out the rest.
#[derive(Deserialize)]
struct Answer<T> {
    data: Option<T>,
    auth: Option<AuthInfo>,
}

impl<T: DeserializeOwned + Send + Sync> Wrapper for Answer<T> {
    type Value = T;
}

/// How far we have come with becoming somebody.
#[derive(Default)]
enum Login {
    #[default]
    NotYet,
    Done(Session),
    /// The same credentials would be refused again, and the same question be asked.
    Refused(Instant, Problem),
}

/// A token in use.
struct Session {
    token: SecretString,
    is_ours: bool,
    since: Instant,
    life: Life,
}

/// How long a token lives.
#[derive(Clone, Copy)]
enum Life {
    Unknown,
    Endless,
    RenewAt(Instant),
}

impl Life {
    fn of(auth: &AuthInfo) -> Self {
        match auth.lease_duration {
            0 => Self::Endless,
            seconds => Self::RenewAt(Instant::now() + Duration::from_secs(seconds) / 2),
        }
    }
}

impl Server {
    /// Makes no connection yet.
    pub fn new(host: &dyn Host, address: &str, route: Route, settings: &Settings) -> Result<Self, Problem> {
        Ok(Self {
            address: address.to_owned(),
            auth: settings.auth_for(address),
            token: settings.token.clone(),
            connection: Connection::new(host, &route, settings)?,
            settings: settings.clone(),
            session: tokio::sync::Mutex::default(),
            used: Mutex::default(),
            down: Mutex::default(),
            takes_batches: AtomicBool::new(true),
            route,
        })
    }

    /// As it is in files.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The token that was settled on, if any.
    pub fn settled_token(&self) -> Option<&SecretString> {
        self.token.as_ref()
    }

    /// Whether credentials may go there, and not only a token.
    pub fn is_trusted(&self) -> bool {
        self.route.is_trusted
    }

    /// Whether an agent of the user's takes the requests, which may have a token of its own.
    pub fn has_agent(&self) -> bool {
        self.route.by_agent
    }

    /// The settings that everybody else is reached with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether it may know requests for many items. Every Vault does; what stands in for one may know what sops sends alone.
    pub fn takes_batches(&self) -> bool {
        self.takes_batches.load(Ordering::Relaxed)
    }

    /// It knows no requests for many items, and is sent none from now on.
    pub fn takes_no_batches(&self) {
        self.takes_batches.store(false, Ordering::Relaxed);
    }

    /// Makes a request with our token, tried again while the server is busy, and with a new login when ours has come to
    /// its end. What `secrets` holds is in the request, and is not repeated.
    pub async fn ask<E>(
        &self,
        host: &dyn Host,
        namespace: Option<&str>,
        secrets: &[&str],
        request: impl Fn() -> E,
    ) -> Result<E::Response, Problem>
    where
        E: Endpoint,
        E::Response: DeserializeOwned,
    {
        self.answered(host, namespace, secrets, request).await?.data.ok_or_else(Problem::no_data)
    }

    /// The same for a request that need not be answered with data.
    pub async fn tell<E>(&self, host: &dyn Host, request: impl Fn() -> E) -> Result<(), Problem>
    where
        E: Endpoint,
        E::Response: DeserializeOwned,
    {
        self.answered(host, None, &[], request).await.map(drop)
    }

    async fn answered<E>(
        &self,
        host: &dyn Host,
        namespace: Option<&str>,
        secrets: &[&str],
        request: impl Fn() -> E,
    ) -> Result<Answer<E::Response>, Problem>
    where
        E: Endpoint,
        E::Response: DeserializeOwned,
    {
        let mut logins_left = MOST_LOGINS;
        loop {
            let (token, is_ours) = self.token(host).await?;
            match self.try_often(namespace, &token, secrets, &request).await {
                Err(problem)
                    if problem.cause == Cause::Denied
                        && is_ours
                        && logins_left > 0
                        && !self.is_known(&token).await =>
                {
                    logins_left -= 1;
                    self.forget(&token).await;
                }
                result => return result,
            }
        }
    }

    /// Logs in, or takes the token that there is.
    pub async fn token(&self, host: &dyn Host) -> Result<(SecretString, bool), Problem> {
        let mut login = self.session.lock().await;
        match &mut *login {
            Login::Refused(since, problem) if since.elapsed() < REFUSED_FOR => return Err(problem.clone()),
            Login::Done(known) => {
                self.keep_alive(known).await;
                if known.is_alive() {
                    return Ok((known.token.clone(), known.is_ours));
                }
            }
            Login::NotYet | Login::Refused(..) => {}
        }
        match self.new_session(host).await {
            Ok(new) => {
                let (token, is_ours) = (new.token.clone(), new.is_ours);
                let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
                used.push(token.clone());
                let old = used.len().saturating_sub(MOST_USED);
                drop(used.drain(..old));
                drop(used);
                *login = Login::Done(new);
                Ok((token, is_ours))
            }
            Err(problem) => {
                if matches!(problem.cause, Cause::Denied | Cause::Missing | Cause::Refused | Cause::Other) {
                    *login = Login::Refused(Instant::now(), problem.clone());
                }
                Err(problem)
            }
        }
    }

    async fn new_session(&self, host: &dyn Host) -> Result<Session, Problem> {
        let since = Instant::now();
        Ok(match login::token(host, &self.auth, self).await? {
            Token::Given(token) => {
                // None at all is an agent's, who looks after its own.
                let life = if token.is_empty() { Life::Endless } else { Life::Unknown };
                Session { token, is_ours: false, since, life }
            }
            Token::By(credentials) => {
                let auth = self.log_in(credentials).await?;
                let life = Life::of(&auth);
                Session { token: SecretString::new(auth.client_token), is_ours: true, since, life }
            }
        })
    }

    /// Logs in, whatever token there is.
    pub async fn fresh_login(&self, host: &dyn Host) -> Result<SecretString, Problem> {
        match login::token(host, &self.auth, self).await? {
            Token::By(credentials) => Ok(SecretString::new(self.log_in(credentials).await?.client_token)),
            Token::Given(token) => Ok(token),
        }
    }

    async fn log_in(&self, credentials: login::Credentials) -> Result<AuthInfo, Problem> {
        let method = credentials.method();
        credentials.send(self).await.map_err(|problem| problem.after(&format!("cannot log in by {method}")))
    }

    /// Makes a request with this token, which is not that of our login.
    pub async fn ask_with<E>(&self, token: &str, request: impl Fn() -> E) -> Result<E::Response, Problem>
    where
        E: Endpoint,
        E::Response: DeserializeOwned,
    {
        self.try_often(None, token, &[], &request).await?.data.ok_or_else(Problem::no_data)
    }

    /// Exchanges credentials for a token.
    pub async fn exchange<E>(&self, secrets: &[&str], request: impl Fn() -> E) -> Result<AuthInfo, Problem>
    where
        E: Endpoint<Response = ()>,
    {
        self.try_often(None, "", secrets, &request).await?.auth.ok_or_else(Problem::no_data)
    }

    async fn forget(&self, token: &SecretString) {
        let mut login = self.session.lock().await;
        if matches!(&*login, Login::Done(known) if known.token == *token) {
            *login = Login::NotYet;
        }
    }

    /// Whether a token has not come to its end: another login would not give a better one.
    async fn is_known(&self, token: &str) -> bool {
        !matches!(self.once(None, token, &[], LookupTokenSelfRequest {}).await, Err(problem) if problem.cause == Cause::Denied)
    }

    /// Renews a token when half of its life is over: nobody does so while a request takes its time. A failure is not
    /// told: the next request will be.
    async fn keep_alive(&self, session: &mut Session) {
        if matches!(session.life, Life::Unknown) && session.since.elapsed() > LOOK_AFTER {
            session.life = Life::Endless;
            let answer = self.once(None, &session.token, &[], LookupTokenSelfRequest {}).await;
            if let Ok(Answer { data: Some(found), .. }) = answer
                && found.renewable == Some(true)
                && found.ttl > 0
            {
                let spare = found.ttl.saturating_sub(found.creation_ttl / 2);
                session.life = Life::RenewAt(Instant::now() + Duration::from_secs(spare));
            }
        }
        let Life::RenewAt(at) = session.life else { return };
        if Instant::now() >= at {
            let request = RenewTokenSelfRequest { increment: None };
            session.life = match self.once(None, &session.token, &[], request).await {
                Ok(Answer { auth: Some(auth), .. }) => Life::of(&auth),
                // Not ours to end: whoever gave it may see it fail.
                _ if !session.is_ours => Life::Endless,
                _ => session.life,
            };
        }
    }

    /// Tries a request until it is answered, but not too often, and not at all at a server that is down.
    async fn try_often<E>(
        &self,
        namespace: Option<&str>,
        token: &str,
        secrets: &[&str],
        request: &impl Fn() -> E,
    ) -> Result<Answer<E::Response>, Problem>
    where
        E: Endpoint,
        E::Response: DeserializeOwned,
    {
        if let Some(problem) = self.known_down() {
            return Err(problem);
        }
        let mut pause = PAUSE;
        for tries_left in (0..=self.settings.retries).rev() {
            let problem = match self.once(namespace, token, secrets, request()).await {
                Ok(answer) => return Ok(answer),
                Err(problem) => problem,
            };
            match problem.cause {
                Cause::Busy | Cause::Broken if tries_left > 0 => {
                    tokio::time::sleep(pause.mul_f64(rand::thread_rng().gen_range(0.75..1.25))).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Cause::Down | Cause::Broken => {
                    let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
                    *down = Some((Instant::now(), problem.clone()));
                    return Err(problem);
                }
                _ => return Err(problem),
            }
        }
        Err(Problem::new(Cause::Busy, "the server failed"))
    }

    /// Makes a request once.
    async fn once<E>(
        &self,
        namespace: Option<&str>,
        token: &str,
        secrets: &[&str],
        request: E,
    ) -> Result<Answer<E::Response>, Problem>
    where
        E: Endpoint,
        E::Response: DeserializeOwned,
    {
        let namespace = namespace.map(str::to_owned).or_else(|| self.route.namespace.clone());
        let middle =
            EndpointMiddleware { token: token.to_owned(), version: "v1".to_owned(), wrap: None, namespace };
        let headers = self.settings.headers.values().filter_map(|value| value.to_str().ok());
        // Shorter ones are in every other word.
        let headers: Vec<&str> = headers.filter(|value| value.len() >= 8).collect();
        let secrets = [&[token], secrets, &headers].concat();
        let answer = request.with_middleware(&middle).exec(&self.connection).await;
        answer.and_then(|answer| answer.wrap()).map_err(|error| Problem::of(&error, &secrets))
    }

    fn known_down(&self) -> Option<Problem> {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        down.as_ref().filter(|(since, _)| since.elapsed() < LEFT_ALONE).map(|(_, problem)| problem.clone())
    }

    /// Words of this server in an answer that was no error, without what we have told it.
    pub fn plain(&self, words: &str, secrets: &[&str]) -> String {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let used = used.iter().map(|token| token.as_str());
        plain(words, &used.chain(secrets.iter().copied()).collect::<Vec<_>>())
    }

    /// An error about this server rather than one of its keys.
    pub fn error(&self, problem: &Problem, advice: Option<String>) -> Error {
        problem.error(&self.address, advice)
    }
}

impl Session {
    /// One of ours that could not be renewed is replaced shortly before it ends.
    fn is_alive(&self) -> bool {
        !self.is_ours || !matches!(self.life, Life::RenewAt(at) if Instant::now() >= at)
    }
}
