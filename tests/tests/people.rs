//! With progress frozen, the alert that should fire does, and people are really told, by a real Alertmanager; when
//! it goes on, they are told that too.

use anyhow::ensure;
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, Patch, PatchParams};
use lockkeeper_rules::api::{CORDONED_BY_ANNOTATION, RunPhase};
use lockkeeper_tests::World;
use lockkeeper_tests::kubelet::NodeFaults;
use lockkeeper_tests::machine::{Fault, Then};
use lockkeeper_tests::site::SiteGate;
use serde_json::{Value, json};

const RUN: &str = "frozen";

/// Thresholds that a test can wait for. A step that goes well takes less than `stalled_seconds`.
async fn world() -> World {
    World::builder()
        .settings(|settings| {
            settings.heartbeat_seconds_max = 8;
            settings.unit_seconds_max = 40;
            settings.attempts_max = 1;
            settings.alerts.interval_seconds = 1;
            settings.alerts.gone_seconds = 4;
            settings.alerts.unanswered_seconds = 4;
            settings.alerts.holding_seconds = 4;
            settings.alerts.stalled_seconds = 20;
        })
        .start()
        .await
        .unwrap_or_else(|error| panic!("{error:#}"))
}

/// Every alert of ours that people were told of, as often as they were told.
fn notifications(world: &World) -> Vec<Value> {
    let messages = world.site.notifications();
    let alerts = messages.iter().flat_map(|message| message["alerts"].as_array().unwrap());
    let is_ours =
        |alert: &&Value| !alert["labels"]["alertname"].as_str().unwrap_or_default().starts_with("Site");
    alerts.filter(is_ours).cloned().collect()
}

/// The last word that people have on an alert with these labels: `firing`, `resolved`, or nothing yet.
fn last_word(world: &World, labels: &[(&str, &str)]) -> Option<Value> {
    let fits = |alert: &Value| labels.iter().all(|(name, value)| alert["labels"][name] == *value);
    notifications(world).into_iter().rev().find(fits)
}

