//! What is sent to a node: the text of its scripts, and nothing that runs them.
//!
//! ```text
//!   launcher ──ssh, bash -s──▶ checks, writes <token>.sh, systemd-run ──▶ unit: lock, checks again, start on disk,
//!   reader   ──ssh, bash -s──▶ unit's state, the token's lines of the ledger      the work, exit on disk
//!   restorer ──ssh, bash -s──▶ lock, the source of packages that a prepare has switched as it was, what it did on disk
//!   survey   ──ssh, bash -s──▶ machine id, boot time, disk, ledger's sequence, the target's own kubeadm, the installed one
//! ```
//!
//! The programs are fixed texts; what differs is a head of assignments, each of a checked type and each quoted.
//! The commands that they use beside coreutils, awk, sed, grep and flock: systemctl (show, daemon-reload, restart),
//! systemd-run, apt-get, apt-cache, apt-mark, dpkg, dpkg-query, dpkg-deb, kubeadm, kubelet, kubectl, etcdctl with etcdutl
//! or crictl, crictl where more images are fetched ahead, and diff.

mod answer;

pub use answer::*;

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Deserialize;

use crate::driver::kubeadm::order::{
    LedgerOrder, NodeTarget, RestoreOrder, SurveyOrder, UnitKind, UnitOrder,
};
use crate::driver::kubeadm::{KubeadmSettings, Words};
use crate::reason::{Finding, Reason};
use crate::settings::Settings;
use crate::words::name::{RunUid, Token};
use crate::words::version::Version;

const COMMON: &str = include_str!("common.sh");
const LAUNCH: &str = include_str!("launch.sh");
const SUPERVISE: &str = include_str!("supervise.sh");
const PACKAGES: &str = include_str!("packages.sh");
const KUBEADM: &str = include_str!("kubeadm.sh");
const DISK: &str = include_str!("disk.sh");
const SNAPSHOT: &str = include_str!("snapshot.sh");
const PREPARE: &str = include_str!("prepare.sh");
const UPGRADE: &str = include_str!("upgrade.sh");
const RESTORE: &str = include_str!("restore.sh");
const READ: &str = include_str!("read.sh");
const SURVEY: &str = include_str!("survey.sh");

/// How long a unit waits for another one on the same node to let go of the lock.
const LOCK_SECONDS_MAX: u64 = 20;
/// How long each question to the target's own kubeadm may take.
const KUBEADM_SECONDS_MAX: u64 = 120;

/// What the scripts take from the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptSettings {
    /// In front of every path on the node: empty, but for tests in a folder.
    pub root: String,
    /// How long the work of a unit may take.
    pub unit_seconds_max: u64,
    /// What must stay free wherever an upgrade writes.
    pub disk_free_mib_min: u64,
    /// How long after its check a unit may be begun, by the node's clock: a script that was under way for longer comes
    /// without a check that is worth anything, and to a node that may have been given back.
    pub start_seconds_max: i64,
    /// How etcd is reached on a control-plane node.
    pub etcd: EtcdAccess,
    /// What kubeadm is told.
    pub kubeadm: KubeadmSettings,
}

/// How etcd is reached, by what lies on a control-plane node, and where its snapshots go: the section `etcd` of the
/// actuator's file. What is left out there is kubeadm's, and `null` means without TLS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EtcdAccess {
    /// Such as `https://127.0.0.1:2379`.
    pub endpoints: String,
    /// The CA's file; nothing without TLS.
    pub ca_file: Option<String>,
    /// The client certificate's file.
    pub cert_file: Option<String>,
    /// The file of its key.
    pub key_file: Option<String>,
    /// A directory on the node, such as a mount from elsewhere, that gets a copy of each snapshot.
    pub snapshot_directory: Option<String>,
}

impl Default for EtcdAccess {
    /// What kubeadm sets up.
    fn default() -> Self {
        let file = |name: &str| Some(format!("/etc/kubernetes/pki/etcd/{name}"));
        Self {
            endpoints: "https://127.0.0.1:2379".to_owned(),
            ca_file: file("ca.crt"),
            cert_file: file("healthcheck-client.crt"),
            key_file: file("healthcheck-client.key"),
            snapshot_directory: None,
        }
    }
}

impl ScriptSettings {
    /// The settings for real nodes.
    #[must_use]
    pub fn new(settings: &Settings, etcd: EtcdAccess, kubeadm: KubeadmSettings) -> Self {
        Self {
            root: String::new(),
            unit_seconds_max: settings.unit_seconds_max,
            disk_free_mib_min: settings.disk_free_mib_min,
            start_seconds_max: i64::try_from(settings.unit_begin_seconds_max()).unwrap_or(i64::MAX),
            etcd,
            kubeadm,
        }
    }
}

