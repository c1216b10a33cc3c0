//! What a unit needs room for, and where.

use std::fs;

use lockkeeper_rules::driver::kubeadm::node_script::ScriptSettings;
use lockkeeper_rules::driver::kubeadm::order::{UnitKind, UnitOrder};
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::reason::Reason;

use crate::machine::{Machine, WRITES_MANIFESTS, looked_at, order, surveyed};

/// Disks of which only the one with this path is small: files say how many MiB are free there, and what of its inodes.
fn small_disk(path: &str) -> String {
    format!(
        r#"free=999999 inodes="999999 999998"
case "$*" in *{path}) free=$(cat "$M/free") inodes=$(cat "$M/inodes" 2>/dev/null || echo "$inodes") ;; esac
[ "$free" != broken ] || exit 1
echo Avail
case $* in *--output=avail*) echo "$((free * 1024))" ;; *) echo "$inodes" ;; esac"#
    )
}

#[test]
fn prepare_fills_no_place_that_has_no_room_whatever_is_mounted_there() {
    for place in [
        "/var/lib",
        "/var/lib/containerd",
        "/var/lib/kubelet",
        "/var/lib/dpkg",
        "/var/cache/apt",
        "/usr",
        "/etc/kubernetes",
    ] {
        let machine = Machine::new();
        fs::create_dir_all(machine.path(&place[1..])).unwrap();
        machine.stand_in("df", &small_disk(place));
        let settings = ScriptSettings { disk_free_mib_min: 100, ..machine.settings() };
        for (sequence, free, inodes, has_room) in [
            (1, "99", "999999 999998", false),
            (2, "100", "999999 999998", true),
            (3, "100", "999999 999", false),
            // As a btrfs says it.
            (4, "100", "0 0", true),
            // One that cannot be measured is no good one, and hides no other.
            (5, "broken", "999999 999998", false),
        ] {
            machine.write("free", free);
            machine.write("inodes", inodes);
            let order = order(UnitKind::Prepare, sequence);
            machine.launch_with(&order, &settings).unwrap();
            let is_refused = machine.ledger(&order) == Progress::Refused(Reason::DiskTooSmall);
            assert_eq!(is_refused, !has_room, "{place} {free} {inodes}: {:?}", machine.ledger(&order));
            // A survey says the same of it, and where.
            let said = surveyed(&machine);
            assert_eq!(said.disk_free_mib >= 100, has_room, "{said:?}");
            let shown = if inodes.ends_with(" 999") {
                format!("{place}, which has 999 inodes")
            } else {
                place.to_owned()
            };
            assert!(said.disk_place.starts_with(&shown), "{said:?}");
        }
    }
}

#[test]
fn etcds_own_volume_needs_room_for_its_data_twice() {
    let machine = Machine::new();
    machine.write("etc/kubernetes/manifests/etcd.yaml", "    - etcd\n    - --data-dir=/data/etcd\n");
    fs::create_dir_all(machine.path("data/etcd/member")).unwrap();
    machine.write("data/etcd/member/db", &"x".repeat(3 << 20));
    machine.stand_in("df", &small_disk("/data/etcd"));
    // It is counted in whole MiB, of which the folders take a part.
    for (free, has_room) in [("7", false), ("8", true), ("broken", false)] {
        machine.write("free", free);
        let said = surveyed(&machine);
        assert_eq!(said.disk_free_mib > 0, has_room, "{free} {said:?}");
        assert!(has_room || said.disk_place.contains("etcd"), "{said:?}");
    }
}

#[test]
fn prepare_pulls_no_image_where_the_one_before_has_left_no_room() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("var/lib/containerd")).unwrap();
    machine.stand_in("df", &small_disk("/var/lib/containerd"));
    machine.write("free", "100");
    machine.stand_in("crictl", "echo 99 >\"$M/free\"");
    let settings = ScriptSettings { disk_free_mib_min: 100, ..machine.site() };
    let order = order(UnitKind::Prepare, 1);
    machine.launch_with(&order, &settings).unwrap();
    let (code, output) = machine.ended(&order);
    assert!(code != 0 && output.contains("99 MiB would be free in /var/lib/containerd"), "{output}");
    assert_eq!(machine.calls("crictl"), ["crictl pull registry.example/agent:v1"]);
}

#[test]
fn kubeadms_copy_of_etcd_needs_room_beside_what_must_stay_free() {
    let machine = Machine::new();
    for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
        let text = format!("spec:\n    image: registry.k8s.io/{component}:v1.36.1\n");
        machine.write(&format!("etc/kubernetes/manifests/{component}.yaml"), &text);
    }
    machine.write("etc/kubernetes/manifests/etcd.yaml", "    - etcd\n    - --data-dir=/data/etcd\n");
    fs::create_dir_all(machine.path("data/etcd/member")).unwrap();
    machine.write("data/etcd/member/db", &"x".repeat(3 << 20));
    machine.write("on-kubeadm", WRITES_MANIFESTS);
    let settings = ScriptSettings { disk_free_mib_min: 100, ..machine.settings() };
    let manifests = looked_at(&machine);
    machine.stand_in("df", &small_disk("/etc/kubernetes"));
    let launch = |sequence, free: &str| {
        machine.write("free", free);
        let order = UnitOrder { manifests: manifests.clone(), ..order(UnitKind::UpgradeFirst, sequence) };
        machine.launch_with(&order, &settings).unwrap();
        machine.ledger(&order)
    };
    for (sequence, free) in [(1, "102"), (2, "")] {
        assert_eq!(launch(sequence, free), Progress::Refused(Reason::DiskTooSmall), "{free:?}");
    }
    assert!(machine.calls("apt-get").is_empty());
    // So is it told before the node is drained.
    machine.write("free", "102");
    let said = surveyed(&machine);
    assert!(said.disk_free_mib < 100 && said.disk_place.starts_with("/etc/kubernetes, "), "{said:?}");
    assert!(matches!(launch(3, "104"), Progress::Ended { code: 0, .. }));
    // What kubeadm has done it does not do again.
    machine.write("free", "100");
    assert_eq!(surveyed(&machine).disk_free_mib, 100);
    // Data that nobody can measure may take all.
    machine.write("var/lib/lockkeeper/ledger", "");
    machine.write("etc/kubernetes/manifests/etcd.yaml", "    - --data-dir=/elsewhere\n");
    assert_eq!(surveyed(&machine).disk_free_mib, 0);
    fs::remove_file(machine.path("etc/kubernetes/manifests/etcd.yaml")).unwrap();
    assert_eq!(surveyed(&machine).disk_free_mib, 100, "an etcd elsewhere is not copied");
}

