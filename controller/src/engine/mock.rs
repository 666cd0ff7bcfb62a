//! An API server for tests, which answers as it is told.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kube::Client;
use tokio::net::TcpListener;

use crate::engine::api::ApiServer;
use crate::engine::metrics::Metrics;

/// What was asked so far: methods, paths and queries.
pub type Log = Arc<Mutex<Vec<String>>>;

/// What comes of a request.
pub enum Reply {
    Says(u16, String),
    /// The connection ends without an answer.
    Lost,
    /// Nothing comes, and the connection stays.
    Silent,
}

/// Starts one. It answers each request with a status and a body.
pub async fn start(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> (ApiServer, Log) {
    let (client, log) = start_slow(Duration::ZERO, answer).await;
    (ApiServer::new(client, Arc::new(Metrics::new())), log)
}

/// Starts one that needs so long for each answer.
pub async fn start_slow(
    delay: Duration,
    answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
) -> (Client, Log) {
    start_with(delay, move |asked, _| {
        let (status, body) = answer(asked);
        Reply::Says(status, body)
    })
    .await
}

/// Starts one that looks at what it is sent, too, and may leave requests without an answer.
pub async fn start_with(
    delay: Duration,
    answer: impl Fn(&str, &[u8]) -> Reply + Send + Sync + 'static,
) -> (Client, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (log, answer) = (Log::default(), Arc::new(answer));
    let asked = Arc::clone(&log);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
            let respond = move |request: Request<Incoming>| {
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                async move {
                    let said = format!("{} {}", request.method(), request.uri());
                    let sent = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
                    let reply = answer(&said, &sent);
                    asked.lock().unwrap().push(said);
                    tokio::time::sleep(delay).await;
                    let (status, body) = match reply {
                        Reply::Says(status, body) => (status, body),
                        Reply::Lost => return Err(io::Error::other("lost")),
                        Reply::Silent => std::future::pending().await,
                    };
                    let mut response = Response::new(Full::new(Bytes::from(body)));
                    *response.status_mut() = status.try_into().unwrap();
                    Ok::<_, io::Error>(response)
                }
            };
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(respond)));
        }
    });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
    config.default_retry = false;
    (Client::try_from(config).unwrap(), log)
}
