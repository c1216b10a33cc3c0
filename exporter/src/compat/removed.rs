//! Which APIs that the target no longer serves were asked for. Whatever is odd about the answer ends the check with
//! a line that says so; the lines before it stay.

use super::ANSWER_BYTES_MAX;
use super::fault::CheckOutput;
use super::json::{Value, read_body};
use super::number::Minor;
use super::show::plain;

/// Adds a line for each series that names a release up to the target.
pub(super) fn check(target: &Minor, answer: Result<&[u8], &str>, output: &mut CheckOutput) {
    if let Err(error) = series(target, answer, output) {
        output.line(format!(
            "[ACTIONABLE] removed-API check could not query Prometheus ({error}) — refusing to upgrade blind"
        ));
    }
}

fn series(target: &Minor, answer: Result<&[u8], &str>, output: &mut CheckOutput) -> Result<(), String> {
    let body = answer?;
    if body.len() > ANSWER_BYTES_MAX {
        return Err(format!("the answer has more than {ANSWER_BYTES_MAX} bytes"));
    }
    let answer = read_body(body)?;
    let nothing = Value::List(Vec::new());
    let Some(data) = object(&answer, "the answer")?.get("data") else { return Ok(()) };
    let result = object(data, "data")?.get("result").unwrap_or(&nothing);
    let all = match result {
        Value::List(all) => all.as_slice(),
        Value::Map(entries) if entries.is_empty() => &[],
        Value::Text(text) if text.is_empty() => &[],
        other => return Err(format!("result is {}", other.kind())),
    };
    for one in all {
        let labels = object(one, "a series")?.get("metric").ok_or("a series has no metric")?;
        if let Some(line) = line(target, object(labels, "metric")?)? {
            output.line(line);
        }
    }
    Ok(())
}

fn object<'v>(value: &'v Value, name: &str) -> Result<&'v Value, String> {
    match value {
        Value::Map(_) => Ok(value),
        other => Err(format!("{name} is {}", other.kind())),
    }
}

fn line(target: &Minor, labels: &Value) -> Result<Option<String>, String> {
    let release = match labels.get("removed_release") {
        Some(Value::Text(text)) => text,
        Some(other) if other.is_truthy() => return Err(format!("removed_release is {}", other.kind())),
        _ => return Ok(None),
    };
    let is_gone =
        Minor::find(release).map_err(|error| error.to_string())?.is_some_and(|gone| *target >= gone);
    if !is_gone {
        return Ok(None);
    }
    let label = |name| labels.get(name).map_or_else(|| "None".to_owned(), plain);
    let group =
        labels.get("group").filter(|group| group.is_truthy()).map_or_else(|| "core".to_owned(), plain);
    Ok(Some(format!(
        "[ACTIONABLE] deprecated API {group}/{} {} is in use and is removed in k8s {release} (target {target}) — \
         migrate callers first",
        label("version"),
        label("resource"),
    )))
}
