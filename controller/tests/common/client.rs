//! A client that asks many things at once, where a kubectl for each would take all the time.

use std::path::Path;
use std::sync::Arc;

use hyper::Request;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// Asks the API server as whoever the kubeconfig is of, and does nothing by itself: what is refused is not tried again.
pub struct Bare {
    runtime: Runtime,
    client: Client,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    method: &'static str,
    path: String,
    content: &'static str,
    body: String,
}

/// What was answered, or the status of a refusal; 0 where there was no answer.
pub type Answer = Result<Value, u16>;

impl Asked {
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), content: "application/json", body: String::new() }
    }

    pub fn create(path: impl Into<String>, body: String) -> Self {
        Self { method: "POST", body, ..Self::get(path) }
    }

    pub fn replace(path: impl Into<String>, body: String) -> Self {
        Self { method: "PUT", body, ..Self::get(path) }
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self { method: "DELETE", ..Self::get(path) }
    }

    /// A merge patch.
    pub fn patch(path: impl Into<String>, body: &Value) -> Self {
        let content = "application/merge-patch+json";
        Self { method: "PATCH", content, body: body.to_string(), ..Self::get(path) }
    }

    /// A server-side apply.
    pub fn apply(path: &str, manager: &str, body: String) -> Self {
        let path = format!("{path}?fieldManager={manager}&force=true");
        Self { method: "PATCH", path, content: "application/apply-patch+yaml", body }
    }
}

impl Bare {
    pub fn new(kubeconfig: &Path) -> Self {
        // Another test of this program may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
        let client = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
            config.default_retry = false;
            Client::try_from(config).unwrap()
        });
        Self { runtime, client }
    }

    pub fn ask(&self, asked: Asked) -> Answer {
        self.runtime.block_on(ask(&self.client, asked))
    }

    /// Asks so many at once, and returns the answers in the order of the requests. Each is made when it is its turn.
    pub fn ask_all(&self, at_once: usize, asked: impl IntoIterator<Item = Asked>) -> Vec<Answer> {
        let places = Arc::new(Semaphore::new(at_once));
        let send = |asked| {
            let place = self.runtime.block_on(Arc::clone(&places).acquire_owned());
            let client = self.client.clone();
            self.runtime.spawn(async move {
                let _place = place;
                ask(&client, asked).await
            })
        };
        let answers: Vec<_> = asked.into_iter().map(send).collect();
        answers.into_iter().map(|answer| self.runtime.block_on(answer).unwrap()).collect()
    }

    /// The objects at a path; none where the API server does not answer.
    pub fn list(&self, path: &str) -> Vec<Value> {
        let list = self.ask(Asked::get(path)).unwrap_or_default();
        list["items"].as_array().cloned().unwrap_or_default()
    }
}

async fn ask(client: &Client, asked: Asked) -> Answer {
    let Asked { method, path, content, body } = asked;
    let request = Request::builder().method(method).uri(path).header("Content-Type", content);
    let request = request.body(body.into_bytes()).unwrap();
    client.request::<Value>(request).await.map_err(|error| match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    })
}

/// Where SealedSecrets are.
pub fn sealed_at(namespace: &str) -> String {
    format!("/apis/sealant.dev/v1alpha1/namespaces/{namespace}/sealedsecrets")
}

/// Where Secrets are.
pub fn secrets_at(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets")
}
