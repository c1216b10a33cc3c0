//! Letter case and kinds of characters, as the seed's engine knows them: those of Unicode 14.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use super::tree::{Category, Fold, Letters, Member};

/// Small letters that share a capital one, so that they are the same where case is passed over (`SpecialCasing.txt` and
/// `UnicodeData.txt` of Unicode 14).
const SAME: [&str; 24] = [
    "i\u{131}",
    "s\u{17f}",
    "\u{b5}\u{3bc}",
    "\u{345}\u{3b9}\u{1fbe}",
    "\u{390}\u{1fd3}",
    "\u{3b0}\u{1fe3}",
    "\u{3b2}\u{3d0}",
    "\u{3b5}\u{3f5}",
    "\u{3b8}\u{3d1}",
    "\u{3ba}\u{3f0}",
    "\u{3c0}\u{3d6}",
    "\u{3c1}\u{3f1}",
    "\u{3c2}\u{3c3}",
    "\u{3c6}\u{3d5}",
    "\u{432}\u{1c80}",
    "\u{434}\u{1c81}",
    "\u{43e}\u{1c82}",
    "\u{441}\u{1c83}",
    "\u{442}\u{1c84}\u{1c85}",
    "\u{44a}\u{1c86}",
    "\u{463}\u{1c87}",
    "\u{1c88}\u{a64b}",
    "\u{1e61}\u{1e9b}",
    "\u{fb05}\u{fb06}",
];

static KNOWN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{Age=14.0}$").ok());
static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{L}\p{N}_&&\p{Age=14.0}]$").ok());
static DIGIT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{Nd}&&\p{Age=14.0}]$").ok());
static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let (first, more) = (r"[\p{XID_Start}_&&\p{Age=14.0}]", r"\x{200c}\x{200d}\x{30fb}\x{ff65}");
    Regex::new(&format!(r"^{first}[\p{{XID_Continue}}&&\p{{Age=14.0}}--{more}]*$")).ok()
});

/// The small letter of each other one beyond ASCII.
static LOWER: LazyLock<HashMap<u32, u32>> = LazyLock::new(|| {
    let lower = |letter: char| letter.to_lowercase().next().filter(|small| *small != letter);
    let pairs = ('\u{80}'..=char::MAX).filter_map(|letter| Some((letter, lower(letter)?)));
    let known = pairs.filter(|(letter, small)| is_in(&KNOWN, *letter) && is_in(&KNOWN, *small));
    known.map(|(letter, small)| (letter.into(), small.into())).collect()
});

/// The others of each small letter.
static OTHERS: LazyLock<HashMap<u32, Vec<u32>>> = LazyLock::new(|| {
    let mut others = HashMap::<_, Vec<_>>::new();
    for (letter, small) in LOWER.iter() {
        others.entry(*small).or_default().push(*letter);
    }
    others
});

fn is_in(set: &LazyLock<Option<Regex>>, letter: char) -> bool {
    set.as_ref().is_some_and(|set| set.is_match(letter.encode_utf8(&mut [0; 4])))
}

/// Whether the sets above can be asked; without one, its characters would never be found.
#[cfg(test)]
pub(super) fn is_whole() -> bool {
    [&KNOWN, &WORD, &DIGIT, &NAME].into_iter().all(|set| set.is_some())
}

/// Whether a group may be called so.
pub(super) fn is_name(text: &str) -> bool {
    NAME.as_ref().is_some_and(|name| name.is_match(text))
}

impl Fold {
    /// The small letter of a letter.
    pub(super) fn lower(self, code: u32) -> u32 {
        match (self, u8::try_from(code)) {
            (Self::No, _) => code,
            (_, Ok(byte)) if byte.is_ascii() => byte.to_ascii_lowercase().into(),
            (Self::Ascii, _) => code,
            (Self::Unicode, _) => LOWER.get(&code).copied().unwrap_or(code),
        }
    }

    /// Every letter that is the same as this small one.
    fn all(self, small: u32) -> Vec<u32> {
        let mut all = vec![small];
        if self == Self::Unicode {
            let letter = char::from_u32(small);
            let same = SAME.iter().filter(|same| letter.is_some_and(|letter| same.contains(letter)));
            all.extend(same.flat_map(|same| same.chars()).map(u32::from));
        }
        for number in 0..all.len() {
            let small = all.get(number).copied().unwrap_or(small);
            let letter = char::from_u32(small).filter(char::is_ascii_lowercase);
            all.extend(letter.map(|letter| u32::from(letter.to_ascii_uppercase())));
            let others = OTHERS.get(&small).filter(|_| self == Self::Unicode);
            all.extend(others.into_iter().flatten());
        }
        all
    }
}

fn upper(code: u32) -> u32 {
    let letter = char::from_u32(code);
    let capital = letter.and_then(|letter| letter.to_uppercase().next());
    capital.filter(|capital| is_in(&KNOWN, *capital)).map_or(code, u32::from)
}

impl Category {
    pub(super) fn has(self, code: u32, is_ascii: bool) -> bool {
        let Some(letter) = char::from_u32(code).filter(|letter| letter.is_ascii() || !is_ascii) else {
            return false;
        };
        match self {
            Self::Digit if letter.is_ascii() => letter.is_ascii_digit(),
            Self::Digit => is_in(&DIGIT, letter),
            Self::Word if letter.is_ascii() => letter.is_ascii_alphanumeric() || letter == '_',
            Self::Word => is_in(&WORD, letter),
            Self::Space if is_ascii => matches!(letter, '\t'..='\r' | ' '),
            Self::Space => letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter),
        }
    }
}

impl Letters {
    /// Whether a character passes.
    pub(super) fn has(&self, letter: char) -> bool {
        let code = self.fold.lower(letter.into());
        let all = if self.fold == Fold::No { Vec::new() } else { self.fold.all(code) };
        let is_alone = self.members.len() == 1;
        self.members.iter().any(|member| member.has(code, &all, is_alone)) != self.is_negated
    }
}

impl Member {
    /// `all` is what counts as the same where case is passed over; empty where it is not.
    fn has(&self, code: u32, all: &[u32], is_alone: bool) -> bool {
        const BASIC: u32 = 0xffff;
        match *self {
            Self::LineEnd => code == u32::from('\n'),
            Self::Category { category, is_negated, is_ascii } => category.has(code, is_ascii) != is_negated,
            Self::One(one) if all.is_empty() => code == one,
            // In a set, a capital letter beyond the basic plane is never found by the seed's engine.
            Self::One(one) if one > BASIC && !is_alone => code == one,
            Self::One(one) => all.contains(&one),
            Self::Range(low, high) if all.is_empty() => (low..=high).contains(&code),
            Self::Range(low, high) => {
                let is_in = |code: &u32| (low..=high).contains(code);
                let is_basic = |code: &u32| *code <= BASIC && is_in(code);
                all.iter().any(is_basic) || (high > BASIC && (is_in(&code) || is_in(&upper(code))))
            }
        }
    }
}
