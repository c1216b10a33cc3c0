//! A data file as trees of values that know where they stand, one for each document.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Spanned, options::NonFiniteFloatPolicy};

use super::FILE_BYTES_MAX;
use super::mistake::{Mistake, Place};

/// How many documents a file may have: more than there are kinds of facts.
const DOCUMENTS_MAX: usize = 32;
/// How deep values may lie in each other: facts need a third of it, and a stack has an end.
const DEPTH_MAX: usize = 24;
/// How much of a wrong value is shown.
const SHOWN_CHARS_MAX: usize = 60;

/// A whole document.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Value,
}

#[derive(Debug)]
pub(super) struct Value {
    pub(super) place: Place,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Value>),
    /// In the order of the file; keys are unique.
    Map(Vec<(Key, Value)>),
}

/// A key of a mapping.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) name: String,
}

impl Tree {
    /// Reads the documents of a file, one at least; JSON is YAML too.
    ///
    /// # Errors
    /// The text is no YAML, has a key twice, says nothing, or is too long.
    pub(super) fn documents(file: &str, text: &str) -> Result<Vec<Self>, Mistake> {
        let mistake = |place, found: String, expected: &str| Mistake {
            file: file.to_owned(),
            place,
            field: "the file".to_owned(),
            found,
            expected: expected.to_owned(),
        };
        let start = Place { line: 1, column: 1 };
        if text.len() > FILE_BYTES_MAX {
            let expected = format!("at most {FILE_BYTES_MAX}");
            return Err(mistake(start, format!("{} bytes", text.len()), &expected));
        }
        // `yes` would otherwise be a boolean: a version or a name must never turn into one.
        // `.nan` is refused where it stands, as any number is that does not fit.
        let options = serde_yaml::options! {
            strict_booleans: true, with_snippet: false, non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
            budget: serde_yaml::budget! { max_depth: DEPTH_MAX },
        };
        match serde_yaml::from_multiple_with_options::<Value>(text, options) {
            Ok(roots) if roots.is_empty() => Err(mistake(start, "nothing".to_owned(), "YAML or JSON")),
            Ok(roots) if roots.len() > DOCUMENTS_MAX => {
                let expected = format!("at most {DOCUMENTS_MAX}");
                Err(mistake(start, format!("{} documents", roots.len()), &expected))
            }
            Ok(roots) => Ok(roots.into_iter().map(|root| Self { root }).collect()),
            Err(error) => {
                let place =
                    error.location().map_or(start, |at| Place { line: at.line(), column: at.column() });
                if let serde_yaml::Error::DuplicateMappingKey { key, .. } = &error {
                    let key = key.as_deref().unwrap_or_default();
                    return Err(mistake(place, format!("the key {key:?} twice"), "each key once"));
                }
                let said = error.to_string();
                let said = said.split_once(" (defined at").map_or(said.as_str(), |(what, _places)| what);
                let said = said.rsplit_once(" at line ").map_or(said, |(what, _place)| what);
                Err(mistake(place, said.to_owned(), "YAML or JSON that can be read"))
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("nothing"),
            Self::Bool(value) => write!(f, "the truth value {value}"),
            Self::Number(text) => write!(f, "the number {text}"),
            Self::Text(text) => {
                let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
                let more = if shown.len() < text.len() { "…" } else { "" };
                write!(f, "the text {shown:?}{more}")
            }
            Self::List(values) => write!(f, "a list of {}", values.len()),
            Self::Map(entries) => write!(f, "a mapping of {}", entries.len()),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value: kind, referenced, .. } = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { place: Place { line: referenced.line(), column: referenced.column() }, kind })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Kind;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
                Ok(Kind::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
                Ok(Kind::Number(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
                Ok(Kind::Number(value.to_string()))
            }

            fn visit_i128<E>(self, value: i128) -> Result<Kind, E> {
                Ok(Kind::Number(value.to_string()))
            }

            fn visit_u128<E>(self, value: u128) -> Result<Kind, E> {
                Ok(Kind::Number(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
                Ok(Kind::Number(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
                Ok(Kind::Text(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Kind, E> {
                Ok(Kind::Text(value))
            }

            fn visit_unit<E>(self) -> Result<Kind, E> {
                Ok(Kind::Null)
            }

            fn visit_none<E>(self) -> Result<Kind, E> {
                Ok(Kind::Null)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Kind::List(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
                let mut entries = Vec::new();
                while let Some((Spanned { value: name, referenced: at, .. }, value)) = map.next_entry()? {
                    let place = Place { line: at.line(), column: at.column() };
                    entries.push((Key { place, name }, value));
                }
                Ok(Kind::Map(entries))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
