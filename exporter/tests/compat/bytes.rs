//! Whatever bytes come in, an answer comes out.

use std::collections::BTreeMap;

use lockkeeper_exporter::compat::{Inputs, Output, judge, workloads};
use proptest::prelude::*;

use super::ask;
use super::case::{CASES, Case};

/// Bytes that are nearly a record's: one of them is cut, and something else stands in the cut.
fn nearly(part: fn(&Case) -> Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let cut = (
        any::<prop::sample::Index>(),
        any::<[prop::sample::Index; 2]>(),
        prop::collection::vec(any::<u8>(), 0..4),
    );
    cut.prop_map(move |(case, cut, inside)| {
        let mut bytes = part(case.get(&CASES));
        let mut ends = cut.map(|end| end.index(bytes.len() + 1));
        ends.sort_unstable();
        // Mostly small cuts, or little would be left of the shape.
        let end = ends[1].min(ends[0] + 3);
        bytes.splice(ends[0]..end, inside);
        bytes
    })
}

fn sane(answer: &Output) -> Result<(), TestCaseError> {
    prop_assert!(matches!(answer.code, 0 | 2 | 3 | 4));
    prop_assert_eq!(
        answer.code == 3,
        !answer.faults.is_empty()
            || answer.lines[0].starts_with("could not parse")
            || answer.lines[0].starts_with("bad target")
    );
    prop_assert_eq!(answer.code == 0, answer.lines.first().is_some_and(|line| line.contains(" OK: ")));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_matrix_and_no_answer_makes_it_break_off(
        matrix in prop_oneof![nearly(|case| case.matrix.clone()), prop::collection::vec(any::<u8>(), 0..64)],
        answer in prop_oneof![
            nearly(|case| case.prometheus.clone().unwrap_or_default()),
            prop::collection::vec(any::<u8>(), 0..64)
        ],
    ) {
        let images = workloads(&matrix).into_iter().map(|workload| (workload, "calico/node:v3.26.1".to_owned()));
        sane(&ask("1.36.3", &matrix, &images.collect(), &answer))?;
    }

    #[test]
    fn no_version_makes_it_break_off(target in "\\PC*|v?[0-9]{0,3}\\.[0-9.]{0,6}", kubelets in any::<String>(), image in any::<String>()) {
        let matrix = br#"{"addons": [{"name": "a", "namespace": "", "kind": "", "resource": "", "image_re": "(.*)",
            "max_k8s": {"1.0": "1.35"}}]}"#;
        let workload = workloads(matrix).remove(0);
        let answer = judge(&Inputs {
            arguments: &[target],
            matrix,
            running: None,
            images: &BTreeMap::from([(workload, image)]),
            kubelets: &kubelets,
            runtimes: &kubelets,
            prometheus: Err("refused"),
        });
        sane(&answer)?;
    }

    #[test]
    fn no_pattern_makes_it_break_off(pattern in "\\PC{0,12}|[()\\[\\]?*+{}|^$\\\\.:=!<>PabdwB0-9,-]{0,16}", image in "[a-c:v.0-9\\n]{0,12}") {
        let row = serde_json::json!({"name": "a", "namespace": "", "kind": "", "resource": "", "image_re": pattern, "max_k8s": {}});
        let matrix = serde_json::json!({"addons": [row]}).to_string();
        let images = workloads(matrix.as_bytes()).into_iter().map(|workload| (workload, image.clone())).collect();
        sane(&ask("1.36.3", matrix.as_bytes(), &images, b"{}"))?;
    }
}
