//! `time with time zone`.
//!
//! A time without offset has the one that the zone's clocks have on its date, or without a date the zone's
//! standard offset.

use std::io::Write as _;

use super::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND};
use super::datetime::{self, Fault, Reading};
use super::{Converted, Lossy, NumberUnit, Rules, Scratch, ValueError, epoch};
use crate::value::{Cell, Value};

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Target {
    name: String,
    precision: Option<u8>,
    rules: Rules,
}

/// Microseconds since midnight, and seconds east of UTC.
type Time = (i64, i64);

impl Target {
    /// The type of this name, with its precision; `None` for another type.
    pub(super) fn parse(name: &str, rules: &Rules) -> Option<Self> {
        let rest = match name.strip_suffix(" with time zone") {
            Some(head) => head.strip_prefix("time")?,
            None => name.strip_prefix("timetz")?,
        };
        let precision = match rest.strip_prefix('(') {
            Some(digits) => Some(digits.strip_suffix(')')?.trim().parse().ok()?),
            None if rest.is_empty() => None,
            None => return None,
        };
        Some(Target { name: name.to_owned(), precision, rules: rules.clone() })
    }
}

pub(super) fn convert<'a>(
    target: &Target,
    value: Value<'a>,
    scratch: &'a mut Scratch,
) -> Result<Converted<'a>, ValueError> {
    let has_unit = target.rules.number != NumberUnit::Auto;
    let time = match value {
        Value::Text(text) => {
            scratch.check_text(text)?;
            of_text(target, text)
        }
        Value::Integer(v) if has_unit => {
            of_instant(target, epoch::instant_of_integer(v, target.rules.number))
        }
        Value::Real(v) if has_unit => of_instant(target, epoch::instant_of_real(v, target.rules.number)),
        _ => return Err(ValueError::class(&target.name, true, value)),
    };
    let ((micros, offset), lossy) =
        time.map_err(|fault| fault.into_error("time with time zone", "time with time zone", value))?;
    write(micros, offset, &mut scratch.bytes);
    Ok(Converted { cell: Cell::Input(&scratch.bytes), lossy })
}

fn of_text(target: &Target, text: &[u8]) -> Result<(Time, Option<Lossy>), Fault> {
    let Reading::Civil(civil) = datetime::read(text)? else { return Err(Fault::Syntax) };
    let micros = civil.micros.ok_or(Fault::Syntax)?;
    let (rounded, is_rounded) = datetime::round(micros, target.precision);
    let mut lossy = (is_rounded || civil.is_rounded).then_some(Lossy::SubMicrosecond);
    let zone = &target.rules.zone;
    let offset = match (civil.offset, civil.days) {
        (Some(offset), _) => offset,
        (None, Some(_)) => {
            let local = civil.timestamp()?;
            let (utc, _) = zone.to_utc(local).ok_or(Fault::Range)?;
            (local - utc) / MICROS_PER_SECOND
        }
        (None, None) => {
            let (offset, is_assumed) = zone.standard_offset();
            lossy = if is_assumed { Some(Lossy::OffsetAssumed) } else { lossy };
            offset
        }
    };
    if civil.days.is_some() {
        lossy = Some(Lossy::DateDropped);
    }
    Ok(((rounded, offset), lossy))
}

fn of_instant(target: &Target, instant: Result<i64, Fault>) -> Result<(Time, Option<Lossy>), Fault> {
    let utc = instant?;
    let local = target.rules.zone.to_local(utc).ok_or(Fault::Range)?;
    let (micros, _) = datetime::round(local.rem_euclid(MICROS_PER_DAY), target.precision);
    Ok(((micros, (local - utc) / MICROS_PER_SECOND), Some(Lossy::EpochNumber)))
}

/// Writes `09:30:00.000000+03:00:00`.
fn write(micros: i64, offset: i64, out: &mut Vec<u8>) {
    out.clear();
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let sign = if offset < 0 { '-' } else { '+' };
    let east = offset.unsigned_abs();
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        "{hour:02}:{minute:02}:{second:02}.{fraction:06}{sign}{:02}:{:02}:{:02}",
        east / 3600,
        east / 60 % 60,
        east % 60
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Zone;

    fn read(name: &str, zone: &str, value: Value<'_>) -> Result<(String, Option<Lossy>), &'static str> {
        let rules = Rules { zone: Zone::parse(zone).unwrap(), number: NumberUnit::Auto, ..Rules::default() };
        let mut scratch = Scratch::default();
        let target = Target::parse(name, &rules).unwrap();
        let converted = convert(&target, value, &mut scratch).map_err(|error| error.sqlstate().word())?;
        let Cell::Input(bytes) = converted.cell else { panic!("{converted:?}") };
        Ok((String::from_utf8(bytes.to_vec()).unwrap(), converted.lossy))
    }

    #[test]
    fn a_time_without_offset_gets_that_of_the_zone() {
        let name = "time with time zone";
        let read = |zone, text: &'static str| read(name, zone, Value::Text(text.as_bytes()));
        let is = |text: &str, lossy| Ok((text.to_owned(), lossy));
        assert_eq!(read("UTC", "09:30"), is("09:30:00.000000+00:00:00", None));
        assert_eq!(read("Europe/Istanbul", "09:30"), is("09:30:00.000000+03:00:00", None));
        assert_eq!(read("Europe/Istanbul", "09:30-05"), is("09:30:00.000000-05:00:00", None));
        let assumed = Some(Lossy::OffsetAssumed);
        assert_eq!(read("Europe/Berlin", "09:30"), is("09:30:00.000000+01:00:00", assumed));
        let dropped = Some(Lossy::DateDropped);
        assert_eq!(read("Europe/Berlin", "2024-07-01 09:30"), is("09:30:00.000000+02:00:00", dropped));
        for word in ["now", "allballs", "infinity", "2024-07-01", ""] {
            assert_eq!(read("UTC", word), Err("22007"), "{word}");
        }
    }

    #[test]
    fn a_finer_fraction_than_the_column_keeps_is_counted() {
        let text = Value::Text(b"23:59:59.5Z");
        assert_eq!(read("timetz(0)", "UTC", text).unwrap().1, Some(Lossy::SubMicrosecond));
        assert_eq!(read("time(1) with time zone", "UTC", text).unwrap().1, None);
        assert_eq!(read("timetz", "UTC", Value::Integer(5)), Err("22007"));
        let none = |name| Target::parse(name, &Rules::default()).is_none();
        assert!(none("time without time zone") && none("timestamp with time zone") && none("timetz[]"));
    }
}
