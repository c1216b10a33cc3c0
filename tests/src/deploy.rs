//! What people install: the objects of a folder of `deploy`, as they are written there.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

/// Every object of a folder such as `deploy/base`, but the list of files itself.
///
/// # Errors
/// A file cannot be read.
pub fn objects(folder: &str) -> Result<Vec<Value>> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(folder);
    let mut objects = Vec::new();
    for entry in std::fs::read_dir(&path).with_context(|| folder.to_owned())? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        let documents: Vec<Value> =
            serde_yaml::from_multiple(&text).with_context(|| path.display().to_string())?;
        objects.extend(
            documents
                .into_iter()
                .filter(|object| object["kind"] != "Kustomization" && object["kind"] != "Component"),
        );
    }
    Ok(objects)
}
