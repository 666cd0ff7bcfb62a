//! Credentials of AWS, and signing requests with them: AWS Signature Version 4. Also other clouds take such a request, as
//! a proof of who somebody is.
//!
//! Owns the canonical form of a request (`docs.aws.amazon.com`, "Create a signed AWS API request") as far as KMS, STS and S3
//! need it.

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::kept::Lasting;
use super::requests::Secret;
use crate::secret::{SecretBytes, SecretString};

/// An access key of AWS.
pub(crate) struct AccessKey {
    pub access_key_id: String,
    pub secret_access_key: SecretString,
    pub session_token: Option<SecretString>,
    pub ends: Option<Timestamp>,
}

impl Lasting for AccessKey {
    fn ends(&self) -> Option<Timestamp> {
        self.ends
    }
}

/// An access key as programs, containers and machines tell it.
impl<'de> Deserialize<'de> for AccessKey {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Document {
            access_key_id: String,
            secret_access_key: Secret,
            #[serde(alias = "SessionToken")]
            token: Option<Secret>,
            expiration: Option<Timestamp>,
        }
        let found = Document::deserialize(from)?;
        Ok(Self {
            access_key_id: found.access_key_id,
            secret_access_key: found.secret_access_key.0,
            session_token: found.token.map(|token| token.0).filter(|token| !token.is_empty()),
            ends: found.expiration,
        })
    }
}

/// What is signed.
pub(crate) struct ToSign<'r> {
    pub method: &'r str,
    /// Host and port, as the header `Host` has them.
    pub host: &'r str,
    pub path: &'r str,
    /// As it is sent, its fields in alphabetical order.
    pub query: &'r str,
    /// Names in small letters.
    pub headers: &'r [(&'static str, String)],
    pub body: &'r [u8],
    pub region: &'r str,
    pub service: &'r str,
}

impl ToSign<'_> {
    /// The headers that say who has made the request: `authorization`, `x-amz-date`, and `x-amz-security-token` where
    /// there is one.
    pub fn sign(&self, by: &AccessKey, now: Timestamp) -> Vec<(&'static str, String)> {
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let date = now.strftime("%Y%m%d").to_string();
        let mut added = vec![("x-amz-date", time.clone())];
        added.extend(by.session_token.iter().map(|token| ("x-amz-security-token", token.to_string())));
        let mut signed: Vec<(&str, &str)> =
            self.headers.iter().chain(&added).map(|(name, value)| (*name, value.trim())).collect();
        signed.push(("host", self.host));
        signed.sort_unstable();
        let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = Zeroizing::new(format!(
            "{}\n{}\n{}\n{lines}\n{names}\n{}",
            self.method,
            self.path,
            self.query,
            hash(self.body)
        ));
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(canonical.as_bytes()));
        let mut key = Zeroizing::new(format!("AWS4{}", *by.secret_access_key).into_bytes());
        for part in [date.as_str(), self.region, self.service, "aws4_request"] {
            key = hmac(&key, part);
        }
        let signature = hex(&hmac(&key, &to_sign));
        let id = &by.access_key_id;
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}");
        added.push(("authorization", authorization));
        added
    }
}

pub(crate) fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac(key: &[u8], text: &str) -> SecretBytes {
    // HMAC takes a key of any length.
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).unwrap_or_else(|_| unreachable!());
    mac.update(text.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `post-vanilla` and `post-sts-header-before` of the test suite that AWS publishes for Signature Version 4.
    #[test]
    fn a_request_is_signed_as_aws_signs_it() {
        let now: Timestamp = "2015-08-30T12:36:00Z".parse().unwrap();
        let signature = |session_token: Option<&str>| {
            let by = AccessKey {
                access_key_id: "AKIDEXAMPLE".to_owned(),
                secret_access_key: Zeroizing::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
                session_token: session_token.map(|token| Zeroizing::new(token.to_owned())),
                ends: None,
            };
            let request = ToSign {
                method: "POST",
                host: "example.amazonaws.com",
                path: "/",
                query: "",
                headers: &[],
                body: b"",
                region: "us-east-1",
                service: "service",
            };
            let headers = request.sign(&by, now);
            let (_, last) = headers.last().unwrap();
            last.rsplit_once('=').unwrap().1.to_owned()
        };
        assert_eq!(signature(None), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
        assert_eq!(
            signature(Some(token)),
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
        );
    }

    /// The example `PUT Object` in S3's own documentation ("Signature calculations for the authorization header").
    #[test]
    fn an_object_is_signed_as_s3_wants_it() {
        let by = AccessKey {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: Zeroizing::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            session_token: None,
            ends: None,
        };
        let body = b"Welcome to Amazon S3.";
        let headers = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT".to_owned()),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY".to_owned()),
            ("x-amz-content-sha256", hash(body)),
        ];
        let request = ToSign {
            method: "PUT",
            host: "examplebucket.s3.amazonaws.com",
            path: "/test%24file.text",
            query: "",
            headers: &headers,
            body,
            region: "us-east-1",
            service: "s3",
        };
        let headers = request.sign(&by, "2013-05-24T00:00:00Z".parse().unwrap());
        let (_, last) = headers.last().unwrap();
        assert!(
            last.ends_with("Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
            "{last}"
        );
    }
}
