//! The manifests of the static pods: as kubeadm was recorded to write them, and what differs.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use lockkeeper_rules::words::version::Version;

use super::recorded::{Kubeadms, on_machine};
use super::words::Invocation;
use crate::machine::folder::Folder;
use crate::recorded::root;

/// The components that kubeadm compares.
pub(in crate::machine) const COMPONENTS: [&str; 3] =
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
/// The folder of the static pods on a node.
pub(super) const FOLDER: &str = "/etc/kubernetes/manifests";

/// A manifest as the kubeadm of this version writes it for itself: one that still knows it mounts an old folder.
///
/// # Panics
/// No kubeadm of its minor was recorded.
#[must_use]
pub fn manifest(component: &str, tag: &str, mounts_old_folder: bool, proxies: &[String]) -> String {
    let written = write_down(&Kubeadms::below(root()), component, tag, mounts_old_folder, proxies);
    written.unwrap_or_else(|error| panic!("{error:#}"))
}

/// The recorded manifest with what is a test's own put into it.
fn write_down(
    kubeadms: &Kubeadms,
    component: &str,
    tag: &str,
    mounts_old_folder: bool,
    proxies: &[String],
) -> Result<String> {
    let version: Version = tag.parse()?;
    let mut text = String::new();
    for line in kubeadms.manifest(component, version.minor())?.lines() {
        if let Some(image) = line.strip_prefix("    image: ") {
            for (number, proxy) in proxies.iter().enumerate() {
                let (name, value) = proxy.split_once('=').unwrap_or((proxy, ""));
                let head = if number == 0 { "    env:\n" } else { "" };
                text.push_str(&format!("{head}    - name: {name}\n      value: {value}\n"));
            }
            let name = image.rsplit_once(':').map_or(image, |(name, _)| name);
            text.push_str(&format!("    image: {name}:{tag}\n"));
            continue;
        }
        text.push_str(&format!("{line}\n"));
        if line == "    volumeMounts:" && component == "kube-controller-manager" && mounts_old_folder {
            text.push_str("    - mountPath: /usr/libexec/old\n      name: old\n");
        }
    }
    Ok(text)
}

/// What a kubeadm of this version writes, with what it was given. A version in `old-folder-until` is the first one whose
/// kubeadm does not know the old folder any more: a default that changes by itself.
pub(super) fn generate(
    folder: &Folder,
    own: &Version,
    tag: &str,
    invocation: &Invocation,
) -> Result<Vec<(&'static str, String)>> {
    let kubeadms = Kubeadms::below(on_machine());
    let until = folder.read("old-folder-until").and_then(|text| text.parse::<Version>().ok());
    let mounts_old_folder = until.is_some_and(|until| *own < until);
    let written = |component: &'static str| {
        let mut text = write_down(&kubeadms, component, tag, mounts_old_folder, &invocation.proxies)?;
        // A patch of this kubeadm is a text that is added.
        let patch =
            invocation.patches.as_ref().map(|path| Path::new(path).join(format!("{component}+merge.yaml")));
        text.push_str(&patch.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default());
        Ok((component, text))
    };
    COMPONENTS.into_iter().map(written).collect()
}

/// Writes the manifests of a node.
pub(super) fn write(manifests: &[(&str, String)]) -> Result<()> {
    std::fs::create_dir_all(FOLDER)?;
    for (component, text) in manifests {
        std::fs::write(format!("{FOLDER}/{component}.yaml"), text)?;
    }
    Ok(())
}

/// `kubeadm upgrade diff`: what is there against what would be written. It takes no notice of patches.
pub(super) fn differences(
    folder: &Folder,
    own: &Version,
    tag: &str,
    invocation: &Invocation,
) -> Result<String> {
    let invocation = Invocation { patches: None, ..invocation.clone() };
    let mut text = String::new();
    for (component, new) in generate(folder, own, tag, &invocation)? {
        let old = format!("{FOLDER}/{component}.yaml");
        let scratch = format!("/tmp/{component}.{}", std::process::id());
        std::fs::write(&scratch, new)?;
        let labels = [format!("--label={old}"), "--label=new manifest".to_owned()];
        let output = Command::new("diff").arg("-U0").args(labels).args([&old, &scratch]).output();
        std::fs::remove_file(&scratch)?;
        text.push_str(&String::from_utf8_lossy(&output.context("diff")?.stdout));
    }
    Ok(text)
}
