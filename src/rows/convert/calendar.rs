//! The proleptic Gregorian calendar, counted from 2000-01-01 as PostgreSQL counts.

/// Microseconds in a second.
pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds in a day.
pub(crate) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// The earliest day of `date` and the timestamps: 4714-11-24 BC, Julian day 0.
pub(super) const FIRST_DAY: i64 = -2_451_545;
/// The first day after the last of `date`, 5874897-12-31 (`DATE_END_JULIAN` in
/// src/include/datatype/timestamp.h).
pub(super) const DATE_END: i64 = 2_147_483_494 - 2_451_545;
/// The earliest timestamp, 4714-11-24 00:00:00 BC (`MIN_TIMESTAMP`).
pub(super) const FIRST_TIMESTAMP: i64 = FIRST_DAY * MICROS_PER_DAY;
/// The first microsecond after the last of a timestamp, 294277-01-01 00:00:00 (`END_TIMESTAMP`).
pub(super) const TIMESTAMP_END: i64 = 9_223_371_331_200_000_000;

/// A day. Years are astronomical: 0 is 1 BC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i32,
    /// 1 to 12.
    pub(crate) month: u8,
    /// 1 to 31.
    pub(crate) day: u8,
}

/// Days in the months of a year.
pub(super) fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 2000-01-01. The year is at least -4799, the month 1 to 12.
#[inline]
pub(super) fn days_of_date(date: Date) -> i64 {
    // Counting years from March puts the leap day at the end; 4800 years make everything positive.
    let (year, month) =
        if date.month > 2 { (date.year, date.month - 3) } else { (date.year - 1, date.month + 9) };
    let year = i64::from(year) + 4800;
    let day_of_year = (153 * i64::from(month) + 2) / 5 + i64::from(date.day) - 1;
    let leap_days = (year as u64 / 4 - year as u64 / 100 + year as u64 / 400) as i64;
    // Days from -4800-03-01 to 2000-01-01.
    year * 365 + leap_days + day_of_year - 2_483_589
}

/// The day that is so many days after 2000-01-01, for days that `date` can hold (and some years around them).
pub(crate) fn date_of_days(days: i64) -> Date {
    // Days since -4800-03-01, cut into cycles of 400, 100, 4 and 1 years.
    let shifted = days + 2_483_589;
    let cycle = shifted.div_euclid(146_097);
    let in_cycle = shifted.rem_euclid(146_097);
    let year_of_cycle = (in_cycle - in_cycle / 1_460 + in_cycle / 36_524 - in_cycle / 146_096) / 365;
    let day_of_year = in_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = cycle * 400 + year_of_cycle - 4800;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    Date { year: year as i32, month: month as u8, day: day as u8 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counting_day_by_day_from_4714_bc_gives_the_same_calendar() {
        let mut expected = Date { year: -4713, month: 11, day: 24 };
        for days in FIRST_DAY..3_000_000 {
            assert_eq!(days_of_date(expected), days, "{expected:?}");
            assert_eq!(date_of_days(days), expected, "{days}");
            if expected.day < days_in_month(expected.year, expected.month) {
                expected.day += 1;
            } else if expected.month < 12 {
                expected = Date { year: expected.year, month: expected.month + 1, day: 1 };
            } else {
                expected = Date { year: expected.year + 1, month: 1, day: 1 };
            }
        }
    }

    #[test]
    fn the_ends_of_the_ranges_are_where_postgresql_has_them() {
        assert_eq!(date_of_days(0), Date { year: 2000, month: 1, day: 1 });
        assert_eq!(date_of_days(DATE_END - 1), Date { year: 5_874_897, month: 12, day: 31 });
        assert_eq!(TIMESTAMP_END, days_of_date(Date { year: 294_277, month: 1, day: 1 }) * MICROS_PER_DAY);
    }

    proptest! {
        #[test]
        fn every_day_of_the_date_range_is_its_date(days in FIRST_DAY..DATE_END) {
            let date = date_of_days(days);
            prop_assert!((1..=12).contains(&date.month));
            prop_assert!((1..=days_in_month(date.year, date.month)).contains(&date.day));
            prop_assert_eq!(days_of_date(date), days);
        }
    }
}
