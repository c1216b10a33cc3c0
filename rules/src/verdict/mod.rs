//! The verdict: may this cluster go to this version?
//!
//! ```text
//!   target, snapshot ──▶ check ─┬─▶ pass    names what it read
//!                        check ─┼─▶ block   somebody must change something
//!                        check ─┼─▶ hold    somebody else must release something
//!                        check ─┴─▶ unknown something could not be read
//!                                    │
//!                                    ▼  safe │ blocked │ held │ unknown
//! ```
//!
//! What a person accepts by name becomes a note in between ([`accept`]).
//!
//! One word for all checks of compatibility (what [`Concerns::Driver`] is about stands apart, and stops a run beside it): any unknown makes it unknown, else any hold makes it held, else any block makes it
//! blocked, else it is safe. Held is the quiet answer and must hide nothing, so it comes after unknown.
//!
//! There is one exception. A *final* check is about the target itself: what is no version, a pre-release, older
//! than what runs or more than a minor ahead can never be gone to, whatever an unread source would say. Such a block
//! makes the verdict blocked even beside unknowns, because the operator can act on it at once and mending the
//! sources first would be in vain. Nothing is hidden by that: the unknown checks stay in the list, and
//! [`Verdict::blind`] names them. It is safe by construction: only `safe` ever allows a step, and the exception
//! chooses between two words that do not.

mod accept;
pub mod bridge;
mod check;
#[cfg(test)]
mod properties;
pub mod skew;
#[cfg(test)]
mod stricter;

use jiff::Timestamp;
use serde::Serialize;

use crate::api::UpgradeRun;
use crate::cluster::inventory::Inventory;
use crate::cluster::snapshot::{Node, Snapshot};
use crate::drain::is_of_budgets;
use crate::driver::kubeadm;
use crate::facts::Matrix;
use crate::reason::{Finding, Reason};
use crate::run::{State, heeds_budgets, is_accepted};
use crate::settings::Settings;
use crate::words::step::Step;
use crate::words::version::Version;

pub(crate) use check::questions;
#[cfg(test)]
pub(crate) use check::tests::{Healthy, healthy};
pub use check::{CHECK_IDS, Way, addon_workloads, not_covered, way};

/// The verdict in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Conclusion {
    /// Every check passed, with evidence.
    Safe,
    /// Somebody must change something first.
    Blocked,
    /// Somebody else must release something first.
    Held,
    /// Something that matters could not be read.
    Unknown,
}

impl Conclusion {
    /// Every answer.
    pub const ALL: [Self; 4] = [Self::Safe, Self::Blocked, Self::Held, Self::Unknown];

    /// The word, as in metrics and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Blocked => "blocked",
            Self::Held => "held",
            Self::Unknown => "unknown",
        }
    }
}

/// What one check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing is in the way, and the evidence says why.
    Pass,
    /// Something is in the way that the operator can change.
    Block,
    /// Something is in the way that the operator can only wait for.
    Hold,
    /// It could not be found out.
    Unknown,
}

impl Status {
    /// Everything that a check can say.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Block, Self::Hold, Self::Unknown];

    /// The word, as in metrics and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Block => "block",
            Self::Hold => "hold",
            Self::Unknown => "unknown",
        }
    }
}

/// Which steps a check speaks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The whole cluster before the upgrade. Left out once a control-plane node is at the target, because by then the
    /// upgrade itself has changed what it reads: its last pass stands. Preflight and snapshot of another run ask it again.
    Cluster,
    /// Every step, and each node's step anew.
    Node,
}

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Concerns {
    /// Whether the cluster goes with the version. The verdict's one word is made of these.
    Compatibility,
    /// Whether Lockkeeper can upgrade the cluster's nodes. What is found stops a run, and says nothing about the version:
    /// whoever upgrades by other means reads the verdict all the same.
    Driver,
}

/// What a check has read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The source.
    pub source: &'static str,
    /// How many things were looked at.
    pub count: usize,
    /// How old the proof was.
    pub age_seconds: u64,
}

/// One thing that a check has recognised and that is in nobody's way: what its pass is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Recognised {
    /// What it is, such as an add-on, a webhook or a budget.
    pub subject: String,
    /// What is known of it.
    pub detail: String,
    /// The page that tells so; empty where the cluster itself does.
    pub source: String,
}

