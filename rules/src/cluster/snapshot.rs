//! What was read, with its proven age. Plain values: the exporter fills them, the rules judge them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::api::{RunPhase, UpgradeRun};
use crate::reason::{Finding, Reason};
use crate::words::name::NodeName;
use crate::words::version::Version;

/// The components that the control plane is made of.
pub const CONTROL_PLANE: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
/// At how many of its addresses a node is looked for; a cluster of both families has two.
const ADDRESSES_MAX: usize = 4;
/// The component that they keep everything in.
pub const ETCD: &str = "etcd";

/// One source as last read: what it said, when that was proven to be current, and what is wrong with it now.
///
/// A source that fails keeps its last value for people to look at; whoever decides asks [`Source::fresh`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved", bound(deserialize = "T: DeserializeOwned"))]
pub struct Source<T> {
    /// The last value that was read whole.
    pub value: Option<T>,
    /// When the value was last proven to be current.
    pub proven_at: Option<Timestamp>,
    /// Why the newest read failed; empty while reads succeed.
    pub error: Option<String>,
}

/// A source in a file. That nothing is there may be what was read, and is written as a value that is missing.
#[derive(Deserialize)]
struct Saved {
    value: Option<serde_json::Value>,
    proven_at: Option<Timestamp>,
    error: Option<String>,
}

impl<T: DeserializeOwned> TryFrom<Saved> for Source<T> {
    type Error = serde_json::Error;

    fn try_from(saved: Saved) -> Result<Self, Self::Error> {
        let Saved { value, proven_at, error } = saved;
        let value = match value {
            Some(value) => Some(serde_json::from_value(value)?),
            None => proven_at.and_then(|_| serde_json::from_value(serde_json::Value::Null).ok()),
        };
        Ok(Self { value, proven_at, error })
    }
}

impl<T> Source<T> {
    /// A source that has not been read yet.
    #[must_use]
    pub fn unread() -> Self {
        Self { value: None, proven_at: None, error: Some("not read yet".to_owned()) }
    }

    /// A source that was read whole just now.
    #[must_use]
    pub fn read(value: T, now: Timestamp) -> Self {
        Self { value: Some(value), proven_at: Some(now), error: None }
    }

    /// A source whose read failed.
    #[must_use]
    pub fn failed(error: impl Into<String>) -> Self {
        Self { value: None, proven_at: None, error: Some(error.into()) }
    }

    /// What came of asking for it at `asked_at`: it is proven then, and not when it came.
    #[must_use]
    pub fn asked(asked_at: Timestamp, answer: Result<T, impl ToString>) -> Self {
        match answer {
            Ok(value) => Self::read(value, asked_at),
            Err(error) => Self::failed(error.to_string()),
        }
    }

    /// The value whatever its age, unless its newest read failed.
    ///
    /// # Errors
    /// Why it was not read.
    pub fn newest(&self) -> Result<&T, String> {
        match (&self.value, &self.error) {
            (Some(value), None) => Ok(value),
            (_, error) => Err(error.clone().unwrap_or_else(|| "not read".to_owned())),
        }
    }

    /// How old the proof is, in seconds; nothing if it was never read, or if it is from the future: the clock was set
    /// back since, and nobody knows.
    #[must_use]
    pub fn age_seconds(&self, now: Timestamp) -> Option<u64> {
        self.proven_at.and_then(|at| u64::try_from(now.duration_since(at).as_secs()).ok())
    }

    /// The value, if its newest read succeeded and its proof is at most `age_seconds_max` old.
    ///
    /// # Errors
    /// Why it may not be used: never read, failing, or too old.
    pub fn fresh(&self, now: Timestamp, age_seconds_max: u64) -> Result<&T, Unusable> {
        if let Some(error) = &self.error {
            return Err(Unusable::Unreadable(error.clone()));
        }
        let (Some(value), Some(proven_at)) = (&self.value, self.proven_at) else {
            return Err(Unusable::Unreadable("not read yet".to_owned()));
        };
        let Some(age_seconds) = self.age_seconds(now) else {
            return Err(Unusable::Unreadable(format!(
                "last proven in the future, at {proven_at}: the clock was set back"
            )));
        };
        if age_seconds > age_seconds_max {
            return Err(Unusable::Stale { age_seconds, age_seconds_max });
        }
        Ok(value)
    }
}

