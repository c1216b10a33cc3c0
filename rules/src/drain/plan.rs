//! The next batch of evictions of one node, or why there is none.

use jiff::Timestamp;

use super::{Pod, PodPhase};
use crate::api::{DrainPolicy, UnmanagedPods};
use crate::reason::{Finding, Reason};
use crate::words::pod_ref::PodRef;

/// The largest batch: small enough that all of it is sent while its check is young.
pub const BATCH_PODS_MAX: usize = 10;

/// From this priority on a pod is one that the cluster itself needs; `system-cluster-critical` is 2000000000.
const SYSTEM_PRIORITY_MIN: i32 = 2_000_000_000;

/// A pod with this label, whatever its value, leaves after all others.
pub const DRAIN_LAST_LABEL: &str = "lockkeeper.dev/drain-last";

/// The label by which the parts of the alert path are known.
const NAME_LABEL: &str = "app.kubernetes.io/name";
/// The actuator's name in it.
const ACTUATOR_NAME: &str = "lockkeeper-actuator";
/// The names of all parts.
const PIPELINE_NAMES: [&str; 4] = ["prometheus", "alertmanager", "lockkeeper-exporter", ACTUATOR_NAME];

/// What is to be done next to empty a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainPlan {
    /// The next batch, in order. Empty while something is blocked: a node is drained whole or not at all.
    pub evict: Vec<PodRef>,
    /// Pods that are leaving, each with what is known to keep it.
    pub waiting: Vec<Finding>,
    /// What a person must decide first.
    pub blocked: Vec<Finding>,
}

impl DrainPlan {
    /// Whether the node is empty, as far as a drain goes.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.evict.is_empty() && self.waiting.is_empty() && self.blocked.is_empty()
    }
}

/// When a pod leaves, relative to others: earlier ones are gone before later ones are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Ordinary,
    System,
    Pipeline,
}

/// What becomes of one pod.
enum PodAction {
    Stay,
    Wait,
    Block,
    Evict(Turn),
}

/// Plans the next batch for the pods of one node.
///
/// `after` is the last pod of the batch before: the next one begins behind it, so that pods which a budget holds
/// back never keep the others from being asked. `since` is when the drain began.
///
/// A pod of a custom resource is asked in its turn and from then on, and keeps no later turn from beginning: its operator
/// may be waiting for just these pods, as a storage is for every pod whose volume is on the node.
#[must_use]
pub fn plan(pods: &[Pod], policy: DrainPolicy, after: Option<&PodRef>, since: Timestamp) -> DrainPlan {
    let mut plan = DrainPlan { evict: vec![], waiting: vec![], blocked: vec![] };
    let mut candidates = Vec::new();
    let mut turns = Turns::default();
    for pod in pods {
        match action(pod, policy, since) {
            PodAction::Stay => {}
            PodAction::Wait => {
                plan.waiting.push(leaving(pod));
                turns.see(pod, turn(pod));
            }
            PodAction::Block => plan.blocked.push(unmanaged(pod)),
            PodAction::Evict(turn) => {
                candidates.push((pod, turn));
                turns.see(pod, turn);
            }
        }
    }
    plan.waiting.sort();
    plan.blocked.sort();
    if plan.blocked.is_empty() {
        let batch = candidates.into_iter().filter(|(_, turn)| turns.has_come(*turn));
        plan.evict = next_batch(batch.map(|(pod, _)| pod.reference()).collect(), after);
    }
    plan
}

/// The first turns of the pods that are still there.
#[derive(Default)]
struct Turns {
    /// Of those that hold later turns back.
    holding: Option<Turn>,
    /// Of those that hold nobody back.
    operated: Option<Turn>,
}

impl Turns {
    fn see(&mut self, pod: &Pod, turn: Turn) {
        let first = if pod.is_operated() { &mut self.operated } else { &mut self.holding };
        *first = Some(first.map_or(turn, |first| first.min(turn)));
    }

