//! Clusters as people run them, each with the verdict that the projects' own pages give it: the regression test of
//! detection.
//!
//! ```text
//!   objects.jsonl ──▶ record.py, the exporter ──▶ saved.json ──▶ laid over base/saved.json ──▶ verdict ──▶ as case.yaml says?
//!   as published       `verdict --save`            what was read
//! ```
//!
//! `case.yaml` is written before the verdict is asked, by the pages that it names, and not by what the verdict says. A
//! `saved.json` that has all that `--save` writes is a cluster of its own, without the base.

#![expect(clippy::disallowed_methods, reason = "the clusters are files")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lockkeeper_rules::cluster::inventory::{Inventory, Workload};
use lockkeeper_rules::cluster::snapshot::Snapshot;
use lockkeeper_rules::facts::Matrix;
use lockkeeper_rules::reason::Finding;
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::verdict::{self, Verdict, verdict};
use lockkeeper_rules::words::yaml;
use serde::Deserialize;
use serde_json::Value;

/// The clusters that are judged wrongly today. One that is judged rightly must leave.
const KNOWN_WRONG: &[&str] = &[];

/// What is built in, read once.
static BUILT_IN: LazyLock<Matrix> = LazyLock::new(Matrix::built_in);

/// The cluster under all that are no cluster of their own.
const BASE: &str = "base";

/// What a person has written about a cluster.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// In a line.
    what: String,
    /// Where its objects are from.
    source: Vec<Source>,
    /// The add-ons that must be seen, with the version that must be read.
    #[serde(default)]
    seen: BTreeMap<String, String>,
    /// The add-ons that are not there, although something looks like them.
    #[serde(default)]
    unseen: BTreeSet<String>,
    /// What may be gone to.
    judged: Vec<Judged>,
}

/// Where objects are from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    repository: String,
    commit: String,
    paths: Vec<String>,
    /// What was done with them to run them as people do.
    how: String,
}

/// A target with the answer that the pages give.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Judged {
    target: String,
    answer: String,
    /// Each finding, as `reason subject`.
    #[serde(default)]
    findings: Vec<String>,
    /// Where that is said.
    page: String,
    /// What is said there.
    says: String,
}

/// A cluster at the moment at which it was saved.
struct Cluster {
    now: Timestamp,
    snapshot: Snapshot,
    inventory: Inventory,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clusters")
}

fn read(case: &str, file: &str) -> String {
    let path = folder().join(case).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cases() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let names = folders.map(|entry| entry.file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name != BASE && !name.starts_with(['.', '_'])).collect();
    names.sort_unstable();
    names
}

/// What was saved, laid over the base if it is only a part.
fn cluster(case: &str) -> Cluster {
    let json = |case: &str| -> Value {
        serde_json::from_str(&read(case, "saved.json")).unwrap_or_else(|error| panic!("{case}: {error}"))
    };
    let mut saved = json(case);
    if saved.get("snapshot").is_none() {
        let part = std::mem::replace(&mut saved, json(BASE));
        for (source, things) in part.as_object().unwrap() {
            let read = saved["inventory"][source]["value"].as_array_mut();
            let read = read.unwrap_or_else(|| panic!("{case}: {source} is no list of the base"));
            read.extend(things.as_array().unwrap().iter().cloned());
        }
    }
    fn part<T: serde::de::DeserializeOwned>(case: &str, saved: &mut Value, name: &str) -> T {
        serde_json::from_value(saved[name].take()).unwrap_or_else(|error| {
            panic!("{case}: {name}: {error}; if its format has changed, make it anew with record.py")
        })
    }
    Cluster {
        now: part(case, &mut saved, "now"),
        snapshot: part(case, &mut saved, "snapshot"),
        inventory: part(case, &mut saved, "inventory"),
    }
}

