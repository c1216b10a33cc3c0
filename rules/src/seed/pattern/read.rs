//! Reads a pattern in the seed's notation into a tree.

use std::ops::RangeInclusive;

use super::flags::{Flags, Scope};
use super::tree::{Fold, Greed, Letters, Member, Node, Place, Width, branches};
use super::{DEPTH_MAX, PatternError};

/// A pattern that was read.
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) groups: usize,
    pub(super) width: Width,
}

pub(super) struct Group {
    pub(super) name: Option<String>,
    /// None while it is open.
    pub(super) width: Option<Width>,
}

pub(super) struct Reader {
    letters: Vec<char>,
    at: usize,
    pub(super) groups: Vec<Group>,
    /// The flags at the start of the pattern, which hold everywhere.
    pub(super) everywhere: Flags,
    /// `(?u)` was said.
    pub(super) is_unicode: bool,
    /// Where it looks behind: how many groups there were before.
    pub(super) behind: Option<usize>,
    /// The largest number in a condition: such a group may come later.
    pub(super) asked_max: usize,
    repeats: bool,
}

pub(super) fn invalid<T>(why: &str) -> Result<T, PatternError> {
    Err(PatternError::Invalid(why.to_owned()))
}

pub(super) fn not_supported<T>(why: &str) -> Result<T, PatternError> {
    Err(PatternError::NotSupported(why.to_owned()))
}

/// Reads a pattern.
pub(super) fn read(pattern: &str) -> Result<Tree, PatternError> {
    let mut reader = Reader {
        letters: pattern.chars().collect(),
        at: 0,
        groups: Vec::new(),
        everywhere: Flags::NONE,
        is_unicode: false,
        behind: None,
        asked_max: 0,
        repeats: false,
    };
    let nodes = reader.branches(Scope { set: Flags::NONE, unset: Flags::NONE, depth: 0 })?;
    if reader.peek().is_some() {
        return invalid("a group is closed that was not opened");
    }
    if reader.asked_max > reader.groups.len() {
        return invalid("a condition asks for a group that is not there");
    }
    if reader.repeats && reader.everywhere.has(Flags::TEMPLATE) {
        return invalid("templates have no repeats");
    }
    let width = reader.width(&nodes);
    Ok(Tree { nodes, groups: reader.groups.len(), width })
}

