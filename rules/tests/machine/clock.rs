//! Clocks that are set while a run waits, works or soaks.

use std::time::Duration;

use jiff::SignedDuration;

use crate::simulated::{Faults, Simulated};

/// Runs until a worker's step waits for the soak of the control plane, ten minutes long.
fn soaking(seed: u64) -> Simulated {
    let mut cluster = Simulated::new(1, 1, seed, Faults::default());
    cluster.soak_for(600);
    while cluster.state().nodes_done == 0 || cluster.state().token().is_none() {
        cluster.turn();
    }
    cluster
}

const YEARS: SignedDuration = SignedDuration::from_hours(3 * 365 * 24);

#[test]
fn a_clock_set_back_cuts_a_wait_to_the_longest_there_is_and_says_so() {
    for (crashes, back) in [(false, YEARS), (true, YEARS), (true, SignedDuration::from_hours(2))] {
        let mut cluster = soaking(31);
        let was = cluster.state().soak_until.unwrap();
        if crashes {
            cluster.crash_now();
        }
        cluster.set_clocks(-back);
        let set_at = cluster.now();
        cluster.turns(2);
        assert!(cluster.holds().contains(&"clock_set_back".to_owned()), "{:?}", cluster.holds());
        let said = format!("the clock was set back: status.soakUntil was {was}");
        let history = cluster.state().history;
        assert!(history.last().is_some_and(|line| line.event == said), "{history:?}");
        assert_eq!(history.iter().filter(|line| line.event.contains("set back")).count(), 1);
        cluster.run_to_the_end();
        let waited = cluster.now().duration_since(set_at);
        assert!(waited < SignedDuration::from_mins(25), "{waited:#}");
        assert!(waited > SignedDuration::from_mins(10), "the soak was not left out: {waited:#}");
    }
}

#[test]
fn clocks_that_agree_as_well_as_they_must_are_not_called_set_back() {
    let mut cluster = soaking(36);
    let token = cluster.state().token().cloned();
    cluster.set_clocks(SignedDuration::from_secs(-4));
    cluster.turns(5);
    assert_eq!(cluster.state().token().cloned(), token, "the token is still good");
    assert!(!cluster.holds().contains(&"clock_set_back".to_owned()), "{:?}", cluster.holds());
}

#[test]
fn a_clock_set_back_in_any_stage_stops_no_run() {
    for stage in ["cordon", "drain", "mutate", "verify", "uncordon"] {
        for crashes in [false, true] {
            let mut cluster = Simulated::new(1, 1, 32, Faults::default());
            while cluster.stage() != Some(stage) {
                cluster.turn();
            }
            cluster.turn();
            if crashes {
                cluster.crash_now();
            }
            cluster.set_clocks(-YEARS);
            let set_at = cluster.now();
            cluster.run_to_the_end();
            cluster.assert_upgraded_once_each();
            assert!(cluster.now().duration_since(set_at) < SignedDuration::from_mins(10), "{stage}");
        }
    }
}

#[test]
fn a_deadline_still_comes_after_the_clock_was_set_back() {
    let mut cluster = Simulated::new(1, 1, 33, Faults::default());
    cluster.close_gate_when = Some("mutate");
    while !cluster.gate_is_shut {
        cluster.turn();
    }
    cluster.turns(20);
    cluster.set_clocks(-YEARS);
    let set_at = cluster.now();
    while cluster.is_unschedulable("cp-1") {
        cluster.turn();
        assert!(
            cluster.now().duration_since(set_at) < SignedDuration::from_mins(20),
            "{:?}",
            cluster.state()
        );
    }
}

#[test]
fn a_preflight_from_the_future_is_done_again() {
    let mut cluster = Simulated::new(1, 1, 34, Faults::default());
    while cluster.started.last().is_none_or(|step| step != "prepare") {
        cluster.turn();
    }
    cluster.set_clocks(-YEARS);
    cluster.run_to_the_end();
    let again = cluster.started.iter().filter(|step| ["preflight", "snapshot"].contains(&step.as_str()));
    assert_eq!(again.count(), 4, "{:?}", cluster.started);
}

#[test]
fn a_clock_set_forward_does_not_shorten_the_soak() {
    let mut cluster = soaking(35);
    let mut waited = Duration::ZERO;
    cluster.set_clocks(YEARS);
    while !cluster.started.iter().any(|step| step == "worker/w-1") {
        let before = cluster.now();
        cluster.turn();
        waited += Duration::try_from(cluster.now().duration_since(before)).unwrap();
    }
    assert!(waited > Duration::from_secs(590) && waited < Duration::from_secs(700), "{waited:?}");
    cluster.run_to_the_end();
}
