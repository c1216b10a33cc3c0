//! What a kubeadm of one minor is called with.

use super::{Environment, Exception, KubeadmSettings};
use crate::words::version::Minor;

/// The first minor whose `upgrade plan`, `apply` and `node` read all of their settings from an UpgradeConfiguration, and
/// whose `apply` has phases. There is one since 1.30, but `apply` does not read its `skipPhases` before 1.32, and `node` not
/// its `ignorePreflightErrors`: what is not read is lost without a word, while a flag that is not known is an error.
const CONFIGURATION_FROM: Minor = Minor { major: 1, minor: 32 };

/// What a kubeadm of one minor is called with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// The text of a file that is given as `--config`; nothing if there is nothing to say in it.
    pub configuration: Option<String>,
    /// Flags of `upgrade plan`.
    pub plan: Vec<String>,
    /// Flags of `upgrade apply`.
    pub apply: Vec<String>,
    /// Flags of `upgrade node`.
    pub node: Vec<String>,
}

impl Words {
    /// What this site tells the kubeadm of this minor; `root` is in front of every path on the node.
    #[must_use]
    pub fn of(settings: &KubeadmSettings, minor: Minor, root: &str) -> Self {
        let patches = settings.patches_directory.as_ref().map(|path| format!("{root}{path}"));
        let ignored = names(&settings.ignore_preflight_errors);
        let skipped = names(&settings.skip_phases);
        // All but what is no word of kubeadm's.
        let words = KubeadmSettings {
            extra_images: Vec::new(),
            environment: Environment::default(),
            ..settings.clone()
        };
        let is_told = words != KubeadmSettings::default();
        if minor >= CONFIGURATION_FROM {
            let configuration = is_told.then(|| configuration(patches.as_deref(), &ignored, &skipped));
            return Self { configuration, ..Self::default() };
        }
        let list =
            |flag: &str, names: &[&str]| (!names.is_empty()).then(|| format!("--{flag}={}", names.join(",")));
        let ignore = list("ignore-preflight-errors", &ignored);
        let node: Vec<String> =
            ignore.clone().into_iter().chain(patches.map(|path| format!("--patches={path}"))).collect();
        // It has no phases, so that it refuses this in preflight; `node` has none of those that may be left out.
        let apply = node.iter().cloned().chain(list("skip-phases", &skipped)).collect();
        Self { configuration: None, plan: ignore.into_iter().collect(), apply, node }
    }
}

fn names(exceptions: &[Exception]) -> Vec<&str> {
    exceptions.iter().map(|it| it.name.as_str()).collect()
}

/// YAML, of which every value is written as JSON: nothing in it can become something else.
fn configuration(patches: Option<&str>, ignored: &[&str], skipped: &[&str]) -> String {
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let list = |values: &[&str]| serde_json::Value::from(values.to_vec()).to_string();
    let mut lines =
        vec!["apiVersion: kubeadm.k8s.io/v1beta4".to_owned(), "kind: UpgradeConfiguration".to_owned()];
    // `node` knows the phases of add-ons only, and a phase that it does not know ends it.
    let of_node: Vec<&str> = skipped.iter().copied().filter(|name| name.starts_with("addon")).collect();
    for (section, skipped) in [("apply", Some(skipped)), ("node", Some(&of_node[..])), ("plan", None)] {
        lines.push(format!("{section}:"));
        lines.push(format!("  ignorePreflightErrors: {}", list(ignored)));
        let Some(skipped) = skipped else { continue };
        lines.push(format!("  skipPhases: {}", list(skipped)));
        lines.extend(patches.map(|path| format!("  patches: {{\"directory\": {}}}", text(path))));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::site;
    use super::*;

    const NEW: Minor = Minor { major: 1, minor: 36 };
    const OLD: Minor = Minor { major: 1, minor: 31 };

    #[test]
    fn a_site_without_settings_calls_kubeadm_as_it_is() {
        for minor in [NEW, OLD] {
            assert_eq!(Words::of(&KubeadmSettings::default(), minor, ""), Words::default());
        }
        let with_proxy = KubeadmSettings { environment: site().environment, ..KubeadmSettings::default() };
        assert_eq!(Words::of(&with_proxy, NEW, ""), Words::default());
    }

    #[test]
    fn a_kubeadm_that_reads_all_of_it_gets_a_file() {
        let words = Words::of(&site(), NEW, "");
        let text = words.configuration.clone().unwrap();
        assert_eq!(
            text,
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: UpgradeConfiguration\napply:\n  \
             ignorePreflightErrors: [\"SystemVerification\"]\n  \
             skipPhases: [\"addon/coredns\",\"bootstrap-token\"]\n  \
             patches: {\"directory\": \"/etc/kubernetes/patches\"}\nnode:\n  \
             ignorePreflightErrors: [\"SystemVerification\"]\n  skipPhases: [\"addon/coredns\"]\n  \
             patches: {\"directory\": \"/etc/kubernetes/patches\"}\nplan:\n  \
             ignorePreflightErrors: [\"SystemVerification\"]\n"
        );
        assert_eq!(Words { configuration: None, ..words }, Words::default(), "and no flags beside it");
        assert!(Words::of(&site(), CONFIGURATION_FROM, "").configuration.is_some());
    }

    #[test]
    fn a_kubeadm_that_would_not_read_all_of_it_gets_flags() {
        let words = Words::of(&site(), OLD, "/in/front");
        let ignore = "--ignore-preflight-errors=SystemVerification";
        let patches = "--patches=/in/front/etc/kubernetes/patches";
        assert_eq!(words.configuration, None);
        assert_eq!(words.plan, [ignore]);
        assert_eq!(words.apply, [ignore, patches, "--skip-phases=addon/coredns,bootstrap-token"]);
        assert_eq!(words.node, [ignore, patches]);
    }

    #[test]
    fn nothing_in_a_value_becomes_a_field() {
        let settings = KubeadmSettings {
            patches_directory: Some("/a\"}\nkind: x".to_owned()),
            ..KubeadmSettings::default()
        };
        let text = Words::of(&settings, NEW, "").configuration.unwrap();
        let read: serde_json::Value = crate::words::yaml::read(&text).unwrap();
        assert_eq!(read["kind"], "UpgradeConfiguration");
        assert_eq!(read["apply"]["patches"]["directory"], "/a\"}\nkind: x");
    }
}
