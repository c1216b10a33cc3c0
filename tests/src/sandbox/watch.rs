//! Follows the run, shows it, and says what a person can do where it stands still.

use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp;
use kube::core::response::StatusDetails;
use lockkeeper_rules::api::{Halt, RunPhase, UpgradeRunStatus};
use lockkeeper_rules::reason::Reason;
use lockkeeper_rules::words::step::Step;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::args::Pause;
use super::board::{Board, one_line};
use super::control::Published;
use super::screen::Screen;
use super::{RUN, nodes};
use crate::world::World;

/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long one look may take: the API server is away for some seconds in the middle of a run.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// How long a run may stand where it stands when nobody is there to look: much longer than any step here takes.
const STANDS_SECONDS_MAX: i64 = 300;

/// What is watched, and what a person has asked for.
pub(super) struct Watch<'a> {
    pub(super) world: &'a World,
    pub(super) control: &'a Published,
    pub(super) steps: &'a [Step],
    pub(super) pause: Option<&'a Pause>,
    /// Whether a halt is the end.
    pub(super) exit: bool,
}

impl Watch<'_> {
    /// Shows the run until it is over.
    pub(super) async fn follow(&self, screen: &mut Screen) -> Result<UpgradeRunStatus> {
        let mut board = Board::new(self.steps, Timestamp::now());
        let mut entered = self.pause.and_then(|_| read_enter());
        let (mut told_pause, mut told_halt, mut told_nodes) = (false, None, None);
        loop {
            match tokio::time::timeout(LOOK_MAX, self.world.run_status(RUN)).await {
                Ok(Ok(Some(status))) => {
                    told_nodes = None;
                    board.update(&status, Timestamp::now());
                    screen.show(&board);
                    if self.is_over(&status) {
                        screen.leave();
                        return Ok(status);
                    }
                    if let Some(pause) = self.pause.filter(|_| !told_pause && is_paused(&status)) {
                        told_pause = true;
                        screen.say(&self.how_to_go_on(pause, entered.is_some()));
                    }
                    if let Some(halt) = status.halted.filter(|halt| told_halt.as_ref() != Some(halt)) {
                        screen.say(&self.how_to_retry(&halt));
                        told_halt = Some(halt);
                    }
                }
                // Not stored yet.
                Ok(Ok(None)) => {}
                Ok(Err(error)) if is_deleted(&error) => {
                    board.deleted(Timestamp::now());
                    screen.show(&board);
                    if self.exit {
                        screen.leave();
                        bail!("the run was deleted");
                    }
                    // What is left of it are the nodes, as they are and as people change them.
                    if let Ok(nodes) = tokio::time::timeout(LOOK_MAX, nodes(self.world)).await
                        && told_nodes.as_ref() != Some(&nodes)
                    {
                        screen.say(&format!("\n  The run was deleted; the nodes are {nodes}\n\n"));
                        told_nodes = Some(nodes);
                    }
                }
                Ok(Err(_)) | Err(_) => {
                    board.not_updated(Timestamp::now());
                    screen.show(&board);
                }
            }
            self.check_products()?;
            let stands = board.stands_seconds(Timestamp::now());
            if self.exit && stands > STANDS_SECONDS_MAX {
                screen.leave();
                bail!("the run has stood still for {stands} s: {}", board.at_work());
            }
            if wait(&mut entered).await {
                screen.entered();
                self.go_on(told_pause).await?;
            }
        }
    }

    fn is_over(&self, status: &UpgradeRunStatus) -> bool {
        match status.phase {
            RunPhase::Succeeded => true,
            RunPhase::Halted => self.exit,
            RunPhase::Queued | RunPhase::Waiting | RunPhase::Running | RunPhase::Ending => false,
        }
    }

    fn check_products(&self) -> Result<()> {
        for service in [&self.world.exporter.service, &self.world.actuator.service] {
            if service.process().is_none() {
                bail!("{} has ended; its log:\n{}", service.name(), crate::process::tail(&service.log(), 20));
            }
        }
        Ok(())
    }

    /// Lets the run go on, if it stands where it was told to.
    async fn go_on(&self, is_paused: bool) -> Result<()> {
        match self.pause {
            Some(pause) if is_paused => self.world.patch_run(RUN, pause.release.clone()).await,
            Some(_) | None => Ok(()),
        }
    }

    fn how_to_go_on(&self, pause: &Pause, by_enter: bool) -> String {
        let enter = if by_enter { "Press Enter to go on, or say" } else { "To go on say" };
        format!("\n  Paused before {}. {enter}\n    {}\n\n", pause.before, self.patch(&pause.release))
    }

    fn how_to_retry(&self, halt: &Halt) -> String {
        let retry = json!({"retry": [{"step": halt.step, "attempt": halt.attempt}]});
        format!(
            "\n  Halted, a person must look: {}\n  To let it be tried again say\n    {}\n\n",
            one_line(&halt.finding),
            self.patch(&retry),
        )
    }

    /// The command that changes the run's spec.
    fn patch(&self, spec: &Value) -> String {
        let kubectl = self.control.kubectl.display();
        format!("{kubectl} patch upgraderun {RUN} --type=merge -p '{}'", json!({"spec": spec}))
    }
}

/// Whether the API server says that there is no such run, and not that it does not know what a run is: it starts anew in
/// the middle of one.
fn is_deleted(error: &anyhow::Error) -> bool {
    let Some(kube::Error::Api(status)) = error.downcast_ref() else { return false };
    let is_of_run = |details: &StatusDetails| details.name == RUN;
    status.is_not_found() && status.details.as_ref().is_some_and(is_of_run)
}

fn is_paused(status: &UpgradeRunStatus) -> bool {
    let codes = [Reason::StopAfter.code(), Reason::Paused.code()];
    status.holds.iter().any(|hold| codes.contains(&hold.reason.as_str()))
}

/// Tells of each Enter; nothing if nobody can press it.
fn read_enter() -> Option<UnboundedReceiver<()>> {
    if !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return None;
    }
    let (sender, receiver) = unbounded_channel();
    // It may wait for ever, and ends with the program.
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            if line.is_err() || sender.send(()).is_err() {
                break;
            }
        }
    });
    Some(receiver)
}

/// Waits until it is time to look again; whether Enter was pressed.
async fn wait(entered: &mut Option<UnboundedReceiver<()>>) -> bool {
    let Some(receiver) = entered else {
        tokio::time::sleep(LOOK).await;
        return false;
    };
    match tokio::time::timeout(LOOK, receiver.recv()).await {
        Ok(Some(())) => true,
        Ok(None) => {
            *entered = None;
            false
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_that_is_not_there_was_deleted() {
        let not_found = |details: Value| {
            let status = json!({"status": "Failure", "code": 404, "reason": "NotFound", "message": "", "details": details});
            anyhow::Error::from(kube::Error::Api(serde_json::from_value(status).unwrap()))
        };
        assert!(is_deleted(&not_found(
            json!({"name": RUN, "group": "lockkeeper.dev", "kind": "upgraderuns"})
        )));
        // An API server that has just started may not know the kind yet.
        assert!(!is_deleted(&not_found(Value::Null)));
        assert!(!is_deleted(&not_found(json!({}))));
        assert!(!is_deleted(&anyhow::anyhow!("no answer")));
    }
}
