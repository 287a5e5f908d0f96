//! Why a value cannot be stored in its column, in PostgreSQL's words and with its codes.

use std::fmt;

use crate::identifier::{QualifiedName, quote, quote_literal};
use crate::pg_type::PgType;
use crate::sqlstate::SqlState;
use crate::value::{StorageClass, Value};

/// How many characters of a value messages show (the rule of PostgreSQL's `copyfrom.c`).
const SHOWN_CHARS: usize = 100;

/// How many bytes of a blob messages show, in hexadecimal.
const SHOWN_BYTES: usize = 32;

/// A value that its column cannot hold. `Display` is the primary message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    // Boxed, so that a Result of the hot path stays small.
    kind: Box<ValueErrorKind>,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueErrorKind {
    /// A number, boolean, uuid or text that the type cannot read (22P02).
    Syntax {
        /// The type's name in PostgreSQL's messages.
        type_name: &'static str,
        /// The value as messages show it.
        shown: String,
    },
    /// A number with a fraction in an integer column (22P02).
    Fraction {
        /// The type's name.
        type_name: &'static str,
        /// The number.
        shown: String,
    },
    /// A storage class that never fits the type, such as a blob in a text column (22P02; 22007 for date and
    /// time types).
    Class {
        /// The storage class of the value.
        class: StorageClass,
        /// The type as SQL prints it.
        type_name: String,
        /// True for date, time and timestamp types.
        is_datetime: bool,
        /// The value.
        shown: String,
    },
    /// A number outside the range of an integer or floating-point type (22003).
    Range {
        /// The type's name.
        type_name: &'static str,
        /// The number.
        shown: String,
    },
    /// A number that `numeric(precision, scale)` cannot hold (22003).
    NumericOverflow {
        /// The column's precision.
        precision: u16,
        /// The column's scale.
        scale: i16,
        /// The number is an infinity.
        is_infinite: bool,
        /// The number.
        shown: String,
    },
    /// A number beyond what any `numeric` can hold (22003).
    NumericFormat {
        /// The number.
        shown: String,
    },
    /// A text with more characters than `varchar(n)` or `char(n)` allows (22001).
    TooLong {
        /// The type as SQL prints it.
        type_name: String,
        /// Characters in the text.
        length: usize,
    },
    /// A text that is not UTF-8, or that holds a NUL, which no PostgreSQL text can (22021).
    Encoding {
        /// The offending bytes: one to four.
        bytes: Vec<u8>,
        /// Where they begin, in bytes from the start of the text.
        offset: usize,
    },
    /// A text that is not a date or time (22007).
    DateTimeSyntax {
        /// The type's name.
        type_name: &'static str,
        /// The value.
        shown: String,
    },
    /// A date or time with an impossible field, such as February 30 (22008).
    DateTimeField {
        /// The value.
        shown: String,
    },
    /// A date or timestamp outside the range of its type (22008).
    DateTimeRange {
        /// `date` or `timestamp`.
        type_name: &'static str,
        /// The value.
        shown: String,
    },
    /// A span of time in which a minus sign may count for one field or for all (22007).
    IntervalSign {
        /// The value.
        shown: String,
    },
    /// A text that is no array, range, multirange or record (22P02).
    Malformed {
        /// Which of these.
        form: &'static str,
        /// The value.
        shown: String,
    },
    /// A UTC offset of 16 hours or more (22009).
    Offset {
        /// The value.
        shown: String,
    },
    /// A text that is not one of the enum's labels (22P02).
    Label {
        /// The enum type as SQL prints it.
        type_name: String,
        /// The value.
        shown: String,
        /// The labels that there are, quoted and separated by commas.
        labels: String,
    },
    /// A text that is not JSON (22P02).
    Json {
        /// What is wrong and where.
        detail: String,
    },
    /// A `\u0000` in a `jsonb` document (22P05).
    JsonNul,
    /// A JSON document nested deeper than [`super::json::MAX_DEPTH`] (54001).
    JsonDepth,
    /// A text that the type's own input function refused, in its words.
    Refused {
        /// Its code.
        sqlstate: SqlState,
        /// Its primary message.
        message: String,
        /// Its detail; empty where it has none.
        detail: String,
    },
    /// A generated column whose expression SQLite cannot compute for the row (22000).
    Unreadable {
        /// What SQLite says.
        reason: String,
    },
    /// A JSON document too large for `jsonb`; the message says which limit (54000).
    JsonSize {
        /// The primary message.
        message: &'static str,
    },
}

