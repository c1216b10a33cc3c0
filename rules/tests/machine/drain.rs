//! What a drain waits for, and what it does not.

use std::time::Duration;

use lockkeeper_rules::drain::{Amount, AttachedVolume, Budget, Demand, Taint, Toleration};
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::{Action, Position};
use lockkeeper_rules::words::labels::Selector;

use crate::simulated::{Faults, Simulated};

/// A cluster of one control-plane node and two workers whose first worker is in this stage.
fn at(stage: &str, seed: u64) -> Simulated {
    let mut cluster = Simulated::new(1, 2, seed, Faults::default());
    until(&mut cluster, stage);
    cluster
}

fn until(cluster: &mut Simulated, stage: &str) {
    let is_there = |cluster: &Simulated| {
        cluster.state().step().is_some_and(|step| step.to_string() == "worker/w-1")
            && cluster.stage() == Some(stage)
    };
    while !is_there(cluster) {
        cluster.turn();
    }
}

fn held(cluster: &Simulated) -> Vec<Finding> {
    cluster.held().into_iter().map(|(finding, _)| finding).collect()
}

#[test]
fn a_pod_that_a_finalizer_keeps_is_named_while_it_is_waited_for_and_at_the_deadline() {
    let mut cluster = at("cordon", 60);
    cluster.keep_pod("pod-1-w-1", Some("example.com/keep"));
    until(&mut cluster, "drain");
    let why = "kept by the finalizer example.com/keep";
    let expected = [Finding::new(Reason::PodTerminating, "default/pod-1-w-1", why)];
    while held(&cluster) != expected {
        assert_eq!(cluster.stage(), Some("drain"), "{:?}", held(&cluster));
        cluster.turn();
    }
    let since = cluster.held()[0].1;
    for _ in 0..100 {
        cluster.turn();
        assert_eq!((held(&cluster), cluster.held()[0].1), (expected.to_vec(), since));
    }
    while cluster.stage() == Some("drain") {
        cluster.turn();
    }
    let history = cluster.state().history;
    while !matches!(cluster.state().position, Position::Waiting(_)) {
        cluster.turn();
    }
    let Position::Waiting(it) = cluster.state().position else { panic!("{history:?}") };
    let (reason, detail) = (it.because[0].reason, &it.because[0].detail);
    assert_eq!(reason, Reason::DrainDeadline);
    assert!(detail.contains("default/pod-1-w-1") && detail.contains("example.com/keep"), "{detail}");
    cluster.keep_pod("pod-1-w-1", None);
    cluster.run_to_the_end();
}

#[test]
fn a_pod_that_is_kept_stays_named_while_others_are_refused_again_and_again() {
    let mut cluster = at("cordon", 61);
    cluster.keep_pod("pod-1-w-1", Some("example.com/keep"));
    cluster.refused_pod = Some("pod-0-w-1".to_owned());
    until(&mut cluster, "drain");
    let both = ["pdb_blocked", "pod_terminating"];
    while cluster.holds() != both {
        assert_eq!(cluster.stage(), Some("drain"), "{:?}", held(&cluster));
        cluster.turn();
    }
    for _ in 0..100 {
        cluster.turn();
        assert_eq!(cluster.holds(), both);
    }
    cluster.refused_pod = None;
    cluster.keep_pod("pod-1-w-1", None);
    cluster.run_to_the_end();
}

#[test]
fn a_budget_without_room_holds_back_its_own_pods_and_no_others() {
    let mut cluster = at("drain", 62);
    cluster.verdict = [Reason::PdbBlocked, Reason::PdbMayMove, Reason::PdbOfOthers, Reason::PdbUnobserved]
        .map(|reason| Finding::new(reason, "default/web", "wants 2 of 2 pods healthy"))
        .to_vec();
    cluster.refused_pod = Some("pod-0-w-1".to_owned());
    while cluster.pods_on("w-1") > 1 {
        assert_eq!(cluster.stage(), Some("drain"), "{:?}", held(&cluster));
        cluster.turn();
    }
    for _ in 0..20 {
        cluster.turn();
        assert!(held(&cluster).contains(&Finding::new(Reason::PdbBlocked, "pod-0-w-1", "")));
    }
    // Its own budget lets it go; another one, elsewhere, still has no room.
    cluster.refused_pod = None;
    cluster.turns(2_000);
    assert_eq!(cluster.version_of("w-1"), "v1.36.3");
    assert!(!cluster.is_unschedulable("w-1") && !cluster.is_unschedulable("w-2"), "{:?}", held(&cluster));
    assert_eq!(cluster.version_of("w-2"), "v1.36.1", "no other node is begun");
    assert!(cluster.holds().contains(&"pdb_blocked".to_owned()), "{:?}", cluster.holds());
    cluster.verdict.clear();
    cluster.run_to_the_end();
}

