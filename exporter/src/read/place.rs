//! Where pods may go.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use kube::api::ListParams;
use kube::{Api, Client};
use lockkeeper_rules::cluster::snapshot::Source;
use lockkeeper_rules::drain::{Place, Placement, Taint, Toleration};
use lockkeeper_rules::words::labels::{Requirement, Selector};
use lockkeeper_rules::words::name::NodeName;

use super::list::list_all;

/// Every node, as a scheduler sees it. A snapshot has no labels and taints: only a forecast asks for them.
pub async fn places(client: &Client, deadline: Duration) -> Source<Vec<Place>> {
    let asked_at = Timestamp::now();
    let nodes: Api<core::Node> = Api::all(client.clone());
    let listed = list_all(&nodes, &ListParams::default(), deadline).await;
    Source::asked(asked_at, listed.map(|listed| listed.items.into_iter().map(place).collect()))
}

fn place(node: core::Node) -> Place {
    let core::Node { metadata, spec, status } = node;
    let spec = spec.unwrap_or_default();
    let conditions = status.and_then(|status| status.conditions).unwrap_or_default();
    let taint = |taint: core::Taint| Taint {
        key: taint.key,
        value: taint.value.unwrap_or_default(),
        effect: taint.effect,
    };
    Place {
        node: NodeName(metadata.name.unwrap_or_default()),
        ready: conditions.iter().any(|it| it.type_ == "Ready" && it.status == "True"),
        unschedulable: spec.unschedulable.unwrap_or(false),
        deleting: metadata.deletion_timestamp.is_some(),
        labels: metadata.labels.unwrap_or_default(),
        taints: spec.taints.unwrap_or_default().into_iter().map(taint).collect(),
    }
}

/// What a pod says of where it may go.
pub(super) fn placement(spec: &core::PodSpec) -> Placement {
    let toleration = |it: &core::Toleration| Toleration {
        key: it.key.clone().unwrap_or_default(),
        operator: it.operator.clone().unwrap_or_default(),
        value: it.value.clone().unwrap_or_default(),
        effect: it.effect.clone().unwrap_or_default(),
    };
    let affinity = spec.affinity.as_ref().and_then(|it| it.node_affinity.as_ref());
    let required = affinity.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_ref());
    Placement {
        node_selector: spec.node_selector.clone().unwrap_or_default(),
        terms: required.map(|it| it.node_selector_terms.iter().map(term).collect()),
        tolerations: spec.tolerations.iter().flatten().map(toleration).collect(),
    }
}

/// A term that demands nothing is met by no node. Fields are not judged: they may be met.
fn term(term: &core::NodeSelectorTerm) -> Selector {
    let expressions = term.match_expressions.iter().flatten().map(requirement);
    let fields = term.match_fields.iter().flatten().map(|it| Requirement::Unknown(it.key.clone()));
    let all: Vec<Requirement> = expressions.chain(fields).collect();
    if all.is_empty() { Selector::Nothing } else { Selector::Every(all) }
}

fn requirement(it: &core::NodeSelectorRequirement) -> Requirement {
    let values = it.values.iter().flatten().cloned().collect();
    match it.operator.as_str() {
        "In" => Requirement::In(it.key.clone(), values),
        "NotIn" => Requirement::NotIn(it.key.clone(), values),
        "Exists" => Requirement::Exists(it.key.clone()),
        "DoesNotExist" => Requirement::DoesNotExist(it.key.clone()),
        // `Gt` and `Lt` among them.
        _ => Requirement::Unknown(it.operator.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_node_is_read_as_a_scheduler_sees_it() {
        let read = |spec: Value, ready: &str| {
            place(
                serde_json::from_value(json!({
                    "metadata": {"name": "w-1", "labels": {"disk": "ssd"}}, "spec": spec,
                    "status": {"conditions": [{"type": "Ready", "status": ready}]},
                }))
                .unwrap(),
            )
        };
        let tainted = read(json!({"taints": [{"key": "k", "effect": "NoSchedule"}]}), "True");
        let taint = Taint { key: "k".to_owned(), value: String::new(), effect: "NoSchedule".to_owned() };
        assert_eq!((tainted.taints.as_slice(), tainted.ready), (&[taint][..], true));
        assert!(!tainted.takes(&Placement::default()));
        assert!(read(json!({}), "True").takes(&Placement::default()));
        assert!(!read(json!({}), "Unknown").takes(&Placement::default()));
        assert!(!read(json!({"unschedulable": true}), "True").takes(&Placement::default()));
    }

    #[test]
    fn a_pod_is_read_with_all_that_keeps_it_from_a_node() {
        let takes = |spec: Value| {
            let mut whole = json!({"containers": []});
            whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
            let node = json!({
                "metadata": {"name": "w-1", "labels": {"disk": "ssd"}},
                "spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            });
            let pod: core::PodSpec = serde_json::from_value(whole).unwrap();
            place(serde_json::from_value(node).unwrap()).takes(&placement(&pod))
        };
        let bears = json!([{"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}]);
        let term = |term: Value| {
            let terms = json!({"nodeSelectorTerms": [term]});
            json!({"tolerations": bears,
                "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}})
        };
        let expression = |operator: &str, values: Value| {
            term(json!({"matchExpressions": [{"key": "disk", "operator": operator, "values": values}]}))
        };
        for (spec, expected) in [
            (json!({}), false),
            (json!({"tolerations": bears}), true),
            (json!({"tolerations": bears, "nodeSelector": {"disk": "hdd"}}), false),
            (json!({"tolerations": bears, "nodeSelector": {"disk": "ssd"}}), true),
            (expression("In", json!(["ssd"])), true),
            (expression("In", json!(["hdd"])), false),
            (expression("NotIn", json!(["ssd"])), false),
            (expression("Exists", Value::Null), true),
            (expression("DoesNotExist", Value::Null), false),
            (expression("Gt", json!(["1"])), true),
            (term(json!({})), false),
            (
                term(json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["w-9"]}]})),
                true,
            ),
        ] {
            assert_eq!(takes(spec.clone()), expected, "{spec}");
        }
    }
}
