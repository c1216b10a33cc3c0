//! The scripts for nodes, run by a real bash in a folder, against stand-ins for what changes a machine.

#![expect(clippy::disallowed_methods, reason = "the machine under test is made of files")]

mod ledger;
mod machine;
mod manifests;
mod prepare;
mod room;
mod site;
mod snapshot;
mod source;
mod survey;
mod upgrade;

use std::fs;
use std::path::Path;
use std::process::Command;

use lockkeeper_rules::driver::kubeadm::node_script::{ScriptSettings, launcher, unit_name};
use lockkeeper_rules::driver::kubeadm::order::UnitKind;

use machine::{Machine, order};

#[test]
fn nothing_hostile_reaches_a_shell() {
    let machine = Machine::new();
    let hostile =
        format!("$(touch {0}/pwned)`touch {0}/pwned`';touch {0}/pwned;'", machine.folder.path().display());
    let mut bad = order(UnitKind::UpgradeNode, 1);
    bad.node.machine_id.clone_from(&hostile);
    assert!(launcher(&bad, &machine.settings()).is_err());
    let mut bad = order(UnitKind::UpgradeNode, 1);
    bad.token.nonce = "../../x".to_owned();
    assert!(launcher(&bad, &machine.settings()).is_err());
    let mut odd = order(UnitKind::UpgradeNode, 1);
    odd.node.name.0.clone_from(&hostile);
    odd.node.addresses = vec![hostile.clone()];
    machine.launch(&odd).unwrap();
    assert!("v1.36.3;id".parse::<lockkeeper_rules::words::version::Version>().is_err());
    let settings = ScriptSettings { root: format!("{}'", machine.settings().root), ..machine.settings() };
    machine.bash(&launcher(&order(UnitKind::UpgradeNode, 2), &settings).unwrap());
    assert!(!machine.path("pwned").exists());
}

#[test]
fn every_script_is_one_that_bash_can_read() {
    let machine = Machine::new();
    let check = |text: &str| {
        let input = machine.path("check.sh");
        fs::write(&input, text).unwrap();
        let output = Command::new("bash").arg("-n").arg(Path::new(&input)).output().unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    for kind in [UnitKind::Snapshot, UnitKind::Prepare, UnitKind::UpgradeFirst, UnitKind::UpgradeNode] {
        let order = order(kind, 1);
        check(&launcher(&order, &machine.settings()).unwrap());
        machine.launch(&order).unwrap();
        check(&machine.read(&format!("var/lib/lockkeeper/{}.sh", order.token)));
        fs::remove_dir_all(machine.path("var/lib/lockkeeper")).unwrap();
        fs::remove_file(machine.path("units").join(unit_name(&order.token))).unwrap();
    }
}
