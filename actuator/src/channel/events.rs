//! Kubernetes Events, for people who look with `kubectl describe`.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use lockkeeper_exporter::client::kubernetes::explain;
use lockkeeper_exporter::read::upgrade_run::KIND;
use lockkeeper_rules::api::{GROUP, VERSION};
use lockkeeper_rules::notice::{News, Notice};
use lockkeeper_rules::reason::Finding;
use lockkeeper_rules::words::step::Step;

use super::log::list;

/// The longest note, in bytes: the API server takes 1,024, and counts them so.
const NOTE_LENGTH_MAX: usize = 1_000;
/// The longest action, reason and reporter, in characters.
const WORD_LENGTH_MAX: usize = 128;
/// What was at work where no step was.
const RUN: &str = "run";
/// Things go on.
const NORMAL: &str = "Normal";
/// A person may want to look.
const WARNING: &str = "Warning";

/// Where Events are stored, and by whom.
pub struct Events {
    client: Client,
    identity: String,
}

/// What an Event says: how it is shown, what was at work, one `CamelCase` word, and a sentence.
struct Words {
    weight: &'static str,
    action: String,
    reason: &'static str,
    note: String,
}

impl Events {
    /// Events that are stored through this client, by the process of this identity.
    #[must_use]
    pub fn new(client: Client, identity: String) -> Self {
        Self { client, identity }
    }

    pub(super) async fn send(&self, notice: &Notice) -> Result<(), String> {
        let Some(words) = words(&notice.news) else { return Ok(()) };
        let api: Api<Event> = Api::namespaced(self.client.clone(), &notice.namespace);
        match api.create(&PostParams::default(), &self.event(notice, words)).await {
            Ok(_) => Ok(()),
            // It was stored before, and nobody has lived to write that down.
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            Err(error) => Err(explain(&error)),
        }
    }

    fn event(&self, notice: &Notice, words: Words) -> Event {
        Event {
            metadata: ObjectMeta {
                // One that comes twice has one name. A uid, because another run may take the name of this one.
                name: notice.id.as_ref().map(|id| id.replace('/', ".")),
                // A dash: the API server refuses a prefix that ends in a dot.
                generate_name: notice.id.is_none().then(|| format!("{}-", notice.name)),
                namespace: Some(notice.namespace.clone()),
                ..ObjectMeta::default()
            },
            action: Some(word(&words.action)),
            event_time: Some(MicroTime(notice.at)),
            note: Some(cut(&words.note).to_owned()),
            reason: Some(word(words.reason)),
            regarding: Some(ObjectReference {
                api_version: Some(format!("{GROUP}/{VERSION}")),
                kind: Some(KIND.to_owned()),
                name: Some(notice.name.clone()),
                namespace: Some(notice.namespace.clone()),
                uid: Some(notice.uid.clone()),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(format!("{GROUP}/actuator")),
            reporting_instance: Some(word(&self.identity)),
            type_: Some(words.weight.to_owned()),
            ..Event::default()
        }
    }
}

/// What an Event says of it; nothing of what only the log says.
fn words(news: &News) -> Option<Words> {
    let of_run = |weight, reason, note| Some(Words { weight, action: RUN.to_owned(), reason, note });
    let of_step =
        |weight, step: &Step, reason, note| Some(Words { weight, action: step.to_string(), reason, note });
    match news {
        News::Opened { from, target } => {
            let from = from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
            of_run(NORMAL, "Opened", format!("the upgrade{from} to {target} begins"))
        }
        News::StepStarted(step) => of_step(NORMAL, step, "StepStarted", format!("{step} started")),
        News::StepFinished(step) => of_step(NORMAL, step, "StepFinished", format!("{step} finished")),
        News::StepNotBegun(step) => {
            of_step(NORMAL, step, "StepNotBegun", format!("{step} waits: what comes before it is done again"))
        }
        News::StepRetried { step, because } => of_step(WARNING, step, "StepWillBeTriedAgain", list(because)),
        News::StepFailed(it) => of_step(WARNING, &it.step, "StepFailed", it.finding.to_string()),
        News::Holding { findings, .. } if findings.is_empty() => None,
        News::Holding { step: Some(step), findings } => of_step(NORMAL, step, "Holding", list(findings)),
        News::Holding { step: None, findings } => of_run(NORMAL, "Holding", list(findings)),
        News::StageStarted(..) => None,
        News::Halted(it) => of_step(WARNING, &it.step, "Halted", it.finding.to_string()),
        News::Resumed { step, attempt } => {
            of_step(NORMAL, step, "Resumed", format!("attempt {attempt} of {step} waits for its permit"))
        }
        News::Finished => of_run(NORMAL, "Succeeded", "every node is at the target".to_owned()),
        News::SourceNotRestored(finding) => of_run(WARNING, "SourceNotRestored", with_remedy(finding)),
        News::StatusUnreadable(finding) => of_run(WARNING, "StatusUnreadable", with_remedy(finding)),
        News::CommandRefused(finding) => of_run(WARNING, "CommandRefused", finding.to_string()),
    }
}

fn with_remedy(finding: &Finding) -> String {
    format!("{finding}. Remedy: {}.", finding.reason.entry().remedy)
}

fn word(text: &str) -> String {
    text.chars().take(WORD_LENGTH_MAX).collect()
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
