//! `timestamp` with and without time zone.
//!
//! | text | timestamptz | timestamp |
//! |---|---|---|
//! | without offset | the instant at which the zone's clock shows it | as it is |
//! | with offset | the instant | what the zone's clock shows at that instant |
//!
//! A number is an instant.

use super::datetime::{self, Fault, Reading};
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
        Value::Null | Value::Blob(_) => return Err(ValueError::class(&target.type_name(), true, value)),
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
    let stored = match civil.offset {
        Some(offset) => {
            let utc = local.checked_sub(offset * MICROS_PER_SECOND).ok_or(Fault::Range)?;
            target.of_instant(utc)?
        }
        None if target.has_zone => target.rules.zone.to_utc(local).ok_or(Fault::Range)?,
        None => local,
    };
    let stored = datetime::in_range(stored)?;
    let (rounded, is_rounded) = datetime::round(stored, target.precision);
    let lossy = (is_rounded || civil.is_rounded).then_some(Lossy::SubMicrosecond);
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
    use crate::convert::{NumberUnit, Zone};

    fn convert_in(zone: &str, has_zone: bool, text: &str) -> Result<i64, &'static str> {
        let rules = Rules { zone: Zone::parse(zone).unwrap(), number: NumberUnit::Auto };
        match convert(&Target::new(has_zone, None, &rules), Value::Text(text.as_bytes())) {
            Ok(Converted { cell: Cell::Timestamp(micros), lossy: None }) => Ok(micros),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.sqlstate()),
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
        let utc = |text| convert_in("UTC", false, text);
        assert_eq!(convert_in("America/New_York", true, "2005-04-03 02:30:00"), utc("2005-04-03 07:30:00"));
        assert_eq!(convert_in("America/New_York", true, "2005-10-30 01:30:00"), utc("2005-10-30 06:30:00"));
        // Both offsets are standard time here.
        assert_eq!(convert_in("Europe/Moscow", true, "2014-10-26 01:30:00"), utc("2014-10-25 22:30:00"));
        // The rules go on beyond the years that the library knows.
        assert_eq!(convert_in("America/New_York", true, "25405-07-01 12:00:00"), utc("25405-07-01 16:00:00"));
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
