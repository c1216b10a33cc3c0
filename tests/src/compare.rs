//! `make bench`: how long it takes from the question to the end of the answer, as whole processes.
//!
//! Everyone asks the same API server and the same Prometheus, in turn, so that what slows the machine down slows all of
//! them. The first gate is a program of its own that is not part of this repository: without its path it is not measured.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::PostParams;
use lockkeeper_rules::facts::Matrix;
use serde_json::json;
use tokio::process::Command;

use crate::part::User;
use crate::{World, parts};

/// How often each is asked. The first time is not counted: it reads its program from the disk.
const ROUNDS: usize = 12;
/// How long one answer may take.
const ANSWER_SECONDS_MAX: u64 = 60;
/// A minor ahead: the first gate looks at no add-on for a patch.
const TARGET: &str = "1.37.0";

/// Measures how long a verdict takes as a whole process, beside the first gate.
#[derive(Debug, Parser)]
#[command(name = "compare")]
struct Args {
    /// The first gate: compat-gate.py
    seed: Option<PathBuf>,
}

/// A command that is run again and again.
struct TimedCommand {
    name: &'static str,
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(&'static str, String)>,
    /// What is written to its standard input.
    input: Option<PathBuf>,
    millis: Vec<f64>,
    answer: String,
}

/// Measures and prints.
///
/// # Errors
/// A part cannot be started, an answer does not come, or the first gate and its likeness do not say the same.
pub async fn main() -> Result<()> {
    let Args { seed } = Args::parse();
    let mut world = World::builder().without_products().start().await?;
    world.exporter.start().await?;
    let count = Matrix::built_in().addons.value.0.len();
    addons(&world, count).await?;
    let mut commands = vec![curl(&world), strict(&world).await?, like_the_first(&world).await?];
    if let Some(seed) = seed.filter(|path| !path.as_os_str().is_empty()) {
        commands.push(first_gate(&world, &seed).await?);
    }
    for round in 0..ROUNDS {
        for one in &mut commands {
            one.ask(round > 0).await.with_context(|| one.name.to_owned())?;
        }
    }
    print(&commands, count);
    same_words(&commands)
}

/// Deployments without pods: only their images are looked at. The first gate has a row for each, as many as ours has rows
/// of its own.
async fn addons(world: &World, count: usize) -> Result<()> {
    let deployments = Api::<Deployment>::namespaced(world.kube.clone(), "kube-system");
    for number in 0..count {
        let name = format!("addon-{number}");
        let image = format!("registry.example.com/{name}:v1.2.3");
        let deployment = json!({"metadata": {"name": name}, "spec": {"replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image}]}}}});
        deployments.create(&PostParams::default(), &serde_json::from_value(deployment)?).await?;
    }
    let rows = (0..count).map(|number| {
        let name = format!("addon-{number}");
        json!({"name": name, "namespace": "kube-system", "kind": "deploy", "resource": name,
            "image_re": format!("{name}:v(\\d+\\.\\d+)"), "max_k8s": {"1.0": "1.37"}})
    });
    let matrix = json!({"addons": rows.collect::<Vec<_>>(), "containerd_min": {"1.37": "1.6"}});
    world.folder.write("matrix.json", matrix.to_string()).map(drop)
}

fn matrix(world: &World) -> PathBuf {
    world.folder.path().join("matrix.json")
}

async fn kubeconfig(world: &World) -> String {
    world.control_plane.lock().await.apiserver.kubeconfig(User::Exporter).display().to_string()
}

fn curl(world: &World) -> TimedCommand {
    let url = format!("{}/verdict?target=v{TARGET}", world.exporter.url);
    TimedCommand::new("curl /verdict", "curl".into(), ["--silent".to_owned(), "--fail".to_owned(), url])
}

async fn strict(world: &World) -> Result<TimedCommand> {
    let kubeconfig = format!("--kubeconfig={}", kubeconfig(world).await);
    let config = format!("--config.file={}", world.exporter.config_file().display());
    let args = ["verdict".to_owned(), format!("v{TARGET}"), kubeconfig, config];
    Ok(TimedCommand::new("lockkeeper-exporter verdict", parts::own("lockkeeper-exporter")?, args))
}

async fn like_the_first(world: &World) -> Result<TimedCommand> {
    let args = [
        "verdict".to_owned(),
        TARGET.to_owned(),
        format!("--kubeconfig={}", kubeconfig(world).await),
        format!("--matrix={}", matrix(world).display()),
        format!("--prometheus={}", world.prometheus.url),
    ];
    Ok(TimedCommand::new("the same with the first gate's matrix", parts::own("lockkeeper-exporter")?, args))
}

/// The interpreter itself, and not a script that looks for one: that would be measured too.
async fn first_gate(world: &World, seed: &Path) -> Result<TimedCommand> {
    let seed = seed.canonicalize().with_context(|| format!("{}: check SEED", seed.display()))?;
    let found = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().await;
    let found = found.context("python3 cannot be started")?;
    let python = PathBuf::from(String::from_utf8(found.stdout)?.trim());
    let kubectl = parts::kubernetes_folder(&world.from)?.display().to_string();
    let path = format!("{kubectl}:{}", std::env::var("PATH").unwrap_or_default());
    let mut command =
        TimedCommand::new("the first gate", python, [seed.display().to_string(), TARGET.to_owned()]);
    command.env =
        vec![("PATH", path), ("KUBECONFIG", kubeconfig(world).await), ("PROM", world.prometheus.url.clone())];
    command.input = Some(matrix(world));
    Ok(command)
}

impl TimedCommand {
    fn new<const N: usize>(name: &'static str, program: PathBuf, args: [String; N]) -> Self {
        let (args, env) = (args.to_vec(), Vec::new());
        Self { name, program, args, env, input: None, millis: Vec::new(), answer: String::new() }
    }

    async fn ask(&mut self, is_counted: bool) -> Result<()> {
        let input = match &self.input {
            Some(path) => std::fs::File::open(path)?.into(),
            None => Stdio::null(),
        };
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().cloned()).stdin(input).kill_on_drop(true);
        let began = Instant::now();
        let ended = tokio::time::timeout(Duration::from_secs(ANSWER_SECONDS_MAX), command.output());
        let output = ended.await.context("no answer in time")??;
        let millis = began.elapsed().as_secs_f64() * 1_000.0;
        // An answer is an answer, whatever it says; a program that has broken off has said nothing.
        self.answer = String::from_utf8(output.stdout)?;
        ensure!(!self.answer.is_empty(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        if is_counted {
            self.millis.push(millis);
        }
        Ok(())
    }

    fn median(&self) -> f64 {
        median(&self.millis)
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The first gate is the last one, if it is there.
fn of_the_first(commands: &[TimedCommand]) -> Option<&TimedCommand> {
    commands.last().filter(|one| one.input.is_some())
}

fn print(commands: &[TimedCommand], count: usize) {
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let rounds = ROUNDS - 1;
    println!(
        "from question to answer, median of {rounds} (least to most), {count} add-ons, {cpus} processors"
    );
    let first = of_the_first(commands);
    for one in commands {
        let least = one.millis.iter().copied().fold(f64::INFINITY, f64::min);
        let most = one.millis.iter().copied().fold(0.0, f64::max);
        let ratio = first.filter(|first| first.name != one.name).map(|first| {
            let pairs: Vec<f64> = first.millis.iter().zip(&one.millis).map(|(of, to)| of / to).collect();
            format!("  {:.1} times faster than the first gate", median(&pairs))
        });
        let (name, median, ratio) = (one.name, one.median(), ratio.unwrap_or_default());
        println!("{name:<38} {median:>8.1} ms ({least:.1} to {most:.1}){ratio}");
    }
    if first.is_none() {
        println!("{:<38} not measured: make bench SEED=/path/to/compat-gate.py", "the first gate");
    }
}

/// A ratio of different answers would say nothing.
fn same_words(commands: &[TimedCommand]) -> Result<()> {
    let Some(first) = of_the_first(commands) else { return Ok(()) };
    let likeness = commands.iter().rev().nth(1).map(|one| one.answer.as_str()).unwrap_or_default();
    ensure!(likeness == first.answer, "the answers differ:\n{likeness}\n{}", first.answer);
    Ok(())
}
