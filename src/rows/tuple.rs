//! Heap tuples as bytes: the image that `heap_form_tuple` would make of a row, made without PostgreSQL.
//!
//! The layout is that of `HeapTupleHeaderData` and `heap_fill_tuple` (src/include/access/htup_details.h and
//! src/backend/access/common/heaptuple.c), the same in PostgreSQL 14 to 18 on 64-bit machines. The backend
//! compares one image with `heap_form_tuple` byte by byte each time it opens a table for loading, so that a
//! server that differs is noticed before the first row is written. Fields that the insert itself fills (xmin,
//! cmin, xmax, ctid) are zero here.

pub mod deform;

use crate::value::Cell;

/// `SizeofHeapTupleHeader`: what comes before the null bitmap.
const HEADER: usize = 23;
/// `MAXIMUM_ALIGNOF`
const MAX_ALIGN: usize = 8;
/// Offsets of the fields that are filled here.
const INFOMASK2: usize = 18;
const INFOMASK: usize = 20;
const HOFF: usize = 22;
/// `HEAP_HASNULL` and `HEAP_HASVARWIDTH`
const HAS_NULL: u16 = 0x0001;
const HAS_VARWIDTH: u16 = 0x0002;
/// The longest payload that gets a one-byte header (`VARATT_SHORT_MAX` less the header).
const SHORT_MAX: usize = 126;

/// How one attribute is stored (`pg_attribute`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// `attlen`: bytes, or -1 for a varlena.
    pub length: i16,
    /// `attalign` in bytes: 1, 2, 4 or 8.
    pub align: u8,
    /// A varlena whose `attstorage` is not plain may have a one-byte header.
    pub is_packable: bool,
}

/// The layout of one table's tuples.
#[derive(Clone, Debug)]
pub struct Layout {
    attributes: Vec<Attribute>,
    /// Where the data begins in a tuple with a null bitmap; without one it begins at
    /// [`Layout::hoff_without_nulls`].
    hoff_with_nulls: usize,
    /// Bytes that a row needs at most, without the payloads of its varlenas.
    fixed_size: usize,
}

impl Layout {
    /// The layout of a table with these attributes, dropped ones included, in `attnum` order.
    #[must_use]
    pub fn new(attributes: Vec<Attribute>) -> Self {
        let bitmap = attributes.len().div_ceil(8);
        // What an attribute takes with its padding; a varlena has four bytes of header.
        let size = |attribute: &Attribute| usize::try_from(attribute.length).unwrap_or(4) + MAX_ALIGN;
        let fixed_size = 2 * MAX_ALIGN + HEADER + bitmap + attributes.iter().map(size).sum::<usize>();
        Layout { attributes, hoff_with_nulls: (HEADER + bitmap).next_multiple_of(MAX_ALIGN), fixed_size }
    }

    const fn hoff_without_nulls() -> usize {
        HEADER.next_multiple_of(MAX_ALIGN)
    }
}

/// What a tuple holds, without the header that an insert fills in: whether it has a null bitmap; the bitmap,
/// if any, and the data.
#[inline]
#[must_use]
pub fn content(image: &[u8]) -> (bool, &[u8]) {
    let infomask = image.get(INFOMASK..).and_then(|rest| rest.first_chunk::<2>());
    let has_nulls = infomask.is_some_and(|bytes| u16::from_ne_bytes(*bytes) & HAS_NULL != 0);
    (has_nulls, image.get(HEADER..).unwrap_or_default())
}

/// Tuple images of some rows, one after the other in one piece of memory.
#[derive(Debug, Default)]
pub struct Images {
    /// Bytes from `end` on are left from rows before: growing a row must not cost a zeroing of what is
    /// written anyway.
    bytes: Vec<u8>,
    /// Where the last image ends.
    end: usize,
    /// Offset (a multiple of 8) and length of each image.
    spans: Vec<(usize, usize)>,
}

