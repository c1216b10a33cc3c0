//! What is looked at right before a node is touched.

use jiff::SignedDuration;
use lockkeeper_rules::cluster::snapshot::Node;
use lockkeeper_rules::driver::kubeadm::reading::{KUBELET_PACKAGE, Packages, SYSTEMD};
use lockkeeper_rules::reason::Reason;

use crate::simulated::{Faults, MakeOdd, Simulated};

/// Runs until this step waits for what stands in its way.
fn until_held(cluster: &mut Simulated, reason: &str, node: &str) {
    for _ in 0..3_000 {
        if cluster.held().iter().any(|(hold, _)| hold.reason.code() == reason && hold.subject == node) {
            return;
        }
        cluster.turn();
    }
    panic!("not held by {reason} of {node}: {:?} {:?}", cluster.holds(), cluster.halted());
}

/// A cluster whose run is past its preflight and prepare.
fn prepared(seed: u64) -> Simulated {
    let mut cluster = Simulated::new(1, 2, seed, Faults::default());
    while !cluster.is_unschedulable("cp-1") {
        cluster.turn();
    }
    cluster
}

#[test]
fn a_node_that_is_not_as_it_must_be_is_not_cordoned_until_it_is() {
    let cases: [(&str, MakeOdd); 7] = [
        ("clock_skew", |said| said.clock_off_seconds = -30),
        ("disk_too_small", |said| said.disk_free_mib = 100),
        ("machine_id_mismatch", |said| said.machine_id = "other".to_owned()),
        ("node_without_apt", |said| said.lacking = vec!["apt-get".to_owned(), KUBELET_PACKAGE.to_owned()]),
        ("kubelet_not_packaged", |said| said.lacking = vec![KUBELET_PACKAGE.to_owned()]),
        ("node_without_systemd", |said| said.lacking = vec![SYSTEMD.to_owned()]),
        ("node_rebooted_recently", |said| said.booted_at += SignedDuration::from_hours(100)),
    ];
    for (seed, (reason, odd)) in (100..).zip(cases) {
        let mut cluster = prepared(seed);
        cluster.wait_for_quiet(3_600);
        cluster.odd = Some(("w-1".to_owned(), odd));
        until_held(&mut cluster, reason, "w-1");
        assert!(!cluster.is_unschedulable("w-1") && cluster.pods_on("w-1") == 3, "{reason}");
        assert!(cluster.state().attempted.is_empty(), "it uses up no attempt: {reason}");
        cluster.odd = None;
        cluster.run_to_the_end();
        cluster.assert_upgraded_once_each();
    }
}

#[test]
fn a_node_that_another_claims_to_be_is_not_cordoned() {
    let claims: [fn(&mut Node); 3] = [
        |node| node.machine_id = "machine-w-1".to_owned(),
        |node| node.internal_ips = vec!["127.0.2.1".to_owned()],
        |node| node.internal_ips.push("127.0.2.1".to_owned()),
    ];
    for (seed, claim) in (120..).zip(claims) {
        let mut cluster = prepared(seed);
        cluster.change_node("w-2", claim);
        until_held(&mut cluster, "machine_id_mismatch", "w-1");
        assert!(!cluster.is_unschedulable("w-1") && cluster.pods_on("w-1") == 3);
        cluster.change_node("w-2", |node| {
            node.machine_id = "machine-w-2".to_owned();
            node.internal_ips = vec!["127.0.2.2".to_owned()];
        });
        cluster.run_to_the_end();
        cluster.assert_upgraded_once_each();
    }
}

