//! Seed mode: the answer that the first gate would give, for matrices without a `schema`. Only the command line asks.
//!
//! The same exit code and the same lines in the same order, from the same input: the first three numbers that a node
//! reports are two here, a failed read is an empty text, and an empty answer of Prometheus is good news. That is
//! kept for those who compare; it decides nothing about a run. What made that gate break off is exit code 3 here,
//! with a [`Fault`] for each place and its remedy, and what else was found is still told.
//!
//! ```text
//!   target ≤ running? ── no ──▶ addons ──┐
//!   matrix ──────────────────────────────┼──▶ lines ──▶ code: 0 none, 4 one is held, 2 otherwise, 3 a fault
//!   Prometheus ────────▶ removed ────────┤
//!   runtimes ──────────▶ containerd ─────┘
//! ```
//!
//! Stricter in what no file in use has: limits on sizes and nesting ([`MATRIX_BYTES_MAX`] and what stands beside it; see
//! also `json`), and patterns that the engine would ask otherwise (`pattern`). Beyond a limit the code is 3, and a
//! Prometheus answer is unread.
//!
//! Reading a cluster is its own here ([`cluster`]), because that gate takes what cannot be read for empty.

mod addons;
pub mod cluster;
mod containerd;
mod fault;
mod json;
mod number;
mod pattern;
mod removed;
mod show;
mod text;

use std::collections::BTreeMap;

use fault::CheckOutput;
pub use fault::Fault;
use json::Value;
use number::Minor;

/// The largest matrix that is read, in bytes: what fits into a ConfigMap, and some more.
pub const MATRIX_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The largest answer of Prometheus that is read, in bytes.
pub const ANSWER_BYTES_MAX: usize = lockkeeper_rules::wire::prometheus::ANSWER_BYTES_MAX;
/// The most text of all lines, in bytes.
const LINES_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The metric whose instant vector is asked of Prometheus.
pub const METRIC: &str = "apiserver_requested_deprecated_apis";

/// A workload whose images tell an add-on's version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// Its kind, in any form that kubectl knows: `ds`, `Deployment`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// Everything the answer depends on.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// The arguments; the first is the target, others are passed over.
    pub arguments: &'a [String],
    /// The matrix, as it came on standard input.
    pub matrix: &'a [u8],
    /// The running version, instead of what the kubelets report: only for tests, and never from the environment. An
    /// empty one is none.
    pub running: Option<&'a str>,
    /// The images of all containers in a workload's template, with spaces between them; none or empty if the read
    /// failed.
    pub images: &'a BTreeMap<Workload, String>,
    /// One line for each node: the version of its kubelet. Empty if the read failed.
    pub kubelets: &'a str,
    /// One line for each node: its name, a space, its container runtime. Empty if the read failed.
    pub runtimes: &'a str,
    /// What Prometheus answered to [`METRIC`], or why it did not.
    pub prometheus: Result<&'a [u8], &'a str>,
}

/// The exit code with what is printed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// 0 safe, 2 blocked, 4 held, 3 no answer.
    pub code: u8,
    /// What goes to standard output. A line may have ends of lines in it if a name has.
    pub lines: Vec<String>,
    /// Why there is no answer, where the first gate would have broken off. The code is then 3.
    pub faults: Vec<Fault>,
}

/// The workloads that a matrix names, each once; none if it is no matrix.
#[must_use]
pub fn workloads(matrix: &[u8]) -> Vec<Workload> {
    let Ok(matrix) = json::read_input(matrix.get(..MATRIX_BYTES_MAX).unwrap_or(matrix)) else {
        return Vec::new();
    };
    let Some(Value::List(rows)) = matrix.get("addons") else { return Vec::new() };
    let mut workloads: Vec<_> = rows.iter().filter_map(addons::workload).collect();
    workloads.sort();
    workloads.dedup();
    workloads
}

/// What the first gate would answer.
#[must_use]
pub fn judge(inputs: &Inputs<'_>) -> Output {
    let Some(argument) = inputs.arguments.first() else {
        return refused("usage: compat-gate.py (matrix JSON on stdin)".to_owned());
    };
    let target = match Minor::find(argument) {
        Ok(Some(target)) => target,
        Ok(None) => return refused(format!("bad target version '{argument}'")),
        Err(error) => return broken(Fault::new("the target", error, "name a version such as 1.36.3")),
    };
    if inputs.matrix.len() > MATRIX_BYTES_MAX {
        let found = format!("more than {MATRIX_BYTES_MAX} bytes");
        return broken(Fault::new("the matrix", found, "split it, or keep fewer rows"));
    }
    let matrix = match json::read_input(inputs.matrix) {
        Ok(matrix) => matrix,
        Err(error) => return refused(format!("could not parse compat matrix JSON: {error}")),
    };
    let mut output = CheckOutput::default();
    if let Value::Map(_) = matrix {
        match running(inputs) {
            Ok(running) => addons::check(&matrix, &target, running.as_ref(), inputs.images, &mut output),
            Err(fault) => output.fault(fault),
        }
    } else {
        let found = format!("is {}", matrix.kind());
        output.fault(Fault::new(
            "the matrix",
            found,
            "write an object with \"addons\" and \"containerd_min\"",
        ));
    }
    removed::check(&target, inputs.prometheus, &mut output);
    containerd::check(&matrix, &target, inputs.runtimes, &mut output);
    answer(output, argument)
}

/// The oldest kubelet; none if no version can be read.
fn running(inputs: &Inputs<'_>) -> Result<Option<Minor>, Fault> {
    let fault = |place: &str, error| Fault::new(place, error, "look at the versions that the nodes report");
    if let Some(text) = inputs.running.filter(|text| !text.is_empty()) {
        return Minor::find(text).map_err(|error| fault("the running version", error));
    }
    let mut oldest = None;
    for line in text::lines(inputs.kubelets) {
        let minor = Minor::find(line).map_err(|error| fault("the versions of the kubelets", error))?;
        oldest = [oldest, minor].into_iter().flatten().min();
    }
    Ok(oldest)
}

fn answer(output: CheckOutput, argument: &str) -> Output {
    let CheckOutput { mut lines, faults, .. } = output;
    let is_held = |line: &String| line.starts_with("[WAITING]") || line.starts_with("[PINNED]");
    let code = if !faults.is_empty() {
        3
    } else if lines.is_empty() {
        lines.push(format!("compat-gate OK: cluster is safe to upgrade to {argument}"));
        0
    } else if lines.iter().any(is_held) {
        4
    } else {
        2
    };
    Output { code, lines, faults }
}

fn refused(line: String) -> Output {
    Output { code: 3, lines: vec![line], faults: Vec::new() }
}

fn broken(fault: Fault) -> Output {
    Output { code: 3, lines: Vec::new(), faults: vec![fault] }
}
