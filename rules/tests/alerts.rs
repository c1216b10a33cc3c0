//! What holds for every generated alert.

use std::collections::BTreeSet;

use lockkeeper_rules::alert::GATE_LABEL;
use lockkeeper_rules::alert::{
    AlertRule, GATES_GROUP, PEOPLE_GROUP, READY_ALERT, WATCHDOG_ALERT, groups, look_back_seconds,
    watchdog_count_min, watchdog_intervals,
};
use lockkeeper_rules::gate::CheckOrder;
use lockkeeper_rules::gate::{Form, Questions};
use lockkeeper_rules::publish::metric::{Program, TABLE};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::words::gate_class::Class;
use lockkeeper_rules::words::step::Step;
use promql_parser::parser::{Expr, MatrixSelector, VectorSelector, parse};

fn rules_of(settings: &Settings) -> Vec<AlertRule> {
    groups(settings).into_iter().flat_map(|group| group.rules).collect()
}

fn with_everything() -> Settings {
    Settings {
        prometheus_job: "prometheus".to_owned(),
        selector: "cluster=\"a\"".parse().expect("a selector"),
        ..Settings::default()
    }
}

/// Every vector selector inside an expression.
fn selectors(expr: &Expr) -> Vec<VectorSelector> {
    match expr {
        Expr::VectorSelector(selector) => vec![selector.clone()],
        Expr::MatrixSelector(matrix) => vec![matrix.vs.clone()],
        other => parts(other).into_iter().flat_map(selectors).collect(),
    }
}

/// Every selector of a range inside an expression.
fn ranges(expr: &Expr) -> Vec<MatrixSelector> {
    match expr {
        Expr::MatrixSelector(matrix) => vec![matrix.clone()],
        Expr::Subquery(_) => panic!("the moments of a subquery lie on its edge"),
        other => parts(other).into_iter().flat_map(ranges).collect(),
    }
}

/// What an expression is made of.
fn parts(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Aggregate(aggregate) => vec![&*aggregate.expr],
        Expr::Unary(unary) => vec![&*unary.expr],
        Expr::Binary(binary) => vec![&*binary.lhs, &*binary.rhs],
        Expr::Paren(paren) => vec![&*paren.expr],
        Expr::Subquery(subquery) => vec![&*subquery.expr],
        Expr::Call(call) => call.args.args.iter().map(|arg| &**arg).collect(),
        Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::VectorSelector(_)
        | Expr::MatrixSelector(_) => Vec::new(),
        Expr::Extension(_) => panic!("an extension of PromQL in a generated rule"),
    }
}

#[test]
fn every_selector_of_every_rule_tells_the_cluster() {
    for rule in rules_of(&with_everything()) {
        let expr = parse(&rule.expr).unwrap_or_else(|error| panic!("{}: {error}\n{}", rule.name, rule.expr));
        let found = selectors(&expr);
        assert!(rule.name == WATCHDOG_ALERT || !found.is_empty(), "{} reads nothing", rule.name);
        for selector in found {
            let matchers = selector.matchers.find_matchers("cluster");
            let values: Vec<_> = matchers.iter().map(|matcher| matcher.value.as_str()).collect();
            let of_anybody = selector.matchers.find_matchers(GATE_LABEL).is_empty();
            let expected = if of_anybody { "a" } else { "|a" };
            assert_eq!(values, [expected], "{}: {selector}", rule.name);
        }
    }
}

#[test]
fn every_scraped_series_is_of_the_program_that_has_it() {
    let settings = with_everything();
    let Settings { exporter_job, actuator_job, prometheus_job, .. } = &settings;
    for rule in rules_of(&settings) {
        for selector in selectors(&parse(&rule.expr).unwrap()) {
            let name = selector.name.as_deref().unwrap_or_default();
            let metric = TABLE.iter().find(|metric| metric.name == name);
            let job = match (name, metric.map(|metric| metric.program)) {
                ("ALERTS", _) => continue,
                ("up", _) | (_, Some(Program::Exporter)) => exporter_job,
                (_, Some(Program::Actuator)) => actuator_job,
                (_, None) => prometheus_job,
            };
            let matchers = selector.matchers.find_matchers("job");
            let jobs: Vec<_> = matchers.iter().map(|matcher| matcher.value.as_str()).collect();
            assert_eq!(jobs, [job.as_str()], "{}: {selector}", rule.name);
        }
    }
}

#[test]
fn an_alert_says_which_cluster_it_is_about() {
    for rule in rules_of(&with_everything()) {
        assert_eq!(rule.labels.get("cluster").map(String::as_str), Some("a"), "{}", rule.name);
    }
}

#[test]
fn no_gate_waits_and_every_class_exists() {
    for rule in rules_of(&with_everything()) {
        if let Some(class) = rule.gate() {
            assert!(Class::is_known(class), "{} closes {class:?}", rule.name);
            assert_eq!(rule.for_seconds, 0, "{}", rule.name);
            assert_eq!(rule.labels["severity"], "none", "{} would page somebody", rule.name);
        }
    }
}

#[test]
fn what_wakes_people_is_no_gate_and_reads_no_gate() {
    for group in groups(&with_everything()) {
        for rule in &group.rules {
            let for_people = rule.labels["severity"] != "none";
            assert_eq!(for_people, group.name == PEOPLE_GROUP, "{}", rule.name);
            if for_people {
                assert_eq!(rule.gate(), None, "{}", rule.name);
                // A gate label that came through the expression would make a gate of it.
                assert!(!rule.expr.contains(GATE_LABEL), "{}", rule.name);
            }
        }
    }
}

