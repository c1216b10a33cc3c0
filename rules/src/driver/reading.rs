//! What comes back to a driver: what was seen, and what became of what was started.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::kubeadm::reading::NodeSurvey;
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;

/// What became of something that was started under a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// Nobody has ever seen it there.
    Unseen,
    /// What an attempt before has left is still there.
    Left,
    /// It was created, and was not let go: nothing happens on the node.
    Created {
        /// Which one it is.
        uid: String,
    },
    /// The node refused to start it.
    Refused(Reason),
    /// It was started and has not ended; `alive` says whether it still runs.
    Started {
        /// When, by the node's clock.
        at: Timestamp,
        /// It is running now.
        alive: bool,
    },
    /// It ended.
    Ended {
        /// Its exit code.
        code: i32,
        /// When, by the node's clock.
        at: Timestamp,
        /// What it reported for us to read, one `key=value` a line.
        report: Vec<(String, String)>,
        /// The end of its output.
        output: String,
    },
}

/// What was seen of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// What the node said of itself.
    Kubeadm(Box<NodeSurvey>),
    /// A Job can be placed on it.
    Job,
}

/// A look at nodes, or why a node could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// When it was begun.
    pub at: Timestamp,
    /// How old it is now.
    pub age: Duration,
    /// One answer for each node that was looked at.
    pub nodes: Vec<(NodeName, Result<Sight, Finding>)>,
}

impl Looked {
    /// Whether it was begun after this time. After the clock was set back its own time may lie ahead, so that its age is
    /// asked too.
    #[must_use]
    pub fn is_since(&self, time: Timestamp, now: Timestamp) -> bool {
        let possible = Duration::try_from(now.duration_since(time)).unwrap_or_default();
        self.at >= time && self.age <= possible
    }

    /// What was seen of this node; nothing if it was not looked at.
    #[must_use]
    pub fn of(&self, node: &NodeName) -> Option<&Result<Sight, Finding>> {
        self.nodes.iter().find(|(name, _)| name == node).map(|(_, answer)| answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_from_before_does_not_pass_for_a_later_one_when_the_clock_was_set_back() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let looked = |at, age| Looked { at, age: Duration::from_secs(age), nodes: Vec::new() };
        // The look, its age, the time that is asked about, the time now.
        for (looked, time, now, expected) in [
            (looked(at(10), 5), at(9), at(15), true),
            (looked(at(8), 7), at(9), at(15), false),
            (looked(at(7_200), 1_200), at(600), at(1_200), false),
            (looked(at(7_200), 8_000), at(600), at(8_000), false),
            (looked(at(10), 5), at(20), at(15), false),
        ] {
            assert_eq!(looked.is_since(time, now), expected, "{looked:?} {time} {now}");
        }
    }
}
