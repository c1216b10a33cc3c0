use super::*;
use crate::api::{
    ActiveStep, CordonedNodes, Halt, NodeBefore, StoredFinding, UpgradeRunSpec, UpgradeRunStatus, WaitingStep,
};
use crate::cluster::inventory::Inventory;
use crate::cluster::snapshot::{Snapshot, Source, served_apart};
use crate::publish::metric::node_state::node_state;
use crate::publish::metric::{Memory, Sample, TABLE, samples};
use crate::verdict::healthy;
use jiff::Timestamp;

const TOKEN: &str = "0b9f3c6e-1111-4222-8333-444455556666.7.2.00ff00ff00ff00ff";

fn at() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn run(phase: RunPhase, change: impl FnOnce(&mut UpgradeRunStatus)) -> UpgradeRun {
    let status = serde_json::json!({"schemaVersion": 1, "phase": "Queued", "sequence": 7});
    let mut status: UpgradeRunStatus = serde_json::from_value(status).unwrap();
    status.phase = phase;
    change(&mut status);
    UpgradeRun {
        namespace: "k8s-upgrade".to_owned(),
        name: "patch".to_owned(),
        uid: TOKEN.split('.').next().unwrap().to_owned(),
        resource_version: "1".to_owned(),
        generation: 1,
        created_at: Some(at()),
        deleting: false,
        has_finalizer: true,
        spec: UpgradeRunSpec { target: "v1.36.3".to_owned(), ..UpgradeRunSpec::default() },
        status: Some(status),
    }
}

fn waiting(step: &str) -> Option<WaitingStep> {
    let waiting = serde_json::json!({"step": step, "token": TOKEN, "mintedAt": at(), "notBefore": at()});
    Some(serde_json::from_value(waiting).unwrap())
}

fn active(step: &str) -> ActiveStep {
    let active = serde_json::json!({"step": step, "token": TOKEN, "startedAt": at(), "stageSince": at()});
    serde_json::from_value(active).unwrap()
}

/// Every series as text, for the runs given.
fn shown(runs: Vec<UpgradeRun>) -> Vec<String> {
    let mut cluster = healthy();
    cluster.snapshot.runs = Source::read(runs, cluster.now);
    let verdicts = [cluster.verdict("v1.36.3")];
    samples(&cluster.case(), &verdicts, &Memory::default()).iter().map(text).collect()
}

fn text(sample: &Sample) -> String {
    let labels: Vec<_> = sample
        .metric
        .labels
        .iter()
        .zip(&sample.labels)
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!(
        "{}{{{}}} {}",
        sample.metric.name.trim_start_matches("k8s_upgrade_"),
        labels.join(","),
        sample.value
    )
}

fn has(shown: &[String], line: &str) -> bool {
    shown.iter().any(|one| one == line)
}

#[test]
fn a_waiting_step_is_pending_with_its_token_and_class() {
    let shown = shown(vec![run(RunPhase::Waiting, |status| status.waiting = waiting("worker/w-1"))]);
    let line =
        format!("step_pending{{run=patch,step=worker/w-1,phase=worker,token={TOKEN},gate_class=mutating}} 1");
    assert!(has(&shown, &line), "{shown:#?}");
    assert!(has(&shown, &format!("step_not_before_timestamp_seconds{{token={TOKEN}}} 1767323045")));
    assert!(
        has(&shown, "in_flight{} 1")
            && has(&shown, "phase{phase=worker} 1")
            && has(&shown, "phase{phase=idle} 0")
    );
    assert!(!shown.iter().any(|line| line.starts_with("step_running")));
}

#[test]
fn of_a_run_whose_namespace_is_not_served_nothing_is_shown_and_no_step_is_offered() {
    let mut cluster = healthy();
    let waits = run(RunPhase::Waiting, |status| status.waiting = waiting("worker/w-1"));
    let namespace = waits.namespace.clone();
    let list = Source::read(vec![waits], cluster.now);
    for (served, is_shown) in [(namespace, true), ("another".to_owned(), false)] {
        (cluster.snapshot.runs, cluster.snapshot.runs_elsewhere) = served_apart(list.clone(), &[served]);
        let verdicts = [cluster.verdict("v1.36.3")];
        let all = samples(&cluster.case(), &verdicts, &Memory::default());
        let shown: Vec<String> = all.iter().map(text).collect();
        for word in ["step_", "run=patch", "in_flight{} 1", "state=pending} 1"] {
            assert_eq!(shown.iter().any(|line| line.contains(word)), is_shown, "{word}: {shown:#?}");
        }
    }
}

