//! Workers that fail while others are in hand.

use std::time::Duration;

use lockkeeper_rules::api::RunPhase;
use lockkeeper_tests::World;
use lockkeeper_tests::machine::{Fault, Then};
use lockkeeper_tests::proof::cordons;
use serde_json::json;

use super::{RUN, most_at_a_time};

/// So that this worker is at work when the last of the others fails.
const SLOW: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn as_many_failures_as_are_allowed_halt_the_run_once_the_others_are_finished() {
    let builder = World::builder().workers(5).settings(|settings| settings.attempts_max = 1);
    let world = builder.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let before = world.cordons().await.unwrap();
    let upgrade = || Fault::new("kubeadm", &["upgrade", "node"]).without("--dry-run");
    for worker in ["worker-2", "worker-4"] {
        world.machine(worker).set_faults(&[upgrade()]).unwrap();
    }
    world.machine("worker-3").set_faults(&[upgrade().takes(SLOW).then(Then::Proceed)]).unwrap();
    let workers = json!({"concurrency": 3, "maxFailures": 2});
    world.create_run(RUN, json!({"target": "v1.36.3", "workers": workers})).await.unwrap();

    the_second_failure_halts_it(&world).await;
    let status = world
        .wait_for("the run to be halted", 240, || async {
            let status = world.run_status(RUN).await?;
            Ok(status.filter(|status| status.phase == RunPhase::Halted && status.active.is_empty()))
        })
        .await;
    assert_eq!(status.failed.len(), 1, "{:?}", status.failed);
    assert_eq!(most_at_a_time(&world), 3);
    let cordoned = world.cordons().await.unwrap().into_iter().filter(|(_, cordoned)| *cordoned);
    let cordoned: Vec<String> = cordoned.map(|(node, _)| node).collect();
    assert_eq!(cordoned, ["worker-2", "worker-4"], "they stay as they are until people have looked");
    let old: Vec<_> = world.kubelet_versions().await.unwrap();
    let old = old.into_iter().filter(|(_, version)| version != "v1.36.3").map(|(node, _)| node);
    assert_eq!(old.collect::<Vec<_>>(), ["worker-2", "worker-4", "worker-5"], "worker-3 was finished");
    assert!(cordons(&world).iter().all(|(node, _)| node != "worker-5"), "nothing begins any more");

    for worker in ["worker-2", "worker-4"] {
        world.machine(worker).set_faults(&[]).unwrap();
    }
    let retry = |worker: &str| json!({"step": format!("worker/{worker}"), "attempt": 1});
    world.patch_run(RUN, json!({"retry": [retry("worker-2"), retry("worker-4")]})).await.unwrap();
    world
        .wait_for("the run to go on", 60, || async {
            Ok(world.run_status(RUN).await?.filter(|status| status.phase != RunPhase::Halted).map(drop))
        })
        .await;
    world.wait_until_succeeded(RUN, 300).await;
    assert_eq!(world.cordons().await.unwrap(), before, "the cordons after are the cordons before");
    assert_eq!(most_at_a_time(&world), 3);
}

/// Waits until two have failed, with another one still in hand.
async fn the_second_failure_halts_it(world: &World) {
    let status = world
        .wait_for("two failures", 300, || async {
            let status = world.run_status(RUN).await?;
            Ok(status.filter(|status| status.halted.is_some() && !status.failed.is_empty()))
        })
        .await;
    let active: Vec<_> = status.active.iter().map(|it| it.step.as_str()).collect();
    assert_eq!(active, ["worker/worker-3"], "what is in hand when the run halts");
}
