//! The rows about Prometheus.

use super::world::*;
use super::*;

/// Makes a rule show an alert.
fn alerting(rule: &mut Rule, state: RuleState, alert: AlertState) {
    rule.state = state;
    rule.alerts = vec![prom_alert([("alertname", "x")], alert)];
}

/// Lets a rule be evaluated for the last time as the token is minted.
fn older_than_token(world: &mut World, name: &str) {
    world.order.minted_at = at(-8);
    world.rule(name).last_evaluation = at(-8);
}

/// Adds a rule that the site has written.
fn foreign(world: &mut World, class: &str, break_it: fn(&mut Rule)) {
    let mut foreign = rule(&generated("Foreign", Some(class)));
    foreign.last_evaluation = at(-10);
    break_it(&mut foreign);
    world.loaded().push(Group { name: "site".to_owned(), interval_seconds: 15.0, rules: vec![foreign] });
}

static LOADED_RULES_ROWS: &[Row] = &[
    (
        "reload failed",
        |w| w.prometheus().runtime = answer(RuntimeInfo { reload_succeeded: false }),
        Reason::PrometheusReloadFailed,
        PROMETHEUS,
    ),
    (
        "a gate is not loaded",
        |w| w.loaded()[0].rules.retain(|r| r.name != "GateAll"),
        Reason::RuleMissing,
        "GateAll",
    ),
    ("a people's rule is not loaded", |w| w.loaded()[1].rules.clear(), Reason::RuleMissing, "ForPeople"),
    ("a gate has lost its label", |w| w.rule("GateAll").labels.clear(), Reason::RuleMissing, "GateAll"),
    (
        "a gate of another class",
        |w| w.loaded()[0].rules.retain(|r| r.name != "GateStart"),
        Reason::RuleMissing,
        "GateStart",
    ),
    ("unhealthy", |w| w.rule("GateMutating").healthy = false, Reason::RuleUnhealthy, "GateMutating"),
    ("an error", |w| w.rule("GateAll").last_error = "many-to-many".into(), Reason::RuleUnhealthy, "GateAll"),
    ("people's unhealthy", |w| w.rule("ForPeople").healthy = false, Reason::RuleUnhealthy, "ForPeople"),
    ("ready rule unhealthy", |w| w.rule(READY_ALERT).healthy = false, Reason::RuleUnhealthy, READY_ALERT),
    ("stale", |w| w.rule("GateAll").last_evaluation = at(-16), Reason::RuleStale, "GateAll"),
    ("people's stale", |w| w.rule("ForPeople").last_evaluation = at(-91), Reason::RuleStale, "ForPeople"),
    ("older than the token", |w| older_than_token(w, "GateAll"), Reason::RuleStale, "GateAll"),
    ("ready rule older", |w| older_than_token(w, READY_ALERT), Reason::RuleStale, READY_ALERT),
    ("watchdog older", |w| older_than_token(w, WATCHDOG_ALERT), Reason::RuleStale, WATCHDOG_ALERT),
    (
        "foreign older",
        |w| {
            w.order.minted_at = at(-9);
            foreign(w, "mutating", |_| ());
        },
        Reason::RuleStale,
        "Foreign",
    ),
    (
        "firing",
        |w| alerting(w.rule("GateAll"), RuleState::Firing, AlertState::Firing),
        Reason::GateFiring,
        "GateAll",
    ),
    (
        "pending",
        |w| alerting(w.rule("GateMutating"), RuleState::Pending, AlertState::Pending),
        Reason::GatePending,
        "GateMutating",
    ),
    (
        "an alert that has just ended",
        |w| alerting(w.rule("GateAll"), RuleState::Inactive, AlertState::Inactive),
        Reason::GatePending,
        "GateAll",
    ),
    ("firing without alerts", |w| w.rule("GateAll").state = RuleState::Firing, Reason::GateFiring, "GateAll"),
    (
        "pending without alerts",
        |w| w.rule("GateAll").state = RuleState::Pending,
        Reason::GatePending,
        "GateAll",
    ),
    ("not evaluated yet", |w| w.rule("GateAll").state = RuleState::Unknown, Reason::RuleUnknown, "GateAll"),
    (
        "foreign firing",
        |w| foreign(w, "mutating", |r| alerting(r, RuleState::Firing, AlertState::Firing)),
        Reason::GateFiring,
        "Foreign",
    ),
    (
        "foreign pending",
        |w| foreign(w, "all", |r| alerting(r, RuleState::Pending, AlertState::Pending)),
        Reason::GatePending,
        "Foreign",
    ),
    ("foreign unhealthy", |w| foreign(w, "all", |r| r.healthy = false), Reason::RuleUnhealthy, "Foreign"),
    (
        "foreign stale",
        |w| {
            w.order.minted_at = at(-100);
            foreign(w, "all", |r| r.last_evaluation = at(-46));
        },
        Reason::RuleStale,
        "Foreign",
    ),
    (
        "misspelt and unknown",
        |w| foreign(w, "mutatign", |r| r.state = RuleState::Unknown),
        Reason::RuleUnknown,
        "Foreign",
    ),
    (
        "watchdog quiet",
        |w| alerting(w.rule(WATCHDOG_ALERT), RuleState::Inactive, AlertState::Pending),
        Reason::WatchdogMissing,
        PROMETHEUS,
    ),
];

