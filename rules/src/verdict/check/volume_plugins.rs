//! No volume is of a plugin that the target does not have.
//!
//! The API keeps the field of a removed plugin, so that nothing refuses it: a pod with such a volume waits for ever once
//! its kubelet is the target's. Looked at are PersistentVolumes, StorageClasses and the templates of workloads; a bare
//! pod, or one of a Job, has no template here. The oldest kubelet says what still works.
//!
//! FlexVolume stays, but the target's kubeadm may not mount its drivers into kube-controller-manager any more, which attaches
//! volumes: not in the way where kubeadm is told to mount them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Facts, NOTES_MAX, Outcome, usable};
use crate::cluster::inventory::{PersistentVolume, StorageClass, Workload};
use crate::cluster::snapshot::{Node, Source};
use crate::facts::VolumePlugin;
use crate::reason::{Finding, Reason};
use crate::words::version::Minor;

/// The flag by which kube-controller-manager is told where the drivers of FlexVolume are, and where they are if it is not.
const DRIVERS_FLAG: &str = "flex-volume-plugin-dir";
const DRIVERS_USUAL: &str = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec";
/// How many objects of one kind and plugin are named.
const NAMED_MAX: usize = 5;

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    judge(facts).unwrap_or_else(|unknown| unknown)
}

/// What uses volumes.
struct Used<'a> {
    volumes: &'a [PersistentVolume],
    classes: &'a [StorageClass],
    /// By plugin.
    workloads: HashMap<&'a str, Vec<&'a Workload>>,
}

fn judge(facts: &Facts<'_>) -> Result<Outcome, Outcome> {
    let (inventory, matrix) = (&facts.case.inventory, &facts.case.matrix);
    let target = facts.version()?.minor();
    let (plugins, known) = facts.known(&matrix.volume_plugins).map_err(Outcome::unknown)?;
    let (volumes, volumes_read) =
        facts.state("persistent_volumes", &inventory.persistent_volumes).map_err(Outcome::unknown)?;
    let (classes, classes_read) =
        facts.state("storage_classes", &inventory.storage_classes).map_err(Outcome::unknown)?;
    let (drivers, drivers_read) =
        facts.state("csi_drivers", &inventory.csi_drivers).map_err(Outcome::unknown)?;
    let (workloads, workloads_read) =
        facts.state("workloads", &inventory.workloads).map_err(Outcome::unknown)?;
    let (nodes, nodes_read) = facts.state("nodes", &facts.case.snapshot.nodes).map_err(Outcome::unknown)?;
    let (running, unknowns) = oldest(nodes);
    let running = running.ok_or_else(|| {
        Outcome::unknown(Finding::new(Reason::NoNodes, "nodes", "no kubelet's version can be read"))
    })?;
    let used = Used { volumes, classes, workloads: by_plugin(workloads) };
    let (mut unknowns, mut blockers, mut notes, mut going) = (unknowns, Vec::new(), Vec::new(), Vec::new());
    for plugin in &plugins.0 {
        let found = || used.by(plugin).into_iter();
        match change(plugin, running, target, drivers) {
            PluginChange::Stays => {}
            PluginChange::Goes(how) => {
                blockers.extend(found().map(|users| goes(plugin, &users, &how)));
                going.push(plugin.plugin.as_str());
            }
            PluginChange::IsUnmounted(minor) => {
                let users: Vec<String> = found().collect();
                unmounted(facts, plugin, minor, &users, &mut blockers, &mut unknowns);
                going.push(plugin.plugin.as_str());
            }
            PluginChange::IsNoLoss(how) => notes.extend(found().map(|users| goes(plugin, &users, &how))),
        }
    }
    if !going.is_empty() {
        notes.insert(0, Finding::new(Reason::VolumesNotRead, "pods", format!("of {}", going.join(", "))));
    }
    notes.truncate(NOTES_MAX);
    let rest = vec![classes_read, drivers_read, workloads_read, nodes_read, known];
    Ok(Outcome::weigh(volumes_read, rest, [blockers, Vec::new(), unknowns]).noting(notes))
}

fn by_plugin(workloads: &[Workload]) -> HashMap<&str, Vec<&Workload>> {
    let mut users: HashMap<&str, Vec<&Workload>> = HashMap::new();
    for workload in workloads {
        for plugin in &workload.volume_plugins {
            users.entry(plugin).or_default().push(workload);
        }
    }
    users
}

/// The oldest minor of a kubelet, and those that cannot be read.
fn oldest(nodes: &[Node]) -> (Option<Minor>, Vec<Finding>) {
    let (mut minors, mut unknowns) = (Vec::new(), Vec::new());
    for node in nodes {
        match &node.kubelet_version {
            Ok(version) => minors.push(version.minor()),
            Err(written) => unknowns.push(super::unreadable_version(&node.name.0, written)),
        }
    }
    (minors.into_iter().min(), unknowns)
}

