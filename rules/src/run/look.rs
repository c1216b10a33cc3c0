//! The look at one node right before its own step touches it: what preflight saw may be hours old, and a node that came
//! since was never seen.

use std::time::Duration;

use jiff::Timestamp;

use super::observed::Observed;
use super::state::{Active, State};
use crate::cluster::snapshot::Node;
use crate::driver::looked::Looked;
use crate::driver::order;
use crate::driver::reading::Sight;
use crate::reason::Finding;

/// What is known of a node that is about to be touched.
pub(super) enum Look {
    /// The node is to be looked at first.
    Ask(order::Look),
    /// Nothing stands in the way.
    Good,
    /// The step goes no further.
    Found(Vec<Finding>),
}

/// Judges what was seen of the node a moment ago, in this part of its step.
pub(super) fn look(
    state: &mut State,
    it: &Active,
    node: &Node,
    observed: &Observed<'_>,
    now: Timestamp,
) -> Look {
    let (driver, view) = (observed.driver, observed.view(now));
    let age_max = Duration::from_secs(observed.settings.verdict_seconds_max);
    let is_young = |looked: &&Looked<Sight>| looked.is_since(it.stage_since, now) && looked.age <= age_max;
    let looked = observed.known.looked.as_ref().filter(is_young);
    match looked.and_then(|looked| looked.of(&node.name).map(|answer| (looked.at, answer))) {
        None => driver.look_at(node, view).map_or_else(|finding| Look::Found(vec![finding]), Look::Ask),
        Some((_, Err(finding))) => Look::Found(vec![finding.clone()]),
        Some((at, Ok(sight))) => {
            let mut memory = state.memory(std::slice::from_ref(node));
            let findings = driver.judge_one(sight, at, node, &mut memory, view);
            if findings.is_empty() { Look::Good } else { Look::Found(findings) }
        }
    }
}
