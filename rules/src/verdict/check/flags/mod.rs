//! Nothing that a component is started with is gone or locked at the target: it would not start.
//!
//! ```text
//!   static pods  ──▶ command lines of the control plane, ┐
//!                    and etcd's flags                    │
//!   kubelets     ──▶ /configz, where one may ask        ─┼─▶ gates, flags, plugins that go between the component's
//!   kubelet-config, kube-proxy ▶ what kubeadm will write ┘   own minor and the target
//!   kubeadm-config ▶ what the target's kubeadm must read     formats, and its own gates
//! ```
//!
//! A component that runs in the target's minor has shown that it starts: within a minor nothing is taken away. For the
//! others every minor on the way must be known. What kubeadm will write has shown nothing: it is written anew on every
//! node that is upgraded, also by a patch, and may lack what people have mended on the nodes.
//!
//! Sources: <https://kubernetes.io/docs/reference/using-api/deprecation-policy/>, and the rows of `components`.

mod kubeadm;
mod kubelets;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::{Facts, Outcome, etcd, left_to_vendor, unreadable_version, vendors_kubelet};
use crate::cluster::snapshot::{ApiServer, CONTROL_PLANE, ETCD, Node, Role, StaticPod};
use crate::driver::kubeadm::is_at;
use crate::facts::{Components, GateOutcome, Hop};
use crate::reason::{Finding, Reason};
use crate::verdict::Evidence;
use crate::words::version::Minor;

/// The flags whose values are admission plugins.
const PLUGIN_FLAGS: [&str; 3] =
    ["enable-admission-plugins", "disable-admission-plugins", "admission-control"];

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    judge(facts).unwrap_or_else(|unknown| unknown)
}

/// What was found so far. A finding that many components share is told once.
#[derive(Default)]
struct Found {
    evidence: Vec<Evidence>,
    blockers: Vec<Finding>,
    unknowns: BTreeSet<Finding>,
    notes: Vec<Finding>,
}

impl Found {
    fn unknown(&mut self, finding: Finding) {
        self.unknowns.insert(finding);
    }
}

fn judge(facts: &Facts<'_>) -> Result<Outcome, Outcome> {
    let version = facts.version()?;
    let target = version.minor();
    let snapshot = facts.case.snapshot;
    let (pods, pods_read) = facts.state("static_pods", &snapshot.static_pods).map_err(Outcome::unknown)?;
    let (servers, servers_read) =
        facts.state("api_servers", &snapshot.api_servers).map_err(Outcome::unknown)?;
    let (nodes, nodes_read) = facts.state("nodes", &snapshot.nodes).map_err(Outcome::unknown)?;
    let mut found = Found { evidence: vec![servers_read, nodes_read], ..Found::default() };
    unseen(facts, (nodes, pods, servers), target, &mut found);
    let pods = going(pods, target, &mut found);
    let kubelets = kubelets::going(nodes, target, &mut found);
    if nodes.iter().any(|node| !is_at(snapshot, node, version)) {
        kubelets::written(facts, target, &mut found)?;
    }
    if !pods.is_empty() || !kubelets.is_empty() {
        let (table, known) = facts.known(&facts.case.matrix.components).map_err(Outcome::unknown)?;
        found.evidence.push(known);
        for (pod, name, hop) in pods {
            command_line(facts, table, pod, &name, hop, &mut found);
        }
        kubelets::judge(facts, table, &kubelets, &mut found);
        kubeadm::judge(facts, table, target, &mut found);
    }
    let Found { evidence, blockers, unknowns, notes } = found;
    Ok(Outcome::judge(pods_read, evidence, blockers, unknowns.into_iter().collect()).noting(notes))
}

/// The pods of the control plane whose minor the target changes. The minor of an etcd is that of what runs
/// beside it: kubeadm brings them together.
fn going<'a>(pods: &'a [StaticPod], target: Minor, found: &mut Found) -> Vec<(&'a StaticPod, String, Hop)> {
    let mut going = Vec::new();
    for pod in pods {
        let numbered = match pod.component.as_str() {
            ETCD => CONTROL_PLANE
                .iter()
                .find_map(|name| pods.iter().find(|it| it.component == *name && it.node == pod.node)),
            component => CONTROL_PLANE.contains(&component).then_some(pod),
        };
        let name = format!("{} on {}", pod.component, pod.node);
        match numbered.map(|it| &it.version) {
            Some(Ok(version)) => {
                let hop = Hop { running: version.minor(), target };
                going.extend(hop.is_one().then_some((pod, name, hop)));
            }
            // Of an etcd this is told with the other.
            Some(Err(_)) if pod.component == ETCD => {}
            Some(Err(written)) => found.unknown(unreadable_version(&name, written)),
            None if pod.component == ETCD => {
                let detail = "nothing beside it tells which minor it came with";
                found.unknown(Finding::new(Reason::CommandLineUnseen, name, detail));
            }
            None => {}
        }
    }
    going
}

