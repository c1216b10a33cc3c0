//! Who cordons a node decides: a cordon of people stays theirs, and what a run took it gives back. Around it what
//! people write in a run while it waits: pause, skip, and the end of it.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Node};
use kube::api::{Api, DeleteParams, ListParams};
use lockkeeper_rules::api::{CORDONED_BY_ANNOTATION, UpgradeRunStatus};
use lockkeeper_rules::gate::LOCK_NAME;
use lockkeeper_tests::World;
use lockkeeper_tests::kubelet::NodeFaults;
use lockkeeper_tests::world::{AuditEntry, NAMESPACE, Workload};
use serde_json::json;

const RUN: &str = "past-a-cordon";
const AGAIN: &str = "again";
/// The one who cordons worker-2 before the run; worker-1 is skipped by it.
const CORDONED: &str = "worker-2";
const SKIPPED: &str = "worker-1";

#[tokio::test(flavor = "multi_thread")]
async fn a_cordon_belongs_to_whoever_made_it() {
    let world = World::builder().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.deploy(&Workload::new("web", 4)).await.unwrap();
    world.cordon(CORDONED, true).await.unwrap();
    world.create_run(RUN, json!({"target": "v1.36.3", "skip": [SKIPPED]})).await.unwrap();
    held_by_default_and_said_so(&world).await;
    pausing_takes_the_token_back_and_unpausing_goes_on(&world).await;
    upgraded_on_demand_and_still_cordoned_after(&world).await;

    world.cordon(CORDONED, false).await.unwrap();
    world.kubelets.set_faults(SKIPPED, NodeFaults { pods_stuck: true, ..NodeFaults::default() });
    world.create_run(AGAIN, json!({"target": "v1.36.3"})).await.unwrap();
    uncordoned_by_people_in_its_drain_it_is_put_back_and_reported(&world).await;
    deleted_in_a_drain_the_run_puts_its_node_back_and_lets_go(&world).await;
}

async fn status(world: &World, run: &str) -> anyhow::Result<UpgradeRunStatus> {
    Ok(world
        .run_status(run)
        .await?
        .unwrap_or_else(|| serde_json::from_value(json!({"schemaVersion": 1, "phase": "Queued"})).unwrap()))
}

/// Waits until Prometheus has an answer to this.
async fn measured(world: &World, expression: &str) {
    world
        .wait_for(expression, 30, || async {
            Ok((!world.prometheus.query(expression).await?.is_empty()).then_some(()))
        })
        .await;
}

/// Every change that the actuator made, or tried, to nodes and pods.
fn touched(world: &World) -> Vec<AuditEntry> {
    let of_nodes = |entry: &AuditEntry| ["nodes", "pods"].contains(&entry.resource.as_str());
    world.audit("actuator").into_iter().filter(of_nodes).collect()
}

fn patches<'a>(entries: &'a [AuditEntry], node: &str) -> Vec<&'a AuditEntry> {
    entries.iter().filter(|entry| entry.resource == "nodes" && entry.name == node).collect()
}

