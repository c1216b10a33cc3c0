//! How the program ends, in one place: what a script that calls it may rely on.

use std::process::ExitCode;

use lockkeeper_rules::verdict::Conclusion;

/// A way to end, with its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well; of a verdict: the target may be gone to.
    Safe = 0,
    /// The program broke off. A verdict never ends so: what goes wrong there is unknown.
    Failed = 1,
    /// Somebody must change something before the target may be gone to.
    Blocked = 2,
    /// It is not known, or the input is bad.
    Unknown = 3,
    /// Somebody else must release something first.
    Held = 4,
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Conclusion> for Exit {
    fn from(answer: Conclusion) -> Self {
        match answer {
            Conclusion::Safe => Self::Safe,
            Conclusion::Blocked => Self::Blocked,
            Conclusion::Held => Self::Held,
            Conclusion::Unknown => Self::Unknown,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_own_code_and_only_safe_is_zero() {
        let codes = Conclusion::ALL.map(|answer| (answer.name(), Exit::from(answer).code()));
        assert_eq!(codes, [("safe", 0), ("blocked", 2), ("held", 4), ("unknown", 3)]);
    }
}
