//! All servers of a run, and the many requests to them: grouped by server and key, a few at a time.

use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::stream::{self, StreamExt};
use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use serde::Deserialize;

use super::allow::{Origin, Target};
use super::problem::{Cause, Problem};
use super::server::Server;
use super::settings::{Settings, Trust};
use super::transit::{self, AT_ONCE, BATCH, KeyVersions, Operation};
use super::{TransitKey, user_file, version_of};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::keys::StartedBy;
use crate::keys::kind::{Answers, MasterKey, Try, Worker, Wrapped};
use crate::keys::unopened::Failure;
use crate::secret::{SecretBytes, SecretString};

/// The transit keys of every server that the user's settings allow.
pub struct Vault {
    started_by: StartedBy,
    /// Servers that the user has typed.
    named: Vec<Origin>,
    /// What the user has answered about servers that they have not.
    answers: Mutex<HashMap<Origin, bool>>,
    /// Read when the first key is met: who uses none needs none.
    settings: OnceLock<Result<Settings, Problem>>,
    servers: Mutex<HashMap<String, Arc<Server>>>,
}

/// Who we are to a server.
#[derive(Debug, Clone, Deserialize)]
pub struct WhoAmI {
    #[serde(default)]
    pub display_name: String,
    #[serde(default)]
    pub policies: Vec<String>,
    /// Seconds that the token has left; 0 for one that does not end.
    #[serde(default)]
    pub ttl: u64,
}

/// What we may do with a transit key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    pub encrypt: bool,
    pub decrypt: bool,
    pub rewrap: bool,
    pub read: bool,
}

impl Access {
    /// In words: `you may encrypt and rewrap with it`.
    pub fn described(&self) -> String {
        let all = [(self.encrypt, "encrypt"), (self.decrypt, "decrypt"), (self.rewrap, "rewrap")];
        let may: Vec<&str> = all.into_iter().filter_map(|(may, word)| may.then_some(word)).collect();
        match may.split_last() {
            None => "you may not use it".to_owned(),
            Some((last, [])) => format!("you may {last} with it"),
            Some((last, first)) => format!("you may {} and {last} with it", first.join(", ")),
        }
    }
}

impl WhoAmI {
    /// In words, with what the policies are and how long the token lives.
    pub fn described(&self) -> String {
        let life = match self.ttl {
            0 => "the token does not expire".to_owned(),
            seconds => format!("the token expires in {}", duration(seconds)),
        };
        let policies = if self.policies.is_empty() { "none".to_owned() } else { self.policies.join(", ") };
        format!("{} (policies: {policies}; {life})", self.display_name)
    }
}

/// Seconds in words: `3h 12m`, `45s`.
fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, _) => format!("{minutes}m"),
        (hours, minutes, _) => format!("{hours}h {minutes}m"),
    }
}

impl Vault {
    /// As the user of this host has settled it.
    pub fn of_user(started_by: StartedBy) -> Self {
        Self {
            started_by,
            named: Vec::new(),
            answers: Mutex::default(),
            settings: OnceLock::new(),
            servers: Mutex::default(),
        }
    }

