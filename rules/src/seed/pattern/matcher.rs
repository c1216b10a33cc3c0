//! Takes the steps of a pattern through a text, and goes back where they do not fit.
//!
//! What groups hold after a step back is part of the seed's answers, so marks are put back only as far as its engine
//! puts them back. Nothing here calls itself: the way back is a list, and its length and the steps are bounded.

use super::back::{Alone, Back, Round};
use super::marks::{Marks, Saved};
use super::program::{Count, Step, Test};
use super::read::not_supported;
use super::tree::{Category, Fold, Greed, Place};
use super::{Budget, KEPT_MAX, PatternError};

/// One search.
pub(super) struct Matcher<'a> {
    pub(super) steps: &'a [Step],
    pub(super) text: &'a [char],
    pub(super) marks: Marks,
    pub(super) back: Vec<Back>,
    /// Where in `back` things begin that are matched on their own.
    pub(super) alone: Vec<usize>,
    pub(super) rounds: Vec<Round>,
    pub(super) round: Option<usize>,
    budget: &'a Budget,
    pub(super) kept: usize,
}

/// Where to go on: a step, and a place in the text. None goes back.
pub(super) type Next = Result<Option<(usize, usize)>, PatternError>;

impl<'a> Matcher<'a> {
    pub(super) fn new(steps: &'a [Step], text: &'a [char], groups: usize, budget: &'a Budget) -> Self {
        Self {
            steps,
            text,
            marks: Marks::new(groups),
            back: Vec::new(),
            alone: Vec::new(),
            rounds: Vec::new(),
            round: None,
            budget,
            kept: 0,
        }
    }

    /// Whether the steps fit from a place on.
    pub(super) fn matches(&mut self, start: usize) -> Result<bool, PatternError> {
        self.marks.clear();
        let mut next = Some((0, start));
        loop {
            self.budget.takes(1)?;
            next = match next {
                Some((step, at)) => match self.steps.get(step) {
                    Some(Step::Done) | None if self.alone.is_empty() => break,
                    Some(Step::Done) | None => self.done(at)?,
                    Some(other) => self.goes(other, step, at)?,
                },
                None => match self.back.pop() {
                    Some(back) => {
                        self.kept -= back.size();
                        self.returns(back)?
                    }
                    None => return Ok(false),
                },
            };
        }
        Ok(true)
    }

    pub(super) fn keeps(&mut self, back: Back) -> Result<(), PatternError> {
        let size = back.size();
        self.kept += size;
        self.back.push(back);
        if self.kept > KEPT_MAX {
            return not_supported(&format!("a search with more than {KEPT_MAX} ways to go back"));
        }
        self.budget.takes(size - 1)
    }

    fn goes(&mut self, step: &'a Step, here: usize, at: usize) -> Next {
        let after = here + 1;
        let passes = |is_it: bool| Ok(is_it.then_some((after, at)));
        match step {
            Step::Letter(test) => Ok(self.is_next(test, at)?.then_some((after, at + 1))),
            Step::Place(place) => passes(self.is_place(*place, at)),
            Step::Again { group, fold } => Ok(self.again(*group, *fold, at)?.map(|at| (after, at))),
            Step::Mark(mark) => {
                let passed = self.marks.set(*mark, at);
                self.budget.takes(passed)?;
                passes(true)
            }
            Step::Jump(to) => Ok(Some((*to, at))),
            Step::Branches(_) => {
                let saved = self.marks.save(self.round.is_some());
                self.branch(here, 0, at, saved)
            }
            Step::IfGroup { group, otherwise } => {
                let is_there = self.marks.group(*group).is_some_and(|(start, end)| start <= end);
                Ok(Some((if is_there { after } else { *otherwise }, at)))
            }
            Step::RepeatLetter { test, count, greed } => self.letters(test, *count, *greed, here, at),
            Step::Repeat { end } => {
                self.rounds.push(Round { until: *end, done: 0, last: None, outer: self.round });
                self.round = Some(self.rounds.len() - 1);
                self.keeps(Back::Repeat)?;
                Ok(Some((*end, at)))
            }
            Step::Until { body, count, is_lazy } => self.until(*body, *count, *is_lazy, at),
            Step::Possessive { count, end } => self.possessive(here, (*count, *end), at, 0, None),
            Step::Atomic { .. } => self.alone(here, at, 0, None, at),
            Step::Look { behind, is_negated, end } => match at.checked_sub(*behind) {
                Some(start) => {
                    let saved = is_negated.then(|| self.marks.save(self.round.is_some()));
                    self.alone(here, at, 0, saved, start)
                }
                None => Ok(is_negated.then_some((*end, at))),
            },
            Step::Done => Ok(None),
        }
    }

    pub(super) fn is_next(&self, test: &Test, at: usize) -> Result<bool, PatternError> {
        let Some(letter) = self.text.get(at) else { return Ok(false) };
        self.budget.takes(test.cost(*letter))?;
        Ok(test.passes(*letter))
    }

    fn is_place(&self, place: Place, at: usize) -> bool {
        let after = self.text.get(at).copied();
        let before = at.checked_sub(1).and_then(|before| self.text.get(before)).copied();
        match place {
            Place::Start | Place::TextStart => at == 0,
            Place::LineStart => matches!(before, None | Some('\n')),
            Place::End => after.is_none() || (after == Some('\n') && at + 1 == self.text.len()),
            Place::LineEnd => matches!(after, None | Some('\n')),
            Place::TextEnd => after.is_none(),
            Place::Boundary { is_negated, is_ascii } => {
                let is_word = |letter: Option<char>| {
                    letter.is_some_and(|letter| Category::Word.has(letter.into(), is_ascii))
                };
                // At an empty text the seed's engine says no to both.
                !self.text.is_empty() && (is_word(before) != is_word(after)) != is_negated
            }
        }
    }

