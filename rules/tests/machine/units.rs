//! Units of which nothing is heard.

use std::time::Duration;

use lockkeeper_rules::run::Position;

use crate::deletion::{assert_let_go, delete_and_wait};
use crate::simulated::{Faults, Simulated};

/// Lets units be sent from the first node's step on, all in vain, until the run halts.
fn sent_in_vain(mut cluster: Simulated, disturb: impl FnOnce(&mut Simulated)) {
    while cluster.stage().is_none() {
        cluster.turn();
    }
    disturb(&mut cluster);
    while cluster.halted().is_none() {
        cluster.turn();
        let is_between_attempts = matches!(cluster.state().position, Position::Waiting(_));
        assert!(!is_between_attempts || !cluster.is_unschedulable("cp-1"), "{:?}", cluster.state());
    }
    assert_eq!(cluster.halted(), Some("attempts_exhausted".to_owned()));
    assert_eq!(cluster.started.iter().filter(|step| *step == "control-plane/cp-1").count(), 3);
    assert!(!cluster.is_unschedulable("cp-1") && cluster.upgrades_of("cp-1") == 0);
}

#[test]
fn units_that_never_start_give_the_node_back_and_end_in_a_halt() {
    let cluster = || Simulated::new(1, 1, 11, Faults::default());
    sent_in_vain(cluster(), |it| it.units_never_start = true);
    // These come to the node when it takes them no more.
    sent_in_vain(cluster(), |it| it.units_take = Duration::from_secs(11));
}

#[test]
fn a_unit_that_was_sent_by_a_leader_that_is_gone_is_waited_for_before_its_node_is_given_back() {
    for crashes in [false, true] {
        let mut cluster = Simulated::new(1, 1, 37, Faults::default());
        cluster.close_gate_when = Some("mutate");
        cluster.units_take = Duration::from_secs(9);
        while cluster.stage() != Some("mutate") {
            cluster.turn();
        }
        // It is held for long after it was written down, and then sent.
        cluster.turns(200);
        (cluster.close_gate_when, cluster.gate_is_shut) = (None, false);
        while !cluster.is_sent("cp-1") {
            cluster.turn();
        }
        if crashes {
            cluster.crash_now();
        }
        // The machine would apply the unit to a node in service, which the simulation refuses.
        delete_and_wait(&mut cluster);
        assert_let_go(&cluster, "cp-1");
        assert_eq!(cluster.upgrades_of("cp-1"), 1);
    }
}
