//! The checks: one file each, with its table of cases. A new one is a file and a row of `TABLE` in `table.rs`.

mod accept;
mod addons;
mod cgroup;
mod cloud_controller_skew;
mod control_plane_skew;
mod disruption_budgets;
mod driver;
mod etcd;
mod flags;
mod kernel;
mod kube_proxy_skew;
mod kubelet_skew;
mod matrix;
mod offered;
mod path;
mod removed_apis;
mod risks;
mod runtime;
mod stored_versions;
mod table;
mod target;
mod volume_plugins;
mod webhooks;

use jiff::Timestamp;

pub use addons::{Way, addon_workloads, not_covered, way};
pub use table::CHECK_IDS;
pub(crate) use table::questions;
use table::{Definition, TABLE};

use std::collections::BTreeMap;

use super::{Case, Check, Evidence, Recognised, Status};
use crate::cluster::snapshot::{ApiServer, CONTROL_PLANE, Node, Role, Source, StaticPod, Unusable};
use crate::facts::Part;
use crate::reason::{Finding, Reason};
use crate::words::version::{Minor, Version, VersionError};

/// How old what kubelets say may be: they are asked anew every ten minutes, and may miss twice.
const KUBELET_AGE_SECONDS_MAX: u64 = 1_800;
/// How old the polled sources may be. They are asked once a minute and speak of weeks; one that fails says so at once,
/// and this is for one that is not asked any more.
const POLLED_AGE_SECONDS_MAX: u64 = 300;
/// What kubeadm writes every kubelet's configuration from.
const KUBELET_CONFIG_MAP: &str = "ConfigMap kube-system/kubelet-config";
/// What kubeadm starts every kube-proxy from.
const KUBE_PROXY_CONFIG_MAP: &str = "ConfigMap kube-system/kube-proxy";
/// What kubeadm keeps of the cluster.
const KUBEADM_CONFIG_MAP: &str = "ConfigMap kube-system/kubeadm-config";
/// How many nodes are named in one note.
const NAMED_MAX: usize = 5;
/// How many notes a check of many things tells.
const NOTES_MAX: usize = 40;

/// What a check may look at.
pub(super) struct Facts<'a> {
    pub(super) target: Result<Version, VersionError>,
    pub(super) case: &'a Case<'a>,
}

/// What a check says, built only through its constructors so that nothing passes without evidence.
pub(super) struct Outcome {
    status: Status,
    evidence: Vec<Evidence>,
    findings: Vec<Finding>,
    /// The class of each finding.
    classes: Vec<Status>,
    notes: Vec<Finding>,
    /// In a box, which keeps it small where it is the error of a result.
    recognised: Box<[Recognised]>,
}

impl Outcome {
    /// Nothing is in the way, as `first` and `rest` show.
    fn pass(first: Evidence, rest: impl IntoIterator<Item = Evidence>) -> Self {
        let evidence = std::iter::once(first).chain(rest).collect();
        Self::found(Status::Pass, evidence, [Vec::new(), Vec::new(), Vec::new()])
    }

    /// With what is good to know and in nobody's way.
    fn noting(self, notes: Vec<Finding>) -> Self {
        Self { notes, ..self }
    }

    /// With what was recognised.
    fn recognising(self, mut recognised: Vec<Recognised>) -> Self {
        recognised.sort_unstable();
        Self { recognised: recognised.into(), ..self }
    }

    /// Something could not be read.
    fn unknown(finding: Finding) -> Self {
        Self::found(Status::Unknown, Vec::new(), [Vec::new(), Vec::new(), vec![finding]])
    }

    /// Whatever stands in the way or could not be read of the many things that a check looks at: unknown if one of them
    /// is, else blocked, as for whole verdicts. All of it is told.
    fn judge(first: Evidence, rest: Vec<Evidence>, blockers: Vec<Finding>, unknowns: Vec<Finding>) -> Self {
        Self::weigh(first, rest, [blockers, Vec::new(), unknowns])
    }

