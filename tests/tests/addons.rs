//! Add-ons as real objects on a real API server. No controllers run here: the test itself writes what they would.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use lockkeeper_exporter::client::kubernetes::Cluster;
use lockkeeper_exporter::read::inventory::{Inventories, inventory_now};
use lockkeeper_exporter::read::polled_sources::PolledConfig;
use lockkeeper_rules::cluster::inventory::Inventory;
use lockkeeper_rules::cluster::snapshot::{ApiServer as Server, Snapshot, Source};
use lockkeeper_rules::facts::Matrix;
use lockkeeper_rules::facts::reload::InForce;
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::verdict::{Case, Check, verdict};
use lockkeeper_rules::words::selector::Selector;
use lockkeeper_tests::certs::Certs;
use lockkeeper_tests::part::{ApiServer, Etcd, User};
use lockkeeper_tests::run_folder::RunFolder;
use lockkeeper_tests::wait::wait_for;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// How long a change may take until it is seen.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
const ROW: &str = r#"{name: net, namespace: default, kind: ds, resource: net-node, image_re: 'net/node:v(\d+\.\d+\.\d+)',
  claim: supported, max_k8s: {"1.0": "1.35", "1.1": "1.36"}, source: "https://example.com/net"}"#;

/// The row, with this policy.
fn matrix(policy: &str) -> Matrix {
    matrix_of(ROW, policy)
}

fn matrix_of(row: &str, policy: &str) -> Matrix {
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let text = format!("schema: 2\nas_of: \"{today}\"\naddons: [{row}]\npolicy: {policy}\n");
    Matrix::load(&[("mine.yaml", &text)]).expect("a row that can be read")
}

fn witnesses(matrix: &Matrix) -> PolledConfig {
    let facts = InForce { matrix: Arc::new(matrix.clone()), loaded_at: Timestamp::now() };
    PolledConfig { prometheus: Vec::new(), selector: Selector::default(), facts: watch::channel(facts).1 }
}

/// What is said of add-ons, for a cluster at v1.35.4 that asks for v1.36.3.
fn judged(inventory: &Inventory, matrix: &Matrix) -> Check {
    let now = Timestamp::now();
    let version = Ok("v1.35.4".parse().expect("a version"));
    let mut snapshot = Snapshot::unread();
    snapshot.api_servers = Source::read(vec![Server { name: "a".to_owned(), version, ready: true }], now);
    let case = Case { snapshot: &snapshot, inventory, matrix, settings: &Settings::default(), now };
    let checks = verdict("v1.36.3", &case).checks;
    checks.into_iter().find(|check| check.id == "addons").expect("the check of add-ons")
}

/// What the watches say of add-ons, without a look at their pods.
fn check(inventories: &Inventories) -> Check {
    let believed = |note: &Finding| note.reason != Reason::AddonPodsNotRead;
    let mut check = judged(&inventories.inventory(), &matrix("{}"));
    check.notes.retain(believed);
    check
}

/// Waits until the check says just these reasons, findings first and then notes.
async fn wait_for_reasons(inventories: &Inventories, reasons: &[&str]) {
    let what = format!("add-ons to say {reasons:?}");
    let seen = wait_for(&what, SEEN_WITHIN, || async {
        let check = check(inventories);
        let found: Vec<_> =
            check.findings.iter().chain(&check.notes).map(|finding| finding.reason.code()).collect();
        Ok((found == reasons).then_some(()))
    });
    seen.await.unwrap_or_else(|error| panic!("{error:#}: {:#?}", check(inventories)));
}

fn object(name: &str, image: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": image}]}}}})
}

/// An API server alone.
async fn server() -> (ApiServer, Etcd, Arc<RunFolder>) {
    let folder = Arc::new(RunFolder::create().unwrap());
    let address = folder.address(1);
    let certs = Certs::make(&folder, address).unwrap();
    let etcd = Etcd::start(&folder, &certs, address, "etcd").await.unwrap();
    let api = ApiServer::start(&folder, &certs, &etcd, address, &"v1.36.1".parse().unwrap()).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(api.client(User::Admin).await.unwrap());
    wait_for("the namespace default", SEEN_WITHIN, || async {
        Ok(namespaces.get_opt("default").await?.map(|_| ()))
    })
    .await
    .unwrap();
    (api, etcd, folder)
}

/// What the controller of DaemonSets writes once two pods follow the template.
async fn follow(daemon_sets: &Api<DaemonSet>, generation: i64) {
    let status = json!({"status": {"observedGeneration": generation, "desiredNumberScheduled": 2,
        "currentNumberScheduled": 2, "updatedNumberScheduled": 2, "numberMisscheduled": 0, "numberReady": 2}});
    daemon_sets.patch_status("net-node", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
}

#[tokio::test]
async fn addons_are_seen_as_they_are_and_a_rollout_at_work_is_unknown() {
    let (api, _etcd, _folder) = server().await;
    let client = api.client(User::Admin).await.unwrap();
    let inventories = Inventories::new(&Arc::new(Notify::new()), witnesses(&matrix("{}")));
    let mut tasks = JoinSet::new();
    let cluster = Cluster::connect(Some(&api.kubeconfig(User::Admin))).await.unwrap();
    inventories.open(&cluster, &mut tasks);
    wait_for_reasons(&inventories, &["addon_missing"]).await;

    let daemon_sets: Api<DaemonSet> = Api::namespaced(client.clone(), "default");
    let net = serde_json::from_value(object("net-node", "10.96.0.1:5000/net/node:v1.0.0")).unwrap();
    daemon_sets.create(&PostParams::default(), &net).await.unwrap();
    wait_for_reasons(&inventories, &["addon_rolling_out"]).await;
    follow(&daemon_sets, 1).await;
    wait_for_reasons(&inventories, &["addon_upgrade_needed"]).await;

    let newer = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "net/node:v1.1.0"}]}}}});
    daemon_sets.patch("net-node", &PatchParams::default(), &Patch::Merge(&newer)).await.unwrap();
    wait_for_reasons(&inventories, &["addon_rolling_out"]).await;
    follow(&daemon_sets, 2).await;
    wait_for_reasons(&inventories, &[]).await;

    let others: Api<Deployment> = Api::namespaced(client, "kube-system");
    let other = serde_json::from_value(object("mystery", "mystery:v1")).unwrap();
    others.create(&PostParams::default(), &other).await.unwrap();
    wait_for_reasons(&inventories, &["addon_not_covered"]).await;
    daemon_sets.delete("net-node", &DeleteParams::default()).await.unwrap();
    wait_for_reasons(&inventories, &["addon_missing", "addon_not_covered"]).await;
}

