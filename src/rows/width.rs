//! How wide is a row at least, and at most, when PostgreSQL has stored out of line what it can?
//!
//! A row has to fit into a page. What is longer than 24 bytes can be compressed or moved out
//! (heap_toast_insert_or_update of heaptoast.c); all the rest stays, so a row of many hundred columns may be
//! too wide.

use crate::row::CellSink;
use crate::value::Cell;

/// The widest row that a page of 8 kB holds (`MaxHeapTupleSize`).
pub const WIDEST: usize = 8160;

/// Bytes of a value with its header that never move out: `MAXALIGN(TOAST_POINTER_SIZE)`.
const ALWAYS_INLINE: usize = 24;

/// What is left of a longer value: a pointer to where it is.
const POINTER: usize = 18;

/// What may be left of it at most: it may compress into what stays inline, with padding before it.
const COMPRESSED: usize = ALWAYS_INLINE + 3;

/// Measures one row after the other.
#[derive(Clone, Copy, Debug)]
pub struct Width {
    header: usize,
    long: usize,
    /// Counts the padding that may stand before a value.
    is_padded: bool,
    size: usize,
}

impl Width {
    /// For rows of a table with so many attributes. `surely` counts what every such row takes; else what it
    /// may take.
    #[must_use]
    pub fn new(attributes: usize, surely: bool) -> Self {
        // The header and a bitmap of NULLs, which a row without NULLs does not have.
        let header = if attributes > 8 { 24 } else { 23 };
        Width { header, long: if surely { POINTER } else { COMPRESSED }, is_padded: !surely, size: header }
    }

    /// False where no row of so many attributes is too wide.
    #[must_use]
    pub fn is_possible(attributes: usize) -> bool {
        24 + attributes.div_ceil(8) + attributes * (ALWAYS_INLINE + 7) > WIDEST
    }

    /// Adds a value.
    pub fn add(&mut self, cell: &Cell<'_>) {
        let (size, align) = match cell {
            Cell::Null => (0, 1),
            Cell::Bool(_) => (1, 1),
            Cell::Int2(_) => (2, 2),
            Cell::Int4(_) | Cell::Float4(_) | Cell::Date(_) | Cell::Enum(_) => (4, 4),
            Cell::Int8(_) | Cell::Float8(_) | Cell::Time(_) | Cell::Timestamp(_) => (8, 8),
            Cell::Uuid(_) => (16, 1),
            // What it becomes in its type is not known here.
            Cell::Input(_) if self.is_padded => (self.long, 1),
            Cell::Input(_) => (1, 1),
            Cell::Varlena(payload) if payload.len() < ALWAYS_INLINE => (payload.len() + 1, 1),
            Cell::Varlena(_) => (self.long, 1),
        };
        self.size += size + if self.is_padded { align - 1 } else { 0 };
    }

    /// A new row begins.
    pub fn restart(&mut self) {
        self.size = self.header;
    }

    /// Whether the row is wider than a page holds.
    #[must_use]
    pub fn is_too_wide(&self) -> bool {
        self.size > WIDEST
    }
}

impl CellSink for Width {
    fn begin_row(&mut self) {
        self.restart();
    }

    fn cell(&mut self, _: usize, cell: &Cell<'_>) {
        self.add(cell);
    }

    fn end_row(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn width(columns: usize, cell: &Cell<'_>, surely: bool) -> Width {
        let mut width = Width::new(columns, surely);
        width.begin_row();
        (0..columns).for_each(|i| width.cell(i, cell));
        width
    }

    #[test]
    fn only_what_stays_in_the_row_counts() {
        assert!(!width(1017, &Cell::Int8(1), true).is_too_wide());
        assert!(width(1018, &Cell::Int8(1), true).is_too_wide());
        let long = [b'x'; 30_000];
        assert!(!width(451, &Cell::Varlena(&long), true).is_too_wide());
        assert!(width(453, &Cell::Varlena(&long), true).is_too_wide());
        // It may compress into a little more than a pointer.
        assert!(!width(300, &Cell::Varlena(&long), false).is_too_wide());
        assert!(width(310, &Cell::Varlena(&long), false).is_too_wide());
        assert!(width(600, &Cell::Varlena(&long[..20]), false).is_too_wide());
        assert!(!Width::is_possible(200) && Width::is_possible(300));
    }
}
