//! No webhook that refuses what an upgrade needs loses the last who answers for it.
//!
//! ```text
//!   configurations ──▶ failurePolicy: Fail, and asked about pods, nodes, leases, … ──▶ a port of its Service, or a URL
//!   definitions    ──▶ conversion by a webhook ──────────────────────────────────▶ the same
//!                                                                                     │
//!        nobody ready at that port          ─▶ block                                  ▼
//!        all on one node that is drained    ─▶ block where the webhook is asked about its own namespace, the system's
//!                                              or nodes, or about that of another on that node which is asked about
//!                                              its own: then nothing can start them again; or about what kubeadm
//!                                              writes, on the only control-plane node; elsewhere a note
//!        at a port that no container names,
//!        or where nobody here can look      ─▶ note where the calls of API servers prove that it answers, else a block
//!                                              that a person may accept
//! ```
//!
//! While a run has a node in hand, only that node counts: what its drain leaves on one other node is no reason to stop in
//! the middle, and is asked again before the next node is begun. Pods of DaemonSets stay where they are.
//!
//! Where a webhook is asked only about pods with labels that no template tells of, those of Jobs or operators may have them,
//! and of other objects nobody looks at labels at all: what would block is unknown then. Its own pods have no such labels,
//! so that it comes back from one node all the same.
//!
//! A webhook whose every call has failed lately is not proven to answer, however ready whoever answers is.
//!
//! A conversion is asked only about its own objects, and where they are all in one version not even about these. While its
//! pod moves these cannot be read for a moment, and nothing that it needs itself is refused: one node is a note. Its calls
//! prove nothing: an API server counts as converted what it had not to ask for.

mod calls;
mod describe;
mod needs;
mod route;
mod stands;
mod stuck;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::calls::Calls;
use self::describe::{NAMED_MAX, about, count};
use self::needs::{AskedAbout, SYSTEM, asked_about};
use self::route::Ways;
use self::stands::{ClusterView, Stands, shown};
use self::stuck::stuck;
use super::{Facts, NOTES_MAX, Outcome};
use crate::cluster::inventory::{Backend, Definition, WebhookConfiguration};
use crate::cluster::snapshot::{Node, Role, Snapshot};
use crate::driver::kubeadm::is_at;
use crate::reason::{Finding, Reason};
use crate::verdict::Recognised;
use crate::words::name::NodeName;
use crate::words::step::Step;
use crate::words::version::Version;

/// What was found out, by what it means.
#[derive(Default)]
struct Tally {
    blockers: Vec<Finding>,
    unknowns: Vec<Finding>,
    notes: Vec<Finding>,
    /// Those that may come back by themselves, or may wait for each other.
    losing: Vec<LosesBackend>,
    /// Each webhook with where it leads.
    recognised: Vec<Recognised>,
}

impl Tally {
    /// What is in the way, if it is certain that the webhook is asked, or a person can say that it is not.
    fn against(&mut self, finding: Finding, is_sure: bool) {
        let is_in_the_way = is_sure || finding.reason == Reason::WebhookConditional;
        if is_in_the_way { &mut self.blockers } else { &mut self.unknowns }.push(finding);
    }

    fn recognise(&mut self, subject: &str, detail: String) {
        self.recognised.push(Recognised { subject: subject.to_owned(), detail, source: String::new() });
    }
}

/// A webhook that loses the last who answers for it while a node is drained.
struct LosesBackend {
    node: NodeName,
    /// Where its own pods are.
    namespace: String,
    /// In which namespaces pods wait for it.
    asked_in: BTreeSet<String>,
    /// They do for certain.
    is_sure: bool,
    finding: Finding,
}

/// The webhooks of one configuration that the same backend answers, those with `matchConditions` apart.
struct Together {
    stands: Stands,
    asked: AskedAbout,
}

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    judge(facts).unwrap_or_else(|unknown| unknown)
}

