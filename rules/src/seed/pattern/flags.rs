//! Flags inside a pattern: at its start they hold everywhere, in a group they hold inside it.

use super::PatternError;
use super::read::{Reader, invalid};
use super::tree::{Fold, Letters, Member, Node};

/// The flags that hold at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    pub(super) const ASCII: Self = Self(1);
    pub(super) const CASE: Self = Self(2);
    pub(super) const LINES: Self = Self(4);
    pub(super) const DOT_ALL: Self = Self(8);
    pub(super) const VERBOSE: Self = Self(16);
    pub(super) const TEMPLATE: Self = Self(32);
    pub(super) const NONE: Self = Self(0);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn fold(self) -> Fold {
        match (self.has(Self::CASE), self.has(Self::ASCII)) {
            (false, _) => Fold::No,
            (true, true) => Fold::Ascii,
            (true, false) => Fold::Unicode,
        }
    }

    /// A test of one character.
    pub(super) fn letter(self, member: Member) -> Node {
        Node::Letters(Letters { is_negated: false, members: vec![member], fold: self.fold() })
    }
}

/// What the groups around a place say about it.
#[derive(Clone, Copy)]
pub(super) struct Scope {
    pub(super) set: Flags,
    pub(super) unset: Flags,
    pub(super) depth: usize,
}

impl Scope {
    pub(super) fn flags(self, everywhere: Flags) -> Flags {
        everywhere.with(self.set).without(self.unset)
    }
}

impl Reader {
    /// `(?i)` and `(?i-m:…)`, after the first letter.
    pub(super) fn flag_group(
        &mut self,
        first: char,
        scope: Scope,
        is_first: bool,
    ) -> Result<Option<Node>, PatternError> {
        if first != '-' {
            flag(first)?;
        }
        let mut set = Flags::NONE;
        let mut types = String::new();
        let mut next = Some(first);
        while let Some(letter) = next.filter(|letter| !matches!(letter, '-' | ':' | ')')) {
            set = set.with(flag(letter)?);
            if matches!(letter, 'a' | 'u') && !types.contains(letter) {
                types.push(letter);
            }
            next = self.next();
        }
        if types.len() > 1 {
            return invalid("the flags a and u exclude each other");
        }
        if next == Some(')') {
            if !is_first {
                return invalid("flags that hold everywhere stand at the start");
            }
            self.everywhere = self.everywhere.with(set);
            self.is_unicode |= types == "u";
            if self.is_unicode && self.everywhere.has(Flags::ASCII) {
                return invalid("the flags a and u exclude each other");
            }
            return Ok(None);
        }
        let mut unset = Flags::NONE;
        if next == Some('-') {
            next = self.next();
            let has_some = next != Some(':');
            while let Some(letter) = next.filter(|letter| *letter != ':') {
                if matches!(letter, 'a' | 'u') {
                    return invalid("the flags a and u cannot be turned off");
                }
                unset = unset.with(flag(letter)?);
                next = self.next();
            }
            if !has_some || set.has(unset) {
                return invalid("a flag is missing, or is turned on and off");
            }
        }
        if next != Some(':') {
            return invalid("flags are not closed");
        }
        if set.with(unset).has(Flags::TEMPLATE) {
            return invalid("the flag t holds everywhere");
        }
        let unset = if types == "u" { unset.with(Flags::ASCII) } else { unset };
        let inner = Scope {
            set: scope.set.with(set).without(unset),
            unset: scope.unset.without(set).with(unset),
            depth: scope.depth,
        };
        Ok(Some(Node::Flagged(self.inside(inner)?)))
    }
}

fn flag(letter: char) -> Result<Flags, PatternError> {
    match letter {
        'a' => Ok(Flags::ASCII),
        'i' => Ok(Flags::CASE),
        'm' => Ok(Flags::LINES),
        's' => Ok(Flags::DOT_ALL),
        'x' => Ok(Flags::VERBOSE),
        'u' => Ok(Flags::NONE),
        't' => Ok(Flags::TEMPLATE),
        _ => invalid(&format!("unknown extension ?{letter}")),
    }
}
