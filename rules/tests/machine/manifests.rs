//! What was changed by hand in the manifests of control-plane nodes: asked on each of them, before its own step.

use lockkeeper_rules::api::UpgradeRunStatus;
use lockkeeper_rules::driver::kubeadm::manifests::{Change, Changes, acceptance};
use lockkeeper_rules::run::State;

use crate::simulated::{Faults, Simulated};

fn line(text: &str) -> Vec<Change> {
    vec![Change { file: "kube-apiserver.yaml".to_owned(), comes: false, line: text.to_owned() }]
}

/// The word that accepts a change.
fn word(changes: Vec<Change>) -> String {
    acceptance("config_drift", &Changes::new(changes).digest().unwrap())
}

fn why(cluster: &Simulated) -> String {
    cluster.held().iter().map(|(finding, _)| finding.to_string()).collect::<Vec<_>>().join("\n")
}

fn started(cluster: &Simulated, step: &str) -> bool {
    cluster.started.iter().any(|started| started == step)
}

/// Runs until this step waits for what stands in its way, or has begun and ended so often that it never will.
fn until_held(cluster: &mut Simulated, reason: &str) {
    for _ in 0..3_000 {
        if cluster.holds().iter().any(|hold| hold == reason) {
            return;
        }
        cluster.turn();
    }
    panic!("not held by {reason}: {}", why(cluster));
}

#[test]
fn every_control_plane_node_is_asked_in_preflight_and_before_its_own_step() {
    let mut cluster = Simulated::new(3, 1, 61, Faults::default());
    cluster.run_to_the_end();
    for node in ["cp-1", "cp-2", "cp-3"] {
        assert_eq!(cluster.manifests_asked.get(node), Some(&2), "{node}");
    }
    assert_eq!(cluster.manifests_asked.len(), 3, "and no worker");
    let records = cluster.state().manifests;
    assert!(
        records.iter().all(|record| record.digest.is_none() && record.version == "v1.36.1"),
        "{records:?}"
    );
}

#[test]
fn a_change_holds_until_its_digest_is_accepted_and_a_new_one_is_asked_about_anew() {
    let mut cluster = Simulated::new(2, 1, 62, Faults::default());
    cluster.changed_by_hand.insert("cp-2".to_owned(), line("    - --profiling=false"));
    // What accepts every change accepts none.
    cluster.run.spec.accept_risks = vec!["config_drift".to_owned(), "config_drift@".to_owned()];
    until_held(&mut cluster, "config_drift");
    assert!(!started(&cluster, "snapshot"));
    let accepted = word(line("    - --profiling=false"));
    let told = why(&cluster);
    assert!(
        told.contains(&format!("cp-2: {accepted} accepts: kube-apiserver.yaml: - - --profiling=…")),
        "{told}"
    );
    cluster.run.spec.accept_risks = vec![accepted];
    while !started(&cluster, "control-plane/cp-1") {
        cluster.turn();
    }
    // Somebody changes more while the run is at work: the node's own step finds it, before the node is touched.
    cluster.changed_by_hand.insert("cp-2".to_owned(), line("    - --profiling=true"));
    until_held(&mut cluster, "config_drift");
    assert!(started(&cluster, "control-plane/cp-2") && !cluster.is_unschedulable("cp-2"));
    assert_eq!((cluster.upgrades_of("cp-1"), cluster.upgrades_of("cp-2")), (1, 0));
    cluster.run.spec.accept_risks.push(word(line("    - --profiling=true")));
    cluster.run_to_the_end();
    cluster.assert_upgraded_once_each();
}

