//! The port of kubelets that the API server's proxy to nodes reaches: TLS, and a text for each path.
//!
//! An API server proxies to no loopback address. So these nodes have addresses that are nowhere, and the API server reaches
//! them as it would over a tunnel: by HTTP CONNECT to a socket of ours.
//!
//! ```text
//!   client ──▶ kube-apiserver ──▶ socket, CONNECT 10.77.0.5:10250 ──▶ TLS listener of that kubelet
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{Context, Result, bail};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use lockkeeper_exporter::server::http::{Handler, Limits, Listener, reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::certs::Certs;
use crate::run_folder::RunFolder;

/// The longest head of a CONNECT that is read.
const HEAD_BYTES_MAX: usize = 4096;
/// How many questions are remembered, the latest: nobody takes them from a sandbox.
const ASKED_MAX: usize = 10_000;

/// What a kubelet answers at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KubeletResponse {
    /// This.
    Text(String),
    /// It knows no such path.
    NotFound,
    /// Nothing at all: it is dead.
    Silence,
}

/// Asks a kubelet for a path.
pub(super) type Kubelet = Arc<dyn Fn(&str) -> KubeletResponse + Send + Sync>;

/// What each kubelet answers, by address and path, and what it was asked for.
#[derive(Default)]
struct PortState {
    /// By order of a test.
    answers: BTreeMap<(String, String), String>,
    /// Who answers otherwise, by address.
    kubelets: BTreeMap<String, Kubelet>,
    asked: VecDeque<String>,
}

impl PortState {
    fn remember(&mut self, asked: String) {
        if self.asked.len() == ASKED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back(asked);
    }
}

/// The ports of a few kubelets. Dropping them closes all of it.
pub struct KubeletPorts {
    egress_config: PathBuf,
    state: Arc<Mutex<PortState>>,
    _tasks: JoinSet<()>,
}

impl KubeletPorts {
    /// Opens a port for the kubelet at each of these addresses.
    ///
    /// # Errors
    /// A file cannot be written, or a socket cannot be opened.
    pub async fn start(folder: &RunFolder, certs: &Certs, addresses: &[&str]) -> Result<Self> {
        let state = Arc::new(Mutex::new(PortState::default()));
        let mut tasks = JoinSet::new();
        let (cert, key) = (certs.apiserver.cert.display(), certs.apiserver.key.display());
        let web = format!("tls_server_config: {{cert_file: {cert}, key_file: {key}}}\n");
        let web = folder.write("kubelets/web.yaml", web)?;
        let mut ports = BTreeMap::new();
        for address in addresses {
            let listener = Listener::bind(&format!("{}:0", folder.address(1)), Some(&web), Limits::default())
                .await
                .context("the port of a kubelet")?;
            ports.insert((*address).to_owned(), listener.local_addr());
            let handler = handler((*address).to_owned(), Arc::clone(&state));
            tasks.spawn(listener.serve(handler, std::future::pending()));
        }
        let socket = folder.path().join("kubelets/egress.sock");
        let listener = UnixListener::bind(&socket).context("the socket of the API server's egress")?;
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let ports = ports.clone();
                // A tunnel that breaks is reported by the API server.
                tokio::spawn(async move { drop(tunnel(stream, &ports).await) });
            }
        });
        let egress_config = folder.write("kubelets/egress.yaml", egress(&socket.display().to_string()))?;
        Ok(Self { egress_config, state, _tasks: tasks })
    }

    /// What the API server must be told to reach kubelets here, at their addresses of this type. To a loopback address,
    /// which is what SSH needs, it would proxy nothing.
    #[must_use]
    pub fn flags(&self, address_type: &str) -> Vec<String> {
        vec![
            format!("--egress-selector-config-file={}", self.egress_config.display()),
            format!("--kubelet-preferred-address-types={address_type}"),
        ]
    }

    /// What the kubelet at this address answers from now on.
    pub fn answer(&self, address: &str, path: &str, text: &str) {
        let mut state = lock(&self.state);
        state.answers.insert((address.to_owned(), path.to_owned()), text.to_owned());
    }

    /// Who answers at this address where no test has ordered an answer.
    pub(super) fn serve(&self, address: String, kubelet: Kubelet) {
        lock(&self.state).kubelets.insert(address, kubelet);
    }

    /// What was asked for since this was last called, as `ADDRESS/PATH`.
    #[must_use]
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.state).asked).into()
    }
}

fn lock(state: &Mutex<PortState>) -> MutexGuard<'_, PortState> {
    state.lock().expect("no one panics while holding the answers")
}

fn handler(address: String, state: Arc<Mutex<PortState>>) -> Handler {
    Arc::new(move |request: Request<Incoming>| {
        let path = request.uri().path().to_owned();
        let (ordered, kubelet) = {
            let mut state = lock(&state);
            state.remember(format!("{address}{path}"));
            let ordered = state.answers.get(&(address.clone(), path.clone())).cloned();
            (ordered, state.kubelets.get(&address).cloned())
        };
        let otherwise = || kubelet.map_or(KubeletResponse::NotFound, |kubelet| kubelet(&path));
        let answer = ordered.map_or_else(otherwise, KubeletResponse::Text);
        Box::pin(async move {
            match answer {
                KubeletResponse::Text(text) => reply(StatusCode::OK, "application/json", text),
                KubeletResponse::NotFound => reply(StatusCode::NOT_FOUND, "text/plain", "404 page not found"),
                KubeletResponse::Silence => std::future::pending().await,
            }
        })
    })
}

/// One connection of the API server: it names where it wants to go, and speaks TLS from there on.
async fn tunnel(mut stream: UnixStream, ports: &BTreeMap<String, std::net::SocketAddr>) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX {
            bail!("a head without an end");
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    let address = head.strip_prefix("CONNECT ").and_then(|rest| rest.split([':', ' ']).next());
    let Some(port) = address.and_then(|address| ports.get(address)) else {
        stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await?;
        bail!("no kubelet is there: {head}");
    };
    let mut kubelet = TcpStream::connect(port).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut stream, &mut kubelet).await?;
    Ok(())
}

fn egress(socket: &str) -> String {
    format!(
        "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\negressSelections:\n- name: cluster\n  \
         connection:\n    proxyProtocol: HTTPConnect\n    transport: {{uds: {{udsName: {socket}}}}}\n"
    )
}
