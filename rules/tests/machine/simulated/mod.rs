//! A cluster that exists only in memory, with a clock of its own: `turn` takes the turns of a run, on what is `seen`, and
//! `perform` says what becomes of each command.

#![expect(unreachable_pub, reason = "a module of one test")]

mod inspect;
pub mod jobs;
mod kubeadm;
mod people;
mod perform;
mod seen;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockkeeper_rules::api::{SilenceRecord, UpgradeRun, UpgradeRunSpec};
use lockkeeper_rules::cluster::snapshot::{Node, Role};
use lockkeeper_rules::drain::{AttachedVolume, Budget, Controller, Pod, PodPhase, Taint};
use lockkeeper_rules::driver::kubeadm::KubeadmSettings;
use lockkeeper_rules::driver::kubeadm::manifests::Change;
use lockkeeper_rules::driver::kubeadm::order::UnitKind;
use lockkeeper_rules::driver::kubeadm::reading::NodeSurvey;
use lockkeeper_rules::driver::looked::Looked;
use lockkeeper_rules::driver::reading::Sight;
use lockkeeper_rules::facts::Accepts;
use lockkeeper_rules::gate::{CheckResult, Permit};
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::{Acted, Active, ReadBack, VolumesRead, Work};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::words::name::{NodeName, Token};
use lockkeeper_rules::words::version::Version;

use jobs::Jobs;
use kubeadm::Unit;

/// How often things go wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    pub crash_percent: u64,
    pub gate_closed_percent: u64,
    pub lost_answer_percent: u64,
    pub conflict_percent: u64,
    pub unit_fails_percent: u64,
}

/// What one process knows, with the moments instead of ages.
#[derive(Default)]
struct Memory {
    silences: Option<Vec<SilenceRecord>>,
    permit: Option<Permit>,
    nodes_finished: Vec<Timestamp>,
    /// The ids of the notices that every channel is through with.
    sent: BTreeSet<String>,
    /// What was learnt for each running step, and for the run itself.
    learnt: BTreeMap<Option<Token>, Learnt>,
}

#[derive(Default)]
struct Learnt {
    check: Option<CheckResult>,
    read: Option<(ReadBack, Timestamp)>,
    volumes: Option<(VolumesRead, Timestamp)>,
    looked: Option<(Looked<Sight>, Timestamp)>,
    act: Option<(Acted, Timestamp)>,
    failed: Option<(Acted, Timestamp)>,
}

/// What becomes of the nodes' sources of packages.
#[derive(Default)]
pub struct Sources {
    /// Prepare switches them, as for another minor.
    pub prepare_switches: bool,
    /// The nodes whose source is not as it was.
    pub switched: BTreeSet<String>,
    /// The nodes that have got it back, in order.
    pub restored: Vec<String>,
    /// Somebody has changed the source of this node after it was switched.
    pub changed: Option<String>,
}

