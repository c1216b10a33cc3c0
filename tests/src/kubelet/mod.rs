//! Simulated kubelets: one task keeps every node of a World as its kubelet would.
//!
//! What it shows was recorded on real machines of the same minor (`words`). What it shows of a node's own comes from the
//! folder of the node's machine: the version that runs, the boot id, whether the kubelet is broken. What it shows of the
//! control plane's own comes from the real processes.

mod mirror;
mod node;
mod pod;
mod port;
mod words;

pub(crate) use pod::NEVER_READY;
pub use port::KubeletPorts;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::Result;
use lockkeeper_rules::cluster::snapshot::Role;
use tokio::task::JoinHandle;

use crate::machine::Folder;
use crate::run_folder::RunFolder;
use crate::world::Components;
use words::Dictionary;

/// How often every node and pod is looked at.
const TICK: Duration = Duration::from_millis(150);
/// Nothing that a kubelet asks takes longer.
const ROUND_SECONDS_MAX: u64 = 20;

/// A node to be simulated.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Its name.
    pub name: String,
    /// Control plane or worker.
    pub role: Role,
    /// Its InternalIP.
    pub address: Ipv4Addr,
    /// `nodeInfo.machineID`.
    pub machine_id: String,
    /// The folder of its machine.
    pub machine: Folder,
}

impl NodeSpec {
    /// Its ExternalIP: nowhere but behind the API server, which proxies to no loopback address. Real nodes have none; the
    /// products take notice of the InternalIP only.
    #[must_use]
    pub fn proxied_at(&self) -> String {
        proxied_at(self.address)
    }
}

/// The ExternalIP of the node with this InternalIP.
#[must_use]
pub fn proxied_at(address: Ipv4Addr) -> String {
    let [.., run, node] = address.octets();
    format!("10.77.{run}.{node}")
}

/// What is wrong with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeFaults {
    /// It says that it is not Ready, and goes on saying so.
    pub not_ready: bool,
    /// It says that its disk is full.
    pub disk_pressure: bool,
    /// Its Lease is not renewed.
    pub lease_frozen: bool,
    /// It says nothing at all, as a dead kubelet.
    pub dead: bool,
    /// Its pods never end.
    pub pods_stuck: bool,
}

/// How pods behave.
#[derive(Debug, Clone, Copy)]
pub struct PodPace {
    /// From deletion until it is gone.
    pub end: Duration,
    /// From start until a Job's pod has succeeded.
    pub job: Duration,
}

impl Default for PodPace {
    fn default() -> Self {
        Self { end: Duration::from_millis(300), job: Duration::from_millis(300) }
    }
}

#[derive(Debug, Default)]
struct Orders {
    faults: BTreeMap<String, NodeFaults>,
    pace: PodPace,
}

/// The kubelets of a World. Dropping them ends them.
#[derive(Debug)]
pub struct Kubelets {
    orders: Arc<Mutex<Orders>>,
    task: JoinHandle<()>,
}

impl Kubelets {
    /// Starts them. They outlive every outage of the API server.
    ///
    /// # Errors
    /// What they shall say was not recorded.
    pub fn start(
        folder: &Arc<RunFolder>,
        client: kube::Client,
        nodes: Vec<NodeSpec>,
        components: Components,
        endpoint: String,
        ports: &KubeletPorts,
    ) -> Result<Self> {
        let orders = Arc::new(Mutex::new(Orders::default()));
        let dictionary = Arc::new(Dictionary::read()?);
        for spec in &nodes {
            let (kept, orders, dictionary) = (spec.clone(), orders.clone(), dictionary.clone());
            let answer = move |path: &str| {
                let faults = lock(&orders).faults.get(&kept.name).copied().unwrap_or_default();
                node::Kubelet::answer(&kept, &dictionary, faults, path)
            };
            ports.serve(spec.proxied_at(), Arc::new(answer));
        }
        let state = State {
            nodes: nodes.into_iter().map(node::Kubelet::new).collect(),
            client,
            dictionary,
            components,
            endpoint,
            pods: pod::Pods::default(),
            orders: orders.clone(),
        };
        let task = tokio::spawn(run(state, folder.log("kubelets")));
        Ok(Self { orders, task })
    }

    /// What is wrong with a node from now on.
    pub fn set_faults(&self, node: &str, faults: NodeFaults) {
        lock(&self.orders).faults.insert(node.to_owned(), faults);
    }

    /// How pods behave from now on.
    pub fn set_pace(&self, pace: PodPace) {
        lock(&self.orders).pace = pace;
    }
}

impl Drop for Kubelets {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(orders: &Mutex<Orders>) -> MutexGuard<'_, Orders> {
    orders.lock().expect("no one panics while holding the orders")
}

struct State {
    nodes: Vec<node::Kubelet>,
    client: kube::Client,
    dictionary: Arc<Dictionary>,
    components: Components,
    endpoint: String,
    pods: pod::Pods,
    orders: Arc<Mutex<Orders>>,
}

async fn run(mut state: State, log: std::path::PathBuf) {
    let mut said = String::new();
    loop {
        let round = tokio::time::timeout(Duration::from_secs(ROUND_SECONDS_MAX), round(&mut state)).await;
        let problem = match round {
            Ok(Ok(())) => String::new(),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "the API server does not answer".to_owned(),
        };
        if problem != said {
            note(&log, &problem);
            said = problem;
        }
        tokio::time::sleep(TICK).await;
    }
}

/// A round fails as a whole when the API is away; the next one makes up for it.
async fn round(state: &mut State) -> Result<()> {
    let (faults, pace) = {
        let orders = lock(&state.orders);
        (orders.faults.clone(), orders.pace)
    };
    let now = Instant::now();
    for kubelet in &mut state.nodes {
        let faults = faults.get(&kubelet.spec.name).copied().unwrap_or_default();
        kubelet.keep(&state.client, &state.dictionary, faults, now).await?;
        if kubelet.spec.role == Role::ControlPlane && !kubelet.silent(faults) {
            mirror::keep(&state.client, kubelet, &state.dictionary, &state.components, &state.endpoint)
                .await?;
        }
    }
    state.pods.keep(&state.client, &state.nodes, &faults, pace, now).await
}

fn note(log: &std::path::Path, problem: &str) {
    use std::io::Write;
    let line = if problem.is_empty() { "all is well" } else { problem };
    if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(log) {
        let _ = writeln!(file, "{} {line}", jiff::Timestamp::now());
    }
}
