//! Types that have no converter here: the value's text goes to the type's own input function.

use super::{
    Converted, Lossy, Scratch, ValueError, ValueErrorKind, decimal, display_value, integer, real, text,
};
use crate::value::{Cell, Value};

/// One such type.
#[derive(Clone, Debug)]
pub(super) struct Target {
    name: String,
    /// The most bytes that the type keeps, where its input function cuts the rest without a word.
    limit: usize,
    /// What else its input function does without a word.
    habit: Habit,
}

/// What an input function makes of a value that is not the value, without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// Nothing that is known.
    None,
    /// It reads the digits of a number as bits: 101 would be 5.
    Bits,
    /// It takes the beginning of a text for a number, a leading zero for octal, and wraps numbers around.
    /// This is the last that there is.
    Counter(u64),
    /// It rounds coordinates to doubles.
    Coordinates,
}

impl Target {
    pub(super) fn new(name: &str) -> Self {
        let limit = match name {
            "\"char\"" => 1,
            // NAMEDATALEN less the NUL.
            "name" => 63,
            _ => usize::MAX,
        };
        let habit = match name.split('(').next().unwrap_or_default() {
            "bit" | "bit varying" => Habit::Bits,
            "oid" | "xid" | "cid" => Habit::Counter(u64::from(u32::MAX)),
            "xid8" => Habit::Counter(u64::MAX),
            "point" | "lseg" | "box" | "path" | "polygon" | "circle" | "line" | "cube" => Habit::Coordinates,
            _ => Habit::None,
        };
        Target { name: name.to_owned(), limit, habit }
    }

    fn input<'a>(&self, bytes: &'a [u8]) -> Result<Converted<'a>, ValueError> {
        if bytes.len() > self.limit {
            let kind =
                ValueErrorKind::TooLong { type_name: self.name.clone(), length: text::characters(bytes) };
            return Err(ValueError::new(kind));
        }
        let lossy = match self.habit {
            Habit::Counter(last) => {
                self.check_counter(bytes, last)?;
                None
            }
            Habit::Coordinates if !are_doubles(bytes) => Some(Lossy::RealRounded),
            Habit::None | Habit::Bits | Habit::Coordinates => None,
        };
        Ok(Converted { cell: Cell::Input(bytes), lossy })
    }

    fn check_counter(&self, bytes: &[u8], last: u64) -> Result<(), ValueError> {
        let shown = || display_value(Value::Text(bytes));
        let digits = integer::trim(bytes);
        let type_name = match self.name.as_str() {
            "xid" => "xid",
            "xid8" => "xid8",
            "cid" => "cid",
            _ => "oid",
        };
        let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
        let is_decimal =
            matches!(unsigned, [b'0'] | [b'1'..=b'9', ..]) && unsigned.iter().all(u8::is_ascii_digit);
        if !is_decimal {
            return Err(ValueError::new(ValueErrorKind::Syntax { type_name, shown: shown() }));
        }
        match std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok()) {
            Some(v) if v <= last => Ok(()),
            _ => Err(ValueError::new(ValueErrorKind::Range { type_name, shown: shown() })),
        }
    }
}

/// Every number in a text is the one that the nearest double prints.
fn are_doubles(text: &[u8]) -> bool {
    let is_of_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    let numbers = text.split(|byte| !is_of_number(byte)).filter(|part| part.iter().any(u8::is_ascii_digit));
    numbers
        .into_iter()
        .all(|number| !matches!(real::to_float8(Value::Text(number)), Ok(Converted { lossy: Some(_), .. })))
}

pub(super) fn convert<'a>(
    target: &Target,
    value: Value<'a>,
    scratch: &'a mut Scratch,
) -> Result<Converted<'a>, ValueError> {
    match value {
        Value::Text(bytes) => {
            scratch.check_text(bytes)?;
            target.input(bytes)
        }
        Value::Integer(2.. | ..=-1) | Value::Real(_) if target.habit == Habit::Bits => {
            Err(ValueError::class(&target.name, false, value))
        }
        Value::Integer(v) => {
            scratch.bytes.clear();
            decimal::write_integer(v, &mut scratch.bytes);
            target.input(&scratch.bytes)
        }
        Value::Real(v) => {
            scratch.bytes.clear();
            decimal::write_float(v, &mut scratch.bytes);
            target.input(&scratch.bytes)
        }
        Value::Null | Value::Blob(_) | Value::Unreadable(_) => {
            Err(ValueError::class(&target.name, false, value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_type_would_cut_is_too_long() {
        let read = |name: &str, text: &str| {
            convert(&Target::new(name), Value::Text(text.as_bytes()), &mut Scratch::default())
                .map(|converted| converted.lossy.is_some())
                .map_err(|error| error.to_string())
        };
        assert_eq!(read("name", &"n".repeat(63)), Ok(false));
        assert_eq!(read("name", &"n".repeat(64)), Err("value too long for type name".to_owned()));
        assert_eq!(read("\"char\"", "ab"), Err("value too long for type \"char\"".to_owned()));
        assert_eq!(read("macaddr", &"n".repeat(64)), Ok(false));
        assert_eq!(read("point", "(0.1, -1e300)"), Ok(false));
        assert_eq!(read("point", "(0.12345678901234567890, 1)"), Ok(true));
    }

    #[test]
    fn what_the_type_would_read_as_another_number_is_a_bad_value() {
        let read = |name: &str, value| {
            convert(&Target::new(name), value, &mut Scratch::default())
                .map(|_| ())
                .map_err(|error| error.sqlstate().word())
        };
        let text = |text: &'static str| Value::Text(text.as_bytes());
        for (name, value, expected) in [
            ("bit(3)", Value::Integer(101), Err("22P02")),
            ("bit varying", Value::Real(1.0), Err("22P02")),
            ("bit(1)", Value::Integer(1), Ok(())),
            ("bit(3)", text("101"), Ok(())),
            ("oid", Value::Integer(4_294_967_295), Ok(())),
            ("oid", Value::Integer(4_294_967_296), Err("22003")),
            ("oid", Value::Integer(-1), Err("22003")),
            ("xid", text("abc"), Err("22P02")),
            ("xid", text("010"), Err("22P02")),
            ("xid", text("0x10"), Err("22P02")),
            ("xid8", text("18446744073709551615"), Ok(())),
            ("xid8", text("18446744073709551616"), Err("22003")),
            ("cid", text("0"), Ok(())),
            ("cid", text(""), Err("22P02")),
        ] {
            assert_eq!(read(name, value), expected, "{name} {value:?}");
        }
    }
}
