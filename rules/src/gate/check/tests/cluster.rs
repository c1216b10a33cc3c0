//! The rows about the cluster and about what is ours.

use super::world::*;
use super::*;
use crate::cluster::snapshot::Pressure;

static THE_CLUSTER_ROWS: &[Row] = &[
    ("not ready", |w| w.nodes()[2].ready = false, Reason::NodeNotReady, "w-2"),
    ("short of a resource", |w| w.nodes()[2].pressures = vec![Pressure::Memory], Reason::NodePressure, "w-2"),
    ("no lease", |w| w.nodes()[2].lease_renewed_at = None, Reason::NodeLeaseStale, "w-2"),
    ("an old lease", |w| w.nodes()[0].lease_renewed_at = Some(at(-41)), Reason::NodeLeaseStale, "cp-1"),
    (
        "a lease of the future",
        |w| w.nodes()[0].lease_renewed_at = Some(at(41)),
        Reason::NodeLeaseStale,
        "cp-1",
    ),
    (
        "nodes unreadable",
        |w| w.answers.cluster.nodes.error = Some("timeout".into()),
        Reason::ApiUnreachable,
        "nodes",
    ),
    (
        "nodes read long ago",
        |w| w.answers.cluster.nodes.proven_at = Some(at(-6)),
        Reason::ApiUnreachable,
        "nodes",
    ),
    (
        "controllers unreadable",
        |w| w.answers.cluster.controller_leases = Source::unread(),
        Reason::ApiUnreachable,
        "controller leases",
    ),
    (
        "a controller hangs",
        |w| {
            w.answers.cluster.controller_leases.value.as_mut().unwrap()[0].renewed_at = Some(at(-41));
        },
        Reason::ControllerLeaseStale,
        "kube-scheduler",
    ),
    (
        "servers unreadable",
        |w| w.answers.cluster.api_servers = Source::unread(),
        Reason::ApiUnreachable,
        "API servers",
    ),
    (
        "no servers",
        |w| w.answers.cluster.api_servers.value = Some(Vec::new()),
        Reason::ApiUnreachable,
        "API servers",
    ),
    (
        "a server is not ready",
        |w| {
            w.answers.cluster.api_servers.value.as_mut().unwrap()[0].ready = false;
        },
        Reason::ControlPlaneNotReady,
        "cp-1",
    ),
    (
        "a server says nonsense",
        |w| {
            w.answers.cluster.api_servers.value.as_mut().unwrap()[0].version = Err("?".into());
        },
        Reason::VersionUnexpected,
        "cp-1",
    ),
    (
        "a kubelet is ahead",
        |w| w.nodes()[2].kubelet_version = Ok("v1.36.4".parse().unwrap()),
        Reason::VersionUnexpected,
        "w-2",
    ),
    (
        "a kubelet says nonsense",
        |w| w.nodes()[2].kubelet_version = Err("?".into()),
        Reason::VersionUnexpected,
        "w-2",
    ),
    ("runs unreadable", |w| w.answers.cluster.runs = Source::unread(), Reason::ApiUnreachable, "runs"),
    (
        "the run is gone",
        |w| w.run().uid = "other".into(),
        Reason::StatusMalformed,
        "0b9f3c6e-1111-4222-8333-444455556666",
    ),
    (
        "the target is none",
        |w| w.run().spec.target = "latest".into(),
        Reason::VersionUnexpected,
        "spec.target",
    ),
    (
        "no snapshot",
        |w| w.run().status.as_mut().unwrap().snapshot = None,
        Reason::SnapshotMissing,
        "to-1-36-3",
    ),
    ("no status", |w| w.run().status = None, Reason::SnapshotMissing, "to-1-36-3"),
    ("another leads", |w| w.answers.lease = Held::NotOurs("b".into()), Reason::LeadershipLost, "lease"),
    (
        "leadership unreadable",
        |w| w.answers.lease = Held::Unreadable("timeout".into()),
        Reason::ApiUnreachable,
        "lease",
    ),
    ("lock free", |w| w.answers.lock = LockView::Free, Reason::LockLost, "cluster lock"),
    (
        "lock another's",
        |w| w.answers.lock = LockView::Other { holder: "n/b".into() },
        Reason::LockLost,
        "cluster lock",
    ),
    (
        "lock unreadable",
        |w| w.answers.lock = LockView::Unknown("timeout".into()),
        Reason::LockUnreadable,
        "cluster lock",
    ),
];

#[test]
fn each_row_about_the_cluster_closes_alone() {
    check_rows(BOTH, THE_CLUSTER_ROWS);
}

#[test]
fn an_empty_cluster_is_no_cluster() {
    let mut world = World::well(Form::Continue);
    world.nodes().clear();
    world.samples("count").clear();
    assert_eq!(world.judged(), [(Reason::NoNodes, "nodes".to_owned())]);
}
