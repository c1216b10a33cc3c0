//! Webhooks, and who answers them. Only the Services that a webhook names are looked at, by asking: a watch of every
//! EndpointSlice would be told of every pod that becomes Ready anywhere.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1 as admission;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as extensions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use lockkeeper_rules::cluster::inventory::{
    Backend, Definition, Namespace, ServiceName, Webhook, WebhookBackend, WebhookConfiguration, WebhookKind,
    WebhookRule, webhook_services,
};
use lockkeeper_rules::cluster::snapshot::Source;
use lockkeeper_rules::words::labels::Selector;
use tokio::sync::Notify;

use super::budget::selector;
use super::list::list_all;
use super::polled::Polled;
use super::service::leads_to;
use super::watch::{Watched, values};
use super::workload::joined;
use crate::client::deadline::within;
use crate::client::kubernetes::explain;
use crate::client::shown::shown_url;

/// How often the Services are asked for.
const PAUSE: Duration = Duration::from_secs(5);
/// The pause until what names them is known.
const PAUSE_UNKNOWN: Duration = Duration::from_millis(200);
/// How long all of them may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How many Services are asked for. A cluster has a handful of webhooks; each costs two small requests.
const SERVICES_MAX: usize = 200;
/// The port of a Service that is asked where nothing is said.
const PORT: i32 = 443;
/// How many are asked for at the same time.
const AT_ONCE: usize = 8;

pub(super) fn validating(object: &admission::ValidatingWebhookConfiguration) -> Option<WebhookConfiguration> {
    let webhooks = object.webhooks.iter().flatten().map(|it| Webhook {
        name: it.name.clone(),
        backend: backend(&it.client_config),
        fails_closed: fails_closed(it.failure_policy.as_deref()),
        is_exact: it.match_policy.as_deref() == Some("Exact"),
        has_conditions: it.match_conditions.as_ref().is_some_and(|conditions| !conditions.is_empty()),
        namespaces: selector_or_all(it.namespace_selector.as_ref()),
        objects: selector_or_all(it.object_selector.as_ref()),
        rules: it.rules.iter().flatten().map(rule).collect(),
    });
    let webhooks = webhooks.collect();
    Some(WebhookConfiguration { kind: WebhookKind::Validating, name: object.name_any(), webhooks })
}

pub(super) fn mutating(object: &admission::MutatingWebhookConfiguration) -> Option<WebhookConfiguration> {
    let webhooks = object.webhooks.iter().flatten().map(|it| Webhook {
        name: it.name.clone(),
        backend: backend(&it.client_config),
        fails_closed: fails_closed(it.failure_policy.as_deref()),
        is_exact: it.match_policy.as_deref() == Some("Exact"),
        has_conditions: it.match_conditions.as_ref().is_some_and(|conditions| !conditions.is_empty()),
        namespaces: selector_or_all(it.namespace_selector.as_ref()),
        objects: selector_or_all(it.object_selector.as_ref()),
        rules: it.rules.iter().flatten().map(rule).collect(),
    });
    let webhooks = webhooks.collect();
    Some(WebhookConfiguration { kind: WebhookKind::Mutating, name: object.name_any(), webhooks })
}

pub(super) fn namespace(object: &core::Namespace) -> Option<Namespace> {
    Some(Namespace { name: object.name_any(), labels: object.labels().clone() })
}

/// Who converts the objects of a definition.
pub(super) fn converter(object: &extensions::CustomResourceDefinition) -> Option<Backend> {
    let conversion = object.spec.conversion.as_ref().filter(|it| it.strategy == "Webhook")?;
    let client = conversion.webhook.as_ref()?.client_config.as_ref()?;
    let service = client.service.as_ref().map(|it| (it.namespace.as_str(), it.name.as_str(), it.port));
    Some(backend_of(service, client.url.as_deref()))
}

