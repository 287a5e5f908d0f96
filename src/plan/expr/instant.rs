//! Dates and times: the functions that ask for the current one, as a DEFAULT may, and texts that are one.
//!
//! SQLite's clock is UTC unless `localtime` is asked for (<https://sqlite.org/lang_datefunc.html>), and its
//! texts have no zone. So a column without a zone gets the UTC wall clock, a text the same text that SQLite
//! writes, and a number Unix seconds. PostgreSQL's `now()` is the transaction's time; SQLite's is the
//! statement's.

use super::NotCarried;
use crate::grammar::{Expr, Quoting};
use aliaport_rows::pg_type::PgType;

/// The current time in one of SQLite's forms.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moment {
    pub form: Form,
    /// Wall clock of the machine instead of UTC.
    is_local: bool,
    /// Seconds added.
    offset: i64,
}

/// What the function gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// `2024-12-31`
    Date,
    /// `23:59:59`
    Time,
    /// `2024-12-31 23:59:59`
    DateTime,
    /// Seconds since 1970, whole.
    Unix,
    /// Days since noon in Greenwich on November 24, 4714 B.C.
    Julian,
    /// Any other `strftime` format.
    Format(String),
}

/// Reads a call that gives the current time; `None` where it is another function.
pub(super) fn moment(expr: &Expr) -> Option<Result<Moment, NotCarried>> {
    let now = |form| Some(Ok(Moment { form, is_local: false, offset: 0 }));
    let (name, arguments) = match expr {
        Expr::CurrentDate => return now(Form::Date),
        Expr::CurrentTime => return now(Form::Time),
        Expr::CurrentTimestamp => return now(Form::DateTime),
        Expr::Call(name, arguments) => (name.as_str(), arguments.as_slice()),
        _ => return None,
    };
    let (form, arguments) = match (name, arguments) {
        ("date", rest) => (Form::Date, rest),
        ("time", rest) => (Form::Time, rest),
        ("datetime", rest) => (Form::DateTime, rest),
        ("unixepoch", rest) => (Form::Unix, rest),
        ("julianday", rest) => (Form::Julian, rest),
        ("strftime", [format, rest @ ..]) => match string(format) {
            Some("%s") => (Form::Unix, rest),
            Some("%Y-%m-%d" | "%F") => (Form::Date, rest),
            Some("%H:%M:%S" | "%T") => (Form::Time, rest),
            Some("%Y-%m-%d %H:%M:%S") => (Form::DateTime, rest),
            Some("%J") => (Form::Julian, rest),
            Some(format) => (Form::Format(format.to_owned()), rest),
            None => return Some(Err(no_form(name))),
        },
        _ => return None,
    };
    let modifiers = match arguments {
        [] => &[],
        [time, rest @ ..] if string(time).is_some_and(|t| t.eq_ignore_ascii_case("now")) => rest,
        _ => return Some(Err(no_form(name))),
    };
    let mut moment = Moment { form, is_local: false, offset: 0 };
    for modifier in modifiers {
        let Some(modifier) = string(modifier) else {
            return Some(Err(no_form(name)));
        };
        if modifier.eq_ignore_ascii_case("localtime") && !matches!(moment.form, Form::Unix | Form::Julian) {
            moment.is_local = true;
        } else if let Some(seconds) = seconds(modifier) {
            moment.offset = moment.offset.saturating_add(seconds);
        } else {
            let message =
                format!("function \"{name}\" with modifier \"{modifier}\" has no PostgreSQL form here");
            return Some(Err(NotCarried::new(message)));
        }
    }
    Some(Ok(moment))
}

fn no_form(name: &str) -> NotCarried {
    NotCarried::new(format!("function \"{name}\" has no PostgreSQL form here"))
}

fn string(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Text(text) | Expr::Column(text, Quoting::Double) => Some(text),
        _ => None,
    }
}

