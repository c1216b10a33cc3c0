//! What in the shape of a cluster would make a drain stand still, as real objects on a real control plane.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PersistentVolume, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use lockkeeper_tests::part::User;
use lockkeeper_tests::world::Workload;
use lockkeeper_tests::{World, parts};
use serde_json::{Value, json};

const TARGET: &str = "v1.36.3";
/// How long a change may take until a verdict tells it: a window of a watch, a proof, and a pause.
const SHOWN_WITHIN_SECONDS: u64 = 45;
/// What the exporter may do.
const ROLE: &str = "lockkeeper-exporter";

/// Waits until the running exporter's verdict begins with this and has all of these words.
async fn expect(world: &World, begin: &str, words: &[&str]) {
    let what = format!("the verdict to be {begin} and to say {words:?}");
    let told = || async {
        let text = world.exporter.get(&format!("/verdict?target={TARGET}")).await?;
        // Lines are broken for a terminal.
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_it = line.starts_with(begin) && words.iter().all(|word| line.contains(word));
        anyhow::ensure!(is_it, "{text}");
        Ok(Some(()))
    };
    world.wait_for(&what, SHOWN_WITHIN_SECONDS, told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_is_never_satisfied_blocks_until_it_is_gone() {
    let mut world =
        World::builder().without_products().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.exporter.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    expect(&world, "v1.36.3: SAFE", &["disruption_budgets", "webhooks", "volume_plugins"]).await;

    world.deploy(&Workload::new("guarded", 2).min_available(2)).await.unwrap();
    let words = ["pdb_blocked (1)", "default/guarded: wants 2 of 2 pods healthy", "relax the budget"];
    expect(&world, "v1.36.3: BLOCKED", &words).await;
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(world.kube.clone(), "default");
    let patch = |spec: Value| Patch::Merge(json!({"spec": spec}));
    budgets.patch("guarded", &PatchParams::default(), &patch(json!({"minAvailable": 1}))).await.unwrap();
    expect(&world, "v1.36.3: SAFE", &[]).await;

    let twice = json!({"metadata": {"name": "again"},
        "spec": {"maxUnavailable": "50%", "selector": {"matchLabels": {"app": "guarded"}}}});
    budgets.create(&PostParams::default(), &serde_json::from_value(twice).unwrap()).await.unwrap();
    expect(
        &world,
        "v1.36.3: BLOCKED",
        &["pdb_blocked (1)", "Deployment default/guarded: ", "again, guarded"],
    )
    .await;
    budgets.delete("guarded", &DeleteParams::default()).await.unwrap();
    expect(&world, "v1.36.3: SAFE", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_of_a_plugin_that_is_gone_is_named() {
    let mut world =
        World::builder().without_products().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.exporter.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let volumes: Api<PersistentVolume> = Api::all(world.kube.clone());
    let old = json!({"metadata": {"name": "old"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"}, "rbd": {"image": "i", "monitors": ["10.0.0.1"]}}});
    volumes.create(&PostParams::default(), &serde_json::from_value(old).unwrap()).await.unwrap();
    // The cluster runs a minor that does not have it: nothing is lost that is not lost already.
    expect(
        &world,
        "v1.36.3: SAFE",
        &["volume_plugin_gone (1)", "PersistentVolume old: ", "is gone since 1.31"],
    )
    .await;
}

/// A custom resource with two versions, of which v1 is stored if asked for.
fn widgets(is_v1_stored: bool, is_v1beta1_served: bool) -> Value {
    let version = |name: &str, served: bool, storage: bool| json!({"name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": {"type": "object"}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [version("v1beta1", is_v1beta1_served, !is_v1_stored), version("v1", true, is_v1_stored)]},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_stored_and_not_served_blocks_until_it_is_no_longer_stored() {
    let mut world =
        World::builder().without_products().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.exporter.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let definitions: Api<CustomResourceDefinition> = Api::all(world.kube.clone());
    let apply = PatchParams::apply("add-on").force();
    let lay = |definition: Value| {
        let (definitions, apply) = (definitions.clone(), apply.clone());
        async move { definitions.patch("widgets.example.com", &apply, &Patch::Apply(definition)).await.unwrap() }
    };
    lay(widgets(false, true)).await;
    expect(&world, "v1.36.3: SAFE", &["stored_versions"]).await;
    // The API server itself writes down that both are stored.
    lay(widgets(true, true)).await;
    let old = "widgets.example.com: objects may still be stored as v1beta1, the storage version is v1";
    expect(&world, "v1.36.3: SAFE", &["note stored_versions: stored_version_old (1)", old]).await;
    lay(widgets(true, false)).await;
    let words = [
        "block stored_versions: stored_version_unserved (1)",
        "widgets.example.com: objects may be stored as v1beta1",
    ];
    expect(&world, "v1.36.3: BLOCKED", &words).await;
    let migrated = Patch::Merge(json!({"status": {"storedVersions": ["v1"]}}));
    definitions.patch_status("widgets.example.com", &PatchParams::default(), &migrated).await.unwrap();
    expect(&world, "v1.36.3: SAFE", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_without_somebody_who_stays_blocks_and_each_lost_source_blinds_its_check_alone() {
    let mut world =
        World::builder().without_products().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.exporter.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let services: Api<Service> = Api::namespaced(world.kube.clone(), "default");
    let service = json!({"metadata": {"name": "hook"}, "spec": {"selector": {"app": "hook"},
        "ports": [{"port": 443, "targetPort": 9443}]}});
    services.create(&PostParams::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(world.kube.clone());
    let configuration = serde_json::from_value(webhook()).unwrap();
    configurations.create(&PostParams::default(), &configuration).await.unwrap();
    let words = [
        "webhook_dead (1)",
        "ValidatingWebhookConfiguration guard: ",
        "Service default/hook has no ready endpoint",
    ];
    expect(&world, "v1.36.3: BLOCKED", &[&words[..], &["pods/eviction", "start its pods"]].concat()).await;

    world.deploy(&Workload::new("spare", 1)).await.unwrap();
    let deployments: Api<Deployment> = Api::namespaced(world.kube.clone(), "default");
    deployments.create(&PostParams::default(), &serde_json::from_value(hook()).unwrap()).await.unwrap();
    let words = ["webhook_on_one_node", "Deployment default/hook with 1 replica", "different nodes"];
    expect(&world, "v1.36.3: BLOCKED", &words).await;
    let two = Patch::Merge(json!({"spec": {"replicas": 2}}));
    deployments.patch("hook", &PatchParams::default(), &two).await.unwrap();
    expect(&world, "v1.36.3: SAFE", &[]).await;

    each_lost_source_blinds_its_check_alone(&world).await;
    let one = Patch::Merge(json!({"spec": {"replicas": 0}}));
    deployments.patch("hook", &PatchParams::default(), &one).await.unwrap();
    expect(&world, "v1.36.3: BLOCKED", &["webhook_dead"]).await;
    configurations.delete("guard", &DeleteParams::default()).await.unwrap();
    expect(&world, "v1.36.3: SAFE", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_blocks_unless_somebody_answers_where_it_is_asked() {
    let mut world =
        World::builder().without_products().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.exporter.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    let services: Api<Service> = Api::namespaced(world.kube.clone(), "default");
    let service = json!({"metadata": {"name": "hook"}, "spec": {"selector": {"app": "hook"},
        "ports": [{"port": 443, "targetPort": "webhook"}]}});
    services.create(&PostParams::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
    let mut deployment = hook();
    deployment["spec"]["replicas"] = json!(2);
    deployment["spec"]["template"]["spec"]["containers"][0]["ports"] =
        json!([{"name": "webhook", "containerPort": 9443}]);
    let deployments: Api<Deployment> = Api::namespaced(world.kube.clone(), "default");
    deployments.create(&PostParams::default(), &serde_json::from_value(deployment).unwrap()).await.unwrap();
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(world.kube.clone());
    configurations.create(&PostParams::default(), &serde_json::from_value(webhook()).unwrap()).await.unwrap();
    expect(&world, "v1.36.3: SAFE", &[]).await;

    let asked_at = async |client: Value| {
        let mut changed = webhook();
        changed["webhooks"][0]["clientConfig"] = client;
        let patch = Patch::Merge(json!({"webhooks": changed["webhooks"]}));
        configurations.patch("guard", &PatchParams::default(), &patch).await.unwrap();
    };
    let at_port = |port: u16| json!({"service": {"namespace": "default", "name": "hook", "port": port}});
    asked_at(at_port(8443)).await;
    let words = ["webhook_dead", "Service default/hook has no port 8443/TCP, only 443/TCP", "fix the port"];
    expect(&world, "v1.36.3: BLOCKED", &words).await;
    asked_at(at_port(443)).await;
    expect(&world, "v1.36.3: SAFE", &[]).await;

    let leads_to = async |target: Value| {
        let ports = json!([{"port": 443, "protocol": "TCP", "targetPort": target}]);
        let patch = Patch::Merge(json!({"spec": {"ports": ports}}));
        services.patch("hook", &PatchParams::default(), &patch).await.unwrap();
    };
    leads_to(json!("https")).await;
    let words = ["webhook_dead", "leads to targetPort https, which none of its 2 ready endpoints has"];
    expect(&world, "v1.36.3: BLOCKED", &words).await;
    leads_to(json!(9444)).await;
    let words = ["webhook_unproven", "targetPort 9444, which no container of Deployment default/hook names"];
    expect(&world, "v1.36.3: BLOCKED", &words).await;
    leads_to(json!(9443)).await;
    expect(&world, "v1.36.3: SAFE", &[]).await;

    asked_at(json!({"url": "https://hooks.example/"})).await;
    let words = [
        "webhook_unproven (1)",
        "ValidatingWebhookConfiguration guard/evictions.guard.example",
        "it is asked at https://hooks.example/; it has answered no call within 60 minutes",
        "pods/eviction in kube-system, default",
    ];
    expect(&world, "v1.36.3: BLOCKED", &words).await;
    configurations.delete("guard", &DeleteParams::default()).await.unwrap();
    expect(&world, "v1.36.3: SAFE", &[]).await;
}

/// A webhook of every eviction, answered by `default/hook`: nothing that this test itself asks for.
fn webhook() -> Value {
    json!({"metadata": {"name": "guard"}, "webhooks": [{
        "name": "evictions.guard.example", "admissionReviewVersions": ["v1"], "sideEffects": "None",
        "failurePolicy": "Fail", "clientConfig": {"service": {"namespace": "default", "name": "hook"}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods/eviction"]}],
    }]})
}

/// One replica, and never two on one node.
fn hook() -> Value {
    let labels = json!({"app": "hook"});
    let apart = json!([{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}]);
    json!({"metadata": {"name": "hook"}, "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "app", "image": "app"}],
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": apart}}},
    }}})
}

/// What is not known without nodes: they tell where API servers are, and so what to ask the package repository for.
const OF_NODES: &[&str] = &[
    "path",
    "offered",
    "kubelet_skew",
    "control_plane_skew",
    "cloud_controller_skew",
    "runtime",
    "kernel",
    "cgroup",
    "etcd",
    "flags",
    "addons",
    "removed_apis",
    "disruption_budgets",
    "webhooks",
    "volume_plugins",
    "driver",
];

const OF_WORKLOADS: &[&str] = &[
    "kube_proxy_skew",
    "cloud_controller_skew",
    "addons",
    "disruption_budgets",
    "webhooks",
    "volume_plugins",
];

/// A right that is taken, the source that it is for, and the checks that cannot be made without it.
const LOSSES: [(&str, &str, &[&str]); 16] = [
    ("nodes", "nodes", OF_NODES),
    (
        "pods",
        "static_pods",
        &["kubelet_skew", "control_plane_skew", "cloud_controller_skew", "etcd", "flags"],
    ),
    ("configmaps", "kubelet_config", &["flags"]),
    ("deployments", "workloads", OF_WORKLOADS),
    ("daemonsets", "workloads", OF_WORKLOADS),
    ("statefulsets", "workloads", OF_WORKLOADS),
    ("customresourcedefinitions", "definitions", &["stored_versions", "webhooks"]),
    ("poddisruptionbudgets", "budgets", &["disruption_budgets"]),
    ("validatingwebhookconfigurations", "webhooks", &["webhooks"]),
    ("mutatingwebhookconfigurations", "webhooks", &["webhooks"]),
    ("services", "webhook_backends", &["webhooks"]),
    ("endpointslices", "webhook_backends", &["webhooks"]),
    ("namespaces", "namespaces", &["webhooks"]),
    ("persistentvolumes", "persistent_volumes", &["volume_plugins"]),
    ("storageclasses", "storage_classes", &["volume_plugins"]),
    ("csidrivers", "csi_drivers", &["volume_plugins"]),
];

async fn each_lost_source_blinds_its_check_alone(world: &World) {
    let kubeconfig = world.control_plane.lock().await.apiserver.kubeconfig(User::Exporter);
    let prometheus = json!({"urls": [world.prometheus.url]});
    let packages = json!({"url": world.packages.url()});
    let file = json!({"packages": packages, "prometheus": prometheus, "settings": world.settings});
    let config = world.folder.write("shape.json", file.to_string()).unwrap();
    let rights = Rights::read(world).await;
    for (resource, source, checks) in LOSSES {
        rights.give(Some(resource)).await;
        blind(world, &kubeconfig, &config, Some((resource, source, checks))).await;
    }
    rights.give(None).await;
    // The package repository, and the source of calls, which no right is for.
    let nobody = "http://127.0.0.1:9";
    let lost = [
        (json!({"packages": {"url": format!("{nobody}/v{{minor}}/Packages")}}), "packages", "offered"),
        (json!({"prometheus": {"urls": [nobody]}}), "api_requests", "removed_apis"),
    ];
    for (change, source, check) in lost {
        let mut file = file.clone();
        file.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let config = world.folder.write("less.json", file.to_string()).unwrap();
        blind(world, &kubeconfig, &config, Some(("127.0.0.1:9", source, &[check]))).await;
    }
    blind(world, &kubeconfig, &config, None).await;
}

/// What the exporter may do: in the whole cluster, and in the namespace of the control plane.
struct Rights {
    cluster: (Api<ClusterRole>, Vec<PolicyRule>),
    system: (Api<Role>, Vec<PolicyRule>),
}

impl Rights {
    async fn read(world: &World) -> Self {
        let cluster: Api<ClusterRole> = Api::all(world.kube.clone());
        let system: Api<Role> = Api::namespaced(world.kube.clone(), "kube-system");
        let of_cluster = cluster.get(ROLE).await.unwrap().rules.unwrap();
        let of_system = system.get(ROLE).await.unwrap().rules.unwrap();
        Self { cluster: (cluster, of_cluster), system: (system, of_system) }
    }

    /// Gives the exporter all of its rights, but for one.
    async fn give(&self, but: Option<&str>) {
        let (cluster, system) = (without(&self.cluster.1, but), without(&self.system.1, but));
        assert_eq!(cluster.1 + system.1, usize::from(but.is_some()), "{but:?}");
        let patch = |rules: Vec<PolicyRule>| Patch::Merge(json!({"rules": rules}));
        self.cluster.0.patch(ROLE, &PatchParams::default(), &patch(cluster.0)).await.unwrap();
        self.system.0.patch(ROLE, &PatchParams::default(), &patch(system.0)).await.unwrap();
    }
}

/// The rules without a resource, and how often it was in them.
fn without(rules: &[PolicyRule], but: Option<&str>) -> (Vec<PolicyRule>, usize) {
    let (mut rules, mut taken) = (rules.to_vec(), 0);
    for resources in rules.iter_mut().filter_map(|rule| rule.resources.as_mut()) {
        let before = resources.len();
        resources.retain(|resource| Some(resource.as_str()) != but);
        taken += before - resources.len();
    }
    // A rule must name something.
    rules.retain(|rule| rule.resources.as_ref().is_none_or(|resources| !resources.is_empty()));
    (rules, taken)
}

/// What cannot be read: a resource, the source that it is a part of, and the checks that need it.
type Loss<'a> = (&'a str, &'a str, &'a [&'a str]);

/// Waits until a fresh read of the cluster makes just these checks unknown, which name the source and the right.
async fn blind(world: &World, kubeconfig: &Path, config: &Path, lost: Option<Loss<'_>>) {
    let ask = || async {
        let (verdict, checks) = run_verdict(kubeconfig, config)?;
        let unknown = || checks.iter().filter(|(_, status, _)| status == "unknown");
        let ids: BTreeSet<&str> = unknown().map(|(id, _, _)| id.as_str()).collect();
        let expected: BTreeSet<&str> =
            lost.iter().flat_map(|(_, _, checks)| checks.iter().copied()).collect();
        anyhow::ensure!(ids == expected, "{ids:?} are unknown: {checks:#?}");
        let Some((resource, source, _)) = lost else {
            anyhow::ensure!(verdict == "safe", "{checks:#?}");
            return Ok(Some(()));
        };
        let why = if resource.starts_with("127.") { "Connection refused" } else { "forbidden" };
        let is_named = |findings: &str| [source, resource, why].iter().all(|word| findings.contains(word));
        // Without nodes nobody knows what to ask the package repository for: that is all it can say.
        let mut named = unknown().filter(|(id, _, _)| resource != "nodes" || id != "offered");
        anyhow::ensure!(named.all(|(_, _, findings)| is_named(findings)), "{checks:#?}");
        Ok(Some(()))
    };
    world.wait_for(&format!("{lost:?} to be all that is unknown"), 30, ask).await;
}

/// A check: its id, its status, its findings as text.
type Check = (String, String, String);

/// The verdict of the command line with its checks.
fn run_verdict(kubeconfig: &Path, config: &Path) -> Result<(String, Vec<Check>)> {
    let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let output = Command::new(parts::own("lockkeeper-exporter")?)
        .args([
            "verdict",
            TARGET,
            "--output=json",
            "--verbose",
            &flag("kubeconfig", kubeconfig),
            &flag("config.file", config),
        ])
        .output()?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    let verdict = &document["verdicts"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let checks = verdict["checks"].as_array().context("no checks")?.iter();
    let checks =
        checks.map(|it| (text(&it["id"]), text(&it["status"]), it["findings"].to_string())).collect();
    Ok((text(&verdict["verdict"]), checks))
}
