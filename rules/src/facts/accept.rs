//! What a person accepts although it stands in the way: by name, with a reason, until a day.

use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Section;
use super::older::Replaced;
use super::text::{As, Filled, Lack, Row, Rows, Text};
use crate::reason::{Finding, Reason};

/// How many findings may be accepted; whoever accepts more does not look any more.
const ACCEPTS_MAX: usize = 100;
/// The checks of which something may be accepted, and what of each: what goes wrong there is seen afterwards and can be
/// mended. Why the others are not here stands in docs/decisions/0013.
pub const ACCEPTABLE: [(&str, Of); 9] = [
    ("addons", Of::Any),
    ("cloud_controller_skew", Of::Any),
    // Who knows the operator knows that it moves the budget, and that its pods last; a drain waits for either no longer
    // than for any other budget.
    ("disruption_budgets", Of::Only(&[Reason::PdbMayMove, Reason::PdbOfOthers])),
    ("removed_apis", Of::Any),
    ("risks", Of::Any),
    // That a kubelet does not start is no risk, but certain.
    ("runtime", Of::AnyBut(&[Reason::RuntimeTooOld])),
    ("stored_versions", Of::Any),
    // Only its owner knows whether a driver attaches volumes. That other plugins are gone is certain.
    ("volume_plugins", Of::Only(&[Reason::FlexVolumeUnmounted])),
    // Only what nobody here can see: whether somebody answers there, and what matchConditions leave out. That nobody
    // answers, or that the last who does leaves, is certain.
    ("webhooks", Of::Only(&[Reason::WebhookUnproven, Reason::WebhookConditional])),
];

/// Which findings of a check may be accepted.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// Whatever blocks or holds.
    Any,
    /// The same without these.
    AnyBut(&'static [Reason]),
    /// These alone.
    Only(&'static [Reason]),
}

/// Whether a finding of a check may be accepted, if it is known for certain.
#[must_use]
pub fn is_acceptable(check: &str, reason: Reason) -> bool {
    let of = ACCEPTABLE.iter().find(|(name, _)| *name == check).map(|(_, of)| of);
    of.is_some_and(|of| match of {
        Of::Any => true,
        Of::AnyBut(never) => !never.contains(&reason),
        Of::Only(these) => these.contains(&reason),
    })
}

/// One finding that a person accepts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Accept {
    /// The check that finds it.
    #[serde(with = "As::<Check>")]
    pub check: String,
    /// What the finding is about, exactly as the finding shows it.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"calico")]
    pub subject: String,
    /// The finding's code; all of them about the subject by default.
    #[serde(default, with = "As::<Code>")]
    pub reason: Option<Reason>,
    /// Why it is accepted.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"tested on the staging cluster")]
    pub why: String,
    /// Who accepts it.
    #[serde(with = "As::<Filled>")]
    #[schemars(example = &"ops")]
    pub by: String,
    /// Until which day, that day included; afterwards it blocks until it is taken out.
    #[serde(with = "As::<Date>")]
    pub until: Date,
}

/// Findings that are in the way and that a person accepts for a while.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub struct Accepts(#[serde(with = "Rows::<Accept>")] pub Vec<Accept>);

impl Accept {
    /// Whether a finding of a check is meant.
    #[must_use]
    pub fn means(&self, check: &str, finding: &Finding) -> bool {
        let is_meant = self.check == check && self.subject == finding.subject;
        is_acceptable(check, finding.reason)
            && is_meant
            && self.reason.is_none_or(|reason| reason == finding.reason)
    }

    /// When it ends: with its last day, in UTC.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        let end = self.until.tomorrow().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(end.timestamp())
    }

    /// Whether it still holds.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        // Behind the last day that can be told there is no end.
        self.ends_at().is_none_or(|end| now < end)
    }

    /// The code of its reason, empty for any.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.reason.map_or("", Reason::code)
    }
}

impl Section for Accepts {
    const KEY: &'static str = "accept";

    const IS_JOINED: bool = true;

    fn too_many(&self) -> Option<usize> {
        (self.0.len() > ACCEPTS_MAX).then_some(ACCEPTS_MAX)
    }

    /// Wishes do not age.
    fn replaced(&self, _later: &Self) -> Vec<Replaced> {
        Vec::new()
    }

    /// A later file says more, or the same anew.
    fn join(self, later: Self) -> Self {
        let is_anew = |accept: &Accept| {
            let is_same = |it: &Accept| {
                it.check == accept.check && it.subject == accept.subject && it.reason == accept.reason
            };
            later.0.iter().any(is_same)
        };
        let mut accepts: Vec<Accept> = self.0.into_iter().filter(|accept| !is_anew(accept)).collect();
        accepts.extend(later.0);
        Self(accepts)
    }
}

impl Row for Accept {
    const MAX: usize = ACCEPTS_MAX;