impl Cluster {
    fn verdict(&self, target: &str) -> Verdict {
        let (settings, Self { now, snapshot, inventory }) = (Settings::default(), self);
        let matrix = &known_at(*now);
        verdict(target, &verdict::Case { snapshot, inventory, matrix, settings: &settings, now: *now })
    }
}

/// What is built in, as if what was looked up later had been known that day: a saved cluster has its day, and facts of days
/// to come say nothing.
fn known_at(now: Timestamp) -> Matrix {
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut matrix = BUILT_IN.clone();
    let sections = [
        &mut matrix.releases.as_of,
        &mut matrix.runtimes.as_of,
        &mut matrix.kernels.as_of,
        &mut matrix.cgroup_v1.as_of,
        &mut matrix.etcd.as_of,
        &mut matrix.components.as_of,
        &mut matrix.removed_apis.as_of,
        &mut matrix.volume_plugins.as_of,
        &mut matrix.addons.as_of,
    ];
    let rows = matrix.addons.value.0.iter_mut().map(|row| &mut row.as_of);
    for as_of in sections.into_iter().chain(rows) {
        *as_of = as_of.map(|day| day.min(today));
    }
    matrix
}

/// Everything that is told of a thing by its name, in whatever class.
fn described<'a>(verdict: &'a Verdict, name: &str) -> Vec<&'a str> {
    let findings = verdict.checks.iter().flat_map(|check| check.findings.iter().chain(&check.notes));
    let findings = findings.map(|Finding { subject, detail, .. }| (subject, detail));
    let recognised = verdict.checks.iter().flat_map(|check| &check.recognised);
    let all = findings.chain(recognised.map(|it| (&it.subject, &it.detail)));
    all.filter(|(subject, _)| *subject == name).map(|(_, detail)| detail.as_str()).collect()
}

impl Case {
    /// How the verdict is not what the pages say; empty if it is.
    fn differences(&self, cluster: &Cluster) -> String {
        let mut differences = String::new();
        for judged in &self.judged {
            let verdict = cluster.verdict(&judged.target);
            let mut found: Vec<_> =
                verdict.findings().map(|it| format!("{} {}", it.reason.code(), it.subject)).collect();
            let mut wanted = judged.findings.clone();
            found.sort_unstable();
            wanted.sort_unstable();
            let answer = verdict.verdict.name();
            if answer != judged.answer || found != wanted {
                let Judged { target, answer: right, page, says, .. } = judged;
                let details: Vec<_> = verdict.findings().map(|it| &it.detail).collect();
                let _ = writeln!(
                    differences,
                    "  {target} is {answer} for {found:?}\n  and should be {right} for {wanted:?}: {says} ({page})\n  \
                     {details:#?}"
                );
            }
            for (name, version) in &self.seen {
                let told = described(&verdict, name);
                if !told.iter().any(|detail| detail.contains(version.as_str())) {
                    let _ = writeln!(differences, "  {name} {version} is not seen; of it is told {told:?}");
                }
            }
            for name in self.unseen.iter().filter(|name| !described(&verdict, name).is_empty()) {
                let told = described(&verdict, name);
                let _ = writeln!(differences, "  {name} is not there; of it is told {told:?}");
            }
        }
        differences
    }
}

#[test]
fn every_cluster_is_judged_as_the_pages_of_its_projects_say() {
    let (mut report, mut wrong, mut by_answer) = (String::new(), BTreeSet::new(), BTreeMap::new());
    for name in cases() {
        let case: Case =
            yaml::read(&read(&name, "case.yaml")).unwrap_or_else(|error| panic!("{name}: {error}"));
        for judged in &case.judged {
            *by_answer.entry(judged.answer.clone()).or_insert(0) += 1;
        }
        let differences = case.differences(&cluster(&name));
        if !differences.is_empty() {
            let _ = writeln!(report, "{name}: {}\n{differences}", case.what);
            wrong.insert(name);
        }
    }
    println!("{report}by answer {by_answer:?}, {} wrong", wrong.len());
    let known: BTreeSet<String> = KNOWN_WRONG.iter().map(ToString::to_string).collect();
    let new: Vec<_> = wrong.difference(&known).collect();
    assert!(new.is_empty(), "wrongly judged: {new:?}\n{report}");
    let mended: Vec<_> = known.difference(&wrong).collect();
    assert!(mended.is_empty(), "rightly judged, so take it out of KNOWN_WRONG: {mended:?}");
}

