use serde::{Deserialize, Serialize};

/// What Prometheus says of a risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskAnswer {
    /// The expression that was asked.
    pub promql: String,
    /// Whether the risk is there, or why that is not known.
    pub is_present: Result<bool, String>,
}
