//! The rows about silences, and what of them a run keeps.

use std::collections::BTreeSet;

use super::world::*;
use super::*;
use crate::api::SilenceRecord;

fn record(id: &str, ends_at: Timestamp) -> SilenceRecord {
    SilenceRecord {
        id: id.to_owned(),
        matchers: format!("alertname={READY_ALERT:?}"),
        created_by: "ada".to_owned(),
        comment: "wait".to_owned(),
        ends_at,
        updated_at: at(-60),
    }
}

/// Lets the run have kept a silence that is over then.
fn keep(world: &mut World, id: &str, ends_at: Timestamp) {
    world.run().status.as_mut().unwrap().silences.push(record(id, ends_at));
}

fn kept(world: &World) -> Option<Vec<SilenceRecord>> {
    silences(&world.order, &world.answers, &world.settings, now())
}

fn ids(world: &World) -> Vec<String> {
    kept(world).unwrap().into_iter().map(|record| record.id).collect()
}

static FORGOTTEN_ROWS: &[Row] = &[
    ("gone", |w| keep(w, "s", at(3600)), Reason::SilenceForgotten, "s"),
    ("past by our clock alone", |w| keep(w, "s", now()), Reason::SilenceForgotten, "s"),
    (
        "past by Alertmanager's clock alone",
        |w| {
            keep(w, "s", at(1));
            w.alertmanager().silences.date = Some(at(2));
        },
        Reason::SilenceForgotten,
        "s",
    ),
    (
        "expired in a version from before its end was put off",
        |w| {
            keep(w, "s", at(3600));
            let mut before = silence("s", "alertname", READY_ALERT, am::SilenceState::Expired);
            (before.ends_at, before.updated_at) = (at(-1), at(-61));
            w.silences().push(before);
        },
        Reason::SilenceForgotten,
        "s",
    ),
    (
        "all are accepted, which means none",
        |w| {
            keep(w, "s", at(3600));
            w.run().spec.accept_risks = vec!["silence_forgotten".to_owned(), "silence_forgotten@".to_owned()];
        },
        Reason::SilenceForgotten,
        "s",
    ),
    (
        "another one is let go",
        |w| {
            keep(w, "s", at(3600));
            w.run().spec.accept_risks = vec!["silence_forgotten@s2".to_owned()];
        },
        Reason::SilenceForgotten,
        "s",
    ),
];

#[test]
fn each_kept_silence_that_is_gone_closes_a_start_alone_and_no_continuation() {
    check_rows(&[Form::Start], FORGOTTEN_ROWS);
    for (name, break_it, _, id) in FORGOTTEN_ROWS {
        let mut world = World::well(Form::Continue);
        break_it(&mut world);
        assert_eq!(ids(&world), [*id], "{name}");
    }
}

#[test]
fn a_silence_is_let_go_when_it_has_expired_or_its_end_is_past_or_a_person_says_so() {
    let rows: [(&str, Break); 4] = [
        ("expired", |w| {
            keep(w, "s", at(3600));
            w.silences().push(silence("s", "alertname", READY_ALERT, am::SilenceState::Expired));
        }),
        ("one of two shows that it has", |w| {
            keep(w, "s", at(3600));
            w.answers.alertmanager.push(super::world::alertmanager());
            w.silences().push(silence("s", "alertname", READY_ALERT, am::SilenceState::Expired));
        }),
        ("its end is past", |w| keep(w, "s", at(-1))),
        ("a person says so", |w| {
            keep(w, "s", at(3600));
            w.run().spec.accept_risks = vec!["pdb_blocked".to_owned(), "silence_forgotten@s".to_owned()];
        }),
    ];
    for (name, break_it) in rows {
        let mut world = World::well(Form::Start);
        break_it(&mut world);
        assert_eq!((world.judged(), ids(&world)), (vec![], vec![]), "{name}");
    }
}

/// As long as Alertmanager knows it, Alertmanager says whether it is about this step.
#[test]
fn a_kept_silence_about_another_step_closes_only_when_it_is_gone() {
    let mut world = World::well(Form::Start);
    keep(&mut world, "s", at(3600));
    world.silences().push(silence("s", "step", "worker/w-9", am::SilenceState::Active));
    assert_eq!((world.judged(), ids(&world)), (vec![], vec!["s".to_owned()]));
    world.silences().pop();
    assert_eq!(world.judged(), [(Reason::SilenceForgotten, "s".to_owned())]);
}