    fn once(&self) -> Option<String> {
        Some(format!("one of {} {} {}", self.check, self.subject, self.code()))
    }

    fn lacks(&self) -> Option<Lack> {
        let may_be = self.reason.is_none_or(|reason| is_acceptable(&self.check, reason));
        (!may_be).then(|| (Some("reason"), Code::EXPECTED.to_owned()))
    }
}

struct Check;
struct Code;

impl Text for Check {
    type Is = String;
    const READ: fn(&str) -> Option<String> = |text| (Self::WORDS)().contains(&text).then(|| text.to_owned());
    const WORDS: fn() -> Vec<&'static str> = || ACCEPTABLE.map(|(check, _)| check).to_vec();
}

impl Text for Code {
    type Is = Reason;
    const EXPECTED: &'static str = "the code of a finding of its check that may be accepted";
    const PATTERN: &'static str = "^[a-z_]+$";
    const EXAMPLE: &'static str = "addon_pinned";
    const READ: fn(&str) -> Option<Reason> = |text| Reason::from_code(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Matrix;

    const ROW: &str = "check: addons, subject: calico, why: tested, by: ops, until: \"2026-09-30\"";

    fn load(rows: &str) -> Result<Vec<Accept>, String> {
        let text = format!("schema: 2\nas_of: \"2026-08-22\"\naccept: [{rows}]\n");
        let loaded = Matrix::load(&[("mine.yaml", &text)]);
        loaded.map(|matrix| matrix.accept.value.0).map_err(|mistakes| mistakes[0].to_string())
    }

    #[test]
    fn a_row_says_what_why_who_and_until_when() {
        let rows = load(&format!("{{{ROW}}}, {{{ROW}, reason: addon_pinned}}")).unwrap();
        assert_eq!((rows.len(), rows[0].reason, rows[1].reason), (2, None, Some(Reason::AddonPinned)));
        for (row, told) in [
            (
                ROW.replace("addons", "path"),
                "accept[0].check: found the text \"path\", expected one of addons, cloud_controller_skew",
            ),
            (ROW.replace("calico", "\"\""), "accept[0].subject"),
            (ROW.replace("why: tested, ", ""), "no why"),
            (ROW.replace("by: ops, ", ""), "no by"),
            (ROW.replace("2026-09-30", "never"), "accept[0].until"),
            (format!("{ROW}, reason: nonsense"), "accept[0].reason"),
            (ROW.replace("addons", "runtime") + ", reason: runtime_too_old", "accept[0].reason"),
            (format!("{ROW}}}, {{{ROW}"), "expected one of addons calico"),
        ] {
            let said = load(&format!("{{{row}}}")).unwrap_err();
            assert!(said.contains(told), "{told:?} in {said}");
        }
        let many = (0..=ACCEPTS_MAX).map(|n| format!("{{{}}}", ROW.replace("calico", &format!("n{n}"))));
        assert!(load(&many.collect::<Vec<_>>().join(", ")).unwrap_err().contains("at most 100"));
    }

    #[test]
    fn its_last_day_counts_to_the_end() {
        let row = &load(&format!("{{{ROW}}}")).unwrap()[0];
        for (now, holds) in [
            ("2026-08-22T00:00:00Z", true),
            ("2026-09-30T23:59:59Z", true),
            ("2026-10-01T00:00:00Z", false),
            ("2027-01-01T00:00:00Z", false),
        ] {
            assert_eq!(row.holds(now.parse().unwrap()), holds, "{now}");
        }
    }

    #[test]
    fn exactly_what_is_named_is_meant() {
        let row = &load(&format!("{{{ROW}, reason: addon_pinned}}")).unwrap()[0];
        let any = &load(&format!("{{{ROW}}}")).unwrap()[0];
        for (check, subject, reason, is_row, is_any) in [
            ("addons", "calico", Reason::AddonPinned, true, true),
            ("addons", "calico", Reason::AddonRetired, false, true),
            ("addons", "calico-typha", Reason::AddonPinned, false, false),
            ("risks", "calico", Reason::AddonPinned, false, false),
        ] {
            let finding = Finding::new(reason, subject, "");
            assert_eq!(
                (row.means(check, &finding), any.means(check, &finding)),
                (is_row, is_any),
                "{finding}"
            );
        }
        let of_runtime = Accept { check: "runtime".to_owned(), ..any.clone() };
        assert!(!of_runtime.means("runtime", &Finding::new(Reason::RuntimeTooOld, "calico", "")));
        assert!(of_runtime.means("runtime", &Finding::new(Reason::RuntimeNotRecommended, "calico", "")));
        let never = Accept { check: "path".to_owned(), subject: "cp-1".to_owned(), ..any.clone() };
        assert!(!never.means("path", &Finding::new(Reason::TargetDowngrade, "cp-1", "")));
    }
}
