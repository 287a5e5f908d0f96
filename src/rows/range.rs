//! The smallest and the largest value of a column's cells, and how SQL writes them.

use std::cmp::Ordering;

use crate::convert::numeric::{self, Decoded, Finite};
use crate::pg_type::PgType;
use crate::value::Cell;

/// A value that outlives its row.
#[derive(Clone, Debug, PartialEq)]
enum Bound {
    /// Integers, dates, times and timestamps, as they are stored.
    Whole(i64),
    Float(f64),
    /// A numeric's payload.
    Numeric(Vec<u8>),
}

/// Two values, the first not after the second.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    min: Bound,
    max: Bound,
}

/// Whether values of a type have a range that a person wants to see.
#[must_use]
pub fn has_range(pg_type: &PgType) -> bool {
    matches!(
        pg_type,
        PgType::SmallInt
            | PgType::Integer
            | PgType::BigInt
            | PgType::Real
            | PgType::DoublePrecision
            | PgType::Numeric { .. }
            | PgType::Date
            | PgType::Time(_)
            | PgType::Timestamp(_)
            | PgType::TimestampTz(_)
    )
}

/// Widens a range to a cell; NULL changes nothing.
#[inline]
pub fn widen(range: &mut Option<Range>, cell: &Cell<'_>) {
    match (whole(cell), cell) {
        (Some(v), _) => match range {
            Some(Range { min: Bound::Whole(min), max: Bound::Whole(max) }) => {
                *min = (*min).min(v);
                *max = (*max).max(v);
            }
            _ => *range = Some(Range { min: Bound::Whole(v), max: Bound::Whole(v) }),
        },
        (_, Cell::Float4(v)) => widen_float(range, f64::from(*v)),
        (_, Cell::Float8(v)) => widen_float(range, *v),
        (_, Cell::Varlena(payload)) => match range {
            Some(Range { min: Bound::Numeric(min), max: Bound::Numeric(max) }) => {
                if compare(payload, min) == Ordering::Less {
                    min.clear();
                    min.extend_from_slice(payload);
                }
                if compare(payload, max) == Ordering::Greater {
                    max.clear();
                    max.extend_from_slice(payload);
                }
            }
            _ => {
                let payload = payload.to_vec();
                *range = Some(Range { min: Bound::Numeric(payload.clone()), max: Bound::Numeric(payload) });
            }
        },
        _ => {}
    }
}

fn widen_float(range: &mut Option<Range>, v: f64) {
    match range {
        // To PostgreSQL NaN is above everything. SQLite has none, but a text can say it.
        Some(Range { min: Bound::Float(min), max: Bound::Float(max) }) => {
            *min = min.min(v);
            *max = if max.is_nan() || v.is_nan() { f64::NAN } else { max.max(v) };
        }
        _ => *range = Some(Range { min: Bound::Float(v), max: Bound::Float(v) }),
    }
}

#[inline]
fn whole(cell: &Cell<'_>) -> Option<i64> {
    Some(match cell {
        Cell::Int2(v) => i64::from(*v),
        Cell::Int4(v) | Cell::Date(v) => i64::from(*v),
        Cell::Int8(v) | Cell::Time(v) | Cell::Timestamp(v) => *v,
        _ => return None,
    })
}

/// Compares two payloads as `numeric_cmp` does: NaN is above everything.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let class = |n: &Option<Decoded<'_>>| match n {
        Some(Decoded::Infinity(true)) => 0,
        Some(Decoded::Finite(_)) | None => 1,
        Some(Decoded::Infinity(false)) => 2,
        Some(Decoded::Nan) => 3,
    };
    let (a, b) = (numeric::decode(a), numeric::decode(b));
    match (&a, &b) {
        (Some(Decoded::Finite(a)), Some(Decoded::Finite(b))) => compare_finite(a, b),
        _ => class(&a).cmp(&class(&b)),
    }
}

