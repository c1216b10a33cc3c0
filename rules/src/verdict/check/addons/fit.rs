//! What it means for an upgrade that an add-on is there in some version.

use super::super::kernel::branch;
use super::{Question, Tally};
use crate::matrix::{Addon, AddonVersion, Beyond, Coverage, Fit, Lifecycle, NewerKubernetes, Requires};
use crate::reason::{Finding, Reason};
use crate::version::Minor;

/// What is found of an add-on, with the page that tells its window.
pub(super) fn about(addon: &Addon, reason: Reason, detail: &str) -> Finding {
    Finding::new(reason, &addon.name, format!("{detail} ({})", addon.source))
}

/// Where a finding belongs that says no more than that nobody vouches for what runs already: the step at hand changes
/// nothing of it.
pub(super) fn unless_it_runs<'a>(
    question: &Question<'_>,
    class: &'a mut Vec<Finding>,
    notes: &'a mut Vec<Finding>,
) -> &'a mut Vec<Finding> {
    match question.beyond {
        Beyond::Judge => class,
        Beyond::Note => notes,
    }
}

pub(super) fn judge(addon: &Addon, version: AddonVersion, question: &Question<'_>, tally: &mut Tally) {
    match question.policy.coverage(&addon.support, version) {
        Coverage::Newer => {
            let newest = addon.support.newest().map_or_else(String::new, |newest| newest.to_string());
            let detail = format!("{version}, the newest that is known is {newest}");
            let list = unless_it_runs(question, &mut tally.unknowns, &mut tally.notes);
            list.push(about(addon, Reason::AddonNewerThanMatrix, &detail));
        }
        Coverage::Older => older(addon, version, question, tally),
        Coverage::Known(fit) => known(addon, version, &fit, question, tally),
    }
}

/// Nothing is known of it, but perhaps of a newer one.
fn older(addon: &Addon, version: AddonVersion, question: &Question<'_>, tally: &mut Tally) {
    let Question { running, target, beyond, .. } = question;
    let (list, reason, what) = match (beyond, smallest(addon, version, &question.both())) {
        (Beyond::Note, _) => {
            (&mut tally.notes, Reason::AddonOlderThanMatrix, format!("{running} runs already"))
        }
        (Beyond::Judge, Some(enough)) => {
            let what = format!("upgrade it to >= {enough}, which fits {running} and {target}");
            (&mut tally.blockers, Reason::AddonUpgradeNeeded, what)
        }
        (Beyond::Judge, None) => {
            let what = format!("no known release fits {running} and {target}");
            (&mut tally.unknowns, Reason::AddonOlderThanMatrix, what)
        }
    };
    list.push(about(addon, reason, &format!("{version} is older than every row; {what}")));
}

fn known(addon: &Addon, version: AddonVersion, fit: &Fit, question: &Question<'_>, tally: &mut Tally) {
    let floor = fit.min.filter(|min| question.running < *min || question.target < *min);
    if let Some(min) = floor {
        tally.blockers.push(too_new(addon, version, min, question));
    }
    let ceiling = fit.max.filter(|max| *max < question.target);
    if let Some(max) = ceiling {
        beyond(addon, version, max, question, tally);
    }
    if floor.is_none() && ceiling.is_none() {
        fitting(addon, version, fit, question, tally);
    }
}

/// It fits. Only a claim that is accepted may let it pass.
fn fitting(addon: &Addon, version: AddonVersion, fit: &Fit, question: &Question<'_>, tally: &mut Tally) {
    let note = |reason, detail: String| about(addon, reason, &detail);
    if !question.policy.accept_claims.contains(&fit.claim) {
        let detail = format!("{version}: its vendor's claim is {:?}", fit.claim.word());
        let list = unless_it_runs(question, &mut tally.unknowns, &mut tally.notes);
        return list.push(note(Reason::AddonClaimNotAccepted, detail));
    }
    if fit.max.is_none() {
        tally.notes.push(note(Reason::AddonNoCeiling, version.to_string()));
    }
    if let Lifecycle::Retired { replacement } = &addon.lifecycle {
        let detail = format!("{version} still fits {}; replace it by {replacement}", question.target);
        tally.notes.push(note(Reason::AddonRetired, detail));
    }
    let Requires { kernel, os_table } = &addon.requires;
    if *os_table {
        let detail = "its window differs between operating systems".to_owned();
        tally.notes.push(note(Reason::AddonCondition, detail));
    }
    if let Some(kernel) = kernel {
        on_kernels(addon, *kernel, question, tally);
    }
}

