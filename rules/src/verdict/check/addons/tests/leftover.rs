//! What an add-on has left behind.

use super::witnesses::{labelled, seen};
use super::*;
use crate::cluster::inventory::{
    Backend, Definition, ServedVersion, Webhook, WebhookConfiguration, WebhookKind,
};
use crate::words::labels::Selector;

fn definition(name: &str) -> Definition {
    Definition {
        name: name.to_owned(),
        versions: vec![ServedVersion { name: "v1".to_owned(), served: true, storage: true }],
        stored: vec!["v1".to_owned()],
        converter: None,
    }
}

fn webhook(name: &str, webhook: &str) -> WebhookConfiguration {
    let webhook = Webhook {
        name: webhook.to_owned(),
        backend: Backend::Url("https://example.com".to_owned()),
        fails_closed: false,
        is_exact: false,
        has_conditions: false,
        namespaces: Selector::Every(Vec::new()),
        objects: Selector::Every(Vec::new()),
        rules: Vec::new(),
    };
    WebhookConfiguration { kind: WebhookKind::Validating, name: name.to_owned(), webhooks: vec![webhook] }
}

fn left(definitions: &[&str], webhooks: &[(&str, &str)]) -> impl FnOnce(&mut Healthy) {
    let definitions = definitions.iter().map(|name| definition(name)).collect();
    let webhooks = webhooks.iter().map(|(name, one)| webhook(name, one)).collect();
    move |cluster: &mut Healthy| {
        cluster.inventory.definitions.value = Some(definitions);
        cluster.inventory.webhooks.value = Some(webhooks);
    }
}

#[test]
fn definitions_and_webhooks_without_a_workload_block_the_next_minor() {
    let row = seen(WIDE);
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], Status);
    let cases: [Case<'_>; 6] = [
        (&["nets.net.io"], &[], Status::Block),
        (&["nodes.shared.io"], &[], Status::Block),
        (&[], &[("any", "hook.net.io")], Status::Block),
        (&[], &[("hook.net.io", "any")], Status::Block),
        // Of a group that is shared, only what its row names; and no group that only ends so.
        (&["things.shared.io", "nets.subnet.io", "x.more.net.io"], &[], Status::Pass),
        (&[], &[("net", "net")], Status::Pass),
    ];
    for (definitions, webhooks, status) in cases {
        let check = checked("v1.37.0", &file(&row), vec![], left(definitions, webhooks));
        assert_eq!(check.status, status, "{definitions:?} {webhooks:?}");
        let beside =
            checked("v1.37.0", &file(&row), vec![net("net/node:v1.1.0")], left(definitions, webhooks));
        assert_eq!(beside.status, Status::Pass, "what runs has left nothing behind");
    }
    let all = &["a.net.io", "b.net.io", "nodes.shared.io"];
    let check = checked("v1.37.0", &file(&row), vec![], left(all, &[("any", "hook.net.io")]));
    assert_eq!(reasons(&check.findings), ["addon_leftover"]);
    let Finding { subject, detail, .. } = &check.findings[0];
    assert_eq!(
        (subject.as_str(), detail.as_str()),
        (
            "net",
            "definitions of net.io, definitions of nodes.shared.io, the webhook hook.net.io, and its main workload was not found (https://example.com/net)"
        )
    );
    // A patch changes nothing of it.
    let patch = checked("v1.36.3", &file(&row), vec![], left(all, &[]));
    assert_eq!((patch.status, reasons(&patch.notes)), (Status::Pass, vec!["addon_leftover"]));
    // What runs and cannot be read is unknown, and no leftover.
    let blind = vec![labelled("a/b", "x:v1", &[("app", "net")])];
    let check = checked("v1.37.0", &file(&row), blind, left(all, &[]));
    assert_eq!(reasons(&check.findings), ["addon_version_unreadable"]);
}

/// Two projects bring the same definitions, and one of them is called as the other one.
#[test]
fn definitions_beside_another_project_that_is_called_alike_are_unknown() {
    let enterprise = || {
        let mut node = labelled("calico-system/calico-node", "quay.io/tigera/node:v3.30.1", &[]);
        node.kind = WorkloadKind::DaemonSet;
        node.pod_labels = [("k8s-app".to_owned(), "calico-node".to_owned())].into();
        "calico-node".clone_into(&mut node.containers[0].name);
        node
    };
    let told = |target: &str, workloads, definitions: &[&str]| {
        let mut cluster = healthy();
        cluster.inventory.workloads.value = Some(workloads);
        left(definitions, &[])(&mut cluster);
        let outcome = check(&Facts { target: target.parse(), case: &cluster.case() });
        (outcome.status, outcome.findings.into_iter().map(|it| (it.subject, it.reason.code())).collect())
    };
    let about = |name: &str, code| vec![(name.to_owned(), code)];
    let groups = ["felixconfigurations.crd.projectcalico.org"];
    for (target, workloads, definitions, expected) in [
        (
            "v1.37.0",
            vec![enterprise()],
            &groups[..],
            (Status::Unknown, about("calico", "addon_version_unreadable")),
        ),
        ("v1.36.3", vec![enterprise()], &groups, (Status::Pass, vec![])),
        ("v1.37.0", vec![enterprise()], &[], (Status::Pass, vec![])),
        ("v1.37.0", vec![], &groups, (Status::Block, about("calico", "addon_leftover"))),
        // Tetragon's, and Cilium's own.
        (
            "v1.37.0",
            vec![],
            &["tracingpolicies.cilium.io", "tracingpoliciesnamespaced.cilium.io", "podinfo.cilium.io"],
            (Status::Pass, vec![]),
        ),
        ("v1.37.0", vec![], &["ciliumnodes.cilium.io"], (Status::Block, about("cilium", "addon_leftover"))),
    ] {
        assert_eq!(told(target, workloads, definitions), expected, "{target} {definitions:?}");
    }
}

#[test]
fn a_person_accepts_what_was_left_by_name_and_day() {
    let accept = |subject: &str, until: &str| {
        format!(
            "{}accept:\n  - {{check: addons, subject: {subject}, reason: addon_leftover, why: w, by: b, until: \"{until}\"}}\n",
            file(&seen(WIDE))
        )
    };
    for (subject, until, status) in [
        ("net", "2026-12-01", Status::Pass),
        // Behind that day there is none that can be told.
        ("net", "9999-12-31", Status::Pass),
        ("net", "2026-11-30", Status::Block),
        ("other", "2026-12-01", Status::Block),
    ] {
        let text = accept(subject, until);
        let check = checked("v1.37.0", &text, vec![], left(&["nets.net.io"], &[]));
        assert_eq!(check.status, status, "{subject} {until}");
    }
}

#[test]
fn what_could_have_been_left_and_is_not_read_is_unknown() {
    let lost: [fn(&mut Healthy); 2] = [
        |cluster| cluster.inventory.definitions = Source::failed("forbidden"),
        |cluster| cluster.inventory.webhooks = Source::failed("forbidden"),
    ];
    for lose in lost {
        for (target, status) in [("v1.37.0", Status::Unknown), ("v1.36.3", Status::Pass)] {
            let check = checked(target, &file(&seen(WIDE)), vec![net("net/node:v1.1.0")], lose);
            let told = check.findings.iter().chain(&check.notes);
            let told = told.filter(|it| it.reason == Reason::SourceUnreadable).count();
            assert_eq!((check.status, told), (status, 1), "{target}: once, for all rows: {check:#?}");
        }
    }
}
