//! One upgrade, with everything that goes wrong on the way, and what must hold in the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use lockkeeper_rules::api::{GROUP, RunPhase, UpgradeRunStatus, VERSION};
use lockkeeper_rules::version::Version;
use serde_json::json;

use super::cluster::Cluster;
use super::probe::{Counted, Probe};
use super::products::Products;
use super::report::Report;

const RUN: &str = "e2e";
/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long the whole may take.
const UPGRADE: Duration = Duration::from_secs(40 * 60);
/// How long it may stand at one thing before nobody waits any longer.
const STANDSTILL: Duration = Duration::from_secs(10 * 60);
/// How long a killed actuator stays dead.
const DEAD: Duration = Duration::from_secs(3);
/// How far `kubeadm upgrade apply` has got when the actuator is killed.
const INTO_APPLY: Duration = Duration::from_secs(15);

/// How often is looked for a connection that is to be cut.
const CUT_LOOK: Duration = Duration::from_millis(10);
/// Within which time there is one: the actuator asks a node at work every few seconds.
const CONNECTION: Duration = Duration::from_secs(30);

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// The actuator is killed while the first worker is drained.
    KillInDrain,
    /// The actuator is killed in `kubeadm upgrade apply`, when that has got as far as [`INTO_APPLY`].
    KillInApply,
    /// Every SSH connection to the first worker is cut in its mutation.
    CutInMutate,
    /// The actuator is killed in the last worker's mutation.
    KillInMutate,
}

impl Fault {
    const ALL: [Self; 4] = [Self::KillInDrain, Self::KillInApply, Self::CutInMutate, Self::KillInMutate];

    fn name(self) -> String {
        match self {
            Self::KillInDrain => "the actuator was killed in a worker's drain".to_owned(),
            Self::KillInApply => {
                format!("the actuator was killed {} s into kubeadm upgrade apply", INTO_APPLY.as_secs())
            }
            Self::CutInMutate => "SSH was cut in a worker's mutate".to_owned(),
            Self::KillInMutate => "the actuator was killed in a worker's mutate".to_owned(),
        }
    }
}

/// Opens a run and follows it to its end; faults come on the way.
///
/// # Errors
/// The run halts, or does not end in time; the message has its state.
pub(super) async fn upgrade(
    cluster: &Cluster,
    products: &mut Products,
    to: &Version,
    workloads: Vec<(&'static str, Probe)>,
    report: &mut Report,
    say: &dyn Fn(&str),
) -> Result<()> {
    let before = Before::look(cluster).await?;
    let api = Probe::start(format!("{}/readyz", cluster.api_url), Duration::from_secs(1))?;
    let run = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "UpgradeRun",
        "metadata": {"name": RUN, "namespace": "k8s-upgrade"}, "spec": {"target": to.to_string()},
    });
    cluster.kubectl(&["apply", "--filename=-"], &run.to_string()).await?;
    let mut follower = Follower {
        cluster,
        products,
        say,
        steps: Steps::default(),
        faults: BTreeMap::new(),
        apply_since: None,
        shown: String::new(),
        moved_at: Instant::now(),
    };
    let begun = Instant::now();
    let status = follower.follow().await?;
    let Follower { steps, faults, .. } = follower;
    say(&format!("{:?}", status.phase));
    report.figure("the whole run", format!("{} s", begun.elapsed().as_secs()));
    for (step, (since, until)) in &steps.0 {
        report.figure(step, format!("{} s", until.duration_since(*since).as_secs()));
    }
    report.figure("API", counted(api.counted()));
    report.claim(status.phase == RunPhase::Succeeded, "the run succeeds", format!("{:?}", status.phase));
    for fault in Fault::ALL {
        let seen = faults.get(&fault).cloned();
        report.claim(seen.is_some(), fault.name(), seen.unwrap_or_else(|| "it never came to it".to_owned()));
    }
    for (name, probe) in &workloads {
        let figures = probe.counted();
        report.figure(format!("workload {name}"), counted(figures));
        let always = figures.asked > 0 && figures.failed == 0;
        report.claim(always, format!("workload {name} answers all the time"), counted(figures));
    }
    before.compare(cluster, to, report).await
}

fn counted(it: Counted) -> String {
    format!(
        "{} of {} requests failed, at most {} in a row, away for {:.1} s; the slowest answer took {:.1} s",
        it.failed,
        it.asked,
        it.failed_in_a_row_max,
        it.away.as_secs_f64(),
        it.slowest.as_secs_f64()
    )
}

