//! How a second terminal reaches the sandbox that runs: files beside the run folders, removed with it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::args::Gate;
use crate::part::{User, kubeconfig_path};
use crate::parts;
use crate::run_folder::root;
use crate::site::SiteGate;
use crate::world::{NAMESPACE, World};

/// What is published; dropping it takes it back.
#[derive(Debug)]
pub(super) struct Published {
    url: String,
    /// A kubectl that speaks to this cluster.
    pub(super) kubectl: PathBuf,
}

impl Drop for Published {
    fn drop(&mut self) {
        // A sandbox that was started later has put its own there.
        if std::fs::read_to_string(file()).is_ok_and(|url| url == self.url) {
            let _ = std::fs::remove_file(file());
            let _ = std::fs::remove_file(&self.kubectl);
        }
    }
}

fn file() -> PathBuf {
    root().join("sandbox")
}

/// Says where the sandbox listens, and how its cluster is reached.
pub(super) fn publish(world: &World) -> Result<Published> {
    let kubectl = root().join("kubectl");
    let script = format!(
        "#!/bin/sh\n# Made by `make sandbox`, and removed with it.\nexec env KUBECONFIG='{}' '{}' -n {NAMESPACE} \"$@\"\n",
        kubeconfig_path(&world.folder, User::Admin).display(),
        // Not where the link leads: the program goes by the name that it is called.
        parts::kubernetes_folder(&world.from)?.join("kubectl").display(),
    );
    let write = |path: &PathBuf, text: &str, mode: u32| {
        std::fs::write(path, text)?;
        std::fs::set_permissions(path, Permissions::from_mode(mode))
    };
    let published = Published { url: world.site.control_url(), kubectl };
    write(&file(), &published.url, 0o644)
        .and_then(|()| write(&published.kubectl, &script, 0o755))
        .context("the sandbox cannot say where it listens")?;
    Ok(published)
}

/// Tells the sandbox that runs.
pub(super) async fn send(gate: Gate) -> Result<()> {
    let word = match gate {
        Gate::Close => "close",
        Gate::Open => "open",
    };
    let Ok(url) = std::fs::read_to_string(file()) else {
        bail!("no sandbox runs: start one with `make sandbox`");
    };
    let answer = crate::part::client()?.post(format!("{url}/{word}")).send().await;
    let Ok(answer) = answer else { bail!("no sandbox runs any more: start one with `make sandbox`") };
    if !answer.status().is_success() {
        bail!("the sandbox refuses: {}", answer.status());
    }
    let alert = SiteGate::All.alert();
    match gate {
        Gate::Close => println!(
            "The gate alert {alert} fires: what has begun on a node is finished, then the run waits. `make gate-open` clears it."
        ),
        Gate::Open => println!("The gate alert {alert} is cleared: the run goes on by itself."),
    }
    Ok(())
}