impl ValueError {
    pub(crate) fn new(kind: ValueErrorKind) -> Self {
        ValueError { kind: Box::new(kind) }
    }

    #[cold]
    pub(crate) fn syntax(type_name: &'static str, value: Value) -> Self {
        ValueError::new(ValueErrorKind::Syntax { type_name, shown: display_value(value) })
    }

    #[cold]
    pub(crate) fn malformed(form: &'static str, value: Value) -> Self {
        ValueError::new(ValueErrorKind::Malformed { form, shown: display_value(value) })
    }

    #[cold]
    pub(crate) fn range(type_name: &'static str, value: Value) -> Self {
        ValueError::new(ValueErrorKind::Range { type_name, shown: display_value(value) })
    }

    #[cold]
    pub(crate) fn class(type_name: &dyn fmt::Display, is_datetime: bool, value: Value) -> Self {
        ValueError::new(ValueErrorKind::Class {
            class: value.storage_class(),
            type_name: type_name.to_string(),
            is_datetime,
            shown: display_value(value),
        })
    }

    /// A value that SQLite cannot compute.
    #[cold]
    pub(crate) fn unreadable(reason: &str) -> Self {
        ValueError::new(ValueErrorKind::Unreadable { reason: reason.to_owned() })
    }

    /// A text that an input function refused.
    #[must_use]
    pub fn refused(sqlstate: SqlState, message: String, detail: String) -> Self {
        ValueError::new(ValueErrorKind::Refused { sqlstate, message, detail })
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &ValueErrorKind {
        &self.kind
    }

    /// The SQLSTATE that PostgreSQL's own input function gives in this case.
    #[must_use]
    pub fn sqlstate(&self) -> SqlState {
        match &*self.kind {
            ValueErrorKind::Syntax { .. }
            | ValueErrorKind::Fraction { .. }
            | ValueErrorKind::Class { is_datetime: false, .. }
            | ValueErrorKind::Label { .. }
            | ValueErrorKind::Malformed { .. }
            | ValueErrorKind::Json { .. } => SqlState::INVALID_TEXT_REPRESENTATION,
            ValueErrorKind::Range { .. }
            | ValueErrorKind::NumericOverflow { .. }
            | ValueErrorKind::NumericFormat { .. } => SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            ValueErrorKind::TooLong { .. } => SqlState::STRING_DATA_RIGHT_TRUNCATION,
            ValueErrorKind::Encoding { .. } => SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            ValueErrorKind::DateTimeSyntax { .. }
            | ValueErrorKind::IntervalSign { .. }
            | ValueErrorKind::Class { is_datetime: true, .. } => SqlState::INVALID_DATETIME_FORMAT,
            ValueErrorKind::DateTimeField { .. } | ValueErrorKind::DateTimeRange { .. } => {
                SqlState::DATETIME_FIELD_OVERFLOW
            }
            ValueErrorKind::Offset { .. } => SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
            ValueErrorKind::JsonNul => SqlState::UNTRANSLATABLE_CHARACTER,
            ValueErrorKind::JsonDepth => SqlState::STATEMENT_TOO_COMPLEX,
            ValueErrorKind::JsonSize { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
            ValueErrorKind::Unreadable { .. } => SqlState::DATA_EXCEPTION,
            ValueErrorKind::Refused { sqlstate, .. } => *sqlstate,
        }
    }

    /// A whole sentence with further facts, where there are any.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match &*self.kind {
            ValueErrorKind::Fraction { .. } => Some("The number has a fraction.".to_owned()),
            ValueErrorKind::NumericOverflow { precision, scale, is_infinite: true, .. } => Some(format!(
                "A field with precision {precision}, scale {scale} cannot hold an infinite value."
            )),
            ValueErrorKind::NumericOverflow { precision, scale, is_infinite: false, shown } => {
                let digits = i32::from(*precision) - i32::from(*scale);
                let limit = if digits == 0 { "1".to_owned() } else { format!("10^{digits}") };
                Some(format!(
                    "The value is {shown}. A field with precision {precision}, scale {scale} must round to an \
                     absolute value less than {limit}."
                ))
            }
            ValueErrorKind::NumericFormat { shown } => Some(format!("The value is {shown}.")),
            ValueErrorKind::TooLong { length, .. } => Some(format!("The text has {length} characters.")),
            ValueErrorKind::Encoding { bytes, offset } if bytes.first() == Some(&0) => {
                Some(format!("The text holds a NUL character at byte {offset}."))
            }
            ValueErrorKind::Encoding { offset, .. } => {
                Some(format!("The text is not UTF-8 from byte {offset} on."))
            }
            ValueErrorKind::Label { labels, .. } => Some(format!("The labels are {labels}.")),
            ValueErrorKind::Json { detail } => Some(detail.clone()),
            ValueErrorKind::Refused { detail, .. } => Some(detail.clone()).filter(|d| !d.is_empty()),
            ValueErrorKind::IntervalSign { .. } => {
                Some("The minus sign may count for the first field alone or for all of them.".to_owned())
            }
            ValueErrorKind::JsonNul => Some("\\u0000 cannot be converted to text.".to_owned()),
            ValueErrorKind::JsonDepth => {
                Some(format!("The document is nested more than {} levels deep.", super::json::MAX_DEPTH))
            }
            ValueErrorKind::Syntax { .. }
            | ValueErrorKind::Class { .. }
            | ValueErrorKind::Range { .. }
            | ValueErrorKind::DateTimeSyntax { .. }
            | ValueErrorKind::DateTimeField { .. }
            | ValueErrorKind::DateTimeRange { .. }
            | ValueErrorKind::Offset { .. }
            | ValueErrorKind::Malformed { .. }
            | ValueErrorKind::Unreadable { .. }
            | ValueErrorKind::JsonSize { .. } => None,
        }
    }

