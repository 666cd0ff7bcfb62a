use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Peers;
use crate::server::{NotStarted, Server};

/// A server in Python that stands in for a cloud, and lets tests look at what it was asked and choose what goes wrong.
///
/// It stops when it is dropped.
pub struct StandIn {
    _server: Server,
    port: u16,
}

/// What all secrets that such servers know and hand out begin with: none may be in an output.
pub const PLANTED: &str = "PLANTED";

impl StandIn {
    /// Starts a script in this folder, with the port that it has to listen on as its first argument.
    #[track_caller]
    pub(crate) fn start(
        folder: TempDir,
        script: &str,
        port: u16,
        more: &[String],
    ) -> Result<Self, NotStarted> {
        let path = folder.path().join("server.py");
        std::fs::write(&path, script).expect("a script");
        let args = [&[path.display().to_string(), port.to_string()], more].concat();
        let server = Server::start(folder, "/usr/bin/python3".as_ref(), &args);
        Ok(Self { _server: server.wait_for("listens")?, port })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("http://{}", self.authority())
    }

    /// `127.0.0.1:PORT`.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
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
        let of_tests = |line: &&str| {
            [" /fault ", " /requests ", " /rotate ", " /token-of-tests "]
                .iter()
                .any(|path| line.contains(path))
        };
        log.iter().filter_map(Value::as_str).filter(|line| !of_tests(line)).map(str::to_owned).collect()
    }

    /// How many requests so far have this in them.
    #[track_caller]
    pub fn count(&self, what: &str) -> usize {
        self.requests().iter().filter(|line| line.contains(what)).count()
    }

    /// How many keys were used at a time, at most.
    #[track_caller]
    pub fn most_at_once(&self) -> u64 {
        self.ask("GET", "/requests", &json!({}))["most"].as_u64().expect("a number")
    }

    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
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

/// What a script in Python says that is run with the packages of these peers, and these variables.
#[track_caller]
pub(crate) fn python(peers: &[&str], variables: &[(&str, String)], script: &str) -> String {
    let folders: Vec<_> =
        peers.iter().map(|name| Peers::get().directory().join(name).display().to_string()).collect();
    let mut command = Command::new("python3");
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("PYTHONPATH", folders.join(":"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONWARNINGS", "ignore");
    command.envs(variables.iter().map(|(name, value)| (name, value))).args(["-c", script]);
    let output = command.output().expect("python3 is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a text").trim().to_owned()
}
