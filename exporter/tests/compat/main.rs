//! Seed mode against the recorded answers of the first gate. `record.py` beside this file makes inputs and records anew;
//! `SEED_ANSWERS=FILE` compares with another record.

mod bytes;
mod case;
mod differential;
mod rows;

use std::collections::BTreeMap;

use case::{CASES, Case, OTHER_RECORD};
use lockkeeper_exporter::compat::{Fault, Inputs, Output, Workload, judge, workloads};

impl Case {
    fn answer(&self) -> Output {
        judge(&Inputs {
            arguments: &self.arguments,
            matrix: &self.matrix,
            running: self.running.as_deref(),
            images: &self.images,
            kubelets: &self.kubelets,
            runtimes: &self.runtimes,
            prometheus: self.prometheus.as_deref().map_err(String::as_str),
        })
    }

    /// How ours answers otherwise; none if it does not.
    fn difference(&self) -> Option<String> {
        let answer = self.answer();
        let same = match self.code {
            1 => answer.code == 3 && !answer.faults.is_empty(),
            code => {
                let (ours, theirs) = (without_reasons(&answer.lines), without_reasons(&self.lines));
                answer.code == code && answer.faults.is_empty() && ours == theirs
            }
        };
        (!same).then(|| {
            let matrix = String::from_utf8_lossy(&self.matrix);
            let Self { row, code, lines, arguments, running, images, kubelets, runtimes, .. } = self;
            format!(
                "{row}: theirs {code} {lines:#?}\nours {answer:#?}\n{arguments:?} running {running:?} {matrix}\n\
                 {images:?}\n{kubelets:?} {runtimes:?}"
            )
        })
    }

    /// Why ours refuses a pattern that theirs asks; none if it says anything else than theirs beside that.
    fn refusal(&self) -> Option<String> {
        let Output { code, lines, faults } = self.answer();
        let theirs = without_reasons(&self.lines);
        let are_theirs = lines.iter().all(|line| theirs.contains(&without_reason(line)));
        let why = |fault: &Fault| {
            let (_, why) = fault.found.split_once("is not supported: ")?;
            fault.place.ends_with("field image_re").then(|| why.to_owned())
        };
        let whys: Option<Vec<String>> = faults.iter().map(why).collect();
        whys.filter(|_| self.code != 1 && code == 3 && are_theirs)?.into_iter().next()
    }
}

/// How many cases of the record have a pattern that ours refuses. Each more is an answer that somebody no longer gets.
const REFUSED: usize = 12;

fn without_reasons(lines: &[String]) -> String {
    lines.iter().map(|line| without_reason(line)).collect::<Vec<_>>().join("\n")
}

/// The words of an exception are its language's.
fn without_reason(line: &str) -> String {
    const START: &str = "[ACTIONABLE] removed-API check could not query Prometheus (";
    match line.strip_prefix(START) {
        Some(reason) => format!("{START}{}", reason.rsplit_once(") — ").map_or(reason, |(_, rest)| rest)),
        None => line.to_owned(),
    }
}

#[test]
fn every_recorded_answer_is_ours_or_its_pattern_is_refused() {
    let (mut by_code, mut differing, mut refused) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    for case in CASES.iter() {
        *by_code.entry(case.code).or_insert(0) += 1;
        let Some(difference) = case.difference() else { continue };
        match case.refusal() {
            Some(why) => *refused.entry(why).or_insert(0) += 1,
            None => differing.push(difference),
        }
    }
    println!("{} cases, by code {by_code:?}; refused {refused:#?}; {} differ", CASES.len(), differing.len());
    assert!(CASES.len() >= 2_000, "{}", CASES.len());
    assert!(differing.is_empty(), "{} differ, such as {}", differing.len(), differing[0]);
    // Another record has others.
    if std::env::var_os(OTHER_RECORD).is_none() {
        assert_eq!(refused.values().sum::<usize>(), REFUSED, "{refused:#?}");
    }
}

fn ask(target: &str, matrix: &[u8], images: &BTreeMap<Workload, String>, prometheus: &[u8]) -> Output {
    judge(&Inputs {
        arguments: &[target.to_owned()],
        matrix,
        running: None,
        images,
        kubelets: "v1.35.1\n",
        runtimes: "n1 containerd://1.6.1\n",
        prometheus: Ok(prometheus),
    })
}

#[test]
fn every_fault_is_told_with_its_remedy_and_what_else_was_found() {
    let matrix = br#"{"addons": [
        {"name": "a", "namespace": "n", "kind": "ds", "resource": "a", "image_re": "(x)", "max_k8s": {"1.x": "1.36"}},
        {"namespace": "n", "kind": "ds", "resource": "b", "image_re": "(x"},
        {"name": "c", "namespace": "n", "kind": "ds", "resource": "gone", "image_re": "(x)"},
        7], "containerd_min": {"1.36": 2.0}}"#;
    let workload = |name: &str| Workload { namespace: "n".into(), kind: "ds".into(), name: name.into() };
    assert_eq!(workloads(matrix), [workload("a"), workload("b"), workload("gone")]);
    let images = BTreeMap::from([(workload("a"), "x".to_owned()), (workload("b"), "x".to_owned())]);
    let answer = ask("1.36.3", matrix, &images, b"{}");
    let line =
        "[ACTIONABLE] addon c: could not read running version (img='not found') — refusing to upgrade blind";
    assert_eq!((answer.code, answer.lines), (3, vec![line.to_owned()]));
    let faults: Vec<_> = answer.faults.iter().map(ToString::to_string).collect();
    let expected = [
        r#"add-on "a", field max_k8s: "1.x" is no version; write a version such as "1.36", in quotation marks"#,
        "add-on number 2, field image_re: \"(x\" is no valid pattern: a group is not closed; write a pattern whose \
         first group is the version",
        "add-on number 4: is a number; write an object for each add-on",
        "the matrix, field containerd_min, key 1.36: is a number; write a version such as \"1.7\", in quotation marks",
    ];
    assert_eq!(faults, expected);
}

#[test]
fn what_is_too_large_is_no_answer() {
    use lockkeeper_exporter::compat::{ANSWER_BYTES_MAX, MATRIX_BYTES_MAX};
    let none = BTreeMap::new();
    let spaces = |count| [b"{}".as_slice(), &vec![b' '; count]].concat();
    let answer = ask("1.36", &spaces(MATRIX_BYTES_MAX), &none, b"{}");
    assert_eq!((answer.code, answer.faults.len()), (3, 1));
    let answer = ask("1.36", b"{}", &none, &spaces(ANSWER_BYTES_MAX));
    assert_eq!((answer.code, answer.lines.len()), (2, 1));
    // A floor of a megabyte, printed for each of a thousand nodes.
    let matrix = format!(r#"{{"containerd_min": {{"1.36": "2.0{}"}}}}"#, "x".repeat(1 << 20));
    let answer = judge(&Inputs {
        arguments: &["1.36".to_owned()],
        matrix: matrix.as_bytes(),
        running: None,
        images: &none,
        kubelets: "",
        runtimes: &"n containerd://1.0\n".repeat(1_000),
        prometheus: Ok(b"{}"),
    });
    assert_eq!((answer.code, answer.faults.len()), (3, 1));
    assert!(answer.lines.len() < 20, "{}", answer.lines.len());
}
