//! The signature of requests to Huawei Cloud (`SDK-HMAC-SHA256`, `core/auth/signer` of Huawei's client).

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::credentials::Credentials;

const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// What is signed of a request.
pub(super) struct Request<'r> {
    pub method: &'r str,
    pub host: &'r str,
    pub path: &'r str,
    /// Names and values need no escapes.
    pub query: &'r str,
    pub project: Option<&'r str>,
    pub body: &'r [u8],
}

impl Request<'_> {
    /// The headers that a request gets.
    pub fn sign(&self, by: &Credentials, now: Timestamp) -> Vec<(&'static str, String)> {
        let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut headers = vec![("host", self.host.to_owned())];
        headers.extend(self.project.map(|project| ("x-project-id", project.to_owned())));
        headers.push(("x-sdk-date", date.clone()));
        headers.extend(by.security_token.as_ref().map(|token| ("x-security-token", token.to_string())));
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let (method, path, query) = (self.method, self.path.trim_end_matches('/'), self.query);
        let canonical =
            format!("{method}\n{path}/\n{query}\n{lines}\n{names}\n{}", hex(&Sha256::digest(self.body)));
        let to_sign = format!("{ALGORITHM}\n{date}\n{}", hex(&Sha256::digest(canonical)));
        let signature = hex(&mac(by.secret_key.as_bytes(), to_sign.as_bytes()));
        let value =
            format!("{ALGORITHM} Access={}, SignedHeaders={names}, Signature={signature}", by.access_key);
        headers.push(("authorization", value));
        headers
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
