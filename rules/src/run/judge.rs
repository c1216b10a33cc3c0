//! Preflight and postflight: looked at whole, judged whole, nothing touched.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::budgets::heeds_budgets;
use super::command::{Command, Surveyed};
use super::manifests::{is_judged, judge, nodes_to_ask, patches_finding};
use super::moves::{finish, halt, linger, remember_once, retry_later};
use super::observed::{Observed, Turn};
use super::state::{Active, State};
use crate::api::UpgradeRun;
use crate::cluster::snapshot::{Node, Role};
use crate::drain;
use crate::driver::ledger::went_backwards;
use crate::driver::order::SurveyOrder;
use crate::driver::reading::{KUBELET_PACKAGE, NodeSurvey, SYSTEMD};
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;
use crate::words::version::Version;

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
    let Finding { reason, subject, detail: _ } = finding;
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
    let (nodes, target) = match (observed.nodes(now), observed.target()) {
        (Ok(nodes), Ok(target)) => (nodes, target),
        (Err(finding), _) | (_, Err(finding)) => return linger(state, vec![finding], now),
    };
    let Some(surveyed) =
        observed.known.survey.as_ref().filter(|surveyed| surveyed.is_since(it.started_at, now))
    else {
        return match survey_order(nodes, &target, observed) {
            Ok(order) => Turn::run(state, Command::Survey(order)),
            Err(finding) => retry_later(state, it, vec![finding], observed, now),
        };
    };
    let mut findings = cluster_findings(nodes, observed, now);
    findings.extend(observed.verdict.iter().cloned());
    findings.extend(survey_findings(&state, surveyed, nodes, observed, now));
    findings.extend(manifest_findings(&mut state, surveyed, nodes, &target, observed));
    // A step that is done again while a node is out of service is not held by what that has caused.
    let heeds_budgets = heeds_budgets(observed.run, &state, observed.snapshot);
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

fn survey_order(nodes: &[Node], target: &Version, observed: &Observed<'_>) -> Result<SurveyOrder, Finding> {
    let wanted = nodes.iter().filter(|node| !observed.is_skipped(&node.name));
    let first = first_control_plane(nodes, observed);
    Ok(SurveyOrder {
        nodes: wanted.map(|node| observed.reach(node)).collect::<Result<_, _>>()?,
        target: target.clone(),
        // A run that resumes has nothing to ask kubeadm: it would only say that there is nothing to do.
        kubeadm_on: first.filter(|_| !observed.snapshot.control_plane_has_begun(target)).cloned(),
        manifests_on: nodes_to_ask(nodes, target, observed),
        // Before prepare no list needs to know the target.
        with_packages: false,
    })
}

/// What was changed by hand on each control-plane node that will be written anew. Of one that could not be looked at
/// at all that is told already.
fn manifest_findings(
    state: &mut State,
    surveyed: &Surveyed,
    nodes: &[Node],
    target: &Version,
    observed: &Observed<'_>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for node in nodes.iter().filter(|node| is_judged(node, target, observed)) {
        let answer = surveyed.nodes.iter().find(|(name, _)| *name == node.name);
        if let Some((_, Ok(survey))) = answer
            && survey.machine_id == node.machine_id
        {
            findings.extend(judge(state, node, survey.manifests.as_ref(), surveyed.at, target, observed));
        }
    }
    findings
}

/// The control-plane node on which the target's own kubeadm is asked.
fn first_control_plane<'a>(nodes: &'a [Node], observed: &Observed<'_>) -> Option<&'a NodeName> {
    let wanted = |node: &&Node| node.role == Role::ControlPlane && !observed.is_skipped(&node.name);
    nodes.iter().filter(wanted).map(|node| &node.name).min()
}

/// Whether people asked for every control-plane node to be left as it is: then kubeadm's plan is not carried out. A
/// cluster that shows no such node at all is not meant.
fn leaves_control_plane_as_it_is(nodes: &[Node], observed: &Observed<'_>) -> bool {
    let mut control_plane = nodes.iter().filter(|node| node.role == Role::ControlPlane).peekable();
    control_plane.peek().is_some() && control_plane.all(|node| observed.is_skipped(&node.name))
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
    let is_done = |node: &Node| {
        !observed.takes(node) || observed.target().is_ok_and(|target| observed.is_at_target(node, &target))
    };
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
    let is_left = |node: &&Node| {
        observed.takes(node) && !observed.target().is_ok_and(|target| observed.is_at_target(node, &target))
    };
    nodes.iter().filter(is_left).map(|node| &node.name).collect()
}

