//! The scripts for nodes, run by a real bash in a folder, against stand-ins for what changes a machine.

#![expect(clippy::disallowed_methods, reason = "the machine under test is made of files")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use jiff::{SignedDuration, Timestamp};
use lockkeeper_rules::driver::kubeadm::ledger::parse;
use lockkeeper_rules::driver::kubeadm::node_script::{
    EtcdAccess, ScriptSettings, launch_answer, launcher, reader, restore_answer, restorer, survey,
    survey_answer, unit_name,
};
use lockkeeper_rules::driver::kubeadm::order::{
    LedgerOrder, LookedAt, NodeTarget, RestoreOrder, SurveyOrder, UnitKind, UnitOrder,
};
use lockkeeper_rules::driver::kubeadm::reading::{
    KUBELET_PACKAGE, ManifestSurvey, NodeSurvey, Packages, SYSTEMD,
};
use lockkeeper_rules::driver::kubeadm::{Environment, Exception, KubeadmSettings};
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::gate::Proof;
use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::words::name::Token;

const RUN: &str = "0b9f3c6e-1111-4222-8333-444455556666";

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

struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
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
    fn stand_in(&self, name: &str, text: &str) {
        self.write(
            &format!("bin/{name}"),
            &format!("#!/bin/bash\nset -eu\necho \"{name} $*\" >>\"$M/calls\"\n{text}\n"),
        );
        fs::set_permissions(self.path(&format!("bin/{name}")), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn settings(&self) -> ScriptSettings {
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
    fn site(&self) -> ScriptSettings {
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

    fn bash(&self, script: &str) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut bash = Command::new("bash");
        bash.arg("-s").env("PATH", path).env("M", self.folder.path());
        // What a connection may bring along.
        bash.env("https_proxy", "http://profile").env("No_Proxy", "profile");
        let input = self.path("input.sh");
        fs::write(&input, script).unwrap();
        bash.stdin(Stdio::from(fs::File::open(input).unwrap())).output().unwrap()
    }

    fn launch(&self, order: &UnitOrder) -> Result<(), Finding> {
        self.launch_with(order, &self.settings())
    }

    fn launch_with(&self, order: &UnitOrder, settings: &ScriptSettings) -> Result<(), Finding> {
        let output = self.bash(&launcher(order, settings).unwrap());
        launch_answer(
            &order.node.name,
            &String::from_utf8_lossy(&output.stdout),
            &String::from_utf8_lossy(&output.stderr),
        )
    }

    /// What the ledger says of a token, of one that others have followed too: no run asks for such a one again.
    fn ledger(&self, order: &UnitOrder) -> Progress {
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
    fn ended(&self, order: &UnitOrder) -> (i32, String) {
        match self.ledger(order) {
            Progress::Ended { code, output, .. } => (code, output),
            other => panic!("{other:?}"),
        }
    }

    fn calls(&self, of: &str) -> Vec<String> {
        self.read("calls").lines().filter(|line| line.starts_with(of)).map(str::to_owned).collect()
    }
}

fn token(sequence: u64) -> Token {
    format!("{RUN}.{sequence}.1.00ff00ff00ff00ff").parse().unwrap()
}

fn order(kind: UnitKind, sequence: u64) -> UnitOrder {
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

fn refused(result: Result<(), Finding>) -> Reason {
    result.unwrap_err().reason
}

#[test]
fn a_node_is_upgraded_once_and_its_holds_are_as_they_were() {
    let machine = Machine::new();
    machine.write("holds/kubelet", "");
    let order = order(UnitKind::UpgradeNode, 1);
    assert_eq!(machine.ledger(&order), Progress::Unseen);
    machine.launch(&order).unwrap();
    let (code, output) = machine.ended(&order);
    assert_eq!(code, 0, "{output}");
    let upgrades: Vec<String> = machine.calls("kubeadm upgrade");
    assert_eq!(upgrades, ["kubeadm upgrade node"]);
    assert_eq!(machine.calls("systemctl re"), ["systemctl restart kubelet"]);
    assert_eq!((machine.read("kubelet").trim(), machine.read("kubeadm").trim()), ("1.36.3", "1.36.3"));
    let holds: Vec<String> = ["kubeadm", "kubelet", "kubectl"]
        .into_iter()
        .filter(|package| machine.path(&format!("holds/{package}")).exists())
        .map(str::to_owned)
        .collect();
    assert_eq!(holds, ["kubelet"]);
    let ledger = machine.read("var/lib/lockkeeper/ledger");
    assert!(
        ledger.contains(&format!("{} 7 upgrade-node v1.36.3 2026-11-21T09:00:00.5Z .\n", order.token)),
        "{ledger}"
    );
}

/// Disks of which only the one with this path is small: files say how many MiB are free there, and what of its inodes.
fn small_disk(path: &str) -> String {
    format!(
        r#"free=999999 inodes="999999 999998"
case "$*" in *{path}) free=$(cat "$M/free") inodes=$(cat "$M/inodes" 2>/dev/null || echo "$inodes") ;; esac
[ "$free" != broken ] || exit 1
echo Avail
case $* in *--output=avail*) echo "$((free * 1024))" ;; *) echo "$inodes" ;; esac"#
    )
}

#[test]
fn prepare_fills_no_place_that_has_no_room_whatever_is_mounted_there() {
    for place in [
        "/var/lib",
        "/var/lib/containerd",
        "/var/lib/kubelet",
        "/var/lib/dpkg",
        "/var/cache/apt",
        "/usr",
        "/etc/kubernetes",
    ] {
        let machine = Machine::new();
        fs::create_dir_all(machine.path(&place[1..])).unwrap();
        machine.stand_in("df", &small_disk(place));
        let settings = ScriptSettings { disk_free_mib_min: 100, ..machine.settings() };
        for (sequence, free, inodes, has_room) in [
            (1, "99", "999999 999998", false),
            (2, "100", "999999 999998", true),
            (3, "100", "999999 999", false),
            // As a btrfs says it.
            (4, "100", "0 0", true),
            // One that cannot be measured is no good one, and hides no other.
            (5, "broken", "999999 999998", false),
        ] {
            machine.write("free", free);
            machine.write("inodes", inodes);
            let order = order(UnitKind::Prepare, sequence);
            machine.launch_with(&order, &settings).unwrap();
            let is_refused = machine.ledger(&order) == Progress::Refused(Reason::DiskTooSmall);
            assert_eq!(is_refused, !has_room, "{place} {free} {inodes}: {:?}", machine.ledger(&order));
            // A survey says the same of it, and where.
            let said = surveyed(&machine);
            assert_eq!(said.disk_free_mib >= 100, has_room, "{said:?}");
            let shown = if inodes.ends_with(" 999") {
                format!("{place}, which has 999 inodes")
            } else {
                place.to_owned()
            };
            assert!(said.disk_place.starts_with(&shown), "{said:?}");
        }
    }
}

#[test]
fn etcds_own_volume_needs_room_for_its_data_twice() {
    let machine = Machine::new();
    machine.write("etc/kubernetes/manifests/etcd.yaml", "    - etcd\n    - --data-dir=/data/etcd\n");
    fs::create_dir_all(machine.path("data/etcd/member")).unwrap();
    machine.write("data/etcd/member/db", &"x".repeat(3 << 20));
    machine.stand_in("df", &small_disk("/data/etcd"));
    // It is counted in whole MiB, of which the folders take a part.
    for (free, has_room) in [("7", false), ("8", true), ("broken", false)] {
        machine.write("free", free);
        let said = surveyed(&machine);
        assert_eq!(said.disk_free_mib > 0, has_room, "{free} {said:?}");
        assert!(has_room || said.disk_place.contains("etcd"), "{said:?}");
    }
}

#[test]
fn prepare_pulls_no_image_where_the_one_before_has_left_no_room() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("var/lib/containerd")).unwrap();
    machine.stand_in("df", &small_disk("/var/lib/containerd"));
    machine.write("free", "100");
    machine.stand_in("crictl", "echo 99 >\"$M/free\"");
    let settings = ScriptSettings { disk_free_mib_min: 100, ..machine.site() };
    let order = order(UnitKind::Prepare, 1);
    machine.launch_with(&order, &settings).unwrap();
    let (code, output) = machine.ended(&order);
    assert!(code != 0 && output.contains("99 MiB would be free in /var/lib/containerd"), "{output}");
    assert_eq!(machine.calls("crictl"), ["crictl pull registry.example/agent:v1"]);
}

#[test]
fn kubeadms_copy_of_etcd_needs_room_beside_what_must_stay_free() {
    let machine = Machine::new();
    for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
        let text = format!("spec:\n    image: registry.k8s.io/{component}:v1.36.1\n");
        machine.write(&format!("etc/kubernetes/manifests/{component}.yaml"), &text);
    }
    machine.write("etc/kubernetes/manifests/etcd.yaml", "    - etcd\n    - --data-dir=/data/etcd\n");
    fs::create_dir_all(machine.path("data/etcd/member")).unwrap();
    machine.write("data/etcd/member/db", &"x".repeat(3 << 20));
    machine.write("on-kubeadm", WRITES_MANIFESTS);
    let settings = ScriptSettings { disk_free_mib_min: 100, ..machine.settings() };
    let manifests = looked_at(&machine);
    machine.stand_in("df", &small_disk("/etc/kubernetes"));
    let launch = |sequence, free: &str| {
        machine.write("free", free);
        let order = UnitOrder { manifests: manifests.clone(), ..order(UnitKind::UpgradeFirst, sequence) };
        machine.launch_with(&order, &settings).unwrap();
        machine.ledger(&order)
    };
    for (sequence, free) in [(1, "102"), (2, "")] {
        assert_eq!(launch(sequence, free), Progress::Refused(Reason::DiskTooSmall), "{free:?}");
    }
    assert!(machine.calls("apt-get").is_empty());
    // So is it told before the node is drained.
    machine.write("free", "102");
    let said = surveyed(&machine);
    assert!(said.disk_free_mib < 100 && said.disk_place.starts_with("/etc/kubernetes, "), "{said:?}");
    assert!(matches!(launch(3, "104"), Progress::Ended { code: 0, .. }));
    // What kubeadm has done it does not do again.
    machine.write("free", "100");
    assert_eq!(surveyed(&machine).disk_free_mib, 100);
    // Data that nobody can measure may take all.
    machine.write("var/lib/lockkeeper/ledger", "");
    machine.write("etc/kubernetes/manifests/etcd.yaml", "    - --data-dir=/elsewhere\n");
    assert_eq!(surveyed(&machine).disk_free_mib, 0);
    fs::remove_file(machine.path("etc/kubernetes/manifests/etcd.yaml")).unwrap();
    assert_eq!(surveyed(&machine).disk_free_mib, 100, "an etcd elsewhere is not copied");
}

