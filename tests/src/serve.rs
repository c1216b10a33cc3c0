//! A small HTTP server for what the harness itself serves.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;
/// What answers a request.
pub type Handler = Arc<dyn Fn(&Request<Bytes>) -> Response<Body> + Send + Sync>;

/// The largest request that is read: a webhook of many alerts.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on a free port.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(address: Ipv4Addr, handler: Handler) -> Result<Self> {
        let listener =
            TcpListener::bind((address, 0)).await.with_context(|| format!("no free port at {address}"))?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => drop(tokio::spawn(connection(stream, handler.clone()))),
                    // No file is left for the connection; one of those that are open will end.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        Ok(Self { address, task })
    }

    /// Its address as a URL, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(stream: TcpStream, handler: Handler) {
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let (head, body) = request.into_parts();
            let answer = match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
                Ok(body) => handler(&Request::from_parts(head, body.to_bytes())),
                Err(_) => status(StatusCode::PAYLOAD_TOO_LARGE),
            };
            Ok::<_, Infallible>(answer)
        }
    });
    // A client that goes away in the middle is no concern of the server's.
    let _ =
        Builder::new(TokioExecutor::new()).http1_only().serve_connection(TokioIo::new(stream), service).await;
}

/// An answer that is a text.
#[must_use]
pub fn text(content_type: &str, text: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(full(text));
    if let Ok(value) = content_type.parse() {
        answer.headers_mut().insert(http::header::CONTENT_TYPE, value);
    }
    answer
}

/// An answer without a body.
#[must_use]
pub fn status(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(full(""));
    *answer.status_mut() = status;
    answer
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}
