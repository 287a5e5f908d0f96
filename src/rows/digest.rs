//! Is what was sent what is stored? A digest of each table as it was sent and as it was read back, which must
//! be equal.
//!
//! The hash of a row is that of its heap tuple: of the bytes that a table with just these columns stores for
//! it, but for what PostgreSQL notes in a tuple's header. So a load that has formed the tuple anyway has only
//! to hash it.
//!
//! Equal cells on both sides would only prove that storing works, so every cell that is sent is held against
//! the source's value first ([`CrossCheck`]). Where they disagree, the hash of the sent row is made one that
//! the stored row does not have.
//!
//! Of a column whose type has no converter counts what the type's own output function writes, under settings
//! that are always the same: the stored form is the type's own affair. Enums count by their label, not by its
//! OID.

mod cross_check;

use std::fmt;

use xxhash_rust::xxh3::xxh3_128;

use crate::convert::Zone;
use crate::pg_type::{PgType, Storage};
use crate::tuple::{self, Attribute, Layout, Writer};
use crate::value::{Cell, Value};

pub use cross_check::CrossCheck;

/// The hash of a text or of bytes, by which they are told from others where too many of them would have to be
/// kept.
#[must_use]
pub fn hash(bytes: &[u8]) -> u128 {
    xxh3_128(bytes)
}

/// The digest of a table: the sum of its rows' hashes, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableDigest {
    /// Rows in it.
    pub rows: u64,
    /// The sum of their 128-bit hashes, modulo 2^128. A sum, because an exclusive or would lose rows that are
    /// there twice.
    pub sum: u128,
}

impl TableDigest {
    /// Adds another part of the same table.
    pub fn merge(&mut self, part: &TableDigest) {
        self.rows = self.rows.wrapping_add(part.rows);
        self.sum = self.sum.wrapping_add(part.sum);
    }

    /// Adds a row by its heap tuple, of a table whose attributes are stored as [`attributes`] says.
    #[inline]
    pub fn add_tuple(&mut self, image: &[u8]) {
        let (has_nulls, content) = tuple::content(image);
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(xxh3_128(content) ^ u128::from(has_nulls));
    }
}

impl fmt::Display for TableDigest {
    /// The sum as 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.sum)
    }
}

/// How a table with just these columns stores them, where the tuples of such a table can be hashed as they
/// are: not where a column counts by something else than what is stored.
#[must_use]
pub fn attributes(types: &[&PgType]) -> Option<Vec<Attribute>> {
    let is_stored = |pg_type: &&PgType| !matches!(pg_type.storage(), Storage::Label | Storage::Opaque);
    types.iter().all(is_stored).then(|| types.iter().map(|pg_type| attribute(pg_type)).collect())
}

/// Whether the tuples of a table with these attributes are hashed as they are; the columns of these types are
/// at `positions` in it.
#[must_use]
pub fn hashes_tuples(types: &[&PgType], table: &[Attribute], positions: &[usize]) -> bool {
    positions.iter().copied().eq(0..table.len()) && attributes(types).is_some_and(|hashed| hashed == table)
}

/// `pg_type.typlen` and `typalign`. Enums have a label, types without a converter what they write, see
/// [`RowHasher`].
fn attribute(pg_type: &PgType) -> Attribute {
    let (length, align) = match pg_type.storage() {
        Storage::Bool => (1, 1),
        Storage::Int2 => (2, 2),
        Storage::Int4 | Storage::Float4 | Storage::Date => (4, 4),
        Storage::Int8 | Storage::Float8 | Storage::Time | Storage::Timestamp => (8, 8),
        Storage::Uuid => (16, 1),
        Storage::Text
        | Storage::Bytes
        | Storage::Numeric
        | Storage::Own
        | Storage::Label
        | Storage::Opaque => (-1, 4),
    };
    Attribute { length, align, is_packable: length == -1 }
}

