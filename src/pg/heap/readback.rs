//! Reads a loaded table back and computes the same digest that the load computed of what it sent.
//!
//! [`visit`] shows the rows that a query of the table would return: from the heap where the planner would
//! scan that very heap, else from the executor. [`Arrivals`] looks at the rows of a load one by one, right
//! after each batch of them was written: their pages are in shared buffers then.
#![allow(unsafe_code)] // scans a table with PostgreSQL's table access functions, and reads the executor's slots

use std::cell::RefCell;
use std::ops::ControlFlow;

use aliaport_plan::plan::TablePlan;
use aliaport_rows::digest::{RowHasher, TableDigest};
use aliaport_rows::identifier::quote_list;
use aliaport_rows::pg_type::{PgType, Storage};
use aliaport_rows::tuple::deform::{Deformer, PAGE_LOWER, Stored, pointer_at, tuple_span};
use aliaport_rows::value::Cell;
use pgrx::pg_sys;

use super::datum;
use super::output::Output;
use super::relation::{self, Column};
use super::standing::{self, Standing};
use crate::pg::server::error::Result;
use crate::pg::server::{interrupt, spi};

/// Rows between two resets of the memory that detoasting uses, and between two looks at the interrupt flags.
const ROWS_BETWEEN_RESETS: u64 = 256;
/// The same in bytes, for rows with large values.
const BYTES_BETWEEN_RESETS: pg_sys::Size = 16 << 20;

/// The digest of every visible row of the table `oid`, as the columns of `plan` see it.
pub fn digest(oid: pg_sys::Oid, plan: &TablePlan) -> Result<TableDigest> {
    let mut digest = TableDigest::default();
    rows(oid, plan, |_, row| digest.merge(&row))?;
    Ok(digest)
}

/// A row's place in its table: block and offset (`ctid`).
pub type RowPlace = (u32, u16);

/// Every visible row of the table `oid` with its place and with the digest of that row alone. Its rows are in
/// its own heap: it is a stage, or was filled by the bulk path.
pub fn rows(oid: pg_sys::Oid, plan: &TablePlan, mut each: impl FnMut(RowPlace, TableDigest)) -> Result<()> {
    let types: Vec<&PgType> = plan.columns.iter().map(|c| &c.pg_type).collect();
    let mut hasher = RowHasher::new(&types);
    visit(oid, plan, Sight::Latest, |row| {
        for column in 0..types.len() {
            hasher.read_back(column, &row.cell(column));
        }
        let mut digest = TableDigest::default();
        hasher.end_row(&mut digest);
        each(row.place(), digest);
        ControlFlow::Continue(())
    })
}

/// Which rows of a table are visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// What is committed now, and all that this transaction has done so far.
    Latest,
    /// What the statement sees that called us, as every query of SPI in it does that only reads.
    Statement,
}

/// One row of a table, valid while it is visited.
pub struct StoredRow<'a> {
    slot: *mut pg_sys::TupleTableSlot,
    columns: &'a [Column],
    types: &'a [&'a PgType],
    outputs: &'a Outputs,
}

/// The output functions of the columns whose types have no converter.
struct Outputs(RefCell<Vec<Option<Output>>>);

impl Outputs {
    /// # Safety
    /// `context` is a memory context that lives as long as the result.
    unsafe fn of_unconverted(columns: &[Column], types: &[&PgType], context: pg_sys::MemoryContext) -> Self {
        let of = |(column, pg_type): (&Column, &&PgType)| {
            // SAFETY: the caller's promise.
            pg_type.needs_input().then(|| unsafe { Output::of_type(column.type_oid, context) })
        };
        Outputs(RefCell::new(columns.iter().zip(types).map(of).collect()))
    }

    /// # Safety
    /// As for [`Output::write`], of a value of the column with this number.
    unsafe fn write<'a>(&self, column: usize, value: pg_sys::Datum) -> Cell<'a> {
        match self.0.borrow_mut().get_mut(column) {
            // SAFETY: the caller's promise.
            Some(Some(output)) => Cell::Varlena(unsafe { output.write(value) }),
            _ => Cell::Null,
        }
    }
}

