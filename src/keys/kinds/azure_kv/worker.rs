//! The keys of a run, and the many requests to vaults.
//!
//! Owns the one place that decides whether a vault is asked: one that is not at Azure, and that only a file names, is not
//! asked unasked.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder, Url};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::challenge::Challenge;
use super::credentials::Found;
use super::key::Key;
use super::problem::{self, refusal};
use super::tokens::token;
use crate::error::Result;
use crate::host::Host;
use crate::keys::decoded::LENIENT;
use crate::keys::kind::{MasterKey, Wrapped};
use crate::keys::web::{
    Answer, Cause, Cloud, Consent, Kept, Lasting, Made, Manner, Operation, Problem, Requests, Secret, Token,
    address,
};
use crate::keys::{KeyKind, StartedBy};
use crate::secret::SecretBytes;

/// That of Azure's client in sops.
const API_VERSION: &str = "2025-07-01";

/// What sops wraps with.
const ALGORITHM: &str = "RSA-OAEP-256";

/// The keys of Azure Key Vault, with the user's own credentials.
pub struct Vaults {
    started_by: StartedBy,
    /// About hosts that are not Azure's.
    consent: Consent<String>,
    setup: Made<Setup>,
    /// What each vault wants a token for.
    challenges: Many<String, Challenge>,
    tokens: Many<Challenge, Token>,
    /// Which version is the newest of a key that is named without one.
    versions: Many<Key, Version>,
}

/// What is got once for each of some things.
type Many<K, T> = Mutex<HashMap<K, Arc<Kept<T>>>>;

struct Version(String);

/// Neither changes within a run.
impl Lasting for Version {
    fn ends(&self) -> Option<Timestamp> {
        None
    }
}

impl Lasting for Challenge {
    fn ends(&self) -> Option<Timestamp> {
        None
    }
}

/// What is read and made once.
struct Setup {
    requests: Requests,
    credentials: Found,
}

/// What a vault is asked.
struct Wish {
    method: Method,
    url: Url,
    body: SecretBytes,
}

impl Vaults {
    /// As the user of this host has settled it.
    pub fn of_user(started_by: StartedBy) -> Self {
        Self {
            started_by,
            consent: Consent::new(started_by),
            setup: Made::default(),
            challenges: Mutex::default(),
            tokens: Mutex::default(),
            versions: Mutex::default(),
        }
    }

    fn setup(&self, host: &dyn Host) -> Result<&Setup, Problem> {
        let make = || {
            let requests = Requests::new(host, Manner::of(self.started_by, refusal))?;
            Ok(Setup { requests, credentials: Found::of_user(host)? })
        };
        self.setup.get(make)
    }

    async fn operate(
        &self,
        host: &dyn Host,
        key: &Key,
        operation: Operation,
        value: &[u8],
    ) -> Result<SecretBytes, Problem> {
        #[derive(Serialize)]
        struct Body<'a> {
            alg: &'a str,
            value: &'a str,
        }
        #[derive(Deserialize)]
        struct Done {
            value: Secret,
        }
        let verb = match operation {
            Operation::Encrypt => "encrypt",
            Operation::Decrypt => "decrypt",
        };
        let value = Zeroizing::new(BASE64URL.encode(value));
        // With room for all of it no copy stays behind in a buffer that was outgrown.
        let mut body = Zeroizing::new(Vec::with_capacity(16 << 10));
        serde_json::to_writer(&mut *body, &Body { alg: ALGORITHM, value: &value })
            .map_err(|_| Problem::new(Cause::Other, "it cannot be asked for"))?;
        let url = url(key, &format!("{}/{verb}", key.version().unwrap_or_default()))?;
        let answer = self.ask(host, key, &Wish { method: Method::POST, url, body }).await?;
        let not_understood = || Problem::not_understood("Azure Key Vault");
        let Done { value } = answer.json("Azure Key Vault")?;
        BASE64URL.decode(value.0.trim_end_matches('=')).map(Zeroizing::new).map_err(|_| not_understood())
    }

    /// A key in the version that is its newest now, which is asked for once.
    async fn newest(&self, host: &dyn Host, key: &Key) -> Result<Key, Problem> {
        #[derive(Deserialize)]
        struct Bundle {
            key: Public,
        }
        #[derive(Deserialize)]
        struct Public {
            kid: String,
        }
        let wish = Wish { method: Method::GET, url: url(key, "")?, body: SecretBytes::default() };
        let get = async || {
            let Bundle { key: Public { kid } } = self.ask(host, key, &wish).await?.json("Azure Key Vault")?;
            Ok(Version(kid.rsplit('/').next().unwrap_or_default().to_owned()))
        };
        let not_understood = |_| Problem::not_understood("Azure Key Vault");
        let settle = async |version: &Version| key.in_version(&version.0).map_err(not_understood);
        of(&self.versions, key.clone()).with(host, get, settle).await
    }

    /// Asks a vault, with a token for what it wants one for.
    async fn ask(&self, host: &dyn Host, key: &Key, wish: &Wish) -> Result<Answer, Problem> {
        self.refuse_unnamed(host, key)?;
        let Setup { requests, credentials } = self.setup(host)?;
        let challenge = async || wish.challenge(requests, key).await;
        let known = async |challenge: &Challenge| Ok(challenge.clone());
        let challenge = of(&self.challenges, key.host().to_owned()).with(host, challenge, known).await?;
        let get = async || token(host, requests, credentials, &challenge).await;
        let send = async |by: &Token| wish.send(requests, by).await;
        of(&self.tokens, challenge.clone()).with(host, get, send).await
    }

    /// Refuses a vault at a host of somebody else that only a file or a rule names, unless the person says yes.
    fn refuse_unnamed(&self, host: &dyn Host, key: &Key) -> Result<(), Problem> {
        let what = || {
            format!(
                "a file or a rule names the vault {}, which is not on Azure, but you have not",
                key.vault_url()
            )
        };
        match key.is_at_azure() || self.consent.allows(host, &key.host().to_owned(), &what()) {
            true => Ok(()),
            false => Err(Problem::new(Cause::Unnamed, what()).advise(format!(
                "If it is yours, name the key for this command: SOPS_AZURE_KEYVAULT_URLS='{}'",
                key.id()
            ))),
        }
    }
}

