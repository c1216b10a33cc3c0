use std::collections::{BTreeSet, VecDeque};

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::facts::{Claim, Floors, NewerAddon};

const ACCEPTED: [Claim; 1] = [Claim::Supported];

fn accepting(claims: &[Claim]) -> Policy {
    let mut policy = Policy::default();
    policy.accept_claims = claims.to_vec();
    policy
}

fn v1(minor: u64) -> Minor {
    Minor { major: 1, minor }
}

/// Releases with their windows: (release, oldest minor, newest minor).
fn support(rows: &[(&str, u64, u64)]) -> Support {
    let floors = |pick: fn(&(&str, u64, u64)) -> u64| {
        Floors::new(rows.iter().map(|row| (row.0.parse().unwrap(), v1(pick(row)))).collect())
    };
    Support {
        min: floors(|row| row.1),
        max: floors(|row| row.2),
        has_ceiling: true,
        windows: Vec::new(),
        claim: Claim::Supported,
    }
}

fn traveller<'a>(name: &'a str, version: &str, support: &'a Support) -> Traveller<'a> {
    Traveller { name, version: version.parse().unwrap(), support, is_pinned: false }
}

/// A plan in short: `1.35` for Kubernetes, `name 2.0.0` for an add-on.
fn steps(bridge: &Bridge) -> Vec<String> {
    match bridge {
        Bridge::Plan(steps) => steps.iter().map(step).collect(),
        Bridge::NoPlan(obstacles) => {
            obstacles.iter().map(|it| format!("{} lacks {}-{}", it.name, it.stays_at, it.needs)).collect()
        }
        Bridge::TooFar => vec!["too far".to_owned()],
    }
}

fn step(step: &BridgeStep) -> String {
    match step {
        BridgeStep::Addon { name, to, .. } => format!("{name} {to}"),
        BridgeStep::Kubernetes { to, .. } => to.clone(),
    }
}

#[test]
fn external_secrets_crosses_by_its_narrow_windows() {
    let rows = support(&[("2.0", 34, 35), ("2.7", 35, 35), ("2.8", 35, 36), ("2.9", 36, 36)]);
    let secrets = [traveller("eso", "2.6.0", &rows)];
    assert_eq!(steps(&plan(v1(34), v1(36), &secrets, &accepting(&ACCEPTED))), ["1.35", "eso 2.8.0", "1.36"]);
    assert_eq!(steps(&plan(v1(34), v1(37), &secrets, &accepting(&ACCEPTED))), ["eso lacks 1.36-1.37"]);
}

#[test]
fn addons_are_changed_rarely_and_late_and_one_minor_is_left_at_a_time() {
    let slow = support(&[("1.0", 30, 34), ("1.1", 34, 35), ("1.2", 34, 37), ("1.3", 36, 38)]);
    let wide = support(&[("5.0", 30, 40)]);
    let two = [traveller("slow", "1.0.7", &slow), traveller("wide", "5.0.1", &wide)];
    let expected = ["1.34", "slow 1.2.0", "1.35", "1.36", "1.37"];
    assert_eq!(steps(&plan(v1(33), v1(37), &two, &accepting(&ACCEPTED))), expected);
}

#[test]
fn a_later_release_is_not_taken_where_only_an_earlier_one_goes_on() {
    let rows = support(&[("1.5", 34, 35), ("1.9", 35, 40), ("2.0", 34, 36)]);
    let one = [traveller("odd", "1.5", &rows)];
    assert_eq!(
        steps(&plan(v1(34), v1(37), &one, &accepting(&ACCEPTED))),
        ["1.35", "odd 1.9.0", "1.36", "1.37"]
    );
}

#[test]
fn every_addon_without_a_way_is_named_with_its_missing_release() {
    let stuck = support(&[("1.0", 34, 35), ("2.0", 36, 37)]);
    let pinned = support(&[("1.0", 34, 34), ("1.1", 34, 37)]);
    let wide = support(&[("5.0", 30, 40)]);
    let all = [
        traveller("stuck", "1.0", &stuck),
        Traveller { is_pinned: true, ..traveller("pinned", "1.0", &pinned) },
        traveller("wide", "5.0", &wide),
        traveller("newer", "6.0", &wide),
    ];
    let found = plan(v1(34), v1(37), &all, &accepting(&ACCEPTED));
    assert_eq!(steps(&found), ["stuck lacks 1.35-1.36", "pinned lacks 1.34-1.35", "newer lacks 1.34-1.35"]);
    let claims = plan(v1(34), v1(35), &[traveller("wide", "5.0", &wide)], &accepting(&[Claim::Tested]));
    assert_eq!(steps(&claims), ["wide lacks 1.34-1.35"]);
    let mut highest = accepting(&ACCEPTED);
    highest.newer_addon_than_matrix = NewerAddon::AssumeHighest;
    assert_eq!(steps(&plan(v1(34), v1(35), &[traveller("newer", "6.0", &wide)], &highest)), ["1.35"]);
}

