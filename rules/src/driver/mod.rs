//! How a node is changed. A driver is data and three verbs: look, start, read.
//!
//! ```text
//!   run ──▶ Driver: steps, stages, at target? ──▶ order (Look, Start, Read, PutBack) ──▶ the actuator carries it out
//!    ▲         │ one file or folder for each                                                │
//!    └─────────┴── findings ◀── judged here, purely ◀── reading (Looked, Progress) ◀────────┘
//! ```
//!
//! An enum and no trait: the drivers are known, and the compiler leads to every place that must know a new one. Why it is
//! as it is: `docs/decisions/0058-a-driver-is-data-and-three-verbs.md`.

pub mod job;
pub mod kubeadm;
pub mod looked;
pub mod order;
pub mod reading;
pub mod task;

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{ManifestRecord, SnapshotRecord, UpgradeRun};
use crate::cluster::snapshot::{Node, Snapshot};
use crate::gate::Proof;
use crate::reason::{Finding, Reason};
use crate::settings::Settings;
use crate::words::name::{NodeName, Token};
use crate::words::step::{Stage, Step};
use crate::words::version::Version;
use job::Job;
use kubeadm::{Kubeadm, KubeadmSettings};
use looked::Looked;
use order::{Create, Look, PutBack, Read, Start};
use reading::Sight;
use task::Task;

/// How much longer than it may work something that was started is waited for: it takes a while to be started and to be
/// ended, and its own end says more than our deadline.
const SLACK_SECONDS: u64 = 180;

/// Who changes the nodes of a run, with where that goes to.
#[derive(Debug, Clone)]
pub enum Driver<'a> {
    /// Units over SSH, with kubeadm in them.
    Kubeadm(Kubeadm<'a>),
    /// A privileged Job on each node. No run can ask for it yet, and the actuator refuses its orders.
    Job(Job),
}

/// What a driver judges by, read a moment ago.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The run, as the API server has it.
    pub run: &'a UpgradeRun,
    /// The cluster.
    pub snapshot: &'a Snapshot,
    /// The thresholds.
    pub settings: &'a Settings,
    /// Now.
    pub now: Timestamp,
}

impl View<'_> {
    /// Whether people asked for this node to be left as it is.
    #[must_use]
    pub fn is_skipped(&self, node: &Node) -> bool {
        self.run.spec.skip.contains(&node.name.0)
    }
}

/// What a run remembers that its driver judges by, and writes down.
#[derive(Debug)]
pub struct Memory<'a> {
    /// The last sequence number that was given to a token.
    pub sequence: u64,
    /// The nodes whose change has begun in an attempt that ended without success.
    pub begun: Vec<NodeName>,
    /// What was found in the manifests of each control-plane node before it was touched.
    pub manifests: &'a mut Vec<ManifestRecord>,
}

impl Memory<'_> {
    /// Whether the change of this node has begun in an attempt before.
    #[must_use]
    pub fn has_begun(&self, node: &Node) -> bool {
        self.begun.contains(&node.name)
    }
}

/// The attempt that something is started for.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// Its token.
    pub token: &'a Token,
    /// The generation of our leadership.
    pub generation: u64,
    /// What was created for it, where that comes first.
    pub created: Option<&'a str>,
    /// What was found in the manifests of each control-plane node before it was touched.
    pub manifests: &'a [ManifestRecord],
}

impl<'a> Driver<'a> {
    /// The driver of every run that people can make.
    #[must_use]
    pub fn kubeadm(target: &str, site: &'a KubeadmSettings) -> Self {
        let target = target.parse().map_err(|error: crate::words::version::VersionError| {
            Finding::new(Reason::TargetNotAVersion, "spec.target", error.to_string())
        });
        Self::Kubeadm(Kubeadm { target, site })
    }

