//! What people change, and what breaks, while several workers are at work: the number, what may fail, what is tried again.

use std::collections::BTreeMap;

use lockkeeper_rules::api::Retry;
use lockkeeper_rules::drain::PodPhase;
use lockkeeper_rules::words::step::Step;

use crate::several::{out, until, with_workers};
use crate::simulated::{Faults, Simulated};

fn starts_of(cluster: &Simulated, node: &str) -> usize {
    cluster.started.iter().filter(|step| **step == format!("worker/{node}")).count()
}

fn workers_at_work(cluster: &Simulated) -> Vec<String> {
    cluster.state().active().filter_map(|it| it.step.node().map(ToString::to_string)).collect()
}

/// These of six workers have failed, one after the other, and the last has halted the run.
fn failed(nodes: &[&str], seed: u64) -> Simulated {
    let mut cluster = with_workers(6, 3, seed);
    cluster.give_up_after(1);
    cluster.run.spec.workers.max_failures = nodes.len().try_into().unwrap();
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    for node in nodes {
        cluster.keep_pods_of(node, true);
    }
    for (before, node) in nodes.iter().enumerate() {
        cluster.failing_node = Some((*node).to_owned());
        cluster.keep_pods_of(node, false);
        until(&mut cluster, "failed", |cluster| {
            cluster.halted().is_some() || cluster.state().failed.len() > before
        });
    }
    until(&mut cluster, "halted", |cluster| cluster.halted().is_some() && cluster.state().running.is_empty());
    cluster.failing_node = None;
    cluster.run.spec.workers.max_failures = 1;
    assert_eq!(out(&cluster), nodes);
    cluster
}

fn retry(node: &str) -> Retry {
    Retry { step: Step::Worker(node.into()).to_string(), attempt: 1 }
}

#[test]
fn a_failed_worker_that_takes_the_only_place_halts_the_run_and_costs_no_other_an_attempt() {
    for failing in ["w-1", "w-2"] {
        let mut cluster = with_workers(4, 1, 21);
        cluster.give_up_after(1);
        cluster.run.spec.workers.max_failures = 2;
        cluster.failing_node = Some(failing.to_owned());
        until(&mut cluster, "halted", |cluster| cluster.halted().is_some());
        assert_eq!(cluster.started.last(), Some(&format!("worker/{failing}")));
        assert_eq!(out(&cluster), [failing]);
    }
}

#[test]
fn no_worker_begins_while_more_have_failed_than_may_though_one_of_them_is_tried_again() {
    let mut cluster = failed(&["w-2", "w-3"], 22);
    cluster.run.spec.retry = vec![retry("w-3")];
    let begun = |cluster: &Simulated| ["w-4", "w-5", "w-6"].map(|node| starts_of(cluster, node));
    let before = begun(&cluster);
    for _ in 0..4_000 {
        cluster.turn();
    }
    assert!(cluster.halted().is_some());
    assert_eq!(begun(&cluster), before);
    cluster.run.spec.retry.push(retry("w-2"));
    until(&mut cluster, "over", Simulated::is_over);
    cluster.assert_upgraded_once_each();
}

#[test]
fn two_that_have_failed_and_are_not_ready_do_not_keep_each_other_waiting() {
    let mut cluster = failed(&["w-2", "w-3"], 23);
    cluster.set_ready("w-2", false);
    cluster.set_ready("w-3", false);
    cluster.run.spec.retry = vec![retry("w-2"), retry("w-3")];
    until(&mut cluster, "both again", |cluster| {
        ["w-2", "w-3"].iter().all(|node| starts_of(cluster, node) == 2)
    });
    cluster.set_ready("w-2", true);
    cluster.set_ready("w-3", true);
    until(&mut cluster, "over", Simulated::is_over);
    cluster.assert_upgraded_once_each();
}

