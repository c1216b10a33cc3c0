//! What is shown of the facts about versions.

use super::{EXPORTER_RELOAD_SUCCESS, EXPORTER_RELOAD_SUCCESSFUL, Sample};
use crate::matrix::reload::InForce;

/// Whether the newest files are in force, and since when these are.
#[must_use]
pub fn matrix_samples(in_force: &InForce) -> Vec<Sample> {
    let InForce { matrix, loaded_at } = in_force;
    let is_wanted = if matrix.refused.is_empty() { 1.0 } else { 0.0 };
    vec![
        Sample::new(&EXPORTER_RELOAD_SUCCESSFUL, [], is_wanted),
        Sample::new(&EXPORTER_RELOAD_SUCCESS, [], loaded_at.as_duration().as_secs_f64()),
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::matrix::Matrix;

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
}
