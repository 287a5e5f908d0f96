//! Is what was formed what the source holds? Takes heap tuples apart again and holds every value against the row that it came from.
//!
//! Together with a look at the table after the insert, which finds the same bytes there, this is the proof that every value arrived: of
//! the value itself, not of what a converter made of it, as far as [`Witness`] reaches.

use std::collections::HashSet;
use std::sync::Arc;

use crate::convert::Zone;
use crate::digest::{self, TableDigest, Witness};
use crate::pg_type::PgType;
use crate::row::{About, RowError};
use crate::rows::Rows;
use crate::tuple::deform::{Deformer, Stored};
use crate::tuple::{Attribute, Images};
use crate::value::Row;

/// What is known of the rows of a batch beside their values. Rows are named by their number in the scan.
#[derive(Debug, Default)]
pub struct Notes {
    /// Rows that have no tuple, in order.
    pub set_aside: Vec<u64>,
    /// Columns whose cells are not the source's values, and known not to be: what is lossy, what became NULL.
    pub excused: HashSet<(u64, usize)>,
}

/// Inspects the tuples of one table.
pub struct Inspector {
    about: Arc<About>,
    deformer: Deformer,
    witness: Witness,
    hashes_tuples: bool,
    digest: TableDigest,
}

/// Whether the tuples of a table with these attributes are hashed as they are; `positions` are those of the columns in it.
#[must_use]
pub fn hashes_tuples(about: &About, attributes: &[Attribute], positions: &[usize]) -> bool {
    positions.iter().copied().eq(0..attributes.len())
        && digest::attributes(&about.types()).is_some_and(|hashed| hashed == attributes)
}

impl Inspector {
    /// For tuples with these attributes, of which the columns are at `positions` (0-based `attnum`, ascending). The zone is that of the
    /// converters' rules.
    #[must_use]
    pub fn new(about: Arc<About>, attributes: &[Attribute], positions: &[usize], zone: &Zone) -> Self {
        let types: Vec<&PgType> = about.types();
        let columns = positions.iter().copied().zip(types.iter().copied());
        Inspector {
            deformer: Deformer::new(attributes, columns),
            witness: Witness::new(&types).with_zone(zone),
            hashes_tuples: hashes_tuples(&about, attributes, positions),
            digest: TableDigest::default(),
            about,
        }
    }

    /// Inspects the tuples of some rows.
    ///
    /// # Errors
    /// The first that does not hold what the source holds: a bug.
    pub fn inspect(&mut self, rows: &Rows, images: &Images, notes: &Notes) -> Result<(), RowError> {
        let mut set_aside = notes.set_aside.iter().peekable();
        let mut tuples = images.iter();
        for (row, number) in rows.iter().zip(rows.first()..) {
            if set_aside.next_if_eq(&&number).is_some() {
                continue;
            }
            let Some(image) = tuples.next() else { return Err(self.about.misformed(&row, None)) };
            let is_excused =
                |column| !notes.excused.is_empty() && notes.excused.contains(&(number, column));
            if let Err(column) = self.tuple(&row, image, is_excused) {
                return Err(self.about.misformed(&row, column));
            }
            if self.hashes_tuples {
                self.digest.add_tuple(image);
            }
        }
        match (tuples.next(), rows.iter().last()) {
            (Some(_), Some(row)) => Err(self.about.misformed(&row, None)),
            _ => Ok(()),
        }
    }

    /// Of a tuple that is not what it should be, the column where that shows.
    #[inline]
    fn tuple(
        &self,
        row: &Row<'_>,
        image: &[u8],
        is_excused: impl Fn(usize) -> bool,
    ) -> Result<(), Option<usize>> {
        let mut wrong = None;
        let deformed = self.deformer.deform(image, |column, stored| {
            let agrees = match &stored {
                Stored::Cell(cell) => self.witness.agrees(column, row.value(column), cell),
                Stored::Toasted(_) => false,
            };
            if !agrees && !is_excused(column) {
                wrong = wrong.or(Some(column));
            }
        });
        match (wrong, deformed) {
            (None, Ok(())) => Ok(()),
            (column, _) => Err(column),
        }
    }

    /// The digest of the tuples so far, where they are hashed as they are; else of none.
    #[must_use]
    pub fn digest(&self) -> TableDigest {
        self.digest
    }
}