#[test]
fn whatever_else_the_verdict_says_stops_a_drain_beside_a_budget() {
    let mut cluster = at("drain", 63);
    cluster.verdict = vec![
        Finding::new(Reason::PdbBlocked, "default/web", ""),
        Finding::new(Reason::SourceUnreadable, "budgets", ""),
    ];
    for _ in 0..20 {
        cluster.turn();
    }
    assert_eq!((cluster.pods_on("w-1"), cluster.holds()), (3, vec!["source_unreadable".to_owned()]));
}

#[test]
fn a_node_that_is_deleted_before_anything_was_sent_to_it_ends_its_step_and_the_run_goes_on() {
    for stage in ["cordon", "drain", "mutate"] {
        let mut cluster = at(stage, 64);
        assert!(!cluster.is_sent("w-1"));
        cluster.delete_node("w-1");
        cluster.run_to_the_end();
        assert_eq!(cluster.version_of("w-2"), "v1.36.3", "{stage}");
    }
}

#[test]
fn a_node_that_is_deleted_while_it_is_put_back_ends_its_step() {
    let mut cluster = at("cordon", 65);
    cluster.close_gate_when = Some("drain");
    until(&mut cluster, "uncordon");
    cluster.delete_node("w-1");
    (cluster.close_gate_when, cluster.gate_is_shut) = (None, false);
    cluster.run_to_the_end();
}

#[test]
fn a_node_that_is_deleted_while_the_gate_holds_its_unit_back_ends_its_step() {
    for turns in [20, 200] {
        let mut cluster = at("cordon", 66);
        cluster.close_gate_when = Some("mutate");
        until(&mut cluster, "mutate");
        for _ in 0..turns {
            cluster.turn();
        }
        assert!(!cluster.is_sent("w-1") && cluster.stage() == Some("mutate"));
        cluster.delete_node("w-1");
        (cluster.close_gate_when, cluster.gate_is_shut) = (None, false);
        cluster.run_to_the_end();
        assert!(cluster.state().attempted.iter().all(|attempted| !attempted.begun), "{turns}");
    }
}

#[test]
fn a_node_that_is_deleted_after_its_unit_may_have_been_sent_halts_the_run() {
    let is_intended = |cluster: &Simulated| {
        cluster.running().is_some_and(|it| it.intent.is_some_and(|intent| intent.action == Action::Start))
    };
    // In an attempt of now that another process has sent, and in one before.
    let mut sent = at("mutate", 67);
    while !sent.is_sent("w-1") {
        sent.turn();
    }
    let in_the_second_attempt = |stage: &str| {
        let mut cluster = at("cordon", 68);
        cluster.failing_node = Some("w-1".to_owned());
        while !(cluster.stage() == Some(stage) && cluster.state().token().unwrap().attempt == 2) {
            cluster.turn();
        }
        assert!(!is_intended(&cluster));
        cluster
    };
    let before = ["drain", "mutate"].map(in_the_second_attempt);
    assert!(is_intended(&sent));
    sent.crash_now();
    for mut cluster in [sent].into_iter().chain(before) {
        cluster.delete_node("w-1");
        cluster.turns(100);
        assert_eq!(cluster.halted(), Some("node_missing".to_owned()));
    }
}

