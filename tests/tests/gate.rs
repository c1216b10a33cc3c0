//! The gate on the real parts: whatever kind of gate alert stands, no step starts; when it clears, the run goes on
//! by itself; and a gate that closes in the middle of a node's step holds the node as long as it can be put back.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DeleteParams, ListParams};
use lockkeeper_rules::alert::READY_ALERT;
use lockkeeper_rules::reason::Reason;
use lockkeeper_tests::World;
use lockkeeper_tests::machine::{Fault, Then};
use lockkeeper_tests::proof::starts;
use lockkeeper_tests::site::SiteGate;
use lockkeeper_tests::world::{CONTROL_PLANE, REPEAT_SECONDS, Workload};
use serde_json::{Value, json};

const RUN: &str = "gated";
/// How long a cordoned node is held before it is put back.
const HOLD_SECONDS: u64 = 15;
/// How long the control-plane node's upgrade takes at least: a gate must have the time to close in its middle.
const UPGRADE: Duration = Duration::from_secs(12);

/// A way in which a gate is closed, and the step that it keeps from starting.
struct Kind {
    gate: SiteGate,
    silenced: bool,
    step: &'static str,
    reasons: &'static [Reason],
}

const KINDS: [Kind; 4] = [
    Kind { gate: SiteGate::All, silenced: false, step: "preflight", reasons: &[Reason::GateFiring] },
    Kind { gate: SiteGate::Pending, silenced: false, step: "snapshot", reasons: &[Reason::GatePending] },
    Kind {
        gate: SiteGate::Mutating,
        silenced: true,
        step: "prepare",
        reasons: &[Reason::GateFiring, Reason::GateSuppressed],
    },
    Kind {
        gate: SiteGate::Misspelt,
        silenced: false,
        step: "control-plane/cp-1",
        reasons: &[Reason::GateFiring, Reason::GateMisspelt],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn no_step_starts_and_no_node_is_touched_while_a_gate_stands_and_all_goes_on_when_it_clears() {
    let world = World::builder().settings(|settings| {
        settings.hold_seconds_max = HOLD_SECONDS;
        settings.idle_check_pause_seconds = 1;
    });
    let world = world.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    // Every eviction is refused, so that a drain goes on until somebody takes the budget away.
    world.deploy(&Workload::new("guarded", 4).min_available(4)).await.unwrap();
    slow_down_the_control_plane(&world);
    let before = world.cordons().await.unwrap();
    for kind in KINDS {
        a_closed_gate_keeps_the_step_from_starting(&world, &kind).await;
    }
    a_gate_that_closes_after_mutate_began_lets_the_node_be_finished(&world).await;
    a_gate_that_closes_after_cordon_holds_the_node_and_has_it_put_back(&world).await;
    world.wait_until_succeeded(RUN, 120).await;
    assert_eq!(world.cordons().await.unwrap(), before, "the cordons after are the cordons before");
    let history = world.run_status(RUN).await.unwrap().unwrap().history;
    let permits = world.actuator.sum("k8s_upgrade_permits_consumed_total").await.unwrap();
    assert_eq!(permits, 8.0, "7 steps, one twice: {history:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_by_silence_ends_with_the_silence_and_not_with_alertmanagers_memory() {
    let world = World::builder().settings(|settings| settings.idle_check_pause_seconds = 1);
    let mut world = world.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let pause = world.alertmanager.silence(READY_ALERT).await.unwrap();
    world.create_run(RUN, json!({"target": "v1.36.3", "stopAfter": "preflight"})).await.unwrap();
    world.wait_until_held(RUN, Reason::ReadySilenced, &pause).await;
    assert_eq!(silences(&world).await, std::slice::from_ref(&pause));
    let ended_at = Timestamp::now();
    world.alertmanager.end_silence(&pause).await.unwrap();
    world.wait_until_started(RUN, "preflight", ended_at, 60).await;
    world.wait_until_held(RUN, Reason::StopAfter, "spec.stopAfter").await;
    assert_eq!(silences(&world).await, [""; 0], "it has expired");

    let pause = world.alertmanager.silence(READY_ALERT).await.unwrap();
    world.patch_run(RUN, json!({"stopAfter": "snapshot"})).await.unwrap();
    world.wait_until_held(RUN, Reason::ReadySilenced, &pause).await;
    world.alertmanager.lose_data().unwrap();
    world.alertmanager.start().await.unwrap();
    // Nor does it take a process that has seen it.
    world.actuator.stop().await;
    world.actuator.start().await.unwrap();
    world.wait_until_held(RUN, Reason::SilenceForgotten, &pause).await;
    // Alertmanager is old enough and all else is well: the lost silence alone keeps the step from starting.
    let alone = || async {
        let holds = world.run_status(RUN).await?.map(|status| status.holds).unwrap_or_default();
        let others = [Reason::SilenceForgotten, Reason::WaitingForPermit].map(Reason::code);
        Ok(holds.iter().all(|hold| others.contains(&&*hold.reason)).then_some(()))
    };
    world.wait_for("nothing else to stand in the way", 60, alone).await;
    world.nothing_starts(RUN, 3, true).await;
    let cleared_at = Timestamp::now();
    world.patch_run(RUN, json!({"acceptRisks": [format!("silence_forgotten@{pause}")]})).await.unwrap();
    world.wait_until_started(RUN, "snapshot", cleared_at, 60).await;
    world.wait_until_held(RUN, Reason::StopAfter, "spec.stopAfter").await;
    assert_eq!(silences(&world).await, [""; 0], "a person has let it go");
}

/// The silences that the run keeps.
async fn silences(world: &World) -> Vec<String> {
    let status = world.run_status(RUN).await.unwrap().unwrap();
    status.silences.into_iter().map(|silence| silence.id).collect()
}

fn slow_down_the_control_plane(world: &World) {
    let apply = Fault::new("kubeadm", &["upgrade", "apply"]).without("--dry-run");
    world.machine(CONTROL_PLANE).set_faults(&[apply.takes(UPGRADE).then(Then::Proceed)]).unwrap();
}

async fn a_closed_gate_keeps_the_step_from_starting(world: &World, kind: &Kind) {
    let silence =
        if kind.silenced { Some(world.alertmanager.silence(kind.gate.alert()).await.unwrap()) } else { None };
    world.close_gate(kind.gate).await;
    // Until now the run was told to stop before this step.
    let go_on_to = if kind.step.contains('/') { Value::Null } else { json!(kind.step) };
    if world.runs().get_opt(RUN).await.unwrap().is_none() {
        let spec = json!({"target": "v1.36.3", "stopAfter": go_on_to, "acceptRisks": ["pdb_blocked"]});
        world.create_run(RUN, spec).await.unwrap();
    } else {
        world.patch_run(RUN, json!({"stopAfter": go_on_to})).await.unwrap();
    }
    world.wait_until_waiting(RUN, kind.step, 30).await;
    for reason in kind.reasons {
        world.wait_until_held(RUN, *reason, kind.gate.alert()).await;
    }
    // The path is whole before it is said that the gate alone keeps the step from starting.
    world.nothing_starts(RUN, 3, true).await;
    opens_in_time(world, kind.gate, kind.step).await;
    if let Some(id) = silence {
        world.alertmanager.end_silence(&id).await.unwrap();
    }
    if !kind.step.contains('/') {
        world.wait_until_held(RUN, Reason::StopAfter, "spec.stopAfter").await;
    }
}

/// Opens a gate: the step starts within one scrape, an evaluation of the site's rules and one of ours, a check, a
/// repeat and two seconds; twice that, since other Worlds are at work on the same machine.
async fn opens_in_time(world: &World, gate: SiteGate, step: &str) {
    let settings = &world.settings;
    let (scrape, evaluation) = (settings.scrape_interval_seconds, settings.evaluation_interval_seconds);
    let bound = scrape + 2 * evaluation + settings.check_pause_seconds + REPEAT_SECONDS + 2;
    let bound = SignedDuration::from_secs(i64::try_from(2 * bound).unwrap());
    let opened = Timestamp::now();
    world.site.open(gate);
    let started = world.wait_until_started(RUN, step, opened, 30).await;
    let took = started.duration_since(opened);
    let (alert, took_ms) = (gate.alert(), took.as_millis());
    println!("{step} started {took_ms} ms after {alert} cleared, {} ms are allowed", bound.as_millis());
    assert!(took <= bound, "{step} started {took_ms} ms after {alert} cleared");
}

async fn stage(world: &World, step: &str, stage: &str, seconds: u64) {
    let there = || async move {
        let active = world.run_status(RUN).await?.map(|status| status.active).unwrap_or_default();
        let is_it = active.iter().any(|it| it.step == step && it.stage.as_deref() == Some(stage));
        Ok(is_it.then_some(()))
    };
    world.wait_for(&format!("{step} to be at {stage}"), seconds, there).await;
}

async fn a_gate_that_closes_after_mutate_began_lets_the_node_be_finished(world: &World) {
    let machine = world.machine(CONTROL_PLANE);
    let applied = || async {
        let mut calls = machine.calls_of("kubeadm", &["upgrade", "apply"]).into_iter();
        Ok(calls.any(|call| !call.is("kubeadm", &["--dry-run"])).then_some(()))
    };
    world.wait_for("kubeadm to be at work", 60, applied).await;
    world.close_gate(SiteGate::All).await;
    assert_eq!(version_of(world, CONTROL_PLANE).await, "v1.36.1", "the gate has closed in the middle");
    stage(world, "control-plane/cp-1", "mutate", 5).await;
    world.wait_until_waiting(RUN, "worker/worker-1", 120).await;
    assert_eq!(version_of(world, CONTROL_PLANE).await, "v1.36.3");
    assert!(!is_cordoned(world, CONTROL_PLANE).await, "it was given back although the gate was closed");
    world.wait_until_held(RUN, Reason::GateFiring, SiteGate::All.alert()).await;
    world.nothing_starts(RUN, 3, true).await;
    opens_in_time(world, SiteGate::All, "worker/worker-1").await;
}

async fn a_gate_that_closes_after_cordon_holds_the_node_and_has_it_put_back(world: &World) {
    let step = "worker/worker-1";
    stage(world, step, "drain", 30).await;
    let refused = || async { Ok((refusals(world) > 0).then_some(())) };
    world.wait_for("an eviction to be refused by the budget", 30, refused).await;
    let pods = pods(world).await;
    world.close_gate(SiteGate::All).await;
    let held = || async {
        let active = world.run_status(RUN).await?.map(|status| status.active).unwrap_or_default();
        Ok(active.first().and_then(|it| it.held_since))
    };
    let held_since = world.wait_for("the node to be held", 10, held).await;
    world.wait_until_held(RUN, Reason::GateFiring, SiteGate::All.alert()).await;
    let tried = refusals(world);
    assert!(is_cordoned(world, "worker-1").await, "it is held as it is");
    let put_back = || async {
        let waiting = world.run_status(RUN).await?.and_then(|status| status.waiting);
        let again = waiting.filter(|waiting| waiting.step == step && waiting.token.contains(".2."));
        Ok(again.filter(|waiting| waiting.because.iter().any(|why| why.reason == "hold_deadline")))
    };
    let waiting = world.wait_for("the node to be put back", 60, put_back).await;
    let held = waiting.minted_at.duration_since(held_since);
    println!("the node was put back {} ms after it was held", held.as_millis());
    let allowed = i64::try_from(HOLD_SECONDS).unwrap();
    assert!((allowed..=allowed + 15).contains(&held.as_secs()), "{held:#}");
    assert!(!is_cordoned(world, "worker-1").await, "it is put back");
    assert_eq!(refusals(world), tried, "no eviction was tried while the gate was closed");
    let units: Vec<_> = starts(world).into_iter().filter(|start| start.node == "worker-1").collect();
    assert!(units.iter().all(|unit| unit.kind == "prepare"), "{units:?}");
    assert_eq!(self::pods(world).await, pods, "no pod was touched");
    world.wait_until_held(RUN, Reason::GateFiring, SiteGate::All.alert()).await;
    world.nothing_starts(RUN, 3, true).await;
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(world.kube.clone(), "default");
    budgets.delete("guarded", &DeleteParams::default()).await.unwrap();
    opens_in_time(world, SiteGate::All, step).await;
}

/// How many evictions a budget has refused.
fn refusals(world: &World) -> usize {
    let evictions = world.audit("actuator").into_iter().filter(|entry| entry.subresource == "eviction");
    evictions.filter(|entry| entry.code == 429).count()
}

async fn pods(world: &World) -> Vec<String> {
    let pods = world.pods().list(&ListParams::default()).await.unwrap().items;
    pods.into_iter().filter_map(|pod| pod.metadata.uid).collect()
}

async fn version_of(world: &World, node: &str) -> String {
    let versions = world.kubelet_versions().await.unwrap();
    versions.into_iter().find(|(name, _)| name == node).unwrap().1
}

async fn is_cordoned(world: &World, node: &str) -> bool {
    world.cordons().await.unwrap().into_iter().find(|(name, _)| name == node).unwrap().1
}
