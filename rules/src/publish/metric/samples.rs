//! From state to samples.

use jiff::Timestamp;

use super::current::current_run;
use super::goal::is_next_read;
use super::memory::Memory;
use super::node_state::node_state;
use super::table::*;
use super::{Metric, Sample};
use crate::api::UpgradeRun;
use crate::cluster::inventory::Inventory;
use crate::cluster::snapshot::{Node, Pressure, Reading, Role, Snapshot};
use crate::verdict::skew::{self, Skew};
use crate::verdict::{Case, Verdict};
use crate::wire::packages::offered;
use crate::words::version::{Minor, Version};

/// Every sample of this state. Verdicts are those that were computed for it.
#[must_use]
pub fn samples(case: &Case<'_>, verdicts: &[Verdict], memory: &Memory) -> Vec<Sample> {
    let snapshot = case.snapshot;
    let mut out = Samples(Vec::new());
    out.sources(snapshot, case.inventory);
    out.packages(snapshot);
    out.goals(case, verdicts);
    verdicts.iter().for_each(|verdict| out.verdict(verdict, memory));
    out.facts(case);
    let runs = snapshot.runs.value.as_deref();
    let run = current_run(runs.unwrap_or_default());
    for node in snapshot.nodes.value.iter().flatten() {
        out.node(node);
        out.node_state(node, run);
    }
    for (node, at) in memory.boots() {
        out.time(&NODE_BOOT, [&node.0], at);
    }
    out.versions(snapshot);
    // Before the runs were read, nobody knows whether one is open: nothing is said rather than 0.
    if let Some(runs) = runs {
        out.run(runs);
        out.unreadable(runs);
        runs.iter().filter(|run| run.is_open()).for_each(|run| out.steps(run, runs));
    }
    out.0
}

pub(super) struct Samples(Vec<Sample>);

impl Samples {
    pub(super) fn add<const N: usize>(&mut self, metric: &'static Metric, labels: [&str; N], value: f64) {
        self.0.push(Sample::new(metric, labels, value));
    }

    pub(super) fn flag<const N: usize>(&mut self, metric: &'static Metric, labels: [&str; N], is_true: bool) {
        self.add(metric, labels, if is_true { 1.0 } else { 0.0 });
    }

    pub(super) fn time<const N: usize>(&mut self, metric: &'static Metric, labels: [&str; N], at: Timestamp) {
        self.add(metric, labels, at.as_duration().as_secs_f64());
    }

    fn sources(&mut self, snapshot: &Snapshot, inventory: &Inventory) {
        let readings = snapshot.readings();
        let needed = readings.iter().filter(|one| ["nodes", "api_servers", "runs"].contains(&one.source));
        self.source("kube_api", needed.clone().all(Reading::is_up), snapshot.proven_at());
        for reading in readings.iter().chain(&inventory.readings()) {
            self.source(reading.source, reading.is_up(), reading.proven_at);
        }
        if let Some(at) = snapshot.proven_at() {
            self.time(&STATE_TIMESTAMP, [], at);
        }
    }

    fn source(&mut self, name: &str, up: bool, proven_at: Option<Timestamp>) {
        self.flag(&SOURCE_UP, [name], up);
        if let Some(at) = proven_at {
            self.time(&SOURCE_LAST_SUCCESS, [name], at);
        }
    }

    fn packages(&mut self, snapshot: &Snapshot) {
        if let Some(at) = snapshot.packages.proven_at {
            self.time(&DETECTION_LAST_SUCCESS, [], at);
        }
        let Some(packages) = &snapshot.packages.value else { return };
        let running = oldest_api_server(snapshot).map(ToString::to_string).unwrap_or_default();
        let [patch, minor] = offered(snapshot).unwrap_or_default();
        let minor = is_next_read(snapshot).then_some(("minor", minor));
        for (kind, target) in std::iter::once(("patch", patch)).chain(minor) {
            let written = target.map(ToString::to_string).unwrap_or_default();
            self.flag(&AVAILABLE, [kind, &running, &written], target.is_some());
        }
        let newest = packages.versions.iter().map(Version::minor).max();
        if let (Some(newest), Some(oldest)) = (newest, oldest_kubelet(snapshot))
            && let Some(behind) = newest.ahead_of(oldest)
        {
            self.add(&MINORS_BEHIND, [], minors(behind.max(0)));
        }
    }

