//! A span of time as text: which months, days and microseconds it spells.

use crate::convert::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::convert::integer;

/// A span of time as PostgreSQL keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) months: i64,
    pub(super) days: i64,
    pub(super) micros: i64,
    /// The text has digits beyond the microsecond.
    pub(super) is_rounded: bool,
}

/// Why a text is no span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Syntax,
    /// A minus sign may count for one field or for all.
    Sign,
    Range,
}

/// Reads a text. Where minutes and seconds are all that the column keeps, `HH:MM` can be read in two ways.
pub(super) fn read(text: &[u8], is_minute_to_second: bool) -> Result<Span, Fault> {
    let text = integer::trim(text);
    let is_digit_at = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    let span = match text {
        [b'-', b'P', iso @ ..] => negated(designated(iso)?)?,
        [b'P', iso @ ..] => designated(iso)?,
        _ => {
            let colon = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
            let head = text.get(..colon).unwrap_or_default();
            let is_days_and_time =
                head.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
                    && head.contains(&b'.')
                    && (is_digit_at(0) || is_digit_at(1));
            if is_days_and_time { days_and_time(text)? } else { fields(text, is_minute_to_second)? }
        }
    };
    let fits = |v: i64| i32::try_from(v).is_ok();
    if fits(span.months) && fits(span.days) { Ok(span) } else { Err(Fault::Range) }
}

fn negated(span: Span) -> Result<Span, Fault> {
    let negative = |v: i64| v.checked_neg().ok_or(Fault::Range);
    Ok(Span {
        months: negative(span.months)?,
        days: negative(span.days)?,
        micros: negative(span.micros)?,
        is_rounded: span.is_rounded,
    })
}

/// What is left to read.
struct Cursor<'a> {
    rest: &'a [u8],
}

/// A decimal number without sign.
#[derive(Clone, Copy)]
struct Number {
    whole: i64,
    /// The digits after the point as a number, and the power of ten that they are divided by.
    fraction: i64,
    scale: i64,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        is_next
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn take(&mut self, is_wanted: impl Fn(&u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().take_while(|byte| is_wanted(byte)).count();
        let (head, rest) = self.rest.split_at(length);
        self.rest = rest;
        head
    }

    /// The sign that is written, as 1 or -1.
    fn sign(&mut self) -> Option<i64> {
        if self.skip(b'-') { Some(-1) } else { self.skip(b'+').then_some(1) }
    }

    fn digits(&mut self) -> Result<i64, Fault> {
        let digits = self.take(u8::is_ascii_digit);
        if digits.is_empty() {
            return Err(Fault::Syntax);
        }
        value_of(digits).ok_or(Fault::Range)
    }

    /// Reads exactly two digits below a limit.
    fn two(&mut self, limit: i64) -> Result<i64, Fault> {
        match self.take(u8::is_ascii_digit) {
            digits @ [_, _] => value_of(digits).filter(|v| *v < limit).ok_or(Fault::Syntax),
            _ => Err(Fault::Syntax),
        }
    }

    fn take_number(&mut self) -> Result<Number, Fault> {
        let whole = self.digits()?;
        let mut number = Number { whole, fraction: 0, scale: 1 };
        if self.skip(b'.') {
            let digits = self.take(u8::is_ascii_digit);
            if digits.is_empty() {
                return Err(Fault::Syntax);
            }
            let used = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
            // No program writes more.
            let used = digits.get(..used).filter(|used| used.len() <= 18).ok_or(Fault::Syntax)?;
            number.fraction = value_of(used).unwrap_or(0);
            number.scale = 10i64.pow(used.len() as u32);
        }
        Ok(number)
    }

    /// Reads what follows the hours of a clock: `:MM[:SS[.F]]`. The second result says whether there were
    /// seconds.
    fn clock(&mut self, hours: i64) -> Result<(Part, bool), Fault> {
        if !self.skip(b':') {
            return Err(Fault::Syntax);
        }
        let below_60 = |v: i64| if v < 60 { Ok(v) } else { Err(Fault::Syntax) };
        let minutes = below_60(self.digits()?)?;
        let mut seconds = Number { whole: 0, fraction: 0, scale: 1 };
        let has_seconds = self.skip(b':');
        if has_seconds {
            seconds = self.take_number()?;
            below_60(seconds.whole)?;
        }
        let (micros, is_rounded) = seconds.times(MICROS_PER_SECOND)?;
        let minutes = hours.checked_mul(60).and_then(|m| m.checked_add(minutes)).ok_or(Fault::Range)?;
        let whole = minutes.checked_mul(60 * MICROS_PER_SECOND).ok_or(Fault::Range)?;
        let micros = whole.checked_add(micros).ok_or(Fault::Range)?;
        Ok((Part { micros, is_rounded, ..Part::default() }, has_seconds))
    }
}

fn value_of(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0i64, |v, digit| v.checked_mul(10)?.checked_add(i64::from(digit - b'0')))
}

