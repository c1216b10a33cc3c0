//! The harness keeps its promises: the parts are real, the machines are not, and nothing is left behind.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::Eviction;
use kube::api::{Api, ListParams, PostParams};
use lockkeeper_rules::driver::kubeadm::KubeadmSettings;
use lockkeeper_rules::driver::kubeadm::ledger;
use lockkeeper_rules::driver::kubeadm::node_script::{self, EtcdAccess, ScriptSettings};
use lockkeeper_rules::driver::kubeadm::order::{
    LedgerOrder, LookedAt, NodeTarget, SurveyOrder, UnitKind, UnitOrder,
};
use lockkeeper_rules::driver::task::Progress;
use lockkeeper_rules::gate::Proof;
use lockkeeper_rules::words::name::{RunUid, Token};
use lockkeeper_rules::words::version::Version;
use lockkeeper_tests::World;
use lockkeeper_tests::machine::{Fault, PROGRAMS, Then};
use lockkeeper_tests::run_folder::{RunFolder, root, start_time};
use lockkeeper_tests::site::SiteGate;
use lockkeeper_tests::wait::wait_for;
use lockkeeper_tests::world::{CONTROL_PLANE, Workload};

async fn world() -> World {
    World::builder().without_products().start().await.unwrap_or_else(|error| panic!("{error:#}"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

async fn ssh(world: &World, node: &str, command: &str) -> (i32, String) {
    let output = world.machine(node).ssh(&world.keys, command).await.expect("ssh can be started");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), if text(&output).is_empty() { error } else { text(&output) })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_comes_up_whole() {
    let world = world().await;
    let versions = world.kubelet_versions().await.unwrap();
    let expected =
        [CONTROL_PLANE, "worker-1", "worker-2"].map(|name| (name.to_owned(), "v1.36.1".to_owned()));
    assert_eq!(versions, expected);
    let pods: Api<Pod> = Api::namespaced(world.kube.clone(), "kube-system");
    let mirrors = pods.list(&ListParams::default().labels("tier=control-plane")).await.unwrap().items;
    assert_eq!(mirrors.len(), 4, "one mirror pod for each static pod");
    let leases: Api<Lease> = Api::namespaced(world.kube.clone(), "kube-system");
    for name in ["kube-controller-manager", "kube-scheduler"] {
        assert!(leases.get(name).await.unwrap().spec.unwrap().renew_time.is_some(), "{name}");
    }
    let watchdog = lockkeeper_rules::alert::WATCHDOG_ALERT;
    world
        .wait_for("the Watchdog to reach Alertmanager", 30, || async {
            let alerts = world.alertmanager.alerts().await?;
            Ok(alerts.iter().any(|alert| alert["labels"]["alertname"] == watchdog).then_some(()))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_run_and_end_and_a_budget_refuses_an_eviction() {
    let world = world().await;
    world.deploy(&Workload::new("guarded", 2).min_available(2)).await.unwrap();
    world.deploy(&Workload::new("free", 2)).await.unwrap();
    let evict = async |app: &str| {
        let pod = world
            .pods()
            .list(&ListParams::default().labels(&format!("app={app}")))
            .await
            .unwrap()
            .items
            .remove(0);
        let name = pod.metadata.name.clone().unwrap();
        let eviction = Eviction { metadata: pod.metadata.clone(), ..Eviction::default() };
        let pods = world.pods();
        let answer: kube::Result<serde_json::Value> =
            pods.create_subresource("eviction", &name, &PostParams::default(), &eviction).await;
        (pod.metadata.uid.unwrap(), answer.map(drop))
    };
    let (_, refused) = evict("guarded").await;
    let Err(kube::Error::Api(status)) = refused else { panic!("a budget lets no pod go: {refused:?}") };
    assert_eq!(status.code, 429);
    let (uid, allowed) = evict("free").await;
    allowed.unwrap();
    world
        .wait_for("the pod to be replaced", 30, || async {
            let pods = world.pods().list(&ListParams::default().labels("app=free")).await?.items;
            let gone = pods.iter().all(|pod| pod.metadata.uid.as_ref() != Some(&uid));
            let running =
                pods.iter().filter(|pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Running"));
            Ok((gone && running.count() == 2).then_some(()))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_real_program_can_be_reached_inside_a_machine() {
    let world = world().await;
    assert_eq!(
        ssh(&world, "worker-1", "cat /etc/machine-id").await.1,
        world.machine("worker-1").spec.machine_id
    );
    let mut covered = 0;
    for program in PROGRAMS {
        for folder in ["/usr/bin", "/usr/sbin", "/bin", "/sbin"] {
            let path = format!("{folder}/{program}");
            let Ok(real) = Path::new(&path).metadata() else { continue };
            let inside = ssh(&world, "worker-1", &format!("stat -Lc %d:%i {path}")).await.1;
            assert_ne!(inside, format!("{}:{}", real.dev(), real.ino()), "{path}");
            covered += 1;
        }
        // As sudo would look for it, and as a shell does.
        for path in ["/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "$PATH"] {
            let found =
                ssh(&world, "worker-1", &format!("PATH={path}; stat -Lc %i \"$(command -v {program})\""))
                    .await;
            let ours = ssh(&world, "worker-1", "stat -Lc %i /run/machine-program").await;
            assert_eq!(found, ours, "{program}");
        }
    }
    assert!(covered > 0, "this machine has none of the programs, so nothing was shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_outlives_the_connection_that_started_it_and_shows_what_systemd_shows() {
    let world = world().await;
    let machine = world.machine("worker-1");
    let start = |name: &str, command: &str| {
        format!(
            "systemd-run --quiet --unit={name} --property=RemainAfterExit=yes -- /bin/bash -c '{command}'"
        )
    };
    let show = async |name: &str| {
        let properties = "-p LoadState -p ActiveState -p SubState -p Result -p ExecMainStatus";
        ssh(&world, "worker-1", &format!("systemctl show {properties} --value {name}"))
            .await
            .1
            .replace('\n', " ")
    };
    assert_eq!(show("never").await, "not-found inactive dead success 0");
    assert_eq!(
        ssh(&world, "worker-1", &start("long", "until [ -e /tmp/go ]; do sleep 0.05; done")).await.0,
        0
    );
    assert_eq!(show("long").await, "loaded active running success 0");
    assert_eq!(ssh(&world, "worker-1", &start("long", "true")).await.0, 1, "the name is taken");
    let waiting = machine.ssh(&world.keys, "touch /tmp/here; exec tail -f /dev/null");
    let cut = async {
        let here = "test -e /tmp/here && echo yes";
        let there = || async { Ok((ssh(&world, "worker-1", here).await.1 == "yes").then_some(())) };
        world.wait_for("the connection", 20, there).await;
        machine.cut_connections().await.unwrap();
    };
    let (waited, ()) = tokio::join!(waiting, cut);
    assert_eq!(waited.unwrap().status.code(), Some(255), "the connection is cut");
    assert_eq!(show("long").await, "loaded active running success 0");
    ssh(&world, "worker-1", "touch /tmp/go").await;
    ssh(&world, "worker-1", &start("bad", "exit 7")).await;
    ssh(&world, "worker-1", &start("shot", "kill -9 $$")).await;
    for (name, state) in [
        ("long", "loaded active exited success 0"),
        ("bad", "loaded failed failed exit-code 7"),
        ("shot", "loaded failed failed signal 9"),
    ] {
        world
            .wait_for(&format!("{name} to be {state}"), 10, || async {
                Ok((show(name).await == state).then_some(()))
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_refuse_held_and_unknown_packages_and_obey_faults() {
    let world = world().await;
    let machine = world.machine("worker-1");
    for (command, code) in [
        ("apt-get install -y kubeadm=1.36.3-*", 100),
        ("apt-get install -y kubeadm=1.36.9-*", 100),
        ("apt-mark unhold kubeadm", 0),
        ("apt-get install -y kubeadm=1.36.3-*", 0),
        ("apt-mark hold kubeadm", 0),
        ("kubeadm upgrade apply -y v1.36.3", 1),
    ] {
        assert_eq!(ssh(&world, "worker-1", command).await.0, code, "{command}");
    }
    assert_eq!(ssh(&world, "worker-1", "kubeadm version -o short").await.1, "v1.36.3");
    assert_eq!(machine.held(), ["kubeadm", "kubectl", "kubelet"]);
    let fetched = "cd /tmp && apt-get download kubeadm=1.36.2-* >/dev/null && dpkg-deb -x kubeadm_*.deb x \
                   && x/usr/bin/kubeadm version -o short";
    assert_eq!(ssh(&world, "worker-1", fetched).await.1, "v1.36.2");
    machine
        .set_faults(&[
            Fault::new("kubeadm", &["upgrade", "node"]).nth(2).then(Then::Exit(4, "as ordered".to_owned())),
            Fault::new("crictl", &[]).then(Then::Signal(9)),
        ])
        .unwrap();
    for code in [0, 4, 0] {
        assert_eq!(ssh(&world, "worker-1", "kubeadm upgrade node").await.0, code);
    }
    assert_eq!(ssh(&world, "worker-1", "crictl images; echo $?").await.1, "137");
    assert_eq!(machine.calls_of("kubeadm", &["upgrade", "node"]).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_names_what_it_would_have_to_fetch_as_apt_does() {
    let world = world().await;
    const NAMES: &str =
        "apt-get -qq --print-uris install kubeadm=1.36.3-* kubelet=1.36.3-* | cut -d ' ' -f 2";
    const BOTH: &str = "kubeadm_1.36.3-1.1_amd64.deb\nkubelet_1.36.3-1.1_amd64.deb";
    for (command, names) in [
        ("true", BOTH),
        ("apt-get -y --download-only install kubeadm=1.36.3-* kubelet=1.36.3-*", ""),
        ("apt-get clean", BOTH),
        ("apt-mark unhold kubeadm; apt-get -y install kubeadm=1.36.3-*", "kubelet_1.36.3-1.1_amd64.deb"),
    ] {
        let (code, said) = ssh(&world, "worker-1", &format!("{{ {command}; }} >/dev/null; {NAMES}")).await;
        assert_eq!((code, said.as_str()), (0, names), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_control_plane_runs_what_kubeadm_applies() {
    let world = world().await;
    let upgrade = "set -e; apt-mark unhold kubeadm kubelet kubectl; apt-get install -y kubeadm=1.36.3-*; \
                   kubeadm upgrade apply -y v1.36.3; apt-get install -y kubelet=1.36.3-* kubectl=1.36.3-*; \
                   systemctl daemon-reload; systemctl restart kubelet";
    let (code, output) = ssh(&world, CONTROL_PLANE, upgrade).await;
    assert_eq!(code, 0, "{output}");
    let version = world.kube.apiserver_version().await.unwrap();
    assert_eq!(version.git_version, "v1.36.3");
    let pods: Api<Pod> = Api::namespaced(world.kube.clone(), "kube-system");
    world
        .wait_for("node and mirror pods to say so", 60, || async {
            let mirrors = pods.list(&ListParams::default().labels("tier=control-plane")).await?.items;
            let new = mirrors.iter().filter(|pod| {
                pod.spec.as_ref().unwrap().containers[0]
                    .image
                    .as_deref()
                    .unwrap_or_default()
                    .ends_with(":v1.36.3")
            });
            let node =
                world.kubelet_versions().await?.contains(&(CONTROL_PLANE.to_owned(), "v1.36.3".to_owned()));
            Ok((new.count() == 3 && node).then_some(()))
        })
        .await;
    assert_eq!(world.machine(CONTROL_PLANE).kubelet_version(), Some(Version::new(1, 36, 3)));
    let saved = "etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt \
                 --cert=/etc/kubernetes/pki/etcd/server.crt --key=/etc/kubernetes/pki/etcd/server.key \
                 snapshot save /tmp/s.db && etcdutl snapshot status /tmp/s.db -w json && kubectl \
                 --kubeconfig /etc/kubernetes/admin.conf get nodes -o name";
    let (code, output) = ssh(&world, CONTROL_PLANE, saved).await;
    assert!(code == 0 && output.contains("node/worker-2"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_of_the_site_fires_waits_and_clears() {
    let world = world().await;
    let state_of = async |gate: SiteGate| {
        let alerts = world.prometheus.alerts().await.unwrap();
        let alert = alerts.iter().find(|alert| alert["labels"]["alertname"] == gate.alert());
        alert.map(|alert| alert["state"].as_str().unwrap_or_default().to_owned())
    };
    for gate in SiteGate::ALL {
        world.site.close(gate);
    }
    for gate in SiteGate::ALL {
        let expected = if gate == SiteGate::Pending { "pending" } else { "firing" };
        world
            .wait_for(gate.alert(), 20, || async {
                Ok((state_of(gate).await.as_deref() == Some(expected)).then_some(()))
            })
            .await;
        world.site.open(gate);
        world.wait_for(gate.alert(), 20, || async { Ok(state_of(gate).await.is_none().then_some(())) }).await;
    }
}

/// The manifests of a node as a look finds them; a worker has none.
async fn looked_at(world: &World, node: NodeTarget, run: &RunUid, settings: &ScriptSettings) -> LookedAt {
    let has_manifests = node.name.0 == CONTROL_PLANE;
    let order = SurveyOrder {
        nodes: vec![node.clone()],
        target: Version::new(1, 36, 3),
        kubeadm_on: None,
        manifests_on: has_manifests.then(|| node.name.clone()).into_iter().collect(),
        with_packages: false,
    };
    let script = node_script::survey(&order, &node, run, settings).unwrap();
    let answer = world.machine(&node.name.0).ssh_with_input(&world.keys, "bash -s", &script).await.unwrap();
    let now = jiff::Timestamp::now();
    let said = node_script::survey_answer(&format!("{}\n", text(&answer)), now, now).unwrap();
    let Some(said) = said.manifests else { return LookedAt::default() };
    let files = said.files.into_iter().map(|file| (file.component, file.sha256));
    LookedAt { version: None, files: files.collect(), inputs: said.inputs }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_a_node_does_its_work_on_a_machine() {
    let world = world().await;
    let run = RunUid("0b9f3c6e-1111-4222-8333-444455556666".to_owned());
    let settings = ScriptSettings::new(&world.settings, EtcdAccess::default(), KubeadmSettings::default());
    let work = [
        (CONTROL_PLANE, UnitKind::Snapshot),
        (CONTROL_PLANE, UnitKind::Prepare),
        (CONTROL_PLANE, UnitKind::UpgradeFirst),
        ("worker-1", UnitKind::Prepare),
        ("worker-1", UnitKind::UpgradeNode),
    ];
    for (sequence, (node, kind)) in (1..).zip(work) {
        let machine = world.machine(node);
        let token = Token { run: run.clone(), sequence, attempt: 1, nonce: "00ff00ff00ff00ff".to_owned() };
        let target = NodeTarget {
            name: node.into(),
            addresses: vec![machine.spec.address.to_string()],
            machine_id: machine.spec.machine_id.clone(),
        };
        let proof = Proof { token: token.clone(), checked_at: jiff::Timestamp::now() };
        let version = Version::new(1, 36, 3);
        let has_manifests = node == CONTROL_PLANE;
        let manifests = looked_at(&world, target.clone(), &run, &settings).await;
        assert_eq!(manifests.files.len(), if has_manifests { 3 } else { 0 });
        let order = UnitOrder {
            node: target.clone(),
            kind,
            token: token.clone(),
            target: version,
            generation: 1,
            manifests,
            proof,
        };
        let launcher = node_script::launcher(&order, &settings).unwrap();
        // The unit before has written its end and may not have let the node go yet.
        let start = || async {
            let started = machine.ssh_with_input(&world.keys, "bash -s", &launcher).await?;
            let (said, errors) = (text(&started), String::from_utf8_lossy(&started.stderr).into_owned());
            if said.contains("node_busy") {
                return Ok(None);
            }
            Ok(Some((said, errors)))
        };
        let (said, errors) = world.wait_for("the node to be free", 10, start).await;
        assert_eq!(said, "started", "{kind:?}: {errors}");
        let order = LedgerOrder { node: target, token };
        let reader = node_script::reader(&order, &settings).unwrap();
        let end = world
            .wait_for(&format!("{kind:?} on {node} to end"), 60, || async {
                let read = machine.ssh_with_input(&world.keys, "bash -s", &reader).await?.stdout;
                let read = String::from_utf8_lossy(&read);
                let reading =
                    ledger::parse(&read, &order).map_err(|finding| anyhow::anyhow!("{finding:?}"))?;
                Ok(matches!(reading, Progress::Ended { .. }).then_some(reading))
            })
            .await;
        assert!(matches!(end, Progress::Ended { code: 0, .. }), "{kind:?} on {node}: {end:?}");
    }
    assert_eq!(world.machine("worker-1").kubelet_version(), Some(Version::new(1, 36, 3)));
    assert_eq!(world.machine(CONTROL_PLANE).held(), ["kubeadm", "kubectl", "kubelet"], "holds are put back");
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_the_exporter_that_sees_every_node() {
    let mut world = world().await;
    world.exporter.start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world
        .wait_for("every node in Prometheus", 30, || async {
            let nodes = world.prometheus.query("count(count by (node) (k8s_upgrade_node_info))").await?;
            Ok((nodes.first().is_some_and(|sample| sample["value"][1] == "3")).then_some(()))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_harness_that_is_killed_leaves_nothing_behind() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_sandbox")).stdout(Stdio::piped()).spawn().unwrap();
    let pid = owner.id();
    let folder = || {
        let folders = std::fs::read_dir(root()).into_iter().flatten().flatten();
        folders
            .map(|entry| entry.path())
            .find(|path| path.display().to_string().contains(&format!("/run-{pid}-")))
    };
    let recorded = |folder: &Path| {
        let text = std::fs::read_to_string(folder.join("processes")).unwrap_or_default();
        let lines = text.lines().map(|line| line.split(' ').map(str::to_owned).collect::<Vec<String>>());
        lines
            .map(|fields| (fields[0].parse::<u32>().unwrap(), fields[1].parse::<u64>().unwrap()))
            .collect::<Vec<_>>()
    };
    // etcd, three of Kubernetes, three machines, Prometheus, Alertmanager.
    const PROCESSES: usize = 9;
    let up = wait_for("a whole World", Duration::from_secs(120), || async {
        Ok(folder().filter(|folder| recorded(folder).len() >= PROCESSES))
    });
    let folder = up.await.unwrap();
    let processes = recorded(&folder);
    owner.kill().unwrap();
    owner.wait().unwrap();
    let gone = wait_for("every process to end", Duration::from_secs(20), || async {
        Ok(processes.iter().all(|&(pid, started)| start_time(pid) != Some(started)).then_some(()))
    });
    gone.await.unwrap();
    let _next = RunFolder::create().unwrap();
    assert!(!folder.exists(), "the next run sweeps {}", folder.display());
}
