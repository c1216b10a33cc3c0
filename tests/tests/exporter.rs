//! The exporter against a real control plane: what it shows is what is, and it says so when it no longer knows.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, PostParams};
use lockkeeper_tests::{World, parts};
use serde_json::json;

/// The longest age that a proof may reach while everything works: past 24 s the exporter lists anew, which it sees at
/// the end of a window of 8 s.
const PROOF_SECONDS_MAX: f64 = 34.0;

async fn world() -> World {
    let mut world =
        World::builder().without_products().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.exporter.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world
}

/// The value of one series in a page of metrics.
fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

async fn metrics(world: &World) -> anyhow::Result<String> {
    world.exporter.get("/metrics").await
}

async fn age(world: &World) -> f64 {
    let page = metrics(world).await.unwrap();
    let proven = value(&page, "k8s_upgrade_state_timestamp_seconds").expect("the state was proven once");
    seconds_now() - proven
}

fn seconds_now() -> f64 {
    Timestamp::now().as_duration().as_secs_f64()
}

async fn wait_for_series(world: &World, series: &str, expected: Option<f64>) {
    let what = format!("{series} to be {expected:?}");
    world
        .wait_for(&what, 30, || async {
            Ok((value(&metrics(world).await?, series) == expected).then_some(()))
        })
        .await;
}

async fn create_node(world: &World, name: &str) {
    let node: Node = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    world.nodes().create(&PostParams::default(), &node).await.unwrap();
}

/// OpenMetrics as the older text format, which promtool reads: there a counter's head has its suffix.
fn as_text_format(page: &str) -> String {
    let counters: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let head = |line: &str| {
        let mut words = line.splitn(4, ' ');
        let (hash, kind, name) = (words.next()?, words.next()?, words.next()?);
        (hash == "#" && counters.contains(&name))
            .then(|| format!("# {kind} {name}_total {}", words.next().unwrap_or("")))
    };
    page.lines().map(|line| head(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

fn promtool_check_metrics(page: &str) -> (bool, String) {
    let mut child = Command::new(parts::prometheus("promtool").unwrap())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_is_what_the_cluster_is() {
    let world = world().await;
    for source in ["packages", "webhook_backends"] {
        wait_for_series(&world, &format!("k8s_upgrade_source_up{{source=\"{source}\"}}"), Some(1.0)).await;
    }
    let page = metrics(&world).await.unwrap();
    for series in [
        "k8s_upgrade_node_ready{node=\"cp-1\"}",
        "k8s_upgrade_node_ready{node=\"worker-2\"}",
        "k8s_upgrade_source_up{source=\"kube_api\"}",
    ] {
        assert_eq!(value(&page, series), Some(1.0), "{series}\n{page}");
    }
    assert_eq!(value(&page, "k8s_upgrade_in_flight"), Some(0.0), "{page}");
    let (passed, said) = promtool_check_metrics(&as_text_format(&page));
    assert!(passed, "{said}");

    world
        .wait_for("a safe verdict", 60, || async {
            let verdict = world.exporter.get("/verdict?target=v1.36.3").await?;
            ensure!(verdict.starts_with("v1.36.3: SAFE"), "{verdict}");
            Ok(Some(()))
        })
        .await;
    let verdict = world.exporter.get("/verdict?target=v1.36.0").await.unwrap();
    assert!(verdict.starts_with("v1.36.0: BLOCKED"), "{verdict}");

    let request = reqwest::Client::new()
        .get(format!("{}/metrics", world.exporter.url))
        .header("accept-encoding", "gzip");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let mut plain = String::new();
    flate2::read::MultiGzDecoder::new(answer.bytes().await.unwrap().as_ref())
        .read_to_string(&mut plain)
        .unwrap();
    assert_eq!(value(&plain, "k8s_upgrade_node_ready{node=\"cp-1\"}"), Some(1.0));

    // Prometheus itself reads the page, compressed or not.
    world
        .wait_for("Prometheus to have scraped the nodes", 30, || async {
            Ok((world.prometheus.query("k8s_upgrade_node_ready == 1").await?.len() == 3).then_some(()))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_deleted_leaves_nothing_behind() {
    let world = world().await;
    create_node(&world, "ghost").await;
    wait_for_series(&world, "k8s_upgrade_node_ready{node=\"ghost\"}", Some(0.0)).await;
    world.nodes().delete("ghost", &DeleteParams::default()).await.unwrap();
    world
        .wait_for("the ghost to vanish", 30, || async {
            Ok((!metrics(&world).await?.contains("ghost")).then_some(()))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_cluster_is_proven_again_and_again_without_a_new_list() {
    let world = world().await;
    let lists = "k8s_upgrade_watch_restarts_total{resource=\"nodes\"}";
    let until = Instant::now() + Duration::from_secs(40);
    while Instant::now() < until {
        let age = age(&world).await;
        assert!(
            age < PROOF_SECONDS_MAX,
            "the state was proven {age} s ago\n{}",
            metrics(&world).await.unwrap()
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(value(&metrics(&world).await.unwrap(), lists), Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_survived_and_the_age_of_the_state_tells_of_it() {
    let world = world().await;
    let version = world.from.clone();
    world.control_plane.lock().await.apiserver.service.kill();
    let killed = seconds_now();
    wait_for_series(&world, "k8s_upgrade_source_up{source=\"kube_api\"}", Some(0.0)).await;
    world
        .wait_for("the age to grow past what a proof may take", 60, || async {
            Ok((age(&world).await > PROOF_SECONDS_MAX).then_some(()))
        })
        .await;
    let page = metrics(&world).await.unwrap();
    // Each source by itself: the oldest proof alone would hide one that calls a failure a proof.
    for source in ["kube_api", "nodes", "api_servers", "static_pods", "controller_leases", "runs"] {
        let series = format!("k8s_upgrade_source_last_success_timestamp_seconds{{source=\"{source}\"}}");
        let proven = value(&page, &series).expect("it was proven once");
        assert!(proven <= killed, "{source} was proven {} s after the end", proven - killed);
    }
    assert_eq!(
        value(&page, "k8s_upgrade_node_ready{node=\"worker-1\"}"),
        Some(1.0),
        "what was last known is kept"
    );
    assert_eq!(world.exporter.get("/readyz").await.unwrap(), "ok\n", "a Service must not drop it now");
    let verdict = world.exporter.get("/verdict?target=v1.36.3").await.unwrap();
    assert!(verdict.starts_with("v1.36.3: UNKNOWN"), "{verdict}");

    world.control_plane.lock().await.apiserver.restart(&version).await.unwrap();
    wait_for_series(&world, "k8s_upgrade_source_up{source=\"kube_api\"}", Some(1.0)).await;
    create_node(&world, "late").await;
    wait_for_series(&world, "k8s_upgrade_node_ready{node=\"late\"}", Some(0.0)).await;
    world
        .wait_for("the state to be proven again", 30, || async {
            Ok((age(&world).await < 15.0).then_some(()))
        })
        .await;
}