fn backend(client: &admission::WebhookClientConfig) -> Backend {
    let service = client.service.as_ref().map(|it| (it.namespace.as_str(), it.name.as_str(), it.port));
    backend_of(service, client.url.as_deref())
}

/// The API server takes one of the two.
fn backend_of(service: Option<(&str, &str, Option<i32>)>, url: Option<&str>) -> Backend {
    match service {
        Some((namespace, name, port)) => Backend::Service {
            service: ServiceName { namespace: namespace.to_owned(), name: name.to_owned() },
            port: port.unwrap_or(PORT).try_into().ok(),
        },
        None => Backend::Url(shown_url(url.unwrap_or_default())),
    }
}

/// The API server writes down `Fail` where nothing is said.
fn fails_closed(policy: Option<&str>) -> bool {
    policy != Some("Ignore")
}

/// A selector of a webhook that is left out leaves nothing out.
fn selector_or_all(written: Option<&LabelSelector>) -> Selector {
    written.map_or(Selector::Every(Vec::new()), selector)
}

fn rule(rule: &admission::RuleWithOperations) -> WebhookRule {
    let words = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
    WebhookRule {
        groups: words(&rule.api_groups),
        versions: words(&rule.api_versions),
        operations: words(&rule.operations),
        resources: words(&rule.resources),
        scope: rule.scope.clone().unwrap_or_else(|| "*".to_owned()),
    }
}

/// The Services of webhooks, asked again and again.
#[derive(Debug)]
pub(super) struct Backends {
    pub(super) definitions: Arc<Watched<Definition>>,
    pub(super) validating: Arc<Watched<WebhookConfiguration>>,
    pub(super) mutating: Arc<Watched<WebhookConfiguration>>,
    pub(super) polled: Arc<Polled<Vec<WebhookBackend>>>,
    pub(super) changed: Arc<Notify>,
}

impl Backends {
    /// Asks for ever.
    pub(super) async fn poll(self, client: Client) {
        loop {
            let asked_at = Timestamp::now();
            let configurations = joined([&self.validating, &self.mutating].map(|it| values(it.source())));
            let services = services(&configurations, &values(self.definitions.source()));
            let is_known = services.is_ok();
            let read = match services {
                Ok(services) => read_backends(&client, &services, DEADLINE).await,
                Err(why) => Err(why),
            };
            self.polled.note(read, asked_at);
            self.changed.notify_one();
            tokio::time::sleep(if is_known { PAUSE } else { PAUSE_UNKNOWN }).await;
        }
    }
}

/// One fresh read of the Services that these name, within `deadline`.
pub(super) async fn backends_now(
    client: &Client,
    configurations: &Source<Vec<WebhookConfiguration>>,
    definitions: &Source<Vec<Definition>>,
    deadline: Duration,
) -> Source<Vec<WebhookBackend>> {
    let now = Timestamp::now();
    let read = match services(configurations, definitions) {
        Ok(services) => read_backends(client, &services, deadline).await,
        Err(why) => Err(why),
    };
    match read {
        Ok(backends) => Source::read(backends, now),
        Err(why) => Source::failed(why),
    }
}

/// The Services to ask for. What names them may be failing now: then what it named last is asked for.
fn services(
    configurations: &Source<Vec<WebhookConfiguration>>,
    definitions: &Source<Vec<Definition>>,
) -> Result<BTreeSet<ServiceName>, String> {
    let (Some(configurations), Some(definitions)) = (&configurations.value, &definitions.value) else {
        return Err("not asked: webhooks and definitions are not known".to_owned());
    };
    let services = webhook_services(configurations, definitions);
    if services.len() > SERVICES_MAX {
        return Err(format!("webhooks name {} Services, more than {SERVICES_MAX}", services.len()));
    }
    Ok(services)
}

async fn read_backends(
    client: &Client,
    services: &BTreeSet<ServiceName>,
    deadline: Duration,
) -> Result<Vec<WebhookBackend>, String> {
    let each = stream::iter(services.clone()).map(|service| one(client, service, deadline));
    let all = each.buffered(AT_ONCE).try_collect();
    within(deadline, all).await.map_err(|late| format!("the Services of webhooks: {late}"))?
}

