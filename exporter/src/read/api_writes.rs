//! Who writes objects in versions that go, as `managedFields` tell. Only metadata is read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::discovery::{ApiGroup, Discovery, verbs};
use kube::{Api, Client};
use lockkeeper_rules::cluster::inventory::{ApiKind, ApiWrite, ApiWrites};
use lockkeeper_rules::facts::RemovedApis;

use super::convert;
use super::list::list_all_metadata;
use crate::client::kubernetes::explain;

/// Who has written objects of the kinds that go with the minor after the one that runs: no run goes further at once.
/// What the API server does not list, such as a review, has left nothing that could be looked at.
///
/// # Errors
/// The API server does not say what it runs and serves, or a kind cannot be listed.
pub async fn api_writes(
    client: &Client,
    removed: &RemovedApis,
    deadline: Duration,
) -> Result<ApiWrites, String> {
    let info = client.apiserver_version().await.map_err(|error| explain(&error))?;
    let unreadable = |text| format!("the API server says version {text:?}");
    let running = convert::version(&info.git_version).map_err(unreadable)?.minor();
    let mut writes = Writes::of(removed.going(running, running.next()));
    let groups: Vec<&str> = writes.asked.iter().map(|kind| kind.group.as_str()).collect();
    // Without a group to look for it would discover all of them.
    if !groups.is_empty() {
        let discovery = Discovery::new(client.clone()).filter(&groups).run().await;
        for group in discovery.map_err(|error| explain(&error))?.groups() {
            of_group(client, group, deadline, &mut writes).await?;
        }
    }
    let Writes { asked, objects, found } = writes;
    Ok(ApiWrites { asked, objects, writes: found.into_values().collect() })
}

async fn of_group(
    client: &Client,
    group: &ApiGroup,
    deadline: Duration,
    writes: &mut Writes,
) -> Result<(), String> {
    for (resource, capabilities) in group.resources_by_stability() {
        let is_asked =
            writes.asked.iter().any(|asked| asked.group == group.name() && asked.kind == resource.kind);
        if !is_asked || !capabilities.supports_operation(verbs::LIST) {
            continue;
        }
        let api = Api::all_with(client.clone(), &resource);
        let listed = list_all_metadata(&api, deadline)
            .await
            .map_err(|error| format!("{} of {}: {error}", resource.plural, resource.group))?;
        for object in &listed.items {
            writes.note(&resource.kind, &object.metadata);
        }
    }
    Ok(())
}

/// What is looked for and what was found: writes by what was written and by whom.
struct Writes {
    asked: BTreeSet<ApiKind>,
    objects: usize,
    found: BTreeMap<(ApiKind, String), ApiWrite>,
}

impl Writes {
    fn of(asked: BTreeSet<ApiKind>) -> Self {
        Self { asked, objects: 0, found: BTreeMap::new() }
    }

    /// Notes who has written an object in a version that is asked about.
    fn note(&mut self, kind: &str, object: &ObjectMeta) {
        self.objects += 1;
        let name = object.name.clone().unwrap_or_default();
        let shown = object.namespace.as_ref().map_or(name.clone(), |namespace| format!("{namespace}/{name}"));
        // A manager has one entry for each subresource; the object counts once.
        let mut counted = BTreeSet::new();
        for ManagedFieldsEntry { api_version, manager, time, .. } in object.managed_fields.iter().flatten() {
            let api = ApiKind::of(api_version.as_deref().unwrap_or_default(), kind);
            if !self.asked.contains(&api) {
                continue;
            }
            let manager = manager.clone().unwrap_or_default();
            let time = time.as_ref().map(|time| time.0);
            let key = (api.clone(), manager.clone());
            let write = self.found.entry(key.clone()).or_insert_with(|| ApiWrite {
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
        writes.note("VolumeAttributesClass", &serde_json::from_value(object).unwrap());
    }

    #[test]
    fn a_writer_is_told_with_its_last_object_and_how_many_there_are() {
        let entry = |api_version: &str, manager: &str, time: &str, below: &str| {
            serde_json::json!({"apiVersion": api_version, "manager": manager, "operation": "Update",
                "time": time, "subresource": below})
        };
        let (old, new) = ("storage.k8s.io/v1beta1", "storage.k8s.io/v1");
        let mut writes = Writes::of([ApiKind::of(old, "VolumeAttributesClass")].into());
        let first = [
            entry(old, "helm", "2026-01-02T00:00:00Z", ""),
            entry(old, "helm", "2026-01-01T00:00:00Z", "status"),
            entry(new, "argocd", "2026-01-01T00:00:00Z", ""),
        ];
        noted(&mut writes, "gold", &serde_json::json!(first));
        noted(&mut writes, "silver", &serde_json::json!([entry(old, "helm", "2026-01-03T00:00:00Z", "")]));
        noted(&mut writes, "copper", &serde_json::json!([entry(old, "edit", "2026-01-01T00:00:00Z", "")]));
        noted(&mut writes, "bare", &serde_json::json!([]));
        assert_eq!(writes.objects, 4);
        let told: Vec<_> = writes
            .found
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
