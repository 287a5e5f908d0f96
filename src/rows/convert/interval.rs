//! `interval`: PostgreSQL's own input syntax, and the forms that programs give a span of time where a
//! database has none.
//!
//! | source | means |
//! |---|---|
//! | `YYYY-MM-DD HH:MM:SS[.F]`, a date and time without offset | the time since 1970-01-01 00:00:00 (SQLAlchemy's Interval) |
//! | `[-]D.HH:MM:SS[.F]` | days and a time, both with the sign (.NET's TimeSpan) |
//! | `[-]D days, HH:MM:SS[.F]` | days with the sign, and a time after them (Python's timedelta) |
//! | `P1Y2M3DT4H5M6S`, `1 day 02:03:04`, `1 02:03:04`, `1-2`, `2h30m`, `3 weeks ago` | as PostgreSQL reads it |
//! | a number, where `columns.<c>.number` says `unix_s`, `unix_ms` or `unix_us` | so many seconds, milliseconds or microseconds (Django's DurationField writes microseconds) |
//!
//! A number without that option is a bad value: it is seconds to one program and microseconds to the next. So
//! is a text that can be read in two ways, such as `-1 02:03:04`, in which the sign counts for the time as
//! well in one IntervalStyle and does not in another.

use std::io::Write as _;

use super::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND};
use super::datetime::{self, Reading};
use super::{Converted, Lossy, NumberUnit, Scratch, ValueError, ValueErrorKind, display_value, integer};
use crate::value::{Cell, Value};

mod spelling;

use spelling::{Fault, Span};

/// Microseconds from 1970-01-01 to 2000-01-01.
const UNIX_TO_2000: i64 = 946_684_800 * MICROS_PER_SECOND;

const MICROS_PER_HOUR: i64 = 3600 * MICROS_PER_SECOND;
const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;

/// One interval type.
#[derive(Clone, Debug)]
pub(super) struct Target {
    name: String,
    number: NumberUnit,
    /// The smallest part that the column keeps.
    smallest: Smallest,
    /// `HH:MM` would be minutes and seconds here.
    is_minute_to_second: bool,
    precision: Option<u8>,
}

/// What `AdjustIntervalForTypmod` (src/backend/utils/adt/timestamp.c) leaves of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Smallest {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

impl Target {
    /// The interval type of this name, with its fields or precision; `None` for another type.
    pub(super) fn parse(name: &str, number: NumberUnit) -> Option<Self> {
        let rest = name.strip_prefix("interval")?;
        if !rest.is_empty() && !rest.starts_with([' ', '(']) {
            return None;
        }
        let (fields, precision) = match rest.split_once('(') {
            Some((fields, digits)) => (fields.trim(), Some(digits.strip_suffix(')')?.trim().parse().ok()?)),
            None => (rest.trim(), None),
        };
        let smallest = match fields.rsplit(' ').next()? {
            "year" => Smallest::Year,
            "month" => Smallest::Month,
            "day" => Smallest::Day,
            "hour" => Smallest::Hour,
            "minute" => Smallest::Minute,
            "" | "second" => Smallest::Second,
            _ => return None,
        };
        let is_minute_to_second = fields == "minute to second";
        Some(Target { name: name.to_owned(), number, smallest, is_minute_to_second, precision })
    }

