//! The route, as amtool reads it.

use std::path::PathBuf;

use lockkeeper_rules::alert;
use lockkeeper_rules::publish::route::{
    GATES_RECEIVER, HEARTBEAT_RECEIVER, READY_RECEIVER, RouteOptions, RouteTls, to_yaml,
};
use lockkeeper_rules::settings::Settings;

use super::promtool::{default_groups, run};

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("alertmanager.yaml");
    std::fs::write(&path, text).expect("a temporary folder can be written");
    (folder, path)
}

/// The receivers of an alert with these labels, in the order of the routes.
fn receivers(config: &str, labels: &[&str]) -> Vec<String> {
    let (_folder, path) = written(config);
    let config = format!("--config.file={}", path.display());
    let said = run("amtool", &[&["config", "routes", "test", &config], labels].concat());
    said.unwrap_or_else(|said| panic!("{said}")).trim().split(',').map(str::to_owned).collect()
}

#[test]
fn alertmanager_takes_the_configuration() {
    let client = Some(("/c.crt".to_owned(), "/c.key".to_owned()));
    let with_tls = RouteTls { ca_file: Some("/ca.crt".to_owned()), client };
    for tls in [RouteTls::default(), with_tls] {
        let options = RouteOptions { tls, ..RouteOptions::default() };
        let (_folder, path) = written(&to_yaml(&options, &Settings::default()));
        run("amtool", &["check-config", &path.display().to_string()]).unwrap_or_else(|said| panic!("{said}"));
    }
}

#[test]
fn every_alert_goes_where_it_is_awaited_and_nowhere_else() {
    let config = to_yaml(&RouteOptions::default(), &Settings::default());
    let to = |labels: &[&str]| receivers(&config, labels);
    assert_eq!(to(&["alertname=K8sUpgradeStepReady", "token=u.1.1.00ff", "severity=none"]), [READY_RECEIVER]);
    assert_eq!(to(&["alertname=K8sUpgradeWatchdog", "severity=none"]), [HEARTBEAT_RECEIVER]);
    assert_eq!(to(&["alertname=Site", "k8s_upgrade_gate=all"]), [GATES_RECEIVER, "humans"]);
    for rule in default_groups().iter().flat_map(|group| &group.rules) {
        let name = format!("alertname={}", rule.name);
        if let Some(class) = rule.gate() {
            let gate = format!("k8s_upgrade_gate={class}");
            assert_eq!(to(&[&name, &gate]), [GATES_RECEIVER, "k8s-upgrade-nobody"], "{}", rule.name);
        } else if rule.labels["severity"] != "none" {
            assert_eq!(to(&[&name]), ["humans"], "{}", rule.name);
        }
    }
}

#[test]
fn a_shared_alertmanager_is_told_which_cluster_is_meant() {
    let settings = Settings { selector: "cluster=\"a\"".parse().unwrap(), ..Settings::default() };
    let config = to_yaml(&RouteOptions::default(), &settings);
    let to = |labels: &[&str]| receivers(&config, labels);
    assert_eq!(to(&["alertname=K8sUpgradeStepReady", "cluster=a"]), [READY_RECEIVER]);
    assert_eq!(to(&["alertname=K8sUpgradeStepReady", "cluster=b"]), ["humans"]);
    assert_eq!(to(&["alertname=Site", "k8s_upgrade_gate=all"]), [GATES_RECEIVER, "humans"]);
    assert_eq!(to(&["alertname=Site", "k8s_upgrade_gate=all", "cluster=b"]), ["humans"]);
}

#[test]
fn promtool_has_nothing_to_say_about_the_rules() {
    let with_everything = Settings {
        prometheus_job: "prometheus".to_owned(),
        selector: "cluster=\"a\"".parse().unwrap(),
        ..Settings::default()
    };
    for settings in [Settings::default(), with_everything] {
        let (_folder, path) = written(&alert::to_yaml(&alert::groups(&settings)));
        let said =
            run("promtool", &["check", "rules", "--lint=all", "--lint-fatal", &path.display().to_string()]);
        let said = said.unwrap_or_else(|said| panic!("{said}"));
        assert!(said.contains("SUCCESS") && !said.contains("error"), "{said}");
    }
}
