//! Whether each add-on supports the target: its ceiling is the one of the highest floor that it has reached.

use std::collections::BTreeMap;

use super::Workload;
use super::fault::{CheckOutput, Fault, shown};
use super::json::Value;
use super::number::Minor;
use super::pattern::{Found, search};
use super::show::plain;
use super::text::strip;

const VERSION_REMEDY: &str = "write a version such as \"1.36\", in quotation marks";

/// Adds a line for each add-on that does not support the target. Up to the running minor nothing is asked: what
/// runs there has proved itself.
pub(super) fn check(
    matrix: &Value,
    target: &Minor,
    running: Option<&Minor>,
    images: &BTreeMap<Workload, String>,
    output: &mut CheckOutput,
) {
    if running.is_some_and(|running| target <= running) {
        return;
    }
    let rows = match matrix.get("addons") {
        None => return,
        Some(Value::List(rows)) => rows,
        Some(Value::Map(entries)) if entries.is_empty() => return,
        Some(Value::Text(text)) if text.is_empty() => return,
        Some(other) => {
            let found = format!("is {}", other.kind());
            output.fault(Fault::new("the matrix, field addons", found, "write a list of add-ons"));
            return;
        }
    };
    for (number, row) in (1..).zip(rows) {
        match (Addon { row, number, target }).judge(images) {
            Ok(Some(line)) => output.line(line),
            Ok(None) => {}
            Err(fault) => output.fault(fault),
        }
    }
}

/// The workload of a row, if all three words are texts.
pub(super) fn workload(row: &Value) -> Option<Workload> {
    let text = |key| match row.get(key) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    Some(Workload { namespace: text("namespace")?, kind: text("kind")?, name: text("resource")? })
}

struct Addon<'a> {
    row: &'a Value,
    /// Its place in the list, from 1.
    number: usize,
    target: &'a Minor,
}

/// A floor with its ceiling, as the matrix writes them.
type Row<'a> = (&'a str, Minor, &'a Value);

