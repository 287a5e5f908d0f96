//! What a source's value says of the cell that a converter made of it.
//!
//! A converter that is asked twice says the same thing twice, so nothing here uses one: civil fields come
//! from another calendar algorithm, a double from a numeric's digits. Where the source does not say directly
//! what must be stored (a value that was rounded, a text that spells a number, jsonb), the cell is taken as
//! it is.
//!
//! | column | what the cell is held against |
//! |---|---|
//! | integers, boolean | INTEGER |
//! | double precision, real | REAL |
//! | numeric | INTEGER, and REAL where the stored decimal is one of at most 15 digits |
//! | text, varchar, char (but for trailing blanks), citext, json, enums | TEXT |
//! | bytea | BLOB |
//! | uuid | BLOB, and TEXT of 32 or 36 characters |
//! | inet, cidr | TEXT of a whole address, with a netmask or without |
//! | date, time, timestamps | TEXT in the usual ISO form, without offset or with `Z`, where no time zone comes in between |

use core::net::IpAddr;

use super::Labels;
use crate::convert::{EXACT_POWERS, Zone, swapped};
use crate::pg_type::PgType;
use crate::value::{Cell, Value};

/// Holds the cells of a row against its source.
#[derive(Clone, Debug)]
pub struct CrossCheck {
    kinds: Vec<Kind>,
    /// Naive times in the source are UTC.
    is_utc: bool,
}

/// What kind of value a column takes.
#[derive(Clone, Debug)]
enum Kind {
    Whole,
    Double,
    Numeric,
    Text,
    Padded,
    Bytea,
    Date,
    Time,
    Timestamp { has_zone: bool },
    Uuid,
    Inet,
    Enum(Labels),
    Other,
}

impl CrossCheck {
    /// For a table's columns.
    #[must_use]
    pub fn new(types: &[&PgType]) -> Self {
        CrossCheck { kinds: types.iter().map(|pg_type| Kind::for_type(pg_type)).collect(), is_utc: false }
    }

    /// The same, told which zone the converters' rules have: with UTC, naive times in the source are held
    /// against what is stored in `timestamptz` columns, too.
    #[must_use]
    pub fn with_zone(mut self, zone: &Zone) -> Self {
        self.is_utc = zone.is_utc();
        self
    }

    /// False where `value` cannot have become `cell` without a loss.
    #[inline(always)] // most values take one of the first arms
    #[must_use]
    pub fn agrees(&self, column: usize, value: Value, cell: &Cell) -> bool {
        match (value, *cell) {
            (Value::Null, Cell::Null) => true,
            // A number in a column of another kind is no whole number in its cell.
            (Value::Integer(v), Cell::Int8(stored)) => stored == v,
            (Value::Integer(v), Cell::Int4(stored)) => i64::from(stored) == v,
            (Value::Integer(v), Cell::Int2(stored)) => i64::from(stored) == v,
            (Value::Integer(v), Cell::Bool(stored)) => i64::from(stored) == v,
            (Value::Real(v), Cell::Float8(stored)) => stored.to_bits() == v.to_bits(),
            (Value::Null, _) | (_, Cell::Null) => false,
            (value, cell) => self.agrees_by_kind(column, value, cell),
        }
    }

