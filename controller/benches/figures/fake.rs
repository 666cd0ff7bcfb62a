//! A stand-in for the API server that does no work of its own: what is measured is the controller, with more objects than a
//! real one of a test holds. It makes each object when it is asked for, and forgets what is written.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use sealant::keys::{MasterKey, NewIdentity};
use sealant::sealed_secret::{Options, Scope};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::common::{Controller, identity, seal_for, secret};
use crate::world::{SPACE, items};

/// One that serves until it is dropped.
pub struct Fake {
    content: Arc<Content>,
    folder: PathBuf,
    _runtime: Runtime,
}

/// What it has.
struct Content {
    count: usize,
    /// Whether all Secrets are there, and each status says so.
    settled: bool,
    sealed: Value,
    /// How many statuses were written.
    statuses: AtomicUsize,
}

impl Fake {
    pub fn start(count: usize, settled: bool) -> Self {
        let identity = identity();
        let content = Content { count, settled, sealed: template(&identity), statuses: AtomicUsize::new(0) };
        let content = Arc::new(content);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = Arc::clone(&content);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let content = Arc::clone(&served);
                let answer = service_fn(move |request| answer(Arc::clone(&content), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        let folder =
            std::env::temp_dir().join(format!("sealant-bench-{}-{}", std::process::id(), address.port()));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("team.agekey"), identity.file.as_bytes()).expect("a file");
        let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x", "namespace": "own"}}],
            "clusters": [{"name": "x", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "x", "user": {}}]});
        std::fs::write(folder.join("kubeconfig"), kubeconfig.to_string()).expect("a file");
        Self { content, folder, _runtime: runtime }
    }

    pub fn start_controller(&self) -> Controller {
        let identities = format!("--identity-file={}", self.folder.display());
        Controller::start(&self.folder.join("kubeconfig"), &["--leader-elect=false", &identities])
    }

    /// How many statuses were written.
    pub fn statuses(&self) -> usize {
        self.content.statuses.load(Ordering::Relaxed)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn template(identity: &NewIdentity) -> Value {
    // One for all of them: it opens under any name.
    let options = Options { scope: Some(Scope::Cluster), ..Options::default() };
    let sealed =
        seal_for(&secret(SPACE, "x", &items()), &options, vec![MasterKey::Age(identity.recipient.clone())]);
    serde_json::from_str(&crate::common::json(&sealed)).expect("JSON")
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn answer(content: Arc<Content>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (parts, body) = request.into_parts();
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let is_watch = query.contains("watch=true") || query.contains("watch=1");
    let found = match (&parts.method, path.rsplit('/').next().unwrap_or_default()) {
        (&Method::GET, last) if is_watch => return Ok(watch(content, last.to_owned(), &query)),
        (&Method::GET, name) if path.contains("/sealedsecrets/") => {
            number(name).map(|index| content.sealed(index))
        }
        (&Method::PATCH, "status") => {
            content.statuses.fetch_add(1, Ordering::Relaxed);
            Some(json!({}))
        }
        (&Method::PATCH, name) if path.contains("/secrets/") => Some(made(name, &body)),
        (&Method::PATCH | &Method::POST | &Method::PUT, _) => {
            Some(serde_json::from_slice(&body).unwrap_or_default())
        }
        _ => None,
    };
    let (code, body) = match found {
        Some(found) => (200, found.to_string()),
        None => (404, json!({"kind": "Status", "code": 404, "reason": "NotFound"}).to_string()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    *response.status_mut() = code.try_into().expect("a status");
    Ok(response)
}

/// A list as a stream, and then nothing for as long as a watch lasts.
fn watch(content: Arc<Content>, what: String, query: &str) -> Answer {
    let count = match what.as_str() {
        // With another label they are the identities.
        "secrets" if !content.settled || query.contains("identity") => 0,
        "secrets" | "sealedsecrets" => content.count,
        _ => 0,
    };
    let is_sealed = what == "sealedsecrets";
    let lists = query.contains("sendInitialEvents=true");
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(64);
    tokio::spawn(async move {
        let line = |kind: &str, object: Value| {
            Ok(Frame::data(Bytes::from(format!("{}\n", json!({"type": kind, "object": object})))))
        };
        if lists {
            for index in 0..count {
                let object = if is_sealed { content.sealed(index) } else { content.secret(index) };
                if sender.send(line("ADDED", object)).await.is_err() {
                    return;
                }
            }
            let end = json!({"metadata": {"resourceVersion": "9000000", "annotations": {"k8s.io/initial-events-end": "true"}}});
            let _ = sender.send(line("BOOKMARK", end)).await;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|frame| (frame, receiver))
    });
    Response::new(StreamBody::new(frames).boxed_unsync())
}

impl Content {
    fn sealed(&self, index: usize) -> Value {
        let mut object = self.sealed.clone();
        object["metadata"] = json!({"name": format!("s{index}"), "namespace": SPACE, "uid": uid(index),
            "resourceVersion": (2 * index + 1).to_string(), "generation": 1});
        if self.settled {
            let condition = |kind: &str| {
                json!({"type": kind, "status": "True", "reason": "Unsealed",
                "message": "the Secret is as it should be", "observedGeneration": 1,
                "lastTransitionTime": "2026-11-28T00:00:00Z"})
            };
            object["status"] = json!({"observedGeneration": 1, "secretResourceVersion": version(index),
                "writer": 1, "conditions": [condition("Ready"), condition("Synced")]});
        }
        object
    }

    /// Its metadata.
    fn secret(&self, index: usize) -> Value {
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {
            "name": format!("s{index}"), "namespace": SPACE, "uid": format!("{}f", uid(index)),
            "resourceVersion": version(index), "labels": {"sealant.dev/managed": "true"}}})
    }
}

fn number(name: &str) -> Option<usize> {
    name.strip_prefix('s')?.parse().ok()
}

fn uid(index: usize) -> String {
    format!("00000000-0000-4000-8000-{index:012}")
}

fn version(index: usize) -> String {
    (2 * index + 2).to_string()
}

/// A Secret as it was applied.
fn made(name: &str, body: &[u8]) -> Value {
    let mut object: Value = serde_json::from_slice(body).unwrap_or_default();
    object["metadata"]["resourceVersion"] = "1".into();
    object["metadata"]["uid"] = format!("{name}-uid").into();
    object
}
