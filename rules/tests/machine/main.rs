//! The machine against a simulated cluster: random crashes, closed gates, failing units and lost answers, with the
//! independent checker asked before every command.

mod attempts;
mod budgets;
mod clock;
mod cordons;
mod deletion;
mod domains;
mod drain;
mod gate;
mod jobs;
mod look;
mod manifests;
mod mid_step;
mod refused;
mod several;
mod several_edits;
mod simulated;
mod sources;
mod units;
mod verdict;

use std::time::Duration;

use lockkeeper_rules::api::UpgradeRunStatus;
use lockkeeper_rules::driver::kubeadm::Exception;
use lockkeeper_rules::reason::Reason;
use lockkeeper_rules::run::State;
use proptest::prelude::*;

use simulated::{Faults, Simulated};

#[test]
fn a_quiet_run_goes_from_preflight_to_postflight_without_a_wasted_permit() {
    let mut cluster = Simulated::new(1, 2, 1, Faults::default());
    cluster.run_to_the_end();
    assert_eq!(
        cluster.started,
        ["preflight", "snapshot", "prepare", "control-plane/cp-1", "worker/w-1", "worker/w-2", "postflight"]
    );
    assert_eq!(cluster.permits_consumed, 7);
    cluster.assert_upgraded_once_each();
}

#[test]
fn what_kubeadm_is_told_is_told_to_people_once_and_a_folder_that_is_not_there_holds() {
    let mut cluster = Simulated::new(1, 1, 51, Faults::default());
    cluster.kubeadm.patches_directory = Some("/etc/kubernetes/patches".to_owned());
    let reason = "cgroup v1 until spring".to_owned();
    cluster.kubeadm.ignore_preflight_errors = vec![Exception { name: "Mem".to_owned(), reason }];
    cluster.without_patches = Some("w-1".to_owned());
    cluster.turns(600);
    assert_eq!(
        cluster.started.iter().filter(|step| *step != "preflight").count(),
        0,
        "{:?}",
        cluster.started
    );
    assert!(cluster.holds().contains(&"patches_missing".to_owned()), "{:?}", cluster.holds());
    cluster.without_patches = None;
    cluster.run_to_the_end();
    let history = cluster.state().history;
    for line in [
        "kubeadm ignores the preflight error Mem: cgroup v1 until spring",
        "kubeadm takes patches from /etc/kubernetes/patches",
    ] {
        assert_eq!(history.iter().filter(|entry| entry.event == line).count(), 1, "{line}: {history:?}");
    }
}

#[test]
fn control_plane_nodes_come_one_at_a_time_before_workers() {
    let mut cluster = Simulated::new(3, 2, 2, Faults::default());
    cluster.run_to_the_end();
    let nodes: Vec<&str> = cluster.started.iter().filter(|s| s.contains('/')).map(String::as_str).collect();
    assert_eq!(
        nodes,
        ["control-plane/cp-1", "control-plane/cp-2", "control-plane/cp-3", "worker/w-1", "worker/w-2"]
    );
}

#[test]
fn a_run_that_leaves_the_control_plane_as_it_is_upgrades_the_workers() {
    let mut cluster = Simulated::new(1, 1, 23, Faults::default());
    cluster.run.spec.skip = vec!["cp-1".to_owned()];
    cluster.run_to_the_end();
    assert_eq!((cluster.upgrades_of("cp-1"), cluster.upgrades_of("w-1")), (0, 1));
}

#[test]
fn a_control_plane_node_that_is_being_deleted_holds_no_patch_up_but_a_minor() {
    for (target, workers_follow) in [("v1.36.3", true), ("v1.37.0", false)] {
        let mut cluster = Simulated::new(2, 1, 39, Faults::default());
        cluster.run.spec.target = target.to_owned();
        while cluster.started.last().is_none_or(|step| step != "control-plane/cp-1") {
            cluster.turn();
        }
        cluster.is_being_deleted("cp-2");
        if workers_follow {
            cluster.run_to_the_end();
            assert_eq!((cluster.upgrades_of("cp-2"), cluster.upgrades_of("w-1")), (0, 1));
        } else {
            cluster.turns(2_000);
            assert_eq!((cluster.upgrades_of("cp-1"), cluster.upgrades_of("w-1")), (1, 0));
            assert!(cluster.holds().contains(&"kubelet_ahead".to_owned()), "{:?}", cluster.holds());
        }
    }
}

