//! The rules name only what is exported.

use lockkeeper_rules::alert;
use lockkeeper_rules::settings::Settings;
use lockkeeper_tests::promql;

#[test]
fn every_metric_and_label_of_every_rule_is_exported() {
    let settings = Settings {
        prometheus_job: "prometheus".to_owned(),
        selector: "cluster=\"a\"".parse().unwrap(),
        ..Settings::default()
    };
    for rule in alert::groups(&settings).iter().flat_map(|group| &group.rules) {
        promql::known(&rule.expr).unwrap_or_else(|error| panic!("{}: {error:#}", rule.name));
    }
}

#[test]
fn every_label_of_a_description_is_one_of_its_expression() {
    for rule in alert::groups(&Settings::default()).iter().flat_map(|group| &group.rules) {
        let labels = promql::labels(&rule.expr).unwrap();
        for label in rule.annotations["description"].split("$labels.").skip(1) {
            let label = label.split(' ').next().unwrap();
            assert!(labels.contains(label), "{}: {label} is not among {labels:?}", rule.name);
        }
    }
}