/// It works on the kernel of every node, or the step at hand changes nothing of it.
fn on_kernels(addon: &Addon, oldest: Minor, question: &Question<'_>, tally: &mut Tally) {
    let nodes = match &question.nodes {
        Ok(nodes) => nodes,
        Err(finding) => {
            unless_it_runs(question, &mut tally.unknowns, &mut tally.notes).push(finding.clone());
            return;
        }
    };
    for node in *nodes {
        let detail = format!("{} runs {}, it asks for {oldest} or newer", node.name, node.kernel_version);
        match branch(&node.kernel_version) {
            Some(runs) if runs >= oldest => {}
            Some(_) => unless_it_runs(question, &mut tally.blockers, &mut tally.notes).push(about(
                addon,
                Reason::AddonKernelTooOld,
                &detail,
            )),
            None => unless_it_runs(question, &mut tally.unknowns, &mut tally.notes).push(about(
                addon,
                Reason::KernelUnknown,
                &detail,
            )),
        }
    }
}

/// It is too new for what runs, or for what is asked for.
fn too_new(addon: &Addon, version: AddonVersion, min: Minor, question: &Question<'_>) -> Finding {
    let Question { running, target, .. } = question;
    let other = addon.support.fitting(&question.both()).last();
    let hint = other.map_or_else(
        || format!("no known release fits both: {running} has to be left on the way that the plan shows"),
        |other| format!("{other} fits both"),
    );
    let detail =
        format!("{version} needs Kubernetes {min}, {running} runs and {target} is asked for; {hint}");
    about(addon, Reason::AddonNeedsNewerKubernetes, &detail)
}

/// The target is beyond its ceiling.
fn beyond(addon: &Addon, version: AddonVersion, max: Minor, question: &Question<'_>, tally: &mut Tally) {
    let target = question.target;
    let finding = |reason, what: String| {
        let detail = format!("{version} fits up to {max}, {target} is asked for; {what}");
        about(addon, reason, &detail)
    };
    if question.beyond == Beyond::Note {
        let what = format!("{} runs already", question.running);
        return tally.notes.push(finding(Reason::AddonBeyondCeiling, what));
    }
    let enough = smallest(addon, version, &question.both());
    let remedy = enough.map(|enough| format!("upgrade it to >= {enough}"));
    let told = match (&addon.lifecycle, &addon.pin, remedy) {
        (Lifecycle::Retired { replacement }, _, _) => {
            (&mut tally.blockers, finding(Reason::AddonRetired, format!("replace it by {replacement}")))
        }
        (Lifecycle::Active, Some(pin), remedy) => {
            let who = format!("{} pinned it until {}: {}", pin.by, pin.until, pin.reason);
            let what = remedy.map_or_else(|| who.clone(), |remedy| format!("{who}; {remedy}"));
            if addon.is_pinned(question.today) {
                (&mut tally.holds, finding(Reason::AddonPinned, what))
            } else {
                (&mut tally.blockers, finding(Reason::AddonPinExpired, what))
            }
        }
        (Lifecycle::Active, None, Some(remedy)) => {
            (&mut tally.blockers, finding(Reason::AddonUpgradeNeeded, remedy))
        }
        (Lifecycle::Active, None, None) => {
            let later = smallest(addon, version, &[target]);
            let what = later.map_or_else(
                || "no known release does".to_owned(),
                |later| {
                    format!("{later} does but not {}: a release that fits both is missing", question.running)
                },
            );
            (&mut tally.holds, finding(addon.waiting(), what))
        }
    };
    let (list, finding) = match question.policy.newer_k8s_than_row {
        NewerKubernetes::Block => told,
        NewerKubernetes::Unknown => (&mut tally.unknowns, told.1),
    };
    list.push(finding);
}

/// The oldest newer release that is known to fit every one of these minors.
fn smallest(addon: &Addon, version: AddonVersion, minors: &[Minor]) -> Option<AddonVersion> {
    addon.support.fitting(minors).find(|known| *known > version)
}

impl Question<'_> {
    /// The minors that an add-on must fit: it is there before the step and after it.
    fn both(&self) -> [Minor; 2] {
        [self.running, self.target]
    }
}