fn compare_finite(a: &Finite<'_>, b: &Finite<'_>) -> Ordering {
    let sign = |n: &Finite<'_>| match (n.digits().len(), n.is_negative) {
        (0, _) => 0,
        (_, true) => -1,
        (_, false) => 1,
    };
    let by_sign = sign(a).cmp(&sign(b));
    if by_sign != Ordering::Equal || sign(a) == 0 {
        return by_sign;
    }
    // Stored numbers have no zero digit at either end, so a longer one with the same beginning is larger.
    let magnitude = a.weight.cmp(&b.weight).then_with(|| a.digits().cmp(b.digits()));
    if a.is_negative { magnitude.reverse() } else { magnitude }
}

impl Range {
    /// The largest value of integers, dates and times, as it is stored.
    #[must_use]
    pub fn largest(&self) -> Option<i64> {
        match self.max {
            Bound::Whole(v) => Some(v),
            Bound::Float(_) | Bound::Numeric(_) => None,
        }
    }

    /// Smallest and largest value as SQL expressions of the column's type; `None` where the type has no
    /// range.
    #[must_use]
    pub fn as_sql(&self, pg_type: &PgType) -> Option<(String, String)> {
        Some((self.min.as_sql(pg_type)?, self.max.as_sql(pg_type)?))
    }
}

impl Bound {
    fn as_sql(&self, pg_type: &PgType) -> Option<String> {
        const MICROS_PER_SECOND: i64 = 1_000_000;
        const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
        let of_type = |text: &str, name: &str| format!("'{text}'::pg_catalog.{name}");
        let timestamp = |v: i64| match v {
            i64::MIN => of_type("-infinity", "timestamp"),
            i64::MAX => of_type("infinity", "timestamp"),
            // Both fields have a sign, because with IntervalStyle sql_standard the first would count for the
            // second. PostgreSQL 14 takes no more than 32 bits of a field.
            v => format!(
                "('2000-01-01'::pg_catalog.timestamp + '{:+} days +{}.{:06} seconds'::pg_catalog.interval)",
                v.div_euclid(MICROS_PER_DAY),
                v.rem_euclid(MICROS_PER_DAY) / MICROS_PER_SECOND,
                v.rem_euclid(MICROS_PER_SECOND)
            ),
        };
        Some(match (pg_type, self) {
            (PgType::SmallInt, Bound::Whole(v)) => of_type(&v.to_string(), "int2"),
            (PgType::Integer, Bound::Whole(v)) => of_type(&v.to_string(), "int4"),
            (PgType::BigInt, Bound::Whole(v)) => of_type(&v.to_string(), "int8"),
            (PgType::Real, Bound::Float(v)) => of_type(&float(*v), "float4"),
            (PgType::DoublePrecision, Bound::Float(v)) => of_type(&float(*v), "float8"),
            (PgType::Numeric { .. }, Bound::Numeric(payload)) => {
                of_type(&numeric::to_text(payload)?, "numeric")
            }
            (PgType::Date, Bound::Whole(v)) if *v == i64::from(i32::MIN) => of_type("-infinity", "date"),
            (PgType::Date, Bound::Whole(v)) if *v == i64::from(i32::MAX) => of_type("infinity", "date"),
            (PgType::Date, Bound::Whole(v)) => format!("('2000-01-01'::pg_catalog.date + ({v}))"),
            (PgType::Time(_), Bound::Whole(v)) => {
                let (seconds, micros) = (v.div_euclid(1_000_000), v.rem_euclid(1_000_000));
                let text =
                    format!("{:02}:{:02}:{:02}.{micros:06}", seconds / 3600, seconds / 60 % 60, seconds % 60);
                of_type(&text, "time")
            }
            (PgType::Timestamp(_), Bound::Whole(v)) => timestamp(*v),
            (PgType::TimestampTz(_), Bound::Whole(v)) => {
                format!("pg_catalog.timezone('UTC', {})", timestamp(*v))
            }
            _ => return None,
        })
    }
}

