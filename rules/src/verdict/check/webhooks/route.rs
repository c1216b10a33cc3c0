//! Where a call of an API server to a Service comes out. The API server finds the Service, and kube-proxy the endpoint:
//!
//! ```text
//!   ClusterIP                     the port of that number ──▶ spec.clusterIP ──▶ a ready endpoint of the same family, in a
//!                                                                               slice that has a port of the same name
//!   --enable-aggregator-routing   the port of that number ────────────────────▶ the same, of either family
//! ```
//!
//! Sources: `ResolveCluster` and `ResolveEndpoint` in `k8s.io/apiserver/pkg/util/proxy`, and `endpointslicecache.go` in
//! `k8s.io/kubernetes/pkg/proxy`.

use super::describe::{count, named};
use crate::cluster::inventory::{
    LeadsTo, ReadyEndpoint, ServiceName, ServicePort, ServicePorts, Slice, SlicePort, TCP,
};
use crate::cluster::snapshot::StaticPod;
use crate::words::name::NodeName;

/// The Service that API servers ask themselves by, and its port.
const OWN: (&str, &str, u16) = ("default", "kubernetes", 443);
/// The flag of API servers that looks for endpoints.
const FLAG: &str = "enable-aggregator-routing";

/// How an API server looks for whoever answers for a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ClusterIp,
    Endpoints,
}

/// How the API servers of a cluster do.
#[derive(Debug)]
pub(super) struct Ways {
    ways: Vec<Way>,
    /// Why nobody knows which of them it is.
    doubt: Option<String>,
}

/// Where a call comes out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// At one of these. Each group is all that some API server can reach.
    To(Vec<Vec<&'a ReadyEndpoint>>),
    /// Where nobody here can look.
    Outside(String),
    /// Nobody can tell.
    Unseen(String),
    /// Nowhere.
    Dead(String),
}

impl Ways {
    /// As their command lines tell.
    pub(super) fn of(pods: Result<&[StaticPod], String>) -> Self {
        let read = pods.and_then(|pods| {
            let servers = pods.iter().filter(|pod| pod.component == "kube-apiserver");
            let mut ways = servers.map(way).collect::<Result<Vec<Way>, String>>()?;
            ways.sort_unstable_by_key(|way| *way == Way::Endpoints);
            ways.dedup();
            if ways.is_empty() { Err("no API server is seen".to_owned()) } else { Ok(ways) }
        });
        match read {
            Ok(ways) => Self { ways, doubt: None },
            Err(why) => Self { ways: vec![Way::ClusterIp, Way::Endpoints], doubt: Some(why) },
        }
    }

    /// Where a call to a port of a Service comes out, by the worst of their ways; where they differ and nobody knows which
    /// of them it is, nobody can tell.
    pub(super) fn route<'a>(
        &self,
        (service, port): (&ServiceName, Option<u16>),
        leads_to: &'a LeadsTo,
        control_plane: &[&NodeName],
    ) -> Route<'a> {
        let mut routes: Vec<Route<'a>> =
            self.ways.iter().map(|way| route(*way, (service, port), leads_to, control_plane)).collect();
        if let Some(why) =
            self.doubt.as_ref().filter(|_| routes.windows(2).any(|two| differ(&two[0], &two[1])))
        {
            let what = "whether the API server asks the cluster IP or an endpoint";
            return Route::Unseen(format!("nobody knows {what} of Service {service}: {why}"));
        }
        let worst = (0..routes.len()).max_by_key(|at| (rank(&routes[*at]), routes.len() - at));
        worst.map_or_else(|| Route::Unseen("no API server is seen".to_owned()), |at| routes.swap_remove(at))
    }
}

fn way(pod: &StaticPod) -> Result<Way, String> {
    let flags = pod.flags.as_ref().map_err(|why| format!("kube-apiserver on {}: {why}", pod.node))?;
    let Some(values) = flags.get(FLAG) else { return Ok(Way::ClusterIp) };
    match values.last().map(String::as_str) {
        Some("" | "1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(Way::Endpoints),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(Way::ClusterIp),
        Some(other) => Err(format!("kube-apiserver on {}: --{FLAG} is {other:?}", pod.node)),
        // A file from before its value was kept.
        None => Err(format!("kube-apiserver on {}: the value of --{FLAG} was not read", pod.node)),
    }
}

fn rank(route: &Route<'_>) -> u8 {
    match route {
        Route::To(_) => 0,
        Route::Outside(_) => 1,
        Route::Unseen(_) => 2,
        Route::Dead(_) => 3,
    }
}

fn differ(one: &Route<'_>, other: &Route<'_>) -> bool {
    rank(one) != rank(other)
}

fn route<'a>(
    way: Way,
    (service, port): (&ServiceName, Option<u16>),
    leads_to: &'a LeadsTo,
    control_plane: &[&NodeName],
) -> Route<'a> {
    if (service.namespace.as_str(), service.name.as_str(), port.unwrap_or_default()) == OWN {
        return Route::Outside(format!(
            "the API server asks itself, at Service {service}, and passes it on to an APIService, which nobody here looks at"
        ));
    }
    match (leads_to, port) {
        (LeadsTo::Nowhere, _) => Route::Dead(format!("there is no Service {service}")),
        (LeadsTo::Outside, _) if way == Way::Endpoints => Route::Dead(format!(
            "Service {service} is of type ExternalName, which no API server follows that runs with --{FLAG}"
        )),
        (LeadsTo::Outside, _) => {
            Route::Outside(format!("Service {service} is of type ExternalName and leads out of the cluster"))
        }
        (LeadsTo::Endpoints { ready, .. }, _) if ready.is_empty() => {
            Route::Dead(format!("Service {service} has no ready endpoint"))
        }
        (LeadsTo::Ports(ports), Some(port)) => to_port(way, (service, port), ports, control_plane),
        (LeadsTo::Ports(_) | LeadsTo::Endpoints { .. }, _) => Route::Unseen(format!(
            "at which ports Service {service} answers was not read when this cluster was saved; save it again"
        )),
    }
}

