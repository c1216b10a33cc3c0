//! A tree as a list of steps, which a matcher can take without recursion.

use super::tree::{Fold, Greed, Letters, Node, Place};

/// A test of one character, with its answers for ASCII.
pub(super) struct Test {
    letters: Letters,
    ascii: u128,
}

impl Test {
    fn new(letters: Letters) -> Self {
        let passes = (0..128_u8).filter(|byte| letters.has(char::from(*byte)));
        let ascii = passes.fold(0, |ascii, byte| ascii | 1 << byte);
        Self { letters, ascii }
    }

    /// What it costs to ask it. Beyond ASCII each member is asked, and where case is passed over each in several letters.
    pub(super) fn cost(&self, letter: char) -> usize {
        if letter.is_ascii() { 1 } else { self.weight() }
    }

    fn weight(&self) -> usize {
        let of_member = if self.letters.fold == Fold::No { 1 } else { 8 };
        1 + self.letters.members.len() * of_member
    }

    pub(super) fn passes(&self, letter: char) -> bool {
        if letter.is_ascii() { self.ascii >> u32::from(letter) & 1 == 1 } else { self.letters.has(letter) }
    }
}

/// How often something is repeated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    pub(super) low: usize,
    /// None is without end.
    pub(super) high: Option<usize>,
}

impl Count {
    pub(super) fn allows_more(self, done: usize) -> bool {
        self.high.is_none_or(|high| done < high)
    }
}

/// Numbers of steps are places in the list. What has an end is followed by its body.
pub(super) enum Step {
    Letter(Test),
    Place(Place),
    Again {
        group: usize,
        fold: Fold,
    },
    /// A group opens (even) or closes (odd).
    Mark(usize),
    Jump(usize),
    /// Each branch ends in a jump.
    Branches(Vec<usize>),
    /// Goes on if the group has matched, and elsewhere if not.
    IfGroup {
        group: usize,
        otherwise: usize,
    },
    /// Of what is one character wide.
    RepeatLetter {
        test: Test,
        count: Count,
        greed: Greed,
    },
    /// Begins at its end, where it is asked whether to repeat.
    Repeat {
        end: usize,
    },
    Until {
        body: usize,
        count: Count,
        is_lazy: bool,
    },
    Possessive {
        count: Count,
        end: usize,
    },
    Atomic {
        end: usize,
    },
    Look {
        behind: usize,
        is_negated: bool,
        end: usize,
    },
    /// The end of the pattern, and of each part that is matched on its own.
    Done,
}

impl Step {
    /// What it has cost to make: the answers for ASCII.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Letter(test) | Self::RepeatLetter { test, .. } => test.weight() * 16,
            _ => 0,
        }
    }
}

/// The steps of a tree.
pub(super) fn program(nodes: Vec<Node>) -> Vec<Step> {
    let mut steps = Vec::new();
    add_all(nodes, &mut steps);
    steps.push(Step::Done);
    steps
}

fn add_all(nodes: Vec<Node>, steps: &mut Vec<Step>) {
    nodes.into_iter().for_each(|node| add(node, steps));
}

/// Keeps a place for a step that knows what comes after it.
fn later(steps: &mut Vec<Step>) -> usize {
    steps.push(Step::Done);
    steps.len() - 1
}

fn set(steps: &mut [Step], place: usize, step: Step) {
    if let Some(kept) = steps.get_mut(place) {
        *kept = step;
    }
}

/// Adds what is matched on its own.
fn alone(inner: Vec<Node>, steps: &mut Vec<Step>, step: impl FnOnce(usize) -> Step) {
    let opening = later(steps);
    add_all(inner, steps);
    steps.push(Step::Done);
    let end = steps.len();
    set(steps, opening, step(end));
}

fn add(node: Node, steps: &mut Vec<Step>) {
    match node {
        Node::Letters(letters) => steps.push(Step::Letter(Test::new(letters))),
        Node::Place(place) => steps.push(Step::Place(place)),
        Node::Again { group, fold } => steps.push(Step::Again { group, fold }),
        Node::Capture { group, inner } => {
            steps.push(Step::Mark(group * 2 - 2));
            add_all(inner, steps);
            steps.push(Step::Mark(group * 2 - 1));
        }
        Node::Flagged(inner) | Node::Plain(inner) => add_all(inner, steps),
        Node::Branches(all) => {
            let opening = later(steps);
            let (mut starts, mut jumps) = (Vec::new(), Vec::new());
            for branch in all {
                starts.push(steps.len());
                add_all(branch, steps);
                jumps.push(later(steps));
            }
            let end = steps.len();
            jumps.into_iter().for_each(|jump| set(steps, jump, Step::Jump(end)));
            set(steps, opening, Step::Branches(starts));
        }
        Node::Condition { group, yes, no } => {
            let opening = later(steps);
            add_all(yes, steps);
            let jump = later(steps);
            let otherwise = steps.len();
            add_all(no, steps);
            let end = steps.len();
            set(steps, jump, Step::Jump(end));
            set(steps, opening, Step::IfGroup { group, otherwise });
        }
        Node::Atomic(inner) => alone(inner, steps, |end| Step::Atomic { end }),
        Node::Look { behind, is_negated, inner } => {
            alone(inner, steps, |end| Step::Look { behind, is_negated, end });
        }
        Node::Repeat { inner, low, high, greed } => {
            let count = Count { low: low as usize, high: high.map(|high| high as usize) };
            repeat(inner, count, greed, steps);
        }
    }
}

fn repeat(inner: Vec<Node>, count: Count, greed: Greed, steps: &mut Vec<Step>) {
    let inner = match letter(inner) {
        Ok(letters) => {
            steps.push(Step::RepeatLetter { test: Test::new(letters), count, greed });
            return;
        }
        Err(inner) => inner,
    };
    if greed == Greed::Possessive {
        alone(inner, steps, |end| Step::Possessive { count, end });
        return;
    }
    let opening = later(steps);
    add_all(inner, steps);
    let end = steps.len();
    set(steps, opening, Step::Repeat { end });
    let body = opening + 1;
    steps.push(Step::Until { body, count, is_lazy: greed == Greed::Lazy });
}

/// What is one test of one character, and no group.
fn letter(mut nodes: Vec<Node>) -> Result<Letters, Vec<Node>> {
    match nodes.pop() {
        Some(Node::Letters(letters)) if nodes.is_empty() => Ok(letters),
        Some(Node::Flagged(inner)) if nodes.is_empty() => {
            letter(inner).map_err(|inner| vec![Node::Flagged(inner)])
        }
        last => {
            nodes.extend(last);
            Err(nodes)
        }
    }
}
