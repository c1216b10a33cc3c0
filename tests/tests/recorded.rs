//! Simulated machines answer what real ones were recorded to answer. Held here: the shape of every answer, both ways.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use lockkeeper_rules::words::version::Version;
use lockkeeper_tests::World;
use lockkeeper_tests::recorded::{Recorded, pretty};
use lockkeeper_tests::shape::{shape_of_json, shape_of_text};
use lockkeeper_tests::world::CONTROL_PLANE;

/// What differs rightly: how the answer's name ends, what differs (`-` is in the recording only, `+` here only), and why.
const JUSTIFIED: [(&str, &str, &str); 11] = [
    (
        "node.json",
        "-.spec.podCIDR:string",
        "pods of a World have no network, so nobody hands out parts of it",
    ),
    ("node.json", "-.spec.podCIDRs:list", "the same"),
    ("node.json", "-.spec.podCIDRs[]:string", "the same"),
    ("node.json", "+.status.addresses[ExternalIP]:map", PROXIED),
    ("node.json", "+.status.addresses[ExternalIP].address:string", PROXIED),
    ("node.json", "+.status.addresses[ExternalIP].type:string", PROXIED),
    ("kubeadm-upgrade-diff.txt", "---- /etc/kubernetes/manifests/kube-apiserver.yaml", PATCHED),
    ("kubeadm-upgrade-diff.txt", "-+++ new manifest", PATCHED),
    ("kubeadm-upgrade-diff.txt", "-@@ -N +N,N @@", PATCHED),
    ("kubeadm-upgrade-diff.txt", "-- terminationGracePeriodSeconds: N", PATCHED),
    ("kubeadm-upgrade-apply-phase-control-plane.txt", "-terminationGracePeriodSeconds: N", PATCHED),
];
const PROXIED: &str =
    "the API server proxies to no loopback address, so kubelets of a World have another one";
const PATCHED: &str = "the recorded site had patched its API server, a World has not";

/// What of one answer differs from the recording.
fn differences(recorded: &Recorded, name: &str, answer: &str) -> Result<Vec<String>> {
    let theirs = recorded.text(name)?;
    let shape = if name.ends_with(".json") { shape_of_json } else { shape_of_text };
    let (ours, theirs) = (shape(answer), shape(&theirs));
    anyhow::ensure!(!ours.is_empty(), "{name} has no shape: {answer}");
    let sign = |line: &String| format!("{}{line}", if ours.contains(line) { '+' } else { '-' });
    Ok(ours.symmetric_difference(&theirs).map(sign).collect())
}

/// Asks a World for everything that is recorded of its minor.
async fn collect(world: &World) -> Result<Vec<(String, String)>> {
    let raw = async |path: &str| {
        let request = http::Request::get(path).body(Vec::new())?;
        world.kube.request_text(request).await.with_context(|| path.to_owned())
    };
    let node = format!("/api/v1/nodes/{CONTROL_PLANE}");
    let pods = "/api/v1/namespaces/kube-system/pods?labelSelector=tier%3Dcontrol-plane&fieldSelector=spec.nodeName%3D";
    let machine = world.machine(CONTROL_PLANE);
    let kubeadm = async |command: &str| {
        let output = machine.ssh(&world.keys, command).await?;
        anyhow::ensure!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        anyhow::Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let mut all = vec![
        ("configz.json".to_owned(), pretty(&raw(&format!("{node}/proxy/configz")).await?)?),
        ("metrics.txt".to_owned(), raw(&format!("{node}/proxy/metrics")).await?),
        ("node.json".to_owned(), pretty(&raw(&node).await?)?),
        ("static-pods.json".to_owned(), pretty(&raw(&format!("{pods}{CONTROL_PLANE}")).await?)?),
        (
            "kubeadm-upgrade-diff.txt".to_owned(),
            kubeadm(&format!("kubeadm upgrade diff {}", world.from)).await?,
        ),
    ];
    let patches = "/etc/kubernetes/patches";
    let phase =
        format!("kubeadm upgrade apply phase control-plane --dry-run --patches {patches} {}", world.from);
    all.push((
        "kubeadm-upgrade-apply-phase-control-plane.txt".to_owned(),
        kubeadm(&format!("mkdir -p {patches} && {phase}")).await?,
    ));
    if let Some(target) = next_minor(&world.from) {
        let version = target.bare();
        kubeadm(&format!("cd /tmp && apt-get download kubeadm={version}-* && dpkg-deb -x kubeadm_*.deb x"))
            .await?;
        for (name, words) in [("plan", "plan"), ("diff", "diff"), ("apply-dry-run", "apply --dry-run -y")] {
            let text = kubeadm(&format!("/tmp/x/usr/bin/kubeadm upgrade {words} {target}")).await?;
            all.push((format!("to-v{}-kubeadm-upgrade-{name}.txt", target.minor()), text));
        }
    }
    Ok(all)
}

/// Where the recording of a version's minor goes on to.
fn next_minor(from: &Version) -> Option<Version> {
    (from.minor() == Version::new(1, 35, 0).minor()).then(|| Version::new(1, 36, 3))
}

async fn answers_as_recorded(from: Version) {
    let mut repository = vec![from.clone()];
    repository.extend(next_minor(&from));
    let world = World::builder().workers(1).from(from.clone()).repository(repository).without_products();
    let world = world.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let recorded = Recorded::of(from.minor()).unwrap();
    let answers = collect(&world).await.unwrap_or_else(|error| panic!("{error:#}"));
    let asked: BTreeSet<String> = answers.iter().map(|(name, _)| name.clone()).collect();
    let there: BTreeSet<String> = recorded.texts().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(asked, there, "every recorded answer is asked for");
    let (mut wrong, mut needed) = (Vec::new(), BTreeSet::new());
    for (name, answer) in &answers {
        for difference in differences(&recorded, name, answer).unwrap_or_else(|error| panic!("{error:#}")) {
            let is_it = |(of, what, _): &(&str, &str, &str)| name.ends_with(of) && *what == difference;
            match JUSTIFIED.iter().position(is_it) {
                Some(number) => drop(needed.insert(number)),
                None => wrong.push(format!("{name} {difference}")),
            }
        }
    }
    assert!(wrong.is_empty(), "- is lacking here, + is invented:\n{}", wrong.join("\n"));
    let idle: Vec<_> = (0..JUSTIFIED.len()).filter(|number| !needed.contains(number)).collect();
    assert!(idle.is_empty(), "justified, and does not differ: {idle:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_parts_of_1_36_answer_in_the_shape_of_real_ones() {
    answers_as_recorded(Version::new(1, 36, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_parts_of_1_35_answer_in_the_shape_of_real_ones() {
    answers_as_recorded(Version::new(1, 35, 4)).await;
}