    fn agrees_by_kind(&self, column: usize, value: Value, cell: Cell) -> bool {
        let Some(kind) = self.kinds.get(column) else { return true };
        match (kind, value, cell) {
            (Kind::Whole, Value::Integer(_), _) | (Kind::Double, Value::Real(_), Cell::Float8(_)) => false,
            (Kind::Double, Value::Real(v), Cell::Float4(stored)) => {
                f64::from(stored).to_bits() == v.to_bits()
            }
            (Kind::Text, Value::Text(text), Cell::Varlena(stored)) => stored == text,
            (Kind::Padded, Value::Text(text), Cell::Varlena(stored)) => {
                without_blanks(stored) == without_blanks(text)
            }
            (Kind::Bytea, Value::Blob(blob), Cell::Varlena(stored)) => stored == blob,
            (Kind::Numeric, Value::Integer(v), Cell::Varlena(stored)) => {
                matches!(read_numeric(stored), Number::Whole(stored) if stored == v)
            }
            (Kind::Numeric, Value::Real(v), Cell::Varlena(stored)) => is_decimal_of(stored, v),
            (Kind::Date, Value::Text(text), Cell::Date(days)) => match civil(text) {
                Some(civil) => is_finite(days) && date_of_days(i64::from(days)) == civil.date,
                None => true,
            },
            (Kind::Timestamp { has_zone }, Value::Text(text), Cell::Timestamp(micros)) => match civil(text) {
                Some(civil) if self.is_utc || civil.is_utc == *has_zone => {
                    date_of_days(micros.div_euclid(MICROS_PER_DAY)) == civil.date
                        && micros.rem_euclid(MICROS_PER_DAY) == civil.micros
                }
                _ => true,
            },
            (Kind::Time, Value::Text(text), Cell::Time(micros)) => {
                time_of_day(text).is_none_or(|civil| civil == micros)
            }
            // In one of the two orders that there are; which one, only the options say.
            (Kind::Uuid, Value::Blob(blob), Cell::Uuid(stored)) => blob == stored || blob == swapped(stored),
            (Kind::Uuid, Value::Text(text), Cell::Uuid(stored)) => is_uuid_of(&stored, text),
            (Kind::Inet, Value::Text(text), Cell::Varlena(stored)) => is_address_of(stored, text),
            (Kind::Enum(labels), Value::Text(text), Cell::Enum(oid)) => labels.label_of(oid) == Some(text),
            _ => true,
        }
    }
}

impl Kind {
    fn for_type(pg_type: &PgType) -> Self {
        match pg_type {
            PgType::Boolean | PgType::SmallInt | PgType::Integer | PgType::BigInt => Kind::Whole,
            PgType::Real | PgType::DoublePrecision => Kind::Double,
            PgType::Numeric { .. } => Kind::Numeric,
            PgType::Text | PgType::Varchar(_) | PgType::Citext | PgType::Json => Kind::Text,
            PgType::Char(_) => Kind::Padded,
            PgType::Bytea => Kind::Bytea,
            PgType::Date => Kind::Date,
            PgType::Time(_) => Kind::Time,
            PgType::Timestamp(_) => Kind::Timestamp { has_zone: false },
            PgType::TimestampTz(_) => Kind::Timestamp { has_zone: true },
            PgType::Uuid => Kind::Uuid,
            PgType::Inet | PgType::Cidr => Kind::Inet,
            PgType::Enum { labels, .. } => Kind::Enum(Labels::new(labels)),
            PgType::Jsonb | PgType::Other { .. } => Kind::Other,
        }
    }
}

/// Not one of the two infinities of `date`.
fn is_finite(days: i32) -> bool {
    days != i32::MIN && days != i32::MAX
}

/// Whether the digits of a uuid's text of 32 characters, or of 36 with hyphens in the usual places, are those
/// of `stored`; true for a text of another form.
fn is_uuid_of(stored: &[u8; 16], text: &[u8]) -> bool {
    let mut digits = [0u8; 32];
    match text.len() {
        32 => digits.copy_from_slice(text),
        36 => {
            for (to, from, length) in [(0, 0, 8), (8, 9, 4), (12, 14, 4), (16, 19, 4), (20, 24, 12)] {
                if from > 0 && text[from - 1] != b'-' {
                    return true;
                }
                digits[to..to + length].copy_from_slice(&text[from..from + length]);
            }
        }
        _ => return true,
    }
    let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' + half - 10 };
    let pairs = digits.as_chunks::<2>().0.iter();
    // To lower case, for what is a hexadecimal digit.
    pairs
        .zip(stored)
        .all(|([high, low], byte)| high | 0x20 == digit(byte >> 4) && low | 0x20 == digit(byte & 15))
}

/// Whether an address with a netmask, or with none for all of it, is the one that is stored; true for a text
/// that Rust does not read as one.
#[inline(never)] // into what most values go through
fn is_address_of(stored: &[u8], text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return true };
    let (address, mask) = text.split_once('/').map_or((text, None), |(address, mask)| (address, Some(mask)));
    let is = |family: u8, octets: &[u8]| {
        let whole = u8::try_from(octets.len() * 8).ok();
        let Some(bits) = mask.map_or(whole, |mask| mask.parse().ok()) else { return true };
        stored.strip_prefix(&[family, bits]) == Some(octets)
    };
    match address.parse() {
        Ok(IpAddr::V4(address)) => is(2, &address.octets()),
        Ok(IpAddr::V6(address)) => is(3, &address.octets()),
        Err(_) => true,
    }
}

