//! What was changed by hand in the manifests of a control-plane node, and that it is not written over.

use std::fs;

use lockkeeper_rules::driver::kubeadm::node_script::{ScriptSettings, launcher};
use lockkeeper_rules::driver::kubeadm::order::{LookedAt, UnitKind, UnitOrder};
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::reason::Reason;

use crate::machine::{Machine, WRITES_MANIFESTS, looked_at, looked_at_with, manifest_survey, order};

#[test]
fn a_manifest_that_was_changed_after_the_look_is_not_written_over() {
    let machine = Machine::new();
    let write = |name: &str, version: &str, more: &str| {
        let text = format!("spec:\n    image: r/{name}:{version}\n{more}");
        machine.write(&format!("etc/kubernetes/manifests/{name}.yaml"), &text);
    };
    let all = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    all.iter().for_each(|name| write(name, "v1.36.1", ""));
    let files = manifest_survey(&machine, &machine.settings()).files;
    assert_eq!(files.iter().map(|file| &*file.component).collect::<Vec<_>>(), all);
    assert!(files.iter().all(|file| file.tag == "v1.36.1"), "{files:?}");
    let manifests = LookedAt { version: Some("v1.36.1".parse().unwrap()), ..looked_at(&machine) };
    let order =
        |sequence| UnitOrder { manifests: manifests.clone(), ..order(UnitKind::UpgradeFirst, sequence) };
    let refused = Progress::Refused(Reason::ManifestsUnknown);
    for (sequence, text) in [(1, "by hand"), (2, "by hand, with the target's image")] {
        write("kube-scheduler", if text.ends_with("image") { "v1.36.3" } else { "v1.36.1" }, text);
        let order = order(sequence);
        machine.launch(&order).unwrap();
        assert_eq!(machine.ledger(&order), refused, "{text}");
    }
    write("kube-scheduler", "v1.36.1", "");
    for (sequence, unknown) in [(3, &all[..]), (4, &all[2..])] {
        let mut order = order(sequence);
        order.manifests.files.retain(|component, _| !unknown.contains(&&**component));
        machine.launch(&order).unwrap();
        assert_eq!(machine.ledger(&order), refused, "{unknown:?} was never looked at");
    }
    fs::remove_file(machine.path("etc/kubernetes/manifests/kube-apiserver.yaml")).unwrap();
    machine.launch(&order(5)).unwrap();
    assert_eq!(machine.ledger(&order(5)), refused, "one that is away may come back changed");
    write("kube-apiserver", "v1.36.1", "");
    assert!(machine.calls("apt-get install").is_empty() && machine.calls("kubeadm upgrade apply").is_empty());
    assert_eq!(machine.read("kubeadm").trim(), "1.36.1");
    // Mending a cut install takes time too; only the kubeadm that is installed yet can say what was changed meanwhile.
    machine.write("cut", "");
    machine.write(
        "on-dpkg",
        "rm \"$M/cut\"; echo '# by hand' >>\"$M/etc/kubernetes/manifests/kube-scheduler.yaml\"\n",
    );
    machine.launch(&order(40)).unwrap();
    assert_eq!(machine.ended(&order(40)).0, 1);
    fs::remove_file(machine.path("on-dpkg")).unwrap();
    assert_eq!(machine.read("kubeadm").trim(), "1.36.1");
    // After an attempt that was begun, what is at the target was written by its kubeadm.
    write("kube-scheduler", "v1.36.1", "");
    machine.write("on-kubeadm", "exit 1\n");
    machine.launch(&order(50)).unwrap();
    assert_eq!(machine.ended(&order(50)).0, 1);
    machine.write("on-kubeadm", WRITES_MANIFESTS);
    write("kube-scheduler", "v1.36.3", "as kubeadm writes it");
    machine.launch(&order(51)).unwrap();
    assert_eq!(machine.ended(&order(51)).0, 0, "{:?}", machine.ended(&order(51)));
    // Where they were of the target when they were looked at, nothing tells a person's change from kubeadm's.
    let mut of_target = order(52);
    of_target.manifests.version = Some(of_target.target.clone());
    machine.launch(&of_target).unwrap();
    assert_eq!(machine.ledger(&of_target), refused);
    let mut hostile = order(53);
    hostile.manifests.files.insert("x\nLOCKKEEPER_END_OF_UNIT\n}\nid\n".to_owned(), String::new());
    assert!(launcher(&hostile, &machine.settings()).is_err());
}

