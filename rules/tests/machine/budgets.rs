//! Budgets that an operator moves, and budgets that have no room because the run has a node out of service.

use lockkeeper_rules::drain::{Amount, Budget, Controller, Demand};
use lockkeeper_rules::facts::{Accept, Accepts};
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::Position;
use lockkeeper_rules::words::labels::{Requirement, Selector};

use crate::simulated::{Faults, Simulated};

const PRIMARY: &str = "pod-0-w-1";

/// A cluster of one control-plane node and two workers. The first pod of w-1 is the primary of a database that an
/// operator looks after, under a budget of one of one.
fn with_database(seed: u64) -> Simulated {
    let mut cluster = Simulated::new(1, 2, seed, Faults::default());
    for pod in cluster.pods_mut().filter(|pod| pod.name == PRIMARY) {
        pod.controller = Some(Controller { kind: "Cluster".to_owned(), name: "db".to_owned() });
        pod.labels.insert("role".to_owned(), "primary".to_owned());
    }
    let role = Requirement::In("role".to_owned(), ["primary".to_owned()].into());
    cluster.budgets = vec![Budget {
        namespace: "default".to_owned(),
        name: "db-primary".to_owned(),
        selector: Selector::Every(vec![role]),
        demand: Demand::MinAvailable(Amount::Pods(1)),
        evicts_unhealthy: false,
        generation: 1,
        observed: 1,
        sync_error: None,
        disruptions_allowed: 0,
        expected_pods: 1,
        current_healthy: 1,
        desired_healthy: 1,
        owner: Some("Cluster db".to_owned()),
    }];
    cluster
}

fn until(cluster: &mut Simulated, what: &str, is_so: impl Fn(&Simulated) -> bool) {
    for _ in 0..20_000 {
        if is_so(cluster) {
            return;
        }
        cluster.turn();
    }
    panic!("{what}: {:?} holds {:?}", cluster.state().position, cluster.held());
}

fn is_at(cluster: &Simulated, step: &str, stage: &str) -> bool {
    cluster.state().step().is_some_and(|it| it.to_string() == step) && cluster.stage() == Some(stage)
}

fn until_another_attempt_failed(cluster: &mut Simulated) {
    let attempt = |cluster: &Simulated| cluster.state().token().map_or(0, |token| token.attempt);
    let before = attempt(cluster);
    until(cluster, "it waits again", |it| attempt(it) > before && !because(it).is_empty());
}

/// Why the attempt before the one that waits has ended.
fn because(cluster: &Simulated) -> Vec<Finding> {
    match cluster.state().position {
        Position::Waiting(it) => it.because,
        _ => Vec::new(),
    }
}

fn accept(reason: Option<Reason>, subject: &str, until: &str) -> Accept {
    Accept {
        check: "disruption_budgets".to_owned(),
        subject: subject.to_owned(),
        reason,
        why: "the operator moves the primary".to_owned(),
        by: "ops".to_owned(),
        until: until.parse().unwrap(),
    }
}

#[test]
fn a_budget_that_an_operator_may_move_holds_preflight_until_it_is_accepted_by_name() {
    type Word = fn(&mut Simulated);
    let others: [Word; 5] = [
        |it| it.run.spec.accept_risks = vec!["pdb_may_move".to_owned(), "pdb_blocked".to_owned()],
        |it| {
            it.run.spec.accept_risks =
                vec!["pdb_may_move@".to_owned(), "pdb_may_move@other/db-primary".to_owned()]
        },
        |it| it.accepts = Accepts(vec![accept(None, "default/other", "2026-12-31")]),
        |it| it.accepts = Accepts(vec![accept(None, "default/db-primary", "2025-12-31")]),
        |it| {
            let of_another =
                Accept { check: "addons".to_owned(), ..accept(None, "default/db-primary", "2026-12-31") };
            it.accepts = Accepts(vec![of_another]);
        },
    ];
    let words: [Word; 3] = [
        |it| it.run.spec.accept_risks = vec!["pdb_may_move@default/db-primary".to_owned()],
        |it| it.accepts = Accepts(vec![accept(None, "default/db-primary", "2026-12-31")]),
        |it| it.accepts = Accepts(vec![accept(Some(Reason::PdbMayMove), "default/db-primary", "2026-12-31")]),
    ];
    for (number, word) in words.into_iter().enumerate() {
        let mut cluster = with_database(80);
        let holds = |cluster: &mut Simulated| {
            until_another_attempt_failed(cluster);
            assert!(cluster.state().finished.is_empty(), "{number}: {:?}", cluster.state());
            let found = because(cluster);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(
                (found[0].reason, found[0].subject.as_str()),
                (Reason::PdbMayMove, "default/db-primary")
            );
            let told =
                ["wants 1 of 1", "pod-0-w-1 of Cluster db", "an operator moves it", "belongs to Cluster db"];
            assert!(told.iter().all(|part| found[0].detail.contains(part)), "{}", found[0]);
        };
        for other in others.into_iter().filter(|_| number == 0) {
            other(&mut cluster);
            holds(&mut cluster);
            (cluster.run.spec.accept_risks, cluster.accepts) = (Vec::new(), Accepts::default());
        }
        holds(&mut cluster);
        word(&mut cluster);
        cluster.run_to_the_end();
    }
}

