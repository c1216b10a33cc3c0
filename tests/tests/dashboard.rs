//! The dashboard names only what is exported, and Grafana can show it as it is.

use std::collections::BTreeSet;

use lockkeeper_tests::dashboard::{overview, panels, queries, substituted};
use lockkeeper_tests::promql;
use serde_json::Value;

#[test]
fn every_query_names_only_metrics_and_labels_that_are_exported() {
    let annotations = overview().unwrap()["annotations"]["list"].clone();
    let annotations = annotations.as_array().unwrap().iter();
    let annotations =
        annotations.map(|it| ("an annotation".to_owned(), substituted(it["expr"].as_str().unwrap())));
    for (title, expr) in queries().unwrap().into_iter().map(|it| (it.title, it.expr)).chain(annotations) {
        promql::known(&expr).unwrap_or_else(|error| panic!("{title}: {error:#}"));
        assert!(!expr.contains('$'), "{title}: a variable is left in {expr}");
        for selector in promql::selectors(&expr).unwrap() {
            let asked: BTreeSet<_> = selector.matchers.matchers.iter().map(|it| it.name.as_str()).collect();
            assert!(asked.contains("cluster"), "{title}: {selector}");
            let is_alert = selector.name.as_deref() == Some("ALERTS");
            assert!(is_alert || asked.is_superset(&["job", "instance"].into()), "{title}: {selector}");
        }
    }
}

#[test]
fn every_legend_names_labels_that_the_answer_has() {
    for panel in panels().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let expr = substituted(target["expr"].as_str().unwrap());
            let labels = promql::labels(&expr).unwrap();
            for name in target["legendFormat"].as_str().unwrap().split("{{").skip(1) {
                let name = name.split("}}").next().unwrap();
                assert!(labels.contains(name), "{}: {name} is not among {labels:?}", panel["title"]);
            }
        }
    }
}

#[test]
fn grafana_takes_it_without_asking_anything() {
    let dashboard = overview().unwrap();
    assert_eq!(dashboard["uid"], "lockkeeper-overview");
    assert_eq!(dashboard["id"], Value::Null);
    assert_eq!(dashboard["editable"], false);
    assert!(dashboard.get("__inputs").is_none() && dashboard.get("__requires").is_none());
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "cluster", "job", "instance"]);
    for variable in &variables[1..] {
        assert_eq!(variable["datasource"]["uid"], "${datasource}");
        assert!(variable["allValue"].is_string() && variable["refresh"] == 2, "{variable}");
    }
    for panel in panels().unwrap() {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        }
    }
}

#[test]
fn every_panel_has_its_own_id_title_unit_and_description() {
    let dashboard = overview().unwrap();
    let all = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = all.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), all.len());
    let titles: BTreeSet<_> = all.iter().map(|panel| panel["title"].as_str().unwrap()).collect();
    assert_eq!(titles.len(), all.len());
    for panel in panels().unwrap() {
        let title = &panel["title"];
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{title}");
        assert!(panel.pointer("/fieldConfig/defaults/unit").is_some_and(Value::is_string), "{title}");
        let targets = panel["targets"].as_array().unwrap();
        let references: BTreeSet<_> =
            targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
        assert!(!targets.is_empty() && references.len() == targets.len(), "{title}");
    }
}

#[test]
fn no_panel_lies_over_another_or_beside_the_page() {
    let dashboard = overview().unwrap();
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{}", panel["title"]);
        for cell in
            (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)))
        {
            assert!(taken.insert(cell), "{} lies over another panel", panel["title"]);
        }
    }
}

#[test]
fn a_timeline_shows_every_state_and_never_a_series_that_ends() {
    let timelines: Vec<_> =
        panels().unwrap().into_iter().filter(|panel| panel["type"] == "state-timeline").collect();
    assert!(!timelines.is_empty());
    for panel in timelines {
        let title = panel["title"].as_str().unwrap();
        let mapped =
            panel.pointer("/fieldConfig/defaults/mappings/0/options").and_then(Value::as_object).unwrap();
        let mapped: BTreeSet<_> = mapped.keys().map(String::as_str).collect();
        let expr = panel["targets"][0]["expr"].as_str().unwrap();
        if title == "Nodes" {
            // A state without a number, or a number without a word, would be drawn as the state before it.
            for (number, state) in
                ["pending", "upgrading", "upgraded", "failed", "skipped"].iter().enumerate()
            {
                assert!(
                    expr.contains(&format!("({number} * (k8s_upgrade_node_state{{state=\"{state}\"")),
                    "{state}"
                );
            }
            assert!(expr.contains("(5 + 0 * "), "a node without a state has a number of its own");
            assert_eq!(mapped, ["0", "1", "2", "3", "4", "5"].into());
        } else {
            assert!(!expr.contains("=="), "{title}: a series that ends is drawn as if it went on");
            assert_eq!(mapped, ["0", "1"].into(), "{title}");
        }
        let nulls_ms = panel.pointer("/fieldConfig/defaults/custom/insertNulls").and_then(Value::as_u64);
        assert!(nulls_ms.is_some_and(|nulls_ms| nulls_ms <= 60_000), "{title}");
    }
}
