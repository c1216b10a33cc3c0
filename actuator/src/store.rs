//! Where a run's state is kept: its own status, written only over the version that was read.

use std::time::Duration;

use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use lockkeeper_exporter::client::kubernetes::{CallError, call};
use lockkeeper_exporter::read::upgrade_run::{RawUpgradeRun, UpgradeRunObject};
use lockkeeper_rules::api::{FINALIZER, UpgradeRun, UpgradeRunStatus};
use serde_json::json;

/// How long one write may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Why a state was not kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else has written since it was read: read again, decide again.
    #[error("the run has changed since it was read")]
    Conflict,
    /// The run is gone.
    #[error("the run does not exist any more")]
    Gone,
    /// The API server stored something else than what was sent: our intent would be lost.
    #[error("the API server did not store {0}; apply the CRD of this version")]
    Pruned(String),
    /// It is not known whether it was kept.
    #[error("{0}")]
    Unknown(String),
}

/// Keeps `status`, if the run is still as it was read.
///
/// # Errors
/// See [`StoreError`]; only [`StoreError::Unknown`] leaves open whether it was kept.
pub async fn keep(client: &Client, run: &UpgradeRun, status: &UpgradeRunStatus) -> Result<(), StoreError> {
    let api: Api<UpgradeRunObject> = Api::namespaced(client.clone(), &run.namespace);
    let mut object = UpgradeRunObject::new(&run.namespace, &run.name, run.spec.clone());
    object.metadata.resource_version = Some(run.resource_version.clone());
    object.metadata.uid = Some(run.uid.clone());
    object.status = Some(status.clone());
    let params = PostParams::default();
    let stored = outcome(api.replace_status(&run.name, &params, &object)).await?;
    if stored.status.as_ref() == Some(status) {
        return Ok(());
    }
    Err(StoreError::Pruned(difference(stored.status.as_ref(), status)))
}

/// The first field that differs, by name.
fn difference(stored: Option<&UpgradeRunStatus>, sent: &UpgradeRunStatus) -> String {
    let value = |status| serde_json::to_value(status).unwrap_or_default();
    let (stored, sent) = (stored.map(value).unwrap_or_default(), value(sent));
    let field = sent.as_object().and_then(|sent| sent.iter().find(|(key, it)| stored.get(key) != Some(it)));
    field.map_or_else(|| "status".to_owned(), |(key, _)| format!("status.{key}"))
}

/// Puts our finalizer on the run.
///
/// # Errors
/// See [`StoreError`].
pub async fn add_finalizer(client: &Client, run: &UpgradeRun) -> Result<(), StoreError> {
    set_finalizers(client, run, true).await
}

/// Takes our finalizer off the run.
///
/// # Errors
/// See [`StoreError`].
pub async fn remove_finalizer(client: &Client, run: &UpgradeRun) -> Result<(), StoreError> {
    set_finalizers(client, run, false).await
}

async fn set_finalizers(client: &Client, run: &UpgradeRun, wanted: bool) -> Result<(), StoreError> {
    let api: Api<RawUpgradeRun> = Api::namespaced(client.clone(), &run.namespace);
    let current = outcome(api.get(&run.name)).await?;
    if current.metadata.uid.as_deref() != Some(run.uid.as_str()) {
        return Err(StoreError::Gone);
    }
    let mut finalizers = current.metadata.finalizers.unwrap_or_default();
    finalizers.retain(|one| one != FINALIZER);
    if wanted {
        finalizers.push(FINALIZER.to_owned());
    }
    let version = current.metadata.resource_version;
    let patch = json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}});
    outcome(api.patch(&run.name, &PatchParams::default(), &Patch::Merge(patch))).await.map(|_stored| ())
}

async fn outcome<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, StoreError> {
    call(DEADLINE, request).await.map_err(|error| match &error {
        CallError::Answer(kube::Error::Api(status)) if status.is_conflict() => StoreError::Conflict,
        CallError::Answer(kube::Error::Api(status)) if status.is_not_found() => StoreError::Gone,
        CallError::Answer(_) | CallError::Late(_) => StoreError::Unknown(error.to_string()),
    })
}