/// How a source was read last, without its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading<'a> {
    /// Its name.
    pub source: &'static str,
    /// When it was last proven to be current.
    pub proven_at: Option<Timestamp>,
    /// Why the newest read failed.
    pub error: Option<&'a str>,
}

impl<'a> Reading<'a> {
    /// How `read` was read.
    #[must_use]
    pub fn of<T>(source: &'static str, read: &'a Source<T>) -> Self {
        Self { source, proven_at: read.proven_at, error: read.error.as_deref() }
    }

    /// Whether the newest read succeeded.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.proven_at.is_some() && self.error.is_none()
    }
}

/// Why the value of a source may not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The newest read failed.
    #[error("{0}")]
    Unreadable(String),
    /// The newest proof is too old.
    #[error("last proven {age_seconds} s ago, at most {age_seconds_max} s are allowed")]
    Stale {
        /// The age of the proof.
        age_seconds: u64,
        /// The age that is allowed.
        age_seconds_max: u64,
    },
}

impl Unusable {
    /// The finding that says so of `subject`.
    #[must_use]
    pub fn finding(&self, reason: Reason, subject: impl Into<String>) -> Finding {
        match self {
            Self::Unreadable(why) => Finding::new(reason, subject, why),
            Self::Stale { age_seconds, age_seconds_max } => {
                let words = format!("last proven {{}} s ago, at most {age_seconds_max} s are allowed");
                Finding::with_figures(reason, subject, words, &[age_seconds])
            }
        }
    }
}

/// Everything that was read, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The nodes.
    pub nodes: Source<Vec<Node>>,
    /// The API servers, each asked at its own address where that is known.
    pub api_servers: Source<Vec<ApiServer>>,
    /// The static pods of the control plane, as their mirror pods show them.
    pub static_pods: Source<Vec<StaticPod>>,
    /// The Leases of kube-controller-manager and kube-scheduler.
    pub controller_leases: Source<Vec<ControllerLease>>,
    /// What the package repository offers.
    pub packages: Source<Packages>,
    /// The upgrade runs of the namespaces that are served.
    pub runs: Source<Vec<UpgradeRun>>,
    /// Those of all other namespaces. Nothing is decided on them but whether the holder of the cluster lock still exists.
    #[serde(default = "Source::unread")]
    pub runs_elsewhere: Source<Vec<RunElsewhere>>,
}

/// A run of a namespace that is not served. Anybody who may make one may make thousands, each as large as an object may
/// be: whoever only needs to know which there are reads no more than their metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunElsewhere {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp`.
    pub created_at: Option<Timestamp>,
    /// Where it goes, as written; empty if only the metadata was read.
    pub target: String,
    /// Where it stands; nothing before the actuator has seen it, or if only the metadata was read.
    pub phase: Option<RunPhase>,
}

impl From<&UpgradeRun> for RunElsewhere {
    fn from(run: &UpgradeRun) -> Self {
        Self {
            namespace: run.namespace.clone(),
            name: run.name.clone(),
            uid: run.uid.clone(),
            generation: run.generation,
            created_at: run.created_at,
            target: run.spec.target.clone(),
            phase: run.status.as_ref().map(|status| status.phase),
        }
    }
}

/// Puts the runs of the namespaces that are served apart from all others.
#[must_use]
pub fn served_apart(
    runs: Source<Vec<UpgradeRun>>,
    namespaces: &[String],
) -> (Source<Vec<UpgradeRun>>, Source<Vec<RunElsewhere>>) {
    let Source { value, proven_at, error } = runs;
    let is_served = |run: &UpgradeRun| namespaces.contains(&run.namespace);
    let apart = value.map(|runs| runs.into_iter().partition::<Vec<_>, _>(is_served));
    let apart = apart.map(|(served, others)| (served, others.iter().map(RunElsewhere::from).collect()));
    let (served, elsewhere) = apart.unzip();
    (Source { value: served, proven_at, error: error.clone() }, Source { value: elsewhere, proven_at, error })
}

impl Snapshot {
    /// A snapshot of which nothing has been read.
    #[must_use]
    pub fn unread() -> Self {
        Self {
            nodes: Source::unread(),
            api_servers: Source::unread(),
            static_pods: Source::unread(),
            controller_leases: Source::unread(),
            packages: Source::unread(),
            runs: Source::unread(),
            runs_elsewhere: Source::unread(),
        }
    }

