//! Who writes, and what Helm has stored.

use super::{Question, Tally};
use crate::cluster::inventory::{ApiKind, ApiWrite, ApiWrites, HelmRelease};
use crate::reason::{Finding, Reason};
use crate::words::version::Minor;

/// How many kinds are named that nobody looked for.
const UNASKED_NAMED_MAX: usize = 3;

/// Objects whose writer speaks a version that goes: its next write would fail.
pub(super) fn writes(question: &Question<'_>, seen: &ApiWrites, tally: &mut Tally) {
    let ApiWrites { asked, objects: _, writes } = seen;
    let going = question.table.going(question.newest, question.target);
    let unasked: Vec<String> = going.difference(asked).map(ToString::to_string).collect();
    if !unasked.is_empty() {
        let some = unasked[..unasked.len().min(UNASKED_NAMED_MAX)].join(", ");
        let detail = format!(
            "{} of the kinds that go were not looked for, such as {some}: those of the next minor are, as it was then",
            unasked.len()
        );
        tally.unknowns.push(Finding::new(Reason::SourceUnreadable, "api_writes", detail));
    }
    for write in writes {
        let ApiWrite { api, manager, time, object, count } = write;
        let of_control_plane = question.table.ignored_writers.iter().any(|writer| writer.manager == *manager);
        if of_control_plane || question.policy.ignored_api_writers.contains(manager) {
            continue;
        }
        let when = time.map(|time| format!(" at {time}")).unwrap_or_default();
        let detail = format!("{manager} wrote {count} of them, {object} last{when}");
        record(question, api, Reason::ApiWritten, api.to_string(), &detail, tally);
    }
}

/// Releases of Helm: it reads the stored manifest before it writes the next, and fails on what is not served.
pub(super) fn manifests(question: &Question<'_>, releases: &[HelmRelease], tally: &mut Tally) {
    for release in releases {
        for api in &release.kinds {
            let HelmRelease { namespace, name, chart, chart_version, .. } = release;
            let detail = format!("{api} from the chart {chart} {chart_version}");
            record(question, api, Reason::ApiInManifest, format!("{namespace}/{name}"), &detail, tally);
        }
    }
}

fn record(
    question: &Question<'_>,
    api: &ApiKind,
    reason: Reason,
    subject: String,
    detail: &str,
    tally: &mut Tally,
) {
    let ApiKind { group, version, kind } = api;
    let Some(removed) = question.table.of_kind(group, version, kind).map(|api| api.removed) else { return };
    let about =
        |reason, minor: Minor| Finding::new(reason, subject, format!("{detail}; {minor} does not serve it"));
    if question.takes_away(removed) {
        tally.blockers.push(about(reason, removed));
    } else if removed <= question.newest {
        // The upgrade takes nothing away that is not gone already.
        tally.notes.push(about(Reason::ApiGone, removed));
    }
}
