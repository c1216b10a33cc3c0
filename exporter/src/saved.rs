//! A saved cluster: everything that a verdict was made from, in one file, so that a bug report or a dry run needs no
//! cluster. It holds names, versions and images, and no secrets: nothing that could be one is read.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use lockkeeper_rules::cluster::inventory::Inventory;
use lockkeeper_rules::cluster::snapshot::Snapshot;
use serde::{Deserialize, Serialize};

/// The format that this version writes and reads.
const VERSION: u32 = 1;
/// The largest file that is read: far more than 5,000 nodes and 20,000 objects take.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A cluster at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    version: u32,
    /// When it was read: a verdict on it is of this moment.
    pub(crate) now: Timestamp,
    /// What runs.
    pub(crate) snapshot: Snapshot,
    /// What else lives in the cluster.
    pub(crate) inventory: Inventory,
}

/// The only field that files of every version have.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

/// Why there is no saved cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SavedError {
    /// The file cannot be read or written.
    #[error("{}: cannot {what}; check {flag}", path.display())]
    File {
        path: PathBuf,
        what: &'static str,
        flag: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// It is larger than what is read.
    #[error("{}: more than {FILE_BYTES_MAX} bytes; check --from", path.display())]
    TooLarge { path: PathBuf },
    /// It is no saved cluster.
    #[error("{}: no saved cluster: {why}; make one with --save", path.display())]
    Content { path: PathBuf, why: String },
    /// It is one of another version of this program.
    #[error("{}: version {found}, only version {VERSION} is read; save the cluster again", path.display())]
    Version { path: PathBuf, found: u32 },
}

impl Saved {
    pub(crate) fn new(now: Timestamp, snapshot: Snapshot, inventory: Inventory) -> Self {
        Self { version: VERSION, now, snapshot, inventory }
    }

    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, SavedError> {
        let failed =
            |source| SavedError::File { path: path.to_owned(), what: "read it", flag: "--from", source };
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut text = Vec::new();
        // One byte more, to tell a file that is just as large from one that was cut.
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(failed)?;
        if u64::try_from(text.len()).is_ok_and(|bytes| bytes > FILE_BYTES_MAX) {
            return Err(SavedError::TooLarge { path: path.to_owned() });
        }
        let content =
            |error: serde_json::Error| SavedError::Content { path: path.to_owned(), why: error.to_string() };
        let Head { version } = serde_json::from_slice(&text).map_err(content)?;
        if version != VERSION {
            return Err(SavedError::Version { path: path.to_owned(), found: version });
        }
        serde_json::from_slice(&text).map_err(content)
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &Path) -> Result<(), SavedError> {
        let text = serde_json::to_vec(self).expect("names are strings and numbers are finite");
        std::fs::write(path, text).map_err(|source| SavedError::File {
            path: path.to_owned(),
            what: "write it",
            flag: "--save",
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use lockkeeper_rules::cluster::snapshot::{ApiServer, Node, Role, Source};
    use lockkeeper_rules::facts::Matrix;
    use lockkeeper_rules::settings::Settings;
    use lockkeeper_rules::verdict::{Case, Status, verdict};

    use super::*;

    #[test]
    fn what_is_saved_comes_back_as_it_was() {
        let now: Timestamp = "2026-09-02T03:04:05.123456789Z".parse().unwrap();
        let mut snapshot = Snapshot::unread();
        let server = |version: Result<&str, &str>| ApiServer {
            name: "a".to_owned(),
            version: version.map(|text| text.parse().unwrap()).map_err(str::to_owned),
            ready: true,
        };
        snapshot.api_servers = Source::read(vec![server(Ok("v1.36.1+k3s1")), server(Err("odd"))], now);
        let saved = Saved::new(now, snapshot, Inventory::unread());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("saved.json");
        saved.write(&path).unwrap();
        assert_eq!(Saved::read(&path).unwrap(), saved);
    }

    #[test]
    fn what_a_cluster_saved_before_does_not_tell_is_unknown_and_not_safe() {
        let now: Timestamp = "2026-09-02T03:04:05Z".parse().unwrap();
        let mut snapshot = Snapshot::unread();
        snapshot.nodes = Source::read(vec![Node::silent("cp-1", Role::ControlPlane)], now);
        snapshot.packages = Source::read(crate::read::packages::of(&["1.36.1", "1.36.3"]), now);
        let mut document = serde_json::to_value(Saved::new(now, snapshot, Inventory::unread())).unwrap();
        let newer = ["internal_ips", "operating_system", "os_image", "architecture"];
        let node = document["snapshot"]["nodes"]["value"][0].as_object_mut().unwrap();
        let fields = node.len();
        node.retain(|name, _| !newer.contains(&name.as_str()));
        assert_eq!(node.len(), fields - newer.len());
        node.insert("internal_ip".to_owned(), "10.0.0.1".into());
        document["snapshot"]["packages"]["value"] =
            serde_json::json!({"patch": "v1.36.3", "minor": null, "versions": ["v1.36.1", "v1.36.3"]});
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("before.json");
        std::fs::write(&path, document.to_string()).unwrap();
        let Saved { snapshot, inventory, .. } = Saved::read(&path).unwrap();
        assert_eq!(snapshot.nodes.value.as_ref().unwrap()[0].internal_ips, ["10.0.0.1"]);
        let (matrix, settings) = (Matrix::built_in(), Settings::default());
        let case =
            Case { snapshot: &snapshot, inventory: &inventory, matrix: &matrix, settings: &settings, now };
        let verdict = verdict("v1.36.3", &case);
        for id in ["offered", "driver"] {
            let check = verdict.checks.iter().find(|check| check.id == id).unwrap();
            assert_eq!(check.status, Status::Unknown, "{check:#?}");
        }
    }

    #[test]
    fn what_is_no_saved_cluster_is_refused_with_its_name_and_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("odd.json");
        for (text, words) in [
            ("", "odd.json: no saved cluster: EOF"),
            ("{\"version\": 2, \"anything\": 1}", "odd.json: version 2, only version 1 is read"),
            ("{\"version\": 1}", "missing field `now`"),
            ("{\"version\": 1, \"more\": 1}", "unknown field `more`"),
            ("{\"version\"", "line 1 column"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Saved::read(&path).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        }
        let gone = Saved::read(&folder.path().join("gone.json")).unwrap_err().to_string();
        assert!(gone.contains("gone.json") && gone.contains("--from"), "{gone}");
    }
}
