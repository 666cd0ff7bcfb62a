//! Signing requests: AWS Signature Version 4.
//!
//! Owns the canonical form of a request (`docs.aws.amazon.com`, "Create a signed AWS API request") as far as KMS and STS
//! and S3 need it: with a body and without a query.

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::credentials::Credentials;
use crate::secret::SecretBytes;

/// What is signed.
pub(super) struct Request<'r> {
    pub method: &'r str,
    /// Host and port, as the header `Host` has them.
    pub host: &'r str,
    pub path: &'r str,
    /// Names in small letters.
    pub headers: &'r [(&'static str, String)],
    pub body: &'r [u8],
    pub region: &'r str,
    pub service: &'static str,
}

impl Request<'_> {
    /// The headers that say who has made the request: `authorization`, `x-amz-date`, and `x-amz-security-token` where
    /// there is one.
    pub fn sign(&self, by: &Credentials, now: Timestamp) -> Vec<(&'static str, String)> {
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
            "{}\n{}\n\n{lines}\n{names}\n{}",
            self.method,
            self.path,
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

pub(super) fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac(key: &[u8], text: &str) -> SecretBytes {
    // HMAC takes a key of any length.
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).unwrap_or_else(|_| unreachable!());
    mac.update(text.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

pub(super) fn hex(bytes: &[u8]) -> String {
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
            let by = Credentials {
                access_key_id: "AKIDEXAMPLE".to_owned(),
                secret_access_key: Zeroizing::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
                session_token: session_token.map(|token| Zeroizing::new(token.to_owned())),
                ends: None,
            };
            let request = Request {
                method: "POST",
                host: "example.amazonaws.com",
                path: "/",
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
        let by = Credentials {
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
        let request = Request {
            method: "PUT",
            host: "examplebucket.s3.amazonaws.com",
            path: "/test%24file.text",
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
