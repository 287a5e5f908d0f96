//! Dates and times as text: the forms that SQLite's date functions take
//! (<https://sqlite.org/lang_datefunc.html>), and those that drivers and ORMs write beside them, read as
//! PostgreSQL reads them.
//!
//! | part | forms |
//! |---|---|
//! | date | `YYYY-MM-DD`; years up to 7 digits, with sign (0 and below are BC by ISO 8601) or followed by ` BC` |
//! | time | `HH:MM`, `HH:MM:SS`, `HH:MM:SS.F...`; `24:00:00` and second 60 as PostgreSQL has them |
//! | between | a `T` or blanks |
//! | offset | `Z`, `UTC`, `GMT`, `+HH`, `+HHMM`, `+HH:MM`, `+HH:MM:SS`, also after blanks |
//! | after it | what Go's `Time.String()` writes: ` +0200 CEST`, ` +0330 +0330`, ` -0700 PDT m=+6.69` |
//! | else | `infinity`, `-infinity` where the type has them |
//!
//! A year 0000 is refused, as PostgreSQL does (MySQL's 0000-00-00 is the usual reason). `now` and Julian day
//! numbers in text are not dates here: the first would make the import depend on the clock, the second cannot
//! be told from a mistake.

use super::calendar::{
    self, Date, FIRST_DAY, FIRST_TIMESTAMP, MICROS_PER_DAY, MICROS_PER_SECOND, TIMESTAMP_END,
};
use super::{ValueError, ValueErrorKind, display_value, integer};
use crate::value::Value;

/// The longest text that can be a date-time; PostgreSQL's `MAXDATELEN`.
const MAX_LENGTH: usize = 128;

/// What a text says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reading {
    /// A date, a time, or both.
    Civil(Civil),
    /// `infinity` or, if true, `-infinity`.
    Infinity(bool),
}

/// A reading of a wall clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Civil {
    /// Days since 2000-01-01.
    pub(super) days: Option<i64>,
    /// Microseconds since midnight, up to and including 24:00:00.
    pub(super) micros: Option<i64>,
    /// Seconds east of UTC, where the text says so.
    pub(super) offset: Option<i64>,
    /// The fraction had digits beyond the microsecond.
    pub(super) is_rounded: bool,
}

/// Why a text is no date-time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Syntax,
    Field,
    Offset,
    Range,
}

impl Fault {
    /// The error for a type; `range_name` is `date` or `timestamp`.
    #[cold]
    pub(super) fn into_error(
        self,
        type_name: &'static str,
        range_name: &'static str,
        value: Value,
    ) -> ValueError {
        let shown = display_value(value);
        ValueError::new(match self {
            Fault::Syntax => ValueErrorKind::DateTimeSyntax { type_name, shown },
            Fault::Field => ValueErrorKind::DateTimeField { shown },
            Fault::Offset => ValueErrorKind::Offset { shown },
            Fault::Range => ValueErrorKind::DateTimeRange { type_name: range_name, shown },
        })
    }
}

/// Reads a text.
#[inline]
pub(super) fn read(text: &[u8]) -> Result<Reading, Fault> {
    match read_usual(text) {
        Some(civil) => Ok(Reading::Civil(civil)),
        None => read_any(text),
    }
}

