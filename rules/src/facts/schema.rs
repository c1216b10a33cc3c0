//! The JSON Schema of a file of facts: what an editor needs to complete and to underline while somebody writes.
//!
//! It is derived from the types that are read. It is no second judge. What it cannot say (rows that are named twice,
//! windows that are upside down) the loader says.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{
    Accepts, Addons, CgroupV1, Components, EtcdFloors, Head, Kernels, Policy, Releases, RemovedApis, Risks,
    Runtimes, Section, VolumePlugins,
};

/// The schema, as JSON.
#[must_use]
pub fn json_schema() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).expect("names are strings and numbers are finite");
    text.push('\n');
    text
}

pub(super) fn schema() -> Value {
    let mut root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Lockkeeper's facts about versions",
    });
    for (key, value) in of::<Head>().as_object_mut().into_iter().flatten() {
        root[key] = value.take();
    }
    let sections = [
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
    for (key, section) in sections {
        root["properties"][key] = section;
    }
    root
}

fn section<T: Section>() -> (&'static str, Value) {
    (T::KEY, of::<T>())
}

pub(super) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    plain(&mut schema);
    schema
}

/// Says the same in fewer words: no alternatives, and no null, which the loader refuses too.
fn plain(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    for key in ["title", "default"] {
        fields.remove(key);
    }
    if let Some(Value::Array(mut arms)) = fields.remove("oneOf").or_else(|| fields.remove("anyOf")) {
        arms.retain(|arm| arm["type"] != "null");
        let words: Vec<Value> = arms.iter_mut().flat_map(words).collect();
        if words.is_empty() {
            let arm = arms.pop().and_then(|arm| arm.as_object().cloned()).unwrap_or_default();
            for (key, value) in arm {
                fields.entry(key).or_insert(value);
            }
        } else {
            fields.insert("type".to_owned(), json!("string"));
            fields.insert("enum".to_owned(), json!(words));
        }
    }
    if let Some(Value::Array(types)) = fields.get("type") {
        fields.insert("type".to_owned(), types[0].clone());
    }
    if fields.remove("format").is_some_and(|format| format == "uint32") {
        fields.entry("maximum").or_insert(u32::MAX.into());
    }
    if let Some(Value::String(description)) = fields.get_mut("description") {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(plain);
        fields.entry("required").or_insert(json!([]));
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
    for key in ["items", "additionalProperties"] {
        fields.get_mut(key).into_iter().for_each(plain);
    }
}

/// The words of one alternative.
fn words(arm: &mut Value) -> Vec<Value> {
    let all = arm.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![arm.clone()]);
    all.iter()
        .flat_map(|arm| match (arm.get("const"), arm.get("enum")) {
            (Some(word), _) => vec![word.clone()],
            (None, Some(Value::Array(words))) => {
                words.iter().filter(|word| !word.is_null()).cloned().collect()
            }
            (None, _) => Vec::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
