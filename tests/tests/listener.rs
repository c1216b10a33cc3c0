//! The listener that both programs use: TLS, client certificates and users by a web config file, and its limits.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use lockkeeper_exporter::client::kubernetes::install_tls_provider;
use lockkeeper_exporter::server::http::{Handler, Limits, Listener, read_body, text};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use reqwest::{Certificate, Client, ClientBuilder, Identity};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// bcrypt of "secret" at the least cost.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate and its key.
    fn sign(&self, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn write_server(&self, folder: &Path) {
        let (cert, key) = self.sign(ExtendedKeyUsagePurpose::ServerAuth);
        std::fs::write(folder.join("server.crt"), cert).unwrap();
        std::fs::write(folder.join("server.key"), key).unwrap();
        std::fs::write(folder.join("ca.crt"), &self.pem).unwrap();
    }

    fn client(&self) -> ClientBuilder {
        Client::builder()
            .tls_certs_only([Certificate::from_pem(self.pem.as_bytes()).unwrap()])
            .pool_max_idle_per_host(0)
    }
}

/// More than the pause between two looks at the files.
const LOOKED_AT_AGAIN: Duration = Duration::from_millis(1_500);
const TLS: &str = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n";

/// A listener that answers with the length of the body, which may be four bytes long.
struct Running {
    url: String,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(web_config: Option<&Path>, limits: Limits) -> Running {
    install_tls_provider();
    let listener = Listener::bind("127.0.0.1:0", web_config, limits).await.unwrap();
    let address = listener.local_addr();
    let scheme = if listener.is_tls() { "https" } else { "http" };
    let handler: Handler = Arc::new(|request| {
        Box::pin(async move {
            if request.uri().path() == "/slow" {
                std::future::pending::<()>().await;
            }
            let (parts, body) = request.into_parts();
            match read_body(&parts.headers, body, 4).await {
                Ok(body) => text(StatusCode::OK, body.len().to_string()),
                Err(error) => text(error.status(), error.to_string()),
            }
        })
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(listener.serve(handler, async {
        // A dropped sender means the same.
        let _stopped = stopped.await;
    }));
    Running { url: format!("{scheme}://{address}/"), address, stop, task }
}

fn folder_with(config: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("web.yaml"), config).unwrap();
    folder
}

#[tokio::test]
async fn only_who_names_a_user_with_the_right_password_is_let_in() {
    let folder = folder_with(&format!("basic_auth_users: {{prometheus: '{HASH}'}}\n"));
    let running = start(Some(&folder.path().join("web.yaml")), Limits::default()).await;
    let client = Client::new();
    for (user, password, status) in [
        ("prometheus", "secret", 200),
        ("prometheus", "wrong", 401),
        ("nobody", "secret", 401),
        ("prometheus", "secret", 200),
    ] {
        let answer = client.get(&running.url).basic_auth(user, Some(password)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{user} {password}");
    }
    for header in ["", "Basic", "Basic !!!", "Bearer cHJvbWV0aGV1czpzZWNyZXQ="] {
        let answer = client.get(&running.url).header("authorization", header).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{header}");
    }
    assert_eq!(client.get(&running.url).send().await.unwrap().headers()["www-authenticate"], "Basic");
}

#[tokio::test]
async fn tls_is_spoken_and_a_new_certificate_is_taken_up_without_a_restart() {
    let folder = folder_with(TLS);
    let first = Authority::new();
    first.write_server(folder.path());
    let running = start(Some(&folder.path().join("web.yaml")), Limits::default()).await;
    assert_eq!(first.client().build().unwrap().get(&running.url).send().await.unwrap().status(), 200);
    assert!(Authority::new().client().build().unwrap().get(&running.url).send().await.is_err(), "another CA");

    std::fs::write(folder.path().join("server.crt"), "half a certif").unwrap();
    let broken_since = Instant::now();
    while broken_since.elapsed() < LOOKED_AT_AGAIN {
        let answer = first.client().build().unwrap().get(&running.url).send().await;
        assert!(answer.is_ok(), "a broken file changes nothing");
    }

    let second = Authority::new();
    second.write_server(folder.path());
    let client = second.client().build().unwrap();
    let taken_up = async { while client.get(&running.url).send().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(10), taken_up).await.unwrap();
}

#[tokio::test]
async fn a_client_certificate_is_demanded_and_checked() {
    let folder = folder_with(
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.crt, \
         client_auth_type: RequireAndVerifyClientCert, min_version: TLS13}\n",
    );
    let authority = Authority::new();
    authority.write_server(folder.path());
    let running = start(Some(&folder.path().join("web.yaml")), Limits::default()).await;
    let identity = |signer: &Authority| {
        let (cert, key) = signer.sign(ExtendedKeyUsagePurpose::ClientAuth);
        Identity::from_pem(format!("{cert}{key}").as_bytes()).unwrap()
    };
    let with = |builder: ClientBuilder| builder.build().unwrap().get(&running.url).send();
    assert_eq!(with(authority.client().identity(identity(&authority))).await.unwrap().status(), 200);
    assert!(with(authority.client()).await.is_err(), "no certificate");
    assert!(with(authority.client().identity(identity(&Authority::new()))).await.is_err(), "a stranger's");
}

#[tokio::test]
async fn a_web_config_that_cannot_be_used_is_refused_and_names_its_field() {
    install_tls_provider();
    for (config, words) in [
        ("basic_auth_users: {prometheus: secret}", "basic_auth_users.prometheus"),
        ("basic_auth_user: {}", "basic_auth_user"),
        (TLS, "tls_server_config.cert_file"),
        ("tls_server_config: {cert_file: a}", "key_file"),
        ("tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}", "client_auth_type"),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAndVerifyClientCert}",
            "client_ca_file",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAnyClientCert}",
            "RequireAnyClientCert",
        ),
        ("tls_server_config: {cert_file: a, key_file: b, min_version: TLS10}", "TLS10"),
    ] {
        let folder = folder_with(config);
        let bound =
            Listener::bind("127.0.0.1:0", Some(&folder.path().join("web.yaml")), Limits::default()).await;
        let error = bound.unwrap_err().to_string();
        assert!(error.contains(words), "{config}: {error}");
    }
    let missing =
        Listener::bind("127.0.0.1:0", Some(Path::new("/nonexistent/web.yaml")), Limits::default()).await;
    assert!(missing.unwrap_err().to_string().contains("/nonexistent/web.yaml"));
}

