//! What changes about a node while its own step is at work.

use std::time::Duration;

use lockkeeper_rules::api::CordonedNodes;

use crate::simulated::{Faults, Simulated};

fn attempt(cluster: &Simulated) -> u32 {
    cluster.state().token().map_or(0, |token| token.attempt)
}

/// Runs until the step of this node is in this stage, in this attempt. Those before come to nothing behind a closed gate.
fn until(cluster: &mut Simulated, node: &str, stage: &str, in_attempt: u32) {
    loop {
        let is_its = cluster.state().step().is_some_and(|step| step.node().is_some_and(|it| it.0 == node));
        if is_its && cluster.stage() == Some(stage) && attempt(cluster) == in_attempt {
            cluster.gate_is_shut = false;
            return;
        }
        cluster.gate_is_shut = is_its && cluster.stage() == Some("drain") && attempt(cluster) < in_attempt;
        cluster.turn();
    }
}

fn at(node: &str, stage: &str, seed: u64) -> Simulated {
    let mut cluster = Simulated::new(3, 2, seed, Faults::default());
    until(&mut cluster, node, stage, 1);
    cluster
}

#[test]
fn a_node_that_is_skipped_in_mid_step_is_given_back_unless_its_change_was_sent() {
    for stage in ["cordon", "drain", "mutate"] {
        // The last attempt, too, does not keep the run from going on with the other nodes.
        for in_attempt in [1, 3] {
            let mut cluster = Simulated::new(1, 2, 130, Faults::default());
            until(&mut cluster, "w-1", stage, in_attempt);
            assert!(!cluster.is_sent("w-1"));
            cluster.run.spec.skip = vec!["w-1".to_owned()];
            cluster.run_to_the_end();
            assert!(!cluster.is_sent("w-1"), "{stage} {in_attempt}");
            assert_eq!(cluster.version_of("w-2"), "v1.36.3");
        }
    }
    let mut cluster = at("w-1", "mutate", 131);
    while !cluster.is_sent("w-1") {
        cluster.turn();
    }
    cluster.run.spec.skip = vec!["w-1".to_owned()];
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_half_done_node_that_is_skipped_in_its_last_attempt_halts_nothing() {
    let mut cluster = Simulated::new(1, 2, 132, Faults::default());
    cluster.failing_node = Some("w-1".to_owned());
    while !(cluster.stage() == Some("drain") && attempt(&cluster) == 3) {
        cluster.turn();
    }
    cluster.run.spec.skip = vec!["w-1".to_owned()];
    cluster.run_to_the_end();
    assert_eq!((cluster.upgrades_of("w-1"), cluster.version_of("w-2")), (0, "v1.36.3".to_owned()));
}

/// Takes turns in which the run must say this and send nothing to the node.
fn keeps_back(cluster: &mut Simulated, node: &str, reason: &str) {
    let pods = cluster.pods_on(node);
    for _ in 0..20 {
        cluster.turn();
    }
    assert_eq!(cluster.holds(), [reason], "{:?}", cluster.state());
    assert!(!cluster.is_sent(node) && cluster.pods_on(node) == pods);
}

#[test]
fn an_etcd_that_went_away_in_the_drain_keeps_the_unit_back() {
    for (in_attempt, stage) in [(1, "cordon"), (1, "drain"), (1, "mutate"), (2, "drain"), (2, "mutate")] {
        let mut cluster = Simulated::new(3, 1, 140, Faults::default());
        until(&mut cluster, "cp-1", stage, in_attempt);
        cluster.unready_etcd = Some("cp-2".to_owned());
        keeps_back(&mut cluster, "cp-1", "etcd_unhealthy");
        cluster.unready_etcd = None;
        cluster.run_to_the_end();
        cluster.assert_upgraded_once_each();
    }
    // Nor is a node taken that others have cordoned.
    let mut cluster = Simulated::new(3, 1, 141, Faults::default());
    cluster.cordon_by_hand("cp-1");
    cluster.run.spec.cordoned_nodes = CordonedNodes::Upgrade;
    until(&mut cluster, "cp-1", "cordon", 1);
    cluster.unready_etcd = Some("cp-2".to_owned());
    keeps_back(&mut cluster, "cp-1", "etcd_unhealthy");
    cluster.unready_etcd = None;
    cluster.run_to_the_end();
}

#[test]
fn a_half_done_node_is_mended_though_its_own_member_of_etcd_is_away_and_not_though_another_is() {
    let mut cluster = Simulated::new(3, 1, 142, Faults::default());
    cluster.failing_node = Some("cp-1".to_owned());
    while !(cluster.stage() == Some("drain") && attempt(&cluster) == 2) {
        cluster.turn();
    }
    cluster.failing_node = None;
    cluster.unready_etcd = Some("cp-2".to_owned());
    while cluster.holds() != ["etcd_unhealthy"] {
        assert_eq!(cluster.upgrades_of("cp-1"), 0);
        cluster.turn();
    }
    cluster.unready_etcd = Some("cp-1".to_owned());
    while cluster.upgrades_of("cp-1") == 0 {
        cluster.turn();
    }
    cluster.unready_etcd = None;
    cluster.run_to_the_end();
}

const HOURS: Duration = Duration::from_secs(5 * 3_600);

#[test]
fn a_step_that_was_left_for_hours_looks_again_before_it_cordons() {
    // Whoever has looked is gone, or the API server was away; before the cordon was written down, and after.
    for crashes in [false, true] {
        for turns in 0..4 {
            let mut cluster = at("w-1", "cordon", 150);
            for _ in 0..turns {
                cluster.turn();
            }
            assert!(cluster.stage() == Some("cordon") && !cluster.is_unschedulable("w-1"));
            if crashes {
                cluster.crash_now();
            }
            cluster.pass(HOURS);
            cluster.odd = Some(("w-1".to_owned(), |said| said.clock_off_seconds = -30));
            for _ in 0..200 {
                cluster.turn();
                assert!(!cluster.is_unschedulable("w-1"), "{crashes} {turns}");
            }
            cluster.odd = None;
            cluster.run_to_the_end();
            cluster.assert_upgraded_once_each();
        }
    }
}

#[test]
fn a_cordon_that_was_carried_out_hours_ago_is_no_look() {
    let mut cluster = at("w-1", "cordon", 151);
    while !cluster.is_unschedulable("w-1") {
        cluster.turn();
    }
    assert_eq!(cluster.stage(), Some("cordon"));
    cluster.crash_now();
    cluster.pass(HOURS);
    cluster.odd = Some(("w-1".to_owned(), |said| said.clock_off_seconds = -30));
    while cluster.is_unschedulable("w-1") {
        assert_eq!(cluster.pods_on("w-1"), 3);
        cluster.turn();
    }
    cluster.odd = None;
    cluster.run_to_the_end();
}

#[test]
fn a_control_plane_that_was_left_for_hours_gets_another_preflight_and_snapshot_first() {
    for crashes in [false, true] {
        for turns in 0..4 {
            let mut cluster = at("cp-1", "cordon", 154);
            for _ in 0..turns {
                cluster.turn();
            }
            assert!(cluster.stage() == Some("cordon") && !cluster.is_unschedulable("cp-1"));
            if crashes {
                cluster.crash_now();
            }
            cluster.pass(HOURS);
            let since = cluster.now();
            while !cluster.is_unschedulable("cp-1") {
                cluster.turn();
            }
            let steps = cluster.state().history.into_iter().filter(|line| line.at >= since);
            let finished = steps.filter(|line| line.event == "finished").map(|line| line.step);
            assert_eq!(finished.collect::<Vec<_>>(), ["preflight", "snapshot"], "{crashes} {turns}");
            assert!(cluster.state().snapshot.unwrap().taken_at >= since);
            cluster.run_to_the_end();
            cluster.assert_upgraded_once_each();
        }
    }
}

#[test]
fn a_control_plane_that_answers_at_the_target_is_not_begun_anew_though_no_pod_shows_it() {
    for (servers_are_ahead, again) in [(false, 2), (true, 1)] {
        let mut cluster = Simulated::new(1, 1, 157, Faults::default());
        cluster.failing_node = Some("cp-1".to_owned());
        while cluster.halted().is_none() {
            cluster.turn();
        }
        cluster.servers_are_ahead = servers_are_ahead;
        cluster.failing_node = None;
        cluster.pass(HOURS);
        cluster.retry_what_halted();
        cluster.turn();
        cluster.run_to_the_end();
        for step in ["preflight", "snapshot"] {
            let started = cluster.started.iter().filter(|it| *it == step).count();
            assert_eq!(started, again, "{step} {servers_are_ahead}");
        }
    }
}

#[test]
fn a_node_that_went_away_before_its_cordon_stays_in_service() {
    // One turn later it was checked a moment ago.
    for turns in 0..3 {
        let mut cluster = at("w-1", "cordon", 155);
        for _ in 0..turns {
            cluster.turn();
        }
        assert!(!cluster.is_unschedulable("w-1"));
        cluster.set_ready("w-1", false);
        for _ in 0..200 {
            cluster.turn();
            assert!(!cluster.is_unschedulable("w-1"), "{turns}");
        }
        assert!(cluster.holds().contains(&"node_not_ready".to_owned()), "{:?}", cluster.holds());
        cluster.set_ready("w-1", true);
        cluster.run_to_the_end();
        cluster.assert_upgraded_once_each();
    }
}

#[test]
fn a_unit_that_went_nowhere_is_sent_by_another_leader_to_an_empty_node_only() {
    for pods in 0..2 {
        let mut cluster = at("w-1", "mutate", 156);
        cluster.units_never_start = true;
        let is_sent = |cluster: &Simulated| cluster.running().is_some_and(|it| it.sent().is_some());
        while !is_sent(&cluster) {
            cluster.turn();
        }
        cluster.units_never_start = false;
        cluster.crash_now();
        for _ in 0..pods {
            cluster.bind_pod("w-1");
        }
        // The simulation refuses a unit for a node with pods.
        cluster.run_to_the_end();
        cluster.assert_upgraded_once_each();
        assert_eq!(cluster.started.iter().filter(|step| *step == "worker/w-1").count(), 1);
    }
}

#[test]
fn a_unit_that_was_never_sent_is_not_sent_hours_after_the_drain() {
    for turns in 0..4 {
        let mut cluster = at("w-1", "mutate", 152);
        for _ in 0..turns {
            cluster.turn();
        }
        left_alone(cluster);
    }
    // It was written down as sent, and went nowhere.
    let mut cluster = at("w-1", "mutate", 153);
    cluster.units_never_start = true;
    let is_to_be_sent =
        |cluster: &Simulated| cluster.running().is_none_or(|it| it.intent.is_none_or(|intent| intent.unsent));
    while is_to_be_sent(&cluster) {
        cluster.turn();
    }
    cluster.units_never_start = false;
    left_alone(cluster);
}

/// Nobody leads for hours, and then the attempt must end without its unit.
fn left_alone(mut cluster: Simulated) {
    let token = cluster.state().token().cloned();
    assert!(cluster.stage() == Some("mutate") && !cluster.is_sent("w-1"));
    cluster.crash_now();
    cluster.pass(HOURS);
    while cluster.state().token().cloned() == token {
        assert!(!cluster.is_sent("w-1"));
        cluster.turn();
    }
    assert!(!cluster.is_unschedulable("w-1"));
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn pods_that_came_after_the_drain_are_evicted_before_the_unit() {
    for crashes in [false, true] {
        for turns in 0..5 {
            let mut cluster = at("w-1", "mutate", 160);
            for _ in 0..turns {
                cluster.turn();
            }
            assert!(!cluster.is_sent("w-1"));
            if crashes {
                cluster.crash_now();
            }
            cluster.bind_pod("w-1");
            // The simulation refuses a unit for a node with pods.
            cluster.run_to_the_end();
            cluster.assert_upgraded_once_each();
            assert_eq!(cluster.started.iter().filter(|step| *step == "worker/w-1").count(), 1);
        }
    }
}

#[test]
fn pods_that_come_again_and_again_after_the_drain_have_the_node_given_back_at_the_deadline() {
    let mut cluster = at("w-1", "mutate", 161);
    let since = cluster.now();
    while cluster.stage() == Some("mutate") {
        if cluster.pods_on("w-1") == 0 {
            cluster.bind_pod("w-1");
        }
        cluster.turn();
    }
    let minutes = cluster.now().duration_since(since).as_mins();
    assert!((15..17).contains(&minutes) && !cluster.is_sent("w-1"), "{minutes}");
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_node_that_took_the_name_of_a_half_done_one_is_given_back() {
    for (seed, is_known) in [(170, true), (171, false)] {
        let mut cluster = Simulated::new(1, 2, seed, Faults::default());
        cluster.failing_node = Some("w-1".to_owned());
        while cluster.state().attempted.is_empty() {
            cluster.turn();
        }
        cluster.failing_node = None;
        cluster.replace("w-1");
        if !is_known {
            // As an older version has stored it: nobody knows whether this is the same node.
            cluster.run.status.as_mut().unwrap().attempted[0].uid = None;
        }
        while cluster.stage() != Some("drain") {
            cluster.turn();
        }
        cluster.gate_is_shut = true;
        while attempt(&cluster) == 2 {
            cluster.turn();
        }
        assert_eq!(cluster.is_unschedulable("w-1"), !is_known);
        cluster.gate_is_shut = false;
        cluster.run_to_the_end();
        assert_eq!(cluster.upgrades_of("w-1"), 1);
    }
}

#[test]
fn a_node_whose_machine_was_changed_in_mid_step_halts() {
    for stage in ["cordon", "drain", "mutate", "verify"] {
        let mut cluster = at("w-1", stage, 180);
        cluster.set_machine_id("w-1", "machine-new");
        cluster.turns(10);
        assert_eq!(cluster.halted(), Some("node_replaced".to_owned()), "{stage}");
        // A kubelet that is just coming up says nothing yet, and an older version has written nothing down.
        let mut silent = at("w-1", stage, 180);
        silent.set_machine_id("w-1", "");
        silent.turns(10);
        silent.set_machine_id("w-1", "machine-w-1");
        let mut unknown = at("w-1", stage, 180);
        unknown.run.status.as_mut().unwrap().active[0].node.as_mut().unwrap().machine_id = None;
        unknown.set_machine_id("w-1", "machine-new");
        for mut cluster in [silent, unknown] {
            cluster.run_to_the_end();
            assert_eq!(cluster.upgrades_of("w-1"), 1, "{stage}");
        }
    }
}
