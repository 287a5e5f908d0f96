//! One row's way from SQLite's values to PostgreSQL's cells, with everything that has to be known about it:
//! its place for messages, its digest, what was lossy, and what the on_error policy makes of a bad value.
//!
//! Knows neither database, so that it can run in a thread beside the backend.

mod about;
mod notes;

use crate::column::{ColumnPlan, RowPlan};
use crate::convert::{Converter, Lossy, Plain, Scratch, ValueError, Zone};
use crate::digest::{self, RowHasher, TableDigest};
use crate::pg_type::PgType;
use crate::sqlstate::SqlState;
use crate::tuple::{Attribute, Writer};
use crate::value::{Cell, Row, Value};
use crate::words;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub use about::{About, value_json};
pub use notes::Notes;

words! {
    /// What happens to a value that its column cannot hold.
    pub enum OnError {
        /// The import ends with the value's own error.
        Abort = "abort",
        /// The whole row is set aside.
        Reject = "reject",
        /// The value becomes NULL; where the column is NOT NULL the row is set aside.
        Null = "null",
    }
}

/// Why the input function of a column's type refuses a value: by the row's number in the scan, from 1, and
/// the column.
pub type Refusals = HashMap<(u64, usize), ValueError>;

/// Takes the cells of one row, in column order.
pub trait CellSink {
    /// A new row begins; what was taken of an unfinished one is void.
    fn begin_row(&mut self);
    /// The next column's cell.
    fn cell(&mut self, column: usize, cell: &Cell<'_>);
    /// What the type's output function writes of the cell that was taken last, a [`Cell::Input`] of this
    /// column. A sink that is given none has no answer.
    fn written(&mut self, _column: usize) -> &[u8] {
        &[]
    }
    /// The row is complete.
    fn end_row(&mut self);
}

/// A sink that forms heap tuples.
#[derive(Debug)]
pub struct Former {
    /// Holds the tuples that were formed.
    pub writer: Writer,
    /// The 0-based `attnum` of each column, ascending.
    attributes: Vec<usize>,
    misfit: Option<usize>,
}

impl Former {
    /// Columns go to `attributes` (0-based `attnum`, ascending) of the writer's layout.
    #[must_use]
    pub fn new(writer: Writer, attributes: Vec<usize>) -> Self {
        Former { writer, attributes, misfit: None }
    }

    /// The first attribute (0-based `attnum`) whose cell did not fit its width since this was last asked: a
    /// bug of the planning.
    pub fn take_misfit(&mut self) -> Option<usize> {
        self.misfit.take()
    }
}

impl CellSink for Former {
    #[inline]
    fn begin_row(&mut self) {
        self.writer.begin_row();
    }

    #[inline(always)] // a caller that knows the kind of cell gets a few instructions
    fn cell(&mut self, column: usize, cell: &Cell<'_>) {
        let attribute = self.attributes.get(column).copied().unwrap_or(usize::MAX);
        if !self.writer.cell(attribute, cell) {
            self.misfit = self.misfit.or(Some(attribute));
        }
    }