    /// The same, with what can only be waited for: unknown, else held, else blocked.
    fn weigh(first: Evidence, rest: Vec<Evidence>, [blockers, holds, unknowns]: [Vec<Finding>; 3]) -> Self {
        let status = match (unknowns.is_empty(), holds.is_empty(), blockers.is_empty()) {
            (true, true, true) => return Self::pass(first, rest),
            (false, _, _) => Status::Unknown,
            (true, false, _) => Status::Hold,
            (true, true, false) => Status::Block,
        };
        let evidence = std::iter::once(first).chain(rest).collect();
        Self::found(status, evidence, [blockers, holds, unknowns])
    }

    fn found(status: Status, evidence: Vec<Evidence>, by_class: [Vec<Finding>; 3]) -> Self {
        let classes = [Status::Block, Status::Hold, Status::Unknown].into_iter();
        let each =
            classes.zip(by_class).flat_map(|(class, found)| found.into_iter().map(move |it| (class, it)));
        let (classes, findings) = each.unzip();
        Self { status, evidence, findings, classes, notes: Vec::new(), recognised: Box::default() }
    }

    fn into_check(self, of: &Definition) -> Check {
        let Self { status, evidence, findings, classes, notes, recognised } = self;
        let Definition { id, scope, concerns, is_final, source, asks: _, check: _ } = *of;
        Check {
            id,
            status,
            scope,
            concerns,
            source,
            evidence,
            findings,
            classes,
            notes,
            recognised: recognised.into_vec(),
            is_final,
        }
    }

    /// A block stands, whatever else could not be read: for a check that is final.
    fn whatever_else(self, is_blocked: bool) -> Self {
        if is_blocked { Self { status: Status::Block, ..self } } else { self }
    }
}

/// What stands against one of many things that a check judges.
enum Against {
    Nothing,
    /// It is good to know, and in nobody's way.
    Note(Finding),
    Blocks(Finding),
    Unknown(Finding),
}

/// Makes every check.
pub(super) fn all(facts: &Facts<'_>) -> Vec<Check> {
    let make = |definition: &Definition| (definition.check)(facts).into_check(definition);
    TABLE.iter().map(make).collect()
}

impl Facts<'_> {
    /// The target, or the outcome of a check that needs one.
    fn version(&self) -> Result<&Version, Outcome> {
        self.target
            .as_ref()
            .map_err(|error| Outcome::unknown(Finding::new(Reason::TargetNotAVersion, "", error.to_string())))
    }

    /// What is known of versions with its evidence, or why it cannot be used.
    fn known<'a, T>(&self, part: &'a Part<T>) -> Result<(&'a T, Evidence), Finding> {
        let age_seconds = part.age_seconds(self.case.now);
        Ok((part.fresh(self.case.now)?, Evidence { source: "matrix", count: 1, age_seconds }))
    }

    /// Judges each node by itself by what is known of versions. No node is no answer.
    fn each_node<T>(&self, part: &Part<T>, against: impl Fn(&Node, &T) -> Against) -> Outcome {
        let read = self.state("nodes", &self.case.snapshot.nodes);
        let read = read.and_then(|(nodes, read)| Ok((nodes, read, self.known(part)?)));
        let (nodes, nodes_read, (facts, known)) = match read {
            Ok(read) => read,
            Err(finding) => return Outcome::unknown(finding),
        };
        let (mut blockers, mut unknowns, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        if nodes.is_empty() {
            unknowns.push(Finding::new(Reason::NoNodes, "nodes", "the list is empty"));
        }
        for node in nodes {
            match against(node, facts) {
                Against::Nothing => {}
                Against::Note(finding) => notes.push(finding),
                Against::Blocks(finding) => blockers.push(finding),
                Against::Unknown(finding) => unknowns.push(finding),
            }
        }
        Outcome::judge(nodes_read, vec![known], blockers, unknowns).noting(together(notes))
    }

    /// A source of the cluster's state with its evidence, or why it cannot be used.
    fn state<'a, T>(
        &self,
        name: &'static str,
        source: &'a Source<Vec<T>>,
    ) -> Result<(&'a [T], Evidence), Finding> {
        let value = usable(name, source, self.case.now, self.case.settings.state_age_seconds_max)?;
        let age_seconds = source.age_seconds(self.case.now).unwrap_or_default();
        Ok((value, Evidence { source: name, count: value.len(), age_seconds }))
    }
}

