//! Webhooks that are answered where nobody here can look.

use super::*;
use crate::cluster::inventory::{CalledWebhook, WebhookCalls};
use crate::facts::Accept;
use crate::verdict::Conclusion;

const SUBJECT: &str = "ValidatingWebhookConfiguration guard/pods.guard.example";

fn by_url() -> Webhook {
    Webhook { backend: Backend::Url("https://hooks.example/".to_owned()), ..webhook() }
}

/// Calls of the webhook `pods.guard.example`: within so many seconds, whether one was answered, whether one failed.
fn calls(called: &[(u64, bool, bool)]) -> WebhookCalls {
    let one = |&(within_seconds, has_answered, has_failed): &(u64, bool, bool)| CalledWebhook {
        kind: WebhookKind::Validating,
        name: "pods.guard.example".to_owned(),
        within_seconds,
        has_answered,
        has_failed,
    };
    WebhookCalls { scraped: vec!["cp-1:6443".to_owned()], called: called.iter().map(one).collect() }
}

/// A cluster with a webhook by URL, and what Prometheus says of its calls.
fn cluster(said: Source<WebhookCalls>) -> Healthy {
    let mut cluster = healthy();
    with(&mut cluster, by_url(), None);
    cluster.inventory.webhook_calls = said;
    cluster
}

/// The one finding or note on it.
fn status_and_finding(cluster: &Healthy) -> (Status, String) {
    let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
    let all: Vec<&Finding> = outcome.findings.iter().chain(&outcome.notes).collect();
    let [one] = all[..] else { panic!("{all:?}") };
    assert_eq!(one.subject, SUBJECT);
    (outcome.status, format!("{} {}", one.reason.code(), one.detail))
}

#[test]
fn its_calls_prove_that_it_answers_or_it_blocks() {
    let now = healthy().now;
    let old = now - jiff::SignedDuration::from_secs(301);
    for (what, said, status, why) in [
        (
            "all day",
            Source::read(calls(&[(600, true, false), (3_600, true, false)]), now),
            PASS,
            "within 10 minutes, and no call has failed",
        ),
        (
            "an hour",
            Source::read(calls(&[(3_600, true, false)]), now),
            PASS,
            "it has answered within 60 minutes, and no call has failed",
        ),
        (
            "mended",
            Source::read(calls(&[(600, true, false), (3_600, true, true)]), now),
            PASS,
            "it has answered within 10 minutes",
        ),
        (
            "failing",
            Source::read(calls(&[(600, false, true), (3_600, true, true)]), now),
            BLOCK,
            "a call has failed within 10 minutes",
        ),
        (
            "now and then",
            Source::read(calls(&[(600, true, true), (3_600, true, true)]), now),
            BLOCK,
            "a call has failed within 10 minutes",
        ),
        (
            "failed, and not asked since",
            Source::read(calls(&[(3_600, true, true)]), now),
            BLOCK,
            "a call has failed within 60 minutes",
        ),
        (
            "refused only",
            Source::read(calls(&[(600, false, false), (3_600, false, false)]), now),
            BLOCK,
            "it has answered no call within 60 minutes",
        ),
        ("never", Source::read(calls(&[]), now), BLOCK, "it has answered no call within 60 minutes"),
        (
            "no Prometheus",
            Source::failed("no Prometheus is configured"),
            BLOCK,
            "the calls of webhooks are not known: no Prometheus is configured",
        ),
        (
            "too old",
            Source::read(calls(&[(600, true, false)]), old),
            BLOCK,
            "the calls of webhooks are not known",
        ),
        ("not asked", Source::unread(), BLOCK, "not read yet"),
    ] {
        let (found, detail) = status_and_finding(&cluster(said));
        let code = if status == PASS { "webhook_outside" } else { "webhook_unproven" };
        assert_eq!(found, status, "{what}: {detail}");
        let begins = format!("{code} it is asked at https://hooks.example/; ");
        assert!(detail.starts_with(&begins) && detail.contains(why), "{what}: {detail}");
        assert!(detail.ends_with("; it is asked about pods in kube-system, default, guard and kube-public"));
    }
}

