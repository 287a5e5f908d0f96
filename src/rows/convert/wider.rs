//! Which other type takes every value of a column that refuses one of them?

use super::{Converter, Lossy, Rules, Scratch};
use crate::pg_type::PgType;
use crate::value::Value;

/// The types that are tried. Each takes every number and text that those before it take, but for the last,
/// which takes no numbers.
const TYPES: [(&str, PgType); 5] = [
    ("smallint", PgType::SmallInt),
    ("bigint", PgType::BigInt),
    ("numeric", PgType::Numeric { precision_scale: None }),
    ("text", PgType::Text),
    ("bytea", PgType::Bytea),
];

/// Types that keep what another of their family loses; what they do not take is a text.
const FAMILIES: [(&str, PgType); 4] = [
    ("timestamptz", PgType::TimestampTz(None)),
    ("timestamp", PgType::Timestamp(None)),
    ("time", PgType::Time(None)),
    ("json", PgType::Json),
];

/// The types that have taken every value so far.
#[derive(Debug)]
pub struct Wider {
    left: Vec<(&'static str, Converter)>,
    scratch: Scratch,
}

impl Wider {
    /// Begins with a type and those that are wider.
    #[must_use]
    pub fn from(first: &str) -> Self {
        let own = FAMILIES.iter().filter(|(name, _)| *name == first);
        let of_all = if own.clone().next().is_some() { "text" } else { first };
        let types = own.chain(TYPES.iter().skip_while(|(name, _)| *name != of_all));
        let left = types.map(|(name, pg_type)| (*name, Converter::new(pg_type, &Rules::default()))).collect();
        Wider { left, scratch: Scratch::default() }
    }

    /// Tries one more value.
    pub fn see(&mut self, value: Value<'_>) {
        let Wider { left, scratch } = self;
        left.retain(|(_, converter)| match converter.convert(value, scratch) {
            Ok(converted) => matches!(converted.lossy, None | Some(Lossy::TextAsBytes | Lossy::EpochNumber)),
            Err(_) => false,
        });
    }

    /// The narrowest type that has taken every value.
    #[must_use]
    pub fn narrowest(&self) -> Option<&'static str> {
        self.left.first().map(|(name, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrowest(first: &str, values: &[Value<'_>]) -> Option<&'static str> {
        let mut wider = Wider::from(first);
        values.iter().for_each(|value| wider.see(*value));
        wider.narrowest()
    }

    #[test]
    fn the_type_takes_every_value_or_there_is_none() {
        use Value::{Blob, Integer, Null, Real, Text};
        let cases: &[(&str, &[Value<'_>], Option<&str>)] = &[
            ("smallint", &[Integer(2), Null], Some("smallint")),
            ("smallint", &[Integer(2), Integer(40000)], Some("bigint")),
            ("timestamp", &[Text(b"2024-01-01 00:00:00.123456")], Some("timestamp")),
            ("timestamp", &[Text(b"2024-01-01 00:00:00.1234567")], Some("text")),
            ("bigint", &[Null, Integer(i64::MAX)], Some("bigint")),
            ("bigint", &[Integer(1), Real(1.5)], Some("numeric")),
            ("bigint", &[Integer(1), Text(b"12x")], Some("text")),
            ("numeric", &[Real(f64::INFINITY), Text(b"1e999999")], Some("text")),
            ("text", &[Blob(b"\x01"), Text(b"a")], Some("bytea")),
            ("text", &[Text(b"a\0b"), Text(b"\xff")], Some("bytea")),
            // Neither takes the other's.
            ("text", &[Blob(b"\x01"), Integer(1)], None),
            ("bytea", &[Blob(b"a"), Integer(12345)], None),
            ("bigint", &[Blob(b"a"), Real(0.5)], None),
        ];
        for (first, values, expected) in cases {
            assert_eq!(narrowest(first, values), *expected, "{values:?}");
        }
    }
}
