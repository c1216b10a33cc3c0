//! The gate alerts, and the ready alert among them, as they are installed.

use lockkeeper_rules::alert::{self, READY_ALERT, WATCHDOG_ALERT};
use lockkeeper_rules::settings::Settings;

use super::promtool::{Case, SAMPLE_SECONDS, check, default_groups};

/// Samples of every series: about 17 minutes.
const LENGTH: u64 = 200;
const TELEMETRY: &str = "K8sUpgradeTelemetryMissing";
const NOT_READY: &str = "K8sUpgradeNodeNotReady";
const PRESSURE: &str = "K8sUpgradeNodePressure";
const REBOOT: &str = "RecentNodeReboot";

/// A series of the exporter.
pub(crate) fn series(metric: &str, labels: &str) -> String {
    let comma = if labels.is_empty() { "" } else { "," };
    format!("{metric}{{instance=\"e:1\",job=\"k8s-upgrade-exporter\"{comma}{labels}}}")
}

/// The same series of a pod that Prometheus scrapes, too.
fn of_another_job(series: &str) -> String {
    series.replace("e:1", "pod:1").replace("k8s-upgrade-exporter", "pods")
}

/// A cluster of two nodes that are well, and a step of this class that may start.
pub(crate) fn well(name: &str, class: &str) -> Case {
    let steady = |value: u64| format!("{value}+0x{LENGTH}");
    let step = "run=\"spring\",step=\"worker/w-1\",phase=\"worker\",token=\"u.7.1.00ff\"";
    let mut case = Case::new(name)
        .with(&series("up", ""), &steady(1))
        .with(&series("k8s_upgrade_state_timestamp_seconds", ""), &format!("0+{SAMPLE_SECONDS}x{LENGTH}"))
        .with(&series("k8s_upgrade_source_up", "source=\"kube_api\""), &steady(1))
        .with(&series("k8s_upgrade_step_pending", &format!("{step},gate_class=\"{class}\"")), &steady(1))
        .with(&series("k8s_upgrade_step_not_before_timestamp_seconds", step), &steady(0));
    for node in ["cp-1", "w-1"] {
        let node = format!("node=\"{node}\"");
        case = case
            .with(&series("k8s_upgrade_node_info", &node), &steady(1))
            .with(&series("k8s_upgrade_node_ready", &node), &steady(1))
            .with(&series("k8s_upgrade_node_state", &format!("{node},state=\"upgrading\"")), &steady(0));
        for condition in ["memory", "disk", "pid"] {
            let labels = format!("{node},condition=\"{condition}\"");
            case = case.with(&series("k8s_upgrade_node_pressure", &labels), &steady(0));
        }
    }
    case
}

/// Every case of the rules as they are installed.
pub(crate) fn cases() -> Vec<Case> {
    [all_well(), telemetry(), nodes(), reboots()].concat()
}

fn all_well() -> Vec<Case> {
    let mut case =
        well("nothing but ready and Watchdog while all is well", "mutating").fires(400, READY_ALERT);
    for group in default_groups() {
        for rule in group.rules.iter().filter(|rule| ![READY_ALERT, WATCHDOG_ALERT].contains(&rule.name)) {
            // Of the alerts for people, those that need a long time are tested with a long history.
            case = case.silent(400, rule.name).silent(800, rule.name);
        }
    }
    vec![case.fires(0, WATCHDOG_ALERT).silent(280, READY_ALERT)]
}

fn telemetry() -> Vec<Case> {
    let closed = |case: Case| case.fires(400, TELEMETRY).silent(400, READY_ALERT);
    let node = |metric: &str| series(metric, "node=\"w-1\"");
    vec![
        closed(well("the exporter is down", "all").with(&series("up", ""), "1+0x79 0+0x100"))
            .silent(395, TELEMETRY),
        closed(
            well("the exporter has vanished, and so have its series", "all")
                .with(&series("up", ""), "1+0x79 stale"),
        ),
        closed(
            well("the API server cannot be read", "all")
                .with(&series("k8s_upgrade_source_up", "source=\"kube_api\""), "1+0x79 0+0x100"),
        ),
        closed(
            well("the state no longer moves", "all")
                .with(&series("k8s_upgrade_state_timestamp_seconds", ""), "0+5x60 300+0x100"),
        ),
        closed(
            well("a series of another job does not stand for a state that no longer moves", "all")
                .with(&series("k8s_upgrade_state_timestamp_seconds", ""), "0+5x60 300+0x100")
                .with(&of_another_job(&series("k8s_upgrade_state_timestamp_seconds", "")), "0+5x200"),
        ),
        closed(
            well("the state is from the future", "all")
                .with(&series("k8s_upgrade_state_timestamp_seconds", ""), "4+5x79 1000000+5x100"),
        )
        .fires(395, READY_ALERT),
        closed(well("no node is shown", "all").without("k8s_upgrade_node_info")),
        closed(
            well("a node's readiness is not shown", "all")
                .with(&node("k8s_upgrade_node_ready"), "1+0x79 stale"),
        ),
        closed(well("no pressure is shown", "all").without("k8s_upgrade_node_pressure")),
    ]
}

