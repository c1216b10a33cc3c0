//! What this process has learnt about a run since it began to lead. It is lost with the process, and with it nothing
//! but time: whatever is not remembered is asked again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lockkeeper_rules::api::SilenceRecord;
use lockkeeper_rules::drain::AttachedVolume;
use lockkeeper_rules::driver::looked::Looked;
use lockkeeper_rules::driver::order::Read;
use lockkeeper_rules::driver::reading::Sight;
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::reason::Finding;
use lockkeeper_rules::run::{Acted, Command, Known, ReadBack, VolumesRead};
use lockkeeper_rules::words::name::{NodeName, Token};

use crate::channel::Deliveries;
use crate::live_check::TimedResult;

/// The memory of one run.
#[derive(Debug, Default)]
pub struct RunMemory {
    /// The silences that the run is to keep, as of the last live check that could tell.
    silences: Option<Vec<SilenceRecord>>,
    /// When the last steps of nodes were over.
    nodes_finished: Vec<Instant>,
    /// The version of the run that people were told of: that it cannot be read, or is not served.
    announced_version: Option<String>,
    /// It could not be told once, and is told after the others.
    failed_to_announce: bool,
    /// Which notices the channels have had.
    pub deliveries: Deliveries,
    /// What was learnt for the run itself, and for each running step. It is with the command while one is under way.
    learnt: BTreeMap<Option<Token>, Memory>,
}

/// How many ends of nodes' steps are remembered: more cannot soak at a time.
const FINISHED_LENGTH_MAX: usize = 40;

impl RunMemory {
    /// Takes out what was learnt for a step or for the run itself, for a command that adds to it.
    pub fn take(&mut self, step: Option<&Token>) -> Memory {
        let learnt = self.learnt.remove(&step.cloned()).unwrap_or_default();
        // Only a check brings silences back: those of an older one must not take the place of what another step saw since.
        Memory { silences: None, ..learnt }
    }

    /// Puts it back once the command has ended.
    pub fn put(&mut self, step: Option<Token>, memory: Memory) {
        self.silences = memory.silences.clone().or(self.silences.take());
        self.learnt.insert(step, memory);
    }

    /// Forgets every live check: somebody said that a gate fires, so they are worth nothing.
    pub fn forget_checks(&mut self) {
        self.learnt.values_mut().for_each(Memory::forget_check);
    }

    /// Forgets the steps that run no more.
    pub fn keep_only<'a>(&mut self, running: impl Iterator<Item = &'a Token>) {
        let running: BTreeSet<&Token> = running.collect();
        self.learnt.retain(|step, _| step.as_ref().is_none_or(|token| running.contains(token)));
    }

    /// Remembers that so many steps of nodes are over.
    pub fn nodes_finished(&mut self, count: u32) {
        self.nodes_finished.extend((0..count).map(|_| Instant::now()));
        let excess = self.nodes_finished.len().saturating_sub(FINISHED_LENGTH_MAX);
        self.nodes_finished.drain(..excess);
    }

    /// Whether nobody was told yet why nothing is done for the run as it is now.
    pub fn is_news(&mut self, version: &str) -> bool {
        self.announced_version.replace(version.to_owned()).as_deref() != Some(version)
    }

    /// People were not told after all.
    pub fn announce_failed(&mut self) {
        self.announced_version = None;
        self.failed_to_announce = true;
    }

    /// Whether telling people has failed before.
    #[must_use]
    pub fn has_failed_to_announce(&self) -> bool {
        self.failed_to_announce
    }

    /// Everything that is known of a step or of the run itself, with its age now.
    #[must_use]
    pub fn known(&self, step: Option<&Token>, now: Timestamp) -> Known {
        let learnt = self.learnt.get(&step.cloned()).map(|memory| memory.known(now)).unwrap_or_default();
        Known {
            silences: self.silences.clone(),
            nodes_finished_ago: self.nodes_finished.iter().map(Instant::elapsed).collect(),
            ..learnt
        }
    }
}

