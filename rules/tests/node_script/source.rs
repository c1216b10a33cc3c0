//! The source of packages: switched for another minor, and put back.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lockkeeper_rules::driver::kubeadm::node_script::{restore_answer, restorer, survey};
use lockkeeper_rules::driver::kubeadm::order::{NodeTarget, RestoreOrder, SurveyOrder, UnitKind, UnitOrder};
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::reason::Reason;

use crate::machine::{Machine, RUN, order, parse_survey, refused};

/// Sources of a site that has more than Kubernetes from repositories that are numbered alike: how one is written that
/// provides kubeadm and three that do not.
const SOURCES: [(&str, &str); 2] = [
    (
        "site.list",
        "# pkgs.example\ndeb [signed-by=/k] https://u:p$w@pkgs.example/core:/stable:/v1.35/deb/ /\n\
         deb https://pkgs.example/isv:/cri-o:/stable:/v1.35/deb/ /\n\
         deb https://pkgs.example/core:/stable:/v1.35/deb-extra/ /\n\
         deb https://repo.vendor.example/v4.2/debian stable main\n",
    ),
    (
        "site.sources",
        "Types: deb\nURIs: https://pkgs.example/isv:/cri-o:/stable:/v1.35/deb/ https://u:p$w@pkgs.example/core:/stable:/v1.35/deb\n\
         Suites: /\n\nTypes: deb\nURIs: https://pkgs.example/addons:/cri-o:/stable:/v1.35/deb/\nSuites: /\n",
    ),
];

/// A machine of 1.35 with one of these.
fn machine_with(name: &str, text: &str) -> Machine {
    let machine = Machine::new();
    machine.write("kubeadm", "1.35.4\n");
    fs::create_dir_all(machine.path("etc/apt/sources.list.d")).unwrap();
    machine.write(&format!("etc/apt/sources.list.d/{name}"), text);
    machine
}

