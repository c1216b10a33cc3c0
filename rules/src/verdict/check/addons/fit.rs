//! What it means for an upgrade that an add-on is there in some version.

use super::super::kernel::branch;
use super::{Question, Tally};
use crate::facts::{
    Addon, AddonVersion, Beyond, Claim, Coverage, Fit, Lifecycle, NewerKubernetes, OutsideTested, Requires,
};
use crate::reason::{Finding, Reason};
use crate::words::version::Minor;

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
            let newest = addon.support.newest_like(version);
            let newest = newest.map_or_else(String::new, |newest| newest.to_string());
            let detail = format!("{version}, the newest that is known is {newest}");
            let list = unless_it_runs(question, &mut tally.unknowns, &mut tally.notes);
            list.push(about(addon, Reason::AddonNewerThanMatrix, &detail));
        }
        Coverage::Older => older(addon, version, question, tally),
        Coverage::Known(fit) => known(addon, version, &fit, question, tally),
    }
}

/// Nothing is known of it: it is judged as the oldest release that is known would be where that is outside its range. A
/// vendor that states no newest minor rules out nothing above, and what it asks for at least only rises with its releases.
fn older(addon: &Addon, version: AddonVersion, question: &Question<'_>, tally: &mut Tally) {
    let Question { running, target, .. } = question;
    let finding = |reason, what: String| {
        let said = format!("{version} is older than every row, {target} is asked for");
        about(addon, reason, &format!("{said}; {what}"))
    };
    if question.beyond == Beyond::Note {
        let what = format!("{running} runs already");
        return tally.notes.push(finding(Reason::AddonOlderThanMatrix, what));
    }
    conditions(addon, version, question, tally);
    let claim = addon.support.claim;
    // Where the oldest that is known ends before the target, an older one does so too.
    let oldest = addon.support.known().first().map(|oldest| addon.support.of(*oldest));
    let ends_before =
        matches!(oldest, Some(Coverage::Known(fit)) if fit.max.is_some_and(|max| max < *target));
    let is_ruled_out = claim.binds() && (addon.support.has_ceiling || ends_before);
    // Where nothing is ruled out, nothing else would ask whether such a word counts at all.
    if !is_ruled_out && !is_accepted(addon, version, claim, question, tally) {
        return;
    }
    let is_known = smallest(addon, version, &question.both()).is_some();
    if is_ruled_out && !is_known && addon.lifecycle == Lifecycle::Active {
        let what = format!("no known release fits {running} and {target}");
        return tally.unknowns.push(finding(Reason::AddonOlderThanMatrix, what));
    }
    outgrown(addon, version, is_ruled_out, question, finding, tally);
}

fn known(addon: &Addon, version: AddonVersion, fit: &Fit, question: &Question<'_>, tally: &mut Tally) {
    conditions(addon, version, question, tally);
    // Outside its range nothing is ruled out, so nothing else would ask whether such a word counts at all.
    if !fit.claim.binds() && !is_accepted(addon, version, fit.claim, question, tally) {
        return;
    }
    let is_too_new = |min: &Minor| question.must_fit(addon).any(|minor| minor < *min);
    let floor = fit.min.filter(is_too_new);
    if let Some(min) = floor {
        below(addon, version, fit, min, question, tally);
    }
    let ceiling = fit.max.filter(|max| *max < question.target);
    if let Some(max) = ceiling {
        beyond(addon, version, fit, max, question, tally);
    }
    if floor.is_none() && ceiling.is_none() {
        fitting(addon, version, fit, question, tally);
    }
}

/// Whether the vendor's claim may let it pass; if not, that is told.
fn is_accepted(
    addon: &Addon,
    version: AddonVersion,
    claim: Claim,
    question: &Question<'_>,
    tally: &mut Tally,
) -> bool {
    let is_accepted = question.policy.accept_claims.contains(&claim);
    if !is_accepted {
        let detail = format!("{version}: its vendor's claim is {:?}", claim.word());
        let list = unless_it_runs(question, &mut tally.unknowns, &mut tally.notes);
        list.push(about(addon, Reason::AddonClaimNotAccepted, &detail));
    }
    is_accepted
}