#[test]
fn each_row_about_loaded_rules_closes_alone() {
    check_rows(BOTH, LOADED_RULES_ROWS);
}

#[test]
fn what_is_not_of_the_class_does_not_close() {
    let rows: [Break; 4] = [
        |w| alerting(w.rule("GateStart"), RuleState::Firing, AlertState::Firing),
        |w| foreign(w, "start", |r| alerting(r, RuleState::Firing, AlertState::Firing)),
        |w| alerting(w.rule("ForPeople"), RuleState::Firing, AlertState::Firing),
        |w| {
            w.alerts()
                .push(am_alert([("alertname", "GateStart"), (GATE_LABEL, "start")], am::AlertState::Active))
        },
    ];
    for break_it in rows {
        let mut world = World::well(Form::Start);
        break_it(&mut world);
        assert_eq!(world.judged(), []);
    }
}

#[test]
fn an_alert_closes_by_its_own_label_even_if_its_rule_has_none_and_a_misspelt_one_is_named() {
    for (class, expected) in [
        ("mutating", vec![(Reason::GateFiring, "ForPeople".to_owned())]),
        (
            "mutatign",
            vec![
                (Reason::GateFiring, "ForPeople".to_owned()),
                (Reason::GateMisspelt, "ForPeople".to_owned()),
            ],
        ),
        ("start", vec![]),
    ] {
        let mut world = World::well(Form::Continue);
        let rule = world.rule("ForPeople");
        rule.state = RuleState::Firing;
        rule.alerts = vec![prom_alert([("alertname", "ForPeople"), (GATE_LABEL, class)], AlertState::Firing)];
        assert_eq!(world.judged(), expected, "{class}");
    }
}

