//! `timestamp` with and without time zone.
//!
//! | text | timestamptz | timestamp |
//! |---|---|---|
//! | without offset | the instant at which the zone's clock shows it | as it is |
//! | with offset | the instant | what the zone's clock shows at that instant |
//!
//! A number is an instant. A reading that the zone's clock never shows, or shows twice, is counted.

use super::datetime::{self, Fault, Reading};
use super::zone::Clock;
use super::{Converted, Lossy, Rules, ValueError, epoch};
use crate::convert::calendar::MICROS_PER_SECOND;
use crate::value::{Cell, Value};

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Target {
    has_zone: bool,
    precision: Option<u8>,
    rules: Rules,
}

impl Target {
    pub(super) fn new(has_zone: bool, precision: Option<u8>, rules: &Rules) -> Self {
        Target { has_zone, precision, rules: rules.clone() }
    }

    fn type_name(&self) -> &'static str {
        if self.has_zone { "timestamp with time zone" } else { "timestamp" }
    }

    /// How often the zone's clock shows a reading.
    fn clock(&self, local: i64) -> Clock {
        self.rules.zone.to_utc(local).map_or(Clock::Once, |(_, clock)| clock)
    }

    /// The stored form of an instant.
    fn of_instant(&self, utc: i64) -> Result<i64, Fault> {
        if self.has_zone { Ok(utc) } else { self.rules.zone.to_local(utc).ok_or(Fault::Range) }
    }
}

#[inline]
pub(super) fn convert<'a>(target: &Target, value: Value<'a>) -> Result<Converted<'a>, ValueError> {
    let timestamp = match value {
        Value::Text(text) => of_text(target, text),
        Value::Integer(v) => of_number(target, epoch::instant_of_integer(v, target.rules.number)),
        Value::Real(v) => of_number(target, epoch::instant_of_real(v, target.rules.number)),
        Value::Null | Value::Blob(_) | Value::Unreadable(_) => {
            return Err(ValueError::class(&target.type_name(), true, value));
        }
    };
    match timestamp {
        Ok((micros, lossy)) => Ok(Converted { cell: Cell::Timestamp(micros), lossy }),
        Err(fault) => Err(fault.into_error(target.type_name(), "timestamp", value)),
    }
}

#[inline]
fn of_text(target: &Target, text: &[u8]) -> Result<(i64, Option<Lossy>), Fault> {
    let civil = match datetime::read(text)? {
        Reading::Civil(civil) => civil,
        Reading::Infinity(is_negative) => return Ok((if is_negative { i64::MIN } else { i64::MAX }, None)),
    };
    let local = civil.timestamp()?;
    let (stored, clock) = match civil.offset {
        Some(offset) => {
            let utc = local.checked_sub(offset * MICROS_PER_SECOND).ok_or(Fault::Range)?;
            let stored = target.of_instant(utc)?;
            // Two instants at which the clock shows the same become one.
            (stored, if target.has_zone { Clock::Once } else { target.clock(stored) })
        }
        None if target.has_zone => target.rules.zone.to_utc(local).ok_or(Fault::Range)?,
        None => (local, Clock::Once),
    };
    let stored = datetime::in_range(stored)?;
    let (rounded, is_rounded) = datetime::round(stored, target.precision);
    let lossy = match clock {
        Clock::Once => (is_rounded || civil.is_rounded).then_some(Lossy::SubMicrosecond),
        Clock::Never => Some(Lossy::TimeGap),
        Clock::Twice => Some(Lossy::TimeFold),
    };
    Ok((rounded, lossy))
}

