//! What Helm stores of a release, read from its JSON.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::cluster::inventory::{ApiKind, HelmRelease};

/// The largest release that is read, in bytes of JSON. Helm stores it zipped in one Secret of at most 1 MiB.
pub const RELEASE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A release that cannot be read. Nothing of it is shown, because it may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelmError {
    /// It is larger than what is read.
    #[error("it has more than {RELEASE_BYTES_MAX} bytes")]
    TooLarge,
    /// It is no JSON of the expected shape.
    #[error("its JSON is not that of a release: line {line}, column {column}")]
    Shape {
        /// Where it is not.
        line: usize,
        /// Where it is not.
        column: usize,
    },
    /// Its manifest is no YAML of objects.
    #[error("its manifest is not made of objects with apiVersion and kind")]
    Manifest,
}

#[derive(Deserialize)]
struct Release {
    name: String,
    namespace: String,
    chart: Chart,
    manifest: String,
    #[serde(default)]
    hooks: Option<Vec<Hook>>,
}

#[derive(Deserialize)]
struct Chart {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    version: String,
    #[serde(default)]
    app_version: String,
    #[serde(default)]
    kube_version: String,
}

#[derive(Deserialize)]
struct Hook {
    manifest: String,
}

/// An object, as far as it says what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    api_version: String,
    kind: String,
    /// The objects of a list; what a kind of its own has there is not looked at.
    #[serde(default)]
    items: Value,
}

/// Reads a release.
///
/// # Errors
/// It is too large, has another shape, or its manifest or that of a hook cannot be read.
pub fn release(json: &[u8]) -> Result<HelmRelease, HelmError> {
    if json.len() > RELEASE_BYTES_MAX {
        return Err(HelmError::TooLarge);
    }
    let Release { name, namespace, chart, manifest, hooks } = serde_json::from_slice(json)
        .map_err(|error| HelmError::Shape { line: error.line(), column: error.column() })?;
    let Metadata { name: chart, version: chart_version, app_version, kube_version } = chart.metadata;
    let mut kinds = BTreeSet::new();
    note(&manifest, &mut kinds)?;
    for hook in hooks.unwrap_or_default() {
        note(&hook.manifest, &mut kinds)?;
    }
    let kinds = kinds.into_iter().collect();
    Ok(HelmRelease { namespace, name, chart, chart_version, app_version, kube_version, kinds })
}

/// Notes what the objects of a manifest are. Documents without content are passed over, as Helm does.
fn note(manifest: &str, kinds: &mut BTreeSet<ApiKind>) -> Result<(), HelmError> {
    // Helm itself takes a key that is there twice, and charts have such.
    let options = serde_yaml::options! {
        duplicate_keys: serde_yaml::DuplicateKeyPolicy::LastWins, with_snippet: false
    };
    let objects: Vec<Object> = serde_yaml::from_multiple_with_options(manifest, options)
        .map_err(|_shows_its_text| HelmError::Manifest)?;
    for Object { api_version, kind, items } in objects {
        kinds.insert(ApiKind::of(&api_version, &kind));
        if let (true, Value::Array(items)) = (kind.ends_with("List"), items) {
            for item in items {
                let Object { api_version, kind, items: _ } =
                    serde_json::from_value(item).map_err(|_shows_its_text| HelmError::Manifest)?;
                kinds.insert(ApiKind::of(&api_version, &kind));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(manifest: &str, hooks: &str) -> String {
        let manifest = serde_json::to_string(manifest).unwrap();
        format!(
            r#"{{"name":"web","namespace":"apps","version":3,"manifest":{manifest},"hooks":{hooks},
            "chart":{{"metadata":{{"name":"nginx","version":"1.2.3","kubeVersion":">=1.25"}},"templates":[]}}}}"#
        )
    }

    const MANIFEST: &str = "---\n# Source: a.yaml\napiVersion: v1\nkind: ConfigMap\ndata:\n  x: |\n    kind: Not\n    ---\n\
        \n---\n# nothing\n---\napiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nspec: {a: 1, a: 2}\n---\n\
        apiVersion: v1\nkind: List\nitems:\n- apiVersion: batch/v1beta1\n  kind: CronJob\n---\n\
        apiVersion: example.com/v1\nkind: Menu\nitems: soup\n---\napiVersion: v1\nkind: SecretList\nitems: null\n";

    #[test]
    fn a_release_is_its_chart_and_the_kinds_of_all_its_objects() {
        let hooks = r#"[{"name":"a","manifest":"apiVersion: batch/v1\nkind: Job\n"}]"#;
        let release = release(stored(MANIFEST, hooks).as_bytes()).unwrap();
        assert_eq!(
            release.kinds.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "v1 ConfigMap",
                "v1 List",
                "v1 SecretList",
                "batch/v1 Job",
                "batch/v1beta1 CronJob",
                "example.com/v1 Menu",
                "policy/v1beta1 PodDisruptionBudget"
            ]
        );
        let HelmRelease { namespace, name, chart, chart_version, app_version, kube_version, .. } = release;
        assert_eq!(
            [namespace, name, chart, chart_version, app_version, kube_version],
            ["apps", "web", "nginx", "1.2.3", "", ">=1.25"]
        );
    }

    #[test]
    fn a_release_without_objects_has_no_kinds() {
        for manifest in ["", "---\n# nothing\n", "\n"] {
            assert_eq!(release(stored(manifest, "null").as_bytes()).unwrap().kinds, [], "{manifest:?}");
        }
    }

    #[test]
    fn what_is_no_release_is_an_error_that_shows_nothing_of_it() {
        assert_eq!(release(&vec![b' '; RELEASE_BYTES_MAX + 1]), Err(HelmError::TooLarge));
        for json in ["", "{}", "null", r#"{"name":"secret"}"#] {
            let error = release(json.as_bytes()).unwrap_err();
            assert!(
                matches!(error, HelmError::Shape { .. }) && !error.to_string().contains("secret"),
                "{error}"
            );
        }
        for manifest in [
            "apiVersion: v1\nkind: List\nitems: [secret]\n",
            "kind: secret",
            "a: [secret",
            "secret",
            "- apiVersion: v1\n  kind: Secret\n",
        ] {
            assert_eq!(release(stored(manifest, "[]").as_bytes()), Err(HelmError::Manifest), "{manifest}");
        }
        let hooks = r#"[{"manifest":"kind: Job"}]"#;
        assert_eq!(release(stored("", hooks).as_bytes()), Err(HelmError::Manifest));
    }
}