impl Reader {
    pub(super) fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let letter = self.peek();
        self.at += usize::from(letter.is_some());
        letter
    }

    pub(super) fn eats(&mut self, letter: char) -> bool {
        let is_next = self.peek() == Some(letter);
        self.at += usize::from(is_next);
        is_next
    }

    /// What stands before an end, which a backslash hides.
    pub(super) fn until(&mut self, end: char) -> Result<String, PatternError> {
        let mut text = String::new();
        loop {
            match self.next() {
                None => return invalid(&format!("{end} is missing")),
                Some(letter) if letter == end => return Ok(text),
                Some('\\') => text.extend(['\\'].into_iter().chain(self.next())),
                Some(letter) => text.push(letter),
            }
        }
    }

    pub(super) fn width(&self, nodes: &[Node]) -> Width {
        let group = |number: usize| number.checked_sub(1).and_then(|place| self.groups.get(place)?.width);
        Width::of_all(nodes, &|number| group(number).unwrap_or(Width::of(0)))
    }

    pub(super) fn branches(&mut self, scope: Scope) -> Result<Vec<Node>, PatternError> {
        let mut all = vec![self.sequence(scope, scope.depth == 0)?];
        while self.eats('|') {
            all.push(self.sequence(scope, false)?);
        }
        Ok(branches(all))
    }

    pub(super) fn sequence(&mut self, scope: Scope, is_first: bool) -> Result<Vec<Node>, PatternError> {
        if scope.depth > DEPTH_MAX {
            return not_supported(&format!("groups nested deeper than {DEPTH_MAX}"));
        }
        let mut nodes: Vec<Node> = Vec::new();
        while let Some(letter) = self.peek().filter(|letter| !matches!(letter, '|' | ')')) {
            self.at += 1;
            let flags = scope.flags(self.everywhere);
            match letter {
                ' ' | '\t'..='\r' if flags.has(Flags::VERBOSE) => continue,
                '#' if flags.has(Flags::VERBOSE) => {
                    self.passes_comment()?;
                    continue;
                }
                _ => {}
            }
            let node = match letter {
                '*' | '+' | '?' | '{' => match self.count(letter)? {
                    Some(count) => {
                        let Some(last) = nodes.pop() else { return invalid("nothing to repeat") };
                        self.repeated(last, count)?
                    }
                    None => flags.letter(Member::One(letter.into())),
                },
                '(' => match self.opened(scope, is_first && nodes.is_empty())? {
                    Some(node) => node,
                    None => continue,
                },
                _ => self.atom(letter, flags)?,
            };
            nodes.push(node);
        }
        let dissolved = nodes.into_iter().flat_map(|node| match node {
            Node::Plain(inner) => inner,
            other => vec![other],
        });
        Ok(dissolved.collect())
    }

    /// The rest of a comment in a pattern that is written for reading. A backslash hides the end of a line.
    fn passes_comment(&mut self) -> Result<(), PatternError> {
        loop {
            match self.next() {
                None | Some('\n') => return Ok(()),
                Some('\\') if self.next().is_none() => return invalid("it ends in a backslash"),
                Some(_) => {}
            }
        }
    }

    fn atom(&mut self, letter: char, flags: Flags) -> Result<Node, PatternError> {
        let dot = |members| Letters { is_negated: true, members, fold: Fold::No };
        Ok(match letter {
            '^' if flags.has(Flags::LINES) => Node::Place(Place::LineStart),
            '^' => Node::Place(Place::Start),
            '$' if flags.has(Flags::LINES) => Node::Place(Place::LineEnd),
            '$' => Node::Place(Place::End),
            '.' if flags.has(Flags::DOT_ALL) => Node::Letters(dot(Vec::new())),
            '.' => Node::Letters(dot(vec![Member::LineEnd])),
            '[' => self.set(flags)?,
            '\\' => self.escape(flags)?,
            _ => flags.letter(Member::One(letter.into())),
        })
    }

    /// The text that a group has matched.
    pub(super) fn again(&self, group: usize, flags: Flags) -> Result<Node, PatternError> {
        match group.checked_sub(1).and_then(|place| self.groups.get(place)) {
            None => invalid(&format!("there is no group {group} before it is spoken of")),
            Some(Group { width: None, .. }) => invalid(&format!("group {group} is spoken of inside itself")),
            Some(_) => self.stands_before(group).map(|()| Node::Again { group, fold: flags.fold() }),
        }
    }

    /// How often; none if the brace stands for itself.
    fn count(&mut self, letter: char) -> Result<Option<RangeInclusive<u32>>, PatternError> {
        const MANY: u32 = u32::MAX;
        match letter {
            '?' => return Ok(Some(0..=1)),
            '*' => return Ok(Some(0..=MANY)),
            '+' => return Ok(Some(1..=MANY)),
            _ => {}
        }
        let here = self.at;
        let low = self.decimal();
        let has_comma = self.eats(',');
        let high = if has_comma { self.decimal() } else { low.clone() };
        let is_count = has_comma || !low.is_empty();
        if !is_count || !self.eats('}') {
            self.at = here;
            return Ok(None);
        }
        let number = |digits: &str, none: u32| match digits.parse::<u32>() {
            Ok(count) if count < MANY => Ok(count),
            _ if digits.is_empty() => Ok(none),
            _ => invalid("a count is too large"),
        };
        let (low, high) = (number(&low, 0)?, number(&high, MANY)?);
        if high < low { invalid("a count ends before it begins") } else { Ok(Some(low..=high)) }
    }

    fn decimal(&mut self) -> String {
        let mut digits = String::new();
        while let Some(digit) = self.peek().filter(char::is_ascii_digit) {
            digits.push(digit);
            self.at += 1;
        }
        digits
    }

    fn repeated(&mut self, node: Node, count: RangeInclusive<u32>) -> Result<Node, PatternError> {
        let inner = match node {
            Node::Repeat { .. } => return invalid("a repeat is repeated"),
            Node::Place(_) => return invalid("nothing to repeat"),
            Node::Plain(inner) => inner,
            other => vec![other],
        };
        let greed = match self.peek() {
            Some('?') => Greed::Lazy,
            Some('+') => Greed::Possessive,
            _ => Greed::Greedy,
        };
        self.at += usize::from(greed != Greed::Greedy);
        self.repeats = true;
        let (low, high) = count.into_inner();
        Ok(Node::Repeat { inner, low, high: Some(high).filter(|high| *high < u32::MAX), greed })
    }
}
