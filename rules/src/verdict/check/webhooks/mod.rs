//! No webhook that refuses what an upgrade needs loses the last who answers for it.
//!
//! ```text
//!   configurations ──▶ failurePolicy: Fail, and asked about pods, nodes, leases, … ──▶ its Service
//!   definitions    ──▶ conversion by a webhook ──────────────────────────────────▶ its Service
//!                                                                                     │
//!        no ready endpoint                  ─▶ block                                  ▼
//!        all on one node that is drained    ─▶ block where the webhook is asked about its own namespace, the system's
//!                                              or nodes, or about that of another on that node which is asked about
//!                                              its own: then nothing can start them again; or about what kubeadm
//!                                              writes, on the only control-plane node; elsewhere a note
//!        outside the cluster                ─▶ note: nobody here can look at it
//! ```
//!
//! While a run has a node in hand, only that node counts: what its drain leaves on one other node is no reason to stop in
//! the middle, and is asked again before the next node is begun. Pods of DaemonSets stay where they are.
//!
//! Where a webhook is asked only about pods with labels that no template tells of, those of Jobs or operators may have them:
//! what would block is unknown then. Its own pods have no such labels, so that it comes back from one node all the same.
//!
//! A conversion is asked only about its own objects. While its pod moves these cannot be read for a moment, and nothing
//! that it needs itself is refused: one node is a note.

mod needs;
mod stuck;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::needs::{Asked, SYSTEM, asked};
use self::stuck::stuck;
use super::{Facts, NOTES_MAX, Outcome};
use crate::inventory::{
    Backend, LeadsTo, Namespace, ServiceName, WebhookBackend, WebhookConfiguration, Workload, WorkloadKind,
};
use crate::metric::is_open;
use crate::name::NodeName;
use crate::reason::{Finding, Reason};
use crate::run::Step;
use crate::snapshot::{Node, Role, Snapshot};
use crate::version::Version;

/// How many resources are named in a finding.
const NAMED_MAX: usize = 6;

/// What was found out, by what it means.
#[derive(Default)]
struct Tally {
    blockers: Vec<Finding>,
    unknowns: Vec<Finding>,
    notes: Vec<Finding>,
    /// Those that may come back by themselves, or may wait for each other.
    alone: Vec<Alone>,
}

impl Tally {
    /// What is in the way, if it is certain that the webhook is asked.
    fn against(&mut self, finding: Finding, is_sure: bool) {
        if is_sure { &mut self.blockers } else { &mut self.unknowns }.push(finding);
    }
}

/// A webhook that loses the last who answers for it while a node is drained.
struct Alone {
    node: NodeName,
    /// Where its own pods are.
    namespace: String,
    /// In which namespaces pods wait for it.
    asked_in: BTreeSet<String>,
    /// They do for certain.
    is_sure: bool,
    finding: Finding,
}

/// What a backend is looked at with.
struct Scene<'a> {
    backends: BTreeMap<&'a ServiceName, &'a WebhookBackend>,
    namespaces: &'a [Namespace],
    workloads: &'a [Workload],
    /// The nodes that are drained.
    leaving: Vec<&'a NodeName>,
    /// Those of the control plane.
    control_plane: Vec<&'a NodeName>,
}

/// How a backend stands.
enum Stands {
    Well,
    /// It is not among those that were looked at.
    Unseen,
    /// It is outside the cluster.
    Outside(String),
    /// Nobody answers.
    Dead(&'static str),
    /// Everybody who answers is on this node, which is drained.
    OnOneNode(NodeName),
}

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    judge(facts).unwrap_or_else(|unknown| unknown)
}