/// What is noted of many nodes in the same words, as one note that names some of them.
fn together(notes: Vec<Finding>) -> Vec<Finding> {
    let mut nodes: BTreeMap<(Reason, String), Vec<String>> = BTreeMap::new();
    for Finding { reason, subject, detail, words: _ } in notes {
        nodes.entry((reason, detail)).or_default().push(subject);
    }
    let one = |((reason, detail), mut nodes): ((Reason, String), Vec<String>)| {
        nodes.sort_unstable();
        let more = nodes.len().saturating_sub(NAMED_MAX);
        nodes.truncate(NAMED_MAX);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        Finding::new(reason, format!("{}{rest}", nodes.join(", ")), detail)
    };
    nodes.into_iter().map(one).collect()
}

fn usable<'a, T>(
    name: &'static str,
    source: &'a Source<T>,
    now: Timestamp,
    age_seconds_max: u64,
) -> Result<&'a T, Finding> {
    source.fresh(now, age_seconds_max).map_err(|why| {
        let reason = match why {
            Unusable::Unreadable(_) => Reason::SourceUnreadable,
            Unusable::Stale { .. } => Reason::SourceStale,
        };
        why.finding(reason, name)
    })
}

/// The kubelet of a control plane that a vendor brings in its own way: all of its nodes have one of theirs (where none of
/// them is seen, all nodes have), and nothing of it is kubeadm's. Where it is not known whether kubeadm keeps a configuration,
/// nothing is left to a vendor.
fn vendors_kubelet<'a>(facts: &Facts<'_>, nodes: &'a [Node], pods: &[StaticPod]) -> Option<&'a Version> {
    let config = facts.case.inventory.kubeadm_config.as_ref();
    let age_seconds_max = facts.case.settings.state_age_seconds_max;
    let config = config.map(|read| usable("kubeadm_config", read, facts.case.now, age_seconds_max));
    let has_none = matches!(config, Some(Ok(None)));
    if !has_none || pods.iter().any(|pod| CONTROL_PLANE.contains(&&*pod.component)) {
        return None;
    }
    let control_plane: Vec<&Node> = nodes.iter().filter(|node| node.role == Role::ControlPlane).collect();
    let judged = if control_plane.is_empty() { nodes.iter().collect() } else { control_plane };
    let kubelets =
        judged.iter().map(|node| node.kubelet_version.as_ref().ok().filter(|it| it.vendor().is_some()));
    kubelets.collect::<Option<Vec<_>>>()?.into_iter().next()
}

/// What is not looked at there: the vendor brings it in its own way, and no run of ours touches it (the check of the driver).
fn left_to_vendor(subject: &str, kubelet: &Version) -> Finding {
    Finding::new(Reason::ControlPlaneOfVendor, subject, format!("its kubelets are {kubelet}"))
}

/// The oldest API server of now: nothing that talks to API servers may be newer.
fn oldest_server(servers: &[ApiServer], unknowns: &mut Vec<Finding>) -> Option<Minor> {
    unknowns.extend(servers.iter().filter_map(|server| {
        server.version.as_ref().err().map(|written| unreadable_version(&server.name, written))
    }));
    let oldest = servers.iter().filter_map(|server| server.version.as_ref().ok()).map(Version::minor).min();
    if oldest.is_none() {
        let detail = "no API server's version is known";
        unknowns.push(Finding::new(Reason::SourceUnreadable, "api_servers", detail));
    }
    oldest
}

/// A version that is not one: a finding about who runs it.
fn unreadable_version(component: &str, written: &str) -> Finding {
    Finding::new(Reason::SourceUnreadable, component, format!("its version cannot be read: {written:?}"))
}

#[cfg(test)]
pub(super) mod tests;
