//! Two drains that wait for each other.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, PostParams};
use lockkeeper_rules::reason::Reason;
use lockkeeper_rules::words::name::Token;
use lockkeeper_tests::World;
use lockkeeper_tests::proof::{cordons, starts};
use serde_json::json;

use super::RUN;
use crate::crash::{refuse_evictions, refuse_where_labelled};

/// The only nodes that the pods may be on.
const PAIR: [&str; 2] = ["worker-2", "worker-3"];

#[tokio::test(flavor = "multi_thread")]
async fn of_two_drains_that_wait_for_each_other_the_younger_returns_and_uses_no_attempt() {
    let world = World::builder().workers(3).start().await.unwrap_or_else(|error| panic!("{error:#}"));
    for (name, on) in [("even", PAIR[0]), ("odd", PAIR[1])] {
        two_pods_on(&world, name, on).await;
    }
    refuse_where_labelled(&world).await;
    let before = world.cordons().await.unwrap();
    // Nothing leaves until both are being drained: no budget covers pods on both nodes when they begin.
    refuse_evictions(&world, true).await;
    world.create_run(RUN, json!({"target": "v1.36.3", "workers": {"concurrency": 2}})).await.unwrap();
    wait_for_both_drains(&world).await;
    refuse_evictions(&world, false).await;
    world.wait_until_succeeded(RUN, 300).await;

    assert_eq!(world.cordons().await.unwrap(), before, "the cordons after are the cordons before");
    let status = world.run_status(RUN).await.unwrap().unwrap();
    let code = Reason::DrainsBlockEachOther.code();
    let returned: Vec<_> = status.history.iter().filter(|line| line.event.contains(code)).collect();
    assert!(matches!(&returned[..], [it] if it.step == "worker/worker-3"), "{:?}", status.history);
    let times = |node: &str| cordons(&world).iter().filter(|(name, _)| name == node).count();
    assert_eq!((times("worker-2"), times("worker-3")), (1, 2));
    for node in PAIR {
        let upgrades =
            starts(&world).into_iter().filter(|it| it.node == node && it.kind.starts_with("upgrade"));
        let attempts: Vec<u32> = upgrades.map(|it| it.token.parse::<Token>().unwrap().attempt).collect();
        assert_eq!(attempts, [1], "{node}");
    }
}

async fn wait_for_both_drains(world: &World) {
    world
        .wait_for("both drains", 240, || async {
            let active = world.run_status(RUN).await?.map(|status| status.active).unwrap_or_default();
            let drains = active.iter().filter(|it| {
                it.stage.as_deref() == Some("drain")
                    && PAIR.iter().any(|node| it.step == format!("worker/{node}"))
            });
            Ok((drains.count() == 2).then_some(()))
        })
        .await;
}

/// Two pods, both on this node, that may only be on the one or the other of the pair; one of them must always run. With both
/// nodes cordoned the first that leaves finds no place, and the second must stay.
async fn two_pods_on(world: &World, name: &str, on: &str) {
    let app = json!({"app": name});
    let others: Vec<String> = world.workers().into_iter().filter(|node| node != on).collect();
    for node in &others {
        world.cordon(node, true).await.unwrap();
    }
    let may_be_on = json!([{"matchExpressions": [
        {"key": "kubernetes.io/hostname", "operator": "In", "values": PAIR}]}]);
    let deployment = json!({
        "metadata": {"name": name},
        "spec": {"replicas": 2, "selector": {"matchLabels": app}, "template": {
            "metadata": {"labels": app},
            "spec": {
                "terminationGracePeriodSeconds": 1, "containers": [{"name": "app", "image": "app"}],
                "affinity": {"nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": may_be_on}}},
            },
        }},
    });
    let deployments: Api<Deployment> = Api::namespaced(world.kube.clone(), "default");
    deployments.create(&PostParams::default(), &serde_json::from_value(deployment).unwrap()).await.unwrap();
    let budget =
        json!({"metadata": {"name": name}, "spec": {"minAvailable": 1, "selector": {"matchLabels": app}}});
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(world.kube.clone(), "default");
    budgets.create(&PostParams::default(), &serde_json::from_value(budget).unwrap()).await.unwrap();
    world.wait_for_pods(name, 2, true).await.unwrap();
    for node in &others {
        world.cordon(node, false).await.unwrap();
    }
}
