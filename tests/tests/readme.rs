//! What the README promises, word for word.

use std::path::Path;
use std::process::{Command, Output};

use lockkeeper_rules::api::UpgradeRunSpec;
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::version::Version;
use lockkeeper_rules::yaml;
use lockkeeper_tests::parts;
use serde_json::{Value, json};
use tempfile::TempDir;

const README: &str = include_str!("../../README.md");

/// The YAML examples, in order: the exporter's file, the actuator's, what may stand in it too, a run.
fn examples() -> [String; 4] {
    let blocks = README.split("```yaml\n").skip(1).map(|rest| {
        let block = rest.split("```").next().expect("a split has a first part");
        // They stand in a list, so they are indented.
        let lines = block.lines().map(|line| line.strip_prefix("   ").unwrap_or(line));
        lines.collect::<Vec<_>>().join("\n")
    });
    blocks.collect::<Vec<_>>().try_into().expect("four examples")
}

fn said(output: &Output) -> String {
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
        assert!(checked.status.success(), "{product}: {}", said(&checked));
        let shown = "kubeadm ignores the preflight error SystemVerification: cgroup v1 until spring";
        assert_eq!(said(&checked).contains(shown), product == "lockkeeper-actuator", "{}", said(&checked));
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
        assert!(README.contains(&format!("`{address}`")), "probes at {address}");
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

#[test]
fn every_flag_of_the_sandbox_is_told_and_no_other() {
    let help = said(&sandbox("--help"));
    let flags = |text: &str| {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let mut flags: Vec<_> = words.filter(|word| word.starts_with("--")).map(str::to_owned).collect();
        flags.sort();
        flags.dedup();
        flags
    };
    let section = README.split("### ").find(|section| section.starts_with("Flags")).unwrap();
    let told: String = section.lines().filter(|line| line.starts_with("| `--")).collect();
    let shown: String = help.lines().filter(|line| line.trim_start().starts_with('-')).collect();
    let mut shown = flags(&shown);
    shown.retain(|flag| flag != "--help");
    assert_eq!(flags(&told), shown);
}

#[test]
fn every_path_it_names_is_there() {
    for path in ["rules/generated/", "deploy/", "docs/", "dashboards/"] {
        for (at, _) in README.match_indices(path) {
            let end = README[at..].find(|c: char| !c.is_ascii_alphanumeric() && !"/._-".contains(c));
            let named = README[at..at + end.unwrap_or(0)].trim_end_matches('.');
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(named).exists(), "{named}");
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
        assert_eq!(output.status.code(), Some(3), "{args}: {}", said(&output));
        assert!(said(&output).contains(remedy), "{args}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{args}: {}", said(&output));
    }
}
