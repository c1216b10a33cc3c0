//! When a run last came further: what people are told by when it stands still, whatever it stands still for.

use jiff::Timestamp;

use super::current::is_halted;
use crate::api::{ActiveStep, RunPhase, UpgradeRun, UpgradeRunStatus};
use crate::run::{NOT_BEGUN, unreadable};
use crate::words::name::Token;

/// When this run last came further than it ever had been; nothing where that would say nothing: while it has halted
/// or cannot be read, while it is queued behind another open run, and while a step runs that it has never tried
/// before. One that runs again has failed, and one that is done again was over before: neither is a step forward.
pub(super) fn progressed_at(run: &UpgradeRun, runs: &[UpgradeRun]) -> Option<Timestamp> {
    let Some(status) = &run.status else { return run.created_at };
    let is_behind_another = status.phase == RunPhase::Queued
        && runs.iter().any(|other| {
            other.uid != run.uid && other.is_open() && phase(other).is_some_and(|it| it != RunPhase::Queued)
        });
    let is_told_otherwise = is_halted(run) || unreadable(run).is_some();
    if is_told_otherwise || is_behind_another || status.active.iter().any(|active| is_new(active, status)) {
        return None;
    }
    // The end of a soak: until then a run stands still because it should.
    let times = [run.created_at, status.started_at, status.progressed_at, status.soak_until];
    times.into_iter().flatten().max()
}

fn phase(run: &UpgradeRun) -> Option<RunPhase> {
    run.status.as_ref().map(|status| status.phase)
}

fn is_new(active: &ActiveStep, status: &UpgradeRunStatus) -> bool {
    active.token.parse::<Token>().is_ok_and(|token| token.attempt == 1)
        && !status.finished.iter().any(|finished| finished.step == active.step)
        && !status.history.iter().any(|line| line.step == active.step && line.event.starts_with(NOT_BEGUN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::UpgradeRunSpec;
    use serde_json::{Value, json};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
    }

    fn run(uid: &str, status: &Value) -> UpgradeRun {
        let mut whole = json!({"schemaVersion": 1, "sequence": 9});
        whole.as_object_mut().unwrap().extend(status.as_object().cloned().unwrap_or_default());
        UpgradeRun {
            namespace: "a".to_owned(),
            name: uid.to_owned(),
            uid: uid.to_owned(),
            resource_version: String::new(),
            generation: 1,
            created_at: Some(at(0)),
            deleting: false,
            has_finalizer: true,
            spec: UpgradeRunSpec::default(),
            status: (!status.is_null()).then(|| serde_json::from_value(whole).unwrap()),
        }
    }

    fn active(step: &str, attempt: u32) -> Value {
        json!([{"step": step, "token": format!("u.9.{attempt}.00ff"), "startedAt": at(9), "stageSince": at(9)}])
    }

    #[test]
    fn a_run_has_progressed_when_it_was_made_begun_or_came_further_and_when_its_soak_ends() {
        for (status, expected) in [
            (Value::Null, at(0)),
            (json!({"phase": "Waiting"}), at(0)),
            (json!({"phase": "Waiting", "startedAt": at(1)}), at(1)),
            (json!({"phase": "Waiting", "startedAt": at(1), "progressedAt": at(3)}), at(3)),
            (json!({"phase": "Waiting", "progressedAt": at(3), "soakUntil": at(13)}), at(13)),
            (json!({"phase": "Ending", "progressedAt": at(3)}), at(3)),
        ] {
            let run = run("u", &status);
            assert_eq!(progressed_at(&run, std::slice::from_ref(&run)), Some(expected), "{status}");
        }
    }

    #[test]
    fn a_step_that_runs_is_no_standing_still_unless_it_failed_or_was_over_before() {
        let finished =
            json!([{"step": "preflight", "token": "u.1.1.00ff", "startedAt": at(1), "finishedAt": at(2)}]);
        for (step, attempt, expected) in [
            ("snapshot", 1, None),
            ("snapshot", 2, Some(at(3))),
            // Done again because it is too old by now.
            ("preflight", 1, Some(at(3))),
        ] {
            let status = json!({"phase": "Running", "progressedAt": at(3), "finished": finished,
                                "active": active(step, attempt)});
            let run = run("u", &status);
            assert_eq!(progressed_at(&run, std::slice::from_ref(&run)), expected, "{step} {attempt}");
        }
    }

    #[test]
    fn a_step_that_a_node_refused_to_begin_stands_still_though_its_attempt_is_the_first() {
        let mut active = active("control-plane/a", 1);
        active[0]["stage"] = json!("cordon");
        active[0]["node"] =
            json!({"name": "a", "uid": "n", "kubeletVersion": "v1.35.4", "unschedulable": false});
        let status = |history: Value| json!({"phase": "Running", "progressedAt": at(3), "active": active, "history": history});
        let line = |step: &str, event: &str| json!([{"at": at(4), "step": step, "event": event}]);
        for (history, expected) in [
            (line("control-plane/a", "started"), None),
            (line("control-plane/a", "not begun: config_drift a"), Some(at(3))),
            (line("control-plane/b", "not begun: config_drift b"), None),
        ] {
            let run = run("u", &status(history.clone()));
            assert_eq!(unreadable(&run), None);
            assert_eq!(progressed_at(&run, std::slice::from_ref(&run)), expected, "{history}");
        }
    }

    #[test]
    fn whoever_is_queued_behind_a_run_that_speaks_for_itself_says_nothing() {
        let queued = run("u", &json!({"phase": "Queued"}));
        for (other, expected) in [("Waiting", None), ("Queued", Some(at(0))), ("Succeeded", Some(at(0)))] {
            let runs = [queued.clone(), run("v", &json!({"phase": other}))];
            assert_eq!(progressed_at(&runs[0], &runs), expected, "{other}");
        }
    }

    #[test]
    fn a_halted_run_is_told_of_otherwise() {
        let run = run("u", &json!({"phase": "Halted", "progressedAt": at(3)}));
        assert_eq!(progressed_at(&run, std::slice::from_ref(&run)), None);
    }
}
