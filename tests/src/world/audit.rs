//! The API server's audit log.

use jiff::Timestamp;
use serde_json::Value;

use super::World;
use crate::machine::Folder;

/// One write, as the API server saw it.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// When the request came.
    pub at: Timestamp,
    /// Who asked.
    pub user: String,
    /// create, update, patch, delete.
    pub verb: String,
    /// Such as nodes.
    pub resource: String,
    /// Such as eviction or status; empty if none.
    pub subresource: String,
    /// Empty if none.
    pub namespace: String,
    /// The object's name; empty if it was not named.
    pub name: String,
    /// The HTTP status.
    pub code: u64,
    /// What was sent, where it is kept.
    pub body: Value,
}

impl AuditEntry {
    fn read(entry: &Value) -> Option<Self> {
        let text = |path: &str| entry.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Self {
            at: text("/requestReceivedTimestamp").parse().ok()?,
            user: text("/user/username"),
            verb: text("/verb"),
            resource: text("/objectRef/resource"),
            subresource: text("/objectRef/subresource"),
            namespace: text("/objectRef/namespace"),
            name: text("/objectRef/name"),
            code: entry.pointer("/responseStatus/code")?.as_u64()?,
            body: entry.get("requestObject").cloned().unwrap_or(Value::Null),
        })
    }
}

impl World {
    /// Every write of a user, oldest first.
    #[must_use]
    pub fn audit(&self, user: &str) -> Vec<AuditEntry> {
        let path = self.folder.path().join("audit.log");
        let mut entries: Vec<AuditEntry> =
            Folder::lines::<Value>(&path).iter().filter_map(AuditEntry::read).collect();
        entries.retain(|entry| entry.user == user);
        entries.sort_by_key(|entry| entry.at);
        entries
    }
}