/// What runs comes along towards a range that was only tested, as the verdict lets it; nothing is brought in untested.
#[test]
fn a_plan_goes_with_what_runs_into_what_was_tested_and_tries_nothing_out() {
    let tested = |rows| Support { claim: Claim::Tested, ..support(rows) };
    let narrow = tested(&[("2.8", 35, 36), ("2.9", 36, 36)]);
    let lone = tested(&[("2.7", 34, 35), ("2.9", 36, 36)]);
    let hold = accepting(&[Claim::Tested]);
    let mut note = accepting(&[Claim::Tested]);
    note.outside_tested = OutsideTested::Note;
    for (rows, version, from, to, policy, expected) in [
        (&narrow, "2.9.0", 35, 36, &hold, vec!["1.36"]),
        (&narrow, "2.9.0", 34, 36, &hold, vec!["eso lacks 1.34-1.35"]),
        (&narrow, "2.9.0", 35, 37, &hold, vec!["eso lacks 1.36-1.37"]),
        (&narrow, "2.9.0", 34, 37, &note, vec!["1.35", "1.36", "1.37"]),
        // 2.9 would be brought to 1.35, with which nobody has tested it.
        (&lone, "2.7.0", 34, 36, &hold, vec!["eso lacks 1.35-1.36"]),
    ] {
        let one = [traveller("eso", version, rows)];
        assert_eq!(steps(&plan(v1(from), v1(to), &one, policy)), expected, "{version} {from} {to}");
    }
    let firm = Support { claim: Claim::Supported, ..narrow.clone() };
    let strict = plan(v1(35), v1(36), &[traveller("eso", "2.9.0", &firm)], &accepting(&[Claim::Supported]));
    assert_eq!(steps(&strict), ["eso lacks 1.35-1.36"]);
}

#[test]
fn an_addon_that_is_outside_already_is_mended_before_the_first_hop() {
    let rows = support(&[("1.0", 30, 33), ("1.1", 34, 36)]);
    let late = [traveller("late", "1.0.2", &rows)];
    assert_eq!(steps(&plan(v1(34), v1(35), &late, &accepting(&ACCEPTED))), ["late 1.1.0", "1.35"]);
}

#[test]
fn there_is_nothing_to_do_without_a_way_up_and_too_far_is_not_looked_for() {
    assert_eq!(plan(v1(36), v1(36), &[], &accepting(&ACCEPTED)), Bridge::Plan(Vec::new()));
    assert_eq!(plan(v1(36), v1(35), &[], &accepting(&ACCEPTED)), Bridge::Plan(Vec::new()));
    assert_eq!(plan(v1(36), v1(100), &[], &accepting(&ACCEPTED)), Bridge::TooFar);
    assert_eq!(plan(v1(36), Minor { major: 2, minor: 0 }, &[], &accepting(&ACCEPTED)), Bridge::TooFar);
}

/// Whether there is any plan: all states of all add-ons together, by breadth.
fn exists(from: Minor, to: Minor, all: &[Traveller<'_>]) -> bool {
    let fits = |one: &Traveller<'_>, version: AddonVersion, minor: Minor| match one.support.of(version) {
        Coverage::Known(fit) => fit.admits(minor),
        Coverage::Older | Coverage::Newer => false,
    };
    let start = (from, all.iter().map(|one| one.version).collect::<Vec<_>>());
    let mut seen = BTreeSet::from([start.clone()]);
    let mut queue = VecDeque::from([start]);
    while let Some((minor, versions)) = queue.pop_front() {
        if minor >= to {
            return true;
        }
        let mut next = Vec::new();
        let fit_both = |(one, version): (&Traveller<'_>, &AddonVersion)| {
            fits(one, *version, minor) && fits(one, *version, minor.next())
        };
        if all.iter().zip(&versions).all(fit_both) {
            next.push((minor.next(), versions.clone()));
        }
        for (index, one) in all.iter().enumerate().filter(|(_, one)| !one.is_pinned) {
            let newer = one.support.known().into_iter().filter(|known| *known > versions[index]);
            for version in newer.filter(|version| fits(one, *version, minor)) {
                let mut changed = versions.clone();
                changed[index] = version;
                next.push((minor, changed));
            }
        }
        queue.extend(next.into_iter().filter(|state| seen.insert(state.clone())));
    }
    false
}

