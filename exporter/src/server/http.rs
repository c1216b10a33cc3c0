//! A listener that both programs use: HTTP/1.1 with a limit on everything, TLS and basic auth by a web config file.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::web_config::{Security, WebConfigError};

/// What answers a request.
pub type Handler = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Response<Full<Bytes>>> + Send + Sync>;

/// What a listener allows. The defaults suit scrapes and webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many connections are served at once; more wait in the backlog.
    pub connections_max: usize,
    /// How many of them one address may have; more are closed, so that nobody alone keeps all others out.
    pub connections_per_peer_max: usize,
    /// How long the first request head of a connection may take: whoever connects has something to ask.
    pub first_head_seconds_max: u64,
    /// How long each other request head, and the pause before it, may take.
    pub head_seconds_max: u64,
    /// How long a TLS handshake may take.
    pub handshake_seconds_max: u64,
    /// How long an answer may take to be made.
    pub request_seconds_max: u64,
    /// How long a connection lives; a reader that stalls is cut off then.
    pub connection_seconds_max: u64,
    /// How long open requests may go on after the stop.
    pub stop_seconds_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 256,
            // Many clients may stand behind one address, and each has a connection or two.
            connections_per_peer_max: 32,
            first_head_seconds_max: 5,
            // Longer than a usual scrape interval, so that scrapes reuse their connection.
            head_seconds_max: 40,
            handshake_seconds_max: 5,
            request_seconds_max: 30,
            connection_seconds_max: 600,
            stop_seconds_max: 5,
        }
    }
}

impl Limits {
    /// For a listener of probes alone: the kubelet opens a connection for each, and asks once. Whoever holds one open to
    /// keep it out must come from many addresses, and come back all the time.
    #[must_use]
    pub fn probes() -> Self {
        Self {
            connections_per_peer_max: 8,
            first_head_seconds_max: 1,
            head_seconds_max: 1,
            request_seconds_max: 1,
            connection_seconds_max: 5,
            ..Self::default()
        }
    }
}

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken, or is none.
    #[error("cannot listen on {address:?}; choose another address")]
    Bind {
        /// The address as configured.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The web config file cannot be used.
    #[error(transparent)]
    WebConfig(#[from] WebConfigError),
}

/// An open port that does not answer yet.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    security: Arc<Security>,
    limits: Limits,
}

impl Listener {
    /// Opens `host:port` or `:port`; port 0 takes a free one. The web config file says TLS and users.
    ///
    /// # Errors
    /// The address is taken or is none, or the web config file cannot be used.
    pub async fn bind(address: &str, web_config: Option<&Path>, limits: Limits) -> Result<Self, ListenError> {
        let security = Arc::new(Security::load(web_config)?);
        let failed = |source| ListenError::Bind { address: address.to_owned(), source };
        let tcp = bind_tcp(address).await.map_err(failed)?;
        let address = tcp.local_addr().map_err(failed)?;
        Ok(Self { tcp, address, security, limits })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.security.is_tls()
    }