    /// How each source was read.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading<'_>> {
        // One list: how it was read is told once.
        let Self { nodes, api_servers, static_pods, controller_leases, packages, runs, runs_elsewhere: _ } =
            self;
        vec![
            Reading::of("nodes", nodes),
            Reading::of("api_servers", api_servers),
            Reading::of("static_pods", static_pods),
            Reading::of("controller_leases", controller_leases),
            Reading::of("packages", packages),
            Reading::of("runs", runs),
        ]
    }

    /// When everything that a decision needs was last proven: the oldest proof of nodes, API servers and runs.
    /// Nothing while one of them was never read.
    #[must_use]
    pub fn proven_at(&self) -> Option<Timestamp> {
        Some(self.nodes.proven_at?.min(self.api_servers.proven_at?).min(self.runs.proven_at?))
    }
}

/// What a node does in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It carries `node-role.kubernetes.io/control-plane`.
    ControlPlane,
    /// Every other node.
    Worker,
}

/// A node, as the API server shows it, with its Lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// The uid of the Node object.
    pub uid: String,
    /// The resource version that a patch must name.
    pub resource_version: String,
    /// Control plane or worker.
    pub role: Role,
    /// Every InternalIP in its order, as written; [`Node::addresses`] says which are. A file of before has the first alone.
    #[serde(alias = "internal_ip", deserialize_with = "one_or_all")]
    pub internal_ips: Vec<String>,
    /// `nodeInfo.machineID`.
    pub machine_id: String,
    /// `nodeInfo.bootID`.
    pub boot_id: String,
    /// `nodeInfo.kubeletVersion`, as written if it cannot be read as a version.
    pub kubelet_version: Result<Version, String>,
    /// `nodeInfo.containerRuntimeVersion`, such as `containerd://2.1.9`.
    pub container_runtime: String,
    /// `nodeInfo.kernelVersion`, such as `6.1.0-18-amd64`.
    pub kernel_version: String,
    /// `nodeInfo.operatingSystem`, such as `linux`; empty where nobody has read it.
    #[serde(default)]
    pub operating_system: String,
    /// `nodeInfo.osImage`, such as `Debian GNU/Linux 12 (bookworm)`; empty where nobody has read it.
    #[serde(default)]
    pub os_image: String,
    /// `nodeInfo.architecture`, such as `amd64`; empty where nobody has read it.
    #[serde(default)]
    pub architecture: String,
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// The annotation `lockkeeper.dev/cordoned-by`, as written.
    pub cordoned_by: Option<String>,
    /// The Ready condition is True.
    pub ready: bool,
    /// The last transition of the Ready condition.
    pub ready_since: Option<Timestamp>,
    /// The pressure conditions that are not False: unknown pressure is pressure.
    pub pressures: Vec<Pressure>,
    /// `spec.renewTime` of its Lease in `kube-node-lease`; nothing if it has none.
    pub lease_renewed_at: Option<Timestamp>,
    /// It is being deleted.
    pub deleting: bool,
    /// Of its labels those that a run names in `topologyKey`, and only where the actuator reads: thousands of nodes have
    /// dozens each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Node {
    /// Where it is by this label; nothing if it does not say.
    #[must_use]
    pub fn topology(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The addresses to reach it by, in their order: the kubelet's of each family. Whoever may write a Node's status may write
    /// anything there: another name would be another machine, and a word that begins with a dash an option of whatever is
    /// started with it.
    ///
    /// # Errors
    /// None of them is an IP address, in words.
    pub fn addresses(&self) -> Result<Vec<IpAddr>, String> {
        let addresses: Vec<IpAddr> =
            self.internal_ips.iter().filter_map(|it| it.parse().ok()).take(ADDRESSES_MAX).collect();
        match self.internal_ips.first() {
            None => Err("no InternalIP".to_owned()),
            Some(first) if addresses.is_empty() => Err(format!("its InternalIP {first:?} is no IP address")),
            Some(_) => Ok(addresses),
        }
    }

    /// Whether it runs Linux, or does not say what it runs.
    #[must_use]
    pub fn is_linux(&self) -> bool {
        matches!(self.operating_system.as_str(), "linux" | "")
    }

    /// Whether an endpoint such as `10.0.0.1:6443`, `[fd00::1]:6443`, `fd00::1` or `cp-1:2381` is at this node: by any of its
    /// addresses however it is spelt, or by its name. A port need not be there.
    #[must_use]
    pub fn has_endpoint(&self, endpoint: &str) -> bool {
        let bare = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>();
        let without_port = || endpoint.rsplit_once(':').map_or(endpoint, |(host, _port)| host);
        // Whole first: the end of an IPv6 address looks like a port.
        let address = bare(endpoint).or_else(|_| bare(without_port()));
        match address {
            Ok(address) => self.internal_ips.iter().any(|it| it.parse::<IpAddr>() == Ok(address)),
            Err(_no_address) => without_port() == self.name.0,
        }
    }

    /// Whether both claim one address.
    #[must_use]
    pub fn shares_address_with(&self, other: &Self) -> bool {
        let has = |address: &String| {
            let same = address.parse::<IpAddr>();
            other.internal_ips.iter().any(|it| it == address || same.is_ok() && it.parse::<IpAddr>() == same)
        };
        self.internal_ips.iter().any(has)
    }

    /// A node of which only name and role are known: nothing that it has not said counts as good.
    #[must_use]
    pub fn silent(name: &str, role: Role) -> Self {
        Self {
            name: name.into(),
            uid: String::new(),
            resource_version: String::new(),
            role,
            internal_ips: Vec::new(),
            machine_id: String::new(),
            boot_id: String::new(),
            kubelet_version: Err(String::new()),
            container_runtime: String::new(),
            kernel_version: String::new(),
            operating_system: String::new(),
            os_image: String::new(),
            architecture: String::new(),
            unschedulable: false,
            cordoned_by: None,
            ready: false,
            ready_since: None,
            pressures: Vec::new(),
            lease_renewed_at: None,
            deleting: false,
            labels: BTreeMap::new(),
        }
    }
}

