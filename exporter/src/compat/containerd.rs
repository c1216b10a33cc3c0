//! Whether each node's container runtime has reached the floor of the target. Whatever it is, it is compared as
//! containerd.

use super::fault::{CheckOutput, Fault, shown};
use super::json::Value;
use super::number::Minor;
use super::show::plain;
use super::text;

/// Adds a line for each node below the floor, if the matrix has one for exactly this minor.
pub(super) fn check(matrix: &Value, target: &Minor, runtimes: &str, output: &mut CheckOutput) {
    let place = format!("the matrix, field containerd_min, key {target}");
    let floors = match matrix.get("containerd_min") {
        None => return,
        Some(floors @ Value::Map(_)) => floors,
        Some(other) => {
            let found = format!("is {}", other.kind());
            let remedy = "write an object of Kubernetes and containerd versions";
            return output.fault(Fault::new("the matrix, field containerd_min", found, remedy));
        }
    };
    let key = target.to_string();
    let Some(floor) = floors.get(&key).filter(|floor| floor.is_truthy()) else { return };
    for line in text::lines(runtimes) {
        let (node, runtime) = line.split_once(' ').unwrap_or((line, ""));
        let version = runtime.replace("containerd://", "");
        let found = match Minor::find(&version) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(error) => {
                let place = format!("the container runtime of node {}", shown(node));
                return output.fault(Fault::new(place, error, "look at what the node reports"));
            }
        };
        match minor(floor) {
            Err(found) => {
                let remedy = "write a version such as \"1.7\", in quotation marks";
                return output.fault(Fault::new(place, found, remedy));
            }
            Ok(required) if found < required => output.line(format!(
                "[ACTIONABLE] node {node} containerd {version} < required {} for k8s {target} — bump containerd first",
                plain(floor)
            )),
            Ok(_) => {}
        }
    }
}

fn minor(floor: &Value) -> Result<Minor, String> {
    let Value::Text(text) = floor else { return Err(format!("is {}", floor.kind())) };
    let found = Minor::find(text).map_err(|error| format!("is {error}"))?;
    found.ok_or_else(|| format!("{} is no version", shown(text)))
}