/// What was learnt for one running step, or for the run itself.
#[derive(Debug, Default)]
pub struct Memory {
    /// The last live check.
    check: Option<TimedResult>,
    /// The silences that the last live check saw that could tell.
    silences: Option<Vec<SilenceRecord>>,
    /// The last reading of what became of something.
    read: Option<(Read, Result<Progress, Finding>, Instant)>,
    /// The last reading of the volumes on a node.
    volumes: Option<(NodeName, Result<Vec<AttachedVolume>, Finding>, Instant)>,
    /// The last look at nodes.
    looked: Option<(Looked<Sight>, Instant)>,
    /// The last mutation.
    act: Option<(Command, Vec<Finding>, Instant)>,
    /// The last command of any kind but a check, if it failed.
    failed: Option<(Command, Vec<Finding>, Instant)>,
}

impl Memory {
    /// Remembers a live check. A silence that it saw outlives it.
    pub fn checked(&mut self, timed: TimedResult, silences: Option<Vec<SilenceRecord>>) {
        self.check = Some(timed);
        self.silences = silences.or(self.silences.take());
    }

    /// The last live check.
    #[must_use]
    pub fn check(&self) -> Option<&TimedResult> {
        self.check.as_ref()
    }

    /// Forgets the live check.
    pub fn forget_check(&mut self) {
        self.check = None;
    }

    /// Remembers what became of something. It is as old as the question: what came after that may be missing in it.
    pub fn read(&mut self, order: Read, result: Result<Progress, Finding>, asked: Instant) {
        self.read = Some((order, result, asked));
    }

    /// Remembers which volumes are attached to a node. This too is as old as the question.
    pub fn volumes_read(
        &mut self,
        node: NodeName,
        result: Result<Vec<AttachedVolume>, Finding>,
        asked: Instant,
    ) {
        self.volumes = Some((node, result, asked));
    }

    /// Remembers what was seen of the nodes.
    pub fn looked(&mut self, at: Timestamp, nodes: Vec<(NodeName, Result<Sight, Finding>)>) {
        self.looked = Some((Looked { at, age: Duration::ZERO, nodes }, Instant::now()));
    }

    /// Remembers a mutation and how it went.
    pub fn acted(&mut self, command: Command, findings: Vec<Finding>) {
        self.act = Some((command, findings, Instant::now()));
    }

    /// Remembers a command that failed; one that went well takes the place of the failure before it.
    pub fn ended(&mut self, command: &Command, findings: &[Finding]) {
        self.failed = (!findings.is_empty()).then(|| (command.clone(), findings.to_vec(), Instant::now()));
    }

    /// Everything, with its age now.
    #[must_use]
    pub fn known(&self, now: Timestamp) -> Known {
        Known {
            check: self.check.as_ref().map(|timed| timed.checked(now)),
            silences: self.silences.clone(),
            read: self.read.as_ref().map(|(order, result, at)| ReadBack {
                order: order.clone(),
                age: at.elapsed(),
                result: result.clone(),
            }),
            volumes: self.volumes.as_ref().map(|(node, result, at)| VolumesRead {
                node: node.clone(),
                age: at.elapsed(),
                result: result.clone(),
            }),
            looked: self.looked.as_ref().map(|(looked, at)| Looked { age: at.elapsed(), ..looked.clone() }),
            act: self.act.as_ref().map(acted),
            failed: self.failed.as_ref().map(acted),
            nodes_finished_ago: Vec::new(),
        }
    }
}

fn acted((command, findings, at): &(Command, Vec<Finding>, Instant)) -> Acted {
    Acted { command: command.clone(), age: at.elapsed(), findings: findings.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_step_saw_of_silences_does_not_take_the_place_of_what_another_saw_since() {
        let silence = SilenceRecord {
            id: "s".to_owned(),
            matchers: String::new(),
            created_by: String::new(),
            comment: String::new(),
            ends_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        let mut memory = RunMemory::default();
        let token: Token = "u.7.1.a".parse().unwrap();
        let first = Memory { silences: Some(Vec::new()), ..memory.take(Some(&token)) };
        memory.put(Some(token.clone()), first);
        let other = Memory { silences: Some(vec![silence.clone()]), ..memory.take(None) };
        memory.put(None, other);
        // The first reads something else, and makes no check.
        let reading = memory.take(Some(&token));
        memory.put(Some(token), reading);
        assert_eq!(memory.known(None, Timestamp::UNIX_EPOCH).silences, Some(vec![silence]));
    }
}