/// The name of the unit of a token.
#[must_use]
pub fn unit_name(token: &Token) -> String {
    format!("lockkeeper-{token}.service")
}

/// What is piped into `bash -s` on a node to start a unit. [`launch_answer`] reads what it prints.
///
/// # Errors
/// The token or the machine id is not of its form.
pub fn launcher(order: &UnitOrder, settings: &ScriptSettings) -> Result<String, Finding> {
    let UnitOrder { node, kind, token, target, generation, manifests, proof } = order;
    let mut head = Head::new(node, token, settings)?;
    head.set("generation", &generation.to_string());
    head.set("kind", kind_name(*kind));
    head.set("target", &target.bare());
    head.set("minor", &target.minor().to_string());
    head.set("checked_at", &proof.checked_at.to_string());
    head.set_not_after(proof.checked_at, settings);
    head.set("unit_seconds_max", &settings.unit_seconds_max.to_string());
    head.set("disk_free_mib_min", &settings.disk_free_mib_min.to_string());
    head.set("lock_seconds_max", &LOCK_SECONDS_MAX.to_string());
    let EtcdAccess { endpoints, ca_file, cert_file, key_file, snapshot_directory } = &settings.etcd;
    head.set("etcd_endpoints", endpoints);
    head.set("etcd_ca_file", ca_file.as_deref().unwrap_or_default());
    head.set("etcd_cert_file", cert_file.as_deref().unwrap_or_default());
    head.set("etcd_key_file", key_file.as_deref().unwrap_or_default());
    let snapshot_directory = snapshot_directory.as_ref().map(|path| format!("{}{path}", settings.root));
    head.set("snapshot_directory", &snapshot_directory.unwrap_or_default());
    head.set_kubeadm(settings, target);
    let looked_at = manifests.files.iter().map(|(component, sha256)| format!("{component} {sha256}"));
    head.set_list("manifests_looked_at", &looked_at.collect::<Vec<_>>());
    head.set("inputs_looked_at", manifests.inputs.as_deref().unwrap_or_default());
    head.set("manifests_of", &manifests.version.as_ref().map(ToString::to_string).unwrap_or_default());
    let head = head.text;
    // Every value has been looked at before; what no look has foreseen must still not become the launcher's own lines.
    if head.lines().any(|line| line == DELIMITER) {
        let detail = format!("a value has the line {DELIMITER}");
        return Err(Finding::new(Reason::StatusMalformed, node.name.0.clone(), detail));
    }
    let work = work(*kind);
    let unit = format!("{head}{COMMON}{SUPERVISE}{PACKAGES}{KUBEADM}{DISK}{work}\n\"${{1:-supervise}}\"\n");
    Ok(format!("{head}{COMMON}\nunit_script() {{\ncat <<'{DELIMITER}'\n{unit}{DELIMITER}\n}}\n\n{LAUNCH}"))
}

/// What is piped into `bash -s` on a node to give it its source of packages back. [`restore_answer`] reads what it prints.
///
/// # Errors
/// The token or the machine id is not of its form.
pub fn restorer(order: &RestoreOrder, settings: &ScriptSettings) -> Result<String, Finding> {
    let RestoreOrder { node, token, generation, at } = order;
    let mut head = Head::new(node, token, settings)?;
    head.set("generation", &generation.to_string());
    head.set_not_after(*at, settings);
    let head = head.text;
    Ok(format!("{head}{COMMON}{SUPERVISE}{PACKAGES}{KUBEADM}{PREPARE}{RESTORE}"))
}

/// What is piped into `bash -s` on a node to read its ledger. [`crate::driver::kubeadm::ledger::parse`] reads what it prints.
///
/// # Errors
/// The token or the machine id is not of its form.
pub fn reader(order: &LedgerOrder, settings: &ScriptSettings) -> Result<String, Finding> {
    let LedgerOrder { node, token } = order;
    let head = Head::new(node, token, settings)?.text;
    Ok(format!("{head}{COMMON}{READ}"))
}

