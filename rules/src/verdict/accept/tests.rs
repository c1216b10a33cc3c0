use super::super::{CHECK_IDS, Concerns, Conclusion, Evidence, Scope, Verdict};
use super::*;
use crate::facts::is_acceptable;

fn row(check: &str, subject: &str, reason: Option<Reason>, until: &str) -> Accept {
    let until = until.parse().unwrap();
    let [check, subject, why, by] = [check, subject, "tested", "ops"].map(str::to_owned);
    Accept { check, subject, reason, why, by, until }
}

fn check(id: &'static str, found: &[(Status, Reason, &str)]) -> Check {
    Check {
        id,
        status: found.iter().map(|(class, ..)| *class).max().unwrap_or(Status::Pass),
        scope: Scope::Cluster,
        concerns: Concerns::Compatibility,
        source: "",
        evidence: vec![Evidence { source: "nodes", count: 1, age_seconds: 0 }],
        findings: found.iter().map(|(_, reason, subject)| Finding::new(*reason, *subject, "seen")).collect(),
        classes: found.iter().map(|(class, ..)| *class).collect(),
        notes: Vec::new(),
        recognised: Vec::new(),
        is_final: id == "path",
    }
}

#[test]
fn what_is_accepted_becomes_a_note_and_the_rest_decides() {
    use Reason::{AddonPinned, AddonRetired, AddonVersionUnreadable, RuntimeTooOld, TargetDowngrade};
    use Status::{Block, Hold, Pass, Unknown};
    let calico = (Hold, AddonPinned, "calico");
    let (retired, unread) = ((Block, AddonRetired, "nginx"), (Unknown, AddonVersionUnreadable, "calico"));
    let any = |subject| row("addons", subject, None, "2099-12-31");
    for (id, found, accepts, status, left) in [
        ("addons", vec![calico], vec![any("calico")], Pass, 0),
        ("addons", vec![calico, retired], vec![any("calico")], Block, 1),
        ("addons", vec![calico, retired], vec![any("calico"), any("nginx")], Pass, 0),
        ("addons", vec![calico], vec![row("addons", "calico", Some(AddonPinned), "2099-12-31")], Pass, 0),
        ("addons", vec![calico], vec![row("addons", "calico", Some(AddonRetired), "2099-12-31")], Hold, 1),
        ("addons", vec![calico], vec![any("Calico")], Hold, 1),
        ("addons", vec![calico], vec![any("")], Hold, 1),
        ("addons", vec![calico], vec![row("risks", "calico", None, "2099-12-31")], Hold, 1),
        ("addons", vec![calico], vec![row("addons", "calico", None, "2000-01-01")], Hold, 1),
        ("addons", vec![calico, unread], vec![any("calico")], Unknown, 1),
        ("addons", vec![unread], vec![any("calico")], Unknown, 1),
        (
            "runtime",
            vec![(Block, RuntimeTooOld, "w-1")],
            vec![row("runtime", "w-1", None, "2099-12-31")],
            Block,
            1,
        ),
        (
            "path",
            vec![(Block, TargetDowngrade, "w-1")],
            vec![row("path", "w-1", None, "2099-12-31")],
            Block,
            1,
        ),
        (
            "etcd",
            vec![(Block, Reason::EtcdTooOld, "m")],
            vec![row("etcd", "m", None, "2099-12-31")],
            Block,
            1,
        ),
    ] {
        let mut cluster = super::super::healthy();
        cluster.matrix.accept.value.0 = accepts.clone();
        let after = apply(vec![check(id, &found)], &cluster.case()).remove(0);
        let case = format!("{found:?} {accepts:?}");
        assert_eq!((after.status, after.findings.len()), (status, left), "{case}");
        assert_eq!(after.classes.len(), left, "{case}");
        assert_eq!(after.notes.len(), found.len() - left, "{case}");
        for note in &after.notes {
            assert_eq!(note.detail, "seen; accepted by ops until 2099-12-31: tested", "{case}");
        }
    }
}

#[test]
fn an_accept_that_means_nothing_is_noted_and_one_that_is_over_blocks() {
    let notes = |verdict: &Verdict| -> Vec<String> {
        let own = verdict.checks.iter().find(|check| check.id == OWN_CHECK).unwrap();
        own.notes.iter().chain(&own.findings).map(ToString::to_string).collect()
    };
    let mut cluster = super::super::healthy();
    assert_eq!(notes(&cluster.verdict("v1.36.3")), [""; 0]);
    cluster.matrix.accept.value.0 = vec![row("addons", "calico", Some(Reason::AddonPinned), "2099-12-31")];
    let verdict = cluster.verdict("v1.36.3");
    assert_eq!(verdict.verdict, Conclusion::Safe);
    let told = "accept_unused calico: addons finds no addon_pinned about it; ops accepts it until 2099-12-31";
    assert_eq!(notes(&verdict), [told]);
    cluster.matrix.accept.value.0 = vec![row("addons", "calico", None, "2000-01-01")];
    let verdict = cluster.verdict("v1.36.3");
    assert_eq!(verdict.verdict, Conclusion::Blocked);
    assert_eq!(notes(&verdict), ["accept_expired calico: addons: ops accepted it until 2000-01-01: tested"]);
}

#[test]
fn a_runtime_that_is_accepted_no_longer_blocks_and_is_still_told() {
    let mut cluster = super::super::healthy();
    let nodes = cluster.snapshot.nodes.value.as_mut().unwrap();
    nodes[0].container_runtime = "cri-o://1.36.1".to_owned();
    let name = nodes[0].name.0.clone();
    assert_eq!(cluster.verdict("v1.37.0").verdict, Conclusion::Blocked);
    cluster.matrix.accept.value.0 =
        vec![row("runtime", &name, Some(Reason::RuntimeNotRecommended), "2099-12-31")];
    let verdict = cluster.verdict("v1.37.0");
    assert_eq!(verdict.verdict, Conclusion::Safe, "{verdict:#?}");
    let runtime = verdict.checks.iter().find(|check| check.id == "runtime").unwrap();
    let is_told = |note: &Finding| note.detail.ends_with("; accepted by ops until 2099-12-31: tested");
    assert!(runtime.notes.iter().any(is_told), "{runtime:?}");
}

/// An accept of everything that a verdict finds, whether it may be accepted or not.
pub(in super::super) fn of_everything(verdict: &Verdict) -> Vec<Accept> {
    let rows = verdict.checks.iter().flat_map(|check| {
        check
            .findings
            .iter()
            .map(|finding| row(check.id, &finding.subject, Some(finding.reason), "2099-12-31"))
    });
    rows.collect()
}

/// What may never be accepted: what is unknown, and what the lists leave out.
pub(in super::super) fn is_beyond_accepting(check: &Check) -> bool {
    assert!(CHECK_IDS.contains(&check.id));
    let mut classed = check.classes.iter().zip(&check.findings);
    classed.any(|(class, finding)| *class == Status::Unknown || !is_acceptable(check.id, finding.reason))
}
