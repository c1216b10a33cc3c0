//! What was changed by hand in the manifests of a control-plane node: asked before its own step and judged once. Where the
//! answer is worth nothing, the one from before stands for as long as the manifests are the same.

use jiff::Timestamp;

use super::observed::Observed;
use super::state::State;
use crate::api::ManifestRecord;
use crate::cluster::snapshot::{CONTROL_PLANE, Node, Role};
use crate::driver::manifests::{Changes, acceptance, accepts};
use crate::driver::order::{LookedAt, UnitKind};
use crate::driver::reading::{ManifestSurvey, NodeSurvey};
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;
use crate::words::version::Version;

/// How many nodes are remembered; a control plane has a handful.
const RECORDS_MAX: usize = 20;

/// The nodes on which the installed kubeadm is to be asked: those of the control plane that the run will change.
pub(super) fn nodes_to_ask(nodes: &[Node], target: &Version, observed: &Observed<'_>) -> Vec<NodeName> {
    nodes.iter().filter(|node| is_judged(node, target, observed)).map(|node| node.name.clone()).collect()
}

/// Whether the manifests of this node will be written anew.
pub(super) fn is_judged(node: &Node, target: &Version, observed: &Observed<'_>) -> bool {
    node.role == Role::ControlPlane && observed.takes(node) && !observed.is_at_target(node, target)
}

/// Whether the record is about the manifests that lie there now: each is the same, or the target's kubeadm has written it
/// since, in an attempt of this run that was cut. What kubeadm makes them of is the same too.
fn still_holds(record: &ManifestRecord, said: &ManifestSurvey, has_begun: bool, target: &Version) -> bool {
    // Of manifests that were of the target already there is nothing to tell kubeadm's by.
    let may_be_newer = has_begun && record.version != target.to_string();
    // A status from before the inputs were kept has none. A node that is half done cannot be judged anew.
    let are_inputs_same = record.inputs == said.inputs || has_begun && record.inputs.is_none();
    let are_files_same = CONTROL_PLANE.into_iter().all(|component| {
        let mut files = said.files.iter().filter(|file| file.component == component);
        files.next().is_some_and(|file| {
            record.files.get(component) == Some(&file.sha256)
                || may_be_newer && file.tag.parse::<Version>().as_ref() == Ok(target)
        })
    });
    said.inputs.is_some() && are_inputs_same && are_files_same
}

/// The manifests that were judged, for the unit that lets kubeadm write new ones.
pub(super) fn looked_at(state: &State, node: &Node, kind: UnitKind) -> LookedAt {
    let record = match kind {
        UnitKind::UpgradeFirst | UnitKind::UpgradeNode => record_of(state, node),
        UnitKind::Snapshot | UnitKind::Prepare => None,
    };
    record.map_or_else(LookedAt::default, |record| LookedAt {
        version: record.version.parse().ok(),
        files: record.files.clone(),
        inputs: record.inputs.clone(),
    })
}

fn record_of<'a>(state: &'a State, node: &Node) -> Option<&'a ManifestRecord> {
    state.manifests.iter().find(|record| is_of(record, node))
}

fn is_of(record: &ManifestRecord, node: &Node) -> bool {
    record.node == node.name && record.uid == node.uid
}

/// Notes what the installed kubeadm said, if it is worth anything, and says what stands in the way by what is known now.
pub(super) fn judge(
    state: &mut State,
    node: &Node,
    said: Option<&ManifestSurvey>,
    at: Timestamp,
    target: &Version,
    observed: &Observed<'_>,
) -> Option<Finding> {
    let unknown = |why: String| Some(Finding::new(Reason::ManifestsUnknown, node.name.0.clone(), why));
    let Some(said) = said else { return unknown("the installed kubeadm was not asked".to_owned()) };
    match worth(said, node, observed) {
        Ok((version, changes)) => note(state, node, version, said, changes, at),
        Err(why) => {
            let has_begun = state.begun_on(&node.name, &node.uid).is_some();
            let before = state.manifests.iter_mut().find(|record| is_of(record, node));
            let Some(record) = before.filter(|record| still_holds(record, said, has_begun, target)) else {
                let more = "; as its change has begun, put the manifests, and kubeadm's patches and environment, back as they were, or finish the node with kubeadm by hand";
                return unknown(if has_begun { format!("{why}{more}") } else { why });
            };
            record.inputs.clone_from(&said.inputs);
        }
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
    let ManifestSurvey { installed, written, files, inputs, changes } = said;
    // The node holds every manifest against what was read here.
    let is_read = |component: &str| files.iter().any(|file| file.component == component);
    if let Some(component) = CONTROL_PLANE.into_iter().find(|component| !is_read(component)) {
        return Err(format!("the manifest of {component} is not there"));
    }
    if inputs.is_none() {
        return Err("kubeadm's patches cannot be read".to_owned());
    }
    let runs = running(node, observed)?;
    if installed.parse::<Version>().as_ref() != Ok(&runs) {
        return Err(format!(
            "kubeadm {installed} is installed, the control plane there runs {runs}: install kubeadm {}",
            runs.bare()
        ));
    }
    let changes = changes.as_ref().map_err(|why| {
        format!("kubeadm {installed} did not say what differs; mend what it says, on the node: {why}")
    })?;
    if written.parse::<Version>().as_ref() != Ok(&runs) {
        return Err(format!(
            "kubeadm writes the manifests of {written:?}, the control plane there runs {runs}: kubeadm-config says another \
             version; finish this node with kubeadm by hand"
        ));
    }
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
                    "{component} runs {version} and another component {other}: bring all of them to one version, by hand"
                ));
            }
            Some(_) | None => found = Some(version),
        }
    }
    found.cloned().ok_or_else(|| "no component is shown".to_owned())
}

fn note(
    state: &mut State,
    node: &Node,
    version: String,
    said: &ManifestSurvey,
    changes: &Changes,
    at: Timestamp,
) {
    let files = said.files.iter().map(|file| (file.component.clone(), file.sha256.clone()));
    state.manifests.retain(|record| record.node != node.name);
    state.manifests.push(ManifestRecord {
        node: node.name.clone(),
        uid: node.uid.clone(),
        version,
        digest: changes.digest(),
        lines: changes.shown(),
        files: files.filter(|(component, _)| CONTROL_PLANE.contains(&component.as_str())).collect(),
        inputs: said.inputs.clone(),
        at,
    });
    let excess = state.manifests.len().saturating_sub(RECORDS_MAX);
    state.manifests.drain(..excess);
}

/// What it means that the folder of kubeadm's patches is not there: nothing, on a node that is done.
pub(super) fn patches_finding(
    survey: &NodeSurvey,
    node: &Node,
    target: &Version,
    observed: &Observed<'_>,
) -> Option<Finding> {
    let is_missing = survey.patches_missing && !observed.is_at_target(node, target);
    let path = observed.kubeadm.patches_directory.as_deref().unwrap_or_default();
    is_missing.then(|| {
        Finding::new(Reason::PatchesMissing, node.name.0.clone(), format!("there is no folder {path}"))
    })
}
