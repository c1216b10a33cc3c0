use serde_json::{Value, json};

use super::*;
use crate::api::{UpgradeRunSpec, UpgradeRunStatus};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A run with this status, the fields that each has filled in.
fn run(fields: &Value) -> UpgradeRun {
    let mut status = json!({"schemaVersion": 1, "phase": "Waiting"});
    status.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let status: UpgradeRunStatus = serde_json::from_value(status).unwrap();
    UpgradeRun {
        namespace: "k8s-upgrade".to_owned(),
        name: "spring".to_owned(),
        uid: "u".to_owned(),
        resource_version: "7".to_owned(),
        generation: 3,
        created_at: Some(at(0)),
        deleting: false,
        has_finalizer: true,
        spec: UpgradeRunSpec { target: "v1.36.3".to_owned(), ..UpgradeRunSpec::default() },
        status: Some(status),
    }
}

fn state(fields: &Value) -> State {
    State::parse(run(fields).status.as_ref(), "u").unwrap()
}

fn new() -> Value {
    json!({})
}

fn open(sequence: u64) -> Value {
    json!({"startedAt": at(0), "from": "v1.36.1", "sequence": sequence})
}

/// `what` beside what every run that has begun has.
fn begun(sequence: u64, what: Value) -> Value {
    let mut fields = open(sequence);
    fields.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    fields
}

fn waiting(step: &str, sequence: u64, attempt: u32) -> Value {
    let token = format!("u.{sequence}.{attempt}.00ff");
    let because = if attempt > 1 { json!([{"reason": "drain_deadline"}]) } else { json!([]) };
    let it = json!({"step": step, "token": token, "mintedAt": at(1), "notBefore": at(1), "because": because});
    begun(sequence, json!({"waiting": it}))
}

fn active(step: &str, sequence: u64) -> Value {
    let it = json!({"step": step, "token": format!("u.{sequence}.1.00ff"), "startedAt": at(2), "stageSince": at(2)});
    begun(sequence, json!({"active": [it]}))
}

fn on_node(stage: &str, sequence: u64) -> Value {
    let mut it = active("worker/w", sequence);
    it["active"][0]["stage"] = json!(stage);
    it["active"][0]["node"] =
        json!({"name": "w", "uid": "n", "kubeletVersion": "v1.36.1", "unschedulable": false});
    it
}

fn finished(step: &str, sequence: u64) -> Value {
    let token = format!("u.{sequence}.1.00ff");
    let it = json!({"step": step, "token": token, "startedAt": at(2), "finishedAt": at(3)});
    begun(sequence, json!({"finished": [it]}))
}

fn halted(sequence: u64) -> Value {
    let finding = json!({"reason": "node_missing", "subject": "w"});
    begun(sequence, json!({"halted": {"step": "worker/w", "attempt": 1, "at": at(4), "finding": finding}}))
}

fn succeeded(sequence: u64) -> Value {
    begun(sequence, json!({"finishedAt": at(9)}))
}

fn held(mut by: Value, holds: &[(&str, &str, &str)]) -> Value {
    let hold = |(reason, subject, detail): &(&str, &str, &str)| json!({"reason": reason, "subject": subject, "detail": detail, "remedy": "", "since": at(1)});
    by["holds"] = holds.iter().map(hold).collect();
    by
}

/// What a notice says, in short.
fn short(notice: &Notice) -> String {
    let (id, many) = (notice.id.as_deref().unwrap_or("once"), |findings: &[Finding]| {
        findings.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    });
    let text = match &notice.news {
        News::Opened { from, target } => format!("opened {} {target}", from.as_ref().unwrap()),
        News::StepStarted(step) => format!("started {step}"),
        News::StageStarted(step, stage) => format!("stage {step} {}", stage.name()),
        News::StepFinished(step) => format!("finished {step}"),
        News::StepNotBegun(step) => format!("not begun {step}"),
        News::StepRetried { step, because } => format!("retried {step}: {}", many(because)),
        News::Holding { step, findings } => {
            format!(
                "holding {}: {}",
                step.as_ref().map(ToString::to_string).unwrap_or_default(),
                many(findings)
            )
        }
        News::StepFailed(it) => format!("failed {}: {}", it.step, it.finding),
        News::Halted(it) => format!("halted {} {}: {}", it.step, it.attempt, it.finding),
        News::Resumed { step, attempt } => format!("resumed {step} {attempt}"),
        News::Finished => "run finished".to_owned(),
        News::SourceNotRestored(finding)
        | News::StatusUnreadable(finding)
        | News::CommandRefused(finding) => finding.to_string(),
    };
    format!("{id} {text}")
}

