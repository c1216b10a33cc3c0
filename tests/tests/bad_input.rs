//! Bad input: a clear error that names the field and the remedy, and nothing touched.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::Result;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use lockkeeper_actuator::leader::LEASE_NAME;
use lockkeeper_rules::api::{Condition, UpgradeRunStatus};
use lockkeeper_tests::packages::PackagesFault;
use lockkeeper_tests::site::SiteGate;
use lockkeeper_tests::world::CONTROL_PLANE;
use lockkeeper_tests::{World, parts};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with a configuration of both products that is good but for what a case changes in it. Everything that
/// it could touch is one listener: whoever connects to it is seen.
struct Desk {
    folder: TempDir,
    outside: TcpListener,
}

impl Desk {
    fn new() -> Self {
        let outside = TcpListener::bind("127.0.0.1:0").unwrap();
        outside.set_nonblocking(true).unwrap();
        let desk = Self { folder: TempDir::new().unwrap(), outside };
        desk.write("token", "a-token-that-nobody-guesses");
        desk.write("short-token", "guessed");
        desk.write("known_hosts", "");
        desk.write("facts.yaml", "schema: 2\nas_of: 2026-13-01\n");
        desk.write("key", "");
        desk.write("users.yaml", "basic_auth_users: {prometheus: not-a-hash}");
        let cluster = json!({"clusters": [{"name": "c", "cluster": {"server": desk.url()}}], "users": [{"name": "u"}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x"});
        desk.write("kubeconfig", &cluster.to_string());
        desk
    }

    fn url(&self) -> String {
        format!("http://{}", self.outside.local_addr().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn config(&self, product: &str) -> Value {
        let index = format!("{}/v{{minor}}/deb/Packages", self.url());
        match product {
            "lockkeeper-exporter" => json!({"packages": {"url": index}, "settings": {"soakSeconds": 1}}),
            _ => json!({
                "prometheus": {"urls": [self.url()]}, "alertmanager": {"urls": [self.url()]},
                "webhook": {"listenAddress": "127.0.0.1:0", "tokenFile": self.path("token")},
                "metrics": {"listenAddress": "127.0.0.1:0"}, "probes": {"listenAddress": "127.0.0.1:0"},
                "ssh": {"keyFile": self.path("key"), "knownHostsFile": self.path("known_hosts")},
                "packages": {"url": index}, "settings": {"soakSeconds": 1},
                "decisionLog": self.path("decisions"),
            }),
        }
    }

    /// Runs a product to its end.
    fn run(product: &str, args: &[String]) -> Output {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "20"]).arg(parts::own(product).unwrap()).args(args);
        command.env_remove("KUBERNETES_SERVICE_HOST").stdin(Stdio::null()).output().unwrap()
    }

    /// The end of a start with this configuration and these words on the command line.
    fn start(&self, product: &str, config: &str, more: &[String]) -> Output {
        self.write("config.yaml", config);
        let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
        let mut args = vec![flag("config.file", &self.path("config.yaml"))];
        if !more.iter().any(|word| word.starts_with("--kubeconfig")) {
            args.push(flag("kubeconfig", &self.path("kubeconfig")));
        }
        if product == "lockkeeper-exporter" && !more.iter().any(|word| word.starts_with("--web.listen")) {
            args.push("--web.listen-address=127.0.0.1:0".to_owned());
        }
        if product == "lockkeeper-exporter" && !more.iter().any(|word| word.starts_with("--web.probe")) {
            args.push("--web.probe-address=127.0.0.1:0".to_owned());
        }
        args.extend_from_slice(more);
        Self::run(product, &args)
    }

    /// Nobody has connected to anything, and nothing was written.
    fn is_untouched(&self) -> bool {
        let nobody = self.outside.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        nobody && !self.path("decisions").exists()
    }
}

const BOTH: [&str; 2] = ["lockkeeper-exporter", "lockkeeper-actuator"];
const ACTUATOR: [&str; 1] = ["lockkeeper-actuator"];
const EXPORTER: [&str; 1] = ["lockkeeper-exporter"];

/// What is refused: by whom, where in the configuration, what stands there instead, and what must be said.
type WrongValue = (&'static [&'static str], &'static str, Value, [&'static str; 2]);

fn wrong_values(desk: &Desk) -> Vec<WrongValue> {
    let nowhere = || json!("/nowhere/file");
    vec![
        (&BOTH, "/setings", json!({}), ["unknown field `setings`", "expected one of"]),
        (&BOTH, "/settings/soakSecond", json!(1), ["settings.soakSecond", "expected one of"]),
        (&BOTH, "/packages/uri", json!("x"), ["packages.uri", "expected one of url"]),
        (&BOTH, "/settings/soakSeconds", json!("many"), ["settings.soakSeconds", "write one, such as 5"]),
        (&BOTH, "/settings/soakSeconds", json!(-1), ["settings.soakSeconds", "write one, such as 5"]),
        (&BOTH, "/settings", json!([1]), ["settings is not a mapping", "write one, such as {key: value}"]),
        (&BOTH, "/packages/url", json!("packages.example"), ["packages.url", "{minor}"]),
        (&BOTH, "/packages/intervalSeconds", json!(0), ["packages.intervalSeconds is 0", "write 1 to 10800"]),
        (
            &BOTH,
            "/settings/checkSecondsMax",
            json!(3600),
            ["settings.checkSecondsMax is 3600: no change may rest on a check", "write 2 to 5"],
        ),
        (&BOTH, "/settings/leaseSeconds", json!(0), ["settings.leaseSeconds is 0", "write 3 to 300"]),
        (
            &BOTH,
            "/settings/alerts",
            json!({"intervalSeconds": 0}),
            ["settings.alerts.intervalSeconds is 0", "write 1 to 120"],
        ),
        (
            &BOTH,
            "/settings/attemptPauseSeconds",
            json!(3000),
            [
                "settings.attemptPauseSeconds is 3000",
                "at most 600, or at least 3000 for settings.attemptPauseSecondsMax",
            ],
        ),
        (&ACTUATOR, "/webhook/tokenFile", nowhere(), ["webhook.tokenFile", "check path and rights"]),
        (
            &ACTUATOR,
            "/webhook/tokenFile",
            json!(desk.path("short-token")),
            ["webhook.tokenFile", "must hold one token of 16"],
        ),
        (&ACTUATOR, "/ssh/keyFile", nowhere(), ["ssh.keyFile", "check path and rights"]),
        (&ACTUATOR, "/ssh/knownHostsFile", nowhere(), ["ssh.knownHostsFile", "check path and rights"]),
        (&ACTUATOR, "/ssh/port", json!("many"), ["ssh.port", "write one, such as 5"]),
        (&ACTUATOR, "/prometheus/urls", json!("http://x"), ["prometheus.urls", "write one, such as [a, b]"]),
        (&ACTUATOR, "/prometheus/urls", json!(["prometheus:9090"]), ["prometheus.urls", "such as http://"]),
        (&ACTUATOR, "/prometheus/tokenFile", nowhere(), ["prometheus.tokenFile", "check path and rights"]),
        (
            &ACTUATOR,
            "/webhook/listenAddress",
            json!("nonsense"),
            ["webhook.listenAddress", "choose another address"],
        ),
        (
            &ACTUATOR,
            "/probes/listenAddress",
            json!("nonsense"),
            ["probes.listenAddress", "choose another address"],
        ),
        (
            &ACTUATOR,
            "/metrics/webConfigFile",
            json!(desk.path("users.yaml")),
            ["metrics.webConfigFile", "make one with htpasswd"],
        ),
    ]
}

fn wrong_facts(desk: &Desk) -> Vec<WrongValue> {
    vec![
        (
            &BOTH,
            "/matrix",
            json!({"files": ["/nowhere/file", desk.path("facts.yaml")]}),
            ["/nowhere/file:1:1: the file: found nothing that can be read", "facts.yaml:2:8: as_of: found"],
        ),
        (
            &BOTH,
            "/matrix",
            json!({"files": [{"path": desk.path("known_hosts"), "sha256": "0".repeat(64)}]}),
            // What is found is the digest of nothing.
            ["its sha256: found e3b0c44298fc1c14", "expected 0000000000000000"],
        ),
        (
            &BOTH,
            "/matrix",
            json!({"files": [{"path": desk.path("facts.yaml"), "sha256": "e3b0c442"}]}),
            ["matrix.files[0]", "a sha256 of 64 hexadecimal digits"],
        ),
    ]
}

#[test]
fn a_configuration_that_cannot_be_used_ends_with_exit_code_3_and_names_field_and_remedy() {
    let desk = Desk::new();
    for (products, pointer, value, words) in wrong_values(&desk).into_iter().chain(wrong_facts(&desk)) {
        for product in products {
            let mut config = desk.config(product);
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            config.pointer_mut(parent).unwrap()[field] = value.clone();
            let case = format!("{product} {pointer} = {value}");
            refused(&case, &desk.start(product, &config.to_string(), &[]), &words);
        }
    }
    for product in BOTH {
        refused(product, &desk.start(product, "", &[]), &["the file "]);
        refused(product, &desk.start(product, "packages: [", &[]), &["packages", "line 1"]);
        let mut twice = desk.config(product).to_string();
        twice.insert_str(1, "\"settings\": {},");
        refused(product, &desk.start(product, &twice, &[]), &["settings"]);
        let mut missing = desk.config(product);
        missing.as_object_mut().unwrap().remove("packages");
        refused(product, &desk.start(product, &missing.to_string(), &[]), &["missing field `packages`"]);
    }
    assert!(desk.is_untouched());
}

#[test]
fn a_command_line_that_cannot_be_used_ends_with_exit_code_3_and_names_flag_and_remedy() {
    let desk = Desk::new();
    let users = format!("--web.config.file={}", desk.path("users.yaml").display());
    let cases: [(&[&str], &str, [&str; 2]); 7] = [
        (&BOTH, "--nonsense", ["--nonsense", "--help"]),
        (&BOTH, "--kubeconfig=/nowhere/file", ["/nowhere/file", "check --kubeconfig"]),
        (&EXPORTER, &users, ["basic_auth_users.prometheus", "make one with htpasswd"]),
        (&EXPORTER, "--web.config.file=/nowhere/file", ["/nowhere/file", "--web.config.file"]),
        (&EXPORTER, "--web.listen-address=nonsense", ["--web.listen-address", "choose another address"]),
        (&EXPORTER, "--web.probe-address=nonsense", ["--web.probe-address", "choose another address"]),
        (&EXPORTER, "--web.telemetry-path=metrics", ["--web.telemetry-path", "must begin with /"]),
    ];
    for (products, word, words) in cases {
        for product in products {
            let config = desk.config(product).to_string();
            refused(&format!("{product} {word}"), &desk.start(product, &config, &[word.to_owned()]), &words);
        }
    }
    // Without a kubeconfig it is in a cluster, and so on one of the nodes that it upgrades.
    desk.write("config.yaml", &desk.config("lockkeeper-actuator").to_string());
    let flag = format!("--config.file={}", desk.path("config.yaml").display());
    let homeless = Desk::run("lockkeeper-actuator", std::slice::from_ref(&flag));
    refused("no node name", &homeless, &["--node-name", "spec.nodeName"]);
    let nameless = Desk::run("lockkeeper-actuator", &[flag, "--node-name=".to_owned()]);
    refused("an empty node name", &nameless, &["--node-name", "--help"]);
    for product in BOTH {
        refused(product, &Desk::run(product, &[]), &["--config.file"]);
        let nowhere = ["--config.file=/nowhere/file".to_owned()];
        refused(product, &Desk::run(product, &nowhere), &["/nowhere/file", "check --config.file"]);
    }
    assert!(desk.is_untouched());
}

fn refused(case: &str, output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{case}: {said}");
    for word in words {
        assert!(said.contains(word), "{case}: {word:?} is not in: {said}");
    }
    assert!(!said.contains("panicked"), "{case}: {said}");
}

/// Every run with its status, if there is one.
async fn status(world: &World, run: &str) -> Result<Option<UpgradeRunStatus>> {
    world.run_status(run).await
}

async fn cluster_lock(world: &World) -> Option<Lease> {
    let leases: Api<Lease> = Api::namespaced(world.kube.clone(), "kube-system");
    leases.get_opt(lockkeeper_rules::gate::LOCK_NAME).await.unwrap()
}

/// Targets that are versions and can never be gone to from v1.36.1, and the reason of the condition.
const IMPOSSIBLE: [(&str, &str, &str); 4] = [
    ("downgrade", "v1.36.0", "TargetDowngrade"),
    ("two-minors", "v1.38.0", "TargetSkipsMinor"),
    ("other-major", "v2.36.3", "TargetOtherMajor"),
    ("pre-release", "v1.37.0-rc.1", "TargetPrerelease"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_is_refused_or_gets_a_condition_and_nothing_is_touched() {
    let world = World::builder().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    for target in ["latest", "", "1.36", "v1.36.x", "v1.36.3 && reboot", "1.36.3.4"] {
        let refusal = match world.create_run("nonsense", json!({"target": target})).await {
            Ok(_) => panic!("{target:?} was taken"),
            Err(error) => format!("{error:#}"),
        };
        assert!(
            refusal.contains("spec.target") && refusal.contains("such as v1.36.3"),
            "{target:?}: {refusal}"
        );
    }
    for (name, target, _) in IMPOSSIBLE {
        world.create_run(name, json!({"target": target})).await.unwrap();
    }
    for (name, _, reason) in IMPOSSIBLE {
        let condition = world
            .wait_for(&format!("{name} to be judged"), 60, || async {
                let conditions =
                    status(&world, name).await?.map(|status| status.conditions).unwrap_or_default();
                let is_refusal = |it: &Condition| it.type_ == "Accepted" && it.status == "False";
                Ok(conditions.into_iter().find(is_refusal))
            })
            .await;
        assert_eq!(condition.reason, reason, "{name}");
        let message = condition.message;
        assert!(message.contains("target") && message.contains("Remedy: start a"), "{message}");
    }
    // A run that can be comes after them, is not kept waiting by them, and gives them time to do harm.
    assert!(cluster_lock(&world).await.is_none(), "none of them may take the lock");
    assert!(world.decisions().is_empty(), "{:?}", world.decisions());
    let before = world.audit("actuator").len();
    world.create_run("good", json!({"target": "v1.36.3"})).await.unwrap();
    world
        .wait_for("the good run to have done a step", 90, || async {
            Ok(status(&world, "good").await?.filter(|status| !status.finished.is_empty()))
        })
        .await;
    for (name, target, _) in IMPOSSIBLE {
        let run = world.runs().get(name).await.unwrap();
        let status = status(&world, name).await.unwrap().expect("it was judged");
        assert_eq!(status.sequence, 0, "{name} was given a token");
        assert!(status.waiting.is_none() && status.active.is_empty() && status.finished.is_empty(), "{name}");
        assert!(run.metadata.finalizers.is_none(), "{name} can be deleted at once");
        let verdict = world.exporter.get(&format!("/verdict?target={target}")).await.unwrap();
        assert!(verdict.starts_with(&format!("{target}: BLOCKED")), "{verdict}");
    }
    for write in &world.audit("actuator")[..before] {
        let ours = write.resource == "upgraderuns" && write.subresource == "status"
            || write.resource == "leases" && write.name == LEASE_NAME
            || write.resource == "events";
        assert!(ours, "{write:?}");
    }
    for write in &world.audit("actuator")[before..] {
        assert!(
            !IMPOSSIBLE.iter().any(|(name, ..)| write.name == *name && write.subresource != "status"),
            "{write:?}"
        );
    }
}

/// What can be wrong with an index, and what is said of it.
const FAULTS: [(PackagesFault, &str); 9] = [
    (PackagesFault::Empty, "the index is empty"),
    (PackagesFault::Html, "is no field"),
    (PackagesFault::Truncated, "cut off"),
    (PackagesFault::Endless, "larger than"),
    (PackagesFault::Bomb, "the inflated index is larger than"),
    (PackagesFault::NotFound, "no index for the running minor"),
    (PackagesFault::Denied, "403"),
    (PackagesFault::ServerError, "500"),
    (PackagesFault::RedirectLoop, "redirect"),
];

/// The most memory that a product may ever have had.
const RSS_KIB_MAX: u64 = 200 * 1024;

/// The most memory that a process ever had, in KiB.
fn rss_kib_max(pid: rustix::process::Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel counts it");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Waits until the exporter says `up` of the index, and looks at everything that it says of new versions then.
async fn exporter_says(world: &World, up: bool, words: &str) {
    let series = format!("k8s_upgrade_source_up{{source=\"packages\"}} {}.0", u8::from(up));
    world
        .wait_for(&format!("the exporter to say {series} {words}"), 60, || async {
            let page = world.exporter.get("/metrics").await?;
            let verdict = world.exporter.get("/verdict?target=v1.36.3").await?;
            let nothing_new = page.lines().any(|line| {
                line.starts_with("k8s_upgrade_available{kind=\"patch\"") && !line.ends_with(" 1.0")
            });
            assert!(!nothing_new, "it says that there is nothing new\n{page}");
            Ok((page.contains(&series) && verdict.contains(words)).then_some(()))
        })
        .await;
    let verdict = world.exporter.get("/verdict?target=v1.36.3").await.unwrap();
    if up {
        assert!(verdict.starts_with("v1.36.3: SAFE"), "{verdict}");
    } else {
        assert!(verdict.starts_with("v1.36.3: UNKNOWN"), "{verdict}");
        assert!(
            verdict.contains("offered: source_unreadable (1)") && verdict.contains("packages.url"),
            "{verdict}"
        );
    }
}

/// Waits until the run holds for this reason, or no longer holds for the index.
async fn run_holds(world: &World, words: Option<&str>) -> UpgradeRunStatus {
    world
        .wait_for(&format!("the run to hold for {words:?}"), 60, || async {
            let Some(status) = status(world, "patch").await? else { return Ok(None) };
            let hold = status.holds.iter().find(|hold| hold.reason == "source_unreadable");
            let detail = hold.map(|hold| (hold.subject.clone(), hold.detail.clone()));
            let as_wanted = match (words, &detail) {
                (None, None) => true,
                (Some(words), Some((subject, detail))) => {
                    subject == "packages" && detail.contains(words) && detail.contains("packages.url")
                }
                (None, Some(_)) | (Some(_), None) => false,
            };
            Ok(as_wanted.then_some(status))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_cannot_be_read_is_unknown_and_never_nothing_new_and_mends_itself() {
    let mut world =
        World::builder().without_products().start().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.packages.set_fault(PackagesFault::Empty);
    // The one reads the index compressed, the other plain.
    let url = world.packages.url();
    world.exporter.config["packages"] = json!({"url": format!("{url}.gz"), "intervalSeconds": 1});
    world.actuator.config["packages"] = json!({"url": url, "intervalSeconds": 1});
    world.start_products().await.unwrap_or_else(|error| panic!("{error:#}"));
    world.close_gate(SiteGate::All).await;
    world.create_run("patch", json!({"target": "v1.36.3"})).await.unwrap();

    for (fault, words) in FAULTS {
        world.packages.set_fault(fault);
        exporter_says(&world, false, words).await;
    }
    let (last, words) = FAULTS[FAULTS.len() - 1];
    world.packages.set_fault(last);
    let held = run_holds(&world, Some(words)).await;
    assert_eq!(
        (held.sequence, held.waiting),
        (0, None),
        "a run that knows nothing waits before its first step"
    );
    assert!(cluster_lock(&world).await.is_none());

    // Good again, each time by another way: the plain index, moved elsewhere, or compressed on the way.
    for good in [PackagesFault::None, PackagesFault::Redirect, PackagesFault::Gzip] {
        world.packages.set_fault(PackagesFault::ServerError);
        exporter_says(&world, false, "500").await;
        world.packages.set_fault(good);
        exporter_says(&world, true, "SAFE").await;
    }
    run_holds(&world, None).await;
    let waiting = world
        .wait_for("preflight to wait", 60, || async {
            Ok(status(&world, "patch").await?.and_then(|status| status.waiting))
        })
        .await;

    // A step that waits already says so too, through every fault, and keeps its token.
    for (fault, words) in FAULTS {
        world.packages.set_fault(fault);
        run_holds(&world, Some(words)).await;
    }
    let held = run_holds(&world, Some(FAULTS[FAULTS.len() - 1].1)).await;
    assert_eq!(held.waiting.map(|waiting| waiting.token), Some(waiting.token));
    world.site.open(SiteGate::All);
    world
        .wait_for("Prometheus to have seen the gate open", 30, || async {
            Ok(world.prometheus.query("ALERTS{alertname=\"SiteGateAll\"}").await?.is_empty().then_some(()))
        })
        .await;
    assert!(
        status(&world, "patch").await.unwrap().unwrap().active.is_empty(),
        "it starts on what it cannot know"
    );
    world.packages.set_fault(PackagesFault::None);
    world
        .wait_for("the run to have gone on by itself", 60, || async {
            Ok(status(&world, "patch").await?.filter(|status| !status.finished.is_empty()))
        })
        .await;

    for product in [&world.exporter, &world.actuator] {
        let pid = product.service.process().expect("it runs").pid();
        let kib = rss_kib_max(pid);
        println!("{} had {kib} KiB at most", product.service.name());
        assert!(kib < RSS_KIB_MAX, "{} had {kib} KiB", product.service.name());
    }
    assert!(
        !world.ledger(CONTROL_PLANE).iter().any(|(name, _)| name == "ledger"),
        "nothing was begun on a node"
    );
}