#[test]
fn the_ready_rule_is_evaluated_after_all_that_it_asks() {
    for settings in [Settings::default(), with_everything()] {
        let gates = groups(&settings).remove(0);
        assert_eq!(gates.name, GATES_GROUP);
        assert_eq!(gates.rules.last().unwrap().name, READY_ALERT);
    }
}

#[test]
fn rule_failures_are_watched_only_where_prometheus_scrapes_itself() {
    let has =
        |settings| rules_of(&settings).iter().any(|rule| rule.name == "K8sUpgradeRuleEvaluationFailing");
    assert!(!has(Settings::default()));
    assert!(has(with_everything()));
}

#[test]
fn the_watchdog_is_counted_by_window_and_interval() {
    for (window_seconds, interval_seconds, intervals, count_min, range) in [
        (300, 5, 60, 58, "[302500ms]"),
        (600, 10, 60, 58, "[605s]"),
        (10, 1, 10, 8, "[10500ms]"),
        (1, 5, 4, 2, "[22500ms]"),
        (22, 5, 5, 3, "[27500ms]"),
    ] {
        let settings = Settings {
            unbroken_evaluation_seconds: window_seconds,
            evaluation_interval_seconds: interval_seconds,
            ..Settings::default()
        };
        assert_eq!((watchdog_intervals(&settings), watchdog_count_min(&settings)), (intervals, count_min));
        let ready = rules_of(&settings).into_iter().find(|rule| rule.name == READY_ALERT).unwrap();
        let counted = format!("{range}) >= {count_min}");
        assert!(ready.expr.contains(&counted), "{counted} is not in {}", ready.expr);
    }
}

/// Prometheus 3 leaves out a sample at the very edge of a range, and those before it do not.
#[test]
fn every_range_ends_half_way_between_two_samples() {
    for (window_seconds, evaluation_seconds, scrape_seconds) in
        [(300, 5, 5), (300, 10, 15), (10, 1, 1), (3_600, 60, 7), (17, 4, 60)]
    {
        let settings = Settings {
            unbroken_evaluation_seconds: window_seconds,
            evaluation_interval_seconds: evaluation_seconds,
            scrape_interval_seconds: scrape_seconds,
            ..with_everything()
        };
        let rules = rules_of(&settings);
        let ranges: Vec<_> = rules.iter().flat_map(|rule| ranges(&parse(&rule.expr).unwrap())).collect();
        assert_eq!(ranges.len(), 2, "{ranges:?}");
        let longest = ranges.iter().map(|matrix| matrix.range.as_millis().div_ceil(1000)).max();
        assert_eq!(longest, Some(look_back_seconds(&settings).into()), "the age of the data follows it");
        for MatrixSelector { vs, range } in ranges {
            // What rules write down has their pace, everything else that of the scrapes.
            let is_written = vs.name.as_deref() == Some("ALERTS");
            let interval_seconds = if is_written { evaluation_seconds } else { scrape_seconds };
            let interval_millis = u128::from(1000 * interval_seconds);
            assert_eq!(range.as_millis() % interval_millis, interval_millis / 2, "{vs} {range:?}");
            assert!(range.as_secs() >= window_seconds, "{vs} {range:?}");
        }
    }
}

/// What a question looks back to is covered by the age that is asked for, which only one of them asks for. Those about etcd
/// are asked where it is scraped only, and can but hold: with a short past they know less, as where it is not scraped.
#[test]
fn no_question_of_the_live_check_has_a_range_but_the_rules_and_those_about_the_history_and_etcd() {
    let settings = with_everything();
    let order = CheckOrder {
        step: Step::Preflight,
        token: "run.1.1.00".parse().unwrap(),
        form: Form::Start,
        minted_at: jiff::Timestamp::UNIX_EPOCH,
        exempt: Vec::new(),
    };
    let questions = Questions::of(&order, &settings);
    let rules = rules_of(&settings);
    for question in questions.all() {
        let is_rule = rules.iter().any(|rule| rule.expr == question);
        let parsed = parse(question).unwrap_or_else(|error| panic!("{question}: {error}"));
        if question == questions.history {
            let of_cluster = selectors(&parsed);
            assert_eq!(of_cluster.len(), 1, "{question}");
            assert_eq!(of_cluster[0].matchers.find_matchers("cluster").len(), 1, "{question}");
        } else if !is_rule && !questions.etcd.iter().any(|measure| measure.expr == question) {
            assert!(ranges(&parsed).is_empty(), "{question}");
        }
    }
}

#[test]
fn names_are_unique_and_every_alert_says_what_it_means() {
    let rules = rules_of(&with_everything());
    let names: BTreeSet<_> = rules.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), rules.len());
    for rule in rules {
        let annotation = |key| rule.annotations.get(key).map_or("", String::as_str);
        assert!(
            annotation("summary").ends_with('.') && !annotation("summary").contains("{{"),
            "{}",
            rule.name
        );
        assert!(annotation("description").ends_with('.'), "{}", rule.name);
        assert_eq!(annotation("runbook_url"), format!("docs/runbooks.md#{}", rule.name.to_lowercase()));
    }
}

#[test]
fn every_alert_has_its_section_in_the_runbooks() {
    let runbooks = include_str!("../../docs/runbooks.md");
    let sections: BTreeSet<_> = runbooks.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let named: BTreeSet<_> = rules_of(&with_everything()).iter().map(|rule| rule.name).collect();
    assert_eq!(sections, named, "docs/runbooks.md has a section for each alert and for nothing else");
    for section in
        runbooks.split("### ").skip(1).filter(|section| section.starts_with("K8s") && section.contains("**"))
    {
        for part in ["**Means.**", "**Look.**", "**Do.**"] {
            assert!(
                section.contains(part),
                "{part} is missing in {}",
                section.lines().next().unwrap_or_default()
            );
        }
    }
}
