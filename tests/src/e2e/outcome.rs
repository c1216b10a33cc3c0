//! What must hold when the upgrade is over.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use lockkeeper_rules::words::version::Version;
use serde_json::json;

use super::cluster::{BACKUP, Cluster};
use super::results::Results;

/// What must be the same afterwards.
pub(super) struct Before {
    holds: BTreeMap<String, String>,
    cordons: BTreeMap<String, bool>,
    coredns: String,
}

impl Before {
    pub(super) async fn look(cluster: &Cluster) -> Result<Self> {
        let mut holds = BTreeMap::new();
        for host in &cluster.hosts {
            holds.insert(host.name.clone(), host.run("apt-mark showhold", Duration::from_secs(20)).await?);
        }
        Ok(Self { holds, cordons: cordons(cluster).await?, coredns: coredns(cluster).await? })
    }

    pub(super) async fn compare(&self, cluster: &Cluster, to: &Version, results: &mut Results) -> Result<()> {
        let after = Self::look(cluster).await?;
        // An empty answer, before or after, is no proof of anything.
        let machines = cluster.hosts.len();
        let is_held = self.holds.values().all(|held| held.contains("kubeadm"));
        results.claim(is_held && after.holds == self.holds, "the holds on packages are as they were", "");
        results.claim(
            after.cordons.len() == machines && after.cordons == self.cordons,
            "no node is left cordoned",
            format!("{:?}", after.cordons),
        );
        if cluster.shape.control_planes == 1 {
            results.claim(
                !after.coredns.is_empty() && after.coredns == self.coredns,
                "CoreDNS is left alone, as its phase is skipped",
                after.coredns.clone(),
            );
        }
        let nodes = cluster.get(&["nodes"]).await?;
        let versions: Vec<String> = nodes
            .iter()
            .map(|node| node["status"]["nodeInfo"]["kubeletVersion"].as_str().unwrap_or_default().to_owned())
            .collect();
        let target = to.to_string();
        results.claim(
            versions.len() == machines && versions.iter().all(|version| *version == target),
            format!("every kubelet runs {target}"),
            versions.join(", "),
        );
        for host in &cluster.hosts {
            let ledger = host.read("/var/lib/lockkeeper/ledger").await?;
            let count = |word: &str, about: &str| {
                ledger.lines().filter(|line| line.starts_with(word) && line.contains(about)).count()
            };
            let name = &host.name;
            let upgraded = count("did ", "kubeadm ");
            results.claim(upgraded == 1, format!("kubeadm changed {name} once"), format!("{upgraded} times"));
            let begun = count("start ", " upgrade-");
            results.claim(begun == 1, format!("the unit of {name} was begun once"), format!("{begun} times"));
        }
        for host in cluster.control_planes() {
            let manifest = host.read("/etc/kubernetes/manifests/kube-apiserver.yaml").await?;
            results.claim(
                manifest.contains("terminationGracePeriodSeconds: 3\n"),
                format!("the site's own patch of the API server on {} is kept", host.name),
                "",
            );
            // kubeadm's own trace: it keeps the manifests of before, in a new folder each time.
            let folders =
                "shopt -s nullglob; all=(/etc/kubernetes/tmp/kubeadm-backup-manifests-*); echo ${#all[@]}";
            let folders = host.run(folders, Duration::from_secs(10)).await?;
            let claim = format!("kubeadm put the manifests of {} aside once", host.name);
            results.claim(folders.trim() == "1", claim, format!("{} times", folders.trim()));
        }
        snapshots_lie(cluster, results).await?;
        servers_run(cluster, &target, results).await?;
        pods_run(cluster, &target, results).await
    }
}

/// Each snapshot and its copy are what nobody else may read, and etcd's own volume has none of it.
async fn snapshots_lie(cluster: &Cluster, results: &mut Results) -> Result<()> {
    let host = &cluster.control_planes()[0];
    let script = format!(
        "set -e; cd /var/lib/lockkeeper/snapshots\n\
         for one in *.db; do copy=$(echo {BACKUP}/*-${{one#lockkeeper-}}); cmp $one $copy; stat -c %a $one $copy; done\n\
         ls -A /var/lib/etcd"
    );
    let seen = host.run(&script, Duration::from_secs(20)).await.unwrap_or_else(|error| format!("{error:#}"));
    let lines: Vec<&str> = seen.lines().collect();
    let holds = match &lines[..] {
        [modes @ .., "member"] => !modes.is_empty() && modes.iter().all(|mode| *mode == "600"),
        _ => false,
    };
    results.claim(
        holds,
        "each snapshot and its copy are alike, for root alone, and off etcd's volume",
        lines.join(", "),
    );
    Ok(())
}

/// Each API server is asked at its own machine: a balancer would hide one that stayed behind.
async fn servers_run(cluster: &Cluster, target: &str, results: &mut Results) -> Result<()> {
    for host in cluster.control_planes() {
        let server = format!("--server=https://{}:6443", host.address);
        let answer = cluster.kubectl(&["get", "--raw=/version", &server], "").await?;
        let answer: serde_json::Value = serde_json::from_str(&answer)?;
        let version = answer["gitVersion"].as_str().unwrap_or_default();
        results.claim(
            version == target,
            format!("the API server of {} answers as {target}", host.name),
            version,
        );
    }
    Ok(())
}

/// What every machine runs in pods is of the target.
async fn pods_run(cluster: &Cluster, target: &str, results: &mut Results) -> Result<()> {
    // Its pods are replaced one after another, and nobody waits for that but us.
    let rollout = ["rollout", "status", "daemonset/kube-proxy", "--namespace=kube-system", "--timeout=50s"];
    let rollout = cluster.kubectl(&rollout, "").await;
    let seen = rollout.as_ref().map_or_else(|error| format!("{error:#}"), |_| String::new());
    results.claim(rollout.is_ok(), "kube-proxy is rolled out", seen);
    let control_planes = cluster.control_planes().len();
    for (label, name, count) in [
        ("component", "kube-apiserver", control_planes),
        ("component", "kube-controller-manager", control_planes),
        ("component", "kube-scheduler", control_planes),
        ("k8s-app", "kube-proxy", cluster.hosts.len()),
    ] {
        let selector = format!("--selector={label}={name}");
        let pods = cluster.get(&["pods", "--namespace=kube-system", &selector]).await?;
        let image = |pod: &serde_json::Value| {
            pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
        };
        let images: Vec<String> = pods.iter().map(image).collect();
        results.claim(
            images.len() == count && images.iter().all(|image| image.ends_with(&format!(":{target}"))),
            format!("each of {count} {name} is of {target}"),
            images.join(", "),
        );
    }
    Ok(())
}

async fn cordons(cluster: &Cluster) -> Result<BTreeMap<String, bool>> {
    let nodes = cluster.get(&["nodes"]).await?;
    let of = |node: &serde_json::Value| {
        let name = node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        (name, node["spec"]["unschedulable"] == json!(true))
    };
    Ok(nodes.iter().map(of).collect())
}

async fn coredns(cluster: &Cluster) -> Result<String> {
    let words = ["get", "deployment/coredns", "--namespace=kube-system", "--output=jsonpath={..image}"];
    cluster.kubectl(&words, "").await
}
