//! SQLite's own date functions as the oracle of the converter: whatever they read as a date with or without a
//! time, it reads as the same instant.

use std::cell::RefCell;

use aliaport_rows::convert::{Converter, Rules, Scratch};
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::{Cell, Value};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// How far the two may be apart, in microseconds: SQLite has milliseconds, rounded, in `.999...` cut.
const TOLERANCE: i64 = 1000;

/// Milliseconds from 1970-01-01 to 2000-01-01.
const UNIX_TO_2000: i64 = 946_684_800_000;

/// SQLite's date functions, and a `timestamptz` column.
struct Oracle {
    connection: Connection,
    converter: Converter,
    scratch: RefCell<Scratch>,
}

impl Oracle {
    fn new() -> Self {
        Oracle {
            connection: Connection::open_in_memory().unwrap(),
            converter: Converter::new(&PgType::TimestampTz(None), &Rules::default()),
            scratch: RefCell::default(),
        }
    }

    /// The milliseconds since 2000-01-01 that SQLite makes of a value, to which it rounds every time.
    fn theirs(&self, value: impl rusqlite::ToSql, modifier: &str) -> Option<i64> {
        self.connection
            .query_row("SELECT unixepoch(?1, ?2, 'subsec')", (value, modifier), |row| {
                match row.get_ref(0)? {
                    ValueRef::Real(seconds) => Ok(Some((seconds * 1000.0).round() as i64 - UNIX_TO_2000)),
                    _ => Ok(None),
                }
            })
            .unwrap()
    }

    /// The microseconds since 2000-01-01 that the converter makes of it, or its SQLSTATE.
    fn ours(&self, value: Value<'_>) -> Result<i64, String> {
        match self.converter.convert(value, &mut self.scratch.borrow_mut()) {
            Ok(converted) => match converted.cell {
                Cell::Timestamp(micros) => Ok(micros),
                other => panic!("{other:?}"),
            },
            Err(error) => Err(error.sqlstate().to_string()),
        }
    }
}

/// What SQLite reads and the converter refuses on purpose: what PostgreSQL does not take for a date, or what
/// means something only to SQLite.
fn deviation(text: &str) -> Option<&'static str> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let field = |at: usize| unsigned.get(at..at + 2).and_then(|field| field.parse::<u32>().ok());
    if unsigned.get(digits..=digits) == Some(":") {
        return Some("a time of day alone, which SQLite puts on 2000-01-01");
    }
    if digits != 4 || unsigned.get(4..=4) != Some("-") {
        return Some("a Julian day, or \"now\"");
    }
    if text.starts_with("0000") {
        return Some("the year 0000, which has no sign");
    }
    let (month, day) = (field(5), field(8));
    if day.is_some_and(|day| day > days_in_month(unsigned, month.unwrap_or(1))) {
        return Some("31 days in every month");
    }
    let rest = unsigned.get(10..).unwrap_or_default();
    if rest.starts_with(|first: char| first.is_ascii_digit()) {
        return Some("no space between date and time");
    }
    let between =
        rest.bytes().take_while(|byte| *byte == b'T' || byte.is_ascii_whitespace() || *byte == 0x0b);
    if between.clone().filter(|byte| *byte == b'T').count() > 1 || rest.trim_end().ends_with('T') {
        return Some("more than one T, or a T without a time");
    }
    let time = rest.get(between.count()..).unwrap_or_default();
    if time.starts_with("24:") && !time.starts_with("24:00")
        || time.starts_with("24:00:") && !is_midnight(time)
    {
        return Some("hours from 24:00 on");
    }
    None
}

/// A time that begins with 24:00 and has nothing but zeros for seconds.
fn is_midnight(time: &str) -> bool {
    let seconds = time.get(6..).unwrap_or_default();
    seconds
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
        .all(|byte| matches!(byte, b'0' | b'.'))
}