/// What is sent in the turn that stores `after` over `before`, if no channel has taken anything yet.
fn sent(before: &Value, after: &Value) -> Vec<String> {
    let run = run(before);
    let (before, after) = (state(before), state(after));
    let news = notices(&run, &before, &after, |_| false, at(20));
    let after = State { unsent: news.unsent, ..after };
    unsent(&run, &after).iter().chain(&news.once).map(short).collect()
}

#[test]
fn each_change_is_told_and_standing_still_is_not() {
    let cases: &[(&str, Value, Value, &[&str])] = &[
        ("a run that has not begun", new(), new(), &[]),
        ("it opens", new(), waiting("preflight", 1, 1), &["u/1/opened opened v1.36.1 v1.36.3"]),
        ("it waits", waiting("preflight", 1, 1), waiting("preflight", 1, 1), &[]),
        (
            "nothing is left to do",
            new(),
            succeeded(0),
            &["u/0/opened opened v1.36.1 v1.36.3", "u/0/finished run finished"],
        ),
        ("a permit comes", waiting("preflight", 1, 1), active("preflight", 1), &["once started preflight"]),
        ("a step is over", active("preflight", 1), finished("preflight", 1), &["once finished preflight"]),
        ("the next one waits", finished("preflight", 1), waiting("snapshot", 2, 1), &[]),
        ("a token is taken back", waiting("snapshot", 2, 1), open(2), &[]),
        ("a node is cordoned", waiting("worker/w", 5, 1), on_node("cordon", 5), &["once started worker/w"]),
        ("it is drained", on_node("cordon", 5), on_node("drain", 5), &["once stage worker/w drain"]),
        ("it is still drained", on_node("drain", 5), on_node("drain", 5), &[]),
        (
            "a node is done",
            on_node("uncordon", 5),
            begun(5, json!({"nodesDone": 1})),
            &["once finished worker/w"],
        ),
        ("it comes too early", on_node("cordon", 5), open(5), &["once not begun worker/w"]),
        (
            "an attempt fails",
            on_node("drain", 5),
            waiting("worker/w", 6, 2),
            &["once retried worker/w: drain_deadline"],
        ),
        (
            "the last one fails",
            on_node("verify", 5),
            halted(5),
            &["u/5/halted halted worker/w 1: node_missing w"],
        ),
        (
            "it is deleted while it waits",
            waiting("worker/w", 6, 2),
            halted(6),
            &["u/6/halted halted worker/w 1: node_missing w"],
        ),
        ("it stays halted", halted(5), halted(5), &[]),
        ("a person has looked", halted(5), waiting("worker/w", 6, 2), &["once resumed worker/w 2"]),
        ("the run is over", finished("postflight", 8), succeeded(8), &["u/8/finished run finished"]),
        ("it stays over", succeeded(8), succeeded(8), &[]),
    ];
    for (claim, before, after, expected) in cases {
        assert_eq!(sent(before, after), *expected, "{claim}");
    }
}

