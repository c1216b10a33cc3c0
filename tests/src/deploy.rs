//! What people install: the objects of `deploy/base`, as they are written there.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

/// Every object of `deploy/base`, but the list of files itself.
///
/// # Errors
/// A file cannot be read.
pub fn objects() -> Result<Vec<Value>> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/base"));
    let mut objects = Vec::new();
    for entry in std::fs::read_dir(&folder).context("deploy/base")? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        let documents: Vec<Value> =
            serde_yaml::from_multiple(&text).with_context(|| path.display().to_string())?;
        objects.extend(documents.into_iter().filter(|object| object["kind"] != "Kustomization"));
    }
    Ok(objects)
}
