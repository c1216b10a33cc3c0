//! What a person accepted is looked at again when its day is over.

use super::{Facts, Outcome};
use crate::facts::Accept;
use crate::reason::{Finding, Reason};
use crate::verdict::Evidence;

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    let part = &facts.case.matrix.accept;
    let now = facts.case.now;
    let age_seconds = if part.file.is_empty() { 0 } else { part.age_seconds(now) };
    let read = Evidence { source: "accept", count: part.value.0.len(), age_seconds };
    let expired = part.value.0.iter().filter(|accept| !accept.holds(now)).map(finding).collect();
    Outcome::judge(read, Vec::new(), expired, Vec::new())
}

fn finding(accept: &Accept) -> Finding {
    let Accept { check, subject, reason: _, why, by, until } = accept;
    let what = [check.as_str(), accept.code()].join(" ");
    Finding::new(
        Reason::AcceptExpired,
        subject.clone(),
        format!("{}: {by} accepted it until {until}: {why}", what.trim_end()),
    )
}

#[cfg(test)]
mod tests {
    use super::super::TABLE;
    use super::super::tests::outcome;
    use super::*;
    use crate::facts::ACCEPTABLE;
    use crate::verdict::Status;

    #[test]
    fn an_accept_blocks_once_its_day_is_over_and_not_before() {
        for (until, status, reasons) in
            [("2000-01-01", Status::Block, vec!["accept_expired"]), ("2099-12-31", Status::Pass, vec![])]
        {
            let found = outcome(check, "v1.36.3", |cluster| {
                cluster.matrix.accept.value.0 = vec![Accept {
                    check: "addons".to_owned(),
                    subject: "calico".to_owned(),
                    reason: None,
                    why: "tested".to_owned(),
                    by: "ops".to_owned(),
                    until: until.parse().unwrap(),
                }];
            });
            assert_eq!(found, (status, reasons), "{until}");
        }
        assert_eq!(outcome(check, "v1.36.3", |_| {}), (Status::Pass, vec![]));
    }

    #[test]
    fn no_check_that_is_final_or_about_what_kubeadm_upgrades_can_be_accepted() {
        for (name, _) in ACCEPTABLE {
            let known = TABLE.iter().find(|definition| definition.id == name);
            assert!(known.is_some_and(|definition| !definition.is_final), "{name}");
        }
        for never in [
            "target",
            "path",
            "offered",
            "kubelet_skew",
            "control_plane_skew",
            "kube_proxy_skew",
            "etcd",
            "matrix",
            "accept",
        ] {
            assert!(ACCEPTABLE.iter().all(|(name, _)| *name != never), "{never}");
            assert!(TABLE.iter().any(|definition| definition.id == never), "{never}");
        }
    }
}
