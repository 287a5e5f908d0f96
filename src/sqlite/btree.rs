//! The pages of a table as the file format defines them (<https://sqlite.org/fileformat2.html>, sections 1.6 and 2.1): where its rows are, and
//! what a row's bytes mean.
//!
//! Nothing here decides what to do with a page that is not as it should be: [`Odd`] says that this is for SQLite itself to judge.

use aliaport_plan::rows::Full;
use aliaport_plan::value::Value;

/// Bytes that are not what is expected here, damaged or only unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Odd;

impl From<Full> for Odd {
    fn from(_: Full) -> Self {
        Odd
    }
}

/// The first page begins with the database's header.
const DATABASE_HEADER: usize = 100;

/// A page of a table's b-tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// Its children, in the order of the rows below them.
    Interior(Vec<u32>),
    /// It has so many rows; [`cell`] finds them.
    Leaf(u16),
}

/// What kind of page this is.
pub(crate) fn page(bytes: &[u8], number: u32) -> Result<Page, Odd> {
    let start = start(number);
    let count = be16(bytes, start + 3)?;
    match bytes.get(start) {
        Some(0x0d) => Ok(Page::Leaf(count)),
        Some(0x05) => {
            let child = |cell| be32(bytes, usize::from(be16(bytes, start + 12 + 2 * usize::from(cell))?));
            let children = (0..count).map(child).chain(std::iter::once(be32(bytes, start + 8)));
            Ok(Page::Interior(children.collect::<Result<_, _>>()?))
        }
        _ => Err(Odd),
    }
}

/// A row's record, as far as it is in its leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell<'p> {
    pub rowid: i64,
    pub local: &'p [u8],
    /// The bytes that are missing, and the page where they begin.
    pub overflow: Option<(usize, u32)>,
}

/// The cell with this number, from 0, of a leaf. `usable` is how many bytes of a page are used.
#[inline]
pub(crate) fn cell(bytes: &[u8], number: u32, usable: usize, index: u16) -> Result<Cell<'_>, Odd> {
    let at = usize::from(be16(bytes, start(number) + 8 + 2 * usize::from(index))?);
    let (size, at) = varint(bytes, at)?;
    let (rowid, at) = varint(bytes, at)?;
    // More than SQLite's own limit of a row is for SQLite to refuse.
    let size = usize::try_from(size).ok().filter(|size| *size <= 1_000_000_000).ok_or(Odd)?;
    let local = local_size(size, usable);
    let overflow = match size - local {
        0 => None,
        missing => Some((missing, be32(bytes, at + local)?)),
    };
    Ok(Cell { rowid: rowid as i64, local: bytes.get(at..at + local).ok_or(Odd)?, overflow })
}

/// How much of a record is in its leaf (section 1.6, "Calculating the size of payload on a b-tree page").
#[inline]
fn local_size(size: usize, usable: usize) -> usize {
    let most = usable - 35;
    if size <= most {
        return size;
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let fitting = least + (size - least) % (usable - 4);
    if fitting <= most { fitting } else { least }
}

/// An overflow page: the next one, 0 after the last, and what it holds.
pub(crate) fn overflow(bytes: &[u8]) -> Result<(u32, &[u8]), Odd> {
    Ok((be32(bytes, 0)?, bytes.get(4..).ok_or(Odd)?))
}

/// A column that is wanted, and how it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Its place in the record.
    pub place: usize,
    pub reading: Reading,
    /// A record that ends before it was there before the column; NULL is what it holds then.
    pub may_be_missing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    AsStored,
    /// REAL affinity: whole numbers are stored as integers.
    Real,
    /// The column is the rowid; the record has NULL there.
    Rowid,
}

/// Reads a record, and gives the values of the columns in `wanted`, which is ascending by place, to `each`.
#[inline]
pub(crate) fn record<'p>(
    bytes: &'p [u8],
    rowid: i64,
    wanted: &[Wanted],
    mut each: impl FnMut(Value<'p>) -> Result<(), Full>,
) -> Result<(), Odd> {
    let (header, mut at) = varint(bytes, 0)?;
    let header = usize::try_from(header).ok().and_then(|end| bytes.get(..end)).ok_or(Odd)?;
    let mut body = header.len();
    let mut place = 0;
    for column in wanted {
        let value = loop {
            if at >= header.len() {
                break if column.may_be_missing { Value::Null } else { return Err(Odd) };
            }
            let (serial, next) = varint(header, at)?;
            let length = serial_size(serial)?;
            let start = body;
            (at, body) = (next, body.checked_add(length).ok_or(Odd)?);
            place += 1;
            if place > column.place {
                let stored = bytes.get(start..body).ok_or(Odd)?;
                break value(serial, stored);
            }
        };
        each(match (column.reading, value) {
            (Reading::Real, Value::Integer(v)) => Value::Real(v as f64),
            (Reading::Rowid, _) => Value::Integer(rowid),
            (_, value) => value,
        })?;
    }
    Ok(())
}

