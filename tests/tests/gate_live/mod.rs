//! The live check against real Prometheus and Alertmanager: it passes when all is well, and each fault of the
//! alert path closes it with a reason of its own.

mod path;

use std::time::Duration;

use lockkeeper_exporter::client::backend::BackendConfig;
use lockkeeper_rules::gate::{self, Form};
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::settings::Settings;
use lockkeeper_tests::site::SiteGate;
use lockkeeper_tests::wait::wait_for;
use serde_json::json;

use self::path::{AlertPath, route_to, token};

/// Longer than the three scrapes that an echo may be old, and than the three evaluations that may be missing.
const OUTAGE: Duration = Duration::from_secs(5);

fn subjects(findings: &[Finding], reason: Reason) -> Vec<&str> {
    findings
        .iter()
        .filter(|finding| finding.reason == reason)
        .map(|finding| finding.subject.as_str())
        .collect()
}

/// Waits until something has come.
async fn until(what: &str, mut look: impl FnMut() -> bool) {
    let found = wait_for(what, Duration::from_secs(30), || {
        let found = look();
        async move { Ok(found.then_some(())) }
    });
    found.await.unwrap_or_else(|error| panic!("{error:#}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_path_opens_and_each_alert_of_the_site_closes_it_until_it_clears() {
    let path = AlertPath::open().await;
    until("a permit by the ready alert", || {
        path.permits.permit_for(&token(), jiff::Timestamp::now()).is_some()
    })
    .await;
    until("a heartbeat", || path.permits.heartbeat_at().is_some()).await;
    for (gate, reasons, going_on) in [
        (SiteGate::All, vec![Reason::GateFiring, Reason::ReadyAbsent], vec![Reason::GateFiring]),
        (SiteGate::Mutating, vec![Reason::GateFiring, Reason::ReadyAbsent], vec![Reason::GateFiring]),
        (SiteGate::Pending, vec![Reason::GatePending, Reason::ReadyAbsent], vec![Reason::GatePending]),
        (
            SiteGate::Misspelt,
            vec![Reason::GateFiring, Reason::GateMisspelt, Reason::ReadyAbsent],
            vec![Reason::GateFiring, Reason::GateMisspelt],
        ),
    ] {
        path.site.close(gate);
        let findings = path.until(&reasons).await;
        assert_eq!(subjects(&findings, reasons[0]), [gate.alert()]);
        path.until_in(Form::Continue, &going_on).await;
        path.site.open(gate);
        path.until(&[]).await;
    }
    assert!(path.count("gates", "revoke") > 0, "the gates route has told of them");
    until("a permit by the end of the gates", || {
        path.count("gates", "ring") + path.count("gates", "duplicate") > 0
    })
    .await;

    // Of another class: neither the check nor the ready rule minds.
    path.site.close(SiteGate::Start);
    let firing = wait_for("the other alert to fire", Duration::from_secs(30), || async {
        Ok(path
            .prometheus
            .alerts()
            .await?
            .iter()
            .any(|a| a["labels"]["alertname"] == "SiteGateStart")
            .then_some(()))
    });
    firing.await.expect("it fires");
    path.until(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_does_not_open_a_gate_and_one_on_the_ready_alert_pauses() {
    let path = AlertPath::open().await;
    let pause = path.alertmanager.silence("K8sUpgradeStepReady").await.expect("it is silenced");
    path.until(&[Reason::ReadySilenced]).await;
    path.until_in(Form::Continue, &[]).await;
    path.alertmanager.end_silence(&pause).await.expect("the silence ends");
    path.until(&[]).await;

    path.alertmanager.silence(SiteGate::All.alert()).await.expect("it is silenced");
    path.site.close(SiteGate::All);
    let findings = path.until(&[Reason::GateFiring, Reason::GateSuppressed, Reason::ReadyAbsent]).await;
    assert_eq!(subjects(&findings, Reason::GateSuppressed), [SiteGate::All.alert()]);
    let detail = &findings.iter().find(|f| f.reason == Reason::GateSuppressed).expect("it was found").detail;
    assert!(detail.contains("a person") && detail.contains("by a test"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_is_killed_closes_and_opens_only_after_it_has_evaluated_without_a_gap() {
    let mut path = AlertPath::open().await;
    path.prometheus.service.kill();
    let findings = path.until(&[Reason::PrometheusUnreachable]).await;
    assert_eq!(subjects(&findings, Reason::PrometheusUnreachable), [path.prometheus.url.as_str()]);
    // The gate closes while nobody evaluates; the first answers of the new Prometheus must not overlook it.
    path.site.close(SiteGate::All);
    // The length of the outage is the fault itself. A shorter one is no gap: it leaves old answers that still count.
    tokio::time::sleep(OUTAGE).await;
    path.prometheus.start().await.expect("it starts again");
    let closed_by_the_site =
        wait_for("the new Prometheus to see the gate", Duration::from_secs(30), || async {
            let findings = path.check(Form::Start).await?;
            assert_ne!(findings, [], "open although the gate is closed");
            assert_eq!(subjects(&findings, Reason::PrometheusYoung), [""; 0], "it has kept its data");
            Ok(findings.iter().any(|f| f.reason == Reason::GateFiring).then_some(()))
        });
    closed_by_the_site.await.expect("it is seen");
    path.site.open(SiteGate::All);
    path.until(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_has_lost_its_data_closes_until_it_is_as_old_as_people_look_back() {
    // Longer than it takes until all else is well again.
    let mut path = AlertPath::open_with(|settings| settings.prometheus_data_age_seconds_min = 35).await;
    path.prometheus.lose_data().expect("its data goes");
    let lost_at = jiff::Timestamp::now();
    path.prometheus.start().await.expect("it starts again");
    let findings = path.until(&[Reason::PrometheusYoung]).await;
    path.until_in(Form::Continue, &[Reason::PrometheusYoung]).await;
    let [subject] = subjects(&findings, Reason::PrometheusYoung)[..] else { panic!("{findings:?}") };
    let (url, until) = subject.split_once(" until ").expect("it says until when");
    let until: jiff::Timestamp = until.parse().expect("it is a time");
    assert_eq!(url, path.prometheus.url);
    assert!(until.duration_since(lost_at).as_secs() >= 35, "{until} is too soon after {lost_at}");
    path.until(&[]).await;
    assert!(jiff::Timestamp::now() >= until, "it opened before {until}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_that_is_killed_closes_and_a_young_one_does_not_open() {
    let mut path = AlertPath::open().await;
    path.alertmanager.service.kill();
    let findings = path.until(&[Reason::AlertmanagerUnreachable]).await;
    assert_eq!(subjects(&findings, Reason::AlertmanagerUnreachable), [path.alertmanager.url.as_str()]);
    path.alertmanager.start().await.expect("it starts again");
    path.until(&[Reason::AlertmanagerYoung]).await;
    path.until(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_are_not_loaded_or_fail_or_are_left_behind_close() {
    let mut path = AlertPath::open().await;
    let files = path.rule_files.clone();

    // A gate of the site that cannot be evaluated: its state says inactive.
    let failing = "groups:\n  - name: failing\n    interval: 1s\n    rules:\n      - alert: Failing\n        \
                   expr: site_gate * on () site_gate\n        labels: {k8s_upgrade_gate: mutating}\n";
    let failing = path.folder.write("rules/failing.yml", failing).expect("it is written");
    path.prometheus.set_rule_files([files.clone(), vec![failing]].concat()).await.expect("it reloads");
    let findings = path.until(&[Reason::RuleUnhealthy]).await;
    assert_eq!(subjects(&findings, Reason::RuleUnhealthy), ["Failing"]);

    // A gate of the site beyond the limit of its group: all its alerts are dropped.
    let limited = "groups:\n  - name: limited\n    interval: 1s\n    limit: 1\n    rules:\n      - alert: Limited\n        \
                   expr: site_gate == 0\n        labels: {k8s_upgrade_gate: mutating}\n";
    let limited = path.folder.write("rules/limited.yml", limited).expect("it is written");
    path.prometheus.set_rule_files([files.clone(), vec![limited]].concat()).await.expect("it reloads");
    let findings = path.until(&[Reason::RuleUnhealthy]).await;
    assert_eq!(subjects(&findings, Reason::RuleUnhealthy), ["Limited"]);

    // A file that Prometheus refuses: it goes on with the old one.
    path.prometheus.set_rule_files(files.clone()).await.expect("it reloads");
    path.until(&[]).await;
    let broken = path.folder.write("rules/broken.yml", "groups: [{}]").expect("it is written");
    let refused = path.prometheus.set_rule_files([files.clone(), vec![broken]].concat()).await;
    assert!(refused.is_err(), "Prometheus has taken a broken file");
    path.until(&[Reason::PrometheusReloadFailed]).await;

    // Only the rules of the site.
    path.prometheus.set_rule_files(files[1..].to_vec()).await.expect("it reloads");
    let findings = path.until(&[Reason::RuleMissing, Reason::WatchdogMissing, Reason::ReadyAbsent]).await;
    let missing = subjects(&findings, Reason::RuleMissing);
    for name in ["K8sUpgradeWatchdog", "K8sUpgradeStepReady", "K8sUpgradeTelemetryMissing"] {
        assert!(missing.contains(&name), "{missing:?}");
    }
    path.until_in(Form::Continue, &[Reason::RuleMissing, Reason::WatchdogMissing]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_sees_another_cluster_or_nothing_closes_the_gate() {
    let path = AlertPath::open().await;
    let prometheus = path.prometheus.url.clone();
    // As many nodes, and not ours.
    path.exporter.show(&["cp-1", "w-1", "other"]);
    let findings = path.until(&[Reason::NodeMismatch]).await;
    assert_eq!(subjects(&findings, Reason::NodeMismatch), [prometheus.as_str()]);
    // The exporter of a second cluster beside ours.
    path.exporter.show(&["cp-1", "w-1", "w-2", "other"]);
    path.until(&[Reason::NodeMismatch]).await;
    path.exporter.show(&["cp-1", "w-1", "w-2"]);
    path.until(&[]).await;

    path.exporter.show(&[]);
    let reasons = [Reason::GateFiring, Reason::GateExpressionTrue, Reason::ReadyAbsent, Reason::NodeMismatch];
    let findings = path.until(&reasons).await;
    assert_eq!(subjects(&findings, Reason::GateFiring), ["K8sUpgradeTelemetryMissing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_missing_link_is_named_and_a_wrong_route_by_the_heartbeat_alone() {
    let path = AlertPath::open().await;
    let none = BackendConfig::default();
    let at = |url: &str| BackendConfig { urls: vec![url.to_owned()], token_file: None };
    let (prometheus, alertmanager) = (at(&path.prometheus.url), at(&path.alertmanager.url));
    let found = async |prometheus: &BackendConfig, alertmanager: &BackendConfig| {
        let findings = path.check_at(Form::Start, prometheus, alertmanager).await.expect("it is asked");
        findings.into_iter().map(|finding| (finding.reason, finding.subject)).collect::<Vec<_>>()
    };
    let link = |reason, subject: &str| vec![(reason, subject.to_owned())];
    assert_eq!(found(&none, &alertmanager).await, link(Reason::PrometheusUnreachable, "prometheus.urls"));
    assert_eq!(found(&prometheus, &none).await, link(Reason::AlertmanagerUnreachable, "alertmanager.urls"));
    // Each asked at the other's address: it answers, and not as it should.
    let swapped = found(&alertmanager, &prometheus).await;
    let swapped: Vec<_> = swapped.into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(swapped, [Reason::PrometheusUnreachable, Reason::AlertmanagerUnreachable]);

    // The webhooks go astray: the check is content, and no webhook comes any more.
    let missing = || {
        let settings = Settings { heartbeat_seconds_max: 10, ..(*path.settings).clone() };
        gate::heartbeat(path.permits.heartbeat_at(), path.minted_at, jiff::Timestamp::now(), &settings)
    };
    until("a heartbeat", || path.permits.heartbeat_at().is_some() && missing().is_none()).await;
    let secret = path.folder.path().join("webhook-token");
    let nowhere = route_to(&format!("{}/nowhere", path.webhook), &secret, &path.settings);
    path.alertmanager.set_config(&nowhere).await.expect("it reloads");
    until("the heartbeat to be missed", || missing().is_some()).await;
    let finding = missing().expect("it is missed");
    assert_eq!((finding.reason, finding.subject.as_str()), (Reason::HeartbeatMissing, "route"));
    path.until(&[]).await;
}

/// More than fit into a message that is read.
const MANY: usize = 5_000;

#[tokio::test(flavor = "multi_thread")]
async fn more_gate_alerts_than_a_message_has_room_for_revoke_and_are_heard_to_end() {
    let path = AlertPath::open().await;
    let tell = async |count: usize, ends_at: Option<jiff::Timestamp>| {
        let alert = |n: usize| {
            let labels = json!({"alertname": "Many", "k8s_upgrade_gate": "all", "n": n.to_string()});
            let mut alert = json!({"labels": labels, "annotations": {"summary": "x".repeat(200)}});
            if let Some(at) = ends_at {
                alert["endsAt"] = json!(at.to_string());
            }
            alert
        };
        let alerts: Vec<_> = (0..count).map(alert).collect();
        let url = format!("{}/api/v2/alerts", path.alertmanager.url);
        let answer = reqwest::Client::new().post(url).json(&alerts).send().await.expect("it answers");
        assert!(answer.status().is_success(), "{answer:?}");
    };
    // One is told of before the many: of an end that nobody was told of Alertmanager says nothing.
    tell(1, None).await;
    until("the one to revoke", || path.count("gates", "revoke") > 0).await;
    tell(MANY, None).await;
    until("the many to revoke", || path.count("gates", "revoke_too_large") > 0).await;
    path.until(&[Reason::GateFiring]).await;
    tell(MANY, Some(jiff::Timestamp::now())).await;
    path.until(&[]).await;
    // A message that was not answered, or not taken, would come again with every look at its group.
    let beats = |from: u64| path.count("heartbeat", "heartbeat") >= from + 3;
    let told = path.count("heartbeat", "heartbeat");
    until("three heartbeats", || beats(told)).await;
    let (count, told) = (path.count("gates", "revoke_too_large"), path.count("heartbeat", "heartbeat"));
    until("three more heartbeats", || beats(told)).await;
    assert_eq!(path.count("gates", "revoke_too_large"), count, "the end is told once");
    until("a permit by the ready alert", || {
        path.permits.permit_for(&token(), jiff::Timestamp::now()).is_some()
    })
    .await;
    assert_eq!(path.permits.too_large_at(), None);
}