#[test]
fn an_alertmanager_that_does_not_answer_has_forgotten_nothing() {
    let mut world = World::well(Form::Start);
    keep(&mut world, "s", at(3600));
    world.alertmanager().silences = refused();
    let url = ALERTMANAGER.to_owned();
    assert_eq!(world.judged(), [(Reason::AlertmanagerUnreachable, url)]);
    assert_eq!(ids(&world), ["s"]);
    // Nor is it over by a clock that nobody has confirmed.
    world.alertmanager().silences = unreachable();
    world.run().status.as_mut().unwrap().silences[0].ends_at = at(-1);
    assert_eq!(ids(&world), ["s"]);
}

#[test]
fn a_silence_is_kept_when_it_pauses_also_by_a_running_step_and_before_the_alert_fires() {
    for (name, value, is_seen) in [
        ("alertname", READY_ALERT, true),
        ("step", "worker/w-1", true),
        ("run", "to-1-36-3", true),
        ("gate_class", "mutating", true),
        ("cluster", "a", false),
        ("alertname", "Elsewhere", false),
    ] {
        for form in [Form::Start, Form::Continue] {
            let mut world = World::well(form);
            world.alerts().retain(|alert| alert.labels["alertname"] != READY_ALERT);
            world.silences().push(silence("s", name, value, am::SilenceState::Active));
            assert_eq!(!ids(&world).is_empty(), is_seen, "{name} {value} {form:?}");
        }
    }
    let mut world = World::well(Form::Continue);
    world.silences().push(silence("s", "cluster", "a", am::SilenceState::Active));
    world.silences().push(silence("later", "alertname", READY_ALERT, am::SilenceState::Pending));
    let expected = SilenceRecord { matchers: "cluster=\"a\"".to_owned(), ..record("s", at(3600)) };
    assert_eq!(kept(&world), Some(vec![expected]), "by the labels that Alertmanager has");
}

#[test]
fn a_new_end_is_kept_and_of_many_those_that_end_last() {
    let mut world = World::well(Form::Start);
    keep(&mut world, "s", at(60));
    for n in 0..25 {
        let mut it = silence(&format!("s{n}"), "alertname", READY_ALERT, am::SilenceState::Active);
        it.ends_at = at(100 + n);
        world.silences().push(it);
    }
    assert_eq!(ids(&world), (5..25).rev().map(|n| format!("s{n}")).collect::<Vec<_>>());
    let mut it = silence("s", "alertname", READY_ALERT, am::SilenceState::Active);
    it.ends_at = at(1000);
    world.silences().push(it);
    assert_eq!(kept(&world).unwrap()[0], record("s", at(1000)));
}

#[test]
fn an_end_that_was_put_off_outlives_an_alertmanager_that_has_lost_that() {
    let mut world = World::well(Form::Start);
    keep(&mut world, "s", at(3600));
    let mut before = silence("s", "alertname", READY_ALERT, am::SilenceState::Active);
    (before.ends_at, before.updated_at) = (at(60), at(-61));
    world.silences().push(before);
    assert_eq!(kept(&world), Some(vec![record("s", at(3600))]));
    let mut newer = silence("s", "alertname", READY_ALERT, am::SilenceState::Active);
    (newer.ends_at, newer.updated_at) = (at(30), at(-1));
    world.silences().push(newer);
    let expected = SilenceRecord { updated_at: at(-1), ..record("s", at(30)) };
    assert_eq!(kept(&world), Some(vec![expected]), "people bring an end forward too");
}

#[test]
fn what_a_run_keeps_is_not_known_while_it_cannot_be_read() {
    let mut world = World::well(Form::Start);
    world.silences().push(silence("s", "alertname", READY_ALERT, am::SilenceState::Active));
    world.answers.cluster.runs.value.as_mut().unwrap().clear();
    assert_eq!(kept(&world), None);
    world.answers.cluster.runs = Source::failed("500");
    assert_eq!(kept(&world), None);
}

/// Before the alert fires a silence is held against the labels that it would have.
#[test]
fn the_labels_of_the_ready_alert_are_those_of_its_rule_and_its_series() {
    let mut world = World::well(Form::Start);
    world.settings.selector = "site=\"b\"".parse().unwrap();
    world.alerts().clear();
    let labels =
        super::super::silences::ready_labels(&world.order, &world.answers, &world.settings).remove(0);
    let groups = alert::groups(&world.settings);
    let rule = groups.iter().flat_map(|group| &group.rules).find(|rule| rule.name == READY_ALERT).unwrap();
    for (name, value) in &rule.labels {
        assert_eq!(labels.get(name), Some(value), "{name}");
    }
    let pending =
        crate::publish::metric::TABLE.iter().find(|it| it.name == "k8s_upgrade_step_pending").unwrap();
    let of_series = pending.labels.iter().copied().chain(["alertname"]);
    let expected: BTreeSet<&str> = rule.labels.keys().map(String::as_str).chain(of_series).collect();
    assert_eq!(labels.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
}
