//! The way to a target any number of minors ahead, for the add-ons that are there.

use jiff::tz::TimeZone;
use serde::Serialize;

use super::find::{Found, find};
use super::running;
use super::survey::Survey;
use crate::reason::Finding;
use crate::verdict::Case;
use crate::verdict::bridge::{Bridge, Traveller, plan};
use crate::verdict::check::Facts;
use crate::words::version::Version;

/// The way to a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// The steps, or what is missing.
    pub bridge: Bridge,
    /// The add-ons that no step speaks of, because their versions or windows are not known.
    pub unknown: Vec<Finding>,
}

/// The way from what runs to a target.
///
/// # Errors
/// What it would be made from cannot be read.
pub fn way(target: &Version, case: &Case<'_>) -> Result<Way, Finding> {
    let facts = Facts { target: Ok(target.clone()), case };
    let (addons, _read) = facts.known(&case.matrix.addons)?;
    let (workloads, _read) = facts.state("workloads", &case.inventory.workloads)?;
    let (running, _read) = running(&facts)?;
    let today = case.now.to_zoned(TimeZone::UTC).date();
    let survey = Survey::of(addons, workloads);
    let (mut travellers, mut unknown) = (Vec::new(), Vec::new());
    // What kubeadm upgrades is in another release after each step.
    for (addon, places) in survey.rows(addons).filter(|(addon, _)| !addon.detection.of_kubeadm) {
        match find(addon, places) {
            Found::Nowhere => {}
            Found::Unknown(finding) => unknown.push(finding),
            Found::Versions(versions) => match case.matrix.addons.young(addon, case.now) {
                Err(finding) => unknown.push(finding),
                Ok(()) => travellers.extend(versions.into_keys().map(|version| Traveller {
                    name: &addon.name,
                    version,
                    support: &addon.support,
                    is_pinned: addon.is_pinned(today),
                })),
            },
        }
    }
    let policy = &case.matrix.policy.value;
    Ok(Way { bridge: plan(running, target.minor(), &travellers, policy), unknown })
}
