//! What tests look at: where the run stands, and what has become of the nodes.

use jiff::Timestamp;
use lockkeeper_rules::driver::kubeadm::order::UnitKind;
use lockkeeper_rules::reason::Finding;
use lockkeeper_rules::run::{Active, Position, State};

use super::{Simulated, Unit, stage_of};

impl Simulated {
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

    /// The nodes that no pod may come to.
    pub fn out_of_service(&self) -> Vec<&str> {
        self.nodes.values().filter(|node| node.unschedulable).map(|node| node.name.0.as_str()).collect()
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
}