#[test]
fn a_node_that_came_after_prepare_and_that_ssh_does_not_reach_is_not_touched() {
    let mut cluster = prepared(110);
    cluster.join("w-0");
    cluster.unreachable = Some("w-0".to_owned());
    until_held(&mut cluster, "ssh_unreachable", "w-0");
    assert!(!cluster.is_unschedulable("w-0") && cluster.pods_on("w-0") == 1);
    cluster.unreachable = None;
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_node_that_came_after_prepare_is_prepared_before_its_step_and_alone() {
    let mut cluster = prepared(113);
    cluster.join("w-0");
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
    assert_eq!(cluster.prepares_of("w-0"), 1);
    for node in ["cp-1", "w-1", "w-2"] {
        assert_eq!(cluster.prepares_of(node), 1, "{node} had its own before");
    }
}

#[test]
fn a_node_whose_own_prepare_was_in_vain_waits_for_people_and_is_not_cordoned() {
    let mut cluster = prepared(114);
    cluster.prepare_is_in_vain = true;
    until_held(&mut cluster, "node_not_prepared", "w-1");
    cluster.turns(3_000);
    assert!(!cluster.is_unschedulable("w-1") && cluster.prepares_of("w-1") == 2);
    cluster.prepare_is_in_vain = false;
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_node_whose_archives_were_cleared_away_is_prepared_again_and_not_drained_before() {
    let mut cluster = prepared(117);
    cluster.cleared = Some("w-1".to_owned());
    while cluster.cleared.is_some() {
        cluster.turn();
        assert!(!cluster.is_unschedulable("w-1"));
    }
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
    assert_eq!((cluster.prepares_of("w-1"), cluster.prepares_of("w-2")), (2, 1));
}

#[test]
fn a_half_done_node_fetches_what_is_cleared_away_itself() {
    let mut cluster = prepared(118);
    cluster.failing_node = Some("w-1".to_owned());
    while cluster.state().attempted.iter().all(|attempted| !attempted.begun) {
        cluster.turn();
    }
    cluster.failing_node = None;
    cluster.cleared = Some("w-1".to_owned());
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn what_apt_would_refuse_keeps_a_node_in_service() {
    let mut cluster = prepared(115);
    cluster.odd = Some(("w-1".to_owned(), |said| {
        said.packages = Some(Packages::Blocked("held: cri-tools".to_owned()));
    }));
    until_held(&mut cluster, "packages_blocked", "w-1");
    assert!(!cluster.is_unschedulable("w-1"));
    cluster.odd = None;
    cluster.run_to_the_end();
}

#[test]
fn a_drained_node_to_which_nothing_was_sent_is_given_back_when_ssh_stays_away() {
    let mut cluster = prepared(111);
    while cluster.is_unschedulable("cp-1") || !cluster.is_unschedulable("w-1") {
        cluster.turn();
    }
    cluster.unreachable = Some("w-1".to_owned());
    for _ in 0..20_000 {
        if !cluster.is_unschedulable("w-1") || cluster.halted().is_some() {
            break;
        }
        cluster.turn();
    }
    assert_eq!((cluster.halted(), cluster.upgrades_of("w-1")), (None, 0));
    assert!(!cluster.is_unschedulable("w-1"));
    cluster.unreachable = None;
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_drained_node_that_has_no_room_for_kubeadms_copy_is_given_back_and_comes_again() {
    let mut cluster = prepared(116);
    cluster.refusing = Some(("w-1".to_owned(), Reason::DiskTooSmall));
    while cluster.refusing.is_some() {
        cluster.turn();
    }
    while cluster.is_unschedulable("w-1") {
        cluster.turn();
        assert_eq!(cluster.halted(), None);
    }
    assert_eq!(cluster.upgrades_of("w-1"), 0);
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_ledger_ahead_of_its_run_halts_it_wherever_it_is_seen() {
    let mut cluster = prepared(112);
    cluster.odd = Some(("w-1".to_owned(), |said| said.ledger_sequence = 1_000));
    cluster.turns(3_000);
    assert_eq!(cluster.halted().as_deref(), Some("state_went_backwards"));
    assert!(!cluster.is_unschedulable("w-1"));
}

#[test]
fn a_ledger_that_has_the_token_at_hand_before_it_was_sent_halts_the_run() {
    let mut cluster = prepared(116);
    cluster.failing_node = Some("w-1".to_owned());
    let mut before = cluster.run.status.clone();
    while cluster.state().step().is_none_or(|step| step.to_string() != "worker/w-1") {
        before = cluster.run.status.clone();
        cluster.turn();
    }
    while !cluster.is_sent("w-1") {
        cluster.turn();
    }
    // Etcd is restored as it was right before: the same number is given out again.
    cluster.give_back_by_hand("w-1");
    cluster.crash_now();
    (cluster.run.status, cluster.failing_node) = (before, None);
    cluster.turns(3_000);
    assert_eq!(cluster.halted().as_deref(), Some("state_went_backwards"));
    assert!(!cluster.is_unschedulable("w-1"));
}
