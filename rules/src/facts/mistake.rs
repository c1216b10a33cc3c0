//! What is wrong in a data file, and where.

/// Where something stands in a file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

/// One mistake in a data file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{}:{}: {field}: found {found}, expected {expected}", place.line, place.column)]
pub struct Mistake {
    /// The file, as the reader calls it.
    pub file: String,
    /// Where it stands.
    pub place: Place,
    /// The field, such as `addons[3].max_k8s`.
    pub field: String,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub expected: String,
}
