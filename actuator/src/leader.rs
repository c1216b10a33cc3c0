//! Leadership: a Lease that is written again and again, and a generation that every node compares.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use lockkeeper_exporter::client::kubernetes::CallError;
use lockkeeper_rules::gate::Held;
use lockkeeper_rules::run::{LeaseFacts, LeaseMemory, LeaseMove, LeaseTimes, is_refusal};

use crate::lease::LeaseAt;
use crate::reader::ByName;

/// Where the Lease lives: one for the whole cluster, beside the cluster lock, whatever namespace an installation has.
/// Two installations would otherwise both lead, and both drive the same runs.
pub const LEASE_NAMESPACE: &str = "kube-system";
/// The name of the Lease.
pub const LEASE_NAME: &str = "lockkeeper-actuator";
/// How often giving back is tried, where somebody has written the Lease since it was read.
const GIVE_BACK_ATTEMPTS_MAX: u32 = 2;

/// Why a write of the Lease is not known to be stored.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    /// It was not stored, and the API server says why.
    #[error("refused: {0}")]
    Refused(String),
    /// Nobody knows.
    #[error("unknown whether it was stored: {0}")]
    Unknown(String),
}

impl WriteError {
    fn of(error: &CallError) -> Self {
        match error {
            CallError::Answer(kube::Error::Api(status)) if is_refusal(status.code) => {
                Self::Refused(error.to_string())
            }
            CallError::Answer(_) | CallError::Late(_) => Self::Unknown(error.to_string()),
        }
    }
}

/// The handle by which everybody asks whether we lead.
#[derive(Clone)]
pub struct Leader {
    client: Client,
    namespace: String,
    identity: String,
    times: LeaseTimes,
    began: Instant,
    shared: Arc<Mutex<Shared>>,
    /// Held from reading the Lease until its write is answered. A renewal that is under way would otherwise meet the one
    /// that gives it back: it would win that race, or come back after it and pass for a lead.
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl std::fmt::Debug for Leader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leader").field("identity", &self.identity).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Shared {
    memory: LeaseMemory,
    generation: u64,
    /// Others may lead until then: our own node is next.
    aside_until: Option<Duration>,
}

impl Leader {
    /// A replica that does not lead yet. `identity` must be of this process alone: two that share one would both lead.
    #[must_use]
    pub fn new(client: Client, namespace: &str, identity: &str, lease_seconds: u64) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            identity: identity.to_owned(),
            times: LeaseTimes::new(lease_seconds),
            began: Instant::now(),
            shared: Arc::default(),
            writing: Arc::default(),
        }
    }

    /// The generation of our leadership, if we lead at this moment.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        let shared = self.lock();
        shared.memory.leads(self.times, self.began.elapsed()).then_some(shared.generation)
    }

    /// Our Lease, read now: the live check asks the API server, not this process.
    pub async fn held(&self) -> Held {
        match ByName(&self.client).lease(&self.namespace, LEASE_NAME).await.newest() {
            Err(why) => Held::Unreadable(why),
            Ok(None) => Held::NotOurs("the Lease is gone".to_owned()),
            Ok(Some(lease)) => {
                let holder = facts(lease).holder;
                if holder == self.identity { Held::Ours } else { Held::NotOurs(holder) }
            }
        }
    }

    /// Takes and keeps the Lease until `stop`, then gives it back so that another can lead at once.
    pub async fn keep(&self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let pause = self.times.act / 5;
        loop {
            self.turn().await;
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.give_back().await;
    }

    async fn turn(&self) {
        let _alone = self.writing.lock().await;
        if self.is_aside() {
            return;
        }
        let lease = match self.at().read().await {
            Ok(lease) => lease,
            Err(error) => return tracing::warn!(%error, "the Lease could not be read"),
        };
        let began = self.began.elapsed();
        let facts = lease.as_ref().map(facts);
        let minutes = u64::try_from(Timestamp::now().as_second() / 60).unwrap_or(0);
        let action = self.lock().memory.look(facts.as_ref(), &self.identity, self.times, began, minutes);
        let transitions = match action {
            LeaseMove::Create { transitions }
            | LeaseMove::Renew { transitions }
            | LeaseMove::Take { transitions } => transitions,
            LeaseMove::Wait => return,
        };
        match self.write(lease.as_ref(), &self.identity, transitions).await {
            // Whoever hands over waits for this answer, to give back what it has stored. Nothing more is done under it.
            Ok(()) if self.is_aside() => {}
            Ok(()) => {
                let mut shared = self.lock();
                shared.memory.stored(began);
                if shared.generation != transitions {
                    shared.generation = transitions;
                    tracing::info!(generation = transitions, "leading");
                }
            }
            Err(error) => {
                // Somebody else was first, or we may not write it any more. Only where nobody knows does the time run.
                if matches!(error, WriteError::Refused(_)) {
                    self.lock().memory.lost();
                }
                tracing::warn!(%error, "the Lease could not be written");
            }
        }
    }

    /// Gives the Lease back and leaves it to others for a while; leads again if nobody wants it.
    pub async fn hand_over(&self) {
        self.lock().aside_until = Some(self.began.elapsed() + self.times.duration * 2);
        self.give_back().await;
    }

    fn is_aside(&self) -> bool {
        self.lock().aside_until.is_some_and(|until| self.began.elapsed() < until)
    }

    async fn give_back(&self) {
        // At once, and not when a write that is under way has been answered.
        self.lock().memory.lost();
        let _alone = self.writing.lock().await;
        for attempt in 1..=GIVE_BACK_ATTEMPTS_MAX {
            let Ok(Some(lease)) = self.at().read().await else { return };
            let facts = facts(&lease);
            if facts.holder != self.identity {
                return;
            }
            match self.write(Some(&lease), "", facts.transitions).await {
                Ok(()) => return,
                // A renewal whose answer we did not wait for has come first.
                Err(WriteError::Refused(_)) if attempt < GIVE_BACK_ATTEMPTS_MAX => {}
                Err(error) => {
                    tracing::warn!(%error, "the Lease could not be given back; others wait for it to age");
                    return;
                }
            }
        }
    }

    async fn write(&self, read: Option<&Lease>, holder: &str, transitions: u64) -> Result<(), WriteError> {
        let now = MicroTime(Timestamp::now());
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: i32::try_from(self.times.duration.as_secs()).ok(),
            lease_transitions: i32::try_from(transitions).ok(),
            renew_time: Some(now.clone()),
            acquire_time: Some(now),
            ..LeaseSpec::default()
        };
        self.at().write(read, None, spec).await.map_err(|error| WriteError::of(&error))
    }

    fn at(&self) -> LeaseAt<'_> {
        // A request that takes longer than this is of no use: the next one is due.
        let deadline = self.times.act / 3;
        LeaseAt { client: &self.client, namespace: &self.namespace, name: LEASE_NAME, deadline }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("nothing panics while it holds the leadership")
    }
}

fn facts(lease: &Lease) -> LeaseFacts {
    let spec = lease.spec.as_ref();
    LeaseFacts {
        holder: spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default(),
        transitions: spec
            .and_then(|spec| spec.lease_transitions)
            .and_then(|n| u64::try_from(n).ok())
            .unwrap_or(0),
        resource_version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
