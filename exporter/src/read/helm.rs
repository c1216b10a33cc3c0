//! The releases of Helm, from the Secrets that it keeps them in.

use std::io::Read;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client};
use lockkeeper_rules::helm::{RELEASE_BYTES_MAX, release};
use lockkeeper_rules::inventory::HelmRelease;

use super::list::list_all;

/// What Helm marks the Secret of a deployed release with.
const DEPLOYED: &str = "owner=helm,status=deployed";

/// The deployed releases of a namespace, or of all that the client may list.
///
/// # Errors
/// The Secrets cannot be listed, or one of them is no release.
pub async fn releases(
    client: &Client,
    namespace: Option<&str>,
    deadline: Duration,
) -> Result<Vec<HelmRelease>, String> {
    let secrets: Api<Secret> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let params = ListParams::default().labels(DEPLOYED);
    let listed = list_all(&secrets, &params, deadline).await.map_err(|error| error.to_string())?;
    listed.items.iter().map(stored).collect()
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
