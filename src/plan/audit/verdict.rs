//! Under which code is a value reported, and how much does it matter?

use crate::finding::Severity;
use aliaport_rows::convert::{Lossy, ValueError, ValueErrorKind as Kind};
use aliaport_rows::pg_type::PgType;

/// The codes of `aliaport_inspect`. Programs compare them, so none is added without need.
pub const CODES: [&str; 31] = [
    "orphan_rows",
    "duplicate_key",
    "case_collision",
    "type_mismatch",
    "bad_datetime",
    "bad_boolean",
    "too_long",
    "out_of_range",
    "nul_character",
    "invalid_utf8",
    "null_in_not_null",
    "bad_json",
    "bad_uuid",
    "identifier_too_long",
    "too_many_columns",
    "missing_parent_table",
    "unindexed_parent",
    "not_carried",
    "integrity",
    "target_not_empty",
    "target_missing_column",
    "target_required_column",
    "target_without_key",
    "column_vanished",
    "table_vanished",
    "index_missing",
    "constraint_missing",
    "server_timezone",
    "server_encoding",
    "server_collation",
    "connection_capacity",
];

/// The code of [`CODES`] for one of a plan's findings, which tell some cases further apart.
#[must_use]
pub fn interface_code(code: &str) -> &'static str {
    match code {
        // The name in the target is taken: by a table with rows of its own, or by what is no table.
        "bookkeeping" | "target_wrong_object" => "target_not_empty",
        // An application that inserts without a key will fail at this column.
        "sequence_missing" => "target_required_column",
        // The name is that of a system column, or of another index.
        "renamed" => "case_collision",
        // `nocase`: a collation that PostgreSQL does not have.
        _ => CODES.into_iter().find(|c| *c == code).unwrap_or("not_carried"),
    }
}

/// The code of a value that its column cannot hold. What is wrong with the bytes goes before what the type makes of them.
#[must_use]
pub fn code_of(error: &ValueError, pg_type: &PgType) -> &'static str {
    match (error.kind(), pg_type) {
        (Kind::Encoding { bytes, .. }, _) if bytes.first() == Some(&0) => "nul_character",
        (Kind::Encoding { .. }, _) => "invalid_utf8",
        (Kind::TooLong { .. }, _) => "too_long",
        (_, PgType::Boolean) => "bad_boolean",
        (_, PgType::Uuid) => "bad_uuid",
        (_, PgType::Json | PgType::Jsonb) => "bad_json",
        (_, PgType::Date | PgType::Time(_) | PgType::Timestamp(_) | PgType::TimestampTz(_)) => "bad_datetime",
        (
            Kind::DateTimeSyntax { .. }
            | Kind::DateTimeField { .. }
            | Kind::DateTimeRange { .. }
            | Kind::IntervalSign { .. }
            | Kind::Offset { .. },
            _,
        ) => "bad_datetime",
        (Kind::Range { .. } | Kind::NumericOverflow { .. } | Kind::NumericFormat { .. }, _) => "out_of_range",
        _ => "type_mismatch",
    }
}

/// How much it matters that values arrive differently. A number that is read as a point in time and a text stored as its
/// bytes are the same value, if they were meant so; the others lose something that was there.
#[must_use]
pub fn lossy_severity(lossy: Lossy) -> Severity {
    match lossy {
        Lossy::EpochNumber | Lossy::TextAsBytes => Severity::Info,
        Lossy::NumericRounded
        | Lossy::RealRounded
        | Lossy::SubMicrosecond
        | Lossy::TimeDropped
        | Lossy::DateDropped
        | Lossy::OffsetDropped
        | Lossy::BlanksCut
        | Lossy::DuplicateKey
        | Lossy::TimeGap
        | Lossy::TimeFold
        | Lossy::OffsetAssumed
        | Lossy::FieldsDropped
        | Lossy::UuidBytes => Severity::Warning,
    }
}

