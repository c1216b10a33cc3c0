//! Every add-on fits the minor that runs and the one that is asked for.
//!
//! ```text
//!   rows, workloads ──▶ survey ──▶ find ──▶ fit ─┬─▶ fits               silent, or a note
//!                        │          │            ├─▶ a release does     block: upgrade it first
//!                        │          │            ├─▶ none does yet      hold: unreleased, or its docs lag
//!                        │          │            ├─▶ pinned             hold, until the pin expires
//!                        │          │            └─▶ retired            block: replace it
//!                        │          └─▶ unknown  no version, several, rolling out, no row
//!                        └─▶ nowhere ─▶ block    its definitions or webhooks were left behind
//! ```
//!
//! Unknown hides neither a hold nor a block: all findings are told, and the word is the most careful one.

mod covered;
mod find;
mod fit;
mod leftover;
mod pods;
mod recognised;
mod sign;
mod survey;
#[cfg(test)]
mod tests;
mod way;

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Facts, Outcome, Recognised};
use crate::cluster::inventory::Workload;
use crate::cluster::snapshot::Node;
use crate::facts::{Addon, AddonPods, Addons, Beyond, IfAbsent, NotCovered, Policy};
use crate::reason::{Finding, Reason};
use crate::words::version::{Minor, Version};

pub use self::covered::not_covered;
use self::find::{Found, shows_version};
use self::leftover::Left;
use self::sign::Place;
use self::survey::Survey;
pub use self::way::{Way, way};

/// How many workloads without a row are named; the rest is counted.
const NOT_COVERED_NAMED_MAX: usize = 40;

/// What was found out, by what it means.
#[derive(Debug, Default)]
struct Tally {
    blockers: Vec<Finding>,
    holds: Vec<Finding>,
    unknowns: Vec<Finding>,
    notes: Vec<Finding>,
    recognised: Vec<Recognised>,
}

/// What every row is judged against.
struct Question<'a> {
    /// The oldest minor that an API server serves.
    running: Minor,
    /// The minor that is asked for.
    target: Minor,
    /// What an add-on is that is not known to fit the target.
    beyond: Beyond,
    policy: &'a Policy,
    today: Date,
    /// What runs in the cluster.
    workloads: &'a [Workload],
    /// What add-ons run on.
    nodes: Result<&'a [Node], Finding>,
    /// What add-ons may have left behind.
    left: Result<Left<'a>, Finding>,
}

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    judge(facts).unwrap_or_else(Outcome::unknown)
}

fn judge(facts: &Facts<'_>) -> Result<Outcome, Finding> {
    let case = facts.case;
    let target = facts
        .target
        .as_ref()
        .map_err(|error| Finding::new(Reason::TargetNotAVersion, "", error.to_string()))?;
    let (addons, matrix_read) = facts.known(&case.matrix.addons)?;
    let (workloads, workloads_read) = facts.state("workloads", &case.inventory.workloads)?;
    let (running, servers_read) = running(facts)?;
    let policy = &case.matrix.policy.value;
    let mut rest = vec![servers_read, matrix_read];
    let left = Left::read(facts).map(|(left, read)| {
        rest.extend(read);
        left
    });
    let question = Question {
        running,
        target: target.minor(),
        beyond: beyond(facts, target, running, policy)?,
        policy,
        today: case.now.to_zoned(TimeZone::UTC).date(),
        workloads,
        nodes: facts.state("nodes", &case.snapshot.nodes).map(|(nodes, _read)| nodes),
        left,
    };
    let mut tally = Tally::default();
    let survey = Survey::of(addons, workloads);
    for (addon, places) in survey.rows(addons) {
        one(addon, places, &question, facts, &mut tally);
    }
    let not_covered = covered::beside(workloads, survey.workloads());
    note_not_covered(&not_covered, policy, &mut tally);
    let Tally { blockers, holds, unknowns, mut notes, recognised } = tally;
    if policy.addon_pods == AddonPods::Note {
        notes.push(Finding::new(
            Reason::AddonPodsNotRead,
            "pods",
            "policy.addon_pods: required has them read",
        ));
    }
    let outcome = Outcome::weigh(workloads_read, rest, [blockers, holds, unknowns]);
    Ok(outcome.noting(notes).recognising(recognised))
}

