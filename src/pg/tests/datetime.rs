//! `date`, `time`, `timestamp` and `timestamptz`: every text of the forms that the converter promises to read
//! means what PostgreSQL says, to the microsecond, and is refused with PostgreSQL's code; any text at all
//! that the converter reads, PostgreSQL reads alike.

use aliaport_rows::convert::{Rules, Zone};
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::Value;
use pgrx::prelude::*;
use proptest::prelude::*;
use proptest::sample::select;

use super::server::{Case, Oracle, Stored, local_time};
use super::texts::{for_all, like, one_of, spoiled};
use crate::pg::server::spi;

/// A text of a promised form.
#[derive(Clone, Debug)]
struct Form {
    text: String,
    has_offset: bool,
    /// Of the date, where there is one.
    year: Option<u32>,
}

fn date() -> impl Strategy<Value = String> {
    let year = prop_oneof![
        10 => 1900..2100i32,
        4 => 1..=9999i32,
        1 => 10_000..300_000i32,
        3 => select(vec![
            0, 1, 4, 99, 100, 1582, 1883, 1970, 2000, 2038, 4712, 4713, 4714, 4715, 9999, 10_000, 294_276, 294_277, 5_874_897,
            5_874_898, 9_999_999,
        ]),
    ];
    let month = prop_oneof![12 => 1..=12u32, 1 => select(vec![0, 13, 99])];
    let day = prop_oneof![8 => 1..=28u32, 4 => 28..=31u32, 1 => select(vec![0, 32, 99])];
    let any = (year, month, day, prop::bool::weighted(0.9)).prop_map(|(year, month, day, is_padded)| {
        if is_padded { format!("{year:04}-{month:02}-{day:02}") } else { format!("{year:04}-{month}-{day}") }
    });
    let leap = (select(vec![4, 5, 100, 400, 1600, 1900, 2000, 2023, 2024, 2100]), 28..=30u32)
        .prop_map(|(year, day)| format!("{year:04}-02-{day}"));
    prop_oneof![12 => any, 1 => leap]
}

fn time() -> impl Strategy<Value = String> {
    let hour = prop_oneof![12 => 0..=23u32, 1 => select(vec![0, 24, 25, 99])];
    let minute = prop_oneof![12 => 0..=59u32, 1 => select(vec![0, 60, 99])];
    let second = prop_oneof![
        3 => Just(String::new()),
        8 => (0..=59u32).prop_map(|s| format!(":{s:02}")),
        2 => one_of(&[":00", ":59", ":60", ":61", ":5"]),
    ];
    let fraction = prop_oneof![
        4 => Just(String::new()),
        4 => like("\\.[0-9]{1,12}"),
        2 => one_of(&[
            ".0", ".5", ".000000", ".0000004", ".0000005", ".0000015", ".4999995", ".9999994", ".9999995", ".9999999999", ".123456500001",
        ]),
    ];
    (hour, minute, second, fraction, prop::bool::weighted(0.9)).prop_map(
        |(h, m, second, fraction, is_padded)| {
            let fraction = if second.is_empty() { String::new() } else { fraction };
            if is_padded {
                format!("{h:02}:{m:02}{second}{fraction}")
            } else {
                format!("{h}:{m}{second}{fraction}")
            }
        },
    )
}

fn offset() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => one_of(&["Z", "z", " Z", "UTC", " UTC", " utc", "GMT", " gmt", "+00", "-00:00", "+15:59", "-15:59", "+16", "-16:00"]),
        2 => like("[-+](0[0-9]|1[0-6])"),
        2 => like(" ?[-+](0[0-9]|1[0-6]):[0-6][0-9]"),
        1 => like("[-+](0[0-9]|1[0-6])[0-6][0-9]"),
        1 => like(" ?[-+](0[0-9]|1[0-6]):[0-5][0-9]:[0-6][0-9]"),
        1 => like("[-+][0-9]"),
    ]
}

/// A date, a time, or both.
fn form() -> impl Strategy<Value = Form> {
    let date_time = (date(), one_of(&[" ", " ", "T", "t", "  ", " T", "\t"]), time())
        .prop_map(|(date, between, time)| format!("{date}{between}{time}"));
    // The weeks and hours in which clocks are changed.
    let change = (1970..2040i32, select(vec![3, 4, 9, 10, 11, 12u32]), 1..=31u32, 0..=3u32, 0..=59u32)
        .prop_map(|(year, month, day, hour, minute)| {
            format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:30")
        });
    let head = prop_oneof![
        2 => (date(), Just((false, true))),
        2 => (time(), Just((true, false))),
        6 => (date_time, Just((true, true))),
        2 => (change, Just((true, true))),
    ];
    let offset = prop_oneof![2 => Just(String::new()), 1 => offset()];
    let era = prop_oneof![20 => Just(""), 1 => Just(" BC"), 1 => Just(" bc"), 1 => Just(" AD")];
    let blank = prop_oneof![10 => Just(""), 1 => Just(" "), 1 => Just("\n")];
    (head, offset, era, blank.clone(), blank).prop_map(
        |((head, (has_time, has_date)), offset, era, before, after)| {
            let offset = if has_time { offset } else { String::new() };
            let era = if has_date { era } else { "" };
            let year = head.split_once('-').and_then(|(year, _)| year.parse().ok());
            Form { text: format!("{before}{head}{offset}{era}{after}"), has_offset: !offset.is_empty(), year }
        },
    )
}

