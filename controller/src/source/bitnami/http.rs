//! What kubeseal asks their controller over HTTP: the certificate that it seals for, and whether an object opens.
//!
//! Everybody may ask who reaches it. What was opened stays here, no template is rendered, and nothing is encrypted again: what
//! an object says of itself is authenticated by nothing, and each of these was a way to read secrets of others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use sealant::bitnami::{API_VERSION, KEY_LABEL, KIND, SealedSecret, Template};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::engine::endpoints::{Answer, Request, Response, response};
use crate::engine::object::Key;
use crate::source::bitnami::keyring::Keyring;
use crate::source::bitnami::limit::Limiter;
use crate::source::bitnami::pool::{Failed, Pool};

/// What an object takes at most: the API server takes no larger one.
const LARGEST: usize = 3 << 20;

/// How many objects are verified at once.
const SEATS: usize = 8;

/// How long sending an object may take, and then opening it, with the wait for others.
const PATIENCE_TO_SEND: Duration = Duration::from_secs(5);
const PATIENCE_TO_OPEN: Duration = Duration::from_secs(30);

/// How long a connection may keep its place.
pub const PATIENCE: Duration = Duration::from_secs(45);

const TEXT: &str = "text/plain; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByRequest {
    pub path: &'static str,
    pub code: u16,
    pub method: &'static str,
}

/// Answers kubeseal.
pub struct Desk {
    pool: Arc<Pool>,
    ring: watch::Receiver<Keyring>,
    /// What is said to whoever wants something encrypted again.
    how_to_rotate: String,
    limiter: Limiter,
    seats: Semaphore,
    requests: Family<ByRequest, Counter>,
}

impl Desk {
    pub fn new(
        pool: Arc<Pool>,
        ring: watch::Receiver<Keyring>,
        key_namespace: &str,
        requests: Family<ByRequest, Counter>,
    ) -> Self {
        let how_to_rotate = format!(
            "this controller encrypts nothing again, for that would open it for anybody; whoever may read its keys does it: \
             kubectl get secrets -n {key_namespace} -l {KEY_LABEL} -o yaml > keys.yaml && \
             sealant kubeseal --re-encrypt --recovery-private-key keys.yaml < FILE\n"
        );
        Self {
            pool,
            ring,
            how_to_rotate,
            limiter: Limiter::default(),
            seats: Semaphore::new(SEATS),
            requests,
        }
    }

    pub fn answer(self: Arc<Self>) -> Answer {
        Arc::new(move |request| {
            let desk = Arc::clone(&self);
            Box::pin(async move { desk.counted(request).await })
        })
    }

    async fn counted(&self, request: Request) -> Response {
        let method = match request.method().as_str() {
            "GET" => "get",
            "POST" => "post",
            "HEAD" => "head",
            "PUT" => "put",
            _ => "unknown",
        };
        let (path, response) = match request.uri().path() {
            "/v1/cert.pem" => ("/v1/cert.pem", self.certificate()),
            "/v1/verify" => ("/v1/verify", self.limited(request).await),
            // kubeseal prints what it is told with a code from 500 on, and nothing of it below.
            "/v1/rotate" => {
                ("/v1/rotate", response(StatusCode::NOT_IMPLEMENTED, TEXT, self.how_to_rotate.clone()))
            }
            _ => return response(StatusCode::NOT_FOUND, TEXT, "there is nothing here\n"),
        };
        let label = ByRequest { path, code: response.status().as_u16(), method };
        self.requests.get_or_create(&label).inc();
        response
    }

