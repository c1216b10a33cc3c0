//! What the README and the pages of `docs/` promise, word for word.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lockkeeper_rules::api::UpgradeRunSpec;
use lockkeeper_rules::facts::Matrix;
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::words::version::Version;
use lockkeeper_rules::words::yaml;
use lockkeeper_tests::parts;
use serde_json::{Value, json};
use tempfile::TempDir;

const CONFIGURATION: &str = include_str!("../../docs/configuration.md");
const OPERATIONS: &str = include_str!("../../docs/operations.md");
const VERDICT: &str = include_str!("../../docs/verdict.md");
const FACTS: &str = include_str!("../../docs/facts.md");

/// The YAML examples of a page, in order.
fn yaml_blocks(page: &str) -> impl Iterator<Item = String> {
    let block = |rest: &str| rest.split("```").next().expect("a split has a first part").to_owned();
    page.split("```yaml\n").skip(1).map(block)
}

/// The examples, in order: the exporter's file, the actuator's, what may stand in it too, a run.
fn examples() -> [String; 4] {
    let blocks = yaml_blocks(CONFIGURATION).chain(yaml_blocks(OPERATIONS));
    blocks.collect::<Vec<_>>().try_into().expect("four examples")
}

/// The README and every page of `docs/`, each with its path in the repository.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    docs.chain([root.join("README.md")])
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

fn output_of(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn sandbox(args: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandbox"));
    command.args(args.split(' ')).output().unwrap()
}

#[test]
fn the_configuration_files_are_good_as_they_are_shown() {
    let [exporter, actuator, kubeadm, _] = examples();
    let actuator = format!("{actuator}\n{kubeadm}");
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, text) in [
        ("token", "a-token-that-nobody-guesses"),
        ("web.yaml", "{}"),
        ("id_ed25519", ""),
        ("known_hosts", ""),
        ("matrix.yaml", "schema: 2\nas_of: \"2026-07-24\"\n"),
    ] {
        std::fs::write(path(name), text).unwrap();
    }
    for (product, config) in [("lockkeeper-exporter", exporter), ("lockkeeper-actuator", actuator)] {
        let mounted = folder.path().display().to_string();
        let config = config.replace("/etc/lockkeeper-secrets", &mounted);
        let config = config.replace("/etc/lockkeeper-matrix", &mounted);
        std::fs::write(path("config.yaml"), config).unwrap();
        let flag = format!("--config.file={}", path("config.yaml").display());
        let checked =
            Command::new(parts::own(product).unwrap()).args([&flag, "--check-config"]).output().unwrap();
        assert!(checked.status.success(), "{product}: {}", output_of(&checked));
        let shown = "kubeadm ignores the preflight error SystemVerification: cgroup v1 until spring";
        assert_eq!(
            output_of(&checked).contains(shown),
            product == "lockkeeper-actuator",
            "{}",
            output_of(&checked)
        );
    }
}

#[test]
fn the_run_is_one_that_can_be_stored() {
    let [.., run] = examples();
    let run: Value = yaml::read(&run).unwrap();
    assert_eq!(
        run["apiVersion"],
        format!("{}/{}", lockkeeper_rules::api::GROUP, lockkeeper_rules::api::VERSION)
    );
    let spec: UpgradeRunSpec = serde_json::from_value(run["spec"].clone()).unwrap();
    spec.target.parse::<Version>().unwrap();
}

#[test]
fn what_is_deployed_is_found_by_the_rules_and_by_the_route() {
    let [_, config, ..] = examples();
    let config: Value = yaml::read(&config).unwrap();
    let settings = Settings::default();
    for address in [":19442", ":19443"] {
        assert!(CONFIGURATION.contains(&format!("`{address}`")), "probes at {address}");
    }
    let route = include_str!("../../rules/generated/alertmanager.yaml");
    for (file, job, ports, probes) in [
        (
            include_str!("../../deploy/base/exporter.yaml"),
            settings.exporter_job,
            vec![("metrics", ":19440")],
            ":19442",
        ),
        (
            include_str!("../../deploy/base/actuator.yaml"),
            settings.actuator_job,
            ["webhook", "metrics"]
                .map(|name| (name, config[name]["listenAddress"].as_str().unwrap()))
                .to_vec(),
            ":19443",
        ),
    ] {
        let documents = file.split("\n---\n").map(|text| yaml::read::<Value>(text).unwrap());
        let [service, deployment] = documents.collect::<Vec<_>>().try_into().unwrap();
        // prometheus-operator takes the job from here.
        assert_eq!(service["metadata"]["name"], job);
        let pod = &deployment["spec"]["template"];
        assert_eq!(service["spec"]["selector"], pod["metadata"]["labels"]);
        assert_eq!(service["spec"]["selector"], service["metadata"]["labels"]);
        let number = |address: &str| address.trim_start_matches(':').parse::<u16>().unwrap();
        // The kubelet asks the pod and no Service.
        let listens: Vec<Value> = ports
            .iter()
            .chain([&("probes", probes)])
            .map(|(name, at)| json!({"name": name, "containerPort": number(at)}))
            .collect();
        assert_eq!(pod["spec"]["containers"][0]["ports"], json!(listens));
        let serves: Vec<Value> = ports
            .iter()
            .map(|(name, at)| json!({"name": name, "port": number(at), "targetPort": name}))
            .collect();
        assert_eq!(service["spec"]["ports"], json!(serves));
        if let Some((_, at)) = ports.iter().find(|(name, _)| *name == "webhook") {
            let namespace = service["metadata"]["namespace"].as_str().unwrap();
            let url = format!("url: https://{job}.{namespace}.svc:{}/alertmanager/v4/", number(at));
            assert_eq!(route.matches(&url).count(), 3, "{url}");
        }
    }
}

