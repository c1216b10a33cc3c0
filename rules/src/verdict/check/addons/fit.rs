//! What it means for an upgrade that an add-on is there in some version.

use super::{Question, Tally};
use crate::matrix::{
    Addon, AddonVersion, Beyond, Coverage, Fit, Lifecycle, NewerAddon, NewerKubernetes, Requires,
};
use crate::reason::{Finding, Reason};
use crate::version::Minor;

pub(super) fn judge(addon: &Addon, version: AddonVersion, question: &Question<'_>, tally: &mut Tally) {
    let coverage = match (addon.support.of(version), question.policy.newer_addon_than_matrix) {
        (Coverage::Newer, NewerAddon::AssumeHighest) => addon.support.of_newest(),
        (coverage, _) => coverage,
    };
    match coverage {
        Coverage::Newer => {
            let newest = addon.support.newest().map_or_else(String::new, |newest| newest.to_string());
            let detail = format!("{version}, the newest that is known is {newest}");
            tally.unknowns.push(Finding::new(Reason::AddonNewerThanMatrix, &addon.name, detail));
        }
        Coverage::Older => older(addon, version, question, tally),
        Coverage::Known(fit) => known(addon, version, &fit, question, tally),
    }
}

/// Nothing is known of it, but perhaps of a newer one.
fn older(addon: &Addon, version: AddonVersion, question: &Question<'_>, tally: &mut Tally) {
    match smallest(addon, version, &question.both()) {
        Some(enough) => {
            let detail = format!(
                "{version} is older than every row; upgrade it to >= {enough}, which fits {} and {}",
                question.running, question.target
            );
            tally.blockers.push(Finding::new(Reason::AddonUpgradeNeeded, &addon.name, detail));
        }
        None => {
            let detail =
                format!("{version}; no known release fits {} and {}", question.running, question.target);
            tally.unknowns.push(Finding::new(Reason::AddonOlderThanMatrix, &addon.name, detail));
        }
    }
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
    let note = |reason, detail: String| Finding::new(reason, &addon.name, detail);
    if !question.policy.accept_claims.contains(&fit.claim) {
        let detail = format!("{version}: its vendor's claim is {:?}; {}", fit.claim.word(), addon.source);
        return tally.unknowns.push(note(Reason::AddonClaimNotAccepted, detail));
    }
    if fit.max.is_none() {
        tally.notes.push(note(Reason::AddonNoCeiling, format!("{version}; {}", addon.source)));
    }
    if let Lifecycle::Retired { replacement } = &addon.lifecycle {
        let detail = format!("{version} still fits {}; replace it by {replacement}", question.target);
        tally.notes.push(note(Reason::AddonRetired, detail));
    }
    let Requires { kernel, os_table } = &addon.requires;
    if let Some(kernel) = kernel {
        tally.notes.push(note(Reason::AddonCondition, format!("it asks for a kernel {kernel}")));
    }
    if *os_table {
        let detail = format!("its window differs between operating systems: {}", addon.source);
        tally.notes.push(note(Reason::AddonCondition, detail));
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
    Finding::new(Reason::AddonNeedsNewerKubernetes, &addon.name, detail)
}

/// The target is beyond its ceiling.
fn beyond(addon: &Addon, version: AddonVersion, max: Minor, question: &Question<'_>, tally: &mut Tally) {
    let target = question.target;
    let finding = |reason, what: String| {
        let detail = format!("{version} fits up to {max}, {target} is asked for; {what}");
        Finding::new(reason, &addon.name, detail)
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
                || format!("no known release does; {}", addon.source),
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