impl Images {
    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// No rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes used by the images.
    #[must_use]
    pub fn size(&self) -> usize {
        self.end
    }

    /// The memory of all images. Offsets are multiples of 8 from its start; whether the start itself is
    /// aligned is up to the allocator, so a reader that needs aligned tuples checks it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.end).unwrap_or_default()
    }

    /// The same, for a reader that lets the insert fill the header's fields in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.end).unwrap_or_default()
    }

    /// Offset and length of each image in [`Images::bytes`].
    #[must_use]
    pub fn spans(&self) -> &[(usize, usize)] {
        &self.spans
    }

    /// The images in their order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|(start, length)| self.bytes.get(*start..start + length).unwrap_or_default())
    }

    /// Forgets the rows for whose images `keep` is false. The others stay where they are.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let Images { bytes, spans, .. } = self;
        spans.retain(|(start, length)| keep(bytes.get(*start..start + length).unwrap_or_default()));
    }

    /// Forgets the rows and keeps the memory, unless one huge row made it large.
    pub fn clear(&mut self) {
        /// An ordinary batch is 256 kB; what a large value needed is given back.
        const KEEP: usize = 1 << 20;
        if self.bytes.len() > KEEP {
            self.bytes = Vec::new();
        }
        self.end = 0;
        self.spans.clear();
    }

    /// Makes room for so many bytes from `at` on.
    #[inline]
    fn reserve(&mut self, at: usize, bytes: usize) {
        let needed = at.saturating_add(bytes);
        if needed > self.bytes.len() {
            self.grow(needed);
        }
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        self.bytes.resize(needed.max(self.bytes.len().saturating_mul(2)), 0);
    }
}

/// Writes the image of one row at a time into [`Images`].
#[derive(Debug)]
pub struct Writer {
    layout: Layout,
    images: Images,
    /// Start of the current row's data.
    data: usize,
    /// Where the current row goes on.
    at: usize,
    /// The next attribute to be written.
    next: usize,
    /// Set bits are attributes that have a value, as in `t_bits`.
    bitmap: Vec<u64>,
    values: usize,
    has_varwidth: bool,
}