/// Texts near the forms, and what people and programs write besides.
fn near() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => spoiled(form().prop_map(|form| form.text), "0123456789-:+. TZBCADUGM/,\tnow"),
        1 => one_of(&[
            "", " ", "now", "today", "tomorrow", "yesterday", "epoch", "allballs", "infinity", "-infinity", "+infinity", "Infinity ", "inf",
            "Jan 1 2023", "1 January 2023", "20230101", "20230101T120000", "2023/01/01", "01/02/2023", "2023.01.02", "2023-Jan-02", "J2451545",
            "2451544.5", "2023-001", "23-01-02", "99-01-02", "2023-01-02 12:00 PM", "2023-01-02 12:00 EST", "2023-01-02 America/New_York",
            "Mon 2023-01-02 00:00", "0000-00-00", "0000-00-00 00:00:00", "2023-W01-1", "2023-01-02T", "2023-01-02T12", "T12:00", "12", "1:2:3:4",
            "2023-01-02 12:00:00,5", "2023-01-02 12:00:00.", "1700000000", "1.5", "-1", "NULL", "None", "2023-01-02 BC AD", "BC", "12:00 BC",
            "0001-01-01 BC", "4713-01-01 BC", "4714-11-24 BC", "4714-11-23 BC", "294276-12-31 23:59:59.999999", "294276-12-31 23:59:59.9999996",
            "5874897-12-31 23:00", "2023-01-02+03", "2023-01-02 +03:00", "2023-01-02Z", "2023-01-02 UTC",
            "2023-01-02 12:00:00 +0000 UTC", "2023-01-02 12:00:00.5 +0300 +03",
        ]),
        1 => like("[0-9TZ:. +-]{0,25}"),
    ]
}

/// What a converter says about a time zone's type, with the session in the same zone.
struct Zoned {
    zone: &'static str,
    stamps: Oracle,
    instants: Oracle,
}

impl Zoned {
    fn new(zone: &'static str) -> Self {
        spi::run_for_caller(&format!("SET LOCAL TimeZone = '{zone}'")).unwrap();
        let rules = rules(zone);
        Zoned {
            zone,
            stamps: Oracle::new(PgType::Timestamp(None), &rules),
            instants: Oracle::new(PgType::TimestampTz(None), &rules),
        }
    }
}

fn rules(zone: &str) -> Rules {
    Rules { zone: Zone::parse(zone).unwrap(), ..Rules::default() }
}

fn verdict(oracle: &Oracle, text: &str, case: &Case, is_fine: bool) -> Result<(), String> {
    if is_fine { Ok(()) } else { Err(format!("{text:?} {}", oracle.describe(case))) }
}

/// Both verdicts on a text. `time` takes a date before the time, in PostgreSQL not every date that other
/// types take (`2023-01-02T03:04`, `2023-1-2 03:04 GMT`); ours does, and then the time alone decides what it
/// must be.
fn case(oracle: &mut Oracle, pg_type: &PgType, text: &str) -> Case {
    let case = oracle.case(text);
    let head = text.trim_start();
    let date_ends = head.find(['T', 't', ' ', '\t', '\n']).filter(|at| head[..*at].contains('-'));
    match date_ends {
        Some(at) if matches!(pg_type, PgType::Time(_)) && case.ours.is_ok() && case.theirs.is_err() => oracle
            .case_of(
                Value::Text(text.as_bytes()),
                head[at + 1..].trim_start_matches(['T', 't', ' ', '\t', '\n']),
            ),
        _ => case,
    }
}

/// Both refuse, and a text with a field out of range and an impossible offset has to have the code of either.
fn is_wrong_twice(case: &Case) -> bool {
    use PgSqlErrorCode as C;
    let either = [C::ERRCODE_DATETIME_FIELD_OVERFLOW, C::ERRCODE_INVALID_TIME_ZONE_DISPLACEMENT_VALUE];
    [&case.ours, &case.theirs]
        .into_iter()
        .all(|verdict| verdict.as_ref().is_err_and(|code| either.contains(code)))
}

/// Where PostgreSQL reads a text of the promised forms and we do not, or the other way round, on purpose.
fn is_deviation(text: &str, case: &Case) -> bool {
    let text = text.trim_ascii();
    // ISO 8601 years with a sign, which SQLite writes for years BC.
    let is_signed = text.starts_with(['+', '-']);
    // Go's Time.String() writes the offset's zone behind it.
    let is_offset = |word: &str| word.len() == 5 && word.starts_with(['+', '-']);
    let is_of_go = text.split(' ').skip(1).any(is_offset) || text.to_ascii_uppercase().ends_with("UTC");
    (is_signed || is_of_go) && case.theirs.is_err()
}

