//! Facts that are replaced while a program runs: what is read of the operator's files becomes what is in force.
//!
//! ```text
//!   look ─▶ the same as the one before? ─▶ the same as what was judged? ─▶ load ─┬─▶ good: in force
//!             no: wait for the next one       yes: nothing to do                └─▶ bad: refused whole
//! ```
//!
//! What is refused changes nothing but [`Matrix::refused`]: the facts before it stay in force, and every verdict is
//! unknown until the files can be read again, because the operator has said that these are not the facts to judge by.

use std::sync::Arc;

use jiff::Timestamp;

use super::mistake::{Mistake, Place};
use super::{Digest, Matrix};

/// How many looks may differ from each other before the files count as bad.
const UNSETTLED_LOOKS_MAX: u32 = 3;

/// What one look at one file has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The file, as the configuration names it.
    pub file: String,
    /// The digest that the configuration pins it with.
    pub sha256: Option<Digest>,
    /// Its text, or why there is none.
    pub text: Result<String, String>,
}

/// The facts in force.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The facts.
    pub matrix: Arc<Matrix>,
    /// When the files were last loaded.
    pub loaded_at: Timestamp,
}

/// What a look has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing yet.
    None,
    /// Other facts are in force.
    Loaded,
    /// The files were refused; [`Matrix::refused`] says why.
    Refused,
}

/// Follows the operator's files.
#[derive(Debug)]
pub struct Reload {
    in_force: InForce,
    judged: Vec<Seen>,
    last: Vec<Seen>,
    unsettled_looks: u32,
}

impl Reload {
    /// Begins with a first look.
    ///
    /// # Errors
    /// Every mistake of every file: nothing is in force that the operator does not want.
    pub fn begin(look: Vec<Seen>, now: Timestamp) -> Result<Self, Vec<Mistake>> {
        let in_force = InForce { matrix: Arc::new(load(&look)?), loaded_at: now };
        Ok(Self { in_force, last: look.clone(), judged: look, unsettled_looks: 0 })
    }

    /// The facts in force.
    #[must_use]
    pub fn in_force(&self) -> &InForce {
        &self.in_force
    }

    /// Takes the next look. Only what two looks in a row have seen alike is judged: one may come while a file is
    /// being written, or between two files that are replaced together.
    pub fn look(&mut self, look: Vec<Seen>, now: Timestamp) -> Change {
        if look != self.last {
            self.last = look;
            self.unsettled_looks += 1;
            return if self.unsettled_looks == UNSETTLED_LOOKS_MAX { self.unsettled() } else { Change::None };
        }
        let was_unsettled = std::mem::take(&mut self.unsettled_looks) >= UNSETTLED_LOOKS_MAX;
        if look == self.judged && !was_unsettled {
            return Change::None;
        }
        let loaded = load(&look);
        self.judged = look;
        match loaded {
            Ok(matrix) => {
                self.in_force = InForce { matrix: Arc::new(matrix), loaded_at: now };
                Change::Loaded
            }
            Err(mistakes) => self.refuse(mistakes),
        }
    }

    /// Notes that a look did not come back.
    pub fn no_look(&mut self, files: &[String], why: &str) -> Change {
        let unread = |file: &String| Seen { file: file.clone(), sha256: None, text: Err(why.to_owned()) };
        self.judged = files.iter().map(unread).collect();
        let mistakes = self
            .judged
            .iter()
            .filter_map(|seen| seen.text.as_ref().err().map(|why| unreadable(&seen.file, why)));
        self.refuse(mistakes.collect())
    }

    fn unsettled(&mut self) -> Change {
        let mistakes = self.last.iter().map(|seen| {
            mistake(&seen.file, "other files at each look", "files that stay as they are for some seconds")
        });
        self.refuse(mistakes.collect())
    }

    fn refuse(&mut self, refused: Vec<Mistake>) -> Change {
        if self.in_force.matrix.refused == refused {
            return Change::None;
        }
        let matrix = Matrix { refused, ..Matrix::clone(&self.in_force.matrix) };
        self.in_force.matrix = Arc::new(matrix);
        Change::Refused
    }
}

fn load(look: &[Seen]) -> Result<Matrix, Vec<Mistake>> {
    let mut texts = Vec::new();
    let mut mistakes = Vec::new();
    for Seen { file, sha256, text } in look {
        match text {
            // What is not the pinned file is not looked into.
            Ok(text) => match sha256.and_then(|pinned| pinned.mistake(file, text)) {
                None => texts.push((file.as_str(), text.as_str())),
                Some(mistake) => mistakes.push(mistake),
            },
            Err(why) => mistakes.push(unreadable(file, why)),
        }
    }
    match Matrix::load(&texts) {
        Ok(matrix) if mistakes.is_empty() => Ok(matrix),
        Ok(_incomplete) => Err(mistakes),
        Err(more) => Err(mistakes.into_iter().chain(more).collect()),
    }
}

fn unreadable(file: &str, why: &str) -> Mistake {
    mistake(file, why, "a file that can be read; check matrix.files and the rights")
}