/// Each place is a device of its own.
const EACH_A_DEVICE: &str = r#"case $2 in
    %d) shift 2; for place; do cksum <<<"${place#$M/}" | cut -d ' ' -f 1; done ;;
    *) exec /usr/bin/stat "$@" ;;
esac"#;

#[test]
fn a_snapshot_begins_only_where_twice_the_database_is_free() {
    // The volume that is too small: etcd's, that of the snapshots, that of the copies.
    for small in ["var/lib/etcd", "var/lib/lockkeeper/snapshots", "mnt/backup"] {
        let machine = Machine::with_etcd_in_a_container();
        let two = 2 * 20_480;
        machine.stand_in(
            "df",
            &format!(
                "shift 2; echo Avail; for place; do free=$(({two} + ${{#place}}))\n\
                 [ \"$place\" != \"$M/{small}\" ] || free=$(cat \"$M/free\"); echo \"$free\"; done"
            ),
        );
        // Each place is a filesystem of its own.
        machine.stand_in("stat", EACH_A_DEVICE);
        let snapshots = "var/lib/lockkeeper/snapshots";
        for (sequence, free) in [(1, (two - 1).to_string()), (2, String::new())] {
            machine.write("free", &free);
            let order = order(UnitKind::Snapshot, sequence);
            machine.launch_with(&order, &machine.copying()).unwrap();
            assert_eq!(
                machine.ledger(&order),
                Progress::Refused(Reason::SnapshotDiskTooSmall),
                "{small}: {free:?}"
            );
            assert!(machine.calls("crictl exec").iter().all(|call| !call.contains("snapshot save")));
        }
        machine.write("free", &two.to_string());
        let order = order(UnitKind::Snapshot, 3);
        machine.launch_with(&order, &machine.copying()).unwrap();
        assert_eq!(machine.ended(&order).0, 0, "{small}: {:?}", machine.ended(&order));
        assert_eq!((machine.names(snapshots).len(), machine.names("var/lib/etcd").len()), (1, 0));
    }
}

#[test]
fn a_unit_whose_measuring_took_too_long_does_not_begin() {
    let machine = Machine::new();
    machine.stand_in(
        "date",
        r#"if grep -q "endpoint status" "$M/calls"; then echo 99999999999; else exec /usr/bin/date "$@"; fi"#,
    );
    let order = order(UnitKind::Snapshot, 1);
    machine.launch(&order).unwrap();
    assert_eq!(machine.ledger(&order), Progress::Refused(Reason::CheckExpired));
    assert!(machine.names("var/lib/lockkeeper/snapshots").is_empty());
}

#[test]
fn what_shares_a_filesystem_needs_room_for_each_copy() {
    let machine = Machine::with_etcd_in_a_container();
    machine.stand_in("df", "shift 2; echo Avail; for place; do cat \"$M/free\"; echo; done");
    for (sequence, free, settings, is_enough) in [
        (1, 2 * 20_480, machine.settings(), true),
        (2, 3 * 20_480 - 1, machine.copying(), false),
        (3, 3 * 20_480, machine.copying(), true),
        // From here on, filesystems of one pool: etcd's and that of the snapshots are two.
        (4, 3 * 20_480 - 1, machine.settings(), false),
        (5, 3 * 20_480, machine.settings(), true),
        (6, 4 * 20_480 - 1, machine.copying(), false),
        (7, 4 * 20_480, machine.copying(), true),
    ] {
        if sequence == 4 {
            machine.stand_in("stat", EACH_A_DEVICE);
        }
        machine.write("free", &free.to_string());
        let order = order(UnitKind::Snapshot, sequence);
        machine.launch_with(&order, &settings).unwrap();
        let is_refused = machine.ledger(&order) == Progress::Refused(Reason::SnapshotDiskTooSmall);
        assert_eq!(is_refused, !is_enough, "{free}: {:?}", machine.ledger(&order));
    }
}

#[test]
fn a_snapshot_whose_room_cannot_be_measured_is_not_taken() {
    let machine = Machine::with_etcd_in_a_container();
    machine.write("database", "null");
    let order = order(UnitKind::Snapshot, 1);
    machine.launch(&order).unwrap();
    let (code, output) = machine.ended(&order);
    assert!(code != 0 && output.contains("etcd does not say how large its database is"), "{output}");
    assert!(
        machine.names("var/lib/etcd").is_empty() && machine.names("var/lib/lockkeeper/snapshots").is_empty()
    );
}
