//! What is started on a node, and what becomes of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::reason::Reason;

/// What is started on a node: at most one of each under one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// An etcd snapshot, taken and verified.
    Snapshot,
    /// What the change needs, fetched ahead.
    Prepare,
    /// The change itself.
    Upgrade,
}

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
