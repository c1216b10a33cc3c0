//! What a kubelet tells of its configuration: `/configz`, the gauge of its cgroup version, and the ConfigMap that
//! kubeadm writes its configuration from.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::cluster::inventory::{KubeProxyConfig, KubeletConfig};
use crate::cluster::snapshot::Node;
use crate::words::name::NodeName;
use crate::words::version::{Minor, Version};

/// The largest answer that is looked at: a configuration has a few kilobytes, the metrics of a large node some hundred.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The name of the gauge, with the space that ends it.
const CGROUP_VERSION: &str = "kubelet_cgroup_version ";

/// The first minor whose kubelets show what `failCgroupV1` does: those before it may not start again at or after it.
pub const CGROUP_V1_FAILS_FROM: Minor = Minor { major: 1, minor: 35 };

/// What a kubelet is asked, and which of its lives the answer is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// Its node, boot and version: another one has not answered.
    pub life: String,
    /// Whether its cgroup version is asked for too.
    pub with_cgroup: bool,
}

/// The kubelets that must be asked: those whose minor one of the targets changes. No other is touched.
#[must_use]
pub fn questions(nodes: &[Node], targets: &[Version]) -> BTreeMap<NodeName, Question> {
    let Some(newest) = targets.iter().map(Version::minor).max() else { return BTreeMap::new() };
    let question = |node: &Node| {
        let version = node.kubelet_version.as_ref().ok()?;
        let life = format!("{} {} {version}", node.uid, node.boot_id);
        let with_cgroup = newest >= CGROUP_V1_FAILS_FROM;
        (version.minor() < newest).then(|| (node.name.clone(), Question { life, with_cgroup }))
    };
    nodes.iter().filter_map(question).collect()
}

/// Everything else in it is nobody's business here.
#[derive(Debug, Deserialize)]
struct Wire {
    kind: Option<String>,
    #[serde(rename = "featureGates")]
    feature_gates: Option<BTreeMap<String, bool>>,
    #[serde(rename = "failCgroupV1")]
    fail_cgroup_v1: Option<bool>,
    #[serde(rename = "syncFrequency")]
    sync_frequency: Option<IgnoredAny>,
    authentication: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct Configz {
    kubeletconfig: Wire,
}

/// Reads the answer of `/configz`.
///
/// # Errors
/// It is no answer of a kubelet.
pub fn configz(text: &str) -> Result<KubeletConfig, String> {
    let too_long = text.len() > ANSWER_BYTES_MAX;
    let read = if too_long { Err("it is too long".to_owned()) } else { read_configz(text) };
    read.map_err(|why| format!("/configz is not a kubelet's: {why}"))
}

fn read_configz(text: &str) -> Result<KubeletConfig, String> {
    let Configz { kubeletconfig } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    // Kubelets before 1.36 leave their kind out. These two fields every one of them writes, whatever it is set to.
    if kubeletconfig.kind.is_none() {
        if kubeletconfig.sync_frequency.is_none() || kubeletconfig.authentication.is_none() {
            return Err("it has no kind, and not the fields that every kubelet shows".to_owned());
        }
        return Ok(read(kubeletconfig));
    }
    config(kubeletconfig)
}

/// Reads the text under `kubelet` in the ConfigMap `kubelet-config`.
///
/// # Errors
/// It is no configuration of a kubelet.
pub fn written(text: &str) -> Result<KubeletConfig, String> {
    if text.len() > ANSWER_BYTES_MAX {
        return Err("it is too long".to_owned());
    }
    config(crate::words::yaml::read(text).map_err(|error| error.to_string())?)
}

/// Reads the text under `config.conf` in the ConfigMap `kube-proxy`.
///
/// # Errors
/// It is no configuration of kube-proxy.
pub fn written_of_kube_proxy(text: &str) -> Result<KubeProxyConfig, String> {
    if text.len() > ANSWER_BYTES_MAX {
        return Err("it is too long".to_owned());
    }
    let wire: Wire = crate::words::yaml::read(text).map_err(|error| error.to_string())?;
    let Wire { feature_gates, .. } = of_kind("KubeProxyConfiguration", wire)?;
    Ok(KubeProxyConfig { feature_gates: feature_gates.unwrap_or_default() })
}

fn config(wire: Wire) -> Result<KubeletConfig, String> {
    of_kind("KubeletConfiguration", wire).map(read)
}

fn read(wire: Wire) -> KubeletConfig {
    let Wire { feature_gates, fail_cgroup_v1, .. } = wire;
    KubeletConfig { feature_gates: feature_gates.unwrap_or_default(), fail_cgroup_v1 }
}

/// A text that says nothing of all this may be anything: its kind must be right. A file that a component starts with
/// has one in every minor: without it the component does not read it either.
fn of_kind(kind: &str, wire: Wire) -> Result<Wire, String> {
    match wire.kind.as_deref() {
        Some(found) if found == kind => Ok(wire),
        other => Err(format!("its kind is {:?} and not {kind}", other.unwrap_or_default())),
    }
}

/// The cgroup version in a kubelet's metrics, if they tell it.
#[must_use]
pub fn cgroup_version(metrics: &str) -> Option<u8> {
    let value = metrics.lines().find_map(|line| line.strip_prefix(CGROUP_VERSION))?;
    match value.trim() {
        "1" => Some(1),
        "2" => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kubelets_whose_minor_a_target_changes_are_asked() {
        let node = |name: &str, version: &str| Node {
            uid: format!("uid-{name}"),
            boot_id: "boot".to_owned(),
            kubelet_version: version.parse().map_err(|_| version.to_owned()),
            ..Node::silent(name, crate::cluster::snapshot::Role::Worker)
        };
        let nodes = [node("a", "v1.36.1"), node("b", "v1.34.1"), node("c", "latest")];
        for (targets, asked) in [
            (&["v1.36.3"][..], &[("b", true)][..]),
            (&["v1.36.3", "v1.37.0"], &[("a", true), ("b", true)]),
            (&["v1.34.9"], &[]),
            (&[], &[]),
        ] {
            let targets: Vec<Version> = targets.iter().map(|text| text.parse().unwrap()).collect();
            let found = questions(&nodes, &targets);
            let found: Vec<_> = found.iter().map(|(node, it)| (node.0.as_str(), it.with_cgroup)).collect();
            assert_eq!(found, asked, "{targets:?}");
        }
        let lives = questions(&nodes, &["v1.37.0".parse().unwrap()]);
        assert_eq!(lives[&"a".into()].life, "uid-a boot v1.36.1");
    }

    #[test]
    fn what_a_kubelet_shows_is_read() {
        let text = r#"{"kubeletconfig":{"kind":"KubeletConfiguration","apiVersion":"kubelet.config.k8s.io/v1beta1",
            "featureGates":{"A":true,"B":false},"failCgroupV1":false,"maxPods":110}}"#;
        let expected = KubeletConfig {
            feature_gates: BTreeMap::from([("A".to_owned(), true), ("B".to_owned(), false)]),
            fail_cgroup_v1: Some(false),
        };
        assert_eq!(configz(text), Ok(expected));
    }

