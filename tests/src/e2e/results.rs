//! What was claimed, whether it was so, and the figures.

use std::fmt;

/// One run's results, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Results {
    claims: Vec<(bool, String, String)>,
    figures: Vec<(String, String)>,
}

impl Results {
    /// Something that must be so, with what was seen.
    pub(super) fn claim(&mut self, holds: bool, claim: impl Into<String>, seen: impl Into<String>) {
        self.claims.push((holds, claim.into(), seen.into()));
    }

    /// Something that was measured.
    pub(super) fn figure(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.figures.push((name.into(), value.into()));
    }

    /// How many claims do not hold.
    #[must_use]
    pub(super) fn failed(&self) -> usize {
        self.claims.iter().filter(|(holds, ..)| !holds).count()
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for (name, value) in &self.figures {
            writeln!(f, "  {name:<40} {value}")?;
        }
        writeln!(f)?;
        for (holds, claim, seen) in &self.claims {
            writeln!(
                f,
                "  {} {claim}{}{seen}",
                if *holds { "ok    " } else { "FAILED" },
                if seen.is_empty() { "" } else { ": " }
            )?;
        }
        let failed = self.failed();
        writeln!(f, "\ne2e: {} passed, {failed} failed", self.claims.len() - failed)
    }
}
