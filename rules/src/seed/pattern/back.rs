//! The way back: what is kept of each choice, and what is tried next.

use super::marks::Saved;
use super::matcher::{Matcher, Next};
use super::program::Step;

/// A repeat that is under way.
pub(super) struct Round {
    pub(super) until: usize,
    /// How many times its body was begun.
    pub(super) done: usize,
    /// Where the body was begun last without need.
    pub(super) last: Option<usize>,
    pub(super) outer: Option<usize>,
}

/// What to do where the steps do not fit.
pub(super) enum Back {
    Branch {
        step: usize,
        next: usize,
        at: usize,
        saved: Saved,
    },
    /// One character less.
    Fewer {
        tail: usize,
        at: usize,
        spare: usize,
        saved: Saved,
    },
    /// One character more.
    More {
        step: usize,
        at: usize,
        done: usize,
        saved: Saved,
    },
    /// The repeat was begun.
    Repeat,
    /// The body was asked because it had to match.
    Needed,
    /// The body was asked because it might match: now the rest.
    Body {
        at: usize,
        last: Option<usize>,
        saved: Saved,
    },
    /// The rest was asked after the last body.
    Rest {
        round: usize,
    },
    /// The rest was asked before one more body.
    LazyRest {
        round: usize,
        at: usize,
        saved: Saved,
    },
    LazyBody {
        last: Option<usize>,
    },
    /// Something began that is matched on its own.
    Alone(Alone),
}

pub(super) struct Alone {
    pub(super) step: usize,
    pub(super) at: usize,
    pub(super) done: usize,
    pub(super) saved: Option<Saved>,
    pub(super) round: Option<usize>,
    pub(super) rounds: usize,
}

impl Back {
    /// What it counts for among all that is kept.
    pub(super) fn size(&self) -> usize {
        1 + match self {
            Self::Branch { saved, .. }
            | Self::Fewer { saved, .. }
            | Self::More { saved, .. }
            | Self::Body { saved, .. }
            | Self::LazyRest { saved, .. } => saved.size(),
            Self::Alone(alone) => alone.saved.as_ref().map_or(0, Saved::size),
            Self::Repeat | Self::Needed | Self::Rest { .. } | Self::LazyBody { .. } => 0,
        }
    }
}

impl Matcher<'_> {
    /// Goes back to where something else may be tried.
    pub(super) fn returns(&mut self, back: Back) -> Next {
        match back {
            Back::Branch { step, next, at, saved } => {
                self.marks.restore(&saved);
                self.branch(step, next, at, saved)
            }
            Back::Fewer { tail, at, spare, saved } => {
                self.marks.restore(&saved);
                let (Some(spare), Some(at)) = (spare.checked_sub(1), at.checked_sub(1)) else {
                    return Ok(None);
                };
                self.keeps(Back::Fewer { tail, at, spare, saved })?;
                Ok(Some((tail, at)))
            }
            Back::More { step, at, done, saved } => {
                self.marks.restore(&saved);
                let Some(Step::RepeatLetter { test, count, .. }) = self.steps.get(step) else {
                    return Ok(None);
                };
                if !count.allows_more(done) || !self.is_next(test, at)? {
                    return Ok(None);
                }
                self.keeps(Back::More { step, at: at + 1, done: done + 1, saved })?;
                Ok(Some((step + 1, at + 1)))
            }
            Back::Repeat => {
                self.round = self.rounds.pop().and_then(|round| round.outer);
                Ok(None)
            }
            Back::Needed => {
                self.gives_up(None);
                Ok(None)
            }
            Back::Body { at, last, saved } => {
                self.marks.restore(&saved);
                self.gives_up(Some(last));
                self.rest(at)
            }
            Back::Rest { round } => {
                self.round = Some(round);
                Ok(None)
            }
            Back::LazyRest { round, at, saved } => {
                self.round = Some(round);
                self.marks.restore(&saved);
                self.lazy_body(round, at)
            }
            Back::LazyBody { last } => {
                self.gives_up(Some(last));
                Ok(None)
            }
            Back::Alone(alone) => {
                self.alone.pop();
                let end = match self.steps.get(alone.step) {
                    Some(Step::Look { is_negated: true, end, .. } | Step::Possessive { end, .. }) => *end,
                    _ => return Ok(None),
                };
                // What had to match keeps nothing to be put back.
                let Some(saved) = alone.saved else { return Ok(None) };
                self.marks.restore(&saved);
                Ok(Some((end, alone.at)))
            }
        }
    }

    /// The body of the innermost repeat did not match.
    fn gives_up(&mut self, last: Option<Option<usize>>) {
        if let Some(round) = self.round.and_then(|number| self.rounds.get_mut(number)) {
            round.done -= 1;
            round.last = last.unwrap_or(round.last);
        }
    }

    fn lazy_body(&mut self, number: usize, at: usize) -> Next {
        let Some(round) = self.rounds.get_mut(number) else { return Ok(None) };
        let Some(Step::Until { body, count, .. }) = self.steps.get(round.until) else { return Ok(None) };
        if !count.allows_more(round.done) || round.last == Some(at) {
            return Ok(None);
        }
        round.done += 1;
        let last = round.last.replace(at);
        self.keeps(Back::LazyBody { last })?;
        Ok(Some((*body, at)))
    }
}
