use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::words::name::NodeName;

/// What is looked at of a kubelet's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KubeletConfig {
    /// The feature gates that are set.
    pub feature_gates: BTreeMap<String, bool>,
    /// `failCgroupV1`. A running kubelet shows its default where nobody has set it.
    pub fail_cgroup_v1: Option<bool>,
}

/// What is looked at of kube-proxy's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KubeProxyConfig {
    /// The feature gates that are set.
    pub feature_gates: BTreeMap<String, bool>,
}

/// What a running kubelet says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningKubelet {
    /// Its node.
    pub node: NodeName,
    /// What its `/configz` shows.
    pub config: Result<KubeletConfig, KubeletUnread>,
    /// The gauge `kubelet_cgroup_version`, where it was asked for and is there: 1 or 2.
    pub cgroup_version: Option<u8>,
}

/// Why a kubelet says nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KubeletUnread {
    /// We have no right to ask, in the API server's words.
    Forbidden(String),
    /// It did not answer, or not as a kubelet does.
    Failed(String),
}
