//! What lives in the cluster beside nodes and runs, as far as a verdict looks at it. Plain values, each source with its
//! proven age: the exporter fills them, the checks judge them.

mod definition;

use serde::{Deserialize, Serialize};

use crate::snapshot::{Reading, Source};

pub use definition::{Definition, ServedVersion};

/// Everything that a verdict reads beside the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// The custom resource definitions.
    pub definitions: Source<Vec<Definition>>,
}

impl Inventory {
    /// Nothing has been read.
    #[must_use]
    pub fn unread() -> Self {
        Self { definitions: Source::unread() }
    }

    /// How each source was read.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading<'_>> {
        let Self { definitions } = self;
        vec![Reading::of("definitions", definitions)]
    }
}