/// Bytes of a value (section 2.1, "Serial Type Codes Of The Record Format").
#[inline]
fn serial_size(serial: u64) -> Result<usize, Odd> {
    Ok(match serial {
        0 | 8 | 9 => 0,
        1..=4 => serial as usize,
        5 => 6,
        6 | 7 => 8,
        10 | 11 => return Err(Odd),
        _ => usize::try_from((serial - 12) / 2).map_err(|_| Odd)?,
    })
}

/// The value of these bytes, which are as many as its serial type says.
#[inline]
fn value(serial: u64, bytes: &[u8]) -> Value<'_> {
    let word = |bytes: &[u8]| bytes.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    match serial {
        0 => Value::Null,
        8 => Value::Integer(0),
        9 => Value::Integer(1),
        7 => match f64::from_bits(word(bytes)) {
            // SQLite reads a NaN as NULL.
            real if real.is_nan() => Value::Null,
            real => Value::Real(real),
        },
        1..=6 => {
            // The sign is the first bit of the first byte.
            let unused = 64 - 8 * bytes.len() as u32;
            Value::Integer((word(bytes) << unused) as i64 >> unused)
        }
        _ if serial.is_multiple_of(2) => Value::Blob(bytes),
        _ => Value::Text(bytes),
    }
}

fn start(number: u32) -> usize {
    if number == 1 { DATABASE_HEADER } else { 0 }
}

fn be16(bytes: &[u8], at: usize) -> Result<u16, Odd> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>());
    found.map(|bytes| u16::from_be_bytes(*bytes)).ok_or(Odd)
}

fn be32(bytes: &[u8], at: usize) -> Result<u32, Odd> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    found.map(|bytes| u32::from_be_bytes(*bytes)).ok_or(Odd)
}

/// A variable-length integer (section 1.6): its value, and where the bytes after it begin.
#[inline]
fn varint(bytes: &[u8], at: usize) -> Result<(u64, usize), Odd> {
    match bytes.get(at) {
        Some(byte) if *byte < 0x80 => Ok((u64::from(*byte), at + 1)),
        _ => long_varint(bytes, at),
    }
}

fn long_varint(bytes: &[u8], at: usize) -> Result<(u64, usize), Odd> {
    let mut value = 0u64;
    for (index, byte) in bytes.get(at..).unwrap_or_default().iter().take(9).enumerate() {
        // All of the ninth byte counts.
        if index == 8 {
            return Ok((value << 8 | u64::from(*byte), at + 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if *byte < 0x80 {
            return Ok((value, at + index + 1));
        }
    }
    Err(Odd)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..700),
            kind in prop::sample::select(vec![0x0du8, 0x05, 0x0a]),
            number in 1u32..3,
            cells in 0u16..40,
        ) {
            let mut bytes = bytes;
            let start = start(number);
            if let Some(byte) = bytes.get_mut(start) {
                *byte = kind;
            }
            let _ = page(&bytes, number);
            let wanted: Vec<Wanted> = [(0, Reading::Rowid), (1, Reading::Real), (3, Reading::AsStored)]
                .map(|(place, reading)| Wanted { place, reading, may_be_missing: true })
                .into();
            for index in 0..cells {
                if let Ok(cell) = cell(&bytes, number, 512, index) {
                    let _ = record(cell.local, cell.rowid, &wanted, |_| Ok(()));
                }
            }
            let _ = overflow(&bytes);
        }
    }

    #[test]
    fn varints_are_those_of_the_format() {
        assert_eq!(varint(&[0x7f], 0), Ok((127, 1)));
        assert_eq!(varint(&[0, 0x81, 0x00], 1), Ok((128, 3)));
        assert_eq!(varint(&[0xff; 9], 0), Ok((u64::MAX, 9)));
        assert_eq!(varint(&[0x81], 0), Err(Odd));
        assert_eq!(varint(&[], 0), Err(Odd));
    }
}
