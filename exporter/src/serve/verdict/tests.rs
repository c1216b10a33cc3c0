use lockkeeper_rules::cluster::inventory::{Container, Inventory, WorkloadKind};
use lockkeeper_rules::cluster::snapshot::{ApiServer, Node, Role, Snapshot, Source};
use lockkeeper_rules::facts::Matrix;
use lockkeeper_rules::settings::Settings;
use lockkeeper_rules::words::version::Version;

use super::*;

struct Cluster {
    snapshot: Snapshot,
    inventory: Inventory,
    matrix: Matrix,
    settings: Settings,
    now: Timestamp,
}

const ROW: &str = "schema: 2\nas_of: \"2026-09-01\"\naddons:\n- {name: net, namespace: kube-system, kind: ds, \
    resource: net-node, image_re: 'net/node:v(\\d+\\.\\d+\\.\\d+)', claim: supported, \
    max_k8s: {\"1.0\": \"1.36\", \"1.2\": \"1.37\"}, source: \"https://example.com/net\"}\n";

fn workload(namespace: &str, name: &str, image: &str) -> Workload {
    Workload {
        priority_class: "system-node-critical".to_owned(),
        containers: vec![Container { name: "main".to_owned(), image: image.to_owned() }],
        ..Workload::silent(WorkloadKind::DaemonSet, namespace, name)
    }
}

fn cluster() -> Cluster {
    let now: Timestamp = "2026-12-01T03:04:05Z".parse().unwrap();
    let version = |text: &str| text.parse::<Version>().unwrap();
    let mut snapshot = Snapshot::unread();
    snapshot.packages = Source::read(crate::read::packages::of(&["1.36.1", "1.36.3", "1.37.0"]), now);
    let server = ApiServer { name: "cp-1".to_owned(), version: Ok(version("1.36.1")), ready: true };
    snapshot.api_servers = Source::read(vec![server], now);
    let workloads = vec![
        workload("kube-system", "net-node", "net/node:v1.1.0"),
        workload("kube-system", "own<b>\u{1b}", "own/thing:v7"),
    ];
    let mut inventory = Inventory::unread();
    inventory.workloads = Source::read(workloads, now);
    inventory.definitions = Source::read(Vec::new(), now);
    inventory.webhooks = Source::read(Vec::new(), now);
    let matrix = Matrix::load(&[("mine.yaml", ROW)]).unwrap();
    Cluster { snapshot, inventory, matrix, settings: Settings::default(), now }
}

