//! A real kubeadm cluster on real machines, as its operator would set it up by kubeadm's own documentation.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use lockkeeper_rules::words::version::Version;
use serde_json::{Value, json};

use super::host::{Furnishing, Host};
use super::network::{self, BALANCER, CENTER};
use super::supplies::{REPOSITORY, Supplies};
use crate::machine::SshKeys;
use crate::part::{Service, install_crypto};
use crate::parts;
use crate::process::Program;
use crate::run_folder::RunFolder;
use crate::wait::wait_for;

/// How long packages may take to be installed.
const INSTALL: Duration = Duration::from_secs(180);
/// How long kubeadm may take to make or join a node.
const KUBEADM: Duration = Duration::from_secs(300);
/// How long kubectl may take.
const KUBECTL: Duration = Duration::from_secs(60);
/// How long every node may take to be Ready.
const READY: Duration = Duration::from_secs(180);
/// Lets nodes join. It never leaves the machines' own network.
const JOIN_TOKEN: &str = "e2e000.e2e0000000000000";
/// With what the certificates of the control plane are handed on.
const CERTIFICATE_KEY: &str = "e2e0000000000000000000000000000000000000000000000000000000000000";
/// Where a site keeps its patches of kubeadm's manifests.
pub(super) const PATCHES: &str = "/etc/kubernetes/patches";
/// Where it wants a copy of each snapshot.
pub(super) const BACKUP: &str = "/mnt/backup";
/// What another vendor's repository is called, which is numbered like ours: it is on the machine itself, and offers nothing.
const VENDOR: &str = "/srv/isv:/cri-o:/stable:/v1.35/deb";
/// Such a patch: a lone API server is away for as long as it takes to end, which is 30 s otherwise.
const PATCH: (&str, &str) =
    ("/etc/kubernetes/patches/kube-apiserver+strategic.yaml", "spec:\n  terminationGracePeriodSeconds: 3\n");

/// What a cluster shall be.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// How many control-plane machines.
    pub(super) control_planes: u8,
    /// How many workers.
    pub(super) workers: u8,
    /// What runs at the start.
    pub(super) from: Version,
}

/// A cluster. Dropping it ends everything that is a part of it.
pub(super) struct Cluster {
    /// The machines: the control planes first.
    pub(super) hosts: Vec<Host>,
    /// `https://…` of the API server, or of the balancer before them.
    pub(super) api_url: String,
    /// The administrator's kubeconfig.
    pub(super) admin: PathBuf,
    /// Speaks as the administrator.
    pub(super) kube: kube::Client,
    /// What opens the machines to SSH.
    pub(super) keys: SshKeys,
    /// What it was made to be.
    pub(super) shape: Shape,
    _balancer: Option<Service>,
    _supplies: Supplies,
}

impl Cluster {
    /// Boots machines and makes them a cluster.
    ///
    /// # Errors
    /// A part is missing or does not come up; the message names its log or has what it said.
    pub(super) async fn start(run: &Arc<RunFolder>, shape: Shape, say: &dyn Fn(&str)) -> Result<Self> {
        network::lay().await?;
        let supplies = Supplies::start(run).await?;
        say("the registry is filled, and packages are served");
        let keys = SshKeys::make(run)?;
        let furnishing = Furnishing {
            root: parts::e2e("root")?.canonicalize()?,
            authorized_key: std::fs::read_to_string(keys.identity.with_extension("pub"))?,
            files: files(&shape, &supplies),
            machines: shape.control_planes + shape.workers,
        };
        let names = (1..=shape.control_planes).map(|n| format!("cp-{n}"));
        let names = names.chain((1..=shape.workers).map(|n| format!("worker-{n}")));
        let mut hosts = names
            .zip(1..)
            .map(|(name, number)| Host::new(run, &name, number, &furnishing))
            .collect::<Result<Vec<_>>>()?;
        let known: String =
            hosts.iter().map(|host| format!("{} {}\n", host.address, host.host_key)).collect();
        std::fs::write(&keys.known_hosts, known)?;
        try_join_all(hosts.iter_mut().map(Host::boot)).await?;
        say(&format!("{} machines are booted", hosts.len()));
        let balancer = if shape.control_planes > 1 { Some(balancer(run, &hosts, &shape)?) } else { None };
        try_join_all(hosts.iter().map(|host| install(host, &shape.from))).await?;
        say("kubeadm, kubelet and kubectl are installed and held");
        let api_url = format!("https://{}:6443", endpoint(&shape));
        init(&hosts[0], &shape).await?;
        say("kubeadm init is done");
        // etcd takes one new member at a time.
        for host in &hosts[1..usize::from(shape.control_planes)] {
            join(host, &shape).await?;
        }
        try_join_all(hosts[usize::from(shape.control_planes)..].iter().map(|host| join(host, &shape)))
            .await?;
        let admin = run.write("kubeconfig/admin.yaml", hosts[0].read("/etc/kubernetes/admin.conf").await?)?;
        let kube = client(&admin).await?;
        let cluster =
            Self { hosts, api_url, admin, kube, keys, shape, _balancer: balancer, _supplies: supplies };
        cluster.wait_until_ready().await?;
        say("every node is Ready, and CoreDNS is");
        Ok(cluster)
    }

