//! A cluster that exists only in memory, with a clock of its own.

#![expect(unreachable_pub, reason = "a module of one test")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockkeeper_rules::api::{Retry, SilenceRecord, UpgradeRun, UpgradeRunSpec, UpgradeRunStatus};
use lockkeeper_rules::cluster::snapshot::{
    ApiServer, CONTROL_PLANE, Node, Role, Snapshot, Source, StaticPod,
};
use lockkeeper_rules::drain::{AttachedVolume, Budget, Controller, Place, Pod, PodPhase, Taint};
use lockkeeper_rules::driver::Driver;
use lockkeeper_rules::driver::kubeadm::KubeadmSettings;
use lockkeeper_rules::driver::kubeadm::manifests::{Change, Changes};
use lockkeeper_rules::driver::kubeadm::order::{
    LedgerOrder, NodeTarget, RestoreOrder, SurveyOrder, UnitKind, UnitOrder,
};
use lockkeeper_rules::driver::kubeadm::reading::{
    KubeadmSurvey, ManifestFile, ManifestSurvey, NodeSurvey, Packages,
};
use lockkeeper_rules::driver::looked::Looked;
use lockkeeper_rules::driver::order::{Look, PutBack, Read, Start};
use lockkeeper_rules::driver::reading::Sight;
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::facts::Accepts;
use lockkeeper_rules::gate::{CheckOrder, LockView};
use lockkeeper_rules::gate::{CheckResult, Permit};
use lockkeeper_rules::invariant::{self, Context};
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::{
    Acted, Active, Checked, Command, Decision, EvictOrder, Known, Needs, Observed, Order, Position, ReadBack,
    Shown, State, VolumesRead, Work, decide, needs, outlook, status,
};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::verdict::{self, Conclusion, Verdict};
use lockkeeper_rules::words::name::{NodeName, Token};
use lockkeeper_rules::words::version::Version;

pub mod jobs;

use jobs::Jobs;

/// How often things go wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    pub crash_percent: u64,
    pub gate_closed_percent: u64,
    pub lost_answer_percent: u64,
    pub conflict_percent: u64,
    pub unit_fails_percent: u64,
}

struct Unit {
    order: UnitOrder,
    /// Until then it is on its way; one that comes too late is refused.
    started_at: Timestamp,
    refused_for: Option<Reason>,
    ends_at: Timestamp,
    code: i32,
    applied: bool,
}

/// What one process knows, with the moments instead of ages.
#[derive(Default)]
struct Memory {
    silences: Option<Vec<SilenceRecord>>,
    permit: Option<Permit>,
    nodes_finished: Vec<Timestamp>,
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

