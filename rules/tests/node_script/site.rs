//! What a site tells kubeadm.

use std::fs;

use lockkeeper_rules::driver::kubeadm::node_script::survey;
use lockkeeper_rules::driver::kubeadm::order::{SurveyOrder, UnitKind, UnitOrder};
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::reason::Reason;

use crate::machine::{Machine, RUN, manifest_survey, order, parse_survey};

/// What kubeadm was given: the file, once it has said which, and the variables that matter to it.
const LOOK: &str = r#"
env | grep -i -e _proxy= -e ^SSL_CERT_FILE -e DRYRUN >>"$M/environment" || true
for word; do if [ "${last-}" = --config ]; then cat "$word" >"$M/configuration"; fi; last=$word; done
"#;

#[test]
fn what_the_site_tells_kubeadm_reaches_it_as_it_is_written() {
    let config = |machine: &Machine| {
        format!("--config {}/var/lib/lockkeeper/upgrade-configuration.yaml", machine.settings().root)
    };
    for (kind, of, called) in [
        (UnitKind::UpgradeFirst, "apply", "kubeadm upgrade apply -y CONFIG v1.36.3"),
        (UnitKind::UpgradeNode, "node", "kubeadm upgrade node CONFIG"),
    ] {
        let machine = Machine::new();
        machine.write("on-kubeadm", LOOK);
        fs::create_dir_all(machine.path("etc/kubernetes/patches")).unwrap();
        let order = order(kind, 1);
        machine.launch_with(&order, &machine.site()).unwrap();
        assert_eq!(machine.ended(&order).0, 0, "{:?}", machine.ended(&order));
        assert_eq!(machine.calls("kubeadm upgrade"), [called.replace("CONFIG", &config(&machine))]);
        let read: serde_json::Value =
            lockkeeper_rules::words::yaml::read(&machine.read("configuration")).unwrap();
        assert_eq!(read[of]["ignorePreflightErrors"], serde_json::json!(["SystemVerification", "Mem"]));
        let patches = format!("{}/etc/kubernetes/patches", machine.settings().root);
        assert_eq!(read[of]["patches"]["directory"], patches);
        let environment = machine.read("environment");
        let environment: std::collections::BTreeSet<&str> = environment.lines().collect();
        assert_eq!(environment, ["HTTPS_PROXY=http://u:p'w$(id)@proxy", "SSL_CERT_FILE=/etc/ca.crt"].into());
    }
}

#[test]
fn an_older_kubeadm_is_told_by_flags() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("etc/kubernetes/patches")).unwrap();
    let old = |kind, sequence| UnitOrder { target: "v1.31.4".parse().unwrap(), ..order(kind, sequence) };
    // The machine's apt has one version only; kubeadm is there already.
    machine.write("kubeadm", "1.31.4\n");
    machine.write("kubelet", "1.31.4\n");
    machine.launch_with(&old(UnitKind::UpgradeFirst, 1), &machine.site()).unwrap();
    let patches = format!("--patches={}/etc/kubernetes/patches", machine.settings().root);
    let ignore = "--ignore-preflight-errors=SystemVerification,Mem";
    assert_eq!(
        machine.calls("kubeadm upgrade"),
        [format!(
            "kubeadm upgrade apply -y {ignore} {patches} --skip-phases=addon/coredns,bootstrap-token v1.31.4"
        )]
    );
    let mut other = old(UnitKind::UpgradeNode, 2);
    other.token.run.0 = "another-run".to_owned();
    machine.launch_with(&other, &machine.site()).unwrap();
    assert_eq!(machine.calls("kubeadm upgrade node"), [format!("kubeadm upgrade node {ignore} {patches}")]);
}

#[test]
fn more_images_are_fetched_ahead_on_every_node() {
    let machine = Machine::new();
    let order = order(UnitKind::Prepare, 1);
    machine.launch_with(&order, &machine.site()).unwrap();
    assert_eq!(machine.ended(&order).0, 0, "{:?}", machine.ended(&order));
    assert_eq!(
        machine.calls("crictl"),
        ["crictl pull registry.example/agent:v1", "crictl pull registry.example/dns:v2"]
    );
    assert!(machine.calls("kubeadm config").is_empty(), "a worker needs none of the control plane's");
}

#[test]
fn a_survey_asks_kubeadm_with_what_it_will_be_told() {
    let machine = Machine::new();
    machine.write("on-kubeadm", LOOK);
    let node = order(UnitKind::Prepare, 1).node;
    let target: lockkeeper_rules::words::version::Version = "v1.36.3".parse().unwrap();
    let ask = |asks: bool| {
        let kubeadm_on = asks.then(|| node.name.clone());
        let order = SurveyOrder {
            nodes: vec![node.clone()],
            target: target.clone(),
            kubeadm_on,
            manifests_on: vec![],
            with_packages: false,
        };
        let run = lockkeeper_rules::words::name::RunUid(RUN.to_owned());
        let output = machine.bash(&survey(&order, &node, &run, &machine.site()).unwrap());
        parse_survey(&String::from_utf8_lossy(&output.stdout)).unwrap()
    };
    let found = ask(true);
    assert!(found.patches_missing && found.kubeadm.unwrap().agrees);
    let calls = machine.calls("kubeadm upgrade");
    for (call, what) in calls.iter().zip(["plan --config", "apply --dry-run -y --config"]) {
        assert!(call.starts_with(&format!("kubeadm upgrade {what} ")), "{call}");
    }
    let environment = machine.read("environment");
    let dry_run = format!("KUBEADM_UPGRADE_DRYRUN_DIR={}/var/tmp/lockkeeper.", machine.settings().root);
    assert!(environment.contains(&dry_run) && !environment.contains("profile"), "{environment}");
    assert!(fs::read_dir(machine.path("var/tmp")).unwrap().next().is_none());
    // The folder is looked for on every node, also where kubeadm is not asked.
    fs::create_dir_all(machine.path("etc/kubernetes/patches")).unwrap();
    assert!(!ask(false).patches_missing);
}

#[test]
fn no_value_of_the_environment_is_an_argument_that_everybody_can_read() {
    let machine = Machine::new();
    machine.write(
        "on-kubeadm",
        "for of in $$ $PPID; do tr '\\0' ' ' </proc/$of/cmdline; echo; done >>\"$M/seen\"\n",
    );
    fs::create_dir_all(machine.path("etc/kubernetes/patches")).unwrap();
    manifest_survey(&machine, &machine.site());
    machine.launch_with(&order(UnitKind::UpgradeNode, 1), &machine.site()).unwrap();
    let seen = machine.read("seen");
    assert!(seen.contains("timeout --kill-after") && seen.contains("kubeadm upgrade node"), "{seen}");
    assert!(!seen.contains("p'w"), "{seen}");
}

#[test]
fn a_folder_of_patches_that_is_not_there_keeps_a_unit_from_beginning() {
    let machine = Machine::new();
    let order = order(UnitKind::UpgradeNode, 1);
    machine.launch_with(&order, &machine.site()).unwrap();
    assert_eq!(machine.ledger(&order), Progress::Refused(Reason::PatchesMissing));
    assert!(machine.calls("apt-get install").is_empty() && machine.calls("kubeadm upgrade").is_empty());
}