/// What one field adds, before its sign.
type Part = Span;

impl Number {
    /// So many of a unit, to the nearest and in the middle to the even one; true where that is not exact.
    fn times(self, unit: i64) -> Result<(i64, bool), Fault> {
        let fraction = i128::from(self.fraction) * i128::from(unit);
        let scale = i128::from(self.scale);
        let (floor, rest) = (fraction / scale, fraction % scale);
        let is_up = rest * 2 > scale || (rest * 2 == scale && floor % 2 == 1);
        let total = i128::from(self.whole) * i128::from(unit) + floor + i128::from(is_up);
        Ok((i64::try_from(total).map_err(|_| Fault::Range)?, rest != 0))
    }

    /// The same in whole units only.
    fn whole_times(self, unit: i64) -> Result<i64, Fault> {
        match self.times(unit)? {
            (total, false) => Ok(total),
            (_, true) => Err(Fault::Syntax),
        }
    }

    /// So many days, with the fraction in time.
    fn days(self, per_unit: i64) -> Result<Part, Fault> {
        let days = self.whole.checked_mul(per_unit).ok_or(Fault::Range)?;
        let fraction = Number { whole: 0, ..self };
        let (micros, is_rounded) = fraction.times(per_unit * MICROS_PER_DAY)?;
        let days = days.checked_add(micros / MICROS_PER_DAY).ok_or(Fault::Range)?;
        Ok(Part { months: 0, days, micros: micros % MICROS_PER_DAY, is_rounded })
    }

    fn of_unit(self, unit: Unit) -> Result<Part, Fault> {
        let time = |per_unit| {
            let (micros, is_rounded) = self.times(per_unit)?;
            Ok(Part { micros, is_rounded, ..Part::default() })
        };
        match unit {
            Unit::Years(years) => {
                Ok(Part { months: self.whole_times(12 * i64::from(years))?, ..Part::default() })
            }
            Unit::Month => {
                // A month has 30 days where a part of one is meant, says PostgreSQL.
                let part = Number { whole: 0, ..self }.days(30)?;
                Ok(Part { months: self.whole, ..part })
            }
            Unit::Week => self.days(7),
            Unit::Day => self.days(1),
            Unit::Hour => time(3600 * MICROS_PER_SECOND),
            Unit::Minute => time(60 * MICROS_PER_SECOND),
            Unit::Second => time(MICROS_PER_SECOND),
            Unit::Millisecond => time(1000),
            Unit::Microsecond => time(1),
        }
    }
}

/// Units of time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// So many years: 1, 10, 100 or 1000.
    Years(u16),
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
}