#[test]
fn calls_that_all_fail_are_in_the_way_however_ready_whoever_answers_is() {
    let unproven = vec!["webhook_unproven"];
    for (what, called, is_failing) in [
        ("never called", &[][..], false),
        ("all day", &[(600, false, true), (3_600, false, true)], true),
        ("in the last minutes", &[(600, false, true), (3_600, true, true)], true),
        ("not asked since", &[(600, false, false), (3_600, false, true)], true),
        ("now and then", &[(600, true, true), (3_600, true, true)], false),
        ("mended", &[(600, true, false), (3_600, true, true)], false),
        ("refused only", &[(600, false, false), (3_600, false, false)], false),
    ] {
        let found = |nodes: &[&str], change: fn(&mut Healthy)| {
            found(|cluster| {
                with(cluster, webhook(), Some(on(nodes)));
                cluster.inventory.webhook_calls = Source::read(calls(called), cluster.now);
                change(cluster);
            })
        };
        let two = ["cp-1", "w-1"];
        let expected = if is_failing { (BLOCK, unproven.clone(), vec![]) } else { (PASS, vec![], vec![]) };
        assert_eq!(found(&two, |_| {}), expected, "{what}");
        assert_eq!(
            found(&["w-1"], |_| {}).1.contains(&"webhook_unproven"),
            is_failing,
            "{what}, on one node"
        );
        assert_eq!(found(&[], |_| {}).1, ["webhook_dead"], "{what}, and nobody is ready");
        let by_another = |cluster: &mut Healthy| {
            let configurations = cluster.inventory.webhooks.value.as_mut().unwrap();
            let other = Webhook { fails_closed: false, ..by_url() };
            configurations[0].webhooks.push(other);
        };
        assert_eq!(found(&two, by_another).0, PASS, "{what}: perhaps of another of that name");
        let unwatched = |cluster: &mut Healthy| {
            cluster.inventory.webhook_calls.value.as_mut().unwrap().scraped.clear();
        };
        assert_eq!(found(&two, unwatched).0, PASS, "{what}, and not every API server is scraped");
    }
    let mut failing = healthy();
    with(&mut failing, webhook(), Some(on(&["cp-1", "w-1"])));
    failing.inventory.webhook_calls = Source::read(calls(&[(600, false, true)]), failing.now);
    let about = "it is asked about pods in kube-system, default, guard and kube-public";
    let told_of = "webhook_unproven Service guard/hook port 443, 2 ready endpoints; calls have failed within 10 minutes, and \
                   none was let pass";
    assert_eq!(status_and_finding(&failing), (BLOCK, format!("{told_of}; {about}")));
}

#[test]
fn calls_prove_nothing_where_they_may_be_anothers_or_some_are_not_seen() {
    let answered = || Source::read(calls(&[(600, true, false)]), healthy().now);
    let mut twice = cluster(answered());
    let configurations = twice.inventory.webhooks.value.as_mut().unwrap();
    let other = Webhook { fails_closed: false, ..by_url() };
    configurations.push(WebhookConfiguration {
        kind: WebhookKind::Validating,
        name: "other".to_owned(),
        webhooks: vec![other],
    });
    let (status, detail) = status_and_finding(&twice);
    assert!(status == BLOCK && detail.contains("2 webhooks are called pods.guard.example"), "{detail}");
    // Of another kind, calls are counted apart.
    twice.inventory.webhooks.value.as_mut().unwrap()[1].kind = WebhookKind::Mutating;
    assert_eq!(status_and_finding(&twice).0, PASS);
    let mut unseen = cluster(answered());
    let another = super::super::super::tests::node("cp-2", Role::ControlPlane, "v1.36.1");
    unseen.snapshot.nodes.value.as_mut().unwrap().push(another);
    let (status, detail) = status_and_finding(&unseen);
    assert!(status == BLOCK && detail.contains("no API server at the address of cp-2"), "{detail}");
}

