//! A run that is deleted, and a node that it has begun to change.

use lockkeeper_rules::run::Action;

use crate::simulated::{Faults, Simulated};

#[test]
fn a_deleted_run_puts_its_node_back_and_lets_go() {
    let mut cluster = Simulated::new(1, 2, 7, Faults::default());
    cluster.delete_when = Some("drain");
    cluster.turns(2_000);
    assert!(!cluster.run.has_finalizer, "the finalizer is gone");
    assert!(!cluster.is_unschedulable("cp-1") && !cluster.lock_is_ours);
    assert_eq!(cluster.upgrades_of("cp-1"), 0);
}

#[test]
fn a_deleted_run_finishes_the_node_whose_mutation_began() {
    let mut cluster = Simulated::new(1, 2, 8, Faults::default());
    cluster.delete_when = Some("mutate");
    cluster.turns(2_000);
    assert!(!cluster.run.has_finalizer, "the finalizer is gone");
    assert!(!cluster.is_unschedulable("cp-1"));
    assert_eq!(cluster.version_of("cp-1"), "v1.36.3");
}

#[test]
fn a_deleted_run_starts_no_mutation_that_it_has_only_written_down() {
    for crashes in [false, true] {
        let mut cluster = Simulated::new(1, 1, 30, Faults::default());
        let is_written = |cluster: &Simulated| {
            cluster.running().is_some_and(|it| it.intent.is_some_and(|intent| intent.action == Action::Start))
        };
        while !(cluster.stage() == Some("mutate") && is_written(&cluster)) {
            cluster.turn();
        }
        if crashes {
            cluster.crash_now();
        }
        delete_and_wait(&mut cluster);
        assert_eq!(cluster.upgrades_of("cp-1"), 0);
        assert_let_go(&cluster, "cp-1");
    }
}

/// Deletes the run and takes turns for a while, far longer than any attempt waits.
pub(super) fn delete_and_wait(cluster: &mut Simulated) {
    cluster.run.deleting = true;
    for _ in 0..1_000 {
        cluster.turn();
    }
}

/// The node stays out of service, and the run, its lock and a halt with it.
pub(super) fn assert_kept(cluster: &Simulated, node: &str, halted: &str) {
    assert!(cluster.is_unschedulable(node) && cluster.run.has_finalizer && cluster.lock_is_ours);
    assert_eq!(cluster.halted().as_deref(), Some(halted));
    assert_eq!(cluster.holds(), ["node_half_upgraded"]);
}

pub(super) fn assert_let_go(cluster: &Simulated, node: &str) {
    assert!(!cluster.is_unschedulable(node) && !cluster.run.has_finalizer && !cluster.lock_is_ours);
}

#[test]
fn a_deleted_run_keeps_a_node_whose_mutation_fails_until_people_let_it_go() {
    let mut cluster = Simulated::new(1, 1, 25, Faults::default());
    cluster.failing_node = Some("cp-1".to_owned());
    cluster.delete_when = Some("mutate");
    while !cluster.run.deleting {
        cluster.turn();
    }
    delete_and_wait(&mut cluster);
    assert_kept(&cluster, "cp-1", "node_half_upgraded");
    cluster.run.spec.skip = vec!["cp-1".to_owned()];
    delete_and_wait(&mut cluster);
    assert_let_go(&cluster, "cp-1");
}

#[test]
fn a_halted_run_that_is_deleted_keeps_its_node_until_people_let_it_go() {
    let halted = |seed| {
        let mut cluster = Simulated::new(1, 1, seed, Faults::default());
        cluster.failing_node = Some("w-1".to_owned());
        cluster.turns(20_000);
        delete_and_wait(&mut cluster);
        assert_kept(&cluster, "w-1", "attempts_exhausted");
        cluster
    };
    let mut by_hand = halted(26);
    by_hand.give_back_by_hand("w-1");
    delete_and_wait(&mut by_hand);
    assert_let_go(&by_hand, "w-1");
    // Nobody need say anything of a node that has become what it should be.
    let mut mended = halted(27);
    mended.upgrade_by_hand("w-1");
    delete_and_wait(&mut mended);
    assert_let_go(&mended, "w-1");
}

#[test]
fn a_run_deleted_before_another_attempt_has_begun_keeps_what_the_first_left() {
    for stage in ["cordon", "drain", "mutate"] {
        let mut cluster = Simulated::new(1, 1, 28, Faults::default());
        cluster.failing_node = Some("w-1".to_owned());
        while !(cluster.stage() == Some(stage) && cluster.state().token().unwrap().attempt == 2) {
            cluster.turn();
        }
        delete_and_wait(&mut cluster);
        assert_kept(&cluster, "w-1", "node_half_upgraded");
    }
}

#[test]
fn a_node_that_an_attempt_has_begun_to_change_stays_cordoned_when_the_next_is_held_for_too_long() {
    for stage in ["cordon", "drain", "mutate"] {
        let mut cluster = Simulated::new(1, 1, 29, Faults::default());
        cluster.failing_node = Some("w-1".to_owned());
        while !(cluster.stage() == Some(stage) && cluster.state().token().unwrap().attempt == 2) {
            cluster.turn();
        }
        cluster.gate_is_shut = true;
        cluster.failing_node = None;
        while matches!(cluster.state().token(), Some(token) if token.attempt == 2) {
            cluster.turn();
            assert!(cluster.is_unschedulable("w-1"), "{stage}");
        }
        cluster.gate_is_shut = false;
        cluster.run_to_the_end();
        cluster.assert_upgraded_once_each();
    }
}