impl Writer {
    /// A writer for a table.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        let bitmap = vec![0; layout.attributes.len().div_ceil(64)];
        Writer {
            layout,
            images: Images::default(),
            data: 0,
            at: 0,
            next: 0,
            bitmap,
            values: 0,
            has_varwidth: false,
        }
    }

    /// Begins a row; what was written of an unfinished one is void.
    #[inline]
    pub fn begin_row(&mut self) {
        let start = self.images.end.next_multiple_of(MAX_ALIGN);
        self.images.reserve(start, self.layout.fixed_size);
        self.data = start + self.layout.hoff_with_nulls;
        self.at = self.data;
        self.next = 0;
        self.bitmap.fill(0);
        self.values = 0;
        self.has_varwidth = false;
    }

    /// Writes the cell of the attribute at `index` (0-based `attnum`). Attributes come in ascending order;
    /// those that are left out are NULL.
    ///
    /// False where the cell cannot be in that attribute: it is of another width, or it is text for an input
    /// function.
    #[must_use]
    #[inline(always)]
    pub fn cell(&mut self, index: usize, cell: &Cell<'_>) -> bool {
        if matches!(cell, Cell::Null) {
            return true;
        }
        let Some(attribute) = self.layout.attributes.get(index).copied() else { return false };
        if index < self.next {
            return false;
        }
        self.next = index + 1;
        let Some(bits) = self.bitmap.get_mut(index / 64) else { return false };
        *bits |= 1 << (index % 64);
        self.values += 1;
        match *cell {
            Cell::Null | Cell::Input(_) => false,
            Cell::Bool(b) => self.fixed(attribute, [u8::from(b)]),
            Cell::Int2(i) => self.fixed(attribute, i.to_ne_bytes()),
            Cell::Int4(i) | Cell::Date(i) => self.fixed(attribute, i.to_ne_bytes()),
            Cell::Int8(i) | Cell::Time(i) | Cell::Timestamp(i) => self.fixed(attribute, i.to_ne_bytes()),
            Cell::Float4(f) => self.fixed(attribute, f.to_ne_bytes()),
            Cell::Float8(f) => self.fixed(attribute, f.to_ne_bytes()),
            Cell::Enum(oid) => self.fixed(attribute, oid.to_ne_bytes()),
            Cell::Uuid(bytes) => self.fixed(attribute, bytes),
            Cell::Varlena(payload) => self.varlena(attribute, payload),
        }
    }

    /// Completes the row.
    #[inline]
    pub fn end_row(&mut self) {
        let natts = self.layout.attributes.len();
        let has_nulls = self.values < natts;
        let hoff = if has_nulls { self.layout.hoff_with_nulls } else { Layout::hoff_without_nulls() };
        let start = self.data - hoff;
        let mut infomask = 0;
        if has_nulls {
            infomask |= HAS_NULL;
        }
        if self.has_varwidth {
            infomask |= HAS_VARWIDTH;
        }
        let bytes = &mut self.images.bytes;
        bytes[start..start + Layout::hoff_without_nulls()].fill(0);
        if has_nulls {
            // The bitmap is the bytes of its words, lowest first; what follows up to the data is zero.
            let mut words = self.bitmap.iter().flat_map(|word| word.to_le_bytes());
            bytes[start + HEADER..self.data].fill_with(|| words.next().unwrap_or(0));
        }
        // A table has at most 1600 attributes, which fits the 11 bits of t_infomask2.
        bytes[start + INFOMASK2..start + INFOMASK2 + 2].copy_from_slice(&(natts as u16).to_ne_bytes());
        bytes[start + INFOMASK..start + INFOMASK + 2].copy_from_slice(&infomask.to_ne_bytes());
        bytes[start + HOFF] = hoff as u8;
        self.images.spans.push((start, self.at - start));
        self.images.end = self.at;
    }

    /// The rows written so far.
    #[must_use]
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// The image of the row that was completed last; nothing before the first.
    #[inline]
    #[must_use]
    pub fn last(&self) -> &[u8] {
        let span = self.images.spans.last().map(|(start, length)| *start..start + length);
        span.and_then(|span| self.images.bytes.get(span)).unwrap_or_default()
    }

    /// Forgets the rows.
    pub fn clear(&mut self) {
        self.images.clear();
    }

    /// Hands over the rows and goes on in `empty`, whose memory is used again.
    pub fn replace(&mut self, mut empty: Images) -> Images {
        empty.clear();
        std::mem::replace(&mut self.images, empty)
    }

    /// Pads with zeros up to a multiple of `align`, which is at most 8. There is room for it: see
    /// `Layout::fixed_size`.
    #[inline]
    fn align(&mut self, align: u8) {
        // The data itself begins at a multiple of 8. A mask, because `next_multiple_of` divides.
        let mask = usize::from(align).max(1) - 1;
        let aligned = (self.at + mask) & !mask;
        if aligned != self.at {
            self.images.bytes[self.at..self.at + MAX_ALIGN].fill(0);
            self.at = aligned;
        }
    }

    #[inline(always)]
    fn fixed<const N: usize>(&mut self, attribute: Attribute, bytes: [u8; N]) -> bool {
        if attribute.length != N as i16 {
            return false;
        }
        self.align(attribute.align);
        self.images.bytes[self.at..self.at + N].copy_from_slice(&bytes);
        self.at += N;
        true
    }

    #[inline]
    fn varlena(&mut self, attribute: Attribute, payload: &[u8]) -> bool {
        // Room for what follows, too, as the payload was not in the room that the row began with.
        self.images.reserve(self.at, payload.len() + self.layout.fixed_size);
        if attribute.length == -1 {
            self.has_varwidth = true;
            if attribute.is_packable && payload.len() <= SHORT_MAX {
                // postgres.h, SET_VARSIZE_1B: the length with its header, and the lowest (little-endian) or
                // highest bit set.
                let length = payload.len() as u8 + 1;
                self.images.bytes[self.at] =
                    if cfg!(target_endian = "little") { (length << 1) | 1 } else { length | 0x80 };
                self.at += 1;
            } else {
                self.align(attribute.align);
                // SET_VARSIZE_4B. Payloads are below 1 GB.
                let length = payload.len() as u32 + 4;
                let header = if cfg!(target_endian = "little") { length << 2 } else { length & 0x3fff_ffff };
                self.images.bytes[self.at..self.at + 4].copy_from_slice(&header.to_ne_bytes());
                self.at += 4;
            }
        } else if usize::try_from(attribute.length) == Ok(payload.len()) {
            // A fixed-length by-reference type that has no variant of its own (interval, macaddr, ...).
            self.align(attribute.align);
        } else {
            return false;
        }
        self.images.bytes[self.at..self.at + payload.len()].copy_from_slice(payload);
        self.at += payload.len();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(attributes: &[(i16, u8, bool)]) -> Writer {
        Writer::new(Layout::new(
            attributes
                .iter()
                .map(|&(length, align, is_packable)| Attribute { length, align, is_packable })
                .collect(),
        ))
    }

    #[test]
    fn a_row_without_nulls_has_no_bitmap_and_aligned_data() {
        let mut w = writer(&[(1, 1, false), (8, 8, false), (-1, 4, true)]);
        w.begin_row();
        assert!(w.cell(0, &Cell::Bool(true)));
        assert!(w.cell(1, &Cell::Int8(-2)));
        assert!(w.cell(2, &Cell::Varlena(b"abc")));
        w.end_row();
        let (start, length) = w.images().spans()[0];
        let image = &w.images().bytes()[start..start + length];
        assert_eq!(start % 8, 0);
        assert_eq!(image[HOFF], 24);
        assert_eq!(image[24], 1);
        assert_eq!(&image[32..40], &(-2i64).to_ne_bytes());
        assert_eq!(&image[40..], &[(4 << 1) | 1, b'a', b'b', b'c']);
        assert_eq!(u16::from_ne_bytes([image[INFOMASK], image[INFOMASK + 1]]), HAS_VARWIDTH);
    }

    #[test]
    fn nulls_take_no_room_but_a_bit() {
        let mut w = writer(&[(8, 8, false), (4, 4, false), (-1, 4, true)]);
        w.begin_row();
        assert!(w.cell(0, &Cell::Null));
        assert!(w.cell(1, &Cell::Int4(7)));
        w.end_row();
        let (start, length) = w.images().spans()[0];
        let image = &w.images().bytes()[start..start + length];
        assert_eq!((image[HOFF], length), (24, 28));
        assert_eq!(image[HEADER], 0b010);
        assert_eq!(&image[24..], &7i32.to_ne_bytes());
    }

    #[test]
    fn an_abandoned_row_leaves_no_trace() {
        let mut w = writer(&[(-1, 4, false)]);
        w.begin_row();
        assert!(w.cell(0, &Cell::Varlena(&[9; 200])));
        w.begin_row();
        assert!(w.cell(0, &Cell::Varlena(b"x")));
        w.end_row();
        assert_eq!(w.images().len(), 1);
        let (start, length) = w.images().spans()[0];
        // Storage is plain, so the header has four bytes even for one byte of payload.
        assert_eq!((start, length), (0, 24 + 4 + 1));
    }

    #[test]
    fn a_cell_of_another_width_is_refused() {
        let mut w = writer(&[(4, 4, false)]);
        w.begin_row();
        assert!(!w.cell(0, &Cell::Int8(1)));
        assert!(!w.cell(5, &Cell::Int4(1)));
    }
}