/// Hashes one row after the other.
///
/// Either all of a row's cells go in by [`RowHasher::sent`] or all by [`RowHasher::read_back`], by ascending
/// column; what is left out is NULL.
#[derive(Debug)]
pub struct RowHasher {
    cross_check: CrossCheck,
    /// What a column counts by.
    terms: Vec<Term>,
    writer: Writer,
    /// A cell of the row is not what it should be.
    is_wrong: bool,
}

#[derive(Clone, Debug)]
enum Term {
    Cell,
    Label(Labels),
}

impl RowHasher {
    /// For a table's columns. Until [`RowHasher::with_zone`] says that naive times are UTC, what a time zone
    /// decides is not held against the source.
    #[must_use]
    pub fn new(types: &[&PgType]) -> Self {
        let terms = types.iter().map(|pg_type| Term::for_type(pg_type)).collect();
        let layout = Layout::new(types.iter().map(|pg_type| attribute(pg_type)).collect());
        let mut writer = Writer::new(layout);
        writer.begin_row();
        RowHasher { cross_check: CrossCheck::new(types), terms, writer, is_wrong: false }
    }

    /// The same, told which zone the converters' rules have. Digests are comparable whether or not either
    /// side was told.
    #[must_use]
    pub fn with_zone(mut self, zone: &Zone) -> Self {
        self.cross_check = self.cross_check.with_zone(zone);
        self
    }

    /// Adds a value that is being sent: the source's, and the cell that its converter made of it (`lossy`:
    /// with a loss).
    #[inline]
    pub fn sent(&mut self, column: usize, value: Value, cell: &Cell, lossy: bool) {
        self.is_wrong |= !lossy && !self.cross_check.agrees(column, value, cell);
        self.read_back(column, cell);
    }

    /// Adds a value as the target table holds it.
    #[inline]
    pub fn read_back(&mut self, column: usize, cell: &Cell) {
        let RowHasher { terms, writer, is_wrong, .. } = self;
        let is_written = match (terms.get(column), cell) {
            (_, Cell::Null) => true,
            (Some(Term::Cell), cell) => writer.cell(column, cell),
            (Some(Term::Label(labels)), Cell::Enum(oid)) => {
                match labels.label_of(*oid) {
                    Some(label) => writer.cell(column, &Cell::Varlena(label)),
                    None => {
                        // No label has a NUL byte.
                        let [a, b, c, d] = oid.to_be_bytes();
                        writer.cell(column, &Cell::Varlena(&[0, a, b, c, d]))
                    }
                }
            }
            (Some(Term::Label(_)), cell) => writer.cell(column, cell),
            (None, _) => false,
        };
        *is_wrong |= !is_written;
    }

    /// Ends a row: adds its hash to a digest.
    #[inline]
    pub fn end_row(&mut self, into: &mut TableDigest) {
        self.writer.end_row();
        into.add_tuple(self.writer.last());
        if self.is_wrong {
            into.sum = into.sum.wrapping_add(1);
        }
        self.abandon_row();
    }

    /// Forgets the cells of a row that is not sent after all.
    pub fn abandon_row(&mut self) {
        self.is_wrong = false;
        self.writer.clear();
        self.writer.begin_row();
    }
}

impl Term {
    fn for_type(pg_type: &PgType) -> Term {
        match pg_type {
            PgType::Enum { labels, .. } => Term::Label(Labels::new(labels)),
            _ => Term::Cell,
        }
    }
}

/// The labels of an enum.
#[derive(Clone, Debug)]
struct Labels {
    /// Sorted.
    by_oid: Vec<(u32, Box<[u8]>)>,
}

impl Labels {
    fn new(labels: &[(String, u32)]) -> Self {
        let mut by_oid: Vec<(u32, Box<[u8]>)> =
            labels.iter().map(|(label, oid)| (*oid, label.as_bytes().into())).collect();
        by_oid.sort_unstable_by_key(|(oid, _)| *oid);
        Labels { by_oid }
    }

    fn label_of(&self, oid: u32) -> Option<&[u8]> {
        let at = self.by_oid.binary_search_by_key(&oid, |(known, _)| *known).ok()?;
        self.by_oid.get(at).map(|(_, label)| &**label)
    }
}

#[cfg(test)]
pub(crate) mod tests;
