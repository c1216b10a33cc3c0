//! Nodes that are changed over SSH: what they say of themselves, and the units that are started on them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockkeeper_rules::cluster::snapshot::CONTROL_PLANE;
use lockkeeper_rules::driver::kubeadm::manifests::{Change, Changes};
use lockkeeper_rules::driver::kubeadm::order::{
    LedgerOrder, NodeTarget, RestoreOrder, SurveyOrder, UnitKind, UnitOrder,
};
use lockkeeper_rules::driver::kubeadm::reading::{
    KubeadmSurvey, ManifestFile, ManifestSurvey, NodeSurvey, Packages,
};
use lockkeeper_rules::driver::looked::Looked;
use lockkeeper_rules::driver::order::Read;
use lockkeeper_rules::driver::reading::Sight;
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::ReadBack;
use lockkeeper_rules::words::name::{NodeName, Token};

use super::Simulated;

pub(super) struct Unit {
    pub(super) order: UnitOrder,
    /// Until then it is on its way; one that comes too late is refused.
    pub(super) started_at: Timestamp,
    pub(super) refused_for: Option<Reason>,
    pub(super) ends_at: Timestamp,
    pub(super) code: i32,
    pub(super) applied: bool,
}

impl Simulated {
    pub(super) fn restore(&mut self, order: &RestoreOrder) -> Result<(), Finding> {
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

    pub(super) fn read_ledger(&mut self, order: &LedgerOrder) {
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

    pub(super) fn survey(&mut self, order: &SurveyOrder, at: Timestamp) {
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

    pub(super) fn newest_sequence(&self, node: &NodeName) -> u64 {
        let of_node = self.units.iter().filter(|unit| unit.order.node.name == *node);
        of_node.map(|unit| unit.order.token.sequence).max().unwrap_or(0)
    }

    pub(super) fn packages(&self, node: &NodeName) -> Packages {
        if self.prepare_is_in_vain || self.prepares_of(&node.0) == 0 {
            Packages::Missing
        } else if self.cleared.as_ref() == Some(&node.0) {
            Packages::Unfetched
        } else {
            Packages::Ready
        }
    }

    /// The manifests as they lie on a node: what people have changed is in each of them.
    pub(super) fn manifest_files(&self, node: &NodeName) -> Vec<ManifestFile> {
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
    pub(super) fn is_changed_since(&self, order: &UnitOrder) -> bool {
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

    pub(super) fn start(&mut self, order: &UnitOrder) {
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

    pub(super) fn reading(&self, node: &NodeName, token: &Token) -> Progress {
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