    /// The narrowest type that would hold the value, where another type helps. Others of the column may need
    /// a wider one ([`super::Wider`]).
    #[must_use]
    pub fn better_type(&self) -> Option<&'static str> {
        match &*self.kind {
            ValueErrorKind::Range { type_name: "smallint" | "integer", .. } => Some("bigint"),
            ValueErrorKind::NumericOverflow { .. }
            | ValueErrorKind::NumericFormat { .. }
            | ValueErrorKind::Range { .. }
            | ValueErrorKind::Fraction { .. } => Some("numeric"),
            ValueErrorKind::Encoding { .. } | ValueErrorKind::Class { class: StorageClass::Blob, .. } => {
                Some("bytea")
            }
            ValueErrorKind::Syntax { type_name: "boolean", .. } => Some("smallint"),
            ValueErrorKind::Class {
                class: StorageClass::Integer | StorageClass::Real,
                is_datetime: true,
                ..
            }
            | ValueErrorKind::DateTimeRange { .. }
            | ValueErrorKind::Label { .. }
            | ValueErrorKind::Unreadable { .. }
            | ValueErrorKind::IntervalSign { .. } => None,
            _ => Some("text"),
        }
    }

    /// What to do next about a value of this column of a SQLite table, as whole sentences. Another type is
    /// [`retyped`]'s to name, when it is known to take the others of the column as well.
    #[must_use]
    pub fn hint(&self, table: &str, column: &str) -> String {
        let option = |name: &str, value: serde_json::Value| option(table, column, name, value);
        let or = "or set on_error to reject or null.";
        match &*self.kind {
            ValueErrorKind::Class {
                class: StorageClass::Integer | StorageClass::Real,
                is_datetime: true,
                ..
            } => format!(
                "Name the unit of the numbers, unix_s, unix_ms, unix_us or another, for instance with {}; {or}",
                option("number", "unix_ms".into())
            ),
            ValueErrorKind::DateTimeRange { .. } => format!(
                "If the number is not Unix time in the unit that its size suggests, name the unit, for instance with {}; {or}",
                option("number", "unix_ms".into())
            ),
            ValueErrorKind::Label { .. } => {
                format!("Add the label with ALTER TYPE ... ADD VALUE, repair the source, {or}")
            }
            ValueErrorKind::IntervalSign { .. } => {
                format!("Write a sign before every field in the source, {or}")
            }
            ValueErrorKind::Unreadable { .. } => format!(
                "Repair the columns that the generated column is computed from, leave it out with {}, {or}",
                option("skip", true.into())
            ),
            _ => format!("Repair the source, {or}"),
        }
    }
}

