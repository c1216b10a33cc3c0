//! What a script may say, one command a line:
//!
//! ```text
//! # words for whoever reads it
//! cluster 1 control plane 2 workers            comes first; `by Jobs` at its end for the other driver
//! workers 3 at a time, halt at 2 failures      spec.workers.concurrency, spec.workers.maxFailures
//! attempts 1                                   attempts_max
//! pause | resume | retry | delete              what people do with a run
//! gate fires | gate clears
//! budgets refuse | budgets allow               evictions
//! w-3 fails | w-3 works                        every upgrade of this node
//! until TEXT                                   takes turns until a line of the transcript contains this
//! skip to TEXT                                 the same, and shows that line only
//! kill before TEXT                             takes turns until a command with this is stored, and dies instead
//! kill                                         the process dies between two turns
//! advance 10m                                  takes turns for so long
//! show                                         where the run stands, and everything that it waits for
//! ```

use std::time::Duration;

use jiff::SignedDuration;
use lockkeeper_rules::run::Order;

use crate::simulated::{Faults, Simulated};
use crate::transcript::Transcript;
use crate::words;

/// A session with more turns than this has no end.
const TURNS_MAX: usize = 5_000;
/// How long it takes until another process has begun.
const RESTART: Duration = Duration::from_secs(3);

/// A script at work.
pub(crate) struct Session {
    cluster: Simulated,
    transcript: Transcript,
}

impl Session {
    /// The transcript of a script.
    pub(crate) fn play(script: &str) -> String {
        let is_command = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let mut commands = script.lines().filter(is_command);
        let mut session = Self::begin(commands.next().unwrap_or_default());
        let mut has_begun = false;
        for line in script.lines() {
            session.transcript.command(line);
            if is_command(&line) && std::mem::replace(&mut has_begun, true) {
                session.command(line);
            }
        }
        session.transcript.text()
    }

    fn begin(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let without_jobs = words.strip_suffix(&["by", "Jobs"]);
        let new = if without_jobs.is_some() { Simulated::with_jobs } else { Simulated::new };
        let ["cluster", control_planes, "control", "plane" | "planes", workers, "worker" | "workers"] =
            without_jobs.unwrap_or(&words)
        else {
            panic!("{line:?} is no cluster");
        };
        let cluster = new(number(control_planes), number(workers), 1, Faults::default());
        let transcript = Transcript::new(&cluster);
        Self { cluster, transcript }
    }

    fn command(&mut self, line: &str) {
        let parts: Vec<&str> = line.split(' ').collect();
        let cluster = &mut self.cluster;
        match parts[..] {
            ["workers", concurrency, "at", "a", "time,", "halt", "at", max_failures, "failures"] => {
                let workers = &mut cluster.run.spec.workers;
                (workers.concurrency, workers.max_failures) = (number(concurrency), number(max_failures));
            }
            ["attempts", attempts] => cluster.give_up_after(number(attempts)),
            ["pause"] => cluster.run.spec.paused = true,
            ["resume"] => cluster.run.spec.paused = false,
            ["retry"] => cluster.retry_what_halted(),
            ["delete"] => cluster.run.deleting = true,
            ["gate", "fires"] => {
                cluster.gate_is_shut = true;
                cluster.forget_check();
            }
            ["gate", "clears"] => cluster.gate_is_shut = false,
            ["budgets", "refuse"] => cluster.evictions_are_refused = true,
            ["budgets", "allow"] => cluster.evictions_are_refused = false,
            [node, "fails"] => cluster.failing_node = Some(node.to_owned()),
            [_, "works"] => cluster.failing_node = None,
            ["advance", time] => {
                let end = cluster.now() + time.parse::<SignedDuration>().unwrap();
                self.turns(|_| false, |session| session.cluster.now() >= end);
            }
            ["until", ..] => self.until(&parts[1..].join(" ")),
            ["skip", "to", ..] => {
                let (text, begun) = (parts[2..].join(" "), self.transcript.length());
                self.until(&text);
                self.transcript.keep_only(&text, begun);
            }
            ["kill"] => self.kill(),
            ["kill", "before", ..] => {
                let text = parts[2..].join(" ");
                self.turns(|order| words::of(&order.command).contains(&text), |_| false);
            }
            ["show"] => self.transcript.show(cluster),
            _ => panic!("no command: {line:?}"),
        }
    }

    /// Takes turns until a line contains this text.
    fn until(&mut self, text: &str) {
        let begun = self.transcript.length();
        self.turns(|_| false, |session| session.transcript.says(text, begun));
    }

    /// Takes turns until it is enough, or until a fatal command is stored and about to be carried out.
    fn turns(&mut self, is_fatal: impl Fn(&Order) -> bool, is_enough: impl Fn(&Self) -> bool) {
        for _ in 0..TURNS_MAX {
            let (at, decided) = (self.cluster.now(), self.cluster.decide_and_store().expect("no faults"));
            self.transcript.stored(at, &decided);
            if decided.decision.orders.iter().any(&is_fatal) {
                self.transcript.never_carried_out(at, &decided);
                return self.kill();
            }
            self.cluster.carry_out(decided.decision.clone());
            self.transcript.carried_out(at, &decided, &self.cluster);
            if is_enough(self) {
                return;
            }
        }
        panic!("no end after {TURNS_MAX} turns:\n{}", self.transcript.text());
    }

    /// Whatever is known only to the process is lost.
    fn kill(&mut self) {
        self.cluster.crash_now();
        self.cluster.pass(RESTART);
    }
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}
