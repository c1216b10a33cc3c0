//! Several workers at a time on the real parts: how many were out of service is counted in the API server's audit log.

mod budgets;
mod failures;
mod leaders;

use std::time::Duration;

use jiff::Timestamp;
use lockkeeper_tests::World;
use lockkeeper_tests::machine::{Fault, Then};
use lockkeeper_tests::proof::{cordons, mutations, starts, uncordons};
use lockkeeper_tests::world::{CONTROL_PLANE, Workload};
use serde_json::{Value, json};

const RUN: &str = "to-1-36-3";

/// Long enough that what may go side by side does.
const PACE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn three_of_six_workers_go_at_a_time_and_the_others_go_on_while_the_ssh_of_one_hangs() {
    let world =
        World::builder().workers(6).pace(PACE).start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.deploy(&Workload::new("web", 6).min_available(2)).await.unwrap();
    let before = world.cordons().await.unwrap();
    let spec = json!({"target": "v1.36.3", "workers": {"concurrency": 3}});
    world.create_run(RUN, spec).await.unwrap();
    // By then every node is prepared: what is started on it next is its upgrade.
    wait_for_cordon(&world, "worker-1").await;
    let hang = Fault::new("systemd-run", &[]).nth(1).after().then(Then::Hang);
    world.machine("worker-2").set_faults(&[hang]).unwrap();
    world.wait_until_succeeded(RUN, 420).await;

    for (node, version) in world.kubelet_versions().await.unwrap() {
        assert_eq!(version, "v1.36.3", "{node}");
    }
    assert_eq!(world.cordons().await.unwrap(), before, "the cordons after are the cordons before");
    // How many overlap depends on how soon each permit comes; that no more do does not.
    let most = most_at_a_time(&world);
    assert!((2..=3).contains(&most), "{most} workers were out of service at a time");
    the_first_worker_went_alone(&world);
    let meanwhile = others_while_it_hung(&world, "worker-2");
    let found = mutations(&world);
    for mutation in &found {
        assert!(mutation.age() <= mutation.age_max(&world), "{mutation:?}");
    }
    println!(
        "{most} at a time, {} mutations, each on a check of its own; {meanwhile} commands of others while one hung",
        found.len()
    );
}

/// How many commands on other nodes were ended between the start of a node's upgrade and the moment it was given up.
fn others_while_it_hung(world: &World, node: &str) -> usize {
    let decisions = world.decisions();
    let of_start = |kind: &str| {
        let of_kind = |line: &&Value| line["kind"] == kind && line["command"] == "start_unit";
        // The first is that of prepare.
        decisions.iter().filter(of_kind).filter(|line| line["node"] == node).nth(1).unwrap()
    };
    let at = |line: &Value| line["at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let (from, to) = (at(of_start("begin")), at(of_start("end")));
    assert_eq!(of_start("end")["findings"][0]["reason"], "ssh_unreachable", "the start did not hang");
    let is_of_another = |line: &&Value| {
        let other = line["node"].as_str().is_some_and(|other| other != node);
        line["kind"] == "end" && other && (from..to).contains(&at(line))
    };
    let others: Vec<_> = decisions.iter().filter(is_of_another).collect();
    let acts = |line: &&&Value| {
        ["cordon", "evict", "start_unit", "uncordon"].iter().any(|it| line["command"] == *it)
    };
    assert!(others.iter().any(|line| acts(&line)), "nobody went on from {from} to {to}: {others:?}");
    others.len()
}

async fn wait_for_cordon(world: &World, node: &str) {
    let is_it = || async { Ok(cordons(world).iter().any(|(name, _)| name == node).then_some(())) };
    world.wait_for(&format!("the cordon of {node}"), 240, is_it).await;
}

/// Waits until this many workers are being changed.
async fn wait_for_changes(world: &World, workers: usize) {
    world
        .wait_for(&format!("{workers} workers in hand"), 240, || async {
            let active = world.run_status(RUN).await?.map(|status| status.active).unwrap_or_default();
            let at_work = active.iter().filter(|it| {
                it.stage.as_deref() == Some("mutate")
                    && starts(world).iter().any(|start| start.token == it.token)
            });
            Ok((at_work.count() == workers).then_some(()))
        })
        .await;
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