/// Sends raw bytes and reads until the server hangs up or the time is over.
async fn raw(running: &Running, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("the server hangs up").unwrap();
    answer
}

#[tokio::test]
async fn slow_large_and_broken_requests_are_cut_off() {
    let limits = Limits { head_seconds_max: 1, request_seconds_max: 1, ..Limits::default() };
    let running = start(None, limits).await;
    assert_eq!(raw(&running, b"GET / HTTP/1.1\r\nhost: x\r\n").await, "", "half a head");
    let slow = raw(&running, b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(slow.starts_with("HTTP/1.1 503"), "{slow}");
    let large = raw(&running, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n").await;
    assert!(large.starts_with("HTTP/1.1 413"), "refused by what it announces: {large}");
    let chunked = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n";
    let chunked = raw(&running, chunked).await;
    assert!(chunked.starts_with("HTTP/1.1 413"), "{chunked}");
    let endless = raw(&running, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab").await;
    assert!(endless.starts_with("HTTP/1.1 503"), "a body that does not come: {endless}");
    let garbage = raw(&running, b"\x16\x03\x01 what\r\n\r\n").await;
    assert!(garbage.starts_with("HTTP/1.1 400"), "{garbage}");
}

/// One request over a connection that stays open, and the head of its answer.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // The answer is "0": a body of no bytes.
    while !answer.ends_with(b"\r\n\r\n0") {
        answer.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn more_connections_than_allowed_wait_and_are_served_later() {
    let running = start(None, Limits { connections_max: 1, ..Limits::default() }).await;
    let mut first = TcpStream::connect(running.address).await.unwrap();
    assert!(ask(&mut first).await.starts_with("HTTP/1.1 200"));
    let mut second = TcpStream::connect(running.address).await.unwrap();
    second.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    // While the first is served again and again, the second has every chance to be let in.
    for _ in 0..50 {
        assert!(ask(&mut first).await.starts_with("HTTP/1.1 200"));
    }
    let early = second.try_read(&mut [0; 1]).expect_err("the only place is taken");
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    let mut answer = String::new();
    let read = second.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("its turn comes").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_stop() {
    let running = start(None, Limits::default()).await;
    let client = Client::new();
    assert_eq!(client.get(&running.url).send().await.unwrap().status(), 200);
    running.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(4), running.task).await.expect("it ends at once").unwrap();
    assert!(client.get(&running.url).send().await.is_err(), "nobody listens any more");
}
