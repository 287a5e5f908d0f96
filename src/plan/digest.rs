//! Is what was sent what is stored? A digest of each table as it was sent and as it was read back, which must be equal.
//!
//! A digest of converted cells on both sides would only prove that storing works. So the sending side takes the SOURCE's value wherever it
//! says directly what must be stored, and the reading side works back from the stored form by other means than the converter's: civil
//! fields by another calendar algorithm, a double from a numeric's digits. Where the two sides cannot meet like that (a value that was
//! rounded, a text that spells a number, jsonb), both take the cell.
//!
//! | column | what the sending side takes from the source |
//! |---|---|
//! | integers, boolean | INTEGER |
//! | double precision, real | REAL |
//! | numeric | INTEGER, and REAL where the stored decimal is one of at most 15 digits |
//! | text, varchar, char (but for trailing blanks), citext, json, enums | TEXT |
//! | bytea | BLOB |
//! | uuid | BLOB, and TEXT of 32 or 36 characters |
//! | date, time, timestamps | TEXT in the usual ISO form, without offset or with `Z`, where no time zone comes in between |
//!
//! Of a column whose type has no converter only whether it is NULL counts: the stored form is the type's own affair.

use std::fmt;

use xxhash_rust::xxh3::xxh3_128;

use crate::convert::{EXACT_POWERS, Zone};
use crate::pg_type::PgType;
use crate::value::{Cell, Value};

/// Values longer than this, in bytes, enter a row by their hash: copying them would cost more.
const LONG: usize = 256;

/// The digest of a table: the sum of its rows' hashes, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableDigest {
    /// Rows in it.
    pub rows: u64,
    /// The sum of their 128-bit hashes, modulo 2^128. A sum, because an exclusive or would lose rows that are there twice.
    pub sum: u128,
}

impl TableDigest {
    /// Adds another part of the same table.
    pub fn merge(&mut self, part: &TableDigest) {
        self.rows = self.rows.wrapping_add(part.rows);
        self.sum = self.sum.wrapping_add(part.sum);
    }
}

impl fmt::Display for TableDigest {
    /// The sum as 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.sum)
    }
}

/// Collects the canonical form of one row after the other.
///
/// Either all of a row's cells go in by [`RowHasher::sent`] or all by [`RowHasher::read_back`], in the same order of columns on both sides.
#[derive(Clone, Debug)]
pub struct RowHasher {
    kinds: Vec<Kind>,
    /// Naive times in the source are UTC.
    is_utc: bool,
    bytes: Vec<u8>,
}

/// What a column's canonical form depends on.
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
    Timestamp {
        has_zone: bool,
    },
    Uuid,
    /// Labels by OID, sorted.
    Enum(Vec<(u32, Box<[u8]>)>),
    Stored,
    Presence,
}

/// What a frame holds. Forms of one column that could be confused have different numbers.
#[derive(Clone, Copy)]
enum Tag {
    Null,
    Present,
    Whole,
    Double,
    Bytes,
    LongBytes,
    Civil,
    Endless,
    Oid,
}

impl RowHasher {
    /// For a table's columns. Until [`RowHasher::with_zone`] says that naive times are UTC, a digest does not depend on it, and takes
    /// what a time zone decides from the cell.
    #[must_use]
    pub fn new(types: &[&PgType]) -> Self {
        let kinds = types.iter().map(|pg_type| Kind::of(pg_type)).collect();
        RowHasher { kinds, is_utc: false, bytes: Vec::new() }
    }

    /// The same, told which zone the converters' rules have: with UTC naive times in the source are compared with what
    /// is stored in `timestamptz` columns, too. Digests are comparable whether or not either side was told.
    #[must_use]
    pub fn with_zone(mut self, zone: &Zone) -> Self {
        self.is_utc = zone.is_utc();
        self
    }