#[test]
fn what_goes_on_beside_a_failed_step_is_shown_and_each_failed_node_is() {
    let failed = |step: &str| {
        let finding = StoredFinding {
            reason: "unit_failed".to_owned(),
            subject: String::new(),
            detail: String::new(),
            words: String::new(),
        };
        Halt { step: step.to_owned(), attempt: 1, at: at(), finding }
    };
    let at_work = || ActiveStep {
        stage: Some("drain".to_owned()),
        node: Some(NodeBefore {
            alone: false,
            name: "w-2".into(),
            uid: "n".to_owned(),
            machine_id: None,
            kubelet_version: "v1.36.1".to_owned(),
            unschedulable: false,
        }),
        ..active("worker/w-2")
    };
    let goes_on = run(RunPhase::Running, |status| {
        status.active = vec![at_work()];
        status.failed = vec![failed("worker/w-1")];
    });
    let halting = run(RunPhase::Halted, |status| {
        status.active = vec![at_work()];
        status.halted = Some(failed("worker/w-1"));
    });
    for run in [goes_on, halting] {
        let shown = shown(vec![run]);
        assert!(
            shown.iter().any(|line| line.starts_with("step_running{run=patch,step=worker/w-2")),
            "{shown:#?}"
        );
        assert!(!shown.iter().any(|line| line.starts_with("step_pending")), "{shown:#?}");
        assert!(has(&shown, "node_state{node=w-1,state=failed} 1"), "{shown:#?}");
    }
}

#[test]
fn nothing_of_a_halted_or_succeeded_run_is_pending_or_running() {
    let both = |status: &mut UpgradeRunStatus| {
        status.waiting = waiting("preflight");
        status.active = vec![active("worker/w-1")];
    };
    let halted = run(RunPhase::Halted, |status| {
        both(status);
        let finding = StoredFinding {
            reason: "unit_failed".to_owned(),
            subject: String::new(),
            detail: String::new(),
            words: String::new(),
        };
        status.halted = Some(Halt { step: "worker/w-1".to_owned(), attempt: 1, at: at(), finding });
    });
    for (run, in_flight, node) in [(halted, 1, "failed"), (run(RunPhase::Succeeded, both), 0, "nothing")] {
        let shown = shown(vec![run]);
        assert!(!shown.iter().any(|line| line.starts_with("step_")), "{shown:#?}");
        assert!(has(&shown, &format!("in_flight{{}} {in_flight}")));
        assert_eq!(has(&shown, "node_state{node=w-1,state=failed} 1"), node == "failed");
    }
}

#[test]
fn a_run_whose_status_cannot_be_read_is_said_and_nothing_of_it_is_pending_or_running() {
    let unknown_hold = |status: &mut UpgradeRunStatus| {
        let hold = serde_json::json!({"reason": "dancing", "remedy": "", "since": at()});
        status.holds = vec![serde_json::from_value(hold).unwrap()];
        status.waiting = waiting("preflight");
    };
    let waits_and_runs = |status: &mut UpgradeRunStatus| {
        (status.waiting, status.active) = (waiting("preflight"), vec![active("preflight")]);
    };
    for (broken, reason) in [
        (run(RunPhase::Waiting, unknown_hold), "status_malformed"),
        (run(RunPhase::Running, waits_and_runs), "status_malformed"),
        (run(RunPhase::Ending, |status| status.schema_version = 3), "status_newer"),
    ] {
        let shown = shown(vec![broken]);
        assert!(has(&shown, "run_unreadable{run=patch} 1"), "{shown:#?}");
        assert!(has(&shown, &format!("hold_reason{{run=patch,reason={reason}}} 1")), "{shown:#?}");
        assert!(!shown.iter().any(|line| line.starts_with("step_")), "{shown:#?}");
    }
}

