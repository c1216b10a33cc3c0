//! Steps, their parts, and their names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::gate_class::Class;
use super::name::NodeName;

/// What one webhook starts, in the order of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Everything that can be known before anything is touched.
    Preflight,
    /// An etcd snapshot, taken and verified.
    Snapshot,
    /// Packages and images fetched ahead on every node.
    Prepare,
    /// One control-plane node.
    ControlPlane(NodeName),
    /// One worker node.
    Worker(NodeName),
    /// One node, whatever its role, by a driver that treats all of them alike.
    Node(NodeName),
    /// Everything is at the target and well.
    Postflight,
}

/// A kind of step, in the order of a run: the label `phase` of metrics.
///
/// Whatever depends on which steps there are is derived from here: the pattern of the definition, the selector of an alert,
/// the series of a metric, and every message that lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// [`Step::Preflight`]
    Preflight,
    /// [`Step::Snapshot`]
    Snapshot,
    /// [`Step::Prepare`]
    Prepare,
    /// [`Step::ControlPlane`]
    ControlPlane,
    /// [`Step::Worker`]
    Worker,
    /// [`Step::Node`]
    Node,
    /// [`Step::Postflight`], the last one of every run.
    Postflight,
}

impl Phase {
    /// Every kind, in order. Its length follows from the last one, so that one that is missing here does not compile.
    pub const ALL: [Self; Self::Postflight as usize + 1] = [
        Self::Preflight,
        Self::Snapshot,
        Self::Prepare,
        Self::ControlPlane,
        Self::Worker,
        Self::Node,
        Self::Postflight,
    ];

    /// The name, as stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Snapshot => "snapshot",
            Self::Prepare => "prepare",
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
            Self::Node => "node",
            Self::Postflight => "postflight",
        }
    }

    /// Whether its steps are about one node each.
    #[must_use]
    pub fn is_of_node(self) -> bool {
        match self {
            Self::ControlPlane | Self::Worker | Self::Node => true,
            Self::Preflight | Self::Snapshot | Self::Prepare | Self::Postflight => false,
        }
    }

    /// Which gate alerts close it.
    #[must_use]
    pub fn gate_class(self) -> Class {
        match self {
            Self::Preflight => Class::Start,
            Self::Snapshot | Self::Postflight => Class::All,
            Self::Prepare | Self::ControlPlane | Self::Worker | Self::Node => Class::Mutating,
        }
    }

    /// Whether a run that is there has taken its etcd snapshot; a driver without one has other steps for its nodes.
    #[must_use]
    pub fn is_after_snapshot(self) -> bool {
        match self {
            Self::Prepare | Self::ControlPlane | Self::Worker | Self::Postflight => true,
            Self::Preflight | Self::Snapshot | Self::Node => false,
        }
    }

    /// Whether people can have such a step, so that they are shown it: nobody can make a run of the driver that has the
    /// others.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::Preflight
            | Self::Snapshot
            | Self::Prepare
            | Self::ControlPlane
            | Self::Worker
            | Self::Postflight => true,
            Self::Node => false,
        }
    }

    /// Those that people can have.
    pub fn open() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|phase| phase.is_open())
    }

    /// How a step of those is written, such as `worker/<node>`, the last one after `last`.
    #[must_use]
    pub fn written(last: &str) -> String {
        let one = |phase: Self| {
            if phase.is_of_node() { format!("{}/<node>", phase.name()) } else { phase.name().to_owned() }
        };
        let mut all: Vec<String> = Self::open().map(one).collect();
        let end = all.pop().unwrap_or_default();
        format!("{}{last}{end}", all.join(", "))
    }

    /// The step of this kind that is about this node, or about none.
    fn step(self, node: Option<&str>) -> Option<Step> {
        let node = node.map(NodeName::from);
        match (self, node) {
            (Self::Preflight, None) => Some(Step::Preflight),
            (Self::Snapshot, None) => Some(Step::Snapshot),
            (Self::Prepare, None) => Some(Step::Prepare),
            (Self::ControlPlane, Some(node)) => Some(Step::ControlPlane(node)),
            (Self::Worker, Some(node)) => Some(Step::Worker(node)),
            (Self::Node, Some(node)) => Some(Step::Node(node)),
            (Self::Postflight, None) => Some(Step::Postflight),
            (Self::Preflight | Self::Snapshot | Self::Prepare | Self::Postflight, Some(_))
            | (Self::ControlPlane | Self::Worker | Self::Node, None) => None,
        }
    }
}

/// A text that is no step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a step: {steps}", text = .0, steps = Phase::written(", "))]
pub struct StepError(String);

impl Step {
    /// Its kind.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::Preflight => Phase::Preflight,
            Self::Snapshot => Phase::Snapshot,
            Self::Prepare => Phase::Prepare,
            Self::ControlPlane(_) => Phase::ControlPlane,
            Self::Worker(_) => Phase::Worker,
            Self::Node(_) => Phase::Node,
            Self::Postflight => Phase::Postflight,
        }
    }

    /// The node that the step is about.
    #[must_use]
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::ControlPlane(node) | Self::Worker(node) | Self::Node(node) => Some(node),
            Self::Preflight | Self::Snapshot | Self::Prepare | Self::Postflight => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node() {
            Some(node) => write!(f, "{}/{node}", self.phase().name()),
            None => f.write_str(self.phase().name()),
        }
    }
}

impl FromStr for Step {
    type Err = StepError;

    fn from_str(text: &str) -> Result<Self, StepError> {
        let (name, node) = text.split_once('/').map_or((text, None), |(name, node)| (name, Some(node)));
        let phase = Phase::ALL.into_iter().find(|phase| phase.name() == name);
        // An empty name of a node is none, and still a slash too many.
        let step = phase.filter(|_| node != Some("")).and_then(|phase| phase.step(node));
        step.ok_or_else(|| StepError(text.to_owned()))
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A part of a node's step, in order. A driver says which of them its nodes have. Hooks have no part yet: their stages are
/// added with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// What the change needs is fetched, while the node is still in service.
    Prepare,
    /// No new pods.
    Cordon,
    /// The pods leave.
    Drain,
    /// The node changes; from here on the gate is not consulted until the node is given back.
    Mutate,
    /// The node shows what it runs.
    Verify,
    /// New pods again.
    Uncordon,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; Self::Uncordon as usize + 1] =
        [Self::Prepare, Self::Cordon, Self::Drain, Self::Mutate, Self::Verify, Self::Uncordon];

    /// The name, as stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Cordon => "cordon",
            Self::Drain => "drain",
            Self::Mutate => "mutate",
            Self::Verify => "verify",
            Self::Uncordon => "uncordon",
        }
    }

    /// The stage that has this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_read_as_it_is_written() {
        for phase in Phase::ALL {
            let text =
                if phase.is_of_node() { format!("{}/a", phase.name()) } else { phase.name().to_owned() };
            let step: Step = text.parse().unwrap();
            assert_eq!((step.phase(), step.to_string()), (phase, text));
        }
        for text in ["", "/", "worker", "worker/", "preflight/", "prepare/a", "master/a", "Preflight"] {
            assert!(text.parse::<Step>().is_err(), "{text}");
        }
    }
    #[test]
    fn kinds_of_steps_are_in_the_order_of_a_run_each_once() {
        assert!(Phase::ALL.is_sorted_by(|one, next| one < next), "{:?}", Phase::ALL);
        assert!(Stage::ALL.is_sorted_by(|one, next| one < next), "{:?}", Stage::ALL);
    }
}
