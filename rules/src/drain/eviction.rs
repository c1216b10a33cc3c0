//! What the API server's answer to an eviction means.

use crate::reason::{Finding, Reason};
use crate::words::pod_ref::PodRef;

/// A refusal, as the API server words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status code.
    pub code: u16,
    /// Reason and message of each of `details.causes`.
    pub causes: Vec<(String, String)>,
    /// What it says.
    pub message: String,
}

/// Whether the pod that is meant is still there, by the uid that its name has now; nothing if no pod has that name. Asked
/// before an eviction: the API server takes a disruption off the budget before it compares the uid, so an eviction
/// that meets a successor is refused and has used a disruption up.
#[must_use]
pub fn is_there(pod: &PodRef, uid_now: Option<&str>) -> bool {
    uid_now == Some(pod.uid.as_str())
}

/// What stands in the way of an eviction that was refused; nothing if the pod is gone or is being deleted.
#[must_use]
pub fn eviction_finding(pod: &PodRef, refusal: &Refusal) -> Option<Finding> {
    let Refusal { code, causes, message } = refusal;
    let has = |cause: &str| causes.iter().any(|(reason, _)| reason == cause);
    let reason = match code {
        // Gone, or another pod of the same name has taken its place: the uid is our precondition.
        404 | 409 => return None,
        403 if has("NamespaceTerminating") => return None,
        429 if has("DisruptionBudget") => Reason::PdbBlocked,
        // Throttled, or an API server that has no answer now: nobody knows, it is tried again.
        429 | 502..=504 => Reason::ApiUnreachable,
        _ => Reason::EvictionRefused,
    };
    // The budget is named in the cause only.
    let said = std::iter::once(message).chain(causes.iter().map(|(_, message)| message));
    let said: Vec<&str> = said.map(String::as_str).filter(|text| !text.is_empty()).collect();
    Some(Finding::new(reason, format!("{}/{}", pod.namespace, pod.name), said.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pod_of_the_same_uid_is_asked_to_leave() {
        let pod = PodRef { namespace: "a".to_owned(), name: "b".to_owned(), uid: "c".to_owned() };
        for (uid_now, expected) in [(Some("c"), true), (Some("d"), false), (Some(""), false), (None, false)] {
            assert_eq!(is_there(&pod, uid_now), expected, "{uid_now:?}");
        }
    }

    #[test]
    fn each_answer_means_one_thing() {
        let pod = PodRef { namespace: "a".to_owned(), name: "b".to_owned(), uid: "c".to_owned() };
        for (code, cause, expected) in [
            (404, "", None),
            (409, "", None),
            (403, "NamespaceTerminating", None),
            (429, "DisruptionBudget", Some(Reason::PdbBlocked)),
            (429, "", Some(Reason::ApiUnreachable)),
            (503, "", Some(Reason::ApiUnreachable)),
            (403, "", Some(Reason::EvictionRefused)),
            (422, "", Some(Reason::EvictionRefused)),
            (500, "", Some(Reason::EvictionRefused)),
            (400, "", Some(Reason::EvictionRefused)),
        ] {
            let causes = vec![(cause.to_owned(), String::new())];
            let refusal = Refusal { code, causes, message: String::new() };
            let found = eviction_finding(&pod, &refusal).map(|finding| finding.reason);
            assert_eq!(found, expected, "{code} {cause}");
        }
    }

    #[test]
    fn a_refused_eviction_names_the_budget() {
        let pod = PodRef { namespace: "a".to_owned(), name: "b".to_owned(), uid: "c".to_owned() };
        let cause = "The disruption budget web needs 2 healthy pods and has 2 currently";
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let causes = vec![("DisruptionBudget".to_owned(), cause.to_owned())];
        let found = eviction_finding(&pod, &Refusal { code: 429, causes, message: message.to_owned() });
        assert_eq!(found, Some(Finding::new(Reason::PdbBlocked, "a/b", format!("{message} {cause}"))));
    }
}