    /// Where the run goes, as people read it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn target(&self) -> Result<String, Finding> {
        match self {
            Self::Kubeadm(it) => it.target.as_ref().map(ToString::to_string).map_err(Clone::clone),
            Self::Job(it) => Ok(it.target()),
        }
    }

    /// The version that the kubelets will have; nothing where the target is none.
    #[must_use]
    pub fn version(&self) -> Option<&Version> {
        match self {
            Self::Kubeadm(it) => it.target.as_ref().ok(),
            Self::Job(it) => it.version.as_ref(),
        }
    }

    /// The steps of a run in order, with those of these nodes, in their order, where they belong.
    #[must_use]
    pub fn steps(&self, nodes: &[&Node]) -> Vec<Step> {
        let first = match self {
            Self::Kubeadm(_) => &kubeadm::FIRST_STEPS[..],
            Self::Job(_) => &job::FIRST_STEPS,
        };
        let of_nodes = nodes.iter().map(|node| match self {
            Self::Kubeadm(_) => kubeadm::step_of(node),
            Self::Job(_) => Step::Node(node.name.clone()),
        });
        first.iter().cloned().chain(of_nodes).chain([Step::Postflight]).collect()
    }

    /// Whether a run of this driver can have this step.
    #[must_use]
    pub fn has(&self, step: &Step) -> bool {
        match (self, step) {
            (Self::Kubeadm(_), Step::Node(_))
            | (Self::Job(_), Step::Snapshot | Step::Prepare | Step::ControlPlane(_) | Step::Worker(_)) => {
                false
            }
            (
                Self::Kubeadm(_),
                Step::Preflight
                | Step::Snapshot
                | Step::Prepare
                | Step::ControlPlane(_)
                | Step::Worker(_)
                | Step::Postflight,
            )
            | (Self::Job(_), Step::Preflight | Step::Node(_) | Step::Postflight) => true,
        }
    }

    /// The stages of a node's step, in order.
    #[must_use]
    pub fn stages(&self) -> &'static [Stage] {
        match self {
            Self::Kubeadm(_) => &kubeadm::STAGES,
            Self::Job(_) => &job::STAGES,
        }
    }

    /// Whether a node shows the target in all that the driver changes of it. What cannot be seen is not there yet.
    #[must_use]
    pub fn is_at_target(&self, node: &Node, snapshot: &Snapshot) -> bool {
        match self {
            Self::Kubeadm(it) => {
                it.target.as_ref().is_ok_and(|target| kubeadm::is_at(snapshot, node, target))
            }
            Self::Job(it) => it.is_at_target(node),
        }
    }

    /// Whether the cluster has begun to change, so that what was asked before is asked no more: `changed` says whether
    /// this run has changed a node.
    #[must_use]
    pub fn has_begun(&self, snapshot: &Snapshot, changed: bool) -> bool {
        match self {
            Self::Kubeadm(it) => {
                it.target.as_ref().is_ok_and(|target| kubeadm::control_plane_has_begun(snapshot, target))
            }
            Self::Job(_) => changed,
        }
    }

    /// What the API server of a control-plane node runs, if that can be read.
    #[must_use]
    pub fn api_server_on<'s>(&self, node: &'s Node, snapshot: &'s Snapshot) -> Option<&'s Version> {
        match self {
            Self::Kubeadm(_) => kubeadm::api_server_on(&node.name, snapshot),
            // One program is both there.
            Self::Job(_) => node.kubelet_version.as_ref().ok(),
        }
    }

    /// What people are told of how this site has it done, in lines.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        match self {
            Self::Kubeadm(it) => it.site.describe(),
            Self::Job(_) => Vec::new(),
        }
    }

    /// How to look at all nodes before a run touches any.
    ///
    /// # Errors
    /// A node cannot be looked at, or the target cannot be read.
    pub fn look(&self, nodes: &[Node], view: View<'_>) -> Result<Look, Finding> {
        match self {
            Self::Kubeadm(it) => it.survey(nodes, view).map(Look::Kubeadm),
            Self::Job(it) => {
                let left = nodes.iter().filter(|node| !view.is_skipped(node));
                Ok(Look::Job(it.look(left.map(|node| node.name.clone()).collect())))
            }
        }
    }

    /// How to look at one node right before its own step touches it.
    ///
    /// # Errors
    /// It cannot be looked at, or the target cannot be read.
    pub fn look_at(&self, node: &Node, view: View<'_>) -> Result<Look, Finding> {
        match self {
            Self::Kubeadm(it) => it.survey_of(node, view).map(Look::Kubeadm),
            Self::Job(it) => Ok(Look::Job(it.look(vec![node.name.clone()]))),
        }
    }

    /// What was seen that keeps the run from touching any node.
    pub fn judge(
        &self,
        looked: &Looked<Sight>,
        nodes: &[Node],
        memory: &mut Memory<'_>,
        view: View<'_>,
    ) -> Vec<Finding> {
        match self {
            Self::Kubeadm(it) => it.judge(&looked.only(Sight::of_kubeadm), nodes, memory, view),
            Self::Job(_) => job::judge(&looked.only(Sight::of_job), nodes, view),
        }
    }

    /// What was seen at this time that keeps this node from being touched.
    pub fn judge_one(
        &self,
        sight: &Sight,
        at: Timestamp,
        node: &Node,
        memory: &mut Memory<'_>,
        view: View<'_>,
    ) -> Vec<Finding> {
        match self {
            Self::Kubeadm(it) => it.judge_one(sight.of_kubeadm(), at, node, memory, view),
            Self::Job(_) => job::unplaced(sight.of_job(), node).into_iter().collect(),
        }
    }

    /// Creates what is to be started on a node, where that comes first: then it is known for certain whether it has begun.
    #[must_use]
    pub fn create(&self, task: Task, node: &Node, token: &Token) -> Option<Create> {
        match self {
            Self::Kubeadm(_) => None,
            Self::Job(it) => Some(Create::Job(it.create(job::job(task, node, token)))),
        }
    }

    /// Clears away what attempts before have left on a node; nothing if they leave nothing that is in the way.
    #[must_use]
    pub fn clear(&self, task: Task, node: &Node, token: &Token) -> Option<PutBack> {
        match self {
            Self::Kubeadm(_) => None,
            Self::Job(_) => Some(PutBack::Job(job::job(task, node, token))),
        }
    }

    /// Starts something on a node.
    ///
    /// # Errors
    /// The node cannot be reached, the target cannot be read, or nothing was created.
    pub fn start(
        &self,
        task: Task,
        node: &Node,
        attempt: Attempt<'_>,
        proof: Proof,
        view: View<'_>,
    ) -> Result<Start, Finding> {
        match self {
            Self::Kubeadm(it) => it.start(task, node, attempt, proof, view).map(Start::Kubeadm),
            Self::Job(_) => {
                let job = job::job(task, node, attempt.token);
                job::release(job, attempt.created, proof).map(Start::Job)
            }
        }
    }

    /// Asks what became of it.
    ///
    /// # Errors
    /// The node cannot be reached.
    pub fn read(&self, task: Task, node: &Node, token: &Token, view: View<'_>) -> Result<Read, Finding> {
        match self {
            Self::Kubeadm(_) => kubeadm::read(node, token, view).map(Read::Kubeadm),
            Self::Job(_) => Ok(Read::Job(job::job(task, node, token))),
        }
    }

    /// Whether a node that refused for this reason had not begun, and never does for this token.
    #[must_use]
    pub fn never_begins(&self, refused_for: Reason) -> bool {
        match self {
            Self::Kubeadm(_) => kubeadm::never_begins(refused_for),
            Self::Job(_) => false,
        }
    }

    /// The node that the snapshot is taken on.
    ///
    /// # Errors
    /// There is none.
    pub fn snapshot_node<'n>(&self, nodes: &'n [Node]) -> Result<&'n Node, Finding> {
        match self {
            Self::Kubeadm(_) => kubeadm::snapshot_node(nodes),
            Self::Job(_) => Err(job::takes_no_snapshot()),
        }
    }

    /// The snapshot that was reported.
    ///
    /// # Errors
    /// The report is not whole.
    pub fn snapshot_record(
        &self,
        report: &[(String, String)],
        node: &NodeName,
        taken_at: Timestamp,
    ) -> Result<SnapshotRecord, Finding> {
        match self {
            Self::Kubeadm(_) => kubeadm::snapshot_record(report, node, taken_at),
            Self::Job(_) => Err(job::takes_no_snapshot()),
        }
    }

    /// Whether what prepare reported leaves nothing on the node that must be put back.
    #[must_use]
    pub fn leaves_nothing(&self, report: &[(String, String)]) -> bool {
        match self {
            Self::Kubeadm(_) => kubeadm::leaves_nothing(report),
            Self::Job(_) => true,
        }
    }

    /// Puts back what prepare has left on a node; nothing if it never leaves anything. It is never gated.
    ///
    /// # Errors
    /// The node cannot be reached.
    pub fn put_back(
        &self,
        node: &Node,
        sequence: u64,
        generation: u64,
        view: View<'_>,
    ) -> Option<Result<PutBack, Finding>> {
        match self {
            Self::Kubeadm(_) => {
                Some(kubeadm::restore(node, sequence, generation, view).map(PutBack::Kubeadm))
            }
            Self::Job(_) => None,
        }
    }
}

