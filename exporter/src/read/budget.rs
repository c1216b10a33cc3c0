//! PodDisruptionBudgets, and label selectors.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ListParams;
use kube::{Api, Client};
use lockkeeper_rules::cluster::snapshot::Source;
use lockkeeper_rules::drain::{Amount, Budget, Demand};
use lockkeeper_rules::words::labels::{Requirement, Selector};

use super::list::list_all;

/// Every `PodDisruptionBudget` of the cluster.
pub async fn budgets(client: &Client, deadline: Duration) -> Source<Vec<Budget>> {
    let asked_at = Timestamp::now();
    let budgets: Api<PodDisruptionBudget> = Api::all(client.clone());
    let listed = list_all(&budgets, &ListParams::default(), deadline).await;
    Source::asked(asked_at, listed.map(|listed| listed.items.iter().map(budget).collect()))
}

/// A budget as the API server shows it.
#[must_use]
pub fn budget(object: &PodDisruptionBudget) -> Budget {
    let PodDisruptionBudget { metadata, spec, status } = object;
    let status = status.clone().unwrap_or_default();
    // The words of `policy/v1`: the condition's type, and its reason where the controller has given up.
    let has_failed = |it: &&Condition| it.type_ == "DisruptionAllowed" && it.reason == "SyncFailed";
    let sync_error = status.conditions.iter().flatten().find(has_failed).map(|it| it.message.clone());
    Budget {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        selector: spec.as_ref().and_then(|it| it.selector.as_ref()).map_or(Selector::Nothing, selector),
        demand: spec.as_ref().map_or(Demand::Nothing, demand),
        evicts_unhealthy: spec.as_ref().and_then(|it| it.unhealthy_pod_eviction_policy.as_deref())
            == Some("AlwaysAllow"),
        generation: metadata.generation.unwrap_or_default(),
        observed: status.observed_generation.unwrap_or_default(),
        sync_error,
        disruptions_allowed: status.disruptions_allowed,
        expected_pods: status.expected_pods,
        current_healthy: status.current_healthy,
        desired_healthy: status.desired_healthy,
        owner: metadata.owner_references.iter().flatten().find_map(custom_resource),
    }
}

/// The API groups of the Operator Lifecycle Manager: what they own it has installed, as it was packed, and nothing of it
/// moves.
const OF_INSTALLERS: [&str; 2] = ["operators.coreos.com", "olm.operatorframework.io"];

/// Kind and name of an owner that is a custom resource of an operator: only their API groups are domains with a dot, but
/// for those of Kubernetes below `k8s.io`, whose kinds own no budget.
fn custom_resource(owner: &OwnerReference) -> Option<String> {
    let (group, _version) = owner.api_version.split_once('/')?;
    (group.contains('.') && !OF_INSTALLERS.contains(&group)).then(|| format!("{} {}", owner.kind, owner.name))
}

/// A label selector that is there.
#[must_use]
pub fn selector(selector: &LabelSelector) -> Selector {
    let LabelSelector { match_labels, match_expressions } = selector;
    let labels = match_labels.iter().flatten();
    let labels = labels.map(|(key, value)| Requirement::In(key.clone(), [value.clone()].into()));
    let expressions = match_expressions.iter().flatten().map(|it| {
        let values = it.values.iter().flatten().cloned().collect();
        match it.operator.as_str() {
            "In" => Requirement::In(it.key.clone(), values),
            "NotIn" => Requirement::NotIn(it.key.clone(), values),
            "Exists" => Requirement::Exists(it.key.clone()),
            "DoesNotExist" => Requirement::DoesNotExist(it.key.clone()),
            _ => Requirement::Unknown(it.operator.clone()),
        }
    });
    Selector::Every(labels.chain(expressions).collect())
}

fn demand(spec: &PodDisruptionBudgetSpec) -> Demand {
    // In the controller's own order; the API server takes no budget with both.
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(max), _) => Demand::MaxUnavailable(amount(max)),
        (None, Some(min)) => Demand::MinAvailable(amount(min)),
        (None, None) => Demand::Nothing,
    }
}

