//! Which units a node takes, and what it says of them afterwards.

use std::fs;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use lockkeeper_rules::driver::kubeadm::KubeadmSettings;
use lockkeeper_rules::driver::kubeadm::ledger::parse;
use lockkeeper_rules::driver::kubeadm::node_script::{
    EtcdAccess, ScriptSettings, launch_answer, launcher, reader, unit_name,
};
use lockkeeper_rules::driver::kubeadm::order::{LedgerOrder, UnitKind, UnitOrder};
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::reason::Reason;
use lockkeeper_rules::settings::Settings;

use crate::machine::{Machine, manifest_survey, order, refused, token};

#[test]
fn a_unit_that_starts_or_ends_while_it_is_asked_for_is_not_called_gone() {
    let fact = |fact: &str| {
        let line = format!("{fact} 1763717000 {} 7 upgrade-node v1.36.3 x .", token(1));
        format!("echo '{line}' >>\"$M/var/lib/lockkeeper/ledger\"\n")
    };
    let (start, exit) = (fact("start"), fact("exit").replace(" 7 ", " 0 "));
    // What systemd says the first time, with what happens right after it, and what it says then.
    let running = "load=loaded active=active sub=running\n";
    let begins = format!("if [ -e \"$M/asked\" ]; then {running}else : >\"$M/asked\"; {start}fi\n");
    let ends = format!(
        "if [ -e \"$M/asked\" ]; then load=loaded active=active sub=exited\nelse : >\"$M/asked\"; {running}{exit}fi\n"
    );
    for (before, on_show, is_over) in [("", &begins, false), (&*start, &ends, true)] {
        let machine = Machine::new();
        fs::create_dir_all(machine.path("var/lib/lockkeeper")).unwrap();
        machine.bash(before);
        machine.write("on-show", on_show);
        match machine.ledger(&order(UnitKind::UpgradeNode, 1)) {
            Progress::Started { alive: true, .. } => assert!(!is_over),
            Progress::Ended { code: 0, .. } => assert!(is_over),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_ledger_that_never_stands_still_is_no_answer() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("var/lib/lockkeeper")).unwrap();
    machine.write(
        "on-show",
        &format!("echo \"did $RANDOM {} kubeadm v1.36.3 .\" >>\"$M/var/lib/lockkeeper/ledger\"\n", token(1)),
    );
    let UnitOrder { node, token, .. } = order(UnitKind::UpgradeNode, 1);
    let order = LedgerOrder { node, token };
    let output = machine.bash(&reader(&order, &machine.settings()).unwrap());
    let answer = parse(&String::from_utf8_lossy(&output.stdout), &order);
    assert_eq!(answer.unwrap_err().reason, Reason::LedgerUnreadable);
}

#[test]
fn a_token_is_never_started_twice() {
    let machine = Machine::new();
    let order = order(UnitKind::UpgradeNode, 1);
    machine.launch(&order).unwrap();
    assert_eq!(refused(machine.launch(&order)), Reason::TokenAlreadySeen);
    // After a restart of the machine systemd has forgotten the unit; the ledger has not.
    fs::remove_file(machine.path("units").join(unit_name(&order.token))).unwrap();
    assert_eq!(refused(machine.launch(&order)), Reason::TokenAlreadySeen);
    assert_eq!(machine.calls("kubeadm upgrade").len(), 1);
    assert_eq!(machine.ended(&order).0, 0, "the refusal hides nothing");
}

#[test]
fn the_unit_itself_refuses_what_the_launcher_let_through() {
    let machine = Machine::new();
    let order = order(UnitKind::UpgradeNode, 1);
    machine.launch(&order).unwrap();
    // A launcher that was cut after its checks and goes on now: the unit's script is all that stands in the way.
    let script = machine.path(&format!("var/lib/lockkeeper/{}.sh", order.token));
    let again = machine.bash(&format!("bash {}", script.display()));
    assert_eq!(again.status.code(), Some(65));
    assert_eq!(machine.calls("kubeadm upgrade").len(), 1);
    machine.write("etc/machine-id", "def456\n");
    let before = machine.read("var/lib/lockkeeper/ledger");
    assert_eq!(machine.bash(&format!("bash {}", script.display())).status.code(), Some(65));
    assert_eq!(
        machine.read("var/lib/lockkeeper/ledger"),
        before,
        "another machine's ledger is not written to"
    );
}

#[test]
fn a_token_that_is_behind_the_newest_of_its_run_is_refused() {
    let machine = Machine::new();
    let late = order(UnitKind::UpgradeNode, 9);
    let script = launcher(&late, &machine.settings()).unwrap();
    machine.launch(&order(UnitKind::Prepare, 10)).unwrap();
    assert_eq!(refused(machine.launch(&late)), Reason::StateWentBackwards, "9 is lower than 10, not higher");
    assert_eq!(machine.ledger(&late), Progress::Unseen);
    // The unit asks again under the lock: what is newer may have come between.
    let path = machine.path("late.sh");
    let unit = script.split_once("LOCKKEEPER_END_OF_UNIT'\n").unwrap().1;
    fs::write(&path, unit.split_once("\nLOCKKEEPER_END_OF_UNIT\n").unwrap().0).unwrap();
    machine.bash(&format!("bash {}", path.display()));
    assert_eq!(machine.ledger(&late), Progress::Refused(Reason::StateWentBackwards));
    // A token that was refused counts too, and another run has a count of its own.
    let busy = format!("refuse 1763717000 {} node_busy .\n", token(12));
    let ledger = machine.read("var/lib/lockkeeper/ledger");
    machine.write("var/lib/lockkeeper/ledger", &format!("{ledger}{busy}"));
    assert_eq!(refused(machine.launch(&order(UnitKind::Prepare, 11))), Reason::StateWentBackwards);
    let mut other = order(UnitKind::Prepare, 1);
    other.token.run.0 = "another-run".to_owned();
    assert_eq!(machine.launch(&other), Ok(()));
}

#[test]
fn a_lower_generation_is_refused_and_the_same_or_a_higher_is_not() {
    let machine = Machine::new();
    machine.launch(&order(UnitKind::UpgradeNode, 1)).unwrap();
    for (sequence, generation, expected) in
        [(2, 6, Err(Reason::GenerationTooOld)), (3, 7, Ok(())), (4, 10, Ok(()))]
    {
        let order = UnitOrder { generation, ..order(UnitKind::UpgradeNode, sequence) };
        assert_eq!(machine.launch(&order).map_err(|finding| finding.reason), expected, "{generation}");
    }
    let order = UnitOrder { generation: 9, ..order(UnitKind::UpgradeNode, 5) };
    assert_eq!(refused(machine.launch(&order)), Reason::GenerationTooOld, "9 is lower than 10, not higher");
}

#[test]
fn a_unit_that_comes_when_its_check_is_worth_nothing_any_more_is_refused() {
    for (age_seconds, expected) in [(0, Ok(())), (12, Err(Reason::CheckExpired))] {
        let machine = Machine::new();
        let mut order = order(UnitKind::UpgradeNode, 1);
        order.proof.checked_at = Timestamp::now() - SignedDuration::from_secs(age_seconds);
        let product =
            ScriptSettings::new(&Settings::default(), EtcdAccess::default(), KubeadmSettings::default());
        let settings = ScriptSettings { root: machine.settings().root, ..product };
        let output = machine.bash(&launcher(&order, &settings).unwrap());
        let answer = launch_answer(&order.node.name, &String::from_utf8_lossy(&output.stdout), "");
        assert_eq!(answer.map_err(|finding| finding.reason), expected, "{age_seconds} s");
        // A launcher that was under way for long after its own look: the unit looks again.
        let script = machine.path(&format!("var/lib/lockkeeper/{}.sh", order.token));
        if expected.is_ok() {
            let text = fs::read_to_string(&script).unwrap();
            let old = text.replace(
                &format!("not_after='{}'", order.proof.checked_at.as_second() + 10),
                "not_after='1'",
            );
            assert!(old != text, "it carries its last moment");
            machine.write("var/lib/lockkeeper/ledger", "");
            machine.bash(&old);
            assert_eq!(machine.ledger(&order), Progress::Refused(Reason::CheckExpired));
        }
    }
}

#[test]
fn on_another_machine_nothing_is_written() {
    let machine = Machine::new();
    machine.write("etc/machine-id", "def456\n");
    assert_eq!(refused(machine.launch(&order(UnitKind::UpgradeNode, 1))), Reason::MachineIdMismatch);
    assert!(!machine.path("var/lib/lockkeeper").exists());
    machine.write("etc/machine-id", "");
    assert_eq!(refused(machine.launch(&order(UnitKind::UpgradeNode, 1))), Reason::MachineIdMismatch);
}

#[test]
fn while_a_unit_works_no_other_is_started() {
    let machine = Machine::new();
    let first = order(UnitKind::UpgradeNode, 1);
    for (name, sequence) in [("same", 1), ("other", 2)] {
        let text = launcher(&order(UnitKind::UpgradeNode, sequence), &machine.settings()).unwrap();
        machine.write(name, &text);
    }
    machine.write("on-kubeadm", "for i in same other; do bash -s <\"$M/$i\" >\"$M/$i.answer\" 2>&1; done\n");
    machine.launch(&first).unwrap();
    assert_eq!(machine.ended(&first).0, 0);
    assert_eq!(machine.read("same.answer"), "refused token_already_seen\n");
    assert_eq!(machine.read("other.answer"), "refused node_busy\n");
}

#[test]
fn a_unit_that_is_killed_at_work_is_started_and_dead() {
    let machine = Machine::new();
    let first = order(UnitKind::UpgradeNode, 1);
    machine.write(
        "on-kubeadm",
        "work=$PPID; timeout=$(ps -o ppid= -p $work); unit=$(ps -o ppid= -p $timeout); kill -9 $unit $timeout $work $$\n",
    );
    machine.launch(&first).unwrap();
    assert!(
        matches!(machine.ledger(&first), Progress::Started { alive: false, .. }),
        "{:?}",
        machine.ledger(&first)
    );
    assert!(
        machine.path("var/lib/lockkeeper/holds").exists(),
        "the holds as found are kept for the next attempt"
    );
    fs::remove_file(machine.path("on-kubeadm")).unwrap();
    let second = order(UnitKind::UpgradeNode, 2);
    machine.launch(&second).unwrap();
    assert_eq!(machine.ended(&second).0, 0);
    assert!(fs::read_dir(machine.path("holds")).unwrap().next().is_none(), "nothing was held before");
    assert_eq!(machine.calls("apt-get").iter().filter(|call| call.contains("install kubeadm=")).count(), 1);
}

#[test]
fn holds_that_a_dead_unit_of_another_run_has_left_are_not_believed() {
    let machine = Machine::new();
    machine.write(
        "on-kubeadm",
        "work=$PPID; timeout=$(ps -o ppid= -p $work); unit=$(ps -o ppid= -p $timeout); kill -9 $unit $timeout $work $$\n",
    );
    machine.launch(&order(UnitKind::UpgradeNode, 1)).unwrap();
    assert!(machine.path("var/lib/lockkeeper/holds").exists());
    fs::remove_file(machine.path("on-kubeadm")).unwrap();
    // A person finishes the node and holds all three.
    for package in ["kubeadm", "kubelet", "kubectl"] {
        machine.write(&format!("holds/{package}"), "");
    }
    let mut other = order(UnitKind::UpgradeNode, 1);
    other.token.run.0 = "another-run".to_owned();
    machine.launch(&other).unwrap();
    assert_eq!(machine.names("holds"), ["kubeadm", "kubectl", "kubelet"]);
    assert!(!machine.path("var/lib/lockkeeper/holds").exists());
}

#[test]
fn what_units_leave_is_bounded_and_the_ledger_is_never_cut() {
    let machine = Machine::new();
    machine.write(
        "on-kubeadm",
        "if [ \"$2\" = node ]; then head -c 3000000 /dev/zero | tr '\\0' x; echo; echo the end; fi\n",
    );
    // What dead units and looks have left half done.
    let dead = [
        "var/lib/lockkeeper/prepare.x/kubeadm",
        "var/lib/lockkeeper/snapshots/old.part",
        "var/lib/etcd/lockkeeper-old.part.part",
    ];
    for name in dead.iter().chain(&[
        "var/lib/lockkeeper/late.sh.new",
        "var/tmp/lockkeeper.x/kubeadm",
        "var/lib/etcd/member",
    ]) {
        fs::create_dir_all(machine.path(name).parent().unwrap()).unwrap();
        machine.write(name, "x");
    }
    for name in ["var/lib/lockkeeper/late.sh.new", "var/tmp/lockkeeper.x"] {
        Command::new("touch").args(["-d", "2 days ago"]).arg(machine.path(name)).status().unwrap();
    }
    let count = 24;
    for sequence in 1..=count {
        let kind = if sequence == count { UnitKind::UpgradeNode } else { UnitKind::Prepare };
        machine.launch(&order(kind, sequence)).unwrap();
    }
    let left = |end: &str| {
        let names = fs::read_dir(machine.path("var/lib/lockkeeper")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(end)).count()
    };
    assert_eq!((left(".sh"), left(".log"), left(".new")), (20, 20, 0));
    assert!(dead.iter().all(|name| !machine.path(name).exists()), "nobody's any more");
    assert!(machine.path("var/lib/etcd/member").exists(), "not ours");
    let log = machine.read(&format!("var/lib/lockkeeper/{}.log", token(count)));
    assert!(log.len() == 1 << 20 && log.ends_with("the end\n"), "{} bytes", log.len());
    // The ledger knows them all, and each is refused as ever, although systemd has forgotten the oldest.
    let ledger = machine.read("var/lib/lockkeeper/ledger");
    assert_eq!(ledger.lines().filter(|line| line.starts_with("start ")).count() as u64, count);
    let forgotten: Vec<String> =
        (1..=count - 20).map(|sequence| format!("systemctl stop {}", unit_name(&token(sequence)))).collect();
    assert_eq!(machine.calls("systemctl stop"), forgotten);
    assert_eq!(machine.ended(&order(UnitKind::Prepare, 1)).0, 0);
    assert_eq!(refused(machine.launch(&order(UnitKind::Prepare, 1))), Reason::TokenAlreadySeen);
    manifest_survey(&machine, &machine.settings());
}

#[test]
fn a_unit_of_which_no_end_is_known_stays_in_systemds_mind() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("var/lib/lockkeeper")).unwrap();
    machine.write(
        "var/lib/lockkeeper/ledger",
        &format!("start 1763717000 {} 7 prepare v1.36.3 x .\n", token(1)),
    );
    machine.write(&format!("var/lib/lockkeeper/{}.sh", token(1)), "");
    for sequence in 2..=21 {
        machine.launch(&order(UnitKind::Prepare, sequence)).unwrap();
    }
    assert!(!machine.path(&format!("var/lib/lockkeeper/{}.sh", token(1))).exists());
    assert!(machine.calls("systemctl stop").is_empty());
}

#[test]
fn a_ledger_that_was_torn_hides_nothing_that_follows() {
    let machine = Machine::new();
    let first = order(UnitKind::UpgradeNode, 1);
    machine.launch(&first).unwrap();
    for (sequence, torn) in [(3, format!("start 1763717000 {} 9 upg", token(2))), (4, "\0\0\0".to_owned())] {
        let ledger = machine.read("var/lib/lockkeeper/ledger");
        machine.write("var/lib/lockkeeper/ledger", &format!("{ledger}{torn}"));
        let order = order(UnitKind::UpgradeNode, sequence);
        machine.launch(&order).unwrap();
        assert_eq!(machine.ended(&order).0, 0, "after {torn:?}");
        assert_eq!(refused(machine.launch(&order)), Reason::TokenAlreadySeen);
    }
    assert_eq!(
        refused(machine.launch(&order(UnitKind::UpgradeNode, 2))),
        Reason::TokenAlreadySeen,
        "a torn start counts"
    );
    assert_eq!(machine.ended(&first).0, 0);
}
