//! What people install fits what the programs look for.

use std::collections::BTreeSet;
use std::process::Command;

use lockkeeper_actuator::config::Probes;
use lockkeeper_rules::alert;
use lockkeeper_rules::drain::{Pod, is_alert_path};
use lockkeeper_rules::facts::Matrix;
use lockkeeper_rules::publish::route::RouteOptions;
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::words::version::Minor;
use lockkeeper_tests::{deploy, parts};
use serde_json::{Value, json};

const PRODUCTS: [&str; 2] = ["exporter", "actuator"];

fn object(kind: &str, name: &str) -> Value {
    let mut objects = deploy::objects("deploy/base").unwrap().into_iter();
    let found = objects.find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("deploy/base has no {kind} {name}"))
}

fn deployment(product: &str) -> Value {
    object("Deployment", &format!("lockkeeper-{product}"))
}

fn service(product: &str) -> Value {
    object("Service", &format!("k8s-upgrade-{product}"))
}

fn container(product: &str) -> Value {
    deployment(product)["spec"]["template"]["spec"]["containers"][0].clone()
}

/// The port of this name, where a container or a Service gives its number.
fn port(ports: &Value, name: &str, field: &str) -> u64 {
    let found = ports.as_array().unwrap().iter().find(|port| port["name"] == name);
    found.and_then(|port| port[field].as_u64()).unwrap_or_else(|| panic!("no {field} {name} in {ports}"))
}

#[test]
fn our_own_pods_are_known_as_parts_of_the_alert_path_and_found_by_their_services() {
    for product in PRODUCTS {
        let deployment = deployment(product);
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        let labels_of_pod = serde_json::from_value(labels.clone()).unwrap();
        let pod = Pod { labels: labels_of_pod, ..Pod::silent("k8s-upgrade", product) };
        assert!(is_alert_path(&pod), "{product} would leave a node among the first: {labels}");
        assert_eq!(deployment["spec"]["selector"]["matchLabels"], *labels, "{product}");
        assert_eq!(service(product)["spec"]["selector"], *labels, "{product}");
    }
}

/// What no API server keeps, and so lists: reviews and the like.
const NEVER_STORED: [&str; 2] = ["apigroupdiscoveries", "selfsubjectreviews"];

#[test]
fn each_kind_that_goes_with_a_minor_may_be_listed_and_nothing_else_for_that_reason() {
    let known = Matrix::built_in();
    let oldest = known.releases.value.0.iter().map(|release| release.minor).min().unwrap();
    let going = known.removed_apis.value.going(oldest, Minor { major: u64::MAX, minor: 0 });
    let going: BTreeSet<(String, String)> = going
        .into_iter()
        .map(|kind| (kind.group.clone(), kind.resource()))
        .filter(|(_, resource)| !NEVER_STORED.contains(&resource.as_str()))
        .collect();
    assert!(going.len() > 10, "{going:?}");
    for product in PRODUCTS {
        let role = object("ClusterRole", &format!("lockkeeper-{product}"));
        let words = |rule: &Value, field: &str| -> Vec<String> {
            let words = rule[field].as_array().into_iter().flatten();
            words.map(|word| word.as_str().unwrap().to_owned()).collect()
        };
        let mut given = BTreeSet::new();
        for rule in role["rules"].as_array().unwrap() {
            for group in words(rule, "apiGroups") {
                let resources = words(rule, "resources").into_iter();
                given.extend(resources.map(|resource| (group.clone(), resource, words(rule, "verbs"))));
            }
        }
        // What is watched is read for other reasons, and a drain asks for the volumes on its node.
        given.retain(|(_, resource, _)| !(product == "actuator" && resource == "volumeattachments"));
        given.retain(|(group, _, verbs)| verbs == &["list"] && going.iter().any(|(own, _)| own == group));
        let needed: BTreeSet<_> =
            going.iter().map(|(group, it)| (group.clone(), it.clone(), vec!["list".to_owned()])).collect();
        assert_eq!(given, needed, "{product}");
    }
}

