//! What was changed by hand in the manifests of a control-plane node: asked before its own step and judged once. Once its
//! change may have begun, the answer from before stands.

use jiff::Timestamp;

use super::command::{ManifestSurvey, NodeSurvey, SurveyOrder, Surveyed};
use super::observed::Observed;
use super::state::{Active, State};
use crate::api::ManifestRecord;
use crate::manifests::{Changes, acceptance, accepts};
use crate::name::NodeName;
use crate::reason::{Finding, Reason};
use crate::snapshot::{CONTROL_PLANE, Node, Role};
use crate::version::Version;

/// How many nodes are remembered; a control plane has a handful.
const RECORDS_MAX: usize = 20;

/// The nodes on which the installed kubeadm is to be asked: those of the control plane that the run will change, and has
/// not begun to.
pub(super) fn nodes_to_ask(
    state: &State,
    nodes: &[Node],
    target: &Version,
    observed: &Observed<'_>,
) -> Vec<NodeName> {
    let wanted = nodes.iter().filter(|node| is_judged(node, target, observed));
    wanted.filter(|node| !stands(state, node)).map(|node| node.name.clone()).collect()
}

/// Whether the manifests of this node will be written anew.
pub(super) fn is_judged(node: &Node, target: &Version, observed: &Observed<'_>) -> bool {
    node.role == Role::ControlPlane && observed.takes(node) && !observed.is_at_target(node, target)
}

/// Whether an earlier answer is the last word: the node's change may have begun, and there is one.
fn stands(state: &State, node: &Node) -> bool {
    state.begun_on(&node.name).is_some() && record_of(state, node).is_some()
}

fn record_of<'a>(state: &'a State, node: &Node) -> Option<&'a ManifestRecord> {
    state.manifests.iter().find(|record| record.node == node.name && record.uid == node.uid)
}

/// Notes what the installed kubeadm said, if it is worth anything, and says what stands in the way by what is known now.
pub(super) fn judge(
    state: &mut State,
    node: &Node,
    said: Option<&ManifestSurvey>,
    at: Timestamp,
    observed: &Observed<'_>,
) -> Option<Finding> {
    let answer = match said {
        Some(_) if stands(state, node) => Err("the node's change has begun".to_owned()),
        Some(said) => worth(said, node, observed),
        None => Err("the installed kubeadm was not asked".to_owned()),
    };
    match answer {
        Ok((version, changes)) => note(state, node, version, changes, at),
        Err(why) if record_of(state, node).is_none() => {
            return Some(Finding::new(Reason::ManifestsUnknown, node.name.0.clone(), why));
        }
        // What was found before the node was touched stands.
        Err(_) => {}
    }
    let record = record_of(state, node)?;
    let digest = record.digest.as_ref()?;
    let code = Reason::ConfigDrift.code();
    if observed.run.spec.accept_risks.iter().any(|word| accepts(word, code, digest)) {
        return None;
    }
    let detail = format!("{} accepts: {}", acceptance(code, digest), record.lines.join("; "));
    Some(Finding::new(Reason::ConfigDrift, node.name.0.clone(), detail))
}

/// The changes, if the kubeadm that was asked is the one that has written the manifests.
fn worth<'a>(
    said: &'a ManifestSurvey,
    node: &Node,
    observed: &Observed<'_>,
) -> Result<(String, &'a Changes), String> {
    let ManifestSurvey { installed, written, changes } = said;
    let runs = running(node, observed)?;
    if installed.parse::<Version>().as_ref() != Ok(&runs) {
        return Err(format!(
            "kubeadm {installed} is installed, the control plane there runs {runs}: install kubeadm {}",
            runs.bare()
        ));
    }
    if written.parse::<Version>().as_ref() != Ok(&runs) {
        let detail = "kubeadm writes the manifests of";
        return Err(format!(
            "{detail} {written:?}, the control plane there runs {runs}: kubeadm-config says another version"
        ));
    }
    let changes =
        changes.as_ref().map_err(|why| format!("kubeadm {installed} did not say what differs: {why}"))?;
    Ok((runs.to_string(), changes))
}

/// The one version that every component of the node's control plane runs.
fn running(node: &Node, observed: &Observed<'_>) -> Result<Version, String> {
    let pods = observed.snapshot.static_pods.value.as_deref().unwrap_or_default();
    let mut found: Option<&Version> = None;
    for component in CONTROL_PLANE {
        let pod = pods.iter().find(|pod| pod.component == component && pod.node == node.name);
        let version = pod.ok_or_else(|| format!("{component} is not shown"))?.version.as_ref();
        let version =
            version.map_err(|image| format!("{component} runs {image:?}, which names no version"))?;
        match found {
            Some(other) if other != version => {
                return Err(format!(
                    "{component} runs {version} and another component {other}: an upgrade broke off there; finish it with \
                     kubeadm by hand"
                ));
            }
            Some(_) | None => found = Some(version),
        }
    }
    found.cloned().ok_or_else(|| "no component is shown".to_owned())
}

fn note(state: &mut State, node: &Node, version: String, changes: &Changes, at: Timestamp) {
    state.manifests.retain(|record| record.node != node.name);
    state.manifests.push(ManifestRecord {
        node: node.name.clone(),
        uid: node.uid.clone(),
        version,
        digest: changes.digest(),
        lines: changes.shown(),
        at,
    });
    let excess = state.manifests.len().saturating_sub(RECORDS_MAX);
    state.manifests.drain(..excess);
}

/// What a control-plane node's own step does about its manifests.
pub(super) enum Look {
    /// The installed kubeadm is to be asked first.
    Ask(SurveyOrder),
    /// Nothing stands in the way.
    Good,
    /// The attempt goes no further.
    Found(Vec<Finding>),
}

/// Looks at a node right before its own step touches it.
pub(super) fn look(
    state: &mut State,
    it: &Active,
    node: &Node,
    target: &Version,
    observed: &Observed<'_>,
) -> Look {
    if !is_judged(node, target, observed) {
        return Look::Good;
    }
    let of_now = |surveyed: &&Surveyed| surveyed.at >= it.started_at;
    let asked = observed.known.survey.as_ref().filter(of_now);
    let answer = asked.and_then(|surveyed| surveyed.nodes.iter().find(|(name, _)| *name == node.name));
    let (said, at) = match (answer, asked) {
        _ if stands(state, node) => (None, it.started_at),
        (Some((_, Err(finding))), _) => return Look::Found(vec![finding.clone()]),
        (Some((_, Ok(survey))), Some(asked)) => match of_this_machine(survey, node) {
            Ok(survey) => (survey.manifests.as_ref(), asked.at),
            Err(finding) => return Look::Found(vec![finding]),
        },
        _ => {
            let order = observed.reach(node).map(|reach| SurveyOrder {
                nodes: vec![reach],
                target: target.clone(),
                kubeadm_on: None,
                manifests_on: vec![node.name.clone()],
            });
            return order.map_or_else(|finding| Look::Found(vec![finding]), Look::Ask);
        }
    };
    match judge(state, node, said, at, observed) {
        None => Look::Good,
        Some(finding) => Look::Found(vec![finding]),
    }
}

fn of_this_machine<'a>(survey: &'a NodeSurvey, node: &Node) -> Result<&'a NodeSurvey, Finding> {
    if survey.machine_id == node.machine_id {
        return Ok(survey);
    }
    let detail = format!("{} instead of {}", survey.machine_id, node.machine_id);
    Err(Finding::new(Reason::MachineIdMismatch, node.name.0.clone(), detail))
}