#[test]
fn patches_that_changed_after_the_look_are_refused() {
    type Change = fn(&Machine, &mut ScriptSettings);
    let changes: [(&str, Change); 5] = [
        ("emptied", |machine, _| {
            fs::remove_file(machine.path("etc/kubernetes/patches/a+merge.yaml")).unwrap()
        }),
        ("renamed", |machine, _| {
            let path = |name: &str| machine.path(&format!("etc/kubernetes/patches/{name}"));
            fs::rename(path("a+merge.yaml"), path("b+merge.yaml")).unwrap();
        }),
        ("written", |machine, _| machine.write("etc/kubernetes/patches/a+merge.yaml", "other")),
        ("told of no patches", |_, settings| settings.kubeadm.patches_directory = None),
        ("another environment", |_, settings| {
            settings.kubeadm.environment.0.insert("HTTPS_PROXY".to_owned(), "http://other".to_owned());
        }),
    ];
    for (what, change) in changes {
        let machine = Machine::new();
        for folder in ["etc/kubernetes/patches", "generated"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        machine.write("etc/kubernetes/patches/a+merge.yaml", "spec: {}");
        for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            for folder in ["generated", "etc/kubernetes/manifests"] {
                machine.write(&format!("{folder}/{name}.yaml"), &format!("    image: r/{name}:v1.36.1\n"));
            }
        }
        machine.write("on-kubeadm", WRITES_MANIFESTS);
        let manifests = looked_at_with(&machine, &machine.site());
        let order = |sequence, manifests: &LookedAt| UnitOrder {
            manifests: manifests.clone(),
            ..order(UnitKind::UpgradeFirst, sequence)
        };
        let refused = Progress::Refused(Reason::ManifestsUnknown);
        let mut settings = machine.site();
        change(&machine, &mut settings);
        let changed = order(1, &manifests);
        machine.launch_with(&changed, &settings).unwrap();
        assert_eq!(machine.ledger(&changed), refused, "{what}");
        // What was never looked at is not known to be as it was.
        let unknown = order(2, &LookedAt { inputs: None, ..manifests });
        machine.launch_with(&unknown, &settings).unwrap();
        assert_eq!(machine.ledger(&unknown), refused, "{what}");
        assert!(
            machine.calls("apt-get install").is_empty()
                && machine.calls("kubeadm upgrade apply -y").is_empty()
        );
        // A look at what is there now does.
        let anew = order(3, &looked_at_with(&machine, &settings));
        machine.launch_with(&anew, &settings).unwrap();
        assert_eq!(machine.ended(&anew).0, 0, "{what}: {:?}", machine.ended(&anew));
    }
}

#[test]
fn the_installed_kubeadm_is_asked_for_the_version_that_it_is() {
    let machine = Machine::new();
    let said = manifest_survey(&machine, &machine.settings());
    assert_eq!((said.installed.as_str(), said.written.as_str()), ("v1.36.1", "v1.36.1"));
    assert!(said.changes.unwrap().is_empty());
    assert_eq!(machine.calls("kubeadm upgrade"), ["kubeadm upgrade diff v1.36.1"]);
    assert!(machine.calls("apt-get").is_empty(), "nothing is fetched");
    machine.write(
        "differences",
        "--- /etc/kubernetes/manifests/kube-apiserver.yaml\n+++ new manifest\n@@ -20 +19,0 @@\n-    - --profiling=false\n",
    );
    let said = manifest_survey(&machine, &machine.settings());
    assert_eq!(said.changes.unwrap().shown(), ["kube-apiserver.yaml: - - --profiling=…"]);
    machine.write("on-kubeadm", "echo 'no admin.conf' >&2; exit 1\n");
    let said = manifest_survey(&machine, &machine.settings());
    assert_eq!(said.changes, Err("kubeadm ended with 1: no admin.conf".to_owned()));
    fs::remove_file(machine.path("bin/kubeadm")).unwrap();
    assert!(manifest_survey(&machine, &machine.settings()).changes.is_err());
}