/// Whether a numeric that is stored without loss is the decimal of a double.
#[inline]
fn is_decimal_of(stored: &[u8], v: f64) -> bool {
    match read_numeric(stored) {
        // Beyond 15 digits the shortest decimal of a double is not its exact value.
        Number::Whole(_) if v.abs() >= 1e15 => true,
        Number::Whole(stored) => stored as f64 == v,
        Number::Double(stored) => stored.to_bits() == v.to_bits(),
        Number::Other => true,
    }
}

/// The text without blanks at its end, which mean nothing in `char(n)`.
fn without_blanks(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

/// A numeric as a number of a simpler kind. Two different numbers never give the same.
#[derive(Clone, Copy)]
enum Number {
    Whole(i64),
    /// The nearest double of a decimal of at most 15 digits; no two of those share one.
    Double(f64),
    Other,
}

/// Reads a payload without the converter: digits to an integer, and one division, which is rounded correctly
/// as both its operands are exact.
///
/// Only the short form (see [`crate::convert::numeric`]) is read, and only as `make_result` writes it; the
/// long one is for numbers that no simpler kind has.
#[inline]
fn read_numeric(payload: &[u8]) -> Number {
    const OTHER: Number = Number::Other;
    let Some((header, digits)) = payload.split_first_chunk::<2>() else { return OTHER };
    let header = u16::from_ne_bytes(*header);
    let (digits, odd) = digits.as_chunks::<2>();
    if header & 0xc000 != 0x8000 || !odd.is_empty() || digits.len() > 5 {
        return OTHER;
    }
    let is_negative = header & 0x2000 != 0;
    // Seven bits with a sign.
    let weight = i64::from(((header << 9) as i16) >> 9);
    let mut magnitude = 0u64;
    let mut is_digit = true;
    let (mut first, mut last) = (1, 1);
    for (index, digit) in digits.iter().enumerate() {
        last = u64::from(u16::from_ne_bytes(*digit));
        first = if index == 0 { last } else { first };
        is_digit &= last < 10_000;
        magnitude = magnitude.wrapping_mul(10_000).wrapping_add(last);
    }
    let is_zero = digits.is_empty();
    // Five digits fit if the first has three places; an i64 never has more.
    if !is_digit || first == 0 || last == 0 || (digits.len() == 5 && first > 999) {
        return OTHER;
    }
    if is_zero && (weight != 0 || is_negative) {
        return OTHER;
    }
    let places = if is_zero { 0 } else { digits.len() as i64 - 1 - weight };
    simpler(magnitude, places, is_negative)
}

/// A number of so many base-10000 digits after the point.
#[inline]
fn simpler(magnitude: u64, places: i64, is_negative: bool) -> Number {
    if places > 0 {
        let power = usize::try_from(4 * places).ok().and_then(|places| EXACT_POWERS.get(places));
        return match power {
            Some(power) if magnitude < 1_000_000_000_000_000 => {
                let nearest = magnitude as f64 / power;
                Number::Double(if is_negative { -nearest } else { nearest })
            }
            _ => Number::Other,
        };
    }
    let mut magnitude = i128::from(magnitude);
    // Four more digits than i64 has are enough to be out of its range.
    for _ in places..0 {
        magnitude *= 10_000;
        if magnitude > 1 << 64 {
            return Number::Other;
        }
    }
    let whole = if is_negative { -magnitude } else { magnitude };
    i64::try_from(whole).map_or(Number::Other, Number::Whole)
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Year, month and day as the decimal number YYYYMMDD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PackedDate(pub(super) i64);

/// A date-time as its text spells it, digit by digit.
struct CivilText {
    date: PackedDate,
    /// Microseconds since midnight.
    micros: i64,
    /// Ends with a `Z`.
    is_utc: bool,
}

/// Reads `YYYY-MM-DD[( |T)HH:MM:SS[.F{1,6}][Z]]` by position; anything else is `None`. Whether it is a
/// possible date was the converter's question.
#[inline]
fn civil(text: &[u8]) -> Option<CivilText> {
    let (start, rest) = text.split_first_chunk::<8>()?;
    let (day, rest) = rest.split_first_chunk::<2>()?;
    // YYYY-MM- and DD: without its hyphens a number of eight digits.
    let start = u64::from_le_bytes(*start);
    let hyphens = start & 0xff00_00ff_0000_0000;
    if hyphens != u64::from_le_bytes([0, 0, 0, 0, b'-', 0, 0, b'-']) {
        return None;
    }
    let year_month = (start & 0xffff_ffff) | (start >> 40 & 0xffff) << 32;
    let date = PackedDate(eight_digits(year_month | u64::from(u16::from_le_bytes(*day)) << 48)?);
    let (time, is_utc) = match rest {
        [] => return Some(CivilText { date, micros: 0, is_utc: false }),
        [b' ' | b'T', time @ .., b'Z'] => (time, true),
        [b' ' | b'T', time @ ..] => (time, false),
        _ => return None,
    };
    Some(CivilText { date, micros: time_of_day(time)?, is_utc })
}

/// Reads `HH:MM:SS[.F{1,6}]` below 24:00:00 and without second 60, which would count for the next minute.
#[inline]
fn time_of_day(text: &[u8]) -> Option<i64> {
    const ZEROS: u64 = 0x3030;
    let (time, fraction) = text.split_first_chunk::<8>()?;
    let time = u64::from_le_bytes(*time);
    let colons = time & 0x0000_ff00_00ff_0000;
    if colons != u64::from_le_bytes([0, 0, b':', 0, 0, b':', 0, 0]) {
        return None;
    }
    let packed =
        eight_digits(ZEROS | (time & 0xffff) << 16 | (time >> 24 & 0xffff) << 32 | time >> 48 << 48)?;
    let (hours, minutes, seconds) = (packed / 10_000, packed / 100 % 100, packed % 100);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let micros = match fraction {
        [] => 0,
        // Six digits are what most programs write: with two zeros before them they are a number of eight.
        [b'.', a, b, c, d, e, f] => eight_digits(u64::from_le_bytes([b'0', b'0', *a, *b, *c, *d, *e, *f]))?,
        [b'.', digits @ ..] if (1..6).contains(&digits.len()) => {
            let mut padded = [b'0'; 8];
            let (_, places) = padded.split_at_mut(2);
            places.iter_mut().zip(digits).for_each(|(place, digit)| *place = *digit);
            eight_digits(u64::from_le_bytes(padded))?
        }
        _ => return None,
    };
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros)
}

/// Eight decimal digits, the first in the lowest byte, as a number, all at once: pairs of digits, then pairs
/// of pairs, then both halves.
#[inline]
pub(super) fn eight_digits(digits: u64) -> Option<i64> {
    let word = digits ^ 0x3030_3030_3030_3030;
    // A digit is below 10 now: neither it nor it plus 6 reaches the upper half of the byte. A byte that
    // overflows has a high half itself.
    if (word | word.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0 != 0 {
        return None;
    }
    let word = (word * 10 + (word >> 8)) & 0x00ff_00ff_00ff_00ff;
    let word = (word * 100 + (word >> 16)) & 0x0000_ffff_0000_ffff;
    Some(((word * 10_000 + (word >> 32)) & 0xffff_ffff) as i64)
}

/// The date of a number of days since 2000-01-01, for any that `date` can hold: C. Neri and L. Schneider,
/// "Euclidean affine functions and their application to calendar algorithms" (2022),
/// <https://doi.org/10.1002/spe.3172>.
///
/// Not the converter's calendar, on purpose: a mistake there must not be made twice.
pub(super) fn date_of_days(days: i64) -> PackedDate {
    // Days since -4800-03-01.
    let n = (days + 2_483_589).max(0) as u64;
    let n1 = 4 * n + 3;
    let (century, day_of_century) = (n1 / 146_097, n1 % 146_097 / 4);
    let n2 = 4 * day_of_century + 3;
    let product = 2_939_745 * n2;
    let (year_of_century, day_of_year) = (product >> 32, (product & 0xffff_ffff) / 2_939_745 / 4);
    let n3 = 2_141 * day_of_year + 197_913;
    let (month, day) = (n3 >> 16, (n3 & 0xffff) / 2_141 + 1);
    // Years begin in March here.
    let is_next_year = u64::from(day_of_year >= 306);
    let year = (100 * century + year_of_century + is_next_year) as i64 - 4800;
    let month = month - 12 * is_next_year;
    PackedDate(year * 10_000 + (month * 100 + day) as i64)
}
