//! The executor on real parts: a real sshd and a real API server. What is behind the sshd is a simulated machine.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::VolumeAttachment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use lockkeeper_actuator::driver::kubeadm::{Ssh, read_ledger, start_unit, survey};
use lockkeeper_actuator::execute::{self, Clearance};
use lockkeeper_actuator::leader::Leader;
use lockkeeper_actuator::permits::PermitStore;
use lockkeeper_actuator::reader::ByName;
use lockkeeper_actuator::store::{self, StoreError};
use lockkeeper_exporter::read::{budget, now, place, pod};
use lockkeeper_rules::api::{CORDONED_BY_ANNOTATION, UpgradeRun, UpgradeRunStatus};
use lockkeeper_rules::cluster::snapshot::Role;
use lockkeeper_rules::drain::AttachedVolume;
use lockkeeper_rules::driver::kubeadm::KubeadmSettings;
use lockkeeper_rules::driver::kubeadm::node_script::{EtcdAccess, ScriptSettings};
use lockkeeper_rules::driver::kubeadm::order::{
    LedgerOrder, LookedAt, NodeTarget, SurveyOrder, UnitKind, UnitOrder,
};
use lockkeeper_rules::driver::kubeadm::reading::NodeSurvey;
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::gate::Proof;
use lockkeeper_rules::gate::{Decision, Held, Route};
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::{CordonOrder, EvictOrder, UncordonOrder};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::wire::alertmanager::webhook;
use lockkeeper_rules::words::name::{NodeName, RunUid, Token};
use lockkeeper_rules::words::pod_ref::PodRef;
use lockkeeper_rules::words::version::Version;
use lockkeeper_tests::World;
use lockkeeper_tests::machine::{Fault, Machine, MachineSpec, SshKeys, Then};
use lockkeeper_tests::run_folder::{RunFolder, free_port};
use lockkeeper_tests::wait::wait_for;
use lockkeeper_tests::world::{CONTROL_PLANE, Workload};
use serde_json::{Value, json};

/// How long one read may take.
const DEADLINE: Duration = Duration::from_secs(5);
const RUN: &str = "0b9f3c6e-1111-4222-8333-444455556666";

fn token(sequence: u64) -> Token {
    format!("{RUN}.{sequence}.1.00ff00ff00ff00ff").parse().expect("the token is one")
}

fn proof(sequence: u64) -> Proof {
    Proof { token: token(sequence), checked_at: Timestamp::now() }
}

fn reason<T: std::fmt::Debug>(result: Result<T, Finding>) -> Reason {
    result.expect_err("it is refused").reason
}

/// One machine behind a real sshd, and what reaches it.
struct Bench {
    machine: Machine,
    keys: SshKeys,
    ssh: Ssh,
    settings: Settings,
    _folder: Arc<RunFolder>,
}

