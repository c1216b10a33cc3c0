//! What the nodes say of themselves before they are touched: all of them before a run, each again before its own step, as
//! what was said before may be hours old, and a node that came since was never asked.

use jiff::Timestamp;

use super::Kubeadm;
use super::ledger::went_backwards;
use super::order::SurveyOrder;
use super::reach::reach;
use super::reading::{KUBELET_PACKAGE, NodeSurvey, Packages, SYSTEMD};
use super::target::{control_plane_has_begun, is_at};
use crate::cluster::snapshot::{Node, Role, Snapshot};
use crate::driver::looked::Looked;
use crate::driver::{Memory, View};
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;

impl Kubeadm<'_> {
    /// What every node of the run is asked.
    pub(in crate::driver) fn survey(&self, nodes: &[Node], view: View<'_>) -> Result<SurveyOrder, Finding> {
        let target = self.target.clone()?;
        let wanted = nodes.iter().filter(|node| !view.is_skipped(node));
        let first = first_control_plane(nodes, view);
        let has_begun = control_plane_has_begun(view.snapshot, &target);
        Ok(SurveyOrder {
            nodes: wanted.map(|node| reach(node, view.snapshot)).collect::<Result<_, _>>()?,
            target,
            // A run that resumes has nothing to ask kubeadm: it would only say that there is nothing to do.
            kubeadm_on: first.filter(|_| !has_begun).cloned(),
            manifests_on: self.rewritten(nodes, view).map(|node| node.name.clone()).collect(),
            // Before prepare no list needs to know the target.
            with_packages: false,
        })
    }

    /// What one node is asked. At the target it is asked too: an attempt before may have been cut, and a person may have
    /// finished the node and changed it.
    pub(in crate::driver) fn survey_of(&self, node: &Node, view: View<'_>) -> Result<SurveyOrder, Finding> {
        let has_manifests = node.role == Role::ControlPlane;
        Ok(SurveyOrder {
            nodes: vec![reach(node, view.snapshot)?],
            target: self.target.clone()?,
            kubeadm_on: None,
            manifests_on: has_manifests.then(|| node.name.clone()).into_iter().collect(),
            with_packages: true,
        })
    }

    /// What keeps the run from touching any node.
    pub(in crate::driver) fn judge(
        &self,
        looked: &Looked<&NodeSurvey>,
        nodes: &[Node],
        memory: &mut Memory<'_>,
        view: View<'_>,
    ) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.not_asked(looked, nodes, view).into_iter().collect();
        for node in nodes.iter().filter(|node| !view.is_skipped(node)) {
            match looked.of(&node.name) {
                Some(Ok(survey)) => findings.extend(self.node_findings(survey, node, memory, view)),
                Some(Err(finding)) => findings.push(finding.clone()),
                None => findings.push(unasked(node)),
            }
        }
        // What was changed by hand where manifests will be written anew. Of a node that could not be looked at at all that is
        // told already.
        for node in self.rewritten(nodes, view) {
            if let Some(Ok(survey)) = looked.of(&node.name)
                && survey.machine_id == node.machine_id
            {
                findings.extend(self.drift(node, survey.manifests.as_ref(), looked.at, memory, view));
            }
        }
        findings
    }

    /// What keeps one node from being touched.
    pub(in crate::driver) fn judge_one(
        &self,
        survey: Option<&NodeSurvey>,
        at: Timestamp,
        node: &Node,
        memory: &mut Memory<'_>,
        view: View<'_>,
    ) -> Vec<Finding> {
        let Some(survey) = survey else { return vec![unasked(node)] };
        let mut findings = self.node_findings(survey, node, memory, view);
        let has_begun = memory.has_begun(node);
        if has_begun {
            // People restart a node that was left half done; it must not wait for quiet, it must be finished.
            findings.retain(|finding| finding.reason != Reason::NodeRebootedRecently);
        }
        if !self.is_there(node, view.snapshot) {
            findings.extend(self.packages_finding(survey, node, has_begun));
        }
        // Another machine's manifests are not this node's.
        if findings.is_empty() && node.role == Role::ControlPlane {
            findings.extend(self.drift(node, survey.manifests.as_ref(), at, memory, view));
        }
        findings
    }

    /// What a node said of itself that keeps it from being touched.
    fn node_findings(
        &self,
        survey: &NodeSurvey,
        node: &Node,
        memory: &Memory<'_>,
        view: View<'_>,
    ) -> Vec<Finding> {
        let settings = view.settings;
        let mut findings = Vec::new();
        let name = || node.name.0.clone();
        let found = |reason, detail: String| Finding::new(reason, name(), detail);
        let counted = |reason, words: String, figure: &dyn std::fmt::Display| {
            Finding::with_figures(reason, name(), words, &[figure])
        };
        if survey.machine_id != node.machine_id {
            findings.push(found(
                Reason::MachineIdMismatch,
                format!("{} instead of {}", survey.machine_id, node.machine_id),
            ));
        }
        let up_seconds = u64::try_from(view.now.duration_since(survey.booted_at).as_secs()).unwrap_or(0);
        if up_seconds < settings.quiet_seconds {
            let words = format!("up for {{}} s, quiet time is {} s", settings.quiet_seconds);
            findings.push(counted(Reason::NodeRebootedRecently, words, &up_seconds));
        }
        if survey.clock_off_seconds.unsigned_abs() > settings.clock_skew_seconds_max {
            let words = format!(
                "its clock is {{}} s off ours, at most {} s are allowed",
                settings.clock_skew_seconds_max
            );
            findings.push(counted(Reason::ClockSkew, words, &survey.clock_off_seconds));
        }
        if survey.disk_free_mib < settings.disk_free_mib_min {
            let words =
                format!("{{}} MiB free in {}, {} MiB wanted", survey.disk_place, settings.disk_free_mib_min);
            findings.push(counted(Reason::DiskTooSmall, words, &survey.disk_free_mib));
        }
        for (reason, detail) in lacking(&survey.lacking) {
            findings.push(found(reason, detail));
        }
        // The token at hand is sent to nobody before this is judged, in preflight and before a node's own step.
        let sent = memory.sequence.saturating_sub(1);
        if survey.ledger_sequence > sent {
            findings.push(went_backwards(&node.name, survey.ledger_sequence, sent));
        }
        if let Some(kubeadm) = survey.kubeadm.as_ref().filter(|kubeadm| !kubeadm.agrees) {
            findings.push(found(Reason::PreflightFailed, kubeadm.output.clone()));
        }
        findings.extend(self.patches_finding(survey, node, view.snapshot));
        findings
    }

    /// That the target's own kubeadm was asked nowhere, where its answer is needed.
    fn not_asked(&self, looked: &Looked<&NodeSurvey>, nodes: &[Node], view: View<'_>) -> Option<Finding> {
        let has_said = |survey: &&NodeSurvey| survey.kubeadm.is_some();
        let was_asked = looked.nodes.iter().any(|(_, answer)| answer.as_ref().is_ok_and(has_said));
        let is_needed = !was_asked
            && !leaves_control_plane_as_it_is(nodes, view)
            && self.target.as_ref().is_ok_and(|target| !control_plane_has_begun(view.snapshot, target));
        is_needed.then(|| {
            let detail = "the target's own kubeadm did not answer on any control-plane node";
            Finding::new(Reason::PreflightFailed, "", detail)
        })
    }

    /// What it means that the folder of kubeadm's patches is not there: nothing, on a node that is done.
    fn patches_finding(&self, survey: &NodeSurvey, node: &Node, snapshot: &Snapshot) -> Option<Finding> {
        let is_missing = survey.patches_missing && self.target.is_ok() && !self.is_there(node, snapshot);
        let path = self.site.patches_directory.as_deref().unwrap_or_default();
        is_missing.then(|| {
            Finding::new(Reason::PatchesMissing, node.name.0.clone(), format!("there is no folder {path}"))
        })
    }

    fn packages_finding(&self, survey: &NodeSurvey, node: &Node, has_begun: bool) -> Option<Finding> {
        let about = |reason, detail| Some(Finding::new(reason, node.name.0.clone(), detail));
        let target = match &self.target {
            Ok(target) => target,
            Err(finding) => return Some(finding.clone()),
        };
        match &survey.packages {
            Some(Packages::Ready) => None,
            // It is out of service already, and nothing prepares it again.
            Some(Packages::Unfetched) if has_begun => None,
            Some(Packages::Unfetched) => {
                about(Reason::NodeNotPrepared, format!("what was fetched of {target} is not there any more"))
            }
            Some(Packages::Missing) => {
                about(Reason::NodeNotPrepared, format!("its package lists do not show {target}"))
            }
            Some(Packages::Blocked(why)) => about(Reason::PackagesBlocked, why.clone()),
            None => about(Reason::PackagesBlocked, "apt was not asked".to_owned()),
        }
    }

    /// The nodes whose manifests the run writes anew.
    fn rewritten<'n>(&self, nodes: &'n [Node], view: View<'_>) -> impl Iterator<Item = &'n Node> {
        nodes.iter().filter(move |node| {
            node.role == Role::ControlPlane
                && !view.is_skipped(node)
                && !node.deleting
                && !self.is_there(node, view.snapshot)
        })
    }

    /// Whether a node is at the target, if that can be read.
    fn is_there(&self, node: &Node, snapshot: &Snapshot) -> bool {
        self.target.as_ref().is_ok_and(|target| is_at(snapshot, node, target))
    }
}

fn unasked(node: &Node) -> Finding {
    Finding::new(Reason::SshUnreachable, node.name.0.clone(), "it was not asked")
}

/// The control-plane node on which the target's own kubeadm is asked.
fn first_control_plane<'n>(nodes: &'n [Node], view: View<'_>) -> Option<&'n NodeName> {
    let wanted = |node: &&Node| node.role == Role::ControlPlane && !view.is_skipped(node);
    nodes.iter().filter(wanted).map(|node| &node.name).min()
}

/// Whether people asked for every control-plane node to be left as it is: then kubeadm's plan is not carried out. A
/// cluster that shows no such node at all is not meant.
fn leaves_control_plane_as_it_is(nodes: &[Node], view: View<'_>) -> bool {
    let mut control_plane = nodes.iter().filter(|node| node.role == Role::ControlPlane).peekable();
    control_plane.peek().is_some() && control_plane.all(|node| view.is_skipped(node))
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
