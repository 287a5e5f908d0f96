//! Numbers in date and time columns: Unix time in one of three units, or a Julian day.

use super::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND};
use super::datetime::{Fault, in_range};
use crate::words;

words! {
    /// How a number in a date or time column is read (`columns.<c>.number`).
    #[derive(Default)]
    pub enum NumberUnit {
        /// INTEGER is Unix time, in seconds below 1e11, milliseconds below 1e14, microseconds below 1e17
        /// (magnitudes). REAL follows SQLite's `auto` modifier: a Julian day from 0.0 to 5373484.499999, else
        /// Unix seconds in its range (years -4713 to 9999).
        #[default]
        Auto = "auto",
        /// Seconds since 1970-01-01 00:00:00 UTC.
        UnixSeconds = "unix_s",
        /// Milliseconds since then.
        UnixMillis = "unix_ms",
        /// Microseconds since then.
        UnixMicros = "unix_us",
        /// Days since noon UTC on 4714-11-24 BC.
        Julian = "julian",
    }
}

/// Microseconds from 1970-01-01 to 2000-01-01.
const UNIX_TO_2000: i64 = 946_684_800 * MICROS_PER_SECOND;

/// The Julian day of 2000-01-01 00:00:00, in milliseconds.
const JULIAN_MILLIS_2000: i64 = 211_813_444_800_000;

/// The instant that an INTEGER means: microseconds since 2000-01-01 00:00:00 UTC.
pub(super) fn instant_of_integer(v: i64, unit: NumberUnit) -> Result<i64, Fault> {
    let micros_per_unit = match unit {
        NumberUnit::UnixSeconds => MICROS_PER_SECOND,
        NumberUnit::UnixMillis => 1000,
        NumberUnit::UnixMicros => 1,
        NumberUnit::Julian => {
            // A whole Julian day is a noon.
            let micros = v.checked_mul(MICROS_PER_DAY).ok_or(Fault::Range)?;
            return in_range(micros.checked_sub(JULIAN_MILLIS_2000 * 1000).ok_or(Fault::Range)?);
        }
        NumberUnit::Auto => match v.unsigned_abs() {
            0..100_000_000_000 => MICROS_PER_SECOND,
            100_000_000_000..100_000_000_000_000 => 1000,
            100_000_000_000_000..100_000_000_000_000_000 => 1,
            _ => return Err(Fault::Range),
        },
    };
    let micros = v.checked_mul(micros_per_unit).ok_or(Fault::Range)?;
    in_range(micros.checked_sub(UNIX_TO_2000).ok_or(Fault::Range)?)
}

/// The instant that a REAL means: microseconds since 2000-01-01 00:00:00 UTC.
pub(super) fn instant_of_real(v: f64, unit: NumberUnit) -> Result<i64, Fault> {
    /// SQLite's own bounds (`isDate` and `autoAdjustDate` in src/date.c).
    const JULIAN: std::ops::RangeInclusive<f64> = 0.0..=5_373_484.499_999;
    const UNIX: std::ops::RangeInclusive<f64> = -210_866_760_000.0..=253_402_300_799.0;
    if !v.is_finite() {
        return Err(Fault::Range);
    }
    let micros = match unit {
        NumberUnit::Auto if JULIAN.contains(&v) => return instant_of_julian(v),
        NumberUnit::Auto if UNIX.contains(&v) => scaled(v, MICROS_PER_SECOND)?,
        NumberUnit::Auto => return Err(Fault::Range),
        NumberUnit::UnixSeconds => scaled(v, MICROS_PER_SECOND)?,
        NumberUnit::UnixMillis => scaled(v, 1000)?,
        NumberUnit::UnixMicros => scaled(v, 1)?,
        NumberUnit::Julian => return instant_of_julian(v),
    };
    in_range(micros.checked_sub(UNIX_TO_2000).ok_or(Fault::Range)?)
}

/// SQLite keeps a Julian day as whole milliseconds, rounded half up; so what `julianday()` made of a time
/// becomes that time again.
fn instant_of_julian(v: f64) -> Result<i64, Fault> {
    // Beyond any year that PostgreSQL has, and far below what overflows.
    if !(-1.0..1e9).contains(&v) {
        return Err(Fault::Range);
    }
    let millis = (v * 86_400_000.0 + 0.5).floor() as i64;
    in_range((millis - JULIAN_MILLIS_2000).checked_mul(1000).ok_or(Fault::Range)?)
}

