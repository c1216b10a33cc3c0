//! What a turn sees: the cluster, the verdict, and what this process has learnt.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockkeeper_rules::api::UpgradeRun;
use lockkeeper_rules::cluster::snapshot::{ApiServer, Node, Snapshot, Source, StaticPod};
use lockkeeper_rules::drain::{Budget, Place, Pod};
use lockkeeper_rules::driver::looked::Looked;
use lockkeeper_rules::gate::LockView;
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::{Acted, Checked, Known, Needs, ReadBack, VolumesRead};
use lockkeeper_rules::verdict::{self, Conclusion, Verdict};
use lockkeeper_rules::words::name::{NodeName, Token};

use super::{Simulated, TO};

/// The pods, the budgets and the places that a turn has asked for.
type Asked = (Option<Source<Vec<Pod>>>, Option<Source<Vec<Budget>>>, Option<Source<Vec<Place>>>);

impl Simulated {
    pub(super) fn lock(&self) -> LockView {
        match (self.lock_is_anothers, self.lock_is_ours) {
            (true, _) => LockView::Other { holder: "another/run".to_owned() },
            (false, true) => LockView::Ours,
            (false, false) => LockView::Free,
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
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

    pub(super) fn place(&self, node: &Node) -> Place {
        Place {
            node: node.name.clone(),
            ready: node.ready,
            unschedulable: node.unschedulable,
            deleting: node.deleting,
            labels: BTreeMap::new(),
            taints: self.taints.get(&node.name.0).cloned().into_iter().collect(),
        }
    }

    pub fn known(&self, step: Option<&Token>) -> Known {
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

    /// What a turn asks for, and no more.
    pub(super) fn read(&self, needs: &Needs) -> Asked {
        let pods = |is_asked_for: &dyn Fn(&Pod) -> bool| {
            let pods = self.pods.iter().map(|(pod, _)| pod).filter(|pod| is_asked_for(pod));
            Some(Source::read(pods.cloned().collect(), self.now))
        };
        match needs {
            Needs::Nothing => (None, None, None),
            Needs::PodsOn(nodes) => {
                (pods(&|pod| pod.node.as_ref().is_some_and(|node| nodes.contains(node))), None, None)
            }
            Needs::AllPods => (pods(&|_| true), None, None),
            Needs::AllPodsBudgetsAndPlaces => {
                let places = self.nodes.values().map(|node| self.place(node)).collect();
                let budgets = Source::read(self.budgets.clone(), self.now);
                (pods(&|_| true), Some(budgets), Some(Source::read(places, self.now)))
            }
        }
    }

    /// What stands against what is left of the run, as the actuator asks it.
    pub(super) fn standing(
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
}
