//! A look at nodes, whatever a driver sees of them.

use std::time::Duration;

use jiff::Timestamp;

use crate::reason::Finding;
use crate::words::name::NodeName;

/// A look at nodes, or why a node could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked<S> {
    /// When it was begun.
    pub at: Timestamp,
    /// How old it is now.
    pub age: Duration,
    /// One answer for each node that was looked at.
    pub nodes: Vec<(NodeName, Result<S, Finding>)>,
}

impl<S> Looked<S> {
    /// Whether it was begun after this time. After the clock was set back its own time may lie ahead, so that its age is
    /// asked too.
    #[must_use]
    pub fn is_since(&self, time: Timestamp, now: Timestamp) -> bool {
        let possible = Duration::try_from(now.duration_since(time)).unwrap_or_default();
        self.at >= time && self.age <= possible
    }

    /// What was seen of this node; nothing if it was not looked at.
    #[must_use]
    pub fn of(&self, node: &NodeName) -> Option<&Result<S, Finding>> {
        self.nodes.iter().find(|(name, _)| name == node).map(|(_, answer)| answer)
    }

    /// The same look, with what one driver makes of it; where that is nothing, the node was not looked at.
    pub(super) fn only<'a, T>(&'a self, seen: impl Fn(&'a S) -> Option<T>) -> Looked<T> {
        let answer = |(node, answer): &'a (NodeName, Result<S, Finding>)| {
            let answer = answer.as_ref().map_err(Clone::clone).map(&seen).transpose()?;
            Some((node.clone(), answer))
        };
        Looked { at: self.at, age: self.age, nodes: self.nodes.iter().filter_map(answer).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_from_before_does_not_pass_for_a_later_one_when_the_clock_was_set_back() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let looked = |at, age| Looked::<()> { at, age: Duration::from_secs(age), nodes: Vec::new() };
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
