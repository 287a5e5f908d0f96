//! Under which code is a value reported?

use crate::finding::Code;
use aliaport_rows::convert::{ValueError, ValueErrorKind as Kind};
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
