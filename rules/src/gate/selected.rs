//! The words that questions about metrics are made of.

use crate::settings::Settings;

/// A metric of this cluster.
pub(super) fn selected(metric: &str, matchers: &[String], settings: &Settings) -> String {
    let matchers: Vec<String> = matchers.iter().cloned().chain(settings.selector.own()).collect();
    format!("{metric}{{{}}}", matchers.join(","))
}
