//! What can never be meant, told when the file is read.

use std::collections::BTreeSet;

use super::{Exception, KubeadmSettings};

/// The longest path of a directory on a node.
const PATH_LENGTH_MAX: usize = 255;
/// How many errors may be ignored: whoever ignores more than these does not ask kubeadm any more.
const ERRORS_MAX: usize = 10;
/// How many phases may be left out.
const PHASES_MAX: usize = 5;
/// How many images may be fetched ahead.
const IMAGES_MAX: usize = 50;
/// How many variables may be set.
const VARIABLES_MAX: usize = 20;
/// The longest name of anything.
const NAME_LENGTH_MAX: usize = 100;
/// The longest reason: one that people read.
const REASON_LENGTH_MAX: usize = 200;
/// The longest path and image.
const TEXT_LENGTH_MAX: usize = 255;
/// The longest value of a variable: a list of what no proxy is asked for may be long.
const VALUE_LENGTH_MAX: usize = 4_096;

/// A setting of kubeadm that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct KubeadmSettingsError {
    /// The field, as it is written in the file.
    pub field: &'static str,
    /// What is wrong with it and what would be right. It shows no value of a variable.
    pub why: String,
}

impl KubeadmSettings {
    /// Looks at every field.
    ///
    /// # Errors
    /// A field has a value that cannot be meant, or that would take away what an upgrade rests on.
    pub fn validate(&self) -> Result<(), KubeadmSettingsError> {
        let Self { patches_directory, ignore_preflight_errors, skip_phases, extra_images, environment } =
            self;
        if let Some(path) = patches_directory {
            directory(path).map_err(about("kubeadm.patchesDirectory"))?;
        }
        exceptions(ignore_preflight_errors, ERRORS_MAX, error_name)
            .map_err(about("kubeadm.ignorePreflightErrors"))?;
        exceptions(skip_phases, PHASES_MAX, phase_name).map_err(about("kubeadm.skipPhases"))?;
        let images = || {
            at_most(extra_images.len(), IMAGES_MAX)?;
            extra_images.iter().try_for_each(|image| image_name(image))
        };
        images().map_err(about("kubeadm.extraImages"))?;
        let variables = || {
            at_most(environment.0.len(), VARIABLES_MAX)?;
            environment.0.iter().try_for_each(|(name, value)| variable(name, value))
        };
        variables().map_err(about("kubeadm.environment"))
    }
}

fn about(field: &'static str) -> impl Fn(String) -> KubeadmSettingsError {
    move |why| KubeadmSettingsError { field, why }
}

fn at_most(found: usize, allowed: usize) -> Result<(), String> {
    if found <= allowed { Ok(()) } else { Err(format!("{found} entries, at most {allowed} are taken")) }
}

fn directory(path: &str) -> Result<(), String> {
    if is_directory_path(path) {
        Ok(())
    } else {
        Err(format!("{path:?} is not an absolute path such as /etc/kubernetes/patches"))
    }
}

fn exceptions(
    all: &[Exception],
    allowed: usize,
    name_of: fn(&str) -> Result<(), String>,
) -> Result<(), String> {
    at_most(all.len(), allowed)?;
    let mut seen = BTreeSet::new();
    for Exception { name, reason } in all {
        name_of(name)?;
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(format!("{name} stands there twice"));
        }
        if reason.trim().is_empty() || reason.contains(char::is_control) {
            return Err(format!("the reason of {name} is not one line of text; say why it is right here"));
        }
        if reason.chars().count() > REASON_LENGTH_MAX {
            return Err(format!("the reason of {name} has more than {REASON_LENGTH_MAX} characters"));
        }
    }
    Ok(())
}

fn is_name(name: &str, others: &[char]) -> bool {
    name.len() <= NAME_LENGTH_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(&c))
}

fn error_name(name: &str) -> Result<(), String> {
    if name.eq_ignore_ascii_case("all") {
        // Nobody can give a reason for an error that nobody has seen.
        return Err("\"all\" is not taken; name each error that kubeadm shows".to_owned());
    }
    if is_name(name, &['-', '_', '.']) {
        Ok(())
    } else {
        Err(format!("{name:?} is not the name of a check such as SystemVerification"))
    }
}

