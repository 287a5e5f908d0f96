//! The bulk path: rows of one SQLite table straight into one plain heap table.
//!
//! `table_multi_insert` checks nothing, so this file does: NOT NULL and types are the converter's work, CHECK
//! constraints are PostgreSQL's own (`ExecConstraints`), and tables with anything else that an INSERT would
//! do (triggers, partitions, row security, domains) are filled from a temporary table instead
//! ([`crate::pg::table::stage`]); see `table::load_path`.
//!
//! Threads scan, convert, form heap tuples and inspect them ([`super::pipeline`]); this side only writes them
//! ([`images`]). Tables with a column whose type only its own input function can read are converted here,
//! without a thread ([`datums`]).
#![allow(unsafe_code)] // calls PostgreSQL's table access, executor and memory functions

mod constraints;
mod datums;
mod images;

use std::cell::Cell as Shared;
use std::collections::HashSet;
use std::sync::Arc;

use aliaport_plan::plan::TablePlan;
use aliaport_rows::convert::Zone;
use aliaport_rows::digest::TableDigest;
use aliaport_sqlite::SendReader;
use pgrx::pg_sys;

use self::constraints::Checks;
use super::datum::Arena;
use super::input::Input;
use super::matching::Matcher;
use super::output::Output;
use super::relation::{self, Column};
use crate::pg::server::error::{self, Error, Result};
use aliaport_rows::row::{OnError, Refusals, RowConverter, RowError, SetAside};

/// Rows a multi-insert at most, and bytes of tuple data after which a batch ends: the numbers of PostgreSQL's
/// COPY (MAX_BUFFERED_TUPLES and MAX_BUFFERED_BYTES in copyfrom.c), which are chosen so that a batch stays in
/// cache.
const BATCH_ROWS: usize = 1000;
const BATCH_BYTES: usize = 65_535;

/// How a load treats bad values and what it computes on the way.
pub struct Policy<'a> {
    /// What happens to a value that its column cannot hold.
    pub on_error: OnError,
    /// The time zone of naive datetimes.
    pub zone: &'a Zone,
    /// Values that the input functions of their types refuse.
    pub refusals: Arc<Refusals>,
    /// Rows that no page holds.
    pub too_wide: Arc<HashSet<u64>>,
    /// Compute the content digest.
    pub with_digest: bool,
    /// Receives rows and values that were set aside, a batch at a time.
    pub set_aside: &'a mut dyn FnMut(Vec<SetAside>) -> Result<()>,
    /// Takes out the rows that the table has already for which these wait.
    pub matcher: Option<&'a mut Matcher>,
}

impl Policy<'_> {
    fn converter(&self, plan: &TablePlan) -> RowConverter {
        RowConverter::new(&plan.row_plan(), self.zone, self.on_error, self.with_digest)
            .with_refusals(Arc::clone(&self.refusals))
            .with_too_wide(Arc::clone(&self.too_wide))
    }
}

/// What a load did.
pub struct Loaded {
    /// Rows read from the source.
    pub source_rows: u64,
    /// Rows written.
    pub imported_rows: u64,
    /// Rows set aside.
    pub rejected_rows: u64,
    /// The digest of the rows that were written, where each was found in the table as it was sent.
    pub stored: Option<TableDigest>,
    /// The converter, with the digest and the lossy counts.
    pub converter: RowConverter,
}

/// Loads every row that `reader` gives into the table `oid`, which must have nothing that `table::load_path`
/// names.
///
/// `is_new` says that the table was made or truncated by this run: its rows are then written frozen and its
/// pages all-visible. Nothing of this transaction can hold a snapshot that could see such a table without its
/// rows.
pub fn bulk(
    reader: SendReader<'_>,
    plan: &TablePlan,
    oid: pg_sys::Oid,
    is_new: bool,
    mut policy: Policy<'_>,
) -> Result<Loaded> {
    // The row at hand, for errors that PostgreSQL raises.
    let at = Shared::new(LoadPosition::default());
    let on_error = policy.on_error;
    error::located_with_step(
        |code| match error::is_about_a_row(code) {
            true => at.get().sentence(&plan.source),
            false => format!("SQLite table \"{}\", while its rows were written.", plan.source),
        },
        |code| error::next_step(code, on_error).to_owned(),
        || {
            // Else `check` finds the rows that break a constraint, when all are there.
            let is_checked = policy.on_error == OnError::Abort;
            let mut heap = Heap::open(oid, plan, is_new, is_checked)?;
            let loaded = if heap.takes_images(plan) {
                heap.load_images(reader, plan, &mut policy, &at)?
            } else {
                heap.load_datums(reader, plan, &mut policy, &at)?
            };
            heap.close();
            Ok(loaded)
        },
    )
}

/// Whether a load of this table takes formed tuples from the reader thread. The rows are the same either way,
/// so only this tells.
#[cfg(feature = "pg_test")]
pub fn takes_images(oid: pg_sys::Oid, plan: &TablePlan) -> Result<bool> {
    let mut heap = Heap::open(oid, plan, false, false)?;
    let takes_images = heap.takes_images(plan);
    heap.close();
    Ok(takes_images)
}

