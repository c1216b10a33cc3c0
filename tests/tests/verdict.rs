//! The command line against a real control plane: its exit codes, a saved cluster, and the first gate's answer.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::ensure;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use kube::api::{Api, PostParams};
use lockkeeper_tests::part::User;
use lockkeeper_tests::{World, parts};
use serde_json::{Value, json};

/// How a command ended, and what it said.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(args: &[&str], stdin: &str) -> Ended {
    run_with(args, stdin, &[])
}

fn run_with(args: &[&str], stdin: &str, environment: &[(&str, &str)]) -> Ended {
    let mut child = Command::new(parts::own("lockkeeper-exporter").unwrap())
        .args(args)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[track_caller]
fn ends(ended: &Ended, code: i32, stdout: &str, stderr: &str) {
    let Ended { code: found, stdout: out, stderr: err } = ended;
    // Lines are broken for a terminal.
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_said = line(out).contains(&line(stdout)) && err.contains(stderr);
    assert!(
        *found == Some(code) && is_said,
        "not {code} with {stdout:?}, {stderr:?}: {found:?}\n{out}\n{err}"
    );
}

/// Asks until the cluster is safe: an API server whose last scrape failed is unknown until the next.
async fn until_safe(world: &World, ask: impl Fn() -> Ended) -> Ended {
    let safe = || async {
        let Ended { code, stdout, stderr } = ask();
        ensure!(code == Some(0), "{code:?}: {stdout}\n{stderr}");
        Ok(Some(Ended { code, stdout, stderr }))
    };
    let ended = world.wait_for("a safe verdict", 60, safe).await;
    ends(&ended, 0, "v1.36.3: SAFE, exit code 0, ", "");
    ended
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_is_the_verdict_and_a_saved_cluster_gives_the_same() {
    let world = World::builder().without_products().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let kubeconfig =
        flag("kubeconfig", &world.control_plane.lock().await.apiserver.kubeconfig(User::Exporter));
    let file =
        |name: &str, file: &Value| flag("config.file", &world.folder.write(name, file.to_string()).unwrap());
    let config = file("verdict.json", &world.exporter.config);
    let mut alone = world.exporter.config.clone();
    alone["prometheus"] = json!({"urls": []});
    let alone = file("alone.json", &alone);
    let prometheus = format!("--prometheus={}", world.prometheus.url);
    let saved = world.folder.path().join("saved.json");
    let (save, from) = (flag("save", &saved), flag("from", &saved));
    let ask = |target: &str, flags: &[&str]| run(&[&["verdict", target], flags].concat(), "");

    let live = until_safe(&world, || ask("v1.36.3", &[&kubeconfig, &config, &save])).await;
    let again = ask("v1.36.3", &[&from, &config]);
    ends(&again, 0, &live.stdout, "");
    let json = ask("v1.36.3", &[&from, &config, "--output=json"]);
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, document["verdicts"][0]["verdict"].as_str()), (Some(0), Some("safe")));

    let path = kubeconfig.strip_prefix("--kubeconfig=").unwrap();
    let first = format!("/nonexistent/first:{path}");
    let listed = || run_with(&["verdict", "v1.36.3", &config], "", &[("KUBECONFIG", &first)]);
    until_safe(&world, listed).await;
    let none = run_with(
        &["verdict", "v1.36.3", &config],
        "",
        &[("KUBECONFIG", "/nonexistent/first:/nonexistent/second")],
    );
    ends(&none, 3, "", "$KUBECONFIG: cannot use the kubeconfig /nonexistent/first");
    let unasked = ask("v1.36.3", &[&kubeconfig, &alone]);
    ends(&unasked, 3, "api_requests: no Prometheus", "");
    until_safe(&world, || ask("v1.36.3", &[&kubeconfig, &alone, &prometheus])).await;
    ends(&ask("v1.36.3", &[&from, &config, &prometheus]), 3, "", "--prometheus");

    ends(&ask("v1.36.0", &[&kubeconfig, &config]), 2, "v1.36.0: BLOCKED, exit code 2", "");
    let blind = ask("v1.36.3", &[&kubeconfig]);
    ends(&blind, 3, "packages: ", "");
    ends(&ask("nonsense", &[&kubeconfig]), 3, "", "nonsense");
    the_variable_of_the_first_gate_is_ignored_and_a_warning_says_so(&[&kubeconfig, &config]);
    ends(&ask("v1.36.3", &["--from=/nonexistent/saved"]), 3, "", "/nonexistent/saved");

    world.control_plane.lock().await.apiserver.service.stop().await;
    let dead = ask("v1.36.3", &[&kubeconfig, &config, "--output=json"]);
    for source in ["nodes", "definitions", "workloads"] {
        ends(&dead, 3, &format!(r#""subject": "{source}""#), "");
    }
    ends(&ask("v1.36.3", &[&from, &config]), 0, &live.stdout, "");
}

fn the_variable_of_the_first_gate_is_ignored_and_a_warning_says_so(flags: &[&str]) {
    let args = [&["verdict", "v1.37.0"], flags].concat();
    let (told, plain) = (run_with(&args, "", &[("RUNNING_K8S", "1.20")]), run(&args, ""));
    ends(&told, plain.code.unwrap(), "v1.37.0: ", "RUNNING_K8S is ignored");
    assert!(!told.stdout.contains("target_skips_minor"), "{}", told.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matrix_without_schema_gets_the_lines_of_the_first_gate() {
    let world = World::builder().without_products().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let kubeconfig =
        flag("kubeconfig", &world.control_plane.lock().await.apiserver.kubeconfig(User::Exporter));
    let prometheus = format!("--prometheus={}", world.prometheus.url);
    let ask = |target: &str, flags: &[&str], matrix: &str| {
        run(&[&["verdict", target, "--matrix=-", &kubeconfig], flags].concat(), matrix)
    };
    let empty = r#"{"addons": []}"#;
    let safe = ask("1.36.3", &[&prometheus], empty);
    ends(&safe, 0, "", "");
    assert_eq!(safe.stdout, "compat-gate OK: cluster is safe to upgrade to 1.36.3\n");
    ends(&ask("1.36.3", &[], empty), 2, "[ACTIONABLE] removed-API check could not query Prometheus", "");
    ends(&ask("1.36.3", &[&prometheus], "{"), 3, "could not parse compat matrix JSON: ", "");
    ends(&ask("x", &[&prometheus], empty), 3, "bad target version 'x'\n", "");
    let floor = r#"{"containerd_min": {"1.36": "99.0"}}"#;
    ends(&ask("1.36.3", &[&prometheus], floor), 2, "[ACTIONABLE] node cp-1 containerd ", "");
    let missing = r#"{"addons": [{"name": "net", "namespace": "kube-system", "kind": "ds", "resource": "net-node",
        "image_re": "net:v(.*)", "max_k8s": {"1.0": "1.37"}}]}"#;
    let found = ask("1.37.0", &[&prometheus], missing);
    ends(
        &found,
        2,
        "[ACTIONABLE] addon net: could not read running version (img='not found')",
        "\"net-node\"",
    );
}

/// A row for an add-on of this kind, whose releases fit minors up to these.
fn row(kind: &str, name: &str, max_k8s: &Value) -> Value {
    json!({"name": name, "namespace": "default", "kind": kind, "resource": name, "claim": "supported",
        "image_re": format!("{name}:v(\\d+\\.\\d+\\.\\d+)"), "max_k8s": max_k8s, "source": "https://example.com/net"})
}

#[tokio::test(flavor = "multi_thread")]
async fn add_ons_that_run_pass_block_and_hold_and_each_has_its_exit_code() {
    let world = World::builder().without_products().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let template = |name: &str, image: &str| json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": image}]}});
    let deployment = json!({"metadata": {"name": "operator"}, "spec": {"replicas": 2,
        "selector": {"matchLabels": {"app": "operator"}}, "template": template("operator", "net/operator:v1.4.0")}});
    let daemon_set = json!({"metadata": {"name": "agent"}, "spec": {
        "selector": {"matchLabels": {"app": "agent"}}, "template": template("agent", "net/agent:v2.0.1")}});
    let (deployments, daemon_sets) = (
        Api::<Deployment>::namespaced(world.kube.clone(), "default"),
        Api::<DaemonSet>::namespaced(world.kube.clone(), "default"),
    );
    let post = PostParams::default();
    deployments.create(&post, &serde_json::from_value(deployment).unwrap()).await.unwrap();
    daemon_sets.create(&post, &serde_json::from_value(daemon_set).unwrap()).await.unwrap();

    let kubeconfig =
        flag("kubeconfig", &world.control_plane.lock().await.apiserver.kubeconfig(User::Exporter));
    let config = world.folder.write("verdict.json", world.exporter.config.to_string()).unwrap();
    let facts =
        std::fs::read_to_string(world.exporter.config["matrix"]["files"][0].as_str().unwrap()).unwrap();
    let facts = facts.replace("policy: {", "policy: {patch_beyond_ceiling: judge, ");
    assert!(facts.contains("judge"), "{facts}");
    let ask = |operator: &Value, agent: &Value| {
        let rows = json!([row("deploy", "operator", operator), row("ds", "agent", agent)]);
        let args = ["verdict", "v1.36.3", &kubeconfig, &flag("config.file", &config), "--matrix=-"];
        run(&args, &format!("{facts}addons: {rows}\n"))
    };
    let fits = json!({"1.0": "1.36", "2.0": "1.36"});
    world
        .wait_for("both to have rolled out, and to fit", 60, || async {
            let said = ask(&fits, &fits);
            anyhow::ensure!(said.code == Some(0), "{}{}", said.stdout, said.stderr);
            Ok(Some(()))
        })
        .await;
    // A release that fits is there.
    let newer = ask(&json!({"1.0": "1.35", "1.5": "1.36"}), &fits);
    let upgrade = "addon_upgrade_needed (1): an add-on does not fit the target, but a newer release of it does operator: 1.4.0 fits up to 1.35";
    ends(&newer, 2, upgrade, "");
    // None is there yet.
    let waits = ask(&fits, &json!({"2.0": "1.35"}));
    ends(&waits, 4, "v1.36.3: HELD, exit code 4, ", "");
    let wait = "addon_waiting_unreleased (1): no known release of an add-on fits the target agent: 2.0.1 fits up to 1.35";
    ends(&waits, 4, wait, "");
    // A block beside it does not hide it.
    let both = ask(&json!({"1.0": "1.35", "1.5": "1.36"}), &json!({"2.0": "1.35"}));
    ends(&both, 4, upgrade, "");
    ends(&both, 4, wait, "");
    // Of what runs, no row speaks.
    ends(&ask(&json!({"0.1": "1.36", "1.3": "1.36"}), &fits), 3, "addon_newer_than_matrix (1)", "");
}

#[test]
fn every_mistake_in_a_matrix_is_listed_with_its_place() {
    let good = run(&["matrix", "check", "-"], "schema: 2\nas_of: \"2026-09-01\"\n");
    ends(&good, 0, "-: good\n", "");
    let bad = run(&["matrix", "check", "-"], "schema: 3\nas_of: 2026-13-01\nrelease: []\n");
    for place in ["-:1:9: schema: ", "-:2:8: as_of: ", "-:3:1: release: "] {
        ends(&bad, 3, "", place);
    }
    let bundle = run(&["matrix", "bundle"], "");
    assert_eq!(bundle.stdout, include_str!("../../rules/generated/facts.yaml"));
    let asked = run(&["verdict", "v1.36.3", "--matrix=-"], "schema: 3\n");
    ends(&asked, 3, "", "-:1:9: schema: ");
}
