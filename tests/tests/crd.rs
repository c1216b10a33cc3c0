//! The custom resource definition on a real API server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::core::Status;
use lockkeeper_rules::api;
use lockkeeper_rules::publish::crd;
use lockkeeper_tests::certs::Certs;
use lockkeeper_tests::part::{ApiServer, Etcd, User};
use lockkeeper_tests::run_folder::RunFolder;
use lockkeeper_tests::wait::wait_for;
use serde_json::{Value, json};

/// An API server with the definition, and nothing else.
struct Server {
    _etcd: Etcd,
    api: ApiServer,
    runs: Api<DynamicObject>,
}

async fn server() -> Result<Server> {
    let folder = Arc::new(RunFolder::create()?);
    let address = folder.address(1);
    let certs = Certs::make(&folder, address)?;
    let etcd = Etcd::start(&folder, &certs, address, "etcd").await?;
    let api = ApiServer::start(&folder, &certs, &etcd, address, &"v1.36.1".parse()?).await?;
    let client = api.client(User::Admin).await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = serde_json::from_value(crd::upgrade_run())?;
    let name = definitions.create(&PostParams::default(), &definition).await?.metadata.name;
    let name = name.context("a definition without a name")?;
    wait_for("the definition is served", Duration::from_secs(30), || async {
        let status = definitions.get(&name).await?.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        assert!(!conditions.iter().any(|it| it.type_ == "NonStructuralSchema"), "{conditions:?}");
        let established = conditions.iter().any(|it| it.type_ == "Established" && it.status == "True");
        Ok(established.then_some(()))
    })
    .await?;
    let kind = GroupVersionKind::gvk(api::GROUP, api::VERSION, "UpgradeRun");
    let resource = ApiResource::from_gvk_with_plural(&kind, "upgraderuns");
    Ok(Server { _etcd: etcd, api, runs: Api::namespaced_with(client, "default", &resource) })
}

