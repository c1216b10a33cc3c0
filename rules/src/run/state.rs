//! Where a run stands, parsed once from what is stored; nothing here can contradict itself.

use jiff::Timestamp;

use crate::api::{HistoryEntry, ManifestRecord, NodeBefore, SilenceRecord, SnapshotRecord, UnpreparedNode};
use crate::cluster::snapshot::Node;
use crate::driver::Memory;
use crate::driver::task::Task;
use crate::reason::Finding;
use crate::words::name::{NodeName, Token};
use crate::words::step::{Stage, Step};
use crate::words::version::Version;

/// The newest shape of the stored status that this version reads and writes: several steps may be at hand. What fits into
/// the one before, with one step at a time, is written in that one.
pub const SCHEMA_VERSION: u32 = 2;

/// One run. Equal states are stored as equal texts.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The oldest version that ran when the run began.
    pub from: Option<Version>,
    /// When the run began.
    pub started_at: Option<Timestamp>,
    /// The last sequence number that was given to a token.
    pub sequence: u64,
    /// What is at hand beside the steps that run.
    pub position: Position,
    /// The steps that run, oldest first.
    pub running: Vec<Running>,
    /// The steps without a node that are over.
    pub finished: Vec<Finished>,
    /// The steps that were tried without success and are not over.
    pub attempted: Vec<Attempted>,
    /// The workers' steps that have failed while the run went on, for a person to look at.
    pub failed: Vec<Halted>,
    /// When a step was last over that never was before.
    pub progressed_at: Option<Timestamp>,
    /// How many node steps are over.
    pub nodes_done: u32,
    /// How many of them were of workers.
    pub workers_done: u32,
    /// Until when each worker soaks that was upgraded beside others.
    pub soaking: Vec<Timestamp>,
    /// No step starts earlier.
    pub soak_until: Option<Timestamp>,
    /// The etcd snapshot of this run.
    pub snapshot: Option<SnapshotRecord>,
    /// What was found in the manifests of each control-plane node before it was touched.
    pub manifests: Vec<ManifestRecord>,
    /// The node that was found unprepared, for which prepare is done again.
    pub prepare_again: Option<UnpreparedNode>,
    /// The silences on the ready alert that were seen and are not known to be over.
    pub silences: Vec<SilenceRecord>,
    /// The nodes on which prepare may have left something that the driver puts back, and that are not upgraded yet, by name.
    pub switched: Vec<NodeName>,
    /// The run is over, and since when the first of them is to be put back.
    pub restoring_since: Option<Timestamp>,
    /// What is being waited for, every reason, sorted, each with the time since when. What a running step waits for is
    /// kept with it.
    pub holds: Vec<(Finding, Timestamp)>,
    /// What happened, bounded.
    pub history: Vec<HistoryEntry>,
    /// What must not be lost and is not known to have been sent; `decide` leaves it alone.
    pub unsent: Vec<Unsent>,
}

/// What is at hand beside the steps that run. At most one step waits; how many run is a number.
#[derive(Debug, Clone, PartialEq)]
pub enum Position {
    /// Nothing: the next step is to be chosen.
    Open,
    /// A step waits for its permit.
    Waiting(Waiting),
    /// This step runs. Only as that step sees the run while it is decided ([`State::seen_by`]), and never at rest.
    Active(Box<Active>),
    /// A person must look.
    Halted(Halted),
    /// Every node is at the target.
    Succeeded {
        /// When that was seen.
        at: Timestamp,
    },
}

impl Position {
    /// A step runs.
    #[must_use]
    pub fn active(active: Active) -> Self {
        Self::Active(Box::new(active))
    }
}

/// A step that waits for its permit.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// The step.
    pub step: Step,
    /// The challenge.
    pub token: Token,
    /// When it was minted.
    pub minted_at: Timestamp,
    /// The step may not start earlier.
    pub not_before: Timestamp,
    /// Why the attempt before this one ended.
    pub because: Vec<Finding>,
}

