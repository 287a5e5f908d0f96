//! Reads heap pages back: where a page has a tuple, and the attributes of a tuple, from their bytes alone.
//!
//! The other direction of [`super::Writer`], and independent of it: nothing here knows how a tuple was
//! formed. The layout is that of `PageHeaderData`, `ItemIdData` (src/include/storage/bufpage.h, itemid.h) and
//! `heap_deform_tuple`. What is not exactly as expected is [`Malformed`]: the caller then asks PostgreSQL
//! itself to read the table.

use super::{Attribute, HEADER, HOFF, INFOMASK, INFOMASK2};
use crate::pg_type::{PgType, Storage};
use crate::value::Cell;

/// `offsetof(PageHeaderData, pd_lower)`: where a page says how far its line pointers reach.
pub const PAGE_LOWER: usize = 12;
/// `SizeOfPageHeaderData`
const PAGE_HEADER: usize = 24;
/// `sizeof(ItemIdData)`
const POINTER: usize = 4;
/// `LP_NORMAL`
const NORMAL: u32 = 1;
/// `HEAP_NATTS_MASK`
const NATTS: u16 = 0x07ff;
/// `HEAP_HASNULL`
const HAS_NULL: u16 = 0x0001;

/// Bytes that are not what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// An attribute's value as its tuple holds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stored<'p> {
    /// Complete.
    Cell(Cell<'p>),
    /// A varlena that is compressed or out of line, from its header on.
    Toasted(&'p [u8]),
}

/// Takes the tuples of one table apart.
#[derive(Clone, Debug)]
pub struct Deformer {
    /// By `attnum - 1`: how it is stored, and the column (of those that are wanted) with what it means.
    attributes: Vec<(Attribute, Option<(usize, Storage)>)>,
}

impl Deformer {
    /// For a table with these attributes, dropped ones included, in `attnum` order. `columns` are those that
    /// are wanted: the 0-based `attnum` and the type of each, by ascending `attnum`.
    #[must_use]
    pub fn new<'t>(attributes: &[Attribute], columns: impl IntoIterator<Item = (usize, &'t PgType)>) -> Self {
        let mut all: Vec<_> = attributes.iter().map(|attribute| (*attribute, None)).collect();
        for (column, (index, pg_type)) in columns.into_iter().enumerate() {
            if let Some((_, wanted)) = all.get_mut(index) {
                *wanted = Some((column, pg_type.storage()));
            }
        }
        Deformer { attributes: all }
    }

    /// Gives the value of each wanted column to `each`, in `attnum` order, NULLs included.
    ///
    /// # Errors
    /// The tuple is cut short, or has fewer attributes than the table (it was there before a column was
    /// added).
    #[inline(always)]
    pub fn deform<'p>(
        &self,
        tuple: &'p [u8],
        mut each: impl FnMut(usize, Stored<'p>),
    ) -> Result<(), Malformed> {
        let word = |at: usize| Some(u16::from_ne_bytes([*tuple.get(at)?, *tuple.get(at + 1)?]));
        let (Some(infomask2), Some(infomask), Some(hoff)) =
            (word(INFOMASK2), word(INFOMASK), tuple.get(HOFF))
        else {
            return Err(Malformed);
        };
        if usize::from(infomask2 & NATTS) != self.attributes.len() {
            return Err(Malformed);
        }
        let hoff = usize::from(*hoff);
        let bitmap = match infomask & HAS_NULL {
            0 => None,
            _ => Some(tuple.get(HEADER..hoff).ok_or(Malformed)?),
        };
        let data = tuple.get(hoff..).ok_or(Malformed)?;
        let mut at = 0;
        for (index, (attribute, wanted)) in self.attributes.iter().enumerate() {
            let is_null = match bitmap {
                Some(bitmap) => bitmap.get(index / 8).ok_or(Malformed)? & (1 << (index % 8)) == 0,
                None => false,
            };
            let bytes = if is_null {
                &[]
            } else {
                // The first byte of an unaligned varlena is its header, which is never zero; a padding byte
                // is always zero.
                if !(attribute.length == -1 && data.get(at).is_some_and(|byte| *byte != 0)) {
                    let mask = usize::from(attribute.align).max(1) - 1;
                    at = (at + mask) & !mask;
                }
                let rest = data.get(at..).ok_or(Malformed)?;
                let length = match attribute.length {
                    -1 => varlena_size(rest).ok_or(Malformed)?,
                    length => usize::try_from(length).map_err(|_| Malformed)?,
                };
                at += length;
                rest.get(..length).ok_or(Malformed)?
            };
            // Called in one place, so that it is compiled into this loop.
            if let Some((column, storage)) = wanted {
                let stored = match is_null {
                    true => Stored::Cell(Cell::Null),
                    false => stored(bytes, *storage, attribute.length).ok_or(Malformed)?,
                };
                each(*column, stored);
            }
        }
        Ok(())
    }
}

