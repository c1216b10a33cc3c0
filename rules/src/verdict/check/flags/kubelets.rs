//! The kubelets: what each one that runs says, and what kubeadm will write.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Facts, unreadable_version, usable};
use super::{Found, is_known, judge_gate};
use crate::inventory::{KubeletConfig, KubeletUnread, RunningKubelet};
use crate::matrix::{Components, Hop};
use crate::name::NodeName;
use crate::reason::{Finding, Reason};
use crate::snapshot::Node;
use crate::verdict::Evidence;
use crate::verdict::check::{KUBELET_AGE_SECONDS_MAX, KUBELET_CONFIG_MAP};
use crate::version::Minor;

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
    written(facts, table, oldest, found);
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
        let detail = format!("{} kubelets cannot be asked, {first} for one: {why}", forbidden.len());
        found.unknown(Finding::new(Reason::KubeletForbidden, "nodes/proxy", detail));
    }
}

/// What kubeadm writes on every node while it upgrades it. It can only add to what is in the way: a node may have more.
fn written(facts: &Facts<'_>, table: &Components, hop: Hop, found: &mut Found) {
    let (source, now) = (&facts.case.inventory.kubelet_config, facts.case.now);
    match usable("kubelet_config", source, now, facts.case.settings.state_age_seconds_max) {
        Err(finding) => found.unknown(finding),
        Ok(None) => {}
        Ok(Some(config)) => {
            let age_seconds = source.age_seconds(now).unwrap_or_default();
            found.evidence.push(Evidence { source: "kubelet_config", count: 1, age_seconds });
            gates(table, KUBELET_CONFIG_MAP, config, hop, found);
        }
    }
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