/// A step that runs, with what it waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// The step.
    pub active: Active,
    /// What it waits for, as [`State::holds`].
    pub holds: Vec<(Finding, Timestamp)>,
}

/// A step that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Active {
    /// The step.
    pub step: Step,
    /// The token whose permit was consumed.
    pub token: Token,
    /// When that was.
    pub started_at: Timestamp,
    /// When the part of the step that is at work began.
    pub stage_since: Timestamp,
    /// What the step needs to remember.
    pub work: Work,
    /// The mutation that may have been begun.
    pub intent: Option<Intended>,
    /// Since when something stands in the way.
    pub held_since: Option<Timestamp>,
}

impl Active {
    /// What may have been started on a node.
    #[must_use]
    pub fn sent(&self) -> Option<&Intended> {
        self.intent.as_ref().filter(|intent| intent.action == Action::Start && !intent.unsent)
    }

    /// What the part of the step that is at work starts on a node, if it starts anything.
    #[must_use]
    pub fn task(&self) -> Task {
        match (&self.step, &self.work) {
            (Step::Snapshot, _) => Task::Snapshot,
            (Step::Prepare, _) => Task::Prepare,
            (_, Work::OneNode(work)) if work.stage == Stage::Prepare => Task::Prepare,
            (
                Step::Preflight | Step::ControlPlane(_) | Step::Worker(_) | Step::Node(_) | Step::Postflight,
                _,
            ) => Task::Upgrade,
        }
    }
}

/// What a running step needs to remember.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// What is looked at whole, or started once: nothing.
    Whole,
    /// What is started on every node: the last one that is done, in order of names.
    EveryNode {
        /// Nothing before the first.
        cursor: Option<NodeName>,
    },
    /// A node's step.
    OneNode(NodeWork),
}

/// A node's step.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeWork {
    /// The part that is at work.
    pub stage: Stage,
    /// The node as it was when the step began.
    pub before: NodeBefore,
    /// Since when it is drained.
    pub drain_since: Option<Timestamp>,
    /// Why the node is being put back instead of upgraded.
    pub returning: Option<Finding>,
}

/// A mutation that was written down and may have been begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intended {
    /// What.
    pub action: Action,
    /// Where.
    pub node: NodeName,
    /// When it was written down; of a start, when it was sent.
    pub at: Timestamp,
    /// A start that nobody has sent yet: this is taken back, and stored, before anything goes out.
    pub unsent: bool,
    /// What was created to be started, by its uid.
    pub created: Option<String>,
}

/// What is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The node is cordoned.
    Cordon,
    /// These pods, by uid, are evicted.
    Evict(Vec<String>),
    /// Something is started there.
    Start,
    /// The node is given back.
    Uncordon,
}

impl Action {
    /// The name, as stored and shown.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cordon => "cordon",
            Self::Evict(_) => "evict",
            // The word of the first driver, which statuses of before have.
            Self::Start => "unit",
            Self::Uncordon => "uncordon",
        }
    }
}

/// A run that stands still until a person has looked.
#[derive(Debug, Clone, PartialEq)]
pub struct Halted {
    /// The step that halted.
    pub step: Step,
    /// Its attempt.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub finding: Finding,
}

/// A step whose last attempt ended without success. It outlives the waiting step: whoever takes a token back must not
/// give a step more attempts than it may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempted {
    /// The step.
    pub step: Step,
    /// Its last attempt.
    pub attempt: u32,
    /// The next attempt may not start earlier.
    pub not_before: Timestamp,
    /// The uid of the Node object that it was tried on, if it is a node's step and that is known.
    pub uid: Option<String>,
    /// In one of the attempts the node's change has begun, and is not known to be whole: it may be neither what it was
    /// nor what it shall be.
    pub begun: bool,
}

/// A step that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// The step.
    pub step: Step,
    /// Its token.
    pub token: Token,
    /// When its permit was consumed.
    pub started_at: Timestamp,
    /// When it was over.
    pub finished_at: Timestamp,
}

