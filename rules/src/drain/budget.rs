//! What a PodDisruptionBudget allows.
//!
//! The arithmetic is that of the disruption controller (`pkg/controller/disruption` of Kubernetes): a percentage is of
//! the replicas that the pods' owners ask for, and is rounded up, for `minAvailable` as for `maxUnavailable`.

use serde::{Deserialize, Serialize};

use super::Pod;
use crate::reason::{Finding, Reason};
use crate::words::labels::Selector;

/// A `PodDisruptionBudget` with its computed status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Which pods it protects.
    pub selector: Selector,
    /// What it demands.
    pub demand: Demand,
    /// `spec.unhealthyPodEvictionPolicy` is `AlwaysAllow`: pods that are not Ready may always leave.
    pub evicts_unhealthy: bool,
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`.
    pub observed: i64,
    /// Why the disruption controller cannot count its pods: it allows no eviction then.
    pub sync_error: Option<String>,
    /// `status.disruptionsAllowed`.
    pub disruptions_allowed: i32,
    /// `status.expectedPods`.
    pub expected_pods: i32,
    /// `status.currentHealthy`.
    pub current_healthy: i32,
    /// `status.desiredHealthy`.
    pub desired_healthy: i32,
    /// Kind and name of the custom resource that owns it: an operator writes it, and may write it anew or delete it.
    pub owner: Option<String>,
}

/// The labels that every pod of a StatefulSet wears beside those of its template, and that never move to another pod.
pub(crate) const ORDINAL_LABELS: [&str; 2] = [POD_NAME, POD_INDEX];
/// Its own name.
pub(crate) const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
/// Its ordinal.
pub(crate) const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// What a budget demands of its pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// `spec.minAvailable`.
    MinAvailable(Amount),
    /// `spec.maxUnavailable`.
    MaxUnavailable(Amount),
    /// Neither: the controller then counts no pod, and allows no eviction.
    Nothing,
}

/// A number of pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// So many.
    Pods(i32),
    /// So many of a hundred.
    Percent(i32),
    /// Neither, as written.
    Unreadable(String),
}

impl Amount {
    /// A percentage such as `50%`.
    #[must_use]
    pub fn percent(text: &str) -> Self {
        let number = text.strip_suffix('%').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        number
            .and_then(|digits| digits.parse().ok())
            .map_or_else(|| Self::Unreadable(text.to_owned()), Self::Percent)
    }

    /// How many pods of `expected` it is; nothing if it cannot be read. The API server takes nothing below zero.
    fn of(&self, expected: i32) -> Option<i32> {
        match self {
            Self::Pods(amount) | Self::Percent(amount) if *amount < 0 => None,
            Self::Pods(pods) => Some(*pods),
            Self::Percent(percent) => {
                let hundredths = i64::from(*percent) * i64::from(expected.max(0));
                i32::try_from(hundredths.div_euclid(100) + i64::from(hundredths.rem_euclid(100) > 0)).ok()
            }
            Self::Unreadable(_) => None,
        }
    }
}

impl Budget {
    /// Whether it protects this pod.
    #[must_use]
    pub fn protects(&self, pod: &Pod) -> bool {
        self.namespace == pod.namespace && self.selector.matches(&pod.labels)
    }

    /// Whether its status is about its newest spec. Evictions are refused until it is.
    #[must_use]
    pub fn is_observed(&self) -> bool {
        self.observed >= self.generation
    }

    /// How many of `expected` pods must be healthy; nothing if that cannot be read.
    #[must_use]
    pub fn must_be_healthy(&self, expected: i32) -> Option<i32> {
        match &self.demand {
            Demand::MinAvailable(amount) => amount.of(expected),
            Demand::MaxUnavailable(amount) => {
                amount.of(expected).map(|away| expected.saturating_sub(away).max(0))
            }
            Demand::Nothing => Some(expected),
        }
    }

    /// Whether it forbids an eviction even while all of the `selected` pods are healthy, of `expected` that its controller
    /// counts from; nothing if that cannot be read.
    #[must_use]
    pub fn never_allows(&self, expected: i32, selected: i32) -> Option<bool> {
        self.must_be_healthy(expected).map(|healthy| selected > 0 && healthy >= selected)
    }

    /// Whether its controller expects the pods that are there. From a percentage, or from `maxUnavailable`, it expects all
    /// that their owners ask for, also where the budget selects only some of them.
    #[must_use]
    pub fn counts_every_pod(&self) -> bool {
        matches!(self.demand, Demand::MinAvailable(Amount::Pods(_)))
    }

    /// `namespace/name`, as people write it.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether an operator makes its demand for a while, as until a database or a storage is whole again: it counts its
    /// pods, and lets none of them go. One of one pod, and a percentage, are what the size of a site makes of a setting:
    /// nobody writes that anew.
    pub(crate) fn is_for_a_while(&self, expected: i32) -> bool {
        let is_lock = match self.demand {
            Demand::MaxUnavailable(Amount::Pods(pods)) => pods == 0,
            Demand::MinAvailable(Amount::Pods(_)) => expected > 1,
            Demand::MaxUnavailable(_) | Demand::MinAvailable(_) | Demand::Nothing => false,
        };
        self.owner.is_some() && is_lock
    }

    /// Whether it names pods of a StatefulSet by their ordinals.
    pub(crate) fn names_ordinals(&self) -> bool {
        self.selector.keys().any(|key| ORDINAL_LABELS.contains(&key))
    }

    /// What it demands of `expected` pods, in words.
    pub(crate) fn demands(&self, expected: i32) -> String {
        match (&self.demand, self.must_be_healthy(expected)) {
            (Demand::Nothing, _) => "has neither minAvailable nor maxUnavailable".to_owned(),
            (_, Some(healthy)) => format!("wants {healthy} of {expected} pods healthy"),
            (_, None) => "wants what cannot be read".to_owned(),
        }
    }

    /// That `whose` pods, `expected` of them, can never leave.
    pub(crate) fn never(&self, expected: i32, whose: &str) -> Finding {
        let detail = format!("{}, so {whose} can never leave", self.demands(expected));
        Finding::new(Reason::PdbBlocked, self.title(), detail)
    }

    /// That `whose` pods, `expected` of them, can leave only if an operator sees to it.
    pub(crate) fn may_move(&self, expected: i32, whose: &str) -> Finding {
        let owner =
            self.owner.iter().map(|owner| format!("; the budget belongs to {owner}")).collect::<String>();
        let detail = format!(
            "{}, so {whose} can leave only if an operator moves it, or the budget{owner}",
            self.demands(expected)
        );
        Finding::new(Reason::PdbMayMove, self.title(), detail)
    }

    /// That its controller cannot count its pods, if so: pods without a controller are no part of a percentage, nor of
    /// `maxUnavailable`. It allows no eviction then.
    pub(crate) fn uncounted(&self) -> Option<Finding> {
        let finding = |detail| Some(Finding::new(Reason::PdbBlocked, self.title(), detail));
        match &self.sync_error {
            Some(error) => finding(format!("its pods cannot be counted, so none can leave: {error}")),
            None if self.is_observed() && self.expected_pods == 0 && self.current_healthy > 0 => finding(
                "its pods have no controller that could be counted, so none can leave: give minAvailable as a number"
                    .to_owned(),
            ),
            None => None,
        }
    }
}

/// Whether a finding is about what a budget allows, and not about what could not be read at all.
#[must_use]
pub fn is_of_budgets(finding: &Finding) -> bool {
    matches!(
        finding.reason,
        Reason::PdbBlocked | Reason::PdbMayMove | Reason::PdbOfOthers | Reason::PdbUnobserved
    )
}

/// That more than one budget protects `subject`.
pub(crate) fn overlap(subject: impl Into<String>, names: &[&str]) -> Finding {
    let detail = format!("the API server evicts no pod of more than one budget: {}", names.join(", "));
    Finding::new(Reason::PdbBlocked, subject, detail)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A budget of every pod of `default`, whose status is up to date and shows `expected` healthy pods.
    pub(crate) fn budget(name: &str, demand: Demand, expected: i32) -> Budget {
        let mut budget = Budget {
            namespace: "default".to_owned(),
            name: name.to_owned(),
            selector: Selector::Every(vec![]),
            demand,
            evicts_unhealthy: false,
            generation: 1,
            observed: 1,
            sync_error: None,
            disruptions_allowed: 0,
            expected_pods: expected,
            current_healthy: expected,
            desired_healthy: 0,
            owner: None,
        };
        budget.desired_healthy = budget.must_be_healthy(expected).unwrap_or_default();
        budget.disruptions_allowed = expected.saturating_sub(budget.desired_healthy).max(0);
        budget
    }

    pub(crate) fn min(pods: i32) -> Demand {
        Demand::MinAvailable(Amount::Pods(pods))
    }

    #[test]
    fn percentages_are_rounded_as_the_disruption_controller_does() {
        let min = |text: &str| Demand::MinAvailable(Amount::percent(text));
        let max = |text: &str| Demand::MaxUnavailable(Amount::percent(text));
        let away = |pods| Demand::MaxUnavailable(Amount::Pods(pods));
        for (demand, expected, healthy, never) in [
            (super::tests::min(1), 1, Some(1), Some(true)),
            (super::tests::min(1), 2, Some(1), Some(false)),
            (super::tests::min(9), 2, Some(9), Some(true)),
            (super::tests::min(0), 1, Some(0), Some(false)),
            (super::tests::min(1), 0, Some(1), Some(false)),
            (away(0), 3, Some(3), Some(true)),
            (away(1), 3, Some(2), Some(false)),
            (away(9), 3, Some(0), Some(false)),
            (max("0%"), 3, Some(3), Some(true)),
            (max("1%"), 3, Some(2), Some(false)),
            (max("30%"), 1, Some(0), Some(false)),
            (max("50%"), 3, Some(1), Some(false)),
            (min("100%"), 3, Some(3), Some(true)),
            (min("50%"), 3, Some(2), Some(false)),
            (min("50%"), 1, Some(1), Some(true)),
            (min("67%"), 3, Some(3), Some(true)),
            (min("66%"), 3, Some(2), Some(false)),
            (min("99%"), 99, Some(99), Some(true)),
            (min("99%"), 100, Some(99), Some(false)),
            (min("0%"), 3, Some(0), Some(false)),
            (min("half"), 3, None, None),
            (min("-5%"), 3, None, None),
            (min("99999999999%"), 3, None, None),
            (min("2147483647%"), 1000, None, None),
            (away(i32::MIN), 3, None, None),
            (away(-1), 3, None, None),
            (super::tests::min(-1), 3, None, None),
            (Demand::MinAvailable(Amount::Percent(-50)), 3, None, None),
            (Demand::MaxUnavailable(Amount::Percent(i32::MIN)), 3, None, None),
            (away(i32::MAX), i32::MIN, Some(0), Some(false)),
            (Demand::Nothing, 3, Some(3), Some(true)),
        ] {
            let budget = budget("b", demand.clone(), expected);
            let found = (budget.must_be_healthy(expected), budget.never_allows(expected, expected));
            assert_eq!(found, (healthy, never), "{demand:?} of {expected}");
        }
    }
}