#[test]
fn prepare_switches_the_source_of_kubeadm_and_no_other() {
    for (name, text) in SOURCES {
        let machine = machine_with(name, text);
        let file = format!("etc/apt/sources.list.d/{name}");
        fs::set_permissions(machine.path(&file), fs::Permissions::from_mode(0o640)).unwrap();
        let switched = text
            .replace("p$w@pkgs.example/core:/stable:/v1.35/deb", "p$w@pkgs.example/core:/stable:/v1.36/deb");
        assert!(switched != text);
        for sequence in [1, 2] {
            let order = order(UnitKind::Prepare, sequence);
            machine.launch(&order).unwrap();
            assert_eq!(machine.ended(&order).0, 0, "{:?}", machine.ended(&order));
            assert_eq!(machine.read(&file), switched, "{sequence}");
            assert_eq!(machine.read("var/lib/lockkeeper/source/original"), text, "{sequence}");
        }
        assert_eq!(machine.names("etc/apt/sources.list.d"), [name]);
        let mode = fs::metadata(machine.path(&file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(
            machine
                .read("fetched")
                .lines()
                .any(|line| line == "https://pkgs.example/core:/stable:/v1.36/deb")
        );
        // The change of the node takes the source over.
        machine.launch(&order(UnitKind::UpgradeNode, 3)).unwrap();
        assert_eq!(machine.ended(&order(UnitKind::UpgradeNode, 3)).0, 0);
        assert_eq!(machine.read(&file), switched);
        assert!(!machine.path("var/lib/lockkeeper/source").exists());
    }
}

#[test]
fn a_source_of_the_target_or_without_a_minor_is_left_as_it_is() {
    for text in [
        "deb https://pkgs.example/core:/stable:/v1.35/deb/ /\ndeb https://pkgs.example/core:/stable:/v1.36/deb/ /\n",
        "deb https://mirror.example/core:/kubernetes stable main\ndeb https://pkgs.example/isv:/cri-o:/stable:/v1.35/deb/ /\n",
    ] {
        let machine = machine_with("site.list", text);
        let order = order(UnitKind::Prepare, 1);
        machine.launch(&order).unwrap();
        assert_eq!(machine.ended(&order).0, 0, "{:?}", machine.ended(&order));
        assert_eq!(machine.read("etc/apt/sources.list.d/site.list"), text);
        assert!(!machine.path("var/lib/lockkeeper/source").exists());
    }
}

#[test]
fn a_source_is_put_back_when_prepare_fails_or_the_node_goes_elsewhere() {
    for (name, text) in SOURCES {
        let file = format!("etc/apt/sources.list.d/{name}");
        let to = |target: &str, sequence| UnitOrder {
            target: target.parse().unwrap(),
            ..order(UnitKind::Prepare, sequence)
        };
        let machine = machine_with(name, text);
        machine.write("bin/crictl", "#!/bin/bash\nexit 1\n");
        machine.launch_with(&order(UnitKind::Prepare, 1), &machine.site()).unwrap();
        assert_eq!(machine.ended(&order(UnitKind::Prepare, 1)).0, 1);
        assert_eq!(machine.read(&file), text, "it was not prepared");
        // The run ended before this node was changed; the next one goes to a patch.
        machine.launch(&order(UnitKind::Prepare, 2)).unwrap();
        assert!(machine.read(&file) != text);
        machine.launch(&to("v1.35.9", 3)).unwrap();
        assert_eq!(
            machine.ended(&order(UnitKind::Prepare, 3)).0,
            0,
            "{:?}",
            machine.ended(&order(UnitKind::Prepare, 3))
        );
        assert_eq!(machine.read(&file), text);
        assert!(!machine.path("var/lib/lockkeeper/source").exists());
        let lists = machine.read("apt-lists/sites");
        assert!(lists.contains("/core:/stable:/v1.35/deb"), "the lists are those of it again: {lists}");
        // What a person has written since is theirs.
        machine.launch(&order(UnitKind::Prepare, 4)).unwrap();
        let by_hand = format!("# by hand\n{text}");
        machine.write(&file, &by_hand);
        machine.launch(&to("v1.35.9", 5)).unwrap();
        assert_eq!(machine.ended(&order(UnitKind::Prepare, 5)).0, 0);
        assert_eq!(machine.read(&file), by_hand);
        // A node that was brought there by hand stays there.
        machine.launch(&order(UnitKind::Prepare, 6)).unwrap();
        machine.write("kubeadm", "1.36.3\n");
        let before = machine.read(&file);
        machine.launch(&to("v1.37.0", 7)).unwrap();
        assert_eq!(machine.ended(&order(UnitKind::Prepare, 7)).0, 0);
        assert_eq!(machine.read("var/lib/lockkeeper/source/original"), before);
    }
}

/// A machine whose source a prepare has switched, the file, and its text before.
fn switched(sequence: u64) -> (Machine, &'static str, &'static str) {
    let (_, text) = SOURCES[0];
    let machine = machine_with("site.list", text);
    machine.launch(&order(UnitKind::Prepare, sequence)).unwrap();
    assert_eq!(machine.ended(&order(UnitKind::Prepare, sequence)).0, 0);
    (machine, "etc/apt/sources.list.d/site.list", text)
}

/// The order to put back what the run of [`RUN`] has switched.
fn restore(sequence: u64) -> RestoreOrder {
    let UnitOrder { node, token, generation, proof, .. } = order(UnitKind::Prepare, sequence);
    RestoreOrder { node, token, generation, at: proof.checked_at }
}

/// What the node says to it.
fn restored(machine: &Machine, order: &RestoreOrder) -> String {
    let output = machine.bash(&restorer(order, &machine.settings()).unwrap());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!said.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    said.trim_end().to_owned()
}

#[test]
fn a_source_is_put_back_byte_for_byte_and_a_prepare_that_comes_late_is_refused() {
    for (name, text) in SOURCES {
        // A file may end without a new line.
        for text in [text, text.trim_end()] {
            let machine = machine_with(name, text);
            let file = format!("etc/apt/sources.list.d/{name}");
            fs::set_permissions(machine.path(&file), fs::Permissions::from_mode(0o640)).unwrap();
            machine.launch(&order(UnitKind::Prepare, 1)).unwrap();
            assert!(machine.read(&file) != text);
            let Progress::Ended { report, .. } = machine.ledger(&order(UnitKind::Prepare, 1)) else {
                panic!("it has ended")
            };
            assert_eq!(report, [("source_switched".to_owned(), "yes".to_owned())]);
            assert_eq!(restored(&machine, &restore(3)), "restored");
            assert_eq!(machine.read(&file), text);
            let mode = fs::metadata(machine.path(&file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o640);
            assert_eq!(machine.names("etc/apt/sources.list.d"), [name]);
            assert!(!machine.path("var/lib/lockkeeper/source").exists());
            assert_eq!(
                restored(&machine, &restore(3)),
                "restored",
                "the answer was lost, and is given again"
            );
            assert_eq!(restored(&machine, &restore(4)), "nothing");
            assert_eq!(
                refused(machine.launch(&order(UnitKind::Prepare, 2))),
                Reason::StateWentBackwards,
                "it was under way all the while"
            );
            assert_eq!(machine.read(&file), text);
        }
    }
    let machine = Machine::new();
    assert_eq!(restored(&machine, &restore(1)), "nothing", "a node that no prepare has reached");
    machine.launch(&order(UnitKind::Prepare, 2)).unwrap();
    let Progress::Ended { report, .. } = machine.ledger(&order(UnitKind::Prepare, 2)) else {
        panic!("it has ended")
    };
    assert_eq!(report, [("source_switched".to_owned(), "no".to_owned())]);
}

#[test]
fn a_source_that_is_not_as_prepare_left_it_stays_as_it_is() {
    let (machine, file, text) = switched(1);
    let by_hand = format!("# by hand\n{}", machine.read(file));
    machine.write(file, &by_hand);
    assert_eq!(restored(&machine, &restore(2)), "changed");
    assert_eq!(machine.read(file), by_hand);
    assert_eq!(machine.read("var/lib/lockkeeper/source/original"), text, "for whoever wants it back");
    // As the remedy has it.
    machine.bash(
        r#"cp -p "$M/var/lib/lockkeeper/source/original" "$(cat "$M/var/lib/lockkeeper/source/path")""#,
    );
    assert_eq!(restored(&machine, &restore(3)), "nothing");
    assert_eq!(machine.read(file), text);
    assert!(!machine.path("var/lib/lockkeeper/source").exists());
    // Somebody has brought the node to the target.
    let (machine, file, _) = switched(1);
    let before = machine.read(file);
    machine.write("kubeadm", "1.36.3\n");
    assert_eq!(restored(&machine, &restore(2)), "nothing");
    assert_eq!(machine.read(file), before);
    assert!(!machine.path("var/lib/lockkeeper/source").exists());
}

#[test]
fn no_source_is_put_back_once_the_change_of_the_node_has_begun() {
    let (machine, file, text) = switched(1);
    let before = machine.read(file);
    machine.write("failing", "apt-get\n");
    machine.launch(&order(UnitKind::UpgradeNode, 2)).unwrap();
    assert!(machine.ended(&order(UnitKind::UpgradeNode, 2)).0 != 0);
    assert_eq!(machine.read("var/lib/lockkeeper/source/original"), text, "it came to nothing");
    assert_eq!(restored(&machine, &restore(3)), "begun");
    assert_eq!(machine.read(file), before);
    let finding = restore_answer(&"w-1".into(), "begun\n", "").unwrap_err();
    assert_eq!((finding.reason, finding.subject.as_str()), (Reason::SourceNotRestored, "w-1"));
}

#[test]
fn no_source_is_put_back_on_an_order_that_a_node_would_not_take_from_a_unit() {
    let (machine, file, _) = switched(5);
    let before = machine.read(file);
    let other = NodeTarget { machine_id: "other".to_owned(), ..restore(6).node };
    for (order, why) in [
        (RestoreOrder { node: other, ..restore(6) }, "machine_id_mismatch"),
        (RestoreOrder { generation: 6, ..restore(6) }, "generation_too_old"),
        (restore(4), "state_went_backwards"),
        (RestoreOrder { at: "1980-01-01T00:00:00Z".parse().unwrap(), ..restore(6) }, "check_expired"),
    ] {
        assert_eq!(restored(&machine, &order), format!("refused {why}"));
    }
    let script = restorer(&restore(6), &machine.settings()).unwrap();
    let output = machine.bash(&format!("exec 8>\"$M/var/lib/lockkeeper/lock\"\nflock 8\n{script}"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "refused node_busy\n");
    for (said, reason) in [
        ("refused node_busy\n", Reason::NodeBusy),
        ("", Reason::UnitFailed),
        ("restored no\n", Reason::UnitFailed),
    ] {
        assert_eq!(restore_answer(&"w-1".into(), said, "").unwrap_err().reason, reason, "{said:?}");
    }
    // A text that was cut does nothing.
    for end in [script.len() - 20, script.len() / 2, script.len() - script.len() / 8] {
        machine.bash(&script[..end]);
    }
    assert_eq!(machine.read(file), before);
}

#[test]
fn what_a_source_was_is_never_written_over_by_what_it_was_switched_to() {
    // Cut off before its lists came: apt knows kubeadm of another source only, that of a minor long gone.
    let (machine, file, text) = switched(1);
    let old = "deb https://old.example/core:/stable:/v1.34/deb/ /\n";
    machine.write("etc/apt/sources.list.d/old.list", old);
    machine.write("apt-lists/sites", "https://old.example/core:/stable:/v1.34/deb\n");
    machine.launch(&order(UnitKind::Prepare, 2)).unwrap();
    assert_eq!(machine.ended(&order(UnitKind::Prepare, 2)).0, 0);
    assert_eq!(machine.read("etc/apt/sources.list.d/old.list"), old);
    assert_eq!(machine.read("var/lib/lockkeeper/source/original"), text);
    assert_eq!(restored(&machine, &restore(3)), "restored");
    assert_eq!(machine.read(file), text);
}

#[test]
fn a_survey_asks_the_source_of_kubeadm_for_the_target_and_changes_none() {
    for (name, text) in SOURCES {
        for has_lists in [false, true] {
            let machine = machine_with(name, text);
            let own = "https://pkgs.example/core:/stable:/v1.35/deb\n";
            if has_lists {
                fs::create_dir_all(machine.path("apt-lists")).unwrap();
                machine.write("apt-lists/sites", own);
            }
            let node = order(UnitKind::Prepare, 1).node;
            let order = SurveyOrder {
                nodes: vec![node.clone()],
                target: "v1.36.3".parse().unwrap(),
                kubeadm_on: Some(node.name.clone()),
                manifests_on: vec![],
                with_packages: false,
            };
            let run = lockkeeper_rules::words::name::RunUid(RUN.to_owned());
            let output = machine.bash(&survey(&order, &node, &run, &machine.settings()).unwrap());
            let answer = parse_survey(&String::from_utf8_lossy(&output.stdout)).unwrap();
            assert!(answer.kubeadm.clone().unwrap().agrees, "{answer:?}");
            let fetched = machine.read("fetched");
            assert!(
                fetched.lines().any(|line| line == "https://pkgs.example/core:/stable:/v1.36/deb"),
                "{fetched}"
            );
            assert!(!fetched.contains("cri-o:/stable:/v1.36"), "{fetched}");
            assert_eq!(machine.read(&format!("etc/apt/sources.list.d/{name}")), text);
            assert_eq!(machine.read("apt-lists/sites"), if has_lists { own } else { "" });
        }
    }
}
