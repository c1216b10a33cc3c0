//! A field as a deserializer: types are read with serde, and the mistakes of all their fields are told at once.
//!
//! A derived reader gives up at its first mistake. So a mistake is noted where it is, the value is refused, and whatever
//! it stands in is read once more without it, until everything has been looked at. Nothing that lacks a refused value is
//! ever handed out.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};

use super::field::Field;
use super::tree::Kind;

/// How the name of a field begins that is no key of its own: its fields are keys of the same mapping.
const PART: &str = "..";

/// Why a value cannot be had.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is not what is expected here, which has not been noted yet.
    New(String),
    /// The same of one of its fields.
    Field(String, String),
    /// It lacks this field.
    Missing(&'static str),
    /// What is wrong with it has been noted.
    Noted,
    /// What is wrong inside has been noted and refused: without it the rest can be looked at.
    Again,
}

impl<'a> Field<'a> {
    /// Reads the value; nothing comes back where it has mistakes, and all of them are noted then.
    pub(super) fn read<T: Deserialize<'a>>(&self) -> Option<T> {
        while !self.is_refused() {
            if let Ok(value) = self.attempt(std::marker::PhantomData) {
                return Some(value);
            }
        }
        None
    }

    fn attempt<S: DeserializeSeed<'a>>(&self, seed: S) -> Result<S::Value, Refused> {
        seed.deserialize(self).map_err(|refused| self.refused(refused))
    }

    fn refused(&self, refused: Refused) -> Refused {
        match refused {
            Refused::Again => return Refused::Again,
            Refused::New(expected) => self.wrong(expected),
            Refused::Field(name, expected) => self.get(&name).as_ref().unwrap_or(self).wrong(expected),
            Refused::Missing(_) | Refused::Noted => {}
        }
        self.refuse();
        Refused::Again
    }

    fn text(&self) -> Result<&'a str, Refused> {
        match &self.value.kind {
            Kind::Text(text) => Ok(text),
            // `1.30` would be 1.3.
            Kind::Number(_) => Err(Error::custom("a text in quotation marks")),
            Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) => Err(Error::custom("a text")),
        }
    }
}

impl<'de> Deserializer<'de> for &Field<'de> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_borrowed_str(self.text()?)
    }

    /// The text "false" is neither.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let Kind::Bool(value) = self.value.kind else {
            return Err(Error::custom("true or false, without quotation marks"));
        };
        visitor.visit_bool(value)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let number = match &self.value.kind {
            Kind::Number(text) => text.parse().ok(),
            _ => None,
        };
        visitor.visit_u32(number.ok_or_else(|| Refused::custom("a whole number from 0 up"))?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_enum(self.text()?.into_deserializer())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let parts = self.list().ok_or_else(|| Refused::custom("a list"))?;
        let read = visitor.visit_seq(Parts { parts: &parts, at: 0 })?;
        if parts.iter().any(Field::is_refused) { Err(Refused::Noted) } else { Ok(read) }
    }

    /// A mapping whose keys are data.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let all = self.entries().ok_or_else(|| Refused::custom("a mapping"))?;
        let read = visitor.visit_map(Entries::new(&all))?;
        if all.iter().any(|(_, field)| field.is_refused()) { Err(Refused::Noted) } else { Ok(read) }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        if !self.is_mapping() {
            return Err(Error::custom("a mapping"));
        }
        let of = |name: &'static str| {
            let field = if name.starts_with(PART) { Some(self.part(name)) } else { self.get(name) };
            field.map(|field| (name, field))
        };
        let all: Vec<_> = fields.iter().copied().filter_map(of).collect();
        let read = match visitor.visit_map(Entries::new(&all)) {
            Err(Refused::Again) => return Err(Refused::Again),
            Err(Refused::Missing(first)) => {
                self.note_missing(fields.iter().copied().filter(|name| !name.starts_with(PART)), first);
                Err(Refused::Noted)
            }
            Ok(_) if all.iter().any(|(_, field)| field.is_refused()) => Err(Refused::Noted),
            read => read,
        };
        if self.part.is_empty() {
            self.finish();
        }
        read
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// The parts of a list. Whoever goes on after a mistake is given the same part once more, until it is read or refused.
struct Parts<'h, 'a> {
    parts: &'h [Field<'a>],
    at: usize,
}

impl<'a> SeqAccess<'a> for Parts<'_, 'a> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        while self.parts.get(self.at).is_some_and(Field::is_refused) {
            self.at += 1;
        }
        let Some(part) = self.parts.get(self.at) else { return Ok(None) };
        let value = part.attempt(seed)?;
        self.at += 1;
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.parts.len())
    }
}

/// The entries of a mapping that are not refused. Whoever goes on after a mistake is given the next one.
struct Entries<'h, 'a> {
    left: std::slice::Iter<'h, (&'a str, Field<'a>)>,
    value: Option<&'h Field<'a>>,
}

impl<'h, 'a> Entries<'h, 'a> {
    fn new(all: &'h [(&'a str, Field<'a>)]) -> Self {
        Self { left: all.iter(), value: None }
    }
}

impl<'a> MapAccess<'a> for Entries<'_, 'a> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        let Some((key, field)) = self.left.find(|(_, field)| !field.is_refused()) else { return Ok(None) };
        self.value = Some(field);
        let name: StrDeserializer<'_, Refused> = key.into_deserializer();
        seed.deserialize(name).map(Some).map_err(|refused| {
            if let Refused::New(expected) = refused {
                field.wrong_key(key, expected);
            }
            field.refuse();
            Refused::Again
        })
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        let field = self.value.take().expect("a key is asked for first");
        // Under a wrong key nobody can say what the value should be.
        if field.is_refused() { Err(Refused::Again) } else { field.attempt(seed) }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

impl Error for Refused {
    fn custom<T: fmt::Display>(expected: T) -> Self {
        Self::New(expected.to_string())
    }

    /// Of a field where it has a name: what is found there has been read already.
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Other(field) => Self::Field(field.to_owned(), expected.to_string()),
            _ => Self::New(expected.to_string()),
        }
    }

    fn unknown_variant(_word: &str, words: &'static [&'static str]) -> Self {
        Self::New(format!("one of {}", words.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Refused {}