    /// Answers until `stop` resolves, then lets open requests end.
    pub async fn serve(self, handler: Handler, stop: impl Future<Output = ()> + Send) {
        let room = Arc::new(Semaphore::new(self.limits.connections_max));
        let peers = Arc::new(Peers::default());
        let (stop_connections, stopping) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            while connections.try_join_next().is_some() {}
            let (stream, place) = tokio::select! {
                () = &mut stop => break,
                accepted = self.accept(&room, &peers) => accepted,
            };
            let connection = Connection {
                handler: Arc::clone(&handler),
                security: Arc::clone(&self.security),
                limits: self.limits,
                stopping: stopping.clone(),
                _place: place,
            };
            connections.spawn(connection.serve(stream));
        }
        drop(self.tcp);
        let _nobody_is_connected = stop_connections.send(true);
        let rest = async { while connections.join_next().await.is_some() {} };
        // Whoever is still there afterwards is cut off when the set is dropped.
        let _cut_off = tokio::time::timeout(Duration::from_secs(self.limits.stop_seconds_max), rest).await;
    }

    async fn accept(&self, room: &Arc<Semaphore>, peers: &Arc<Peers>) -> (TcpStream, Place) {
        let in_all = Arc::clone(room).acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match self.tcp.accept().await {
                Ok((stream, peer)) => match peers.enter(peer.ip(), self.limits.connections_per_peer_max) {
                    Some(of_peer) => return (stream, Place { _in_all: in_all, _of_peer: of_peer }),
                    None => {
                        tracing::debug!(%peer, "closed: this address has all the connections it may have")
                    }
                },
                Err(error) => {
                    // Usually out of file descriptors: at once again would only burn the processor.
                    tracing::warn!(error = %error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn bind_tcp(address: &str) -> std::io::Result<TcpListener> {
    let Some(port) = address.strip_prefix(':') else { return TcpListener::bind(address).await };
    match TcpListener::bind(format!("[::]:{port}")).await {
        Ok(listener) => Ok(listener),
        // A machine without IPv6.
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(error),
        Err(_) => TcpListener::bind(format!("0.0.0.0:{port}")).await,
    }
}

/// How many connections each address has. An address without any is not in it.
#[derive(Debug, Default)]
struct Peers(Mutex<HashMap<IpAddr, usize>>);

impl Peers {
    /// Counts one more connection of this address, unless it has as many as it may.
    fn enter(self: &Arc<Self>, address: IpAddr, connections_max: usize) -> Option<OfPeer> {
        // The same machine, whether it comes over IPv4 or over IPv4 mapped into IPv6.
        let address = address.to_canonical();
        let mut counts = self.lock();
        let count = counts.get(&address).copied().unwrap_or(0);
        if count >= connections_max {
            return None;
        }
        counts.insert(address, count + 1);
        Some(OfPeer { peers: Arc::clone(self), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().expect("nothing panics while it counts")
    }
}

/// One connection of an address, counted until it is dropped.
#[derive(Debug)]
struct OfPeer {
    peers: Arc<Peers>,
    address: IpAddr,
}

impl Drop for OfPeer {
    fn drop(&mut self) {
        let mut counts = self.peers.lock();
        match counts.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(counts.remove(&self.address)),
        }
    }
}

/// A connection's place among all, and among those of its address.
struct Place {
    _in_all: OwnedSemaphorePermit,
    _of_peer: OfPeer,
}

struct Connection {
    handler: Handler,
    security: Arc<Security>,
    limits: Limits,
    stopping: watch::Receiver<bool>,
    _place: Place,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let _small_answers_leave_at_once = stream.set_nodelay(true);
        let Some(tls) = self.security.tls() else { return self.http(stream).await };
        let handshake = tokio_rustls::TlsAcceptor::from(tls).accept(stream);
        match tokio::time::timeout(Duration::from_secs(self.limits.handshake_seconds_max), handshake).await {
            Ok(Ok(stream)) => self.http(stream).await,
            Ok(Err(error)) => tracing::debug!(error = %error, "TLS handshake failed"),
            Err(_elapsed) => tracing::debug!("TLS handshake took too long"),
        }
    }

    async fn http<S: AsyncRead + AsyncWrite + Unpin>(mut self, stream: S) {
        let has_asked = AtomicBool::new(false);
        let service = service_fn(|request| {
            has_asked.store(true, Ordering::Relaxed);
            let (handler, security) = (Arc::clone(&self.handler), Arc::clone(&self.security));
            let deadline = Duration::from_secs(self.limits.request_seconds_max);
            async move { Ok::<_, std::convert::Infallible>(answer(&handler, &security, deadline, request).await) }
        });
        let connection = http1::Builder::new()
            // Without a timer the header deadline is silently off.
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(self.limits.head_seconds_max))
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let never_asks = async {
            tokio::time::sleep(Duration::from_secs(self.limits.first_head_seconds_max)).await;
            if has_asked.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            ended = connection.as_mut() => return log_end(ended),
            () = never_asks => return tracing::debug!("closed: nothing was asked"),
            _ = self.stopping.wait_for(|stopping| *stopping) => {}
            () = tokio::time::sleep(Duration::from_secs(self.limits.connection_seconds_max)) => {}
        }
        connection.as_mut().graceful_shutdown();
        let last_request = Duration::from_secs(self.limits.request_seconds_max);
        if let Ok(ended) = tokio::time::timeout(last_request, connection).await {
            log_end(ended);
        }
    }
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(error = %error, "connection ended early");
    }
}

async fn answer(
    handler: &Handler,
    security: &Arc<Security>,
    deadline: Duration,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let made =
        async { if security.allows(request.headers()).await { Some(handler(request).await) } else { None } };
    match tokio::time::timeout(deadline, made).await {
        Ok(Some(response)) => response,
        Ok(None) => unauthorized(),
        Err(_elapsed) => text(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long\n"),
    }
}

fn unauthorized() -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::UNAUTHORIZED, "user and password are needed\n");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    response
}

/// An answer of this type.
pub fn reply(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A short answer in words.
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    reply(status, "text/plain; charset=utf-8", body)
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than allowed: answer 413.
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// It did not arrive whole: answer 400.
    #[error("the body did not arrive whole")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl BodyError {
    /// The status to answer with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a body whole, at most `bytes_max` of it. What announces itself as larger is refused unread. Its deadline
/// is that of the request.
///
/// # Errors
/// The body is too large or breaks off.
pub async fn read_body<B>(headers: &HeaderMap, body: B, bytes_max: usize) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| usize::try_from(bytes).map_or(true, |bytes| bytes > bytes_max)) {
        return Err(BodyError::TooLarge { bytes_max });
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(BodyError::TooLarge { bytes_max })
        }
        Err(error) => Err(BodyError::Broken(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn read(announced: Option<&str>, body: &'static str, bytes_max: usize) -> Result<Bytes, u16> {
        let mut headers = HeaderMap::new();
        if let Some(announced) = announced {
            headers.insert(header::CONTENT_LENGTH, announced.parse().unwrap());
        }
        let body = Full::new(Bytes::from_static(body.as_bytes()));
        read_body(&headers, body, bytes_max).await.map_err(|error| error.status().as_u16())
    }

    /// A listener that answers with nothing, and lives as long as the test.
    async fn listener(limits: Limits) -> SocketAddr {
        let listener = Listener::bind("127.0.0.1:0", None, limits).await.unwrap();
        let address = listener.local_addr();
        let handler: Handler = Arc::new(|_request| Box::pin(async { text(StatusCode::OK, "") }));
        drop(tokio::spawn(listener.serve(handler, std::future::pending())));
        address
    }

    async fn connect(from: &str, to: SocketAddr) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(to).await.unwrap()
    }

    /// Whether a request is answered over this connection; not if it is closed.
    async fn is_answered(stream: &mut TcpStream) -> bool {
        let asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut answer = [0; 15];
        asked.is_ok()
            && within_a_minute(stream.read_exact(&mut answer)).await.is_ok()
            && answer.ends_with(b"200 OK")
    }

    /// Resolves when the other end hangs up.
    async fn hang_up(stream: &mut TcpStream) {
        let mut rest = Vec::new();
        // Reset or closed: both are the end.
        let _ended = within_a_minute(stream.read_to_end(&mut rest)).await;
    }

    async fn within_a_minute<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(60), future).await.expect("it takes no minute")
    }

    #[tokio::test]
    async fn one_address_gets_its_share_of_connections_and_keeps_no_other_out() {
        let limits = Limits { connections_max: 4, connections_per_peer_max: 2, ..Limits::default() };
        let address = listener(limits).await;
        let mut idle = [connect("127.0.0.1", address).await, connect("127.0.0.1", address).await];
        for _ in 0..10 {
            assert!(!is_answered(&mut connect("127.0.0.1", address).await).await, "it has its share");
        }
        assert!(is_answered(&mut connect("127.0.0.2", address).await).await, "another address");
        for stream in &mut idle {
            assert!(is_answered(stream).await, "what is open stays open");
        }
        drop(idle);
        let again = async { while !is_answered(&mut connect("127.0.0.1", address).await).await {} };
        within_a_minute(again).await;
    }

    #[tokio::test]
    async fn who_connects_and_asks_nothing_is_cut_off_and_who_has_asked_is_not() {
        let address = listener(Limits { first_head_seconds_max: 1, ..Limits::default() }).await;
        let mut asks = connect("127.0.0.1", address).await;
        assert!(is_answered(&mut asks).await);
        let mut rest = [0; 4096];
        let _body = within_a_minute(asks.read(&mut rest)).await.unwrap();
        let mut idle = connect("127.0.0.1", address).await;
        let mut half = connect("127.0.0.1", address).await;
        half.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        hang_up(&mut idle).await;
        hang_up(&mut half).await;
        assert!(is_answered(&mut asks).await, "it may pause for longer");
    }

    #[test]
    fn an_address_is_one_however_it_is_written_and_forgotten_when_it_has_gone() {
        let peers = Arc::new(Peers::default());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = peers.enter(address("10.0.0.1"), 2);
        let second = peers.enter(address("::ffff:10.0.0.1"), 2);
        assert!(first.is_some() && second.is_some());
        assert!(peers.enter(address("10.0.0.1"), 2).is_none());
        drop(first);
        assert!(peers.enter(address("10.0.0.1"), 2).is_some());
        drop(second);
        assert!(peers.lock().is_empty());
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit_and_not_beyond() {
        assert_eq!(read(None, "four", 4).await, Ok(Bytes::from_static(b"four")));
        assert_eq!(read(None, "five!", 4).await, Err(413));
        assert_eq!(read(Some("999999999999999999999"), "four", 4).await, Ok(Bytes::from_static(b"four")));
        assert_eq!(read(Some("5"), "", 4).await, Err(413), "refused by what it announces");
    }
}