/// Reads `YYYY-MM-DD[(T| )HH:MM:SS[.F{1,6}]]`, which almost every text is; `None` leaves the rest, and the
/// errors, to [`read_any`].
#[inline]
fn read_usual(text: &[u8]) -> Option<Civil> {
    let (date, rest) = text.split_first_chunk::<10>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else { return None };
    let mut digits = Digits::default();
    let year = digits.two(y1, y2) * 100 + digits.two(y3, y4);
    let month = digits.two(m1, m2) as u8;
    let day = digits.two(d1, d2) as u8;
    let mut micros = None;
    if let Some((time, fraction)) = rest.split_first_chunk::<9>() {
        let [b' ' | b'T', h1, h2, b':', n1, n2, b':', s1, s2] = *time else { return None };
        let (hour, minute, second) = (digits.two(h1, h2), digits.two(n1, n2), digits.two(s1, s2));
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let mut total = i64::from((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND;
        match *fraction {
            [] => {}
            [b'.', f1, f2, f3, f4, f5, f6] => {
                let fraction = (digits.two(f1, f2) * 100 + digits.two(f3, f4)) * 100 + digits.two(f5, f6);
                total += i64::from(fraction);
            }
            [b'.', f1, f2, f3] => total += i64::from(digits.two(b'0', f1) * 100 + digits.two(f2, f3)) * 1000,
            _ => return None,
        }
        micros = Some(total);
    } else if !rest.is_empty() {
        return None;
    }
    if digits.has_other || year == 0 || !(1..=12).contains(&month) {
        return None;
    }
    let year = year as i32;
    if day == 0 || (day > 28 && day > calendar::days_in_month(year, month)) {
        return None;
    }
    let days = calendar::days_of_date(Date { year, month, day });
    Some(Civil { days: Some(days), micros, offset: None, is_rounded: false })
}

/// Reads digits without branching and remembers whether any was something else.
#[derive(Default)]
struct Digits {
    has_other: bool,
}

impl Digits {
    #[inline]
    fn two(&mut self, tens: u8, ones: u8) -> u32 {
        let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
        self.has_other |= tens > 9 || ones > 9;
        u32::from(tens) * 10 + u32::from(ones)
    }
}

/// Reads every form.
fn read_any(text: &[u8]) -> Result<Reading, Fault> {
    let text = integer::trim(text);
    if text.len() > MAX_LENGTH {
        return Err(Fault::Syntax);
    }
    if text.eq_ignore_ascii_case(b"infinity") || text.eq_ignore_ascii_case(b"+infinity") {
        return Ok(Reading::Infinity(false));
    }
    if text.eq_ignore_ascii_case(b"-infinity") {
        return Ok(Reading::Infinity(true));
    }
    let mut cursor = Cursor { rest: text };
    let mut civil = Civil { days: None, micros: None, offset: None, is_rounded: false };
    let mut date = None;
    let mut has_t = false;
    if !cursor.is_time() {
        date = Some(cursor.date()?);
        let blanks = cursor.blanks();
        has_t = cursor.skip(b"T");
        if !has_t && blanks == 0 && !cursor.rest.is_empty() {
            return Err(Fault::Syntax);
        }
        cursor.blanks();
    }
    if date.is_none() || cursor.is_time() {
        (civil.micros, civil.is_rounded) = cursor.time().map(|(micros, rounded)| (Some(micros), rounded))?;
        cursor.blanks();
        civil.offset = cursor.offset()?;
        cursor.blanks();
    } else if has_t {
        return Err(Fault::Syntax);
    }
    let is_bc = cursor.skip(b"BC");
    if !is_bc {
        cursor.skip(b"AD");
    }
    if !cursor.rest.is_empty() {
        return Err(Fault::Syntax);
    }
    match date {
        Some(written) => civil.days = Some(written.days(is_bc)?),
        None if is_bc => return Err(Fault::Syntax),
        None => {}
    }
    Ok(Reading::Civil(civil))
}

/// What is left to read.
struct Cursor<'a> {
    rest: &'a [u8],
}

/// A date as written, not yet checked.
struct WrittenDate {
    is_signed: bool,
    year: i32,
    month: u32,
    day: u32,
}

impl WrittenDate {
    fn days(&self, is_bc: bool) -> Result<i64, Fault> {
        if is_bc && self.is_signed {
            return Err(Fault::Syntax);
        }
        if self.year == 0 && !self.is_signed {
            return Err(Fault::Field);
        }
        let year = if is_bc { 1 - self.year } else { self.year };
        let (Ok(month @ 1..=12), Ok(day @ 1..)) = (u8::try_from(self.month), u8::try_from(self.day)) else {
            return Err(Fault::Field);
        };
        if day > calendar::days_in_month(year, month) {
            return Err(Fault::Field);
        }
        if year < -4713 {
            return Err(Fault::Range);
        }
        let days = calendar::days_of_date(Date { year, month, day });
        if days < FIRST_DAY { Err(Fault::Range) } else { Ok(days) }
    }
}

impl Cursor<'_> {
    /// True where digits and a colon follow.
    fn is_time(&self) -> bool {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        digits > 0 && self.rest.get(digits) == Some(&b':')
    }

    /// Skips white space and says how much there was.
    fn blanks(&mut self) -> usize {
        let before = self.rest.len();
        self.rest = self.rest.trim_ascii_start();
        before - self.rest.len()
    }

    /// Skips a word, in any case, if it comes next.
    fn skip(&mut self, word: &[u8]) -> bool {
        match self.rest.split_at_checked(word.len()) {
            Some((head, rest)) if head.eq_ignore_ascii_case(word) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.skip(&[byte]) { Ok(()) } else { Err(Fault::Syntax) }
    }

    /// Reads a number of so many digits.
    fn take_number(&mut self, digits: std::ops::RangeInclusive<usize>) -> Result<u32, Fault> {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !digits.contains(&length) {
            return Err(Fault::Syntax);
        }
        let (number, rest) = self.rest.split_at(length);
        self.rest = rest;
        // Seven digits at most, by the ranges asked for.
        Ok(number.iter().fold(0, |v, byte| v * 10 + u32::from(byte - b'0')))
    }

    /// Reads `[sign] year - month - day`.
    fn date(&mut self) -> Result<WrittenDate, Fault> {
        let is_negative = self.skip(b"-");
        let is_signed = is_negative || self.skip(b"+");
        let magnitude = self.take_number(4..=7)? as i32;
        self.expect(b'-')?;
        let month = self.take_number(1..=2)?;
        self.expect(b'-')?;
        let day = self.take_number(1..=2)?;
        Ok(WrittenDate { is_signed, year: if is_negative { -magnitude } else { magnitude }, month, day })
    }

    /// Reads `hour : minute [: second [. fraction]]`: microseconds, and whether they are rounded.
    fn time(&mut self) -> Result<(i64, bool), Fault> {
        let hour = self.take_number(1..=2)?;
        self.expect(b':')?;
        let minute = self.take_number(1..=2)?;
        let mut second = 0;
        let mut fraction = 0;
        let mut is_rounded = false;
        if self.skip(b":") {
            second = self.take_number(1..=2)?;
            if self.rest.first() == Some(&b'.') {
                (fraction, is_rounded) = self.fraction()?;
            }
        }
        let total = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
        let micros = total * MICROS_PER_SECOND + fraction;
        // The rule of time_overflows (src/backend/utils/adt/date.c): second 60 rolls over, and nothing goes
        // beyond 24:00:00.
        if hour > 24 || minute > 59 || second > 60 || micros > MICROS_PER_DAY {
            return Err(Fault::Field);
        }
        Ok((micros, is_rounded))
    }

    /// Reads `. digits` as microseconds, rounded as `ParseFractionalSecond` rounds: to even, after a
    /// multiplication in doubles.
    fn fraction(&mut self) -> Result<(i64, bool), Fault> {
        let length = 1 + self.rest.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
        if length < 2 {
            return Err(Fault::Syntax);
        }
        let (fraction, rest) = self.rest.split_at(length);
        self.rest = rest;
        let is_rounded = fraction.iter().skip(7).any(|digit| *digit != b'0');
        let seconds: f64 =
            std::str::from_utf8(fraction).ok().and_then(|f| f.parse().ok()).ok_or(Fault::Syntax)?;
        Ok(((seconds * 1e6).round_ties_even() as i64, is_rounded))
    }

    /// Reads an offset, if one comes: seconds east of UTC.
    fn offset(&mut self) -> Result<Option<i64>, Fault> {
        if self.skip(b"Z") || self.skip(b"UTC") || self.skip(b"GMT") {
            // "ZBC" is one word, and none that means anything.
            let goes_on = self.rest.first().is_some_and(u8::is_ascii_alphabetic);
            return if goes_on { Err(Fault::Syntax) } else { Ok(Some(0)) };
        }
        let from = self.rest;
        let sign = match self.rest.first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Ok(None),
        };
        self.rest = self.rest.get(1..).unwrap_or_default();
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut parts = [0u32; 3];
        if digits == 4 {
            let packed = self.take_number(4..=4)?;
            parts = [packed / 100, packed % 100, 0];
        } else {
            for (index, part) in parts.iter_mut().enumerate() {
                if index > 0 && !self.skip(b":") {
                    break;
                }
                *part = self.take_number(1..=2)?;
            }
        }
        let [hours, minutes, seconds] = parts;
        // MAX_TZDISP_HOUR of PostgreSQL; the widest in use is +14.
        if hours > 15 || minutes > 59 || seconds > 59 {
            return Err(Fault::Offset);
        }
        let total = i64::from((hours * 60 + minutes) * 60 + seconds);
        let written = from.strip_suffix(self.rest).unwrap_or_default();
        self.zone_of_go(total == 0, written);
        Ok(Some(sign * total))
    }

    /// Skips the zone that Go names after the offset, which alone counts: an abbreviation, or the offset
    /// again where the zone has none, and then the reading of the process's own clock.
    fn zone_of_go(&mut self, is_utc: bool, offset: &[u8]) {
        let Some((b' ', mut rest)) = self.rest.split_first() else { return };
        let (word, after) = rest.split_at(rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len()));
        let is_zone = match word {
            _ if word.eq_ignore_ascii_case(b"UTC") => is_utc,
            b"GMT" => is_utc,
            // To PostgreSQL these are an hour more, and the beginning of Unix time.
            b"DST" | b"EPOCH" => false,
            // Only `+HHMM` is Go's.
            _ if offset.len() != 5 || offset.contains(&b':') => false,
            [b'+' | b'-', ..] => word == offset || [word, b"00"].concat() == offset,
            _ => matches!(word.len(), 3..=5) && word.iter().all(u8::is_ascii_uppercase),
        };
        if !is_zone {
            return;
        }
        rest = after;
        if let Some([b'+' | b'-', clock @ ..]) = after.strip_prefix(b" m=")
            && clock.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
        {
            rest = &[];
        }
        self.rest = rest;
    }
}

