//! The look at one node right before its own step touches it: what preflight saw may be hours old, and a node that came
//! since was never seen.

use std::time::Duration;

use jiff::Timestamp;

use super::command::Surveyed;
use super::judge::node_findings;
use super::manifests::judge;
use super::observed::Observed;
use super::state::{Active, State};
use crate::cluster::snapshot::{Node, Role};
use crate::driver::order::SurveyOrder;
use crate::driver::reading::{NodeSurvey, Packages};
use crate::reason::{Finding, Reason};
use crate::words::version::Version;

/// What is known of a node that is about to be touched.
pub(super) enum Look {
    /// The node is to be asked first.
    Ask(SurveyOrder),
    /// Nothing stands in the way.
    Good,
    /// The step goes no further.
    Found(Vec<Finding>),
}

/// Judges what the node said a moment ago, in this part of its step. At the target it is asked too: an attempt before may
/// have been cut, and a person may have finished the node and changed it.
pub(super) fn look(
    state: &mut State,
    it: &Active,
    node: &Node,
    target: &Version,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Look {
    let age_max = Duration::from_secs(observed.settings.verdict_seconds_max);
    let is_young = |surveyed: &&Surveyed| surveyed.is_since(it.stage_since, now) && surveyed.age <= age_max;
    let asked = observed.known.survey.as_ref().filter(is_young);
    let answer = asked.and_then(|surveyed| {
        surveyed.nodes.iter().find(|(name, _)| *name == node.name).map(|(_, answer)| (surveyed.at, answer))
    });
    match answer {
        None => ask(node, target, observed).map_or_else(|finding| Look::Found(vec![finding]), Look::Ask),
        Some((_, Err(finding))) => Look::Found(vec![finding.clone()]),
        Some((at, Ok(survey))) => {
            let findings = found(state, survey, at, node, target, observed, now);
            if findings.is_empty() { Look::Good } else { Look::Found(findings) }
        }
    }
}

fn ask(node: &Node, target: &Version, observed: &Observed<'_>) -> Result<SurveyOrder, Finding> {
    let has_manifests = node.role == Role::ControlPlane;
    Ok(SurveyOrder {
        nodes: vec![observed.reach(node)?],
        target: target.clone(),
        kubeadm_on: None,
        manifests_on: has_manifests.then(|| node.name.clone()).into_iter().collect(),
        with_packages: true,
    })
}

fn found(
    state: &mut State,
    survey: &NodeSurvey,
    at: Timestamp,
    node: &Node,
    target: &Version,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = node_findings(state, survey, node, observed, now);
    let has_begun = state.begun_on(&node.name, &node.uid).is_some();
    if has_begun {
        // People restart a node that was left half done; it must not wait for quiet, it must be finished.
        findings.retain(|finding| finding.reason != Reason::NodeRebootedRecently);
    }
    if !observed.is_at_target(node, target) {
        findings.extend(packages_finding(survey, node, target, has_begun));
    }
    // Another machine's manifests are not this node's.
    if findings.is_empty() && node.role == Role::ControlPlane {
        findings.extend(judge(state, node, survey.manifests.as_ref(), at, target, observed));
    }
    findings
}

fn packages_finding(survey: &NodeSurvey, node: &Node, target: &Version, has_begun: bool) -> Option<Finding> {
    let about = |reason, detail| Some(Finding::new(reason, node.name.0.clone(), detail));
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
