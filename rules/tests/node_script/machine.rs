//! A machine in a folder, with stand-ins for what changes a real one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use lockkeeper_rules::driver::kubeadm::ledger::parse;
use lockkeeper_rules::driver::kubeadm::node_script::{
    EtcdAccess, ScriptSettings, launch_answer, launcher, reader, survey, survey_answer,
};
use lockkeeper_rules::driver::kubeadm::order::{
    LedgerOrder, LookedAt, NodeTarget, SurveyOrder, UnitKind, UnitOrder,
};
use lockkeeper_rules::driver::kubeadm::reading::{ManifestSurvey, NodeSurvey};
use lockkeeper_rules::driver::kubeadm::{Environment, Exception, KubeadmSettings};
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::gate::Proof;
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::words::name::Token;

pub(crate) const RUN: &str = "0b9f3c6e-1111-4222-8333-444455556666";

/// What stands in for each program; `$M` is the machine's folder, `$M/calls` keeps every call.
const STAND_INS: &[(&str, &str)] = &[
    (
        "systemd-run",
        r#"
for word; do case $word in --unit=*) unit=${word#--unit=} ;; esac; done
if [ -e "$M/units/$unit" ]; then echo "Unit $unit was already loaded" >&2; exit 1; fi
: >"$M/units/$unit"
while [ "$1" != -- ]; do shift; done
shift
"$@" </dev/null >/dev/null 2>&1 || true
"#,
    ),
    (
        "systemctl",
        r#"
case $1 in show) ;; *) exit 0 ;; esac
for unit; do :; done
load=not-found active=inactive sub=dead
if [ -e "$M/units/$unit" ]; then load=loaded active=active sub=exited; fi
if [ -e "$M/on-show" ]; then . "$M/on-show"; fi
case "$*" in
    *--value*) echo "$load" ;;
    *) echo "LoadState=$load"; echo "ActiveState=$active"; echo "SubState=$sub" ;;
esac
"#,
    ),
    (
        // As apt 2.6 has it: a source is told once its lists are there, and what cannot be fetched is only a warning.
        "apt-get",
        r#"
lists=$M/apt-lists parts=$M/etc/apt/sources.list.d
for word; do
    case $word in
        Dir::State::lists=*) lists=${word#*=} ;;
        Dir::Etc::sourceparts=*) parts=${word#*=} ;;
        kubeadm=*) if [[ "$*" == *download* ]]; then case "$*" in *--download-only*) ;; *) : >kubeadm_1_amd64.deb ;; esac
                   else echo 1.36.3 >"$M/kubeadm"; fi ;;
        kubelet=*) [[ "$*" == *--download-only* ]] || echo 1.36.3 >"$M/kubelet" ;;
    esac
