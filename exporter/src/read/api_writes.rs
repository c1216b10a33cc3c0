//! Who writes objects in versions that go, as `managedFields` tell. Only metadata is read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::discovery::{ApiGroup, Discovery, verbs};
use kube::{Api, Client};
use lockkeeper_rules::inventory::{ApiKind, ApiWrite};

use super::list::{ListError, list_all_metadata};
use crate::kube_client::explain;

/// Who has written objects of these kinds in these versions. What the API server does not list, such as a review, has
/// left nothing that could be looked at.
///
/// # Errors
/// The groups cannot be discovered, or a kind cannot be listed.
pub async fn api_writes(
    client: &Client,
    kinds: &BTreeSet<ApiKind>,
    deadline: Duration,
) -> Result<Vec<ApiWrite>, String> {
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    let groups: Vec<&str> = kinds.iter().map(|kind| kind.group.as_str()).collect();
    let discovery =
        tokio::time::timeout(deadline, Discovery::new(client.clone()).filter(&groups).run()).await;
    let discovery = discovery
        .map_err(|_elapsed| ListError::Deadline(deadline).to_string())?
        .map_err(|error| explain(&error))?;
    let mut writes = Writes::default();
    for group in discovery.groups() {
        of_group(client, group, kinds, deadline, &mut writes).await?;
    }
    Ok(writes.0.into_values().collect())
}

async fn of_group(
    client: &Client,
    group: &ApiGroup,
    kinds: &BTreeSet<ApiKind>,
    deadline: Duration,
    writes: &mut Writes,
) -> Result<(), String> {
    let is_asked = |kind: &str| kinds.iter().any(|asked| asked.group == group.name() && asked.kind == kind);
    for (resource, capabilities) in group.resources_by_stability() {
        if !is_asked(&resource.kind) || !capabilities.supports_operation(verbs::LIST) {
            continue;
        }
        let api = Api::all_with(client.clone(), &resource);
        let listed = list_all_metadata(&api, deadline)
            .await
            .map_err(|error| format!("{} of {}: {error}", resource.plural, resource.group))?;
        for object in &listed.items {
            writes.note(&resource.kind, &object.metadata, kinds);
        }
    }
    Ok(())
}

/// Writes by what was written and by whom.
#[derive(Default)]
struct Writes(BTreeMap<(ApiKind, String), ApiWrite>);

impl Writes {
    /// Notes who has written an object in a version that is asked about.
    fn note(&mut self, kind: &str, object: &ObjectMeta, asked: &BTreeSet<ApiKind>) {
        let name = object.name.clone().unwrap_or_default();
        let shown = object.namespace.as_ref().map_or(name.clone(), |namespace| format!("{namespace}/{name}"));
        // A manager has one entry for each subresource; the object counts once.
        let mut counted = BTreeSet::new();
        for ManagedFieldsEntry { api_version, manager, time, .. } in object.managed_fields.iter().flatten() {
            let api = ApiKind::of(api_version.as_deref().unwrap_or_default(), kind);
            if !asked.contains(&api) {
                continue;
            }
            let manager = manager.clone().unwrap_or_default();
            let time = time.as_ref().map(|time| time.0);
            let key = (api.clone(), manager.clone());
            let write = self.0.entry(key.clone()).or_insert_with(|| ApiWrite {
                api,
                manager,
                time: None,
                object: shown.clone(),
                count: 0,
            });
            if time > write.time {
                (write.time, write.object) = (time, shown.clone());
            }
            write.count += u64::from(counted.insert(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(writes: &mut Writes, name: &str, fields: &serde_json::Value) {
        let object = serde_json::json!({"namespace": "apps", "name": name, "managedFields": fields});
        let asked = BTreeSet::from([ApiKind::of("storage.k8s.io/v1beta1", "VolumeAttributesClass")]);
        writes.note("VolumeAttributesClass", &serde_json::from_value(object).unwrap(), &asked);
    }

    #[test]
    fn a_writer_is_told_with_its_last_object_and_how_many_there_are() {
        let entry = |api_version: &str, manager: &str, time: &str, below: &str| {
            serde_json::json!({"apiVersion": api_version, "manager": manager, "operation": "Update",
                "time": time, "subresource": below})
        };
        let (old, new) = ("storage.k8s.io/v1beta1", "storage.k8s.io/v1");
        let mut writes = Writes::default();
        let first = [
            entry(old, "helm", "2026-01-02T00:00:00Z", ""),
            entry(old, "helm", "2026-01-01T00:00:00Z", "status"),
            entry(new, "argocd", "2026-01-01T00:00:00Z", ""),
        ];
        noted(&mut writes, "gold", &serde_json::json!(first));
        noted(&mut writes, "silver", &serde_json::json!([entry(old, "helm", "2026-01-03T00:00:00Z", "")]));
        noted(&mut writes, "copper", &serde_json::json!([entry(old, "edit", "2026-01-01T00:00:00Z", "")]));
        noted(&mut writes, "bare", &serde_json::json!([]));
        let told: Vec<_> = writes
            .0
            .values()
            .map(|it| (&*it.manager, &*it.object, it.count, it.time.unwrap().to_string()))
            .collect();
        assert_eq!(
            told,
            [
                ("edit", "apps/copper", 1, "2026-01-01T00:00:00Z".to_owned()),
                ("helm", "apps/silver", 2, "2026-01-03T00:00:00Z".to_owned()),
            ]
        );
    }
}
