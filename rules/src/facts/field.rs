//! The fields of a data file: they note every mistake instead of stopping at the first. `reader` reads types from them.

use std::cell::{LazyCell, RefCell};
use std::collections::BTreeSet;

use super::mistake::{Mistake, Place};
use super::tree::{Key, Kind, Tree, Value};

/// How many mistakes are told; whoever has more mends these first.
const MISTAKES_MAX: usize = 100;

/// A value, as it stands in memory, and which group of its fields is meant.
type Mark = (*const Value, &'static str);

/// The mistakes of one file so far.
#[derive(Debug)]
pub(crate) struct Notes {
    file: String,
    mistakes: RefCell<Vec<Mistake>>,
    /// What cannot be read. Its mistakes are in the list, so nobody looks at it again.
    refused: RefCell<BTreeSet<Mark>>,
    /// The values of the fields that somebody knows.
    asked: RefCell<BTreeSet<*const Value>>,
    /// Asked where a field is missing, and only there.
    schema: LazyCell<serde_json::Value>,
}

impl Notes {
    /// None yet, in a file of this JSON Schema.
    #[must_use]
    pub(super) fn new(file: &str, schema: fn() -> serde_json::Value) -> Self {
        let (mistakes, refused, asked) = Default::default();
        Self { file: file.to_owned(), mistakes, refused, asked, schema: LazyCell::new(schema) }
    }

    /// Every mistake, in the order of the file, not more than people can mend at once.
    #[must_use]
    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.place);
        let more = mistakes.len().saturating_sub(MISTAKES_MAX);
        mistakes.truncate(MISTAKES_MAX);
        if let Some(last) = mistakes.last_mut().filter(|_| more > 0) {
            last.expected
                .push_str(&format!("; {more} more mistakes follow, which are told when these are mended"));
        }
        mistakes
    }
}

/// One value, with its path and where its mistakes are noted: a field, a part of a list, or the whole document.
#[derive(Debug, Clone)]
pub(crate) struct Field<'a> {
    notes: &'a Notes,
    pub(super) value: &'a Value,
    /// Where its key stands, if it has one; else where it stands itself.
    key_place: Place,
    path: String,
    /// The group of fields that is read, where somebody else reads the other fields of the same mapping; else empty.
    pub(super) part: &'static str,
}

impl<'a> Field<'a> {
    /// The whole document.
    #[must_use]
    pub(super) fn whole(tree: &'a Tree, notes: &'a Notes) -> Self {
        Self { notes, value: &tree.root, key_place: tree.root.place, path: String::new(), part: "" }
    }

    /// Notes that this value is not what it should be.
    pub(super) fn wrong(&self, expected: impl Into<String>) {
        self.note(self.value.place, self.value.kind.to_string(), expected.into());
    }

    /// Notes that the key of this value is not what it should be.
    pub(super) fn wrong_key(&self, key: &str, expected: String) {
        self.note(self.key_place, format!("the key {key:?}"), expected);
    }

    fn note(&self, place: Place, found: String, expected: String) {
        let field = if self.path.is_empty() { "the file".to_owned() } else { self.path.clone() };
        let mistake = Mistake { file: self.notes.file.clone(), place, field, found, expected };
        self.notes.mistakes.borrow_mut().push(mistake);
    }

    /// Notes which fields that must be there are not: `first`, and what the schema says.
    pub(super) fn note_missing<'f>(&self, fields: impl Iterator<Item = &'f str>, first: &str) {
        let must = required(&self.notes.schema, &self.path);
        let is_missing = |name: &&str| (*name == first || must.contains(name)) && self.get(name).is_none();
        for name in fields.filter(is_missing) {
            self.note(self.value.place, format!("no {name}"), format!("the field {name}"));
        }
    }

    /// Notes every field that nobody has asked for.
    pub(super) fn finish(&self) {
        for (key, field) in self.entries().unwrap_or_default() {
            if self.notes.asked.borrow_mut().insert(field.value) {
                field.note(field.key_place, format!("the field {key}"), "no field of that name".to_owned());
            }
        }
    }

    /// That this cannot be read, and that its mistakes have been noted.
    pub(super) fn refuse(&self) {
        self.notes.refused.borrow_mut().insert((self.value, self.part));
    }

    pub(super) fn is_refused(&self) -> bool {
        self.notes.refused.borrow().contains(&(std::ptr::from_ref(self.value), self.part))
    }

    /// A group of the fields of this mapping.
    pub(super) fn part(&self, part: &'static str) -> Self {
        Self { part, ..self.clone() }
    }

    /// The parts of a list.
    pub(super) fn list(&self) -> Option<Vec<Field<'a>>> {
        let Kind::List(values) = &self.value.kind else { return None };
        let field = |(index, value): (_, &'a Value)| {
            let path = format!("{}[{index}]", self.path);
            Field { value, key_place: value.place, path, part: "", ..*self }
        };
        Some(values.iter().enumerate().map(field).collect())
    }

    /// The keys with their values.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, Field<'a>)>> {
        let Kind::Map(entries) = &self.value.kind else { return None };
        Some(entries.iter().map(|(key, value)| (key.name.as_str(), self.child(key, value))).collect())
    }

    /// Whether it has fields at all.
    pub(super) fn is_mapping(&self) -> bool {
        matches!(self.value.kind, Kind::Map(_))
    }

    /// A field of a mapping. One without a value is refused: whoever left a value out may have meant one.
    pub(super) fn get(&self, name: &str) -> Option<Field<'a>> {
        let Kind::Map(entries) = &self.value.kind else { return None };
        let (key, value) = entries.iter().find(|(key, _)| key.name == name)?;
        self.notes.asked.borrow_mut().insert(value);
        let field = self.child(key, value);
        if matches!(value.kind, Kind::Null) && !field.is_refused() {
            field.note(key.place, value.kind.to_string(), "a value, or no such field".to_owned());
            field.refuse();
        }
        Some(field)
    }

    fn child(&self, Key { place, name }: &Key, value: &'a Value) -> Self {
        let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
        Self { value, key_place: *place, path, part: "", ..*self }
    }
}

