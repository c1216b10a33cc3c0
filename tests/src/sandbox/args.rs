//! The command line.

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use lockkeeper_rules::words::step::Step;
use lockkeeper_rules::words::version::Version;
use serde_json::{Value, json};

const FAIL_HELP: &str = "Let a step fail, such as worker/worker-1=fail-once. HOW is one of

  fail        the program that carries the step ends with exit code 1, each time
  fail-once   the same, the first time only: the next attempt goes through
  hang        the program never ends, the first time
  kill        the program is killed, the first time

Every step but postflight can fail: nothing on a node does postflight.";

const STEPS_HELP: &str =
    "STEP is preflight, snapshot, prepare, control-plane/cp-1, worker/worker-1 and so on, or postflight.";

/// Shows a whole upgrade of a small cluster of real parts, live.
#[derive(Debug, Parser)]
#[command(name = "sandbox", after_help = STEPS_HELP)]
pub(super) struct Args {
    /// How many workers, from 1 to 20
    #[arg(long, default_value_t = 2, value_name = "NUMBER")]
    pub(super) workers: usize,
    /// The version that runs at the start
    #[arg(long, default_value = "v1.36.1", value_name = "VERSION")]
    pub(super) from: Version,
    /// The version to upgrade to
    #[arg(long, default_value = "v1.36.3", value_name = "VERSION")]
    pub(super) to: Version,
    /// End when the run is over, or stands still for 5 minutes; exit code 0 only if it succeeded
    #[arg(long)]
    pub(super) exit: bool,
    /// Start nothing from this step on, until you press Enter or change the run as the screen says
    #[arg(long, value_name = "STEP")]
    pub(super) pause_before: Option<String>,
    /// Let a step fail: HOW is fail, fail-once, hang or kill
    #[arg(long, value_name = "STEP=HOW", long_help = FAIL_HELP)]
    pub(super) fail: Option<String>,
    /// Closes or opens the gate of the running sandbox
    #[arg(long, hide = true)]
    pub(super) gate: Option<Gate>,
}

/// What to do with the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Gate {
    /// Fire a gate alert.
    Close,
    /// Clear it.
    Open,
}

/// More would not fit one network, nor one screen.
const WORKERS_MAX: usize = 20;

impl Args {
    /// The steps that the run will have.
    pub(super) fn steps(&self) -> Result<Vec<Step>> {
        if !(1..=WORKERS_MAX).contains(&self.workers) {
            bail!("--workers {}: choose a number from 1 to {WORKERS_MAX}", self.workers);
        }
        Ok(super::steps_of(self.workers))
    }
}

/// One of the steps, by its name.
pub(super) fn step_named<'a>(text: &str, steps: &'a [Step]) -> Result<(usize, &'a Step)> {
    let found = steps.iter().enumerate().find(|(_, step)| step.to_string() == text);
    let names: Vec<String> = steps.iter().map(Step::to_string).collect();
    found
        .ok_or_else(|| anyhow::anyhow!("{text:?} is no step of this run; choose one of {}", names.join(", ")))
}

/// What a person writes into a run so that it stands before a step, and what lets it go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pause {
    /// Before this step.
    pub(super) before: Step,
    /// What is put into the spec.
    pub(super) spec: Value,
    /// What replaces it there.
    pub(super) release: Value,
}

/// A run is told after which step to stop; before the first one it is paused.
pub(super) fn pause_before(text: &str, steps: &[Step]) -> Result<Pause> {
    let (n, step) = step_named(text, steps).context("--pause-before")?;
    let (spec, release) = match n.checked_sub(1) {
        None => (json!({"paused": true}), json!({"paused": false})),
        Some(n) => (json!({"stopAfter": steps[n].to_string()}), json!({"stopAfter": null})),
    };
    Ok(Pause { before: step.clone(), spec, release })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_before_a_step_is_a_stop_after_the_one_before_it() {
        let steps = super::super::steps_of(2);
        let spec = |text: &str| pause_before(text, &steps).map(|pause| pause.spec);
        assert_eq!(spec("worker/worker-2").unwrap(), json!({"stopAfter": "worker/worker-1"}));
        assert_eq!(spec("postflight").unwrap(), json!({"stopAfter": "worker/worker-2"}));
        assert_eq!(spec("preflight").unwrap(), json!({"paused": true}));
        for text in ["worker/worker-9", ""] {
            assert!(spec(text).is_err(), "{text}");
        }
    }
}
