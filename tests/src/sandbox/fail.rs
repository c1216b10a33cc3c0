//! Faults that a person orders: a step, and how it fails.

use std::fmt;

use anyhow::{Context, Result, bail};
use lockkeeper_rules::words::step::Step;

use super::args::step_named;
use crate::machine::{Fault, Then};
use crate::world::{CONTROL_PLANE, World};

/// SIGKILL.
const KILL: i32 = 9;

/// What shall fail, and how.
#[derive(Debug, Clone)]
pub(super) struct Order {
    step: Step,
    how: String,
    node: String,
    fault: Fault,
}

/// Reads `STEP=HOW`.
pub(super) fn parse(text: &str, steps: &[Step]) -> Result<Order> {
    let (step, how) =
        text.rsplit_once('=').context("--fail wants STEP=HOW, such as worker/worker-1=fail-once")?;
    let (_, step) = step_named(step, steps).context("--fail")?;
    let fault = fault_of(step)
        .with_context(|| format!("--fail {text}: no program on a node does {step}; choose another step"))?;
    let fault = match how {
        "fail" => fault,
        "fail-once" => fault.nth(1),
        "hang" => fault.nth(1).then(Then::Hang),
        "kill" => fault.nth(1).then(Then::Signal(KILL)),
        other => bail!("--fail {text}: {other:?} is no way to fail; choose fail, fail-once, hang or kill"),
    };
    let node = step.node().map_or_else(|| CONTROL_PLANE.to_owned(), |node| node.0.clone());
    Ok(Order { step: step.clone(), how: how.to_owned(), node, fault })
}

/// The call that carries a step.
fn fault_of(step: &Step) -> Option<Fault> {
    match step {
        Step::Preflight => Some(Fault::new("kubeadm", &["upgrade", "plan"])),
        Step::Snapshot => Some(Fault::new("etcdctl", &["snapshot", "save"])),
        Step::Prepare => Some(Fault::new("apt-get", &["--download-only", "install"])),
        Step::ControlPlane(_) => Some(Fault::new("kubeadm", &["upgrade", "apply"]).without("--dry-run")),
        Step::Worker(_) => Some(Fault::new("kubeadm", &["upgrade", "node"])),
        Step::Node(_) | Step::Postflight => None,
    }
}

impl Order {
    /// Whether a unit on a node will never end by itself.
    pub(super) fn hangs(&self) -> bool {
        self.fault.then == Then::Hang
    }

    /// Tells the machine.
    pub(super) fn apply(&self, world: &World) -> Result<()> {
        // Counted from now on, not from the moment at which the command line was read.
        let fault = Fault { since: jiff::Timestamp::now(), ..self.fault.clone() };
        world.machine(&self.node).set_faults(&[fault])
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, how, node, fault } = self;
        write!(f, "{step} will {how}: {} {} on {node}", fault.program, fault.args.join(" "))
    }
}
