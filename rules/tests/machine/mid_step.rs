//! What changes about a node while its own step is at work.

use crate::simulated::{Faults, Simulated};

fn attempt(cluster: &Simulated) -> u32 {
    cluster.state().token().map_or(0, |token| token.attempt)
}

/// Runs until the step of this node is in this stage, in this attempt. Those before come to nothing behind a closed gate.
fn until(cluster: &mut Simulated, node: &str, stage: &str, in_attempt: u32) {
    loop {
        let is_its = cluster.state().step().is_some_and(|step| step.node().is_some_and(|it| it.0 == node));
        if is_its && cluster.stage() == Some(stage) && attempt(cluster) == in_attempt {
            cluster.gate_is_shut = false;
            return;
        }
        cluster.gate_is_shut = is_its && cluster.stage() == Some("drain") && attempt(cluster) < in_attempt;
        cluster.turn();
    }
}

fn at(node: &str, stage: &str, seed: u64) -> Simulated {
    let mut cluster = Simulated::new(3, 2, seed, Faults::default());
    until(&mut cluster, node, stage, 1);
    cluster
}

#[test]
fn a_node_that_is_skipped_in_mid_step_is_given_back_unless_its_change_was_sent() {
    for stage in ["cordon", "drain", "mutate"] {
        // The last attempt, too, does not keep the run from going on with the other nodes.
        for in_attempt in [1, 3] {
            let mut cluster = Simulated::new(1, 2, 130, Faults::default());
            until(&mut cluster, "w-1", stage, in_attempt);
            assert!(!cluster.is_sent("w-1"));
            cluster.run.spec.skip = vec!["w-1".to_owned()];
            cluster.run_to_the_end();
            assert!(!cluster.is_sent("w-1"), "{stage} {in_attempt}");
            assert_eq!(cluster.version_of("w-2"), "v1.36.3");
        }
    }
    let mut cluster = at("w-1", "mutate", 131);
    while !cluster.is_sent("w-1") {
        cluster.turn();
    }
    cluster.run.spec.skip = vec!["w-1".to_owned()];
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_half_done_node_that_is_skipped_in_its_last_attempt_halts_nothing() {
    let mut cluster = Simulated::new(1, 2, 132, Faults::default());
    cluster.failing_node = Some("w-1".to_owned());
    while !(cluster.stage() == Some("drain") && attempt(&cluster) == 3) {
        cluster.turn();
    }
    cluster.run.spec.skip = vec!["w-1".to_owned()];
    cluster.run_to_the_end();
    assert_eq!((cluster.upgrades_of("w-1"), cluster.version_of("w-2")), (0, "v1.36.3".to_owned()));
}
