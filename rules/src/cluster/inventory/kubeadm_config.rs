use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What is looked at of the ClusterConfiguration that kubeadm keeps in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KubeadmConfig {
    /// The version of its format, such as `v1beta4`.
    pub api_version: String,
    /// kubeadm's own feature gates that are set.
    pub feature_gates: BTreeMap<String, bool>,
    /// `etcd.local.imageTag`: kubeadm brings this etcd instead of the one that it ships.
    pub etcd_image_tag: Option<String>,
    /// Where `controllerManager.extraVolumes` are mounted.
    pub controller_manager_mounts: BTreeSet<String>,
}
