//! What an API server's audit log and the nodes' ledgers say of a run, joined with the actuator's decision log.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::world::World;

/// One mutation, as somebody who is not the actuator saw it.
#[derive(Debug, Clone)]
pub struct Mutation {
    /// cordon, evict or unit.
    pub what: &'static str,
    /// The node, or the pod's namespace/name.
    pub subject: String,
    /// When the API server or the node saw it.
    pub at: Timestamp,
    /// When the check began that allowed it, by the decision log or the ledger.
    pub checked_at: Timestamp,
}

impl Mutation {
    /// From the check's first request to the mutation.
    #[must_use]
    pub fn age(&self) -> SignedDuration {
        self.at.duration_since(self.checked_at)
    }

    /// How old the check may be: a node that was sent a unit in time may begin it a little later.
    #[must_use]
    pub fn age_max(&self, world: &World) -> SignedDuration {
        let settings = &world.settings;
        let seconds = match self.what {
            "unit" => settings.unit_begin_seconds_max(),
            _ => settings.check_seconds_max,
        };
        SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0))
    }
}

/// Every cordon and eviction of the audit log and every unit of the ledgers, each with the passed check that it
/// rests on.
///
/// # Panics
/// A mutation has no command in the decision log, or no passed check.
#[must_use]
pub fn mutations(world: &World) -> Vec<Mutation> {
    let decisions = world.decisions();
    let mut found = Vec::new();
    for (subject, at) in cordons(world) {
        let begun = begun(&decisions, "cordon", at, |order| order["Cordon"]["node"] == subject.as_str());
        let checked_at = passed(&decisions, begun);
        found.push(Mutation { what: "cordon", subject, at, checked_at });
    }
    for (pod, at) in evictions(world) {
        let is_in = |order: &Value| {
            let pods = order["Evict"]["pods"].as_array().map(Vec::as_slice).unwrap_or_default();
            pods.iter().any(|p| pod == format!("{}/{}", text(&p["namespace"]), text(&p["name"])))
        };
        let begun = begun(&decisions, "evict", at, is_in);
        let checked_at = passed(&decisions, begun);
        found.push(Mutation { what: "evict", subject: pod, at, checked_at });
    }
    for start in starts(world) {
        let begun = begun(&decisions, "start_unit", start.at + SignedDuration::from_secs(1), |order| {
            order["StartUnit"]["token"] == start.token.as_str()
                && order["StartUnit"]["node"]["name"] == start.node.as_str()
        });
        assert_eq!(
            passed(&decisions, begun),
            start.checked_at,
            "ledger and decision log name the same check"
        );
        found.push(Mutation {
            what: "unit",
            subject: start.node,
            at: start.at,
            checked_at: start.checked_at,
        });
    }
    found
}

/// The last command of this kind that was begun at or before a moment.
fn begun<'a>(
    decisions: &'a [Value],
    command: &str,
    at: Timestamp,
    is_it: impl Fn(&Value) -> bool,
) -> &'a Value {
    let found = decisions.iter().rev().find(|line| {
        line["kind"] == "begin"
            && line["command"] == command
            && time(&line["at"]) <= at
            && is_it(&line["order"])
    });
    found.unwrap_or_else(|| panic!("a {command} at {at} that the decision log does not know"))
}

/// When the check began that a command names, after making sure that it passed.
fn passed(decisions: &[Value], begun: &Value) -> Timestamp {
    let proof = &begun["proof"];
    let is_it = |line: &&Value| {
        line["kind"] == "check"
            && line["report"]["token"] == proof["token"]
            && line["report"]["started_at"] == proof["checked_at"]
    };
    let check = decisions.iter().find(is_it).unwrap_or_else(|| panic!("no check for {begun}"));
    assert_eq!(
        check["report"]["findings"],
        Value::Array(Vec::new()),
        "{begun} rests on a check that did not pass"
    );
    time(&proof["checked_at"])
}

/// Nodes that the actuator made unschedulable, with the moment, oldest first.
#[must_use]
pub fn cordons(world: &World) -> Vec<(String, Timestamp)> {
    let entries = world.audit("actuator").into_iter();
    let entries = entries.filter(|e| e.resource == "nodes" && e.verb == "patch" && e.code == 200);
    entries
        .filter(|e| e.body.to_string().contains("\"unschedulable\":true"))
        .map(|e| (e.name, e.at))
        .collect()
}

/// Nodes that the actuator made schedulable, with the moment, oldest first.
#[must_use]
pub fn uncordons(world: &World) -> Vec<(String, Timestamp)> {
    let entries = world.audit("actuator").into_iter();
    let entries = entries.filter(|e| e.resource == "nodes" && e.verb == "patch" && e.code == 200);
    entries
        .filter(|e| !e.body.to_string().contains("\"unschedulable\":true"))
        .map(|e| (e.name, e.at))
        .collect()
}

/// Pods that the actuator evicted, as namespace/name, with the moment, oldest first.
#[must_use]
pub fn evictions(world: &World) -> Vec<(String, Timestamp)> {
    let entries = world.audit("actuator").into_iter();
    let entries = entries.filter(|e| e.subresource == "eviction" && e.code == 201);
    entries.map(|e| (format!("{}/{}", e.namespace, e.name), e.at)).collect()
}

/// A unit that a node began.
#[derive(Debug, Clone)]
pub struct Start {
    /// The node.
    pub node: String,
    /// The token.
    pub token: String,
    /// What the unit was for.
    pub kind: String,
    /// When, by the node's clock, to the second.
    pub at: Timestamp,
    /// When the check began, as the actuator told the node.
    pub checked_at: Timestamp,
}

/// Every unit that a node's ledger says was begun.
#[must_use]
pub fn starts(world: &World) -> Vec<Start> {
    let mut found = Vec::new();
    for machine in &world.machines {
        let node = machine.spec.name.clone();
        let files: BTreeMap<String, String> = world.ledger(&node).into_iter().collect();
        for line in files.get("ledger").map(String::as_str).unwrap_or_default().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if let ["start", seconds, token, _generation, kind, _target, checked_at, "."] = words.as_slice() {
                found.push(Start {
                    node: node.clone(),
                    token: (*token).to_owned(),
                    kind: (*kind).to_owned(),
                    at: Timestamp::from_second(seconds.parse().expect("seconds")).expect("a time"),
                    checked_at: checked_at.parse().expect("a time"),
                });
            }
        }
    }
    found
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn time(value: &Value) -> Timestamp {
    text(value).parse().unwrap_or_else(|error| panic!("{value} is no time: {error}"))
}