fn nodes() -> Vec<Case> {
    let ready = series("k8s_upgrade_node_ready", "node=\"w-1\"");
    let state = |state: &str| series("k8s_upgrade_node_state", &format!("node=\"w-1\",state=\"{state}\""));
    let fresh = series("k8s_upgrade_state_timestamp_seconds", "");
    let pressed = series("k8s_upgrade_node_pressure", "node=\"w-1\",condition=\"disk\"");
    let mut cases = vec![
        well("a node that is not Ready closes, and opens again", "mutating")
            .with(&ready, "1+0x79 0+0x20 1+0x100")
            .fires(395, READY_ALERT)
            .fires(400, NOT_READY)
            .silent(400, READY_ALERT)
            .silent(505, NOT_READY)
            .fires(505, READY_ALERT),
        well("a node that is not Ready does not close the snapshot step", "all")
            .with(&ready, "0+0x200")
            .fires(400, NOT_READY)
            .fires(400, READY_ALERT),
        well("a second exporter that still sees the node Ready does not open", "mutating")
            .with(&ready, "0+0x200")
            .with(&ready.replace("e:1", "e:2"), "1+0x200")
            .fires(400, NOT_READY),
        well("an old word of a node being upgraded excuses nothing", "mutating")
            .with(&ready, "0+0x200")
            .with(&state("upgrading"), "1+0x200")
            .with(&fresh, "0+5x60 300+0x100")
            .silent(355, NOT_READY)
            .fires(360, NOT_READY),
        well("a node under pressure closes", "mutating")
            .with(&pressed, "0+0x79 1+0x100")
            .silent(395, PRESSURE)
            .fires(400, PRESSURE)
            .silent(400, READY_ALERT),
        well("a series of another job excuses no node", "mutating")
            .with(&ready, "0+0x200")
            .with(&pressed, "1+0x200")
            .with(&of_another_job(&state("skipped")), "1+0x200")
            .with(&of_another_job(&fresh), "0+5x200")
            .fires(400, NOT_READY)
            .fires(400, PRESSURE),
    ];
    for excused in ["upgrading", "failed", "skipped"] {
        let case = well(&format!("a node that is {excused} is excused"), "mutating");
        let case = case.with(&ready, "0+0x200").with(&pressed, "1+0x200").with(&state(excused), "1+0x200");
        cases.push(case.silent(400, NOT_READY).silent(400, PRESSURE).fires(400, READY_ALERT));
    }
    for state_of_others in ["pending", "upgraded"] {
        let case = well(&format!("a node that is {state_of_others} is not excused"), "mutating");
        let case = case.with(&ready, "0+0x200").with(&state(state_of_others), "1+0x200");
        cases.push(case.fires(400, NOT_READY).silent(400, READY_ALERT));
    }
    cases
}

fn reboots() -> Vec<Case> {
    let booted = series("k8s_upgrade_node_boot_timestamp_seconds", "node=\"w-1\"");
    vec![
        well("a reboot closes the start of a run", "start")
            .with(&booted, "100+0x200")
            .fires(400, REBOOT)
            .silent(400, READY_ALERT),
        well("a reboot does not stop a run that has started", "mutating")
            .with(&booted, "100+0x200")
            .fires(400, REBOOT)
            .fires(400, READY_ALERT),
        well("a reboot of the day before yesterday is forgotten", "start")
            .with(&booted, "-86100+0x200")
            .fires(295, REBOOT)
            .silent(300, REBOOT),
    ]
}

#[test]
fn the_gates_close_and_open_as_they_say() {
    check(&default_groups(), SAMPLE_SECONDS, &cases()).unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn a_rule_that_fails_closes_every_step_where_prometheus_scrapes_itself() {
    let settings = Settings { prometheus_job: "prometheus".to_owned(), ..Settings::default() };
    let failures = "prometheus_rule_evaluation_failures_total{job=\"prometheus\",rule_group=\"site\"}";
    let failing = "K8sUpgradeRuleEvaluationFailing";
    let cases = [
        well("rules fail for a while", "all")
            .with(failures, "0+0x80 1+0x119")
            .fires(400, READY_ALERT)
            .fires(405, failing)
            .silent(405, READY_ALERT)
            .fires(800, READY_ALERT),
        well("Prometheus does not scrape itself after all", "all")
            .fires(400, failing)
            .silent(400, READY_ALERT),
    ];
    check(&alert::groups(&settings), SAMPLE_SECONDS, &cases).unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn a_shared_prometheus_keeps_the_clusters_apart() {
    let settings = Settings { selector: "cluster=\"a\"".parse().unwrap(), ..Settings::default() };
    let of_a = |case: Case| case.map_series(|series| series.replace("instance=", "cluster=\"a\",instance="));
    let not_ready = |cluster| {
        let labels = format!("cluster=\"{cluster}\",node=\"w-9\"");
        series("k8s_upgrade_node_ready", &labels)
    };
    let site = "ALERTS{alertname=\"Site\",alertstate=\"firing\",k8s_upgrade_gate=\"all\"}";
    let cases = [
        of_a(well("another cluster's trouble is not ours", "mutating"))
            .with(&not_ready("b"), "0+0x200")
            .with(&site.replace("alertname", "cluster=\"b\",alertname"), "1+0x200")
            .fires(400, READY_ALERT),
        of_a(well("our own trouble is ours", "mutating"))
            .with(&not_ready("a"), "0+0x200")
            .silent(400, READY_ALERT),
        of_a(well("an alert that names no cluster closes ours too", "mutating"))
            .with(site, "1+0x200")
            .silent(400, READY_ALERT),
        well("series that name no cluster are not ours", "mutating")
            .silent(400, READY_ALERT)
            .fires(400, TELEMETRY),
    ];
    check(&alert::groups(&settings), SAMPLE_SECONDS, &cases).unwrap_or_else(|said| panic!("{said}"));
}
