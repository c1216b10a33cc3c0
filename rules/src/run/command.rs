//! What the machine may ask for, and what comes back. The executor adds nothing of its own.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::SilenceRecord;
use crate::drain::AttachedVolume;
use crate::driver::order::{LedgerOrder, RestoreOrder, SurveyOrder, UnitOrder};
use crate::driver::reading::{LedgerReading, NodeSurvey};
use crate::gate::{CheckOrder, CheckResult, Proof};
use crate::reason::Finding;
use crate::words::name::{NodeName, Token};
use crate::words::pod_ref::PodRef;

/// One thing to do. At most one at a time; its outcome is part of the next observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Take the cluster lock for this run.
    TakeLock,
    /// Give the cluster lock back.
    ReleaseLock,
    /// Let a replica on another node lead: the next step takes our own node out of service.
    HandOver,
    /// Ask the live check.
    Check(CheckOrder),
    /// Look at nodes over SSH, changing nothing.
    Survey(SurveyOrder),
    /// Start a unit on a node.
    StartUnit(UnitOrder),
    /// Give a node its source of packages back.
    RestoreSource(RestoreOrder),
    /// Read a node's ledger.
    ReadLedger(LedgerOrder),
    /// Read which volumes are attached to this node.
    ReadVolumes(NodeName),
    /// Set `unschedulable` and our annotation, together.
    Cordon(CordonOrder),
    /// Evict a batch of pods.
    Evict(EvictOrder),
    /// Remove our annotation, and `unschedulable` if it is ours.
    Uncordon(UncordonOrder),
    /// Put our finalizer on the run, so that it cannot vanish while a node carries its annotation.
    AddFinalizer,
    /// Take our finalizer off the run.
    RemoveFinalizer,
}

/// A node to be cordoned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CordonOrder {
    /// The node.
    pub node: NodeName,
    /// Its uid.
    pub uid: String,
    /// The resource version that the patch names.
    pub resource_version: String,
    /// The token that the annotation says.
    pub token: Token,
    /// Why it may.
    pub proof: Proof,
}

/// A node to be given back. It needs no proof: restoring is never gated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UncordonOrder {
    /// The node.
    pub node: NodeName,
    /// Its uid.
    pub uid: String,
    /// The resource version that the patch names.
    pub resource_version: String,
    /// The annotation that is there, as written.
    pub annotation: String,
}

/// A batch of pods to be evicted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvictOrder {
    /// The node that they are on.
    pub node: NodeName,
    /// The pods.
    pub pods: Vec<PodRef>,
    /// Why it may.
    pub proof: Proof,
}

/// What this process has learnt since it began to lead. It is lost with the process, and little depends on it
/// but speed: whatever is unknown is asked again, or told by the wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// The last live check.
    pub check: Option<Checked>,
    /// The silences that the run is to keep, as of the last live check that could tell.
    pub silences: Option<Vec<SilenceRecord>>,
    /// The last reading of a ledger.
    pub ledger: Option<LedgerRead>,
    /// The last reading of the volumes on a node.
    pub volumes: Option<VolumesRead>,
    /// The last survey.
    pub survey: Option<Surveyed>,
    /// The last mutation and how it went.
    pub act: Option<Acted>,
    /// The last command of any kind but a check, if it failed.
    pub failed: Option<Acted>,
    /// How long ago, by a clock that nobody can set, the last steps of nodes were over.
    pub nodes_finished_ago: Vec<Duration>,
}

impl Known {
    /// Nothing at all.
    #[must_use]
    pub const fn nothing() -> Self {
        Self {
            check: None,
            silences: None,
            ledger: None,
            volumes: None,
            survey: None,
            act: None,
            failed: None,
            nodes_finished_ago: Vec::new(),
        }
    }
}

/// A live check with its age, by the larger of monotonic and wall time since its first request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What was found.
    pub result: CheckResult,
    /// How old it is now.
    pub age: Duration,
}

/// A reading of a node's ledger, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRead {
    /// Whose.
    pub node: NodeName,
    /// About which token.
    pub token: Token,
    /// How long ago it was asked for.
    pub age: Duration,
    /// What it says.
    pub result: Result<LedgerReading, Finding>,
}

/// The volumes that are attached to a node, or why nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumesRead {
    /// Which node.
    pub node: NodeName,
    /// How long ago it was asked for.
    pub age: Duration,
    /// What was read.
    pub result: Result<Vec<AttachedVolume>, Finding>,
}

/// A survey, or why a node could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    /// When it was begun.
    pub at: Timestamp,
    /// How old it is now.
    pub age: Duration,
    /// One answer for each node that was asked.
    pub nodes: Vec<(NodeName, Result<NodeSurvey, Finding>)>,
}

impl Surveyed {
    /// Whether it was begun after this time. After the clock was set back its own time may lie ahead, so that its age is
    /// asked too.
    #[must_use]
    pub fn is_since(&self, time: Timestamp, now: Timestamp) -> bool {
        let possible = Duration::try_from(now.duration_since(time)).unwrap_or_default();
        self.at >= time && self.age <= possible
    }
}

/// The last thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted {
    /// The command.
    pub command: Command,
    /// How long ago its outcome came.
    pub age: Duration,
    /// How it went: nothing, or everything that stood in the way.
    pub findings: Vec<Finding>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survey_from_before_does_not_pass_for_a_later_one_when_the_clock_was_set_back() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let surveyed = |at, age| Surveyed { at, age: Duration::from_secs(age), nodes: Vec::new() };
        // The survey, its age, the time that is asked about, the time now.
        for (surveyed, time, now, expected) in [
            (surveyed(at(10), 5), at(9), at(15), true),
            (surveyed(at(8), 7), at(9), at(15), false),
            (surveyed(at(7_200), 1_200), at(600), at(1_200), false),
            (surveyed(at(7_200), 8_000), at(600), at(8_000), false),
            (surveyed(at(10), 5), at(20), at(15), false),
        ] {
            assert_eq!(surveyed.is_since(time, now), expected, "{surveyed:?} {time} {now}");
        }
    }
}
