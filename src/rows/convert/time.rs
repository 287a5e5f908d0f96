//! `time without time zone`.

use super::calendar::MICROS_PER_DAY;
use super::datetime::{self, Fault, Reading};
use super::{Converted, Lossy, NumberUnit, Rules, ValueError, epoch};
use crate::value::{Cell, Value};

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Target {
    precision: Option<u8>,
    rules: Rules,
}

impl Target {
    pub(super) fn new(precision: Option<u8>, rules: &Rules) -> Self {
        Target { precision, rules: rules.clone() }
    }
}

/// A number whose unit is named is an instant, of which the zone's clock shows the time: in UTC, the time
/// since midnight. A date before the time is dropped (Rails writes times as `2000-01-01 12:00:00`), as is an
/// offset; both are counted.
pub(super) fn convert<'a>(target: &Target, value: Value<'a>) -> Result<Converted<'a>, ValueError> {
    let time = match value {
        Value::Text(text) => of_text(target, text),
        Value::Integer(v) if target.rules.number != NumberUnit::Auto => {
            of_number(target, epoch::instant_of_integer(v, target.rules.number))
        }
        Value::Real(v) if target.rules.number != NumberUnit::Auto => {
            of_number(target, epoch::instant_of_real(v, target.rules.number))
        }
        // A number could be seconds, minutes or a fraction of a day: nothing says which.
        Value::Integer(_) | Value::Real(_) | Value::Null | Value::Blob(_) | Value::Unreadable(_) => {
            return Err(ValueError::class(&"time without time zone", true, value));
        }
    };
    match time {
        Ok((micros, lossy)) => Ok(Converted { cell: Cell::Time(micros), lossy }),
        Err(fault) => Err(fault.into_error("time", "time", value)),
    }
}

fn of_number(target: &Target, instant: Result<i64, Fault>) -> Result<(i64, Option<Lossy>), Fault> {
    let local = target.rules.zone.to_local(instant?).ok_or(Fault::Range)?;
    let (micros, _) = datetime::round(local.rem_euclid(MICROS_PER_DAY), target.precision);
    Ok((micros, Some(Lossy::EpochNumber)))
}

fn of_text(target: &Target, text: &[u8]) -> Result<(i64, Option<Lossy>), Fault> {
    let Reading::Civil(civil) = datetime::read(text)? else { return Err(Fault::Syntax) };
    let micros = civil.micros.ok_or(Fault::Syntax)?;
    let (micros, is_rounded) = datetime::round(micros, target.precision);
    let lossy = if civil.days.is_some() {
        Some(Lossy::DateDropped)
    } else if civil.offset.is_some() {
        Some(Lossy::OffsetDropped)
    } else {
        (is_rounded || civil.is_rounded).then_some(Lossy::SubMicrosecond)
    };
    Ok((micros, lossy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Zone;

    #[test]
    fn a_time_keeps_its_fraction_up_to_the_precision() {
        let time = |precision, text: &'static str| match convert(
            &Target::new(precision, &Rules::default()),
            Value::Text(text.as_bytes()),
        ) {
            Ok(Converted { cell: Cell::Time(micros), lossy }) => Ok((micros, lossy)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err((error.sqlstate().word(), error.to_string())),
        };
        assert_eq!(time(None, "00:01"), Ok((60_000_000, None)));
        assert_eq!(time(None, "00:00:01.000001"), Ok((1_000_001, None)));
        assert_eq!(time(Some(3), "00:00:01.0005"), Ok((1_001_000, Some(Lossy::SubMicrosecond))));
        assert_eq!(time(Some(0), "23:59:59.5"), Ok((86_400_000_000, Some(Lossy::SubMicrosecond))));
        assert_eq!(time(None, "24:00:00"), Ok((86_400_000_000, None)));
        assert_eq!(time(None, "2000-01-01 00:01:00"), Ok((60_000_000, Some(Lossy::DateDropped))));
        assert_eq!(time(None, "00:01:00+03"), Ok((60_000_000, Some(Lossy::OffsetDropped))));
        assert_eq!(
            time(None, "noon"),
            Err(("22007", "invalid input syntax for type time: \"noon\"".to_owned()))
        );
        assert_eq!(time(None, "2000-01-01").unwrap_err().0, "22007");
        assert_eq!(time(None, "infinity").unwrap_err().0, "22007");
    }

    #[test]
    fn a_number_needs_its_unit_and_is_an_instant_then() {
        let time = |zone: &str, number, value| {
            let rules = Rules { zone: Zone::parse(zone).unwrap(), number, ..Rules::default() };
            match convert(&Target::new(Some(3), &rules), value) {
                Ok(Converted { cell: Cell::Time(micros), lossy: Some(Lossy::EpochNumber) }) => Ok(micros),
                Ok(other) => panic!("{other:?}"),
                Err(error) => Err(error.sqlstate().word()),
            }
        };
        use NumberUnit::{Auto, Julian, UnixMicros, UnixMillis, UnixSeconds};
        assert_eq!(time("UTC", Auto, Value::Integer(3600)), Err("22007"));
        assert_eq!(time("UTC", UnixSeconds, Value::Integer(34_200)), Ok(34_200_000_000));
        assert_eq!(time("UTC", UnixMillis, Value::Integer(34_200_000)), Ok(34_200_000_000));
        assert_eq!(time("UTC", UnixMicros, Value::Integer(34_200_000_501)), Ok(34_200_001_000));
        assert_eq!(time("UTC", UnixSeconds, Value::Real(0.25)), Ok(250_000));
        // What a JVM in Istanbul, two hours east of UTC in 1970, stores for half past nine and for one in the
        // morning.
        assert_eq!(time("Europe/Istanbul", UnixMillis, Value::Integer(27_000_000)), Ok(34_200_000_000));
        assert_eq!(time("Europe/Istanbul", UnixMillis, Value::Integer(-3_600_000)), Ok(3_600_000_000));
        assert_eq!(time("UTC", Julian, Value::Real(2_451_545.25)), Ok(64_800_000_000));
        assert_eq!(time("UTC", UnixSeconds, Value::Integer(i64::MAX)), Err("22008"));
    }
}
