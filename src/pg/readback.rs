//! Reads a loaded table back from its heap and computes the same digest that the load computed of what it sent.
//!
//! [`digest`] scans a table as any query does. [`Follower`] reads the blocks of a table that is being filled, a little behind the load
//! and in the moments in which it waits for rows: the pages are still in shared buffers then.
#![allow(unsafe_code)] // scans a table with PostgreSQL's table access functions

use std::ops::ControlFlow;

use aliaport_plan::digest::{RowHasher, TableDigest};
use aliaport_plan::pg_type::PgType;
use aliaport_plan::plan::TablePlan;
use aliaport_plan::tuple::deform::{Deformer, Malformed, Stored, tuples};
use aliaport_plan::value::Cell;
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::datum;
use super::error::{Error, Result};
use super::interrupt;
use super::relation::{self, Column};
use super::spi;

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
pub type Place = (u32, u16);

/// Every visible row of the table `oid` in the order of the heap, with the digest of that row alone.
pub fn rows(oid: pg_sys::Oid, plan: &TablePlan, mut each: impl FnMut(Place, TableDigest)) -> Result<()> {
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
}

impl StoredRow<'_> {
    /// Its place in the heap.
    pub fn place(&self) -> Place {
        // SAFETY: the slot holds a row while a StoredRow exists.
        let tid = unsafe { (*self.slot).tts_tid };
        ((u32::from(tid.ip_blkid.bi_hi) << 16) | u32::from(tid.ip_blkid.bi_lo), tid.ip_posid)
    }

    /// The value of the plan's column with this number; NULL where there is none.
    pub fn cell(&self, column: usize) -> Cell<'_> {
        let (Some(at), Some(pg_type)) = (self.columns.get(column), self.types.get(column)) else {
            return Cell::Null;
        };
        // SAFETY: `visit` has taken the row apart, so both arrays have an entry for each attribute; the type and the storage
        // are the attribute's own. The cell borrows from self, which is gone before the slot's next row.
        unsafe {
            if *(*self.slot).tts_isnull.add(at.index) {
                return Cell::Null;
            }
            datum::to_cell(*(*self.slot).tts_values.add(at.index), pg_type, at.storage)
        }
    }
}

/// Shows every visible row of the table `oid` to `each`, in the order of the heap, until that breaks off. `each` must not
/// keep anything that PostgreSQL allocates.
pub fn visit(
    oid: pg_sys::Oid,
    plan: &TablePlan,
    sight: Sight,
    mut each: impl FnMut(&StoredRow<'_>) -> ControlFlow<()>,
) -> Result<()> {
    for part in parts(oid)? {
        if visit_part(part, plan, sight, &mut each)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// The relations that hold a table's rows: itself, or the leaves of a partitioned one.
fn parts(oid: pg_sys::Oid) -> Result<Vec<pg_sys::Oid>> {
    // Asked of the catalogue's cache first: this runs for each table of an import, and few are partitioned.
    // SAFETY: a look-up in the catalogue's cache, inside a transaction.
    if unsafe { pg_sys::get_rel_relkind(oid) } as u8 != pg_sys::RELKIND_PARTITIONED_TABLE {
        return Ok(vec![oid]);
    }
    let leaves = spi::rows(
        "SELECT c.oid, c.relkind = 'r', c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_partition_tree($1) t \
         JOIN pg_catalog.pg_class c ON c.oid = t.relid WHERE t.isleaf AND c.relkind <> 'p' ORDER BY c.oid",
        &[oid.into()],
        |row| {
            Ok((
                row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid),
                row.get::<bool>(2)?.unwrap_or(false),
                row.get::<String>(3)?.unwrap_or_default(),
            ))
        },
    )?;
    if let Some((_, _, name)) = leaves.iter().find(|(_, is_table, _)| !is_table) {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            format!("partition {name} cannot be read back: it is a foreign table"),
        )
        .detail("Every value is read back from the table after the load, past the executor.")
        .hint("Import with options.verify = \"count\"."));
    }
    Ok(leaves.into_iter().map(|(oid, _, _)| oid).collect())
}

