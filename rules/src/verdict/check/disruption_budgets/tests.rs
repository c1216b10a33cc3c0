use std::collections::BTreeSet;

use super::super::tests::{Healthy, outcome};
use super::*;
use crate::cluster::inventory::Rollout;
use crate::cluster::snapshot::Source;
use crate::drain::budget::tests::{budget, min};
use crate::drain::{Amount, Demand};
use crate::verdict::Status;
use crate::words::labels::{Requirement, Selector};

/// A workload of `default` whose pods wear `app: <name>`.
fn workload(kind: WorkloadKind, name: &str, replicas: i32) -> Workload {
    Workload {
        pod_labels: BTreeMap::from([("app".to_owned(), name.to_owned())]),
        rollout: Rollout::done(replicas),
        ..Workload::silent(kind, "default", name)
    }
}

fn web(replicas: i32) -> Workload {
    workload(WorkloadKind::Deployment, "web", replicas)
}

fn of(app: &str, budget: Budget) -> Budget {
    let selector = Selector::Every(vec![Requirement::In("app".to_owned(), [app.to_owned()].into())]);
    Budget { selector, ..budget }
}

fn max(text: &str) -> Demand {
    Demand::MaxUnavailable(Amount::percent(text))
}

fn with(budgets: Vec<Budget>, workloads: Vec<Workload>) -> impl FnOnce(&mut Healthy) {
    move |cluster| {
        cluster.inventory.budgets = Source::read(budgets, cluster.now);
        cluster.inventory.workloads = Source::read(workloads, cluster.now);
    }
}

#[track_caller]
fn expect(what: &str, change: impl FnOnce(&mut Healthy), status: Status, reasons: &[&str], notes: &[&str]) {
    let mut cluster = super::super::tests::healthy();
    change(&mut cluster);
    let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
    let codes = |findings: &[Finding]| findings.iter().map(|it| it.reason.code()).collect::<Vec<_>>();
    let found = (outcome.status, codes(&outcome.findings), codes(&outcome.notes));
    assert_eq!(found, (status, reasons.to_vec(), notes.to_vec()), "{what}");
}

#[test]
fn a_budget_is_judged_by_its_demand_and_what_the_owners_ask_for() {
    use Status::{Block, Pass, Unknown};
    let pods = |pods| Demand::MaxUnavailable(Amount::Pods(pods));
    let least = |text: &str| Demand::MinAvailable(Amount::percent(text));
    for (demand, replicas, status, reason) in [
        (pods(0), 3, Block, Some("pdb_blocked")),
        (max("0%"), 3, Block, Some("pdb_blocked")),
        (pods(1), 1, Pass, None),
        (max("1%"), 1, Pass, None),
        (min(1), 1, Block, Some("pdb_blocked")),
        (min(3), 3, Block, Some("pdb_blocked")),
        (min(2), 3, Pass, None),
        (least("100%"), 3, Block, Some("pdb_blocked")),
        (least("50%"), 1, Block, Some("pdb_blocked")),
        (least("50%"), 2, Pass, None),
        (least("67%"), 3, Block, Some("pdb_blocked")),
        (Demand::Nothing, 3, Block, Some("pdb_blocked")),
        (least("many"), 3, Unknown, Some("pdb_unobserved")),
        (pods(0), 0, Pass, None),
        (min(1), 0, Pass, None),
    ] {
        let change = with(vec![of("web", budget("b", demand.clone(), replicas))], vec![web(replicas)]);
        let expected = (status, reason.into_iter().collect());
        assert_eq!(outcome(check, "v1.36.3", change), expected, "{demand:?} of {replicas}");
    }
}

