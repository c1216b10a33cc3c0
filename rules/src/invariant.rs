//! An independent checker: what must hold whatever the machine believes. It shares no code with `run::decide`,
//! counts on the nodes and not in the run, and is asked before each command.

use jiff::Timestamp;

use crate::name::{NodeName, Token};
use crate::run::{Command, Known, Proof};
use crate::settings::Settings;
use crate::snapshot::{Node, Role, Snapshot};
use crate::version::Version;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// More nodes of one role are held cordoned than may be.
    #[error("{count} {role} nodes are out of service, at most 1 may be: {names}")]
    TooManyOut {
        /// control-plane or worker.
        role: &'static str,
        /// How many.
        count: usize,
        /// Which.
        names: String,
    },
    /// A mutation without a check that is young enough.
    #[error("{command} on the strength of a check that began at {checked_at}, now is {now}")]
    StaleProof {
        /// Which mutation.
        command: &'static str,
        /// When its check began.
        checked_at: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// A mutation on the proof of another token.
    #[error("{0} on the proof of another token")]
    ForeignProof(&'static str),
    /// A worker is to be touched while a control-plane node is behind.
    #[error("worker {worker} before control-plane node {behind}")]
    WorkerFirst {
        /// The worker.
        worker: NodeName,
        /// The node that is behind.
        behind: NodeName,
    },
    /// More than one minor in one run, or down.
    #[error("from {from} to {target}")]
    TooFar {
        /// The oldest version.
        from: Version,
        /// The target.
        target: Version,
    },
    /// A cordon is to be taken off that is not ours.
    #[error("uncordon of {0}, which this run did not cordon")]
    NotOurs(NodeName),
    /// The node that the actuator runs on.
    #[error("{0} is the node that the actuator runs on")]
    OwnNode(NodeName),
    /// The run is not among those of the namespaces that are served.
    #[error("the run is not among those that are served")]
    NotServed,
    /// A unit is sent without having read the node's ledger.
    #[error("a unit for {0} without a reading of its ledger")]
    NotProbed(NodeName),
}

/// What the checker looks at.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The run's uid.
    pub run: &'a str,
    /// The run's target.
    pub target: &'a Version,
    /// Nodes that people asked to leave.
    pub skip: &'a [String],
    /// The cluster.
    pub snapshot: &'a Snapshot,
    /// What this process knows.
    pub known: &'a Known,
    /// The node that the actuator runs on.
    pub own_node: Option<&'a NodeName>,
    /// The thresholds.
    pub settings: &'a Settings,
}

/// Every invariant that the command would break, or that is broken already.
#[must_use]
pub fn check(scene: &Scene<'_>, command: &Command, now: Timestamp) -> Vec<Violation> {
    let nodes = scene.snapshot.nodes.value.as_deref().unwrap_or_default();
    let is_served = scene.snapshot.runs.value.iter().flatten().any(|run| run.uid == scene.run);
    let mut found: Vec<Violation> = (!is_served).then_some(Violation::NotServed).into_iter().collect();
    match command {
        Command::Cordon(order) => {
            found.extend(proof("cordon", &order.proof, &order.token, scene, now));
            found.extend(out_of_service(nodes, scene.run, &order.node));
            found.extend(order_of_roles(nodes, &order.node, scene));
            if scene.own_node == Some(&order.node) {
                found.push(Violation::OwnNode(order.node.clone()));
            }
        }
        Command::Evict(order) => {
            found.extend(proof("evict", &order.proof, &order.proof.token, scene, now));
            found.extend(out_of_service(nodes, scene.run, &order.node));
        }
        Command::StartUnit(order) => {
            found.extend(proof("unit", &order.proof, &order.token, scene, now));
            let read = scene.known.ledger.as_ref();
            if !read.is_some_and(|read| {
                read.node == order.node.name && read.token == order.token && read.result.is_ok()
            }) {
                found.push(Violation::NotProbed(order.node.name.clone()));
            }
            // Kubelets may lag by more: the API servers are what an upgrade moves by one minor.
            let servers = scene.snapshot.api_servers.value.as_deref().unwrap_or_default();
            let oldest = servers.iter().filter_map(|server| server.version.as_ref().ok()).min();
            found.extend(oldest.and_then(|from| distance(from, scene.target)));
        }
        Command::Uncordon(order) => {
            let is_ours = order.annotation.parse::<Token>().is_ok_and(|token| token.run.0 == scene.run);
            if !is_ours {
                found.push(Violation::NotOurs(order.node.clone()));
            }
        }
        Command::TakeLock
        | Command::ReleaseLock
        | Command::HandOver
        | Command::Check(_)
        | Command::Survey(_)
        | Command::ReadLedger(_)
        | Command::ReadVolumes(_)
        | Command::AddFinalizer
        | Command::RemoveFinalizer => {}
    }
    found
}