/// A control plane whose pods are not there shows nothing; where all of it runs in the target's minor, nothing is needed.
fn unseen(
    facts: &Facts<'_>,
    (nodes, pods, servers): (&[Node], &[StaticPod], &[ApiServer]),
    target: Minor,
    found: &mut Found,
) {
    let runs_it = |server: &ApiServer| server.version.as_ref().is_ok_and(|it| it.minor() >= target);
    if !servers.is_empty() && servers.iter().all(runs_it) {
        return;
    }
    if let Some(kubelet) = vendors_kubelet(facts, nodes, pods) {
        return found.notes.push(left_to_vendor("the flags of the control plane", kubelet));
    }
    let unseen = |name: String| {
        Finding::new(Reason::CommandLineUnseen, name, "there is no static pod of it in kube-system")
    };
    let mut control_plane = nodes.iter().filter(|node| node.role == Role::ControlPlane).peekable();
    if control_plane.peek().is_none() {
        found.unknown(unseen("the control plane".to_owned()));
    }
    for node in control_plane {
        let has =
            |component: &&str| pods.iter().any(|pod| pod.node == node.name && pod.component == **component);
        let missing = CONTROL_PLANE.iter().filter(|component| !has(component));
        found.unknowns.extend(missing.map(|component| unseen(format!("{component} on {}", node.name))));
    }
}

fn command_line(
    facts: &Facts<'_>,
    table: &Components,
    pod: &StaticPod,
    name: &str,
    hop: Hop,
    found: &mut Found,
) {
    if !is_known(table, hop, found) {
        return;
    }
    let flags = match &pod.flags {
        Ok(flags) => flags,
        Err(why) => {
            found.unknown(Finding::new(Reason::CommandLineUnseen, name, why));
            return;
        }
    };
    // An etcd that stays in its minor keeps its flags.
    let stays =
        pod.component == ETCD && pod.version.as_ref().is_ok_and(|running| etcd::keeps_minor(facts, running));
    if stays {
        return;
    }
    for row in table.flags(&pod.component, hop) {
        let set = row.flags.iter().filter(|flag| flags.contains_key(*flag));
        found.blockers.extend(set.map(|flag| {
            let detail = format!("--{flag} is gone in {} ({})", row.removed, row.source);
            Finding::new(Reason::FlagRemoved, name, detail)
        }));
    }
    // Its feature gates are its own.
    if pod.component == ETCD {
        return;
    }
    let values = |flag: &str| flags.get(flag).into_iter().flatten().flat_map(|value| value.split(','));
    let plugins: BTreeSet<&str> = PLUGIN_FLAGS.iter().flat_map(|flag| values(flag)).map(str::trim).collect();
    found.blockers.extend(table.plugins(hop).filter(|row| plugins.contains(row.name.as_str())).map(|row| {
        let detail = format!("{} is gone in {} ({})", row.name, row.removed, row.source);
        Finding::new(Reason::AdmissionPluginRemoved, name, detail)
    }));
    let kinds = &facts.case.matrix.removed_apis.value.kinds;
    for item in values("runtime-config").map(str::trim) {
        // A group and version that the API server does not know ends its start, also where it is turned off.
        let api = item.split('=').next().unwrap_or_default();
        let Some((group, version)) = api.split_once('/') else { continue };
        let version = version.split('/').next().unwrap_or_default();
        let known = || kinds.iter().filter(|row| row.group == group && row.version == version);
        let goes = known().any(|row| hop.running < row.removed && row.removed <= hop.target);
        if goes && known().all(|row| row.removed <= hop.target) {
            let detail = format!("--runtime-config={item} names what is gone in {}", hop.target);
            found.blockers.push(Finding::new(Reason::FlagRemoved, name, detail));
        }
    }
    if flags.contains_key("emulated-version") {
        let detail = "it is set to another version's gates by --emulated-version";
        found.unknown(Finding::new(Reason::FeatureGateUnknown, name, detail));
    }
    for item in values("feature-gates").map(str::trim).filter(|item| !item.is_empty()) {
        match one_gate(item) {
            Some((gate, value)) => judge_gate(table, name, (gate, value), hop, found),
            None => {
                let detail = format!("{item:?} cannot be read");
                found.unknown(Finding::new(Reason::FeatureGateUnknown, name, detail));
            }
        }
    }
}

/// A gate as in `--feature-gates`: `Name=true`, with `kube:` before it or not.
fn one_gate(item: &str) -> Option<(&str, bool)> {
    let (name, value) = item.split_once('=')?;
    let name = name.strip_prefix("kube:").unwrap_or(name).trim();
    let value = match value.trim() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        _ => return None,
    };
    (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some((name, value))
}

fn judge_gate(table: &Components, subject: &str, (gate, value): (&str, bool), hop: Hop, found: &mut Found) {
    match table.gate(gate, value, hop) {
        GateOutcome::Kept => {}
        GateOutcome::Removed(row) => {
            let detail = format!("{gate}={value} is set; the gate is gone in {} ({})", row.minor, row.source);
            found.blockers.push(Finding::new(Reason::FeatureGateRemoved, subject, detail));
        }
        GateOutcome::Locked(row) => {
            let detail = format!(
                "{gate}={value} is set; it can only be {} from {} on ({})",
                !value, row.minor, row.source
            );
            found.blockers.push(Finding::new(Reason::FeatureGateLocked, subject, detail));
        }
        GateOutcome::Unknown => {
            let detail = format!("{gate} is in no list of feature gates");
            found.unknown(Finding::new(Reason::FeatureGateUnknown, subject, detail));
        }
    }
}

/// Whether every minor on the way is known.
fn is_known(table: &Components, hop: Hop, found: &mut Found) -> bool {
    let Some(minor) = table.missing(hop) else { return true };
    let detail = "nothing is known of the gates and flags that it takes away";
    found.unknown(Finding::new(Reason::ComponentFactsMissing, minor.to_string(), detail));
    false
}
