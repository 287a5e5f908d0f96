//! The bulk path: rows of one SQLite table straight into one plain heap table.
//!
//! `table_multi_insert` checks nothing, so this file does: NOT NULL and types are the converter's work, CHECK constraints
//! are PostgreSQL's own (`ExecConstraints`), and tables with anything else that an INSERT would do (triggers,
//! partitions, row security, domains) are filled from a temporary table instead ([`super::stage`]); see
//! `target::path_of`.
//!
//! A thread scans, converts and forms heap tuples ([`super::reader`]); this side only writes them. Tables with a column
//! whose type only its own input function can read are converted here, without a thread.
#![allow(unsafe_code)] // calls PostgreSQL's table access, executor and memory functions

use std::cell::Cell as Shared;
use std::sync::Arc;

use aliaport_plan::convert::Zone;
use aliaport_plan::digest::TableDigest;
use aliaport_plan::inspect::Inspector;
use aliaport_plan::pg_type::PgType;
use aliaport_plan::plan::TablePlan;
use aliaport_plan::tuple::{self, Writer};
use aliaport_plan::value::Cell;
use aliaport_sqlite::ExclusiveReader;
use pgrx::pg_sys;

use super::datum::{self, Arena};
use super::error::{self, Error, Result};
use super::guc;
use super::input::Input;
use super::interrupt;
use super::progress;
use super::readback::{Arrivals, is_same_tuple};
use super::reader::{self, Batch};
use super::relation::{self, Column};
use super::row::{CellSink, Fate, Former, OnError, Refusals, RowConverter, RowError, SetAside};

/// Rows a multi-insert at most, and bytes of tuple data after which a batch ends: the numbers of PostgreSQL's COPY
/// (MAX_BUFFERED_TUPLES and MAX_BUFFERED_BYTES in copyfrom.c), which are chosen so that a batch stays in cache.
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
    /// Compute the content digest.
    pub with_digest: bool,
    /// Receives rows and values that were set aside, a batch at a time.
    pub set_aside: &'a mut dyn FnMut(Vec<SetAside>) -> Result<()>,
}

impl Policy<'_> {
    fn converter(&self, plan: &TablePlan) -> RowConverter {
        RowConverter::new(plan, self.zone, self.on_error, self.with_digest)
            .with_refusals(Arc::clone(&self.refusals))
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
    /// The digest of what is stored, where the load could read it back on the way.
    pub stored: Option<TableDigest>,
    /// The converter, with the digest and the lossy counts.
    pub converter: RowConverter,
}

