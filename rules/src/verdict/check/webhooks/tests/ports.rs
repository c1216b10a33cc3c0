//! Whether somebody answers at the port that is asked.

use super::*;

/// What is wrong with who answers `guard/hook` at this port, if anything is.
fn dead(port: u16, leads_to: LeadsTo) -> Option<String> {
    with_flags(port, leads_to, &[])
}

/// The same where the API server was started with these flags.
fn with_flags(port: u16, leads_to: LeadsTo, flags: &[(&str, &[&str])]) -> Option<String> {
    let mut cluster = healthy();
    let backend = Backend::Service { service: service("guard", "hook"), port: Some(port) };
    with(&mut cluster, Webhook { backend, ..webhook() }, Some(leads_to));
    for pod in cluster.snapshot.static_pods.value.iter_mut().flatten() {
        pod.flags = Ok(flags.iter().map(|(flag, values)| ((*flag).to_owned(), words(values))).collect());
    }
    let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
    let [finding] = &outcome.findings[..] else {
        assert_eq!((outcome.status, outcome.findings.len()), (PASS, 0));
        return None;
    };
    let known = match finding.reason {
        Reason::WebhookDead => BLOCK,
        _ => UNKNOWN,
    };
    assert_eq!(outcome.status, known, "{finding}");
    let (told, _asked) = finding.detail.split_once("; it is asked about").unwrap();
    Some(format!("{} {told}", finding.reason.code()))
}

/// Ready pods on both nodes.
fn two() -> ServicePorts {
    ports(&[Some("w-1".into()), Some("cp-1".into())])
}

fn changed(change: impl FnOnce(&mut ServicePorts)) -> LeadsTo {
    let mut ports = two();
    change(&mut ports);
    LeadsTo::Ports(ports)
}

fn slice(address_type: &str, ports: Vec<SlicePort>, nodes: &[&str]) -> Slice {
    let ready = nodes.iter().map(|node| ReadyEndpoint { node: Some((*node).into()), is_pod: true });
    Slice { address_type: address_type.to_owned(), ports, ready: ready.collect() }
}

