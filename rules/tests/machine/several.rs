//! Several workers at a time: how many are out of service, which go alone, and what becomes of the others when one fails.

use std::collections::BTreeMap;

use lockkeeper_rules::drain::Budget;
use lockkeeper_rules::run::Position;
use lockkeeper_rules::words::labels::{Requirement, Selector};

use crate::drain::budget;
use crate::simulated::{Faults, Simulated};

/// A cluster whose run may take so many workers at a time, at the start of its second worker's step.
pub(crate) fn with_workers(workers: usize, concurrency: u32, seed: u64) -> Simulated {
    let mut cluster = Simulated::new(1, workers, seed, Faults::default());
    cluster.run.spec.workers.concurrency = concurrency;
    cluster
}

pub(crate) fn out(cluster: &Simulated) -> Vec<&str> {
    cluster.out_of_service()
}

pub(crate) fn until(cluster: &mut Simulated, what: &str, is_so: impl Fn(&Simulated) -> bool) {
    for _ in 0..20_000 {
        if is_so(cluster) {
            return;
        }
        cluster.turn();
    }
    panic!("never {what}: {:?} {:?} {:?}", cluster.state().position, cluster.state().running, cluster.held());
}

/// Until so many workers are changed at a time.
fn until_changed_at_once(cluster: &mut Simulated, count: usize) {
    until(cluster, "changed at once", |cluster| {
        let state = cluster.state();
        let sent = state.active().filter(|it| it.step.node().is_some() && it.sent().is_some());
        sent.count() == count
    });
}

#[test]
fn never_more_are_out_of_service_than_may_be_and_the_first_goes_alone() {
    for (concurrency, most) in [(1, 1), (2, 2), (3, 3), (9, 6)] {
        let mut cluster = with_workers(6, concurrency, 5);
        until(&mut cluster, "over", |cluster| {
            let out = out(cluster);
            let done = cluster.state().workers_done;
            assert!(out.len() <= most, "{out:?}");
            assert!(done > 0 || out.len() <= 1, "the first worker goes alone: {out:?}");
            cluster.is_over()
        });
        cluster.assert_upgraded_once_each();
        assert_eq!(cluster.started.len(), 3 + 1 + 6 + 1, "no step is begun twice: {:?}", cluster.started);
    }
}

