//! How whoever answers a webhook stands.

use std::collections::BTreeMap;

use super::describe::count;
use super::route::{Route, Ways};
use crate::cluster::inventory::{
    Backend, LeadsTo, Namespace, ReadyEndpoint, ServiceName, WebhookBackend, Workload, WorkloadKind,
};
use crate::words::name::NodeName;

/// What a backend is looked at with.
pub(super) struct ClusterView<'a> {
    pub(super) backends: BTreeMap<&'a ServiceName, &'a WebhookBackend>,
    pub(super) namespaces: &'a [Namespace],
    pub(super) workloads: &'a [Workload],
    /// The nodes that are drained.
    pub(super) leaving: Vec<&'a NodeName>,
    /// Those of the control plane.
    pub(super) control_plane: Vec<&'a NodeName>,
    /// How API servers look for who answers.
    pub(super) ways: Ways,
}

/// How a backend stands.
pub(super) enum Stands {
    /// So many are ready.
    Well(usize),
    /// Nobody has looked.
    Unseen(String),
    /// Nobody here can look.
    Outside(String),
    /// Nobody answers.
    Dead(String),
    /// Everybody who answers is on this node, which is drained.
    OnOneNode(NodeName),
}

impl ClusterView<'_> {
    pub(super) fn stands(&self, backend: &Backend) -> Stands {
        let (service, port) = match backend {
            Backend::Url(url) => return Stands::Outside(format!("it is asked at {url}")),
            Backend::Service { service, port } => (service, *port),
        };
        let Some(leads_to) = self.backends.get(service).map(|it| &it.leads_to) else {
            return Stands::Unseen(format!("Service {service} was not looked at yet"));
        };
        match self.ways.route((service, port), leads_to, &self.control_plane) {
            Route::To(groups) => self.reached(service, leads_to, &groups),
            Route::Outside(what) => Stands::Outside(what),
            Route::Unseen(what) => Stands::Unseen(what),
            Route::Dead(what) => Stands::Dead(what),
        }
    }

    /// Why somebody who is ready may not answer: the port by number that a Service leads to is none of those that the
    /// containers of some of its pods name. Its endpoints do not tell which of them are whose.
    pub(super) fn doubt(&self, backend: &Backend) -> Option<String> {
        let Backend::Service { service, port: Some(port) } = backend else { return None };
        let leads_to = &self.backends.get(service)?.leads_to;
        let LeadsTo::Ports(ports) = leads_to else { return None };
        let target: u16 = ports.tcp(*port)?.target.parse().ok()?;
        let answering = self.answering(service, leads_to);
        let is_other = |it: &&&Workload| {
            let named = &it.container_ports;
            it.rollout.desired > 0 && !named.is_empty() && !named.contains(&target)
        };
        let whose = answering.iter().filter(is_other).min_by_key(|it| it.to_string())?;
        Some(format!(
            "port {port} of Service {service} leads to targetPort {target}, which no container of {whose} names"
        ))
    }

    /// Each group is all that some API server can reach.
    fn reached(&self, service: &ServiceName, leads_to: &LeadsTo, groups: &[Vec<&ReadyEndpoint>]) -> Stands {
        let leaves = |group: &Vec<&ReadyEndpoint>| {
            let first = group.first()?.node.as_ref()?;
            let is_alone = group.iter().all(|it| it.node.as_ref() == Some(first));
            (is_alone && self.leaving.contains(&first)).then(|| first.clone())
        };
        match groups.iter().find_map(leaves).filter(|_| !self.stays(service, leads_to)) {
            Some(node) => Stands::OnOneNode(node),
            None => Stands::Well(groups.iter().map(Vec::len).sum()),
        }
    }

    /// The workloads whose pods answer for a Service.
    fn answering(&self, service: &ServiceName, leads_to: &LeadsTo) -> Vec<&Workload> {
        let selector = match leads_to {
            LeadsTo::Ports(ports) => &ports.selector,
            LeadsTo::Endpoints { selector, .. } => selector,
            LeadsTo::Nowhere | LeadsTo::Outside => return Vec::new(),
        };
        let is_one = |it: &&Workload| {
            it.namespace == service.namespace
                && selector.iter().all(|(key, value)| it.pod_labels.get(key) == Some(value))
        };
        if selector.is_empty() { Vec::new() } else { self.workloads.iter().filter(is_one).collect() }
    }

    /// Whether a drain leaves its pods alone.
    fn stays(&self, service: &ServiceName, leads_to: &LeadsTo) -> bool {
        let answering = self.answering(service, leads_to);
        !answering.is_empty() && answering.iter().all(|it| it.kind == WorkloadKind::DaemonSet)
    }

    /// Who is alone on a node, as people look for it.
    pub(super) fn on_one_node(&self, backend: &Backend, node: &NodeName) -> String {
        let whose = backend.service().and_then(|service| {
            let answering = self.answering(service, &self.backends.get(service)?.leads_to);
            answering.into_iter().min_by_key(|it| it.to_string())
        });
        let whose = whose.map_or_else(String::new, |it| {
            format!(
                ", of {it} with {}",
                count(usize::try_from(it.rollout.desired).unwrap_or_default(), "replica")
            )
        });
        format!("everything ready behind {}{whose}, is on {node}", shown(backend))
    }
}

/// Where a webhook leads.
pub(super) fn shown(backend: &Backend) -> String {
    match backend {
        Backend::Service { service, port: Some(port) } => format!("Service {service} port {port}"),
        Backend::Service { service, port: None } => format!("Service {service}"),
        Backend::Url(url) => url.clone(),
    }
}