/// The value in the bytes of an attribute; `None` where their number is not that of the type.
#[inline(always)]
fn stored(bytes: &[u8], storage: Storage, length: i16) -> Option<Stored<'_>> {
    Some(Stored::Cell(match storage {
        Storage::Bool => Cell::Bool(*bytes.first()? != 0),
        Storage::Int2 => Cell::Int2(i16::from_ne_bytes(bytes.try_into().ok()?)),
        Storage::Int4 => Cell::Int4(i32::from_ne_bytes(bytes.try_into().ok()?)),
        Storage::Int8 => Cell::Int8(i64::from_ne_bytes(bytes.try_into().ok()?)),
        Storage::Float4 => Cell::Float4(f32::from_ne_bytes(bytes.try_into().ok()?)),
        Storage::Float8 => Cell::Float8(f64::from_ne_bytes(bytes.try_into().ok()?)),
        Storage::Date => Cell::Date(i32::from_ne_bytes(bytes.try_into().ok()?)),
        Storage::Time => Cell::Time(i64::from_ne_bytes(bytes.try_into().ok()?)),
        Storage::Timestamp => Cell::Timestamp(i64::from_ne_bytes(bytes.try_into().ok()?)),
        Storage::Label => Cell::Enum(u32::from_ne_bytes(bytes.try_into().ok()?)),
        Storage::Uuid => Cell::Uuid(bytes.try_into().ok()?),
        Storage::Text | Storage::Bytes | Storage::Numeric | Storage::Own => return varlena(bytes),
        Storage::Opaque => return opaque(bytes, length),
    }))
}

#[inline(always)]
fn varlena(bytes: &[u8]) -> Option<Stored<'_>> {
    Some(match header(*bytes.first()?) {
        Header::Short => Stored::Cell(Cell::Varlena(bytes.get(1..)?)),
        Header::Plain => Stored::Cell(Cell::Varlena(bytes.get(4..)?)),
        Header::Compressed | Header::OutOfLine => Stored::Toasted(bytes),
    })
}

/// A value of a type of which nothing is known.
#[cold]
#[inline(never)] // most tables have none
fn opaque(bytes: &[u8], length: i16) -> Option<Stored<'_>> {
    if length == -1 { varlena(bytes) } else { Some(Stored::Cell(Cell::Varlena(bytes))) }
}

/// The kinds of varlena headers (postgres.h, "struct varattrib").
enum Header {
    Short,
    Plain,
    Compressed,
    OutOfLine,
}

#[inline]
fn header(first: u8) -> Header {
    if cfg!(target_endian = "little") {
        match first {
            0x01 => Header::OutOfLine,
            _ if first & 1 == 1 => Header::Short,
            _ if first & 3 == 2 => Header::Compressed,
            _ => Header::Plain,
        }
    } else {
        match first {
            0x80 => Header::OutOfLine,
            _ if first & 0x80 != 0 => Header::Short,
            _ if first & 0x40 != 0 => Header::Compressed,
            _ => Header::Plain,
        }
    }
}

/// Bytes of a varlena, its header included.
#[inline]
fn varlena_size(bytes: &[u8]) -> Option<usize> {
    let first = *bytes.first()?;
    Some(match header(first) {
        Header::Short => usize::from(if cfg!(target_endian = "little") { first >> 1 } else { first & 0x7f }),
        Header::Plain | Header::Compressed => {
            let word = u32::from_ne_bytes(bytes.first_chunk::<4>().copied()?);
            let size = if cfg!(target_endian = "little") { word >> 2 } else { word & 0x3fff_ffff };
            usize::try_from(size).ok().filter(|size| *size >= 4)?
        }
        // varatt.h: a tag byte, then a varatt_external, which is what a table on disk holds.
        Header::OutOfLine if bytes.get(1) == Some(&18) => 2 + 16,
        Header::OutOfLine => return None,
    })
}

/// Where a page has the line pointer of the tuple with this number (from 1, as in a `ctid`): 32 bits, all of
/// them below what stands at [`PAGE_LOWER`].
#[inline]
#[must_use]
pub fn pointer_at(number: u16) -> Option<usize> {
    Some(PAGE_HEADER + POINTER * usize::from(number).checked_sub(1)?)
}

