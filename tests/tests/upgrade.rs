//! One whole upgrade on the real parts, and what must be true of every moment of it.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use lockkeeper_rules::words::version::Version;
use lockkeeper_tests::kubelet::proxied_at;
use lockkeeper_tests::proof::{cordons, mutations, starts, uncordons};
use lockkeeper_tests::world::{CONTROL_PLANE, Workload};
use lockkeeper_tests::{World, dashboard};
use serde_json::json;

const RUN: &str = "to-1-36-3";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_from_the_first_token_to_every_node_at_the_target() {
    let mut world = World::builder().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.start_products().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.deploy(&Workload::new("web", 4).min_available(2)).await.unwrap();
    let before = world.cordons().await.unwrap();
    world.create_run(RUN, json!({"target": "v1.36.3"})).await.unwrap();
    world.wait_until_succeeded(RUN, 240).await;

    for (node, version) in world.kubelet_versions().await.unwrap() {
        assert_eq!(version, "v1.36.3", "{node}");
    }
    assert_eq!(world.cordons().await.unwrap(), before, "the cordons after are the cordons before");
    one_permit_for_each_step(&world).await;
    the_control_plane_came_first(&world);
    every_mutation_rests_on_a_young_check(&world);
    nothing_else_was_written(&world);
    nobody_was_called(&world);
    what_the_exporter_costs(&world).await;
    // A scrape that fails leaves a panel empty for a second.
    let shown = || async { dashboard::evaluate(&world).await.map(Some) };
    world.wait_for("every panel to show something", 30, shown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_to_the_next_minor() {
    let (from, to) = (Version::new(1, 35, 4), Version::new(1, 36, 3));
    let world = World::builder().workers(1).from(from.clone()).repository(vec![from, to.clone()]);
    let world = world.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.create_run(RUN, json!({"target": to.to_string()})).await.unwrap();
    world.wait_until_succeeded(RUN, 240).await;

    for (node, version) in world.kubelet_versions().await.unwrap() {
        assert_eq!(version, to.to_string(), "{node}");
    }
    assert_eq!(world.kube.apiserver_version().await.unwrap().git_version, to.to_string());
    // No other minor without a look at what each kubelet runs with.
    let asked = world.kubelet_ports.take_asked();
    for machine in &world.machines {
        let configz = format!("{}/configz", proxied_at(machine.spec.address));
        assert!(asked.contains(&configz), "{}: {asked:?}", machine.spec.name);
    }
    nothing_else_was_written(&world);
    nobody_was_called(&world);
}

async fn one_permit_for_each_step(world: &World) {
    let status = world.run_status(RUN).await.unwrap().unwrap();
    let steps: BTreeSet<&str> = status.finished.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(steps, BTreeSet::from(["preflight", "snapshot", "prepare", "postflight"]));
    assert_eq!(status.nodes_done, 3);
    let page = world.actuator.get("/metrics").await.unwrap();
    let line = page.lines().find(|line| line.starts_with("k8s_upgrade_permits_consumed_total")).unwrap();
    let history = &status.history;
    assert_eq!(line, "k8s_upgrade_permits_consumed_total 7", "one for each of 4 + 3 steps: {history:?}");
    let tokens: BTreeSet<u64> =
        starts(world).iter().map(|s| s.token.split('.').nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(status.sequence, 7, "no token was minted in vain: {history:?}");
    assert_eq!(tokens.len(), 5, "snapshot, prepare and three nodes: {tokens:?}");
}

fn the_control_plane_came_first(world: &World) {
    let order: Vec<String> = cordons(world).into_iter().map(|(node, _)| node).collect();
    assert_eq!(order, [CONTROL_PLANE, "worker-1", "worker-2"]);
    let back: Vec<String> = uncordons(world).into_iter().map(|(node, _)| node).collect();
    assert_eq!(back, order, "each node was given back once, in the same order");
    let begun = |node: &str| cordons(world).into_iter().find(|(n, _)| n == node).unwrap().1;
    let given_back = |node: &str| uncordons(world).into_iter().find(|(n, _)| n == node).unwrap().1;
    assert!(given_back(CONTROL_PLANE) < begun("worker-1") && given_back("worker-1") < begun("worker-2"));
}

fn every_mutation_rests_on_a_young_check(world: &World) {
    let found = mutations(world);
    for (what, at_least) in [("cordon", 3), ("evict", 2), ("unit", 7)] {
        let count = found.iter().filter(|mutation| mutation.what == what).count();
        assert!(count >= at_least, "{count} of {what}, the join would prove nothing: {found:?}");
    }
    for mutation in &found {
        // A node writes whole seconds down, so that its time may lie up to a second too early.
        assert!(mutation.age() <= mutation.age_max(world), "{mutation:?}");
        assert!(mutation.age() > SignedDuration::from_secs(-1), "{mutation:?}");
    }
    let oldest = found.iter().map(|mutation| mutation.age()).max().unwrap();
    println!("{} mutations, the oldest check was {oldest:#}", found.len());
}

fn nothing_else_was_written(world: &World) {
    assert_eq!(world.audit("exporter").len(), 0, "the exporter writes nothing");
    for entry in world.audit("actuator") {
        let what = format!("{} {}/{}", entry.verb, entry.resource, entry.subresource);
        let allowed = [
            "update upgraderuns/status",
            "patch upgraderuns/",
            "patch nodes/",
            "create pods/eviction",
            "create leases/",
            "update leases/",
            "create events/",
        ];
        assert!(allowed.contains(&what.as_str()), "{what} {}", entry.name);
        let is_event = entry.resource == "events";
        assert!(!is_event || entry.code == 201, "an Event was refused with {}: {}", entry.code, entry.body);
    }
}

fn nobody_was_called(world: &World) {
    assert!(world.site.notifications().is_empty(), "{:?}", world.site.notifications());
}

async fn what_the_exporter_costs(world: &World) {
    let page = world.exporter.get("/metrics").await.unwrap();
    let pid = world.exporter.service.process().unwrap().pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let rss = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    println!("the exporter: {rss}, /metrics {} bytes", page.len());
    for node in [CONTROL_PLANE, "worker-1", "worker-2"] {
        assert!(page.contains(&format!("node=\"{node}\"")), "{node} is on the page");
    }
}