#[test]
fn a_service_that_leads_out_of_the_cluster_is_judged_alike() {
    let by_hand = |is_pod: bool, selector: BTreeMap<String, String>| {
        let mut ports = ports(&[None, None]);
        ports.selector = selector;
        ports.slices[0].ready.iter_mut().for_each(|it| it.is_pod = is_pod);
        LeadsTo::Ports(ports)
    };
    let selected = || BTreeMap::from([("app".to_owned(), "hook".to_owned())]);
    for (what, leads_to, expected) in [
        ("ExternalName", LeadsTo::Outside, Some("is of type ExternalName and leads out of the cluster")),
        ("addresses by hand", by_hand(false, BTreeMap::new()), Some("its endpoints at port 443 are no pods")),
        ("pods that a controller writes down", by_hand(true, BTreeMap::new()), None),
        ("selected", by_hand(false, selected()), None),
    ] {
        let found = |is_proven: bool| {
            found(|cluster| {
                with(cluster, webhook(), Some(leads_to.clone()));
                let called = [(600, true, false)];
                let seen = calls(if is_proven { &called } else { &[] });
                cluster.inventory.webhook_calls = Source::read(seen, cluster.now);
            })
        };
        let [unproven, proven] = [false, true].map(found);
        match expected {
            None => assert_eq!((unproven.0, proven.0), (PASS, PASS), "{what}"),
            Some(words) => {
                assert_eq!(unproven, (BLOCK, vec!["webhook_unproven"], vec![]), "{what}");
                assert_eq!(proven, (PASS, vec![], vec!["webhook_outside"]), "{what}");
                let mut cluster = healthy();
                with(&mut cluster, webhook(), Some(leads_to.clone()));
                let (_, detail) = status_and_finding(&cluster);
                assert!(detail.contains(words), "{what}: {detail}");
            }
        }
    }
    let of_no_port = found(|cluster| {
        let mut leads_to = by_hand(false, BTreeMap::new());
        let LeadsTo::Ports(ports) = &mut leads_to else { panic!() };
        ports.ports[0].port = 8443;
        with(cluster, webhook(), Some(leads_to));
    });
    assert_eq!(of_no_port, (BLOCK, vec!["webhook_dead"], vec![]), "by whatever hand, it has no such port");
}

#[test]
fn what_the_api_server_passes_on_to_an_aggregated_one_is_not_seen_here() {
    let itself = Webhook { backend: at("default", "kubernetes"), ..webhook() };
    let asked = |called: &'static [(u64, bool, bool)]| {
        found(|cluster| {
            with(cluster, itself.clone(), None);
            let mut leads_to = ports(&[None]);
            leads_to.selector.clear();
            let own = WebhookBackend {
                service: service("default", "kubernetes"),
                leads_to: LeadsTo::Ports(leads_to),
            };
            cluster.inventory.webhook_backends = Source::read(vec![own], cluster.now);
            cluster.inventory.webhook_calls = Source::read(calls(called), cluster.now);
        })
    };
    assert_eq!(asked(&[]), (BLOCK, vec!["webhook_unproven"], vec![]));
    assert_eq!(asked(&[(600, true, false)]), (PASS, vec![], vec!["webhook_outside"]));
}

#[test]
fn one_that_fails_open_or_is_asked_about_nothing_needed_needs_no_proof() {
    expect("it fails open", Webhook { fails_closed: false, ..by_url() }, on(&[]), PASS, "");
    let secrets = Webhook { rules: vec![rule("", &["secrets"], &["*"])], ..by_url() };
    expect("secrets", secrets, on(&[]), PASS, "");
    let injected = Requirement::In("mesh/inject".to_owned(), ["true".to_owned()].into());
    let perhaps = Webhook { objects: Selector::Every(vec![injected]), ..by_url() };
    expect("perhaps asked", perhaps, on(&[]), BLOCK, "webhook_unproven");
}

#[test]
fn a_conversion_that_nobody_can_look_at_blocks_whatever_was_called() {
    let outcome = |backend: Backend, leads_to: Option<LeadsTo>| {
        found(|cluster| {
            with(cluster, Webhook { fails_closed: false, ..webhook() }, leads_to);
            let definition = crate::cluster::inventory::Definition {
                name: "widgets.example.com".to_owned(),
                versions: Vec::new(),
                stored: Vec::new(),
                converter: Some(backend),
            };
            cluster.inventory.definitions = Source::read(vec![definition], cluster.now);
        })
    };
    let unproven = (BLOCK, vec!["webhook_unproven"], vec![]);
    assert_eq!(outcome(Backend::Url("https://convert.example/".to_owned()), None), unproven);
    assert_eq!(outcome(at("guard", "hook"), Some(LeadsTo::Outside)), unproven);
    let of_no_port = Backend::Service { service: service("guard", "hook"), port: Some(9443) };
    assert_eq!(outcome(of_no_port, Some(on(&["w-1", "cp-1"]))), (BLOCK, vec!["webhook_dead"], vec![]));
}