/// What is piped into `bash -s` on a node to look at it. [`survey_answer`] reads what it prints.
///
/// # Errors
/// The run's uid or the machine id is not of its form.
pub fn survey(
    order: &SurveyOrder,
    node: &NodeTarget,
    run: &RunUid,
    settings: &ScriptSettings,
) -> Result<String, Finding> {
    let SurveyOrder { nodes: _, target, kubeadm_on, manifests_on, with_packages } = order;
    // A survey has no token; one that was never minted stands for the run.
    let stand_in = Token { run: run.clone(), sequence: 0, attempt: 0, nonce: "survey".to_owned() };
    let mut head = Head::new(node, &stand_in, settings)?;
    head.set("run", &run.0);
    head.set("target", &target.bare());
    head.set("minor", &target.minor().to_string());
    head.set("node_name", &node.name.0);
    head.set("with_kubeadm", if kubeadm_on.as_ref() == Some(&node.name) { "yes" } else { "no" });
    head.set("with_manifests", if manifests_on.contains(&node.name) { "yes" } else { "no" });
    head.set("with_packages", if *with_packages { "yes" } else { "no" });
    head.set("kubeadm_seconds_max", &KUBEADM_SECONDS_MAX.to_string());
    head.set_kubeadm(settings, target);
    let head = head.text;
    Ok(format!("{head}{COMMON}{PACKAGES}{KUBEADM}{DISK}{SURVEY}"))
}

/// How long the survey of a node may take: its questions to kubeadm, and the download before them.
#[must_use]
pub fn survey_seconds_max(order: &SurveyOrder, node: &NodeTarget) -> u64 {
    let of_target = if order.kubeadm_on.as_ref() == Some(&node.name) { KUBEADM_SECONDS_MAX * 4 } else { 0 };
    let of_installed = if order.manifests_on.contains(&node.name) { KUBEADM_SECONDS_MAX * 2 } else { 0 };
    let of_packages = if order.with_packages { 60 } else { 0 };
    30 + of_target + of_installed + of_packages
}

/// The end of the unit's script in the launcher. No line of a script and no value can be this one.
const DELIMITER: &str = "LOCKKEEPER_END_OF_UNIT";

/// The name of a kind of unit, in ledgers and logs.
#[must_use]
pub fn kind_name(kind: UnitKind) -> &'static str {
    match kind {
        UnitKind::Snapshot => "snapshot",
        UnitKind::Prepare => "prepare",
        UnitKind::UpgradeFirst => "upgrade-first",
        UnitKind::UpgradeNode => "upgrade-node",
    }
}

fn work(kind: UnitKind) -> &'static str {
    match kind {
        UnitKind::Snapshot => SNAPSHOT,
        UnitKind::Prepare => PREPARE,
        UnitKind::UpgradeFirst | UnitKind::UpgradeNode => UPGRADE,
    }
}

/// The assignments at the head of a script.
struct Head {
    text: String,
}

impl Head {
    fn new(node: &NodeTarget, token: &Token, settings: &ScriptSettings) -> Result<Self, Finding> {
        // A token is a file name and a unit name: one that was put together by hand is read again.
        if token.to_string().parse::<Token>().as_ref() != Ok(token) {
            return Err(Finding::new(
                Reason::StatusMalformed,
                node.name.0.clone(),
                "the token is not of its form",
            ));
        }
        let id = &node.machine_id;
        if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            let detail = format!("the node says {id:?}, which is no machine id");
            return Err(Finding::new(Reason::MachineIdMismatch, node.name.0.clone(), detail));
        }
        let mut head = Self { text: String::new() };
        head.set("root", &settings.root);
        head.set("machine_id", id);
        head.set("token", &token.to_string());
        head.set("run", &token.run.0);
        Ok(head)
    }

    fn set(&mut self, name: &str, value: &str) {
        writeln!(self.text, "{name}={}", quote(value)).expect("a String takes every text");
    }

    fn set_list(&mut self, name: &str, values: &[String]) {
        let words: Vec<String> = values.iter().map(|value| quote(value)).collect();
        writeln!(self.text, "{name}=({})", words.join(" ")).expect("a String takes every text");
    }

    /// Until when what was checked, or decided, at this time may be begun.
    fn set_not_after(&mut self, at: Timestamp, settings: &ScriptSettings) {
        self.set("not_after", &at.as_second().saturating_add(settings.start_seconds_max).to_string());
    }

    /// What the target's kubeadm is told.
    fn set_kubeadm(&mut self, settings: &ScriptSettings, target: &Version) {
        let ScriptSettings { root, kubeadm, .. } = settings;
        let Words { configuration, plan, apply, node } = Words::of(kubeadm, target.minor(), root);
        self.set("upgrade_configuration", configuration.as_deref().unwrap_or_default());
        self.set_list("plan_words", &plan);
        self.set_list("apply_words", &apply);
        self.set_list("node_words", &node);
        let patches = kubeadm.patches_directory.as_ref().map(|path| format!("{root}{path}"));
        self.set("patches_directory", &patches.unwrap_or_default());
        self.set_list("extra_images", &kubeadm.extra_images);
        let variables = kubeadm.environment.0.iter().map(|(name, value)| format!("{name}={value}"));
        self.set_list("environment", &variables.collect::<Vec<_>>());
    }
}

/// One shell word that is this text, whatever is in it.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
