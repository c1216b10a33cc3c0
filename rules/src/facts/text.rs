//! What the fields of facts are made of, for `#[serde(with = "…")]`: how it is read, and what an editor is told of it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use jiff::civil::Date;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::words::version::{Minor, Version};

/// A kind of text.
pub(crate) trait Text {
    /// What it is read as.
    type Is;
    /// What it is, in a list; a field has its own comment.
    const WHAT: &'static str = "";
    const EXPECTED: &'static str = "a text";
    /// What an editor checks, where that is not everything.
    const PATTERN: &'static str = "";
    const EXAMPLE: &'static str = "";
    /// How many of them a list or a table may have.
    const MAX: usize = usize::MAX;
    const READ: fn(&str) -> Option<Self::Is>;
    /// What an editor refuses although the pattern fits.
    const NEVER: fn() -> Value = || Value::Null;
    /// All of them, where they are few.
    const WORDS: fn() -> Vec<&'static str> = Vec::new;

    /// What should be there instead of a text that cannot be read.
    fn expected(_text: &str) -> String {
        match (Self::WORDS)() {
            words if words.is_empty() => Self::EXPECTED.to_owned(),
            words => format!("one of {}", words.join(", ")),
        }
    }
}

/// What should be there instead, and of which field, if it is one.
pub(crate) type Lack = (Option<&'static str>, String);

/// What has fields of its own, or a few words.
pub(crate) trait Row: for<'de> Deserialize<'de> + JsonSchema {
    /// How many of them a list may have.
    const MAX: usize = usize::MAX;

    /// What a list may have once, in words.
    fn once(&self) -> Option<String> {
        None
    }

    /// What no single field can be asked for.
    fn lacks(&self) -> Option<Lack> {
        None
    }

    /// What no single row can be asked for.
    fn all_lack(_rows: &[Self]) -> Option<String> {
        None
    }
}

/// A text, also one that may be left out.
pub(crate) struct As<T: Text>(pub(crate) T::Is);
/// A list of texts.
pub(crate) struct List<T>(PhantomData<T>);
/// A mapping whose keys are texts.
pub(crate) struct Table<K, V>(PhantomData<(K, V)>);
/// A row that is checked, and may become something else.
#[derive(JsonSchema)]
pub(crate) struct Via<T>(#[schemars(with = "T")] PhantomData<T>);
/// A list of rows.
pub(crate) struct Rows<T>(PhantomData<T>);

impl<T: Text> As<T> {
    pub(crate) fn deserialize<'de, D: Deserializer<'de>, C: From<T::Is>>(from: D) -> Result<C, D::Error> {
        let text = String::deserialize(from)?;
        (T::READ)(&text).map(C::from).ok_or_else(|| D::Error::custom(T::expected(&text)))
    }

    /// For the derived schema, which says no default of a field.
    pub(crate) fn serialize<V, S: Serializer>(_: &V, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_none()
    }
}

impl<T: Row> Via<T> {
    pub(crate) fn deserialize<'de, D: Deserializer<'de>, C: From<T>>(from: D) -> Result<C, D::Error> {
        checked(from).map(|row: T| row.into())
    }

    /// For the derived schema, which says no default of a field.
    pub(crate) fn serialize<V, S: Serializer>(_: &V, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_none()
    }
}

fn checked<'de, T: Row, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let row = T::deserialize(from)?;
    match row.lacks() {
        None => Ok(row),
        Some((None, expected)) => Err(D::Error::custom(expected)),
        Some((Some(field), expected)) => {
            Err(D::Error::invalid_value(Unexpected::Other(field), &expected.as_str()))
        }
    }
}

impl<'de, T: Text> Deserialize<'de> for As<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::deserialize(from).map(Self)
    }
}

impl<T: Text> Row for As<T> {
    const MAX: usize = T::MAX;
}

impl<T: Text> List<T> {
    pub(crate) fn deserialize<'de, D: Deserializer<'de>, C: FromIterator<T::Is>>(
        from: D,
    ) -> Result<C, D::Error> {
        let texts: Vec<As<T>> = Rows::<As<T>>::deserialize(from)?;
        Ok(texts.into_iter().map(|As(text)| text).collect())
    }