done
sources() {
    (grep -nHE '^(deb |URIs:)' "$parts"/*.list "$parts"/*.sources 2>/dev/null || true) |
        while IFS=: read -r file line text; do
            for uri in $text; do
                case $uri in *://*) echo "$(sed -E 's#//[^/@]*@#//#; s#/+$##' <<<"$uri") $uri $file:$line" ;; esac
            done
        done
}
case "$*" in
    *indextargets*)
        sources | while read -r site rest; do
            if grep -qxF -e "$site" "$lists/sites" 2>/dev/null; then echo "$site $rest"; fi
        done ;;
    *update) mkdir -p "$lists"; sources | cut -d ' ' -f 1 >"$lists/sites"; cat "$lists/sites" >>"$M/fetched" ;;
esac
if grep -qx "apt-get" "$M/failing" 2>/dev/null; then exit 100; fi
"#,
    ),
    (
        "apt-cache",
        r#"
apt-get "${@/madison/indextargets}" | while read -r site rest; do
    case $site in */core:/*) echo "   kubeadm | 1.36.3-1.1 | $site  Packages" ;; esac
done
"#,
    ),
    (
        "apt-mark",
        r#"
action=$1; shift
for package; do
    case $action in
        hold) : >"$M/holds/$package" ;;
        unhold) rm -f "$M/holds/$package" ;;
        showhold) if [ -e "$M/holds/$package" ]; then echo "$package"; fi ;;
    esac
done
"#,
    ),
    ("dpkg", r#"if [ -e "$M/on-dpkg" ]; then . "$M/on-dpkg"; fi"#),
    (
        "dpkg-query",
        r#"
case "$*" in *kubelet) if [ -e "$M/kubelet-status" ]; then cat "$M/kubelet-status"; else exit 1; fi; exit ;; esac
if [ -e "$M/cut" ]; then echo "iF |kubeadm"; fi; echo "ii |bash""#,
    ),
    ("dpkg-deb", r#"mkdir -p "$3/usr/bin"; cp "$M/bin/kubeadm" "$3/usr/bin/""#),
    ("kubelet", r#"echo "Kubernetes v$(cat "$M/kubelet")""#),
    ("kubectl", r#"echo "kubernetesVersion: v1.36.1""#),
    (
        "kubeadm",
        r#"
if [ "$1" = version ]; then echo "v$(cat "$M/kubeadm")"; exit 0; fi
if [ -e "$M/on-kubeadm" ]; then . "$M/on-kubeadm"; fi
case "$2 ${3-}" in
    "diff "*) echo "[upgrade/diff] Reading configuration"; if [ -e "$M/differences" ]; then cat "$M/differences"; fi ;;
    *" phase")
        echo "[upgrade] Reading"
        for last; do :; done
        case $last in v*) version=$last ;; *) version=$(cat "$M/kubeadm-config") ;; esac
        echo -n "[dryrun] Would upgrade your static Pod-hosted control plane to version \"$version\""
        echo "[patches] Reading patches from path"
        for name in kube-apiserver kube-controller-manager kube-scheduler; do
            echo "[dryrun] Would write file \"/etc/kubernetes/manifests/$name.yaml\" with content:"
            sed "s/VERSION/$version/; s/^/$(cat "$M/prefix" 2>/dev/null)/" "$M/generated/$name.yaml"
        done ;;
    "phase etcd")
        cp "$7" "$M/told-of-etcd"
        mkdir -p "$KUBEADM_INIT_DRYRUN_DIR"
        if [ -e "$M/generated-etcd" ]; then cp "$M/generated-etcd" "$KUBEADM_INIT_DRYRUN_DIR/etcd.yaml"; fi ;;
esac
"#,
    ),
    ("crictl", ""),
    (
        "etcdctl",
        r#"
case "$*" in
    *" endpoint status "*) echo '[{"Endpoint":"e","Status":{"version":"3.6.5","dbSize":'$(cat "$M/database" 2>/dev/null || echo 20480)',"leader":1,"dbSizeInUse":3}}]' ;;
    *" endpoint health") if [ -e "$M/lags" ]; then echo "e is unhealthy: failed to commit proposal" >&2; exit 1; fi ;;
    *) for last; do :; done; (umask 022; echo snapshot >"$last") ;;
esac
"#,
    ),
    ("etcdutl", r#"echo '{"hash":123456,"revision":6,"totalKey":13,"totalSize":20480}'"#),
];

pub(crate) struct Machine {
    pub(crate) folder: tempfile::TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["bin", "units", "holds", "etc/kubernetes/manifests", "proc", "var/lib/dpkg", "var/tmp"]
        {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        for (name, text) in STAND_INS {
            machine.stand_in(name, text);
        }
        machine.write("etc/machine-id", "abc123\n");
        machine.write("proc/stat", "cpu 1 2 3\nbtime 1763000000\n");
        machine.write("kubeadm", "1.36.1\n");
        machine.write("kubelet", "1.36.1\n");
        machine.write("kubelet-status", "hi ");
        machine
    }

    /// A program that stands in for one of this name.
    pub(crate) fn stand_in(&self, name: &str, text: &str) {
        self.write(
            &format!("bin/{name}"),
            &format!("#!/bin/bash\nset -eu\necho \"{name} $*\" >>\"$M/calls\"\n{text}\n"),
        );
        fs::set_permissions(self.path(&format!("bin/{name}")), fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn settings(&self) -> ScriptSettings {
        ScriptSettings {
            root: self.folder.path().to_str().unwrap().to_owned(),
            unit_seconds_max: 120,
            disk_free_mib_min: 1,
            start_seconds_max: 1_000_000_000,
            etcd: EtcdAccess::default(),
            kubeadm: KubeadmSettings::default(),
        }
    }

    /// The settings of a site that tells kubeadm all that can be told.
    pub(crate) fn site(&self) -> ScriptSettings {
        let exception =
            |name: &str| Exception { name: name.to_owned(), reason: "it's \"right\" here".to_owned() };
        let variables = [("HTTPS_PROXY", "http://u:p'w$(id)@proxy"), ("SSL_CERT_FILE", "/etc/ca.crt")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let kubeadm = KubeadmSettings {
            patches_directory: Some("/etc/kubernetes/patches".to_owned()),
            ignore_preflight_errors: vec![exception("SystemVerification"), exception("Mem")],
            skip_phases: vec![exception("addon/coredns"), exception("bootstrap-token")],
            extra_images: vec!["registry.example/agent:v1".to_owned(), "registry.example/dns:v2".to_owned()],
            environment: Environment(variables.into()),
        };
        ScriptSettings { kubeadm, ..self.settings() }
    }

    pub(crate) fn bash(&self, script: &str) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut bash = Command::new("bash");
        bash.arg("-s").env("PATH", path).env("M", self.folder.path());
        // What a connection may bring along.
        bash.env("https_proxy", "http://profile").env("No_Proxy", "profile");
        let input = self.path("input.sh");
        fs::write(&input, script).unwrap();
        bash.stdin(Stdio::from(fs::File::open(input).unwrap())).output().unwrap()
    }

    pub(crate) fn launch(&self, order: &UnitOrder) -> Result<(), Finding> {
        self.launch_with(order, &self.settings())
    }

    pub(crate) fn launch_with(&self, order: &UnitOrder, settings: &ScriptSettings) -> Result<(), Finding> {
        let output = self.bash(&launcher(order, settings).unwrap());
        launch_answer(
            &order.node.name,
            &String::from_utf8_lossy(&output.stdout),
            &String::from_utf8_lossy(&output.stderr),
        )
    }

    /// What the ledger says of a token, of one that others have followed too: no run asks for such a one again.
    pub(crate) fn ledger(&self, order: &UnitOrder) -> Progress {
        let order = LedgerOrder { node: order.node.clone(), token: order.token.clone() };
        let output = self.bash(&reader(&order, &self.settings()).unwrap());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let said: String = String::from_utf8_lossy(&output.stdout)
            .split_inclusive('\n')
            .map(|line| if line.starts_with("sequence ") { "sequence 0\n" } else { line })
            .collect();
        parse(&said, &order).unwrap_or_else(|finding| panic!("{finding}\n{errors}"))
    }

    /// How the unit ended: its code and the end of its output.
    pub(crate) fn ended(&self, order: &UnitOrder) -> (i32, String) {
        match self.ledger(order) {
            Progress::Ended { code, output, .. } => (code, output),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn calls(&self, of: &str) -> Vec<String> {
        self.read("calls").lines().filter(|line| line.starts_with(of)).map(str::to_owned).collect()
    }
}

pub(crate) fn token(sequence: u64) -> Token {
    format!("{RUN}.{sequence}.1.00ff00ff00ff00ff").parse().unwrap()
}

pub(crate) fn order(kind: UnitKind, sequence: u64) -> UnitOrder {
    UnitOrder {
        node: NodeTarget {
            name: "w-1".into(),
            addresses: vec!["10.0.0.1".to_owned()],
            machine_id: "abc123".to_owned(),
        },
        kind,
        token: token(sequence),
        target: "v1.36.3".parse().unwrap(),
        generation: 7,
        manifests: LookedAt::default(),
        proof: Proof { token: token(sequence), checked_at: "2026-11-21T09:00:00.5Z".parse().unwrap() },
    }
}

pub(crate) fn refused(result: Result<(), Finding>) -> Reason {
    result.unwrap_err().reason
}

/// What kubeadm makes of the manifests.
pub(crate) const WRITES_MANIFESTS: &str = r#"
case "$2 ${3-}" in "apply -y" | "node "*) sed -i '/image:/ s/:v[^:]*$/:v1.36.3/' "$M"/etc/kubernetes/manifests/*.yaml ;; esac
"#;

pub(crate) fn parse_survey(text: &str) -> Result<NodeSurvey, String> {
    survey_answer(text, jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::now())
}

/// What a survey that asks for nothing else says of the machine.
pub(crate) fn surveyed(machine: &Machine) -> NodeSurvey {
    parse_survey(&String::from_utf8_lossy(&machine.bash(&survey_script(machine)).stdout)).unwrap()
}

pub(crate) fn survey_script(machine: &Machine) -> String {
    let node = order(UnitKind::Prepare, 1).node;
    let order = SurveyOrder {
        nodes: vec![node.clone()],
        target: "v1.36.3".parse().unwrap(),
        kubeadm_on: None,
        manifests_on: vec![],
        with_packages: false,
    };
    let run = lockkeeper_rules::words::name::RunUid(RUN.to_owned());
    survey(&order, &node, &run, &machine.settings()).unwrap()
}

/// The manifests as a look finds them.
pub(crate) fn looked_at(machine: &Machine) -> LookedAt {
    looked_at_with(machine, &machine.settings())
}

pub(crate) fn looked_at_with(machine: &Machine, settings: &ScriptSettings) -> LookedAt {
    let ManifestSurvey { files, inputs, .. } = manifest_survey(machine, settings);
    let files = files.into_iter().map(|file| (file.component, file.sha256));
    LookedAt { version: None, files: files.collect(), inputs }
}

/// What the installed kubeadm of this machine says of its manifests.
pub(crate) fn manifest_survey(machine: &Machine, settings: &ScriptSettings) -> ManifestSurvey {
    let node = order(UnitKind::Prepare, 1).node;
    let target = "v1.36.3".parse().unwrap();
    let manifests_on = vec![node.name.clone()];
    let order = SurveyOrder {
        nodes: vec![node.clone()],
        target,
        kubeadm_on: None,
        manifests_on,
        with_packages: false,
    };
    let run = lockkeeper_rules::words::name::RunUid(RUN.to_owned());
    let output = machine.bash(&survey(&order, &node, &run, settings).unwrap());
    let stdout = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(fs::read_dir(machine.path("var/tmp")).unwrap().next().is_none(), "nothing is left behind");
    parse_survey(&stdout).unwrap_or_else(|error| panic!("{error}\n{stdout}\n{errors}")).manifests.unwrap()
}

impl Machine {
    /// A machine whose etcd tools are in etcd's container only.
    pub(crate) fn with_etcd_in_a_container() -> Self {
        let machine = Self::new();
        for folder in ["container", "var/lib/etcd", "mnt/backup"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        for name in ["etcdctl", "etcdutl"] {
            fs::rename(machine.path(&format!("bin/{name}")), machine.path(&format!("container/{name}")))
                .unwrap();
        }
        machine.write("containers", "c1 etcd kube-system\n");
        // As crictl does it: a container has each of the labels.
        machine.stand_in(
            "crictl",
            r#"
name=. namespace=.
for word; do
    case $word in
        io.kubernetes.container.name=*) name=${word#*=} ;;
        io.kubernetes.pod.namespace=*) namespace=${word#*=} ;;
    esac
done
case $1 in
    ps) sed -nE "s/^(\S+) $name $namespace$/\1/p" "$M/containers" ;;
    exec) [ "$2" = c1 ]; shift 2; PATH="$M/container:$PATH" "$@" ;;
esac
"#,
        );
        machine
    }

    /// The settings of a site that wants a copy of each snapshot.
    pub(crate) fn copying(&self) -> ScriptSettings {
        let etcd = EtcdAccess { snapshot_directory: Some("/mnt/backup".to_owned()), ..EtcdAccess::default() };
        ScriptSettings { etcd, ..self.settings() }
    }

    /// The names in a folder, sorted.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}
