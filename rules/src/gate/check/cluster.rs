//! The rows about the cluster itself, as the API server shows it, and about what is still ours.

use jiff::Timestamp;

use super::{Check, seconds};
use crate::api::UpgradeRun;
use crate::cluster::snapshot::{ApiServer, Node, Source};
use crate::gate::Held;
use crate::gate::LockView;
use crate::reason::Reason;
use crate::words::name::NodeName;
use crate::words::version::Version;

impl<'a> Check<'a> {
    pub(super) fn cluster(&mut self) {
        self.ownership();
        let cluster = &self.answers.cluster;
        if let Some(nodes) = self.fresh(&cluster.nodes, "nodes") {
            if nodes.is_empty() {
                self.found(Reason::NoNodes, "nodes", "the list is empty");
            }
            for node in nodes {
                self.node(node);
            }
        }
        if let Some(leases) = self.fresh(&cluster.controller_leases, "controller leases") {
            for lease in leases {
                self.lease(Reason::ControllerLeaseStale, &lease.name, lease.renewed_at);
            }
        }
        if let Some(servers) = self.fresh(&cluster.api_servers, "API servers") {
            self.api_servers(servers);
        }
        if let Some(runs) = self.fresh(&cluster.runs, "runs") {
            self.run(runs);
        }
    }

    pub(super) fn fresh<T>(&mut self, source: &'a Source<T>, what: &str) -> Option<&'a T> {
        match source.fresh(self.now, self.settings.check_seconds_max) {
            Ok(value) => Some(value),
            Err(error) => {
                self.findings.push(error.finding(Reason::ApiUnreachable, what));
                None
            }
        }
    }

    fn ownership(&mut self) {
        match &self.answers.lease {
            Held::Ours => {}
            Held::NotOurs(holder) => self.found(Reason::LeadershipLost, "lease", holder),
            Held::Unreadable(why) => self.found(Reason::ApiUnreachable, "lease", why),
        }
        match &self.answers.lock {
            LockView::Ours => {}
            LockView::Free => self.found(Reason::LockLost, "cluster lock", "nobody holds it"),
            LockView::Other { holder } => {
                self.found(Reason::LockLost, "cluster lock", format!("{holder} holds it"))
            }
            LockView::Unknown(why) => self.found(Reason::LockUnreadable, "cluster lock", why),
        }
    }

    pub(super) fn is_exempt(&self, name: &NodeName) -> bool {
        self.order.exempt.contains(name)
    }

    /// Ready by itself does not expire while kube-controller-manager is down: the Lease does.
    fn node(&mut self, node: &Node) {
        if self.is_exempt(&node.name) {
            return;
        }
        if !node.ready {
            self.found(Reason::NodeNotReady, &node.name.0, "its Ready condition is not True");
        }
        if !node.pressures.is_empty() {
            self.found(Reason::NodePressure, &node.name.0, format!("it reports {:?}", node.pressures));
        }
        self.lease(Reason::NodeLeaseStale, &node.name.0, node.lease_renewed_at);
    }

    fn lease(&mut self, reason: Reason, subject: &str, renewed_at: Option<Timestamp>) {
        let age_max = seconds(self.settings.lease_age_seconds_max);
        match renewed_at.map(|at| self.now.duration_since(at)) {
            None => self.found(reason, subject, "it has no renewal"),
            // A renewal from far in the future proves nothing: its writer's clock is wrong.
            Some(age) if age > age_max || age < -age_max => {
                self.counted(reason, subject, "renewed {} s ago", &[&age.as_secs()]);
            }
            Some(_) => {}
        }
    }

    fn api_servers(&mut self, servers: &[ApiServer]) {
        if servers.is_empty() {
            self.found(Reason::ApiUnreachable, "API servers", "the list is empty");
        }
        for server in
            servers.iter().filter(|server| !self.is_exempt(&server.name.as_str().into())).collect::<Vec<_>>()
        {
            if !server.ready {
                self.found(Reason::ControlPlaneNotReady, &server.name, "its /readyz is not ok");
            }
        }
    }

    /// Nothing runs that the run did not plan for, and before a node is touched there is a verified snapshot.
    fn run(&mut self, runs: &[UpgradeRun]) {
        let uid = &self.order.token.run.0;
        let Some(run) = runs.iter().find(|run| run.uid == *uid) else {
            self.found(Reason::StatusMalformed, uid, "the run of this token is not there");
            return;
        };
        match run.spec.target.parse() {
            Ok(target) => self.versions(&target),
            Err(error) => self.found(Reason::VersionUnexpected, "spec.target", format!("{error}")),
        }
        let phase = self.order.step.phase();
        let needs_snapshot = phase.is_of_node() && phase.is_after_snapshot();
        let snapshot = run.status.as_ref().and_then(|status| status.snapshot.as_ref());
        if needs_snapshot && snapshot.is_none() {
            self.found(Reason::SnapshotMissing, &run.name, "status.snapshot is empty");
        }
    }

    /// A node that lags is what the run is for, and the verdict's to judge; one that is ahead is somebody's doing.
    fn versions(&mut self, target: &Version) {
        let cluster = &self.answers.cluster;
        let nodes = cluster.nodes.value.iter().flatten().filter(|node| !self.is_exempt(&node.name));
        let kubelets = nodes.map(|node| (node.name.0.as_str(), &node.kubelet_version));
        let servers = cluster.api_servers.value.iter().flatten();
        let servers = servers.filter(|server| !self.is_exempt(&server.name.as_str().into()));
        let servers = servers.map(|server| (server.name.as_str(), &server.version));
        for (name, version) in kubelets.chain(servers).collect::<Vec<_>>() {
            match version {
                Ok(version) if version <= target => {}
                Ok(version) => {
                    self.found(Reason::VersionUnexpected, name, format!("{version} is newer than {target}"))
                }
                Err(text) => self.found(Reason::VersionUnexpected, name, format!("it says {text:?}")),
            }
        }
    }
}