/// Every state of a plan, from the first that is not the beginning, is inside every window that was reached.
fn is_safe(from: Minor, to: Minor, all: &[Traveller<'_>], steps: &[BridgeStep]) -> Result<(), String> {
    let mut minor = from;
    let mut versions: Vec<AddonVersion> = all.iter().map(|one| one.version).collect();
    let inside = |index: usize, version: AddonVersion, minor: Minor| match all[index].support.of(version) {
        Coverage::Known(fit) if fit.admits(minor) => Ok(()),
        _ => Err(format!("{} {version} at {minor}", all[index].name)),
    };
    for step in steps {
        match step {
            BridgeStep::Addon { name, from, to } => {
                let index = all.iter().position(|one| one.name == name).unwrap();
                let next: AddonVersion = to.parse().unwrap();
                if versions[index].to_string() != *from || next <= versions[index] || all[index].is_pinned {
                    return Err(format!("{step:?} from {versions:?}"));
                }
                versions[index] = next;
                inside(index, next, minor)?;
            }
            BridgeStep::Kubernetes { from, to } => {
                if *from != minor.to_string() || *to != minor.next().to_string() {
                    return Err(format!("{step:?} from {minor}"));
                }
                for (index, version) in versions.iter().enumerate() {
                    inside(index, *version, minor)?;
                    inside(index, *version, minor.next())?;
                }
                minor = minor.next();
            }
        }
    }
    if minor == to { Ok(()) } else { Err(format!("it ends at {minor}")) }
}

fn rows() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
    let row = (1..5_u64, 30..36_u64).prop_flat_map(|(release, min)| (Just(release), Just(min), min..38_u64));
    vec(row, 1..4).prop_map(|mut rows| {
        rows.sort_unstable();
        rows.dedup_by_key(|row| row.0);
        rows
    })
}

fn built(rows: &[(u64, u64, u64)]) -> Support {
    let floors = |pick: fn(&(u64, u64, u64)) -> u64| {
        Floors::new(rows.iter().map(|row| (AddonVersion::new(1, row.0, 0), v1(pick(row)))).collect())
    };
    Support {
        min: floors(|row| row.1),
        max: floors(|row| row.2),
        has_ceiling: true,
        windows: Vec::new(),
        claim: Claim::Supported,
    }
}

proptest! {
    #[test]
    fn a_plan_is_safe_in_every_state_and_is_found_if_there_is_one(
        addons in vec((rows(), 0..6_u64, 0..3_u64, any::<bool>()), 0..4),
        from in 30..36_u64,
        hops in 0..5_u64,
    ) {
        let supports: Vec<Support> = addons.iter().map(|(rows, ..)| built(rows)).collect();
        let names: Vec<String> = (0..addons.len()).map(|index| format!("a{index}")).collect();
        let traveller = |(index, (_, line, patch, is_pinned)): (usize, &(_, u64, u64, bool))| Traveller {
            name: &names[index],
            version: AddonVersion::new(1, *line, *patch),
            support: &supports[index],
            is_pinned: *is_pinned && *patch == 2,
        };
        let all: Vec<_> = addons.iter().enumerate().map(traveller).collect();
        let (from, to) = (v1(from), v1(from + hops));
        match plan(from, to, &all, &accepting(&ACCEPTED)) {
            Bridge::Plan(steps) => {
                prop_assert_eq!(is_safe(from, to, &all, &steps), Ok(()));
                prop_assert!(exists(from, to, &all));
            }
            Bridge::NoPlan(obstacles) => {
                prop_assert!(!obstacles.is_empty());
                prop_assert!(!exists(from, to, &all));
                // Each of them rules it out alone, and one release that fits from there on would do.
                for obstacle in obstacles {
                    let one = all.iter().find(|one| one.name == obstacle.name).unwrap();
                    prop_assert!(!exists(from, to, std::slice::from_ref(one)));
                    let stays_at: u64 = obstacle.stays_at.strip_prefix("1.").unwrap().parse().unwrap();
                    let mut rows = addons[obstacle.name[1..].parse::<usize>().unwrap()].0.clone();
                    rows.push((9, stays_at, 50));
                    let more = built(&rows);
                    let with_more = [Traveller { support: &more, ..*one }];
                    prop_assert!(one.is_pinned || exists(from, to, &with_more));
                }
            }
            Bridge::TooFar => prop_assert!(false, "five minors are not too far"),
        }
    }
}
