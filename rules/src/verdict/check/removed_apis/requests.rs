//! Who asks, as Prometheus has seen it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Facts;
use super::{Question, Tally};
use crate::cluster::inventory::{ApiRequests, Caller, RequestedApi, ScrapedServer, Seen};
use crate::cluster::snapshot::{Node, Role};
use crate::facts::{Ghosts, ShortProof};
use crate::reason::{Finding, Reason};
use crate::words::counted;
use crate::words::version::Minor;

/// How much of the window must have samples: an API server is away for minutes when it is patched, and what it was
/// asked for before is in the samples before.
const PROOF_PERCENT_MIN: u64 = 95;

/// From how many days on a proof that is shorter than the window does, unless people ask for more: what runs weekly was seen.
const HOLD_DAYS: u64 = 7;
/// What makes the proof longer: the usual chart keeps samples of 10 days.
const KEEP: &str = "keep samples for longer: prometheusSpec.retention (10d in kube-prometheus-stack) or --storage.tsdb.retention.time";

/// Every API server is scraped, and was for the whole window.
pub(super) fn proven(facts: &Facts<'_>, question: &Question<'_>, requests: &ApiRequests, tally: &mut Tally) {
    let (nodes, read) = match facts.state("nodes", &facts.case.snapshot.nodes) {
        Ok(read) => read,
        Err(finding) => return tally.unknowns.push(finding),
    };
    tally.evidence.push(read);
    let nodes: Vec<&Node> = nodes.iter().filter(|node| node.role == Role::ControlPlane).collect();
    if nodes.is_empty() {
        tally.unknowns.push(Finding::new(Reason::NoNodes, "nodes", "none of them is of the control plane"));
    }
    for node in nodes {
        let ours: Vec<&ScrapedServer> =
            requests.servers.iter().filter(|server| node.has_endpoint(&server.instance)).collect();
        if ours.iter().any(|server| server.is_scraped) {
            let seconds = ours.iter().map(|server| server.proven_seconds).max().unwrap_or_default();
            proven_for(node, seconds.min(requests.window_seconds), question, tally);
        } else {
            let known: Vec<&str> = requests.servers.iter().map(|server| server.instance.as_str()).collect();
            let detail = format!("no API server at its address among [{}]", known.join(", "));
            tally.unknowns.push(Finding::new(Reason::ApiServerNotScraped, node.name.0.clone(), detail));
        }
    }
}

fn proven_for(node: &Node, seconds: u64, question: &Question<'_>, tally: &mut Tally) {
    let window_days = u64::from(question.policy.deprecated_api_window_days);
    let is_proven = |days: u64| seconds.saturating_mul(100) >= days * 86_400 * PROOF_PERCENT_MIN;
    if is_proven(window_days) {
        return;
    }
    let (proven, enough) = (in_words(seconds), HOLD_DAYS.min(window_days));
    // Within a minor nothing goes, and a fix of this week must not wait for a month of samples.
    let wait = format!("; wait for {enough} days of them, or look for callers and accept it");
    let (findings, way_on) = match question.policy.deprecated_api_short_proof {
        _ if question.target <= question.newest => (&mut tally.notes, ""),
        ShortProof::Note => (&mut tally.notes, ""),
        ShortProof::Unknown => (&mut tally.unknowns, ""),
        ShortProof::Hold if is_proven(enough) => {
            (&mut tally.notes, "; what is called more rarely was not seen")
        }
        ShortProof::Hold => (&mut tally.holds, wait.as_str()),
    };
    let words = format!("proved for {{}}, and {window_days} days are asked for{way_on}; {KEEP}");
    findings.push(Finding::with_figures(Reason::ApiProofShort, node.name.0.clone(), words, &[&proven]));
}

fn in_words(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3_600) {
        (0, 0) => format!("{seconds} s"),
        (0, hours) => format!("{hours} h"),
        (days, _) => counted(days, "day"),
    }
}

/// One API at all API servers.
struct Requested<'a> {
    seen: Seen,
    caller: Caller,
    instances: BTreeSet<&'a str>,
}

/// Every API that was asked for.
pub(super) fn judge(question: &Question<'_>, requests: &ApiRequests, tally: &mut Tally) {
    let mut apis: BTreeMap<_, Requested<'_>> = BTreeMap::new();
    for one in &requests.requested {
        let RequestedApi { group, version, resource, subresource, removed_release, instance, seen, caller } =
            one;
        let api = apis.entry((group, version, resource, subresource, removed_release)).or_insert(Requested {
            seen: *seen,
            caller: *caller,
            instances: BTreeSet::new(),
        });
        // The worst of all API servers.
        api.seen = api.seen.max(*seen);
        api.caller = api.caller.max(*caller);
        api.instances.insert(instance);
    }
    for ((group, version, resource, subresource, removed_release), requested) in apis {
        let of_group = if group.is_empty() { String::new() } else { format!("{group}/") };
        let below = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
        let subject = format!("{of_group}{version} {resource}{below}");
        let told = match removed_release.as_str() {
            "" => None,
            text => Minor::parse(text).or_else(|| {
                let detail = format!("removed_release is {text:?}");
                tally.unknowns.push(Finding::new(Reason::ApiRemovalUnreadable, subject.clone(), detail));
                None
            }),
        };
        let known = question.table.of_resource(group, version, resource).map(|api| api.removed);
        if let Some(removed) = in_the_way(question, requested.seen, [told, known]) {
            record(question, subject, removed, &requested, requests.window_seconds, tally);
        }
    }
}

/// When it goes, if that is in the way. Of both dates the earlier counts; the API server may know better than the
/// table and the other way round.
fn in_the_way(question: &Question<'_>, seen: Seen, dates: [Option<Minor>; 2]) -> Option<Minor> {
    let counts = |removed: &Minor| match seen {
        Seen::Now => *removed <= question.target,
        // The window still holds what an older minor served: nobody can ask for that any more.
        Seen::Earlier => question.takes_away(*removed),
    };
    dates.into_iter().flatten().filter(counts).min()
}

fn record(
    question: &Question<'_>,
    subject: String,
    removed: Minor,
    requested: &Requested<'_>,
    window_seconds: u64,
    tally: &mut Tally,
) {
    let Requested { seen, caller, instances } = requested;
    let when = match (seen, caller) {
        (Seen::Now, Caller::Live) => "within two hours".to_owned(),
        (Seen::Now, Caller::Unknown) => "since the API server started".to_owned(),
        (Seen::Now, Caller::Ghost) => "since the API server started, not within two hours".to_owned(),
        (Seen::Earlier, _) => format!("within {window_seconds} s, not since the API server started"),
    };
    let at = instances.iter().copied().collect::<Vec<_>>().join(", ");
    let detail = format!("{removed} does not serve it; asked for {when}, at {at}");
    let is_ghost = *caller == Caller::Ghost;
    let reason = if is_ghost { Reason::ApiRequestGhost } else { Reason::ApiRequested };
    let finding = Finding::new(reason, subject, detail);
    match question.policy.deprecated_api_ghosts {
        Ghosts::Note if is_ghost => tally.notes.push(finding),
        Ghosts::Note | Ghosts::Block => tally.blockers.push(finding),
    }
}