async fn held_by_default_and_said_so(world: &World) {
    let held = world
        .wait_for("the run to be held by the cordon", 60, || async {
            let status = status(world, RUN).await?;
            let is_held = status.holds.iter().any(|hold| hold.reason == "node_cordoned_by_human");
            Ok(is_held.then_some(status))
        })
        .await;
    assert_eq!(held.waiting.expect("the first step waits").step, "preflight");
    assert_eq!(held.holds.len(), 1, "{:?}", held.holds);
    assert_eq!(held.holds[0].subject, CORDONED);
    assert_eq!(held.summary.waiting_for, "node_cordoned_by_human");
    let progressing = held.conditions.iter().find(|it| it.type_ == "Progressing").unwrap();
    assert_eq!((progressing.status.as_str(), progressing.reason.as_str()), ("False", "NodeCordonedByHuman"));
    assert!(progressing.message.contains(CORDONED) && progressing.message.contains("spec.cordonedNodes"));

    world
        .wait_for("/verdict to say so", 30, || async {
            let answer = world.exporter.get("/verdict").await?;
            let mut lines = answer.lines();
            let says = format!("waits for node_cordoned_by_human {CORDONED} ");
            let is_said = lines.any(|line| line.trim_start().starts_with(&says));
            let remedy = lines.next().unwrap_or_default();
            Ok((is_said && remedy.contains("spec.cordonedNodes")).then_some(()))
        })
        .await;
    measured(
        world,
        &format!("k8s_upgrade_hold_reason{{run=\"{RUN}\",reason=\"node_cordoned_by_human\"}} == 1"),
    )
    .await;

    // Three webhooks are three chances to start.
    let calls = "sum(k8s_upgrade_webhook_requests_total{endpoint=\"ready\",decision=~\"permit|ring|duplicate\"}) >= 3";
    measured(world, calls).await;
    measured(world, "k8s_upgrade_permits_consumed_total == 0").await;
    assert!(status(world, RUN).await.unwrap().history.is_empty());
    assert_eq!(touched(world).len(), 0, "{:?}", touched(world));
    for machine in &world.machines {
        assert_eq!(world.ledger(&machine.spec.name), [], "{}", machine.spec.name);
    }
}

async fn pausing_takes_the_token_back_and_unpausing_goes_on(world: &World) {
    let first = status(world, RUN).await.unwrap().waiting.expect("it waits").token;
    let pending = format!("k8s_upgrade_step_pending{{token=\"{first}\"}} == 1");
    measured(world, &pending).await;
    world.patch_run(RUN, json!({"paused": true})).await.unwrap();
    world
        .wait_for("the token to be taken back", 30, || async {
            let status = status(world, RUN).await?;
            let is_paused = status.holds.iter().any(|hold| hold.reason == "paused");
            Ok((status.waiting.is_none() && is_paused).then_some(()))
        })
        .await;
    measured(world, "k8s_upgrade_paused{reason=\"spec\"} == 1").await;
    measured(world, "absent(k8s_upgrade_step_pending)").await;
    measured(world, "absent(ALERTS{alertname=\"K8sUpgradeStepReady\"})").await;
    world.patch_run(RUN, json!({"paused": false})).await.unwrap();
    let second = world
        .wait_for("another token", 30, || async {
            Ok(status(world, RUN).await?.waiting.map(|waiting| waiting.token))
        })
        .await;
    assert_ne!(second, first, "a token that was taken back is never given out again");
    assert_eq!(touched(world).len(), 0, "{:?}", touched(world));
}

async fn upgraded_on_demand_and_still_cordoned_after(world: &World) {
    world.patch_run(RUN, json!({"cordonedNodes": "upgrade"})).await.unwrap();
    world.wait_until_succeeded(RUN, 240).await;
    let versions = [("cp-1", "v1.36.3"), (SKIPPED, "v1.36.1"), (CORDONED, "v1.36.3")];
    let expected = versions.map(|(node, version)| (node.to_owned(), version.to_owned()));
    assert_eq!(world.kubelet_versions().await.unwrap(), expected);
    let cordons = [("cp-1", false), (SKIPPED, false), (CORDONED, true)];
    assert_eq!(world.cordons().await.unwrap(), cordons.map(|(node, it)| (node.to_owned(), it)));

    let touched = touched(world);
    // A heartbeat that comes in between has one refused, and it is tried again.
    let done = patches(&touched, "cp-1").into_iter().filter(|entry| entry.code == 200).count();
    assert_eq!(done, 2, "cordoned and uncordoned: {touched:?}");
    for node in [CORDONED, SKIPPED] {
        assert!(patches(&touched, node).is_empty(), "{node} is nobody's but theirs: {touched:?}");
    }
    // Drained it was all the same, by eviction.
    assert!(touched.iter().any(|entry| entry.subresource == "eviction" && entry.code == 201), "{touched:?}");
    let selector = ListParams::default().fields(&format!("spec.nodeName={CORDONED}"));
    assert_eq!(world.pods().list(&selector).await.unwrap().items.len(), 0);
    assert_eq!(world.ledger(SKIPPED), [], "no unit ran on a node that was to be left");
}

