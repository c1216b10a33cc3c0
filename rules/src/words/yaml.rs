//! The one place where YAML is read and written, so that its options are the same everywhere.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A YAML text that is not what was expected: one line that names the field and where it stands, and never shows
/// the text around it, which may be a secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

/// Reads one YAML document into a type that refuses unknown keys.
///
/// # Errors
/// The text is no YAML, has a key twice, or does not fit the type; the message names field, line and column.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    // `yes` would otherwise be a boolean: a version or a name must never turn into one.
    let options = serde_yaml::options! { strict_booleans: true, with_snippet: false };
    let mut field = String::new();
    serde_yaml::with_deserializer_from_str_with_options(text, options, |yaml| {
        serde_path_to_error::deserialize(yaml).map_err(|error| {
            field = error.path().to_string();
            error.into_inner()
        })
    })
    .map_err(|error| YamlError(words(&field, &error.to_string())))
}

/// What a parser says of a wrong type, and what is meant by it.
const WANTED: [(&str, &str); 6] = [
    ("invalid u", "is not a whole number from 0 up; write one, such as 5"),
    ("invalid i", "is not a whole number; write one, such as 5"),
    ("expected sequence start", "is not a list; write one, such as [a, b]"),
    ("expected mapping start", "is not a mapping; write one, such as {key: value}"),
    (
        "expected string scalar",
        "is not a text; write one, in quotation marks if it looks like something else",
    ),
    ("unexpected end of input", "has no value; give it one"),
];

/// The field, what is wrong with it, and where it stands.
fn words(field: &str, error: &str) -> String {
    let (what, place) = error.rsplit_once(" at line ").unwrap_or((error, ""));
    let wanted = WANTED.iter().find(|(said, _)| what.starts_with(said)).map(|(_, meant)| *meant);
    let field = if field == "." { "the file" } else { field };
    let said = match wanted {
        Some(meant) => format!("{field} {meant}"),
        None if field.is_empty() => what.to_owned(),
        None => format!("{field}: {what}"),
    };
    if place.is_empty() { said } else { format!("{said} (line {place})") }
}

/// Writes a value as YAML.
///
/// # Errors
/// The value has a shape that YAML cannot say.
pub fn write<T: Serialize>(value: &T) -> Result<String, YamlError> {
    serde_yaml::to_string(value).map_err(|error| YamlError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read is looked at")]
    struct Outer {
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read is looked at")]
    struct Inner {
        seconds: u64,
        #[serde(default)]
        urls: Vec<String>,
        #[serde(default)]
        on: bool,
    }

    #[test]
    fn a_mistake_is_told_in_one_line_with_field_and_place() {
        assert!(read::<Outer>("inner: {seconds: 1}").is_ok());
        for (text, said) in [
            (
                "inner: {seconds: many}",
                "inner.seconds is not a whole number from 0 up; write one, such as 5 (line 1, column 18)",
            ),
            (
                "inner: {seconds: -1}",
                "inner.seconds is not a whole number from 0 up; write one, such as 5 (line 1, column 18)",
            ),
            (
                "inner: {seconds: 1, urls: a}",
                "inner.urls is not a list; write one, such as [a, b] (line 1, column 27)",
            ),
            ("inner: [1]", "inner is not a mapping; write one, such as {key: value} (line 1, column 8)"),
            (
                "inner: {second: 1}",
                "inner.second: unknown field `second`, expected one of seconds, urls, on (line 1, column 9)",
            ),
            ("inner: {}", "inner: missing field `seconds` (line 1, column 8)"),
            ("", "the file has no value; give it one (line 1, column 1)"),
        ] {
            assert_eq!(read::<Outer>(text).unwrap_err().to_string(), said, "{text}");
        }
        for (text, named) in [
            ("inner: {seconds: 1, on: yes}", "inner.on"),
            ("inner: {seconds: 1, seconds: 2}", "seconds"),
            ("inner: {seconds: 1\nx", "line"),
        ] {
            let error = read::<Outer>(text).unwrap_err().to_string();
            assert!(error.contains(named) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn a_text_that_is_nested_too_deep_is_refused_before_the_stack_ends() {
        for (open, close) in [("[", "]"), ("{a: ", "}")] {
            let text = |depth: usize| open.repeat(depth) + &close.repeat(depth);
            assert!(read::<serde_json::Value>(&text(20)).is_ok());
            let error = read::<serde_json::Value>(&text(50_000)).unwrap_err().to_string();
            assert!(error.contains("recursion limit"), "{error}");
        }
    }
}