    #[inline]
    fn end_row(&mut self) {
        self.writer.end_row();
    }
}

/// A row or a value that was set aside, ready for `aliaport.rejected_row`.
#[derive(Clone, Debug)]
pub struct SetAside {
    /// The key's columns, and "rowid" where the table has one.
    pub source_key: serde_json::Value,
    /// The SQLite column with the bad value.
    pub column: Option<String>,
    /// Its storage class.
    pub storage_class: Option<&'static str>,
    /// The code that `abort` would have raised.
    pub sqlstate: SqlState,
    /// The message that `abort` would have raised.
    pub reason: String,
    /// True where the row was left out, false where only the value became NULL.
    pub is_rejected: bool,
    /// Every column's original value, as a whole value of type jsonb. What one row has several entries for is
    /// there once.
    pub row_data: Arc<Vec<u8>>,
    /// What was counted of it when it was converted, and has not landed after all: column and kind.
    pub lossy: Vec<(usize, Lossy)>,
}

/// A bad value that ends the import.
#[derive(Debug)]
pub struct RowError {
    /// The code.
    pub sqlstate: SqlState,
    /// The primary message.
    pub message: String,
    /// Where it is and what it is.
    pub detail: String,
    /// What to do.
    pub hint: String,
    /// Of a value for which another type may help: its column in the plan, and the narrowest type that takes
    /// it.
    pub wider: Option<(usize, &'static str)>,
}

/// What became of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All its cells are in the sink.
    Kept,
    /// It was set aside; the sink holds an unfinished row.
    SetAside,
}

/// What each value of a column meets.
struct Lane {
    plain: Plain,
    converter: Converter,
    is_not_null: bool,
}

/// Converts the rows of one table.
pub struct RowConverter {
    about: Arc<About>,
    lanes: Vec<Lane>,
    on_error: OnError,
    /// The number of the row at hand, from 1.
    number: u64,
    refusals: Arc<Refusals>,
    /// Rows that no page holds, by their numbers.
    too_wide: Arc<HashSet<u64>>,
    scratch: Scratch,
    /// Where rows are hashed cell by cell.
    hasher: Option<RowHasher>,
    /// For an inspector of the tuples, where there is one: what it has to know of the rows since it was told
    /// last.
    notes: Option<Notes>,
    digest: TableDigest,
    lossy: Vec<(usize, Lossy, u64)>,
    /// The same of the row at hand, which may not land.
    row_lossy: Vec<(usize, Lossy)>,
    is_recording: bool,
    set_aside: Vec<SetAside>,
}

impl RowConverter {
    /// A converter for the columns of `table`, in its order.
    #[must_use]
    pub fn new(table: &RowPlan<'_>, zone: &Zone, on_error: OnError, with_digest: bool) -> Self {
        let lanes = table
            .columns
            .iter()
            .map(|c| {
                let converter = Converter::new(&c.pg_type, &c.rules(zone));
                Lane { plain: converter.plain(), converter, is_not_null: c.is_not_null }
            })
            .collect();
        let types: Vec<&PgType> = table.columns.iter().map(|c| &c.pg_type).collect();
        RowConverter {
            about: Arc::new(About::new(table)),
            lanes,
            on_error,
            number: 0,
            refusals: Arc::default(),
            too_wide: Arc::default(),
            scratch: Scratch::default(),
            hasher: with_digest.then(|| RowHasher::new(&types).with_zone(zone)),
            notes: None,
            digest: TableDigest::default(),
            lossy: Vec::new(),
            row_lossy: Vec::new(),
            is_recording: true,
            set_aside: Vec::new(),
        }
    }

    /// What is set aside is not recorded: another converter has done that or will do it.
    #[must_use]
    pub fn without_record(mut self) -> Self {
        self.is_recording = false;
        self
    }

    /// Texts that the input function of their type is known to refuse become bad values.
    #[must_use]
    pub fn with_refusals(mut self, refusals: Arc<Refusals>) -> Self {
        self.refusals = refusals;
        self
    }

    /// Rows that are known to be too wide for a page are bad.
    #[must_use]
    pub fn with_too_wide(mut self, rows: Arc<HashSet<u64>>) -> Self {
        self.too_wide = rows;
        self
    }

    /// For a sink that forms the tuples of a table with these attributes, the columns at `positions` in it,
    /// if an inspector looks at them: it hashes them as well, where it can.
    #[must_use]
    pub fn with_inspector(mut self, attributes: &[Attribute], positions: &[usize]) -> Self {
        if digest::hashes_tuples(&self.about.types(), attributes, positions) {
            self.hasher = None;
        }
        self.notes = Some(Notes::default());
        self
    }

    /// What messages say of the rows.
    #[must_use]
    pub fn about(&self) -> Arc<About> {
        Arc::clone(&self.about)
    }

