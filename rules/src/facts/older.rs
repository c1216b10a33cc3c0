//! Facts of a later file that have taken the place of newer ones.
//!
//! It happens when a program is renewed under a file that stays: what the file says was looked at before what is built
//! in by now. Which of both is right, only a person can say.

use std::fmt;

use jiff::civil::Date;

/// A section, or a row of one, that has taken the place of a newer one and says something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Older {
    /// The file that is in force.
    pub file: String,
    /// The day of its facts.
    pub as_of: Date,
    /// What they are about, such as `etcd` or `addons cilium`.
    pub about: String,
    /// Where the newer ones are.
    pub newer_file: String,
    /// Their day.
    pub newer_as_of: Date,
}

/// A row that a later file says anew and otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replaced {
    /// Its name; nothing for a section that is given whole.
    pub(crate) row: Option<String>,
    /// The day of what was there, if the row has its own.
    pub(crate) was: Option<Date>,
    /// The day of what takes its place, if the row has its own.
    pub(crate) is: Option<Date>,
}

impl Replaced {
    /// A section that is given whole.
    pub(crate) const WHOLE: Self = Self { row: None, was: None, is: None };
}

impl fmt::Display for Older {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, as_of, about, newer_file, newer_as_of } = self;
        write!(f, "{about}: {file} of {as_of} has taken the place of {newer_file} of {newer_as_of}")
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::Matrix;

    /// What of `later` has taken the place of something newer, over a file of 2030.
    fn older(before: &str, later: &str) -> Vec<String> {
        let before = format!("schema: 2\nas_of: \"2030-06-01\"\n{before}");
        let matrix = Matrix::load(&[("before.yaml", &before), ("later.yaml", later)]);
        matrix
            .unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
            .older
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    const KERNEL: &str =
        "kernel: {branches: [\"5.4\"], from: \"6.0\", source: \"https://example.com/a-page\"}\n";
    const ADDON: &str = "name: mine, namespace: n, kind: ds, resource: r, image_re: 'a:v(\\d+\\.\\d+)', claim: tested, \
                         max_k8s: {\"1.0\": \"1.36\"}, source: \"https://example.com/a-page\"";
    const RISK: &str =
        "name: mine, why: it breaks, to: \">=1.37\", severity: note, source: \"https://example.com/a-page\"";

    #[test]
    fn what_is_older_and_says_something_else_is_named_with_both_days() {
        let addon = |change: &str| format!("addons: [{{{ADDON}{change}}}]\n");
        let risk = |change: &str| format!("risks: [{{{RISK}{change}}}]\n");
        let kernel = |change: &str| KERNEL.replace("\"5.4\"", change);
        let told = |about: &str, newer: &str| {
            vec![format!("{about}: later.yaml of 2030-05-01 has taken the place of {newer} of 2030-06-01")]
        };
        let (row, none) = (|| told("addons mine", "addons.yaml, before.yaml"), Vec::<String>::new);
        let (kernel_row, risk_row) = (told("kernel", "before.yaml"), told("risks mine", "before.yaml"));
        let floor = ", min_k8s: {\"1.0\": \"1.30\"}";
        let dated = |day: &str| addon(&format!("{floor}, as_of: \"{day}\""));
        for (before, later, day, expected) in [
            (kernel("\"5.4\""), kernel("\"5.10\""), "2030-05-01", kernel_row),
            (kernel("\"5.4\""), kernel("\"5.10\""), "2030-06-01", none()),
            (kernel("\"5.4\""), kernel("\"5.4\""), "2030-05-01", none()),
            (addon(""), addon(floor), "2030-05-01", row()),
            (addon(""), addon(floor), "2030-06-01", none()),
            (addon(""), addon(""), "2030-05-01", none()),
            // A row may be younger than its file, and older.
            (addon(""), dated("2030-06-02"), "2030-05-01", none()),
            (addon(""), dated("2030-05-01"), "2030-07-01", row()),
            (addon(", as_of: \"2030-04-01\""), addon(floor), "2030-05-01", none()),
            (addon(""), addon(floor).replace("mine", "other"), "2030-05-01", none()),
            (risk(""), risk(", from: \"<1.36\""), "2030-05-01", risk_row),
            (risk(""), risk("").replace("mine", "other"), "2030-05-01", none()),
            // Wishes do not age.
            (
                "policy: {not_covered: warn}\n".into(),
                "policy: {not_covered: unknown}\n".into(),
                "2030-05-01",
                none(),
            ),
        ] {
            let file = format!("schema: 2\nas_of: \"{day}\"\n{later}");
            assert_eq!(older(&before, &file), expected, "{before}{file}");
        }
    }
}
