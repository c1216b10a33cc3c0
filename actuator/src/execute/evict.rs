//! Evictions, one pod at a time, each by uid and each under its budget.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
use kube::api::PostParams;
use kube::{Api, Client};
use lockkeeper_exporter::kube_client::explain;
use lockkeeper_rules::drain::{Refusal, eviction_finding};
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::{EvictOrder, PodRef};
use serde_json::Value;

use super::{REQUEST_DEADLINE, Warrant};

/// Asks for the eviction of a batch, and returns everything that stood in the way. The batch ends where its warrant
/// does: the pods that were not asked come again with the next check.
pub async fn evict(client: &Client, order: &EvictOrder, warrant: Warrant<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pod in &order.pods {
        if let Err(finding) = warrant.still_holds() {
            findings.push(finding);
            break;
        }
        findings.extend(evict_one(client, pod).await);
    }
    findings.sort();
    findings
}

async fn evict_one(client: &Client, pod: &PodRef) -> Option<Finding> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace);
    let eviction = Eviction {
        metadata: ObjectMeta {
            name: Some(pod.name.clone()),
            namespace: Some(pod.namespace.clone()),
            ..ObjectMeta::default()
        },
        delete_options: Some(DeleteOptions {
            preconditions: Some(Preconditions { uid: Some(pod.uid.clone()), resource_version: None }),
            ..DeleteOptions::default()
        }),
    };
    // Not `Api::evict`: that one loses the precondition on its way.
    let params = PostParams::default();
    let call = pods.create_subresource::<Eviction, Value>("eviction", &pod.name, &params, &eviction);
    match tokio::time::timeout(REQUEST_DEADLINE, call).await {
        Ok(Ok(_accepted)) => None,
        Ok(Err(kube::Error::Api(status))) => {
            let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
            let causes = causes.iter().map(|cause| cause.reason.clone()).collect();
            eviction_finding(pod, &Refusal { code: status.code, causes, message: status.message.clone() })
        }
        Ok(Err(error)) => Some(unknown(pod, explain(&error))),
        Err(_elapsed) => Some(unknown(pod, format!("no answer within {} s", REQUEST_DEADLINE.as_secs()))),
    }
}

fn unknown(pod: &PodRef, detail: String) -> Finding {
    Finding::new(Reason::ApiUnreachable, format!("{}/{}", pod.namespace, pod.name), detail)
}