static QUERIES_ROWS: &[Row] = &[
    (
        "an expression is true",
        |w| w.samples("GateAll").push(sample([("node", "w-2")], f64::NAN)),
        Reason::GateExpressionTrue,
        "GateAll",
    ),
    (
        "a query fails",
        |w| {
            w.prometheus().queries.insert("GateAll == 0".to_owned(), refused());
        },
        Reason::PrometheusUnreachable,
        PROMETHEUS,
    ),
    (
        "a query is partial",
        |w| {
            w.prometheus().queries.insert("GateMutating == 0".to_owned(), unusable());
        },
        Reason::AnswerMalformed,
        PROMETHEUS,
    ),
    (
        "a query was not asked",
        |w| {
            w.prometheus().queries.remove("GateAll == 0");
        },
        Reason::AnswerMalformed,
        PROMETHEUS,
    ),
    ("no control", |w| w.samples("ALERTS").clear(), Reason::WatchdogMissing, PROMETHEUS),
    ("no echo", |w| w.samples("k8s_upgrade_step_").clear(), Reason::EchoMissing, PROMETHEUS),
    ("an echo of 0", |w| w.samples("k8s_upgrade_step_")[0].value = 0.0, Reason::EchoMissing, PROMETHEUS),
    (
        "an echo of another",
        |w| w.samples("k8s_upgrade_step_")[0].labels.clear(),
        Reason::EchoMissing,
        PROMETHEUS,
    ),
    ("no echo time", |w| w.samples("timestamp(").clear(), Reason::EchoMissing, PROMETHEUS),
    ("an old echo", |w| w.samples("timestamp(")[0].value -= 11.0, Reason::EchoStale, PROMETHEUS),
    (
        "a node too few",
        |w| {
            w.samples("count").pop();
        },
        Reason::NodeMismatch,
        PROMETHEUS,
    ),
    (
        "a node of another cluster",
        |w| {
            w.samples("count")[0].labels = labels([("node", "other")]);
        },
        Reason::NodeMismatch,
        PROMETHEUS,
    ),
    (
        "its data was lost",
        |w| w.samples("max_over_time")[0].value = at(-100).as_duration().as_secs_f64(),
        Reason::PrometheusYoung,
        "http://prometheus-0:9090 until 2027-01-15T08:03:29Z",
    ),
    (
        "no data at all",
        |w| w.samples("max_over_time")[0].value = at(-1).as_duration().as_secs_f64(),
        Reason::PrometheusYoung,
        PROMETHEUS,
    ),
    ("a history of nothing", |w| w.samples("max_over_time").clear(), Reason::AnswerMalformed, PROMETHEUS),
    (
        "a history that is no number",
        |w| w.samples("max_over_time")[0].value = f64::NAN,
        Reason::AnswerMalformed,
        PROMETHEUS,
    ),
    ("nodes without names", |w| w.samples("count")[0].labels.clear(), Reason::NodeMismatch, PROMETHEUS),
];

#[test]
fn each_row_about_queries_closes_alone() {
    check_rows(BOTH, QUERIES_ROWS);
}

#[test]
fn without_any_generated_rule_the_controls_are_still_asked_for() {
    let mut world = World::well(Form::Continue);
    world.loaded().clear();
    let findings = check_with(&[], &world.order, &world.answers, &world.settings, now());
    let missing: Vec<_> =
        findings.iter().filter(|f| f.reason == Reason::RuleMissing).map(|f| &*f.subject).collect();
    assert_eq!(missing, [READY_ALERT, WATCHDOG_ALERT]);
}

#[test]
fn what_was_seen_of_one_subject_is_put_together_and_bounded() {
    let mut world = World::well(Form::Continue);
    let rule = world.rule("GateAll");
    rule.state = RuleState::Firing;
    rule.alerts = (0..9).map(|i| prom_alert([("node", &*format!("w-{i}"))], AlertState::Firing)).collect();
    let findings = check_with(&groups(), &world.order, &world.answers, &world.settings, now());
    assert_eq!(findings.len(), 1);
    assert!(findings[0].detail.starts_with("node=\"w-0\"; node=\"w-1\""), "{}", findings[0]);
    assert!(findings[0].detail.ends_with("and 4 more"), "{}", findings[0]);
}

