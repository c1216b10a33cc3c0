//! What a node says of itself.

use std::fs;

use lockkeeper_rules::driver::kubeadm::node_script::survey;
use lockkeeper_rules::driver::kubeadm::order::{SurveyOrder, UnitKind};
use lockkeeper_rules::driver::kubeadm::reading::{KUBELET_PACKAGE, Packages, SYSTEMD};

use crate::machine::{Machine, RUN, order, parse_survey, survey_script, surveyed};

#[test]
fn a_survey_reads_the_machine_and_asks_the_targets_kubeadm_without_a_trace() {
    let machine = Machine::new();
    machine.launch(&order(UnitKind::UpgradeNode, 4)).unwrap();
    machine.write("kubeadm", "1.36.1\n");
    let node = order(UnitKind::Prepare, 1).node;
    let target = "v1.36.3".parse().unwrap();
    let order = SurveyOrder {
        nodes: vec![node.clone()],
        target,
        kubeadm_on: Some(node.name.clone()),
        manifests_on: vec![],
        with_packages: false,
    };
    let ask = |run: &str| {
        let script = survey(
            &order,
            &node,
            &lockkeeper_rules::words::name::RunUid(run.to_owned()),
            &machine.settings(),
        )
        .unwrap();
        let output = machine.bash(&script);
        parse_survey(&String::from_utf8_lossy(&output.stdout))
            .unwrap_or_else(|error| panic!("{error}\n{}", String::from_utf8_lossy(&output.stderr)))
    };
    let found = ask(RUN);
    assert_eq!((found.machine_id.as_str(), found.ledger_sequence), ("abc123", 4));
    assert_eq!(found.booted_at.as_second(), 1_763_000_000);
    assert!(found.disk_free_mib > 0);
    let kubeadm = found.kubeadm.unwrap();
    assert!(kubeadm.agrees && found.manifests.is_none(), "{kubeadm:?}");
    assert!(machine.calls("kubeadm upgrade diff").is_empty());
    assert_eq!(machine.read("kubeadm").trim(), "1.36.1");
    assert!(fs::read_dir(machine.path("var/tmp")).unwrap().next().is_none());
    assert_eq!(ask("another-run").ledger_sequence, 0);
    machine.write("on-kubeadm", "if [ \"$2\" = plan ]; then echo 'not this one' >&2; exit 1; fi\n");
    let kubeadm = ask(RUN).kubeadm.unwrap();
    assert!(!kubeadm.agrees && kubeadm.output.contains("not this one"), "{kubeadm:?}");
    // A dry run that fails half way has printed what it would have written until then.
    let printed = "if [ \"$2\" = apply ]; then printf '%s\\n' '[dryrun] Would write' '    - --token=hunter2' '[upgrade] then'
        echo 'not that one' >&2; exit 1; fi\n";
    machine.write("on-kubeadm", printed);
    let kubeadm = ask(RUN).kubeadm.unwrap();
    assert!(!kubeadm.agrees, "{kubeadm:?}");
    assert!(kubeadm.output.ends_with("[dryrun] Would write\n[upgrade] then\nnot that one"), "{kubeadm:?}");
    machine.write("failing", "apt-get\n");
    assert!(!ask(RUN).kubeadm.unwrap().agrees, "what could not be fetched does not agree");
}

