//! A whole run of the Job driver: its steps, its stages, and what is known of a Job around the moment at which it is let go.

use lockkeeper_rules::driver::task::Task;
use lockkeeper_rules::reason::Reason;
use lockkeeper_rules::run::{Position, Work};

use crate::deletion::{assert_let_go, delete_and_wait};
use crate::simulated::{Faults, Simulated};

const NODES: [&str; 3] = ["cp-1", "w-1", "w-2"];

fn assert_changed_once_each(cluster: &Simulated) {
    for node in NODES {
        assert_eq!(cluster.version_of(node), cluster.run.spec.target, "{node}");
        let counts = [Task::Prepare, Task::Upgrade].map(|task| cluster.released(task, node));
        assert_eq!(counts, [1, 1], "{node}");
    }
}

/// The uid that is stored of the Job that comes next, and whether it may have been let go.
fn stored(cluster: &Simulated) -> Option<(Option<String>, bool)> {
    let it = cluster.running()?;
    it.intent.map(|intent| (intent.created, !intent.unsent))
}

/// Turns until something holds.
fn until(cluster: &mut Simulated, holds: impl Fn(&Simulated) -> bool) {
    for _ in 0..20_000 {
        if holds(cluster) {
            return;
        }
        cluster.turn();
    }
    panic!("it never holds: {:?}", cluster.state());
}

fn is_between_steps(cluster: &Simulated) -> bool {
    cluster.running().is_none()
}

#[test]
fn a_run_goes_from_node_to_node_and_through_the_stages_of_each() {
    let mut cluster = Simulated::with_jobs(1, 2, 61, Faults::default());
    let mut stages = Vec::new();
    for _ in 0..20_000 {
        if cluster.is_over() {
            break;
        }
        cluster.turn();
        if let Some(it) = cluster.running()
            && let Work::OneNode(work) = &it.work
            && it.step.to_string() == "node/w-1"
            && stages.last() != Some(&work.stage.name())
        {
            stages.push(work.stage.name());
        }
        assert_eq!(cluster.halted(), None);
    }
    cluster.run_to_the_end();
    assert_eq!(cluster.started, ["preflight", "node/cp-1", "node/w-1", "node/w-2", "postflight"]);
    assert_eq!(stages, ["prepare", "cordon", "drain", "mutate", "verify", "uncordon"]);
    assert!(cluster.state().snapshot.is_none(), "no etcd snapshot is asked for");
    assert_changed_once_each(&cluster);
}

#[test]
fn a_job_that_fails_uses_the_attempts_of_its_step_and_its_node_stays_out_of_service() {
    let mut cluster = Simulated::with_jobs(1, 2, 62, Faults::default());
    cluster.jobs_mut().failing.insert("w-1".to_owned(), 3);
    cluster.turns(20_000);
    assert_eq!(cluster.halted(), Some("attempts_exhausted".to_owned()));
    assert_eq!(cluster.started.iter().filter(|step| *step == "node/w-1").count(), 3);
    assert_eq!((cluster.released(Task::Upgrade, "w-1"), cluster.released(Task::Upgrade, "w-2")), (3, 0));
    assert!(cluster.is_unschedulable("w-1"), "its change has begun");
    cluster.retry_what_halted();
    cluster.turn();
    cluster.run_to_the_end();
    assert_eq!(cluster.version_of("w-1"), cluster.run.spec.target);
}

#[test]
fn a_restart_around_the_moment_at_which_a_job_is_let_go_neither_loses_nor_repeats_it() {
    // Created and not stored, stored and not let go, let go.
    for moment in [(None, false), (Some("job-4".to_owned()), false), (Some("job-4".to_owned()), true)] {
        let mut cluster = Simulated::with_jobs(1, 2, 63, Faults::default());
        // The second Job of the second node; that of the first node's change is gone by then.
        until(&mut cluster, |it| it.released(Task::Prepare, "w-1") == 1 && it.stage() == Some("mutate"));
        until(&mut cluster, |it| stored(it) == Some(moment.clone()));
        if moment.0.is_none() {
            until(&mut cluster, |it| it.jobs_created() == 4);
            assert_eq!(stored(&cluster), Some(moment));
        }
        cluster.crash_now();
        cluster.run_to_the_end();
        assert_changed_once_each(&cluster);
    }
}

#[test]
fn a_job_that_is_gone_after_it_was_let_go_ends_the_attempt_as_one_that_may_have_begun() {
    let mut cluster = Simulated::with_jobs(1, 2, 64, Faults::default());
    cluster.jobs_mut().vanishing = Some("w-1".to_owned());
    until(&mut cluster, |it| it.released(Task::Upgrade, "w-1") == 1);
    until(&mut cluster, is_between_steps);
    let state = cluster.state();
    assert!(state.begun_on(&"w-1".into(), "uid-w-1").is_some(), "{state:?}");
    assert!(cluster.is_unschedulable("w-1"));
    cluster.run_to_the_end();
    assert_eq!(cluster.released(Task::Upgrade, "w-1"), 2);
}

#[test]
fn a_job_that_is_gone_before_it_was_let_go_has_not_begun_and_the_node_is_given_back() {
    let mut cluster = Simulated::with_jobs(1, 2, 65, Faults::default());
    until(&mut cluster, |it| it.stage() == Some("mutate") && matches!(stored(it), Some((Some(_), false))));
    // The gate closes, so that nothing lets it go for a while.
    cluster.gate_is_shut = true;
    cluster.delete_unreleased_jobs();
    until(&mut cluster, is_between_steps);
    let Position::Waiting(it) = cluster.state().position else { panic!("{:?}", cluster.state()) };
    assert!(it.because.iter().any(|why| why.reason == Reason::UnitNotBegun), "{:?}", it.because);
    assert!(cluster.state().attempted.iter().all(|it| !it.begun), "{:?}", cluster.state().attempted);
    assert!(!cluster.is_unschedulable("cp-1") && cluster.released(Task::Upgrade, "cp-1") == 0);
    cluster.gate_is_shut = false;
    cluster.run_to_the_end();
    assert_eq!(cluster.released(Task::Upgrade, "cp-1"), 1);
}

#[test]
fn whatever_goes_wrong_every_node_is_changed_and_given_back() {
    for seed in 0..12 {
        let faults = Faults {
            crash_percent: 2,
            gate_closed_percent: 10,
            lost_answer_percent: 5,
            conflict_percent: 5,
            unit_fails_percent: 0,
        };
        let mut cluster = Simulated::with_jobs(1, 2, 100 + seed, faults);
        cluster.run_to_the_end();
        for node in NODES {
            assert_eq!(cluster.version_of(node), cluster.run.spec.target, "{node}, seed {seed}");
        }
    }
}

#[test]
fn a_run_that_is_deleted_while_a_node_is_prepared_ends_with_the_node_in_service() {
    let mut cluster = Simulated::with_jobs(1, 2, 66, Faults::default());
    until(&mut cluster, |it| it.released(Task::Prepare, "cp-1") == 1);
    delete_and_wait(&mut cluster);
    assert_let_go(&cluster, "cp-1");
    assert_eq!(cluster.released(Task::Upgrade, "cp-1"), 0);
}