/// What to do about a value where `better` takes all of its column: an option, or for a column that is there
/// the statement of [`retyping`].
#[must_use]
pub fn retyped(
    table: &str,
    column: &str,
    existing: Option<(&QualifiedName, &str, &PgType)>,
    better: &str,
) -> String {
    match existing {
        Some((target, attribute, pg_type)) => format!(
            "Repair the value in SQLite, set on_error to reject or null, or change the column first: {};",
            retyping(target, attribute, pg_type, better)
        ),
        None => format!(
            "Repair the source, map the column with {}, or set on_error to reject or null.",
            option(table, column, "type", better.into())
        ),
    }
}

/// The statement that gives a column another type.
#[must_use]
pub fn retyping(target: &QualifiedName, attribute: &str, pg_type: &PgType, better: &str) -> String {
    let name = quote(attribute);
    let using = match better {
        "bytea" => format!("pg_catalog.convert_to({name}::text, 'UTF8')"),
        // There is no other cast from boolean to a number.
        "smallint" | "bigint" | "numeric" if *pg_type == PgType::Boolean => {
            format!("{name}::integer::{better}")
        }
        _ => format!("{name}::{better}"),
    };
    format!("ALTER TABLE {target} ALTER COLUMN {name} TYPE {better} USING {using}")
}

/// An option of a column, as the argument of a call of ours.
fn option(table: &str, column: &str, name: &str, value: serde_json::Value) -> String {
    let options = serde_json::json!({ "tables": { table: { "columns": { column: { name: value } } } } });
    format!("options => {}", quote_literal(&options.to_string()))
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.kind {
            ValueErrorKind::Syntax { type_name, shown }
            | ValueErrorKind::Fraction { type_name, shown }
            | ValueErrorKind::DateTimeSyntax { type_name, shown } => {
                write!(f, "invalid input syntax for type {type_name}: \"{shown}\"")
            }
            ValueErrorKind::IntervalSign { shown } => {
                write!(f, "invalid input syntax for type interval: \"{shown}\"")
            }
            ValueErrorKind::Malformed { form, shown } => write!(f, "malformed {form} literal: \"{shown}\""),
            ValueErrorKind::Class { class, type_name, shown, .. } => {
                let article = if *class == StorageClass::Integer { "an" } else { "a" };
                write!(f, "cannot store {article} {} value in type {type_name}: \"{shown}\"", class.as_str())
            }
            ValueErrorKind::Range { type_name, shown } => {
                write!(f, "value \"{shown}\" is out of range for type {type_name}")
            }
            ValueErrorKind::NumericOverflow { .. } => f.write_str("numeric field overflow"),
            ValueErrorKind::NumericFormat { .. } => f.write_str("value overflows numeric format"),
            ValueErrorKind::TooLong { type_name, .. } => write!(f, "value too long for type {type_name}"),
            ValueErrorKind::Encoding { bytes, .. } => {
                f.write_str("invalid byte sequence for encoding \"UTF8\":")?;
                bytes.iter().try_for_each(|byte| write!(f, " 0x{byte:02x}"))
            }
            ValueErrorKind::DateTimeField { shown } => {
                write!(f, "date/time field value out of range: \"{shown}\"")
            }
            ValueErrorKind::DateTimeRange { type_name, shown } => {
                write!(f, "{type_name} out of range: \"{shown}\"")
            }
            ValueErrorKind::Offset { shown } => write!(f, "time zone displacement out of range: \"{shown}\""),
            ValueErrorKind::Label { type_name, shown, .. } => {
                write!(f, "invalid input value for enum {type_name}: \"{shown}\"")
            }
            ValueErrorKind::Json { .. } => f.write_str("invalid input syntax for type json"),
            ValueErrorKind::JsonNul => f.write_str("unsupported Unicode escape sequence"),
            ValueErrorKind::JsonDepth => f.write_str("JSON document is nested too deeply"),
            ValueErrorKind::JsonSize { message } => f.write_str(message),
            ValueErrorKind::Refused { message, .. } => f.write_str(message),
            ValueErrorKind::Unreadable { reason } => {
                write!(f, "SQLite cannot compute the value of the generated column: {reason}")
            }
        }
    }
}