impl Unit {
    /// The words of PostgreSQL's `deltatktbl` (src/backend/utils/adt/datetime.c).
    fn of_word(word: &[u8]) -> Option<Unit> {
        let word = std::str::from_utf8(word).ok()?.to_ascii_lowercase();
        Some(match word.as_str() {
            "mil" | "mils" | "millennia" | "millennium" => Unit::Years(1000),
            "c" | "cent" | "century" | "centuries" => Unit::Years(100),
            "dec" | "decs" | "decade" | "decades" => Unit::Years(10),
            "y" | "yr" | "yrs" | "year" | "years" => Unit::Years(1),
            "mon" | "mons" | "month" | "months" => Unit::Month,
            "w" | "week" | "weeks" => Unit::Week,
            "d" | "day" | "days" => Unit::Day,
            "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
            "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
            "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
            "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" => {
                Unit::Millisecond
            }
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" => {
                Unit::Microsecond
            }
            _ => return None,
        })
    }

    /// A bit of its own, by which a unit that comes twice is found.
    fn bit(self) -> u32 {
        1 << match self {
            Unit::Years(1) => 0,
            Unit::Years(10) => 1,
            Unit::Years(100) => 2,
            Unit::Years(_) => 3,
            Unit::Month => 4,
            Unit::Week => 5,
            Unit::Day => 6,
            Unit::Hour => 7,
            Unit::Minute => 8,
            Unit::Second => 9,
            Unit::Millisecond => 10,
            Unit::Microsecond => 11,
        }
    }
}

/// The bits of a clock.
const CLOCK: u32 = 0b111 << 7;

/// The sum of what was read so far.
#[derive(Default)]
struct Sum {
    span: Span,
    units: u32,
}

impl Sum {
    fn add(&mut self, sign: i64, part: Part, units: u32) -> Result<(), Fault> {
        if self.units & units != 0 {
            return Err(Fault::Syntax);
        }
        self.units |= units;
        let sum = |a: i64, b: i64| b.checked_mul(sign).and_then(|b| a.checked_add(b)).ok_or(Fault::Range);
        self.span.months = sum(self.span.months, part.months)?;
        self.span.days = sum(self.span.days, part.days)?;
        self.span.micros = sum(self.span.micros, part.micros)?;
        self.span.is_rounded |= part.is_rounded;
        Ok(())
    }
}

/// Reads `[-]D.HH:MM:SS[.F]`.
fn days_and_time(text: &[u8]) -> Result<Span, Fault> {
    let mut cursor = Cursor { rest: text };
    let sign = if cursor.skip(b'-') { -1 } else { 1 };
    let days = cursor.digits()?;
    if !cursor.skip(b'.') {
        return Err(Fault::Syntax);
    }
    let hours = cursor.two(24)?;
    // Both minutes and seconds have two digits in this form.
    let (minutes, seconds) = (cursor.rest.get(1..3), cursor.rest.get(4..6));
    let are_digits = |part: Option<&[u8]>| part.is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    if !are_digits(minutes) || !are_digits(seconds) {
        return Err(Fault::Syntax);
    }
    let (time, has_seconds) = cursor.clock(hours)?;
    if !has_seconds || !cursor.rest.is_empty() {
        return Err(Fault::Syntax);
    }
    let mut sum = Sum::default();
    sum.add(sign, Part { days, ..time }, 1)?;
    Ok(sum.span)
}

/// Reads what follows the P of ISO 8601: numbers with designators.
fn designated(text: &[u8]) -> Result<Span, Fault> {
    let mut cursor = Cursor { rest: text };
    let mut sum = Sum::default();
    let mut is_time = false;
    let mut is_empty = true;
    while let Some(next) = cursor.peek() {
        if next == b'T' && !is_time {
            (is_time, is_empty) = (true, true);
            cursor.skip(b'T');
            continue;
        }
        let sign = cursor.sign().unwrap_or(1);
        let number = cursor.take_number()?;
        let unit = match (cursor.peek(), is_time) {
            (Some(b'Y'), false) => Unit::Years(1),
            (Some(b'M'), false) => Unit::Month,
            (Some(b'W'), false) => Unit::Week,
            (Some(b'D'), false) => Unit::Day,
            (Some(b'H'), true) => Unit::Hour,
            (Some(b'M'), true) => Unit::Minute,
            (Some(b'S'), true) => Unit::Second,
            _ => return Err(Fault::Syntax),
        };
        cursor.rest = cursor.rest.get(1..).unwrap_or_default();
        sum.add(sign, number.of_unit(unit)?, unit.bit())?;
        is_empty = false;
    }
    if is_empty { Err(Fault::Syntax) } else { Ok(sum.span) }
}