/// What kubeadm makes of the manifests.
const WRITES_MANIFESTS: &str = r#"
case "$2 ${3-}" in "apply -y" | "node "*) sed -i '/image:/ s/:v[^:]*$/:v1.36.3/' "$M"/etc/kubernetes/manifests/*.yaml ;; esac
"#;

#[test]
fn a_kubeadm_that_ends_well_and_leaves_a_manifest_behind_gets_no_newer_kubelet() {
    for kind in [UnitKind::UpgradeFirst, UnitKind::UpgradeNode] {
        let machine = Machine::new();
        for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            let text = format!("spec:\n    image: registry.k8s.io/{component}:v1.36.1\n");
            machine.write(&format!("etc/kubernetes/manifests/{component}.yaml"), &text);
        }
        let order = |sequence| UnitOrder { manifests: looked_at(&machine), ..order(kind, sequence) };
        machine.write(
            "on-kubeadm",
            &format!("{WRITES_MANIFESTS}sed -i s/1.36.3/1.36.1/ \"$M/etc/kubernetes/manifests/kube-scheduler.yaml\"\n"),
        );
        let first = order(1);
        machine.launch(&first).unwrap();
        let (code, output) = machine.ended(&first);
        assert_eq!(code, 1, "{output}");
        assert!(output.contains("the manifest of kube-scheduler is not at v1.36.3"), "{output}");
        assert!(machine.calls("systemctl restart").is_empty() && machine.read("kubelet").trim() == "1.36.1");
        assert!(!machine.read("var/lib/lockkeeper/ledger").contains("did "), "kubeadm's part is not done");
        // With a digest behind the version, as patches may put it.
        machine.write(
            "on-kubeadm",
            &format!(
                "{WRITES_MANIFESTS}sed -i '/image:/ s/3$/3@sha256:0a/' \"$M\"/etc/kubernetes/manifests/*\n"
            ),
        );
        let second = order(2);
        machine.launch(&second).unwrap();
        assert_eq!(machine.ended(&second).0, 0, "{:?}", machine.ended(&second));
        assert_eq!(machine.read("kubelet").trim(), "1.36.3");
    }
}

#[test]
fn the_first_control_plane_node_applies() {
    let machine = Machine::new();
    let order = order(UnitKind::UpgradeFirst, 1);
    machine.launch(&order).unwrap();
    assert_eq!(machine.calls("kubeadm upgrade"), ["kubeadm upgrade apply -y v1.36.3"]);
}

/// What kubeadm was given: the file, once it has said which, and the variables that matter to it.
const LOOK: &str = r#"
env | grep -i -e _proxy= -e ^SSL_CERT_FILE -e DRYRUN >>"$M/environment" || true
for word; do if [ "${last-}" = --config ]; then cat "$word" >"$M/configuration"; fi; last=$word; done
"#;

#[test]
fn what_the_site_tells_kubeadm_reaches_it_as_it_is_written() {
    let config = |machine: &Machine| {
        format!("--config {}/var/lib/lockkeeper/upgrade-configuration.yaml", machine.settings().root)
    };
    for (kind, of, called) in [
        (UnitKind::UpgradeFirst, "apply", "kubeadm upgrade apply -y CONFIG v1.36.3"),
        (UnitKind::UpgradeNode, "node", "kubeadm upgrade node CONFIG"),
    ] {
        let machine = Machine::new();
        machine.write("on-kubeadm", LOOK);
        fs::create_dir_all(machine.path("etc/kubernetes/patches")).unwrap();
        let order = order(kind, 1);
        machine.launch_with(&order, &machine.site()).unwrap();
        assert_eq!(machine.ended(&order).0, 0, "{:?}", machine.ended(&order));
        assert_eq!(machine.calls("kubeadm upgrade"), [called.replace("CONFIG", &config(&machine))]);
        let read: serde_json::Value =
            lockkeeper_rules::words::yaml::read(&machine.read("configuration")).unwrap();
        assert_eq!(read[of]["ignorePreflightErrors"], serde_json::json!(["SystemVerification", "Mem"]));
        let patches = format!("{}/etc/kubernetes/patches", machine.settings().root);
        assert_eq!(read[of]["patches"]["directory"], patches);
        let environment = machine.read("environment");
        let environment: std::collections::BTreeSet<&str> = environment.lines().collect();
        assert_eq!(environment, ["HTTPS_PROXY=http://u:p'w$(id)@proxy", "SSL_CERT_FILE=/etc/ca.crt"].into());
    }
}

#[test]
fn an_older_kubeadm_is_told_by_flags() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("etc/kubernetes/patches")).unwrap();
    let old = |kind, sequence| UnitOrder { target: "v1.31.4".parse().unwrap(), ..order(kind, sequence) };
    // The machine's apt has one version only; kubeadm is there already.
    machine.write("kubeadm", "1.31.4\n");
    machine.write("kubelet", "1.31.4\n");
    machine.launch_with(&old(UnitKind::UpgradeFirst, 1), &machine.site()).unwrap();
    let patches = format!("--patches={}/etc/kubernetes/patches", machine.settings().root);
    let ignore = "--ignore-preflight-errors=SystemVerification,Mem";
    assert_eq!(
        machine.calls("kubeadm upgrade"),
        [format!(
            "kubeadm upgrade apply -y {ignore} {patches} --skip-phases=addon/coredns,bootstrap-token v1.31.4"
        )]
    );
    let mut other = old(UnitKind::UpgradeNode, 2);
    other.token.run.0 = "another-run".to_owned();
    machine.launch_with(&other, &machine.site()).unwrap();
    assert_eq!(machine.calls("kubeadm upgrade node"), [format!("kubeadm upgrade node {ignore} {patches}")]);
}

#[test]
fn more_images_are_fetched_ahead_on_every_node() {
    let machine = Machine::new();
    let order = order(UnitKind::Prepare, 1);
    machine.launch_with(&order, &machine.site()).unwrap();
    assert_eq!(machine.ended(&order).0, 0, "{:?}", machine.ended(&order));
    assert_eq!(
        machine.calls("crictl"),
        ["crictl pull registry.example/agent:v1", "crictl pull registry.example/dns:v2"]
    );
    assert!(machine.calls("kubeadm config").is_empty(), "a worker needs none of the control plane's");
}

#[test]
fn a_unit_that_starts_or_ends_while_it_is_asked_for_is_not_called_gone() {
    let fact = |fact: &str| {
        let line = format!("{fact} 1763717000 {} 7 upgrade-node v1.36.3 x .", token(1));
        format!("echo '{line}' >>\"$M/var/lib/lockkeeper/ledger\"\n")
    };
    let (start, exit) = (fact("start"), fact("exit").replace(" 7 ", " 0 "));
    // What systemd says the first time, with what happens right after it, and what it says then.
    let running = "load=loaded active=active sub=running\n";
    let begins = format!("if [ -e \"$M/asked\" ]; then {running}else : >\"$M/asked\"; {start}fi\n");
    let ends = format!(
        "if [ -e \"$M/asked\" ]; then load=loaded active=active sub=exited\nelse : >\"$M/asked\"; {running}{exit}fi\n"
    );
    for (before, on_show, is_over) in [("", &begins, false), (&*start, &ends, true)] {
        let machine = Machine::new();
        fs::create_dir_all(machine.path("var/lib/lockkeeper")).unwrap();
        machine.bash(before);
        machine.write("on-show", on_show);
        match machine.ledger(&order(UnitKind::UpgradeNode, 1)) {
            Progress::Started { alive: true, .. } => assert!(!is_over),
            Progress::Ended { code: 0, .. } => assert!(is_over),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_ledger_that_never_stands_still_is_no_answer() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("var/lib/lockkeeper")).unwrap();
    machine.write(
        "on-show",
        &format!("echo \"did $RANDOM {} kubeadm v1.36.3 .\" >>\"$M/var/lib/lockkeeper/ledger\"\n", token(1)),
    );
    let UnitOrder { node, token, .. } = order(UnitKind::UpgradeNode, 1);
    let order = LedgerOrder { node, token };
    let output = machine.bash(&reader(&order, &machine.settings()).unwrap());
    let answer = parse(&String::from_utf8_lossy(&output.stdout), &order);
    assert_eq!(answer.unwrap_err().reason, Reason::LedgerUnreadable);
}

#[test]
fn a_token_is_never_started_twice() {
    let machine = Machine::new();
    let order = order(UnitKind::UpgradeNode, 1);
    machine.launch(&order).unwrap();
    assert_eq!(refused(machine.launch(&order)), Reason::TokenAlreadySeen);
    // After a restart of the machine systemd has forgotten the unit; the ledger has not.
    fs::remove_file(machine.path("units").join(unit_name(&order.token))).unwrap();
    assert_eq!(refused(machine.launch(&order)), Reason::TokenAlreadySeen);
    assert_eq!(machine.calls("kubeadm upgrade").len(), 1);
    assert_eq!(machine.ended(&order).0, 0, "the refusal hides nothing");
}

#[test]
fn the_unit_itself_refuses_what_the_launcher_let_through() {
    let machine = Machine::new();
    let order = order(UnitKind::UpgradeNode, 1);
    machine.launch(&order).unwrap();
    // A launcher that was cut after its checks and goes on now: the unit's script is all that stands in the way.
    let script = machine.path(&format!("var/lib/lockkeeper/{}.sh", order.token));
    let again = machine.bash(&format!("bash {}", script.display()));
    assert_eq!(again.status.code(), Some(65));
    assert_eq!(machine.calls("kubeadm upgrade").len(), 1);
    machine.write("etc/machine-id", "def456\n");
    let before = machine.read("var/lib/lockkeeper/ledger");
    assert_eq!(machine.bash(&format!("bash {}", script.display())).status.code(), Some(65));
    assert_eq!(
        machine.read("var/lib/lockkeeper/ledger"),
        before,
        "another machine's ledger is not written to"
    );
}

#[test]
fn a_token_that_is_behind_the_newest_of_its_run_is_refused() {
    let machine = Machine::new();
    let late = order(UnitKind::UpgradeNode, 9);
    let script = launcher(&late, &machine.settings()).unwrap();
    machine.launch(&order(UnitKind::Prepare, 10)).unwrap();
    assert_eq!(refused(machine.launch(&late)), Reason::StateWentBackwards, "9 is lower than 10, not higher");
    assert_eq!(machine.ledger(&late), Progress::Unseen);
    // The unit asks again under the lock: what is newer may have come between.
    let path = machine.path("late.sh");
    let unit = script.split_once("LOCKKEEPER_END_OF_UNIT'\n").unwrap().1;
    fs::write(&path, unit.split_once("\nLOCKKEEPER_END_OF_UNIT\n").unwrap().0).unwrap();
    machine.bash(&format!("bash {}", path.display()));
    assert_eq!(machine.ledger(&late), Progress::Refused(Reason::StateWentBackwards));
    // A token that was refused counts too, and another run has a count of its own.
    let busy = format!("refuse 1763717000 {} node_busy .\n", token(12));
    let ledger = machine.read("var/lib/lockkeeper/ledger");
    machine.write("var/lib/lockkeeper/ledger", &format!("{ledger}{busy}"));
    assert_eq!(refused(machine.launch(&order(UnitKind::Prepare, 11))), Reason::StateWentBackwards);
    let mut other = order(UnitKind::Prepare, 1);
    other.token.run.0 = "another-run".to_owned();
    assert_eq!(machine.launch(&other), Ok(()));
}

#[test]
fn a_lower_generation_is_refused_and_the_same_or_a_higher_is_not() {
    let machine = Machine::new();
    machine.launch(&order(UnitKind::UpgradeNode, 1)).unwrap();
    for (sequence, generation, expected) in
        [(2, 6, Err(Reason::GenerationTooOld)), (3, 7, Ok(())), (4, 10, Ok(()))]
    {
        let order = UnitOrder { generation, ..order(UnitKind::UpgradeNode, sequence) };
        assert_eq!(machine.launch(&order).map_err(|finding| finding.reason), expected, "{generation}");
    }
    let order = UnitOrder { generation: 9, ..order(UnitKind::UpgradeNode, 5) };
    assert_eq!(refused(machine.launch(&order)), Reason::GenerationTooOld, "9 is lower than 10, not higher");
}

#[test]
fn a_unit_that_comes_when_its_check_is_worth_nothing_any_more_is_refused() {
    for (age_seconds, expected) in [(0, Ok(())), (12, Err(Reason::CheckExpired))] {
        let machine = Machine::new();
        let mut order = order(UnitKind::UpgradeNode, 1);
        order.proof.checked_at = Timestamp::now() - SignedDuration::from_secs(age_seconds);
        let product =
            ScriptSettings::new(&Settings::default(), EtcdAccess::default(), KubeadmSettings::default());
        let settings = ScriptSettings { root: machine.settings().root, ..product };
        let output = machine.bash(&launcher(&order, &settings).unwrap());
        let answer = launch_answer(&order.node.name, &String::from_utf8_lossy(&output.stdout), "");
        assert_eq!(answer.map_err(|finding| finding.reason), expected, "{age_seconds} s");
        // A launcher that was under way for long after its own look: the unit looks again.
        let script = machine.path(&format!("var/lib/lockkeeper/{}.sh", order.token));
        if expected.is_ok() {
            let text = fs::read_to_string(&script).unwrap();
            let old = text.replace(
                &format!("not_after='{}'", order.proof.checked_at.as_second() + 10),
                "not_after='1'",
            );
            assert!(old != text, "it carries its last moment");
            machine.write("var/lib/lockkeeper/ledger", "");
            machine.bash(&old);
            assert_eq!(machine.ledger(&order), Progress::Refused(Reason::CheckExpired));
        }
    }
}

#[test]
fn on_another_machine_nothing_is_written() {
    let machine = Machine::new();
    machine.write("etc/machine-id", "def456\n");
    assert_eq!(refused(machine.launch(&order(UnitKind::UpgradeNode, 1))), Reason::MachineIdMismatch);
    assert!(!machine.path("var/lib/lockkeeper").exists());
    machine.write("etc/machine-id", "");
    assert_eq!(refused(machine.launch(&order(UnitKind::UpgradeNode, 1))), Reason::MachineIdMismatch);
}

#[test]
fn while_a_unit_works_no_other_is_started() {
    let machine = Machine::new();
    let first = order(UnitKind::UpgradeNode, 1);
    for (name, sequence) in [("same", 1), ("other", 2)] {
        let text = launcher(&order(UnitKind::UpgradeNode, sequence), &machine.settings()).unwrap();
        machine.write(name, &text);
    }
    machine.write("on-kubeadm", "for i in same other; do bash -s <\"$M/$i\" >\"$M/$i.answer\" 2>&1; done\n");
    machine.launch(&first).unwrap();
    assert_eq!(machine.ended(&first).0, 0);
    assert_eq!(machine.read("same.answer"), "refused token_already_seen\n");
    assert_eq!(machine.read("other.answer"), "refused node_busy\n");
}

#[test]
fn a_unit_that_is_killed_at_work_is_started_and_dead() {
    let machine = Machine::new();
    let first = order(UnitKind::UpgradeNode, 1);
    machine.write(
        "on-kubeadm",
        "work=$PPID; timeout=$(ps -o ppid= -p $work); unit=$(ps -o ppid= -p $timeout); kill -9 $unit $timeout $work $$\n",
    );
    machine.launch(&first).unwrap();
    assert!(
        matches!(machine.ledger(&first), Progress::Started { alive: false, .. }),
        "{:?}",
        machine.ledger(&first)
    );
    assert!(
        machine.path("var/lib/lockkeeper/holds").exists(),
        "the holds as found are kept for the next attempt"
    );
    fs::remove_file(machine.path("on-kubeadm")).unwrap();
    let second = order(UnitKind::UpgradeNode, 2);
    machine.launch(&second).unwrap();
    assert_eq!(machine.ended(&second).0, 0);
    assert!(fs::read_dir(machine.path("holds")).unwrap().next().is_none(), "nothing was held before");
    assert_eq!(machine.calls("apt-get").iter().filter(|call| call.contains("install kubeadm=")).count(), 1);
}

#[test]
fn holds_that_a_dead_unit_of_another_run_has_left_are_not_believed() {
    let machine = Machine::new();
    machine.write(
        "on-kubeadm",
        "work=$PPID; timeout=$(ps -o ppid= -p $work); unit=$(ps -o ppid= -p $timeout); kill -9 $unit $timeout $work $$\n",
    );
    machine.launch(&order(UnitKind::UpgradeNode, 1)).unwrap();
    assert!(machine.path("var/lib/lockkeeper/holds").exists());
    fs::remove_file(machine.path("on-kubeadm")).unwrap();
    // A person finishes the node and holds all three.
    for package in ["kubeadm", "kubelet", "kubectl"] {
        machine.write(&format!("holds/{package}"), "");
    }
    let mut other = order(UnitKind::UpgradeNode, 1);
    other.token.run.0 = "another-run".to_owned();
    machine.launch(&other).unwrap();
    assert_eq!(machine.names("holds"), ["kubeadm", "kubectl", "kubelet"]);
    assert!(!machine.path("var/lib/lockkeeper/holds").exists());
}

#[test]
fn what_units_leave_is_bounded_and_the_ledger_is_never_cut() {
    let machine = Machine::new();
    machine.write(
        "on-kubeadm",
        "if [ \"$2\" = node ]; then head -c 3000000 /dev/zero | tr '\\0' x; echo; echo the end; fi\n",
    );
    // What dead units and looks have left half done.
    let dead = [
        "var/lib/lockkeeper/prepare.x/kubeadm",
        "var/lib/lockkeeper/snapshots/old.part",
        "var/lib/etcd/lockkeeper-old.part.part",
    ];
    for name in dead.iter().chain(&[
        "var/lib/lockkeeper/late.sh.new",
        "var/tmp/lockkeeper.x/kubeadm",
        "var/lib/etcd/member",
    ]) {
        fs::create_dir_all(machine.path(name).parent().unwrap()).unwrap();
        machine.write(name, "x");
    }
    for name in ["var/lib/lockkeeper/late.sh.new", "var/tmp/lockkeeper.x"] {
        Command::new("touch").args(["-d", "2 days ago"]).arg(machine.path(name)).status().unwrap();
    }
    let count = 24;
    for sequence in 1..=count {
        let kind = if sequence == count { UnitKind::UpgradeNode } else { UnitKind::Prepare };
        machine.launch(&order(kind, sequence)).unwrap();
    }
    let left = |end: &str| {
        let names = fs::read_dir(machine.path("var/lib/lockkeeper")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(end)).count()
    };
    assert_eq!((left(".sh"), left(".log"), left(".new")), (20, 20, 0));
    assert!(dead.iter().all(|name| !machine.path(name).exists()), "nobody's any more");
    assert!(machine.path("var/lib/etcd/member").exists(), "not ours");
    let log = machine.read(&format!("var/lib/lockkeeper/{}.log", token(count)));
    assert!(log.len() == 1 << 20 && log.ends_with("the end\n"), "{} bytes", log.len());
    // The ledger knows them all, and each is refused as ever, although systemd has forgotten the oldest.
    let ledger = machine.read("var/lib/lockkeeper/ledger");
    assert_eq!(ledger.lines().filter(|line| line.starts_with("start ")).count() as u64, count);
    let forgotten: Vec<String> =
        (1..=count - 20).map(|sequence| format!("systemctl stop {}", unit_name(&token(sequence)))).collect();
    assert_eq!(machine.calls("systemctl stop"), forgotten);
    assert_eq!(machine.ended(&order(UnitKind::Prepare, 1)).0, 0);
    assert_eq!(refused(machine.launch(&order(UnitKind::Prepare, 1))), Reason::TokenAlreadySeen);
    manifest_survey(&machine, &machine.settings());
}

#[test]
fn a_unit_of_which_no_end_is_known_stays_in_systemds_mind() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("var/lib/lockkeeper")).unwrap();
    machine.write(
        "var/lib/lockkeeper/ledger",
        &format!("start 1763717000 {} 7 prepare v1.36.3 x .\n", token(1)),
    );
    machine.write(&format!("var/lib/lockkeeper/{}.sh", token(1)), "");
    for sequence in 2..=21 {
        machine.launch(&order(UnitKind::Prepare, sequence)).unwrap();
    }
    assert!(!machine.path(&format!("var/lib/lockkeeper/{}.sh", token(1))).exists());
    assert!(machine.calls("systemctl stop").is_empty());
}

#[test]
fn a_kubeadm_that_fails_leaves_the_kubelet_alone_and_gives_the_holds_back() {
    let machine = Machine::new();
    machine.write("holds/kubeadm", "");
    machine.write("on-kubeadm", "echo '[ERROR CreateJob]: no' >&2; exit 1\n");
    let first = order(UnitKind::UpgradeFirst, 1);
    machine.launch(&first).unwrap();
    let (code, output) = machine.ended(&first);
    assert_eq!(code, 1);
    assert!(output.contains("[ERROR CreateJob]: no"), "{output}");
    assert!(machine.calls("systemctl restart").is_empty() && machine.read("kubelet").trim() == "1.36.1");
    assert!(machine.path("holds/kubeadm").exists() && !machine.path("holds/kubelet").exists());
}

#[test]
fn what_is_done_is_not_done_again_by_the_next_attempt_of_the_run() {
    let machine = Machine::new();
    let first = order(UnitKind::UpgradeNode, 1);
    machine.launch(&first).unwrap();
    let second = order(UnitKind::UpgradeNode, 2);
    machine.launch(&second).unwrap();
    assert_eq!(machine.ended(&second).0, 0);
    assert_eq!(machine.calls("kubeadm upgrade").len(), 1);
    assert_eq!(machine.calls("systemctl restart").len(), 1);
    // Another run has its own memory: what it finds may have been changed since.
    let mut third = order(UnitKind::UpgradeNode, 3);
    third.token.run.0 = "another-run".to_owned();
    machine.launch(&third).unwrap();
    assert_eq!(machine.calls("kubeadm upgrade").len(), 2);
}

#[test]
fn a_control_plane_whose_manifests_went_back_is_applied_again() {
    let machine = Machine::new();
    let manifests = |version: &str| {
        for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            let text = format!("spec:\n    image: registry.k8s.io/{component}:{version}\n");
            machine.write(&format!("etc/kubernetes/manifests/{component}.yaml"), &text);
        }
    };
    let look =
        |sequence| UnitOrder { manifests: looked_at(&machine), ..order(UnitKind::UpgradeFirst, sequence) };
    machine.write("on-kubeadm", WRITES_MANIFESTS);
    manifests("v1.36.3");
    machine.launch(&look(1)).unwrap();
    machine.launch(&look(2)).unwrap();
    assert_eq!(machine.calls("kubeadm upgrade apply").len(), 1);
    manifests("v1.36.1");
    machine.launch(&look(3)).unwrap();
    assert_eq!(machine.calls("kubeadm upgrade apply").len(), 2);
    assert_eq!(machine.calls("systemctl restart").len(), 2, "what kubeadm wrote is read by a restart");
}

#[test]
fn work_that_takes_too_long_is_ended_and_says_so() {
    let machine = Machine::new();
    machine.write("on-kubeadm", "sleep 60\n");
    let order = order(UnitKind::UpgradeNode, 1);
    let settings = ScriptSettings { unit_seconds_max: 1, ..machine.settings() };
    let output = machine.bash(&launcher(&order, &settings).unwrap());
    assert_eq!(output.stdout, b"started\n");
    assert_eq!(machine.ended(&order).0, 124);
    assert!(machine.calls("systemctl restart").is_empty());
}

#[test]
fn a_ledger_that_was_torn_hides_nothing_that_follows() {
    let machine = Machine::new();
    let first = order(UnitKind::UpgradeNode, 1);
    machine.launch(&first).unwrap();
    for (sequence, torn) in [(3, format!("start 1763717000 {} 9 upg", token(2))), (4, "\0\0\0".to_owned())] {
        let ledger = machine.read("var/lib/lockkeeper/ledger");
        machine.write("var/lib/lockkeeper/ledger", &format!("{ledger}{torn}"));
        let order = order(UnitKind::UpgradeNode, sequence);
        machine.launch(&order).unwrap();
        assert_eq!(machine.ended(&order).0, 0, "after {torn:?}");
        assert_eq!(refused(machine.launch(&order)), Reason::TokenAlreadySeen);
    }
    assert_eq!(
        refused(machine.launch(&order(UnitKind::UpgradeNode, 2))),
        Reason::TokenAlreadySeen,
        "a torn start counts"
    );
    assert_eq!(machine.ended(&first).0, 0);
}

#[test]
fn a_snapshot_is_reported_with_path_size_and_hash() {
    let machine = Machine::new();
    let order = order(UnitKind::Snapshot, 1);
    machine.launch(&order).unwrap();
    let Progress::Ended { code: 0, report, .. } = machine.ledger(&order) else {
        panic!("{:?}", machine.ledger(&order))
    };
    let get = |key: &str| report.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone()).unwrap();
    assert_eq!((get("hash").as_str(), get("size_bytes").as_str()), ("123456", "9"));
    assert_eq!(fs::read_to_string(get("path")).unwrap(), "snapshot\n");
}

#[test]
fn a_snapshot_that_cannot_be_verified_is_a_failure() {
    for stand_in in ["exit 1", "echo '{}'"] {
        let machine = Machine::new();
        machine.write("bin/etcdutl", &format!("#!/bin/bash\n{stand_in}\n"));
        let order = order(UnitKind::Snapshot, 1);
        machine.launch(&order).unwrap();
        assert_eq!(machine.ended(&order).0, 1, "{stand_in}");
        assert!(!machine.path(&format!("var/lib/lockkeeper/{}.report", order.token)).exists());
    }
}

#[test]
fn no_snapshot_is_taken_of_a_member_that_cannot_catch_up() {
    for machine in [Machine::new(), Machine::with_etcd_in_a_container()] {
        machine.write("lags", "");
        let order = order(UnitKind::Snapshot, 1);
        machine.launch(&order).unwrap();
        let (code, output) = machine.ended(&order);
        assert!(code == 1 && output.contains("is unhealthy"), "{code}: {output}");
        assert!(!machine.path(&format!("var/lib/lockkeeper/{}.report", order.token)).exists());
        assert!(machine.calls("etcdctl").iter().all(|call| !call.contains("snapshot save")));
    }
}

impl Machine {
    /// A machine whose etcd tools are in etcd's container only.
    fn with_etcd_in_a_container() -> Self {
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
    fn copying(&self) -> ScriptSettings {
        let etcd = EtcdAccess { snapshot_directory: Some("/mnt/backup".to_owned()), ..EtcdAccess::default() };
        ScriptSettings { etcd, ..self.settings() }
    }

    /// The names in a folder, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn a_snapshot_is_of_the_control_planes_etcd_and_of_no_other() {
    for (sequence, containers, code) in [
        (1, "c0 etcd somebodys\nc1 etcd kube-system\nc2 kube-apiserver kube-system\n", 0),
        (2, "c1 etcd kube-system\nc2 etcd kube-system\n", 1),
        (3, "c0 etcd somebodys\n", 1),
    ] {
        let machine = Machine::with_etcd_in_a_container();
        machine.write("containers", containers);
        let order = order(UnitKind::Snapshot, sequence);
        machine.launch(&order).unwrap();
        let (found, output) = machine.ended(&order);
        assert_eq!(i32::from(found != 0), code, "{containers}: {output}");
        assert_eq!(output.contains("one container etcd of kube-system must run here"), code != 0, "{output}");
        assert_eq!(machine.names("var/lib/lockkeeper/snapshots").len(), if code == 0 { 1 } else { 0 });
    }
}

/// Each place is a device of its own.
const EACH_A_DEVICE: &str = r#"case $2 in
    %d) shift 2; for place; do cksum <<<"${place#$M/}" | cut -d ' ' -f 1; done ;;
    *) exec /usr/bin/stat "$@" ;;
esac"#;

#[test]
fn a_snapshot_begins_only_where_twice_the_database_is_free() {
    // The volume that is too small: etcd's, that of the snapshots, that of the copies.
    for small in ["var/lib/etcd", "var/lib/lockkeeper/snapshots", "mnt/backup"] {
        let machine = Machine::with_etcd_in_a_container();
        let two = 2 * 20_480;
        machine.stand_in(
            "df",
            &format!(
                "shift 2; echo Avail; for place; do free=$(({two} + ${{#place}}))\n\
                 [ \"$place\" != \"$M/{small}\" ] || free=$(cat \"$M/free\"); echo \"$free\"; done"
            ),
        );
        // Each place is a filesystem of its own.
        machine.stand_in("stat", EACH_A_DEVICE);
        let snapshots = "var/lib/lockkeeper/snapshots";
        for (sequence, free) in [(1, (two - 1).to_string()), (2, String::new())] {
            machine.write("free", &free);
            let order = order(UnitKind::Snapshot, sequence);
            machine.launch_with(&order, &machine.copying()).unwrap();
            assert_eq!(
                machine.ledger(&order),
                Progress::Refused(Reason::SnapshotDiskTooSmall),
                "{small}: {free:?}"
            );
            assert!(machine.calls("crictl exec").iter().all(|call| !call.contains("snapshot save")));
        }
        machine.write("free", &two.to_string());
        let order = order(UnitKind::Snapshot, 3);
        machine.launch_with(&order, &machine.copying()).unwrap();
        assert_eq!(machine.ended(&order).0, 0, "{small}: {:?}", machine.ended(&order));
        assert_eq!((machine.names(snapshots).len(), machine.names("var/lib/etcd").len()), (1, 0));
    }
}

#[test]
fn a_unit_whose_measuring_took_too_long_does_not_begin() {
    let machine = Machine::new();
    machine.stand_in(
        "date",
        r#"if grep -q "endpoint status" "$M/calls"; then echo 99999999999; else exec /usr/bin/date "$@"; fi"#,
    );
    let order = order(UnitKind::Snapshot, 1);
    machine.launch(&order).unwrap();
    assert_eq!(machine.ledger(&order), Progress::Refused(Reason::CheckExpired));
    assert!(machine.names("var/lib/lockkeeper/snapshots").is_empty());
}

#[test]
fn what_shares_a_filesystem_needs_room_for_each_copy() {
    let machine = Machine::with_etcd_in_a_container();
    machine.stand_in("df", "shift 2; echo Avail; for place; do cat \"$M/free\"; echo; done");
    for (sequence, free, settings, is_enough) in [
        (1, 2 * 20_480, machine.settings(), true),
        (2, 3 * 20_480 - 1, machine.copying(), false),
        (3, 3 * 20_480, machine.copying(), true),
        // From here on, filesystems of one pool: etcd's and that of the snapshots are two.
        (4, 3 * 20_480 - 1, machine.settings(), false),
        (5, 3 * 20_480, machine.settings(), true),
        (6, 4 * 20_480 - 1, machine.copying(), false),
        (7, 4 * 20_480, machine.copying(), true),
    ] {
        if sequence == 4 {
            machine.stand_in("stat", EACH_A_DEVICE);
        }
        machine.write("free", &free.to_string());
        let order = order(UnitKind::Snapshot, sequence);
        machine.launch_with(&order, &settings).unwrap();
        let is_refused = machine.ledger(&order) == Progress::Refused(Reason::SnapshotDiskTooSmall);
        assert_eq!(is_refused, !is_enough, "{free}: {:?}", machine.ledger(&order));
    }
}

#[test]
fn a_snapshot_whose_room_cannot_be_measured_is_not_taken() {
    let machine = Machine::with_etcd_in_a_container();
    machine.write("database", "null");
    let order = order(UnitKind::Snapshot, 1);
    machine.launch(&order).unwrap();
    let (code, output) = machine.ended(&order);
    assert!(code != 0 && output.contains("etcd does not say how large its database is"), "{output}");
    assert!(
        machine.names("var/lib/etcd").is_empty() && machine.names("var/lib/lockkeeper/snapshots").is_empty()
    );
}

#[test]
fn a_snapshot_leaves_etcds_volume_and_a_copy_that_nobody_else_can_read() {
    let machine = Machine::with_etcd_in_a_container();
    let backup = |token: &Token| format!("lockkeeper-abc123-{token}.db");
    // What others have put there, and what a killed attempt of this machine has left.
    for name in ["lockkeeper-def456-x.db", "lockkeeper-abc123-x.db.part"] {
        machine.write(&format!("mnt/backup/{name}"), "");
    }
    for sequence in 1..=7 {
        let order = order(UnitKind::Snapshot, sequence);
        machine.launch_with(&order, &machine.copying()).unwrap();
        let Progress::Ended { code: 0, report, .. } = machine.ledger(&order) else {
            panic!("{:?}", machine.ledger(&order))
        };
        let copied = format!("mnt/backup/{}", backup(&order.token));
        let path = machine.path(&copied).display().to_string();
        assert!(report.contains(&("copied".to_owned(), path)), "{report:?}");
        for file in [copied, format!("var/lib/lockkeeper/snapshots/lockkeeper-{}.db", order.token)] {
            assert_eq!(machine.read(&file), "snapshot\n");
            let mode = fs::metadata(machine.path(&file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        assert!(machine.names("var/lib/etcd").is_empty());
    }
    let mut kept: Vec<String> = (3..=7).map(|sequence| backup(&token(sequence))).collect();
    kept.push("lockkeeper-def456-x.db".to_owned());
    assert_eq!(machine.names("mnt/backup"), kept);
    assert_eq!(machine.names("var/lib/lockkeeper/snapshots").len(), 5);
    fs::remove_dir_all(machine.path("mnt/backup")).unwrap();
    let order = order(UnitKind::Snapshot, 8);
    machine.launch_with(&order, &machine.copying()).unwrap();
    let (code, output) = machine.ended(&order);
    assert!(code == 1 && output.contains("(etcd.snapshotDirectory) is no folder on this node"), "{output}");
}

#[test]
fn prepare_fetches_and_disturbs_nothing() {
    let machine = Machine::new();
    machine.write("etc/kubernetes/manifests/kube-apiserver.yaml", "image: a:v1.35.4\n");
    for i in 0..4 {
        fs::create_dir_all(machine.path(&format!("etc/kubernetes/tmp/kubeadm-backup-etcd-{i}"))).unwrap();
    }
    let order = order(UnitKind::Prepare, 1);
    machine.launch(&order).unwrap();
    let (code, output) = machine.ended(&order);
    assert_eq!(code, 0, "{output}");
    assert_eq!(fs::read_dir(machine.path("etc/kubernetes/tmp")).unwrap().count(), 2);
    assert_eq!(machine.calls("kubeadm config").len(), 1);
    assert_eq!(machine.read("kubelet").trim(), "1.36.1");
    for call in machine.calls("apt-get").iter().filter(|call| call.contains("install")) {
        assert!(call.contains("--download-only"), "{call}");
    }
    assert!(machine.calls("systemctl re").is_empty() && machine.calls("apt-mark").is_empty());
}

/// A dpkg that is asked to mend what was cut, and what becomes of it.
fn cut_dpkg(mending: &str) -> String {
    format!(
        r#"case "$*" in *--audit) if [ -e "$M/cut" ]; then echo kubeadm; fi ;; *) env | grep ^DEBIAN_ >>"$M/dpkg-env"; {mending} ;; esac"#
    )
}

#[test]
fn packages_that_were_cut_are_mended_without_a_question_once_another_has_let_go_of_the_lock() {
    // As dpkg 1.21 says it.
    let locked =
        "echo 'dpkg: error: dpkg frontend lock was locked by another process with pid 7' >&2; exit 2";
    let mends = "dpkg --force-confdef --force-confold --configure -a";
    for (mending, code, tries) in [
        (format!("if [ \"$(grep -c ' -a$' \"$M/calls\")\" -lt 3 ]; then {locked}; fi; rm \"$M/cut\""), 0, 3),
        ("echo 'dpkg: error: broken' >&2; exit 1".to_owned(), 1, 1),
        (locked.to_owned(), 1, 60),
        // The other one may have been at work and not cut at all.
        (format!("rm \"$M/cut\"; {locked}"), 0, 1),
    ] {
        let machine = Machine::new();
        machine.stand_in("sleep", "");
        machine.write("cut", "");
        machine.write("on-dpkg", &cut_dpkg(&mending));
        let order = order(UnitKind::UpgradeNode, 1);
        let settings = ScriptSettings { unit_seconds_max: 600, ..machine.settings() };
        machine.launch_with(&order, &settings).unwrap();
        let (found, output) = machine.ended(&order);
        assert_eq!((found, machine.calls(mends).len()), (code, tries), "{mending}: {output}");
        assert_eq!(machine.calls("sleep 5").len(), if code == 0 && tries == 1 { 1 } else { tries - 1 });
        assert_eq!(machine.calls("apt-get").is_empty(), code != 0, "nothing is installed on what is broken");
        assert!(machine.read("dpkg-env").starts_with("DEBIAN_FRONTEND=noninteractive\n"));
        if tries == 60 {
            assert!(output.contains("another process has held dpkg's lock for five minutes"), "{output}");
        }
    }
}

#[test]
fn what_somebody_has_left_half_installed_is_not_finished_on_a_node_in_service() {
    for (on_sleep, code, waits) in [("", 1, 59), ("rm \"$M/cut\"", 0, 1)] {
        let machine = Machine::new();
        machine.stand_in("sleep", on_sleep);
        machine.write("cut", "");
        machine.write("on-dpkg", "echo ' containerd.io is only half configured'\n");
        let order = order(UnitKind::Prepare, 1);
        let settings = ScriptSettings { unit_seconds_max: 600, ..machine.settings() };
        machine.launch_with(&order, &settings).unwrap();
        let (found, output) = machine.ended(&order);
        assert_eq!((found, machine.calls("sleep 5").len()), (code, waits), "{output}");
        assert_eq!(output.contains("containerd.io is only half configured"), code == 1, "{output}");
        assert!(machine.calls("dpkg ").iter().all(|call| call == "dpkg --audit"), "nothing is configured");
        assert_eq!(machine.calls("apt-get").is_empty(), code == 1, "nothing is fetched on what is broken");
    }
}

/// Sources of a site that has more than Kubernetes from repositories that are numbered alike: how one is written that
/// provides kubeadm and three that do not.
const SOURCES: [(&str, &str); 2] = [
    (
        "site.list",
        "# pkgs.example\ndeb [signed-by=/k] https://u:p$w@pkgs.example/core:/stable:/v1.35/deb/ /\n\
         deb https://pkgs.example/isv:/cri-o:/stable:/v1.35/deb/ /\n\
         deb https://pkgs.example/core:/stable:/v1.35/deb-extra/ /\n\
         deb https://repo.vendor.example/v4.2/debian stable main\n",
    ),
    (
        "site.sources",
        "Types: deb\nURIs: https://pkgs.example/isv:/cri-o:/stable:/v1.35/deb/ https://u:p$w@pkgs.example/core:/stable:/v1.35/deb\n\
         Suites: /\n\nTypes: deb\nURIs: https://pkgs.example/addons:/cri-o:/stable:/v1.35/deb/\nSuites: /\n",
    ),
];

/// A machine of 1.35 with one of these.
fn machine_with(name: &str, text: &str) -> Machine {
    let machine = Machine::new();
    machine.write("kubeadm", "1.35.4\n");
    fs::create_dir_all(machine.path("etc/apt/sources.list.d")).unwrap();
    machine.write(&format!("etc/apt/sources.list.d/{name}"), text);
    machine
}

#[test]
fn prepare_switches_the_source_of_kubeadm_and_no_other() {
    for (name, text) in SOURCES {
        let machine = machine_with(name, text);
        let file = format!("etc/apt/sources.list.d/{name}");
        fs::set_permissions(machine.path(&file), fs::Permissions::from_mode(0o640)).unwrap();
        let switched = text
            .replace("p$w@pkgs.example/core:/stable:/v1.35/deb", "p$w@pkgs.example/core:/stable:/v1.36/deb");
        assert!(switched != text);
        for sequence in [1, 2] {
            let order = order(UnitKind::Prepare, sequence);
            machine.launch(&order).unwrap();
            assert_eq!(machine.ended(&order).0, 0, "{:?}", machine.ended(&order));
            assert_eq!(machine.read(&file), switched, "{sequence}");
            assert_eq!(machine.read("var/lib/lockkeeper/source/original"), text, "{sequence}");
        }
        assert_eq!(machine.names("etc/apt/sources.list.d"), [name]);
        let mode = fs::metadata(machine.path(&file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(
            machine
                .read("fetched")
                .lines()
                .any(|line| line == "https://pkgs.example/core:/stable:/v1.36/deb")
        );
        // The change of the node takes the source over.
        machine.launch(&order(UnitKind::UpgradeNode, 3)).unwrap();
        assert_eq!(machine.ended(&order(UnitKind::UpgradeNode, 3)).0, 0);
        assert_eq!(machine.read(&file), switched);
        assert!(!machine.path("var/lib/lockkeeper/source").exists());
    }
}

#[test]
fn a_source_of_the_target_or_without_a_minor_is_left_as_it_is() {
    for text in [
        "deb https://pkgs.example/core:/stable:/v1.35/deb/ /\ndeb https://pkgs.example/core:/stable:/v1.36/deb/ /\n",
        "deb https://mirror.example/core:/kubernetes stable main\ndeb https://pkgs.example/isv:/cri-o:/stable:/v1.35/deb/ /\n",
    ] {
        let machine = machine_with("site.list", text);
        let order = order(UnitKind::Prepare, 1);
        machine.launch(&order).unwrap();
        assert_eq!(machine.ended(&order).0, 0, "{:?}", machine.ended(&order));
        assert_eq!(machine.read("etc/apt/sources.list.d/site.list"), text);
        assert!(!machine.path("var/lib/lockkeeper/source").exists());
    }
}

#[test]
fn a_source_is_put_back_when_prepare_fails_or_the_node_goes_elsewhere() {
    for (name, text) in SOURCES {
        let file = format!("etc/apt/sources.list.d/{name}");
        let to = |target: &str, sequence| UnitOrder {
            target: target.parse().unwrap(),
            ..order(UnitKind::Prepare, sequence)
        };
        let machine = machine_with(name, text);
        machine.write("bin/crictl", "#!/bin/bash\nexit 1\n");
        machine.launch_with(&order(UnitKind::Prepare, 1), &machine.site()).unwrap();
        assert_eq!(machine.ended(&order(UnitKind::Prepare, 1)).0, 1);
        assert_eq!(machine.read(&file), text, "it was not prepared");
        // The run ended before this node was changed; the next one goes to a patch.
        machine.launch(&order(UnitKind::Prepare, 2)).unwrap();
        assert!(machine.read(&file) != text);
        machine.launch(&to("v1.35.9", 3)).unwrap();
        assert_eq!(
            machine.ended(&order(UnitKind::Prepare, 3)).0,
            0,
            "{:?}",
            machine.ended(&order(UnitKind::Prepare, 3))
        );
        assert_eq!(machine.read(&file), text);
        assert!(!machine.path("var/lib/lockkeeper/source").exists());
        let lists = machine.read("apt-lists/sites");
        assert!(lists.contains("/core:/stable:/v1.35/deb"), "the lists are those of it again: {lists}");
        // What a person has written since is theirs.
        machine.launch(&order(UnitKind::Prepare, 4)).unwrap();
        let by_hand = format!("# by hand\n{text}");
        machine.write(&file, &by_hand);
        machine.launch(&to("v1.35.9", 5)).unwrap();
        assert_eq!(machine.ended(&order(UnitKind::Prepare, 5)).0, 0);
        assert_eq!(machine.read(&file), by_hand);
        // A node that was brought there by hand stays there.
        machine.launch(&order(UnitKind::Prepare, 6)).unwrap();
        machine.write("kubeadm", "1.36.3\n");
        let before = machine.read(&file);
        machine.launch(&to("v1.37.0", 7)).unwrap();
        assert_eq!(machine.ended(&order(UnitKind::Prepare, 7)).0, 0);
        assert_eq!(machine.read("var/lib/lockkeeper/source/original"), before);
    }
}

/// A machine whose source a prepare has switched, the file, and its text before.
fn switched(sequence: u64) -> (Machine, &'static str, &'static str) {
    let (_, text) = SOURCES[0];
    let machine = machine_with("site.list", text);
    machine.launch(&order(UnitKind::Prepare, sequence)).unwrap();
    assert_eq!(machine.ended(&order(UnitKind::Prepare, sequence)).0, 0);
    (machine, "etc/apt/sources.list.d/site.list", text)
}

/// The order to put back what the run of [`RUN`] has switched.
fn restore(sequence: u64) -> RestoreOrder {
    let UnitOrder { node, token, generation, proof, .. } = order(UnitKind::Prepare, sequence);
    RestoreOrder { node, token, generation, at: proof.checked_at }
}

/// What the node says to it.
fn restored(machine: &Machine, order: &RestoreOrder) -> String {
    let output = machine.bash(&restorer(order, &machine.settings()).unwrap());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!said.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    said.trim_end().to_owned()
}

#[test]
fn a_source_is_put_back_byte_for_byte_and_a_prepare_that_comes_late_is_refused() {
    for (name, text) in SOURCES {
        // A file may end without a new line.
        for text in [text, text.trim_end()] {
            let machine = machine_with(name, text);
            let file = format!("etc/apt/sources.list.d/{name}");
            fs::set_permissions(machine.path(&file), fs::Permissions::from_mode(0o640)).unwrap();
            machine.launch(&order(UnitKind::Prepare, 1)).unwrap();
            assert!(machine.read(&file) != text);
            let Progress::Ended { report, .. } = machine.ledger(&order(UnitKind::Prepare, 1)) else {
                panic!("it has ended")
            };
            assert_eq!(report, [("source_switched".to_owned(), "yes".to_owned())]);
            assert_eq!(restored(&machine, &restore(3)), "restored");
            assert_eq!(machine.read(&file), text);
            let mode = fs::metadata(machine.path(&file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o640);
            assert_eq!(machine.names("etc/apt/sources.list.d"), [name]);
            assert!(!machine.path("var/lib/lockkeeper/source").exists());
            assert_eq!(
                restored(&machine, &restore(3)),
                "restored",
                "the answer was lost, and is given again"
            );
            assert_eq!(restored(&machine, &restore(4)), "nothing");
            assert_eq!(
                refused(machine.launch(&order(UnitKind::Prepare, 2))),
                Reason::StateWentBackwards,
                "it was under way all the while"
            );
            assert_eq!(machine.read(&file), text);
        }
    }
    let machine = Machine::new();
    assert_eq!(restored(&machine, &restore(1)), "nothing", "a node that no prepare has reached");
    machine.launch(&order(UnitKind::Prepare, 2)).unwrap();
    let Progress::Ended { report, .. } = machine.ledger(&order(UnitKind::Prepare, 2)) else {
        panic!("it has ended")
    };
    assert_eq!(report, [("source_switched".to_owned(), "no".to_owned())]);
}

#[test]
fn a_source_that_is_not_as_prepare_left_it_stays_as_it_is() {
    let (machine, file, text) = switched(1);
    let by_hand = format!("# by hand\n{}", machine.read(file));
    machine.write(file, &by_hand);
    assert_eq!(restored(&machine, &restore(2)), "changed");
    assert_eq!(machine.read(file), by_hand);
    assert_eq!(machine.read("var/lib/lockkeeper/source/original"), text, "for whoever wants it back");
    // As the remedy has it.
    machine.bash(
        r#"cp -p "$M/var/lib/lockkeeper/source/original" "$(cat "$M/var/lib/lockkeeper/source/path")""#,
    );
    assert_eq!(restored(&machine, &restore(3)), "nothing");
    assert_eq!(machine.read(file), text);
    assert!(!machine.path("var/lib/lockkeeper/source").exists());
    // Somebody has brought the node to the target.
    let (machine, file, _) = switched(1);
    let before = machine.read(file);
    machine.write("kubeadm", "1.36.3\n");
    assert_eq!(restored(&machine, &restore(2)), "nothing");
    assert_eq!(machine.read(file), before);
    assert!(!machine.path("var/lib/lockkeeper/source").exists());
}

#[test]
fn no_source_is_put_back_once_the_change_of_the_node_has_begun() {
    let (machine, file, text) = switched(1);
    let before = machine.read(file);
    machine.write("failing", "apt-get\n");
    machine.launch(&order(UnitKind::UpgradeNode, 2)).unwrap();
    assert!(machine.ended(&order(UnitKind::UpgradeNode, 2)).0 != 0);
    assert_eq!(machine.read("var/lib/lockkeeper/source/original"), text, "it came to nothing");
    assert_eq!(restored(&machine, &restore(3)), "begun");
    assert_eq!(machine.read(file), before);
    let finding = restore_answer(&"w-1".into(), "begun\n", "").unwrap_err();
    assert_eq!((finding.reason, finding.subject.as_str()), (Reason::SourceNotRestored, "w-1"));
}

#[test]
fn no_source_is_put_back_on_an_order_that_a_node_would_not_take_from_a_unit() {
    let (machine, file, _) = switched(5);
    let before = machine.read(file);
    let other = NodeTarget { machine_id: "other".to_owned(), ..restore(6).node };
    for (order, why) in [
        (RestoreOrder { node: other, ..restore(6) }, "machine_id_mismatch"),
        (RestoreOrder { generation: 6, ..restore(6) }, "generation_too_old"),
        (restore(4), "state_went_backwards"),
        (RestoreOrder { at: "1980-01-01T00:00:00Z".parse().unwrap(), ..restore(6) }, "check_expired"),
    ] {
        assert_eq!(restored(&machine, &order), format!("refused {why}"));
    }
    let script = restorer(&restore(6), &machine.settings()).unwrap();
    let output = machine.bash(&format!("exec 8>\"$M/var/lib/lockkeeper/lock\"\nflock 8\n{script}"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "refused node_busy\n");
    for (said, reason) in [
        ("refused node_busy\n", Reason::NodeBusy),
        ("", Reason::UnitFailed),
        ("restored no\n", Reason::UnitFailed),
    ] {
        assert_eq!(restore_answer(&"w-1".into(), said, "").unwrap_err().reason, reason, "{said:?}");
    }
    // A text that was cut does nothing.
    for end in [script.len() - 20, script.len() / 2, script.len() - script.len() / 8] {
        machine.bash(&script[..end]);
    }
    assert_eq!(machine.read(file), before);
}

#[test]
fn what_a_source_was_is_never_written_over_by_what_it_was_switched_to() {
    // Cut off before its lists came: apt knows kubeadm of another source only, that of a minor long gone.
    let (machine, file, text) = switched(1);
    let old = "deb https://old.example/core:/stable:/v1.34/deb/ /\n";
    machine.write("etc/apt/sources.list.d/old.list", old);
    machine.write("apt-lists/sites", "https://old.example/core:/stable:/v1.34/deb\n");
    machine.launch(&order(UnitKind::Prepare, 2)).unwrap();
    assert_eq!(machine.ended(&order(UnitKind::Prepare, 2)).0, 0);
    assert_eq!(machine.read("etc/apt/sources.list.d/old.list"), old);
    assert_eq!(machine.read("var/lib/lockkeeper/source/original"), text);
    assert_eq!(restored(&machine, &restore(3)), "restored");
    assert_eq!(machine.read(file), text);
}

#[test]
fn a_survey_asks_the_source_of_kubeadm_for_the_target_and_changes_none() {
    for (name, text) in SOURCES {
        for has_lists in [false, true] {
            let machine = machine_with(name, text);
            let own = "https://pkgs.example/core:/stable:/v1.35/deb\n";
            if has_lists {
                fs::create_dir_all(machine.path("apt-lists")).unwrap();
                machine.write("apt-lists/sites", own);
            }
            let node = order(UnitKind::Prepare, 1).node;
            let order = SurveyOrder {
                nodes: vec![node.clone()],
                target: "v1.36.3".parse().unwrap(),
                kubeadm_on: Some(node.name.clone()),
                manifests_on: vec![],
                with_packages: false,
            };
            let run = lockkeeper_rules::words::name::RunUid(RUN.to_owned());
            let output = machine.bash(&survey(&order, &node, &run, &machine.settings()).unwrap());
            let answer = parse_survey(&String::from_utf8_lossy(&output.stdout)).unwrap();
            assert!(answer.kubeadm.clone().unwrap().agrees, "{answer:?}");
            let fetched = machine.read("fetched");
            assert!(
                fetched.lines().any(|line| line == "https://pkgs.example/core:/stable:/v1.36/deb"),
                "{fetched}"
            );
            assert!(!fetched.contains("cri-o:/stable:/v1.36"), "{fetched}");
            assert_eq!(machine.read(&format!("etc/apt/sources.list.d/{name}")), text);
            assert_eq!(machine.read("apt-lists/sites"), if has_lists { own } else { "" });
        }
    }
}

#[test]
fn a_survey_reads_the_machine_and_asks_the_targets_kubeadm_without_a_trace() {
    let machine = Machine::new();
    machine.launch(&order(UnitKind::UpgradeNode, 4)).unwrap();
    machine.write("kubeadm", "1.36.1\n");
    let node = order(UnitKind::Prepare, 1).node;
    let target = "v1.36.3".parse().unwrap();
    let order = SurveyOrder {
        nodes: vec![node.clone()],
        target,
        kubeadm_on: Some(node.name.clone()),
        manifests_on: vec![],
        with_packages: false,
    };
    let ask = |run: &str| {
        let script = survey(
            &order,
            &node,
            &lockkeeper_rules::words::name::RunUid(run.to_owned()),
            &machine.settings(),
        )
        .unwrap();
        let output = machine.bash(&script);
        parse_survey(&String::from_utf8_lossy(&output.stdout))
            .unwrap_or_else(|error| panic!("{error}\n{}", String::from_utf8_lossy(&output.stderr)))
    };
    let found = ask(RUN);
    assert_eq!((found.machine_id.as_str(), found.ledger_sequence), ("abc123", 4));
    assert_eq!(found.booted_at.as_second(), 1_763_000_000);
    assert!(found.disk_free_mib > 0);
    let kubeadm = found.kubeadm.unwrap();
    assert!(kubeadm.agrees && found.manifests.is_none(), "{kubeadm:?}");
    assert!(machine.calls("kubeadm upgrade diff").is_empty());
    assert_eq!(machine.read("kubeadm").trim(), "1.36.1");
    assert!(fs::read_dir(machine.path("var/tmp")).unwrap().next().is_none());
    assert_eq!(ask("another-run").ledger_sequence, 0);
    machine.write("on-kubeadm", "if [ \"$2\" = plan ]; then echo 'not this one' >&2; exit 1; fi\n");
    let kubeadm = ask(RUN).kubeadm.unwrap();
    assert!(!kubeadm.agrees && kubeadm.output.contains("not this one"), "{kubeadm:?}");
    // A dry run that fails half way has printed what it would have written until then.
    let printed = "if [ \"$2\" = apply ]; then printf '%s\\n' '[dryrun] Would write' '    - --token=hunter2' '[upgrade] then'
        echo 'not that one' >&2; exit 1; fi\n";
    machine.write("on-kubeadm", printed);
    let kubeadm = ask(RUN).kubeadm.unwrap();
    assert!(!kubeadm.agrees, "{kubeadm:?}");
    assert!(kubeadm.output.ends_with("[dryrun] Would write\n[upgrade] then\nnot that one"), "{kubeadm:?}");
    machine.write("failing", "apt-get\n");
    assert!(!ask(RUN).kubeadm.unwrap().agrees, "what could not be fetched does not agree");
}

#[test]
fn a_survey_asks_kubeadm_with_what_it_will_be_told() {
    let machine = Machine::new();
    machine.write("on-kubeadm", LOOK);
    let node = order(UnitKind::Prepare, 1).node;
    let target: lockkeeper_rules::words::version::Version = "v1.36.3".parse().unwrap();
    let ask = |asks: bool| {
        let kubeadm_on = asks.then(|| node.name.clone());
        let order = SurveyOrder {
            nodes: vec![node.clone()],
            target: target.clone(),
            kubeadm_on,
            manifests_on: vec![],
            with_packages: false,
        };
        let run = lockkeeper_rules::words::name::RunUid(RUN.to_owned());
        let output = machine.bash(&survey(&order, &node, &run, &machine.site()).unwrap());
        parse_survey(&String::from_utf8_lossy(&output.stdout)).unwrap()
    };
    let found = ask(true);
    assert!(found.patches_missing && found.kubeadm.unwrap().agrees);
    let calls = machine.calls("kubeadm upgrade");
    for (call, what) in calls.iter().zip(["plan --config", "apply --dry-run -y --config"]) {
        assert!(call.starts_with(&format!("kubeadm upgrade {what} ")), "{call}");
    }
    let environment = machine.read("environment");
    let dry_run = format!("KUBEADM_UPGRADE_DRYRUN_DIR={}/var/tmp/lockkeeper.", machine.settings().root);
    assert!(environment.contains(&dry_run) && !environment.contains("profile"), "{environment}");
    assert!(fs::read_dir(machine.path("var/tmp")).unwrap().next().is_none());
    // The folder is looked for on every node, also where kubeadm is not asked.
    fs::create_dir_all(machine.path("etc/kubernetes/patches")).unwrap();
    assert!(!ask(false).patches_missing);
}

#[test]
fn no_value_of_the_environment_is_an_argument_that_everybody_can_read() {
    let machine = Machine::new();
    machine.write(
        "on-kubeadm",
        "for of in $$ $PPID; do tr '\\0' ' ' </proc/$of/cmdline; echo; done >>\"$M/seen\"\n",
    );
    fs::create_dir_all(machine.path("etc/kubernetes/patches")).unwrap();
    manifest_survey(&machine, &machine.site());
    machine.launch_with(&order(UnitKind::UpgradeNode, 1), &machine.site()).unwrap();
    let seen = machine.read("seen");
    assert!(seen.contains("timeout --kill-after") && seen.contains("kubeadm upgrade node"), "{seen}");
    assert!(!seen.contains("p'w"), "{seen}");
}

#[test]
fn before_a_step_a_survey_tells_whether_apt_would_install_the_target() {
    const HELD: &str = "echo 'The following held packages will be changed:'; echo '  ";
    const KNOWN: &str = "1.36.3-1.1";
    let blocked = |why: &str| Packages::Blocked(why.to_owned());
    for (known, says, expected) in [
        ("1.36.1-1.1", String::new(), Packages::Missing),
        ("1.36.30-1.1", String::new(), Packages::Missing),
        (KNOWN, String::new(), Packages::Ready),
        (KNOWN, format!("{HELD}kubeadm kubectl'; echo '  kubelet'; echo '3 upgraded'"), Packages::Ready),
        (KNOWN, format!("{HELD}cri-tools kubeadm'; echo '4 upgraded'"), blocked("held: cri-tools")),
        (
            KNOWN,
            "echo 'E: You have held broken packages.' >&2; exit 100".to_owned(),
            blocked("E: You have held broken packages."),
        ),
        (KNOWN, "exit 100".to_owned(), blocked("")),
        // As apt 2.6 says it.
        (
            KNOWN,
            "case \"$*\" in *--print-uris*) echo \"'https://site/k.deb' kubelet_1_amd64.deb 636 SHA256:0\" ;; esac"
                .to_owned(),
            Packages::Unfetched,
        ),
        (
            KNOWN,
            "case \"$*\" in *--print-uris*) echo \"'file:/mirror/k.deb' kubelet_1_amd64.deb 636 SHA256:0\" ;; esac"
                .to_owned(),
            Packages::Ready,
        ),
        (KNOWN, "case \"$*\" in *--print-uris*) exit 100 ;; esac".to_owned(), Packages::Unfetched),
    ] {
        let machine = Machine::new();
        machine.write(
            "bin/apt-cache",
            &format!("#!/bin/bash\necho \"   $2 | {known} | https://site  Packages\"\n"),
        );
        machine.write("bin/apt-get", &format!("#!/bin/bash\necho \"apt-get $*\" >>\"$M/calls\"\n{says}\n"));
        let node = order(UnitKind::Prepare, 1).node;
        let order = SurveyOrder {
            nodes: vec![node.clone()],
            target: "v1.36.3".parse().unwrap(),
            kubeadm_on: None,
            manifests_on: vec![],
            with_packages: true,
        };
        let run = lockkeeper_rules::words::name::RunUid(RUN.to_owned());
        let output = machine.bash(&survey(&order, &node, &run, &machine.settings()).unwrap());
        let answer = parse_survey(&String::from_utf8_lossy(&output.stdout)).unwrap();
        assert_eq!(answer.packages, Some(expected), "{known} {says}");
        let calls = machine.calls("apt-get");
        let only_asks = |call: &String| call.contains(" --simulate ") || call.contains(" --print-uris ");
        assert!(calls.iter().all(only_asks), "nothing is installed: {calls:?}");
    }
}

#[test]
fn a_folder_of_patches_that_is_not_there_keeps_a_unit_from_beginning() {
    let machine = Machine::new();
    let order = order(UnitKind::UpgradeNode, 1);
    machine.launch_with(&order, &machine.site()).unwrap();
    assert_eq!(machine.ledger(&order), Progress::Refused(Reason::PatchesMissing));
    assert!(machine.calls("apt-get install").is_empty() && machine.calls("kubeadm upgrade").is_empty());
}

#[test]
fn a_manifest_that_was_changed_after_the_look_is_not_written_over() {
    let machine = Machine::new();
    let write = |name: &str, version: &str, more: &str| {
        let text = format!("spec:\n    image: r/{name}:{version}\n{more}");
        machine.write(&format!("etc/kubernetes/manifests/{name}.yaml"), &text);
    };
    let all = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    all.iter().for_each(|name| write(name, "v1.36.1", ""));
    let files = manifest_survey(&machine, &machine.settings()).files;
    assert_eq!(files.iter().map(|file| &*file.component).collect::<Vec<_>>(), all);
    assert!(files.iter().all(|file| file.tag == "v1.36.1"), "{files:?}");
    let manifests = LookedAt { version: Some("v1.36.1".parse().unwrap()), ..looked_at(&machine) };
    let order =
        |sequence| UnitOrder { manifests: manifests.clone(), ..order(UnitKind::UpgradeFirst, sequence) };
    let refused = Progress::Refused(Reason::ManifestsUnknown);
    for (sequence, text) in [(1, "by hand"), (2, "by hand, with the target's image")] {
        write("kube-scheduler", if text.ends_with("image") { "v1.36.3" } else { "v1.36.1" }, text);
        let order = order(sequence);
        machine.launch(&order).unwrap();
        assert_eq!(machine.ledger(&order), refused, "{text}");
    }
    write("kube-scheduler", "v1.36.1", "");
    for (sequence, unknown) in [(3, &all[..]), (4, &all[2..])] {
        let mut order = order(sequence);
        order.manifests.files.retain(|component, _| !unknown.contains(&&**component));
        machine.launch(&order).unwrap();
        assert_eq!(machine.ledger(&order), refused, "{unknown:?} was never looked at");
    }
    fs::remove_file(machine.path("etc/kubernetes/manifests/kube-apiserver.yaml")).unwrap();
    machine.launch(&order(5)).unwrap();
    assert_eq!(machine.ledger(&order(5)), refused, "one that is away may come back changed");
    write("kube-apiserver", "v1.36.1", "");
    assert!(machine.calls("apt-get install").is_empty() && machine.calls("kubeadm upgrade apply").is_empty());
    assert_eq!(machine.read("kubeadm").trim(), "1.36.1");
    // Mending a cut install takes time too; only the kubeadm that is installed yet can say what was changed meanwhile.
    machine.write("cut", "");
    machine.write(
        "on-dpkg",
        "rm \"$M/cut\"; echo '# by hand' >>\"$M/etc/kubernetes/manifests/kube-scheduler.yaml\"\n",
    );
    machine.launch(&order(40)).unwrap();
    assert_eq!(machine.ended(&order(40)).0, 1);
    fs::remove_file(machine.path("on-dpkg")).unwrap();
    assert_eq!(machine.read("kubeadm").trim(), "1.36.1");
    // After an attempt that was begun, what is at the target was written by its kubeadm.
    write("kube-scheduler", "v1.36.1", "");
    machine.write("on-kubeadm", "exit 1\n");
    machine.launch(&order(50)).unwrap();
    assert_eq!(machine.ended(&order(50)).0, 1);
    machine.write("on-kubeadm", WRITES_MANIFESTS);
    write("kube-scheduler", "v1.36.3", "as kubeadm writes it");
    machine.launch(&order(51)).unwrap();
    assert_eq!(machine.ended(&order(51)).0, 0, "{:?}", machine.ended(&order(51)));
    // Where they were of the target when they were looked at, nothing tells a person's change from kubeadm's.
    let mut of_target = order(52);
    of_target.manifests.version = Some(of_target.target.clone());
    machine.launch(&of_target).unwrap();
    assert_eq!(machine.ledger(&of_target), refused);
    let mut hostile = order(53);
    hostile.manifests.files.insert("x\nLOCKKEEPER_END_OF_UNIT\n}\nid\n".to_owned(), String::new());
    assert!(launcher(&hostile, &machine.settings()).is_err());
}

#[test]
fn patches_that_changed_after_the_look_are_refused() {
    type Change = fn(&Machine, &mut ScriptSettings);
    let changes: [(&str, Change); 5] = [
        ("emptied", |machine, _| {
            fs::remove_file(machine.path("etc/kubernetes/patches/a+merge.yaml")).unwrap()
        }),
        ("renamed", |machine, _| {
            let path = |name: &str| machine.path(&format!("etc/kubernetes/patches/{name}"));
            fs::rename(path("a+merge.yaml"), path("b+merge.yaml")).unwrap();
        }),
        ("written", |machine, _| machine.write("etc/kubernetes/patches/a+merge.yaml", "other")),
        ("told of no patches", |_, settings| settings.kubeadm.patches_directory = None),
        ("another environment", |_, settings| {
            settings.kubeadm.environment.0.insert("HTTPS_PROXY".to_owned(), "http://other".to_owned());
        }),
    ];
    for (what, change) in changes {
        let machine = Machine::new();
        for folder in ["etc/kubernetes/patches", "generated"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        machine.write("etc/kubernetes/patches/a+merge.yaml", "spec: {}");
        for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            for folder in ["generated", "etc/kubernetes/manifests"] {
                machine.write(&format!("{folder}/{name}.yaml"), &format!("    image: r/{name}:v1.36.1\n"));
            }
        }
        machine.write("on-kubeadm", WRITES_MANIFESTS);
        let manifests = looked_at_with(&machine, &machine.site());
        let order = |sequence, manifests: &LookedAt| UnitOrder {
            manifests: manifests.clone(),
            ..order(UnitKind::UpgradeFirst, sequence)
        };
        let refused = Progress::Refused(Reason::ManifestsUnknown);
        let mut settings = machine.site();
        change(&machine, &mut settings);
        let changed = order(1, &manifests);
        machine.launch_with(&changed, &settings).unwrap();
        assert_eq!(machine.ledger(&changed), refused, "{what}");
        // What was never looked at is not known to be as it was.
        let unknown = order(2, &LookedAt { inputs: None, ..manifests });
        machine.launch_with(&unknown, &settings).unwrap();
        assert_eq!(machine.ledger(&unknown), refused, "{what}");
        assert!(
            machine.calls("apt-get install").is_empty()
                && machine.calls("kubeadm upgrade apply -y").is_empty()
        );
        // A look at what is there now does.
        let anew = order(3, &looked_at_with(&machine, &settings));
        machine.launch_with(&anew, &settings).unwrap();
        assert_eq!(machine.ended(&anew).0, 0, "{what}: {:?}", machine.ended(&anew));
    }
}

fn parse_survey(text: &str) -> Result<NodeSurvey, String> {
    survey_answer(text, jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::now())
}

/// What a survey that asks for nothing else says of the machine.
fn surveyed(machine: &Machine) -> NodeSurvey {
    parse_survey(&String::from_utf8_lossy(&machine.bash(&survey_script(machine)).stdout)).unwrap()
}

fn survey_script(machine: &Machine) -> String {
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

#[test]
fn what_an_upgrade_needs_and_the_machine_has_not_is_told() {
    let packaged = |status: &'static str| move |machine: &Machine| machine.write("kubelet-status", status);
    type Change = Box<dyn Fn(&Machine)>;
    let cases: [(Change, &[&str]); 7] = [
        (Box::new(|_| {}), &[]),
        (Box::new(packaged("ii ")), &[]),
        // An install that was cut is a package all the same, and is told elsewhere.
        (Box::new(packaged("iFR")), &[]),
        (Box::new(packaged("rc ")), &[KUBELET_PACKAGE]),
        (Box::new(packaged("un ")), &[KUBELET_PACKAGE]),
        (Box::new(|machine| fs::remove_file(machine.path("kubelet-status")).unwrap()), &[KUBELET_PACKAGE]),
        (Box::new(|machine| machine.stand_in("systemctl", "exit 1")), &[SYSTEMD]),
    ];
    for (change, lacking) in cases {
        let machine = Machine::new();
        change(&machine);
        assert_eq!(surveyed(&machine).lacking, lacking);
    }
    // Where apt is not, the machine that runs this test may have it.
    let without = "command() { case $2 in dpkg-query|apt-get) return 1 ;; esac; builtin command \"$@\"; }\n";
    let machine = Machine::new();
    let script = survey_script(&machine);
    let said = parse_survey(&String::from_utf8_lossy(&machine.bash(&format!("{without}{script}")).stdout));
    assert_eq!(said.unwrap().lacking, ["apt-get", "dpkg-query"]);
}

/// The manifests as a look finds them.
fn looked_at(machine: &Machine) -> LookedAt {
    looked_at_with(machine, &machine.settings())
}

fn looked_at_with(machine: &Machine, settings: &ScriptSettings) -> LookedAt {
    let ManifestSurvey { files, inputs, .. } = manifest_survey(machine, settings);
    let files = files.into_iter().map(|file| (file.component, file.sha256));
    LookedAt { version: None, files: files.collect(), inputs }
}

/// What the installed kubeadm of this machine says of its manifests.
fn manifest_survey(machine: &Machine, settings: &ScriptSettings) -> ManifestSurvey {
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

#[test]
fn the_installed_kubeadm_is_asked_for_the_version_that_it_is() {
    let machine = Machine::new();
    let said = manifest_survey(&machine, &machine.settings());
    assert_eq!((said.installed.as_str(), said.written.as_str()), ("v1.36.1", "v1.36.1"));
    assert!(said.changes.unwrap().is_empty());
    assert_eq!(machine.calls("kubeadm upgrade"), ["kubeadm upgrade diff v1.36.1"]);
    assert!(machine.calls("apt-get").is_empty(), "nothing is fetched");
    machine.write(
        "differences",
        "--- /etc/kubernetes/manifests/kube-apiserver.yaml\n+++ new manifest\n@@ -20 +19,0 @@\n-    - --profiling=false\n",
    );
    let said = manifest_survey(&machine, &machine.settings());
    assert_eq!(said.changes.unwrap().shown(), ["kube-apiserver.yaml: - - --profiling=…"]);
    machine.write("on-kubeadm", "echo 'no admin.conf' >&2; exit 1\n");
    let said = manifest_survey(&machine, &machine.settings());
    assert_eq!(said.changes, Err("kubeadm ended with 1: no admin.conf".to_owned()));
    fs::remove_file(machine.path("bin/kubeadm")).unwrap();
    assert!(manifest_survey(&machine, &machine.settings()).changes.is_err());
}

#[test]
fn what_patches_explain_is_no_change_by_hand() {
    let manifest = |name: &str, version: &str| {
        let address = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 10.0.0.7:6443";
        format!("    {address}\nspec:\n    - --x\n    image: r/{name}:{version}\nstatus: {{}}\n")
    };
    for (version, prefix, called) in [
        ("1.36.1", "", "kubeadm upgrade apply phase control-plane --dry-run --patches DIR v1.36.1"),
        ("1.31.4", "\\t", "kubeadm upgrade node phase control-plane --dry-run --patches DIR"),
    ] {
        let machine = Machine::new();
        let v = format!("v{version}");
        machine.write("kubeadm", &format!("{version}\n"));
        machine.write("kubeadm-config", &v);
        machine.write("prefix", prefix);
        for folder in ["generated", "etc/kubernetes/patches"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            machine.write(&format!("generated/{name}.yaml"), &manifest(name, "VERSION"));
            // A person has saved one of them without the end of its last line.
            let text = manifest(name, &v);
            machine.write(&format!("etc/kubernetes/manifests/{name}.yaml"), text.trim_end());
        }
        machine.write("generated-etcd", "spec:\n");
        machine.write("etc/kubernetes/manifests/etcd.yaml", "spec:");
        let said = manifest_survey(&machine, &machine.site());
        assert_eq!((said.installed.as_str(), said.written.as_str()), (v.as_str(), v.as_str()));
        assert!(said.changes.clone().unwrap().is_empty(), "{said:?}");
        let patches = format!("{}/etc/kubernetes/patches", machine.settings().root);
        assert_eq!(machine.calls("kubeadm upgrade"), [called.replace("DIR", &patches)]);
        let told = machine.read("told-of-etcd");
        assert!(told.ends_with(&format!("\npatches: {{directory: '{patches}'}}\n")), "{told}");
        // What is changed by hand beside it is told.
        let by_hand = manifest("kube-scheduler", &v).replace("--x", "--x\n    - --by-hand");
        machine.write("etc/kubernetes/manifests/kube-scheduler.yaml", &by_hand);
        let said = manifest_survey(&machine, &machine.site());
        assert_eq!(said.changes.unwrap().shown(), ["kube-scheduler.yaml: - - --by-hand"]);
        // Another version in kubeadm-config is told, where it decides.
        machine.write("kubeadm-config", "v1.36.3");
        let said = manifest_survey(&machine, &machine.site());
        assert_eq!(said.written == v, prefix.is_empty(), "{said:?}");
        // A manifest that is not there is no answer.
        fs::remove_file(machine.path("etc/kubernetes/manifests/kube-scheduler.yaml")).unwrap();
        assert!(manifest_survey(&machine, &machine.site()).changes.is_err());
    }
}

/// A control-plane node with an etcd that joined, and what its kubeadm would write for it.
fn machine_with_etcd() -> Machine {
    let machine = Machine::new();
    let etcd =
        |members: &str| format!("spec:\n    - etcd\n    - --initial-cluster={members}\n    - --name=w-1\n");
    let joined =
        etcd("a=https://10.0.0.1:2380,w-1=https://10.0.0.7:2380\n    - --initial-cluster-state=existing");
    machine.write("etc/kubernetes/manifests/etcd.yaml", &joined);
    machine.write("generated-etcd", &etcd("w-1=https://10.0.0.7:2380"));
    let annotation = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint";
    let api_server = format!("metadata:\n  annotations:\n    {annotation}: '[fd00::7]:6443'\n");
    machine.write("etc/kubernetes/manifests/kube-apiserver.yaml", &api_server);
    // Another control-plane node is at the target already.
    machine.stand_in(
        "kubectl",
        "printf 'apiVersion: kubeadm.k8s.io/v1beta4\\nkubernetesVersion: v1.36.3\\nend: x'",
    );
    machine
}

#[test]
fn the_manifest_of_etcd_is_held_against_what_the_installed_kubeadm_would_write_for_this_node() {
    let machine = machine_with_etcd();
    let said = manifest_survey(&machine, &machine.settings());
    assert!(
        said.changes.clone().unwrap().is_empty(),
        "the members it began with are nobody's change: {said:?}"
    );
    let told = "apiVersion: kubeadm.k8s.io/v1beta4\nkubernetesVersion: v1.36.1\nend: x\n---\napiVersion: kubeadm.k8s.io/v1beta4\n\
                kind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: \"fd00::7\"}\n\
                nodeRegistration: {name: \"w-1\", criSocket: \"unix:///run/containerd/containerd.sock\"}\n";
    assert_eq!(machine.read("told-of-etcd"), told);

    let by_hand =
        machine.read("etc/kubernetes/manifests/etcd.yaml") + "    - --quota-backend-bytes=8589934592\n";
    machine.write("etc/kubernetes/manifests/etcd.yaml", &by_hand);
    // Both parts of the answer are read, also where the first has no end of its last line.
    machine.write(
        "differences",
        "--- /etc/kubernetes/manifests/kube-apiserver.yaml\n+++ new manifest\n@@ -20 +19,0 @@\n-    - --profiling=false",
    );
    let shown = manifest_survey(&machine, &machine.settings()).changes.unwrap().shown();
    assert_eq!(shown, ["etcd.yaml: - - --quota-backend-bytes=…", "kube-apiserver.yaml: - - --profiling=…"]);
}

#[test]
fn what_cannot_be_known_of_etcds_manifest_is_no_answer() {
    for (claim, break_it) in [
        ("no configuration", (|m| m.stand_in("kubectl", "exit 1")) as fn(&Machine)),
        ("no address", |m| m.write("etc/kubernetes/manifests/kube-apiserver.yaml", "metadata: {}\n")),
        ("kubeadm fails", |m| m.write("on-kubeadm", "[ \"$1\" != init ]\n")),
        ("nothing is written", |m| fs::remove_file(m.path("generated-etcd")).unwrap()),
    ] {
        let machine = machine_with_etcd();
        break_it(&machine);
        let said = manifest_survey(&machine, &machine.settings());
        assert_eq!(said.changes.unwrap_err().split(':').next(), Some("kubeadm ended with 2"), "{claim}");
    }
}

#[test]
fn nothing_hostile_reaches_a_shell() {
    let machine = Machine::new();
    let hostile =
        format!("$(touch {0}/pwned)`touch {0}/pwned`';touch {0}/pwned;'", machine.folder.path().display());
    let mut bad = order(UnitKind::UpgradeNode, 1);
    bad.node.machine_id.clone_from(&hostile);
    assert!(launcher(&bad, &machine.settings()).is_err());
    let mut bad = order(UnitKind::UpgradeNode, 1);
    bad.token.nonce = "../../x".to_owned();
    assert!(launcher(&bad, &machine.settings()).is_err());
    let mut odd = order(UnitKind::UpgradeNode, 1);
    odd.node.name.0.clone_from(&hostile);
    odd.node.addresses = vec![hostile.clone()];
    machine.launch(&odd).unwrap();
    assert!("v1.36.3;id".parse::<lockkeeper_rules::words::version::Version>().is_err());
    let settings = ScriptSettings { root: format!("{}'", machine.settings().root), ..machine.settings() };
    machine.bash(&launcher(&order(UnitKind::UpgradeNode, 2), &settings).unwrap());
    assert!(!machine.path("pwned").exists());
}

#[test]
fn every_script_is_one_that_bash_can_read() {
    let machine = Machine::new();
    let check = |text: &str| {
        let input = machine.path("check.sh");
        fs::write(&input, text).unwrap();
        let output = Command::new("bash").arg("-n").arg(Path::new(&input)).output().unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    for kind in [UnitKind::Snapshot, UnitKind::Prepare, UnitKind::UpgradeFirst, UnitKind::UpgradeNode] {
        let order = order(kind, 1);
        check(&launcher(&order, &machine.settings()).unwrap());
        machine.launch(&order).unwrap();
        check(&machine.read(&format!("var/lib/lockkeeper/{}.sh", order.token)));
        fs::remove_dir_all(machine.path("var/lib/lockkeeper")).unwrap();
        fs::remove_file(machine.path("units").join(unit_name(&order.token))).unwrap();
    }
}