/// It fits. Only a claim that is accepted may let it pass.
fn fitting(addon: &Addon, version: AddonVersion, fit: &Fit, question: &Question<'_>, tally: &mut Tally) {
    if fit.claim.binds() && !is_accepted(addon, version, fit.claim, question, tally) {
        return;
    }
    let note = |reason, detail: String| about(addon, reason, &detail);
    if fit.max.is_none() {
        tally.notes.push(note(Reason::AddonNoCeiling, version.to_string()));
    }
    if let Lifecycle::Retired { replacement } = &addon.lifecycle {
        let detail = format!("{version} still fits {}; replace it by {replacement}", question.target);
        tally.notes.push(note(Reason::AddonRetired, detail));
    }
}

/// What it asks of a cluster beside the minor, wherever its window ends: who accepts the one has not seen the other.
fn conditions(addon: &Addon, version: AddonVersion, question: &Question<'_>, tally: &mut Tally) {
    let Requires { kernel, os_table } = &addon.requires;
    if *os_table {
        let detail = "its window differs between operating systems";
        tally.notes.push(about(addon, Reason::AddonCondition, detail));
    }
    if let Some(oldest) = kernel.of(version) {
        on_kernels(addon, oldest, question, tally);
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
        let kernel = &addon.requires.kernel;
        let source = kernel.source.as_ref().unwrap_or(&addon.source);
        let detail =
            format!("{} runs {}, it asks for {oldest} or newer ({source})", node.name, node.kernel_version);
        let is_like = kernel.like.iter().any(|build| node.kernel_version.contains(build));
        let told = |reason| Finding::new(reason, &addon.name, detail.clone());
        match branch(&node.kernel_version) {
            Some(runs) if runs >= oldest || is_like => {}
            Some(_) => unless_it_runs(question, &mut tally.blockers, &mut tally.notes)
                .push(told(Reason::AddonKernelTooOld)),
            None => unless_it_runs(question, &mut tally.unknowns, &mut tally.notes)
                .push(told(Reason::KernelUnknown)),
        }
    }
}

/// It is too new for what runs, or for what is asked for.
fn below(
    addon: &Addon,
    version: AddonVersion,
    fit: &Fit,
    min: Minor,
    question: &Question<'_>,
    tally: &mut Tally,
) {
    let Question { running, target, policy, .. } = question;
    if addon.detection.of_kubeadm {
        return tally.blockers.push(ahead_of_kubeadm(addon, version, *target));
    }
    let other = addon.support.fitting(&question.both()).last();
    if fit.claim.binds() {
        let hint = other.map_or_else(
            || format!("no known release fits both: {running} has to be left on the way that the plan shows"),
            |other| format!("{other} fits both"),
        );
        let detail =
            format!("{version} needs Kubernetes {min}, {running} runs and {target} is asked for; {hint}");
        return tally.blockers.push(about(addon, Reason::AddonNeedsNewerKubernetes, &detail));
    }
    let said = format!("{version} {}, {running} runs and {target} is asked for", range(fit));
    if fit.admits(*target) || question.beyond == Beyond::Note {
        let detail = format!("{said}: the step leads no further away from that");
        return tally.notes.push(about(addon, Reason::AddonUntested, &detail));
    }
    let hint = other.map_or_else(
        || "no known release is for both".to_owned(),
        |other| format!("{other} is for both, if you can go back to it"),
    );
    let list = outside(policy.outside_tested, tally);
    list.push(about(addon, Reason::AddonUntested, &format!("{said}; {hint}")));
}

/// It is newer than the one that the target's kubeadm brings: kubeadm refuses to replace it.
fn ahead_of_kubeadm(addon: &Addon, version: AddonVersion, target: Minor) -> Finding {
    let other = addon.support.fitting(&[target]).last();
    let back =
        other.map_or_else(String::new, |other| format!("go back to one that it does, such as {other}, or "));
    let detail = format!(
        "kubeadm of {target} does not upgrade from {version}; {back}upgrade it yourself from now on: skipPhases addon/{}, \
         ignorePreflightErrors CoreDNSMigration and CoreDNSUnsupportedPlugins, and accept this",
        addon.detection.resource
    );
    about(addon, Reason::AddonNeedsNewerKubernetes, &detail)
}

