//! The facts about versions in force are the ones that the operator wants.
//!
//! Files that were changed and refused leave the facts before them in force. What was to be added may be just the row
//! that blocks this target, so nothing that is found by the old ones is safe. Facts that are older than the ones whose
//! place they have taken are held until a person has said which are right.

use super::{Facts, Outcome};
use crate::facts::Mistake;
use crate::facts::Older;
use crate::reason::{Finding, Reason};
use crate::verdict::Evidence;

/// How many mistakes, and how many older facts, are listed with each verdict; the log has all of them.
const LISTED_MAX: usize = 10;

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    let matrix = facts.case.matrix;
    let ages = matrix.ages().into_iter().filter_map(|age| age.as_of);
    let Some(newest) = ages.max() else {
        return Outcome::unknown(Finding::new(Reason::MatrixStale, "", "there are no facts"));
    };
    let age_seconds = crate::facts::age_seconds(newest, facts.case.now);
    let read = Evidence { source: "matrix", count: matrix.files.len(), age_seconds };
    let unread = |mistake: &Mistake| {
        let Mistake { file, place, field, found, expected } = mistake;
        let place = format!("{file}:{}:{}", place.line, place.column);
        Finding::new(Reason::MatrixRefused, place, format!("{field}: found {found}, expected {expected}"))
    };
    let older = |older: &Older| {
        let Older { file, as_of, about, newer_file, newer_as_of } = older;
        let detail = format!("{file} says it as of {as_of}, {newer_file} otherwise as of {newer_as_of}");
        Finding::new(Reason::MatrixOlder, about, detail)
    };
    let unknowns = listed(Reason::MatrixRefused, "mistakes", matrix.refused.iter().map(unread));
    let holds = listed(Reason::MatrixOlder, "older facts", matrix.older.iter().map(older));
    Outcome::weigh(read, Vec::new(), [Vec::new(), holds, unknowns])
}

/// The first ones, and how many there are besides.
fn listed(reason: Reason, what: &str, all: impl ExactSizeIterator<Item = Finding>) -> Vec<Finding> {
    let unlisted = all.len().saturating_sub(LISTED_MAX);
    let more =
        (unlisted > 0).then(|| Finding::new(reason, "", format!("{unlisted} more {what} are in the log")));
    all.take(LISTED_MAX).chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, outcome};
    use super::*;
    use crate::facts::{Matrix, Part};
    use crate::verdict::Status;

    fn mistakes(count: usize) -> impl Fn(&mut Healthy) {
        move |cluster| {
            let text = format!(
                "schema: 2\nas_of: \"2026-09-01\"\n{}",
                (0..count).map(|n| format!("x{n}: 1\n")).collect::<String>()
            );
            cluster.matrix.refused = Matrix::load(&[("mine.yaml", &text)]).unwrap_err();
        }
    }

    #[test]
    fn refused_files_are_unknown_with_every_mistake_that_people_read_at_once() {
        for (target, count, told) in
            [("v1.36.3", 1, 1), ("v1.36.3", 10, 10), ("v1.36.3", 12, 11), ("nonsense", 2, 2)]
        {
            let expected = (Status::Unknown, vec!["matrix_refused"; told]);
            assert_eq!(outcome(check, target, mistakes(count)), expected, "{target} {count}");
        }
        assert_eq!(outcome(check, "v1.36.3", |_| {}), (Status::Pass, vec![]));
    }

    #[test]
    fn older_facts_in_the_place_of_newer_ones_are_held_until_a_person_has_looked() {
        let healthy = super::super::tests::healthy();
        let Part { file, as_of, .. } = &healthy.matrix.cgroup_v1;
        let today = as_of.unwrap();
        let (yesterday, today) = (today.yesterday().unwrap().to_string(), today.to_string());
        let as_of = |day: &str| {
            let text = format!(
                "schema: 2\nas_of: \"{day}\"\n\
                 cgroup_v1: {{fails_from: \"1.40\", source: \"https://example.com/a-page\"}}\n"
            );
            move |cluster: &mut Healthy| assert_eq!(cluster.matrix.lay(&[("mine.yaml", &text)]), [])
        };
        assert_eq!(outcome(check, "v1.36.3", as_of(&yesterday)), (Status::Hold, vec!["matrix_older"]));
        assert_eq!(outcome(check, "v1.36.3", as_of(&today)), (Status::Pass, vec![]));

        let mut cluster = super::super::tests::healthy();
        as_of(&yesterday)(&mut cluster);
        let found: Vec<_> = cluster.verdict("v1.36.3").findings().map(ToString::to_string).collect();
        let told = format!("matrix_older cgroup_v1: mine.yaml says it as of {yesterday}, ");
        assert_eq!(found, [format!("{told}{file} otherwise as of {today}")]);

        let many = move |it: &mut Healthy| it.matrix.older = vec![cluster.matrix.older[0].clone(); 12];
        assert_eq!(outcome(check, "v1.36.3", many), (Status::Hold, vec!["matrix_older"; 11]));
    }

    #[test]
    fn no_facts_at_all_are_unknown() {
        let none = |cluster: &mut Healthy| cluster.matrix = Matrix::default();
        assert_eq!(outcome(check, "v1.36.3", none), (Status::Unknown, vec!["matrix_stale"]));
    }

    #[test]
    fn a_refused_file_holds_every_step_also_once_the_control_plane_has_begun() {
        let mut cluster = super::super::tests::healthy();
        mistakes(1)(&mut cluster);
        let verdict = cluster.verdict("v1.36.3");
        let worker = crate::words::step::Step::Worker("w-1".into());
        for begun in [false, true] {
            let for_step = verdict.for_step(&worker, begun);
            assert_eq!(for_step.verdict, crate::verdict::Conclusion::Unknown, "{begun}");
            let found: Vec<_> = for_step.findings().map(ToString::to_string).collect();
            assert_eq!(
                found,
                ["matrix_refused mine.yaml:3:1: x0: found the field x0, expected no field of that name"]
            );
        }
    }
}