impl Civil {
    /// The reading as microseconds since 2000-01-01 00:00:00 by the same clock; midnight where it has no
    /// time.
    #[inline]
    pub(super) fn timestamp(&self) -> Result<i64, Fault> {
        let days = self.days.ok_or(Fault::Syntax)?;
        // More than this overflows, and is out of range whatever the offset.
        if !(FIRST_DAY..=TIMESTAMP_END / MICROS_PER_DAY + 2).contains(&days) {
            return Err(Fault::Range);
        }
        Ok(days * MICROS_PER_DAY + self.micros.unwrap_or(0))
    }
}

/// The timestamp itself, if it is in the range of the type.
#[inline]
pub(super) fn in_range(timestamp: i64) -> Result<i64, Fault> {
    if (FIRST_TIMESTAMP..TIMESTAMP_END).contains(&timestamp) { Ok(timestamp) } else { Err(Fault::Range) }
}

/// Rounds microseconds to a number of fractional digits, half away from zero, as `AdjustTimestampForTypmod`
/// does. The flag says whether that changed anything.
#[inline]
pub(super) fn round(micros: i64, precision: Option<u8>) -> (i64, bool) {
    let unit: i64 = match precision {
        Some(0) => 1_000_000,
        Some(1) => 100_000,
        Some(2) => 10_000,
        Some(3) => 1_000,
        Some(4) => 100,
        Some(5) => 10,
        _ => return (micros, false),
    };
    // Never near the ends of i64: the range of timestamps ends 700 seconds before it.
    let magnitude = micros.abs() + unit / 2;
    let rounded = (magnitude - magnitude % unit) * micros.signum();
    (rounded, rounded != micros)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Days, microseconds and offset.
    type Parts = (Option<i64>, Option<i64>, Option<i64>);

    fn civil(text: &str) -> Result<Parts, Fault> {
        match read(text.as_bytes())? {
            Reading::Civil(civil) => Ok((civil.days, civil.micros, civil.offset)),
            Reading::Infinity(_) => panic!("{text}"),
        }
    }

    const NOON: i64 = 12 * 3_600_000_000;

    #[test]
    fn every_form_of_the_table_is_read() {
        let day = Some(8401); // 2023-01-01
        for (text, micros, offset) in [
            ("2023-01-01", None, None),
            ("2023-01-01 12:00", Some(NOON), None),
            ("2023-01-01T12:00:00", Some(NOON), None),
            ("2023-01-01t12:00:00.5", Some(NOON + 500_000), None),
            ("2023-01-01  12:00:00.123", Some(NOON + 123_000), None),
            ("2023-01-01 12:00:00.123456", Some(NOON + 123_456), None),
            ("2023-01-01 12:00:00.1234565", Some(NOON + 123_456), None),
            ("2023-01-01 12:00:00.9999999", Some(NOON + 1_000_000), None),
            (" 2023-1-1 12:0:0\n", Some(NOON), None),
            ("2023-01-01 12:00:00Z", Some(NOON), Some(0)),
            ("2023-01-01 12:00 z", Some(NOON), Some(0)),
            ("2023-01-01 12:00:00 UTC", Some(NOON), Some(0)),
            ("2023-01-01 12:00:00 +0000 UTC", Some(NOON), Some(0)),
            ("2023-01-01 12:00:00 +0200 CEST", Some(NOON), Some(7_200)),
            ("2023-01-01 12:00:00.5 +0330 +0330 m=+6.690000001", Some(NOON + 500_000), Some(12_600)),
            ("2023-01-01 12:00:00 -0300 -03 m=-0.5", Some(NOON), Some(-10_800)),
            ("2023-01-01 12:00:00+03", Some(NOON), Some(10_800)),
            ("2023-01-01 12:00:00 -0330", Some(NOON), Some(-12_600)),
            ("2023-01-01 12:00:00+05:30", Some(NOON), Some(19_800)),
            ("2023-01-01 12:00:00+01:56:56", Some(NOON), Some(7_016)),
            ("2023-01-01 24:00:00", Some(24 * 3_600_000_000), None),
            ("2023-01-01 11:59:60", Some(NOON), None),
        ] {
            assert_eq!(civil(text), Ok((day, micros, offset)), "{text}");
        }
        assert_eq!(civil("12:00"), Ok((None, Some(NOON), None)));
        assert_eq!(civil("-0001-12-31"), civil("0002-12-31 BC"));
        assert_eq!(civil("+12023-01-01"), civil("12023-01-01 AD"));
    }

    #[test]
    fn what_is_no_date_is_told_from_an_impossible_one() {
        for text in [
            "",
            " ",
            "now",
            "2023",
            "2023-01",
            "23-01-01",
            "2023/01/01",
            "2023-01-01T",
            "2023-01-01 12",
            "2459945.5",
            "2023-01-01 12:00:00.",
            "2023-01-01 12:00:00+",
            "2023-01-01 12:00:00 +0300 UTC",
            "2023-01-01 12:00:00 +0300 DST",
            "2023-01-01 12:00:00 +0300 EPOCH",
            "2023-01-01 12:00:00 +0300 -03",
            "2023-01-01 12:00:00 +0330 +03",
            "2023-01-01 12:00:00 +0300 cest",
            "2023-01-01 12:00:00 +0300 +3",
            "2023-01-01 12:00:00 +03 CEST",
            "2023-01-01 12:00:00 +0200 CEST m=now",
            "2023-01-01 12:00:00 CEST",
            "2023-01-01 12:00:00 PM",
            "2023-01-01 12:00:00x",
            "12:00:00 BC",
            "-0001-01-01 BC",
            "2023-001-01",
            "20230101",
            "2023-01-01Z",
            "100:00",
            "2023-01-0112:00:00",
            "\u{661}023-01-01",
        ] {
            assert_eq!(civil(text), Err(Fault::Syntax), "{text}");
        }
        for text in [
            "2023-02-29",
            "2023-00-10",
            "2023-13-10",
            "2023-01-00",
            "2023-01-32",
            "0000-01-01",
            "0000-00-00",
            "2023-01-01 25:00",
            "2023-01-01 12:60:00",
            "2023-01-01 12:00:61",
            "2023-01-01 24:00:01",
            "2023-01-01 23:59:60.5",
        ] {
            assert_eq!(civil(text), Err(Fault::Field), "{text}");
        }
        assert_eq!(civil("2023-01-01 12:00:00+16"), Err(Fault::Offset));
        assert_eq!(civil("4714-11-23 BC"), Err(Fault::Range));
        assert_eq!(civil("4714-11-24 BC"), Ok((Some(FIRST_DAY), None, None)));
    }

    proptest! {
        #[test]
        fn the_quick_reader_agrees_with_the_thorough_one(
            text in "[0-2][0-9]{3}-[0-1][0-9]-[0-3][0-9]([ T][0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,7})?)?",
        ) {
            if let Some(quick) = read_usual(text.as_bytes()) {
                prop_assert_eq!(read_any(text.as_bytes()), Ok(Reading::Civil(quick)));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9:. TZBCinfty]{0,40}") {
            let _ = read(text.as_bytes());
        }

        #[test]
        fn rounding_goes_to_the_nearest_unit_and_away_from_zero_in_the_middle(
            micros in FIRST_TIMESTAMP..TIMESTAMP_END,
            precision in 0u8..=6,
        ) {
            let unit = 10i128.pow(6 - u32::from(precision));
            let (rounded, changed) = round(micros, Some(precision));
            let distance = (i128::from(rounded) - i128::from(micros)).abs();
            prop_assert_eq!(i128::from(rounded) % unit, 0);
            prop_assert!(distance * 2 <= unit);
            prop_assert!(distance * 2 < unit || unit == 1 || rounded.abs() > micros.abs());
            prop_assert_eq!(changed, rounded != micros);
        }
    }
}
