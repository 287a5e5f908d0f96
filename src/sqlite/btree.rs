//! The pages of a table as the file format defines them (<https://sqlite.org/fileformat2.html>, sections 1.6
//! and 2.1): where its rows are, and what a row's bytes mean.
//!
//! SQLite makes few checks on the way to a row, and what it takes for damage depends on them. What is
//! accepted here is less: only what SQLite accepts whatever columns it is asked for in whatever order, and
//! reads as it is read here. All else is [`Odd`], for SQLite itself to judge.

use aliaport_rows::batch::Full;
use aliaport_rows::value::Value;

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

/// The longest header of a record that SQLite reads: a varint of three bytes for each of 32,768 columns, and
/// one for its own length.
const LONGEST_HEADER: usize = 98_307;

/// The byte that file locks use; the page it lies on is never used for anything else.
const PENDING_BYTE: usize = 0x4000_0000;

/// How a database's pages are laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub page_size: usize,
    /// Bytes of a page without those that are reserved at its end. Where pages are handed in, they have so
    /// many bytes.
    pub usable: usize,
    /// A page with more cells is damaged.
    most_cells: usize,
    /// A record of so many bytes is all in its leaf; of a longer one there is at least `least_local` (section
    /// 1.6, "Calculating the size of payload on a b-tree page").
    most_local: usize,
    least_local: usize,
}

impl Format {
    /// `None` where SQLite opens no such database.
    pub(crate) fn new(page_size: usize, reserved: u8) -> Option<Self> {
        let usable = page_size.checked_sub(usize::from(reserved))?;
        let is_known = (512..=65_536).contains(&page_size) && page_size.is_power_of_two() && usable >= 480;
        is_known.then(|| Format {
            page_size,
            usable,
            most_cells: (page_size - 8) / 6,
            most_local: usable - 35,
            least_local: (usable - 12) * 32 / 255 - 23,
        })
    }

    /// The page that holds no content.
    pub(crate) fn lock_page(&self) -> u32 {
        (PENDING_BYTE / self.page_size) as u32 + 1
    }

    /// How much of a record is in its leaf.
    #[inline]
    fn local(&self, size: usize) -> usize {
        if size <= self.most_local {
            return size;
        }
        let fitting = self.least_local + (size - self.least_local) % (self.usable - 4);
        if fitting <= self.most_local { fitting } else { self.least_local }
    }

    /// Where a database with pointer maps says what the page after this one is, which may be the next one of
    /// a chain of overflow pages (section 1.8): that page, the page of its map, and the offset in there.
    pub(crate) fn after(&self, number: u32) -> Option<(u32, u32, usize)> {
        let lock_page = self.lock_page();
        let mut next = number.checked_add(1)?;
        loop {
            let map = self.map_of(next)?;
            if next != map && next != lock_page {
                return Some((next, map, 5 * (next.checked_sub(map)? as usize - 1)));
            }
            next = next.checked_add(1)?;
        }
    }

    /// The page whose map has this page.
    fn map_of(&self, number: u32) -> Option<u32> {
        let pages = (self.usable / 5) as u32 + 1;
        let map = number.checked_sub(2)? / pages * pages + 2;
        if map == self.lock_page() { map.checked_add(1) } else { Some(map) }
    }
}

/// A page of a table's b-tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// Its children, in the order of the rows below them.
    Interior(Vec<u32>),
    Leaf(Leaf),
}

/// A page with rows; [`cell`] finds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// How many.
    pub count: u16,
    /// Where the numbers that say where they are begin, and end: a cell cannot begin before.
    pointers: usize,
    end: usize,
}

