//! How components are configured, read through a real API server: static pods, and kubelets behind its proxy to nodes. No
//! kubelet runs here: the test itself writes what one would.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use lockkeeper_exporter::client::kubernetes::install_tls_provider;
use lockkeeper_tests::certs::Certs;
use lockkeeper_tests::kubelet::KubeletPorts;
use lockkeeper_tests::part::{ApiServer, Etcd, User};
use lockkeeper_tests::run_folder::RunFolder;
use lockkeeper_tests::wait::wait_for;
use lockkeeper_tests::world::grant_rights;
use lockkeeper_tests::{deploy, parts};
use serde_json::{Value, json};

/// Nodes and their addresses, which are nowhere but behind the API server.
const NODES: [(&str, &str); 2] = [("cp-1", "10.77.0.1"), ("w-1", "10.77.0.2")];
/// A gate that v1.36 knows and v1.37 does not.
const GATE: &str = "SidecarContainers";

struct Cluster {
    folder: Arc<RunFolder>,
    api: ApiServer,
    ports: KubeletPorts,
    client: Client,
    facts: PathBuf,
    _etcd: Etcd,
}

/// What is told of flags, and the remedies for everything that is told.
#[derive(Debug)]
struct FlagsCheck {
    status: String,
    findings: Vec<String>,
    remedies: Vec<String>,
}

/// Two nodes at v1.36.1, whose API server runs with a gate that v1.37 does not know.
async fn cluster() -> Cluster {
    install_tls_provider();
    let folder = Arc::new(RunFolder::create().unwrap());
    let address = folder.address(1);
    let certs = Certs::make(&folder, address).unwrap();
    let etcd = Etcd::start(&folder, &certs, address, "etcd").await.unwrap();
    let ports = KubeletPorts::start(&folder, &certs, &NODES.map(|(_, address)| address)).await.unwrap();
    let mut flags = vec![format!("--feature-gates={GATE}=true")];
    flags.extend(ports.flags("InternalIP"));
    let version = "v1.36.1".parse().unwrap();
    let api = ApiServer::start_with(&folder, &certs, &etcd, address, &version, &flags).await.unwrap();
    let client = api.client(User::Admin).await.unwrap();
    grant_rights(&client, deploy::objects("deploy/base").unwrap()).await.unwrap();
    for (name, address) in NODES {
        node(&client, name, address).await;
        ports.answer(address, "/configz", &configz(&json!({})));
    }
    for component in ["kube-controller-manager", "kube-scheduler"] {
        static_pod(&client, component, &[component.to_owned()]).await;
    }
    static_pod(&client, "kube-apiserver", &api.command()).await;
    // A person's word for what no cluster shows.
    let facts = "schema: 2\nas_of: \"2026-11-21\"\npolicy: {kubelet_flags_checked: \"1.37\"}\n";
    let facts = folder.write("facts.yaml", facts).unwrap();
    Cluster { folder, api, ports, client, facts, _etcd: etcd }
}

async fn node(client: &Client, name: &str, address: &str) {
    let nodes: Api<Node> = Api::all(client.clone());
    let labels =
        if name == "cp-1" { json!({"node-role.kubernetes.io/control-plane": ""}) } else { json!({}) };
    let node = json!({"metadata": {"name": name, "labels": labels}});
    nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": address}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"machineID": name, "systemUUID": name, "bootID": "b", "kernelVersion": "6.1.0", "osImage": "",
            "containerRuntimeVersion": "containerd://2.2.0", "kubeletVersion": "v1.36.1", "kubeProxyVersion": "",
            "operatingSystem": "linux", "architecture": "amd64"}}});
    nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
}

/// The mirror pod of a static pod on cp-1, in the place of one that may be there.
async fn static_pod(client: &Client, component: &str, command: &[String]) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "kube-system");
    let name = format!("{component}-cp-1");
    let _none_at_first = pods.delete(&name, &DeleteParams::default().grace_period(0)).await;
    let pod = json!({
        "metadata": {"name": name, "labels": {"component": component, "tier": "control-plane"},
            "annotations": {"kubernetes.io/config.mirror": "x", "kubernetes.io/config.source": "file"}},
        "spec": {"nodeName": "cp-1", "containers": [
            {"name": component, "image": format!("registry.k8s.io/{component}:v1.36.1"), "command": command}]}});
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
}

