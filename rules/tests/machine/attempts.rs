//! How often a step is tried, and that nothing gives it more attempts.

use lockkeeper_rules::api::Retry;
use lockkeeper_rules::run::Position;
use lockkeeper_rules::words::name::Token;

use crate::simulated::{Faults, Simulated};

#[test]
fn a_wish_to_retry_is_fulfilled_once() {
    let mut cluster = Simulated::new(1, 1, 9, Faults { unit_fails_percent: 100, ..Faults::default() });
    cluster.turns(5_000);
    assert_eq!(cluster.halted(), Some("attempts_exhausted".to_owned()));
    cluster.faults.unit_fails_percent = 0;
    cluster.retry_what_halted();
    cluster.turn();
    cluster.run_to_the_end();
}

/// Fails the upgrade of w-1, and takes each token of another attempt back by `pause` before it can be used.
fn reopened_until_it_halts(take_back: impl Fn(&mut Simulated, bool)) -> Simulated {
    let mut cluster = Simulated::new(1, 1, 17, Faults::default());
    cluster.failing_node = Some("w-1".to_owned());
    for _ in 0..20_000 {
        let is_again = |token: &Token| token.attempt > 1;
        let before = cluster.state();
        if matches!(before.position, Position::Waiting(_)) && before.token().is_some_and(is_again) {
            take_back(&mut cluster, true);
            while cluster.state().token() == before.token() {
                cluster.turn();
            }
            cluster.turns(10);
            take_back(&mut cluster, false);
            while cluster.state().token().is_none() {
                cluster.turn();
            }
            // What was minted anew is left alone until it has been tried.
            let again = cluster.state();
            while cluster.state().token() == again.token() {
                cluster.turn();
            }
        }
        if cluster.halted().is_some() {
            return cluster;
        }
        cluster.turn();
    }
    panic!("it never halted: {:?}", cluster.state());
}

#[test]
fn a_step_that_is_reopened_has_no_more_attempts_than_it_may_have() {
    let paused = reopened_until_it_halts(|cluster, back| cluster.run.spec.paused = back);
    let skipped = reopened_until_it_halts(|cluster, back| {
        cluster.run.spec.skip = if back { vec!["w-1".to_owned()] } else { Vec::new() };
        // Without w-1 only postflight is left, which shall not run meanwhile.
        cluster.run.spec.stop_after = back.then(|| "prepare".to_owned());
    });
    let stopped = reopened_until_it_halts(|cluster, back| {
        cluster.run.spec.stop_after = back.then(|| "control-plane/cp-1".to_owned());
    });
    for cluster in [paused, skipped, stopped] {
        assert_eq!(cluster.halted(), Some("attempts_exhausted".to_owned()));
        let tries = cluster.started.iter().filter(|step| *step == "worker/w-1").count();
        assert_eq!(tries, 3, "{:?}", cluster.started);
    }
}

#[test]
fn a_pause_between_two_attempts_is_not_cut_short_by_taking_the_token_back() {
    let mut cluster = Simulated::new(1, 1, 18, Faults::default());
    cluster.failing_node = Some("w-1".to_owned());
    let not_before = |cluster: &Simulated| match cluster.state().position {
        Position::Waiting(it) if it.token.attempt == 2 => Some(it.not_before),
        _ => None,
    };
    while not_before(&cluster).is_none() {
        cluster.turn();
    }
    let before = not_before(&cluster);
    cluster.run.spec.paused = true;
    cluster.turns(3);
    assert_eq!(not_before(&cluster), None);
    cluster.run.spec.paused = false;
    cluster.turns(3);
    assert_eq!(not_before(&cluster), before);
}

#[test]
fn a_retry_that_was_wished_for_gives_the_step_its_attempts_anew() {
    let mut cluster = Simulated::new(1, 1, 19, Faults::default());
    cluster.failing_node = Some("w-1".to_owned());
    cluster.turns(20_000);
    cluster.retry_what_halted();
    cluster.turn();
    cluster.turns(20_000);
    assert_eq!(cluster.halted(), Some("attempts_exhausted".to_owned()));
    assert_eq!(cluster.started.iter().filter(|step| *step == "worker/w-1").count(), 6);
    assert_eq!(cluster.state().attempted.len(), 1, "one step was tried without success");
    cluster.failing_node = None;
    cluster.retry_what_halted();
    cluster.turn();
    cluster.run_to_the_end();
    assert!(cluster.state().attempted.is_empty(), "what has succeeded is not counted any more");
}

#[test]
fn a_wish_for_an_attempt_that_was_not_made_gives_none() {
    let mut cluster = Simulated::new(1, 1, 20, Faults::default());
    cluster.failing_node = Some("w-1".to_owned());
    cluster.run.spec.retry = vec![Retry { step: "worker/w-1".to_owned(), attempt: u32::MAX }];
    cluster.turns(20_000);
    assert_eq!(cluster.halted(), Some("attempts_exhausted".to_owned()));
    assert_eq!(cluster.started.iter().filter(|step| *step == "worker/w-1").count(), 3);
}