/// Loads every row that `reader` gives into the table `oid`, which must have nothing that `target::path_of` names.
///
/// `is_new` says that the table was made or truncated by this run: its rows are then written frozen and its pages
/// all-visible. Nothing of this transaction can hold a snapshot that could see such a table without its rows.
pub fn bulk(
    reader: ExclusiveReader<'_>,
    plan: &TablePlan,
    oid: pg_sys::Oid,
    is_new: bool,
    mut policy: Policy<'_>,
) -> Result<Loaded> {
    // The row at hand, for errors that PostgreSQL raises.
    let at = Shared::new(Place::default());
    error::located(
        || at.get().shown(&plan.source),
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

/// Whether a load of this table takes formed tuples from the reader thread. The rows are the same either way, so only this tells.
#[cfg(feature = "pg_test")]
pub fn takes_images(oid: pg_sys::Oid, plan: &TablePlan) -> Result<bool> {
    let mut heap = Heap::open(oid, plan, false, false)?;
    let takes_images = heap.takes_images(plan);
    heap.close();
    Ok(takes_images)
}

/// Where a load is, for errors that PostgreSQL raises.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// The row's number in the scan, from 1.
    read: u64,
    /// Its rowid.
    rowid: Option<i64>,
    /// False where a batch is being written, which may hold the culprit a few rows earlier.
    is_exact: bool,
}

impl Place {
    /// A sentence for DETAIL.
    fn shown(&self, table: &str) -> String {
        let Place { read, rowid, is_exact } = *self;
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
    Error::new(error::code(error.sqlstate), error.message).detail(error.detail).hint(error.hint)
}

unsafe extern "C-unwind" {
    /// executor/execTuples.c, without pgrx's guard: for loops inside one.
    fn ExecStoreHeapTuple(
        tuple: pg_sys::HeapTuple,
        slot: *mut pg_sys::TupleTableSlot,
        should_free: bool,
    ) -> *mut pg_sys::TupleTableSlot;

    /// executor/nodeModifyTable.c, which pgrx has no binding for; the same in PostgreSQL 14 to 18. Leaves a tuple of its own in the slot.
    fn ExecComputeStoredGenerated(
        result_relation: *mut pg_sys::ResultRelInfo,
        estate: *mut pg_sys::EState,
        slot: *mut pg_sys::TupleTableSlot,
        command: pg_sys::CmdType::Type,
    );
}

/// One open heap table and the batch that is being written to it.
struct Heap {
    relation: pg_sys::Relation,
    columns: Vec<Column>,
    inputs: Vec<Option<Input>>,
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
    /// Made or truncated by this run.
    is_new: bool,
    /// What a batch allocates in PostgreSQL: formed tuples, TOAST work, values of input functions.
    batch_context: pg_sys::MemoryContext,
    /// Set where the table has CHECK constraints or stored generated columns.
    checks: Option<Checks>,
}

struct Checks {
    /// Rows have stored generated columns, which are computed before they are checked.
    has_generated: bool,
    /// A row that breaks a constraint ends the import; else such rows are looked for afterwards.
    is_checked: bool,
    estate: *mut pg_sys::EState,
    result_relation: *mut pg_sys::ResultRelInfo,
}

impl Heap {
    fn open(oid: pg_sys::Oid, plan: &TablePlan, is_new: bool, is_checked: bool) -> Result<Self> {
        // SAFETY: the relation exists and this transaction may write to it (its owner is the caller, or its privileges were
        // checked); everything made here is released by `close` or, on an error, by the end of the (sub)transaction.
        unsafe {
            let open = pg_sys::table_open(oid, pg_sys::RowExclusiveLock as pg_sys::LOCKMODE);
            let columns = relation::columns(open, plan)?;
            let inputs = plan
                .columns
                .iter()
                .zip(&columns)
                .map(|(p, c)| {
                    matches!(p.pg_type, PgType::Other { .. })
                        .then(|| Input::of_column(p, c.type_oid, c.typmod))
                })
                .collect();
            let constraints = (*(*open).rd_att).constr;
            let has_generated = !constraints.is_null() && (*constraints).has_generated_stored;
            let has_checks = !constraints.is_null() && (*constraints).num_check > 0;
            let checks = (is_checked && has_checks || has_generated).then(|| {
                let estate = pg_sys::CreateExecutorState();
                let result_relation = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
                pg_sys::InitResultRelInfo(result_relation, open, 0, std::ptr::null_mut(), 0);
                Checks { has_generated, is_checked, estate, result_relation }
            });
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
                slots: vec![std::ptr::null_mut(); BATCH_ROWS],
                filled: 0,
                bytes: 0,
                arena: Arena::default(),
                tuple_slots: Vec::new(),
                tuples: Vec::new(),
                bulk_insert: pg_sys::GetBulkInsertState(),
                command: pg_sys::GetCurrentCommandId(true),
                options,
                is_new,
                batch_context,
                checks,
            })
        }
    }

    fn takes_images(&mut self, plan: &TablePlan) -> bool {
        let needs_input = plan.columns.iter().any(|c| matches!(c.pg_type, PgType::Other { .. }));
        guc::tuple_images() && !needs_input && self.images_are_right(plan)
    }

    /// Loads with the reader thread: tuples arrive formed.
    fn load_images(
        &mut self,
        reader: ExclusiveReader<'_>,
        plan: &TablePlan,
        policy: &mut Policy<'_>,
        at: &Shared<Place>,
    ) -> Result<Loaded> {
        // SAFETY: the relation is open.
        let attributes = unsafe { relation::attributes(self.relation) };
        let positions: Vec<usize> = self.columns.iter().map(|c| c.index).collect();
        let layout = tuple::Layout::new(attributes.clone());
        let workers = (0..guc::converters())
            .map(|_| {
                let former = Former::new(Writer::new(layout.clone()), positions.clone());
                let converter = policy.converter(plan);
                if !policy.with_digest {
                    return reader::Worker { converter, former, inspector: None };
                }
                let inspector = Inspector::new(converter.about(), &attributes, &positions, policy.zone);
                let converter = converter.with_inspector(&attributes, &positions);
                reader::Worker { converter, former, inspector: Some(inspector) }
            })
            .collect();
        // A temporary table is only a stage: what counts is read back from where its rows go.
        // SAFETY: the relation is open.
        let is_stage =
            unsafe { (*(*self.relation).rd_rel).relpersistence as u8 == pg_sys::RELPERSISTENCE_TEMP };
        let mut arrivals = if policy.with_digest && self.is_new && !is_stage {
            // SAFETY: the relation is open, and the memory context of the call outlives the load.
            Some(unsafe { Arrivals::new(self.relation, plan)? })
        } else {
            None
        };
        let with_rowids = self.checks.is_some();
        let set_aside = &mut *policy.set_aside;
        let finished = reader::scan(reader, workers, with_rowids, |batch| {
            let (read, rowid) = batch.last;
            at.set(Place { read, rowid, is_exact: false });
            progress::rows(read);
            self.write_images(batch, arrivals.as_mut(), at);
            if batch.set_aside.is_empty() {
                return Ok(());
            }
            set_aside(std::mem::take(&mut batch.set_aside))
        })?;
        // Rows that are all there as they were sent have the digest that was sent.
        let sent = *finished.converter.digest();
        let stored = arrivals.and_then(|arrivals| (arrivals.finish() == sent.rows).then_some(sent));
        Ok(Loaded {
            source_rows: finished.read,
            imported_rows: finished.read - finished.rejected,
            rejected_rows: finished.rejected,
            stored,
            converter: finished.converter,
        })
    }

    /// Loads without a thread: cells become datums, and PostgreSQL forms the tuples.
    fn load_datums(
        &mut self,
        mut reader: ExclusiveReader<'_>,
        plan: &TablePlan,
        policy: &mut Policy<'_>,
        at: &Shared<Place>,
    ) -> Result<Loaded> {
        let mut converter = policy.converter(plan);
        let (mut read, mut rejected) = (0, 0);
        while let Some(row) = reader.next()? {
            read += 1;
            at.set(Place { read, rowid: row.rowid(), is_exact: true });
            match converter.convert(&row, self).map_err(row_error)? {
                Fate::Kept => {}
                Fate::SetAside => rejected += 1,
            }
            if self.filled >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
                at.set(Place { is_exact: false, ..at.get() });
                self.flush();
                interrupt::check();
                progress::rows(read);
            }
            let aside = converter.take_set_aside();
            if !aside.is_empty() {
                (policy.set_aside)(aside)?;
            }
        }
        at.set(Place { is_exact: false, ..at.get() });
        self.flush();
        Ok(Loaded {
            source_rows: read,
            imported_rows: read - rejected,
            rejected_rows: rejected,
            stored: None,
            converter,
        })
    }

    /// Compares images with what this server's `heap_form_tuple` makes of the same cells, once a table: with every column
    /// filled, and with every other column NULL.
    fn images_are_right(&mut self, plan: &TablePlan) -> bool {
        // SAFETY: the relation is open.
        let mut writer = Writer::new(tuple::Layout::new(unsafe { relation::attributes(self.relation) }));
        // SAFETY: the relation is open; values and nulls have one entry an attribute; the tuple lives in the batch context
        // and is compared before that is reset.
        unsafe {
            let descriptor = (*self.relation).rd_att;
            let natts = (*descriptor).natts as usize;
            for skip in [usize::MAX, 0, 1] {
                let mut values = vec![pg_sys::Datum::null(); natts];
                let mut nulls = vec![true; natts];
                writer.begin_row();
                for (i, column) in self.columns.iter().enumerate() {
                    if i % 2 == skip {
                        continue;
                    }
                    let cell = sample(&plan.columns[i].pg_type, i);
                    let Some(value) = datum::to_datum(&cell, &mut self.arena) else { return false };
                    values[column.index] = value;
                    nulls[column.index] = false;
                    if !writer.cell(column.index, &cell) {
                        return false;
                    }
                }
                writer.end_row();
                let outer = pg_sys::MemoryContextSwitchTo(self.batch_context);
                let formed = pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
                pg_sys::MemoryContextSwitchTo(outer);
                let theirs =
                    std::slice::from_raw_parts((*formed).t_data.cast::<u8>(), (*formed).t_len as usize);
                let images = writer.images();
                let Some((start, length)) = images.spans().last().copied() else { return false };
                let ours = &images.bytes()[start..start + length];
                if !is_same_tuple(ours, theirs) {
                    return false;
                }
            }
            pg_sys::MemoryContextReset(self.batch_context);
        }
        self.arena.reset();
        true
    }

    /// Writes formed tuples. The insert fills their header fields in place.
    #[allow(ffi_unwind_calls)] // inside pg_guard_ffi_boundary, which is where an error of PostgreSQL ends
    fn write_images(&mut self, batch: &mut Batch, mut arrivals: Option<&mut Arrivals>, at: &Shared<Place>) {
        let Batch { images, rowids, .. } = batch;
        // Rows are checked only where a bad one ends the import, so that none of the scan is missing here.
        let first = (at.get().read + 1).saturating_sub(rowids.len() as u64);
        let mut rows = (first..).zip(rowids.iter());
        let spans = images.spans().to_vec();
        let base = images.bytes_mut().as_mut_ptr();
        // The allocator aligns to 16 in practice; tuples must be aligned to 8, so a start that is not is moved.
        let mut moved: Vec<u64> = Vec::new();
        let base = if base.align_offset(8) == 0 {
            base
        } else {
            moved.resize(images.size().div_ceil(8), 0);
            let to: *mut u8 = moved.as_mut_ptr().cast();
            // SAFETY: `moved` has at least as many bytes as the images, and the two do not overlap.
            unsafe { to.copy_from_nonoverlapping(base, images.size()) };
            to
        };
        for chunk in spans.chunks(BATCH_ROWS) {
            // SAFETY: every span lies within the images and begins at a multiple of 8 from an aligned base. The slots are heap
            // tuple slots of this table. TTS_FLAG_SHOULDFREE keeps the insert from copying a tuple that it may use in place; it
            // is cleared, and the pointer removed, before anything could free it. An error in between leaves the slots to a
            // memory context that is deleted without looking into them.
            unsafe {
                let oid = (*self.relation).rd_id;
                self.tuples.clear();
                self.tuples.extend(chunk.iter().map(|(start, length)| pg_sys::HeapTupleData {
                    t_len: *length as u32,
                    t_self: pg_sys::ItemPointerData::default(),
                    t_tableOid: oid,
                    t_data: base.add(*start).cast(),
                }));
                while self.tuple_slots.len() < chunk.len() {
                    self.tuple_slots.push(pg_sys::MakeSingleTupleTableSlot(
                        (*self.relation).rd_att,
                        &raw const pg_sys::TTSOpsHeapTuple,
                    ));
                }
                let (tuples, slots) = (&mut self.tuples, &self.tuple_slots[..chunk.len()]);
                // A row with generated columns is formed again by PostgreSQL, and its slot owns it then.
                let is_ours = !self.checks.as_ref().is_some_and(|checks| checks.has_generated);
                let keep = if is_ours { pg_sys::TTS_FLAG_SHOULDFREE as u16 } else { 0 };
                // One guard for all rows: pgrx's own around each call costs as much as the call.
                pg_sys::ffi::pg_guard_ffi_boundary(|| {
                    for (tuple, slot) in tuples.iter_mut().zip(slots) {
                        ExecStoreHeapTuple(tuple, *slot, false);
                        (**slot).tts_flags |= keep;
                    }
                });
                if let Some(checks) = &self.checks {
                    let batch = at.get();
                    for slot in slots {
                        if let Some((read, rowid)) = rows.next() {
                            at.set(Place { read, rowid: *rowid, is_exact: true });
                        }
                        checks.verify(self.relation, *slot);
                    }
                    at.set(batch);
                }
                let outer = pg_sys::MemoryContextSwitchTo(self.batch_context);
                pg_sys::table_multi_insert(
                    self.relation,
                    self.tuple_slots.as_mut_ptr(),
                    chunk.len() as i32,
                    self.command,
                    self.options,
                    self.bulk_insert,
                );
                let slots = &self.tuple_slots[..chunk.len()];
                if let Some(arrivals) = arrivals.as_deref_mut() {
                    arrivals.compare(self.relation, slots, &self.tuples);
                }
                pg_sys::ffi::pg_guard_ffi_boundary(|| {
                    for slot in slots {
                        (**slot).tts_flags &= !keep;
                        if let Some(clear) = (*(**slot).tts_ops).clear {
                            clear(*slot);
                        }
                    }
                });
                pg_sys::MemoryContextSwitchTo(outer);
                pg_sys::MemoryContextReset(self.batch_context);
            }
        }
    }

    /// Writes the batch of datums.
    fn flush(&mut self) {
        if self.filled == 0 {
            return;
        }
        // SAFETY: the first `filled` slots hold virtual tuples whose datums live in the arena or the batch context, both of
        // which outlive the call. table_multi_insert allocates in the current context, which is reset afterwards.
        unsafe {
            let outer = pg_sys::MemoryContextSwitchTo(self.batch_context);
            pg_sys::table_multi_insert(
                self.relation,
                self.slots.as_mut_ptr(),
                self.filled as i32,
                self.command,
                self.options,
                self.bulk_insert,
            );
            for slot in &self.slots[..self.filled] {
                pg_sys::ExecClearTuple(*slot);
            }
            pg_sys::MemoryContextSwitchTo(outer);
            pg_sys::MemoryContextReset(self.batch_context);
        }
        self.arena.reset();
        self.filled = 0;
        self.bytes = 0;
    }

    fn close(self) {
        // SAFETY: everything was made by `open` or since and is released once; the lock is kept until the transaction ends.
        unsafe {
            for slot in self.slots.iter().chain(&self.tuple_slots).filter(|s| !s.is_null()) {
                pg_sys::ExecDropSingleTupleTableSlot(*slot);
            }
            pg_sys::FreeBulkInsertState(self.bulk_insert);
            pg_sys::table_finish_bulk_insert(self.relation, self.options);
            if let Some(checks) = self.checks {
                pg_sys::FreeExecutorState(checks.estate);
            }
            pg_sys::MemoryContextDelete(self.batch_context);
            pg_sys::table_close(self.relation, pg_sys::NoLock as pg_sys::LOCKMODE);
        }
    }
}