    /// What the column keeps of a span, as the type would do without a word.
    fn fit(&self, span: &mut Span) -> Option<Lossy> {
        let before = *span;
        let whole = |micros: i64, unit: i64| micros - micros % unit;
        match self.smallest {
            Smallest::Year => {
                *span = Span { months: span.months - span.months % 12, days: 0, micros: 0, ..*span }
            }
            Smallest::Month => *span = Span { days: 0, micros: 0, ..*span },
            Smallest::Day => span.micros = 0,
            Smallest::Hour => span.micros = whole(span.micros, MICROS_PER_HOUR),
            Smallest::Minute => span.micros = whole(span.micros, MICROS_PER_MINUTE),
            Smallest::Second => {}
        }
        if *span != before {
            return Some(Lossy::FieldsDropped);
        }
        // Near the ends of what an interval holds there is no room to round.
        if span.micros.unsigned_abs() < i64::MAX as u64 - MICROS_PER_SECOND as u64 {
            span.micros = datetime::round(span.micros, self.precision).0;
        }
        (*span != before || span.is_rounded).then_some(Lossy::SubMicrosecond)
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
    let (mut span, mut lossy) = match value {
        Value::Text(bytes) => {
            scratch.check_text(bytes)?;
            if is_infinity(bytes) {
                // PostgreSQL 17 and later have it.
                return Ok(Converted::exact(Cell::Input(bytes)));
            }
            match since_epoch(bytes) {
                Some(span) => (span, None),
                None => {
                    let span = spelling::read(bytes, target.is_minute_to_second);
                    (span.map_err(|fault| into_error(fault, value))?, None)
                }
            }
        }
        Value::Integer(v) => {
            let micros = per_unit.and_then(|unit| v.checked_mul(unit)).ok_or_else(refused)?;
            (Span::of_micros(micros), Some(Lossy::EpochNumber))
        }
        Value::Real(v) => {
            let micros = (v * per_unit.ok_or_else(refused)? as f64).round();
            // Beyond 2^53 a double is not exact to the microsecond.
            if micros.is_nan() || micros.abs() > 9_007_199_254_740_992.0 {
                return Err(refused());
            }
            (Span::of_micros(micros as i64), Some(Lossy::EpochNumber))
        }
        Value::Null | Value::Blob(_) | Value::Unreadable(_) => return Err(refused()),
    };
    lossy = target.fit(&mut span).or(lossy);
    write(&span, &mut scratch.bytes);
    Ok(Converted { cell: Cell::Input(&scratch.bytes), lossy })
}

fn is_infinity(text: &[u8]) -> bool {
    let text = integer::trim(text);
    ["infinity", "-infinity", "+infinity"].iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
}

#[cold]
fn into_error(fault: Fault, value: Value) -> ValueError {
    let shown = display_value(value);
    ValueError::new(match fault {
        Fault::Syntax => ValueErrorKind::DateTimeSyntax { type_name: "interval", shown },
        Fault::Sign => ValueErrorKind::IntervalSign { shown },
        Fault::Range => ValueErrorKind::DateTimeRange { type_name: "interval", shown },
    })
}

/// The time that a date and time is after 1970-01-01 00:00:00. Other texts, a bare date among them, are not
/// of this form.
fn since_epoch(bytes: &[u8]) -> Option<Span> {
    let Ok(Reading::Civil(civil)) = datetime::read(bytes) else { return None };
    if civil.days.is_none() || civil.micros.is_none() || civil.offset.is_some() {
        return None;
    }
    let micros = civil.timestamp().ok()?.checked_add(UNIX_TO_2000)?;
    Some(Span { is_rounded: civil.is_rounded, ..Span::of_micros(micros) })
}

impl Span {
    /// So many days of 24 hours, and the rest.
    fn of_micros(micros: i64) -> Self {
        Span { days: micros / MICROS_PER_DAY, micros: micros % MICROS_PER_DAY, ..Span::default() }
    }
}

/// Writes `1 mons -1 days +03:04:05.000006`: every field has its sign, so that no IntervalStyle reads it
/// otherwise.
fn write(span: &Span, out: &mut Vec<u8>) {
    out.clear();
    let sign = if span.micros < 0 { '-' } else { '+' };
    let micros = span.micros.unsigned_abs();
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        "{:+} mons {:+} days {sign}{hour:02}:{minute:02}:{second:02}.{fraction:06}",
        span.months, span.days
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(value: Value<'_>, number: NumberUnit) -> Option<String> {
        with_loss("interval", value, number).ok().map(|(text, _)| text)
    }

    fn with_loss(
        name: &str,
        value: Value<'_>,
        number: NumberUnit,
    ) -> Result<(String, Option<Lossy>), &'static str> {
        let mut scratch = Scratch::default();
        let target = Target::parse(name, number).unwrap();
        let converted = convert(&target, value, &mut scratch).map_err(|error| error.sqlstate().word())?;
        let Cell::Input(bytes) = converted.cell else { panic!("{converted:?}") };
        Ok((String::from_utf8(bytes.to_vec()).unwrap(), converted.lossy))
    }

