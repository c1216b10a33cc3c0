//! etcd is put back to an older snapshot under a run: the nodes remember what the cluster has forgotten.

use jiff::Timestamp;
use lockkeeper_rules::api::{Hold, RunPhase};
use lockkeeper_rules::reason::Reason;
use lockkeeper_rules::words::name::Token;
use lockkeeper_tests::World;
use lockkeeper_tests::proof::starts;
use lockkeeper_tests::world::CONTROL_PLANE;
use serde_json::{Value, json};

const RUN: &str = "to-1-36-3";
const TARGET: &str = "v1.36.3";
/// How often the lead is renewed, five times in two thirds of its time, while the halted run is watched.
const RENEWALS: usize = 16;

/// The snapshot is the run's own: a person who loses etcd takes what is there. In it the run has done nothing yet but
/// its preflight, and by then the control plane and a worker have been changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_etcd_was_restored_halts_and_touches_no_node_any_more() {
    let world = World::builder().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    // Half of the workers: then it stands still, and nothing is under way when etcd is lost.
    let spec = json!({"target": TARGET, "stopAfter": "worker/worker-1"});
    world.create_run(RUN, spec).await.unwrap();
    let is_stopped = || async {
        let stops = |hold: &Hold| hold.reason == Reason::StopAfter.code();
        Ok(world.run_status(RUN).await?.filter(|status| status.holds.iter().any(stops)))
    };
    let before = world.wait_for("the run to stop after the first worker", 240, is_stopped).await;
    let done = on_the_nodes(&world);
    assert_eq!(sent_to(&world, "worker-1"), before.sequence, "the newest token is that of the worker");

    let restored_at = Timestamp::now();
    let taken = before.snapshot.unwrap().path;
    let taken = world.machine(CONTROL_PLANE).var_lib(taken.strip_prefix("/var/lib/").unwrap());
    world.control_plane.lock().await.restore(&taken).await.unwrap_or_else(|error| panic!("{error:#}"));
    let is_halted =
        || async { Ok(world.run_status(RUN).await?.filter(|status| status.phase == RunPhase::Halted)) };
    let after = world.wait_for("the run to halt", 120, is_halted).await;
    assert!(
        after.sequence < before.sequence,
        "the run has forgotten: {} and {}",
        after.sequence,
        before.sequence
    );
    let halted = after.halted.unwrap();
    assert_eq!(halted.step, "snapshot", "what ran when the snapshot was taken");
    assert_eq!(halted.finding.reason, Reason::StateWentBackwards.code(), "{halted:?}");
    assert_eq!(halted.finding.subject, CONTROL_PLANE);
    let newest = sent_to(&world, CONTROL_PLANE);
    let detail = format!("its ledger has token {newest}, the run has sent none after {}", after.sequence);
    assert_eq!(halted.finding.detail, detail);

    // Nothing else keeps the run from going on.
    world.patch_run(RUN, json!({"stopAfter": Value::Null})).await.unwrap();
    let renewals = || {
        let leases = world.audit("actuator").into_iter().filter(|entry| entry.resource == "leases");
        leases.filter(|entry| entry.at > restored_at).count()
    };
    let seen = renewals();
    world
        .wait_for("turns of the halted run", 120, || async {
            Ok((renewals() >= seen + RENEWALS).then_some(()))
        })
        .await;
    assert_eq!(world.run_status(RUN).await.unwrap().unwrap().phase, RunPhase::Halted);
    assert_eq!(on_the_nodes(&world), done, "no node was changed after the restore");
    let mut writes = world.audit("actuator");
    writes.retain(|it| it.at > restored_at && matches!(&*it.resource, "nodes" | "pods"));
    assert!(writes.is_empty(), "{writes:?}");
}

/// What every node was sent and what it runs.
fn on_the_nodes(world: &World) -> Vec<String> {
    let seen = world.machines.iter().map(|machine| {
        let (name, version) = (&machine.spec.name, machine.kubelet_version());
        let changes = machine.calls_of("kubeadm", &[]).len() + machine.calls_of("apt-get", &[]).len();
        format!("{name} {version:?} {changes} {:?}", world.ledger(name))
    });
    seen.collect()
}

/// The highest sequence of the tokens that a node has begun.
fn sent_to(world: &World, node: &str) -> u64 {
    let of_node = starts(world).into_iter().filter(|start| start.node == node);
    of_node.map(|start| start.token.parse::<Token>().unwrap().sequence).max().unwrap()
}