#[test]
fn one_budget_that_never_has_room_may_be_accepted_without_all_the_others() {
    let mut cluster = with_database(81);
    cluster
        .pods_mut()
        .for_each(|pod| pod.controller = Some(Controller { kind: "Job".to_owned(), name: "j".to_owned() }));
    cluster.pods_mut().for_each(|pod| {
        pod.labels.insert("role".to_owned(), "primary".to_owned());
    });
    cluster.run.spec.accept_risks = vec!["pdb_blocked@default/other".to_owned()];
    until_another_attempt_failed(&mut cluster);
    assert_eq!(because(&cluster)[0].reason, Reason::PdbBlocked, "{:?}", because(&cluster));
    cluster.run.spec.accept_risks = vec!["pdb_blocked@default/db-primary".to_owned()];
    cluster.run_to_the_end();
}

#[test]
fn a_drain_waits_for_the_operator_and_tries_again_after_its_deadline() {
    let mut cluster = with_database(82);
    cluster.run.spec.accept_risks = vec!["pdb_may_move@default/db-primary".to_owned()];
    cluster.verdict = vec![Finding::new(Reason::PdbMayMove, "default/db-primary", "")];
    cluster.refused_pod = Some(PRIMARY.to_owned());
    until(&mut cluster, "one pod is left", |it| is_at(it, "worker/w-1", "drain") && it.pods_on("w-1") == 1);
    for _ in 0..100 {
        cluster.turn();
        assert!(is_at(&cluster, "worker/w-1", "drain"), "{:?}", cluster.state().position);
    }
    assert!(cluster.holds().contains(&"pdb_blocked".to_owned()), "{:?}", cluster.holds());
    until(&mut cluster, "the deadline", |it| matches!(it.state().position, Position::Waiting(_)));
    assert!(!cluster.is_unschedulable("w-1") && !cluster.is_sent("w-1"));
    assert_eq!(because(&cluster)[0].reason, Reason::DrainDeadline);
    cluster.refused_pod = None;
    cluster.run_to_the_end();
}

#[test]
fn a_pod_of_an_operator_does_not_keep_the_alert_path_from_leaving_whose_volume_it_serves() {
    let mut cluster = with_database(83);
    cluster.budgets.clear();
    for pod in cluster.pods_mut().filter(|pod| pod.name == "pod-1-w-1") {
        pod.labels.insert("app.kubernetes.io/name".to_owned(), "prometheus".to_owned());
    }
    cluster.refused_pod = Some(PRIMARY.to_owned());
    until(&mut cluster, "prometheus has left", |it| {
        is_at(it, "worker/w-1", "drain") && it.pods_on("w-1") == 1
    });
    cluster.refused_pod = None;
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn what_is_locked_only_while_a_node_is_out_of_service_keeps_no_node_from_being_upgraded() {
    for seed in 84..88 {
        let faults =
            Faults { crash_percent: 2, lost_answer_percent: 2, conflict_percent: 2, ..Faults::default() };
        let mut cluster = Simulated::new(2, 3, seed, faults);
        cluster.storage_is_locked_while_a_node_is_out = true;
        cluster.run_to_the_end();
        cluster.assert_upgraded_once_each();
    }
}

/// Until the first attempt on w-1 has failed with its change half done, in a cluster whose storage is locked by that.
fn half_done(seed: u64) -> Simulated {
    let mut cluster = Simulated::new(1, 2, seed, Faults::default());
    cluster.storage_is_locked_while_a_node_is_out = true;
    cluster.failing_node = Some("w-1".to_owned());
    until(&mut cluster, "a failed attempt", |it| {
        it.state().attempted.iter().any(|attempted| attempted.begun)
    });
    cluster.failing_node = None;
    assert!(cluster.is_unschedulable("w-1"));
    cluster
}

#[test]
fn a_node_that_is_half_done_is_finished_though_others_wait_for_it() {
    half_done(90).run_to_the_end();

    // A person pauses meanwhile, which gives the token back.
    let mut cluster = half_done(91);
    cluster.run.spec.paused = true;
    cluster.turns(20);
    assert_eq!(cluster.state().position, Position::Open);
    cluster.run.spec.paused = false;
    cluster.run_to_the_end();

    // What is not caused by it holds as ever.
    let mut cluster = half_done(92);
    cluster.verdict = vec![Finding::new(Reason::WebhookDead, "a", "")];
    cluster.turns(500);
    assert_eq!(cluster.version_of("w-1"), "v1.36.1");
    assert!(cluster.holds().contains(&"webhook_dead".to_owned()), "{:?}", cluster.holds());
}

#[test]
fn budgets_hold_no_run_that_drains_nothing_any_more() {
    let mut cluster = Simulated::new(1, 2, 93, Faults::default());
    cluster.run.spec.skip = vec!["w-2".to_owned()];
    until(&mut cluster, "w-1 is done", |it| it.version_of("w-1") == "v1.36.3");
    cluster.verdict = vec![Finding::new(Reason::PdbBlocked, "default/web", "")];
    cluster.run_to_the_end();
    assert_eq!(cluster.version_of("w-2"), "v1.36.1");
}

#[test]
fn budgets_hold_the_next_node_and_its_cordon() {
    let mut cluster = Simulated::new(1, 2, 94, Faults::default());
    until(&mut cluster, "w-2 is begun", |it| is_at(it, "worker/w-2", "cordon"));
    cluster.verdict = vec![Finding::new(Reason::PdbMayMove, "default/db", "")];
    for _ in 0..50 {
        cluster.turn();
        assert!(!cluster.is_unschedulable("w-2"));
    }
    assert!(cluster.holds().contains(&"pdb_may_move".to_owned()), "{:?}", cluster.holds());
    cluster.verdict.clear();
    cluster.run_to_the_end();
}