/// The workloads that tell rows a version, each once.
#[must_use]
pub fn addon_workloads<'a>(workloads: &'a [Workload], addons: &Addons) -> Vec<&'a Workload> {
    let survey = Survey::of(addons, workloads);
    let telling = |(addon, places): (&'_ Addon, &'_ [Place<'a>])| {
        let telling = places.iter().filter(|place| shows_version(addon, place));
        telling.map(|place| place.workload).collect::<Vec<_>>()
    };
    let all = survey.rows(addons).flat_map(telling);
    let by_name = all.map(|it| ((it.kind, it.namespace.as_str(), it.name.as_str()), it));
    by_name.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// The oldest minor that an API server serves: a step changes the cluster from there.
fn running(facts: &Facts<'_>) -> Result<(Minor, super::Evidence), Finding> {
    let (servers, read) = facts.state("api_servers", &facts.case.snapshot.api_servers)?;
    let minor = |server: &crate::cluster::snapshot::ApiServer| match &server.version {
        Ok(version) => Ok(version.minor()),
        Err(written) => Err(super::unreadable_version(&server.name, written)),
    };
    let minors = servers.iter().map(minor).collect::<Result<Vec<_>, _>>()?;
    let none = || Finding::new(Reason::SourceUnreadable, "api_servers", "no API server is known");
    Ok((minors.into_iter().min().ok_or_else(none)?, read))
}

/// What an add-on is that is not known to fit the target. Once every API server serves the target's minor, the step at
/// hand brings no add-on any further away from what is known: a patch, or the rest of a run whose target is recorded.
fn beyond(facts: &Facts<'_>, target: &Version, running: Minor, policy: &Policy) -> Result<Beyond, Finding> {
    if running != target.minor() {
        return Ok(Beyond::Judge);
    }
    let (nodes, _read) = facts.state("nodes", &facts.case.snapshot.nodes)?;
    let is_behind = |node: &crate::cluster::snapshot::Node| {
        node.kubelet_version.as_ref().map_or(true, |kubelet| kubelet.minor() < target.minor())
    };
    if !nodes.iter().any(is_behind) {
        return Ok(policy.patch_beyond_ceiling);
    }
    let (runs, _read) = facts.state("runs", &facts.case.snapshot.runs)?;
    let is_recorded = runs.iter().any(|run| run.is_open() && run.spec.target.parse().as_ref() == Ok(target));
    Ok(if is_recorded { policy.resume_beyond_ceiling } else { Beyond::Judge })
}

/// One row.
fn one(addon: &Addon, places: &[Place<'_>], question: &Question<'_>, facts: &Facts<'_>, tally: &mut Tally) {
    let found = match find::find(addon, places) {
        Found::Nowhere => return absent(addon, question, tally),
        Found::Versions(versions) => versions,
        Found::Unknown(finding) => {
            tally.recognised.push(recognised::unread(addon, places));
            return tally.unknowns.push(finding);
        }
    };
    let each =
        found.iter().map(|(version, places)| recognised::read(addon, *version, places, question.policy));
    tally.recognised.extend(each);
    if question.policy.addon_pods == AddonPods::Required
        && let Err(finding) = pods::agree(addon, places, facts)
    {
        return tally.unknowns.push(finding);
    }
    if let Err(finding) = facts.case.matrix.addons.young(addon, facts.case.now) {
        return tally.unknowns.push(finding);
    }
    for version in found.into_keys() {
        fit::judge(addon, version, question, tally);
    }
}

fn absent(addon: &Addon, question: &Question<'_>, tally: &mut Tally) {
    leftover::judge(addon, question, tally);
    let place = &addon.detection;
    let detail = format!(
        "no {} {}/{}, nor anything of its image, its name or its labels elsewhere",
        place.kind, place.namespace, place.resource
    );
    let finding = fit::about(addon, Reason::AddonMissing, &detail);
    match place.if_absent {
        IfAbsent::NotApplicable => {}
        IfAbsent::Unknown => tally.unknowns.push(finding),
        IfAbsent::Required => tally.blockers.push(finding),
    }
}

fn note_not_covered(workloads: &[&Workload], policy: &Policy, tally: &mut Tally) {
    let told = match policy.not_covered {
        NotCovered::Warn => &mut tally.notes,
        NotCovered::Unknown => &mut tally.unknowns,
    };
    let named = workloads.iter().take(NOT_COVERED_NAMED_MAX);
    told.extend(named.map(|workload| Finding::new(Reason::AddonNotCovered, workload.to_string(), "")));
    if let Some(more) = workloads.len().checked_sub(NOT_COVERED_NAMED_MAX).filter(|more| *more > 0) {
        told.push(Finding::new(Reason::AddonNotCovered, "", format!("and {more} more")));
    }
}