#[test]
fn a_kubeadm_of_another_version_than_what_runs_is_no_answer() {
    let mut cluster = Simulated::new(1, 1, 63, Faults::default());
    cluster.installed.insert("cp-1".to_owned(), "v1.36.2".to_owned());
    until_held(&mut cluster, "manifests_unknown");
    let told = why(&cluster);
    assert!(
        told.contains("cp-1: kubeadm v1.36.2 is installed") && told.contains("install kubeadm 1.36.1"),
        "{told}"
    );
    // Nobody accepts what nobody has seen.
    cluster.run.spec.accept_risks = vec!["manifests_unknown".to_owned(), "config_drift".to_owned()];
    cluster.turns(600);
    assert!(!started(&cluster, "snapshot"), "{:?}", cluster.started);
    cluster.installed.clear();
    cluster.run_to_the_end();
}

#[test]
fn the_answer_of_before_stands_where_the_installed_kubeadm_is_another_one_by_now() {
    let mut cluster = Simulated::new(1, 1, 64, Faults::default());
    cluster.changed_by_hand.insert("cp-1".to_owned(), line("    - --a=1"));
    cluster.run.spec.accept_risks = vec![word(line("    - --a=1"))];
    while !started(&cluster, "prepare") {
        cluster.turn();
    }
    // Somebody has upgraded the package.
    cluster.installed.insert("cp-1".to_owned(), "v1.36.3".to_owned());
    cluster.run_to_the_end();
}

#[test]
fn a_killed_mutation_goes_on_by_the_answer_of_before_it() {
    let mut cluster = Simulated::new(2, 1, 65, Faults::default());
    cluster.changed_by_hand.insert("cp-1".to_owned(), line("    - --a=1"));
    cluster.run.spec.accept_risks = vec![word(line("    - --a=1"))];
    cluster.failing_node = Some("cp-1".to_owned());
    while !cluster.is_sent("cp-1") {
        cluster.turn();
    }
    // The process that has asked is gone, and the new kubeadm is installed: what it says now is worth nothing.
    cluster.crash_now();
    while cluster.state().attempted.is_empty() {
        cluster.turn();
    }
    cluster.failing_node = None;
    cluster.run_to_the_end();
    assert_eq!(cluster.upgrades_of("cp-1"), 1);
    let record = cluster.state().manifests.into_iter().find(|record| record.node.0 == "cp-1").unwrap();
    assert_eq!(record.version, "v1.36.1", "the answer of before");
}

#[test]
fn the_answer_of_before_is_worth_nothing_for_manifests_that_are_others_by_now() {
    // Whatever keeps the installed kubeadm from saying it.
    let spoils: [fn(&mut Simulated); 2] = [
        |cluster| drop(cluster.installed.insert("cp-2".to_owned(), "v1.36.3".to_owned())),
        |cluster| cluster.kubeadm_fails = true,
    ];
    for (seed, spoil) in (68..).zip(spoils) {
        let mut cluster = Simulated::new(2, 1, seed, Faults::default());
        while !started(&cluster, "control-plane/cp-1") {
            cluster.turn();
        }
        spoil(&mut cluster);
        cluster.changed_by_hand.insert("cp-2".to_owned(), line("    - --audit-log-path=/a"));
        until_held(&mut cluster, "manifests_unknown");
        assert!(!cluster.is_unschedulable("cp-2"));
        // It holds for as long as it takes people to look, and uses up no attempt.
        cluster.turns(5_000);
        assert_eq!((cluster.upgrades_of("cp-2"), cluster.halted()), (0, None));
        assert!(cluster.state().history.len() < 30, "{:?}", cluster.state().history);
        cluster.installed.remove("cp-2");
        cluster.kubeadm_fails = false;
        until_held(&mut cluster, "config_drift");
        cluster.run.spec.accept_risks = vec![word(line("    - --audit-log-path=/a"))];
        cluster.run_to_the_end();
        assert_eq!(cluster.upgrades_of("cp-2"), 1);
    }
}