impl std::error::Error for ValueError {}

/// A value as messages show it, without quotes: a text as it is, a blob as `\x` and hexadecimal digits, both
/// cut.
///
/// A text shows at most 100 characters, a blob at most 32 bytes, then `...`. Bytes that are not UTF-8 appear
/// as U+FFFD, a NUL as `\0`, so that the result can always be part of a PostgreSQL message.
#[must_use]
pub fn display_value(value: Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Unreadable(reason) => reason.to_owned(),
        Value::Integer(v) => v.to_string(),
        Value::Real(v) => super::decimal::to_text(v),
        Value::Text(bytes) => {
            // Enough bytes for the characters shown and one more, whatever their width.
            let head = bytes.get(..4 * (SHOWN_CHARS + 1)).unwrap_or(bytes);
            let head = String::from_utf8_lossy(head);
            let mut text = String::with_capacity(head.len());
            for (count, c) in head.chars().enumerate() {
                if count == SHOWN_CHARS {
                    text.push_str("...");
                    break;
                }
                if c == '\0' { text.push_str("\\0") } else { text.push(c) }
            }
            text
        }
        Value::Blob(bytes) => {
            let mut text = "\\x".to_owned();
            for byte in bytes.iter().take(SHOWN_BYTES) {
                text.push_str(&format!("{byte:02x}"));
            }
            if bytes.len() > SHOWN_BYTES {
                text.push_str("...");
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_show_at_most_a_hundred_characters_of_a_text_and_32_bytes_of_a_blob() {
        let long = "ğ".repeat(101);
        assert_eq!(display_value(Value::Text(long.as_bytes())), format!("{}...", "ğ".repeat(100)));
        let exact = "\u{1f600}".repeat(100);
        assert_eq!(display_value(Value::Text(exact.as_bytes())), exact);
        assert_eq!(display_value(Value::Text(b"a\0b\xff")), "a\\0b\u{fffd}");
        assert_eq!(display_value(Value::Blob(&[0xab; 32])), format!("\\x{}", "ab".repeat(32)));
        assert_eq!(display_value(Value::Blob(&[0xab; 33])), format!("\\x{}...", "ab".repeat(32)));
        assert_eq!(display_value(Value::Real(100.0)), "100");
        assert_eq!(display_value(Value::Null), "NULL");
    }

    #[test]
    fn a_numeric_overflow_says_what_would_fit() {
        let overflow = |scale| {
            let shown = "1000".to_owned();
            let kind = ValueErrorKind::NumericOverflow { precision: 2, scale, is_infinite: false, shown };
            ValueError::new(kind).detail().unwrap()
        };
        assert!(overflow(0).ends_with("must round to an absolute value less than 10^2."), "{}", overflow(0));
        assert!(overflow(2).ends_with("must round to an absolute value less than 1."), "{}", overflow(2));
        assert!(overflow(4).ends_with("must round to an absolute value less than 10^-2."), "{}", overflow(4));
    }
}
