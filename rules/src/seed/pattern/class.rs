//! Escapes and sets of characters.

use super::PatternError;
use super::flags::Flags;
use super::read::{Reader, invalid, not_supported};

/// What a backslash stands for.
pub(super) enum Escape {
    /// One character.
    Literal(char),
    /// A set of characters, as it stands inside or outside brackets.
    Set(&'static str),
    /// A group that was matched before.
    Group(usize),
    /// A place, as it is said to the engine.
    Place(&'static str),
}

/// One character, said so that no engine reads anything else into it.
pub(super) fn literal(letter: char) -> String {
    if letter.is_ascii_alphanumeric() {
        letter.to_string()
    } else {
        format!("\\x{{{:x}}}", u32::from(letter))
    }
}

impl Reader {
    /// What follows a backslash outside brackets.
    pub(super) fn escape(&mut self, flags: Flags) -> Result<Escape, PatternError> {
        let Some(letter) = self.next() else { return invalid("it ends in a backslash") };
        let place = match letter {
            'A' => r"\A",
            'Z' => r"\z",
            'b' => r"\b",
            // At an empty text the seed's engine says no.
            'B' => r"(?!\A\z)\B",
            '1'..='9' => return self.group_or_octal(letter),
            _ => return self.character(letter, flags),
        };
        self.asks_words |= matches!(letter, 'b' | 'B');
        Ok(Escape::Place(place))
    }

    fn class_escape(&mut self, flags: Flags) -> Result<Escape, PatternError> {
        match self.next() {
            None => invalid("a set is not closed"),
            Some('b') => Ok(Escape::Literal('\u{8}')),
            Some(first @ '0'..='7') => {
                let code = self.digits(first.to_digit(8).unwrap_or(0), 2, 8).0;
                if code > 0o377 { invalid("an octal escape is larger than 377") } else { character(code) }
            }
            Some(letter) => self.character(letter, flags),
        }
    }

    /// Escapes that mean the same inside and outside brackets.
    fn character(&mut self, letter: char, flags: Flags) -> Result<Escape, PatternError> {
        let is_ascii = flags.has(Flags::ASCII);
        if let Some(set) = set(letter, is_ascii) {
            self.asks_words |= !is_ascii && matches!(letter, 'w' | 'W');
            return Ok(Escape::Set(set));
        }
        let code = match letter {
            'a' => 0x07,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'v' => 0x0b,
            'x' => self.hexadecimal(2)?,
            'u' => self.hexadecimal(4)?,
            'U' => self.hexadecimal(8)?,
            '0' => self.digits(0, 2, 8).0,
            'N' => return not_supported("characters by name"),
            _ if letter.is_ascii_alphanumeric() => return invalid(&format!("bad escape \\{letter}")),
            _ => u32::from(letter),
        };
        character(code)
    }

    fn hexadecimal(&mut self, count: usize) -> Result<u32, PatternError> {
        match self.digits(0, count, 16) {
            (code, read) if read == count => Ok(code),
            _ => invalid("a hexadecimal escape breaks off"),
        }
    }

    /// At most so many more digits; their value, and how many there were.
    fn digits(&mut self, first: u32, count_max: usize, radix: u32) -> (u32, usize) {
        let (mut code, mut count) = (first, 0);
        while count < count_max {
            let Some(digit) = self.peek().and_then(|letter| letter.to_digit(radix)) else { break };
            code = code.wrapping_mul(radix).wrapping_add(digit);
            count += 1;
            self.next();
        }
        (code, count)
    }

    fn group_or_octal(&mut self, first: char) -> Result<Escape, PatternError> {
        let mut digits = vec![first.to_digit(10).unwrap_or(0)];
        let is_octal = |digit: &u32| *digit < 8;
        if let Some(second) = self.peek().and_then(|letter| letter.to_digit(10)) {
            self.next();
            digits.push(second);
            let third = self.peek().and_then(|letter| letter.to_digit(8));
            if let (Some(third), true) = (third, digits.iter().all(is_octal)) {
                self.next();
                let code = digits[0] * 64 + second * 8 + third;
                return if code > 0o377 {
                    invalid("an octal escape is larger than 377")
                } else {
                    character(code)
                };
            }
        }
        let number = digits.iter().fold(0, |number, digit| number * 10 + *digit as usize);
        self.group(number)
    }

    /// The rest of a set, after its opening bracket.
    pub(super) fn set(&mut self, flags: Flags) -> Result<String, PatternError> {
        let mut text = String::from(if self.eats('^') { "[^" } else { "[" });
        let opening = text.len();
        loop {
            let low = match self.next() {
                None => return invalid("a set is not closed"),
                Some(']') if text.len() > opening => break,
                Some('\\') => self.class_escape(flags)?,
                Some(letter) => Escape::Literal(letter),
            };
            if !self.eats('-') {
                push(&mut text, &low);
                continue;
            }
            let high = match self.next() {
                None => return invalid("a set is not closed"),
                Some(']') => {
                    push(&mut text, &low);
                    text.push_str(&literal('-'));
                    break;
                }
                Some('\\') => self.class_escape(flags)?,
                Some(letter) => Escape::Literal(letter),
            };
            match (low, high) {
                (Escape::Literal(low), Escape::Literal(high)) if low <= high => {
                    text.push_str(&format!("{}-{}", literal(low), literal(high)));
                }
                _ => return invalid("a range of characters has no order"),
            }
        }
        text.push(']');
        Ok(text)
    }
}

fn push(text: &mut String, escape: &Escape) {
    match escape {
        Escape::Literal(letter) => text.push_str(&literal(*letter)),
        Escape::Set(set) => text.push_str(set),
        Escape::Group(_) | Escape::Place(_) => {}
    }
}

fn character(code: u32) -> Result<Escape, PatternError> {
    match char::from_u32(code) {
        Some(letter) => Ok(Escape::Literal(letter)),
        None if code > 0x10_ffff => invalid("a character beyond Unicode"),
        None => not_supported("half of a surrogate pair"),
    }
}

fn set(letter: char, is_ascii: bool) -> Option<&'static str> {
    Some(match (letter, is_ascii) {
        ('d', false) => r"\d",
        ('D', false) => r"\D",
        ('d', true) => "[0-9]",
        ('D', true) => "[^0-9]",
        ('s', false) => r"[\s\x{1c}-\x{1f}]",
        ('S', false) => r"[^\s\x{1c}-\x{1f}]",
        ('s', true) => r"[\x{9}-\x{d}\x{20}]",
        ('S', true) => r"[^\x{9}-\x{d}\x{20}]",
        ('w', false) => r"\w",
        ('W', false) => r"\W",
        ('w', true) => "[0-9A-Za-z_]",
        ('W', true) => "[^0-9A-Za-z_]",
        _ => return None,
    })
}
