//! Whether a webhook that nobody here can look at answers: by what API servers have counted of their own calls.

use std::collections::BTreeMap;

use super::super::{Facts, POLLED_AGE_SECONDS_MAX, usable};
use crate::cluster::inventory::{WebhookCalls, WebhookConfiguration, WebhookKind};
use crate::cluster::snapshot::{Node, Role};
use crate::verdict::Evidence;
use crate::wire::webhook_calls::WINDOWS_SECONDS;

/// What is known of the calls.
pub(super) struct Calls<'a> {
    /// Nothing, where nobody could be asked or an API server was not watched.
    read: Result<&'a WebhookCalls, String>,
    /// How many webhooks there are of each kind and name.
    names: BTreeMap<(WebhookKind, &'a str), usize>,
    /// What was read.
    pub(super) evidence: Option<Evidence>,
}

impl<'a> Calls<'a> {
    pub(super) fn of(facts: &Facts<'a>, configurations: &'a [WebhookConfiguration], nodes: &[Node]) -> Self {
        let (source, now) = (&facts.case.inventory.webhook_calls, facts.case.now);
        let read = usable("webhook_calls", source, now, POLLED_AGE_SECONDS_MAX);
        let evidence = read.as_ref().ok().map(|calls| Evidence {
            source: "webhook_calls",
            count: calls.called.len(),
            age_seconds: source.age_seconds(now).unwrap_or_default(),
        });
        let mut names: BTreeMap<(WebhookKind, &str), usize> = BTreeMap::new();
        for configuration in configurations {
            for webhook in &configuration.webhooks {
                *names.entry((configuration.kind, webhook.name.as_str())).or_default() += 1;
            }
        }
        let read = read.map_err(|finding| format!("the calls of webhooks are not known: {}", finding.detail));
        Self { read: read.and_then(|calls| watched(calls, nodes)), names, evidence }
    }

    /// That every call of a webhook has failed that was counted lately, if any was. One that it has refused counts as
    /// little as in [`Calls::proven`].
    pub(super) fn failing(&self, kind: WebhookKind, name: &str) -> Option<String> {
        let calls = self.read.as_ref().ok().filter(|_| self.names.get(&(kind, name)) == Some(&1))?;
        let seen = calls.called.iter().filter(|it| it.kind == kind && it.name == name);
        let last = seen.filter(|it| it.has_answered || it.has_failed).min_by_key(|it| it.within_seconds)?;
        (!last.has_answered).then(|| {
            format!("calls have failed within {}, and none was let pass", minutes(last.within_seconds))
        })
    }

    /// That a webhook answers, or why that is not proven.
    pub(super) fn proven(&self, kind: WebhookKind, name: &str) -> Result<String, String> {
        let calls = self.read.as_ref().map_err(Clone::clone)?;
        let shared = self.names.get(&(kind, name)).copied().unwrap_or_default();
        if shared > 1 {
            return Err(format!("calls are counted by name, and {shared} webhooks are called {name}"));
        }
        let mut seen = calls.called.iter().filter(|it| it.kind == kind && it.name == name);
        if let Some(it) = seen.clone().find(|it| it.has_answered && !it.has_failed) {
            return Ok(format!(
                "it has answered within {}, and no call has failed",
                minutes(it.within_seconds)
            ));
        }
        match seen.find(|it| it.has_failed) {
            Some(it) => Err(format!("a call has failed within {}", minutes(it.within_seconds))),
            None => {
                let longest = WINDOWS_SECONDS.into_iter().max().unwrap_or_default();
                Err(format!("it has answered no call within {}", minutes(longest)))
            }
        }
    }
}

/// The calls, if every API server is scraped: one that is not may have failed all of its own.
fn watched<'a>(calls: &'a WebhookCalls, nodes: &[Node]) -> Result<&'a WebhookCalls, String> {
    let servers = nodes.iter().filter(|node| node.role == Role::ControlPlane);
    for node in servers {
        if !calls.scraped.iter().any(|instance| node.has_endpoint(instance)) {
            return Err(format!("Prometheus scrapes no API server at the address of {}", node.name));
        }
    }
    Ok(calls)
}

fn minutes(seconds: u64) -> String {
    format!("{} minutes", seconds / 60)
}