#[test]
fn a_drained_node_that_loses_its_address_is_said_so_and_given_back_in_the_end() {
    let mut cluster = at("mutate", 69);
    cluster.set_address("w-1", "w-1.example");
    while held(&cluster).is_empty() {
        cluster.turn();
    }
    let found = held(&cluster);
    assert_eq!((found[0].reason, found[0].subject.as_str()), (Reason::NodeAddressMissing, "w-1"));
    let waits = |cluster: &Simulated| matches!(cluster.state().position, Position::Waiting(_));
    for _ in 0..2_000 {
        if !waits(&cluster) {
            cluster.turn();
        }
    }
    assert!(waits(&cluster), "{:?}", cluster.state().position);
    assert!(!cluster.is_sent("w-1") && !cluster.is_unschedulable("w-1"), "{:?}", cluster.state());
    cluster.set_address("w-1", "127.0.0.1");
    cluster.run_to_the_end();
}

/// One worker, and a control plane that takes none of its pods.
fn one_worker(seed: u64) -> Simulated {
    let mut cluster = Simulated::new(1, 1, seed, Faults::default());
    let taint = ["node-role.kubernetes.io/control-plane", "", "NoSchedule"].map(str::to_owned);
    let [key, value, effect] = taint;
    cluster.taints.insert("cp-1".to_owned(), Taint { key, value, effect });
    cluster
}

pub(crate) fn budget(least: i32, pods: i32) -> Budget {
    Budget {
        namespace: "default".to_owned(),
        name: "web".to_owned(),
        selector: Selector::Every(Vec::new()),
        demand: Demand::MinAvailable(Amount::Pods(least)),
        evicts_unhealthy: false,
        generation: 1,
        observed: 1,
        sync_error: None,
        disruptions_allowed: pods - least,
        expected_pods: pods,
        current_healthy: pods,
        desired_healthy: least,
        owner: None,
    }
}

#[test]
fn preflight_holds_where_only_the_drained_node_itself_could_take_the_pods_that_its_budget_waits_for() {
    let mut cluster = one_worker(70);
    // Three pods are on each node, those of the control plane go to the worker.
    cluster.budgets = vec![budget(4, 6)];
    cluster.turns(200);
    assert!(cluster.state().finished.is_empty(), "{:?}", cluster.state().finished);
    let found = held(&cluster).into_iter().find(|it| it.reason == Reason::PodHasNoOtherNode).unwrap();
    assert_eq!(found.subject, "default/pod-0-w-1");
    for part in ["3 of the pods on w-1", "default/web", "room for 2"] {
        assert!(found.detail.contains(part), "{}", found.detail);
    }
    // A person knows that a node comes for them.
    cluster.run.spec.accept_risks = vec!["pod_has_no_other_node".to_owned()];
    cluster.run_to_the_end();
}

#[test]
fn what_only_goes_down_or_loses_its_scratch_is_told_in_the_history_and_holds_nothing() {
    let mut cluster = one_worker(71);
    cluster.budgets = vec![budget(3, 6)];
    cluster.pods_mut().filter(|pod| pod.name == "pod-2-w-1").for_each(|pod| pod.has_empty_dir = true);
    cluster.run_to_the_end();
    let history = cluster.state().history;
    for line in [
        "draining deletes what is in the emptyDir volumes of default/pod-2-w-1",
        "while their node is drained no other node takes default/pod-0-w-1, default/pod-1-w-1, default/pod-2-w-1",
    ] {
        let told = history.iter().filter(|entry| entry.step == "preflight" && entry.event == line);
        assert_eq!(told.count(), 1, "{line}: {history:?}");
    }
}

#[test]
fn a_part_of_the_alert_path_that_only_a_tainted_node_is_left_for_has_no_other_node() {
    let mut cluster = one_worker(72);
    cluster.run_replica("w-1", true);
    cluster.turns(200);
    assert!(cluster.state().finished.is_empty(), "{:?}", cluster.state().finished);
    assert!(cluster.holds().contains(&"pipeline_has_no_other_node".to_owned()), "{:?}", cluster.holds());
    cluster.taints.clear();
    cluster.run_to_the_end();
}

fn attached(volume: &str) -> AttachedVolume {
    let claim = Some(("default".to_owned(), "data".to_owned()));
    AttachedVolume { attachment: format!("csi-{volume}"), volume: volume.to_owned(), claim }
}

