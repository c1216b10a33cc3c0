//! Workers by topology domain: all that are out of service at a time share it, and what has failed keeps no run waiting
//! for ever.

use std::collections::BTreeSet;

use crate::simulated::{Faults, Simulated};

const KEY: &str = "topology.kubernetes.io/zone";

/// A cluster with such workers, of which so many may be out of service at a time.
fn with_zones(zones: &[Option<&str>], concurrency: u32, seed: u64, faults: Faults) -> Simulated {
    let mut cluster = Simulated::new(1, zones.len(), seed, faults);
    cluster.run.spec.workers.concurrency = concurrency;
    cluster.run.spec.workers.topology_key = Some(KEY.to_owned());
    for (number, zone) in (1..).zip(zones) {
        let label = zone.map(|zone| (KEY.to_owned(), zone.to_owned()));
        cluster.change_node(&format!("w-{number}"), |node| node.labels.extend(label));
    }
    cluster
}

/// Where the nodes are that are out of service. What does not say is where no other is.
fn zones_out(cluster: &Simulated) -> BTreeSet<String> {
    let of = |name: &&str| cluster.label_of(name, KEY).unwrap_or_else(|| format!("of {name} alone"));
    cluster.out_of_service().iter().map(of).collect()
}

/// Takes turns to the end, with never more than one zone out of service. Returns how many nodes were out at most.
fn zone_by_zone(cluster: &mut Simulated) -> usize {
    let mut most = 0;
    for _ in 0..40_000 {
        assert!(zones_out(cluster).len() <= 1, "{:?}", cluster.out_of_service());
        most = most.max(cluster.out_of_service().len());
        if cluster.is_over() {
            return most;
        }
        if cluster.halted().is_some() && cluster.state().running.is_empty() {
            cluster.retry_what_halted();
        }
        cluster.turn();
    }
    panic!("no end: {:?} {:?}", cluster.state().position, cluster.held());
}

fn until(cluster: &mut Simulated, is_so: impl Fn(&Simulated) -> bool) {
    for _ in 0..20_000 {
        if is_so(cluster) {
            return;
        }
        cluster.turn();
    }
    panic!("never: {:?} {:?}", cluster.state().position, cluster.held());
}

fn try_again(cluster: &mut Simulated) {
    cluster.retry_what_halted();
    until(cluster, |cluster| cluster.halted().is_none());
}

fn workers_begun(cluster: &Simulated) -> Vec<&str> {
    cluster.started.iter().filter_map(|step| step.strip_prefix("worker/")).collect()
}

