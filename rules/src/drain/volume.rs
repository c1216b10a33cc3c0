//! Volumes that a drained node still holds.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Pod;
use crate::reason::{Finding, Reason};

/// A volume that is attached to a node, or about to be, by its `VolumeAttachment`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedVolume {
    /// The name of the `VolumeAttachment`.
    pub attachment: String,
    /// The name of the `PersistentVolume`, empty for a volume without one.
    pub volume: String,
    /// Namespace and name of the claim that it belongs to; nothing if there is none.
    pub claim: Option<(String, String)>,
}

/// The volumes that must leave a node after its pods: all that are attached, but for those of pods that stay. A volume of
/// which nobody knows the claim belongs to no pod that stays.
#[must_use]
pub fn still_attached(volumes: &[AttachedVolume], pods: &[Pod], since: Timestamp) -> Vec<Finding> {
    let uses =
        |pod: &Pod, claim: &(String, String)| pod.namespace == claim.0 && pod.claims.contains(&claim.1);
    // Also one that is deleted: its DaemonSet starts another one with the same claim.
    let stays = |pod: &&Pod| pod.mirror || pod.is_daemon() || pod.has_returned(since);
    let is_kept = |volume: &&AttachedVolume| {
        volume.claim.as_ref().is_some_and(|claim| pods.iter().filter(stays).any(|pod| uses(pod, claim)))
    };
    volumes.iter().filter(|volume| !is_kept(volume)).map(attached).collect()
}

fn attached(volume: &AttachedVolume) -> Finding {
    let AttachedVolume { attachment, volume, claim } = volume;
    let whose = claim.as_ref().map(|(namespace, name)| format!(" of the claim {namespace}/{name}"));
    let subject = if volume.is_empty() { attachment } else { volume };
    let detail = format!("VolumeAttachment {attachment}{}", whose.unwrap_or_default());
    Finding::new(Reason::VolumeAttached, subject.clone(), detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drain::Controller;
    use crate::drain::plan::tests::pod;

    #[test]
    fn every_volume_must_leave_but_those_of_pods_that_stay() {
        let volume = |name: &str, claim: Option<&str>| AttachedVolume {
            attachment: format!("csi-{name}"),
            volume: name.to_owned(),
            claim: claim.map(|claim| ("default".to_owned(), claim.to_owned())),
        };
        let daemon = Some(Controller { kind: "DaemonSet".to_owned(), name: "d".to_owned() });
        let uses = |pod: Pod, claim: &str| Pod { claims: vec![claim.to_owned()], ..pod };
        let stays = uses(Pod { controller: daemon.clone(), ..pod("d") }, "kept");
        let other = uses(Pod { controller: daemon, namespace: "other".to_owned(), ..pod("o") }, "moved");
        let ended = uses(Pod { phase: crate::drain::PodPhase::Succeeded, ..pod("e") }, "ended");
        let pods = [stays, other, ended];
        let volumes = [
            volume("a", Some("kept")),
            volume("b", Some("moved")),
            volume("c", Some("ended")),
            volume("d", None),
            AttachedVolume { volume: String::new(), ..volume("e", None) },
        ];
        let found = still_attached(&volumes, &pods, Timestamp::UNIX_EPOCH);
        let subjects: Vec<&str> = found.iter().map(|it| it.subject.as_str()).collect();
        assert_eq!(subjects, ["b", "c", "d", "csi-e"]);
        assert_eq!(found[0].detail, "VolumeAttachment csi-b of the claim default/moved");
        assert_eq!(found[2].detail, "VolumeAttachment csi-d");
        assert!(found.iter().all(|it| it.reason == Reason::VolumeAttached));
        assert!(still_attached(&[], &pods, Timestamp::UNIX_EPOCH).is_empty());
    }
}
