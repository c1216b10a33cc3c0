//! What real parts have answered, by minor: the only words that simulated ones have. `make e2e ARGS=--record` asks real
//! machines and writes their answers down; `e2e/record.rs` tells which.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lockkeeper_rules::words::version::{Minor, Version};
use serde_json::Value;

/// Where recordings lie.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/recorded"))
}

/// The recording of one minor.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The minor.
    pub minor: Minor,
    folder: PathBuf,
}

impl Recorded {
    /// The recording of a minor.
    ///
    /// # Errors
    /// Nobody has made it; the message says how to.
    pub fn of(minor: Minor) -> Result<Self> {
        Self::below(&root(), minor)
    }

    /// The same, where recordings lie elsewhere, as on a machine.
    ///
    /// # Errors
    /// Nobody has made it; the message says how to.
    pub fn below(root: &Path, minor: Minor) -> Result<Self> {
        let folder = root.join(format!("v{minor}"));
        if !folder.is_dir() {
            bail!(
                "nobody has recorded what real machines of Kubernetes {minor} answer, and simulated ones do not guess: \
                 run `make e2e ARGS='--record --from VERSION --to VERSION'`, where one of them is of {minor}"
            );
        }
        Ok(Self { minor, folder })
    }

    /// Every minor that was recorded, oldest first.
    #[must_use]
    pub fn all(root: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let minors = names.filter_map(|name| Minor::parse(name.strip_prefix('v')?));
        let mut all: Vec<Self> = minors.filter_map(|minor| Self::below(root, minor).ok()).collect();
        all.sort_by_key(|recorded| recorded.minor);
        all
    }

    /// The version of the kubelet that was asked.
    ///
    /// # Errors
    /// The node was not recorded, or does not tell it.
    pub fn version(&self) -> Result<Version> {
        let node = self.json("node.json")?;
        let version = node.pointer("/status/nodeInfo/kubeletVersion").and_then(Value::as_str);
        Ok(version.context("node.json names no version of a kubelet")?.parse()?)
    }

    /// Every answer by name.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn texts(&self) -> Result<Vec<(String, String)>> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.map(|name| Ok((name.clone(), self.text(&name)?))).collect()
    }

    /// A ConfigMap of kubeadm's, as a dry run has shown it; nothing if none was recorded of this minor.
    ///
    /// # Errors
    /// It was, and is no YAML.
    pub fn config_map(&self, name: &str) -> Result<Option<Value>> {
        let head = format!(
            "[dryrun] Resource name \"{name}\", namespace \"kube-system\"\n[dryrun] Attached object:\n"
        );
        let texts = self.texts()?;
        let Some((_, text)) = texts.iter().find_map(|(_, text)| text.split_once(&head)) else {
            return Ok(None);
        };
        let text: String =
            text.lines().take_while(|line| !line.starts_with('[')).map(|line| format!("{line}\n")).collect();
        Ok(Some(serde_yaml::from_str(&text)?))
    }

    /// Whether there is such an answer.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.folder.join(name).is_file()
    }

    /// An answer as it came.
    ///
    /// # Errors
    /// It was not recorded.
    pub fn text(&self, name: &str) -> Result<String> {
        let path = self.folder.join(name);
        std::fs::read_to_string(&path)
            .with_context(|| format!("tests/recorded/v{}/{name} cannot be read", self.minor))
    }

    /// An answer in JSON.
    ///
    /// # Errors
    /// It was not recorded, or is none.
    pub fn json(&self, name: &str) -> Result<Value> {
        let text = self.text(name)?;
        serde_json::from_str(&text).with_context(|| format!("tests/recorded/v{}/{name}", self.minor))
    }
}

/// An answer in JSON for people who read a change of it, without what is new at each boot and says nothing.
///
/// # Errors
/// It is none.
pub fn pretty(text: &str) -> Result<String> {
    let mut value: Value = serde_json::from_str(text)?;
    strip(&mut value);
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for key in ["managedFields", "images", "selfLink"] {
                map.remove(key);
            }
            map.values_mut().for_each(strip);
        }
        Value::Array(all) => all.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_minor_that_nobody_has_recorded_it_is_told_how_to() {
        let error = Recorded::of(Minor { major: 1, minor: 3 }).unwrap_err().to_string();
        assert!(error.contains("Kubernetes 1.3 ") && error.contains("make e2e ARGS='--record"), "{error}");
    }
}