#[test]
fn as_many_as_may_be_are_changed_at_a_time() {
    let mut cluster = with_workers(6, 3, 6);
    until_changed_at_once(&mut cluster, 3);
    assert_eq!(out(&cluster).len(), 3);
    // A person lowers it: what was admitted is finished, and nothing new begins until there is room again.
    cluster.run.spec.workers.concurrency = 1;
    let begun = cluster.started.len();
    until(&mut cluster, "fewer", |cluster| cluster.state().running.len() == 1);
    assert_eq!(cluster.started.len(), begun);
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn no_worker_begins_beside_a_control_plane_node() {
    let mut cluster = Simulated::new(3, 3, 7, Faults::default());
    cluster.run.spec.workers.concurrency = 3;
    until(&mut cluster, "over", |cluster| {
        let state = cluster.state();
        let at_work: Vec<String> = state.active().map(|it| it.step.to_string()).collect();
        let is_mixed = at_work.iter().any(|step| !step.starts_with("worker/")) && at_work.len() > 1;
        assert!(!is_mixed, "{at_work:?}");
        cluster.is_over()
    });
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_node_with_a_part_of_the_alert_path_or_an_actuator_goes_alone() {
    for name in ["prometheus", "alertmanager", "lockkeeper-actuator"] {
        let mut cluster = with_workers(4, 4, 8);
        let label = ("app.kubernetes.io/name".to_owned(), name.to_owned());
        let pod =
            cluster.pods_mut().find(|pod| pod.node.as_ref().is_some_and(|node| node.0 == "w-3")).unwrap();
        pod.labels = BTreeMap::from([label]);
        until(&mut cluster, "over", |cluster| {
            let state = cluster.state();
            let at_work: Vec<&str> =
                state.active().filter_map(|it| it.step.node()).map(|it| it.0.as_str()).collect();
            assert!(!at_work.contains(&"w-3") || at_work.len() == 1, "{name}: {at_work:?}");
            cluster.is_over()
        });
        cluster.assert_upgraded_once_each();
    }
}

#[test]
fn the_first_worker_soaks_for_the_run_and_a_later_one_keeps_its_place() {
    let mut cluster = with_workers(5, 2, 9);
    cluster.soak_for(600);
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    let since = cluster.now();
    until(&mut cluster, "second begun", |cluster| cluster.state().active().count() == 1);
    assert!(cluster.now().duration_since(since).as_secs() >= 600);
    until(&mut cluster, "two done", |cluster| cluster.state().workers_done == 2);
    let since = cluster.now();
    let begun =
        |cluster: &Simulated| cluster.started.iter().filter(|step| step.starts_with("worker/")).count();
    // Two of the five have begun beside it or before; the one after them has the place that is free only after a soak.
    until(&mut cluster, "the fourth", |cluster| begun(cluster) == 4);
    assert!(cluster.now().duration_since(since).as_secs() >= 500, "{}", cluster.now().duration_since(since));
    cluster.run_to_the_end();
}

fn budget_over(cluster: &mut Simulated, names: &[&str]) {
    let label = ("app".to_owned(), "web".to_owned());
    for name in names {
        let pod =
            cluster.pods_mut().find(|pod| pod.node.as_ref().is_some_and(|node| node.0 == *name)).unwrap();
        pod.labels.extend([label.clone()]);
    }
    let selector = Selector::Every(vec![Requirement::Exists("app".to_owned())]);
    cluster.budgets = vec![Budget { selector, ..budget(1, 3) }];
}

#[test]
fn a_node_waits_while_a_budget_covers_pods_on_it_and_on_one_in_hand() {
    let mut cluster = with_workers(3, 3, 10);
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    budget_over(&mut cluster, &["w-2", "w-3"]);
    cluster.evictions_are_refused = true;
    until(&mut cluster, "second drains", |cluster| cluster.stage() == Some("drain"));
    until(&mut cluster, "told", |cluster| cluster.holds().contains(&"budget_shared".to_owned()));
    assert_eq!(out(&cluster), ["w-2"]);
    cluster.evictions_are_refused = false;
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn nothing_begins_while_a_pod_that_had_to_leave_has_no_node() {
    let mut cluster = with_workers(3, 3, 11);
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    until(&mut cluster, "second out", |cluster| out(cluster) == ["w-2"] && cluster.stage() == Some("drain"));
    cluster.leave_a_pod_pending();
    until(&mut cluster, "told", |cluster| cluster.holds().contains(&"evicted_pod_pending".to_owned()));
    assert_eq!(out(&cluster), ["w-2"]);
    cluster.schedule_what_is_pending("w-1");
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn of_two_drains_that_wait_for_each_other_the_younger_makes_room_and_uses_no_attempt() {
    let mut cluster = with_workers(3, 2, 12);
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    cluster.evictions_are_refused = true;
    until(&mut cluster, "both drain", |cluster| out(cluster) == ["w-2", "w-3"]);
    until(&mut cluster, "one is back", |cluster| cluster.state().running.len() == 1);
    assert_eq!(out(&cluster), ["w-2"]);
    let event = "not begun: drains_block_each_other";
    let status = cluster.run.status.clone().unwrap();
    assert!(
        status.history.iter().any(|it| it.step == "worker/w-3" && it.event.starts_with(event)),
        "{:?}",
        status.history
    );
    cluster.evictions_are_refused = false;
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
    let attempts = cluster.started.iter().filter(|step| *step == "worker/w-3").count();
    assert!(attempts >= 2, "{:?}", cluster.started);
    let all = cluster.run.status.unwrap().history;
    assert!(all.iter().all(|it| !it.event.starts_with("attempt ")), "{all:?}");
}

#[test]
fn one_failure_halts_the_run_what_has_not_begun_returns_and_the_others_finish() {
    let mut cluster = with_workers(6, 3, 13);
    cluster.give_up_after(1);
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    cluster.failing_node = Some("w-3".to_owned());
    until_changed_at_once(&mut cluster, 3);
    until(&mut cluster, "halted", |cluster| cluster.halted().is_some());
    let begun = cluster.started.len();
    let running: Vec<String> = cluster.state().active().map(|it| it.step.to_string()).collect();
    assert!(!running.is_empty(), "others are still at work");
    for _ in 0..4_000 {
        cluster.turn();
    }
    assert_eq!((cluster.started.len(), cluster.state().running.len()), (begun, 0));
    assert_eq!(out(&cluster), ["w-3"], "what failed stays out of service, what was begun is finished");
    for step in running {
        assert!(cluster.version_of(step.trim_start_matches("worker/")) == "v1.36.3", "{step}");
    }
}

#[test]
fn what_has_not_begun_returns_when_the_run_halts_and_no_attempt_is_used() {
    let mut cluster = with_workers(4, 3, 14);
    cluster.give_up_after(1);
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    cluster.failing_node = Some("w-2".to_owned());
    // The pods of the second cannot leave, while the change of the first fails.
    cluster.refused_pod = Some("w-3-0".to_owned());
    until(&mut cluster, "halted", |cluster| cluster.halted().is_some());
    for _ in 0..4_000 {
        cluster.turn();
    }
    assert_eq!(out(&cluster), ["w-2"]);
    let status = cluster.run.status.as_ref().unwrap();
    let attempted = status.attempted.iter().find(|it| it.step == "worker/w-3");
    assert!(attempted.is_none_or(|it| it.attempt == 0), "{attempted:?}");
}

#[test]
fn with_more_failures_allowed_the_run_goes_on_and_halts_at_its_end() {
    let mut cluster = with_workers(5, 2, 15);
    cluster.give_up_after(1);
    cluster.run.spec.workers.max_failures = 2;
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    cluster.failing_node = Some("w-2".to_owned());
    until(&mut cluster, "failed", |cluster| !cluster.state().failed.is_empty());
    assert_eq!(cluster.halted(), None);
    until(&mut cluster, "halted", |cluster| cluster.halted().is_some());
    assert_eq!(out(&cluster), ["w-2"]);
    for node in ["w-1", "w-3", "w-4", "w-5"] {
        assert_eq!(cluster.version_of(node), "v1.36.3", "{node}");
    }
    assert_eq!(cluster.state().running, []);
    // A person has mended it.
    cluster.failing_node = None;
    cluster.retry_what_halted();
    until(&mut cluster, "over", Simulated::is_over);
    cluster.assert_upgraded_once_each();
}

#[test]
fn with_random_faults_every_run_ends_with_every_node_upgraded_and_never_too_many_out() {
    for seed in 1..20 {
        let faults = Faults {
            crash_percent: 3,
            conflict_percent: 5,
            lost_answer_percent: 3,
            gate_closed_percent: 10,
            ..Faults::default()
        };
        let mut cluster = Simulated::new(1, 5, seed, faults);
        cluster.run.spec.workers.concurrency = 3;
        for _ in 0..40_000 {
            if cluster.is_over() {
                break;
            }
            if cluster.halted().is_some() && cluster.state().running.is_empty() {
                cluster.retry_what_halted();
            }
            cluster.turn();
            assert!(out(&cluster).len() <= 3, "seed {seed}: {:?}", out(&cluster));
        }
        assert!(
            matches!(cluster.state().position, Position::Succeeded { .. }),
            "seed {seed}: {:?} {:?}",
            cluster.state().position,
            cluster.held()
        );
        assert_eq!(out(&cluster), Vec::<&str>::new(), "seed {seed}");
    }
}

#[test]
fn lowering_the_number_leaves_the_drains_that_were_admitted_alone() {
    let mut cluster = with_workers(4, 3, 16);
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    cluster.keep_pods_of("w-2", true);
    cluster.keep_pods_of("w-3", true);
    until(&mut cluster, "two drain", |cluster| out(cluster) == ["w-2", "w-3"]);
    cluster.run.spec.workers.concurrency = 1;
    cluster.keep_pods_of("w-2", false);
    cluster.keep_pods_of("w-3", false);
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_node_that_people_leave_out_while_its_change_is_under_way_is_finished_and_not_given_back_half_done() {
    // There is room for more, so that the run looks for what comes next while the node is changed.
    let mut cluster = with_workers(9, 9, 17);
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    until_changed_at_once(&mut cluster, 1);
    let changed =
        cluster.state().active().find(|it| it.sent().is_some()).and_then(|it| it.step.node().cloned());
    assert_eq!(changed, Some("w-2".into()));
    cluster.run.spec.skip = vec!["w-2".to_owned()];
    until(&mut cluster, "back", |cluster| {
        let is_back = !out(cluster).contains(&"w-2");
        assert!(!is_back || cluster.version_of("w-2") == "v1.36.3", "it was given back half done");
        is_back
    });
    cluster.run_to_the_end();
}

#[test]
fn a_lock_that_is_lost_halts_the_run_however_many_workers_may_fail() {
    let mut cluster = with_workers(4, 2, 18);
    cluster.run.spec.workers.max_failures = 3;
    until(&mut cluster, "first done", |cluster| cluster.state().workers_done == 1);
    until(&mut cluster, "at work", |cluster| cluster.running().is_some());
    cluster.lock_is_anothers = true;
    cluster.turn();
    assert_eq!(cluster.halted().as_deref(), Some("lock_lost"));
}