    /// A machine by its name.
    ///
    /// # Panics
    /// There is none of this name.
    #[must_use]
    pub(super) fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|host| host.name == name).expect("the machine is one of this cluster")
    }

    /// The control-plane machines.
    #[must_use]
    pub(super) fn control_planes(&self) -> &[Host] {
        &self.hosts[..usize::from(self.shape.control_planes)]
    }

    /// The workers.
    #[must_use]
    pub(super) fn workers(&self) -> &[Host] {
        &self.hosts[usize::from(self.shape.control_planes)..]
    }

    /// Runs kubectl as the administrator, from outside the cluster.
    ///
    /// # Errors
    /// It fails.
    pub(super) async fn kubectl(&self, words: &[&str], input: &str) -> Result<String> {
        kubectl(&self.admin, &self.shape.from, words, input).await
    }

    async fn wait_until_ready(&self) -> Result<()> {
        let count = self.hosts.len();
        wait_for("every node to be Ready", READY, || async move {
            let nodes = self.get(&["nodes"]).await?;
            Ok((nodes.iter().filter(|node| is_ready(node)).count() == count).then_some(()))
        })
        .await?;
        wait_for("CoreDNS and kube-proxy", READY, || async move {
            let dns = self.get(&["deployments", "--namespace=kube-system"]).await?;
            let proxy = self.get(&["daemonsets", "--namespace=kube-system"]).await?;
            let dns = dns.iter().all(|it| it["status"]["readyReplicas"] == it["spec"]["replicas"]);
            let proxy = proxy.iter().all(|it| it["status"]["numberReady"] == json!(count));
            Ok((dns && proxy).then_some(()))
        })
        .await
    }

    /// The objects of a kind.
    ///
    /// # Errors
    /// kubectl fails.
    pub(super) async fn get(&self, words: &[&str]) -> Result<Vec<Value>> {
        let mut all = vec!["get", "--output=json", "--request-timeout=5s"];
        all.extend(words);
        let answer: Value = serde_json::from_str(&self.kubectl(&all, "").await?)?;
        Ok(answer["items"].as_array().context("kubectl gave no list")?.clone())
    }
}

/// Whether a node or a pod is Ready.
#[must_use]
pub(super) fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|it| it["type"] == "Ready" && it["status"] == "True"))
}

