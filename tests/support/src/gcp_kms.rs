use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{Server, folder, on_free_port};
use crate::{Peers, Run};

/// A server that stands in for Cloud KMS, and for whoever hands out tokens for it. Google's own client takes it for real
/// ([`GcpKms::sdk`]), and so does sops.
///
/// It stops when it is dropped.
pub struct GcpKms {
    _server: Server,
    port: u16,
}

/// What all secrets that the server knows and hands out begin with: none may be in an output.
pub const PLANTED: &str = "PLANTED";

/// The private key of its service account: a public test key.
const SERVICE_ACCOUNT: &str = include_str!("../../../fixtures/gcp/service-account.pem");

impl GcpKms {
    /// Starts a server.
    #[track_caller]
    pub fn start() -> Self {
        on_free_port(|port| {
            let folder = folder("gcp-kms");
            let script = folder.path().join("server.py");
            std::fs::write(&script, include_str!("gcp_kms.py")).expect("a script");
            let args = [script.display().to_string(), port.to_string(), modulus()];
            let server = Server::start(folder, "/usr/bin/python3".as_ref(), &args);
            Ok(Self { _server: server.wait_for("listens")?, port })
        })
    }

    /// For `SOPS_GCP_KMS_ENDPOINT`: `http://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("http://{}", self.authority())
    }

    /// For `GCE_METADATA_HOST`: `127.0.0.1:PORT`.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The resource ID of a key.
    pub fn key(&self, name: &str) -> String {
        format!("projects/p/locations/global/keyRings/r/cryptoKeys/{name}")
    }

    /// A program that finds KMS here, and no credentials.
    pub fn beside(&self, run: Run) -> Run {
        run.env("SOPS_GCP_KMS_ENDPOINT", self.address())
            .env("SOPS_GCP_KMS_CLIENT_TYPE", "rest")
            .env("GCE_METADATA_HOST", "127.0.0.1:9")
    }

    /// A program that finds KMS here, and an access token in its environment.
    pub fn serve(&self, run: Run) -> Run {
        self.beside(run).env("GOOGLE_OAUTH_ACCESS_TOKEN", "PLANTED-static-token")
    }

    /// A file of credentials of its service account.
    pub fn service_account(&self) -> String {
        let account = json!({
            "type": "service_account", "project_id": "p", "client_email": "a@p.iam.gserviceaccount.com",
            "private_key_id": "1", "private_key": SERVICE_ACCOUNT, "token_uri": format!("{}/token", self.address()),
        });
        account.to_string()
    }

    /// What goes wrong with a key, how often: `denied`, `missing`, `disabled`, `throttled`, `unavailable`, `slow`, or
    /// `expired`, after which no token that was handed out counts any more.
    #[track_caller]
    pub fn fault(&self, key: &str, fault: &str, times: usize) {
        self.ask("POST", "/fault", &json!({"key": key, "fault": fault, "times": times}));
    }

    /// The requests so far: `POST PATH STATUS`.
    #[track_caller]
    pub fn requests(&self) -> Vec<String> {
        let answer = self.ask("GET", "/requests", &json!({}));
        let log = answer["log"].as_array().expect("a list");
        let of_clients = |line: &&str| !line.contains(" /fault ") && !line.contains(" /requests ");
        log.iter().filter_map(Value::as_str).filter(of_clients).map(str::to_owned).collect()
    }

    /// How many keys were used at a time, at most.
    #[track_caller]
    pub fn most_at_once(&self) -> u64 {
        self.ask("GET", "/requests", &json!({}))["most"].as_u64().expect("a number")
    }

    /// What a script in Python says that is run with Google's own client; `ENDPOINT` in it is this server.
    #[track_caller]
    pub fn sdk(&self, script: &str) -> String {
        let path = ["google-cloud-kms", "moto"]
            .map(|name| Peers::get().directory().join(name).display().to_string());
        let mut command = Command::new("python3");
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("PYTHONPATH", path.join(":"));
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONWARNINGS", "ignore");
        command.args(["-c", &script.replace("ENDPOINT", &self.address())]);
        let output = command.output().expect("python3 is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a text").trim().to_owned()
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.authority(),
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket has a timeout");
        stream.write_all(request.as_bytes()).expect("the server takes requests");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the server answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a body");
        serde_json::from_str(body).expect("JSON")
    }
}

/// That of the key of its service account, in hexadecimal digits.
fn modulus() -> String {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/gcp/service-account.pem");
    let output = Command::new("openssl").args(["rsa", "-noout", "-modulus", "-in", key]).output();
    let text = String::from_utf8(output.expect("openssl is there").stdout).expect("a text");
    text.trim().trim_start_matches("Modulus=").to_owned()
}