#[pgrx::pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn oracle_datetime_forms() {
        for (pg_type, cases) in [
            (PgType::Date, 3000),
            (PgType::Time(None), 3000),
            (PgType::Time(Some(0)), 500),
            (PgType::Time(Some(3)), 500),
            (PgType::TimestampTz(None), 3000),
            (PgType::TimestampTz(Some(0)), 1000),
            (PgType::TimestampTz(Some(2)), 500),
            (PgType::TimestampTz(Some(6)), 500),
        ] {
            let mut oracle = Oracle::new(pg_type.clone(), &rules("UTC"));
            spi::run_for_caller("SET LOCAL TimeZone = 'UTC'").unwrap();
            for_all(cases, form(), |form| {
                let case = case(&mut oracle, &pg_type, &form.text);
                // PostgreSQL does not look closely at a date where only the time is kept: mistakes in it have
                // another code, or none.
                let is_of_date = |code| code == PgSqlErrorCode::ERRCODE_DATETIME_FIELD_OVERFLOW;
                let is_vague = matches!(pg_type, PgType::Time(_))
                    && form.year.is_some()
                    && case.ours.as_ref().is_err_and(|code| case.theirs.is_err() || is_of_date(*code));
                let is_fine = case.is_equal() || is_vague || is_wrong_twice(&case);
                verdict(&oracle, &form.text, &case, is_fine)
            });
        }
    }

    #[pg_test]
    fn oracle_datetime_naive_timestamps() {
        for precision in [None, Some(0), Some(1), Some(4)] {
            let mut oracle = Oracle::new(PgType::Timestamp(precision), &rules("Asia/Kathmandu"));
            // The session's zone must not matter.
            spi::run_for_caller("SET LOCAL TimeZone = 'America/New_York'").unwrap();
            for_all(1500, form().prop_filter("naive", |form| !form.has_offset), |form| {
                let case = oracle.case(&form.text);
                verdict(&oracle, &form.text, &case, case.is_equal())
            });
        }
    }

    /// A naive time is in the zone; an offset makes an instant of it, in both types. PostgreSQL's own
    /// `timestamp` ignores offsets, so there the oracle is `timestamptz::timestamp`.
    #[pg_test]
    fn oracle_datetime_zones() {
        for zone in [
            "Europe/Istanbul",
            "America/New_York",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
            "Europe/Dublin",
            "Pacific/Apia",
        ] {
            let mut zoned = Zoned::new(zone);
            for_all(1500, form(), |form| {
                // Between local mean time and 1970 the time-zone database is still being corrected; the
                // server may have another release.
                if form.year.is_some_and(|year| (1850..1970).contains(&year)) {
                    return Ok(());
                }
                let case = zoned.instants.case(&form.text);
                let is_fine = case.is_equal() || is_wrong_twice(&case);
                verdict(&zoned.instants, &format!("{} in {}", form.text, zoned.zone), &case, is_fine)?;
                if !form.has_offset {
                    return Ok(());
                }
                let local = case.theirs.as_ref().map_err(|e| *e).and_then(local_time);
                let ours = zoned.stamps.case(&form.text).ours;
                let is_fine = match (&ours, &local) {
                    (Ok(Stored { bytes, .. }), Ok(local)) => bytes[..] == local.to_ne_bytes(),
                    (Err(_), Err(_)) => true,
                    _ => false,
                };
                if is_fine {
                    Ok(())
                } else {
                    Err(format!("{:?}: we have {ours:?}, PostgreSQL has {local:?}", form.text))
                }
            });
        }
    }

    /// What is beside the forms may be refused, but never read otherwise than PostgreSQL reads it.
    #[pg_test]
    fn oracle_datetime_other_texts() {
        spi::run_for_caller("SET LOCAL TimeZone = 'UTC'").unwrap();
        let mut stamps = Oracle::new(PgType::Timestamp(None), &rules("UTC"));
        for pg_type in [PgType::Date, PgType::Time(None), PgType::TimestampTz(None)] {
            let mut oracle = Oracle::new(pg_type.clone(), &rules("UTC"));
            for_all(6000, near(), |text| {
                let case = case(&mut oracle, &pg_type, &text);
                let is_fine = case.ours.is_err() || case.is_equal() || is_deviation(&text, &case);
                verdict(&oracle, &text, &case, is_fine)?;
                if pg_type == PgType::TimestampTz(None) {
                    let stamp = stamps.case(&text);
                    let is_same = Case { theirs: case.ours, ..stamp.clone() }.is_equal();
                    return verdict(&stamps, &text, &stamp, is_same);
                }
                Ok(())
            });
        }
    }
}
