//! `date`.

use super::calendar::{DATE_END, MICROS_PER_DAY};
use super::datetime::{self, Fault, Reading};
use super::{Converted, Lossy, Rules, ValueError, epoch};
use crate::value::{Cell, Value};

/// The cell of a text is its date as written, whatever offset follows; that of a number is the day on which
/// the instant falls in the zone.
pub(super) fn convert<'a>(rules: &Rules, value: Value<'a>) -> Result<Converted<'a>, ValueError> {
    let day = match value {
        Value::Text(text) => of_text(text),
        Value::Integer(v) => {
            epoch::instant_of_integer(v, rules.number).and_then(|utc| of_instant(rules, utc))
        }
        Value::Real(v) => epoch::instant_of_real(v, rules.number).and_then(|utc| of_instant(rules, utc)),
        Value::Null | Value::Blob(_) | Value::Unreadable(_) => {
            return Err(ValueError::class(&"date", true, value));
        }
    };
    match day {
        Ok((day, lossy)) => Ok(Converted { cell: Cell::Date(day), lossy }),
        Err(fault) => Err(fault.into_error("date", "date", value)),
    }
}

fn of_text(text: &[u8]) -> Result<(i32, Option<Lossy>), Fault> {
    let civil = match datetime::read(text)? {
        Reading::Civil(civil) => civil,
        Reading::Infinity(is_negative) => return Ok((if is_negative { i32::MIN } else { i32::MAX }, None)),
    };
    let days = civil.days.ok_or(Fault::Syntax)?;
    if days >= DATE_END {
        return Err(Fault::Range);
    }
    let day = i32::try_from(days).map_err(|_| Fault::Range)?;
    let is_midnight = civil.micros.unwrap_or(0) == 0 && !civil.is_rounded;
    Ok((day, (!is_midnight).then_some(Lossy::TimeDropped)))
}

fn of_instant(rules: &Rules, utc: i64) -> Result<(i32, Option<Lossy>), Fault> {
    let local = rules.zone.to_local(utc).ok_or(Fault::Range)?;
    let day = i32::try_from(local.div_euclid(MICROS_PER_DAY)).map_err(|_| Fault::Range)?;
    Ok((day, Some(Lossy::EpochNumber)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Zone;

    fn date(rules: &Rules, value: Value) -> Result<(i32, Option<Lossy>), (&'static str, String)> {
        match convert(rules, value) {
            Ok(Converted { cell: Cell::Date(day), lossy }) => Ok((day, lossy)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err((error.sqlstate().word(), error.to_string())),
        }
    }

    #[test]
    fn a_time_other_than_midnight_is_dropped_and_counted() {
        let rules = Rules::default();
        let text = |text: &'static str| date(&rules, Value::Text(text.as_bytes()));
        assert_eq!(text("2000-01-02"), Ok((1, None)));
        assert_eq!(text("2000-01-02 00:00:00.000"), Ok((1, None)));
        assert_eq!(text("2000-01-02T21:00:00Z"), Ok((1, Some(Lossy::TimeDropped))));
        assert_eq!(text("2000-01-02 24:00:00"), Ok((1, Some(Lossy::TimeDropped))));
        assert_eq!(text("5874897-12-31"), Ok(((DATE_END - 1) as i32, None)));
        assert_eq!(text("5874898-01-01"), Err(("22008", "date out of range: \"5874898-01-01\"".to_owned())));
        assert_eq!(
            text("2000-02-30"),
            Err(("22008", "date/time field value out of range: \"2000-02-30\"".to_owned()))
        );
        assert_eq!(text("12:00"), Err(("22007", "invalid input syntax for type date: \"12:00\"".to_owned())));
        assert_eq!(text("-infinity"), Ok((i32::MIN, None)));
    }

    #[test]
    fn a_number_is_the_day_in_the_zone() {
        let utc = Rules::default();
        let istanbul = Rules { zone: Zone::parse("Europe/Istanbul").unwrap(), ..Rules::default() };
        // 2023-11-14 22:13:20 UTC
        let instant = Value::Integer(1_700_000_000);
        assert_eq!(date(&utc, instant), Ok((8718, Some(Lossy::EpochNumber))));
        assert_eq!(date(&istanbul, instant), Ok((8719, Some(Lossy::EpochNumber))));
        assert_eq!(date(&utc, Value::Blob(b"x")).unwrap_err().0, "22007");
    }
}
