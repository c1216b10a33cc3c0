//! The record: inputs, each with the answer of the first gate.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use lockkeeper_exporter::compat::Workload;
use serde_json::Value;

/// One input with the answer of the first gate.
pub(super) struct Case {
    pub(super) row: String,
    pub(super) code: u8,
    pub(super) lines: Vec<String>,
    pub(super) arguments: Vec<String>,
    pub(super) matrix: Vec<u8>,
    pub(super) running: Option<String>,
    pub(super) images: BTreeMap<Workload, String>,
    pub(super) kubelets: String,
    pub(super) runtimes: String,
    pub(super) prometheus: Result<Vec<u8>, String>,
}

/// The variable with the path of another record to compare with.
pub(super) const OTHER_RECORD: &str = "SEED_ANSWERS";

/// Every recorded input.
pub(super) static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| match std::env::var(OTHER_RECORD) {
    Ok(path) => cases(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))),
    Err(_) => cases(include_str!("answers.jsonl")),
});

fn cases(record: &str) -> Vec<Case> {
    let lines: Vec<Value> = record.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.iter().filter_map(|line| line.as_array()).map(|fields| case(&lines, fields)).collect()
}

fn case(pool: &[Value], fields: &[Value]) -> Case {
    let [row, code, lines, arguments, matrix, running, images, kubelets, runtimes, prometheus] = fields
    else {
        panic!("a case has ten fields: {fields:?}")
    };
    let entry = |number: &Value| &pool[usize::try_from(number.as_u64().unwrap()).unwrap()];
    let text = |number: &Value| entry(number).as_str().unwrap().to_owned();
    let texts = |numbers: &Value| numbers.as_array().unwrap().iter().map(text).collect();
    let bytes = |number: &Value| match &entry(number)["hex"] {
        Value::String(digits) => {
            let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            (0..digits.len()).step_by(2).map(byte).collect()
        }
        _ => text(number).into_bytes(),
    };
    let image = |quad: &Value| {
        let word = |place: usize| quad[place].as_str().unwrap().to_owned();
        (Workload { namespace: word(0), kind: word(1), name: word(2) }, word(3))
    };
    Case {
        row: row.as_str().unwrap().to_owned(),
        code: code.as_u64().unwrap().try_into().unwrap(),
        lines: texts(lines),
        arguments: texts(arguments),
        matrix: bytes(matrix),
        running: (!running.is_null()).then(|| text(running)),
        images: entry(images)["images"].as_array().unwrap().iter().map(image).collect(),
        kubelets: text(kubelets),
        runtimes: text(runtimes),
        prometheus: match prometheus["error"].as_u64() {
            Some(status) => Err(format!("HTTP {status}")),
            None => Ok(bytes(prometheus)),
        },
    }
}
