//! Snapshots of etcd.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lockkeeper_rules::driver::kubeadm::order::UnitKind;
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::words::name::Token;

use crate::machine::{Machine, order, token};

#[test]
fn a_snapshot_is_reported_with_path_size_and_hash() {
    let machine = Machine::new();
    let order = order(UnitKind::Snapshot, 1);
    machine.launch(&order).unwrap();
    let Progress::Ended { code: 0, report, .. } = machine.ledger(&order) else {
        panic!("{:?}", machine.ledger(&order))
    };
    let get = |key: &str| report.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone()).unwrap();
    assert_eq!((get("hash").as_str(), get("size_bytes").as_str()), ("123456", "9"));
    assert_eq!(fs::read_to_string(get("path")).unwrap(), "snapshot\n");
}

#[test]
fn a_snapshot_that_cannot_be_verified_is_a_failure() {
    for stand_in in ["exit 1", "echo '{}'"] {
        let machine = Machine::new();
        machine.write("bin/etcdutl", &format!("#!/bin/bash\n{stand_in}\n"));
        let order = order(UnitKind::Snapshot, 1);
        machine.launch(&order).unwrap();
        assert_eq!(machine.ended(&order).0, 1, "{stand_in}");
        assert!(!machine.path(&format!("var/lib/lockkeeper/{}.report", order.token)).exists());
    }
}

#[test]
fn no_snapshot_is_taken_of_a_member_that_cannot_catch_up() {
    for machine in [Machine::new(), Machine::with_etcd_in_a_container()] {
        machine.write("lags", "");
        let order = order(UnitKind::Snapshot, 1);
        machine.launch(&order).unwrap();
        let (code, output) = machine.ended(&order);
        assert!(code == 1 && output.contains("is unhealthy"), "{code}: {output}");
        assert!(!machine.path(&format!("var/lib/lockkeeper/{}.report", order.token)).exists());
        assert!(machine.calls("etcdctl").iter().all(|call| !call.contains("snapshot save")));
    }
}

#[test]
fn a_snapshot_is_of_the_control_planes_etcd_and_of_no_other() {
    for (sequence, containers, code) in [
        (1, "c0 etcd somebodys\nc1 etcd kube-system\nc2 kube-apiserver kube-system\n", 0),
        (2, "c1 etcd kube-system\nc2 etcd kube-system\n", 1),
        (3, "c0 etcd somebodys\n", 1),
    ] {
        let machine = Machine::with_etcd_in_a_container();
        machine.write("containers", containers);
        let order = order(UnitKind::Snapshot, sequence);
        machine.launch(&order).unwrap();
        let (found, output) = machine.ended(&order);
        assert_eq!(i32::from(found != 0), code, "{containers}: {output}");
        assert_eq!(output.contains("one container etcd of kube-system must run here"), code != 0, "{output}");
        assert_eq!(machine.names("var/lib/lockkeeper/snapshots").len(), if code == 0 { 1 } else { 0 });
    }
}

#[test]
fn a_snapshot_leaves_etcds_volume_and_a_copy_that_nobody_else_can_read() {
    let machine = Machine::with_etcd_in_a_container();
    let backup = |token: &Token| format!("lockkeeper-abc123-{token}.db");
    // What others have put there, and what a killed attempt of this machine has left.
    for name in ["lockkeeper-def456-x.db", "lockkeeper-abc123-x.db.part"] {
        machine.write(&format!("mnt/backup/{name}"), "");
    }
    for sequence in 1..=7 {
        let order = order(UnitKind::Snapshot, sequence);
        machine.launch_with(&order, &machine.copying()).unwrap();
        let Progress::Ended { code: 0, report, .. } = machine.ledger(&order) else {
            panic!("{:?}", machine.ledger(&order))
        };
        let copied = format!("mnt/backup/{}", backup(&order.token));
        let path = machine.path(&copied).display().to_string();
        assert!(report.contains(&("copied".to_owned(), path)), "{report:?}");
        for file in [copied, format!("var/lib/lockkeeper/snapshots/lockkeeper-{}.db", order.token)] {
            assert_eq!(machine.read(&file), "snapshot\n");
            let mode = fs::metadata(machine.path(&file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        assert!(machine.names("var/lib/etcd").is_empty());
    }
    let mut kept: Vec<String> = (3..=7).map(|sequence| backup(&token(sequence))).collect();
    kept.push("lockkeeper-def456-x.db".to_owned());
    assert_eq!(machine.names("mnt/backup"), kept);
    assert_eq!(machine.names("var/lib/lockkeeper/snapshots").len(), 5);
    fs::remove_dir_all(machine.path("mnt/backup")).unwrap();
    let order = order(UnitKind::Snapshot, 8);
    machine.launch_with(&order, &machine.copying()).unwrap();
    let (code, output) = machine.ended(&order);
    assert!(code == 1 && output.contains("(etcd.snapshotDirectory) is no folder on this node"), "{output}");
}
