use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{Server, folder, on_free_port};
use crate::{Peers, Run};

/// A server that stands in for AWS (moto), with KMS and STS, on a port of its own, in memory. It takes any access key.
///
/// It stops when it is dropped.
pub struct Moto {
    _server: Server,
    port: u16,
}

impl Moto {
    /// Starts a server.
    #[track_caller]
    pub fn start() -> Self {
        on_free_port(|port| {
            let path =
                ["moto", "pre-commit"].map(|name| Peers::get().directory().join(name).display().to_string());
            let args = [
                format!("PYTHONPATH={}", path.join(":")),
                "PYTHONDONTWRITEBYTECODE=1".to_owned(),
                "python3".to_owned(),
                "-m".to_owned(),
                "moto.server".to_owned(),
                "--host=127.0.0.1".to_owned(),
                format!("--port={port}"),
            ];
            let server = Server::start(folder("moto"), "/usr/bin/env".as_ref(), &args);
            Ok(Self { _server: server.wait_for("Running on http")?, port })
        })
    }

    /// For `AWS_ENDPOINT_URL`: `http://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port alone.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The ARN of a new key in a region.
    #[track_caller]
    pub fn key(&self, region: &str) -> String {
        let answer = self.ask(region, "CreateKey", &json!({}));
        answer["KeyMetadata"]["Arn"].as_str().expect("a key has an ARN").to_owned()
    }

    /// Makes a request to KMS, such as `DisableKey`.
    ///
    /// # Panics
    /// When it is not done.
    #[track_caller]
    pub fn ask(&self, region: &str, operation: &str, body: &Value) -> Value {
        let body = body.to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/x-amz-json-1.1\r\n\
             X-Amz-Target: TrentService.{operation}\r\nContent-Length: {}\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential=test/20260101/{region}/kms/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket has a timeout");
        stream.write_all(request.as_bytes()).expect("the server takes requests");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the server answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a body");
        assert!(head.starts_with("HTTP/1.1 200"), "{operation}: {answer}");
        serde_json::from_str(body).unwrap_or_default()
    }

    /// A program that finds AWS here, and an access key in its environment.
    pub fn serve(&self, run: Run) -> Run {
        run.env("AWS_ENDPOINT_URL", self.address())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
    }
}