#[test]
fn a_step_is_asked_about_the_gates_of_its_class_with_the_selector() {
    let mut world = World::well(Form::Start);
    world.settings.selector = "cluster=\"a\"".parse().unwrap();
    let rules = groups();
    let rules = || rules.iter().flat_map(|group| &group.rules);
    let gates = |step: Step| {
        let order = CheckOrder { step, ..world.order.clone() };
        let questions = Questions::with(rules(), &order, &world.settings);
        questions.gates.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(gates(Step::Preflight), ["GateAll", "GateStart"]);
    assert_eq!(gates(Step::Snapshot), ["GateAll"]);
    assert_eq!(gates(Step::Worker(NodeName("w".into()))), ["GateAll", "GateMutating"]);
    let questions = Questions::with(rules(), &world.order, &world.settings);
    let exporters = "job=\"k8s-upgrade-exporter\",cluster=\"a\"";
    assert_eq!(questions.echo, format!("k8s_upgrade_step_pending{{token=\"{TOKEN}\",{exporters}}}"));
    assert_eq!(questions.nodes, format!("count by (node) (k8s_upgrade_node_info{{{exporters}}})"));
    assert_eq!(questions.echo_time, format!("timestamp({})", questions.echo));
}

#[test]
fn data_must_be_as_old_as_our_own_rules_look_back_or_as_people_say_that_theirs_do() {
    for (unbroken, wished, range) in [
        (300, 0, "[309s:6s]"),
        (300, 303, "[309s:6s]"),
        (300, 7_200, "[7320s:120s]"),
        (10, 0, "[24s:1s]"),
        (3_600, 7_200, "[7320s:120s]"),
        (3_600, 60, "[3664s:61s]"),
    ] {
        let mut world = World::well(Form::Continue);
        world.settings.unbroken_evaluation_seconds = unbroken;
        world.settings.prometheus_data_age_seconds_min = wished;
        let asked = world.questions(&groups()).history;
        let expected = format!("max_over_time((vector(time()) unless on () up{{}}){range}) or vector(0)");
        assert_eq!(asked, expected, "{unbroken} {wished}");
    }
}

#[test]
fn alerts_of_another_cluster_in_the_same_prometheus_do_not_close_and_their_controls_do_not_count() {
    let mut world = World::well(Form::Start);
    world.settings.selector = "cluster=\"a\"".parse().unwrap();
    let groups = alert::groups(&world.settings);
    world.answers.prometheus = vec![prometheus_of(&groups, &world.questions(&groups))];
    for alert in world.alerts() {
        alert.labels.insert("cluster".to_owned(), "a".to_owned());
    }
    let other = [("alertname", "G"), (GATE_LABEL, "all"), ("cluster", "b")];
    world.alerts().push(am_alert(other, am::AlertState::Active));
    foreign(&mut world, "all", |rule| {
        rule.state = RuleState::Firing;
        rule.alerts = vec![prom_alert([("alertname", "Foreign"), ("cluster", "b")], AlertState::Firing)];
    });
    let judged = |world: &World| check_with(&groups, &world.order, &world.answers, &world.settings, now());
    assert_eq!(judged(&world), []);

    world.rule(WATCHDOG_ALERT).alerts[0].labels.insert("cluster".to_owned(), "b".to_owned());
    let findings = judged(&world);
    assert_eq!(
        findings.iter().map(|f| (f.reason, &*f.subject)).collect::<Vec<_>>(),
        [(Reason::WatchdogMissing, PROMETHEUS)]
    );
}

#[test]
fn each_generated_rule_closes_alone_when_it_is_not_loaded() {
    let mut world = World::well(Form::Start);
    let groups = alert::groups(&world.settings);
    world.answers.prometheus = vec![prometheus_of(&groups, &world.questions(&groups))];
    let check = |world: &World| check(&world.order, &world.answers, &world.settings, now());
    assert_eq!(check(&world), []);
    for name in groups.iter().flat_map(|group| &group.rules).map(|rule| rule.name) {
        let mut world = World {
            answers: world.answers.clone(),
            order: world.order.clone(),
            settings: world.settings.clone(),
        };
        for group in world.loaded() {
            group.rules.retain(|rule| rule.name != name);
        }
        assert!(check(&world).iter().any(|f| f.reason == Reason::RuleMissing && f.subject == name), "{name}");
    }
}