/// The fields that the mapping at a path such as `addons[3].pin` must have.
fn required<'s>(schema: &'s serde_json::Value, path: &str) -> Vec<&'s str> {
    let keys = path.split(['.', '[']).filter(|key| !key.is_empty());
    let at =
        keys.fold(schema, |at, key| if key.ends_with(']') { &at["items"] } else { &at["properties"][key] });
    at["required"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Inner {
        #[serde(rename = "e")]
        _e: String,
    }

    #[derive(serde::Deserialize)]
    struct Number {
        #[serde(rename = "max_age_days")]
        _max_age_days: u32,
    }

    fn mistakes<T: for<'de> serde::Deserialize<'de>>(text: &str) -> Vec<String> {
        let notes = Notes::new("f.yaml", crate::facts::schema::schema);
        match Tree::documents("f.yaml", text) {
            Ok(trees) => {
                trees.iter().for_each(|tree| assert!(Field::whole(tree, &notes).read::<T>().is_none()))
            }
            Err(mistake) => return vec![mistake.to_string()],
        }
        notes.into_mistakes().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        #[derive(serde::Deserialize)]
        struct All {
            #[serde(rename = "missing")]
            _missing: String,
            #[serde(rename = "a")]
            _a: String,
            #[serde(rename = "b")]
            _b: bool,
            #[serde(rename = "c", with = "crate::facts::text::List::<crate::facts::text::Filled>")]
            _c: Vec<String>,
            #[serde(rename = "d")]
            _d: Inner,
            #[serde(rename = "y")]
            _y: Option<u32>,
        }
        let text = "a: 1.30\nb: yes\nc: [x, 2, ' ']\nd: {e: null}\ny: -1\nz: 1\n";
        assert_eq!(
            mistakes::<All>(text),
            [
                "f.yaml:1:1: the file: found no missing, expected the field missing",
                "f.yaml:1:4: a: found the number 1.3, expected a text in quotation marks",
                "f.yaml:2:4: b: found the text \"yes\", expected true or false, without quotation marks",
                "f.yaml:3:8: c[1]: found the number 2, expected a text in quotation marks",
                "f.yaml:3:11: c[2]: found the text \" \", expected a text that is not empty",
                "f.yaml:4:5: d.e: found nothing, expected a value, or no such field",
                "f.yaml:5:4: y: found the number -1, expected a whole number from 0 up",
                "f.yaml:6:1: z: found the field z, expected no field of that name",
            ]
        );
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_place() {
        for (text, told) in [
            ("a: 1\na: 2\n", "f.yaml:2:1: the file: found the key \"a\" twice, expected each key once"),
            ("a: [1\n", "f.yaml:1:4: the file: "),
            ("{\"a\": 1, \"a\": 2}", "f.yaml:1:10: the file: "),
            ("", "f.yaml:1:1: the file: "),
            ("---\n# nothing\n---\n", "f.yaml:1:1: the file: "),
            ("a: 1\n---\nb: 1\nb: 2\n", "f.yaml:4:1: the file: "),
        ] {
            let found = mistakes::<Inner>(text);
            assert!(found.len() == 1 && found[0].starts_with(told), "{text:?}: {found:?}");
        }
        let deep = mistakes::<Inner>(&format!("a: {}{}\n", "[".repeat(100), "]".repeat(100)));
        assert!(deep.len() == 1 && deep[0].contains("Depth { depth: 25 }"), "{deep:?}");
        let number = mistakes::<Number>("max_age_days: .nan\n");
        assert_eq!(
            number,
            ["f.yaml:1:15: max_age_days: found the number NaN, expected a whole number from 0 up"]
        );
        let many = mistakes::<Inner>(&"---\na: 1\n".repeat(33));
        assert_eq!(many, ["f.yaml:1:1: the file: found 33 documents, expected at most 32"]);
    }
}
