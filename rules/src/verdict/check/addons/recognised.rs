//! What is told of the add-ons that are there, so that a pass can be held against what a person knows to run.

use super::super::Recognised;
use super::sign::Place;
use crate::facts::{Addon, AddonVersion, Coverage, Policy};

/// How many places are named; the rest is counted.
const NAMED_MAX: usize = 3;

/// One that is there in a version.
pub(super) fn read(
    addon: &Addon,
    version: AddonVersion,
    places: &[&Place<'_>],
    policy: &Policy,
) -> Recognised {
    let fits = match policy.coverage(&addon.support, version) {
        Coverage::Known(fit) => match (fit.min, fit.max) {
            (Some(min), Some(max)) => format!("fits {min} to {max}"),
            (Some(min), None) => format!("fits {min} and newer, no newest is stated"),
            (None, Some(max)) => format!("fits up to {max}"),
            (None, None) => "no window is stated".to_owned(),
        },
        Coverage::Older => "older than every row".to_owned(),
        Coverage::Newer => "newer than every row".to_owned(),
    };
    recognised(addon, &format!("{version}, {fits}"), places.iter().copied())
}

/// One that is there, in a version that cannot be told.
pub(super) fn unread(addon: &Addon, places: &[Place<'_>]) -> Recognised {
    recognised(addon, "its version cannot be told", places.iter())
}

fn recognised<'p>(
    addon: &Addon,
    what: &str,
    places: impl ExactSizeIterator<Item = &'p Place<'p>>,
) -> Recognised {
    let more = places.len().saturating_sub(NAMED_MAX);
    let named = places.take(NAMED_MAX).map(|place| format!("{} (by {})", place.workload, place.by()));
    let named: Vec<String> = named.collect();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    Recognised {
        subject: addon.name.clone(),
        detail: format!("{what}: {}{rest}", named.join(", ")),
        source: addon.source.clone(),
    }
}