/// One check with what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name, one of [`CHECK_IDS`].
    pub id: &'static str,
    /// What it says.
    pub status: Status,
    /// Which steps it speaks about.
    pub scope: Scope,
    /// What it is about.
    pub concerns: Concerns,
    /// The page that tells the rule; empty where each finding names its own.
    pub source: &'static str,
    /// What it has read; never empty when it passes.
    pub evidence: Vec<Evidence>,
    /// Everything that is in the way or could not be read.
    pub findings: Vec<Finding>,
    /// What each finding is, in their order: a block, a hold, or unknown. One check may find all three, and its status
    /// is only the most careful of them.
    pub classes: Vec<Status>,
    /// What is good to know and in nobody's way.
    pub notes: Vec<Finding>,
    /// What it has recognised, by subject, so that a pass can be held against what a person knows to be there.
    #[serde(skip)]
    pub recognised: Vec<Recognised>,
    /// A block of this check stands whatever an unread source would say.
    #[serde(rename = "final")]
    pub is_final: bool,
}

impl Check {
    /// Whether it has found something of this class, whatever its status is.
    #[must_use]
    pub fn has(&self, class: Status) -> bool {
        self.classes.contains(&class)
    }

    /// The same without the findings that are meant.
    fn without(self, is_meant: impl Fn(&Finding) -> bool) -> Self {
        let found = self.findings.len();
        let left = self.classes.into_iter().zip(self.findings).filter(|(_, finding)| !is_meant(finding));
        let (classes, findings): (Vec<Status>, Vec<Finding>) = left.unzip();
        let is_changed = findings.len() < found;
        let status =
            if is_changed { classes.iter().copied().max().unwrap_or(Status::Pass) } else { self.status };
        Self { status, classes, findings, ..self }
    }

    /// Each finding with its class.
    pub fn classed(&self) -> impl Iterator<Item = (Status, &Finding)> {
        self.classes.iter().copied().zip(&self.findings)
    }
}

/// The answer for one target at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The version that was asked about, as written.
    pub target: String,
    /// The answer in one word.
    pub verdict: Conclusion,
    /// When it was computed.
    pub computed_at: Timestamp,
    /// Every check, in a fixed order.
    pub checks: Vec<Check>,
}

/// Everything that a verdict is made from.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What runs.
    pub snapshot: &'a Snapshot,
    /// What else lives in the cluster.
    pub inventory: &'a Inventory,
    /// What is known of versions.
    pub matrix: &'a Matrix,
    /// The thresholds.
    pub settings: &'a Settings,
    /// When.
    pub now: Timestamp,
}

/// Judges `target` for this cluster.
#[must_use]
pub fn verdict(target: &str, case: &Case<'_>) -> Verdict {
    let facts = check::Facts { target: target.parse(), case };
    Verdict::of(target.to_owned(), case.now, accept::apply(check::all(&facts), case))
}

impl Verdict {
    fn of(target: String, computed_at: Timestamp, checks: Vec<Check>) -> Self {
        Self { target, verdict: combine(&checks), computed_at, checks }
    }

    /// The verdict as far as it concerns this step. `begun` says whether a control-plane node is at the target, which
    /// freezes the checks of [`Scope::Cluster`].
    #[must_use]
    pub fn for_step(&self, step: &Step, begun: bool) -> Self {
        let frozen = begun
            && match step {
                Step::ControlPlane(_)
                | Step::Worker(_)
                | Step::Node(_)
                | Step::Prepare
                | Step::Postflight => true,
                Step::Preflight | Step::Snapshot => false,
            };
        let checks = self.checks.iter().filter(|check| !frozen || check.scope == Scope::Node).cloned();
        Self::of(self.target.clone(), self.computed_at, checks.collect())
    }

    /// The verdict as far as it concerns what is left of a run: without what its control plane has behind it, without
    /// what it was told to accept, without which nodes cannot be upgraded of those that it leaves as they are, and without
    /// what budgets lack while that holds nothing ([`heeds_budgets`]). Between steps, what concerns every step counts; of a
    /// run whose status cannot be read, nothing is known to lie behind it.
    #[must_use]
    pub fn for_run(&self, run: &UpgradeRun, snapshot: &Snapshot) -> Self {
        self.of_run(run, snapshot, false)
    }

    /// The same for a step that would begin beside others: what budgets lack while those hold nodes is no reason to take one
    /// more out of service.
    #[must_use]
    pub fn for_next(&self, run: &UpgradeRun, snapshot: &Snapshot) -> Self {
        self.of_run(run, snapshot, true)
    }

