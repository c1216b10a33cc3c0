//! Restart is the normal path: the actuator is killed at every point of a run, and nothing is done twice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::policy::v1::Eviction;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use lockkeeper_actuator::leader::{LEASE_NAME, LEASE_NAMESPACE};
use lockkeeper_rules::api::ActiveStep;
use lockkeeper_rules::driver::kubeadm::KubeadmSettings;
use lockkeeper_rules::driver::kubeadm::node_script::{self, EtcdAccess, ScriptSettings};
use lockkeeper_rules::driver::kubeadm::order::{LookedAt, NodeTarget, UnitKind, UnitOrder};
use lockkeeper_rules::gate::Proof;
use lockkeeper_rules::words::name::{RunUid, Token};
use lockkeeper_tests::World;
use lockkeeper_tests::kubelet::PodPace;
use lockkeeper_tests::machine::{Fault, Folder, Then};
use lockkeeper_tests::part::User;
use lockkeeper_tests::proof::{cordons, mutations, starts, uncordons};
use lockkeeper_tests::run_folder::free_port;
use lockkeeper_tests::world::{CONTROL_PLANE, Product, Workload};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

const RUN: &str = "to-1-36-3";
const TARGET: &str = "v1.36.3";

/// The label on a node or a namespace by which the API server refuses what the actuator wants to change there: so a
/// run stands still between its intent and its act, for as long as a test wants.
const REFUSE: &str = "lockkeeper.test/refuse";