fn mistake(file: &str, found: &str, expected: &str) -> Mistake {
    Mistake {
        file: file.to_owned(),
        place: Place { line: 1, column: 1 },
        field: "the file".to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::NotCovered;

    const WARN: &str = "schema: 2\nas_of: \"2026-09-01\"\npolicy: {not_covered: warn}\n";
    const UNKNOWN: &str = "schema: 2\nas_of: \"2026-09-01\"\npolicy: {not_covered: unknown}\n";
    const BAD: &str = "schema: 3\nas_of: \"2026-09-01\"\nrelease: []\n";

    fn seen(text: Result<&str, &str>) -> Vec<Seen> {
        let text = text.map(str::to_owned).map_err(str::to_owned);
        vec![Seen { file: "mine.yaml".to_owned(), sha256: None, text }]
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn in_force(reload: &Reload) -> (NotCovered, usize, Timestamp) {
        let InForce { matrix, loaded_at } = reload.in_force();
        (matrix.policy.value.not_covered, matrix.refused.len(), *loaded_at)
    }

    #[test]
    fn what_two_looks_have_seen_alike_is_loaded_or_refused_whole() {
        use NotCovered::{Unknown, Warn};
        let mut reload = Reload::begin(seen(Ok(WARN)), at(0)).unwrap();
        for (second, (text, change, expected)) in (1..).zip([
            (Ok(WARN), Change::None, (Warn, 0, at(0))),
            (Ok(UNKNOWN), Change::None, (Warn, 0, at(0))),
            (Ok(UNKNOWN), Change::Loaded, (Unknown, 0, at(3))),
            (Ok(UNKNOWN), Change::None, (Unknown, 0, at(3))),
            (Ok(BAD), Change::None, (Unknown, 0, at(3))),
            (Ok(BAD), Change::Refused, (Unknown, 2, at(3))),
            (Ok(BAD), Change::None, (Unknown, 2, at(3))),
            (Err("it is gone"), Change::None, (Unknown, 2, at(3))),
            (Err("it is gone"), Change::Refused, (Unknown, 1, at(3))),
            (Ok(WARN), Change::None, (Unknown, 1, at(3))),
            (Ok(WARN), Change::Loaded, (Warn, 0, at(11))),
            // One look in the middle of a change is not judged.
            (Ok(BAD), Change::None, (Warn, 0, at(11))),
            (Ok(WARN), Change::None, (Warn, 0, at(11))),
            (Ok(WARN), Change::None, (Warn, 0, at(11))),
        ]) {
            assert_eq!(reload.look(seen(text), at(second)), change, "look {second}");
            assert_eq!(in_force(&reload), expected, "look {second}");
        }
    }

    #[test]
    fn only_the_pinned_file_is_loaded_and_another_one_is_refused_with_both_digests() {
        let pinned = |pin: &str, text: &str| {
            let [seen] = <[Seen; 1]>::try_from(seen(Ok(text))).unwrap();
            vec![Seen { sha256: Some(Digest::of(pin)), ..seen }]
        };
        let told = format!(
            "mine.yaml:1:1: its sha256: found {}, expected {}, as matrix.files pins it",
            Digest::of(UNKNOWN),
            Digest::of(WARN)
        );
        let said = |mistakes: &[Mistake]| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mistakes = Reload::begin(pinned(WARN, UNKNOWN), at(0)).unwrap_err();
        assert_eq!(said(&mistakes), [told.as_str()], "nothing begins with it");

        let mut reload = Reload::begin(pinned(WARN, WARN), at(0)).unwrap();
        use Change::{Loaded, None, Refused};
        for (second, (text, change, refused)) in
            (1..).zip([(UNKNOWN, None, 0), (UNKNOWN, Refused, 1), (WARN, None, 1), (WARN, Loaded, 0)])
        {
            assert_eq!(reload.look(pinned(WARN, text), at(second)), change, "look {second}");
            let (in_force, mistakes, _) = in_force(&reload);
            assert_eq!((in_force, mistakes), (NotCovered::Warn, refused), "look {second}");
            if refused > 0 {
                assert_eq!(said(&reload.in_force().matrix.refused), [told.as_str()], "look {second}");
            }
        }
    }

    #[test]
    fn files_that_never_come_to_rest_are_refused_and_loaded_once_they_have() {
        let mut reload = Reload::begin(seen(Ok(WARN)), at(0)).unwrap();
        let changes: Vec<Change> = [UNKNOWN, WARN, UNKNOWN, WARN, UNKNOWN, WARN, WARN]
            .map(|text| reload.look(seen(Ok(text)), at(1)))
            .to_vec();
        use Change::{Loaded, None, Refused};
        assert_eq!(changes, [None, None, Refused, None, None, None, Loaded]);
        assert!(reload.in_force().matrix.refused.is_empty());
    }

    #[test]
    fn a_look_that_does_not_come_back_refuses_once_and_the_next_one_is_judged_anew() {
        let mut reload = Reload::begin(seen(Ok(WARN)), at(0)).unwrap();
        let files = ["mine.yaml".to_owned()];
        assert_eq!(reload.no_look(&files, "no answer"), Change::Refused);
        assert_eq!(reload.no_look(&files, "no answer"), Change::None);
        assert_eq!(reload.look(seen(Ok(WARN)), at(5)), Change::Loaded);
        assert_eq!(in_force(&reload), (NotCovered::Warn, 0, at(5)));
    }

    #[test]
    fn a_beginning_with_mistakes_tells_all_of_them_and_is_none() {
        let look = [seen(Err("it is gone")), seen(Ok(BAD))].concat();
        let mistakes = Reload::begin(look, at(0)).unwrap_err();
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("mine.yaml:1:1: the file: found it is gone, expected "), "{told:?}");
        assert!(told[2].starts_with("mine.yaml:3:1: release: "), "{told:?}");
    }
}