#[test]
fn the_replicas_of_the_actuator_are_kept_apart_and_each_knows_its_node() {
    let deployment = deployment("actuator");
    assert_eq!(deployment["spec"]["replicas"], 2, "one leads while the node of the other is upgraded");
    let pod = &deployment["spec"]["template"];
    let apart = json!([{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": pod["metadata"]["labels"]},
    }]);
    assert_eq!(pod["spec"]["topologySpreadConstraints"], apart);
    let container = container("actuator");
    let env = json!([{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]);
    assert_eq!(container["env"], env);
    let args = container["args"].as_array().unwrap();
    assert!(args.contains(&json!("--node-name=$(NODE_NAME)")), "{args:?}");
}

#[test]
fn what_ssh_leaves_behind_is_reaped() {
    // OpenSSH's master goes into the background, so that it ends as a child of the first process.
    assert_eq!(deployment("actuator")["spec"]["template"]["spec"]["shareProcessNamespace"], true);
}

#[test]
fn the_command_lines_are_understood() {
    for product in PRODUCTS {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let packages = json!({"url": "https://packages.example/v{minor}/Packages"});
        let token = file("token", "a-token-that-nobody-guesses");
        let facts = object("ConfigMap", "lockkeeper-matrix")["data"]["matrix.yaml"].clone();
        let facts = file("matrix.yaml", facts.as_str().unwrap());
        let config = match product {
            "exporter" => json!({"packages": packages, "matrix": {"files": [facts]}}),
            _ => json!({
                "packages": packages, "matrix": {"files": [facts]}, "prometheus": {"urls": []}, "alertmanager": {"urls": []},
                "webhook": {"listenAddress": ":9443", "tokenFile": token}, "metrics": {"listenAddress": ":19441"},
                "ssh": {"keyFile": token, "knownHostsFile": token},
            }),
        };
        let config = file("config.yaml", &config.to_string());
        let written = format!("/etc/lockkeeper/{product}.yaml");
        let container = container(product);
        let args = container["args"].as_array().unwrap().iter().map(|arg| {
            let arg = arg.as_str().unwrap().replace("$(NODE_NAME)", "worker-1");
            arg.replace(&written, config.to_str().unwrap())
        });
        let mut command = Command::new(parts::own(&format!("lockkeeper-{product}")).unwrap());
        let output = command.args(args).arg("--check-config").output().unwrap();
        assert!(output.status.success(), "{product}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_facts_are_mounted_in_both_where_the_docs_say_and_change_nothing_as_they_are() {
    let facts = object("ConfigMap", "lockkeeper-matrix");
    assert_eq!(facts["metadata"]["namespace"], "k8s-upgrade");
    let built_in = Matrix::built_in();
    for (name, text) in facts["data"].as_object().unwrap() {
        let matrix = Matrix::load(&[(name, text.as_str().unwrap())])
            .unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        assert_eq!(matrix.policy.value.choices(), built_in.policy.value.clone().choices(), "{name}");
        assert_eq!(matrix.addons, built_in.addons, "{name}");
    }
    for product in PRODUCTS {
        let pod = &deployment(product)["spec"]["template"]["spec"];
        let volumes = pod["volumes"].as_array().unwrap();
        let volume = json!({"name": "matrix", "configMap": {"name": "lockkeeper-matrix"}});
        assert!(volumes.contains(&volume), "{product}: {volumes:?}");
        let mounts = container(product)["volumeMounts"].clone();
        // Not a subPath, which kubelet would never replace.
        let mount = json!({"name": "matrix", "mountPath": "/etc/lockkeeper-matrix", "readOnly": true});
        assert!(mounts.as_array().unwrap().contains(&mount), "{product}: {mounts}");
    }
    let page = include_str!("../../docs/configuration.md");
    assert!(page.contains("matrix: {files: [/etc/lockkeeper-matrix/matrix.yaml]}"));
}

#[test]
fn ports_probes_and_job_names_are_those_that_the_programs_and_the_rules_speak_of() {
    for product in PRODUCTS {
        let container = container(product);
        for probe in ["livenessProbe", "readinessProbe"] {
            let page = if probe == "livenessProbe" { "/livez" } else { "/readyz" };
            assert_eq!(container[probe]["httpGet"], json!({"path": page, "port": "probes"}), "{product}");
        }
        for port in service(product)["spec"]["ports"].as_array().unwrap() {
            assert_eq!(port["targetPort"], port["name"], "{product}");
            let inside = self::port(&container["ports"], port["name"].as_str().unwrap(), "containerPort");
            assert_eq!(port["port"], inside, "{product}");
        }
    }
    let help = Command::new(parts::own("lockkeeper-exporter").unwrap()).arg("--help").output().unwrap();
    let listen = port(&container("exporter")["ports"], "metrics", "containerPort");
    let said = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(said.contains(&format!("[default: :{listen}]")), "{said}");
    let probes =
        |product: &str| format!(":{}", port(&container(product)["ports"], "probes", "containerPort"));
    assert!(said.contains(&format!("[default: {}]", probes("exporter"))), "{said}");
    assert_eq!(probes("actuator"), Probes::default().listen_address);

    let webhook = port(&service("actuator")["spec"]["ports"], "webhook", "port");
    let namespace = service("actuator")["metadata"]["namespace"].as_str().unwrap().to_owned();
    let url = format!("https://k8s-upgrade-actuator.{namespace}.svc:{webhook}");
    assert_eq!(RouteOptions::default().actuator_url, url);

    // A ServiceMonitor's job is the name of the Service.
    let settings = Settings::default();
    for (product, job) in [("exporter", &settings.exporter_job), ("actuator", &settings.actuator_job)] {
        assert_eq!(service(product)["metadata"]["name"], json!(job));
        let rules = alert::to_yaml(&alert::groups(&settings));
        assert!(rules.contains(job.as_str()), "no rule looks for {job}");
    }
}
