//! Preflight and postflight: looked at whole, judged whole, nothing touched.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::budgets::heeds_budgets;
use super::command::Command;
use super::moves::{finish, halt, linger, remember_once, retry_later};
use super::observed::{Observed, Turn};
use super::state::{Active, State};
use crate::api::UpgradeRun;
use crate::cluster::snapshot::{Node, Unusable};
use crate::drain;
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;

/// The reasons that a person may accept in `spec.acceptRisks`: all findings of one, by its code, or one by its word. A
/// change of a manifest is accepted by its digest.
const ACCEPTABLE: [Reason; 5] = [
    Reason::PdbBlocked,
    Reason::PdbOfOthers,
    Reason::PodWithoutController,
    Reason::PodHasNoOtherNode,
    Reason::PipelineHasNoOtherNode,
];

/// Those that are accepted one by one: whoever knows what one operator does with its budget does not know it of all.
const ACCEPTABLE_BY_WORD: [Reason; 1] = [Reason::PdbMayMove];
/// The check of the verdict whose findings preflight sees again, pod by pod.
const BUDGETS_CHECK: &str = "disruption_budgets";

/// Whether a person has looked at this and accepts it for the whole run.
#[must_use]
pub fn is_accepted(run: &UpgradeRun, finding: &Finding) -> bool {
    let (reason, subject) = (&finding.reason, &finding.subject);
    let accepts = |word: &str| run.spec.accept_risks.iter().any(|accepted| accepted == word);
    ACCEPTABLE.contains(reason) && accepts(reason.code())
        || (ACCEPTABLE.contains(reason) || ACCEPTABLE_BY_WORD.contains(reason))
            && !subject.is_empty()
            && accepts(&format!("{reason}@{subject}"))
}

/// Whether a person accepts it for the cluster, in a file of facts: the verdict has said so of the same subject.
fn is_accepted_in_facts(finding: &Finding, observed: &Observed<'_>, now: Timestamp) -> bool {
    observed.accepts.0.iter().any(|accept| accept.holds(now) && accept.means(BUDGETS_CHECK, finding))
}

pub(super) fn preflight(mut state: State, it: &Active, observed: &Observed<'_>, now: Timestamp) -> Turn {
    let nodes = match (observed.nodes(now), observed.target()) {
        (Ok(nodes), Ok(_target)) => nodes,
        (Err(finding), _) | (_, Err(finding)) => return linger(state, vec![finding], now),
    };
    let Some(looked) = observed.known.looked.as_ref().filter(|looked| looked.is_since(it.started_at, now))
    else {
        return match observed.driver.look(nodes, observed.view(now)) {
            Ok(order) => Turn::run(state, Command::Look(order)),
            Err(finding) => retry_later(state, it, vec![finding], observed, now),
        };
    };
    let mut findings = cluster_findings(nodes, observed, now);
    findings.extend(observed.verdict.iter().cloned());
    findings.extend(observed.driver.judge(looked, nodes, &mut state.memory(nodes), observed.view(now)));
    // A step that is done again while a node is out of service is not held by what that has caused.
    let heeds_budgets =
        heeds_budgets(observed.run, &state, observed.snapshot, |node| observed.is_at_target(node));
    findings.retain(|it| heeds_budgets || !drain::is_of_budgets(it));
    findings.retain(|it| !is_accepted(observed.run, it) && !is_accepted_in_facts(it, observed, now));
    if let Some(finding) = findings.iter().find(|finding| finding.reason == Reason::StateWentBackwards) {
        return halt(state, it, finding.clone(), now);
    }
    if findings.is_empty() {
        for line in drain_side_effects(nodes, observed) {
            remember_once(&mut state, now, &it.step.to_string(), &line);
        }
        finish(state, it, observed, now)
    } else {
        retry_later(state, it, findings, observed, now)
    }
}

fn cluster_findings(nodes: &[Node], observed: &Observed<'_>, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    for node in nodes.iter().filter(|node| !observed.is_skipped(&node.name)) {
        if !node.ready {
            findings.push(Finding::new(Reason::NodeNotReady, node.name.0.clone(), ""));
        }
        if let Err(text) = &node.kubelet_version {
            let detail = format!("kubelet says {text:?}");
            findings.push(Finding::new(Reason::VersionUnexpected, node.name.0.clone(), detail));
        }
        if !node.pressures.is_empty() {
            findings.push(Finding::new(
                Reason::NodePressure,
                node.name.0.clone(),
                format!("{:?}", node.pressures),
            ));
        }
    }
    findings.extend(observed.etcd_findings(now));
    findings.extend(drain_findings(nodes, observed, now));
    findings.extend(lead_finding(nodes, observed, now));
    findings
}

