//! What the numbers of a date or time column look like, taken together: which unit they have, and from when
//! to when they reach.

use super::calendar::{Date, MICROS_PER_DAY, MICROS_PER_SECOND, date_of_days, days_in_month};
use super::epoch::NumberUnit;
use crate::value::{Cell, Value};

/// The numbers of one column, as [`NumberUnit::Auto`] reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    seconds: u64,
    millis: u64,
    micros: u64,
    julian: u64,
    /// Integers that are days when their digits are read as year, month and day.
    days: u64,
    /// The first and the last moment, as their type counts, and whether that counts days.
    reach: Option<(i64, i64, bool)>,
}

impl Moments {
    /// Notes a number and what became of it.
    pub fn see(&mut self, value: Value<'_>, cell: &Cell<'_>) {
        match value {
            // Zero is the same moment in every unit.
            Value::Integer(0) => {}
            Value::Integer(v) => match v.unsigned_abs() {
                0..100_000_000_000 => {
                    self.seconds += 1;
                    self.days += u64::from(is_day(v));
                }
                100_000_000_000..100_000_000_000_000 => self.millis += 1,
                _ => self.micros += 1,
            },
            Value::Real(v) if (0.0..5_373_484.5).contains(&v) => self.julian += 1,
            _ => self.seconds += 1,
        }
        let (at, is_days) = match cell {
            Cell::Timestamp(micros) => (*micros, false),
            Cell::Date(days) => (i64::from(*days), true),
            _ => return,
        };
        let (first, last, _) = self.reach.unwrap_or((at, at, is_days));
        self.reach = Some((first.min(at), last.max(at), is_days));
    }

    /// The unit that fits all of them: a small count of milliseconds looks like one of seconds, but no count
    /// of seconds looks like one of milliseconds.
    #[must_use]
    pub fn unit(&self) -> NumberUnit {
        if self.micros > 0 {
            NumberUnit::UnixMicros
        } else if self.millis > 0 {
            NumberUnit::UnixMillis
        } else if self.seconds == 0 && self.julian > 0 {
            NumberUnit::Julian
        } else {
            NumberUnit::UnixSeconds
        }
    }

    /// Their sizes suggest more than one unit.
    #[must_use]
    pub fn are_mixed(&self) -> bool {
        [self.seconds, self.millis, self.micros, self.julian].iter().filter(|n| **n > 0).count() > 1
    }

    /// All of them look like a year, a month and a day written without anything between.
    #[must_use]
    pub fn look_like_days(&self) -> bool {
        self.days > 0 && self.days == self.seconds && self.millis + self.micros + self.julian == 0
    }

    /// The first and the last moment that they become, where they become moments.
    #[must_use]
    pub fn reach(&self) -> Option<(String, String)> {
        let (first, last, is_days) = self.reach?;
        let text = |at: i64| if is_days { day_text(at) } else { moment_text(at) };
        Some((text(first), text(last)))
    }
}

/// 19000101 to 21001231.
fn is_day(v: i64) -> bool {
    let (year, month, day) = (v / 10_000, v / 100 % 100, v % 100);
    let (Ok(year), Ok(month), Ok(day)) = (i32::try_from(year), u8::try_from(month), u8::try_from(day)) else {
        return false;
    };
    (1900..=2100).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
}

fn day_text(days: i64) -> String {
    let Date { year, month, day } = date_of_days(days);
    match year {
        1.. => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{:04}-{month:02}-{day:02} BC", 1 - year),
    }
}

fn moment_text(micros: i64) -> String {
    let seconds = micros.rem_euclid(MICROS_PER_DAY) / MICROS_PER_SECOND;
    let day = day_text(micros.div_euclid(MICROS_PER_DAY));
    let (date, era) = day.split_once(' ').unwrap_or((&day, ""));
    let time = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{date} {time} {era}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::{Converter, Rules, Scratch};
    use crate::pg_type::PgType;

    fn moments(pg_type: &PgType, values: &[Value<'_>]) -> Moments {
        let converter = Converter::new(pg_type, &Rules::default());
        let (mut scratch, mut moments) = (Scratch::default(), Moments::default());
        for value in values {
            let converted = converter.convert(*value, &mut scratch).unwrap();
            moments.see(*value, &converted.cell);
        }
        moments
    }

    #[test]
    fn the_unit_fits_all_numbers_of_the_column() {
        use Value::{Integer, Real};
        let cases: &[(&[Value<'_>], NumberUnit, bool, bool)] = &[
            (&[Integer(1_717_236_000_123)], NumberUnit::UnixMillis, false, false),
            (
                &[Integer(0), Integer(86_400_000), Integer(4_102_444_800_000)],
                NumberUnit::UnixMillis,
                true,
                false,
            ),
            (&[Integer(1_700_000_000), Real(1.7e9)], NumberUnit::UnixSeconds, false, false),
            (&[Real(2_451_544.5)], NumberUnit::Julian, false, false),
            (&[Integer(1_700_000_000_000_000)], NumberUnit::UnixMicros, false, false),
            (&[Integer(20_241_231), Integer(20_240_229)], NumberUnit::UnixSeconds, false, true),
            (&[Integer(20_241_231), Integer(20_230_229)], NumberUnit::UnixSeconds, false, false),
        ];
        for (values, unit, are_mixed, look_like_days) in cases {
            let moments = moments(&PgType::TimestampTz(None), values);
            let found = (moments.unit(), moments.are_mixed(), moments.look_like_days());
            assert_eq!(found, (*unit, *are_mixed, *look_like_days), "{values:?}");
        }
    }

    #[test]
    fn moments_are_written_as_postgresql_writes_them() {
        let text = |pg_type: &PgType, value| moments(pg_type, &[value]).reach().unwrap().0;
        assert_eq!(text(&PgType::Timestamp(None), Value::Integer(1_700_000_000)), "2023-11-14 22:13:20");
        assert_eq!(text(&PgType::Timestamp(None), Value::Integer(-1)), "1969-12-31 23:59:59");
        assert_eq!(text(&PgType::Date, Value::Integer(20_241_231)), "1970-08-23");
        assert_eq!(text(&PgType::Timestamp(None), Value::Real(0.0)), "4714-11-24 12:00:00 BC");
    }
}
