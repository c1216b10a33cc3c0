//! What a verdict against the target stops, and what it does not.

use lockkeeper_rules::reason::{Finding, Reason};

use crate::simulated::{Faults, Simulated};

/// What a verdict has against the step at hand.
fn unfit() -> Vec<Finding> {
    vec![Finding::new(Reason::WebhookDead, "guard", "nobody answers")]
}

#[test]
fn a_verdict_against_a_step_at_work_holds_its_node_before_each_mutation_until_it_is_mended() {
    for stage in ["cordon", "drain", "mutate"] {
        let mut cluster = Simulated::new(1, 1, 14, Faults::default());
        while cluster.stage() != Some(stage) {
            cluster.turn();
        }
        let (cordoned, pods) = (cluster.is_unschedulable("cp-1"), cluster.pods_on("cp-1"));
        cluster.verdict = unfit();
        for _ in 0..20 {
            cluster.turn();
        }
        assert!(cluster.holds().contains(&"webhook_dead".to_owned()), "{stage}: {:?}", cluster.holds());
        assert_eq!((cluster.is_unschedulable("cp-1"), cluster.pods_on("cp-1")), (cordoned, pods), "{stage}");
        assert_eq!(cluster.upgrades_of("cp-1"), 0, "{stage}");
        cluster.verdict = Vec::new();
        cluster.run_to_the_end();
        cluster.assert_upgraded_once_each();
    }
}

#[test]
fn a_node_whose_mutation_has_begun_is_finished_whatever_the_verdict_says_and_no_other_is_begun() {
    let mut cluster = Simulated::new(1, 1, 14, Faults::default());
    while cluster.stage() != Some("verify") {
        cluster.turn();
    }
    cluster.verdict = unfit();
    cluster.turns(500);
    assert!(!cluster.is_unschedulable("cp-1"), "it was given back");
    assert_eq!(cluster.started.last().map(String::as_str), Some("control-plane/cp-1"));
    assert!(cluster.holds().contains(&"webhook_dead".to_owned()), "{:?}", cluster.holds());
}

#[test]
fn preflight_does_not_pass_against_the_verdict() {
    let mut cluster = Simulated::new(1, 1, 14, Faults::default());
    while cluster.started.is_empty() {
        cluster.turn();
    }
    cluster.verdict = unfit();
    cluster.turns(200);
    assert!(cluster.started.iter().all(|step| step == "preflight"), "{:?}", cluster.started);
    assert!(cluster.state().finished.is_empty(), "{:?}", cluster.state().finished);
    assert!(cluster.holds().contains(&"webhook_dead".to_owned()), "{:?}", cluster.holds());
}
