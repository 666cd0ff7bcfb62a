//! Serves over HTTP: metrics, whether the controller is well, and what a kind of object has to say to others.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub type Request = hyper::Request<Incoming>;
pub type Response = hyper::Response<Full<Bytes>>;

/// Answers a request.
pub type Answer = Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>;

/// How many connections there are at most: others wait.
const MOST_CONNECTIONS: usize = 1024;

/// How long a connection may take until it has asked for something: whoever says nothing must not keep the kubelet out.
const PATIENCE_TO_ASK: Duration = Duration::from_secs(1);

/// How long a connection may keep its place, where answers take no time.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Answers by the path alone, with a status, a type and a text; `None` where there is nothing. It takes no input.
pub fn by_path(
    answer: impl Fn(&str) -> Option<(StatusCode, &'static str, String)> + Send + Sync + 'static,
) -> Answer {
    Arc::new(move |request| {
        let found = answer(request.uri().path());
        let (status, kind, text) = found
            .unwrap_or_else(|| (StatusCode::NOT_FOUND, "text/plain", "there is nothing here\n".to_owned()));
        Box::pin(std::future::ready(response(status, kind, text)))
    })
}

pub fn response(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

/// Serves answers at an address, until it is dropped. A connection keeps its place for so long at most.
pub async fn serve(address: SocketAddr, patience: Duration, answer: Answer) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    tokio::spawn(async move {
        // It is never closed.
        while let Ok(place) = Arc::clone(&room).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let answer = Arc::clone(&answer);
                    tokio::spawn(async move {
                        serve_one(stream, patience, answer).await;
                        drop(place);
                    });
                }
                // Too many open files, for instance: that passes.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    Ok(())
}

async fn serve_one(stream: tokio::net::TcpStream, patience: Duration, answer: Answer) {
    let respond = |request: Request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE_TO_ASK)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service_fn(respond));
    // Who goes away in the middle of an answer is no concern of ours.
    let _ = tokio::time::timeout(patience, connection).await;
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn whoever_holds_all_connections_open_holds_them_for_a_while_only() {
        let place = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = place.local_addr().unwrap();
        drop(place);
        let answer = by_path(|_| Some((StatusCode::OK, "text/plain", "well".to_owned())));
        serve(address, PATIENCE, answer).await.unwrap();
        let start = Instant::now();
        let mut silent = Vec::new();
        for _ in 0..MOST_CONNECTIONS {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut asking = TcpStream::connect(address).await.unwrap();
        asking.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        asking.read_to_string(&mut answer).await.unwrap();
        // They are all still there, and have said nothing: the first of them has lost its place.
        drop(silent);
        assert!(answer.ends_with("well"), "{answer}");
        assert!(start.elapsed() >= PATIENCE_TO_ASK, "{:?}", start.elapsed());
    }
}
