//! Hands on a data file: they note every mistake instead of stopping at the first.
//!
//! A hand's question answers `None` where the mistake has been noted: whoever asks goes on with the next field, and
//! the file is refused as a whole in the end.

use std::cell::{Cell, RefCell};

use super::tree::{Kind, Value};

/// How many mistakes are told; whoever has more mends these first.
const MISTAKES_MAX: usize = 100;

/// Where something stands in a file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

/// One mistake in a data file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{}:{}: {field}: found {found}, expected {expected}", place.line, place.column)]
pub struct Mistake {
    /// The file, as the reader calls it.
    pub file: String,
    /// Where it stands.
    pub place: Place,
    /// The field, such as `addons[3].max_k8s`.
    pub field: String,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub expected: String,
}

/// The mistakes of one file so far.
#[derive(Debug)]
pub struct Notes {
    file: String,
    mistakes: RefCell<Vec<Mistake>>,
    /// Every field that was asked for, and whether it must be there: what a reader knows.
    #[cfg(test)]
    pub(super) asked: RefCell<std::collections::BTreeMap<String, bool>>,
}

impl Notes {
    /// None yet.
    #[must_use]
    pub fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            mistakes: RefCell::default(),
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    /// Every mistake, in the order of the file, not more than people can mend at once.
    #[must_use]
    pub fn into_mistakes(self) -> Vec<Mistake> {
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

/// A hand on one value.
#[derive(Debug, Clone)]
pub struct Hand<'a> {
    notes: &'a Notes,
    value: &'a Value,
    path: String,
}

impl<'a> Hand<'a> {
    pub(super) fn new(notes: &'a Notes, value: &'a Value) -> Self {
        Self { notes, value, path: String::new() }
    }

    /// Notes that this value is not what it should be.
    pub fn wrong(&self, expected: impl Into<String>) {
        self.note(self.value.kind.to_string(), expected.into());
    }

    fn note(&self, found: String, expected: String) {
        let field = if self.path.is_empty() { "the file".to_owned() } else { self.path.clone() };
        let mistake =
            Mistake { file: self.notes.file.clone(), place: self.value.place, field, found, expected };
        self.notes.mistakes.borrow_mut().push(mistake);
    }

    fn or_wrong<T>(&self, value: Option<T>, expected: &str) -> Option<T> {
        if value.is_none() {
            self.wrong(expected);
        }
        value
    }

    /// A text. A number is none: `1.30` would be 1.3.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        match &self.value.kind {
            Kind::Text(text) => Some(text),
            Kind::Number(_) => self.or_wrong(None, "a text in quotation marks"),
            Kind::Null | Kind::Bool(_) | Kind::List(_) | Kind::Map(_) => self.or_wrong(None, "a text"),
        }
    }

    /// A text that is read further.
    #[must_use]
    pub fn parsed<T>(&self, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text()?;
        self.or_wrong(read(text), expected)
    }

    /// A text that says something.
    #[must_use]
    pub fn filled(&self) -> Option<String> {
        self.parsed("a text that is not empty", |text| (!text.trim().is_empty()).then(|| text.to_owned()))
    }

    /// One of a few words.
    #[must_use]
    pub fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meant)| *meant);
        let list: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.or_wrong(found, &format!("one of {}", list.join(", ")))
    }

    /// True or false; the text "false" is neither.
    #[must_use]
    pub fn bool(&self) -> Option<bool> {
        let found = match self.value.kind {
            Kind::Bool(value) => Some(value),
            _ => None,
        };
        self.or_wrong(found, "true or false, without quotation marks")
    }

    /// A whole number from 0 up.
    #[must_use]
    pub fn count(&self) -> Option<u32> {
        let found = match &self.value.kind {
            Kind::Number(text) => text.parse().ok(),
            _ => None,
        };
        self.or_wrong(found, "a whole number from 0 up")
    }

    /// The hands on the parts of a list.
    #[must_use]
    pub fn list(&self) -> Option<Vec<Hand<'a>>> {
        let Kind::List(values) = &self.value.kind else { return self.or_wrong(None, "a list") };
        let hand =
            |(index, value)| Hand { notes: self.notes, value, path: format!("{}[{index}]", self.path) };
        Some(values.iter().enumerate().map(hand).collect())
    }

    /// The keys with the hands on their values, where the keys are data.
    #[must_use]
    pub fn entries(&self) -> Option<Vec<(&'a str, Hand<'a>)>> {
        let Kind::Map(entries) = &self.value.kind else { return self.or_wrong(None, "a mapping") };
        Some(entries.iter().map(|(key, value)| (key.as_str(), self.child(key, value))).collect())
    }

    /// The fields, where the keys are names that we know.
    #[must_use]
    pub fn fields(&self) -> Option<Fields<'a>> {
        let entries = self.entries()?;
        let entries = entries.into_iter().map(|(key, hand)| (key, hand, Cell::new(false))).collect();
        Some(Fields { hand: self.clone(), entries })
    }

    fn child(&self, key: &str, value: &'a Value) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { notes: self.notes, value, path }
    }
}

