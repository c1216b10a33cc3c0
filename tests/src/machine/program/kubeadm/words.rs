//! What kubeadm is called with: flags as it takes them, and its UpgradeConfiguration.

use std::path::Path;

use lockkeeper_rules::words::version::{Minor, Version};
use lockkeeper_rules::words::yaml;
use serde::{Deserialize, Serialize};

use crate::machine::folder::Folder;

/// Flags that have a value, and those that have none.
const WITH_VALUE: [&str; 5] = ["config", "ignore-preflight-errors", "kubeconfig", "patches", "skip-phases"];
const WITHOUT_VALUE: [&str; 4] = ["dry-run", "yes", "short", "help"];
/// What may stand beside `--config`.
const BESIDE_CONFIG: [&str; 5] = ["config", "ignore-preflight-errors", "dry-run", "kubeconfig", "yes"];
/// The first minor whose `upgrade apply` has phases.
const PHASES_FROM: Minor = Minor { major: 1, minor: 32 };

const NODE_PHASES: [&str; 8] = [
    "preflight",
    "control-plane",
    "kubeconfig",
    "kubelet-config",
    "addon",
    "addon/coredns",
    "addon/kube-proxy",
    "post-upgrade",
];
const APPLY_PHASES: [&str; 4] =
    ["upload-config", "upload-config/kubeadm", "upload-config/kubelet", "bootstrap-token"];

/// What one call of `kubeadm upgrade` is given, as kubeadm understands it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Invocation {
    /// `plan`, `apply`, `node` or `diff`.
    pub command: String,
    /// The version that it is called with.
    pub version: Option<String>,
    /// `--dry-run`.
    pub dry_run: bool,
    /// The one phase that it is called for.
    pub phase: Option<String>,
    /// It was told in a file.
    pub by_file: bool,
    /// The errors of its preflight that it ignores.
    pub ignored: Vec<String>,
    /// The phases that it leaves out.
    pub skipped: Vec<String>,
    /// The folder of its patches.
    pub patches: Option<String>,
    /// The proxies of its environment.
    pub proxies: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct Configuration {
    api_version: String,
    kind: String,
    apply: Section,
    node: Section,
    plan: Section,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct Section {
    ignore_preflight_errors: Vec<String>,
    skip_phases: Vec<String>,
    patches: Option<Patches>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Patches {
    directory: String,
}

struct Flags(Vec<(String, String)>);

impl Flags {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(flag, _)| flag == name).map(|(_, value)| value.as_str())
    }

    fn list(&self, name: &str) -> Vec<String> {
        let values = self.get(name).into_iter().flat_map(|value| value.split(','));
        values.filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }
}

/// Splits a command line into its operands and flags, as pflag does.
fn split<'a>(arguments: &[&'a str]) -> Result<(Vec<&'a str>, Flags), String> {
    let (mut operands, mut flags) = (Vec::new(), Vec::new());
    let mut rest = arguments.iter();
    while let Some(&word) = rest.next() {
        let flag = match word {
            "-y" => "yes",
            "-o" => {
                let _format = rest.next();
                continue;
            }
            _ => match word.strip_prefix("--") {
                Some(flag) => flag,
                None => {
                    operands.push(word);
                    continue;
                }
            },
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None if WITH_VALUE.contains(&flag) => {
                let value = rest.next().ok_or_else(|| format!("flag needs an argument: --{flag}"))?;
                (flag, (*value).to_owned())
            }
            None => (flag, String::new()),
        };
        if !WITH_VALUE.contains(&name) && !WITHOUT_VALUE.contains(&name) {
            return Err(format!("unknown flag: --{name}"));
        }
        flags.push((name.to_owned(), value));
    }
    Ok((operands, Flags(flags)))
}

/// The operands of a command line.
pub(super) fn operands<'a>(arguments: &[&'a str]) -> Result<Vec<&'a str>, String> {
    split(arguments).map(|(operands, _)| operands)
}

