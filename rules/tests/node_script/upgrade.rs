//! A unit that upgrades a node: kubeadm, then the kubelet.

use lockkeeper_rules::driver::kubeadm::node_script::{ScriptSettings, launcher};
use lockkeeper_rules::driver::kubeadm::order::{UnitKind, UnitOrder};
use lockkeeper_rules::driver::task::Progress;

use crate::machine::{Machine, WRITES_MANIFESTS, looked_at, order};

#[test]
fn a_node_is_upgraded_once_and_its_holds_are_as_they_were() {
    let machine = Machine::new();
    machine.write("holds/kubelet", "");
    let order = order(UnitKind::UpgradeNode, 1);
    assert_eq!(machine.ledger(&order), Progress::Unseen);
    machine.launch(&order).unwrap();
    let (code, output) = machine.ended(&order);
    assert_eq!(code, 0, "{output}");
    let upgrades: Vec<String> = machine.calls("kubeadm upgrade");
    assert_eq!(upgrades, ["kubeadm upgrade node"]);
    assert_eq!(machine.calls("systemctl re"), ["systemctl restart kubelet"]);
    assert_eq!((machine.read("kubelet").trim(), machine.read("kubeadm").trim()), ("1.36.3", "1.36.3"));
    let holds: Vec<String> = ["kubeadm", "kubelet", "kubectl"]
        .into_iter()
        .filter(|package| machine.path(&format!("holds/{package}")).exists())
        .map(str::to_owned)
        .collect();
    assert_eq!(holds, ["kubelet"]);
    let ledger = machine.read("var/lib/lockkeeper/ledger");
    assert!(
        ledger.contains(&format!("{} 7 upgrade-node v1.36.3 2026-11-21T09:00:00.5Z .\n", order.token)),
        "{ledger}"
    );
}

#[test]
fn a_kubeadm_that_ends_well_and_leaves_a_manifest_behind_gets_no_newer_kubelet() {
    for kind in [UnitKind::UpgradeFirst, UnitKind::UpgradeNode] {
        let machine = Machine::new();
        for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            let text = format!("spec:\n    image: registry.k8s.io/{component}:v1.36.1\n");
            machine.write(&format!("etc/kubernetes/manifests/{component}.yaml"), &text);
        }
        let order = |sequence| UnitOrder { manifests: looked_at(&machine), ..order(kind, sequence) };
        machine.write(
            "on-kubeadm",
            &format!("{WRITES_MANIFESTS}sed -i s/1.36.3/1.36.1/ \"$M/etc/kubernetes/manifests/kube-scheduler.yaml\"\n"),
        );
        let first = order(1);
        machine.launch(&first).unwrap();
        let (code, output) = machine.ended(&first);
        assert_eq!(code, 1, "{output}");
        assert!(output.contains("the manifest of kube-scheduler is not at v1.36.3"), "{output}");
        assert!(machine.calls("systemctl restart").is_empty() && machine.read("kubelet").trim() == "1.36.1");
        assert!(!machine.read("var/lib/lockkeeper/ledger").contains("did "), "kubeadm's part is not done");
        // With a digest behind the version, as patches may put it.
        machine.write(
            "on-kubeadm",
            &format!(
                "{WRITES_MANIFESTS}sed -i '/image:/ s/3$/3@sha256:0a/' \"$M\"/etc/kubernetes/manifests/*\n"
            ),
        );
        let second = order(2);
        machine.launch(&second).unwrap();
        assert_eq!(machine.ended(&second).0, 0, "{:?}", machine.ended(&second));
        assert_eq!(machine.read("kubelet").trim(), "1.36.3");
    }
}

#[test]
fn the_first_control_plane_node_applies() {
    let machine = Machine::new();
    let order = order(UnitKind::UpgradeFirst, 1);
    machine.launch(&order).unwrap();
    assert_eq!(machine.calls("kubeadm upgrade"), ["kubeadm upgrade apply -y v1.36.3"]);
}

#[test]
fn a_kubeadm_that_fails_leaves_the_kubelet_alone_and_gives_the_holds_back() {
    let machine = Machine::new();
    machine.write("holds/kubeadm", "");
    machine.write("on-kubeadm", "echo '[ERROR CreateJob]: no' >&2; exit 1\n");
    let first = order(UnitKind::UpgradeFirst, 1);
    machine.launch(&first).unwrap();
    let (code, output) = machine.ended(&first);
    assert_eq!(code, 1);
    assert!(output.contains("[ERROR CreateJob]: no"), "{output}");
    assert!(machine.calls("systemctl restart").is_empty() && machine.read("kubelet").trim() == "1.36.1");
    assert!(machine.path("holds/kubeadm").exists() && !machine.path("holds/kubelet").exists());
}

#[test]
fn what_is_done_is_not_done_again_by_the_next_attempt_of_the_run() {
    let machine = Machine::new();
    let first = order(UnitKind::UpgradeNode, 1);
    machine.launch(&first).unwrap();
    let second = order(UnitKind::UpgradeNode, 2);
    machine.launch(&second).unwrap();
    assert_eq!(machine.ended(&second).0, 0);
    assert_eq!(machine.calls("kubeadm upgrade").len(), 1);
    assert_eq!(machine.calls("systemctl restart").len(), 1);
    // Another run has its own memory: what it finds may have been changed since.
    let mut third = order(UnitKind::UpgradeNode, 3);
    third.token.run.0 = "another-run".to_owned();
    machine.launch(&third).unwrap();
    assert_eq!(machine.calls("kubeadm upgrade").len(), 2);
}

#[test]
fn a_control_plane_whose_manifests_went_back_is_applied_again() {
    let machine = Machine::new();
    let manifests = |version: &str| {
        for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            let text = format!("spec:\n    image: registry.k8s.io/{component}:{version}\n");
            machine.write(&format!("etc/kubernetes/manifests/{component}.yaml"), &text);
        }
    };
    let look =
        |sequence| UnitOrder { manifests: looked_at(&machine), ..order(UnitKind::UpgradeFirst, sequence) };
    machine.write("on-kubeadm", WRITES_MANIFESTS);
    manifests("v1.36.3");
    machine.launch(&look(1)).unwrap();
    machine.launch(&look(2)).unwrap();
    assert_eq!(machine.calls("kubeadm upgrade apply").len(), 1);
    manifests("v1.36.1");
    machine.launch(&look(3)).unwrap();
    assert_eq!(machine.calls("kubeadm upgrade apply").len(), 2);
    assert_eq!(machine.calls("systemctl restart").len(), 2, "what kubeadm wrote is read by a restart");
}

#[test]
fn work_that_takes_too_long_is_ended_and_says_so() {
    let machine = Machine::new();
    machine.write("on-kubeadm", "sleep 60\n");
    let order = order(UnitKind::UpgradeNode, 1);
    let settings = ScriptSettings { unit_seconds_max: 1, ..machine.settings() };
    let output = machine.bash(&launcher(&order, &settings).unwrap());
    assert_eq!(output.stdout, b"started\n");
    assert_eq!(machine.ended(&order).0, 124);
    assert!(machine.calls("systemctl restart").is_empty());
}
