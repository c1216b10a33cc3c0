//! Every reason code, one vocabulary: the same word in metrics, JSON, Events, logs, conditions and docs.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why something is held, refused or failed.
///
/// Adding one means adding a variant, a line in [`Reason::ALL`] and a line in [`Reason::entry`]; the compiler and
/// a test name what was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each variant is documented by its entry, which people read too")]
pub enum Reason {
    // The gate: what the live check found.
    GateFiring,
    GatePending,
    GateSuppressed,
    GateExpressionTrue,
    GateMisspelt,
    RuleMissing,
    RuleUnhealthy,
    RuleStale,
    RuleUnknown,
    WatchdogMissing,
    ReadyAbsent,
    ReadySuppressed,
    ReadySilenced,
    SilenceForgotten,
    EchoMissing,
    EchoStale,
    NodeMismatch,
    PrometheusUnreachable,
    PrometheusReloadFailed,
    PrometheusYoung,
    AlertmanagerUnreachable,
    AlertmanagerYoung,
    AlertmanagerNotReady,
    HeartbeatMissing,
    GatesTooLarge,
    ClockSkew,
    AnswerMalformed,
    CheckExpired,
    // The cluster.
    ApiUnreachable,
    NodeNotReady,
    NodeLeaseStale,
    NodePressure,
    NodeMissing,
    NodeReplaced,
    NodeChanged,
    NodeCordonedByHuman,
    NodeUncordonedByHuman,
    NodeSkipped,
    NodeRebootedRecently,
    NodeAddressMissing,
    ControllerLeaseStale,
    ControlPlaneNotReady,
    EtcdUnhealthy,
    EtcdRecentlyRestarted,
    EtcdSlow,
    EtcdNearlyFull,
    EtcdUnmeasured,
    VersionUnexpected,
    PodsNotReady,
    NoNodes,
    // The verdict.
    VerdictUnknown,
    TargetNotAVersion,
    TargetPrerelease,
    TargetDowngrade,
    TargetSkipsMinor,
    TargetOtherMajor,
    TargetUnavailable,
    PatchBehind,
    NodeOsUnsupported,
    NodeOsUnrecognised,
    NodeArchitectureUnsupported,
    KubeletOfVendor,
    TargetOfVendor,
    ControlPlaneOfVendor,
    KubeletTooOld,
    KubeletAhead,
    ControlPlaneSkewed,
    ControlPlaneUnlabelled,
    ControlPlaneUnseen,
    SourceUnreadable,
    SourceStale,
    VerdictStale,
    MatrixStale,
    MatrixRefused,
    MatrixOlder,
    AcceptExpired,
    AcceptUnused,
    RuntimeTooOld,
    RuntimeNotRecommended,
    RuntimeUnknown,
    KernelUnsupported,
    KernelUnknown,
    EtcdTooOld,
    EtcdUnseen,
    FeatureGateRemoved,
    FeatureGateLocked,
    FeatureGateUnknown,
    FlagRemoved,
    AdmissionPluginRemoved,
    KubeadmGateUnknown,
    KubeadmConfigUnreadable,
    CommandLineUnseen,
    ComponentFactsMissing,
    KubeletUnread,
    KubeletForbidden,
    KubeletFlagsUnseen,
    CgroupTooOld,
    CgroupOldKept,
    CgroupUnknown,
    CloudControllerSkewed,
    CloudControllerUnknown,
    KubeProxySkewed,
    KubeProxyUnknown,
    KubeProxyAbsent,
    StoredVersionUnserved,
    StoredVersionOld,
    PdbUnobserved,
    PdbWaits,
    PdbOfOthers,
    PdbMayMove,
    WebhookDead,
    WebhookOnOneNode,
    WebhookConditional,
    WebhookUnseen,
    WebhookOutside,
    WebhookUnproven,
    WebhookExact,
    VolumePluginGone,
    FlexVolumeUnmounted,
    VolumesNotRead,
    ApiRequested,
    ApiRequestGhost,
    ApiRemovalUnreadable,
    ApiServerNotScraped,
    ApiProofShort,
    ApiWritten,
    ApiInManifest,
    ApiGone,
    ApiUnmarked,
    HelmNotRead,
    HelmNotFound,
    RiskPresent,
    RiskUnknown,
    AddonUpgradeNeeded,
    AddonPinned,
    AddonPinExpired,
    AddonWaitingUnreleased,
    AddonWaitingDocsLag,
    AddonRetired,
    AddonNeedsNewerKubernetes,
    AddonUntested,
    AddonMissing,
    AddonLeftover,
    AddonVersionUnreadable,
    AddonVersionsDiffer,
    AddonPodsDiffer,
    AddonPodsUnread,
    AddonPodsNotRead,
    AddonRollingOut,
    AddonNewerThanMatrix,
    AddonOlderThanMatrix,
    AddonClaimNotAccepted,
    AddonNotCovered,
    AddonBeyondCeiling,
    AddonNoCeiling,
    AddonKernelTooOld,
    AddonCondition,
    // The run.
    Paused,
    StopAfter,
    NotBefore,
    ClockSetBack,
    WaitingForPermit,
    PermitExpired,
    NotServed,
    QueuedBehindRun,
    LockUnreadable,
    LockLost,
    LeadershipLost,
    StatusMalformed,
    StatusNewer,
    StatusPruned,
    StateWentBackwards,
    AttemptsExhausted,
    NodeHalfUpgraded,
    NoHomeForActuator,
    PipelineHasNoOtherNode,
    PodHasNoOtherNode,
    InvariantViolated,
    // A node's step.
    SshUnreachable,
    SshHostKey,
    MachineIdMismatch,
    LedgerUnreadable,
    TokenAlreadySeen,
    GenerationTooOld,
    NodeBusy,
    UnitNotBegun,
    UnitVanished,
    UnitFailed,
    UnitDeadline,
    PreflightFailed,
    PatchesMissing,
    NodeWithoutApt,
    NodeWithoutSystemd,
    KubeletNotPackaged,
    DiskTooSmall,
    NodeNotPrepared,
    SourceNotRestored,
    PackagesBlocked,
    ConfigDrift,
    ManifestsUnknown,
    SnapshotMissing,
    SnapshotInvalid,
    SnapshotDiskTooSmall,
    PdbBlocked,
    PodWithoutController,
    EvictionRefused,
    PodTerminating,
    VolumeAttached,
    DrainDeadline,
    VerifyDeadline,
    HoldDeadline,
}

/// What a reason says to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The snake_case code.
    pub code: &'static str,
    /// What it means, a sentence without a full stop.
    pub meaning: &'static str,
    /// What would clear it, a sentence without a full stop.
    pub remedy: &'static str,
}

const fn entry(code: &'static str, meaning: &'static str, remedy: &'static str) -> Entry {
    Entry { code, meaning, remedy }
}