    pub fn state(&self) -> State {
        State::parse(self.run.status.as_ref(), &self.run.uid).unwrap()
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state().position, Position::Succeeded { .. })
    }

    pub fn halted(&self) -> Option<String> {
        match self.state().position {
            Position::Halted(it) => Some(it.finding.reason.code().to_owned()),
            _ => None,
        }
    }

    /// What the run and its running steps wait for, each with the time since when.
    pub fn held(&self) -> Vec<(Finding, Timestamp)> {
        let state = self.state();
        state.holds.into_iter().chain(state.running.into_iter().flat_map(|it| it.holds)).collect()
    }

    /// The oldest of the steps that run.
    pub fn running(&self) -> Option<Active> {
        self.state().running.into_iter().next().map(|it| it.active)
    }

    pub fn holds(&self) -> Vec<String> {
        self.held().iter().map(|(finding, _)| finding.reason.code().to_owned()).collect()
    }

    /// As the actuator does when a message says that a gate fires.
    pub fn forget_check(&mut self) {
        self.memory.learnt.values_mut().for_each(|learnt| learnt.check = None);
    }

    pub fn retry_what_halted(&mut self) {
        let Position::Halted(it) = self.state().position else { panic!("not halted") };
        self.run.spec.retry = vec![Retry { step: it.step.to_string(), attempt: it.attempt }];
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

    /// The nodes that no pod may come to.
    pub fn out_of_service(&self) -> Vec<&str> {
        self.nodes.values().filter(|node| node.unschedulable).map(|node| node.name.0.as_str()).collect()
    }

    /// A pod that takes the place of one that had to leave, and finds no node.
    pub fn leave_a_pod_pending(&mut self) {
        let pod = Pod {
            node: None,
            phase: PodPhase::Pending,
            ready: false,
            created_at: Some(self.now),
            ..pod("w-9", 9)
        };
        self.pods.push((pod, None));
    }

    /// It finds one after all.
    pub fn schedule_what_is_pending(&mut self, name: &str) {
        for pod in self.pods_mut().filter(|pod| pod.node.is_none()) {
            (pod.node, pod.phase, pod.ready) = (Some(name.into()), PodPhase::Running, true);
        }
    }

    fn lock(&self) -> LockView {
        match (self.lock_is_anothers, self.lock_is_ours) {
            (true, _) => LockView::Other { holder: "another/run".to_owned() },
            (false, true) => LockView::Ours,
            (false, false) => LockView::Free,
        }
    }

    /// Somebody puts a finalizer on every pod of a node, or takes it off: its drain comes to no end meanwhile.
    pub fn keep_pods_of(&mut self, node: &str, keeps: bool) {
        let on_it = self
            .pods
            .iter()
            .map(|(pod, _)| pod)
            .filter(|pod| pod.node.as_ref().is_some_and(|it| it.0 == node));
        let names: Vec<String> = on_it.map(|pod| pod.name.clone()).collect();
        for name in names {
            self.keep_pod(&name, keeps.then_some("example.com/kept"));
        }
    }

    pub fn crash_now(&mut self) {
        self.memory = Memory::default();
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn cordon_by_hand(&mut self, name: &str) {
        self.nodes.get_mut(name).unwrap().unschedulable = true;
        self.cordons_before.insert(name.to_owned());
    }

    pub fn uncordon_by_hand(&mut self, name: &str) {
        self.nodes.get_mut(name).unwrap().unschedulable = false;
        self.cordons_before.remove(name);
    }

    /// As a person does who has looked at a node that the run holds: uncordoned, and our annotation taken off.
    pub fn give_back_by_hand(&mut self, name: &str) {
        let node = self.nodes.get_mut(name).unwrap();
        (node.unschedulable, node.cordoned_by) = (false, None);
    }

    /// The pods as they are now, to be made others.
    pub fn pods_mut(&mut self) -> impl Iterator<Item = &mut Pod> {
        self.pods.iter_mut().map(|(pod, _)| pod)
    }

    /// Somebody puts a finalizer on a pod, or takes it off; one that is being deleted is then gone.
    pub fn keep_pod(&mut self, name: &str, finalizer: Option<&str>) {
        let now = self.now;
        let (pod, gone) = self.pods.iter_mut().find(|(pod, _)| pod.name == name).unwrap();
        pod.finalizers = finalizer.into_iter().map(str::to_owned).collect();
        if pod.deleting && pod.finalizers.is_empty() {
            gone.get_or_insert(now);
        }
    }

    /// Somebody deletes a node, and it is gone.
    pub fn delete_node(&mut self, name: &str) {
        self.nodes.remove(name);
        self.pods.retain(|(pod, _)| pod.node.as_ref().is_none_or(|node| node.0 != name));
    }

    /// Somebody deletes a node, and a finalizer keeps it for now.
    pub fn is_being_deleted(&mut self, name: &str) {
        self.nodes.get_mut(name).unwrap().deleting = true;
    }

    pub fn upgrade_by_hand(&mut self, name: &str) {
        self.nodes.get_mut(name).unwrap().kubelet_version = Ok(TO.parse().unwrap());
    }

    /// As an earlier run, or a person with kubeadm, leaves a control-plane node.
    pub fn upgrade_whole_by_hand(&mut self, name: &str) {
        self.upgrade_by_hand(name);
        self.servers.insert(name.to_owned(), TO.parse().unwrap());
    }

    /// A worker that comes into the cluster with a pod.
    pub fn join(&mut self, name: &str) {
        self.nodes.insert(name.to_owned(), node(name, Role::Worker, self.now));
        self.pods.push((pod(name, 0), None));
    }

    /// A pod that comes to a node, cordoned or not.
    pub fn bind_pod(&mut self, node: &str) {
        self.pods.push((pod(node, 7), None));
    }

    /// Another machine takes the place of a node, under its name.
    pub fn replace(&mut self, name: &str) {
        let role = self.nodes[name].role;
        let new = Node { uid: "uid-new".to_owned(), ..node(name, role, self.now) };
        self.nodes.insert(name.to_owned(), Node { machine_id: "machine-new".to_owned(), ..new });
        self.installed.remove(name);
    }

    pub fn set_machine_id(&mut self, name: &str, machine_id: &str) {
        self.nodes.get_mut(name).unwrap().machine_id = machine_id.to_owned();
    }

    pub fn set_address(&mut self, name: &str, address: &str) {
        self.nodes.get_mut(name).unwrap().internal_ips = vec![address.to_owned()];
    }

    pub fn change_node(&mut self, name: &str, change: impl FnOnce(&mut Node)) {
        change(self.nodes.get_mut(name).unwrap());
    }

    pub fn set_ready(&mut self, name: &str, ready: bool) {
        self.nodes.get_mut(name).unwrap().ready = ready;
    }

    /// A replica of the actuator on a node; nothing starts it again elsewhere.
    pub fn run_replica(&mut self, node: &str, ready: bool) {
        let label = ("app.kubernetes.io/name".to_owned(), "lockkeeper-actuator".to_owned());
        self.pods.push((Pod { ready, labels: BTreeMap::from([label]), ..pod(node, 9) }, None));
    }

    pub fn pods_on(&self, name: &str) -> usize {
        self.pods.iter().filter(|(pod, _)| pod.node.as_ref().is_some_and(|node| node.0 == name)).count()
    }

    pub fn is_unschedulable(&self, name: &str) -> bool {
        self.nodes[name].unschedulable
    }

    pub fn stage(&self) -> Option<&'static str> {
        stage_of(&self.running()?)
    }

    pub fn cordons_tried(&self) -> usize {
        self.cordons_tried
    }

    pub fn version_of(&self, name: &str) -> String {
        self.nodes[name].kubelet_version.as_ref().unwrap().to_string()
    }

    /// Whether a unit that upgrades this node has been sent.
    pub fn is_sent(&self, name: &str) -> bool {
        let is_upgrade = |kind| matches!(kind, UnitKind::UpgradeFirst | UnitKind::UpgradeNode);
        self.units.iter().any(|u| u.order.node.name.0 == name && is_upgrade(u.order.kind))
    }

    pub fn is_snapshot_sent(&self) -> bool {
        self.units.iter().any(|unit| unit.order.kind == UnitKind::Snapshot)
    }

    pub fn upgrades_of(&self, name: &str) -> usize {
        let is_upgrade = |kind| matches!(kind, UnitKind::UpgradeFirst | UnitKind::UpgradeNode);
        self.units
            .iter()
            .filter(|u| u.order.node.name.0 == name && is_upgrade(u.order.kind))
            .filter(|u| u.code == 0 && u.refused_for.is_none())
            .count()
    }

    pub fn prepares_of(&self, name: &str) -> usize {
        let is_it = |unit: &&Unit| {
            unit.order.kind == UnitKind::Prepare && unit.order.node.name.0 == name && unit.code == 0
        };
        self.units.iter().filter(is_it).count()
    }

    pub fn assert_upgraded_once_each(&self) {
        for name in self.nodes.keys() {
            assert_eq!(self.version_of(name), self.run.spec.target, "{name}");
            assert_eq!(self.upgrades_of(name), 1, "upgrades of {name}");
        }
        let firsts = self.units.iter().filter(|unit| unit.order.kind == UnitKind::UpgradeFirst).count();
        assert_eq!(firsts, 1, "one `upgrade apply` for the whole cluster");
    }

    pub fn run_to_the_end(&mut self) {
        for _ in 0..40_000 {
            if self.is_over() && !self.lock_is_ours {
                let cordons: BTreeSet<String> =
                    self.nodes.values().filter(|n| n.unschedulable).map(|n| n.name.0.clone()).collect();
                assert_eq!(cordons, self.cordons_before, "the cordons after are the cordons before");
                assert!(self.nodes.values().all(|n| n.cordoned_by.is_none()));
                return;
            }
            // Where what is sent is lost often enough, a run gives up, and rightly so; a person tries again.
            let gave_up = self.halted().as_deref() == Some("attempts_exhausted");
            if gave_up && self.faults.lost_answer_percent > 0 {
                self.retry_what_halted();
            } else {
                assert_eq!(self.halted(), None, "{:?}", self.state().position);
            }
            self.turn();
        }
        panic!("no end after 40000 turns: {:?} holds {:?}", self.state().position, self.held());
    }

    pub fn turns(&mut self, count: usize) {
        for _ in 0..count {
            if self.is_over() || self.halted().is_some() {
                return;
            }
            self.turn();
        }
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

    fn snapshot(&self) -> Snapshot {
        let long_ago = self.now - SignedDuration::from_hours(1);
        let pods = self.servers.iter().flat_map(|(node, version)| {
            ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"].map(|component| {
                StaticPod {
                    component: component.to_owned(),
                    node: NodeName(node.clone()),
                    version: Ok(version.clone()),
                    flags: Ok(std::collections::BTreeMap::new()),
                    ready: match component {
                        "etcd" => self.unready_etcd.as_ref() != Some(node),
                        _ => self.unready_static_pods.as_ref() != Some(node),
                    },
                    ready_since: Some(long_ago),
                }
            })
        });
        let servers = self.servers.iter().map(|(name, version)| ApiServer {
            name: name.clone(),
            version: Ok(if self.servers_are_ahead { TO.parse().unwrap() } else { version.clone() }),
            ready: true,
        });
        Snapshot {
            nodes: Source::read(self.nodes.values().cloned().collect(), self.now),
            static_pods: Source::read(pods.collect(), self.now),
            api_servers: Source::read(servers.collect(), self.now),
            runs: Source::read(vec![self.run.clone()], self.now),
            ..Snapshot::unread()
        }
    }

    fn place(&self, node: &Node) -> Place {
        Place {
            node: node.name.clone(),
            ready: node.ready,
            unschedulable: node.unschedulable,
            deleting: node.deleting,
            labels: BTreeMap::new(),
            taints: self.taints.get(&node.name.0).cloned().into_iter().collect(),
        }
    }

    fn known(&self, step: Option<&Token>) -> Known {
        let age = |at: Timestamp| Duration::try_from(self.now.duration_since(at)).unwrap_or_default();
        let known = Known {
            silences: self.memory.silences.clone(),
            nodes_finished_ago: self.memory.nodes_finished.iter().copied().map(age).collect(),
            ..Known::default()
        };
        let Some(learnt) = self.memory.learnt.get(&step.cloned()) else { return known };
        Known {
            check: learnt.check.clone().map(|result| Checked { age: age(result.started_at), result }),
            read: learnt.read.clone().map(|(read, at)| ReadBack { age: age(at), ..read }),
            volumes: learnt.volumes.clone().map(|(read, at)| VolumesRead { age: age(at), ..read }),
            looked: learnt.looked.clone().map(|(looked, at)| Looked { age: age(at), ..looked }),
            act: learnt.act.clone().map(|(acted, at)| Acted { age: age(at), ..acted }),
            failed: learnt.failed.clone().map(|(acted, at)| Acted { age: age(at), ..acted }),
            ..known
        }
    }

    pub fn turn(&mut self) {
        if self.crash() {
            return;
        }
        let state = self.state();
        self.send_webhook(&state);
        let turn = self.decide(&state);
        if self.chance(self.faults.conflict_percent) {
            return self.pass(Duration::from_millis(100));
        }
        let changes = |order: &Order| {
            matches!(order.command, Command::Cordon(_) | Command::Evict(_) | Command::Start(_))
        };
        if turn.0.orders.iter().any(changes) {
            // Only a status that differs is stored, over the version of the run that was read for this turn.
            assert_ne!(
                self.run.status.as_ref(),
                Some(&turn.1),
                "a pause of the last second would not be seen"
            );
        }
        self.note(&state, &turn.0.state);
        self.run.status = Some(turn.1);
        if self.crash() {
            return;
        }
        if turn.0.orders.is_empty() {
            self.pass(turn.0.pause.max(Duration::from_millis(10)));
        }
        let running = self.state().active().map(|it| Some(it.token.clone())).collect::<Vec<_>>();
        self.memory.learnt.retain(|step, _| step.is_none() || running.contains(step));
        for Order { step, command } in turn.0.orders {
            self.at_work = step;
            self.perform(command);
        }
    }

    /// Alertmanager, which repeats itself every half minute.
    fn send_webhook(&mut self, state: &State) {
        let Position::Waiting(it) = &state.position else { return };
        let is_new =
            |p: &Permit| p.token != it.token || self.now.duration_since(p.granted_at).as_secs() >= 30;
        if self.now >= it.not_before && !self.gate_is_shut && self.memory.permit.as_ref().is_none_or(is_new) {
            self.memory.permit = Some(Permit { token: it.token.clone(), granted_at: self.now });
        }
    }

    fn decide(&self, state: &State) -> (Decision, UpgradeRunStatus) {
        let (snapshot, known) = (self.snapshot(), self.known(None));
        let steps = state.active().map(|it| (it.token.clone(), self.known(Some(&it.token)))).collect();
        let mut pods: Vec<Pod> = self.pods.iter().map(|(pod, _)| pod.clone()).collect();
        if let Needs::PodsOn(nodes) = needs(state, &self.run) {
            pods.retain(|pod| pod.node.as_ref().is_some_and(|node| nodes.contains(node)));
        }
        let (pods, budgets) = (Source::read(pods, self.now), Source::read(self.budgets.clone(), self.now));
        let places = Source::read(self.nodes.values().map(|node| self.place(node)).collect(), self.now);
        let standing = self.standing(&snapshot, Verdict::for_run);
        let for_next = self.standing(&snapshot, Verdict::for_next);
        let kubeadm = || Driver::kubeadm(&self.run.spec.target, &self.kubeadm);
        let driver = self.jobs.as_ref().map_or_else(kubeadm, |jobs| Driver::Job(jobs.driver()));
        let observed = Observed {
            run: &self.run,
            snapshot: &snapshot,
            verdict: &standing,
            verdict_for_next: &for_next,
            accepts: &self.accepts,
            pods: Some(&pods),
            budgets: Some(&budgets),
            places: Some(&places),
            lock: &self.lock(),
            permit: self.memory.permit.as_ref(),
            alert_path: &[],
            known: &known,
            steps: &steps,
            under_way: &[],
            generation: 1,
            nonce: &format!("{:016x}", self.random),
            own_node: self.own_node.as_ref(),
            settings: &self.settings,
            driver: &driver,
        };
        let turn = decide(state, &observed, self.now);
        let (next, progress) = outlook(&turn.state, &observed, self.now);
        let shown = Shown {
            previous: self.run.status.as_ref(),
            generation: 1,
            next: &next,
            progress: &progress,
            ending: self.run.deleting,
        };
        let stored = status(&turn.state, &shown, self.now);
        assert_eq!(
            State::parse(Some(&stored), &self.run.uid).as_ref(),
            Ok(&turn.state),
            "what is stored is what is read"
        );
        for Order { step, command } in &turn.orders {
            self.ask_the_checker(command, &snapshot, &self.known(step.as_ref()));
        }
        (turn, stored)
    }

    /// What stands against what is left of the run, as the actuator asks it.
    fn standing(
        &self,
        snapshot: &Snapshot,
        of: fn(&Verdict, &UpgradeRun, &Snapshot) -> Verdict,
    ) -> Vec<Finding> {
        let mut findings = self.verdict.clone();
        if self.storage_is_locked_while_a_node_is_out && self.nodes.values().any(|node| node.unschedulable) {
            findings.push(Finding::new(Reason::PdbMayMove, "rook-ceph/rook-ceph-osd-host-other", ""));
        }
        let status = if findings.is_empty() { verdict::Status::Pass } else { verdict::Status::Block };
        let check = verdict::Check {
            id: "disruption_budgets",
            status,
            scope: verdict::Scope::Node,
            source: "",
            evidence: Vec::new(),
            classes: vec![status; findings.len()],
            findings,
            notes: Vec::new(),
            recognised: Vec::new(),
            concerns: verdict::Concerns::Compatibility,
            is_final: false,
        };
        let driver = verdict::Check {
            id: "driver",
            status: verdict::Status::Pass,
            concerns: verdict::Concerns::Driver,
            classes: Vec::new(),
            findings: Vec::new(),
            ..check.clone()
        };
        let target = self.run.spec.target.clone();
        let whole = Verdict {
            target,
            verdict: Conclusion::Blocked,
            computed_at: self.now,
            checks: vec![check, driver],
        };
        of(&whole, &self.run, snapshot).allows(self.now, &self.settings).err().unwrap_or_default()
    }

    fn ask_the_checker(&self, command: &Command, snapshot: &Snapshot, known: &Known) {
        let context = Context {
            run: &self.run.uid,
            target: &self.run.spec.target.parse().unwrap(),
            workers_max: self.run.spec.workers.concurrency,
            skip: &self.run.spec.skip,
            snapshot,
            known,
            own_node: self.own_node.as_ref(),
            settings: &self.settings,
        };
        assert_eq!(invariant::check(&context, command, self.now), [], "{command:?}");
    }

    fn note(&mut self, before: &State, after: &State) {
        let is_new = |it: &&Active| before.active().all(|was| was.token != it.token);
        for active in after.active().filter(is_new) {
            let Position::Waiting(waiting) = &before.position else { panic!("{} did not wait", active.step) };
            assert_eq!(waiting.token, active.token);
            self.permits_consumed += 1;
            self.memory.permit = None;
            self.started.push(active.step.to_string());
        }
        if after.nodes_done > before.nodes_done {
            self.memory.nodes_finished.push(self.now);
        }
        let stage = after.active().next().and_then(stage_of);
        if stage.is_some() && stage == self.close_gate_when {
            self.gate_is_shut = true;
        } else if self.close_gate_when == Some("drain") && matches!(after.position, Position::Waiting(_)) {
            self.gate_is_shut = false;
        }
        let has_unit = self.units.iter().any(|u| u.order.kind == UnitKind::UpgradeFirst);
        if stage.is_some() && stage == self.delete_when && (stage != Some("mutate") || has_unit) {
            self.run.deleting = true;
        }
    }

    /// What is known for whom the command is that is carried out.
    fn learnt(&mut self) -> &mut Learnt {
        self.memory.learnt.entry(self.at_work.clone()).or_default()
    }

    fn perform(&mut self, command: Command) {
        self.pass(Duration::from_millis(300));
        let started_at = self.now;
        self.pass(Duration::from_millis(200));
        self.learnt().failed = None;
        if self.refused.is_some_and(|name| format!("{command:?}").starts_with(name)) {
            self.refused_count += 1;
            let findings = vec![Finding::new(Reason::ApiUnreachable, "", "denied by a webhook")];
            let now = self.now;
            self.learnt().failed = Some((Acted { command, age: Duration::ZERO, findings }, now));
            return;
        }
        let mut refused = Vec::new();
        match &command {
            Command::TakeLock => self.lock_is_ours = true,
            Command::ReleaseLock => self.lock_is_ours = false,
            Command::HandOver => self.own_node = None,
            Command::AddFinalizer => self.run.has_finalizer = true,
            Command::RemoveFinalizer => self.run.has_finalizer = false,
            Command::Check(order) => self.check(order, started_at),
            Command::Look(Look::Kubeadm(order)) => self.survey(order, started_at),
            Command::Start(Start::Kubeadm(order)) => self.start(order),
            Command::PutBack(PutBack::Kubeadm(order)) => refused.extend(self.restore(order).err()),
            Command::Read(Read::Kubeadm(order)) => self.read_ledger(order),
            Command::Create(_)
            | Command::Look(Look::Job(_))
            | Command::Start(Start::Job(_))
            | Command::PutBack(PutBack::Job(_))
            | Command::Read(Read::Job(_)) => self.perform_job(&command, started_at),
            Command::ReadVolumes(node) => {
                let unknown = || Finding::new(Reason::ApiUnreachable, "volumeattachments", "403");
                let attached = self.attached.get(&node.0).cloned().unwrap_or_default();
                let result = if self.volumes_are_unreadable { Err(unknown()) } else { Ok(attached) };
                let read = VolumesRead { node: node.clone(), age: Duration::ZERO, result };
                self.learnt().volumes = Some((read, started_at));
            }
            Command::Cordon(order) if self.cordons_are_refused => {
                self.cordons_tried += 1;
                let findings =
                    vec![Finding::new(Reason::NodeChanged, order.node.0.clone(), "denied by a webhook")];
                let now = self.now;
                self.learnt().act = Some((Acted { command, age: Duration::ZERO, findings }, now));
                return;
            }
            Command::Cordon(order) => {
                let node = self.nodes.get_mut(&order.node.0).unwrap();
                assert!(!node.unschedulable);
                node.unschedulable = true;
                node.cordoned_by = Some(order.token.to_string());
            }
            Command::Uncordon(order) => {
                let node = self.nodes.get_mut(&order.node.0).unwrap();
                assert_eq!(node.cordoned_by.as_ref(), Some(&order.annotation));
                node.unschedulable = false;
                node.cordoned_by = None;
            }
            Command::Evict(order) => refused.extend(self.evict(order)),
        }
        if is_mutation(&command) {
            let now = self.now;
            self.learnt().act = Some((Acted { command, age: Duration::ZERO, findings: refused }, now));
        }
    }

    fn evict(&mut self, order: &EvictOrder) -> Vec<Finding> {
        let mut refused = Vec::new();
        let gone_at = self.now + SignedDuration::from_secs(2);
        for (pod, gone) in self.pods.iter_mut().filter(|(pod, _)| order.pods.iter().any(|p| p.uid == pod.uid))
        {
            assert!(self.nodes[&order.node.0].unschedulable, "a pod left a node that was in service");
            if self.evictions_are_refused || self.refused_pod.as_ref() == Some(&pod.name) {
                refused.push(Finding::new(Reason::PdbBlocked, pod.name.clone(), ""));
                continue;
            }
            pod.deleting = true;
            if pod.finalizers.is_empty() {
                gone.get_or_insert(gone_at);
            }
        }
        refused
    }

    fn restore(&mut self, order: &RestoreOrder) -> Result<(), Finding> {
        let name = &order.node.name.0;
        let refused = |reason| Err(Finding::new(reason, name.clone(), ""));
        let units = || self.units.iter().filter(|unit| unit.order.node.name.0 == *name);
        assert!(units().all(|unit| unit.order.token.sequence < order.token.sequence), "{order:?}");
        let is_upgrade = |kind| matches!(kind, UnitKind::UpgradeFirst | UnitKind::UpgradeNode);
        let has_begun = units().any(|unit| is_upgrade(unit.order.kind) && unit.refused_for.is_none());
        assert!(!has_begun, "the source of {name} is its own");
        let is_at_work = |unit: &Unit| unit.started_at <= self.now && self.now < unit.ends_at;
        if self.unreachable.as_ref() == Some(name) {
            return refused(Reason::SshUnreachable);
        }
        if units().any(|unit| unit.refused_for.is_none() && is_at_work(unit)) {
            return refused(Reason::NodeBusy);
        }
        if self.sources.changed.as_ref() == Some(name) {
            return refused(Reason::SourceNotRestored);
        }
        // Whatever is still on its way comes behind this token.
        for unit in self.units.iter_mut().filter(|unit| unit.order.node.name.0 == *name) {
            if self.now < unit.started_at {
                unit.refused_for = Some(Reason::StateWentBackwards);
            }
        }
        self.sources.switched.remove(name);
        self.sources.restored.push(name.clone());
        if self.chance(self.faults.lost_answer_percent) {
            return Err(Finding::new(Reason::SshUnreachable, name.clone(), ""));
        }
        Ok(())
    }

    fn read_ledger(&mut self, order: &LedgerOrder) {
        let is_away = self.unreachable.as_ref() == Some(&order.node.name.0);
        let result = if is_away || self.chance(self.faults.lost_answer_percent) {
            Err(Finding::new(Reason::SshUnreachable, order.node.name.0.clone(), ""))
        } else {
            Ok(self.reading(&order.node.name, &order.token))
        };
        let read = ReadBack { order: Read::Kubeadm(order.clone()), age: Duration::ZERO, result };
        let now = self.now;
        self.learnt().read = Some((read, now));
    }

    fn check(&mut self, order: &CheckOrder, started_at: Timestamp) {
        let slow = self.slow_when.filter(|(stage, _)| self.stage() == Some(stage)).map(|(_, takes)| takes);
        self.pass(slow.unwrap_or(self.check_takes));
        let is_shut = self.gate_is_shut || self.chance(self.faults.gate_closed_percent);
        let mut findings =
            if is_shut { vec![Finding::new(Reason::GateFiring, "Site", "")] } else { Vec::new() };
        let unready = self.nodes.values().filter(|node| !node.ready && !order.exempt.contains(&node.name));
        findings.extend(unready.map(|node| Finding::new(Reason::NodeNotReady, node.name.0.clone(), "")));
        self.memory.silences = self.silences.clone().or(self.memory.silences.take());
        self.learnt().check =
            Some(CheckResult { token: order.token.clone(), form: order.form, started_at, findings });
    }

    fn survey(&mut self, order: &SurveyOrder, at: Timestamp) {
        let agrees = || KubeadmSurvey { agrees: true, output: String::new() };
        let manifests = |name: &NodeName| {
            let runs = self.servers[&name.0].to_string();
            let installed = self.installed.get(&name.0).cloned().unwrap_or(runs);
            let changes = self.changed_by_hand.get(&name.0).cloned().unwrap_or_default();
            let changes = Changes::new(changes);
            let files = self.manifest_files(name);
            let changes = if self.kubeadm_fails { Err("exit code 1".to_owned()) } else { Ok(changes) };
            let inputs = Some(self.inputs.clone());
            ManifestSurvey { written: installed.clone(), installed, files, inputs, changes }
        };
        let asks = |name: &NodeName| order.manifests_on.contains(name);
        let survey = |node: &NodeTarget| NodeSurvey {
            machine_id: node.machine_id.clone(),
            booted_at: at - SignedDuration::from_hours(100),
            clock_off_seconds: 0,
            disk_free_mib: 100_000,
            disk_place: "/var/lib".to_owned(),
            ledger_sequence: self.newest_sequence(&node.name),
            patches_missing: self.without_patches.as_ref() == Some(&node.name.0),
            lacking: Vec::new(),
            packages: order.with_packages.then(|| self.packages(&node.name)),
            kubeadm: (order.kubeadm_on.as_ref() == Some(&node.name)).then(agrees),
            manifests: asks(&node.name).then(|| manifests(&node.name)),
        };
        let answer = |node: &NodeTarget| {
            if self.unreachable.as_ref() == Some(&node.name.0) {
                return Err(Finding::new(Reason::SshUnreachable, node.name.0.clone(), "refused"));
            }
            let mut said = survey(node);
            if let Some((_, make_odd)) = self.odd.as_ref().filter(|(name, _)| *name == node.name.0) {
                make_odd(&mut said);
            }
            Ok(Sight::Kubeadm(Box::new(said)))
        };
        let nodes = order.nodes.iter().map(|node| (node.name.clone(), answer(node))).collect();
        self.learnt().looked = Some((Looked { at, age: Duration::ZERO, nodes }, at));
        for name in &order.manifests_on {
            *self.manifests_asked.entry(name.0.clone()).or_default() += 1;
        }
    }

    fn newest_sequence(&self, node: &NodeName) -> u64 {
        let of_node = self.units.iter().filter(|unit| unit.order.node.name == *node);
        of_node.map(|unit| unit.order.token.sequence).max().unwrap_or(0)
    }

    fn packages(&self, node: &NodeName) -> Packages {
        if self.prepare_is_in_vain || self.prepares_of(&node.0) == 0 {
            Packages::Missing
        } else if self.cleared.as_ref() == Some(&node.0) {
            Packages::Unfetched
        } else {
            Packages::Ready
        }
    }

    /// The manifests as they lie on a node: what people have changed is in each of them.
    fn manifest_files(&self, node: &NodeName) -> Vec<ManifestFile> {
        let Some(tag) = self.servers.get(&node.0).map(ToString::to_string) else { return Vec::new() };
        let changes = Changes::new(self.changed_by_hand.get(&node.0).cloned().unwrap_or_default());
        let by_hand = changes.digest().unwrap_or_default();
        let line = |component: &str| Change {
            file: component.to_owned(),
            comes: true,
            line: format!("{tag} {by_hand}"),
        };
        let file = |component: &str| ManifestFile {
            component: component.to_owned(),
            sha256: Changes::new(vec![line(component)]).digest().unwrap(),
            tag: tag.clone(),
        };
        let is_there = |file: &ManifestFile| self.without_manifest.as_ref() != Some(&file.component);
        CONTROL_PLANE.map(file).into_iter().filter(is_there).collect()
    }

    /// Whether the node would refuse to let kubeadm write, as somebody has changed a manifest or a patch since it was looked at.
    fn is_changed_since(&self, order: &UnitOrder) -> bool {
        let files = self.manifest_files(&order.node.name);
        if !files.is_empty() && order.manifests.inputs.as_ref() != Some(&self.inputs) {
            return true;
        }
        let is_as_before = |file: &ManifestFile| {
            order.manifests.files.get(&file.component).is_some_and(|looked_at| {
                *looked_at == file.sha256
                    || (file.tag == order.target.to_string()
                        && order.manifests.version.as_ref() != Some(&order.target))
            })
        };
        !files.iter().all(is_as_before)
    }

    fn start(&mut self, order: &UnitOrder) {
        if self.units_never_start {
            return;
        }
        if self.chance(self.faults.lost_answer_percent) {
            return;
        }
        let is_seen =
            self.units.iter().any(|u| u.order.token == order.token && u.order.node.name == order.node.name);
        if is_seen {
            return;
        }
        if order.kind == UnitKind::Prepare {
            self.cleared.take_if(|name| *name == order.node.name.0);
        }
        let is_upgrade = matches!(order.kind, UnitKind::UpgradeFirst | UnitKind::UpgradeNode);
        assert!(!is_upgrade || self.pods_on(&order.node.name.0) == 0, "a unit went to a node with pods");
        let is_changed = is_upgrade && self.is_changed_since(order);
        let fails = is_upgrade && self.failing_node.as_ref() == Some(&order.node.name.0);
        let code = i32::from(fails || self.chance(self.faults.unit_fails_percent));
        let started_at = self.now + SignedDuration::try_from(self.units_take).unwrap();
        let not_after = order.proof.checked_at
            + SignedDuration::from_secs(self.settings.unit_begin_seconds_max().try_into().unwrap());
        let refused_for = if started_at > not_after {
            Some(Reason::CheckExpired)
        } else if is_upgrade
            && let Some((_, why)) = self.refusing.take_if(|(name, _)| *name == order.node.name.0)
        {
            Some(why)
        } else {
            is_changed.then_some(Reason::ManifestsUnknown)
        };
        let ends_at = started_at + SignedDuration::from_secs(10);
        if is_upgrade && refused_for.is_none() {
            // Whatever becomes of the rest, kubeadm is the first thing that is installed.
            self.installed.insert(order.node.name.0.clone(), order.target.to_string());
        }
        self.units.push(Unit {
            order: order.clone(),
            started_at,
            refused_for,
            ends_at,
            code,
            applied: false,
        });
    }

    fn reading(&self, node: &NodeName, token: &Token) -> Progress {
        let unit = self.units.iter().find(|u| u.order.token == *token && u.order.node.name == *node);
        match unit {
            None => Progress::Unseen,
            Some(unit) if self.now < unit.started_at => Progress::Unseen,
            Some(Unit { refused_for: Some(reason), .. }) => Progress::Refused(*reason),
            Some(unit) if self.now < unit.ends_at => Progress::Started { at: unit.started_at, alive: true },
            Some(unit) => Progress::Ended {
                code: unit.code,
                at: unit.ends_at,
                report: [
                    ("path", "/var/lib/lockkeeper/s.db"),
                    ("size_bytes", "42"),
                    ("hash", "abc"),
                    ("source_switched", if self.sources.prepare_switches { "yes" } else { "no" }),
                ]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .to_vec(),
                output: String::new(),
            },
        }
    }
}

fn is_mutation(command: &Command) -> bool {
    matches!(
        command,
        Command::Create(_)
            | Command::Start(_)
            | Command::PutBack(_)
            | Command::Cordon(_)
            | Command::Uncordon(_)
            | Command::Evict(_)
    )
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