    /// For the derived schema, which says no default of a field.
    pub(crate) fn serialize<V, S: Serializer>(_: &V, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_none()
    }
}

impl<T: Row> Rows<T> {
    pub(crate) fn deserialize<'de, D: Deserializer<'de>, C: From<T>>(from: D) -> Result<Vec<C>, D::Error> {
        let rows = from.deserialize_seq(Self(PhantomData))?;
        match T::all_lack(&rows) {
            Some(expected) => Err(D::Error::custom(expected)),
            None => Ok(rows.into_iter().map(C::from).collect()),
        }
    }

    /// For the derived schema, which says no default of a field.
    pub(crate) fn serialize<V, S: Serializer>(_: &V, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_none()
    }
}

impl<K: Text<Is: Clone + Ord + fmt::Display>, V: for<'de> Deserialize<'de>> Table<K, V> {
    pub(crate) fn deserialize<'de, D: Deserializer<'de>, C: FromIterator<(K::Is, V)>>(
        from: D,
    ) -> Result<C, D::Error> {
        from.deserialize_map(Self(PhantomData)).map(C::from_iter)
    }

    /// For the derived schema, which says no default of a field.
    pub(crate) fn serialize<T, S: Serializer>(_: &T, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_none()
    }
}

/// The next part, and those that it may not repeat.
struct Next<'s, T, K> {
    seen: &'s mut BTreeSet<K>,
    of: PhantomData<T>,
}

impl<'de, T: Row> DeserializeSeed<'de> for Next<'_, Rows<T>, String> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        let row: T = checked(from)?;
        match row.once().filter(|once| !self.seen.insert(once.clone())) {
            Some(once) => Err(D::Error::custom(once)),
            None => Ok(row),
        }
    }
}

impl<'de, K: Text<Is: Clone + Ord + fmt::Display>> DeserializeSeed<'de> for Next<'_, As<K>, K::Is> {
    type Value = K::Is;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<K::Is, D::Error> {
        let text = String::deserialize(from)?;
        let key = (K::READ)(&text).ok_or_else(|| D::Error::custom(K::expected(&text)))?;
        if self.seen.insert(key.clone()) { Ok(key) } else { Err(D::Error::custom(format!("{key} once"))) }
    }
}

impl<'de, T: Row> Visitor<'de> for Rows<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    /// Goes on after a row with a mistake, so that those of the others are told too.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        at_most(T::MAX, list.size_hint())?;
        let (mut rows, mut seen, mut wrong) = (Vec::new(), BTreeSet::new(), None);
        loop {
            match list.next_element_seed(Next::<Self, _> { seen: &mut seen, of: PhantomData }) {
                Ok(Some(row)) => rows.push(row),
                Ok(None) => return wrong.map_or(Ok(rows), Err),
                Err(error) => wrong = Some(error),
            }
        }
    }
}

impl<'de, K: Text<Is: Clone + Ord + fmt::Display>, V: Deserialize<'de>> Visitor<'de> for Table<K, V> {
    type Value = Vec<(K::Is, V)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    /// Goes on after an entry with a mistake, so that those of the others are told too.
    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Self::Value, A::Error> {
        at_most(K::MAX, table.size_hint())?;
        let (mut entries, mut seen, mut wrong) = (Vec::new(), BTreeSet::new(), None);
        loop {
            let key = table.next_key_seed(Next::<As<K>, _> { seen: &mut seen, of: PhantomData });
            if let Ok(None) = key {
                return wrong.map_or(Ok(entries), Err);
            }
            match (key, table.next_value()) {
                (Ok(key), Ok(value)) => entries.extend(key.map(|key| (key, value))),
                (Err(error), _) | (_, Err(error)) => wrong = Some(error),
            }
        }
    }
}

fn at_most<E: Error>(max: usize, size: Option<usize>) -> Result<(), E> {
    match size {
        Some(size) if size > max => Err(E::custom(format!("at most {max} of them"))),
        Some(_) | None => Ok(()),
    }
}

