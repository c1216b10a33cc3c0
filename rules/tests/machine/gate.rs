//! A gate that closes at each point of a step, and checks that come late or not at all.

use std::time::Duration;

use lockkeeper_rules::api::SilenceRecord;

use crate::simulated::{Faults, Simulated};

#[test]
fn a_silence_is_kept_by_the_run_through_a_crash_until_a_check_says_that_it_is_over() {
    let mut cluster = Simulated::new(1, 1, 57, Faults::default());
    cluster.gate_is_shut = true;
    let silence = SilenceRecord {
        id: "s".to_owned(),
        matchers: "alertname=\"K8sUpgradeStepReady\"".to_owned(),
        created_by: "ada".to_owned(),
        comment: String::new(),
        ends_at: "2026-01-02T00:00:00Z".parse().unwrap(),
        updated_at: "2026-01-01T00:00:00Z".parse().unwrap(),
    };
    cluster.silences = Some(vec![silence.clone()]);
    cluster.turns(50);
    assert_eq!(cluster.state().silences, std::slice::from_ref(&silence));
    // Whoever takes over has seen nothing, and a check that cannot tell takes nothing back.
    cluster.crash_now();
    cluster.silences = None;
    cluster.turns(50);
    assert_eq!(cluster.state().silences, [silence]);
    cluster.silences = Some(Vec::new());
    cluster.turns(50);
    assert_eq!(cluster.state().silences, []);
    assert!(cluster.started.is_empty(), "{:?}", cluster.started);
}

#[test]
fn a_gate_that_closes_after_the_cordon_puts_the_node_back_and_halts_in_the_end() {
    let mut cluster = Simulated::new(1, 1, 5, Faults::default());
    cluster.close_gate_when = Some("drain");
    cluster.turns(5_000);
    assert_eq!(cluster.halted(), Some("attempts_exhausted".to_owned()));
    assert!(!cluster.is_unschedulable("cp-1"), "the node was put back");
    assert_eq!(cluster.upgrades_of("cp-1"), 0);
}

#[test]
fn a_gate_that_closes_after_the_drain_puts_the_node_back() {
    let mut cluster = Simulated::new(1, 1, 10, Faults::default());
    cluster.close_gate_when = Some("mutate");
    cluster.turns(5_000);
    assert_eq!(cluster.upgrades_of("cp-1"), 0);
    assert!(!cluster.is_unschedulable("cp-1"), "the node was put back: {:?}", cluster.holds());
}

#[test]
fn a_gate_that_closes_after_the_mutation_began_does_not_stop_the_node() {
    let mut cluster = Simulated::new(1, 1, 6, Faults::default());
    cluster.close_gate_when = Some("verify");
    cluster.turns(3_000);
    assert_eq!(cluster.upgrades_of("cp-1"), 1);
    assert!(!cluster.is_unschedulable("cp-1"), "the node was given back although the gate is closed");
    assert_eq!(cluster.started.last().map(String::as_str), Some("control-plane/cp-1"));
}

#[test]
fn a_check_that_is_forgotten_leaves_what_is_waited_for_until_another_has_been_asked() {
    let mut cluster = Simulated::new(1, 1, 6, Faults::default());
    cluster.close_gate_when = Some("verify");
    cluster.turns(3_000);
    let before = cluster.held();
    assert!(before.len() > 1, "the gate and the permit are waited for: {before:?}");
    cluster.forget_check();
    cluster.turn();
    assert_eq!(cluster.held(), before, "not even since when has changed");
}

#[test]
fn a_closed_gate_that_answers_slowly_is_a_hold_like_any_other() {
    let mut cluster = Simulated::new(1, 1, 12, Faults::default());
    cluster.check_takes = Duration::from_secs(3);
    cluster.close_gate_when = Some("drain");
    for _ in 0..400 {
        cluster.turn();
        if cluster.is_unschedulable("cp-1") && cluster.holds().contains(&"gate_firing".to_owned()) {
            cluster.turns(5_000);
            assert_eq!(cluster.halted(), Some("attempts_exhausted".to_owned()));
            assert!(!cluster.is_unschedulable("cp-1"), "the node was put back");
            return;
        }
    }
    panic!("it never said that a gate is closed: {:?}", cluster.state());
}

#[test]
fn answers_that_are_always_too_late_are_said_and_never_acted_on() {
    let mut cluster = Simulated::new(1, 1, 13, Faults::default());
    cluster.slow_when = Some(("cordon", Duration::from_secs(7)));
    cluster.turns(5_000);
    assert_eq!(cluster.halted(), Some("attempts_exhausted".to_owned()), "{:?}", cluster.holds());
    assert!(!cluster.is_unschedulable("cp-1"));
}
