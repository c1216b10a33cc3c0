//! The resources as people write them and as they are stored: shapes, no behaviour.

mod run;

pub use run::*;

/// The API group of every resource.
pub const GROUP: &str = "lockkeeper.dev";
/// The version of the resources.
pub const VERSION: &str = "v1alpha1";
/// Who cordoned a node: the token of the step that did.
pub const CORDONED_BY_ANNOTATION: &str = "lockkeeper.dev/cordoned-by";
/// Keeps a run from vanishing while a node carries its annotation.
pub const FINALIZER: &str = "lockkeeper.dev/put-nodes-back";