fn judge(facts: &Facts<'_>) -> Result<Outcome, Outcome> {
    let (inventory, snapshot) = (&facts.case.inventory, &facts.case.snapshot);
    let target = facts.version()?;
    let (configurations, read) = facts.state("webhooks", &inventory.webhooks).map_err(Outcome::unknown)?;
    let (definitions, definitions_read) =
        facts.state("definitions", &inventory.definitions).map_err(Outcome::unknown)?;
    let (backends, backends_read) =
        facts.state("webhook_backends", &inventory.webhook_backends).map_err(Outcome::unknown)?;
    let (namespaces, namespaces_read) =
        facts.state("namespaces", &inventory.namespaces).map_err(Outcome::unknown)?;
    let (workloads, workloads_read) =
        facts.state("workloads", &inventory.workloads).map_err(Outcome::unknown)?;
    let (nodes, nodes_read) = facts.state("nodes", &snapshot.nodes).map_err(Outcome::unknown)?;
    // Without them no node is known to be in hand, and every node counts.
    let runs = facts.state("runs", &snapshot.runs).map_or(&[][..], |(runs, _read)| runs);
    let view = ClusterView {
        backends: backends.iter().map(|it| (&it.service, it)).collect(),
        namespaces,
        workloads,
        leaving: leaving(nodes, runs, facts.case.snapshot, target),
        control_plane: nodes.iter().filter(|it| it.role == Role::ControlPlane).map(|it| &it.name).collect(),
        ways: Ways::of(
            facts
                .state("static_pods", &snapshot.static_pods)
                .map(|(pods, _read)| pods)
                .map_err(|finding| finding.detail),
        ),
    };
    let calls = Calls::of(facts, configurations, nodes);
    let mut tally = Tally::default();
    // Every cluster has it: whoever does not see it does not know in which namespaces a webhook is asked.
    if !namespaces.iter().any(|it| it.name == SYSTEM) {
        let detail = format!("{SYSTEM} is not among them");
        tally.unknowns.push(Finding::new(Reason::SourceUnreadable, "namespaces", detail));
    }
    for configuration in configurations {
        view.configuration(configuration, &calls, &mut tally);
    }
    for definition in definitions {
        if let Some(backend) = &definition.converter {
            view.converter(definition, backend, &mut tally);
        }
    }
    let losing = std::mem::take(&mut tally.losing);
    for (is_stuck, one) in stuck(&losing).into_iter().zip(losing) {
        if is_stuck {
            tally.against(one.finding, one.is_sure);
        } else {
            tally.notes.push(one.finding);
        }
    }
    let Tally { blockers, unknowns, mut notes, losing: _, recognised } = tally;
    notes.sort_unstable();
    notes.truncate(NOTES_MAX);
    let mut rest = vec![definitions_read, backends_read, namespaces_read, workloads_read, nodes_read];
    rest.extend(calls.evidence);
    Ok(Outcome::weigh(read, rest, [blockers, Vec::new(), unknowns]).noting(notes).recognising(recognised))
}

/// The node that a run has in hand, else every node that is not at the target yet.
fn leaving<'a>(
    nodes: &'a [Node],
    runs: &[crate::api::UpgradeRun],
    snapshot: &Snapshot,
    target: &Version,
) -> Vec<&'a NodeName> {
    let active = runs.iter().filter(|run| run.is_open()).filter_map(|run| run.status.as_ref());
    let steps: Vec<Step> =
        active.flat_map(|status| &status.active).filter_map(|it| it.step.parse().ok()).collect();
    let is_in_hand = |node: &&Node| steps.iter().any(|step| step.node() == Some(&node.name));
    let in_hand: Vec<&NodeName> = nodes.iter().filter(is_in_hand).map(|node| &node.name).collect();
    if !in_hand.is_empty() {
        return in_hand;
    }
    nodes.iter().filter(|node| !is_at(snapshot, node, target)).map(|node| &node.name).collect()
}