fn render<T>(targets: &[&str], draw: impl FnOnce(&Report<'_>) -> T) -> T {
    render_of(&cluster(), targets, Detail::Short, draw)
}

fn render_of<T>(
    cluster: &Cluster,
    targets: &[&str],
    detail: Detail,
    draw: impl FnOnce(&Report<'_>) -> T,
) -> T {
    let Cluster { snapshot, inventory, matrix, settings, now } = cluster;
    let case = Case { snapshot, inventory, matrix, settings, now: *now };
    let judgements: Vec<_> = targets.iter().map(|target| Arc::new(Judgement::of(target, &case))).collect();
    draw(&Report::new(&judgements, &uncovered(inventory, matrix), &case, detail))
}

#[test]
fn the_answer_and_the_next_step_come_first_and_what_passed_in_one_line() {
    let text = render(&["v1.37.0"], |report| report.text());
    let head = "v1.37.0: UNKNOWN, exit code 3, judged 0 s ago at 2026-12-01T03:04:05Z\n  next: ";
    assert!(text.starts_with(head), "{text}");
    let places = [
        "  unknown path: source_unreadable (1): ",
        "  block addons: addon_upgrade_needed (1): ",
        "    net: 1.1.0 fits up to 1.36",
        "  plan\n    1. upgrade net from 1.1.0 to at least 1.2.0\n    2. upgrade Kubernetes from 1.36 to 1.37\n",
        "  note addons: addon_not_covered (1): ",
        "    DaemonSet kube-system/own<b>",
        "  passed, ",
    ]
    .map(|words| text.find(words).unwrap_or_else(|| panic!("{words:?} is not in\n{text}")));
    assert!(places.is_sorted(), "{text}");
    assert!(text.contains("    -> fix the source that is named\n"), "{text}");
    assert!(text.contains("    the rule: https://kubernetes.io/releases/version-skew-policy/\n"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("\nsources\n"), "{text}");
    let passed = text.lines().find(|line| line.starts_with("  passed, ")).unwrap();
    assert!(passed.contains("target") && passed.contains("matrix"), "{passed}");
}

#[test]
fn everything_is_told_where_it_is_asked_for() {
    let text = render_of(&cluster(), &["v1.37.0"], Detail::Verbose, |report| report.text());
    for words in [
        "  checks, with what each has read\n",
        "    unknown  kubelet_skew",
        "    pass     target                target: 1 (0 s old)",
        "\nnot covered: they look like add-ons, and no row judges them\n  DaemonSet kube-system/own<b>",
        "\ndata\nSECTION ",
        "\nsources\n  nodes              never proven; FAILS: not read yet\n",
    ] {
        assert!(text.contains(words), "{words:?} in\n{text}");
    }
}

#[test]
fn many_subjects_of_one_reason_are_one_group_that_counts_those_it_does_not_name() {
    let mut cluster = cluster();
    let more = (0..30).map(|number| workload("kube-system", &format!("own-{number:02}"), "own/thing:v7"));
    cluster.inventory.workloads.value.as_mut().unwrap().extend(more);
    let of = |detail| {
        let json = render_of(&cluster, &["v1.37.0"], detail, |report| report.json());
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let notes = json["verdicts"][0]["notes"].as_array().unwrap().clone();
        notes.into_iter().find(|group| group["reason"] == "addon_not_covered").unwrap()
    };
    let counted =
        |group: &serde_json::Value| (group["count"].as_u64(), group["subjects"].as_array().unwrap().len());
    assert_eq!(counted(&of(Detail::Short)), (Some(31), 20));
    assert_eq!(counted(&of(Detail::Verbose)), (Some(31), 31));
    let text = render_of(&cluster, &["v1.37.0"], Detail::Short, |report| report.text());
    assert!(text.contains("    and 11 more: ask with ?verbose, or --verbose\n"), "{text}");
}

#[test]
fn the_heads_of_several_answers_come_before_what_they_are_made_of() {
    let text = render(&["v1.36.3", "v1.37.0"], |report| report.text());
    let places =
        ["v1.36.3: UNKNOWN, exit", "v1.37.0: UNKNOWN, exit", "\nv1.36.3: UNKNOWN\n", "\nv1.37.0: UNKNOWN\n"]
            .map(|words| text.find(words).unwrap_or_else(|| panic!("{words:?} is not in\n{text}")));
    assert!(places.is_sorted(), "{text}");
    assert!(render(&[], |report| report.text()).starts_with("no target: no newer version is published"));
}

#[test]
fn a_browser_is_told_the_same_words_and_nothing_is_a_tag() {
    let (text, page) = render(&["v1.37.0"], |report| (report.text(), report.html()));
    let bare = page.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    for word in text.split_whitespace() {
        assert!(bare.contains(&word.replace("&amp;", "&")), "{word} is missing in\n{page}");
    }
    assert!(page.contains("own&lt;b&gt;") && !page.contains("own<b>") && !page.contains('\u{1b}'), "{page}");
}

#[test]
fn programs_are_told_all_of_it() {
    let json: serde_json::Value =
        serde_json::from_str(&render(&["v1.37.0", "nonsense"], |report| report.json())).unwrap();
    let first = &json["verdicts"][0];
    assert_eq!(first["exit_code"], 3);
    assert_eq!(first["way"]["bridge"]["plan"][0]["addon"]["to"], "1.2.0");
    assert_eq!(first["blind"].as_array().unwrap()[0], "path", "{first:#}");
    let row = first["in_the_way"].as_array().unwrap().iter().find(|row| row["check"] == "addons").unwrap();
    assert_eq!([&row["class"], &row["reason"]], ["block", "addon_upgrade_needed"]);
    assert_eq!((row["count"].as_u64(), &row["subjects"][0]["subject"]), (Some(1), &"net".into()));
    let detail = row["subjects"][0]["detail"].as_str().unwrap();
    assert!(!first["next_step"].as_str().unwrap().is_empty() && first["age_seconds"] == 0, "{first:#}");
    assert_eq!(first["checks"][0]["status"], "pass");
    assert!(first["checks"][0].get("recognised").is_none());
    let words =
        ["1.1.0 fits up to 1.36", "1.37 is asked for", "upgrade it to >= 1.2.0", "https://example.com/net"];
    assert!(words.iter().all(|word| detail.contains(word)), "{detail}");
    assert!(!row["remedy"].as_str().unwrap().is_empty());
    assert_eq!(json["verdicts"][1]["in_the_way"][0]["source"], "https://kubernetes.io/releases/");
    assert_eq!(json["verdicts"][1]["exit_code"], 2);
    assert!(json["verdicts"][1]["way"].is_null());
    assert_eq!(json["not_covered"]["workloads"].as_array().unwrap().len(), 1);
    assert_eq!(json["data"][0]["is_stale"], false);
    assert_eq!(json["sources"][0]["source"], "nodes");
}

#[test]
fn nodes_that_cannot_be_upgraded_are_told_apart_and_together() {
    let mut cluster = cluster();
    let node = |number: usize| Node {
        operating_system: "linux".to_owned(),
        os_image: "Ubuntu 24.04.1 LTS".to_owned(),
        architecture: "arm64".to_owned(),
        kubelet_version: Ok("v1.36.1+k3s1".parse().unwrap()),
        ..Node::silent(&format!("n-{number:02}"), Role::Worker)
    };
    cluster.snapshot.nodes = Source::read((0..22).map(node).collect(), cluster.now);
    let (text, json) =
        render_of(&cluster, &["v1.36.3"], Detail::Short, |report| (report.text(), report.json()));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let first = &json["verdicts"][0];
    let row = &first["driver"][0];
    let subjects = row["subjects"].as_array().unwrap();
    assert_eq!((row["count"].as_u64(), subjects.len()), (Some(22), 20));
    assert_eq!([&row["class"], &row["reason"]], ["block", "kubelet_of_vendor"]);
    assert_eq!(subjects[0]["subject"], "n-00");
    assert!(!row["remedy"].as_str().unwrap().is_empty());
    assert!(first["in_the_way"].as_array().unwrap().iter().all(|row| row["check"] != "driver"));
    let told: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("not all of this cluster can be upgraded by Lockkeeper"), "{text}");
    assert!(told.contains("n-18, n-19: v1.36.1+k3s1") && told.contains(" and 2 more: "), "{text}");
    assert_eq!(text.matches("kubelet_of_vendor").count(), 1, "{text}");
}

#[test]
fn newer_files_that_were_refused_are_told_also_where_nothing_is_asked() {
    let mut cluster = cluster();
    assert!(!render_of(&cluster, &[], Detail::Short, |report| report.text()).contains("REFUSED"));
    cluster.matrix.refused = Matrix::load(&[("mine.yaml", "schema: 2\n")]).unwrap_err();
    let text = render_of(&cluster, &[], Detail::Short, |report| report.text());
    let words =
        "\n  newer files REFUSED: mine.yaml:1:1: the file: found no as_of, expected the\n      field as_of\n";
    assert!(text.contains(words), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&render_of(&cluster, &["v1.36.3"], Detail::Short, |report| report.json()))
            .unwrap();
    assert_eq!(json["matrix"]["files"].as_array().unwrap().last().unwrap(), "mine.yaml");
    assert_eq!(json["matrix"]["refused"].as_array().unwrap().len(), 1);
    let groups = json["verdicts"][0]["in_the_way"].as_array().unwrap();
    assert!(groups.iter().any(|group| group["check"] == "matrix" && group["reason"] == "matrix_refused"));
}