impl Invocation {
    /// Reads what `kubeadm upgrade` is called with, and refuses what kubeadm of this version refuses.
    pub(super) fn read(own: &Version, arguments: &[&str]) -> Result<Self, String> {
        let (operands, flags) = split(arguments)?;
        let rest = &operands[1..];
        let command = rest.first().copied().unwrap_or_default().to_owned();
        let (phase, version) = match rest {
            [_, "phase", phase] => (Some((*phase).to_owned()), None),
            [_, "phase", phase, version] => (Some((*phase).to_owned()), Some((*version).to_owned())),
            [_, version] => (None, Some((*version).to_owned())),
            _ => (None, None),
        };
        let has_phases = command == "node" || (command == "apply" && own.minor() >= PHASES_FROM);
        if (phase.is_some() || flags.get("skip-phases").is_some()) && !has_phases {
            return Err("unknown flag: --skip-phases".to_owned());
        }
        let section = match flags.get("config") {
            None => Section::default(),
            Some(path) => {
                let mixed: Vec<&str> = flags
                    .0
                    .iter()
                    .map(|(flag, _)| flag.as_str())
                    .filter(|flag| !BESIDE_CONFIG.contains(flag) && !flag.starts_with("skip-"))
                    .collect();
                if !mixed.is_empty() {
                    return Err(format!("can not mix '--config' with arguments {mixed:?}"));
                }
                section(path, &command)?
            }
        };
        let or = |flag: Vec<String>, file: Vec<String>| if flag.is_empty() { file } else { flag };
        let mut ignored = flags.list("ignore-preflight-errors");
        ignored.extend(section.ignore_preflight_errors);
        let directory = section.patches.map(|patches| patches.directory);
        let invocation = Self {
            dry_run: flags.get("dry-run").is_some(),
            by_file: flags.get("config").is_some(),
            ignored,
            skipped: or(flags.list("skip-phases"), section.skip_phases),
            patches: flags.get("patches").map(str::to_owned).or(directory),
            proxies: proxies(),
            command,
            version,
            phase,
        };
        invocation.has_known_phases()?;
        match &invocation.patches {
            Some(path) if !Path::new(path).is_dir() => Err(format!("stat {path}: no such file or directory")),
            Some(_) | None => Ok(invocation),
        }
    }

    fn has_known_phases(&self) -> Result<(), String> {
        let is_known = |name: &&String| {
            NODE_PHASES.contains(&name.as_str())
                || (self.command == "apply" && APPLY_PHASES.contains(&name.as_str()))
        };
        match self.skipped.iter().chain(&self.phase).find(|name| !is_known(name)) {
            Some(name) => Err(format!("invalid phase name: {name}")),
            None => Ok(()),
        }
    }

    /// Whether a phase is carried out.
    pub(super) fn does(&self, phase: &str) -> bool {
        let is_left_out = self.skipped.iter().any(|it| it == phase || phase.starts_with(&format!("{it}/")));
        !is_left_out && self.phase.as_ref().is_none_or(|it| it == phase)
    }

    /// The error that this machine's preflight finds, unless it is ignored.
    pub(super) fn preflight_error(&self, folder: &Folder) -> Option<String> {
        let name = folder.read("preflight-error")?;
        let is_ignored = self.ignored.iter().any(|it| it.eq_ignore_ascii_case(&name));
        if is_ignored || !self.does("preflight") {
            println!("\t[WARNING {name}]: as ordered by the test");
            return None;
        }
        Some(format!(
            "[preflight] Some fatal errors occurred:\n\t[ERROR {name}]: as ordered by the test\n[preflight] If you \
             know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`"
        ))
    }
}

fn section(path: &str, command: &str) -> Result<Section, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("unable to read config from {path:?}: {error}"))?;
    let read: Configuration =
        yaml::read(&text).map_err(|error| format!("error unmarshaling configuration: {error}"))?;
    if (read.api_version.as_str(), read.kind.as_str()) != ("kubeadm.k8s.io/v1beta4", "UpgradeConfiguration") {
        return Err(format!("no UpgradeConfiguration found in config file {path:?}"));
    }
    Ok(match command {
        "apply" => read.apply,
        "node" => read.node,
        "plan" => read.plan,
        _ => Section::default(),
    })
}

/// Every variable that kubeadm would write into a manifest, sorted.
fn proxies() -> Vec<String> {
    let mut found: Vec<String> = std::env::vars()
        .filter(|(name, value)| name.to_lowercase().ends_with("_proxy") && !value.is_empty())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    found.sort();
    found
}