/// Reads numbers with units, a clock, years and months with a hyphen, in any order.
fn fields(text: &[u8], is_minute_to_second: bool) -> Result<Span, Fault> {
    let mut cursor = Cursor { rest: text };
    cursor.skip(b'@');
    cursor.blanks();
    let mut sum = Sum::default();
    let (mut count, mut signs) = (0u32, 0u32);
    let mut begins_negative = false;
    let mut is_after_comma = false;
    let mut is_ago = false;
    while let Some(next) = cursor.peek() {
        if is_ago {
            return Err(Fault::Syntax);
        }
        if next.is_ascii_alphabetic() {
            let word = cursor.take(u8::is_ascii_alphabetic);
            if count == 0 || !word.eq_ignore_ascii_case(b"ago") {
                return Err(Fault::Syntax);
            }
            is_ago = true;
            cursor.blanks();
            continue;
        }
        let written = cursor.sign();
        let sign = written.unwrap_or(1);
        if count == 0 {
            begins_negative = written == Some(-1);
        }
        count += 1;
        signs += u32::from(written.is_some());
        let number = cursor.take_number()?;
        let is_whole = number.scale == 1;
        match cursor.peek() {
            Some(b':') if is_whole => {
                let (time, has_seconds) = cursor.clock(number.whole)?;
                if is_minute_to_second && !has_seconds {
                    return Err(Fault::Syntax);
                }
                sum.add(sign, time, CLOCK)?;
                // Python writes the days of a negative timedelta with a sign, and the time after them
                // without.
                signs += u32::from(is_after_comma && written.is_none());
            }
            Some(b'-') if is_whole => {
                cursor.skip(b'-');
                let months = cursor.digits()?;
                if months > 11 {
                    return Err(Fault::Syntax);
                }
                let months = number.whole.checked_mul(12).and_then(|m| m.checked_add(months));
                let part = Part { months: months.ok_or(Fault::Range)?, ..Part::default() };
                sum.add(sign, part, Unit::Years(1).bit() | Unit::Month.bit())?;
            }
            _ => {
                cursor.blanks();
                let word = cursor.take(u8::is_ascii_alphabetic);
                let unit = match Unit::of_word(word) {
                    Some(unit) => unit,
                    // Days before a clock need no unit.
                    None if word.is_empty() && is_whole && is_clock(cursor.rest) => Unit::Day,
                    None => return Err(Fault::Syntax),
                };
                sum.add(sign, number.of_unit(unit)?, unit.bit())?;
            }
        }
        cursor.blanks();
        is_after_comma = cursor.skip(b',');
        if is_after_comma {
            cursor.blanks();
            if cursor.rest.is_empty() {
                return Err(Fault::Syntax);
            }
        }
    }
    match (count, begins_negative, signs) {
        (0, _, _) => Err(Fault::Syntax),
        (2.., true, 1) => Err(Fault::Sign),
        _ if is_ago && signs > 0 => Err(Fault::Sign),
        _ if is_ago => negated(sum.span),
        _ => Ok(sum.span),
    }
}

/// A clock comes next, with or without sign.
fn is_clock(text: &[u8]) -> bool {
    let mut cursor = Cursor { rest: text };
    cursor.sign();
    !cursor.take(u8::is_ascii_digit).is_empty() && cursor.peek() == Some(b':')
}
