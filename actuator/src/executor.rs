//! Carries one command out and remembers how it went. It chooses nothing: the independent checker may only refuse.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use lockkeeper_exporter::client::kubernetes::Cluster;
use lockkeeper_rules::api::UpgradeRun;
use lockkeeper_rules::cluster::snapshot::Snapshot;
use lockkeeper_rules::gate::CheckOrder;
use lockkeeper_rules::invariant::{self, Context};
use lockkeeper_rules::notice::News;
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::Command;
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::words::name::{NodeName, RunUid};

use crate::channel::Channels;
use crate::decision_log::DecisionLog;
use crate::driver::{self, kubeadm::Ssh};
use crate::execute::{Clearance, cordon, evict, uncordon};
use crate::leader::Leader;
use crate::live_check::LiveCheck;
use crate::lock::{self, Holder};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::reader::ByName;
use crate::store;

/// What carries commands out.
#[derive(Debug)]
pub struct Executor {
    /// The API server.
    pub cluster: Arc<Cluster>,
    /// The live check.
    pub live_check: LiveCheck,
    /// How nodes are reached over SSH.
    pub ssh: Ssh,
    /// Whether we still lead, asked right before each mutation.
    pub leader: Leader,
    /// The decision log.
    pub log: DecisionLog,
    /// Our own metrics.
    pub metrics: Arc<Metrics>,
    /// Where people are told what happens.
    pub channels: Channels,
    /// The thresholds.
    pub settings: Arc<Settings>,
    /// When this process began.
    pub started: Instant,
    /// The node that this process runs on.
    pub own_node: Option<NodeName>,
}

impl Executor {
    /// Carries a command out. Says whether it went well; what went wrong is remembered and logged.
    pub async fn perform(
        &self,
        command: &Command,
        run: &UpgradeRun,
        snapshot: &Snapshot,
        generation: u64,
        memory: &mut Memory,
    ) -> bool {
        if let Err(finding) = self.may(command, run, snapshot, generation, memory) {
            if self.log.end(command, std::slice::from_ref(&finding)) {
                self.channels.notify(run, News::CommandRefused(finding.clone()));
            }
            remember(memory, command, std::slice::from_ref(&finding));
            return false;
        }
        if let Command::Check(order) = command {
            self.check(order, run, snapshot, memory).await;
            return true;
        }
        self.log.begin(command);
        let findings = self.act(command, run, generation, memory).await;
        self.log.end(command, &findings);
        let done = findings.is_empty();
        remember(memory, command, &findings);
        done
    }

    /// The last word before anything is done: do we still lead, and does the checker agree?
    fn may(
        &self,
        command: &Command,
        run: &UpgradeRun,
        snapshot: &Snapshot,
        generation: u64,
        memory: &Memory,
    ) -> Result<(), Finding> {
        if self.leader.generation() != Some(generation) {
            return Err(Finding::new(Reason::LeadershipLost, "", ""));
        }
        let now = Timestamp::now();
        let known = memory.known(now);
        let Ok(target) = run.spec.target.parse() else {
            // Whatever needs a target is never asked for without one; putting back needs none.
            return Ok(());
        };
        let context = Context {
            run: &run.uid,
            target: &target,
            workers_max: run.spec.workers.concurrency,
            topology_key: run.spec.workers.topology_key.as_deref(),
            skip: &run.spec.skip,
            snapshot,
            known: &known,
            own_node: self.own_node.as_ref(),
            settings: &self.settings,
        };
        match invariant::check(&context, command, now).first() {
            None => Ok(()),
            Some(violation) => Err(Finding::new(Reason::InvariantViolated, "", violation.to_string())),
        }
    }

    async fn check(&self, order: &CheckOrder, run: &UpgradeRun, snapshot: &Snapshot, memory: &mut Memory) {
        let lock = |holder: &Holder| holder.seen_from(&run.uid, snapshot);
        let (timed, silences) = self.live_check.ask(order, lock).await;
        self.log.check(&timed.result);
        self.metrics.checked(&timed.result);
        memory.checked(timed, silences);
    }

    async fn act(
        &self,
        command: &Command,
        run: &UpgradeRun,
        generation: u64,
        memory: &mut Memory,
    ) -> Vec<Finding> {
        let client = &self.cluster.client;
        let leads = || self.leader.generation() == Some(generation);
        let check = memory.check();
        // A proof whose check is not remembered is as old as anything can be.
        let began = check.map_or(self.started, |timed| timed.began);
        let revocations = check.map(|timed| timed.revocations);
        // A pass may last for seconds, and a check is forgotten only between two of them.
        let is_revoked = || revocations != Some(self.live_check.revocations());
        let clearance = |proof| Clearance {
            proof,
            began,
            settings: &self.settings,
            leads: &leads,
            is_revoked: &is_revoked,
        };
        let one = |result: Result<(), Finding>| result.err().into_iter().collect();
        let stored = |result: Result<(), store::StoreError>| {
            one(result.map_err(|error| Finding::new(Reason::ApiUnreachable, "finalizers", error.to_string())))
        };
        match command {
            Command::Check(_) => Vec::new(),
            Command::HandOver => {
                self.leader.hand_over().await;
                Vec::new()
            }
            Command::TakeLock => one(lock::take(client, run, &self.settings.namespaces).await),
            Command::ReleaseLock => one(lock::release(client, run).await),
            Command::AddFinalizer => stored(store::add_finalizer(client, run).await),
            Command::RemoveFinalizer => stored(store::remove_finalizer(client, run).await),
            Command::Look(order) => {
                let at = Timestamp::now();
                let nodes = driver::look(&self.ssh, order, &RunUid(run.uid.clone())).await;
                memory.looked(at, nodes);
                Vec::new()
            }
            Command::Read(order) => {
                let asked = Instant::now();
                let result = driver::read(&self.ssh, order).await;
                let findings = result.as_ref().err().cloned().into_iter().collect();
                memory.read(order.clone(), result, asked);
                findings
            }
            Command::ReadVolumes(node) => {
                let asked = Instant::now();
                let unknown = |why| Finding::new(Reason::ApiUnreachable, format!("volumes of {node}"), why);
                let read = ByName(client).volumes_on(node).await;
                let result = read.newest().cloned().map_err(unknown);
                let findings = result.as_ref().err().cloned().into_iter().collect();
                memory.volumes_read(node.clone(), result, asked);
                findings
            }
            Command::Create(order) => one(driver::create(order)),
            Command::Start(order) => {
                one(driver::start(&self.ssh, order, clearance(Some(order.proof()))).await)
            }
            Command::PutBack(order) => one(driver::put_back(&self.ssh, order, clearance(None)).await),
            Command::Cordon(order) => one(cordon(client, order, clearance(Some(&order.proof))).await),
            Command::Uncordon(order) => one(uncordon(client, order, clearance(None)).await),
            Command::Evict(order) => evict(client, order, clearance(Some(&order.proof))).await,
        }
    }
}

fn remember(memory: &mut Memory, command: &Command, findings: &[Finding]) {
    if is_mutation(command) {
        memory.acted(command.clone(), findings.to_vec());
    }
    memory.ended(command, findings);
}

fn is_mutation(command: &Command) -> bool {
    matches!(
        command,
        Command::Create(_)
            | Command::Start(_)
            | Command::PutBack(_)
            | Command::Cordon(_)
            | Command::Evict(_)
            | Command::Uncordon(_)
    )
}