impl StoredRow<'_> {
    /// The value of the plan's column with this number as PostgreSQL writes it; `None` for NULL. For built-in
    /// types only: it calls the type's output function.
    pub fn text(&self, column: usize) -> Option<String> {
        let at = self.columns.get(column)?;
        // SAFETY: as for `cell`; an output function returns a C string, which is copied.
        unsafe {
            if *(*self.slot).tts_isnull.add(at.index) {
                return None;
            }
            let (mut output, mut is_varlena) = (pg_sys::InvalidOid, false);
            pg_sys::getTypeOutputInfo(at.type_oid, &mut output, &mut is_varlena);
            let text = pg_sys::OidOutputFunctionCall(output, *(*self.slot).tts_values.add(at.index));
            Some(std::ffi::CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    }

    /// Its place in the heap, where [`visit`] reads one.
    fn place(&self) -> RowPlace {
        // SAFETY: the slot holds a row while a StoredRow exists.
        let tid = unsafe { (*self.slot).tts_tid };
        ((u32::from(tid.ip_blkid.bi_hi) << 16) | u32::from(tid.ip_blkid.bi_lo), tid.ip_posid)
    }

    /// The value of the plan's column with this number, as the digest takes it: of a type without a converter
    /// what its output function writes. NULL where there is none.
    pub fn cell(&self, column: usize) -> Cell<'_> {
        let (Some(at), Some(pg_type)) = (self.columns.get(column), self.types.get(column)) else {
            return Cell::Null;
        };
        // SAFETY: `visit` has taken the row apart, so both arrays have an entry for each attribute; the type
        // is the attribute's own. The cell borrows from self, which is gone before the slot's next row.
        unsafe {
            if *(*self.slot).tts_isnull.add(at.index) {
                return Cell::Null;
            }
            let value = *(*self.slot).tts_values.add(at.index);
            match pg_type.storage() {
                Storage::Opaque => self.outputs.write(column, value),
                storage => datum::to_cell(value, storage),
            }
        }
    }
}

