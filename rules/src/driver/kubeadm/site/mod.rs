//! What a site tells kubeadm besides the version: patches, errors that it is to ignore, phases that it is to leave out,
//! images to fetch ahead, and its environment.
//!
//! ```text
//!   the file ──▶ KubeadmSettings ──▶ validate        what can never be meant is refused when the file is read
//!                                └─▶ Words::of       what a kubeadm of one minor is called with
//!                                └─▶ told, weakened  what people are shown of it, and never a secret
//! ```
//!
//! `kept` reads what kubeadm itself keeps in the cluster.
//!
//! Why it is as it is: `docs/decisions/0023-what-a-site-tells-kubeadm.md`.

mod kept;
mod validate;
mod words;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use kept::kept;
pub use validate::{KubeadmSettingsError, is_directory_path};
pub use words::Words;

/// What a site tells kubeadm; nothing of it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct KubeadmSettings {
    /// The folder of kubeadm's patches, the same on every node.
    pub patches_directory: Option<String>,
    /// Errors of kubeadm's own preflight that do not stop it.
    pub ignore_preflight_errors: Vec<Exception>,
    /// Phases of kubeadm that are left out.
    pub skip_phases: Vec<Exception>,
    /// Images that are fetched ahead on every node, beside those of the control plane.
    pub extra_images: Vec<String>,
    /// What is added to kubeadm's environment, such as a proxy.
    pub environment: Environment,
}

/// Something that makes kubeadm less careful, and why that is right here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// kubeadm's name of it.
    pub name: String,
    /// Why it is right here.
    pub reason: String,
}

/// Variables by name. A proxy's URL may hold a password, so that no value is ever printed.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Environment(pub BTreeMap<String, String>);

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl KubeadmSettings {
    /// What makes kubeadm less careful, one line each, with the reason.
    #[must_use]
    pub fn weakened(&self) -> Vec<String> {
        let ignored = self
            .ignore_preflight_errors
            .iter()
            .map(|it| format!("kubeadm ignores the preflight error {}: {}", it.name, it.reason.trim()));
        let skipped = self
            .skip_phases
            .iter()
            .map(|it| format!("kubeadm leaves out the phase {}: {}", it.name, it.reason.trim()));
        ignored.chain(skipped).collect()
    }

    /// All of it in lines for people, what makes kubeadm less careful first.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let mut lines = self.weakened();
        lines.extend(self.patches_directory.iter().map(|path| format!("kubeadm takes patches from {path}")));
        if !self.extra_images.is_empty() {
            lines.push(format!("fetched ahead on every node: {}", self.extra_images.join(", ")));
        }
        if !self.environment.0.is_empty() {
            let names: Vec<&str> = self.environment.0.keys().map(String::as_str).collect();
            lines.push(format!("kubeadm is started with {}", names.join(", ")));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A site that uses all of it.
    pub(super) const SITE: &str = "
patchesDirectory: /etc/kubernetes/patches
ignorePreflightErrors: [{name: SystemVerification, reason: cgroup v1 until spring}]
skipPhases: [{name: addon/coredns, reason: we have our own}, {name: bootstrap-token, reason: its rules are ours}]
extraImages: ['registry.example:5000/tools/agent:v1.2']
environment: {HTTPS_PROXY: 'http://proxy:hunter2@proxy.example:3128', NO_PROXY: .example}
";

    pub(super) fn site() -> KubeadmSettings {
        crate::words::yaml::read(SITE).unwrap()
    }

    #[test]
    fn people_are_shown_all_of_it_with_reasons_and_without_secrets() {
        let told = site().describe();
        assert_eq!(
            told,
            [
                "kubeadm ignores the preflight error SystemVerification: cgroup v1 until spring",
                "kubeadm leaves out the phase addon/coredns: we have our own",
                "kubeadm leaves out the phase bootstrap-token: its rules are ours",
                "kubeadm takes patches from /etc/kubernetes/patches",
                "fetched ahead on every node: registry.example:5000/tools/agent:v1.2",
                "kubeadm is started with HTTPS_PROXY, NO_PROXY",
            ]
        );
        assert!(!format!("{:?}", site()).contains("hunter2"), "{:?}", site());
        assert_eq!(KubeadmSettings::default().describe(), [""; 0]);
    }

    #[test]
    fn what_weakens_something_must_say_why() {
        for text in [
            "ignorePreflightErrors: [{name: Swap}]",
            "skipPhases: [{name: addon}]",
            "ignorePreflightErrors: [Swap]",
            "patches: /etc/kubernetes/patches",
        ] {
            assert!(crate::words::yaml::read::<KubeadmSettings>(text).is_err(), "{text}");
        }
    }
}