impl ClusterView<'_> {
    /// One configuration: what its webhooks are asked about, by who answers.
    fn configuration(&self, configuration: &WebhookConfiguration, calls: &Calls<'_>, tally: &mut Tally) {
        // What one with matchConditions is asked about is less certain than what one without them is.
        let mut by_backend: BTreeMap<(&Backend, bool), Together> = BTreeMap::new();
        let mut exact = Vec::new();
        for webhook in &configuration.webhooks {
            let subject = format!("{configuration}/{}", webhook.name);
            let asked = asked_about(webhook, self.namespaces, self.workloads);
            if webhook.is_exact {
                exact.push(webhook.name.as_str());
            }
            let where_to = shown(&webhook.backend);
            if !webhook.fails_closed {
                tally.recognise(&subject, format!("{where_to}; failurePolicy: Ignore, nothing waits for it"));
                continue;
            }
            let stands = self.stands(&webhook.backend);
            let how = how(&where_to, &stands);
            if !asked.is_any() {
                tally.recognise(&subject, format!("{how}; it is asked about nothing that an upgrade needs"));
                continue;
            }
            let about = about(&asked, webhook.has_conditions);
            tally.recognise(&subject, format!("{how}; {about}"));
            let is_dead = matches!(stands, Stands::Dead(_));
            if let Some(what) = self.doubt(&webhook.backend).filter(|_| !is_dead)
                && let Err(why) = calls.proven(configuration.kind, &webhook.name)
            {
                unproven(&subject, &format!("{what}; {why}; {about}"), tally);
            } else if matches!(stands, Stands::Well(_) | Stands::OnOneNode(_))
                && let Some(why) = calls.failing(configuration.kind, &webhook.name)
            {
                unproven(&subject, &format!("{how}; {why}; {about}"), tally);
            }
            if let Stands::Outside(what) = stands {
                match calls.proven(configuration.kind, &webhook.name) {
                    Ok(why) => outside(&subject, &format!("{what}; {why}; {about}"), tally),
                    Err(why) => unproven(&subject, &format!("{what}; {why}; {about}"), tally),
                }
                continue;
            }
            let fresh = Together { stands, asked: AskedAbout::default() };
            let together = by_backend.entry((&webhook.backend, webhook.has_conditions)).or_insert(fresh);
            together.asked.extend(asked);
        }
        for (key, together) in by_backend {
            self.webhooks(&configuration.to_string(), key, together, tally);
        }
        if !exact.is_empty() {
            exact.sort_unstable();
            let detail = exact.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ");
            tally.notes.push(Finding::new(Reason::WebhookExact, configuration.to_string(), detail));
        }
    }

    fn webhooks(
        &self,
        of: &str,
        (backend, has_conditions): (&Backend, bool),
        together: Together,
        tally: &mut Tally,
    ) {
        let Together { stands, asked } = together;
        let about = about(&asked, has_conditions);
        let finding = |reason, detail: String| Finding::new(reason, of, format!("{detail}; {about}"));
        match stands {
            Stands::Well(_) => {}
            Stands::Unseen(why) => tally.unknowns.push(finding(Reason::WebhookUnseen, why)),
            Stands::Outside(what) => unproven(of, &format!("{what}; {about}"), tally),
            Stands::Dead(why) => tally.against(finding(Reason::WebhookDead, why), asked.is_sure),
            Stands::OnOneNode(node) => {
                let reason =
                    if has_conditions { Reason::WebhookConditional } else { Reason::WebhookOnOneNode };
                let found = finding(reason, self.on_one_node(backend, &node));
                let namespace = backend.service().map(|it| it.namespace.clone()).unwrap_or_default();
                // Pods of the control plane often may be nowhere else, and while its only node is drained kubeadm waits there.
                let has_no_other = self.control_plane == [&node];
                let by_kubeadm = asked.by_kubeadm.filter(|_| has_no_other);
                let in_system = asked.waited_in.get(SYSTEM).copied();
                if let Some(is_sure) = asked.cluster.max(by_kubeadm).max(in_system) {
                    tally.against(found, is_sure);
                } else {
                    let asked_in = asked.waited_in.keys().cloned().collect();
                    // A circle of which one part is not certain is not certain.
                    let is_sure = asked.waited_in.values().all(|is_sure| *is_sure);
                    tally.losing.push(LosesBackend { node, namespace, asked_in, is_sure, finding: found });
                }
            }
        }
    }

    fn converter(&self, definition: &Definition, backend: &Backend, tally: &mut Tally) {
        const ABOUT: &str = "it converts objects between versions";
        const NO_CALLS: &str = "the calls of a conversion do not prove that it answers";
        let of = format!("CustomResourceDefinition {}", definition.name);
        // An API server asks only about objects that are in another version than is wanted.
        if let [version] = &versions(definition).into_iter().collect::<Vec<_>>()[..] {
            let detail = format!("{}; all objects are in {version}, none is converted", shown(backend));
            return tally.recognise(&of, detail);
        }
        let finding = |reason, detail: String| Finding::new(reason, &of, format!("{detail}; {ABOUT}"));
        let stands = self.stands(backend);
        tally.recognise(&of, format!("{}; {ABOUT}", how(&shown(backend), &stands)));
        let is_dead = matches!(stands, Stands::Dead(_));
        if let Some(what) = self.doubt(backend).filter(|_| !is_dead) {
            unproven(&of, &format!("{what}; {NO_CALLS}; {ABOUT}"), tally);
        }
        match stands {
            Stands::Well(_) => {}
            Stands::Unseen(why) => tally.unknowns.push(finding(Reason::WebhookUnseen, why)),
            Stands::Outside(what) => unproven(&of, &format!("{what}; {NO_CALLS}; {ABOUT}"), tally),
            Stands::Dead(why) => tally.blockers.push(finding(Reason::WebhookDead, why)),
            Stands::OnOneNode(node) => {
                tally.notes.push(finding(Reason::WebhookOnOneNode, self.on_one_node(backend, &node)));
            }
        }
    }
}

/// In which versions objects are asked for, or may lie in etcd.
fn versions(definition: &Definition) -> BTreeSet<&str> {
    let in_use = definition.versions.iter().filter(|it| it.served || it.storage);
    in_use.map(|it| it.name.as_str()).chain(definition.stored.iter().map(String::as_str)).collect()
}

fn outside(subject: &str, detail: &str, tally: &mut Tally) {
    tally.notes.push(Finding::new(Reason::WebhookOutside, subject, detail));
}

/// In the way whether it is surely asked or perhaps: both can be weighed by a person, as what is unknown could not.
fn unproven(subject: &str, detail: &str, tally: &mut Tally) {
    tally.blockers.push(Finding::new(Reason::WebhookUnproven, subject, detail));
}

/// Where a webhook leads, and who is there.
fn how(where_to: &str, stands: &Stands) -> String {
    match stands {
        Stands::Well(ready) => format!("{where_to}, {}", count(*ready, "ready endpoint")),
        Stands::OnOneNode(node) => format!("{where_to}, everything ready on {node}"),
        Stands::Dead(_) => format!("{where_to}, nobody answers"),
        Stands::Outside(_) => format!("{where_to}, where nobody here can look"),
        Stands::Unseen(_) => format!("{where_to}, not looked at"),
    }
}
