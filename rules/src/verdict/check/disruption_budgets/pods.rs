//! Which pods of a workload a budget selects. Those of a StatefulSet wear two labels more than its template, by which
//! a budget may select some of them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::inventory::{Workload, WorkloadKind};
use crate::drain::Budget;
use crate::drain::budget::{POD_INDEX as INDEX, POD_NAME as NAME};
use crate::words::labels::{Requirement, Selector};

/// Pods of one workload that no budget tells apart.
pub(super) struct Alike<'a> {
    pub(super) labels: Cow<'a, BTreeMap<String, String>>,
    pub(super) pods: i32,
}

/// How many pods of a workload a budget selects; nothing if it is not about them.
pub(super) fn selected(budget: &Budget, workload: &Workload) -> Option<i32> {
    if workload.kind != WorkloadKind::StatefulSet {
        return budget.selector.matches(&workload.pod_labels).then(|| workload.rollout.desired.max(0));
    }
    let alike = alike(workload, &[budget]);
    let pods = alike.iter().filter(|it| budget.selector.matches(&it.labels)).map(|it| it.pods);
    pods.reduce(i32::saturating_add)
}

/// The pods of a workload, as these budgets see them. However many there are, only the ordinals that a selector names
/// can differ from the rest.
pub(super) fn alike<'a>(workload: &'a Workload, budgets: &[&Budget]) -> Vec<Alike<'a>> {
    let pods = workload.rollout.desired.max(0);
    let mut about_pods = budgets.iter().flat_map(|budget| requirements(budget)).peekable();
    if workload.kind != WorkloadKind::StatefulSet || pods == 0 || about_pods.peek().is_none() {
        return vec![Alike { labels: Cow::Borrowed(&workload.pod_labels), pods }];
    }
    let named: BTreeSet<i32> = about_pods
        .flat_map(|(key, values)| {
            values.into_iter().flatten().filter_map(move |value| ordinal(workload, key, value))
        })
        .filter(|ordinal| *ordinal < pods)
        .collect();
    let of_one = |ordinal: i32, pods| {
        let mut labels = workload.pod_labels.clone();
        labels.insert(NAME.to_owned(), format!("{}-{ordinal}", workload.name));
        labels.insert(INDEX.to_owned(), ordinal.to_string());
        Alike { labels: Cow::Owned(labels), pods }
    };
    let others = pods.saturating_sub(i32::try_from(named.len()).unwrap_or(i32::MAX));
    let other = (0..pods).find(|ordinal| !named.contains(ordinal)).map(|other| of_one(other, others));
    named.iter().map(|&ordinal| of_one(ordinal, 1)).chain(other).collect()
}

/// What a budget says of the two labels: the label, and the values that it names.
fn requirements(budget: &Budget) -> impl Iterator<Item = (&str, Option<&BTreeSet<String>>)> {
    let all = match &budget.selector {
        Selector::Nothing => &[],
        Selector::Every(requirements) => requirements.as_slice(),
    };
    let parts = all.iter().map(|requirement| match requirement {
        Requirement::In(key, values) | Requirement::NotIn(key, values) => (key.as_str(), Some(values)),
        Requirement::Exists(key) | Requirement::DoesNotExist(key) | Requirement::Unknown(key) => {
            (key.as_str(), None)
        }
    });
    parts.filter(|(key, _)| matches!(*key, NAME | INDEX))
}

/// The ordinal that a value of one of the two labels names, if it is of this StatefulSet.
fn ordinal(workload: &Workload, key: &str, value: &str) -> Option<i32> {
    let digits =
        if key == NAME { value.strip_prefix(workload.name.as_str())?.strip_prefix('-')? } else { value };
    digits.parse().ok().filter(|ordinal: &i32| *ordinal >= 0 && ordinal.to_string() == digits)
}
