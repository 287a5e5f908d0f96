//! PostgreSQL's error codes, for errors that are found where no server is.

use std::fmt;

/// Five characters, as in PostgreSQL's errcodes.txt. Every code has a place here, not only those below: an
/// input function may raise any.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState([u8; 5]);

const fn five(code: &str) -> [u8; 5] {
    let b = code.as_bytes();
    [b[0], b[1], b[2], b[3], b[4]]
}

macro_rules! states {
    ($($name:ident = $code:literal;)*) => {
        impl SqlState {
            $(#[doc = $code] pub const $name: SqlState = SqlState(five($code));)*
        }
    };
}

states! {
    FEATURE_NOT_SUPPORTED = "0A000";
    DATA_EXCEPTION = "22000";
    STRING_DATA_RIGHT_TRUNCATION = "22001";
    NUMERIC_VALUE_OUT_OF_RANGE = "22003";
    INVALID_DATETIME_FORMAT = "22007";
    DATETIME_FIELD_OVERFLOW = "22008";
    INVALID_TIME_ZONE_DISPLACEMENT_VALUE = "22009";
    CHARACTER_NOT_IN_REPERTOIRE = "22021";
    INVALID_PARAMETER_VALUE = "22023";
    INVALID_TEXT_REPRESENTATION = "22P02";
    UNTRANSLATABLE_CHARACTER = "22P05";
    NOT_NULL_VIOLATION = "23502";
    FOREIGN_KEY_VIOLATION = "23503";
    UNIQUE_VIOLATION = "23505";
    CHECK_VIOLATION = "23514";
    DUPLICATE_COLUMN = "42701";
    UNDEFINED_COLUMN = "42703";
    UNDEFINED_OBJECT = "42704";
    WRONG_OBJECT_TYPE = "42809";
    DUPLICATE_TABLE = "42P07";
    PROGRAM_LIMIT_EXCEEDED = "54000";
    STATEMENT_TOO_COMPLEX = "54001";
    TOO_MANY_COLUMNS = "54011";
    OBJECT_NOT_IN_PREREQUISITE_STATE = "55000";
    INTERNAL_ERROR = "XX000";
}

impl SqlState {
    /// The code of five digits and capital letters; `None` for anything else.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let bytes: [u8; 5] = code.as_bytes().try_into().ok()?;
        bytes.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()).then_some(SqlState(bytes))
    }

    /// Its five characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Made of ASCII in every constant and by `parse`.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The number that PostgreSQL makes of it: six bits a character, counted from '0' (`MAKE_SQLSTATE` of
    /// elog.h).
    #[must_use]
    pub fn packed(self) -> i32 {
        self.0.iter().rev().fold(0, |packed, byte| packed << 6 | i32::from(byte.wrapping_sub(b'0') & 0x3f))
    }

    /// The code that PostgreSQL has made such a number of.
    #[must_use]
    pub fn unpacked(packed: i32) -> Self {
        SqlState([0, 1, 2, 3, 4].map(|i| ((packed >> (6 * i)) & 0x3f) as u8 + b'0'))
    }
}

#[cfg(test)]
impl SqlState {
    /// Its characters for as long as tests run, to be compared inside of other values.
    pub(crate) fn word(self) -> &'static str {
        Box::leak(self.to_string().into_boxed_str())
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<str> for SqlState {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for SqlState {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_code_is_the_same_after_packing(code in "[0-9A-Z]{5}") {
            let state = SqlState::parse(&code).unwrap();
            prop_assert_eq!(state, code.as_str());
            prop_assert_eq!(SqlState::unpacked(state.packed()), state);
        }
    }

    #[test]
    fn other_texts_are_no_code() {
        for text in ["", "2200", "220000", "22p02", "22 02", "22é2"] {
            assert_eq!(SqlState::parse(text), None, "{text}");
        }
        // As errcodes.h has it: MAKE_SQLSTATE('2','2','P','0','2').
        assert_eq!(SqlState::INVALID_TEXT_REPRESENTATION.packed(), 2 | 2 << 6 | 32 << 12 | 2 << 24);
    }
}