/// When each step began and when it was last seen.
#[derive(Debug, Default)]
struct Steps(Vec<(String, (Instant, Instant))>);

impl Steps {
    fn see(&mut self, step: &str) {
        let now = Instant::now();
        match self.0.iter_mut().find(|(name, _)| name == step) {
            Some((_, (_, until))) => *until = now,
            None => self.0.push((step.to_owned(), (now, now))),
        }
    }
}

struct Follower<'a> {
    cluster: &'a Cluster,
    products: &'a mut Products,
    say: &'a dyn Fn(&str),
    steps: Steps,
    faults: BTreeMap<Fault, String>,
    apply_since: Option<Instant>,
    shown: String,
    moved_at: Instant,
}

impl Follower<'_> {
    async fn follow(&mut self) -> Result<UpgradeRunStatus> {
        let kind = GroupVersionKind::gvk(GROUP, VERSION, "UpgradeRun");
        let kind = ApiResource::from_gvk_with_plural(&kind, "upgraderuns");
        let runs: Api<DynamicObject> = Api::namespaced_with(self.cluster.kube.clone(), "k8s-upgrade", &kind);
        let begun = Instant::now();
        let mut last = None;
        loop {
            // While an API server is away the last answer stands.
            if let Ok(run) = runs.get(RUN).await
                && let Some(status) = run.data.get("status")
            {
                last = Some(serde_json::from_value::<UpgradeRunStatus>(status.clone())?);
            }
            if let Some(status) = &last {
                self.show(status);
                if matches!(status.phase, RunPhase::Succeeded | RunPhase::Halted) {
                    return Ok(status.clone());
                }
                self.spoil(status).await?;
            }
            if begun.elapsed() > UPGRADE || self.moved_at.elapsed() > STANDSTILL {
                let status = last.map(|status| serde_json::to_string_pretty(&status)).transpose()?;
                bail!("the run stands still: {}", status.unwrap_or_else(|| "it has no status".to_owned()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn show(&mut self, status: &UpgradeRunStatus) {
        let stage = status.active.first().and_then(|it| it.stage.clone());
        if let Some(it) = status.active.first() {
            self.steps.see(&it.step);
            if let Some(stage) = &it.stage {
                self.steps.see(&format!("  {} {stage}", it.step));
            }
        }
        let holds: Vec<String> = status
            .holds
            .iter()
            .map(|hold| format!("{} {} {}", hold.reason, hold.subject, hold.detail))
            .collect();
        let text = format!(
            "{:?} {} {} {}",
            status.phase,
            status.summary.step,
            stage.unwrap_or_default(),
            holds.join("; ")
        );
        if text != self.shown {
            (self.say)(&text.chars().take(400).collect::<String>());
            self.shown = text;
            self.moved_at = Instant::now();
        }
    }

    /// Lets go wrong what is due at this point.
    async fn spoil(&mut self, status: &UpgradeRunStatus) -> Result<()> {
        let Some(it) = status.active.first() else { return Ok(()) };
        let stage = it.stage.as_deref().unwrap_or_default();
        let node = it.node.as_ref().map(|node| node.name.0.clone()).unwrap_or_default();
        let is_worker = it.step.starts_with("worker/");
        let last = self.cluster.workers().last().map(|host| host.name.clone()).unwrap_or_default();
        match stage {
            "drain" if is_worker => self.kill(Fault::KillInDrain, &node).await,
            "mutate" if is_worker => self.spoil_mutate(&node, node == last).await,
            "mutate" => {
                let is_applying = !self.cluster.host(&node).processes("kubeadm upgrade apply").is_empty();
                if !is_applying {
                    self.apply_since = None;
                } else if self.apply_since.get_or_insert_with(Instant::now).elapsed() >= INTO_APPLY {
                    self.kill(Fault::KillInApply, &node).await?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A worker may be done within two connections, each of them short: what is looked at now and then misses both.
    async fn spoil_mutate(&mut self, node: &str, is_last: bool) -> Result<()> {
        let begun = Instant::now();
        loop {
            let host = self.cluster.host(node);
            if is_last && !host.processes("/var/lib/lockkeeper/").is_empty() {
                self.kill(Fault::KillInMutate, node).await?;
            }
            if self.faults.contains_key(&Fault::CutInMutate) || begun.elapsed() > CONNECTION {
                return Ok(());
            }
            let cut = host.cut_connections();
            if cut > 0 {
                self.came(Fault::CutInMutate, format!("{node}, {cut} processes of sshd"));
            }
            tokio::time::sleep(CUT_LOOK).await;
        }
    }

    async fn kill(&mut self, fault: Fault, node: &str) -> Result<()> {
        if self.faults.contains_key(&fault) {
            return Ok(());
        }
        self.products.actuator.kill();
        self.came(fault, format!("at {node}, started again {} s later", DEAD.as_secs()));
        tokio::time::sleep(DEAD).await;
        self.products.actuator.launch().context("the actuator")
    }

    fn came(&mut self, fault: Fault, seen: String) {
        (self.say)(&format!("ordered: {} ({seen})", fault.name()));
        self.faults.insert(fault, seen);
    }
}

/// What must be the same afterwards.
struct Before {
    holds: BTreeMap<String, String>,
    cordons: BTreeMap<String, bool>,
    coredns: String,
}

impl Before {
    async fn look(cluster: &Cluster) -> Result<Self> {
        let mut holds = BTreeMap::new();
        for host in &cluster.hosts {
            holds.insert(host.name.clone(), host.run("apt-mark showhold", Duration::from_secs(20)).await?);
        }
        Ok(Self { holds, cordons: cordons(cluster).await?, coredns: coredns(cluster).await? })
    }

    async fn compare(&self, cluster: &Cluster, to: &Version, report: &mut Report) -> Result<()> {
        let after = Self::look(cluster).await?;
        // An empty answer, before or after, is no proof of anything.
        let machines = cluster.hosts.len();
        let is_held = self.holds.values().all(|held| held.contains("kubeadm"));
        report.claim(is_held && after.holds == self.holds, "the holds on packages are as they were", "");
        report.claim(
            after.cordons.len() == machines && after.cordons == self.cordons,
            "no node is left cordoned",
            format!("{:?}", after.cordons),
        );
        if cluster.shape.control_planes == 1 {
            report.claim(
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
        report.claim(
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
            report.claim(upgraded == 1, format!("kubeadm changed {name} once"), format!("{upgraded} times"));
            let begun = count("start ", " upgrade-");
            report.claim(begun == 1, format!("the unit of {name} was begun once"), format!("{begun} times"));
        }
        for host in cluster.control_planes() {
            let manifest = host.read("/etc/kubernetes/manifests/kube-apiserver.yaml").await?;
            report.claim(
                manifest.contains("terminationGracePeriodSeconds: 3\n"),
                format!("the site's own patch of the API server on {} is kept", host.name),
                "",
            );
            // kubeadm's own trace: it keeps the manifests of before, in a new folder each time.
            let folders =
                "shopt -s nullglob; all=(/etc/kubernetes/tmp/kubeadm-backup-manifests-*); echo ${#all[@]}";
            let folders = host.run(folders, Duration::from_secs(10)).await?;
            let claim = format!("kubeadm put the manifests of {} aside once", host.name);
            report.claim(folders.trim() == "1", claim, format!("{} times", folders.trim()));
        }
        servers_run(cluster, &target, report).await?;
        pods_run(cluster, &target, report).await
    }
}

/// Each API server is asked at its own machine: a balancer would hide one that stayed behind.
async fn servers_run(cluster: &Cluster, target: &str, report: &mut Report) -> Result<()> {
    for host in cluster.control_planes() {
        let server = format!("--server=https://{}:6443", host.address);
        let answer = cluster.kubectl(&["get", "--raw=/version", &server], "").await?;
        let answer: serde_json::Value = serde_json::from_str(&answer)?;
        let version = answer["gitVersion"].as_str().unwrap_or_default();
        report.claim(
            version == target,
            format!("the API server of {} answers as {target}", host.name),
            version,
        );
    }
    Ok(())
}

/// What every machine runs in pods is of the target.
async fn pods_run(cluster: &Cluster, target: &str, report: &mut Report) -> Result<()> {
    // Its pods are replaced one after another, and nobody waits for that but us.
    let rollout = ["rollout", "status", "daemonset/kube-proxy", "--namespace=kube-system", "--timeout=50s"];
    let rollout = cluster.kubectl(&rollout, "").await;
    let seen = rollout.as_ref().map_or_else(|error| format!("{error:#}"), |_| String::new());
    report.claim(rollout.is_ok(), "kube-proxy is rolled out", seen);
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
        report.claim(
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
