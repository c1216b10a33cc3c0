//! The bridge: in which order add-ons and Kubernetes are upgraded, so that no add-on is ever outside its window.
//!
//! ```text
//!   Kubernetes   1.34 ───────────▶ 1.35 ───────────▶ 1.36
//!   an add-on     └─ 2.0 ▶ 2.8 ─────┴─────────────────┘      2.8 fits both ends of the first hop, and of the second
//! ```
//!
//! Kubernetes goes one minor at a time, and add-ons only up. A hop is made with releases that fit both its ends; an
//! add-on is changed between hops, where the release before and the one after fit. What runs already may come along from
//! below into a range that was only tested, as the verdict lets it (docs/decisions/0052). Since no window depends on another
//! add-on, each one's way is found by itself: for every minor from the end and every known release, how many changes
//! are still needed. The ways are then laid side by side. Where one has no way, nobody has, and the release that is
//! missing can be named: one that fits both ends of the first hop that cannot be reached.

#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::facts::{AddonVersion, Coverage, Fit, OutsideTested, Policy, Support};
use crate::words::version::Minor;

/// How many minors a bridge may span.
const HOPS_MAX: usize = 32;

/// An add-on that comes along.
#[derive(Debug, Clone, Copy)]
pub struct Traveller<'a> {
    /// Its name.
    pub name: &'a str,
    /// What runs.
    pub version: AddonVersion,
    /// What its releases fit.
    pub support: &'a Support,
    /// It must stay as it is.
    pub is_pinned: bool,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BridgeStep {
    /// Upgrade an add-on to a release that is at least this one.
    Addon {
        /// Which.
        name: String,
        /// What it is before.
        from: String,
        /// What it is after.
        to: String,
    },
    /// Upgrade Kubernetes to any patch of this minor.
    Kubernetes {
        /// What it is before.
        from: String,
        /// What it is after.
        to: String,
    },
}

/// An add-on that has no way, and what it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// Which.
    pub name: String,
    /// What runs.
    pub version: String,
    /// The last minor that it can come along to.
    pub stays_at: String,
    /// The next one: a release that fits both is missing.
    pub needs: String,
    /// It must stay as it is, which may be all that is in the way.
    pub is_pinned: bool,
}

/// What a search has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bridge {
    /// The steps in their order; none where the target is not ahead.
    Plan(Vec<BridgeStep>),
    /// There is none: each of these add-ons alone rules it out.
    NoPlan(Vec<Obstacle>),
    /// The target is too many minors ahead, or of another major version, to be looked for.
    TooFar,
}

/// Finds the steps from one minor to another that change add-ons as rarely and as late as can be.
#[must_use]
pub fn plan(from: Minor, to: Minor, travellers: &[Traveller<'_>], policy: &Policy) -> Bridge {
    let Some(minors) = minors(from, to) else { return Bridge::TooFar };
    let ways: Vec<_> =
        travellers.iter().map(|traveller| Ways::of(traveller, &minors, policy).shortest()).collect();
    let obstacles: Vec<Obstacle> = ways.iter().filter_map(|way| way.clone().err()).collect();
    if !obstacles.is_empty() {
        return Bridge::NoPlan(obstacles);
    }
    let mut steps = Vec::new();
    let mut now: Vec<AddonVersion> = travellers.iter().map(|traveller| traveller.version).collect();
    for (hop, ends) in minors.windows(2).enumerate() {
        for ((traveller, way), version) in travellers.iter().zip(&ways).zip(&mut now) {
            let next = way.as_ref().map_or(*version, |way| way[hop]);
            if next != *version {
                let (from, to) = (version.to_string(), next.to_string());
                steps.push(BridgeStep::Addon { name: traveller.name.to_owned(), from, to });
                *version = next;
            }
        }
        steps.push(BridgeStep::Kubernetes { from: ends[0].to_string(), to: ends[1].to_string() });
    }
    Bridge::Plan(steps)
}

/// Every minor on the way, both ends included; only the first where there is no way up.
fn minors(from: Minor, to: Minor) -> Option<Vec<Minor>> {
    let hops = usize::try_from(to.ahead_of(from)?.max(0)).ok().filter(|hops| *hops <= HOPS_MAX)?;
    Some(std::iter::successors(Some(from), |minor| Some(minor.next())).take(hops + 1).collect())
}

/// All ways of one add-on: which of its releases makes which hop.
struct Ways<'a> {
    traveller: &'a Traveller<'a>,
    minors: &'a [Minor],
    /// What runs, and the newer releases that are known, in order.
    releases: Vec<AddonVersion>,
    /// By release, then by hop.
    carries: Vec<Vec<bool>>,
}