fn judge(facts: &Facts<'_>) -> Result<Outcome, Outcome> {
    let (inventory, snapshot) = (&facts.case.inventory, &facts.case.snapshot);
    let target = facts.version()?;
    let (configurations, read) = facts.state("webhooks", &inventory.webhooks).map_err(Outcome::unknown)?;
    let (definitions, definitions_read) =
        facts.state("definitions", &inventory.definitions).map_err(Outcome::unknown)?;
    let (backends, backends_read) =
        facts.state("webhook_backends", &inventory.webhook_backends).map_err(Outcome::unknown)?;
    let (namespaces, namespaces_read) =
        facts.state("namespaces", &inventory.namespaces).map_err(Outcome::unknown)?;
    let (workloads, workloads_read) =
        facts.state("workloads", &inventory.workloads).map_err(Outcome::unknown)?;
    let (nodes, nodes_read) = facts.state("nodes", &snapshot.nodes).map_err(Outcome::unknown)?;
    // Without them no node is known to be in hand, and every node counts.
    let runs = facts.state("runs", &snapshot.runs).map_or(&[][..], |(runs, _read)| runs);
    let scene = Scene {
        backends: backends.iter().map(|it| (&it.service, it)).collect(),
        namespaces,
        workloads,
        leaving: leaving(nodes, runs, facts.case.snapshot, target),
        control_plane: nodes.iter().filter(|it| it.role == Role::ControlPlane).map(|it| &it.name).collect(),
    };
    let mut tally = Tally::default();
    // Every cluster has it: whoever does not see it does not know in which namespaces a webhook is asked.
    if !namespaces.iter().any(|it| it.name == SYSTEM) {
        let detail = format!("{SYSTEM} is not among them");
        tally.unknowns.push(Finding::new(Reason::SourceUnreadable, "namespaces", detail));
    }
    for configuration in configurations {
        scene.configuration(configuration, &mut tally);
    }
    for definition in definitions {
        if let Some(backend) = &definition.converter {
            scene.converter(&definition.name, backend, &mut tally);
        }
    }
    let alone = std::mem::take(&mut tally.alone);
    for (is_stuck, one) in stuck(&alone).into_iter().zip(alone) {
        if is_stuck {
            tally.against(one.finding, one.is_sure);
        } else {
            tally.notes.push(one.finding);
        }
    }
    let Tally { blockers, unknowns, mut notes, alone: _ } = tally;
    notes.sort_unstable();
    notes.truncate(NOTES_MAX);
    let rest = vec![definitions_read, backends_read, namespaces_read, workloads_read, nodes_read];
    Ok(Outcome::weigh(read, rest, [blockers, Vec::new(), unknowns]).noting(notes))
}

/// The node that a run has in hand, else every node that is not at the target yet.
fn leaving<'a>(
    nodes: &'a [Node],
    runs: &[crate::api::UpgradeRun],
    snapshot: &Snapshot,
    target: &Version,
) -> Vec<&'a NodeName> {
    let active = runs.iter().filter(|run| is_open(run)).filter_map(|run| run.status.as_ref());
    let steps: Vec<Step> =
        active.flat_map(|status| &status.active).filter_map(|it| it.step.parse().ok()).collect();
    let is_in_hand = |node: &&Node| {
        steps.iter().any(|step| match step {
            Step::ControlPlane(name) | Step::Worker(name) => *name == node.name,
            Step::Preflight | Step::Snapshot | Step::Prepare | Step::Postflight => false,
        })
    };
    let in_hand: Vec<&NodeName> = nodes.iter().filter(is_in_hand).map(|node| &node.name).collect();
    if !in_hand.is_empty() {
        return in_hand;
    }
    nodes.iter().filter(|node| !snapshot.is_at(node, target)).map(|node| &node.name).collect()
}