/// The phases that an upgrade does without: each node is upgraded all the same, and somebody else looks after the rest.
/// Any other takes away what the run rests on: the checks, what a node is made of, or the version that the next node reads.
fn phase_name(name: &str) -> Result<(), String> {
    let is_addon = name == "addon"
        || name.strip_prefix("addon/").is_some_and(|part| is_name(part, &['-']) && part != "all");
    if is_addon || name == "bootstrap-token" {
        Ok(())
    } else {
        Err(format!(
            "{name:?} cannot be left out; addon, addon/coredns, addon/kube-proxy and bootstrap-token can"
        ))
    }
}

fn image_name(image: &str) -> Result<(), String> {
    let place = image.split('@').next().unwrap_or_default();
    let has_tag = place.rsplit('/').next().is_some_and(|last| last.contains(':'));
    let has_version = has_tag || image.contains("@sha256:");
    let is_one = image.len() <= TEXT_LENGTH_MAX
        && image.starts_with(|c: char| c.is_ascii_alphanumeric())
        && image.chars().all(|c| c.is_ascii_alphanumeric() || ['.', '_', '/', ':', '@', '-'].contains(&c));
    if is_one && has_version {
        Ok(())
    } else {
        Err(format!("{image:?} is not an image with its tag or digest, such as registry.example/agent:v1.2"))
    }
}

/// Variables that decide what kubeadm is, which cluster it talks to, or where it writes, and those that a shell keeps to
/// itself.
fn is_reserved(name: &str) -> bool {
    ["PATH", "HOME", "KUBECONFIG", "SHELLOPTS", "UID", "EUID", "PPID"].contains(&name)
        || ["LD_", "KUBEADM_", "BASH"].iter().any(|start| name.starts_with(start))
}

/// Whether nothing of a password is left where the value is shown with those of its URLs blotted out.
fn can_be_hidden(value: &str) -> bool {
    let is_one_url = || {
        let (scheme, rest) = value.split_once("://")?;
        let (user, host) = rest.rsplit_once('@')?;
        let is_found = !user.contains(|c: char| c.is_whitespace() || ['"', '\'', ','].contains(&c));
        Some(is_found && !scheme.contains('@') && !user.contains("://") && !host.contains("://"))
    };
    !value.contains('@') || is_one_url() == Some(true)
}

fn variable(name: &str, value: &str) -> Result<(), String> {
    let is_one = name.len() <= NAME_LENGTH_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_one {
        return Err(format!("{name:?} is not the name of a variable such as HTTPS_PROXY"));
    }
    if is_reserved(name) {
        return Err(format!("{name} cannot be set: it decides which kubeadm runs, and on what"));
    }
    if name.to_ascii_lowercase().ends_with("_proxy") && !can_be_hidden(value) {
        return Err(format!(
            "the value of {name} has a password that could not be kept out of what kubeadm prints: write it as \
             scheme://user:password@host, with what is no letter or digit in the password percent-encoded"
        ));
    }
    if value.is_empty() || value.len() > VALUE_LENGTH_MAX || value.contains(char::is_control) {
        return Err(format!("the value of {name} is not one line of 1 to {VALUE_LENGTH_MAX} bytes"));
    }
    Ok(())
}