#[test]
fn the_port_that_is_asked_is_one_of_the_service() {
    assert_eq!(dead(443, LeadsTo::Ports(two())), None);
    type Case = (u16, fn(&mut ServicePorts), &'static str);
    let cases: [Case; 5] = [
        (8443, |_| {}, "has no port 8443/TCP, only 443/TCP"),
        (9443, |_| {}, "has no port 9443/TCP, only 443/TCP"),
        (443, |it| it.ports[0].protocol = "UDP".to_owned(), "has no port 443/TCP, only 443/UDP"),
        (443, |it| it.ports.clear(), "has no ports, and is asked at 443/TCP"),
        (
            8443,
            |it| it.ports.push(port("metrics", 8080, "metrics")),
            "has no port 8443/TCP, only 443/TCP and 8080/TCP",
        ),
    ];
    for (port, change, told) in cases {
        let told = format!("webhook_dead Service guard/hook {told}");
        assert_eq!(dead(port, changed(change)), Some(told), "{port}");
    }
}

#[test]
fn ready_endpoints_answer_at_the_target_of_that_port() {
    let none_has = |count: &str| {
        Some(format!(
            "webhook_dead port 443 of Service guard/hook leads to targetPort webhook, which none of its {count} has"
        ))
    };
    // What the controller of EndpointSlices writes where no container names the port.
    let unnamed = |it: &mut ServicePorts| {
        it.ports = vec![port("", 443, "webhook")];
        it.slices[0].ports.clear();
    };
    assert_eq!(dead(443, changed(unnamed)), none_has("2 ready endpoints"));
    let other_port_only = |it: &mut ServicePorts| {
        it.ports = vec![port("https", 443, "webhook"), port("metrics", 8080, "8080")];
        it.slices = vec![slice("IPv4", vec![slice_port("metrics", 8080)], &["w-1"])];
    };
    let told = "webhook_dead port 443 of Service guard/hook leads to targetPort webhook, which its only ready endpoint does \
                not have";
    assert_eq!(dead(443, changed(other_port_only)).as_deref(), Some(told));
    assert_eq!(
        dead(
            8080,
            changed(|it| {
                other_port_only(it);
                it.slices[0].ready.push(two().slices[0].ready[1].clone());
            })
        ),
        None
    );
    for (target, name, protocol, told) in [
        ("webhook", "", "UDP", "which its EndpointSlices have as UDP and not as TCP"),
        ("9443", "", "SCTP", "which its EndpointSlices have as SCTP and not as TCP"),
        ("9443", "other", "UDP", "which its EndpointSlices have as UDP and not as TCP"),
        ("9443", "other", "TCP", "which its EndpointSlices call \"other\" and the Service \"\""),
        ("9444", "other", "TCP", "which none of its 2 ready endpoints has"),
        ("webhook", "other", "UDP", "which none of its 2 ready endpoints has"),
    ] {
        let differs = |it: &mut ServicePorts| {
            it.ports[0].target = target.to_owned();
            let port = &mut it.slices[0].ports[0];
            (port.name, port.protocol) = (name.to_owned(), protocol.to_owned());
        };
        let told =
            format!("webhook_dead port 443 of Service guard/hook leads to targetPort {target}, {told}");
        assert_eq!(dead(443, changed(differs)), Some(told));
    }
    for number in [None, Some(0)] {
        let without_number = |it: &mut ServicePorts| {
            it.ports[0].target = "webhook".to_owned();
            it.slices[0].ports[0].port = number;
        };
        assert_eq!(dead(443, changed(without_number)), none_has("2 ready endpoints"), "{number:?}");
    }
    let nobody = |it: &mut ServicePorts| it.slices[0].ready.clear();
    let told = "webhook_dead Service guard/hook has no ready endpoint";
    assert_eq!(dead(443, changed(nobody)).as_deref(), Some(told));
    assert_eq!(dead(443, changed(|it| it.slices.clear())).as_deref(), Some(told));
}

#[test]
fn endpoints_in_several_slices_count_together_and_each_by_its_own_ports() {
    // A port by name may be another number in each pod: the controller writes a slice for each.
    let by_name = |it: &mut ServicePorts| {
        it.ports = vec![port("https", 443, "webhook")];
        it.slices = vec![
            slice("IPv4", vec![slice_port("https", 9443)], &["w-1"]),
            slice("IPv4", vec![slice_port("https", 10_250)], &["cp-1"]),
        ];
    };
    assert_eq!(dead(443, changed(by_name)), None);
    // One of them does not name it: the other is alone.
    let one_of_them = |it: &mut ServicePorts| {
        by_name(it);
        it.slices[1].ports.clear();
    };
    let alone = dead_or_alone(changed(one_of_them));
    assert_eq!(alone, (BLOCK, vec!["webhook_on_one_node"]));
}

fn dead_or_alone(leads_to: LeadsTo) -> (Status, Vec<&'static str>) {
    let (status, findings, _notes) = found(|cluster| with(cluster, webhook(), Some(leads_to)));
    (status, findings)
}

#[test]
fn only_the_family_of_the_cluster_ip_answers_and_a_pod_of_two_families_counts_once() {
    let both = |of_4: &[&str], of_6: &[&str], cluster_ip: &str| {
        changed(|it| {
            it.cluster_ip = cluster_ip.to_owned();
            it.slices = vec![
                slice("IPv6", vec![slice_port("", 9443)], of_6),
                slice("IPv4", vec![slice_port("", 9443)], of_4),
            ];
        })
    };
    for (of_4, of_6, cluster_ip, expected) in [
        (&["w-1", "cp-1"][..], &["w-1", "cp-1"][..], "10.96.0.7", (PASS, vec![])),
        (&["w-1", "cp-1"], &["w-1", "cp-1"], "fd00::7", (PASS, vec![])),
        (&["w-1"], &["w-1"], "10.96.0.7", (BLOCK, vec!["webhook_on_one_node"])),
        (&["w-1"], &["cp-1"], "10.96.0.7", (BLOCK, vec!["webhook_on_one_node"])),
        (&["w-1", "cp-1"], &[], "10.96.0.7", (PASS, vec![])),
        (&["w-1", "cp-1"], &[], "fd00::7", (BLOCK, vec!["webhook_dead"])),
        (&["w-1"], &["w-1", "cp-1"], "", (PASS, vec![])),
    ] {
        let found = dead_or_alone(both(of_4, of_6, cluster_ip));
        assert_eq!(found, expected, "{of_4:?} {of_6:?} {cluster_ip}");
    }
    let told = "webhook_dead the cluster IP of Service guard/hook is of IPv6, and no ready endpoint at its port 443 is";
    assert_eq!(dead(443, both(&["w-1"], &[], "fd00::7")).as_deref(), Some(told));
    // An API server that looks for endpoints takes either.
    let flags: &[(&str, &[&str])] = &[("enable-aggregator-routing", &["true"])];
    assert_eq!(with_flags(443, both(&["w-1", "cp-1"], &[], "fd00::7"), flags), None);
}

#[test]
fn how_the_api_server_looks_decides_over_headless_services_and_external_names() {
    let headless = || changed(|it| it.cluster_ip = "None".to_owned());
    let routing = |values: &'static [&'static str]| [("enable-aggregator-routing", values)];
    let by_ip = "webhook_dead Service guard/hook is headless, and the API server asks a cluster IP";
    let by_name = "webhook_dead Service guard/hook is of type ExternalName, which no API server follows that runs with \
                   --enable-aggregator-routing";
    assert_eq!(dead(443, headless()).as_deref(), Some(by_ip));
    assert_eq!(with_flags(443, headless(), &routing(&["false"])).as_deref(), Some(by_ip));
    for on in [&["true"][..], &[""], &["false", "T"]] {
        let flags: &[(&str, &[&str])] = &[("enable-aggregator-routing", on)];
        assert_eq!(with_flags(443, headless(), flags), None, "{on:?}");
        assert_eq!(with_flags(443, LeadsTo::Outside, flags).as_deref(), Some(by_name), "{on:?}");
    }
    // A file that was saved before the value was kept, and one that nobody can read.
    for odd in [&[][..], &["perhaps"]] {
        let flags: &[(&str, &[&str])] = &[("enable-aggregator-routing", odd)];
        for leads_to in [headless(), LeadsTo::Outside] {
            let told = with_flags(443, leads_to, flags).unwrap();
            assert!(told.starts_with("webhook_unseen nobody knows whether the API server asks"), "{told}");
        }
        assert_eq!(with_flags(443, LeadsTo::Ports(two()), flags), None, "it makes no difference");
        assert_eq!(
            with_flags(8443, headless(), flags).map(|told| told.starts_with("webhook_dead")),
            Some(true)
        );
    }
    let no_pods = found(|cluster| {
        with(cluster, webhook(), Some(headless()));
        cluster.snapshot.static_pods = Source::failed("gone");
    });
    assert_eq!(no_pods, (UNKNOWN, vec!["webhook_unseen"], vec![]));
    // One API server of two cannot.
    let mixed = found(|cluster| {
        with(cluster, webhook(), Some(headless()));
        let pods = cluster.snapshot.static_pods.value.as_mut().unwrap();
        let mut other = pods.iter().find(|pod| pod.component == "kube-apiserver").unwrap().clone();
        other.flags = Ok(BTreeMap::from([("enable-aggregator-routing".to_owned(), words(&["true"]))]));
        pods.push(other);
    });
    assert_eq!(mixed, (BLOCK, vec!["webhook_dead"], vec![]));
}

