//! Who writes, and what Helm has stored.

use super::{Question, Testimony};
use crate::inventory::{ApiKind, ApiWrite, HelmRelease};
use crate::reason::{Finding, Reason};
use crate::version::Minor;

/// Objects whose writer speaks a version that goes: its next write would fail.
pub(super) fn writes(question: &Question<'_>, writes: &[ApiWrite], said: &mut Testimony) {
    for write in writes {
        let ApiWrite { api, manager, time, object, count } = write;
        let ignored = [&question.table.ignored_writers, &question.policy.ignored_api_writers];
        if ignored.into_iter().any(|managers| managers.contains(manager)) {
            continue;
        }
        let when = time.map(|time| format!(" at {time}")).unwrap_or_default();
        let detail = format!("{manager} wrote {count} of them, {object} last{when}");
        say(question, api, Reason::ApiWritten, api.to_string(), &detail, said);
    }
}

/// Releases of Helm: it reads the stored manifest before it writes the next, and fails on what is not served.
pub(super) fn manifests(question: &Question<'_>, releases: &[HelmRelease], said: &mut Testimony) {
    for release in releases {
        for api in &release.kinds {
            let HelmRelease { namespace, name, chart, chart_version, .. } = release;
            let detail = format!("{api} from the chart {chart} {chart_version}");
            say(question, api, Reason::ApiInManifest, format!("{namespace}/{name}"), &detail, said);
        }
    }
}

fn say(
    question: &Question<'_>,
    api: &ApiKind,
    reason: Reason,
    subject: String,
    detail: &str,
    said: &mut Testimony,
) {
    let ApiKind { group, version, kind } = api;
    let Some(removed) = question.table.of_kind(group, version, kind).map(|api| api.removed) else { return };
    let about =
        |reason, minor: Minor| Finding::new(reason, subject, format!("{detail}; {minor} does not serve it"));
    if question.takes_away(removed) {
        said.blockers.push(about(reason, removed));
    } else if removed <= question.newest {
        // The upgrade takes nothing away that is not gone already.
        said.notes.push(about(Reason::ApiGone, removed));
    }
}