async fn kubectl(
    kubeconfig: &std::path::Path,
    version: &Version,
    words: &[&str],
    input: &str,
) -> Result<String> {
    use tokio::io::AsyncWriteExt;
    let mut child = tokio::process::Command::new(parts::kubernetes(version, "kubectl")?)
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .args(words)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("stdin is piped")?;
    let talk = async {
        // One that ends before it has read everything says why.
        let _early_end = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await
    };
    let words = words.join(" ");
    let output = tokio::time::timeout(KUBECTL, talk).await;
    let output =
        output.with_context(|| format!("kubectl {words}: no end within {} s", KUBECTL.as_secs()))??;
    if !output.status.success() {
        anyhow::bail!("kubectl {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A client with short limits: an API server that is being restarted must be noticed.
///
/// # Errors
/// The kubeconfig cannot be read.
async fn client(kubeconfig: &std::path::Path) -> Result<kube::Client> {
    install_crypto();
    let config = kube::config::Kubeconfig::read_from(kubeconfig)?;
    let mut config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await?;
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(2));
    config.read_timeout = Some(Duration::from_secs(5));
    // Otherwise the time in which nobody asked anything counts too, and a request may have none left.
    config.reset_reader_on_write = true;
    config.proxy_url = None;
    Ok(kube::Client::try_from(config)?)
}

fn endpoint(shape: &Shape) -> std::net::Ipv4Addr {
    if shape.control_planes > 1 { BALANCER } else { network::machine(1) }
}

fn minor(version: &Version) -> String {
    format!("v{}", version.minor())
}

/// What an operator puts on every machine before kubeadm comes.
fn files(shape: &Shape, supplies: &Supplies) -> Vec<(String, String)> {
    let pause = &supplies.pause;
    let containerd = format!(
        r#"version = 3
[plugins.'io.containerd.cri.v1.images']
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{pause}"
[plugins.'io.containerd.cri.v1.images'.registry]
config_path = "/etc/containerd/certs.d"
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["/usr/lib/cni"]
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
SystemdCgroup = false
"#
    );
    let names = (1..=shape.control_planes).map(|n| (network::machine(n), format!("cp-{n}")));
    let workers =
        (1..=shape.workers).map(|n| (network::machine(shape.control_planes + n), format!("worker-{n}")));
    let hosts: String = names.chain(workers).map(|(address, name)| format!("{address} {name}\n")).collect();
    let list = format!("deb [trusted=yes] {} /\n", Supplies::packages_url(&minor(&shape.from)));
    [
        ("/etc/containerd/config.toml", containerd),
        (&format!("/etc/containerd/certs.d/{REPOSITORY}/hosts.toml"), Supplies::hosts_toml()),
        ("/etc/crictl.yaml", "runtime-endpoint: unix:///run/containerd/containerd.sock\n".to_owned()),
        ("/etc/hosts", format!("127.0.0.1 localhost\n{hosts}")),
        ("/etc/apt/sources.list.d/kubernetes.list", list),
        ("/etc/apt/sources.list.d/cri-o.list", format!("deb [trusted=yes] file:{VENDOR}/ /\n")),
        (&format!("{VENDOR}/Packages"), String::new()),
        (&format!("{BACKUP}/README"), "copies of snapshots\n".to_owned()),
        (PATCH.0, PATCH.1.to_owned()),
    ]
    .map(|(path, text): (&str, String)| (path.to_owned(), text))
    .to_vec()
}

fn balancer(run: &Arc<RunFolder>, hosts: &[Host], shape: &Shape) -> Result<Service> {
    let servers: String = hosts[..usize::from(shape.control_planes)]
        .iter()
        .map(|host| {
            format!(
                "  server {} {}:6443 check check-ssl verify none inter 500 fall 2 rise 2\n",
                host.name, host.address
            )
        })
        .collect();
    let config = format!(
        "defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 10m\n  timeout server 10m\n\
         frontend api\n  bind {BALANCER}:6443\n  default_backend api\n\
         backend api\n  option httpchk GET /readyz\n  default-server on-marked-down shutdown-sessions\n{servers}"
    );
    let config = run.write("haproxy.cfg", config)?;
    let root = parts::e2e("root")?.canonicalize()?;
    // It comes with the machines' root, and needs its libraries.
    let script = "mount --bind \"$1\" \"$2/etc/haproxy/haproxy.cfg\" && exec chroot \"$2\" haproxy -db -f /etc/haproxy/haproxy.cfg";
    let program = Program::new("balancer", "unshare").args(["--mount", "--", "sh", "-c", script, "sh"]);
    let program = program.args([config.display().to_string(), root.display().to_string()]);
    let mut service = Service::new(run.clone(), program);
    service.start()?;
    Ok(service)
}

async fn install(host: &Host, version: &Version) -> Result<()> {
    let version = version.bare();
    let script = format!(
        "export DEBIAN_FRONTEND=noninteractive\napt-get -q update\n\
         apt-get -q -y install kubeadm={version}-* kubelet={version}-* kubectl={version}-*\n\
         apt-mark hold kubeadm kubelet kubectl"
    );
    host.run(&script, INSTALL).await?;
    Ok(())
}

/// What kubeadm is told of a node besides.
fn registration(host: &Host, shape: &Shape) -> Value {
    let mut registration = json!({
        "name": host.name, "criSocket": "unix:///run/containerd/containerd.sock", "imagePullPolicy": "IfNotPresent",
        // These machines have cgroup v1.
        "ignorePreflightErrors": ["SystemVerification"],
    });
    if shape.workers == 1 && (2..=shape.control_planes).contains(&host.number) {
        // The pods of a lone worker must have somewhere to go while it is drained. The first machine stays as kubeadm
        // makes it: it is the one that is recorded.
        registration["taints"] = json!([]);
    }
    registration
}

fn documents(all: &[Value]) -> String {
    // JSON is YAML.
    all.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n")
}

async fn init(host: &Host, shape: &Shape) -> Result<()> {
    let api = "kubeadm.k8s.io/v1beta4";
    let config = documents(&[
        json!({
            "apiVersion": api, "kind": "InitConfiguration",
            "bootstrapTokens": [{"token": JOIN_TOKEN, "ttl": "2h0m0s"}],
            "certificateKey": CERTIFICATE_KEY,
            "localAPIEndpoint": {"advertiseAddress": host.address},
            "nodeRegistration": registration(host, shape),
            "patches": {"directory": PATCHES},
        }),
        json!({
            "apiVersion": api, "kind": "ClusterConfiguration",
            "kubernetesVersion": shape.from.to_string(),
            "controlPlaneEndpoint": format!("{}:6443", endpoint(shape)),
            "imageRepository": REPOSITORY,
            "networking": {"podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/16"},
            "apiServer": {"extraArgs": [{"name": "request-timeout", "value": "8s"}]},
        }),
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "cgroupDriver": "cgroupfs", "failCgroupV1": false, "failSwapOn": false,
            // Shares of a disk that the machines have in common with whatever else lies on it say nothing.
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
        }),
        json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
            "mode": "iptables", "conntrack": {"maxPerCore": 0},
        }),
    ]);
    let upload = if shape.control_planes > 1 { "--upload-certs" } else { "" };
    let script = format!(
        "cat >/var/tmp/init.yaml <<'END'\n{config}\nEND\nkubeadm init {upload} --config /var/tmp/init.yaml 2>&1"
    );
    host.run(&script, KUBEADM).await?;
    Ok(())
}

async fn join(host: &Host, shape: &Shape) -> Result<()> {
    let mut config = json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "JoinConfiguration",
        "nodeRegistration": registration(host, shape),
        "patches": {"directory": PATCHES},
        "discovery": {"bootstrapToken": {
            "token": JOIN_TOKEN, "apiServerEndpoint": format!("{}:6443", endpoint(shape)),
            "unsafeSkipCAVerification": true,
        }},
    });
    if host.number <= shape.control_planes {
        config["controlPlane"] = json!({"certificateKey": CERTIFICATE_KEY, "localAPIEndpoint": {"advertiseAddress": host.address}});
    }
    let script = format!(
        "cat >/var/tmp/join.yaml <<'END'\n{config}\nEND\nkubeadm join --config /var/tmp/join.yaml 2>&1"
    );
    host.run(&script, KUBEADM).await?;
    Ok(())
}

/// Where the products find packages.
#[must_use]
pub(super) fn packages_url() -> String {
    format!("{}Packages", Supplies::packages_url("v{minor}"))
}

/// The address that everything outside the machines listens at.
pub(super) const OUTSIDE: std::net::Ipv4Addr = CENTER;
