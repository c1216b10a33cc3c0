use std::path::PathBuf;

use lockkeeper_rules::driver::kubeadm::order::{LedgerOrder, NodeTarget, SurveyOrder};
use lockkeeper_rules::driver::order::Read;
use lockkeeper_rules::reason::Reason;
use lockkeeper_rules::run::UncordonOrder;
use lockkeeper_rules::words::name::Token;

use super::*;

/// A file of this test's own, removed with what it left beside it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let scratch =
            Self(std::env::temp_dir().join(format!("lockkeeper-{name}-{}.jsonl", std::process::id())));
        scratch.remove();
        scratch
    }

    fn remove(&self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_file(self.before());
    }

    fn before(&self) -> PathBuf {
        self.0.with_extension("jsonl.1")
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.0).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove();
    }
}

fn result(findings: Vec<Finding>) -> CheckResult {
    CheckResult {
        token: "run.1.1.00".parse().unwrap(),
        form: Form::Start,
        started_at: Timestamp::now(),
        findings,
    }
}

fn firing(detail: &str) -> Vec<Finding> {
    vec![Finding::new(Reason::GateFiring, "A", detail)]
}

#[test]
fn a_refusal_that_stands_is_written_once_and_a_pass_always() {
    let scratch = Scratch::new("repeats");
    let log = DecisionLog::open(Some(&scratch.0)).unwrap();
    for second in 0..1_000 {
        log.check(&result(firing(&format!("for {second} s"))));
    }
    assert_eq!(scratch.lines().len(), 1);
    for findings in [Vec::new(), Vec::new(), firing(""), firing("")] {
        log.check(&result(findings));
    }
    assert_eq!(scratch.lines().len(), 4, "two that passed, and the refusal after them");
}

#[test]
fn what_changes_something_is_written_each_time_and_a_look_that_says_the_same_is_not() {
    let scratch = Scratch::new("commands");
    let log = DecisionLog::open(Some(&scratch.0)).unwrap();
    let node =
        NodeTarget { name: "w-1".into(), addresses: vec!["10.0.0.1".to_owned()], machine_id: "m".to_owned() };
    let look = Command::Read(Read::Kubeadm(LedgerOrder { node, token: "run.1.1.00".parse().unwrap() }));
    for _ in 0..100 {
        log.begin(&look);
        log.end(&look, &[]);
    }
    assert_eq!(scratch.lines().len(), 2);
    assert!(log.end(&look, &firing("")), "another end is news");
    let change = Command::Uncordon(UncordonOrder {
        node: "w-1".into(),
        uid: "u".to_owned(),
        resource_version: "1".to_owned(),
        annotation: String::new(),
    });
    for _ in 0..100 {
        log.begin(&change);
        log.end(&change, &[]);
    }
    assert_eq!(scratch.lines().len(), 3 + 200);
    let told = (0..100).filter(|_| log.end(&change, &firing(""))).count();
    assert_eq!((told, scratch.lines().len()), (1, 204), "a refusal that stands is told once");
}

/// What several nodes make of it: their lines alternate.
#[test]
fn what_is_said_of_one_node_is_no_news_because_of_another() {
    let scratch = Scratch::new("nodes");
    let log = DecisionLog::open(Some(&scratch.0)).unwrap();
    let tokens = ["run.1.1.00", "run.2.1.00"].map(|token| token.parse::<Token>().unwrap());
    let nodes = ["w-1", "w-2"].map(|name| NodeTarget {
        name: name.into(),
        addresses: vec!["10.0.0.1".to_owned()],
        machine_id: "m".to_owned(),
    });
    let looks = [0, 1].map(|n| {
        let order = LedgerOrder { node: nodes[n].clone(), token: tokens[n].clone() };
        let survey = SurveyOrder {
            nodes: vec![nodes[n].clone()],
            target: "v1.36.3".parse().unwrap(),
            kubeadm_on: None,
            manifests_on: Vec::new(),
            with_packages: false,
        };
        [Command::Read(Read::Kubeadm(order)), Command::Look(Look::Kubeadm(survey))]
    });
    let mut told = 0;
    for _ in 0..100 {
        for (look, token) in looks.iter().zip(&tokens) {
            for look in look {
                log.begin(look);
                told += usize::from(log.end(look, &firing("")));
            }
            log.check(&CheckResult { token: token.clone(), ..result(firing("")) });
        }
    }
    assert_eq!((told, scratch.lines().len()), (4, 2 * (2 * 2 + 1)));
}