async fn until_notified(world: &World, status: &str, labels: &[(&str, &str)]) {
    let what = format!("people to be told {status} of {labels:?}");
    let alert = world
        .wait_for(&what, 60, || async {
            Ok(last_word(world, labels).filter(|alert| alert["status"] == status))
        })
        .await;
    // Whoever is woken must know how bad it is and what to do.
    assert!(["info", "warning", "critical"].iter().any(|it| alert["labels"]["severity"] == *it), "{alert}");
    for text in ["summary", "description", "runbook_url"] {
        assert!(alert["annotations"][text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {alert}");
    }
}

/// The alerts that people now believe to fire.
fn believed(world: &World) -> Vec<String> {
    let mut last = std::collections::BTreeMap::new();
    for alert in notifications(world) {
        last.insert(alert["labels"].to_string(), alert);
    }
    let firing = last.values().filter(|alert| alert["status"] == "firing");
    let mut names: Vec<String> =
        firing.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Waits until people believe in these alerts and in no other: one that Prometheus tells late is over for a moment.
async fn until_believed(world: &World, names: &[&str]) {
    let believed = || async {
        let now = believed(world);
        ensure!(now == names, "they believe in {now:?}");
        Ok(Some(()))
    };
    world.wait_for(&format!("people to believe in {names:?} alone"), 15, believed).await;
}

/// A new World has no exporter and no actuator for a while, and says so.
async fn until_calm(world: &World) {
    world
        .wait_for("a World in which people are told of nothing", 60, || async {
            let alerts = world.prometheus.alerts().await?;
            let loud = |alert: &Value| {
                let severity = alert["labels"]["severity"].as_str().unwrap_or_default();
                ["info", "warning", "critical"].contains(&severity)
            };
            Ok((!alerts.iter().any(loud) && believed(world).is_empty()).then_some(()))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_progress_frozen_the_alert_that_should_fire_does_and_people_are_told() {
    let mut world = world().await;
    until_calm(&world).await;
    a_step_that_waits(&mut world).await;
    a_step_that_nobody_starts(&mut world).await;
    a_step_that_does_not_end(&world).await;
    a_node_that_nobody_gives_back(&mut world).await;
}

/// The gate is closed. What else breaks meanwhile is told too, and told to be over.
async fn a_step_that_waits(world: &mut World) {
    world.close_gate(SiteGate::All).await;
    // Without the control plane's node the run is at its first worker within seconds.
    world.create_run(RUN, json!({"target": "v1.36.3", "skip": ["cp-1"]})).await.unwrap();
    let holding = [("alertname", "K8sUpgradeHolding"), ("run", RUN)];
    until_notified(world, "firing", &holding).await;
    until_believed(world, &["K8sUpgradeHolding"]).await;

    let unready = [("alertname", "K8sUpgradeNodeUnready"), ("node", "worker-2")];
    world.kubelets.set_faults("worker-2", NodeFaults { not_ready: true, ..NodeFaults::default() });
    until_notified(world, "firing", &unready).await;
    world.kubelets.set_faults("worker-2", NodeFaults::default());
    until_notified(world, "resolved", &unready).await;

    let silent = [("alertname", "K8sUpgradePipelineSilent")];
    let config = std::fs::read_to_string(world.folder.path().join("alertmanager.yml")).unwrap();
    let broken = config.replace("/alertmanager/v4/heartbeat", "/alertmanager/v4/nowhere");
    assert_ne!(broken, config);
    world.alertmanager.set_config(&broken).await.unwrap();
    until_notified(world, "firing", &silent).await;
    world.alertmanager.set_config(&config).await.unwrap();
    until_notified(world, "resolved", &silent).await;

    let lost = [("alertname", "K8sUpgradeTelemetryLost"), ("source", "exporter")];
    world.exporter.kill();
    until_notified(world, "firing", &lost).await;
    world.exporter.start().await.unwrap();
    until_notified(world, "resolved", &lost).await;
}

/// The gate is open, the ready alert fires, and there is no actuator.
async fn a_step_that_nobody_starts(world: &mut World) {
    world.actuator.kill();
    world.site.open(SiteGate::All);
    let unanswered = [("alertname", "K8sUpgradeReadyUnanswered"), ("run", RUN), ("step", "preflight")];
    let down = [("alertname", "K8sUpgradeActuatorDown")];
    until_notified(world, "firing", &unanswered).await;
    until_notified(world, "firing", &down).await;
    // The alert path is whole: nobody is told that it is not, only because there is nobody to hear it.
    assert!(!believed(world).contains(&"K8sUpgradePipelineSilent".to_owned()));

    let hang = Fault::new("kubeadm", &["upgrade", "node"]).without("--dry-run").then(Then::Hang);
    world.machine("worker-1").set_faults(&[hang]).unwrap();
    world.actuator.start().await.unwrap();
    for alert in [&unanswered[..], &down, &[("alertname", "K8sUpgradeHolding"), ("run", RUN)]] {
        until_notified(world, "resolved", alert).await;
    }
}

/// The unit on the node hangs: first that is told, then the run halts at the unit's deadline.
async fn a_step_that_does_not_end(world: &World) {
    let stalled = [("alertname", "K8sUpgradeStalled"), ("run", RUN), ("step", "worker/worker-1")];
    until_notified(world, "firing", &stalled).await;
    assert_eq!(world.run_status(RUN).await.unwrap().unwrap().phase, RunPhase::Running);
    until_believed(world, &["K8sUpgradeStalled"]).await;
    until_notified(world, "firing", &[("alertname", "K8sUpgradeHalted")]).await;
    until_notified(world, "resolved", &stalled).await;
    let status = world.run_status(RUN).await.unwrap().unwrap();
    let reason = status.halted.expect("people are told of what is so").finding.reason;
    assert!(["unit_deadline", "attempts_exhausted"].contains(&reason.as_str()), "{reason}");
    until_believed(world, &["K8sUpgradeHalted"]).await;
}

/// A person has removed the run by force, past our finalizer: its node is left as it was.
async fn a_node_that_nobody_gives_back(world: &mut World) {
    world.actuator.kill();
    let no_finalizers = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    world.runs().patch(RUN, &PatchParams::default(), &no_finalizers).await.unwrap();
    world.runs().delete(RUN, &DeleteParams::default()).await.unwrap();
    world.actuator.start().await.unwrap();
    let left = [("alertname", "K8sUpgradeNodeLeftCordoned"), ("node", "worker-1")];
    until_notified(world, "firing", &left).await;
    until_notified(world, "resolved", &[("alertname", "K8sUpgradeHalted")]).await;
    let is_cordoned = |node: &Node| node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    let node = world.nodes().get("worker-1").await.unwrap();
    assert!(is_cordoned(&node), "nobody is told of what is not so");

    // What the runbook says: uncordon it, and take the annotation off.
    world.cordon("worker-1", false).await.unwrap();
    let unmark = Patch::Merge(json!({"metadata": {"annotations": {CORDONED_BY_ANNOTATION: null}}}));
    world.nodes().patch("worker-1", &PatchParams::default(), &unmark).await.unwrap();
    until_notified(world, "resolved", &left).await;
    until_calm(world).await;
}
