//! Reads a pattern in the seed's notation and says it in the notation of the engine.

use std::ops::RangeInclusive;

use super::PatternError;
use super::class::{Escape, literal};
use super::flags::{Flags, Scope};

/// How deep groups may be nested: below what the engine bears.
const DEPTH_MAX: usize = 30;

/// A pattern in the notation of the engine.
pub(super) struct Said {
    pub(super) text: String,
    pub(super) groups: usize,
    pub(super) folds_case: bool,
    pub(super) asks_words: bool,
}

/// A part of a pattern: how it is said, and how many characters it may match.
pub(super) struct Part {
    text: String,
    shortest: usize,
    longest: Option<usize>,
    has_group: bool,
    kind: Kind,
}

#[derive(PartialEq)]
enum Kind {
    Once,
    Repeated,
    Place,
}

struct Group {
    name: Option<String>,
    is_open: bool,
}

pub(super) struct Reader {
    letters: Vec<char>,
    at: usize,
    groups: Vec<Group>,
    /// The flags at the start of the pattern, which hold everywhere.
    pub(super) everywhere: Flags,
    /// `(?u)` was said.
    pub(super) is_unicode: bool,
    /// How many times it looks behind here.
    behind: usize,
    pub(super) asks_words: bool,
    folds_case: bool,
}

pub(super) fn invalid<T>(why: &str) -> Result<T, PatternError> {
    Err(PatternError::Invalid(why.to_owned()))
}

pub(super) fn not_supported<T>(why: &str) -> Result<T, PatternError> {
    Err(PatternError::NotSupported(why.to_owned()))
}