impl Scene<'_> {
    /// One configuration: what its webhooks are asked about, by who answers.
    fn configuration(&self, configuration: &WebhookConfiguration, tally: &mut Tally) {
        let mut by_backend: BTreeMap<&Backend, (Asked, bool)> = BTreeMap::new();
        let mut exact = Vec::new();
        for webhook in &configuration.webhooks {
            let asked = asked(webhook, self.namespaces, self.workloads);
            if webhook.is_exact {
                exact.push(webhook.name.as_str());
            }
            if webhook.fails_closed && asked.is_any() {
                let (known, has_conditions) = by_backend.entry(&webhook.backend).or_default();
                known.extend(asked);
                *has_conditions |= webhook.has_conditions;
            }
        }
        for (backend, (asked, has_conditions)) in by_backend {
            self.webhook(&configuration.to_string(), backend, &asked, has_conditions, tally);
        }
        if !exact.is_empty() {
            exact.sort_unstable();
            let detail = exact.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ");
            tally.notes.push(Finding::new(Reason::WebhookExact, configuration.to_string(), detail));
        }
    }

    fn webhook(&self, of: &str, backend: &Backend, asked: &Asked, has_conditions: bool, tally: &mut Tally) {
        let about = about(asked, has_conditions);
        let finding = |reason, detail: String| Finding::new(reason, of, format!("{detail}; {about}"));
        match self.stands(backend) {
            Stands::Well => {}
            Stands::Unseen => tally.unknowns.push(finding(Reason::WebhookUnseen, shown(backend))),
            Stands::Outside(what) => tally.notes.push(finding(Reason::WebhookOutside, what)),
            Stands::Dead(why) => {
                let detail = format!("Service {} has {why}", shown(backend));
                tally.against(finding(Reason::WebhookDead, detail), asked.is_sure);
            }
            Stands::OnOneNode(node) => {
                let found = finding(Reason::WebhookOnOneNode, self.on_one_node(backend, &node));
                let namespace = backend.service().map(|it| it.namespace.clone()).unwrap_or_default();
                // Pods of the control plane often may be nowhere else, and while its only node is drained kubeadm waits there.
                let has_no_other = self.control_plane == [&node];
                if asked.cluster || (asked.by_kubeadm && has_no_other) {
                    tally.blockers.push(found);
                } else if let Some(&is_sure) = asked.waited_in.get(SYSTEM) {
                    tally.against(found, is_sure);
                } else {
                    let asked_in = asked.waited_in.keys().cloned().collect();
                    // A circle of which one part is not certain is not certain.
                    let is_sure = asked.waited_in.values().all(|is_sure| *is_sure);
                    tally.alone.push(Alone { node, namespace, asked_in, is_sure, finding: found });
                }
            }
        }
    }

    fn converter(&self, name: &str, backend: &Backend, tally: &mut Tally) {
        let of = format!("CustomResourceDefinition {name}");
        let finding =
            |reason, detail: String| Finding::new(reason, &of, format!("{detail}; it converts versions"));
        match self.stands(backend) {
            Stands::Well => {}
            Stands::Unseen => tally.unknowns.push(finding(Reason::WebhookUnseen, shown(backend))),
            Stands::Outside(what) => tally.notes.push(finding(Reason::WebhookOutside, what)),
            Stands::Dead(why) => {
                let detail = format!("Service {} has {why}", shown(backend));
                tally.blockers.push(finding(Reason::WebhookDead, detail));
            }
            Stands::OnOneNode(node) => {
                tally.notes.push(finding(Reason::WebhookOnOneNode, self.on_one_node(backend, &node)));
            }
        }
    }

    fn stands(&self, backend: &Backend) -> Stands {
        let service = match backend {
            Backend::Url(url) => return Stands::Outside(format!("it is asked at {url}")),
            Backend::Service(service) => service,
        };
        match self.backends.get(service).map(|it| &it.leads_to) {
            None => Stands::Unseen,
            Some(LeadsTo::Nowhere) => Stands::Dead("no object: there is no such Service"),
            Some(LeadsTo::Outside) => Stands::Outside(format!("Service {service} leads out of the cluster")),
            Some(LeadsTo::Endpoints { ready, selector }) => {
                let Some(first) = ready.first() else { return Stands::Dead("no ready endpoint") };
                let Some(node) = first.as_ref().filter(|_| ready.iter().all(|it| it == first)) else {
                    return Stands::Well;
                };
                if !self.leaving.contains(&node) || self.stays(service, selector) {
                    return Stands::Well;
                }
                Stands::OnOneNode(node.clone())
            }
        }
    }

    /// The workloads whose pods answer for a Service.
    fn answering(&self, service: &ServiceName, selector: &BTreeMap<String, String>) -> Vec<&Workload> {
        let is_one = |it: &&Workload| {
            it.namespace == service.namespace
                && selector.iter().all(|(key, value)| it.pod_labels.get(key) == Some(value))
        };
        if selector.is_empty() { Vec::new() } else { self.workloads.iter().filter(is_one).collect() }
    }

    /// Whether a drain leaves its pods alone.
    fn stays(&self, service: &ServiceName, selector: &BTreeMap<String, String>) -> bool {
        let answering = self.answering(service, selector);
        !answering.is_empty() && answering.iter().all(|it| it.kind == WorkloadKind::DaemonSet)
    }

    fn on_one_node(&self, backend: &Backend, node: &NodeName) -> String {
        let whose = backend.service().and_then(|service| match &self.backends.get(service)?.leads_to {
            LeadsTo::Endpoints { selector, .. } => {
                self.answering(service, selector).into_iter().min_by_key(|it| it.to_string())
            }
            LeadsTo::Nowhere | LeadsTo::Outside => None,
        });
        let whose =
            whose.map_or_else(String::new, |it| format!(", of {it} with {} replicas", it.rollout.desired));
        format!("everything ready behind Service {}{whose}, is on {node}", shown(backend))
    }
}

fn shown(backend: &Backend) -> String {
    match backend {
        Backend::Service(service) => service.to_string(),
        Backend::Url(url) => url.clone(),
    }
}

fn about(asked: &Asked, has_conditions: bool) -> String {
    let mut what: Vec<&str> = asked.what.iter().map(String::as_str).take(NAMED_MAX).collect();
    if asked.what.len() > NAMED_MAX {
        what.push("…");
    }
    let place = match (asked.namespaces.contains(SYSTEM), asked.namespaces.len()) {
        (true, 1) => " in kube-system".to_owned(),
        (true, others) => format!(" in kube-system and {} other namespaces", others - 1),
        (false, 0) => String::new(),
        (false, others) => format!(" in {others} namespaces"),
    };
    let unless = if has_conditions { ", unless its matchConditions leave them out" } else { "" };
    let is_asked = if asked.is_sure { "is" } else { "may be" };
    format!("it {is_asked} asked about {}{place}{unless}", what.join(", "))
}