/// What is recognised by one thing alone, with what is lost without it, and why.
const KNOWN_BY_ONE: [(&str, &str); 2] = [
    // Canal runs Flannel beside Calico, and labels it as Calico's.
    ("calico-of-canal", "flannel by its labels"),
    // Nobody can know what somebody calls a build of his own.
    ("ingress-nginx-rebuilt", "ingress-nginx by its images"),
];

/// What the verdict recognises.
fn recognised(cluster: &Cluster, target: &str) -> BTreeSet<String> {
    let verdict = cluster.verdict(target);
    let all = verdict.checks.into_iter().flat_map(|check| check.recognised);
    all.map(|it| it.subject).collect()
}

/// What is recognised stays so by its labels alone, and by its images alone: whoever mirrors the one has not renamed the
/// other. A name is changed in both.
#[test]
fn what_is_recognised_by_several_things_is_recognised_by_each() {
    type TakeAway = fn(&mut Workload);
    let mut lost_all = BTreeSet::new();
    for name in cases() {
        let case: Case =
            yaml::read(&read(&name, "case.yaml")).unwrap_or_else(|error| panic!("{name}: {error}"));
        let target = &case.judged[0].target;
        let ways: [(&str, TakeAway); 2] = [
            ("labels", |it| {
                for container in it.containers.iter_mut().chain(&mut it.init_containers) {
                    container.image = "registry.example.com/mirror/image@sha256:ab".to_owned();
                }
            }),
            ("images", |it| {
                it.labels.clear();
                it.pod_labels.clear();
            }),
        ];
        let wanted = recognised(&cluster(&name), target);
        for (left, take_away) in ways {
            let mut cluster = cluster(&name);
            for (at, workload) in cluster.inventory.workloads.value.iter_mut().flatten().enumerate() {
                // What kubeadm upgrades is known by its place.
                if workload.name != "coredns" {
                    take_away(workload);
                    workload.name = format!("w{at}");
                }
            }
            for lost in wanted.difference(&recognised(&cluster, target)) {
                lost_all.insert((name.clone(), format!("{lost} by its {left}")));
            }
        }
    }
    let known = KNOWN_BY_ONE.map(|(case, lost)| (case.to_owned(), lost.to_owned()));
    assert_eq!(lost_all, BTreeSet::from(known));
}

#[test]
fn what_is_found_of_a_cluster_is_its_own_and_not_of_the_base() {
    let verdict = cluster(BASE).verdict("v1.36.3");
    assert_eq!(verdict.findings().collect::<Vec<_>>(), Vec::<&Finding>::new());
    assert_eq!(verdict.verdict, verdict::Conclusion::Safe);
}

#[test]
fn every_cluster_says_where_it_is_from_and_who_says_what_is_right() {
    let cases = cases();
    assert!(cases.len() > 40, "{}", cases.len());
    for name in cases {
        let case: Case =
            yaml::read(&read(&name, "case.yaml")).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!case.what.is_empty() && !case.source.is_empty() && !case.judged.is_empty(), "{name}");
        for Source { repository, commit, paths, how } in &case.source {
            let is_hash = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(repository.starts_with("https://") && is_hash, "{name}: {repository} {commit}");
            assert!(!paths.is_empty() && !how.is_empty(), "{name}: {repository}");
        }
        for Judged { page, says, answer, findings, .. } in &case.judged {
            assert!(page.starts_with("https://") && !says.is_empty(), "{name}: {page}");
            assert_eq!(answer == "safe", findings.is_empty(), "{name}");
        }
    }
}
