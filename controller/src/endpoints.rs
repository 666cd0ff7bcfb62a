//! What the controller serves: metrics, and whether it is well. Nothing here takes any input or opens anything.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

/// Answers to a path with a status, a type and a text; `None` where there is nothing.
pub type Answer = Arc<dyn Fn(&str) -> Option<(StatusCode, &'static str, String)> + Send + Sync>;

/// Serves answers at an address, until it is dropped.
pub async fn serve(address: SocketAddr, answer: Answer) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(serve_one(stream, Arc::clone(&answer)))),
                // Too many open files, for instance: that passes.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            }
        }
    });
    Ok(())
}

async fn serve_one(stream: tokio::net::TcpStream, answer: Answer) {
    let respond = |request: Request<Incoming>| {
        let found = answer(request.uri().path());
        async move { Ok::<_, Infallible>(response(found)) }
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service_fn(respond));
    // Who goes away in the middle of an answer is no concern of ours.
    let _ = connection.await;
}

fn response(found: Option<(StatusCode, &'static str, String)>) -> Response<Full<Bytes>> {
    let (status, kind, text) =
        found.unwrap_or_else(|| (StatusCode::NOT_FOUND, "text/plain", "there is nothing here\n".to_owned()));
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
