//! Where `tests/setup` has put the real programs.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use lockkeeper_rules::words::version::Version;

use crate::process::Program;

/// The program of the etcd module: etcd, etcdctl or etcdutl.
///
/// # Errors
/// It is not there.
pub fn etcd(program: &str) -> Result<PathBuf> {
    find("etcd", program, "tests/setup")
}

/// prometheus or alertmanager, to be run with the folder of files that Debian has compiled into it: it is mounted
/// where the program looks for it, and only the program sees that.
///
/// # Errors
/// It is not there.
pub fn prometheus_program(name: &str, program: &str) -> Result<Program> {
    let path = prometheus(program)?.canonicalize()?;
    let share = path.ancestors().nth(2).unwrap_or(&path).join("share");
    Ok(Program::new(name, "unshare")
        .args(["--mount", "--", "sh", "-c", "mount --bind \"$1\" /usr/share && shift && exec \"$@\"", "sh"])
        .args([share.display().to_string(), path.display().to_string()]))
}

/// prometheus, promtool, alertmanager or amtool: this Debian's own, or with `LOCKKEEPER_PROMETHEUS=3` the newer ones.
///
/// # Errors
/// It is not there.
pub fn prometheus(program: &str) -> Result<PathBuf> {
    let major = std::env::var("LOCKKEEPER_PROMETHEUS").unwrap_or_default();
    let part = if major.is_empty() { "prometheus".to_owned() } else { format!("prometheus-{major}") };
    find(&part, program, "tests/setup")
}

/// A program of Kubernetes at a version: kube-apiserver, kube-controller-manager, kube-scheduler or kubectl.
///
/// # Errors
/// It was never built under this version.
pub fn kubernetes(version: &Version, program: &str) -> Result<PathBuf> {
    find(&format!("kubernetes-{version}"), program, &format!("tests/setup {version}"))
}

/// The folder of the programs of Kubernetes at a version.
///
/// # Errors
/// They were never built under this version.
pub fn kubernetes_folder(version: &Version) -> Result<PathBuf> {
    let kubectl = kubernetes(version, "kubectl")?.canonicalize()?;
    Ok(kubectl.parent().unwrap_or(&kubectl).to_owned())
}

/// A program of this workspace, from the target folder that the running program lies in.
///
/// # Errors
/// It was not built.
pub fn own(program: &str) -> Result<PathBuf> {
    let running = std::env::current_exe()?;
    for folder in running.ancestors().skip(1).take(2) {
        let path = folder.join(program);
        if path.is_file() {
            return Ok(path);
        }
    }
    bail!("{program} is not beside {}: run `cargo build --workspace` first", running.display())
}

/// Where `tests/setup` puts a link to each part.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/parts")
}

/// What the real machines of `make e2e` are made of: root, images or packages.
///
/// # Errors
/// It is not there.
pub fn e2e(what: &str) -> Result<PathBuf> {
    find("e2e", what, "tests/setup --e2e")
}

/// Debian's registry for images.
///
/// # Errors
/// It is not there.
pub fn docker_registry() -> Result<PathBuf> {
    find("docker-registry", "docker-registry", "tests/setup --e2e")
}

fn find(part: &str, program: &str, remedy: &str) -> Result<PathBuf> {
    let path = folder().join(part).join(program);
    match path.canonicalize() {
        Ok(_) => Ok(path),
        Err(_) => bail!("{program} is missing ({}): run `{remedy}` first", path.display()),
    }
}
