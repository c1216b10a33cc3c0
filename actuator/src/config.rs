//! The configuration file: read raw, refused whole if anything in it is not what it should be.

use std::path::{Path, PathBuf};

use lockkeeper_exporter::client::backend::BackendConfig;
use lockkeeper_exporter::client::shown::shown_url;
use lockkeeper_exporter::read::matrix::MatrixConfig;
use lockkeeper_exporter::read::packages::{PackagesConfig, PackagesError, Repository};
use lockkeeper_exporter::server::web_config::Security;
use lockkeeper_exporter::telemetry::chain;
use lockkeeper_rules::driver::kubeadm::is_directory_path;
use lockkeeper_rules::driver::kubeadm::node_script::EtcdAccess;
use lockkeeper_rules::driver::kubeadm::{KubeadmSettings, KubeadmSettingsError};
use lockkeeper_rules::settings::{Settings, SettingsError, validate_packages_interval};
use lockkeeper_rules::words::yaml;
use serde::Deserialize;

/// The file, with every file that it names looked at.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Who we are in the Lease, before the random digits of this process; the host name if nothing is said.
    #[serde(default)]
    pub identity: Option<String>,
    /// Every Prometheus that must agree.
    pub prometheus: BackendConfig,
    /// Every Alertmanager that must agree.
    pub alertmanager: BackendConfig,
    /// The webhook's listener.
    pub webhook: Webhook,
    /// The listener of our own metrics.
    pub metrics: Listener,
    /// The listener of probes, which answers nothing else.
    #[serde(default)]
    pub probes: Probes,
    /// How nodes are reached.
    pub ssh: Ssh,
    /// How etcd is reached on a control-plane node.
    #[serde(default)]
    pub etcd: EtcdAccess,
    /// What kubeadm is told besides the version.
    #[serde(default)]
    pub kubeadm: KubeadmSettings,
    /// Where packages come from.
    pub packages: PackagesConfig,
    /// A file for one JSON line for each check and command, of 32 MiB at most, with the one before it beside it as `….1`;
    /// only the log has them if nothing is said.
    #[serde(default)]
    pub decision_log: Option<PathBuf>,
    /// Facts about versions, laid over the built-in ones.
    #[serde(default)]
    pub matrix: MatrixConfig,
    /// The thresholds.
    #[serde(default)]
    pub settings: Settings,
}

/// The webhook's listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Such as :9443.
    pub listen_address: String,
    /// TLS and client certificates.
    #[serde(default)]
    pub web_config_file: Option<PathBuf>,
    /// The bearer token that a caller must show.
    pub token_file: PathBuf,
}

/// A listener without a secret of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// Such as :19441.
    pub listen_address: String,
    /// TLS and basic auth.
    #[serde(default)]
    pub web_config_file: Option<PathBuf>,
}

/// The listener of probes: without TLS, so that whoever fills the others keeps no kubelet out.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Probes {
    /// Such as :19443.
    pub listen_address: String,
}

impl Default for Probes {
    fn default() -> Self {
        Self { listen_address: ":19443".to_owned() }
    }
}

/// How nodes are reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ssh {
    /// The user; any but root needs sudo without a password.
    #[serde(default = "root")]
    pub user: String,
    /// The port.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// The private key.
    pub key_file: PathBuf,
    /// The host keys of every node; a node without one is not reached.
    pub known_hosts_file: PathBuf,
    /// Where control sockets lie; a short path, because socket names are limited.
    #[serde(default)]
    pub control_directory: Option<PathBuf>,
}

fn root() -> String {
    "root".to_owned()
}

fn ssh_port() -> u16 {
    22
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}; check --config.file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{}: {why}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why, with the field; a part of the message, and so no source of its own.
        why: yaml::YamlError,
    },
    /// The package repository cannot be where it is said to be.
    #[error(transparent)]
    Packages(#[from] PackagesError),
    /// A threshold cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// What kubeadm is told cannot be meant.
    #[error(transparent)]
    Kubeadm(#[from] KubeadmSettingsError),
    /// The list of the files of facts cannot be meant.
    #[error("{0}")]
    Matrix(String),
    /// A field has a value that cannot be used.
    #[error("{field}: {why}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it and what would be right.
        why: String,
    },
}

impl Config {
    /// Reads the file and looks at every file that it names.
    ///
    /// # Errors
    /// The file or a file that it names cannot be read, has an unknown key, or a value that cannot be used.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Self =
            yaml::read(&text).map_err(|why| ConfigError::Parse { path: path.to_owned(), why })?;
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        // No list is closed for ever, and says so at the first step; a wrong entry is a mistake to be told now.
        for (field, backends) in
            [("prometheus.urls", &self.prometheus), ("alertmanager.urls", &self.alertmanager)]
        {
            for url in &backends.urls {
                http_url(field, url)?;
            }
        }
        Repository::new(&self.packages.url)?;
        validate_packages_interval(self.packages.interval_seconds)?;
        self.matrix.validate().map_err(ConfigError::Matrix)?;
        self.settings.validate()?;
        self.kubeadm.validate()?;
        if let Some(path) = self.etcd.snapshot_directory.as_ref().filter(|path| !is_directory_path(path)) {
            let why = format!("{path:?} is not an absolute path such as /mnt/backup");
            return Err(ConfigError::Field { field: "etcd.snapshotDirectory", why });
        }
        readable("webhook.tokenFile", &self.webhook.token_file)?;
        readable("ssh.keyFile", &self.ssh.key_file)?;
        readable("ssh.knownHostsFile", &self.ssh.known_hosts_file)?;
        if let Some(file) = &self.prometheus.token_file {
            readable("prometheus.tokenFile", file)?;
        }
        if let Some(file) = &self.alertmanager.token_file {
            readable("alertmanager.tokenFile", file)?;
        }
        web_config("webhook.webConfigFile", self.webhook.web_config_file.as_deref())?;
        web_config("metrics.webConfigFile", self.metrics.web_config_file.as_deref())?;
        Ok(())
    }
}