    /// Whether it is the turn of a pod. None of an earlier turn is left that holds it back.
    fn has_come(&self, turn: Turn) -> bool {
        self.holding.or(self.operated).is_some_and(|first| turn <= first)
    }
}

fn next_batch(mut pods: Vec<PodRef>, after: Option<&PodRef>) -> Vec<PodRef> {
    pods.sort();
    let start = after.map_or(0, |after| pods.partition_point(|pod| pod <= after));
    pods.rotate_left(start);
    pods.truncate(BATCH_PODS_MAX);
    pods
}

fn action(pod: &Pod, policy: DrainPolicy, since: Timestamp) -> PodAction {
    let Pod { phase, deleting, mirror, controller, .. } = pod;
    if *mirror || phase.is_finished() {
        return PodAction::Stay;
    }
    match controller {
        // It would start the pod again at once.
        Some(controller) if controller.kind == "DaemonSet" => PodAction::Stay,
        _ if *deleting => PodAction::Wait,
        // It came to the cordoned node, and would again.
        Some(_) if pod.has_returned(since) => PodAction::Stay,
        Some(_) => PodAction::Evict(turn(pod)),
        None => match policy.unmanaged_pods {
            UnmanagedPods::Hold => PodAction::Block,
            UnmanagedPods::Evict => PodAction::Evict(turn(pod)),
        },
    }
}

/// Whether a pod is a part of the alert path, by its name label: without it the gate is blind.
#[must_use]
pub fn is_alert_path(pod: &Pod) -> bool {
    pod.labels.get(NAME_LABEL).is_some_and(|name| PIPELINE_NAMES.contains(&name.as_str()))
}

/// Whether a pod is a replica of the actuator, by its name label.
#[must_use]
pub fn is_actuator(pod: &Pod) -> bool {
    pod.labels.get(NAME_LABEL).is_some_and(|name| name == ACTUATOR_NAME)
}

fn turn(pod: &Pod) -> Turn {
    if pod.labels.contains_key(DRAIN_LAST_LABEL) || is_alert_path(pod) {
        Turn::Pipeline
    } else if pod.priority >= SYSTEM_PRIORITY_MIN {
        Turn::System
    } else {
        Turn::Ordinary
    }
}

/// Whether nobody would start the pod again, and it would be missed.
pub(super) fn is_unmanaged(pod: &Pod) -> bool {
    let Pod { phase, deleting, mirror, controller, .. } = pod;
    controller.is_none() && !*mirror && !*deleting && !PodPhase::is_finished(*phase)
}

/// That a pod has not left yet, and the finalizers that keep it.
fn leaving(pod: &Pod) -> Finding {
    let detail = match pod.finalizers.as_slice() {
        [] => String::new(),
        finalizers => format!("kept by the finalizer {}", finalizers.join(", ")),
    };
    Finding::new(Reason::PodTerminating, pod.title(), detail)
}