/// All of them, or the one or none that a file of before has.
fn one_or_all<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        One(Option<String>),
        All(Vec<String>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::One(one) => one.into_iter().collect(),
        Written::All(all) => all,
    })
}

/// A resource that a node says it is short of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pressure {
    /// `MemoryPressure`.
    Memory,
    /// `DiskPressure`.
    Disk,
    /// `PIDPressure`.
    Pid,
    /// `NetworkUnavailable`.
    Network,
}

/// An API server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiServer {
    /// Its address, or the node that it runs on.
    pub name: String,
    /// What `/version` says, as written if it cannot be read as a version.
    pub version: Result<Version, String>,
    /// `/readyz` answers 200.
    pub ready: bool,
}

/// A static pod of the control plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StaticPod {
    /// The label `component`: etcd, kube-apiserver, kube-controller-manager, kube-scheduler.
    pub component: String,
    /// The node it runs on.
    pub node: NodeName,
    /// The tag of its image, as written if it cannot be read as a version.
    pub version: Result<Version, String>,
    /// The flags that it is started with, as [`crate::wire::command_line::flags`] reads them.
    pub flags: Result<BTreeMap<String, Vec<String>>, String>,
    /// The Ready condition is True.
    pub ready: bool,
    /// The last transition of the Ready condition.
    pub ready_since: Option<Timestamp>,
}

/// A leader election Lease of a controller in `kube-system`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControllerLease {
    /// kube-controller-manager or kube-scheduler.
    pub name: String,
    /// `spec.renewTime`.
    pub renewed_at: Option<Timestamp>,
}

/// What an index has of Kubernetes: versions by package, by architecture as Debian calls it.
pub type ByArchitecture = BTreeMap<String, BTreeMap<String, Vec<Version>>>;