/// Whether this can be the path of a directory on a node: absolute, one line, and without a way back.
#[must_use]
pub fn is_directory_path(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(1).filter(|part| !part.is_empty()).collect();
    path.starts_with('/')
        && !parts.is_empty()
        && parts.iter().all(|part| ![".", ".."].contains(part))
        && path.len() <= PATH_LENGTH_MAX
        && !path.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SITE, site};
    use super::*;

    #[test]
    fn a_site_that_uses_all_of_it_and_one_that_uses_nothing_are_good() {
        assert_eq!(site().validate(), Ok(()));
        assert_eq!(KubeadmSettings::default().validate(), Ok(()));
        for name in ["addon", "addon/coredns", "addon/kube-proxy", "bootstrap-token"] {
            assert_eq!(phase_name(name), Ok(()), "{name}");
        }
        for name in ["Swap", "Port-10250", "FileContent--proc-sys-net-ipv4-ip_forward", "CoreDNSMigration"] {
            assert_eq!(error_name(name), Ok(()), "{name}");
        }
        let digest = format!("registry.example/agent@sha256:{}", "a".repeat(64));
        for image in ["agent:v1", "registry.example:5000/a/b:1.2-3", &digest] {
            assert_eq!(image_name(image), Ok(()), "{image}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_told_with_its_field() {
        let long = "x".repeat(5_000);
        let many = |entry: &str, count: usize| {
            (0..count).map(|n| entry.replace('N', &n.to_string())).collect::<Vec<_>>().join(", ")
        };
        let cases = [
            ("/etc/kubernetes/patches", "patches".to_owned(), "patchesDirectory"),
            ("/etc/kubernetes/patches", "/".to_owned(), "patchesDirectory"),
            ("/etc/kubernetes/patches", "/etc/../root".to_owned(), "patchesDirectory"),
            ("/etc/kubernetes/patches", format!("/{long}"), "patchesDirectory"),
            ("SystemVerification", "all".to_owned(), "ignorePreflightErrors"),
            ("SystemVerification", "ALL".to_owned(), "ignorePreflightErrors"),
            ("SystemVerification", "Swap Mem".to_owned(), "ignorePreflightErrors"),
            ("SystemVerification", "'Swap,Mem'".to_owned(), "ignorePreflightErrors"),
            ("SystemVerification", "'$(id)'".to_owned(), "ignorePreflightErrors"),
            ("cgroup v1 until spring", "' '".to_owned(), "ignorePreflightErrors"),
            ("cgroup v1 until spring", long.clone(), "ignorePreflightErrors"),
            ("cgroup v1 until spring", "\"two\\nlines\"".to_owned(), "ignorePreflightErrors"),
            (
                "[{name: SystemVerification",
                "[{name: systemverification, reason: x}, {name: SystemVerification".to_owned(),
                "ignorePreflightErrors",
            ),
            (
                "[{name: SystemVerification",
                format!("[{}, {{name: S", many("{name: EN, reason: x}", 10)),
                "ignorePreflightErrors",
            ),
            ("addon/coredns", "control-plane".to_owned(), "skipPhases"),
            ("addon/coredns", "kubelet-config".to_owned(), "skipPhases"),
            ("addon/coredns", "upload-config/kubeadm".to_owned(), "skipPhases"),
            ("addon/coredns", "preflight".to_owned(), "skipPhases"),
            ("addon/coredns", "addon/all".to_owned(), "skipPhases"),
            ("addon/coredns", "addon/".to_owned(), "skipPhases"),
            ("addon/coredns", "bootstrap-token".to_owned(), "skipPhases"),
            ("we have our own", "''".to_owned(), "skipPhases"),
            ("agent:v1.2", "agent".to_owned(), "extraImages"),
            ("agent:v1.2", "agent:v1 --all".to_owned(), "extraImages"),
            ("registry.example:5000/tools/agent:v1.2", "--help:v1".to_owned(), "extraImages"),
            ("'registry.example:5000/tools/agent:v1.2'", many("'a:vN'", 51), "extraImages"),
            ("HTTPS_PROXY", "HTTPS-PROXY".to_owned(), "environment"),
            ("HTTPS_PROXY", "PATH".to_owned(), "environment"),
            ("HTTPS_PROXY", "UID".to_owned(), "environment"),
            ("http://proxy:hunter2@", "proxy:hunter2@".to_owned(), "environment"),
            ("http://proxy:hunter2@", "http://proxy:hun,ter2@".to_owned(), "environment"),
            ("http://proxy:hunter2@", "http://proxy:hun://ter2@".to_owned(), "environment"),
            ("http://proxy:hunter2@", "proxy:hunter2@x://a@".to_owned(), "environment"),
            ("http://proxy:hunter2@", "http://proxy:hun''ter2@".to_owned(), "environment"),
            ("HTTPS_PROXY", "LD_PRELOAD".to_owned(), "environment"),
            ("HTTPS_PROXY", "KUBEADM_UPGRADE_DRYRUN_DIR".to_owned(), "environment"),
            ("HTTPS_PROXY", "KUBECONFIG".to_owned(), "environment"),
            ("'http://proxy:hunter2@proxy.example:3128'", "\"a\\tb\"".to_owned(), "environment"),
            ("'http://proxy:hunter2@proxy.example:3128'", format!("hunter2{long}"), "environment"),
            ("'http://proxy:hunter2@proxy.example:3128'", "''".to_owned(), "environment"),
        ];
        for (from, to, field) in cases {
            assert!(SITE.contains(from), "{from}");
            let settings: KubeadmSettings = crate::words::yaml::read(&SITE.replace(from, &to)).unwrap();
            let error = settings.validate().unwrap_err();
            assert_eq!(error.field, format!("kubeadm.{field}"), "{to}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