/// What will happen to such values, as the end of a sentence that begins with their number.
#[must_use]
pub fn lossy_message(lossy: Lossy) -> &'static str {
    match lossy {
        Lossy::NumericRounded => "will be rounded to the column's scale",
        Lossy::RealRounded => "will be rounded to the nearest floating-point value",
        Lossy::SubMicrosecond => "will lose a fraction of a second beyond the column's precision",
        Lossy::EpochNumber => "will be read as Unix or Julian time: a number in a date or time column",
        Lossy::TimeDropped => "will lose the time of day in a date column",
        Lossy::DateDropped => "will lose the date in a time column",
        Lossy::OffsetDropped => "will lose the UTC offset in a time column",
        Lossy::TextAsBytes => "will be stored as bytes: a text in a bytea column",
        Lossy::BlanksCut => "will lose trailing blanks",
        Lossy::DuplicateKey => "will keep only the last of repeated keys in a JSON object",
        Lossy::TimeGap => {
            "will be read by the offset before the change: local times that the clocks of the time zone skip"
        }
        Lossy::TimeFold => {
            "will be read by the offset after the change: local times that the clocks of the time zone show twice"
        }
        Lossy::OffsetAssumed => {
            "will get the standard offset of the time zone: times without a date and an offset"
        }
        Lossy::FieldsDropped => "will lose the fields of an interval that the column does not keep",
        Lossy::UuidBytes => "will be read in the byte order of RFC 4122: a blob of 16 bytes in a uuid column",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aliaport_rows::convert::{Converter, Rules, Scratch};
    use aliaport_rows::value::Value;

    fn code(pg_type: &PgType, value: Value) -> &'static str {
        let converter = Converter::new(pg_type, &Rules::default());
        let error = converter.convert(value, &mut Scratch::default()).unwrap_err();
        code_of(&error, pg_type)
    }

    #[test]
    fn every_kind_of_bad_value_has_its_code() {
        let jsonb = PgType::Jsonb;
        let numeric = PgType::Numeric { precision_scale: Some((4, 2)) };
        let mood = PgType::Enum { name: "mood".to_owned(), labels: vec![("ok".to_owned(), 1)] };
        let cases = [
            (&PgType::Text, Value::Text(b"a\0b"), "nul_character"),
            (&PgType::Text, Value::Text(b"a\xff"), "invalid_utf8"),
            (&jsonb, Value::Text(b"\"a\xff\""), "invalid_utf8"),
            (&PgType::Text, Value::Blob(b"a"), "type_mismatch"),
            (&PgType::Varchar(Some(2)), Value::Text(b"abc"), "too_long"),
            (&PgType::Boolean, Value::Integer(2), "bad_boolean"),
            (&PgType::Boolean, Value::Blob(b""), "bad_boolean"),
            (&PgType::Uuid, Value::Text(b"x"), "bad_uuid"),
            (&jsonb, Value::Text(b"{"), "bad_json"),
            (&jsonb, Value::Text(b"\"\\u0000\""), "bad_json"),
            (&PgType::Json, Value::Text(b"{"), "bad_json"),
            (&PgType::Date, Value::Text(b"2025-02-30"), "bad_datetime"),
            (&PgType::TimestampTz(None), Value::Text(b""), "bad_datetime"),
            (&PgType::Time(None), Value::Blob(b""), "bad_datetime"),
            (&PgType::Integer, Value::Integer(1 << 40), "out_of_range"),
            (&numeric, Value::Integer(100), "out_of_range"),
            (&PgType::Integer, Value::Real(3.7), "type_mismatch"),
            (&PgType::BigInt, Value::Text(b"x"), "type_mismatch"),
            (&mood, Value::Text(b"bad"), "type_mismatch"),
        ];
        for (pg_type, value, expected) in cases {
            assert_eq!(code(pg_type, value), expected, "{pg_type} {value:?}");
        }
    }
}
