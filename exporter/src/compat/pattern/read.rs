//! Reads a pattern in CPython's notation and translates it into the engine's.

use super::{PatternError, invalid, not_supported};

/// How deep groups may be nested: below what the engine bears.
const DEPTH_MAX: usize = 30;
/// The largest count of a repeat.
const COUNT_MAX: usize = 1_000;

/// A pattern in the notation of the engine.
pub(super) struct Translated {
    pub(super) text: String,
    pub(super) has_group: bool,
    /// What it means beyond ASCII is not said.
    pub(super) asks_ascii: bool,
}

/// A part of a pattern: how it is said, and how many characters it may match.
pub(super) struct Part {
    text: String,
    shortest: usize,
    /// None if there is no bound.
    longest: Option<usize>,
    /// The first group in it.
    group: Option<usize>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Once,
    Repeated,
    Place,
}

/// The flags that hold at a place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) ascii: bool,
    pub(super) case: bool,
    lines: bool,
    dot_all: bool,
    verbose: bool,
}

struct Group<'p> {
    name: Option<&'p str>,
    /// How many characters it may match; none while it is open.
    width: Option<(usize, Option<usize>)>,
}

#[derive(Default)]
pub(super) struct Reader<'p> {
    /// What is still to be read.
    pub(super) rest: &'p str,
    groups: Vec<Group<'p>>,
    pub(super) asks_ascii: bool,
    /// It has a group of which engines tell differently what it holds.
    has_unsure_group: bool,
    /// It asks for what a group holds.
    asks_group: bool,
}

/// Says a pattern in the notation of the engine.
pub(super) fn translate(pattern: &str) -> Result<Translated, PatternError> {
    let mut reader = Reader { rest: pattern, ..Reader::default() };
    let flags = reader.everywhere()?;
    let part = reader.branches(flags, 0)?;
    if !reader.rest.is_empty() {
        return invalid("a group is closed that was not opened");
    }
    if reader.has_unsure_group && reader.asks_group {
        return not_supported("to ask for a group where one is in a loop or in a look that must fail");
    }
    Ok(Translated { text: part.text, has_group: !reader.groups.is_empty(), asks_ascii: reader.asks_ascii })
}

impl Flags {
    fn turn(&mut self, letters: &str, is_on: bool) -> Result<(), PatternError> {
        for letter in letters.chars() {
            let flag = match letter {
                'a' => &mut self.ascii,
                'i' => &mut self.case,
                'm' => &mut self.lines,
                's' => &mut self.dot_all,
                'x' => &mut self.verbose,
                _ => return not_supported(&format!("a group that begins with (?{letters}")),
            };
            *flag = is_on;
        }
        Ok(())
    }
}

impl Part {
    pub(super) fn one(text: String) -> Self {
        Self { text, shortest: 1, longest: Some(1), group: None, kind: Kind::Once }
    }

    pub(super) fn place(text: &str) -> Self {
        Self { text: text.to_owned(), shortest: 0, longest: Some(0), group: None, kind: Kind::Place }
    }

    fn and(self, next: Self) -> Self {
        Self {
            text: self.text + &next.text,
            shortest: self.shortest.saturating_add(next.shortest),
            longest: self.longest.zip(next.longest).map(|(one, other)| one.saturating_add(other)),
            group: self.group.or(next.group),
            kind: Kind::Once,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            text: format!("{}|{}", self.text, other.text),
            shortest: self.shortest.min(other.shortest),
            longest: self.longest.zip(other.longest).map(|(one, other)| one.max(other)),
            group: self.group.or(other.group),
            kind: Kind::Once,
        }
    }
}

