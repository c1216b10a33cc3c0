//! What the machine may ask for, and what comes back. The executor adds nothing of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::SilenceRecord;
use crate::drain::AttachedVolume;
use crate::driver::looked::Looked;
use crate::driver::order::{Create, Look, PutBack, Read, Start};
use crate::driver::reading::Sight;
use crate::driver::task::Progress;
use crate::gate::{CheckOrder, CheckResult, Proof};
use crate::reason::Finding;
use crate::words::name::{NodeName, Token};
use crate::words::pod_ref::PodRef;

/// One thing to do. At most one at a time; its outcome is part of the next observation. The decision log writes each under
/// the name that it has always had there.
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
    /// Let the driver look at nodes, changing nothing.
    #[serde(rename = "Survey")]
    Look(Look),
    /// Let the driver create what is to be started on a node.
    Create(Create),
    /// Let the driver start something on a node.
    #[serde(rename = "StartUnit")]
    Start(Start),
    /// Let the driver put back what it has left on a node.
    #[serde(rename = "RestoreSource")]
    PutBack(PutBack),
    /// Let the driver read what became of what it has started.
    #[serde(rename = "ReadLedger")]
    Read(Read),
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
    /// The last reading of what became of something.
    pub read: Option<ReadBack>,
    /// The last reading of the volumes on a node.
    pub volumes: Option<VolumesRead>,
    /// The last look at nodes.
    pub looked: Option<Looked<Sight>>,
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
            read: None,
            volumes: None,
            looked: None,
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

/// What became of something that was started, or why nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBack {
    /// What was asked.
    pub order: Read,
    /// How long ago it was asked.
    pub age: Duration,
    /// What was answered.
    pub result: Result<Progress, Finding>,
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
