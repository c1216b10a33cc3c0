//! The configuration file: read raw, refused whole if anything in it is not what it should be.

use std::path::{Path, PathBuf};

use lockkeeper_rules::settings::{Settings, validate_packages_interval};
use lockkeeper_rules::words::yaml;
use serde::Deserialize;

use crate::client::backend::BackendConfig;
use crate::read::matrix::MatrixConfig;
use crate::read::packages::{PackagesConfig, Repository};
use crate::read::polled_sources::POLLED_DEADLINE;
use crate::read::prometheus::Prometheus;
use crate::telemetry::chain;

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    /// Where new versions are looked up.
    pub(crate) packages: PackagesConfig,
    /// Facts about versions, laid over the built-in ones.
    #[serde(default)]
    pub(crate) matrix: MatrixConfig,
    /// Every Prometheus that scrapes the API servers. Without one, nobody knows who asks for APIs that go.
    #[serde(default)]
    pub(crate) prometheus: BackendConfig,
    /// The thresholds.
    #[serde(default)]
    pub(crate) settings: Settings,
}

impl Config {
    /// Every Prometheus.
    ///
    /// # Errors
    /// A URL is none; the message names the field.
    pub(crate) fn prometheus(&self) -> Result<Vec<Prometheus>, String> {
        Prometheus::all_within(&self.prometheus, POLLED_DEADLINE)
            .map_err(|error| format!("prometheus.urls: {}", chain(&error)))
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}; check --config.file", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something in it is not what it should be.
    #[error("{}: {message}", path.display())]
    Content {
        /// Its path.
        path: PathBuf,
        /// What, with the field.
        message: String,
    },
}

/// Reads the file and checks every value in it.
///
/// # Errors
/// The file cannot be read, or something in it is not what it should be; the message names the field.
pub(crate) fn read(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(&text).map_err(|message| ConfigError::Content { path: path.to_owned(), message })
}

fn parse(text: &str) -> Result<Config, String> {
    if text.trim().is_empty() {
        return Err("the file is empty; packages.url is needed".to_owned());
    }
    let config: Config = yaml::read(text).map_err(|error| error.to_string())?;
    Repository::new(&config.packages.url).map_err(|error| error.to_string())?;
    validate_packages_interval(config.packages.interval_seconds).map_err(|error| error.to_string())?;
    config.matrix.validate()?;
    config.prometheus()?;
    if let Some(path) = &config.prometheus.token_file {
        readable(path).map_err(|why| format!("prometheus.tokenFile: {why}"))?;
    }
    config.settings.validate().map_err(|error| error.to_string())?;
    Ok(config)
}

fn readable(path: &Path) -> Result<(), String> {
    match std::fs::File::open(path) {
        Ok(_file) => Ok(()),
        Err(error) => Err(format!("cannot read {}: {error}; check path and rights", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_input_is_refused_with_its_field() {
        crate::client::kubernetes::install_tls_provider();
        let url = "packages: {url: 'https://packages.example/v{minor}/Packages'}\n";
        assert!(parse(url).is_ok());
        let prometheus = format!("{url}prometheus: {{urls: ['http://prometheus-0:9090']}}");
        assert_eq!(parse(&prometheus).unwrap().prometheus().unwrap()[0].url(), "http://prometheus-0:9090");
        for (text, words) in [
            (String::new(), "packages"),
            ("packages: {url: 'https://packages.example/Packages'}".to_owned(), "packages.url"),
            (format!("{url}setings: {{}}"), "setings"),
            (format!("{url}settings: {{soakSecond: 1}}"), "soakSecond"),
            (format!("{url}settings: {{soakSeconds: many}}"), "soakSeconds"),
            (
                format!("{url}settings: {{evaluationIntervalSeconds: 0}}"),
                "settings.evaluationIntervalSeconds is 0",
            ),
            (
                "packages: {url: 'http://p/{minor}', intervalSeconds: 0}".to_owned(),
                "packages.intervalSeconds",
            ),
            (format!("{url}matrix: {{files: [a, b, a]}}"), "matrix.files"),
            (format!("{url}matrix: {{file: a}}"), "matrix.file"),
            (format!("{url}prometheus: {{urls: ['prometheus:9090']}}"), "prometheus.urls"),
            (format!("{url}prometheus: {{url: 'http://prometheus:9090'}}"), "prometheus.url"),
            (format!("{url}prometheus: {{urls: [], tokenFile: /nowhere}}"), "prometheus.tokenFile"),
            ("packages: [".to_owned(), ""),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }
}