    #[test]
    fn every_form_of_the_table_is_read() {
        let table = [
            ("1970-01-02 03:04:05.000000", "+0 mons +1 days +03:04:05.000000"),
            ("1970-01-01 00:00:00", "+0 mons +0 days +00:00:00.000000"),
            ("1969-12-30 23:59:59.999999", "+0 mons -1 days -00:00:00.000001"),
            ("2023-01-01 00:00:00.5", "+0 mons +19358 days +00:00:00.500000"),
            ("1.02:03:04", "+0 mons +1 days +02:03:04.000000"),
            ("0.00:00:05", "+0 mons +0 days +00:00:05.000000"),
            ("-1.02:03:04", "+0 mons -1 days -02:03:04.000000"),
            ("100.01:00:00.5000000", "+0 mons +100 days +01:00:00.500000"),
            ("10675199.02:48:05.4775807", "+0 mons +10675199 days +02:48:05.477581"),
            ("02:03:04", "+0 mons +0 days +02:03:04.000000"),
            ("-02:03:04.0000010", "+0 mons +0 days -02:03:04.000001"),
            ("30:00", "+0 mons +0 days +30:00:00.000000"),
            ("-1 day, 23:59:59", "+0 mons -1 days +23:59:59.000000"),
            ("2 days, 0:00:01.500000", "+0 mons +2 days +00:00:01.500000"),
            ("1 day 02:00:00", "+0 mons +1 days +02:00:00.000000"),
            ("1 02:03:04", "+0 mons +1 days +02:03:04.000000"),
            ("-1 -02:03:04", "+0 mons -1 days -02:03:04.000000"),
            ("-1 days +02:03:04", "+0 mons -1 days +02:03:04.000000"),
            ("-1 day", "+0 mons -1 days +00:00:00.000000"),
            ("1-2", "+14 mons +0 days +00:00:00.000000"),
            ("1 year 2 mons 3 weeks 4 days 05:06:07", "+14 mons +25 days +05:06:07.000000"),
            ("@ 1 day 2 hours ago", "+0 mons -1 days -02:00:00.000000"),
            ("2h30m1.5s", "+0 mons +0 days +02:30:01.500000"),
            ("1.5 days", "+0 mons +1 days +12:00:00.000000"),
            ("1.5 years", "+18 mons +0 days +00:00:00.000000"),
            ("P1Y2M3DT4H5M6.5S", "+14 mons +3 days +04:05:06.500000"),
            ("PT-1H30M", "+0 mons +0 days -00:30:00.000000"),
            ("-P1DT2H", "+0 mons -1 days -02:00:00.000000"),
            ("P2W", "+0 mons +14 days +00:00:00.000000"),
            ("PT0S", "+0 mons +0 days +00:00:00.000000"),
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
    fn what_can_be_read_in_two_ways_or_not_at_all_is_a_bad_value() {
        for text in [
            "",
            " ",
            "now",
            "today",
            "epoch",
            "5",
            "1.5",
            "1970-01-02",
            "1970-01-02 00:00:00+02",
            "-1 02:03:04",
            "-1 day 02:03:04",
            "-1 year 2 mons",
            "-1 day 2 hours ago",
            "1 day 2 days",
            "1.2:03:04",
            "1.24:00:00",
            "1.02:03",
            "1.5.02:03:04",
            "P",
            "PT",
            "P1",
            "P1H",
            "p1d",
            "1 day x",
            "day",
            "1 fortnight",
            "1.3 years",
            "02:60:00",
            "02:00:60",
            "1 02",
            "1 day ago 2 hours",
            "12,5 days",
            "1-13",
            "::",
            "1:",
            "--1 day",
            "1 \u{661} day",
        ] {
            let read = with_loss("interval", Value::Text(text.as_bytes()), NumberUnit::Auto);
            assert_eq!(read.unwrap_err(), "22007", "{text}");
        }
        for text in ["3000000000 days", "200000000 years", "99999999999999999999 days", "2562047789:00:00"] {
            let read = with_loss("interval", Value::Text(text.as_bytes()), NumberUnit::Auto);
            assert_eq!(read.unwrap_err(), "22008", "{text}");
        }
        let read = with_loss("interval minute to second", Value::Text(b"02:30"), NumberUnit::Auto);
        assert_eq!(read, Err("22007"));
    }

    #[test]
    fn what_the_column_does_not_keep_is_counted() {
        let lossy = |name: &str, text: &'static str| {
            with_loss(name, Value::Text(text.as_bytes()), NumberUnit::Auto).unwrap()
        };
        let text = |text: &str, lossy| (text.to_owned(), lossy);
        let (sub, fields) = (Some(Lossy::SubMicrosecond), Some(Lossy::FieldsDropped));
        assert_eq!(lossy("interval", "0.00:00:00.1234567"), text("+0 mons +0 days +00:00:00.123457", sub));
        assert_eq!(lossy("interval", "0.00:00:00.1234560"), text("+0 mons +0 days +00:00:00.123456", None));
        assert_eq!(lossy("interval(0)", "-00:00:01.5"), text("+0 mons +0 days -00:00:02.000000", sub));
        assert_eq!(lossy("interval second(3)", "1.0004 s"), text("+0 mons +0 days +00:00:01.000000", sub));
        assert_eq!(lossy("interval year", "14 mons"), text("+12 mons +0 days +00:00:00.000000", fields));
        assert_eq!(
            lossy("interval year to month", "14 mons"),
            text("+14 mons +0 days +00:00:00.000000", None)
        );
        assert_eq!(
            lossy("interval day", "1 mon 2 days 3h"),
            text("+1 mons +2 days +00:00:00.000000", fields)
        );
        assert_eq!(
            lossy("interval hour to minute", "-1:02:03"),
            text("+0 mons +0 days -01:02:00.000000", fields)
        );
        assert_eq!(lossy("interval", "0.33333333 minutes").1, sub);
    }

    #[test]
    fn a_number_needs_its_unit() {
        let us = NumberUnit::UnixMicros;
        let seconds = NumberUnit::UnixSeconds;
        assert_eq!(
            converted(Value::Integer(97_445_000_006), us).unwrap(),
            "+0 mons +1 days +03:04:05.000006"
        );
        assert_eq!(converted(Value::Integer(-1), seconds).unwrap(), "+0 mons +0 days -00:00:01.000000");
        assert_eq!(converted(Value::Real(1.5), seconds).unwrap(), "+0 mons +0 days +00:00:01.500000");
        assert_eq!(converted(Value::Integer(5), NumberUnit::Auto), None);
        assert_eq!(converted(Value::Integer(i64::MAX), seconds), None);
        assert_eq!(converted(Value::Real(f64::NAN), us), None);
        let target = |name| Target::parse(name, us);
        assert!(target("interval day to second(3)").is_some() && target("interval[]").is_none());
        assert!(target("intervals").is_none());
    }
}