    /// What a kubelet of v1.35 shows: neither `kind` nor `apiVersion`.
    const WITHOUT_KIND: &str = r#"{"kubeletconfig":{"enableServer":true,"staticPodPath":"/etc/kubernetes/manifests",
        "podLogsDir":"/var/log/pods","syncFrequency":"1m0s","fileCheckFrequency":"20s","httpCheckFrequency":"20s",
        "address":"0.0.0.0","port":10250,"authentication":{"x509":{"clientCAFile":"/etc/kubernetes/pki/ca.crt"},
        "webhook":{"enabled":true,"cacheTTL":"2m0s"},"anonymous":{"enabled":false}},"failCgroupV1":true,
        "featureGates":{"A":true}}}"#;

    #[test]
    fn a_kubelet_that_leaves_its_kind_out_is_read_by_what_every_kubelet_shows() {
        let read = configz(WITHOUT_KIND).unwrap();
        assert_eq!((read.feature_gates.get("A"), read.fail_cgroup_v1), (Some(&true), Some(true)));
        for (field, other) in [("syncFrequency", "sync"), ("authentication", "auth")] {
            assert!(configz(&WITHOUT_KIND.replace(field, other)).is_err(), "without {field}");
            assert!(
                configz(&WITHOUT_KIND.replace(&format!("\"{field}\":"), &format!("\"{field}\":null,\"x\":")))
                    .is_err(),
                "{field} is null"
            );
        }
        // A kind that is there must be the right one, whatever else is shown.
        let other =
            WITHOUT_KIND.replace("\"enableServer\"", "\"kind\":\"KubeProxyConfiguration\",\"enableServer\"");
        assert!(configz(&other).unwrap_err().contains("KubeProxyConfiguration"));
        let empty = WITHOUT_KIND.replace("\"enableServer\"", "\"kind\":\"\",\"enableServer\"");
        assert!(configz(&empty).is_err());
    }

    #[test]
    fn a_file_that_a_component_starts_with_must_say_its_kind() {
        let text = "syncFrequency: 1m0s\nauthentication: {}\n";
        assert!(written(text).is_err() && written_of_kube_proxy("bindAddress: 0.0.0.0\n").is_err());
    }

    #[test]
    fn what_is_not_a_kubelets_is_told_and_never_an_empty_configuration() {
        for (text, told) in [
            ("", "EOF"),
            ("<html>", "expected value"),
            ("{}", "missing field `kubeletconfig`"),
            (r#"{"kubeletconfig":{}}"#, "it has no kind"),
            (r#"{"kubeletconfig":{"featureGates":{},"failCgroupV1":true}}"#, "it has no kind"),
            (r#"{"kubeletconfig":{"kind":"KubeProxyConfiguration"}}"#, "KubeProxyConfiguration"),
            (r#"{"kubeletconfig":{"kind":"KubeletConfiguration","featureGates":{"A":"on"}}}"#, "boolean"),
        ] {
            let error = configz(text).unwrap_err();
            assert!(error.starts_with("/configz is not a kubelet's: ") && error.contains(told), "{error}");
        }
    }

    #[test]
    fn what_kubeadm_writes_is_read() {
        let text = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nfeatureGates: {A: true}\n";
        let read = written(text).unwrap();
        assert_eq!((read.feature_gates.get("A"), read.fail_cgroup_v1), (Some(&true), None));
        for text in ["", "a: [", "kind: ClusterConfiguration\n"] {
            assert!(written(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_gauge_of_1_or_2_is_a_cgroup_version() {
        for (metrics, expected) in [
            ("# TYPE kubelet_cgroup_version gauge\nkubelet_cgroup_version 2\n", Some(2)),
            ("kubelet_cgroup_version 1", Some(1)),
            ("kubelet_cgroup_version 0\n", None),
            ("kubelet_cgroup_version_other 2\n", None),
            ("# kubelet_cgroup_version 2\n", None),
            ("", None),
        ] {
            assert_eq!(cgroup_version(metrics), expected, "{metrics}");
        }
    }
}
