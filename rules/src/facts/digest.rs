//! The digest by which a person pins a file of facts: one that has been changed on its way is refused.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::mistake::{Mistake, Place};

/// The SHA-256 of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits, as `sha256sum` prints them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// What is wrong with a file that was pinned with this digest, if it is another one.
    #[must_use]
    pub fn mistake(self, file: &str, text: &str) -> Option<Mistake> {
        let found = Self::of(text);
        (found != self).then(|| Mistake {
            file: file.to_owned(),
            place: Place { line: 1, column: 1 },
            field: "its sha256".to_owned(),
            found: found.to_string(),
            expected: format!("{self}, as matrix.files pins it"),
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the text `abc`, as FIPS 180-2 tells it.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_is_read_as_sha256sum_prints_it() {
        assert_eq!(Digest::of("abc").to_string(), ABC);
        assert_eq!(Digest::parse(ABC), Some(Digest::of("abc")));
        assert_eq!(Digest::parse(&ABC.to_uppercase()), Some(Digest::of("abc")));
        for text in
            ["", "abc", &ABC[1..], &format!("{ABC}0"), &ABC.replace('b', "g"), &format!("+{}", &ABC[1..])]
        {
            assert_eq!(Digest::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_file_with_another_digest_is_told_with_both() {
        assert_eq!(Digest::of("abc").mistake("f.yaml", "abc"), None);
        let other = Digest::of("abd");
        let said = Digest::of("abc").mistake("f.yaml", "abd").unwrap().to_string();
        assert_eq!(
            said,
            format!("f.yaml:1:1: its sha256: found {other}, expected {ABC}, as matrix.files pins it")
        );
    }
}