fn drain_findings(nodes: &[Node], observed: &Observed<'_>, now: Timestamp) -> Vec<Finding> {
    let unread = |what: &str, error: String| vec![Finding::new(Reason::ApiUnreachable, what, error)];
    let age_max = observed.settings.check_seconds_max;
    let (Some(pods), Some(budgets), Some(places)) = (observed.pods, observed.budgets, observed.places) else {
        return unread("pods", "not read".to_owned());
    };
    let (pods, budgets, places) =
        match (pods.fresh(now, age_max), budgets.fresh(now, age_max), places.fresh(now, age_max)) {
            (Ok(pods), Ok(budgets), Ok(places)) => (pods, budgets, places),
            (Err(error), _, _) => return unread("pods", error.to_string()),
            (_, Err(error), _) => return unread("budgets", error.to_string()),
            (_, _, Err(error)) => return unread("nodes", error.to_string()),
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

fn survey_findings(
    state: &State,
    surveyed: &Surveyed,
    nodes: &[Node],
    observed: &Observed<'_>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let was_asked =
        surveyed.nodes.iter().any(|(_, answer)| answer.as_ref().is_ok_and(|it| it.kubeadm.is_some()));
    if !was_asked
        && !leaves_control_plane_as_it_is(nodes, observed)
        && observed.target().is_ok_and(|target| !observed.snapshot.control_plane_has_begun(&target))
    {
        let detail = "the target's own kubeadm did not answer on any control-plane node";
        findings.push(Finding::new(Reason::PreflightFailed, "", detail));
    }
    for node in nodes.iter().filter(|node| !observed.is_skipped(&node.name)) {
        let answer = surveyed.nodes.iter().find(|(name, _)| *name == node.name);
        match answer {
            Some((_, Ok(survey))) => findings.extend(node_findings(state, survey, node, observed, now)),
            Some((_, Err(finding))) => findings.push(finding.clone()),
            None => {
                findings.push(Finding::new(Reason::SshUnreachable, node.name.0.clone(), "it was not asked"))
            }
        }
    }
    findings
}

/// What a node said of itself that keeps it from being touched.
pub(super) fn node_findings(
    state: &State,
    survey: &NodeSurvey,
    node: &Node,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Vec<Finding> {
    let settings = observed.settings;
    let mut findings = Vec::new();
    let mut found = |reason, detail: String| findings.push(Finding::new(reason, node.name.0.clone(), detail));
    if survey.machine_id != node.machine_id {
        found(Reason::MachineIdMismatch, format!("{} instead of {}", survey.machine_id, node.machine_id));
    }
    let up_seconds = u64::try_from(now.duration_since(survey.booted_at).as_secs()).unwrap_or(0);
    if up_seconds < settings.quiet_seconds {
        found(
            Reason::NodeRebootedRecently,
            format!("up for {up_seconds} s, quiet time is {} s", settings.quiet_seconds),
        );
    }
    if survey.clock_off_seconds.unsigned_abs() > settings.clock_skew_seconds_max {
        let detail = format!(
            "its clock is {} s off ours, at most {} s are allowed",
            survey.clock_off_seconds, settings.clock_skew_seconds_max
        );
        found(Reason::ClockSkew, detail);
    }
    if survey.disk_free_mib < settings.disk_free_mib_min {
        found(
            Reason::DiskTooSmall,
            format!(
                "{} MiB free in {}, {} MiB wanted",
                survey.disk_free_mib, survey.disk_place, settings.disk_free_mib_min
            ),
        );
    }
    for (reason, detail) in lacking(&survey.lacking) {
        found(reason, detail);
    }
    // The token at hand is sent to nobody before this is judged, in preflight and before a node's own step.
    let sent = state.sequence.saturating_sub(1);
    if survey.ledger_sequence > sent {
        let ahead = went_backwards(&node.name, survey.ledger_sequence, sent);
        found(ahead.reason, ahead.detail);
    }
    if let Some(kubeadm) = survey.kubeadm.as_ref().filter(|kubeadm| !kubeadm.agrees) {
        found(Reason::PreflightFailed, kubeadm.output.clone());
    }
    findings
        .extend(observed.target().ok().and_then(|target| patches_finding(survey, node, &target, observed)));
    findings
}

/// What the node lacks that every upgrade needs, by reason.
fn lacking(all: &[String]) -> Vec<(Reason, String)> {
    let lacks = |what: &str| all.iter().any(|one| one == what);
    let programs: Vec<&str> =
        all.iter().map(String::as_str).filter(|one| ![SYSTEMD, KUBELET_PACKAGE].contains(one)).collect();
    let mut found = Vec::new();
    if !programs.is_empty() {
        found.push((Reason::NodeWithoutApt, format!("it has no {}", programs.join(", "))));
    } else if lacks(KUBELET_PACKAGE) {
        // Without dpkg nobody can say.
        found.push((Reason::KubeletNotPackaged, "dpkg has no installed package kubelet".to_owned()));
    }
    if lacks(SYSTEMD) {
        found.push((Reason::NodeWithoutSystemd, "systemctl does not answer".to_owned()));
    }
    found
}

pub(super) fn postflight(state: State, it: &Active, observed: &Observed<'_>, now: Timestamp) -> Turn {
    let (nodes, target) = match (observed.nodes(now), observed.target()) {
        (Ok(nodes), Ok(target)) => (nodes, target),
        (Err(finding), _) | (_, Err(finding)) => return linger(state, vec![finding], now),
    };
    let mut findings = Vec::new();
    for node in nodes.iter().filter(|node| observed.takes(node)) {
        if !observed.is_at_target(node, &target) {
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
        Some(Err(error)) => return Some(Finding::new(Reason::ApiUnreachable, "pods", error.to_string())),
        None => return Some(Finding::new(Reason::ApiUnreachable, "pods", "not read")),
    };
    let alive: Vec<_> = pods.iter().filter(|pod| !pod.is_finished()).collect();
    let ready = alive.iter().filter(|pod| pod.ready).count();
    let percent = if alive.is_empty() { 100 } else { ready * 100 / alive.len() };
    let wanted = observed.settings.pods_ready_percent_min;
    (u64::try_from(percent).unwrap_or(0) < wanted).then(|| {
        let detail = format!("{ready} of {} are Ready, {wanted} % are wanted", alive.len());
        Finding::new(Reason::PodsNotReady, "", detail)
    })
}
