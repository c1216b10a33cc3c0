//! Without an alert path nothing ever starts, and it is said which link is missing.

use anyhow::{Context, ensure};
use lockkeeper_rules::reason::Reason;
use lockkeeper_tests::World;
use serde_json::json;

const RUN: &str = "blind";
/// The step that waits all the while.
const STEP: &str = "preflight";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_starts_while_a_link_of_the_alert_path_is_missing_and_it_is_said_which() {
    let world = World::builder().without_products().settings(|settings| {
        settings.idle_check_pause_seconds = 1;
        settings.heartbeat_seconds_max = 6;
    });
    let mut world = world.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    has_looked_at_itself(&world).await;
    world.prometheus.service.kill();
    world.alertmanager.service.kill();
    let (prometheus, alertmanager) = (world.prometheus.url.clone(), world.alertmanager.url.clone());

    // Nobody was told where they are.
    let (prometheus_config, alertmanager_config) =
        (world.actuator.config["prometheus"].take(), world.actuator.config["alertmanager"].take());
    world.actuator.config["prometheus"] = json!({"urls": []});
    world.actuator.config["alertmanager"] = json!({"urls": []});
    world.start_products().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.create_run(RUN, json!({"target": "v1.36.3"})).await.unwrap();
    knows_no_verdict(&world, "set prometheus.urls").await;

    // A Prometheus that does not run.
    world.actuator.stop().await;
    world.actuator.config["prometheus"] = prometheus_config;
    world.actuator.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    knows_no_verdict(&world, &prometheus).await;

    // It runs, and nobody was told where Alertmanager is.
    world.prometheus.start().await.unwrap();
    is_blind(&world, &[(Reason::AlertmanagerUnreachable, "alertmanager.urls")]).await;
    wait_until_released(&world, Reason::SourceUnreadable).await;

    // No Alertmanager.
    world.actuator.stop().await;
    world.actuator.config["alertmanager"] = alertmanager_config;
    world.actuator.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    is_blind(&world, &[(Reason::AlertmanagerUnreachable, &alertmanager)]).await;

    // No rules but the site's own.
    let rules = |name: &str| world.folder.path().join("rules").join(name);
    let (ours, sites) = (rules("lockkeeper.yml"), rules("site.yml"));
    world.prometheus.set_rule_files(vec![sites.clone()]).await.unwrap();
    world.alertmanager.start().await.unwrap();
    let missing = ["K8sUpgradeWatchdog", "K8sUpgradeTelemetryMissing", "K8sUpgradeStepReady"];
    is_blind(&world, &missing.map(|rule| (Reason::RuleMissing, rule))).await;
    wait_until_released(&world, Reason::AlertmanagerUnreachable).await;

    // A route that leads elsewhere: the gate itself is clear, and no webhook comes.
    let nowhere = world.prometheus.url.trim_start_matches("http://").to_owned();
    world.alertmanager.set_config(&world.route_to(&nowhere)).await.unwrap();
    world.prometheus.set_rule_files(vec![ours, sites]).await.unwrap();
    is_blind(
        &world,
        &[(Reason::HeartbeatMissing, "route"), (Reason::WaitingForPermit, "although the gate is clear")],
    )
    .await;
    let alone = || async {
        let holds = world.run_status(RUN).await?.map(|status| status.holds).unwrap_or_default();
        let reasons: Vec<_> = holds.iter().map(|hold| hold.reason.as_str()).collect();
        Ok((reasons == ["heartbeat_missing", "waiting_for_permit"]).then_some(()))
    };
    world.wait_for("nothing else to be missing", 20, alone).await;

    // The whole path: it is this that was missing, and nothing else.
    let address = world.actuator.config["webhook"]["listenAddress"].as_str().unwrap().to_owned();
    let whole = jiff::Timestamp::now();
    world.alertmanager.set_config(&world.route_to(&address)).await.unwrap();
    world.wait_until_started(RUN, STEP, whole, 30).await;
}

/// Waits until Prometheus has scraped and judged itself. Killed in between, it comes back with the samples and without
/// the alert that fired for want of them, and what it wrote of that alert closes the gate for as long as it looks back.
async fn has_looked_at_itself(world: &World) {
    let done = || async move {
        let is_scraped =
            !world.prometheus.query("prometheus_rule_evaluation_failures_total").await?.is_empty();
        let fires = world.prometheus.query("ALERTS{alertname=\"K8sUpgradeRuleEvaluationFailing\"}").await?;
        Ok((is_scraped && fires.is_empty()).then_some(()))
    };
    world.wait_for("Prometheus to have looked at itself", 30, done).await;
}

/// Without Prometheus nobody knows who asks for APIs that go, so there is no verdict: no step waits for anything yet.
async fn knows_no_verdict(world: &World, why: &str) {
    let told = || async move {
        world.shows_hold(RUN, Reason::SourceUnreadable, "api_requests").await?;
        let status = world.run_status(RUN).await?.context("no status")?;
        ensure!(status.holds.iter().any(|hold| hold.detail.contains(why)), "{:?}", status.holds);
        Ok(Some(status))
    };
    let status = world.wait_for(&format!("the verdict to be unknown: {why}"), 60, told).await;
    assert!(status.waiting.is_none() && status.active.is_empty() && status.sequence == 0, "{status:?}");
}

/// Everywhere it is said which links are missing, and nothing starts.
async fn is_blind(world: &World, links: &[(Reason, &str)]) {
    for (reason, subject) in links {
        world.wait_until_held(RUN, *reason, subject).await;
    }
    world.nothing_starts(RUN, 3, false).await;
    for (reason, subject) in links {
        world.wait_until_held(RUN, *reason, subject).await;
    }
    let status = world.run_status(RUN).await.unwrap().unwrap();
    assert_eq!(status.waiting.map(|waiting| waiting.step).as_deref(), Some(STEP));
}

async fn wait_until_released(world: &World, reason: Reason) {
    let gone = || async move {
        let holds = world.run_status(RUN).await?.map(|status| status.holds).unwrap_or_default();
        Ok((!holds.is_empty() && holds.iter().all(|hold| hold.reason != reason.code())).then_some(()))
    };
    world.wait_for(&format!("{reason} to be over"), 30, gone).await;
}
