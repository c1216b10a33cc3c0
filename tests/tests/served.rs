//! Runs of a namespace that is not served: they are told so, and nothing else happens to them or because of them.

use anyhow::ensure;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use lockkeeper_rules::api::{GROUP, UpgradeRunStatus, VERSION};
use lockkeeper_tests::World;
use serde_json::json;

const RUN: &str = "to-1-36-3";
const ELSEWHERE: &str = "default";
/// Where there are many runs, and large ones.
const CROWDED: &str = "kube-public";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_namespace_that_is_not_served_is_told_so_and_holds_up_nobody() {
    let world = World::builder().workers(1).start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let kind = GroupVersionKind::gvk(GROUP, VERSION, "UpgradeRun");
    let resource = ApiResource::from_gvk_with_plural(&kind, "upgraderuns");
    let elsewhere: &Api<DynamicObject> = &Api::namespaced_with(world.kube.clone(), ELSEWHERE, &resource);
    let crowded: &Api<DynamicObject> = &Api::namespaced_with(world.kube.clone(), CROWDED, &resource);
    for n in 0..40 {
        // As much as the definition lets one name.
        let skip: Vec<_> = (0..1_000).map(|node| format!("{node:0>250}")).collect();
        let run = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "UpgradeRun",
            "metadata": {"name": format!("fat-{n}"), "namespace": CROWDED},
            "spec": {"target": "v1.36.2", "skip": skip},
        });
        crowded.create(&PostParams::default(), &serde_json::from_value(run).unwrap()).await.unwrap();
    }
    // Older than the one that is served, and to a version that nobody may go to without a look.
    let names = ["first", "second"];
    for name in names {
        let run = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "UpgradeRun",
            "metadata": {"name": name, "namespace": ELSEWHERE}, "spec": {"target": "v1.36.2"},
        });
        elsewhere.create(&PostParams::default(), &serde_json::from_value(run).unwrap()).await.unwrap();
    }
    world.create_run(RUN, json!({"target": "v1.36.3"})).await.unwrap();

    for name in names {
        let told = || async move {
            let run = elsewhere.get(name).await?;
            let Some(status) = run.data.get("status") else { return Ok(None) };
            let status: UpgradeRunStatus = serde_json::from_value(status.clone())?;
            let accepted = status.conditions.iter().find(|condition| condition.type_ == "Accepted");
            let is_told = accepted.is_some_and(|it| it.status == "False" && it.reason == "NotServed");
            ensure!(status.waiting.is_none() && status.active.is_empty(), "{status:?}");
            Ok(is_told.then_some(()))
        };
        world.wait_for(&format!("{name} to be told that it is not served"), 30, told).await;
    }
    let page = world.exporter.get("/verdict").await.unwrap();
    assert_eq!(page.matches("waits for not_served default").count(), names.len(), "{page}");

    world.wait_until_succeeded(RUN, 240).await;
    let [whole, metadata] = [lists(&world, "namespace").await, lists(&world, "cluster").await];
    assert!(
        whole > metadata && metadata > 0.0,
        "{whole} lists of what is served, {metadata} of all there is"
    );
    let series = world.exporter.series().await.unwrap();
    for name in names {
        let of_it = |series: &&String| series.contains(&format!("run=\"{name}\""));
        assert_eq!(series.keys().find(of_it), None);
        let run = elsewhere.get(name).await.unwrap();
        assert_eq!(run.metadata.finalizers, None, "nothing was begun for it");
        elsewhere.delete(name, &DeleteParams::default()).await.unwrap();
        assert!(elsewhere.get_opt(name).await.unwrap().is_none(), "and nothing keeps it");
    }
    let writes = world.audit("actuator").into_iter().filter(|entry| entry.namespace == ELSEWHERE);
    let others: Vec<_> = writes.filter(|entry| entry.resource == "upgraderuns").collect();
    assert!(others.iter().all(|entry| entry.subresource == "status"), "{others:?}");
    assert!((names.len()..=4 * names.len()).contains(&others.len()), "told once, or nearly: {others:?}");
}

/// How often runs were listed, of one namespace or of the whole cluster: the exporter's watch and the looks at what is
/// not served, the former by one object.
async fn lists(world: &World, scope: &str) -> f64 {
    let metric =
        format!("sum(apiserver_request_total{{resource=\"upgraderuns\",verb=\"LIST\",scope=\"{scope}\"}})");
    let answer = world.prometheus.query(&metric).await.unwrap();
    answer.first().and_then(|sample| sample["value"][1].as_str()?.parse().ok()).unwrap_or(0.0)
}
