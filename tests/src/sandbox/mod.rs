//! The sandbox: a World for people to look at, with one upgrade shown live.

mod args;
mod board;
mod control;
mod fail;
mod screen;
mod watch;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use lockkeeper_rules::api::{RunPhase, UpgradeRunStatus};
use lockkeeper_rules::words::step::Step;
use lockkeeper_rules::words::version::Version;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::parts;
use crate::recorded::Recorded;
use crate::world::{CONTROL_PLANE, Workload, World};
use args::{Args, Pause};
use control::Published;
use screen::Screen;
use watch::Watch;

/// The name of the run that is shown.
const RUN: &str = "sandbox";
/// How long a node's part of an upgrade takes: long enough to be watched.
const PACE: Duration = Duration::from_secs(2);
/// How long a unit may run where one was ordered to hang: nobody wants to watch it for longer.
const HANG_SECONDS_MAX: u64 = 45;
/// The exit code of what was interrupted.
const INTERRUPTED: u8 = 130;
/// The exit code of a command line that a person must mend.
const USAGE: u8 = 3;

/// What `make sandbox`, `make gate-close` and `make gate-open` start. The answer is the exit code.
///
/// # Errors
/// The World cannot be started, or ends in the middle.
pub async fn main() -> Result<u8> {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let is_wrong = error.use_stderr();
            // Nobody is left to be told if the terminal is gone.
            let _told = error.print();
            return Ok(if is_wrong { USAGE } else { 0 });
        }
    };
    if let Some(gate) = args.gate {
        return control::send(gate).await.map(|()| 0);
    }
    match Sandbox::new(&args) {
        Ok(sandbox) => sandbox.show().await,
        Err(error) => {
            eprintln!("sandbox: {error:#}; --help tells more");
            Ok(USAGE)
        }
    }
}

/// What is shown.
struct Sandbox<'a> {
    args: &'a Args,
    steps: Vec<Step>,
    fault: Option<fail::Order>,
    pause: Option<Pause>,
    /// How it ends from now on if somebody ends it.
    code: Cell<u8>,
}

impl<'a> Sandbox<'a> {
    fn new(args: &'a Args) -> Result<Self> {
        if args.to <= args.from {
            bail!("--to {} is not newer than --from {}: choose a newer one", args.to, args.from);
        }
        // What kubelets of these minors say is shown, and not what somebody believes of them.
        for version in [&args.from, &args.to] {
            Recorded::of(version.minor())?;
        }
        let steps = args.steps()?;
        Ok(Self {
            args,
            fault: args.fail.as_deref().map(|text| fail::parse(text, &steps)).transpose()?,
            pause: args.pause_before.as_deref().map(|text| args::pause_before(text, &steps)).transpose()?,
            steps,
            code: Cell::new(INTERRUPTED),
        })
    }

    async fn show(&self) -> Result<u8> {
        get_parts(self.args)?;
        let mut screen = Screen::new();
        // Ctrl-C must find the World where dropping it ends every process.
        let shown = tokio::select! {
            shown = self.upgrade(&mut screen) => Some(shown),
            () = interrupted() => None,
        };
        screen.leave();
        shown.unwrap_or_else(|| {
            screen::print("\n  Everything is ended.\n");
            Ok(self.code.get())
        })
    }

    async fn upgrade(&self, screen: &mut Screen) -> Result<u8> {
        let world = self.start(screen).await?;
        let control = control::publish(&world)?;
        screen.say(&addresses(&world, &control));
        if let Some(order) = &self.fault {
            order.apply(&world)?;
            screen.say(&format!("  As ordered: {order}.\n\n"));
        }
        let mut spec = self.pause.as_ref().map_or_else(|| json!({}), |pause| pause.spec.clone());
        spec["target"] = json!(self.args.to.to_string());
        world.create_run(RUN, spec).await?;
        let begun = Instant::now();
        let (steps, pause, exit) = (&self.steps, self.pause.as_ref(), self.args.exit);
        let watch = Watch { world: &world, control: &control, steps, pause, exit };
        let last = watch.follow(screen).await?;
        screen.say(&summary(&world, &last, begun.elapsed()).await);
        let code = u8::from(last.phase != RunPhase::Succeeded);
        if exit {
            if code != 0 {
                world.folder.keep_logs();
            }
            return Ok(code);
        }
        screen.say(&addresses(&world, &control));
        screen.say("  It stays up until Ctrl-C.\n");
        self.code.set(code);
        std::future::pending().await
    }

    async fn start(&self, screen: &Screen) -> Result<World> {
        let Args { workers, from, to, .. } = self.args;
        let started = Instant::now();
        let spinner = screen.spinner("starting etcd, Kubernetes, Prometheus, Alertmanager, sshd", "15 s");
        let hangs = self.fault.as_ref().is_some_and(fail::Order::hangs);
        let world = World::builder()
            .workers(*workers)
            .from(from.clone())
            .repository(repository(from, to))
            .pace(PACE)
            .settings(|settings| {
                settings.soak_seconds = 1;
                if hangs {
                    settings.unit_seconds_max = HANG_SECONDS_MAX;
                }
            })
            .start()
            .await?;
        // With one worker only, a budget would never let its last pod go: there is nowhere else.
        let shop = Workload::new("shop", 2);
        world.deploy(&if *workers == 1 { shop } else { shop.min_available(1) }).await?;
        let s = if *workers == 1 { "" } else { "s" };
        spinner.done(&format!("1 control plane and {workers} worker{s} at {from}"), started.elapsed());
        Ok(world)
    }
}