/// That nobody could lead while our own node is upgraded. Only a replica that is Ready elsewhere can: what a scheduler
/// would do with the pod of this one once it is gone comes too late, as nobody takes its node out of service before.
fn lead_finding(nodes: &[Node], observed: &Observed<'_>, now: Timestamp) -> Option<Finding> {
    let own = observed.own_node?;
    let is_done = |node: &Node| !observed.takes(node) || observed.is_at_target(node);
    if nodes.iter().any(|node| node.name == *own && is_done(node)) {
        return None;
    }
    // That the pods cannot be read is told beside it.
    let pods = observed.pods?.fresh(now, observed.settings.check_seconds_max).ok()?;
    let could_lead = |pod: &&drain::Pod| {
        drain::is_actuator(pod)
            && pod.ready
            && !pod.deleting
            && pod.node.as_ref().is_some_and(|node| node != own)
    };
    pods.iter().find(could_lead).is_none().then(|| {
        let detail = "no Ready pod with the label app.kubernetes.io/name: lockkeeper-actuator is on another";
        Finding::new(Reason::NoHomeForActuator, own.0.clone(), detail)
    })
}

/// The nodes that the run is going to drain.
fn drained<'a>(nodes: &'a [Node], observed: &Observed<'_>) -> BTreeSet<&'a NodeName> {
    let is_left = |node: &&Node| observed.takes(node) && !observed.is_at_target(node);
    nodes.iter().filter(is_left).map(|node| &node.name).collect()
}

fn drain_findings(nodes: &[Node], observed: &Observed<'_>, now: Timestamp) -> Vec<Finding> {
    let unread = |what: &str, why: &Unusable| vec![why.finding(Reason::ApiUnreachable, what)];
    let age_max = observed.settings.check_seconds_max;
    let (Some(pods), Some(budgets), Some(places)) = (observed.pods, observed.budgets, observed.places) else {
        return vec![Finding::new(Reason::ApiUnreachable, "pods", "not read")];
    };
    let (pods, budgets, places) =
        match (pods.fresh(now, age_max), budgets.fresh(now, age_max), places.fresh(now, age_max)) {
            (Ok(pods), Ok(budgets), Ok(places)) => (pods, budgets, places),
            (Err(error), _, _) => return unread("pods", &error),
            (_, Err(error), _) => return unread("budgets", &error),
            (_, _, Err(error)) => return unread("nodes", &error),
        };
    let mut findings = drain::forecast(pods, budgets, observed.run.spec.drain);
    let stranded = drain::stranded(pods, places, &drained(nodes, observed));
    findings.extend(drain::stuck(&stranded, budgets));
    findings.extend(stranded.iter().filter(|pod| drain::is_alert_path(pod)).map(|pod| {
        let detail = "no other node that is Ready and schedulable takes it";
        Finding::new(Reason::PipelineHasNoOtherNode, pod.title(), detail)
    }));
    findings
}

/// What the drains to come do besides, where everything that holds them was read and is out of the way.
fn drain_side_effects(nodes: &[Node], observed: &Observed<'_>) -> Vec<String> {
    let pods = observed.pods.and_then(|pods| pods.value.as_deref()).unwrap_or_default();
    let places = observed.places.and_then(|places| places.value.as_deref()).unwrap_or_default();
    let drained = drained(nodes, observed);
    drain::side_effects(pods, &drain::stranded(pods, places, &drained), &drained)
}

pub(super) fn postflight(state: State, it: &Active, observed: &Observed<'_>, now: Timestamp) -> Turn {
    let (nodes, target) = match (observed.nodes(now), observed.target()) {
        (Ok(nodes), Ok(target)) => (nodes, target),
        (Err(finding), _) | (_, Err(finding)) => return linger(state, vec![finding], now),
    };
    let mut findings = Vec::new();
    for node in nodes.iter().filter(|node| observed.takes(node)) {
        if !observed.is_at_target(node) {
            findings.push(Finding::new(
                Reason::VersionUnexpected,
                node.name.0.clone(),
                format!("not at {target}"),
            ));
        }
        if !node.ready {
            findings.push(Finding::new(Reason::NodeNotReady, node.name.0.clone(), ""));
        }
    }
    findings.extend(pods_findings(observed, now));
    if findings.is_empty() {
        finish(state, it, observed, now)
    } else {
        retry_later(state, it, findings, observed, now)
    }
}

fn pods_findings(observed: &Observed<'_>, now: Timestamp) -> Option<Finding> {
    let pods = match observed.pods.map(|pods| pods.fresh(now, observed.settings.check_seconds_max)) {
        Some(Ok(pods)) => pods,
        Some(Err(error)) => return Some(error.finding(Reason::ApiUnreachable, "pods")),
        None => return Some(Finding::new(Reason::ApiUnreachable, "pods", "not read")),
    };
    let alive: Vec<_> = pods.iter().filter(|pod| !pod.is_finished()).collect();
    let ready = alive.iter().filter(|pod| pod.ready).count();
    let percent = if alive.is_empty() { 100 } else { ready * 100 / alive.len() };
    let wanted = observed.settings.pods_ready_percent_min;
    (u64::try_from(percent).unwrap_or(0) < wanted).then(|| {
        let words = format!("{{}} of {{}} are Ready, {wanted} % are wanted");
        Finding::with_figures(Reason::PodsNotReady, "", words, &[&ready, &alive.len()])
    })
}
