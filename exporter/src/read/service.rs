//! A Service with its EndpointSlices, as a webhook is looked at by.

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use lockkeeper_rules::cluster::inventory::{
    LeadsTo, ReadyEndpoint, ServicePort, ServicePorts, Slice, SlicePort, TCP,
};
use lockkeeper_rules::words::name::NodeName;

/// What a Service leads to; nothing if there is none.
pub(super) fn leads_to(service: Option<&core::Service>, slices: &[EndpointSlice]) -> LeadsTo {
    let Some(service) = service else { return LeadsTo::Nowhere };
    let spec = service.spec.clone().unwrap_or_default();
    if spec.type_.as_deref() == Some("ExternalName") {
        return LeadsTo::Outside;
    }
    LeadsTo::Ports(ServicePorts {
        cluster_ip: spec.cluster_ip.unwrap_or_default(),
        is_local: spec.internal_traffic_policy.as_deref() == Some("Local"),
        selector: spec.selector.unwrap_or_default(),
        ports: spec.ports.iter().flatten().filter_map(port).collect(),
        slices: slices.iter().map(slice).collect(),
    })
}

fn port(port: &core::ServicePort) -> Option<ServicePort> {
    let target = match &port.target_port {
        Some(IntOrString::Int(number)) => number.to_string(),
        Some(IntOrString::String(name)) => name.clone(),
        // The API server writes down the port's own number where nothing is said.
        None => port.port.to_string(),
    };
    Some(ServicePort {
        name: port.name.clone().unwrap_or_default(),
        port: port.port.try_into().ok()?,
        protocol: protocol(port.protocol.as_deref()),
        target,
    })
}

fn slice(slice: &EndpointSlice) -> Slice {
    Slice {
        address_type: slice.address_type.clone(),
        ports: slice.ports.iter().flatten().map(slice_port).collect(),
        ready: slice.endpoints.iter().filter(|it| is_ready(it)).map(ready).collect(),
    }
}

fn slice_port(port: &EndpointPort) -> SlicePort {
    SlicePort {
        name: port.name.clone().unwrap_or_default(),
        port: port.port.and_then(|number| number.try_into().ok()),
        protocol: protocol(port.protocol.as_deref()),
    }
}

fn protocol(written: Option<&str>) -> String {
    written.unwrap_or(TCP).to_owned()
}

/// What does not say counts as ready, as for whoever routes to it. With `publishNotReadyAddresses` every pod is ready, and
/// only `serving` and `terminating` tell what it is.
fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint
        .conditions
        .as_ref()
        .is_none_or(|it| it.ready != Some(false) && it.serving != Some(false) && it.terminating != Some(true))
}

fn ready(endpoint: &Endpoint) -> ReadyEndpoint {
    let kind = endpoint.target_ref.as_ref().and_then(|it| it.kind.as_deref());
    ReadyEndpoint { node: endpoint.node_name.clone().map(NodeName), is_pod: kind == Some("Pod") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(spec: Value, slices: Value) -> LeadsTo {
        let service: core::Service = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
        let slices: Vec<EndpointSlice> = serde_json::from_value(slices).unwrap();
        leads_to(Some(&service), &slices)
    }

    fn ports(spec: Value, slices: Value) -> ServicePorts {
        match read(spec, slices) {
            LeadsTo::Ports(ports) => ports,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_service_that_is_not_there_or_leads_out_of_the_cluster_is_told_apart() {
        assert_eq!(leads_to(None, &[]), LeadsTo::Nowhere);
        let external =
            json!({"type": "ExternalName", "externalName": "hooks.example", "ports": [{"port": 443}]});
        assert_eq!(read(external, json!([])), LeadsTo::Outside);
    }

    #[test]
    fn its_ports_are_read_as_the_api_server_writes_them() {
        let found = ports(
            json!({"clusterIP": "10.96.0.7", "internalTrafficPolicy": "Cluster", "selector": {"app": "w"}, "ports": [
                {"name": "https", "port": 443, "protocol": "TCP", "targetPort": "webhook"},
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 5353},
                {"port": 8443}]}),
            json!([]),
        );
        let told: Vec<_> =
            found.ports.iter().map(|it| (&*it.name, it.port, &*it.protocol, &*it.target)).collect();
        assert_eq!(
            told,
            [("https", 443, "TCP", "webhook"), ("dns", 53, "UDP", "5353"), ("", 8443, "TCP", "8443")]
        );
        assert_eq!(
            (found.cluster_ip.as_str(), found.is_local, found.selector.len()),
            ("10.96.0.7", false, 1)
        );
        let local = ports(json!({"clusterIP": "None", "internalTrafficPolicy": "Local"}), json!([]));
        assert_eq!((local.cluster_ip.as_str(), local.is_local, local.selector.len()), ("None", true, 0));
        assert_eq!(ports(json!({}), json!([])), ServicePorts::default());
    }

    #[test]
    fn its_slices_are_their_ready_endpoints_and_ports() {
        let pod = |conditions: Value, node: &str| {
            json!({"addresses": ["10.0.0.1"], "nodeName": node, "conditions": conditions,
                "targetRef": {"kind": "Pod", "name": "p"}})
        };
        let found = ports(
            json!({}),
            json!([
                {"addressType": "IPv4", "metadata": {}, "ports": [{"name": "https", "port": 9443, "protocol": "TCP"}],
                    "endpoints": [pod(json!({"ready": true, "serving": true, "terminating": false}), "a"),
                        pod(json!({"ready": false, "serving": false}), "b"), pod(json!({}), "c"),
                        // As with publishNotReadyAddresses.
                        pod(json!({"ready": true, "serving": false}), "d"),
                        pod(json!({"ready": true, "serving": true, "terminating": true}), "e")]},
                {"addressType": "IPv6", "metadata": {}, "ports": [{}], "endpoints": [{"addresses": ["fd00::1"]}]},
                {"addressType": "IPv4", "metadata": {}, "ports": null, "endpoints": null},
            ]),
        );
        let [first, second, third] = &found.slices[..] else { panic!("{found:?}") };
        let ready: Vec<_> = first.ready.iter().map(|it| (it.node.clone(), it.is_pod)).collect();
        assert_eq!(ready, [(Some("a".into()), true), (Some("c".into()), true)]);
        assert_eq!(
            first.ports,
            [SlicePort { name: "https".to_owned(), port: Some(9443), protocol: TCP.to_owned() }]
        );
        assert_eq!(
            (second.address_type.as_str(), &second.ready[..]),
            ("IPv6", &[ReadyEndpoint { node: None, is_pod: false }][..])
        );
        assert_eq!(second.ports, [SlicePort { name: String::new(), port: None, protocol: TCP.to_owned() }]);
        assert!(third.ports.is_empty() && third.ready.is_empty());
    }
}