/// Says a pattern in the notation of the engine.
pub(super) fn translate(pattern: &str) -> Result<Said, PatternError> {
    let mut reader = Reader {
        letters: pattern.chars().collect(),
        at: 0,
        groups: Vec::new(),
        everywhere: Flags::NONE,
        is_unicode: false,
        behind: 0,
        asks_words: false,
        folds_case: false,
    };
    let part = reader.branches(Scope { set: Flags::NONE, unset: Flags::NONE, depth: 0 })?;
    if reader.peek().is_some() {
        return invalid("a group is closed that was not opened");
    }
    let Reader { groups, asks_words, folds_case, .. } = reader;
    Ok(Said { text: part.text, groups: groups.len(), folds_case, asks_words })
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

    fn until(&mut self, end: char) -> Result<String, PatternError> {
        let mut text = String::new();
        loop {
            match self.next() {
                None => return invalid(&format!("{end} is missing")),
                Some(letter) if letter == end => return Ok(text),
                Some(letter) => text.push(letter),
            }
        }
    }

    fn branches(&mut self, scope: Scope) -> Result<Part, PatternError> {
        if scope.depth > DEPTH_MAX {
            return not_supported(&format!("groups nested deeper than {DEPTH_MAX}"));
        }
        let mut all = self.sequence(scope, scope.depth == 0)?;
        while self.eats('|') {
            let branch = self.sequence(scope, false)?;
            all.text = format!("{}|{}", all.text, branch.text);
            all.shortest = all.shortest.min(branch.shortest);
            all.longest = all.longest.zip(branch.longest).map(|(one, other)| one.max(other));
            all.has_group |= branch.has_group;
        }
        Ok(all)
    }

    fn sequence(&mut self, scope: Scope, is_first: bool) -> Result<Part, PatternError> {
        let mut parts: Vec<Part> = Vec::new();
        while let Some(letter) = self.peek().filter(|letter| !matches!(letter, '|' | ')')) {
            self.at += 1;
            let flags = scope.flags(self.everywhere);
            if flags.has(Flags::VERBOSE) && (matches!(letter, ' ' | '\t'..='\r') || letter == '#') {
                while letter == '#' && !matches!(self.next(), None | Some('\n')) {}
                continue;
            }
            let part = match letter {
                '*' | '+' | '?' | '{' => match self.count(letter)? {
                    Some(count) => {
                        let Some(last) = parts.pop() else { return invalid("nothing to repeat") };
                        self.repeated(&last, count)?
                    }
                    None => self.one(&literal(letter), flags),
                },
                '(' => match self.opened(scope, is_first && parts.is_empty())? {
                    Some(part) => part,
                    None => continue,
                },
                _ => self.atom(letter, flags)?,
            };
            parts.push(part);
        }
        let add = |sum: Option<usize>, part: &Part| Some(sum?.saturating_add(part.longest?));
        Ok(Part {
            text: parts.iter().map(|part| part.text.as_str()).collect(),
            shortest: parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.shortest)),
            longest: parts.iter().fold(Some(0), add),
            has_group: parts.iter().any(|part| part.has_group),
            kind: Kind::Once,
        })
    }

    fn one(&mut self, text: &str, flags: Flags) -> Part {
        let folds_case = flags.has(Flags::CASE);
        self.folds_case |= folds_case;
        let text = if folds_case { format!("(?i:{text})") } else { text.to_owned() };
        Part { text, shortest: 1, longest: Some(1), has_group: false, kind: Kind::Once }
    }

    fn atom(&mut self, letter: char, flags: Flags) -> Result<Part, PatternError> {
        let text = match letter {
            '^' if flags.has(Flags::LINES) => return Ok(place("(?m:^)")),
            '^' => return Ok(place(r"\A")),
            '$' if flags.has(Flags::LINES) => return Ok(place("(?m:$)")),
            '$' => return Ok(place(r"(?=\n?\z)")),
            '.' if flags.has(Flags::DOT_ALL) => "(?s:.)".to_owned(),
            '.' => r"[^\n]".to_owned(),
            '[' => self.set(flags)?,
            '\\' => match self.escape(flags)? {
                Escape::Literal(letter) => literal(letter),
                Escape::Set(set) => set.to_owned(),
                Escape::Place(text) => return Ok(place(text)),
                Escape::Group(number) => return Ok(self.again(number, flags)),
            },
            _ => literal(letter),
        };
        Ok(self.one(&text, flags))
    }

    /// The text that a group has matched.
    fn again(&mut self, number: usize, flags: Flags) -> Part {
        let part = self.one(&format!("(?:\\{number})"), flags);
        Part { shortest: 0, longest: None, ..part }
    }

    /// A group that may be spoken of: it is there, and it is closed.
    pub(super) fn group(&self, number: usize) -> Result<Escape, PatternError> {
        match number.checked_sub(1).and_then(|place| self.groups.get(place)) {
            None => invalid(&format!("there is no group {number} before it is spoken of")),
            Some(group) if group.is_open => invalid(&format!("group {number} is spoken of inside itself")),
            Some(_) if self.behind > 0 => not_supported("groups spoken of while looking behind"),
            Some(_) => Ok(Escape::Group(number)),
        }
    }

    /// How often; none if the brace stands for itself.
    fn count(&mut self, letter: char) -> Result<Option<RangeInclusive<usize>>, PatternError> {
        const MANY: usize = usize::MAX;
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
        let number = |digits: &str, none: usize| match digits.parse::<u32>() {
            Ok(count) => Ok(count as usize),
            Err(_) if digits.is_empty() => Ok(none),
            Err(_) => invalid("a count is too large"),
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

    fn repeated(&mut self, part: &Part, count: RangeInclusive<usize>) -> Result<Part, PatternError> {
        match part.kind {
            Kind::Repeated => return invalid("a repeat is repeated"),
            Kind::Place => return invalid("nothing to repeat"),
            Kind::Once => {}
        }
        let (low, high) = count.into_inner();
        // Engines part ways on how often nothing fits, and on what a group holds that was never asked for.
        if (high > 1 && part.shortest == 0) || (high == 0 && part.has_group) {
            return not_supported("a repeat of what may match nothing");
        }
        let counted = match (low, high) {
            (0, 1) => "?".to_owned(),
            (0, usize::MAX) => "*".to_owned(),
            (1, usize::MAX) => "+".to_owned(),
            (low, usize::MAX) => format!("{{{low},}}"),
            (low, high) => format!("{{{low},{high}}}"),
        };
        let text = format!("(?:{}){counted}", part.text);
        let text = match self.peek() {
            Some('?') => format!("{text}?"),
            Some('+') => format!("(?>{text})"),
            _ => text,
        };
        self.at += usize::from(matches!(self.peek(), Some('?' | '+')));
        let longest = match high {
            usize::MAX => None,
            _ => part.longest.map(|longest| longest.saturating_mul(high)),
        };
        let shortest = part.shortest.saturating_mul(low);
        Ok(Part { text, shortest, longest, has_group: part.has_group, kind: Kind::Repeated })
    }

    /// What an opening parenthesis begins; none for comments and for flags that hold everywhere.
    fn opened(&mut self, scope: Scope, is_first: bool) -> Result<Option<Part>, PatternError> {
        if !self.eats('?') {
            return self.capture(None, scope).map(Some);
        }
        match self.next() {
            Some('P') if self.eats('<') => {
                let name = self.until('>')?;
                self.capture(Some(name), scope).map(Some)
            }
            Some('P') if self.eats('=') => {
                let name = self.until(')')?;
                let is_it = |group: &Group| group.name.as_deref() == Some(&name);
                let Some(place) = self.groups.iter().position(is_it) else {
                    return invalid(&format!("there is no group named {name:?}"));
                };
                self.group(place + 1)?;
                let flags = scope.flags(self.everywhere);
                Ok(Some(self.again(place + 1, flags)))
            }
            Some(':') => self.inside("(?:", scope).map(Some),
            Some('>') => self.inside("(?>", scope).map(Some),
            Some('#') => self.until(')').map(|_| None),
            Some('=') => self.around("(?=", scope).map(Some),
            Some('!') => self.around("(?!", scope).map(Some),
            Some('<') => match self.next() {
                Some('=') => self.looks_behind("(?<=", scope).map(Some),
                Some('!') => self.looks_behind("(?<!", scope).map(Some),
                _ => invalid("unknown extension ?<"),
            },
            Some('(') => not_supported("conditions"),
            Some(letter) => self.flag_group(letter, scope, is_first),
            None => invalid("it ends in an open group"),
        }
    }

    pub(super) fn inside(&mut self, opening: &str, scope: Scope) -> Result<Part, PatternError> {
        let part = self.branches(Scope { depth: scope.depth + 1, ..scope })?;
        if !self.eats(')') {
            return invalid("a group is not closed");
        }
        Ok(Part { text: format!("{opening}{})", part.text), kind: Kind::Once, ..part })
    }

    fn around(&mut self, opening: &str, scope: Scope) -> Result<Part, PatternError> {
        let part = self.inside(opening, scope)?;
        Ok(Part { shortest: 0, longest: Some(0), ..part })
    }

    fn looks_behind(&mut self, opening: &str, scope: Scope) -> Result<Part, PatternError> {
        self.behind += 1;
        let part = self.inside(opening, scope)?;
        self.behind -= 1;
        if part.longest != Some(part.shortest) {
            return invalid("looking behind needs a fixed width");
        }
        Ok(Part { shortest: 0, longest: Some(0), ..part })
    }

    fn capture(&mut self, name: Option<String>, scope: Scope) -> Result<Part, PatternError> {
        if let Some(name) = &name {
            let is_start = |letter: char| letter.is_alphabetic() || letter == '_';
            let is_name = name.starts_with(is_start) && name.chars().all(|c| c.is_alphanumeric() || c == '_');
            if !is_name || self.groups.iter().any(|group| group.name.as_ref() == Some(name)) {
                return invalid(&format!("{name:?} cannot be the name of a group, or is one already"));
            }
        }
        let place = self.groups.len();
        self.groups.push(Group { name, is_open: true });
        let part = self.inside("(", scope)?;
        self.groups[place].is_open = false;
        Ok(Part { has_group: true, ..part })
    }
}

fn place(text: &str) -> Part {
    Part { text: text.to_owned(), shortest: 0, longest: Some(0), has_group: false, kind: Kind::Place }
}