fn of_number(target: &Target, instant: Result<i64, Fault>) -> Result<(i64, Option<Lossy>), Fault> {
    let stored = datetime::in_range(target.of_instant(instant?)?)?;
    let (rounded, _) = datetime::round(stored, target.precision);
    Ok((rounded, Some(Lossy::EpochNumber)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Zone;

    fn convert_in(zone: &str, has_zone: bool, text: &str) -> Result<i64, &'static str> {
        match with_loss(zone, has_zone, text) {
            Ok((micros, None)) => Ok(micros),
            Ok(other) => panic!("{other:?}"),
            Err(sqlstate) => Err(sqlstate),
        }
    }

    fn with_loss(zone: &str, has_zone: bool, text: &str) -> Result<(i64, Option<Lossy>), &'static str> {
        let rules = Rules { zone: Zone::parse(zone).unwrap(), ..Rules::default() };
        match convert(&Target::new(has_zone, None, &rules), Value::Text(text.as_bytes())) {
            Ok(Converted { cell: Cell::Timestamp(micros), lossy }) => Ok((micros, lossy)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.sqlstate().word()),
        }
    }

    #[test]
    fn a_naive_time_is_in_the_zone_and_an_offset_wins_over_it() {
        let naive = "2023-07-01 12:00:00";
        let utc = |text| convert_in("UTC", false, text).unwrap();
        assert_eq!(convert_in("Europe/Istanbul", true, naive), Ok(utc("2023-07-01 09:00:00")));
        assert_eq!(convert_in("Europe/Istanbul", false, naive), Ok(utc(naive)));
        let offset = "2023-07-01T12:00:00-05:00";
        assert_eq!(convert_in("Europe/Istanbul", true, offset), Ok(utc("2023-07-01 17:00:00")));
        assert_eq!(convert_in("Europe/Istanbul", false, offset), Ok(utc("2023-07-01 20:00:00")));
        assert_eq!(convert_in("UTC", false, offset), Ok(utc("2023-07-01 17:00:00")));
    }

    #[test]
    fn a_skipped_reading_counts_by_the_offset_before_and_a_repeated_one_by_the_offset_after() {
        let utc = |text| convert_in("UTC", false, text).unwrap();
        for (zone, text, instant, lossy) in [
            ("America/New_York", "2005-04-03 02:30:00", "2005-04-03 07:30:00", Some(Lossy::TimeGap)),
            ("America/New_York", "2005-10-30 01:30:00", "2005-10-30 06:30:00", Some(Lossy::TimeFold)),
            ("America/New_York", "2005-04-03 03:00:00", "2005-04-03 07:00:00", None),
            ("America/New_York", "2005-10-30 02:00:00", "2005-10-30 07:00:00", None),
            (
                "Europe/Berlin",
                "2024-03-31 02:30:00.1234567",
                "2024-03-31 01:30:00.123457",
                Some(Lossy::TimeGap),
            ),
            // Both offsets are standard time here.
            ("Europe/Moscow", "2014-10-26 01:30:00", "2014-10-25 22:30:00", Some(Lossy::TimeFold)),
        ] {
            assert_eq!(with_loss(zone, true, text), Ok((utc(instant), lossy)), "{zone} {text}");
        }
        // With an offset there is nothing to doubt, unless the clock's reading is all that is stored.
        for (has_zone, lossy) in [(true, None), (false, Some(Lossy::TimeFold))] {
            let read = with_loss("Europe/Berlin", has_zone, "2024-10-27T00:30:00Z").unwrap();
            assert_eq!(read.1, lossy);
        }
        assert_eq!(with_loss("Europe/Berlin", false, "2024-10-27 02:30:00").unwrap().1, None);
        // The rules go on beyond the years that the library knows.
        assert_eq!(
            convert_in("America/New_York", true, "25405-07-01 12:00:00"),
            Ok(utc("25405-07-01 16:00:00"))
        );
    }

    #[test]
    fn the_range_ends_where_that_of_postgresql_does() {
        let utc = |text| convert_in("UTC", true, text);
        assert_eq!(utc("294276-12-31 23:59:59.999999"), Ok(9_223_371_331_199_999_999));
        assert_eq!(utc("294277-01-01"), Err("22008"));
        assert_eq!(utc("294277-01-01 00:00:00+01"), Ok(9_223_371_327_600_000_000));
        assert_eq!(utc("4714-11-24 BC"), Ok(-211_813_488_000_000_000));
        assert_eq!(utc("4714-11-24 00:00:00+01 BC"), Err("22008"));
        assert_eq!(utc("5874897-12-31"), Err("22008"));
        assert_eq!(convert_in("America/New_York", true, "294276-12-31 23:59:59"), Err("22008"));
        assert_eq!(utc("infinity"), Ok(i64::MAX));
        assert_eq!(utc("10:00"), Err("22007"));
    }

    #[test]
    fn a_finer_fraction_than_the_column_keeps_is_rounded_and_counted() {
        let rules = Rules::default();
        let convert = |precision, text: &'static str| {
            let converted =
                convert(&Target::new(true, precision, &rules), Value::Text(text.as_bytes())).unwrap();
            (converted.cell, converted.lossy)
        };
        let rounded = Some(Lossy::SubMicrosecond);
        assert_eq!(convert(None, "2000-01-01 00:00:00.0000015"), (Cell::Timestamp(2), rounded));
        assert_eq!(convert(None, "2000-01-01 00:00:00.00000100"), (Cell::Timestamp(1), None));
        assert_eq!(convert(Some(0), "2000-01-01 00:00:00.5"), (Cell::Timestamp(1_000_000), rounded));
        assert_eq!(convert(Some(0), "1999-12-31 23:59:59.5"), (Cell::Timestamp(-1_000_000), rounded));
        assert_eq!(convert(Some(3), "2000-01-01 00:00:00.123"), (Cell::Timestamp(123_000), None));
    }
}
