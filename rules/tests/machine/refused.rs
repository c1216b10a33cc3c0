//! What the API server refuses is shown, and tried again at a pace.

use crate::deletion::{assert_let_go, delete_and_wait};
use crate::simulated::{Faults, Simulated};

#[test]
fn a_refused_eviction_holds_without_a_gap_until_it_is_granted() {
    let mut cluster = Simulated::new(1, 1, 12, Faults::default());
    cluster.evictions_are_refused = true;
    let is_held = |cluster: &Simulated| cluster.holds().contains(&"pdb_blocked".to_owned());
    while !is_held(&cluster) {
        cluster.turn();
    }
    for _ in 0..100 {
        cluster.turn();
        assert!(is_held(&cluster), "{:?}", cluster.holds());
    }
    cluster.evictions_are_refused = false;
    cluster.run_to_the_end();
}

#[test]
fn a_cordon_that_is_always_refused_is_tried_at_a_pace_and_ends_in_a_halt() {
    let mut cluster = Simulated::new(1, 1, 14, Faults::default());
    cluster.cordons_are_refused = true;
    cluster.turns(20_000);
    assert_eq!(cluster.halted(), Some("attempts_exhausted".to_owned()));
    assert!(cluster.cordons_tried() <= 3 * 900 / 5, "{} cordons", cluster.cordons_tried());
}

/// Takes turns for a while in which the API server refuses one kind of command, then lets it through.
fn refuse_for_a_while(cluster: &mut Simulated, name: &'static str) {
    cluster.refused = Some(name);
    while cluster.refused_count == 0 {
        cluster.turn();
    }
    let began = cluster.now();
    for _ in 0..200 {
        cluster.turn();
        assert_eq!(cluster.holds(), ["api_unreachable"], "{name}");
    }
    let seconds = usize::try_from(cluster.now().duration_since(began).as_secs()).unwrap();
    assert!(cluster.refused_count <= 2 + seconds / 5, "{name}: {} in {seconds} s", cluster.refused_count);
    (cluster.refused, cluster.refused_count) = (None, 0);
}

#[test]
fn whatever_the_api_server_refuses_is_shown_and_tried_at_a_pace() {
    let mut cluster = Simulated::new(1, 1, 38, Faults::default());
    for name in ["AddFinalizer", "TakeLock"] {
        refuse_for_a_while(&mut cluster, name);
    }
    while cluster.stage() != Some("drain") {
        cluster.turn();
    }
    cluster.run.deleting = true;
    for name in ["Uncordon", "ReleaseLock", "RemoveFinalizer"] {
        refuse_for_a_while(&mut cluster, name);
    }
    delete_and_wait(&mut cluster);
    assert_let_go(&cluster, "cp-1");
}
