//! The keys of a run, and the many requests to KMS.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::credentials::{Found, GOOGLE};
use super::key::Key;
use super::problem::{self, refusal};
use super::tokens::token;
use crate::error::Result;
use crate::host::Host;
use crate::keys::decoded::LENIENT;
use crate::keys::kind::{MasterKey, Wrapped};
use crate::keys::web::{
    Answer, Cause, Cloud, Kept, Made, Manner, Operation, Problem, Requests, Secret, Token, address,
};
use crate::keys::{KeyKind, StartedBy};
use crate::secret::SecretBytes;

const ENDPOINT: &str = "SOPS_GCP_KMS_ENDPOINT";
const UNIVERSE: &str = "SOPS_GCP_KMS_UNIVERSE_DOMAIN";
const DEFAULT_UNIVERSE: &str = "GOOGLE_CLOUD_UNIVERSE_DOMAIN";

/// The keys of Google Cloud KMS, with the user's own credentials.
pub struct Kms {
    started_by: StartedBy,
    setup: Made<Setup>,
    token: Kept<Token>,
}

/// What is read and made once.
pub(super) struct Setup {
    requests: Requests,
    endpoint: Url,
    credentials: Found,
}

impl Setup {
    fn of_user(host: &dyn Host, started_by: StartedBy) -> Result<Self, Problem> {
        let credentials = Found::of_user(host)?;
        let endpoint = endpoint(host, &credentials)?;
        let requests = Requests::new(host, Manner::of(started_by, refusal))?;
        Ok(Self { requests, endpoint, credentials })
    }

    /// Where a key is asked for something.
    fn url(&self, key: &Key, operation: Operation) -> Url {
        let verb = match operation {
            Operation::Encrypt => "encrypt",
            Operation::Decrypt => "decrypt",
        };
        let mut url = self.endpoint.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/v1/{}:{verb}", key.resource_id()));
        url
    }

    async fn send(&self, url: &Url, by: &Token, body: &SecretBytes) -> Result<Answer, Problem> {
        let request = |client: &reqwest::Client| {
            client.post(url.clone()).header("content-type", "application/json").body(body.to_vec())
        };
        self.send_request(url, by, request).await
    }

    /// Makes a request with our token.
    pub(super) async fn send_request(
        &self,
        url: &Url,
        by: &Token,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder,
    ) -> Result<Answer, Problem> {
        let with_token = |client: &reqwest::Client| {
            let request = request(client).bearer_auth(by.text.as_str());
            match &self.credentials.quota_project {
                Some(project) => request.header("x-goog-user-project", project),
                None => request,
            }
        };
        self.requests.send(url, with_token).await
    }

    /// The domain below which Google's services are.
    #[cfg(feature = "cli")]
    pub(super) fn universe(&self, host: &dyn Host) -> Result<String, Problem> {
        universe(host, &self.credentials)
    }
}

/// Where KMS is: where the user says, else in the universe that they name, else at Google.
fn endpoint(host: &dyn Host, credentials: &Found) -> Result<Url, Problem> {
    if let Some(endpoint) = host.env_text(ENDPOINT)? {
        // As a client of gRPC has it: `HOST:PORT`.
        let url = if endpoint.contains("://") { endpoint } else { format!("https://{endpoint}") };
        return address(&url, ENDPOINT);
    }
    address(&format!("https://cloudkms.{}", universe(host, credentials)?), UNIVERSE)
}

/// The universe that the user names, else Google's.
fn universe(host: &dyn Host, credentials: &Found) -> Result<String, Problem> {
    let named = host.env_text(UNIVERSE)?.or(host.env_text(DEFAULT_UNIVERSE)?);
    let universe = named.unwrap_or_else(|| GOOGLE.to_owned());
    let is_domain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if !universe.bytes().all(is_domain) {
        return Err(Problem::new(Cause::Credentials, format!("{UNIVERSE}: `{universe}` is not a domain")));
    }
    // A token of one universe is nothing that another should see.
    if let Some(own) = credentials.universe.as_ref().filter(|own| **own != universe) {
        let message = format!(
            "the credentials of {} belong to the universe {own}, and KMS to {universe}",
            credentials.place
        );
        return Err(Problem::new(Cause::Credentials, message).advise(format!("Set {UNIVERSE}={own}.")));
    }
    Ok(universe)
}

impl Kms {
    /// As the user of this host has settled it.
    pub fn of_user(started_by: StartedBy) -> Self {
        Self { started_by, setup: Made::default(), token: Kept::default() }
    }

    pub(super) fn setup(&self, host: &dyn Host) -> Result<&Setup, Problem> {
        self.setup.get(|| Setup::of_user(host, self.started_by))
    }

