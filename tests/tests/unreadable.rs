//! A run whose stored status cannot be read: people are told, and can give it up by hand.

use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use lockkeeper_rules::api::RunPhase;
use lockkeeper_tests::World;
use lockkeeper_tests::world::NAMESPACE;
use serde_json::{Value, json};

/// A hold whose reason no version has ever written.
fn unknown_hold() -> Value {
    json!({"status": {"holds": [{"reason": "dancing", "remedy": "", "since": "2026-01-01T00:00:00Z"}]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_cannot_be_read_is_said_and_can_be_given_up_by_hand() {
    let world = World::builder().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.create_run("odd", json!({"target": "v1.36.3", "stopAfter": "preflight"})).await.unwrap();
    world
        .wait_for("the run to hold the cluster", 60, || async {
            Ok(world.run_status("odd").await?.filter(|status| status.waiting.is_some()))
        })
        .await;
    let runs = world.runs();
    runs.patch_status("odd", &PatchParams::default(), &Patch::Merge(unknown_hold())).await.unwrap();
    let events: Api<Event> = Api::namespaced(world.kube.clone(), NAMESPACE);
    let event = world
        .wait_for("people to be told", 30, || async {
            let events = events.list(&ListParams::default()).await?;
            Ok(events.into_iter().find(|event| event.reason.as_deref() == Some("StatusUnreadable")))
        })
        .await;
    let note = event.note.unwrap_or_default();
    assert!(note.contains("status.holds") && note.contains("finalizer"), "{note}");
    world
        .wait_for("the metrics to say it", 30, || async {
            let page = world.exporter.get("/metrics").await?;
            let lines = [
                "k8s_upgrade_run_unreadable{run=\"odd\"} 1.0",
                "k8s_upgrade_hold_reason{run=\"odd\",reason=\"status_malformed\"} 1.0",
            ];
            Ok(lines.iter().all(|line| page.lines().any(|shown| shown == *line)).then_some(()))
        })
        .await;
    // Its deletion hangs, as the runbook says, until a person takes the finalizer off; then the cluster is free.
    runs.delete("odd", &DeleteParams::default()).await.unwrap();
    world.create_run("good", json!({"target": "v1.36.3"})).await.unwrap();
    world
        .wait_for("the good run to be queued", 30, || async {
            Ok(world.run_status("good").await?.filter(|status| status.phase == RunPhase::Queued))
        })
        .await;
    assert!(runs.get("odd").await.unwrap().metadata.finalizers.is_some());
    let freed = json!({"metadata": {"finalizers": null}});
    runs.patch("odd", &PatchParams::default(), &Patch::Merge(freed)).await.unwrap();
    world
        .wait_for("the good run to have done a step", 90, || async {
            Ok(world.run_status("good").await?.filter(|status| !status.finished.is_empty()))
        })
        .await;
}