#[test]
fn what_is_out_already_is_tried_again_though_the_number_was_lowered() {
    let mut cluster = failed(&["w-2", "w-3", "w-4"], 24);
    cluster.run.spec.workers.concurrency = 2;
    cluster.run.spec.retry = vec![retry("w-2"), retry("w-3"), retry("w-4")];
    until(&mut cluster, "over", Simulated::is_over);
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_failed_worker_that_people_leave_out_is_given_back_and_the_run_goes_on() {
    let mut cluster = with_workers(5, 2, 25);
    cluster.give_up_after(1);
    cluster.run.spec.workers.max_failures = 2;
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    cluster.failing_node = Some("w-2".to_owned());
    until(&mut cluster, "failed", |cluster| !cluster.state().failed.is_empty());
    cluster.run.spec.skip = vec!["w-2".to_owned()];
    until(&mut cluster, "over", |cluster| {
        assert_eq!(cluster.halted(), None);
        cluster.is_over()
    });
    assert_eq!(out(&cluster), Vec::<&str>::new());
    assert_eq!(cluster.version_of("w-5"), "v1.36.3");
}

#[test]
fn lowering_the_number_beside_a_failed_worker_costs_the_others_no_attempt() {
    let mut cluster = with_workers(5, 3, 26);
    cluster.give_up_after(1);
    cluster.run.spec.workers.max_failures = 3;
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    cluster.failing_node = Some("w-2".to_owned());
    cluster.keep_pods_of("w-3", true);
    cluster.keep_pods_of("w-4", true);
    until(&mut cluster, "failed", |cluster| {
        !cluster.state().failed.is_empty() && out(cluster) == ["w-2", "w-3", "w-4"]
    });
    cluster.run.spec.workers.concurrency = 2;
    // One more that is still to be evicted.
    cluster.bind_pod("w-3");
    cluster.bind_pod("w-4");
    cluster.keep_pods_of("w-3", false);
    cluster.keep_pods_of("w-4", false);
    until(&mut cluster, "two more", |cluster| cluster.state().workers_done == 3);
    assert_eq!((starts_of(&cluster, "w-3"), starts_of(&cluster, "w-4")), (1, 1));
}

#[test]
fn a_step_that_has_its_permit_and_no_cordon_yet_waits_again_when_the_number_is_lowered() {
    let mut cluster = with_workers(4, 3, 27);
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    cluster.keep_pods_of("w-2", true);
    until(&mut cluster, "second out", |cluster| out(cluster) == ["w-2"]);
    cluster.cordons_are_refused = true;
    until(&mut cluster, "third begun", |cluster| workers_at_work(cluster) == ["w-2", "w-3"]);
    cluster.run.spec.workers.concurrency = 1;
    cluster.cordons_are_refused = false;
    until(&mut cluster, "third back", |cluster| workers_at_work(cluster) == ["w-2"]);
    assert_eq!(out(&cluster), ["w-2"]);
    cluster.keep_pods_of("w-2", false);
    until(&mut cluster, "over", |cluster| {
        assert!(out(cluster).len() <= 1, "{:?}", out(cluster));
        cluster.is_over()
    });
    cluster.assert_upgraded_once_each();
    let history = cluster.run.status.unwrap().history;
    assert!(history.iter().all(|line| !line.event.starts_with("attempt ")), "{history:?}");
}

#[test]
fn a_node_of_the_alert_path_stays_alone_though_the_number_is_raised_in_the_middle_of_its_step() {
    let mut cluster = with_workers(4, 1, 28);
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    let of_second =
        |pod: &&mut lockkeeper_rules::drain::Pod| pod.node.as_ref().is_some_and(|node| node.0 == "w-2");
    let pod = cluster.pods_mut().find(of_second).unwrap();
    pod.labels = BTreeMap::from([("app.kubernetes.io/name".to_owned(), "prometheus".to_owned())]);
    until(&mut cluster, "second out", |cluster| out(cluster) == ["w-2"]);
    cluster.run.spec.workers.concurrency = 3;
    until(&mut cluster, "second done", |cluster| {
        let at_work = workers_at_work(cluster);
        assert!(at_work.len() <= 1, "{at_work:?}");
        cluster.state().workers_done == 2
    });
    cluster.run_to_the_end();
}

#[test]
fn after_the_step_that_people_stop_at_has_begun_no_other_worker_does() {
    let mut cluster = with_workers(6, 3, 29);
    cluster.run.spec.stop_after = Some("worker/w-2".to_owned());
    until(&mut cluster, "second done", |cluster| cluster.state().workers_done == 2);
    cluster.turns(2_000);
    assert_eq!(cluster.started.iter().filter(|step| step.starts_with("worker/")).count(), 2);
    assert_eq!(cluster.version_of("w-2"), "v1.36.3");
    cluster.run.spec.stop_after = None;
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_pod_that_has_a_node_and_has_not_come_up_yet_keeps_nobody_waiting() {
    let mut cluster = with_workers(3, 3, 30);
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    cluster.keep_pods_of("w-2", true);
    until(&mut cluster, "second out", |cluster| out(cluster) == ["w-2"]);
    cluster.leave_a_pod_pending();
    let pending = cluster.pods_mut().find(|pod| pod.phase == PodPhase::Pending).unwrap();
    pending.node = Some("w-1".into());
    until(&mut cluster, "third out", |cluster| out(cluster) == ["w-2", "w-3"]);
}

#[test]
fn no_other_control_plane_node_begins_while_one_waits_for_its_next_attempt() {
    let mut cluster = Simulated::new(3, 2, 31, Faults::default());
    cluster.run.spec.workers.concurrency = 3;
    let of_control_plane = |cluster: &Simulated| -> Vec<String> {
        let steps = cluster.started.iter().filter(|step| step.starts_with("control-plane/"));
        steps.cloned().collect()
    };
    until(&mut cluster, "first begun", |cluster| !of_control_plane(cluster).is_empty());
    let first = of_control_plane(&cluster).remove(0);
    cluster.failing_node = first.strip_prefix("control-plane/").map(str::to_owned);
    until(&mut cluster, "another begun", |cluster| of_control_plane(cluster).len() == 2);
    assert_eq!(of_control_plane(&cluster), [first.clone(), first]);
}