#[test]
fn what_is_changed_after_the_look_is_not_written_over() {
    let mut cluster = Simulated::new(1, 1, 70, Faults::default());
    while !cluster.is_unschedulable("cp-1") {
        cluster.turn();
    }
    cluster.changed_by_hand.insert("cp-1".to_owned(), line("    - --audit-log-path=/a"));
    until_held(&mut cluster, "config_drift");
    assert_eq!(cluster.upgrades_of("cp-1"), 0);
    assert!(!cluster.is_unschedulable("cp-1"), "nothing of it was begun: it is back in service");
    assert!(cluster.state().attempted.iter().all(|attempted| !attempted.begun));
    cluster.run.spec.accept_risks = vec![word(line("    - --audit-log-path=/a"))];
    cluster.run_to_the_end();
    assert_eq!(cluster.upgrades_of("cp-1"), 1);
}

#[test]
fn patches_that_changed_after_the_look_are_refused_and_looked_at_anew() {
    let mut cluster = Simulated::new(1, 1, 75, Faults::default());
    while !cluster.is_unschedulable("cp-1") {
        cluster.turn();
    }
    cluster.inputs = "b".repeat(64);
    while cluster.is_unschedulable("cp-1") {
        cluster.turn();
    }
    assert_eq!(cluster.upgrades_of("cp-1"), 0, "it is back in service, and nothing of it was begun");
    assert!(cluster.state().attempted.iter().all(|attempted| !attempted.begun));
    cluster.run_to_the_end();
    assert_eq!(cluster.upgrades_of("cp-1"), 1);
    assert_eq!(cluster.state().manifests[0].inputs, Some(cluster.inputs.clone()));
}

#[test]
fn a_status_that_knows_nothing_of_patches_is_looked_at_anew_and_halts_nothing() {
    // Drained, and half done.
    for (seed, has_begun) in [(76, false), (77, true)] {
        let mut cluster = Simulated::new(1, 1, seed, Faults::default());
        cluster.failing_node = has_begun.then(|| "cp-1".to_owned());
        let is_there = |cluster: &Simulated| {
            if has_begun { !cluster.state().attempted.is_empty() } else { cluster.is_unschedulable("cp-1") }
        };
        while !is_there(&cluster) {
            cluster.turn();
        }
        cluster.failing_node = None;
        // As an older version would have stored it.
        cluster.run.status.as_mut().unwrap().manifests[0].inputs = None;
        cluster.run_to_the_end();
        assert_eq!((cluster.upgrades_of("cp-1"), cluster.halted()), (1, None));
        assert_eq!(cluster.state().manifests[0].inputs, Some(cluster.inputs.clone()));
    }
}

#[test]
fn a_half_done_node_is_finished_with_the_patches_that_it_was_begun_with_or_by_hand() {
    let mut cluster = Simulated::new(2, 1, 78, Faults::default());
    cluster.failing_node = Some("cp-1".to_owned());
    while cluster.state().attempted.is_empty() {
        cluster.turn();
    }
    cluster.failing_node = None;
    // Of others nobody can be asked: the kubeadm that has written what runs is replaced.
    cluster.inputs = "b".repeat(64);
    cluster.turns(20_000);
    assert_eq!((cluster.halted().as_deref(), cluster.upgrades_of("cp-1")), (Some("attempts_exhausted"), 0));
    let told = format!("{:?}", cluster.state().position);
    assert!(told.contains("kubeadm's patches and environment, back as they were"), "{told}");
}

#[test]
fn a_half_done_node_that_cannot_be_looked_at_is_a_failed_attempt_and_halts() {
    let mut cluster = Simulated::new(2, 1, 71, Faults::default());
    cluster.failing_node = Some("cp-1".to_owned());
    while cluster.state().attempted.is_empty() {
        cluster.turn();
    }
    // The new kubeadm is installed, and somebody has changed what it has not come to.
    cluster.changed_by_hand.insert("cp-1".to_owned(), line("    - --a=1"));
    cluster.turns(20_000);
    assert_eq!(cluster.halted().as_deref(), Some("attempts_exhausted"));
    assert!(cluster.is_unschedulable("cp-1"));
    let told = format!("{:?}", cluster.state().position);
    assert!(told.contains("back as they were, or finish the node with kubeadm by hand"), "{told}");
}