#[test]
fn a_run_that_is_unreadable_is_said_once_and_by_no_other_word_even_if_it_is_over() {
    let halted = run(RunPhase::Halted, |status| {
        status.schema_version = 0;
        let finding = serde_json::json!({"reason": "status_malformed", "detail": "status cannot be read"});
        let halt = serde_json::json!({"attempt": 0, "at": at(), "finding": finding});
        status.halted = serde_json::from_value(halt).unwrap();
    });
    let told = unreadable(&halted).unwrap();
    assert_eq!(told.to_string(), "status_malformed: status cannot be read");
    let of_halted = shown(vec![halted]);
    assert!(has(&of_halted, "run_unreadable{run=patch} 1") && has(&of_halted, "halted{} 0"));
    let broken = |status: &mut UpgradeRunStatus| status.from = Some("latest".to_owned());
    assert!(has(&shown(vec![run(RunPhase::Succeeded, broken)]), "run_unreadable{run=patch} 1"));
    // The same name in another namespace is the same series.
    let both = shown(vec![run(RunPhase::Waiting, |_| {}), run(RunPhase::Succeeded, broken)]);
    assert_eq!(both.iter().filter(|line| line.starts_with("run_unreadable")).count(), 1);
    assert!(has(&both, "run_unreadable{run=patch} 1"));
    let fine = shown(vec![run(RunPhase::Waiting, |_| {})]);
    assert!(has(&fine, "run_unreadable{run=patch} 0"), "{fine:#?}");
    assert!(!shown(vec![run(RunPhase::Succeeded, |_| {})]).iter().any(|it| it.starts_with("run_unr")));
}

#[test]
fn no_other_run_hides_that_one_has_halted() {
    let halted = run(RunPhase::Halted, |status| {
        let halt = serde_json::json!({"step": "worker/w-1", "attempt": 3, "at": at(),
                                      "finding": {"reason": "attempts_exhausted"}});
        status.halted = Some(serde_json::from_value(halt).unwrap());
    });
    for phase in [RunPhase::Running, RunPhase::Waiting, RunPhase::Queued, RunPhase::Ending] {
        let mut other = run(phase, |status| status.waiting = waiting("preflight"));
        other.name = "a".to_owned();
        let shown = shown(vec![other, halted.clone()]);
        assert!(has(&shown, "halted{} 1"), "{phase:?}: {shown:#?}");
        // Nothing is wrong with the node that another run is at work on.
        let is_failed = has(&shown, "node_state{node=w-1,state=failed} 1");
        assert_eq!(is_failed, !matches!(phase, RunPhase::Running | RunPhase::Ending), "{phase:?}");
    }
    let over = run(RunPhase::Succeeded, |status| status.halted = halted.status.unwrap().halted);
    assert!(has(&shown(vec![over]), "halted{} 0"), "one that is over is no concern");
}

#[test]
fn a_run_that_has_begun_is_meant_rather_than_one_that_was_never_let_in() {
    let mut other = run(RunPhase::Waiting, |status| status.waiting = waiting("preflight"));
    other.name = "a".to_owned();
    let begun = run(RunPhase::Waiting, |status| status.started_at = Some(at()));
    assert_eq!(current_run(&[other, begun]).unwrap().name, "patch");
}

