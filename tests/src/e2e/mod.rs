//! The end-to-end run: real machines, a real kubeadm cluster, real observers, and both products, which upgrade it
//! while they are killed and cut off.
//!
//! ```text
//!   the harness's own network namespace
//!   ├─ bridge ─┬─ cp-1 …      host.rs: systemd, sshd, containerd, kubelet, on a disk of its own
//!   │          └─ worker-1 …
//!   ├─ supplies.rs            registry and packages
//!   ├─ products.rs            Prometheus, Alertmanager, exporter, actuator
//!   └─ probe.rs               asks the API and the workload all the time
//! ```
//!
//! Nothing of it is seen on the host but processes and cgroups, and both are gone with the harness.

mod cgroup;
mod cluster;
mod given_up;
mod host;
mod network;
mod outcome;
mod outside;
mod probe;
mod products;
mod record;
mod results;
mod supplies;
mod upgrade;
mod workload;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Parser;
use lockkeeper_rules::words::version::Version;
use tokio::signal::unix::{SignalKind, signal};

use crate::run_folder::RunFolder;
use cluster::{Cluster, Shape};
use products::Products;
use results::Results;

/// Upgrades a real kubeadm cluster and says what it cost.
#[derive(Debug, Parser)]
// `make e2e-ha` names a version, and whoever calls it may name another.
#[command(name = "e2e", args_override_self = true)]
struct Args {
    /// How many control-plane machines; more than one stand behind a balancer
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    control_planes: u8,
    /// How many workers
    #[arg(long, default_value_t = 2, value_name = "NUMBER")]
    workers: u8,
    /// The version that runs at the start
    #[arg(long, default_value = "v1.35.4", value_name = "VERSION")]
    from: Version,
    /// The version to upgrade to
    #[arg(long, default_value = "v1.36.3", value_name = "VERSION")]
    to: Version,
    /// Only make the cluster, start both programs, and stay until Ctrl-C
    #[arg(long)]
    stay: bool,
    /// Record what the real parts answer, in tests/recorded
    #[arg(long)]
    record: bool,
    /// Given by the part that watches over the host's side
    #[arg(long, hide = true)]
    inside: bool,
}

/// What `make e2e` starts. The answer is the exit code.
///
/// # Errors
/// The cluster cannot be made, or the run does not end.
pub fn main() -> Result<u8> {
    let args = Args::parse();
    if !rustix::process::getuid().is_root() {
        bail!("machines are made from namespaces and cgroups, which needs root: run `sudo -E make e2e`");
    }
    if !args.inside {
        return outside::watch_over_the_host();
    }
    if !(1..=5).contains(&args.control_planes) || !(1..=9).contains(&args.workers) {
        bail!("choose 1 to 5 control planes and 1 to 9 workers");
    }
    if args.control_planes == 1 && args.workers == 1 {
        bail!("the pods of a lone worker need another machine: choose more workers or more control planes");
    }
    tokio::runtime::Runtime::new()?.block_on(inside(&args))
}

async fn inside(args: &Args) -> Result<u8> {
    let mut terminate = signal(SignalKind::terminate())?;
    let run = Arc::new(RunFolder::create()?);
    let result = tokio::select! {
        result = go(args, &run) => result,
        _ = tokio::signal::ctrl_c() => Ok(130),
        _ = terminate.recv() => Ok(143),
    };
    if !matches!(result, Ok(0)) {
        run.keep_logs();
    }
    result
}

async fn go(args: &Args, run: &Arc<RunFolder>) -> Result<u8> {
    let begun = Instant::now();
    let say = move |text: &str| println!("{:>4} s  {text}", begun.elapsed().as_secs());
    let Args { control_planes, workers, ref from, ref to, stay, record, .. } = *args;
    println!("upgrading {from} to {to}: {control_planes} control plane(s), {workers} worker(s)");
    let shape = Shape { control_planes, workers, from: from.clone() };
    let cluster = Cluster::start(run, shape, &say).await?;
    let probes = workload::deploy(&cluster).await?;
    say("the workloads answer");
    let mut products = Products::start(run, &cluster).await?;
    say("the exporter and the actuator are ready");
    if stay {
        println!(
            "kubectl: {} --kubeconfig={}\nexporter: {}\nlogs: {}",
            crate::parts::kubernetes(from, "kubectl")?.display(),
            cluster.admin.display(),
            products.exporter.url,
            run.path().join("logs").display(),
        );
        std::future::pending::<()>().await;
    }
    let mut results = Results::default();
    // Before it is written anew.
    let recorded = record::read()?;
    let keep = |recording: &record::Recording| if record { record::write(recording) } else { Ok(()) };
    let mut recording = record::ask(&cluster, from, Some(to)).await?;
    keep(&recording)?;
    if from.minor() != to.minor() {
        given_up::give_up(&cluster, to, &mut results, &say).await?;
    }
    upgrade::upgrade(&cluster, &mut products, to, probes, &mut results, &say).await?;
    if results.failed() == 0 && from.minor() != to.minor() {
        recording.extend(record::ask(&cluster, to, None).await?);
        keep(&recording)?;
    }
    if record {
        // What nobody had recorded before there is nothing to hold against.
        recording.retain(|name, _| recorded.contains_key(name));
    }
    record::compare(&recorded, &recording, &mut results);
    print!("{results}");
    Ok(u8::from(results.failed() > 0))
}
