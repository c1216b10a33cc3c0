//! JSON values as the printed lines show them. A name or a reason of another type than text is no error in seed mode:
//! it is printed in the notation of the seed's language.

use std::fmt::Write;

use super::json::Value;

/// A value inside a sentence: a text as it is, everything else in its notation.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => {
            let mut out = String::new();
            write_notation(other, &mut out);
            out
        }
    }
}

fn write_notation(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Integer(digits) => out.push_str(digits),
        Value::Float(number) => out.push_str(&float(*number)),
        Value::Text(text) => write_quoted(text, out),
        Value::List(values) => {
            out.push('[');
            for (place, value) in values.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { ", " });
                write_notation(value, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (place, (key, value)) in entries.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { ", " });
                write_quoted(key, out);
                out.push_str(": ");
                write_notation(value, out);
            }
            out.push('}');
        }
    }
}

/// The fewest digits that name the number; from 1e16 up and below 1e-4 with an exponent.
fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, size) = exponent.strip_prefix('-').map_or(('+', exponent), |size| ('-', size));
        return format!("{digits}e{sign}{size:0>2}");
    }
    let text = number.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

fn write_quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for letter in text.chars() {
        let code = u32::from(letter);
        let _ = match letter {
            '\t' => write!(out, "\\t"),
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            _ if letter == quote || letter == '\\' => write!(out, "\\{letter}"),
            ' '..='~' => write!(out, "{letter}"),
            _ if is_printable(letter) => write!(out, "{letter}"),
            _ if code < 0x100 => write!(out, "\\x{code:02x}"),
            _ if code < 0x1_0000 => write!(out, "\\u{code:04x}"),
            _ => write!(out, "\\U{code:08x}"),
        };
    }
    out.push(quote);
}

/// Whether the standard library shows a character beyond ASCII as it is when it comes after another one.
fn is_printable(letter: char) -> bool {
    !letter.is_ascii() && ['a', letter].iter().collect::<String>().escape_debug().count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compat::json::read_input;

    #[test]
    fn every_value_has_its_notation() {
        let cases = [
            ("null", "None"),
            ("[true,false]", "[True, False]"),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("1e2", "100.0"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("1.5e-5", "1.5e-05"),
            ("0.0001", "0.0001"),
            ("1e400", "inf"),
            ("NaN", "nan"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("\"it's\"", "it's"),
            ("{\"it's\":[\"a\\\"b\",\"'\\\"\"]}", "{\"it's\": ['a\"b', '\\'\"']}"),
            (
                "[\"\\t\\u0001\\u007f\\u00ad\\u200b\\u00e9\\ue000\\udb40\\udc01\\u0301\"]",
                "['\\t\\x01\\x7f\\xad\\u200b\u{e9}\\ue000\\U000e0001\u{301}']",
            ),
        ];
        for (json, expected) in cases {
            assert_eq!(plain(&read_input(json.as_bytes()).unwrap()), expected, "{json}");
        }
    }
}
