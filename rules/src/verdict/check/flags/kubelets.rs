//! The kubelets: what each one that runs says, and what kubeadm will write.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Facts, Outcome, unreadable_version, usable};
use super::{Found, is_known, judge_gate};
use crate::cluster::inventory::{KubeletConfig, KubeletUnread, RunningKubelet};
use crate::cluster::snapshot::{Node, Source};
use crate::facts::{Components, Hop};
use crate::reason::{Finding, Reason};
use crate::verdict::Evidence;
use crate::verdict::check::{KUBE_PROXY_CONFIG_MAP, KUBELET_AGE_SECONDS_MAX, KUBELET_CONFIG_MAP};
use crate::words::name::NodeName;
use crate::words::version::Minor;

/// The kubelets whose minor the target changes.
pub(super) fn going<'a>(nodes: &'a [Node], target: Minor, found: &mut Found) -> Vec<(&'a NodeName, Hop)> {
    let mut going = Vec::new();
    for node in nodes {
        match &node.kubelet_version {
            Err(written) => found.unknown(unreadable_version(&node.name.0, written)),
            Ok(version) => {
                let hop = Hop { running: version.minor(), target };
                going.extend(hop.is_one().then_some((&node.name, hop)));
            }
        }
    }
    going
}

pub(super) fn judge(facts: &Facts<'_>, table: &Components, going: &[(&NodeName, Hop)], found: &mut Found) {
    let Some(oldest) = going.iter().map(|(_, hop)| *hop).min_by_key(|hop| hop.running) else { return };
    if !is_known(table, oldest, found) {
        return;
    }
    flags(facts, table, oldest, found);
    let (inventory, now) = (facts.case.inventory, facts.case.now);
    let kubelets = match usable("kubelets", &inventory.kubelets, now, KUBELET_AGE_SECONDS_MAX) {
        Ok(kubelets) => kubelets,
        Err(finding) => return found.unknown(finding),
    };
    let age_seconds = inventory.kubelets.age_seconds(now).unwrap_or_default();
    found.evidence.push(Evidence { source: "kubelets", count: kubelets.len(), age_seconds });
    let by_node: BTreeMap<&NodeName, &RunningKubelet> =
        kubelets.iter().map(|kubelet| (&kubelet.node, kubelet)).collect();
    let mut forbidden = BTreeSet::new();
    for (node, hop) in going {
        match by_node.get(node).map(|kubelet| &kubelet.config) {
            Some(Ok(config)) => gates(table, &format!("kubelet on {node}"), config, *hop, found),
            Some(Err(KubeletUnread::Forbidden(why))) => {
                forbidden.insert((node, why));
            }
            Some(Err(KubeletUnread::Failed(why))) => unread(node, why, found),
            None => unread(node, "it has not been asked yet", found),
        }
    }
    // One missing right is one finding, however many nodes there are.
    if let Some((first, why)) = forbidden.first() {
        let detail = match forbidden.len() {
            1 => format!("the kubelet of {first} cannot be asked: {why}"),
            many => format!("{many} kubelets cannot be asked, that of {first} for one: {why}"),
        };
        found.unknown(Finding::new(Reason::KubeletForbidden, "nodes/proxy", detail));
    }
}

/// What kubeadm writes on every node while it upgrades it, and what its kube-proxy is started from. It can only add to
/// what is in the way: a node may have more. Nothing has started with it yet, so whatever has gone by the target is in
/// the way, however long ago.
pub(super) fn written(facts: &Facts<'_>, target: Minor, found: &mut Found) -> Result<(), Outcome> {
    let inventory = facts.case.inventory;
    let kubelet = (KUBELET_CONFIG_MAP, "kubelet_config", &inventory.kubelet_config);
    kept(facts, target, kubelet, |config| &config.feature_gates, found)?;
    let kube_proxy = (KUBE_PROXY_CONFIG_MAP, "kube_proxy_config", &inventory.kube_proxy_config);
    kept(facts, target, kube_proxy, |config| &config.feature_gates, found)
}

/// The gates in one of kubeadm's ConfigMaps.
fn kept<T>(
    facts: &Facts<'_>,
    target: Minor,
    (subject, name, source): (&str, &'static str, &Source<Option<T>>),
    gates: fn(&T) -> &BTreeMap<String, bool>,
    found: &mut Found,
) -> Result<(), Outcome> {
    let now = facts.case.now;
    let config = match usable(name, source, now, facts.case.settings.state_age_seconds_max) {
        Ok(config) => config,
        Err(finding) => {
            found.unknown(finding);
            return Ok(());
        }
    };
    let age_seconds = source.age_seconds(now).unwrap_or_default();
    found.evidence.push(Evidence { source: name, count: usize::from(config.is_some()), age_seconds });
    let gates = config.as_ref().map(gates).filter(|gates| !gates.is_empty());
    if let Some(gates) = gates {
        let (table, known) = facts.known(&facts.case.matrix.components).map_err(Outcome::unknown)?;
        found.evidence.push(known);
        if table.gates.iter().all(|row| row.minor < target) {
            let detail = "nothing is known of the gates and flags that it takes away";
            found.unknown(Finding::new(Reason::ComponentFactsMissing, target.to_string(), detail));
        }
        let ever = Hop { running: Minor { minor: 0, ..target }, target };
        for (gate, value) in gates {
            judge_gate(table, subject, (gate, *value), ever, found);
        }
    }
    Ok(())
}

/// No kubelet shows which flags it was started with: a person must have looked.
fn flags(facts: &Facts<'_>, table: &Components, hop: Hop, found: &mut Found) {
    let gone: BTreeSet<String> =
        table.flags("kubelet", hop).flat_map(|row| &row.flags).map(|flag| format!("--{flag}")).collect();
    if gone.is_empty() {
        return;
    }
    let gone = gone.into_iter().collect::<Vec<_>>().join(" ");
    let about = |detail| Finding::new(Reason::KubeletFlagsUnseen, "kubelets", detail);
    match facts.case.matrix.policy.value.kubelet_flags_checked {
        Some(checked) if checked >= hop.target => {
            found.notes.push(about(format!("policy.kubelet_flags_checked says that none has {gone}")));
        }
        Some(_) | None => {
            let detail = format!("a kubelet of {} does not start with any of {gone}", hop.target);
            found.unknown(about(detail));
        }
    }
}

fn gates(table: &Components, subject: &str, config: &KubeletConfig, hop: Hop, found: &mut Found) {
    for (gate, value) in &config.feature_gates {
        judge_gate(table, subject, (gate, *value), hop, found);
    }
}

fn unread(node: &NodeName, why: &str, found: &mut Found) {
    found.unknown(Finding::new(Reason::KubeletUnread, node.0.as_str(), why));
}