    /// Adds a value that is being sent: the source's, and the cell that its converter made of it (`lossy`: with a loss).
    #[inline]
    pub fn sent(&mut self, column: usize, value: Value, cell: &Cell, lossy: bool) {
        let RowHasher { kinds, is_utc, bytes } = self;
        let mut row = Row { column: column as u16, bytes };
        let kind = kinds.get(column).unwrap_or(&Kind::Presence);
        if lossy || *cell == Cell::Null {
            return row.stored(kind, cell);
        }
        match (kind, value) {
            (Kind::Whole, Value::Integer(v)) => row.whole(v),
            (Kind::Double, Value::Real(v)) => row.double(v),
            (Kind::Text | Kind::Enum(_), Value::Text(text)) => row.bytes(text),
            (Kind::Padded, Value::Text(text)) => row.bytes(without_blanks(text)),
            (Kind::Bytea, Value::Blob(blob)) => row.bytes(blob),
            (Kind::Numeric, Value::Integer(v)) => match cell {
                Cell::Varlena(payload) => row.numeric(Number::Whole(v), number(payload).1, payload),
                _ => row.stored(kind, cell),
            },
            (Kind::Numeric, Value::Real(v)) => match cell {
                Cell::Varlena(payload) => row.sent_real(v, payload),
                _ => row.stored(kind, cell),
            },
            (Kind::Date, Value::Text(text)) => match civil(text) {
                Some(civil) => row.civil(civil.date, 0),
                None => row.stored(kind, cell),
            },
            (Kind::Timestamp { has_zone }, Value::Text(text)) => match civil(text) {
                Some(civil) if *is_utc || civil.is_utc == *has_zone => row.civil(civil.date, civil.micros),
                _ => row.stored(kind, cell),
            },
            (Kind::Time, Value::Text(text)) => match time_of_day(text) {
                Some(micros) => row.whole(micros),
                None => row.stored(kind, cell),
            },
            (Kind::Uuid, Value::Blob(blob)) => row.uuid(blob),
            (Kind::Uuid, Value::Text(text)) => {
                if !row.uuid_text(text) {
                    row.stored(kind, cell);
                }
            }
            _ => row.stored(kind, cell),
        }
    }

    /// The same as [`RowHasher::sent`] for an INTEGER in an integer or boolean column.
    #[inline]
    pub fn sent_whole(&mut self, column: usize, v: i64) {
        Row { column: column as u16, bytes: &mut self.bytes }.whole(v);
    }

    /// The same as [`RowHasher::sent`] for a REAL in a column of type double precision.
    #[inline]
    pub fn sent_double(&mut self, column: usize, v: f64) {
        Row { column: column as u16, bytes: &mut self.bytes }.double(v);
    }

    /// The same as [`RowHasher::sent`] for NULL.
    #[inline]
    pub fn sent_null(&mut self, column: usize) {
        Row { column: column as u16, bytes: &mut self.bytes }.frame(Tag::Null, 0);
    }

    /// Adds a value as the target table holds it.
    #[inline]
    pub fn read_back(&mut self, column: usize, cell: &Cell) {
        let RowHasher { kinds, bytes, .. } = self;
        let mut row = Row { column: column as u16, bytes };
        row.stored(kinds.get(column).unwrap_or(&Kind::Presence), cell);
    }

    /// Ends a row: adds its hash to a digest.
    #[inline]
    pub fn end_row(&mut self, into: &mut TableDigest) {
        into.rows = into.rows.wrapping_add(1);
        into.sum = into.sum.wrapping_add(xxh3_128(&self.bytes));
        self.bytes.clear();
    }

    /// Forgets the cells of a row that is not sent after all.
    pub fn abandon_row(&mut self) {
        self.bytes.clear();
    }
}

impl Kind {
    fn of(pg_type: &PgType) -> Self {
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
            PgType::Jsonb => Kind::Stored,
            PgType::Uuid => Kind::Uuid,
            PgType::Enum { labels, .. } => {
                let mut by_oid: Vec<(u32, Box<[u8]>)> =
                    labels.iter().map(|(label, oid)| (*oid, label.as_bytes().into())).collect();
                by_oid.sort_unstable_by_key(|(oid, _)| *oid);
                Kind::Enum(by_oid)
            }
            PgType::Other { .. } => Kind::Presence,
        }
    }
}

/// Whether two values of a type that differ have different digests: of a type without a converter only NULL is told apart.
#[must_use]
pub fn tells_values_apart(pg_type: &PgType) -> bool {
    !matches!(Kind::of(pg_type), Kind::Presence)
}

/// The row being written, at one column.
struct Row<'a> {
    column: u16,
    bytes: &'a mut Vec<u8>,
}

