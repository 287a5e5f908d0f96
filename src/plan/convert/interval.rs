//! `interval`: its own input syntax, and the forms that ORMs give a span of time where a database has none.
//!
//! | source | means |
//! |---|---|
//! | `YYYY-MM-DD HH:MM:SS[.F]`, a date and time without offset | the time since 1970-01-01 00:00:00 (SQLAlchemy's Interval) |
//! | a number, where `columns.<c>.number` says `unix_s`, `unix_ms` or `unix_us` | so many seconds, milliseconds or microseconds (Django's DurationField writes microseconds) |
//! | another text | what PostgreSQL's own input function makes of it |
//!
//! A number without that option is a bad value: it is seconds to one program and microseconds to the next.

use std::io::Write as _;

use super::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND};
use super::datetime::{self, Reading};
use super::{Converted, Lossy, NumberUnit, Scratch, ValueError};
use crate::value::{Cell, Value};

/// Microseconds from 1970-01-01 to 2000-01-01.
const UNIX_TO_2000: i64 = 946_684_800 * MICROS_PER_SECOND;

/// One interval type.
#[derive(Clone, Debug)]
pub(super) struct Target {
    name: String,
    number: NumberUnit,
}

impl Target {
    /// The interval type of this name, with its fields or precision; `None` for another type.
    pub(super) fn of(name: &str, number: NumberUnit) -> Option<Self> {
        let rest = name.strip_prefix("interval")?;
        (rest.is_empty() || rest.starts_with([' ', '(']) && !rest.ends_with("[]"))
            .then(|| Target { name: name.to_owned(), number })
    }
}

pub(super) fn convert<'a>(
    target: &Target,
    value: Value<'a>,
    scratch: &'a mut Scratch,
) -> Result<Converted<'a>, ValueError> {
    let per_unit = match target.number {
        NumberUnit::UnixSeconds => Some(MICROS_PER_SECOND),
        NumberUnit::UnixMillis => Some(1000),
        NumberUnit::UnixMicros => Some(1),
        NumberUnit::Auto | NumberUnit::Julian => None,
    };
    let refused = || ValueError::class(&target.name, true, value);
    let (micros, lossy) = match value {
        Value::Text(bytes) => {
            scratch.check_text(bytes)?;
            match since_epoch(bytes) {
                Some(since) => since,
                None => return Ok(Converted::exact(Cell::Input(bytes))),
            }
        }
        Value::Integer(v) => {
            (per_unit.and_then(|unit| v.checked_mul(unit)).ok_or_else(refused)?, Some(Lossy::EpochNumber))
        }
        Value::Real(v) => {
            let micros = (v * per_unit.ok_or_else(refused)? as f64).round();
            // Beyond 2^53 a double is not exact to the microsecond.
            if micros.is_nan() || micros.abs() > 9_007_199_254_740_992.0 {
                return Err(refused());
            }
            (micros as i64, Some(Lossy::EpochNumber))
        }
        Value::Null | Value::Blob(_) => return Err(refused()),
    };
    write(micros, &mut scratch.bytes);
    Ok(Converted { cell: Cell::Input(&scratch.bytes), lossy })
}

/// The microseconds that a date and time is after 1970-01-01 00:00:00. Other texts, a bare date among them, are not of this form.
fn since_epoch(bytes: &[u8]) -> Option<(i64, Option<Lossy>)> {
    let Ok(Reading::Civil(civil)) = datetime::read(bytes) else { return None };
    if civil.days.is_none() || civil.micros.is_none() || civil.offset.is_some() {
        return None;
    }
    let micros = civil.timestamp().ok()?.checked_add(UNIX_TO_2000)?;
    Some((micros, civil.is_rounded.then_some(Lossy::SubMicrosecond)))
}

/// Writes `-1 days -03:04:05.000006`.
fn write(micros: i64, out: &mut Vec<u8>) {
    out.clear();
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let (days, rest) = (micros / MICROS_PER_DAY as u64, micros % MICROS_PER_DAY as u64);
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{sign}{days} days {sign}{hour:02}:{minute:02}:{second:02}.{fraction:06}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(value: Value<'_>, number: NumberUnit) -> Option<String> {
        let mut scratch = Scratch::default();
        match convert(&Target::of("interval", number).unwrap(), value, &mut scratch).ok()?.cell {
            Cell::Input(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_date_and_time_is_the_time_since_1970_and_other_texts_stay() {
        let table = [
            ("1970-01-02 03:04:05.000000", "1 days 03:04:05.000000"),
            ("1970-01-01 00:00:00", "0 days 00:00:00.000000"),
            ("1969-12-30 23:59:59.999999", "-1 days -00:00:00.000001"),
            ("2023-01-01 00:00:00.5", "19358 days 00:00:00.500000"),
            ("1 day 02:00:00", "1 day 02:00:00"),
            ("P1DT2H", "P1DT2H"),
            ("02:30:00", "02:30:00"),
            ("1970-01-02", "1970-01-02"),
            ("1970-01-02 00:00:00+02", "1970-01-02 00:00:00+02"),
        ];
        for (given, expected) in table {
            assert_eq!(
                converted(Value::Text(given.as_bytes()), NumberUnit::Auto).as_deref(),
                Some(expected),
                "{given}"
            );
        }
    }

    #[test]
    fn a_number_needs_its_unit() {
        let us = NumberUnit::UnixMicros;
        assert_eq!(converted(Value::Integer(97_445_000_006), us).unwrap(), "1 days 03:04:05.000006");
        assert_eq!(
            converted(Value::Integer(-1), NumberUnit::UnixSeconds).unwrap(),
            "-0 days -00:00:01.000000"
        );
        assert_eq!(converted(Value::Real(1.5), NumberUnit::UnixSeconds).unwrap(), "0 days 00:00:01.500000");
        assert_eq!(converted(Value::Integer(5), NumberUnit::Auto), None);
        assert_eq!(converted(Value::Integer(i64::MAX), NumberUnit::UnixSeconds), None);
        assert_eq!(converted(Value::Real(f64::NAN), us), None);
        assert!(
            Target::of("interval day to second(3)", us).is_some() && Target::of("interval[]", us).is_none()
        );
    }
}
