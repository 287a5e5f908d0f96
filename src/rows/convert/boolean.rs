//! `boolean`: 0, 1 and the words that PostgreSQL's `boolin` takes.

use super::{Converted, ValueError};
use crate::value::{Cell, Value};

pub(super) fn convert(value: Value<'_>) -> Result<Converted<'_>, ValueError> {
    let truth = match value {
        Value::Integer(0) => Some(false),
        Value::Integer(1) => Some(true),
        Value::Real(0.0) => Some(false),
        Value::Real(1.0) => Some(true),
        Value::Text(text) => word(text),
        Value::Blob(_) => return Err(ValueError::class(&"boolean", false, value)),
        _ => None,
    };
    match truth {
        Some(truth) => Ok(Converted::exact(Cell::Bool(truth))),
        None => Err(ValueError::syntax("boolean", value)),
    }
}

/// The rule of `parse_bool_with_len` (src/backend/utils/adt/bool.c): any beginning of a word that only one
/// word has.
fn word(text: &[u8]) -> Option<bool> {
    let text = super::integer::trim(text);
    let is_start_of =
        |word: &[u8]| word.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
    match text.first()?.to_ascii_lowercase() {
        b't' if is_start_of(b"true") => Some(true),
        b'f' if is_start_of(b"false") => Some(false),
        b'y' if is_start_of(b"yes") => Some(true),
        b'n' if is_start_of(b"no") => Some(false),
        // 'o' alone could be either.
        b'o' if text.len() >= 2 && is_start_of(b"on") => Some(true),
        b'o' if text.len() >= 2 && is_start_of(b"off") => Some(false),
        b'1' if text.len() == 1 => Some(true),
        b'0' if text.len() == 1 => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unique_beginnings_of_the_five_words_and_digits_are_booleans() {
        let good = [
            ("t", true),
            ("TRU", true),
            ("true", true),
            (" y\n", true),
            ("yes", true),
            ("on", true),
            ("1", true),
            ("f", false),
            ("fal", false),
            ("False", false),
            ("n", false),
            ("NO", false),
            ("of", false),
            ("off", false),
            ("0", false),
        ];
        for (text, truth) in good {
            assert_eq!(word(text.as_bytes()), Some(truth), "{text}");
        }
        for text in ["", " ", "o", "2", "01", "maybe", "truee", "yess", "offf", "on!", "nope", "T r"] {
            assert_eq!(word(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn numbers_other_than_zero_and_one_are_bad() {
        assert_eq!(convert(Value::Real(1.0)).unwrap().cell, Cell::Bool(true));
        assert_eq!(convert(Value::Real(-0.0)).unwrap().cell, Cell::Bool(false));
        for value in [Value::Integer(2), Value::Integer(-1), Value::Real(0.5), Value::Text(b"")] {
            let error = convert(value).unwrap_err();
            assert_eq!(error.sqlstate(), "22P02");
        }
        assert_eq!(
            convert(Value::Text(b"maybe")).unwrap_err().to_string(),
            "invalid input syntax for type boolean: \"maybe\""
        );
    }
}
