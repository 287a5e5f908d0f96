//! Under which code is a value reported, and how much does it matter?

use crate::finding::{Code, Severity};
use aliaport_rows::convert::{Lossy, ValueError, ValueErrorKind as Kind};
use aliaport_rows::pg_type::PgType;

/// The code of a value that its column cannot hold. What is wrong with the bytes goes before what the type
/// makes of them.
#[must_use]
pub fn code_of(error: &ValueError, pg_type: &PgType) -> Code {
    match (error.kind(), pg_type) {
        (Kind::Encoding { bytes, .. }, _) if bytes.first() == Some(&0) => Code::NulCharacter,
        (Kind::Encoding { .. }, _) => Code::InvalidUtf8,
        (Kind::TooLong { .. }, _) => Code::TooLong,
        (_, PgType::Boolean) => Code::BadBoolean,
        (_, PgType::Uuid) => Code::BadUuid,
        (_, PgType::Json | PgType::Jsonb) => Code::BadJson,
        (_, PgType::Date | PgType::Time(_) | PgType::Timestamp(_) | PgType::TimestampTz(_)) => {
            Code::BadDatetime
        }
        (
            Kind::DateTimeSyntax { .. }
            | Kind::DateTimeField { .. }
            | Kind::DateTimeRange { .. }
            | Kind::IntervalSign { .. }
            | Kind::Offset { .. },
            _,
        ) => Code::BadDatetime,
        (Kind::Range { .. } | Kind::NumericOverflow { .. } | Kind::NumericFormat { .. }, _) => {
            Code::OutOfRange
        }
        _ => Code::TypeMismatch,
    }
}

/// How much it matters that values arrive differently. A number that is read as a point in time and a text
/// stored as its bytes are the same value, if they were meant so; the others lose something that was there.
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

    fn code(pg_type: &PgType, value: Value) -> Code {
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
            (&PgType::Text, Value::Text(b"a\0b"), Code::NulCharacter),
            (&PgType::Text, Value::Text(b"a\xff"), Code::InvalidUtf8),
            (&jsonb, Value::Text(b"\"a\xff\""), Code::InvalidUtf8),
            (&PgType::Text, Value::Blob(b"a"), Code::TypeMismatch),
            (&PgType::Varchar(Some(2)), Value::Text(b"abc"), Code::TooLong),
            (&PgType::Boolean, Value::Integer(2), Code::BadBoolean),
            (&PgType::Boolean, Value::Blob(b""), Code::BadBoolean),
            (&PgType::Uuid, Value::Text(b"x"), Code::BadUuid),
            (&jsonb, Value::Text(b"{"), Code::BadJson),
            (&jsonb, Value::Text(b"\"\\u0000\""), Code::BadJson),
            (&PgType::Json, Value::Text(b"{"), Code::BadJson),
            (&PgType::Date, Value::Text(b"2025-02-30"), Code::BadDatetime),
            (&PgType::TimestampTz(None), Value::Text(b""), Code::BadDatetime),
            (&PgType::Time(None), Value::Blob(b""), Code::BadDatetime),
            (&PgType::Integer, Value::Integer(1 << 40), Code::OutOfRange),
            (&numeric, Value::Integer(100), Code::OutOfRange),
            (&PgType::Integer, Value::Real(3.7), Code::TypeMismatch),
            (&PgType::BigInt, Value::Text(b"x"), Code::TypeMismatch),
            (&mood, Value::Text(b"bad"), Code::TypeMismatch),
        ];
        for (pg_type, value, expected) in cases {
            assert_eq!(code(pg_type, value), expected, "{pg_type} {value:?}");
        }
    }
}
