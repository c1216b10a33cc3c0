//! Who uses APIs that the target removes: a real API server that a real Prometheus scrapes. v1.36 serves
//! storage.k8s.io/v1beta1 VolumeAttributesClass where it is told to, and v1.37 does not.

use std::io::Write as _;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use lockkeeper_tests::part::User;
use lockkeeper_tests::{World, parts};
use serde_json::{Value, json};
use tokio::process::Command;

/// How long a change may take until it is told by who reads anew: Prometheus scrapes every 5 s.
const SHOWN_SECONDS: u64 = 60;
const PATCH: &str = "v1.36.3";
const MINOR: &str = "v1.37.0";
/// What Helm would have stored of a chart with a class.
const RELEASE: &str = r#"{"name":"driver","namespace":"storage","chart":{"metadata":{"name":"csi","version":"1.2.3"}},
    "manifest":"apiVersion: storage.k8s.io/v1beta1\nkind: VolumeAttributesClass\nmetadata: {name: gold}\n"}"#;

async fn world() -> World {
    let mut world = World::builder()
        .workers(1)
        .without_products()
        .start()
        .await
        .unwrap_or_else(|error| panic!("{error:#}"));
    let mut plane = world.control_plane.lock().await;
    let version = world.from.clone();
    plane.apiserver.set_runtime_config("storage.k8s.io/v1beta1=true");
    plane.apiserver.restart(&version).await.unwrap_or_else(|error| panic!("{error:#}"));
    drop(plane);
    world.exporter.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world
}

/// Every check of a verdict, read anew: the exporter asks these sources once a minute only.
async fn checks(world: &World, target: &str) -> Result<Vec<Value>> {
    let kubeconfig = world.control_plane.lock().await.apiserver.kubeconfig(User::Exporter);
    let config = world.folder.write("removed-apis.json", world.exporter.config.to_string())?;
    let output = Command::new(parts::own("lockkeeper-exporter")?)
        .args(["verdict", target, "--output=json", "--verbose"])
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg(format!("--config.file={}", config.display()))
        .output()
        .await?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    Ok(document["verdicts"][0]["checks"].as_array().context("no checks")?.clone())
}

/// What each check but the one at hand says.
async fn others(world: &World) -> Vec<(Value, Value)> {
    let checks = checks(world, PATCH).await.unwrap();
    let others = checks.iter().filter(|check| check["id"] != "removed_apis");
    others.map(|check| (check["id"].clone(), check["status"].clone())).collect()
}

/// Waits until the check says so, with this in a finding if it is not empty; returns the check.
async fn expect(world: &World, target: &str, status: &str, finding: &str) -> Value {
    let looks_so = || async move {
        let check = checks(world, target).await?.into_iter().find(|check| check["id"] == "removed_apis");
        let check = check.context("no check of that name")?;
        let told = check["findings"].as_array().context("no findings")?;
        let is_told = finding.is_empty() || told.iter().any(|told| told.to_string().contains(finding));
        anyhow::ensure!(check["status"] == status && is_told, "{check:#}");
        Ok(Some(check))
    };
    world
        .wait_for(&format!("removed_apis to say {status} {finding} of {target}"), SHOWN_SECONDS, looks_so)
        .await
}

/// The reasons of what a check notes.
fn notes(check: &Value) -> Vec<&str> {
    check["notes"].as_array().unwrap().iter().map(|note| note["reason"].as_str().unwrap()).collect()
}

fn classes(world: &World) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("storage.k8s.io", "v1beta1", "VolumeAttributesClass");
    let resource = ApiResource::from_gvk_with_plural(&kind, "volumeattributesclasses");
    Api::all_with(world.kube.clone(), &resource)
}