impl Checks {
    /// Computes generated columns, then raises where a CHECK constraint is false (23514) or a NOT NULL is broken (23502).
    ///
    /// # Safety
    /// `slot` holds a row of `relation`, which is the one these checks were made for.
    unsafe fn verify(&self, relation: pg_sys::Relation, slot: *mut pg_sys::TupleTableSlot) {
        // SAFETY: the caller's promise; the executor state lives until the heap is closed.
        unsafe {
            (*slot).tts_tableOid = (*relation).rd_id;
            if self.has_generated {
                #[allow(ffi_unwind_calls)] // inside the guard
                pg_sys::ffi::pg_guard_ffi_boundary(|| {
                    ExecComputeStoredGenerated(
                        self.result_relation,
                        self.estate,
                        slot,
                        pg_sys::CmdType::CMD_INSERT,
                    );
                });
            }
            if self.is_checked {
                pg_sys::ExecConstraints(self.result_relation, slot, self.estate);
            }
            super::compat::reset_per_tuple(self.estate);
        }
    }
}

impl CellSink for Heap {
    fn begin_row(&mut self) {
        // SAFETY: `filled` is below BATCH_ROWS, because a full batch is flushed before the next row. A slot is made the first
        // time it is needed and has one entry an attribute.
        unsafe {
            let slot = &mut self.slots[self.filled];
            if slot.is_null() {
                *slot = pg_sys::table_slot_create(self.relation, std::ptr::null_mut());
            } else {
                pg_sys::ExecClearTuple(*slot);
            }
            let attributes = (*(*self.relation).rd_att).natts as usize;
            std::slice::from_raw_parts_mut((**slot).tts_isnull, attributes).fill(true);
        }
    }

