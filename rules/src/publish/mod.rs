//! What other programs read of ours: metrics, alert rules, the route, the definition, and the files that are generated.

pub mod alert;
pub mod crd;
pub mod generated;
pub mod metric;
pub mod route;