async fn wait_for_series(world: &World, query: &str, count: usize) {
    world
        .wait_for(&format!("{count} of {query}"), 30, || async {
            Ok((world.prometheus.query(query).await?.len() == count).then_some(()))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_what_goes_blocks_the_minor_and_an_api_server_that_forgets_it_hides_nothing() {
    let world = world().await;
    let check = expect(&world, MINOR, "pass", "").await;
    let read: Vec<_> =
        check["evidence"].as_array().unwrap().iter().map(|it| it["source"].as_str().unwrap()).collect();
    assert_eq!(read, ["matrix", "api_servers", "api_requests", "nodes", "api_writes"], "{check:#}");
    assert_eq!(notes(&check), ["api_proof_short", "helm_not_read"], "{check:#}");
    // The exporter has asked, too.
    let asked = || async {
        let page = world.exporter.get(&format!("/verdict?target={MINOR}")).await?;
        Ok(page.contains("note removed_apis: api_proof_short (1)").then_some(()))
    };
    world.wait_for("the exporter to note the proof", 90, asked).await;

    classes(&world).list(&ListParams::default()).await.unwrap();
    let asked = "storage.k8s.io/v1beta1 volumeattributesclasses";
    let check = expect(&world, MINOR, "block", asked).await;
    assert_eq!(check["findings"][0]["reason"], "api_requested", "{check:#}");
    expect(&world, PATCH, "pass", "").await;

    let gold: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "storage.k8s.io/v1beta1", "kind": "VolumeAttributesClass", "metadata": {"name": "gold"},
        "driverName": "csi.example.com", "parameters": {"tier": "gold"},
    }))
    .unwrap();
    let params = PostParams { field_manager: Some("terraform".to_owned()), ..PostParams::default() };
    classes(&world).create(&params, &gold).await.unwrap();
    expect(&world, MINOR, "block", "terraform wrote 1 of them, gold last").await;
    expect(&world, PATCH, "pass", "").await;

    // It forgets what it was asked for before it was restarted; Prometheus does not.
    let version = world.from.clone();
    world.control_plane.lock().await.apiserver.restart(&version).await.unwrap();
    wait_for_series(&world, "apiserver_requested_deprecated_apis{resource=\"volumeattributesclasses\"}", 0)
        .await;
    expect(&world, MINOR, "block", "not since the API server started").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_source_that_is_taken_away_makes_this_check_unknown_and_no_other() {
    let mut world = world().await;
    expect(&world, PATCH, "pass", "").await;
    let before = others(&world).await;
    assert!(before.len() > 9 && before.iter().all(|(_, status)| status == "pass"), "{before:?}");

    world.prometheus.service.stop().await;
    expect(&world, PATCH, "unknown", "api_requests").await;
    assert_eq!(others(&world).await, before);
    world.prometheus.start().await.unwrap();
    expect(&world, PATCH, "pass", "").await;

    let roles: Api<ClusterRole> = Api::all(world.kube.clone());
    let role = roles.get("lockkeeper-exporter").await.unwrap();
    let mut less = role.clone();
    let is_other =
        |groups: &Option<Vec<String>>| groups.iter().flatten().all(|group| group != "networking.k8s.io");
    less.rules.as_mut().unwrap().retain(|rule| is_other(&rule.api_groups));
    roles.replace("lockkeeper-exporter", &PostParams::default(), &less).await.unwrap();
    expect(&world, PATCH, "unknown", "cannot list resource \\\"ipaddresses\\\"").await;
    assert_eq!(others(&world).await, before);
    let whole = Patch::Merge(json!({"rules": role.rules}));
    roles.patch("lockkeeper-exporter", &PatchParams::default(), &whole).await.unwrap();
    expect(&world, PATCH, "pass", "").await;

    ask_for_helm(&world);
    expect(&world, PATCH, "unknown", "cannot list resource \\\"secrets\\\"").await;
    assert_eq!(others(&world).await, before);
    give_the_right_to_helm(&world).await;
    let check = expect(&world, MINOR, "unknown", "helm_not_found").await;
    assert_eq!(notes(&check), ["api_proof_short"], "{check:#}");
    store_a_release(&world).await;
    expect(&world, MINOR, "block", "storage.k8s.io/v1beta1 VolumeAttributesClass from the chart csi 1.2.3")
        .await;
    expect(&world, PATCH, "pass", "").await;
}

/// The operator wants the releases of Helm to be looked at.
fn ask_for_helm(world: &World) {
    let file = world.exporter.config["matrix"]["files"][0].as_str().unwrap();
    let before = std::fs::read_to_string(file).unwrap();
    let wish = before.replace("policy: {", "policy: {helm_manifests: required, ");
    assert_ne!(wish, before);
    std::fs::write(file, wish).unwrap();
}

/// What `deploy/helm` gives, to the user that the exporter is here.
async fn give_the_right_to_helm(world: &World) {
    let text = include_str!("../../deploy/helm/rbac.yaml");
    let [role, mut binding]: [Value; 2] =
        serde_yaml::from_multiple(text).unwrap().try_into().expect("a role and its binding");
    binding["subjects"] =
        json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "exporter"}]);
    let roles: Api<ClusterRole> = Api::all(world.kube.clone());
    let bindings: Api<ClusterRoleBinding> = Api::all(world.kube.clone());
    roles.create(&PostParams::default(), &serde_json::from_value(role).unwrap()).await.unwrap();
    bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
}

/// A release, zipped and in Base64 of its own as Helm keeps it.
async fn store_a_release(world: &World) {
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zipped.write_all(RELEASE.as_bytes()).unwrap();
    let zipped = base64(&zipped.finish().unwrap());
    let labels = json!({"owner": "helm", "status": "deployed", "name": "driver", "version": "1"});
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "sh.helm.release.v1.driver.v1", "labels": labels}, "type": "helm.sh/release.v1",
        "stringData": {"release": zipped},
    }))
    .unwrap();
    let secrets: Api<Secret> = Api::namespaced(world.kube.clone(), "default");
    secrets.create(&PostParams::default(), &secret).await.unwrap();
}

/// JSON writes bytes of a Secret so.
fn base64(bytes: &[u8]) -> String {
    let written = serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec())).unwrap();
    written.as_str().unwrap().to_owned()
}
