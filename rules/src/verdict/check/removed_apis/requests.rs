//! Who asks, as Prometheus has seen it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::Facts;
use super::{Question, Testimony};
use crate::inventory::{ApiRequests, Caller, RequestedApi, ScrapedServer, Seen};
use crate::matrix::{Ghosts, ShortProof};
use crate::reason::{Finding, Reason};
use crate::snapshot::{Node, Role};
use crate::version::Minor;

/// How much of the window must have samples: an API server is away for minutes when it is patched, and what it was
/// asked for before is in the samples before.
const PROOF_PERCENT_MIN: u64 = 95;

/// Every API server is scraped, and was for the whole window.
pub(super) fn proven(
    facts: &Facts<'_>,
    question: &Question<'_>,
    requests: &ApiRequests,
    said: &mut Testimony,
) {
    let (nodes, read) = match facts.state("nodes", &facts.case.snapshot.nodes) {
        Ok(read) => read,
        Err(finding) => return said.unknowns.push(finding),
    };
    said.evidence.push(read);
    let nodes: Vec<&Node> = nodes.iter().filter(|node| node.role == Role::ControlPlane).collect();
    if nodes.is_empty() {
        said.unknowns.push(Finding::new(Reason::NoNodes, "nodes", "none of them is of the control plane"));
    }
    for node in nodes {
        let ours: Vec<&ScrapedServer> =
            requests.servers.iter().filter(|server| runs_on(node, &server.instance)).collect();
        if ours.iter().any(|server| server.is_scraped) {
            let seconds = ours.iter().map(|server| server.proven_seconds).max().unwrap_or_default();
            proven_for(node, seconds.min(requests.window_seconds), question, said);
        } else {
            let known: Vec<&str> = requests.servers.iter().map(|server| server.instance.as_str()).collect();
            let detail = format!("no API server at its address among [{}]", known.join(", "));
            said.unknowns.push(Finding::new(Reason::ApiServerNotScraped, node.name.0.clone(), detail));
        }
    }
}

fn proven_for(node: &Node, seconds: u64, question: &Question<'_>, said: &mut Testimony) {
    let window = u64::from(question.policy.deprecated_api_window_days) * 86_400;
    if seconds.saturating_mul(100) >= window * PROOF_PERCENT_MIN {
        return;
    }
    let detail = format!("samples of {seconds} s, and {window} s are asked for");
    let finding = Finding::new(Reason::ApiProofShort, node.name.0.clone(), detail);
    match question.policy.deprecated_api_short_proof {
        // Within a minor nothing goes, and a fix of this week must not wait for a month of samples.
        _ if question.target <= question.newest => said.notes.push(finding),
        ShortProof::Unknown => said.unknowns.push(finding),
        ShortProof::Note => said.notes.push(finding),
    }
}

/// Whether an instance such as `10.0.0.1:6443` or `[fd00::1]:6443` is at the node's address or name. Since version 3
/// Prometheus adds no port to a target that has none.
pub(in super::super) fn runs_on(node: &Node, instance: &str) -> bool {
    let (host, _port) =
        instance.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).unwrap_or((instance, ""));
    let address = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let at_address =
        address(host).is_some() && address(host) == node.internal_ip.as_deref().and_then(address);
    at_address || host == node.name.0
}

/// One API at all API servers.
struct Requested<'a> {
    seen: Seen,
    caller: Caller,
    instances: BTreeSet<&'a str>,
}

/// Every API that was asked for.
pub(super) fn judge(question: &Question<'_>, requests: &ApiRequests, said: &mut Testimony) {
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
                said.unknowns.push(Finding::new(Reason::ApiRemovalUnreadable, subject.clone(), detail));
                None
            }),
        };
        let known = question.table.of_resource(group, version, resource).map(|api| api.removed);
        if let Some(removed) = in_the_way(question, requested.seen, [told, known]) {
            tell(question, subject, removed, &requested, requests.window_seconds, said);
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

fn tell(
    question: &Question<'_>,
    subject: String,
    removed: Minor,
    requested: &Requested<'_>,
    window_seconds: u64,
    said: &mut Testimony,
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
        Ghosts::Note if is_ghost => said.notes.push(finding),
        Ghosts::Note | Ghosts::Block => said.blockers.push(finding),
    }
}
