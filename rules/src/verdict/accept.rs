//! What a person accepts becomes a note, after all checks are made. Nothing else changes: what could not be read stays
//! unknown, and a check passes only if nothing else stands in its way.

use super::{Case, Check, Status};
use crate::facts::Accept;
use crate::reason::{Finding, Reason};

/// The check of the accepts themselves, which gets the notes on those that mean nothing.
const OWN_CHECK: &str = "accept";

/// The checks with what is accepted taken out of their way.
pub(super) fn apply(checks: Vec<Check>, case: &Case<'_>) -> Vec<Check> {
    let accepts: Vec<&Accept> = case.matrix.accept.value.0.iter().filter(|one| one.holds(case.now)).collect();
    let mut used = vec![false; accepts.len()];
    let mut checks: Vec<Check> =
        checks.into_iter().map(|check| without(check, &accepts, &mut used)).collect();
    let unused = accepts.iter().zip(used).filter(|(_, is_used)| !is_used).map(|(accept, _)| unused(accept));
    if let Some(own) = checks.iter_mut().find(|check| check.id == OWN_CHECK) {
        own.notes.extend(unused);
    }
    checks
}

fn without(check: Check, accepts: &[&Accept], used: &mut [bool]) -> Check {
    if check.is_final {
        return check;
    }
    let Check { id, status, findings, classes, mut notes, .. } = check;
    let found = findings.len();
    let (mut left, mut left_classes) = (Vec::new(), Vec::new());
    for (class, finding) in classes.into_iter().zip(findings) {
        let accepted = match class {
            Status::Block | Status::Hold => accept(id, &finding, accepts, used),
            // Nobody can accept what nobody knows.
            Status::Unknown | Status::Pass => None,
        };
        match accepted {
            Some(accept) => notes.push(noted(finding, accept)),
            None => {
                left.push(finding);
                left_classes.push(class);
            }
        }
    }
    let is_changed = left.len() < found;
    let status = if is_changed { left_classes.iter().copied().max().unwrap_or(Status::Pass) } else { status };
    Check { status, findings: left, classes: left_classes, notes, ..check }
}

/// The first row that means a finding; each that does is used.
fn accept<'a>(
    check: &str,
    finding: &Finding,
    accepts: &[&'a Accept],
    used: &mut [bool],
) -> Option<&'a Accept> {
    let mut first = None;
    for (accept, used) in accepts.iter().zip(used).filter(|(accept, _)| accept.means(check, finding)) {
        *used = true;
        first = first.or(Some(*accept));
    }
    first
}

fn noted(finding: Finding, accept: &Accept) -> Finding {
    let Accept { why, by, until, .. } = accept;
    let Finding { reason, subject, detail, words: _ } = finding;
    Finding::new(reason, subject, format!("{detail}; accepted by {by} until {until}: {why}"))
}

fn unused(accept: &Accept) -> Finding {
    let Accept { check, subject, by, until, .. } = accept;
    let what = format!(
        "{check} finds no {} about it; {by} accepts it until {until}",
        match accept.code() {
            "" => "finding",
            code => code,
        }
    );
    Finding::new(Reason::AcceptUnused, subject.clone(), what)
}

#[cfg(test)]
pub(super) mod tests;
