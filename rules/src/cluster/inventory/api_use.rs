use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What Prometheus has seen of requests for deprecated APIs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiRequests {
    /// How far back it was asked.
    pub window_seconds: u64,
    /// The API servers that it has samples of.
    pub servers: Vec<ScrapedServer>,
    /// The deprecated APIs that were asked for, by API server.
    pub requested: Vec<RequestedApi>,
}

/// An API server, as Prometheus knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrapedServer {
    /// The label `instance`, such as `10.0.0.1:6443`.
    pub instance: String,
    /// Whether it is scraped now.
    pub is_scraped: bool,
    /// For how much of the window there are samples.
    pub proven_seconds: u64,
}

/// A deprecated API that somebody has asked an API server for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedApi {
    /// The group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The resource, such as `cronjobs`.
    pub resource: String,
    /// The subresource; empty for the resource itself.
    pub subresource: String,
    /// The minor that removes it, as the API server writes it; empty if none is decided.
    pub removed_release: String,
    /// The API server's label `instance`.
    pub instance: String,
    /// When it was seen.
    pub seen: Seen,
    /// Whether somebody still asks.
    pub caller: Caller,
}

/// When a request was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// Within the window; the API server has restarted since, and forgets what it was asked for.
    Earlier,
    /// The API server that runs has been asked.
    Now,
}

/// Whether somebody still asks. An API server goes on telling of a request until it restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// Requests are counted, and none came within two hours.
    Ghost,
    /// Requests are not counted.
    Unknown,
    /// A request came within two hours.
    Live,
}

/// A kind in one group and version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ApiKind {
    /// The group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The kind.
    pub kind: String,
}

/// Who has written objects in versions that go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiWrites {
    /// The kinds that were looked for. Nothing is known of any other.
    pub asked: BTreeSet<ApiKind>,
    /// How many objects were looked at.
    pub objects: usize,
    /// The writes that were found.
    pub writes: Vec<ApiWrite>,
}

/// Objects that a manager has written in one group and version, as their `managedFields` tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiWrite {
    /// What they were written as.
    pub api: ApiKind,
    /// Who wrote, such as `kubectl-client-side-apply`.
    pub manager: String,
    /// When it wrote last.
    pub time: Option<Timestamp>,
    /// The object that it wrote last, as `namespace/name`.
    pub object: String,
    /// How many objects it wrote.
    pub count: u64,
}

/// A release of Helm as it is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelmRelease {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The name of its chart.
    pub chart: String,
    /// The version of its chart.
    pub chart_version: String,
    /// `appVersion` of its chart; empty if it has none.
    pub app_version: String,
    /// `kubeVersion` of its chart; empty if it has none.
    pub kube_version: String,
    /// What its stored manifest is made of, each once.
    pub kinds: Vec<ApiKind>,
}

impl ApiKind {
    /// From `apiVersion` and `kind`, as objects have them.
    #[must_use]
    pub fn of(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
    }

    /// The name under which it is served, such as `ingresses`.
    #[must_use]
    pub fn resource(&self) -> String {
        let lower = self.kind.to_ascii_lowercase();
        match lower.strip_suffix('y') {
            Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
            _ if lower.ends_with('s') => format!("{lower}es"),
            _ => format!("{lower}s"),
        }
    }
}

impl fmt::Display for ApiKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, version, kind } = self;
        if group.is_empty() { write!(f, "{version} {kind}") } else { write!(f, "{group}/{version} {kind}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_written_as_objects_write_it() {
        for (api_version, shown) in [("v1", "v1 Pod"), ("policy/v1beta1", "policy/v1beta1 Pod")] {
            assert_eq!(ApiKind::of(api_version, "Pod").to_string(), shown);
        }
        assert_eq!(ApiKind::of("policy/v1beta1", "Pod").group, "policy");
    }
}