async fn world(workers: usize) -> World {
    // A short Lease: whoever is started after a kill waits for its end.
    let builder = World::builder().workers(workers).settings(|settings| settings.lease_seconds = 3);
    builder.without_products().start().await.unwrap_or_else(|error| panic!("{error:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actuator_that_is_killed_at_every_point_does_nothing_twice() {
    let mut world = world(2).await;
    world.start_products().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.deploy(&Workload::new("web", 4).min_available(2)).await.unwrap();
    let before = world.cordons().await.unwrap();
    refuse_where_labelled(&world).await;
    let first = generation(&world).await;

    // For the worker's drain, and already now: while the control-plane node is upgraded its API server is away. The
    // pods are on the workers.
    refuse_evictions(&world, true).await;
    refuse_on_node(&world, CONTROL_PLANE, true).await;
    let slow_apply = Fault::new("kubeadm", &["upgrade", "apply"]).without("--dry-run");
    let slow_apply = slow_apply.takes(Duration::from_secs(8)).then(Then::Proceed);
    world.machine(CONTROL_PLANE).set_faults(&[slow_apply]).unwrap();
    world.create_run(RUN, json!({"target": TARGET})).await.unwrap();
    killed_before_the_cordon(&mut world).await;
    killed_while_the_unit_works(&mut world).await;
    killed_after_the_cordon(&mut world).await;
    killed_in_the_drain(&mut world).await;
    cut_off_while_the_unit_works(&world).await;

    killed_before_the_uncordon(&mut world).await;
    world.wait_until_succeeded(RUN, 120).await;

    assert_eq!(world.cordons().await.unwrap(), before, "the cordons after are the cordons before");
    nothing_was_done_twice(&world).await;
    for mutation in mutations(&world) {
        assert!(mutation.age() <= mutation.age_max(&world), "{mutation:?}");
    }
    let last = generation(&world).await;
    assert!(
        last >= first + 5,
        "each of the five that were started after a kill leads anew: {first} to {last}"
    );
}

/// The step runs and the intent is stored; the API server has refused everything so far.
async fn killed_before_the_cordon(world: &mut World) {
    let step = format!("control-plane/{CONTROL_PLANE}");
    wait_for_step(world, "the intent to cordon", &step, 180, |it| is_at(it, "cordon", Some("cordon"))).await;
    world.actuator.kill();
    assert_eq!(cordons(world), [], "nothing was done before the kill");
    refuse_on_node(world, CONTROL_PLANE, false).await;
    world.actuator.start().await.unwrap();
}

async fn killed_while_the_unit_works(world: &mut World) {
    wait_for_upgrade(world, CONTROL_PLANE, "apply").await;
    world.actuator.kill();
    assert!(!is_ended(world, CONTROL_PLANE), "the unit works at the moment of the kill");
    let begun = world.decisions().len();
    world.actuator.start().await.unwrap();
    // Found by its token while it still works, and not started again.
    let looked = |line: &Value| line["command"] == "read_ledger" && line["node"] == CONTROL_PLANE;
    world
        .wait_for("the new process to look at the unit", 60, || async {
            Ok(world.decisions()[begun..].iter().any(looked).then_some(()))
        })
        .await;
    assert!(!is_ended(world, CONTROL_PLANE), "the unit works when it is found again");
}

async fn killed_after_the_cordon(world: &mut World) {
    wait_for_step(world, "the drain", "worker/worker-1", 120, |it| is_at(it, "drain", Some("evict"))).await;
    world.actuator.kill();
    assert_eq!(evicted(world).len(), 0, "no pod was evicted before the kill");
    assert!(is_cordoned(world, "worker-1").await);
    // From here on pods do not end until they are told to.
    let pace = PodPace { end: Duration::from_secs(600), ..PodPace::default() };
    world.kubelets.set_pace(pace);
    refuse_evictions(world, false).await;
    world.actuator.start().await.unwrap();
}

async fn killed_in_the_drain(world: &mut World) {
    world
        .wait_for("a pod that is leaving", 60, || async { Ok((leaving(world).await? > 0).then_some(())) })
        .await;
    world.actuator.kill();
    let generation_before = generation(world).await;
    world.actuator.start().await.unwrap();
    world
        .wait_for("the next generation to lead", 30, || async {
            Ok((generation(world).await > generation_before).then_some(()))
        })
        .await;
    // Time for more than one turn with pods that are leaving: each renewal is a fifth of two seconds.
    let renewals = renewals_since(world).await;
    world
        .wait_for("turns with pods that are leaving", 30, || async {
            Ok((renewals_since(world).await >= renewals + 8).then_some(()))
        })
        .await;
    assert!(leaving(world).await.unwrap() > 0, "the drain goes on");
    // One connection hangs after its unit was started; the unit takes its time.
    let hang = Fault::new("systemd-run", &[]).nth(1).after().then(Then::Hang);
    let slow = Fault::new("kubeadm", &["upgrade", "node"]).takes(Duration::from_secs(6)).then(Then::Proceed);
    world.machine("worker-1").set_faults(&[hang, slow.clone()]).unwrap();
    world.machine("worker-2").set_faults(&[slow]).unwrap();
    world.kubelets.set_pace(PodPace::default());
}

async fn cut_off_while_the_unit_works(world: &World) {
    wait_for_upgrade(world, "worker-1", "node").await;
    world.machine("worker-1").cut_connections().await.unwrap();
    assert!(!is_ended(world, "worker-1"), "the unit works when the connection is cut");
    let is_start =
        |line: &Value| line["kind"] == "end" && line["command"] == "start_unit" && line["node"] == "worker-1";
    let end = world
        .wait_for("the start to be given up", 30, || async {
            let ends: Vec<Value> = world.decisions().into_iter().filter(is_start).collect();
            // The first is that of prepare.
            Ok(ends.get(1).cloned())
        })
        .await;
    assert_eq!(end["findings"][0]["reason"], "ssh_unreachable", "nobody knows whether it was started: {end}");
}

async fn killed_before_the_uncordon(world: &mut World) {
    wait_for_upgrade(world, "worker-2", "node").await;
    refuse_on_node(world, "worker-2", true).await;
    let at_uncordon = |it: &ActiveStep| is_at(it, "uncordon", Some("uncordon"));
    wait_for_step(world, "the intent to uncordon", "worker/worker-2", 120, at_uncordon).await;
    world.actuator.kill();
    assert!(is_cordoned(world, "worker-2").await, "it was not given back before the kill");
    assert!(world.kubelet_versions().await.unwrap().iter().all(|(_, version)| version == TARGET));
    refuse_on_node(world, "worker-2", false).await;
    world.actuator.start().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_actuators_one_works_and_the_other_takes_over_with_a_higher_generation() {
    let mut world = world(1).await;
    let mut second = second_actuator(&mut world).await;
    let slow_apply = Fault::new("kubeadm", &["upgrade", "apply"]).without("--dry-run");
    let slow_apply = slow_apply.takes(Duration::from_secs(10)).then(Then::Proceed);
    world.machine(CONTROL_PLANE).set_faults(&[slow_apply]).unwrap();
    world.start_products().await.unwrap_or_else(|error| panic!("{error:#}"));
    leads(&world, &world.actuator).await;
    second.start().await.unwrap();
    // No budget: with one worker there is no other place for pods.
    world.deploy(&Workload::new("web", 4)).await.unwrap();
    let before = world.cordons().await.unwrap();
    world.create_run(RUN, json!({"target": TARGET})).await.unwrap();

    wait_for_upgrade(&world, CONTROL_PLANE, "apply").await;
    assert_eq!(decisions_of(&second).len(), 0, "the one that does not lead asks and does nothing");
    let page = second.get("/metrics").await.unwrap();
    let refused = page.lines().filter(|line| line.contains("decision=\"rejected_not_leader\""));
    assert!(refused.into_iter().any(|line| !line.ends_with(" 0")), "it was called all the same:\n{page}");
    let first_generation = generation(&world).await;
    world.actuator.kill();
    leads(&world, &second).await;
    let second_generation = generation(&world).await;
    assert!(second_generation > first_generation, "{first_generation} then {second_generation}");

    delete_lease(&world, second_generation).await;
    world.wait_until_succeeded(RUN, 240).await;
    assert_eq!(world.cordons().await.unwrap(), before, "the cordons after are the cordons before");
    nothing_was_done_twice(&world).await;
    let used: Vec<u64> = generations_on(&world, "worker-1");
    assert!(used[0] == first_generation && used[1] > second_generation, "{used:?}: prepare, then upgrade");
    let late = late_word(&world, "worker-1", second_generation).await;
    assert_eq!(late, "refused generation_too_old", "a word of one that led before");
}

/// Somebody deletes the Lease under the one that leads, and with it the count of generations: the count goes on. A
/// renewal that is under way at that moment brings the old Lease back, because the API server makes what an update
/// does not find; then it is deleted again.
async fn delete_lease(world: &World, generation: u64) {
    let leases: Api<Lease> = Api::namespaced(world.kube.clone(), LEASE_NAMESPACE);
    world
        .wait_for("a Lease that is begun anew with a higher count", 60, || async {
            let Some(lease) = leases.get_opt(LEASE_NAME).await? else { return Ok(None) };
            if transitions(&lease) > generation {
                return Ok(Some(()));
            }
            leases.delete(LEASE_NAME, &DeleteParams::default()).await?;
            Ok(None)
        })
        .await;
}

/// What a node answers to a unit of this generation, on a young check and under a token that it has not seen.
async fn late_word(world: &World, node: &str, generation: u64) -> String {
    let machine = world.machine(node);
    let run = RunUid(world.runs().get(RUN).await.unwrap().metadata.uid.unwrap());
    let token = Token { run, sequence: 99, attempt: 1, nonce: "00ff00ff00ff00ff".to_owned() };
    let order = UnitOrder {
        node: NodeTarget {
            name: node.into(),
            addresses: vec![machine.spec.address.to_string()],
            machine_id: machine.spec.machine_id.clone(),
        },
        kind: UnitKind::UpgradeNode,
        token: token.clone(),
        target: TARGET.parse().unwrap(),
        generation,
        manifests: LookedAt::default(),
        proof: Proof { token, checked_at: jiff::Timestamp::now() },
    };
    let settings = ScriptSettings::new(&world.settings, EtcdAccess::default(), KubeadmSettings::default());
    let launcher = node_script::launcher(&order, &settings).unwrap();
    let answer = machine.ssh_with_input(&world.keys, "bash -s", &launcher).await.unwrap();
    String::from_utf8_lossy(&answer.stdout).trim().to_owned()
}

/// A second actuator, and in front of both what a Service is in a cluster: Alertmanager knows only its address.
pub(crate) async fn second_actuator(world: &mut World) -> Product {
    let center = world.folder.address(1);
    let fresh = || format!("{center}:{}", free_port(center).unwrap());
    let known = world.actuator.config["webhook"]["listenAddress"].as_str().unwrap().to_owned();
    let mut second = world.actuator.twin("actuator-2");
    let (own, other, metrics) = (fresh(), fresh(), fresh());
    world.actuator.config["webhook"]["listenAddress"] = json!(own);
    second.config["webhook"]["listenAddress"] = json!(other);
    second.config["metrics"]["listenAddress"] = json!(metrics);
    second.config["identity"] = json!("actuator-2");
    second.config["decisionLog"] = json!(world.folder.path().join("decisions-2.jsonl"));
    second.url = format!("http://{metrics}");
    let listener = TcpListener::bind(&known).await.unwrap();
    tokio::spawn(balance(listener, [own.parse().unwrap(), other.parse().unwrap()]));
    second
}

/// Connections go to the one and the other in turn, and past whoever does not answer.
async fn balance(listener: TcpListener, to: [SocketAddr; 2]) {
    let turn = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((mut from, _)) = listener.accept().await else { continue };
        let turn = turn.clone();
        tokio::spawn(async move {
            for _ in 0..to.len() {
                let next = to[turn.fetch_add(1, Ordering::Relaxed) % to.len()];
                if let Ok(mut into) = TcpStream::connect(next).await {
                    let _ended = copy_bidirectional(&mut from, &mut into).await;
                    return;
                }
            }
        });
    }
}

pub(crate) async fn leads(world: &World, actuator: &Product) {
    world
        .wait_for("an actuator to lead", 60, || async {
            let page = actuator.get("/metrics").await?;
            Ok(page.lines().any(|line| line == "k8s_upgrade_leader 1").then_some(()))
        })
        .await;
}

pub(crate) fn decisions_of(actuator: &Product) -> Vec<Value> {
    Folder::lines(std::path::Path::new(actuator.config["decisionLog"].as_str().unwrap()))
}

/// What the audit log, the machines and their ledgers say of the whole run.
async fn nothing_was_done_twice(world: &World) {
    let nodes: Vec<String> = world.machines.iter().map(|machine| machine.spec.name.clone()).collect();
    let names =
        |found: Vec<(String, jiff::Timestamp)>| found.into_iter().map(|(node, _)| node).collect::<Vec<_>>();
    assert_eq!(names(cordons(world)), nodes, "each node was cordoned once");
    assert_eq!(names(uncordons(world)), nodes, "each node was given back once");
    let evicted = evicted(world);
    assert!(!evicted.is_empty(), "no eviction at all would prove nothing");
    assert!(evicted.values().all(|&count| count == 1), "a pod was evicted twice: {evicted:?}");
    for node in &nodes {
        let (apply, upgrade) = if node == CONTROL_PLANE { (1, 0) } else { (0, 1) };
        assert_eq!(upgrades(world, node, "apply"), apply, "kubeadm upgrade apply on {node}");
        assert_eq!(upgrades(world, node, "node"), upgrade, "kubeadm upgrade node on {node}");
        let started = starts(world).into_iter().filter(|start| start.node == *node);
        let kinds: Vec<String> =
            started.map(|start| start.kind).filter(|kind| kind.starts_with("upgrade")).collect();
        assert_eq!(kinds.len(), 1, "{node}: {kinds:?}");
    }
    let mut begun: BTreeMap<(String, String), usize> = BTreeMap::new();
    for start in starts(world) {
        *begun.entry((start.node, start.token)).or_default() += 1;
    }
    assert!(begun.values().all(|&count| count == 1), "a token was begun twice: {begun:?}");
    for (node, version) in world.kubelet_versions().await.unwrap() {
        assert_eq!(version, TARGET, "{node}");
    }
    let steps = nodes.len() + 4;
    let status = world.run_status(RUN).await.unwrap().unwrap();
    assert_eq!(
        status.sequence,
        u64::try_from(steps).unwrap(),
        "one token for each step: {:?}",
        status.history
    );
}

/// How often each pod, by uid, was evicted.
fn evicted(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for entry in world.audit("actuator") {
        if entry.subresource == "eviction" && entry.code == 201 {
            let uid = entry.body["deleteOptions"]["preconditions"]["uid"].as_str().unwrap().to_owned();
            *counts.entry(uid).or_default() += 1;
        }
    }
    counts
}

/// How often a node's kubeadm was called to `apply` or to upgrade the `node`, in earnest.
fn upgrades(world: &World, node: &str, how: &str) -> usize {
    let calls = world.machine(node).calls_of("kubeadm", &["upgrade", how]);
    calls.iter().filter(|call| !call.argv.iter().any(|arg| arg == "--dry-run")).count()
}

async fn wait_for_upgrade(world: &World, node: &str, how: &str) {
    world
        .wait_for(&format!("kubeadm upgrade {how} on {node}"), 180, || async {
            Ok((upgrades(world, node, how) > 0).then_some(()))
        })
        .await;
}

/// Whether the unit that upgrades a node has written down its end.
fn is_ended(world: &World, node: &str) -> bool {
    let upgrade =
        starts(world).into_iter().find(|start| start.node == node && start.kind.starts_with("upgrade"));
    let token = upgrade.expect("the unit has begun").token;
    let ledger = world.ledger(node).into_iter().find(|(name, _)| name == "ledger").unwrap().1;
    ledger.lines().any(|line| line.starts_with("exit ") && line.contains(&token))
}

/// The generations that a node was told, in order.
fn generations_on(world: &World, node: &str) -> Vec<u64> {
    let ledger = world.ledger(node).into_iter().find(|(name, _)| name == "ledger").unwrap().1;
    let starts = ledger.lines().filter(|line| line.starts_with("start "));
    starts.map(|line| line.split(' ').nth(3).unwrap().parse().unwrap()).collect()
}

async fn wait_for_step(
    world: &World,
    what: &str,
    step: &str,
    seconds: u64,
    is_it: impl Fn(&ActiveStep) -> bool,
) {
    let is_it = &is_it;
    world
        .wait_for(what, seconds, || async move {
            let active = world.run_status(RUN).await?.map(|status| status.active).unwrap_or_default();
            Ok(active.iter().any(|it| it.step == step && is_it(it)).then_some(()))
        })
        .await;
}

fn is_at(it: &ActiveStep, stage: &str, intent: Option<&str>) -> bool {
    it.stage.as_deref() == Some(stage) && it.intent.as_ref().map(|intent| intent.action.as_str()) == intent
}

async fn is_cordoned(world: &World, node: &str) -> bool {
    world.cordons().await.unwrap().iter().any(|(name, cordoned)| name == node && *cordoned)
}

/// How many pods are being deleted.
async fn leaving(world: &World) -> anyhow::Result<usize> {
    let pods = world.pods().list(&ListParams::default()).await?.items;
    Ok(pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_some()).count())
}

async fn lease(world: &World) -> Lease {
    let leases: Api<Lease> = Api::namespaced(world.kube.clone(), LEASE_NAMESPACE);
    world.wait_for("the Lease", 60, || async { Ok(leases.get_opt(LEASE_NAME).await?) }).await
}

async fn generation(world: &World) -> u64 {
    transitions(&lease(world).await)
}

fn transitions(lease: &Lease) -> u64 {
    let transitions = lease.spec.as_ref().and_then(|spec| spec.lease_transitions);
    transitions.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}

/// How often the actuators have written the Lease.
async fn renewals_since(world: &World) -> usize {
    world.audit("actuator").iter().filter(|e| e.resource == "leases" && e.name == LEASE_NAME).count()
}

async fn refuse_on_node(world: &World, node: &str, refuse: bool) {
    world.nodes().patch(node, &PatchParams::default(), &label(refuse)).await.unwrap();
}

pub(crate) async fn refuse_evictions(world: &World, refuse: bool) {
    let namespaces: Api<Namespace> = Api::all(world.kube.clone());
    namespaces.patch("default", &PatchParams::default(), &label(refuse)).await.unwrap();
}

fn label(on: bool) -> Patch<Value> {
    let value = if on { json!("yes") } else { Value::Null };
    Patch::Merge(json!({"metadata": {"labels": {REFUSE: value}}}))
}

/// Lets the API server refuse changes of labelled nodes and evictions in labelled namespaces, and waits until it does.
pub(crate) async fn refuse_where_labelled(world: &World) {
    let on =
        |object: &str| format!("!(has({object}.metadata.labels) && '{REFUSE}' in {object}.metadata.labels)");
    policy(
        world,
        "refuse-nodes",
        json!({"apiVersions": ["v1"], "apiGroups": [""], "operations": ["UPDATE"], "resources": ["nodes"]}),
        &on("oldObject"),
    )
    .await;
    policy(world, "refuse-evictions", json!({"apiVersions": ["v1"], "apiGroups": [""], "operations": ["CREATE"], "resources": ["pods/eviction"]}), &on("namespaceObject")).await;
    // The kubelets' user is meant too, so that this can be tried out without being in the audit log.
    let user = world.control_plane.lock().await.apiserver.client(User::Kubelets).await.unwrap();
    let (nodes, pods): (Api<k8s_openapi::api::core::v1::Node>, Api<Pod>) =
        (Api::all(user.clone()), Api::namespaced(user, "default"));
    refuse_on_node(world, "worker-2", true).await;
    refuse_evictions(world, true).await;
    let pod = world.pods().list(&ListParams::default()).await.unwrap().items.remove(0);
    let pod = &pod.metadata.name.unwrap();
    let dry_run = json!({"metadata": {"name": pod}, "deleteOptions": {"dryRun": ["All"]}});
    let eviction: &Eviction = &serde_json::from_value(dry_run).unwrap();
    let (nodes, pods) = (&nodes, &pods);
    world
        .wait_for("the API server to refuse", 30, || async move {
            let params = PatchParams { dry_run: true, ..PatchParams::default() };
            let touch = Patch::Merge(json!({"metadata": {"annotations": {"tried": "yes"}}}));
            let node = nodes.patch("worker-2", &params, &touch).await;
            let pod = pods
                .create_subresource::<Eviction, Value>("eviction", pod, &PostParams::default(), eviction)
                .await;
            let refused = |error: Option<kube::Error>| error.is_some_and(|e| e.to_string().contains(REFUSED));
            Ok((refused(node.err()) && refused(pod.err())).then_some(()))
        })
        .await;
    refuse_on_node(world, "worker-2", false).await;
    refuse_evictions(world, false).await;
}

const REFUSED: &str = "as ordered by the test";

async fn policy(world: &World, name: &str, rule: Value, expression: &str) {
    let policy = json!({
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "matchConditions": [{"name": "who", "expression": "request.userInfo.username in ['actuator', 'kubelets']"}],
            "validations": [{"expression": expression, "message": REFUSED}],
        },
    });
    let binding =
        json!({"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}});
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(world.kube.clone());
    policies.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(world.kube.clone());
    bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
}
