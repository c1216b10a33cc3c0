//! Whitespace and lines as seed mode sees them: four control characters more than Unicode's white space, and every
//! character that ends a line in any standard.

fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

/// The text without the whitespace around it.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// The lines that have more than whitespace in them.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let is_end = |letter: char| matches!(letter, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    strip(text).split(is_end).filter(|line| !strip(line).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_a_line_ends_a_line() {
        let text = "\u{1f} a \r\nb\rc\u{b}\u{85}d\u{2028}e\u{1c}f\u{1f}g\n\u{1d} \n ";
        assert_eq!(lines(text).collect::<Vec<_>>(), ["a ", "b", "c", "d", "e", "f\u{1f}g"]);
    }
}