#[test]
fn another_reason_to_wait_is_told_and_other_words_for_it_are_not() {
    let clear = waiting("worker/w", 5, 1);
    let by = |holds: &[(&str, &str, &str)]| held(waiting("worker/w", 5, 1), holds);
    let firing = by(&[("gate_firing", "A", "since 3 s")]);
    let cases: &[(&str, &Value, Value, &[&str])] = &[
        ("one comes", &clear, firing.clone(), &["once holding worker/w: gate_firing A: since 3 s"]),
        ("time goes by", &firing, by(&[("gate_firing", "A", "since 4 s")]), &[]),
        (
            "it is about something else",
            &firing,
            by(&[("gate_firing", "B", "")]),
            &["once holding worker/w: gate_firing B"],
        ),
        (
            "another one comes",
            &firing,
            by(&[("gate_firing", "A", ""), ("paused", "", "")]),
            &["once holding worker/w: gate_firing A, paused"],
        ),
        ("it goes", &firing, clear.clone(), &["once holding worker/w: "]),
        (
            "its step starts",
            &firing,
            on_node("cordon", 5),
            &["once started worker/w", "once holding worker/w: "],
        ),
        (
            "before any step",
            &new(),
            held(new(), &[("queued_behind_run", "a/b", "")]),
            &["once holding : queued_behind_run a/b"],
        ),
    ];
    for (claim, before, after, expected) in cases {
        assert_eq!(sent(before, after), *expected, "{claim}");
    }
}

#[test]
fn a_source_that_is_given_up_is_told_once_by_its_node() {
    let lost = |switched: &[&str]| {
        let holds = [("source_not_restored", "w", "ssh_unreachable")];
        held(begun(8, json!({"finishedAt": at(9), "switched": switched})), &holds)
    };
    assert_eq!(sent(&lost(&["w", "x"]), &lost(&["x"])), ["once source_not_restored w: ssh_unreachable"]);
    assert_eq!(sent(&lost(&["x"]), &lost(&[])), Vec::<String>::new(), "x was put back");
}

/// An actuator: what it has stored, what it has sent, and what it remembers of that.
struct Actuator {
    stored: State,
    sent: Vec<String>,
    taken: Vec<String>,
}

impl Actuator {
    fn store(&mut self, after: &State) -> Vec<Notice> {
        let is_sent = |id: &str| self.taken.iter().any(|taken| taken == id);
        let news = notices(&run(&new()), &self.stored, after, is_sent, at(20));
        // What is stored is what is read.
        let shown =
            crate::run::Shown { previous: None, generation: 1, next: "", progress: "", ending: false };
        let status = crate::run::status(&State { unsent: news.unsent, ..after.clone() }, &shown, at(20));
        self.stored = State::parse(Some(&status), "u").unwrap();
        news.once
    }

    fn send(&mut self, once: &[Notice]) {
        for notice in unsent(&run(&new()), &self.stored) {
            let id = notice.id.clone().unwrap();
            if !self.taken.contains(&id) {
                self.sent.push(short(&notice));
                self.taken.push(id);
            }
        }
        self.sent.extend(once.iter().map(short));
    }

    fn restart(&mut self) {
        self.taken.clear();
    }
}

/// A whole run that halts and goes on.
fn history() -> Vec<State> {
    [
        waiting("preflight", 1, 1),
        active("preflight", 1),
        finished("preflight", 1),
        waiting("worker/w", 2, 1),
        held(waiting("worker/w", 2, 1), &[("gate_firing", "A", "")]),
        on_node("drain", 2),
        halted(2),
        waiting("worker/w", 3, 2),
        succeeded(3),
        // The sequence goes on when a source is put back; the notice does not become another one.
        succeeded(4),
        succeeded(4),
    ]
    .iter()
    .map(state)
    .collect()
}

const KEPT: [&str; 3] = [
    "u/1/opened opened v1.36.1 v1.36.3",
    "u/2/halted halted worker/w 1: node_missing w",
    "u/3/finished run finished",
];

