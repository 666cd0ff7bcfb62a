//! A server on loopback that says what a test wants it to say.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::gate::message;

/// Answers each request of HTTP/1.1 by its head, with 404 where there is nothing to say, and remembers the heads. It listens
/// until the test process ends.
pub struct Answering {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Answering {
    /// With the body that is said to a head: `GET /path HTTP/1.1`, and headers below it.
    #[track_caller]
    pub fn start(answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there are free ports");
        let port = listener.local_addr().expect("a listener has an address").port();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let (shared, answer) = (Arc::clone(&heads), Arc::new(answer));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (heads, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                std::thread::spawn(move || while say(&client, &heads, &*answer).unwrap_or(false) {});
            }
        });
        Self { port, heads }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The heads of the requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers one request of a connection; false at its end.
fn say(
    client: &TcpStream,
    heads: &Mutex<Vec<String>>,
    answer: &dyn Fn(&str) -> Option<String>,
) -> std::io::Result<bool> {
    let Some((head, _)) = message(client)? else { return Ok(false) };
    let body = answer(&head);
    heads.lock().unwrap_or_else(PoisonError::into_inner).push(head);
    let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
    let body = body.unwrap_or_default();
    let mut client = client;
    write!(client, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    Ok(true)
}
