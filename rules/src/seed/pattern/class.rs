//! Escapes and sets of characters.

use super::PatternError;
use super::flags::Flags;
use super::read::{Reader, invalid, not_supported};
use super::tree::{Category, Letters, Member, Node, Place};

impl Reader {
    /// What follows a backslash outside brackets.
    pub(super) fn escape(&mut self, flags: Flags) -> Result<Node, PatternError> {
        let Some(letter) = self.next() else { return invalid("it ends in a backslash") };
        let place = match letter {
            'A' => Place::TextStart,
            'Z' => Place::TextEnd,
            'b' | 'B' => Place::Boundary { is_negated: letter == 'B', is_ascii: flags.has(Flags::ASCII) },
            '1'..='9' => return self.group_or_octal(letter, flags),
            _ => return Ok(flags.letter(self.character(letter, flags)?)),
        };
        Ok(Node::Place(place))
    }

    fn class_escape(&mut self, flags: Flags) -> Result<Member, PatternError> {
        match self.next() {
            None => invalid("a set is not closed"),
            Some('b') => Ok(Member::One(8)),
            Some(first @ '0'..='7') => {
                let code = self.digits(first.to_digit(8).unwrap_or(0), 2, 8).0;
                if code > 0o377 { invalid("an octal escape is larger than 377") } else { character(code) }
            }
            Some(letter) => self.character(letter, flags),
        }
    }

    /// Escapes that mean the same inside and outside brackets.
    fn character(&mut self, letter: char, flags: Flags) -> Result<Member, PatternError> {
        let category = match letter {
            'd' | 'D' => Some(Category::Digit),
            's' | 'S' => Some(Category::Space),
            'w' | 'W' => Some(Category::Word),
            _ => None,
        };
        if let Some(category) = category {
            let (is_negated, is_ascii) = (letter.is_ascii_uppercase(), flags.has(Flags::ASCII));
            return Ok(Member::Category { category, is_negated, is_ascii });
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

    fn group_or_octal(&mut self, first: char, flags: Flags) -> Result<Node, PatternError> {
        let first = first.to_digit(10).unwrap_or(0);
        let Some(second) = self.peek().and_then(|letter| letter.to_digit(10)) else {
            return self.again(first as usize, flags);
        };
        self.next();
        let third = self.peek().and_then(|letter| letter.to_digit(8));
        let Some(third) = third.filter(|_| first < 8 && second < 8) else {
            return self.again((first * 10 + second) as usize, flags);
        };
        self.next();
        let code = first * 64 + second * 8 + third;
        if code > 0o377 {
            return invalid("an octal escape is larger than 377");
        }
        Ok(flags.letter(Member::One(code)))
    }

    /// The rest of a set, after its opening bracket.
    pub(super) fn set(&mut self, flags: Flags) -> Result<Node, PatternError> {
        let is_negated = self.eats('^');
        let mut set = Letters { is_negated, members: Vec::new(), fold: flags.fold() };
        loop {
            let low = match self.next() {
                None => return invalid("a set is not closed"),
                Some(']') if !set.members.is_empty() => break,
                Some('\\') => self.class_escape(flags)?,
                Some(letter) => Member::One(letter.into()),
            };
            if !self.eats('-') {
                set.add(low);
                continue;
            }
            let high = match self.next() {
                None => return invalid("a set is not closed"),
                Some(']') => {
                    set.add(low);
                    set.add(Member::One('-'.into()));
                    break;
                }
                Some('\\') => self.class_escape(flags)?,
                Some(letter) => Member::One(letter.into()),
            };
            match (low, high) {
                (Member::One(low), Member::One(high)) if low <= high => set.add(Member::Range(low, high)),
                _ => return invalid("a range of characters has no order"),
            }
        }
        Ok(Node::Letters(set))
    }
}

fn character(code: u32) -> Result<Member, PatternError> {
    if code > char::MAX.into() { invalid("a character beyond Unicode") } else { Ok(Member::One(code)) }
}