#[test]
fn a_node_is_drained_only_when_the_volumes_of_its_pods_are_detached() {
    let mut cluster = at("cordon", 73);
    cluster.attached.insert("w-1".to_owned(), vec![attached("pv-1")]);
    until(&mut cluster, "drain");
    let detail = "VolumeAttachment csi-pv-1 of the claim default/data";
    let expected = [Finding::new(Reason::VolumeAttached, "pv-1", detail)];
    while held(&cluster) != expected {
        assert_eq!(cluster.stage(), Some("drain"), "{:?}", held(&cluster));
        cluster.turn();
    }
    for _ in 0..100 {
        cluster.turn();
        assert_eq!((held(&cluster), cluster.stage()), (expected.to_vec(), Some("drain")));
    }
    cluster.attached.clear();
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_volume_that_is_not_detached_gives_the_node_back_at_the_deadline_and_is_named() {
    let mut cluster = at("cordon", 74);
    cluster.attached.insert("w-1".to_owned(), vec![attached("pv-1")]);
    while !matches!(cluster.state().position, Position::Waiting(_)) {
        cluster.turn();
    }
    let Position::Waiting(it) = cluster.state().position else { unreachable!() };
    assert_eq!(it.because[0].reason, Reason::DrainDeadline);
    assert!(it.because[0].detail.contains("volume_attached pv-1"), "{}", it.because[0]);
    assert!(!cluster.is_sent("w-1") && !cluster.is_unschedulable("w-1"));
    // What was read in the attempt before does not count for the next one.
    until(&mut cluster, "drain");
    cluster.attached.clear();
    cluster.run_to_the_end();
}

#[test]
fn volumes_that_cannot_be_read_are_not_detached() {
    let mut cluster = at("cordon", 75);
    cluster.volumes_are_unreadable = true;
    until(&mut cluster, "drain");
    while cluster.pods_on("w-1") > 0 {
        cluster.turn();
    }
    for _ in 0..100 {
        cluster.turn();
        assert_eq!(cluster.stage(), Some("drain"), "{:?}", held(&cluster));
    }
    assert_eq!(held(&cluster), [Finding::new(Reason::ApiUnreachable, "volumeattachments", "403")]);
    cluster.volumes_are_unreadable = false;
    cluster.run_to_the_end();
}

#[test]
fn what_was_read_of_volumes_before_an_attempt_says_nothing_of_it() {
    let mut cluster = at("mutate", 76);
    // It was read that nothing is attached; the gate then holds the node until it is given back.
    cluster.gate_is_shut = true;
    while !matches!(cluster.state().position, Position::Waiting(_)) {
        cluster.turn();
    }
    cluster.gate_is_shut = false;
    cluster.attached.insert("w-1".to_owned(), vec![attached("pv-1")]);
    until(&mut cluster, "drain");
    for _ in 0..100 {
        cluster.turn();
        assert_eq!(cluster.stage(), Some("drain"), "{:?}", held(&cluster));
    }
    assert_eq!(cluster.holds(), ["volume_attached"]);
    cluster.attached.clear();
    cluster.run_to_the_end();
}

#[test]
fn volumes_of_pods_that_came_and_went_while_the_gate_held_the_unit_are_waited_for() {
    let mut cluster = at("mutate", 77);
    cluster.gate_is_shut = true;
    cluster.turns(30);
    cluster.attached.insert("w-1".to_owned(), vec![attached("pv-1")]);
    cluster.pass(Duration::from_secs(11));
    cluster.gate_is_shut = false;
    for _ in 0..100 {
        cluster.turn();
        assert!(!cluster.is_sent("w-1"), "{:?}", held(&cluster));
    }
    assert_eq!(cluster.holds(), ["volume_attached"]);
    cluster.attached.clear();
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_pod_that_came_while_the_cordon_waited_was_there_before_and_must_leave() {
    let mut cluster = at("cordon", 78);
    cluster.pass(Duration::from_secs(10));
    cluster.bind_pod("w-1");
    let now = cluster.now();
    let pod = cluster.pods_mut().last().unwrap();
    let any = Toleration {
        key: String::new(),
        operator: "Exists".to_owned(),
        value: String::new(),
        effect: String::new(),
    };
    (pod.created_at, pod.placement.tolerations) = (Some(now), vec![any]);
    cluster.pass(Duration::from_secs(2));
    // The simulation refuses a unit for a node with pods.
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}
