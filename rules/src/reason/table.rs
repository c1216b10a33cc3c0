//! Every reason, declared once: its name, what it means and what would clear it.

use strum::{EnumMessage, IntoStaticStr, VariantArray};

/// Why something is held, refused or failed.
///
/// Adding one means adding a variant here. Its name in snake_case is its code; its doc comment is its meaning and its
/// `message` is its remedy, each a sentence without a full stop. People read both, in `/verdict` and in a run's status.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumMessage, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    // The gate: what the live check found.
    /// a gate alert is firing
    #[strum(message = "clear the alert; the run goes on by itself")]
    GateFiring,
    /// a gate alert is pending
    #[strum(message = "wait for the alert to fire or to clear")]
    GatePending,
    /// a gate alert is silenced or inhibited, which does not open the gate
    #[strum(message = "clear the alert itself")]
    GateSuppressed,
    /// a gate expression that is built into the actuator returns a result although its alert rule is quiet
    #[strum(message = "load the alert rules of this version, and clear what the expression names")]
    GateExpressionTrue,
    /// an alert has a value of k8s_upgrade_gate that does not exist, which closes the gate for every step
    #[strum(message = "set k8s_upgrade_gate to all, start or mutating")]
    GateMisspelt,
    /// a generated alert rule is not loaded
    #[strum(message = "load the output of `lockkeeper-exporter rules` into Prometheus")]
    RuleMissing,
    /// a gate rule cannot be evaluated
    #[strum(message = "read the rule's lastError in Prometheus")]
    RuleUnhealthy,
    /// a gate rule has not been evaluated recently
    #[strum(message = "check the rule group's evaluation time in Prometheus")]
    RuleStale,
    /// Prometheus reports a gate rule in a state that is not known to be quiet
    #[strum(message = "wait for its first evaluation")]
    RuleUnknown,
    /// K8sUpgradeWatchdog, which always fires, is missing from the answer
    #[strum(message = "check the path from Prometheus to Alertmanager")]
    WatchdogMissing,
    /// K8sUpgradeStepReady is not firing for this step's token
    #[strum(message = "wait for the gate to open; look at the alert in Prometheus")]
    ReadyAbsent,
    /// K8sUpgradeStepReady is inhibited or muted
    #[strum(message = "remove the inhibit rule or the mute time interval")]
    ReadySuppressed,
    /// K8sUpgradeStepReady is silenced, which pauses the run
    #[strum(message = "expire the silence")]
    ReadySilenced,
    /// a silence that paused the run is gone from Alertmanager, and nothing shows that it expired
    #[strum(
        message = "wait until its end; or ask whoever made it, then add the word that is shown to spec.acceptRisks to go on"
    )]
    SilenceForgotten,
    /// Prometheus has no sample of this step's token
    #[strum(message = "make sure that Prometheus scrapes this exporter; check the job name and the selector")]
    EchoMissing,
    /// the newest sample of this step's token is too old
    #[strum(message = "check the exporter's target in Prometheus")]
    EchoStale,
    /// Prometheus and the API server do not show the same nodes
    #[strum(message = "wait for the next scrape; check that Prometheus watches this cluster")]
    NodeMismatch,
    /// a configured Prometheus does not answer
    #[strum(message = "bring it back, or correct prometheus.urls")]
    PrometheusUnreachable,
    /// Prometheus still runs its old configuration because the last reload failed
    #[strum(message = "fix the configuration that it refused")]
    PrometheusReloadFailed,
    /// Prometheus has no data as old as the gate alerts look back, so it may have forgotten what closes the gate
    #[strum(
        message = "wait until the time that is shown; keep Prometheus' data on a volume, and set settings.prometheusDataAgeSecondsMin no higher than your own gate alerts need"
    )]
    PrometheusYoung,
    /// a configured Alertmanager does not answer
    #[strum(message = "bring it back, or correct alertmanager.urls")]
    AlertmanagerUnreachable,
    /// Alertmanager started so recently that its list of alerts may be incomplete
    #[strum(message = "wait until Prometheus has sent it every alert again")]
    AlertmanagerYoung,
    /// the Alertmanager cluster is settling
    #[strum(message = "wait for it to be ready")]
    AlertmanagerNotReady,
    /// no recent heartbeat has arrived from Alertmanager
    #[strum(message = "route K8sUpgradeWatchdog to the actuator; check the webhook's address and token")]
    HeartbeatMissing,
    /// Alertmanager's message about gate alerts was too large to read, so they count as firing
    #[strum(
        message = "put k8s_upgrade_gate on fewer alerts; the next message that can be read, or the next call for this step, clears it"
    )]
    GatesTooLarge,
    /// the clock of a Prometheus, an Alertmanager or a node is too far from the actuator's
    #[strum(message = "run a time service on both machines")]
    ClockSkew,
    /// an answer could not be understood
    #[strum(message = "check the URL, and that the version of what answers there is supported")]
    AnswerMalformed,
    /// the result of the live check is too old to act on
    #[strum(message = "nothing; the check is made again")]
    CheckExpired,
    // The cluster.
    /// the API server does not answer
    #[strum(message = "nothing if its own node is being upgraded; otherwise bring it back")]
    ApiUnreachable,
    /// a node is not Ready
    #[strum(message = "fix the node, or list it in spec.skip")]
    NodeNotReady,
    /// a node's Lease has not been renewed recently
    #[strum(message = "fix its kubelet")]
    NodeLeaseStale,
    /// a node reports memory, disk, pid or network pressure, or does not know
    #[strum(message = "free the resource on the node")]
    NodePressure,
    /// the node is gone
    #[strum(
        message = "nothing if it was removed on purpose; if the run has halted because of it, set spec.retry"
    )]
    NodeMissing,
    /// the node has another uid, or is another machine, than when its step began
    #[strum(message = "look at the node, then set spec.retry")]
    NodeReplaced,
    /// the node has changed since it was read
    #[strum(message = "nothing; it is read again")]
    NodeChanged,
    /// somebody else has cordoned the node
    #[strum(message = "uncordon it, or set spec.cordonedNodes: upgrade")]
    NodeCordonedByHuman,
    /// somebody uncordoned the node in the middle of its step
    #[strum(message = "nothing; it is left as it is")]
    NodeUncordonedByHuman,
    /// spec.skip names the node that the step is working on
    #[strum(message = "nothing; it is left as it is")]
    NodeSkipped,
    /// a node was rebooted less than settings.quietSeconds ago
    #[strum(message = "wait until the node has been up that long")]
    NodeRebootedRecently,
    /// a node has no InternalIP to reach it at
    #[strum(message = "make its kubelet report an InternalIP that is an IP address")]
    NodeAddressMissing,
    /// kube-controller-manager or kube-scheduler is not renewing its Lease
    #[strum(message = "bring it back")]
    ControllerLeaseStale,
    /// an API server is not ready
    #[strum(message = "bring it back")]
    ControlPlaneNotReady,
    /// an etcd member is not healthy
    #[strum(message = "bring the member back")]
    EtcdUnhealthy,
    /// an etcd member has not been healthy for long enough
    #[strum(message = "nothing; it is checked again")]
    EtcdRecentlyRestarted,
    /// an etcd member's own metrics say that it is slow, or that its leader has changed often
    #[strum(message = "check the disk and the network of that member, or raise the limit in the settings")]
    EtcdSlow,
    /// the database of an etcd member has nearly filled its quota
    #[strum(message = "defragment it or raise --quota-backend-bytes, one member at a time")]
    EtcdNearlyFull,
    /// Prometheus has metrics of etcd, but not of every member
    #[strum(
        message = "check etcd's targets in Prometheus; a target that was removed is forgotten after an hour"
    )]
    EtcdUnmeasured,
    /// a component runs a version that the run did not expect
    #[strum(message = "find out who changed it, then set spec.retry")]
    VersionUnexpected,
    /// too few pods are Ready
    #[strum(message = "fix the workloads")]
    PodsNotReady,
    /// the cluster shows no nodes
    #[strum(message = "check the rights of the service account")]
    NoNodes,
    // The verdict.
    /// the verdict could not be reached
    #[strum(message = "see /verdict for what is missing")]
    VerdictUnknown,
    /// the target is not a version
    #[strum(message = "start a new run with a target such as v1.36.3")]
    TargetNotAVersion,
    /// the target is a pre-release
    #[strum(message = "start a new run with a release as its target")]
    TargetPrerelease,
    /// the target is older than what runs
    #[strum(message = "start a new run with a newer target; Kubernetes cannot be downgraded")]
    TargetDowngrade,
    /// the target is more than one minor ahead
    #[strum(message = "start a run to the next minor first, and another one after it")]
    TargetSkipsMinor,
    /// the target has another major version
    #[strum(message = "start a new run with a target of the major version that runs")]
    TargetOtherMajor,
    /// the package index does not have all packages of the target for every node
    #[strum(
        message = "check the target and packages.url; a mirror needs kubeadm, kubelet and kubectl for each architecture that runs"
    )]
    TargetUnavailable,
    /// a newer patch of the same minor is available
    #[strum(
        message = "start from the newest patch of the running minor, and go to the newest patch of the next"
    )]
    PatchBehind,
    /// a node's operating system has no apt, and Lockkeeper upgrades nodes only with apt
    #[strum(message = "leave the node out of the run (spec.skip) and upgrade it some other way")]
    NodeOsUnsupported,
    /// the name of a node's operating system does not tell whether it has apt
    #[strum(message = "nothing; preflight asks the node itself")]
    NodeOsUnrecognised,
    /// no packages are published for a node's architecture
    #[strum(message = "leave the node out of the run (spec.skip) and upgrade it some other way")]
    NodeArchitectureUnsupported,
    /// a node's kubelet is a vendor's own build, and Lockkeeper installs only the Kubernetes project's
    #[strum(message = "leave the node out of the run (spec.skip) and upgrade it the vendor's way")]
    KubeletOfVendor,
    /// the target is a vendor's own build, and Lockkeeper installs only the Kubernetes project's
    #[strum(message = "choose a release of the project, such as v1.36.3, or upgrade the vendor's way")]
    TargetOfVendor,
    /// a part of the control plane is run and configured by its vendor, and is not checked
    #[strum(message = "read the vendor's release notes for the target")]
    ControlPlaneOfVendor,
    /// a kubelet would be more minors behind the API server than is supported
    #[strum(message = "upgrade that node first")]
    KubeletTooOld,
    /// a kubelet is newer than an API server
    #[strum(message = "upgrade the control plane first")]
    KubeletAhead,
    /// the API servers are more than one minor apart
    #[strum(message = "finish the earlier upgrade of the control plane")]
    ControlPlaneSkewed,
    /// a kube-apiserver runs on a node that is not labelled as control plane
    #[strum(message = "give the node the label node-role.kubernetes.io/control-plane, as kubeadm does")]
    ControlPlaneUnlabelled,
    /// a part of the control plane cannot be seen
    #[strum(
        message = "wait until its pods are back; otherwise let kubeadm write its static pods, with the labels that it gives them"
    )]
    ControlPlaneUnseen,
    /// a source that the verdict needs could not be read
    #[strum(message = "fix the source that is named")]
    SourceUnreadable,
    /// a source that the verdict needs was last read too long ago
    #[strum(message = "fix the source that is named")]
    SourceStale,
    /// the verdict is older than settings.verdictSecondsMax
    #[strum(message = "nothing; it is computed again")]
    VerdictStale,
    /// the facts about versions are missing or too old
    #[strum(
        message = "load newer facts, or check their sources again and set as_of to that day; max_age_days allows more (where rows are joined, the shortest counts)"
    )]
    MatrixStale,
    /// the files of facts have changed and contain mistakes, so the facts in force are not the ones you asked for
    #[strum(message = "fix the files; `lockkeeper-exporter matrix check FILE` lists every mistake")]
    MatrixRefused,
    /// a file of facts replaces newer facts, and says something else
    #[strum(
        message = "remove those facts from your file, or check their source again and set as_of to that day"
    )]
    MatrixOlder,
    /// the last day of an accepted finding has passed
    #[strum(
        message = "look at it again: fix it, or accept it until a later day; then remove the old row from `accept`"
    )]
    AcceptExpired,
    /// a row of `accept` matches nothing that is in the way of this target
    #[strum(message = "remove the row, or correct its check, subject or reason")]
    AcceptUnused,
    /// a kubelet of the target does not start on this container runtime
    #[strum(message = "upgrade the node's container runtime first")]
    RuntimeTooOld,
    /// the container runtime is not one that its project recommends for the target
    #[strum(
        message = "upgrade the node's container runtime first; if this is in the way, you may accept it by name and day"
    )]
    RuntimeNotRecommended,
    /// it is not known whether a node's container runtime fits the target
    #[strum(message = "look at the node, and add what is known of its runtime to the facts")]
    RuntimeUnknown,
    /// kubeadm's preflight does not know a node's kernel, and only warns about it
    #[strum(message = "nothing; a newer kernel ends the warning")]
    KernelUnsupported,
    /// the kernel of a node cannot be read
    #[strum(message = "look at the node's status")]
    KernelUnknown,
    /// etcd must be upgraded within its minor before the target's etcd can follow
    #[strum(
        message = "upgrade etcd to the release that is named, on every member; if no kubeadm of the running minor brings it, set etcd.local.imageTag in the ConfigMap kube-system/kubeadm-config (and imageRepository, if the usual one does not have it), run kubeadm upgrade apply with the version that runs and kubeadm upgrade node on the other control-plane nodes, and remove the tag again"
    )]
    EtcdTooOld,
    /// no etcd can be seen in the cluster
    #[strum(
        message = "run etcd as kubeadm's static pods: an etcd outside the cluster cannot be checked, and this cannot be accepted"
    )]
    EtcdUnseen,
    /// a feature gate is set that the target does not know, so the component would not start
    #[strum(
        message = "remove it from the component's configuration: from extraArgs in kubeadm-config and from the static pod's manifest, or from the kubelet's configuration"
    )]
    FeatureGateRemoved,
    /// a feature gate is set to a value that the target refuses, so the component would not start
    #[strum(
        message = "remove it from the component's configuration: from extraArgs in kubeadm-config and from the static pod's manifest, or from the kubelet's configuration"
    )]
    FeatureGateLocked,
    /// it is not known what the target does with a feature gate that is set
    #[strum(
        message = "remove the gate, or find out whether the target knows it and add its row to the section components of your facts"
    )]
    FeatureGateUnknown,
    /// a flag is set that the target does not know, so the component would not start
    #[strum(message = "remove it from extraArgs in kubeadm-config and from the static pod's manifest")]
    FlagRemoved,
    /// an admission plugin is listed that the target does not have, so kube-apiserver would not start
    #[strum(message = "remove it from extraArgs in kubeadm-config and from the static pod's manifest")]
    AdmissionPluginRemoved,
    /// kubeadm-config sets a feature gate that the target's kubeadm does not know: an upgrade warns about it and goes on
    #[strum(
        message = "remove it from featureGates in the ConfigMap kube-system/kubeadm-config: kubeadm refuses a file that has it"
    )]
    KubeadmGateUnknown,
    /// the target's kubeadm cannot read the configuration that is stored in the cluster
    #[strum(
        message = "run kubeadm upgrade apply with the version that runs, which writes it again; or put the output of kubeadm config migrate into the ConfigMap kube-system/kubeadm-config"
    )]
    KubeadmConfigUnreadable,
    /// the flags of a control-plane component cannot be seen
    #[strum(message = "let kubeadm write its static pod, with the component's own program as its command")]
    CommandLineUnseen,
    /// no facts say what a minor removes from the components' configuration
    #[strum(
        message = "load a newer file of facts whose section components has that minor and everything that the built-in one has"
    )]
    ComponentFactsMissing,
    /// a kubelet did not say how it is configured
    #[strum(message = "fix the kubelet, or wait until it is asked again")]
    KubeletUnread,
    /// the right to ask kubelets how they are configured is missing
    #[strum(message = "read in deploy/kubelet-config what that right gives away, then add that component")]
    KubeletForbidden,
    /// the flags that kubelets are started with cannot be seen from the cluster
    #[strum(
        message = "check /var/lib/kubelet/kubeadm-flags.env, /etc/default/kubelet and the kubelet's unit on every node, then set policy.kubelet_flags_checked to the minor"
    )]
    KubeletFlagsUnseen,
    /// a node runs on cgroup v1, and the target's kubelet does not start on it
    #[strum(
        message = "move the node to cgroup v2, or set failCgroupV1: false in the ConfigMap kubelet-config"
    )]
    CgroupTooOld,
    /// a node may run on cgroup v1; its kubelet will be told to start anyway
    #[strum(message = "nothing for now; later minors drop cgroup v1")]
    CgroupOldKept,
    /// a node's cgroup version is not known, and the target's kubelet does not start on v1
    #[strum(
        message = "let Lockkeeper ask its kubelet (deploy/kubelet-config), or set failCgroupV1: false in the ConfigMap kubelet-config"
    )]
    CgroupUnknown,
    /// a cloud-controller-manager's version is too far from an API server or from the target
    #[strum(message = "bring it to the minor that runs now; its project says which release that is")]
    CloudControllerSkewed,
    /// the version of a cloud-controller-manager is not known
    #[strum(message = "tag its image with a version, and roll it out")]
    CloudControllerUnknown,
    /// kube-proxy's version is too far from an API server or a kubelet
    #[strum(message = "bring kube-proxy to the version of the API servers")]
    KubeProxySkewed,
    /// the version of kube-proxy is not known
    #[strum(message = "tag its image with a version, and roll out its DaemonSet")]
    KubeProxyUnknown,
    /// no DaemonSet runs kube-proxy
    #[strum(
        message = "nothing if another program does its work; check which Kubernetes versions that program supports"
    )]
    KubeProxyAbsent,
    /// objects may be stored in a version that the API server does not serve
    #[strum(
        message = "serve that version again, rewrite the objects, then remove it from status.storedVersions"
    )]
    StoredVersionUnserved,
    /// objects may still be stored in an older version
    #[strum(message = "rewrite the objects before the add-on drops that version")]
    StoredVersionOld,
    /// it is not known what a PodDisruptionBudget allows
    #[strum(message = "look at the budget, and at kube-controller-manager, which writes its status")]
    PdbUnobserved,
    /// a PodDisruptionBudget allows no eviction until more of its pods are Ready
    #[strum(message = "look at its pods, or set unhealthyPodEvictionPolicy: AlwaysAllow")]
    PdbWaits,
    /// a PodDisruptionBudget counts pods whose owners are not watched
    #[strum(
        message = "give these pods labels of their own, or let the budget allow one more; or look at the pods and accept this budget by name, in a file of facts (accept) or for one run (spec.acceptRisks)"
    )]
    PdbOfOthers,
    /// a PodDisruptionBudget allows no eviction unless an operator moves the pod or the budget
    #[strum(
        message = "find out from the operator's documentation whether it does so when a node is cordoned; if so, accept this budget by name, in a file of facts (accept) or for one run as pdb_may_move@ and its name in spec.acceptRisks; if not, relax the budget through its operator"
    )]
    PdbMayMove,
    /// nothing answers a webhook where it is called, so what it is called for is refused
    #[strum(message = "start its pods, fix the port of its Service, or delete the webhook configuration")]
    WebhookDead,
    /// everything that answers a webhook is on one node, which will be drained
    #[strum(
        message = "give it two replicas on different nodes, or exclude kube-system and its own namespace in its namespaceSelector"
    )]
    WebhookOnOneNode,
    /// everything that answers a webhook is on one node, which will be drained, and only its matchConditions may exclude what cannot wait for it
    #[strum(
        message = "give it two replicas on different nodes; or read its matchConditions: if they exclude kube-system, nodes and its own namespace, accept it by name until a day"
    )]
    WebhookConditional,
    /// it is not known what answers a webhook
    #[strum(
        message = "wait a moment; then check the exporter's right to get Services and list EndpointSlices"
    )]
    WebhookUnseen,
    /// a webhook is answered where Lockkeeper cannot look, and its calls prove that it answers
    #[strum(message = "make sure that it answers while nodes are drained")]
    WebhookOutside,
    /// Lockkeeper cannot see whether a webhook answers, and its calls do not prove it
    #[strum(
        message = "have it called, for example by kubectl run --dry-run=server if it is called for pods, with every API server scraped; if its calls fail, read what API servers log about them, such as a wrong caBundle; name the port in its container; or check by hand that it answers, and accept it by name until a day"
    )]
    WebhookUnproven,
    /// a webhook with matchPolicy: Exact is not called for objects in versions that it does not list
    #[strum(message = "set matchPolicy: Equivalent")]
    WebhookExact,
    /// a volume uses a plugin that the target does not have
    #[strum(message = "move it to a CSI driver, or remove it from the template")]
    VolumePluginGone,
    /// a volume uses a FlexVolume driver, and the target's kubeadm does not mount such drivers into kube-controller-manager, which attaches volumes
    #[strum(
        message = "mount the directory that is named, through controllerManager.extraVolumes in the ConfigMap kube-system/kubeadm-config, or move to a CSI driver; if the driver attaches nothing, accept it by name and day"
    )]
    FlexVolumeUnmounted,
    /// the volumes of bare pods and of Jobs are not checked
    #[strum(message = "look for pods with such volumes before the first node is drained")]
    VolumesNotRead,
    /// somebody calls an API that the target does not serve
    #[strum(
        message = "move the callers to the version that stays; audit events with k8s.io/deprecated name them"
    )]
    ApiRequested,
    /// an API that the target does not serve was called, but not lately
    #[strum(
        message = "move its callers; if they have moved already, restart the API server to make sure, or set policy.deprecated_api_ghosts to note"
    )]
    ApiRequestGhost,
    /// an API server reports in which minor an API ends, and that minor cannot be read
    #[strum(message = "look at the label removed_release of apiserver_requested_deprecated_apis")]
    ApiRemovalUnreadable,
    /// Prometheus has no current samples of an API server
    #[strum(
        message = "make Prometheus scrape each API server at its node's address, and keep that address in the label instance"
    )]
    ApiServerNotScraped,
    /// Prometheus has samples of an API server for less than the window
    #[strum(
        message = "let Prometheus keep samples for longer and wait, or accept it by name until a day (accept); policy.deprecated_api_window_days and policy.deprecated_api_short_proof say how much is required"
    )]
    ApiProofShort,
    /// objects are written in a version that the target does not serve
    #[strum(message = "upgrade the writer, or let it write the version that stays")]
    ApiWritten,
    /// a Helm release was deployed with an API that the target does not serve
    #[strum(message = "upgrade the chart first; once the API is gone, Helm cannot upgrade the release")]
    ApiInManifest,
    /// an API that is no longer served is still written or deployed somewhere
    #[strum(
        message = "nothing for this upgrade; Helm cannot upgrade such a release until its manifest is fixed"
    )]
    ApiGone,
    /// an API is removed without having been marked as deprecated, so nobody can see who only reads it
    #[strum(message = "look for its readers yourself; its writers are looked for")]
    ApiUnmarked,
    /// the manifests that Helm has stored are not checked
    #[strum(
        message = "set policy.helm_manifests to required and let both programs list Secrets (deploy/helm)"
    )]
    HelmNotRead,
    /// Helm's releases are to be checked, and no Secret holds one
    #[strum(
        message = "if Helm keeps its releases elsewhere or is not used, set policy.helm_manifests to note"
    )]
    HelmNotFound,
    /// a known danger is on the way to the target
    #[strum(message = "do what its row says, or accept it by name until a day (accept)")]
    RiskPresent,
    /// Prometheus does not prove whether a known danger is in this cluster
    #[strum(
        message = "make Prometheus scrape what the row's expression needs; the answer must be one sample, 1 or 0"
    )]
    RiskUnknown,
    /// an add-on does not fit the target, but a newer release of it does
    #[strum(message = "upgrade the add-on first")]
    AddonUpgradeNeeded,
    /// an add-on does not fit the target, and somebody has pinned it
    #[strum(message = "wait for whoever pinned it, or lift the pin")]
    AddonPinned,
    /// an add-on does not fit the target, and its pin has expired
    #[strum(message = "lift or renew the pin")]
    AddonPinExpired,
    /// no known release of an add-on fits the target
    #[strum(message = "wait for its next release, then add it to the facts")]
    AddonWaitingUnreleased,
    /// an add-on does not fit the target, and its vendor raises its ceiling in the documentation, without a new release
    #[strum(message = "read its documentation, then correct its row")]
    AddonWaitingDocsLag,
    /// an add-on gets no more releases
    #[strum(message = "replace it")]
    AddonRetired,
    /// an add-on needs a newer Kubernetes than runs, or than the target
    #[strum(message = "use an older release of it, or upgrade in another order")]
    AddonNeedsNewerKubernetes,
    /// this release of an add-on was not tested with the target, but its vendor does not rule it out
    #[strum(
        message = "use a release that was tested with it, if one is named; or try it elsewhere, and accept it by name and day or through policy.outside_tested"
    )]
    AddonUntested,
    /// an add-on that should be there was not found
    #[strum(message = "install it, or correct where its row looks for it")]
    AddonMissing,
    /// definitions or webhooks of an add-on are there, but nothing that runs it was found
    #[strum(
        message = "delete what it left behind; if it does run, add its image or label to the witnesses of its row; if it runs elsewhere, accept it"
    )]
    AddonLeftover,
    /// the version of an add-on cannot be read
    #[strum(
        message = "use an image with the tag of a release, or add its digest, or the name of its image, to its row"
    )]
    AddonVersionUnreadable,
    /// an add-on runs in several versions
    #[strum(message = "name its container in its row, or bring it to one version")]
    AddonVersionsDiffer,
    /// pods of an add-on run another image than their template, or than each other
    #[strum(message = "give each build a tag of its own, and roll out the workload again")]
    AddonPodsDiffer,
    /// it is not known what the pods of an add-on run
    #[strum(message = "wait until every pod has started; policy.addon_pods decides whether they are checked")]
    AddonPodsUnread,
    /// the images that the pods of add-ons run are not checked; their templates are believed
    #[strum(message = "set policy.addon_pods to required and let both programs list pods (deploy/pods)")]
    AddonPodsNotRead,
    /// an add-on is being rolled out, so its template does not show what runs
    #[strum(message = "wait for the rollout, or fix it")]
    AddonRollingOut,
    /// an add-on is newer than every row of the facts
    #[strum(message = "add its release to the facts")]
    AddonNewerThanMatrix,
    /// an add-on is older than every row of the facts
    #[strum(message = "upgrade it, or add its release to the facts")]
    AddonOlderThanMatrix,
    /// what the vendor of an add-on claims is not enough to let it pass
    #[strum(message = "add that claim to policy.accept_claims, or add a row with proof of your own")]
    AddonClaimNotAccepted,
    /// something that looks like an add-on has no row in the facts
    #[strum(message = "add a row for it")]
    AddonNotCovered,
    /// an add-on is already beyond its ceiling, which this upgrade does not change
    #[strum(message = "upgrade it before the next minor")]
    AddonBeyondCeiling,
    /// the vendor of an add-on names no newest Kubernetes
    #[strum(message = "nothing; read its release notes")]
    AddonNoCeiling,
    /// an add-on does not work on the kernel of a node
    #[strum(message = "give the node a newer kernel, or use a release of the add-on that works on it")]
    AddonKernelTooOld,
    /// an add-on requires more of a cluster than is checked
    #[strum(message = "compare what its source says with your nodes")]
    AddonCondition,
    // The run.
    /// spec.paused is set
    #[strum(message = "set spec.paused to false")]
    Paused,
    /// the step in spec.stopAfter has finished
    #[strum(message = "remove spec.stopAfter, or name a later step")]
    StopAfter,
    /// the step may not start yet, because of soak or quiet time
    #[strum(message = "wait")]
    NotBefore,
    /// as many nodes are out of service as are allowed
    #[strum(message = "wait; spec.workers.concurrency says how many workers may be")]
    NodesInHand,
    /// a node of another topology domain is out of service, or one of which the domain is not known
    #[strum(
        message = "wait until it is back; spec.workers.topologyKey names the label that tells the domain"
    )]
    OtherTopologyDomain,
    /// this starts only while no other node is out of service
    #[strum(message = "wait until the others are back")]
    GoesAlone,
    /// a PodDisruptionBudget protects pods here and pods of a node that is out of service
    #[strum(message = "wait until that node is back")]
    BudgetShared,
    /// a pod that was evicted from a node of this run has no node yet
    #[strum(message = "wait until it is scheduled; if that takes long, read its events")]
    EvictedPodPending,
    /// two drains wait for each other, and the later one gives way
    #[strum(
        message = "nothing; its step begins again once the other node is back, without using up an attempt"
    )]
    DrainsBlockEachOther,
    /// the run is halting because a step has failed, and nodes whose change has not begun are put back
    #[strum(message = "look at the step that failed")]
    RunHalting,
    /// a stored time was in the future, so the wait was cut to the longest allowed
    #[strum(message = "wait; run a time service where the actuator runs")]
    ClockSetBack,
    /// no permit has arrived for this step
    #[strum(message = "wait for the gates; if they are clear, check the route from Alertmanager")]
    WaitingForPermit,
    /// the permit ended before the live check passed
    #[strum(message = "nothing; Alertmanager sends its message again")]
    PermitExpired,
    /// runs in this namespace are not served
    #[strum(message = "create the run in a namespace that is served, or add this one to settings.namespaces")]
    NotServed,
    /// another run holds the cluster lock
    #[strum(message = "wait for it, or delete it")]
    QueuedBehindRun,
    /// the cluster lock could not be read
    #[strum(message = "check the API server and the actuator's rights")]
    LockUnreadable,
    /// the run no longer holds the cluster lock
    #[strum(message = "find out who took it, then set spec.retry")]
    LockLost,
    /// another replica leads
    #[strum(message = "nothing")]
    LeadershipLost,
    /// the stored status contradicts itself
    #[strum(
        message = "give back the node that has the annotation lockkeeper.dev/cordoned-by, remove the run's finalizer by hand, and start a new run; docs/runbooks.md says how"
    )]
    StatusMalformed,
    /// the status was written by a newer Lockkeeper
    #[strum(message = "run the version that wrote it, or a newer one")]
    StatusNewer,
    /// the API server did not store everything that was sent
    #[strum(message = "apply the custom resource definition of this version")]
    StatusPruned,
    /// a node's ledger is ahead of the run's status
    #[strum(message = "etcd was restored: look at the nodes, then set spec.retry")]
    StateWentBackwards,
    /// the step has used up its attempts
    #[strum(message = "fix the cause, then set spec.retry")]
    AttemptsExhausted,
    /// the run is given up, and the change of a node has begun and is not complete
    #[strum(
        message = "make sure that the node is healthy, then name it in spec.skip to give it back as it is"
    )]
    NodeHalfUpgraded,
    /// no replica of the actuator on another node could lead while its own is upgraded
    #[strum(
        message = "run two replicas on different nodes, or the actuator outside the cluster with --kubeconfig"
    )]
    NoHomeForActuator,
    /// a part of the alert path could not run on any other node
    #[strum(
        message = "let another node take it, by its labels, its taints or the pod's tolerations; or, if a node is added for it automatically, accept it for this run (spec.acceptRisks)"
    )]
    PipelineHasNoOtherNode,
    /// pods of a PodDisruptionBudget could only come back on the node whose drain waits for them
    #[strum(
        message = "let another node take them, relax the budget, or, if a node is added for them automatically, accept it for this run (spec.acceptRisks)"
    )]
    PodHasNoOtherNode,
    /// the independent checker found a broken invariant
    #[strum(message = "report a bug with the run's status")]
    InvariantViolated,
    // A node's step.
    /// the node cannot be reached over SSH
    #[strum(message = "check its address, the port, the key and sshd")]
    SshUnreachable,
    /// the node's host key is not the one in the known-hosts file
    #[strum(message = "find out why it changed, then correct the known-hosts file")]
    SshHostKey,
    /// the machine behind the address is not this node, or not this node alone
    #[strum(
        message = "correct the node's address; give a cloned machine a machine-id of its own; delete a Node that no longer exists"
    )]
    MachineIdMismatch,
    /// the node's ledger could not be read
    #[strum(message = "look at /var/lib/lockkeeper on the node")]
    LedgerUnreadable,
    /// the node has seen this token before
    #[strum(message = "nothing; the step gets a new token")]
    TokenAlreadySeen,
    /// the node has seen a newer leader
    #[strum(message = "nothing; the current leader sends it with a new token")]
    GenerationTooOld,
    /// another unit is running on the node
    #[strum(message = "wait until it has ended")]
    NodeBusy,
    /// the unit that was sent to the node did not start there in time
    #[strum(message = "nothing; it is sent again with a new token")]
    UnitNotBegun,
    /// the unit started on the node, and is gone without a result
    #[strum(message = "nothing; the node is inspected")]
    UnitVanished,
    /// the unit on the node failed
    #[strum(message = "read the unit's log on the node")]
    UnitFailed,
    /// the unit on the node has been running longer than it may
    #[strum(message = "look at the node, then set spec.retry")]
    UnitDeadline,
    /// the target's own kubeadm refuses the upgrade
    #[strum(message = "read its output in the run's history")]
    PreflightFailed,
    /// the folder of kubeadm's patches is not on the node
    #[strum(
        message = "put it on every node, workers too, or take kubeadm.patchesDirectory out of the actuator's file"
    )]
    PatchesMissing,
    /// the node lacks programs of apt or dpkg, and Lockkeeper installs packages with nothing else
    #[strum(
        message = "install them, or leave the node out of the run (spec.skip) and upgrade it some other way"
    )]
    NodeWithoutApt,
    /// systemd does not run on the node, and Lockkeeper makes every change there in a systemd unit
    #[strum(message = "leave the node out of the run (spec.skip) and upgrade it some other way")]
    NodeWithoutSystemd,
    /// the node's kubelet is not from a Debian package, so installing one would not replace it
    #[strum(
        message = "install kubelet, kubeadm and kubectl as packages, in the version that runs there, and remove the ones that were there before; or leave the node out of the run (spec.skip)"
    )]
    KubeletNotPackaged,
    /// too little disk space is free on the node, for the upgrade or for kubeadm's copy of etcd's data
    #[strum(
        message = "free disk space where the detail says; old copies of etcd's data are in /etc/kubernetes/tmp"
    )]
    DiskTooSmall,
    /// apt on the node does not know the target or has not fetched it, although the node was prepared
    #[strum(
        message = "check the node's package sources, whatever clears apt's archives there, and the log of its prepare unit"
    )]
    NodeNotPrepared,
    /// the run has ended, but on a node that it did not change, apt still reads the source as prepare switched it
    #[strum(
        message = "run `cp -p /var/lib/lockkeeper/source/original \"$(cat /var/lib/lockkeeper/source/path)\"` on the node, unless the source is already as it should be"
    )]
    SourceNotRestored,
    /// apt on the node would not install the target
    #[strum(
        message = "fix what apt reports on the node; if another package is on hold there, remove the hold or bring that package to the wanted version"
    )]
    PackagesBlocked,
    /// the static pod manifests were changed by hand, and an upgrade would undo that
    #[strum(
        message = "look at the values on the node (kubeadm upgrade diff, with the version that runs there); move the change into the kubeadm-config ConfigMap or into kubeadm's patches; or let it go: add the word that is shown to spec.acceptRisks"
    )]
    ConfigDrift,
    /// it cannot be told what was changed by hand in the static pod manifests
    #[strum(
        message = "do on that node what the detail says; usually, install the kubeadm of the version that its control plane runs"
    )]
    ManifestsUnknown,
    /// this run has no verified etcd snapshot
    #[strum(message = "let the snapshot step run again")]
    SnapshotMissing,
    /// the etcd snapshot could not be verified
    #[strum(message = "look at the disk of the control-plane node")]
    SnapshotInvalid,
    /// where the etcd snapshot is written, less than twice the size of etcd's database is free
    #[strum(
        message = "free disk space on etcd's volume, in /var/lib/lockkeeper and in etcd.snapshotDirectory, or defragment etcd; the journal of the unit on the control-plane node names the place and the sizes"
    )]
    SnapshotDiskTooSmall,
    /// a PodDisruptionBudget allows no eviction
    #[strum(
        message = "make more pods Ready, add replicas, or relax the budget; or accept it for this run (spec.acceptRisks)"
    )]
    PdbBlocked,
    /// a pod has no controller and would be lost
    #[strum(
        message = "delete it, set spec.drain.unmanagedPods: evict, or accept it for this run (spec.acceptRisks)"
    )]
    PodWithoutController,
    /// the API server refused an eviction
    #[strum(message = "read the message; usually an admission webhook refused it")]
    EvictionRefused,
    /// a pod that was evicted is still on the node
    #[strum(
        message = "nothing during its grace period; if a finalizer keeps it, have whoever set it remove it"
    )]
    PodTerminating,
    /// a volume is still attached to the node although its pod has left
    #[strum(
        message = "nothing while it is being detached; otherwise look at its CSI driver, and delete a VolumeAttachment that nothing uses"
    )]
    VolumeAttached,
    /// pods or their volumes did not leave the node in time
    #[strum(message = "look at the pods and volumes that remain")]
    DrainDeadline,
    /// the node did not come up at the target in time
    #[strum(message = "look at the kubelet and the static pods of the node")]
    VerifyDeadline,
    /// the step made no progress for too long
    #[strum(message = "nothing; the node was put back")]
    HoldDeadline,
}