impl Bench {
    async fn new() -> Self {
        Self::build().await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    async fn build() -> anyhow::Result<Self> {
        let folder = Arc::new(RunFolder::create()?);
        let keys = SshKeys::make(&folder)?;
        let address = folder.address(12);
        let spec = MachineSpec {
            name: "worker-1".to_owned(),
            role: Role::Worker,
            address,
            port: free_port(address)?,
            machine_id: "0123456789abcdef0123456789abcdef".to_owned(),
            version: Version::new(1, 36, 1),
            repository: vec![Version::new(1, 36, 1), Version::new(1, 36, 3)],
            pace: Duration::from_millis(100),
            etcd_endpoint: String::new(),
            kubernetes: Vec::new(),
        };
        let machine = Machine::start(&folder, &keys, spec).await?;
        let settings = Settings { unit_seconds_max: 60, ..Settings::default() };
        let ssh = reach(&keys, machine.spec.port, folder.folder("c")?, &settings);
        Ok(Self { machine, keys, ssh, settings, _folder: folder })
    }

    fn target(&self) -> NodeTarget {
        target(&self.machine)
    }

    fn order(&self, sequence: u64) -> UnitOrder {
        UnitOrder {
            node: self.target(),
            kind: UnitKind::UpgradeNode,
            token: token(sequence),
            target: Version::new(1, 36, 3),
            generation: 7,
            manifests: LookedAt::default(),
            proof: proof(sequence),
        }
    }

    /// A busy machine may take longer to connect than a check holds. Nothing has begun then, and the next check is a new one.
    async fn start(&self, order: &UnitOrder) -> Result<(), Finding> {
        wait_for("a check that is young enough", Duration::from_secs(60), || async {
            let order = &UnitOrder { proof: proof(order.token.sequence), ..order.clone() };
            let clearance = Clearance {
                proof: Some(&order.proof),
                began: Instant::now(),
                settings: &self.settings,
                leads: &|| true,
                is_revoked: &|| false,
            };
            let started = start_unit(&self.ssh, order, clearance).await;
            let is_late = started.as_ref().is_err_and(|finding| finding.reason == Reason::CheckExpired);
            Ok((!is_late).then_some(started))
        })
        .await
        .unwrap_or_else(|error| panic!("{error:#}"))
    }

    async fn read(&self, order: &UnitOrder) -> Result<Progress, Finding> {
        let order = LedgerOrder { node: order.node.clone(), token: order.token.clone() };
        read_ledger(&self.ssh, &order).await
    }

    async fn wait_for_end(&self, order: &UnitOrder) -> (i32, String) {
        wait_for("the unit to end", Duration::from_secs(60), || async {
            Ok(match self.read(order).await {
                Ok(Progress::Ended { code, output, .. }) => Some((code, output)),
                _ => None,
            })
        })
        .await
        .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Ends everything on the machine, and waits until its sshd is back.
    async fn reboot(&self) {
        self.machine.reboot().await.unwrap_or_else(|error| panic!("{error:#}"));
        wait_for("the machine's sshd", Duration::from_secs(30), || async {
            Ok(self.read(&self.order(99)).await.ok())
        })
        .await
        .unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// How often the machine was upgraded.
    fn upgrades(&self) -> usize {
        self.machine.calls_of("kubeadm", &["upgrade", "node"]).len()
    }

    async fn wait_for_upgrade(&self) {
        wait_for("kubeadm to be called", Duration::from_secs(30), || async {
            Ok((self.upgrades() > 0).then_some(()))
        })
        .await
        .unwrap_or_else(|error| panic!("{error:#}"));
    }
}

fn reach(keys: &SshKeys, port: u16, control: PathBuf, settings: &Settings) -> Ssh {
    Ssh {
        user: "root".to_owned(),
        port,
        key_file: keys.identity.clone(),
        known_hosts_file: keys.known_hosts.clone(),
        control_directory: Some(control),
        scripts: ScriptSettings::new(settings, EtcdAccess::default(), KubeadmSettings::default()),
    }
}

fn target(machine: &Machine) -> NodeTarget {
    NodeTarget {
        name: machine.spec.name.as_str().into(),
        addresses: vec![machine.spec.address.to_string()],
        machine_id: machine.spec.machine_id.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_reached_at_the_address_that_answers() {
    let bench = Bench::new().await;
    let mut order = bench.order(1);
    // Nobody listens there, and no host key is known of it.
    order.node.addresses.insert(0, "127.255.255.254".to_owned());
    bench.start(&order).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_survives_a_cut_connection_and_its_result_is_read() {
    let bench = Bench::new().await;
    let slow = Fault::new("kubeadm", &["upgrade", "node"]).takes(Duration::from_secs(2)).then(Then::Proceed);
    bench.machine.set_faults(&[slow]).unwrap();
    let order = bench.order(1);
    assert_eq!(bench.read(&order).await, Ok(Progress::Unseen));
    bench.start(&order).await.unwrap();
    bench.wait_for_upgrade().await;
    bench.machine.unplug().await.unwrap();
    assert_eq!(reason(bench.read(&order).await), Reason::SshUnreachable, "not a word about the unit");
    bench.machine.plug().await.unwrap();
    let (code, output) = bench.wait_for_end(&order).await;
    assert_eq!(code, 0, "{output}");
    assert_eq!(bench.upgrades(), 1);
    assert_eq!(bench.machine.kubelet_version(), Some(Version::new(1, 36, 3)));
    assert_eq!(bench.machine.held(), ["kubeadm", "kubectl", "kubelet"], "as they were found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_refuses_a_token_twice_an_older_leader_and_another_nodes_order() {
    let bench = Bench::new().await;
    let order = bench.order(1);
    bench.start(&order).await.unwrap();
    assert_eq!(reason(bench.start(&order).await), Reason::TokenAlreadySeen);
    assert_eq!(bench.wait_for_end(&order).await.0, 0);
    assert_eq!(reason(bench.start(&order).await), Reason::TokenAlreadySeen);
    let older = UnitOrder { generation: 6, ..bench.order(2) };
    assert_eq!(reason(bench.start(&older).await), Reason::GenerationTooOld);
    let mut other = bench.order(3);
    other.node.machine_id = "ffffffffffffffffffffffffffffffff".to_owned();
    assert_eq!(reason(bench.start(&other).await), Reason::MachineIdMismatch);
    assert_eq!(reason(bench.read(&other).await), Reason::MachineIdMismatch);
    bench.reboot().await;
    assert_eq!(reason(bench.start(&order).await), Reason::TokenAlreadySeen, "after a restart, too");
    assert_eq!(bench.wait_for_end(&order).await.0, 0, "what is written stays written");
    assert_eq!(bench.upgrades(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_whose_machine_was_restarted_is_started_and_dead() {
    let bench = Bench::new().await;
    bench.machine.set_faults(&[Fault::new("kubeadm", &["upgrade", "node"]).nth(1).then(Then::Hang)]).unwrap();
    let order = bench.order(1);
    bench.start(&order).await.unwrap();
    bench.wait_for_upgrade().await;
    assert!(matches!(bench.read(&order).await, Ok(Progress::Started { alive: true, .. })));
    assert_eq!(reason(bench.start(&bench.order(2)).await), Reason::NodeBusy);
    bench.reboot().await;
    assert!(matches!(bench.read(&order).await, Ok(Progress::Started { alive: false, .. })));
    let next = bench.order(2);
    bench.start(&next).await.unwrap();
    assert_eq!(bench.wait_for_end(&next).await.0, 0);
    assert_eq!(bench.machine.held(), ["kubeadm", "kubectl", "kubelet"], "the holds of before the restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_host_key_changed_or_is_not_known_is_not_spoken_to() {
    let mut bench = Bench::new().await;
    let order = bench.order(1);
    let known = std::fs::read_to_string(&bench.keys.known_hosts).unwrap();
    let other = RunFolder::create().unwrap();
    SshKeys::make(&other).unwrap();
    let public = std::fs::read_to_string(other.path().join("ssh/identity.pub")).unwrap();
    let place = known.split(' ').next().unwrap();
    for (claim, text) in [("changed", format!("{place} {public}")), ("unknown", String::new())] {
        bench.ssh.known_hosts_file = other.write(claim, text).unwrap();
        assert_eq!(reason(bench.start(&order).await), Reason::SshHostKey, "{claim}");
        assert_eq!(reason(bench.read(&order).await), Reason::SshHostKey, "{claim}");
    }
    assert!(bench.machine.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_not_sent_on_a_stale_or_revoked_check_or_without_leadership() {
    let bench = Bench::new().await;
    let order = bench.order(1);
    let mut stale = order.clone();
    stale.proof.checked_at -= Duration::from_secs(6);
    let permits = PermitStore::new(Arc::new(bench.settings.clone()));
    permits.set_leader(true);
    let counts = permits.counts();
    let is_revoked = || counts.borrow().revocations > 0;
    let clearance = |proof, leads| Clearance {
        proof,
        began: Instant::now(),
        settings: &bench.settings,
        leads,
        is_revoked: &is_revoked,
    };
    let refused = start_unit(&bench.ssh, &order, clearance(Some(&order.proof), &|| false)).await;
    assert_eq!(reason(refused), Reason::LeadershipLost);
    let refused = start_unit(&bench.ssh, &stale, clearance(Some(&stale.proof), &|| true)).await;
    assert_eq!(reason(refused), Reason::CheckExpired);
    // Whether we lead is asked once the connection stands: just before, somebody says that a gate fires.
    let young = UnitOrder { proof: proof(1), ..order.clone() };
    let firing = r#"{"version":"4","truncatedAlerts":0,"status":"firing","alerts":[{"status":"firing","labels":
        {"alertname":"G","k8s_upgrade_gate":"all"},"startsAt":"2026-01-01T00:00:00Z"}]}"#;
    let firing = webhook(firing.as_bytes()).unwrap();
    let says_so = || permits.accept(Route::Gates, &firing, Timestamp::now()) == Decision::Revoke;
    let refused = start_unit(&bench.ssh, &young, clearance(Some(&young.proof), &says_so)).await;
    assert_eq!(reason(refused), Reason::CheckExpired);
    assert_eq!(bench.read(&order).await, Ok(Progress::Unseen));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_kubeadm_is_read_with_its_output_and_the_kubelet_is_left_alone() {
    let bench = Bench::new().await;
    let fails =
        Fault::new("kubeadm", &["upgrade", "node"]).then(Then::Exit(1, "did not complete".to_owned()));
    bench.machine.set_faults(&[fails]).unwrap();
    let order = bench.order(1);
    bench.start(&order).await.unwrap();
    let (code, output) = bench.wait_for_end(&order).await;
    assert_eq!(code, 1);
    assert!(output.contains("did not complete"), "{output}");
    assert_eq!(bench.machine.kubelet_version(), Some(Version::new(1, 36, 1)));
    assert!(bench.machine.calls_of("systemctl", &["restart"]).is_empty());
}

async fn small_world() -> World {
    World::builder().workers(1).without_products().start().await.unwrap_or_else(|error| panic!("{error:#}"))
}

async fn node(world: &World, name: &str) -> Node {
    world.nodes().get(name).await.unwrap()
}

fn cordon_order(node: &Node, sequence: u64) -> CordonOrder {
    CordonOrder {
        node: node.metadata.name.as_deref().unwrap_or_default().into(),
        uid: node.metadata.uid.clone().unwrap_or_default(),
        resource_version: node.metadata.resource_version.clone().unwrap_or_default(),
        token: token(sequence),
        proof: proof(sequence),
    }
}

/// Unschedulable, and whose it is.
fn picture(node: &Node) -> (bool, Option<String>) {
    let unschedulable = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    let annotation = node.metadata.annotations.as_ref().and_then(|all| all.get(CORDONED_BY_ANNOTATION));
    (unschedulable, annotation.cloned())
}

async fn touch(world: &World, name: &str, patch: Value) {
    world.nodes().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// Tries over the newest version until no kubelet's heartbeat comes in between.
async fn cordon_newest(world: &World, name: &str, sequence: u64) -> Node {
    let settings = &Settings::default();
    wait_for("the cordon", Duration::from_secs(20), || async move {
        let order = cordon_order(&node(world, name).await, sequence);
        let clearance = Clearance {
            proof: Some(&order.proof),
            began: Instant::now(),
            settings,
            leads: &|| true,
            is_revoked: &|| false,
        };
        match execute::cordon(&world.kube, &order, clearance).await {
            Ok(()) => Ok(Some(node(world, name).await)),
            Err(finding) if finding.reason == Reason::NodeChanged => Ok(None),
            Err(finding) => Err(anyhow::anyhow!("{finding}")),
        }
    })
    .await
    .unwrap_or_else(|error| panic!("{error:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_cordoned_and_given_back_only_as_it_was_read() {
    let world = small_world().await;
    let settings = Settings::default();
    let clearance = |proof| Clearance {
        proof,
        began: Instant::now(),
        settings: &settings,
        leads: &|| true,
        is_revoked: &|| false,
    };
    let free = (false, None);

    let order = cordon_order(&node(&world, "worker-1").await, 1);
    let mut stale = order.clone();
    stale.proof.checked_at -= Duration::from_secs(6);
    assert_eq!(
        reason(execute::cordon(&world.kube, &stale, clearance(Some(&stale.proof))).await),
        Reason::CheckExpired
    );
    touch(&world, "worker-1", json!({"metadata": {"labels": {"somebody": "else"}}})).await;
    let conflict = execute::cordon(&world.kube, &order, clearance(Some(&order.proof))).await;
    assert_eq!(reason(conflict), Reason::NodeChanged);
    let mut other = cordon_order(&node(&world, "worker-1").await, 1);
    other.uid = "another-node-by-this-name".to_owned();
    let replaced = execute::cordon(&world.kube, &other, clearance(Some(&other.proof))).await;
    assert_eq!(reason(replaced), Reason::NodeChanged);
    other.node = "never".into();
    assert_eq!(
        reason(execute::cordon(&world.kube, &other, clearance(Some(&other.proof))).await),
        Reason::NodeMissing
    );
    assert_eq!(picture(&node(&world, "worker-1").await), free);

    let cordoned = cordon_newest(&world, "worker-1", 1).await;
    assert_eq!(picture(&cordoned), (true, Some(token(1).to_string())));

    let give_back = |node: &Node, annotation: &str| {
        let CordonOrder { node, uid, resource_version, .. } = cordon_order(node, 1);
        UncordonOrder { node, uid, resource_version, annotation: annotation.to_owned() }
    };
    let not_ours = give_back(&node(&world, "worker-1").await, "somebody.1.1.else");
    assert_eq!(reason(execute::uncordon(&world.kube, &not_ours, clearance(None)).await), Reason::NodeChanged);
    let order = give_back(&node(&world, "worker-1").await, &token(1).to_string());
    touch(&world, "worker-1", json!({"metadata": {"labels": {"somebody": "other"}}})).await;
    assert_eq!(reason(execute::uncordon(&world.kube, &order, clearance(None)).await), Reason::NodeChanged);
    assert_eq!(picture(&node(&world, "worker-1").await), (true, Some(token(1).to_string())));
    world
        .wait_for("the node to be given back", 20, || async {
            let order = give_back(&node(&world, "worker-1").await, &token(1).to_string());
            Ok(execute::uncordon(&world.kube, &order, clearance(None)).await.ok())
        })
        .await;
    assert_eq!(picture(&node(&world, "worker-1").await), free);
}

async fn pods_of(world: &World, app: &str) -> Vec<PodRef> {
    let pods = world.pods().list(&ListParams::default().labels(&format!("app={app}"))).await.unwrap().items;
    let alive = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let reference = |pod: Pod| PodRef {
        namespace: "default".to_owned(),
        name: pod.metadata.name.unwrap_or_default(),
        uid: pod.metadata.uid.unwrap_or_default(),
    };
    alive.map(reference).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_goes_by_uid_and_under_its_budget() {
    let world = small_world().await;
    world.deploy(&Workload::new("guarded", 2).min_available(2)).await.unwrap();
    world.deploy(&Workload::new("free", 1)).await.unwrap();
    let settings = Settings::default();
    let evict = async |pods: Vec<PodRef>, proof: Proof| {
        let order = EvictOrder { node: "worker-1".into(), pods, proof };
        let clearance = Clearance {
            proof: Some(&order.proof),
            began: Instant::now(),
            settings: &settings,
            leads: &|| true,
            is_revoked: &|| false,
        };
        execute::evict(&world.kube, &order, clearance).await
    };
    let reasons = |findings: Vec<Finding>| findings.iter().map(|finding| finding.reason).collect::<Vec<_>>();
    let pods = pods_of(&world, "guarded").await;
    let refused = evict(vec![pods[0].clone()], proof(1)).await;
    assert_eq!(reasons(refused.clone()), [Reason::PdbBlocked]);
    assert!(refused[0].detail.contains("disruption budget guarded"), "{}", refused[0]);
    let asked = || async {
        let written = world.audit("admin").into_iter().filter(|it| it.subresource == "eviction").count();
        Ok((written > 0).then_some(written))
    };
    let asked = world.wait_for("the eviction to be written down", 10, asked).await;
    assert_eq!(asked, 1, "a refusal is not repeated inside the client");

    let relax = Patch::Merge(json!({"spec": {"minAvailable": 1}}));
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(world.kube.clone(), "default");
    budgets.patch("guarded", &PatchParams::default(), &relax).await.unwrap();
    world
        .wait_for("the budget to be relaxed", 20, || async {
            Ok((budgets.get("guarded").await?.status.unwrap_or_default().disruptions_allowed > 0)
                .then_some(()))
        })
        .await;
    let mut stale = proof(3);
    stale.checked_at -= Duration::from_secs(6);
    assert_eq!(reasons(evict(pods.clone(), stale).await), [Reason::CheckExpired]);
    assert_eq!(pods_of(&world, "guarded").await, pods);
    assert_eq!(evict(vec![pods[0].clone()], proof(4)).await, []);
    assert!(!pods_of(&world, "guarded").await.contains(&pods[0]));

    // The budget is left alone by an eviction that meets a successor: the API server would count it all the same.
    world
        .wait_for("the budget to have room again", 60, || async {
            let status = budgets.get("guarded").await?.status.unwrap_or_default();
            Ok((status.disruptions_allowed > 0).then_some(()))
        })
        .await;
    let before = budgets.get("guarded").await.unwrap().metadata.resource_version;
    let guarded = pods_of(&world, "guarded").await;
    let successor = PodRef { uid: "the-one-before".to_owned(), ..guarded[0].clone() };
    assert_eq!(evict(vec![successor], proof(5)).await, []);
    assert_eq!(pods_of(&world, "guarded").await, guarded);
    assert_eq!(budgets.get("guarded").await.unwrap().metadata.resource_version, before);

    let pods = pods_of(&world, "free").await;
    let successor = PodRef { uid: "the-one-before".to_owned(), ..pods[0].clone() };
    let gone = PodRef { name: "never".to_owned(), ..pods[0].clone() };
    assert_eq!(evict(vec![successor, gone], proof(2)).await, [], "neither is there any more");
    assert_eq!(pods_of(&world, "free").await, pods, "the pod of the same name is not meant");

    let worker = BTreeSet::from([NodeName("worker-1".to_owned())]);
    let seen = ByName(&world.kube).pods_on(&worker).await.value.unwrap();
    let everywhere = pod::all_pods(&world.kube, DEADLINE).await.value.unwrap();
    assert!(seen.iter().all(|pod| pod.node == Some("worker-1".into())) && everywhere.len() > seen.len());
    assert!(everywhere.iter().any(|pod| pod.mirror));
    let budgets = budget::budgets(&world.kube, DEADLINE).await.value.unwrap();
    assert!(budgets.iter().any(|budget| seen.iter().any(|pod| budget.protects(pod))));
    // kubeadm's taint keeps pods away from the control plane.
    let places = place::places(&world.kube, DEADLINE).await.value.unwrap();
    let free = seen.iter().find(|pod| pod.name.starts_with("free")).unwrap();
    let takes = places.iter().filter(|place| place.takes(&free.placement));
    assert_eq!(takes.map(|place| place.node.0.as_str()).collect::<Vec<_>>(), ["worker-1"]);
    volumes_are_read_with_their_claims(&world).await;
}

async fn volumes_are_read_with_their_claims(world: &World) {
    let node = NodeName("worker-1".to_owned());
    let attached_now = async || ByName(&world.kube).volumes_on(&node).await.newest().cloned();
    assert_eq!(attached_now().await, Ok(vec![]));
    let volume = json!({"metadata": {"name": "pv-1"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": "default", "name": "data"},
        "csi": {"driver": "csi.example", "volumeHandle": "h"}}});
    let volumes: Api<PersistentVolume> = Api::all(world.kube.clone());
    volumes.create(&PostParams::default(), &serde_json::from_value(volume).unwrap()).await.unwrap();
    let attachments: Api<VolumeAttachment> = Api::all(world.kube.clone());
    for (name, node, volume) in
        [("csi-1", "worker-1", "pv-1"), ("csi-2", "worker-1", "gone"), ("csi-3", "cp-1", "pv-1")]
    {
        let attachment = json!({"metadata": {"name": name}, "spec": {
            "attacher": "csi.example", "nodeName": node, "source": {"persistentVolumeName": volume}}});
        let attachment = serde_json::from_value(attachment).unwrap();
        attachments.create(&PostParams::default(), &attachment).await.unwrap();
    }
    let attached = |attachment: &str, volume: &str, claim| AttachedVolume {
        attachment: attachment.to_owned(),
        volume: volume.to_owned(),
        claim,
    };
    let data = Some(("default".to_owned(), "data".to_owned()));
    let expected = vec![attached("csi-1", "pv-1", data), attached("csi-2", "gone", None)];
    assert_eq!(attached_now().await, Ok(expected));
}

/// The target's kubeadm and the installed one, where they were asked.
fn both_kubeadms_are_content(answer: &NodeSurvey) {
    let Some(kubeadm) = &answer.kubeadm else { return assert!(answer.manifests.is_none(), "{answer:?}") };
    assert!(kubeadm.agrees, "{kubeadm:?}");
    let manifests = answer.manifests.as_ref().unwrap();
    assert_eq!((manifests.installed.as_str(), manifests.written.as_str()), ("v1.36.1", "v1.36.1"));
    assert!(manifests.changes.as_ref().unwrap().is_empty(), "{manifests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_node_is_surveyed_and_its_etcd_is_saved() {
    let world = small_world().await;
    let control = world.folder.folder("c").unwrap();
    let mut ssh = reach(&world.keys, world.machines[0].spec.port, control, &world.settings);
    ssh.scripts.etcd.endpoints = world.machine(CONTROL_PLANE).spec.etcd_endpoint.clone();
    let before = world.machine(CONTROL_PLANE).folder.read("kubelet-version");
    let order = SurveyOrder {
        nodes: world.machines.iter().map(target).collect(),
        target: Version::new(1, 36, 3),
        kubeadm_on: Some(CONTROL_PLANE.into()),
        manifests_on: vec![CONTROL_PLANE.into()],
        with_packages: false,
    };
    let answers = survey(&ssh, &order, &RunUid(RUN.to_owned())).await;
    assert_eq!(answers.len(), 2);
    for (name, answer) in &answers {
        let answer = answer.as_ref().unwrap_or_else(|finding| panic!("{finding}"));
        assert_eq!(answer.machine_id, world.machine(&name.0).spec.machine_id);
        assert!(answer.disk_free_mib > 0 && answer.ledger_sequence == 0);
        assert_eq!(answer.kubeadm.is_some(), name.0 == CONTROL_PLANE);
        both_kubeadms_are_content(answer);
    }
    let plane = world.machine(CONTROL_PLANE);
    assert_eq!(plane.folder.read("kubelet-version"), before);
    assert!(
        plane
            .calls_of("kubeadm", &["upgrade", "apply"])
            .iter()
            .all(|call| call.is("kubeadm", &["--dry-run"]))
    );

    for (sequence, kind) in [(1, UnitKind::Snapshot), (2, UnitKind::Prepare)] {
        let order = UnitOrder {
            node: target(plane),
            kind,
            token: token(sequence),
            target: Version::new(1, 36, 3),
            generation: 1,
            manifests: LookedAt::default(),
            proof: proof(sequence),
        };
        let ssh = &ssh;
        start_once_free(&world, ssh, &order).await;
        let ledger = &LedgerOrder { node: order.node.clone(), token: order.token.clone() };
        let (code, report, output) = world
            .wait_for("the unit to end", 60, || async move {
                Ok(match read_ledger(ssh, ledger).await {
                    Ok(Progress::Ended { code, report, output, .. }) => Some((code, report, output)),
                    _ => None,
                })
            })
            .await;
        assert_eq!(code, 0, "{output}");
        if kind == UnitKind::Snapshot {
            let get = |key: &str| report.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
            assert!(
                get("hash").is_some() && get("size_bytes").and_then(|size| size.parse().ok()) > Some(1_000)
            );
            let path = get("path").and_then(|path| path.strip_prefix("/var/lib/")).unwrap();
            assert!(plane.var_lib(path).exists());
        }
    }
    assert_eq!(plane.folder.read("kubelet-version"), before, "nothing was disturbed");
}

/// Sends a unit. The one before has written its end and may not have let the node go yet.
async fn start_once_free(world: &World, ssh: &Ssh, order: &UnitOrder) {
    let start = || async move {
        let clearance = Clearance {
            proof: Some(&order.proof),
            began: Instant::now(),
            settings: &world.settings,
            leads: &|| true,
            is_revoked: &|| false,
        };
        let started = start_unit(ssh, order, clearance).await;
        let is_busy = started.as_ref().is_err_and(|finding| finding.reason == Reason::NodeBusy);
        Ok((!is_busy).then_some(started))
    };
    let started = world.wait_for("the node to be free", 10, start).await;
    started.unwrap_or_else(|finding| panic!("{finding}"));
}

async fn the_run(world: &World) -> UpgradeRun {
    let namespaces = &["k8s-upgrade".to_owned()];
    let runs = now::runs(&world.kube, namespaces, Duration::from_secs(5)).await;
    let runs = runs.unwrap_or_else(|error| panic!("{error}"));
    runs.into_iter().next().expect("the run was created")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_the_api_server_pruned_is_not_called_kept() {
    let world = small_world().await;
    world.create_run("r", json!({"target": "v1.36.3"})).await.unwrap();
    let status = json!({"schemaVersion": 1, "phase": "Waiting", "sequence": 3});
    let mut status: UpgradeRunStatus = serde_json::from_value(status).unwrap();
    let run = the_run(&world).await;
    store::keep(&world.kube, &run, &status).await.unwrap();
    let again = store::keep(&world.kube, &run, &status).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "over the version before: {again:?}");

    let definitions: Api<CustomResourceDefinition> = Api::all(world.kube.clone());
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/sequence";
    let mut definition =
        serde_json::to_value(definitions.get("upgraderuns.lockkeeper.dev").await.unwrap()).unwrap();
    let properties = definition.pointer_mut(path.trim_end_matches("/sequence")).unwrap();
    properties.as_object_mut().unwrap().remove("sequence").expect("the schema has the field");
    let older: CustomResourceDefinition = serde_json::from_value(definition).unwrap();
    definitions.replace("upgraderuns.lockkeeper.dev", &PostParams::default(), &older).await.unwrap();

    // The API server takes the older schema a moment later; every write until then is kept whole.
    let field = wait_for("the older schema to prune", Duration::from_secs(30), || {
        status.sequence += 1;
        let (status, world) = (status.clone(), &world);
        async move {
            match store::keep(&world.kube, &the_run(world).await, &status).await {
                Err(StoreError::Pruned(field)) => Ok(Some(field)),
                Ok(()) | Err(StoreError::Conflict) => Ok(None),
                Err(error) => Err(error.into()),
            }
        }
    })
    .await
    .unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!(field, "status.sequence");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_one_leads_and_the_next_has_a_higher_generation() {
    let world = small_world().await;
    let replicas = ["a", "b"].map(|name| Leader::new(world.kube.clone(), "k8s-upgrade", name, 6));
    let stops = [(); 2].map(|()| Arc::new(tokio::sync::Notify::new()));
    let keepers = [0, 1].map(|i| {
        let (leader, stop) = (replicas[i].clone(), Arc::clone(&stops[i]));
        tokio::spawn(async move { leader.keep(stop.notified()).await })
    });
    // Watched at every look, so that a moment of two leaders in the tests' course is seen.
    let leading = || {
        let leading = [replicas[0].generation(), replicas[1].generation()];
        assert!(leading.iter().flatten().count() < 2, "two lead: {leading:?}");
        leading
    };
    let wait_for_leader = |other_than: Option<usize>| {
        wait_for("a leader", Duration::from_secs(30), move || {
            let leading = leading();
            let found = [0, 1].into_iter().find(|&i| leading[i].is_some() && Some(i) != other_than);
            async move { Ok(found.and_then(|i| leading[i].map(|generation| (i, generation)))) }
        })
    };
    let (first, generation) = wait_for_leader(None).await.unwrap();
    // As SIGKILL would: nothing is given back.
    keepers[first].abort();
    let (second, next) = wait_for_leader(Some(first)).await.unwrap();
    assert!(second != first && next > generation, "{next} after {generation}");
    assert_eq!(replicas[first].generation(), None);
    wait_for("the Lease to be the second's", Duration::from_secs(10), || async {
        Ok((replicas[second].held().await == Held::Ours).then_some(()))
    })
    .await
    .unwrap();
    stops[second].notify_one();
    wait_for("the Lease to be given back", Duration::from_secs(20), || async {
        Ok((replicas[second].held().await == Held::NotOurs(String::new())).then_some(()))
    })
    .await
    .unwrap();
}