pub struct Simulated {
    pub run: UpgradeRun,
    pub faults: Faults,
    pub started: Vec<String>,
    pub permits_consumed: usize,
    pub lock_is_ours: bool,
    /// Another run has taken the lock.
    pub lock_is_anothers: bool,
    pub close_gate_when: Option<&'static str>,
    /// What stands in the way by the verdict on the whole cluster.
    pub verdict: Vec<Finding>,
    /// A budget over pods of other nodes has no room while a node is out of service, as those of a storage do.
    pub storage_is_locked_while_a_node_is_out: bool,
    /// What the files of facts accept.
    pub accepts: Accepts,
    pub delete_when: Option<&'static str>,
    cordons_tried: usize,
    /// The API server refuses every command of this name.
    pub refused: Option<&'static str>,
    pub refused_count: usize,
    /// While a node's step is in this stage, live checks take so long.
    pub slow_when: Option<(&'static str, Duration)>,
    /// Every upgrade of this node fails.
    pub failing_node: Option<String>,
    /// How long a live check takes to be answered.
    pub check_takes: Duration,
    /// The API server refuses every cordon.
    pub cordons_are_refused: bool,
    /// The static pods of this node are not Ready.
    pub unready_static_pods: Option<String>,
    /// The member of etcd on this node is not Ready.
    pub unready_etcd: Option<String>,
    /// Whatever is sent to a node takes so long to begin there.
    pub units_take: Duration,
    /// Whatever is sent to a node is lost.
    pub units_never_start: bool,
    /// A budget refuses every eviction.
    pub evictions_are_refused: bool,
    /// The API servers answer at the target, and no kubelet shows it.
    pub servers_are_ahead: bool,
    /// The volumes that are attached to a node.
    pub attached: BTreeMap<String, Vec<AttachedVolume>>,
    /// Nobody may read what is attached.
    pub volumes_are_unreadable: bool,
    /// What preflight reads of budgets.
    pub budgets: Vec<Budget>,
    /// The taint of a node.
    pub taints: BTreeMap<String, Taint>,
    /// A budget refuses the eviction of this pod.
    pub refused_pod: Option<String>,
    /// What kubeadm is told.
    pub kubeadm: KubeadmSettings,
    /// The kubeadm that is installed on a node, where it is not the one of what runs there.
    pub installed: BTreeMap<String, String>,
    /// What was changed by hand in the manifests of a node.
    pub changed_by_hand: BTreeMap<String, Vec<Change>>,
    /// The installed kubeadm ends with an error.
    pub kubeadm_fails: bool,
    /// How often the installed kubeadm of each node was asked.
    pub manifests_asked: BTreeMap<String, usize>,
    /// The folder of kubeadm's patches is not on this node.
    pub without_patches: Option<String>,
    /// No prepare makes any node know the target.
    pub prepare_is_in_vain: bool,
    /// What a node says of itself, other than it should be.
    pub odd: Option<(String, MakeOdd)>,
    /// The hash of what kubeadm makes manifests of.
    pub inputs: String,
    /// The node on which what was fetched is cleared away, until it is prepared again.
    pub cleared: Option<String>,
    /// The node that refuses the next upgrade, and why.
    pub refusing: Option<(String, Reason)>,
    /// The node that SSH does not reach.
    pub unreachable: Option<String>,
    /// The sources of packages.
    pub sources: Sources,
    /// The component whose manifest is away.
    pub without_manifest: Option<String>,
    /// What live checks make of the silences; nothing where they cannot tell.
    pub silences: Option<Vec<SilenceRecord>>,
    /// The node that the leading replica runs on; handing over moves the lead outside.
    pub own_node: Option<NodeName>,
    now: Timestamp,
    random: u64,
    nodes: BTreeMap<String, Node>,
    servers: BTreeMap<String, Version>,
    pods: Vec<(Pod, Option<Timestamp>)>,
    units: Vec<Unit>,
    memory: Memory,
    /// For whom the command is that is carried out.
    at_work: Option<Token>,
    pub gate_is_shut: bool,
    cordons_before: BTreeSet<String>,
    settings: Settings,
    /// The Jobs of the cluster, where the nodes are changed by Jobs.
    pub jobs: Option<Jobs>,
}

/// What makes a node say something else of itself.
pub type MakeOdd = fn(&mut NodeSurvey);

const FROM: &str = "v1.36.1";
const TO: &str = "v1.36.3";
impl Simulated {
    pub fn new(control_planes: usize, workers: usize, seed: u64, faults: Faults) -> Self {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let names = (1..=control_planes).map(|n| (format!("cp-{n}"), Role::ControlPlane));
        let names = names.chain((1..=workers).map(|n| (format!("w-{n}"), Role::Worker)));
        let nodes: BTreeMap<String, Node> =
            names.map(|(name, role)| (name.clone(), node(&name, role, now))).collect();
        let pods = nodes.keys().flat_map(|name| (0..3).map(|n| (pod(name, n), None))).collect();
        let servers = nodes.values().filter(|n| n.role == Role::ControlPlane);
        let servers = servers.map(|n| (n.name.0.clone(), FROM.parse().unwrap())).collect();
        Self {
            run: new_run(now),
            faults,
            started: Vec::new(),
            permits_consumed: 0,
            lock_is_ours: false,
            lock_is_anothers: false,
            close_gate_when: None,
            verdict: Vec::new(),
            storage_is_locked_while_a_node_is_out: false,
            accepts: Accepts::default(),
            delete_when: None,
            cordons_tried: 0,
            refused: None,
            refused_count: 0,
            slow_when: None,
            failing_node: None,
            check_takes: Duration::ZERO,
            cordons_are_refused: false,
            unready_static_pods: None,
            unready_etcd: None,
            units_take: Duration::ZERO,
            units_never_start: false,
            evictions_are_refused: false,
            servers_are_ahead: false,
            attached: BTreeMap::new(),
            volumes_are_unreadable: false,
            budgets: Vec::new(),
            taints: BTreeMap::new(),
            refused_pod: None,
            kubeadm: KubeadmSettings::default(),
            installed: BTreeMap::new(),
            changed_by_hand: BTreeMap::new(),
            kubeadm_fails: false,
            manifests_asked: BTreeMap::new(),
            without_patches: None,
            prepare_is_in_vain: false,
            odd: None,
            inputs: "a".repeat(64),
            cleared: None,
            refusing: None,
            unreachable: None,
            sources: Sources::default(),
            without_manifest: None,
            silences: None,
            own_node: None,
            now,
            random: seed | 1,
            nodes,
            servers,
            pods,
            units: Vec::new(),
            memory: Memory::default(),
            at_work: None,
            gate_is_shut: false,
            cordons_before: BTreeSet::new(),
            settings: Settings { soak_seconds: 5, quiet_seconds: 0, ..Settings::default() },
            jobs: None,
        }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 100 < percent
    }

    /// As the actuator does when a message says that a gate fires.
    pub fn forget_check(&mut self) {
        self.memory.learnt.values_mut().for_each(|learnt| learnt.check = None);
    }

