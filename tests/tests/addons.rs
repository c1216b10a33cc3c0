//! Add-ons as real objects on a real API server. No controllers run here: the test itself writes what they would.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use lockkeeper_exporter::kube_client::Cluster;
use lockkeeper_exporter::read::inventory::Inventories;
use lockkeeper_exporter::read::witness::WitnessConfig;
use lockkeeper_rules::matrix::Matrix;
use lockkeeper_rules::matrix::reload::InForce;
use lockkeeper_rules::selector::Selector;
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::snapshot::{ApiServer as Server, Snapshot, Source};
use lockkeeper_rules::verdict::{Case, Check, verdict};
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
  claim: tested, max_k8s: {"1.0": "1.35", "1.1": "1.36"}, source: "https://example.com/net"}"#;

/// What the watches say of add-ons, for a cluster at v1.35.4 that asks for v1.36.3.
fn check(inventories: &Inventories) -> Check {
    let now = Timestamp::now();
    let version = Ok("v1.35.4".parse().expect("a version"));
    let mut snapshot = Snapshot::unread();
    snapshot.api_servers = Source::read(vec![Server { name: "a".to_owned(), version, ready: true }], now);
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let text = format!("schema: 2\nas_of: \"{today}\"\naddons: [{ROW}]\n");
    let matrix = Matrix::load(&[("mine.yaml", &text)]).expect("a row that can be read");
    let (inventory, settings) = (&inventories.inventory(), &Settings::default());
    let case = Case { snapshot: &snapshot, inventory, matrix: &matrix, settings, now };
    let checks = verdict("v1.36.3", &case).checks;
    checks.into_iter().find(|check| check.id == "addons").expect("the check of add-ons")
}

/// Waits until the check says just these reasons, findings first and then notes.
async fn says(inventories: &Inventories, reasons: &[&str]) {
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

#[tokio::test]
async fn addons_are_seen_as_they_are_and_a_rollout_at_work_is_unknown() {
    let folder = Arc::new(RunFolder::create().unwrap());
    let address = folder.address(1);
    let certs = Certs::make(&folder, address).unwrap();
    let etcd = Etcd::start(&folder, &certs, address, "etcd").await.unwrap();
    let api = ApiServer::start(&folder, &certs, &etcd, address, &"v1.36.1".parse().unwrap()).await.unwrap();
    let client = api.client(User::Admin).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    wait_for("the namespace default", SEEN_WITHIN, || async {
        Ok(namespaces.get_opt("default").await?.map(|_| ()))
    })
    .await
    .unwrap();

    let facts = InForce { matrix: Arc::new(Matrix::built_in()), loaded_at: Timestamp::now() };
    let witness_config = WitnessConfig {
        prometheus: Vec::new(),
        selector: Selector::default(),
        facts: watch::channel(facts).1,
    };
    let inventories = Inventories::new(&Arc::new(Notify::new()), witness_config);
    let mut tasks = JoinSet::new();
    let cluster = Cluster::connect(Some(&api.kubeconfig(User::Admin))).await.unwrap();
    inventories.open(&cluster, &mut tasks);
    says(&inventories, &["addon_missing"]).await;

    let daemon_sets: Api<DaemonSet> = Api::namespaced(client.clone(), "default");
    let net = serde_json::from_value(object("net-node", "10.96.0.1:5000/net/node:v1.0.0")).unwrap();
    daemon_sets.create(&PostParams::default(), &net).await.unwrap();
    says(&inventories, &["addon_rolling_out"]).await;
    let follow = async |generation: i64| {
        let status = json!({"status": {"observedGeneration": generation, "desiredNumberScheduled": 2,
            "currentNumberScheduled": 2, "updatedNumberScheduled": 2, "numberMisscheduled": 0, "numberReady": 2}});
        let patch = Patch::Merge(&status);
        daemon_sets.patch_status("net-node", &PatchParams::default(), &patch).await.unwrap();
    };
    follow(1).await;
    says(&inventories, &["addon_upgrade_needed"]).await;

    let newer = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "net/node:v1.1.0"}]}}}});
    daemon_sets.patch("net-node", &PatchParams::default(), &Patch::Merge(&newer)).await.unwrap();
    says(&inventories, &["addon_rolling_out"]).await;
    follow(2).await;
    says(&inventories, &[]).await;

    let others: Api<Deployment> = Api::namespaced(client, "kube-system");
    let other = serde_json::from_value(object("mystery", "mystery:v1")).unwrap();
    others.create(&PostParams::default(), &other).await.unwrap();
    says(&inventories, &["addon_not_covered"]).await;
    daemon_sets.delete("net-node", &DeleteParams::default()).await.unwrap();
    says(&inventories, &["addon_missing", "addon_not_covered"]).await;
}
