//! Several workers at a time on the real parts: how many were out of service is counted on the nodes' own writes.

use std::time::Duration;

use jiff::Timestamp;
use lockkeeper_tests::World;
use lockkeeper_tests::proof::{cordons, mutations, uncordons};
use lockkeeper_tests::world::{CONTROL_PLANE, Workload};
use serde_json::json;

const RUN: &str = "to-1-36-3";

/// Long enough that what may go side by side does.
const PACE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn three_of_six_workers_go_at_a_time_and_never_more() {
    let world =
        World::builder().workers(6).pace(PACE).start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.deploy(&Workload::new("web", 6).min_available(2)).await.unwrap();
    let before = world.cordons().await.unwrap();
    let spec = json!({"target": "v1.36.3", "workers": {"concurrency": 3}});
    world.create_run(RUN, spec).await.unwrap();
    world.wait_until_succeeded(RUN, 420).await;

    for (node, version) in world.kubelet_versions().await.unwrap() {
        assert_eq!(version, "v1.36.3", "{node}");
    }
    assert_eq!(world.cordons().await.unwrap(), before, "the cordons after are the cordons before");
    // How many overlap depends on how soon each permit comes; that no more do does not.
    let most = most_at_a_time(&world);
    assert!((2..=3).contains(&most), "{most} workers were out of service at a time");
    the_first_worker_went_alone(&world);
    let found = mutations(&world);
    for mutation in &found {
        assert!(mutation.age() <= mutation.age_max(&world), "{mutation:?}");
    }
    println!("{most} at a time, {} mutations, each on a check of its own", found.len());
}

/// How many workers were out of service at a time, by what the API server wrote down.
fn most_at_a_time(world: &World) -> i32 {
    let out = cordons(world).into_iter().map(|(node, at)| (at, 1, node));
    let back = uncordons(world).into_iter().map(|(node, at)| (at, -1, node));
    let mut moments: Vec<(Timestamp, i32, String)> = out.chain(back).collect();
    moments.retain(|(_, _, node)| node != CONTROL_PLANE);
    moments.sort();
    let counted = moments.iter().scan(0, |out, (_, by, _)| {
        *out += by;
        Some(*out)
    });
    counted.max().unwrap_or_default()
}

fn the_first_worker_went_alone(world: &World) {
    let workers: Vec<_> = cordons(world).into_iter().filter(|(node, _)| node != CONTROL_PLANE).collect();
    let [(first, _), (_, second_at), ..] = &workers[..] else { panic!("{workers:?}") };
    let back = uncordons(world).into_iter().find(|(node, _)| node == first).unwrap().1;
    assert!(back < *second_at, "{workers:?}");
}