async fn uncordoned_by_people_in_its_drain_it_is_put_back_and_reported(world: &World) {
    until_draining(world, 1).await;
    let before = patches(&touched(world), SKIPPED).len();
    world.cordon(SKIPPED, false).await.unwrap();
    world
        .wait_for("the run to report it", 30, || async {
            let history = status(world, AGAIN).await?.history;
            Ok(history.iter().any(|entry| entry.event.contains("node_uncordoned_by_human")).then_some(()))
        })
        .await;
    // Our annotation was taken off: until the next attempt nothing of ours is left on the node.
    let touched = touched(world);
    let released = patches(&touched, SKIPPED)[before];
    assert_eq!(
        released.body["metadata"]["annotations"],
        json!({CORDONED_BY_ANNOTATION: null}),
        "{released:?}"
    );
    let events: Api<Event> = Api::namespaced(world.kube.clone(), NAMESPACE);
    world
        .wait_for("an Event to say so", 30, || async {
            let events = events.list(&ListParams::default()).await?.items;
            let says = |event: &Event| {
                event.message.as_deref().is_some_and(|text| text.contains("node_uncordoned_by_human"))
            };
            Ok(events.iter().any(says).then_some(()))
        })
        .await;
}

/// Waits until a worker is cordoned by this attempt and its pods are leaving, which they never do.
async fn until_draining(world: &World, attempt: u32) {
    world
        .wait_for(&format!("attempt {attempt} to drain {SKIPPED}"), 120, || async {
            let status = status(world, AGAIN).await?;
            let Some(active) = status.active.first().filter(|it| it.stage.as_deref() == Some("drain")) else {
                return Ok(None);
            };
            let node = world.nodes().get(SKIPPED).await?;
            let selector = ListParams::default().fields(&format!("spec.nodeName={SKIPPED}"));
            let pods = world.pods().list(&selector).await?.items;
            let leaving = pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_some());
            let is_this = active.step == "worker/worker-1"
                && active.token.split('.').nth(2) == Some(attempt.to_string().as_str())
                && annotation(&node).as_ref() == Some(&active.token);
            Ok((is_this && leaving).then_some(()))
        })
        .await;
}

fn annotation(node: &Node) -> Option<String> {
    node.metadata.annotations.as_ref()?.get(CORDONED_BY_ANNOTATION).cloned()
}

async fn deleted_in_a_drain_the_run_puts_its_node_back_and_lets_go(world: &World) {
    until_draining(world, 2).await;
    world.runs().delete(AGAIN, &DeleteParams::default()).await.unwrap();
    world
        .wait_for("the run to let go", 60, || async {
            Ok(world.runs().get_opt(AGAIN).await?.is_none().then_some(()))
        })
        .await;
    // Looked at once: what a run has taken is given back before it is gone, and not after.
    assert!(world.cordons().await.unwrap().iter().all(|(_, cordoned)| !cordoned));
    assert_eq!(annotation(&world.nodes().get(SKIPPED).await.unwrap()), None);
    let leases: Api<Lease> = Api::namespaced(world.kube.clone(), "kube-system");
    let holder = leases.get_opt(LOCK_NAME).await.unwrap().and_then(|lease| lease.spec?.holder_identity);
    assert_eq!(holder.unwrap_or_default(), "", "the cluster lock is free");
    let upgrades = world.machine(SKIPPED).calls_of("kubeadm", &["upgrade", "node"]);
    assert!(upgrades.iter().all(|call| call.argv.contains(&"--dry-run".to_owned())), "{upgrades:?}");
}