fn live(restarts_at: Option<(usize, bool)>) -> Actuator {
    let mut actuator = Actuator { stored: State::new(), sent: Vec::new(), taken: Vec::new() };
    for (turn, after) in history().iter().enumerate() {
        let once = actuator.store(after);
        if restarts_at == Some((turn, false)) {
            actuator.restart();
            continue;
        }
        actuator.send(&once);
        if restarts_at == Some((turn, true)) {
            actuator.restart();
        }
    }
    // It is looked after until everybody was told.
    let over = history().pop().unwrap();
    for _ in 0..2 {
        let once = actuator.store(&over);
        actuator.send(&once);
    }
    actuator
}

#[test]
fn without_a_restart_everything_is_told_once_and_nothing_is_left() {
    let actuator = live(None);
    let expected = [
        KEPT[0],
        "once started preflight",
        "once finished preflight",
        "once holding worker/w: gate_firing A",
        "once started worker/w",
        "once holding worker/w: ",
        KEPT[1],
        "once resumed worker/w 2",
        KEPT[2],
    ];
    assert_eq!(actuator.sent, expected);
    assert!(actuator.stored.unsent.is_empty(), "{:?}", actuator.stored.unsent);
}

#[test]
fn a_restart_at_any_moment_loses_none_of_the_three_and_repeats_nothing_else() {
    let mut repeated = 0;
    for turn in 0..history().len() {
        for after_sending in [false, true] {
            let actuator = live(Some((turn, after_sending)));
            let times = |told: &str| actuator.sent.iter().filter(|sent| *sent == told).count();
            for kept in KEPT {
                assert!(
                    (1..=2).contains(&times(kept)),
                    "{kept} at {turn} {after_sending}: {:?}",
                    actuator.sent
                );
                repeated += times(kept) - 1;
            }
            for told in actuator.sent.iter().filter(|told| told.starts_with("once")) {
                assert_eq!(times(told), 1, "{told} at {turn} {after_sending}");
            }
            assert!(actuator.stored.unsent.is_empty(), "{:?}", actuator.stored.unsent);
        }
    }
    assert_eq!(repeated, 3, "each of them once: where it was sent, and that was not stored yet");
}

#[test]
fn a_run_that_an_older_version_began_is_told_from_here_on() {
    for (claim, stored) in
        [("waits", waiting("worker/w", 5, 1)), ("halted", halted(5)), ("is over", succeeded(8))]
    {
        assert_eq!(sent(&stored, &stored), Vec::<String>::new(), "it {claim}");
        assert!(state(&stored).unsent.is_empty());
    }
    assert_eq!(sent(&on_node("drain", 5), &halted(5)), ["u/5/halted halted worker/w 1: node_missing w"]);
}

#[test]
fn what_no_version_has_written_is_left_out_and_stops_nothing() {
    let good = json!({"kind": "opened", "sequence": 1, "at": at(1)});
    let halt =
        |reason: &str| json!({"step": "worker/w", "attempt": 1, "at": at(4), "finding": {"reason": reason}});
    let kept = |others: &[Value]| {
        let mut fields = waiting("worker/w", 5, 1);
        fields["unsentNotices"] = others.iter().chain([&good]).cloned().collect();
        let state = state(&fields);
        let kept = notices(&run(&fields), &state, &state, |_| false, at(20)).unsent;
        assert!(kept.len() <= UNSENT_LENGTH_MAX);
        assert_eq!(kept.last().unwrap().milestone, Milestone::Opened);
        kept.len()
    };
    for odd in [
        json!({"kind": "dancing", "sequence": 1, "at": at(1)}),
        json!({"kind": "halted", "sequence": 1, "at": at(1)}),
        json!({"kind": "opened", "sequence": 6, "at": at(1)}),
        json!({"kind": "finished", "sequence": 1, "at": at(1), "halted": halt("node_missing")}),
        json!({"kind": "halted", "sequence": 1, "at": at(1), "halted": halt("dancing")}),
    ] {
        assert_eq!(kept(std::slice::from_ref(&odd)), 1, "{odd}");
    }
    let many =
        vec![json!({"kind": "halted", "sequence": 1, "at": at(1), "halted": halt("node_missing")}); 5_000];
    assert_eq!(kept(&many), UNSENT_LENGTH_MAX);
}