fn to_port<'a>(
    way: Way,
    (service, port): (&ServiceName, u16),
    ports: &'a ServicePorts,
    control_plane: &[&NodeName],
) -> Route<'a> {
    let family = match (way, ports.cluster_ip.as_str()) {
        (Way::ClusterIp, "None") => {
            return Route::Dead(format!(
                "Service {service} is headless, and the API server asks a cluster IP"
            ));
        }
        // The API server gives every other Service an address; whoever shows none may show any family.
        (Way::ClusterIp, "") => None,
        (Way::ClusterIp, address) => Some(if address.contains(':') { "IPv6" } else { "IPv4" }),
        (Way::Endpoints, _) => None,
    };
    let Some(entry) = ports.tcp(port) else {
        return Route::Dead(no_port((service, port), ports));
    };
    if ports.slices.iter().all(|slice| slice.ready.is_empty()) {
        return Route::Dead(format!("Service {service} has no ready endpoint"));
    }
    let is_near = |slice: &&Slice| family.is_none_or(|family| slice.address_type == family);
    let reached = ports.slices.iter().filter(is_near).filter(|slice| has(slice, entry));
    let reached: Vec<&ReadyEndpoint> = reached.flat_map(|slice| &slice.ready).collect();
    if reached.is_empty() {
        return Route::Dead(not_at((service, entry), ports, family));
    }
    // Of what people or a controller write down nobody here says that it is ready, if it is no pod.
    if ports.selector.is_empty() && reached.iter().any(|it| !it.is_pod) {
        return Route::Outside(format!(
            "Service {service} has no selector, and its endpoints at port {port} are no pods of the cluster"
        ));
    }
    if way == Way::ClusterIp && ports.is_local {
        return on_its_own_node(service, &reached, control_plane);
    }
    Route::To(vec![reached])
}

fn has(slice: &Slice, entry: &ServicePort) -> bool {
    let is_it = |port: u16| port != 0;
    slice.ports.iter().any(|it| it.name == entry.name && it.protocol == TCP && it.port.is_some_and(is_it))
}

fn no_port((service, port): (&ServiceName, u16), ports: &ServicePorts) -> String {
    let others: Vec<String> = ports.ports.iter().map(|it| format!("{}/{}", it.port, it.protocol)).collect();
    if others.is_empty() {
        return format!("Service {service} has no ports, and is asked at {port}/{TCP}");
    }
    format!("Service {service} has no port {port}/{TCP}, only {}", named(others.iter().map(String::as_str)))
}

fn not_at(
    (service, entry): (&ServiceName, &ServicePort),
    ports: &ServicePorts,
    family: Option<&str>,
) -> String {
    let ServicePort { name, port, target, .. } = entry;
    let leads_to = format!("port {port} of Service {service} leads to targetPort {target}");
    let is_elsewhere = ports.slices.iter().any(|slice| has(slice, entry) && !slice.ready.is_empty());
    if let Some(family) = family.filter(|_| is_elsewhere) {
        return format!(
            "the cluster IP of Service {service} is of {family}, and no ready endpoint at its port {port} is"
        );
    }
    let with_ready = || ports.slices.iter().filter(|slice| !slice.ready.is_empty());
    let is_alike = |it: &&SlicePort| {
        it.port.is_some_and(|number| number.to_string() == *target) || it.name == *name && it.protocol != TCP
    };
    match with_ready().flat_map(|slice| &slice.ports).find(is_alike) {
        Some(other) if other.protocol != TCP => {
            format!("{leads_to}, which its EndpointSlices have as {} and not as {TCP}", other.protocol)
        }
        Some(other) => {
            format!("{leads_to}, which its EndpointSlices call {:?} and the Service {name:?}", other.name)
        }
        None => match with_ready().map(|slice| slice.ready.len()).sum() {
            1 => format!("{leads_to}, which its only ready endpoint does not have"),
            ready => format!("{leads_to}, which none of its {} has", count(ready, "ready endpoint")),
        },
    }
}

/// With `internalTrafficPolicy: Local` each API server reaches only what is on its own node.
fn on_its_own_node<'a>(
    service: &ServiceName,
    reached: &[&'a ReadyEndpoint],
    control_plane: &[&NodeName],
) -> Route<'a> {
    let mut groups = Vec::new();
    for node in control_plane {
        let here: Vec<&ReadyEndpoint> =
            reached.iter().copied().filter(|it| it.node.as_ref() == Some(*node)).collect();
        if here.is_empty() {
            return Route::Dead(format!(
                "Service {service} has internalTrafficPolicy: Local, and no ready endpoint on {node}, whose API server asks it"
            ));
        }
        groups.push(here);
    }
    if groups.is_empty() {
        return Route::Unseen(format!(
            "Service {service} has internalTrafficPolicy: Local, and no node of the control plane is seen"
        ));
    }
    Route::To(groups)
}
