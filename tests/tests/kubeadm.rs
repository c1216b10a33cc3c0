//! What a site tells kubeadm, through the whole house: the actuator's file, the scripts, and kubeadm on simulated machines.

use lockkeeper_rules::kubeadm::{Environment, Exception, KubeadmSettings};
use lockkeeper_rules::reason::Reason;
use lockkeeper_tests::World;
use lockkeeper_tests::machine::Told;
use lockkeeper_tests::world::CONTROL_PLANE;
use serde_json::json;

const RUN: &str = "told";
const PATCHES: &str = "/etc/kubernetes/patches";
const IMAGE: &str = "registry.example/agent:v1";

fn site() -> KubeadmSettings {
    let exception =
        |name: &str, reason: &str| vec![Exception { name: name.to_owned(), reason: reason.to_owned() }];
    let proxy = ("HTTPS_PROXY".to_owned(), "http://user:hunter2@proxy.example:3128".to_owned());
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
    let apiserver = "etc/kubernetes/patches/kube-apiserver+merge.yaml";
    world.machine(CONTROL_PLANE).folder.write(apiserver, "    # patched\n").unwrap();
    world.start_products().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.create_run(RUN, json!({"target": "v1.36.3", "acceptRisks": ["config_drift"]})).await.unwrap();

    // One worker lacks the folder: kubeadm would find that out in the middle of its upgrade.
    world.wait_until_said(RUN, Reason::PatchesMissing, "worker-1").await;
    let kubelet = "etc/kubernetes/patches/kubeletconfiguration+merge.yaml";
    world.machine("worker-1").folder.write(kubelet, "").unwrap();
    world.wait_until_succeeded(RUN, 240).await;

    shown_once_and_without_secrets(&world).await;
    let proxy = "HTTPS_PROXY=http://user:hunter2@proxy.example:3128";
    for (node, commands) in [(CONTROL_PLANE, &["plan", "apply", "apply"][..]), ("worker-1", &["node"])] {
        let told = world.machine(node).kubeadm_told();
        let asked: Vec<&Told> = told.iter().filter(|it| it.command != "diff" && it.phase.is_none()).collect();
        let last: Vec<&str> = asked.iter().rev().take(commands.len()).rev().map(|it| &*it.command).collect();
        assert_eq!(last, commands, "{node}: {told:#?}");
        for it in asked {
            assert!(it.by_file && it.ignored == ["SystemVerification"], "{it:?}");
            assert_eq!(it.proxies, [proxy], "{it:?}");
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
