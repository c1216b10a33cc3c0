//! The cluster lock as a Lease in `kube-system`, changed only over the version that was read.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use lockkeeper_rules::api::UpgradeRun;
use lockkeeper_rules::cluster::snapshot::{Snapshot, Source};
use lockkeeper_rules::gate::{LOCK_NAME, LOCK_RUN_ANNOTATION, LockView, lock_view};
use lockkeeper_rules::reason::{Finding, Reason};

use crate::lease::LeaseAt;
use crate::reader::ByName;

const NAMESPACE: &str = "kube-system";
/// How long one write may take.
const DEADLINE: Duration = Duration::from_secs(3);

/// Who holds the lock, read once: for every run of a pass, and every order of a round of live checks, the same.
#[derive(Debug, Clone)]
pub struct Holder(Source<Option<Lease>>);

impl Holder {
    /// Reads the lock.
    pub async fn read(by_name: ByName<'_>) -> Self {
        Self(by_name.lease(NAMESPACE, LOCK_NAME).await)
    }

    /// Whether the holder is none of these runs, so that only the runs elsewhere tell whether it still exists.
    #[must_use]
    pub fn is_none_of(&self, runs: &[UpgradeRun]) -> bool {
        let holder = self.0.value.as_ref().and_then(holder_of).filter(|holder| !holder.is_empty());
        holder.is_some_and(|holder| runs.iter().all(|run| run.uid != holder))
    }

    /// Whose the lock is, seen from this run.
    #[must_use]
    pub fn seen_from(&self, uid: &str, snapshot: &Snapshot) -> LockView {
        match self.0.newest() {
            Ok(lease) => lock_view(holder_of(lease), uid, &snapshot.runs, &snapshot.runs_elsewhere),
            Err(why) => LockView::Unknown(why),
        }
    }
}

/// Takes the lock for this run, if it is free at the version that is read now.
///
/// # Errors
/// It is another run's, was changed meanwhile, or could not be reached.
pub async fn take(client: &Client, run: &UpgradeRun, namespaces: &[String]) -> Result<(), Finding> {
    let by_name = ByName(client);
    let lease = by_name.lease(NAMESPACE, LOCK_NAME).await;
    let lease = lease.newest().map_err(unreadable)?;
    // Read after the Lease: a holder that is younger than an older list would pass for gone.
    let (served, elsewhere) = by_name.runs(namespaces).await;
    match lock_view(holder_of(lease), &run.uid, &served, &elsewhere) {
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
    let lease = ByName(client).lease(NAMESPACE, LOCK_NAME).await;
    let lease = lease.newest().map_err(unreadable)?;
    let is_ours = holder_of(lease) == Some(run.uid.as_str());
    if is_ours { write(client, lease.as_ref(), "", "").await } else { Ok(()) }
}

fn holder_of(lease: &Option<Lease>) -> Option<&str> {
    lease.as_ref()?.spec.as_ref()?.holder_identity.as_deref()
}

async fn write(client: &Client, read: Option<&Lease>, holder: &str, run: &str) -> Result<(), Finding> {
    let annotations = BTreeMap::from([(LOCK_RUN_ANNOTATION.to_owned(), run.to_owned())]);
    let spec = LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        acquire_time: Some(MicroTime(jiff::Timestamp::now())),
        ..LeaseSpec::default()
    };
    let at = LeaseAt { client, namespace: NAMESPACE, name: LOCK_NAME, deadline: DEADLINE };
    let written = at.write(read, Some(annotations), spec).await;
    written.map_err(|error| unreadable(error.to_string()))
}

fn unreadable(why: String) -> Finding {
    Finding::new(Reason::LockUnreadable, format!("{NAMESPACE}/{LOCK_NAME}"), why)
}