pub(super) fn unmanaged(pod: &Pod) -> Finding {
    Finding::new(Reason::PodWithoutController, pod.title(), "")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::drain::{Controller, Placement, Toleration};
    use std::collections::BTreeMap;

    pub(crate) fn pod(name: &str) -> Pod {
        Pod {
            uid: format!("uid-{name}"),
            node: Some("w-1".into()),
            phase: PodPhase::Running,
            controller: Some(Controller { kind: "ReplicaSet".to_owned(), name: "web".to_owned() }),
            ready: true,
            ..Pod::silent("default", name)
        }
    }

    fn names(pods: &[PodRef]) -> Vec<&str> {
        pods.iter().map(|pod| pod.name.as_str()).collect()
    }

    const BEGAN: Timestamp = Timestamp::UNIX_EPOCH;
    const HOLD: DrainPolicy = DrainPolicy { unmanaged_pods: UnmanagedPods::Hold };
    const EVICT: DrainPolicy = DrainPolicy { unmanaged_pods: UnmanagedPods::Evict };

    fn by_daemon_set(name: &str) -> Pod {
        Pod {
            controller: Some(Controller { kind: "DaemonSet".to_owned(), name: "agent".to_owned() }),
            ..pod(name)
        }
    }

    #[test]
    fn each_pod_has_its_action() {
        // (claim, pod, evicted, waited for, stays, blocks)
        let alone = |name| Pod { controller: None, ..pod(name) };
        let everything = Toleration {
            key: String::new(),
            operator: "Exists".to_owned(),
            value: String::new(),
            effect: String::new(),
        };
        let bears = |second: i64, name| Pod {
            created_at: Some(Timestamp::from_second(second).unwrap()),
            placement: Placement { tolerations: vec![everything.clone()], ..Placement::default() },
            ..pod(name)
        };
        for (claim, policy, pod, expected) in [
            ("a managed pod is evicted", HOLD, pod("a"), (1, 0, 0, 0)),
            ("a pending pod is evicted", HOLD, Pod { phase: PodPhase::Pending, ..pod("a") }, (1, 0, 0, 0)),
            (
                "a pod of unknown phase is still there",
                HOLD,
                Pod { phase: PodPhase::Unknown, ..pod("a") },
                (1, 0, 0, 0),
            ),
            ("a terminating pod is waited for", HOLD, Pod { deleting: true, ..pod("a") }, (0, 1, 0, 0)),
            (
                "a terminating pod of nobody is waited for",
                HOLD,
                Pod { deleting: true, ..alone("a") },
                (0, 1, 0, 0),
            ),
            ("a pod of a DaemonSet stays", HOLD, by_daemon_set("a"), (0, 0, 1, 0)),
            ("even while it terminates", HOLD, Pod { deleting: true, ..by_daemon_set("a") }, (0, 0, 1, 0)),
            ("a mirror pod stays", HOLD, Pod { mirror: true, ..alone("a") }, (0, 0, 1, 0)),
            ("a pod that ended stays", HOLD, Pod { phase: PodPhase::Succeeded, ..alone("a") }, (0, 0, 1, 0)),
            ("a pod that failed stays", HOLD, Pod { phase: PodPhase::Failed, ..pod("a") }, (0, 0, 1, 0)),
            ("a pod that came to the cordoned node would again", HOLD, bears(1, "a"), (0, 0, 1, 0)),
            ("one that was there before is asked once", HOLD, bears(-1, "a"), (1, 0, 0, 0)),
            ("one that leaves is waited for", HOLD, Pod { deleting: true, ..bears(1, "a") }, (0, 1, 0, 0)),
            (
                "a new one that no cordon lets in is evicted",
                HOLD,
                Pod { placement: Placement::default(), ..bears(1, "a") },
                (1, 0, 0, 0),
            ),
            (
                "one of nobody is not made again, and blocks",
                HOLD,
                Pod { controller: None, ..bears(1, "a") },
                (0, 0, 0, 1),
            ),
            ("a pod of nobody blocks", HOLD, alone("a"), (0, 0, 0, 1)),
            ("unless it may be lost", EVICT, alone("a"), (1, 0, 0, 0)),
        ] {
            let stay = usize::from(matches!(action(&pod, policy, BEGAN), PodAction::Stay));
            let plan = plan(&[pod], policy, None, BEGAN);
            let got = (plan.evict.len(), plan.waiting.len(), stay, plan.blocked.len());
            assert_eq!(got, expected, "{claim}");
            assert_eq!(plan.is_done(), expected.2 == 1, "{claim}");
        }
        assert!(plan(&[], HOLD, None, BEGAN).is_done());
    }

    #[test]
    fn a_pod_that_is_waited_for_is_named_with_the_finalizers_that_keep_it() {
        let finalizers = vec!["example.com/a".to_owned(), "example.com/b".to_owned()];
        let kept = Pod { deleting: true, finalizers, ..pod("a") };
        let why = "kept by the finalizer example.com/a, example.com/b";
        let expected = [Finding::new(Reason::PodTerminating, "default/a", why)];
        assert_eq!(plan(&[kept], HOLD, None, BEGAN).waiting, expected);
    }

    #[test]
    fn nothing_is_evicted_while_something_blocks() {
        let plan = plan(&[pod("a"), Pod { controller: None, ..pod("b") }], HOLD, None, BEGAN);
        assert!(plan.evict.is_empty() && !plan.is_done());
        assert_eq!(plan.blocked, [Finding::new(Reason::PodWithoutController, "default/b", "")]);
    }

    #[test]
    fn what_the_cluster_needs_leaves_after_the_rest_and_the_alert_path_last() {
        let label = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let mut pods = vec![
            Pod { labels: label("app.kubernetes.io/name", "prometheus"), ..pod("a") },
            Pod { labels: label(DRAIN_LAST_LABEL, ""), ..pod("b") },
            Pod { priority: 2_000_000_000, ..pod("c") },
            pod("d"),
        ];
        assert_eq!(names(&plan(&pods, HOLD, None, BEGAN).evict), ["d"]);
        pods[3].deleting = true;
        let waits = plan(&pods, HOLD, None, BEGAN);
        assert!(waits.evict.is_empty(), "the next turn comes when the one before is gone");
        assert_eq!(waits.waiting, [Finding::new(Reason::PodTerminating, "default/d", "")]);
        pods.pop();
        assert_eq!(names(&plan(&pods, HOLD, None, BEGAN).evict), ["c"]);
        pods.pop();
        assert_eq!(names(&plan(&pods, HOLD, None, BEGAN).evict), ["a", "b"]);
    }

    #[test]
    fn a_pod_of_an_operator_is_asked_in_its_turn_and_holds_back_no_later_one() {
        let by = |kind: &str, pod: Pod| {
            let controller = Some(Controller { kind: kind.to_owned(), name: "x".to_owned() });
            Pod { controller, ..pod }
        };
        let last =
            |pod: Pod| Pod { labels: BTreeMap::from([(DRAIN_LAST_LABEL.to_owned(), String::new())]), ..pod };
        let (manager, web, system, own) = (
            by("InstanceManager", pod("a")),
            pod("b"),
            Pod { priority: SYSTEM_PRIORITY_MIN, ..pod("c") },
            last(pod("d")),
        );
        let asked = |pods: &[&Pod]| {
            let pods: Vec<Pod> = pods.iter().map(|&pod| pod.clone()).collect();
            names(&plan(&pods, HOLD, None, BEGAN).evict).join(" ")
        };
        assert_eq!(asked(&[&manager, &web, &system, &own]), "a b");
        assert_eq!(asked(&[&manager, &system, &own]), "a c");
        assert_eq!(asked(&[&manager, &own]), "a d");
        assert_eq!(asked(&[&manager]), "a");
        let leaving = Pod { deleting: true, ..manager.clone() };
        assert_eq!(asked(&[&leaving, &own]), "d");
        let of_operator = last(by("Prometheus", pod("e")));
        assert_eq!(asked(&[&of_operator, &web]), "b", "it waits for its turn as others do");
        assert_eq!(asked(&[&of_operator, &manager]), "a");
    }

    #[test]
    fn every_pod_is_asked_though_a_budget_holds_back_a_whole_batch() {
        let pods: Vec<Pod> = (0..25).map(|i| pod(&format!("p{i:02}"))).collect();
        let mut asked = std::collections::BTreeSet::new();
        let mut after = None;
        for _ in 0..3 {
            let plan = plan(&pods, HOLD, after.as_ref(), BEGAN);
            assert_eq!(plan.evict.len(), BATCH_PODS_MAX);
            after = plan.evict.last().cloned();
            asked.extend(plan.evict);
        }
        assert_eq!(asked.len(), pods.len());
    }
}
