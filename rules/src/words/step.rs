//! Steps, their parts, and their names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::gate_class::Class;
use super::name::NodeName;

/// What one webhook starts.
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
    /// Everything is at the target and well.
    Postflight,
}

/// A text that is no step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a step: preflight, snapshot, prepare, control-plane/<node>, worker/<node>, postflight")]
pub struct StepError(String);

impl Step {
    /// The kind of step: the label `phase` of metrics.
    #[must_use]
    pub fn phase(&self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Snapshot => "snapshot",
            Self::Prepare => "prepare",
            Self::ControlPlane(_) => "control-plane",
            Self::Worker(_) => "worker",
            Self::Postflight => "postflight",
        }
    }

    /// Every kind of step, in order.
    pub const PHASES: [&'static str; 6] =
        ["preflight", "snapshot", "prepare", "control-plane", "worker", "postflight"];

    /// The node that the step is about.
    #[must_use]
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::ControlPlane(node) | Self::Worker(node) => Some(node),
            Self::Preflight | Self::Snapshot | Self::Prepare | Self::Postflight => None,
        }
    }

    /// Which gate alerts close the step.
    #[must_use]
    pub fn gate_class(&self) -> Class {
        match self {
            Self::Preflight => Class::Start,
            Self::Snapshot | Self::Postflight => Class::All,
            Self::Prepare | Self::ControlPlane(_) | Self::Worker(_) => Class::Mutating,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node() {
            Some(node) => write!(f, "{}/{node}", self.phase()),
            None => f.write_str(self.phase()),
        }
    }
}

impl FromStr for Step {
    type Err = StepError;

    fn from_str(text: &str) -> Result<Self, StepError> {
        match text.split_once('/') {
            None => match text {
                "preflight" => Ok(Self::Preflight),
                "snapshot" => Ok(Self::Snapshot),
                "prepare" => Ok(Self::Prepare),
                "postflight" => Ok(Self::Postflight),
                _ => Err(StepError(text.to_owned())),
            },
            Some(("control-plane", node)) if !node.is_empty() => Ok(Self::ControlPlane(node.into())),
            Some(("worker", node)) if !node.is_empty() => Ok(Self::Worker(node.into())),
            Some(_) => Err(StepError(text.to_owned())),
        }
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

/// A part of a node's step, in order. Hooks have no part yet: their stages are added with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
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
    pub const ALL: [Self; 5] = [Self::Cordon, Self::Drain, Self::Mutate, Self::Verify, Self::Uncordon];

    /// The name, as stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
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
        for text in ["preflight", "snapshot", "prepare", "control-plane/cp-1", "worker/w-1", "postflight"] {
            assert_eq!(text.parse::<Step>().unwrap().to_string(), text);
        }
        for text in ["", "worker", "worker/", "master/a", "Preflight"] {
            assert!(text.parse::<Step>().is_err(), "{text}");
        }
    }
}
