use serde::{Deserialize, Serialize};

use super::service::ServiceName;

/// Who answers a webhook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// A port of a Service of the cluster.
    Service {
        /// The Service.
        #[serde(flatten)]
        service: ServiceName,
        /// The port, 443 where nothing is written. Files that were saved before it was read do not tell.
        #[serde(default)]
        port: Option<u16>,
    },
    /// Somebody outside, by a URL that may be shown.
    Url(String),
}

impl Backend {
    /// The Service, if it is one.
    #[must_use]
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Service { service, port: _ } => Some(service),
            Self::Url(_) => None,
        }
    }
}