/// Shows every visible row of the table `oid` to `each` until that breaks off. `each` must not keep anything
/// that PostgreSQL allocates.
pub fn visit(
    oid: pg_sys::Oid,
    plan: &TablePlan,
    sight: Sight,
    mut each: impl FnMut(&StoredRow<'_>) -> ControlFlow<()>,
) -> Result<()> {
    let standing = standing::standing_of(oid)?;
    let heaps = match standing {
        Standing::Plain | Standing::Inherited => vec![oid],
        Standing::Partitioned => partitions(oid)?,
        Standing::Fronted { .. } => {
            return visit_query(&standing.from(&plan.target.to_string()), plan, sight, &mut each);
        }
    };
    for heap in heaps {
        if visit_heap(heap, plan, sight, &mut each)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// The partitions that hold the rows of a partitioned table.
fn partitions(oid: pg_sys::Oid) -> Result<Vec<pg_sys::Oid>> {
    let leaves = spi::rows(
        "SELECT c.oid FROM pg_catalog.pg_partition_tree($1) t \
         JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.relid::pg_catalog.oid \
         WHERE t.isleaf AND c.relkind OPERATOR(pg_catalog.<>) 'p' ORDER BY c.oid",
        &[oid.into()],
        |row| row.get::<pg_sys::Oid>(1),
    )?;
    Ok(leaves.into_iter().flatten().collect())
}

/// Asks the executor for the rows of `from`, as any query does: they may be anywhere.
fn visit_query(
    from: &str,
    plan: &TablePlan,
    sight: Sight,
    mut each: impl FnMut(&StoredRow<'_>) -> ControlFlow<()>,
) -> Result<()> {
    let types: Vec<&PgType> = plan.columns.iter().map(|c| &c.pg_type).collect();
    let names = match plan.columns.is_empty() {
        true => "1".to_owned(),
        false => quote_list(plan.columns.iter().map(|c| c.target.as_str())),
    };
    let mut columns: Vec<Column> = Vec::new();
    let mut outputs = Outputs(RefCell::default());
    // SAFETY: the context that is current now outlives the query.
    let home = unsafe { pg_sys::CurrentMemoryContext };
    let context = Detoasting::new();
    spi::each_row(&format!("SELECT {names} FROM {from}"), sight == Sight::Statement, &mut |slot| {
        // SAFETY: the executor hands over a slot with a row of this query, whose descriptor says what its
        // values are.
        unsafe {
            if columns.is_empty() {
                columns = relation::result_columns((*slot).tts_tupleDescriptor);
                outputs = Outputs::of_unconverted(&columns, &types, home);
            }
            pg_sys::slot_getallattrs(slot);
        }
        context.inside(|| each(&StoredRow { slot, columns: &columns, types: &types, outputs: &outputs }))
    })?;
    context.delete();
    Ok(())
}

/// Memory that detoasting uses, emptied now and then.
struct Detoasting {
    context: pg_sys::MemoryContext,
    rows: std::cell::Cell<u64>,
}

impl Detoasting {
    fn new() -> Self {
        // SAFETY: a context below the current one, which ends with it at the latest.
        let context = unsafe {
            pg_sys::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"aliaport_import read back".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        };
        Detoasting { context, rows: std::cell::Cell::new(0) }
    }

    /// Runs `f` for one row in this memory. Nothing that it allocates may be used afterwards.
    fn inside<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: the context lives until `delete`; an error leaves the switching back to PostgreSQL's own
        // clean-up.
        let outer = unsafe { pg_sys::MemoryContextSwitchTo(self.context) };
        let result = f();
        // SAFETY: as above, and nothing that `f` allocated is used any more.
        unsafe {
            pg_sys::MemoryContextSwitchTo(outer);
            self.rows.set(self.rows.get() + 1);
            if self.rows.get().is_multiple_of(ROWS_BETWEEN_RESETS)
                || (*self.context).mem_allocated > BYTES_BETWEEN_RESETS
            {
                pg_sys::MemoryContextReset(self.context);
                interrupt::check();
            }
        }
        result
    }

    fn delete(self) {
        // SAFETY: made by `new`, deleted once.
        unsafe { pg_sys::MemoryContextDelete(self.context) };
    }
}

/// Reads one heap past the executor.
fn visit_heap(
    oid: pg_sys::Oid,
    plan: &TablePlan,
    sight: Sight,
    mut each: impl FnMut(&StoredRow<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let types: Vec<&PgType> = plan.columns.iter().map(|c| &c.pg_type).collect();
    let mut flow = ControlFlow::Continue(());
    // SAFETY: the relation exists; all that is opened here is closed below or, on an error, by the end of the
    // (sub)transaction. A slot's values are valid until the next tuple is fetched; each is used before that.
    // A function call has an active snapshot.
    unsafe {
        let open = pg_sys::table_open(oid, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let columns = relation::columns(open, plan)?;
        let outputs = Outputs::of_unconverted(&columns, &types, pg_sys::CurrentMemoryContext);
        let snapshot = pg_sys::RegisterSnapshot(match sight {
            Sight::Latest => pg_sys::GetLatestSnapshot(),
            Sight::Statement => pg_sys::GetActiveSnapshot(),
        });
        let scan = pg_sys::table_beginscan(open, snapshot, 0, std::ptr::null_mut());
        let slot = pg_sys::table_slot_create(open, std::ptr::null_mut());
        let context = Detoasting::new();
        while pg_sys::table_scan_getnextslot(scan, pg_sys::ScanDirection::ForwardScanDirection, slot) {
            pg_sys::slot_getallattrs(slot);
            flow = context
                .inside(|| each(&StoredRow { slot, columns: &columns, types: &types, outputs: &outputs }));
            if flow.is_break() {
                break;
            }
        }
        context.delete();
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::table_endscan(scan);
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::table_close(open, pg_sys::NoLock as pg_sys::LOCKMODE);
    }
    Ok(flow)
}

/// Bytes of a page.
const PAGE: usize = pg_sys::BLCKSZ as usize;

/// Looks at tuples right after they were inserted, where they are now, and compares them with the images they
/// were made of.
///
/// Visibility need not be asked: the insert itself has said where its rows are. Most are found as they were
/// sent, byte by byte; of the others (values were compressed or stored out of line, PostgreSQL has added
/// generated columns) every column is compared.
pub struct Arrivals {
    types: Vec<PgType>,
    deformer: Deformer,
    strategy: pg_sys::BufferAccessStrategy,
    /// What detoasting allocates.
    context: pg_sys::MemoryContext,
    /// The tuple that is looked at.
    tuple: Vec<u8>,
    /// Rows that are there as they were sent.
    same: u64,
}

impl Arrivals {
    /// For rows that are inserted into `relation`. The columns of `plan` are in the order of their
    /// attributes.
    ///
    /// # Safety
    /// `relation` is open; the current memory context lives as long as the result.
    pub unsafe fn new(relation: pg_sys::Relation, plan: &TablePlan) -> Result<Self> {
        let types: Vec<PgType> = plan.columns.iter().map(|c| c.pg_type.clone()).collect();
        // SAFETY: the caller's promise.
        unsafe {
            let columns = relation::columns(relation, plan)?;
            let attributes = relation::attributes(relation);
            let deformer = Deformer::new(&attributes, columns.iter().map(|c| c.index).zip(&types));
            Ok(Arrivals {
                types,
                deformer,
                // Pages that are not in shared buffers any more must not push others out.
                strategy: pg_sys::GetAccessStrategy(pg_sys::BufferAccessStrategyType::BAS_BULKREAD),
                context: pg_sys::AllocSetContextCreateInternal(
                    pg_sys::CurrentMemoryContext,
                    c"aliaport_import read back".as_ptr(),
                    pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                    pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                    pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
                ),
                tuple: Vec::new(),
                same: 0,
            })
        }
    }

    /// How many rows are in the table as they were sent.
    pub fn finish(self) -> u64 {
        // SAFETY: made by `new`, freed once; an error leaves both to the end of the memory context they are
        // in.
        unsafe {
            pg_sys::MemoryContextDelete(self.context);
            pg_sys::FreeAccessStrategy(self.strategy);
        }
        self.same
    }

    /// Compares rows that were just inserted into `relation` with what was handed to the insert.
    ///
    /// # Safety
    /// `relation` is the one that this was made for; each slot has the place (`tts_tid`) of its row, and each
    /// of `sent` has `t_len` bytes at `t_data`.
    pub unsafe fn compare(
        &mut self,
        relation: pg_sys::Relation,
        slots: &[*mut pg_sys::TupleTableSlot],
        sent: &[pg_sys::HeapTupleData],
    ) {
        // Rows that are not as they were sent: what was sent, and a copy of what is there.
        let mut others: Vec<(&[u8], Vec<u8>)> = Vec::new();
        let mut open: Option<(pg_sys::BlockNumber, pg_sys::Buffer)> = None;
        for (slot, sent) in slots.iter().zip(sent) {
            // SAFETY: the caller's promise; the block exists, as a row was put into it. The buffer is pinned
            // and locked while its page is looked at, and let go before the next one, and before anything
            // else that could read buffers.
            unsafe {
                let tid = (**slot).tts_tid;
                let block = (u32::from(tid.ip_blkid.bi_hi) << 16) | u32::from(tid.ip_blkid.bi_lo);
                let buffer = match open {
                    Some((known, buffer)) if known == block => buffer,
                    _ => {
                        if let Some((_, buffer)) = open {
                            pg_sys::UnlockReleaseBuffer(buffer);
                        }
                        let main = pg_sys::ForkNumber::MAIN_FORKNUM;
                        let normal = pg_sys::ReadBufferMode::RBM_NORMAL;
                        let buffer = pg_sys::ReadBufferExtended(relation, main, block, normal, self.strategy);
                        pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE as _);
                        open = Some((block, buffer));
                        buffer
                    }
                };
                // Other processes may set hint bits of tuples in this page meanwhile, also under a shared
                // lock: so none of it is ever borrowed, and each tuple is copied before it is looked at. It
                // is in the first-level cache then.
                let page = pg_sys::BufferGetPage(buffer).cast::<u8>();
                self.tuple.clear();
                if let Some(span) = span_of(page, tid.ip_posid) {
                    self.tuple.reserve(span.len());
                    self.tuple.as_mut_ptr().copy_from_nonoverlapping(page.add(span.start), span.len());
                    self.tuple.set_len(span.len());
                }
                let sent = std::slice::from_raw_parts(sent.t_data.cast::<u8>(), sent.t_len as usize);
                if is_same_tuple(sent, &self.tuple) {
                    self.same += 1;
                } else {
                    others.push((sent, self.tuple.clone()));
                }
            }
        }
        if let Some((_, buffer)) = open {
            // SAFETY: pinned and locked above.
            unsafe { pg_sys::UnlockReleaseBuffer(buffer) };
        }
        for (sent, stored) in others {
            self.same += u64::from(self.has_same_values(sent, &stored));
            // SAFETY: nothing in it is used any more.
            unsafe { pg_sys::MemoryContextReset(self.context) };
        }
    }

    /// Whether both tuples have the same values in the columns of the plan.
    fn has_same_values(&self, sent: &[u8], stored: &[u8]) -> bool {
        // Aligned as in a page: PostgreSQL reads the headers of out of line values.
        let mut words = vec![0u64; stored.len().div_ceil(8)];
        // SAFETY: `words` has at least as many bytes, and any bytes are a u8.
        let stored = unsafe {
            let bytes = std::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), stored.len());
            bytes.copy_from_slice(stored);
            &*bytes
        };
        let mut cells = Vec::with_capacity(self.types.len());
        let is_whole = self.deformer.deform(sent, |_, value| cells.push(value)).is_ok();
        let mut at = cells.iter();
        let mut is_same = true;
        let found = self.deformer.deform(stored, |column, value| {
            let Some(sent) = at.next() else {
                is_same = false;
                return;
            };
            is_same &= match value {
                Stored::Cell(_) => *sent == value,
                // SAFETY: the bytes are a whole varlena of this column; what is detoasted lives in the
                // context until the row is done.
                Stored::Toasted(datum) => unsafe {
                    let outer = pg_sys::MemoryContextSwitchTo(self.context);
                    let datum = pg_sys::Datum::from(datum.as_ptr());
                    let cell = datum::to_cell(datum, self.types[column].storage());
                    pg_sys::MemoryContextSwitchTo(outer);
                    *sent == Stored::Cell(cell)
                },
            };
        });
        interrupt::check();
        is_whole && found.is_ok() && is_same && at.next().is_none()
    }
}

/// Where the tuple with this number is in a page.
///
/// # Safety
/// `page` is a page of a buffer that is pinned and locked.
pub unsafe fn span_of(page: *const u8, number: u16) -> Option<std::ops::Range<usize>> {
    let pointer = pointer_at(number)?;
    // SAFETY: the caller's promise; both reads are within the page. Neither its bounds nor its line pointers
    // change under a lock.
    let bits = unsafe {
        let lower = page.add(PAGE_LOWER).cast::<u16>().read_unaligned();
        if pointer + size_of::<u32>() > usize::from(lower).min(PAGE) {
            return None;
        }
        page.add(pointer).cast::<u32>().read_unaligned()
    };
    tuple_span(bits).filter(|span| span.end <= PAGE)
}

/// True where two tuples are the same but for what is no part of their values: transaction ids, ctid, and
/// the bits of their flags that say what became of them. Minor releases from November 2026 on set two of
/// those bits in every tuple that is formed (`HEAP_IS_DATUM`).
pub fn is_same_tuple(one: &[u8], other: &[u8]) -> bool {
    // htup_details.h: t_infomask2 is at 18, t_infomask at 20, t_hoff at 22.
    let flags = |tuple: &[u8]| {
        let infomask = u16::from_ne_bytes([*tuple.get(20)?, *tuple.get(21)?]);
        let infomask2 = u16::from_ne_bytes([*tuple.get(18)?, *tuple.get(19)?]);
        Some((infomask & !(pg_sys::HEAP_XACT_MASK as u16), infomask2 & pg_sys::HEAP_NATTS_MASK as u16))
    };
    flags(one) == flags(other) && one.get(22..) == other.get(22..)
}
