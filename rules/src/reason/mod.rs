//! Every reason code, one vocabulary: the same word in metrics, JSON, Events, logs, conditions and docs.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strum::{EnumMessage, VariantArray};

mod finding;
mod table;

pub use finding::Finding;
pub use table::Reason;

/// What a reason says to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The snake_case code.
    pub code: &'static str,
    /// What it means, a sentence without a full stop.
    pub meaning: &'static str,
    /// What would clear it, a sentence without a full stop.
    pub remedy: &'static str,
}

impl Reason {
    /// Every reason, in the order of the vocabulary.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The snake_case code, as in metrics, JSON and docs.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.into()
    }

    /// The reason that has this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }

    /// Code, meaning and remedy.
    #[must_use]
    pub fn entry(self) -> Entry {
        let meaning = self.get_documentation().expect("every reason has a doc comment");
        let remedy = self.get_message().expect("every reason has a message");
        Entry { code: self.code(), meaning, remedy }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown reason code {code:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_snake_case_unique_and_read_back() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for &reason in Reason::ALL {
            assert!(reason.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{reason}");
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
            let debug = format!("{reason:?}").to_lowercase();
            assert_eq!(debug, reason.code().replace('_', ""), "code and variant are the same word");
        }
    }

    #[test]
    fn no_variant_is_left_out_of_the_list() {
        let last = *Reason::ALL.last().unwrap();
        assert_eq!(last, Reason::HoldDeadline);
        assert_eq!(Reason::ALL.len(), last as usize + 1);
    }

    #[test]
    fn every_reason_says_what_it_means_and_what_would_clear_it() {
        for &reason in Reason::ALL {
            let Entry { code, meaning, remedy } = reason.entry();
            for text in [meaning, remedy] {
                let is_one_line = !text.is_empty() && text == text.trim() && !text.contains('\n');
                assert!(is_one_line && !text.ends_with('.'), "{code}: {text:?}");
            }
        }
    }
}