/// What a vendor says of a release without ruling anything out.
fn range(fit: &Fit) -> String {
    let does = match fit.claim {
        Claim::Tested => "was tested with",
        Claim::Expected => "is expected to work with",
        Claim::ClientGo => "is built for",
        Claim::Supported | Claim::MinOnly | Claim::None => "fits",
    };
    match (fit.min, fit.max) {
        (Some(min), Some(max)) if min == max => format!("{does} Kubernetes {max}"),
        (Some(min), Some(max)) => format!("{does} Kubernetes {min} to {max}"),
        (Some(min), None) => format!("{does} Kubernetes {min} and newer"),
        (None, Some(max)) => format!("{does} Kubernetes up to {max}"),
        (None, None) => format!("{does} Kubernetes"),
    }
}

/// Where a finding belongs that says no more than that nobody has tried it.
fn outside(policy: OutsideTested, tally: &mut Tally) -> &mut Vec<Finding> {
    match policy {
        OutsideTested::Hold => &mut tally.holds,
        OutsideTested::Note => &mut tally.notes,
        OutsideTested::Block => &mut tally.blockers,
    }
}

/// The target is beyond its ceiling.
fn beyond(
    addon: &Addon,
    version: AddonVersion,
    fit: &Fit,
    max: Minor,
    question: &Question<'_>,
    tally: &mut Tally,
) {
    let target = question.target;
    let is_ruled_out = fit.claim.binds();
    let finding = |reason, what: String| {
        let said = if is_ruled_out { format!("fits up to {max}") } else { range(fit) };
        about(addon, reason, &format!("{version} {said}, {target} is asked for; {what}"))
    };
    if question.beyond == Beyond::Note {
        let what = format!("{} runs already", question.running);
        return tally.notes.push(finding(Reason::AddonBeyondCeiling, what));
    }
    outgrown(addon, version, is_ruled_out, question, finding, tally);
}

/// The target is beyond what is known of it.
fn outgrown(
    addon: &Addon,
    version: AddonVersion,
    is_ruled_out: bool,
    question: &Question<'_>,
    finding: impl Fn(Reason, String) -> Finding,
    tally: &mut Tally,
) {
    let enough = smallest(addon, version, &question.both());
    let remedy = enough.map(|enough| format!("upgrade it to >= {enough}"));
    let policy = question.policy;
    let is_noted = !is_ruled_out && policy.outside_tested == OutsideTested::Note;
    let told = match (&addon.lifecycle, &addon.pin, remedy) {
        // Nobody will ever test it with more than that.
        (Lifecycle::Retired { replacement }, _, remedy) => {
            let remedy = remedy.map_or_else(String::new, |remedy| format!("{remedy}, and "));
            let what = format!("{remedy}replace it by {replacement}");
            (&mut tally.blockers, finding(Reason::AddonRetired, what))
        }
        (Lifecycle::Active, Some(pin), remedy) if !is_noted => {
            let who = format!("{} pinned it until {}: {}", pin.by, pin.until, pin.reason);
            let what = remedy.map_or_else(|| who.clone(), |remedy| format!("{who}; {remedy}"));
            if addon.is_pinned(question.today) {
                (&mut tally.holds, finding(Reason::AddonPinned, what))
            } else {
                (&mut tally.blockers, finding(Reason::AddonPinExpired, what))
            }
        }
        (Lifecycle::Active, _, remedy) if !is_ruled_out => {
            let what = remedy.unwrap_or_else(|| waits(addon, version, question));
            let found = finding(Reason::AddonUntested, what);
            (outside(policy.outside_tested, tally), found)
        }
        (Lifecycle::Active, _, Some(remedy)) => {
            (&mut tally.blockers, finding(Reason::AddonUpgradeNeeded, remedy))
        }
        (Lifecycle::Active, _, None) => {
            (&mut tally.holds, finding(addon.waiting(), waits(addon, version, question)))
        }
    };
    let (list, finding) = told;
    let list = match policy.newer_k8s_than_row {
        NewerKubernetes::Block => list,
        NewerKubernetes::Unknown => &mut tally.unknowns,
    };
    list.push(finding);
}

/// What is missing where no release is for both minors.
fn waits(addon: &Addon, version: AddonVersion, question: &Question<'_>) -> String {
    let Question { running, target, .. } = question;
    smallest(addon, version, &[*target]).map_or_else(
        || "no known release does".to_owned(),
        |later| format!("{later} does but not {running}: a release that fits both is missing"),
    )
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

    /// The minors that this add-on must fit. What kubeadm upgrades with the control plane runs already.
    fn must_fit(&self, addon: &Addon) -> impl Iterator<Item = Minor> {
        self.both().into_iter().skip(usize::from(addon.detection.of_kubeadm))
    }
}
