//! What other programs read of ours: metrics, the route, the definition, and the files that are generated.

pub mod crd;
pub mod generated;
pub mod metric;
pub mod route;
