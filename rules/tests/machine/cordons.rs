//! Nodes that people cordon, uncordon or leave out.

use crate::simulated::{Faults, Simulated};

#[test]
fn a_node_cordoned_by_a_human_holds_the_run_until_it_is_uncordoned() {
    let mut cluster = Simulated::new(1, 2, 3, Faults::default());
    cluster.cordon_by_hand("w-2");
    cluster.turns(200);
    assert!(cluster.started.is_empty(), "{:?}", cluster.started);
    assert!(cluster.holds().contains(&"node_cordoned_by_human".to_owned()), "{:?}", cluster.holds());
    cluster.uncordon_by_hand("w-2");
    cluster.run_to_the_end();
}

#[test]
fn a_node_cordoned_by_a_human_is_upgraded_and_stays_cordoned_where_asked() {
    let mut cluster = Simulated::new(1, 2, 4, Faults::default());
    cluster.cordon_by_hand("w-2");
    cluster.run.spec.cordoned_nodes = lockkeeper_rules::api::CordonedNodes::Upgrade;
    cluster.run_to_the_end();
    assert!(cluster.is_unschedulable("w-2") && !cluster.is_unschedulable("w-1"));
}

#[test]
fn a_node_uncordoned_by_a_human_before_its_mutation_is_not_mutated() {
    let mut cluster = Simulated::new(1, 1, 11, Faults::default());
    cluster.close_gate_when = Some("mutate");
    while !cluster.gate_is_shut {
        cluster.turn();
    }
    cluster.turns(20);
    cluster.uncordon_by_hand("cp-1");
    cluster.gate_is_shut = false;
    cluster.close_gate_when = None;
    // The machine would apply the unit to a node in service, which the simulation refuses.
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_node_that_is_skipped_after_its_step_failed_is_given_back() {
    let mut cluster = Simulated::new(1, 2, 15, Faults::default());
    cluster.failing_node = Some("w-1".to_owned());
    cluster.turns(20_000);
    assert!(cluster.halted().is_some() && cluster.is_unschedulable("w-1"));
    cluster.run.spec.skip = vec!["w-1".to_owned()];
    cluster.retry_what_halted();
    cluster.turn();
    cluster.run_to_the_end();
    assert_eq!(cluster.version_of("w-1"), "v1.36.1");
    assert_eq!(cluster.version_of("w-2"), "v1.36.3");
}
