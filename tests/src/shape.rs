//! The shape of an answer: which fields it has and of which kind, and not what stands in them.

use std::collections::BTreeSet;

use serde_json::Value;

/// Every path in a JSON text with the kind of what is there; nothing if it is none.
#[must_use]
pub fn shape_of_json(text: &str) -> BTreeSet<String> {
    let mut shape = BTreeSet::new();
    if let Ok(value) = serde_json::from_str(text) {
        walk(&value, "", &mut shape);
    }
    shape
}

fn walk(value: &Value, path: &str, shape: &mut BTreeSet<String>) {
    let mut here = |kind: &str| {
        shape.insert(format!("{path}:{kind}"));
    };
    match value {
        Value::Null => here("null"),
        Value::Bool(_) => here("bool"),
        Value::Number(_) => here("number"),
        Value::String(_) => here("string"),
        Value::Array(all) => {
            here("list");
            for value in all {
                walk(value, &format!("{path}[]"), shape);
            }
        }
        Value::Object(map) => {
            here("map");
            for (key, value) in map {
                walk(value, &format!("{path}.{key}"), shape);
            }
        }
    }
}

/// Every line of a text with what differs from machine to machine taken out: numbers, and the words that hold one.
#[must_use]
pub fn shape_of_text(text: &str) -> BTreeSet<String> {
    let word = |word: &str| {
        if word.contains(|c: char| c.is_ascii_digit()) { "N".to_owned() } else { word.to_owned() }
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_has_fields_and_kinds_and_no_values() {
        let shape = |text| shape_of_json(text);
        assert_eq!(shape(r#"{"a":[{"b":1},{"b":2}]}"#), shape(r#"{"a":[{"b":7}]}"#));
        assert_ne!(shape(r#"{"a":1}"#), shape(r#"{"a":"1"}"#));
        assert_ne!(shape(r#"{"a":1}"#), shape(r#"{"a":1,"kind":"A"}"#));
        assert!(shape("").is_empty());
    }

    #[test]
    fn lines_that_differ_in_numbers_only_are_alike() {
        assert_eq!(shape_of_text("took 12s for v1.36.1\n"), shape_of_text("took  3s for v1.36.3"));
        assert_ne!(shape_of_text("all is well"), shape_of_text("all is lost"));
    }
}
