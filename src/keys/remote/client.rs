//! Another key service, which is asked where the keys of this machine do not help.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use tonic::Status;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::proto::{Key, Request, Response};
use super::{AT_ONCE, LONGEST_MESSAGE};
use crate::error::{Error, Kind, Result};
use crate::keys::MasterKey;
use crate::keys::unopened::Failure;
use crate::secret::SecretBytes;

/// How long it may take to get there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take: a person may have to say yes first, or to touch a card.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Longer words of a service are cut.
const MOST_WORDS: usize = 300;

/// A key service by its address: `tcp://HOST:PORT` or `unix:///PATH`.
#[derive(Debug)]
pub struct Remote {
    address: String,
    endpoint: Endpoint,
    /// Made when it is first needed, within the runtime that drives it.
    channel: OnceLock<Channel>,
}

impl Remote {
    /// The service of an address. It is not asked yet.
    pub fn new(address: &str) -> Result<Self> {
        let wrong = || {
            Error::new(Kind::Other, format!("`{address}` is not the address of a key service"))
                .advise("It has the form tcp://HOST:PORT or unix:///PATH.")
        };
        let uri = match address.split_once("://") {
            Some(("tcp", authority)) if is_authority(authority) => format!("http://{authority}"),
            Some(("unix", path)) if Path::new(path).is_absolute() => address.to_owned(),
            _ => return Err(wrong()),
        };
        let endpoint = Endpoint::from_shared(uri).map_err(|_| wrong())?;
        let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT).concurrency_limit(AT_ONCE);
        Ok(Self { address: address.to_owned(), endpoint, channel: OnceLock::new() })
    }

    /// Wraps a data key, or a share of one, for a key.
    pub(in crate::keys) async fn wrap(&self, key: &MasterKey, payload: &[u8]) -> Result<String, Failure> {
        let request = Request { key: Some(Key::of(key)), bytes: payload.to_vec() };
        let mut answer =
            self.ask("/KeyService/Encrypt", request).await.map_err(|why| self.failure(key, &why))?;
        let not_text = || self.failure(key, &Status::internal("the answer is not text"));
        match String::from_utf8(std::mem::take(&mut answer.bytes)) {
            Ok(enc) if !enc.is_empty() => Ok(enc),
            _ => Err(not_text()),
        }
    }

    /// Unwraps what a key has wrapped.
    pub(in crate::keys) async fn unwrap(&self, key: &MasterKey, enc: &str) -> Result<SecretBytes, Failure> {
        let request = Request { key: Some(Key::of(key)), bytes: enc.as_bytes().to_vec() };
        let answer = self.ask("/KeyService/Decrypt", request).await;
        let mut answer = answer.map_err(|why| self.failure(key, &why))?;
        Ok(SecretBytes::new(std::mem::take(&mut answer.bytes)))
    }

    async fn ask(&self, operation: &'static str, request: Request) -> Result<Response, Status> {
        let channel = self.channel.get_or_init(|| self.endpoint.connect_lazy());
        let mut client = Grpc::new(channel.clone())
            .max_decoding_message_size(LONGEST_MESSAGE)
            .max_encoding_message_size(LONGEST_MESSAGE);
        client.ready().await.map_err(|error| Status::unavailable(deepest(&error)))?;
        let path = PathAndQuery::from_static(operation);
        let codec = ProstCodec::<Request, Response>::default();
        client.unary(tonic::Request::new(request), path, codec).await.map(tonic::Response::into_inner)
    }

    fn failure(&self, key: &MasterKey, status: &Status) -> Failure {
        let may_pass = matches!(status.code(), tonic::Code::Unavailable | tonic::Code::DeadlineExceeded);
        let words = match std::error::Error::source(status) {
            Some(source) if may_pass => deepest(source),
            _ => status.message().to_owned(),
        };
        let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let line: String = line.chars().filter(|c| !c.is_control()).take(MOST_WORDS).collect();
        let problem = format!("{key}: the key service {}: {line}", self.address);
        Failure { may_pass, ..Failure::from(problem) }
    }
}

fn is_authority(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    !text.is_empty() && text.chars().all(is_letter)
}

fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_a_host_or_a_socket() {
        for address in
            ["tcp://127.0.0.1:5000", "tcp://[::1]:5000", "tcp://keys.example:5000", "unix:///run/s"]
        {
            assert!(Remote::new(address).is_ok(), "{address}");
        }
        for address in
            ["", "127.0.0.1:5000", "tcp://", "http://x:1", "unix://relative", "tcp://x/y", "tcp://a@b:1"]
        {
            assert!(Remote::new(address).is_err(), "{address}");
        }
    }
}