/// Ends when somebody wants an end: Ctrl-C, a signal, or the terminal that is closed.
async fn interrupted() {
    let signal = |kind| signal(kind).expect("a signal handler can be installed");
    let (mut terminate, mut hang_up) = (signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
}

/// Kubernetes under the labels of both versions; what is there is left alone.
fn get_parts(args: &Args) -> Result<()> {
    if [&args.from, &args.to].iter().all(|version| parts::kubernetes(version, "kubectl").is_ok()) {
        return Ok(());
    }
    let setup = concat!(env!("CARGO_MANIFEST_DIR"), "/setup");
    let status =
        as_owner(&parts::folder(), setup)?.args([args.from.to_string(), args.to.to_string()]).status()?;
    if !status.success() {
        bail!("{setup} failed");
    }
    Ok(())
}

/// A program run as whoever a folder belongs to. With sudo we are root, and what root builds or caches in the folders of
/// somebody else, they could neither change nor remove.
fn as_owner(folder: &Path, program: &str) -> Result<Command> {
    let owner = folder.metadata().with_context(|| format!("{}: run `make setup` first", folder.display()))?;
    if !rustix::process::getuid().is_root() || owner.uid() == 0 {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("setpriv");
    let (uid, gid) = (owner.uid().to_string(), owner.gid().to_string());
    command.args(["--reuid", &uid, "--regid", &gid, "--init-groups", "--", program]);
    Ok(command)
}

/// Every patch of both minors up to the target, as a repository has them.
fn repository(from: &Version, to: &Version) -> Vec<Version> {
    let of = |version: &Version| {
        let minor = version.minor();
        (0..=version.patch())
            .map(move |patch| Version::new(minor.major, minor.minor, patch))
            .collect::<Vec<_>>()
    };
    let mut versions = of(to);
    if from.minor() != to.minor() {
        versions.extend(of(from));
    }
    versions.sort();
    versions
}

fn addresses(world: &World, control: &Published) -> String {
    format!(
        "\n  status page   {0}/\n  verdict       {0}/verdict\n  metrics       {0}/metrics\n                {1}/metrics\n  \
         Prometheus    {2}\n  Alertmanager  {3}\n  kubectl       {4} get upgraderuns\n  logs          {5}\n  \
         gate          make gate-close fires a gate alert, make gate-open clears it\n\n",
        world.exporter.url,
        world.actuator.url,
        world.prometheus.url,
        world.alertmanager.url,
        control.kubectl.display(),
        world.folder.path().join("logs").display(),
    )
}

async fn summary(world: &World, status: &UpgradeRunStatus, took: Duration) -> String {
    let nodes = nodes(world).await;
    let end = match &status.halted {
        Some(halt) => format!("Halted at {}", halt.step),
        None => format!("{:?}", status.phase),
    };
    let snapshot = status.snapshot.as_ref();
    let snapshot =
        snapshot.map_or_else(|| "none".to_owned(), |s| format!("{} bytes on {}", s.size_bytes, s.node));
    format!("\n  {end} after {} s\n  nodes         {nodes}\n  etcd snapshot {snapshot}\n", took.as_secs(),)
}

/// Every node with its version, and whether it is cordoned.
async fn nodes(world: &World) -> String {
    let versions = world.kubelet_versions().await.unwrap_or_default();
    let cordons: BTreeMap<String, bool> = world.cordons().await.unwrap_or_default().into_iter().collect();
    let node = |(name, version): &(String, String)| {
        let cordoned = if cordons.get(name) == Some(&true) { " (cordoned)" } else { "" };
        format!("{name} {version}{cordoned}")
    };
    versions.iter().map(node).collect::<Vec<_>>().join(", ")
}

/// The steps of a run on a World of so many workers, in order: nodes go by name.
fn steps_of(workers: usize) -> Vec<Step> {
    let mut workers: Vec<String> = (1..=workers).map(|n| format!("worker-{n}")).collect();
    workers.sort();
    [Step::Preflight, Step::Snapshot, Step::Prepare, Step::ControlPlane(CONTROL_PLANE.into())]
        .into_iter()
        .chain(workers.iter().map(|name| Step::Worker(name.as_str().into())))
        .chain([Step::Postflight])
        .collect()
}

/// A message that ends the program, with its causes.
///
/// # Errors
/// Never: it only has the shape that `main` wants.
pub fn exit_code(result: Result<u8>) -> Result<std::process::ExitCode> {
    match result {
        Ok(code) => Ok(code.into()),
        Err(error) => {
            eprintln!("sandbox: {error:#}");
            Ok(1.into())
        }
    }
}
