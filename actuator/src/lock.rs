//! The cluster lock as a Lease in `kube-system`, changed only over the version that was read.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use lockkeeper_exporter::client::kubernetes::CallError;
use lockkeeper_exporter::read::now;
use lockkeeper_rules::api::UpgradeRun;
use lockkeeper_rules::cluster::snapshot::{Snapshot, Source};
use lockkeeper_rules::gate::{LOCK_NAME, LOCK_RUN_ANNOTATION, LockView, lock_view};
use lockkeeper_rules::reason::{Finding, Reason};

use crate::lease::LeaseAt;

const NAMESPACE: &str = "kube-system";
/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(3);

/// Who holds the lock, read once: for every run of a pass the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder(Result<Option<String>, String>);

impl Holder {
    /// Reads the lock.
    pub async fn read(client: &Client) -> Self {
        let read = at(client).read().await.map_err(|error| error.to_string());
        Self(read.map(|lease| lease.as_ref().and_then(holder).map(str::to_owned)))
    }

    /// Whether the holder is none of these runs, so that only the runs elsewhere tell whether it still exists.
    #[must_use]
    pub fn is_none_of(&self, runs: &[UpgradeRun]) -> bool {
        let holder = self.0.as_ref().ok().and_then(Option::as_deref).filter(|holder| !holder.is_empty());
        holder.is_some_and(|holder| runs.iter().all(|run| run.uid != holder))
    }

    /// Whose the lock is, seen from this run.
    #[must_use]
    pub fn seen_from(&self, uid: &str, snapshot: &Snapshot) -> LockView {
        match &self.0 {
            Ok(holder) => lock_view(holder.as_deref(), uid, &snapshot.runs, &snapshot.runs_elsewhere),
            Err(why) => LockView::Unknown(why.clone()),
        }
    }
}

/// Takes the lock for this run, if it is free at the version that is read now.
///
/// # Errors
/// It is another run's, was changed meanwhile, or could not be reached.
pub async fn take(client: &Client, run: &UpgradeRun, namespaces: &[String]) -> Result<(), Finding> {
    let lease = at(client).read().await.map_err(|error| failed(&error))?;
    // Read after the Lease: a holder that is younger than an older list would pass for gone.
    let (served, elsewhere) = tokio::join!(
        now::runs(client, namespaces, DEADLINE),
        now::runs_elsewhere(client, namespaces, DEADLINE),
    );
    let served = match served {
        Ok(runs) => Source::read(runs, jiff::Timestamp::now()),
        Err(error) => Source::failed(error.to_string()),
    };
    match lock_view(lease.as_ref().and_then(holder), &run.uid, &served, &elsewhere) {
        LockView::Ours => return Ok(()),
        LockView::Free => {}
        LockView::Other { holder } => return Err(Finding::new(Reason::QueuedBehindRun, holder, "")),
        LockView::Unknown(why) => return Err(unreadable(why)),
    }
    write(client, lease.as_ref(), &run.uid, &format!("{}/{}", run.namespace, run.name)).await
}

/// Gives the lock back, if it is this run's.
///
/// # Errors
/// It was changed meanwhile or could not be reached.
pub async fn release(client: &Client, run: &UpgradeRun) -> Result<(), Finding> {
    let lease = at(client).read().await.map_err(|error| failed(&error))?;
    let is_ours = lease.as_ref().and_then(holder) == Some(run.uid.as_str());
    if is_ours { write(client, lease.as_ref(), "", "").await } else { Ok(()) }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

fn at(client: &Client) -> LeaseAt<'_> {
    LeaseAt { client, namespace: NAMESPACE, name: LOCK_NAME, deadline: DEADLINE }
}

async fn write(client: &Client, read: Option<&Lease>, holder: &str, run: &str) -> Result<(), Finding> {
    let annotations = BTreeMap::from([(LOCK_RUN_ANNOTATION.to_owned(), run.to_owned())]);
    let spec = LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        acquire_time: Some(MicroTime(jiff::Timestamp::now())),
        ..LeaseSpec::default()
    };
    at(client).write(read, Some(annotations), spec).await.map_err(|error| failed(&error))
}

fn failed(error: &CallError) -> Finding {
    unreadable(error.to_string())
}

fn unreadable(why: String) -> Finding {
    Finding::new(Reason::LockUnreadable, format!("{NAMESPACE}/{LOCK_NAME}"), why)
}
