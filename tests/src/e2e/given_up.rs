//! A run that is given up after its prepare: each machine has its sources of packages back, and no other was touched.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use lockkeeper_rules::api::{GROUP, VERSION};
use lockkeeper_rules::words::version::Version;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::results::Results;
use crate::wait::wait_for;

const RUN: &str = "given-up";
/// How long it may take until every machine is prepared.
const PREPARED: Duration = Duration::from_secs(600);
/// How long until all is put back.
const PUT_BACK: Duration = Duration::from_secs(60);
const FOLDER: &str = "/etc/apt/sources.list.d";

/// Opens a run that stops after its prepare, and deletes it.
///
/// # Errors
/// It does not get there in time.
pub(super) async fn give_up(
    cluster: &Cluster,
    to: &Version,
    results: &mut Results,
    say: &dyn Fn(&str),
) -> Result<()> {
    let before = sources(cluster).await?;
    let run = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "UpgradeRun",
        "metadata": {"name": RUN, "namespace": "k8s-upgrade"},
        "spec": {"target": to.to_string(), "stopAfter": "prepare"},
    });
    cluster.kubectl(&["apply", "--filename=-"], &run.to_string()).await?;
    let words = ["upgraderuns", "--namespace=k8s-upgrade"];
    wait_for("the run to stop after its prepare", PREPARED, || async move {
        let runs = cluster.get(&words).await?;
        let holds = runs.iter().filter_map(|run| run["status"]["holds"].as_array()).flatten();
        Ok(holds.into_iter().any(|hold| hold["reason"] == "stop_after").then_some(()))
    })
    .await?;
    say("every machine is prepared, and the run is given up");
    let switched = sources(cluster).await?;
    let ours = format!("/v{}/deb", to.minor());
    for (name, of) in &switched {
        let is_only_ours = of.iter().all(|(file, text)| {
            if file == "kubernetes.list" {
                text.contains(&ours)
            } else {
                before[name].get(file) == Some(text)
            }
        });
        results.claim(
            is_only_ours && of.len() > 1,
            format!("prepare switched kubeadm's source of {name} alone"),
            "",
        );
    }
    let name = format!("upgraderun/{RUN}");
    cluster.kubectl(&["delete", &name, "--namespace=k8s-upgrade", "--wait=false"], "").await?;
    wait_for("the run to be gone", PUT_BACK, || async move {
        let runs: Vec<Value> = cluster.get(&words).await?;
        Ok(runs.is_empty().then_some(()))
    })
    .await?;
    let after = sources(cluster).await?;
    let seen = format!("{} machines", after.len());
    results.claim(after == before, "a run that was given up gave every source back as it was", seen);
    Ok(())
}

/// The files of sources of each machine, by name.
async fn sources(cluster: &Cluster) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
    let mut all = BTreeMap::new();
    for host in &cluster.hosts {
        let names = host.run(&format!("ls {FOLDER}"), Duration::from_secs(10)).await?;
        let mut of = BTreeMap::new();
        for name in names.lines() {
            of.insert(name.to_owned(), host.read(&format!("{FOLDER}/{name}")).await?);
        }
        all.insert(host.name.clone(), of);
    }
    Ok(all)
}
