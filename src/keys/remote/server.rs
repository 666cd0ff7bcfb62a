//! Our key service for others.
//!
//! Connections are on a thread of their own, with a limit to each message, to the time of each request, to how many there
//! are at once, and to how many others are connected; the keys stay where they are. Nothing that was opened is remembered.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::proto::{Request, Response};
use super::{AT_ONCE, LONGEST_MESSAGE, MOST_CONNECTIONS};
use crate::error::{Error, Kind, Result};
use crate::keys::{KeyService, MasterKey, WrappedKey};
use crate::os::LocalListener;
use crate::secret::SecretBytes;

/// How long a request may take, be it that a person is asked.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How often it is looked whether a connection is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Where others connect.
pub enum Listening {
    Tcp(TcpListener),
    Unix(LocalListener),
}

/// What another asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Encrypt,
    Decrypt,
}

/// A request on its way to the keys, and where its answer goes.
struct Job {
    operation: Operation,
    request: Request,
    answer: oneshot::Sender<Result<Response, Status>>,
}

/// Serves the keys of this machine until nobody can connect any more. `admit` says whether a request with this key may be
/// done; it is told what is asked for in a word.
pub async fn serve(
    service: &KeyService<'_>,
    listening: Listening,
    admit: impl Fn(&MasterKey, &str) -> Result<bool>,
) -> Result<()> {
    let (jobs, waiting) = mpsc::channel(AT_ONCE);
    let cannot = |error: io::Error| Error::new(Kind::Other, "cannot serve").caused_by(error);
    let connections =
        thread::Builder::new().name("key service".to_owned()).spawn(move || connect(listening, jobs));
    let connections = connections.map_err(cannot)?;
    let waiting = stream::unfold(waiting, async |mut waiting| Some((waiting.recv().await?, waiting)));
    waiting
        .for_each_concurrent(AT_ONCE, async |Job { operation, request, answer }| {
            let done = work(service, operation, request, &admit).await;
            service.forget();
            // Whoever has asked may have gone.
            let _ = answer.send(done);
        })
        .await;
    connections.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())).map_err(cannot)
}

async fn work(
    service: &KeyService<'_>,
    operation: Operation,
    mut request: Request,
    admit: impl Fn(&MasterKey, &str) -> Result<bool>,
) -> Result<Response, Status> {
    let failed = |error: &Error| Status::new(Code::Unknown, error.to_string());
    let bytes = SecretBytes::new(std::mem::take(&mut request.bytes));
    let key = request.key.take().filter(|key| key.key_type.is_some());
    let key = key.ok_or_else(|| Status::new(Code::NotFound, "Must provide a key"))?;
    let enc = match operation {
        Operation::Encrypt => String::new(),
        Operation::Decrypt => {
            let text = String::from_utf8(bytes.to_vec());
            text.map_err(|_| Status::invalid_argument("the ciphertext is not text"))?
        }
    };
    let wrapped: WrappedKey = key.wrapped(enc).map_err(|error| failed(&error))?;
    let word = match operation {
        Operation::Encrypt => "encrypt",
        Operation::Decrypt => "decrypt",
    };
    if !admit(&wrapped.key, word).map_err(|error| failed(&error))? {
        return Err(Status::permission_denied("Request rejected by user"));
    }
    let done = match operation {
        Operation::Encrypt => service.wrap_one(&wrapped.key, &bytes).await.map(String::into_bytes),
        Operation::Decrypt => {
            service.unwrap_one(&wrapped).await.map(|mut opened| std::mem::take(&mut *opened))
        }
    };
    done.map(|bytes| Response { bytes }).map_err(|error| failed(&error))
}

/// Takes connections, on a runtime of their own: what a key needs may hold up the other one.
fn connect(listening: Listening, jobs: mpsc::Sender<Job>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::builder()
            .timeout(TIMEOUT)
            .concurrency_limit_per_connection(AT_ONCE)
            .http2_keepalive_interval(Some(KEEPALIVE));
        let served = match listening {
            Listening::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let incoming = incoming(listener, async |listener| Ok(listener.accept().await?.0));
                server.serve_with_incoming(Keys { jobs }, incoming).await
            }
            #[cfg(windows)]
            Listening::Unix(listener) => match listener {},
            #[cfg(unix)]
            Listening::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let listener = tokio::net::UnixListener::from_std(listener)?;
                let incoming = incoming(listener, async |listener| Ok(listener.accept().await?.0));
                server.serve_with_incoming(Keys { jobs }, incoming).await
            }
        };
        served.map_err(io::Error::other)
    })
}

/// The connections of a listener. One that is too many is closed at once: who waits would not know why.
fn incoming<L, C>(
    listener: L,
    accept: impl AsyncFn(&L) -> io::Result<C> + Clone,
) -> impl Stream<Item = io::Result<Connection<C>>> {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    stream::unfold((listener, accept, room), async |(listener, accept, room)| {
        loop {
            let connection = accept(&listener).await;
            if let Ok(place) = Arc::clone(&room).try_acquire_owned() {
                let connection = connection.map(|stream| Connection { stream, _place: place });
                return Some((connection, (listener, accept, room)));
            }
        }
    })
}

/// A connection, which has its place among those that there may be.
struct Connection<C> {
    stream: C,
    _place: OwnedSemaphorePermit,
}

impl<C: Connected> Connected for Connection<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> C::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Connection<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Connection<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The service as HTTP sees it.
#[derive(Clone)]
struct Keys {
    jobs: mpsc::Sender<Job>,
}

impl Service<http::Request<Body>> for Keys {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let operation = match request.uri().path() {
            "/KeyService/Encrypt" => Operation::Encrypt,
            "/KeyService/Decrypt" => Operation::Decrypt,
            _ => return Box::pin(async { Ok(Status::unimplemented("there is no such method").into_http()) }),
        };
        let asked = Asked { operation, jobs: self.jobs.clone() };
        Box::pin(async move {
            let codec = ProstCodec::<Response, Request>::default();
            let mut grpc = Grpc::new(codec)
                .max_decoding_message_size(LONGEST_MESSAGE)
                .max_encoding_message_size(LONGEST_MESSAGE);
            Ok(grpc.unary(asked, request).await)
        })
    }
}

/// One method of it.
struct Asked {
    operation: Operation,
    jobs: mpsc::Sender<Job>,
}

impl UnaryService<Request> for Asked {
    type Response = Response;
    type Future = BoxFuture<tonic::Response<Response>, Status>;

    fn call(&mut self, request: tonic::Request<Request>) -> Self::Future {
        let (operation, jobs) = (self.operation, self.jobs.clone());
        Box::pin(async move {
            let (answer, done) = oneshot::channel();
            let gone = || Status::unavailable("the key service has ended");
            let job = Job { operation, request: request.into_inner(), answer };
            jobs.send(job).await.map_err(|_| gone())?;
            done.await.map_err(|_| gone())?.map(tonic::Response::new)
        })
    }
}
