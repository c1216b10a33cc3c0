//! Kubernetes Events, for people who look with `kubectl describe`: best effort, bounded, never in the way.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use lockkeeper_exporter::client::kubernetes::explain;
use lockkeeper_exporter::read::upgrade_run::KIND;
use lockkeeper_rules::api::{GROUP, UpgradeRun, VERSION};
use tokio::sync::mpsc;

/// Events that wait to be sent; more than this many are dropped and counted in the log.
const QUEUE_LENGTH_MAX: usize = 100;
/// How long one may take to be sent.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest note, in bytes: the API server takes 1,024, and counts them so.
const NOTE_LENGTH_MAX: usize = 1_000;

/// How an event is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Things go on.
    Normal,
    /// A person may want to look.
    Warning,
}

/// Sends events from a task of its own.
#[derive(Debug, Clone)]
pub struct Events {
    queue: mpsc::Sender<Event>,
    identity: String,
}

impl Events {
    /// Starts the task that sends; it ends with the last handle.
    #[must_use]
    pub fn start(client: Client, identity: String) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Event>(QUEUE_LENGTH_MAX);
        tokio::spawn(async move {
            while let Some(event) = waiting.recv().await {
                let namespace = event.metadata.namespace.clone().unwrap_or_default();
                let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
                match tokio::time::timeout(DEADLINE, api.create(&PostParams::default(), &event)).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => tracing::debug!(error = explain(&error), "an event was not stored"),
                    Err(_elapsed) => tracing::debug!("an event was not stored in time"),
                }
            }
        });
        Self { queue, identity }
    }

    /// Tells something about a run: `action` is what was at work, `reason` one `CamelCase` word.
    pub fn tell(&self, run: &UpgradeRun, weight: Weight, action: &str, reason: &str, note: &str) {
        let event = Event {
            metadata: ObjectMeta {
                // A dash: the API server refuses a prefix that ends in a dot.
                generate_name: Some(format!("{}-", run.name)),
                namespace: Some(run.namespace.clone()),
                ..ObjectMeta::default()
            },
            action: Some(action.chars().take(128).collect()),
            event_time: Some(MicroTime(jiff::Timestamp::now())),
            note: Some(cut(note).to_owned()),
            reason: Some(reason.chars().take(128).collect()),
            regarding: Some(ObjectReference {
                api_version: Some(format!("{GROUP}/{VERSION}")),
                kind: Some(KIND.to_owned()),
                name: Some(run.name.clone()),
                namespace: Some(run.namespace.clone()),
                uid: Some(run.uid.clone()),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(format!("{GROUP}/actuator")),
            reporting_instance: Some(self.identity.chars().take(128).collect()),
            type_: Some(match weight {
                Weight::Normal => "Normal".to_owned(),
                Weight::Warning => "Warning".to_owned(),
            }),
            ..Event::default()
        };
        if self.queue.try_send(event).is_err() {
            tracing::debug!("an event was dropped: too many wait");
        }
    }
}

/// As much of a note as is stored.
fn cut(note: &str) -> &str {
    &note[..note.floor_char_boundary(NOTE_LENGTH_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_cut_by_bytes_and_never_within_a_character() {
        assert_eq!(cut("all of it"), "all of it");
        assert_eq!(cut(&"a".repeat(2_000)).len(), 1_000);
        assert_eq!(cut(&"€".repeat(600)).len(), 999);
    }
}
