//! apt-get, apt-mark, apt-cache, dpkg and its kin, for the packages of Kubernetes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use lockkeeper_rules::words::version::Version;

use super::{fail, pace};
use crate::machine::folder::Folder;

/// The packages that have versions; every other name is taken for granted.
const PACKAGES: [&str; 3] = ["kubeadm", "kubelet", "kubectl"];

/// The version of a package that is installed, with its `v`.
pub(super) fn installed(folder: &Folder, package: &str) -> Option<String> {
    folder.read(&format!("packages/{package}")).map(|version| format!("v{}", upstream(&version)))
}

/// `1.36.3` of `1.36.3-1.1`.
fn upstream(version: &str) -> &str {
    version.split_once('-').map_or(version, |(upstream, _)| upstream)
}

/// What is asked for: a package, and a pattern of its version.
struct Wanted<'a> {
    package: &'a str,
    version: Option<String>,
}

/// The file that names the repository.
const SOURCE: &str = "etc/apt/sources.list.d/kubernetes.list";

/// The repository as the machine's source names it, and as apt calls it.
fn source(folder: &Folder) -> Option<(String, String)> {
    let text = folder.read(SOURCE)?;
    let uri = text.split_whitespace().find(|word| word.starts_with("https://"))?.to_owned();
    let site = uri.trim_end_matches('/').to_owned();
    Some((uri, site))
}

enum Problem {
    /// No such version.
    NotFound(String),
}

fn wanted<'a>(folder: &Folder, arguments: &[&'a str]) -> Result<Vec<Wanted<'a>>, Problem> {
    let repository = repository(folder);
    let names = operands(arguments);
    let wanted = names.into_iter().skip(1).map(|name| {
        let (package, pattern) = name.split_once('=').unwrap_or((name, "*"));
        if !PACKAGES.contains(&package) {
            return Ok(Wanted { package, version: None });
        }
        match repository.iter().rev().find(|version| matches(pattern, version)) {
            Some(version) => Ok(Wanted { package, version: Some(version.clone()) }),
            None => Err(Problem::NotFound(format!("E: Version '{pattern}' for '{package}' was not found"))),
        }
    });
    wanted.collect()
}

/// The versions that the repository has, oldest first.
fn repository(folder: &Folder) -> Vec<String> {
    let mut versions: Vec<String> =
        folder.read("repository").unwrap_or_default().lines().map(str::to_owned).collect();
    versions.sort_by_key(|version| upstream(version).parse::<Version>().ok());
    versions
}

fn matches(pattern: &str, version: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => version.starts_with(start) && version.ends_with(end),
        None => pattern == version,
    }
}

/// What is left without flags: the command, then its names.
fn operands<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let mut rest = arguments.iter();
    let mut operands = Vec::new();
    while let Some(&argument) = rest.next() {
        match argument {
            "-o" | "--option" | "-c" | "-t" => {
                rest.next();
            }
            flag if flag.starts_with('-') => {}
            operand => operands.push(operand),
        }
    }
    operands
}