impl Reason {
    /// The snake_case code, as in metrics, JSON and docs.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.entry().code
    }

    /// The reason that has this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }

    /// Code, meaning and remedy.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one line per reason is the table")]
    pub fn entry(self) -> Entry {
        match self {
            Self::GateFiring => {
                entry("gate_firing", "a gate alert is firing", "clear the alert; the run goes on by itself")
            }
            Self::GatePending => {
                entry("gate_pending", "a gate alert is pending", "wait for the alert to fire or to clear")
            }
            Self::GateSuppressed => entry(
                "gate_suppressed",
                "a gate alert is silenced or inhibited, which does not open the gate",
                "clear the alert itself",
            ),
            Self::GateExpressionTrue => entry(
                "gate_expression_true",
                "an embedded gate expression has a result although its rule is quiet",
                "load the rules of this version; clear what the expression names",
            ),
            Self::GateMisspelt => entry(
                "gate_misspelt",
                "an alert carries a gate class that does not exist, which closes every step",
                "spell k8s_upgrade_gate as all, start or mutating",
            ),
            Self::RuleMissing => entry(
                "rule_missing",
                "a generated alert rule is not loaded",
                "load the output of `lockkeeper-exporter rules` into Prometheus",
            ),
            Self::RuleUnhealthy => entry(
                "rule_unhealthy",
                "a gate rule cannot be evaluated",
                "read lastError of the rule in Prometheus",
            ),
            Self::RuleStale => entry(
                "rule_stale",
                "a gate rule has not been evaluated lately",
                "look at the rule group's evaluation time in Prometheus",
            ),
            Self::RuleUnknown => entry(
                "rule_unknown",
                "a gate rule is in a state that is not known to be quiet",
                "wait for its first evaluation",
            ),
            Self::WatchdogMissing => entry(
                "watchdog_missing",
                "the positive control K8sUpgradeWatchdog is absent from the answer",
                "look at the path from Prometheus to Alertmanager",
            ),
            Self::ReadyAbsent => entry(
                "ready_absent",
                "K8sUpgradeStepReady does not fire for this step's token",
                "wait for the gates; look at the alert in Prometheus",
            ),
            Self::ReadySuppressed => entry(
                "ready_suppressed",
                "the ready alert is inhibited or muted",
                "remove the inhibit rule or the mute time",
            ),
            Self::ReadySilenced => entry(
                "ready_silenced",
                "the ready alert is silenced, which pauses the run",
                "expire the silence",
            ),
            Self::SilenceForgotten => entry(
                "silence_forgotten",
                "a silence that has paused the run is gone from Alertmanager, and nothing says that it has expired",
                "wait until its end; or ask whoever made it, and to go on add the word that is shown to spec.acceptRisks",
            ),
            Self::EchoMissing => entry(
                "echo_missing",
                "Prometheus has no sample of this step's token",
                "let Prometheus scrape this exporter; check the job name and selector",
            ),
            Self::EchoStale => entry(
                "echo_stale",
                "the newest sample of this step's token is too old",
                "look at the exporter's target in Prometheus",
            ),
            Self::NodeMismatch => entry(
                "node_mismatch",
                "Prometheus and the API server count different nodes",
                "wait for the next scrape; check that Prometheus watches this cluster",
            ),
            Self::PrometheusUnreachable => entry(
                "prometheus_unreachable",
                "a configured Prometheus does not answer",
                "bring it back, or correct prometheus.urls",
            ),
            Self::PrometheusReloadFailed => entry(
                "prometheus_reload_failed",
                "Prometheus runs with an old configuration because its last reload failed",
                "mend the configuration that it refused",
            ),
            Self::PrometheusYoung => entry(
                "prometheus_young",
                "Prometheus has no data of a time that gate alerts look back to, so it may have forgotten what closes them",
                "wait until then; keep its data on a volume, and settings.prometheusDataAgeSecondsMin as short as your own gate alerts allow",
            ),
            Self::AlertmanagerUnreachable => entry(
                "alertmanager_unreachable",
                "a configured Alertmanager does not answer",
                "bring it back, or correct alertmanager.urls",
            ),
            Self::AlertmanagerYoung => entry(
                "alertmanager_young",
                "Alertmanager started so lately that its list may be incomplete",
                "wait one resend delay",
            ),
            Self::AlertmanagerNotReady => entry(
                "alertmanager_not_ready",
                "the Alertmanager cluster is settling",
                "wait for it to be ready",
            ),
            Self::HeartbeatMissing => entry(
                "heartbeat_missing",
                "no heartbeat has arrived from Alertmanager",
                "route K8sUpgradeWatchdog to the actuator; check the webhook's address and token",
            ),
            Self::GatesTooLarge => entry(
                "gates_too_large",
                "Alertmanager's message about gate alerts was too large to be read, so that they count as firing",
                "let fewer alerts carry k8s_upgrade_gate; the next message that can be read, or the next call for this step, ends it",
            ),
            Self::ClockSkew => entry(
                "clock_skew",
                "the clock of a backend or of a node is too far from ours",
                "run a time service on both",
            ),
            Self::AnswerMalformed => entry(
                "answer_malformed",
                "an answer could not be understood",
                "check that the URL is what it should be, and the supported versions",
            ),
            Self::CheckExpired => entry(
                "check_expired",
                "the live check is older than its validity",
                "nothing; it is asked again",
            ),
            Self::ApiUnreachable => entry(
                "api_unreachable",
                "the API server does not answer",
                "nothing if its own node is being upgraded; else bring it back",
            ),
            Self::NodeNotReady => {
                entry("node_not_ready", "a node is not Ready", "mend the node, or list it in spec.skip")
            }
            Self::NodeLeaseStale => {
                entry("node_lease_stale", "a node's Lease has not been renewed lately", "mend its kubelet")
            }
            Self::NodePressure => entry(
                "node_pressure",
                "a node reports memory, disk or process pressure",
                "free the resource on the node",
            ),
            Self::NodeMissing => entry(
                "node_missing",
                "the node is gone",
                "nothing if it was removed on purpose; if the run has halted over it, set spec.retry",
            ),
            Self::NodeReplaced => entry(
                "node_replaced",
                "a node of this name has another uid, or another machine, than when its step began",
                "look at the node, then set spec.retry",
            ),
            Self::NodeChanged => {
                entry("node_changed", "the node has changed since it was read", "nothing; it is read again")
            }
            Self::NodeCordonedByHuman => entry(
                "node_cordoned_by_human",
                "somebody else has cordoned the node",
                "uncordon it, or set spec.cordonedNodes: upgrade",
            ),
            Self::NodeUncordonedByHuman => entry(
                "node_uncordoned_by_human",
                "somebody uncordoned the node in the middle of its step",
                "nothing; it is left as it is",
            ),
            Self::NodeSkipped => {
                entry("node_skipped", "spec.skip names the node at work", "nothing; it is left as it is")
            }
            Self::NodeRebootedRecently => entry(
                "node_rebooted_recently",
                "a node booted less than the quiet time ago",
                "wait for the quiet time to pass",
            ),
            Self::NodeAddressMissing => entry(
                "node_address_missing",
                "a node has no InternalIP that it could be reached by",
                "let its kubelet report one that is an IP address",
            ),
            Self::ControllerLeaseStale => entry(
                "controller_lease_stale",
                "kube-controller-manager or kube-scheduler does not renew its Lease",
                "bring it back",
            ),
            Self::ControlPlaneNotReady => {
                entry("control_plane_not_ready", "an API server is not ready", "bring it back")
            }
            Self::EtcdUnhealthy => entry(
                "etcd_unhealthy",
                "an etcd member is not healthy",
                "bring the member back before its neighbour is touched",
            ),
            Self::EtcdRecentlyRestarted => entry(
                "etcd_recently_restarted",
                "an etcd member has not been healthy for long enough",
                "nothing; it is asked again",
            ),
            Self::EtcdSlow => entry(
                "etcd_slow",
                "by its own metrics an etcd member is slow, or its leader has changed often",
                "look at the disk and the network of that member, or raise the limit in the settings",
            ),
            Self::EtcdNearlyFull => entry(
                "etcd_nearly_full",
                "the database of an etcd member has nearly filled its quota",
                "defragment it or raise --quota-backend-bytes, one member at a time",
            ),
            Self::EtcdUnmeasured => entry(
                "etcd_unmeasured",
                "Prometheus shows metrics of etcd, and not those of every member",
                "look at etcd's targets in Prometheus; one that was taken away is forgotten after an hour",
            ),
            Self::VersionUnexpected => entry(
                "version_unexpected",
                "a component runs a version that the run did not plan for",
                "find out who changed it, then set spec.retry",
            ),
            Self::PodsNotReady => entry("pods_not_ready", "too few pods are Ready", "mend the workloads"),
            Self::NoNodes => {
                entry("no_nodes", "the cluster shows no nodes", "check the rights of the service account")
            }
            Self::VerdictUnknown => entry(
                "verdict_unknown",
                "the compatibility verdict could not be reached",
                "read /verdict for what is missing",
            ),
            Self::TargetNotAVersion => entry(
                "target_not_a_version",
                "spec.target is not a version",
                "open a new run with a target such as v1.36.3",
            ),
            Self::TargetPrerelease => entry(
                "target_prerelease",
                "spec.target is a pre-release",
                "open a new run with a release as its target",
            ),
            Self::TargetDowngrade => entry(
                "target_downgrade",
                "spec.target is older than what runs",
                "open a new run with a newer target; Kubernetes does not go down",
            ),
            Self::TargetSkipsMinor => entry(
                "target_skips_minor",
                "spec.target is more than one minor ahead",
                "open a new run with a target of the next minor, and another one after it",
            ),
            Self::TargetOtherMajor => entry(
                "target_other_major",
                "spec.target has another major version",
                "open a new run with a target of the running major",
            ),
            Self::TargetUnavailable => entry(
                "target_unavailable",
                "the package index does not have all of the target for every node",
                "check spec.target and packages.url; a mirror needs kubeadm, kubelet and kubectl for each architecture that runs",
            ),
            Self::PatchBehind => entry(
                "patch_behind",
                "a newer patch of the same minor is on offer",
                "begin from the newest patch of the minor that runs, and go to the newest of the next",
            ),
            Self::NodeOsUnsupported => entry(
                "node_os_unsupported",
                "a node runs an operating system without apt, and Lockkeeper upgrades nodes with apt alone",
                "leave it out of the run (spec.skip) and upgrade it by its own means",
            ),
            Self::NodeOsUnrecognised => entry(
                "node_os_unrecognised",
                "whether the operating system of a node has apt is not known by its name",
                "go on: preflight of a run asks the node itself",
            ),
            Self::NodeArchitectureUnsupported => entry(
                "node_architecture_unsupported",
                "a node has an architecture that no packages are published for",
                "leave it out of the run (spec.skip) and upgrade it by its own means",
            ),
            Self::KubeletOfVendor => entry(
                "kubelet_of_vendor",
                "the kubelet of a node is a vendor's own build, and Lockkeeper installs the project's",
                "leave it out of the run (spec.skip) and upgrade it by the vendor's means",
            ),
            Self::TargetOfVendor => entry(
                "target_of_vendor",
                "the target is a vendor's own build, and Lockkeeper installs the project's",
                "name a release of the project, such as v1.36.3, or upgrade by the vendor's means",
            ),
            Self::ControlPlaneOfVendor => entry(
                "control_plane_of_vendor",
                "a part of the control plane that its vendor brings and configures is not looked at",
                "look into the vendor's release notes for the target",
            ),
            Self::KubeletTooOld => entry(
                "kubelet_too_old",
                "a kubelet would be more minors behind the API server than is supported",
                "upgrade that node first",
            ),
            Self::KubeletAhead => entry(
                "kubelet_ahead",
                "a kubelet is newer than an API server",
                "upgrade the control plane first",
            ),
            Self::ControlPlaneSkewed => entry(
                "control_plane_skewed",
                "the API servers are more than one minor apart",
                "finish the earlier upgrade of the control plane",
            ),
            Self::ControlPlaneUnlabelled => entry(
                "control_plane_unlabelled",
                "a kube-apiserver runs on a node that is not known to be of the control plane",
                "give the node the label node-role.kubernetes.io/control-plane, as kubeadm does",
            ),
            Self::ControlPlaneUnseen => entry(
                "control_plane_unseen",
                "a part of the control plane is not seen",
                "wait until its pods are there again; let kubeadm write its static pods, with the labels that it gives them",
            ),
            Self::SourceUnreadable => entry(
                "source_unreadable",
                "a source that the verdict needs could not be read",
                "mend the source that is named",
            ),
            Self::SourceStale => entry(
                "source_stale",
                "a source that the verdict needs is too old",
                "mend the source that is named",
            ),
            Self::VerdictStale => entry(
                "verdict_stale",
                "the verdict is older than its time to live",
                "nothing; it is computed again",
            ),
            Self::RuntimeTooOld => entry(
                "runtime_too_old",
                "a kubelet of the target does not start on this container runtime",
                "upgrade the container runtime of the node first",
            ),
            Self::RuntimeNotRecommended => entry(
                "runtime_not_recommended",
                "the container runtime is not one that its project names for the target",
                "upgrade the container runtime of the node first; where that is in the way, it may be accepted by name and day",
            ),
            Self::RuntimeUnknown => entry(
                "runtime_unknown",
                "nobody knows whether the container runtime of a node fits the target",
                "look at the node; add what is known of its runtime to the data",
            ),
            Self::KernelUnsupported => entry(
                "kernel_unsupported",
                "the kernel of a node is none that kubeadm's preflight knows, of which it only warns",
                "nothing has to be done; a newer kernel ends the warning",
            ),
            Self::KernelUnknown => {
                entry("kernel_unknown", "the kernel of a node cannot be read", "look at the node's status")
            }
            Self::EtcdTooOld => entry(
                "etcd_too_old",
                "etcd must be upgraded inside its minor before the target's etcd may come",
                "upgrade etcd to the release that is named, on every member; where no kubeadm of the minor that runs brings it, set etcd.local.imageTag in ConfigMap kube-system/kubeadm-config (and imageRepository, where the usual one does not have it), run kubeadm upgrade apply with the version that runs and kubeadm upgrade node on the other control planes, and take the tag out again",
            ),
            Self::EtcdUnseen => entry(
                "etcd_unseen",
                "no etcd is seen in the cluster",
                "let kubeadm run etcd as static pods: an etcd outside the cluster cannot be judged, so there is no way around this",
            ),
            Self::FeatureGateRemoved => entry(
                "feature_gate_removed",
                "a feature gate is set that the target does not know, so the component does not start",
                "take it out of the component's configuration: extraArgs in kubeadm-config and the static pod's manifest, or the kubelet's",
            ),
            Self::FeatureGateLocked => entry(
                "feature_gate_locked",
                "a feature gate is set to a value that the target refuses, so the component does not start",
                "take it out of the component's configuration: extraArgs in kubeadm-config and the static pod's manifest, or the kubelet's",
            ),
            Self::FeatureGateUnknown => entry(
                "feature_gate_unknown",
                "nobody knows what becomes of a feature gate that is set",
                "take it out, or look whether the target knows it and give its row in components",
            ),
            Self::FlagRemoved => entry(
                "flag_removed",
                "a flag is set that the target does not know, so the component does not start",
                "take it out of extraArgs in kubeadm-config and of the static pod's manifest",
            ),
            Self::AdmissionPluginRemoved => entry(
                "admission_plugin_removed",
                "an admission plugin is named that the target does not have, so kube-apiserver does not start",
                "take it out of extraArgs in kubeadm-config and of the static pod's manifest",
            ),
            Self::KubeadmGateUnknown => entry(
                "kubeadm_gate_unknown",
                "kubeadm keeps a feature gate of its own that the target's kubeadm does not know: an upgrade warns of it and goes on",
                "take it out of featureGates in ConfigMap kube-system/kubeadm-config: a file with it is refused",
            ),
            Self::KubeadmConfigUnreadable => entry(
                "kubeadm_config_unreadable",
                "the target's kubeadm cannot read the configuration that is kept in the cluster",
                "let the kubeadm that runs write it anew, by kubeadm upgrade apply with the version that runs; or put what kubeadm config migrate makes of it into ConfigMap kube-system/kubeadm-config",
            ),
            Self::CommandLineUnseen => entry(
                "command_line_unseen",
                "the flags of a component of the control plane are not seen",
                "let kubeadm write its static pod, with the component's own program as its command",
            ),
            Self::ComponentFactsMissing => entry(
                "component_facts_missing",
                "nothing is known of what a minor takes away from the components' configuration",
                "give a newer file of facts whose section components has that minor and all that the built-in one has",
            ),
            Self::KubeletUnread => entry(
                "kubelet_unread",
                "a kubelet did not say how it is configured",
                "mend its kubelet, or wait until it is asked again",
            ),
            Self::KubeletForbidden => entry(
                "kubelet_forbidden",
                "there is no right to ask kubelets how they are configured",
                "read what the right gives in deploy/kubelet-config and add that component",
            ),
            Self::KubeletFlagsUnseen => entry(
                "kubelet_flags_unseen",
                "the flags that kubelets are started with cannot be seen from the cluster",
                "look at /var/lib/kubelet/kubeadm-flags.env, /etc/default/kubelet and the unit on every node, then set policy.kubelet_flags_checked to the minor",
            ),
            Self::CgroupTooOld => entry(
                "cgroup_too_old",
                "a node runs on cgroup v1, on which the target's kubelet does not start",
                "move the node to cgroup v2, or set failCgroupV1: false in the ConfigMap kubelet-config",
            ),
            Self::CgroupOldKept => entry(
                "cgroup_old_kept",
                "a node may run on cgroup v1; its kubelet will be told to start all the same",
                "nothing for now; later minors do without cgroup v1",
            ),
            Self::CgroupUnknown => entry(
                "cgroup_unknown",
                "a node's cgroup version is not known, and the target's kubelet does not start on v1",
                "let its kubelet be asked (deploy/kubelet-config), or set failCgroupV1: false in the ConfigMap kubelet-config",
            ),
            Self::CloudControllerSkewed => entry(
                "cloud_controller_skewed",
                "a cloud-controller-manager is too far from an API server or from the target",
                "bring it to the minor that runs now; its project tells which release that is",
            ),
            Self::CloudControllerUnknown => entry(
                "cloud_controller_unknown",
                "the version of a cloud-controller-manager is not known",
                "give its image a version as its tag, and let it roll out",
            ),
            Self::KubeProxySkewed => entry(
                "kube_proxy_skewed",
                "kube-proxy is too far from an API server or a kubelet",
                "bring kube-proxy to the version of the API servers",
            ),
            Self::KubeProxyUnknown => entry(
                "kube_proxy_unknown",
                "the version of kube-proxy is not known",
                "give its image a version as its tag, and let its DaemonSet roll out",
            ),
            Self::KubeProxyAbsent => entry(
                "kube_proxy_absent",
                "no DaemonSet runs kube-proxy",
                "nothing if another program does its work; look at that one's own versions",
            ),
            Self::StoredVersionUnserved => entry(
                "stored_version_unserved",
                "objects may be stored in a version that the API server does not serve",
                "serve that version again, rewrite the objects, then take it out of status.storedVersions",
            ),
            Self::StoredVersionOld => entry(
                "stored_version_old",
                "objects may still be stored in an older version",
                "rewrite the objects before the add-on drops that version",
            ),
            Self::PdbUnobserved => entry(
                "pdb_unobserved",
                "nobody knows what a PodDisruptionBudget allows",
                "look at the budget and at kube-controller-manager, which writes its status",
            ),
            Self::PdbWaits => entry(
                "pdb_waits",
                "a PodDisruptionBudget allows no eviction until more of its pods are Ready",
                "look at its pods, or set unhealthyPodEvictionPolicy: AlwaysAllow",
            ),
            Self::PdbOfOthers => entry(
                "pdb_of_others",
                "a PodDisruptionBudget counts pods whose owners are not watched",
                "give these pods labels of their own, or let the budget allow one more; or look at the pods and accept this budget by name: in a file of facts (accept), or for one run: spec.acceptRisks",
            ),
            Self::PdbMayMove => entry(
                "pdb_may_move",
                "a PodDisruptionBudget allows no eviction unless an operator moves the pod or the budget",
                "ask the operator's documentation whether it does so when a node is cordoned; if so, accept this budget by name: in a file of facts (accept), or for one run as pdb_may_move@ and its name in spec.acceptRisks; if not, relax the budget through its operator",
            ),
            Self::WebhookDead => entry(
                "webhook_dead",
                "nobody answers a webhook where it is asked, and what it is asked about is refused",
                "start its pods or mend the port of its Service, or delete the configuration",
            ),
            Self::WebhookOnOneNode => entry(
                "webhook_on_one_node",
                "everybody who answers a webhook is on one node that is drained",
                "give it two replicas on different nodes, or leave kube-system and its own namespace out of its \
                 namespaceSelector",
            ),
            Self::WebhookConditional => entry(
                "webhook_conditional",
                "everybody who answers a webhook is on one node that is drained, and only its matchConditions may leave out \
                 what cannot wait for it",
                "give it two replicas on different nodes; or read its matchConditions: where they leave out kube-system, nodes \
                 and its own namespace, accept it by name until a day",
            ),
            Self::WebhookUnseen => entry(
                "webhook_unseen",
                "nobody knows who answers a webhook",
                "wait a moment; then look at the exporter's right to get Services and list EndpointSlices",
            ),
            Self::WebhookOutside => entry(
                "webhook_outside",
                "a webhook is answered where nobody here can look, and its calls prove that it answers",
                "look whether it answers while nodes are drained",
            ),
            Self::WebhookUnproven => entry(
                "webhook_unproven",
                "nobody here can see whether a webhook answers, and its calls do not prove it",
                "let it be asked, such as by kubectl run --dry-run=server where it is asked about pods, with every API server \
                 scraped; where its calls fail, look at what API servers log of them, such as of its caBundle; name the port in its \
                 container; or look at it yourself, and accept it by name until a day",
            ),
            Self::WebhookExact => entry(
                "webhook_exact",
                "a webhook with matchPolicy: Exact is not asked about objects in versions that it does not list",
                "set matchPolicy: Equivalent",
            ),
            Self::VolumePluginGone => entry(
                "volume_plugin_gone",
                "a volume is of a plugin that the target does not have",
                "move it to a CSI driver, or take it out of the template",
            ),
            Self::FlexVolumeUnmounted => entry(
                "flex_volume_unmounted",
                "a volume is of a FlexVolume driver, and the target's kubeadm does not mount the drivers into kube-controller-manager, which attaches volumes",
                "mount the directory that is named by controllerManager.extraVolumes in ConfigMap kube-system/kubeadm-config, or move to a CSI driver; accept it by name and day where the driver attaches nothing",
            ),
            Self::VolumesNotRead => entry(
                "volumes_not_read",
                "the volumes of bare pods and of Jobs are not looked at",
                "look for pods with such a volume before the first node is drained",
            ),
            Self::ApiRequested => entry(
                "api_requested",
                "somebody asks for an API that the target does not serve",
                "move its callers to the version that stays; audit events with k8s.io/deprecated name them",
            ),
            Self::ApiRequestGhost => entry(
                "api_request_ghost",
                "an API that the target does not serve was asked for, but not lately",
                "move its callers; if they have moved, restart the API server to see, or set policy.deprecated_api_ghosts to note",
            ),
            Self::ApiRemovalUnreadable => entry(
                "api_removal_unreadable",
                "an API server names a minor that cannot be read as the end of an API",
                "look at removed_release of apiserver_requested_deprecated_apis",
            ),
            Self::ApiServerNotScraped => entry(
                "api_server_not_scraped",
                "Prometheus has no samples of an API server now",
                "let Prometheus scrape each API server at its node's address, which the label instance must keep",
            ),
            Self::ApiProofShort => entry(
                "api_proof_short",
                "Prometheus has samples of an API server for less than the window",
                "let Prometheus keep samples for longer and wait, or accept it by name until a day (accept); how much is asked for say policy.deprecated_api_window_days and policy.deprecated_api_short_proof",
            ),
            Self::ApiWritten => entry(
                "api_written",
                "objects are written in a version that the target does not serve",
                "upgrade the writer, or let it write the version that stays",
            ),
            Self::ApiInManifest => entry(
                "api_in_manifest",
                "a release of Helm was deployed with an API that the target does not serve",
                "upgrade the chart first; once the API is gone, Helm cannot upgrade the release",
            ),
            Self::ApiGone => entry(
                "api_gone",
                "an API that is not served any more is still written somewhere",
                "nothing for this upgrade; Helm cannot upgrade such a release before its manifest is mended",
            ),
            Self::ApiUnmarked => entry(
                "api_unmarked",
                "an API goes before it is marked as deprecated, so that nobody can see who only reads it",
                "look for its readers; who writes it is looked for",
            ),
            Self::HelmNotRead => entry(
                "helm_not_read",
                "what Helm has stored of its releases is not looked at",
                "set policy.helm_manifests to required and let both programs list Secrets (deploy/helm)",
            ),
            Self::HelmNotFound => entry(
                "helm_not_found",
                "Helm is to be looked at, and has no release in any Secret",
                "where Helm keeps its releases elsewhere or is not used, set policy.helm_manifests to note",
            ),
            Self::RiskPresent => entry(
                "risk_present",
                "a known danger is on the way to the target",
                "do what its row says, or accept it by name until a day (accept)",
            ),
            Self::RiskUnknown => entry(
                "risk_unknown",
                "Prometheus does not prove whether a known danger is in this cluster",
                "let it scrape what the row's expression looks at; the answer is one sample, 1 or 0",
            ),
            Self::MatrixStale => entry(
                "matrix_stale",
                "what is known of versions is missing or too old to be trusted",
                "get newer data and set its as_of, or allow more with max_age_days (of rows that are joined the shortest counts)",
            ),
            Self::MatrixRefused => entry(
                "matrix_refused",
                "the files of facts about versions were changed and have mistakes, so others than are wanted are in force",
                "mend the files; `lockkeeper-exporter matrix check FILE` lists every mistake",
            ),
            Self::MatrixOlder => entry(
                "matrix_older",
                "a file of facts about versions has taken the place of newer facts, and says something else",
                "take it out of your file, or look at its source again and set as_of to that day",
            ),
            Self::AcceptExpired => entry(
                "accept_expired",
                "the last day of what a person accepted is over",
                "look at it again: mend it, or accept it until a later day; then take the old row out of `accept`",
            ),
            Self::AcceptUnused => entry(
                "accept_unused",
                "a row of `accept` means nothing that stands in the way of this target",
                "take it out, or correct its check, subject or reason",
            ),
            Self::AddonUpgradeNeeded => entry(
                "addon_upgrade_needed",
                "an add-on does not fit the target, and a newer release of it does",
                "upgrade the add-on first",
            ),
            Self::AddonPinned => entry(
                "addon_pinned",
                "an add-on that somebody pinned does not fit the target",
                "wait for whoever pinned it, or lift the pin",
            ),
            Self::AddonPinExpired => entry(
                "addon_pin_expired",
                "the pin of an add-on that does not fit the target has expired",
                "lift or renew the pin",
            ),
            Self::AddonWaitingUnreleased => entry(
                "addon_waiting_unreleased",
                "no known release of an add-on fits the target",
                "wait for its next release, then add it to the matrix",
            ),
            Self::AddonWaitingDocsLag => entry(
                "addon_waiting_docs_lag",
                "an add-on does not fit the target, and its ceiling is raised without a release",
                "look at its documentation, then correct its row",
            ),
            Self::AddonRetired => entry("addon_retired", "an add-on gets no more releases", "replace it"),
            Self::AddonNeedsNewerKubernetes => entry(
                "addon_needs_newer_kubernetes",
                "an add-on needs a newer Kubernetes than runs or is asked for",
                "use an older release of it, or go to the newer Kubernetes in another order",
            ),
            Self::AddonUntested => entry(
                "addon_untested",
                "nobody has tested this release of an add-on with the target, which its vendor does not rule out",
                "use a release that was tested with it, where one is named; or try it elsewhere and accept it by name and day, or by policy.outside_tested",
            ),
            Self::AddonMissing => entry(
                "addon_missing",
                "an add-on that should be there was not found",
                "correct where its row looks for it, or install it",
            ),
            Self::AddonLeftover => entry(
                "addon_leftover",
                "definitions or webhooks of an add-on are there, and nothing that runs it is found",
                "delete what it left behind; if it runs, name its image or label in the witnesses of its row, and if it runs elsewhere, accept it",
            ),
            Self::AddonVersionUnreadable => entry(
                "addon_version_unreadable",
                "the version of an add-on cannot be read",
                "use a tagged image of a release, or add its digest, or the name of its image, to its row",
            ),
            Self::AddonVersionsDiffer => entry(
                "addon_versions_differ",
                "an add-on is there in several versions",
                "name its container in its row, or bring it to one version",
            ),
            Self::AddonPodsDiffer => entry(
                "addon_pods_differ",
                "pods of an add-on run another image than their template or each other",
                "give each build a tag of its own, and roll the workload out anew",
            ),
            Self::AddonPodsUnread => entry(
                "addon_pods_unread",
                "it cannot be told what the pods of an add-on run",
                "wait until every pod has started; policy.addon_pods says whether they are looked at",
            ),
            Self::AddonPodsNotRead => entry(
                "addon_pods_not_read",
                "what the pods of add-ons run is not looked at: their templates are believed",
                "set policy.addon_pods to required and let both programs list pods (deploy/pods)",
            ),
            Self::AddonRollingOut => entry(
                "addon_rolling_out",
                "an add-on is being rolled out: its template does not tell what runs",
                "wait for the rollout, or mend it",
            ),
            Self::AddonNewerThanMatrix => entry(
                "addon_newer_than_matrix",
                "an add-on is newer than every row of the matrix",
                "add its release to the matrix",
            ),
            Self::AddonOlderThanMatrix => entry(
                "addon_older_than_matrix",
                "an add-on is older than every row of the matrix",
                "upgrade it, or add its release to the matrix",
            ),
            Self::AddonClaimNotAccepted => entry(
                "addon_claim_not_accepted",
                "what the vendor of an add-on states may not let it pass",
                "accept that claim in policy.accept_claims, or add a row with proof of your own",
            ),
            Self::AddonNotCovered => entry(
                "addon_not_covered",
                "what looks like an add-on has no row in the matrix",
                "add a row for it",
            ),
            Self::AddonBeyondCeiling => entry(
                "addon_beyond_ceiling",
                "an add-on is beyond its ceiling already, which the step at hand does not change",
                "upgrade it before the next minor",
            ),
            Self::AddonNoCeiling => entry(
                "addon_no_ceiling",
                "the vendor of an add-on declares no newest Kubernetes",
                "nothing; look at its release notes",
            ),
            Self::AddonKernelTooOld => entry(
                "addon_kernel_too_old",
                "an add-on does not work on the kernel of a node",
                "give the node a newer kernel, or take a release of the add-on that works on it",
            ),
            Self::AddonCondition => entry(
                "addon_condition",
                "an add-on asks more of a cluster than is checked",
                "compare its source with your nodes",
            ),
            Self::Paused => entry("paused", "spec.paused is set", "set spec.paused to false"),
            Self::StopAfter => entry(
                "stop_after",
                "the step in spec.stopAfter has finished",
                "remove spec.stopAfter, or name a later step",
            ),
            Self::NotBefore => entry("not_before", "the step may not start yet: soak or quiet time", "wait"),
            Self::ClockSetBack => entry(
                "clock_set_back",
                "a stored time lay in the future; the wait was cut to the longest that there is",
                "wait; run a time service where the actuator runs",
            ),
            Self::WaitingForPermit => entry(
                "waiting_for_permit",
                "no permit has arrived for this step",
                "wait for the gates; if they are clear, check the route from Alertmanager",
            ),
            Self::PermitExpired => entry(
                "permit_expired",
                "the permit ended before the live check passed",
                "nothing; Alertmanager repeats it",
            ),
            Self::NotServed => entry(
                "not_served",
                "runs of this namespace are not served",
                "make the run in a namespace that settings.namespaces names, or add this one there",
            ),
            Self::QueuedBehindRun => {
                entry("queued_behind_run", "another run holds the cluster lock", "wait for it, or delete it")
            }
            Self::LockUnreadable => entry(
                "lock_unreadable",
                "the cluster lock could not be read",
                "check the API server and the actuator's rights",
            ),
            Self::LockLost => entry(
                "lock_lost",
                "the cluster lock is no longer this run's",
                "find out who took it, then set spec.retry",
            ),
            Self::LeadershipLost => entry("leadership_lost", "another replica leads", "nothing"),
            Self::StatusMalformed => entry(
                "status_malformed",
                "the stored status contradicts itself",
                "give back the node that carries lockkeeper.dev/cordoned-by, take the run's finalizer off by hand, and \
                 open a new run; docs/runbooks.md tells how",
            ),
            Self::StatusNewer => entry(
                "status_newer",
                "the status was written by a newer Lockkeeper",
                "run the version that wrote it, or a newer one",
            ),
            Self::StatusPruned => entry(
                "status_pruned",
                "the API server did not store what was sent",
                "apply the CRD of this version",
            ),
            Self::StateWentBackwards => entry(
                "state_went_backwards",
                "a node's ledger is ahead of the run's status",
                "etcd was restored: look at the nodes, then set spec.retry",
            ),
            Self::AttemptsExhausted => entry(
                "attempts_exhausted",
                "the step failed as often as it may",
                "mend the cause, then set spec.retry",
            ),
            Self::NodeHalfUpgraded => entry(
                "node_half_upgraded",
                "the run gives up a node whose change has begun and is not whole",
                "see that the node is well, then name it in spec.skip to give it back as it is",
            ),
            Self::NoHomeForActuator => entry(
                "no_home_for_actuator",
                "no replica of the actuator on another node could lead while its own is upgraded",
                "run two replicas on different nodes, or the actuator outside the cluster with --kubeconfig",
            ),
            Self::PipelineHasNoOtherNode => entry(
                "pipeline_has_no_other_node",
                "a part of the alert path could not run on any other node",
                "let another node take it: by its labels, its taints or the pod's tolerations; or, where a node comes for it by itself, accept it for this run: spec.acceptRisks",
            ),
            Self::PodHasNoOtherNode => entry(
                "pod_has_no_other_node",
                "pods of a budget come back only after the node whose drain waits for them",
                "let another node take them, relax the budget, or, where a node comes for them by itself, accept it for this run: spec.acceptRisks",
            ),
            Self::InvariantViolated => entry(
                "invariant_violated",
                "the independent checker found a broken invariant",
                "report a bug with the run's status",
            ),
            Self::SshUnreachable => entry(
                "ssh_unreachable",
                "the node cannot be reached over SSH",
                "check address, port, key and sshd",
            ),
            Self::SshHostKey => entry(
                "ssh_host_key",
                "the node's host key is not the known one",
                "find out why it changed, then mend the known-hosts file",
            ),
            Self::MachineIdMismatch => entry(
                "machine_id_mismatch",
                "the machine behind the address is not the node, or not this node alone",
                "correct the node's address; give a cloned machine an id of its own; delete a Node that is no more",
            ),
            Self::LedgerUnreadable => entry(
                "ledger_unreadable",
                "the node's ledger could not be read",
                "look at /var/lib/lockkeeper on the node",
            ),
            Self::TokenAlreadySeen => entry(
                "token_already_seen",
                "the node has seen this token before",
                "nothing; the step gets a new token",
            ),
            Self::GenerationTooOld => entry(
                "generation_too_old",
                "the node has seen a newer leader",
                "nothing; the leader of now sends it under a new token",
            ),
            Self::NodeBusy => {
                entry("node_busy", "another unit is at work on the node", "wait until it has ended")
            }
            Self::UnitNotBegun => entry(
                "unit_not_begun",
                "the unit that was sent to the node did not begin there in time",
                "nothing; it is sent again under a new token",
            ),
            Self::UnitVanished => entry(
                "unit_vanished",
                "the unit on the node started and is gone without a result",
                "nothing; the node is probed",
            ),
            Self::UnitFailed => {
                entry("unit_failed", "the unit on the node failed", "read the unit's log on the node")
            }
            Self::UnitDeadline => entry(
                "unit_deadline",
                "the unit on the node runs longer than it may",
                "look at the node, then set spec.retry",
            ),
            Self::PreflightFailed => entry(
                "preflight_failed",
                "the target's own kubeadm does not agree",
                "read its output in the run's history",
            ),
            Self::PatchesMissing => entry(
                "patches_missing",
                "the folder of kubeadm's patches is not on the node",
                "put it on every node, workers too, or take kubeadm.patchesDirectory out of the actuator's file",
            ),
            Self::NodeWithoutApt => entry(
                "node_without_apt",
                "the node lacks programs of apt or dpkg, and Lockkeeper installs with nothing else",
                "install them, or leave the node out of the run (spec.skip) and upgrade it by its own means",
            ),
            Self::NodeWithoutSystemd => entry(
                "node_without_systemd",
                "systemd does not run on the node, and every change there is one of its units",
                "leave the node out of the run (spec.skip) and upgrade it by its own means",
            ),
            Self::KubeletNotPackaged => entry(
                "kubelet_not_packaged",
                "the kubelet of the node is not from a Debian package, and stays as it is when one is installed beside it",
                "install kubelet, kubeadm and kubectl of the version that runs there as packages, and remove what was put there otherwise; or leave the node out of the run (spec.skip)",
            ),
            Self::DiskTooSmall => entry(
                "disk_too_small",
                "too little disk is free on the node, for the upgrade or for kubeadm's copy of etcd's data",
                "free some disk where the detail says; old copies of etcd's data lie in /etc/kubernetes/tmp",
            ),
            Self::NodeNotPrepared => entry(
                "node_not_prepared",
                "apt on the node does not know the target or has not fetched it, although its prepare is over",
                "look at the node's package sources, at what clears apt's archives away, and at what its prepare wrote into its log",
            ),
            Self::SourceNotRestored => entry(
                "source_not_restored",
                "the run has ended, and apt on a node that it did not change still reads the source that prepare switched",
                "run `cp -p /var/lib/lockkeeper/source/original \"$(cat /var/lib/lockkeeper/source/path)\"` on the node, unless the source is as it should be",
            ),
            Self::PackagesBlocked => entry(
                "packages_blocked",
                "apt on the node would not install the target",
                "mend what apt says on the node; if another package is held there, take the hold off or bring it to what is wanted",
            ),
            Self::ConfigDrift => entry(
                "config_drift",
                "the static pod manifests were changed by hand, and an upgrade would take the change back",
                "look at the values on the node (kubeadm upgrade diff, with the version that runs there); move the change into the kubeadm-config ConfigMap or into kubeadm's patches; or let it go: add the word that is shown to spec.acceptRisks",
            ),
            Self::ManifestsUnknown => entry(
                "manifests_unknown",
                "nobody can tell what was changed by hand in the static pod manifests",
                "do on that node what the detail says; as a rule, install kubeadm in the version that its control plane runs",
            ),
            Self::SnapshotMissing => entry(
                "snapshot_missing",
                "this run has no verified etcd snapshot",
                "let the snapshot step run again",
            ),
            Self::SnapshotInvalid => entry(
                "snapshot_invalid",
                "the etcd snapshot could not be verified",
                "look at the disk of the control-plane node",
            ),
            Self::SnapshotDiskTooSmall => entry(
                "snapshot_disk_too_small",
                "less is free where the etcd snapshot is written than twice the size of etcd's database",
                "free some disk on etcd's volume, in /var/lib/lockkeeper and in etcd.snapshotDirectory, or defragment etcd; the journal of the unit on the control-plane node names the place and the sizes",
            ),
            Self::PdbBlocked => entry(
                "pdb_blocked",
                "a PodDisruptionBudget allows no eviction",
                "make more pods Ready, give them more replicas, or relax the budget; or accept it for this run: spec.acceptRisks",
            ),
            Self::PodWithoutController => entry(
                "pod_without_controller",
                "a pod has no controller and would be lost",
                "delete it, set spec.drain.unmanagedPods: evict, or accept it for this run: spec.acceptRisks",
            ),
            Self::EvictionRefused => entry(
                "eviction_refused",
                "the API server refused an eviction",
                "read the message: usually an admission webhook",
            ),
            Self::PodTerminating => entry(
                "pod_terminating",
                "a pod that was asked to leave the node is still there",
                "nothing while its grace period runs; let whoever put a finalizer on it take that off",
            ),
            Self::VolumeAttached => entry(
                "volume_attached",
                "a volume is still attached to the node that its pod has left",
                "nothing while it is being detached; else look at its CSI driver, and delete a VolumeAttachment that nothing uses",
            ),
            Self::DrainDeadline => entry(
                "drain_deadline",
                "pods or their volumes did not leave the node in time",
                "look at the pods and volumes that remain",
            ),
            Self::VerifyDeadline => entry(
                "verify_deadline",
                "the node did not come up at the target in time",
                "look at the kubelet and the static pods of the node",
            ),
            Self::HoldDeadline => entry(
                "hold_deadline",
                "the step came no further for too long",
                "nothing; the node was put back",
            ),
        }
    }

    /// Every reason, in the order of the vocabulary.
    pub const ALL: &'static [Self] = &[
        Self::GateFiring,
        Self::GatePending,
        Self::GateSuppressed,
        Self::GateExpressionTrue,
        Self::GateMisspelt,
        Self::RuleMissing,
        Self::RuleUnhealthy,
        Self::RuleStale,
        Self::RuleUnknown,
        Self::WatchdogMissing,
        Self::ReadyAbsent,
        Self::ReadySuppressed,
        Self::ReadySilenced,
        Self::SilenceForgotten,
        Self::EchoMissing,
        Self::EchoStale,
        Self::NodeMismatch,
        Self::PrometheusUnreachable,
        Self::PrometheusReloadFailed,
        Self::PrometheusYoung,
        Self::AlertmanagerUnreachable,
        Self::AlertmanagerYoung,
        Self::AlertmanagerNotReady,
        Self::HeartbeatMissing,
        Self::GatesTooLarge,
        Self::ClockSkew,
        Self::AnswerMalformed,
        Self::CheckExpired,
        Self::ApiUnreachable,
        Self::NodeNotReady,
        Self::NodeLeaseStale,
        Self::NodePressure,
        Self::NodeMissing,
        Self::NodeReplaced,
        Self::NodeChanged,
        Self::NodeCordonedByHuman,
        Self::NodeUncordonedByHuman,
        Self::NodeSkipped,
        Self::NodeRebootedRecently,
        Self::NodeAddressMissing,
        Self::ControllerLeaseStale,
        Self::ControlPlaneNotReady,
        Self::EtcdUnhealthy,
        Self::EtcdRecentlyRestarted,
        Self::EtcdSlow,
        Self::EtcdNearlyFull,
        Self::EtcdUnmeasured,
        Self::VersionUnexpected,
        Self::PodsNotReady,
        Self::NoNodes,
        Self::VerdictUnknown,
        Self::TargetNotAVersion,
        Self::TargetPrerelease,
        Self::TargetDowngrade,
        Self::TargetSkipsMinor,
        Self::TargetOtherMajor,
        Self::TargetUnavailable,
        Self::PatchBehind,
        Self::NodeOsUnsupported,
        Self::NodeOsUnrecognised,
        Self::NodeArchitectureUnsupported,
        Self::KubeletOfVendor,
        Self::TargetOfVendor,
        Self::ControlPlaneOfVendor,
        Self::KubeletTooOld,
        Self::KubeletAhead,
        Self::ControlPlaneSkewed,
        Self::ControlPlaneUnlabelled,
        Self::ControlPlaneUnseen,
        Self::SourceUnreadable,
        Self::SourceStale,
        Self::VerdictStale,
        Self::MatrixStale,
        Self::MatrixRefused,
        Self::MatrixOlder,
        Self::AcceptExpired,
        Self::AcceptUnused,
        Self::RuntimeTooOld,
        Self::RuntimeNotRecommended,
        Self::RuntimeUnknown,
        Self::KernelUnsupported,
        Self::KernelUnknown,
        Self::EtcdTooOld,
        Self::EtcdUnseen,
        Self::FeatureGateRemoved,
        Self::FeatureGateLocked,
        Self::FeatureGateUnknown,
        Self::FlagRemoved,
        Self::AdmissionPluginRemoved,
        Self::KubeadmGateUnknown,
        Self::KubeadmConfigUnreadable,
        Self::CommandLineUnseen,
        Self::ComponentFactsMissing,
        Self::KubeletUnread,
        Self::KubeletForbidden,
        Self::KubeletFlagsUnseen,
        Self::CgroupTooOld,
        Self::CgroupOldKept,
        Self::CgroupUnknown,
        Self::CloudControllerSkewed,
        Self::CloudControllerUnknown,
        Self::KubeProxySkewed,
        Self::KubeProxyUnknown,
        Self::KubeProxyAbsent,
        Self::StoredVersionUnserved,
        Self::StoredVersionOld,
        Self::PdbUnobserved,
        Self::PdbWaits,
        Self::PdbOfOthers,
        Self::PdbMayMove,
        Self::WebhookDead,
        Self::WebhookOnOneNode,
        Self::WebhookConditional,
        Self::WebhookUnseen,
        Self::WebhookOutside,
        Self::WebhookUnproven,
        Self::WebhookExact,
        Self::VolumePluginGone,
        Self::FlexVolumeUnmounted,
        Self::VolumesNotRead,
        Self::ApiRequested,
        Self::ApiRequestGhost,
        Self::ApiRemovalUnreadable,
        Self::ApiServerNotScraped,
        Self::ApiProofShort,
        Self::ApiWritten,
        Self::ApiInManifest,
        Self::ApiGone,
        Self::ApiUnmarked,
        Self::HelmNotRead,
        Self::HelmNotFound,
        Self::RiskPresent,
        Self::RiskUnknown,
        Self::AddonUpgradeNeeded,
        Self::AddonPinned,
        Self::AddonPinExpired,
        Self::AddonWaitingUnreleased,
        Self::AddonWaitingDocsLag,
        Self::AddonRetired,
        Self::AddonNeedsNewerKubernetes,
        Self::AddonUntested,
        Self::AddonMissing,
        Self::AddonLeftover,
        Self::AddonVersionUnreadable,
        Self::AddonVersionsDiffer,
        Self::AddonPodsDiffer,
        Self::AddonPodsUnread,
        Self::AddonPodsNotRead,
        Self::AddonRollingOut,
        Self::AddonNewerThanMatrix,
        Self::AddonOlderThanMatrix,
        Self::AddonClaimNotAccepted,
        Self::AddonNotCovered,
        Self::AddonBeyondCeiling,
        Self::AddonNoCeiling,
        Self::AddonKernelTooOld,
        Self::AddonCondition,
        Self::Paused,
        Self::StopAfter,
        Self::NotBefore,
        Self::ClockSetBack,
        Self::WaitingForPermit,
        Self::PermitExpired,
        Self::NotServed,
        Self::QueuedBehindRun,
        Self::LockUnreadable,
        Self::LockLost,
        Self::LeadershipLost,
        Self::StatusMalformed,
        Self::StatusNewer,
        Self::StatusPruned,
        Self::StateWentBackwards,
        Self::AttemptsExhausted,
        Self::NodeHalfUpgraded,
        Self::NoHomeForActuator,
        Self::PipelineHasNoOtherNode,
        Self::PodHasNoOtherNode,
        Self::InvariantViolated,
        Self::SshUnreachable,
        Self::SshHostKey,
        Self::MachineIdMismatch,
        Self::LedgerUnreadable,
        Self::TokenAlreadySeen,
        Self::GenerationTooOld,
        Self::NodeBusy,
        Self::UnitNotBegun,
        Self::UnitVanished,
        Self::UnitFailed,
        Self::UnitDeadline,
        Self::PreflightFailed,
        Self::PatchesMissing,
        Self::NodeWithoutApt,
        Self::NodeWithoutSystemd,
        Self::KubeletNotPackaged,
        Self::DiskTooSmall,
        Self::NodeNotPrepared,
        Self::SourceNotRestored,
        Self::PackagesBlocked,
        Self::ConfigDrift,
        Self::ManifestsUnknown,
        Self::SnapshotMissing,
        Self::SnapshotInvalid,
        Self::SnapshotDiskTooSmall,
        Self::PdbBlocked,
        Self::PodWithoutController,
        Self::EvictionRefused,
        Self::PodTerminating,
        Self::VolumeAttached,
        Self::DrainDeadline,
        Self::VerifyDeadline,
        Self::HoldDeadline,
    ];
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown reason code {code:?}")))
    }
}

/// One reason with what it is about: a node, a rule, a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Why.
    pub reason: Reason,
    /// What it is about, empty where the reason says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// What was seen, in words: never used to decide.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Finding {
    /// A finding about `subject`, with what was seen.
    pub fn new(reason: Reason, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason, subject: subject.into(), detail: detail.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        if !self.subject.is_empty() {
            write!(f, " {}", self.subject)?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_snake_case_unique_and_read_back() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for &reason in Reason::ALL {
            assert!(reason.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{reason}");
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
            let debug = format!("{reason:?}").to_lowercase();
            assert_eq!(debug, reason.code().replace('_', ""), "code and variant are the same word");
        }
    }

    #[test]
    fn no_variant_is_left_out_of_the_list() {
        let last = *Reason::ALL.last().unwrap();
        assert_eq!(last, Reason::HoldDeadline);
        assert_eq!(Reason::ALL.len(), last as usize + 1);
    }
}
