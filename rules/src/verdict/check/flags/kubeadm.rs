//! What kubeadm keeps of the cluster: the target's kubeadm must read it.

use super::super::{Facts, KUBEADM_CONFIG_MAP, usable};
use super::Found;
use crate::facts::{Components, Format};
use crate::reason::{Finding, Reason};
use crate::verdict::Evidence;
use crate::words::version::Minor;

/// Asked where the minor changes: a kubeadm of the minor that runs has read it. Whatever has gone by the target is told,
/// however long ago.
pub(super) fn judge(facts: &Facts<'_>, table: &Components, target: Minor, found: &mut Found) {
    let Some(source) = &facts.case.inventory.kubeadm_config else { return };
    let now = facts.case.now;
    let config = match usable("kubeadm_config", source, now, facts.case.settings.state_age_seconds_max) {
        Ok(config) => config,
        Err(finding) => return found.unknown(finding),
    };
    let age_seconds = source.age_seconds(now).unwrap_or_default();
    let count = usize::from(config.is_some());
    found.evidence.push(Evidence { source: "kubeadm_config", count, age_seconds });
    let Some(config) = config else { return };
    let name = &config.api_version;
    let about = |detail| Finding::new(Reason::KubeadmConfigUnreadable, KUBEADM_CONFIG_MAP, detail);
    match table.kubeadm.formats.iter().find(|row| row.name == *name) {
        None => found.unknown(about(format!("nothing is known of its format {name}"))),
        Some(Format { removed: Some(removed), source, .. }) if *removed <= target => {
            found.blockers.push(about(format!("its format {name} is gone in {removed} ({source})")));
        }
        Some(_) => {}
    }
    let gone = table.kubeadm.gates.iter().filter(|row| row.removed <= target);
    for row in gone.filter(|row| config.feature_gates.contains_key(&row.name)) {
        let detail = format!("{} is set; the gate is gone in {} ({})", row.name, row.removed, row.source);
        found.notes.push(Finding::new(Reason::KubeadmGateUnknown, KUBEADM_CONFIG_MAP, detail));
    }
}
