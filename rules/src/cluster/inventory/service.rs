use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::words::name::NodeName;

/// The protocol that webhooks are called by.
pub const TCP: &str = "TCP";

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
    /// Endpoints of which nobody knows at which port they answer. Only files that were saved before ports were read
    /// say so.
    Endpoints {
        /// `spec.selector`: whose pods they are.
        selector: BTreeMap<String, String>,
        /// The node of each ready endpoint, where it has one.
        ready: Vec<Option<NodeName>>,
    },
    /// Its ports, and the endpoints behind them.
    Ports(ServicePorts),
}

/// The ports of a Service and the endpoints behind them, as written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServicePorts {
    /// `spec.clusterIP`; `None` where the Service is headless.
    pub cluster_ip: String,
    /// `spec.internalTrafficPolicy` is `Local`: whoever asks is answered on the same node or not at all.
    pub is_local: bool,
    /// `spec.selector`: whose pods answer; empty where people or a controller write the endpoints.
    pub selector: BTreeMap<String, String>,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
    /// Its EndpointSlices.
    pub slices: Vec<Slice>,
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// Its name, under which EndpointSlices list it; empty for one without.
    pub name: String,
    /// Its number.
    pub port: u16,
    /// Its protocol.
    pub protocol: String,
    /// `targetPort`: a number, or the name of a port of the containers.
    pub target: String,
}

/// An EndpointSlice, as far as it is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// `addressType`: `IPv4`, `IPv6` or `FQDN`.
    pub address_type: String,
    /// At which ports all of its endpoints answer.
    pub ports: Vec<SlicePort>,
    /// Its ready endpoints.
    pub ready: Vec<ReadyEndpoint>,
}

/// A port of endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlicePort {
    /// The name of the port of the Service.
    pub name: String,
    /// Its number, where it is one.
    pub port: Option<u16>,
    /// Its protocol.
    pub protocol: String,
}

/// An endpoint that is ready.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReadyEndpoint {
    /// The node that it is on, where it says so.
    pub node: Option<NodeName>,
    /// It is a pod, so that a kubelet says that it is ready.
    pub is_pod: bool,
}

impl ServicePorts {
    /// The port of this number that is served by TCP.
    #[must_use]
    pub fn tcp(&self, port: u16) -> Option<&ServicePort> {
        self.ports.iter().find(|it| it.port == port && it.protocol == TCP)
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