#[tokio::test]
async fn what_bears_a_label_is_seen_and_what_was_left_behind_too() {
    let (api, _etcd, _folder) = server().await;
    let client = api.client(User::Admin).await.unwrap();
    let seen = "if_absent: not-applicable, witnesses: {names: [net], crd_groups: [net.example.com]}, claim:";
    let matrix = matrix_of(&ROW.replace("claim:", seen), "{}");
    let config = witnesses(&matrix);
    let said = async || {
        let inventory = inventory_now(&client, &config, SEEN_WITHIN).await;
        let findings = judged(&inventory, &matrix).findings;
        findings.iter().map(|finding| finding.reason.code()).collect::<Vec<_>>()
    };
    assert!(said().await.is_empty());
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let nets = json!({"metadata": {"name": "nets.net.example.com"}, "spec": {"group": "net.example.com",
        "scope": "Cluster", "names": {"kind": "Net", "plural": "nets"}, "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
    definitions.create(&PostParams::default(), &serde_json::from_value(nets).unwrap()).await.unwrap();
    assert_eq!(said().await, ["addon_leftover"]);
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "default");
    let mut renamed = object("prod", "q.io/things:v1.1.0");
    renamed["metadata"]["labels"] = json!({"app.kubernetes.io/name": "net"});
    deployments.create(&PostParams::default(), &serde_json::from_value(renamed).unwrap()).await.unwrap();
    assert_eq!(said().await, ["addon_version_unreadable"]);
    deployments.delete("prod", &DeleteParams::default()).await.unwrap();
    definitions.delete("nets.net.example.com", &DeleteParams::default()).await.unwrap();
    // The API server takes its objects away first.
    wait_for("the definition to be gone", SEEN_WITHIN, || async {
        Ok(definitions.get_opt("nets.net.example.com").await?.is_none().then_some(()))
    })
    .await
    .unwrap();
    assert!(said().await.is_empty());
}

/// A pod of `net-node` that runs an image, as its kubelet says.
async fn runs(pods: &Api<Pod>, name: &str, image_id: &str) {
    if pods.get_opt(name).await.unwrap().is_none() {
        let pod = json!({"metadata": {"name": name, "labels": {"app": "net-node"}, "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "net-node", "uid": "u", "controller": true}]},
            "spec": {"containers": [{"name": "main", "image": "net/node:v1.1.0"}]}});
        pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    }
    let status = json!({"status": {"phase": "Running", "containerStatuses": [{"name": "main", "image": "net/node:v1.1.0",
        "imageID": image_id, "ready": true, "restartCount": 0}]}});
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
}

#[tokio::test]
async fn pods_that_run_another_build_than_each_other_are_unknown() {
    let (api, _etcd, _folder) = server().await;
    let client = api.client(User::Admin).await.unwrap();
    let matrix = matrix("{addon_pods: required}");
    let config = witnesses(&matrix);
    let said = async || {
        let inventory = inventory_now(&client, &config, SEEN_WITHIN).await;
        let check = judged(&inventory, &matrix);
        let found: Vec<_> = check.findings.iter().map(|finding| finding.reason.code()).collect();
        (format!("{check:#?}"), found)
    };
    let daemon_sets: Api<DaemonSet> = Api::namespaced(client.clone(), "default");
    let net = serde_json::from_value(object("net-node", "net/node:v1.1.0")).unwrap();
    daemon_sets.create(&PostParams::default(), &net).await.unwrap();
    follow(&daemon_sets, 1).await;
    // Its controller does not run here either.
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let account = serde_json::from_value(json!({"metadata": {"name": "default"}})).unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let (a, b) = ("q.io/net/node@sha256:aa", "q.io/net/node@sha256:bb");
    runs(&pods, "net-1", a).await;
    for (second, expected) in
        [(None, vec!["addon_pods_unread"]), (Some(b), vec!["addon_pods_differ"]), (Some(a), vec![])]
    {
        if let Some(image_id) = second {
            runs(&pods, "net-2", image_id).await;
        }
        let (shown, found) = said().await;
        assert_eq!(found, expected, "{shown}");
    }

    // The same, as it is kept while a program runs.
    let inventories = Inventories::new(&Arc::new(Notify::new()), witnesses(&matrix));
    let mut tasks = JoinSet::new();
    inventories.open(&Cluster::connect(Some(&api.kubeconfig(User::Admin))).await.unwrap(), &mut tasks);
    wait_for("the pods to be asked for", SEEN_WITHIN, || async {
        let check = judged(&inventories.inventory(), &matrix);
        Ok((check.findings.is_empty() && check.notes.is_empty()).then_some(()))
    })
    .await
    .unwrap();
}
