//! `time without time zone`.

use super::datetime::{self, Fault, Reading};
use super::{Converted, Lossy, ValueError};
use crate::value::{Cell, Value};

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Target {
    precision: Option<u8>,
}

impl Target {
    pub(super) fn new(precision: Option<u8>) -> Self {
        Target { precision }
    }
}

/// A date before the time is dropped (Rails writes times as `2000-01-01 12:00:00`), as is an offset; both are counted.
pub(super) fn convert<'a>(target: &Target, value: Value<'a>) -> Result<Converted<'a>, ValueError> {
    let time = match value {
        Value::Text(text) => of_text(target, text),
        // A number could be seconds, minutes or a fraction of a day: nothing says which.
        Value::Integer(_) | Value::Real(_) => Err(Fault::Syntax),
        Value::Null | Value::Blob(_) => {
            return Err(ValueError::class(&"time without time zone", true, value));
        }
    };
    match time {
        Ok((micros, lossy)) => Ok(Converted { cell: Cell::Time(micros), lossy }),
        Err(fault) => Err(fault.into_error("time", "time", value)),
    }
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

    #[test]
    fn a_time_keeps_its_fraction_up_to_the_precision() {
        let time = |precision, text: &'static str| match convert(
            &Target::new(precision),
            Value::Text(text.as_bytes()),
        ) {
            Ok(Converted { cell: Cell::Time(micros), lossy }) => Ok((micros, lossy)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err((error.sqlstate(), error.to_string())),
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
        assert_eq!(convert(&Target::new(None), Value::Integer(3600)).unwrap_err().sqlstate(), "22007");
    }
}
