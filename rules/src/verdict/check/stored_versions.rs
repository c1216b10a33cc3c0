//! Every version in which objects of a custom resource may lie in etcd can still be read.
//!
//! An add-on that drops a version which is still stored leaves objects behind that nobody can read, and the API server
//! refuses its new definition. Source:
//! <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/>.

use super::{Facts, Outcome};
use crate::cluster::inventory::Definition;
use crate::reason::{Finding, Reason};

pub(super) fn check(facts: &Facts<'_>) -> Outcome {
    let (definitions, read) = match facts.state("definitions", &facts.case.inventory.definitions) {
        Ok(read) => read,
        Err(finding) => return Outcome::unknown(finding),
    };
    let blockers = definitions.iter().flat_map(unserved).collect();
    let notes = definitions.iter().filter_map(not_migrated).collect();
    let unknowns = definitions.iter().filter_map(nothing_stored).collect();
    Outcome::judge(read, Vec::new(), blockers, unknowns).noting(notes)
}

/// The API server writes down what is stored as soon as there is a definition: an empty list was not read.
fn nothing_stored(definition: &Definition) -> Option<Finding> {
    let detail = "its status.storedVersions is empty";
    definition
        .stored
        .is_empty()
        .then(|| Finding::new(Reason::SourceUnreadable, definition.name.clone(), detail))
}

/// Stored versions that are not served.
fn unserved(definition: &Definition) -> impl Iterator<Item = Finding> + '_ {
    let is_served =
        |stored: &String| definition.versions.iter().any(|version| version.name == *stored && version.served);
    let unserved = definition.stored.iter().filter(move |stored| !is_served(stored));
    unserved.map(|stored| {
        let detail = format!("objects may be stored as {stored}, which is not served");
        Finding::new(Reason::StoredVersionUnserved, definition.name.clone(), detail)
    })
}

/// More than the storage version is still stored: the next release of the add-on may be refused.
fn not_migrated(definition: &Definition) -> Option<Finding> {
    let storage = definition.versions.iter().find(|version| version.storage)?;
    let old: Vec<&str> =
        definition.stored.iter().map(String::as_str).filter(|one| *one != storage.name).collect();
    (!old.is_empty()).then(|| {
        let detail = format!(
            "objects may still be stored as {}, the storage version is {}",
            old.join(", "),
            storage.name
        );
        Finding::new(Reason::StoredVersionOld, definition.name.clone(), detail)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Healthy, healthy, outcome};
    use super::*;
    use crate::cluster::inventory::ServedVersion;
    use crate::cluster::snapshot::Source;
    use crate::verdict::Status;

    fn definition(versions: &[(&str, bool)], stored: &[&str]) -> Definition {
        let last = versions.len() - 1;
        let version = |(index, (name, served)): (usize, &(&str, bool))| ServedVersion {
            name: (*name).to_owned(),
            served: *served,
            storage: index == last,
        };
        Definition {
            name: "widgets.example.com".to_owned(),
            versions: versions.iter().enumerate().map(version).collect(),
            stored: stored.iter().map(|name| (*name).to_owned()).collect(),
            converter: None,
        }
    }

    #[test]
    fn a_stored_version_that_is_not_served_blocks() {
        for (versions, stored, status, reasons) in [
            (&[("v1", true)][..], &["v1"][..], Status::Pass, vec![]),
            (&[("v1beta1", true), ("v1", true)], &["v1beta1", "v1"], Status::Pass, vec![]),
            (
                &[("v1beta1", false), ("v1", true)],
                &["v1beta1", "v1"],
                Status::Block,
                vec!["stored_version_unserved"],
            ),
            (&[("v1", true)], &["v1alpha1", "v1"], Status::Block, vec!["stored_version_unserved"]),
            (&[("v1", true)], &[], Status::Unknown, vec!["source_unreadable"]),
        ] {
            let change = |cluster: &mut Healthy| {
                cluster.inventory.definitions.value = Some(vec![definition(versions, stored)]);
            };
            assert_eq!(outcome(check, "v1.36.3", change), (status, reasons), "{versions:?} {stored:?}");
        }
    }

    #[test]
    fn objects_of_an_older_version_are_noted_and_block_nothing() {
        let mut cluster = healthy();
        let two = definition(&[("v1beta1", true), ("v1", true)], &["v1beta1", "v1"]);
        cluster.inventory.definitions.value = Some(vec![two]);
        let verdict = cluster.verdict("v1.36.3");
        let check = verdict.checks.iter().find(|check| check.id == "stored_versions").unwrap();
        assert_eq!((check.status, check.notes[0].reason), (Status::Pass, Reason::StoredVersionOld));
    }

    #[test]
    fn definitions_that_cannot_be_read_are_unknown() {
        let lost = |cluster: &mut Healthy| cluster.inventory.definitions = Source::failed("forbidden");
        assert_eq!(outcome(check, "v1.36.3", lost), (Status::Unknown, vec!["source_unreadable"]));
    }
}
