//! The cluster lock: one run in the whole cluster, whatever namespace it lives in.

use crate::api::UpgradeRun;
use crate::cluster::snapshot::{RunElsewhere, Source};

/// The name of its Lease, in `kube-system`.
pub const LOCK_NAME: &str = "lockkeeper-cluster-lock";
/// The annotation of its Lease that says `namespace/name` of the holder, for people.
pub const LOCK_RUN_ANNOTATION: &str = "lockkeeper.dev/run";

/// Whose the cluster lock is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockView {
    /// This run's.
    Ours,
    /// Nobody's, or a run's that is known not to exist any more.
    Free,
    /// Another run's.
    Other {
        /// That run, as namespace/name.
        holder: String,
    },
    /// It could not be read, and why.
    Unknown(String),
}

/// Judges the lock. It has no time to live: it is free only when nobody holds it or its holder, by uid, is not
/// among all runs of the cluster, those of namespaces that are not served included: whoever holds it was served once, and
/// may hold a node. A list of runs that could not be read proves nothing.
#[must_use]
pub fn lock_view(
    holder: Option<&str>,
    uid: &str,
    served: &Source<Vec<UpgradeRun>>,
    elsewhere: &Source<Vec<RunElsewhere>>,
) -> LockView {
    let holder = match holder {
        None | Some("") => return LockView::Free,
        Some(holder) if holder == uid => return LockView::Ours,
        Some(holder) => holder,
    };
    let unknown = |why: String| {
        LockView::Unknown(format!("held by run {holder}, and the runs could not be read: {why}"))
    };
    let other = |namespace: &str, name: &str, note: &str| LockView::Other {
        holder: format!("{namespace}/{name}{note}"),
    };
    match served.newest() {
        Err(why) => return unknown(why),
        Ok(runs) => {
            if let Some(run) = runs.iter().find(|run| run.uid == holder) {
                return other(&run.namespace, &run.name, "");
            }
        }
    }
    match elsewhere.newest() {
        Err(why) => unknown(why),
        Ok(runs) => runs.iter().find(|run| run.uid == holder).map_or(LockView::Free, |run| {
            other(&run.namespace, &run.name, ", whose namespace is not served")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::UpgradeRunSpec;

    fn runs(uids: &[&str]) -> Vec<UpgradeRun> {
        let run = |uid: &&str| UpgradeRun {
            namespace: "a".to_owned(),
            name: "b".to_owned(),
            uid: (*uid).to_owned(),
            resource_version: String::new(),
            generation: 1,
            created_at: None,
            deleting: false,
            has_finalizer: false,
            spec: UpgradeRunSpec::default(),
            status: None,
        };
        uids.iter().map(run).collect()
    }

    #[test]
    fn the_lock_is_free_only_when_its_holder_is_known_to_be_gone() {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let other = LockView::Other { holder: "a/b".to_owned() };
        for (holder, known, expected) in [
            (None, vec!["us"], LockView::Free),
            (Some(""), vec!["us"], LockView::Free),
            (Some("us"), vec!["us"], LockView::Ours),
            (Some("them"), vec!["us", "them"], other),
            (Some("them"), vec!["us"], LockView::Free),
        ] {
            let (served, none) = (Source::read(runs(&known), now), Source::read(Vec::new(), now));
            assert_eq!(lock_view(holder, "us", &served, &none), expected, "{holder:?}");
        }
        let elsewhere =
            |uids: &[&str]| Source::read(runs(uids).iter().map(RunElsewhere::from).collect(), now);
        let (served, theirs) = (Source::read(runs(&["us"]), now), elsewhere(&["them"]));
        let other = LockView::Other { holder: "a/b, whose namespace is not served".to_owned() };
        assert_eq!(lock_view(Some("them"), "us", &served, &theirs), other, "it may hold a node");
        let failed = Some("500".to_owned());
        for (served, elsewhere) in [
            (Source::failed("403"), elsewhere(&[])),
            (Source { error: failed.clone(), ..served.clone() }, elsewhere(&[])),
            (served.clone(), Source::unread()),
            (served, Source { error: failed, ..elsewhere(&[]) }),
        ] {
            let view = lock_view(Some("them"), "us", &served, &elsewhere);
            assert!(matches!(view, LockView::Unknown(_)), "{view:?}");
            assert_eq!(lock_view(Some("us"), "us", &served, &elsewhere), LockView::Ours);
        }
    }
}