/// The flags that lines of a text name, in order.
fn flags<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let words = lines.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && !"-.".contains(c)));
    let flags = words.filter(|word| word.starts_with("--")).map(|word| word.trim_end_matches('.').to_owned());
    flags.filter(|flag| flag != "--help" && flag != "--version").collect()
}

/// The flags in the table of a page's section.
fn documented(page: &str, section: &str) -> BTreeSet<String> {
    let section = page.split("### ").find(|it| it.starts_with(section)).expect("the page has the section");
    flags(section.lines().filter(|line| line.starts_with("| `--")))
}

/// The flags that a help lists.
fn listed(help: &str) -> BTreeSet<String> {
    flags(help.lines().filter(|line| line.trim_start().starts_with('-')))
}

#[test]
fn every_flag_of_the_sandbox_is_told_and_no_other() {
    assert_eq!(documented(OPERATIONS, "Flags"), listed(&output_of(&sandbox("--help"))));
}

#[test]
fn every_flag_of_the_programs_is_told_and_no_other() {
    for (page, section, product, args) in [
        (CONFIGURATION, "lockkeeper-exporter", "lockkeeper-exporter", ["--help"].as_slice()),
        (CONFIGURATION, "lockkeeper-actuator", "lockkeeper-actuator", &["--help"]),
        (VERDICT, "From the command line", "lockkeeper-exporter", &["verdict", "--help"]),
    ] {
        let help = Command::new(parts::own(product).unwrap()).args(args).output().unwrap();
        assert_eq!(documented(page, section), listed(&output_of(&help)), "{section}");
    }
}

#[test]
fn the_files_of_facts_are_good_as_they_are_shown() {
    let blocks: Vec<String> = yaml_blocks(VERDICT).chain(yaml_blocks(FACTS)).collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        Matrix::load(&[("facts.yaml", block.as_str())])
            .unwrap_or_else(|mistakes| panic!("{mistakes:#?}\n{block}"));
    }
}

#[test]
fn every_path_it_names_is_there() {
    for (page, text) in pages() {
        for path in ["rules/generated/", "rules/data/", "deploy/", "docs/", "dashboards/"] {
            // What is a part of a longer path or of an address is a link, and looked at there.
            let is_longer =
                |at: usize| text[..at].ends_with(|c: char| c.is_alphanumeric() || "/._-".contains(c));
            for (at, _) in text.match_indices(path).filter(|(at, _)| !is_longer(*at)) {
                let end = text[at..].find(|c: char| !c.is_ascii_alphanumeric() && !"/._-".contains(c));
                let named = text[at..at + end.unwrap_or(0)].trim_end_matches('.');
                let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(named);
                assert!(file.exists(), "{named} in {}", page.display());
            }
        }
    }
}

/// The anchors of a page's headings, as they are on GitHub.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect::<String>()
    };
    headings.map(slug).collect()
}

#[test]
fn every_link_leads_somewhere() {
    for (page, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{link} in {}", page.display());
            let has_anchor = || anchors(&std::fs::read_to_string(&target).unwrap()).contains(anchor);
            assert!(anchor.is_empty() || has_anchor(), "{link} in {}", page.display());
        }
    }
}

#[test]
fn a_command_line_that_is_wrong_starts_nothing_and_says_what_to_do() {
    for (args, remedy) in [
        ("--bogus", "--help"),
        ("--workers none", "--help"),
        ("--workers 0", "choose a number from 1 to 20"),
        ("--from 1.36", "such as v1.36.1"),
        ("--from v1.36.3 --to v1.36.1", "choose a newer one"),
        ("--pause-before worker/worker-3", "choose one of preflight, snapshot"),
        ("--fail preflight", "such as worker/worker-1=fail-once"),
        ("--fail nothing=hang", "choose one of preflight, snapshot"),
        ("--fail worker/worker-1=explode", "choose fail, fail-once, hang or kill"),
        ("--fail postflight=fail", "choose another step"),
    ] {
        let output = sandbox(args);
        assert_eq!(output.status.code(), Some(3), "{args}: {}", output_of(&output));
        assert!(output_of(&output).contains(remedy), "{args}: {}", output_of(&output));
        assert!(output.stdout.is_empty(), "{args}: {}", output_of(&output));
    }
}