#[test]
fn a_node_that_people_finished_and_then_changed_is_looked_at_before_kubeadm_comes_again() {
    let mut cluster = Simulated::new(2, 1, 73, Faults::default());
    cluster.failing_node = Some("cp-1".to_owned());
    while cluster.state().attempted.is_empty() {
        cluster.turn();
    }
    cluster.failing_node = None;
    cluster.upgrade_whole_by_hand("cp-1");
    cluster.changed_by_hand.insert("cp-1".to_owned(), line("    - --a=1"));
    let before = cluster.upgrades_of("cp-1");
    until_held(&mut cluster, "config_drift");
    assert_eq!(cluster.upgrades_of("cp-1"), before);
    cluster.run.spec.accept_risks = vec![word(line("    - --a=1"))];
    cluster.run_to_the_end();
}

#[test]
fn a_node_that_does_not_show_each_manifest_is_not_begun() {
    let mut cluster = Simulated::new(1, 1, 74, Faults::default());
    cluster.without_manifest = Some("kube-scheduler".to_owned());
    until_held(&mut cluster, "manifests_unknown");
    assert!(why(&cluster).contains("the manifest of kube-scheduler is not there"), "{}", why(&cluster));
    cluster.without_manifest = None;
    cluster.run_to_the_end();
}

#[test]
fn a_status_whose_hashes_are_none_is_no_state() {
    let mut cluster = Simulated::new(1, 1, 72, Faults::default());
    while !started(&cluster, "prepare") {
        cluster.turn();
    }
    let status = cluster.run.status.clone().unwrap();
    let good = status.manifests[0].files.clone();
    for (component, sha256) in [
        ("kube-apiserver", "abc\nLOCKKEEPER_END_OF_UNIT\n}\nid\n"),
        ("kube-apiserver\nid", good["kube-apiserver"].as_str()),
        ("etcd", good["kube-apiserver"].as_str()),
    ] {
        let mut status = status.clone();
        status.manifests[0].files.insert(component.to_owned(), sha256.to_owned());
        let error = State::parse(Some(&status), &cluster.run.uid).unwrap_err().to_string();
        assert!(error.contains("status.manifests"), "{error}");
    }
    let mut status = status.clone();
    status.manifests[0].inputs = Some("abc\nid\n".to_owned());
    assert!(State::parse(Some(&status), &cluster.run.uid).is_err());
}

#[test]
fn a_status_that_knows_nothing_of_manifests_is_read_and_its_nodes_are_asked() {
    let mut cluster = Simulated::new(1, 1, 66, Faults::default());
    while !started(&cluster, "prepare") {
        cluster.turn();
    }
    // As an older version would have stored it.
    let mut stored = serde_json::to_value(cluster.run.status.as_ref().unwrap()).unwrap();
    assert!(stored.as_object_mut().unwrap().remove("manifests").is_some());
    let stored: UpgradeRunStatus = serde_json::from_value(stored).unwrap();
    assert!(State::parse(Some(&stored), &cluster.run.uid).unwrap().manifests.is_empty());
    cluster.run.status = Some(stored);
    cluster.run_to_the_end();
    assert_eq!(cluster.manifests_asked["cp-1"], 2);
}

#[test]
fn a_run_that_resumes_asks_the_nodes_that_are_left() {
    let mut cluster = Simulated::new(2, 1, 67, Faults::default());
    // An earlier run has upgraded the first node.
    cluster.upgrade_whole_by_hand("cp-1");
    cluster.changed_by_hand.insert("cp-1".to_owned(), line("    - --a=1"));
    cluster.changed_by_hand.insert("cp-2".to_owned(), line("    - --b=2"));
    until_held(&mut cluster, "config_drift");
    let told = why(&cluster);
    assert!(told.contains("cp-2") && !told.contains("--a=1"), "{told}");
    cluster.run.spec.accept_risks = vec![word(line("    - --b=2"))];
    cluster.run_to_the_end();
    assert_eq!(cluster.manifests_asked.get("cp-1"), None, "nothing of it will be written anew");
}
