//! What people are told of the verdict. Blocked, held and blind are told apart, so that none is hidden behind another.
//!
//! A hold by itself is quiet, since it waits for others, or for a person who accepts it. It becomes loud when the running
//! minor gets no more patches soon, and when it leaves the cluster half upgraded.

use super::expression::Select;
use super::{AlertRule, Severity, Words, rule};
use crate::settings::Settings;

/// The rules, the loudest first.
pub(super) fn rules(settings: &Settings) -> Vec<AlertRule> {
    vec![
        in_flight_and_held(settings),
        in_flight_and_blind(settings),
        blind(settings),
        held_past_eol(settings),
        blocked(settings),
        matrix_stale(settings),
        accept_expired(settings),
    ]
}

/// Of the goals of the cluster, the one that it must always be ready for, and the one of the open run. The next minor needs
/// rights and facts that not everybody has yet; that it is unknown is on the dashboard.
const PATCH: &str = "kind=\"patch\"";
const OPEN_RUN: &str = "kind=\"run\"";

fn in_flight_and_held(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeInFlightAndHeld",
        severity: Severity::Critical,
        summary: "An open upgrade is held.",
        description: "The cluster may stay half upgraded: something must be released before it fits {{ $labels.target }}, \
                      the target of the open run, or a person must accept it. /verdict says what."
            .to_owned(),
    };
    let held = Select::new(settings).matching("k8s_upgrade_held", &[OPEN_RUN]);
    rule(settings, words, format!("max by (target) ({held}) == 1"), settings.alerts.blocked_seconds)
}

fn in_flight_and_blind(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeInFlightAndBlind",
        severity: Severity::Critical,
        summary: "The verdict on an open upgrade is blind.",
        description: "Something that the verdict on {{ $labels.target }} needs cannot be read, so no step that needs it \
                      starts. /verdict says what."
            .to_owned(),
    };
    let blind = Select::new(settings).matching("k8s_upgrade_blind", &[OPEN_RUN]);
    rule(settings, words, format!("max by (target) ({blind}) == 1"), settings.alerts.blind_seconds)
}

fn blind(settings: &Settings) -> AlertRule {
    let select = Select::new(settings);
    let checks = select.all("k8s_upgrade_verdict_blind");
    let blind = select.matching("k8s_upgrade_blind", &[PATCH]);
    let words = Words {
        name: "K8sUpgradeBlind",
        severity: Severity::Warning,
        summary: "It is not known whether the cluster is ready for the newest patch.",
        description: format!(
            "The verdict on the newest {{{{ $labels.kind }}}} lacks something that cannot be read; /verdict says what. Blind \
             checks:{{{{ range query `max by (check) ({checks} == 1 and on (target) {blind} == 1)` }}}} {{{{ .Labels.check \
             }}}}{{{{ end }}}}."
        ),
    };
    rule(settings, words, format!("max by (kind) ({blind}) == 1"), settings.alerts.blind_seconds)
}

/// Asks for an end that is known to be far, so that an end that nobody knows is told too.
fn held_past_eol(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeHeldPastEol",
        severity: Severity::Warning,
        summary: "The running minor will soon get no more patches, and the cluster cannot leave it.",
        description: "The running minor soon gets no more patches, or it is not known when, and the cluster is not \
                      ready for the next one: k8s_upgrade_running_minor_eol_timestamp_seconds has the day, /verdict says \
                      what is in the way."
            .to_owned(),
    };
    let select = Select::new(settings);
    let [held, blocked, blind] = ["k8s_upgrade_held", "k8s_upgrade_blocked", "k8s_upgrade_blind"]
        .map(|metric| select.matching(metric, &["kind=\"minor\""]));
    let ends = select.all("k8s_upgrade_running_minor_eol_timestamp_seconds");
    let notice_seconds = settings.alerts.eol_notice_seconds;
    let expr = format!(
        "max({held} == 1 or {blocked} == 1 or {blind} == 1) == 1\nunless on () (min({ends}) > time() + {notice_seconds})"
    );
    rule(settings, words, expr, settings.alerts.blocked_seconds)
}

fn blocked(settings: &Settings) -> AlertRule {
    let select = Select::new(settings);
    let blockers = select.matching("k8s_upgrade_verdict_reason_info", &["class=~\"block|driver\""]);
    let words = Words {
        name: "K8sUpgradeBlocked",
        severity: Severity::Warning,
        summary: "The cluster is not ready for a version that it should get.",
        description: format!(
            "/verdict has the details. In the way:{{{{ range query `count by (target, check, reason) ({blockers})` }}}} \
             {{{{ .Labels.check }}}}: {{{{ .Labels.reason }}}} ({{{{ .Labels.target }}}}){{{{ end }}}}."
        ),
    };
    let blocked = select.all("k8s_upgrade_blocked");
    rule(settings, words, format!("max by (kind) ({blocked}) == 1"), settings.alerts.blocked_seconds)
}

/// A section that has no date says nothing either.
fn matrix_stale(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeMatrixStale",
        severity: Severity::Warning,
        summary: "The facts about versions are too old.",
        description:
            "The facts of {{ $labels.section }} are missing or too old: every verdict that needs them is \
                      unknown."
                .to_owned(),
    };
    let select = Select::new(settings);
    let [of, allowed] = ["k8s_upgrade_matrix_timestamp_seconds", "k8s_upgrade_matrix_max_age_seconds"]
        .map(|metric| format!("min by (section) ({})", select.all(metric)));
    let expr = format!("{allowed}\nunless on (section) (time() - {of} <= {allowed})");
    rule(settings, words, expr, settings.alerts.gone_seconds)
}

/// What was accepted blocks again, and whoever accepted it may have forgotten.
fn accept_expired(settings: &Settings) -> AlertRule {
    let words = Words {
        name: "K8sUpgradeAcceptExpired",
        severity: Severity::Warning,
        summary: "Something that was accepted counts again.",
        description: "The day until which {{ $labels.subject }} was accepted for the check {{ $labels.check }} has passed: \
                      the verdict is blocked until somebody looks again."
            .to_owned(),
    };
    let ends = Select::new(settings).all("k8s_upgrade_accept_expiry_timestamp_seconds");
    rule(settings, words, format!("min by (check, subject, reason) ({ends}) < time()"), 0)
}
