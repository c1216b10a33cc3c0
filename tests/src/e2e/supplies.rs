//! Where machines get images and packages: a real registry and a package server, on the bridge.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::network::CENTER;
use crate::part::{Service, client, probe};
use crate::parts;
use crate::process::Program;
use crate::run_folder::RunFolder;

const REGISTRY_PORT: u16 = 5000;
const PACKAGES_PORT: u16 = 8000;
/// How long one of them may take to answer.
const READY_SECONDS_MAX: u64 = 30;
/// What images are called everywhere on the machines; containerd finds the registry by it.
pub(super) const REPOSITORY: &str = "lab.local";

/// The registry and the package server. Dropping them ends both.
#[derive(Debug)]
pub(super) struct Supplies {
    _registry: Service,
    _packages: Service,
    /// The image of a pod's sandbox.
    pub(super) pause: String,
}

impl Supplies {
    /// Starts both; the registry is filled with the images that `tests/setup --e2e` has packed.
    ///
    /// # Errors
    /// Something was not packed, or one of them does not answer.
    pub(super) async fn start(run: &Arc<RunFolder>) -> Result<Self> {
        let images = parts::e2e("images")?;
        let names = image_names(&images)?;
        let storage = run.folder("registry")?;
        let config = serde_json::json!({
            "version": 0.1, "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": storage}},
            "http": {"addr": format!("{CENTER}:{REGISTRY_PORT}")},
        });
        // JSON is YAML.
        let config = run.write("registry.yml", config.to_string())?;
        let program = Program::new("registry", parts::docker_registry()?);
        let program = program.args(["serve".to_owned(), config.display().to_string()]);
        let registry = start(run, program, &format!("http://{CENTER}:{REGISTRY_PORT}/v2/")).await?;
        for name in &names {
            push(&images, name).await?;
        }
        let folder = parts::e2e("packages")?.canonicalize()?;
        let program = Program::new("packages", "python3").args(["-m", "http.server", "--bind"]);
        let program =
            program.args([CENTER.to_string(), "--directory".to_owned(), folder.display().to_string()]);
        let program = program.arg(PACKAGES_PORT.to_string());
        let packages = start(run, program, &format!("http://{CENTER}:{PACKAGES_PORT}/")).await?;
        let pause = names.iter().rfind(|name| name.starts_with("pause:")).context("no image of pause")?;
        Ok(Self { _registry: registry, _packages: packages, pause: format!("{REPOSITORY}/{pause}") })
    }

    /// The URL of the packages of a minor such as v1.36, or of `v{minor}`.
    #[must_use]
    pub(super) fn packages_url(minor: &str) -> String {
        format!("http://{CENTER}:{PACKAGES_PORT}/core:/stable:/{minor}/deb/")
    }

    /// What containerd is told of the registry.
    #[must_use]
    pub(super) fn hosts_toml() -> String {
        let url = format!("http://{CENTER}:{REGISTRY_PORT}");
        format!("server = \"{url}\"\n[host.\"{url}\"]\ncapabilities = [\"pull\", \"resolve\"]\n")
    }
}

async fn start(run: &Arc<RunFolder>, program: Program, url: &str) -> Result<Service> {
    let mut service = Service::new(run.clone(), program);
    service.start()?;
    let client = client()?;
    service.ready(Duration::from_secs(READY_SECONDS_MAX), || probe(&client, url)).await?;
    Ok(service)
}

fn image_names(layout: &Path) -> Result<Vec<String>> {
    let index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json"))?)?;
    let manifests = index["manifests"].as_array().context("the images' index has no manifests")?;
    let name = |manifest: &Value| {
        Some(manifest["annotations"]["org.opencontainers.image.ref.name"].as_str()?.to_owned())
    };
    let mut names: Vec<String> = manifests.iter().filter_map(name).collect();
    names.sort();
    Ok(names)
}

async fn push(layout: &Path, name: &str) -> Result<()> {
    let output = tokio::process::Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"])
        .arg(format!("oci:{}:{name}", layout.display()))
        .arg(format!("docker://{CENTER}:{REGISTRY_PORT}/{name}"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(120), output).await.context(name.to_owned())??;
    if !output.status.success() {
        bail!("skopeo copy {name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
