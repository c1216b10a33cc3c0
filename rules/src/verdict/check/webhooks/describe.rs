//! How a webhook is described.

use super::needs::{AskedAbout, SYSTEM};

/// How many resources are named in a finding.
pub(super) const NAMED_MAX: usize = 6;
/// How many namespaces are.
const NAMESPACES_MAX: usize = 4;

/// A number of things, in English.
pub(super) fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// Some words in a row, the last behind an `and`.
pub(super) fn named<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match words.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        Some((only, _)) => (*only).to_owned(),
        None => String::new(),
    }
}

/// The first of some words, and how many more there are.
fn first<'a>(max: usize, words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    let more = words.len().saturating_sub(max);
    let rest = (more > 0).then(|| format!("{more} more"));
    named(words.into_iter().take(max).chain(rest.as_deref()))
}

/// What a webhook is asked about, and where.
pub(super) fn about(asked: &AskedAbout, has_conditions: bool) -> String {
    let what = first(NAMED_MAX, asked.what.iter().map(String::as_str));
    let system = asked.namespaces.get(SYSTEM).map(String::as_str);
    let others = asked.namespaces.iter().map(String::as_str).filter(|name| *name != SYSTEM);
    let place = match asked.namespaces.len() {
        0 => String::new(),
        _ => format!(" in {}", first(NAMESPACES_MAX, system.into_iter().chain(others))),
    };
    let unless = if has_conditions { ", unless its matchConditions leave them out" } else { "" };
    let is_asked = if asked.is_sure { "is" } else { "may be" };
    format!("it {is_asked} asked about {what}{place}{unless}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_as_people_do() {
        for (words, told) in [
            (&[][..], ""),
            (&["a"], "a"),
            (&["a", "b"], "a and b"),
            (&["a", "b", "c"], "a, b and c"),
            (&["a", "b", "c", "d"], "a, b, c and 1 more"),
            (&["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
        ] {
            assert_eq!(first(3, words.iter().copied()), told);
        }
        assert_eq!(
            (count(1, "replica"), count(0, "replica")),
            ("1 replica".to_owned(), "0 replicas".to_owned())
        );
    }

    #[test]
    fn the_namespace_of_the_system_is_named_first_and_few_others() {
        let namespaces = |names: &[&str]| AskedAbout {
            what: ["pods".to_owned()].into(),
            namespaces: names.iter().map(|name| (*name).to_owned()).collect(),
            is_sure: true,
            ..AskedAbout::default()
        };
        for (names, told) in [
            (&[][..], "it is asked about pods"),
            (&["web"], "it is asked about pods in web"),
            (&["a", "kube-system"], "it is asked about pods in kube-system and a"),
            (
                &["a", "b", "c", "d", "e", "kube-system"],
                "it is asked about pods in kube-system, a, b, c and 2 more",
            ),
        ] {
            assert_eq!(about(&namespaces(names), false), told);
        }
    }
}
