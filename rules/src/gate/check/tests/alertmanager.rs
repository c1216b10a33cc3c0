//! The rows about Alertmanager.

use super::world::*;
use super::*;

fn suppressed(w: &mut World) {
    let gate = am_alert([("alertname", "GateAll"), (GATE_LABEL, "all")], am::AlertState::Suppressed);
    w.alerts().push(am::Alert { silenced_by: vec!["s".to_owned()], ..gate });
}

fn status(w: &mut World) -> &mut am::Status {
    w.alertmanager().status.result.as_mut().unwrap()
}
static ALERTMANAGER_ROWS: &[Row] = &[
    (
        "settling",
        |w| status(w).cluster = am::ClusterStatus::Settling,
        Reason::AlertmanagerNotReady,
        ALERTMANAGER,
    ),
    ("young", |w| status(w).started_at = at(-70), Reason::AlertmanagerYoung, ALERTMANAGER),
    ("started in the future", |w| status(w).started_at = at(60), Reason::AlertmanagerYoung, ALERTMANAGER),
    (
        "no watchdog",
        |w| w.alerts().retain(|a| a.labels["alertname"] != WATCHDOG_ALERT),
        Reason::WatchdogMissing,
        ALERTMANAGER,
    ),
    (
        "a gate",
        |w| w.alerts().push(am_alert([("alertname", "G"), (GATE_LABEL, "all")], am::AlertState::Active)),
        Reason::GateFiring,
        "G",
    ),
    (
        "an unprocessed gate",
        |w| w.alerts().push(am_alert([("alertname", "G"), (GATE_LABEL, "all")], am::AlertState::Unprocessed)),
        Reason::GateFiring,
        "G",
    ),
    ("a silenced gate", suppressed, Reason::GateSuppressed, "GateAll"),
];

#[test]
fn each_row_about_alertmanager_closes_alone() {
    check_rows(BOTH, ALERTMANAGER_ROWS);
}

static THE_READY_ALERT_ROWS: &[Row] = &[
    ("not firing in prometheus", |w| w.rule(READY_ALERT).alerts.clear(), Reason::ReadyAbsent, PROMETHEUS),
    (
        "pending in prometheus",
        |w| w.rule(READY_ALERT).alerts[0].state = AlertState::Pending,
        Reason::ReadyAbsent,
        PROMETHEUS,
    ),
    (
        "of another token in prometheus",
        |w| {
            w.rule(READY_ALERT).alerts[0].labels.insert("token".into(), "other".into());
        },
        Reason::ReadyAbsent,
        PROMETHEUS,
    ),
    (
        "not in alertmanager",
        |w| w.alerts().retain(|a| a.labels["alertname"] != READY_ALERT),
        Reason::ReadyAbsent,
        ALERTMANAGER,
    ),
    (
        "of another token in alertmanager",
        |w| {
            w.ready().labels.insert("token".into(), "other".into());
        },
        Reason::ReadyAbsent,
        ALERTMANAGER,
    ),
    ("unprocessed", |w| w.ready().state = am::AlertState::Unprocessed, Reason::ReadyAbsent, ALERTMANAGER),
    (
        "inhibited",
        |w| {
            w.ready().state = am::AlertState::Suppressed;
            w.ready().inhibited_by = vec!["f".to_owned()];
        },
        Reason::ReadySuppressed,
        ALERTMANAGER,
    ),
    (
        "muted by time",
        |w| w.ready().state = am::AlertState::Suppressed,
        Reason::ReadySuppressed,
        ALERTMANAGER,
    ),
    (
        "silenced by state",
        |w| {
            w.ready().state = am::AlertState::Suppressed;
            w.ready().silenced_by = vec!["s".to_owned()];
        },
        Reason::ReadySilenced,
        ALERTMANAGER,
    ),
    (
        "one of two copies silenced",
        |w| {
            let copy = am::Alert {
                state: am::AlertState::Suppressed,
                silenced_by: vec!["s".into()],
                ..w.ready().clone()
            };
            w.alerts().push(copy);
        },
        Reason::ReadySilenced,
        ALERTMANAGER,
    ),
    (
        "a silence just made",
        |w| w.silences().push(silence("s1", "cluster", "a", am::SilenceState::Active)),
        Reason::ReadySilenced,
        "s1",
    ),
    (
        "a silence by pattern",
        |w| {
            let mut it = silence("s2", "alertname", "K8sUpgrade.*", am::SilenceState::Active);
            it.matchers[0].is_regex = true;
            w.silences().push(it);
        },
        Reason::ReadySilenced,
        "s2",
    ),
    (
        "a silence that cannot be read",
        |w| {
            let mut it = silence("s3", "alertname", "(", am::SilenceState::Active);
            it.matchers[0].is_regex = true;
            w.silences().push(it);
        },
        Reason::ReadySilenced,
        "s3",
    ),
];

#[test]
fn each_row_about_the_ready_alert_closes_a_start_alone_and_no_continuation() {
    check_rows(&[Form::Start], THE_READY_ALERT_ROWS);
}

#[test]
fn silences_about_other_alerts_do_not_pause() {
    for (name, value, is_regex, state) in [
        ("alertname", "Elsewhere", false, am::SilenceState::Active),
        ("alertname", "StepReady", true, am::SilenceState::Active),
        ("alertname", READY_ALERT, false, am::SilenceState::Pending),
        ("no_such_label", ".+", true, am::SilenceState::Active),
    ] {
        let mut world = World::well(Form::Start);
        let mut silence = silence("s", name, value, state);
        silence.matchers[0].is_regex = is_regex;
        world.silences().push(silence);
        assert_eq!(world.judged(), [], "{name} {value}");
    }
}

#[test]
fn an_alert_that_only_alertmanager_knows_is_named_as_misspelt() {
    let mut world = World::well(Form::Continue);
    world.alerts().push(am_alert([("alertname", "G"), (GATE_LABEL, "Mutating")], am::AlertState::Active));
    assert_eq!(
        world.judged(),
        [(Reason::GateFiring, "G".to_owned()), (Reason::GateMisspelt, "G".to_owned())]
    );
}

#[test]
fn a_ready_alert_that_is_silenced_and_inhibited_says_both() {
    let mut world = World::well(Form::Start);
    let ready = world.ready();
    ready.state = am::AlertState::Suppressed;
    (ready.silenced_by, ready.inhibited_by) = (vec!["s".to_owned()], vec!["f".to_owned()]);
    let url = ALERTMANAGER.to_owned();
    assert_eq!(world.judged(), [(Reason::ReadySuppressed, url.clone()), (Reason::ReadySilenced, url)]);
}