/// What is kept for one of many.
fn of<K: Eq + Hash, T: Lasting>(many: &Many<K, T>, key: K) -> Arc<Kept<T>> {
    let mut many = many.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(many.entry(key).or_default())
}

/// Where a key is asked for something.
fn url(key: &Key, rest: &str) -> Result<Url, Problem> {
    let text = format!("{}/keys/{}/{rest}?api-version={API_VERSION}", key.vault_url(), key.name());
    address(&text, "vault_url")
}

impl Wish {
    fn request(&self, client: &Client) -> RequestBuilder {
        client.request(self.method.clone(), self.url.clone()).header("accept", "application/json")
    }

    /// What a vault says to somebody without a token. It is not told a data key yet.
    async fn challenge(&self, requests: &Requests, key: &Key) -> Result<Challenge, Problem> {
        let request = |client: &Client| {
            let request = self.request(client);
            if self.method == Method::POST { request.header("content-length", "0") } else { request }
        };
        let answer = requests.send_for(&self.url, &[401], request).await?;
        let header = answer.headers.get("www-authenticate").and_then(|header| header.to_str().ok());
        Challenge::parse(header.unwrap_or_default(), key.host())
    }

    async fn send(&self, requests: &Requests, by: &Token) -> Result<Answer, Problem> {
        let request = |client: &Client| {
            let request = self.request(client).bearer_auth(by.text.as_str());
            match self.body.is_empty() {
                true => request,
                false => request.header("content-type", "application/json").body(self.body.to_vec()),
            }
        };
        requests.send(&self.url, request).await
    }
}

impl Cloud for Vaults {
    type Key = Key;

    const KIND: KeyKind = KeyKind::AzureKv;

    fn own(key: &MasterKey) -> Option<&Key> {
        match key {
            MasterKey::AzureKv(key) => Some(key),
            _ => None,
        }
    }

    fn name_of(key: &Key) -> &str {
        key.id()
    }

    fn name(&mut self, keys: &[&Key]) {
        self.consent.name(keys.iter().map(|key| key.host().to_owned()));
    }

    /// Wraps with the newest version of a key that is named without one, and says which that is.
    async fn encrypt(&self, host: &dyn Host, key: &Key, payload: &[u8]) -> Result<Wrapped, Problem> {
        let settled = match key.version() {
            Some(_) => None,
            None => Some(self.newest(host, key).await?),
        };
        let answer = self.operate(host, settled.as_ref().unwrap_or(key), Operation::Encrypt, payload).await?;
        let enc = BASE64URL.encode(&answer);
        Ok(Wrapped { enc, key: settled.map(MasterKey::AzureKv) })
    }

    async fn decrypt(&self, host: &dyn Host, key: &Key, enc: &str) -> Result<SecretBytes, Problem> {
        let enc: String = enc.split_whitespace().collect();
        let blob = LENIENT.decode(enc.trim_end_matches('=').replace('-', "+").replace('_', "/"));
        let blob = blob.map_err(|_| Problem::new(Cause::NotOpened, "its `enc` is not base64"))?;
        self.operate(host, key, Operation::Decrypt, &blob).await
    }

    fn about(problem: Problem, operation: Operation) -> Problem {
        problem::about(problem, operation)
    }

    fn advice(cause: Cause, key: &Key, operation: Operation) -> Option<String> {
        problem::advice(cause, key, operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::FakeHost;

    fn is_asked(started_by: StartedBy, url: &str, named: Option<&str>, answer: &'static str) -> bool {
        let key = |url: &str| Key::new(url, "k", "1").unwrap();
        let mut vaults = Vaults::of_user(started_by);
        if let Some(named) = named {
            Cloud::name(&mut vaults, &[&key(named)]);
        }
        vaults.refuse_unnamed(&FakeHost::default().answer(answer), &key(url)).is_ok()
    }

    #[test]
    fn a_vault_elsewhere_is_asked_if_the_user_has_named_it() {
        use StartedBy::{Person, Program, Sops};
        let (azure, other) = ("https://v.vault.azure.net", "https://v.vault.azure.net.evil.test");
        assert!(is_asked(Program, azure, None, ""));
        assert!(is_asked(Sops, other, None, ""));
        assert!(is_asked(Program, other, Some(other), ""));
        assert!(is_asked(Person, other, None, "y") && !is_asked(Person, other, None, ""));
        assert!(!is_asked(Program, other, None, "y") && !is_asked(Program, other, Some(azure), "y"));
    }

    #[test]
    fn a_key_is_asked_as_sops_asks_it() {
        let key = Key::new("https://v.vault.azure.net/", "k", "").unwrap();
        let asked = |rest: &str| url(&key, rest).unwrap().to_string();
        assert_eq!(asked("1/encrypt"), "https://v.vault.azure.net/keys/k/1/encrypt?api-version=2025-07-01");
        assert_eq!(asked(""), "https://v.vault.azure.net/keys/k/?api-version=2025-07-01");
    }
}