#[test]
fn no_worker_gets_a_minor_that_an_api_server_left_behind_does_not_have() {
    let mut cluster = Simulated::new(2, 1, 24, Faults::default());
    cluster.run.spec.target = "v1.37.0".to_owned();
    cluster.run.spec.skip = vec!["cp-2".to_owned()];
    cluster.turns(300);
    assert!(cluster.started.is_empty(), "{:?}", cluster.started);
    assert!(cluster.holds().contains(&"kubelet_ahead".to_owned()), "{:?}", cluster.holds());
    // Left out only once preflight is over.
    cluster.run.spec.skip = Vec::new();
    while !cluster.started.contains(&"control-plane/cp-1".to_owned()) {
        cluster.turn();
    }
    cluster.run.spec.skip = vec!["cp-2".to_owned()];
    cluster.turns(3_000);
    assert_eq!((cluster.upgrades_of("cp-1"), cluster.upgrades_of("w-1")), (1, 0));
    assert!(cluster.holds().contains(&"kubelet_ahead".to_owned()), "{:?}", cluster.holds());
    cluster.run.spec.skip = Vec::new();
    cluster.run_to_the_end();
}

#[test]
fn the_lead_is_handed_over_before_our_own_node_is_touched_and_that_node_is_the_last_worker() {
    let mut cluster = Simulated::new(1, 2, 10, Faults::default());
    cluster.own_node = Some("w-1".into());
    cluster.run_replica("w-2", true);
    cluster.run_to_the_end();
    assert!(cluster.own_node.is_none(), "another replica leads");
    assert_eq!(cluster.started[4..6], ["worker/w-2", "worker/w-1"]);
}

#[test]
fn a_node_whose_address_is_none_is_named_and_never_reached() {
    let mut cluster = Simulated::new(1, 2, 53, Faults::default());
    cluster.set_address("w-1", "-oProxyCommand=reboot");
    cluster.turns(200);
    let names_it = |cluster: &Simulated| {
        let holds = cluster.held();
        holds.iter().any(|(it, _)| it.reason == Reason::NodeAddressMissing && it.subject == "w-1")
    };
    assert!(names_it(&cluster) && cluster.state().finished.is_empty(), "{:?}", cluster.holds());
    cluster.set_address("w-1", "127.0.0.1");
    cluster.run_to_the_end();
}

#[test]
fn preflight_wants_a_ready_replica_of_the_actuator_on_another_node_and_not_only_a_free_node() {
    let mut cluster = Simulated::new(1, 2, 52, Faults::default());
    cluster.own_node = Some("w-1".into());
    // Neither itself nor one that could not lead.
    cluster.run_replica("w-1", true);
    cluster.run_replica("w-2", false);
    cluster.turns(200);
    assert!(cluster.state().finished.is_empty(), "{:?}", cluster.state().finished);
    assert!(cluster.holds().contains(&"no_home_for_actuator".to_owned()), "{:?}", cluster.holds());
    // Nobody need lead instead while its node is left as it is.
    cluster.run.spec.skip = vec!["w-1".to_owned()];
    cluster.run_to_the_end();
    assert_eq!((cluster.version_of("w-1"), cluster.version_of("w-2")), ("v1.36.1".into(), "v1.36.3".into()));
}

#[test]
fn a_status_that_names_two_nodes_or_another_run_is_no_state() {
    let mut cluster = Simulated::new(1, 1, 40, Faults::default());
    while !cluster
        .run
        .status
        .as_ref()
        .is_some_and(|it| it.active.iter().any(|it| it.intent.is_some() && it.node.is_some()))
    {
        cluster.turn();
    }
    let (status, uid) = (cluster.run.status.clone().unwrap(), cluster.run.uid.clone());
    let parse = |change: &dyn Fn(&mut UpgradeRunStatus)| {
        let mut status = status.clone();
        change(&mut status);
        State::parse(Some(&status), &uid).map_err(|finding| (finding.reason, finding.subject))
    };
    assert!(parse(&|_| ()).is_ok());
    let of_another = |token: &str| token.replace(&uid, "another-run");
    type Change<'a> = (&'a str, &'a dyn Fn(&mut UpgradeRunStatus));
    let changes: [Change<'_>; 6] = [
        ("status.active.node.name", &|it| it.active[0].node.as_mut().unwrap().name = "w-1".into()),
        ("status.active.node.name", &|it| it.active[0].step = "worker/w-1".to_owned()),
        ("status.active.intent.node", &|it| it.active[0].intent.as_mut().unwrap().node = "w-1".into()),
        ("status", &|it| it.active[0].token = of_another(&it.active[0].token)),
        ("status", &|it| it.finished[0].token = of_another(&it.finished[0].token)),
        ("status.sequence", &|it| it.sequence = 1),
    ];
    for (field, change) in changes {
        assert_eq!(parse(change).unwrap_err(), (Reason::StatusMalformed, field.to_owned()));
    }
}