    fn cell(&mut self, column: usize, cell: &Cell<'_>) {
        let value = match (cell, &mut self.inputs[column]) {
            (Cell::Null, _) => return,
            (Cell::Input(text), Some(input)) => input.read_cell(text, self.batch_context),
            (cell, _) => match datum::to_datum(cell, &mut self.arena) {
                Some(value) => value,
                None => return,
            },
        };
        self.bytes += match cell {
            Cell::Varlena(payload) | Cell::Input(payload) => payload.len() + 4,
            _ => 8,
        };
        let index = self.columns[column].index;
        // SAFETY: the slot was made by `begin_row` and `index` is below its number of attributes.
        unsafe {
            let slot = self.slots[self.filled];
            *(*slot).tts_values.add(index) = value;
            *(*slot).tts_isnull.add(index) = false;
        }
    }

    fn end_row(&mut self) {
        let slot = self.slots[self.filled];
        // SAFETY: `begin_row` made and cleared the slot and set every attribute to NULL, and `cell` filled those that have a
        // value, so a virtual tuple can be stored.
        unsafe {
            pg_sys::ExecStoreVirtualTuple(slot);
            if let Some(checks) = &self.checks {
                checks.verify(self.relation, slot);
            }
        }
        self.filled += 1;
    }
}

/// A cell of a type, to try the layout with: varlenas are long in one column and short in the next.
fn sample(pg_type: &PgType, column: usize) -> Cell<'static> {
    match pg_type {
        PgType::Boolean => Cell::Bool(true),
        PgType::SmallInt => Cell::Int2(-2),
        PgType::Integer => Cell::Int4(-3),
        PgType::BigInt => Cell::Int8(-4),
        PgType::Real => Cell::Float4(1.5),
        PgType::DoublePrecision => Cell::Float8(2.5),
        PgType::Date => Cell::Date(8000),
        PgType::Time(_) => Cell::Time(1),
        PgType::Timestamp(_) | PgType::TimestampTz(_) => Cell::Timestamp(1),
        PgType::Uuid => Cell::Uuid([7; 16]),
        PgType::Enum { labels, .. } => Cell::Enum(labels.first().map_or(1, |(_, oid)| *oid)),
        // 126 bytes is the longest payload with a one-byte header.
        _ => Cell::Varlena(&[b'x'; 127][..if column.is_multiple_of(3) { 127 } else { column % 127 }]),
    }
}
