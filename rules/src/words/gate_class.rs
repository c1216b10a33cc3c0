//! Which alerts close which steps.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which alerts close a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Closed by alerts of class `all` only.
    All,
    /// Closed by `all` and `start`.
    Start,
    /// Closed by `all` and `mutating`.
    Mutating,
}

impl Class {
    /// The value of the label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Start => "start",
            Self::Mutating => "mutating",
        }
    }

    /// Whether an alert that carries this label value closes a step of this class. A value that does not exist
    /// closes every step: a misspelt gate must not open one.
    #[must_use]
    pub fn is_closed_by(self, label: &str) -> bool {
        match label {
            "" => false,
            "start" => self == Self::Start,
            "mutating" => self == Self::Mutating,
            _ => true,
        }
    }

    /// Whether a label value is spelt as it should be.
    #[must_use]
    pub fn is_known(label: &str) -> bool {
        matches!(label, "all" | "start" | "mutating")
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_closed_by_its_own_by_all_and_by_what_is_misspelt() {
        let closed =
            |label: &str| [Class::All, Class::Start, Class::Mutating].map(|class| class.is_closed_by(label));
        assert_eq!(closed("all"), [true, true, true]);
        assert_eq!(closed("start"), [false, true, false]);
        assert_eq!(closed("mutating"), [false, false, true]);
        assert_eq!(closed("Mutating"), [true, true, true]);
        assert_eq!(closed("nope"), [true, true, true]);
        assert_eq!(closed(""), [false, false, false]);
    }
}