/// What of a record of manifests is not of its form, if anything.
#[must_use]
pub fn malformed_record(record: &ManifestRecord) -> Option<String> {
    kubeadm::malformed_record(record)
}

/// How long something that was sent is waited for before it is certain not to begin.
#[must_use]
pub fn patience(settings: &Settings) -> Duration {
    Duration::from_secs(settings.unit_patience_seconds())
}

/// How often it is asked what became of something.
#[must_use]
pub fn poll_pause(settings: &Settings) -> Duration {
    Duration::from_secs(settings.unit_poll_seconds)
}

/// How long something that was started may be at work, in seconds.
#[must_use]
pub fn work_seconds_max(settings: &Settings) -> u64 {
    settings.unit_seconds_max.saturating_add(SLACK_SECONDS)
}

/// Something that has been at work for too long.
#[must_use]
pub fn too_long(step: &Step, detail: String) -> Finding {
    Finding::new(Reason::UnitDeadline, step.to_string(), detail)
}

/// Something that is gone without a result.
#[must_use]
pub fn vanished(node: &NodeName) -> Finding {
    Finding::new(Reason::UnitVanished, node.0.clone(), "")
}

/// Something that the node has not begun, with what went wrong when it was sent.
#[must_use]
pub fn not_begun(node: &NodeName, why: String) -> Finding {
    Finding::new(Reason::UnitNotBegun, node.0.clone(), why)
}

/// Something of an attempt before that has not gone yet.
#[must_use]
pub fn left(node: &NodeName) -> Finding {
    Finding::new(Reason::NodeBusy, node.0.clone(), "what an attempt before has left is still there")
}

/// Something that the node refused to begin.
#[must_use]
pub fn refused(node: &NodeName, reason: Reason) -> Finding {
    Finding::new(reason, node.0.clone(), "the node refused the unit")
}

/// Something that failed, with the end of what it said.
#[must_use]
pub fn failed(node: &NodeName, code: i32, output: &str) -> Finding {
    let skip = output.chars().count().saturating_sub(400);
    let tail: String = output.chars().skip(skip).collect();
    Finding::new(Reason::UnitFailed, node.0.clone(), format!("exit code {code}: {}", tail.trim()))
}