#[test]
fn a_fresh_step_needs_its_own_node_ready_and_an_attempt_to_mend_a_broken_node_does_not() {
    let mut cluster = Simulated::new(1, 1, 17, Faults::default());
    while cluster.upgrades_of("cp-1") == 0 {
        cluster.turn();
    }
    cluster.set_ready("w-1", false);
    cluster.turns(2_000);
    assert!(!cluster.started.contains(&"worker/w-1".to_owned()), "{:?}", cluster.started);
    assert!(cluster.holds().contains(&"node_not_ready".to_owned()), "{:?}", cluster.holds());
    cluster.set_ready("w-1", true);
    cluster.failing_node = Some("w-1".to_owned());
    while !cluster.is_unschedulable("w-1") {
        cluster.turn();
    }
    // Its kubelet dies of the change: the attempts go on, and come to an end.
    cluster.set_ready("w-1", false);
    cluster.turns(20_000);
    assert_eq!(cluster.halted(), Some("attempts_exhausted".to_owned()), "{:?}", cluster.holds());
}

#[test]
fn what_is_done_again_because_it_is_too_old_is_no_progress() {
    let mut cluster = Simulated::new(1, 1, 18, Faults::default());
    while cluster.started.last().is_none_or(|step| step != "snapshot") || cluster.state().step().is_some() {
        cluster.turn();
    }
    let before = cluster.state().progressed_at;
    assert!(before.is_some());
    cluster.gate_is_shut = true;
    cluster.turns(20_000);
    cluster.gate_is_shut = false;
    while cluster.started.len() < 4 || cluster.state().step().is_some() {
        assert_eq!(cluster.state().progressed_at, before, "{:?}", cluster.started);
        cluster.turn();
    }
    assert_eq!(cluster.started, ["preflight", "snapshot", "preflight", "snapshot"]);
    cluster.run_to_the_end();
    assert!(cluster.state().progressed_at > before);
}

#[test]
fn a_snapshot_that_was_read_hours_after_it_was_taken_is_taken_again() {
    // How long nobody heard of it, and how long it was enough after that.
    for (hours_unheard, hours_after) in [(5, 0), (1, 1)] {
        let mut cluster = Simulated::new(1, 1, 81, Faults::default());
        while !cluster.is_snapshot_sent() {
            cluster.turn();
        }
        cluster.pass(Duration::from_secs(10));
        let taken_at = cluster.now();
        cluster.crash_now();
        cluster.pass(Duration::from_secs(hours_unheard * 3_600));
        while cluster.state().snapshot.is_none() {
            cluster.turn();
        }
        let read = cluster.state().snapshot.unwrap().taken_at;
        assert!(read <= taken_at, "{read} is when it was heard of, not when it was taken: {taken_at}");
        cluster.pass(Duration::from_secs(hours_after * 3_600));
        cluster.run_to_the_end();
        let snapshots = cluster.started.iter().filter(|step| *step == "snapshot").count();
        assert_eq!(snapshots, 2, "{:?}", cluster.started);
    }
}

#[test]
fn a_finished_control_plane_node_is_not_touched_again_because_a_pod_of_it_is_unready() {
    let mut cluster = Simulated::new(1, 2, 16, Faults::default());
    while cluster.started.last().is_none_or(|step| step != "worker/w-1") {
        cluster.turn();
    }
    cluster.unready_static_pods = Some("cp-1".to_owned());
    cluster.turns(2_000);
    assert_eq!(cluster.upgrades_of("cp-1"), 1);
    assert_eq!(cluster.started.iter().filter(|step| *step == "control-plane/cp-1").count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens on the way, a run whose gate opens in the end and whose units mostly work arrives; nothing
    /// is upgraded twice, and the cordons after are the cordons before.
    #[test]
    fn every_history_converges(
        control_planes in 1usize..=3,
        workers in 0usize..=3,
        seed in any::<u64>(),
        crash_percent in 0u64..25,
        gate_closed_percent in 0u64..40,
        lost_answer_percent in 0u64..25,
        conflict_percent in 0u64..25,
    ) {
        let faults = Faults { crash_percent, gate_closed_percent, lost_answer_percent, conflict_percent, unit_fails_percent: 0 };
        let mut cluster = Simulated::new(control_planes, workers, seed, faults);
        cluster.run_to_the_end();
        cluster.assert_upgraded_once_each();
    }

    /// Units that fail now and then end in success or in a halt that names itself, never in silence.
    #[test]
    fn failing_units_end_in_success_or_in_a_halt(seed in any::<u64>(), unit_fails_percent in 1u64..80, crash_percent in 0u64..10) {
        let faults = Faults { unit_fails_percent, crash_percent, ..Faults::default() };
        let mut cluster = Simulated::new(2, 2, seed, faults);
        cluster.turns(20_000);
        prop_assert!(cluster.is_over() || cluster.halted().is_some(), "{:?}", cluster.state().position);
    }
}
