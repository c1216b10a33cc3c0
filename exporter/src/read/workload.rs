//! Workloads: what is kept of Deployments, DaemonSets and StatefulSets.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lockkeeper_rules::cluster::inventory::{Container, Rollout, TCP, Workload, WorkloadKind};
use lockkeeper_rules::cluster::snapshot::Source;

use super::volume;

pub(super) fn deployment(object: &Deployment) -> Option<Workload> {
    let (spec, status) = (object.spec.as_ref()?, object.status.as_ref());
    let rollout = Rollout {
        generation: object.metadata.generation.unwrap_or_default(),
        observed: status.and_then(|status| status.observed_generation).unwrap_or_default(),
        desired: spec.replicas.unwrap_or(1),
        current: status.and_then(|status| status.replicas).unwrap_or_default(),
        updated: status.and_then(|status| status.updated_replicas).unwrap_or_default(),
    };
    Some(workload(WorkloadKind::Deployment, &object.metadata, &spec.template, rollout))
}

pub(super) fn daemon_set(object: &DaemonSet) -> Option<Workload> {
    let (spec, status) = (object.spec.as_ref()?, object.status.as_ref());
    let rollout = Rollout {
        generation: object.metadata.generation.unwrap_or_default(),
        observed: status.and_then(|status| status.observed_generation).unwrap_or_default(),
        desired: status.map(|status| status.desired_number_scheduled).unwrap_or_default(),
        current: status.map(|status| status.current_number_scheduled).unwrap_or_default(),
        updated: status.and_then(|status| status.updated_number_scheduled).unwrap_or_default(),
    };
    Some(workload(WorkloadKind::DaemonSet, &object.metadata, &spec.template, rollout))
}

pub(super) fn stateful_set(object: &StatefulSet) -> Option<Workload> {
    let (spec, status) = (object.spec.as_ref()?, object.status.as_ref());
    let rollout = Rollout {
        generation: object.metadata.generation.unwrap_or_default(),
        observed: status.and_then(|status| status.observed_generation).unwrap_or_default(),
        desired: spec.replicas.unwrap_or(1),
        current: status.map(|status| status.replicas).unwrap_or_default(),
        updated: status.and_then(|status| status.updated_replicas).unwrap_or_default(),
    };
    Some(workload(WorkloadKind::StatefulSet, &object.metadata, &spec.template, rollout))
}

/// One source of several: as old as the oldest, and whole only if all of them are.
pub(super) fn joined<T>(parts: impl IntoIterator<Item = Source<Vec<T>>>) -> Source<Vec<T>> {
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else { return Source::unread() };
    parts.fold(first, |joined, part| Source {
        value: joined.value.zip(part.value).map(|(mut all, more)| {
            all.extend(more);
            all
        }),
        proven_at: joined.proven_at.zip(part.proven_at).map(|(one, other)| one.min(other)),
        error: joined.error.or(part.error),
    })
}

fn workload(
    kind: WorkloadKind,
    metadata: &ObjectMeta,
    template: &core::PodTemplateSpec,
    rollout: Rollout,
) -> Workload {
    let pod_labels = template.metadata.as_ref().and_then(|pod| pod.labels.clone()).unwrap_or_default();
    // Most are on the pods too, and need not be kept twice.
    let is_kept = |(name, value): &(&String, &String)| {
        Workload::LABELS.contains(&name.as_str()) || pod_labels.get(*name) != Some(*value)
    };
    let kept = metadata.labels.iter().flatten().filter(is_kept);
    let kept = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    let pod = template.spec.as_ref();
    let containers = pod.map(|pod| pod.containers.as_slice()).unwrap_or_default();
    let inits = pod.and_then(|pod| pod.init_containers.as_deref()).unwrap_or_default();
    Workload {
        kind,
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        labels: kept,
        pod_labels,
        volume_plugins: volume::of_template(template),
        priority_class: pod.and_then(|pod| pod.priority_class_name.clone()).unwrap_or_default(),
        containers: containers.iter().map(container).collect(),
        init_containers: inits.iter().map(container).collect(),
        rollout,
        container_ports: containers.iter().chain(inits).flat_map(tcp_ports).collect(),
    }
}

fn tcp_ports(container: &core::Container) -> impl Iterator<Item = u16> {
    let ports = container.ports.iter().flatten();
    let by_tcp = ports.filter(|it| it.protocol.as_deref().is_none_or(|protocol| protocol == TCP));
    by_tcp.filter_map(|it| it.container_port.try_into().ok())
}

fn container(container: &core::Container) -> Container {
    Container { name: container.name.clone(), image: container.image.clone().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn object(spec: &Value, status: &Value) -> Value {
        let template = json!({"metadata": {"labels": {"app": "o"}}, "spec": {"priorityClassName": "system-node-critical",
            "containers": [{"name": "main", "image": "net/node:v1", "ports": [{"containerPort": 9443},
                {"containerPort": 8080, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]}],
            "initContainers": [{"name": "install", "image": "net/cni:v1"}]}});
        let mut spec = spec.clone();
        spec["template"] = template;
        spec["selector"] = json!({});
        json!({"metadata": {"namespace": "n", "name": "o", "generation": 2,
                "labels": {"app.kubernetes.io/version": "v1", "team": "a", "app": "o"}}, "spec": spec, "status": status})
    }

    #[test]
    fn each_kind_is_its_images_and_how_far_its_pods_follow() {
        let replicas = json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 3});
        let scheduled = json!({"observedGeneration": 2, "desiredNumberScheduled": 3, "currentNumberScheduled": 4,
            "numberMisscheduled": 0, "numberReady": 0, "updatedNumberScheduled": 3});
        let three = json!({"replicas": 3, "serviceName": ""});
        let all = [
            deployment(&serde_json::from_value(object(&three, &replicas)).unwrap()),
            daemon_set(&serde_json::from_value(object(&json!({}), &scheduled)).unwrap()),
            stateful_set(&serde_json::from_value(object(&three, &replicas)).unwrap()),
        ];
        for workload in all {
            let workload = workload.unwrap();
            let rollout = Rollout { generation: 2, observed: 2, desired: 3, current: 4, updated: 3 };
            assert_eq!(workload.rollout, rollout, "{workload}");
            assert_eq!(
                workload.all_containers().map(|it| it.image.as_str()).collect::<Vec<_>>(),
                ["net/node:v1", "net/cni:v1"]
            );
            let own: Vec<_> = workload.labels.into_keys().collect();
            assert_eq!(own, ["app.kubernetes.io/version", "team"], "what its pods say too is kept once");
            assert_eq!(workload.priority_class, "system-node-critical");
            assert_eq!(workload.container_ports, [8080, 9443].into());
            assert_eq!(
                workload.pod_labels.into_iter().collect::<Vec<_>>(),
                [("app".to_owned(), "o".to_owned())]
            );
        }
    }

    #[test]
    fn what_nobody_has_looked_at_yet_is_not_settled() {
        let fresh = deployment(&serde_json::from_value(object(&json!({}), &json!({}))).unwrap()).unwrap();
        assert!(!fresh.rollout.is_settled());
    }

    #[test]
    fn joined_sources_are_as_old_as_the_oldest_and_as_broken_as_the_worst() {
        let early: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let late: Timestamp = "2026-01-02T03:04:06Z".parse().unwrap();
        let both = joined([Source::read(vec![1], late), Source::read(vec![2], early)]);
        assert_eq!(both, Source::read(vec![1, 2], early));
        let broken = joined([Source::read(vec![1], late), Source::failed("forbidden")]);
        assert_eq!((broken.value, broken.error), (None, Some("forbidden".to_owned())));
    }
}
