//! `smallint`, `integer`, `bigint`: whole numbers in range, also where SQLite stored them as REAL or TEXT.

use super::{Converted, ValueError, ValueErrorKind, display_value};
use crate::value::{Cell, Value};

pub(super) fn to_int2(value: Value<'_>) -> Result<Converted<'_>, ValueError> {
    let wide = whole("smallint", value)?;
    let narrow = i16::try_from(wide).map_err(|_| ValueError::range("smallint", value))?;
    Ok(Converted::exact(Cell::Int2(narrow)))
}

pub(super) fn to_int4(value: Value<'_>) -> Result<Converted<'_>, ValueError> {
    let wide = whole("integer", value)?;
    let narrow = i32::try_from(wide).map_err(|_| ValueError::range("integer", value))?;
    Ok(Converted::exact(Cell::Int4(narrow)))
}

pub(super) fn to_int8(value: Value<'_>) -> Result<Converted<'_>, ValueError> {
    Ok(Converted::exact(Cell::Int8(whole("bigint", value)?)))
}

#[inline]
fn whole(type_name: &'static str, value: Value) -> Result<i64, ValueError> {
    match value {
        Value::Integer(v) => Ok(v),
        Value::Real(v) => whole_of_real(type_name, v),
        Value::Text(text) => match parse(text) {
            Ok(v) => Ok(v),
            Err(Fault::Syntax) => Err(ValueError::syntax(type_name, value)),
            Err(Fault::Range) => Err(ValueError::range(type_name, value)),
        },
        Value::Null | Value::Blob(_) | Value::Unreadable(_) => {
            Err(ValueError::class(&type_name, false, value))
        }
    }
}

fn whole_of_real(type_name: &'static str, v: f64) -> Result<i64, ValueError> {
    // 2^63 is a double, 2^63 - 1 is not.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if !(-LIMIT..LIMIT).contains(&v) {
        return Err(ValueError::range(type_name, Value::Real(v)));
    }
    if v.trunc() != v {
        let kind = ValueErrorKind::Fraction { type_name, shown: display_value(Value::Real(v)) };
        return Err(ValueError::new(kind));
    }
    Ok(v as i64)
}

pub(super) enum Fault {
    Syntax,
    Range,
}

/// The text without the white space that C's `isspace` knows at either end.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// Reads what `int8in` of PostgreSQL 15 reads: decimal digits with an optional sign and surrounding white
/// space.
pub(super) fn parse(text: &[u8]) -> Result<i64, Fault> {
    let (is_negative, digits) = match trim(text) {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(Fault::Syntax);
    }
    // Negative, because the magnitude of i64::MIN is one more than that of i64::MAX.
    let mut negated: i64 = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Fault::Syntax);
        }
        negated =
            negated.checked_mul(10).and_then(|v| v.checked_sub(i64::from(digit))).ok_or(Fault::Range)?;
    }
    if is_negative { Ok(negated) } else { negated.checked_neg().ok_or(Fault::Range) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sqlstate(value: Value) -> &'static str {
        to_int4(value).unwrap_err().sqlstate().word()
    }

    #[test]
    fn a_real_is_an_integer_only_without_fraction_and_in_range() {
        assert_eq!(to_int4(Value::Real(-4.0)).unwrap().cell, Cell::Int4(-4));
        assert_eq!(sqlstate(Value::Real(3.7)), "22P02");
        assert_eq!(sqlstate(Value::Real(3e9)), "22003");
        assert_eq!(sqlstate(Value::Real(f64::INFINITY)), "22003");
        assert_eq!(sqlstate(Value::Blob(b"1")), "22P02");
        assert_eq!(to_int8(Value::Real(-9_223_372_036_854_775_808.0)).unwrap().cell, Cell::Int8(i64::MIN));
        assert_eq!(to_int8(Value::Real(9_223_372_036_854_775_808.0)).unwrap_err().sqlstate(), "22003");
        assert_eq!(
            to_int4(Value::Text(b"99999999999")).unwrap_err().to_string(),
            "value \"99999999999\" is out of range for type integer"
        );
    }

    proptest! {
        #[test]
        fn a_text_is_an_integer_exactly_where_rust_reads_one(text in "[ \t]?[-+]?[0-9]{0,20}[ \n]?") {
            let ours = parse(text.as_bytes()).ok();
            prop_assert_eq!(ours, text.trim().parse::<i64>().ok());
        }

        #[test]
        fn every_integer_survives_its_text(v in any::<i64>()) {
            let text = v.to_string();
            prop_assert_eq!(to_int8(Value::Text(text.as_bytes())).unwrap().cell, Cell::Int8(v));
        }
    }
}
