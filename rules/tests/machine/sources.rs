//! The sources of packages that prepare has switched, and a run that ends before all nodes were changed.

use std::time::Duration;

use lockkeeper_rules::run::{Position, Work};
use lockkeeper_rules::words::step::Step;
use proptest::prelude::*;

use crate::deletion::{assert_let_go, delete_and_wait};
use crate::simulated::{Faults, Simulated};

/// A cluster on its way to another minor.
fn cluster(seed: u64, faults: Faults) -> Simulated {
    let mut cluster = Simulated::new(1, 2, seed, faults);
    cluster.sources.prepare_switches = true;
    cluster
}

/// Takes turns until this step waits for its permit.
fn until_waiting(cluster: &mut Simulated, step: &str) {
    for _ in 0..20_000 {
        if matches!(cluster.state().position, Position::Waiting(it) if it.step.to_string() == step) {
            return;
        }
        cluster.turn();
    }
    panic!("{step} never waits: {:?}", cluster.state().position);
}

/// The nodes whose source is not as it was, by name.
fn switched(cluster: &Simulated) -> Vec<&str> {
    cluster.sources.switched.iter().map(String::as_str).collect()
}

#[test]
fn a_run_deleted_after_prepare_gives_each_node_its_source_back() {
    let mut cluster = cluster(60, Faults::default());
    until_waiting(&mut cluster, "control-plane/cp-1");
    assert_eq!(switched(&cluster), ["cp-1", "w-1", "w-2"]);
    cluster.gate_is_shut = true;
    delete_and_wait(&mut cluster);
    assert_eq!(cluster.sources.restored, ["cp-1", "w-1", "w-2"], "each once, and no gate keeps it");
    assert_let_go(&cluster, "cp-1");
}

#[test]
fn a_source_that_prepare_left_as_it_was_is_not_asked_for() {
    let mut cluster = Simulated::new(1, 2, 61, Faults::default());
    until_waiting(&mut cluster, "control-plane/cp-1");
    delete_and_wait(&mut cluster);
    assert!(cluster.sources.restored.is_empty());
    assert_let_go(&cluster, "cp-1");
}

#[test]
fn a_node_whose_change_has_begun_keeps_the_source() {
    // Finished after the deletion, and before it.
    let mut at_work = cluster(62, Faults::default());
    at_work.delete_when = Some("mutate");
    while !at_work.run.deleting {
        at_work.turn();
    }
    delete_and_wait(&mut at_work);
    assert_eq!((switched(&at_work), at_work.sources.restored.len()), (vec!["cp-1"], 2));
    let mut behind = cluster(63, Faults::default());
    until_waiting(&mut behind, "worker/w-1");
    delete_and_wait(&mut behind);
    assert_eq!((switched(&behind), behind.sources.restored.len()), (vec!["cp-1"], 2));
    // And one that failed, which a person lets go as it is.
    let mut failed = cluster(64, Faults::default());
    failed.failing_node = Some("w-1".to_owned());
    failed.turns(20_000);
    assert_eq!(failed.halted().as_deref(), Some("attempts_exhausted"));
    failed.turns(100);
    assert!(failed.sources.restored.is_empty(), "a person may let it go on");
    delete_and_wait(&mut failed);
    assert!(failed.run.has_finalizer && failed.sources.restored.is_empty(), "its node comes first");
    failed.run.spec.skip = vec!["w-1".to_owned()];
    delete_and_wait(&mut failed);
    assert_eq!(
        (switched(&failed), failed.sources.restored.clone()),
        (vec!["cp-1", "w-1"], vec!["w-2".to_owned()])
    );
}

#[test]
fn a_node_that_was_put_back_before_its_change_gets_its_source_back() {
    let mut cluster = cluster(65, Faults::default());
    cluster.delete_when = Some("drain");
    while !cluster.run.deleting {
        cluster.turn();
    }
    delete_and_wait(&mut cluster);
    assert_eq!(cluster.sources.restored, ["cp-1", "w-1", "w-2"]);
    assert_let_go(&cluster, "cp-1");
}