fn configz(gates: &Value) -> String {
    let config = json!({"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "featureGates": gates, "failCgroupV1": true});
    json!({"kubeletconfig": config}).to_string()
}

impl Cluster {
    /// What the command says of flags, with the exporter's rights.
    fn flags_check(&self, target: &str) -> FlagsCheck {
        let child = Command::new(parts::own("lockkeeper-exporter").unwrap())
            .args(["verdict", target, "--output=json", "--verbose"])
            .arg(format!("--kubeconfig={}", self.api.kubeconfig(User::Exporter).display()))
            .arg(format!("--matrix={}", self.facts.display()))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(child.stdout).unwrap();
        let document: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        let checks = document["verdicts"][0]["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["id"] == "flags").unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let finding =
            |finding: &Value| ["reason", "subject", "detail"].map(|field| text(&finding[field])).join(" | ");
        let findings = check["findings"].as_array().unwrap().iter().map(finding).collect();
        let rows = document["verdicts"][0]["in_the_way"].as_array().unwrap();
        let remedies = rows.iter().map(|row| text(&row["remedy"])).collect();
        FlagsCheck { status: text(&check["status"]), findings, remedies }
    }

    /// Holds what is said against a status and, in their order, the beginnings of the findings.
    #[track_caller]
    fn expect(&self, target: &str, status: &str, findings: &[&str]) -> FlagsCheck {
        let said = self.flags_check(target);
        let fits = said.findings.len() == findings.len()
            && said.findings.iter().zip(findings).all(|(said, expected)| said.starts_with(expected));
        assert!(said.status == status && fits, "{target}: not {status} with {findings:?}: {said:#?}");
        said
    }

    /// Waits until the API server has heard of rights that were just granted.
    async fn until_granted(&self, who: User, verb: &str, resource: &str, subresource: &str) {
        let client = self.api.client(who).await.unwrap();
        let reviews: Api<SelfSubjectAccessReview> = Api::all(client);
        let asked = json!({"spec": {"resourceAttributes":
            {"verb": verb, "resource": resource, "subresource": subresource, "name": "w-1"}}});
        let review: SelfSubjectAccessReview = serde_json::from_value(asked).unwrap();
        let granted = || async {
            let answer = reviews.create(&PostParams::default(), &review).await?;
            Ok(answer.status.is_some_and(|status| status.allowed).then_some(()))
        };
        wait_for("the right to be granted", Duration::from_secs(20), granted).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_takes_away_is_seen_in_static_pods_and_in_kubelets_that_may_be_asked() {
    let cluster = cluster().await;
    let (w_1, ports) = (NODES[1].1, &cluster.ports);

    // A patch needs nobody to be asked; for another minor the missing right is named and the kubelets are left alone.
    cluster.expect("v1.36.3", "pass", &[]);
    let of_server = format!(
        "feature_gate_removed | kube-apiserver on cp-1 | {GATE}=true is set; the gate is gone in 1.37"
    );
    let no_right = "kubelet_forbidden | nodes/proxy | 2 kubelets cannot be asked";
    let said = cluster.expect("v1.37.0", "unknown", &[&of_server, no_right]);
    assert!(said.findings[1].contains("\"exporter\" cannot get resource \"nodes/proxy\""), "{said:#?}");
    for told in ["extraArgs in kubeadm-config", "deploy/kubelet-config"] {
        assert!(said.remedies.iter().any(|remedy| remedy.contains(told)), "{told}: {said:#?}");
    }
    assert_eq!(ports.take_asked(), Vec::<String>::new());

    // With it each kubelet is asked, once, over TLS.
    grant_rights(&cluster.client, deploy::objects("deploy/kubelet-config").unwrap()).await.unwrap();
    cluster.until_granted(User::Exporter, "get", "nodes", "proxy").await;
    ports.answer(w_1, "/configz", &configz(&json!({"HostnameOverride": false})));
    let of_kubelet = "feature_gate_locked | kubelet on w-1 | HostnameOverride=false";
    cluster.expect("v1.37.0", "block", &[&of_server, of_kubelet]);
    let mut asked = ports.take_asked();
    asked.sort_unstable();
    let both = |(_, address)| ["configz", "metrics"].map(|path| format!("{address}/{path}"));
    assert_eq!(asked, NODES.map(both).concat());
    cluster.expect("v1.36.3", "pass", &[]);
    assert_eq!(ports.take_asked(), Vec::<String>::new());

    // What is mended is no longer told; what does not answer as a kubelet is unknown.
    let mended: Vec<String> =
        cluster.api.command().into_iter().filter(|flag| !flag.starts_with("--feature-gates")).collect();
    static_pod(&cluster.client, "kube-apiserver", &mended).await;
    ports.answer(w_1, "/configz", "<html>");
    cluster.expect("v1.37.0", "unknown", &["kubelet_unread | w-1 | /configz is not a kubelet's"]);
    // Kubelets before 1.36 leave their kind out.
    let without_kind =
        json!({"syncFrequency": "1m0s", "authentication": {}, "featureGates": {}, "failCgroupV1": true});
    ports.answer(w_1, "/configz", &json!({"kubeletconfig": without_kind}).to_string());
    cluster.expect("v1.37.0", "pass", &[]);

    // What kubeadm would write on every node counts too.
    let written = format!("kind: KubeletConfiguration\nfeatureGates: {{{GATE}: true}}\n");
    let map = json!({"metadata": {"name": "kubelet-config"}, "data": {"kubelet": written}});
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "kube-system");
    maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    let of_kubelets = "feature_gate_removed | ConfigMap kube-system/kubelet-config";
    cluster.expect("v1.37.0", "block", &[of_kubelets]);
    let written = format!("kind: KubeProxyConfiguration\nfeatureGates: {{{GATE}: true}}\n");
    let map = json!({"metadata": {"name": "kube-proxy"}, "data": {"config.conf": written}});
    maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    cluster.expect(
        "v1.37.0",
        "block",
        &[of_kubelets, "feature_gate_removed | ConfigMap kube-system/kube-proxy"],
    );
    drop(cluster.folder);
}