/// Where in its page a line pointer says that its tuple is; `None` where it is dead or redirected.
#[inline]
#[must_use]
pub fn tuple_span(bits: u32) -> Option<std::ops::Range<usize>> {
    // Bit fields begin at the lowest bit of a little-endian word, and at the highest of a big-endian one.
    let (offset, flags, length) = if cfg!(target_endian = "little") {
        (bits & 0x7fff, bits >> 15 & 3, bits >> 17)
    } else {
        (bits >> 17, bits >> 15 & 3, bits & 0x7fff)
    };
    let (offset, length) = (offset as usize, length as usize);
    (flags == NORMAL).then_some(offset..offset + length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Layout, Writer};
    use super::*;

    const TYPES: &[PgType] = &[
        PgType::Boolean,
        PgType::Text,
        PgType::SmallInt,
        PgType::BigInt,
        PgType::Bytea,
        PgType::Date,
        PgType::Uuid,
        PgType::DoublePrecision,
        PgType::Text,
        PgType::Real,
    ];

    fn attributes() -> Vec<Attribute> {
        let of = |pg_type: &PgType| match pg_type {
            PgType::Boolean => (1, 1),
            PgType::SmallInt => (2, 2),
            PgType::Date | PgType::Real => (4, 4),
            PgType::Uuid => (16, 1),
            PgType::BigInt | PgType::DoublePrecision => (8, 8),
            _ => (-1, 4),
        };
        TYPES
            .iter()
            .map(of)
            .map(|(length, align)| Attribute { length, align, is_packable: length == -1 })
            .collect()
    }

    fn cell<'a>(pg_type: &PgType, seed: u64, payload: &'a [u8]) -> Cell<'a> {
        match pg_type {
            PgType::Boolean => Cell::Bool(seed.is_multiple_of(2)),
            PgType::SmallInt => Cell::Int2(seed as i16),
            PgType::BigInt => Cell::Int8(seed as i64),
            PgType::Date => Cell::Date(seed as i32),
            PgType::Uuid => Cell::Uuid([seed as u8; 16]),
            PgType::DoublePrecision => Cell::Float8(seed as f64),
            PgType::Real => Cell::Float4(seed as f32),
            _ => Cell::Varlena(payload),
        }
    }

    proptest! {
        #[test]
        fn what_the_writer_forms_is_read_back(
            rows in prop::collection::vec(
                prop::collection::vec(prop::option::weighted(0.8, (any::<u64>(), prop::collection::vec(any::<u8>(), 0..300))), TYPES.len()),
                1..20,
            )
        ) {
            let mut writer = Writer::new(Layout::new(attributes()));
            for row in &rows {
                writer.begin_row();
                for (index, (pg_type, value)) in TYPES.iter().zip(row).enumerate() {
                    let cell = value.as_ref().map_or(Cell::Null, |(seed, payload)| cell(pg_type, *seed, payload));
                    prop_assert!(writer.cell(index, &cell));
                }
                writer.end_row();
            }
            let deformer = Deformer::new(&attributes(), TYPES.iter().enumerate());
            for (row, (start, length)) in rows.iter().zip(writer.images().spans()) {
                let mut cells = Vec::new();
                let tuple = &writer.images().bytes()[*start..start + length];
                prop_assert_eq!(deformer.deform(tuple, |column, stored| cells.push((column, stored))), Ok(()));
                for (index, (pg_type, value)) in TYPES.iter().zip(row).enumerate() {
                    let sent = value.as_ref().map_or(Cell::Null, |(seed, payload)| cell(pg_type, *seed, payload));
                    prop_assert_eq!(&cells[index], &(index, Stored::Cell(sent)));
                }
                // Cut anywhere, it is refused or read without what is missing, but never beyond its end.
                for end in 0..tuple.len() {
                    let _ = deformer.deform(&tuple[..end], |_, _| ());
                }
            }
        }

        #[test]
        fn no_bytes_make_a_page_panic(page in prop::collection::vec(any::<u8>(), 0..200)) {
            let deformer = Deformer::new(&attributes(), TYPES.iter().enumerate());
            for pointer in (0..50).filter_map(pointer_at) {
                let bits = page.get(pointer..).and_then(|p| p.first_chunk()).map(|bits| u32::from_ne_bytes(*bits));
                if let Some(tuple) = bits.and_then(tuple_span).and_then(|span| page.get(span)) {
                    let _ = deformer.deform(tuple, |_, _| ());
                }
            }
        }
    }
}