    /// The same with the servers of these keys as ones that the user has named, by a flag or a variable.
    #[must_use]
    pub fn naming<'k>(mut self, keys: impl IntoIterator<Item = &'k TransitKey>) -> Self {
        self.named.extend(keys.into_iter().map(|key| Origin::of(key.address())));
        self
    }

    /// With these settings.
    pub fn with_settings(settings: Settings) -> Self {
        let vault = Self::of_user(StartedBy::Program);
        // It was just made, so it is empty.
        let _ = vault.settings.set(Ok(settings));
        vault
    }

    /// The settings, read at the first call.
    pub fn settings(&self, host: &dyn Host) -> Result<&Settings> {
        self.settings_or_problem(host).map_err(|problem| Error::new(Kind::Config, problem.message))
    }

    fn settings_or_problem(&self, host: &dyn Host) -> Result<&Settings, Problem> {
        let read = || {
            Settings::of_user(host, self.started_by)
                .map(|settings| settings.naming(&self.named))
                .map_err(|error| Problem::new(Cause::Other, error.to_string()))
        };
        self.settings.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    /// Groups items by key, asks for each group in as few requests as can be, and puts the answers back in order.
    async fn many<I: Copy, T>(
        &self,
        host: &dyn Host,
        operation: Operation,
        requests: &[(&TransitKey, I)],
        ask: impl AsyncFn(&Server, &TransitKey, &[I]) -> Result<Vec<Result<T, Problem>>, Problem>,
    ) -> Vec<Result<T>> {
        let mut groups: BTreeMap<&TransitKey, Vec<usize>> = BTreeMap::new();
        for (index, (key, _)) in requests.iter().enumerate() {
            groups.entry(key).or_default().push(index);
        }
        let batches: Vec<(&TransitKey, &[usize])> = groups
            .iter()
            .flat_map(|(key, indexes)| indexes.chunks(BATCH).map(|batch| (*key, batch)))
            .collect();
        let ask = &ask;
        let answered: Vec<Vec<(usize, Result<T>)>> = stream::iter(batches)
            .map(|(key, batch)| async move {
                let results: Vec<Result<T>> = match self.server(host, key) {
                    Ok(server) => {
                        let items: Vec<I> = batch.iter().map(|index| requests[*index].1).collect();
                        let answers = ask(&server, key, &items).await;
                        let answers = answers
                            .unwrap_or_else(|problem| batch.iter().map(|_| Err(problem.clone())).collect());
                        let fail = |problem: Problem| failure(&problem, key, operation);
                        answers.into_iter().map(|answer| answer.map_err(fail)).collect()
                    }
                    Err(problem) => batch.iter().map(|_| Err(failure(&problem, key, operation))).collect(),
                };
                batch.iter().copied().zip(results).collect()
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut results: Vec<(usize, Result<T>)> = answered.into_iter().flatten().collect();
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// The versions of transit keys. Answers are in the order of the keys.
    pub async fn versions(&self, host: &dyn Host, keys: &[&TransitKey]) -> Vec<Result<KeyVersions>> {
        let read = |key: &&TransitKey| {
            let key = (*key).clone();
            async move {
                let answer = match self.server(host, &key) {
                    Ok(server) => transit::versions(&server, host, &key).await,
                    Err(problem) => Err(problem),
                };
                answer.map_err(|problem| {
                    let policy = format!("path \"{}\" {{ capabilities = [\"read\"] }}", key.path());
                    let advice = problem
                        .is_forbidden()
                        .then(|| format!("The token may not read the key: its policy needs {policy}."));
                    problem.error(&key, advice)
                })
            }
        };
        stream::iter(keys.iter().map(read)).buffered(AT_ONCE).collect().await
    }

    /// Who we are to the server that is in files with this address.
    pub async fn who_am_i(&self, host: &dyn Host, address: &str) -> Result<WhoAmI> {
        let server = self.server_of(host, address)?;
        let answer = server
            .ask(host, None, &[], || Get { path: "auth/token/lookup-self", response: PhantomData })
            .await;
        answer.map_err(|problem| server.error(&problem, None))
    }

    /// What our token may do with transit keys of one server. Answers are in the order of the keys.
    pub async fn access(&self, host: &dyn Host, keys: &[&TransitKey]) -> Result<Vec<Access>> {
        let Some(first) = keys.first() else { return Ok(Vec::new()) };
        let server = self.server(host, first).map_err(|problem| problem.error(first.address(), None))?;
        let path = |key: &TransitKey, operation: &str| format!("{}/{operation}/{}", key.engine(), key.name());
        let operations = ["encrypt", "decrypt", "rewrap", "keys"];
        let paths: Vec<String> =
            keys.iter().flat_map(|key| operations.map(|operation| path(key, operation))).collect();
        let answer = server.ask(host, first.namespace(), &[], || Capabilities { paths: &paths }).await;
        let found = answer.map_err(|problem| server.error(&problem, None))?;
        let may = |path: String, capability: &str| {
            found.get(&path).and_then(|granted| granted.as_array()).is_some_and(|granted| {
                granted.iter().any(|granted| *granted == capability || *granted == "root")
            })
        };
        let access = |key: &&TransitKey| Access {
            encrypt: may(path(key, "encrypt"), "update"),
            decrypt: may(path(key, "decrypt"), "update"),
            rewrap: may(path(key, "rewrap"), "update"),
            read: may(path(key, "keys"), "read"),
        };
        Ok(keys.iter().map(access).collect())
    }

    /// Logs in at a server and gives the token, which nobody keeps.
    pub async fn log_in(&self, host: &dyn Host, address: &str) -> Result<SecretString> {
        let server = self.server_of(host, address)?;
        server.fresh_login(host).await.map_err(|problem| server.error(&problem, None))
    }

    /// Whether the user has named the server of a key, so that a token may go there without a question.
    pub fn knows(&self, host: &dyn Host, key: &TransitKey) -> Result<bool> {
        Ok(self.settings(host)?.verdict(Target::Key(key)) == Trust::Named)
    }

    fn server(&self, host: &dyn Host, key: &TransitKey) -> Result<Arc<Server>, Problem> {
        self.server_at(host, Target::Key(key))
    }

    /// The server of an address, for requests that concern none of its keys.
    fn server_of(&self, host: &dyn Host, address: &str) -> Result<Arc<Server>> {
        self.server_at(host, Target::Server(address)).map_err(|problem| problem.error(address, None))
    }

    /// The server of a target, if a token may go there: the one place that decides it.
    pub(super) fn server_at(&self, host: &dyn Host, target: Target) -> Result<Arc<Server>, Problem> {
        let settings = self.settings_or_problem(host)?;
        let address = target.address();
        let is_trusted = match settings.verdict(target) {
            Trust::Named => true,
            Trust::Anywhere => false,
            Trust::Unnamed if self.is_approved(host, address) => true,
            Trust::Unnamed => {
                let message = "you have not named this server, so no token is sent to it";
                return Err(Problem::new(Cause::Unnamed, message));
            }
            Trust::Refused => {
                let message = "this address is not allowed, so no token is sent to it";
                return Err(Problem::new(Cause::NotAllowed, message));
            }
        };
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = servers.get(address) {
            return Ok(Arc::clone(known));
        }
        let route = settings.route(address, is_trusted);
        let server = Arc::new(Server::new(host, address, route, settings)?);
        servers.insert(address.to_owned(), Arc::clone(&server));
        Ok(server)
    }

    /// Whether the person says yes to a server that only a file or a rule names. They are asked once.
    fn is_approved(&self, host: &dyn Host, address: &str) -> bool {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry(Origin::of(address)).or_insert_with(|| ask(host, address))
    }
}

/// Asks whether our token may go to a server. Where nobody can be asked it may not.
fn ask(host: &dyn Host, address: &str) -> bool {
    let question = format!(
        "{address} is a Vault server that only a file or a rule names, not you. Log in there with your token? \
         [y/N/always]"
    );
    let answer = host.ask_line(&question).unwrap_or_default().trim().to_lowercase();
    if answer == "always" {
        match user_file::keep(host, address) {
            Ok(path) => host.note(&format!("added {address} to `servers` in {}", path.display())),
            Err(error) => host.note(&format!("{error}. You will be asked again")),
        }
    }
    matches!(answer.as_str(), "y" | "yes" | "always")
}

impl Worker for Vault {
    type Key = TransitKey;

    fn own(key: &MasterKey) -> Option<&TransitKey> {
        key.transit()
    }

    fn wrap_many<'a>(
        &'a self,
        host: &'a dyn Host,
        tasks: &'a [(&'a TransitKey, &'a [u8])],
    ) -> Answers<'a, Result<Wrapped>> {
        Box::pin(async move {
            let answers = self.many(host, Operation::Encrypt, tasks, async |server, key, payloads| {
                transit::encrypt(server, host, key, payloads).await
            });
            answers.await.into_iter().map(|answer| answer.map(Wrapped::from)).collect()
        })
    }

    fn open_many<'a>(
        &'a self,
        host: &'a dyn Host,
        tries: &'a [Try<'a, TransitKey>],
    ) -> Answers<'a, Result<(usize, SecretBytes), Vec<Failure>>> {
        let requests: Vec<_> = tries
            .iter()
            .flat_map(|one| one.keys.iter().map(|(key, wrapped)| (*key, &*wrapped.enc)))
            .collect();
        Box::pin(async move {
            let answers = self.many(host, Operation::Decrypt, &requests, async |server, key, ciphertexts| {
                transit::decrypt(server, host, key, ciphertexts).await
            });
            let open = |answer: Result<SecretBytes>| match answer {
                Ok(payload) => Ok((0, payload)),
                Err(error) => Err(vec![Failure::from(&error)]),
            };
            answers.await.into_iter().map(open).collect()
        })
    }

    fn rewrap_many<'a>(
        &'a self,
        host: &'a dyn Host,
        tasks: &'a [(&'a TransitKey, &'a str)],
    ) -> Answers<'a, Result<Option<String>>> {
        Box::pin(async move {
            let answers = self.many(host, Operation::Rewrap, tasks, async |server, key, ciphertexts| {
                transit::rewrap(server, host, key, ciphertexts).await
            });
            let newer = |((_, old), answer): (&(_, &str), Result<String>)| {
                answer.map(|enc| Some(enc).filter(|enc| version_of(enc) > version_of(old)))
            };
            tasks.iter().zip(answers.await).map(newer).collect()
        })
    }
}

