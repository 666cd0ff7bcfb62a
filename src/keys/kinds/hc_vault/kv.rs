//! Secrets of key-value engines, which `publish` writes.
//!
//! Owns the two requests: what is there, and what is to be there. The same rules as for transit keys say where a token may
//! go.

use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;
use serde::de::IgnoredAny;
use serde_json::Value;
use zeroize::Zeroizing;

use super::allow::Target;
use super::problem::{Cause, Problem};
use super::servers::Vault;
use crate::config::{KvPlace, KvVersion};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::SecretBytes;

/// Where Vault's own client looks when nobody says where.
const DEFAULT_ADDRESS: &str = "https://127.0.0.1:8200";

struct Read(String);

impl Endpoint for Read {
    type Response = Value;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.0.clone()
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::GET
    }
}

struct Write<'a> {
    path: String,
    body: &'a [u8],
}

impl Endpoint for Write<'_> {
    type Response = IgnoredAny;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::PUT
    }

    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        Ok(Some(self.body.to_vec()))
    }
}

impl Vault {
    /// The address of the server that a place names, else of the user's own.
    pub fn address_of(&self, host: &dyn Host, place: &KvPlace) -> Result<String> {
        let own = || Ok::<_, Error>(self.settings(host)?.address.clone());
        let address = place.address.clone().map_or_else(own, |address| Ok(Some(address)))?;
        Ok(address.unwrap_or_else(|| DEFAULT_ADDRESS.to_owned()))
    }

    /// Puts a secret, a JSON object, where it is to be; `false` if it is there already.
    pub async fn put_secret(
        &self,
        host: &dyn Host,
        place: &KvPlace,
        name: &str,
        secret: &SecretBytes,
    ) -> Result<bool> {
        let address = self.address_of(host, place)?;
        let path = place.secret(name);
        let put = async {
            let server = self.server_at(host, Target::Server(&address))?;
            let there = server.ask(host, None, &[], || Read(path.clone())).await;
            if there.is_ok_and(|there| is_same(&there, secret, place.version)) {
                return Ok(false);
            }
            let body = body(secret, place.version);
            server.tell(host, || Write { path: path.clone(), body: &body }).await.map(|()| true)
        };
        put.await.map_err(|problem: Problem| {
            let policy = format!("path \"{path}\" {{ capabilities = [\"create\", \"update\", \"read\"] }}");
            let advice = problem.is_forbidden().then(|| format!("The policy of the token needs {policy}."));
            let missing = || {
                let engine = &place.mount;
                format!("See whether there is a key-value engine at {engine}/, and of which version: `vault secrets list -detailed`")
            };
            let advice = advice.or_else(|| (problem.cause == Cause::Missing).then(missing));
            problem.error_of(Kind::Other, format!("{address}/v1/{path}"), advice)
        })
    }
}

fn is_same(there: &Value, secret: &SecretBytes, version: KvVersion) -> bool {
    let there = match version {
        KvVersion::One => Some(there),
        KvVersion::Two => there.get("data"),
    };
    serde_json::from_slice::<Value>(secret).is_ok_and(|secret| there == Some(&secret))
}

fn body(secret: &SecretBytes, version: KvVersion) -> SecretBytes {
    let (before, behind): (&[u8], &[u8]) = match version {
        KvVersion::One => (b"", b""),
        KvVersion::Two => (b"{\"data\":", b"}"),
    };
    // With room for all of it no copy stays behind in a buffer that was outgrown.
    let mut body = Zeroizing::new(Vec::with_capacity(before.len() + secret.len() + behind.len()));
    [before, secret, behind].into_iter().for_each(|part| body.extend_from_slice(part));
    body
}