#[test]
fn what_the_status_allows_in_a_rollout_decides_nothing() {
    let surging = Budget { disruptions_allowed: 1, expected_pods: 3, ..of("web", budget("b", min(2), 3)) };
    let mut rolling = web(2);
    rolling.rollout.current = 3;
    expect("one more", with(vec![surging], vec![rolling]), Status::Block, &["pdb_blocked"], &[]);
    let late = Budget { disruptions_allowed: 0, current_healthy: 1, ..of("web", budget("b", min(2), 3)) };
    expect("one less", with(vec![late.clone()], vec![web(3)]), Status::Pass, &[], &["pdb_waits"]);
    let willing = Budget { evicts_unhealthy: true, ..late };
    expect("one less, and never mind", with(vec![willing], vec![web(3)]), Status::Pass, &[], &["pdb_waits"]);
}

#[test]
fn several_owners_count_together_and_those_of_other_namespaces_or_labels_do_not() {
    let both = || {
        let all = Selector::Every(vec![Requirement::Exists("app".to_owned())]);
        Budget { selector: all, ..budget("b", min(2), 3) }
    };
    let set = workload(WorkloadKind::StatefulSet, "db", 1);
    expect("two owners", with(vec![both()], vec![web(2), set.clone()]), Status::Pass, &[], &[]);
    let elsewhere = Workload { namespace: "other".to_owned(), ..set };
    let two = Budget { expected_pods: 2, current_healthy: 2, disruptions_allowed: 0, ..both() };
    expect("one owner", with(vec![two], vec![web(2), elsewhere]), Status::Block, &["pdb_blocked"], &[]);
    let idle = of("nobody", budget("b", min(1), 0));
    expect("nobody's", with(vec![idle], vec![web(1)]), Status::Pass, &[], &[]);
    let nothing = Budget { selector: Selector::Nothing, ..budget("b", min(1), 0) };
    expect("no selector", with(vec![nothing], vec![web(1)]), Status::Pass, &[], &[]);
}

#[test]
fn pods_of_owners_that_are_not_watched_are_judged_by_the_status() {
    let (block, hold, pass) = (Status::Block, Status::Hold, Status::Pass);
    let bare = |demand, expected| of("bare", budget("b", demand, expected));
    expect("one of one", with(vec![bare(min(1), 1)], vec![]), hold, &["pdb_may_move"], &[]);
    expect("one of two", with(vec![bare(min(1), 2)], vec![]), pass, &[], &[]);
    expect("none of two", with(vec![bare(max("0%"), 2)], vec![]), hold, &["pdb_may_move"], &[]);
    let uncounted = Budget { current_healthy: 2, ..bare(max("50%"), 0) };
    expect("uncounted", with(vec![uncounted], vec![]), block, &["pdb_blocked"], &[]);
    let dead = Budget { current_healthy: 0, disruptions_allowed: 0, ..bare(min(2), 3) };
    expect("none Ready", with(vec![dead.clone()], vec![]), Status::Unknown, &["pdb_blocked"], &[]);
    let willing = Budget { evicts_unhealthy: true, ..dead.clone() };
    expect("none Ready, and never mind", with(vec![willing], vec![]), pass, &[], &["pdb_waits"]);
    let late = Budget { current_healthy: 1, ..dead };
    expect("one Ready", with(vec![late], vec![]), pass, &[], &["pdb_waits"]);
    // A bare pod beside the Deployment's only one.
    let more = of("web", budget("b", min(1), 2));
    expect("one more", with(vec![more.clone()], vec![web(1)]), hold, &["pdb_of_others"], &[]);
    let half = of("web", budget("b", Demand::MinAvailable(Amount::percent("50%")), 4));
    expect("three more", with(vec![half], vec![web(1)]), hold, &["pdb_of_others"], &[]);
    // Pods that failed are counted too, and are no help.
    let failed = Budget { current_healthy: 1, disruptions_allowed: 0, ..more };
    expect("one failed", with(vec![failed], vec![web(1)]), block, &["pdb_blocked"], &[]);
}