/// What becomes of a plugin on the way to the target.
enum PluginChange {
    Stays,
    /// Its volumes are lost.
    Goes(String),
    /// kubeadm from this minor on does not mount its drivers.
    IsUnmounted(Minor),
    /// They are lost already, or somebody else has them.
    IsNoLoss(String),
}

fn change(plugin: &VolumePlugin, running: Minor, target: Minor, drivers: &[String]) -> PluginChange {
    let VolumePlugin { removed, unmounted, off, csi_driver, .. } = plugin;
    let goes_at = |minor: Minor| running < minor && minor <= target;
    let Some(removed) = removed else {
        let unmounted = unmounted.filter(|minor| goes_at(*minor));
        return unmounted.map_or(PluginChange::Stays, PluginChange::IsUnmounted);
    };
    if running >= *removed {
        return PluginChange::IsNoLoss(format!("is gone since {removed}"));
    }
    if target >= *removed {
        return match csi_driver {
            Some(driver) if drivers.contains(driver) => {
                PluginChange::IsNoLoss(format!("is gone from {removed} on; {driver} has its volumes"))
            }
            Some(driver) => PluginChange::Goes(format!("is gone from {removed} on: install {driver}")),
            None => PluginChange::Goes(format!("is gone from {removed} on")),
        };
    }
    match off {
        Some(off) if goes_at(*off) => PluginChange::Goes(format!(
            "is off from {off} on, unless a feature gate brings it back until {removed}"
        )),
        Some(_) | None => PluginChange::Stays,
    }
}

/// Whether kube-controller-manager still has the drivers once the target's kubeadm has written its manifest.
fn unmounted(
    facts: &Facts<'_>,
    plugin: &VolumePlugin,
    from: Minor,
    users: &[String],
    blockers: &mut Vec<Finding>,
    unknowns: &mut Vec<Finding>,
) {
    if users.is_empty() {
        return;
    }
    let unread = Source::unread();
    let source = facts.case.inventory.kubeadm_config.as_ref().unwrap_or(&unread);
    let age_seconds_max = facts.case.settings.state_age_seconds_max;
    let config = match usable("kubeadm_config", source, facts.case.now, age_seconds_max) {
        Ok(Some(config)) => config,
        // Whoever has made the cluster without kubeadm mounts what they like.
        Ok(None) => return,
        Err(finding) => return unknowns.push(finding),
    };
    let directories = drivers(facts);
    let missing = directories.iter().find(|it| {
        let has = |mount: &String| it.trim_end_matches('/') == mount.trim_end_matches('/');
        !config.controller_manager_mounts.iter().any(has)
    });
    let Some(directory) = missing else { return };
    blockers.extend(users.iter().map(|users| {
        let detail = format!(
            "of the volume plugin {}: kubeadm from {from} on does not mount {directory} into kube-controller-manager ({})",
            plugin.plugin, plugin.source
        );
        Finding::new(Reason::FlexVolumeUnmounted, users, detail)
    }));
}

/// Where each kube-controller-manager looks for drivers.
fn drivers(facts: &Facts<'_>) -> BTreeSet<String> {
    let pods = facts.case.snapshot.static_pods.value.iter().flatten();
    let told = pods
        .filter(|pod| pod.component == "kube-controller-manager")
        .filter_map(|pod| pod.flags.as_ref().ok()?.get(DRIVERS_FLAG)?.last().cloned());
    let told: BTreeSet<String> = told.collect();
    if told.is_empty() { BTreeSet::from([DRIVERS_USUAL.to_owned()]) } else { told }
}

fn goes(plugin: &VolumePlugin, users: &str, how: &str) -> Finding {
    let detail = format!("of the volume plugin {}, which {how} ({})", plugin.plugin, plugin.source);
    Finding::new(Reason::VolumePluginGone, users, detail)
}

impl Used<'_> {
    /// Who uses a plugin, one text for each kind of object.
    fn by(&self, plugin: &VolumePlugin) -> Vec<String> {
        let volumes = self.volumes.iter().filter(|it| it.plugin == plugin.plugin).map(|it| it.name.clone());
        let made = |class: &&StorageClass| plugin.provisioner.as_ref() == Some(&class.provisioner);
        let classes = self.classes.iter().filter(made).map(|it| it.name.clone());
        let mut users = vec![named("PersistentVolume", volumes), named("StorageClass", classes)];
        let mut by_kind: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for workload in self.workloads.get(plugin.plugin.as_str()).into_iter().flatten() {
            let name = format!("{}/{}", workload.namespace, workload.name);
            by_kind.entry(workload.kind.to_string()).or_default().push(name);
        }
        users.extend(by_kind.into_iter().map(|(kind, names)| named(&kind, names.into_iter())));
        users.into_iter().flatten().collect()
    }
}