#[test]
fn no_more_is_remembered_than_has_its_bound() {
    let (mut last, begun) = (LastLines::default(), Instant::now());
    let mut say = |node: usize, second| {
        last.is_news(("end", "cordon", node.to_string()), String::new(), begun + Duration::from_secs(second));
        last.0.len()
    };
    assert_eq!((0..3 * TOPICS_MAX).map(|node| say(node, 0)).max(), Some(TOPICS_MAX));
    assert_eq!(say(0, 300), 1, "what was said long ago is forgotten");
}

#[test]
fn what_is_said_again_and_again_is_written_now_and_then() {
    let (mut last, begun) = (LastLines::default(), Instant::now());
    let news = (0..=900).filter(|second| {
        last.is_news(("check", "", String::new()), "closed".to_owned(), begun + Duration::from_secs(*second))
    });
    assert_eq!(news.collect::<Vec<_>>(), [0, 300, 600, 900]);
}

#[test]
fn a_line_has_a_bound_and_says_what_it_leaves_out() {
    let scratch = Scratch::new("lines");
    let log = DecisionLog::open(Some(&scratch.0)).unwrap();
    let finding = |n: usize| Finding::new(Reason::NodeNotReady, format!("w-{n}"), "ü".repeat(10_000));
    log.check(&result((0..5_000).map(finding).collect()));
    let text = std::fs::read_to_string(&scratch.0).unwrap();
    assert!(text.len() < 50_000, "{} bytes", text.len());
    let findings = scratch.lines()[0]["report"]["findings"].clone();
    let findings = findings.as_array().unwrap();
    assert_eq!((findings.len(), findings.last().unwrap().as_str()), (21, Some("and 4980 more")));
    assert!(findings[0]["detail"].as_str().unwrap().ends_with("ü …"));
}

#[test]
fn a_file_that_is_full_takes_the_place_of_the_one_before_it() {
    let scratch = Scratch::new("turns");
    let mut file = LogFile::open(&scratch.0, 10).unwrap();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    for (line, before, now) in [
        ("12345\n", "", "12345\n"),
        ("678\n", "", "12345\n678\n"),
        ("9\n", "12345\n678\n", "9\n"),
        ("a line that is too long\n", "9\n", "a line that is too long\n"),
        ("b\n", "a line that is too long\n", "b\n"),
    ] {
        file.append(line).unwrap();
        assert_eq!(read(&scratch.0), now);
        assert_eq!(if before.is_empty() { String::new() } else { read(&scratch.before()) }, before);
    }
    // One that was there before is counted, and one that somebody moved is begun anew.
    let mut file = LogFile::open(&scratch.0, 10).unwrap();
    file.append("12345678\n").unwrap();
    assert_eq!((read(&scratch.before()), read(&scratch.0)), ("b\n".to_owned(), "12345678\n".to_owned()));
    std::fs::remove_file(&scratch.0).unwrap();
    file.append("c\n").unwrap();
    assert_eq!(read(&scratch.0), "c\n");
}

#[test]
fn what_is_no_regular_file_is_never_moved() {
    let scratch = Scratch::new("link");
    std::os::unix::fs::symlink("/dev/null", &scratch.0).unwrap();
    let mut file = LogFile::open(&scratch.0, 1).unwrap();
    for _ in 0..3 {
        file.append("line\n").unwrap();
    }
    assert!(scratch.0.symlink_metadata().unwrap().is_symlink() && !scratch.before().exists());
}
