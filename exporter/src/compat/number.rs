//! A version as seed mode reads it: the first two numbers with a point between them, anywhere in a text. What stands
//! before and after them, the patch release too, says nothing.

use std::cmp::Ordering;
use std::fmt;

/// More digits than this in one number are refused, as by the interpreter whose answers are kept.
pub(super) const DIGITS_MAX: usize = 4_300;

/// The zero of each range of ten decimal digits (general category Nd, Unicode 14). Versions may be written in any of
/// them: full-width digits come out of spreadsheets.
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
    0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
    0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// Every decimal digit, as the ranges of a set in a pattern.
pub(super) fn digits() -> String {
    ZEROS.map(|zero| format!("\\x{{{zero:x}}}-\\x{{{:x}}}", zero + 9)).concat()
}

/// A number from 0 up, of any size, as its decimal digits without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Number(String);

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Two numbers with a point between them, such as `1.35`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Minor {
    major: Number,
    minor: Number,
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major.0, self.minor.0)
    }
}

/// A number has more than [`DIGITS_MAX`] digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number with more than {DIGITS_MAX} digits")]
pub(super) struct TooLong;

impl Minor {
    /// The first version in a text, or none.
    pub(super) fn find(text: &str) -> Result<Option<Self>, TooLong> {
        let mut run = String::new();
        let mut rest = text.chars();
        while let Some(letter) = rest.next() {
            if let Some(digit) = digit(letter) {
                run.push(digit);
                continue;
            }
            let after: String = if letter == '.' && !run.is_empty() {
                rest.clone().map_while(digit).collect()
            } else {
                String::new()
            };
            if !after.is_empty() {
                return Ok(Some(Self { major: number(&run)?, minor: number(&after)? }));
            }
            run.clear();
        }
        Ok(None)
    }
}

fn number(digits: &str) -> Result<Number, TooLong> {
    if digits.len() > DIGITS_MAX {
        return Err(TooLong);
    }
    let significant = digits.trim_start_matches('0');
    Ok(Number(if significant.is_empty() { "0".to_owned() } else { significant.to_owned() }))
}

/// The ASCII digit of the same value.
fn digit(letter: char) -> Option<char> {
    if letter.is_ascii() {
        return letter.is_ascii_digit().then_some(letter);
    }
    let code = u32::from(letter);
    let range = ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?;
    char::from_digit(code - ZEROS[range], 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        Minor::find(text).unwrap().map(|minor| minor.to_string())
    }

    #[test]
    fn the_first_two_numbers_with_a_point_between_them_are_the_version() {
        let cases = [
            ("v1.35", Some("1.35")),
            ("1.35.6", Some("1.35")),
            ("1.35.0-rc.1", Some("1.35")),
            ("v1.35.3+k3s1", Some("1.35")),
            ("k8s-1.35-foo", Some("1.35")),
            ("1.035", Some("1.35")),
            ("-1.35", Some("1.35")),
            ("release 1.34 to 1.35", Some("1.34")),
            ("1..2.3", Some("2.3")),
            ("7 1.00", Some("1.0")),
            ("１.３５", Some("1.35")),
            ("\u{0661}.\u{0663}\u{1d7ff}", Some("1.39")),
            ("", None),
            ("1", None),
            ("stable", None),
            ("1.x", None),
            ("1,35", None),
            ("1..35", None),
            ("\u{b9}.\u{b2}", None),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn numbers_of_any_size_are_compared_by_their_value() {
        let minor = |text: &str| Minor::find(text).unwrap().unwrap();
        assert!(minor("3.10") > minor("3.9"));
        assert!(minor("2.0") > minor("1.99"));
        assert!(minor(&format!("1.{}", "9".repeat(40))) < minor(&format!("1.1{}", "0".repeat(40))));
        assert_eq!(minor("1.0035"), minor("1.35"));
        let long = format!("1.{}", "0".repeat(DIGITS_MAX + 1));
        assert_eq!(Minor::find(&long), Err(TooLong));
        assert!(Minor::find(&long[..long.len() - 1]).is_ok());
    }
}
