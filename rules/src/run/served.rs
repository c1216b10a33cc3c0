//! A run of a namespace that is not served is told so, and nothing else happens to it.

use jiff::Timestamp;

use super::moves::hold;
use super::state::{Position, State};
use super::status::{Shown, status};
use crate::api::{UpgradeRun, UpgradeRunStatus};
use crate::reason::{Finding, Reason};

/// Why nothing is done for a run of such a namespace.
#[must_use]
pub fn not_served(namespace: &str) -> Finding {
    Finding::new(Reason::NotServed, namespace, "")
}

/// The status that tells the run so; nothing if it says so already, is over, or cannot be read. Where the run stands is
/// left as it is written: it may have been served before, and may hold a node.
#[must_use]
pub fn status_not_served(run: &UpgradeRun, now: Timestamp) -> Option<UpgradeRunStatus> {
    let state = State::parse(run.status.as_ref(), &run.uid).ok()?;
    if matches!(state.position, Position::Succeeded { .. }) {
        return None;
    }
    let before = run.status.as_ref().map(|status| &status.summary);
    let shown = Shown {
        previous: run.status.as_ref(),
        generation: run.generation,
        next: before.map_or("", |summary| &summary.next),
        progress: before.map_or("", |summary| &summary.progress),
        ending: run.deleting,
    };
    let told = status(&hold(state, vec![not_served(&run.namespace)], now).state, &shown, now);
    (run.status.as_ref() != Some(&told)).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{RunPhase, UpgradeRunSpec};
    use serde_json::{Value, json};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn run(status: &Value) -> UpgradeRun {
        UpgradeRun {
            namespace: "elsewhere".to_owned(),
            name: "spring".to_owned(),
            uid: "u".to_owned(),
            resource_version: "7".to_owned(),
            generation: 3,
            created_at: Some(at(0)),
            deleting: false,
            has_finalizer: false,
            spec: UpgradeRunSpec { target: "v1.36.3".to_owned(), ..UpgradeRunSpec::default() },
            status: serde_json::from_value(status.clone()).unwrap(),
        }
    }

    #[test]
    fn a_run_that_is_not_served_is_told_so_once_with_a_remedy() {
        let mut run = run(&Value::Null);
        let told = status_not_served(&run, at(1)).unwrap();
        assert_eq!((told.phase, told.summary.waiting_for.as_str()), (RunPhase::Waiting, "not_served"));
        assert!(told.waiting.is_none() && told.active.is_empty() && told.started_at.is_none());
        assert_eq!((told.holds.len(), told.holds[0].subject.as_str()), (1, "elsewhere"));
        for condition in &told.conditions {
            assert_eq!(condition.status, "False", "{condition:?}");
        }
        let accepted = told.conditions.iter().find(|condition| condition.type_ == "Accepted").unwrap();
        assert_eq!(accepted.reason, "NotServed");
        assert!(accepted.message.contains("settings.namespaces"), "{}", accepted.message);
        run.status = Some(told);
        assert_eq!(status_not_served(&run, at(60)), None, "it is not written again and again");
    }

    #[test]
    fn where_a_run_stands_that_was_served_before_is_left_as_it_is() {
        let step = json!({"step": "worker/w-1", "token": "u.7.1.00ff", "startedAt": at(1), "stage": "drain",
            "stageSince": at(1),
            "node": {"name": "w-1", "uid": "n", "kubeletVersion": "v1.36.1", "unschedulable": false}});
        let before = run(&json!({"schemaVersion": 1, "phase": "Running", "sequence": 7, "active": [step]}));
        let told = status_not_served(&before, at(2)).unwrap();
        assert_eq!(Some(&told.active), before.status.as_ref().map(|status| &status.active));
        assert_eq!(told.holds[0].reason, "not_served");
    }

    #[test]
    fn what_is_over_or_cannot_be_read_is_not_written_over() {
        for status in [
            json!({"schemaVersion": 1, "phase": "Succeeded", "finishedAt": at(1)}),
            json!({"schemaVersion": 9, "phase": "Waiting"}),
        ] {
            assert_eq!(status_not_served(&run(&status), at(2)), None, "{status}");
        }
    }
}
