use super::*;
use crate::wire::alertmanager::webhook;

const TOKEN: &str = "0b9f3c6e-1111-4222-8333-444455556666.7.1.00ff00ff00ff00ff";
const OLD: &str = "0b9f3c6e-1111-4222-8333-444455556666.6.1.1100110011001100";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn alert(status: &str, labels: &str, starts_at: &str) -> String {
    format!(
        r#"{{"status":"{status}","labels":{{{labels}}},"annotations":{{}},"startsAt":"{starts_at}",
            "endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"00"}}"#
    )
}

fn ready_alert(status: &str, token: &str, starts_at: &str) -> String {
    alert(status, &format!(r#""alertname":"K8sUpgradeStepReady","token":"{token}""#), starts_at)
}

fn message(version: &str, truncated: u64, status: &str, alerts: &[String]) -> Webhook {
    let text = format!(
        r#"{{"version":"{version}","groupKey":"{{}}","truncatedAlerts":{truncated},"status":"{status}",
            "receiver":"r","groupLabels":{{}},"commonLabels":{{}},"commonAnnotations":{{}},"externalURL":"",
            "alerts":[{}]}}"#,
        alerts.join(",")
    );
    webhook(text.as_bytes()).unwrap()
}

struct Receiver {
    pending: Option<Pending>,
    permit: Option<Permit>,
}

impl Receiver {
    /// A token minted at 10:00:00; no message has come.
    fn waiting() -> Self {
        let pending = Pending { token: TOKEN.parse().unwrap(), minted_at: at("2026-11-21T10:00:00Z") };
        Self { pending: Some(pending), permit: None }
    }

    fn accepts(&self, route: Route, message: &Webhook) -> Decision {
        let settings = Settings::default();
        let now = at("2026-11-21T10:00:30Z");
        let (pending, permit) = (self.pending.as_ref(), self.permit.as_ref());
        accept(route, message, AcceptContext { pending, permit, now, settings: &settings })
    }

    fn with_permit(self, granted_at: &str) -> Self {
        let permit = Permit { token: TOKEN.parse().unwrap(), granted_at: at(granted_at) };
        Self { permit: Some(permit), ..self }
    }
}

const START: &str = "2026-11-21T10:00:10.123Z";

#[test]
fn what_is_too_large_to_be_read_revokes_where_it_is_about_gates() {
    assert_eq!(accept_too_large(Route::Gates), Decision::RevokeTooLarge);
    for route in [Route::Ready, Route::Heartbeat] {
        assert_eq!(accept_too_large(route), Decision::Rejected(Rejected::TooLarge));
    }
    let told = too_large(at(START)).to_string();
    assert_eq!(told, "gates_too_large route: the one of 2026-11-21T10:00:10.123Z has more than 1024 KiB");
}