#[test]
fn before_a_step_a_survey_tells_whether_apt_would_install_the_target() {
    const HELD: &str = "echo 'The following held packages will be changed:'; echo '  ";
    const KNOWN: &str = "1.36.3-1.1";
    let blocked = |why: &str| Packages::Blocked(why.to_owned());
    for (known, says, expected) in [
        ("1.36.1-1.1", String::new(), Packages::Missing),
        ("1.36.30-1.1", String::new(), Packages::Missing),
        (KNOWN, String::new(), Packages::Ready),
        (KNOWN, format!("{HELD}kubeadm kubectl'; echo '  kubelet'; echo '3 upgraded'"), Packages::Ready),
        (KNOWN, format!("{HELD}cri-tools kubeadm'; echo '4 upgraded'"), blocked("held: cri-tools")),
        (
            KNOWN,
            "echo 'E: You have held broken packages.' >&2; exit 100".to_owned(),
            blocked("E: You have held broken packages."),
        ),
        (KNOWN, "exit 100".to_owned(), blocked("")),
        // As apt 2.6 says it.
        (
            KNOWN,
            "case \"$*\" in *--print-uris*) echo \"'https://site/k.deb' kubelet_1_amd64.deb 636 SHA256:0\" ;; esac"
                .to_owned(),
            Packages::Unfetched,
        ),
        (
            KNOWN,
            "case \"$*\" in *--print-uris*) echo \"'file:/mirror/k.deb' kubelet_1_amd64.deb 636 SHA256:0\" ;; esac"
                .to_owned(),
            Packages::Ready,
        ),
        (KNOWN, "case \"$*\" in *--print-uris*) exit 100 ;; esac".to_owned(), Packages::Unfetched),
    ] {
        let machine = Machine::new();
        machine.write(
            "bin/apt-cache",
            &format!("#!/bin/bash\necho \"   $2 | {known} | https://site  Packages\"\n"),
        );
        machine.write("bin/apt-get", &format!("#!/bin/bash\necho \"apt-get $*\" >>\"$M/calls\"\n{says}\n"));
        let node = order(UnitKind::Prepare, 1).node;
        let order = SurveyOrder {
            nodes: vec![node.clone()],
            target: "v1.36.3".parse().unwrap(),
            kubeadm_on: None,
            manifests_on: vec![],
            with_packages: true,
        };
        let run = lockkeeper_rules::words::name::RunUid(RUN.to_owned());
        let output = machine.bash(&survey(&order, &node, &run, &machine.settings()).unwrap());
        let answer = parse_survey(&String::from_utf8_lossy(&output.stdout)).unwrap();
        assert_eq!(answer.packages, Some(expected), "{known} {says}");
        let calls = machine.calls("apt-get");
        let only_asks = |call: &String| call.contains(" --simulate ") || call.contains(" --print-uris ");
        assert!(calls.iter().all(only_asks), "nothing is installed: {calls:?}");
    }
}

#[test]
fn what_an_upgrade_needs_and_the_machine_has_not_is_told() {
    let packaged = |status: &'static str| move |machine: &Machine| machine.write("kubelet-status", status);
    type Change = Box<dyn Fn(&Machine)>;
    let cases: [(Change, &[&str]); 7] = [
        (Box::new(|_| {}), &[]),
        (Box::new(packaged("ii ")), &[]),
        // An install that was cut is a package all the same, and is told elsewhere.
        (Box::new(packaged("iFR")), &[]),
        (Box::new(packaged("rc ")), &[KUBELET_PACKAGE]),
        (Box::new(packaged("un ")), &[KUBELET_PACKAGE]),
        (Box::new(|machine| fs::remove_file(machine.path("kubelet-status")).unwrap()), &[KUBELET_PACKAGE]),
        (Box::new(|machine| machine.stand_in("systemctl", "exit 1")), &[SYSTEMD]),
    ];
    for (change, lacking) in cases {
        let machine = Machine::new();
        change(&machine);
        assert_eq!(surveyed(&machine).lacking, lacking);
    }
    // Where apt is not, the machine that runs this test may have it.
    let without = "command() { case $2 in dpkg-query|apt-get) return 1 ;; esac; builtin command \"$@\"; }\n";
    let machine = Machine::new();
    let script = survey_script(&machine);
    let said = parse_survey(&String::from_utf8_lossy(&machine.bash(&format!("{without}{script}")).stdout));
    assert_eq!(said.unwrap().lacking, ["apt-get", "dpkg-query"]);
}
