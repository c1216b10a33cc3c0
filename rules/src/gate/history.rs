//! How old the data of each Prometheus must be: one that has lost it answers whoever looks back as if nothing had been.

use jiff::{SignedDuration, Timestamp};

use crate::alert;
use crate::settings::Settings;

/// At how many moments Prometheus is asked whether it had data.
const MOMENTS: u64 = 60;

/// How old the data must be, in seconds: as far back as our own rules look, or as people say that theirs do.
pub(super) fn age_seconds_min(settings: &Settings) -> u64 {
    alert::look_back_seconds(settings).max(settings.prometheus_data_age_seconds_min)
}

fn step_seconds(settings: &Settings) -> u64 {
    age_seconds_min(settings).div_ceil(MOMENTS)
}

/// The moments are whole multiples of the step, so that the first may be a step later than the window begins.
fn window_seconds(settings: &Settings) -> u64 {
    age_seconds_min(settings) + step_seconds(settings)
}

/// The last moment of the window at which no target of this selection was scraped, as a time; 0 if there is none. Whoever
/// scrapes has `up`, also of targets that are down, so this needs nothing that an operator would have to set up.
pub(super) fn question(up: &str, settings: &Settings) -> String {
    let (window, step) = (window_seconds(settings), step_seconds(settings));
    format!("max_over_time((vector(time()) unless on () {up})[{window}s:{step}s]) or vector(0)")
}

/// When a Prometheus will have data that is old enough, if its last moment without was this one.
pub(super) fn old_enough_at(blind_at: Timestamp, settings: &Settings) -> Timestamp {
    let window = i64::try_from(window_seconds(settings)).unwrap_or(i64::MAX);
    blind_at.checked_add(SignedDuration::from_secs(window)).unwrap_or(Timestamp::MAX)
}

/// Whether a moment without data is so near that no later one is known to have any.
pub(super) fn is_now(blind_at: Timestamp, now: Timestamp, settings: &Settings) -> bool {
    let step = i64::try_from(step_seconds(settings)).unwrap_or(i64::MAX);
    now.duration_since(blind_at) <= SignedDuration::from_secs(step)
}
