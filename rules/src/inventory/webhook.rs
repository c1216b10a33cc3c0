use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Definition;
use crate::labels::Selector;
use crate::name::NodeName;

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

/// Who answers a webhook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// A Service of the cluster.
    Service(ServiceName),
    /// Somebody outside, by a URL that may be shown.
    Url(String),
}

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A Service behind a webhook, with who answers for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookBackend {
    /// The Service.
    pub service: ServiceName,
    /// What it leads to.
    pub leads_to: LeadsTo,
}

/// What a Service leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadsTo {
    /// There is no such Service.
    Nowhere,
    /// A name outside the cluster: `type: ExternalName`.
    Outside,
    /// Endpoints.
    Endpoints {
        /// `spec.selector`: whose pods they are.
        selector: BTreeMap<String, String>,
        /// The node of each ready endpoint, where it has one.
        ready: Vec<Option<NodeName>>,
    },
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
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

impl Backend {
    /// The Service, if it is one.
    #[must_use]
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Service(service) => Some(service),
            Self::Url(_) => None,
        }
    }
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

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