/// What a package repository offers of the running minor and of the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Packages {
    /// Every release that kubeadm was seen of, in order.
    pub versions: Vec<Version>,
    /// All that an upgrade installs; nothing in a file of before it was read.
    #[serde(default)]
    pub by_architecture: Option<ByArchitecture>,
    /// Why the index of the next minor could not be read, while that of the running one was; nothing if it was read, or is
    /// not published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_the_same_after_it_was_saved_also_where_nothing_was_there() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        for source in [
            Source::read(None, now),
            Source::read(Some(1), now),
            Source { error: Some("gone".to_owned()), ..Source::read(None, now) },
            Source::unread(),
            Source::failed("gone"),
        ] {
            let text = serde_json::to_string(&source).unwrap();
            assert_eq!(serde_json::from_str::<Source<Option<u8>>>(&text).unwrap(), source, "{text}");
        }
        let nothing = r#"{"value":null,"proven_at":"2026-01-02T03:04:05Z","error":null}"#;
        assert_eq!(
            serde_json::from_str::<Source<Vec<u8>>>(nothing).unwrap().value,
            None,
            "a list is not nothing"
        );
        assert!(serde_json::from_str::<Source<u8>>(&nothing.replace("null,", "\"x\",")).is_err());
    }

    #[test]
    fn only_an_ip_address_is_one_to_reach_a_node_by() {
        for (written, expected) in [
            (&["10.0.0.1"][..], Ok("10.0.0.1")),
            (&["fd00::1"], Ok("fd00::1")),
            (&["10.0.0.1", "fd00:0::1"], Ok("10.0.0.1 fd00::1")),
            (&["fd00::1", "-oProxyCommand=reboot", "10.0.0.1"], Ok("fd00::1 10.0.0.1")),
            (&[], Err("no InternalIP")),
            (&[""], Err("its InternalIP \"\" is no IP address")),
            (&["w-1.example"], Err("its InternalIP \"w-1.example\" is no IP address")),
            (&["10.0.0.1:22"], Err("its InternalIP \"10.0.0.1:22\" is no IP address")),
            (&["fe80::1%eth0"], Err("its InternalIP \"fe80::1%eth0\" is no IP address")),
            (&["-oProxyCommand=reboot"], Err("its InternalIP \"-oProxyCommand=reboot\" is no IP address")),
        ] {
            let found = at(written).addresses();
            let found = found.map(|all| all.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "));
            assert_eq!(found.as_deref().map_err(String::as_str), expected);
        }
    }

    fn at(addresses: &[&str]) -> Node {
        let internal_ips = addresses.iter().map(|&address| address.to_owned()).collect();
        Node { internal_ips, ..Node::silent("w-1", Role::Worker) }
    }

    #[test]
    fn an_endpoint_is_at_a_node_by_any_of_its_addresses_or_its_name() {
        let node = at(&["10.0.0.1", "fd00::1"]);
        for (endpoint, expected) in [
            ("10.0.0.1:6443", true),
            ("10.0.0.1", true),
            ("[fd00::1]:6443", true),
            ("[fd00:0:0::1]", true),
            ("fd00::1", true),
            ("w-1:10250", true),
            ("w-1", true),
            ("10.0.0.2:6443", false),
            ("[fd00::2]:6443", false),
            ("fd00::1:6443", false),
            ("w-10:6443", false),
            ("", false),
            (":6443", false),
        ] {
            assert_eq!(node.has_endpoint(endpoint), expected, "{endpoint}");
        }
        assert!(!at(&["w-2"]).has_endpoint("w-2:6443"), "a name is no address");
    }

    #[test]
    fn nodes_that_share_any_address_are_told_from_those_that_share_none() {
        let node = at(&["10.0.0.1", "fd00::1"]);
        for (other, expected) in [
            (&["10.0.0.2", "fd00:0::1"][..], true),
            (&["10.0.0.1"], true),
            (&["10.0.0.2", "fd00::2"], false),
            (&[], false),
        ] {
            assert_eq!(node.shares_address_with(&at(other)), expected, "{other:?}");
        }
        assert!(!at(&[]).shares_address_with(&at(&[])));
    }

    #[test]
    fn a_node_of_a_file_of_before_has_its_one_address_and_says_nothing_of_its_system() {
        let mut written = serde_json::to_value(at(&["10.0.0.1", "fd00::1"])).unwrap();
        assert_eq!(serde_json::from_value::<Node>(written.clone()).unwrap(), at(&["10.0.0.1", "fd00::1"]));
        let fields = written.as_object_mut().unwrap();
        for newer in ["internal_ips", "operating_system", "os_image", "architecture"] {
            fields.remove(newer).unwrap();
        }
        fields.insert("internal_ip".to_owned(), "10.0.0.1".into());
        assert_eq!(serde_json::from_value::<Node>(written.clone()).unwrap(), at(&["10.0.0.1"]));
        written["internal_ip"] = serde_json::Value::Null;
        assert_eq!(serde_json::from_value::<Node>(written).unwrap(), at(&[]));
    }

    #[test]
    fn only_a_value_whose_age_is_known_and_small_is_fresh() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let read_before = |seconds| Source::read((), now - jiff::SignedDuration::from_secs(seconds));
        for (source, is_fresh) in [
            (read_before(0), true),
            (read_before(10), true),
            (read_before(11), false),
            (read_before(-1), false),
            (Source::unread(), false),
            (Source { error: Some("gone".to_owned()), ..read_before(0) }, false),
        ] {
            assert_eq!(source.fresh(now, 10).is_ok(), is_fresh, "{source:?}");
        }
    }
}