#[test]
fn a_prepare_that_is_under_way_ends_first() {
    for units_take in [Duration::ZERO, Duration::from_secs(4)] {
        let mut cluster = cluster(66, Faults::default());
        let is_second = |cluster: &Simulated| {
            cluster.running().is_some_and(|it| {
                it.step == Step::Prepare
                    && matches!(it.work, Work::EveryNode { cursor: Some(_) })
                    && it.intent.is_some_and(|intent| !intent.unsent)
            })
        };
        while !is_second(&cluster) {
            cluster.units_take = units_take;
            cluster.turn();
        }
        delete_and_wait(&mut cluster);
        assert_eq!(switched(&cluster), [""; 0], "{units_take:?}");
        assert!(
            cluster.sources.restored.contains(&"w-1".to_owned()),
            "{units_take:?} {:?}",
            cluster.sources.restored
        );
        assert!(!cluster.sources.restored.contains(&"w-2".to_owned()), "nothing was sent to it");
        assert_let_go(&cluster, "cp-1");
    }
}

#[test]
fn a_node_that_cannot_be_reached_is_named_and_keeps_no_run() {
    for (unreachable, changed, says) in [(Some("w-1"), None, "ssh_unreachable w-1"), (None, Some("w-1"), "")]
    {
        let mut cluster = cluster(67, Faults::default());
        until_waiting(&mut cluster, "control-plane/cp-1");
        cluster.unreachable = unreachable.map(str::to_owned);
        cluster.sources.changed = changed.map(str::to_owned);
        cluster.run.deleting = true;
        let deleted_at = cluster.now();
        while cluster.run.has_finalizer {
            cluster.turn();
        }
        assert!(cluster.now().duration_since(deleted_at).as_secs() < 90);
        assert_eq!((switched(&cluster), cluster.sources.restored.len()), (vec!["w-1"], 2));
        assert_eq!(cluster.holds(), ["source_not_restored"]);
        let hold = &cluster.run.status.as_ref().unwrap().holds[0];
        assert_eq!((hold.subject.as_str(), hold.detail.as_str()), ("w-1", says));
        assert!(hold.remedy.contains("/var/lib/lockkeeper/source/original"));
        let history = cluster.state().history;
        assert!(history.iter().any(|line| line.event.starts_with("source_not_restored w-1")), "{history:?}");
        assert_let_go(&cluster, "w-1");
    }
}

#[test]
fn a_node_left_out_after_its_prepare_gets_its_source_back_when_the_run_has_succeeded() {
    for is_away in [false, true] {
        let mut cluster = cluster(68, Faults::default());
        until_waiting(&mut cluster, "control-plane/cp-1");
        cluster.run.spec.skip = vec!["w-2".to_owned()];
        cluster.unreachable = is_away.then(|| "w-2".to_owned());
        cluster.run_to_the_end();
        assert_eq!(cluster.sources.restored, if is_away { vec![] } else { vec!["w-2"] });
        assert_eq!(cluster.holds(), if is_away { vec!["source_not_restored"] } else { vec![] });
        assert!(cluster.is_over() && !cluster.lock_is_ours);
    }
    // One that somebody has brought to the target meanwhile is its own.
    let mut by_hand = cluster(69, Faults::default());
    until_waiting(&mut by_hand, "control-plane/cp-1");
    by_hand.run.spec.skip = vec!["w-2".to_owned()];
    by_hand.upgrade_by_hand("w-2");
    by_hand.run_to_the_end();
    assert!(by_hand.sources.restored.is_empty());
}

#[test]
fn a_deleted_run_whose_lock_was_removed_takes_it_before_it_puts_sources_back() {
    let mut cluster = cluster(70, Faults::default());
    until_waiting(&mut cluster, "control-plane/cp-1");
    cluster.lock_is_ours = false;
    cluster.run.deleting = true;
    while cluster.run.has_finalizer {
        cluster.turn();
        assert!(cluster.sources.restored.is_empty() || cluster.lock_is_ours || switched(&cluster).is_empty());
    }
    assert_eq!(cluster.sources.restored.len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whenever_a_run_is_deleted_only_unchanged_nodes_get_their_source_back(seed in 1_u64.., turns in 0_usize..900) {
        let faults = Faults {
            crash_percent: 3,
            gate_closed_percent: 0,
            lost_answer_percent: 3,
            conflict_percent: 5,
            unit_fails_percent: 0,
        };
        let mut cluster = cluster(seed, faults);
        cluster.turns(turns);
        cluster.run.deleting = true;
        for _ in 0..3_000 {
            if cluster.run.has_finalizer {
                cluster.turn();
            }
        }
        prop_assert!(!cluster.run.has_finalizer, "{:?}", cluster.holds());
        for node in ["cp-1", "w-1", "w-2"] {
            let is_switched = cluster.sources.switched.contains(node);
            prop_assert!(!is_switched || cluster.version_of(node) == "v1.36.3", "{} {:?}", node, cluster.holds());
        }
    }
}
