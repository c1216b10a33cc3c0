//! Nobody uses an API that the target does not serve.
//!
//! Three sources: who asks (Prometheus), who writes (`managedFields`), what Helm has stored. An API that nobody has
//! asked for is in order only if every API server was watched for the whole window, and one that nobody has written
//! only if somebody looked for it. Helm is heard only where the operator wants it: its releases lie in Secrets.
//!
//! ```text
//!   newest API server      target
//!   ───────┼──────────────────┼──────▶ minors
//!    gone  │  in the way      │ later       (what the API server that runs was asked for is in the way
//!          │                  │              of every target that does not serve it)
//! ```
//!
//! Sources: <https://kubernetes.io/docs/reference/using-api/deprecation-guide/>,
//! <https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/1693-warnings>.

mod requests;
mod stored;
#[cfg(test)]
mod tests;

use super::{Facts, Outcome, POLLED_AGE_SECONDS_MAX, usable};
use crate::cluster::snapshot::{ApiServer, Source};
use crate::facts::{HelmManifests, Policy, RemovedApi, RemovedApis};
use crate::reason::{Finding, Reason};
use crate::verdict::{Case, Evidence};
use crate::words::version::Minor;

/// For how many minors an API is marked as deprecated before it goes as declared.
const MARKED_MINORS: u64 = 3;

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    judge(facts).unwrap_or_else(|unknown| unknown)
}

/// What is asked of every source.
struct Question<'a> {
    target: Minor,
    /// The newest minor of the API servers.
    newest: Minor,
    table: &'a RemovedApis,
    policy: &'a Policy,
}

/// What the sources say.
#[derive(Default)]
struct Tally {
    evidence: Vec<Evidence>,
    blockers: Vec<Finding>,
    holds: Vec<Finding>,
    unknowns: Vec<Finding>,
    notes: Vec<Finding>,
}

fn judge(facts: &Facts<'_>) -> Result<Outcome, Outcome> {
    let Case { snapshot, inventory, matrix, .. } = facts.case;
    let target = facts.version()?.minor();
    let (table, known) = facts.known(&matrix.removed_apis).map_err(Outcome::unknown)?;
    let (servers, read) = facts.state("api_servers", &snapshot.api_servers).map_err(Outcome::unknown)?;
    let mut tally = Tally { evidence: vec![read], ..Tally::default() };
    let newest = newest(servers, &mut tally).ok_or_else(|| {
        Outcome::unknown(Finding::new(Reason::SourceUnreadable, "api_servers", "no version can be read"))
    })?;
    let question = Question { target, newest, table, policy: &matrix.policy.value };
    if let Some(requests) = tally.read("api_requests", &inventory.api_requests, facts, |it| it.servers.len())
    {
        requests::proven(facts, &question, requests, &mut tally);
        requests::judge(&question, requests, &mut tally);
    }
    tally.notes.extend(question.unmarked());
    if let Some(writes) = tally.read("api_writes", &inventory.api_writes, facts, |it| it.objects) {
        stored::writes(&question, writes, &mut tally);
    }
    match question.policy.helm_manifests {
        HelmManifests::Note => tally.notes.push(Finding::new(
            Reason::HelmNotRead,
            "manifests",
            "policy.helm_manifests: required has them read",
        )),
        HelmManifests::Required => {
            let unread = Source::unread();
            let manifests = inventory.manifests.as_ref().unwrap_or(&unread);
            if let Some(releases) = tally.read("manifests", manifests, facts, Vec::len) {
                if releases.is_empty() {
                    let detail = "no release is in any Secret: Helm may keep them elsewhere";
                    tally.unknowns.push(Finding::new(Reason::HelmNotFound, "manifests", detail));
                }
                stored::manifests(&question, releases, &mut tally);
            }
        }
    }
    let Tally { evidence, blockers, holds, unknowns, notes } = tally;
    Ok(Outcome::weigh(known, evidence, [blockers, holds, unknowns]).noting(notes))
}

/// The newest minor that serves. A version that cannot be read may be a newer one.
fn newest(servers: &[ApiServer], tally: &mut Tally) -> Option<Minor> {
    let mut minors = Vec::new();
    for server in servers {
        match &server.version {
            Ok(version) => minors.push(version.minor()),
            Err(written) => tally.unknowns.push(super::unreadable_version(&server.name, written)),
        }
    }
    minors.into_iter().max()
}

impl Tally {
    /// A source, with its evidence; one that is lost is unknown.
    fn read<'a, T>(
        &mut self,
        name: &'static str,
        source: &'a Source<T>,
        facts: &Facts<'_>,
        count: impl Fn(&T) -> usize,
    ) -> Option<&'a T> {
        let now = facts.case.now;
        match usable(name, source, now, POLLED_AGE_SECONDS_MAX) {
            Ok(value) => {
                let age_seconds = source.age_seconds(now).unwrap_or_default();
                self.evidence.push(Evidence { source: name, count: count(value), age_seconds });
                Some(value)
            }
            Err(finding) => {
                self.unknowns.push(finding);
                None
            }
        }
    }
}

impl Question<'_> {
    /// Whether the way to the target takes away what goes with this minor.
    fn takes_away(&self, removed: Minor) -> bool {
        self.newest < removed && removed <= self.target
    }

    /// What goes although the API server that runs has not marked it as deprecated yet: it counts nobody who asks.
    fn unmarked(&self) -> impl Iterator<Item = Finding> {
        let is_early = |api: &&RemovedApi| {
            let marked = self.newest.minor.saturating_add(MARKED_MINORS);
            marked < api.declared.minor && self.takes_away(api.removed)
        };
        self.table.kinds.iter().filter(is_early).map(|api| {
            let detail = format!("{} does not serve it, and says so of {} only", api.removed, api.declared);
            Finding::new(Reason::ApiUnmarked, format!("{}/{}", api.group, api.version), detail)
        })
    }
}
