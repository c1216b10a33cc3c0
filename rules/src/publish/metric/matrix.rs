//! What is shown of the facts about versions.

use super::{ACCEPT_EXPIRY, EXPORTER_RELOAD_SUCCESS, EXPORTER_RELOAD_SUCCESSFUL, Sample};
use crate::facts::reload::InForce;

/// Whether the newest files are in force, since when these are, and what is accepted by them.
#[must_use]
pub fn matrix_samples(in_force: &InForce) -> Vec<Sample> {
    let InForce { matrix, loaded_at } = in_force;
    let is_wanted = if matrix.refused.is_empty() { 1.0 } else { 0.0 };
    let accepts = matrix.accept.value.0.iter().filter_map(|accept| {
        let labels = [accept.check.as_str(), accept.subject.as_str(), accept.code()];
        Some(Sample::new(&ACCEPT_EXPIRY, labels, accept.ends_at()?.as_duration().as_secs_f64()))
    });
    let reload = [
        Sample::new(&EXPORTER_RELOAD_SUCCESSFUL, [], is_wanted),
        Sample::new(&EXPORTER_RELOAD_SUCCESS, [], loaded_at.as_duration().as_secs_f64()),
    ];
    reload.into_iter().chain(accepts).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::facts::Matrix;

    #[test]
    fn a_refused_file_is_shown_until_it_is_mended() {
        let mut matrix = Matrix::built_in();
        for (refused, shown) in [(Vec::new(), 1.0), (Matrix::load(&[("a", "")]).unwrap_err(), 0.0)] {
            matrix.refused = refused;
            let loaded_at = Timestamp::from_second(7).unwrap();
            let samples = matrix_samples(&InForce { matrix: Arc::new(matrix.clone()), loaded_at });
            assert_eq!(samples[0], Sample::new(&EXPORTER_RELOAD_SUCCESSFUL, [], shown));
            assert_eq!(samples[1], Sample::new(&EXPORTER_RELOAD_SUCCESS, [], 7.0));
        }
    }

    #[test]
    fn what_is_accepted_is_shown_with_the_end_of_its_last_day() {
        let accept = "accept: [{check: addons, subject: calico, why: w, by: b, until: \"2026-09-30\"}]";
        let text = format!("schema: 2\nas_of: \"2026-08-22\"\n{accept}\n");
        let matrix = Arc::new(Matrix::load(&[("a", &text)]).unwrap());
        let samples = matrix_samples(&InForce { matrix, loaded_at: Timestamp::UNIX_EPOCH });
        let end: Timestamp = "2026-10-01T00:00:00Z".parse().unwrap();
        let shown = Sample::new(&ACCEPT_EXPIRY, ["addons", "calico", ""], end.as_duration().as_secs_f64());
        assert_eq!(samples[2..], [shown]);
    }
}