/// A number of units as microseconds, to the nearest. The whole part is taken apart first, because the
/// product of the two would lose digits of the fraction.
fn scaled(v: f64, micros_per_unit: i64) -> Result<i64, Fault> {
    // Whole numbers up to here are i64, with room for what follows.
    if v.abs() >= 9.2e18 {
        return Err(Fault::Range);
    }
    let whole = v.floor();
    let fraction = ((v - whole) * micros_per_unit as f64).round_ties_even() as i64;
    (whole as i64)
        .checked_mul(micros_per_unit)
        .and_then(|micros| micros.checked_add(fraction))
        .ok_or(Fault::Range)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::convert::calendar::{Date, days_of_date};

    fn at(year: i32, month: u8, day: u8, seconds: i64) -> Result<i64, Fault> {
        Ok(days_of_date(Date { year, month, day }) * MICROS_PER_DAY + seconds * MICROS_PER_SECOND)
    }

    #[test]
    fn the_unit_of_an_integer_follows_its_magnitude() {
        let auto = |v| instant_of_integer(v, NumberUnit::Auto);
        assert_eq!(auto(0), at(1970, 1, 1, 0));
        assert_eq!(auto(-86_400), at(1969, 12, 31, 0));
        assert_eq!(auto(1_700_000_000), at(2023, 11, 14, 80_000));
        assert_eq!(auto(1_700_000_000_000), at(2023, 11, 14, 80_000));
        assert_eq!(auto(1_700_000_000_000_000), at(2023, 11, 14, 80_000));
        assert_eq!(auto(99_999_999_999), at(5138, 11, 16, 35_199));
        assert_eq!(auto(100_000_000_000), at(1973, 3, 3, 35_200));
        assert_eq!(auto(100_000_000_000_000), at(1973, 3, 3, 35_200));
        assert_eq!(auto(100_000_000_000_000_000), Err(Fault::Range));
        assert_eq!(auto(i64::MIN), Err(Fault::Range));
        assert_eq!(instant_of_integer(100_000_000_000, NumberUnit::UnixSeconds), at(5138, 11, 16, 35_200));
        assert_eq!(instant_of_integer(i64::MAX, NumberUnit::UnixMillis), Err(Fault::Range));
        assert_eq!(instant_of_integer(2_451_545, NumberUnit::Julian), at(2000, 1, 1, 43_200));
    }

    #[test]
    fn a_real_follows_the_auto_rule_of_sqlite() {
        let auto = |v| instant_of_real(v, NumberUnit::Auto);
        assert_eq!(auto(2_451_544.5), at(2000, 1, 1, 0));
        // What SQLite's julianday('2023-11-14 22:13:20') gives.
        assert_eq!(auto(2_460_263.425_925_926), at(2023, 11, 14, 80_000));
        assert_eq!(auto(1_700_000_000.0), at(2023, 11, 14, 80_000));
        assert_eq!(auto(1_700_000_000.123_456), at(2023, 11, 14, 80_000).map(|micros| micros + 123_456));
        assert_eq!(auto(-0.5), at(1969, 12, 31, 86_399).map(|micros| micros + 500_000));
        // One tenth of a day later than any Julian day: 62 days and some hours after 1970.
        assert_eq!(auto(5_373_484.6), at(1970, 3, 4, 16_684).map(|micros| micros + 600_000));
        assert_eq!(auto(1.7e12), Err(Fault::Range));
        assert_eq!(auto(f64::NAN), Err(Fault::Range));
        assert_eq!(instant_of_real(1.7e12, NumberUnit::UnixMillis), at(2023, 11, 14, 80_000));
        assert_eq!(instant_of_real(0.0, NumberUnit::UnixSeconds), at(1970, 1, 1, 0));
        assert_eq!(instant_of_real(f64::MAX, NumberUnit::UnixMicros), Err(Fault::Range));
    }

    proptest! {
        #[test]
        fn a_unix_time_with_microseconds_as_a_double_is_read_to_the_microsecond(
            micros in 0i64..4_000_000_000_000_000,
        ) {
            // Below 2^32 seconds a double is finer than half a microsecond; the Julian range is left out.
            prop_assume!(micros > 5_400_000 * MICROS_PER_SECOND);
            let v = micros as f64 / 1e6;
            prop_assert_eq!(instant_of_real(v, NumberUnit::Auto), Ok(micros - UNIX_TO_2000));
        }
    }
}
