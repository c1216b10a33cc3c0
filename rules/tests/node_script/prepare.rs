//! A unit that fetches ahead what a node needs.

use std::fs;

use lockkeeper_rules::driver::kubeadm::node_script::ScriptSettings;
use lockkeeper_rules::driver::kubeadm::order::UnitKind;

use crate::machine::{Machine, order};

#[test]
fn prepare_fetches_and_disturbs_nothing() {
    let machine = Machine::new();
    machine.write("etc/kubernetes/manifests/kube-apiserver.yaml", "image: a:v1.35.4\n");
    for i in 0..4 {
        fs::create_dir_all(machine.path(&format!("etc/kubernetes/tmp/kubeadm-backup-etcd-{i}"))).unwrap();
    }
    let order = order(UnitKind::Prepare, 1);
    machine.launch(&order).unwrap();
    let (code, output) = machine.ended(&order);
    assert_eq!(code, 0, "{output}");
    assert_eq!(fs::read_dir(machine.path("etc/kubernetes/tmp")).unwrap().count(), 2);
    assert_eq!(machine.calls("kubeadm config").len(), 1);
    assert_eq!(machine.read("kubelet").trim(), "1.36.1");
    for call in machine.calls("apt-get").iter().filter(|call| call.contains("install")) {
        assert!(call.contains("--download-only"), "{call}");
    }
    assert!(machine.calls("systemctl re").is_empty() && machine.calls("apt-mark").is_empty());
}

/// A dpkg that is asked to mend what was cut, and what becomes of it.
fn cut_dpkg(mending: &str) -> String {
    format!(
        r#"case "$*" in *--audit) if [ -e "$M/cut" ]; then echo kubeadm; fi ;; *) env | grep ^DEBIAN_ >>"$M/dpkg-env"; {mending} ;; esac"#
    )
}

#[test]
fn packages_that_were_cut_are_mended_without_a_question_once_another_has_let_go_of_the_lock() {
    // As dpkg 1.21 says it.
    let locked =
        "echo 'dpkg: error: dpkg frontend lock was locked by another process with pid 7' >&2; exit 2";
    let mends = "dpkg --force-confdef --force-confold --configure -a";
    for (mending, code, tries) in [
        (format!("if [ \"$(grep -c ' -a$' \"$M/calls\")\" -lt 3 ]; then {locked}; fi; rm \"$M/cut\""), 0, 3),
        ("echo 'dpkg: error: broken' >&2; exit 1".to_owned(), 1, 1),
        (locked.to_owned(), 1, 60),
        // The other one may have been at work and not cut at all.
        (format!("rm \"$M/cut\"; {locked}"), 0, 1),
    ] {
        let machine = Machine::new();
        machine.stand_in("sleep", "");
        machine.write("cut", "");
        machine.write("on-dpkg", &cut_dpkg(&mending));
        let order = order(UnitKind::UpgradeNode, 1);
        let settings = ScriptSettings { unit_seconds_max: 600, ..machine.settings() };
        machine.launch_with(&order, &settings).unwrap();
        let (found, output) = machine.ended(&order);
        assert_eq!((found, machine.calls(mends).len()), (code, tries), "{mending}: {output}");
        assert_eq!(machine.calls("sleep 5").len(), if code == 0 && tries == 1 { 1 } else { tries - 1 });
        assert_eq!(machine.calls("apt-get").is_empty(), code != 0, "nothing is installed on what is broken");
        assert!(machine.read("dpkg-env").starts_with("DEBIAN_FRONTEND=noninteractive\n"));
        if tries == 60 {
            assert!(output.contains("another process has held dpkg's lock for five minutes"), "{output}");
        }
    }
}

#[test]
fn what_somebody_has_left_half_installed_is_not_finished_on_a_node_in_service() {
    for (on_sleep, code, waits) in [("", 1, 59), ("rm \"$M/cut\"", 0, 1)] {
        let machine = Machine::new();
        machine.stand_in("sleep", on_sleep);
        machine.write("cut", "");
        machine.write("on-dpkg", "echo ' containerd.io is only half configured'\n");
        let order = order(UnitKind::Prepare, 1);
        let settings = ScriptSettings { unit_seconds_max: 600, ..machine.settings() };
        machine.launch_with(&order, &settings).unwrap();
        let (found, output) = machine.ended(&order);
        assert_eq!((found, machine.calls("sleep 5").len()), (code, waits), "{output}");
        assert_eq!(output.contains("containerd.io is only half configured"), code == 1, "{output}");
        assert!(machine.calls("dpkg ").iter().all(|call| call == "dpkg --audit"), "nothing is configured");
        assert_eq!(machine.calls("apt-get").is_empty(), code == 1, "nothing is fetched on what is broken");
    }
}
