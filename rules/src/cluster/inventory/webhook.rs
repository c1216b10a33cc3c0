use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::backend::Backend;
use super::definition::Definition;
use super::service::ServiceName;
use crate::words::labels::Selector;

/// A ValidatingWebhookConfiguration or a MutatingWebhookConfiguration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookConfiguration {
    /// Which of the two.
    pub kind: WebhookKind,
    /// Its name.
    pub name: String,
    /// Its webhooks.
    pub webhooks: Vec<Webhook>,
}

/// What a webhook does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookKind {
    /// It refuses.
    Validating,
    /// It changes.
    Mutating,
}

/// One webhook of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its name.
    pub name: String,
    /// Who answers.
    pub backend: Backend,
    /// `failurePolicy` is `Fail`: while nobody answers, what it matches is refused.
    pub fails_closed: bool,
    /// `matchPolicy` is `Exact`.
    pub is_exact: bool,
    /// It has `matchConditions`, which only an API server can evaluate.
    pub has_conditions: bool,
    /// `namespaceSelector`.
    pub namespaces: Selector,
    /// `objectSelector`.
    pub objects: Selector,
    /// What it is asked about.
    pub rules: Vec<WebhookRule>,
}

/// What a webhook is asked about, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookRule {
    /// `apiGroups`.
    pub groups: Vec<String>,
    /// `apiVersions`.
    pub versions: Vec<String>,
    /// `operations`.
    pub operations: Vec<String>,
    /// `resources`.
    pub resources: Vec<String>,
    /// `scope`, `*` if left out.
    pub scope: String,
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// What API servers have counted of their calls of webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookCalls {
    /// The label `instance` of each API server that is scraped now.
    pub scraped: Vec<String>,
    /// The webhooks that were called.
    pub called: Vec<CalledWebhook>,
}

/// A webhook that was called lately. API servers count by its name, whatever configuration it is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalledWebhook {
    /// What it does.
    pub kind: WebhookKind,
    /// Its name.
    pub name: String,
    /// Within how many seconds it was called.
    pub within_seconds: u64,
    /// It has answered a call, and let the request pass.
    pub has_answered: bool,
    /// A call of it has failed.
    pub has_failed: bool,
}

/// The Services that must answer: those of webhooks that fail closed, and of conversions.
#[must_use]
pub fn webhook_services(
    configurations: &[WebhookConfiguration],
    definitions: &[Definition],
) -> BTreeSet<ServiceName> {
    let webhooks = configurations.iter().flat_map(|it| &it.webhooks).filter(|it| it.fails_closed);
    let converters = definitions.iter().filter_map(|it| it.converter.as_ref());
    let services = webhooks.map(|it| &it.backend).chain(converters).filter_map(Backend::service);
    services.cloned().collect()
}

impl fmt::Display for WebhookConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            WebhookKind::Validating => "ValidatingWebhookConfiguration",
            WebhookKind::Mutating => "MutatingWebhookConfiguration",
        };
        write!(f, "{kind} {}", self.name)
    }
}
