use serde::{Deserialize, Serialize};

/// A PersistentVolume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistentVolume {
    /// Its name.
    pub name: String,
    /// The field of its source, such as `csi`.
    pub plugin: String,
}

/// A StorageClass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageClass {
    /// Its name.
    pub name: String,
    /// Its provisioner, such as `kubernetes.io/rbd`.
    pub provisioner: String,
}
