//! What becomes of a command, and what is learnt of it. What only a driver orders is in `kubeadm` and `jobs`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockkeeper_rules::driver::order::{Look, PutBack, Read, Start};
use lockkeeper_rules::gate::{CheckOrder, CheckResult};
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::{Acted, Command, EvictOrder, VolumesRead};

use super::{Learnt, Simulated};

impl Simulated {
    /// What is known for whom the command is that is carried out.
    pub(super) fn learnt(&mut self) -> &mut Learnt {
        self.memory.learnt.entry(self.at_work.clone()).or_default()
    }

    pub(super) fn perform(&mut self, command: Command) {
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

    pub(super) fn evict(&mut self, order: &EvictOrder) -> Vec<Finding> {
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

    pub(super) fn check(&mut self, order: &CheckOrder, started_at: Timestamp) {
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
