//! An independent checker: what must hold whatever the machine believes. It shares no code with `run::decide`,
//! counts on the nodes and not in the run, and is asked before each command.

use jiff::Timestamp;

use crate::cluster::snapshot::{Node, Role, Snapshot};
use crate::driver::order::PutBack;
use crate::gate::Proof;
use crate::run::{Command, Known};
use crate::settings::Settings;
use crate::words::name::{NodeName, Token};
use crate::words::step::Stage;
use crate::words::version::Version;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// More nodes of one role are held cordoned than may be.
    #[error("{count} {role} nodes are out of service, at most {most} may be: {names}")]
    TooManyOut {
        /// control-plane or worker.
        role: &'static str,
        /// How many.
        count: usize,
        /// How many may be.
        most: usize,
        /// Which.
        names: String,
    },
    /// A worker is to be taken out of service while another is out in another topology domain.
    #[error("{worker} while {other} is out of service, and they do not share a {key}")]
    OtherDomain {
        /// The worker.
        worker: NodeName,
        /// The node that is out.
        other: NodeName,
        /// The label that tells the domain.
        key: String,
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
    /// A source of packages is to be put back, and the run may still need it.
    #[error("the source of {0} is to be put back, and the run goes on")]
    NotOver(NodeName),
    /// A source of packages is to be put back on a node whose change has begun.
    #[error("the source of {0} is to be put back, and its change has begun")]
    Changed(NodeName),
    /// A unit is sent without having read the node's ledger.
    #[error("a unit for {0} without a reading of its ledger")]
    NotProbed(NodeName),
}