    /// What an inspector has to know of the rows since the last call; `None` where there is none.
    pub fn take_notes(&mut self) -> Option<Notes> {
        self.notes.as_mut().map(std::mem::take)
    }

    /// Says that the next row has this number in the scan, from 1.
    pub fn go_to(&mut self, number: u64) {
        self.number = number.saturating_sub(1);
    }

    /// Takes over the digest of rows that an inspector has hashed.
    pub fn absorb_digest(&mut self, digest: &TableDigest) {
        self.digest.merge(digest);
    }

    /// Takes over what another converter of the same table has counted.
    pub fn absorb(&mut self, other: &RowConverter) {
        self.digest.merge(&other.digest);
        for (column, lossy, n) in &other.lossy {
            count(&mut self.lossy, *column, *lossy, *n);
        }
    }

    /// Converts one row into `sink`.
    ///
    /// # Errors
    /// Under [`OnError::Abort`] the first bad value of the row.
    pub fn convert(&mut self, row: &Row<'_>, sink: &mut impl CellSink) -> Result<Fate, RowError> {
        sink.begin_row();
        self.number += 1;
        let first_aside = self.set_aside.len();
        self.row_lossy.clear();
        self.scratch.has_valid_texts = row.has_valid_texts();
        for (column, lane) in self.lanes.iter().enumerate() {
            let value = row.value(column);
            // Most values of many tables need no conversion; each arm is compiled for its own kind of cell.
            match (lane.plain, value) {
                (Plain::Int8, Value::Integer(v)) => {
                    plain(&mut self.hasher, sink, column, &Cell::Int8(v));
                    continue;
                }
                (Plain::Int4, Value::Integer(v)) if i32::try_from(v).is_ok() => {
                    plain(&mut self.hasher, sink, column, &Cell::Int4(v as i32));
                    continue;
                }
                (Plain::Boolean, Value::Integer(v @ (0 | 1))) => {
                    plain(&mut self.hasher, sink, column, &Cell::Bool(v == 1));
                    continue;
                }
                (Plain::Float8, Value::Real(v)) => {
                    plain(&mut self.hasher, sink, column, &Cell::Float8(v));
                    continue;
                }
                (_, Value::Null) if !lane.is_not_null => {
                    plain(&mut self.hasher, sink, column, &Cell::Null);
                    continue;
                }
                _ => {}
            }
            let refusal = match lane.plain {
                Plain::Nothing if !self.refusals.is_empty() => self.refusals.get(&(self.number, column)),
                _ => None,
            };
            let converted = match refusal {
                Some(refusal) => Err(refusal.clone()),
                None => lane.converter.convert(value, &mut self.scratch),
            };
            let bad = match converted {
                Ok(converted) => {
                    if !(lane.is_not_null && matches!(converted.cell, Cell::Null)) {
                        let is_input = matches!(converted.cell, Cell::Input(_));
                        if !is_input && let Some(hasher) = &mut self.hasher {
                            hasher.sent(column, value, &converted.cell, converted.lossy.is_some());
                        }
                        sink.cell(column, &converted.cell);
                        if is_input {
                            written(&mut self.hasher, sink, column, value, converted.lossy.is_some());
                        }
                        if let Some(lossy) = converted.lossy {
                            self.row_lossy.push((column, lossy));
                            if let Some(notes) = &mut self.notes {
                                notes.excused.insert((self.number, column));
                            }
                        }
                        continue;
                    }
                    None
                }
                Err(error) => Some(error),
            };
            let is_fatal_for_row = match (self.on_error, &bad) {
                (OnError::Abort, _) => return Err(self.about.error(row, column, bad.as_ref())),
                (OnError::Reject, _) | (OnError::Null, None) => true,
                (OnError::Null, Some(_)) => lane.is_not_null,
            };
            if self.is_recording {
                let row_data = self.row_data_once(row, first_aside)?;
                let entry = self.about.entry(row, column, bad.as_ref(), is_fatal_for_row, row_data);
                self.set_aside.push(entry);
            }
            if is_fatal_for_row {
                if let Some(hasher) = &mut self.hasher {
                    hasher.abandon_row();
                }
                if let Some(notes) = &mut self.notes {
                    notes.set_aside.push(self.number);
                }
                return Ok(Fate::SetAside);
            }
            if let Some(notes) = &mut self.notes {
                notes.excused.insert((self.number, column));
            }
            sink.cell(column, &Cell::Null);
        }
        if !self.too_wide.is_empty() && self.too_wide.contains(&self.number) {
            if self.on_error == OnError::Abort {
                return Err(self.about.too_wide_error(row));
            }
            if self.is_recording {
                let row_data = self.row_data_once(row, first_aside)?;
                self.set_aside.push(self.about.too_wide(row, row_data));
            }
            if let Some(hasher) = &mut self.hasher {
                hasher.abandon_row();
            }
            if let Some(notes) = &mut self.notes {
                notes.set_aside.push(self.number);
            }
            return Ok(Fate::SetAside);
        }
        sink.end_row();
        for (column, lossy) in &self.row_lossy {
            count(&mut self.lossy, *column, *lossy, 1);
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.end_row(&mut self.digest);
        }
        Ok(Fate::Kept)
    }

