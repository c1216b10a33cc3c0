//! The JSON Schema of a file of facts: what an editor needs to complete and to underline while somebody writes.
//!
//! It stands beside the readers, and a test asks these which fields they know: neither can have one that the other
//! lacks. It is no second judge. What it cannot say (rows that are named twice, windows that are upside down) the
//! loader says.

use serde_json::{Value, json};

use super::{
    Accepts, Addons, CgroupV1, Components, EtcdFloors, Kernels, Policy, Releases, RemovedApis, Risks,
    Runtimes, Section, VolumePlugins,
};

/// The schema, as JSON.
#[must_use]
pub fn json_schema() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).expect("names are strings and numbers are finite");
    text.push('\n');
    text
}

fn schema() -> Value {
    let head = [
        required(
            "schema",
            json!({"const": 2, "description": "Which kind of file this is: 2, the only schema of this version."}),
        ),
        required(
            "as_of",
            day("The day of the facts in this file. They say nothing once they are older than max_age_days."),
        ),
        optional(
            "max_age_days",
            count(
                "How many days old the facts may be; 180 if nothing is said. Of rows that are joined with those of other files the shortest counts.",
                0,
            ),
        ),
        section::<Releases>(),
        section::<Runtimes>(),
        section::<Kernels>(),
        section::<CgroupV1>(),
        section::<EtcdFloors>(),
        section::<Components>(),
        section::<RemovedApis>(),
        section::<VolumePlugins>(),
        section::<Risks>(),
        section::<Addons>(),
        section::<Policy>(),
        section::<Accepts>(),
    ];
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Lockkeeper's facts about versions",
    });
    let told = object("Facts about versions, laid over the built-in ones.", head);
    for (key, value) in told.as_object().into_iter().flatten() {
        root[key] = value.clone();
    }
    root
}

/// One field of a mapping.
pub(super) struct Field {
    name: &'static str,
    is_required: bool,
    schema: Value,
}

pub(super) fn required(name: &'static str, schema: Value) -> Field {
    Field { name, is_required: true, schema }
}

pub(super) fn optional(name: &'static str, schema: Value) -> Field {
    Field { name, is_required: false, schema }
}

fn section<T: Section>() -> Field {
    optional(T::KEY, T::schema())
}

/// A mapping with these fields and no others.
pub(super) fn object(description: &str, fields: impl IntoIterator<Item = Field>) -> Value {
    let mut properties = serde_json::Map::new();
    let mut needed = Vec::new();
    for Field { name, is_required, schema } in fields {
        properties.insert(name.to_owned(), schema);
        if is_required {
            needed.push(name);
        }
    }
    json!({
        "description": description, "type": "object", "properties": properties, "required": needed,
        "additionalProperties": false,
    })
}

/// A mapping whose keys are data.
pub(super) fn entries(description: &str, key: &str, value: Value) -> Value {
    json!({
        "description": description, "type": "object", "propertyNames": {"pattern": key}, "additionalProperties": value,
    })
}

pub(super) fn list(description: &str, item: Value) -> Value {
    json!({"description": description, "type": "array", "items": item})
}

pub(super) fn text(description: &str, example: &str) -> Value {
    json!({"description": description, "type": "string", "examples": [example]})
}

pub(super) fn patterned(description: &str, pattern: &str, example: &str) -> Value {
    json!({"description": description, "type": "string", "pattern": pattern, "examples": [example]})
}

pub(super) fn filled(description: &str, example: &str) -> Value {
    patterned(description, r"\S", example)
}

pub(super) fn code(description: &str) -> Value {
    patterned(description, "^[a-z_]+$", "addon_pinned")
}

pub(super) fn words<T>(description: &str, words: &[(&str, T)]) -> Value {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    json!({"description": description, "type": "string", "enum": words})
}

pub(super) fn truth(description: &str) -> Value {
    json!({"description": description, "type": "boolean"})
}

pub(super) fn count(description: &str, least: u32) -> Value {
    json!({"description": description, "type": "integer", "minimum": least, "maximum": u32::MAX})
}

pub(super) fn day(description: &str) -> Value {
    patterned(description, r"^\d{4}-\d{2}-\d{2}$", "2026-08-11")
}

/// A minor. A text: the number 1.30 would be 1.3.
pub(super) fn minor(description: &str) -> Value {
    patterned(description, r"^\d+\.\d+$", "1.36")
}

pub(super) fn kernels(description: &str) -> Value {
    patterned(description, r"^>=\d+\.\d+$", ">=5.10")
}

pub(super) fn release(description: &str) -> Value {
    patterned(description, r"^v?\d+\.\d+\.\d+", "2.1.3")
}

/// The key of a table by releases of an add-on, and such a release.
pub(super) const ADDON_RELEASE: &str = r"^v?\d+\.\d+(\.\d+)?$";

pub(super) fn addon_release(description: &str) -> Value {
    patterned(description, ADDON_RELEASE, "3.30.1")
}

pub(super) fn source(description: &str) -> Value {
    patterned(description, "^https://.{5,}$", "https://kubernetes.io/releases/")
}

#[cfg(test)]
mod tests;