/// What the checker looks at.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The run's uid.
    pub run: &'a str,
    /// The run's target.
    pub target: &'a Version,
    /// How many workers may be out of service at a time.
    pub workers_max: u32,
    /// The label whose value all workers share that are out of service at a time.
    pub topology_key: Option<&'a str>,
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
pub fn check(context: &Context<'_>, command: &Command, now: Timestamp) -> Vec<Violation> {
    let nodes = context.snapshot.nodes.value.as_deref().unwrap_or_default();
    let is_served = context.snapshot.runs.value.iter().flatten().any(|run| run.uid == context.run);
    let mut found: Vec<Violation> = (!is_served).then_some(Violation::NotServed).into_iter().collect();
    match command {
        Command::Cordon(order) => {
            found.extend(proof("cordon", &order.proof, &order.token, context, now));
            found.extend(out_of_service(nodes, context, &order.node, context.workers_max));
            found.extend(other_domain(nodes, &order.node, context));
            found.extend(order_of_roles(nodes, &order.node, context));
            if context.own_node == Some(&order.node) {
                found.push(Violation::OwnNode(order.node.clone()));
            }
        }
        Command::Evict(order) => {
            found.extend(proof("evict", &order.proof, &order.proof.token, context, now));
            // The limit is on cordons: lowered since, it stops none that is out already.
            if !nodes.iter().any(|node| node.name == order.node && is_held(node, context)) {
                let most = context.workers_max.max(admitted(context));
                found.extend(out_of_service(nodes, context, &order.node, most));
            }
        }
        Command::Start(order) => {
            found.extend(proof("unit", order.proof(), order.token(), context, now));
            let read = context.known.read.as_ref();
            if !read.is_some_and(|read| {
                read.order.is_about(order.task(), order.node(), order.token()) && read.result.is_ok()
            }) {
                found.push(Violation::NotProbed(order.node().clone()));
            }
            // Kubelets may lag by more: the API servers are what an upgrade moves by one minor.
            let servers = context.snapshot.api_servers.value.as_deref().unwrap_or_default();
            let oldest = servers.iter().filter_map(|server| server.version.as_ref().ok()).min();
            found.extend(oldest.and_then(|from| distance(from, context.target)));
        }
        Command::Uncordon(order) => {
            let is_ours = order.annotation.parse::<Token>().is_ok_and(|token| token.run.0 == context.run);
            if !is_ours {
                found.push(Violation::NotOurs(order.node.clone()));
            }
        }
        Command::PutBack(PutBack::Kubeadm(order)) => found.extend(restore(&order.node.name, nodes, context)),
        // What has ended, or was never let go, changes nothing by going.
        Command::PutBack(PutBack::Job(_)) => {}
        Command::TakeLock
        | Command::ReleaseLock
        | Command::HandOver
        | Command::Check(_)
        | Command::Look(_)
        | Command::Create(_)
        | Command::Read(_)
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
    context: &Context<'_>,
    now: Timestamp,
) -> Option<Violation> {
    if proof.token != *token {
        return Some(Violation::ForeignProof(command));
    }
    let age = now.duration_since(proof.checked_at);
    let limit = jiff::SignedDuration::from_secs(
        i64::try_from(context.settings.check_seconds_max).unwrap_or(i64::MAX),
    );
    // A check from the future is a clock that was set back: its age is unknown.
    (age > limit || age.is_negative()).then(|| Violation::StaleProof {
        command,
        checked_at: proof.checked_at,
        now,
    })
}

/// Whether the run has cordoned a node.
fn is_held(node: &Node, context: &Context<'_>) -> bool {
    let by = node.cordoned_by.as_deref().and_then(|by| by.strip_prefix(context.run));
    by.is_some_and(|rest| rest.starts_with('.'))
}

/// How many steps of the run are stored as running.
fn admitted(context: &Context<'_>) -> u32 {
    let run = context.snapshot.runs.value.iter().flatten().find(|run| run.uid == context.run);
    let status = run.and_then(|run| run.status.as_ref());
    status.map_or(0, |status| u32::try_from(status.active.len()).unwrap_or(0))
}

fn out_of_service(
    nodes: &[Node],
    context: &Context<'_>,
    about: &NodeName,
    workers_max: u32,
) -> Vec<Violation> {
    let workers_max = usize::try_from(workers_max).unwrap_or(1);
    let role_of = |name: &NodeName| nodes.iter().find(|node| node.name == *name).map(|node| node.role);
    let mut found = Vec::new();
    for (role, text, most) in
        [(Role::ControlPlane, "control-plane", 1), (Role::Worker, "worker", workers_max)]
    {
        let mut names: Vec<&str> = nodes
            .iter()
            .filter(|node| node.role == role && is_held(node, context))
            .map(|node| node.name.0.as_str())
            .collect();
        if role_of(about) == Some(role) && !names.contains(&about.0.as_str()) {
            names.push(&about.0);
        }
        if names.len() > most {
            found.push(Violation::TooManyOut {
                role: text,
                count: names.len(),
                most,
                names: names.join(", "),
            });
        }
    }
    found
}

/// A worker that the run holds in another topology domain; a node that names none is in one of its own.
fn other_domain(nodes: &[Node], about: &NodeName, context: &Context<'_>) -> Option<Violation> {
    let key = context.topology_key?;
    let prefix = format!("{}.", context.run);
    let node = nodes.iter().find(|node| node.name == *about && node.role == Role::Worker)?;
    let other = nodes.iter().find(|other| {
        other.name != *about
            && other.role == Role::Worker
            && other.cordoned_by.as_deref().is_some_and(|by| by.starts_with(&prefix))
            && (node.topology(key).is_none() || other.topology(key) != node.topology(key))
    })?;
    Some(Violation::OtherDomain { worker: about.clone(), other: other.name.clone(), key: key.to_owned() })
}

/// A source of packages belongs to the run as long as that goes on, and to the node once that may have begun to change.
fn restore(about: &NodeName, nodes: &[Node], context: &Context<'_>) -> Vec<Violation> {
    let run = context.snapshot.runs.value.iter().flatten().find(|run| run.uid == context.run);
    let status = run.and_then(|run| run.status.as_ref());
    let is_over = run.is_some_and(|run| run.deleting) || status.is_some_and(|it| it.finished_at.is_some());
    let is_of = |step: &str| step.rsplit_once('/').is_some_and(|(_, node)| node == about.0);
    let has_begun = status.is_some_and(|status| {
        // Only a node whose change has not begun is on its way back.
        let at_work = status.active.iter().filter(|it| it.returning.is_none());
        let mut stages = at_work.filter(|it| is_of(&it.step)).filter_map(|it| it.stage.as_deref());
        stages.any(|stage| Stage::from_name(stage).is_none_or(|stage| stage >= Stage::Mutate))
            || status.attempted.iter().any(|it| it.begun && is_of(&it.step))
    });
    let node = nodes.iter().find(|node| node.name == *about);
    let is_there = |node: &Node| node.kubelet_version.as_ref() == Ok(context.target);
    let mut found = Vec::new();
    if !is_over {
        found.push(Violation::NotOver(about.clone()));
    }
    // One that the run still holds may be about to change.
    if has_begun || node.is_some_and(|node| is_held(node, context) || is_there(node)) {
        found.push(Violation::Changed(about.clone()));
    }
    found
}

fn order_of_roles(nodes: &[Node], about: &NodeName, context: &Context<'_>) -> Option<Violation> {
    let node = nodes.iter().find(|node| node.name == *about)?;
    if node.role == Role::ControlPlane {
        return None;
    }
    let behind = nodes.iter().find(|other| {
        // One that is being deleted is upgraded no more; what it still serves must do for the workers.
        let is_left = context.skip.contains(&other.name.0) || other.deleting;
        other.role == Role::ControlPlane
            && (!is_left && other.kubelet_version.as_ref() != Ok(context.target)
                || serves_less(other, context))
    })?;
    Some(Violation::WorkerFirst { worker: about.clone(), behind: behind.name.clone() })
}

/// Whether the API server of a node is a minor behind the target; one that is not seen is not behind.
fn serves_less(node: &Node, context: &Context<'_>) -> bool {
    let pods = context.snapshot.static_pods.value.as_deref().unwrap_or_default();
    let mut servers = pods.iter().filter(|pod| pod.component == "kube-apiserver" && pod.node == node.name);
    servers.any(|pod| pod.version.as_ref().is_ok_and(|version| version.minor() < context.target.minor()))
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
    use crate::cluster::snapshot::{Source, served_apart};
    use crate::driver::kubeadm::order::{NodeTarget, RestoreOrder};
    use serde_json::json;

    fn run() -> UpgradeRun {
        UpgradeRun {
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
        }
    }

    #[test]
    fn nothing_is_done_for_a_run_of_a_namespace_that_is_not_served() {
        let now = Timestamp::UNIX_EPOCH;
        let run = run();
        let settings = Settings::default();
        let (target, known) = ("v1.36.3".parse().unwrap(), Known::default());
        for (namespace, expected) in [("a", vec![]), ("b", vec![Violation::NotServed])] {
            let list = Source::read(vec![run.clone()], now);
            let (runs, runs_elsewhere) = served_apart(list, &[namespace.to_owned()]);
            let snapshot = Snapshot { runs, runs_elsewhere, ..Snapshot::unread() };
            let context = Context {
                run: "u",
                target: &target,
                workers_max: 1,
                topology_key: None,
                skip: &[],
                snapshot: &snapshot,
                known: &known,
                own_node: None,
                settings: &settings,
            };
            assert_eq!(check(&context, &Command::TakeLock, now), expected, "{namespace} is served");
        }
    }

    #[test]
    fn a_source_is_put_back_only_when_the_run_is_over_and_the_node_unchanged() {
        let (now, settings) = (Timestamp::UNIX_EPOCH, Settings::default());
        let (target, known) = ("v1.36.3".parse().unwrap(), Known::default());
        let (name, token): (NodeName, Token) = ("w-1".into(), "u.7.1.restore".parse().unwrap());
        let reached = NodeTarget {
            name: name.clone(),
            addresses: vec!["10.0.0.1".to_owned()],
            machine_id: "m".to_owned(),
        };
        let order = RestoreOrder { node: reached, token, generation: 1, at: now };
        let node = |version: &str, by: Option<&str>| Node {
            kubelet_version: Ok(version.parse().unwrap()),
            cordoned_by: by.map(str::to_owned),
            ..Node::silent("w-1", Role::Worker)
        };
        let as_it_was = || node("v1.35.4", None);
        let at_work = |stage: &str| {
            json!({"active": [{"step": "worker/w-1", "token": "u.5.1.00", "startedAt": now, "stage": stage,
                "stageSince": now}]})
        };
        let mut going_back = at_work("uncordon");
        going_back["active"][0]["returning"] = json!({"reason": "paused", "subject": "", "detail": ""});
        let failed = |step: &str, begun: bool| json!({"attempted": [{"step": step, "attempt": 1, "notBefore": now, "begun": begun}]});
        let (over, changed) = (Violation::NotOver(name.clone()), Violation::Changed(name));
        for (deleting, status, node, expected) in [
            (true, json!({}), as_it_was(), vec![]),
            (false, json!({"finishedAt": now}), as_it_was(), vec![]),
            (false, json!({}), as_it_was(), vec![over.clone()]),
            (
                false,
                json!({"halted": {"step": "prepare", "attempt": 1, "at": now,
                "finding": {"reason": "paused", "subject": "", "detail": ""}}}),
                as_it_was(),
                vec![over],
            ),
            (true, json!({}), node("v1.36.3", None), vec![changed.clone()]),
            (true, json!({}), node("v1.35.4", Some("u.5.1.00")), vec![changed.clone()]),
            (true, json!({}), node("v1.35.4", Some("other.5.1.00")), vec![]),
            (true, at_work("drain"), as_it_was(), vec![]),
            (true, at_work("mutate"), as_it_was(), vec![changed.clone()]),
            (true, at_work("verify"), as_it_was(), vec![changed.clone()]),
            (true, going_back, as_it_was(), vec![]),
            (true, failed("worker/w-1", true), as_it_was(), vec![changed]),
            (true, failed("worker/w-1", false), as_it_was(), vec![]),
            (true, failed("worker/w-2", true), as_it_was(), vec![]),
        ] {
            let mut stored = json!({"schemaVersion": 1, "phase": "Waiting"});
            stored.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
            let run = UpgradeRun { deleting, status: Some(serde_json::from_value(stored).unwrap()), ..run() };
            let snapshot = Snapshot {
                runs: Source::read(vec![run], now),
                nodes: Source::read(vec![node], now),
                ..Snapshot::unread()
            };
            let context = Context {
                run: "u",
                target: &target,
                workers_max: 1,
                topology_key: None,
                skip: &[],
                snapshot: &snapshot,
                known: &known,
                own_node: None,
                settings: &settings,
            };
            assert_eq!(
                check(&context, &Command::PutBack(PutBack::Kubeadm(order.clone())), now),
                expected,
                "{deleting} {status}"
            );
        }
    }
}