fn failure(problem: &Problem, key: &TransitKey, operation: Operation) -> Error {
    let path = format!("{}/{}/{}", key.engine(), operation.name(), key.name());
    let advice = match problem.cause {
        _ if problem.is_forbidden() => Some(format!(
            "Log in as somebody whose policy has: path \"{path}\" {{ capabilities = [\"update\"] }}"
        )),
        Cause::Missing => {
            Some("Check the engine's path and the key's name; the engine may not be mounted.".into())
        }
        Cause::Denied if !problem.has_hint() => {
            Some(format!("Log in: `sealant vault login {}`.", key.address()))
        }
        _ => None,
    };
    // Only what cannot be opened lacks a key, to sops as to us.
    let kind = if operation == Operation::Encrypt { Kind::Other } else { Kind::NoDataKey };
    problem.error_of(kind, key, advice)
}

struct Get<R> {
    path: &'static str,
    response: PhantomData<fn() -> R>,
}

impl<R: serde::de::DeserializeOwned + Send + Sync> Endpoint for Get<R> {
    type Response = R;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.to_owned()
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::GET
    }
}

/// Asks what our token may do with paths (`sys/capabilities-self`, which Vault's default policy allows).
struct Capabilities<'a> {
    paths: &'a [String],
}

impl Endpoint for Capabilities<'_> {
    type Response = serde_json::Map<String, serde_json::Value>;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        "sys/capabilities-self".to_owned()
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::POST
    }

    fn body(&self) -> Result<Option<Vec<u8>>, rustify::errors::ClientError> {
        let body = serde_json::json!({ "paths": self.paths });
        Ok(Some(body.to_string().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::FakeHost;

    fn asked(host: &FakeHost, started_by: StartedBy, keys: &[&str]) -> (Vec<bool>, usize) {
        let keys: Vec<_> = keys.iter().map(|uri| TransitKey::parse(uri).unwrap()).collect();
        let vault = Vault::of_user(started_by);
        let goes = keys.iter().map(|key| vault.server(host, key).is_ok()).collect();
        (goes, host.calls().iter().filter(|call| call.starts_with("ask ")).count())
    }

    const KEYS: [&str; 3] = [
        "https://new/v1/transit/keys/a",
        "https://new:443/v1/transit/keys/b",
        "https://other/v1/transit/keys/a",
    ];

    #[test]
    fn a_person_is_asked_once_for_each_server_that_they_have_not_named() {
        for (answer, goes) in [("y", true), ("YES ", true), ("", false), ("n", false), ("yesterday", false)] {
            let host = FakeHost::default().answer(answer);
            assert_eq!(asked(&host, StartedBy::Person, &KEYS), (vec![goes; 3], 2), "{answer}");
        }
        let host = FakeHost::default();
        assert_eq!(asked(&host, StartedBy::Person, &KEYS).0, [false; 3]);
    }

    #[test]
    fn neither_a_program_nor_who_calls_us_sops_is_asked() {
        let host = FakeHost::default().answer("always");
        assert_eq!(asked(&host, StartedBy::Program, &KEYS), (vec![false; 3], 0));
        assert_eq!(asked(&host, StartedBy::Sops, &KEYS), (vec![true; 3], 0));
        let listed = FakeHost::default().answer("y").env("SOPS_HC_VAULT_ALLOWLIST", "https://other");
        assert_eq!(asked(&listed, StartedBy::Person, &KEYS), (vec![false, false, true], 0));
    }

    #[test]
    fn always_is_kept_and_what_is_typed_needs_no_question() {
        let host = FakeHost::default().answer("always");
        assert_eq!(asked(&host, StartedBy::Person, &KEYS[..2]), (vec![true; 2], 1));
        assert_eq!(asked(&host, StartedBy::Person, &KEYS[..2]), (vec![true; 2], 1));
        let key = TransitKey::parse(KEYS[2]).unwrap();
        assert!(Vault::of_user(StartedBy::Person).naming([&key]).server(&FakeHost::default(), &key).is_ok());
    }
}
