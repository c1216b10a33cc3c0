//! What a site tells kubeadm, through the whole house: the actuator's file, the scripts, and kubeadm on simulated machines.

use lockkeeper_rules::driver::kubeadm::{Environment, Exception, KubeadmSettings};
use lockkeeper_rules::reason::Reason;
use lockkeeper_tests::World;
use lockkeeper_tests::machine::{Fault, Invocation, manifest};
use lockkeeper_tests::world::CONTROL_PLANE;
use serde_json::json;

const RUN: &str = "told";
const PATCHES: &str = "/etc/kubernetes/patches";
const IMAGE: &str = "registry.example/agent:v1";
const PROXY: &str = "HTTPS_PROXY=http://user:hunter2@proxy.example:3128";
const PATCH: &str = "    # patched\n";

fn site() -> KubeadmSettings {
    let exception =
        |name: &str, reason: &str| vec![Exception { name: name.to_owned(), reason: reason.to_owned() }];
    let (name, value) = PROXY.split_once('=').unwrap();
    let proxy = (name.to_owned(), value.to_owned());
    KubeadmSettings {
        patches_directory: Some(PATCHES.to_owned()),
        ignore_preflight_errors: exception("SystemVerification", "cgroup v1 until spring"),
        skip_phases: exception("addon/coredns", "we have our own"),
        extra_images: vec![IMAGE.to_owned()],
        environment: Environment([proxy].into()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_site_tells_kubeadm_is_shown_in_preflight_and_reaches_every_node() {
    let world = World::builder().workers(1).kubeadm(site()).without_products();
    let world = world.settings(|settings| settings.attempt_pause_seconds_max = 2);
    let mut world = world.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    for machine in &world.machines {
        // Without being told to ignore it, no kubeadm here goes on.
        machine.folder.write("preflight-error", "SystemVerification").unwrap();
    }
    let plane = &world.machine(CONTROL_PLANE).folder;
    plane.write("etc/kubernetes/patches/kube-apiserver+merge.yaml", PATCH).unwrap();
    // As a kubeadm has left it that was told the same: neither the proxy nor the patch is a change by hand.
    for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
        let patch = if component == "kube-apiserver" { PATCH } else { "" };
        let text = manifest(component, "v1.36.1", false, &[PROXY.to_owned()]) + patch;
        plane.write(&format!("etc/kubernetes/manifests/{component}.yaml"), text).unwrap();
    }
    world.start_products().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.create_run(RUN, json!({"target": "v1.36.3"})).await.unwrap();

    // One worker lacks the folder: kubeadm would find that out in the middle of its upgrade.
    world.wait_until_held(RUN, Reason::PatchesMissing, "worker-1").await;
    let kubelet = "etc/kubernetes/patches/kubeletconfiguration+merge.yaml";
    world.machine("worker-1").folder.write(kubelet, "").unwrap();
    world.wait_until_succeeded(RUN, 240).await;

    shown_once_and_without_secrets(&world).await;
    for (node, commands) in [(CONTROL_PLANE, &["plan", "apply", "apply"][..]), ("worker-1", &["node"])] {
        let told = world.machine(node).kubeadm_invocations();
        let asked: Vec<&Invocation> =
            told.iter().filter(|it| it.command != "diff" && it.phase.is_none()).collect();
        let last: Vec<&str> = asked.iter().rev().take(commands.len()).rev().map(|it| &*it.command).collect();
        assert_eq!(last, commands, "{node}: {told:#?}");
        for it in asked {
            assert!(it.by_file && it.ignored == ["SystemVerification"], "{it:?}");
            assert_eq!(it.proxies, [PROXY], "{it:?}");
            let has_phases = it.command != "plan";
            let skipped: &[&str] = if has_phases { &["addon/coredns"] } else { &[] };
            assert_eq!(
                (&*it.skipped, it.patches.is_some()),
                (&skipped.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()[..], has_phases),
                "{it:?}"
            );
        }
        assert_eq!(world.machine(node).calls_of("crictl", &["pull", IMAGE]).len(), 1, "{node}");
    }
    let manifest =
        world.machine(CONTROL_PLANE).folder.read("etc/kubernetes/manifests/kube-apiserver.yaml").unwrap();
    assert!(manifest.contains("# patched") && manifest.contains("hunter2"), "{manifest}");
}

async fn shown_once_and_without_secrets(world: &World) {
    let status = world.run_status(RUN).await.unwrap().unwrap();
    let lines: Vec<&str> =
        status.history.iter().filter(|it| it.step == "preflight").map(|it| it.event.as_str()).collect();
    for line in [
        "kubeadm ignores the preflight error SystemVerification: cgroup v1 until spring",
        "kubeadm leaves out the phase addon/coredns: we have our own",
        "kubeadm takes patches from /etc/kubernetes/patches",
        "fetched ahead on every node: registry.example/agent:v1",
        "kubeadm is started with HTTPS_PROXY",
    ] {
        assert_eq!(lines.iter().filter(|shown| **shown == line).count(), 1, "{line}: {lines:#?}");
    }
    assert!(!serde_json::to_string(&status).unwrap().contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_hand_is_accepted_by_its_digest_and_a_new_default_is_none() {
    let world = World::builder().workers(1).without_products();
    let world = world.settings(|settings| settings.attempt_pause_seconds_max = 2);
    let mut world = world.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let plane = &world.machine(CONTROL_PLANE).folder;
    // The target's kubeadm no longer mounts a folder that the installed one has always mounted.
    plane.write("old-folder-until", "v1.36.3").unwrap();
    let by_kubeadm = manifest("kube-controller-manager", "v1.36.1", true, &[]);
    plane.write("etc/kubernetes/manifests/kube-controller-manager.yaml", &by_kubeadm).unwrap();
    by_hand(&world, "--profiling=false");
    // The first upgrade is cut in the middle, with the new kubeadm installed.
    let fails = Fault::new("kubeadm", &["upgrade", "apply"]).without("--dry-run").nth(1);
    world.machine(CONTROL_PLANE).set_faults(&[fails]).unwrap();
    world.start_products().await.unwrap_or_else(|error| panic!("{error:#}"));
    let spec = json!({"target": "v1.36.3", "acceptRisks": ["config_drift"]});
    world.create_run(RUN, spec).await.unwrap();

    let first = reported_drift(&world, None).await;
    by_hand(&world, "--profiling=true");
    world.patch_run(RUN, json!({"acceptRisks": [first]})).await.unwrap();
    // A new change is asked about anew.
    let second = reported_drift(&world, Some(&first)).await;
    // Whoever reaches the exporter is told what was changed, and no value.
    let told = || async {
        let verdict = world.exporter.get("/verdict").await?;
        Ok(verdict.contains(&second).then_some(verdict))
    };
    let verdict = world.wait_for("the exporter to tell of it", 10, told).await;
    assert!(verdict.contains("--profiling") && !verdict.contains("--profiling=true"), "{verdict}");
    world.patch_run(RUN, json!({"acceptRisks": [second]})).await.unwrap();
    world.wait_until_succeeded(RUN, 240).await;

    let status = world.run_status(RUN).await.unwrap().unwrap();
    let [record] = &status.manifests[..] else { panic!("{:?}", status.manifests) };
    assert_eq!((record.node.0.as_str(), record.version.as_str()), (CONTROL_PLANE, "v1.36.1"));
    assert_eq!(record.lines, ["kube-apiserver.yaml: - - --profiling=…"]);
    let applied = world.machine(CONTROL_PLANE).kubeadm_invocations();
    let applied =
        applied.iter().filter(|it| it.command == "apply" && !it.dry_run && it.phase.is_none()).count();
    assert_eq!(applied, 1, "the one that was cut is not among them");
    for machine in &world.machines {
        let asked = machine.kubeadm_invocations().into_iter().filter(|it| it.command == "diff");
        let versions: Vec<String> = asked.filter_map(|it| it.version).collect();
        // After the cut it is the new one that is asked, for what that is worth.
        let first = versions.first().map(String::as_str);
        assert_eq!(first, (machine.spec.name == CONTROL_PLANE).then_some("v1.36.1"), "{versions:?}");
    }
}

/// Somebody writes a flag into the API server's manifest.
fn by_hand(world: &World, flag: &str) {
    let text = manifest("kube-apiserver", "v1.36.1", false, &[]);
    let text = text.replace("    image:", &format!("    - {flag}\n    image:"));
    world.machine(CONTROL_PLANE).folder.write("etc/kubernetes/manifests/kube-apiserver.yaml", text).unwrap();
}

/// The word that accepts a change of this flag and is another one than before, once people are told of it.
async fn reported_drift(world: &World, before: Option<&str>) -> String {
    let look = || async {
        let status = world.run_status(RUN).await?;
        let holds = status.map(|status| status.holds).unwrap_or_default();
        let mut drifts = holds.into_iter().filter(|hold| hold.reason == "config_drift").map(|hold| {
            let line = hold.detail.ends_with(" accepts: kube-apiserver.yaml: - - --profiling=…");
            assert!(line && hold.subject == CONTROL_PLANE, "{hold:?}");
            hold.detail.split(' ').next().unwrap().to_owned()
        });
        Ok(drifts.find(|word| before != Some(word)))
    };
    world.wait_for("people to be told of the change", 60, look).await
}