fn visit_part(
    oid: pg_sys::Oid,
    plan: &TablePlan,
    sight: Sight,
    mut each: impl FnMut(&StoredRow<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let types: Vec<&PgType> = plan.columns.iter().map(|c| &c.pg_type).collect();
    let mut flow = ControlFlow::Continue(());
    // SAFETY: the relation exists; all that is opened here is closed below or, on an error, by the end of the
    // (sub)transaction. A slot's values are valid until the next tuple is fetched; each is used before that. A function call
    // has an active snapshot.
    unsafe {
        let open = pg_sys::table_open(oid, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let columns = relation::columns(open, plan)?;
        let snapshot = pg_sys::RegisterSnapshot(match sight {
            Sight::Latest => pg_sys::GetLatestSnapshot(),
            Sight::Statement => pg_sys::GetActiveSnapshot(),
        });
        let scan = pg_sys::table_beginscan(open, snapshot, 0, std::ptr::null_mut());
        let slot = pg_sys::table_slot_create(open, std::ptr::null_mut());
        let context = pg_sys::AllocSetContextCreateInternal(
            pg_sys::CurrentMemoryContext,
            c"aliaport_import read back".as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        );
        let outer = pg_sys::MemoryContextSwitchTo(context);
        let mut rows: u64 = 0;
        while pg_sys::table_scan_getnextslot(scan, pg_sys::ScanDirection::ForwardScanDirection, slot) {
            pg_sys::slot_getallattrs(slot);
            flow = each(&StoredRow { slot, columns: &columns, types: &types });
            if flow.is_break() {
                break;
            }
            rows += 1;
            if rows.is_multiple_of(ROWS_BETWEEN_RESETS) || (*context).mem_allocated > BYTES_BETWEEN_RESETS {
                pg_sys::MemoryContextReset(context);
                interrupt::check();
            }
        }
        pg_sys::MemoryContextSwitchTo(outer);
        pg_sys::MemoryContextDelete(context);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::table_endscan(scan);
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::table_close(open, pg_sys::NoLock as pg_sys::LOCKMODE);
    }
    Ok(flow)
}

/// Bytes of a page.
const PAGE: usize = pg_sys::BLCKSZ as usize;

/// A page's bytes, aligned as in shared buffers.
#[repr(C, align(8))]
struct Page([u8; PAGE]);

/// Reads the blocks of a table that this transaction has made, or has emptied by giving it a new file, while rows are added to it.
///
/// Every tuple of such a table is one that the load wrote, so visibility need not be asked. A page that is not as expected
/// ends it without a result, and the caller scans the table instead.
pub struct Follower {
    relation: pg_sys::Relation,
    types: Vec<PgType>,
    columns: Vec<Column>,
    deformer: Deformer,
    hasher: RowHasher,
    digest: TableDigest,
    /// The first block that has not been read.
    next: pg_sys::BlockNumber,
    page: Box<Page>,
    strategy: pg_sys::BufferAccessStrategy,
    /// What detoasting allocates.
    context: pg_sys::MemoryContext,
    is_lost: bool,
}

impl Follower {
    /// Follows the load of `relation` with the columns of `plan`, which are in the order of their attributes.
    ///
    /// # Safety
    /// `relation` is open, and stays open and its file the same until [`Follower::finish`]; the current memory context lives as long.
    pub unsafe fn new(relation: pg_sys::Relation, plan: &TablePlan) -> Result<Self> {
        let types: Vec<PgType> = plan.columns.iter().map(|c| c.pg_type.clone()).collect();
        // SAFETY: the caller's promise.
        unsafe {
            let columns = relation::columns(relation, plan)?;
            let attributes = relation::attributes(relation);
            let deformer = Deformer::new(&attributes, columns.iter().map(|c| c.index).zip(&types));
            Ok(Follower {
                relation,
                hasher: RowHasher::new(&types.iter().collect::<Vec<_>>()),
                types,
                columns,
                deformer,
                digest: TableDigest::default(),
                next: 0,
                page: Box::new(Page([0; PAGE])),
                // Pages that are not in shared buffers any more must not push others out.
                strategy: pg_sys::GetAccessStrategy(pg_sys::BufferAccessStrategyType::BAS_BULKREAD),
                context: pg_sys::AllocSetContextCreateInternal(
                    pg_sys::CurrentMemoryContext,
                    c"aliaport_import read back".as_ptr(),
                    pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                    pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                    pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
                ),
                is_lost: false,
            })
        }
    }

    /// Reads up to `most` of the blocks before `end`, which no row is added to any more. False when there is none.
    pub fn follow(&mut self, end: pg_sys::BlockNumber, most: u32) -> bool {
        let end = end.min(self.next.saturating_add(most));
        if self.is_lost || self.next >= end {
            return false;
        }
        while self.next < end && !self.is_lost {
            self.is_lost = self.block().is_err();
            self.next += 1;
        }
        true
    }

    /// Reads what is left of the table; its digest, unless something was not as expected.
    pub fn finish(mut self) -> Option<TableDigest> {
        // SAFETY: the relation is open.
        let end = unsafe {
            pg_sys::RelationGetNumberOfBlocksInFork(self.relation, pg_sys::ForkNumber::MAIN_FORKNUM)
        };
        while self.follow(end, 64) {
            interrupt::check();
        }
        // SAFETY: made by `new`, freed once.
        unsafe {
            pg_sys::MemoryContextDelete(self.context);
            pg_sys::FreeAccessStrategy(self.strategy);
        }
        (!self.is_lost).then_some(self.digest)
    }

    fn block(&mut self) -> std::result::Result<(), Malformed> {
        let Follower { columns, types, deformer, hasher, digest, page, context, .. } = self;
        // SAFETY: the relation is open and has this block; the buffer is pinned and locked while its page is copied. Detoasting
        // could read other buffers, so it is done after this one was let go.
        unsafe {
            let buffer = pg_sys::ReadBufferExtended(
                self.relation,
                pg_sys::ForkNumber::MAIN_FORKNUM,
                self.next,
                pg_sys::ReadBufferMode::RBM_NORMAL,
                self.strategy,
            );
            pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE as _);
            let bytes: *const u8 = pg_sys::BufferGetPage(buffer).cast();
            page.0.as_mut_ptr().copy_from_nonoverlapping(bytes, PAGE);
            pg_sys::UnlockReleaseBuffer(buffer);
        }
        for tuple in tuples(&page.0)? {
            let mut has_toasted = false;
            deformer.deform(tuple?, |column, stored| match stored {
                // The same as `read_back`, for what most values of many tables are.
                Stored::Cell(Cell::Int8(v)) => hasher.sent_whole(column, v),
                Stored::Cell(Cell::Int4(v)) => hasher.sent_whole(column, i64::from(v)),
                Stored::Cell(Cell::Bool(v)) => hasher.sent_whole(column, i64::from(v)),
                Stored::Cell(Cell::Float8(v)) => hasher.sent_double(column, v),
                Stored::Cell(Cell::Null) => hasher.sent_null(column),
                Stored::Cell(cell) => hasher.read_back(column, &cell),
                Stored::Toasted(datum) => {
                    has_toasted = true;
                    // SAFETY: the bytes are a whole varlena of this column, which lives until the page is read anew; detoasted
                    // bytes live in the context until the row is done.
                    let cell = unsafe {
                        let outer = pg_sys::MemoryContextSwitchTo(*context);
                        let datum = pg_sys::Datum::from(datum.as_ptr());
                        let cell = datum::to_cell(datum, &types[column], columns[column].storage);
                        pg_sys::MemoryContextSwitchTo(outer);
                        cell
                    };
                    hasher.read_back(column, &cell);
                }
            })?;
            hasher.end_row(digest);
            if has_toasted {
                // SAFETY: nothing in it is used any more.
                unsafe { pg_sys::MemoryContextReset(*context) };
                interrupt::check();
            }
        }
        Ok(())
    }
}