    fn node(&mut self, node: &Node) {
        let Node { name, role, kubelet_version, container_runtime, .. } = node;
        let name = name.0.as_str();
        let role = match role {
            Role::ControlPlane => "control-plane",
            Role::Worker => "worker",
        };
        let kubelet = kubelet_version.as_ref().map_or_else(Clone::clone, ToString::to_string);
        self.add(&NODE_INFO, [name, role, &kubelet, container_runtime], 1.0);
        self.flag(&NODE_READY, [name], node.ready);
        self.flag(&NODE_CORDONED_BY_RUN, [name], node.cordoned_by.is_some());
        if let Some(at) = node.ready_since {
            self.time(&NODE_READY_SINCE, [name], at);
        }
        if let Some(at) = node.lease_renewed_at {
            self.time(&NODE_LEASE, [name], at);
        }
        for (pressure, condition) in [
            (Pressure::Memory, "memory"),
            (Pressure::Disk, "disk"),
            (Pressure::Pid, "pid"),
            (Pressure::Network, "network"),
        ] {
            self.flag(&NODE_PRESSURE, [name, condition], node.pressures.contains(&pressure));
        }
    }

    fn node_state(&mut self, node: &Node, run: Option<&UpgradeRun>) {
        let now = run.map(|run| node_state(node, run));
        for state in ["pending", "upgrading", "upgraded", "failed", "skipped"] {
            self.flag(&NODE_STATE, [&node.name.0, state], now == Some(state));
        }
    }

    fn versions(&mut self, snapshot: &Snapshot) {
        let servers = snapshot.api_servers.value.iter().flatten();
        let servers: Vec<&Version> = servers.filter_map(|server| server.version.as_ref().ok()).collect();
        let nodes = snapshot.nodes.value.iter().flatten();
        let kubelets: Vec<(&str, &Version)> = nodes
            .filter_map(|node| Some((node.name.0.as_str(), node.kubelet_version.as_ref().ok()?)))
            .collect();
        self.distinct("kube-apiserver", servers.iter().copied());
        self.distinct("kubelet", kubelets.iter().map(|(_, version)| *version));
        let oldest = servers.iter().map(|version| version.minor()).min();
        let newest = servers.iter().map(|version| version.minor()).max();
        let (Some(oldest), Some(newest)) = (oldest, newest) else { return };
        for (node, version) in kubelets {
            let supported = skew::kubelet(version.minor(), newest) == Skew::Supported;
            self.skew(node, "kubelet", version.minor(), oldest, supported);
        }
        for pod in snapshot.static_pods.value.iter().flatten() {
            let Ok(version) = &pod.version else { continue };
            let supported = match pod.component.as_str() {
                "kube-apiserver" => skew::api_servers(version.minor(), newest) == Skew::Supported,
                "kube-controller-manager" | "kube-scheduler" => {
                    skew::controller(version.minor(), newest) == Skew::Supported
                }
                // etcd counts versions of its own.
                _others => continue,
            };
            self.skew(&pod.node.0, &pod.component, version.minor(), oldest, supported);
        }
    }

    fn distinct<'a>(&mut self, component: &str, versions: impl Iterator<Item = &'a Version>) {
        let distinct: std::collections::BTreeSet<_> = versions.collect();
        let count = u32::try_from(distinct.len()).map_or(f64::INFINITY, f64::from);
        self.add(&DISTINCT_VERSIONS, [component], count);
    }

    fn skew(&mut self, node: &str, component: &str, minor: Minor, oldest: Minor, supported: bool) {
        if let Some(behind) = oldest.ahead_of(minor) {
            self.add(&SKEW_MINORS, [node, component], minors(behind));
        }
        self.flag(&SKEW_SUPPORTED, [node, component], supported);
    }
}

fn minors(count: i64) -> f64 {
    i32::try_from(count).map_or(f64::NAN, f64::from)
}

pub(super) fn oldest_api_server(snapshot: &Snapshot) -> Option<&Version> {
    snapshot.api_servers.value.iter().flatten().filter_map(|server| server.version.as_ref().ok()).min()
}

fn oldest_kubelet(snapshot: &Snapshot) -> Option<Minor> {
    let nodes = snapshot.nodes.value.iter().flatten();
    nodes.filter_map(|node| node.kubelet_version.as_ref().ok()).map(Version::minor).min()
}