    fn again(&mut self, group: usize, fold: Fold, at: usize) -> Result<Option<usize>, PatternError> {
        let span = self.marks.group(group).and_then(|(start, end)| self.text.get(start..end));
        let Some(said) = span else { return Ok(None) };
        self.budget.takes(said.len())?;
        let end = at + said.len();
        let lower = |letter: &char| fold.lower(u32::from(*letter));
        let is_same =
            self.text.get(at..end).is_some_and(|text| text.iter().map(lower).eq(said.iter().map(lower)));
        Ok(is_same.then_some(end))
    }

    pub(super) fn branch(&mut self, step: usize, number: usize, at: usize, saved: Saved) -> Next {
        let Some(Step::Branches(starts)) = self.steps.get(step) else { return Ok(None) };
        let Some(start) = starts.get(number) else { return Ok(None) };
        self.keeps(Back::Branch { step, next: number + 1, at, saved })?;
        Ok(Some((*start, at)))
    }

    fn letters(&mut self, test: &Test, count: Count, greed: Greed, here: usize, at: usize) -> Next {
        let wanted = if greed == Greed::Lazy { Some(count.low) } else { count.high };
        let mut done = 0;
        while wanted.is_none_or(|wanted| done < wanted) && self.is_next(test, at + done)? {
            done += 1;
        }
        let Some(spare) = done.checked_sub(count.low) else { return Ok(None) };
        let (tail, at) = (here + 1, at + done);
        // The marks may be many, and what is possessive keeps nothing.
        let saved = |matcher: &Self| matcher.marks.save(matcher.round.is_some());
        match greed {
            Greed::Greedy => self.keeps(Back::Fewer { tail, at, spare, saved: saved(self) })?,
            Greed::Lazy => self.keeps(Back::More { step: here, at, done, saved: saved(self) })?,
            Greed::Possessive => {}
        }
        Ok(Some((tail, at)))
    }

    /// The end of a repeat's body, where it is asked whether to match it again.
    fn until(&mut self, body: usize, count: Count, is_lazy: bool, at: usize) -> Next {
        let Some((number, round)) =
            self.round.and_then(|number| Some((number, self.rounds.get_mut(number)?)))
        else {
            return Ok(None);
        };
        if round.done < count.low {
            round.done += 1;
            self.keeps(Back::Needed)?;
            return Ok(Some((body, at)));
        }
        if is_lazy {
            let tail = round.until + 1;
            self.round = round.outer;
            let saved = self.marks.save(self.round.is_some());
            self.keeps(Back::LazyRest { round: number, at, saved })?;
            return Ok(Some((tail, at)));
        }
        if count.allows_more(round.done) && round.last != Some(at) {
            round.done += 1;
            let last = round.last.replace(at);
            let saved = self.marks.save(true);
            self.keeps(Back::Body { at, last, saved })?;
            return Ok(Some((body, at)));
        }
        self.rest(at)
    }

    /// What comes after a repeat.
    pub(super) fn rest(&mut self, at: usize) -> Next {
        let Some((number, round)) = self.round.and_then(|number| Some((number, self.rounds.get(number)?)))
        else {
            return Ok(None);
        };
        let tail = round.until + 1;
        self.round = round.outer;
        self.keeps(Back::Rest { round: number })?;
        Ok(Some((tail, at)))
    }

    /// Begins something that is matched on its own.
    fn alone(&mut self, step: usize, at: usize, done: usize, saved: Option<Saved>, start: usize) -> Next {
        self.alone.push(self.back.len());
        let (round, rounds) = (self.round, self.rounds.len());
        self.keeps(Back::Alone(Alone { step, at, done, saved, round, rounds }))?;
        Ok(Some((step + 1, start)))
    }

    /// One more body of a repeat that gives nothing back; `before` is where the last one began that need not be.
    fn possessive(
        &mut self,
        step: usize,
        (count, end): (Count, usize),
        at: usize,
        done: usize,
        before: Option<usize>,
    ) -> Next {
        if done < count.low {
            self.alone(step, at, done, None, at)
        } else if count.allows_more(done) && before != Some(at) {
            let saved = self.marks.save(true);
            self.alone(step, at, done, Some(saved), at)
        } else {
            Ok(Some((end, at)))
        }
    }

    /// Something has matched on its own: how it might have matched otherwise is forgotten.
    fn done(&mut self, at: usize) -> Next {
        let mut left = self.back.split_off(self.alone.pop().unwrap_or(0));
        self.kept -= left.iter().map(Back::size).sum::<usize>();
        let Some(Back::Alone(alone)) = (!left.is_empty()).then(|| left.swap_remove(0)) else {
            return Ok(None);
        };
        self.round = alone.round;
        self.rounds.truncate(alone.rounds);
        match self.steps.get(alone.step) {
            Some(Step::Atomic { end }) => Ok(Some((*end, at))),
            Some(Step::Look { is_negated: false, end, .. }) => Ok(Some((*end, alone.at))),
            Some(Step::Possessive { count, end }) => {
                let before = alone.saved.is_some().then_some(alone.at);
                self.possessive(alone.step, (*count, *end), at, alone.done + 1, before)
            }
            _ => Ok(None),
        }
    }
}
