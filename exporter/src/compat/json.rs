//! JSON as seed mode reads it. A library would say no where the seed said yes (`NaN`, `Infinity`, any size of
//! integer), would forget how a number was written, and would name errors in other words than the line that is
//! printed for them.
//!
//! Three things are stricter: nesting deeper than [`DEPTH_MAX`], half of a surrogate pair, and bytes that are not
//! UTF-8 are errors.

use std::collections::HashMap;

use super::number::DIGITS_MAX;

/// How deep lists and objects may be nested.
const DEPTH_MAX: usize = 128;

/// A JSON value. Objects keep the order of their keys; a key that comes twice has the last value at the first place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(String),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The value of a key; none if this is no object.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Whether it says something: not null, false, zero or empty.
    pub(super) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(yes) => *yes,
            Self::Integer(digits) => digits != "0",
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(values) => !values.is_empty(),
            Self::Map(entries) => !entries.is_empty(),
        }
    }

    /// What it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}

/// Reads what came on standard input: a byte order mark is an error, and every end of a line counts as one character.
pub(super) fn read_input(bytes: &[u8]) -> Result<Value, String> {
    let text = utf8(bytes)?.replace("\r\n", "\n").replace('\r', "\n");
    if text.starts_with('\u{feff}') {
        return Err(words("Unexpected UTF-8 BOM (decode using utf-8-sig)", &text, 0));
    }
    read(&text)
}

/// Reads the body of an answer: a byte order mark is passed over.
pub(super) fn read_body(bytes: &[u8]) -> Result<Value, String> {
    let text = utf8(bytes)?;
    read(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn read(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0 };
    reader.skip_space();
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at == text.len() { Ok(value) } else { Err(reader.error("Extra data")) }
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| {
        let start = error.valid_up_to();
        let (length, why) = match error.error_len() {
            None => (bytes.len() - start, "unexpected end of data"),
            Some(1) if !matches!(bytes[start], 0xc2..=0xf4) => (1, "invalid start byte"),
            Some(length) => (length, "invalid continuation byte"),
        };
        let place = match length {
            1 => format!("byte 0x{:02x} in position {start}", bytes[start]),
            _ => format!("bytes in position {start}-{}", start + length - 1),
        };
        format!("'utf-8' codec can't decode {place}: {why}")
    })
}

fn words(what: &str, text: &str, at: usize) -> String {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
    format!("{what}: line {line} column {column} (char {})", before.chars().count())
}

struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn error(&self, what: &str) -> String {
        self.error_at(what, self.at)
    }

    fn error_at(&self, what: &str, at: usize) -> String {
        words(what, self.text, at)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        let words = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        let kind = match self.peek() {
            Some(b'"') => return self.string().map(Value::Text),
            Some(b'{') => "object",
            Some(b'[') => "array",
            _ => {
                let rest = &self.text[self.at..];
                let Some((word, value)) = words.iter().find(|(word, _)| rest.starts_with(word)) else {
                    return self.number();
                };
                self.at += word.len();
                return Ok(value.clone());
            }
        };
        if depth == DEPTH_MAX {
            let what = "maximum recursion depth exceeded while decoding a JSON";
            return Err(format!("{what} {kind} from a unicode string"));
        }
        if kind == "array" { self.list(depth) } else { self.map(depth) }
    }

    fn list(&mut self, depth: usize) -> Result<Value, String> {
        let mut values = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.peek() != Some(b']') {
            loop {
                values.push(self.value(depth + 1)?);
                if !self.goes_on(b']')? {
                    break;
                }
            }
        }
        self.at += 1;
        Ok(Value::List(values))
    }

    fn map(&mut self, depth: usize) -> Result<Value, String> {
        let mut entries = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.peek() != Some(b'}') {
            loop {
                if self.peek() != Some(b'"') {
                    return Err(self.error("Expecting property name enclosed in double quotes"));
                }
                let key = self.string()?;
                self.skip_space();
                if self.peek() != Some(b':') {
                    return Err(self.error("Expecting ':' delimiter"));
                }
                self.at += 1;
                self.skip_space();
                entries.push((key, self.value(depth + 1)?));
                if !self.goes_on(b'}')? {
                    break;
                }
            }
        }
        self.at += 1;
        Ok(Value::Map(last_value_at_first_place(entries)))
    }

    /// Whether another element follows; otherwise the end is next.
    fn goes_on(&mut self, end: u8) -> Result<bool, String> {
        self.skip_space();
        if self.peek() == Some(end) {
            return Ok(false);
        }
        if self.peek() != Some(b',') {
            return Err(self.error("Expecting ',' delimiter"));
        }
        self.at += 1;
        self.skip_space();
        Ok(true)
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        let digits = |from: usize| {
            let count = self.bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            from + count
        };
        let whole = start + usize::from(self.bytes.get(start) == Some(&b'-'));
        let mut end = match self.bytes.get(whole) {
            Some(b'0') => whole + 1,
            Some(b'1'..=b'9') => digits(whole),
            _ => return Err(self.error("Expecting value")),
        };
        let integer_end = end;
        if self.bytes.get(end) == Some(&b'.') && digits(end + 1) > end + 1 {
            end = digits(end + 1);
        }
        if matches!(self.bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = end + 1 + sign;
            if digits(exponent) > exponent {
                end = digits(exponent);
            }
        }
        let text = &self.text[start..end];
        self.at = end;
        if end > integer_end {
            return text.parse().map(Value::Float).map_err(|_| self.error_at("Expecting value", start));
        }
        if end - whole > DIGITS_MAX {
            return Err(format!(
                "Exceeds the limit ({DIGITS_MAX} digits) for integer string conversion: value has {} digits; \
                 use sys.set_int_max_str_digits() to increase the limit",
                end - whole
            ));
        }
        Ok(Value::Integer(if text == "-0" { "0".to_owned() } else { text.to_owned() }))
    }

    fn string(&mut self) -> Result<String, String> {
        let begin = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let rest = &self.bytes[self.at..];
            let Some(plain) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) else {
                return Err(self.error_at("Unterminated string starting at", begin));
            };
            text.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
            match self.bytes[self.at] {
                b'"' => break,
                b'\\' => text.push(self.escape(begin)?),
                _ => return Err(self.error("Invalid control character at")),
            }
        }
        self.at += 1;
        Ok(text)
    }

    fn escape(&mut self, begin: usize) -> Result<char, String> {
        let letter = match self.bytes.get(self.at + 1) {
            None => return Err(self.error_at("Unterminated string starting at", begin)),
            Some(b'u') => return self.unicode(),
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(_) => return Err(self.error("Invalid \\escape")),
        };
        self.at += 2;
        Ok(letter)
    }

    fn unicode(&mut self) -> Result<char, String> {
        let start = self.at;
        let high = self.hex()?;
        if let Some(letter) = char::from_u32(high) {
            return Ok(letter);
        }
        // The last quotation mark cannot belong to a pair.
        let is_pair = high < 0xdc00 && self.text.get(self.at..self.at + 2) == Some("\\u");
        if is_pair && self.at + 6 < self.bytes.len() {
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return char::from_u32(code).ok_or_else(|| self.error_at("Invalid \\uXXXX escape", start));
            }
        }
        Err(self.error_at("Half of a surrogate pair", start))
    }

    /// The four hexadecimal digits of `\uXXXX`.
    fn hex(&mut self) -> Result<u32, String> {
        let digits = self.bytes.get(self.at + 2..self.at + 6);
        let code = digits
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit) && self.at + 6 < self.bytes.len())
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let Some(code) = code else { return Err(self.error_at("Invalid \\uXXXX escape", self.at + 1)) };
        self.at += 6;
        Ok(code)
    }
}