#[test]
fn the_ready_route_believes_only_the_pending_token() {
    let ready = |alerts: &[String]| message("4", 0, "firing", alerts);
    let rows = [
        (ready(&[ready_alert("firing", TOKEN, START)]), Decision::Permit),
        (ready(&[ready_alert("firing", OLD, START), ready_alert("firing", TOKEN, START)]), Decision::Permit),
        (ready(&[ready_alert("firing", TOKEN, "2026-11-21T09:59:55Z")]), Decision::Permit),
        (
            ready(&[ready_alert("firing", TOKEN, "2026-11-21T09:59:54Z")]),
            Decision::Rejected(Rejected::BeforeMint),
        ),
        (ready(&[ready_alert("firing", OLD, START)]), Decision::StaleToken),
        (ready(&[ready_alert("firing", "", START)]), Decision::StaleToken),
        (ready(&[ready_alert("resolved", TOKEN, START)]), Decision::Ignored(Ignored::Resolved)),
        (
            ready(&[ready_alert("resolved", TOKEN, START), ready_alert("firing", OLD, START)]),
            Decision::StaleToken,
        ),
        (
            ready(&[alert("firing", &format!(r#""alertname":"Other","token":"{TOKEN}""#), START)]),
            Decision::Ignored(Ignored::OtherAlert),
        ),
        (ready(&[]), Decision::Ignored(Ignored::OtherAlert)),
        (
            message("4", 1, "firing", &[ready_alert("firing", TOKEN, START)]),
            Decision::Rejected(Rejected::Truncated),
        ),
        (
            message("5", 0, "firing", &[ready_alert("firing", TOKEN, START)]),
            Decision::Rejected(Rejected::Version),
        ),
    ];
    for (message, decision) in rows {
        assert_eq!(Receiver::waiting().accepts(Route::Ready, &message), decision, "{message:?}");
    }
}

#[test]
fn without_a_pending_token_nothing_rings() {
    let nobody = Receiver { pending: None, permit: None };
    let nothing = Decision::Ignored(Ignored::NothingPending);
    let ready = message("4", 0, "firing", &[ready_alert("firing", TOKEN, START)]);
    assert_eq!(nobody.accepts(Route::Ready, &ready), nothing);
    let gate = alert("resolved", r#""alertname":"G","k8s_upgrade_gate":"all""#, START);
    assert_eq!(nobody.accepts(Route::Gates, &message("4", 0, "resolved", &[gate])), nothing);
}

#[test]
fn a_repeat_renews_the_permit_and_the_same_news_at_once_is_a_duplicate() {
    let ready = message("4", 0, "firing", &[ready_alert("firing", TOKEN, START)]);
    for (granted_at, decision) in [
        ("2026-11-21T10:00:30Z", Decision::Duplicate),
        ("2026-11-21T10:00:21Z", Decision::Duplicate),
        ("2026-11-21T10:00:20Z", Decision::Permit),
        ("2026-11-21T10:00:31Z", Decision::Permit),
    ] {
        let door = Receiver::waiting().with_permit(granted_at);
        assert_eq!(door.accepts(Route::Ready, &ready), decision, "{granted_at}");
    }
}

#[test]
fn the_gates_route_believes_bad_news_and_lets_good_news_ring() {
    let gate = |status: &str| alert(status, r#""alertname":"G","k8s_upgrade_gate":"all""#, START);
    let other = |status: &str| alert(status, r#""alertname":"G""#, START);
    let rows = [
        (message("4", 0, "firing", &[gate("firing")]), Decision::Revoke),
        (message("4", 7, "firing", &[gate("firing")]), Decision::Revoke),
        (message("4", 0, "firing", &[gate("resolved"), gate("firing")]), Decision::Revoke),
        (message("4", 0, "resolved", &[gate("firing")]), Decision::Revoke),
        (message("4", 0, "resolved", &[gate("resolved")]), Decision::Ring),
        (message("4", 1, "resolved", &[gate("resolved")]), Decision::Rejected(Rejected::Truncated)),
        (message("4", 0, "resolved", &[other("resolved")]), Decision::Ignored(Ignored::OtherAlert)),
        (message("4", 0, "resolved", &[]), Decision::Ignored(Ignored::OtherAlert)),
        (message("3", 0, "firing", &[gate("firing")]), Decision::Rejected(Rejected::Version)),
    ];
    for (message, decision) in rows {
        assert_eq!(Receiver::waiting().accepts(Route::Gates, &message), decision, "{message:?}");
    }
}

#[test]
fn a_heartbeat_is_the_firing_watchdog_and_nothing_else() {
    let watchdog = |status: &str| alert(status, r#""alertname":"K8sUpgradeWatchdog""#, START);
    let rows = [
        (message("4", 0, "firing", &[watchdog("firing")]), Decision::Heartbeat),
        (message("4", 0, "resolved", &[watchdog("resolved")]), Decision::Ignored(Ignored::Resolved)),
        (
            message("4", 0, "firing", &[ready_alert("firing", TOKEN, START)]),
            Decision::Ignored(Ignored::OtherAlert),
        ),
    ];
    for (message, decision) in rows {
        assert_eq!(Receiver::waiting().accepts(Route::Heartbeat, &message), decision, "{message:?}");
    }
}

#[test]
fn each_decision_has_a_code_of_its_own_and_none_is_left_out() {
    let codes: std::collections::BTreeSet<_> = Decision::ALL.iter().map(|decision| decision.code()).collect();
    assert_eq!(codes.len(), Decision::ALL.len());
    assert!(Decision::ALL.is_sorted());
}