#[test]
fn an_api_server_that_is_answered_on_its_own_node_alone_needs_somebody_there() {
    let local = |nodes: &[&str]| {
        changed(|it| {
            it.is_local = true;
            it.slices = vec![slice("IPv4", vec![slice_port("", 9443)], nodes)];
        })
    };
    let told = "webhook_dead Service guard/hook has internalTrafficPolicy: Local, and no ready endpoint on cp-1, whose \
                API server asks it";
    assert_eq!(dead(443, local(&["w-1"])).as_deref(), Some(told));
    let leaves = dead_or_alone(local(&["w-1", "cp-1"]));
    assert_eq!(leaves, (BLOCK, vec!["webhook_on_one_node"]), "it leaves with the node of the API server");
    let by_daemon_set = found(|cluster| {
        with(cluster, webhook(), Some(local(&["w-1", "cp-1"])));
        cluster.inventory.workloads.value = Some(vec![workload(WorkloadKind::DaemonSet, "guard", "hook")]);
    });
    assert_eq!(by_daemon_set, (PASS, vec![], vec![]));
    let flags: &[(&str, &[&str])] = &[("enable-aggregator-routing", &["true"])];
    assert_eq!(with_flags(443, local(&["w-1", "w-2"]), flags), None, "it asks an endpoint, wherever that is");
}

