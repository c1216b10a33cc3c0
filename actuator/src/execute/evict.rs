//! Evictions, one pod at a time, each by uid and each under its budget.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
use kube::api::PostParams;
use kube::{Api, Client};
use lockkeeper_exporter::client::kubernetes::{CallError, call};
use lockkeeper_rules::drain::{Refusal, eviction_finding, is_there};
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::run::EvictOrder;
use lockkeeper_rules::words::pod_ref::PodRef;
use serde_json::Value;

use super::Clearance;
use crate::reader::{ByName, REQUEST_DEADLINE};

/// Asks for the eviction of a batch, and returns everything that stood in the way. The batch ends where its clearance
/// does: the pods that were not asked come again with the next check.
pub async fn evict(client: &Client, order: &EvictOrder, clearance: Clearance<'_>) -> Vec<Finding> {
    let by_name = ByName(client);
    let mut findings = Vec::new();
    for pod in &order.pods {
        match by_name.pod_uid(&pod.namespace, &pod.name).await.newest() {
            Ok(uid) if is_there(pod, uid.as_deref()) => {}
            Ok(_another_or_none) => continue,
            Err(why) => {
                findings.push(unknown(pod, why));
                break;
            }
        }
        // After the question: its answer may have taken long.
        if let Err(finding) = clearance.still_holds() {
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
    let answer = pods.create_subresource::<Eviction, Value>("eviction", &pod.name, &params, &eviction);
    match call(REQUEST_DEADLINE, answer).await {
        Ok(_accepted) => None,
        Err(CallError::Answer(kube::Error::Api(status))) => {
            let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
            let causes = causes.iter().map(|cause| (cause.reason.clone(), cause.message.clone())).collect();
            eviction_finding(pod, &Refusal { code: status.code, causes, message: status.message.clone() })
        }
        Err(error) => Some(unknown(pod, error.to_string())),
    }
}

fn unknown(pod: &PodRef, why: String) -> Finding {
    Finding::new(Reason::ApiUnreachable, format!("{}/{}", pod.namespace, pod.name), why)
}
