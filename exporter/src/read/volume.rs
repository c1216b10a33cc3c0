//! Volumes: of which plugin they are.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::storage::v1 as storage;
use kube::ResourceExt;
use lockkeeper_rules::cluster::inventory::{PersistentVolume, StorageClass};
use serde::Serialize;

/// The fields of a PersistentVolume that are not its source.
const NOT_A_SOURCE: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

pub(super) fn persistent_volume(object: &core::PersistentVolume) -> Option<PersistentVolume> {
    let plugin = object.spec.as_ref().and_then(|spec| plugins(spec, &NOT_A_SOURCE).into_iter().next());
    Some(PersistentVolume { name: object.name_any(), plugin: plugin.unwrap_or_default() })
}

pub(super) fn storage_class(object: &storage::StorageClass) -> Option<StorageClass> {
    Some(StorageClass { name: object.name_any(), provisioner: object.provisioner.clone() })
}

pub(super) fn csi_driver(object: &storage::CSIDriver) -> Option<String> {
    Some(object.name_any())
}

/// The plugins of the volumes of a template.
pub(super) fn of_template(template: &core::PodTemplateSpec) -> BTreeSet<String> {
    let volumes = template.spec.iter().flat_map(|pod| pod.volumes.iter().flatten());
    volumes.flat_map(|volume| plugins(volume, &["name"])).collect()
}

/// The fields that are there, but for some: a source is the one field of its plugin, whatever plugins there are.
fn plugins(object: &impl Serialize, but: &[&str]) -> Vec<String> {
    let value = serde_json::to_value(object).unwrap_or_default();
    let fields = value.as_object().into_iter().flatten().map(|(name, _)| name.clone());
    fields.filter(|name| !but.contains(&name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_volume_is_known_by_the_field_of_its_plugin() {
        let volume = |source: &str| {
            let mut spec = json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "claimRef": {},
                "mountOptions": [], "nodeAffinity": {}, "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "a", "volumeAttributesClassName": "b", "volumeMode": "Block"});
            spec[source] = match source {
                "rbd" => json!({"image": "i", "monitors": []}),
                "csi" => json!({"driver": "d", "volumeHandle": "h"}),
                "portworxVolume" => json!({"volumeID": "v"}),
                _ => json!({"path": "/x"}),
            };
            let object: Value = json!({"metadata": {"name": "pv"}, "spec": spec});
            persistent_volume(&serde_json::from_value(object).unwrap()).unwrap().plugin
        };
        for source in ["rbd", "csi", "portworxVolume", "hostPath"] {
            assert_eq!(volume(source), source);
        }
    }

    #[test]
    fn a_template_is_known_by_all_of_its_volumes() {
        let template = json!({"spec": {"containers": [], "volumes": [
            {"name": "a", "gitRepo": {"repository": "r"}}, {"name": "b", "emptyDir": {}},
            {"name": "c", "emptyDir": {}}]}});
        let plugins = of_template(&serde_json::from_value(template).unwrap());
        assert_eq!(plugins.into_iter().collect::<Vec<_>>(), ["emptyDir", "gitRepo"]);
        assert!(of_template(&core::PodTemplateSpec::default()).is_empty());
    }
}