/// What kind of page this is. Only the root of a table has no cells, and only a leaf.
pub(crate) fn page(bytes: &[u8], number: u32, is_root: bool, format: &Format) -> Result<Page, Odd> {
    let start = if number == 1 { DATABASE_HEADER } else { 0 };
    let count = be16(bytes, start + 3)?;
    if usize::from(count) > format.most_cells || (count == 0 && !is_root) {
        return Err(Odd);
    }
    match bytes.get(start) {
        Some(0x0d) => {
            let pointers = start + 8;
            Ok(Page::Leaf(Leaf { count, pointers, end: pointers + 2 * usize::from(count) }))
        }
        Some(0x05) if count > 0 => {
            let pointers = start + 12;
            let end = pointers + 2 * usize::from(count);
            let child = |cell| {
                let at = usize::from(be16(bytes, pointers + 2 * usize::from(cell))?);
                // The key is not needed, but it has to be in the page.
                varint(bytes, at + 4)?;
                if at < end || at + 5 > bytes.len() { Err(Odd) } else { be32(bytes, at) }
            };
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

/// The cell with this number, from 0, of a leaf.
#[inline]
pub(crate) fn cell<'p>(bytes: &'p [u8], leaf: &Leaf, index: u16, format: &Format) -> Result<Cell<'p>, Odd> {
    let start = usize::from(be16(bytes, leaf.pointers + 2 * usize::from(index))?);
    let (size, at) = varint(bytes, start)?;
    // The shortest cell has four bytes. Of a ninth byte SQLite takes fewer bits here than elsewhere.
    if start < leaf.end || start + 4 > bytes.len() || at - start > 8 {
        return Err(Odd);
    }
    let (rowid, at) = varint(bytes, at)?;
    // More than SQLite's own limit of a row is for SQLite to refuse.
    let size = usize::try_from(size).ok().filter(|size| *size <= 1_000_000_000).ok_or(Odd)?;
    let local = format.local(size);
    let overflow = match size - local {
        0 => None,
        missing => Some((missing, be32(bytes, at + local)?)),
    };
    Ok(Cell { rowid: rowid as i64, local: bytes.get(at..at + local).ok_or(Odd)?, overflow })
}

/// An overflow page: the next one, 0 after the last, and what it holds.
pub(crate) fn overflow(bytes: &[u8]) -> Result<(u32, &[u8]), Odd> {
    Ok((be32(bytes, 0)?, bytes.get(4..).ok_or(Odd)?))
}

/// Whether SQLite goes from overflow page `number` to `next` by the entry, at `at` in this pointer map, of
/// the page `guess` too. SQLite looks there instead of at the page itself where it needs nothing else of it.
pub(crate) fn confirms(map: &[u8], at: usize, guess: u32, number: u32, next: u32) -> Result<(), Odd> {
    match map.get(at) {
        // An overflow page that is not the first of its chain, and the one before it.
        Some(4) if be32(map, at + 1)? == number && next != guess => Err(Odd),
        Some(1..=5) => Ok(()),
        _ => Err(Odd),
    }
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
/// Columns that are not wanted are looked at too: the record has to be used up by them all.
#[inline]
pub(crate) fn record<'p>(
    bytes: &'p [u8],
    rowid: i64,
    wanted: &[Wanted],
    mut each: impl FnMut(Value<'p>) -> Result<(), Full>,
) -> Result<(), Odd> {
    let mut columns = Columns::parse(bytes)?;
    let mut place = 0;
    for column in wanted {
        let value = loop {
            let Some((serial, size)) = columns.next()? else {
                break if column.may_be_missing { Value::Null } else { return Err(Odd) };
            };
            place += 1;
            if place > column.place {
                break columns.value(serial, size);
            }
        };
        each(match (column.reading, value) {
            (Reading::Real, Value::Integer(v)) => Value::Real(v as f64),
            (Reading::Rowid, _) => Value::Integer(rowid),
            (_, value) => value,
        })?;
    }
    while columns.next()?.is_some() {}
    if columns.body == bytes.len() { Ok(()) } else { Err(Odd) }
}

/// The columns of a record.
struct Columns<'p> {
    bytes: &'p [u8],
    header: &'p [u8],
    /// Where the next one is in the header.
    at: usize,
    /// Where the value of the last one ends.
    body: usize,
}

impl<'p> Columns<'p> {
    #[inline]
    fn parse(bytes: &'p [u8]) -> Result<Self, Odd> {
        let (length, at) = varint(bytes, 0)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST_HEADER).ok_or(Odd)?;
        let header = bytes.get(..length).ok_or(Odd)?;
        // A record of no columns is damaged.
        if at < length { Ok(Columns { bytes, header, at, body: length }) } else { Err(Odd) }
    }

    /// The serial type of the next column and the bytes of its value, which are in the record; `None` after
    /// the last.
    #[inline]
    fn next(&mut self) -> Result<Option<(u64, usize)>, Odd> {
        let Some(first) = self.header.get(self.at) else { return Ok(None) };
        let (serial, size) = match SMALL_SIZES.get(usize::from(*first)) {
            Some(size) => {
                self.at += 1;
                (u64::from(*first), usize::from(*size))
            }
            None => {
                let (serial, next) = long_varint(self.header, self.at)?;
                self.at = next;
                let size = match SMALL_SIZES.get(usize::try_from(serial).map_err(|_| Odd)?) {
                    Some(size) => usize::from(*size),
                    None => usize::try_from((serial - 12) / 2).map_err(|_| Odd)?,
                };
                (serial, size)
            }
        };
        if size > self.bytes.len() - self.body {
            return Err(Odd);
        }
        self.body += size;
        Ok(Some((serial, size)))
    }

    /// The value of the column that [`Columns::next`] has just given.
    #[inline(always)] // into the loop over a whole table, which is the caller that counts
    fn value(&self, serial: u64, size: usize) -> Value<'p> {
        let start = self.body - size;
        match serial {
            1..=6 => Value::Integer(self.word(start, size)),
            7 => match f64::from_bits(self.word(start, 8) as u64) {
                // SQLite reads a NaN as NULL.
                real if real.is_nan() => Value::Null,
                real => Value::Real(real),
            },
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            // SQLite reads the two types that are reserved as NULL.
            0 | 10 | 11 => Value::Null,
            _ => {
                let bytes = self.bytes.get(start..self.body).unwrap_or_default();
                if serial.is_multiple_of(2) { Value::Blob(bytes) } else { Value::Text(bytes) }
            }
        }
    }

    /// A whole number of so many bytes, 1 to 8, of which the first has the sign.
    #[inline]
    fn word(&self, start: usize, size: usize) -> i64 {
        let unused = 64 - 8 * size as u32;
        let rest = self.bytes.get(start..).unwrap_or_default();
        match rest.first_chunk::<8>() {
            // What follows is shifted out.
            Some(bytes) => i64::from_be_bytes(*bytes) >> unused,
            None => {
                let word = rest.iter().take(size).fold(0u64, |word, byte| word << 8 | u64::from(*byte));
                (word << unused) as i64 >> unused
            }
        }
    }
}

