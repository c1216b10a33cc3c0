//! What was changed by hand in the manifests of a control-plane node: asked before its own step and judged once. Where the
//! answer is worth nothing, the one from before stands for as long as the manifests are the same.

use jiff::Timestamp;

use super::Kubeadm;
use super::manifests::{Changes, acceptance, accepts};
use super::node_script::is_sha256;
use super::order::{LookedAt, UnitKind};
use super::reading::ManifestSurvey;
use crate::api::ManifestRecord;
use crate::cluster::snapshot::{CONTROL_PLANE, Node, Snapshot};
use crate::driver::{Memory, View};
use crate::reason::{Finding, Reason};
use crate::words::version::Version;

/// How many nodes are remembered; a control plane has a handful.
const RECORDS_MAX: usize = 20;

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
pub(super) fn looked_at(records: &[ManifestRecord], node: &Node, kind: UnitKind) -> LookedAt {
    let record = match kind {
        UnitKind::UpgradeFirst | UnitKind::UpgradeNode => record_of(records, node),
        UnitKind::Snapshot | UnitKind::Prepare => None,
    };
    record.map_or_else(LookedAt::default, |record| LookedAt {
        version: record.version.parse().ok(),
        files: record.files.clone(),
        inputs: record.inputs.clone(),
    })
}

fn record_of<'a>(records: &'a [ManifestRecord], node: &Node) -> Option<&'a ManifestRecord> {
    records.iter().find(|record| is_of(record, node))
}

fn is_of(record: &ManifestRecord, node: &Node) -> bool {
    record.node == node.name && record.uid == node.uid
}

impl Kubeadm<'_> {
    /// Notes what the installed kubeadm said, if it is worth anything, and says what stands in the way by what is known now.
    pub(super) fn drift(
        &self,
        node: &Node,
        said: Option<&ManifestSurvey>,
        at: Timestamp,
        memory: &mut Memory<'_>,
        view: View<'_>,
    ) -> Option<Finding> {
        let unknown = |why: String| Some(Finding::new(Reason::ManifestsUnknown, node.name.0.clone(), why));
        let target = match &self.target {
            Ok(target) => target,
            Err(finding) => return Some(finding.clone()),
        };
        let Some(said) = said else { return unknown("the installed kubeadm was not asked".to_owned()) };
        match worth(said, node, view.snapshot) {
            Ok((version, changes)) => note(memory.manifests, node, version, said, changes, at),
            Err(why) => {
                let has_begun = memory.has_begun(node);
                let before = memory.manifests.iter_mut().find(|record| is_of(record, node));
                let Some(record) = before.filter(|record| still_holds(record, said, has_begun, target))
                else {
                    let more = "; as its change has begun, put the manifests, and kubeadm's patches and environment, back as they were, or finish the node with kubeadm by hand";
                    return unknown(if has_begun { format!("{why}{more}") } else { why });
                };
                record.inputs.clone_from(&said.inputs);
            }
        }
        let record = record_of(memory.manifests, node)?;
        let digest = record.digest.as_ref()?;
        let code = Reason::ConfigDrift.code();
        if view.run.spec.accept_risks.iter().any(|word| accepts(word, code, digest)) {
            return None;
        }
        let detail = format!("{} accepts: {}", acceptance(code, digest), record.lines.join("; "));
        Some(Finding::new(Reason::ConfigDrift, node.name.0.clone(), detail))
    }
}

/// The changes, if the kubeadm that was asked is the one that has written the manifests.
fn worth<'a>(
    said: &'a ManifestSurvey,
    node: &Node,
    snapshot: &Snapshot,
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
    let runs = running(node, snapshot)?;
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
fn running(node: &Node, snapshot: &Snapshot) -> Result<Version, String> {
    let pods = snapshot.static_pods.value.as_deref().unwrap_or_default();
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
    records: &mut Vec<ManifestRecord>,
    node: &Node,
    version: String,
    said: &ManifestSurvey,
    changes: &Changes,
    at: Timestamp,
) {
    let files = said.files.iter().map(|file| (file.component.clone(), file.sha256.clone()));
    records.retain(|record| record.node != node.name);
    records.push(ManifestRecord {
        node: node.name.clone(),
        uid: node.uid.clone(),
        version,
        digest: changes.digest(),
        lines: changes.shown(),
        files: files.filter(|(component, _)| CONTROL_PLANE.contains(&component.as_str())).collect(),
        inputs: said.inputs.clone(),
        at,
    });
    let excess = records.len().saturating_sub(RECORDS_MAX);
    records.drain(..excess);
}

/// What of a record is not of the form in which it is told to a node.
pub(in crate::driver) fn malformed_record(record: &ManifestRecord) -> Option<String> {
    for (component, sha256) in &record.files {
        if !CONTROL_PLANE.contains(&component.as_str()) || !is_sha256(sha256) {
            return Some(format!("{component:?} {sha256:?} is no manifest's hash"));
        }
    }
    let inputs = record.inputs.as_ref().filter(|text| !is_sha256(text))?;
    Some(format!("{inputs:?} is no hash"))
}