/// `+7 days` and the like. Months and years have other lengths in PostgreSQL (January 31 plus a month).
fn seconds(modifier: &str) -> Option<i64> {
    let (number, unit) = modifier.trim().split_once(' ')?;
    let number: i64 = number.strip_prefix('+').unwrap_or(number).parse().ok()?;
    if number.abs() > 1_000_000_000 {
        return None;
    }
    let unit = unit.trim().to_ascii_lowercase();
    let length = match unit.strip_suffix('s').unwrap_or(&unit) {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    Some(number * length)
}

impl Moment {
    /// A PostgreSQL expression of a column's type.
    pub(super) fn of_type(&self, pg_type: &PgType) -> Result<String, NotCarried> {
        let has_date_and_time = match &self.form {
            Form::DateTime => true,
            Form::Format(format) => is_date_and_time(format),
            _ => false,
        };
        let instant = has_date_and_time || matches!(self.form, Form::Unix | Form::Julian);
        match pg_type {
            PgType::TimestampTz(_) if instant => Ok(self.with_zone()),
            PgType::TimestampTz(_) if self.form == Form::Date && !self.is_local => {
                Ok(format!("date_trunc('day', {}) AT TIME ZONE 'UTC'", self.wall_clock()))
            }
            PgType::Timestamp(_) if instant => Ok(self.wall_clock()),
            PgType::Timestamp(_) if self.form == Form::Date => {
                Ok(format!("date_trunc('day', {})", self.wall_clock()))
            }
            PgType::Date if self.form == Form::Date || has_date_and_time => {
                Ok(format!("({})::date", self.wall_clock()))
            }
            PgType::Time(_) if self.form == Form::Time => Ok(format!("({})::time", self.wall_clock())),
            PgType::Text | PgType::Citext | PgType::Varchar(None) => Ok(self.text()?.0),
            PgType::Varchar(Some(length)) => match self.text()? {
                (sql, needed) if needed <= *length => Ok(sql),
                _ => Err(self.unfit(pg_type)),
            },
            PgType::BigInt | PgType::Integer | PgType::Numeric { precision_scale: None }
                if self.form == Form::Unix =>
            {
                Ok(self.unix())
            }
            PgType::DoublePrecision if self.form == Form::Unix => Ok(self.unix()),
            PgType::DoublePrecision if self.form == Form::Julian => Ok(self.julian()),
            PgType::BigInt | PgType::Integer | PgType::SmallInt if matches!(&self.form, Form::Format(f) if matches!(f.as_str(), "%Y" | "%m" | "%d" | "%H" | "%M" | "%S" | "%j")) => {
                Ok(format!("{}::integer", self.text()?.0))
            }
            _ => Err(self.unfit(pg_type)),
        }
    }

    fn unfit(&self, pg_type: &PgType) -> NotCarried {
        let what = match &self.form {
            Form::Date => "the current date",
            Form::Time => "the current time of day",
            Form::DateTime => "the current date and time",
            Form::Unix => "the current time as a number of seconds",
            Form::Julian => "the current time as a number of days",
            Form::Format(_) => "a part of the current time",
        };
        NotCarried::new(format!("{what} is no value of type {pg_type}"))
    }

    fn with_zone(&self) -> String {
        match self.offset {
            0 => "now()".to_owned(),
            seconds => format!("now() + interval '{seconds} seconds'"),
        }
    }

    fn wall_clock(&self) -> String {
        match (self.is_local, self.offset) {
            (true, 0) => "LOCALTIMESTAMP".to_owned(),
            (true, seconds) => format!("LOCALTIMESTAMP + interval '{seconds} seconds'"),
            (false, 0) => "now() AT TIME ZONE 'UTC'".to_owned(),
            (false, seconds) => format!("(now() + interval '{seconds} seconds') AT TIME ZONE 'UTC'"),
        }
    }

    /// Whole Unix seconds, of type bigint.
    pub(super) fn unix(&self) -> String {
        format!("floor(extract(epoch FROM {}))::bigint", self.with_zone())
    }

    pub(super) fn julian(&self) -> String {
        format!("(extract(epoch FROM {})::double precision / 86400 + 2440587.5)", self.with_zone())
    }

    /// The text that SQLite writes, and its length in characters.
    pub(super) fn text(&self) -> Result<(String, u32), NotCarried> {
        let format = match &self.form {
            Form::Date => "%Y-%m-%d",
            Form::Time => "%H:%M:%S",
            Form::DateTime => "%Y-%m-%d %H:%M:%S",
            Form::Unix => return Ok((format!("{}::text", self.unix()), 10)),
            Form::Julian => return Err(self.unfit(&PgType::Text)),
            Form::Format(format) => format,
        };
        let (pattern, length) = to_char_pattern(format).ok_or_else(|| {
            NotCarried::new(format!("strftime format \"{format}\" has no PostgreSQL form here"))
        })?;
        Ok((format!("to_char({}, '{pattern}')", self.wall_clock()), length))
    }
}

/// Formats that a datetime column is read from.
fn is_date_and_time(format: &str) -> bool {
    let Some(rest) = format.strip_prefix("%Y-%m-%d") else {
        return false;
    };
    let time = rest.strip_prefix(' ').or_else(|| rest.strip_prefix('T'));
    let time = time.map(|t| t.strip_suffix('Z').unwrap_or(t));
    matches!(time, Some("%H:%M:%S" | "%H:%M:%f" | "%H:%M" | "%T"))
}

/// A format of `strftime` for `to_char`, and the length of its texts.
fn to_char_pattern(format: &str) -> Option<(String, u32)> {
    let mut pattern = String::new();
    let mut length = 0;
    let mut characters = format.chars();
    while let Some(c) = characters.next() {
        let (part, part_length) = match c {
            '%' => match characters.next()? {
                'Y' => ("YYYY", 4),
                'm' => ("MM", 2),
                'd' => ("DD", 2),
                'H' => ("HH24", 2),
                'M' => ("MI", 2),
                'S' => ("SS", 2),
                'f' => ("SS.MS", 6),
                'j' => ("DDD", 3),
                'F' => ("YYYY-MM-DD", 10),
                'T' => ("HH24:MI:SS", 8),
                'R' => ("HH24:MI", 5),
                _ => return None,
            },
            c if c.is_ascii_alphabetic() => {
                pattern.extend(['"', c, '"']);
                length += 1;
                continue;
            }
            ' ' | '-' | ':' | '.' | '/' | ',' => {
                pattern.push(c);
                length += 1;
                continue;
            }
            _ => return None,
        };
        pattern.push_str(part);
        length += part_length;
    }
    Some((pattern, length))
}

/// `YYYY-MM-DD`, a day that exists, in the years 1 to 9999.
pub(super) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return false;
    }
    let (Some(year), Some(month), Some(day)) = (digits(text, 0, 4), digits(text, 5, 7), digits(text, 8, 10))
    else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    year >= 1 && (1..=days).contains(&day)
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.f` with up to six digits, before midnight.
pub(super) fn is_time(text: &str) -> bool {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let seconds = match clock.len() {
        5 if fraction.is_none() => Some(0),
        8 if clock.as_bytes().get(5) == Some(&b':') => digits(clock, 6, 8),
        _ => None,
    };
    let fraction_is_good =
        fraction.is_none_or(|f| (1..=6).contains(&f.len()) && f.bytes().all(|b| b.is_ascii_digit()));
    clock.as_bytes().get(2) == Some(&b':')
        && digits(clock, 0, 2).is_some_and(|h| h < 24)
        && digits(clock, 3, 5).is_some_and(|m| m < 60)
        && seconds.is_some_and(|s| s < 60)
        && fraction_is_good
}

/// A date and time as `YYYY-MM-DD HH:MM:SS` with its offset from UTC (`+00` where it has none); a date alone
/// is midnight.
pub(super) fn timestamp(text: &str) -> Option<(String, String)> {
    let date = text.get(..10).filter(|date| is_date(date))?;
    let rest = text.get(10..)?;
    if rest.is_empty() {
        return Some((format!("{date} 00:00:00"), "+00".to_owned()));
    }
    let rest = rest.strip_prefix([' ', 'T'])?;
    let (time, zone) = match rest.find(['Z', '+', '-']) {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, ""),
    };
    if !is_time(time.trim_end_matches(' ')) {
        return None;
    }
    let zone = match zone {
        "" | "Z" => "+00".to_owned(),
        zone => {
            let hours = digits(zone, 1, 3)?;
            let minutes = digits(zone, 4, 6)?;
            if zone.len() != 6 || zone.as_bytes().get(3) != Some(&b':') || hours > 14 || minutes > 59 {
                return None;
            }
            if hours == 0 && minutes == 0 { "+00".to_owned() } else { zone.to_owned() }
        }
    };
    Some((format!("{date} {}", time.trim_end_matches(' ')), zone))
}

fn digits(text: &str, start: usize, end: usize) -> Option<u32> {
    let part = text.get(start..end)?;
    if part.bytes().all(|b| b.is_ascii_digit()) { part.parse().ok() } else { None }
}