fn days_in_month(date: &str, month: u32) -> u32 {
    let year: i32 = date.get(..4).and_then(|year| year.parse().ok()).unwrap_or(0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

fn date_time() -> impl Strategy<Value = String> {
    let date =
        (prop_oneof![3 => 1900..2100u32, 2 => 0..=9999u32], 1..=12u32, 1..=31u32, prop::bool::weighted(0.05))
            .prop_map(|(y, m, d, is_negative)| {
                format!("{}{y:04}-{m:02}-{d:02}", if is_negative { "-" } else { "" })
            });
    let time = prop_oneof![
        1 => Just(String::new()),
        2 => "[ T]([01][0-9]|2[0-4]):[0-5][0-9]",
        4 => "[ T]([01][0-9]|2[0-4]):[0-5][0-9]:[0-5][0-9]",
        4 => "( {1,2}|T|\t)([01][0-9]|2[0-4]):[0-5][0-9]:[0-5][0-9]\\.[0-9]{1,12}",
    ];
    let offset = prop_oneof![
        4 => Just(String::new()),
        2 => " ?[zZ] ?",
        2 => " ?[-+](0[0-9]|1[0-4]):[0-5][0-9]",
    ];
    (date, time, offset).prop_map(
        |(date, time, offset)| {
            if time.is_empty() { date } else { format!("{date}{time}{offset}") }
        },
    )
}

fn spoiled() -> impl Strategy<Value = String> {
    let character = select("0123456789-:+. TZz\tnow".chars().collect::<Vec<char>>());
    (date_time(), prop::collection::vec((0..3u8, any::<Index>(), character), 1..=2)).prop_map(
        |(good, edits)| {
            let mut text: Vec<char> = good.chars().collect();
            for (edit, at, character) in edits {
                let at = at.index(text.len() + 1);
                match (edit, at < text.len()) {
                    (0, true) => drop(text.remove(at)),
                    (1, true) => text[at] = character,
                    _ => text.insert(at, character),
                }
            }
            text.into_iter().collect()
        },
    )
}

fn check_text(oracle: &Oracle, text: &str) -> Result<(), TestCaseError> {
    let Some(theirs) = oracle.theirs(text, "+0 days") else { return Ok(()) };
    match oracle.ours(Value::Text(text.as_bytes())) {
        Ok(ours) => {
            prop_assert!((ours - theirs * 1000).abs() <= TOLERANCE, "{text:?}: {ours} us, SQLite {theirs} ms")
        }
        Err(code) => prop_assert!(deviation(text).is_some(), "{text:?}: {code}, SQLite {theirs} ms"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_sqlite_reads_as_a_date_the_converter_reads_as_the_same_instant(
        text in prop_oneof![1 => date_time(), 2 => spoiled()],
    ) {
        thread_local!(static ORACLE: Oracle = Oracle::new());
        ORACLE.with(|oracle| check_text(oracle, &text))?;
    }

    /// INTEGER is seconds only below 1e11, where SQLite's own range ends at 9999-12-31 (253402300799).
    #[test]
    fn numbers_are_the_instants_of_the_auto_modifier(
        seconds in -99_999_999_999i64..=99_999_999_999,
        real in prop_oneof![0.0..5_373_484.5f64, -210_866_760_000.0..=253_402_300_799.0f64, -1e12..1e12f64],
    ) {
        thread_local!(static ORACLE: Oracle = Oracle::new());
        ORACLE.with(|oracle| {
            let theirs = oracle.theirs(seconds, "unixepoch");
            prop_assert_eq!(oracle.ours(Value::Integer(seconds)).ok().map(|ours| ours / 1000), theirs);
            match (oracle.ours(Value::Real(real)), oracle.theirs(real, "auto")) {
                (Ok(ours), Some(theirs)) => prop_assert!((ours - theirs * 1000).abs() <= TOLERANCE, "{real}: {ours} us, {theirs} ms"),
                (Err(_), None) => {}
                (ours, theirs) => prop_assert!(false, "{real}: {ours:?}, SQLite {theirs:?}"),
            }
            Ok(())
        })?;
    }
}