fn float(v: f64) -> String {
    if v.is_nan() {
        return "NaN".to_owned();
    }
    if v.is_infinite() {
        return if v > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    // The shortest digits that read back as the same double.
    format!("{v:e}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::convert::{Converter, Rules, Scratch};
    use crate::value::Value;

    fn range_of(pg_type: &PgType, values: &[Value<'_>]) -> Option<(String, String)> {
        let rules = Rules::default();
        let (converter, mut scratch) = (Converter::new(pg_type, &rules), Scratch::default());
        let mut range = None;
        for value in values {
            widen(&mut range, &converter.convert(*value, &mut scratch).unwrap().cell);
        }
        range?.as_sql(pg_type)
    }

    proptest! {
        #[test]
        fn a_numeric_range_is_that_of_the_numbers(numbers in proptest::collection::vec(
            prop_oneof![any::<i64>(), -20_000i64..20_000, (any::<i64>(), 0u32..19).prop_map(|(v, e)| v / 10i64.pow(e))], 1..20
        )) {
            let (min, max) = (numbers.iter().min().unwrap(), numbers.iter().max().unwrap());
            let values: Vec<Value<'_>> = numbers.iter().map(|v| Value::Integer(*v)).collect();
            let expected = (format!("'{min}'::pg_catalog.numeric"), format!("'{max}'::pg_catalog.numeric"));
            prop_assert_eq!(range_of(&PgType::Numeric { precision_scale: None }, &values), Some(expected));
            let texts: Vec<String> = numbers.iter().map(|v| format!("{v}e-7")).collect();
            let values: Vec<Value<'_>> = texts.iter().map(|t| Value::Text(t.as_bytes())).collect();
            let (low, high) = range_of(&PgType::Numeric { precision_scale: None }, &values).unwrap();
            let number = |sql: &str| sql.split('\'').nth(1).unwrap().replace('.', "").parse::<i128>().unwrap();
            prop_assert_eq!((number(&low), number(&high)), (i128::from(*min), i128::from(*max)));
        }
    }

    #[test]
    fn nan_is_above_everything() {
        let pair = |low: &str, high: &str, name: &str| {
            Some((format!("'{low}'::pg_catalog.{name}"), format!("'{high}'::pg_catalog.{name}")))
        };
        let of = |pg_type: &PgType, texts: &[&str]| {
            let values: Vec<Value<'_>> = texts.iter().map(|t| Value::Text(t.as_bytes())).collect();
            range_of(pg_type, &values)
        };
        for texts in [["NaN", "1.5", "inf"], ["1.5", "NaN", "inf"], ["inf", "1.5", "NaN"]] {
            assert_eq!(of(&PgType::DoublePrecision, &texts), pair("1.5e0", "NaN", "float8"));
            assert_eq!(of(&PgType::Real, &texts), pair("1.5e0", "NaN", "float4"));
            let numeric = PgType::Numeric { precision_scale: None };
            assert_eq!(of(&numeric, &texts), pair("1.5", "NaN", "numeric"));
        }
        assert_eq!(of(&PgType::Real, &["NaN", "NaN"]), pair("NaN", "NaN", "float4"));
    }

    #[test]
    fn moments_are_written_from_the_epoch() {
        let texts = ["1999-12-31 23:59:59.5", "2000-01-03 00:00:00"];
        let values: Vec<Value<'_>> = texts.iter().map(|t| Value::Text(t.as_bytes())).collect();
        let (low, high) = range_of(&PgType::Timestamp(None), &values).unwrap();
        assert_eq!(
            low,
            "('2000-01-01'::pg_catalog.timestamp + '-1 days +86399.500000 seconds'::pg_catalog.interval)"
        );
        assert_eq!(
            high,
            "('2000-01-01'::pg_catalog.timestamp + '+2 days +0.000000 seconds'::pg_catalog.interval)"
        );
        assert_eq!(
            range_of(&PgType::Time(None), &[Value::Text(b"24:00:00")]).unwrap().0,
            "'24:00:00.000000'::pg_catalog.time"
        );
        assert_eq!(range_of(&PgType::Date, &[Value::Null]), None);
    }
}
