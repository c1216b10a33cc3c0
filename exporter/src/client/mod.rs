//! How both programs ask others: the Kubernetes client, Prometheus and Alertmanager over HTTP, deadlines, and URLs as
//! people may see them. What is asked is none of its business.

pub mod backend;
pub mod deadline;
pub mod kubernetes;
pub mod shown;