impl<T: Text> JsonSchema for As<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({"description": T::WHAT, "type": "string"});
        let mut say = |key: &str, value: Value| schema.insert(key.to_owned(), value);
        let words = (T::WORDS)();
        if words.is_empty() {
            say("examples", json!([T::EXAMPLE]));
        } else {
            say("enum", json!(words));
        }
        if !T::PATTERN.is_empty() {
            say("pattern", json!(T::PATTERN));
        }
        let never = (T::NEVER)();
        if !never.is_null() {
            say("not", never);
        }
        schema
    }
}

impl<T: Row> JsonSchema for Rows<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "rows".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Vec::<T>::json_schema(generator);
        if T::MAX < usize::MAX {
            schema.insert("maxItems".to_owned(), T::MAX.into());
        }
        schema
    }
}

impl<T: Text> JsonSchema for List<T> {
    fn schema_name() -> Cow<'static, str> {
        "list".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Rows::<As<T>>::json_schema(generator)
    }
}

impl<K: Text, V: JsonSchema> JsonSchema for Table<K, V> {
    fn schema_name() -> Cow<'static, str> {
        "table".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut value = generator.subschema_for::<V>();
        value.ensure_object().entry("description").or_insert("Its value.".into());
        let mut schema = json_schema!({
            "type": "object", "propertyNames": {"pattern": K::PATTERN}, "additionalProperties": value,
        });
        if K::MAX < usize::MAX {
            schema.insert("maxProperties".to_owned(), K::MAX.into());
        }
        schema
    }
}

/// Whether it is a name of letters and digits alone.
pub(crate) fn is_alphanumeric(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric())
}

/// A text that says something.
pub(crate) struct Filled;
/// What is said to people, and what nothing depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Remark;
/// Where a fact comes from.
pub(crate) struct Source;

impl Text for Filled {
    type Is = String;
    const EXPECTED: &'static str = "a text that is not empty";
    const PATTERN: &'static str = r"\S";
    const READ: fn(&str) -> Option<String> = |text| (!text.trim().is_empty()).then(|| text.to_owned());
}

impl Text for Remark {
    type Is = Self;
    const EXPECTED: &'static str = Filled::EXPECTED;
    const PATTERN: &'static str = Filled::PATTERN;
    const READ: fn(&str) -> Option<Self> = |text| (Filled::READ)(text).map(|_| Self);
}

impl Text for Source {
    type Is = String;
    const EXPECTED: &'static str = "the address of a page, such as \"https://…\"";
    const PATTERN: &'static str = "^https://.{5,}$";
    const EXAMPLE: &'static str = "https://kubernetes.io/releases/";
    const READ: fn(&str) -> Option<String> =
        |text| (text.starts_with("https://") && text.len() > 12).then(|| text.to_owned());
}

impl Text for Date {
    type Is = Self;
    const EXPECTED: &'static str = "a day such as \"2026-08-11\"";
    const PATTERN: &'static str = r"^\d{4}-\d{2}-\d{2}$";
    const EXAMPLE: &'static str = "2026-08-11";
    /// As it is printed: what is parsed as a date may have a time and a zone too, which would be dropped.
    const READ: fn(&str) -> Option<Self> =
        |text| text.parse().ok().filter(|date: &Self| date.to_string() == text);
}

impl Text for Version {
    type Is = Self;
    const WHAT: &'static str = "A release.";
    const EXPECTED: &'static str = "a release such as \"2.1.3\"";
    const PATTERN: &'static str = r"^v?\d+\.\d+\.\d+";
    const EXAMPLE: &'static str = "2.1.3";
    const READ: fn(&str) -> Option<Self> = |text| text.parse().ok();
}

/// A text: the number 1.30 would be 1.3.
impl Text for Minor {
    type Is = Self;
    const WHAT: &'static str = "A minor.";
    const EXPECTED: &'static str = "a minor such as \"1.36\"";
    const PATTERN: &'static str = r"^\d+\.\d+$";
    const EXAMPLE: &'static str = "1.36";
    const READ: fn(&str) -> Option<Self> = |text| Self::parse(text);
}

impl<'de> Deserialize<'de> for Minor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        As::<Self>::deserialize(from)
    }
}

impl Serialize for Minor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl JsonSchema for Minor {
    fn schema_name() -> Cow<'static, str> {
        "minor".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        As::<Self>::json_schema(generator)
    }
}
