//! Characters and sets of them. Each is said as a set whose ranges are written out, so that neither the engine's notation
//! nor its version of Unicode has a say in it.

use super::read::{Flags, Part, Reader};
use super::{PatternError, invalid, not_supported};
use crate::compat::number;

/// What stands for itself, or for a set, inside brackets and outside.
enum Member {
    One(char),
    Set(String),
}

const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = r"\x{9}-\x{d}\x{20}";
/// What is space to CPython beyond ASCII, and the four separators of ASCII that are space only with it.
const MORE_SPACE: &str =
    r"\x{1c}-\x{1f}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}";

impl Reader<'_> {
    /// What a backslash begins outside of brackets.
    pub(super) fn escape(&mut self, flags: Flags) -> Result<Part, PatternError> {
        let Some(letter) = self.next() else { return invalid("it ends in a backslash") };
        Ok(match letter {
            'A' => Part::place(r"\A"),
            'Z' => Part::place(r"\z"),
            'b' | 'B' => Part::place(&self.boundary(letter == 'b', flags)),
            '1'..='9' if !self.rest.starts_with(|letter: char| letter.is_ascii_digit()) => {
                return self.again(letter.to_digit(10).unwrap_or_default() as usize, flags);
            }
            _ => {
                let member = self.escaped(letter, flags)?;
                Part::one(format!("[{}]", self.translate(&member, flags)?))
            }
        })
    }

    /// Whether a word begins or ends here. CPython says no to both questions where the text is empty.
    fn boundary(&mut self, is_asked: bool, flags: Flags) -> String {
        let word = self.ranges('w', flags);
        let (then, otherwise) = if is_asked { ('!', '=') } else { ('=', '!') };
        format!("(?:(?<=[{word}])(?{then}[{word}])|(?<![{word}])(?{otherwise}[{word}])(?!\\A\\z))")
    }

    /// A character that stands for itself.
    pub(super) fn letter(&mut self, letter: char, flags: Flags) -> Result<Part, PatternError> {
        Ok(Part::one(format!("[{}]", self.range(letter, letter, flags)?)))
    }

    /// The rest of a set, after its opening bracket.
    pub(super) fn set(&mut self, flags: Flags) -> Result<Part, PatternError> {
        let mut text = String::from(if self.eats("^") { "[^" } else { "[" });
        let opening = text.len();
        while text.len() == opening || !self.eats("]") {
            let low = self.member(flags)?;
            if !self.rest.starts_with('-') || self.rest.starts_with("-]") {
                text.push_str(&self.translate(&low, flags)?);
                continue;
            }
            self.next();
            match (low, self.member(flags)?) {
                (Member::One(low), Member::One(high)) if low <= high => {
                    text.push_str(&self.range(low, high, flags)?);
                }
                _ => return invalid("a range of characters has no order"),
            }
        }
        Ok(Part::one(text + "]"))
    }

    fn member(&mut self, flags: Flags) -> Result<Member, PatternError> {
        match self.next() {
            None => invalid("a set is not closed"),
            Some('\\') => match self.next() {
                None => invalid("a set is not closed"),
                Some('b') => Ok(Member::One('\u{8}')),
                Some(letter) => self.escaped(letter, flags),
            },
            Some(letter) => Ok(Member::One(letter)),
        }
    }

    /// Escapes that mean the same inside and outside of brackets.
    fn escaped(&mut self, letter: char, flags: Flags) -> Result<Member, PatternError> {
        let code = match letter {
            'd' | 's' | 'w' => return Ok(Member::Set(format!("[{}]", self.ranges(letter, flags)))),
            'D' | 'S' | 'W' => {
                return Ok(Member::Set(format!("[^{}]", self.ranges(letter.to_ascii_lowercase(), flags))));
            }
            'a' => 0x07,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'v' => 0x0b,
            'x' => self.hexadecimal(2)?,
            'u' => self.hexadecimal(4)?,
            'U' => self.hexadecimal(8)?,
            'N' => return not_supported("characters by name"),
            '0'..='9' => return not_supported("octal numbers, and groups from the tenth on"),
            _ if letter.is_ascii_alphabetic() => return invalid(&format!("bad escape \\{letter}")),
            _ => u32::from(letter),
        };
        match char::from_u32(code) {
            Some(letter) => Ok(Member::One(letter)),
            None => not_supported("what is no character"),
        }
    }

    fn hexadecimal(&mut self, count: usize) -> Result<u32, PatternError> {
        let found = self.rest.split_at_checked(count);
        match found.filter(|(digits, _)| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            Some((digits, rest)) => {
                self.rest = rest;
                // Eight digits are a u32.
                Ok(u32::from_str_radix(digits, 16).unwrap_or(u32::MAX))
            }
            None => invalid("a hexadecimal escape breaks off"),
        }
    }

    /// The ranges of `\d`, `\s` and `\w`. Which letters are words beyond ASCII depends on the version of Unicode.
    fn ranges(&mut self, class: char, flags: Flags) -> String {
        match (class, flags.ascii) {
            ('d', true) => "0-9".to_owned(),
            ('d', false) => number::digits(),
            ('s', true) => SPACE.to_owned(),
            ('s', false) => format!("{SPACE}{MORE_SPACE}"),
            _ => {
                self.asks_ascii |= !flags.ascii;
                WORD.to_owned()
            }
        }
    }

    fn translate(&mut self, member: &Member, flags: Flags) -> Result<String, PatternError> {
        match member {
            Member::One(letter) => self.range(*letter, *letter, flags),
            Member::Set(set) => Ok(set.clone()),
        }
    }

    /// A range, with the other case of its letters where case is passed over.
    fn range(&mut self, low: char, high: char, flags: Flags) -> Result<String, PatternError> {
        let mut text = format!("\\x{{{:x}}}-\\x{{{:x}}}", u32::from(low), u32::from(high));
        if flags.case {
            if !high.is_ascii() {
                return not_supported("letter case beyond ASCII");
            }
            self.asks_ascii = true;
            text.extend(
                (low..=high).filter(char::is_ascii_lowercase).map(|letter| letter.to_ascii_uppercase()),
            );
            text.extend(
                (low..=high).filter(char::is_ascii_uppercase).map(|letter| letter.to_ascii_lowercase()),
            );
        }
        Ok(text)
    }
}
