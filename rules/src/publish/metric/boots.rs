//! Boots of nodes, as far as they were seen.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::cluster::snapshot::Node;
use crate::words::name::NodeName;

/// When each node was last seen to boot.
///
/// A boot id without one before it says nothing, since that is all a new exporter has. So this is a hint, and preflight
/// asks the nodes themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Boots(BTreeMap<NodeName, (String, Option<Timestamp>)>);

impl Boots {
    /// Compares the boot ids with those seen before; nodes that have left are forgotten.
    pub(super) fn observe(&mut self, nodes: &[Node], now: Timestamp) {
        let before = std::mem::take(&mut self.0);
        self.0 = nodes
            .iter()
            .map(|node| {
                let seen = match before.get(&node.name) {
                    Some((boot_id, seen)) if *boot_id == node.boot_id => *seen,
                    // A node that does not tell its boot id has not booted by that.
                    Some((boot_id, seen)) if boot_id.is_empty() || node.boot_id.is_empty() => *seen,
                    Some(_) => Some(now),
                    None => None,
                };
                (node.name.clone(), (node.boot_id.clone(), seen))
            })
            .collect();
    }

    /// The boots that were seen.
    pub(super) fn seen(&self) -> impl Iterator<Item = (&NodeName, Timestamp)> {
        self.0.iter().filter_map(|(name, (_, seen))| Some((name, (*seen)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::snapshot::Role;

    fn node(boot_id: &str) -> Node {
        Node { boot_id: boot_id.to_owned(), ready: true, ..Node::silent("w-1", Role::Worker) }
    }

    #[test]
    fn only_a_boot_id_that_changed_is_a_boot() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut boots = Boots::default();
        boots.observe(&[node("a")], at(1));
        assert_eq!(boots.seen().count(), 0, "seen for the first time");
        boots.observe(&[node("b")], at(2));
        boots.observe(&[node("b")], at(3));
        assert_eq!(boots.seen().map(|(_, at)| at.as_second()).collect::<Vec<_>>(), [2]);
        boots.observe(&[], at(4));
        assert_eq!(boots, Boots::default(), "a node that has left is forgotten");
    }
}