/// The fields of a mapping. What nobody has asked for in the end is a mistake.
#[derive(Debug)]
pub struct Fields<'a> {
    hand: Hand<'a>,
    entries: Vec<(&'a str, Hand<'a>, Cell<bool>)>,
}

impl<'a> Fields<'a> {
    /// The hand on the mapping itself.
    #[must_use]
    pub fn hand(&self) -> &Hand<'a> {
        &self.hand
    }

    /// A field that may be left out. One without a value counts as left out.
    #[must_use]
    pub fn optional(&self, name: &str) -> Option<Hand<'a>> {
        #[cfg(test)]
        self.asks(name, false);
        let (_, hand, asked) = self.entries.iter().find(|(key, _, _)| *key == name)?;
        asked.set(true);
        (!matches!(hand.value.kind, Kind::Null)).then(|| hand.clone())
    }

    /// A field that may be left out: nothing inside if it is, and nothing at all if it is there and cannot be read.
    pub fn optional_as<T>(&self, name: &str, read: impl FnOnce(&Hand<'a>) -> Option<T>) -> Option<Option<T>> {
        self.optional(name).map_or(Some(None), |hand| read(&hand).map(Some))
    }

    /// A field that must be there.
    #[must_use]
    pub fn required(&self, name: &str) -> Option<Hand<'a>> {
        let hand = self.optional(name);
        #[cfg(test)]
        self.asks(name, true);
        if hand.is_none() {
            self.hand.note(format!("no {name}"), format!("the field {name}"));
        }
        hand
    }

    #[cfg(test)]
    fn asks(&self, name: &str, must_be_there: bool) {
        let path =
            if self.hand.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.hand.path) };
        *self.hand.notes.asked.borrow_mut().entry(path).or_default() |= must_be_there;
    }

    /// Notes every field that nobody has asked for.
    pub fn finish(self) {
        for (key, hand, asked) in &self.entries {
            if !asked.get() {
                hand.note(format!("the field {key}"), "no field of that name".to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::tree::Tree;

    fn mistakes(text: &str, read: impl Fn(&Fields<'_>)) -> Vec<String> {
        let notes = Notes::new("f.yaml");
        let trees = match Tree::documents("f.yaml", text) {
            Ok(trees) => trees,
            Err(mistake) => return vec![mistake.to_string()],
        };
        for tree in &trees {
            if let Some(fields) = tree.hand(&notes).fields() {
                read(&fields);
                fields.finish();
            }
        }
        notes.into_mistakes().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let text = "a: 1.30\nb: yes\nc: [x, 2]\nd: {e: null}\nz: 1\n";
        let found = mistakes(text, |fields| {
            let _texts =
                ["a", "b"].map(|name| fields.required(name).and_then(|hand| hand.text().map(str::to_owned)));
            let _truth = fields.optional("b").and_then(|hand| hand.bool());
            for part in fields.required("c").and_then(|hand| hand.list()).unwrap_or_default() {
                let _text = part.text();
            }
            let inner = fields.required("d").and_then(|hand| hand.fields()).expect("a mapping");
            assert!(inner.required("e").is_none());
            inner.finish();
            assert!(fields.required("missing").is_none());
        });
        assert_eq!(
            found,
            [
                "f.yaml:1:1: the file: found no missing, expected the field missing",
                "f.yaml:1:4: a: found the number 1.3, expected a text in quotation marks",
                "f.yaml:2:4: b: found the text \"yes\", expected true or false, without quotation marks",
                "f.yaml:3:8: c[1]: found the number 2, expected a text in quotation marks",
                "f.yaml:4:4: d: found no e, expected the field e",
                "f.yaml:5:4: z: found the field z, expected no field of that name",
            ]
        );
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_place() {
        for (text, told) in [
            ("a: 1\na: 2\n", "f.yaml:2:1: the file: "),
            ("a: [1\n", "f.yaml:1:4: the file: "),
            ("{\"a\": 1, \"a\": 2}", "f.yaml:1:10: the file: "),
            ("", "f.yaml:1:1: the file: "),
            ("---\n# nothing\n---\n", "f.yaml:1:1: the file: "),
            ("a: 1\n---\nb: 1\nb: 2\n", "f.yaml:4:1: the file: "),
        ] {
            let found = mistakes(text, |_| {});
            assert!(found.len() == 1 && found[0].starts_with(told), "{text:?}: {found:?}");
        }
        let many = mistakes(&"---\na: 1\n".repeat(33), |_| {});
        assert_eq!(many, ["f.yaml:1:1: the file: found 33 documents, expected at most 32"]);
    }
}