async fn one(client: &Client, service: ServiceName, deadline: Duration) -> Result<WebhookBackend, String> {
    let ServiceName { namespace, name } = &service;
    let services: Api<core::Service> = Api::namespaced(client.clone(), namespace);
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let params = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let object = services.get_opt(name).await;
    let object = object.map_err(|error| format!("services {service}: {}", explain(&error)))?;
    let listed = list_all(&slices, &params, deadline).await;
    let slices = listed.map_err(|error| format!("endpointslices {service}: {error}"))?.items;
    Ok(WebhookBackend { leads_to: leads_to(object.as_ref(), &slices), service })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(webhook: &Value) -> Webhook {
        let mut whole = json!({"name": "a.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"service": {"namespace": "n", "name": "s"}}});
        for (key, value) in webhook.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let object = json!({"metadata": {"name": "w"}, "webhooks": [whole]});
        let one = validating(&serde_json::from_value(object.clone()).unwrap()).unwrap();
        let other = mutating(&serde_json::from_value(object).unwrap()).unwrap();
        assert_eq!((one.kind, other.kind), (WebhookKind::Validating, WebhookKind::Mutating));
        assert_eq!(one.webhooks, other.webhooks, "both are read alike");
        one.webhooks.into_iter().next().unwrap()
    }

    #[test]
    fn a_webhook_is_read_as_the_api_server_takes_it() {
        let plain = read(&json!({}));
        assert!(plain.fails_closed && !plain.is_exact && !plain.has_conditions, "as where nothing is said");
        assert_eq!(plain.namespaces, Selector::Every(vec![]));
        let service = || ServiceName { namespace: "n".to_owned(), name: "s".to_owned() };
        assert_eq!(plain.backend, Backend::Service { service: service(), port: Some(443) });
        for port in [9443, 0, 70_000] {
            let client = json!({"service": {"namespace": "n", "name": "s", "port": port}});
            let backend = read(&json!({"clientConfig": client})).backend;
            let port = (port < 65_536).then_some(port).and_then(|port| port.try_into().ok());
            assert_eq!(backend, Backend::Service { service: service(), port });
        }
        let full = read(&json!({"failurePolicy": "Ignore", "matchPolicy": "Exact",
            "matchConditions": [{"name": "c", "expression": "true"}],
            "clientConfig": {"url": "https://user:secret@hooks.example/path?token=secret"},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]}));
        assert!(!full.fails_closed && full.is_exact && full.has_conditions);
        assert_eq!(full.backend, Backend::Url("https://hooks.example/path".to_owned()));
        assert_eq!((full.rules[0].scope.as_str(), full.rules[0].resources.len()), ("*", 1));
    }

    #[test]
    fn too_many_services_are_an_error_and_unknown_ones_are_not_asked_for() {
        let webhook = |name: usize| Webhook {
            backend: Backend::Service {
                service: ServiceName { namespace: "n".to_owned(), name: name.to_string() },
                port: Some(443),
            },
            ..read(&json!({}))
        };
        let named = |count: usize| {
            let webhooks = (0..count).map(webhook).collect();
            let one = WebhookConfiguration { kind: WebhookKind::Mutating, name: "w".to_owned(), webhooks };
            services(
                &Source::read(vec![one], Timestamp::UNIX_EPOCH),
                &Source::read(vec![], Timestamp::UNIX_EPOCH),
            )
        };
        assert_eq!(named(SERVICES_MAX).map(|services| services.len()), Ok(SERVICES_MAX));
        assert!(named(SERVICES_MAX + 1).unwrap_err().contains("201"));
        assert!(services(&Source::unread(), &Source::read(vec![], Timestamp::UNIX_EPOCH)).is_err());
    }
}