impl Server {
    /// What `kubectl` prints; it must succeed.
    fn kubectl(&self, args: &[&str]) -> Result<String> {
        let kubectl = lockkeeper_tests::parts::kubernetes(&self.api.version, "kubectl")?;
        let output = std::process::Command::new(kubectl)
            .arg(format!("--kubeconfig={}", self.api.kubeconfig(User::Admin).display()))
            .args(args)
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn run(name: &str, spec: &Value) -> DynamicObject {
    let object = json!({
        "apiVersion": format!("{}/{}", api::GROUP, api::VERSION),
        "kind": "UpgradeRun",
        "metadata": { "name": name },
        "spec": spec,
    });
    serde_json::from_value(object).expect("an object by its own shape")
}

/// What the API server answers to somebody who is wrong.
fn refusal<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> String {
    match result {
        Err(kube::Error::Api(status)) if status.code == 422 => Status::clone(&status).message,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn the_definition_refuses_what_can_never_become_right_and_says_what_to_do() {
    let server = server().await.unwrap();
    let create =
        async |name: &str, spec: Value| server.runs.create(&PostParams::default(), &run(name, &spec)).await;
    for (spec, field, remedy) in [
        (json!({ "target": "latest" }), "spec.target", "such as v1.36.3"),
        (json!({ "target": "" }), "spec.target", "such as v1.36.3"),
        (json!({ "target": "1.36" }), "spec.target", "such as v1.36.3"),
        (json!({ "target": 1.36 }), "spec.target", "must be of type string"),
        (json!({ "target": "9".repeat(65) }), "spec.target", "may not be more than 64"),
        (json!({}), "spec.target", "Required value"),
        (json!({ "target": "v1.36.3", "stopAfter": "workers" }), "spec.stopAfter", "worker/<node>"),
        (
            json!({ "target": "v1.36.3", "retry": [{ "step": "worker/w-1", "attempt": 4_294_967_296_u64 }] }),
            "spec.retry[0].attempt",
            "less than or equal to 1000000",
        ),
        (
            json!({ "target": "v1.36.3", "retry": [{ "step": "worker/w-1", "attempt": 0 }] }),
            "spec.retry[0].attempt",
            "greater than or equal to 1",
        ),
        (
            json!({ "target": "v1.36.3", "workers": { "topologyKey": "topology.kubernetes.io/" } }),
            "spec.workers.topologyKey",
            "write one such as topology.kubernetes.io/zone",
        ),
        (json!({ "target": "v1.36.3", "cordonedNodes": "ignore" }), "spec.cordonedNodes", "\"upgrade\""),
        (
            json!({ "target": "v1.36.3", "skip": vec!["w"; 1_001] }),
            "spec.skip",
            "must have at most 1000 items",
        ),
        (
            json!({ "target": "v1.36.3", "acceptRisks": ["r".repeat(401)] }),
            "spec.acceptRisks[0]",
            "may not be more than 400",
        ),
    ] {
        let message = refusal(create("refused", spec.clone()).await);
        assert!(message.contains(field) && message.contains(remedy), "{spec}: {message}");
    }
    let message = refusal(create(&"a".repeat(64), json!({ "target": "v1.36.3" })).await);
    assert!(message.contains("at most 63 characters"), "{message}");
    // What is no release, or goes down, is for the verdict to say: in a condition, where it can be explained.
    for (name, target) in [("down", "v1.0.0"), ("far", "1.99.0"), ("candidate", "v1.37.0-rc.1")] {
        create(name, json!({ "target": target })).await.unwrap();
    }
}

#[tokio::test]
async fn a_target_never_changes_and_what_is_left_out_is_filled_in() {
    let server = server().await.unwrap();
    let spec = json!({ "target": "v1.36.3", "stopAfter": null });
    let created = server.runs.create(&PostParams::default(), &run("spring", &spec)).await.unwrap();
    assert_eq!(
        created.data["spec"],
        json!({
            "target": "v1.36.3", "cordonedNodes": "hold", "drain": { "unmanagedPods": "hold" },
            "workers": { "concurrency": 1, "maxFailures": 1 }
        })
    );
    let patch = async |spec: Value| {
        let patch = Patch::Merge(json!({ "spec": spec }));
        server.runs.patch("spring", &PatchParams::default(), &patch).await
    };
    let message = refusal(patch(json!({ "target": "v1.36.4" })).await);
    assert!(message.contains("spec.target never changes"), "{message}");
    patch(json!({ "paused": true, "retry": [{ "step": "worker/w-1", "attempt": 2 }] })).await.unwrap();
}

#[tokio::test]
async fn a_status_is_stored_as_it_is_sent_and_shown_in_columns() {
    let server = server().await.unwrap();
    let object = run("spring", &json!({ "target": "v1.36.3" }));
    let mut object = server.runs.create(&PostParams::default(), &object).await.unwrap();
    let status: api::UpgradeRunStatus = serde_json::from_value(full_status()).unwrap();
    let sent = serde_json::to_value(&status).unwrap();
    object.data["status"] = sent.clone();
    let stored = server.runs.replace_status("spring", &PostParams::default(), &object).await.unwrap();
    assert_eq!(stored.data["status"], sent);

    let shown = server.kubectl(&["get", "ur"]).unwrap();
    let words: Vec<_> = shown.split_whitespace().collect();
    let columns = "NAME PHASE STEP NODE WAITING FOR SINCE NEXT PROGRESS TARGET AGE spring Waiting worker/w-1 w-1 \
                   gate_firing";
    assert_eq!(words[..16].join(" "), columns, "{shown}");
    assert_eq!(words[words.len() - 4..words.len() - 1], ["worker/w-2", "1/3", "v1.36.3"], "{shown}");
}

/// What is asked, and whether the exporter and the actuator may do it with exactly `deploy/base`.
const RIGHTS: &[(&[&str], bool, bool)] = &[
    (&["list", "nodes"], true, true),
    (&["watch", "nodes"], true, false),
    (&["get", "nodes"], false, true),
    (&["patch", "nodes"], false, true),
    (&["delete", "nodes"], false, false),
    (&["list", "pods", "-n", "kube-system"], true, true),
    (&["create", "pods", "--subresource=eviction", "-n", "default"], false, true),
    (&["delete", "pods", "-n", "default"], false, false),
    (&["list", "leases.coordination.k8s.io", "-n", "kube-node-lease"], true, true),
    (&["update", "leases.coordination.k8s.io/lockkeeper-cluster-lock", "-n", "kube-system"], false, true),
    (&["update", "leases.coordination.k8s.io/kube-scheduler", "-n", "kube-system"], false, false),
    (&["update", "leases.coordination.k8s.io/lockkeeper-actuator", "-n", "kube-system"], false, true),
    (&["list", "poddisruptionbudgets.policy", "-A"], true, true),
    (&["watch", "poddisruptionbudgets.policy", "-A"], true, true),
    (&["get", "poddisruptionbudgets.policy", "-n", "default"], false, false),
    (&["watch", "validatingwebhookconfigurations.admissionregistration.k8s.io"], true, true),
    (&["list", "mutatingwebhookconfigurations.admissionregistration.k8s.io"], true, true),
    (&["delete", "validatingwebhookconfigurations.admissionregistration.k8s.io"], false, false),
    (&["watch", "namespaces"], true, true),
    (&["watch", "persistentvolumes"], true, true),
    (&["list", "storageclasses.storage.k8s.io"], true, true),
    (&["list", "csidrivers.storage.k8s.io"], true, true),
    (&["get", "services", "-A"], true, true),
    (&["list", "services", "-A"], false, false),
    (&["list", "endpointslices.discovery.k8s.io", "-A"], true, true),
    (&["update", "upgraderuns.lockkeeper.dev", "--subresource=status", "-n", "default"], false, true),
    (&["patch", "upgraderuns.lockkeeper.dev", "--subresource=status", "-n", "default"], false, false),
    (&["patch", "upgraderuns.lockkeeper.dev", "-n", "k8s-upgrade"], false, true),
    (&["patch", "upgraderuns.lockkeeper.dev", "-n", "default"], false, false),
    (&["get", "upgraderuns.lockkeeper.dev", "-n", "k8s-upgrade"], false, true),
    (&["get", "upgraderuns.lockkeeper.dev", "-n", "default"], false, false),
    (&["list", "upgraderuns.lockkeeper.dev", "-A"], true, true),
    (&["watch", "upgraderuns.lockkeeper.dev", "-A"], true, false),
    (&["create", "upgraderuns.lockkeeper.dev", "-n", "k8s-upgrade"], false, false),
    (&["create", "events.events.k8s.io", "-n", "k8s-upgrade"], false, true),
    (&["create", "events.events.k8s.io", "-n", "default"], false, false),
    (&["patch", "events.events.k8s.io", "-n", "k8s-upgrade"], false, false),
    (&["get", "pods", "-n", "kube-system"], false, true),
    (&["get", "secrets", "-A"], false, false),
    (&["get", "configmaps/kubelet-config", "-n", "kube-system"], true, true),
    (&["get", "configmaps/kube-proxy", "-n", "kube-system"], true, true),
    (&["get", "configmaps/kubeadm-config", "-n", "kube-system"], true, true),
    (&["get", "nodes", "--subresource=proxy"], false, false),
    (&["list", "secrets", "-A"], false, false),
    (&["list", "volumeattributesclasses.storage.k8s.io"], true, true),
    (&["get", "volumeattributesclasses.storage.k8s.io"], false, false),
    (&["list", "resourceclaims.resource.k8s.io", "-A"], true, true),
    (&["list", "volumeattachments.storage.k8s.io"], false, true),
    (&["watch", "volumeattachments.storage.k8s.io"], false, false),
    (&["get", "persistentvolumes"], false, true),
    (&["get", "/readyz"], true, true),
];

#[tokio::test]
async fn what_people_install_is_taken_as_it_is_and_gives_no_right_too_many() {
    let server = server().await.unwrap();
    let at = |path: &str| format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    let definition = at("rules/generated/crd-upgraderun.yaml");
    server
        .kubectl(&["apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", &definition])
        .unwrap();
    server.kubectl(&["apply", "--server-side", "--validate=strict", "-k", &at("deploy/base")]).unwrap();
    let may = |who: &str, what: &[&str]| {
        let who = format!("--as=system:serviceaccount:k8s-upgrade:lockkeeper-{who}");
        // It exits with 1 where the answer is no.
        server.kubectl(&[&["auth", "can-i", &who], what].concat()).is_ok_and(|said| said.trim() == "yes")
    };
    // The API server hears of rights a moment after it has stored them.
    let heard = async |who: &str, what: &[&str]| {
        let told = || async { Ok(may(who, what).then_some(())) };
        wait_for(&format!("{who} to be allowed {what:?}"), Duration::from_secs(20), told).await.unwrap();
    };
    heard("exporter", &["list", "nodes"]).await;
    heard("actuator", &["list", "nodes"]).await;
    for (what, exporter, actuator) in RIGHTS {
        assert_eq!((may("exporter", what), may("actuator", what)), (*exporter, *actuator), "{what:?}");
    }
    // What an operator may add knowingly gives the one right that it says, and no other.
    let more = at("deploy/kubelet-config/rbac.yaml");
    server.kubectl(&["apply", "--server-side", "--validate=strict", "-f", &more]).unwrap();
    for who in ["exporter", "actuator"] {
        heard(who, &["get", "nodes", "--subresource=proxy"]).await;
    }
    for (verb, may_it) in [("get", true), ("create", false), ("list", false)] {
        let what = [verb, "nodes", "--subresource=proxy"];
        assert_eq!((may("exporter", &what), may("actuator", &what)), (may_it, may_it), "{verb}");
    }
    let helm = at("deploy/helm/rbac.yaml");
    server.kubectl(&["apply", "--server-side", "--validate=strict", "-f", &helm]).unwrap();
    for who in ["exporter", "actuator"] {
        heard(who, &["list", "secrets", "-A"]).await;
    }
    for (verb, is_given) in [("list", true), ("get", false), ("watch", false)] {
        for who in ["exporter", "actuator"] {
            assert_eq!(may(who, &[verb, "secrets", "-A"]), is_given, "{who} {verb}");
        }
    }
    assert!(!may("exporter", &["list", "pods", "-A"]));
    server
        .kubectl(&["apply", "--server-side", "--validate=strict", "-f", &at("deploy/pods/rbac.yaml")])
        .unwrap();
    heard("exporter", &["list", "pods", "-A"]).await;
    for (verb, is_given) in [("list", true), ("get", false), ("watch", false), ("delete", false)] {
        assert_eq!(may("exporter", &[verb, "pods", "-A"]), is_given, "{verb}");
    }
}

/// A status with every field in it.
fn full_status() -> Value {
    let at = "2026-01-01T00:00:00Z";
    let finding = json!({ "reason": "unit_failed", "subject": "w-1", "detail": "exit code 1" });
    json!({
        "schemaVersion": 1, "phase": "Waiting", "from": "v1.36.1", "startedAt": at, "finishedAt": at,
        "sequence": 7, "nodesDone": 1, "soakUntil": at, "observedGeneration": 2,
        "waiting": { "step": "worker/w-1", "token": "u.7.1.00ff", "mintedAt": at, "notBefore": at,
                     "because": [finding] },
        "active": [{
            "step": "worker/w-1", "token": "u.7.1.00ff", "startedAt": at, "stage": "drain", "stageSince": at,
            "intent": { "action": "evict", "node": "w-1", "at": at, "pods": ["uid-1"] },
            "node": { "name": "w-1", "uid": "u", "kubeletVersion": "v1.36.1", "unschedulable": true },
            "cursor": "w-1", "heldSince": at, "returning": finding,
        }],
        "finished": [{ "step": "preflight", "token": "u.1.1.00ff", "startedAt": at, "finishedAt": at }],
        "snapshot": { "node": "cp-1", "path": "/var/lib/x", "sizeBytes": 12345678901_u64, "hash": "abc", "takenAt": at },
        "silences": [{ "id": "s", "matchers": "alertname=\"X\"", "createdBy": "ada", "comment": "wait", "endsAt": at, "updatedAt": at }],
        "halted": { "step": "worker/w-1", "attempt": 3, "at": at, "finding": finding },
        "holds": [{ "reason": "gate_firing", "subject": "X", "detail": "d", "remedy": "r", "since": at }],
        "summary": { "step": "worker/w-1", "node": "w-1", "waitingFor": "gate_firing", "since": at,
                     "next": "worker/w-2", "progress": "1/3" },
        "history": [{ "at": at, "step": "preflight", "event": "done" }],
        "conditions": [{ "type": "Progressing", "status": "True", "reason": "GateFiring", "message": "waits",
                         "lastTransitionTime": at, "observedGeneration": 2 }],
    })
}
