//! The files that people install, as `rules/generated/` holds them, and the tables of `docs/`.

mod tables;

use crate::alert;
use crate::facts;
use crate::publish::crd;
use crate::publish::route::{self, RouteOptions};
use crate::settings::Settings;

pub use tables::{PAGES, fill, marker, tables};

/// One generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Its name inside `rules/generated/`.
    pub name: &'static str,
    /// Its text.
    pub text: String,
}

/// Every generated file, with the default settings.
#[must_use]
pub fn files() -> Vec<GeneratedFile> {
    let settings = Settings::default();
    let groups = alert::groups(&settings);
    let facts = facts::bundle();
    vec![
        GeneratedFile { name: "alerts.yaml", text: alert::to_yaml(&groups) },
        GeneratedFile {
            name: "prometheus-rule.yaml",
            text: alert::to_prometheus_rule(&groups, "k8s-upgrade", &[]),
        },
        GeneratedFile { name: "crd-upgraderun.yaml", text: crd::upgrade_run_yaml() },
        GeneratedFile {
            name: "alertmanager.yaml",
            text: route::to_yaml(&RouteOptions::default(), &settings),
        },
        GeneratedFile { name: "matrix.schema.json", text: facts::json_schema() },
        // As `sha256sum --check` reads it.
        GeneratedFile {
            name: "facts.yaml.sha256",
            text: format!("{}  facts.yaml\n", facts::Digest::of(&facts)),
        },
        GeneratedFile { name: "facts.yaml", text: facts },
    ]
}