/// Where a load is, for errors that PostgreSQL raises.
#[derive(Clone, Copy, Debug, Default)]
struct LoadPosition {
    /// The row's number in the scan, from 1.
    read: u64,
    /// Its rowid.
    rowid: Option<i64>,
    /// False where a batch is being written, which may hold the culprit a few rows earlier.
    is_exact: bool,
}

impl LoadPosition {
    /// A sentence for DETAIL.
    fn sentence(&self, table: &str) -> String {
        let LoadPosition { read, rowid, is_exact } = *self;
        let nearness = if is_exact { "" } else { "at or shortly before " };
        match rowid {
            Some(rowid) => {
                format!("SQLite table \"{table}\", {nearness}rowid {rowid} (row {read} of the scan).")
            }
            None => format!("SQLite table \"{table}\", {nearness}row {read} of the scan."),
        }
    }
}

/// The PostgreSQL error of a bad value.
pub fn row_error(error: RowError) -> Error {
    Error::new(error::code(error.sqlstate), error.message)
        .detail(error.detail)
        .hint(error.hint)
        .of_value(error.wider)
}

/// One open heap table and the batch that is being written to it.
pub struct Heap {
    relation: pg_sys::Relation,
    columns: Vec<Column>,
    /// Functions of the types that have no converter.
    inputs: Vec<Option<(Input, Output)>>,
    /// The value that the last of these input functions read, and what its output function wrote of it.
    last_read: pg_sys::Datum,
    written: Vec<u8>,
    /// Slots for datums, made when they are first needed.
    slots: Vec<*mut pg_sys::TupleTableSlot>,
    filled: usize,
    bytes: usize,
    arena: Arena,
    /// Slots for formed tuples, and the headers that they point to.
    tuple_slots: Vec<*mut pg_sys::TupleTableSlot>,
    tuples: Vec<pg_sys::HeapTupleData>,
    bulk_insert: pg_sys::BulkInsertState,
    command: pg_sys::CommandId,
    options: i32,
    /// What a batch allocates in PostgreSQL: formed tuples, TOAST work, values of input functions.
    batch_context: pg_sys::MemoryContext,
    /// Set where the table has CHECK constraints or stored generated columns.
    checks: Option<Checks>,
}

impl Heap {
    /// Opens a table for the rows of a plan. `is_new`: this transaction made it, so rows may be frozen from
    /// the start; `is_checked`: its CHECK constraints are evaluated here.
    ///
    /// # Errors
    /// A column that the plan names and the table does not have.
    pub fn open(oid: pg_sys::Oid, plan: &TablePlan, is_new: bool, is_checked: bool) -> Result<Self> {
        // SAFETY: the relation exists and this transaction may write to it (its owner is the caller, or its
        // privileges were checked); everything made here is released by `close` or, on an error, by the end
        // of the (sub)transaction.
        unsafe {
            let open = pg_sys::table_open(oid, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE);
            let columns = relation::columns(open, plan)?;
            let inputs = plan
                .columns
                .iter()
                .zip(&columns)
                .map(|(p, c)| {
                    p.pg_type.needs_input().then(|| {
                        let output = Output::of_type(c.type_oid, pg_sys::CurrentMemoryContext);
                        (Input::of_column(p, c.type_oid, c.typmod), output)
                    })
                })
                .collect();
            let mut options = pg_sys::TABLE_INSERT_SKIP_FSM as i32;
            if is_new {
                options |= pg_sys::TABLE_INSERT_FROZEN as i32;
            }
            let batch_context = pg_sys::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"aliaport_import batch".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            Ok(Heap {
                relation: open,
                columns,
                inputs,
                last_read: pg_sys::Datum::null(),
                written: Vec::new(),
                slots: vec![std::ptr::null_mut(); BATCH_ROWS],
                filled: 0,
                bytes: 0,
                arena: Arena::default(),
                tuple_slots: Vec::new(),
                tuples: Vec::new(),
                bulk_insert: pg_sys::GetBulkInsertState(),
                command: pg_sys::GetCurrentCommandId(true),
                options,
                batch_context,
                checks: Checks::open(open, is_checked),
            })
        }
    }

    /// Ends the insert. The lock is kept until the transaction ends.
    pub fn close(self) {
        // SAFETY: everything was made by `open` or since and is released once; the lock is kept until the
        // transaction ends.
        unsafe {
            for slot in self.slots.iter().chain(&self.tuple_slots).filter(|s| !s.is_null()) {
                pg_sys::ExecDropSingleTupleTableSlot(*slot);
            }
            pg_sys::FreeBulkInsertState(self.bulk_insert);
            pg_sys::table_finish_bulk_insert(self.relation, self.options);
            if let Some(checks) = self.checks {
                checks.close();
            }
            pg_sys::MemoryContextDelete(self.batch_context);
            pg_sys::table_close(self.relation, pg_sys::NoLock as pg_sys::LOCKMODE);
        }
    }
}