    async fn ask(
        &self,
        host: &dyn Host,
        key: &Key,
        operation: Operation,
        wish: &impl Serialize,
    ) -> Result<Answer, Problem> {
        let setup = self.setup(host)?;
        let url = setup.url(key, operation);
        // With room for all of it no copy stays behind in a buffer that was outgrown.
        let mut body = Zeroizing::new(Vec::with_capacity(16 << 10));
        serde_json::to_writer(&mut *body, wish)
            .map_err(|_| Problem::new(Cause::Other, "it cannot be asked for"))?;
        self.with_token(host, setup, async |by| setup.send(&url, by, &body).await).await
    }

    /// Makes a request with our token, which is got once.
    pub(super) async fn with_token(
        &self,
        host: &dyn Host,
        setup: &Setup,
        send: impl AsyncFn(&Token) -> Result<Answer, Problem>,
    ) -> Result<Answer, Problem> {
        let token = async || token(host, &setup.requests, &setup.credentials).await;
        self.token.with(host, token, send).await
    }
}

impl Cloud for Kms {
    type Key = Key;

    const KIND: KeyKind = KeyKind::GcpKms;

    fn own(key: &MasterKey) -> Option<&Key> {
        match key {
            MasterKey::GcpKms(key) => Some(key),
            _ => None,
        }
    }

    fn name_of(key: &Key) -> &str {
        key.resource_id()
    }

    async fn encrypt(&self, host: &dyn Host, key: &Key, payload: &[u8]) -> Result<Wrapped, Problem> {
        #[derive(Serialize)]
        struct Wish<'a> {
            plaintext: &'a str,
        }
        #[derive(Deserialize)]
        struct Encrypted {
            ciphertext: String,
        }
        let plaintext = Zeroizing::new(BASE64.encode(payload));
        let answer = self.ask(host, key, Operation::Encrypt, &Wish { plaintext: &plaintext }).await?;
        let Encrypted { ciphertext } = answer.json("Cloud KMS")?;
        Ok(Wrapped::from(ciphertext))
    }

    async fn decrypt(&self, host: &dyn Host, key: &Key, enc: &str) -> Result<SecretBytes, Problem> {
        #[derive(Serialize)]
        struct Wish<'a> {
            ciphertext: &'a str,
        }
        #[derive(Deserialize)]
        struct Decrypted {
            plaintext: Secret,
        }
        let not_base64 = || Problem::new(Cause::NotOpened, "its `enc` is not base64");
        let blob = LENIENT.decode(enc.split_whitespace().collect::<String>()).map_err(|_| not_base64())?;
        let ciphertext = BASE64.encode(blob);
        let answer = self.ask(host, key, Operation::Decrypt, &Wish { ciphertext: &ciphertext }).await?;
        let Decrypted { plaintext } = answer.json("Cloud KMS")?;
        let payload = BASE64.decode(plaintext.0.as_bytes());
        payload.map(Zeroizing::new).map_err(|_| Problem::not_understood("Cloud KMS"))
    }

    fn advice(cause: Cause, key: &Key, operation: Operation) -> Option<String> {
        problem::advice(cause, key, operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::fake_host::FakeHost;

    const ID: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k";

    fn url(host: FakeHost) -> Result<String, Problem> {
        let setup = Setup::of_user(&host.env("GOOGLE_OAUTH_ACCESS_TOKEN", "t"), StartedBy::Person)?;
        Ok(setup.url(&Key::parse(ID).unwrap(), Operation::Encrypt).to_string())
    }

    #[test]
    fn kms_is_where_the_user_says_it_is() {
        let host = FakeHost::default;
        for (host, base) in [
            (host(), "https://cloudkms.googleapis.com"),
            (host().env(UNIVERSE, "s3nsapis.fr"), "https://cloudkms.s3nsapis.fr"),
            (host().env(DEFAULT_UNIVERSE, "s3nsapis.fr"), "https://cloudkms.s3nsapis.fr"),
            (host().env(ENDPOINT, "http://127.0.0.1:1"), "http://127.0.0.1:1"),
            (host().env(ENDPOINT, "https://kms.test/base/"), "https://kms.test/base"),
            (host().env(ENDPOINT, "kms.test:443").env(UNIVERSE, "other.test"), "https://kms.test"),
        ] {
            assert_eq!(url(host).unwrap(), format!("{base}/v1/{ID}:encrypt"));
        }
        for host in [
            host().env(ENDPOINT, "ftp://kms.test"),
            host().env(ENDPOINT, "unix:///kms"),
            host().env(UNIVERSE, "evil.test/x?"),
        ] {
            assert!(url(host).is_err());
        }
    }

    #[test]
    fn a_token_of_one_universe_is_not_sent_to_another() {
        let file = r#"{"type":"service_account","client_email":"a","private_key":"k","universe_domain":"other.test"}"#;
        let host = || FakeHost::default().env("GOOGLE_CREDENTIALS", file);
        let problem = Setup::of_user(&host(), StartedBy::Person).err().unwrap();
        assert!(problem.message.contains("universe other.test"), "{}", problem.message);
        assert!(Setup::of_user(&host().env(UNIVERSE, "other.test"), StartedBy::Person).is_ok());
    }
}
