//! The ready rule alone: every gate alert and the Watchdog are taken away, so that each guard is tested by itself
//! and not by the alert that would close the gate in its stead. What they would say is given as series.

use lockkeeper_rules::alert::{READY_ALERT, RuleGroup};
use serde_json::json;

use super::promtool::{Case, SAMPLE_SECONDS, check, default_groups};

const PENDING: &str = "k8s_upgrade_step_pending{instance=\"e:1\",job=\"k8s-upgrade-exporter\",run=\"spring\",\
                       step=\"worker/w-1\",phase=\"worker\",token=\"u.7.1.00ff\",gate_class=\"mutating\"}";
const NOT_BEFORE: &str = "k8s_upgrade_step_not_before_timestamp_seconds{instance=\"e:1\",\
                          job=\"k8s-upgrade-exporter\",run=\"spring\",step=\"worker/w-1\",token=\"u.7.1.00ff\"}";
const STATE: &str = "k8s_upgrade_state_timestamp_seconds{instance=\"e:1\",job=\"k8s-upgrade-exporter\"}";
const UP: &str = "up{instance=\"e:1\",job=\"k8s-upgrade-exporter\"}";
const WATCHDOG: &str = "ALERTS{alertname=\"K8sUpgradeWatchdog\",alertstate=\"firing\",severity=\"none\"}";

/// The ready rule and nothing else.
pub(crate) fn only_ready() -> Vec<RuleGroup> {
    let mut groups = default_groups();
    groups.truncate(1);
    groups[0].rules.retain(|rule| rule.name == READY_ALERT);
    groups
}

/// A step that may start.
fn may_start(name: &str) -> Case {
    Case::new(name)
        .with(PENDING, "1+0x200")
        .with(NOT_BEFORE, "0+0x200")
        .with(STATE, &format!("0+{SAMPLE_SECONDS}x200"))
        .with(UP, "1+0x200")
        .with(WATCHDOG, "1+0x200")
}

fn gate(class: &str, state: &str) -> String {
    format!("ALERTS{{alertname=\"Site\",alertstate=\"{state}\",k8s_upgrade_gate=\"{class}\"}}")
}

/// Every case of the ready rule alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = guards();
    for class in ["all", "mutating", "Mutating", "nope"] {
        for state in ["pending", "firing"] {
            let case = may_start(&format!("a {state} gate of class {class} closes"));
            cases.push(
                case.with(&gate(class, state), "_x70 1+0x10")
                    .fires(345, READY_ALERT)
                    .silent(350, READY_ALERT),
            );
        }
    }
    let case = may_start("a gate of another class, and an alert that is no gate, do not close");
    let no_gate = "ALERTS{alertname=\"Site\",alertstate=\"firing\"}";
    cases.push(
        case.with(&gate("start", "firing"), "1+0x200").with(no_gate, "1+0x200").fires(400, READY_ALERT),
    );
    cases
}

fn guards() -> Vec<Case> {
    vec![
        may_start("it fires while everything is well, and only once it has been watched for long enough")
            .silent(0, READY_ALERT)
            .silent(280, READY_ALERT)
            .fires(285, READY_ALERT)
            .fires(1000, READY_ALERT),
        may_start("a short gap in the evaluation")
            .with(WATCHDOG, "1+0x60 _x3 1+0x100")
            .fires(400, READY_ALERT),
        may_start("a longer gap counts for the whole window")
            .with(WATCHDOG, "1+0x60 _x4 1+0x100")
            .silent(600, READY_ALERT)
            .fires(625, READY_ALERT),
        may_start("the Watchdog must be of this very evaluation")
            .with(WATCHDOG, "1+0x78")
            .silent(395, READY_ALERT),
        may_start("a Watchdog that is only pending proves nothing")
            .without("ALERTS")
            .with(&WATCHDOG.replace("firing", "pending"), "1+0x200")
            .silent(400, READY_ALERT),
        may_start("not before its time")
            .with(NOT_BEFORE, "500+0x200")
            .silent(495, READY_ALERT)
            .fires(500, READY_ALERT),
        may_start("not without a time")
            .without("k8s_upgrade_step_not_before_timestamp_seconds")
            .silent(400, READY_ALERT),
        may_start("the time of another token does not count")
            .without("k8s_upgrade_step_not_before_timestamp_seconds")
            .with(&NOT_BEFORE.replace("00ff", "0000"), "0+0x200")
            .silent(400, READY_ALERT),
        may_start("a state of the exporter that no longer moves")
            .with(STATE, "0+5x60 300+0x100")
            .fires(355, READY_ALERT)
            .silent(360, READY_ALERT),
        may_start("a state of the exporter that is from the future")
            .with(STATE, "4+5x60 310+5x200")
            .fires(300, READY_ALERT)
            .silent(305, READY_ALERT),
        may_start("an exporter without a state")
            .without("k8s_upgrade_state_timestamp_seconds")
            .silent(400, READY_ALERT),
        may_start("an exporter that is down")
            .with(UP, "1+0x80 0+0x100")
            .fires(400, READY_ALERT)
            .silent(405, READY_ALERT),
        may_start("another exporter that is up and fresh does not vouch for this one")
            .with(UP, "0+0x200")
            .with(&UP.replace("e:1", "e:2"), "1+0x200")
            .silent(400, READY_ALERT),
        may_start("another exporter's fresh state does not vouch for this one")
            .with(STATE, "1+0x200")
            .with(&STATE.replace("e:1", "e:2"), "0+5x200")
            .silent(400, READY_ALERT),
        may_start("a step that does not wait")
            .with(PENDING, "1+0x80 0+0x100")
            .fires(400, READY_ALERT)
            .silent(405, READY_ALERT),
        may_start("a class of gates that does not exist")
            .without("k8s_upgrade_step_pending")
            .with(&PENDING.replace("\"mutating\"", "\"everything\""), "1+0x200")
            .silent(400, READY_ALERT),
    ]
}

#[test]
fn the_ready_alert_fires_while_every_guard_holds_and_not_without_any_of_them() {
    check(&only_ready(), SAMPLE_SECONDS, &cases()).unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn the_ready_alert_says_which_step_and_which_token() {
    let labels = json!({
        "run": "spring", "step": "worker/w-1", "phase": "worker", "token": "u.7.1.00ff",
        "gate_class": "mutating", "severity": "none",
    });
    let annotations = json!({
        "summary": "The next step of the upgrade may start.",
        "description": "Step worker/w-1 of run spring may start: no gate alert of its class is pending or firing, \
                        and the data behind them is fresh.",
        "runbook_url": "docs/runbooks.md#k8supgradestepready",
    });
    let case = may_start("exactly").fires_exactly(400, READY_ALERT, &labels, &annotations);
    check(&only_ready(), SAMPLE_SECONDS, &[case]).unwrap_or_else(|said| panic!("{said}"));
}