#[test]
fn one_zone_follows_the_other_and_its_workers_go_side_by_side() {
    let zones = [Some("b"), Some("a"), Some("b"), Some("a"), Some("b"), Some("a")];
    let mut cluster = with_zones(&zones, 3, 5, Faults::default());
    assert_eq!(zone_by_zone(&mut cluster), 3);
    assert_eq!(workers_begun(&cluster), ["w-2", "w-4", "w-6", "w-1", "w-3", "w-5"]);
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_worker_without_the_label_goes_alone() {
    for none in [None, Some("")] {
        let zones = [Some("a"), none, Some("a"), Some("a"), none];
        let mut cluster = with_zones(&zones, 4, 6, Faults::default());
        until(&mut cluster, |cluster| {
            let out = cluster.out_of_service();
            let is_alone = |name: &str| !out.contains(&name) || out.len() == 1;
            assert!(is_alone("w-2") && is_alone("w-5"), "{out:?}");
            cluster.is_over()
        });
        assert_eq!(workers_begun(&cluster)[3..], ["w-2", "w-5"], "those come last");
        cluster.assert_upgraded_once_each();
    }
}

#[test]
fn where_no_worker_has_the_label_one_goes_at_a_time_and_the_run_ends() {
    let mut cluster = with_zones(&[None; 4], 4, 7, Faults::default());
    assert_eq!(zone_by_zone(&mut cluster), 1);
    cluster.assert_upgraded_once_each();
}

#[test]
fn the_other_zone_waits_and_is_told_why() {
    let mut cluster = with_zones(&[Some("a"), Some("a"), Some("b")], 3, 8, Faults::default());
    until(&mut cluster, |cluster| cluster.state().workers_done == 1);
    cluster.evictions_are_refused = true;
    until(&mut cluster, |cluster| cluster.holds().contains(&"other_topology_domain".to_owned()));
    assert_eq!(cluster.out_of_service(), ["w-2"]);
    let held = cluster.held();
    let told = held.iter().find(|(it, _)| it.reason.code() == "other_topology_domain").unwrap();
    assert_eq!(told.0.to_string(), format!("other_topology_domain w-2: w-3 has {KEY}=b"));
    cluster.evictions_are_refused = false;
    zone_by_zone(&mut cluster);
}

#[test]
fn a_worker_that_has_failed_keeps_the_other_zone_waiting_until_a_person_has_looked() {
    let mut cluster = with_zones(&[Some("a"), Some("a"), Some("a"), Some("b")], 3, 9, Faults::default());
    cluster.run.spec.workers.max_failures = 2;
    cluster.give_up_after(1);
    cluster.failing_node = Some("w-2".to_owned());
    until(&mut cluster, |cluster| cluster.halted().is_some());
    assert_eq!(cluster.out_of_service(), ["w-2"]);
    assert_eq!(["w-3", "w-4"].map(|name| cluster.version_of(name)), ["v1.36.3", "v1.36.1"]);
    cluster.failing_node = None;
    zone_by_zone(&mut cluster);
    cluster.assert_upgraded_once_each();
}

#[test]
fn workers_that_have_failed_and_leave_no_room_for_others_halt_the_run() {
    // The first worker goes alone, and with one place there is no other.
    for concurrency in [3, 1] {
        let mut cluster = Simulated::new(1, 3, 10, Faults::default());
        cluster.run.spec.workers.concurrency = concurrency;
        cluster.run.spec.workers.max_failures = 3;
        cluster.give_up_after(1);
        cluster.failing_node = Some("w-1".to_owned());
        until(&mut cluster, |cluster| cluster.halted().is_some());
        assert_eq!(workers_begun(&cluster), ["w-1"], "{concurrency}");
        cluster.failing_node = None;
        try_again(&mut cluster);
        cluster.run_to_the_end();
        cluster.assert_upgraded_once_each();
    }
}

#[test]
fn workers_that_have_failed_in_two_zones_are_tried_again_although_the_key_came_later() {
    let mut cluster = with_zones(&[Some("a"), Some("a"), Some("b"), Some("b")], 3, 11, Faults::default());
    cluster.run.spec.workers.topology_key = None;
    cluster.run.spec.workers.max_failures = 2;
    cluster.give_up_after(1);
    cluster.failing_node = Some("w-2".to_owned());
    cluster.keep_pods_of("w-4", true);
    until(&mut cluster, |cluster| !cluster.state().failed.is_empty());
    cluster.failing_node = Some("w-4".to_owned());
    cluster.keep_pods_of("w-4", false);
    until(&mut cluster, |cluster| cluster.halted().is_some() && cluster.state().running.is_empty());
    assert_eq!(cluster.out_of_service(), ["w-2", "w-4"]);
    cluster.run.spec.workers.topology_key = Some(KEY.to_owned());
    cluster.failing_node = None;
    try_again(&mut cluster);
    until(&mut cluster, |cluster| cluster.halted().is_some());
    try_again(&mut cluster);
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn with_random_faults_never_two_zones_are_out_and_every_run_ends() {
    for seed in 1..12 {
        let faults = Faults {
            crash_percent: 3,
            conflict_percent: 5,
            lost_answer_percent: 3,
            gate_closed_percent: 10,
            ..Faults::default()
        };
        let zones = [Some("a"), Some("b"), None, Some("a"), Some("b"), Some("a")];
        zone_by_zone(&mut with_zones(&zones, 3, seed, faults));
    }
}
