//! What only who was there can tell: all else is read from the cluster anew.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::boots::Boots;
use crate::cluster::snapshot::Snapshot;
use crate::verdict::Verdict;
use crate::words::name::NodeName;

/// What a process remembers of the states before. A new one remembers nothing, and says nothing of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    boots: Boots,
    /// When each target was last judged with everything read.
    whole: BTreeMap<String, Timestamp>,
}

impl Memory {
    /// Looks at a state with its verdicts. What has left the cluster, and what is no longer judged, is forgotten.
    pub fn observe(&mut self, snapshot: &Snapshot, verdicts: &[Verdict], now: Timestamp) {
        if let Some(nodes) = &snapshot.nodes.value {
            self.boots.observe(nodes, now);
        }
        let before = std::mem::take(&mut self.whole);
        let whole = |verdict: &Verdict| {
            let is_whole = verdict.blind().next().is_none();
            let at = is_whole.then_some(verdict.computed_at).or_else(|| before.get(&verdict.target).copied());
            Some((verdict.target.clone(), at?))
        };
        self.whole = verdicts.iter().filter_map(whole).collect();
    }

    /// The boots that were seen.
    pub(super) fn boots(&self) -> impl Iterator<Item = (&NodeName, Timestamp)> {
        self.boots.seen()
    }

    /// When the target was last judged with everything read.
    pub(super) fn whole(&self, target: &str) -> Option<Timestamp> {
        self.whole.get(target).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::snapshot::Source;
    use crate::verdict::healthy;

    #[test]
    fn a_blind_verdict_leaves_the_time_of_the_last_whole_one() {
        let mut cluster = healthy();
        let mut memory = Memory::default();
        let mut look = |cluster: &crate::verdict::Healthy, targets: &[&str]| {
            let verdicts: Vec<_> = targets.iter().map(|target| cluster.verdict(target)).collect();
            memory.observe(&cluster.snapshot, &verdicts, cluster.now);
            memory.whole("v1.36.3")
        };
        let first = cluster.now;
        assert_eq!(look(&cluster, &["v1.36.3"]), Some(first));
        cluster.now += jiff::SignedDuration::from_secs(10);
        assert_eq!(look(&cluster, &["v1.36.3"]), Some(cluster.now));
        let last = cluster.now;
        cluster.now += jiff::SignedDuration::from_secs(10);
        cluster.inventory.workloads = Source::failed("gone");
        assert_eq!(look(&cluster, &["v1.36.3"]), Some(last));
        assert_eq!(look(&cluster, &[]), None, "what is no longer judged is forgotten");
        assert_eq!(look(&cluster, &["v1.36.3"]), None, "never judged with everything read");
    }
}