#[test]
fn a_step_on_every_node_runs_since_its_node_and_a_step_of_one_node_since_it_began() {
    let later = at() + jiff::SignedDuration::from_secs(60);
    let since = |step: &str, node: Option<&str>| {
        let node = node.map(|name| NodeBefore {
            alone: false,
            name: name.into(),
            uid: String::new(),
            machine_id: None,
            kubelet_version: String::new(),
            unschedulable: false,
        });
        let stage = node.as_ref().map(|_| "drain".to_owned());
        let active = ActiveStep { node, stage, stage_since: later, ..active(step) };
        let shown = shown(vec![run(RunPhase::Running, |status| status.active = vec![active])]);
        let line = shown.iter().find(|line| line.starts_with("step_running_since")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<i64>().unwrap() - at().as_second()
    };
    assert_eq!((since("prepare", None), since("worker/w-1", Some("w-1"))), (60, 0));
}

#[test]
fn a_step_whose_words_cannot_be_read_is_not_offered_for_a_permit() {
    for (step, token) in [("worker/", TOKEN), ("worker/w-1", "forged")] {
        let broken = run(RunPhase::Waiting, |status| {
            status.waiting = waiting(step);
            status.waiting.as_mut().unwrap().token = token.to_owned();
        });
        assert!(!shown(vec![broken]).iter().any(|line| line.starts_with("step_")), "{step} {token}");
    }
}

#[test]
fn a_node_has_exactly_one_state_in_a_run_and_none_without() {
    let running = run(RunPhase::Running, |status| status.active = vec![active("worker/w-1")]);
    let ones = |shown: &[String]| {
        shown
            .iter()
            .filter(|line| line.starts_with("node_state") && line.ends_with(" 1"))
            .cloned()
            .collect::<Vec<_>>()
    };
    let of_run = ones(&shown(vec![running]));
    assert_eq!(of_run, ["node_state{node=cp-1,state=pending} 1", "node_state{node=w-1,state=upgrading} 1"]);
    assert_eq!(ones(&shown(Vec::new())), Vec::<String>::new());
}

/// What is shown of w-1 while its step waits, cordoned as said, under a token of this attempt.
fn state_while_waiting(cordoned_nodes: CordonedNodes, attempt: u32, cordon: Option<Option<&str>>) -> String {
    let token = format!("0b9f3c6e-1111-4222-8333-444455556666.7.{attempt}.00ff00ff00ff00ff");
    let mut run = run(RunPhase::Waiting, |status| {
        status.waiting = waiting("worker/w-1").map(|it| WaitingStep { token, ..it });
    });
    run.spec.cordoned_nodes = cordoned_nodes;
    let cluster = healthy();
    let mut node =
        cluster.snapshot.nodes.value.unwrap().into_iter().find(|node| node.name.0 == "w-1").unwrap();
    node.unschedulable = cordon.is_some();
    node.cordoned_by = cordon.flatten().map(str::to_owned);
    node_state(&node, &run).to_owned()
}

#[test]
fn a_node_whose_next_attempt_waits_is_at_work_while_it_is_out_of_service_for_it_and_else_is_not() {
    use CordonedNodes::{Hold, Upgrade};
    let (ours, theirs) =
        (Some(Some("0b9f3c6e-1111-4222-8333-444455556666.6.1.00ff00ff00ff00ff")), Some(None));
    let of_another_run = Some(Some("v.6.1.00ff00ff00ff00ff"));
    for (cordoned_nodes, attempt, cordon, expected) in [
        (Hold, 2, ours, "upgrading"),
        // Paused after the failure, and minted anew.
        (Hold, 1, ours, "upgrading"),
        (Upgrade, 2, theirs, "upgrading"),
        // A fresh step needs its node Ready, and so does one whose node was put back.
        (Hold, 1, None, "pending"),
        (Hold, 2, None, "pending"),
        (Upgrade, 2, None, "pending"),
        (Upgrade, 1, theirs, "pending"),
        (Hold, 2, theirs, "pending"),
        (Hold, 2, of_another_run, "pending"),
    ] {
        let shown = state_while_waiting(cordoned_nodes, attempt, cordon);
        assert_eq!(shown, expected, "{cordoned_nodes:?} {attempt} {cordon:?}");
    }
}

#[test]
fn before_anything_is_read_nothing_is_claimed() {
    let mut cluster = healthy();
    (cluster.snapshot, cluster.inventory) = (Snapshot::unread(), Inventory::unread());
    let shown: Vec<_> = samples(&cluster.case(), &[], &Memory::default()).iter().map(text).collect();
    assert!(has(&shown, "source_up{source=kube_api} 0"), "{shown:#?}");
    for claim in ["state_timestamp", "in_flight", "node_", "step_", "phase"] {
        assert!(!shown.iter().any(|line| line.starts_with(claim)), "{claim}");
    }
}

#[test]
fn no_series_stands_twice_and_every_metric_is_in_the_table() {
    let mut cluster = healthy();
    let waits = vec![run(RunPhase::Waiting, |status| status.waiting = waiting("preflight"))];
    cluster.snapshot.runs = Source::read(waits, cluster.now);
    let verdicts = [cluster.verdict("v1.36.3")];
    let samples = samples(&cluster.case(), &verdicts, &Memory::default());
    let series: std::collections::BTreeSet<_> =
        samples.iter().map(|it| (it.metric.name, &it.labels)).collect();
    assert_eq!(series.len(), samples.len());
    assert!(samples.iter().all(|sample| TABLE.contains(&sample.metric)));
}

#[test]
fn the_current_run_is_the_one_that_is_furthest() {
    let mut queued = run(RunPhase::Queued, |_| {});
    queued.name = "a".to_owned();
    let runs = [queued, run(RunPhase::Running, |_| {}), run(RunPhase::Succeeded, |_| {})];
    assert_eq!(current_run(&runs).unwrap().name, "patch");
    assert_eq!(current_run(&runs[2..]), None);
}
