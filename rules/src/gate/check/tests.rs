//! Each row of the live check closes the gate all by itself.

mod alertmanager;
mod cluster;
mod etcd;
mod prometheus;
mod silences;
mod world;

use self::world::*;
use super::*;
use crate::alert::{READY_ALERT, WATCHDOG_ALERT};
use crate::cluster::snapshot::Source;
use crate::gate::Held;
use crate::gate::LockView;
use crate::wire::alertmanager as am;
use crate::wire::prometheus::{AlertState, Group, Rule, RuleState, RuntimeInfo};
use crate::words::name::NodeName;
use crate::words::step::Step;

#[test]
fn nothing_stands_in_the_way_when_all_is_well() {
    for form in [Form::Start, Form::Continue] {
        assert_eq!(World::well(form).judged(), [], "{form:?}");
    }
}

type Break = fn(&mut World);
type Row = (&'static str, Break, Reason, &'static str);

/// Breaks one thing in both forms and expects exactly this one finding.
#[track_caller]
fn check_rows(forms: &[Form], rows: &[Row]) {
    for (name, break_it, reason, subject) in rows {
        for form in [Form::Start, Form::Continue] {
            let mut world = World::well(form);
            break_it(&mut world);
            let expected =
                if forms.contains(&form) { vec![(*reason, (*subject).to_owned())] } else { Vec::new() };
            assert_eq!(world.judged(), expected, "{name}, {form:?}");
            assert!(REASONS.contains(reason), "{reason} is not in the list of reasons");
        }
    }
}

const BOTH: &[Form] = &[Form::Start, Form::Continue];

static CLOCKS_AND_ANSWERS_ROWS: &[Row] = &[
    ("too old", |w| w.answers.started_at = at(-6), Reason::CheckExpired, ""),
    ("our clock was set back", |w| w.answers.started_at = at(1), Reason::CheckExpired, ""),
    ("prometheus behind", |w| w.prometheus().rules.date = Some(at(-7)), Reason::ClockSkew, PROMETHEUS),
    ("prometheus ahead", |w| w.prometheus().runtime.date = Some(at(5)), Reason::ClockSkew, PROMETHEUS),
    ("no date", |w| w.prometheus().runtime.date = None, Reason::ClockSkew, PROMETHEUS),
    ("alertmanager ahead", |w| w.alertmanager().alerts.date = Some(at(5)), Reason::ClockSkew, ALERTMANAGER),
    ("a cached query", |w| w.samples("timestamp(")[0].evaluated_at = at(-9), Reason::ClockSkew, PROMETHEUS),
    ("an evaluation to come", |w| w.rule("GateAll").last_evaluation = at(6), Reason::ClockSkew, PROMETHEUS),
    (
        "runtimeinfo refused",
        |w| w.prometheus().runtime = refused(),
        Reason::PrometheusUnreachable,
        PROMETHEUS,
    ),
    (
        "runtimeinfo gone",
        |w| w.prometheus().runtime = unreachable(),
        Reason::PrometheusUnreachable,
        PROMETHEUS,
    ),
    ("runtimeinfo partial", |w| w.prometheus().runtime = unusable(), Reason::AnswerMalformed, PROMETHEUS),
    ("rules gone", |w| w.prometheus().rules = unreachable(), Reason::PrometheusUnreachable, PROMETHEUS),
    ("rules partial", |w| w.prometheus().rules = unusable(), Reason::AnswerMalformed, PROMETHEUS),
    (
        "status gone",
        |w| w.alertmanager().status = unreachable(),
        Reason::AlertmanagerUnreachable,
        ALERTMANAGER,
    ),
    ("status odd", |w| w.alertmanager().status = unusable(), Reason::AnswerMalformed, ALERTMANAGER),
    (
        "alerts gone",
        |w| w.alertmanager().alerts = unreachable(),
        Reason::AlertmanagerUnreachable,
        ALERTMANAGER,
    ),
    ("alerts odd", |w| w.alertmanager().alerts = unusable(), Reason::AnswerMalformed, ALERTMANAGER),
    (
        "silences gone",
        |w| w.alertmanager().silences = refused(),
        Reason::AlertmanagerUnreachable,
        ALERTMANAGER,
    ),
    ("silences odd", |w| w.alertmanager().silences = unusable(), Reason::AnswerMalformed, ALERTMANAGER),
    ("no prometheus", |w| w.answers.prometheus.clear(), Reason::PrometheusUnreachable, "prometheus.urls"),
    (
        "no alertmanager",
        |w| w.answers.alertmanager.clear(),
        Reason::AlertmanagerUnreachable,
        "alertmanager.urls",
    ),
];

/// An alert source that cannot be read is what a firing gate is.
#[test]
fn each_row_about_clocks_and_answers_closes_alone() {
    check_rows(BOTH, CLOCKS_AND_ANSWERS_ROWS);
}

#[test]
fn every_configured_server_is_asked_and_one_that_is_closed_closes() {
    let mut world = World::well(Form::Start);
    let mut second = world.prometheus().clone();
    second.url = "http://prometheus-1:9090".to_owned();
    second.runtime = unreachable();
    world.answers.prometheus.push(second);
    assert_eq!(world.judged(), [(Reason::PrometheusUnreachable, "http://prometheus-1:9090".to_owned())]);
}

#[test]
fn every_reason_is_given_and_not_only_the_first() {
    let mut world = World::well(Form::Start);
    world.rule("GateAll").state = RuleState::Firing;
    world.nodes()[2].ready = false;
    world.answers.lock = LockView::Free;
    let reasons: Vec<_> = world.judged().into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, [Reason::GateFiring, Reason::NodeNotReady, Reason::LockLost]);
}

#[test]
fn each_missing_link_is_told_from_the_others() {
    let found = |break_it: Break| {
        let mut world = World::well(Form::Start);
        break_it(&mut world);
        world.judged()
    };
    let links: [Vec<(Reason, String)>; 3] = [
        found(|w| w.answers.prometheus.clear()),
        found(|w| w.answers.alertmanager.clear()),
        found(|w| w.loaded().clear()),
    ];
    let first: Vec<_> = links.iter().map(|link| link[0].0).collect();
    assert_eq!(first, [Reason::PrometheusUnreachable, Reason::AlertmanagerUnreachable, Reason::RuleMissing]);
    // With the wrong route all of this is well, and only the heartbeat tells.
    let settings = Settings::default();
    let silent = heartbeat(None, at(-91), now(), &settings).unwrap();
    assert_eq!((silent.reason, &*silent.subject), (Reason::HeartbeatMissing, "route"));
}

#[test]
fn a_heartbeat_is_missed_after_its_time_and_never_before_its_first_chance() {
    let settings = Settings::default();
    let missing = |at_, since| heartbeat(at_, since, now(), &settings).is_some();
    assert!(!missing(None, at(-90)));
    assert!(missing(None, at(-91)));
    assert!(!missing(Some(at(-90)), at(-1000)));
    assert!(missing(Some(at(-91)), at(-1000)));
    assert!(!missing(Some(at(-1000)), at(-5)), "a new leader waits for its own");
}