/// Some by name, the rest counted; nothing if there is none.
fn named(kind: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    let first = names.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(NAMED_MAX);
    match names.len() {
        0 => None,
        _ if more > 0 => Some(format!("{kind} {first} and {more} more")),
        _ => Some(format!("{kind} {first}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, healthy, kubeadm_config, version};
    use super::*;
    use crate::cluster::inventory::{KubeadmConfig, WorkloadKind};
    use crate::verdict::Status;

    fn volume(name: &str, plugin: &str) -> PersistentVolume {
        PersistentVolume { name: name.to_owned(), plugin: plugin.to_owned() }
    }

    fn workload(plugin: &str) -> Workload {
        Workload {
            volume_plugins: BTreeSet::from(["configMap".to_owned(), plugin.to_owned()]),
            ..Workload::silent(WorkloadKind::Deployment, "default", "web")
        }
    }

    /// Status, findings' subjects and notes' subjects, for a cluster whose kubelets run `kubelet`.
    fn found(
        kubelet: &str,
        target: &str,
        change: impl FnOnce(&mut Healthy),
    ) -> (Status, Vec<String>, Vec<String>) {
        let mut cluster = healthy();
        for node in cluster.snapshot.nodes.value.iter_mut().flatten() {
            node.kubelet_version = version(kubelet);
        }
        change(&mut cluster);
        let outcome = check(&Facts { target: target.parse(), case: &cluster.case() });
        let subjects = |found: Vec<Finding>| found.into_iter().map(|it| it.subject).collect();
        (outcome.status, subjects(outcome.findings), subjects(outcome.notes))
    }

    fn use_volume(plugin: &'static str) -> impl FnOnce(&mut Healthy) {
        move |it| it.inventory.persistent_volumes = Source::read(vec![volume("pv", plugin)], it.now)
    }

    #[test]
    fn a_plugin_blocks_where_the_way_crosses_its_end() {
        use Status::{Block, Pass};
        let there = || vec!["PersistentVolume pv".to_owned()];
        for (plugin, kubelet, target, status, notes) in [
            ("rbd", "v1.30.4", "v1.31.0", Block, 1),
            ("rbd", "v1.30.4", "v1.30.9", Pass, 0),
            ("rbd", "v1.31.4", "v1.32.0", Pass, 1),
            ("glusterfs", "v1.36.1", "v1.36.3", Pass, 1),
            ("gitRepo", "v1.35.4", "v1.36.0", Block, 1),
            ("gitRepo", "v1.34.4", "v1.35.0", Pass, 0),
            ("gitRepo", "v1.32.4", "v1.33.0", Block, 1),
            ("gitRepo", "v1.33.4", "v1.34.0", Pass, 0),
            ("portworxVolume", "v1.35.4", "v1.36.0", Block, 1),
            ("csi", "v1.35.4", "v1.36.0", Pass, 1),
            ("nfs", "v1.35.4", "v1.36.0", Pass, 1),
        ] {
            let (got, findings, noted) = found(kubelet, target, use_volume(plugin));
            assert_eq!((got, noted.len()), (status, notes), "{plugin} {kubelet} {target}");
            assert_eq!(
                findings,
                if status == Block { there() } else { vec![] },
                "{plugin} {kubelet} {target}"
            );
        }
    }

    #[test]
    fn a_driver_that_has_the_volumes_makes_it_a_note() {
        let with_driver = |it: &mut Healthy| {
            use_volume("portworxVolume")(it);
            it.inventory.csi_drivers = Source::read(vec!["pxd.portworx.com".to_owned()], it.now);
        };
        let (status, _, notes) = found("v1.35.4", "v1.36.0", with_driver);
        // gitRepo goes, and of pods without a template nothing is known.
        assert_eq!(
            (status, notes),
            (Status::Pass, ["pods", "PersistentVolume pv"].map(str::to_owned).to_vec())
        );
    }

    /// kubeadm up to 1.35 mounts the drivers into kube-controller-manager by itself.
    #[test]
    fn drivers_that_kubeadm_no_longer_mounts_are_in_the_way_unless_it_is_told_to() {
        let usual = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/";
        let mounts = |path: &'static str, flag: Option<&'static str>| {
            move |it: &mut Healthy| {
                use_volume("flexVolume")(it);
                let config =
                    KubeadmConfig { controller_manager_mounts: [path.to_owned()].into(), ..kubeadm_config() };
                it.inventory.kubeadm_config = Some(Source::read(Some(config), it.now));
                let pods = it.snapshot.static_pods.value.iter_mut().flatten();
                for pod in pods.filter(|pod| pod.component == "kube-controller-manager") {
                    let flags = pod.flags.as_mut().unwrap();
                    flags.extend(flag.map(|to| (DRIVERS_FLAG.to_owned(), vec![to.to_owned()])));
                }
            }
        };
        for (path, flag, status) in [
            ("/etc/pki", None, Status::Block),
            (usual, None, Status::Pass),
            (usual, Some("/opt/flex"), Status::Block),
            ("/opt/flex", Some("/opt/flex/"), Status::Pass),
        ] {
            assert_eq!(found("v1.35.4", "v1.36.0", mounts(path, flag)).0, status, "{path} {flag:?}");
            assert_eq!(found("v1.36.1", "v1.37.0", mounts(path, flag)).0, Status::Pass, "{path} {flag:?}");
        }
        let config = |config: Option<Source<Option<KubeadmConfig>>>, plugin: &'static str| {
            let with = |it: &mut Healthy| {
                use_volume(plugin)(it);
                it.inventory.kubeadm_config = config;
            };
            found("v1.35.4", "v1.36.0", with).0
        };
        let now = healthy().now;
        assert_eq!(config(Some(Source::read(None, now)), "flexVolume"), Status::Pass, "not made by kubeadm");
        assert_eq!(config(Some(Source::failed("forbidden")), "flexVolume"), Status::Unknown);
        assert_eq!(config(None, "flexVolume"), Status::Unknown, "saved before it was read");
        assert_eq!(config(None, "nfs"), Status::Pass);
        // Only its owner knows whether a driver attaches volumes at all.
        let accepts = |reason| crate::facts::is_acceptable("volume_plugins", reason);
        assert!(accepts(Reason::FlexVolumeUnmounted) && !accepts(Reason::VolumePluginGone));
    }

    #[test]
    fn everything_that_uses_a_plugin_is_named_and_the_rest_counted() {
        let all = |it: &mut Healthy| {
            let volumes = (0..7).map(|index| volume(&format!("pv-{index}"), "rbd")).collect();
            let class = |name: &str, provisioner: &str| StorageClass {
                name: name.to_owned(),
                provisioner: provisioner.to_owned(),
            };
            let classes = vec![class("fast", "kubernetes.io/rbd"), class("new", "rbd.csi.ceph.com")];
            it.inventory.persistent_volumes = Source::read(volumes, it.now);
            it.inventory.storage_classes = Source::read(classes, it.now);
            it.inventory.workloads = Source::read(vec![workload("rbd"), workload("csi")], it.now);
        };
        let (status, findings, _) = found("v1.30.4", "v1.31.0", all);
        let expected = [
            "PersistentVolume pv-0, pv-1, pv-2, pv-3, pv-4 and 2 more",
            "StorageClass fast",
            "Deployment default/web",
        ];
        assert_eq!((status, findings), (Status::Block, expected.map(str::to_owned).to_vec()));
    }

    #[test]
    fn the_oldest_kubelet_counts_and_an_unreadable_one_is_unknown() {
        let one_is = |kubelet: &'static str| {
            move |it: &mut Healthy| {
                use_volume("rbd")(it);
                it.snapshot.nodes.value.as_mut().unwrap()[1].kubelet_version = version(kubelet);
            }
        };
        assert_eq!(found("v1.31.1", "v1.31.1", one_is("v1.30.4")).0, Status::Block);
        let (status, findings, _) = found("v1.31.1", "v1.31.1", one_is("odd"));
        assert_eq!((status, findings), (Status::Unknown, vec!["w-1".to_owned()]));
        let none = found("v1.31.1", "v1.31.1", |it| it.snapshot.nodes.value = Some(vec![]));
        assert_eq!(none.0, Status::Unknown);
    }

    #[test]
    fn each_lost_source_and_old_facts_are_unknown() {
        type Loss = fn(&mut Healthy);
        let losses: [Loss; 6] = [
            |it| it.inventory.persistent_volumes = Source::failed("gone"),
            |it| it.inventory.storage_classes = Source::failed("gone"),
            |it| it.inventory.csi_drivers = Source::failed("gone"),
            |it| it.inventory.workloads = Source::failed("gone"),
            |it| it.snapshot.nodes = Source::failed("gone"),
            |it| it.matrix.volume_plugins.as_of = None,
        ];
        for lose in losses {
            assert_eq!(found("v1.36.1", "v1.36.3", lose).0, Status::Unknown);
        }
        assert_eq!(found("v1.36.1", "v1.36.3", |_| {}), (Status::Pass, vec![], vec![]));
    }
}