    /// Sets every clock. What is measured without one is as old as before; what was asked and granted is forgotten, as
    /// it is by whoever finds it in the future, or too old.
    pub fn set_clocks(&mut self, by: SignedDuration) {
        self.pass(Duration::ZERO);
        self.now += by;
        for unit in &mut self.units {
            unit.started_at += by;
            unit.ends_at += by;
        }
        self.pods.iter_mut().filter_map(|(_, gone_at)| gone_at.as_mut()).for_each(|at| *at += by);
        let memory = &mut self.memory;
        memory.permit = None;
        for learnt in memory.learnt.values_mut() {
            learnt.check = None;
            learnt.read.iter_mut().for_each(|(_, at)| *at += by);
            learnt.looked.iter_mut().for_each(|(_, asked)| *asked += by);
            learnt.volumes.iter_mut().for_each(|(_, at)| *at += by);
            learnt.act.iter_mut().chain(&mut learnt.failed).for_each(|(_, at)| *at += by);
        }
        memory.nodes_finished.iter_mut().for_each(|at| *at += by);
        self.pass(Duration::ZERO);
    }

    pub fn wait_for_quiet(&mut self, seconds: u64) {
        self.settings.quiet_seconds = seconds;
    }

    pub fn soak_for(&mut self, seconds: u64) {
        self.settings.soak_seconds = seconds;
    }

    pub fn give_up_after(&mut self, attempts: u32) {
        self.settings.attempts_max = attempts;
    }

    pub fn crash_now(&mut self) {
        self.memory = Memory::default();
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    fn crash(&mut self) -> bool {
        let crashes = self.chance(self.faults.crash_percent);
        if crashes {
            self.memory = Memory::default();
            self.pass(Duration::from_secs(3));
        }
        crashes
    }

    pub fn pass(&mut self, by: Duration) {
        self.now += SignedDuration::try_from(by).unwrap();
        let now = self.now;
        for node in self.nodes.values_mut() {
            node.lease_renewed_at = Some(now);
        }
        self.pods.retain(|(_, gone_at)| gone_at.is_none_or(|at| now < at));
        self.apply_jobs();
        for unit in
            self.units.iter_mut().filter(|u| !u.applied && u.refused_for.is_none() && u.ends_at <= now)
        {
            unit.applied = true;
            // A prepare that fails puts the source back itself.
            if self.sources.prepare_switches && unit.code == 0 && unit.order.kind == UnitKind::Prepare {
                self.sources.switched.insert(unit.order.node.name.0.clone());
            }
            if unit.code == 0 && matches!(unit.order.kind, UnitKind::UpgradeFirst | UnitKind::UpgradeNode) {
                // Its machine may outlive a node that somebody has deleted.
                let Some(node) = self.nodes.get_mut(&unit.order.node.name.0) else { continue };
                assert!(node.unschedulable, "a node was changed that was in service");
                node.kubelet_version = Ok(unit.order.target.clone());
                self.servers.entry(node.name.0.clone()).and_modify(|v| *v = unit.order.target.clone());
            }
        }
    }
}

fn new_run(now: Timestamp) -> UpgradeRun {
    UpgradeRun {
        namespace: "k8s-upgrade".to_owned(),
        name: "run".to_owned(),
        uid: "11111111-2222-4333-8444-555555555555".to_owned(),
        resource_version: "1".to_owned(),
        generation: 1,
        created_at: Some(now),
        deleting: false,
        has_finalizer: false,
        spec: UpgradeRunSpec { target: TO.to_owned(), ..UpgradeRunSpec::default() },
        status: None,
    }
}

/// The address of cp-1 is 127.0.1.1, that of w-1 127.0.2.1.
fn address_of(name: &str) -> String {
    let (kind, number) = name.split_once('-').expect("a name such as w-1");
    format!("127.0.{}.{number}", if kind == "cp" { 1 } else { 2 })
}

fn node(name: &str, role: Role, now: Timestamp) -> Node {
    Node {
        uid: format!("uid-{name}"),
        resource_version: "1".to_owned(),
        internal_ips: vec![address_of(name)],
        machine_id: format!("machine-{name}"),
        kubelet_version: Ok(FROM.parse().unwrap()),
        ready: true,
        lease_renewed_at: Some(now),
        ..Node::silent(name, role)
    }
}

fn pod(node: &str, number: usize) -> Pod {
    Pod {
        uid: format!("pod-uid-{number}-{node}"),
        node: Some(node.into()),
        phase: PodPhase::Running,
        controller: Some(Controller { kind: "ReplicaSet".to_owned(), name: "web".to_owned() }),
        ready: true,
        ..Pod::silent("default", &format!("pod-{number}-{node}"))
    }
}

/// The part of a node's step that is at work.
fn stage_of(it: &Active) -> Option<&'static str> {
    match &it.work {
        Work::OneNode(work) => Some(work.stage.name()),
        Work::Whole | Work::EveryNode { .. } => None,
    }
}