fn proof(
    command: &'static str,
    proof: &Proof,
    token: &Token,
    scene: &Scene<'_>,
    now: Timestamp,
) -> Option<Violation> {
    if proof.token != *token {
        return Some(Violation::ForeignProof(command));
    }
    let age = now.duration_since(proof.checked_at);
    let limit =
        jiff::SignedDuration::from_secs(i64::try_from(scene.settings.check_seconds_max).unwrap_or(i64::MAX));
    // A check from the future is a clock that was set back: its age is unknown.
    (age > limit || age.is_negative()).then(|| Violation::StaleProof {
        command,
        checked_at: proof.checked_at,
        now,
    })
}

fn out_of_service(nodes: &[Node], run: &str, about: &NodeName) -> Vec<Violation> {
    let prefix = format!("{run}.");
    let role_of = |name: &NodeName| nodes.iter().find(|node| node.name == *name).map(|node| node.role);
    let mut found = Vec::new();
    for (role, text) in [(Role::ControlPlane, "control-plane"), (Role::Worker, "worker")] {
        let mut names: Vec<&str> = nodes
            .iter()
            .filter(|node| {
                node.role == role && node.cordoned_by.as_deref().is_some_and(|by| by.starts_with(&prefix))
            })
            .map(|node| node.name.0.as_str())
            .collect();
        if role_of(about) == Some(role) && !names.contains(&about.0.as_str()) {
            names.push(&about.0);
        }
        if names.len() > 1 {
            found.push(Violation::TooManyOut { role: text, count: names.len(), names: names.join(", ") });
        }
    }
    found
}

fn order_of_roles(nodes: &[Node], about: &NodeName, scene: &Scene<'_>) -> Option<Violation> {
    let node = nodes.iter().find(|node| node.name == *about)?;
    if node.role == Role::ControlPlane {
        return None;
    }
    let behind = nodes.iter().find(|other| {
        // One that is being deleted is upgraded no more; what it still serves must do for the workers.
        let is_left = scene.skip.contains(&other.name.0) || other.deleting;
        other.role == Role::ControlPlane
            && (!is_left && other.kubelet_version.as_ref() != Ok(scene.target) || serves_less(other, scene))
    })?;
    Some(Violation::WorkerFirst { worker: about.clone(), behind: behind.name.clone() })
}

/// Whether the API server of a node is a minor behind the target; one that is not seen is not behind.
fn serves_less(node: &Node, scene: &Scene<'_>) -> bool {
    let pods = scene.snapshot.static_pods.value.as_deref().unwrap_or_default();
    let mut servers = pods.iter().filter(|pod| pod.component == "kube-apiserver" && pod.node == node.name);
    servers.any(|pod| pod.version.as_ref().is_ok_and(|version| version.minor() < scene.target.minor()))
}

fn distance(from: &Version, target: &Version) -> Option<Violation> {
    let minors = target.minor().ahead_of(from.minor());
    let is_near = matches!(minors, Some(0 | 1)) && target >= from;
    (!is_near).then(|| Violation::TooFar { from: from.clone(), target: target.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{UpgradeRun, UpgradeRunSpec};
    use crate::snapshot::{Source, served_apart};

    #[test]
    fn nothing_is_done_for_a_run_of_a_namespace_that_is_not_served() {
        let now = Timestamp::UNIX_EPOCH;
        let run = UpgradeRun {
            namespace: "a".to_owned(),
            name: "b".to_owned(),
            uid: "u".to_owned(),
            resource_version: String::new(),
            generation: 1,
            created_at: None,
            deleting: false,
            has_finalizer: false,
            spec: UpgradeRunSpec::default(),
            status: None,
        };
        let settings = Settings::default();
        let (target, known) = ("v1.36.3".parse().unwrap(), Known::default());
        for (namespace, expected) in [("a", vec![]), ("b", vec![Violation::NotServed])] {
            let list = Source::read(vec![run.clone()], now);
            let (runs, runs_elsewhere) = served_apart(list, &[namespace.to_owned()]);
            let snapshot = Snapshot { runs, runs_elsewhere, ..Snapshot::unread() };
            let scene = Scene {
                run: "u",
                target: &target,
                skip: &[],
                snapshot: &snapshot,
                known: &known,
                own_node: None,
                settings: &settings,
            };
            assert_eq!(check(&scene, &Command::TakeLock, now), expected, "{namespace} is served");
        }
    }
}