#[test]
fn a_file_from_before_ports_were_read_is_dead_or_unknown_and_never_well() {
    let before = |ready: &[&str]| LeadsTo::Endpoints {
        selector: BTreeMap::new(),
        ready: ready.iter().map(|node| Some((*node).into())).collect(),
    };
    let told = "webhook_unseen at which ports Service guard/hook answers was not read when this cluster was saved; save \
                it again";
    assert_eq!(dead(443, before(&["w-1", "cp-1"])).as_deref(), Some(told));
    assert_eq!(
        dead(443, before(&[])).as_deref(),
        Some("webhook_dead Service guard/hook has no ready endpoint")
    );
    let no_port = found(|cluster| {
        let backend = Backend::Service { service: service("guard", "hook"), port: None };
        with(cluster, Webhook { backend, ..webhook() }, Some(LeadsTo::Ports(two())));
    });
    assert_eq!(no_port, (UNKNOWN, vec!["webhook_unseen"], vec![]));
}

#[test]
fn what_was_saved_before_is_still_read() {
    let backend: Backend =
        serde_json::from_str(r#"{"service":{"namespace":"guard","name":"hook"}}"#).unwrap();
    assert_eq!(backend, Backend::Service { service: service("guard", "hook"), port: None });
    let leads_to: LeadsTo =
        serde_json::from_str(r#"{"endpoints":{"selector":{"app":"hook"},"ready":["w-1",null]}}"#).unwrap();
    assert!(matches!(leads_to, LeadsTo::Endpoints { ready, .. } if ready.len() == 2));
    let inventory = serde_json::to_value(healthy().inventory).unwrap();
    let mut before = inventory.clone();
    before.as_object_mut().unwrap().remove("webhook_calls");
    let before: crate::cluster::inventory::Inventory = serde_json::from_value(before).unwrap();
    assert!(before.webhook_calls.value.is_none() && before.webhook_calls.error.is_some());
    for backend in [at("guard", "hook"), Backend::Url("https://hooks.example/".to_owned())] {
        let text = serde_json::to_string(&backend).unwrap();
        assert_eq!(serde_json::from_str::<Backend>(&text).unwrap(), backend, "{text}");
    }
}

#[test]
fn a_number_that_no_container_names_is_proven_by_calls_alone() {
    let named = |container_ports: &[u16], answered: bool| {
        found(|cluster| {
            with(cluster, webhook(), Some(LeadsTo::Ports(two())));
            let workloads = cluster.inventory.workloads.value.as_mut().unwrap();
            workloads[0].container_ports = container_ports.iter().copied().collect();
            if answered {
                let called = crate::cluster::inventory::CalledWebhook {
                    kind: WebhookKind::Validating,
                    name: "pods.guard.example".to_owned(),
                    within_seconds: 600,
                    has_answered: true,
                    has_failed: false,
                };
                cluster.inventory.webhook_calls.value.as_mut().unwrap().called.push(called);
            }
        })
    };
    let unproven = || (BLOCK, vec!["webhook_unproven"], vec![]);
    let well = || (PASS, vec![], vec![]);
    for (container_ports, answered, expected) in [
        (&[][..], false, well()),
        (&[9443], false, well()),
        (&[8080, 9443], false, well()),
        (&[8080], false, unproven()),
        (&[443], false, unproven()),
        (&[8080], true, well()),
    ] {
        assert_eq!(named(container_ports, answered), expected, "{container_ports:?} {answered}");
    }
    // Of two whose pods answer, either may.
    for (container_ports, desired, expected) in
        [(&[8080][..], 2, unproven()), (&[8080], 0, well()), (&[9443], 2, well()), (&[], 2, well())]
    {
        let found = found(|cluster| {
            with(cluster, webhook(), Some(LeadsTo::Ports(two())));
            let workloads = cluster.inventory.workloads.value.as_mut().unwrap();
            workloads[0].container_ports = [9443].into();
            let mut other = workload(WorkloadKind::Deployment, "guard", "other");
            other.pod_labels = workloads[0].pod_labels.clone();
            other.container_ports = container_ports.iter().copied().collect();
            other.rollout = Rollout::done(desired);
            workloads.push(other);
        });
        assert_eq!(found, expected, "{container_ports:?} of {desired}");
    }
    // Who is alone on a node is in the way all the same, and who is dead is told once.
    let also = |leads_to: LeadsTo| {
        found(|cluster| {
            with(cluster, webhook(), Some(leads_to));
            cluster.inventory.workloads.value.as_mut().unwrap()[0].container_ports = [8080].into();
        })
    };
    assert_eq!(also(on(&["w-1"])).1, ["webhook_unproven", "webhook_on_one_node"]);
    assert_eq!(also(on(&[])).1, ["webhook_dead"]);
    let by_name = changed(|it| it.ports[0].target = "webhook".to_owned());
    assert_eq!(also(by_name), well(), "its slices tell of names");
}