    /// The original values of the row at hand, whose first entry would be number `first`.
    #[cold]
    fn row_data_once(&self, row: &Row<'_>, first: usize) -> Result<Arc<Vec<u8>>, RowError> {
        match self.set_aside.get(first) {
            Some(entry) => Ok(Arc::clone(&entry.row_data)),
            None => self.about.row_data(row),
        }
    }

    /// The digest of all rows that were kept.
    #[must_use]
    pub fn digest(&self) -> &TableDigest {
        &self.digest
    }

    /// Values that landed but are not the same: column, what happened, how often.
    pub fn lossy(&self) -> impl Iterator<Item = (&ColumnPlan, Lossy, u64)> {
        self.lossy.iter().map(|(column, lossy, n)| (&self.about.columns[*column], *lossy, *n))
    }

    /// What the last row that was kept has lost: column and kind.
    #[must_use]
    pub fn row_lossy(&self) -> &[(usize, Lossy)] {
        &self.row_lossy
    }

    /// Takes what was set aside since the last call.
    pub fn take_set_aside(&mut self) -> Vec<SetAside> {
        std::mem::take(&mut self.set_aside)
    }

    /// The key as `aliaport.rejected_row` keeps it.
    #[must_use]
    pub fn key_json(&self, row: &Row<'_>) -> serde_json::Value {
        self.about.key_json(row)
    }

    /// Every column's original value, as a whole value of type jsonb.
    ///
    /// # Errors
    /// For a row that is too long for that.
    pub fn row_data(&self, row: &Row<'_>) -> Result<Arc<Vec<u8>>, RowError> {
        self.about.row_data(row)
    }
}

/// Passes on a cell that is the source's value.
#[inline(always)] // each caller knows the kind of cell
fn plain(hasher: &mut Option<RowHasher>, sink: &mut impl CellSink, column: usize, cell: &Cell<'_>) {
    if let Some(hasher) = hasher {
        hasher.read_back(column, cell);
    }
    sink.cell(column, cell);
}

/// Hashes the text that an input function has read, by what the output function writes of it.
#[inline(never)] // off the path of types that have a converter
fn written(
    hasher: &mut Option<RowHasher>,
    sink: &mut impl CellSink,
    column: usize,
    value: Value<'_>,
    is_lossy: bool,
) {
    if let Some(hasher) = hasher {
        hasher.sent(column, value, &Cell::Varlena(sink.written(column)), is_lossy);
    }
}

fn count(counts: &mut Vec<(usize, Lossy, u64)>, column: usize, lossy: Lossy, n: u64) {
    match counts.iter_mut().find(|(c, l, _)| *c == column && *l == lossy) {
        Some((_, _, known)) => *known += n,
        None => counts.push((column, lossy, n)),
    }
}
