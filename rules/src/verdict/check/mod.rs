//! The checks: one file each, with its table of cases. A new one is a file and a line in [`TABLE`].

mod accept;
mod addons;
mod cgroup;
mod control_plane_skew;
mod disruption_budgets;
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
mod target;
mod volume_plugins;
mod webhooks;

use jiff::Timestamp;

pub use addons::{Way, addon_workloads, not_covered, way};

use super::{Case, Check, Evidence, Scope, Status};
use crate::matrix::Part;
use crate::reason::{Finding, Reason};
use crate::snapshot::{Node, Source, Unusable};
use crate::version::{Version, VersionError};

/// How old what kubelets say may be: they are asked anew every ten minutes, and may miss twice.
const KUBELET_AGE_SECONDS_MAX: u64 = 1_800;
/// How old the witnesses may be. They are asked once a minute and speak of weeks; one that fails says so at once,
/// and this is for one that is not asked any more.
const WITNESS_AGE_SECONDS_MAX: u64 = 300;
/// What kubeadm writes every kubelet's configuration from.
const KUBELET_CONFIG_MAP: &str = "ConfigMap kube-system/kubelet-config";
/// What kubeadm starts every kube-proxy from.
const KUBE_PROXY_CONFIG_MAP: &str = "ConfigMap kube-system/kube-proxy";
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
        Self { status, evidence, findings, classes, notes: Vec::new() }
    }

    fn into_check(self, id: &'static str, scope: Scope, is_final: bool) -> Check {
        let Self { status, evidence, findings, classes, notes } = self;
        Check { id, status, scope, evidence, findings, classes, notes, is_final }
    }

    /// A block stands, whatever else could not be read: for a check that is final.
    fn whatever_else(self, is_blocked: bool) -> Self {
        if is_blocked { Self { status: Status::Block, ..self } } else { self }
    }
}

/// What stands against one of many things that a check judges.
enum Against {
    Nothing,
    Blocks(Finding),
    Unknown(Finding),
}

struct Definition {
    id: &'static str,
    scope: Scope,
    is_final: bool,
    check: fn(&Facts<'_>) -> Outcome,
}

const TABLE: [Definition; 20] = [
    Definition { id: "target", scope: Scope::Cluster, is_final: true, check: target::check },
    Definition { id: "path", scope: Scope::Cluster, is_final: true, check: path::check },
    Definition { id: "matrix", scope: Scope::Node, is_final: false, check: matrix::check },
    Definition { id: "offered", scope: Scope::Cluster, is_final: false, check: offered::check },
    Definition { id: "kubelet_skew", scope: Scope::Node, is_final: false, check: kubelet_skew::check },
    Definition {
        id: "control_plane_skew",
        scope: Scope::Node,
        is_final: false,
        check: control_plane_skew::check,
    },
    Definition {
        id: "kube_proxy_skew",
        scope: Scope::Cluster,
        is_final: false,
        check: kube_proxy_skew::check,
    },
    Definition { id: "runtime", scope: Scope::Node, is_final: false, check: runtime::check },
    Definition { id: "kernel", scope: Scope::Node, is_final: false, check: kernel::check },
    Definition { id: "cgroup", scope: Scope::Node, is_final: false, check: cgroup::check },
    Definition { id: "etcd", scope: Scope::Cluster, is_final: false, check: etcd::check },
    Definition { id: "flags", scope: Scope::Node, is_final: false, check: flags::check },
    Definition { id: "addons", scope: Scope::Cluster, is_final: false, check: addons::check },
    Definition {
        id: "stored_versions",
        scope: Scope::Cluster,
        is_final: false,
        check: stored_versions::check,
    },
    Definition { id: "removed_apis", scope: Scope::Cluster, is_final: false, check: removed_apis::check },
    Definition {
        id: "disruption_budgets",
        scope: Scope::Node,
        is_final: false,
        check: disruption_budgets::check,
    },
    Definition { id: "webhooks", scope: Scope::Node, is_final: false, check: webhooks::check },
    Definition { id: "volume_plugins", scope: Scope::Node, is_final: false, check: volume_plugins::check },
    Definition { id: "risks", scope: Scope::Cluster, is_final: false, check: risks::check },
    Definition { id: "accept", scope: Scope::Cluster, is_final: false, check: accept::check },
];

/// The names of all checks, in order.
pub const CHECK_IDS: [&str; TABLE.len()] = {
    let mut ids = [""; TABLE.len()];
    let mut index = 0;
    while index < TABLE.len() {
        ids[index] = TABLE[index].id;
        index += 1;
    }
    ids
};

/// Makes every check.
pub(super) fn all(facts: &Facts<'_>) -> Vec<Check> {
    let make = |definition: &Definition| {
        let Definition { id, scope, is_final, check } = *definition;
        check(facts).into_check(id, scope, is_final)
    };
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
        let (mut blockers, mut unknowns) = (Vec::new(), Vec::new());
        if nodes.is_empty() {
            unknowns.push(Finding::new(Reason::NoNodes, "nodes", "the list is empty"));
        }
        for node in nodes {
            match against(node, facts) {
                Against::Nothing => {}
                Against::Blocks(finding) => blockers.push(finding),
                Against::Unknown(finding) => unknowns.push(finding),
            }
        }
        Outcome::judge(nodes_read, vec![known], blockers, unknowns)
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
        Finding::new(reason, name, why.to_string())
    })
}