#[test]
fn it_is_accepted_by_name_until_a_day_and_nothing_else_of_its_check_is() {
    let accept = |subject: &str, reason| Accept {
        check: "webhooks".to_owned(),
        subject: subject.to_owned(),
        reason,
        why: "looked at".to_owned(),
        by: "ops".to_owned(),
        until: "2099-12-31".parse().unwrap(),
    };
    let verdict = |cluster: &Healthy, accept: Accept| {
        let mut cluster = cluster.clone();
        cluster.matrix.accept.value.0 = vec![accept];
        cluster.verdict("v1.36.3").verdict
    };
    let by_url = cluster(Source::read(calls(&[]), healthy().now));
    assert_eq!(by_url.verdict("v1.36.3").verdict, Conclusion::Blocked);
    assert_eq!(verdict(&by_url, accept(SUBJECT, Some(Reason::WebhookUnproven))), Conclusion::Safe);
    assert_eq!(verdict(&by_url, accept(SUBJECT, None)), Conclusion::Safe);
    assert_eq!(
        verdict(&by_url, accept("ValidatingWebhookConfiguration guard/other", None)),
        Conclusion::Blocked
    );
    let mut dead = healthy();
    with(&mut dead, webhook(), Some(on(&[])));
    for subject in ["ValidatingWebhookConfiguration guard", SUBJECT] {
        assert_eq!(verdict(&dead, accept(subject, None)), Conclusion::Blocked);
        assert_eq!(verdict(&dead, accept(subject, Some(Reason::WebhookDead))), Conclusion::Blocked);
    }
    let name = "ValidatingWebhookConfiguration guard";
    for (has_conditions, answer) in [(true, Conclusion::Safe), (false, Conclusion::Blocked)] {
        let mut alone = healthy();
        with(&mut alone, Webhook { has_conditions, ..webhook() }, Some(on(&["w-1"])));
        assert_eq!(alone.verdict("v1.36.3").verdict, Conclusion::Blocked);
        assert_eq!(verdict(&alone, accept(name, None)), answer, "matchConditions: {has_conditions}");
        assert_eq!(verdict(&alone, accept(name, Some(Reason::WebhookUnproven))), Conclusion::Blocked);
    }
    let mut unseen = healthy();
    with(&mut unseen, webhook(), None);
    assert_eq!(verdict(&unseen, accept("ValidatingWebhookConfiguration guard", None)), Conclusion::Unknown);
}

#[test]
fn each_webhook_is_recognised_with_where_it_leads() {
    let mut cluster = cluster(Source::unread());
    let more = [
        Webhook { name: "a".to_owned(), ..webhook() },
        Webhook { name: "b".to_owned(), fails_closed: false, ..webhook() },
        Webhook { name: "c".to_owned(), rules: vec![rule("", &["secrets"], &["*"])], ..webhook() },
    ];
    cluster.inventory.webhooks.value.as_mut().unwrap()[0].webhooks.extend(more);
    let leads_to = on(&["w-1", "cp-1"]);
    let backend = WebhookBackend { service: service("guard", "hook"), leads_to };
    cluster.inventory.webhook_backends = Source::read(vec![backend], cluster.now);
    let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
    let about = "it is asked about pods in kube-system, default, guard and kube-public";
    let told: Vec<(String, String)> =
        outcome.recognised.into_iter().map(|it| (it.subject, it.detail)).collect();
    let expected = [
        ("a", format!("Service guard/hook port 443, 2 ready endpoints; {about}")),
        ("b", "Service guard/hook port 443; failurePolicy: Ignore, nothing waits for it".to_owned()),
        (
            "c",
            "Service guard/hook port 443, 2 ready endpoints; it is asked about nothing that an upgrade needs"
                .to_owned(),
        ),
        ("pods.guard.example", format!("https://hooks.example/, where nobody here can look; {about}")),
    ];
    let expected =
        expected.map(|(name, detail)| (format!("ValidatingWebhookConfiguration guard/{name}"), detail));
    assert_eq!(told, expected);
}
