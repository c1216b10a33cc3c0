//! Who leads changes while several nodes are in hand.

use std::collections::BTreeMap;
use std::time::Duration;

use lockkeeper_tests::World;
use lockkeeper_tests::machine::{Fault, Then};
use lockkeeper_tests::proof::{cordons, starts};
use lockkeeper_tests::world::Workload;
use serde_json::json;

use super::{RUN, most_at_a_time, wait_for_changes};
use crate::crash::{leads, second_actuator};

/// Long enough that three are at work at the same time, and still are when another leads.
const CHANGE: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_killed_or_stopped_with_nodes_in_hand_leaves_them_to_the_other() {
    let builder = World::builder().workers(6).settings(|settings| settings.lease_seconds = 3);
    let mut world = builder.without_products().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let mut second = second_actuator(&mut world).await;
    world.start_products().await.unwrap_or_else(|error| panic!("{error:#}"));
    leads(&world, &world.actuator).await;
    second.start().await.unwrap();
    world.deploy(&Workload::new("web", 6).min_available(2)).await.unwrap();
    let before = world.cordons().await.unwrap();
    for worker in world.workers().iter().skip(1) {
        let slow = Fault::new("kubeadm", &["upgrade", "node"]).without("--dry-run");
        world.machine(worker).set_faults(&[slow.takes(CHANGE).then(Then::Proceed)]).unwrap();
    }
    world.create_run(RUN, json!({"target": "v1.36.3", "workers": {"concurrency": 3}})).await.unwrap();

    wait_for_changes(&world, 3).await;
    world.actuator.kill();
    let in_hand = world.run_status(RUN).await.unwrap().unwrap().active;
    assert_eq!(in_hand.len(), 3, "{in_hand:?}");
    leads(&world, &second).await;
    world.actuator.start().await.unwrap();

    wait_for_changes(&world, 2).await;
    second.stop().await;
    leads(&world, &world.actuator).await;
    world.wait_until_succeeded(RUN, 240).await;

    assert_eq!(world.cordons().await.unwrap(), before, "the cordons after are the cordons before");
    assert_eq!(most_at_a_time(&world), 3, "as many as are allowed");
    for (node, version) in world.kubelet_versions().await.unwrap() {
        assert_eq!(version, "v1.36.3", "{node}");
        assert_eq!(cordons(&world).iter().filter(|(name, _)| *name == node).count(), 1, "cordons of {node}");
        let upgrades =
            starts(&world).into_iter().filter(|it| it.node == node && it.kind.starts_with("upgrade"));
        assert_eq!(upgrades.count(), 1, "upgrades of {node}");
    }
    let mut begun: BTreeMap<(String, String), usize> = BTreeMap::new();
    for start in starts(&world) {
        *begun.entry((start.node, start.token)).or_default() += 1;
    }
    assert!(begun.values().all(|&count| count == 1), "a token was begun twice: {begun:?}");
}