/// A version that is not one: a finding about who runs it.
fn unreadable_version(component: &str, written: &str) -> Finding {
    Finding::new(Reason::SourceUnreadable, component, format!("its version cannot be read: {written:?}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::api::{UpgradeRun, UpgradeRunSpec};
    use crate::inventory::{ApiRequests, ApiWrites, Inventory, KubeletConfig, RunningKubelet, ScrapedServer};
    use crate::matrix::Matrix;
    use crate::settings::Settings;
    use crate::snapshot::{ApiServer, Packages, Role, Snapshot, StaticPod};
    use crate::verdict::{Verdict, verdict};
    use crate::version::Minor;

    pub(in super::super) fn version(text: &str) -> Result<Version, String> {
        text.parse().map_err(|_not_a_version| text.to_owned())
    }

    pub(in super::super) fn node(name: &str, role: Role, kubelet: &str) -> Node {
        Node {
            uid: name.to_owned(),
            resource_version: "1".to_owned(),
            kubelet_version: version(kubelet),
            container_runtime: "containerd://2.2.0".to_owned(),
            kernel_version: "6.1.0-18-amd64".to_owned(),
            ready: true,
            ..Node::silent(name, role)
        }
    }

    pub(in super::super) fn api_server(name: &str, text: &str) -> ApiServer {
        ApiServer { name: name.to_owned(), version: version(text), ready: true }
    }

    pub(in super::super) fn pod(component: &str, node: &str, text: &str) -> StaticPod {
        StaticPod {
            component: component.to_owned(),
            node: node.into(),
            version: version(text),
            flags: Ok(std::collections::BTreeMap::new()),
            ready: true,
            ready_since: None,
        }
    }

    /// A kubelet that says what a usual one of before 1.35 says.
    pub(in super::super) fn kubelet(node: &str) -> RunningKubelet {
        let config = KubeletConfig { fail_cgroup_v1: Some(false), ..KubeletConfig::default() };
        RunningKubelet { node: node.into(), config: Ok(config), cgroup_version: Some(2) }
    }

    /// A cluster with all that a verdict is made from.
    #[derive(Clone)]
    pub(crate) struct Healthy {
        pub(crate) snapshot: Snapshot,
        pub(crate) inventory: Inventory,
        pub(crate) matrix: Matrix,
        pub(crate) settings: Settings,
        pub(crate) now: Timestamp,
    }

    impl Healthy {
        pub(crate) fn case(&self) -> Case<'_> {
            let Self { snapshot, inventory, matrix, settings, now } = self;
            Case { snapshot, inventory, matrix, settings, now: *now }
        }

        pub(crate) fn verdict(&self, target: &str) -> Verdict {
            verdict(target, &self.case())
        }
    }

    /// One control-plane node and one worker at v1.36.1, v1.36.3 and v1.37.0 on offer; v1.36.3 is safe.
    pub(crate) fn healthy() -> Healthy {
        let now: Timestamp = "2026-11-22T03:04:05Z".parse().unwrap();
        let versions: Vec<Version> =
            ["1.36.1", "1.36.3", "1.37.0"].iter().map(|text| text.parse().unwrap()).collect();
        let packages =
            Packages { patch: Some(versions[1].clone()), minor: Some(versions[2].clone()), versions };
        let snapshot = Snapshot {
            nodes: Source::read(
                vec![node("cp-1", Role::ControlPlane, "v1.36.1"), node("w-1", Role::Worker, "v1.36.1")],
                now,
            ),
            api_servers: Source::read(vec![api_server("cp-1", "v1.36.1")], now),
            static_pods: Source::read(
                vec![
                    pod("etcd", "cp-1", "v3.6.6-0"),
                    pod("kube-apiserver", "cp-1", "v1.36.1"),
                    pod("kube-controller-manager", "cp-1", "v1.36.1"),
                    pod("kube-scheduler", "cp-1", "v1.36.1"),
                ],
                now,
            ),
            controller_leases: Source::read(Vec::new(), now),
            packages: Source::read(packages, now),
            runs: Source::read(Vec::new(), now),
        };
        let mut matrix = Matrix::built_in();
        let inventory = Inventory {
            definitions: Source::read(Vec::new(), now),
            workloads: Source::read(Vec::new(), now),
            kubelets: Source::read(vec![kubelet("cp-1"), kubelet("w-1")], now),
            kubelet_config: Source::read(Some(KubeletConfig::default()), now),
            kube_proxy_config: Source::read(None, now),
            budgets: Source::read(Vec::new(), now),
            namespaces: Source::read(Vec::new(), now),
            webhooks: Source::read(Vec::new(), now),
            webhook_backends: Source::read(Vec::new(), now),
            persistent_volumes: Source::read(Vec::new(), now),
            storage_classes: Source::read(Vec::new(), now),
            csi_drivers: Source::read(Vec::new(), now),
            api_requests: Source::read(
                ApiRequests {
                    window_seconds: 30 * 86_400,
                    servers: vec![ScrapedServer {
                        instance: "cp-1:6443".to_owned(),
                        is_scraped: true,
                        proven_seconds: 30 * 86_400,
                    }],
                    requested: Vec::new(),
                },
                now,
            ),
            api_writes: Source::read(
                ApiWrites {
                    asked: matrix
                        .removed_apis
                        .value
                        .going(Minor { major: 1, minor: 0 }, Minor { major: 1, minor: 99 }),
                    objects: 3,
                    writes: Vec::new(),
                },
                now,
            ),
            manifests: None,
            pod_images: None,
            risk_answers: None,
        };
        // A person has looked at what no cluster shows.
        matrix.policy.value.kubelet_flags_checked = Minor::parse("1.40");
        Healthy { snapshot, inventory, matrix, settings: Settings::default(), now }
    }

    /// A run to this target that has not begun.
    pub(super) fn run(target: &str) -> UpgradeRun {
        UpgradeRun {
            namespace: "n".to_owned(),
            name: "r".to_owned(),
            uid: "u".to_owned(),
            resource_version: "1".to_owned(),
            generation: 1,
            created_at: None,
            deleting: false,
            has_finalizer: false,
            spec: UpgradeRunSpec { target: target.to_owned(), ..Default::default() },
            status: None,
        }
    }

    /// The status and the reason codes of one check for a target and a changed healthy cluster.
    pub(super) fn outcome(
        check: fn(&Facts<'_>) -> Outcome,
        target: &str,
        change: impl FnOnce(&mut Healthy),
    ) -> (Status, Vec<&'static str>) {
        let mut cluster = healthy();
        change(&mut cluster);
        let outcome = check(&Facts { target: target.parse(), case: &cluster.case() });
        assert!(outcome.status != Status::Pass || !outcome.evidence.is_empty(), "a pass names its evidence");
        assert_eq!(
            outcome.status == Status::Pass,
            outcome.findings.is_empty(),
            "whatever does not pass says why"
        );
        (outcome.status, outcome.findings.iter().map(|finding| finding.reason.code()).collect())
    }

    #[test]
    fn every_finding_keeps_its_class_whatever_the_status_is() {
        use Status::{Block, Hold, Unknown};
        let evidence = || Evidence { source: "nodes", count: 1, age_seconds: 0 };
        let one = |subject: &str| vec![Finding::new(Reason::NodeMissing, subject, "")];
        let all = Outcome::weigh(evidence(), Vec::new(), [one("b"), one("h"), one("u")]);
        let check = all.into_check("x", Scope::Node, false);
        let classed: Vec<_> = check.classed().map(|(class, it)| (class, it.subject.as_str())).collect();
        assert_eq!((check.status, classed), (Unknown, vec![(Block, "b"), (Hold, "h"), (Unknown, "u")]));
        let both =
            Outcome::judge(evidence(), Vec::new(), one("b"), one("u")).into_check("x", Scope::Node, false);
        assert_eq!((both.status, both.has(Block), both.has(Hold)), (Unknown, true, false));
    }

    #[test]
    fn ids_are_unique_snake_case_words() {
        let unique: std::collections::BTreeSet<_> = CHECK_IDS.into_iter().collect();
        assert_eq!(unique.len(), CHECK_IDS.len());
        assert!(CHECK_IDS.iter().all(|id| id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }
}
