//! The commands that are under way, each in a task of its own. What a command has learnt comes back when it ends; until then
//! nothing is decided for whom it is.

use std::collections::BTreeSet;

use lockkeeper_rules::words::name::Token;
use tokio::task::JoinSet;

use crate::memory::Memory;

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The uid of the run.
    pub run: String,
    /// The running step, by its token; nothing for the run itself.
    pub step: Option<Token>,
    /// What is known for it now.
    pub memory: Memory,
}

/// Every command that has been started and is not taken back.
#[derive(Debug, Default)]
pub struct UnderWay {
    tasks: JoinSet<Ended>,
    of: BTreeSet<(String, Option<Token>)>,
    ended: Vec<Ended>,
}

impl UnderWay {
    /// Starts a command. At most one may be under way for a step, and for a run itself.
    pub fn start(
        &mut self,
        run: &str,
        step: Option<Token>,
        command: impl Future<Output = Ended> + Send + 'static,
    ) {
        let is_first = self.of.insert((run.to_owned(), step));
        debug_assert!(is_first, "nothing is decided for whom a command is under way");
        self.tasks.spawn(command);
    }

    /// Waits until a command ends; for ever if none is under way. A wait that is given up loses nothing.
    pub async fn one_has_ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(ended)) => self.ended.push(ended),
            // It is never aborted. A panic is a defect that must not leave its step without a hand for ever.
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => std::future::pending().await,
        }
    }

    /// What has ended since this was asked last.
    pub fn ended(&mut self) -> Vec<Ended> {
        while let Some(ended) = self.tasks.try_join_next() {
            self.ended.push(ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())));
        }
        for Ended { run, step, .. } in &self.ended {
            self.of.remove(&(run.clone(), step.clone()));
        }
        std::mem::take(&mut self.ended)
    }

    /// Whether any command is under way.
    #[must_use]
    pub fn is_any(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// For whom of a run a command is under way.
    #[must_use]
    pub fn of(&self, run: &str) -> Vec<Option<Token>> {
        self.of.iter().filter(|(of, _)| of == run).map(|(_, step)| step.clone()).collect()
    }
}