fn http_url(field: &'static str, text: &str) -> Result<(), ConfigError> {
    let is_http = text.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|h| !h.is_empty())
    });
    if is_http {
        return Ok(());
    }
    let why = format!("{:?} is not a URL such as http://prometheus:9090", shown_url(text));
    Err(ConfigError::Field { field, why })
}

fn web_config(field: &'static str, path: Option<&Path>) -> Result<(), ConfigError> {
    match Security::load(path) {
        Ok(_usable) => Ok(()),
        Err(error) => Err(ConfigError::Field { field, why: chain(&error) }),
    }
}

fn readable(field: &'static str, path: &Path) -> Result<(), ConfigError> {
    match std::fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(ConfigError::Field { field, why: format!("{} is not a file", path.display()) }),
        Err(error) => {
            let why = format!("cannot read {}: {error}; check path and rights", path.display());
            Err(ConfigError::Field { field, why })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
prometheus: {urls: ['http://127.0.0.1:9090']}
alertmanager: {urls: ['http://127.0.0.1:9093']}
webhook: {listenAddress: ':9443', tokenFile: /dev/null}
metrics: {listenAddress: ':19441'}
ssh: {keyFile: /dev/null, knownHostsFile: /dev/null}
packages: {url: 'http://127.0.0.1/v{minor}/Packages'}
";

    fn parse(text: &str) -> Result<Config, String> {
        yaml::read(text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_has_kubeadms_defaults() {
        let config = parse(GOOD).unwrap();
        assert_eq!(config.ssh.port, 22);
        assert_eq!(config.etcd.endpoints, "https://127.0.0.1:2379");
        assert_eq!(config.settings, Settings::default());
        assert_eq!(config.probes.listen_address, ":19443");
    }

    #[test]
    fn a_mistake_is_named_with_its_field() {
        for (from, to, named) in [
            ("metrics:", "metrix: 1\nmetrics:", "metrix"),
            ("listenAddress: ':19441'", "listenAddress: ':19441', tls: true", "tls"),
            ("urls: ['http://127.0.0.1:9090']", "urls: http://127.0.0.1:9090", "urls"),
            ("keyFile: /dev/null, ", "", "keyFile"),
            ("keyFile: /dev/null", "keyFile: /dev/null, port: many", "ssh.port"),
            ("metrics:", "settings: {soakSeconds: -1}\nmetrics:", "soakSeconds"),
            ("metrics:", "settings: {soakSecond: 1}\nmetrics:", "soakSecond"),
            ("metrics:", "kubeadm: {skipPhases: [{name: addon}]}\nmetrics:", "kubeadm.skipPhases"),
        ] {
            let error = parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(error.contains(named), "{named} in {error}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_used_is_named_with_its_field() {
        lockkeeper_exporter::client::kubernetes::install_tls_provider();
        for (from, to, named) in [
            ("'http://127.0.0.1:9090'", "'prometheus:9090'", "prometheus.urls"),
            ("'http://127.0.0.1:9093'", "''", "alertmanager.urls"),
            ("'http://127.0.0.1:9093'", "'ftp://reader:hunter2@alertmanager'", "alertmanager.urls"),
            ("/v{minor}/", "/v1.36/", "packages.url"),
            ("tokenFile: /dev/null", "tokenFile: /nowhere/token", "webhook.tokenFile"),
            ("keyFile: /dev/null", "keyFile: /", "ssh.keyFile"),
            ("metrics:", "matrix: {files: [a, a]}\nmetrics:", "matrix.files"),
            ("metrics:", "etcd: {snapshotDirectory: backup}\nmetrics:", "etcd.snapshotDirectory"),
            (
                "metrics:",
                "kubeadm: {environment: {KUBECONFIG: 'http://u:hunter2@p'}}\nmetrics:",
                "kubeadm.environment",
            ),
            ("metrics:", "settings: {checkSecondsMax: 3600}\nmetrics:", "settings.checkSecondsMax is 3600"),
        ] {
            let text = GOOD.replace("/dev/null", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
            let (from, to) =
                (from.replace("/dev/null", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")), to);
            let error = parse(&text.replace(&from, to)).unwrap().validate().unwrap_err().to_string();
            assert!(error.starts_with(named), "{named} in {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
