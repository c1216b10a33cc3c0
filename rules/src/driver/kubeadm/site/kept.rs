use std::collections::BTreeMap;

use serde::Deserialize;

use crate::cluster::inventory::KubeadmConfig;

/// The largest text that is looked at: a ConfigMap is not larger.
const TEXT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// What stands before the version of its format.
const GROUP: &str = "kubeadm.k8s.io/";

/// Everything else in it is nobody's business here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    api_version: Option<String>,
    kind: Option<String>,
    feature_gates: Option<BTreeMap<String, bool>>,
    etcd: Option<Etcd>,
    controller_manager: Option<Component>,
}

#[derive(Debug, Deserialize)]
struct Etcd {
    local: Option<LocalEtcd>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LocalEtcd {
    image_tag: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    extra_volumes: Option<Vec<Mount>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mount {
    mount_path: Option<String>,
}

/// Reads the text under `ClusterConfiguration` in the ConfigMap `kubeadm-config`.
///
/// # Errors
/// It is no configuration of kubeadm.
pub fn kept(text: &str) -> Result<KubeadmConfig, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err("it is too long".to_owned());
    }
    let wire: Wire = crate::words::yaml::read(text).map_err(|error| error.to_string())?;
    let Wire { api_version, kind, feature_gates, etcd, controller_manager } = wire;
    let written = api_version.unwrap_or_default();
    let version = written.strip_prefix(GROUP).filter(|_| kind.as_deref() == Some("ClusterConfiguration"));
    let Some(version) = version else {
        return Err(format!("it is {written:?} {:?} and no ClusterConfiguration", kind.unwrap_or_default()));
    };
    let mounts = controller_manager.and_then(|it| it.extra_volumes).unwrap_or_default();
    let tag = etcd.and_then(|it| it.local?.image_tag).filter(|tag| !tag.is_empty());
    Ok(KubeadmConfig {
        api_version: version.to_owned(),
        feature_gates: feature_gates.unwrap_or_default(),
        etcd_image_tag: tag,
        controller_manager_mounts: mounts.into_iter().filter_map(|it| it.mount_path).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_read_and_the_rest_is_left() {
        let text = "apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
featureGates: {NodeLocalCRISocket: true}
etcd: {local: {dataDir: /var/lib/etcd, imageTag: 3.6.11-0}}
controllerManager:
  extraArgs: [{name: v, value: '2'}]
  extraVolumes: [{name: flex, hostPath: /opt/flex, mountPath: /usr/flex}]
";
        let expected = KubeadmConfig {
            api_version: "v1beta4".to_owned(),
            feature_gates: [("NodeLocalCRISocket".to_owned(), true)].into(),
            etcd_image_tag: Some("3.6.11-0".to_owned()),
            controller_manager_mounts: ["/usr/flex".to_owned()].into(),
        };
        assert_eq!(kept(text), Ok(expected));
        let plain = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n\
            etcd: {external: {endpoints: [https://e:2379]}}\ncontrollerManager: {}\n";
        let expected = KubeadmConfig { api_version: "v1beta3".to_owned(), ..KubeadmConfig::default() };
        assert_eq!(kept(plain), Ok(expected));
    }

    #[test]
    fn what_is_no_cluster_configuration_is_refused() {
        for (text, told) in [
            ("", "no ClusterConfiguration"),
            ("apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n", "InitConfiguration"),
            ("apiVersion: v1\nkind: ClusterConfiguration\n", "\"v1\""),
            ("apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nfeatureGates: [a]\n", "map"),
        ] {
            let said = kept(text).unwrap_err();
            assert!(said.contains(told), "{text:?}: {said}");
        }
    }
}
