//! One upgrade, with everything that goes wrong on the way, and what must hold in the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use lockkeeper_rules::api::{GROUP, RunPhase, UpgradeRunStatus, VERSION};
use lockkeeper_rules::words::version::Version;
use serde_json::json;

use super::cluster::Cluster;
use super::outcome::Before;
use super::probe::{Counted, Probe};
use super::products::Products;
use super::results::Results;

const RUN: &str = "e2e";
/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long the whole may take.
const UPGRADE: Duration = Duration::from_secs(40 * 60);
/// How long it may stand at one thing before nobody waits any longer.
const STANDSTILL: Duration = Duration::from_secs(10 * 60);
/// How long a killed actuator stays dead.
const DEAD: Duration = Duration::from_secs(3);
/// How long a service of a machine may take to stop or to start.
const SERVICE: Duration = Duration::from_secs(30);
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
    /// The last worker is not reached, and has not what prepare has fetched for it, when its turn comes.
    Absent,
    /// The actuator is killed in the last worker's mutation.
    KillInMutate,
}

impl Fault {
    const ALL: [Self; 4] = [Self::KillInDrain, Self::KillInApply, Self::CutInMutate, Self::KillInMutate];
    /// Where another worker comes before it.
    const OF_SEVERAL_WORKERS: [Self; 1] = [Self::Absent];

    fn name(self) -> String {
        match self {
            Self::KillInDrain => "the actuator was killed in a worker's drain".to_owned(),
            Self::KillInApply => {
                format!("the actuator was killed {} s into kubeadm upgrade apply", INTO_APPLY.as_secs())
            }
            Self::CutInMutate => "SSH was cut in a worker's mutate".to_owned(),
            Self::Absent => "the last worker had no sshd and nothing that was fetched when its turn came, and stayed in service".to_owned(),
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
    results: &mut Results,
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
        is_absent: false,
        shown: String::new(),
        moved_at: Instant::now(),
    };
    let begun = Instant::now();
    let status = follower.follow().await?;
    let Follower { steps, faults, .. } = follower;
    say(&format!("{:?}", status.phase));
    results.figure("the whole run", format!("{} s", begun.elapsed().as_secs()));
    for (step, (since, until)) in &steps.0 {
        results.figure(step, format!("{} s", until.duration_since(*since).as_secs()));
    }
    results.figure("API", counted(api.counted()));
    results.claim(status.phase == RunPhase::Succeeded, "the run succeeds", format!("{:?}", status.phase));
    let mut faults_due = Fault::ALL.to_vec();
    if cluster.shape.workers > 1 {
        faults_due.extend(Fault::OF_SEVERAL_WORKERS);
        let prepared = status.history.iter().filter(|it| it.step == "prepare" && it.event == "finished");
        let prepared = prepared.count();
        results.claim(
            prepared == 2,
            "a worker whose packages were gone was prepared again",
            format!("{prepared} times"),
        );
    }
    for fault in faults_due {
        let seen = faults.get(&fault).cloned();
        results.claim(seen.is_some(), fault.name(), seen.unwrap_or_else(|| "it never came to it".to_owned()));
    }
    for (name, probe) in &workloads {
        let figures = probe.counted();
        results.figure(format!("workload {name}"), counted(figures));
        let always = figures.asked > 0 && figures.failed == 0;
        results.claim(always, format!("workload {name} answers all the time"), counted(figures));
    }
    before.compare(cluster, to, results).await
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

/// When each step, and each stage of one, began and was last seen; once more for each time that it was begun.
#[derive(Debug, Default)]
struct Steps(Vec<(String, (Instant, Instant))>);

impl Steps {
    fn see(&mut self, step: &str) {
        let now = Instant::now();
        let is_stage = |name: &str| name.starts_with(' ');
        let before = self.0.iter_mut().rfind(|(name, _)| is_stage(name) == is_stage(step));
        match before {
            Some((name, (_, until))) if name == step => *until = now,
            Some(_) | None => self.0.push((step.to_owned(), (now, now))),
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
    is_absent: bool,
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
                self.take_away(status).await?;
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

    /// Takes the last worker away while the first is changed, until it is seen that its turn has come in vain.
    async fn take_away(&mut self, status: &UpgradeRunStatus) -> Result<()> {
        let workers = self.cluster.workers();
        let (Some(first), Some(last)) = (workers.first(), workers.last()) else { return Ok(()) };
        if workers.len() == 1 || self.faults.contains_key(&Fault::Absent) {
            return Ok(());
        }
        let is_first = status.active.iter().any(|it| it.step == format!("worker/{}", first.name));
        if is_first && !self.is_absent {
            last.run("systemctl stop ssh && apt-get clean", SERVICE).await?;
            // Connections that stand outlive their server.
            let _none = last.cut_connections();
            self.is_absent = true;
        }
        let is_waiting = status.waiting.as_ref().is_some_and(|it| {
            it.step == format!("worker/{}", last.name)
                && it.because.iter().any(|it| it.reason == "ssh_unreachable" && it.subject == last.name)
        });
        if self.is_absent && is_waiting {
            let nodes = self.cluster.get(&["nodes"]).await?;
            let is_in_service = |node: &serde_json::Value| {
                node["metadata"]["name"] == last.name.as_str() && node["spec"]["unschedulable"] != json!(true)
            };
            last.run("systemctl start ssh", SERVICE).await?;
            if nodes.iter().any(is_in_service) {
                self.came(Fault::Absent, last.name.clone());
            }
        }
        Ok(())
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