impl Row<'_> {
    /// The canonical form of a cell.
    #[inline]
    fn stored(&mut self, kind: &Kind, cell: &Cell) {
        match (kind, *cell) {
            (_, Cell::Null) => self.frame(Tag::Null, 0),
            (Kind::Presence, _) => self.frame(Tag::Present, 0),
            (Kind::Numeric, Cell::Varlena(payload)) => {
                let (number, scale) = number(payload);
                self.numeric(number, scale, payload);
            }
            (Kind::Padded, Cell::Varlena(text)) => self.bytes(without_blanks(text)),
            (Kind::Enum(labels), Cell::Enum(oid)) => {
                let found = labels.binary_search_by_key(&oid, |(known, _)| *known).ok();
                match found.and_then(|at| labels.get(at)) {
                    Some((_, label)) => self.bytes(label),
                    None => self.frame(Tag::Oid, u64::from(oid)),
                }
            }
            (_, Cell::Bool(v)) => self.whole(i64::from(v)),
            (_, Cell::Int2(v)) => self.whole(i64::from(v)),
            (_, Cell::Int4(v)) => self.whole(i64::from(v)),
            (_, Cell::Int8(v)) => self.whole(v),
            (_, Cell::Float4(v)) => self.double(f64::from(v)),
            (_, Cell::Float8(v)) => self.double(v),
            (_, Cell::Enum(oid)) => self.frame(Tag::Oid, u64::from(oid)),
            (_, Cell::Date(days @ (i32::MIN | i32::MAX))) => self.frame(Tag::Endless, u64::from(days > 0)),
            (_, Cell::Date(days)) => self.civil(date_of_days(i64::from(days)), 0),
            (_, Cell::Time(micros)) => self.whole(micros),
            (_, Cell::Timestamp(micros @ (i64::MIN | i64::MAX))) => {
                self.frame(Tag::Endless, u64::from(micros > 0));
            }
            (_, Cell::Timestamp(micros)) => {
                self.civil(
                    date_of_days(micros.div_euclid(MICROS_PER_DAY)),
                    micros.rem_euclid(MICROS_PER_DAY),
                );
            }
            (_, Cell::Uuid(uuid)) => self.uuid(&uuid),
            (_, Cell::Varlena(bytes) | Cell::Input(bytes)) => self.bytes(bytes),
        }
    }

    /// A frame says which column it belongs to, what it holds, and how long that is, so that no two rows have the same bytes.
    #[inline]
    fn frame(&mut self, tag: Tag, content: u64) {
        self.framed(tag, 0, content);
    }

    /// A frame with the decimal places that a numeric shows.
    #[inline]
    fn framed(&mut self, tag: Tag, scale: u16, content: u64) {
        // Two words, so that writing them is two instructions: the column, the tag and the scale; the content.
        let head = u64::from(self.column) | u64::from(tag as u8) << 16 | u64::from(scale) << 32;
        let frame = u128::from(head) | u128::from(content) << 64;
        self.bytes.extend_from_slice(&frame.to_le_bytes());
    }

    #[inline]
    fn whole(&mut self, v: i64) {
        self.frame(Tag::Whole, v as u64);
    }

    #[inline]
    fn double(&mut self, v: f64) {
        self.frame(Tag::Double, v.to_bits());
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        if bytes.len() <= LONG {
            self.frame(Tag::Bytes, bytes.len() as u64);
            self.bytes.extend_from_slice(bytes);
        } else {
            self.frame(Tag::LongBytes, bytes.len() as u64);
            self.bytes.extend_from_slice(&xxh3_128(bytes).to_le_bytes());
        }
    }

    #[inline]
    fn civil(&mut self, date: PackedDate, micros: i64) {
        self.frame(Tag::Civil, date.0 as u64);
        self.bytes.extend_from_slice(&micros.to_le_bytes());
    }

    /// The digits of a uuid, in lower case.
    fn uuid(&mut self, uuid: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0u8; 32];
        for (digits, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(uuid) {
            *digits = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        self.bytes(&text);
    }

    /// The digits of a uuid's text of 32 characters, or of 36 with hyphens in the usual places; false for another.
    fn uuid_text(&mut self, text: &[u8]) -> bool {
        let mut digits = [0u8; 32];
        match text.len() {
            32 => digits.copy_from_slice(text),
            36 => {
                for (to, from, length) in [(0, 0, 8), (8, 9, 4), (12, 14, 4), (16, 19, 4), (20, 24, 12)] {
                    if from > 0 && text[from - 1] != b'-' {
                        return false;
                    }
                    digits[to..to + length].copy_from_slice(&text[from..from + length]);
                }
            }
            _ => return false,
        }
        // To lower case, for what is a hexadecimal digit.
        for digit in &mut digits {
            *digit |= 0x20;
        }
        self.bytes(&digits);
        true
    }

    /// A REAL in a numeric column, stored without loss: the decimal in the cell must read as this double.
    #[inline]
    fn sent_real(&mut self, v: f64, payload: &[u8]) {
        let (stored, scale) = number(payload);
        let number = match stored {
            // Beyond 15 digits the shortest decimal of a double is not its exact value, and only the cell knows it.
            Number::Whole(_) if v.abs() >= 1e15 => stored,
            Number::Whole(_) if v as i64 as f64 == v => Number::Whole(v as i64),
            Number::Whole(_) | Number::Double(_) => Number::Double(v),
            Number::Other => stored,
        };
        self.numeric(number, scale, payload);
    }

    #[inline]
    fn numeric(&mut self, number: Number, scale: u16, payload: &[u8]) {
        match number {
            Number::Whole(v) => self.framed(Tag::Whole, scale, v as u64),
            Number::Double(v) => self.framed(Tag::Double, scale, v.to_bits()),
            Number::Other => self.bytes(payload),
        }
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

/// Reads a payload without the converter: digits to an integer, and one division, which is rounded correctly as both its operands are
/// exact. With the decimal places that PostgreSQL shows, which are part of a numeric: 1.5 and 1.50 differ.
///
/// Only the short form (see [`crate::convert::numeric`]) is read, and only as `make_result` writes it; the long one is for numbers that no
/// simpler kind has.
#[inline]
fn number(payload: &[u8]) -> (Number, u16) {
    const OTHER: (Number, u16) = (Number::Other, 0);
    let Some((header, digits)) = payload.split_first_chunk::<2>() else { return OTHER };
    let header = u16::from_ne_bytes(*header);
    let (digits, odd) = digits.as_chunks::<2>();
    if header & 0xc000 != 0x8000 || !odd.is_empty() || digits.len() > 5 {
        return OTHER;
    }
    let is_negative = header & 0x2000 != 0;
    let scale = (header >> 7) & 63;
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
    (simpler(magnitude, places, is_negative), scale)
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
struct PackedDate(i64);

/// A date-time as its text spells it, digit by digit.
struct CivilText {
    date: PackedDate,
    /// Microseconds since midnight.
    micros: i64,
    /// Ends with a `Z`.
    is_utc: bool,
}

/// Reads `YYYY-MM-DD[( |T)HH:MM:SS[.F{1,6}][Z]]` by position; anything else is `None`. Whether it is a possible date was
/// the converter's question.
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
        [b'.', digits @ ..] if (1..=6).contains(&digits.len()) => {
            let mut padded = [b'0'; 8];
            let (_, places) = padded.split_at_mut(2);
            places.iter_mut().zip(digits).for_each(|(place, digit)| *place = *digit);
            eight_digits(u64::from_le_bytes(padded))?
        }
        _ => return None,
    };
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros)
}

/// Eight decimal digits, the first in the lowest byte, as a number, all at once: pairs of digits, then pairs of pairs, then both halves.
#[inline]
fn eight_digits(digits: u64) -> Option<i64> {
    let word = digits ^ 0x3030_3030_3030_3030;
    // A digit is below 10 now: neither it nor it plus 6 reaches the upper half of the byte. A byte that overflows has a high half itself.
    if (word | word.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0 != 0 {
        return None;
    }
    let word = (word * 10 + (word >> 8)) & 0x00ff_00ff_00ff_00ff;
    let word = (word * 100 + (word >> 16)) & 0x0000_ffff_0000_ffff;
    Some(((word * 10_000 + (word >> 32)) & 0xffff_ffff) as i64)
}

/// The date of a number of days since 2000-01-01, for any that `date` can hold: C. Neri and L. Schneider, "Euclidean affine functions and
/// their application to calendar algorithms" (2022), <https://doi.org/10.1002/spe.3172>.
///
/// Not the converter's calendar, on purpose: a mistake there must not be made twice.
fn date_of_days(days: i64) -> PackedDate {
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

#[cfg(test)]
mod tests;