    /// The certificate of the key that is sealed for.
    fn certificate(&self) -> Response {
        match &self.ring.borrow().current {
            Some(current) => {
                response(StatusCode::OK, "application/x-pem-file", current.certificate.to_string())
            }
            None => response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "cannot get certificate\n"),
        }
    }

    async fn limited(&self, request: Request) -> Response {
        let allowance = self.limiter.take(asker(request.headers()), Instant::now());
        let mut response = match allowance.wait {
            None => self.verify(request).await,
            Some(_) => response(StatusCode::TOO_MANY_REQUESTS, TEXT, "limit exceeded\n"),
        };
        allowance.say(response.headers_mut());
        response
    }

    /// Whether all items of an object open: 200 or 409, and the answer says no more.
    async fn verify(&self, request: Request) -> Response {
        let says = |status| response(status, TEXT, "");
        // What has been sent is in memory: of so many at once.
        let Ok(_seat) = self.seats.try_acquire() else {
            return response(StatusCode::TOO_MANY_REQUESTS, TEXT, "too many at once\n");
        };
        let sent = Limited::new(request.into_body(), LARGEST).collect();
        let sent: Bytes = match timeout(PATIENCE_TO_SEND, sent).await {
            Ok(Ok(sent)) => sent.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return says(StatusCode::PAYLOAD_TOO_LARGE),
            Ok(Err(_)) | Err(_) => return says(StatusCode::BAD_REQUEST),
        };
        let Some(sealed) = read(&sent) else { return says(StatusCode::INTERNAL_SERVER_ERROR) };
        drop(sent);
        if sealed.has_blob {
            return says(StatusCode::CONFLICT);
        }
        let ring = self.ring.borrow().clone();
        if ring.keys.is_empty() {
            return response(StatusCode::SERVICE_UNAVAILABLE, TEXT, "there is no key\n");
        }
        // It is no object of any namespace: all that is asked here takes turns with each of those.
        let opening = self.pool.open(Key::new("", ""), Arc::new(sealed), ring);
        match timeout(PATIENCE_TO_OPEN, opening).await {
            Ok(Ok(_)) => says(StatusCode::OK),
            Ok(Err(Failed::NotOpened(_))) => says(StatusCode::CONFLICT),
            Ok(Err(Failed::NotRendered(_) | Failed::Panicked)) => says(StatusCode::INTERNAL_SERVER_ERROR),
            Err(_) => says(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

/// Who asks, as the API server says that passes it on: the last of those who did. What is before it, anybody can write there.
fn asker(headers: &HeaderMap) -> &str {
    let all = headers.get_all("x-forwarded-for").iter().next_back().and_then(|all| all.to_str().ok());
    let last = all.and_then(|all| all.rsplit(',').next()).unwrap_or_default().trim();
    last.get(..64).unwrap_or(last)
}

/// The object in one document of JSON or YAML, without what its items are to become.
fn read(sent: &[u8]) -> Option<SealedSecret> {
    let of_yaml = || serde_yaml::from_str(std::str::from_utf8(sent).ok()?).ok();
    let object: Value = serde_json::from_slice(sent).ok().or_else(of_yaml)?;
    if object["apiVersion"] != API_VERSION || object["kind"] != KIND {
        return None;
    }
    let metadata = &object["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let annotations = metadata["annotations"].as_object().into_iter().flatten();
    let annotations = annotations.map(|(key, value)| (key.clone(), text(value))).collect();
    let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
    let sealed = SealedSecret::read(&namespace, &name, &annotations, &object["spec"]);
    Some(SealedSecret { template: Template::default(), ..sealed })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sealant::bitnami::SealingKey;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::engine::endpoints;
    use crate::source::bitnami::keyring::Current;

    fn file(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/bitnami").join(name);
        std::io::read_to_string(std::fs::File::open(path).unwrap()).unwrap()
    }

    struct Served {
        address: std::net::SocketAddr,
        desk: Arc<Desk>,
        ring: watch::Sender<Keyring>,
    }

    /// A desk with the keys of the fixtures.
    async fn serve() -> Served {
        let key = |name: &str| {
            let [key, certificate] = ["key", "cert"].map(|what| file(&format!("keys/{name}.{what}.pem")));
            Arc::new(SealingKey::read(key.as_bytes(), certificate.as_bytes()).unwrap())
        };
        let certificate: Arc<str> = file("keys/rsa4096-b.cert.pem").into();
        let current = Current { name: "b".to_owned(), since: jiff::Timestamp::UNIX_EPOCH, certificate };
        let keys = ["rsa4096-b", "rsa4096-a", "rsa2048-c"].map(key).into();
        let (ring, known) = watch::channel(Keyring { keys, current: Some(current) });
        let pool = Arc::new(Pool::start(Counter::default()).unwrap());
        let desk = Arc::new(Desk::new(pool, known, "kube-system", Family::default()));
        let place = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = place.local_addr().unwrap();
        drop(place);
        endpoints::serve(address, PATIENCE, Arc::clone(&desk).answer()).await.unwrap();
        Served { address, desk, ring }
    }

    impl Served {
        /// The code of the answer, and all of it.
        async fn ask(&self, request: &str, headers: &str, body: &[u8]) -> (u16, String) {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            let length = body.len();
            let head = format!("{request} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n");
            stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer).await;
            (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
        }

        /// As somebody who has asked for nothing yet.
        async fn verify(&self, body: &[u8]) -> (u16, String) {
            let asker = format!("X-Forwarded-For: {:x}\r\n", rand::random::<u128>());
            self.ask("POST /v1/verify", &asker, body).await
        }
    }

    #[tokio::test]
    async fn the_certificate_is_that_of_the_key_that_is_sealed_for() {
        let served = serve().await;
        let (code, answer) = served.ask("GET /v1/cert.pem", "", b"").await;
        assert!(code == 200 && answer.contains("content-type: application/x-pem-file"), "{answer}");
        assert_eq!(answer.split_once("\r\n\r\n").unwrap().1, file("keys/rsa4096-b.cert.pem"));
        served.ring.send_replace(Keyring::default());
        let (code, answer) = served.ask("GET /v1/cert.pem", "", b"").await;
        assert!(code == 500 && answer.ends_with("cannot get certificate\n"), "{answer}");
        assert_eq!(served.verify(file("manifests/strict.yaml").as_bytes()).await.0, 503);
    }

    /// Whatever is in it, the answer has a code and no text: not even with a template that would say it.
    #[tokio::test]
    async fn verifying_tells_whether_it_opens_and_nothing_else() {
        let served = serve().await;
        let strict = file("manifests/strict.yaml");
        let renamed = strict.replace("name: mysecret", "name: other");
        assert_ne!(strict, renamed);
        let cases = [
            (strict.clone(), 200),
            (renamed, 409),
            (file("manifests/invalid-base64.yaml"), 409),
            (file("manifests/v1-and-encrypted-data.yaml"), 409),
            (file("manifests/v1-data-blob.yaml"), 409),
            // That its template cannot be rendered is no matter.
            (file("manifests/template-data.yaml").replace("{{", "{{ fail .password }}{{"), 200),
            (format!("{strict}\n---\n{strict}"), 500),
            (strict.replace("kind: SealedSecret", "kind: Secret"), 500),
            (strict.replace("bitnami.com/v1alpha1", "sealant.dev/v1alpha1"), 500),
            ("garbage".to_owned(), 500),
            (String::new(), 500),
            (format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), 500),
            // An alias for an alias for an alias.
            (
                (0..40).fold("a0: &a0 [x, x]\n".to_owned(), |text, index| {
                    format!("{text}a{}: &a{} [*a{index}, *a{index}]\n", index + 1, index + 1)
                }),
                500,
            ),
        ];
        for (sent, expected) in cases {
            let (code, answer) = served.verify(sent.as_bytes()).await;
            assert_eq!(code, expected, "{}", &sent[..sent.len().min(600)]);
            assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        }
        let (code, answer) = served.verify(&vec![b'x'; LARGEST + 1]).await;
        assert!(code == 413, "{answer}");
        let good = ByRequest { path: "/v1/verify", code: 200, method: "post" };
        assert_eq!(served.desk.requests.get_or_create(&good).get(), 2);
        assert_eq!(served.ask("GET /v1/other", "", b"").await.0, 404);
    }

    #[tokio::test]
    async fn whoever_asks_often_waits_whatever_is_said_of_who_asked_before() {
        let served = serve().await;
        let strict = file("manifests/strict.yaml");
        let askers: Vec<String> =
            (0..6).map(|index| format!("X-Forwarded-For: 10.0.0.{index}, 192.0.2.1\r\n")).collect();
        let asking = askers.iter().map(|asker| served.ask("POST /v1/verify", asker, b"garbage"));
        let answers = futures_util::future::join_all(asking).await;
        let refused: Vec<_> = answers.iter().filter(|(code, _)| *code == 429).collect();
        assert!((1..=3).contains(&refused.len()), "{answers:?}");
        assert!(refused.iter().all(|(_, answer)| answer.contains("retry-after: 1")), "{refused:?}");
        let _all = served.desk.seats.acquire_many(SEATS as u32).await.unwrap();
        let (code, answer) = served.verify(strict.as_bytes()).await;
        assert!(code == 429 && answer.contains("too many at once"), "{answer}");
    }

    #[tokio::test]
    async fn nothing_is_encrypted_again_and_the_answer_says_how_it_is() {
        let served = serve().await;
        let (code, answer) =
            served.ask("POST /v1/rotate", "", file("manifests/strict.yaml").as_bytes()).await;
        assert!(code == 501 && answer.contains("kubectl get secrets -n kube-system"), "{answer}");
    }
}
