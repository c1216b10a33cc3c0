use serde::{Deserialize, Serialize};

use super::backend::Backend;

/// A CustomResourceDefinition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its name, such as `widgets.example.com`.
    pub name: String,
    /// `spec.versions`.
    pub versions: Vec<ServedVersion>,
    /// `status.storedVersions`: in which versions objects may lie in etcd.
    pub stored: Vec<String>,
    /// Who converts objects between versions, where `spec.conversion.strategy` is `Webhook`.
    pub converter: Option<Backend>,
}

/// One version of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedVersion {
    /// Its name, such as `v1beta1`.
    pub name: String,
    /// Whether the API server serves it.
    pub served: bool,
    /// Whether objects are written in it.
    pub storage: bool,
}