#[test]
fn what_patches_explain_is_no_change_by_hand() {
    let manifest = |name: &str, version: &str| {
        let address = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 10.0.0.7:6443";
        format!("    {address}\nspec:\n    - --x\n    image: r/{name}:{version}\nstatus: {{}}\n")
    };
    for (version, prefix, called) in [
        ("1.36.1", "", "kubeadm upgrade apply phase control-plane --dry-run --patches DIR v1.36.1"),
        ("1.31.4", "\\t", "kubeadm upgrade node phase control-plane --dry-run --patches DIR"),
    ] {
        let machine = Machine::new();
        let v = format!("v{version}");
        machine.write("kubeadm", &format!("{version}\n"));
        machine.write("kubeadm-config", &v);
        machine.write("prefix", prefix);
        for folder in ["generated", "etc/kubernetes/patches"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            machine.write(&format!("generated/{name}.yaml"), &manifest(name, "VERSION"));
            // A person has saved one of them without the end of its last line.
            let text = manifest(name, &v);
            machine.write(&format!("etc/kubernetes/manifests/{name}.yaml"), text.trim_end());
        }
        machine.write("generated-etcd", "spec:\n");
        machine.write("etc/kubernetes/manifests/etcd.yaml", "spec:");
        let said = manifest_survey(&machine, &machine.site());
        assert_eq!((said.installed.as_str(), said.written.as_str()), (v.as_str(), v.as_str()));
        assert!(said.changes.clone().unwrap().is_empty(), "{said:?}");
        let patches = format!("{}/etc/kubernetes/patches", machine.settings().root);
        assert_eq!(machine.calls("kubeadm upgrade"), [called.replace("DIR", &patches)]);
        let told = machine.read("told-of-etcd");
        assert!(told.ends_with(&format!("\npatches: {{directory: '{patches}'}}\n")), "{told}");
        // What is changed by hand beside it is told.
        let by_hand = manifest("kube-scheduler", &v).replace("--x", "--x\n    - --by-hand");
        machine.write("etc/kubernetes/manifests/kube-scheduler.yaml", &by_hand);
        let said = manifest_survey(&machine, &machine.site());
        assert_eq!(said.changes.unwrap().shown(), ["kube-scheduler.yaml: - - --by-hand"]);
        // Another version in kubeadm-config is told, where it decides.
        machine.write("kubeadm-config", "v1.36.3");
        let said = manifest_survey(&machine, &machine.site());
        assert_eq!(said.written == v, prefix.is_empty(), "{said:?}");
        // A manifest that is not there is no answer.
        fs::remove_file(machine.path("etc/kubernetes/manifests/kube-scheduler.yaml")).unwrap();
        assert!(manifest_survey(&machine, &machine.site()).changes.is_err());
    }
}

/// A control-plane node with an etcd that joined, and what its kubeadm would write for it.
fn machine_with_etcd() -> Machine {
    let machine = Machine::new();
    let etcd =
        |members: &str| format!("spec:\n    - etcd\n    - --initial-cluster={members}\n    - --name=w-1\n");
    let joined =
        etcd("a=https://10.0.0.1:2380,w-1=https://10.0.0.7:2380\n    - --initial-cluster-state=existing");
    machine.write("etc/kubernetes/manifests/etcd.yaml", &joined);
    machine.write("generated-etcd", &etcd("w-1=https://10.0.0.7:2380"));
    let annotation = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint";
    let api_server = format!("metadata:\n  annotations:\n    {annotation}: '[fd00::7]:6443'\n");
    machine.write("etc/kubernetes/manifests/kube-apiserver.yaml", &api_server);
    // Another control-plane node is at the target already.
    machine.stand_in(
        "kubectl",
        "printf 'apiVersion: kubeadm.k8s.io/v1beta4\\nkubernetesVersion: v1.36.3\\nend: x'",
    );
    machine
}

#[test]
fn the_manifest_of_etcd_is_held_against_what_the_installed_kubeadm_would_write_for_this_node() {
    let machine = machine_with_etcd();
    let said = manifest_survey(&machine, &machine.settings());
    assert!(
        said.changes.clone().unwrap().is_empty(),
        "the members it began with are nobody's change: {said:?}"
    );
    let told = "apiVersion: kubeadm.k8s.io/v1beta4\nkubernetesVersion: v1.36.1\nend: x\n---\napiVersion: kubeadm.k8s.io/v1beta4\n\
                kind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: \"fd00::7\"}\n\
                nodeRegistration: {name: \"w-1\", criSocket: \"unix:///run/containerd/containerd.sock\"}\n";
    assert_eq!(machine.read("told-of-etcd"), told);

    let by_hand =
        machine.read("etc/kubernetes/manifests/etcd.yaml") + "    - --quota-backend-bytes=8589934592\n";
    machine.write("etc/kubernetes/manifests/etcd.yaml", &by_hand);
    // Both parts of the answer are read, also where the first has no end of its last line.
    machine.write(
        "differences",
        "--- /etc/kubernetes/manifests/kube-apiserver.yaml\n+++ new manifest\n@@ -20 +19,0 @@\n-    - --profiling=false",
    );
    let shown = manifest_survey(&machine, &machine.settings()).changes.unwrap().shown();
    assert_eq!(shown, ["etcd.yaml: - - --quota-backend-bytes=…", "kube-apiserver.yaml: - - --profiling=…"]);
}

#[test]
fn what_cannot_be_known_of_etcds_manifest_is_no_answer() {
    for (claim, break_it) in [
        ("no configuration", (|m| m.stand_in("kubectl", "exit 1")) as fn(&Machine)),
        ("no address", |m| m.write("etc/kubernetes/manifests/kube-apiserver.yaml", "metadata: {}\n")),
        ("kubeadm fails", |m| m.write("on-kubeadm", "[ \"$1\" != init ]\n")),
        ("nothing is written", |m| fs::remove_file(m.path("generated-etcd")).unwrap()),
    ] {
        let machine = machine_with_etcd();
        break_it(&machine);
        let said = manifest_survey(&machine, &machine.settings());
        assert_eq!(said.changes.unwrap_err().split(':').next(), Some("kubeadm ended with 2"), "{claim}");
    }
}
