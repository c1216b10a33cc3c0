//! The releases of Helm, from the Secrets that it keeps them in.

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, ObjectList};
use kube::{Api, Client};
use lockkeeper_rules::cluster::inventory::HelmRelease;
use lockkeeper_rules::wire::helm::{RELEASE_BYTES_MAX, release};

use crate::client::kubernetes::explain;

/// What Helm marks the Secrets of releases with that it may still begin from: also one whose first install failed.
const DEPLOYED: &str = "owner=helm,status notin (superseded,uninstalled,uninstalling)";
/// How many Secrets are held at once, each of up to 1 MiB.
const PAGE_SECRETS: u32 = 20;
/// How many pages are read.
const PAGES_MAX: usize = 500;

/// The releases of all namespaces, as deployed or as they failed since.
///
/// # Errors
/// The Secrets cannot be listed, or one of them is no release.
pub async fn releases(client: &Client) -> Result<Vec<HelmRelease>, String> {
    let secrets: Api<Secret> = Api::all(client.clone());
    let mut params = ListParams::default().labels(DEPLOYED).limit(PAGE_SECRETS);
    let mut revisions = BTreeMap::new();
    for _page in 0..PAGES_MAX {
        let page: ObjectList<Secret> = secrets.list(&params).await.map_err(|error| refused(&error))?;
        for secret in &page.items {
            let revision = revision(secret)?;
            let of = (revision.release.namespace.clone(), revision.release.name.clone());
            revisions.entry(of).or_insert_with(Vec::new).push(revision);
        }
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok(revisions.into_values().flat_map(current).collect());
        }
    }
    Err(format!("more than {PAGES_MAX} pages of {PAGE_SECRETS} Secrets of Helm"))
}

/// A stored revision of a release.
struct Revision {
    number: u64,
    is_deployed: bool,
    release: HelmRelease,
}

fn label<'a>(secret: &'a Secret, name: &str) -> &'a str {
    secret.metadata.labels.as_ref().and_then(|labels| labels.get(name)).map_or("", String::as_str)
}

fn revision(secret: &Secret) -> Result<Revision, String> {
    let release = stored(secret)?;
    let number = label(secret, "version").parse().map_err(|error| {
        let (namespace, name) = (&release.namespace, &release.name);
        format!("release {namespace}/{name}: its Secret's label version is no number: {error}")
    })?;
    Ok(Revision { number, is_deployed: label(secret, "status") == "deployed", release })
}

/// What Helm may still begin from: the newest deployed revision and those after it, which failed; all where none is
/// deployed.
fn current(revisions: Vec<Revision>) -> Vec<HelmRelease> {
    let newest = revisions.iter().filter(|it| it.is_deployed).map(|it| it.number).max().unwrap_or(0);
    revisions.into_iter().filter(|it| it.number >= newest).map(|it| it.release).collect()
}

fn refused(error: &kube::Error) -> String {
    let remedy = match error {
        kube::Error::Api(status) if status.code == 403 => {
            "; give that right (deploy/helm), or set policy.helm_manifests to note"
        }
        _ => "",
    };
    format!("secrets: {}{remedy}", explain(error))
}

/// The release in a Secret: JSON, zipped, in Base64 of Helm's own.
fn stored(secret: &Secret) -> Result<HelmRelease, String> {
    let metadata = &secret.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let about = |why: &str| format!("the release in Secret {namespace}/{name} cannot be read: {why}");
    let data = secret.data.as_ref().and_then(|data| data.get("release"));
    let data = data.ok_or_else(|| about("it has no data.release"))?;
    let zipped = STANDARD.decode(&data.0).map_err(|_bytes| about("it is not in Base64"))?;
    let mut json = Vec::new();
    // One byte more than allowed, so that what is too large is seen to be.
    let limit = u64::try_from(RELEASE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let inflated = flate2::read::GzDecoder::new(zipped.as_slice()).take(limit).read_to_end(&mut json);
    inflated.map_err(|error| about(&format!("it cannot be inflated: {error}")))?;
    release(&json).map_err(|error| about(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use k8s_openapi::ByteString;

    use super::*;

    fn zipped(json: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(json).unwrap();
        STANDARD.encode(encoder.finish().unwrap()).into_bytes()
    }

    fn secret(release: Option<Vec<u8>>) -> Secret {
        let object =
            serde_json::json!({"metadata": {"namespace": "apps", "name": "sh.helm.release.v1.web.v3"}});
        let mut secret: Secret = serde_json::from_value(object).unwrap();
        secret.data = release.map(|bytes| [("release".to_owned(), ByteString(bytes))].into());
        secret
    }

    #[test]
    fn a_release_is_unpacked_from_its_secret() {
        let json = br#"{"name":"web","namespace":"apps","manifest":"apiVersion: v1\nkind: Service\n",
            "chart":{"metadata":{"name":"nginx","version":"1.2.3"}}}"#;
        let release = stored(&secret(Some(zipped(json)))).unwrap();
        assert_eq!((release.name.as_str(), release.kinds[0].kind.as_str()), ("web", "Service"));
    }

    #[test]
    fn what_failed_before_the_deployed_revision_is_history() {
        let revision = |number: u64, status: &str| {
            let json = format!(
                r#"{{"name":"web","namespace":"apps","manifest":"","chart":{{"metadata":{{"name":"nginx","version":"{number}"}}}}}}"#
            );
            let mut stored = secret(Some(zipped(json.as_bytes())));
            let labels = [("name", "web"), ("status", status), ("version", &number.to_string())];
            stored.metadata.labels =
                Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
            super::revision(&stored).unwrap()
        };
        let left = |all: &[(u64, &str)]| {
            let all = all.iter().map(|(number, status)| revision(*number, status)).collect();
            current(all).into_iter().map(|release| release.chart_version).collect::<Vec<_>>()
        };
        assert_eq!(left(&[(3, "failed"), (4, "deployed"), (5, "failed")]), ["4", "5"]);
        assert_eq!(left(&[(1, "failed")]), ["1"]);
        assert_eq!(left(&[(1, "failed"), (2, "pending-upgrade")]), ["1", "2"]);
    }

    #[test]
    fn what_is_no_release_names_its_secret_and_the_reason() {
        let large = zipped(&vec![b' '; RELEASE_BYTES_MAX + 1]);
        for (data, why) in [
            (None, "no data.release"),
            (Some(b"\xff".to_vec()), "Base64"),
            (Some(STANDARD.encode("plain").into_bytes()), "inflated"),
            (Some(zipped(b"{}")), "JSON"),
            (Some(large), "more than"),
        ] {
            let error = stored(&secret(data)).unwrap_err();
            assert!(
                error.contains("apps/sh.helm.release.v1.web.v3") && error.contains(why),
                "{why}: {error}"
            );
        }
    }
}