fn last_value_at_first_place(entries: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let mut places = HashMap::with_capacity(entries.len());
    let mut kept: Vec<(String, Value)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if let Some(place) = places.get(&key) {
            let place: usize = *place;
            kept[place].1 = value;
        } else {
            places.insert(key.clone(), kept.len());
            kept.push((key, value));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_place_where_reading_stopped() {
        let cases = [
            ("", "Expecting value: line 1 column 1 (char 0)"),
            ("[1,\n]", "Expecting value: line 2 column 1 (char 4)"),
            ("{\"ä\" 1}", "Expecting ':' delimiter: line 1 column 6 (char 5)"),
            ("{\"a\":1,}", "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)"),
            ("01", "Extra data: line 1 column 2 (char 1)"),
            ("\"a\\u12g4\"", "Invalid \\uXXXX escape: line 1 column 4 (char 3)"),
            ("\"a\nb\"", "Invalid control character at: line 1 column 3 (char 2)"),
            ("\"\\ud800\"", "Half of a surrogate pair: line 1 column 2 (char 1)"),
        ];
        for (text, expected) in cases {
            assert_eq!(read_input(text.as_bytes()).unwrap_err(), expected, "{text:?}");
        }
        let bom = "\u{feff}{}".as_bytes();
        assert!(read_input(bom).unwrap_err().starts_with("Unexpected UTF-8 BOM"));
        assert_eq!(read_body(bom), Ok(Value::Map(Vec::new())));
        let deep = format!("{}{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1));
        assert!(read_input(deep.as_bytes()).unwrap_err().starts_with("maximum recursion depth"));
        assert!(read_input(&deep.as_bytes()[1..=DEPTH_MAX * 2]).is_ok());
    }

    #[test]
    fn bytes_that_are_no_text_are_named() {
        let cases: [(&[u8], &str); 4] = [
            (b"[\xff]", "byte 0xff in position 1: invalid start byte"),
            (b"\xe2\x28\xa1", "byte 0xe2 in position 0: invalid continuation byte"),
            (b"\"\xe2\x82", "bytes in position 1-2: unexpected end of data"),
            (b"\xf0\x9f\x92\x20", "bytes in position 0-2: invalid continuation byte"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(utf8(bytes).unwrap_err(), format!("'utf-8' codec can't decode {expected}"));
        }
    }

    #[test]
    fn a_key_that_comes_twice_has_the_last_value_at_the_first_place() {
        let Ok(Value::Map(entries)) = read_input(b"{\"b\":1,\"a\":2,\"b\":3}") else { panic!("no object") };
        let three = Value::Integer("3".to_owned());
        assert_eq!(entries, [("b".to_owned(), three), ("a".to_owned(), Value::Integer("2".to_owned()))]);
    }
}