pub(super) fn get(folder: &Folder, arguments: &[&str]) -> Result<ExitCode> {
    let has = |flags: &[&str]| flags.iter().any(|flag| arguments.contains(flag));
    match operands(arguments).first().copied() {
        Some("update") => {
            pace(folder, 5);
            println!("Reading package lists...");
            Ok(ExitCode::SUCCESS)
        }
        Some("indextargets") => {
            if let Some((uri, site)) = source(folder) {
                println!("{site} {uri} /{SOURCE}:1");
            }
            Ok(ExitCode::SUCCESS)
        }
        Some("clean") => {
            folder.names(ARCHIVES).iter().for_each(|name| folder.remove(&format!("{ARCHIVES}/{name}")));
            Ok(ExitCode::SUCCESS)
        }
        Some("download") => match wanted(folder, arguments) {
            Err(Problem::NotFound(text)) => Ok(fail(100, &text)),
            Ok(packages) => download(folder, &packages),
        },
        Some("install") => match wanted(folder, arguments) {
            Err(Problem::NotFound(text)) => Ok(fail(100, &text)),
            Ok(packages) if has(&["--print-uris"]) => {
                for archive in changes(folder, &packages).into_iter().map(archive) {
                    if !folder.has(&format!("{ARCHIVES}/{archive}")) {
                        println!("'https://pkgs.k8s.io/{archive}' {archive} 1 ");
                    }
                }
                Ok(ExitCode::SUCCESS)
            }
            Ok(packages) if has(&["-d", "--download-only"]) => {
                pace(folder, 5);
                for archive in changes(folder, &packages).into_iter().map(archive) {
                    folder.write(&format!("{ARCHIVES}/{archive}"), "")?;
                    println!("Get:1 {archive}");
                }
                Ok(ExitCode::SUCCESS)
            }
            Ok(packages) => install(folder, &packages, &has),
        },
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Where what was fetched lies.
const ARCHIVES: &str = "archives";

fn archive((package, version): (&str, &String)) -> String {
    format!("{package}_{version}_amd64.deb")
}

/// What an install would bring that is not there yet.
fn changes<'a>(folder: &Folder, packages: &'a [Wanted<'_>]) -> Vec<(&'a str, &'a String)> {
    let wanted = packages.iter().filter_map(|wanted| Some((wanted.package, wanted.version.as_ref()?)));
    wanted
        .filter(|(package, version)| folder.read(&format!("packages/{package}")).as_ref() != Some(version))
        .collect()
}

fn download(folder: &Folder, packages: &[Wanted<'_>]) -> Result<ExitCode> {
    pace(folder, 5);
    for wanted in packages {
        let Some(version) = &wanted.version else { continue };
        let file = format!("{}_{version}_amd64.deb", wanted.package);
        fs::write(&file, format!("{} {version}\n", wanted.package))
            .with_context(|| format!("{file} cannot be written"))?;
        println!("Get:1 {} {version}", wanted.package);
    }
    Ok(ExitCode::SUCCESS)
}

fn install(folder: &Folder, packages: &[Wanted<'_>], has: &dyn Fn(&[&str]) -> bool) -> Result<ExitCode> {
    let changes = changes(folder, packages);
    let number = |version: &str| upstream(version).parse::<Version>().ok();
    for (package, version) in &changes {
        if folder.has(&format!("holds/{package}")) && !has(&["--allow-change-held-packages"]) {
            return Ok(fail(
                100,
                "E: Held packages were changed and -y was used without --allow-change-held-packages.",
            ));
        }
        let before = folder.read(&format!("packages/{package}")).unwrap_or_default();
        if number(version) < number(&before) && !has(&["--allow-downgrades"]) {
            return Ok(fail(100, "E: Packages were downgraded and -y was used without --allow-downgrades."));
        }
    }
    if has(&["-s", "--simulate", "--dry-run"]) {
        changes.iter().for_each(|(package, version)| println!("Inst {package} ({version})"));
        return Ok(ExitCode::SUCCESS);
    }
    if !changes.is_empty() && !has(&["-y", "--yes", "--assume-yes", "-qy", "-yq", "-qqy", "-yqq"]) {
        return Ok(fail(1, "Do you want to continue? [Y/n] Abort."));
    }
    pace(folder, 10);
    for (package, version) in changes {
        println!("Setting up {package} ({version}) ...");
        folder.write(&format!("packages/{package}"), version)?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn mark(folder: &Folder, arguments: &[&str]) -> Result<ExitCode> {
    let operands = operands(arguments);
    let packages = operands.iter().skip(1);
    match operands.first().copied() {
        Some("hold") => {
            for package in packages {
                folder.write(&format!("holds/{package}"), "")?;
                println!("{package} set on hold.");
            }
        }
        Some("unhold") => {
            for package in packages {
                folder.remove(&format!("holds/{package}"));
                println!("Canceled hold on {package}.");
            }
        }
        Some("showhold" | "showholds") => {
            folder.names("holds").iter().for_each(|package| println!("{package}"))
        }
        _ => return Ok(fail(100, "E: Invalid operation")),
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn cache(folder: &Folder, arguments: &[&str]) -> ExitCode {
    let operands = operands(arguments);
    for package in operands.iter().skip(1) {
        match operands.first().copied() {
            Some("policy") => {
                let versions = repository(folder);
                let installed =
                    folder.read(&format!("packages/{package}")).unwrap_or_else(|| "(none)".to_owned());
                println!(
                    "{package}:\n  Installed: {installed}\n  Candidate: {}",
                    versions.last().map_or("(none)", |v| v)
                );
            }
            _ => {
                let Some((_, site)) = source(folder) else { continue };
                for version in repository(folder).iter().rev() {
                    println!("   {package} | {version} | {site}  Packages");
                }
            }
        }
    }
    ExitCode::SUCCESS
}

pub(super) fn dpkg_query(folder: &Folder, arguments: &[&str]) -> ExitCode {
    let mut format = "${Package}\t${Version}\n".to_owned();
    let mut packages = Vec::new();
    let mut rest = arguments.iter();
    while let Some(&argument) = rest.next() {
        if let Some(text) = argument.strip_prefix("-f=").or_else(|| argument.strip_prefix("--showformat=")) {
            format = text.to_owned();
        } else if argument == "-f" || argument == "--showformat" {
            format = rest.next().map_or(String::new(), |text| (*text).to_owned());
        } else if let Some(text) = argument.strip_prefix("-f").filter(|text| !text.is_empty()) {
            format = text.to_owned();
        } else if !argument.starts_with('-') {
            packages.push(argument);
        }
    }
    for package in packages {
        let Some(version) = folder.read(&format!("packages/{package}")) else {
            return fail(1, &format!("dpkg-query: no packages found matching {package}"));
        };
        let held = folder.has(&format!("holds/{package}"));
        let status = if held { "hold ok installed" } else { "install ok installed" };
        let text = format
            .replace("${Package}", package)
            .replace("${binary:Package}", package)
            .replace("${Version}", &version)
            .replace("${Status}", status)
            .replace("${db:Status-Abbrev}", if held { "hi " } else { "ii " })
            .replace("\\n", "\n")
            .replace("\\t", "\t");
        print!("{text}");
    }
    ExitCode::SUCCESS
}

pub(super) fn dpkg(folder: &Folder, arguments: &[&str]) -> ExitCode {
    if arguments.contains(&"--print-architecture") {
        println!("amd64");
        return ExitCode::SUCCESS;
    }
    if arguments.contains(&"-s") || arguments.contains(&"-l") {
        return dpkg_query(folder, arguments);
    }
    // `dpkg --configure -a` has nothing to mend.
    ExitCode::SUCCESS
}

/// Unpacks what [`download`] wrote: a program of that version.
pub(super) fn dpkg_deb(arguments: &[&str]) -> Result<ExitCode> {
    let [file, into] = operands(arguments)[..] else {
        return Ok(fail(2, "dpkg-deb: error: --extract needs .deb filename and target directory arguments"));
    };
    let Ok(text) = fs::read_to_string(file) else {
        return Ok(fail(
            2,
            &format!("dpkg-deb: error: failed to read archive '{file}': No such file or directory"),
        ));
    };
    let Some((package, version)) = text.trim_end().split_once(' ') else {
        return Ok(fail(2, &format!("dpkg-deb: error: '{file}' is not a Debian format archive")));
    };
    let programs = Path::new(into).join("usr/bin");
    fs::create_dir_all(&programs)?;
    let path = programs.join(package);
    let script =
        format!("#!/bin/sh\nLOCKKEEPER_PACKAGE={} exec /usr/local/bin/{package} \"$@\"\n", upstream(version));
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(ExitCode::SUCCESS)
}
