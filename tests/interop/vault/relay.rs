//! What sits in front of a real server and does what no server does on demand: to be slow, busy, silent or hostile.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sealant_test_support::Bao;

/// How long the relay plays dead.
const FOR_EVER: Duration = Duration::from_secs(600);

/// More than anybody should read, and less than a machine has.
const FLOOD: u64 = 256 << 20;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// `POST /v1/transit/decrypt/shop`.
    pub line: String,
    /// All of its header lines.
    pub head: String,
    pub body: String,
}

/// What becomes of a request.
pub enum Reply {
    /// The real server answers.
    Forward,
    /// The real server answers, and its answer arrives this much later.
    Late(Duration),
    /// An answer with this status, these header lines and this body.
    Answer(u16, String, String),
    /// These bytes, whatever they are.
    Bytes(&'static [u8]),
    /// The connection is closed.
    Close,
    /// Nothing.
    Silence,
    /// An answer of which one byte comes in a while, without an end.
    Drip,
    /// An answer that is larger than anybody wants.
    Flood,
}

impl Reply {
    /// An answer with an error of Vault's.
    pub fn error(status: u16, error: &str) -> Self {
        Self::Answer(status, String::new(), serde_json::json!({ "errors": [error] }).to_string())
    }

    /// An answer with data, in the form of Vault's.
    pub fn data(data: serde_json::Value) -> Self {
        let answer = serde_json::json!({
            "request_id": "1", "lease_id": "", "renewable": false, "lease_duration": 0,
            "data": data, "wrap_info": null, "warnings": null, "auth": null,
        });
        Self::Answer(200, String::new(), answer.to_string())
    }

    /// Sends the client to the same path at another address.
    pub fn redirect(request: &Request, address: &str) -> Self {
        Self::redirect_by(307, request, address)
    }

    /// The same, with another status.
    pub fn redirect_by(status: u16, request: &Request, address: &str) -> Self {
        let path = request.line.split(' ').nth(1).unwrap_or("/");
        Self::Answer(status, format!("Location: {address}{path}\r\n"), String::new())
    }
}

/// A listener on a port of its own.
pub struct Relay {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    flooded: Arc<AtomicU64>,
}

/// Says what becomes of the request with this number, counted from 0.
type Decide = dyn Fn(usize, &Request) -> Reply + Send + Sync;

impl Relay {
    /// Stands before a real server that speaks HTTP.
    pub fn before(bao: &Bao, decide: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start("http", bao.address(), None, Arc::new(decide))
    }

    /// The same, and speaks HTTPS with the certificate `server.crt` of this folder.
    pub fn tls_before(
        bao: &Bao,
        folder: &Path,
        decide: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let certificate = CertificateDer::from_pem_file(folder.join("server.crt")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate with its key");
        Self::start("https", bao.address(), Some(Arc::new(config)), Arc::new(decide))
    }

    /// Takes connections, and never says a word.
    pub fn silent() -> Self {
        Self::start("http", "", None, Arc::new(|_, _: &Request| Reply::Silence))
    }

    /// A listener that takes no more connections: whoever wants one waits. Returns its address, and what keeps it so.
    pub fn full() -> (String, impl Sized) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
        let waiting: Vec<TcpStream> = std::iter::from_fn(connect).take(8192).collect();
        assert!(waiting.len() < 8192, "the queue of a listener has no end here");
        (format!("http://{address}"), (listener, waiting))
    }

    fn start(scheme: &str, server: &str, tls: Option<Arc<ServerConfig>>, decide: Arc<Decide>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("a listener has an address").port();
        let server = server.trim_start_matches("http://").to_owned();
        let (requests, flooded) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::<AtomicU64>::default());
        let known = (Arc::clone(&requests), Arc::clone(&flooded));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, decide, tls) = (server.clone(), Arc::clone(&decide), tls.clone());
                let (requests, flooded) = (Arc::clone(&requests), Arc::clone(&flooded));
                // A client that goes away is no failure of the test.
                thread::spawn(move || match tls {
                    None => serve(stream, &server, &*decide, &requests, &flooded).ok(),
                    Some(tls) => {
                        let stream = StreamOwned::new(ServerConnection::new(tls).ok()?, stream);
                        serve(stream, &server, &*decide, &requests, &flooded).ok()
                    }
                });
            }
        });
        Self { address: format!("{scheme}://127.0.0.1:{port}"), requests: known.0, flooded: known.1 }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// The URI of a transit key there.
    pub fn uri(&self, engine: &str, name: &str) -> String {
        format!("{}/v1/{engine}/keys/{name}", self.address)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How many requests there were so far with this in their first line.
    pub fn count(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| request.line.contains(path)).count()
    }

    /// How many bytes of a flood were taken.
    pub fn flooded(&self) -> u64 {
        self.flooded.load(Ordering::Relaxed)
    }
}

fn serve(
    mut client: impl Read + Write,
    server: &str,
    decide: &Decide,
    requests: &Mutex<Vec<Request>>,
    flooded: &AtomicU64,
) -> io::Result<()> {
    let request = read_request(&mut client)?;
    let number = {
        let mut requests = requests.lock().unwrap();
        requests.push(request.clone());
        requests.len() - 1
    };
    const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
    match decide(number, &request) {
        Reply::Forward => client.write_all(&forward(&request, server)?)?,
        Reply::Late(pause) => {
            let answer = forward(&request, server)?;
            thread::sleep(pause);
            client.write_all(&answer)?;
        }
        Reply::Answer(status, head, body) => {
            let length = body.len();
            let head = format!("HTTP/1.1 {status} Said\r\n{head}Content-Length: {length}\r\n");
            client.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes())?;
        }
        Reply::Bytes(bytes) => client.write_all(bytes)?,
        Reply::Close => {}
        Reply::Silence => thread::sleep(FOR_EVER),
        Reply::Drip => {
            client.write_all(ENDLESS)?;
            for _ in 0..FOR_EVER.as_secs() * 5 {
                client.write_all(b" ")?;
                client.flush()?;
                thread::sleep(Duration::from_millis(200));
            }
        }
        Reply::Flood => {
            client.write_all(ENDLESS)?;
            let block = [b' '; 64 << 10];
            while flooded.load(Ordering::Relaxed) < FLOOD {
                client.write_all(&block)?;
                flooded.fetch_add(block.len() as u64, Ordering::Relaxed);
            }
        }
    }
    client.flush()
}

fn read_request(client: &mut impl Read) -> io::Result<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    let mut read = |bytes: &mut Vec<u8>| match client.read(&mut buffer)? {
        0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        count => {
            bytes.extend_from_slice(&buffer[..count]);
            Ok(())
        }
    };
    let end = loop {
        match bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(end) => break end,
            None => read(&mut bytes)?,
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    while bytes.len() < end + 4 + length.unwrap_or(0) {
        read(&mut bytes)?;
    }
    let (line, head) = head.split_once("\r\n").unwrap_or((&head, ""));
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    let body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
    Ok(Request { line, head: head.to_owned(), body })
}

/// The real server's answer.
fn forward(request: &Request, server: &str) -> io::Result<Vec<u8>> {
    let Request { line, head, body } = request;
    let mut stream = TcpStream::connect(server)?;
    stream.write_all(format!("{line} HTTP/1.1\r\nConnection: close\r\n{head}\r\n\r\n{body}").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