impl<'p> Reader<'p> {
    pub(super) fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(letter)
    }

    pub(super) fn eats(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn until(&mut self, end: char) -> Result<&'p str, PatternError> {
        let Some((text, rest)) = self.rest.split_once(end) else {
            return invalid(&format!("{end} is missing"));
        };
        self.rest = rest;
        Ok(text)
    }

    /// The flags at the start of a pattern, which hold everywhere.
    fn everywhere(&mut self) -> Result<Flags, PatternError> {
        let mut flags = Flags::default();
        while let Some((letters, rest)) = self.rest.strip_prefix("(?").and_then(|rest| rest.split_once(')')) {
            if letters.is_empty() || !letters.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                break;
            }
            flags.turn(letters, true)?;
            self.rest = rest;
        }
        Ok(flags)
    }

    fn branches(&mut self, flags: Flags, depth: usize) -> Result<Part, PatternError> {
        let mut all = self.sequence(flags, depth)?;
        while self.eats("|") {
            all = all.or(self.sequence(flags, depth)?);
        }
        Ok(all)
    }

    fn sequence(&mut self, flags: Flags, depth: usize) -> Result<Part, PatternError> {
        let mut parts: Vec<Part> = Vec::new();
        loop {
            if flags.verbose {
                self.skip_blanks()?;
            }
            let next = self.rest.chars().next();
            let Some(letter) = next.filter(|letter| !matches!(letter, '|' | ')')) else {
                let nothing = Part { kind: Kind::Once, ..Part::place("") };
                return Ok(parts.into_iter().fold(nothing, Part::and));
            };
            let part = match self.count()? {
                None => self.atom(letter, flags, depth)?,
                Some((low, high)) => match parts.pop() {
                    None => return invalid("nothing to repeat"),
                    Some(last) => self.repeated(last, low, high)?,
                },
            };
            parts.push(part);
        }
    }

    /// What says nothing in a pattern that is written for reading.
    fn skip_blanks(&mut self) -> Result<(), PatternError> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
            if !self.rest.starts_with('#') {
                return Ok(());
            }
            let (comment, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            if comment.contains('\\') {
                return not_supported("a backslash in a comment");
            }
            self.rest = rest;
        }
    }

    fn atom(&mut self, letter: char, flags: Flags, depth: usize) -> Result<Part, PatternError> {
        self.next();
        match letter {
            '(' if depth == DEPTH_MAX => not_supported(&format!("groups nested deeper than {DEPTH_MAX}")),
            '(' => self.opened(flags, depth + 1),
            '[' => self.set(flags),
            '\\' => self.escape(flags),
            '^' => Ok(Part::place(if flags.lines { "(?m:^)" } else { r"\A" })),
            '$' => Ok(Part::place(if flags.lines { "(?m:$)" } else { r"(?=\n?\z)" })),
            '.' => Ok(Part::one((if flags.dot_all { r"[\x{0}-\x{10ffff}]" } else { r"[^\n]" }).to_owned())),
            _ => self.letter(letter, flags),
        }
    }

    /// How often the last part is repeated: at least, and at most; nothing if no repeat is next.
    fn count(&mut self) -> Result<Option<(usize, Option<usize>)>, PatternError> {
        for (sign, count) in [("*", (0, None)), ("+", (1, None)), ("?", (0, Some(1)))] {
            if self.eats(sign) {
                return Ok(Some(count));
            }
        }
        let braced = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let Some((count, rest)) = braced else { return Ok(None) };
        let (low, high) = count.split_once(',').unwrap_or((count, count));
        if count.is_empty() || !low.bytes().chain(high.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        self.rest = rest;
        let number = |digits: &str| match digits.parse() {
            Ok(count) if count <= COUNT_MAX => Ok(Some(count)),
            _ if digits.is_empty() => Ok(None),
            _ => not_supported(&format!("counts beyond {COUNT_MAX}")),
        };
        let (low, high) = (number(low)?.unwrap_or(0), number(high)?);
        if high.is_some_and(|high| high < low) {
            return invalid("a count ends before it begins");
        }
        Ok(Some((low, high)))
    }

    fn repeated(&mut self, part: Part, low: usize, high: Option<usize>) -> Result<Part, PatternError> {
        match part.kind {
            Kind::Once => {}
            Kind::Repeated => return invalid("a repeat is repeated"),
            Kind::Place => return invalid("nothing to repeat"),
        }
        let is_loop = high.is_none_or(|high| high > 1);
        // How often nothing fits, engines count each in its own way; what is always nothing, this one does not repeat.
        if high == Some(0) || part.longest == Some(0) || (is_loop && part.shortest == 0) {
            return not_supported("a repeat of what may match nothing");
        }
        let is_possessive = self.eats("+");
        let is_lazy = !is_possessive && self.eats("?");
        if is_loop || is_possessive {
            self.leaves_unsure(&part)?;
        }
        let most = high.map_or_else(String::new, |high| high.to_string());
        let text = format!("(?:{}){{{low},{most}}}{}", part.text, if is_lazy { "?" } else { "" });
        let text = if is_possessive { format!("(?>{text})") } else { text };
        Ok(Part {
            text,
            shortest: part.shortest.saturating_mul(low),
            longest: part.longest.zip(high).map(|(longest, high)| longest.saturating_mul(high)),
            group: part.group,
            kind: Kind::Repeated,
        })
    }

    /// What the groups of a part hold after it, engines tell differently: CPython keeps some of it after a step back.
    fn leaves_unsure(&mut self, part: &Part) -> Result<(), PatternError> {
        if part.group == Some(1) {
            return not_supported("the first group in a loop or in a look that must fail");
        }
        self.has_unsure_group |= part.group.is_some();
        Ok(())
    }

    /// What an opening parenthesis begins.
    fn opened(&mut self, flags: Flags, depth: usize) -> Result<Part, PatternError> {
        if !self.eats("?") {
            return self.capture(None, flags, depth);
        }
        if self.eats("P<") {
            let name = self.until('>')?;
            return self.capture(Some(name), flags, depth);
        }
        if self.eats("P=") {
            let name = self.until(')')?;
            let place = self.groups.iter().position(|group| group.name == Some(name));
            return self.again(place.map_or(0, |place| place + 1), flags);
        }
        for opening in [":", ">"] {
            if self.eats(opening) {
                return self.inside(&format!("(?{opening}"), flags, depth);
            }
        }
        for opening in ["=", "!", "<=", "<!"] {
            if self.eats(opening) {
                return self.look(opening, flags, depth);
            }
        }
        let flags = self.flags(flags)?;
        self.inside("(?:", flags, depth)
    }

    /// The flags of a group, up to its colon.
    fn flags(&mut self, outside: Flags) -> Result<Flags, PatternError> {
        // CPython looks for where to begin by the flags outside of a group, so `a` is taken at the start only.
        let colon = self.rest.split_once(':').filter(|(letters, _)| !letters.contains(['a', ')']));
        let Some((letters, rest)) = colon else {
            let begin: String = self.rest.chars().take(1).collect();
            return not_supported(&format!("a group that begins with (?{begin}"));
        };
        self.rest = rest;
        let (on, off) = letters.split_once('-').unwrap_or((letters, ""));
        let mut flags = outside;
        flags.turn(on, true)?;
        flags.turn(off, false)?;
        if letters.ends_with('-') || off.contains(|letter| on.contains(letter)) {
            return invalid("a flag is missing, or is turned on and off");
        }
        Ok(flags)
    }

    fn inside(&mut self, opening: &str, flags: Flags, depth: usize) -> Result<Part, PatternError> {
        let part = self.branches(flags, depth)?;
        if !self.eats(")") {
            return invalid("a group is not closed");
        }
        Ok(Part { text: format!("{opening}{})", part.text), kind: Kind::Once, ..part })
    }

    fn look(&mut self, opening: &str, flags: Flags, depth: usize) -> Result<Part, PatternError> {
        let is_behind = opening.starts_with('<');
        let has_asked = std::mem::take(&mut self.asks_group);
        let part = self.inside(&format!("(?{opening}"), flags, depth)?;
        if is_behind && self.asks_group {
            return not_supported("to ask for a group while looking behind");
        }
        if is_behind && part.longest != Some(part.shortest) {
            return invalid("looking behind needs a fixed width");
        }
        self.asks_group |= has_asked;
        if opening.ends_with('!') {
            self.leaves_unsure(&part)?;
        }
        Ok(Part { shortest: 0, longest: Some(0), ..part })
    }

    fn capture(&mut self, name: Option<&'p str>, flags: Flags, depth: usize) -> Result<Part, PatternError> {
        if let Some(name) = name {
            let has_digit_first = name.starts_with(|letter: char| letter.is_ascii_digit());
            let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if name.is_empty() || has_digit_first || !is_plain {
                return not_supported("the name of a group that is no plain word");
            }
            if self.groups.iter().any(|group| group.name == Some(name)) {
                return invalid(&format!("{name:?} is the name of two groups"));
            }
        }
        let place = self.groups.len();
        self.groups.push(Group { name, width: None });
        let part = self.inside("(", flags, depth)?;
        self.groups[place].width = Some((part.shortest, part.longest));
        Ok(Part { group: Some(place + 1), ..part })
    }

    /// The text that a group has matched.
    pub(super) fn again(&mut self, number: usize, flags: Flags) -> Result<Part, PatternError> {
        let group = number.checked_sub(1).and_then(|place| self.groups.get(place));
        let Some((shortest, longest)) = group.and_then(|group| group.width) else {
            return invalid("a group is asked for that is not there, or not closed");
        };
        if flags.case {
            return not_supported("letter case of what a group has matched");
        }
        self.asks_group = true;
        Ok(Part { text: format!("(?:\\{number})"), shortest, longest, group: None, kind: Kind::Once })
    }
}