#[test]
fn pods_of_daemon_sets_are_not_evicted() {
    let agent = || workload(WorkloadKind::DaemonSet, "agent", 2);
    let all = |demand| of("agent", budget("b", demand, 2));
    expect("a number", with(vec![all(min(2))], vec![agent()]), Status::Pass, &[], &[]);
    let error = || Some("daemonsets.apps does not implement the scale subresource".to_owned());
    let failed = |app, demand| Budget { sync_error: error(), observed: 0, ..of(app, budget("b", demand, 0)) };
    expect(
        "uncounted",
        with(vec![failed("agent", max("50%"))], vec![agent()]),
        Status::Pass,
        &[],
        &["pdb_blocked"],
    );
    // The same budget over the pods of a Deployment too: those cannot leave.
    let mut beside = web(3);
    beside.pod_labels = agent().pod_labels;
    let both = with(vec![failed("agent", max("50%"))], vec![agent(), beside]);
    expect("uncounted, of both", both, Status::Block, &["pdb_blocked"], &[]);
    expect("twice", with(vec![all(min(0)), all(min(0))], vec![agent()]), Status::Pass, &[], &[]);
}

#[test]
fn two_budgets_for_one_pod_block() {
    let budgets = vec![of("web", budget("x", min(1), 3)), of("web", budget("y", max("50%"), 3))];
    expect("both", with(budgets.clone(), vec![web(3)]), Status::Block, &["pdb_blocked"], &[]);
    let idle = vec![of("web", budget("x", min(1), 0)), of("web", budget("y", max("50%"), 0))];
    expect("no pods", with(idle, vec![web(0)]), Status::Pass, &[], &[]);
    let mut cluster = super::super::tests::healthy();
    with(budgets, vec![web(3)])(&mut cluster);
    let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
    assert_eq!(outcome.findings[0].subject, "Deployment default/web");
    assert!(outcome.findings[0].detail.ends_with(": x, y"), "{}", outcome.findings[0]);
}

/// A budget of pods with these labels, of which there are so many.
fn counts(name: &str, labels: &[(&str, &str)], pods: i32) -> Budget {
    let is = |(key, value): &(&str, &str)| Requirement::In((*key).to_owned(), [(*value).to_owned()].into());
    Budget { selector: Selector::Every(labels.iter().map(is).collect()), ..budget(name, min(0), pods) }
}

