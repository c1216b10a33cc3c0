//! Cordon and uncordon: `unschedulable` and the annotation that says whose it is, in one patch.

use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use lockkeeper_exporter::client::kubernetes::{CallError, call};
use lockkeeper_rules::api::CORDONED_BY_ANNOTATION;
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::{CordonOrder, UncordonOrder};
use lockkeeper_rules::words::name::NodeName;
use serde_json::{Value, json};

use super::Clearance;
use crate::reader::{ByName, REQUEST_DEADLINE};

/// Cordons a node that is still as it was read.
///
/// # Errors
/// The clearance has run out, the node has changed, or nobody knows whether it was done.
pub async fn cordon(client: &Client, order: &CordonOrder, clearance: Clearance<'_>) -> Result<(), Finding> {
    let CordonOrder { node, uid, resource_version, token, proof: _ } = order;
    let annotation = token.to_string();
    let patch = json!({
        "metadata": {
            "uid": uid,
            "resourceVersion": resource_version,
            "annotations": {CORDONED_BY_ANNOTATION: annotation},
        },
        "spec": {"unschedulable": true},
    });
    let after = send(client, node, &Patch::Merge(patch), clearance).await?;
    expect(node, &after, Some(&annotation))
}

/// Gives a node back that is still as it was read, with our annotation as it was written.
///
/// # Errors
/// We do not lead any more, the node has changed, or nobody knows whether it was done.
pub async fn uncordon(
    client: &Client,
    order: &UncordonOrder,
    clearance: Clearance<'_>,
) -> Result<(), Finding> {
    let UncordonOrder { node, uid, resource_version, annotation } = order;
    let read = ByName(client).node(node).await;
    let before = match read.newest() {
        Ok(Some(before)) => before,
        Ok(None) => return Err(Finding::new(Reason::NodeMissing, node.0.clone(), "")),
        Err(why) => return Err(Finding::new(Reason::ApiUnreachable, node.0.clone(), why)),
    };
    if before.uid != *uid || before.cordoned_by.as_ref() != Some(annotation) {
        let detail = format!("{CORDONED_BY_ANNOTATION} is {:?}, not {annotation:?}", before.cordoned_by);
        return Err(Finding::new(Reason::NodeChanged, node.0.clone(), detail));
    }
    // The version pins what was just seen: whoever changes the node in between is first, and this is refused.
    let patch = json!({
        "metadata": {
            "uid": uid,
            "resourceVersion": resource_version,
            "annotations": {CORDONED_BY_ANNOTATION: null},
        },
        "spec": {"unschedulable": null},
    });
    let after = send(client, node, &Patch::Merge(patch), clearance).await?;
    expect(node, &after, None)
}

async fn send(
    client: &Client,
    node: &NodeName,
    patch: &Patch<Value>,
    clearance: Clearance<'_>,
) -> Result<Node, Finding> {
    let nodes: Api<Node> = Api::all(client.clone());
    let params = PatchParams::default();
    clearance.still_holds()?;
    match call(REQUEST_DEADLINE, nodes.patch(&node.0, &params, patch)).await {
        Ok(node) => Ok(node),
        Err(CallError::Answer(kube::Error::Api(status))) if status.is_not_found() => {
            Err(Finding::new(Reason::NodeMissing, node.0.clone(), ""))
        }
        // 409 is another version or another uid, 422 a uid that cannot be changed: another node by this name.
        Err(CallError::Answer(kube::Error::Api(status))) if matches!(status.code, 409 | 422) => {
            Err(Finding::new(Reason::NodeChanged, node.0.clone(), status.message.clone()))
        }
        Err(error) => Err(Finding::new(Reason::ApiUnreachable, node.0.clone(), error.to_string())),
    }
}

fn annotation_of(node: &Node) -> Option<&str> {
    node.metadata.annotations.as_ref()?.get(CORDONED_BY_ANNOTATION).map(String::as_str)
}

/// What we wrote is what we read.
fn expect(name: &NodeName, node: &Node, annotation: Option<&str>) -> Result<(), Finding> {
    let is_unschedulable = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    let found = annotation_of(node);
    if is_unschedulable == annotation.is_some() && found == annotation {
        return Ok(());
    }
    let detail = format!(
        "unschedulable is {is_unschedulable} and {CORDONED_BY_ANNOTATION} is {found:?} after the patch"
    );
    Err(Finding::new(Reason::NodeChanged, name.0.clone(), detail))
}