/// Bytes of a value by its serial type (section 2.1, "Serial Type Codes Of The Record Format"), where that
/// takes one byte.
const SMALL_SIZES: [u8; 128] = {
    let mut sizes = [0; 128];
    let mut serial = 0;
    while serial < 128 {
        sizes[serial] = match serial {
            0 | 8..=11 => 0,
            1..=4 => serial as u8,
            5 => 6,
            6 | 7 => 8,
            _ => (serial as u8 - 12) / 2,
        };
        serial += 1;
    }
    sizes
};

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
            is_root in any::<bool>(),
        ) {
            let mut bytes = bytes;
            let format = Format::new(512, 0).unwrap();
            if let Some(byte) = bytes.get_mut(if number == 1 { DATABASE_HEADER } else { 0 }) {
                *byte = kind;
            }
            let leaf = match page(&bytes, number, is_root, &format) {
                Ok(Page::Leaf(leaf)) => leaf,
                _ => Leaf { count: cells, pointers: 8, end: 8 },
            };
            let wanted: Vec<Wanted> = [(0, Reading::Rowid), (1, Reading::Real), (3, Reading::AsStored)]
                .map(|(place, reading)| Wanted { place, reading, may_be_missing: true })
                .into();
            for index in 0..cells {
                if let Ok(cell) = cell(&bytes, &leaf, index, &format) {
                    let _ = record(cell.local, cell.rowid, &wanted, |_| Ok(()));
                }
            }
            let _ = overflow(&bytes);
            let _ = confirms(&bytes, 5 * usize::from(cells), number, number, number);
            let _ = format.after(number);
            let _ = format.after(u32::MAX - number);
        }
    }

    /// Of a ninth byte SQLite takes seven bits for the size of a record, and eight everywhere else.
    #[test]
    fn a_size_of_nine_bytes_is_for_sqlite() {
        let format = Format::new(512, 0).unwrap();
        let mut bytes = vec![0; 512];
        (bytes[0], bytes[4], bytes[9]) = (13, 1, 100);
        let Ok(Page::Leaf(leaf)) = page(&bytes, 2, true, &format) else { panic!("no leaf") };
        for (length, is_read) in [(1, true), (8, true), (9, false)] {
            bytes[100..100 + length].fill(0x80);
            bytes[99 + length] = 3;
            let record = cell(&bytes, &leaf, 0, &format).map(|cell| cell.local.len());
            assert_eq!(record, if is_read { Ok(3) } else { Err(Odd) }, "{length}");
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
