//! The volumes that are attached to a node.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolume;
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::api::ListParams;
use kube::{Api, Client};
use lockkeeper_rules::cluster::snapshot::Source;
use lockkeeper_rules::drain::AttachedVolume;
use lockkeeper_rules::words::name::NodeName;

use super::list::list_all;
use crate::client::kubernetes::call;

/// Every volume that is attached to a node, with the claim that it belongs to.
pub async fn volumes_on(client: &Client, node: &NodeName, deadline: Duration) -> Source<Vec<AttachedVolume>> {
    let asked_at = Timestamp::now();
    let attachments: Api<VolumeAttachment> = Api::all(client.clone());
    let listed = match list_all(&attachments, &ListParams::default(), deadline).await {
        Ok(listed) => listed.items,
        Err(error) => return Source::failed(format!("volumeattachments: {error}")),
    };
    let on_node = listed.into_iter().filter(|it| it.spec.node_name == node.0);
    let claims = call(deadline, claims(client, on_node.map(attached).collect())).await;
    Source::asked(asked_at, claims.map_err(|error| format!("persistentvolumes: {error}")))
}

fn attached(attachment: VolumeAttachment) -> AttachedVolume {
    AttachedVolume {
        attachment: attachment.metadata.name.unwrap_or_default(),
        volume: attachment.spec.source.persistent_volume_name.unwrap_or_default(),
        claim: None,
    }
}

/// The same with their claims. A volume that is gone has none.
async fn claims(client: &Client, mut volumes: Vec<AttachedVolume>) -> kube::Result<Vec<AttachedVolume>> {
    let api: Api<PersistentVolume> = Api::all(client.clone());
    for attached in volumes.iter_mut().filter(|attached| !attached.volume.is_empty()) {
        attached.claim = api.get_opt(&attached.volume).await?.and_then(claim);
    }
    Ok(volumes)
}

fn claim(volume: PersistentVolume) -> Option<(String, String)> {
    let claim = volume.spec?.claim_ref?;
    Some((claim.namespace?, claim.name?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_attachment_is_known_by_its_volume_and_that_by_its_claim() {
        let read = |source: serde_json::Value| {
            let spec = json!({"attacher": "a", "nodeName": "w-1", "source": source});
            let object = json!({"metadata": {"name": "csi-1"}, "spec": spec});
            attached(serde_json::from_value(object).unwrap())
        };
        let named = read(json!({"persistentVolumeName": "pv-1"}));
        assert_eq!((named.attachment.as_str(), named.volume.as_str()), ("csi-1", "pv-1"));
        assert_eq!(read(json!({})).volume, "");
        let volume = |spec: serde_json::Value| {
            claim(serde_json::from_value(json!({"metadata": {"name": "pv-1"}, "spec": spec})).unwrap())
        };
        let claim_ref = json!({"claimRef": {"namespace": "a", "name": "b"}});
        assert_eq!(volume(claim_ref), Some(("a".to_owned(), "b".to_owned())));
        assert_eq!(volume(json!({})), None);
    }
}