impl Addon<'_> {
    fn judge(&self, images: &BTreeMap<Workload, String>) -> Result<Option<String>, Fault> {
        let Value::Map(_) = self.row else {
            return Err(self.fault("", format!("is {}", self.row.kind()), "write an object for each add-on"));
        };
        for field in ["namespace", "kind", "resource"] {
            self.required(field)?;
        }
        // A word that is no text finds no workload, and is no error.
        let image = workload(self.row).and_then(|workload| images.get(&workload));
        let image = strip(image.map_or("", String::as_str));
        let Some(version) = self.version(image)? else {
            let image = if image.is_empty() { "not found" } else { image };
            return Ok(Some(format!(
                "[ACTIONABLE] addon {}: could not read running version (img='{image}') — refusing to upgrade blind",
                self.name()?
            )));
        };
        let shown = version.as_deref().unwrap_or("None");
        let rows = self.rows()?;
        let running = if rows.is_empty() { None } else { Some(self.running(version.as_deref())?) };
        let row = running.as_ref().and_then(|running| row_of(&rows, running));
        let (Some((_, _, ceiling)), Some(running)) = (row, &running) else {
            return Ok(Some(format!(
                "[ACTIONABLE] addon {} v{shown}: below the lowest version in the compat matrix — unknown k8s support",
                self.name()?
            )));
        };
        if *self.target <= self.ceiling(ceiling)? {
            return Ok(None);
        }
        let (name, target) = (self.name()?, self.target);
        let base =
            format!("addon {name} v{shown} supports k8s <= {}; target {target} exceeds it", plain(ceiling));
        if self.row.get("pinned").is_some_and(Value::is_truthy) {
            let reason = self.row.get("pin_reason").map_or_else(|| "deliberately pinned".to_owned(), plain);
            return Ok(Some(format!("[PINNED] {base} — pinned ({reason}); holding")));
        }
        Ok(Some(match self.remedy(&rows, running)? {
            Some(floor) => format!("[ACTIONABLE] {base} — upgrade {name} to >= {floor}"),
            None => format!("[WAITING] {base} — no released {name} version supports k8s {target} yet"),
        }))
    }

    /// What the pattern finds: none if it finds nothing; inside, none if its group took no part.
    fn version(&self, image: &str) -> Result<Option<Option<String>>, Fault> {
        const REMEDY: &str = "write a pattern whose first group is the version";
        let pattern = match self.required("image_re")? {
            Value::Text(pattern) => pattern,
            other => return Err(self.fault("image_re", format!("is {}", other.kind()), REMEDY)),
        };
        match search(pattern, image) {
            Ok(Found::Nothing) => Ok(None),
            Ok(Found::Version(version)) => Ok(Some(version)),
            Ok(Found::NoGroup) => Err(self.fault("image_re", "has no group".to_owned(), REMEDY)),
            Err(error) => Err(self.fault("image_re", format!("{} {error}", shown(pattern)), REMEDY)),
        }
    }

    /// The rows of `max_k8s`, in the order of the matrix.
    fn rows(&self) -> Result<Vec<Row<'_>>, Fault> {
        let entries = match self.required("max_k8s")? {
            Value::Map(entries) => entries,
            other => {
                let remedy = "write an object of add-on versions and Kubernetes versions";
                return Err(self.fault("max_k8s", format!("is {}", other.kind()), remedy));
            }
        };
        let row = |(floor, ceiling)| {
            let floor: &String = floor;
            match Minor::find(floor) {
                Ok(Some(minor)) => Ok((floor.as_str(), minor, ceiling)),
                Ok(None) => Err(self.no_version("max_k8s", floor)),
                Err(error) => Err(self.fault("max_k8s", error.to_string(), VERSION_REMEDY)),
            }
        };
        entries.iter().map(|(floor, ceiling)| row((floor, ceiling))).collect()
    }

    fn running(&self, version: Option<&str>) -> Result<Minor, Fault> {
        let remedy = "write a pattern whose first group is always a version, and look at the image";
        match Minor::find(version.unwrap_or("")) {
            Ok(Some(minor)) => Ok(minor),
            Ok(None) => {
                let found = version.map_or_else(|| "nothing".to_owned(), shown);
                Err(self.fault(
                    "image_re",
                    format!("found {found} in the image, which is no version"),
                    remedy,
                ))
            }
            Err(error) => Err(self.fault("image_re", format!("found {error}"), remedy)),
        }
    }

    fn ceiling(&self, ceiling: &Value) -> Result<Minor, Fault> {
        match self.optional_ceiling(ceiling)? {
            Some(minor) => Ok(minor),
            None => Err(self.no_version("max_k8s", &plain(ceiling))),
        }
    }

    /// The ceiling of a row; none if it says nothing or no version.
    fn optional_ceiling(&self, ceiling: &Value) -> Result<Option<Minor>, Fault> {
        match ceiling {
            Value::Text(text) => {
                Minor::find(text).map_err(|error| self.fault("max_k8s", error.to_string(), VERSION_REMEDY))
            }
            other if other.is_truthy() => Err(self.fault(
                "max_k8s",
                format!("a Kubernetes version is {}", other.kind()),
                VERSION_REMEDY,
            )),
            _ => Ok(None),
        }
    }

    /// The lowest floor above the running version whose ceiling is high enough, in the words of the matrix.
    fn remedy<'r>(&self, rows: &'r [Row<'_>], running: &Minor) -> Result<Option<&'r str>, Fault> {
        let mut best: Option<(&str, &Minor)> = None;
        for (text, floor, ceiling) in rows {
            let is_enough = self.optional_ceiling(ceiling)?.is_some_and(|ceiling| ceiling >= *self.target);
            if is_enough && floor > running && best.is_none_or(|(_, lowest)| floor < lowest) {
                best = Some((text, floor));
            }
        }
        Ok(best.map(|(text, _)| text))
    }

    fn name(&self) -> Result<String, Fault> {
        self.required("name").map(plain)
    }

    fn required(&self, field: &str) -> Result<&Value, Fault> {
        let missing = || self.fault(field, "is missing".to_owned(), "add it");
        self.row.get(field).ok_or_else(missing)
    }

    fn no_version(&self, field: &str, text: &str) -> Fault {
        self.fault(field, format!("{} is no version", shown(text)), VERSION_REMEDY)
    }

    fn fault(&self, field: &str, found: String, remedy: &str) -> Fault {
        let name = match self.row.get("name") {
            Some(Value::Text(name)) => format!("add-on {}", shown(name)),
            _ => format!("add-on number {}", self.number),
        };
        let place = if field.is_empty() { name } else { format!("{name}, field {field}") };
        Fault::new(place, found, remedy)
    }
}

/// The row with the highest floor that the running version has reached; of equal ones the first. A ceiling of null
/// says that the row is none.
fn row_of<'r, 'a>(rows: &'r [Row<'a>], running: &Minor) -> Option<&'r Row<'a>> {
    let reached = rows.iter().filter(|(_, floor, _)| floor <= running);
    let best = reached.reduce(|best, row| if row.1 > best.1 { row } else { best });
    best.filter(|(_, _, ceiling)| **ceiling != Value::Null)
}