#[test]
fn pods_of_no_template_have_two_budgets_where_one_selects_all_that_the_other_does() {
    let of_cluster = |budget| Budget { owner: Some("Cluster main".to_owned()), ..budget };
    let (main, primary, replica) = (("cluster", "main"), ("role", "primary"), ("role", "replica"));
    let of_primary = || of_cluster(counts("primary", &[main, primary], 1));
    let of_replicas = || of_cluster(counts("replicas", &[main, replica], 2));
    let mine = |labels: &[(&str, &str)], pods| counts("mine", labels, pods);
    let node = |name, value| counts(name, &[("component", "manager"), ("node", value)], 1);
    let set = |replicas| workload(WorkloadKind::StatefulSet, "db", replicas);
    let db = ("app", "db");
    let unobserved = Budget { generation: 2, ..mine(&[main], 3) };
    let block = (Status::Block, vec!["pdb_blocked default/mine"]);
    let hold = (Status::Hold, vec!["pdb_of_others default/mine"]);
    let pass = (Status::Pass, vec![]);
    for (what, budgets, workloads, expected) in [
        ("an operator's own", vec![of_primary(), of_replicas()], vec![], &pass),
        ("one per node", vec![node("a", "w-1"), node("b", "w-2")], vec![], &pass),
        ("a person's over all", vec![of_primary(), of_replicas(), mine(&[main], 3)], vec![], &block),
        ("whoever owns it", vec![of_primary(), of_cluster(mine(&[main], 3))], vec![], &block),
        ("the same", vec![of_primary(), mine(&[primary, main], 1)], vec![], &block),
        ("of the whole namespace", vec![of_primary(), mine(&[], 3)], vec![], &block),
        (
            "its status is old",
            vec![of_primary(), Budget { name: "mine".to_owned(), ..unobserved }],
            vec![],
            &(Status::Unknown, vec!["pdb_blocked default/mine", "pdb_unobserved default/mine"]),
        ),
        ("it counts nothing", vec![counts("primary", &[main, primary], 0), mine(&[main], 3)], vec![], &pass),
        // By other labels: these pods may wear both.
        ("a person's by other labels", vec![of_primary(), mine(&[("kind", "instance")], 3)], vec![], &hold),
        ("that counts nothing", vec![of_primary(), mine(&[("kind", "instance")], 0)], vec![], &pass),
        ("another operator's", vec![of_primary(), of_cluster(mine(&[("kafka", "k")], 3))], vec![], &pass),
        ("of a Deployment", vec![of_primary(), of("web", mine(&[], 3))], vec![web(3)], &pass),
        (
            "of one with a pod that failed",
            vec![of_primary(), Budget { expected_pods: 4, ..of("web", mine(&[], 3)) }],
            vec![web(3)],
            &pass,
        ),
        ("of one and more", vec![of_primary(), of("web", mine(&[], 4))], vec![web(3)], &hold),
        // The pods of a StatefulSet are given their role by somebody, as by Patroni.
        ("a role and all", vec![counts("role", &[db, primary], 1), mine(&[db], 3)], vec![set(3)], &block),
        ("a role alone", vec![mine(&[primary], 1), of("db", counts("set", &[], 3))], vec![set(3)], &hold),
        (
            "an operator's role",
            vec![of_cluster(counts("role", &[db, primary], 1)), mine(&[("tier", "data")], 3)],
            vec![Workload {
                pod_labels: [db, ("tier", "data")]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
                ..set(3)
            }],
            &hold,
        ),
        ("beside a StatefulSet", vec![of_primary(), of("db", mine(&[], 3))], vec![set(3)], &pass),
        (
            "beside another one",
            vec![mine(&[("app", "web"), primary], 1), of("db", counts("set", &[], 3))],
            vec![set(3), workload(WorkloadKind::StatefulSet, "web", 3)],
            &pass,
        ),
    ] {
        let mut cluster = super::super::tests::healthy();
        with(budgets, workloads)(&mut cluster);
        let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
        let findings = outcome.findings.iter().map(|it| format!("{} {}", it.reason, it.subject));
        let expected = (expected.0, expected.1.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
        assert_eq!((outcome.status, findings.collect()), expected, "{what}");
    }
}

#[test]
fn a_budget_may_be_of_one_pod_of_a_stateful_set() {
    let set = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<BTreeSet<_>>();
    let is = |key: &str, values: &[&str]| Requirement::In(key.to_owned(), set(values));
    let is_not = |key: &str, values: &[&str]| Requirement::NotIn(key.to_owned(), set(values));
    let (name, index) = ("statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index");
    let whole = || of("db", budget("whole", min(0), 3));
    let some = |requirement, expected| {
        let selector = Selector::Every(vec![requirement]);
        Budget { selector, ..budget("some", min(0), expected) }
    };
    let db = |replicas| workload(WorkloadKind::StatefulSet, "db", replicas);
    let blocked = (Status::Block, vec!["pdb_blocked"]);
    let passed = (Status::Pass, vec![]);
    for (what, requirement, replicas, expected) in [
        ("its first", is(name, &["db-0"]), 3, &blocked),
        ("its last", is(name, &["db-2"]), 3, &blocked),
        ("one that is not there", is(name, &["db-3"]), 3, &passed),
        ("another's", is(name, &["other-0"]), 3, &passed),
        ("no ordinal", is(name, &["db-00", "db-", "db-+1", "db--1", "db"]), 3, &passed),
        ("by its index", is(index, &["1"]), 3, &blocked),
        ("by an index that is not there", is(index, &["3"]), 3, &passed),
        ("all but one", is_not(name, &["db-0"]), 3, &blocked),
        ("all but the only one", is_not(name, &["db-0"]), 1, &passed),
        ("any", Requirement::Exists(name.to_owned()), 3, &blocked),
        ("none", Requirement::DoesNotExist(index.to_owned()), 3, &passed),
        ("of very many", is(name, &["db-0"]), i32::MAX, &blocked),
    ] {
        let change = with(vec![whole(), some(requirement, 1)], vec![db(replicas), web(3)]);
        assert_eq!(&outcome(check, "v1.36.3", change), expected, "{what}");
    }
    // A budget counts the pods that it selects, not all of their owner.
    let rest = Selector::Every(vec![is_not(name, &["db-0"])]);
    let rest = Budget { selector: rest, ..budget("rest", min(2), 2) };
    expect("two of two", with(vec![rest], vec![db(3)]), Status::Block, &["pdb_blocked"], &[]);
    let first = Selector::Every(vec![is(name, &["db-0"])]);
    let first = Budget { selector: first, ..budget("first", min(0), 1) };
    expect("none of one", with(vec![first], vec![db(3)]), Status::Pass, &[], &[]);
    let away = |pods| Demand::MaxUnavailable(Amount::Pods(pods));
    // What may be away is counted from all that the owner asks for, what is there from those that are selected.
    for (what, requirement, demand, selected, expected) in [
        ("one of three", is(name, &["db-0"]), away(1), 1, &blocked),
        ("two of three", is_not(name, &["db-0"]), away(1), 2, &blocked),
        ("two of three, two away", is_not(name, &["db-0"]), away(2), 2, &passed),
        (
            "one of three by half",
            is(name, &["db-0"]),
            Demand::MaxUnavailable(Amount::Percent(50)),
            1,
            &blocked,
        ),
        ("one of three, all away", is(name, &["db-0"]), away(3), 1, &passed),
    ] {
        let some = Budget { demand, current_healthy: selected, ..some(requirement, 3) };
        assert_eq!(&outcome(check, "v1.36.3", with(vec![some], vec![db(3)])), expected, "{what}");
    }
    // A Deployment's pods wear no such label.
    let named =
        Budget { selector: Selector::Every(vec![is(name, &["web-0"])]), ..budget("named", min(0), 0) };
    let both = with(vec![of("web", budget("b", min(1), 3)), named], vec![web(3)]);
    expect("a Deployment", both, Status::Pass, &[], &[]);
}

#[test]
fn where_nobody_is_ready_and_no_rollout_is_under_way_nobody_knows_whether_the_drain_hangs() {
    let dead = Budget { disruptions_allowed: 0, current_healthy: 0, ..of("web", budget("b", min(2), 3)) };
    expect("settled", with(vec![dead.clone()], vec![web(3)]), Status::Unknown, &["pdb_blocked"], &[]);
    let mut rolling = web(3);
    rolling.rollout.updated = 2;
    expect("rolling", with(vec![dead.clone()], vec![rolling]), Status::Pass, &[], &["pdb_waits"]);
    let late = Budget { current_healthy: 1, ..dead.clone() };
    expect("one is", with(vec![late], vec![web(3)]), Status::Pass, &[], &["pdb_waits"]);
    let willing = Budget { evicts_unhealthy: true, ..dead };
    expect("never mind", with(vec![willing], vec![web(3)]), Status::Pass, &[], &["pdb_waits"]);
}

#[test]
fn a_budget_without_room_now_is_told_although_enough_of_its_pods_are_ready() {
    let full = |app| Budget { disruptions_allowed: 0, current_healthy: 2, ..of(app, budget("b", min(2), 3)) };
    for (what, budget, notes) in [
        ("a Deployment's", full("web"), &["pdb_waits"][..]),
        ("of others", full("kafka"), &["pdb_waits"]),
        ("it has room", Budget { disruptions_allowed: 1, current_healthy: 3, ..full("web") }, &[]),
        ("nobody's", Budget { expected_pods: 0, current_healthy: 0, ..full("nobody") }, &[]),
    ] {
        expect(what, with(vec![budget], vec![web(3)]), Status::Pass, &[], notes);
    }
}

#[test]
fn a_status_about_an_older_spec_is_unknown_unless_the_spec_itself_forbids() {
    let fresh = |demand| Budget { generation: 2, ..of("web", budget("b", demand, 3)) };
    let unknown = Status::Unknown;
    expect("allowed", with(vec![fresh(min(1))], vec![web(3)]), unknown, &["pdb_unobserved"], &[]);
    expect("forbidden", with(vec![fresh(min(3))], vec![web(3)]), Status::Block, &["pdb_blocked"], &[]);
    let mixed = vec![fresh(min(1)), of("db", budget("c", min(1), 1))];
    let db = workload(WorkloadKind::StatefulSet, "db", 1);
    let both = &["pdb_blocked", "pdb_unobserved"];
    expect("mixed", with(mixed, vec![web(3), db]), unknown, both, &[]);
}

#[test]
fn where_no_node_is_left_to_drain_nothing_is_in_the_way() {
    let done = |kubelet: &'static str, control_plane: &'static str| {
        move |cluster: &mut Healthy| {
            with(vec![of("web", budget("b", min(1), 1))], vec![web(1)])(cluster);
            for node in cluster.snapshot.nodes.value.iter_mut().flatten() {
                node.kubelet_version = super::super::tests::version(kubelet);
            }
            for pod in cluster.snapshot.static_pods.value.iter_mut().flatten() {
                pod.version = super::super::tests::version(control_plane);
            }
        }
    };
    let (pass, block) = (Status::Pass, Status::Block);
    expect("all are there", done("v1.36.3", "v1.36.3"), pass, &[], &["pdb_blocked"]);
    expect("nobody knows", done("odd", "v1.36.3"), block, &["pdb_blocked"], &[]);
    expect("kubelets went ahead", done("v1.36.3", "v1.36.1"), block, &["pdb_blocked"], &[]);
}

#[test]
fn each_lost_source_is_unknown() {
    let lost = &["source_unreadable"];
    expect("budgets", |it| it.inventory.budgets = Source::failed("gone"), Status::Unknown, lost, &[]);
    expect("workloads", |it| it.inventory.workloads = Source::failed("gone"), Status::Unknown, lost, &[]);
    expect("nodes", |it| it.snapshot.nodes = Source::failed("gone"), Status::Unknown, lost, &[]);
    expect("none", |_| {}, Status::Pass, &[], &[]);
}

#[test]
fn a_budget_that_an_operator_may_move_is_told_apart_from_one_that_only_its_owner_can_change() {
    let away = |pods| Demand::MaxUnavailable(Amount::Pods(pods));
    let least = |text: &str| Demand::MinAvailable(Amount::percent(text));
    let set = |replicas| workload(WorkloadKind::StatefulSet, "web", replicas);
    let (moves, stays) = ((Status::Hold, vec!["pdb_may_move"]), (Status::Block, vec!["pdb_blocked"]));
    for (what, app, demand, expected, owner, workloads, outcome) in [
        // Of pods that no template makes: as CloudNativePG, Longhorn, Strimzi and KubeVirt have them.
        ("a primary", "primary", min(1), 1, Some("Cluster main"), vec![], &moves),
        ("what serves a node", "manager", min(1), 1, None, vec![web(3)], &moves),
        ("all of a set", "kafka", min(3), 3, Some("Kafka k"), vec![], &moves),
        // By a label that Patroni puts on one pod of a StatefulSet.
        ("a role", "master", min(1), 1, None, vec![set(3)], &moves),
        // Locked until the storage or the database is whole again, as Rook and Elastic's operator do it.
        ("nobody now", "web", away(0), 1, Some("CephCluster c"), vec![web(1)], &moves),
        ("nobody of three", "web", min(3), 3, Some("Elasticsearch e"), vec![set(3)], &moves),
        // What the size of a site makes of a setting.
        ("the only one", "web", min(1), 1, None, vec![web(1)], &stays),
        ("the only one, owned", "web", min(1), 1, Some("IstioRevision i"), vec![web(1)], &stays),
        ("the only one of a set, owned", "web", min(1), 1, Some("Redis r"), vec![set(1)], &stays),
        ("a percentage, owned", "web", least("80%"), 1, Some("KnativeServing k"), vec![web(1)], &stays),
        ("a whole, owned", "web", least("100%"), 3, Some("KnativeServing k"), vec![web(3)], &stays),
        ("nobody, by a person", "web", away(0), 3, None, vec![web(3)], &stays),
        ("all, by a person", "web", min(3), 3, None, vec![web(3)], &stays),
        ("nothing, owned", "web", Demand::Nothing, 3, Some("Odd o"), vec![web(3)], &stays),
    ] {
        let owner = owner.map(str::to_owned);
        let budget = Budget { owner, ..of(app, budget("b", demand, expected)) };
        assert_eq!(
            &super::super::tests::outcome(check, "v1.36.3", with(vec![budget], workloads)),
            outcome,
            "{what}"
        );
    }
    let both = vec![of("web", budget("a", min(1), 1)), of("primary", budget("b", min(1), 1))];
    let found = &["pdb_blocked", "pdb_may_move"];
    expect("beside a block", with(both, vec![web(1)]), Status::Hold, found, &[]);
    let unobserved = Budget { generation: 2, ..of("primary", budget("b", min(1), 1)) };
    expect("not looked at yet", with(vec![unobserved], vec![]), Status::Unknown, &["pdb_unobserved"], &[]);
}

#[test]
fn a_budget_that_may_move_says_whose_it_is() {
    let mut cluster = super::super::tests::healthy();
    let owner = Some("Cluster main".to_owned());
    let primary = Budget { owner, ..of("primary", budget("main-primary", min(1), 1)) };
    with(vec![primary], vec![])(&mut cluster);
    let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
    let told = "pdb_may_move default/main-primary: wants 1 of 1 pods healthy, so a pod that no Deployment and no \
                StatefulSet has in its template can leave only if an operator moves it, or the budget; the budget \
                belongs to Cluster main";
    assert_eq!(outcome.findings[0].to_string(), told);
}

#[test]
fn every_budget_that_a_drain_has_to_ask_is_recognised() {
    let mut cluster = super::super::tests::healthy();
    let either = Requirement::In("app".to_owned(), ["x".to_owned(), "y".to_owned()].into());
    let late = Budget { disruptions_allowed: 0, current_healthy: 1, ..of("db", budget("late", min(2), 3)) };
    let budgets = vec![
        of("web", budget("web", max("34%"), 3)),
        of("cache", budget("cache", max("34%"), 1)),
        of("none", budget("none", min(0), 2)),
        Budget { selector: Selector::Every(vec![either]), ..budget("both", min(2), 6) },
        late,
        of("queue", budget("queue", min(2), 3)),
        of("primary", budget("primary", min(1), 1)),
        of("agent", budget("agent", min(1), 2)),
        of("nobody", budget("nobody", min(1), 0)),
    ];
    let of_name = |name| workload(WorkloadKind::StatefulSet, name, 3);
    let cache = workload(WorkloadKind::Deployment, "cache", 1);
    let agent = workload(WorkloadKind::DaemonSet, "agent", 2);
    with(budgets, vec![web(3), cache, of_name("db"), of_name("x"), of_name("y"), agent])(&mut cluster);
    let outcome = check(&Facts { target: "v1.36.3".parse(), case: &cluster.case() });
    let recognised = outcome.recognised.iter().map(|it| format!("{} {}", it.subject, it.detail));
    assert_eq!(
        recognised.collect::<Vec<_>>(),
        [
            "default/both wants 2 of 6 pods healthy; it protects pods of StatefulSet default/x and 1 more",
            "default/late wants 2 of 3 pods healthy; it protects pods of StatefulSet default/db",
            "default/queue wants 2 of 3 pods healthy; it protects pods that no Deployment and no StatefulSet has in \
             its template",
            "default/web wants 1 of 3 pods healthy; it protects pods of Deployment default/web",
        ]
    );
}