fn amount(amount: &IntOrString) -> Amount {
    match amount {
        IntOrString::Int(pods) => Amount::Pods(*pods),
        IntOrString::String(text) => Amount::percent(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(spec: &Value, status: &Value) -> Budget {
        let metadata = json!({"namespace": "a", "name": "b", "generation": 2});
        let object = json!({"metadata": metadata, "spec": spec, "status": status});
        budget(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_budget_without_a_selector_protects_nothing() {
        let selector = |spec: Value| read(&spec, &Value::Null).selector;
        assert_eq!(selector(json!({})), Selector::Nothing);
        assert_eq!(selector(json!({"selector": {}})), Selector::Every(vec![]));
        let both = json!({"selector": {
            "matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "tier", "operator": "Exists"}],
        }});
        let app = Requirement::In("app".to_owned(), ["web".to_owned()].into());
        assert_eq!(selector(both), Selector::Every(vec![app, Requirement::Exists("tier".to_owned())]));
    }

    #[test]
    fn a_budget_belongs_to_a_custom_resource_if_one_of_its_owners_is_one() {
        let owned = |owners: Value| {
            let metadata = json!({"namespace": "a", "name": "b", "ownerReferences": owners});
            budget(&serde_json::from_value(json!({"metadata": metadata})).unwrap()).owner
        };
        let owner = |api: &str, kind: &str| json!({"apiVersion": api, "kind": kind, "name": "x", "uid": "u"});
        let (deployment, config) = (owner("apps/v1", "Deployment"), owner("v1", "ConfigMap"));
        assert_eq!(owned(json!([deployment, config])), None);
        let cluster = owner("postgresql.cnpg.io/v1", "Cluster");
        assert_eq!(owned(json!([config, cluster])).as_deref(), Some("Cluster x"));
        assert_eq!(owned(json!([])), None);
        let installed = owner("operators.coreos.com/v1alpha1", "ClusterServiceVersion");
        assert_eq!(owned(json!([installed])), None);
        assert_eq!(owned(json!([installed, cluster])).as_deref(), Some("Cluster x"));
    }

    #[test]
    fn a_budget_is_its_demand_and_what_its_controller_makes_of_it() {
        let (min, max) = (Demand::MinAvailable, Demand::MaxUnavailable);
        for (spec, demand) in [
            (json!({"minAvailable": 2}), min(Amount::Pods(2))),
            (json!({"minAvailable": "50%"}), min(Amount::Percent(50))),
            (json!({"maxUnavailable": 0}), max(Amount::Pods(0))),
            (json!({"maxUnavailable": "0%"}), max(Amount::Percent(0))),
            (json!({"maxUnavailable": "none"}), max(Amount::Unreadable("none".to_owned()))),
            (json!({}), Demand::Nothing),
        ] {
            assert_eq!(read(&spec, &Value::Null).demand, demand, "{spec}");
        }
        let counts = json!({"observedGeneration": 2, "disruptionsAllowed": 1, "expectedPods": 3, "currentHealthy": 3,
            "desiredHealthy": 2});
        let whole = read(&json!({"unhealthyPodEvictionPolicy": "AlwaysAllow"}), &counts);
        assert!(whole.is_observed() && whole.evicts_unhealthy && whole.sync_error.is_none());
        assert_eq!((whole.disruptions_allowed, whole.expected_pods), (1, 3));
        assert_eq!((whole.current_healthy, whole.desired_healthy), (3, 2));
        let condition = json!({"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed",
            "message": "no scale", "lastTransitionTime": "2026-11-22T03:04:05Z"});
        let mut failed = counts;
        failed["observedGeneration"] = json!(1);
        failed["conditions"] = json!([condition]);
        let failed = read(&json!({"unhealthyPodEvictionPolicy": "IfHealthyBudget"}), &failed);
        assert!(!failed.is_observed() && !failed.evicts_unhealthy);
        assert_eq!(failed.sync_error.as_deref(), Some("no scale"));
    }
}