    fn of_run(&self, run: &UpgradeRun, snapshot: &Snapshot, is_for_next: bool) -> Self {
        let target = self.target.parse::<Version>();
        let begun = target.as_ref().is_ok_and(|target| kubeadm::control_plane_has_begun(snapshot, target));
        let (step, budgets_count) = match State::parse(run.status.as_ref(), &run.uid) {
            Ok(state) => {
                let is_there =
                    |node: &Node| target.as_ref().is_ok_and(|it| kubeadm::is_at(snapshot, node, it));
                let is_beside = is_for_next && !state.running.is_empty();
                let budgets_count = is_beside || heeds_budgets(run, &state, snapshot, is_there);
                (state.step().cloned().unwrap_or(Step::Postflight), budgets_count)
            }
            Err(_unreadable) => (Step::Preflight, true),
        };
        let left = self.for_step(&step, begun);
        let is_over = |finding: &Finding| !budgets_count && is_of_budgets(finding);
        let is_left = |finding: &Finding| run.spec.skip.contains(&finding.subject);
        // A run's own look at each node says for certain what the name of its operating system does not.
        let is_asked = |finding: &Finding| finding.reason == Reason::NodeOsUnrecognised;
        let checks = left.checks.into_iter().map(|check| match check.concerns {
            Concerns::Compatibility => check.without(|finding| is_accepted(run, finding) || is_over(finding)),
            Concerns::Driver => check.without(|finding| is_left(finding) || is_asked(finding)),
        });
        Self::of(left.target, left.computed_at, checks.collect())
    }

    /// Every finding of every check.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.checks.iter().flat_map(|check| &check.findings)
    }

    /// The checks that are about this.
    pub fn about(&self, concerns: Concerns) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |check| check.concerns == concerns)
    }

    /// The checks of compatibility that could not be made, or not to the end.
    pub fn blind(&self) -> impl Iterator<Item = &Check> {
        self.about(Concerns::Compatibility).filter(|check| check.has(Status::Unknown))
    }

    /// Whether any check of compatibility has found something of this class: none hides another, as the one word must.
    #[must_use]
    pub fn has(&self, class: Status) -> bool {
        self.about(Concerns::Compatibility).any(|check| check.has(class))
    }

    /// Whether a step may be begun on the word of this verdict: it is safe, and Lockkeeper can upgrade the nodes.
    ///
    /// # Errors
    /// Everything that is in the way, never empty: the findings, or that the verdict is too old.
    pub fn allows(&self, now: Timestamp, settings: &Settings) -> Result<(), Vec<Finding>> {
        let age = now.duration_since(self.computed_at).as_secs();
        if !u64::try_from(age).is_ok_and(|age| age <= settings.verdict_seconds_max) {
            let words = format!("{{}} s old, at most {} s are allowed", settings.verdict_seconds_max);
            return Err(vec![Finding::with_figures(Reason::VerdictStale, &self.target, words, &[&age])]);
        }
        let mut driver = self.about(Concerns::Driver).peekable();
        // That nobody has looked at the nodes is no all-clear.
        let can_upgrade = driver.peek().is_some() && driver.all(|check| check.status == Status::Pass);
        match self.verdict {
            Conclusion::Safe if can_upgrade => Ok(()),
            Conclusion::Safe | Conclusion::Blocked | Conclusion::Held | Conclusion::Unknown => {
                let mut findings: Vec<Finding> = self.findings().cloned().collect();
                // Whoever reads "nothing is in the way" out of an empty list must not find one here.
                if findings.is_empty() {
                    let detail = format!("the verdict is {} and no check says why", self.verdict.name());
                    findings.push(Finding::new(Reason::VerdictUnknown, &self.target, detail));
                }
                Err(findings)
            }
        }
    }
}

/// The one word, of the checks of compatibility. Without one there is no answer.
fn combine(checks: &[Check]) -> Conclusion {
    let checks: Vec<&Check> =
        checks.iter().filter(|check| check.concerns == Concerns::Compatibility).collect();
    let any = |status| checks.iter().any(|check| check.status == status);
    if checks.iter().any(|check| check.is_final && check.status == Status::Block) {
        Conclusion::Blocked
    } else if any(Status::Unknown) || checks.is_empty() {
        Conclusion::Unknown
    } else if any(Status::Hold) {
        Conclusion::Held
    } else if any(Status::Block) {
        Conclusion::Blocked
    } else {
        Conclusion::Safe
    }
}

#[cfg(test)]
mod tests;
