//! A gate before a server on loopback: counts what comes through, and can turn some of it away.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

/// Hands requests of HTTP/1.1 on to a server, one connection for each. It listens until the test process ends.
pub struct Gate {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

/// What has come to a gate.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Requests that were handed on.
    pub passed: usize,
    /// Requests that were turned away.
    pub refused: usize,
    /// The most that were under way at the same time.
    pub at_once: usize,
    under_way: usize,
    refusals: Vec<String>,
}

impl Gate {
    /// A gate before the server on this port.
    #[track_caller]
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there are free ports");
        let port = listener.local_addr().expect("a listener has an address").port();
        let seen = Arc::<Mutex<Seen>>::default();
        let shared = seen.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let seen = shared.clone();
                std::thread::spawn(move || while hand_on(&client, server, &seen).unwrap_or(false) {});
            }
        });
        Self { port, seen }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers the next requests with these, each a status line, perhaps headers, an empty line and a body.
    pub fn refuse(&self, answers: &[&str]) {
        let answers = answers.iter().rev().map(|answer| (*answer).to_owned());
        locked(&self.seen).refusals = answers.collect();
    }

    /// What has come since it was asked the last time.
    pub fn take(&self) -> Seen {
        std::mem::take(&mut *locked(&self.seen))
    }
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request of a connection; false at its end.
fn hand_on(client: &TcpStream, server: u16, seen: &Mutex<Seen>) -> std::io::Result<bool> {
    client.set_read_timeout(Some(LIMIT))?;
    let Some((head, body)) = message(client)? else { return Ok(false) };
    let refusal = {
        let mut seen = locked(seen);
        seen.under_way += 1;
        seen.at_once = seen.at_once.max(seen.under_way);
        seen.refusals.pop()
    };
    let answer = match &refusal {
        Some(refusal) => {
            let (head, body) = refusal.split_once("\r\n\r\n").unwrap_or((refusal, ""));
            format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
        }
        None => asked(server, &head, &body)?,
    };
    {
        let mut seen = locked(seen);
        seen.under_way -= 1;
        if refusal.is_some() { seen.refused += 1 } else { seen.passed += 1 }
    }
    let mut client = client;
    client.write_all(&answer)?;
    Ok(true)
}

/// The server's answer, with the length of its body.
fn asked(server: u16, head: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    stream.set_read_timeout(Some(LIMIT))?;
    let (first, rest) = head.split_once("\r\n").unwrap_or((head, ""));
    stream.write_all(format!("{first}\r\nConnection: close\r\n{rest}").as_bytes())?;
    stream.write_all(body)?;
    let (head, body) = message(&stream)?.unwrap_or_default();
    let kept = head.split_inclusive("\r\n").filter(|line| !line.to_lowercase().starts_with("connection:"));
    Ok([kept.collect::<String>().as_bytes(), &body].concat())
}

/// The head and the body of a message; `None` at the end of the connection.
pub(crate) fn message(stream: &TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut reader = BufReader::with_capacity(1, stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let header = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        length = header.map_or(length, |(_, value)| value.trim().parse().unwrap_or(0));
        head.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((head, body)))
}