impl<'a> Ways<'a> {
    fn of(traveller: &'a Traveller<'a>, minors: &'a [Minor], policy: &Policy) -> Self {
        let newer = traveller.support.known().into_iter().filter(|known| *known > traveller.version);
        let newer: Vec<_> = if traveller.is_pinned { Vec::new() } else { newer.collect() };
        let releases: Vec<_> = std::iter::once(traveller.version).chain(newer).collect();
        let hops = minors.len() - 1;
        let carries = releases.iter().enumerate().map(|(index, release)| {
            let runs = index == 0;
            match policy.coverage(traveller.support, *release) {
                Coverage::Known(fit) if policy.accept_claims.contains(&fit.claim) => {
                    minors.windows(2).map(|ends| makes(&fit, ends[0], ends[1], runs, policy)).collect()
                }
                Coverage::Known(_) | Coverage::Older | Coverage::Newer => vec![false; hops],
            }
        });
        let carries = carries.collect();
        Self { traveller, minors, releases, carries }
    }

    /// Whether a release makes a hop.
    fn carries(&self, release: usize, hop: usize) -> bool {
        self.carries[release][hop]
    }

    /// Which release makes each hop, with as few changes as can be.
    fn shortest(&self) -> Result<Vec<AddonVersion>, Obstacle> {
        let hops = self.minors.len() - 1;
        // How many changes are needed from the beginning of a hop on, by the release that is there; none: no way.
        let mut needed = vec![vec![Some(0_usize); self.releases.len()]];
        for hop in (0..hops).rev() {
            let after = &needed[needed.len() - 1];
            let mut before = vec![None; self.releases.len()];
            // The fewest changes after any newer release has made the hop.
            let mut newer: Option<usize> = None;
            for release in (0..self.releases.len()).rev() {
                let stays = after[release].filter(|_| self.carries(release, hop));
                before[release] = fewest(stays, newer.map(|newer| newer + 1));
                newer = fewest(newer, stays);
            }
            needed.push(before);
        }
        needed.reverse();
        let mut way = Vec::with_capacity(hops);
        let mut now = 0;
        for hop in 0..hops {
            let Some(changes) = needed[hop][now] else { return Err(self.obstacle()) };
            let makes = |release: usize| {
                let after = needed[hop + 1][release].filter(|_| self.carries(release, hop));
                after.map(|after| after + usize::from(release != now)) == Some(changes)
            };
            // What runs, if it does as well: late is better than early. Else the oldest that does.
            let Some(next) = (now..self.releases.len()).find(|release| makes(*release)) else {
                return Err(self.obstacle());
            };
            way.push(self.releases[next]);
            now = next;
        }
        Ok(way)
    }

    /// The first hop that no release makes which can be there.
    fn obstacle(&self) -> Obstacle {
        let mut oldest = 0;
        let mut hop = 0;
        while hop + 1 < self.minors.len() - 1 {
            // The oldest that makes a hop leaves the most choice for the next one.
            match (oldest..self.releases.len()).find(|release| self.carries(*release, hop)) {
                Some(release) => oldest = release,
                None => break,
            }
            hop += 1;
        }
        Obstacle {
            name: self.traveller.name.to_owned(),
            version: self.traveller.version.to_string(),
            stays_at: self.minors[hop].to_string(),
            needs: self.minors[hop + 1].to_string(),
            is_pinned: self.traveller.is_pinned,
        }
    }
}

/// Whether a hop may be made with a release, as the verdict on that hop has it. What is brought in on the way fits both
/// ends: a plan tries nothing out.
fn makes(fit: &Fit, from: Minor, to: Minor, runs: bool, policy: &Policy) -> bool {
    let is_tried = !fit.claim.binds() && policy.outside_tested == OutsideTested::Note;
    if runs { is_tried || fit.admits_step(from, to) } else { fit.admits(from) && fit.admits(to) }
}

fn fewest(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
