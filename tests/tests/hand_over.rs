//! Two replicas, each on a node of the cluster that they upgrade: each leaves its own node to the other.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, PostParams};
use lockkeeper_tests::World;
use lockkeeper_tests::proof::cordons;
use lockkeeper_tests::world::Product;
use serde_json::json;

use crate::crash::{decisions_of, leads, second_actuator};

const RUN: &str = "to-1-36-3";

#[tokio::test(flavor = "multi_thread")]
async fn the_lead_is_handed_over_before_the_node_of_the_leader_is_upgraded() {
    // Whoever hands over leaves the Lease alone for twice its time.
    let builder = World::builder().settings(|settings| settings.lease_seconds = 3).without_products();
    let mut world = builder.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let mut second = second_actuator(&mut world).await;
    world.actuator.add_arg("--node-name=worker-1");
    second.add_arg("--node-name=worker-2");
    world.start_products().await.unwrap_or_else(|error| panic!("{error:#}"));
    leads(&world, &world.actuator).await;
    second.start().await.unwrap();
    the_pods_of_the_replicas(&world).await;
    world.create_run(RUN, json!({"target": "v1.36.3"})).await.unwrap();
    world.wait_until_succeeded(RUN, 240).await;

    // Who upgrades the node of neither depends on whose Lease outlives the restart of the control plane.
    let (first, second) = (cordoned_by(&world.actuator), cordoned_by(&second));
    let has = |of: &BTreeSet<String>, node: &str| of.contains(node);
    assert!(has(&first, "worker-2") && !has(&first, "worker-1"), "never its own: {first:?}");
    assert!(has(&second, "worker-1") && !has(&second, "worker-2"), "never its own: {second:?}");
    // A cordon whose node was changed in between is refused and asked for again: what the API server took is counted.
    let mut all: Vec<String> = cordons(&world).into_iter().map(|(node, _)| node).collect();
    all.sort();
    assert_eq!(all, ["cp-1", "worker-1", "worker-2"], "each once");
}

/// The actuators run outside; the pods that they would run in must be Ready on a node each.
async fn the_pods_of_the_replicas(world: &World) {
    let labels = json!({"app.kubernetes.io/name": "lockkeeper-actuator"});
    let deployment = json!({
        "metadata": {"name": "lockkeeper-actuator"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {
                "terminationGracePeriodSeconds": 1, "containers": [{"name": "app", "image": "app"}],
                "topologySpreadConstraints": [{
                    "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": {"matchLabels": labels}}],
            },
        }},
    });
    let deployments: Api<Deployment> = Api::namespaced(world.kube.clone(), "default");
    deployments.create(&PostParams::default(), &serde_json::from_value(deployment).unwrap()).await.unwrap();
    let deployments = &deployments;
    world
        .wait_for("the pods of both replicas", 60, || async move {
            let status = deployments.get("lockkeeper-actuator").await?.status.unwrap_or_default();
            Ok((status.ready_replicas == Some(2)).then_some(()))
        })
        .await;
}

/// The nodes that an actuator set out to take out of service.
fn cordoned_by(actuator: &Product) -> BTreeSet<String> {
    let begun = decisions_of(actuator).into_iter();
    let begun = begun.filter(|line| line["kind"] == "begin" && line["command"] == "cordon");
    begun.map(|line| line["order"]["Cordon"]["node"].as_str().unwrap().to_owned()).collect()
}