/// A notice that must not be lost, from its decision until every channel is through with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Unsent {
    /// The last sequence number that had been given to a token by then.
    pub sequence: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What it says.
    pub milestone: Milestone,
}

/// What nobody who follows a run may miss.
#[derive(Debug, Clone, PartialEq)]
pub enum Milestone {
    /// The run has taken the cluster.
    Opened,
    /// A person must look.
    Halted(Halted),
    /// Every node is at the target.
    Finished,
}

impl Milestone {
    /// The name, as stored and sent.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Halted(_) => "halted",
            Self::Finished => "finished",
        }
    }
}

impl State {
    /// A run that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self {
            from: None,
            started_at: None,
            sequence: 0,
            position: Position::Open,
            running: Vec::new(),
            finished: Vec::new(),
            attempted: Vec::new(),
            failed: Vec::new(),
            progressed_at: None,
            nodes_done: 0,
            workers_done: 0,
            soaking: Vec::new(),
            soak_until: None,
            snapshot: None,
            manifests: Vec::new(),
            prepare_again: None,
            silences: Vec::new(),
            switched: Vec::new(),
            restoring_since: None,
            holds: Vec::new(),
            history: Vec::new(),
            unsent: Vec::new(),
        }
    }

    /// The token at hand: of the step that waits, else of the oldest that runs.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        match &self.position {
            Position::Waiting(waiting) => Some(&waiting.token),
            Position::Active(active) => Some(&active.token),
            Position::Open | Position::Halted(_) | Position::Succeeded { .. } => {
                self.active().next().map(|active| &active.token)
            }
        }
    }

    /// The step at hand: the one that waits or has halted, else the oldest that runs.
    #[must_use]
    pub fn step(&self) -> Option<&Step> {
        match &self.position {
            Position::Waiting(waiting) => Some(&waiting.step),
            Position::Active(active) => Some(&active.step),
            Position::Halted(halted) => Some(&halted.step),
            Position::Open | Position::Succeeded { .. } => self.active().next().map(|active| &active.step),
        }
    }

    /// The shape in which the state is stored.
    #[must_use]
    pub(super) fn schema_version(&self) -> u32 {
        let is_at_rest = matches!(self.position, Position::Open);
        let is_one = self.running.is_empty() || self.running.len() == 1 && is_at_rest;
        if is_one && self.failed.is_empty() { 1 } else { SCHEMA_VERSION }
    }

    /// The steps that run, oldest first.
    pub fn active(&self) -> impl Iterator<Item = &Active> {
        self.running.iter().map(|running| &running.active)
    }

    /// The record of a step that was tried without success.
    #[must_use]
    pub fn attempted(&self, step: &Step) -> Option<&Attempted> {
        self.attempted.iter().find(|attempted| attempted.step == *step)
    }

    /// The step that has begun to change this node in an attempt that ended without success. A node that has taken the
    /// name of another is not the one that was begun on.
    #[must_use]
    pub fn begun_on(&self, node: &NodeName, uid: &str) -> Option<&Attempted> {
        let is_it =
            |it: &&Attempted| it.step.node() == Some(node) && it.uid.as_ref().is_none_or(|it| it == uid);
        self.attempted.iter().filter(is_it).find(|attempted| attempted.begun)
    }

    /// What the driver judges these nodes by.
    pub(super) fn memory(&mut self, nodes: &[Node]) -> Memory<'_> {
        let begun = nodes.iter().filter(|node| self.begun_on(&node.name, &node.uid).is_some());
        let begun = begun.map(|node| node.name.clone()).collect();
        Memory { sequence: self.sequence, begun, manifests: &mut self.manifests }
    }

    /// The record of a step that is over.
    #[must_use]
    pub fn finished(&self, step: &Step) -> Option<&Finished> {
        self.finished.iter().find(|finished| finished.step == *step)
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}
