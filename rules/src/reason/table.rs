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
    /// an embedded gate expression has a result although its rule is quiet
    #[strum(message = "load the rules of this version; clear what the expression names")]
    GateExpressionTrue,
    /// an alert carries a gate class that does not exist, which closes every step
    #[strum(message = "spell k8s_upgrade_gate as all, start or mutating")]
    GateMisspelt,
    /// a generated alert rule is not loaded
    #[strum(message = "load the output of `lockkeeper-exporter rules` into Prometheus")]
    RuleMissing,
    /// a gate rule cannot be evaluated
    #[strum(message = "read lastError of the rule in Prometheus")]
    RuleUnhealthy,
    /// a gate rule has not been evaluated lately
    #[strum(message = "look at the rule group's evaluation time in Prometheus")]
    RuleStale,
    /// a gate rule is in a state that is not known to be quiet
    #[strum(message = "wait for its first evaluation")]
    RuleUnknown,
    /// the positive control K8sUpgradeWatchdog is absent from the answer
    #[strum(message = "look at the path from Prometheus to Alertmanager")]
    WatchdogMissing,
    /// K8sUpgradeStepReady does not fire for this step's token
    #[strum(message = "wait for the gates; look at the alert in Prometheus")]
    ReadyAbsent,
    /// the ready alert is inhibited or muted
    #[strum(message = "remove the inhibit rule or the mute time")]
    ReadySuppressed,
    /// the ready alert is silenced, which pauses the run
    #[strum(message = "expire the silence")]
    ReadySilenced,
    /// a silence that has paused the run is gone from Alertmanager, and nothing says that it has expired
    #[strum(
        message = "wait until its end; or ask whoever made it, and to go on add the word that is shown to spec.acceptRisks"
    )]
    SilenceForgotten,
    /// Prometheus has no sample of this step's token
    #[strum(message = "let Prometheus scrape this exporter; check the job name and selector")]
    EchoMissing,
    /// the newest sample of this step's token is too old
    #[strum(message = "look at the exporter's target in Prometheus")]
    EchoStale,
    /// Prometheus and the API server count different nodes
    #[strum(message = "wait for the next scrape; check that Prometheus watches this cluster")]
    NodeMismatch,
    /// a configured Prometheus does not answer
    #[strum(message = "bring it back, or correct prometheus.urls")]
    PrometheusUnreachable,
    /// Prometheus runs with an old configuration because its last reload failed
    #[strum(message = "mend the configuration that it refused")]
    PrometheusReloadFailed,
    /// Prometheus has no data of a time that gate alerts look back to, so it may have forgotten what closes them
    #[strum(
        message = "wait until then; keep its data on a volume, and settings.prometheusDataAgeSecondsMin as short as your own gate alerts allow"
    )]
    PrometheusYoung,
    /// a configured Alertmanager does not answer
    #[strum(message = "bring it back, or correct alertmanager.urls")]
    AlertmanagerUnreachable,
    /// Alertmanager started so lately that its list may be incomplete
    #[strum(message = "wait one resend delay")]
    AlertmanagerYoung,
    /// the Alertmanager cluster is settling
    #[strum(message = "wait for it to be ready")]
    AlertmanagerNotReady,
    /// no heartbeat has arrived from Alertmanager
    #[strum(message = "route K8sUpgradeWatchdog to the actuator; check the webhook's address and token")]
    HeartbeatMissing,
    /// Alertmanager's message about gate alerts was too large to be read, so that they count as firing
    #[strum(
        message = "let fewer alerts carry k8s_upgrade_gate; the next message that can be read, or the next call for this step, ends it"
    )]
    GatesTooLarge,
    /// the clock of a backend or of a node is too far from ours
    #[strum(message = "run a time service on both")]
    ClockSkew,
    /// an answer could not be understood
    #[strum(message = "check that the URL is what it should be, and the supported versions")]
    AnswerMalformed,
    /// the live check is older than its validity
    #[strum(message = "nothing; it is asked again")]
    CheckExpired,
    // The cluster.
    /// the API server does not answer
    #[strum(message = "nothing if its own node is being upgraded; else bring it back")]
    ApiUnreachable,
    /// a node is not Ready
    #[strum(message = "mend the node, or list it in spec.skip")]
    NodeNotReady,
    /// a node's Lease has not been renewed lately
    #[strum(message = "mend its kubelet")]
    NodeLeaseStale,
    /// a node reports memory, disk or process pressure
    #[strum(message = "free the resource on the node")]
    NodePressure,
    /// the node is gone
    #[strum(message = "nothing if it was removed on purpose; if the run has halted over it, set spec.retry")]
    NodeMissing,
    /// a node of this name has another uid, or another machine, than when its step began
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
    /// spec.skip names the node at work
    #[strum(message = "nothing; it is left as it is")]
    NodeSkipped,
    /// a node booted less than the quiet time ago
    #[strum(message = "wait for the quiet time to pass")]
    NodeRebootedRecently,
    /// a node has no InternalIP that it could be reached by
    #[strum(message = "let its kubelet report one that is an IP address")]
    NodeAddressMissing,
    /// kube-controller-manager or kube-scheduler does not renew its Lease
    #[strum(message = "bring it back")]
    ControllerLeaseStale,
    /// an API server is not ready
    #[strum(message = "bring it back")]
    ControlPlaneNotReady,
    /// an etcd member is not healthy
    #[strum(message = "bring the member back before its neighbour is touched")]
    EtcdUnhealthy,
    /// an etcd member has not been healthy for long enough
    #[strum(message = "nothing; it is asked again")]
    EtcdRecentlyRestarted,
    /// by its own metrics an etcd member is slow, or its leader has changed often
    #[strum(message = "look at the disk and the network of that member, or raise the limit in the settings")]
    EtcdSlow,
    /// the database of an etcd member has nearly filled its quota
    #[strum(message = "defragment it or raise --quota-backend-bytes, one member at a time")]
    EtcdNearlyFull,
    /// Prometheus shows metrics of etcd, and not those of every member
    #[strum(
        message = "look at etcd's targets in Prometheus; one that was taken away is forgotten after an hour"
    )]
    EtcdUnmeasured,
    /// a component runs a version that the run did not plan for
    #[strum(message = "find out who changed it, then set spec.retry")]
    VersionUnexpected,
    /// too few pods are Ready
    #[strum(message = "mend the workloads")]
    PodsNotReady,
    /// the cluster shows no nodes
    #[strum(message = "check the rights of the service account")]
    NoNodes,
    // The verdict.
    /// the compatibility verdict could not be reached
    #[strum(message = "read /verdict for what is missing")]
    VerdictUnknown,
    /// spec.target is not a version
    #[strum(message = "open a new run with a target such as v1.36.3")]
    TargetNotAVersion,
    /// spec.target is a pre-release
    #[strum(message = "open a new run with a release as its target")]
    TargetPrerelease,
    /// spec.target is older than what runs
    #[strum(message = "open a new run with a newer target; Kubernetes does not go down")]
    TargetDowngrade,
    /// spec.target is more than one minor ahead
    #[strum(message = "open a new run with a target of the next minor, and another one after it")]
    TargetSkipsMinor,
    /// spec.target has another major version
    #[strum(message = "open a new run with a target of the running major")]
    TargetOtherMajor,
    /// the package index does not have all of the target for every node
    #[strum(
        message = "check spec.target and packages.url; a mirror needs kubeadm, kubelet and kubectl for each architecture that runs"
    )]
    TargetUnavailable,
    /// a newer patch of the same minor is on offer
    #[strum(message = "begin from the newest patch of the minor that runs, and go to the newest of the next")]
    PatchBehind,
    /// a node runs an operating system without apt, and Lockkeeper upgrades nodes with apt alone
    #[strum(message = "leave it out of the run (spec.skip) and upgrade it by its own means")]
    NodeOsUnsupported,
    /// whether the operating system of a node has apt is not known by its name
    #[strum(message = "go on: preflight of a run asks the node itself")]
    NodeOsUnrecognised,
    /// a node has an architecture that no packages are published for
    #[strum(message = "leave it out of the run (spec.skip) and upgrade it by its own means")]
    NodeArchitectureUnsupported,
    /// the kubelet of a node is a vendor's own build, and Lockkeeper installs the project's
    #[strum(message = "leave it out of the run (spec.skip) and upgrade it by the vendor's means")]
    KubeletOfVendor,
    /// the target is a vendor's own build, and Lockkeeper installs the project's
    #[strum(message = "name a release of the project, such as v1.36.3, or upgrade by the vendor's means")]
    TargetOfVendor,
    /// a part of the control plane that its vendor brings and configures is not looked at
    #[strum(message = "look into the vendor's release notes for the target")]
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
    /// a kube-apiserver runs on a node that is not known to be of the control plane
    #[strum(message = "give the node the label node-role.kubernetes.io/control-plane, as kubeadm does")]
    ControlPlaneUnlabelled,
    /// a part of the control plane is not seen
    #[strum(
        message = "wait until its pods are there again; let kubeadm write its static pods, with the labels that it gives them"
    )]
    ControlPlaneUnseen,
    /// a source that the verdict needs could not be read
    #[strum(message = "mend the source that is named")]
    SourceUnreadable,
    /// a source that the verdict needs is too old
    #[strum(message = "mend the source that is named")]
    SourceStale,
    /// the verdict is older than its time to live
    #[strum(message = "nothing; it is computed again")]
    VerdictStale,
    /// what is known of versions is missing or too old to be trusted
    #[strum(
        message = "get newer data and set its as_of, or allow more with max_age_days (of rows that are joined the shortest counts)"
    )]
    MatrixStale,
    /// the files of facts about versions were changed and have mistakes, so others than are wanted are in force
    #[strum(message = "mend the files; `lockkeeper-exporter matrix check FILE` lists every mistake")]
    MatrixRefused,
    /// a file of facts about versions has taken the place of newer facts, and says something else
    #[strum(message = "take it out of your file, or look at its source again and set as_of to that day")]
    MatrixOlder,
    /// the last day of what a person accepted is over
    #[strum(
        message = "look at it again: mend it, or accept it until a later day; then take the old row out of `accept`"
    )]
    AcceptExpired,
    /// a row of `accept` means nothing that stands in the way of this target
    #[strum(message = "take it out, or correct its check, subject or reason")]
    AcceptUnused,
    /// a kubelet of the target does not start on this container runtime
    #[strum(message = "upgrade the container runtime of the node first")]
    RuntimeTooOld,
    /// the container runtime is not one that its project names for the target
    #[strum(
        message = "upgrade the container runtime of the node first; where that is in the way, it may be accepted by name and day"
    )]
    RuntimeNotRecommended,
    /// nobody knows whether the container runtime of a node fits the target
    #[strum(message = "look at the node; add what is known of its runtime to the data")]
    RuntimeUnknown,
    /// the kernel of a node is none that kubeadm's preflight knows, of which it only warns
    #[strum(message = "nothing has to be done; a newer kernel ends the warning")]
    KernelUnsupported,
    /// the kernel of a node cannot be read
    #[strum(message = "look at the node's status")]
    KernelUnknown,
    /// etcd must be upgraded inside its minor before the target's etcd may come
    #[strum(
        message = "upgrade etcd to the release that is named, on every member; where no kubeadm of the minor that runs brings it, set etcd.local.imageTag in ConfigMap kube-system/kubeadm-config (and imageRepository, where the usual one does not have it), run kubeadm upgrade apply with the version that runs and kubeadm upgrade node on the other control planes, and take the tag out again"
    )]
    EtcdTooOld,
    /// no etcd is seen in the cluster
    #[strum(
        message = "let kubeadm run etcd as static pods: an etcd outside the cluster cannot be judged, so there is no way around this"
    )]
    EtcdUnseen,
    /// a feature gate is set that the target does not know, so the component does not start
    #[strum(
        message = "take it out of the component's configuration: extraArgs in kubeadm-config and the static pod's manifest, or the kubelet's"
    )]
    FeatureGateRemoved,
    /// a feature gate is set to a value that the target refuses, so the component does not start
    #[strum(
        message = "take it out of the component's configuration: extraArgs in kubeadm-config and the static pod's manifest, or the kubelet's"
    )]
    FeatureGateLocked,
    /// nobody knows what becomes of a feature gate that is set
    #[strum(message = "take it out, or look whether the target knows it and give its row in components")]
    FeatureGateUnknown,
    /// a flag is set that the target does not know, so the component does not start
    #[strum(message = "take it out of extraArgs in kubeadm-config and of the static pod's manifest")]
    FlagRemoved,
    /// an admission plugin is named that the target does not have, so kube-apiserver does not start
    #[strum(message = "take it out of extraArgs in kubeadm-config and of the static pod's manifest")]
    AdmissionPluginRemoved,
    /// kubeadm keeps a feature gate of its own that the target's kubeadm does not know: an upgrade warns of it and goes on
    #[strum(
        message = "take it out of featureGates in ConfigMap kube-system/kubeadm-config: a file with it is refused"
    )]
    KubeadmGateUnknown,
    /// the target's kubeadm cannot read the configuration that is kept in the cluster
    #[strum(
        message = "let the kubeadm that runs write it anew, by kubeadm upgrade apply with the version that runs; or put what kubeadm config migrate makes of it into ConfigMap kube-system/kubeadm-config"
    )]
    KubeadmConfigUnreadable,
    /// the flags of a component of the control plane are not seen
    #[strum(message = "let kubeadm write its static pod, with the component's own program as its command")]
    CommandLineUnseen,
    /// nothing is known of what a minor takes away from the components' configuration
    #[strum(
        message = "give a newer file of facts whose section components has that minor and all that the built-in one has"
    )]
    ComponentFactsMissing,
    /// a kubelet did not say how it is configured
    #[strum(message = "mend its kubelet, or wait until it is asked again")]
    KubeletUnread,
    /// there is no right to ask kubelets how they are configured
    #[strum(message = "read what the right gives in deploy/kubelet-config and add that component")]
    KubeletForbidden,
    /// the flags that kubelets are started with cannot be seen from the cluster
    #[strum(
        message = "look at /var/lib/kubelet/kubeadm-flags.env, /etc/default/kubelet and the unit on every node, then set policy.kubelet_flags_checked to the minor"
    )]
    KubeletFlagsUnseen,
    /// a node runs on cgroup v1, on which the target's kubelet does not start
    #[strum(
        message = "move the node to cgroup v2, or set failCgroupV1: false in the ConfigMap kubelet-config"
    )]
    CgroupTooOld,
    /// a node may run on cgroup v1; its kubelet will be told to start all the same
    #[strum(message = "nothing for now; later minors do without cgroup v1")]
    CgroupOldKept,
    /// a node's cgroup version is not known, and the target's kubelet does not start on v1
    #[strum(
        message = "let its kubelet be asked (deploy/kubelet-config), or set failCgroupV1: false in the ConfigMap kubelet-config"
    )]
    CgroupUnknown,
    /// a cloud-controller-manager is too far from an API server or from the target
    #[strum(message = "bring it to the minor that runs now; its project tells which release that is")]
    CloudControllerSkewed,
    /// the version of a cloud-controller-manager is not known
    #[strum(message = "give its image a version as its tag, and let it roll out")]
    CloudControllerUnknown,
    /// kube-proxy is too far from an API server or a kubelet
    #[strum(message = "bring kube-proxy to the version of the API servers")]
    KubeProxySkewed,
    /// the version of kube-proxy is not known
    #[strum(message = "give its image a version as its tag, and let its DaemonSet roll out")]
    KubeProxyUnknown,
    /// no DaemonSet runs kube-proxy
    #[strum(message = "nothing if another program does its work; look at that one's own versions")]
    KubeProxyAbsent,
    /// objects may be stored in a version that the API server does not serve
    #[strum(
        message = "serve that version again, rewrite the objects, then take it out of status.storedVersions"
    )]
    StoredVersionUnserved,
    /// objects may still be stored in an older version
    #[strum(message = "rewrite the objects before the add-on drops that version")]
    StoredVersionOld,
    /// nobody knows what a PodDisruptionBudget allows
    #[strum(message = "look at the budget and at kube-controller-manager, which writes its status")]
    PdbUnobserved,
    /// a PodDisruptionBudget allows no eviction until more of its pods are Ready
    #[strum(message = "look at its pods, or set unhealthyPodEvictionPolicy: AlwaysAllow")]
    PdbWaits,
    /// a PodDisruptionBudget counts pods whose owners are not watched
    #[strum(
        message = "give these pods labels of their own, or let the budget allow one more; or look at the pods and accept this budget by name: in a file of facts (accept), or for one run: spec.acceptRisks"
    )]
    PdbOfOthers,
    /// a PodDisruptionBudget allows no eviction unless an operator moves the pod or the budget
    #[strum(
        message = "ask the operator's documentation whether it does so when a node is cordoned; if so, accept this budget by name: in a file of facts (accept), or for one run as pdb_may_move@ and its name in spec.acceptRisks; if not, relax the budget through its operator"
    )]
    PdbMayMove,
    /// nobody answers a webhook where it is asked, and what it is asked about is refused
    #[strum(message = "start its pods or mend the port of its Service, or delete the configuration")]
    WebhookDead,
    /// everybody who answers a webhook is on one node that is drained
    #[strum(
        message = "give it two replicas on different nodes, or leave kube-system and its own namespace out of its namespaceSelector"
    )]
    WebhookOnOneNode,
    /// everybody who answers a webhook is on one node that is drained, and only its matchConditions may leave out what cannot wait for it
    #[strum(
        message = "give it two replicas on different nodes; or read its matchConditions: where they leave out kube-system, nodes and its own namespace, accept it by name until a day"
    )]
    WebhookConditional,
    /// nobody knows who answers a webhook
    #[strum(
        message = "wait a moment; then look at the exporter's right to get Services and list EndpointSlices"
    )]
    WebhookUnseen,
    /// a webhook is answered where nobody here can look, and its calls prove that it answers
    #[strum(message = "look whether it answers while nodes are drained")]
    WebhookOutside,
    /// nobody here can see whether a webhook answers, and its calls do not prove it
    #[strum(
        message = "let it be asked, such as by kubectl run --dry-run=server where it is asked about pods, with every API server scraped; where its calls fail, look at what API servers log of them, such as of its caBundle; name the port in its container; or look at it yourself, and accept it by name until a day"
    )]
    WebhookUnproven,
    /// a webhook with matchPolicy: Exact is not asked about objects in versions that it does not list
    #[strum(message = "set matchPolicy: Equivalent")]
    WebhookExact,
    /// a volume is of a plugin that the target does not have
    #[strum(message = "move it to a CSI driver, or take it out of the template")]
    VolumePluginGone,
    /// a volume is of a FlexVolume driver, and the target's kubeadm does not mount the drivers into kube-controller-manager, which attaches volumes
    #[strum(
        message = "mount the directory that is named by controllerManager.extraVolumes in ConfigMap kube-system/kubeadm-config, or move to a CSI driver; accept it by name and day where the driver attaches nothing"
    )]
    FlexVolumeUnmounted,
    /// the volumes of bare pods and of Jobs are not looked at
    #[strum(message = "look for pods with such a volume before the first node is drained")]
    VolumesNotRead,
    /// somebody asks for an API that the target does not serve
    #[strum(
        message = "move its callers to the version that stays; audit events with k8s.io/deprecated name them"
    )]
    ApiRequested,
    /// an API that the target does not serve was asked for, but not lately
    #[strum(
        message = "move its callers; if they have moved, restart the API server to see, or set policy.deprecated_api_ghosts to note"
    )]
    ApiRequestGhost,
    /// an API server names a minor that cannot be read as the end of an API
    #[strum(message = "look at removed_release of apiserver_requested_deprecated_apis")]
    ApiRemovalUnreadable,
    /// Prometheus has no samples of an API server now
    #[strum(
        message = "let Prometheus scrape each API server at its node's address, which the label instance must keep"
    )]
    ApiServerNotScraped,
    /// Prometheus has samples of an API server for less than the window
    #[strum(
        message = "let Prometheus keep samples for longer and wait, or accept it by name until a day (accept); how much is asked for say policy.deprecated_api_window_days and policy.deprecated_api_short_proof"
    )]
    ApiProofShort,
    /// objects are written in a version that the target does not serve
    #[strum(message = "upgrade the writer, or let it write the version that stays")]
    ApiWritten,
    /// a release of Helm was deployed with an API that the target does not serve
    #[strum(message = "upgrade the chart first; once the API is gone, Helm cannot upgrade the release")]
    ApiInManifest,
    /// an API that is not served any more is still written somewhere
    #[strum(
        message = "nothing for this upgrade; Helm cannot upgrade such a release before its manifest is mended"
    )]
    ApiGone,
    /// an API goes before it is marked as deprecated, so that nobody can see who only reads it
    #[strum(message = "look for its readers; who writes it is looked for")]
    ApiUnmarked,
    /// what Helm has stored of its releases is not looked at
    #[strum(
        message = "set policy.helm_manifests to required and let both programs list Secrets (deploy/helm)"
    )]
    HelmNotRead,
    /// Helm is to be looked at, and has no release in any Secret
    #[strum(
        message = "where Helm keeps its releases elsewhere or is not used, set policy.helm_manifests to note"
    )]
    HelmNotFound,
    /// a known danger is on the way to the target
    #[strum(message = "do what its row says, or accept it by name until a day (accept)")]
    RiskPresent,
    /// Prometheus does not prove whether a known danger is in this cluster
    #[strum(message = "let it scrape what the row's expression looks at; the answer is one sample, 1 or 0")]
    RiskUnknown,
    /// an add-on does not fit the target, and a newer release of it does
    #[strum(message = "upgrade the add-on first")]
    AddonUpgradeNeeded,
    /// an add-on that somebody pinned does not fit the target
    #[strum(message = "wait for whoever pinned it, or lift the pin")]
    AddonPinned,
    /// the pin of an add-on that does not fit the target has expired
    #[strum(message = "lift or renew the pin")]
    AddonPinExpired,
    /// no known release of an add-on fits the target
    #[strum(message = "wait for its next release, then add it to the matrix")]
    AddonWaitingUnreleased,
    /// an add-on does not fit the target, and its ceiling is raised without a release
    #[strum(message = "look at its documentation, then correct its row")]
    AddonWaitingDocsLag,
    /// an add-on gets no more releases
    #[strum(message = "replace it")]
    AddonRetired,
    /// an add-on needs a newer Kubernetes than runs or is asked for
    #[strum(message = "use an older release of it, or go to the newer Kubernetes in another order")]
    AddonNeedsNewerKubernetes,
    /// nobody has tested this release of an add-on with the target, which its vendor does not rule out
    #[strum(
        message = "use a release that was tested with it, where one is named; or try it elsewhere and accept it by name and day, or by policy.outside_tested"
    )]
    AddonUntested,
    /// an add-on that should be there was not found
    #[strum(message = "correct where its row looks for it, or install it")]
    AddonMissing,
    /// definitions or webhooks of an add-on are there, and nothing that runs it is found
    #[strum(
        message = "delete what it left behind; if it runs, name its image or label in the witnesses of its row, and if it runs elsewhere, accept it"
    )]
    AddonLeftover,
    /// the version of an add-on cannot be read
    #[strum(
        message = "use a tagged image of a release, or add its digest, or the name of its image, to its row"
    )]
    AddonVersionUnreadable,
    /// an add-on is there in several versions
    #[strum(message = "name its container in its row, or bring it to one version")]
    AddonVersionsDiffer,
    /// pods of an add-on run another image than their template or each other
    #[strum(message = "give each build a tag of its own, and roll the workload out anew")]
    AddonPodsDiffer,
    /// it cannot be told what the pods of an add-on run
    #[strum(message = "wait until every pod has started; policy.addon_pods says whether they are looked at")]
    AddonPodsUnread,
    /// what the pods of add-ons run is not looked at: their templates are believed
    #[strum(message = "set policy.addon_pods to required and let both programs list pods (deploy/pods)")]
    AddonPodsNotRead,
    /// an add-on is being rolled out: its template does not tell what runs
    #[strum(message = "wait for the rollout, or mend it")]
    AddonRollingOut,
    /// an add-on is newer than every row of the matrix
    #[strum(message = "add its release to the matrix")]
    AddonNewerThanMatrix,
    /// an add-on is older than every row of the matrix
    #[strum(message = "upgrade it, or add its release to the matrix")]
    AddonOlderThanMatrix,
    /// what the vendor of an add-on states may not let it pass
    #[strum(message = "accept that claim in policy.accept_claims, or add a row with proof of your own")]
    AddonClaimNotAccepted,
    /// what looks like an add-on has no row in the matrix
    #[strum(message = "add a row for it")]
    AddonNotCovered,
    /// an add-on is beyond its ceiling already, which the step at hand does not change
    #[strum(message = "upgrade it before the next minor")]
    AddonBeyondCeiling,
    /// the vendor of an add-on declares no newest Kubernetes
    #[strum(message = "nothing; look at its release notes")]
    AddonNoCeiling,
    /// an add-on does not work on the kernel of a node
    #[strum(message = "give the node a newer kernel, or take a release of the add-on that works on it")]
    AddonKernelTooOld,
    /// an add-on asks more of a cluster than is checked
    #[strum(message = "compare its source with your nodes")]
    AddonCondition,
    // The run.
    /// spec.paused is set
    #[strum(message = "set spec.paused to false")]
    Paused,
    /// the step in spec.stopAfter has finished
    #[strum(message = "remove spec.stopAfter, or name a later step")]
    StopAfter,
    /// the step may not start yet: soak or quiet time
    #[strum(message = "wait")]
    NotBefore,
    /// as many nodes are out of service as may be
    #[strum(message = "wait; spec.workers.concurrency says how many workers may be")]
    NodesInHand,
    /// this is done while no other node is out of service
    #[strum(message = "wait until the others are back")]
    GoesAlone,
    /// a PodDisruptionBudget protects pods here and pods of a node that is out of service
    #[strum(message = "wait until that node is back")]
    BudgetShared,
    /// a pod that has left a node of this run has no node yet
    #[strum(message = "wait until it is scheduled; look at its events if that takes long")]
    EvictedPodPending,
    /// two drains wait for each other, and the later one makes room
    #[strum(
        message = "nothing; its step begins again once the other node is back, without using up an attempt"
    )]
    DrainsBlockEachOther,
    /// the run halts: a step has failed, and what was not begun is put back
    #[strum(message = "look at the step that has failed")]
    RunHalting,
    /// a stored time lay in the future; the wait was cut to the longest that there is
    #[strum(message = "wait; run a time service where the actuator runs")]
    ClockSetBack,
    /// no permit has arrived for this step
    #[strum(message = "wait for the gates; if they are clear, check the route from Alertmanager")]
    WaitingForPermit,
    /// the permit ended before the live check passed
    #[strum(message = "nothing; Alertmanager repeats it")]
    PermitExpired,
    /// runs of this namespace are not served
    #[strum(message = "make the run in a namespace that settings.namespaces names, or add this one there")]
    NotServed,
    /// another run holds the cluster lock
    #[strum(message = "wait for it, or delete it")]
    QueuedBehindRun,
    /// the cluster lock could not be read
    #[strum(message = "check the API server and the actuator's rights")]
    LockUnreadable,
    /// the cluster lock is no longer this run's
    #[strum(message = "find out who took it, then set spec.retry")]
    LockLost,
    /// another replica leads
    #[strum(message = "nothing")]
    LeadershipLost,
    /// the stored status contradicts itself
    #[strum(
        message = "give back the node that carries lockkeeper.dev/cordoned-by, take the run's finalizer off by hand, and open a new run; docs/runbooks.md tells how"
    )]
    StatusMalformed,
    /// the status was written by a newer Lockkeeper
    #[strum(message = "run the version that wrote it, or a newer one")]
    StatusNewer,
    /// the API server did not store what was sent
    #[strum(message = "apply the CRD of this version")]
    StatusPruned,
    /// a node's ledger is ahead of the run's status
    #[strum(message = "etcd was restored: look at the nodes, then set spec.retry")]
    StateWentBackwards,
    /// the step failed as often as it may
    #[strum(message = "mend the cause, then set spec.retry")]
    AttemptsExhausted,
    /// the run gives up a node whose change has begun and is not whole
    #[strum(message = "see that the node is well, then name it in spec.skip to give it back as it is")]
    NodeHalfUpgraded,
    /// no replica of the actuator on another node could lead while its own is upgraded
    #[strum(
        message = "run two replicas on different nodes, or the actuator outside the cluster with --kubeconfig"
    )]
    NoHomeForActuator,
    /// a part of the alert path could not run on any other node
    #[strum(
        message = "let another node take it: by its labels, its taints or the pod's tolerations; or, where a node comes for it by itself, accept it for this run: spec.acceptRisks"
    )]
    PipelineHasNoOtherNode,
    /// pods of a budget come back only after the node whose drain waits for them
    #[strum(
        message = "let another node take them, relax the budget, or, where a node comes for them by itself, accept it for this run: spec.acceptRisks"
    )]
    PodHasNoOtherNode,
    /// the independent checker found a broken invariant
    #[strum(message = "report a bug with the run's status")]
    InvariantViolated,
    // A node's step.
    /// the node cannot be reached over SSH
    #[strum(message = "check address, port, key and sshd")]
    SshUnreachable,
    /// the node's host key is not the known one
    #[strum(message = "find out why it changed, then mend the known-hosts file")]
    SshHostKey,
    /// the machine behind the address is not the node, or not this node alone
    #[strum(
        message = "correct the node's address; give a cloned machine an id of its own; delete a Node that is no more"
    )]
    MachineIdMismatch,
    /// the node's ledger could not be read
    #[strum(message = "look at /var/lib/lockkeeper on the node")]
    LedgerUnreadable,
    /// the node has seen this token before
    #[strum(message = "nothing; the step gets a new token")]
    TokenAlreadySeen,
    /// the node has seen a newer leader
    #[strum(message = "nothing; the leader of now sends it under a new token")]
    GenerationTooOld,
    /// another unit is at work on the node
    #[strum(message = "wait until it has ended")]
    NodeBusy,
    /// the unit that was sent to the node did not begin there in time
    #[strum(message = "nothing; it is sent again under a new token")]
    UnitNotBegun,
    /// the unit on the node started and is gone without a result
    #[strum(message = "nothing; the node is probed")]
    UnitVanished,
    /// the unit on the node failed
    #[strum(message = "read the unit's log on the node")]
    UnitFailed,
    /// the unit on the node runs longer than it may
    #[strum(message = "look at the node, then set spec.retry")]
    UnitDeadline,
    /// the target's own kubeadm does not agree
    #[strum(message = "read its output in the run's history")]
    PreflightFailed,
    /// the folder of kubeadm's patches is not on the node
    #[strum(
        message = "put it on every node, workers too, or take kubeadm.patchesDirectory out of the actuator's file"
    )]
    PatchesMissing,
    /// the node lacks programs of apt or dpkg, and Lockkeeper installs with nothing else
    #[strum(
        message = "install them, or leave the node out of the run (spec.skip) and upgrade it by its own means"
    )]
    NodeWithoutApt,
    /// systemd does not run on the node, and every change there is one of its units
    #[strum(message = "leave the node out of the run (spec.skip) and upgrade it by its own means")]
    NodeWithoutSystemd,
    /// the kubelet of the node is not from a Debian package, and stays as it is when one is installed beside it
    #[strum(
        message = "install kubelet, kubeadm and kubectl of the version that runs there as packages, and remove what was put there otherwise; or leave the node out of the run (spec.skip)"
    )]
    KubeletNotPackaged,
    /// too little disk is free on the node, for the upgrade or for kubeadm's copy of etcd's data
    #[strum(
        message = "free some disk where the detail says; old copies of etcd's data lie in /etc/kubernetes/tmp"
    )]
    DiskTooSmall,
    /// apt on the node does not know the target or has not fetched it, although its prepare is over
    #[strum(
        message = "look at the node's package sources, at what clears apt's archives away, and at what its prepare wrote into its log"
    )]
    NodeNotPrepared,
    /// the run has ended, and apt on a node that it did not change still reads the source that prepare switched
    #[strum(
        message = "run `cp -p /var/lib/lockkeeper/source/original \"$(cat /var/lib/lockkeeper/source/path)\"` on the node, unless the source is as it should be"
    )]
    SourceNotRestored,
    /// apt on the node would not install the target
    #[strum(
        message = "mend what apt says on the node; if another package is held there, take the hold off or bring it to what is wanted"
    )]
    PackagesBlocked,
    /// the static pod manifests were changed by hand, and an upgrade would take the change back
    #[strum(
        message = "look at the values on the node (kubeadm upgrade diff, with the version that runs there); move the change into the kubeadm-config ConfigMap or into kubeadm's patches; or let it go: add the word that is shown to spec.acceptRisks"
    )]
    ConfigDrift,
    /// nobody can tell what was changed by hand in the static pod manifests
    #[strum(
        message = "do on that node what the detail says; as a rule, install kubeadm in the version that its control plane runs"
    )]
    ManifestsUnknown,
    /// this run has no verified etcd snapshot
    #[strum(message = "let the snapshot step run again")]
    SnapshotMissing,
    /// the etcd snapshot could not be verified
    #[strum(message = "look at the disk of the control-plane node")]
    SnapshotInvalid,
    /// less is free where the etcd snapshot is written than twice the size of etcd's database
    #[strum(
        message = "free some disk on etcd's volume, in /var/lib/lockkeeper and in etcd.snapshotDirectory, or defragment etcd; the journal of the unit on the control-plane node names the place and the sizes"
    )]
    SnapshotDiskTooSmall,
    /// a PodDisruptionBudget allows no eviction
    #[strum(
        message = "make more pods Ready, give them more replicas, or relax the budget; or accept it for this run: spec.acceptRisks"
    )]
    PdbBlocked,
    /// a pod has no controller and would be lost
    #[strum(
        message = "delete it, set spec.drain.unmanagedPods: evict, or accept it for this run: spec.acceptRisks"
    )]
    PodWithoutController,
    /// the API server refused an eviction
    #[strum(message = "read the message: usually an admission webhook")]
    EvictionRefused,
    /// a pod that was asked to leave the node is still there
    #[strum(message = "nothing while its grace period runs; let whoever put a finalizer on it take that off")]
    PodTerminating,
    /// a volume is still attached to the node that its pod has left
    #[strum(
        message = "nothing while it is being detached; else look at its CSI driver, and delete a VolumeAttachment that nothing uses"
    )]
    VolumeAttached,
    /// pods or their volumes did not leave the node in time
    #[strum(message = "look at the pods and volumes that remain")]
    DrainDeadline,
    /// the node did not come up at the target in time
    #[strum(message = "look at the kubelet and the static pods of the node")]
    VerifyDeadline,
    /// the step came no further for too long
    #[strum(message = "nothing; the node was put back")]
    HoldDeadline,
}
